/*
 * What the library gets to see of a datagram. Before there are keys, everything in it may be
 * forged, and OpenSSL ends a handshake over some things that RFC 6347 4.1.2.7 lets us drop instead.
 *
 * RFC 6347 4.1, a record:                        RFC 6347 4.2.2, a handshake fragment in it:
 *   +------+-----+-------+-----+-----+------+      +------+-----+-----+--------+-------+----------+
 *   | type | ver | epoch | seq | len | body |      | type | len | seq | offset | n     | fragment |
 *   +------+-----+-------+-----+-----+------+      +------+-----+-----+--------+-------+----------+
 *     1      2     2       6     2     len           1      3     2     3        3       n
 */
#include "stream_int.h"

#include <string.h>

#include "ciphony/base_wire.h"

enum {
    TYPE_CCS = 20,
    TYPE_ALERT = 21,
    TYPE_HANDSHAKE = 22,
    TYPE_DATA = 23,
    HEADER = 13,
    NUMBER = 5, /* where a record has its own */
    HELLO_VERIFY = 3,
    BODY_MAX = STREAM_RECORD + 2048, /* RFC 6347 4.1: ciphertext at most */
};

/* Handshake types each side may get in clear, RFC 5246 7.4 and RFC 6347 4.3.2, by bit; a client of
 * ours asks for no ticket and no certificate status. */
static const uint32_t may_get[] = {
    [CPH_STREAM_CLIENT] = 1U << 2 | 1U << 3 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14,
    [CPH_STREAM_SERVER] = 1U << 1 | 1U << 11 | 1U << 15 | 1U << 16,
};

static bool handshake_ok(struct cph_span body, enum cph_stream_role own)
{
    struct cph_rd rd = cph_rd_open(body);

    while (cph_rd_more(&rd)) {
        bool alone = rd.n == body.n;
        uint8_t type = cph_rd_u8(&rd);
        uint32_t total = cph_rd_u24(&rd);
        uint32_t offset, n;

        (void)cph_rd_u16(&rd);
        offset = cph_rd_u24(&rd);
        n = cph_rd_u24(&rd);
        (void)cph_rd_span(&rd, n);
        if (rd.failed || type > 31 || !(may_get[own] & 1U << type) || total > STREAM_CERTS_MAX ||
            offset > total || n > total - offset)
            return false;
        if (type == HELLO_VERIFY && (!alone || rd.n > 0 || n < total))
            return false; /* first.c looks for one there, and nowhere else */
    }
    return body.n > 0 && cph_rd_end(&rd) == CPH_OK;
}

static bool clear_ok(uint8_t type, struct cph_span body, enum cph_stream_role own, uint8_t *alert)
{
    switch (type) {
    case TYPE_CCS:
        return body.n == 1 && body.p[0] == 1;
    case TYPE_HANDSHAKE:
        return handshake_ok(body, own);
    case TYPE_ALERT: /* anyone can send one; if the peer means it, the handshake will run out of
                        time */
        if (body.n == 2)
            *alert = body.p[1];
        return false;
    default:
        return false;
    }
}

size_t stream_records(struct cph_span datagram, enum cph_stream_role own, bool open, uint8_t *out,
                      unsigned *dropped, uint8_t *alert)
{
    struct cph_rd rd = cph_rd_open(datagram);
    size_t n = 0;

    while (cph_rd_more(&rd)) {
        const uint8_t *at = rd.p;
        uint8_t type = cph_rd_u8(&rd);
        uint16_t version = cph_rd_u16(&rd);
        uint16_t epoch = cph_rd_u16(&rd);
        struct cph_span body;
        bool ok;

        (void)cph_rd_u48(&rd);
        body = cph_rd_span(&rd, cph_rd_u16(&rd));
        ok = !rd.failed && type >= TYPE_CCS && type <= TYPE_DATA && body.n <= BODY_MAX &&
             (version == 0xfeff || version == 0xfefd); /* DTLS 1.0 stands on a first ClientHello */
        if (ok && epoch == 0)
            ok = !open && clear_ok(type, body, own, alert);
        else if (ok)
            ok = epoch == 1; /* without renegotiation there is no second */
        if (!ok) {
            ++*dropped;
            continue;
        }
        memcpy(out + n, at, HEADER + body.n);
        n += HEADER + body.n;
    }
    return n;
}

/*
 * A record in clear has a number that nobody has signed; one forged high number, and the library
 * takes all that follow for old. Doubles are told by the messages inside. So the numbers in clear
 * are given anew. A server keeps that of its first record: RFC 6347 4.2.1 MUST: its answer has the
 * number of the ClientHello.
 */
void stream_number(uint8_t *records, size_t n, struct stream_numbers *numbers)
{
    while (n >= HEADER) {
        size_t len = HEADER + ((size_t)records[11] << 8 | records[12]);

        if (len > n)
            return;
        if (records[3] == 0 && records[4] == 0) {
            if (!numbers->begun && numbers->keep_first) {
                struct cph_rd rd = cph_rd_open((struct cph_span){ records + NUMBER, 6 });

                numbers->next = cph_rd_u48(&rd);
            }
            numbers->begun = true;
            for (int i = 0; i < 6; i++)
                records[NUMBER + i] = (uint8_t)(numbers->next >> (40 - 8 * i));
            numbers->next++;
        }
        records += len;
        n -= len;
    }
}

/*
 * Who says hello, and whether he hears us: RFC 6347 4.2.1. A cookie is two keyed hashes over the
 * address and the minute, so nothing is kept of whoever is asked.
 *
 * RFC 6347 4.2.1 EXCEPTION: the parameters of the ClientHello are not in it, as they SHOULD be.
 * Else whoever says hello with the peer's address would make us send the peer a cookie that fits
 * another hello; it would use that, and could not come back to one that fits.
 *
 * pieces.c has the headers; behind them stands
 *
 *   type 1, ClientHello:        version 2, random 32, session id <0..32>, cookie <0..255>, the rest
 *   type 3, HelloVerifyRequest: version 2, cookie <0..255>
 */
#include "dtls_int.h"

#include <string.h>

#include "ciphony/base_tools.h"
#include "ciphony/base_wire.h"

enum { HANDSHAKE = 22, HELLO_VERIFY = 3, FORMAT = 0xfeff };

static bool read_body(struct cph_span body, struct dtls_hello *h)
{
    struct cph_rd rd = cph_rd_open(body), cookie;

    (void)cph_rd_u16(&rd);
    h->random = cph_rd_span(&rd, DTLS_RANDOM);
    (void)cph_rd_vec8(&rd);
    cookie = cph_rd_vec8(&rd);
    h->cookie = cph_rd_rest(&cookie);
    return !rd.failed && cph_rd_rest(&rd).n > 0;
}

bool dtls_hello_read(struct cph_span packet, struct dtls_hello *out)
{
    struct dtls_hello h = { 0 };
    struct dtls_piece piece;

    if (!dtls_piece_read(packet, &piece) || piece.offset != 0 || !read_body(piece.bytes, &h))
        return false;
    h.record = piece.record;
    *out = h;
    return true;
}

cph_err dtls_cookie_new(const struct cph_env *env, struct dtls_cookie_key *out)
{
    return cph_random(env, out->k, sizeof out->k);
}

static void make(const struct dtls_cookie_key *key, const struct cph_addr *from, uint64_t minute,
                 uint8_t out[DTLS_COOKIE])
{
    uint8_t about[64];
    struct cph_wr wr = cph_wr_open(about, sizeof about);
    struct cph_wr to = cph_wr_open(out, DTLS_COOKIE);

    cph_wr_u64(&wr, minute);
    cph_wr_u8(&wr, (uint8_t)from->family);
    cph_wr_bytes(&wr, from->ip, sizeof from->ip);
    cph_wr_u16(&wr, from->port);
    cph_wr_u64(&to, cph_siphash(key->k[0], key->k[1], cph_wr_done(&wr)));
    cph_wr_u64(&to, cph_siphash(key->k[2], key->k[3], cph_wr_done(&wr)));
}

bool dtls_cookie_ok(const struct dtls_cookie_key *key, const struct cph_addr *from,
                    const struct dtls_hello *hello, cph_time now)
{
    uint64_t minute = (uint64_t)(now / CPH_SEC(DTLS_COOKIE_S));
    uint8_t want[DTLS_COOKIE];

    for (uint64_t ago = 0; ago < 2 && ago <= minute; ago++) {
        make(key, from, minute - ago, want);
        if (cph_ct_eq(hello->cookie, (struct cph_span){ want, sizeof want }))
            return true;
    }
    return false;
}

cph_err dtls_cookie_ask(const struct dtls_cookie_key *key, const struct cph_addr *from,
                        const struct dtls_hello *hello, cph_time now, uint8_t out[DTLS_ASK])
{
    uint64_t minute = (uint64_t)(now / CPH_SEC(DTLS_COOKIE_S));
    struct cph_wr wr = cph_wr_open(out, DTLS_ASK);
    uint8_t cookie[DTLS_COOKIE];

    make(key, from, minute, cookie);
    cph_wr_u8(&wr, HANDSHAKE);
    cph_wr_u16(&wr, FORMAT); /* RFC 6347 4.2.1: DTLS 1.0, which says nothing of what is agreed on */
    cph_wr_u16(&wr, 0);
    cph_wr_u48(&wr,
               hello->record); /* RFC 6347 4.2.1 MUST: the number of the ClientHello's record */
    cph_wr_u16(&wr, 12 + 3 + DTLS_COOKIE);
    cph_wr_u8(&wr, HELLO_VERIFY);
    cph_wr_u24(&wr, 3 + DTLS_COOKIE);
    cph_wr_u16(&wr, 0);
    cph_wr_u24(&wr, 0);
    cph_wr_u24(&wr, 3 + DTLS_COOKIE);
    cph_wr_u16(&wr, FORMAT);
    cph_wr_u8(&wr, DTLS_COOKIE);
    cph_wr_bytes(&wr, cookie, sizeof cookie);
    return cph_wr_end(&wr);
}

#include "weaken.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "mikey_read.h"

bool lab_is_key_line(struct cph_span line)
{
    static const char *const start[] = {
        "a=crypto:", "a=fingerprint:", "a=setup:", "a=tls-id:", "a=key-mgmt:", "a=zrtp-hash:",
        "a=sdp-dh:", "a=acap:",        "a=tcap:",  "a=pcfg:",   "a=acfg:",     "a=mikeyv2"
    };

    for (size_t i = 0; i < sizeof start / sizeof *start; i++)
        if (cph_span_starts(line, start[i]))
            return true;
    return false;
}

/* ---- names with commas ----------------------------------------------------------------------- */

static struct cph_span last_of(struct cph_span list)
{
    struct cph_span last = list;

    while (list.n > 0)
        last = cph_span_cut(&list, ',');
    return last;
}

/* "a=sdp-dh:1 x25519 A,B,C SHARE": of the suites only the last. */
static void weaken_shares(struct cph_span line, struct cph_wr *out)
{
    struct cph_span rest = line, tag = cph_span_word(&rest), group = cph_span_word(&rest);
    struct cph_span last = last_of(cph_span_word(&rest));

    cph_wr_fmt(out, "%.*s %.*s %.*s %.*s\r\n", CPH_SPAN_ARG(tag), CPH_SPAN_ARG(group),
               CPH_SPAN_ARG(last), CPH_SPAN_ARG(cph_span_trim(rest)));
}

/* MIKEYv2, the first message: modes, groups, suites, nonce, name. */
static bool weaken_hello(struct cph_span msg, struct cph_wr *out)
{
    enum { HEAD = 10, VERSION = 2, HELLO_I = 1 };
    struct cph_rd rd = cph_rd_open(msg);
    struct cph_span head = cph_rd_span(&rd, HEAD), modes, groups, suites, last;

    if (rd.failed || head.p[0] != VERSION || head.p[1] != HELLO_I)
        return false;
    modes = cph_rd_span(&rd, cph_rd_u8(&rd));
    groups = cph_rd_span(&rd, cph_rd_u8(&rd));
    suites = cph_rd_span(&rd, cph_rd_u16(&rd));
    if (rd.failed || suites.n == 0)
        return false;
    last = last_of(suites);
    cph_wr_span(out, head);
    cph_wr_u8(out, (uint8_t)modes.n);
    cph_wr_span(out, modes);
    cph_wr_u8(out, (uint8_t)groups.n);
    cph_wr_span(out, groups);
    cph_wr_u16(out, (uint16_t)last.n);
    cph_wr_span(out, last);
    cph_wr_span(out, cph_rd_rest(&rd));
    return !out->failed && last.n < suites.n;
}

/* ---- in a description ------------------------------------------------------------------------ */

static bool in_base64(struct cph_span line, const char *start,
                      bool (*less)(struct cph_span, struct cph_wr *), struct cph_wr *out)
{
    uint8_t raw[LAB_WEAKEN_LINE], changed[LAB_WEAKEN_LINE];
    char text[2 * LAB_WEAKEN_LINE];
    struct cph_wr wr = cph_wr_open(changed, sizeof changed);
    size_t n;

    if (!cph_span_starts(line, start) ||
        cph_unbase64(cph_span_trim(cph_span_from(line, strlen(start))), true, raw, sizeof raw,
                     &n) != CPH_OK ||
        !less((struct cph_span){ raw, n }, &wr))
        return false;
    cph_base64(cph_wr_done(&wr), text);
    cph_wr_fmt(out, "%s%s\r\n", start, text);
    return true;
}

static void weaken_line(struct cph_span line, struct cph_wr *out)
{
    if (cph_span_starts(line, "a=sdp-dh:"))
        weaken_shares(line, out);
    else if (!in_base64(line, "a=key-mgmt:mikey ", lab_mikey_weaken, out) &&
             !in_base64(line, "a=mikeyv2:", weaken_hello, out)) {
        cph_wr_span(out, line);
        cph_wr_text(out, "\r\n");
    }
}

/* Of several suites the last; of several mechanisms the one whose keys can be read. */
void lab_weaken_sdp(struct cph_span sdp, struct cph_wr *out)
{
    struct cph_span rest = sdp, line, last = { 0 };

    while (cph_span_line(&rest, &line))
        if (cph_span_starts(line, "a=crypto:"))
            last = line;
    while (cph_span_line(&sdp, &line)) {
        if (last.n > 0 && lab_is_key_line(line) && line.p != last.p)
            continue;
        weaken_line(line, out);
    }
}

/* ---- on the media path ----------------------------------------------------------------------- */

/* The profiles of use_srtp (RFC 5764 4.1.1) in a ClientHello: all become the last one. */
static bool weaken_dtls(struct cph_span packet, struct cph_wr *out)
{
    enum { RECORD = 13, HANDSHAKE = 22, HELLO = 1, EXT = 0x0e };
    uint8_t *p = out->p;
    bool any = false;

    if (packet.n < RECORD + 12 || packet.p[0] != HANDSHAKE || packet.p[RECORD] != HELLO)
        return false;
    cph_wr_span(out, packet);
    for (size_t i = RECORD; !out->failed && i + 6 < packet.n; i++) {
        size_t ext = (size_t)p[i + 2] << 8 | p[i + 3], list = (size_t)p[i + 4] << 8 | p[i + 5];

        if (p[i] != 0 || p[i + 1] != EXT || list < 4 || list % 2 || ext != list + 3 ||
            i + 4 + ext > packet.n)
            continue;
        for (size_t k = i + 6; k + 2 < i + 6 + list; k += 2)
            memcpy(p + k, p + i + 6 + list - 2, 2);
        any = true;
    }
    return any && !out->failed;
}

/* RFC 4960 B; the sum as it stands in the packet, lowest byte first. */
static uint32_t crc32c(struct cph_span b)
{
    uint32_t c = UINT32_MAX;

    for (size_t i = 0; i < b.n; i++) {
        c ^= b.p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78U : 0);
    }
    return ~c;
}

static void crc_of(const uint8_t *p, size_t n, uint8_t out[4])
{
    uint32_t c = crc32c((struct cph_span){ p, n - 4 });

    for (size_t i = 0; i < 4; i++)
        out[i] = (uint8_t)(c >> 8 * i);
}

/* The lists of a Hello (RFC 6189 5.2): the longer keys and tags become the shorter ones. Its own
 * MAC is of a key that comes later, and stays. */
static bool weaken_zrtp(struct cph_span packet, struct cph_wr *out)
{
    enum { HEAD = 12, TYPE = HEAD + 4, LISTS = HEAD + 80, TAIL = 8 + 4 };
    uint8_t *p = out->p, sum[4];
    bool any = false;

    if (packet.n < LISTS + TAIL || memcmp(packet.p + TYPE, "Hello   ", 8) != 0) /* public */
        return false;
    crc_of(packet.p, packet.n, sum);
    if (memcmp(packet.p + packet.n - 4, sum, 4) != 0) /* public */
        return false;
    cph_wr_span(out, packet);
    for (size_t i = LISTS; !out->failed && i + 4 <= packet.n - TAIL; i += 4) {
        /* types of a Hello are public */
        const char *less = memcmp(p + i, "AES3", 4) == 0 || memcmp(p + i, "AES2", 4) == 0 ? "AES1"
                           : memcmp(p + i, "HS80", 4) == 0                                ? "HS32"
                                                                                          : NULL;

        if (less)
            memcpy(p + i, less, 4);
        any |= less != NULL;
    }
    if (any && !out->failed)
        crc_of(p, packet.n, p + packet.n - 4);
    return any && !out->failed;
}

static bool weaken_inband(struct cph_span packet, struct cph_wr *out)
{
    enum { HEAD = 16, PARTS = 5, BYTES = 6 };
    uint8_t hello[2048];
    struct cph_wr wr = cph_wr_open(hello, sizeof hello);

    if (packet.n <= HEAD || memcmp(packet.p, "mkv2", 4) != 0 || packet.p[PARTS] != 1 ||
        !weaken_hello(cph_span_from(packet, HEAD), &wr)) /* public */
        return false;
    cph_wr_bytes(out, packet.p, BYTES);
    cph_wr_u16(out, (uint16_t)wr.n);
    cph_wr_bytes(out, packet.p + BYTES + 2, HEAD - BYTES - 2);
    cph_wr_span(out, cph_wr_done(&wr));
    return !out->failed;
}

bool lab_weaken_packet(struct cph_span packet, struct cph_wr *out)
{
    return weaken_dtls(packet, out) || weaken_zrtp(packet, out) || weaken_inband(packet, out);
}

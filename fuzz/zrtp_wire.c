/* A ZRTP packet that is understood is written again to the same message, and what a Confirm or a
 * SASrelay has inside likewise. */
#include <stdlib.h>
#include <string.h>

#include "../src/keying/zrtp/zrtp_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(struct cph_span bytes)
{
    static uint8_t b[ZRTP_MESSAGE];
    struct cph_wr wr = cph_wr_open(b, sizeof b);
    struct zrtp_msg m, again;

    if (zrtp_msg_parse(bytes, &m) != CPH_OK)
        return;
    zrtp_msg_build(&wr, &m);
    /* bits not used in a Hello are not kept, so the second writing is what must be the same */
    if (cph_wr_end(&wr) != CPH_OK || wr.n != bytes.n ||
        zrtp_msg_parse(cph_wr_done(&wr), &again) != CPH_OK || again.type != m.type)
        abort();
    if (m.type != ZRTP_HELLO && memcmp(b, bytes.p, bytes.n) != 0)
        abort();
}

static void inside(struct cph_span bytes)
{
    static uint8_t b[ZRTP_MESSAGE];
    struct cph_wr wr = cph_wr_open(b, sizeof b);
    struct zrtp_confirm c, c2;
    struct zrtp_relay r, r2;

    if (bytes.n <= sizeof b && zrtp_confirm_parse(bytes, &c) == CPH_OK) {
        zrtp_confirm_build(&wr, &c);
        if (cph_wr_end(&wr) != CPH_OK || zrtp_confirm_parse(cph_wr_done(&wr), &c2) != CPH_OK ||
            c.flags != c2.flags || c.cache_s != c2.cache_s || c.sig.n != c2.sig.n)
            abort();
    }
    wr = cph_wr_open(b, sizeof b);
    if (bytes.n <= sizeof b && zrtp_relay_parse(bytes, &r) == CPH_OK) {
        zrtp_relay_build(&wr, &r);
        if (cph_wr_end(&wr) != CPH_OK || zrtp_relay_parse(cph_wr_done(&wr), &r2) != CPH_OK ||
            r.flags != r2.flags || r.sas_id != r2.sas_id || r.sig.n != r2.sig.n)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_span bytes = { data, n };
    struct zrtp_packet p;

    if (zrtp_packet_parse(bytes, &p) == CPH_OK)
        round_trip(p.msg);
    round_trip(bytes); /* the CRC would stop nearly every mutation */
    inside(bytes);
    return 0;
}

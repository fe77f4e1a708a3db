/*
 * EKT: the first byte says what the rest is. 0: a packet with a tag for a receiver who knows the
 * parameter set; else a tag, which must come out as it went in.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/srtp_ekt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct cph_srtp_engine *engine;

static void tag(struct cph_span in)
{
    struct cph_ekt_tag a;
    uint8_t *out = malloc(in.n + 1);
    size_t made;

    if (out && cph_ekt_tag_parse(in, &a) == CPH_OK) {
        if (a.n > in.n)
            abort();
        if ((a.type == CPH_EKT_SHORT || a.type == CPH_EKT_FULL) &&
            (cph_ekt_tag_build(&a, out, in.n, &made) != CPH_OK || made != a.n ||
             memcmp(out, in.p + in.n - made, made) != 0))
            abort();
    }
    free(out);
}

static void packet(const uint8_t *data, size_t n)
{
    struct cph_srtp_policy p = { .suite = cph_srtp_suite_by_dtls(7) };
    struct cph_ekt_params q = { .spi = 5, .ttl_s = 1, .key.n = 16, .salt.n = 12 };
    struct cph_ekt_receiver *r;
    struct cph_srtp_pkt pkt = { malloc(n + 1), n, n };

    if (!engine && cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &engine) != CPH_OK)
        abort();
    if (cph_ekt_receiver_new(engine, &p, &r) != CPH_OK ||
        cph_ekt_receiver_params(r, &q, 0) != CPH_OK)
        abort();
    if (pkt.p) {
        memcpy(pkt.p, data, n);
        if (cph_ekt_unprotect(r, &pkt, 0) != CPH_OK && memcmp(pkt.p, data, n) != 0)
            abort();
        (void)!cph_ekt_unprotect_rtcp(r, &pkt, 0);
    }
    free(pkt.p);
    cph_ekt_receiver_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 0 && data[0] == 0)
        packet(data + 1, n - 1);
    else if (n > 0)
        tag((struct cph_span){ data + 1, n - 1 });
    return 0;
}

/*
 * Hostile SRTP and SRTCP: the first byte picks suite and policy, the second what kind of packet;
 * the rest is the packet. Single and batch, with and without acceleration, agree on whether it is
 * accepted and on what it says; a refused packet is left as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct cph_srtp_engine *engine[2];

static cph_err run(struct cph_srtp_engine *e, const struct cph_srtp_policy *p, bool batch,
                   bool rtcp, const uint8_t *data, size_t n, uint8_t *out, size_t *out_n)
{
    struct cph_srtp_op op = { .rtcp = rtcp, .pkt = { out, n, n } };

    if (cph_srtp_new(e, p, CPH_SRTP_RECV, &op.ctx) != CPH_OK)
        abort();
    memcpy(out, data, n);
    if (batch)
        cph_srtp_batch(e, &op, 1);
    else
        op.err = rtcp ? cph_srtp_unprotect_rtcp(op.ctx, &op.pkt)
                      : cph_srtp_unprotect(op.ctx, &op.pkt);
    if (op.err != CPH_OK && (memcmp(out, data, n) != 0 || cph_srtp_stream_count(op.ctx) != 0))
        abort();
    *out_n = op.pkt.n;
    cph_srtp_free(op.ctx);
    return op.err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_srtp_policy p = { 0 };
    uint8_t *out[2];
    size_t out_n[2];
    cph_err first = CPH_OK;

    for (size_t i = 0; i < 2 && !engine[i]; i++) {
        if (cph_srtp_engine_new((enum cph_srtp_accel)i, &engine[i]) != CPH_OK)
            abort();
    }
    if (n < 2)
        return 0;
    p.suite = cph_srtp_suites[data[0] % 10];
    p.master.key.n = p.suite->key_n;
    p.master.salt.n = p.suite->salt_n;
    p.master.mki_n = data[0] / 10 % 3;
    p.unencrypted_rtp = p.unencrypted_rtcp = data[0] > 127;
    p.cryptex = (data[1] & 8) && p.suite->encrypts && !p.unencrypted_rtp;
    if (!strstr(p.suite->name, "GCM") && (data[1] & 6)) /* 2 and 4 are authenticated */
        p.rcc = data[1] & 2 ? CPH_SRTP_RCC_1 : CPH_SRTP_RCC_2;
    out[0] = malloc(n);
    out[1] = malloc(n);
    for (size_t i = 0; i < 4 && out[0] && out[1]; i++) {
        cph_err err = run(engine[i / 2], &p, i % 2, data[1] & 1, data + 2, n - 2, out[i > 0],
                          &out_n[i > 0]);

        if (i == 0)
            first = err;
        else if (err != first ||
                 (err == CPH_OK && (out_n[0] != out_n[1] || memcmp(out[0], out[1], out_n[0]) != 0)))
            abort();
    }
    free(out[0]);
    free(out[1]);
    return 0;
}

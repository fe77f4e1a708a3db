#include "srtp_int.h"

#include <stdlib.h>

static cph_err check_suites(struct cph_srtp_engine *e)
{
    e->good = ~0U; /* so that the checks may make contexts */
    for (unsigned i = 0; srtp_suite_at(i); i++) {
        cph_err err = srtp_kat_run(e, srtp_suite_at(i));

        if (err == CPH_E_NOMEM)
            return err;
        if (err != CPH_OK)
            e->good &= ~(1U << i);
    }
    return CPH_OK;
}

cph_err cph_srtp_engine_new(enum cph_srtp_accel accel, struct cph_srtp_engine **out)
{
    struct cph_srtp_engine *e = calloc(1, sizeof *e);
    cph_err err = CPH_E_UNSUPPORTED;

    if (!e)
        return CPH_E_NOMEM;
    e->ops = &srtp_ops_openssl;
    if (accel == CPH_SRTP_ACCEL_AUTO)
        err = srtp_mb_new(&e->mb);
    if (err == CPH_OK)
        e->ops = &srtp_ops_mb;
    if (err == CPH_OK || err == CPH_E_UNSUPPORTED)
        err = check_suites(e);
    if (err != CPH_OK) {
        cph_srtp_engine_free(e);
        return err;
    }
    *out = e;
    return CPH_OK;
}

void cph_srtp_engine_free(struct cph_srtp_engine *e)
{
    if (!e)
        return;
    srtp_mb_free(e->mb);
    free(e);
}

const char *cph_srtp_engine_name(const struct cph_srtp_engine *e)
{
    return e->mb ? srtp_mb_name(e->mb) : "OpenSSL";
}

bool cph_srtp_engine_has(const struct cph_srtp_engine *e, const struct cph_srtp_suite *suite)
{
    for (unsigned i = 0; srtp_suite_at(i); i++) {
        if (srtp_suite_at(i) == suite)
            return e->good >> i & 1;
    }
    return true; /* not of the table: a check's own row, which no name leads to */
}

cph_err srtp_single(struct cph_srtp_op *op)
{
    if (op->ctx->dir == CPH_SRTP_SEND)
        return op->rtcp ? cph_srtp_protect_rtcp(op->ctx, &op->pkt)
                        : cph_srtp_protect(op->ctx, &op->pkt);
    return op->rtcp ? cph_srtp_unprotect_rtcp(op->ctx, &op->pkt)
                    : cph_srtp_unprotect(op->ctx, &op->pkt);
}

void cph_srtp_batch(struct cph_srtp_engine *e, struct cph_srtp_op *ops, size_t n)
{
    if (e->mb) {
        srtp_mb_batch(e, ops, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        ops[i].err = ops[i].ctx->engine == e ? srtp_single(&ops[i]) : CPH_E_ARGUMENT;
}

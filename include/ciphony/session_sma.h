/*
 * Ciphony: SMA, the interface between the security manager and a security application outside:
 * digest now; PGP and CMS are further rows.
 */
#ifndef CPH_SESSION_SMA_H
#define CPH_SESSION_SMA_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"
#include "ciphony/session_verdict.h"

struct cph_sst;

/* The parts of a message a security application works on. */
struct cph_sma_msg {
    struct cph_span method, uri, body;
    const void *account;
};

/* One application. ctx comes from cph_sma.ctx. A NULL function: the scheme does not do that. */
struct cph_sma_ops {
    const char *scheme; /* as in WWW-Authenticate: "Digest" */
    /* Write the value of a WWW-Authenticate header. cover_body: ask for a proof over the body.
     * stale: the last proof was right but too old. One value per call: i = 0, 1, ... until
     * CPH_E_NOTFOUND. */
    cph_err (*challenge)(void *ctx, const char *realm, bool cover_body, bool stale, unsigned i,
                         cph_time now, struct cph_wr *out);
    /* Check the value of an Authorization header. Writes the proven user's name with a NUL.
     * CPH_E_AUTH: wrong; CPH_E_EXPIRED: right but too old (challenge again, stale); CPH_E_REPLAY.
     */
    cph_err (*verify)(void *ctx, const struct cph_sma_msg *msg, struct cph_span value,
                      const char *realm, const struct cph_sst *sst, cph_time now, char *user,
                      size_t user_cap, enum cph_peer_proof *proof);
    /* Answer one challenge: write the value of an Authorization header. rank: how good this
     * challenge is (higher is better), so that the manager answers the best. CPH_E_UNSUPPORTED: an
     * algorithm we do not do. *stale: the challenge says only the nonce was old. */
    cph_err (*rank)(void *ctx, struct cph_span challenge, unsigned *rank, struct cph_span *realm,
                    bool *stale);
    cph_err (*sign)(void *ctx, const struct cph_sma_msg *msg, struct cph_span challenge,
                    const struct cph_sst *sst, cph_time now, struct cph_wr *out);
    /* End-to-end encryption of the body; out takes the new body, type its Content-Type. */
    cph_err (*encrypt)(void *ctx, const struct cph_sma_msg *msg, const struct cph_sst *sst,
                       struct cph_wr *out, struct cph_wr *type);
    cph_err (*decrypt)(void *ctx, const struct cph_sma_msg *msg, struct cph_span type,
                       const struct cph_sst *sst, struct cph_wr *out, struct cph_wr *out_type);
};

struct cph_sma {
    const struct cph_sma_ops *ops;
    void *ctx;
};

#endif

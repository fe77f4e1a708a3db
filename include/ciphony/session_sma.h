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

enum {
    CPH_SMA_VALUES = 8,   /* header values looked at in one message */
    CPH_SMA_LINES = 4096, /* bytes of header lines an application writes at most */
    CPH_SMA_USER = 128,   /* bytes of a proven user's name with the NUL */
};

/* The parts of a message a security application works on. */
struct cph_sma_msg {
    struct cph_span method, uri, body;
    struct cph_span to_uri;
    const void *account;
};

/* What verify() found. */
struct cph_sma_proof {
    enum cph_peer_proof worth;
    char user[CPH_SMA_USER];
    bool stale; /* only too old: challenge again and say so */
};

/*
 * One application. ctx is that of struct cph_sma. A talk is what the application remembers of one
 * call: opened when first needed, closed when the call is forgotten. A NULL function: the scheme
 * does not do that. Header lines are whole: "Name: value\r\n".
 */
struct cph_sma_ops {
    const char *scheme; /* first word of the header values it understands: "Digest" */

    cph_err (*open)(void *ctx, const struct cph_sst *sst, void **talk);
    void (*close)(void *ctx, void *talk); /* NULL is fine */

    /* As the one who is asked. The challenges of a 401 (proxy false) or 407: CPH_OK: sign() can
     * answer; CPH_E_AUTH: our answer was refused; CPH_E_UNSUPPORTED, CPH_E_NOTFOUND: we cannot. */
    cph_err (*asked)(void *ctx, void *talk, const void *account, bool proxy,
                     const struct cph_span *values, unsigned n);
    /* Lines that prove a request of ours; writes none if nothing was asked. */
    cph_err (*sign)(void *ctx, void *talk, const struct cph_sma_msg *request, struct cph_wr *lines);
    /* A success came. values: its (Proxy-)Authentication-Info lines, proxy as above. CPH_E_AUTH:
     * the proof is wrong, the response is forged. *worth: what the peer proved. */
    cph_err (*answered)(void *ctx, void *talk, bool proxy, const struct cph_span *values,
                        unsigned n, struct cph_span body, enum cph_peer_proof *worth);

    /* As the one who asks. Lines of a 401 that ask for a proof, over the body too if cover_body. */
    cph_err (*challenge)(void *ctx, bool cover_body, bool stale, cph_time now,
                         struct cph_wr *lines);
    /* Check the Authorization values of a request. CPH_E_AUTH: none of them proves anybody. */
    cph_err (*verify_sign)(void *ctx, void *talk, const struct cph_sma_msg *request,
                           const struct cph_span *values, unsigned n, cph_time now,
                           struct cph_sma_proof *out);
    /* Lines for our success that prove us to the peer. */
    cph_err (*prove)(void *ctx, void *talk, struct cph_span body, struct cph_wr *lines);

    /* End-to-end encryption of a body: out takes the new one, type its Content-Type. */
    cph_err (*encrypt)(void *ctx, const struct cph_sma_msg *msg, const struct cph_sst *sst,
                       struct cph_wr *out, struct cph_wr *type);
    cph_err (*decrypt)(void *ctx, const struct cph_sma_msg *msg, struct cph_span type,
                       const struct cph_sst *sst, struct cph_wr *out, struct cph_wr *out_type);
};

struct cph_sma {
    const struct cph_sma_ops *ops;
    void *ctx;
};

/* ---- digest, the first row ------------------------------------------------------------------- */

/** Digest authentication (RFC 8760) as a security application. realm is copied; env outlives it.
 * One manager and thread. CPH_E_NOMEM and what identity_digest.h returns. */
CPH_API CPH_MUST_CHECK cph_err cph_sma_digest_new(const struct cph_env *env, const char *realm,
                                                  struct cph_sma *out);
CPH_API void cph_sma_digest_free(struct cph_sma *sma); /* after the manager; zeroed is fine */

#endif

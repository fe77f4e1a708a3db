/*
 * Ciphony: digest authentication, both ways. RFC 8760, RFC 7616, RFC 2617 (old peers), RFC 3261 22.
 *
 * Works on header values and writes whole header lines, so it needs no message codec. A client
 * answers challenges for one account; a server makes challenges whose nonces carry their own proof,
 * and verifies.
 */
#ifndef CPH_IDENTITY_DIGEST_H
#define CPH_IDENTITY_DIGEST_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"

/* Weakest first. */
enum cph_auth_alg {
    CPH_AUTH_MD5,
    CPH_AUTH_MD5_SESS,
    CPH_AUTH_SHA256,
    CPH_AUTH_SHA256_SESS,
    CPH_AUTH_SHA512_256,
    CPH_AUTH_SHA512_256_SESS,
    CPH_AUTH_N_ALGS
};

#define CPH_AUTH_BIT(alg) (1u << (alg))
#define CPH_AUTH_ALL      ((1u << CPH_AUTH_N_ALGS) - 1)
#define CPH_AUTH_NO_MD5                                                                            \
    (CPH_AUTH_ALL & ~(CPH_AUTH_BIT(CPH_AUTH_MD5) | CPH_AUTH_BIT(CPH_AUTH_MD5_SESS)))

enum cph_auth_qop { CPH_AUTH_QOP_NONE, CPH_AUTH_QOP_AUTH, CPH_AUTH_QOP_AUTH_INT };

enum {
    CPH_AUTH_VALUE_MAX = 4096,  /* bytes of one header value */
    CPH_AUTH_TEXT_MAX = 512,    /* bytes of a realm, nonce, opaque or user name we keep */
    CPH_AUTH_PARAMS_MAX = 32,   /* parameters of one header value */
    CPH_AUTH_REALMS_MAX = 8,    /* challenges a client answers in one request (proxies, server) */
    CPH_AUTH_NONCES_MAX = 1024, /* nonces in use a server remembers counts of, by default */
    CPH_AUTH_NC_WINDOW = 64,    /* nonce counts that may arrive out of order */
    CPH_AUTH_LIFETIME_S = 300,  /* seconds a nonce is good for, by default */
    CPH_AUTH_HEX_MAX = 64,      /* digits of the longest response */
};

CPH_API const char *cph_auth_alg_name(enum cph_auth_alg alg); /* "SHA-256"; "" out of range */
/** By its name, without case. CPH_E_UNSUPPORTED. */
CPH_API CPH_MUST_CHECK cph_err cph_auth_alg_find(struct cph_span name, enum cph_auth_alg *out);

/* ---- header values --------------------------------------------------------------------------- */

/* Quoted values are views between their quotes, escapes still in. They borrow from the value
 * parsed. */

/* WWW-Authenticate, Proxy-Authenticate */
struct cph_auth_challenge {
    struct cph_span realm, nonce, opaque, domain;
    bool has_opaque;
    enum cph_auth_alg alg; /* MD5 if not named (RFC 2617 3.2.1) */
    bool has_qop, qop_auth, qop_auth_int;
    bool stale;
};

/* Authorization, Proxy-Authorization */
struct cph_auth_response {
    struct cph_span username, realm, nonce, uri, response, cnonce, opaque;
    bool has_opaque;
    enum cph_auth_alg alg;
    bool has_alg;
    enum cph_auth_qop qop;
    uint32_t nc; /* 0 without qop */
};

/* Authentication-Info, Proxy-Authentication-Info */
struct cph_auth_info {
    struct cph_span nextnonce, rspauth, cnonce;
    enum cph_auth_qop qop;
    uint32_t nc;
};

/*
 * One value of the header each; what is found borrows from it. CPH_E_UNSUPPORTED: another scheme,
 * an algorithm or only qop values we do not know: ignore it (RFC 8760 2.4). CPH_E_MALFORMED: not
 * the grammar, a parameter twice, one that must be there missing. CPH_E_LIMIT. out is written on
 * CPH_OK only. Any thread.
 */

/** WWW-Authenticate, Proxy-Authenticate. RFC 7616 3.3 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_challenge_parse(struct cph_span value,
                                                        struct cph_auth_challenge *out);
/** (Proxy-)Authorization; the response is not checked: cph_auth_server_verify(). RFC 7616 3.4 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_response_parse(struct cph_span value,
                                                       struct cph_auth_response *out);
/** (Proxy-)Authentication-Info, which has no scheme; likewise cph_auth_client_info(). RFC 7616 3.5
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_info_parse(struct cph_span value,
                                                   struct cph_auth_info *out);

/* ---- credentials ----------------------------------------------------------------------------- */

/* A password, or H(username:realm:password) in lower-case hex for one algorithm (sess or not). */
struct cph_auth_secret {
    bool is_ha1;
    enum cph_auth_alg ha1_alg;
    struct cph_secret secret;
};

/** The HA1 to store instead of a password. CPH_E_CRYPTO, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_auth_ha1(enum cph_auth_alg alg, struct cph_span username,
                                            struct cph_span realm,
                                            const struct cph_secret *password,
                                            struct cph_auth_secret *out);

/* ---- client ---------------------------------------------------------------------------------- */

struct cph_auth_client_cfg {
    struct cph_span username;             /* plain bytes */
    struct cph_span realm;                /* empty: answer any; else only this one */
    const struct cph_auth_secret *secret; /* copied */
    unsigned algs;                        /* bits of algorithms to use; 0: all */
    bool prefer_auth_int;                 /* else auth-int only where auth is not offered */
};

struct cph_auth_client;
/** env outlives the client. CPH_E_NOMEM, CPH_E_LIMIT. One thread at a time, as all below. */
CPH_API CPH_MUST_CHECK cph_err cph_auth_client_new(const struct cph_auth_client_cfg *cfg,
                                                   const struct cph_env *env,
                                                   struct cph_auth_client **out);
CPH_API void cph_auth_client_free(struct cph_auth_client *c); /* wipes; NULL is fine */

/**
 * Take the challenges of a 401 (proxy false) or 407 (proxy true): every value of the header, in
 * order. Of each realm the strongest algorithm wins, the topmost among equals; what is not
 * understood is ignored.
 *
 * Returns CPH_OK: send the request again with cph_auth_client_authorize().
 *   CPH_E_AUTH         our answer to that realm was refused and it is not stale: the password is
 * wrong CPH_E_UNSUPPORTED  nothing there that we can answer (algorithm, scheme, realm, policy)
 *   CPH_E_LIMIT, CPH_E_NOMEM, and what env->random returns
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_client_challenge(struct cph_auth_client *c, bool proxy,
                                                         const struct cph_span *values, size_t n);
/** Are there challenges to answer, i.e. would authorize write anything? */
CPH_API bool cph_auth_client_ready(const struct cph_auth_client *c);
/**
 * Write "Authorization: ..." and "Proxy-Authorization: ..." lines, one for each realm known, CRLF
 * at each end. Counts nc up. uri is the Request-URI as sent, body the whole body. Writes nothing if
 * not ready. An ACK to a non-2xx takes the lines of its INVITE as they were (RFC 3261 22.1).
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_client_authorize(struct cph_auth_client *c,
                                                         struct cph_span method,
                                                         struct cph_span uri, struct cph_span body,
                                                         struct cph_wr *wr);
/**
 * Check what a success says in (Proxy-)Authentication-Info; uri as the request had it, body of the
 * response. CPH_OK: the server knows the secret too. CPH_E_NOTFOUND: it proved nothing. CPH_E_AUTH:
 * its proof is wrong: treat the response as forged. A nextnonce is taken over except on CPH_E_AUTH.
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_client_info(struct cph_auth_client *c, bool proxy,
                                                    struct cph_span value, struct cph_span uri,
                                                    struct cph_span body);
/** The request was accepted: a later challenge for the same realm is answered anew. */
CPH_API void cph_auth_client_accepted(struct cph_auth_client *c);

/* ---- server ---------------------------------------------------------------------------------- */

struct cph_auth_server_cfg {
    struct cph_span realm;         /* copied; plain bytes */
    const enum cph_auth_alg *algs; /* in order of preference, no two the same; NULL: SHA-256, MD5 */
    size_t n_algs;
    uint32_t lifetime_s; /* of a nonce; 0: CPH_AUTH_LIFETIME_S */
    size_t nonces;       /* remembered at most; 0: CPH_AUTH_NONCES_MAX */
    bool auth_int;       /* offer qop "auth,auth-int" */
    bool accept_no_qop;  /* clients of RFC 2543; each nonce then serves once */
};

struct cph_auth_server;
/** Nonces are made with a key drawn here, so none of an earlier server is known. env outlives it.
 * CPH_E_ARGUMENT: no realm or too long a one, no algorithm, or one twice. CPH_E_NOMEM, and what
 * env->random returns. */
CPH_API CPH_MUST_CHECK cph_err cph_auth_server_new(const struct cph_auth_server_cfg *cfg,
                                                   const struct cph_env *env,
                                                   struct cph_auth_server **out);
CPH_API void cph_auth_server_free(struct cph_auth_server *s); /* wipes; NULL is fine */

/** Write "WWW-Authenticate: ..." (proxy: "Proxy-Authenticate: ...") lines, one for each algorithm.
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_server_challenge(struct cph_auth_server *s, bool proxy,
                                                         bool stale, cph_time now,
                                                         struct cph_wr *wr);

/* Why a request is not authenticated. */
enum cph_auth_why {
    CPH_AUTH_WHY_OK,        /* the response is right */
    CPH_AUTH_WHY_NONE,      /* no credentials for this realm */
    CPH_AUTH_WHY_MALFORMED, /* the credentials are malformed */
    CPH_AUTH_WHY_ALGORITHM, /* an algorithm that was not offered */
    CPH_AUTH_WHY_QOP,       /* a quality of protection that was not offered */
    CPH_AUTH_WHY_NONCE,     /* a nonce that is not ours */
    CPH_AUTH_WHY_STALE,     /* the nonce is too old, the rest is right */
    CPH_AUTH_WHY_REPLAY,    /* the nonce count was used before */
    CPH_AUTH_WHY_SECRET,    /* the user is unknown, or the password wrong */
};

struct cph_auth_result {
    enum cph_auth_why why;
    bool stale; /* challenge again with stale=true: only the nonce is at fault */
    struct cph_auth_response response; /* borrows from the value; what the client said */
    /* RFC 8760 2.6 (6): does the uri in the credentials equal the Request-URI byte by byte? If not,
     * the caller accepts only if it is a URI it serves. */
    bool uri_matches;
    struct cph_secret ha1; /* for cph_auth_server_info(); wipe it */
};

/**
 * Find the secret of a user. CPH_E_NOTFOUND if there is none; the time must not tell. username and
 * realm are plain bytes (escapes undone).
 */
typedef cph_err cph_auth_lookup_fn(void *ctx, struct cph_span username, struct cph_span realm,
                                   struct cph_auth_secret *out);

/**
 * Verify a request by the values of its (Proxy-)Authorization header; those of other realms are
 * skipped. Compares in constant time; an unknown user costs what a wrong password costs. Nonce
 * counts move only when everything else is right. Do not call it for ACK and CANCEL, which cannot
 * be challenged.
 *
 * Returns CPH_OK with out->why OK; CPH_E_AUTH with the reason in out; CPH_E_NOMEM, CPH_E_CRYPTO, or
 * what lookup returned beside CPH_E_NOTFOUND.
 */
CPH_API CPH_MUST_CHECK cph_err cph_auth_server_verify(struct cph_auth_server *s,
                                                      const struct cph_span *values, size_t n,
                                                      struct cph_span method, struct cph_span uri,
                                                      struct cph_span body,
                                                      cph_auth_lookup_fn *lookup, void *ctx,
                                                      cph_time now, struct cph_auth_result *out);
/** Write an "Authentication-Info: ..." line (or Proxy-) with rspauth for a response to a verified
 * request; body is that of the response. Writes nothing for a client without qop. */
CPH_API CPH_MUST_CHECK cph_err cph_auth_server_info(const struct cph_auth_result *verified,
                                                    bool proxy, struct cph_span body,
                                                    struct cph_wr *wr);

#endif

/* Ciphony: what the DTLS-SRTP calls of one device share. */
#ifndef CPH_KEYING_DTLS_H
#define CPH_KEYING_DTLS_H

#include "ciphony/base.h"
#include "ciphony/crypto_key.h"

/*
 * The library's context, dear to make; and, if wished, the sessions of calls that were, so that a
 * further call between the same two needs no public-key operation (RFC 5246 7.3, RFC 5763 A.3).
 * A session is kept in memory only, for resume_s from the handshake that made it, 32 of them. It
 * stands for the certificate that was proven in that handshake, which must fit the fingerprint of
 * the new call as any other.
 *
 * The price: for as long as it is kept at either end, whoever takes it from there can read the
 * calls made with it; and its identifier, in clear, tells an onlooker that the same two talk.
 * That is why it is off unless asked for.
 */
struct cph_dtls;

enum { CPH_DTLS_RESUME_S = 600, CPH_DTLS_RESUME_MAX_S = 86400 };

struct cph_dtls_cfg {
    const struct cph_env *env;
    const struct cph_key *key; /* the device's, as in cph_keying_cfg */
    const struct cph_cert *cert;
    unsigned resume_s; /* 0: no call is made from another's keys */
};

/** CPH_E_CONFIG, CPH_E_NOMEM. Outlives every instance that names it. */
CPH_API CPH_MUST_CHECK cph_err cph_dtls_new(const struct cph_dtls_cfg *cfg, struct cph_dtls **out);
CPH_API void cph_dtls_free(struct cph_dtls *x); /* wipes what is kept; NULL is fine */
/** Forget what is out of date. */
CPH_API void cph_dtls_tick(struct cph_dtls *x, cph_time now);
CPH_API cph_time cph_dtls_deadline(const struct cph_dtls *x); /* CPH_TIME_NEVER */

#endif

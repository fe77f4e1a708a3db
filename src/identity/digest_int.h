/* Digest authentication: what its files share. */
#ifndef CPH_IDENTITY_DIGEST_INT_H
#define CPH_IDENTITY_DIGEST_INT_H

#include "ciphony/base_text.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/identity_digest.h"

struct auth_row {
    const char *name;
    enum cph_digest_alg hash;
    bool sess;
};
const struct auth_row *auth_row(enum cph_auth_alg alg);
/* The same hash, with or without -sess. */
bool auth_same_hash(enum cph_auth_alg a, enum cph_auth_alg b);

/* Text between quotes without its backslashes. CPH_E_LIMIT. */
struct auth_text {
    size_t n;
    uint8_t b[CPH_AUTH_TEXT_MAX];
};
cph_err auth_unquote(struct cph_span raw, struct auth_text *out);
struct cph_span auth_span(const struct auth_text *t);
/* Plain bytes as a quoted string. CR, LF and NUL fail the writer. */
void auth_wr_quoted(struct cph_wr *wr, struct cph_span plain);

/* All that a response or rspauth is computed from; texts without their escapes. */
struct auth_input {
    enum cph_auth_alg alg;
    enum cph_auth_qop qop;
    uint32_t nc;
    struct cph_span nonce, cnonce;
    struct cph_span method; /* empty for rspauth */
    struct cph_span uri;
    struct cph_span body;
};
/* H(A1) in hex. CPH_E_POLICY if the secret is a HA1 of another algorithm. */
cph_err auth_a1(const struct cph_auth_secret *secret, struct cph_span username,
                struct cph_span realm, const struct auth_input *in, struct cph_secret *ha1);
/* The digits and a NUL. */
cph_err auth_response(const struct cph_secret *ha1, const struct auth_input *in,
                      char out[CPH_AUTH_HEX_MAX + 1]);

const char *auth_qop_name(enum cph_auth_qop qop);

#endif

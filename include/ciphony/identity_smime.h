/* Ciphony: bodies of messages that only the peer can read and only the peer can have written.
 * S/MIME over whole bodies: RFC 3261 23, RFC 8551. */
#ifndef CPH_IDENTITY_SMIME_H
#define CPH_IDENTITY_SMIME_H

#include "ciphony/base.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_cms.h"

enum {
    CPH_SMIME_ID = 33,        /* 32 digits and a NUL */
    CPH_SMIME_BODY = 32768,   /* bytes of a body that is opened; of ours the half */
    CPH_SMIME_GROWS = 4096,   /* a sealed body is longer than its own by this much at most, without
                                 its certificates */
    CPH_SMIME_WINDOW_S = 300, /* a signature older, or from further ahead, is refused */
    CPH_SMIME_SEEN = 1024,    /* bodies remembered against replay */
    CPH_SMIME_TYPE = 80,      /* a Content-Type of ours, with its NUL */
};

/* Our keys, and what we have opened before. For all calls of one device; one thread. */
struct cph_smime;

struct cph_smime_cfg {
    const struct cph_env *env;
    const struct cph_key *key;     /* ours; EC or RSA. They outlive the object */
    const struct cph_cert *cert;   /* its certificate, which peers know */
    const struct cph_trust *trust; /* authorities that may vouch for a peer; NULL: none */
    enum cph_cms_cipher cipher;    /* of bodies we seal */
    unsigned seen;                 /* 0: CPH_SMIME_SEEN */
};

/** CPH_E_CONFIG if the certificate cannot be encrypted to, or is not the key's. CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_smime_new(const struct cph_smime_cfg *cfg,
                                             struct cph_smime **out);
CPH_API void cph_smime_free(struct cph_smime *s); /* NULL is fine */

/** Is this the type of a sealed body? */
CPH_API bool cph_smime_is(struct cph_span content_type);

/**
 * Sign a body, and encrypt it to a certificate. content_type is that of the body. answers: the id
 * of the body that this one answers, or NULL. type gets the Content-Type of what is written to out,
 * id the name of this body. The length of what comes out differs by the signature. CPH_E_CERT if
 * nothing can be encrypted to that certificate; CPH_E_LIMIT, CPH_E_NOSPACE, CPH_E_CRYPTO,
 * CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_smime_seal(struct cph_smime *s, const struct cph_cert *to,
                                              struct cph_span content_type, struct cph_span body,
                                              const char *answers, char type[CPH_SMIME_TYPE],
                                              char id[CPH_SMIME_ID], struct cph_wr *out);

/* Who says that the signer is the peer. */
enum cph_smime_by {
    CPH_SMIME_BY_NOBODY,
    CPH_SMIME_BY_AUTHORITY, /* its certificate chains to an anchor and names the peer's address */
    CPH_SMIME_BY_PIN,       /* it is the certificate that was known beforehand */
};

/* Whom a body should come from. */
struct cph_smime_from {
    const struct cph_cert *cert;   /* known beforehand: then it is this one and no other. Or NULL */
    struct cph_span uri;           /* the peer's address, for authorities */
    const struct cph_trust *trust; /* who may vouch for it; NULL: cfg.trust */
    const char *answers;           /* the id that it must answer; NULL: it must answer none */
    const char *again; /* an id that may come again (a refresh repeats the last offer); or NULL */
};

/* What was in it. Holds keys: wipe it. */
struct cph_smime_opened {
    struct cph_span type, body; /* views of bytes */
    char id[CPH_SMIME_ID];
    enum cph_smime_by by;
    struct cph_cert *cert; /* the signer's */
    uint8_t *bytes;        /* CPH_SMIME_BODY of them, or NULL */
};

CPH_API void cph_smime_opened_wipe(struct cph_smime_opened *o);

/**
 * Open a body: decrypt, verify, and see that it is from this peer, for us, new, and an answer to
 * what it should answer. CPH_E_UNSUPPORTED: not a sealed body; CPH_E_AUTH: it cannot be decrypted,
 * was not signed, or was changed; CPH_E_CERT: signed by somebody else, whose certificate is in
 * out->cert then; CPH_E_POLICY: made for
 * somebody else, or answers something else; CPH_E_EXPIRED; CPH_E_REPLAY; CPH_E_LIMIT. Which it was
 * is for the user: the peer is told one thing (SIP: 493).
 */
CPH_API CPH_MUST_CHECK cph_err cph_smime_open(struct cph_smime *s,
                                              const struct cph_smime_from *from,
                                              struct cph_span content_type, struct cph_span body,
                                              struct cph_smime_opened *out);

#endif

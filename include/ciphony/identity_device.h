/* Ciphony: the own device, and the peers' devices the user knows. A device is its certificate. */
#ifndef CPH_IDENTITY_DEVICE_H
#define CPH_IDENTITY_DEVICE_H

#include "ciphony/base.h"
#include "ciphony/crypto_key.h"

struct cph_store;

enum {
    CPH_PEER_MAX = 256, /* bytes of a peer's name with the NUL */
};

/* ---- the own device ------------------------------------------------------------------------- */

struct cph_device;

/**
 * The device of this store, made on first use: an ECDSA P-256 key and a self-signed certificate.
 * The only place where the long-term private key is read. *made (may be NULL): whether it is new.
 * Two processes that make it at once end up with the same one. CPH_E_STORE (see cph_store_why()),
 * CPH_E_CRYPTO, CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_device_open(struct cph_store *store, const struct cph_env *env,
                                               struct cph_device **out, bool *made);
CPH_API void cph_device_free(struct cph_device *d); /* NULL is fine */
/** Owned by d. */
CPH_API const struct cph_key *cph_device_key(const struct cph_device *d);
CPH_API const struct cph_cert *cph_device_cert(const struct cph_device *d);
/** SHA-256 over the certificate, RFC 8122 5. */
CPH_API const struct cph_fingerprint *cph_device_fingerprint(const struct cph_device *d);

/* ---- the peers' devices --------------------------------------------------------------------- */

enum cph_pin_how {
    CPH_PIN_SEEN,   /* the peer used it before; nobody compared it */
    CPH_PIN_PINNED, /* the user named it */
    CPH_PIN_PAIRED, /* both devices proved it to each other */
};

struct cph_pin {
    char peer[CPH_PEER_MAX];   /* as cph_peer_name() writes it */
    struct cph_fingerprint fp; /* sha-256 or better */
    enum cph_pin_how how;
    char by[CPH_PEER_MAX]; /* who or what added it, in words */
    int64_t since;         /* wall clock seconds */
};

/**
 * The one spelling of a peer under which pins are kept: "sip:user@host[:port]". "sips:" and a
 * missing scheme become "sip:"; the host is in lower case; parameters, headers and a password are
 * dropped; escapes of characters that need none are undone (RFC 3261 19.1.4). CPH_E_MALFORMED,
 * CPH_E_LIMIT. out takes CPH_PEER_MAX bytes.
 */
CPH_API CPH_MUST_CHECK cph_err cph_peer_name(struct cph_span uri, char *out);

/** Add or replace. peer is normalised. CPH_E_MALFORMED (the peer's name), CPH_E_POLICY (a hash that
 * vouches for nothing: sha-1), CPH_E_STORE. */
CPH_API CPH_MUST_CHECK cph_err cph_pins_add(struct cph_store *store, const struct cph_env *env,
                                            struct cph_span peer, const struct cph_fingerprint *fp,
                                            enum cph_pin_how how, const char *by);
/** Remove one, or with fp NULL all of the peer. CPH_E_NOTFOUND. n (may be NULL): how many. */
CPH_API CPH_MUST_CHECK cph_err cph_pins_remove(struct cph_store *store, struct cph_span peer,
                                               const struct cph_fingerprint *fp, size_t *n);
typedef cph_err cph_pins_fn(void *arg, const struct cph_pin *pin);
/** Every pin, or those of one peer (an empty span: all). */
CPH_API CPH_MUST_CHECK cph_err cph_pins_each(struct cph_store *store, struct cph_span peer,
                                             cph_pins_fn *fn, void *arg);

enum cph_pin_result {
    CPH_PIN_UNKNOWN,  /* nothing is kept about this peer */
    CPH_PIN_MATCH,    /* this certificate is kept; how says what that is worth */
    CPH_PIN_MISMATCH, /* others are kept, not this one: say so loudly, do not add it */
};

struct cph_pin_check {
    enum cph_pin_result result;
    enum cph_pin_how how; /* MATCH: of the match. MISMATCH: the strongest of those kept */
    int64_t since;        /* of the same */
};

/**
 * What is known of this peer using this certificate. Only a MATCH that is PINNED or PAIRED
 * authenticates. Writes nothing. An error is not "unknown": treat it as a mismatch.
 */
CPH_API CPH_MUST_CHECK cph_err cph_pins_check(struct cph_store *store, struct cph_span peer,
                                              const struct cph_cert *cert,
                                              struct cph_pin_check *out);
/** The same with a fingerprint in place of the certificate. Pins with another hash cannot be
 * compared with it and count as others: prefer cph_pins_check() where the certificate is at hand.
 */
CPH_API CPH_MUST_CHECK cph_err cph_pins_check_fp(struct cph_store *store, struct cph_span peer,
                                                 const struct cph_fingerprint *fp,
                                                 struct cph_pin_check *out);

#endif

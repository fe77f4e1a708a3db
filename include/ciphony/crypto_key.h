/* Ciphony: key pairs, certificates, fingerprints, names and trust. */
#ifndef CPH_CRYPTO_KEY_H
#define CPH_CRYPTO_KEY_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

/*
 * Everything here is made by OpenSSL's libcrypto. Where a function takes an env, the library's own
 * error queue is emptied into env's debug log; env may be NULL, then it is only emptied. Key
 * generation and signing draw from OpenSSL's own generator, not from env->random.
 * Keys and certificates are immutable and counted: any thread may hold a reference of its own.
 */

enum {
    CPH_CERT_DER_MAX = 16384,  /* bytes of one certificate we look at */
    CPH_CERT_CHAIN_MAX = 8,    /* certificates behind the leaf */
    CPH_CERT_NAMES_MAX = 64,   /* subjectAltName entries we look at */
    CPH_CERT_WHY = 160,        /* a reason in words, with its NUL */
    CPH_CERT_TEXT = 256,       /* a name in words, with its NUL */
    CPH_KEY_SIG_MAX = 1024,    /* bytes of the largest signature we make */
    CPH_KEY_PUBLIC_MAX = 2304, /* bytes of the largest SubjectPublicKeyInfo */
};

/* ---- randomness of the real environment ------------------------------------------------------ */

/** For cph_env.random: the system's generator through libcrypto; ctx is not used. Any thread. */
CPH_API CPH_MUST_CHECK cph_err cph_crypto_random(void *ctx, void *buf, size_t n);
/** Empty OpenSSL's error queue into the debug log, one line each. env may be NULL. */
CPH_API void cph_crypto_drain(const struct cph_env *env);

/* ---- keys ------------------------------------------------------------------------------------ */

struct cph_key;

enum cph_key_kind { CPH_KEY_EC_P256, CPH_KEY_EC_P384, CPH_KEY_RSA, CPH_KEY_ED25519 };

enum cph_sig {
    CPH_SIG_ECDSA,     /* DER (RFC 3279 2.2.3); SHA-256 for P-256, SHA-384 for P-384 */
    CPH_SIG_ECDSA_RAW, /* r || s (RFC 7518 3.4), the same digests */
    CPH_SIG_RSA_PKCS1, /* SHA-256, RFC 8017 8.2 */
    CPH_SIG_RSA_PSS,   /* SHA-256, salt 32, RFC 8017 8.1 */
    CPH_SIG_ED25519,   /* RFC 8032 */
};

/** A new key pair. RSA is 3072 bits. One public-key operation; call outside of the packet path. */
CPH_API CPH_MUST_CHECK cph_err cph_key_generate(const struct cph_env *env, enum cph_key_kind kind,
                                                struct cph_key **out);
/** A private key as PEM (PKCS#8, SEC 1 or PKCS#1) or DER, without a password. The first in a PEM
 * file. CPH_E_MALFORMED, CPH_E_UNSUPPORTED (kind, RSA below 2048 or above 8192 bits), CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_key_load(const struct cph_env *env, struct cph_span bytes,
                                            struct cph_key **out);
/** A public key as SubjectPublicKeyInfo, DER or PEM; it can only verify. */
CPH_API CPH_MUST_CHECK cph_err cph_key_load_public(const struct cph_env *env, struct cph_span bytes,
                                                   struct cph_key **out);
CPH_API struct cph_key *cph_key_ref(const struct cph_key *key); /* one more owner; cannot fail */
CPH_API void cph_key_free(struct cph_key *key);                 /* NULL is fine */
CPH_API enum cph_key_kind cph_key_kind(const struct cph_key *key);
CPH_API const char *cph_key_kind_name(enum cph_key_kind kind); /* "ECDSA P-256" */
CPH_API bool cph_key_is_private(const struct cph_key *key);
CPH_API bool cph_key_eq(const struct cph_key *a, const struct cph_key *b); /* the public halves */

/** PKCS#8, for the store; wiped by the caller. RSA does not fit (CPH_E_NOSPACE) and is loaded from
 * the operator's file each time. CPH_E_ARGUMENT for a public key. */
CPH_API CPH_MUST_CHECK cph_err cph_key_private_der(const struct cph_env *env,
                                                   const struct cph_key *key,
                                                   struct cph_secret *out);
/** The same as PEM text (RFC 7468 10), without a NUL. Errors as above. */
CPH_API CPH_MUST_CHECK cph_err cph_key_private_pem(const struct cph_env *env,
                                                   const struct cph_key *key,
                                                   struct cph_secret *out);
/** SubjectPublicKeyInfo, DER. CPH_E_NOSPACE. */
CPH_API CPH_MUST_CHECK cph_err cph_key_public_der(const struct cph_key *key, uint8_t *out,
                                                  size_t cap, size_t *n);

/** Sign msg (hashed here). CPH_E_ARGUMENT if the key is public or of another kind, CPH_E_NOSPACE
 *  (CPH_KEY_SIG_MAX always suffices), CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_key_sign(const struct cph_env *env, const struct cph_key *key,
                                            enum cph_sig sig, struct cph_span msg, uint8_t *out,
                                            size_t cap, size_t *n);
/** CPH_OK, CPH_E_AUTH for any signature that is not right, however it is broken. */
CPH_API CPH_MUST_CHECK cph_err cph_key_verify(const struct cph_env *env, const struct cph_key *key,
                                              enum cph_sig sig, struct cph_span msg,
                                              struct cph_span signature);

/* ---- fingerprints, RFC 8122 ------------------------------------------------------------------ */

/* In order of strength; only those from SHA256 on ever suffice. */
enum cph_fp_hash { CPH_FP_NONE, CPH_FP_SHA1, CPH_FP_SHA256, CPH_FP_SHA384, CPH_FP_SHA512 };

enum { CPH_FP_MAX = 64, CPH_FP_TEXT = 8 + 3 * 64 };

struct cph_fingerprint {
    enum cph_fp_hash hash;
    uint8_t n; /* 20, 32, 48 or 64 */
    uint8_t b[CPH_FP_MAX];
};

CPH_API const char *cph_fp_hash_name(enum cph_fp_hash hash); /* "sha-256" */
CPH_API bool cph_fp_hash_suffices(enum cph_fp_hash hash);    /* sha-256 or better */
/** "sha-256 4A:AD:...": RFC 8122 5. Hash name and hex without case (old peers send lower case).
 *  CPH_E_UNSUPPORTED for a hash we do not know (skip that line), CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_fingerprint_parse(struct cph_span text,
                                                     struct cph_fingerprint *out);
/** The same text, upper case, NUL-terminated. Returns out. */
CPH_API const char *cph_fingerprint_text(const struct cph_fingerprint *fp, char out[CPH_FP_TEXT]);
CPH_API bool cph_fingerprint_eq(const struct cph_fingerprint *a, const struct cph_fingerprint *b);

/* ---- certificates ---------------------------------------------------------------------------- */

/* A leaf and the certificates that came behind it. */
struct cph_cert;

enum cph_cert_name_kind { CPH_NAME_URI, CPH_NAME_DNS, CPH_NAME_EMAIL, CPH_NAME_IP };

/* One subjectAltName entry; for IP, text is its 4 or 16 bytes in network order. */
struct cph_cert_name {
    enum cph_cert_name_kind kind;
    struct cph_span text;
};

struct cph_cert_spec {
    const char *cn;                  /* subject and issuer, UTF-8; NULL: "ciphony" */
    const struct cph_cert_name *san; /* may be NULL */
    size_t n_san;
    int64_t not_before, not_after; /* wall seconds since 1970 */
};

/** A self-signed certificate (v3, no CA, digitalSignature and keyAgreement or keyEncipherment) for
 * key; serial from env->random. Signed with SHA-256 (P-384: SHA-384). CPH_E_ARGUMENT, CPH_E_CRYPTO,
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_self_signed(const struct cph_env *env,
                                                    const struct cph_key *key,
                                                    const struct cph_cert_spec *spec,
                                                    struct cph_cert **out);
/** The same for the public half of key, signed by an authority with its key. The chain is not put
 *  behind it. issuer NULL: an authority's own (CA, keyCertSign), for issuer_key. CPH_E_ARGUMENT
 * also if issuer_key is not issuer's. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_issue(
    const struct cph_env *env, const struct cph_key *issuer_key, const struct cph_cert *issuer,
    const struct cph_key *key, const struct cph_cert_spec *spec, struct cph_cert **out);
/** One DER certificate (nothing behind it), or PEM: leaf first, then its chain; other PEM blocks
 * and text between are skipped. CPH_E_MALFORMED, CPH_E_LIMIT, CPH_E_NOMEM. Proves nothing about
 * trust. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_parse(const struct cph_env *env, struct cph_span bytes,
                                              struct cph_cert **out);
CPH_API struct cph_cert *cph_cert_ref(const struct cph_cert *cert); /* one more owner */
CPH_API void cph_cert_free(struct cph_cert *cert);                  /* NULL is fine */
/** The leaf's DER; lives as long as cert. */
CPH_API struct cph_span cph_cert_der(const struct cph_cert *cert);
/** Leaf and chain as PEM. *n without the NUL that follows. CPH_E_NOSPACE. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_pem(const struct cph_cert *cert, char *out, size_t cap,
                                            size_t *n);
CPH_API bool cph_cert_eq(const struct cph_cert *a,
                         const struct cph_cert *b); /* leaf, byte for byte */
CPH_API bool cph_cert_has_key(const struct cph_cert *cert, const struct cph_key *key);
/** The leaf's public key; a new reference. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_key(const struct cph_env *env, const struct cph_cert *cert,
                                            struct cph_key **out);
/** How many certificates came behind the leaf. A server that shows none of them is trusted only by
 * those who hold its issuer as an anchor. */
CPH_API size_t cph_cert_chain_n(const struct cph_cert *cert);
CPH_API bool cph_cert_is_self_issued(const struct cph_cert *cert); /* issuer name == subject name */

/** Subject or issuer in one line (RFC 2253), cut at CPH_CERT_TEXT, control characters escaped. */
CPH_API const char *cph_cert_subject(const struct cph_cert *cert, char out[CPH_CERT_TEXT]);
CPH_API const char *cph_cert_issuer(const struct cph_cert *cert, char out[CPH_CERT_TEXT]);

/** The hash over the leaf's DER (RFC 8122 5). CPH_E_ARGUMENT for CPH_FP_NONE, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_fingerprint(const struct cph_cert *cert,
                                                    enum cph_fp_hash hash,
                                                    struct cph_fingerprint *out);
/** The hash of the signature on the certificate, CPH_FP_NONE if it is none of ours. RFC 8122 5.1.
 */
CPH_API enum cph_fp_hash cph_cert_signature_hash(const struct cph_cert *cert);
/**
 * Does cert match what was promised? Of the fingerprints given, the set with the strongest hash
 * counts and one of it must match (RFC 8122 5.1). CPH_OK and *hash (may be NULL) the hash that
 * matched; CPH_E_CERT if none matches; CPH_E_POLICY if sha-1 is all there is; CPH_E_NOTFOUND if n
 * is 0.
 */
CPH_API CPH_MUST_CHECK cph_err cph_cert_match(const struct cph_cert *cert,
                                              const struct cph_fingerprint *fps, size_t n,
                                              enum cph_fp_hash *hash);

/** notBefore and notAfter, wall seconds since 1970 (both inclusive). */
CPH_API void cph_cert_validity(const struct cph_cert *cert, int64_t *not_before,
                               int64_t *not_after);
/** CPH_OK, or CPH_E_EXPIRED: before notBefore or after notAfter at wall seconds. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_in_time(const struct cph_cert *cert, int64_t wall);

/** subjectAltName entry i; false past the last. Entries of other kinds are left out, and so are
 * those with a NUL in the text. */
CPH_API bool cph_cert_name(const struct cph_cert *cert, size_t i, struct cph_cert_name *out);

/** SIP domain identity i of the leaf (RFC 5922 7.1: "sip:" URIs without userpart; only if there is
 * none, DNS names; only if there is no subjectAltName at all, CNs that are DNS names). false past
 * the last. */
CPH_API bool cph_cert_sip_domain(const struct cph_cert *cert, size_t i, struct cph_span *out);
/** CPH_OK if domain is one of them: whole name, without case, no wildcard, no suffix (RFC
 * 5922 7.2). CPH_E_CERT if not. An IP literal matches an IP entry only. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_is_domain(const struct cph_cert *cert,
                                                  struct cph_span domain);
/** CPH_OK if a URI entry names this user ("sip:alice@example.org" without case in scheme and host).
 */
CPH_API CPH_MUST_CHECK cph_err cph_cert_is_user(const struct cph_cert *cert,
                                                struct cph_span sip_uri);

/* ---- whom to trust --------------------------------------------------------------------------- */

/* A set of anchors. Fill it, then share it as const between threads. */
struct cph_trust;

/** An empty set: it trusts nobody. CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_trust_new(struct cph_trust **out);
CPH_API struct cph_trust *cph_trust_ref(const struct cph_trust *trust); /* one more owner */
CPH_API void cph_trust_free(struct cph_trust *trust);                   /* NULL is fine */
/** The leaf of cert becomes an anchor, self-signed or not. */
CPH_API CPH_MUST_CHECK cph_err cph_trust_add(struct cph_trust *trust, const struct cph_cert *cert);
/** Every certificate of a PEM text. *n (may be NULL) how many. CPH_E_MALFORMED if there is none. */
CPH_API CPH_MUST_CHECK cph_err cph_trust_add_pem(const struct cph_env *env, struct cph_trust *trust,
                                                 struct cph_span pem, size_t *n);
/** A PEM file, or a directory with names by hash (as /etc/ssl/certs). OpenSSL reads it: for
 * start-up, not for engines. CPH_E_CONFIG if it cannot be read. */
CPH_API CPH_MUST_CHECK cph_err cph_trust_add_path(const struct cph_env *env,
                                                  struct cph_trust *trust, const char *path);

enum cph_cert_purpose { CPH_PURPOSE_ANY, CPH_PURPOSE_TLS_SERVER, CPH_PURPOSE_TLS_CLIENT };

/**
 * Path validation (RFC 5280) of the leaf through its chain to an anchor, at wall seconds.
 * An extendedKeyUsage, where there is one, must allow the purpose or id-kp-sipDomain (RFC 5924).
 * why gets the reason in words, or "". CPH_OK, CPH_E_EXPIRED, CPH_E_CERT, CPH_E_NOMEM.
 * Names are not looked at: cph_cert_is_domain().
 */
CPH_API CPH_MUST_CHECK cph_err cph_cert_verify(const struct cph_env *env,
                                               const struct cph_cert *cert,
                                               const struct cph_trust *trust,
                                               enum cph_cert_purpose purpose, int64_t wall,
                                               char why[CPH_CERT_WHY]);

#endif

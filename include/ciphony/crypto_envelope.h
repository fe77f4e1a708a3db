/* Ciphony: RSA encryption of short keys, AES key wrap, and the signatures of old. For MIKEY. */
#ifndef CPH_CRYPTO_ENVELOPE_H
#define CPH_CRYPTO_ENVELOPE_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"
#include "ciphony/crypto_key.h"

/* ---- RSA encryption -------------------------------------------------------------------------- */

enum cph_rsa_padding {
    CPH_RSA_PKCS1, /* RFC 8017 7.2, what RFC 3830 4.2.5 makes mandatory */
    CPH_RSA_OAEP,  /* RFC 8017 7.1 with SHA-1, which is its default */
};

enum { CPH_RSA_MAX = 1024 }; /* bytes of the largest ciphertext */

/** Encrypt a short secret to an RSA key (public suffices). *n bytes to out, which has cap.
 *  CPH_E_ARGUMENT for a key of another kind; CPH_E_NOSPACE; CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_rsa_encrypt(const struct cph_env *env, const struct cph_key *key,
                                               enum cph_rsa_padding padding,
                                               const struct cph_secret *in, uint8_t *out,
                                               size_t cap, size_t *n);
/**
 * Decrypt with a private RSA key. Whatever the ciphertext, *out becomes a secret: its own, if it
 * was good and has min to CPH_SECRET_MAX bytes, or else min random ones of env. What was encrypted
 * must be proved by a MAC under a key made of it: a caller cannot tell anybody what was wrong, so
 * nobody learns about the padding (RFC 3218 2.3.2). CPH_E_ARGUMENT for a key of another kind.
 */
CPH_API CPH_MUST_CHECK cph_err cph_rsa_decrypt(const struct cph_env *env, const struct cph_key *key,
                                               enum cph_rsa_padding padding, struct cph_span in,
                                               size_t min, struct cph_secret *out);

/* ---- ECIES (SEC 1 5.1) ------------------------------------------------------------------------
 *
 * The same for elliptic curves, with: P-256 or P-384, HKDF with SHA-256 over the common X, the
 * secret under XOR, HMAC-SHA-256 of 32 bytes. The context of the derivation is the point sent and
 * the recipient's.
 *
 *   | 4 | X | Y |  secret  | tag 32 |
 */

enum { CPH_ECIES_MORE = 1 + 96 + 32 }; /* at most so many bytes longer than the secret */

/** Is it a key that can receive so? Private or not. */
CPH_API bool cph_ecies_fits(const struct cph_key *key);
/** As cph_rsa_encrypt(). */
CPH_API CPH_MUST_CHECK cph_err cph_ecies_encrypt(const struct cph_env *env,
                                                 const struct cph_key *key,
                                                 const struct cph_secret *in, uint8_t *out,
                                                 size_t cap, size_t *n);
/** CPH_E_MALFORMED, CPH_E_AUTH; CPH_E_ARGUMENT for a key of another kind. */
CPH_API CPH_MUST_CHECK cph_err cph_ecies_decrypt(const struct cph_key *key, struct cph_span in,
                                                 struct cph_secret *out);

/* ---- one-pass MQV (SP 800-56A 6.2.1.4) --------------------------------------------------------
 *
 * Both have a lasting key, P-256 or P-384 alike; who begins makes a pair for this exchange and
 * sends its public value (cph_agree_public_size() bytes). The 32 bytes that come out are known to
 * the holders of the two keys alone: HKDF with SHA-256 over the common X, and the three public
 * values.
 */

/** CPH_E_ARGUMENT for keys that do not fit each other, or without their private half. */
CPH_API CPH_MUST_CHECK cph_err cph_mqv_begin(const struct cph_env *env, const struct cph_key *ours,
                                             const struct cph_key *peer, uint8_t *value, size_t *n,
                                             struct cph_secret *out);
/** CPH_E_MALFORMED for a value that is none; CPH_E_ARGUMENT as above. */
CPH_API CPH_MUST_CHECK cph_err cph_mqv_finish(const struct cph_key *ours,
                                              const struct cph_key *peer, struct cph_span value,
                                              struct cph_secret *out);

/* ---- AES key wrap (RFC 3394) ----------------------------------------------------------------- */

enum { CPH_WRAP_MORE = 8 }; /* bytes a wrapped key is longer */

/** Wrap n bytes (16 or more, a multiple of 8) under a key of 16, 24 or 32 bytes; out takes 8 more.
 *  iv: the initial value, NULL for that of RFC 3394 2.2.3.1. CPH_E_ARGUMENT, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_wrap(struct cph_span key, const uint8_t *iv,
                                            struct cph_span in, uint8_t *out);
/** The reverse; in.n - 8 bytes to out. CPH_E_AUTH if it was not wrapped under this key and iv;
 *  CPH_E_ARGUMENT for a length that no wrapped key has. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_unwrap(struct cph_span key, const uint8_t *iv,
                                              struct cph_span in, uint8_t *out);

/* ---- signatures ------------------------------------------------------------------------------ */

/** Bytes of a signature with this key: exactly for RSA and raw ECDSA, at most for others; 0 if sig
 * is not for such a key. */
CPH_API size_t cph_key_sig_size(const struct cph_key *key, enum cph_sig sig);

/* ---- signatures over SHA-1 ------------------------------------------------------------------- */

/* RSA over SHA-1, which nobody should rely on: for peers of another age, by explicit policy only.
 * sig: CPH_SIG_RSA_PKCS1 or CPH_SIG_RSA_PSS (salt 20); CPH_E_ARGUMENT for another, or another key.
 */

/** As cph_key_sign(), with its errors. */
CPH_API CPH_MUST_CHECK cph_err cph_key_sign_sha1(const struct cph_env *env,
                                                 const struct cph_key *key, enum cph_sig sig,
                                                 struct cph_span msg, uint8_t *out, size_t cap,
                                                 size_t *n);
/** As cph_key_verify(): CPH_E_AUTH for any signature that is not right. */
CPH_API CPH_MUST_CHECK cph_err cph_key_verify_sha1(const struct cph_env *env,
                                                   const struct cph_key *key, enum cph_sig sig,
                                                   struct cph_span msg, struct cph_span signature);

#endif

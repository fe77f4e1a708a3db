/* Ciphony: two sides agree on a secret: Diffie-Hellman over primes and curves. And AES in CFB. */
#ifndef CPH_CRYPTO_AGREE_H
#define CPH_CRYPTO_AGREE_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

/* Which groups count for anything is the caller's policy: MODP_1024 and MODP_1536 are here because
 * protocols name them. */
enum cph_agree_group {
    CPH_AGREE_MODP_1024, /* RFC 2409 6.2 */
    CPH_AGREE_MODP_1536, /* RFC 3526 2 */
    CPH_AGREE_MODP_2048, /* RFC 3526 3 */
    CPH_AGREE_MODP_3072, /* RFC 3526 4 */
    CPH_AGREE_MODP_4096, /* RFC 3526 5 */
    CPH_AGREE_P256,      /* RFC 5114 2.6, as SP 800-56A has it */
    CPH_AGREE_P384,
    CPH_AGREE_P521,
    CPH_AGREE_X25519, /* RFC 7748 */
    CPH_AGREE_X448,
    CPH_AGREE_COUNT_
};

enum { CPH_AGREE_PUBLIC_MAX = 512 };

/**
 * Bytes of a public value and of the secret that comes out; 0 if there is no such group. Primes:
 * both as long as the prime, leading zeros kept. P-curves: X and Y, each as long as the field,
 * without the octet before them that SEC 1 has; the secret is the X alone. X-curves: RFC 7748.
 */
CPH_API size_t cph_agree_public_size(enum cph_agree_group group);
CPH_API size_t cph_agree_secret_size(enum cph_agree_group group);

/**
 * A fresh private value from env's randomness, and its public value (cph_agree_public_size bytes).
 * exponent_n: bytes of the private exponent of a prime group, 32 up to the prime's size, 0 for 32;
 * not looked at for curves. CPH_E_ARGUMENT, CPH_E_NOMEM, CPH_E_CRYPTO. Any thread.
 */
CPH_API CPH_MUST_CHECK cph_err cph_agree_make(const struct cph_env *env, enum cph_agree_group group,
                                              size_t exponent_n, struct cph_secret *private_value,
                                              uint8_t *public_value);
/** The public value of a private one. Errors as above. */
CPH_API CPH_MUST_CHECK cph_err cph_agree_public(enum cph_agree_group group,
                                                const struct cph_secret *private_value,
                                                uint8_t *public_value);
/**
 * The secret that the private value and the peer's public value make. CPH_E_MALFORMED if the public
 * value is not one: of another length; 0, 1, p-1 or more; not on the curve; or a point of small
 * order, whose secret would be zero. Costs one exponentiation; the checks come before it where they
 * can.
 */
CPH_API CPH_MUST_CHECK cph_err cph_agree_derive(enum cph_agree_group group,
                                                const struct cph_secret *private_value,
                                                struct cph_span peer, struct cph_secret *out);

/**
 * Elliptic Curve MQV (SP 800-56A 5.7.2.3, SEC 1 3.4), for the P-curves: the secret that two pairs
 * of each side make. A side without a pair for this exchange says its lasting one twice (one-pass
 * MQV). Values as above; ours_now is the public value of now. CPH_E_ARGUMENT for another group,
 * CPH_E_MALFORMED for a public value that is none, or a secret of nothing.
 */
CPH_API CPH_MUST_CHECK cph_err cph_agree_mqv(enum cph_agree_group group,
                                             const struct cph_secret *lasting,
                                             const struct cph_secret *now, struct cph_span ours_now,
                                             struct cph_span peer_lasting, struct cph_span peer_now,
                                             struct cph_secret *out);

/**
 * AES in cipher feedback mode with 128 bits of feedback (SP 800-38A 6.3); the last block may be
 * short. key is 16, 24 or 32 bytes. out may be in. CPH_E_ARGUMENT, CPH_E_NOMEM, CPH_E_CRYPTO.
 */
CPH_API CPH_MUST_CHECK cph_err cph_aes_cfb(bool encrypt, struct cph_span key, const uint8_t iv[16],
                                           const uint8_t *in, uint8_t *out, size_t n);

#endif

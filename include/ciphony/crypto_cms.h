/* Ciphony: CMS (RFC 5652, 5083, 5084, 5753): sign, encrypt, decrypt, verify. For S/MIME bodies. */
#ifndef CPH_CRYPTO_CMS_H
#define CPH_CRYPTO_CMS_H

#include "ciphony/base.h"
#include "ciphony/crypto_key.h"

enum {
    CPH_CMS_MAX = 65536,    /* bytes of a message, and of what is in it */
    CPH_CMS_CERTS_MAX = 16, /* certificates of one message that we look at */
};

enum cph_cms_cipher {
    CPH_CMS_AES256_GCM, /* AuthEnvelopedData */
    CPH_CMS_AES128_GCM,
    CPH_CMS_AES256_CBC, /* EnvelopedData: RFC 3853 asks for it; the signature inside is its only MAC
                         */
    CPH_CMS_AES128_CBC,
};

/**
 * Sign bytes and put them into a SignedData, with the certificate and its chain, SHA-256 (P-384:
 * SHA-384), and wall as the signing time. *n bytes of DER to out, which has cap. CPH_E_ARGUMENT for
 * a public key, or one that is not the certificate's; CPH_E_NOSPACE, CPH_E_LIMIT, CPH_E_CRYPTO.
 */
CPH_API CPH_MUST_CHECK cph_err cph_cms_sign(const struct cph_env *env, const struct cph_key *key,
                                            const struct cph_cert *cert, int64_t wall,
                                            struct cph_span in, uint8_t *out, size_t cap,
                                            size_t *n);

/* Who signed. */
struct cph_cms_signer {
    struct cph_cert
        *cert; /* with what chain came; the caller frees it. Proves nothing about trust */
    bool has_time;
    int64_t time; /* signing time, wall seconds */
};

/**
 * Verify a SignedData with one signature, made with SHA-256 or better over its own content by a
 * certificate that is in it, or is known (may be NULL). The content goes to out. CPH_E_AUTH for
 * whatever is wrong with it; CPH_E_NOSPACE, CPH_E_LIMIT, CPH_E_NOMEM. On an error out holds
 * nothing.
 */
CPH_API CPH_MUST_CHECK cph_err cph_cms_verify(const struct cph_env *env, struct cph_span in,
                                              const struct cph_cert *known, uint8_t *out,
                                              size_t cap, size_t *n, struct cph_cms_signer *signer);

/** May a message be encrypted to this certificate? Its key must be able to (EC or RSA), and its
 * keyUsage, where it has one, must say so. RFC 5280 4.2.1.3 */
CPH_API bool cph_cms_can_receive(const struct cph_cert *cert);

/**
 * Encrypt bytes (one or more) to one certificate: ECDH with SHA-256 (RFC 5753), or RSA-OAEP with
 * SHA-256. CPH_E_CERT if it cannot receive; CPH_E_NOSPACE, CPH_E_LIMIT, CPH_E_CRYPTO.
 */
CPH_API CPH_MUST_CHECK cph_err cph_cms_encrypt(const struct cph_env *env, const struct cph_cert *to,
                                               enum cph_cms_cipher cipher, struct cph_span in,
                                               uint8_t *out, size_t cap, size_t *n);

/**
 * Decrypt what was encrypted to our certificate, with one of the ciphers above and a whole tag.
 * CPH_E_AUTH for whatever is wrong with it, so that nobody learns what; CPH_E_NOSPACE, CPH_E_LIMIT,
 * CPH_E_NOMEM. On an error out holds nothing.
 */
CPH_API CPH_MUST_CHECK cph_err cph_cms_decrypt(const struct cph_env *env, const struct cph_key *key,
                                               const struct cph_cert *cert, struct cph_span in,
                                               uint8_t *out, size_t cap, size_t *n);

#endif

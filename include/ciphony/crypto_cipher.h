/* Ciphony: AES, digests and HMAC. Algorithms are fetched once; a context keeps its key. */
#ifndef CPH_CRYPTO_CIPHER_H
#define CPH_CRYPTO_CIPHER_H

#include "ciphony/base.h"

/* ---- digests --------------------------------------------------------------------------------- */

/*
 * MD5 and SHA-1 are here because protocols name them (SIP digest, RFC 3711); the caller's policy
 * decides whether they count for anything.
 */
enum cph_digest_alg {
    CPH_DIGEST_MD5,
    CPH_DIGEST_SHA1,
    CPH_DIGEST_SHA256,
    CPH_DIGEST_SHA384,
    CPH_DIGEST_SHA512,
    CPH_DIGEST_SHA512_256,
    CPH_DIGEST_COUNT_
};

enum {
    CPH_DIGEST_MAX = 64, /* bytes of the longest digest */
    CPH_AES_BLOCK = 16,
    CPH_GCM_IV = 12,
    CPH_GCM_TAG = 16,
};

/** Bytes a digest of alg has; 0 if there is no such alg. Any thread. */
CPH_API size_t cph_digest_size(enum cph_digest_alg alg);

/** Digest of the bytes of in into out, which takes cph_digest_size(alg) bytes. Errors as of
 * cph_digest_new(). */
CPH_API CPH_MUST_CHECK cph_err cph_digest(enum cph_digest_alg alg, struct cph_span in,
                                          uint8_t *out);

/**
 * Digest in pieces. One owner; one thread at a time. After finish the context is empty again and
 * takes the next message. Add and finish allocate nothing.
 */
struct cph_digest_ctx;
/** CPH_E_ARGUMENT if there is no such alg, CPH_E_NOMEM, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_digest_new(enum cph_digest_alg alg, struct cph_digest_ctx **out);
CPH_API void cph_digest_free(struct cph_digest_ctx *d); /* NULL is fine */
/** The next piece of the message. CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_digest_add(struct cph_digest_ctx *d, struct cph_span in);
/** The digest of all pieces into out, which takes cph_digest_size(alg) bytes. CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_digest_finish(struct cph_digest_ctx *d, uint8_t *out);

/* ---- HMAC (RFC 2104) ------------------------------------------------------------------------- */

/** HMAC of in under a key of any length; out takes cph_digest_size(alg) bytes. Errors as
 * of cph_hmac_new(). */
CPH_API CPH_MUST_CHECK cph_err cph_hmac(enum cph_digest_alg alg, struct cph_span key,
                                        struct cph_span in, uint8_t *out);

/**
 * HMAC with a key set once. One owner; one thread at a time. After finish the context takes the
 * next message under the same key. Add, finish and re-keying allocate nothing.
 */
struct cph_hmac_ctx;
/** key: of any length; not needed afterwards. CPH_E_ARGUMENT if there is no such alg, CPH_E_NOMEM,
 * CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_hmac_new(enum cph_digest_alg alg, struct cph_span key,
                                            struct cph_hmac_ctx **out);
CPH_API void cph_hmac_free(struct cph_hmac_ctx *h); /* wipes; NULL is fine */
/** Another key of any length; a message under way is forgotten. CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_hmac_key(struct cph_hmac_ctx *h, struct cph_span key);
/** The next piece of the message. CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_hmac_add(struct cph_hmac_ctx *h, struct cph_span in);
/** The HMAC of all pieces into out, which takes cph_digest_size(alg) bytes. CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_hmac_finish(struct cph_hmac_ctx *h, uint8_t *out);

/** HKDF (RFC 5869): n bytes from input keying material, an optional salt and info. CPH_E_ARGUMENT
 * for more than 255 digests; on any error out is wiped. */
CPH_API CPH_MUST_CHECK cph_err cph_hkdf(enum cph_digest_alg alg, struct cph_span ikm,
                                        struct cph_span salt, struct cph_span info, uint8_t *out,
                                        size_t n);

/* ---- AES ------------------------------------------------------------------------------------- */

enum cph_aes_mode {
    CPH_AES_CTR,     /* encryption and decryption are the same */
    CPH_AES_GCM_ENC, /* 12-byte IV, 16-byte tag */
    CPH_AES_GCM_DEC,
};

/** One context per stream and direction: the key is set once, the IV per message. One thread at a
 *  time. After construction no call allocates. */
struct cph_aes;

/** key is 16, 24 or 32 bytes, else CPH_E_ARGUMENT. CPH_E_NOMEM, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_new(enum cph_aes_mode mode, struct cph_span key,
                                           struct cph_aes **out);
CPH_API void cph_aes_free(struct cph_aes *a); /* wipes; NULL is fine */
/** Another key of the same length; CPH_E_ARGUMENT for another length. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_key(struct cph_aes *a, struct cph_span key);

/** CTR: iv is the first counter block, counted up as a 128-bit big-endian number. out may be in. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_ctr(struct cph_aes *a, const uint8_t iv[CPH_AES_BLOCK],
                                           const uint8_t *in, uint8_t *out, size_t n);
/** GCM: encrypt n bytes and write the tag. out may be in. */
CPH_API CPH_MUST_CHECK cph_err cph_aes_gcm_seal(struct cph_aes *a, const uint8_t iv[CPH_GCM_IV],
                                                struct cph_span aad, const uint8_t *in,
                                                uint8_t *out, size_t n, uint8_t tag[CPH_GCM_TAG]);
/**
 * GCM: decrypt n bytes. CPH_E_AUTH if the tag is not the one of these bytes: then out holds no
 * plaintext (in place: the ciphertext again), so it can be tried under another key.
 */
CPH_API CPH_MUST_CHECK cph_err cph_aes_gcm_open(struct cph_aes *a, const uint8_t iv[CPH_GCM_IV],
                                                struct cph_span aad, const uint8_t *in,
                                                uint8_t *out, size_t n,
                                                const uint8_t tag[CPH_GCM_TAG]);

#endif

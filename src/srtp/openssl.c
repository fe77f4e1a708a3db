/* The ciphers through src/crypto, for CPUs that libipsec-mb has nothing for. */
#include "srtp_int.h"

#include "ciphony/crypto_cipher.h"

static void ossl_close(struct srtp_session *ss)
{
    cph_aes_free(ss->enc);
    cph_aes_free(ss->dec);
    cph_hmac_free(ss->mac);
}

/* Contexts are made under a key of zeros; ops->key gives them theirs. */
static cph_err ossl_open(const struct cph_srtp_suite *suite, enum cph_srtp_dir dir,
                         struct srtp_session *ss)
{
    uint8_t zero[32] = { 0 };
    struct cph_span key = { zero, suite->key_n };

    if (suite->transform->aead) {
        if (dir == CPH_SRTP_SEND)
            return cph_aes_new(CPH_AES_GCM_ENC, key, &ss->enc);
        return cph_aes_new(CPH_AES_GCM_DEC, key, &ss->dec);
    }
    if (suite->encrypts)
        CPH_TRY(cph_aes_new(CPH_AES_CTR, key, &ss->enc));
    return cph_hmac_new(CPH_DIGEST_SHA1, (struct cph_span){ zero, SRTP_AUTH_KEY }, &ss->mac);
}

static cph_err ossl_key(struct cph_srtp_engine *e, struct srtp_session *ss, struct cph_span enc,
                        struct cph_span auth)
{
    (void)e;
    if (ss->enc)
        CPH_TRY(cph_aes_key(ss->enc, enc));
    if (ss->dec)
        CPH_TRY(cph_aes_key(ss->dec, enc));
    return ss->mac ? cph_hmac_key(ss->mac, auth) : CPH_OK;
}

static cph_err ossl_ctr(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                        const uint8_t iv[16], uint8_t *p, size_t n)
{
    (void)e;
    (void)key_n;
    return cph_aes_ctr(ss->enc, iv, p, p, n);
}

static cph_err ossl_hmac(struct cph_srtp_engine *e, struct srtp_session *ss, const uint8_t *p,
                         size_t n, uint8_t out[SRTP_HMAC])
{
    (void)e;
    CPH_TRY(cph_hmac_add(ss->mac, (struct cph_span){ p, n }));
    return cph_hmac_finish(ss->mac, out);
}

static cph_err ossl_seal(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                         const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n,
                         uint8_t *tag)
{
    (void)e;
    (void)key_n;
    return cph_aes_gcm_seal(ss->enc, iv, aad, p, p, n, tag);
}

static cph_err ossl_unseal(struct cph_srtp_engine *e, struct srtp_session *ss, size_t key_n,
                           const uint8_t iv[16], struct cph_span aad, uint8_t *p, size_t n,
                           const uint8_t *tag)
{
    (void)e;
    (void)key_n;
    return cph_aes_gcm_open(ss->dec, iv, aad, p, p, n, tag);
}

const struct srtp_ops srtp_ops_openssl = {
    .open = ossl_open,
    .close = ossl_close,
    .key = ossl_key,
    .ctr = ossl_ctr,
    .hmac = ossl_hmac,
    .seal = ossl_seal,
    .unseal = ossl_unseal,
};

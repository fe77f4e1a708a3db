#include "ciphony/crypto_envelope.h"

#include <limits.h>
#include <string.h>

#include <openssl/rsa.h>

#include "crypto_int.h"
#include "key_int.h"

enum { WRAP_MIN = 16, WRAP_STEP = 8 };

/* ---- RSA ------------------------------------------------------------------------------------- */

static EVP_PKEY_CTX *rsa_open(const struct cph_key *key, enum cph_rsa_padding padding, bool encrypt)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    int pad = padding == CPH_RSA_OAEP ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING;

    if (ctx && (encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, pad) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

cph_err cph_rsa_encrypt(const struct cph_env *env, const struct cph_key *key,
                        enum cph_rsa_padding padding, const struct cph_secret *in, uint8_t *out,
                        size_t cap, size_t *n)
{
    EVP_PKEY_CTX *ctx;
    cph_err err = CPH_E_CRYPTO;
    size_t made = cap;

    if (key->kind != CPH_KEY_RSA)
        return CPH_E_ARGUMENT;
    if ((size_t)EVP_PKEY_get_size(key->pkey) > cap)
        return CPH_E_NOSPACE;
    ctx = rsa_open(key, padding, true);
    if (ctx && EVP_PKEY_encrypt(ctx, out, &made, in->b, in->n) == 1) {
        *n = made;
        err = CPH_OK;
    }
    EVP_PKEY_CTX_free(ctx);
    cph_crypto_drain(env);
    return err;
}

cph_err cph_rsa_decrypt(const struct cph_env *env, const struct cph_key *key,
                        enum cph_rsa_padding padding, struct cph_span in, size_t min,
                        struct cph_secret *out)
{
    uint8_t clear[CPH_RSA_MAX];
    size_t n = sizeof clear;
    EVP_PKEY_CTX *ctx;
    bool good;

    if (key->kind != CPH_KEY_RSA || !key->is_private || min > sizeof out->b)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_random(env, out->b, min)); /* drawn in any case */
    out->n = min;
    ctx = rsa_open(key, padding, false);
    good = ctx && EVP_PKEY_decrypt(ctx, clear, &n, in.p, in.n) == 1 && n >= min &&
           n <= sizeof out->b;
    if (good) {
        memcpy(out->b, clear, n);
        out->n = n;
    }
    EVP_PKEY_CTX_free(ctx);
    cph_wipe(clear, sizeof clear);
    cph_crypto_drain(env);
    return CPH_OK;
}

/* ---- AES key wrap ---------------------------------------------------------------------------- */

static cph_err wrap(bool encrypt, struct cph_span key, const uint8_t *iv, struct cph_span in,
                    uint8_t *out)
{
    const char *name = key.n == 16 ? "AES-128-WRAP" : key.n == 24 ? "AES-192-WRAP" : "AES-256-WRAP";
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    cph_err err = CPH_OK;
    int n;

    if ((key.n != 16 && key.n != 24 && key.n != 32) || in.n % WRAP_STEP != 0 || in.n > INT_MAX / 2)
        return CPH_E_ARGUMENT;
    cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    ctx = EVP_CIPHER_CTX_new();
    if (!cipher || !ctx || EVP_CipherInit_ex2(ctx, cipher, key.p, iv, encrypt, NULL) != 1)
        err = crypto_refused();
    else if (EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) != 1)
        err = encrypt ? crypto_refused() : CPH_E_AUTH;
    cph_crypto_drain(NULL);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return err;
}

cph_err cph_aes_wrap(struct cph_span key, const uint8_t *iv, struct cph_span in, uint8_t *out)
{
    return in.n < WRAP_MIN ? CPH_E_ARGUMENT : wrap(true, key, iv, in, out);
}

cph_err cph_aes_unwrap(struct cph_span key, const uint8_t *iv, struct cph_span in, uint8_t *out)
{
    return in.n < WRAP_MIN + CPH_WRAP_MORE ? CPH_E_ARGUMENT : wrap(false, key, iv, in, out);
}

/* ---- signatures ------------------------------------------------------------------------------ */

size_t cph_key_sig_size(const struct cph_key *key, enum cph_sig sig)
{
    bool ec = key->kind == CPH_KEY_EC_P256 || key->kind == CPH_KEY_EC_P384;

    switch (sig) {
    case CPH_SIG_ECDSA_RAW:
        return !ec ? 0 : key->kind == CPH_KEY_EC_P384 ? 96 : 64;
    case CPH_SIG_ECDSA:
        return ec ? (size_t)EVP_PKEY_get_size(key->pkey) : 0;
    case CPH_SIG_RSA_PKCS1:
    case CPH_SIG_RSA_PSS:
        return key->kind == CPH_KEY_RSA ? (size_t)EVP_PKEY_get_size(key->pkey) : 0;
    case CPH_SIG_ED25519:
        return key->kind == CPH_KEY_ED25519 ? 64 : 0;
    }
    return 0;
}

/* ---- signatures over SHA-1 ------------------------------------------------------------------- */

static EVP_MD_CTX *sha1_open(const struct cph_key *key, enum cph_sig sig, bool sign)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    int ok = 0;

    if (md)
        ok = sign ? EVP_DigestSignInit_ex(md, &pctx, "SHA1", NULL, NULL, key->pkey, NULL)
                  : EVP_DigestVerifyInit_ex(md, &pctx, "SHA1", NULL, NULL, key->pkey, NULL);
    if (ok == 1 && sig == CPH_SIG_RSA_PSS)
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (ok == 1)
        return md;
    EVP_MD_CTX_free(md);
    return NULL;
}

static bool sha1_fits(const struct cph_key *key, enum cph_sig sig)
{
    return key->kind == CPH_KEY_RSA && (sig == CPH_SIG_RSA_PKCS1 || sig == CPH_SIG_RSA_PSS);
}

cph_err cph_key_sign_sha1(const struct cph_env *env, const struct cph_key *key, enum cph_sig sig,
                          struct cph_span msg, uint8_t *out, size_t cap, size_t *n)
{
    size_t made = cap;
    EVP_MD_CTX *md;
    cph_err err = CPH_E_CRYPTO;

    if (!key->is_private || !sha1_fits(key, sig))
        return CPH_E_ARGUMENT;
    if ((size_t)EVP_PKEY_get_size(key->pkey) > cap)
        return CPH_E_NOSPACE;
    md = sha1_open(key, sig, true);
    if (md && EVP_DigestSign(md, out, &made, msg.p, msg.n) == 1) {
        *n = made;
        err = CPH_OK;
    }
    EVP_MD_CTX_free(md);
    cph_crypto_drain(env);
    return err;
}

cph_err cph_key_verify_sha1(const struct cph_env *env, const struct cph_key *key, enum cph_sig sig,
                            struct cph_span msg, struct cph_span signature)
{
    EVP_MD_CTX *md;
    cph_err err = CPH_E_CRYPTO;

    if (!sha1_fits(key, sig))
        return CPH_E_ARGUMENT;
    md = sha1_open(key, sig, false);
    if (md)
        err = signature.n > 0 && EVP_DigestVerify(md, signature.p, signature.n, msg.p, msg.n) == 1
                  ? CPH_OK
                  : CPH_E_AUTH;
    EVP_MD_CTX_free(md);
    cph_crypto_drain(env);
    return err;
}

#include "ciphony/crypto_cipher.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "ciphony/base_mem.h"
#include "crypto_int.h"

struct cph_aes {
    enum cph_aes_mode mode;
    size_t key_n;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    EVP_CIPHER_CTX *again; /* GCM_DEC: encrypts what was decrypted before its tag proved wrong */
};

void cph_aes_free(struct cph_aes *a)
{
    if (!a)
        return;
    EVP_CIPHER_CTX_free(a->ctx);
    EVP_CIPHER_CTX_free(a->again);
    EVP_CIPHER_free(a->cipher);
    free(a);
}

static const char *mode_name(enum cph_aes_mode mode)
{
    switch (mode) {
    case CPH_AES_CTR:
        return "CTR";
    case CPH_AES_GCM_ENC:
    case CPH_AES_GCM_DEC:
        return "GCM";
    }
    return "";
}

cph_err cph_aes_key(struct cph_aes *a, struct cph_span key)
{
    if (key.n != a->key_n)
        return CPH_E_ARGUMENT;
    if (!EVP_CipherInit_ex2(a->ctx, NULL, key.p, NULL, a->mode != CPH_AES_GCM_DEC, NULL))
        return crypto_refused();
    if (a->again && !EVP_CipherInit_ex2(a->again, NULL, key.p, NULL, 1, NULL))
        return crypto_refused();
    return CPH_OK;
}

static EVP_CIPHER_CTX *new_ctx(const EVP_CIPHER *cipher, int encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx && EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, encrypt, NULL) &&
        EVP_CIPHER_CTX_set_padding(ctx, 0))
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

static cph_err open_ctx(struct cph_aes *a)
{
    char name[sizeof "AES-256-GCM"];

    (void)snprintf(name, sizeof name, "AES-%u-%s", (unsigned)(a->key_n * 8) % 1000,
                   mode_name(a->mode));
    a->cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    if (!a->cipher)
        return crypto_refused();
    a->ctx = new_ctx(a->cipher, a->mode != CPH_AES_GCM_DEC);
    if (a->ctx && a->mode == CPH_AES_GCM_DEC)
        a->again = new_ctx(a->cipher, 1);
    if (!a->ctx || (a->mode == CPH_AES_GCM_DEC && !a->again))
        return crypto_refused();
    return CPH_OK;
}

cph_err cph_aes_new(enum cph_aes_mode mode, struct cph_span key, struct cph_aes **out)
{
    struct cph_aes *a;
    cph_err err;

    if (key.n != 16 && key.n != 24 && key.n != 32)
        return CPH_E_ARGUMENT;
    a = calloc(1, sizeof *a);
    if (!a)
        return CPH_E_NOMEM;
    a->mode = mode;
    a->key_n = key.n;
    err = open_ctx(a);
    if (err == CPH_OK)
        err = cph_aes_key(a, key);
    if (err != CPH_OK) {
        cph_aes_free(a);
        return err;
    }
    *out = a;
    return CPH_OK;
}

static cph_err update(EVP_CIPHER_CTX *ctx, const uint8_t *in, uint8_t *out, size_t n)
{
    int done;

    if (n > INT_MAX)
        return CPH_E_ARGUMENT;
    if (n > 0 && !EVP_CipherUpdate(ctx, out, &done, in, (int)n))
        return crypto_refused();
    return CPH_OK;
}

cph_err cph_aes_ctr(struct cph_aes *a, const uint8_t iv[CPH_AES_BLOCK], const uint8_t *in,
                    uint8_t *out, size_t n)
{
    if (a->mode != CPH_AES_CTR)
        return CPH_E_ARGUMENT;
    if (!EVP_CipherInit_ex2(a->ctx, NULL, NULL, iv, -1, NULL))
        return crypto_refused();
    return update(a->ctx, in, out, n);
}

static cph_err gcm_begin(EVP_CIPHER_CTX *ctx, const uint8_t *iv, struct cph_span aad)
{
    int done;

    if (aad.n > INT_MAX)
        return CPH_E_ARGUMENT;
    if (!EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL) ||
        (aad.n > 0 && !EVP_CipherUpdate(ctx, NULL, &done, aad.p, (int)aad.n)))
        return crypto_refused();
    return CPH_OK;
}

cph_err cph_aes_gcm_seal(struct cph_aes *a, const uint8_t iv[CPH_GCM_IV], struct cph_span aad,
                         const uint8_t *in, uint8_t *out, size_t n, uint8_t tag[CPH_GCM_TAG])
{
    uint8_t none[1];
    int done;

    if (a->mode != CPH_AES_GCM_ENC)
        return CPH_E_ARGUMENT;
    CPH_TRY(gcm_begin(a->ctx, iv, aad));
    CPH_TRY(update(a->ctx, in, out, n));
    if (!EVP_CipherFinal_ex(a->ctx, none, &done) ||
        !EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, CPH_GCM_TAG, tag))
        return crypto_refused();
    return CPH_OK;
}

cph_err cph_aes_gcm_open(struct cph_aes *a, const uint8_t iv[CPH_GCM_IV], struct cph_span aad,
                         const uint8_t *in, uint8_t *out, size_t n, const uint8_t tag[CPH_GCM_TAG])
{
    uint8_t none[1], good[CPH_GCM_TAG];
    int done;

    if (a->mode != CPH_AES_GCM_DEC)
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < sizeof good; i++)
        good[i] = tag[i]; /* OpenSSL takes it through a pointer that is not const */
    CPH_TRY(gcm_begin(a->ctx, iv, aad));
    CPH_TRY(update(a->ctx, in, out, n));
    if (!EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, CPH_GCM_TAG, good))
        return crypto_refused();
    if (EVP_CipherFinal_ex(a->ctx, none, &done))
        return CPH_OK;

    (void)crypto_refused();
    CPH_TRY(gcm_begin(a->again, iv, (struct cph_span){ NULL, 0 }));
    CPH_TRY(update(a->again, out, out, n));
    return CPH_E_AUTH;
}

#include "ciphony/crypto_wrap.h"

#include <string.h>

#include <openssl/evp.h>

#include "ciphony/base_mem.h"
#include "crypto_int.h"

size_t cph_aes_wrap_pad_size(size_t n)
{
    return (n + 7) / 8 * 8 + 8;
}

static cph_err run(bool encrypt, struct cph_span key, struct cph_span in, uint8_t *out, size_t *n)
{
    const char *name = key.n == 16   ? "AES-128-WRAP-PAD"
                       : key.n == 24 ? "AES-192-WRAP-PAD"
                                     : "AES-256-WRAP-PAD";
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    cph_err err = CPH_OK;
    int made = 0;

    if (key.n != 16 && key.n != 24 && key.n != 32)
        return CPH_E_ARGUMENT;
    cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    ctx = EVP_CIPHER_CTX_new();
    if (!cipher || !ctx || EVP_CipherInit_ex2(ctx, cipher, key.p, NULL, encrypt, NULL) != 1)
        err = crypto_refused();
    else if (EVP_CipherUpdate(ctx, out, &made, in.p, (int)in.n) != 1 || made <= 0)
        err = encrypt ? crypto_refused() : CPH_E_AUTH;
    if (err == CPH_E_AUTH)
        (void)crypto_refused(); /* what the library says of it, nobody asked */
    *n = (size_t)made;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return err;
}

cph_err cph_aes_wrap_pad(struct cph_span key, struct cph_span in, uint8_t *out)
{
    size_t n;

    if (in.n == 0 || in.n > CPH_WRAP_PAD_MAX)
        return CPH_E_ARGUMENT;
    return run(true, key, in, out, &n);
}

/* The library may write all of it before it looks at the padding. */
cph_err cph_aes_unwrap_pad(struct cph_span key, struct cph_span in, uint8_t *out, size_t *n)
{
    uint8_t text[CPH_WRAP_PAD_MAX + 16];
    size_t made;
    cph_err err;

    if (in.n < 16 || in.n % 8 != 0 || in.n > cph_aes_wrap_pad_size(CPH_WRAP_PAD_MAX))
        return CPH_E_ARGUMENT;
    err = run(false, key, in, text, &made);
    if (err == CPH_OK) {
        memcpy(out, text, made);
        *n = made;
    }
    cph_wipe(text, in.n);
    return err;
}

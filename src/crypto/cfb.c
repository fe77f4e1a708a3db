#include "ciphony/crypto_agree.h"

#include <limits.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "crypto_int.h"

cph_err cph_aes_cfb(bool encrypt, struct cph_span key, const uint8_t iv[16], const uint8_t *in,
                    uint8_t *out, size_t n)
{
    char name[sizeof "AES-256-CFB"];
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    cph_err err = CPH_OK;
    int done;

    if ((key.n != 16 && key.n != 24 && key.n != 32) || n > INT_MAX)
        return CPH_E_ARGUMENT;
    (void)snprintf(name, sizeof name, "AES-%u-CFB", (unsigned)(key.n * 8) % 1000);
    cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    ctx = EVP_CIPHER_CTX_new();
    if (!cipher || !ctx || !EVP_CipherInit_ex2(ctx, cipher, key.p, iv, encrypt, NULL) ||
        (n > 0 && !EVP_CipherUpdate(ctx, out, &done, in, (int)n)))
        err = crypto_refused();
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return err;
}

#include "ciphony/crypto_cipher.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto_int.h"

struct cph_digest_ctx {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

/* OpenSSL's name, digest bytes, block bytes. */
static const struct {
    const char *name;
    uint8_t size, block;
} algs[CPH_DIGEST_COUNT_] = {
    [CPH_DIGEST_MD5] = { "MD5", 16, 64 },
    [CPH_DIGEST_SHA1] = { "SHA1", 20, 64 },
    [CPH_DIGEST_SHA256] = { "SHA2-256", 32, 64 },
    [CPH_DIGEST_SHA384] = { "SHA2-384", 48, 128 },
    [CPH_DIGEST_SHA512] = { "SHA2-512", 64, 128 },
    [CPH_DIGEST_SHA512_256] = { "SHA2-512/256", 32, 128 },
};

cph_err crypto_refused(void)
{
    ERR_clear_error(); /* nobody reads the queue; it must not speak for a later call */
    return CPH_E_CRYPTO;
}

static bool known(enum cph_digest_alg alg)
{
    return (unsigned)alg < CPH_DIGEST_COUNT_;
}

size_t cph_digest_size(enum cph_digest_alg alg)
{
    return known(alg) ? algs[alg].size : 0;
}

size_t crypto_digest_block(enum cph_digest_alg alg)
{
    return known(alg) ? algs[alg].block : 0;
}

void cph_digest_free(struct cph_digest_ctx *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    EVP_MD_free(d->md);
    free(d);
}

cph_err cph_digest_new(enum cph_digest_alg alg, struct cph_digest_ctx **out)
{
    struct cph_digest_ctx *d;
    cph_err err = CPH_OK;

    if (!known(alg))
        return CPH_E_ARGUMENT;
    d = calloc(1, sizeof *d);
    if (!d)
        return CPH_E_NOMEM;
    d->md = EVP_MD_fetch(NULL, algs[alg].name, NULL);
    d->ctx = EVP_MD_CTX_new();
    if (!d->md || !d->ctx || !EVP_DigestInit_ex2(d->ctx, d->md, NULL)) {
        err = crypto_refused();
        goto out;
    }
    *out = d;
    d = NULL;
out:
    cph_digest_free(d);
    return err;
}

cph_err cph_digest_add(struct cph_digest_ctx *d, struct cph_span in)
{
    return EVP_DigestUpdate(d->ctx, in.p, in.n) ? CPH_OK : crypto_refused();
}

cph_err cph_digest_finish(struct cph_digest_ctx *d, uint8_t *out)
{
    /* Starting again with the same digest keeps the provider's context: no allocation. */
    if (!EVP_DigestFinal_ex(d->ctx, out, NULL) || !EVP_DigestInit_ex2(d->ctx, NULL, NULL))
        return crypto_refused();
    return CPH_OK;
}

cph_err cph_digest(enum cph_digest_alg alg, struct cph_span in, uint8_t *out)
{
    struct cph_digest_ctx *d;
    cph_err err;

    CPH_TRY(cph_digest_new(alg, &d));
    err = cph_digest_add(d, in);
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

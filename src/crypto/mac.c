#include "ciphony/crypto_cipher.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_mem.h"
#include "crypto_int.h"

/*
 * RFC 2104: H(K xor opad || H(K xor ipad || text)). Built from a digest context that is started
 * again, since OpenSSL 3.0's own HMAC allocates whenever it is started again under its key.
 */
struct cph_hmac_ctx {
    enum cph_digest_alg alg;
    struct cph_digest_ctx *d;
    bool begun; /* ipad went into d */
    uint8_t ipad[CRYPTO_BLOCK_MAX], opad[CRYPTO_BLOCK_MAX];
};

void cph_hmac_free(struct cph_hmac_ctx *h)
{
    if (!h)
        return;
    cph_digest_free(h->d);
    cph_free_secret(h, sizeof *h);
}

cph_err cph_hmac_key(struct cph_hmac_ctx *h, struct cph_span key)
{
    size_t block = crypto_digest_block(h->alg);
    uint8_t k[CRYPTO_BLOCK_MAX] = { 0 };
    cph_err err = CPH_OK;

    if (h->begun) { /* a message under the old key was under way */
        err = cph_digest_finish(h->d, k);
        h->begun = false;
        memset(k, 0, sizeof k);
    }
    if (err == CPH_OK && key.n > block) {
        err = cph_digest_add(h->d, key);
        if (err == CPH_OK)
            err = cph_digest_finish(h->d, k);
    } else if (key.n > 0) {
        memcpy(k, key.p, key.n);
    }
    for (size_t i = 0; i < block; i++) {
        h->ipad[i] = k[i] ^ 0x36;
        h->opad[i] = k[i] ^ 0x5c;
    }
    cph_wipe(k, sizeof k);
    return err;
}

cph_err cph_hmac_new(enum cph_digest_alg alg, struct cph_span key, struct cph_hmac_ctx **out)
{
    struct cph_hmac_ctx *h = calloc(1, sizeof *h);
    cph_err err;

    if (!h)
        return CPH_E_NOMEM;
    h->alg = alg;
    err = cph_digest_new(alg, &h->d);
    if (err == CPH_OK)
        err = cph_hmac_key(h, key);
    if (err != CPH_OK) {
        cph_hmac_free(h);
        return err;
    }
    *out = h;
    return CPH_OK;
}

static cph_err begin(struct cph_hmac_ctx *h)
{
    if (h->begun)
        return CPH_OK;
    h->begun = true;
    return cph_digest_add(h->d, (struct cph_span){ h->ipad, crypto_digest_block(h->alg) });
}

cph_err cph_hmac_add(struct cph_hmac_ctx *h, struct cph_span in)
{
    CPH_TRY(begin(h));
    return cph_digest_add(h->d, in);
}

cph_err cph_hmac_finish(struct cph_hmac_ctx *h, uint8_t *out)
{
    uint8_t inner[CPH_DIGEST_MAX];

    CPH_TRY(begin(h));
    h->begun = false;
    CPH_TRY(cph_digest_finish(h->d, inner));
    CPH_TRY(cph_digest_add(h->d, (struct cph_span){ h->opad, crypto_digest_block(h->alg) }));
    CPH_TRY(cph_digest_add(h->d, (struct cph_span){ inner, cph_digest_size(h->alg) }));
    return cph_digest_finish(h->d, out);
}

cph_err cph_hmac(enum cph_digest_alg alg, struct cph_span key, struct cph_span in, uint8_t *out)
{
    struct cph_hmac_ctx *h;
    cph_err err;

    CPH_TRY(cph_hmac_new(alg, key, &h));
    err = cph_hmac_add(h, in);
    if (err == CPH_OK)
        err = cph_hmac_finish(h, out);
    cph_hmac_free(h);
    return err;
}

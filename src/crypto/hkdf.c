#include "ciphony/crypto_cipher.h"

#include <string.h>

#include "ciphony/base_mem.h"

/*
 * RFC 5869:
 *
 *   2.2  PRK  = HMAC(salt, IKM)
 *   2.3  T(i) = HMAC(PRK, T(i-1) | info | i),  OKM = T(1) | T(2) | ...
 */
static cph_err expand(struct cph_hmac_ctx *h, struct cph_span info, size_t digest, uint8_t *out,
                      size_t n)
{
    uint8_t t[CPH_DIGEST_MAX];
    cph_err err = CPH_OK;

    for (size_t at = 0, i = 1; at < n && err == CPH_OK; at += digest, i++) {
        uint8_t count = (uint8_t)i;

        if (i > 1)
            err = cph_hmac_add(h, (struct cph_span){ t, digest });
        if (err == CPH_OK)
            err = cph_hmac_add(h, info);
        if (err == CPH_OK)
            err = cph_hmac_add(h, (struct cph_span){ &count, 1 });
        if (err == CPH_OK)
            err = cph_hmac_finish(h, t);
        if (err == CPH_OK)
            memcpy(out + at, t, n - at < digest ? n - at : digest);
    }
    cph_wipe(t, sizeof t);
    return err;
}

cph_err cph_hkdf(enum cph_digest_alg alg, struct cph_span ikm, struct cph_span salt,
                 struct cph_span info, uint8_t *out, size_t n)
{
    static const uint8_t zeros[CPH_DIGEST_MAX];
    size_t digest = cph_digest_size(alg);
    struct cph_hmac_ctx *h = NULL;
    uint8_t prk[CPH_DIGEST_MAX];
    cph_err err;

    if (digest == 0 || n > 255 * digest) /* RFC 5869 2.3 */
        return CPH_E_ARGUMENT;
    if (salt.n == 0) /* RFC 5869 2.2: not provided is zeros */
        salt = (struct cph_span){ zeros, digest };
    err = cph_hmac(alg, salt, ikm, prk);
    if (err == CPH_OK)
        err = cph_hmac_new(alg, (struct cph_span){ prk, digest }, &h);
    if (err == CPH_OK)
        err = expand(h, info, digest, out, n);
    if (err != CPH_OK)
        cph_wipe(out, n);
    cph_hmac_free(h);
    cph_wipe(prk, sizeof prk);
    return err;
}

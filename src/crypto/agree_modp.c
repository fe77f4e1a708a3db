/* Finite fields: y = 2^x mod p. */
#include "agree_int.h"

#include <openssl/bn.h>

#include "crypto_int.h"

enum {
    EXPONENT_MIN = 32, /* bytes: twice the strength of the weakest cipher beside it */
    DRAWS = 4,         /* more in a row below 2 mean that the randomness is none */
};

static BIGNUM *prime(const struct agree_row *r)
{
    switch (r->public_n) {
    case 128:
        return BN_get_rfc2409_prime_1024(NULL);
    case 192:
        return BN_get_rfc3526_prime_1536(NULL);
    case 256:
        return BN_get_rfc3526_prime_2048(NULL);
    case 384:
        return BN_get_rfc3526_prime_3072(NULL);
    case 512:
        return BN_get_rfc3526_prime_4096(NULL);
    }
    return NULL;
}

/* out = base^x mod p, in constant time of x. */
static cph_err power(const struct agree_row *r, const BIGNUM *base, const struct cph_secret *x,
                     const BIGNUM *p, uint8_t *out)
{
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *e = BN_secure_new(), *y = BN_secure_new();
    cph_err err = CPH_OK;

    if (!ctx || !e || !y || !BN_bin2bn(x->b, (int)x->n, e)) {
        err = crypto_refused();
        goto out;
    }
    BN_set_flags(e, BN_FLG_CONSTTIME);
    if (!BN_mod_exp_mont_consttime(y, base, e, p, ctx, NULL) ||
        BN_bn2binpad(y, out, r->public_n) != r->public_n)
        err = crypto_refused();
out:
    BN_clear_free(y);
    BN_clear_free(e);
    BN_CTX_free(ctx);
    return err;
}

static cph_err modp_draw(const struct agree_row *r, const struct cph_env *env, size_t n,
                         struct cph_secret *x)
{
    n = n ? n : EXPONENT_MIN;
    if (n < EXPONENT_MIN || n >= r->public_n)
        return CPH_E_ARGUMENT;
    x->n = n;
    /* RFC 6189 4.8 MUST: each value of 1 < k < 2^L with equal chance; only 0 and 1 are drawn anew
     */
    for (int i = 0; i < DRAWS; i++) {
        uint8_t high = 0;

        CPH_TRY(cph_random(env, x->b, n));
        for (size_t k = 0; k + 1 < n; k++)
            high |= x->b[k];
        if (high != 0 || x->b[n - 1] > 1)
            return CPH_OK;
    }
    return CPH_E_CRYPTO;
}

static cph_err modp_public(const struct agree_row *r, const struct cph_secret *x, uint8_t *y)
{
    BIGNUM *p = prime(r), *g = BN_new();
    cph_err err;

    if (!p || !g || !BN_set_word(g, 2))
        err = crypto_refused();
    else
        err = power(r, g, x, p, y);
    BN_free(g);
    BN_free(p);
    return err;
}

/* 1 < y < p - 1 */
static bool in_range(const BIGNUM *y, BIGNUM *p_minus_1)
{
    return !BN_is_zero(y) && !BN_is_one(y) && BN_cmp(y, p_minus_1) < 0;
}

static cph_err modp_derive(const struct agree_row *r, const struct cph_secret *x,
                           const uint8_t *peer, uint8_t *secret)
{
    BIGNUM *p = prime(r), *top = p ? BN_dup(p) : NULL;
    BIGNUM *y = BN_bin2bn(peer, r->public_n, NULL);
    cph_err err;

    if (!p || !top || !y || !BN_sub_word(top, 1))
        err = crypto_refused();
    else if (!in_range(y, top))
        err = CPH_E_MALFORMED;
    else
        err = power(r, y, x, p, secret);
    BN_free(y);
    BN_free(top);
    BN_free(p);
    return err;
}

const struct agree_family agree_modp = { modp_draw, modp_public, modp_derive };

/* The P-curves. SP 800-56A 5.7.1.2: the secret is the X of the common point; their cofactor is 1.
 */
#include "agree_int.h"

#include <openssl/bn.h>
#include <openssl/ec.h>

#include "crypto_int.h"

enum { DRAWS = 64 }; /* more in a row above the order means that the randomness is none */

/* What every operation needs. */
struct curve {
    EC_GROUP *group;
    BN_CTX *ctx;
    BIGNUM *d, *x, *y; /* private scalar, coordinates */
    EC_POINT *q, *z;   /* the peer's point, and what comes out */
};

static void curve_close(struct curve *c)
{
    EC_POINT_clear_free(c->z);
    EC_POINT_free(c->q);
    BN_clear_free(c->y);
    BN_clear_free(c->x);
    BN_clear_free(c->d);
    BN_CTX_free(c->ctx);
    EC_GROUP_free(c->group);
}

static cph_err curve_open(struct curve *c, const struct agree_row *r, const struct cph_secret *d)
{
    *c = (struct curve){
        .group = EC_GROUP_new_by_curve_name(r->nid),
        .ctx = BN_CTX_secure_new(),
        .d = BN_secure_new(),
        .x = BN_secure_new(),
        .y = BN_secure_new(),
    };
    if (c->group) {
        c->q = EC_POINT_new(c->group);
        c->z = EC_POINT_new(c->group);
    }
    if (!c->group || !c->ctx || !c->d || !c->x || !c->y || !c->q || !c->z ||
        !BN_bin2bn(d->b, (int)d->n, c->d)) {
        curve_close(c);
        return crypto_refused();
    }
    BN_set_flags(c->d, BN_FLG_CONSTTIME);
    return CPH_OK;
}

static bool is_scalar(const struct curve *c)
{
    return !BN_is_zero(c->d) && BN_cmp(c->d, EC_GROUP_get0_order(c->group)) < 0;
}

/* RFC 6189 4.8 wants every value with equal chance: what is not below the order is drawn anew. */
static cph_err ec_draw(const struct agree_row *r, const struct cph_env *env, size_t exponent_n,
                       struct cph_secret *d)
{
    (void)exponent_n;
    d->n = r->secret_n;
    for (int i = 0; i < DRAWS; i++) {
        struct curve c;
        bool good;

        CPH_TRY(cph_random(env, d->b, d->n));
        if (r->nid == NID_secp521r1)
            d->b[0] &= 1;
        CPH_TRY(curve_open(&c, r, d));
        good = is_scalar(&c);
        curve_close(&c);
        if (good)
            return CPH_OK;
    }
    return CPH_E_CRYPTO;
}

static cph_err ec_public(const struct agree_row *r, const struct cph_secret *d, uint8_t *out)
{
    struct curve c;
    cph_err err = CPH_OK;
    int n = r->secret_n;

    CPH_TRY(curve_open(&c, r, d));
    if (!is_scalar(&c))
        err = CPH_E_ARGUMENT;
    else if (!EC_POINT_mul(c.group, c.z, c.d, NULL, NULL, c.ctx) ||
             !EC_POINT_get_affine_coordinates(c.group, c.z, c.x, c.y, c.ctx) ||
             BN_bn2binpad(c.x, out, n) != n || BN_bn2binpad(c.y, out + n, n) != n)
        err = crypto_refused();
    curve_close(&c);
    return err;
}

static cph_err ec_derive(const struct agree_row *r, const struct cph_secret *d, const uint8_t *peer,
                         uint8_t *secret)
{
    struct curve c;
    cph_err err = CPH_OK;
    int n = r->secret_n;

    CPH_TRY(curve_open(&c, r, d));
    if (!BN_bin2bn(peer, n, c.x) || !BN_bin2bn(peer + n, n, c.y)) {
        err = crypto_refused();
    } else if (!EC_POINT_set_affine_coordinates(c.group, c.q, c.x, c.y, c.ctx)) {
        /* SP 800-56A 5.6.2.6: coordinates below p, and on the curve; this checks both */
        (void)crypto_refused();
        err = CPH_E_MALFORMED;
    } else if (!EC_POINT_mul(c.group, c.z, NULL, c.q, c.d, c.ctx) ||
               !EC_POINT_get_affine_coordinates(c.group, c.z, c.x, NULL, c.ctx) ||
               BN_bn2binpad(c.x, secret, n) != n) {
        err = crypto_refused();
    }
    curve_close(&c);
    return err;
}

const struct agree_family agree_ec = { ec_draw, ec_public, ec_derive };

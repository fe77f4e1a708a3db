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

/* SP 800-56A 5.6.2.6: coordinates below p, and on the curve; OpenSSL checks both. */
static cph_err point_of(struct curve *c, const uint8_t *value, int n, EC_POINT *out)
{
    if (!BN_bin2bn(value, n, c->x) || !BN_bin2bn(value + n, n, c->y))
        return crypto_refused();
    if (EC_POINT_set_affine_coordinates(c->group, out, c->x, c->y, c->ctx))
        return CPH_OK;
    (void)crypto_refused();
    return CPH_E_MALFORMED;
}

static cph_err ec_derive(const struct agree_row *r, const struct cph_secret *d, const uint8_t *peer,
                         uint8_t *secret)
{
    struct curve c;
    cph_err err;
    int n = r->secret_n;

    CPH_TRY(curve_open(&c, r, d));
    err = point_of(&c, peer, n, c.q);
    if (err == CPH_OK && (!EC_POINT_mul(c.group, c.z, NULL, c.q, c.d, c.ctx) ||
                          !EC_POINT_get_affine_coordinates(c.group, c.z, c.x, NULL, c.ctx) ||
                          BN_bn2binpad(c.x, secret, n) != n))
        err = crypto_refused();
    curve_close(&c);
    return err;
}

/* ---- MQV ------------------------------------------------------------------------------------- */

/* SEC 1 3.4: the lower half of the bits of a point's X, and the bit above them. out may be avf's
 * own. */
static bool avf(const struct curve *c, const uint8_t *point, int n, BIGNUM *out)
{
    int half = (BN_num_bits(EC_GROUP_get0_order(c->group)) + 1) / 2;

    return BN_bin2bn(point, n, out) && (BN_num_bits(out) <= half || BN_mask_bits(out, half)) &&
           BN_set_bit(out, half);
}

/* What MQV needs beyond a curve. */
struct mqv {
    BIGNUM *lasting, *half; /* half becomes now + avf * lasting */
    BN_MONT_CTX *mont;
    EC_POINT *sum; /* the peer's point of now, and avf times the other */
};

static void mqv_close(struct mqv *v)
{
    EC_POINT_free(v->sum);
    BN_MONT_CTX_free(v->mont);
    BN_clear_free(v->half);
    BN_clear_free(v->lasting);
}

static bool mqv_open(struct mqv *v, const struct curve *c, const struct cph_secret *lasting)
{
    *v = (struct mqv){ BN_secure_new(), BN_secure_new(), BN_MONT_CTX_new(),
                       EC_POINT_new(c->group) };
    if (!v->lasting || !v->half || !v->mont || !v->sum ||
        !BN_bin2bn(lasting->b, (int)lasting->n, v->lasting))
        return false;
    BN_set_flags(v->lasting, BN_FLG_CONSTTIME);
    BN_set_flags(v->half, BN_FLG_CONSTTIME);
    return BN_MONT_CTX_set(v->mont, EC_GROUP_get0_order(c->group), c->ctx) == 1;
}

/* half = (now + avf(ours_now) * lasting) mod n. A product in Montgomery's form with one factor
 * outside of it is the product itself, and takes the same time for all values. */
static bool implicit_signature(struct curve *c, struct mqv *v, const uint8_t *ours_now, int n)
{
    const BIGNUM *order = EC_GROUP_get0_order(c->group);

    return avf(c, ours_now, n, c->x) && BN_to_montgomery(c->x, c->x, v->mont, c->ctx) &&
           BN_mod_mul_montgomery(v->half, v->lasting, c->x, v->mont, c->ctx) &&
           BN_mod_add_quick(v->half, v->half, c->d, order);
}

static cph_err mqv_secret(struct curve *c, struct mqv *v, const struct agree_mqv *in, int n,
                          uint8_t *secret)
{
    if (!implicit_signature(c, v, in->ours_now, n))
        return crypto_refused();
    CPH_TRY(point_of(c, in->peer_lasting, n, c->q));
    CPH_TRY(point_of(c, in->peer_now, n, v->sum));
    if (!avf(c, in->peer_now, n, c->x) || !EC_POINT_mul(c->group, c->z, NULL, c->q, c->x, c->ctx) ||
        !EC_POINT_add(c->group, v->sum, v->sum, c->z, c->ctx) ||
        !EC_POINT_mul(c->group, c->z, NULL, v->sum, v->half, c->ctx))
        return crypto_refused();
    if (EC_POINT_is_at_infinity(c->group, c->z)) /* SP 800-56A 5.7.2.3 step 3 */
        return CPH_E_MALFORMED;
    if (!EC_POINT_get_affine_coordinates(c->group, c->z, c->x, NULL, c->ctx) ||
        BN_bn2binpad(c->x, secret, n) != n)
        return crypto_refused();
    return CPH_OK;
}

cph_err agree_ec_mqv(const struct agree_row *r, const struct agree_mqv *in, uint8_t *secret)
{
    struct curve c;
    struct mqv v;
    cph_err err = CPH_E_ARGUMENT;

    CPH_TRY(curve_open(&c, r, in->now));
    if (!mqv_open(&v, &c, in->lasting))
        err = crypto_refused();
    else if (is_scalar(&c) && !BN_is_zero(v.lasting) &&
             BN_cmp(v.lasting, EC_GROUP_get0_order(c.group)) < 0)
        err = mqv_secret(&c, &v, in, r->secret_n, secret);
    mqv_close(&v);
    curve_close(&c);
    return err;
}

const struct agree_family agree_ec = { ec_draw, ec_public, ec_derive };

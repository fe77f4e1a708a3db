/* X25519 and X448. RFC 7748 */
#include "agree_int.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto_int.h"

static cph_err x_draw(const struct agree_row *r, const struct cph_env *env, size_t exponent_n,
                      struct cph_secret *k)
{
    (void)exponent_n;
    k->n = r->secret_n;
    return cph_random(env, k->b, k->n);
}

/* The private value alone as a key. OpenSSL would compute the public value beside it, at the cost
 * of another multiplication; deriving does not look at it, so any bytes stand in. */
static EVP_PKEY *private_only(const struct agree_row *r, const struct cph_secret *k)
{
    uint8_t none[56] = { 0 };
    CPH_SECRET_SCOPED own_k = *k; /* OpenSSL only reads it, but asks for bytes it could write */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, own_k.b, own_k.n),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, none, r->public_n),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(r->nid, NULL);
    EVP_PKEY *own = NULL;

    if (ctx && EVP_PKEY_fromdata_init(ctx) > 0)
        (void)EVP_PKEY_fromdata(ctx, &own, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(ctx);
    return own;
}

static cph_err x_derive(const struct agree_row *r, const struct cph_secret *k, const uint8_t *peer,
                        uint8_t *secret)
{
    EVP_PKEY *own = private_only(r, k);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(r->nid, NULL, peer, r->public_n);
    EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t n = r->secret_n;
    cph_err err = CPH_OK;

    if (!theirs || !ctx || EVP_PKEY_derive_init(ctx) <= 0 ||
        EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) <= 0) { /* any string is a point: RFC 7748 5 */
        err = crypto_refused();
    } else if (EVP_PKEY_derive(ctx, secret, &n) <= 0 || n != r->secret_n) {
        /* RFC 7748 6.1, 6.2: a secret of zeros comes of a point of small order and is refused */
        (void)crypto_refused();
        err = CPH_E_MALFORMED;
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(own);
    return err;
}

/* RFC 7748 6: the same multiplication, of the base point. OpenSSL 3.0 is slower at making a key of
 * a private value, for X448 by a fifth. */
static cph_err x_public(const struct agree_row *r, const struct cph_secret *k, uint8_t *out)
{
    const uint8_t base[56] = { r->secret_n == 56 ? 5 : 9 };

    return x_derive(r, k, base, out);
}

const struct agree_family agree_x = { x_draw, x_public, x_derive };

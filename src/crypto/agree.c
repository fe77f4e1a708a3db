/*
 * Diffie-Hellman in three families. A private value is bytes in a cph_secret and nothing else, so
 * that whoever holds one may copy, keep and wipe it as he does his other secrets.
 */
#include "agree_int.h"

#include "crypto_int.h"

static const struct agree_row rows[CPH_AGREE_COUNT_] = {
    [CPH_AGREE_MODP_1024] = { &agree_modp, 128, 128, 0 },
    [CPH_AGREE_MODP_1536] = { &agree_modp, 192, 192, 0 },
    [CPH_AGREE_MODP_2048] = { &agree_modp, 256, 256, 0 },
    [CPH_AGREE_MODP_3072] = { &agree_modp, 384, 384, 0 },
    [CPH_AGREE_MODP_4096] = { &agree_modp, 512, 512, 0 },
    [CPH_AGREE_P256] = { &agree_ec, 64, 32, NID_X9_62_prime256v1 },
    [CPH_AGREE_P384] = { &agree_ec, 96, 48, NID_secp384r1 },
    [CPH_AGREE_P521] = { &agree_ec, 132, 66, NID_secp521r1 },
    [CPH_AGREE_X25519] = { &agree_x, 32, 32, EVP_PKEY_X25519 },
    [CPH_AGREE_X448] = { &agree_x, 56, 56, EVP_PKEY_X448 },
};

static const struct agree_row *row(enum cph_agree_group group)
{
    return (unsigned)group < CPH_AGREE_COUNT_ ? &rows[group] : NULL;
}

size_t cph_agree_public_size(enum cph_agree_group group)
{
    return row(group) ? row(group)->public_n : 0;
}

size_t cph_agree_secret_size(enum cph_agree_group group)
{
    return row(group) ? row(group)->secret_n : 0;
}

cph_err cph_agree_public(enum cph_agree_group group, const struct cph_secret *private_value,
                         uint8_t *public_value)
{
    const struct agree_row *r = row(group);

    cph_err err;

    if (!r || private_value->n == 0)
        return CPH_E_ARGUMENT;
    err = r->family->public_of(r, private_value, public_value);
    crypto_stack_wipe();
    return err;
}

cph_err cph_agree_make(const struct cph_env *env, enum cph_agree_group group, size_t exponent_n,
                       struct cph_secret *private_value, uint8_t *public_value)
{
    const struct agree_row *r = row(group);
    CPH_SECRET_SCOPED fresh = { 0 };
    cph_err err;

    if (!r)
        return CPH_E_ARGUMENT;
    err = r->family->draw(r, env, exponent_n, &fresh);
    if (err == CPH_OK)
        err = r->family->public_of(r, &fresh, public_value);
    crypto_stack_wipe();
    if (err == CPH_OK)
        *private_value = fresh;
    return err;
}

cph_err cph_agree_mqv(enum cph_agree_group group, const struct cph_secret *lasting,
                      const struct cph_secret *now, struct cph_span ours_now,
                      struct cph_span peer_lasting, struct cph_span peer_now,
                      struct cph_secret *out)
{
    const struct agree_row *r = row(group);
    struct agree_mqv in = { lasting, now, ours_now.p, peer_lasting.p, peer_now.p };
    CPH_SECRET_SCOPED secret = { 0 };
    cph_err err;

    if (!r || r->family != &agree_ec || lasting->n != r->secret_n || now->n != r->secret_n ||
        ours_now.n != r->public_n)
        return CPH_E_ARGUMENT;
    if (peer_lasting.n != r->public_n || peer_now.n != r->public_n)
        return CPH_E_MALFORMED;
    secret.n = r->secret_n;
    err = agree_ec_mqv(r, &in, secret.b);
    crypto_stack_wipe();
    if (err == CPH_OK)
        *out = secret;
    return err;
}

cph_err cph_agree_derive(enum cph_agree_group group, const struct cph_secret *private_value,
                         struct cph_span peer, struct cph_secret *out)
{
    const struct agree_row *r = row(group);
    CPH_SECRET_SCOPED secret = { 0 };
    cph_err err;

    if (!r || private_value->n == 0)
        return CPH_E_ARGUMENT;
    if (peer.n != r->public_n)
        return CPH_E_MALFORMED;
    secret.n = r->secret_n;
    err = r->family->derive(r, private_value, peer.p, secret.b);
    crypto_stack_wipe();
    if (err == CPH_OK)
        *out = secret;
    return err;
}

/* What a certificate's EC key is good for beside signatures: to receive secrets (ECIES), and to
 * agree on them with another such key (one-pass MQV). */
#include <string.h>

#include <openssl/core_names.h>

#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_envelope.h"
#include "crypto_int.h"
#include "key_int.h"

enum {
    POINT_MAX = 96, /* X and Y of P-384 */
    TAG = 32,
    MAC_KEY = 32,
    SHARED = 32, /* bytes that MQV gives */
    UNCOMPRESSED = 4,
};

/* ---- keys as values -------------------------------------------------------------------------- */

static bool group_of(const struct cph_key *key, enum cph_agree_group *group)
{
    *group = key->kind == CPH_KEY_EC_P384 ? CPH_AGREE_P384 : CPH_AGREE_P256;
    return key->kind == CPH_KEY_EC_P256 || key->kind == CPH_KEY_EC_P384;
}

bool cph_ecies_fits(const struct cph_key *key)
{
    enum cph_agree_group group;

    return group_of(key, &group);
}

static cph_err bn_of(const struct cph_key *key, const char *name, uint8_t *out, size_t n)
{
    BIGNUM *bn = NULL;
    cph_err err = CPH_OK;

    if (EVP_PKEY_get_bn_param(key->pkey, name, &bn) != 1 || BN_bn2binpad(bn, out, (int)n) != (int)n)
        err = crypto_refused();
    BN_clear_free(bn);
    return err;
}

/* X and Y. */
static cph_err point_of(const struct cph_key *key, uint8_t out[POINT_MAX], struct cph_span *point)
{
    enum cph_agree_group group;
    size_t n;

    if (!group_of(key, &group))
        return CPH_E_ARGUMENT;
    n = cph_agree_secret_size(group);
    CPH_TRY(bn_of(key, OSSL_PKEY_PARAM_EC_PUB_X, out, n));
    CPH_TRY(bn_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, out + n, n));
    *point = (struct cph_span){ out, 2 * n };
    return CPH_OK;
}

static cph_err scalar_of(const struct cph_key *key, struct cph_secret *out)
{
    enum cph_agree_group group;

    if (!group_of(key, &group) || !key->is_private)
        return CPH_E_ARGUMENT;
    out->n = cph_agree_secret_size(group);
    return bn_of(key, OSSL_PKEY_PARAM_PRIV_KEY, out->b, out->n);
}

/* ---- ECIES ----------------------------------------------------------------------------------- */

/* The pad for n bytes and the key of the tag. */
static cph_err keys_of(const struct cph_secret *shared, struct cph_span sent, struct cph_span to,
                       size_t n, struct cph_secret *out)
{
    uint8_t info[2 * POINT_MAX];

    memcpy(info, sent.p, sent.n);
    memcpy(info + sent.n, to.p, to.n);
    out->n = n + MAC_KEY;
    return cph_hkdf(CPH_DIGEST_SHA256, cph_secret_span(shared), CPH_SPAN_LIT("ECIES"),
                    (struct cph_span){ info, sent.n + to.n }, out->b, out->n);
}

static cph_err tag_of(const struct cph_secret *keys, struct cph_span box, uint8_t out[TAG])
{
    struct cph_span key = { keys->b + box.n, MAC_KEY };

    return cph_hmac(CPH_DIGEST_SHA256, key, box, out);
}

cph_err cph_ecies_encrypt(const struct cph_env *env, const struct cph_key *key,
                          const struct cph_secret *in, uint8_t *out, size_t cap, size_t *n)
{
    CPH_SECRET_SCOPED d = { 0 }, shared = { 0 }, keys = { 0 };
    uint8_t to_b[POINT_MAX], *box;
    struct cph_span to, sent;
    enum cph_agree_group group;

    CPH_TRY(point_of(key, to_b, &to));
    if (!group_of(key, &group) || in->n == 0 || in->n > CPH_SECRET_MAX - MAC_KEY)
        return CPH_E_ARGUMENT;
    if (cap < 1 + to.n + in->n + TAG)
        return CPH_E_NOSPACE;
    out[0] = UNCOMPRESSED;
    CPH_TRY(cph_agree_make(env, group, 0, &d, out + 1));
    sent = (struct cph_span){ out + 1, to.n };
    CPH_TRY(cph_agree_derive(group, &d, to, &shared));
    CPH_TRY(keys_of(&shared, sent, to, in->n, &keys));
    box = out + 1 + to.n;
    for (size_t i = 0; i < in->n; i++)
        box[i] = in->b[i] ^ keys.b[i];
    CPH_TRY(tag_of(&keys, (struct cph_span){ box, in->n }, box + in->n));
    *n = 1 + to.n + in->n + TAG;
    return CPH_OK;
}

cph_err cph_ecies_decrypt(const struct cph_key *key, struct cph_span in, struct cph_secret *out)
{
    CPH_SECRET_SCOPED d = { 0 }, shared = { 0 }, keys = { 0 };
    uint8_t to_b[POINT_MAX], tag[TAG];
    struct cph_span to, sent, box;
    enum cph_agree_group group;

    CPH_TRY(point_of(key, to_b, &to));
    CPH_TRY(scalar_of(key, &d));
    if (!group_of(key, &group))
        return CPH_E_ARGUMENT;
    if (in.n <= 1 + to.n + TAG || in.n - 1 - to.n - TAG > CPH_SECRET_MAX - MAC_KEY ||
        in.p[0] != UNCOMPRESSED)
        return CPH_E_MALFORMED;
    sent = (struct cph_span){ in.p + 1, to.n };
    box = (struct cph_span){ in.p + 1 + to.n, in.n - 1 - to.n - TAG };
    CPH_TRY(cph_agree_derive(group, &d, sent, &shared));
    CPH_TRY(keys_of(&shared, sent, to, box.n, &keys));
    CPH_TRY(tag_of(&keys, box, tag));
    if (!cph_ct_eq((struct cph_span){ tag, TAG }, (struct cph_span){ box.p + box.n, TAG }))
        return CPH_E_AUTH;
    out->n = box.n;
    for (size_t i = 0; i < box.n; i++)
        out->b[i] = box.p[i] ^ keys.b[i];
    return CPH_OK;
}

/* ---- MQV ------------------------------------------------------------------------------------- */

static cph_err mqv_key(const struct cph_secret *x, struct cph_span sent, struct cph_span begins,
                       struct cph_span answers, struct cph_secret *out)
{
    uint8_t info[3 * POINT_MAX];

    memcpy(info, sent.p, sent.n);
    memcpy(info + sent.n, begins.p, begins.n);
    memcpy(info + sent.n + begins.n, answers.p, answers.n);
    out->n = SHARED;
    return cph_hkdf(CPH_DIGEST_SHA256, cph_secret_span(x), CPH_SPAN_LIT("ECMQV"),
                    (struct cph_span){ info, sent.n + begins.n + answers.n }, out->b, out->n);
}

static cph_err same_curve(const struct cph_key *a, const struct cph_key *b,
                          enum cph_agree_group *group)
{
    return group_of(a, group) && a->kind == b->kind && a->is_private ? CPH_OK : CPH_E_ARGUMENT;
}

cph_err cph_mqv_begin(const struct cph_env *env, const struct cph_key *ours,
                      const struct cph_key *peer, uint8_t *value, size_t *n, struct cph_secret *out)
{
    CPH_SECRET_SCOPED lasting = { 0 }, now = { 0 }, x = { 0 };
    uint8_t ours_b[POINT_MAX], peer_b[POINT_MAX];
    struct cph_span us, them, sent;
    enum cph_agree_group group;

    CPH_TRY(same_curve(ours, peer, &group));
    CPH_TRY(point_of(ours, ours_b, &us));
    CPH_TRY(point_of(peer, peer_b, &them));
    CPH_TRY(scalar_of(ours, &lasting));
    CPH_TRY(cph_agree_make(env, group, 0, &now, value));
    sent = (struct cph_span){ value, us.n };
    CPH_TRY(cph_agree_mqv(group, &lasting, &now, sent, them, them, &x));
    *n = us.n;
    return mqv_key(&x, sent, us, them, out);
}

cph_err cph_mqv_finish(const struct cph_key *ours, const struct cph_key *peer,
                       struct cph_span value, struct cph_secret *out)
{
    CPH_SECRET_SCOPED lasting = { 0 }, x = { 0 };
    uint8_t ours_b[POINT_MAX], peer_b[POINT_MAX];
    struct cph_span us, them;
    enum cph_agree_group group;

    CPH_TRY(same_curve(ours, peer, &group));
    CPH_TRY(point_of(ours, ours_b, &us));
    CPH_TRY(point_of(peer, peer_b, &them));
    CPH_TRY(scalar_of(ours, &lasting));
    CPH_TRY(cph_agree_mqv(group, &lasting, &lasting, us, them, value, &x));
    return mqv_key(&x, value, them, us, out);
}

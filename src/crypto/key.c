#include "ciphony/crypto_key.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "key_int.h"

enum {
    RSA_MIN = 2048, /* RFC 9325 4.5: at least 112 bits of strength */
    RSA_MAX = 8192, /* past this, one operation is a denial of service */
    RSA_NEW = 3072,
    PEM_LINE = 64,
};

const char *cph_key_kind_name(enum cph_key_kind kind)
{
    switch (kind) {
    case CPH_KEY_EC_P256:
        return "ECDSA P-256";
    case CPH_KEY_EC_P384:
        return "ECDSA P-384";
    case CPH_KEY_RSA:
        return "RSA";
    case CPH_KEY_ED25519:
        return "Ed25519";
    }
    return "?";
}

/* ---- the object ------------------------------------------------------------------------------ */

static cph_err kind_of(EVP_PKEY *pkey, enum cph_key_kind *kind)
{
    char group[32];
    size_t n;
    int bits = EVP_PKEY_get_bits(pkey);

    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) != 1)
            return CPH_E_UNSUPPORTED; /* explicit parameters are not a named curve */
        if (strcmp(group, "prime256v1") == 0)
            *kind = CPH_KEY_EC_P256;
        else if (strcmp(group, "secp384r1") == 0)
            *kind = CPH_KEY_EC_P384;
        else
            return CPH_E_UNSUPPORTED;
        return CPH_OK;
    case EVP_PKEY_RSA:
        *kind = CPH_KEY_RSA;
        return bits >= RSA_MIN && bits <= RSA_MAX ? CPH_OK : CPH_E_UNSUPPORTED;
    case EVP_PKEY_ED25519:
        *kind = CPH_KEY_ED25519;
        return CPH_OK;
    default:
        return CPH_E_UNSUPPORTED;
    }
}

cph_err cph_key_wrap(EVP_PKEY *pkey, bool is_private, struct cph_key **out)
{
    struct cph_key *key = NULL;
    enum cph_key_kind kind;
    cph_err err = kind_of(pkey, &kind);

    if (err)
        goto out;
    key = calloc(1, sizeof *key);
    if (!key) {
        err = CPH_E_NOMEM;
        goto out;
    }
    key->pkey = pkey;
    key->kind = kind;
    key->is_private = is_private;
    atomic_init(&key->refs, 1);
    *out = key;
    pkey = NULL; /* moved */
out:
    EVP_PKEY_free(pkey);
    return err;
}

struct cph_key *cph_key_ref(const struct cph_key *key)
{
    struct cph_key *k = (struct cph_key *)key; /* the count alone moves */

    if (k)
        atomic_fetch_add(&k->refs, 1);
    return k;
}

void cph_key_free(struct cph_key *key)
{
    if (!key || atomic_fetch_sub(&key->refs, 1) != 1)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

enum cph_key_kind cph_key_kind(const struct cph_key *key)
{
    return key->kind;
}

bool cph_key_is_private(const struct cph_key *key)
{
    return key->is_private;
}

bool cph_key_eq(const struct cph_key *a, const struct cph_key *b)
{
    bool same = EVP_PKEY_eq(a->pkey, b->pkey) == 1;

    cph_crypto_drain(NULL);
    return same;
}

struct evp_pkey_st *cph_key_native(const struct cph_key *key)
{
    return key->pkey;
}

/* ---- making and loading ---------------------------------------------------------------------- */

cph_err cph_key_generate(const struct cph_env *env, enum cph_key_kind kind, struct cph_key **out)
{
    EVP_PKEY *pkey = NULL;

    switch (kind) {
    case CPH_KEY_EC_P256:
        pkey = EVP_EC_gen("P-256");
        break;
    case CPH_KEY_EC_P384:
        pkey = EVP_EC_gen("P-384");
        break;
    case CPH_KEY_RSA:
        pkey = EVP_RSA_gen(RSA_NEW);
        break;
    case CPH_KEY_ED25519:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    }
    cph_crypto_drain(env);
    if (!pkey)
        return CPH_E_CRYPTO;
    return cph_key_wrap(pkey, true, out);
}

/* Never ask on a terminal. OpenSSL's type has buf writable.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return -1;
}

static bool is_pem(struct cph_span bytes)
{
    return memmem(bytes.p, bytes.n, "-----BEGIN ", 11) != NULL;
}

static EVP_PKEY *read_pem(struct cph_span bytes, bool is_private)
{
    BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
    EVP_PKEY *pkey = NULL;

    if (!bio)
        return NULL;
    pkey = is_private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                      : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return pkey;
}

static EVP_PKEY *read_der(struct cph_span bytes, bool is_private)
{
    const uint8_t *p = bytes.p;
    EVP_PKEY *pkey = is_private ? d2i_AutoPrivateKey(NULL, &p, (long)bytes.n)
                                : d2i_PUBKEY(NULL, &p, (long)bytes.n);

    if (pkey && p != bytes.p + bytes.n) { /* something follows: not what it claims to be */
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static cph_err load(const struct cph_env *env, struct cph_span bytes, bool is_private,
                    struct cph_key **out)
{
    EVP_PKEY *pkey;

    if (bytes.n == 0 || bytes.n > (is_private ? (size_t)4 : 1) * CPH_CERT_DER_MAX)
        return CPH_E_MALFORMED;
    pkey = is_pem(bytes) ? read_pem(bytes, is_private) : read_der(bytes, is_private);
    cph_crypto_drain(env);
    if (!pkey)
        return CPH_E_MALFORMED;
    return cph_key_wrap(pkey, is_private, out);
}

cph_err cph_key_load(const struct cph_env *env, struct cph_span bytes, struct cph_key **out)
{
    return load(env, bytes, true, out);
}

cph_err cph_key_load_public(const struct cph_env *env, struct cph_span bytes, struct cph_key **out)
{
    return load(env, bytes, false, out);
}

/* ---- writing --------------------------------------------------------------------------------- */

cph_err cph_key_private_der(const struct cph_env *env, const struct cph_key *key,
                            struct cph_secret *out)
{
    PKCS8_PRIV_KEY_INFO *info;
    uint8_t *p = out->b;
    cph_err err = CPH_E_CRYPTO;
    int n;

    if (!key->is_private)
        return CPH_E_ARGUMENT;
    info = EVP_PKEY2PKCS8(key->pkey);
    n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
    if (n > (int)sizeof out->b) {
        err = CPH_E_NOSPACE;
    } else if (n > 0 && i2d_PKCS8_PRIV_KEY_INFO(info, &p) == n) {
        out->n = (size_t)n;
        err = CPH_OK;
    }
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes the key inside */
    cph_crypto_drain(env);
    return err;
}

cph_err cph_key_private_pem(const struct cph_env *env, const struct cph_key *key,
                            struct cph_secret *out)
{
    CPH_SECRET_SCOPED der = { 0 };
    CPH_SECRET_SCOPED text = { 0 };
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);
    size_t n;

    CPH_TRY(cph_key_private_der(env, key, &der));
    n = CPH_BASE64_LEN(der.n);
    if (n + 1 > sizeof text.b)
        return CPH_E_NOSPACE;
    cph_base64(cph_secret_span(&der), (char *)text.b);

    cph_wr_text(&wr, "-----BEGIN PRIVATE KEY-----\n"); /* RFC 7468 10 */
    for (size_t at = 0; at < n; at += PEM_LINE) {
        cph_wr_bytes(&wr, text.b + at, n - at < PEM_LINE ? n - at : PEM_LINE);
        cph_wr_text(&wr, "\n");
    }
    cph_wr_text(&wr, "-----END PRIVATE KEY-----\n");
    if (wr.failed) {
        cph_secret_wipe(out);
        return CPH_E_NOSPACE;
    }
    out->n = wr.n;
    return CPH_OK;
}

cph_err cph_key_public_der(const struct cph_key *key, uint8_t *out, size_t cap, size_t *n)
{
    int need = i2d_PUBKEY(key->pkey, NULL);

    cph_crypto_drain(NULL);
    if (need <= 0)
        return CPH_E_CRYPTO;
    if ((size_t)need > cap)
        return CPH_E_NOSPACE;
    if (i2d_PUBKEY(key->pkey, &out) != need)
        return CPH_E_CRYPTO;
    *n = (size_t)need;
    return CPH_OK;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static bool sig_fits(const struct cph_key *key, enum cph_sig sig)
{
    switch (sig) {
    case CPH_SIG_ECDSA:
    case CPH_SIG_ECDSA_RAW:
        return key->kind == CPH_KEY_EC_P256 || key->kind == CPH_KEY_EC_P384;
    case CPH_SIG_RSA_PKCS1:
    case CPH_SIG_RSA_PSS:
        return key->kind == CPH_KEY_RSA;
    case CPH_SIG_ED25519:
        return key->kind == CPH_KEY_ED25519;
    }
    return false;
}

static const char *digest_of(const struct cph_key *key)
{
    if (key->kind == CPH_KEY_ED25519)
        return NULL; /* hashes by itself */
    return key->kind == CPH_KEY_EC_P384 ? "SHA384" : "SHA256";
}

static size_t scalar_n(const struct cph_key *key)
{
    return key->kind == CPH_KEY_EC_P384 ? 48 : 32;
}

static EVP_MD_CTX *start(const struct cph_key *key, enum cph_sig sig, bool sign)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    int ok = 0;

    if (md)
        ok = sign ? EVP_DigestSignInit_ex(md, &pctx, digest_of(key), NULL, NULL, key->pkey, NULL)
                  : EVP_DigestVerifyInit_ex(md, &pctx, digest_of(key), NULL, NULL, key->pkey, NULL);
    if (ok == 1 && sig == CPH_SIG_RSA_PSS)
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (ok == 1)
        return md;
    EVP_MD_CTX_free(md);
    return NULL;
}

/* SEQUENCE { r INTEGER, s INTEGER } to r || s, both of full width. */
static bool raw_from_der(struct cph_span der, size_t width, uint8_t *out)
{
    const uint8_t *p = der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)width) == (int)width &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + width, (int)width) == (int)width;

    ECDSA_SIG_free(sig);
    return ok;
}

static size_t der_from_raw(struct cph_span raw, uint8_t *out, size_t cap)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.p, (int)(raw.n / 2), NULL);
    BIGNUM *s = BN_bin2bn(raw.p + raw.n / 2, (int)(raw.n / 2), NULL);
    int n = -1;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* moved into sig */
        n = i2d_ECDSA_SIG(sig, NULL);
        if (n > 0 && (size_t)n <= cap)
            n = i2d_ECDSA_SIG(sig, &out);
        else
            n = -1;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

cph_err cph_key_sign(const struct cph_env *env, const struct cph_key *key, enum cph_sig sig,
                     struct cph_span msg, uint8_t *out, size_t cap, size_t *n)
{
    uint8_t made[CPH_KEY_SIG_MAX];
    size_t made_n = sizeof made;
    EVP_MD_CTX *md;
    cph_err err = CPH_E_CRYPTO;

    if (!key->is_private || !sig_fits(key, sig))
        return CPH_E_ARGUMENT;
    md = start(key, sig, true);
    if (!md || EVP_DigestSign(md, made, &made_n, msg.p, msg.n) != 1)
        goto out;
    if (sig == CPH_SIG_ECDSA_RAW) {
        uint8_t raw[2 * 48];

        if (!raw_from_der((struct cph_span){ made, made_n }, scalar_n(key), raw))
            goto out;
        made_n = 2 * scalar_n(key);
        memcpy(made, raw, made_n);
    }
    err = made_n <= cap ? CPH_OK : CPH_E_NOSPACE;
    if (err == CPH_OK) {
        memcpy(out, made, made_n);
        *n = made_n;
    }
out:
    EVP_MD_CTX_free(md);
    cph_crypto_drain(env);
    return err;
}

cph_err cph_key_verify(const struct cph_env *env, const struct cph_key *key, enum cph_sig sig,
                       struct cph_span msg, struct cph_span signature)
{
    uint8_t der[128];
    EVP_MD_CTX *md;
    bool good;

    if (!sig_fits(key, sig))
        return CPH_E_ARGUMENT;
    if (sig == CPH_SIG_ECDSA_RAW) {
        if (signature.n != 2 * scalar_n(key))
            return CPH_E_AUTH;
        signature = (struct cph_span){ der, der_from_raw(signature, der, sizeof der) };
    }
    md = start(key, sig, false);
    if (!md) {
        cph_crypto_drain(env);
        return CPH_E_CRYPTO;
    }
    good = signature.n > 0 && EVP_DigestVerify(md, signature.p, signature.n, msg.p, msg.n) == 1;
    EVP_MD_CTX_free(md);
    cph_crypto_drain(env);
    return good ? CPH_OK : CPH_E_AUTH;
}

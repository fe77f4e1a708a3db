/* What OpenSSL does with OpenPGP's numbers: keys made of them, and signatures checked. */
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#include "crypto_int.h"
#include "pgp_int.h"

enum {
    RSA_MIN = 2048, /* as key.c has it */
    DSA_MIN = 2048,
    DSA_MAX = 3072, /* RFC 6189 7.2.1 */
    DSA_Q_MIN = 224,
    ED25519_N = 32,
    POINT_MAX = 133, /* of P-521 */
};

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct {
    uint8_t oid[10], oid_n;
    const char *group; /* NULL: Ed25519 */
    uint8_t point_n;   /* with the octet before it */
} curves[] = {
    { { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, 8, "P-256", 65 },
    { { 0x2b, 0x81, 0x04, 0x00, 0x22 }, 5, "P-384", 97 },
    { { 0x2b, 0x81, 0x04, 0x00, 0x23 }, 5, "P-521", 133 },
    { { 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01 }, 9, NULL, 33 },
};

/* Numbers under their OpenSSL names. CPH_E_MALFORMED if OpenSSL finds them to be no key. */
static cph_err from_numbers(const char *type, const struct pgp_public *key,
                            const char *const name[PGP_MPIS], EVP_PKEY **out)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = NULL;
    BIGNUM *bn[PGP_MPIS] = { NULL };
    bool ok = bld && ctx;

    for (unsigned i = 0; ok && i < key->n; i++) {
        bn[i] = BN_bin2bn(key->mpi[i].p, (int)key->mpi[i].n, NULL);
        ok = bn[i] && OSSL_PARAM_BLD_push_BN(bld, name[i], bn[i]) == 1;
    }
    params = ok ? OSSL_PARAM_BLD_to_param(bld) : NULL;
    ok = params && EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) == 1;
    OSSL_PARAM_free(params);
    for (unsigned i = 0; i < PGP_MPIS; i++)
        BN_free(bn[i]);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_BLD_free(bld);
    return ok ? CPH_OK : CPH_E_MALFORMED;
}

/* RFC 6637 6: 04 | x | y */
static cph_err from_point(const char *group, struct cph_span point, EVP_PKEY **out)
{
    OSSL_PARAM params[3];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    uint8_t copy[POINT_MAX]; /* OpenSSL's type has both writable */
    char name[8];
    bool ok;

    (void)OPENSSL_strlcpy(name, group, sizeof name);
    memcpy(copy, point.p, point.n);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, point.n);
    params[2] = OSSL_PARAM_construct_end();
    ok = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? CPH_OK : CPH_E_MALFORMED; /* off the curve */
}

static cph_err from_curve(const struct pgp_public *key, EVP_PKEY **out)
{
    struct cph_span point = key->mpi[0];

    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        if (!cph_span_eq(key->oid, (struct cph_span){ curves[i].oid, curves[i].oid_n }) ||
            !curves[i].group != (key->algo == PGP_EDDSA))
            continue;
        if (point.n != curves[i].point_n || point.p[0] != (curves[i].group ? 0x04 : 0x40))
            return CPH_E_MALFORMED;
        if (curves[i].group)
            return from_point(curves[i].group, point, out);
        *out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point.p + 1, ED25519_N);
        return *out ? CPH_OK : CPH_E_MALFORMED;
    }
    return CPH_E_UNSUPPORTED;
}

static size_t bits_of(struct cph_span number)
{
    size_t bits = 8 * number.n;

    for (uint8_t top = number.p[0]; top < 0x80; top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

cph_err pgp_pkey(const struct pgp_public *key, EVP_PKEY **out)
{
    static const char *const rsa[PGP_MPIS] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E };
    static const char *const dsa[PGP_MPIS] = { OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q,
                                               OSSL_PKEY_PARAM_FFC_G, OSSL_PKEY_PARAM_PUB_KEY };
    cph_err err = CPH_E_UNSUPPORTED;
    size_t bits;

    *out = NULL;
    switch ((enum pgp_algo)key->algo) {
    case PGP_RSA:
    case PGP_RSA_SIGN:
        /* an exponent of 64 bits is larger than any in use, and each more bit costs us time */
        if (bits_of(key->mpi[0]) >= RSA_MIN && key->mpi[1].n <= 8)
            err = from_numbers("RSA", key, rsa, out);
        break;
    case PGP_DSA:
        bits = bits_of(key->mpi[0]);
        if (bits >= DSA_MIN && bits <= DSA_MAX && bits_of(key->mpi[1]) >= DSA_Q_MIN &&
            key->mpi[1].n <= 32)
            err = from_numbers("DSA", key, dsa, out);
        break;
    case PGP_ECDSA:
    case PGP_EDDSA:
        err = from_curve(key, out);
        break;
    }
    if (err != CPH_OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
        (void)crypto_refused();
    }
    return err;
}

/* ---- digests (5.2.4) ------------------------------------------------------------------------- */

/* 9.4. What is left out is broken, or nobody has it. */
static enum cph_digest_alg hash_of(uint8_t id)
{
    switch (id) {
    case 8:
        return CPH_DIGEST_SHA256;
    case 9:
        return CPH_DIGEST_SHA384;
    case 10:
        return CPH_DIGEST_SHA512;
    default:
        return CPH_DIGEST_COUNT_;
    }
}

static cph_err add_all(struct cph_digest_ctx *d, const struct pgp_sig *sig,
                       const struct cph_span *part, size_t n)
{
    uint8_t trailer[6];
    struct cph_wr wr = cph_wr_open(trailer, sizeof trailer);

    for (size_t i = 0; i < n; i++)
        CPH_TRY(cph_digest_add(d, part[i]));
    cph_wr_u8(&wr, 4);
    cph_wr_u8(&wr, 0xff);
    cph_wr_u32(&wr, (uint32_t)sig->hashed.n);
    CPH_TRY(cph_digest_add(d, sig->hashed));
    return cph_digest_add(d, cph_wr_done(&wr));
}

static cph_err digest(enum cph_digest_alg hash, const struct pgp_sig *sig,
                      const struct cph_span *part, size_t n, uint8_t out[CPH_DIGEST_MAX])
{
    struct cph_digest_ctx *d;
    cph_err err;

    CPH_TRY(cph_digest_new(hash, &d));
    err = add_all(d, sig, part, n);
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

/* ---- signatures ------------------------------------------------------------------------------ */

/* The number in full width; 0 if it is too long for it. */
static size_t padded(struct cph_span number, size_t width, uint8_t *out)
{
    if (number.n > width)
        return 0;
    memset(out, 0, width - number.n);
    memcpy(out + width - number.n, number.p, number.n);
    return width;
}

/* SEQUENCE { r, s }, as DSA and ECDSA have it alike. */
static size_t der_of(const struct pgp_sig *sig, uint8_t *out, size_t cap)
{
    ECDSA_SIG *rs = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig->mpi[0].p, (int)sig->mpi[0].n, NULL);
    BIGNUM *s = BN_bin2bn(sig->mpi[1].p, (int)sig->mpi[1].n, NULL);
    int n = 0;

    if (rs && r && s && ECDSA_SIG_set0(rs, r, s) == 1) {
        r = s = NULL; /* moved */
        n = i2d_ECDSA_SIG(rs, NULL);
        n = n > 0 && (size_t)n <= cap ? i2d_ECDSA_SIG(rs, &out) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(rs);
    return n > 0 ? (size_t)n : 0;
}

static bool verify_digest(EVP_PKEY *pkey, bool rsa, enum cph_digest_alg hash, const uint8_t *md,
                          const uint8_t *sig, size_t n)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    const EVP_MD *alg = hash == CPH_DIGEST_SHA256   ? EVP_sha256()
                        : hash == CPH_DIGEST_SHA384 ? EVP_sha384()
                                                    : EVP_sha512();
    bool ok = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
              (!rsa || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1) &&
              EVP_PKEY_CTX_set_signature_md(ctx, alg) == 1 &&
              EVP_PKEY_verify(ctx, sig, n, md, cph_digest_size(hash)) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* Ed25519 signs the digest as if it were the message. */
static bool verify_ed25519(EVP_PKEY *pkey, enum cph_digest_alg hash, const uint8_t *md,
                           const uint8_t *sig, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
              EVP_DigestVerify(ctx, sig, n, md, cph_digest_size(hash)) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool verify(EVP_PKEY *pkey, uint8_t algo, const struct pgp_sig *sig,
                   enum cph_digest_alg hash, const uint8_t *md)
{
    uint8_t raw[PGP_NUMBER];
    size_t n;

    switch ((enum pgp_algo)algo) {
    case PGP_RSA:
    case PGP_RSA_SIGN:
        n = (size_t)EVP_PKEY_get_size(pkey);
        return n <= sizeof raw && padded(sig->mpi[0], n, raw) > 0 &&
               verify_digest(pkey, true, hash, md, raw, n);
    case PGP_DSA:
    case PGP_ECDSA:
        n = sig->mpi[0].n <= 66 && sig->mpi[1].n <= 66 ? der_of(sig, raw, sizeof raw) : 0;
        return n > 0 && verify_digest(pkey, false, hash, md, raw, n);
    case PGP_EDDSA:
        return padded(sig->mpi[0], ED25519_N, raw) > 0 &&
               padded(sig->mpi[1], ED25519_N, raw + ED25519_N) > 0 &&
               verify_ed25519(pkey, hash, md, raw, (size_t)2 * ED25519_N);
    }
    return false;
}

cph_err pgp_check(EVP_PKEY *pkey, uint8_t algo, const struct pgp_sig *sig,
                  const struct cph_span *part, size_t n)
{
    enum cph_digest_alg hash = hash_of(sig->hash);
    uint8_t md[CPH_DIGEST_MAX];
    bool ok;

    if (hash == CPH_DIGEST_COUNT_) /* RFC 6189 7.2 MUST: no SHA-1 */
        return CPH_E_UNSUPPORTED;
    /* An RSA key may call itself by two numbers, and its signatures by either. */
    if (sig->algo != algo && (sig->algo > PGP_RSA_SIGN || algo > PGP_RSA_SIGN))
        return CPH_E_AUTH;
    CPH_TRY(digest(hash, sig, part, n, md));
    /* 5.2.3: the quick test */
    if (memcmp(md, sig->left, sizeof sig->left) != 0) /* public */
        return CPH_E_AUTH;
    ok = verify(pkey, algo, sig, hash, md);
    if (!ok)
        (void)crypto_refused();
    return ok ? CPH_OK : CPH_E_AUTH;
}

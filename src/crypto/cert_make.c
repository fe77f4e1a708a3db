#include "ciphony/crypto_key.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "key_int.h"

enum { SERIAL = 16 }; /* bytes; RFC 5280 4.1.2.2 allows 20 */

static bool set_serial(const struct cph_env *env, X509 *x)
{
    uint8_t raw[SERIAL];
    BIGNUM *bn;
    bool ok;

    if (cph_random(env, raw, sizeof raw) != CPH_OK)
        return false;
    raw[0] = (uint8_t)((raw[0] & 0x7f) |
                       0x40); /* RFC 5280 4.1.2.2 MUST: positive, at most 20 octets */
    bn = BN_bin2bn(raw, sizeof raw, NULL);
    ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
    BN_free(bn);
    return ok;
}

/* issuer NULL: its own. */
static bool set_names(X509 *x, const char *cn, const struct cph_cert *issuer)
{
    X509_NAME *name = X509_get_subject_name(x);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) &&
           X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer->leaf) : name);
}

/* RFC 5280 4.1.2.5 MUST: UTCTime through 2049, GeneralizedTime after; the library chooses. */
static bool set_dates(X509 *x, const struct cph_cert_spec *spec)
{
    return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)spec->not_before) &&
           ASN1_TIME_set(X509_getm_notAfter(x), (time_t)spec->not_after);
}

static bool add_ext(X509 *x, int nid, void *value, int critical)
{
    return X509_add1_ext_i2d(x, nid, value, critical, X509V3_ADD_DEFAULT) == 1;
}

/* RFC 5280 4.2.1.3: keyCertSign of an authority; of a device digitalSignature, and what lets one
 * encrypt to it (crypto_cms.h): keyEncipherment (RSA) or keyAgreement. */
static bool add_usage(X509 *x, enum cph_key_kind kind, bool authority)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new(); /* new is "no CA" */
    ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
    bool ok = bc && ku && ASN1_BIT_STRING_set_bit(ku, authority ? 5 : 0, 1);

    if (ok && authority)
        bc->ca = 0xff;
    else if (ok && kind != CPH_KEY_ED25519)
        ok = ASN1_BIT_STRING_set_bit(ku, kind == CPH_KEY_RSA ? 2 : 4, 1);
    ok = ok && add_ext(x, NID_basic_constraints, bc, 1) && add_ext(x, NID_key_usage, ku, 1);
    BASIC_CONSTRAINTS_free(bc);
    ASN1_BIT_STRING_free(ku);
    return ok;
}

static GENERAL_NAME *general_name(const struct cph_cert_name *name)
{
    static const struct {
        int general, string;
    } type[] = {
        [CPH_NAME_URI] = { GEN_URI, V_ASN1_IA5STRING },
        [CPH_NAME_DNS] = { GEN_DNS, V_ASN1_IA5STRING },
        [CPH_NAME_EMAIL] = { GEN_EMAIL, V_ASN1_IA5STRING },
        [CPH_NAME_IP] = { GEN_IPADD, V_ASN1_OCTET_STRING },
    };
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_STRING *s = ASN1_STRING_type_new(type[name->kind].string);

    if (!g || !s || !ASN1_STRING_set(s, name->text.p, (int)name->text.n)) {
        GENERAL_NAME_free(g);
        ASN1_STRING_free(s);
        return NULL;
    }
    GENERAL_NAME_set0_value(g, type[name->kind].general, s);
    return g;
}

static bool add_san(X509 *x, const struct cph_cert_spec *spec)
{
    GENERAL_NAMES *names;
    bool ok;

    if (spec->n_san == 0)
        return true;
    names = sk_GENERAL_NAME_new_null();
    ok = names != NULL;
    for (size_t i = 0; i < spec->n_san && ok; i++) {
        GENERAL_NAME *g = general_name(&spec->san[i]);

        ok = g && sk_GENERAL_NAME_push(names, g) > 0;
        if (!ok)
            GENERAL_NAME_free(g);
    }
    ok = ok && add_ext(x, NID_subject_alt_name, names, 0);
    GENERAL_NAMES_free(names);
    return ok;
}

/* A name that cannot stand in a certificate, or would not read back as what it is. */
static bool name_ok(const struct cph_cert_name *name)
{
    switch (name->kind) {
    case CPH_NAME_IP:
        return name->text.n == 4 || name->text.n == 16;
    case CPH_NAME_URI:
    case CPH_NAME_DNS:
    case CPH_NAME_EMAIL:
        break;
    }
    if (name->text.n == 0 || name->text.n > CPH_CERT_TEXT)
        return false;
    for (size_t i = 0; i < name->text.n; i++) {
        if (name->text.p[i] <= ' ' ||
            name->text.p[i] >= 0x7f) /* IA5String, and no blank in a name */
            return false;
    }
    return true;
}

static cph_err check_spec(const struct cph_cert_spec *spec, const char *cn)
{
    if (spec->not_after <= spec->not_before || spec->n_san > CPH_CERT_NAMES_MAX)
        return CPH_E_ARGUMENT;
    if (cn[0] == '\0' || strlen(cn) > 64) /* RFC 5280 A.1 ub-common-name */
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < spec->n_san; i++) {
        if (!name_ok(&spec->san[i]))
            return CPH_E_ARGUMENT;
    }
    return CPH_OK;
}

static const EVP_MD *digest_of(const struct cph_key *signer)
{
    if (signer->kind == CPH_KEY_ED25519)
        return NULL;
    return signer->kind == CPH_KEY_EC_P384 ? EVP_sha384() : EVP_sha256();
}

/* issuer NULL: signed by itself. What goes out is read back from its bytes: the library keeps those
 * of a certificate it read, and would encode one it made anew for each handshake. */
static cph_err make(const struct cph_env *env, const struct cph_key *key, bool authority,
                    const struct cph_cert_spec *spec, const struct cph_key *signer,
                    const struct cph_cert *issuer, struct cph_cert **out)
{
    const char *cn = spec->cn ? spec->cn : "ciphony";
    struct cph_cert *made = NULL;
    X509 *x;
    cph_err err;

    if (!signer->is_private)
        return CPH_E_ARGUMENT;
    CPH_TRY(check_spec(spec, cn));
    x = X509_new();
    if (!x || !X509_set_version(x, X509_VERSION_3) || !set_serial(env, x) ||
        !set_names(x, cn, issuer) || !set_dates(x, spec) || !X509_set_pubkey(x, key->pkey) ||
        !add_usage(x, key->kind, authority) || !add_san(x, spec) ||
        X509_sign(x, signer->pkey, digest_of(signer)) <= 0) {
        X509_free(x);
        cph_crypto_drain(env);
        return CPH_E_CRYPTO;
    }
    err = cph_cert_wrap(x, &made);
    if (err == CPH_OK)
        err = cph_cert_parse(env, cph_cert_der(made), out);
    cph_cert_free(made);
    cph_crypto_drain(env);
    return err;
}

cph_err cph_cert_self_signed(const struct cph_env *env, const struct cph_key *key,
                             const struct cph_cert_spec *spec, struct cph_cert **out)
{
    return make(env, key, false, spec, key, NULL, out);
}

cph_err cph_cert_issue(const struct cph_env *env, const struct cph_key *issuer_key,
                       const struct cph_cert *issuer, const struct cph_key *key,
                       const struct cph_cert_spec *spec, struct cph_cert **out)
{
    if (!issuer)
        return make(env, issuer_key, true, spec, issuer_key, NULL, out);
    if (!cph_cert_has_key(issuer, issuer_key))
        return CPH_E_ARGUMENT;
    return make(env, key, false, spec, issuer_key, issuer, out);
}

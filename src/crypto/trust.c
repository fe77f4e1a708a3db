#include "ciphony/crypto_key.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key_int.h"

enum {
    AUTH_LEVEL = 2,        /* at least 112 bits: no SHA-1 signature, no RSA below 2048 */
    ANCHORS_MAX = 4194304, /* bytes of a PEM file of anchors */
};

cph_err cph_trust_new(struct cph_trust **out)
{
    struct cph_trust *t = calloc(1, sizeof *t);

    if (!t)
        return CPH_E_NOMEM;
    t->store = X509_STORE_new();
    if (!t->store) {
        free(t);
        cph_crypto_drain(NULL);
        return CPH_E_NOMEM;
    }
    atomic_init(&t->refs, 1);
    *out = t;
    return CPH_OK;
}

struct cph_trust *cph_trust_ref(const struct cph_trust *trust)
{
    struct cph_trust *t = (struct cph_trust *)trust; /* the count alone moves */

    if (t)
        atomic_fetch_add(&t->refs, 1);
    return t;
}

void cph_trust_free(struct cph_trust *trust)
{
    if (!trust || atomic_fetch_sub(&trust->refs, 1) != 1)
        return;
    X509_STORE_free(trust->store);
    free(trust);
}

cph_err cph_trust_add(struct cph_trust *trust, const struct cph_cert *cert)
{
    int ok = X509_STORE_add_cert(trust->store, cert->leaf); /* twice is fine */

    cph_crypto_drain(NULL);
    return ok == 1 ? CPH_OK : CPH_E_NOMEM;
}

static cph_err add_all(struct cph_trust *trust, BIO *bio, size_t *n)
{
    cph_err err;
    X509 *x;

    *n = 0;
    while ((err = cph_cert_next_pem(bio, &x)) == CPH_OK) {
        int ok = X509_STORE_add_cert(trust->store, x);

        X509_free(x);
        if (ok != 1)
            return CPH_E_NOMEM;
        ++*n;
    }
    if (err != CPH_E_NOTFOUND)
        return err;
    return *n > 0 ? CPH_OK : CPH_E_MALFORMED;
}

cph_err cph_trust_add_pem(const struct cph_env *env, struct cph_trust *trust, struct cph_span pem,
                          size_t *n)
{
    BIO *bio;
    size_t added;
    cph_err err;

    if (pem.n == 0 || pem.n > ANCHORS_MAX)
        return CPH_E_MALFORMED;
    bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!bio)
        return CPH_E_NOMEM;
    err = add_all(trust, bio, &added);
    BIO_free(bio);
    cph_crypto_drain(env);
    if (n)
        *n = added;
    return err;
}

cph_err cph_trust_add_path(const struct cph_env *env, struct cph_trust *trust, const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    cph_err err = CPH_E_CONFIG;
    size_t n;
    char c;

    if (bio && BIO_read(bio, &c, 1) == 1) {
        if (BIO_reset(bio) == 0 && add_all(trust, bio, &n) == CPH_OK)
            err = CPH_OK;
    } else if (bio && X509_STORE_load_path(trust->store, path) == 1) {
        err = CPH_OK; /* it opens but does not read: a directory */
    }
    BIO_free(bio);
    cph_crypto_drain(env);
    return err;
}

/* ---- path validation ------------------------------------------------------------------------- */

/* RFC 5922 7.1 MUST: heed extendedKeyUsage. RFC 5924 4: id-kp-sipDomain is the one made for us;
 * what public authorities issue carries serverAuth and clientAuth, which local policy accepts too.
 */
static bool eku_allows(X509 *x, enum cph_cert_purpose purpose)
{
    EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    bool ok = false;

    if (!eku)
        return X509_get_ext_by_NID(x, NID_ext_key_usage, -1) < 0;
    for (int i = 0; i < sk_ASN1_OBJECT_num(eku) && !ok; i++) {
        const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(eku, i);
        char oid[32];

        OBJ_obj2txt(oid, sizeof oid, o, 1);
        ok = OBJ_obj2nid(o) == NID_anyExtendedKeyUsage ||
             strcmp(oid, "1.3.6.1.5.5.7.3.20") == 0 /* id-kp-sipDomain */ ||
             (purpose == CPH_PURPOSE_TLS_SERVER && OBJ_obj2nid(o) == NID_server_auth) ||
             (purpose == CPH_PURPOSE_TLS_CLIENT && OBJ_obj2nid(o) == NID_client_auth);
    }
    EXTENDED_KEY_USAGE_free(eku);
    return ok;
}

static bool usage_ok(X509_STORE_CTX *ctx, enum cph_cert_purpose purpose, char why[CPH_CERT_WHY])
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    int n = sk_X509_num(chain);

    if (purpose == CPH_PURPOSE_ANY)
        return true;
    if (!(X509_get_key_usage(sk_X509_value(chain, 0)) & KU_DIGITAL_SIGNATURE)) {
        (void)snprintf(why, CPH_CERT_WHY, "the certificate's key usage does not allow signatures");
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (i > 0 && i == n - 1)
            break; /* the anchor is trusted for what it is */
        if (!eku_allows(sk_X509_value(chain, i), purpose)) {
            (void)snprintf(why, CPH_CERT_WHY,
                           "extended key usage does not allow this purpose (certificate %d)", i);
            return false;
        }
    }
    return true;
}

static cph_err say_why(X509_STORE_CTX *ctx, char why[CPH_CERT_WHY])
{
    int e = X509_STORE_CTX_get_error(ctx);

    (void)snprintf(why, CPH_CERT_WHY, "%s (certificate %d of the chain)",
                   X509_verify_cert_error_string(e), X509_STORE_CTX_get_error_depth(ctx));
    switch (e) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CPH_E_EXPIRED;
    case X509_V_ERR_OUT_OF_MEM:
        return CPH_E_NOMEM;
    default:
        return CPH_E_CERT;
    }
}

static STACK_OF(X509) * untrusted(const struct cph_cert *cert)
{
    STACK_OF(X509) *sk = sk_X509_new_null();

    for (size_t i = 0; sk && i < cert->n_chain; i++) {
        if (sk_X509_push(sk, cert->chain[i]) <= 0) {
            sk_X509_free(sk);
            return NULL;
        }
    }
    return sk;
}

cph_err cph_cert_verify(const struct cph_env *env, const struct cph_cert *cert,
                        const struct cph_trust *trust, enum cph_cert_purpose purpose, int64_t wall,
                        char why[CPH_CERT_WHY])
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *more = untrusted(cert);
    cph_err err = CPH_E_NOMEM;

    why[0] = '\0';
    if (ctx && more && X509_STORE_CTX_init(ctx, trust->store, cert->leaf, more) == 1) {
        X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);

        X509_VERIFY_PARAM_set_time(p, (time_t)wall);
        X509_VERIFY_PARAM_set_flags(p,
                                    X509_V_FLAG_PARTIAL_CHAIN); /* an anchor need not be a root */
        X509_VERIFY_PARAM_set_depth(p, CPH_CERT_CHAIN_MAX);
        X509_VERIFY_PARAM_set_auth_level(p, AUTH_LEVEL);
        if (X509_verify_cert(ctx) != 1)
            err = say_why(ctx, why);
        else
            err = usage_ok(ctx, purpose, why) ? CPH_OK : CPH_E_CERT;
    }
    X509_STORE_CTX_free(ctx);
    sk_X509_free(more);
    cph_crypto_drain(env);
    return err;
}

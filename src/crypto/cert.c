#include "ciphony/crypto_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "key_int.h"

enum {
    CERT_ARENA = 4 * CPH_CERT_DER_MAX, /* der, names and texts of one certificate */
    PEM_MAX = 262144,                  /* bytes of a PEM text with a whole chain */
};

/* ---- the object ------------------------------------------------------------------------------ */

static int64_t seconds_of(const ASN1_TIME *t, int64_t broken)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : broken;
}

static cph_err keep_der(struct cph_cert *cert)
{
    uint8_t *der = NULL;
    int n = i2d_X509(cert->leaf, &der);

    if (n <= 0)
        return CPH_E_MALFORMED;
    if (n <= CPH_CERT_DER_MAX)
        cert->der = cph_arena_copy(cert->arena, (struct cph_span){ der, (size_t)n });
    OPENSSL_free(der);
    if (n > CPH_CERT_DER_MAX)
        return CPH_E_LIMIT;
    return cert->der.p ? CPH_OK : CPH_E_NOMEM;
}

cph_err cph_cert_wrap(X509 *leaf, struct cph_cert **out)
{
    struct cph_cert *cert = calloc(1, sizeof *cert);
    cph_err err;

    if (!cert) {
        X509_free(leaf);
        return CPH_E_NOMEM;
    }
    atomic_init(&cert->refs, 1);
    cert->leaf = leaf;
    err = cph_arena_new(CERT_ARENA, &cert->arena);
    if (err)
        goto out;
    err = keep_der(cert);
    if (err)
        goto out;
    err = cph_cert_read_names(cert);
    if (err)
        goto out;
    /* A date that cannot be read is never within the validity. */
    cert->not_before = seconds_of(X509_get0_notBefore(leaf), INT64_MAX);
    cert->not_after = seconds_of(X509_get0_notAfter(leaf), INT64_MIN);
    *out = cert;
    cert = NULL; /* moved to the caller */
out:
    cph_crypto_drain(NULL);
    cph_cert_free(cert);
    return err;
}

struct cph_cert *cph_cert_ref(const struct cph_cert *cert)
{
    struct cph_cert *c = (struct cph_cert *)cert; /* the count alone moves */

    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void cph_cert_free(struct cph_cert *cert)
{
    if (!cert || atomic_fetch_sub(&cert->refs, 1) != 1)
        return;
    X509_free(cert->leaf);
    for (size_t i = 0; i < cert->n_chain; i++)
        X509_free(cert->chain[i]);
    cph_arena_free(cert->arena);
    free(cert);
}

cph_err cph_cert_from_native(struct x509_st *leaf, struct x509_st *const *chain, size_t n,
                             struct cph_cert **out)
{
    struct cph_cert *cert = NULL;

    if (n > CPH_CERT_CHAIN_MAX)
        return CPH_E_LIMIT;
    X509_up_ref(leaf);
    CPH_TRY(cph_cert_wrap(leaf, &cert));
    for (size_t i = 0; i < n; i++) {
        X509_up_ref(chain[i]);
        cert->chain[cert->n_chain++] = chain[i];
    }
    *out = cert;
    return CPH_OK;
}

struct x509_st *cph_cert_native(const struct cph_cert *cert)
{
    return cert->leaf;
}

struct x509_st *cph_cert_native_chain(const struct cph_cert *cert, size_t i)
{
    return i < cert->n_chain ? cert->chain[i] : NULL;
}

struct cph_span cph_cert_der(const struct cph_cert *cert)
{
    return cert->der;
}

size_t cph_cert_chain_n(const struct cph_cert *cert)
{
    return cert->n_chain;
}

bool cph_cert_eq(const struct cph_cert *a, const struct cph_cert *b)
{
    return cph_span_eq(a->der, b->der);
}

bool cph_cert_is_self_issued(const struct cph_cert *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(cert->leaf), X509_get_issuer_name(cert->leaf)) == 0;
}

bool cph_cert_has_key(const struct cph_cert *cert, const struct cph_key *key)
{
    EVP_PKEY *pkey = X509_get0_pubkey(cert->leaf);
    bool same = pkey && EVP_PKEY_eq(pkey, key->pkey) == 1;

    cph_crypto_drain(NULL);
    return same;
}

cph_err cph_cert_key(const struct cph_env *env, const struct cph_cert *cert, struct cph_key **out)
{
    EVP_PKEY *pkey = X509_get_pubkey(cert->leaf);

    cph_crypto_drain(env);
    return pkey ? cph_key_wrap(pkey, false, out) : CPH_E_UNSUPPORTED;
}

void cph_cert_validity(const struct cph_cert *cert, int64_t *not_before, int64_t *not_after)
{
    *not_before = cert->not_before;
    *not_after = cert->not_after;
}

cph_err cph_cert_in_time(const struct cph_cert *cert, int64_t wall)
{
    return wall >= cert->not_before && wall <= cert->not_after ? CPH_OK : CPH_E_EXPIRED;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The next PEM certificate, whatever stands before it; CPH_E_NOTFOUND at the end. */
cph_err cph_cert_next_pem(BIO *bio, X509 **out)
{
    for (;;) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long n = 0;
        X509 *x = NULL;
        bool is_cert;

        if (PEM_read_bio(bio, &name, &header, &data, &n) != 1) {
            unsigned long e = ERR_peek_last_error();

            return ERR_GET_REASON(e) == PEM_R_NO_START_LINE ? CPH_E_NOTFOUND : CPH_E_MALFORMED;
        }
        is_cert = strcmp(name, PEM_STRING_X509) == 0;
        if (is_cert) {
            const unsigned char *p = data;

            x = d2i_X509(NULL, &p, n);
            if (x && p != data + n) {
                X509_free(x);
                x = NULL;
            }
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)n); /* it may have been a private key */
        if (is_cert) {
            *out = x;
            return x ? CPH_OK : CPH_E_MALFORMED;
        }
    }
}

static cph_err parse_pem(struct cph_span bytes, struct cph_cert **out)
{
    BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
    struct cph_cert *cert = NULL;
    X509 *x = NULL;
    cph_err err;

    if (!bio)
        return CPH_E_NOMEM;
    err = cph_cert_next_pem(bio, &x);
    if (err == CPH_OK)
        err = cph_cert_wrap(x, &cert);
    while (err == CPH_OK) {
        err = cph_cert_next_pem(bio, &x);
        if (err == CPH_OK && cert->n_chain == CPH_CERT_CHAIN_MAX) {
            X509_free(x);
            err = CPH_E_LIMIT;
        } else if (err == CPH_OK) {
            cert->chain[cert->n_chain++] = x;
        }
    }
    BIO_free(bio);
    if (cert && err == CPH_E_NOTFOUND) { /* the text ended after at least one */
        *out = cert;
        return CPH_OK;
    }
    cph_cert_free(cert);
    return err == CPH_E_NOTFOUND ? CPH_E_MALFORMED : err;
}

static cph_err parse_der(struct cph_span bytes, struct cph_cert **out)
{
    const uint8_t *p = bytes.p;
    X509 *x = d2i_X509(NULL, &p, (long)bytes.n);
    struct cph_cert *cert = NULL;

    if (!x)
        return CPH_E_MALFORMED;
    CPH_TRY(cph_cert_wrap(x, &cert));
    /* What we would print is what came: no bytes behind it, and no encoding that is not DER. */
    if (!cph_span_eq(cert->der, bytes)) {
        cph_cert_free(cert);
        return CPH_E_MALFORMED;
    }
    *out = cert;
    return CPH_OK;
}

cph_err cph_cert_parse(const struct cph_env *env, struct cph_span bytes, struct cph_cert **out)
{
    cph_err err;

    if (bytes.n == 0)
        return CPH_E_MALFORMED;
    if (bytes.p[0] == 0x30) /* SEQUENCE; no PEM text begins with '0' */
        err = bytes.n > CPH_CERT_DER_MAX ? CPH_E_LIMIT : parse_der(bytes, out);
    else
        err = bytes.n > PEM_MAX ? CPH_E_LIMIT : parse_pem(bytes, out);
    cph_crypto_drain(env);
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

cph_err cph_cert_pem(const struct cph_cert *cert, char *out, size_t cap, size_t *n)
{
    BIO *bio = BIO_new(BIO_s_mem());
    cph_err err = bio ? CPH_OK : CPH_E_NOMEM;
    char *text = NULL;
    long len = 0;

    if (bio && PEM_write_bio_X509(bio, cert->leaf) != 1)
        err = CPH_E_CRYPTO;
    for (size_t i = 0; i < cert->n_chain && err == CPH_OK; i++) {
        if (PEM_write_bio_X509(bio, cert->chain[i]) != 1)
            err = CPH_E_CRYPTO;
    }
    if (err == CPH_OK) {
        len = BIO_get_mem_data(bio, &text);
        if (len < 0 || (size_t)len >= cap)
            err = CPH_E_NOSPACE;
    }
    if (err == CPH_OK) {
        memcpy(out, text, (size_t)len);
        out[len] = '\0';
        *n = (size_t)len;
    }
    BIO_free(bio);
    cph_crypto_drain(NULL);
    return err;
}

static const char *one_line(X509_NAME *name, char out[CPH_CERT_TEXT])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;

    out[0] = '\0';
    if (bio && X509_NAME_print_ex(bio, name, 0,
                                  XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(bio, out, CPH_CERT_TEXT - 1);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
    cph_crypto_drain(NULL);
    return out;
}

const char *cph_cert_subject(const struct cph_cert *cert, char out[CPH_CERT_TEXT])
{
    return one_line(X509_get_subject_name(cert->leaf), out);
}

const char *cph_cert_issuer(const struct cph_cert *cert, char out[CPH_CERT_TEXT])
{
    return one_line(X509_get_issuer_name(cert->leaf), out);
}

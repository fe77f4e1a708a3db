/* Ciphony: private face of keys, certificates and trust. */
#ifndef CPH_CRYPTO_KEY_INT_H
#define CPH_CRYPTO_KEY_INT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "ciphony/crypto_key.h"
#include "ciphony/crypto_native.h"

struct cph_key {
    atomic_uint refs;
    EVP_PKEY *pkey;
    enum cph_key_kind kind;
    bool is_private;
};

struct cph_cert {
    atomic_uint refs;
    X509 *leaf;
    X509 *chain[CPH_CERT_CHAIN_MAX];
    size_t n_chain;
    struct cph_arena *arena; /* der, names and texts live here */
    struct cph_span der;
    int64_t not_before, not_after;
    bool has_san; /* the extension is there, even if we use none of its entries */
    struct cph_cert_name *san;
    size_t n_san;
    struct cph_span cn[4]; /* UTF-8, the most specific last */
    size_t n_cn;
};

struct cph_trust {
    atomic_uint refs;
    X509_STORE *store;
};

/* Takes over pkey, also on error. */
cph_err cph_key_wrap(EVP_PKEY *pkey, bool is_private, struct cph_key **out);
/* Takes over leaf, also on error. */
cph_err cph_cert_wrap(X509 *leaf, struct cph_cert **out);
/* Fill san, n_san, cn, n_cn from the leaf. */
cph_err cph_cert_read_names(struct cph_cert *cert);
/* One PEM certificate out of *rest; CPH_E_NOTFOUND when there is none left. */
cph_err cph_cert_next_pem(BIO *bio, X509 **out);

#endif

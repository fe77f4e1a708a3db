/* Ciphony: the OpenSSL objects below a key and a certificate. For the room stream/ alone. */
#ifndef CPH_CRYPTO_NATIVE_H
#define CPH_CRYPTO_NATIVE_H

#include "ciphony/crypto_key.h"

struct evp_pkey_st;
struct x509_st;

/** The EVP_PKEY or X509 inside; borrowed, dies with its owner. */
CPH_API struct evp_pkey_st *cph_key_native(const struct cph_key *key);
CPH_API struct x509_st *cph_cert_native(const struct cph_cert *cert);
CPH_API struct x509_st *cph_cert_native_chain(const struct cph_cert *cert,
                                              size_t i); /* NULL past */
/** A certificate from an X509 and those behind it; takes references of its own. CPH_E_LIMIT. */
CPH_API CPH_MUST_CHECK cph_err cph_cert_from_native(struct x509_st *leaf,
                                                    struct x509_st *const *chain, size_t n,
                                                    struct cph_cert **out);

#endif

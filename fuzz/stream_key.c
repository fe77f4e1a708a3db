/*
 * A public key as it stands in a certificate: what handshakes read (src/stream/narrow.c, and
 * ec_key.c before OpenSSL's decoder) is what OpenSSL reads, and no key where it reads none.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "../src/stream/stream_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Read keys print as the same bytes; that says more than EVP_PKEY_eq(), which cannot compare
 * a point at infinity. */
static void compare(const EVP_PKEY *a, const EVP_PKEY *b)
{
    uint8_t *der[2] = { NULL, NULL };
    int len[2] = { i2d_PUBKEY(a, &der[0]), i2d_PUBKEY(b, &der[1]) };

    if (len[0] != len[1] || (len[0] > 0 && memcmp(der[0], der[1], (size_t)len[0]) != 0))
        abort();
    OPENSSL_free(der[0]);
    OPENSSL_free(der[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const unsigned char *p = data, *q = data;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, (long)n, stream_narrow(), NULL);
    EVP_PKEY *usual = d2i_PUBKEY(NULL, &q, (long)n);

    if (key && (!usual || p != q))
        abort();
    if (!key && usual && EVP_PKEY_get_base_id(usual) == EVP_PKEY_EC)
        abort();
    if (key)
        compare(key, usual);
    EVP_PKEY_free(key);
    EVP_PKEY_free(usual);
    cph_crypto_drain(NULL);
    return 0;
}

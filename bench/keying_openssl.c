/* What DTLS-SRTP costs without us: OpenSSL's handshake over two pieces of memory, with the
 * versions, groups, ciphers and certificates of src/stream; and its public-key operations one by
 * one. */
#include "keying_bench.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "ciphony/crypto_native.h"

enum { MTU = 1200 };

static SSL_CTX *ctx[2]; /* client, server */

static int any_certificate(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1; /* who it is says the fingerprint in the signalling */
}

static void need(bool ok, const char *what)
{
    if (!ok)
        bench_die(what, "OpenSSL");
}

void bench_openssl_open(void)
{
    for (int i = 0; i < 2; i++) {
        enum lab_person who = i ? LAB_BOB : LAB_ALICE;

        ctx[i] = SSL_CTX_new(DTLS_method());
        need(ctx[i] != NULL, "no context");
        SSL_CTX_set_options(ctx[i], SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                        SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
        SSL_CTX_set_session_cache_mode(ctx[i], SSL_SESS_CACHE_OFF);
        SSL_CTX_set_verify(ctx[i], SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_cert_verify_callback(ctx[i], any_certificate, NULL);
        need(SSL_CTX_set_min_proto_version(ctx[i], DTLS1_2_VERSION) &&
                 SSL_CTX_set_cipher_list(ctx[i], "ECDHE+AESGCM:ECDHE+CHACHA20") &&
                 SSL_CTX_set1_groups_list(ctx[i], "X25519:P-256:P-384") &&
                 SSL_CTX_use_certificate(ctx[i], cph_cert_native(lab_cert(who))) == 1 &&
                 SSL_CTX_use_PrivateKey(ctx[i], cph_key_native(lab_key(who))) == 1 &&
                 SSL_CTX_set_tlsext_use_srtp(ctx[i], "SRTP_AEAD_AES_128_GCM") == 0,
             "a setting was refused");
    }
}

void bench_openssl_close(void)
{
    for (int i = 0; i < 2; i++)
        SSL_CTX_free(ctx[i]);
}

void bench_openssl_handshake(void)
{
    BIO *wire[2] = { BIO_new(BIO_s_mem()),
                     BIO_new(BIO_s_mem()) }; /* to the client, to the server */
    uint8_t key[60];
    SSL *ssl[2];

    for (int i = 0; i < 2; i++) {
        ssl[i] = SSL_new(ctx[i]);
        need(ssl[i] && wire[i], "no memory");
        BIO_set_mem_eof_return(wire[i], -1);
        SSL_set_mtu(ssl[i], MTU);
    }
    for (int i = 0; i < 2; i++) {
        need(BIO_up_ref(wire[0]) && BIO_up_ref(wire[1]), "no memory");
        SSL_set_bio(ssl[i], wire[i], wire[1 - i]);
    }
    SSL_set_connect_state(ssl[0]);
    SSL_set_accept_state(ssl[1]);
    for (int turn = 0; turn < 20 && !(SSL_is_init_finished(ssl[0]) && SSL_is_init_finished(ssl[1]));
         turn++)
        (void)SSL_do_handshake(ssl[turn % 2]);
    for (int i = 0; i < 2; i++) {
        need(SSL_is_init_finished(ssl[i]), "a handshake did not end");
        need(SSL_export_keying_material(ssl[i], key, sizeof key, "EXTRACTOR-dtls_srtp", 19, NULL, 0,
                                        0) == 1,
             "no keys");
    }
    for (int i = 0; i < 2; i++) {
        SSL_free(ssl[i]);
        BIO_free(wire[i]);
    }
}

/* ---- the operations alone -------------------------------------------------------------------- */

/* What came from the other end: as it stands on the wire, or as OpenSSL's object. */
static EVP_PKEY *ephemeral(EVP_PKEY *theirs, bool wire)
{
    uint8_t point[32];
    size_t n = sizeof point;

    if (!wire) {
        need(EVP_PKEY_up_ref(theirs) == 1, "no reference");
        return theirs;
    }
    need(EVP_PKEY_get_raw_public_key(theirs, point, &n) == 1, "no point");
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, n);
}

static void agree(bool wire)
{
    EVP_PKEY *k[2] = { EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                       EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };

    for (int i = 0; i < 2; i++) {
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k[i], NULL);
        EVP_PKEY *peer = ephemeral(k[1 - i], wire);
        uint8_t out[32];
        size_t n = sizeof out;

        need(c && peer && EVP_PKEY_derive_init(c) > 0 && EVP_PKEY_derive_set_peer(c, peer) > 0 &&
                 EVP_PKEY_derive(c, out, &n) > 0,
             "no agreement");
        EVP_PKEY_CTX_free(c);
        EVP_PKEY_free(peer);
    }
    EVP_PKEY_free(k[0]);
    EVP_PKEY_free(k[1]);
}

static X509 *certificate(enum lab_person who, bool wire)
{
    struct cph_span der = cph_cert_der(lab_cert(who));
    const unsigned char *at = der.p;
    X509 *x;

    if (wire)
        return d2i_X509(NULL, &at, (long)der.n);
    x = cph_cert_native(lab_cert(who));
    need(X509_up_ref(x) == 1, "no reference");
    return x;
}

static void sign_and_verify(enum lab_person who, bool wire)
{
    static const uint8_t text[64];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    X509 *x = certificate(who, wire);
    uint8_t sig[128];
    size_t n = sizeof sig;

    need(md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, cph_key_native(lab_key(who))) > 0 &&
             EVP_DigestSign(md, sig, &n, text, sizeof text) > 0,
         "no signature");
    EVP_MD_CTX_reset(md);
    need(x && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(x)) > 0 &&
             EVP_DigestVerify(md, sig, n, text, sizeof text) == 1,
         "no good signature");
    EVP_MD_CTX_free(md);
    X509_free(x);
}

void bench_openssl_ops(bool wire)
{
    agree(wire);
    sign_and_verify(LAB_ALICE, wire); /* both ends show a certificate */
    sign_and_verify(LAB_BOB, wire);
}

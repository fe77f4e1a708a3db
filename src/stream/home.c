/*
 * What streams share: the library's context. Everything in it holds for all of them; what is one
 * stream's own is set on its SSL object (config.c).
 */
#include "stream_int.h"

#include <stdlib.h>

/* RFC 9325 4.2: forward secrecy and authenticated encryption, nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL";
/* A call's media has keys of its own, made by X25519 or P-256, whose strength AES-128 and SHA-256
 * have as well: those first, which cost least. */
static const char ciphers_dtls[] = "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL";
static const char suites13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
/* RFC 9155: no SHA-1 in signatures. */
static const char sigalgs[] = "ECDSA+SHA256:ECDSA+SHA384:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"
                              "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA512";

static bool set_versions(SSL_CTX *ctx, enum cph_stream_kind kind)
{
    bool dtls = kind == CPH_STREAM_DTLS;

    /* RFC 8996 MUST NOT: no TLS below 1.2, no DTLS 1.0 */
    return SSL_CTX_set_min_proto_version(ctx, dtls ? DTLS1_2_VERSION : TLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(ctx, dtls ? DTLS1_2_VERSION : TLS1_3_VERSION);
}

/* RFC 6347 4.2.1: whoever made the stream has looked at the cookie already. */
static int cookie_is_good(SSL *ssl, const unsigned char *cookie, unsigned int n)
{
    (void)cookie;
    (void)n;
    return stream_of(ssl)->after_cookie;
}

/* Sessions are kept by whoever judged the peer, and nowhere else: tickets would leave the house. */
static bool set_sessions(struct cph_stream_home *h)
{
    static const unsigned char place[] = "ciphony";

    if (!h->resumable) {
        SSL_CTX_set_session_cache_mode(h->ctx, SSL_SESS_CACHE_OFF);
        return true;
    }
    SSL_CTX_set_session_cache_mode(h->ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
                                               SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_get_cb(h->ctx, stream_find_session);
    SSL_CTX_set_timeout(h->ctx, 86400); /* the keeper's clock counts */
    return SSL_CTX_set_session_id_context(h->ctx, place, sizeof place - 1) == 1;
}

static cph_err set_context(struct cph_stream_home *s)
{
    s->ctx = s->kind == CPH_STREAM_DTLS ? SSL_CTX_new_ex(stream_narrow(), NULL, DTLS_method())
                                        : SSL_CTX_new(TLS_method());
    if (!s->ctx)
        return CPH_E_NOMEM;
    SSL_CTX_set_options(s->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_QUERY_MTU |
                                    SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(s->ctx, SSL_MODE_NO_AUTO_CHAIN); /* set_own() adds the chain */
    SSL_CTX_set_security_level(s->ctx, 2);
    SSL_CTX_set_max_cert_list(s->ctx, STREAM_CERTS_MAX);
    SSL_CTX_set_cert_verify_callback(s->ctx, stream_judge, NULL);
    SSL_CTX_set_cookie_verify_cb(s->ctx, cookie_is_good);
    SSL_CTX_set_alpn_select_cb(s->ctx, stream_select_alpn, NULL);
    if (!set_versions(s->ctx, s->kind) ||
        !SSL_CTX_set_cipher_list(s->ctx, s->kind == CPH_STREAM_DTLS ? ciphers_dtls : ciphers) ||
        !SSL_CTX_set_ciphersuites(s->ctx, suites13) || !SSL_CTX_set1_groups_list(s->ctx, groups) ||
        !SSL_CTX_set1_sigalgs_list(s->ctx, sigalgs) || !SSL_CTX_set_num_tickets(s->ctx, 0) ||
        !set_sessions(s))
        return CPH_E_CRYPTO;
    return CPH_OK;
}

static cph_err set_own(struct cph_stream_home *s, const struct cph_cert *cert,
                       const struct cph_key *key)
{
    X509 *more;

    if (!cert && !key)
        return CPH_OK;
    if (!cert || !key || !cph_key_is_private(key) || !cph_cert_has_key(cert, key))
        return CPH_E_CONFIG;
    if (SSL_CTX_use_certificate(s->ctx, cph_cert_native(cert)) != 1 ||
        SSL_CTX_use_PrivateKey(s->ctx, cph_key_native(key)) != 1)
        return CPH_E_CONFIG; /* too weak for the security level */
    for (size_t i = 0; (more = cph_cert_native_chain(cert, i)) != NULL; i++) {
        if (SSL_CTX_add1_chain_cert(s->ctx, more) != 1)
            return CPH_E_CONFIG;
    }
    s->own = true;
    return CPH_OK;
}

cph_err cph_stream_home_new(enum cph_stream_kind kind, const struct cph_cert *cert,
                            const struct cph_key *key, bool resumable, const struct cph_env *env,
                            struct cph_stream_home **out)
{
    struct cph_stream_home *h = calloc(1, sizeof *h);
    cph_err err;

    if (!h)
        return CPH_E_NOMEM;
    atomic_init(&h->refs, 1);
    h->kind = kind;
    h->resumable = resumable && kind == CPH_STREAM_DTLS;
    err = set_context(h);
    if (err == CPH_OK)
        err = set_own(h, cert, key);
    if (err == CPH_OK && (h->method = stream_pipe_method()) == NULL)
        err = CPH_E_NOMEM;
    cph_crypto_drain(env);
    if (err) {
        cph_stream_home_free(h);
        return err;
    }
    *out = h;
    return CPH_OK;
}

void stream_home_ref(struct cph_stream_home *home)
{
    atomic_fetch_add(&home->refs, 1);
}

void cph_stream_home_free(struct cph_stream_home *home)
{
    if (!home || atomic_fetch_sub(&home->refs, 1) != 1)
        return;
    SSL_CTX_free(home->ctx);
    BIO_meth_free(home->method);
    free(home);
}

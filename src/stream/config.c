#include "stream_int.h"

#include <string.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

/* RFC 9325 4.2: forward secrecy and authenticated encryption, nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL";
static const char suites13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
/* RFC 9155: no SHA-1 in signatures. */
static const char sigalgs[] = "ECDSA+SHA256:ECDSA+SHA384:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"
                              "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA512";

/* ---- the library's context ------------------------------------------------------------------- */

static bool set_versions(SSL_CTX *ctx, enum cph_stream_kind kind)
{
    bool dtls = kind == CPH_STREAM_DTLS;

    /* RFC 8996 MUST NOT: no TLS below 1.2, no DTLS 1.0 */
    return SSL_CTX_set_min_proto_version(ctx, dtls ? DTLS1_2_VERSION : TLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(ctx, dtls ? DTLS1_2_VERSION : TLS1_3_VERSION);
}

static cph_err set_context(struct cph_stream *s)
{
    s->ctx = SSL_CTX_new(s->kind == CPH_STREAM_DTLS ? DTLS_method() : TLS_method());
    if (!s->ctx)
        return CPH_E_NOMEM;
    SSL_CTX_set_options(s->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_security_level(s->ctx, 2);
    SSL_CTX_set_max_cert_list(s->ctx, STREAM_CERTS_MAX);
    SSL_CTX_set_cert_verify_callback(s->ctx, stream_judge, s);
    if (!set_versions(s->ctx, s->kind) || !SSL_CTX_set_cipher_list(s->ctx, ciphers) ||
        !SSL_CTX_set_ciphersuites(s->ctx, suites13) || !SSL_CTX_set1_groups_list(s->ctx, groups) ||
        !SSL_CTX_set1_sigalgs_list(s->ctx, sigalgs) || !SSL_CTX_set_num_tickets(s->ctx, 0))
        return CPH_E_CRYPTO;
    return CPH_OK;
}

/* ---- who we are, whom we expect -------------------------------------------------------------- */

static cph_err set_own(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    X509 *more;

    if (!cfg->cert && !cfg->key)
        return s->role == CPH_STREAM_CLIENT ? CPH_OK : CPH_E_CONFIG;
    if (!cfg->cert || !cfg->key || !cph_key_is_private(cfg->key) ||
        !cph_cert_has_key(cfg->cert, cfg->key))
        return CPH_E_CONFIG;
    if (SSL_CTX_use_certificate(s->ctx, cph_cert_native(cfg->cert)) != 1 ||
        SSL_CTX_use_PrivateKey(s->ctx, cph_key_native(cfg->key)) != 1)
        return CPH_E_CONFIG; /* too weak for the security level */
    for (size_t i = 0; (more = cph_cert_native_chain(cfg->cert, i)) != NULL; i++) {
        if (SSL_CTX_add1_chain_cert(s->ctx, more) != 1)
            return CPH_E_CONFIG;
    }
    return CPH_OK;
}

static cph_err set_judgement(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    int mode = SSL_VERIFY_PEER;

    if (cfg->n_pins > STREAM_PINS)
        return CPH_E_CONFIG;
    switch (cfg->verify) {
    case CPH_STREAM_VERIFY_CHAIN:
        if (!cfg->trust && cfg->n_pins == 0 &&
            (s->role == CPH_STREAM_CLIENT || cfg->ask_client_cert || cfg->need_client_cert))
            return CPH_E_CONFIG;
        break;
    case CPH_STREAM_VERIFY_PINNED:
        if (cfg->n_pins == 0)
            return CPH_E_CONFIG;
        break;
    case CPH_STREAM_VERIFY_CALLER:
        break;
    }
    s->verify = cfg->verify;
    s->trust = cph_trust_ref(cfg->trust);
    s->n_pins = cfg->n_pins;
    if (cfg->n_pins > 0)
        memcpy(s->pin, cfg->pins, cfg->n_pins * sizeof *cfg->pins);
    if (cfg->name)
        CPH_TRY(cph_span_cstr(cph_span_of(cfg->name), s->name, sizeof s->name));

    if (s->role == CPH_STREAM_SERVER && !cfg->ask_client_cert && !cfg->need_client_cert)
        mode = SSL_VERIFY_NONE;
    if (cfg->need_client_cert)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(s->ctx, mode, NULL);
    return CPH_OK;
}

/* ---- extensions ------------------------------------------------------------------------------ */

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                       const unsigned char *in, unsigned int in_n, void *arg)
{
    struct cph_stream *s = arg;
    unsigned char *got;

    (void)ssl;
    if (SSL_select_next_proto(&got, n, s->alpn, (unsigned int)s->alpn_n, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 MUST: refuse what has no protocol in
                                              common */
    *out = got;
    return SSL_TLSEXT_ERR_OK;
}

static cph_err set_alpn(struct cph_stream *s, const char *list)
{
    struct cph_span rest = cph_span_of(list);
    struct cph_wr wr = cph_wr_open(s->alpn, sizeof s->alpn);

    while (rest.n > 0) {
        struct cph_span one = cph_span_cut(&rest, ',');

        if (one.n == 0 || one.n > UINT8_MAX)
            return CPH_E_CONFIG;
        cph_wr_u8(&wr, (uint8_t)one.n);
        cph_wr_span(&wr, one);
    }
    if (wr.failed)
        return CPH_E_CONFIG;
    s->alpn_n = wr.n;
    if (wr.n == 0)
        return CPH_OK;
    if (s->role == CPH_STREAM_SERVER)
        SSL_CTX_set_alpn_select_cb(s->ctx, select_alpn, s);
    else if (SSL_CTX_set_alpn_protos(s->ctx, s->alpn, (unsigned int)s->alpn_n) != 0)
        return CPH_E_NOMEM;
    return CPH_OK;
}

static const char *profile_name(uint16_t id)
{
    static const struct {
        uint16_t id; /* RFC 5764 4.1.2, RFC 7714 14.2 */
        const char *name;
    } all[] = {
        { 0x0001, "SRTP_AES128_CM_SHA1_80" },
        { 0x0002, "SRTP_AES128_CM_SHA1_32" },
        { 0x0007, "SRTP_AEAD_AES_128_GCM" },
        { 0x0008, "SRTP_AEAD_AES_256_GCM" },
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].id == id)
            return all[i].name;
    }
    return NULL;
}

static cph_err set_profiles(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    char list[256];
    struct cph_wr wr = cph_wr_open(list, sizeof list);

    if (cfg->n_srtp_profile == 0)
        return CPH_OK;
    if (s->kind != CPH_STREAM_DTLS || cfg->n_srtp_profile > CPH_STREAM_PROFILES)
        return CPH_E_CONFIG;
    for (size_t i = 0; i < cfg->n_srtp_profile; i++) {
        const char *name = profile_name(cfg->srtp_profile[i]);

        if (!name)
            return CPH_E_CONFIG;
        cph_wr_fmt(&wr, "%s%s", i ? ":" : "", name);
    }
    cph_wr_u8(&wr, 0);
    if (wr.failed)
        return CPH_E_CONFIG;
    return SSL_CTX_set_tlsext_use_srtp(s->ctx, list) == 0 ? CPH_OK
                                                          : CPH_E_CONFIG; /* 0 is good here */
}

/* ---- the session ----------------------------------------------------------------------------- */

static cph_err set_session(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    unsigned mtu = cfg->mtu ? cfg->mtu : CPH_STREAM_MTU;
    struct cph_addr ip;

    s->ssl = SSL_new(s->ctx);
    if (!s->ssl)
        return CPH_E_NOMEM;
    if (s->role == CPH_STREAM_CLIENT)
        SSL_set_connect_state(s->ssl);
    else
        SSL_set_accept_state(s->ssl);
    /* RFC 6066 3 MUST NOT: an address literal is no server_name */
    if (s->role == CPH_STREAM_CLIENT && s->name[0] &&
        cph_addr_parse_ip(cph_span_of(s->name), &ip) != CPH_OK &&
        SSL_set_tlsext_host_name(s->ssl, s->name) != 1)
        return CPH_E_CONFIG;
    if (s->kind == CPH_STREAM_DTLS) {
        if (mtu < STREAM_MTU_MIN || mtu > STREAM_MTU_MAX || !SSL_set_mtu(s->ssl, (long)mtu))
            return CPH_E_CONFIG;
        stream_timer_attach(s);
    }
    return CPH_OK;
}

cph_err stream_configure(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    s->kind = cfg->kind;
    s->role = cfg->role;
    s->deadline = CPH_TIME_NEVER;
    s->accepted_by = "";
    s->first_timeout = cfg->first_timeout > 0 ? cfg->first_timeout : CPH_SEC(1);
    s->limit = cfg->limit ? cfg->limit : CPH_STREAM_LIMIT;
    if (s->limit < STREAM_LIMIT_MIN)
        s->limit = STREAM_LIMIT_MIN;
    s->in.limit = s->limit;
    s->plain.limit = s->limit;
    s->out.limit = s->limit + STREAM_HEADROOM;

    CPH_TRY(set_context(s));
    CPH_TRY(set_own(s, cfg));
    CPH_TRY(set_judgement(s, cfg));
    if (cfg->alpn)
        CPH_TRY(set_alpn(s, cfg->alpn));
    CPH_TRY(set_profiles(s, cfg));
    return set_session(s, cfg);
}

#include "stream_int.h"

#include <string.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"

/* ---- whom we expect -------------------------------------------------------------------------- */

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
    SSL_set_verify(s->ssl, mode, NULL);
    return CPH_OK;
}

/* ---- extensions ------------------------------------------------------------------------------ */

int stream_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                       const unsigned char *in, unsigned int in_n, void *arg)
{
    const struct cph_stream *s = stream_of(ssl);
    unsigned char *got;

    (void)arg;
    if (s->alpn_n == 0)
        return SSL_TLSEXT_ERR_NOACK;
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
    if (s->role == CPH_STREAM_CLIENT &&
        SSL_set_alpn_protos(s->ssl, s->alpn, (unsigned int)s->alpn_n) != 0)
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
    /* 0 is good here; of names that it has, it only refuses them for want of memory */
    return SSL_set_tlsext_use_srtp(s->ssl, list) == 0 ? CPH_OK : CPH_E_NOMEM;
}

/* ---- the session ----------------------------------------------------------------------------- */

static cph_err set_role(struct cph_stream *s)
{
    if (s->role == CPH_STREAM_SERVER && !s->home->own)
        return CPH_E_CONFIG;
    s->ssl = SSL_new(s->home->ctx);
    if (!s->ssl)
        return CPH_E_NOMEM;
    SSL_set_app_data(s->ssl, s);
    if (s->role == CPH_STREAM_CLIENT)
        SSL_set_connect_state(s->ssl);
    else
        SSL_set_accept_state(s->ssl);
    return CPH_OK;
}

static cph_err set_session(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    unsigned mtu = cfg->mtu ? cfg->mtu : CPH_STREAM_MTU;
    struct cph_addr ip;

    /* RFC 6066 3 MUST NOT: an address literal is no server_name */
    if (s->role == CPH_STREAM_CLIENT && s->name[0] &&
        cph_addr_parse_ip(cph_span_of(s->name), &ip) != CPH_OK &&
        SSL_set_tlsext_host_name(s->ssl, s->name) != 1)
        return CPH_E_CONFIG;
    if (s->kind == CPH_STREAM_DTLS) {
        if (mtu < STREAM_MTU_MIN || mtu > STREAM_MTU_MAX || !SSL_set_mtu(s->ssl, (long)mtu))
            return CPH_E_CONFIG;
        stream_timer_attach(s);
        s->clear_in.keep_first = s->role == CPH_STREAM_SERVER;
        if (s->role == CPH_STREAM_CLIENT)
            CPH_TRY(stream_first_new(mtu, &s->first));
    }
    return CPH_OK;
}

static cph_err propose(struct cph_stream *s, const struct cph_stream_session *k)
{
    SSL_SESSION *copy = SSL_SESSION_dup(k->ssl);
    bool ok = copy && SSL_set_session(s->ssl, copy) == 1;

    SSL_SESSION_free(copy); /* it has a reference of its own */
    return ok ? CPH_OK : CPH_E_NOMEM;
}

static cph_err set_resumption(struct cph_stream *s, const struct cph_stream_config *cfg)
{
    bool dtls_server = s->kind == CPH_STREAM_DTLS && s->role == CPH_STREAM_SERVER;

    if ((cfg->after_cookie && !dtls_server) || (cfg->find && s->role != CPH_STREAM_SERVER) ||
        ((cfg->find || cfg->resume) && !s->home->resumable) ||
        (cfg->resume && (s->role != CPH_STREAM_CLIENT || cfg->resume->role != s->role)))
        return CPH_E_CONFIG;
    s->after_cookie = cfg->after_cookie;
    s->find = cfg->find;
    s->find_ctx = cfg->find_ctx;
    return cfg->resume ? propose(s, cfg->resume) : CPH_OK;
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

    s->home = cfg->home;
    if (s->home)
        stream_home_ref(s->home);
    else
        CPH_TRY(cph_stream_home_new(cfg->kind, cfg->cert, cfg->key, false, s->env, &s->home));
    if (s->home->kind != cfg->kind)
        return CPH_E_CONFIG;
    CPH_TRY(set_role(s));
    CPH_TRY(set_judgement(s, cfg));
    if (cfg->alpn)
        CPH_TRY(set_alpn(s, cfg->alpn));
    CPH_TRY(set_profiles(s, cfg));
    CPH_TRY(set_session(s, cfg));
    return set_resumption(s, cfg);
}

#include "stream_int.h"

#include <stdio.h>

static cph_err by_pin(const struct cph_stream *s, char why[CPH_CERT_WHY])
{
    cph_err err = cph_cert_match(s->peer, s->pin, s->n_pins, NULL);

    switch ((int)err) {
    case CPH_OK:
        break;
    case CPH_E_POLICY:
        (void)snprintf(why, CPH_CERT_WHY,
                       "sha-1 is the only fingerprint given, and it proves nothing");
        break;
    case CPH_E_NOTFOUND:
        (void)snprintf(why, CPH_CERT_WHY, "no fingerprint was given to compare with");
        err = CPH_E_CERT;
        break;
    case CPH_E_CERT:
        (void)snprintf(why, CPH_CERT_WHY,
                       "the certificate is not the one the fingerprint promised");
        break;
    default: /* memory is short, say: it tells nothing of the peer */
        (void)snprintf(why, CPH_CERT_WHY, "%s", cph_err_text(err));
    }
    return err;
}

static cph_err by_chain(const struct cph_stream *s, char why[CPH_CERT_WHY])
{
    enum cph_cert_purpose purpose = s->role == CPH_STREAM_CLIENT ? CPH_PURPOSE_TLS_SERVER
                                                                 : CPH_PURPOSE_TLS_CLIENT;
    char subject[CPH_CERT_TEXT];

    CPH_TRY(cph_cert_verify(s->env, s->peer, s->trust, purpose, cph_wall(s->env), why));
    /* RFC 5922 7.3 MUST: the identity in the certificate is the one that was to be reached */
    if (s->name[0] && cph_cert_is_domain(s->peer, cph_span_of(s->name)) != CPH_OK) {
        (void)snprintf(why, CPH_CERT_WHY, "the certificate is not for %.60s but for %.60s", s->name,
                       cph_cert_subject(s->peer, subject));
        return CPH_E_CERT;
    }
    return CPH_OK;
}

static cph_err judge(struct cph_stream *s, char why[CPH_CERT_WHY])
{
    cph_err err = CPH_OK;

    why[0] = '\0';
    switch (s->verify) {
    case CPH_STREAM_VERIFY_CALLER:
        s->accepted_by = "caller";
        return CPH_OK;
    case CPH_STREAM_VERIFY_PINNED:
        err = by_pin(s, why);
        if (err == CPH_OK)
            s->accepted_by = "pinned";
        return err;
    case CPH_STREAM_VERIFY_CHAIN:
        if (s->n_pins > 0 && by_pin(s, why) == CPH_OK) {
            s->accepted_by = "pinned";
            return CPH_OK;
        }
        if (!s->trust)
            return s->n_pins > 0 ? by_pin(s, why) : CPH_E_CERT;
        err = by_chain(s, why);
        if (err == CPH_OK)
            s->accepted_by = "chain";
        return err;
    }
    return CPH_E_BUG;
}

/* The peer's certificate, with what it sent behind it; leaf may be among sent. */
static cph_err take_peer(struct cph_stream *s, X509 *leaf, const STACK_OF(X509) * sent)
{
    X509 *chain[CPH_CERT_CHAIN_MAX];
    size_t n = 0;

    for (int i = 0; i < sk_X509_num(sent) && n < CPH_CERT_CHAIN_MAX; i++) {
        if (sk_X509_value(sent, i) != leaf)
            chain[n++] = sk_X509_value(sent, i);
    }
    cph_cert_free(s->peer);
    s->peer = NULL;
    return leaf ? cph_cert_from_native(leaf, chain, n, &s->peer) : CPH_E_CERT;
}

static cph_err take_and_judge(struct cph_stream *s, X509 *leaf, const STACK_OF(X509) * sent)
{
    char why[CPH_CERT_WHY] = "the certificate cannot be read";
    cph_err err = take_peer(s, leaf, sent);

    if (err == CPH_OK)
        err = judge(s, why);
    if (err != CPH_OK) {
        s->err = err;
        (void)snprintf(s->why, sizeof s->why, "%s", why);
    }
    return err;
}

int stream_judge(X509_STORE_CTX *x, void *arg)
{
    struct cph_stream *s =
        stream_of(X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx()));
    cph_err err = take_and_judge(s, X509_STORE_CTX_get0_cert(x), X509_STORE_CTX_get0_untrusted(x));

    (void)arg;
    X509_STORE_CTX_set_error(x, err == CPH_OK          ? X509_V_OK
                                : err == CPH_E_EXPIRED ? X509_V_ERR_CERT_HAS_EXPIRED
                                                       : X509_V_ERR_CERT_REJECTED);
    return err == CPH_OK;
}

/* RFC 5246 F.1.4: the session stands for the certificate it was made with; whether that is the one
 * we look for is asked anew. */
cph_err stream_judge_again(struct cph_stream *s)
{
    return take_and_judge(s, SSL_get0_peer_certificate(s->ssl), SSL_get_peer_cert_chain(s->ssl));
}

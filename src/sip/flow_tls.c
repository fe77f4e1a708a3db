#include "ua_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/crypto_key.h"

/* TLS of a flow: whom we ask for, and who the other end turns out to be. */

static size_t pins_for(const struct cph_sip_tls *tls, const char *name, struct cph_fingerprint *fp,
                       size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < tls->n_pins && n < cap; i++) {
        if (!name || cph_span_iis(cph_span_of(tls->pin[i].name), name))
            fp[n++] = tls->pin[i].fp;
    }
    return n;
}

cph_err sip_flow_tls_begin(struct sip_flow *f)
{
    const struct cph_sip_tls *tls = f->ua->cfg.tls;
    struct cph_fingerprint fp[8];
    struct cph_stream_config c = { 0 };

    c.kind = CPH_STREAM_TLS;
    c.cert = tls->cert;
    c.key = tls->key;
    c.limit = CPH_STREAM_LIMIT;
    if (f->incoming) {
        c.role = CPH_STREAM_SERVER;
        c.verify = CPH_STREAM_VERIFY_CALLER; /* judged in judge_client() */
        c.ask_client_cert = true;
        c.need_client_cert = tls->need_client_cert;
    } else {
        c.role = CPH_STREAM_CLIENT;
        c.name = f->wanted; /* RFC 5922 7.1 MUST: the domain of the URI, not what DNS made of it */
        c.pins = fp;
        c.n_pins = pins_for(tls, f->wanted, fp, 8);
        c.trust = tls->trust;
        if (tls->accept_any)
            c.verify = CPH_STREAM_VERIFY_CALLER;
        else if (tls->trust)
            c.verify = CPH_STREAM_VERIFY_CHAIN;
        else if (c.n_pins)
            c.verify = CPH_STREAM_VERIFY_PINNED;
        else
            return CPH_E_CERT; /* nobody could vouch for it */
    }
    CPH_TRY(cph_stream_new(&c, f->ua->env, &f->tls));
    f->state = SIP_FLOW_HANDSHAKE;
    return cph_stream_start(f->tls, f->ua->now);
}

static void set_name(struct sip_flow *f, enum cph_sip_peer_check check, struct cph_span name)
{
    if (cph_span_cstr(name, f->name, sizeof f->name) == CPH_OK)
        f->check = check;
}

/* A client's certificate names it if it is pinned, or leads to a root we trust and holds a domain.
 */
static cph_err judge_client(struct sip_flow *f, const struct cph_cert *cert)
{
    const struct cph_sip_tls *tls = f->ua->cfg.tls;
    char why[CPH_CERT_WHY];
    struct cph_span domain;

    for (size_t i = 0; cert && i < tls->n_pins; i++) {
        if (cph_cert_match(cert, &tls->pin[i].fp, 1, NULL) == CPH_OK) {
            set_name(f, CPH_SIP_PEER_PINNED, cph_span_of(tls->pin[i].name));
            return CPH_OK;
        }
    }
    if (cert && tls->trust &&
        cph_cert_verify(f->ua->env, cert, tls->trust, CPH_PURPOSE_TLS_CLIENT, cph_wall(f->ua->env),
                        why) == CPH_OK &&
        cph_cert_sip_domain(cert, 0, &domain)) {
        set_name(f, CPH_SIP_PEER_DOMAIN, domain);
        return CPH_OK;
    }
    return tls->need_client_cert ? CPH_E_CERT : CPH_OK;
}

static cph_err judge_server(struct sip_flow *f, const struct cph_cert *cert)
{
    const char *by = cph_stream_accepted_by(f->tls);

    if (!cert)
        return CPH_E_CERT;
    if (strcmp(by, "pinned") == 0)
        set_name(f, CPH_SIP_PEER_PINNED, cph_span_of(f->wanted));
    else if (strcmp(by, "chain") == 0)
        set_name(f, CPH_SIP_PEER_DOMAIN, cph_span_of(f->wanted));
    else if (!f->ua->cfg.tls->accept_any)
        return CPH_E_CERT;
    return CPH_OK;
}

cph_err sip_flow_tls_opened(struct sip_flow *f)
{
    const struct cph_cert *cert = cph_stream_peer(f->tls);
    struct cph_fingerprint fp;

    CPH_TRY(f->incoming ? judge_client(f, cert) : judge_server(f, cert));
    if (cert && cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp) == CPH_OK)
        memcpy(f->cert_sha256, fp.b, sizeof f->cert_sha256);
    f->state = SIP_FLOW_OPEN;
    return CPH_OK;
}

/* Who called it hears the words; of a stranger's connection only the log does. */
void sip_flow_tls_failed(struct sip_flow *f, cph_err err)
{
    struct cph_sip_ua *ua = f->ua;
    const char *why = f->tls ? cph_stream_why(f->tls) : "";

    if (why[0])
        sip_log(ua, CPH_LOG_DEBUG, "TLS with %s ended: %s", f->incoming ? "a client" : f->wanted,
                why);
    if (err != CPH_E_CERT && err != CPH_E_EXPIRED && err != CPH_E_POLICY)
        return;
    ua->count.tls_refused++;
    if (f->incoming || !why[0])
        return;
    ua->tls_err = err;
    (void)snprintf(ua->tls_why, sizeof ua->tls_why, "%s", why);
}

/* Bodies that only the peer can read: S/MIME over offers and answers, RFC 3261 23.3. A call that
 * has one sealed body has no other. */
#include "phone_int.h"

#include <string.h>

#include "ciphony/base_text.h"

static const char sdp_type[] = "application/sdp";

cph_err phone_smime_init(struct cph_phone *p, const struct cph_phone_smime *cfg)
{
    struct cph_smime_cfg c = {
        .env = p->env,
        .key = p->key,
        .cert = p->cert,
        .trust = cfg->trust,
        .cipher = cfg->cbc ? CPH_CMS_AES128_CBC : CPH_CMS_AES256_GCM,
    };

    return cph_smime_new(&c, &p->smime);
}

const char *phone_type(const char type[CPH_SMIME_TYPE])
{
    return type[0] ? type : NULL;
}

/* What the user gave us; else what the peer's own sealed body brought and an authority vouched for.
 */
static const struct cph_cert *cert_of(const struct phone_call *c)
{
    const struct cph_phone_host *host = c->phone->host;
    const struct cph_cert *known = host->peer_cert
                                       ? host->peer_cert(host->ctx, cph_span_of(c->peer))
                                       : NULL;

    return known ? known : c->seal_cert;
}

cph_err phone_seal(struct phone_call *c, bool answer, struct phone_sdp *t)
{
    const struct cph_cert *to;
    struct cph_wr out;
    char id[CPH_SMIME_ID];
    cph_err err;

    t->type[0] = '\0';
    if (!c->sealed && !c->policy.smime) {
        cph_session_seal(c->session, CPH_SEAL_NONE, (struct cph_span){ 0 });
        return CPH_OK;
    }
    if (!c->phone->smime)
        return CPH_E_CONFIG;
    to = cert_of(c);
    if (!to)
        return CPH_E_NOTFOUND;
    out = cph_wr_open(t->b, sizeof t->b);
    err = cph_smime_seal(c->phone->smime, to, CPH_SPAN_LIT("application/sdp"), cph_wr_done(&t->wr),
                         answer ? c->seal_in : NULL, t->type, id, &out);
    out.top = out.top > t->wr.top ? out.top : t->wr.top; /* all of it is wiped */
    t->wr = out;
    if (err != CPH_OK)
        return err;
    if (!answer)
        memcpy(c->seal_out, id, sizeof id);
    c->sealed = true;
    return CPH_OK;
}

/* What the verdict may rest on, and whom later bodies go to. */
static void keep(struct phone_call *c, struct cph_smime_opened *o)
{
    char name[CPH_CERT_TEXT];

    cph_session_seal(c->session, o->by == CPH_SMIME_BY_PIN ? CPH_SEAL_PINNED : CPH_SEAL_AUTHORITY,
                     cph_span_of(o->by == CPH_SMIME_BY_PIN ? cph_cert_subject(o->cert, name)
                                                           : cph_cert_issuer(o->cert, name)));
    cph_cert_free(c->seal_cert);
    c->seal_cert = o->cert;
    o->cert = NULL;
    c->sealed = true;
}

cph_err phone_unseal(struct phone_call *c, bool answer, const struct cph_sip_event *ev,
                     struct cph_smime_opened *opened, struct cph_span *body)
{
    struct cph_smime_from from = {
        .uri = cph_span_of(c->peer),
        .answers = answer ? c->seal_out : NULL,
        .again = c->seal_in[0] ? c->seal_in : NULL,
    };

    *opened = (struct cph_smime_opened){ 0 };
    if (!cph_smime_is(ev->type)) {
        if (c->sealed || c->policy.smime)
            return CPH_E_POLICY;
        cph_session_seal(c->session, CPH_SEAL_NONE, (struct cph_span){ 0 });
        *body = ev->body;
        return CPH_OK;
    }
    if (!c->phone->smime)
        return CPH_E_UNSUPPORTED;
    from.cert = cert_of(c);
    CPH_TRY(cph_smime_open(c->phone->smime, &from, ev->type, ev->body, opened));
    if (!cph_span_iis(opened->type, sdp_type))
        return CPH_E_UNSUPPORTED;
    if (!answer)
        memcpy(c->seal_in, opened->id, sizeof c->seal_in);
    keep(c, opened);
    *body = opened->body;
    return CPH_OK;
}

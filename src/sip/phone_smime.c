/* Bodies that only the peer can read: S/MIME over offers and answers, RFC 3261 23.3. A call that
 * has one sealed body has no other. */
#include "phone_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char sdp_type[] = "application/sdp";

cph_err phone_smime_init(struct cph_phone *p, const struct cph_phone_smime *cfg)
{
    struct cph_smime_cfg c = {
        .env = p->env,
        .key = cfg->key ? cfg->key : p->key,
        .cert = cfg->key ? cfg->cert : p->cert,
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

static struct cph_phone_seal seal_of(const struct phone_call *c)
{
    const struct cph_phone_host *host = c->phone->host;
    struct cph_phone_seal seal = { .trust = NULL };

    if (host->peer_seal)
        seal = host->peer_seal(host->ctx, cph_span_of(c->peer));
    seal.must |= c->policy.smime || c->sealed;
    return seal;
}

/* The peer is told one thing whatever it was; the user what it is worth. */
static cph_err say(struct phone_call *c, cph_err err, const struct cph_cert *signer)
{
    char shown[CPH_FP_TEXT + 64] = "";
    struct cph_fingerprint fp;

    if (signer && cph_cert_fingerprint(signer, CPH_FP_SHA256, &fp) == CPH_OK) {
        char text[CPH_FP_TEXT];

        (void)snprintf(shown, sizeof shown, " (%s)", cph_fingerprint_text(&fp, text));
    }
    switch (err) {
    case CPH_E_CERT:
        (void)snprintf(c->seal_why, sizeof c->seal_why,
                       cert_of(c) ? "its body is signed by another certificate than the one you "
                                    "know%s: it may be anybody's, and nothing of it is used"
                                  : "its body is signed by a certificate that nobody you know "
                                    "vouches for%s: it proves nothing, and nothing of it is used",
                       shown);
        break;
    case CPH_E_AUTH:
        (void)snprintf(c->seal_why, sizeof c->seal_why,
                       "its body cannot be opened: it is sealed to another key, signed by nobody, "
                       "or was changed on the way");
        break;
    case CPH_E_REPLAY:
    case CPH_E_EXPIRED:
        (void)snprintf(c->seal_why, sizeof c->seal_why,
                       "its sealed body is an old one: somebody may have kept it, or a clock is "
                       "wrong");
        break;
    case CPH_E_POLICY:
        (void)snprintf(c->seal_why, sizeof c->seal_why,
                       "its sealed body was made for somebody else, or answers another offer");
        break;
    default:
        break;
    }
    return err;
}

const char *phone_seal_words(const struct phone_call *c, const char *else_words)
{
    return c->seal_why[0] ? c->seal_why : else_words;
}

cph_err phone_seal(struct phone_call *c, bool answer, struct phone_sdp *t)
{
    const struct cph_cert *to;
    struct cph_wr out;
    char id[CPH_SMIME_ID];
    cph_err err;

    t->type[0] = '\0';
    if (!seal_of(c).must) {
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
    struct cph_phone_seal seal = seal_of(c);
    cph_err err;
    struct cph_smime_from from = {
        .trust = seal.trust,
        .uri = cph_span_of(c->peer),
        .answers = answer ? c->seal_out : NULL,
        .again = c->seal_in[0] ? c->seal_in : NULL,
    };

    *opened = (struct cph_smime_opened){ 0 };
    c->seal_why[0] = '\0';
    if (!cph_smime_is(ev->type)) {
        if (seal.must) {
            (void)snprintf(c->seal_why, sizeof c->seal_why,
                           "its body is not sealed, and calls with this peer must be");
            return CPH_E_POLICY;
        }
        cph_session_seal(c->session, CPH_SEAL_NONE, (struct cph_span){ 0 });
        *body = ev->body;
        return CPH_OK;
    }
    if (!c->phone->smime)
        return CPH_E_UNSUPPORTED;
    from.cert = cert_of(c);
    err = cph_smime_open(c->phone->smime, &from, ev->type, ev->body, opened);
    if (err != CPH_OK)
        return say(c, err, opened->cert);
    if (!cph_span_iis(opened->type, sdp_type))
        return CPH_E_UNSUPPORTED;
    if (!answer)
        memcpy(c->seal_in, opened->id, sizeof c->seal_in);
    keep(c, opened);
    *body = opened->body;
    return CPH_OK;
}

#include "phone_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- the security manager asks (SST)
 * ---------------------------------------------------------------- */

static struct phone_account *account_for(struct cph_phone *p, const struct cph_ssa_msg *msg)
{
    for (unsigned i = 0; i < p->n_accounts; i++)
        if (msg->account == &p->account[i] ||
            (p->account[i].has_aor && cph_span_is(msg->to_uri, p->account[i].aor)))
            return &p->account[i];
    return &p->account[0];
}

static cph_err capability(void *ctx, const struct cph_ssa_msg *msg, struct cph_sst_capability *out)
{
    struct cph_phone *p = ctx;

    *out = (struct cph_sst_capability){ .policy = account_for(p, msg)->policy };
    return CPH_OK;
}

static cph_err credentials(void *ctx, const void *account, struct cph_span realm,
                           struct cph_sst_credentials *out)
{
    struct cph_phone *p = ctx;

    (void)realm;
    for (unsigned i = 0; i < p->n_accounts; i++) {
        const struct phone_account *a = &p->account[i];

        if (a != account || !a->has_password)
            continue;
        memset(out->user, 0, sizeof out->user);
        (void)snprintf(out->user, sizeof out->user, "%s", a->user);
        out->password = a->password;
        return CPH_OK;
    }
    return CPH_E_NOTFOUND;
}

static cph_err secret(void *ctx, struct cph_span user, struct cph_span realm,
                      struct cph_secret *out)
{
    struct cph_phone *p = ctx;

    (void)realm;
    for (unsigned i = 0; i < p->n_callers; i++)
        if (cph_span_is(user, p->caller[i].user)) {
            *out = p->caller[i].password;
            return CPH_OK;
        }
    return CPH_E_NOTFOUND;
}

void phone_trust_init(struct cph_phone *p)
{
    p->sst = (struct cph_sst){
        .ctx = p, .capability = capability, .credentials = credentials, .secret = secret
    };
}

/* ---- what the users keep
 * ------------------------------------------------------------------------------- */

static enum cph_phone_pin kept(const struct phone_call *c, struct cph_span sha256)
{
    const struct cph_phone_host *host = c->phone->host;

    return host->pin ? host->pin(host->ctx, cph_span_of(c->peer), sha256) : CPH_PHONE_PIN_UNKNOWN;
}

enum cph_voucher phone_voucher(void *ctx, struct cph_span cert_sha256, char name[CPH_FACT_TEXT],
                               bool *mismatch)
{
    const struct phone_call *c = ctx;

    cph_fact_text(name, cph_span_of(c->peer));
    switch (kept(c, cert_sha256)) {
    case CPH_PHONE_PIN_PINNED:
        return CPH_VOUCHER_PIN;
    case CPH_PHONE_PIN_PAIRED:
        return CPH_VOUCHER_PAIRED;
    case CPH_PHONE_PIN_MISMATCH:
        *mismatch = true;
        break;
    case CPH_PHONE_PIN_UNKNOWN:
        break;
    }
    name[0] = '\0';
    return CPH_VOUCHER_NOBODY;
}

/* A hop whose certificate is the one kept for the peer ends at the peer's own device. */
static void hop_facts(const struct phone_call *c, const struct cph_sip_hop *hop,
                      struct cph_hop_facts *out)
{
    enum cph_phone_pin pin;

    cph_attach_hop_facts(hop, cph_span_of(c->peer), out);
    if (hop->proto != CPH_SIP_TLS || hop->vias > 0)
        return;
    pin = kept(c, (struct cph_span){ hop->cert_sha256, sizeof hop->cert_sha256 });
    if (pin == CPH_PHONE_PIN_PINNED || pin == CPH_PHONE_PIN_PAIRED) {
        out->auth = CPH_HOP_AUTH_PINNED;
        out->whose = CPH_HOP_WHOSE_PEER;
        cph_fact_text(out->name, cph_span_of(c->peer));
    }
}

/* One for all hops behind: they are as good as the worst of them, and nobody shows us more. */
static void claimed_facts(const struct cph_sip_hop *hop, struct cph_hop_facts *out)
{
    *out = (struct cph_hop_facts){
        .transport = hop->vias_open ? CPH_HOP_UNKNOWN : CPH_HOP_TLS12,
        .auth = CPH_HOP_AUTH_UNKNOWN,
        .whose = CPH_HOP_WHOSE_UNKNOWN,
        .seen = CPH_HOP_SEEN_CLAIMED,
    };
}

void phone_path(struct phone_call *c)
{
    struct cph_hop_facts facts[2 * CPH_SIP_HOPS_MAX] = { 0 };
    struct cph_sip_call_info info;
    enum cph_peer_proof proof;
    unsigned n = 0;

    if (cph_sip_call_info_get(c->phone->ua, c->sip, &info) != CPH_OK)
        return;
    for (unsigned i = 0; i < info.n_hops; i++) {
        hop_facts(c, &info.hop[i], &facts[n++]);
        if (info.hop[i].vias > 0)
            claimed_facts(&info.hop[i], &facts[n++]);
    }
    cph_session_path(c->session, facts, n, n);
    proof = cph_manager_proof(c->phone->manager, info.call_id, NULL);
    cph_session_proof(c->session, proof);
}

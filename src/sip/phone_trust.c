#include "phone_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_pgp.h"

/* ---- the security manager asks (SST) --------------------------------------------------------- */

struct phone_account *phone_account_called(struct cph_phone *p, struct cph_span uri)
{
    struct cph_sip_uri called, ours;

    for (unsigned i = 0; i < p->n_accounts && cph_sip_uri_parse(uri, &called) == CPH_OK; i++)
        if (p->account[i].has_aor &&
            cph_sip_uri_parse(cph_span_of(p->account[i].aor), &ours) == CPH_OK &&
            cph_span_eq(called.user, ours.user))
            return &p->account[i];
    return &p->account[0];
}

static struct phone_call *call_with_id(struct cph_phone *p, struct cph_span call_id)
{
    struct cph_sip_call_info info;

    for (struct phone_call *c = p->calls; c; c = c->next)
        if (c->sip && cph_sip_call_info_get(p->ua, c->sip, &info) == CPH_OK &&
            cph_span_eq(info.call_id, call_id))
            return c;
    return NULL;
}

/*
 * A new call is judged by the account it will be a call of, one under way by its own: what stands
 * in To, and later in the Request-URI, is the sender's choice. In doubt a proof is asked for.
 */
static cph_err capability(void *ctx, const struct cph_ssa_msg *msg, struct cph_sst_capability *out)
{
    struct cph_phone *p = ctx;
    const struct phone_call *c = msg->to_tag.n > 0 ? call_with_id(p, msg->call_id) : NULL;

    *out = (struct cph_sst_capability){ 0 };
    if (msg->to_tag.n == 0 && msg->status == 0) {
        out->policy = phone_account_called(p, msg->uri)->policy;
    } else if (c) {
        out->policy = c->account->policy;
    } else {
        for (unsigned i = 0; i < p->n_accounts; i++) {
            out->policy.challenge |= p->account[i].policy.challenge;
            out->policy.cover_body |= p->account[i].policy.cover_body;
        }
    }
    return CPH_OK;
}

bool phone_has_server(const struct phone_account *a)
{
    return a->has_registrar || a->has_route;
}

/* Does a call to this address go to the account's own server, which knows the password already?
 * Nobody else is to see what is made of it: a digest can be guessed at offline. */
bool phone_at_server(const struct phone_account *a, struct cph_span to)
{
    struct cph_sip_addr called, server, ours;

    if (!phone_has_server(a) || a->has_route)
        return true;
    if (cph_sip_addr_parse(to, &called) != CPH_OK ||
        cph_sip_addr_parse(cph_span_of(a->registrar), &server) != CPH_OK)
        return false;
    if (cph_span_ieq(called.uri.host, server.uri.host))
        return true;
    return a->has_aor && cph_sip_addr_parse(cph_span_of(a->aor), &ours) == CPH_OK &&
           cph_span_ieq(called.uri.host, ours.uri.host);
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

/* ---- what the users keep --------------------------------------------------------------------- */

/* The OpenPGP key that the user gave us for this peer. */
static bool is_pgp(const struct phone_call *c, struct cph_span sha256)
{
    const struct cph_pgp_key *key = c->signing.pgp;

    return key && cph_span_eq(sha256, (struct cph_span){ cph_pgp_key_fingerprint(key), 32 });
}

static enum cph_phone_pin kept(const struct phone_call *c, struct cph_span sha256)
{
    const struct cph_phone_host *host = c->phone->host;

    if (is_pgp(c, sha256))
        return CPH_PHONE_PIN_PINNED;
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

/* Is the neighbour the other end? Not if we send to a proxy, and not if one has shown itself. */
static bool is_direct(const struct phone_call *c, const struct cph_sip_call_info *info)
{
    bool direct = !c->outgoing || !c->account->has_route;

    for (unsigned i = 0; i < info->n_hops; i++)
        direct = direct && info->hop[i].vias == 0 && !info->hop[i].proxied;
    return direct;
}

/* A hop whose certificate is the one kept for the peer ends at the peer's own device. */
static void hop_facts(const struct phone_call *c, const struct cph_sip_hop *hop, bool direct,
                      struct cph_hop_facts *out)
{
    enum cph_phone_pin pin;

    cph_attach_hop_facts(hop, cph_span_of(c->peer), out);
    if (hop->proto != CPH_SIP_TLS || !direct)
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
        .auth = CPH_HOP_AUTH_NONE, /* claimed like the rest */
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
    bool direct;

    if (cph_sip_call_info_get(c->phone->ua, c->sip, &info) != CPH_OK)
        return;
    direct = is_direct(c, &info);
    for (unsigned i = 0; i < info.n_hops; i++) {
        hop_facts(c, &info.hop[i], direct, &facts[n++]);
        if (info.hop[i].vias > 0)
            claimed_facts(&info.hop[i], &facts[n++]);
    }
    cph_session_path(c->session, facts, n, n + info.hops_lost);
    proof = cph_manager_proof(c->phone->manager, info.call_id, NULL);
    /* An account's password is known to its server, so it proves the server and not the peer. */
    if (c->outgoing && phone_has_server(c->account) && proof > CPH_PROOF_NONE)
        proof = CPH_PROOF_NONE;
    cph_session_proof(c->session, proof);
}

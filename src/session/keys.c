/* Follow what negotiation has come to: who the peer is, and the state of each line. */
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/* ---- who is it ------------------------------------------------------------------------------- */

/* Ask once per set of keys what the user knows about the certificate. */
static bool known_to_be_wrong(struct cph_session *s, struct engine_line *l)
{
    struct cph_keying_evidence ke;
    bool mismatch = false;

    cph_nego_evidence(l->nego, &ke);
    l->voucher = CPH_VOUCHER_NOBODY;
    memset(l->voucher_name, 0, sizeof l->voucher_name);
    if (ke.peer_fingerprint_n > 0 && s->cfg.voucher)
        l->voucher = s->cfg.voucher(s->cfg.ctx,
                                    (struct cph_span){ ke.peer_fingerprint, ke.peer_fingerprint_n },
                                    l->voucher_name, &mismatch);
    l->voucher_name[CPH_FACT_TEXT - 1] = '\0';
    return mismatch;
}

/* ---- following negotiation ------------------------------------------------------------------- */

static void fail(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_err err,
                 const char *why)
{
    struct engine_line *l = &b->line[stream];

    if (l->state == LINE_FAILED)
        return;
    engine_facts_close(s, b, stream);
    engine_line_stop(s, l);
    engine_early_clear(s, stream);
    l->state = LINE_FAILED;
    engine_event(s, CPH_SESSION_FAILED, stream, b, err, "%s: %s", s->media[stream].kind,
                 why ? why : cph_err_text(err));
}

/* Where the peer proved who it is, there it is reached: its translator has that way open, and its
 * description may name an address that only its own network knows. */
static void follow_proof(struct engine_line *l, const struct cph_keying_status *st)
{
    for (int c = 0; c < 2; c++) {
        const struct cph_addr *said = c ? &l->agreed.rtcp.addr : &l->agreed.rtp.addr;

        if (st->at[c].family != CPH_AF_NONE && l->latched[c].family == CPH_AF_NONE &&
            !cph_addr_eq(&st->at[c], said) && !cph_addr_is_any(said) && said->port != 0)
            l->latched[c] = st->at[c];
    }
}

/* How the keys are told, and whether that is what was asked for. */
static const char *ekt_words(const struct cph_session *s, const struct engine_line *l)
{
    if (l->ekt)
        return ", told in the media (EKT)";
    return s->cfg.ekt ? ", without the EKT that was asked for: it comes with sdes or mikey, from a "
                        "peer that has it"
                      : "";
}

static void secure(struct cph_session *s, struct engine_branch *b, unsigned stream,
                   const struct cph_nego_status *st, cph_time now)
{
    struct engine_line *l = &b->line[stream];
    struct cph_keying_evidence ke;
    struct engine_change change = { 0 };
    bool again = l->state == LINE_SECURE;
    cph_err err;

    l->shared = l->agreed.rtcp_mux || st->method->where == CPH_KEYING_IN_SIGNALLING;
    if ((st->keying.dir[CPH_KEYING_SEND].generation != l->gen[0][CPH_KEYING_SEND] && !l->held) ||
        st->keying.dir[CPH_KEYING_RECV].generation != l->gen[0][CPH_KEYING_RECV])
        engine_facts_close(s, b, stream); /* what went under the old keys stays told */
    err = engine_install(s, b, stream, &st->keying, now, &change);
    if (err != CPH_OK && err != CPH_E_AGAIN) {
        fail(s, b, stream, err, "the keys cannot be used");
        return;
    }
    if (!change.any)
        return;
    engine_facts_proof(s);
    if (known_to_be_wrong(s, l)) {
        fail(s, b, stream, CPH_E_CERT,
             "the peer shows another certificate than the one you keep for it: somebody may be "
             "in between, or it has a new device (see: ciphony trust)");
        return;
    }
    if ((!l->ekt && (!l->send[0] || !l->recv[0])) || (again && (l->held || !change.replaced)))
        return;
    follow_proof(l, &st->keying);
    cph_nego_evidence(l->nego, &ke);
    l->state = LINE_SECURE;
    s->clear_agreed = false;
    s->media[stream].rekeys += again;
    engine_event(s, CPH_SESSION_KEYED, stream, b, CPH_OK, "%s: %s by %s, %s%s",
                 s->media[stream].kind, again ? "new keys" : "keys", ke.method ? ke.method : "?",
                 ke.suite ? ke.suite : "?", ekt_words(s, l));
}

void engine_plain(struct cph_session *s, struct engine_branch *b, unsigned stream, const char *why)
{
    struct engine_line *l = &b->line[stream];

    if (l->state == LINE_PLAIN)
        return;
    if (cph_policy_media(&s->cfg.policy) ==
        CPH_SECURITY_REQUIRED) { /* negotiation never gets here */
        fail(s, b, stream, CPH_E_POLICY, "policy requires keys");
        return;
    }
    engine_facts_close(s, b, stream);
    engine_line_stop(s, l);
    l->state = LINE_PLAIN;
    s->ev.fallback_used |= cph_policy_media(&s->cfg.policy) == CPH_SECURITY_PREFER;
    engine_event(s, CPH_SESSION_PLAIN, stream, b, CPH_OK, "%s goes in clear: %s",
                 s->media[stream].kind, why ? why : "no keys were agreed");
}

static void gone(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];

    l->moved |= l->state == LINE_SECURE || l->state == LINE_PLAIN; /* it was part of the call */
    engine_facts_close(s, b, stream);
    engine_line_stop(s, l);
    engine_early_clear(s, stream);
    l->state = LINE_NONE;
}

/* RFC 6189 4.6 MUST: the peer's first media is as good as its last word, so it is verified before
 * there are keys to send with. */
static void listen_first(struct cph_session *s, struct engine_branch *b, unsigned stream,
                         const struct cph_nego_status *st, cph_time now)
{
    struct engine_line *l = &b->line[stream];
    struct engine_change change = { 0 };
    cph_err err;

    l->shared = l->agreed.rtcp_mux;
    err = engine_install_contexts(s, b, stream, &st->keying, now, &change);
    if (err != CPH_OK && err != CPH_E_AGAIN)
        fail(s, b, stream, err, "the keys cannot be used");
}

cph_time engine_keys_due(const struct cph_session *s, const struct engine_line *l)
{
    return l->keying_since + CPH_SEC(s->rings ? ENGINE_RING_S : ENGINE_KEYING_S);
}

void cph_session_answered(struct cph_session *s, cph_time now)
{
    struct engine_branch *b;

    s->rings = false;
    s->look = true;
    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;) {
        engine_precond_over(s, b);
        for (unsigned k = 0; k < s->n; k++) {
            struct engine_line *l = &b->line[k];

            l->keying_since = now;
            if (l->nego)
                cph_nego_answered(l->nego, now);
        }
    }
}

static void keying(struct cph_session *s, struct engine_branch *b, unsigned stream,
                   const struct cph_nego_status *st, cph_time now)
{
    struct engine_line *l = &b->line[stream];

    if (engine_sas_refuted(l)) {
        fail(s, b, stream, CPH_E_AUTH,
             "the strings that were compared differ: somebody is in between and hears this call; "
             "reach the peer by another way");
        return;
    }
    if (engine_cleared(s, b, stream))
        return;
    if (l->state == LINE_NONE || l->state == LINE_PLAIN || l->state == LINE_CLEARED ||
        l->state == LINE_FAILED) {
        engine_facts_close(s, b, stream);
        l->state = LINE_KEYING;
        l->keying_since = now;
    }
    if (st->keying.state == CPH_KEYING_KEYED) {
        secure(s, b, stream, st, now);
        return;
    }
    if (l->state == LINE_KEYING && engine_hears_first(l))
        listen_first(s, b, stream, st, now);
    if (l->state == LINE_KEYING && now >= engine_keys_due(s, l))
        fail(s, b, stream, CPH_E_TIMEOUT, "the peer never finished making keys");
}

static void look_at(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_time now)
{
    struct engine_line *l = &b->line[stream];
    struct cph_nego_status st;

    if (!l->nego)
        return;
    cph_nego_status(l->nego, &st);
    if (s->media[stream].removed && l->has_agreed && !l->agreed.active)
        st.outcome = CPH_NEGO_REMOVED;
    switch (st.outcome) {
    case CPH_NEGO_OPEN:
        break;
    case CPH_NEGO_PLAIN:
        engine_plain(s, b, stream, st.why);
        break;
    case CPH_NEGO_SECURE:
        keying(s, b, stream, &st, now);
        break;
    case CPH_NEGO_REMOVED:
        gone(s, b, stream);
        break;
    case CPH_NEGO_FAILED:
        fail(s, b, stream, st.err, st.why);
        break;
    }
    engine_facts(s, b, stream, now);
    engine_sas(s, b, stream);
}

/* Is all that can be known of the peer known now? A string that waits to be compared may still
 * prove it. */
static bool settled(const struct cph_session *s, const struct engine_branch *b)
{
    struct cph_session_sas sas;
    bool any = false;

    for (unsigned i = 0; i < s->n; i++) {
        if (b->line[i].state == LINE_KEYING || b->line[i].state == LINE_FAILED)
            return false;
        any |= b->line[i].state != LINE_NONE;
    }
    cph_session_sas(s, &sas);
    return any && (!sas.text[0] || sas.compared || sas.verified);
}

static enum cph_level level_of(const struct cph_session *s)
{
    struct cph_verdict v;

    cph_session_verdict(s, &v);
    return v.level;
}

/* No call rather than one with somebody who is not proven as demanded. */
static void enforce_need(struct cph_session *s, struct engine_branch *b)
{
    if (!s->cfg.policy.enforce_need || !s->chosen || b != engine_branch(s) || !settled(s, b) ||
        level_of(s) >= s->cfg.policy.need)
        return;
    for (unsigned i = 0; i < s->n; i++)
        if (b->line[i].state != LINE_NONE)
            fail(s, b, i, CPH_E_POLICY,
                 "policy demands more proof of who the peer is than this call has");
}

void engine_look(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_time now)
{
    look_at(s, b, stream, now);
    enforce_need(s, b);
}

void engine_look_all(struct cph_session *s, struct engine_branch *b, cph_time now)
{
    for (unsigned i = 0; i < s->n; i++)
        look_at(s, b, i, now);
    enforce_need(s, b);
}

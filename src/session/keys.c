#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * From what negotiation has come to, to SRTP contexts. The streams' roll-over counters go on over a
 * change of keys, or begin anew, as the mechanism says; in doubt both are tried for receiving, and
 * the first tag that fits decides.
 */

/* ---- contexts -------------------------------------------------------------------------------- */

static void sender_free(struct engine_sender *x)
{
    cph_srtp_free(x->srtp);
    free(x);
}

/* RFC 3711 9.1 MUST: no keystream is used twice. Until the choice is made a further answer may take
 * the same key (RFC 4568 7.3), also when who was told it before is gone, so its indices are kept.
 */
static void sender_unref(struct cph_session *s, struct engine_sender *x)
{
    if (!x || --x->refs > 0)
        return;
    if (s->chosen || cph_srtp_stream_count(x->srtp) == 0 || s->parted_n > ENGINE_PARTED) {
        sender_free(x);
        return;
    }
    x->next = s->parted;
    s->parted = x;
    s->parted_n++;
}

void engine_parted_free(struct cph_session *s)
{
    while (s->parted) {
        struct engine_sender *x = s->parted;

        s->parted = x->next;
        sender_free(x);
    }
    s->parted_n = 0;
}

static void recv_replace(struct cph_srtp **at, struct cph_srtp *by)
{
    cph_srtp_free(*at);
    *at = by;
}

void engine_grace_over(struct engine_line *l)
{
    for (int c = 0; c < 2; c++)
        recv_replace(&l->prev[c], NULL);
    engine_ekt_free(l->ekt_prev);
    l->ekt_prev = NULL;
    if (l->ekt)
        engine_ekt_forget(l->ekt);
    l->prev_until = 0;
}

/* No keys of this line are used again. */
void engine_line_stop(struct cph_session *s, struct engine_line *l)
{
    for (int c = 0; c < 2; c++) {
        sender_unref(s, l->send[c]);
        l->send[c] = NULL;
        recv_replace(&l->recv[c], NULL);
        recv_replace(&l->alt[c], NULL);
        memset(l->gen[c], 0, sizeof l->gen[c]);
    }
    engine_grace_over(l);
    engine_ekt_free(l->ekt);
    l->ekt = NULL;
}

static cph_err context(const struct cph_session *s, const struct engine_line *l,
                       enum cph_keying_component c, enum cph_keying_dir dir, struct cph_srtp **out)
{
    struct cph_srtp *ctx = NULL;
    cph_err err = CPH_OK;

    for (unsigned i = 0; err == CPH_OK && i < CPH_KEYING_MAX_KEYS; i++) {
        CPH_SRTP_POLICY_SCOPED p = { 0 };

        err = cph_nego_keys(l->nego, c, dir, i, &p);
        if (err != CPH_OK)
            break;
        if (!ctx)
            err = cph_srtp_new(s->cfg.srtp, &p,
                               dir == CPH_KEYING_SEND ? CPH_SRTP_SEND : CPH_SRTP_RECV, &ctx);
        else
            err = cph_srtp_key_add(ctx, &p.master);
    }
    if (err != CPH_OK && (err != CPH_E_NOTFOUND || !ctx)) {
        cph_srtp_free(ctx);
        return err;
    }
    *out = ctx;
    return CPH_OK;
}

/* What a mechanism knows of streams beforehand. A stream that is there already knows better. */
static void apply_hints(const struct engine_line *l, enum cph_keying_dir dir, struct cph_srtp *ctx)
{
    struct cph_keying_hint hint[CPH_KEYING_MAX_HINTS];
    unsigned n = cph_nego_hints(l->nego, hint, CPH_KEYING_MAX_HINTS);

    for (unsigned i = 0; i < n; i++)
        if (hint[i].dir == dir && cph_srtp_roc_set(ctx, hint[i].ssrc, hint[i].roc) != CPH_OK)
            continue;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Another branch of this fork that sends under the same key, or did. */
static struct engine_sender *same_sender(struct cph_session *s, const struct engine_branch *b,
                                         unsigned stream, const struct cph_srtp *ctx)
{
    const struct engine_branch *o;

    for (unsigned i = 0; (o = engine_next(s, &i)) != NULL;) {
        for (int c = 0; c < 2 && o != b; c++) {
            struct engine_sender *x = o->line[stream].send[c];

            if (x && cph_srtp_same_key(x->srtp, ctx))
                return x;
        }
    }
    for (struct engine_sender **at = &s->parted; *at; at = &(*at)->next) {
        struct engine_sender *x = *at;

        if (!cph_srtp_same_key(x->srtp, ctx))
            continue;
        *at = x->next;
        s->parted_n--;
        return x;
    }
    return NULL;
}

/* What installing has brought. A second handshake that adds the RTCP component replaces nothing, so
 * it is no re-key. */
struct change {
    bool any;      /* a key that was not there */
    bool replaced; /* RTP had another one before */
};

static void note_change(struct change *ch, enum cph_keying_component c, bool had, bool same)
{
    ch->any |= !same;
    ch->replaced |= c == CPH_KEYING_RTP && had && !same;
}

static cph_err install_send(struct cph_session *s, struct engine_branch *b, unsigned stream,
                            enum cph_keying_component c, enum cph_keying_streams streams,
                            struct change *change)
{
    struct engine_line *l = &b->line[stream];
    struct engine_sender *old = l->send[c], *next;
    struct cph_srtp *ctx;
    cph_err err;

    if (s->parted_n > ENGINE_PARTED)
        return CPH_E_LIMIT; /* one was forgotten, and this may be its key */
    CPH_TRY(context(s, l, c, CPH_KEYING_SEND, &ctx));
    note_change(change, c, old, old && cph_srtp_same_key(old->srtp, ctx));
    next = same_sender(s, b, stream, ctx);
    if (next) {
        next->refs++;
        cph_srtp_free(ctx);
    } else {
        /* Under the key we used already, indices go on in any case, whatever the mechanism says. */
        bool keep = old &&
                    (streams == CPH_KEYING_STREAMS_KEEP || cph_srtp_same_key(old->srtp, ctx));

        err = keep ? cph_srtp_move(ctx, old->srtp) : CPH_OK;
        next = err == CPH_OK ? calloc(1, sizeof *next) : NULL;
        if (!next) {
            cph_srtp_free(ctx);
            return err == CPH_OK ? CPH_E_NOMEM : err;
        }
        apply_hints(l, CPH_KEYING_SEND, ctx);
        *next = (struct engine_sender){ .srtp = ctx, .refs = 1 };
    }
    sender_unref(s, old);
    l->send[c] = next;
    l->rekey_told = false;
    return CPH_OK;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static cph_err install_recv(struct cph_session *s, struct engine_branch *b, unsigned stream,
                            enum cph_keying_component c, const struct cph_keying_status *st,
                            cph_time now, struct change *change)
{
    struct engine_line *l = &b->line[stream];
    struct cph_srtp *old = l->recv[c], *ctx, *alt = NULL;
    bool keep = old && st->dir[CPH_KEYING_RECV].streams == CPH_KEYING_STREAMS_KEEP, same;
    cph_err err;

    CPH_TRY(context(s, l, c, CPH_KEYING_RECV, &ctx));
    same = old && cph_srtp_same_key(old, ctx);
    note_change(change, c, old, same);
    err = keep || same ? cph_srtp_move(ctx, old) : CPH_OK;
    if (err == CPH_OK && old && st->dir[CPH_KEYING_RECV].roc_doubt && !same) {
        err = context(s, l, c, CPH_KEYING_RECV, &alt);
        if (err == CPH_OK && !keep)
            err = cph_srtp_move(alt, old);
    }
    if (err != CPH_OK) {
        cph_srtp_free(ctx);
        cph_srtp_free(alt);
        return err;
    }
    apply_hints(l, CPH_KEYING_RECV, ctx);
    recv_replace(&l->alt[c], alt);
    if (same) {
        cph_srtp_free(old);
    } else if (l->held && l->prev[c] && l->prev_until == CPH_TIME_NEVER) {
        cph_srtp_free(old); /* one that the peer has not begun with */
    } else {
        recv_replace(&l->prev[c], old); /* for what is under way */
        if (old)
            l->prev_until = engine_precond_grace(b, l, now);
    }
    l->recv[c] = ctx;
    return CPH_OK;
}

/* RFC 3711 9.1 MUST: the same master key both ways needs different SSRCs; srtp/ watches. */
static cph_err watch_pair(struct engine_line *l, enum cph_keying_component c)
{
    return l->send[c] && l->recv[c] && l->send[c]->refs == 1
               ? cph_srtp_pair(l->send[c]->srtp, l->recv[c])
               : CPH_OK;
}

/* Install what is new. CPH_E_AGAIN: a component has no keys yet. */
static cph_err install(struct cph_session *s, struct engine_branch *b, unsigned stream,
                       const struct cph_keying_status *st, cph_time now, struct change *change)
{
    struct engine_line *l = &b->line[stream];
    cph_err waiting = CPH_OK;

    for (unsigned c = 0; c < (l->shared ? 1U : 2U); c++) {
        for (unsigned d = 0; d < 2; d++) {
            cph_err err;

            if (st->dir[d].generation == 0 || st->dir[d].generation == l->gen[c][d])
                continue;
            if (d == CPH_KEYING_SEND && l->held && !l->mute && l->send[c])
                continue; /* the peer is not ready for it (RFC 5027 3) */
            err = d == CPH_KEYING_SEND ? install_send(s, b, stream, c, st->dir[d].streams, change)
                                       : install_recv(s, b, stream, c, st, now, change);
            if (err == CPH_E_AGAIN) {
                waiting = err;
                continue;
            }
            CPH_TRY(err);
            l->gen[c][d] = st->dir[d].generation;
        }
        CPH_TRY(watch_pair(l, c));
    }
    return waiting;
}

static bool is_heard(const struct cph_srtp *ctx, uint32_t ssrc)
{
    struct cph_srtp_stream_info info;

    for (size_t i = 0; cph_srtp_stream_at(ctx, i, &info) == CPH_OK; i++)
        if (info.ssrc == ssrc)
            return info.started;
    return false;
}

/* A later offer or answer may say where a stream stands that has not been heard yet, under the keys
 * that are there. One that is being heard knows better. */
static void late_hints(const struct engine_line *l)
{
    struct cph_keying_hint hint[CPH_KEYING_MAX_HINTS];
    unsigned n = l->recv[0] ? cph_nego_hints(l->nego, hint, CPH_KEYING_MAX_HINTS) : 0;

    for (unsigned i = 0; i < n; i++)
        for (int c = 0; c < 2 && hint[i].dir == CPH_KEYING_RECV; c++)
            if (l->recv[c] && !is_heard(l->recv[c], hint[i].ssrc) &&
                cph_srtp_roc_set(l->recv[c], hint[i].ssrc, hint[i].roc) != CPH_OK)
                continue; /* it said more before */
}

/* And the mechanism is told where ours stands, since it may say so. */
void engine_tell_stream(const struct cph_session *s, const struct engine_branch *b, unsigned stream)
{
    const struct engine_line *l = &b->line[stream];
    uint32_t ssrc = engine_ssrc(s, stream), roc;

    if (l->nego && l->send[0] && ssrc != 0 &&
        cph_srtp_roc_get(l->send[0]->srtp, ssrc, &roc) == CPH_OK)
        cph_nego_stream(l->nego, ssrc, roc);
}

/* From contexts to EKT: what is under way comes under the keys before. */
static void retire_contexts(struct cph_session *s, struct engine_line *l, cph_time now)
{
    for (int c = 0; c < 2; c++) {
        sender_unref(s, l->send[c]);
        l->send[c] = NULL;
        recv_replace(&l->alt[c], NULL);
        if (!l->recv[c])
            continue;
        recv_replace(&l->prev[c], l->recv[c]);
        l->recv[c] = NULL;
        l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
    }
}

/* And back. */
static void retire_ekt(struct engine_line *l, cph_time now)
{
    if (!l->ekt)
        return;
    engine_ekt_free(l->ekt_prev);
    l->ekt_prev = l->ekt;
    l->ekt = NULL;
    l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
}

static cph_err install_any(struct cph_session *s, struct engine_branch *b, unsigned stream,
                           const struct cph_keying_status *st, cph_time now, struct change *change)
{
    struct engine_line *l = &b->line[stream];
    bool had = l->ekt || l->send[0], changed;
    cph_err err;

    if (l->ekt && st->dir[0].generation == l->gen[0][0] && st->dir[1].generation == l->gen[0][1])
        return CPH_OK; /* it changes with a generation only */
    err = engine_ekt_follow(s, l, now, &changed);
    if (err == CPH_E_NOTFOUND) {
        CPH_TRY(install(s, b, stream, st, now, change));
        late_hints(l);
        change->replaced |= l->ekt != NULL;
        retire_ekt(l, now);
        return CPH_OK;
    }
    CPH_TRY(err);
    retire_contexts(s, l, now);
    l->gen[0][0] = st->dir[0].generation;
    l->gen[0][1] = st->dir[1].generation;
    change->any |= changed;
    change->replaced |= had && changed;
    if (changed)
        l->rekey_told = false;
    return CPH_OK;
}

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

static void secure(struct cph_session *s, struct engine_branch *b, unsigned stream,
                   const struct cph_nego_status *st, cph_time now)
{
    struct engine_line *l = &b->line[stream];
    struct cph_keying_evidence ke;
    struct change change = { 0 };
    bool again = l->state == LINE_SECURE;
    cph_err err;

    l->shared = l->agreed.rtcp_mux || st->method->where == CPH_KEYING_IN_SIGNALLING;
    if ((st->keying.dir[CPH_KEYING_SEND].generation != l->gen[0][CPH_KEYING_SEND] && !l->held) ||
        st->keying.dir[CPH_KEYING_RECV].generation != l->gen[0][CPH_KEYING_RECV])
        engine_facts_close(s, b, stream); /* what went under the old keys stays told */
    err = install_any(s, b, stream, &st->keying, now, &change);
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
                 ke.suite ? ke.suite : "?", l->ekt ? ", told in the media (EKT)" : "");
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
    struct change change = { 0 };
    cph_err err;

    l->shared = l->agreed.rtcp_mux;
    err = install(s, b, stream, &st->keying, now, &change);
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

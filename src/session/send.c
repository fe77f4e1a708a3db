/* What goes, media and keying, and what time brings. */
#include "ciphony/session.h"
#include "engine_int.h"

/* ---- media ----------------------------------------------------------------------------------- */

static void look_at_life(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];
    struct cph_srtp_life life = { 0 };
    bool soon = false;

    if (l->sent++ % ENGINE_LIFE_EVERY != 0 || l->rekey_told)
        return;
    if (l->ekt)
        soon = engine_ekt_life(l, s->now);
    for (int c = 0; c < 2; c++) {
        if (l->send[c]) {
            cph_srtp_life(l->send[c]->srtp, &life);
            soon |= life.soon;
        }
        if (l->recv[c]) {
            cph_srtp_life(l->recv[c], &life);
            soon |= life.soon;
        }
    }
    if (!soon)
        return;
    l->rekey_told = true;
    engine_event(s, CPH_SESSION_REKEY_WANTED, stream, b, CPH_OK,
                 "%s: the lifetime of a key nears its end", s->media[stream].kind);
}

/* May media go on this line now? */
static cph_err may_send(const struct cph_session *s, const struct engine_line *l,
                        enum cph_keying_component kind)
{
    switch (l->state) {
    case LINE_NONE:
        return CPH_E_STATE;
    case LINE_KEYING:
    case LINE_CLEARED: /* RFC 6189 4.7.2 MUST NOT: RTP before the user knows */
        return CPH_E_NOKEY;
    case LINE_FAILED:
        return CPH_E_POLICY;
    case LINE_PLAIN:
        if (cph_policy_media(&s->cfg.policy) == CPH_SECURITY_REQUIRED)
            return CPH_E_POLICY;
        break;
    case LINE_SECURE:
        if (l->mute) /* RFC 5027 3 MUST NOT: media before the preconditions are met */
            return CPH_E_NOKEY;
        break;
    }
    if (!l->has_agreed || !l->agreed.active)
        return CPH_E_STATE;
    /* RFC 3264 5.1: RTCP goes on while media is on hold */
    return kind == CPH_KEYING_RTCP || (l->agreed.direction & CPH_SDP_SENDONLY) ? CPH_OK
                                                                               : CPH_E_STATE;
}

static cph_err protect_with(struct engine_line *l, enum cph_keying_component kind,
                            struct cph_srtp_pkt *pkt, cph_time now)
{
    struct engine_sender *x = l->send[l->shared ? 0 : kind];

    if (l->ekt)
        return engine_ekt_protect(l, kind, pkt, now);
    if (!x)
        return CPH_E_NOKEY;
    return kind == CPH_KEYING_RTP ? cph_srtp_protect(x->srtp, pkt)
                                  : cph_srtp_protect_rtcp(x->srtp, pkt);
}

cph_err cph_session_protect(struct cph_session *s, unsigned stream,
                            enum cph_keying_component component, uint8_t *p, size_t *n, size_t cap,
                            enum cph_keying_component *port, struct cph_addr *to, cph_time now)
{
    struct engine_branch *b = engine_branch(s);
    struct cph_srtp_pkt pkt = { .n = *n, .cap = cap };
    const struct cph_addr *at;
    struct engine_line *l;

    pkt.p = p;
    if (stream >= s->n || component > CPH_KEYING_RTCP)
        return CPH_E_ARGUMENT;
    if (!b)
        return CPH_E_NOKEY;
    s->now = now;
    l = &b->line[stream];
    CPH_TRY(may_send(s, l, component));
    *port = l->agreed.rtcp_mux ? CPH_KEYING_RTP : component;
    at = engine_target(l, *port);
    if (!engine_usable(at))
        return CPH_E_STATE; /* held by 0.0.0.0, or a name we cannot look up */
    if (l->state == LINE_SECURE) {
        CPH_TRY(protect_with(l, component, &pkt, now));
        look_at_life(s, b, stream);
    }
    *n = pkt.n;
    *to = *at;
    l->moved = true;
    if (component == CPH_KEYING_RTCP) {
        s->count.rtcp_out++;
        return CPH_OK;
    }
    s->count.out++;
    s->media[stream].out++;
    s->media[stream].clear_out += l->state == LINE_PLAIN;
    return CPH_OK;
}

/* ---- keying that goes, and time -------------------------------------------------------------- */

static cph_err pull_from(struct cph_session *s, struct cph_nego *nego, const struct engine_line *l,
                         unsigned stream, struct cph_session_out *out, cph_time now)
{
    const struct cph_addr *to;

    while (nego && cph_nego_pull(nego, &s->out, now) == CPH_OK) {
        to = s->out.has_to ? &s->out.to : l ? engine_target(l, s->out.component) : NULL;
        if (!engine_usable(to))
            continue; /* nowhere to send it; it is repeated */
        s->count.keying_out++;
        *out = (struct cph_session_out){
            .stream = stream, .port = s->out.component, .to = *to, .bytes = { s->out.b, s->out.n }
        };
        return CPH_OK;
    }
    return CPH_E_AGAIN;
}

/* A mechanism on the media path may come to its end when asked, and who demands proof of the peer
 * looks each time; else it is enough after something was told. */
static bool to_look_at(const struct cph_session *s, const struct engine_line *l)
{
    return s->look || s->cfg.policy.enforce_need || (l->nego && cph_nego_sends(l->nego));
}

cph_err cph_session_pull(struct cph_session *s, struct cph_session_out *out, cph_time now)
{
    struct engine_branch *b;

    s->now = now;
    for (unsigned stream = 0; stream < s->n; stream++) {
        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;) {
            cph_err err;

            err = pull_from(s, b->line[stream].nego, &b->line[stream], stream, out, now);
            if (to_look_at(s, &b->line[stream]))
                engine_look(s, b, stream, now);
            if (err == CPH_OK)
                return CPH_OK;
        }
        if (pull_from(s, s->base[stream], NULL, stream, out, now) == CPH_OK)
            return CPH_OK;
    }
    s->look = false;
    return CPH_E_AGAIN;
}

static cph_time earlier(cph_time a, cph_time b)
{
    return a < b ? a : b;
}

static cph_time line_deadline(const struct cph_session *s, const struct engine_line *l)
{
    cph_time at = l->nego ? cph_nego_deadline(l->nego) : CPH_TIME_NEVER;

    if (l->prev_until)
        at = earlier(at, l->prev_until);
    if (l->state == LINE_KEYING)
        at = earlier(at, engine_keys_due(s, l));
    return at;
}

cph_time cph_session_deadline(const struct cph_session *s)
{
    cph_time at = CPH_TIME_NEVER;
    const struct engine_branch *b;

    for (unsigned stream = 0; stream < s->n; stream++) {
        const struct engine_media *m = &s->media[stream];
        unsigned ms = s->cfg.policy.early_ms ? s->cfg.policy.early_ms : CPH_EARLY_MS_DEFAULT;

        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
            at = earlier(at, line_deadline(s, &b->line[stream]));
        if (s->base[stream])
            at = earlier(at, cph_nego_deadline(s->base[stream]));
        if (m->early)
            at = earlier(at, m->early->came + CPH_MS(ms));
    }
    return at;
}

void cph_session_tick(struct cph_session *s, cph_time now)
{
    struct engine_branch *b;

    s->now = now;
    for (unsigned stream = 0; stream < s->n; stream++) {
        (void)engine_early_expire(s, stream, now);
        if (s->base[stream])
            cph_nego_tick(s->base[stream], now);
        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;) {
            struct engine_line *l = &b->line[stream];

            if (l->prev_until && now >= l->prev_until)
                engine_grace_over(l);
            if (l->nego)
                cph_nego_tick(l->nego, now);
            engine_look(s, b, stream, now);
        }
    }
}

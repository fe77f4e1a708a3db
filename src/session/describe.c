#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * Our offers, and what all descriptions share. What an exchange changes is made first and put in
 * place at its end; descriptions in force stay until then.
 *
 *   offer ---> pending --- finish(branch) ---> in force        (rollback: as it was)
 *   answer(offer) ----------------------------> in force
 */

/* ---- descriptions ---------------------------------------------------------------------------- */

void engine_desc_free(struct engine_desc *d)
{
    cph_arena_free(d->arena);
    *d = (struct engine_desc){ 0 };
}

void engine_desc_move(struct engine_desc *to, struct engine_desc *from)
{
    engine_desc_free(to);
    *to = *from;
    *from = (struct engine_desc){ 0 };
}

cph_err engine_desc_read(struct cph_span text, struct engine_desc *out)
{
    struct cph_span copy;
    cph_err err;

    if (text.n > CPH_SDP_MAX_BYTES)
        return CPH_E_LIMIT;
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &out->arena));
    copy = cph_arena_copy(out->arena, text);
    err = copy.p ? cph_sdp_parse(out->arena, copy, &out->sdp) : CPH_E_NOMEM;
    if (err != CPH_OK)
        engine_desc_free(out);
    return err;
}

/* RFC 3312 6: until the peer is ready media goes where and in the directions it went. The codecs
 * are the new ones at once: the old ones lie in a description that is gone. */
static void stay(const struct cph_sdp_agreed *was, struct cph_sdp_agreed *is)
{
    is->active = was->active && is->n_codecs > 0;
    is->direction = was->direction;
    is->rtp.addr = was->rtp.addr;
    is->rtcp.addr = was->rtcp.addr;
    is->rtcp_mux = was->rtcp_mux;
}

cph_err engine_agree(struct cph_session *s, struct engine_branch *b, const struct cph_sdp *local,
                     bool we_offered)
{
    struct cph_sdp_agreed a[CPH_SESSION_STREAMS];
    bool has[CPH_SESSION_STREAMS] = { false };

    for (unsigned i = 0; i < s->n; i++) {
        if (b->at[i] >= local->n_media || b->at[i] >= b->remote.sdp->n_media)
            continue;
        CPH_TRY(cph_sdp_agree(local, b->remote.sdp, b->at[i], we_offered, &a[i]));
        has[i] = true;
    }
    for (unsigned i = 0; i < s->n; i++) {
        struct engine_line *l = &b->line[i];

        for (int c = 0; has[i] && l->has_agreed && c < 2;
             c++) { /* the peer moved: no more detours */
            struct cph_addr *was = c ? &l->agreed.rtcp.addr : &l->agreed.rtp.addr;
            struct cph_addr *is = c ? &a[i].rtcp.addr : &a[i].rtp.addr;

            if (!cph_addr_eq(was, is))
                l->latched[c] = (struct cph_addr){ 0 };
        }
        if (l->held && !l->mute && has[i])
            stay(&l->agreed, &a[i]);
        l->has_agreed = has[i];
        if (has[i])
            l->agreed = a[i];
    }
    return CPH_OK;
}

/* Words of what negotiation says about a line, for the event and the log. */
void engine_tell_failure(struct cph_session *s, const struct engine_branch *b, unsigned stream,
                         enum cph_session_event_kind kind, cph_err err)
{
    struct cph_nego_status st;

    cph_nego_status(b->line[stream].nego, &st);
    engine_event(s, kind, stream, b, err, "%s: %s", s->media[stream].kind,
                 st.why ? st.why : cph_err_text(err));
}

bool engine_is_fatal(cph_err err)
{
    return cph_err_blame(err) == CPH_BLAME_HOST || cph_err_blame(err) == CPH_BLAME_SELF;
}

/* ---- offer ----------------------------------------------------------------------------------- */

/* Negotiation of a line for an offer: that of the call, or of the first offer. */
static cph_err nego_for_offer(struct cph_session *s, unsigned i, struct cph_nego **out)
{
    struct engine_branch *b = engine_branch(s);
    struct cph_nego **at = b ? &b->line[i].nego : &s->base[i];

    if (!*at)
        CPH_TRY(engine_nego(s, i, at));
    *out = *at;
    return CPH_OK;
}

/* One stream: in one line, or with keys in one and without in another, of the same description or
 * of one of its own. */
static cph_err write_line(struct cph_session *s, unsigned i, struct cph_nego *nego,
                          struct cph_sdp *sdp, struct cph_sdp *plain)
{
    struct cph_keying_local local = { sdp, sdp->media[s->place[i]] }, open = { plain, NULL };

    if (s->second[i] < sdp->n_media)
        open = (struct cph_keying_local){ sdp, sdp->media[s->second[i]] };
    else if (plain)
        open.media = plain->media[s->place[i]];
    return open.media && cph_nego_twice(nego) ? cph_nego_offer_twice(nego, &local, &open)
                                              : cph_nego_offer(nego, &local);
}

static cph_err write_offer(struct cph_session *s, struct cph_sdp *sdp, struct cph_sdp *plain)
{
    if (s->rekey) /* RFC 8870 4.1 MUST: another set, another SPI */
        CPH_TRY(engine_ekt_draw(s));
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_nego *nego;

        if (s->media[i].removed)
            continue;
        CPH_TRY(nego_for_offer(s, i, &nego));
        if (s->rekey)
            cph_nego_renew(nego);
        if (engine_branch(s))
            engine_tell_stream(s, engine_branch(s), i);
        CPH_TRY(write_line(s, i, nego, sdp, plain));
    }
    return CPH_OK;
}

/* A first offer in two bodies: the second description, without keys. */
static bool in_two_bodies(const struct cph_session *s)
{
    return s->cfg.policy.form == CPH_KEYING_FORM_BODIES && !s->local.sdp && s->active < 0 &&
           cph_policy_media(&s->cfg.policy) == CPH_SECURITY_PREFER;
}

/* The skeletons of an offer, of a second one if there is to be one, and their keys. */
static cph_err build_offer(struct cph_session *s, const struct cph_sdp_local *side,
                           struct engine_desc *next, struct engine_desc *plain)
{
    struct engine_wishes w;

    CPH_TRY(engine_place_twice(s));
    CPH_TRY(engine_wishes_offer(s, &w));
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &next->arena));
    CPH_TRY(cph_sdp_offer(next->arena, side, w.stream, w.n, &next->sdp));
    CPH_TRY(engine_place_groups(s, &w, next->sdp));
    if (in_two_bodies(s)) {
        CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &plain->arena));
        CPH_TRY(cph_sdp_offer(plain->arena, side, w.stream, w.n, &plain->sdp));
    }
    CPH_TRY(write_offer(s, next->sdp, plain->sdp));
    return engine_precond_offer(s, next->sdp);
}

cph_err cph_session_offer(struct cph_session *s, cph_time now, struct cph_wr *out)
{
    struct cph_sdp_local side = s->local_side;
    struct engine_desc next = { 0 }, plain = { 0 };
    cph_err err;

    if (s->offered)
        return CPH_E_STATE;
    s->now = now;
    err = build_offer(s, &side, &next, &plain);
    if (err == CPH_OK)
        err = cph_sdp_finish_local(&side, next.sdp, s->local.sdp);
    if (err == CPH_OK)
        err = cph_sdp_print(next.sdp, out);
    if (err != CPH_OK) {
        engine_desc_free(&next);
        engine_desc_free(&plain);
        s->offered = true; /* so that what was begun is taken back */
        cph_session_rollback(s);
        return err;
    }
    s->look = true;
    s->local_side = side;
    engine_desc_move(&s->pending, &next);
    engine_desc_move(&s->pending_plain, &plain);
    s->offered = true;
    s->first = engine_branch(s) == NULL;
    s->rekey_offered = s->rekey;
    s->rekey = false;
    return CPH_OK;
}

cph_err cph_session_offer_again(struct cph_session *s, cph_time now, struct cph_wr *out)
{
    return s->rekey ? CPH_E_STATE : cph_session_offer(s, now, out);
}

cph_err cph_session_offer_plain(const struct cph_session *s, struct cph_wr *out)
{
    if (!s->offered || !s->pending_plain.sdp)
        return CPH_E_STATE;
    return cph_sdp_print(s->pending_plain.sdp, out);
}

/* A first offer that nobody answered well is over with all that belongs to it. */
static void forget_first(struct cph_session *s)
{
    struct engine_branch *b;

    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        engine_branch_free(s, b);
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++) {
        cph_nego_free(s->base[i]);
        s->base[i] = NULL;
    }
    engine_parted_free(s);
}

bool cph_session_offer_wanted(const struct cph_session *s)
{
    const struct engine_branch *b = engine_branch_const(s);
    bool wanted = false;

    for (unsigned i = 0; b && !s->offered && i < s->n; i++) {
        struct cph_nego_status st;

        if (!b->line[i].nego)
            continue;
        cph_nego_status(b->line[i].nego, &st);
        wanted |= st.outcome == CPH_NEGO_SECURE && st.keying.offer_wanted;
    }
    return wanted;
}

/* Who made the open offer of a stream: all forks of one know it. */
static struct cph_nego *offerer(struct cph_session *s, unsigned stream)
{
    const struct engine_branch *b;

    if (s->base[stream])
        return s->base[stream];
    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        if (b->line[stream].nego)
            return b->line[stream].nego;
    return NULL;
}

cph_err cph_session_refused(struct cph_session *s, struct cph_span body, char why[CPH_SESSION_WHY],
                            bool *proven)
{
    struct engine_desc theirs = { 0 };
    struct cph_keying_refusal r = { 0 };
    cph_err err = CPH_E_NOTFOUND;
    unsigned i;

    if (!s->offered)
        return CPH_E_STATE;
    if (engine_desc_read(body, &theirs) != CPH_OK)
        return CPH_E_NOTFOUND;
    for (i = 0; i < s->n && err != CPH_OK; i++) {
        struct cph_nego *n = offerer(s, i);
        struct cph_keying_remote remote = { theirs.sdp, NULL };

        if (!n || s->place[i] >= theirs.sdp->n_media)
            continue;
        remote.media = theirs.sdp->media[s->place[i]];
        err = cph_nego_refused(n, &remote, &r);
    }
    engine_desc_free(&theirs);
    if (err != CPH_OK)
        return CPH_E_NOTFOUND;
    s->count.refusals_heard++;
    s->count.refusals_proven += r.proven;
    *proven = r.proven;
    (void)snprintf(why, CPH_SESSION_WHY, "%s: the peer %s that it refuses the %s keys: %s",
                   s->media[i - 1].kind, r.proven ? "proves" : "or somebody on the way says",
                   r.method, r.why);
    return CPH_OK;
}

void cph_session_rollback(struct cph_session *s)
{
    struct engine_branch *b = engine_branch(s);

    if (!s->offered)
        return;
    s->look = true;
    for (unsigned i = 0; b && i < CPH_SESSION_STREAMS; i++)
        if (b->line[i].nego)
            cph_nego_rollback(b->line[i].nego);
    if (!b)
        forget_first(s);
    engine_desc_free(&s->pending);
    engine_desc_free(&s->pending_plain);
    s->offered = false;
    s->rekey |= s->rekey_offered; /* the wish stays */
    s->rekey_offered = false;
}

/* The peer's offer, and our answer: read whole, then put in place. */
#include <string.h>

#include "engine_int.h"

/* One line of the peer's offer. CPH_E_POLICY: refused, the others may still do. */
static cph_err answer_line(struct cph_session *s, struct engine_branch *b,
                           const struct cph_sdp *offer, struct cph_sdp *answer, unsigned i)
{
    struct cph_keying_remote remote = { offer, offer->media[s->place[i]] };
    struct cph_keying_local local = { answer, answer->media[s->place[i]] };
    struct engine_line *l = &b->line[i];

    if (!l->nego)
        CPH_TRY(engine_nego(s, i, &l->nego));
    if (s->rekey)
        cph_nego_renew(l->nego);
    engine_tell_stream(s, b, i);
    return cph_nego_answer(l->nego, &remote, &local);
}

/* CPH_OK, or why no stream is left although the peer wanted one. */
static cph_err answer_lines(struct cph_session *s, struct engine_branch *b,
                            const struct cph_sdp *offer, struct cph_sdp *answer)
{
    cph_err first = CPH_OK;
    bool any = false;

    for (unsigned i = 0; i < s->n; i++) {
        unsigned at = s->place[i];
        bool wanted;
        cph_err err;

        if (at >= offer->n_media)
            continue;
        wanted = answer->media[at]->port != 0;
        err = answer_line(s, b, offer, answer, i);
        if (engine_is_fatal(err))
            return err;
        if (err != CPH_OK && wanted) {
            /* A change that is refused leaves the call as it was. */
            engine_tell_failure(s, b, i, b->remote.sdp ? CPH_SESSION_NOTICE : CPH_SESSION_FAILED,
                                err);
            first = first == CPH_OK ? err : first;
        }
        any |= answer->media[at]->port != 0;
    }
    for (unsigned i = 0; i < offer->n_media && first == CPH_OK && !any; i++)
        if (offer->media[i]->port != 0)
            first = CPH_E_UNSUPPORTED; /* nothing there that we do */
    return any ? CPH_OK : first;
}

/* All streams are refused: a description that says why, if a mechanism or a precondition did. It is
 * no answer, and nothing of it is kept. */
static void write_refusal(struct cph_session *s, const struct engine_branch *b,
                          struct cph_sdp_local side, const struct cph_sdp *offer,
                          struct cph_sdp *answer, struct cph_wr *out)
{
    size_t at = out->n;
    bool says = engine_precond_refuse(s, offer, answer);

    for (unsigned i = 0; i < s->n; i++) {
        struct cph_nego_status st = { 0 };

        if (b->line[i].nego)
            cph_nego_status(b->line[i].nego, &st);
        says |= st.gave_reason;
    }
    if (!says)
        return;
    if (cph_sdp_finish_local(&side, answer, s->local.sdp) == CPH_OK &&
        cph_sdp_print(answer, out) == CPH_OK && !out->failed) {
        s->count.refusals_told++;
        return;
    }
    out->n = at; /* then without words */
    out->failed = false;
}

/* The branch an offer of the peer is about. */
static cph_err branch_for_answer(struct cph_session *s, struct engine_branch **out)
{
    *out = engine_branch(s);
    return *out ? CPH_OK : engine_branch_new(s, 0, out);
}

cph_err cph_session_answer(struct cph_session *s, struct cph_span offer, cph_time now,
                           struct cph_wr *out)
{
    struct engine_wishes w = { 0 };
    struct cph_sdp_local side = s->local_side;
    struct engine_desc theirs = { 0 }, ours = { 0 };
    struct engine_branch *b;
    cph_err err;

    if (s->offered && (!s->first || !engine_branch(s)))
        return CPH_E_STATE;
    s->now = now;
    CPH_TRY(engine_desc_read(offer, &theirs));
    err = branch_for_answer(s, &b);
    if (err != CPH_OK) {
        engine_desc_free(&theirs);
        return err;
    }
    err = b->remote.sdp ? cph_sdp_reoffer_check(b->remote.sdp, theirs.sdp) : CPH_OK;
    if (err == CPH_OK)
        err = engine_place_choose(s, theirs.sdp);
    if (err == CPH_OK)
        err = cph_arena_new(CPH_SDP_ARENA, &ours.arena);
    engine_wishes_answer(s, theirs.sdp, &w);
    if (err == CPH_OK)
        err = cph_sdp_answer_skeleton(ours.arena, &side, theirs.sdp, w.stream, w.n, &ours.sdp);
    if (err == CPH_OK)
        err = engine_ekt_draw_again(s, b);
    if (err == CPH_OK) {
        engine_precond_before(s, b);
        err = engine_precond_known(s, theirs.sdp);
        if (err == CPH_OK)
            err = answer_lines(s, b, theirs.sdp, ours.sdp);
        if (err != CPH_OK && !engine_is_fatal(err))
            write_refusal(s, b, side, theirs.sdp, ours.sdp, out);
    }
    if (err == CPH_OK)
        err = engine_precond_answer(s, b, theirs.sdp, ours.sdp);
    if (err == CPH_OK)
        err = cph_sdp_finish_local(&side, ours.sdp, s->local.sdp);
    if (err == CPH_OK)
        err = cph_sdp_print(ours.sdp, out);
    if (err == CPH_OK) {
        struct engine_desc before = b->remote;

        b->remote = theirs;
        memcpy(b->at, s->place, sizeof b->at);
        err = engine_agree(s, b, ours.sdp, false);
        theirs = before; /* the one that is freed below */
        if (err != CPH_OK) {
            struct engine_desc bad = b->remote;

            b->remote = before;
            theirs = bad;
        }
    }
    if (err == CPH_OK) {
        s->local_side = side;
        s->rings = !s->local.sdp;
        engine_desc_move(&s->local, &ours);
        s->active = (int)b->slot;
        s->chosen |= b->id == 0;
        s->rekey = false;
        engine_look_all(s, b, now);
    } else {
        if (engine_branch(s))
            engine_look_all(s, b, now); /* what held holds, and failures are told */
        else
            engine_branch_free(s, b);
    }
    engine_desc_free(&ours);
    engine_desc_free(&theirs);
    return err;
}

cph_err cph_session_answer_try(struct cph_session *s, struct cph_span offer, bool last,
                               cph_time now, struct cph_wr *out)
{
    unsigned events = s->events_n;
    size_t written = out->n;
    cph_err err = cph_session_answer(s, offer, now, out);

    if (err == CPH_OK || last || cph_err_blame(err) == CPH_BLAME_HOST)
        return err;
    s->events_n = events < s->events_n ? events : s->events_n;
    out->n = written;
    out->failed = false;
    return err;
}

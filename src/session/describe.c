#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * Offers and answers. What an exchange changes is made first and put in place at its end;
 * descriptions in force stay until then.
 *
 *   offer ---> pending --- finish(branch) ---> in force        (rollback: as it was)
 *   answer(offer) ----------------------------> in force
 */

/* ---- descriptions ---------------------------------------------------------------------------- */

static void desc_free(struct engine_desc *d)
{
    cph_arena_free(d->arena);
    *d = (struct engine_desc){ 0 };
}

static void desc_move(struct engine_desc *to, struct engine_desc *from)
{
    desc_free(to);
    *to = *from;
    *from = (struct engine_desc){ 0 };
}

static cph_err desc_read(struct cph_span text, struct engine_desc *out)
{
    struct cph_span copy;
    cph_err err;

    if (text.n > CPH_SDP_MAX_BYTES)
        return CPH_E_LIMIT;
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &out->arena));
    copy = cph_arena_copy(out->arena, text);
    err = copy.p ? cph_sdp_parse(out->arena, copy, &out->sdp) : CPH_E_NOMEM;
    if (err != CPH_OK)
        desc_free(out);
    return err;
}

/* Our wishes as sdp/ takes them. */
static void streams_of(const struct cph_session *s, struct cph_sdp_stream out[CPH_SESSION_STREAMS])
{
    for (unsigned i = 0; i < s->n; i++) {
        const struct engine_media *m = &s->media[i];

        out[i] = (struct cph_sdp_stream){ .kind = m->kind,
                                          .port = m->removed ? 0 : m->wish.local[0].port,
                                          .rtcp_port = m->wish.local[1].port,
                                          .rtcp_mux = m->wish.rtcp_mux,
                                          .direction = m->wish.direction,
                                          .codecs = m->wish.codecs,
                                          .n_codecs = m->wish.n_codecs,
                                          .ptime = m->wish.ptime,
                                          .addr = &m->wish.local[0] };
    }
}

static cph_err agree(struct cph_session *s, struct engine_branch *b, const struct cph_sdp *local,
                     bool we_offered)
{
    struct cph_sdp_agreed a[CPH_SESSION_STREAMS];
    bool has[CPH_SESSION_STREAMS] = { false };

    for (unsigned i = 0; i < s->n; i++) {
        if (i >= local->n_media || i >= b->remote.sdp->n_media)
            continue;
        CPH_TRY(cph_sdp_agree(local, b->remote.sdp, i, we_offered, &a[i]));
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
        l->has_agreed = has[i];
        if (has[i])
            l->agreed = a[i];
    }
    return CPH_OK;
}

/* Words of what negotiation says about a line, for the event and the log. */
static void tell_failure(struct cph_session *s, const struct engine_branch *b, unsigned stream,
                         enum cph_session_event_kind kind, cph_err err)
{
    struct cph_nego_status st;

    cph_nego_status(b->line[stream].nego, &st);
    engine_event(s, kind, stream, b, err, "%s: %s", s->media[stream].kind,
                 st.why ? st.why : cph_err_text(err));
}

/* ---- offer ----------------------------------------------------------------------------------- */

/* Negotiation of a line for an offer: that of the call, or of the first offer. */
static cph_err nego_for_offer(struct cph_session *s, unsigned i, struct cph_nego **out)
{
    struct engine_branch *b = engine_branch(s);
    struct cph_nego **at = b ? &b->line[i].nego : &s->base[i];

    if (!*at)
        CPH_TRY(engine_nego(s, at));
    *out = *at;
    return CPH_OK;
}

static cph_err write_offer(struct cph_session *s, struct cph_sdp *sdp)
{
    if (s->rekey) /* RFC 8870 4.1 MUST: another set, another SPI */
        CPH_TRY(engine_ekt_draw(s));
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_keying_local local = { sdp, sdp->media[i] };
        struct cph_nego *nego;

        if (s->media[i].removed)
            continue;
        CPH_TRY(nego_for_offer(s, i, &nego));
        if (s->rekey)
            cph_nego_renew(nego);
        CPH_TRY(cph_nego_offer(nego, &local));
    }
    return CPH_OK;
}

cph_err cph_session_offer(struct cph_session *s, cph_time now, struct cph_wr *out)
{
    struct cph_sdp_stream streams[CPH_SESSION_STREAMS];
    struct cph_sdp_local side = s->local_side;
    struct engine_desc next = { 0 };
    cph_err err;

    if (s->offered)
        return CPH_E_STATE;
    streams_of(s, streams);
    s->now = now;
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &next.arena));
    err = cph_sdp_offer(next.arena, &side, streams, s->n, &next.sdp);
    if (err == CPH_OK)
        err = write_offer(s, next.sdp);
    if (err == CPH_OK)
        err = cph_sdp_finish_local(&side, next.sdp, s->local.sdp);
    if (err == CPH_OK)
        err = cph_sdp_print(next.sdp, out);
    if (err != CPH_OK) {
        desc_free(&next);
        s->offered = true; /* so that what was begun is taken back */
        cph_session_rollback(s);
        return err;
    }
    s->local_side = side;
    desc_move(&s->pending, &next);
    s->offered = true;
    s->first = engine_branch(s) == NULL;
    s->rekey_offered = s->rekey;
    s->rekey = false;
    return CPH_OK;
}

/* A first offer that nobody answered well is over with all that belongs to it. */
static void forget_first(struct cph_session *s)
{
    for (unsigned i = 0; i < CPH_SESSION_BRANCHES; i++)
        if (s->branch[i].used)
            engine_branch_free(s, &s->branch[i]);
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++) {
        cph_nego_free(s->base[i]);
        s->base[i] = NULL;
    }
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

void cph_session_rollback(struct cph_session *s)
{
    struct engine_branch *b = engine_branch(s);

    if (!s->offered)
        return;
    for (unsigned i = 0; b && i < CPH_SESSION_STREAMS; i++)
        if (b->line[i].nego)
            cph_nego_rollback(b->line[i].nego);
    if (!b)
        forget_first(s);
    desc_free(&s->pending);
    s->offered = false;
    s->rekey |= s->rekey_offered; /* the wish stays */
    s->rekey_offered = false;
}

/* ---- answer ---------------------------------------------------------------------------------- */

/* One line of the peer's offer. CPH_E_POLICY: refused, the others may still do. */
static cph_err answer_line(struct cph_session *s, struct engine_branch *b,
                           const struct cph_sdp *offer, struct cph_sdp *answer, unsigned i)
{
    struct cph_keying_remote remote = { offer, offer->media[i] };
    struct cph_keying_local local = { answer, answer->media[i] };
    struct engine_line *l = &b->line[i];

    if (!l->nego)
        CPH_TRY(engine_nego(s, &l->nego));
    if (s->rekey)
        cph_nego_renew(l->nego);
    return cph_nego_answer(l->nego, &remote, &local);
}

static bool is_fatal(cph_err err)
{
    return cph_err_blame(err) == CPH_BLAME_HOST || cph_err_blame(err) == CPH_BLAME_SELF;
}

/* CPH_OK, or why no stream is left although the peer wanted one. */
static cph_err answer_lines(struct cph_session *s, struct engine_branch *b,
                            const struct cph_sdp *offer, struct cph_sdp *answer)
{
    cph_err first = CPH_OK;
    bool any = false;

    for (unsigned i = 0; i < offer->n_media && i < s->n; i++) {
        bool wanted = answer->media[i]->port != 0;
        cph_err err = answer_line(s, b, offer, answer, i);

        if (is_fatal(err))
            return err;
        if (err != CPH_OK && wanted) {
            /* A change that is refused leaves the call as it was. */
            tell_failure(s, b, i, b->remote.sdp ? CPH_SESSION_NOTICE : CPH_SESSION_FAILED, err);
            first = first == CPH_OK ? err : first;
        }
        any |= answer->media[i]->port != 0;
    }
    for (unsigned i = 0; i < offer->n_media && first == CPH_OK && !any; i++)
        if (offer->media[i]->port != 0)
            first = CPH_E_UNSUPPORTED; /* nothing there that we do */
    return any ? CPH_OK : first;
}

/* The branch an offer of the peer is about. */
static struct engine_branch *branch_for_answer(struct cph_session *s)
{
    struct engine_branch *b = engine_branch(s);

    if (b)
        return b;
    b = &s->branch[0];
    b->used = true;
    b->id = 0;
    return b;
}

cph_err cph_session_answer(struct cph_session *s, struct cph_span offer, cph_time now,
                           struct cph_wr *out)
{
    struct cph_sdp_stream streams[CPH_SESSION_STREAMS];
    struct cph_sdp_local side = s->local_side;
    struct engine_desc theirs = { 0 }, ours = { 0 };
    struct engine_branch *b;
    cph_err err;

    if (s->offered && (!s->first || !engine_branch(s)))
        return CPH_E_STATE;
    s->now = now;
    CPH_TRY(desc_read(offer, &theirs));
    b = branch_for_answer(s);
    streams_of(s, streams);
    err = b->remote.sdp ? cph_sdp_reoffer_check(b->remote.sdp, theirs.sdp) : CPH_OK;
    if (err == CPH_OK)
        err = cph_arena_new(CPH_SDP_ARENA, &ours.arena);
    if (err == CPH_OK)
        err = cph_sdp_answer_skeleton(ours.arena, &side, theirs.sdp, streams, s->n, &ours.sdp);
    if (err == CPH_OK)
        err = answer_lines(s, b, theirs.sdp, ours.sdp);
    if (err == CPH_OK)
        err = cph_sdp_finish_local(&side, ours.sdp, s->local.sdp);
    if (err == CPH_OK)
        err = cph_sdp_print(ours.sdp, out);
    if (err == CPH_OK) {
        struct engine_desc before = b->remote;

        b->remote = theirs;
        err = agree(s, b, ours.sdp, false);
        theirs = before; /* the one that is freed below */
        if (err != CPH_OK) {
            struct engine_desc bad = b->remote;

            b->remote = before;
            theirs = bad;
        }
    }
    if (err == CPH_OK) {
        s->local_side = side;
        desc_move(&s->local, &ours);
        s->active = (int)(b - s->branch);
        s->chosen |= b->id == 0;
        s->rekey = false;
        engine_look_all(s, b, now);
    } else {
        if (engine_branch(s))
            engine_look_all(s, b, now); /* what held holds, and failures are told */
        else
            engine_branch_free(s, b);
    }
    desc_free(&ours);
    desc_free(&theirs);
    return err;
}

/* ---- finish ---------------------------------------------------------------------------------- */

static struct engine_branch *branch_find(struct cph_session *s, uint32_t id)
{
    for (unsigned i = 0; i < CPH_SESSION_BRANCHES; i++)
        if (s->branch[i].used && s->branch[i].id == id)
            return &s->branch[i];
    return NULL;
}

static struct engine_branch *branch_any(struct cph_session *s, const struct engine_branch *but)
{
    for (unsigned i = 0; i < CPH_SESSION_BRANCHES; i++)
        if (s->branch[i].used && &s->branch[i] != but)
            return &s->branch[i];
    return NULL;
}

/* The first answerer takes the session's own instances, each further one gets forks of them. */
static cph_err branch_fill(struct cph_session *s, struct engine_branch *b)
{
    struct engine_branch *other = branch_any(s, b);

    for (unsigned i = 0; i < s->n; i++) {
        if (s->base[i]) {
            b->line[i].nego = s->base[i];
            s->base[i] = NULL;
        } else if (other && other->line[i].nego) {
            CPH_TRY(cph_nego_fork(other->line[i].nego, &b->line[i].nego));
        }
    }
    return CPH_OK;
}

static cph_err branch_new(struct cph_session *s, uint32_t id, struct engine_branch **out)
{
    for (unsigned i = 0; i < CPH_SESSION_BRANCHES; i++) {
        struct engine_branch *b = &s->branch[i];
        cph_err err;

        if (b->used)
            continue;
        b->used = true;
        b->id = id;
        err = branch_fill(s, b);
        if (err != CPH_OK) {
            engine_branch_free(s, b);
            return err;
        }
        *out = b;
        return CPH_OK;
    }
    return CPH_E_LIMIT;
}

/* CPH_OK: every line is what policy allows, or gone. */
static cph_err finish_lines(struct cph_session *s, struct engine_branch *b,
                            const struct cph_sdp *answer)
{
    cph_err first = CPH_OK;

    for (unsigned i = 0; i < answer->n_media && i < s->n; i++) {
        struct cph_keying_remote remote = { answer, answer->media[i] };
        cph_err err;

        if (!b->line[i].nego || s->pending.sdp->media[i]->port == 0)
            continue;
        err = cph_nego_finish(b->line[i].nego, &remote);
        if (is_fatal(err))
            return err;
        if (err != CPH_OK) {
            tell_failure(s, b, i, CPH_SESSION_FAILED, err);
            first = first == CPH_OK ? err : first;
        }
    }
    return first;
}

static cph_err read_answer(struct cph_session *s, struct engine_branch *b, struct cph_span answer)
{
    struct engine_desc theirs = { 0 }, before;
    cph_err err = desc_read(answer, &theirs);

    if (err == CPH_OK)
        err = cph_sdp_answer_check(s->pending.sdp, theirs.sdp);
    if (err == CPH_OK)
        err = finish_lines(s, b, theirs.sdp);
    if (err != CPH_OK) {
        desc_free(&theirs);
        return err;
    }
    before = b->remote;
    b->remote = theirs;
    err = agree(s, b, s->pending.sdp, true);
    if (err != CPH_OK) {
        b->remote = before;
        desc_free(&theirs);
        return err;
    }
    desc_free(&before);
    return CPH_OK;
}

/* The exchange of a standing call is over with its answer; a first offer stays open for other
 * branches and later answers until the choice. */
static void settle(struct cph_session *s)
{
    desc_move(&s->local, &s->pending);
    s->offered = false;
    s->rekey_offered = false;
}

cph_err cph_session_finish(struct cph_session *s, uint32_t branch, struct cph_span answer,
                           cph_time now)
{
    struct engine_branch *b;
    bool made = false;
    cph_err err;

    if (!s->offered)
        return CPH_E_STATE;
    s->now = now;
    b = s->first ? branch_find(s, branch) : engine_branch(s);
    if (!b) {
        CPH_TRY(branch_new(s, branch, &b));
        made = true;
    }
    err = read_answer(s, b, answer);
    if (err != CPH_OK && cph_err_blame(err) == CPH_BLAME_PEER)
        engine_event(s, CPH_SESSION_NOTICE, 0, b, err, "an answer was refused: %s",
                     cph_err_text(err));
    if (err != CPH_OK && made && branch_any(s, b)) { /* the others go on without it */
        engine_branch_free(s, b);
        return err;
    }
    if (err == CPH_OK)
        s->active = (int)(b - s->branch);
    engine_look_all(s, b, now);
    if (err == CPH_OK)
        engine_early_keying(s, b, now);
    if (!s->first)
        settle(s);
    return err;
}

cph_err cph_session_choose(struct cph_session *s, uint32_t branch)
{
    struct engine_branch *b = branch_find(s, branch);
    bool others = false;

    if (!b || !b->remote.sdp)
        return CPH_E_NOTFOUND;
    for (unsigned i = 0; i < CPH_SESSION_BRANCHES; i++)
        if (s->branch[i].used && &s->branch[i] != b) {
            others = true;
            engine_branch_free(s, &s->branch[i]);
        }
    s->active = (int)(b - s->branch);
    s->chosen = true;
    if (s->offered && s->first) {
        settle(s);
        s->first = false;
    }
    for (unsigned i = 0; i < s->n && others; i++) {
        struct cph_keying_evidence ke = { 0 };

        /* RFC 4568 7.3: every answerer of a fork was told the key we send with. */
        if (b->line[i].nego && b->line[i].state == LINE_SECURE)
            cph_nego_evidence(b->line[i].nego, &ke);
        b->line[i].ekt_forked = b->line[i].ekt != NULL;
        if (ke.keyed && !ke.keys_stay_at_ends)
            engine_event(s, CPH_SESSION_REKEY_WANTED, i, b, CPH_OK,
                         "other phones that rang know the key we send with: change it");
    }
    return CPH_OK;
}

void cph_session_drop(struct cph_session *s, uint32_t branch)
{
    struct engine_branch *b = branch_find(s, branch), *other;

    if (!b || s->chosen)
        return;
    other = branch_any(s, b);
    if (!other) /* the last one: a further answerer needs its instances */
        for (unsigned i = 0; i < s->n; i++) {
            struct cph_nego *fork = NULL;

            if (!s->base[i] && b->line[i].nego && cph_nego_fork(b->line[i].nego, &fork) == CPH_OK)
                s->base[i] = fork;
        }
    if (s->active == (int)(b - s->branch))
        s->active = other ? (int)(other - s->branch) : -1;
    engine_branch_free(s, b);
}

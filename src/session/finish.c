/* The answers to our offer, by branch, and the choice among them. */
#include <string.h>

#include "engine_int.h"

static struct engine_branch *branch_any(struct cph_session *s, const struct engine_branch *but)
{
    struct engine_branch *b;

    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        if (b != but)
            return b;
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
    struct engine_branch *b;
    cph_err err;

    CPH_TRY(engine_branch_new(s, id, &b));
    err = branch_fill(s, b);
    if (err != CPH_OK) {
        engine_branch_free(s, b);
        return err;
    }
    *out = b;
    return CPH_OK;
}

/* CPH_OK: every line is what policy allows, or gone. */
static cph_err finish_lines(struct cph_session *s, struct engine_branch *b,
                            const struct cph_sdp *ours, const struct cph_sdp *answer)
{
    cph_err first = CPH_OK;

    for (unsigned i = 0; i < s->n; i++) {
        struct cph_keying_remote remote = { answer, NULL };
        cph_err err;

        if (!b->line[i].nego || b->at[i] >= answer->n_media || ours->media[b->at[i]]->port == 0)
            continue;
        remote.media = answer->media[b->at[i]];
        err = cph_nego_finish(b->line[i].nego, &remote);
        if (engine_is_fatal(err))
            return err;
        if (err != CPH_OK) {
            engine_tell_failure(s, b, i, CPH_SESSION_FAILED, err);
            first = first == CPH_OK ? err : first;
        }
    }
    return first;
}

/* Of the descriptions we offered the one that was answered; NULL: none. */
static const struct cph_sdp *answered_to(const struct cph_session *s, struct engine_branch *b,
                                         const struct cph_sdp *answer)
{
    b->plain_body = false;
    if (cph_sdp_answer_check(s->pending.sdp, answer) == CPH_OK)
        return s->pending.sdp;
    if (!s->pending_plain.sdp || cph_sdp_answer_check(s->pending_plain.sdp, answer) != CPH_OK)
        return NULL;
    b->plain_body = true;
    return s->pending_plain.sdp;
}

static cph_err read_answer(struct cph_session *s, struct engine_branch *b, struct cph_span answer)
{
    struct engine_desc theirs = { 0 }, before;
    const struct cph_sdp *ours = NULL;
    cph_err err = engine_desc_read(answer, &theirs);

    if (err == CPH_OK) {
        ours = answered_to(s, b, theirs.sdp);
        err = ours ? CPH_OK : CPH_E_MALFORMED;
    }
    if (err == CPH_OK) {
        engine_precond_before(s, b);
        b->tidy |= !engine_place_answer(s, b, theirs.sdp);
        err = finish_lines(s, b, ours, theirs.sdp);
    }
    if (err != CPH_OK) {
        engine_desc_free(&theirs);
        return err;
    }
    engine_precond_finish(s, b, theirs.sdp);
    before = b->remote;
    b->remote = theirs;
    err = engine_agree(s, b, ours, true);
    if (err != CPH_OK) {
        b->remote = before;
        engine_desc_free(&theirs);
        return err;
    }
    engine_desc_free(&before);
    return CPH_OK;
}

/* What was agreed differs from what our m= lines say: another exchange sets that right. */
static void tell_reoffer(struct cph_session *s, struct engine_branch *b)
{
    bool due = b->tidy;

    for (unsigned i = 0; i < s->n; i++) {
        struct cph_nego_status st = { 0 };

        if (b->line[i].nego)
            cph_nego_status(b->line[i].nego, &st);
        due |= st.reoffer;
    }
    b->tidy = false;
    if (due)
        engine_event(s, CPH_SESSION_REOFFER_WANTED, 0, b, CPH_OK,
                     "an offer with what was agreed is due");
}

/* The exchange of a standing call is over with its answer; a first offer stays open for other
 * branches and later answers until the choice. */
static void settle(struct cph_session *s)
{
    struct engine_branch *b = engine_branch(s);

    engine_desc_move(&s->local, b && b->plain_body ? &s->pending_plain : &s->pending);
    engine_desc_free(&s->pending);
    engine_desc_free(&s->pending_plain);
    if (b) {
        for (unsigned i = 0; i < s->n; i++)
            if (b->line[i].nego)
                cph_nego_settled(b->line[i].nego);
        memcpy(s->place, b->at, sizeof s->place);
        tell_reoffer(s, b);
    }
    memset(s->second, ENGINE_NO_LINE, sizeof s->second);
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
    b = s->first ? engine_branch_find(s, branch) : engine_branch(s);
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
        s->active = (int)b->slot;
    engine_look_all(s, b, now);
    if (err == CPH_OK)
        engine_early_keying(s, b, now);
    if (!s->first)
        settle(s);
    return err;
}

cph_err cph_session_choose(struct cph_session *s, uint32_t branch)
{
    struct engine_branch *b = engine_branch_find(s, branch), *other;
    bool others = s->others_told;

    if (!b || !b->remote.sdp)
        return CPH_E_NOTFOUND;
    while ((other = branch_any(s, b)) != NULL) {
        others = true;
        engine_branch_free(s, other);
    }
    s->active = (int)b->slot;
    s->chosen = true;
    s->look = true;
    engine_precond_over(s, b);
    engine_parted_free(s);
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
    struct engine_branch *b = engine_branch_find(s, branch), *other;

    if (!b || s->chosen)
        return;
    s->look = true;
    s->others_told |= b->remote.sdp != NULL;
    other = branch_any(s, b);
    if (!other) /* the last one: a further answerer needs its instances */
        for (unsigned i = 0; i < s->n; i++) {
            struct cph_nego *fork = NULL;

            if (!s->base[i] && b->line[i].nego && cph_nego_fork(b->line[i].nego, &fork) == CPH_OK)
                s->base[i] = fork;
        }
    if (s->active == (int)b->slot)
        s->active = other ? (int)other->slot : -1;
    engine_branch_free(s, b);
}

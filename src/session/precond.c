/*
 * Security preconditions (RFC 5027 over RFC 3312): the phone called does not ring before both sides
 * have keys and know it of each other, so that nothing of the first words is lost.
 *
 *   offer    curr none                                              (INVITE)
 *   answer   curr recv or none, conf sendrecv                       (183, reliable; nothing rings)
 *   offer    curr sendrecv, once the offerer has keys               (UPDATE)
 *   answer   curr sendrecv                                          (now it rings)
 *
 * Later offers say the same where they change keys or add a stream: who answers goes on sending as
 * before until the second offer (RFC 3312 6), and both take what comes under old or new keys.
 */
#include <string.h>

#include "engine_int.h"

static enum cph_sdp_strength strength_of(const struct cph_session *s)
{
    return s->cfg.policy.precondition == CPH_PRECONDITION_MANDATORY ? CPH_SDP_STRENGTH_MANDATORY
                                                                    : CPH_SDP_STRENGTH_OPTIONAL;
}

/* Keys are there, or it is RTP, for which RFC 5027 3 has it that nothing is to be waited for. */
static bool line_ready(const struct engine_line *l)
{
    struct cph_nego_status st = { 0 };

    if (!l->nego)
        return true;
    cph_nego_status(l->nego, &st);
    return st.outcome == CPH_NEGO_PLAIN || st.outcome == CPH_NEGO_REMOVED ||
           (st.outcome == CPH_NEGO_SECURE && st.keying.state == CPH_KEYING_KEYED);
}

static bool line_secure(const struct engine_line *l)
{
    struct cph_nego_status st = { 0 };

    if (l->nego)
        cph_nego_status(l->nego, &st);
    return st.outcome == CPH_NEGO_SECURE;
}

/* ---- what waits ------------------------------------------------------------------------------ */

void engine_precond_before(struct cph_session *s, struct engine_branch *b)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_nego_status st = { 0 };

        if (b->line[i].nego)
            cph_nego_status(b->line[i].nego, &st);
        b->line[i].gen_was[0] = st.keying.dir[0].generation;
        b->line[i].gen_was[1] = st.keying.dir[1].generation;
    }
}

/* Did the exchange that is being read bring other keys? */
static bool keys_changed(const struct engine_line *l)
{
    struct cph_nego_status st = { 0 };

    if (l->nego)
        cph_nego_status(l->nego, &st);
    return st.keying.dir[0].generation != l->gen_was[0] ||
           st.keying.dir[1].generation != l->gen_was[1];
}

/* RFC 3312 6: what held before is used until the peer is ready; where nothing did, nothing goes. */
static void hold(struct engine_line *l, bool waits)
{
    bool old = l->state == LINE_SECURE && !l->mute;

    if (waits && l->ekt) /* its packets bring their keys along, and are understood at once */
        waits = false;
    if (waits == l->held)
        return;
    l->held = waits;
    l->mute = waits && !old;
    if (l->prev_until == CPH_TIME_NEVER)
        l->prev_until = 0;
}

cph_time engine_precond_grace(const struct engine_branch *b, const struct engine_line *l,
                              cph_time now)
{
    if (l->held)
        return CPH_TIME_NEVER; /* the peer goes on with the old ones as well */
    return now + (b->confirm && !b->confirmed ? CPH_SEC(ENGINE_WORD_S) : CPH_MS(ENGINE_GRACE_MS));
}

/* Those whose time was open get one. */
static void end_grace(struct cph_session *s, struct engine_line *l)
{
    cph_time at = s->now + CPH_MS(ENGINE_GRACE_MS);

    if ((l->prev[0] || l->prev[1]) && (l->prev_until == 0 || l->prev_until > at))
        l->prev_until = at;
}

void engine_precond_over(struct cph_session *s, struct engine_branch *b)
{
    for (unsigned i = 0; i < s->n; i++) {
        hold(&b->line[i], false);
        end_grace(s, &b->line[i]);
    }
}

/* What the peer's description says about the streams we have in it. */
static void read_peer(const struct cph_session *s, struct engine_branch *b,
                      const struct cph_sdp *theirs, const uint8_t at[CPH_SESSION_STREAMS],
                      enum cph_sdp_strength least)
{
    unsigned now = CPH_SDP_SENDRECV;

    b->precond = false;
    b->confirm = false;
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_sdp_security sec;

        if (at[i] >= theirs->n_media || theirs->media[at[i]]->port == 0)
            continue; /* RFC 3312 8.1 MUST: those of a refused stream are ignored */
        cph_sdp_security_of(theirs->media[at[i]], &sec);
        b->peer_knows |= sec.wanted != CPH_SDP_STRENGTH_UNSAID;
        b->confirm |= sec.confirm != CPH_SDP_INACTIVE;
        b->precond |= sec.wanted >= least || sec.confirm != CPH_SDP_INACTIVE;
        if (sec.wanted != CPH_SDP_STRENGTH_UNSAID)
            now &= sec.now;
    }
    b->peer_now = b->precond ? (enum cph_sdp_dir)now : CPH_SDP_INACTIVE;
}

/* ---- offers ---------------------------------------------------------------------------------- */

/* What we can say before the answer: a stream whose keys stay is as good as it was. */
static bool stays_ready(const struct cph_session *s, unsigned i)
{
    const struct engine_branch *b = engine_branch_const(s);

    return b && !s->rekey && b->line[i].state == LINE_SECURE && line_ready(&b->line[i]);
}

cph_err engine_precond_offer(struct cph_session *s, struct cph_sdp *sdp)
{
    struct engine_branch *b = engine_branch(s);
    bool all = true;

    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF || (b && !b->peer_knows))
        return CPH_OK; /* a peer that knows them has said so in the first exchange */
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_sdp_security sec = { .wanted = strength_of(s), .want = CPH_SDP_SENDRECV };

        for (unsigned k = 0; k < 2; k++) {
            unsigned at = k ? s->second[i] : s->place[i];

            if (at >= sdp->n_media || sdp->media[at]->port == 0)
                continue;
            sec.now = stays_ready(s, i) ? CPH_SDP_SENDRECV : CPH_SDP_INACTIVE;
            all &= sec.now == CPH_SDP_SENDRECV;
            CPH_TRY(cph_sdp_security_set(sdp, sdp->media[at], &sec));
        }
    }
    if (b)
        b->confirmed = all;
    return CPH_OK;
}

void engine_precond_finish(struct cph_session *s, struct engine_branch *b,
                           const struct cph_sdp *answer)
{
    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF)
        return;
    read_peer(s, b, answer, b->at, CPH_SDP_STRENGTH_MANDATORY);
    for (unsigned i = 0; i < s->n; i++)
        if (keys_changed(&b->line[i]))
            b->confirmed = false; /* whatever we said: it was of other keys */
    for (unsigned i = 0; i < s->n; i++) {
        struct engine_line *l = &b->line[i];
        struct cph_sdp_security sec = { 0 };

        if (b->at[i] < answer->n_media && answer->media[b->at[i]]->port != 0)
            cph_sdp_security_of(answer->media[b->at[i]], &sec);
        /* It cannot take what we send yet, and says when it can in the answer to our word. */
        hold(l, sec.wanted == CPH_SDP_STRENGTH_MANDATORY && sec.confirm != CPH_SDP_INACTIVE &&
                    !(sec.now & CPH_SDP_RECVONLY) && line_secure(l));
        if (!l->held && (b->confirmed || !b->confirm))
            end_grace(s, l);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Our side of a stream, in an answer to what the offer said. */
static void answer_one(const struct engine_branch *b, struct engine_line *l,
                       struct cph_sdp_security *sec)
{
    /* RFC 5027 4.1: with keys we can take what comes; what we send can be taken when the peer has
     * our answer, which it says in an offer with the same keys */
    bool heard = (sec->now & CPH_SDP_RECVONLY) && !keys_changed(l);
    unsigned now = CPH_SDP_INACTIVE;

    if (line_ready(l))
        now = CPH_SDP_RECVONLY | (heard || !line_secure(l) ? CPH_SDP_SENDONLY : 0U);
    hold(l, line_secure(l) && !heard);
    sec->confirm = heard && b->peer_now == CPH_SDP_SENDRECV ? CPH_SDP_INACTIVE : CPH_SDP_SENDRECV;
    sec->now = (enum cph_sdp_dir)now;
    sec->wanted = CPH_SDP_STRENGTH_MANDATORY; /* RFC 5027 3 MUST: else we may not wait */
    sec->want = CPH_SDP_SENDRECV;
}

cph_err engine_precond_known(const struct cph_session *s, const struct cph_sdp *offer)
{
    struct cph_sdp_security sec;

    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF)
        return CPH_OK;
    for (unsigned i = 0; i < s->n; i++) {
        if (s->place[i] >= offer->n_media || offer->media[s->place[i]]->port == 0)
            continue;
        cph_sdp_security_of(offer->media[s->place[i]], &sec);
        if (sec.foreign) /* RFC 3312 9 MUST: refused */
            return CPH_E_UNSUPPORTED;
    }
    return CPH_OK;
}

bool engine_precond_refuse(const struct cph_session *s, const struct cph_sdp *offer,
                           struct cph_sdp *answer)
{
    bool any = false;

    for (unsigned i = 0;
         s->cfg.policy.precondition != CPH_PRECONDITION_OFF && i < offer->n_media && !any; i++) {
        struct cph_sdp_security sec;

        cph_sdp_security_of(offer->media[i], &sec);
        any = offer->media[i]->port != 0 &&
              (sec.foreign || sec.wanted == CPH_SDP_STRENGTH_MANDATORY);
    }
    for (unsigned i = 0; any && i < answer->n_media && i < offer->n_media; i++)
        if (cph_sdp_precond_refuse(answer, answer->media[i], offer->media[i]) != CPH_OK)
            return false;
    return any;
}

cph_err engine_precond_answer(struct cph_session *s, struct engine_branch *b,
                              const struct cph_sdp *offer, struct cph_sdp *answer)
{
    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF)
        return CPH_OK;
    read_peer(s, b, offer, s->place, CPH_SDP_STRENGTH_NONE);
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_sdp_security sec = { 0 };
        unsigned at = s->place[i];

        if (at < answer->n_media && answer->media[at]->port != 0)
            cph_sdp_security_of(offer->media[at], &sec);
        if (sec.wanted == CPH_SDP_STRENGTH_UNSAID) {
            hold(&b->line[i], false);
        } else {
            answer_one(b, &b->line[i], &sec);
            if (sec.confirm != CPH_SDP_INACTIVE)
                b->peer_now = CPH_SDP_INACTIVE;
            CPH_TRY(cph_sdp_security_set(answer, answer->media[at], &sec));
        }
        if (!b->line[i].held)
            end_grace(s, &b->line[i]);
    }
    return CPH_OK;
}

/* ---- first exchange -------------------------------------------------------------------------- */

enum cph_session_precond cph_session_precond(const struct cph_session *s, uint32_t branch)
{
    const struct engine_branch *b = engine_branch_find(s, branch);
    bool secure = false;

    if (!b || !b->precond)
        return CPH_SESSION_PRECOND_NONE;
    for (unsigned k = 0; k < s->n; k++) {
        if (!line_ready(&b->line[k]))
            return CPH_SESSION_PRECOND_WAITS;
        secure |= line_secure(&b->line[k]);
    }
    if (b->peer_now == CPH_SDP_SENDRECV || !secure)
        return CPH_SESSION_PRECOND_MET;
    return b->confirm && !b->confirmed ? CPH_SESSION_PRECOND_CONFIRM : CPH_SESSION_PRECOND_WAITS;
}

/* The open offer once more, with the same keys (RFC 5027 3 SHOULD) and what is so now. */
cph_err cph_session_confirm(struct cph_session *s, uint32_t branch, struct cph_wr *out)
{
    const struct cph_sdp_security met = { .now = CPH_SDP_SENDRECV,
                                          .wanted = strength_of(s),
                                          .want = CPH_SDP_SENDRECV };
    struct engine_branch *b = engine_branch_find(s, branch);
    struct cph_sdp *sdp = s->pending.sdp;

    if (!b || !s->offered || !s->first ||
        cph_session_precond(s, branch) != CPH_SESSION_PRECOND_CONFIRM)
        return CPH_E_STATE;
    for (unsigned i = 0; i < sdp->n_media; i++)
        if (sdp->media[i]->port != 0)
            CPH_TRY(cph_sdp_security_set(sdp, sdp->media[i], &met));
    CPH_TRY(cph_sdp_set_version(sdp, sdp->origin.version + 1));
    s->local_side.origin.version = sdp->origin.version;
    CPH_TRY(cph_sdp_print(sdp, out));
    b->confirmed = true;
    s->look = true;
    return CPH_OK;
}

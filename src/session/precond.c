/*
 * Security preconditions (RFC 5027 over RFC 3312): the phone called does not ring before both sides
 * have keys and know it of each other, so that nothing of the first words is lost.
 *
 *   offer    curr none                                              (INVITE)
 *   answer   curr recv or none, conf sendrecv                       (183, reliable; nothing rings)
 *   offer    curr sendrecv, once the offerer has keys               (UPDATE)
 *   answer   curr sendrecv                                          (now it rings)
 */
#include <string.h>

#include "engine_int.h"

static enum cph_sdp_strength strength_of(const struct cph_session *s)
{
    return s->cfg.policy.precondition == CPH_PRECONDITION_MANDATORY ? CPH_SDP_STRENGTH_MANDATORY
                                                                    : CPH_SDP_STRENGTH_OPTIONAL;
}

cph_err engine_precond_offer(struct cph_session *s, struct cph_sdp *sdp)
{
    const struct cph_sdp_security wish = { .wanted = strength_of(s), .want = CPH_SDP_SENDRECV };

    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF || s->local.sdp || engine_branch(s))
        return CPH_OK; /* only a first exchange can keep anybody from ringing */
    for (unsigned i = 0; i < sdp->n_media; i++)
        if (sdp->media[i]->port != 0)
            CPH_TRY(cph_sdp_security_set(sdp, sdp->media[i], &wish));
    return CPH_OK;
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

/* What the peer's description says about the streams we have in it. */
static void read_peer(const struct cph_session *s, struct engine_branch *b,
                      const struct cph_sdp *theirs, const uint8_t at[CPH_SESSION_STREAMS])
{
    unsigned now = CPH_SDP_SENDRECV;

    b->precond = false;
    b->confirm = false;
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_sdp_security sec;

        if (at[i] >= theirs->n_media || theirs->media[at[i]]->port == 0)
            continue;
        cph_sdp_security_of(theirs->media[at[i]], &sec);
        b->precond |= sec.wanted != CPH_SDP_STRENGTH_UNSAID;
        b->confirm |= sec.confirm != CPH_SDP_INACTIVE;
        if (sec.wanted != CPH_SDP_STRENGTH_UNSAID)
            now &= sec.now;
    }
    b->peer_now = b->precond ? (enum cph_sdp_dir)now : CPH_SDP_INACTIVE;
}

cph_err engine_precond_answer(struct cph_session *s, struct engine_branch *b,
                              const struct cph_sdp *offer, struct cph_sdp *answer)
{
    if (s->cfg.policy.precondition == CPH_PRECONDITION_OFF)
        return CPH_OK;
    read_peer(s, b, offer, s->place);
    for (unsigned i = 0; i < s->n; i++) {
        struct cph_sdp_security sec;
        unsigned at = s->place[i], now = CPH_SDP_INACTIVE;

        if (at >= answer->n_media || answer->media[at]->port == 0)
            continue;
        cph_sdp_security_of(offer->media[at], &sec);
        if (sec.foreign) /* RFC 3312 9 */
            return CPH_E_UNSUPPORTED;
        if (sec.wanted == CPH_SDP_STRENGTH_UNSAID)
            continue;
        /* RFC 5027 4.1: with keys we can take what comes; what we send can be taken when the peer
         * has our answer, which it says */
        if (line_ready(&b->line[i]))
            now = CPH_SDP_RECVONLY | (sec.now & CPH_SDP_RECVONLY ? CPH_SDP_SENDONLY : 0U);
        sec.now = (enum cph_sdp_dir)now;
        sec.wanted = CPH_SDP_STRENGTH_MANDATORY; /* RFC 5027 3 MUST: else we may not wait */
        sec.want = CPH_SDP_SENDRECV;
        sec.confirm = b->peer_now == CPH_SDP_SENDRECV ? CPH_SDP_INACTIVE : CPH_SDP_SENDRECV;
        CPH_TRY(cph_sdp_security_set(answer, answer->media[at], &sec));
    }
    return CPH_OK;
}

void engine_precond_finish(struct cph_session *s, struct engine_branch *b,
                           const struct cph_sdp *answer)
{
    if (s->cfg.policy.precondition != CPH_PRECONDITION_OFF && s->first)
        read_peer(s, b, answer, b->at);
}

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

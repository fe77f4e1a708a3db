/*
 * A call that rings only when there are keys (RFC 5027): the answer goes out in a reliable 183, the
 * caller's UPDATE says when it has its keys, and only then the call is told to its user.
 */
#include "phone_int.h"

#include "ciphony/base_text.h"

/* An offer that waits for the other side's keys needs 100rel and UPDATE (RFC 3312 11). */
bool phone_precond_asked(const struct phone_call *c, const struct cph_sip_event *ev)
{
    return c->policy.precondition != CPH_PRECONDITION_OFF && ev->msg &&
           cph_sip_has_token(ev->msg, CPH_SIP_H_REQUIRE, "precondition");
}

static bool knows_them(const struct cph_sip_event *ev)
{
    return ev->msg && (cph_sip_has_token(ev->msg, CPH_SIP_H_SUPPORTED, "precondition") ||
                       cph_sip_has_token(ev->msg, CPH_SIP_H_REQUIRE, "precondition"));
}

void phone_precond_incoming(struct phone_call *c, const struct cph_sip_event *ev,
                            const struct cph_sip_call_info *info)
{
    if (!info->peer_100rel || (ev->body.n == 0 && !knows_them(ev)))
        c->policy.precondition = CPH_PRECONDITION_OFF;
}

const char *phone_precond_headers(const struct phone_call *c)
{
    switch (c->policy.precondition) {
    case CPH_PRECONDITION_MANDATORY:
        return "Require: precondition\r\n"; /* RFC 3312 11 MUST */
    case CPH_PRECONDITION_OPTIONAL:
    case CPH_PRECONDITION_OFF:
        break;
    }
    return NULL; /* Supported says it */
}

/* ---- called ---------------------------------------------------------------------------------- */

/* The session's name for the dialog of a call to us. */
static uint32_t branch_of(const struct phone_call *c)
{
    return c->late_offer || c->late_answered ? PHONE_OUR_BRANCH : 0;
}

cph_err phone_precond_begin(struct phone_call *c, cph_time now)
{
    enum cph_session_precond st = cph_session_precond(c->session, 0);
    struct cph_span body = { (uint8_t *)c->answer, c->answer_n };
    bool waits = c->late_offer /* RFC 3312 6: our offer is in a reliable 1xx, before it rings */
                     ? c->policy.precondition != CPH_PRECONDITION_OFF
                     : st != CPH_SESSION_PRECOND_NONE && st != CPH_SESSION_PRECOND_MET;

    if (!waits)
        return CPH_OK;
    CPH_TRY(cph_sip_call_progress(c->phone->ua, c->sip, 183, phone_type(c->answer_type), body, true,
                                  now));
    c->waiting = c->answer_sent = true;
    c->ring_until = now + CPH_SEC(PHONE_PRECOND_S);
    return CPH_OK;
}

void phone_precond_prack(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    if (!c->waiting || !c->late_offer || ev->body.n == 0)
        return; /* RFC 3262 5 MUST: the answer is in it; without one it never rings */
    if (!phone_take_answer(c, PHONE_OUR_BRANCH, ev, now)) {
        phone_fail(c, CPH_E_POLICY, "the answer cannot be accepted under the security policy", now);
        return;
    }
    c->late_offer = false;
    c->late_answered = true;
    phone_precond_look(c, PHONE_OUR_BRANCH, now);
}

/* Keys are there, and the caller says that it has its own. */
static void may_ring(struct phone_call *c, cph_time now)
{
    if (!c->waiting || c->late_offer || phone_precond_holds(c, branch_of(c)))
        return;
    c->waiting = false;
    c->told_keyed = c->keyed;
    c->ring_until = now + CPH_SEC(PHONE_RING_S);
    phone_tell(c->phone, CPH_PHONE_INCOMING, c->id, NULL);
    if (c->keyed)
        phone_tell(c->phone, CPH_PHONE_SECURED, c->id, "keys were made before it rang");
}

/* ---- offering -------------------------------------------------------------------------------- */

static void confirm(struct phone_call *c, uint32_t branch, cph_time now)
{
    PHONE_SDP_SCOPED(sdp);
    cph_err err;

    if (cph_session_precond(c->session, branch) != CPH_SESSION_PRECOND_CONFIRM || c->confirming)
        return;
    err = cph_session_confirm(c->session, branch, &sdp.wr);
    if (err == CPH_OK)
        err = cph_wr_end(&sdp.wr);
    if (err == CPH_OK)
        err = phone_seal(c, false, &sdp);
    if (err == CPH_OK)
        err = cph_sip_call_offer(c->phone->ua, c->sip, branch, true, phone_type(sdp.type),
                                 cph_wr_done(&sdp.wr), now);
    if (err == CPH_OK)
        c->confirming = branch;
    else
        phone_tell(c->phone, CPH_PHONE_NOTICE, c->id,
                   "a phone that waits for word of our keys cannot be told of them");
}

void phone_precond_look(struct phone_call *c, uint32_t branch, cph_time now)
{
    if (c->ended || c->failed != CPH_OK || c->answered)
        return;
    if (c->outgoing || c->late_answered)
        confirm(c, branch, now);
    if (!c->outgoing)
        may_ring(c, now);
}

bool phone_precond_done(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    uint32_t branch = c->confirming;

    if (!branch)
        return false;
    c->confirming = 0;
    if (c->answered) /* its 200 overtook this one, and says more: it rang */
        return true;
    if (ev->status >= 200 && ev->status < 300 && ev->body.n > 0)
        (void)phone_take_answer(c, branch, ev, now);
    phone_precond_look(c, branch, now);
    return true;
}

bool phone_precond_holds(const struct phone_call *c, uint32_t branch)
{
    enum cph_session_precond st = cph_session_precond(c->session, branch);

    return st == CPH_SESSION_PRECOND_WAITS || st == CPH_SESSION_PRECOND_CONFIRM;
}

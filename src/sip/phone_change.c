/* A standing call changes: offers inside it, from either side. */
#include "phone_int.h"

#include <stdio.h>

#include "ciphony/base_text.h"

cph_err phone_answer(struct phone_call *c, const struct cph_sip_event *ev, struct phone_sdp *sdp,
                     cph_time now)
{
    PHONE_OPENED_SCOPED opened = { .cert = NULL };
    struct cph_span offer = { 0 };
    bool says_why;
    cph_err err;

    phone_path(c);
    c->late_offer = ev->body.n == 0;
    if (!c->late_offer)
        CPH_TRY(phone_unseal(c, false, ev, &opened, &offer));
    err = c->late_offer ? cph_session_offer(c->session, now, &sdp->wr)
                        : phone_offer_answer(c, ev, offer, now, &sdp->wr);
    says_why = err != CPH_OK && !c->late_offer && !c->sealed && !sdp->wr.failed;
    if (err == CPH_OK)
        err = cph_wr_end(&sdp->wr);
    if (err == CPH_OK)
        err = phone_seal(c, !c->late_offer, sdp);
    if (err != CPH_OK && !says_why)
        phone_sdp_wipe(sdp); /* an answer that may not go has keys */
    return err;
}

/* RFC 3261 21.4.28: 493 for a body that cannot be opened, whatever was wrong with it. */
unsigned phone_refusal(cph_err err)
{
    switch (err) {
    case CPH_E_STATE:
        return 491;
    case CPH_E_NOMEM:
        return 500;
    case CPH_E_AUTH:
    case CPH_E_CERT:
    case CPH_E_REPLAY:
    case CPH_E_EXPIRED:
        return 493;
    default:
        return 488;
    }
}

void phone_on_offer(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    struct cph_phone *p = c->phone;
    PHONE_SDP_SCOPED(sdp);
    unsigned status = 200;
    cph_err err;

    c->told_change = false;
    /* not of a phone that rings, which may not be the one that answers; but of a caller that tells
     * of its keys before we ring */
    err = c->answered || c->waiting ? phone_answer(c, ev, &sdp, now) : CPH_E_STATE;
    if (err != CPH_OK)
        status = phone_refusal(err);
    if (status != 200)
        c->late_offer = false;
    if (status == 488 && phone_precond_asked(c, ev))
        status = 580; /* RFC 3312 8 SHOULD */
    err = cph_sip_call_answer(p->ua, c->sip, status, phone_type(sdp.type),
                              status == 200 || status == 488 || status == 580
                                  ? cph_wr_done(&sdp.wr)
                                  : (struct cph_span){ 0 },
                              now);
    phone_session_events(c, now);
    if (err != CPH_OK || status != 200 || c->ended)
        return;
    if (!c->answered) {
        phone_precond_look(c, 0, now);
        return;
    }
    if (!c->late_offer)
        phone_changed(c, now);
}

/* An exchange in a standing call is over: what it changed holds, or waits for one more. */
void phone_changed(struct phone_call *c, cph_time now)
{
    c->held_agreed = c->held_by_us;
    c->tries = 0;
    phone_media_update(c, now);
    switch (cph_session_precond(c->session, c->branch)) {
    case CPH_SESSION_PRECOND_CONFIRM: /* RFC 3312 7 MUST: the peer is told as soon as may be */
        if (phone_reoffer(c, now) != CPH_OK)
            c->retry_at = now + CPH_MS(PHONE_SECOND_MS);
        break;
    case CPH_SESSION_PRECOND_WAITS:
        break;
    case CPH_SESSION_PRECOND_NONE:
    case CPH_SESSION_PRECOND_MET:
        if (!c->told_change) /* new keys were told with their words */
            phone_tell(c->phone, CPH_PHONE_CHANGED, c->id, NULL);
        break;
    }
}

/* Where preconditions are in play the change has an answer of its own, while a phone that rings
 * again would keep a re-INVITE waiting for them: UPDATE, if the peer takes it (RFC 3312 11). */
static cph_err send_offer(struct phone_call *c, const struct phone_sdp *sdp, cph_time now)
{
    bool update = cph_session_precond(c->session, c->branch) != CPH_SESSION_PRECOND_NONE;
    cph_err err = cph_sip_call_offer(c->phone->ua, c->sip, c->branch, update, phone_type(sdp->type),
                                     cph_wr_done(&sdp->wr), now);

    if (err == CPH_E_UNSUPPORTED && update)
        err = cph_sip_call_offer(c->phone->ua, c->sip, c->branch, false, phone_type(sdp->type),
                                 cph_wr_done(&sdp->wr), now);
    return err;
}

cph_err phone_reoffer(struct phone_call *c, cph_time now)
{
    PHONE_SDP_SCOPED(sdp);
    cph_err err;

    if (!c->sip || !c->answered)
        return CPH_E_STATE;
    CPH_TRY(cph_session_offer(c->session, now, &sdp.wr));
    err = cph_wr_end(&sdp.wr);
    if (err == CPH_OK)
        err = phone_seal(c, false, &sdp);
    if (err == CPH_OK)
        err = send_offer(c, &sdp, now);
    if (err != CPH_OK)
        cph_session_rollback(c->session);
    return err;
}

/* RFC 3261 14.1 MUST: after a 491 the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s */
static cph_time glare_wait(const struct phone_call *c)
{
    uint16_t r = 0;

    if (cph_random(c->phone->env, &r, sizeof r) != CPH_OK)
        r = 0;
    return c->outgoing ? CPH_MS(2100 + 10 * (r % 191)) : CPH_MS(10 * (r % 201));
}

/* RFC 3261 14.2: a 500 with Retry-After says that the peer is in the middle of an earlier change.
 */
static bool peer_was_busy(const struct cph_sip_event *ev, cph_time *wait)
{
    uint32_t seconds;

    if (ev->status != 500 || !ev->msg ||
        cph_sip_number(ev->msg, CPH_SIP_H_RETRY_AFTER, &seconds) != CPH_OK || seconds > 10)
        return false;
    *wait = CPH_SEC(seconds);
    return true;
}

static bool is_sdp(struct cph_span type)
{
    struct cph_sip_content_type ct;

    return cph_sip_content_type_parse(type, &ct) == CPH_OK &&
           cph_span_iis(ct.type, "application") && cph_span_iis(ct.subtype, "sdp");
}

/* RFC 3261 20.43: words for a person, and MUST NOT be a reason to do anything by itself. */
static void tell_warning(struct phone_call *c, const struct cph_sip_event *ev)
{
    char words[CPH_SESSION_WHY - 50], why[CPH_SESSION_WHY];
    struct cph_sip_iter it = { 0 };
    struct cph_span value;
    size_t n;

    if (!ev->msg || !cph_sip_each(ev->msg, CPH_SIP_H_WARNING, &it, &value))
        return;
    value = cph_span_from(value, cph_span_find(value, '"'));
    if (cph_sip_unquote(value, (uint8_t *)words, sizeof words - 1, &n) != CPH_OK || n == 0)
        return;
    (void)cph_text_clean((struct cph_span){ (uint8_t *)words, n }, words, sizeof words);
    (void)snprintf(why, sizeof why, "the other side, or somebody on the way, says: %s", words);
    phone_tell(c->phone, CPH_PHONE_NOTICE, c->id, why);
}

bool phone_hear_refusal(struct phone_call *c, const struct cph_sip_event *ev)
{
    char why[CPH_SESSION_WHY];
    bool proven;

    /* of a call whose bodies are sealed nobody else has anything to say */
    if (!c->session || c->sealed || ev->status < 300)
        return false;
    if (!is_sdp(ev->type) || cph_session_refused(c->session, ev->body, why, &proven) != CPH_OK) {
        tell_warning(c, ev);
        return false;
    }
    phone_tell(c->phone, CPH_PHONE_NOTICE, c->id, why);
    return true;
}

/* The change is off: what we want is again what both sides agreed on last. */
static void offer_refused(struct phone_call *c)
{
    cph_err err = cph_session_direction(c->session, 0,
                                        c->held_agreed ? CPH_SDP_SENDONLY : CPH_SDP_SENDRECV);

    if (err == CPH_OK)
        c->held_by_us = c->held_agreed;
    cph_session_rekey_off(c->session);
    c->tries = 0;
    phone_tell(c->phone, CPH_PHONE_NOTICE, c->id,
               "the peer refused the change; the call goes on as it was");
}

void phone_on_offer_done(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    cph_time wait;

    c->told_change = false;
    if (phone_precond_done(c, ev, now))
        return;
    if (ev->status >= 200 && ev->status < 300 && ev->body.n > 0) {
        uint32_t branch = c->branch ? c->branch : PHONE_OUR_BRANCH;

        if (!phone_take_answer(c, branch, ev, now) || c->ended)
            return;
        phone_changed(c, now);
        return;
    }
    (void)phone_hear_refusal(c, ev);
    cph_session_rollback(c->session);
    if (ev->status == 491)
        c->retry_at = now + glare_wait(c);
    else if (peer_was_busy(ev, &wait) && c->tries++ < PHONE_TRIES)
        c->retry_at = now + wait;
    else
        offer_refused(c);
}

/* A refresh by re-INVITE repeated our last offer; what the peer answers this time holds (RFC
 * 4028 7.4), and is read against that offer. */
void phone_on_refreshed(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    PHONE_SDP_SCOPED(again);

    if (ev->by_peer || ev->body.n == 0 ||
        cph_session_offer_again(c->session, now, &again.wr) != CPH_OK)
        return;
    if (phone_take_answer(c, c->branch ? c->branch : PHONE_OUR_BRANCH, ev, now))
        phone_media_update(c, now);
    else
        cph_session_rollback(c->session);
}

void phone_call_retry(struct phone_call *c, cph_time now)
{
    c->retry_at = CPH_TIME_NEVER;
    if (phone_reoffer(c, now) == CPH_E_STATE)
        c->retry_at = now + glare_wait(c);
}

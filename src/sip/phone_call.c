#include "phone_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

void phone_sdp_wipe(struct phone_sdp *t)
{
    cph_wr_wipe(&t->wr);
    t->type[0] = '\0';
}

void phone_sdp_open(struct phone_sdp *t)
{
    t->wr = cph_wr_open(t->b, CPH_SESSION_SDP); /* what is sealed is longer */
    t->type[0] = '\0';
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* A call that was taken and ended before its media had keys, or were agreed to have none. */
static bool was_empty(const struct phone_call *c)
{
    struct cph_verdict v;

    if (!c->answered || !c->session)
        return false;
    cph_session_verdict(c->session, &v);
    return v.streams_n == 0;
}

static void end(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    struct cph_phone_event *out;

    if (c->ended)
        return;
    if (c->session)
        phone_media_turn(c, now); /* what has arrived counts */
    phone_media_stop(c, now);
    c->state = CPH_PHONE_ST_ENDED;
    c->ended = true;
    c->sip = 0;
    out = phone_tell_more(c->phone, CPH_PHONE_ENDED, c->id);
    if (ev) {
        out->status = ev->status;
        out->cause = ev->cause;
        out->by_peer = ev->by_peer && ev->cause == CPH_OK;
        (void)snprintf(out->why, sizeof out->why, "%.*s",
                       CPH_SPAN_ARG(cph_span_head(ev->reason, 200)));
    }
    if (out->cause == CPH_OK && was_empty(c)) {
        out->cause = CPH_E_NOKEY;
        out->ours = true;
        (void)snprintf(out->why, sizeof out->why,
                       "it ended before its keys were made, so nothing was said in it");
    }
    if (c->failed != CPH_OK) {
        out->cause = c->failed;
        out->ours = true;
        memcpy(out->why, c->why, sizeof out->why);
    }
}

void phone_fail(struct phone_call *c, cph_err err, const char *why, cph_time now)
{
    struct cph_phone *p = c->phone;
    cph_err sent = CPH_E_NOTFOUND;

    if (c->failed != CPH_OK || c->ended)
        return;
    c->failed = err;
    (void)snprintf(c->why, sizeof c->why, "%s", why && why[0] ? why : cph_err_text(err));
    if (c->sip && !c->outgoing && !c->answered)
        sent = phone_refuse(c, now);
    if (sent != CPH_OK && c->sip) /* an offer of ours in a 200 cannot be refused any more */
        sent = cph_sip_call_hangup(p->ua, c->sip, c->why, now);
    if (sent != CPH_OK)
        end(c, NULL, now);
}

/* ---- the session speaks ---------------------------------------------------------------------- */

/* What holds for the branch in use, whatever was said of others. */
static void look(struct phone_call *c)
{
    enum cph_session_line line = cph_session_line(c->session, 0, NULL);

    c->keyed = line == CPH_SESSION_LINE_KEYED;
    c->plain = line == CPH_SESSION_LINE_CLEAR;
}

/* While several phones ring, what one of them cannot do is no reason to give up the others: if it
 * is the one that answers, its answer is judged again. */
static bool only_rings(const struct phone_call *c, uint32_t branch)
{
    return c->outgoing && !c->answered && branch != c->branch;
}

/* For the user to decide, in words that stand in the event. */
static void tell_asked(struct phone_call *c, enum cph_phone_event_kind kind,
                       const struct cph_session_event *ev)
{
    c->told_keyed = c->told_keyed && kind != CPH_PHONE_CLEARED;
    phone_tell(c->phone, kind, c->id, ev->why);
}

static void tell_sas(struct phone_call *c, const struct cph_session_event *ev)
{
    struct cph_phone_event *out = phone_tell_more(c->phone, CPH_PHONE_SAS, c->id);

    (void)snprintf(out->sas, sizeof out->sas, "%s", ev->sas);
    (void)snprintf(out->why, sizeof out->why, "%s", ev->why);
    out->verified = ev->verified;
}

void phone_session_events(struct phone_call *c, cph_time now)
{
    struct cph_session_event ev;

    look(c);
    while (!c->ended && cph_session_event(c->session, &ev) == CPH_OK) {
        switch (ev.kind) {
        case CPH_SESSION_KEYED:
            if (c->waiting) { /* nobody knows of the call yet */
                phone_media_update(c, now);
                phone_precond_look(c, ev.branch, now);
                break;
            }
            phone_tell(c->phone, c->told_keyed ? CPH_PHONE_CHANGED : CPH_PHONE_SECURED, c->id,
                       ev.why);
            c->told_keyed = c->told_change = true;
            phone_media_update(c, now);
            phone_precond_look(c, ev.branch, now);
            break;
        case CPH_SESSION_PLAIN:
            c->told_keyed = false;
            phone_tell(c->phone, CPH_PHONE_PLAIN, c->id, ev.why);
            phone_media_update(c, now);
            break;
        case CPH_SESSION_FAILED:
            if (only_rings(c, ev.branch))
                phone_tell(c->phone, CPH_PHONE_NOTICE, c->id, ev.why);
            else
                phone_fail(c, ev.err, ev.why, now);
            break;
        case CPH_SESSION_NOTICE:
            phone_tell(c->phone, CPH_PHONE_NOTICE, c->id, ev.why);
            break;
        case CPH_SESSION_SAS:
            tell_sas(c, &ev);
            break;
        case CPH_SESSION_ENROLL:
            tell_asked(c, CPH_PHONE_ENROLL, &ev);
            break;
        case CPH_SESSION_CLEARED:
            tell_asked(c, CPH_PHONE_CLEARED, &ev);
            break;
        case CPH_SESSION_REOFFER_WANTED:
            if (phone_reoffer(c, now) != CPH_OK)
                c->retry_at = now + CPH_SEC(1);
            break;
        case CPH_SESSION_REKEY_WANTED:
            if (cph_session_rekey(c->session) == CPH_OK && phone_reoffer(c, now) != CPH_OK)
                c->retry_at = now + CPH_SEC(1);
            break;
        }
    }
    /* Not at once: an INVITE that overtakes the ACK before it is put off for seconds. */
    if (!c->ended && c->failed == CPH_OK && c->answered && c->retry_at == CPH_TIME_NEVER &&
        cph_session_offer_wanted(c->session))
        c->retry_at = now + CPH_MS(PHONE_SECOND_MS);
}

/* An answer came on a branch. Bad ones end the call when it is the one that counts. */
bool phone_take_answer(struct phone_call *c, uint32_t branch, const struct cph_sip_event *ev,
                       cph_time now)
{
    PHONE_OPENED_SCOPED opened = { .cert = NULL };
    struct cph_span body;
    cph_err err;

    phone_path(c);
    err = phone_unseal(c, true, ev, &opened, &body);
    if (err == CPH_OK)
        err = cph_session_finish(c->session, branch, body, now);
    phone_session_events(c, now);
    if (err == CPH_OK || c->ended || c->failed != CPH_OK || (!c->answered && c->branch != branch))
        return err == CPH_OK;
    /* An answer we cannot read brings no keys either: who altered it must not choose how we call
     * that. */
    if (cph_err_blame(err) == CPH_BLAME_PEER &&
        cph_policy_media(&c->policy) == CPH_SECURITY_REQUIRED)
        err = CPH_E_POLICY;
    phone_fail(c, err,
               phone_seal_words(c, "the answer cannot be accepted under the security policy"), now);
    return false;
}

static void answered(struct phone_call *c, cph_time now)
{
    if (c->answered)
        return;
    c->answered = true;
    c->since = now;
    c->state = CPH_PHONE_ST_TALKING;
    phone_tell(c->phone, CPH_PHONE_ANSWERED, c->id, NULL);
    phone_media_update(c, now);
}

/* ---- calls we make --------------------------------------------------------------------------- */

/* From where to expect media: the address in the URI if it is one, else that of our first listener.
 */
static struct cph_addr near_of(const struct cph_phone *p, struct cph_span uri_text)
{
    struct cph_addr near = p->listener[0].addr;
    struct cph_sip_addr addr;

    if (cph_sip_addr_parse(uri_text, &addr) == CPH_OK &&
        cph_addr_parse_ip(addr.uri.host, &near) == CPH_OK)
        near.port = addr.uri.port ? addr.uri.port : 5060;
    return near;
}

static void our_address(const struct cph_phone *p, const struct phone_account *a,
                        char out[CPH_PHONE_URI])
{
    char ip[CPH_ADDR_TEXT];
    const struct cph_sip_listener *l = &p->listener[0];

    if (a->has_aor)
        (void)snprintf(out, CPH_PHONE_URI, "%s", a->aor);
    else if (l->host)
        (void)snprintf(out, CPH_PHONE_URI, "sip:%s@%s:%u", a->user[0] ? a->user : "ciphony",
                       l->host, (unsigned)l->addr.port);
    else
        (void)snprintf(out, CPH_PHONE_URI, "sip:%s@%s", a->user[0] ? a->user : "ciphony",
                       cph_addr_text(&l->addr, ip));
}

/* The INVITE with our offer. */
static cph_err invite(struct phone_call *c, const char *to, cph_time now)
{
    struct cph_phone *p = c->phone;
    char from[CPH_PHONE_URI];
    struct cph_sip_place how = { .to = to, .from = from, .cookie = c };
    PHONE_OFFER_SCOPED(offer);

    if (phone_at_server(c->account, cph_span_of(to)))
        how.account = c->account;
    our_address(p, c->account, from);
    if (c->account->has_route)
        how.route[0] = c->account->route;
    CPH_TRY(phone_offer_write(c, now, &offer));
    how.body = cph_wr_done(&offer.wr);
    how.type = offer.type;
    how.headers = phone_precond_headers(c);
    return cph_sip_call_place(p->ua, &how, now, &c->sip);
}

static cph_err place(struct phone_call *c, const char *to, cph_time now)
{
    struct cph_addr near = near_of(c->phone,
                                   cph_span_of(c->account->has_route ? c->account->route : to));

    CPH_TRY(phone_session_new(c, &near, now));
    return invite(c, to, now);
}

/* Our offer was refused in a way that another one may be taken: a call of its own. */
static bool place_again(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    if (!ev->by_peer || !c->outgoing || c->failed != CPH_OK)
        return false;
    if (phone_hear_refusal(c, ev) || phone_offer_again(c, ev, now) != CPH_OK)
        return false;
    c->state = CPH_PHONE_ST_CALLING;
    c->sip = 0;
    return invite(c, c->peer, now) == CPH_OK;
}

cph_err cph_phone_dial(struct cph_phone *p, const struct cph_phone_dial *d, cph_time now,
                       uint32_t *call)
{
    struct phone_account *a = phone_account_of(p, d->account);
    struct cph_sip_addr to;
    struct phone_call *c;
    cph_err err;

    if (!a)
        return CPH_E_NOTFOUND;
    CPH_TRY(cph_sip_addr_parse(cph_span_of(d->to), &to));
    CPH_TRY(phone_call_new(p, a, to.uri.text, true, &c));
    c->policy = cph_policy_choose(&a->policy, d->policy);
    err = place(c, d->to, now);
    if (err != CPH_OK) {
        phone_call_free(c);
        return err;
    }
    *call = c->id;
    return CPH_OK;
}

static void on_progress(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    bool media = false;

    if (ev->body.n > 0 && !ev->wants_answer)
        media = phone_take_answer(c, ev->branch, ev, now);
    if (c->ended || c->answered)
        return;
    phone_precond_look(c, ev->branch, now);
    if (media && phone_precond_holds(c, ev->branch))
        return; /* not early media: it comes when both have keys */
    if (media && c->state != CPH_PHONE_ST_EARLY) {
        c->state = CPH_PHONE_ST_EARLY;
        phone_tell(c->phone, CPH_PHONE_EARLY, c->id, NULL);
        phone_media_update(c, now);
    } else if (!media && c->state == CPH_PHONE_ST_CALLING && ev->status != 183) {
        c->state = CPH_PHONE_ST_RINGING;
        phone_tell(c->phone, CPH_PHONE_RINGING, c->id, NULL);
    }
}

static void on_answered(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    const char *why = NULL;
    cph_err err;

    c->branch = ev->branch;
    if (ev->body.n > 0 && !phone_take_answer(c, ev->branch, ev, now))
        return;
    if (c->ended || c->failed != CPH_OK)
        return;
    phone_path(c);
    err = cph_session_choose(c->session, ev->branch);
    if (err != CPH_OK) {
        phone_fail(c, err == CPH_E_NOTFOUND ? CPH_E_POLICY : err,
                   "the call was answered without an answer about its media", now);
        return;
    }
    if (cph_session_line(c->session, 0, &why) == CPH_SESSION_LINE_FAILED) {
        phone_fail(c, CPH_E_POLICY, why, now); /* it failed while it rang */
        return;
    }
    look(c);
    c->told_keyed = c->told_keyed && c->keyed;
    answered(c, now);
}

/* ---- calls to us ----------------------------------------------------------------------------- */

/* Our answer (or, to an INVITE without one, our offer) is made at once, so that an offer we must
 * refuse never rings. */
static cph_err prepare(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    PHONE_SDP_SCOPED(sdp);
    cph_err err = phone_answer(c, ev, &sdp, now);

    c->refuse = phone_refusal(err);
    if (sdp.wr.n == 0)
        return err;
    c->answer = malloc(sdp.wr.n);
    if (!c->answer)
        return err == CPH_OK ? CPH_E_NOMEM : err;
    memcpy(c->answer, sdp.b, sdp.wr.n);
    c->answer_n = sdp.wr.n;
    c->refusal = err != CPH_OK;
    memcpy(c->answer_type, sdp.type, sizeof c->answer_type);
    return err;
}

static void on_incoming(struct cph_phone *p, const struct cph_sip_event *ev, cph_time now)
{
    struct phone_account *a = phone_account_called(p, ev->request_uri);
    struct cph_sip_call_info info;
    struct cph_addr near = p->listener[0].addr;
    struct phone_call *c;
    cph_err err = phone_call_new(p, a, ev->from, false, &c);

    if (err != CPH_OK) {
        err = cph_sip_call_reject(p->ua, ev->call,
                                  err == CPH_E_LIMIT       ? 486
                                  : err == CPH_E_MALFORMED ? 400
                                                           : 500,
                                  NULL, NULL, now);
        if (err != CPH_OK)
            cph_log(p->env, CPH_LOG_WARN, "phone", "cannot refuse a call: %s", cph_err_text(err));
        return;
    }
    c->sip = ev->call;
    if (cph_sip_call_info_get(p->ua, ev->call, &info) == CPH_OK) {
        phone_precond_incoming(c, ev, &info);
        near = info.n_hops > 0 ? info.hop[0].peer : near;
    }
    err = phone_session_new(c, &near, now);
    if (err == CPH_OK)
        err = prepare(c, ev, now);
    if (err != CPH_OK && phone_precond_asked(c, ev))
        c->refuse = 580; /* RFC 3312 8 SHOULD */
    if (err == CPH_OK)
        err = phone_precond_begin(c, now);
    if (err != CPH_OK) {
        phone_tell(p, CPH_PHONE_INCOMING, c->id, NULL);
        if (c->session)
            phone_session_events(c, now); /* they say it better */
        phone_fail(c, err,
                   phone_seal_words(c, "the offer cannot be accepted under the security policy"),
                   now);
        return;
    }
    if (c->waiting)
        return;
    c->ring_until = now + CPH_SEC(PHONE_RING_S);
    phone_tell(p, CPH_PHONE_INCOMING, c->id, NULL);
}

/* Nobody takes it, and nobody may be there any more to cancel it. */
void phone_call_unanswered(struct phone_call *c, cph_time now)
{
    c->ring_until = CPH_TIME_NEVER;
    if (!c->answered && cph_sip_call_reject(c->phone->ua, c->sip, c->waiting ? 580 : 480, NULL,
                                            NULL, now) != CPH_OK)
        cph_log(c->phone->env, CPH_LOG_DEBUG, "phone", "a call that rang too long is gone already");
}

cph_err cph_phone_ring(struct cph_phone *p, uint32_t call, cph_time now)
{
    struct phone_call *c = phone_call_of(p, call);

    if (!c || c->ended)
        return CPH_E_NOTFOUND;
    return cph_sip_call_progress(p->ua, c->sip, 180, NULL, (struct cph_span){ 0 }, false, now);
}

cph_err cph_phone_accept(struct cph_phone *p, uint32_t call, cph_time now)
{
    struct phone_call *c = phone_call_of(p, call);
    struct cph_span body;

    if (!c || c->ended || c->failed != CPH_OK)
        return CPH_E_NOTFOUND;
    if (c->outgoing || c->answered || !c->answer || c->refusal || c->waiting)
        return CPH_E_STATE;
    body = (struct cph_span){ (uint8_t *)c->answer, c->answer_sent ? 0 : c->answer_n };
    CPH_TRY(cph_sip_call_accept(p->ua, c->sip, phone_type(c->answer_type), body, now));
    c->ring_until = CPH_TIME_NEVER;
    if (c->late_answered) {
        c->branch = PHONE_OUR_BRANCH;
        CPH_TRY(cph_session_choose(c->session, c->branch));
    }
    if (!c->late_offer) {
        cph_session_answered(c->session, now);
        answered(c, now);
    }
    return CPH_OK;
}

cph_err cph_phone_reject(struct cph_phone *p, uint32_t call, unsigned status, cph_time now)
{
    struct phone_call *c = phone_call_of(p, call);

    if (!c || c->ended)
        return CPH_E_NOTFOUND;
    return cph_sip_call_reject(p->ua, c->sip, status, NULL, NULL, now);
}

static void on_confirmed(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    c->confirmed = true;
    if (!c->late_offer)
        return;
    c->late_offer = c->told_change = false;
    if (!c->answered)
        c->branch = PHONE_OUR_BRANCH;
    if (ev->body.n == 0)
        phone_fail(c, CPH_E_POLICY, "the peer never answered our offer", now);
    else if (c->answered && phone_take_answer(c, c->branch, ev, now))
        phone_changed(c, now);
    else if (c->answered)
        return;
    else if (phone_take_answer(c, PHONE_OUR_BRANCH, ev, now) &&
             cph_session_choose(c->session, PHONE_OUR_BRANCH) == CPH_OK)
        answered(c, now);
}

/* ---- SIP events ------------------------------------------------------------------------------ */

static void registration_event(struct cph_phone *p, const struct cph_sip_event *ev)
{
    struct phone_account *a = ev->cookie;
    struct cph_phone_event *out;
    bool ok = ev->kind == CPH_SIP_EV_REGISTERED;

    if (ok && ev->expires == 0)
        a->registration = 0;
    out = phone_tell_more(p,
                          !ok                ? CPH_PHONE_REGISTER_FAILED
                          : ev->expires == 0 ? CPH_PHONE_UNREGISTERED
                                             : CPH_PHONE_REGISTERED,
                          0);
    out->status = ev->status;
    out->cause = ev->cause;
    out->expires = ev->expires;
    (void)snprintf(out->why, sizeof out->why, "%.*s", CPH_SPAN_ARG(cph_span_head(ev->reason, 200)));
}

void phone_sip_event(struct cph_phone *p, const struct cph_sip_event *ev, cph_time now)
{
    struct phone_call *c = phone_call_by_sip(p, ev->call);

    if (ev->kind == CPH_SIP_EV_INCOMING) {
        on_incoming(p, ev, now);
        return;
    }
    if (ev->kind == CPH_SIP_EV_REGISTERED || ev->kind == CPH_SIP_EV_REGISTER_FAILED) {
        registration_event(p, ev);
        return;
    }
    if (!c || c->ended)
        return;
    if (c->failed != CPH_OK && ev->kind != CPH_SIP_EV_ENDED)
        return; /* it is being ended; nothing of it counts any more */
    switch (ev->kind) {
    case CPH_SIP_EV_PROGRESS:
        on_progress(c, ev, now);
        break;
    case CPH_SIP_EV_ANSWERED:
        on_answered(c, ev, now);
        break;
    case CPH_SIP_EV_BRANCH_GONE:
        cph_session_drop(c->session, ev->branch);
        break;
    case CPH_SIP_EV_CONFIRMED:
        on_confirmed(c, ev, now);
        break;
    case CPH_SIP_EV_OFFER:
        phone_on_offer(c, ev, now);
        break;
    case CPH_SIP_EV_OFFER_DONE:
        phone_on_offer_done(c, ev, now);
        break;
    case CPH_SIP_EV_REFRESHED:
        phone_on_refreshed(c, ev, now);
        break;
    case CPH_SIP_EV_ENDED:
        if (!place_again(c, ev, now))
            end(c, ev, now);
        break;
    case CPH_SIP_EV_PRACK: /* RFC 5027 4.1 has the caller's word in it */
        if (ev->wants_answer)
            phone_on_offer(c, ev, now);
        else
            phone_precond_prack(c, ev, now);
        break;
    case CPH_SIP_EV_INFO:
    case CPH_SIP_EV_INFO_DONE:
    case CPH_SIP_EV_OPTIONS_DONE:
    case CPH_SIP_EV_INCOMING:
    case CPH_SIP_EV_REGISTERED:
    case CPH_SIP_EV_REGISTER_FAILED:
        break;
    }
}

#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inside a dialog: BYE, re-INVITE, UPDATE, PRACK, INFO, in both directions. RFC 3261 12.2, 14, 15;
 * 3311. */

static const struct cph_span none = { 0 };

static void refuse(struct sip_tx *tx, unsigned status, const char *headers)
{
    if (sip_respond(tx, status, "", cph_span_of(headers), false, none, none) != CPH_OK)
        tx->ua->count.transport_failed++;
}

static void refuse_later(struct sip_tx *tx)
{
    uint32_t r = 0;
    char line[40];

    if (cph_random(tx->ua->env, &r, sizeof r) != CPH_OK)
        r = 5;
    snprintf(line, sizeof line, "Retry-After: %u\r\n", r % 11); /* RFC 3261 14.2 MUST: 0 to 10 s */
    refuse(tx, 500, line);
}

/* An offer of ours has no answer yet. */
static bool offering(const struct sip_call *c)
{
    return (c->offer_req && !c->offer_done) || c->pending == SIP_OFFER_OURS;
}

/* ---- from the peer ---- */

static void on_bye(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    refuse(tx, 200, NULL);
    if (c->outgoing && c->win != d && c->state == SIP_CALL_CALLING) { /* one early branch leaves */
        (void)sip_call_emit(c, CPH_SIP_EV_BRANCH_GONE, in, d);
        sip_dlg_free(d);
        return;
    }
    sip_call_end(c, in, CPH_OK, 0, "the peer hung up", true);
}

static void on_info(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    struct sip_event *ev;

    if (cph_sip_find_name(&in->msg, CPH_SPAN_LIT("Info-Package"))) {
        refuse(tx, 469, "Recv-Info: \r\n"); /* RFC 6086 4.2.2 MUST: we know no package */
        return;
    }
    refuse(tx, 200, NULL);
    ev = sip_call_emit(c, CPH_SIP_EV_INFO, in, d);
    (void)ev;
}

static bool take_offer(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d,
                       bool update)
{
    struct sip_event *ev = sip_call_emit(c, CPH_SIP_EV_OFFER, in, d);

    if (!ev) {
        refuse(tx, 500, "Retry-After: 5\r\n");
        return false;
    }
    ev->e.update = update;
    tx->call = c;
    return true;
}

static void on_reinvite(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    struct cph_span type, body;

    if (c->tx) { /* RFC 3261 14.2 MUST: a second INVITE before the first is done */
        refuse_later(tx);
        return;
    }
    if (offering(c) || c->state != SIP_CALL_UP || c->pending != SIP_OFFER_NONE) {
        refuse(tx, 491, NULL); /* 14.2 MUST: ours is under way */
        return;
    }
    if (!sip_timer_uas_check(c, tx, in))
        return;
    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    if (!take_offer(c, tx, in, d, false))
        return;
    sip_dlg_refresh(d, in);
    c->tx = tx;
    c->reinvite = true;
    c->late = !body.n;
    c->invite_cseq = in->msg.cseq.number;
    c->pending = body.n ? SIP_OFFER_THEIRS : SIP_OFFER_NONE;
}

static void answer_update(struct sip_call *c, struct sip_tx *tx, const char *type,
                          struct cph_span body)
{
    char buf[512];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct sip_call *was = tx->call;

    cph_wr_fmt(&wr, "Allow: %s\r\nSupported: %s\r\n", sip_allow, sip_supported(c->ua));
    sip_timer_uas_lines(c, tx->in, &wr);
    tx->call = c; /* for the Contact */
    if (sip_respond(tx, 200, "", cph_wr_done(&wr), true,
                    body.n ? cph_span_of(type ? type : "application/sdp") : none, body) != CPH_OK)
        c->ua->count.transport_failed++;
    tx->call = was;
    sip_timer_arm(c);
}

/* The offer of a call that rings was answered in a reliable 183, and that has arrived. */
static bool answered_early(const struct sip_call *c)
{
    return c->state == SIP_CALL_INCOMING && c->rseq && !c->rel_wait && c->pending == SIP_OFFER_NONE;
}

/* RFC 3311 5.2 */
static void on_update(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    struct cph_span type, body;

    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    if (c->update) { /* MUST: one UPDATE at a time: 500 */
        refuse_later(tx);
        return;
    }
    if (body.n && offering(c)) {
        refuse(tx, 491, NULL); /* MUST: our offer has no answer yet */
        return;
    }
    if (body.n && (c->pending == SIP_OFFER_THEIRS || (c->tx && !answered_early(c)))) {
        refuse_later(tx); /* MUST: theirs has no answer yet */
        return;
    }
    if (!sip_timer_uas_check(c, tx, in))
        return;
    if (body.n) {
        if (!take_offer(c, tx, in, d, true))
            return;
        sip_dlg_refresh(d, in);
        c->update = tx;
        c->pending = SIP_OFFER_THEIRS;
        return;
    }
    sip_dlg_refresh(d, in);
    answer_update(c, tx, NULL, none);
    (void)sip_call_emit(c, CPH_SIP_EV_REFRESHED, in, d);
}

void sip_call_in_dialog(struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    struct sip_call *c = d->call;

    /* RFC 3261 12.2.2 MUST: a CSeq that does not rise is refused */
    if (d->has_remote_cseq && in->msg.cseq.number <= d->remote_cseq) {
        c->ua->count.bad_cseq++;
        refuse(tx, 500, NULL);
        return;
    }
    d->remote_cseq = in->msg.cseq.number;
    d->has_remote_cseq = true;
    sip_call_hop(c, &in->hop);
    switch (in->msg.method) {
    case CPH_SIP_BYE:
        on_bye(c, tx, in, d);
        break;
    case CPH_SIP_INVITE:
        on_reinvite(c, tx, in, d);
        break;
    case CPH_SIP_UPDATE:
        on_update(c, tx, in, d);
        break;
    case CPH_SIP_PRACK:
        sip_call_prack(c, tx, in, d);
        break;
    case CPH_SIP_INFO:
        on_info(c, tx, in, d);
        break;
    default:
        refuse(tx, 405, NULL);
        break;
    }
}

/* ---- our answer to the peer's offer ---- */

/* With a description: RFC 4567 4.1.2 SHOULD: a re-key that fails is refused with a warning of 306
 */
static cph_err refuse_offer(struct sip_tx *tx, unsigned status, const char *type,
                            struct cph_span body)
{
    if (!body.n)
        return sip_respond(tx, status, "", none, false, none, none);
    return sip_respond(tx, status, "", status == 580 ? none : cph_span_of(sip_not_understood),
                       false, cph_span_of(type ? type : "application/sdp"), body);
}

static cph_err answer_reinvite(struct sip_call *c, unsigned status, const char *type,
                               struct cph_span body)
{
    struct cph_sip_ua *ua = c->ua;
    char buf[512];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    cph_err err;

    if (status >= 300) {
        struct sip_tx *tx = c->tx;

        err = refuse_offer(tx, status, type, body);
        c->tx = NULL;
        tx->call = NULL;
        sip_tx_abandon(tx);
        c->reinvite = false;
        c->late = false;
        c->pending = SIP_OFFER_NONE;
        return err;
    }
    cph_wr_fmt(&wr, "Allow: %s\r\nSupported: %s\r\n", sip_allow, sip_supported(c->ua));
    sip_timer_uas_lines(c, c->tx->in, &wr);
    c->again_after = ua->cfg.t1;
    c->again_since = ua->now;
    CPH_TRY(sip_timer_set(ua, &c->again, SIP_TIMER_CALL, c, c->again_after));
    err = sip_respond(c->tx, status, "", cph_wr_done(&wr), true,
                      body.n ? cph_span_of(type ? type : "application/sdp") : none, body);
    if (err) {
        cph_timers_stop(&ua->timers, &c->again);
        return err;
    }
    c->pending = c->late ? SIP_OFFER_OURS : SIP_OFFER_NONE;
    sip_timer_arm(c);
    return CPH_OK;
}

cph_err cph_sip_call_answer(struct cph_sip_ua *ua, uint32_t call, unsigned status, const char *type,
                            struct cph_span body, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);
    struct sip_tx *tx;

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (status < 200 || status > 699 || !sip_clean(type) || body.n > SIP_LOCAL_BODY_MAX ||
        (status < 300 && (status != 200 || !body.n)))
        return CPH_E_ARGUMENT;
    if (!c->update && !(c->tx && c->reinvite && c->tx->status < 200))
        return CPH_E_STATE;
    if (status < 300)
        CPH_TRY(sip_blob_set(&c->offer, type, body));
    if (!c->update)
        return answer_reinvite(c, status, type, body);
    tx = c->update;
    c->update = NULL;
    tx->call = NULL;
    c->pending = SIP_OFFER_NONE;
    if (status < 300)
        answer_update(c, tx, type, body);
    else if (refuse_offer(tx, status, type, body) != CPH_OK)
        ua->count.transport_failed++;
    sip_tx_abandon(tx);
    return CPH_OK;
}

/* ---- our offers ---- */

static void offer_over(struct sip_call *c)
{
    if (c->offer_req) {
        c->offer_req->owner = NULL;
        c->offer_req->done = NULL;
    }
    c->offer_req = NULL;
    c->refreshing = false;
    if (c->pending == SIP_OFFER_OURS)
        c->pending = SIP_OFFER_NONE;
}

/* RFC 3261 14.1 MUST: after 491, wait 2.1 to 4 s if we made the Call-ID, else 0 to 2 s. */
static bool try_again_later(struct sip_call *c)
{
    uint32_t r = 0;
    cph_time wait;

    if (c->offer_tries >= 3 || cph_random(c->ua->env, &r, sizeof r) != CPH_OK)
        return false;
    wait = c->outgoing ? CPH_MS(2100 + 10 * (r % 191)) : CPH_MS(10 * (r % 201));
    c->offer_tries++;
    return sip_timer_set(c->ua, &c->offer_again, SIP_TIMER_CALL, c, wait) == CPH_OK;
}

static void offer_refused(struct sip_call *c, struct sip_in *in, cph_err why)
{
    unsigned status = in ? in->msg.status : why == CPH_E_TIMEOUT ? 408 : 503;
    bool refreshing = c->refreshing;
    struct sip_event *ev;

    offer_over(c);
    if (status == 491 && try_again_later(c)) {
        c->refreshing = refreshing;
        return;
    }
    if (status == 422 && in && sip_timer_422(c, in) && refreshing) {
        sip_timer_arm(c);
        return;
    }
    /* RFC 3261 12.2.1.2: 481, 408 or no answer at all: the dialog is dead. RFC 4028 10: so is a
     * refresh */
    if (status == 481 || status == 408 || !in) {
        if (c->win)
            sip_call_bye(c, c->win, "no answer inside the dialog");
        sip_call_end(c, in, in ? CPH_OK : why, status, "the dialog is gone", false);
        return;
    }
    if (refreshing)
        return; /* the expiry timer ends the call if nothing better comes */
    ev = sip_call_emit(c, CPH_SIP_EV_OFFER_DONE, in, c->win);
    if (ev)
        ev->e.status = status;
}

static void on_offer(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_call *c = q->owner;
    struct sip_dlg *d = c->win ? c->win : c->n_dlg ? c->dlg[0] : NULL;
    bool refreshing = c->refreshing, invite = q->d.method == CPH_SIP_INVITE;

    if (!in) {
        if (why && c->offer_req == q)
            offer_refused(c, NULL, why);
        else if (c->offer_req == q)
            c->offer_req = NULL;
        return;
    }
    sip_call_hop_out(c, q);
    sip_call_hop(c, &in->hop);
    if (in->msg.status < 200)
        return;
    if (in->msg.status >= 300) {
        offer_refused(c, in, CPH_OK);
        return;
    }
    if (invite && d && d->ack && d->ack->d.cseq == in->msg.cseq.number) {
        sip_req_ack_again(d->ack); /* the 2xx came again */
        return;
    }
    if (d)
        sip_dlg_refresh(d, in);
    if (invite && d) {
        d->ack_cseq = in->msg.cseq.number;
        if (sip_call_ack_2xx(c, d, NULL, none) != CPH_OK)
            c->ua->count.transport_failed++;
    }
    c->refreshing = false;
    c->offer_tries = 0;
    if (c->pending == SIP_OFFER_OURS)
        c->pending = SIP_OFFER_NONE;
    if (!invite)
        offer_over(c);
    else
        c->offer_done = true; /* q stays for repeats of the 2xx */
    sip_timer_uac(c, in);
    (void)sip_call_emit(c, refreshing ? CPH_SIP_EV_REFRESHED : CPH_SIP_EV_OFFER_DONE, in, d);
}

static cph_err fill_offer(struct sip_call *c, struct sip_req *q, bool body)
{
    struct cph_wr wr = cph_wr_open(c->ua->scratch, c->ua->scratch_n);

    cph_wr_fmt(&wr, "Allow: %s\r\nSupported: %s\r\n", sip_allow, sip_supported(c->ua));
    /* RFC 3312 11 MUST: an offer that demands something says so; one that is sealed, in a call that
     * began so */
    if (body && (sip_call_demands((struct cph_span){ c->offer.body, c->offer.n }) ||
                 (c->extra && strstr(c->extra, "Require: precondition\r\n"))))
        cph_wr_text(&wr, "Require: precondition\r\n");
    sip_timer_request_lines(c, &wr);
    CPH_TRY(cph_wr_end(&wr));
    q->d.extra = sip_req_copy(q, cph_wr_done(&wr));
    if (body) {
        q->d.type = sip_req_copy(q, cph_span_of(c->offer.type));
        q->d.body = sip_req_copy(q, (struct cph_span){ c->offer.body, c->offer.n });
        if (!q->d.type.p || !q->d.body.p)
            return CPH_E_NOMEM;
    }
    return q->d.extra.p ? CPH_OK : CPH_E_NOMEM;
}

cph_err sip_call_send_offer(struct sip_call *c, struct sip_dlg *d, bool update, bool refresh)
{
    bool body = !(update && refresh);
    struct sip_req *q;
    cph_err err;

    if (c->offer_req && c->offer_done) /* the last re-INVITE only waits for repeats */
        offer_over(c);
    if (c->offer_req)
        return CPH_E_STATE;
    CPH_TRY(sip_dlg_request(d, update ? CPH_SIP_UPDATE : CPH_SIP_INVITE, 0, &q));
    err = fill_offer(c, q, body);
    if (err) {
        sip_req_free(q);
        return err;
    }
    q->owner = c;
    q->done = on_offer;
    q->went = sip_call_went;
    CPH_TRY(sip_req_send(q));
    c->offer_req = q;
    c->offer_done = false;
    c->offer_update = update;
    c->refreshing = refresh;
    if (body)
        c->pending = SIP_OFFER_OURS;
    return CPH_OK;
}

static struct sip_dlg *dlg_of_branch(struct sip_call *c, uint32_t branch)
{
    for (size_t i = 0; i < c->n_dlg; i++) {
        if (c->dlg[i]->id == branch && c->dlg[i]->state != SIP_DLG_KILLED)
            return c->dlg[i];
    }
    return branch ? NULL : c->win;
}

cph_err cph_sip_call_offer(struct cph_sip_ua *ua, uint32_t call, uint32_t branch, bool update,
                           const char *type, struct cph_span body, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);
    struct sip_dlg *d;
    bool busy;

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (!body.n || body.n > SIP_LOCAL_BODY_MAX || !sip_clean(type))
        return CPH_E_ARGUMENT;
    d = dlg_of_branch(c, branch);
    if (!d)
        return CPH_E_NOTFOUND;
    busy = (c->offer_req && !c->offer_done) || c->update || c->pending != SIP_OFFER_NONE ||
           c->offer_again.slot || d->wants_ack || c->offer_waits;
    if (busy || (!update && (c->state != SIP_CALL_UP || c->tx)))
        return CPH_E_STATE;
    if (update && !d->peer_update)
        return CPH_E_UNSUPPORTED;
    CPH_TRY(sip_blob_set(&c->offer, type, body));
    c->offer_tries = 0;
    if (update && c->pracks > 0) {
        /* The two could change places on the way, and who sees the later number first has to refuse
         * the other (RFC 3261 12.2.2). */
        c->offer_waits = true;
        c->offer_branch = branch;
        return CPH_OK;
    }
    return sip_call_send_offer(c, d, update, false);
}

void sip_call_pracked(struct sip_call *c)
{
    struct sip_dlg *d = dlg_of_branch(c, c->offer_branch);

    struct sip_event *ev;

    if (!c->offer_waits)
        return;
    c->offer_waits = false;
    if (d && sip_call_send_offer(c, d, true, false) == CPH_OK)
        return;
    ev = sip_call_emit(c, CPH_SIP_EV_OFFER_DONE, NULL, d); /* the branch is gone */
    if (ev)
        ev->e.status = 503;
}

void sip_call_offer_due(struct sip_call *c)
{
    bool refresh = c->refreshing;
    cph_err err = CPH_E_STATE;

    if (c->state == SIP_CALL_UP && c->win && !c->tx && !c->update && c->pending == SIP_OFFER_NONE)
        err = sip_call_send_offer(c, c->win, c->offer_update, refresh);
    if (err)
        offer_refused(c, NULL, CPH_OK);
}

/* ---- INFO ---- */

static void on_info_done(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_call *c = q->owner;
    struct sip_event *ev;

    if (in && in->msg.status < 200)
        return;
    if (!in && !why)
        return;
    if (in && in->msg.status == 481) {
        sip_call_end(c, in, CPH_OK, 481, "the dialog is gone", true);
        return;
    }
    ev = sip_call_emit(c, CPH_SIP_EV_INFO_DONE, in, c->win);
    if (ev)
        ev->e.cause = why;
}

cph_err cph_sip_call_info(struct cph_sip_ua *ua, uint32_t call, const char *type,
                          struct cph_span body, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);
    struct sip_req *q;

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (!type || !sip_clean(type) || body.n > SIP_LOCAL_BODY_MAX)
        return CPH_E_ARGUMENT;
    if (c->state != SIP_CALL_UP || !c->win)
        return CPH_E_STATE;
    CPH_TRY(sip_dlg_request(c->win, CPH_SIP_INFO, 0, &q));
    q->d.type = sip_req_copy(q, cph_span_of(type));
    q->d.body = sip_req_copy(q, body);
    if (!q->d.type.p || !q->d.body.p) {
        sip_req_free(q);
        return CPH_E_NOMEM;
    }
    q->owner = c;
    q->done = on_info_done;
    return sip_req_send(q);
}

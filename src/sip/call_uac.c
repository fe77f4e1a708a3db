#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The answers to the caller's INVITE: its forks, its redirections. RFC 3261 13.2.2, 3262, 4028. */

/* ---- answers: 1xx ---- */

static struct sip_dlg *dlg_by_tag(struct sip_call *c, const struct sip_in *in)
{
    for (size_t i = 0; i < c->n_dlg; i++) {
        if (cph_span_is(in->msg.to.tag, c->dlg[i]->remote_tag))
            return c->dlg[i];
    }
    return NULL;
}

static void forget_ack(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_dlg *d = q->owner;

    (void)why;
    if (!in && d && d->ack == q)
        d->ack = NULL;
}

cph_err sip_call_ack_2xx(struct sip_call *c, struct sip_dlg *d, const char *type,
                         struct cph_span body)
{
    struct sip_req *q;
    cph_err err;

    d->wants_ack = false;
    CPH_TRY(sip_dlg_request(d, CPH_SIP_ACK, d->ack_cseq, &q));
    if (body.n) {
        q->d.type = sip_req_copy(q, cph_span_of(type ? type : "application/sdp"));
        q->d.body = sip_req_copy(q, body);
        if (!q->d.type.p || !q->d.body.p) {
            sip_req_free(q);
            return CPH_E_NOMEM;
        }
    }
    q->owner = d;
    q->done = forget_ack;
    err = sip_req_send(q);
    if (err)
        return err;
    if (d->ack) { /* of an earlier INVITE in this dialog: it lives out its time */
        d->ack->owner = NULL;
        d->ack->done = NULL;
    }
    d->ack = q;
    sip_call_hop_out(c, q);
    return CPH_OK;
}

static void on_prack(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_call *c = q->owner;

    if (!c)
        return;
    if (in)
        sip_call_hop(c, &in->hop);
    if (!why && (!in || in->msg.status < 200))
        return;
    if (c->pracks > 0 && --c->pracks == 0)
        sip_call_pracked(c);
}

static cph_err send_prack(struct sip_call *c, struct sip_dlg *d, const char *type,
                          struct cph_span body)
{
    struct sip_req *q;
    char line[80];

    CPH_TRY(sip_dlg_request(d, CPH_SIP_PRACK, 0, &q));
    snprintf(line, sizeof line, "RAck: %u %u INVITE\r\n", d->rseq, d->rel_cseq);
    q->d.extra = sip_req_copy(q, cph_span_of(line));
    if (body.n) {
        q->d.type = sip_req_copy(q, cph_span_of(type ? type : "application/sdp"));
        q->d.body = sip_req_copy(q, body);
    }
    if (!q->d.extra.p || (body.n && (!q->d.type.p || !q->d.body.p))) {
        sip_req_free(q);
        return CPH_E_NOMEM;
    }
    q->owner = c;
    q->done = on_prack;
    q->went = sip_call_went;
    CPH_TRY(sip_req_send(q));
    c->pracks++;
    return CPH_OK;
}

/* RFC 3262 4: taken in order, once. False: a repeat or out of order. */
static bool take_reliable(struct sip_call *c, struct sip_dlg *d, const struct sip_in *in,
                          bool *offer)
{
    struct cph_span type, body;
    uint32_t rseq;

    if (cph_sip_number(&in->msg, CPH_SIP_H_RSEQ, &rseq) != CPH_OK || rseq == 0)
        return false;
    if (d->rseq && rseq != d->rseq + 1)
        return false;
    d->rseq = rseq;
    d->rel_cseq = in->msg.cseq.number;
    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    if (c->late && body.n && !d->had_offer) { /* an offer: our answer goes into the PRACK */
        d->rel_offer = d->had_offer = *offer = true;
        return true;
    }
    if (send_prack(c, d, NULL, (struct cph_span){ 0 }) != CPH_OK)
        c->ua->count.transport_failed++;
    if (body.n && !c->late && c->pending == SIP_OFFER_OURS && !c->offer_req)
        c->pending = SIP_OFFER_NONE; /* RFC 3262 5: that was the answer; UPDATE may bring another */
    return true;
}

static void on_provisional(struct sip_call *c, struct sip_in *in)
{
    bool reliable = cph_sip_has_token(&in->msg, CPH_SIP_H_REQUIRE, "100rel");
    struct sip_dlg *d = NULL;
    struct sip_event *ev;
    bool offer = false;

    if (c->cancel_wanted) {
        sip_call_send_cancel(c);
        return;
    }
    if (in->msg.status == 100 || c->state != SIP_CALL_CALLING)
        return;
    if (in->msg.to.tag.n) {
        d = dlg_by_tag(c, in);
        if (!d && sip_dlg_uac(c, in, &d) != CPH_OK) {
            c->ua->count.bad_state++; /* too many forks, no memory, a target we may not use */
            return;
        }
        if (cph_sip_has_token(&in->msg, CPH_SIP_H_ALLOW, "UPDATE"))
            d->peer_update = true;
    }
    if (reliable && d && c->rel != CPH_SIP_100REL_OFF) {
        c->peer_100rel = true;
        if (!take_reliable(c, d, in, &offer))
            return;
    }
    ev = sip_call_emit(c, CPH_SIP_EV_PROGRESS, in, d);
    if (ev) {
        ev->e.reliable = reliable;
        ev->e.wants_answer = offer;
    }
}

/* ---- answers: 2xx ---- */

static void drop_losers(struct sip_call *c)
{
    for (size_t i = 0; i < c->n_dlg;) {
        struct sip_dlg *d = c->dlg[i];

        if (d->state != SIP_DLG_EARLY || d == c->win) {
            i++;
            continue;
        }
        (void)sip_call_emit(c, CPH_SIP_EV_BRANCH_GONE, NULL, d);
        sip_dlg_free(d);
    }
}

/* Another fork answered too (13.2.2.4 MUST: ACK it, then BYE it). */
static void kill_branch(struct sip_call *c, struct sip_dlg *d, struct sip_in *in)
{
    d->state = SIP_DLG_KILLED;
    d->ack_cseq = in->msg.cseq.number;
    if (sip_call_ack_2xx(c, d, NULL, (struct cph_span){ 0 }) != CPH_OK)
        c->ua->count.transport_failed++;
    sip_call_bye(c, d, "another branch answered");
    (void)sip_call_emit(c, CPH_SIP_EV_BRANCH_GONE, in, d);
}

static void answered(struct sip_call *c, struct sip_dlg *d, struct sip_in *in)
{
    struct cph_span type, body;
    struct sip_event *ev;

    c->win = d;
    d->state = SIP_DLG_CONFIRMED;
    d->ack_cseq = in->msg.cseq.number;
    /* 13.2.2.4 MUST: the route set is computed anew from the 2xx */
    if (sip_dlg_routes(d, in, true) != CPH_OK)
        c->ua->count.dropped_nomem++;
    sip_dlg_refresh(d, in);
    drop_losers(c);
    sip_call_up(c);
    c->peer_timer = cph_sip_has_token(&in->msg, CPH_SIP_H_SUPPORTED, "timer");
    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    d->wants_ack = c->late && body.n && !d->had_offer;
    if (!d->wants_ack && sip_call_ack_2xx(c, d, NULL, (struct cph_span){ 0 }) != CPH_OK)
        c->ua->count.transport_failed++;
    sip_timer_uac(c, in);
    ev = sip_call_emit(c, CPH_SIP_EV_ANSWERED, in, d);
    if (ev)
        ev->e.wants_answer = d->wants_ack;
}

static void on_2xx(struct sip_call *c, struct sip_req *q, struct sip_in *in)
{
    struct sip_dlg *d = dlg_by_tag(c, in);

    if (d && (d == c->win || d->state == SIP_DLG_KILLED)) {
        if (d->ack && d->ack->d.cseq == in->msg.cseq.number)
            sip_req_ack_again(d->ack);
        return;
    }
    if (!d && sip_dlg_uac(c, in, &d) != CPH_OK) {
        sip_dlg_refuse_2xx(q, in); /* no room, or a target that breaks sips */
        if (!c->win)
            sip_call_end(c, in, CPH_E_POLICY, in->msg.status, "the answer cannot be used", false);
        return;
    }
    if (c->win) {
        kill_branch(c, d, in);
        return;
    }
    if (c->state == SIP_CALL_ENDING) { /* CANCEL came too late */
        kill_branch(c, d, in);
        sip_call_end(c, in, c->no_answer ? CPH_E_TIMEOUT : CPH_OK, 487, "cancelled", false);
        return;
    }
    answered(c, d, in);
}

/* ---- answers: 3xx and failures ---- */

static void collect_redirects(struct sip_call *c, const struct sip_in *in)
{
    struct cph_sip_addr a;

    for (size_t i = 0; cph_sip_addr_at(&in->msg, CPH_SIP_H_CONTACT, i, &a) == CPH_OK; i++) {
        char **grown;

        if (c->n_redirect + c->redirects >= c->ua->cfg.max_redirects)
            return;
        if (a.star || (a.uri.scheme != CPH_SIP_SCHEME_SIP && a.uri.scheme != CPH_SIP_SCHEME_SIPS))
            continue;
        if (c->sips && a.uri.scheme != CPH_SIP_SCHEME_SIPS)
            continue; /* RFC 5630 5.3 MUST: no recursion from sips to sip */
        a.uri.text = cph_span_head(a.uri.text,
                                   a.uri.text.n - (a.uri.headers.n ? a.uri.headers.n + 1 : 0));
        grown = realloc(c->redirect, (c->n_redirect + 1) * sizeof *grown);
        if (!grown)
            return;
        c->redirect = grown;
        grown[c->n_redirect] = sip_strdup(a.uri.text);
        if (!grown[c->n_redirect])
            return;
        c->n_redirect++;
    }
}

/* The next address of a redirection. False: there is none. */
static bool try_redirect(struct sip_call *c)
{
    while (c->n_redirect) {
        char *uri = c->redirect[0];
        bool sips = c->sips;
        cph_err err;

        memmove(c->redirect, c->redirect + 1, --c->n_redirect * sizeof *c->redirect);
        c->redirects++;
        if (cph_span_starts(cph_span_of(uri), "sips:"))
            c->sips = true;
        err = sip_call_send_invite(c, uri);
        free(uri);
        if (!err)
            return true;
        c->sips = sips;
    }
    return false;
}

static void failed(struct sip_call *c, struct sip_in *in, cph_err why)
{
    unsigned status = in ? in->msg.status : why == CPH_E_TIMEOUT ? 408 : 503;

    if (c->state == SIP_CALL_ENDING) {
        sip_call_end(c, in, c->no_answer ? CPH_E_TIMEOUT : CPH_OK, status, "cancelled", false);
        return;
    }
    if (c->invite) { /* this INVITE is over; its transaction runs out by itself */
        c->invite->owner = NULL;
        c->invite->done = NULL;
        c->invite->cseq = NULL;
        c->invite = NULL;
    }
    drop_losers(c);
    if (in && status == 422 && sip_timer_422(c, in)) {
        char *uri = sip_strdup(cph_span_of(c->request_uri));
        cph_err err = uri ? sip_call_send_invite(c, uri) : CPH_E_NOMEM;

        free(uri);
        if (!err)
            return;
    }
    if (in && status / 100 == 3)
        collect_redirects(c, in);
    if (try_redirect(c))
        return;
    sip_call_end(c, in, in ? CPH_OK : why, status, in ? NULL : sip_failure_words(c->ua, why), true);
}

void sip_call_on_invite(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_call *c = q->owner;

    if (!in) {
        if (c->invite == q)
            c->invite = NULL;
        if (why)
            failed(c, NULL, why);
        return;
    }
    sip_call_hop_out(c, q);
    sip_call_hop(c, &in->hop);
    if (in->msg.status < 200)
        on_provisional(c, in);
    else if (in->msg.status < 300)
        on_2xx(c, q, in);
    else if (!c->win)
        failed(c, in, CPH_OK);
}

/* ---- the answer to a late offer ---- */

cph_err cph_sip_call_give_answer(struct cph_sip_ua *ua, uint32_t call, uint32_t branch,
                                 const char *type, struct cph_span body, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (!body.n || body.n > SIP_LOCAL_BODY_MAX || !sip_clean(type))
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < c->n_dlg; i++) {
        struct sip_dlg *d = c->dlg[i];

        if (d->id != branch)
            continue;
        if (!d->wants_ack && !d->rel_offer)
            return CPH_E_STATE;
        CPH_TRY(sip_blob_set(&c->offer, type, body));
        if (d->wants_ack)
            return sip_call_ack_2xx(c, d, type, body);
        d->rel_offer = false;
        return send_prack(c, d, type, body);
    }
    return CPH_E_NOTFOUND;
}

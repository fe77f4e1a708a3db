#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The called side: INVITE in, provisional and final answers out, ACK. RFC 3261 13.3, 3262 3. */

static const struct cph_span none = { 0 };

const char sip_not_understood[] = "Warning: 306 ciphony \"Attribute not understood\"\r\n";

static cph_err plain(struct sip_tx *tx, unsigned status, const char *headers)
{
    return sip_respond(tx, status, "", cph_span_of(headers), false, none, none);
}

static void refuse(struct sip_tx *tx, unsigned status, const char *headers)
{
    if (plain(tx, status, headers) != CPH_OK)
        tx->ua->count.transport_failed++;
}

/* ---- INVITE ---- */

static cph_err fill_call(struct sip_call *c, struct sip_tx *tx, struct sip_in *in)
{
    const struct cph_sip_header *to = cph_sip_find(&in->msg, CPH_SIP_H_TO);
    struct cph_wr wr = cph_wr_open(c->ua->scratch, c->ua->scratch_n);
    struct cph_span type, body;
    struct sip_dlg *d;

    c->state = SIP_CALL_INCOMING;
    c->sips = in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS;
    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    c->late = !body.n;
    c->pending = c->late ? SIP_OFFER_NONE : SIP_OFFER_THEIRS;
    c->peer_100rel = cph_sip_has_token(&in->msg, CPH_SIP_H_SUPPORTED, "100rel") ||
                     cph_sip_has_token(&in->msg, CPH_SIP_H_REQUIRE, "100rel");
    c->peer_timer = cph_sip_has_token(&in->msg, CPH_SIP_H_SUPPORTED, "timer");
    c->invite_cseq = in->msg.cseq.number;
    cph_wr_span(&wr, to->value);
    cph_wr_fmt(&wr, ";tag=%s", tx->tag);
    CPH_TRY(cph_wr_end(&wr));
    CPH_TRY(sip_str_set(&c->local, cph_wr_done(&wr)));
    CPH_TRY(sip_str_set(&c->local_tag, cph_span_of(tx->tag)));
    CPH_TRY(sip_str_set(&c->call_id, in->msg.call_id));
    CPH_TRY(sip_str_set(&c->request_uri, in->msg.uri.text));
    CPH_TRY(sip_str_set(&c->contact_user, in->msg.uri.user));
    CPH_TRY(sip_str_set(&c->peer_uri, in->msg.from.uri.text));
    CPH_TRY(sip_str_set(&c->own_uri, in->msg.to.uri.text));
    return sip_dlg_uas(c, in, &d);
}

void sip_call_invite(struct sip_tx *tx, struct sip_in *in)
{
    struct cph_sip_ua *ua = tx->ua;
    struct sip_call *c;
    cph_err err = sip_call_new(ua, &c);

    if (err) {
        ua->count.full_calls++;
        refuse(tx, err == CPH_E_LIMIT ? 486 : 503, NULL);
        return;
    }
    err = fill_call(c, tx, in);
    if (err) {
        sip_call_free(c);
        if (err == CPH_E_NOTFOUND || err == CPH_E_UNSUPPORTED) {
            ua->count.bad_request++; /* RFC 3261 8.1.1.8 MUST: an INVITE has a Contact that is sip
                                        or sips */
            refuse(tx, 400, NULL);
        } else if (err == CPH_E_POLICY) {
            ua->count.bad_sips++; /* RFC 3261 12.1.1 MUST: a sips request has a sips Contact */
            refuse(tx, 480, "Warning: 380 ciphony \"SIPS Not Allowed\"\r\n");
        } else {
            refuse(tx, 503, NULL);
        }
        return;
    }
    if (!sip_timer_uas_check(c, tx, in)) {
        sip_call_free(c);
        return;
    }
    c->tx = tx;
    tx->call = c;
    sip_call_hop(c, &in->hop);
    if (!sip_call_emit(c, CPH_SIP_EV_INCOMING, in, c->dlg[0])) {
        c->tx = NULL;
        tx->call = NULL;
        sip_call_free(c);
        refuse(tx, 503, NULL);
    }
}

/* ---- our answers ---- */

bool sip_call_demands(struct cph_span sdp)
{
    struct cph_span line;

    while (cph_span_line(&sdp, &line)) {
        if (!cph_span_starts(line, "a=des:"))
            continue;
        (void)cph_span_word(&line);
        if (cph_span_is(cph_span_word(&line), "mandatory"))
            return true;
    }
    return false;
}

static cph_err invite_headers(struct sip_call *c, unsigned status, bool reliable, bool demands,
                              char *buf, size_t cap, struct cph_span *out)
{
    struct cph_wr wr = cph_wr_open(buf, cap);

    cph_wr_fmt(&wr, "Allow: %s\r\nSupported: %s\r\n", sip_allow, sip_supported(c->ua));
    if (reliable)
        cph_wr_fmt(&wr, "Require: 100rel%s\r\nRSeq: %u\r\n", demands ? ", precondition" : "",
                   c->rseq);
    if (status / 100 == 2)
        sip_timer_uas_lines(c, c->tx->in, &wr);
    *out = cph_wr_done(&wr);
    return cph_wr_end(&wr);
}

static cph_err answer_invite(struct sip_call *c, unsigned status, bool reliable, const char *type,
                             struct cph_span body)
{
    char buf[1024];
    struct cph_span headers;

    /* RFC 3312 11 MUST: an offer, which one is that answers no other */
    CPH_TRY(invite_headers(c, status, reliable,
                           c->pending == SIP_OFFER_NONE && sip_call_demands(body), buf, sizeof buf,
                           &headers));
    return sip_respond(c->tx, status, "", headers, true,
                       body.n ? cph_span_of(type ? type : "application/sdp") : none, body);
}

static void remember_local(struct sip_call *c, const char *type, struct cph_span body)
{
    if (body.n && sip_blob_set(&c->offer, type, body) != CPH_OK)
        c->ua->count.dropped_nomem++;
}

static cph_err arm_again(struct sip_call *c)
{
    c->again_after = c->ua->cfg.t1;
    c->again_since = c->ua->now;
    return sip_timer_set(c->ua, &c->again, SIP_TIMER_CALL, c, c->again_after);
}

cph_err cph_sip_call_progress(struct cph_sip_ua *ua, uint32_t call, unsigned status,
                              const char *type, struct cph_span body, bool reliable, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);
    uint32_t start = 0;

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (status < 101 || status > 199 || !sip_clean(type) || body.n > SIP_LOCAL_BODY_MAX)
        return CPH_E_ARGUMENT;
    if (c->state != SIP_CALL_INCOMING || !c->tx)
        return CPH_E_STATE;
    if (cph_sip_has_token(&c->tx->in->msg, CPH_SIP_H_REQUIRE, "100rel"))
        reliable = true; /* RFC 3262 3 MUST: the caller demands it */
    if (!reliable) {
        if (c->rel_wait)
            return CPH_E_STATE;
        CPH_TRY(answer_invite(c, status, false, type, body));
        remember_local(c, type, body);
        return sip_timer_set(ua, &c->alive, SIP_TIMER_CALL, c, CPH_SEC(60));
    }
    if (!c->peer_100rel)
        return CPH_E_UNSUPPORTED;
    if (c->rel_wait) /* one at a time */
        return CPH_E_STATE;
    if (!c->rseq) {
        CPH_TRY(cph_random(ua->env, &start, sizeof start));
        c->rseq = start & 0x3fffffff; /* RFC 3262 3 MUST: between 1 and 2**31 - 1 */
    }
    c->rseq++;
    CPH_TRY(arm_again(c));
    CPH_TRY(answer_invite(c, status, true, type, body));
    remember_local(c, type, body);
    c->rel_wait = true;
    c->rel_body = body.n > 0;
    if (body.n && c->pending == SIP_OFFER_NONE)
        c->pending = SIP_OFFER_OURS; /* our offer to an empty INVITE; the PRACK answers */
    else if (body.n)
        c->pending = SIP_OFFER_NONE;
    return CPH_OK;
}

/* RFC 3261 13.3.1.1: without news for a minute, proxies would give up. */
void sip_call_alive_due(struct sip_call *c)
{
    if (c->state != SIP_CALL_INCOMING || !c->tx || c->rel_wait)
        return;
    if (!c->rseq && sip_tx_repeat(c->tx) != CPH_OK)
        c->ua->count.transport_failed++;
    if (sip_timer_set(c->ua, &c->alive, SIP_TIMER_CALL, c, CPH_SEC(60)) != CPH_OK)
        c->ua->count.dropped_nomem++;
}

static cph_err accept_now(struct sip_call *c, const char *type, struct cph_span body)
{
    CPH_TRY(arm_again(c));
    CPH_TRY(answer_invite(c, 200, false, type, body));
    cph_timers_stop(&c->ua->timers, &c->alive);
    remember_local(c, type, body);
    c->state = SIP_CALL_ACCEPTED;
    c->win = c->dlg[0];
    c->win->state = SIP_DLG_CONFIRMED;
    c->rel_wait = false;
    sip_timer_arm(c);
    return CPH_OK;
}

cph_err cph_sip_call_accept(struct cph_sip_ua *ua, uint32_t call, const char *type,
                            struct cph_span body, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (!sip_clean(type) || body.n > SIP_LOCAL_BODY_MAX)
        return CPH_E_ARGUMENT;
    if (c->state != SIP_CALL_INCOMING || !c->tx || c->held_set)
        return CPH_E_STATE;
    if (c->rel_wait && c->rel_body) {
        /* RFC 3262 3 MUST: no 2xx while a reliable 1xx with a description waits for its PRACK */
        CPH_TRY(sip_blob_set(&c->held, type, body));
        c->held_set = true;
        return CPH_OK;
    }
    return accept_now(c, type, body);
}

static cph_err reject(struct cph_sip_ua *ua, uint32_t call, unsigned status, const char *reason,
                      const char *headers, struct cph_span sdp)
{
    struct sip_call *c = sip_call_get(ua, call);

    if (!c)
        return CPH_E_NOTFOUND;
    if (status < 300 || status > 699 || !sip_clean(reason) || !sip_lines_ok(headers))
        return CPH_E_ARGUMENT;
    if (c->state != SIP_CALL_INCOMING || !c->tx)
        return CPH_E_STATE;
    CPH_TRY(sip_respond(c->tx, status, reason ? reason : "", cph_span_of(headers), false,
                        sdp.n ? CPH_SPAN_LIT("application/sdp") : none, sdp));
    sip_call_end(c, NULL, CPH_OK, status, reason ? reason : cph_sip_status_text(status), false);
    return CPH_OK;
}

cph_err cph_sip_call_reject(struct cph_sip_ua *ua, uint32_t call, unsigned status,
                            const char *reason, const char *headers, cph_time now)
{
    ua->now = now;
    return reject(ua, call, status, reason, headers, none);
}

cph_err cph_sip_call_reject_with(struct cph_sip_ua *ua, uint32_t call, unsigned status,
                                 struct cph_span sdp, cph_time now)
{
    ua->now = now;
    if (!sdp.n || sdp.n > SIP_LOCAL_BODY_MAX || (status != 488 && status != 580))
        return CPH_E_ARGUMENT;
    return reject(ua, call, status, NULL, status == 488 ? sip_not_understood : NULL, sdp);
}

/* ---- repeats: the 2xx until its ACK, the reliable 1xx until its PRACK ---- */

static void give_up_waiting(struct sip_call *c)
{
    if (c->rel_wait) { /* RFC 3262 3: no PRACK in 64*T1: refuse the INVITE */
        if (c->tx)
            refuse(c->tx, 504, NULL);
        sip_call_end(c, NULL, CPH_E_TIMEOUT, 504, "no PRACK came", false);
        return;
    }
    if (c->win) /* RFC 3261 13.3.1.4: no ACK: the dialog stands, so it is ended with BYE */
        sip_call_bye(c, c->win, "no ACK came");
    sip_call_end(c, NULL, CPH_E_TIMEOUT, 408, "no ACK came", false);
}

void sip_call_again_due(struct sip_call *c)
{
    cph_time t1 = c->ua->cfg.t1;

    if (c->ua->now - c->again_since >= 64 * t1 || !c->tx) {
        give_up_waiting(c);
        return;
    }
    if (sip_tx_repeat(c->tx) != CPH_OK)
        c->ua->count.transport_failed++;
    c->again_after *= 2;
    if (!c->rel_wait && c->again_after > SIP_T2)
        c->again_after = SIP_T2;
    if (c->again_since + 64 * t1 - c->ua->now < c->again_after)
        c->again_after = c->again_since + 64 * t1 - c->ua->now;
    if (sip_timer_set(c->ua, &c->again, SIP_TIMER_CALL, c, c->again_after) != CPH_OK)
        sip_call_end(c, NULL, CPH_E_NOMEM, 500, "out of memory", false);
}

/* The INVITE transaction: no ACK to a refusal (the call is gone by then), or the end of timer L. */
void sip_call_tx(struct sip_call *c, struct sip_tx *tx, enum sip_tx_event ev)
{
    if (ev == SIP_TXE_END && c->tx == tx) {
        c->tx = NULL;
        tx->call = NULL;
        if (c->again.slot)
            give_up_waiting(c);
    }
}

/* ---- ACK ---- */

void sip_call_ack(struct sip_call *c, struct sip_in *in)
{
    struct sip_event *ev;
    bool was_late;

    if (!c->tx || c->tx->status / 100 != 2 || in->msg.cseq.number != c->invite_cseq) {
        if (in->msg.cseq.number != c->invite_cseq)
            c->ua->count.bad_stray_ack++;
        return;
    }
    cph_timers_stop(&c->ua->timers, &c->again);
    c->tx->call = NULL; /* it absorbs repeats by itself */
    c->tx = NULL;
    sip_call_hop(c, &in->hop);
    was_late = c->late;
    c->late = false;
    if (c->state == SIP_CALL_ENDING) {
        if (c->win)
            sip_call_bye(c, c->win, NULL);
        sip_call_end(c, in, CPH_OK, 0, "hung up", false);
        return;
    }
    if (!c->reinvite)
        sip_call_up(c);
    else
        c->pending = SIP_OFFER_NONE;
    if (!c->reinvite || was_late) {
        ev = sip_call_emit(c, CPH_SIP_EV_CONFIRMED, in, c->win);
        if (ev)
            ev->e.status = 200;
    }
    c->reinvite = false;
}

/* ---- CANCEL, PRACK ---- */

void sip_call_cancelled(struct sip_call *c, struct sip_in *in)
{
    struct sip_tx *tx = c->tx;

    if (!tx)
        return;
    refuse(tx, 487, NULL);
    if (!c->reinvite) {
        sip_call_end(c, in, CPH_OK, 487, "cancelled", true);
        return;
    }
    c->tx = NULL; /* the call goes on without the change */
    c->reinvite = false;
    c->late = false;
    c->pending = SIP_OFFER_NONE;
    tx->call = NULL;
    sip_tx_abandon(tx);
}

void sip_call_prack(struct sip_call *c, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d)
{
    const struct cph_sip_header *h = cph_sip_find(&in->msg, CPH_SIP_H_RACK);
    struct cph_sip_rack r;
    struct cph_span type, body;
    struct sip_event *ev;

    if (!h || cph_sip_rack_parse(h->value, &r) != CPH_OK || !c->rel_wait || r.rseq != c->rseq ||
        r.cseq.number != c->invite_cseq || r.cseq.method != CPH_SIP_INVITE) {
        c->ua->count.bad_state++; /* RFC 3262 3 MUST: a PRACK that matches nothing: 481 */
        refuse(tx, 481, NULL);
        return;
    }
    cph_timers_stop(&c->ua->timers, &c->again);
    c->rel_wait = false;
    sip_body_of(&in->msg, c->ua->accept, &type, &body);
    if (body.n && c->pending != SIP_OFFER_OURS) {
        c->pending = SIP_OFFER_THEIRS; /* a further offer: answered by cph_sip_call_answer() */
        c->update = tx;
        tx->call = c;
    } else {
        if (c->pending == SIP_OFFER_OURS)
            c->pending = SIP_OFFER_NONE;
        if (body.n)
            c->late = false;
        refuse(tx, 200, NULL);
    }
    ev = sip_call_emit(c, CPH_SIP_EV_PRACK, in, d);
    if (ev)
        ev->e.wants_answer = c->update == tx;
    if (c->held_set && !c->update) {
        struct sip_blob held = c->held;

        memset(&c->held, 0, sizeof c->held);
        c->held_set = false;
        if (accept_now(c, held.type, (struct cph_span){ held.body, held.n }) != CPH_OK)
            c->ua->count.transport_failed++;
        sip_blob_clear(&held);
    }
}

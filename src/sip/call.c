#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every call has, whichever side began it. */

struct sip_call *sip_call_get(const struct cph_sip_ua *ua, uint32_t id)
{
    for (struct sip_link *l = ua->calls.next; l != &ua->calls; l = l->next) {
        struct sip_call *c = SIP_OF(struct sip_call, link, l);

        if (c->id == id)
            return c;
    }
    return NULL;
}

bool sip_call_uses_flow(const struct cph_sip_ua *ua, uint32_t flow)
{
    for (struct sip_link *l = ua->calls.next; l != &ua->calls; l = l->next) {
        struct sip_call *c = SIP_OF(struct sip_call, link, l);

        for (size_t i = 0; i < c->n_dlg; i++) {
            if (c->dlg[i]->hint == flow)
                return true;
        }
    }
    return false;
}

cph_err sip_call_new(struct cph_sip_ua *ua, struct sip_call **out)
{
    struct sip_call *c;

    if (ua->n_calls >= ua->cfg.max_calls)
        return CPH_E_LIMIT;
    c = calloc(1, sizeof *c);
    if (!c)
        return CPH_E_NOMEM;
    c->ended = calloc(1, sizeof *c->ended); /* so that the end can always be told */
    if (!c->ended) {
        free(c);
        return CPH_E_NOMEM;
    }
    c->ua = ua;
    do /* as for flows */
        c->id = ++ua->next_call;
    while (!c->id || sip_call_get(ua, c->id));
    c->min_se = ua->cfg.min_se;
    c->ask_se = ua->cfg.session_expires;
    sip_list_add(&ua->calls, &c->link);
    ua->n_calls++;
    *out = c;
    return CPH_OK;
}

static void free_strings(char **s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(s[i]);
    free(s);
}

/* Whatever still waits for an answer of ours gets 487. */
static void release_server(struct sip_tx **slot)
{
    struct sip_tx *tx = *slot;

    *slot = NULL;
    if (!tx)
        return;
    tx->call = NULL;
    if (tx->status < 200)
        (void)sip_respond(tx, 487, "", (struct cph_span){ 0 }, false, (struct cph_span){ 0 },
                          (struct cph_span){ 0 });
    sip_tx_abandon(tx);
}

void sip_call_free(struct sip_call *c)
{
    struct cph_sip_ua *ua = c->ua;
    struct cph_timer *const timers[] = { &c->limit,   &c->again,  &c->offer_again,
                                         &c->refresh, &c->expire, &c->alive };

    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        cph_timers_stop(&ua->timers, timers[i]);
    if (c->tx)
        c->tx->call = NULL;
    if (c->update)
        c->update->call = NULL;
    sip_req_orphan(c->invite);
    sip_req_orphan(c->offer_req);
    while (c->n_dlg)
        sip_dlg_free(c->dlg[0]);
    for (struct sip_link *l = ua->reqs.next; l != &ua->reqs; l = l->next) {
        struct sip_req *q = SIP_OF(struct sip_req, link, l);

        if (q->owner == c) {
            q->owner = NULL;
            q->done = NULL;
        }
    }
    free_strings(c->route, c->n_route);
    free_strings(c->redirect, c->n_redirect);
    sip_blob_clear(&c->offer_out);
    sip_blob_clear(&c->held);
    sip_blob_clear(&c->offer);
    free(c->call_id);
    free(c->local_tag);
    free(c->contact_user);
    free(c->local);
    free(c->remote);
    free(c->request_uri);
    free(c->extra);
    free(c->peer_uri);
    free(c->own_uri);
    sip_event_free(c->ended);
    sip_list_del(&c->link);
    ua->n_calls--;
    free(c);
}

void sip_call_end(struct sip_call *c, struct sip_in *in, cph_err cause, unsigned status,
                  const char *words, bool by_peer)
{
    struct cph_sip_ua *ua = c->ua;
    struct sip_event *ev = c->ended;

    c->ended = NULL;
    ev->e.kind = CPH_SIP_EV_ENDED;
    ev->e.call = c->id;
    ev->e.cookie = c->cookie;
    ev->e.cause = cause;
    ev->e.by_peer = by_peer;
    ev->e.status = status;
    snprintf(ev->text, sizeof ev->text, "%s", words ? words : "");
    if (in) {
        ev->in = sip_in_ref(in);
        ev->e.msg = &in->msg;
        if (!in->msg.is_request) {
            ev->e.reason = in->msg.reason;
            sip_body_of(&in->msg, ua->accept, &ev->e.type, &ev->e.body);
        }
    }
    sip_list_add(&ua->events, &ev->link);
    ua->n_events++;
    release_server(&c->tx);
    release_server(&c->update);
    sip_call_free(c);
}

struct sip_event *sip_call_emit(struct sip_call *c, enum cph_sip_event_kind kind, struct sip_in *in,
                                const struct sip_dlg *d)
{
    struct sip_event *ev = sip_emit(c->ua, kind, in);

    if (!ev)
        return NULL;
    ev->e.call = c->id;
    ev->e.cookie = c->cookie;
    ev->e.branch = d ? d->id : 0;
    return ev;
}

/* The same for whoever judges: a connection made anew from another port is the hop it was. */
static bool same_hop(const struct cph_sip_hop *a, const struct cph_sip_hop *b)
{
    return a->proto == b->proto && a->incoming == b->incoming && a->check == b->check &&
           a->tls13 == b->tls13 && a->unchecked == b->unchecked && strcmp(a->name, b->name) == 0 &&
           /* hashes of certificates are public */
           memcmp(a->cert_sha256, b->cert_sha256, sizeof a->cert_sha256) == 0 &&
           cph_addr_ip_eq(&a->peer, &b->peer);
}

void sip_call_hop(struct sip_call *c, const struct cph_sip_hop *hop)
{
    for (unsigned i = 0; i < c->n_hops; i++) {
        struct cph_sip_hop *h = &c->hop[i];

        if (same_hop(h, hop)) {
            h->vias = hop->vias > h->vias ? hop->vias : h->vias;
            h->vias_open = hop->vias_open > h->vias_open ? hop->vias_open : h->vias_open;
            h->sips |= hop->sips;
            h->proxied |= hop->proxied;
            return;
        }
    }
    if (c->n_hops < CPH_SIP_HOPS_MAX)
        c->hop[c->n_hops++] = *hop;
    else
        c->hops_lost = true;
}

void sip_call_went(struct sip_req *q)
{
    sip_call_hop_out(q->owner, q);
}

/* The neighbour a request of ours went to. */
void sip_call_hop_out(struct sip_call *c, const struct sip_req *q)
{
    struct cph_sip_hop hop;

    sip_hop_of(c->ua, &q->path, false, &hop);
    hop.sips = c->sips;
    sip_call_hop(c, &hop);
}

void sip_call_bye(struct sip_call *c, struct sip_dlg *d, const char *reason)
{
    struct sip_req *q;
    char line[200];

    if (sip_dlg_request(d, CPH_SIP_BYE, 0, &q) != CPH_OK) {
        c->ua->count.dropped_nomem++;
        return;
    }
    if (reason) {
        struct cph_wr wr = cph_wr_open(line, sizeof line);

        cph_wr_text(&wr, "Reason: SIP ;text=");
        cph_sip_wr_quoted(&wr, cph_span_of(reason));
        cph_wr_text(&wr, "\r\n");
        if (cph_wr_end(&wr) == CPH_OK)
            q->d.extra = sip_req_copy(q, cph_wr_done(&wr));
    }
    q->cseq = NULL; /* the dialog goes; the request numbers its own retries */
    if (sip_req_send(q) != CPH_OK)
        c->ua->count.transport_failed++;
}

/* The call stands: its timers of early life stop. */
void sip_call_up(struct sip_call *c)
{
    c->state = SIP_CALL_UP;
    c->confirmed = true;
    cph_timers_stop(&c->ua->timers, &c->limit);
    cph_timers_stop(&c->ua->timers, &c->alive);
    c->pending = SIP_OFFER_NONE;
}

/* ---- ending from our side ---- */

static cph_err hang_up_calling(struct sip_call *c)
{
    struct cph_sip_ua *ua = c->ua;

    c->state = SIP_CALL_ENDING;
    c->cancel_wanted = true;
    if (!c->invite || !c->invite->tx) { /* nothing is out yet */
        sip_call_end(c, NULL, CPH_OK, 487, "cancelled", false);
        return CPH_OK;
    }
    /* RFC 3261 9.1 MUST: no CANCEL before a provisional response */
    if (c->invite->got_any)
        sip_call_send_cancel(c);
    if (sip_timer_set(ua, &c->limit, SIP_TIMER_CALL, c, 64 * ua->cfg.t1) != CPH_OK)
        sip_call_end(c, NULL, CPH_E_NOMEM, 487, "cancelled", false);
    return CPH_OK;
}

void sip_call_send_cancel(struct sip_call *c)
{
    if (c->cancelled)
        return;
    c->cancelled = true;
    if (sip_req_cancel(c->invite) != CPH_OK)
        c->ua->count.transport_failed++;
}

cph_err cph_sip_call_hangup(struct cph_sip_ua *ua, uint32_t call, const char *reason, cph_time now)
{
    struct sip_call *c = sip_call_get(ua, call);

    ua->now = now;
    if (!c)
        return CPH_E_NOTFOUND;
    if (!sip_clean(reason))
        return CPH_E_ARGUMENT;
    switch (c->state) {
    case SIP_CALL_CALLING:
        return hang_up_calling(c);
    case SIP_CALL_INCOMING:
        if (cph_sip_call_reject(ua, call, 603, NULL, NULL, now) != CPH_OK)
            sip_call_end(c, NULL, CPH_OK, 603, "declined", false); /* even if nobody can be told */
        return CPH_OK;
    case SIP_CALL_ACCEPTED: /* RFC 3261 15 MUST: no BYE before the ACK, or its timeout */
        c->state = SIP_CALL_ENDING;
        return CPH_OK;
    case SIP_CALL_UP:
        if (c->win && c->win->wants_ack)
            (void)sip_call_ack_2xx(c, c->win, NULL, (struct cph_span){ 0 });
        if (c->win)
            sip_call_bye(c, c->win, reason);
        sip_call_end(c, NULL, CPH_OK, 0, reason, false);
        return CPH_OK;
    case SIP_CALL_ENDING:
        return CPH_OK;
    }
    return CPH_E_BUG;
}

/* ---- timers ---- */

static void limit_due(struct sip_call *c)
{
    if (c->state == SIP_CALL_CALLING) { /* nobody answers */
        c->no_answer = true;
        (void)hang_up_calling(c);
    } else if (c->state == SIP_CALL_ENDING) { /* RFC 3261 9.1: no final response after CANCEL */
        sip_call_end(c, NULL, c->no_answer ? CPH_E_TIMEOUT : CPH_OK, 487, "cancelled", false);
    }
}

void sip_call_timer(struct sip_call *c, struct cph_timer *t)
{
    if (t == &c->limit)
        limit_due(c);
    else if (t == &c->again)
        sip_call_again_due(c);
    else if (t == &c->alive)
        sip_call_alive_due(c);
    else if (t == &c->offer_again)
        sip_call_offer_due(c);
    else
        sip_timer_due(c, t);
}

/* ---- what the app may ask ---- */

cph_err cph_sip_call_set_account(struct cph_sip_ua *ua, uint32_t call, const void *account)
{
    struct sip_call *c = sip_call_get(ua, call);

    if (!c)
        return CPH_E_NOTFOUND;
    c->account = account;
    return CPH_OK;
}

cph_err cph_sip_call_info_get(const struct cph_sip_ua *ua, uint32_t call,
                              struct cph_sip_call_info *out)
{
    const struct sip_call *c = sip_call_get(ua, call);
    const struct sip_dlg *d;

    if (!c)
        return CPH_E_NOTFOUND;
    d = c->win ? c->win : c->n_dlg ? c->dlg[0] : NULL;
    memset(out, 0, sizeof *out);
    out->outgoing = c->outgoing;
    out->confirmed = c->confirmed;
    out->sips = c->sips;
    out->peer_100rel = c->peer_100rel;
    out->peer_update = d && d->peer_update;
    out->peer_timer = c->peer_timer;
    out->session_expires = c->session_expires;
    out->we_refresh = c->we_refresh;
    memcpy(out->hop, c->hop, sizeof out->hop);
    out->n_hops = c->n_hops;
    out->hops_lost = c->hops_lost;
    out->call_id = cph_span_of(c->call_id);
    out->local_uri = cph_span_of(c->own_uri);
    out->remote_uri = cph_span_of(c->peer_uri);
    out->remote_target = cph_span_of(d ? d->target : NULL);
    return CPH_OK;
}

#include "ua_int.h"

#include <stdlib.h>
#include <string.h>

/*
 * A request on its way out:
 *
 *   resolve -> address 1 -> transaction -> response -> owner
 *                 |  no answer, transport failure, 503 (RFC 3263 4.3)
 *                 v
 *              address 2, with a new branch ...
 *
 * The hook below may ask for the same request once more with further headers (401, 407): next CSeq,
 * new branch, same address. Whoever made it hears only of the end.
 */

static cph_err advance(struct sip_req *q);

cph_err sip_req_new(struct cph_sip_ua *ua, enum cph_sip_method method, struct sip_req **out)
{
    struct sip_req *q = calloc(1, sizeof *q);

    if (!q)
        return CPH_E_NOMEM;
    if (cph_arena_new((size_t)2 * CPH_SIP_MSG_MAX, &q->arena) != CPH_OK) {
        free(q);
        return CPH_E_NOMEM;
    }
    q->ua = ua;
    q->d.method = method;
    sip_list_add(&ua->reqs, &q->link);
    ua->n_reqs++;
    *out = q;
    return CPH_OK;
}

struct cph_span sip_req_copy(struct sip_req *q, struct cph_span bytes)
{
    return cph_arena_copy(q->arena, bytes);
}

void sip_req_free(struct sip_req *q)
{
    if (!q)
        return;
    sip_res_stop(&q->res);
    if (q->tx)
        q->tx->req = NULL;
    cph_timers_stop(&q->ua->timers, &q->linger);
    sip_list_del(&q->link);
    q->ua->n_reqs--;
    cph_arena_free(q->arena);
    cph_free_secret(q->ack_bytes, q->ack_n);
    free(q);
}

void sip_req_orphan(struct sip_req *q)
{
    struct sip_tx *tx;

    if (!q)
        return;
    q->owner = NULL;
    q->done = NULL;
    q->cseq = NULL;
    if (q->dead || q->ack || q->d.method != CPH_SIP_INVITE)
        return;
    tx = q->tx;
    if (tx && tx->state != SIP_TX_PROCEEDING)
        return;
    /* nothing was sent yet; or the peer rang and no timer would ever end it (RFC 3261 9.1) */
    sip_req_free(q);
    if (tx)
        sip_tx_free(tx);
}

/* ---- writing it ---- */

cph_err sip_draft_build(struct cph_sip_ua *ua, const struct sip_draft *d,
                        const struct sip_path *path, const char *branch, struct cph_span *out)
{
    struct cph_wr wr = cph_wr_open(ua->scratch, ua->scratch_n);
    const char *method = cph_sip_method_name(d->method);
    char sent_by[CPH_SIP_NAME_MAX + 16];

    cph_sip_wr_request_line(&wr, cph_span_of(method), d->uri);
    /* RFC 3581 3: rport on every request, so that answers find their way back through a NAT */
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_VIA, "SIP/2.0/%s %s;branch=%s;rport",
                          cph_sip_proto_name(path->proto),
                          sip_sent_by(ua, path->proto, path->peer.family, sent_by), branch);
    cph_wr_span(&wr, d->routes);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_MAX_FORWARDS, "70");
    cph_sip_wr_header(&wr, CPH_SIP_H_FROM, d->from);
    cph_sip_wr_header(&wr, CPH_SIP_H_TO, d->to);
    cph_sip_wr_header(&wr, CPH_SIP_H_CALL_ID, d->call_id);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CSEQ, "%u %s", d->cseq, method);
    if (d->contacts.n) {
        cph_wr_span(&wr, d->contacts);
    } else if (d->contact) {
        cph_wr_text(&wr, "Contact: ");
        sip_wr_contact(ua, &wr, d->contact_user, path->proto, path->peer.family, d->sips);
        cph_wr_text(&wr, "\r\n");
    }
    cph_wr_span(&wr, d->extra);
    cph_wr_span(&wr, d->auth);
    if (ua->user_agent)
        cph_sip_wr_header(&wr, CPH_SIP_H_USER_AGENT, cph_span_of(ua->user_agent));
    cph_sip_wr_body(&wr, d->type, d->body);
    CPH_TRY(cph_wr_end(&wr));
    *out = cph_wr_done(&wr);
    return CPH_OK;
}

/* ---- sending it ---- */

static cph_err new_branch(struct sip_req *q)
{
    memcpy(q->branch, "z9hG4bK", 7);
    return cph_random_hex(q->ua->env, q->branch + 7, 24);
}

static cph_err send_ack(struct sip_req *q, struct cph_span bytes)
{
    struct cph_span final;
    uint8_t *p;

    CPH_TRY(sip_timer_set(q->ua, &q->linger, SIP_TIMER_REQ, q, 64 * q->ua->cfg.t1));
    CPH_TRY(sip_send(q->ua, &q->path, bytes, false, q->account, &final));
    p = malloc(final.n);
    if (!p)
        return CPH_E_NOMEM;
    memcpy(p, final.p, final.n);
    cph_free_secret(q->ack_bytes, q->ack_n);
    q->ack_bytes = p;
    q->ack_n = final.n;
    return CPH_OK;
}

static cph_err send_on_path(struct sip_req *q)
{
    struct cph_span bytes;
    const char *method = cph_sip_method_name(q->d.method);

    CPH_TRY(new_branch(q));
    CPH_TRY(sip_draft_build(q->ua, &q->d, &q->path, q->branch, &bytes));
    if (q->path.proto == CPH_SIP_UDP && bytes.n > q->ua->cfg.path_mtu && !q->udp_anyway &&
        !q->target.flow) {
        struct sip_target t = q->target;

        /* RFC 3261 18.1.1 MUST: a large request goes by a congestion controlled transport, and by
         * UDP only if that fails */
        t.proto = CPH_SIP_TCP;
        if (sip_path_open(q->ua, &t, &q->path) == CPH_OK) {
            q->by_size = true;
            CPH_TRY(sip_draft_build(q->ua, &q->d, &q->path, q->branch, &bytes));
        }
    }
    if (q->ack)
        return send_ack(q, bytes);
    return sip_tx_client(q->ua, q, q->d.method == CPH_SIP_INVITE, cph_span_of(q->branch),
                         cph_span_of(method), &q->path, bytes, q->account, &q->tx);
}

static cph_err try_target(struct sip_req *q)
{
    q->by_size = false;
    CPH_TRY(sip_path_open(q->ua, &q->target, &q->path));
    if (q->d.sips && q->path.proto != CPH_SIP_TLS)
        return CPH_E_POLICY; /* RFC 3261 26.2.2 MUST: sips never leaves TLS */
    return send_on_path(q);
}

static bool try_hint(struct sip_req *q)
{
    struct sip_flow *f = q->hint ? sip_flow_get(q->ua, q->hint) : NULL;

    q->hint = 0;
    if (!f)
        return false;
    memset(&q->target, 0, sizeof q->target);
    q->target.proto = f->proto;
    q->target.addr = f->peer;
    q->target.flow = f->id;
    return try_target(q) == CPH_OK;
}

static cph_err begin_resolving(struct sip_req *q)
{
    struct cph_sip_uri uri;

    q->resolving = true;
    CPH_TRY(cph_sip_uri_parse(q->d.next_hop, &uri));
    return sip_res_start(q->ua, &q->res, &uri, q->d.sips, q->d.body.n > q->ua->cfg.path_mtu - 300);
}

/* On to the next place. CPH_OK: on its way or waiting for a name; else there is none left. */
static cph_err advance(struct sip_req *q)
{
    cph_err err;

    if (try_hint(q))
        return CPH_OK;
    if (q->by_size && !q->udp_anyway) {
        q->udp_anyway = true;
        if (try_target(q) == CPH_OK)
            return CPH_OK;
    }
    if (!q->resolving)
        CPH_TRY(begin_resolving(q));
    for (;;) {
        err = sip_res_next(&q->res, &q->target);
        if (err == CPH_E_AGAIN)
            return CPH_OK;
        if (err) {
            sip_res_stop(&q->res);
            return err == CPH_E_NAME && q->why ? q->why : err;
        }
        q->udp_anyway = false;
        err = try_target(q);
        if (!err)
            return CPH_OK;
        q->why = err;
        if (err == CPH_E_NOMEM)
            return err;
        q->ua->count.transport_failed++;
    }
}

static void fail(struct sip_req *q, cph_err why)
{
    q->dead = true;
    if (q->done)
        q->done(q, NULL, why);
    sip_req_free(q);
}

static void res_ready(struct sip_res *r)
{
    struct sip_req *q = SIP_OF(struct sip_req, res, r);
    cph_err err = advance(q);

    if (err)
        fail(q, err);
}

cph_err sip_req_send(struct sip_req *q)
{
    cph_err err;

    q->res.ready = res_ready;
    err = advance(q);
    if (err)
        sip_req_free(q);
    return err;
}

cph_err sip_req_cancel(struct sip_req *invite)
{
    struct cph_sip_ua *ua = invite->ua;
    struct cph_span bytes;
    struct sip_req *q;
    cph_err err;

    if (!invite->tx)
        return CPH_E_STATE;
    CPH_TRY(sip_req_new(ua, CPH_SIP_CANCEL, &q));
    /* RFC 3261 9.1 MUST: Request-URI, Call-ID, To, CSeq number, From, Route, and the top Via of the
     * INVITE */
    q->d.uri = sip_req_copy(q, invite->d.uri);
    q->d.routes = sip_req_copy(q, invite->d.routes);
    q->d.from = sip_req_copy(q, invite->d.from);
    q->d.to = sip_req_copy(q, invite->d.to);
    q->d.call_id = sip_req_copy(q, invite->d.call_id);
    q->d.cseq = invite->d.cseq;
    q->account = invite->account;
    q->resolving = true; /* it goes where the INVITE went, and nowhere else */
    q->path = invite->path;
    memcpy(q->branch, invite->branch, sizeof q->branch);
    err = q->d.uri.p && q->d.routes.p && q->d.from.p && q->d.to.p && q->d.call_id.p
              ? sip_draft_build(ua, &q->d, &q->path, q->branch, &bytes)
              : CPH_E_NOMEM;
    if (!err)
        err = sip_tx_client(ua, q, false, cph_span_of(q->branch), CPH_SPAN_LIT("CANCEL"), &q->path,
                            bytes, q->account, &q->tx);
    if (err)
        sip_req_free(q);
    return err;
}

/* A 2xx came again, so our ACK got lost. */
void sip_req_ack_again(struct sip_req *q)
{
    if (!q->ack_bytes)
        return;
    if (!sip_path_alive(q->ua, &q->path) && sip_path_open(q->ua, &q->target, &q->path) != CPH_OK)
        return;
    if (sip_send(q->ua, &q->path, (struct cph_span){ q->ack_bytes, q->ack_n }, true, q->account,
                 NULL) != CPH_OK)
        q->ua->count.transport_failed++;
}

void sip_req_timer(struct sip_req *q)
{
    q->dead = true;
    if (q->done)
        q->done(q, NULL, CPH_OK); /* the owner forgets its ACK */
    sip_req_free(q);
}

/* ---- what became of it ---- */

static void leave_tx(struct sip_req *q)
{
    if (q->tx)
        q->tx->req = NULL; /* it runs out by itself */
    q->tx = NULL;
}

/* Once more with the hook's headers. False: not possible, the answer goes to the owner. */
static bool retry_with(struct sip_req *q, const char *lines)
{
    struct cph_span auth = sip_req_copy(q, cph_span_of(lines));
    struct sip_tx *old = q->tx;
    uint32_t next = q->d.cseq + 1;

    if (q->retries >= SIP_RETRIES_MAX || !auth.p || q->d.method == CPH_SIP_CANCEL || q->ack)
        return false;
    if (!sip_path_alive(q->ua, &q->path) && sip_path_open(q->ua, &q->target, &q->path) != CPH_OK)
        return false;
    q->retries++;
    if (q->cseq && *q->cseq >= next)
        next = *q->cseq + 1;
    if (q->cseq)
        *q->cseq = next;
    q->d.cseq = next;
    q->d.auth = auth;
    leave_tx(q);
    q->got_any = false;
    if (send_on_path(q) == CPH_OK)
        return true;
    q->tx = old; /* it ends together with its transaction */
    if (old)
        old->req = q;
    return false;
}

/* To the next address with a new branch. False: there is none. */
static bool failover(struct sip_req *q, cph_err why)
{
    struct sip_tx *old = q->tx;
    cph_err err;

    if (q->got_any || q->d.method == CPH_SIP_CANCEL)
        return false;
    q->why = why;
    q->ua->count.transport_failed++;
    /* In clear its body was there for all on the way to read. TLS that is gone gave it to nobody
     * but the one whose certificate was good. */
    if (q->went && q->owner &&
        (q->path.proto != CPH_SIP_TLS || (why == CPH_E_TIMEOUT && sip_path_alive(q->ua, &q->path))))
        q->went(q);
    leave_tx(q);
    err = advance(q);
    if (!err)
        return true;
    q->why = err;
    q->tx = old; /* it ends together with its transaction */
    if (old)
        old->req = q;
    return false;
}

static void give(struct sip_req *q, struct sip_in *in)
{
    if (q->done)
        q->done(q, in, CPH_OK);
    else if (q->d.method == CPH_SIP_INVITE && in->msg.status / 100 == 2 &&
             !sip_dlg_ack_repeat(q->ua, in))
        sip_dlg_refuse_2xx(q, in); /* nobody wants this call any more */
}

static void lost(struct sip_req *q, cph_err why)
{
    void (*done)(struct sip_req *, struct sip_in *, cph_err) = q->done;

    if (q->final || failover(q, why))
        return;
    q->done = NULL;
    q->dead = true; /* freed with its transaction, right after this */
    if (done)
        done(q, NULL, q->got_any ? why : q->why ? q->why : why);
}

void sip_req_on_tx(struct sip_req *q, enum sip_tx_event ev, struct sip_in *in, const char *retry)
{
    switch (ev) {
    case SIP_TXE_1XX:
        q->got_any = true;
        if (in->msg.status > 100)
            give(q, in);
        else if (q->done && q->d.method == CPH_SIP_INVITE)
            give(q, in); /* 100 lets a CANCEL go */
        if (!q->done && q->d.method == CPH_SIP_INVITE)
            sip_tx_limit(q->tx);
        break;
    case SIP_TXE_2XX:
        q->got_any = q->final = true;
        give(q, in);
        break;
    case SIP_TXE_FINAL:
        if (retry && retry_with(q, retry))
            return;
        if (in->msg.status == 503 && failover(q, CPH_E_IO))
            return;
        q->got_any = q->final = true;
        give(q, in);
        break;
    case SIP_TXE_TIMEOUT:
        lost(q, CPH_E_TIMEOUT);
        break;
    case SIP_TXE_ERROR:
        if (q->tx && q->tx->state == SIP_TX_TERMINATED)
            lost(q, q->tx->why);
        break;
    case SIP_TXE_START:
    case SIP_TXE_REQUEST:
    case SIP_TXE_ACK:
    case SIP_TXE_RETX:
    case SIP_TXE_END:
    case SIP_TX_EVENTS:
        break;
    }
}

void sip_req_tx_gone(struct sip_req *q)
{
    q->dead = true;
    if (q->done)
        q->done(q, NULL, CPH_OK); /* the owner forgets it */
    sip_req_free(q);
}

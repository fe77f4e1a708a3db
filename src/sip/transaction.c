#include "ua_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SIP_KEY_MAX = 2048 };

/* ---- keys: RFC 3261 17.1.3, 17.2.3 ---- */

static struct cph_span key_done(const struct cph_wr *wr)
{
    if (wr->failed)
        return (struct cph_span){ 0 };
    return cph_wr_done(wr);
}

static struct cph_span client_key(uint8_t *buf, struct cph_span branch, struct cph_span method)
{
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    cph_wr_text(&wr, "c|");
    cph_wr_span(&wr, branch);
    cph_wr_u8(&wr, '|');
    cph_wr_span(&wr, method);
    return key_done(&wr);
}

static void wr_lower(struct cph_wr *wr, struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++)
        cph_wr_u8(wr, (uint8_t)tolower(s.p[i]));
}

/* An ACK and a CANCEL look for the key of their INVITE. */
static struct cph_span server_key(uint8_t *buf, const struct cph_sip_msg *m, struct cph_span method)
{
    const struct cph_sip_via *v = &m->via[0];
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    if (v->cookie) {
        cph_wr_text(&wr, "s|");
        cph_wr_span(&wr, v->branch);
        cph_wr_u8(&wr, '|');
        wr_lower(&wr, v->host);
        cph_wr_fmt(&wr, "|%u|", v->port);
    } else { /* a client of RFC 2543: no unique branch */
        cph_wr_text(&wr, "o|");
        cph_wr_span(&wr, m->uri.text);
        cph_wr_u8(&wr, '|');
        cph_wr_span(&wr, m->from.tag);
        cph_wr_u8(&wr, '|');
        cph_wr_span(&wr, m->call_id);
        cph_wr_fmt(&wr, "|%u|", m->cseq.number);
        cph_wr_span(&wr, v->text);
        cph_wr_u8(&wr, '|');
    }
    cph_wr_span(&wr, method);
    return key_done(&wr);
}

static struct cph_span merge_key(uint8_t *buf, const struct cph_sip_msg *m)
{
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    cph_wr_span(&wr, m->from.tag);
    cph_wr_u8(&wr, '|');
    cph_wr_span(&wr, m->call_id);
    cph_wr_fmt(&wr, "|%u|", m->cseq.number);
    cph_wr_span(&wr, m->method_name);
    return key_done(&wr);
}

/* ---- the object ---- */

static cph_err tx_new(struct cph_sip_ua *ua, enum sip_tx_kind kind, struct cph_span key,
                      struct cph_span merge, const struct sip_path *path, struct sip_tx **out)
{
    struct sip_tx *tx;
    cph_err err;

    if (!key.n)
        return CPH_E_LIMIT;
    tx = calloc(1, sizeof *tx + key.n + merge.n);
    if (!tx)
        return CPH_E_NOMEM;
    tx->ua = ua;
    tx->kind = kind;
    tx->state = SIP_TX_IDLE;
    tx->path = *path;
    tx->interval = ua->cfg.t1;
    memcpy(tx->key_bytes, key.p, key.n);
    tx->key = (struct cph_span){ tx->key_bytes, key.n };
    if (merge.n)
        memcpy(tx->key_bytes + key.n, merge.p, merge.n);
    err = cph_map_put(&ua->txs, tx->key, tx);
    if (err) {
        free(tx);
        return err;
    }
    if (merge.n) {
        tx->merge = (struct cph_span){ tx->key_bytes + key.n, merge.n };
        err = cph_map_put(&ua->merges, tx->merge, tx);
        if (err) {
            tx->merge.n = 0;
            sip_tx_free(tx);
            return err;
        }
    }
    *out = tx;
    return CPH_OK;
}

void sip_tx_free(struct sip_tx *tx)
{
    struct cph_sip_ua *ua = tx->ua;

    cph_timers_stop(&ua->timers, &tx->retx);
    cph_timers_stop(&ua->timers, &tx->timeout);
    cph_timers_stop(&ua->timers, &tx->end);
    sip_list_del(&tx->doom);
    (void)cph_map_take(&ua->txs, tx->key);
    if (tx->merge.n)
        (void)cph_map_take(&ua->merges, tx->merge);
    if (tx->req)
        tx->req->tx = NULL;
    sip_in_unref(tx->in);
    cph_free_secret(tx->bytes, tx->n);
    free(tx);
}

/* ---- ACK to a final response over 299: RFC 3261 17.1.1.3 ---- */

static cph_err send_ack(struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_ua *ua = tx->ua;
    struct cph_wr wr = cph_wr_open(ua->scratch, ua->scratch_n);
    const struct cph_sip_header *from, *to = cph_sip_find(&in->msg, CPH_SIP_H_TO);
    struct cph_sip_msg req;
    struct cph_arena *a;
    cph_err err;

    CPH_TRY(cph_arena_new(CPH_SIP_ARENA, &a));
    err = cph_sip_msg_parse(a, (struct cph_span){ tx->bytes, tx->n }, CPH_SIP_STREAM, &req, NULL);
    if (err)
        goto out;
    from = cph_sip_find(&req, CPH_SIP_H_FROM);
    cph_sip_wr_request_line(&wr, CPH_SPAN_LIT("ACK"), req.uri.text);
    cph_sip_wr_header(&wr, CPH_SIP_H_VIA, req.via[0].text);
    cph_sip_wr_copy_all(&wr, &req, CPH_SIP_H_ROUTE);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_MAX_FORWARDS, "70");
    if (from)
        cph_sip_wr_copy(&wr, from);
    if (to)
        cph_sip_wr_copy(&wr, to);
    cph_sip_wr_header(&wr, CPH_SIP_H_CALL_ID, req.call_id);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CSEQ, "%u ACK", req.cseq.number);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    err = cph_wr_end(&wr);
    if (!err) {
        struct sip_path path = tx->path;

        err = sip_send(ua, &path, cph_wr_done(&wr), false, tx->account, NULL);
    }
out:
    cph_arena_free(a);
    return err;
}

/* ---- one step ---- */

static cph_time end_after(const struct sip_tx *tx, enum sip_tx_state state)
{
    bool unreliable = tx->path.proto == CPH_SIP_UDP;
    cph_time t1 = tx->ua->cfg.t1;

    switch (tx->kind) {
    case SIP_ICT:
        if (state == SIP_TX_ACCEPTED)
            return 64 * t1;                                                      /* M */
        return unreliable ? (64 * t1 > CPH_SEC(32) ? 64 * t1 : CPH_SEC(32)) : 0; /* D */
    case SIP_NICT:
        return unreliable ? SIP_T4 : 0; /* K */
    case SIP_IST:
        if (state == SIP_TX_ACCEPTED)
            return 64 * t1;             /* L */
        return unreliable ? SIP_T4 : 0; /* I */
    case SIP_NIST:
        return unreliable ? 64 * t1 : 0; /* J */
    case SIP_TX_KINDS:
        break;
    }
    return 0;
}

static cph_time backoff(const struct sip_tx *tx)
{
    cph_time next = 2 * tx->interval;

    if (tx->kind == SIP_ICT)
        return next; /* A doubles without bound; B ends it */
    if (tx->kind == SIP_NICT && tx->state == SIP_TX_PROCEEDING)
        return SIP_T2;
    return next < SIP_T2 ? next : SIP_T2;
}

static cph_err arm(struct sip_tx *tx, unsigned act, enum sip_tx_state next)
{
    struct cph_sip_ua *ua = tx->ua;

    if (act & (SIP_ACT_STOP | SIP_ACT_ARM_END)) {
        cph_timers_stop(&ua->timers, &tx->retx);
        cph_timers_stop(&ua->timers, &tx->timeout);
    }
    if ((act & SIP_ACT_BACKOFF) && tx->path.proto == CPH_SIP_UDP) {
        tx->interval = backoff(tx);
        CPH_TRY(sip_timer_set(ua, &tx->retx, SIP_TIMER_TX, tx, tx->interval));
    }
    if ((act & SIP_ACT_ARM_RETX) && tx->path.proto == CPH_SIP_UDP) {
        tx->interval = ua->cfg.t1;
        CPH_TRY(sip_timer_set(ua, &tx->retx, SIP_TIMER_TX, tx, tx->interval));
    }
    if (act & SIP_ACT_ARM_TIMEOUT)
        CPH_TRY(sip_timer_set(ua, &tx->timeout, SIP_TIMER_TX, tx, 64 * ua->cfg.t1));
    if (act & SIP_ACT_ARM_END)
        CPH_TRY(sip_timer_set(ua, &tx->end, SIP_TIMER_TX, tx, end_after(tx, next)));
    return CPH_OK;
}

static void tell_user(struct sip_tx *tx, enum sip_tx_event ev, struct sip_in *in, const char *retry)
{
    if (tx->kind == SIP_ICT || tx->kind == SIP_NICT) {
        if (tx->req)
            sip_req_on_tx(tx->req, ev, in, retry);
        return;
    }
    if (ev == SIP_TXE_START)
        sip_core_request(tx, in);
    else if (ev == SIP_TXE_ACK)
        sip_core_ack(tx->ua, in, tx->call);
    else if (tx->call)
        sip_call_tx(tx->call, tx, ev);
}

static void finish(struct sip_tx *tx)
{
    /* sip_tx_free took the last one off the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    struct sip_req *req = tx->req;

    if (tx->call) { /* the call forgets it */
        if (tx->call->tx == tx)
            tx->call->tx = NULL;
        if (tx->call->update == tx)
            tx->call->update = NULL;
    }
    sip_tx_free(tx);
    if (req)
        sip_req_tx_gone(req);
}

/* The only writer of tx->state. Sends, arms, tells the user, in this order; frees at the end. */
static cph_err step(struct sip_tx *tx, enum sip_tx_event ev, struct sip_in *in, const char *retry)
{
    struct sip_tx_cell cell = sip_tx_lookup(tx->kind, tx->state, ev);
    struct cph_span bytes = { tx->bytes, tx->n };
    cph_err sent = CPH_OK, armed;

    if (cell.next == SIP_TX_NONE)
        return CPH_E_STATE;
    if ((cell.act & SIP_ACT_RESEND) && tx->n)
        sent = sip_send(tx->ua, &tx->path, bytes, true, tx->account, NULL);
    if (cell.act & SIP_ACT_ACK)
        sent = send_ack(tx, in);
    tx->state = cell.next;
    armed = arm(tx, cell.act, tx->state);
    if (armed) { /* without its timers it would live for ever */
        tx->ua->count.dropped_nomem++;
        if (ev == SIP_TXE_START)
            return armed;
        tx->state = SIP_TX_TERMINATED;
        if (tx->kind == SIP_IST || tx->kind == SIP_NIST) { /* its user may be in the middle of it */
            sip_list_add(&tx->ua->doomed, &tx->doom);
            return CPH_OK;
        }
        if (!(cell.act & SIP_ACT_USER)) {
            ev = SIP_TXE_TIMEOUT;
            cell.act |= SIP_ACT_USER;
        }
    }
    if (cell.act & SIP_ACT_USER)
        tell_user(tx, ev, in, retry);
    if (tx->state == SIP_TX_TERMINATED) {
        finish(tx);
        return CPH_OK;
    }
    if (sent) {
        tx->why = sent;
        (void)step(tx, SIP_TXE_ERROR, NULL, NULL);
    }
    return CPH_OK;
}

void sip_tx_reap(struct cph_sip_ua *ua)
{
    while (ua->doomed.next != &ua->doomed)
        finish(SIP_OF(struct sip_tx, doom, ua->doomed.next));
}

/* RFC 3261 17.1.1 sets no limit to a ringing INVITE: its user ends it. This one has none any more.
 */
void sip_tx_limit(struct sip_tx *tx)
{
    if (tx->timeout.slot || tx->state != SIP_TX_PROCEEDING)
        return;
    if (sip_timer_set(tx->ua, &tx->timeout, SIP_TIMER_TX, tx, 64 * tx->ua->cfg.t1) == CPH_OK)
        return;
    tx->ua->count.dropped_nomem++; /* step() ends it */
    tx->state = SIP_TX_TERMINATED;
}

/* Nobody is left to answer it, and memory for an answer was lacking: the peer's timers tell the
 * peer. */
void sip_tx_abandon(struct sip_tx *tx)
{
    if (!tx->call && tx->status < 200)
        sip_tx_free(tx);
}

/* ---- client ---- */

static cph_err keep_bytes(struct sip_tx *tx, struct cph_span bytes)
{
    uint8_t *p = malloc(bytes.n ? bytes.n : 1);

    if (!p)
        return CPH_E_NOMEM;
    memcpy(p, bytes.p, bytes.n);
    cph_free_secret(tx->bytes, tx->n); /* an SDP may hold keys */
    tx->bytes = p;
    tx->n = bytes.n;
    return CPH_OK;
}

cph_err sip_tx_client(struct cph_sip_ua *ua, struct sip_req *req, bool invite,
                      struct cph_span branch, struct cph_span method, const struct sip_path *path,
                      struct cph_span bytes, const void *account, struct sip_tx **out)
{
    uint8_t buf[SIP_KEY_MAX];
    struct cph_span final = bytes;
    struct sip_tx *tx;
    cph_err err;

    CPH_TRY(tx_new(ua, invite ? SIP_ICT : SIP_NICT, client_key(buf, branch, method),
                   (struct cph_span){ 0 }, path, &tx));
    tx->account = account;
    err = step(tx, SIP_TXE_START, NULL, NULL);
    if (!err)
        err = keep_bytes(tx, bytes);
    if (!err)
        err = sip_send(ua, path, bytes, false, account, &final);
    if (!err && final.p != bytes.p)
        err = keep_bytes(tx, final);
    if (err) {
        sip_tx_free(tx);
        return err;
    }
    tx->req = req;
    *out = tx;
    return CPH_OK;
}

static enum sip_tx_event event_of(unsigned status)
{
    return status < 200 ? SIP_TXE_1XX : status < 300 ? SIP_TXE_2XX : SIP_TXE_FINAL;
}

const void *sip_tx_account(const struct cph_sip_ua *ua, const struct sip_in *in)
{
    uint8_t buf[SIP_KEY_MAX];
    struct cph_span key = client_key(buf, in->msg.via[0].branch, in->msg.cseq.method_name);
    const struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    return tx ? tx->account : NULL;
}

void sip_tx_response(struct cph_sip_ua *ua, struct sip_in *in, const char *retry)
{
    uint8_t buf[SIP_KEY_MAX];
    const struct cph_sip_msg *m = &in->msg;
    struct cph_span key = client_key(buf, m->via[0].branch, m->cseq.method_name);
    struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    if (!tx) { /* RFC 6026 7.2 MUST: dropped */
        ua->count.bad_stray_response++;
        return;
    }
    if (step(tx, event_of(m->status), in, retry) != CPH_OK)
        ua->count.bad_state++;
}

/* ---- server ---- */

static void refuse_full(struct cph_sip_ua *ua, struct sip_in *in, cph_err err)
{
    if (err == CPH_E_LIMIT)
        ua->count.full_transactions++;
    else
        ua->count.dropped_nomem++;
    sip_reply_stateless(ua, in, 503, "", CPH_SPAN_LIT("Retry-After: 10\r\n"));
}

/* A full table gives up the answer that is kept for repeats only and would go next: the worst that
 * follows is that a repeat is answered anew. So strangers' requests never keep out a call. */
static void make_room(struct cph_sip_ua *ua)
{
    struct sip_tx *tx, *old = NULL;
    cph_time first = CPH_TIME_NEVER;
    size_t at = 0;

    while ((tx = cph_map_each(&ua->txs, &at)) != NULL) {
        const struct cph_timer *t = tx->end.slot ? &tx->end : &tx->timeout;

        if ((tx->kind == SIP_NIST || tx->kind == SIP_IST) && tx->state == SIP_TX_COMPLETED &&
            !tx->call && t->slot && t->at < first) {
            old = tx;
            first = t->at;
        }
    }
    if (old)
        finish(old);
}

static void begin_server(struct cph_sip_ua *ua, struct sip_in *in, struct cph_span key)
{
    struct sip_path path = sip_response_path(ua, in);
    uint8_t buf[SIP_KEY_MAX];
    struct cph_span merge = { 0 };
    bool invite = in->msg.method == CPH_SIP_INVITE;
    struct sip_tx *tx;
    cph_err err;

    if (!in->msg.to.tag.n && in->msg.method != CPH_SIP_CANCEL) {
        merge = merge_key(buf, &in->msg);
        /* RFC 3261 8.2.2.2: the same request by another way: 482 */
        if (merge.n && cph_map_get(&ua->merges, merge)) {
            ua->count.bad_loop++;
            sip_reply_stateless(ua, in, 482, "", (struct cph_span){ 0 });
            return;
        }
    }
    if (ua->txs.n >= ua->cfg.max_transactions)
        make_room(ua);
    err = tx_new(ua, invite ? SIP_IST : SIP_NIST, key, merge, &path, &tx);
    if (err) {
        refuse_full(ua, in, err);
        return;
    }
    if (cph_random_hex(ua->env, tx->tag, 16) != CPH_OK) {
        sip_tx_free(tx);
        refuse_full(ua, in, CPH_E_NOMEM);
        return;
    }
    tx->in = sip_in_ref(in);
    (void)step(tx, SIP_TXE_START, in, NULL);
    /* RFC 3261 17.2.1 MUST: 100 unless the user answers within 200 ms; ours does now or much later
     */
    if (invite && tx->call && tx->state == SIP_TX_PROCEEDING && !tx->n)
        (void)sip_respond(tx, 100, "", (struct cph_span){ 0 }, false, (struct cph_span){ 0 },
                          (struct cph_span){ 0 });
    sip_tx_abandon(tx);
}

void sip_tx_request(struct cph_sip_ua *ua, struct sip_in *in)
{
    uint8_t buf[SIP_KEY_MAX];
    bool ack = in->msg.method == CPH_SIP_ACK;
    struct cph_span method = ack ? CPH_SPAN_LIT("INVITE") : in->msg.method_name;
    struct cph_span key = server_key(buf, &in->msg, method);
    struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    if (tx) {
        if (step(tx, ack ? SIP_TXE_ACK : SIP_TXE_REQUEST, in, NULL) != CPH_OK)
            ua->count.bad_state++;
    } else if (ack) {
        sip_core_ack(ua, in, NULL);
    } else {
        begin_server(ua, in, key);
    }
}

struct sip_tx *sip_tx_of_cancel(struct cph_sip_ua *ua, const struct sip_in *cancel)
{
    uint8_t buf[SIP_KEY_MAX];
    struct cph_span key = server_key(buf, &cancel->msg, CPH_SPAN_LIT("INVITE"));

    struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    /* RFC 3261 9.1 MUST: it is sent by the transport of its INVITE, so one in clear does not end a
     * call made under TLS. */
    return tx && tx->path.proto == cancel->path.proto ? tx : NULL;
}

/* RFC 3261 18.2.2: the connection of the request is gone: open one to where it came from, at the
 * port of sent-by. On TLS the peer must prove the name it had. */
static void find_path(struct sip_tx *tx)
{
    const struct cph_sip_via *v = &tx->in->msg.via[0];
    struct sip_target t = { 0 };
    struct sip_path p;

    if (sip_path_alive(tx->ua, &tx->path))
        return;
    t.proto = tx->path.proto;
    t.addr = tx->in->path.peer;
    t.addr.port = v->port ? v->port : sip_default_port(t.proto);
    memcpy(t.name, tx->in->hop.name, sizeof t.name);
    if (t.proto == CPH_SIP_TLS && !t.name[0])
        return;
    if (sip_path_open(tx->ua, &t, &p) == CPH_OK)
        tx->path = p;
}

cph_err sip_tx_respond(struct sip_tx *tx, unsigned status, struct cph_span bytes)
{
    enum sip_tx_event ev = event_of(status);
    struct cph_span final = bytes;
    cph_err sent;

    if (sip_tx_lookup(tx->kind, tx->state, ev).next == SIP_TX_NONE)
        return CPH_E_STATE;
    CPH_TRY(keep_bytes(tx, bytes));
    tx->status = status;
    find_path(tx);
    sent = sip_send(tx->ua, &tx->path, bytes, false, tx->account, &final);
    if (!sent && final.p != bytes.p)
        sent = keep_bytes(tx, final);
    if (sent) /* RFC 6026 7.1 MUST: the machine goes on all the same */
        tx->ua->count.transport_failed++;
    return step(tx, ev, NULL, NULL);
}

cph_err sip_tx_repeat(struct sip_tx *tx)
{
    find_path(tx);
    return sip_send(tx->ua, &tx->path, (struct cph_span){ tx->bytes, tx->n }, true, tx->account,
                    NULL);
}

/* ---- timers and transport ---- */

void sip_tx_timer(struct sip_tx *tx, struct cph_timer *t)
{
    enum sip_tx_event ev = t == &tx->retx      ? SIP_TXE_RETX
                           : t == &tx->timeout ? SIP_TXE_TIMEOUT
                                               : SIP_TXE_END;

    (void)step(tx, ev, NULL, NULL);
}

bool sip_tx_uses_flow(const struct cph_sip_ua *ua, uint32_t flow)
{
    const struct sip_tx *tx;
    size_t at = 0;

    while ((tx = cph_map_each(&ua->txs, &at))) {
        if (tx->path.flow == flow)
            return true;
    }
    return false;
}

/* The user may start new transactions meanwhile, so mark first, then take the marked ones one by
 * one. */
static void step_marked(struct cph_sip_ua *ua)
{
    for (;;) {
        struct sip_tx *tx;
        size_t at = 0;

        while ((tx = cph_map_each(&ua->txs, &at)) && !tx->flow_dead)
            ;
        if (!tx)
            return;
        tx->flow_dead = false;
        (void)step(tx, SIP_TXE_ERROR, NULL, NULL);
    }
}

void sip_tx_flow_gone(struct cph_sip_ua *ua, uint32_t flow, cph_err why)
{
    struct sip_tx *tx;
    size_t at = 0;

    while ((tx = cph_map_each(&ua->txs, &at))) {
        if (tx->path.flow != flow)
            continue;
        tx->flow_dead = true;
        tx->why = why;
    }
    step_marked(ua);
}

void sip_tx_unreachable(struct cph_sip_ua *ua, const struct cph_addr *to)
{
    struct sip_tx *tx;
    size_t at = 0;

    while ((tx = cph_map_each(&ua->txs, &at))) {
        if (tx->path.flow || !cph_addr_eq(&tx->path.peer, to))
            continue;
        tx->flow_dead = true;
        tx->why = CPH_E_IO;
    }
    step_marked(ua);
}

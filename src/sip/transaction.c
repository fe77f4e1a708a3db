#include "tx_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- the object ---- */

cph_err sip_tx_new(struct cph_sip_ua *ua, enum sip_tx_kind kind, struct cph_span key,
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

void sip_tx_finish(struct sip_tx *tx)
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
cph_err sip_tx_step(struct sip_tx *tx, enum sip_tx_event ev, struct sip_in *in, const char *retry)
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
        sip_tx_finish(tx);
        return CPH_OK;
    }
    if (sent) {
        tx->why = sent;
        (void)sip_tx_step(tx, SIP_TXE_ERROR, NULL, NULL);
    }
    return CPH_OK;
}

void sip_tx_reap(struct cph_sip_ua *ua)
{
    while (ua->doomed.next != &ua->doomed)
        sip_tx_finish(SIP_OF(struct sip_tx, doom, ua->doomed.next));
}

/* RFC 3261 17.1.1 sets no limit to a ringing INVITE: its user ends it. This one has none any more.
 */
void sip_tx_limit(struct sip_tx *tx)
{
    if (tx->timeout.slot || tx->state != SIP_TX_PROCEEDING)
        return;
    if (sip_timer_set(tx->ua, &tx->timeout, SIP_TIMER_TX, tx, 64 * tx->ua->cfg.t1) == CPH_OK)
        return;
    tx->ua->count.dropped_nomem++; /* sip_tx_step() ends it */
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

cph_err sip_tx_keep_bytes(struct sip_tx *tx, struct cph_span bytes)
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

    CPH_TRY(sip_tx_new(ua, invite ? SIP_ICT : SIP_NICT, sip_tx_client_key(buf, branch, method),
                       (struct cph_span){ 0 }, path, &tx));
    tx->account = account;
    err = sip_tx_step(tx, SIP_TXE_START, NULL, NULL);
    if (!err)
        err = sip_tx_keep_bytes(tx, bytes);
    if (!err)
        err = sip_send(ua, path, bytes, false, account, &final);
    if (!err && final.p != bytes.p)
        err = sip_tx_keep_bytes(tx, final);
    if (err) {
        sip_tx_free(tx);
        return err;
    }
    tx->req = req;
    *out = tx;
    return CPH_OK;
}

enum sip_tx_event sip_tx_event_of(unsigned status)
{
    return status < 200 ? SIP_TXE_1XX : status < 300 ? SIP_TXE_2XX : SIP_TXE_FINAL;
}

const void *sip_tx_account(const struct cph_sip_ua *ua, const struct sip_in *in)
{
    uint8_t buf[SIP_KEY_MAX];
    struct cph_span key = sip_tx_client_key(buf, in->msg.via[0].branch, in->msg.cseq.method_name);
    const struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    return tx ? tx->account : NULL;
}

void sip_tx_response(struct cph_sip_ua *ua, struct sip_in *in, const char *retry)
{
    uint8_t buf[SIP_KEY_MAX];
    const struct cph_sip_msg *m = &in->msg;
    struct cph_span key = sip_tx_client_key(buf, m->via[0].branch, m->cseq.method_name);
    struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    if (!tx) { /* RFC 6026 7.2 MUST: dropped */
        ua->count.bad_stray_response++;
        return;
    }
    if (sip_tx_step(tx, sip_tx_event_of(m->status), in, retry) != CPH_OK)
        ua->count.bad_state++;
}

/* ---- timers and transport ---- */

void sip_tx_timer(struct sip_tx *tx, struct cph_timer *t)
{
    enum sip_tx_event ev = t == &tx->retx      ? SIP_TXE_RETX
                           : t == &tx->timeout ? SIP_TXE_TIMEOUT
                                               : SIP_TXE_END;

    (void)sip_tx_step(tx, ev, NULL, NULL);
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
        (void)sip_tx_step(tx, SIP_TXE_ERROR, NULL, NULL);
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

/* Server transactions: how they begin, and how they answer. */
#include "tx_int.h"

#include <string.h>

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
        sip_tx_finish(old);
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
        merge = sip_tx_merge_key(buf, &in->msg);
        /* RFC 3261 8.2.2.2: the same request by another way: 482 */
        if (merge.n && cph_map_get(&ua->merges, merge)) {
            ua->count.bad_loop++;
            sip_reply_stateless(ua, in, 482, "", (struct cph_span){ 0 });
            return;
        }
    }
    if (ua->txs.n >= ua->cfg.max_transactions)
        make_room(ua);
    err = sip_tx_new(ua, invite ? SIP_IST : SIP_NIST, key, merge, &path, &tx);
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
    (void)sip_tx_step(tx, SIP_TXE_START, in, NULL);
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
    struct cph_span key = sip_tx_server_key(buf, &in->msg, method);
    struct sip_tx *tx = key.n ? cph_map_get(&ua->txs, key) : NULL;

    if (tx) {
        if (sip_tx_step(tx, ack ? SIP_TXE_ACK : SIP_TXE_REQUEST, in, NULL) != CPH_OK)
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
    struct cph_span key = sip_tx_server_key(buf, &cancel->msg, CPH_SPAN_LIT("INVITE"));

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
    enum sip_tx_event ev = sip_tx_event_of(status);
    struct cph_span final = bytes;
    cph_err sent;

    if (sip_tx_lookup(tx->kind, tx->state, ev).next == SIP_TX_NONE)
        return CPH_E_STATE;
    CPH_TRY(sip_tx_keep_bytes(tx, bytes));
    tx->status = status;
    find_path(tx);
    sent = sip_send(tx->ua, &tx->path, bytes, false, tx->account, &final);
    if (!sent && final.p != bytes.p)
        sent = sip_tx_keep_bytes(tx, final);
    if (sent) /* RFC 6026 7.1 MUST: the machine goes on all the same */
        tx->ua->count.transport_failed++;
    return sip_tx_step(tx, ev, NULL, NULL);
}

cph_err sip_tx_repeat(struct sip_tx *tx)
{
    find_path(tx);
    return sip_send(tx->ua, &tx->path, (struct cph_span){ tx->bytes, tx->n }, true, tx->account,
                    NULL);
}

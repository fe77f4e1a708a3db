#include "ua_int.h"

#include <stdlib.h>
#include <string.h>

/*
 * A flow is one TCP connection, with TLS inside it or not. The driver moves its bytes; here they
 * become ciphertext and back, and are cut into messages.
 *
 *   OPENING -> (TLS) HANDSHAKE -> OPEN -> gone
 */

struct sip_flow *sip_flow_get(const struct cph_sip_ua *ua, uint32_t id)
{
    for (struct sip_link *l = ua->flows.next; l != &ua->flows; l = l->next) {
        struct sip_flow *f = SIP_OF(struct sip_flow, link, l);

        if (f->id == id)
            return f;
    }
    return NULL;
}

/* A flow that leads to the target. On TLS the identity it proved (or is about to prove) must be the
 * one asked for: two names on one address are two peers (CVE-2020-15260). */
struct sip_flow *sip_flow_find(struct cph_sip_ua *ua, const struct sip_target *t)
{
    for (struct sip_link *l = ua->flows.next; l != &ua->flows; l = l->next) {
        struct sip_flow *f = SIP_OF(struct sip_flow, link, l);

        if (f->proto != t->proto || !cph_addr_eq(&f->peer, &t->addr))
            continue;
        if (f->proto != CPH_SIP_TLS)
            return f;
        if (f->incoming) {
            if (f->state == SIP_FLOW_OPEN && f->check != CPH_SIP_PEER_NONE &&
                cph_span_iis(cph_span_of(f->name), t->name))
                return f;
        } else if (cph_span_iis(cph_span_of(f->wanted), t->name)) {
            return f;
        }
    }
    return NULL;
}

void sip_flow_free(struct sip_flow *f)
{
    struct cph_sip_ua *ua = f->ua;

    cph_timers_stop(&ua->timers, &f->idle);
    cph_timers_stop(&ua->timers, &f->ping);
    cph_stream_free(f->tls);
    cph_buf_clear(&f->in);
    cph_buf_clear(&f->pending);
    sip_list_del(&f->link);
    ua->n_flows--;
    free(f);
}

static cph_err put_write(struct sip_flow *f, struct cph_span bytes)
{
    struct sip_action *a = sip_action_new(f->ua, CPH_SIP_DO_WRITE, bytes);

    if (!a)
        return CPH_E_NOMEM;
    a->a.flow = f->id;
    sip_action_put(f->ua, a);
    return CPH_OK;
}

static cph_err tls_drain(struct sip_flow *f)
{
    uint8_t buf[4096];
    size_t n;

    while (cph_stream_pull(f->tls, buf, sizeof buf, &n) == CPH_OK)
        CPH_TRY(put_write(f, (struct cph_span){ buf, n }));
    return CPH_OK;
}

/* The flow is gone on the wire already, or about to be: its users hear why. */
static void flow_gone(struct sip_flow *f, cph_err why)
{
    struct cph_sip_ua *ua = f->ua;
    uint32_t id = f->id;

    sip_flow_free(f);
    sip_tx_flow_gone(ua, id, why);
    ua->tls_why[0] = '\0'; /* of this one: another that fails alike does not get its words */
}

void sip_flow_close(struct sip_flow *f, cph_err why)
{
    struct sip_action *a;

    if (f->tls && f->state == SIP_FLOW_OPEN)
        cph_stream_close(f->tls, f->ua->now);
    if (f->tls && tls_drain(f) != CPH_OK)
        f->ua->count.dropped_nomem++;
    a = sip_action_new(f->ua, CPH_SIP_DO_CLOSE, (struct cph_span){ 0 });
    if (a) {
        a->a.flow = f->id;
        sip_action_put(f->ua, a);
    } else {
        f->ua->count.dropped_nomem++; /* the driver finds out when the peer hangs up */
    }
    flow_gone(f, why);
}

static cph_err flow_new(struct cph_sip_ua *ua, enum cph_sip_proto proto, unsigned listener,
                        const struct cph_addr *peer, struct sip_flow **out)
{
    struct sip_flow *f = calloc(1, sizeof *f);

    if (!f)
        return CPH_E_NOMEM;
    f->ua = ua;
    do /* strangers count it up: 0 is UDP's, and once round it meets those that stayed */
        f->id = ++ua->next_flow;
    while (!f->id || sip_flow_get(ua, f->id));
    f->proto = proto;
    f->listener = listener;
    f->peer = *peer;
    f->used = ua->now;
    f->in.limit = ua->cfg.max_message + 4096;
    f->pending.limit = SIP_FLOW_PENDING;
    sip_list_add(&ua->flows, &f->link);
    ua->n_flows++;
    *out = f;
    return CPH_OK;
}

/* ---- out ---- */

static cph_err write_now(struct sip_flow *f, struct cph_span bytes)
{
    f->used = f->ua->now;
    if (!f->tls)
        return put_write(f, bytes);
    CPH_TRY(cph_stream_write(f->tls, bytes, f->ua->now));
    return tls_drain(f);
}

cph_err sip_flow_write(struct sip_flow *f, struct cph_span bytes)
{
    if (f->state != SIP_FLOW_OPEN)
        return cph_buf_put(&f->pending, bytes);
    return write_now(f, bytes);
}

static cph_err flush_pending(struct sip_flow *f)
{
    cph_err err = CPH_OK;

    if (f->pending.n)
        err = write_now(f, cph_buf_view(&f->pending));
    cph_buf_clear(&f->pending);
    return err;
}

static void arm_ping(struct sip_flow *f)
{
    if (f->ua->cfg.ping && !f->incoming)
        if (sip_timer_set(f->ua, &f->ping, SIP_TIMER_FLOW, f, f->ua->cfg.ping) != CPH_OK)
            f->ua->count.dropped_nomem++;
}

cph_err sip_flow_open(struct cph_sip_ua *ua, const struct sip_target *t, struct sip_flow **out)
{
    struct sip_action *a;
    struct sip_flow *f;
    cph_err err;

    if (!sip_flow_room(ua, NULL))
        return CPH_E_LIMIT;
    a = sip_action_new(ua, CPH_SIP_DO_OPEN, (struct cph_span){ 0 });
    if (!a)
        return CPH_E_NOMEM;
    err = flow_new(ua, t->proto, 0, &t->addr, &f);
    if (err) {
        free(a);
        return err;
    }
    for (unsigned i = 0; i < ua->cfg.n_listeners; i++) {
        if (ua->cfg.listener[i].addr.family == t->addr.family)
            f->listener = i;
    }
    memcpy(f->wanted, t->name, sizeof f->wanted);
    /* a sixth of timer B, so that the next addresses still get their try */
    err = sip_timer_set(ua, &f->idle, SIP_TIMER_FLOW, f, 10 * ua->cfg.t1);
    if (err) {
        free(a);
        sip_flow_free(f);
        return err;
    }
    a->a.flow = f->id;
    a->a.addr = t->addr;
    a->a.listener = f->listener;
    sip_action_put(ua, a);
    *out = f;
    return CPH_OK;
}

/* ---- in ---- */

static cph_err refuse_frame(struct sip_flow *f, cph_err err, const struct cph_sip_frame *fr)
{
    struct sip_path path = { f->proto, f->listener, f->id, f->peer };

    if (err == CPH_E_LIMIT)
        f->ua->count.bad_size++;
    f->ua->count.bad_framing++;
    if (fr->bytes.n) /* the head is there: parsing it gives the answer to send before the end */
        sip_receive(f->ua, &path, fr->bytes, CPH_SIP_STREAM);
    return err;
}

/* Cut f->in into messages. The flow may be gone afterwards: *alive. */
static cph_err take_frames(struct cph_sip_ua *ua, uint32_t id, bool *alive)
{
    struct sip_flow *f = sip_flow_get(ua, id);
    struct cph_sip_frame fr;
    cph_err err = CPH_OK;

    while (f && f->in.n && f->in.n >= f->need) {
        struct sip_path path = { f->proto, f->listener, f->id, f->peer };

        memset(&fr, 0, sizeof fr);
        err = cph_sip_frame(cph_buf_view(&f->in), f->pong_due, f->searched, &fr);
        f->need = fr.need;
        f->searched = fr.searched;
        if (err == CPH_E_AGAIN) {
            err = CPH_OK;
            break;
        }
        if (err) {
            err = refuse_frame(f, err, &fr);
            f = sip_flow_get(ua, id);
            break;
        }
        f->used = ua->now;
        switch (fr.kind) {
        case CPH_SIP_FRAME_PING: /* RFC 5626 4.4.1 MUST: one CRLF answers two */
            err = sip_flow_write(f, CPH_SPAN_LIT("\r\n"));
            break;
        case CPH_SIP_FRAME_PONG:
            if (f->pong_due) {
                f->pong_due = false;
                arm_ping(f);
            }
            break;
        case CPH_SIP_FRAME_MESSAGE:
            f->spoke = true;
            sip_receive(ua, &path, fr.bytes, CPH_SIP_STREAM);
            f = sip_flow_get(ua, id);
            break;
        }
        if (f)
            cph_buf_drop(&f->in, fr.bytes.n);
        if (err)
            break;
    }
    *alive = f != NULL;
    return err;
}

static cph_err take_plain(struct sip_flow *f, struct cph_span bytes, bool *alive)
{
    cph_err err = CPH_OK;
    struct cph_sip_ua *ua = f->ua;
    uint32_t id = f->id;

    *alive = true;
    while (bytes.n && !err &&
           *alive) { /* in pieces, so that many small messages are not one large one */
        size_t room = f->in.limit - f->in.n;
        struct cph_span part = cph_span_head(bytes, room);

        if (!room) {
            ua->count.bad_size++;
            ua->count.bad_framing++;
            return CPH_E_LIMIT;
        }
        CPH_TRY(cph_buf_put(&f->in, part));
        bytes = cph_span_from(bytes, part.n);
        err = take_frames(ua, id, alive);
    }
    return err;
}

static cph_err take_cipher(struct sip_flow *f, struct cph_span bytes, bool *alive)
{
    uint8_t buf[4096];
    struct cph_sip_ua *ua = f->ua;
    uint32_t id = f->id;
    cph_err fed, err = CPH_OK;
    size_t n;

    *alive = true;
    fed = cph_stream_feed(f->tls, bytes, ua->now);
    if (!fed && f->state == SIP_FLOW_HANDSHAKE && cph_stream_state(f->tls) == CPH_STREAM_OPEN) {
        CPH_TRY(sip_flow_tls_opened(f));
        CPH_TRY(tls_drain(f));
        CPH_TRY(flush_pending(f));
        arm_ping(f);
    } else {
        CPH_TRY(tls_drain(f));
    }
    while (*alive && f->state == SIP_FLOW_OPEN && !err) {
        err = cph_stream_read(f->tls, buf, sizeof buf, &n);
        if (err)
            break;
        err = take_plain(f, (struct cph_span){ buf, n }, alive);
        if (*alive)
            f = sip_flow_get(ua, id);
    }
    cph_wipe(buf, sizeof buf); /* keys of SDES were in it */
    if (err == CPH_E_AGAIN)
        err = CPH_OK;
    return err ? err : fed;
}

static void arm_idle(struct sip_flow *f)
{
    cph_time in = f->ua->cfg.idle;

    if (f->incoming && !f->spoke)
        return; /* the first timer stands: a message must come by then */
    if (sip_timer_set(f->ua, &f->idle, SIP_TIMER_FLOW, f, in) != CPH_OK)
        f->ua->count.dropped_nomem++;
}

void cph_sip_ua_bytes(struct cph_sip_ua *ua, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct sip_flow *f = sip_flow_get(ua, flow);
    bool alive = true;
    cph_err err;

    ua->now = now;
    if (!f || f->state == SIP_FLOW_OPENING)
        return;
    err = f->tls ? take_cipher(f, bytes, &alive) : take_plain(f, bytes, &alive);
    if (!alive)
        return;
    f = sip_flow_get(ua, flow);
    if (!f)
        return;
    if (err) {
        sip_flow_tls_failed(f, err);
        sip_flow_close(f, err);
        return;
    }
    if (f->state == SIP_FLOW_OPEN)
        arm_idle(f);
}

cph_err cph_sip_ua_accepted(struct cph_sip_ua *ua, unsigned listener, const struct cph_addr *from,
                            cph_time now, uint32_t *flow)
{
    struct sip_flow *f;
    cph_err err;

    ua->now = now;
    if (listener >= ua->cfg.n_listeners || ua->cfg.listener[listener].proto == CPH_SIP_UDP)
        return CPH_E_ARGUMENT;
    if (!sip_flow_room(ua, from)) {
        ua->count.full_flows++;
        return CPH_E_LIMIT;
    }
    CPH_TRY(flow_new(ua, ua->cfg.listener[listener].proto, listener, from, &f));
    f->incoming = true;
    f->local = ua->cfg.listener[listener].addr;
    f->state = SIP_FLOW_OPEN;
    err = sip_timer_set(ua, &f->idle, SIP_TIMER_FLOW, f, CPH_SEC(SIP_FIRST_MESSAGE_S));
    if (!err && f->proto == CPH_SIP_TLS)
        err = sip_flow_tls_begin(f);
    if (err) {
        sip_flow_free(f);
        return err;
    }
    *flow = f->id;
    return CPH_OK;
}

void cph_sip_ua_opened(struct cph_sip_ua *ua, uint32_t flow, const struct cph_addr *local,
                       cph_time now)
{
    struct sip_flow *f = sip_flow_get(ua, flow);
    cph_err err;

    ua->now = now;
    if (!f || f->state != SIP_FLOW_OPENING)
        return;
    if (local)
        f->local = *local;
    if (f->proto == CPH_SIP_TLS) {
        err = sip_flow_tls_begin(f);
        if (!err)
            err = tls_drain(f);
    } else {
        f->state = SIP_FLOW_OPEN;
        err = flush_pending(f);
        if (!err) {
            arm_idle(f);
            arm_ping(f);
        }
    }
    if (err) {
        sip_flow_tls_failed(f, err);
        sip_flow_close(f, err);
    }
}

void cph_sip_ua_closed(struct cph_sip_ua *ua, uint32_t flow, cph_err why, cph_time now)
{
    struct sip_flow *f = sip_flow_get(ua, flow);

    ua->now = now;
    if (f)
        flow_gone(f, why ? why : CPH_E_CLOSED);
}

/* RFC 5626 4.4.1: a ping that is not answered in 10 s means the flow is dead. */
static void ping_due(struct sip_flow *f)
{
    if (f->pong_due) {
        sip_flow_close(f, CPH_E_TIMEOUT);
        return;
    }
    f->pong_due = true;
    if (sip_flow_write(f, CPH_SPAN_LIT("\r\n\r\n")) != CPH_OK ||
        sip_timer_set(f->ua, &f->ping, SIP_TIMER_FLOW, f, CPH_SEC(10)) != CPH_OK)
        sip_flow_close(f, CPH_E_IO);
}

void sip_flow_timer(struct sip_flow *f, struct cph_timer *t)
{
    if (t == &f->ping) {
        ping_due(f);
        return;
    }
    if (f->state == SIP_FLOW_OPEN && (f->spoke || !f->incoming)) {
        cph_time rest = f->used + f->ua->cfg.idle - f->ua->now;

        if (rest <= 0 && sip_call_uses_flow(f->ua, f->id))
            rest = f->ua->cfg.idle; /* a call's flow is kept, however quiet it is */
        if (rest > 0 && sip_timer_set(f->ua, &f->idle, SIP_TIMER_FLOW, f, rest) == CPH_OK)
            return;
    }
    sip_flow_close(f, CPH_E_TIMEOUT);
}

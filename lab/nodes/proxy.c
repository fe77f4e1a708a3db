#include "proxy_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- sending, after thinking ----------------------------------------------------------------- */

static void send_due(struct lab_proxy *p, cph_time now)
{
    while (p->queue && p->queue->at <= now) {
        struct queued *q = p->queue;

        p->queue = q->next;
        if (!q->to.tls)
            (void)!lab_send(p->node, &p->addr[0], &q->to.addr, (struct cph_span){ q->b, q->n });
        else if (p->tls)
            (void)lab_tls_send(p->tls, p->node, &q->to.addr, (struct cph_span){ q->b, q->n });
        free(q);
    }
    (void)!lab_wake_at(p->node, p->queue ? p->queue->at : CPH_TIME_NEVER);
}

void proxy_send_to(struct lab_proxy *p, const struct way *to, const struct cph_wr *wr)
{
    struct way heard = *to;
    struct queued **at = &p->queue;
    struct queued *q;

    if (wr->failed)
        return;
    for (unsigned i = 0; i < p->aliases; i++)
        if (!to->tls && cph_addr_eq(&p->alias[i].said, &to->addr))
            heard.addr = p->alias[i].heard;
    q = malloc(sizeof *q + wr->n);
    if (!q)
        return;
    *q = (struct queued){ .at = lab_now(p->net) + p->cfg.delay, .to = heard, .n = wr->n };
    memcpy(q->b, wr->p, wr->n);
    while (*at && (*at)->at <= q->at)
        at = &(*at)->next;
    q->next = *at;
    *at = q;
    send_due(p, lab_now(p->net));
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void on_request(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from)
{
    unsigned ours = proxy_ours_on_top(p, req);
    struct cph_sip_addr next;
    struct way to;
    char uri[URI];

    p->counts.requests++;
    if (req->method == CPH_SIP_REGISTER) {
        registrar_take(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_INVITE && req->to.tag.n == 0) {
        fork_invite(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_CANCEL) {
        fork_cancel(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_ACK && fork_invite_of(p, req->via[0].branch))
        return; /* of a failure we told */
    if (cph_span_cstr(req->uri.text, uri, sizeof uri) != CPH_OK)
        return;
    if (cph_sip_addr_at(req, CPH_SIP_H_ROUTE, ours, &next) == CPH_OK) {
        if (!proxy_way_of(p, &next.uri, &to))
            return;
    } else if (proxy_is_us(p, &req->uri) || !proxy_way_of(p, &req->uri, &to)) {
        if (req->method != CPH_SIP_ACK)
            proxy_reply(p, req, from, 404);
        return;
    }
    proxy_forward(p, req, from, uri, &to, ours);
}

/* RFC 3581: its requests come from elsewhere than its Via says. */
static void learn(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from)
{
    struct cph_addr said;
    unsigned i = 0;

    if (cph_addr_parse_ip(req->via[0].host, &said) != CPH_OK)
        return;
    said.port = req->via[0].port ? req->via[0].port : SIP_PORT;
    if (cph_addr_eq(&said, from))
        return;
    while (i < p->aliases && !cph_addr_eq(&p->alias[i].said, &said))
        i++;
    if (i == ALIASES)
        return;
    p->alias[i] = (struct alias){ said, *from };
    p->aliases += i == p->aliases;
}

static void take(struct lab_proxy *p, const struct way *from, struct cph_span bytes)
{
    struct cph_sip_msg msg;

    cph_arena_free(p->arena);
    p->arena = NULL;
    if (cph_arena_new(4 * (size_t)CPH_SIP_ARENA, &p->arena) != CPH_OK ||
        cph_sip_msg_parse(p->arena, bytes, from->tls ? CPH_SIP_STREAM : CPH_SIP_DATAGRAM, &msg,
                          NULL) != CPH_OK)
        return;
    if (msg.is_request) {
        if (!from->tls)
            learn(p, &msg, &from->addr);
        on_request(p, &msg, from);
    } else {
        fork_response(p, &msg, from);
    }
}

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    (void)local;
    (void)now;
    take(ctx, &(struct way){ *from, false }, bytes);
}

static void on_message(void *ctx, const struct cph_addr *from, struct cph_span message)
{
    take(ctx, &(struct way){ *from, true }, message);
}

static void on_flow_open(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                         const struct cph_addr *remote, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)local;
    (void)now;
    if (p->tls)
        lab_tls_opened(p->tls, p->node, flow, incoming, remote);
}

static void on_flow_bytes(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)now;
    if (p->tls)
        lab_tls_bytes(p->tls, p->node, flow, bytes);
}

static void on_flow_closed(void *ctx, uint32_t flow, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)now;
    if (p->tls)
        lab_tls_closed(p->tls, flow);
}

static void on_wake(void *ctx, cph_time now)
{
    send_due(ctx, now);
}

static const struct lab_node_ops node_ops = { on_datagram, on_flow_open, on_flow_bytes,
                                              on_flow_closed, on_wake };

cph_err lab_proxy_new(struct lab_net *net, const struct lab_proxy_config *cfg,
                      struct lab_proxy **out)
{
    struct lab_proxy *p = calloc(1, sizeof *p);
    cph_err err;

    if (!p)
        return CPH_E_NOMEM;
    p->net = net;
    p->cfg = *cfg;
    if (cfg->next) {
        (void)snprintf(p->next, sizeof p->next, "%s", cfg->next);
        p->cfg.next = p->next;
    }
    p->udp = !cfg->key || cfg->both;
    err = cph_addr_parse_ip(cph_span_of(cfg->ip), &p->addr[0]);
    p->addr[1] = p->addr[0];
    p->addr[0].port = SIP_PORT;
    p->addr[1].port = SIPS_PORT;
    if (err == CPH_OK)
        err = lab_node_new(net, &node_ops, p, &p->node);
    if (err == CPH_OK && p->udp)
        err = lab_bind(p->node, &p->addr[0]);
    if (err == CPH_OK && cfg->key)
        err = lab_bind(p->node, &p->addr[1]);
    if (err == CPH_OK && cfg->key)
        err = lab_tls_new(net, &p->addr[1], cfg->key, cfg->cert, on_message, p, &p->tls);
    if (err != CPH_OK) {
        free(p);
        return err;
    }
    *out = p;
    return CPH_OK;
}

void lab_proxy_free(struct lab_proxy *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < CALLS; i++)
        fork_clear(&p->invite[i]);
    while (p->queue) {
        struct queued *q = p->queue;

        p->queue = q->next;
        free(q);
    }
    lab_unbind(p->node, &p->addr[0]);
    lab_unbind(p->node, &p->addr[1]);
    lab_tls_free(p->tls);
    cph_arena_free(p->arena);
    free(p);
}

struct lab_proxy_counts lab_proxy_counts(const struct lab_proxy *p)
{
    return p->counts;
}

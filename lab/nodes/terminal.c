#include "terminal.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

enum { PORTS_FROM = 20000, EVENTS_PER_PUMP = 1000 };

struct flow {
    uint32_t sip, lab; /* the engine's id, the network's */
    struct flow *next;
};

struct ports {
    uint32_t call;
    struct cph_addr addr[2];
    struct ports *next;
};

struct lab_terminal {
    struct lab_net *net;
    struct lab_node *node;
    struct lab_terminal_config cfg;
    struct cph_sip_ua_cfg sip;
    struct cph_phone_host host;
    struct cph_phone *phone;
    struct cph_sip_ua *ua;
    struct cph_addr ip;
    struct flow *flows;
    struct ports *ports;
    uint16_t next_port;
    bool pumping;
};

/* ---- media ----------------------------------------------------------------------------------- */

static cph_err media_open(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2])
{
    struct lab_terminal *t = ctx;
    struct ports *p = calloc(1, sizeof *p);
    cph_err err = CPH_E_EXISTS;

    (void)near;
    if (!p)
        return CPH_E_NOMEM;
    p->call = call;
    for (int tries = 0; tries < 1000 && err == CPH_E_EXISTS; tries++) {
        p->addr[0] = p->addr[1] = t->ip;
        p->addr[0].port = t->next_port;
        p->addr[1].port = (uint16_t)(t->next_port + 1);
        t->next_port = t->next_port > 60000 ? PORTS_FROM : (uint16_t)(t->next_port + 2);
        err = lab_bind(t->node, &p->addr[0]);
    }
    if (err == CPH_OK) {
        err = lab_bind(t->node, &p->addr[1]);
        if (err != CPH_OK)
            lab_unbind(t->node, &p->addr[0]);
    }
    if (err != CPH_OK) {
        free(p);
        return err;
    }
    memcpy(local, p->addr, sizeof p->addr);
    p->next = t->ports;
    t->ports = p;
    return CPH_OK;
}

static void media_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span packet)
{
    struct lab_terminal *t = ctx;

    for (struct ports *p = t->ports; p; p = p->next)
        if (p->call == call) {
            cph_err err = lab_send(t->node, &p->addr[component != 0], to, packet);

            (void)err; /* lost, as packets may be */
            return;
        }
}

static void media_close(void *ctx, uint32_t call)
{
    struct lab_terminal *t = ctx;

    for (struct ports **at = &t->ports; *at; at = &(*at)->next) {
        struct ports *p = *at;

        if (p->call != call)
            continue;
        *at = p->next;
        lab_unbind(t->node, &p->addr[0]);
        lab_unbind(t->node, &p->addr[1]);
        free(p);
        return;
    }
}

static cph_err sound(void *ctx, uint32_t call, struct cph_media_source **source,
                     struct cph_media_sink **sink)
{
    struct lab_terminal *t = ctx;
    const struct lab_terminal_ops *ops = t->cfg.ops;

    return ops && ops->sound ? ops->sound(t->cfg.ctx, t, call, source, sink) : CPH_OK;
}

static enum cph_phone_pin pin(void *ctx, struct cph_span peer_uri, struct cph_span sha256)
{
    struct lab_terminal *t = ctx;
    const struct lab_terminal_ops *ops = t->cfg.ops;

    return ops && ops->pin ? ops->pin(t->cfg.ctx, t, peer_uri, sha256) : CPH_PHONE_PIN_UNKNOWN;
}

static const struct cph_cert *peer_cert(void *ctx, struct cph_span peer_uri)
{
    struct lab_terminal *t = ctx;
    const struct lab_terminal_ops *ops = t->cfg.ops;

    return ops && ops->peer_cert ? ops->peer_cert(t->cfg.ctx, t, peer_uri) : NULL;
}

static struct cph_phone_seal peer_seal(void *ctx, struct cph_span peer_uri)
{
    struct lab_terminal *t = ctx;
    const struct lab_terminal_ops *ops = t->cfg.ops;

    return ops && ops->peer_seal ? ops->peer_seal(t->cfg.ctx, t, peer_uri)
                                 : (struct cph_phone_seal){ .trust = NULL };
}

static struct cph_mikey *mikey(void *ctx, const char *account, struct cph_span peer_uri)
{
    struct lab_terminal *t = ctx;
    const struct lab_terminal_ops *ops = t->cfg.ops;

    (void)account;
    return ops && ops->mikey ? ops->mikey(t->cfg.ctx, t, peer_uri) : t->cfg.phone.mikey;
}

/* ---- flows ----------------------------------------------------------------------------------- */

static struct flow *add_flow(struct lab_terminal *t, uint32_t sip, uint32_t lab)
{
    struct flow *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    *f = (struct flow){ .sip = sip, .lab = lab, .next = t->flows };
    t->flows = f;
    return f;
}

static struct flow *flow_of(struct lab_terminal *t, uint32_t sip, uint32_t lab)
{
    struct flow *f = t->flows;

    while (f && f->sip != sip && f->lab != lab)
        f = f->next;
    return f;
}

static void forget_flow(struct lab_terminal *t, struct flow *gone)
{
    struct flow **at = &t->flows;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
}

/* UDP and TCP may share a number. */
static unsigned listener_at(const struct lab_terminal *t, const struct cph_addr *local, bool stream)
{
    for (unsigned i = 0; i < t->sip.n_listeners; i++)
        if (t->sip.listener[i].addr.port == local->port &&
            (t->sip.listener[i].proto != CPH_SIP_UDP) == stream)
            return i;
    return t->sip.n_listeners;
}

static void on_flow_open(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                         const struct cph_addr *remote, cph_time now)
{
    struct lab_terminal *t = ctx;
    struct flow *f = flow_of(t, 0, flow);
    uint32_t sip;

    if (!incoming && f) {
        cph_sip_ua_opened(t->ua, f->sip, local, now);
    } else if (incoming) {
        unsigned at = listener_at(t, local, true);

        if (at == t->sip.n_listeners || cph_sip_ua_accepted(t->ua, at, remote, now, &sip) != CPH_OK)
            lab_flow_close(t->node, flow);
        else if (!add_flow(t, sip, flow))
            cph_sip_ua_closed(t->ua, sip, CPH_E_NOMEM, now);
    }
    lab_terminal_pump(t);
}

static void on_flow_bytes(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct lab_terminal *t = ctx;
    struct flow *f = flow_of(t, 0, flow);

    if (f)
        cph_sip_ua_bytes(t->ua, f->sip, bytes, now);
    lab_terminal_pump(t);
}

static void on_flow_closed(void *ctx, uint32_t flow, cph_time now)
{
    struct lab_terminal *t = ctx;
    struct flow *f = flow_of(t, 0, flow);

    if (f) {
        uint32_t sip = f->sip;

        forget_flow(t, f);
        cph_sip_ua_closed(t->ua, sip, CPH_E_CLOSED, now);
    }
    lab_terminal_pump(t);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct lab_terminal *t = ctx;
    uint8_t copy[2048];

    for (struct ports *p = t->ports; p; p = p->next)
        for (unsigned c = 0; c < 2; c++)
            if (cph_addr_eq(&p->addr[c], local) && bytes.n <= sizeof copy) {
                memcpy(copy, bytes.p, bytes.n);
                cph_phone_media(t->phone, p->call, c, from, copy, bytes.n, now);
                lab_terminal_pump(t);
                return;
            }
    unsigned at = listener_at(t, local, false);

    if (at < t->sip.n_listeners)
        cph_sip_ua_datagram(t->ua, at, from, bytes, now);
    lab_terminal_pump(t);
}

static void on_wake(void *ctx, cph_time now)
{
    (void)now;
    lab_terminal_pump(ctx);
}

static const struct lab_node_ops node_ops = { on_datagram, on_flow_open, on_flow_bytes,
                                              on_flow_closed, on_wake };

/* ---- the pump -------------------------------------------------------------------------------- */

static void act(struct lab_terminal *t, const struct cph_sip_action *a, cph_time now)
{
    struct flow *f;
    struct cph_addr from = t->ip;
    uint32_t lab;
    cph_err err = CPH_OK;

    switch (a->what) {
    case CPH_SIP_DO_SEND:
        err = lab_send(t->node, &t->sip.listener[a->listener].addr, &a->addr, a->bytes);
        break;
    case CPH_SIP_DO_OPEN:
        from.port = t->next_port;
        err = lab_connect(t->node, &from, &a->addr, &lab);
        if (err == CPH_OK && !add_flow(t, a->flow, lab))
            err = CPH_E_NOMEM;
        if (err != CPH_OK)
            cph_sip_ua_closed(t->ua, a->flow, err, now);
        break;
    case CPH_SIP_DO_WRITE:
        f = flow_of(t, a->flow, 0);
        if (f)
            err = lab_flow_write(t->node, f->lab, a->bytes);
        break;
    case CPH_SIP_DO_CLOSE:
        f = flow_of(t, a->flow, 0);
        if (f) {
            lab_flow_close(t->node, f->lab);
            forget_flow(t, f);
        }
        break;
    case CPH_SIP_DO_RESOLVE: /* there are only addresses in this network */
        cph_sip_ua_resolved(t->ua, a->query, CPH_E_NAME, NULL, 0, now);
        break;
    case CPH_SIP_DO_FORGET:
        break;
    }
    (void)err; /* what is lost is lost; the engine's timers notice */
}

void lab_terminal_pump(struct lab_terminal *t)
{
    cph_time now = lab_now(t->net);
    struct cph_phone_event ev;
    struct cph_sip_action a;
    bool more = true;
    cph_err err;

    if (t->pumping)
        return;
    t->pumping = true;
    for (int i = 0; more && i < EVENTS_PER_PUMP; i++) {
        more = false;
        cph_phone_turn(t->phone, now);
        while (cph_sip_ua_pull(t->ua, &a) == CPH_OK) {
            act(t, &a, now);
            more = true;
        }
        while (cph_phone_event(t->phone, &ev) == CPH_OK) {
            if (t->cfg.ops && t->cfg.ops->event)
                t->cfg.ops->event(t->cfg.ctx, t, &ev, now);
            more = true;
        }
    }
    t->pumping = false;
    err = lab_wake_at(t->node, cph_phone_deadline(t->phone));
    (void)err; /* out of memory: the next event wakes it */
}

cph_err lab_terminal_new(struct lab_net *net, const struct lab_terminal_config *cfg,
                         struct lab_terminal **out)
{
    struct lab_terminal *t = calloc(1, sizeof *t);
    cph_err err;

    if (!t)
        return CPH_E_NOMEM;
    t->net = net;
    t->cfg = *cfg;
    t->sip = *cfg->phone.sip;
    t->next_port = PORTS_FROM;
    t->host = (struct cph_phone_host){ t,   media_open, media_send, media_close, sound,
                                       pin, mikey,      peer_cert,  NULL,        peer_seal };
    t->cfg.phone.sip = &t->sip;
    t->cfg.phone.host = &t->host;
    err = cph_addr_parse_ip(cph_span_of(cfg->ip), &t->ip);
    if (err == CPH_OK)
        err = lab_node_new(net, &node_ops, t, &t->node);
    for (unsigned i = 0; i < t->sip.n_listeners && err == CPH_OK; i++) {
        uint16_t port = t->sip.listener[i].addr.port;

        t->sip.listener[i].addr = t->ip;
        t->sip.listener[i].addr.port = port;
        err = lab_bind(t->node, &t->sip.listener[i].addr);
        if (err == CPH_E_EXISTS && i > 0)
            err = CPH_OK; /* UDP and TCP may share a number */
    }
    if (err == CPH_OK)
        err = cph_phone_new(&t->cfg.phone, lab_now(net), &t->phone);
    if (err != CPH_OK) {
        free(t);
        return err;
    }
    t->ua = cph_phone_ua(t->phone);
    *out = t;
    return CPH_OK;
}

void lab_terminal_free(struct lab_terminal *t)
{
    if (!t)
        return;
    cph_phone_free(t->phone);
    while (t->ports)
        media_close(t, t->ports->call);
    while (t->flows)
        forget_flow(t, t->flows);
    for (unsigned i = 0; i < t->sip.n_listeners; i++)
        lab_unbind(t->node, &t->sip.listener[i].addr);
    free(t);
}

struct cph_phone *lab_terminal_phone(struct lab_terminal *t)
{
    return t->phone;
}

size_t lab_terminal_open(const struct lab_terminal *t)
{
    size_t n = 0;

    for (const struct ports *p = t->ports; p; p = p->next)
        n++;
    for (const struct flow *f = t->flows; f; f = f->next)
        n++;
    return n;
}

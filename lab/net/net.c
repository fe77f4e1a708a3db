#include "net.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_tools.h"

enum { MAX_NODES = 1 << 16, MAX_BOUND = 1 << 18, MAX_FLOWS = 1 << 18, FLOW_CHUNK = 1400 };
#define LAB_DAY 1767225600 /* 2026-01-01, when every run begins */

struct lab_node {
    struct lab_net *net;
    const struct lab_node_ops *ops;
    void *ctx;
    struct cph_timer wake;
    struct lab_node *next;
};

struct bound {
    uint8_t key[19];
    struct lab_node *node;
};

/* One direction of a flow: what the other end will read. Both ends share the struct. */
struct end {
    struct lab_node *node;
    struct cph_addr addr;
    cph_time last; /* arrival of the newest bytes, so that none overtake them */
    bool open;     /* this end still listens */
};

struct flow {
    uint32_t id;
    uint8_t key[4];
    struct end end[2]; /* 0 connected, 1 was connected to */
    unsigned events;   /* under way */
};

enum what { EV_DATAGRAM, EV_CONNECT, EV_OPENED, EV_BYTES, EV_CLOSED };

struct event {
    struct cph_timer timer;
    enum what what;
    struct cph_addr from, to;
    struct flow *flow;
    unsigned side; /* the end that hears it */
    size_t n;
    uint8_t bytes[];
};

/* Address and port of one inner socket towards one outer host (RFC 4787 4.1: the port is the same
 * for all hosts; 5: a host must have been written to). */
enum { NAT_PORTS = 64, NAT_HOSTS = 16, NAT_FROM = 40000 };
struct nat {
    struct cph_addr inside, outside; /* hosts */
    struct {
        uint16_t port; /* inside; outside it is NAT_FROM + the place in the table */
        struct cph_addr host[NAT_HOSTS];
        unsigned hosts;
    } map[NAT_PORTS];
    unsigned maps;
};

struct lab_net {
    struct nat *nat;
    uint64_t state;
    struct lab_link link;
    struct cph_timers timers;
    struct cph_map bound, flows;
    struct lab_node *nodes;
    cph_time now;
    uint32_t next_flow;
    lab_tap_fn *tap;
    void *tap_ctx;
    struct lab_counts counts;
};

static uint64_t draw(struct lab_net *net)
{
    uint64_t z = net->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t lab_random(struct lab_net *net, uint64_t n)
{
    return n ? draw(net) % n : 0;
}

static cph_err env_random(void *ctx, void *buf, size_t n)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = draw(ctx);

        memcpy(p + i, &v, n - i < 8 ? n - i : 8);
    }
    return CPH_OK;
}

static int64_t env_wall(void *ctx)
{
    return LAB_DAY + ((struct lab_net *)ctx)->now / CPH_SEC(1);
}

void lab_env(struct lab_net *net, struct cph_env *out)
{
    *out = (struct cph_env){ .ctx = net, .random = env_random, .wall = env_wall };
}

cph_err lab_net_new(uint64_t seed, struct lab_link link, struct lab_net **out)
{
    struct lab_net *net = calloc(1, sizeof *net);
    struct cph_env env;
    cph_err err;

    if (!net)
        return CPH_E_NOMEM;
    net->state = seed;
    net->link = link;
    lab_env(net, &env);
    err = cph_map_init(&net->bound, &env, MAX_BOUND);
    if (err == CPH_OK)
        err = cph_map_init(&net->flows, &env, MAX_FLOWS);
    if (err != CPH_OK) {
        lab_net_free(net);
        return err;
    }
    *out = net;
    return CPH_OK;
}

void lab_net_free(struct lab_net *net)
{
    struct cph_timer *t;
    size_t at = 0;
    void *p;

    if (!net)
        return;
    free(net->nat);
    while ((t = cph_timers_due(&net->timers, CPH_TIME_NEVER)) != NULL)
        if (t->kind == 0)
            free(t->owner);
    cph_timers_free(&net->timers);
    while ((p = cph_map_each(&net->bound, &at)) != NULL)
        free(p);
    cph_map_free(&net->bound);
    at = 0;
    while ((p = cph_map_each(&net->flows, &at)) != NULL)
        free(p);
    cph_map_free(&net->flows);
    for (struct lab_node *n = net->nodes, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    free(net);
}

void lab_net_tap(struct lab_net *net, lab_tap_fn *tap, void *ctx)
{
    net->tap = tap;
    net->tap_ctx = ctx;
}

void lab_net_link(struct lab_net *net, struct lab_link link)
{
    net->link = link;
}

cph_time lab_now(const struct lab_net *net)
{
    return net->now;
}

cph_time lab_next(const struct lab_net *net)
{
    return cph_timers_next(&net->timers);
}

struct lab_counts lab_counts(const struct lab_net *net)
{
    return net->counts;
}

/* ---- nodes and their addresses --------------------------------------------------------------- */

cph_err lab_node_new(struct lab_net *net, const struct lab_node_ops *ops, void *ctx,
                     struct lab_node **out)
{
    struct lab_node *node = calloc(1, sizeof *node);

    if (!node)
        return CPH_E_NOMEM;
    *node = (struct lab_node){ .net = net, .ops = ops, .ctx = ctx, .next = net->nodes };
    node->wake = (struct cph_timer){ .owner = node, .kind = 1 };
    net->nodes = node;
    *out = node;
    return CPH_OK;
}

static struct cph_span addr_key(const struct cph_addr *a, uint8_t key[19])
{
    key[0] = (uint8_t)a->family;
    memcpy(key + 1, a->ip, 16);
    key[17] = (uint8_t)(a->port >> 8);
    key[18] = (uint8_t)a->port;
    return (struct cph_span){ key, 19 };
}

static struct lab_node *node_at(struct lab_net *net, const struct cph_addr *addr)
{
    uint8_t key[19];
    struct bound *b = cph_map_get(&net->bound, addr_key(addr, key));

    return b ? b->node : NULL;
}

cph_err lab_bind(struct lab_node *node, const struct cph_addr *addr)
{
    struct bound *b = calloc(1, sizeof *b);
    cph_err err;

    if (!b)
        return CPH_E_NOMEM;
    b->node = node;
    err = cph_map_put(&node->net->bound, addr_key(addr, b->key), b);
    if (err != CPH_OK)
        free(b);
    return err;
}

void lab_unbind(struct lab_node *node, const struct cph_addr *addr)
{
    uint8_t key[19];

    if (node_at(node->net, addr) == node)
        free(cph_map_take(&node->net->bound, addr_key(addr, key)));
}

cph_err lab_wake_at(struct lab_node *node, cph_time at)
{
    if (at == CPH_TIME_NEVER) {
        cph_timers_stop(&node->net->timers, &node->wake);
        return CPH_OK;
    }
    return cph_timers_set(&node->net->timers, &node->wake,
                          at < node->net->now ? node->net->now : at);
}

/* ---- sending --------------------------------------------------------------------------------- */

static cph_time way(struct lab_net *net)
{
    return net->link.delay + (cph_time)lab_random(net, (uint64_t)net->link.jitter);
}

static bool chance(struct lab_net *net, unsigned per_thousand)
{
    return per_thousand > 0 && lab_random(net, 1000) < per_thousand;
}

static cph_err schedule(struct lab_net *net, struct event head, struct cph_span bytes, cph_time at)
{
    struct event *e = malloc(sizeof *e + bytes.n);
    cph_err err;

    if (!e)
        return CPH_E_NOMEM;
    *e = head;
    e->timer = (struct cph_timer){ .owner = e };
    e->n = bytes.n;
    if (bytes.n > 0)
        memcpy(e->bytes, bytes.p, bytes.n);
    err = cph_timers_set(&net->timers, &e->timer, at);
    if (err != CPH_OK)
        free(e);
    else if (e->flow)
        e->flow->events++;
    return err;
}

/* ---- address translation --------------------------------------------------------------------- */

cph_err lab_nat(struct lab_net *net, const struct cph_addr *inside, const struct cph_addr *outside)
{
    if (net->nat)
        return CPH_E_EXISTS;
    net->nat = calloc(1, sizeof *net->nat);
    if (!net->nat)
        return CPH_E_NOMEM;
    net->nat->inside = *inside;
    net->nat->outside = *outside;
    return CPH_OK;
}

/* Sender of a datagram as the outer world sees it. */
static struct cph_addr nat_out(struct lab_net *net, const struct cph_addr *from,
                               const struct cph_addr *to)
{
    struct nat *t = net->nat;
    struct cph_addr outer = *from;
    unsigned i = 0, k = 0;

    if (!t || !cph_addr_ip_eq(from, &t->inside))
        return outer;
    while (i < t->maps && t->map[i].port != from->port)
        i++;
    if (i == NAT_PORTS)
        return outer; /* full: it will not be answered */
    if (i == t->maps)
        t->map[t->maps++].port = from->port;
    while (k < t->map[i].hosts && !cph_addr_ip_eq(&t->map[i].host[k], to))
        k++;
    if (k == t->map[i].hosts && k < NAT_HOSTS)
        t->map[i].host[t->map[i].hosts++] = *to;
    outer = t->outside;
    outer.port = (uint16_t)(NAT_FROM + i);
    return outer;
}

/* False: it does not come through. */
static bool nat_in(const struct lab_net *net, const struct cph_addr *from, struct cph_addr *to)
{
    const struct nat *t = net->nat;
    unsigned i;

    if (!t)
        return true;
    if (cph_addr_ip_eq(to, &t->inside))
        return false;
    if (!cph_addr_ip_eq(to, &t->outside))
        return true;
    i = (unsigned)to->port - NAT_FROM;
    if (to->port < NAT_FROM || i >= t->maps)
        return false;
    for (unsigned k = 0; k < t->map[i].hosts; k++)
        if (cph_addr_ip_eq(&t->map[i].host[k], from)) {
            *to = t->inside;
            to->port = t->map[i].port;
            return true;
        }
    return false;
}

cph_err lab_send(struct lab_node *node, const struct cph_addr *from, const struct cph_addr *to,
                 struct cph_span bytes)
{
    struct lab_net *net = node->net;
    struct event e = { .what = EV_DATAGRAM, .from = *from, .to = *to };
    cph_time at = net->now + way(net);

    if (node_at(net, from) != node)
        return CPH_E_ARGUMENT;
    e.from = nat_out(net, from, to);
    net->counts.sent++;
    if (net->tap && !net->tap(net->tap_ctx, &e.from, to, bytes, false, net->now))
        return CPH_OK;
    if (chance(net, net->link.loss)) {
        net->counts.lost++;
        return CPH_OK;
    }
    if (chance(net, net->link.reorder)) {
        net->counts.reordered++;
        at += way(net);
    }
    if (chance(net, net->link.duplicate)) {
        net->counts.duplicated++;
        CPH_TRY(schedule(net, e, bytes, at + way(net)));
    }
    return schedule(net, e, bytes, at);
}

cph_err lab_inject(struct lab_net *net, const struct cph_addr *from, const struct cph_addr *to,
                   struct cph_span bytes)
{
    struct event e = { .what = EV_DATAGRAM, .from = *from, .to = *to };

    net->counts.sent++;
    return schedule(net, e, bytes, net->now + way(net));
}

static struct flow *find_flow(struct lab_net *net, uint32_t id)
{
    return cph_map_get(&net->flows, (struct cph_span){ (const uint8_t *)&id, sizeof id });
}

cph_err lab_connect(struct lab_node *node, const struct cph_addr *from, const struct cph_addr *to,
                    uint32_t *flow)
{
    struct lab_net *net = node->net;
    struct flow *f = calloc(1, sizeof *f);
    cph_err err;

    if (!f)
        return CPH_E_NOMEM;
    f->id = ++net->next_flow;
    memcpy(f->key, &f->id, sizeof f->key);
    f->end[0] = (struct end){ .node = node, .addr = *from, .open = true };
    f->end[1] = (struct end){ .addr = *to };
    err = cph_map_put(&net->flows, (struct cph_span){ f->key, sizeof f->key }, f);
    if (err != CPH_OK) {
        free(f);
        return err;
    }
    net->counts.flows_open++;
    net->counts.flows_total++;
    *flow = f->id;
    return schedule(net, (struct event){ .what = EV_CONNECT, .flow = f, .side = 1 },
                    (struct cph_span){ 0 }, net->now + way(net));
}

/* Tell the other end, behind everything that is already under way to it. */
static cph_err to_end(struct lab_net *net, struct flow *f, unsigned side, enum what what,
                      struct cph_span bytes)
{
    struct end *end = &f->end[side];
    cph_time at = net->now + way(net);

    end->last = at <= end->last ? end->last + 1 : at;
    return schedule(net, (struct event){ .what = what, .flow = f, .side = side }, bytes, end->last);
}

cph_err lab_flow_write(struct lab_node *node, uint32_t id, struct cph_span bytes)
{
    struct lab_net *net = node->net;
    struct flow *f = find_flow(net, id);
    unsigned side;

    if (!f)
        return CPH_E_CLOSED;
    side = f->end[0].node == node && f->end[0].open ? 0 : 1;
    if (f->end[side].node != node || !f->end[side].open)
        return CPH_E_CLOSED;
    if (net->tap &&
        !net->tap(net->tap_ctx, &f->end[side].addr, &f->end[!side].addr, bytes, true, net->now))
        return CPH_OK;
    for (size_t at = 0; at < bytes.n; at += FLOW_CHUNK) {
        size_t n = bytes.n - at < FLOW_CHUNK ? bytes.n - at : FLOW_CHUNK;

        CPH_TRY(to_end(net, f, !side, EV_BYTES, (struct cph_span){ bytes.p + at, n }));
    }
    return CPH_OK;
}

static void forget_if_dead(struct lab_net *net, struct flow *f)
{
    if (f->events > 0 || f->end[0].open || f->end[1].open)
        return;
    (void)cph_map_take(&net->flows, (struct cph_span){ f->key, sizeof f->key });
    net->counts.flows_open--;
    free(f);
}

void lab_flow_close(struct lab_node *node, uint32_t id)
{
    struct flow *f = find_flow(node->net, id);
    unsigned side;

    if (!f)
        return;
    side = f->end[0].node == node && f->end[0].open ? 0 : 1;
    if (f->end[side].node != node || !f->end[side].open)
        return;
    f->end[side].open = false;
    if (to_end(node->net, f, !side, EV_CLOSED, (struct cph_span){ 0 }) != CPH_OK)
        f->end[!side].open = false; /* out of memory: the other end just falls silent */
    forget_if_dead(node->net, f);
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void deliver_datagram(struct lab_net *net, const struct event *e)
{
    struct cph_addr to = e->to;
    struct lab_node *node = nat_in(net, &e->from, &to) ? node_at(net, &to) : NULL;

    if (!node || !node->ops->datagram) {
        net->counts.unbound++;
        return;
    }
    net->counts.delivered++;
    node->ops->datagram(node->ctx, &to, &e->from, (struct cph_span){ e->bytes, e->n }, net->now);
}

static cph_err connect_arrives(struct lab_net *net, struct flow *f)
{
    struct lab_node *node = node_at(net, &f->end[1].addr);

    if (!node || !node->ops->flow_open || !f->end[0].open)
        return f->end[0].open ? to_end(net, f, 0, EV_CLOSED, (struct cph_span){ 0 }) : CPH_OK;
    f->end[1].node = node;
    f->end[1].open = true;
    CPH_TRY(to_end(net, f, 0, EV_OPENED, (struct cph_span){ 0 }));
    node->ops->flow_open(node->ctx, f->id, true, &f->end[1].addr, &f->end[0].addr, net->now);
    return CPH_OK;
}

static cph_err flow_event(struct lab_net *net, const struct event *e)
{
    struct flow *f = e->flow;
    struct end *end = &f->end[e->side];
    const struct lab_node_ops *ops = end->node ? end->node->ops : NULL;

    if (e->what == EV_CONNECT)
        return connect_arrives(net, f);
    if (!end->open || !ops)
        return CPH_OK;
    if (e->what == EV_OPENED && ops->flow_open) {
        ops->flow_open(end->node->ctx, f->id, false, &end->addr, &f->end[!e->side].addr, net->now);
    } else if (e->what == EV_BYTES && ops->flow_bytes) {
        ops->flow_bytes(end->node->ctx, f->id, (struct cph_span){ e->bytes, e->n }, net->now);
    } else if (e->what == EV_CLOSED) {
        end->open = false;
        f->end[!e->side].open = false;
        if (ops->flow_closed)
            ops->flow_closed(end->node->ctx, f->id, net->now);
    }
    return CPH_OK;
}

cph_err lab_run(struct lab_net *net, cph_time until)
{
    struct cph_timer *t;

    while ((t = cph_timers_due(&net->timers, until)) != NULL) {
        cph_err err = CPH_OK;

        net->now = t->at > net->now ? t->at : net->now;
        if (t->kind == 1) {
            struct lab_node *node = t->owner;

            if (node->ops->wake)
                node->ops->wake(node->ctx, net->now);
        } else {
            struct event *e = t->owner;

            if (e->what == EV_DATAGRAM)
                deliver_datagram(net, e);
            else
                err = flow_event(net, e);
            if (e->flow) {
                e->flow->events--;
                forget_if_dead(net, e->flow);
            }
            free(e);
        }
        CPH_TRY(err);
    }
    if (until != CPH_TIME_NEVER && until > net->now)
        net->now = until;
    return CPH_OK;
}

#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_US = 10 * 1000000, /* a TCP connection that takes longer goes to the next address */
    EVENTS_PER_PUMP = 1000, /* a bound, so that a defect is a busy call and not a hung terminal */
};

struct listener {
    struct cli_driver *d;
    unsigned index;
    struct cph_net_udp *udp;
    struct cph_net_listener *tcp;
};

struct conn {
    struct cli_driver *d;
    struct cph_net_conn *c;
    uint32_t flow;
    struct conn *next;
};

struct query {
    struct cli_driver *d;
    struct cph_net_query *q;
    uint32_t id;
    enum cph_sip_rr type;
    struct query *next;
};

struct ports {
    struct cli_driver *d;
    uint32_t call;
    struct cph_net_udp *udp[2];
    struct ports *next;
};

struct cli_driver {
    struct cli_driver_config cfg;
    struct cph_phone_host host;
    struct cph_phone *phone;
    struct cph_sip_ua *ua;
    struct cph_net_wake *wake;
    struct listener listener[CPH_SIP_LISTENERS_MAX];
    struct conn *conns;
    struct query *queries;
    struct ports *ports;
    bool pumping;
};

/* ---- media ----------------------------------------------------------------------------------- */

static void media_arrived(void *arg, struct cph_net_udp *udp, const struct cph_addr *from,
                          uint8_t *pkt, size_t n, cph_time now)
{
    struct ports *p = arg;
    struct cli_driver *d = p->d;

    cph_phone_media(d->phone, p->call, udp == p->udp[1], from, pkt, n, now);
    cli_driver_pump(d);
}

static cph_err media_open(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2])
{
    struct cli_driver *d = ctx;
    struct ports *p = calloc(1, sizeof *p);
    struct cph_addr at;
    cph_err err;

    if (!p)
        return CPH_E_NOMEM;
    p->d = d;
    p->call = call;
    err = cph_net_local_for(near, &at);
    if (err == CPH_OK)
        err = cph_net_udp_pair(d->cfg.net, &at, media_arrived, p, p->udp);
    if (err != CPH_OK) {
        free(p);
        return err;
    }
    for (int i = 0; i < 2; i++)
        local[i] = *cph_net_udp_local(p->udp[i]);
    p->next = d->ports;
    d->ports = p;
    return CPH_OK;
}

static struct ports *ports_of(struct cli_driver *d, uint32_t call)
{
    struct ports *p = d->ports;

    while (p && p->call != call)
        p = p->next;
    return p;
}

static void media_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span packet)
{
    struct ports *p = ports_of(ctx, call);
    cph_err err = p ? cph_net_udp_send(p->udp[component != 0], to, packet) : CPH_OK;

    (void)err; /* a packet that cannot go is lost, and RTCP will say so */
}

static void media_close(void *ctx, uint32_t call)
{
    struct cli_driver *d = ctx;

    for (struct ports **at = &d->ports; *at; at = &(*at)->next) {
        struct ports *p = *at;

        if (p->call != call)
            continue;
        *at = p->next;
        cph_net_udp_close(p->udp[0]);
        cph_net_udp_close(p->udp[1]);
        free(p);
        return;
    }
}

static cph_err sound(void *ctx, uint32_t call, struct cph_media_source **source,
                     struct cph_media_sink **sink)
{
    struct cli_driver *d = ctx;

    return d->cfg.sound ? d->cfg.sound(d->cfg.arg, call, source, sink) : CPH_OK;
}

static enum cph_phone_pin pin(void *ctx, struct cph_span peer_uri, struct cph_span sha256)
{
    struct cli_driver *d = ctx;

    return d->cfg.pin ? d->cfg.pin(d->cfg.arg, peer_uri, sha256) : CPH_PHONE_PIN_UNKNOWN;
}

static struct cph_mikey *mikey(void *ctx, const char *account, struct cph_span peer_uri)
{
    struct cli_driver *d = ctx;

    (void)account; /* a terminal has one */
    return d->cfg.mikey ? d->cfg.mikey(d->cfg.arg, peer_uri) : NULL;
}

static const struct cph_cert *peer_cert(void *ctx, struct cph_span peer_uri)
{
    struct cli_driver *d = ctx;

    return d->cfg.peer_cert ? d->cfg.peer_cert(d->cfg.arg, peer_uri) : NULL;
}

static struct cph_phone_seal peer_seal(void *ctx, struct cph_span peer_uri)
{
    struct cli_driver *d = ctx;

    return d->cfg.peer_seal ? d->cfg.peer_seal(d->cfg.arg, peer_uri)
                            : (struct cph_phone_seal){ .trust = NULL };
}

static const struct cph_pgp_key *peer_pgp(void *ctx, struct cph_span peer_uri)
{
    struct cli_driver *d = ctx;

    return d->cfg.peer_pgp ? d->cfg.peer_pgp(d->cfg.arg, peer_uri) : NULL;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void forget_conn(struct conn *k)
{
    struct conn **at = &k->d->conns;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    free(k);
}

static struct conn *conn_of(struct cli_driver *d, uint32_t flow)
{
    struct conn *k = d->conns;

    while (k && k->flow != flow)
        k = k->next;
    return k;
}

static void conn_open(void *arg, struct cph_net_conn *c, cph_time now)
{
    struct conn *k = arg;
    struct cli_driver *d = k->d;

    cph_sip_ua_opened(d->ua, k->flow, cph_net_conn_local(c), now);
    cli_driver_pump(d);
}

static void conn_data(void *arg, struct cph_net_conn *c, struct cph_span bytes, cph_time now)
{
    struct conn *k = arg;
    struct cli_driver *d = k->d;

    (void)c;
    cph_sip_ua_bytes(d->ua, k->flow, bytes, now);
    cli_driver_pump(d);
}

static void conn_closed(void *arg, struct cph_net_conn *c, cph_err why, cph_time now)
{
    struct conn *k = arg;
    struct cli_driver *d = k->d;
    uint32_t flow = k->flow;

    (void)c;
    forget_conn(k);
    cph_sip_ua_closed(d->ua, flow, why, now);
    cli_driver_pump(d);
}

static const struct cph_net_conn_ops conn_ops = { conn_open, conn_data, conn_closed, NULL };

static struct conn *add_conn(struct cli_driver *d, uint32_t flow)
{
    struct conn *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    *k = (struct conn){ .d = d, .flow = flow, .next = d->conns };
    d->conns = k;
    return k;
}

static void accepted(void *arg, struct cph_net_listener *l, struct cph_net_conn *c, cph_time now)
{
    struct listener *li = arg;
    struct cli_driver *d = li->d;
    struct conn *k = add_conn(d, 0);

    (void)l;
    if (!k)
        return; /* not taken: the loop closes it */
    if (cph_sip_ua_accepted(d->ua, li->index, cph_net_conn_peer(c), now, &k->flow) != CPH_OK) {
        forget_conn(k);
        return;
    }
    k->c = c;
    cph_net_conn_take(c, &conn_ops, k);
    cli_driver_pump(d);
}

static void do_open(struct cli_driver *d, const struct cph_sip_action *a, cph_time now)
{
    struct conn *k = add_conn(d, a->flow);
    uint32_t flow = a->flow;
    cph_err err = CPH_E_NOMEM;

    if (k)
        err = cph_net_connect(d->cfg.net, &a->addr, CONNECT_US, &conn_ops, k, &k->c);
    if (err == CPH_OK)
        return;
    if (k)
        forget_conn(k);
    cph_sip_ua_closed(d->ua, flow, err, now);
}

static void do_write(struct cli_driver *d, const struct cph_sip_action *a, cph_time now)
{
    struct conn *k = conn_of(d, a->flow);
    cph_err err = k ? cph_net_conn_put(k->c, a->bytes) : CPH_OK;

    if (err == CPH_OK)
        return;
    cph_net_conn_close(k->c);
    forget_conn(k);
    cph_sip_ua_closed(d->ua, a->flow, err, now);
}

static void do_close(struct cli_driver *d, const struct cph_sip_action *a)
{
    struct conn *k = conn_of(d, a->flow);

    if (!k)
        return;
    cph_net_conn_finish(k->c);
    forget_conn(k);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void forget_query(struct query *q)
{
    struct query **at = &q->d->queries;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    free(q);
}

static void copy_text(char *out, size_t cap, const char *text)
{
    (void)snprintf(out, cap, "%s", text);
}

static void record_of(const struct cph_net_dns *answer, size_t i, struct cph_sip_record *r)
{
    switch (answer->type) {
    case CPH_NET_DNS_A:
    case CPH_NET_DNS_AAAA:
        r->type = answer->type == CPH_NET_DNS_A ? CPH_SIP_RR_A : CPH_SIP_RR_AAAA;
        r->addr = answer->addr[i];
        break;
    case CPH_NET_DNS_SRV:
        r->type = CPH_SIP_RR_SRV;
        r->priority = answer->srv[i].priority;
        r->weight = answer->srv[i].weight;
        r->port = answer->srv[i].port;
        copy_text(r->target, sizeof r->target, answer->srv[i].target);
        break;
    case CPH_NET_DNS_NAPTR:
        r->type = CPH_SIP_RR_NAPTR;
        r->priority = answer->naptr[i].order;
        r->weight = answer->naptr[i].preference;
        copy_text(r->service, sizeof r->service, answer->naptr[i].service);
        copy_text(r->flags, sizeof r->flags, answer->naptr[i].flags);
        copy_text(r->target, sizeof r->target, answer->naptr[i].replacement);
        break;
    }
}

static void resolved(void *arg, cph_err err, const struct cph_net_dns *answer, cph_time now)
{
    struct query *q = arg;
    struct cli_driver *d = q->d;
    struct cph_sip_record record[CPH_NET_DNS_ANSWERS];
    uint32_t id = q->id;
    size_t n = 0;

    memset(record, 0, sizeof record);
    forget_query(q);
    if (err == CPH_OK)
        for (n = 0; n < answer->n && n < CPH_NET_DNS_ANSWERS; n++)
            record_of(answer, n, &record[n]);
    else if (err == CPH_E_NOTFOUND)
        err = CPH_OK; /* a definite no: no records */
    cph_sip_ua_resolved(d->ua, id, err, record, n, now);
    cli_driver_pump(d);
}

static enum cph_net_dns_type dns_type(enum cph_sip_rr type)
{
    switch (type) {
    case CPH_SIP_RR_NAPTR:
        return CPH_NET_DNS_NAPTR;
    case CPH_SIP_RR_SRV:
        return CPH_NET_DNS_SRV;
    case CPH_SIP_RR_A:
        return CPH_NET_DNS_A;
    case CPH_SIP_RR_AAAA:
        break;
    }
    return CPH_NET_DNS_AAAA;
}

static void do_resolve(struct cli_driver *d, const struct cph_sip_action *a, cph_time now)
{
    struct query *q = calloc(1, sizeof *q);
    uint32_t id = a->query;
    cph_err err = CPH_E_NOMEM;

    if (q) {
        *q = (struct query){ .d = d, .id = id, .next = d->queries };
        d->queries = q;
        err = cph_net_resolve(d->cfg.net, dns_type(a->type), a->name, resolved, q, &q->q);
        if (err == CPH_OK)
            return;
        forget_query(q);
    }
    cph_sip_ua_resolved(d->ua, id, err, NULL, 0, now);
}

static void do_forget(struct cli_driver *d, uint32_t id)
{
    for (struct query *q = d->queries; q; q = q->next) {
        if (q->id != id)
            continue;
        cph_net_query_cancel(q->q);
        forget_query(q);
        return;
    }
}

/* ---- the pump -------------------------------------------------------------------------------- */

static void act(struct cli_driver *d, const struct cph_sip_action *a, cph_time now)
{
    switch (a->what) {
    case CPH_SIP_DO_SEND:
        if (d->listener[a->listener].udp &&
            cph_net_udp_send(d->listener[a->listener].udp, &a->addr, a->bytes) == CPH_E_IO) {
            struct cph_addr to = a->addr;

            cph_sip_ua_unreachable(d->ua, a->listener, &to, now);
        }
        break;
    case CPH_SIP_DO_OPEN:
        do_open(d, a, now);
        break;
    case CPH_SIP_DO_WRITE:
        do_write(d, a, now);
        break;
    case CPH_SIP_DO_CLOSE:
        do_close(d, a);
        break;
    case CPH_SIP_DO_RESOLVE:
        do_resolve(d, a, now);
        break;
    case CPH_SIP_DO_FORGET:
        do_forget(d, a->query);
        break;
    }
}

void cli_driver_pump(struct cli_driver *d)
{
    cph_time now = cph_net_now(d->cfg.net);
    struct cph_phone_event ev;
    struct cph_sip_action a;
    bool more = true;

    if (d->pumping) /* an event's handler called the phone: the turn under way sees to it */
        return;
    d->pumping = true;
    for (int i = 0; more && i < EVENTS_PER_PUMP; i++) {
        more = false;
        cph_phone_turn(d->phone, now);
        while (cph_sip_ua_pull(d->ua, &a) == CPH_OK) {
            act(d, &a, now);
            more = true;
        }
        while (cph_phone_event(d->phone, &ev) == CPH_OK) {
            d->cfg.event(d->cfg.arg, &ev, now);
            more = true;
        }
    }
    d->pumping = false;
    cph_net_wake_at(d->wake, cph_phone_deadline(d->phone));
}

static void woken(void *arg, cph_time now)
{
    (void)now;
    cli_driver_pump(arg);
}

/* cph_net_udp_fn has pkt writable. NOLINTNEXTLINE(readability-non-const-parameter) */
static void datagram(void *arg, struct cph_net_udp *udp, const struct cph_addr *from, uint8_t *pkt,
                     size_t n, cph_time now)
{
    struct listener *li = arg;

    (void)udp;
    cph_sip_ua_datagram(li->d->ua, li->index, from, (struct cph_span){ pkt, n }, now);
    cli_driver_pump(li->d);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static cph_err listen_on(struct cli_driver *d, unsigned i, char why[CPH_PHONE_WHY])
{
    struct cph_sip_listener *want = &d->cfg.sip->listener[i];
    struct listener *li = &d->listener[i];
    char text[CPH_ADDR_TEXT];
    cph_err err;

    *li = (struct listener){ .d = d, .index = i };
    if (want->proto == CPH_SIP_UDP)
        err = cph_net_udp_open(d->cfg.net, &want->addr, datagram, li, &li->udp);
    else
        err = cph_net_listen(d->cfg.net, &want->addr, accepted, li, &li->tcp);
    if (err != CPH_OK) {
        (void)snprintf(why, CPH_PHONE_WHY,
                       "cannot listen on %s %s: %s; choose another with --listen",
                       cph_sip_proto_name(want->proto), cph_addr_text(&want->addr, text),
                       err == CPH_E_EXISTS     ? "the port is in use"
                       : err == CPH_E_ARGUMENT ? "this machine has no such address"
                                               : cph_err_text(err));
        return err;
    }
    want->addr = li->udp ? *cph_net_udp_local(li->udp) : *cph_net_listener_local(li->tcp);
    return CPH_OK;
}

cph_err cli_driver_new(const struct cli_driver_config *cfg, char why[CPH_PHONE_WHY],
                       struct cli_driver **out)
{
    struct cli_driver *d = calloc(1, sizeof *d);
    cph_err err = CPH_OK;

    why[0] = '\0';
    if (!d)
        return CPH_E_NOMEM;
    d->cfg = *cfg;
    d->host = (struct cph_phone_host){ d,   media_open, media_send, media_close, sound,
                                       pin, mikey,      peer_cert,  peer_pgp,    peer_seal };
    d->cfg.phone->host = &d->host;
    for (unsigned i = 0; i < cfg->sip->n_listeners && err == CPH_OK; i++)
        err = listen_on(d, i, why);
    if (err == CPH_OK)
        err = cph_net_wake_new(cfg->net, woken, d, &d->wake);
    if (err == CPH_OK)
        err = cph_phone_new(cfg->phone, cph_net_now(cfg->net), &d->phone);
    if (err != CPH_OK) {
        if (!why[0])
            (void)snprintf(why, CPH_PHONE_WHY, "cannot start the phone: %s", cph_err_text(err));
        cli_driver_free(d);
        return err;
    }
    d->ua = cph_phone_ua(d->phone);
    *out = d;
    return CPH_OK;
}

void cli_driver_free(struct cli_driver *d)
{
    if (!d)
        return;
    cph_phone_free(d->phone); /* closes its media ports */
    while (d->ports)
        media_close(d, d->ports->call);
    while (d->queries)
        do_forget(d,
                  d->queries->id); /* takes it off the list: NOLINT(clang-analyzer-unix.Malloc) */
    while (d->conns) {
        cph_net_conn_finish(d->conns->c); /* the last is off: NOLINT(clang-analyzer-unix.Malloc) */
        forget_conn(d->conns);
    }
    for (unsigned i = 0; i < CPH_SIP_LISTENERS_MAX; i++) {
        cph_net_udp_close(d->listener[i].udp);
        cph_net_listener_close(d->listener[i].tcp);
    }
    cph_net_wake_free(d->wake);
    free(d);
}

bool cli_driver_owes(const struct cli_driver *d)
{
    for (const struct conn *k = d->conns; k; k = k->next)
        if (cph_net_conn_queued(k->c) > 0)
            return true;
    return cph_sip_ua_waits(d->ua);
}

struct cph_phone *cli_driver_phone(struct cli_driver *d)
{
    return d->phone;
}

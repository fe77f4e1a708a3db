#include "ua_support.h"

#include <stdio.h>

void w_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    test_env_init(&w->env, seed);
    w->dice = seed * 2654435761u + 1;
    w->delay = CPH_MS(5);
    w->now = CPH_SEC(1000);
}

struct cph_addr w_addr(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

struct cph_sip_ua_cfg w_cfg(struct world *w, int node, const char *ip, const char *protos)
{
    static const char *const names[] = { "udp", "tcp", "tls" };
    struct cph_sip_ua_cfg c = { 0 };
    struct w_node *n = &w->node[node];
    char text[80];

    c.env = &w->env.env;
    c.user_agent = "ciphony-test";
    for (int i = 0; i < 3; i++) {
        if (!strstr(protos, names[i]))
            continue;
        snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip,
                 i == 2 ? 5061 : 5060);
        c.listener[c.n_listeners].proto = (enum cph_sip_proto)i;
        c.listener[c.n_listeners].addr = w_addr(text);
        n->addr[c.n_listeners] = c.listener[c.n_listeners].addr;
        n->proto[c.n_listeners] = (enum cph_sip_proto)i;
        c.n_listeners++;
    }
    n->n_listeners = c.n_listeners;
    if (node >= w->n_nodes)
        w->n_nodes = node + 1;
    return c;
}

cph_err w_start(struct world *w, int node, const struct cph_sip_ua_cfg *cfg)
{
    return cph_sip_ua_new(cfg, w->now, &w->node[node].ua);
}

void w_hand(struct world *w, int node, const char *ip)
{
    (void)w_cfg(w, node, ip, "udp");
}

void w_dns(struct world *w, const char *name, struct cph_sip_record r)
{
    assert_true(w->n_dns < W_RECORDS);
    snprintf(w->dns[w->n_dns].name, sizeof w->dns[0].name, "%s", name);
    w->dns[w->n_dns++].r = r;
}

static unsigned roll(struct world *w)
{
    w->dice ^= w->dice << 13;
    w->dice ^= w->dice >> 7;
    w->dice ^= w->dice << 17;
    return (unsigned)(w->dice % 100);
}

/* Packets do not come from malloc, which tests make fail. */
enum { W_SLOT = 16384, W_SLOTS = 256 };
static _Alignas(16) uint8_t slot_bytes[W_SLOTS][W_SLOT];
static bool slot_used[W_SLOTS];

static struct w_packet *slot_take(size_t n)
{
    int i = 0;

    while (i < W_SLOTS && slot_used[i])
        i++;
    assert_true(i < W_SLOTS && n <= W_SLOT);
    slot_used[i] = true;
    memset(slot_bytes[i], 0, n);
    return (struct w_packet *)(void *)slot_bytes[i];
}

static void slot_give(struct w_packet *p)
{
    slot_used[((uint8_t *)p - slot_bytes[0]) / W_SLOT] = false;
}

static struct w_packet *put(struct world *w, int to, int what, struct cph_span b, cph_time delay)
{
    struct w_packet *p = slot_take(sizeof *p + b.n), **at;

    p->at = w->now + delay;
    p->to = to;
    p->what = what;
    p->n = b.n;
    if (b.n)
        memcpy(p->b, b.p, b.n);
    for (at = &w->queue; *at && (*at)->at <= p->at; at = &(*at)->next)
        ;
    p->next = *at;
    *at = p;
    return p;
}

void w_free(struct world *w)
{
    for (int i = 0; i < W_NODES; i++)
        cph_sip_ua_free(w->node[i].ua);
    while (w->queue) {
        struct w_packet *p = w->queue;

        w->queue = p->next;
        slot_give(p);
    }
}

static int node_at(struct world *w, const struct cph_addr *a, bool udp, unsigned *listener)
{
    for (int i = 0; i < w->n_nodes; i++) {
        for (unsigned l = 0; l < w->node[i].n_listeners; l++) {
            if (cph_addr_eq(&w->node[i].addr[l], a) &&
                (w->node[i].proto[l] == CPH_SIP_UDP) == udp) {
                *listener = l;
                return i;
            }
        }
    }
    return -1;
}

static void send_datagram(struct world *w, const struct cph_addr *from, const struct cph_addr *to,
                          struct cph_span b)
{
    unsigned l = 0;
    int n = node_at(w, to, true, &l);
    int copies = 1 + (roll(w) < w->twice);

    w->datagrams++;
    if (n < 0)
        return;
    for (int i = 0; i < copies; i++) {
        struct w_packet *p;

        if (roll(w) < w->loss)
            continue;
        p = put(w, n, 0, b, w->delay + (i ? CPH_MS(3) : 0));
        p->listener = l;
        p->from = *from;
    }
}

static struct w_conn *conn_of(struct world *w, int node, uint32_t flow, int *end)
{
    for (int i = 0; i < W_CONNS; i++) {
        for (int e = 0; e < 2; e++) {
            if (w->conn[i].used && w->conn[i].node[e] == node && w->conn[i].flow[e] == flow) {
                *end = e;
                return &w->conn[i];
            }
        }
    }
    return NULL;
}

static void open_conn(struct world *w, int node, const struct cph_sip_action *a)
{
    unsigned l = 0;
    int to = node_at(w, &a->addr, false, &l), c = 0;
    struct w_packet *p;

    while (c < W_CONNS && w->conn[c].used)
        c++;
    assert_true(c < W_CONNS);
    w->streams++;
    w->conn[c] =
        (struct w_conn){ true, { node, -1 }, { a->flow, 0 }, { w->node[node].addr[0], a->addr } };
    w->conn[c].addr[0].port = (uint16_t)(40000 + c);
    if (w->tcp_blackhole)
        return;
    if (to < 0 || w->tcp_refused) {
        p = put(w, node, 3, (struct cph_span){ 0 }, w->delay);
        p->conn = c;
        p->end = 0;
        return;
    }
    p = put(w, to, 4, (struct cph_span){ 0 }, w->delay);
    p->conn = c;
    p->listener = l;
}

static void resolve(struct world *w, int node, const struct cph_sip_action *a)
{
    struct cph_sip_record r[W_RECORDS];
    size_t n = 0;
    struct w_packet *p;

    if (w->n_asked < 32)
        snprintf(w->asked[w->n_asked++], sizeof w->asked[0], "%d %s", (int)a->type, a->name);
    for (size_t i = 0; i < w->n_dns; i++) {
        if (w->dns[i].r.type == a->type && strcmp(w->dns[i].name, a->name) == 0)
            r[n++] = w->dns[i].r;
    }
    p = put(w, node, 5, (struct cph_span){ (const uint8_t *)r, n * sizeof *r }, w->delay);
    p->query = a->query;
}

static void hand_gets(struct world *w, int node, const struct w_packet *p)
{
    struct w_node *n = &w->node[node];

    if (n->n_got < 64 && p->n < sizeof n->got[0]) {
        memcpy(n->got[n->n_got], p->b, p->n);
        n->got[n->n_got][p->n] = '\0';
        n->got_from[n->n_got++] = p->from;
    }
}

static void act(struct world *w, int node, const struct cph_sip_action *a)
{
    struct w_packet *p;
    struct w_conn *c;
    int end = 0;

    switch (a->what) {
    case CPH_SIP_DO_SEND:
        send_datagram(w, &w->node[node].addr[a->listener], &a->addr, a->bytes);
        break;
    case CPH_SIP_DO_OPEN:
        open_conn(w, node, a);
        break;
    case CPH_SIP_DO_WRITE:
        c = conn_of(w, node, a->flow, &end);
        w->stream_bytes += a->bytes.n;
        if (w->keep_plain && w->wire_n + a->bytes.n < sizeof w->wire) {
            memcpy(w->wire + w->wire_n, a->bytes.p, a->bytes.n);
            w->wire_n += a->bytes.n;
        }
        if (!c || c->node[!end] < 0)
            break;
        for (size_t at = 0; at < a->bytes.n;) { /* in odd pieces */
            size_t take = a->bytes.n - at < 700 ? a->bytes.n - at : 700;

            p = put(w, c->node[!end], 1, (struct cph_span){ a->bytes.p + at, take }, w->delay);
            p->conn = (int)(c - w->conn);
            p->end = !end;
            at += take;
        }
        break;
    case CPH_SIP_DO_CLOSE:
        c = conn_of(w, node, a->flow, &end);
        if (!c)
            break;
        c->node[end] = -1;
        if (c->node[!end] < 0) {
            c->used = false;
            break;
        }
        p = put(w, c->node[!end], 3, (struct cph_span){ 0 }, w->delay);
        p->conn = (int)(c - w->conn);
        p->end = !end;
        break;
    case CPH_SIP_DO_RESOLVE:
        resolve(w, node, a);
        break;
    case CPH_SIP_DO_FORGET:
        break;
    }
}

static void note(struct w_node *n, const struct cph_sip_event *e)
{
    struct w_event *v;

    assert_true(n->n_ev < W_LOG);
    v = &n->ev[n->n_ev++];
    v->e = *e;
    v->body_n = e->body.n < sizeof v->body ? e->body.n : sizeof v->body - 1;
    if (v->body_n)
        memcpy(v->body, e->body.p, v->body_n);
    v->body[v->body_n] = '\0';
    snprintf(v->reason, sizeof v->reason, "%.*s", CPH_SPAN_ARG(e->reason));
    snprintf(v->from, sizeof v->from, "%.*s", CPH_SPAN_ARG(e->from));
    snprintf(v->to, sizeof v->to, "%.*s", CPH_SPAN_ARG(e->to));
    v->e.msg = NULL;
}

void w_pump(struct world *w)
{
    bool again = true;

    while (again) {
        again = false;
        for (int i = 0; i < w->n_nodes; i++) {
            struct cph_sip_action a;
            struct cph_sip_event e;

            if (!w->node[i].ua)
                continue;
            while (cph_sip_ua_pull(w->node[i].ua, &a) == CPH_OK) {
                act(w, i, &a);
                again = true;
            }
            while (cph_sip_ua_event(w->node[i].ua, &e) == CPH_OK) {
                note(&w->node[i], &e);
                again = true;
            }
        }
    }
}

static void accept_conn(struct world *w, struct w_packet *p)
{
    struct w_conn *c = &w->conn[p->conn];
    struct w_packet *q;
    uint32_t flow;

    if (!w->node[p->to].ua ||
        cph_sip_ua_accepted(w->node[p->to].ua, p->listener, &c->addr[0], w->now, &flow) != CPH_OK) {
        q = put(w, c->node[0], 3, (struct cph_span){ 0 }, w->delay);
        q->conn = p->conn;
        q->end = 0;
        return;
    }
    c->node[1] = p->to;
    c->flow[1] = flow;
    q = put(w, c->node[0], 2, (struct cph_span){ 0 }, w->delay);
    q->conn = p->conn;
    q->end = 0;
}

static void deliver(struct world *w, struct w_packet *p)
{
    struct cph_sip_ua *ua = w->node[p->to].ua;
    struct w_conn *c = &w->conn[p->conn];
    struct cph_span b = { p->b, p->n };

    if (!ua && p->what == 0)
        hand_gets(w, p->to, p);
    if (!ua)
        return;
    switch (p->what) {
    case 0:
        cph_sip_ua_datagram(ua, p->listener, &p->from, b, w->now);
        break;
    case 1:
        if (c->used && c->node[p->end] == p->to)
            cph_sip_ua_bytes(ua, c->flow[p->end], b, w->now);
        break;
    case 2:
        if (c->used && c->node[0] == p->to)
            cph_sip_ua_opened(ua, c->flow[0], &c->addr[0], w->now);
        break;
    case 3:
        if (c->used && c->node[p->end] == p->to) {
            c->node[p->end] = -1;
            if (c->node[!p->end] < 0)
                c->used = false;
            cph_sip_ua_closed(ua, c->flow[p->end], CPH_E_CLOSED, w->now);
        }
        break;
    case 4:
        accept_conn(w, p);
        break;
    case 5: {
        struct cph_sip_record r[W_RECORDS];

        if (p->n)
            memcpy(r, p->b, p->n);
        cph_sip_ua_resolved(ua, p->query, CPH_OK, r, p->n / sizeof *r, w->now);
        break;
    }
    }
}

void w_run(struct world *w, cph_time us)
{
    cph_time end = w->now + us;

    for (;;) {
        cph_time next = end;

        w_pump(w);
        if (w->queue && w->queue->at < next)
            next = w->queue->at;
        for (int i = 0; i < w->n_nodes; i++) {
            if (w->node[i].ua && cph_sip_ua_deadline(w->node[i].ua) < next)
                next = cph_sip_ua_deadline(w->node[i].ua);
        }
        if (next > w->now)
            w->now = next;
        if (w->queue && w->queue->at <= w->now) {
            struct w_packet *p = w->queue;

            w->queue = p->next;
            deliver(w, p);
            slot_give(p);
            continue;
        }
        for (int i = 0; i < w->n_nodes; i++) {
            if (w->node[i].ua && cph_sip_ua_deadline(w->node[i].ua) <= w->now)
                cph_sip_ua_tick(w->node[i].ua, w->now);
        }
        if (w->now >= end)
            break;
    }
    w_pump(w);
}

bool w_has(struct world *w, int node, enum cph_sip_event_kind kind)
{
    struct w_node *n = &w->node[node];

    for (size_t i = n->seen; i < n->n_ev; i++) {
        if (n->ev[i].e.kind == kind)
            return true;
    }
    return false;
}

struct w_event *w_want(struct world *w, int node, enum cph_sip_event_kind kind)
{
    struct w_node *n = &w->node[node];

    for (size_t i = n->seen; i < n->n_ev; i++) {
        if (n->ev[i].e.kind == kind) {
            n->seen = i + 1;
            return &n->ev[i];
        }
    }
    for (size_t i = n->seen; i < n->n_ev; i++)
        print_error("node %d had: %s %u %s\n", node, cph_sip_event_name(n->ev[i].e.kind),
                    n->ev[i].e.status, n->ev[i].reason);
    fail_msg("node %d: no event %s", node, cph_sip_event_name(kind));
    return NULL;
}

void w_say(struct world *w, int hand, int to, const char *fmt, ...)
{
    static char raw[16384], out[20000];
    char *body, *star;
    size_t n = 0;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    body = strstr(raw, "\n\n");
    star = strstr(raw, "Content-Length: *");
    for (char *p = raw; *p; p++) {
        if (p == star) {
            n += (size_t)sprintf(out + n, "Content-Length: %zu", body ? strlen(body + 2) : 0);
            p += strlen("Content-Length: *") - 1;
            continue;
        }
        if (*p == '\n' && (!body || p < body + 2) && (p == raw || p[-1] != '\r'))
            out[n++] = '\r';
        out[n++] = *p;
    }
    send_datagram(w, &w->node[hand].addr[0], &w->node[to].addr[0],
                  (struct cph_span){ (uint8_t *)out, n });
}

const char *w_heard(struct world *w, int hand, const char *prefix)
{
    struct w_node *n = &w->node[hand];

    while (n->took < n->n_got) {
        const char *m = n->got[n->took++];

        if (strncmp(m, prefix, strlen(prefix)) == 0)
            return m;
    }
    return NULL;
}

const char *w_header(const char *msg, const char *name)
{
    static char buf[16][2048];
    static int at;
    char *out = buf[at++ & 15], want[80];
    const char *p;
    size_t n;

    snprintf(want, sizeof want, "\r\n%s: ", name);
    p = strstr(msg, want);
    if (!p)
        return "";
    p += strlen(want);
    n = strcspn(p, "\r");
    snprintf(out, sizeof buf[0], "%.*s", (int)n, p);
    return out;
}

void w_answer(struct world *w, int hand, int to, const char *request, const char *status,
              const char *tag, const char *lines, const char *body)
{
    w_say(w, hand, to,
          "SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s%s%s\nCall-ID: %s\nCSeq: %s\n%s%s"
          "Content-Length: *\n\n%s",
          status, w_header(request, "Via"), w_header(request, "From"), w_header(request, "To"),
          *tag && !strstr(w_header(request, "To"), "tag=") ? ";tag=" : "",
          strstr(w_header(request, "To"), "tag=") ? "" : tag, w_header(request, "Call-ID"),
          w_header(request, "CSeq"), lines, body ? "Content-Type: application/sdp\n" : "",
          body ? body : "");
}

void w_quiet(struct world *w, int node)
{
    struct cph_sip_load l = cph_sip_ua_load(w->node[node].ua);

    assert_int_equal(l.transactions, 0);
    assert_int_equal(l.requests, 0);
    assert_int_equal(l.calls, 0);
    assert_int_equal(l.dialogs, 0);
    assert_int_equal(l.queries, 0);
    assert_int_equal(l.messages, 0);
    assert_true(l.timers <= l.flows + l.registrations);
}

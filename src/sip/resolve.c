#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * RFC 3263 as a list of steps worked from the front. An address is handed out; a host asks for A
 * and AAAA and becomes addresses; a service asks for SRV and becomes hosts, in the order of RFC
 * 2782. So the next address is looked up only when the one before it failed.
 */

static void drop_front(struct sip_res *r)
{
    r->n_step--;
    memmove(r->step, r->step + 1, r->n_step * sizeof *r->step);
}

/* Room for n steps at the front, fewer if the list is full. */
static size_t push_front(struct sip_res *r, size_t n)
{
    size_t room = SIP_TARGETS_MAX - r->n_step;

    n = n < room ? n : room;
    memmove(r->step + n, r->step, r->n_step * sizeof *r->step);
    memset(r->step, 0, n * sizeof *r->step);
    r->n_step += n;
    return n;
}

static void put_name(struct sip_step *s, const char *fmt, const char *name)
{
    int n = snprintf(s->name, sizeof s->name, fmt, name);

    if (n < 0 || (size_t)n >= sizeof s->name)
        s->name[0] = '\0'; /* too long to be a domain name: leads nowhere */
    n = (int)strlen(s->name);
    if (n > 1 && s->name[n - 1] == '.')
        s->name[n - 1] = '\0';
}

static void add_step(struct sip_res *r, enum sip_step_kind kind, enum cph_sip_proto proto,
                     uint16_t port, const char *fmt, const char *name)
{
    struct sip_step *s;

    if (r->n_step >= SIP_TARGETS_MAX)
        return;
    s = &r->step[r->n_step++];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->proto = proto;
    s->port = port;
    put_name(s, fmt, name);
}

static const char *srv_prefix(const struct sip_res *r, enum cph_sip_proto proto)
{
    (void)r;
    switch (proto) {
    case CPH_SIP_UDP:
        return "_sip._udp.%s";
    case CPH_SIP_TCP:
        return "_sip._tcp.%s";
    case CPH_SIP_TLS:
        return "_sips._tcp.%s";
    }
    return "%s";
}

/* ---- asking ---- */

static cph_err ask(struct sip_res *r, unsigned slot, enum cph_sip_rr type, const char *name)
{
    struct sip_action *a;

    if (++r->asked > SIP_QUERIES_MAX)
        return CPH_E_LIMIT;
    a = sip_action_new(r->ua, CPH_SIP_DO_RESOLVE, (struct cph_span){ 0 });
    if (!a)
        return CPH_E_NOMEM;
    if (++r->ua->next_query == 0)
        r->ua->next_query = 1;
    a->a.query = r->query[slot] = r->ua->next_query;
    a->a.type = type;
    snprintf(a->name, sizeof a->name, "%s", name);
    sip_action_put(r->ua, a);
    if (!r->link.next) {
        sip_list_add(&r->ua->queries, &r->link);
        r->ua->n_queries++;
    }
    return CPH_OK;
}

static void forget(struct sip_res *r)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sip_action *a;

        if (!r->query[i])
            continue;
        a = sip_action_new(r->ua, CPH_SIP_DO_FORGET, (struct cph_span){ 0 });
        if (a) {
            a->a.query = r->query[i];
            sip_action_put(r->ua, a);
        }
        r->query[i] = 0;
    }
}

static void settle(struct sip_res *r)
{
    if (r->link.next && !r->query[0] && !r->query[1]) {
        sip_list_del(&r->link);
        r->ua->n_queries--;
    }
}

void sip_res_stop(struct sip_res *r)
{
    if (!r->active)
        return;
    r->active = false;
    forget(r);
    settle(r);
    free(r->step);
    r->step = NULL;
    r->n_step = 0;
}

/* ---- beginning ---- */

static void add_services(struct sip_res *r)
{
    static const enum cph_sip_proto order[2][3] = {
        { CPH_SIP_TLS, CPH_SIP_UDP, CPH_SIP_TCP },
        { CPH_SIP_TLS, CPH_SIP_TCP, CPH_SIP_UDP }, /* a large request */
    };

    for (unsigned i = 0; i < 3; i++) {
        enum cph_sip_proto p = order[r->prefer_tcp][i];

        if (!sip_can(r->ua, p) || (r->sips && p != CPH_SIP_TLS))
            continue;
        add_step(r, SIP_STEP_SRV, p, 0, srv_prefix(r, p), r->host);
    }
    r->srv_tried = true;
}

static cph_err choose_proto(struct sip_res *r, const struct cph_sip_uri *uri, bool *given)
{
    struct cph_span value;
    bool known;

    *given = cph_sip_uri_param(uri, "transport", &value);
    r->fallback = r->sips ? CPH_SIP_TLS : CPH_SIP_UDP;
    if (!*given) {
        if (!sip_can(r->ua, r->fallback) && !r->sips)
            r->fallback = CPH_SIP_TCP;
        return CPH_OK;
    }
    r->fallback = sip_proto_of(value, &known);
    if (!known)
        return CPH_E_UNSUPPORTED;
    if (r->sips) {
        /* RFC 5630 3.1.1, RFC 3261 26.2.2 MUST: sips never leaves TLS */
        if (r->fallback == CPH_SIP_UDP)
            return CPH_E_POLICY;
        r->fallback = CPH_SIP_TLS;
    }
    return CPH_OK;
}

static cph_err begin(struct sip_res *r, const struct cph_sip_uri *uri)
{
    struct cph_span target = uri->host;
    struct cph_addr ip;
    bool given;

    CPH_TRY(choose_proto(r, uri, &given));
    if (!sip_can(r->ua, r->fallback))
        return r->sips ? CPH_E_POLICY : CPH_E_UNSUPPORTED;
    (void)cph_sip_uri_param(uri, "maddr", &target);
    if (target.n > 1 && target.p[0] == '[')
        target = (struct cph_span){ target.p + 1, target.n - 2 };
    CPH_TRY(cph_span_cstr(uri->host, r->host, sizeof r->host));
    if (cph_addr_parse_ip(target, &ip) == CPH_OK) {
        ip.port = uri->port ? uri->port : sip_default_port(r->fallback);
        add_step(r, SIP_STEP_ADDR, r->fallback, 0, "%s", "");
        r->step[0].addr = ip;
        return CPH_OK;
    }
    if (!cph_span_eq(target, uri->host)) { /* maddr is a name: look that up, check the host */
        char name[CPH_SIP_NAME_MAX + 1];

        CPH_TRY(cph_span_cstr(target, name, sizeof name));
        add_step(r, SIP_STEP_HOST, r->fallback, uri->port, "%s", name);
        return CPH_OK;
    }
    if (uri->port) {
        add_step(r, SIP_STEP_HOST, r->fallback, uri->port, "%s", r->host);
    } else if (given) {
        add_step(r, SIP_STEP_SRV, r->fallback, 0, srv_prefix(r, r->fallback), r->host);
        r->srv_tried = true;
    } else if (r->ua->cfg.no_naptr) {
        add_services(r);
    } else {
        r->naptr = true;
    }
    return CPH_OK;
}

cph_err sip_res_start(struct cph_sip_ua *ua, struct sip_res *r, const struct cph_sip_uri *uri,
                      bool sips, bool prefer_tcp)
{
    void (*ready)(struct sip_res *) = r->ready;
    cph_err err;

    memset(r, 0, sizeof *r);
    r->ready = ready;
    r->ua = ua;
    if (uri->scheme != CPH_SIP_SCHEME_SIP && uri->scheme != CPH_SIP_SCHEME_SIPS)
        return CPH_E_UNSUPPORTED;
    r->sips = sips || uri->scheme == CPH_SIP_SCHEME_SIPS;
    r->prefer_tcp = prefer_tcp;
    r->step = calloc(SIP_TARGETS_MAX, sizeof *r->step);
    if (!r->step)
        return CPH_E_NOMEM;
    r->active = true;
    err = begin(r, uri);
    if (err)
        sip_res_stop(r);
    return err;
}

/* ---- going on ---- */

static cph_err ask_host(struct sip_res *r)
{
    const struct sip_step *s = &r->step[0];
    bool v4 = sip_can_family(r->ua, s->proto, CPH_AF_V4);
    bool v6 = sip_can_family(r->ua, s->proto, CPH_AF_V6) && !r->ua->cfg.no_ipv6;

    r->n_found = 0;
    if (!v4 && !v6)
        return CPH_E_NAME;
    if (v4)
        CPH_TRY(ask(r, 0, CPH_SIP_RR_A, s->name));
    if (v6)
        CPH_TRY(ask(r, 1, CPH_SIP_RR_AAAA, s->name));
    return CPH_E_AGAIN;
}

cph_err sip_res_next(struct sip_res *r, struct sip_target *out)
{
    if (!r->active)
        return CPH_E_NAME;
    if (r->query[0] || r->query[1])
        return CPH_E_AGAIN;
    if (r->naptr) {
        cph_err err = ask(r, 0, CPH_SIP_RR_NAPTR, r->host);

        return err ? err : CPH_E_AGAIN;
    }
    for (;;) {
        struct sip_step *s = &r->step[0];
        cph_err err;

        if (!r->n_step) {
            /* RFC 3263 4.2: no SRV records at all: the host itself at the default port */
            if (!r->srv_tried || r->any_srv)
                return CPH_E_NAME;
            r->srv_tried = false;
            add_step(r, SIP_STEP_HOST, r->fallback, 0, "%s", r->host);
            continue;
        }
        if (s->kind == SIP_STEP_ADDR) {
            memset(out, 0, sizeof *out);
            out->proto = s->proto;
            out->addr = s->addr;
            memcpy(out->name, r->host, sizeof out->name);
            drop_front(r);
            return CPH_OK;
        }
        if (!s->name[0]) {
            drop_front(r);
            continue;
        }
        if (s->kind == SIP_STEP_SRV) {
            err = ask(r, 0, CPH_SIP_RR_SRV, s->name);
            return err ? err : CPH_E_AGAIN;
        }
        err = ask_host(r);
        if (err != CPH_E_NAME)
            return err;
        drop_front(r);
    }
}

/* ---- answers ---- */

static bool naptr_fits(const struct sip_res *r, const struct cph_sip_record *rec,
                       enum cph_sip_proto *proto)
{
    static const struct {
        const char *service;
        enum cph_sip_proto proto;
    } known[] = { { "SIPS+D2T", CPH_SIP_TLS },
                  { "SIP+D2T", CPH_SIP_TCP },
                  { "SIP+D2U", CPH_SIP_UDP } };

    if (rec->type != CPH_SIP_RR_NAPTR || !cph_span_iis(cph_span_of(rec->flags), "s") ||
        !rec->target[0])
        return false;
    for (size_t i = 0; i < 3; i++) {
        *proto = known[i].proto;
        if (cph_span_iis(cph_span_of(rec->service), known[i].service))
            /* RFC 3263 4.1 MUST: for sips, services without SIPS are discarded */
            return sip_can(r->ua, *proto) && (!r->sips || *proto == CPH_SIP_TLS);
    }
    return false;
}

static void take_naptr(struct sip_res *r, const struct cph_sip_record *rec, size_t n)
{
    uint8_t order[CPH_SIP_RECORDS_MAX];
    enum cph_sip_proto proto;
    size_t m = 0;

    r->naptr = false;
    for (size_t i = 0; i < n; i++) { /* by order, then preference */
        size_t at;

        if (!naptr_fits(r, &rec[i], &proto))
            continue;
        for (at = m; at > 0; at--) {
            const struct cph_sip_record *b = &rec[order[at - 1]];

            if (b->priority < rec[i].priority ||
                (b->priority == rec[i].priority && b->weight <= rec[i].weight))
                break;
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)i;
        m++;
    }
    for (size_t i = 0; i < m; i++) {
        (void)naptr_fits(r, &rec[order[i]], &proto);
        add_step(r, SIP_STEP_SRV, proto, 0, "%s", rec[order[i]].target);
    }
    if (!m)
        add_services(r);
    r->srv_tried = true;
}

/* RFC 2782: lowest priority first; within it, drawn by weight. */
static size_t pick_srv(struct sip_res *r, const struct cph_sip_record *rec, size_t n,
                       const bool *used)
{
    uint32_t low = UINT32_MAX, sum = 0, draw = 0, run = 0;
    size_t last = n;

    for (size_t i = 0; i < n; i++) {
        if (!used[i] && rec[i].priority < low)
            low = rec[i].priority;
    }
    for (size_t i = 0; i < n; i++) {
        if (!used[i] && rec[i].priority == low)
            sum += rec[i].weight;
    }
    if (sum && cph_random(r->ua->env, &draw, sizeof draw) == CPH_OK)
        draw %= sum + 1;
    else
        draw = 0;
    for (size_t pass = 0; pass < 2; pass++) { /* weight 0 goes first in the running sum */
        for (size_t i = 0; i < n; i++) {
            if (used[i] || rec[i].priority != low || (rec[i].weight == 0) != (pass == 0))
                continue;
            run += rec[i].weight;
            last = i;
            if (run >= draw)
                return i;
        }
    }
    return last;
}

static void take_srv(struct sip_res *r, const struct cph_sip_record *rec, size_t n)
{
    enum cph_sip_proto proto = r->step[0].proto;
    bool used[CPH_SIP_RECORDS_MAX] = { false };
    size_t order[CPH_SIP_RECORDS_MAX], m = 0, room;

    drop_front(r);
    for (size_t i = 0; i < n; i++)
        used[i] = rec[i].type != CPH_SIP_RR_SRV;
    for (size_t i = 0; i < n; i++) {
        size_t at = pick_srv(r, rec, n, used);

        if (at >= n)
            break;
        used[at] = true;
        r->any_srv = true;
        if (!rec[at].target[0] || strcmp(rec[at].target, ".") == 0 || !rec[at].port)
            continue; /* "." says: not offered here */
        order[m++] = at;
    }
    room = push_front(r, m);
    for (size_t i = 0; i < room; i++) {
        r->step[i].kind = SIP_STEP_HOST;
        r->step[i].proto = proto;
        r->step[i].port = rec[order[i]].port;
        put_name(&r->step[i], "%s", rec[order[i]].target);
    }
}

static void take_host(struct sip_res *r)
{
    struct sip_step s = r->step[0];
    size_t n;

    drop_front(r);
    n = push_front(r, r->n_found);
    for (size_t i = 0; i < n; i++) {
        r->step[i].kind = SIP_STEP_ADDR;
        r->step[i].proto = s.proto;
        r->step[i].addr = r->found[i];
        r->step[i].addr.port = s.port ? s.port : sip_default_port(s.proto);
    }
}

static void take_addrs(struct sip_res *r, unsigned slot, const struct cph_sip_record *rec, size_t n)
{
    enum cph_sip_rr want = slot ? CPH_SIP_RR_AAAA : CPH_SIP_RR_A;
    enum cph_family family = slot ? CPH_AF_V6 : CPH_AF_V4;

    for (size_t i = 0; i < n && r->n_found < CPH_SIP_RECORDS_MAX; i++) {
        if (rec[i].type == want && rec[i].addr.family == family)
            r->found[r->n_found++] = rec[i].addr;
    }
    if (!r->query[0] && !r->query[1])
        take_host(r);
}

void cph_sip_ua_resolved(struct cph_sip_ua *ua, uint32_t query, cph_err err,
                         const struct cph_sip_record *records, size_t n, cph_time now)
{
    struct sip_res *r = NULL;
    unsigned slot = 0;

    ua->now = now;
    for (struct sip_link *l = ua->queries.next; l != &ua->queries && query; l = l->next) {
        struct sip_res *c = SIP_OF(struct sip_res, link, l);

        if (c->query[0] != query && c->query[1] != query)
            continue;
        r = c;
        slot = c->query[1] == query;
        break;
    }
    if (!r)
        return;
    r->query[slot] = 0;
    if (err)
        n = 0;
    n = n < CPH_SIP_RECORDS_MAX ? n : CPH_SIP_RECORDS_MAX;
    if (r->naptr)
        take_naptr(r, records, n);
    else if (r->n_step && r->step[0].kind == SIP_STEP_SRV)
        take_srv(r, records, n);
    else if (r->n_step)
        take_addrs(r, slot, records, n);
    settle(r);
    if (!r->query[0] && !r->query[1])
        r->ready(r);
}

#include "net_int.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* RFC 1035 3.2.4, RFC 2782, RFC 3403 */
enum { DNS_CLASS_IN = 1, DNS_TYPE_SRV = 33, DNS_TYPE_NAPTR = 35 };

struct dns_socket {
    ares_socket_t fd;
    struct event *ev; /* NULL: free */
};

struct net_dns {
    struct cph_net *net;
    ares_channel channel;
    struct cph_net_wake *wake; /* the resolver's own retries */
    struct dns_socket socket[NET_DNS_SOCKETS];
    size_t queries;
};

/* Two may hold a query: the caller (until the callback or a cancel) and the resolver, which cannot
 * be told to forget one. The memory goes with the later of the two. */
struct cph_net_query {
    struct net_handle h;
    struct net_dns *dns; /* NULL: the resolver was not asked */
    bool asked;          /* the resolver holds it */
    bool released;       /* the caller no longer does */
    struct cph_net_wake *wake;
    cph_err err;
    struct cph_net_dns answer;
    cph_net_dns_fn *fn;
    void *arg;
};

/* ---- the resolver's sockets and deadline ----------------------------------------------------- */

static void rearm(struct net_dns *dns)
{
    struct timeval tv, *wait = ares_timeout(dns->channel, NULL, &tv);

    cph_net_wake_at(dns->wake,
                    wait ? cph_net_now(dns->net) + wait->tv_sec * (cph_time)1000000 + wait->tv_usec
                         : CPH_TIME_NEVER);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct net_dns *dns = arg;

    ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    rearm(dns);
}

static void on_retry(void *arg, cph_time now)
{
    struct net_dns *dns = arg;

    (void)now;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(dns);
}

/* Called by the resolver when it wants to know of a socket, or no longer. Without room it is not
 * told, and the query ends by its deadline. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct net_dns *dns = arg;
    struct dns_socket *at = NULL;
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST);

    for (size_t i = 0; i < NET_DNS_SOCKETS; i++) {
        struct dns_socket *s = &dns->socket[i];

        if (s->ev && s->fd == fd) {
            event_free(s->ev);
            s->ev = NULL;
        }
        if (!s->ev && !at)
            at = s;
    }
    if (!at || (!readable && !writable))
        return;
    at->fd = fd;
    at->ev = event_new(dns->net->base, fd, what, on_socket, dns);
    if (at->ev && event_add(at->ev, NULL) != 0) {
        event_free(at->ev);
        at->ev = NULL;
    }
}

static cph_err dns_new(struct cph_net *net)
{
    struct net_dns *dns = calloc(1, sizeof *dns);
    struct ares_options opt = { .timeout = net->dns_try_ms,
                                .tries = NET_DNS_TRIES,
                                .ndomains =
                                    0, /* names are absolute: a search list could lead elsewhere */
                                .sock_state_cb = on_socket_state,
                                .sock_state_cb_data = dns };
    char lookups[] = "fb"; /* the hosts file, then the servers */
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_LOOKUPS;
    int status;

    if (!dns)
        return CPH_E_NOMEM;
    opt.lookups = lookups;
    dns->net = net;
    if (cph_net_wake_new(net, on_retry, dns, &dns->wake) != CPH_OK) {
        free(dns);
        return CPH_E_NOMEM;
    }
    status = ares_init_options(&dns->channel, &opt, mask);
    if (status != ARES_SUCCESS) {
        cph_log(net->env, CPH_LOG_ERROR, "net", "the resolver does not start: %s",
                ares_strerror(status));
        cph_net_wake_free(dns->wake);
        free(dns);
        return status == ARES_ENOMEM ? CPH_E_NOMEM : CPH_E_NAME;
    }
    net->dns = dns;
    return CPH_OK;
}

/* The wake and the queries' handles are gone already; the resolver now lets go of the queries. */
void net_dns_free(struct cph_net *net)
{
    if (!net->dns)
        return;
    ares_destroy(net->dns->channel);
    for (size_t i = 0; i < NET_DNS_SOCKETS; i++)
        if (net->dns->socket[i].ev)
            event_free(net->dns->socket[i].ev);
    free(net->dns);
    net->dns = NULL;
}

cph_err cph_net_dns_server(struct cph_net *net, const struct cph_addr *server)
{
    char text[CPH_ADDR_TEXT];

    if (!net->dns)
        CPH_TRY(dns_new(net));
    return ares_set_servers_ports_csv(net->dns->channel, cph_addr_text(server, text)) ==
                   ARES_SUCCESS
               ? CPH_OK
               : CPH_E_NAME;
}

/* ---- a query's life -------------------------------------------------------------------------- */

static void query_stop(struct net_handle *h)
{
    cph_net_wake_free(((struct cph_net_query *)h)->wake);
}

static void query_release(struct net_handle *h)
{
    struct cph_net_query *q = (struct cph_net_query *)h;

    q->released = true;
    if (!q->asked)
        free(q);
}

/* The resolver lets go. true: somebody still waits for the outcome. */
static bool resolver_is_done(struct cph_net_query *q)
{
    q->asked = false;
    q->dns->queries--;
    if (q->released)
        free(q);
    else if (!q->h.dead)
        return true;
    return false;
}

static void deliver(void *arg, cph_time now)
{
    struct cph_net_query *q = arg;

    net_close(&q->h); /* stays readable until the turn is over */
    q->fn(q->arg, q->err, &q->answer, now);
}

static cph_err meaning(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return CPH_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return CPH_E_NOTFOUND;
    case ARES_ETIMEOUT:
        return CPH_E_TIMEOUT;
    case ARES_ENOMEM:
        return CPH_E_NOMEM;
    default:
        return CPH_E_NAME;
    }
}

/* Through the deadline, so that nobody is called inside cph_net_resolve(). */
static void settle(struct cph_net_query *q, cph_err err)
{
    q->err = err == CPH_OK && q->answer.n == 0 ? CPH_E_NOTFOUND : err;
    cph_net_wake_at(q->wake, 0);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The root comes as "": write it as DNS does. */
static bool copy_name(char *out, size_t cap, const char *from)
{
    const char *name = from && *from ? from : ".";

    return cph_span_cstr(cph_span_of(name), out, cap) == CPH_OK;
}

static bool copy_text(char *out, size_t cap, const unsigned char *from)
{
    return cph_span_cstr(cph_span_of((const char *)from), out, cap) == CPH_OK;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
    struct cph_net_query *q = arg;

    (void)timeouts;
    if (resolver_is_done(q)) {
        for (struct ares_addrinfo_node *node = res ? res->nodes : NULL; node;
             node = node->ai_next) {
            struct sockaddr_storage ss = { 0 };
            struct cph_addr a;

            if ((size_t)node->ai_addrlen > sizeof ss || q->answer.n == CPH_NET_DNS_ANSWERS)
                continue;
            memcpy(&ss, node->ai_addr, (size_t)node->ai_addrlen);
            a = net_from_sa(&ss);
            a.port = 0;
            if (a.family == (q->answer.type == CPH_NET_DNS_A ? CPH_AF_V4 : CPH_AF_V6))
                q->answer.addr[q->answer.n++] = a;
        }
        settle(q, meaning(status));
    }
    if (res)
        ares_freeaddrinfo(res);
}

static int read_srv(struct cph_net_dns *out, const unsigned char *msg, int n)
{
    struct ares_srv_reply *list = NULL;
    int status = ares_parse_srv_reply(msg, n, &list);

    for (struct ares_srv_reply *r = list; r && out->n < CPH_NET_DNS_ANSWERS; r = r->next) {
        struct cph_net_dns_srv *s = &out->srv[out->n];

        *s = (struct cph_net_dns_srv){ .priority = r->priority,
                                       .weight = r->weight,
                                       .port = r->port };
        out->n += copy_name(s->target, sizeof s->target, r->host);
    }
    ares_free_data(list);
    return status;
}

static int read_naptr(struct cph_net_dns *out, const unsigned char *msg, int n)
{
    struct ares_naptr_reply *list = NULL;
    int status = ares_parse_naptr_reply(msg, n, &list);

    for (struct ares_naptr_reply *r = list; r && out->n < CPH_NET_DNS_ANSWERS; r = r->next) {
        struct cph_net_dns_naptr *p = &out->naptr[out->n];

        *p = (struct cph_net_dns_naptr){ .order = r->order, .preference = r->preference };
        out->n += copy_text(p->flags, sizeof p->flags, r->flags) &&
                  copy_text(p->service, sizeof p->service, r->service) &&
                  copy_text(p->regexp, sizeof p->regexp, r->regexp) &&
                  copy_name(p->replacement, sizeof p->replacement, r->replacement);
    }
    ares_free_data(list);
    return status;
}

static void on_records(void *arg, int status, int timeouts, unsigned char *msg, int n)
{
    struct cph_net_query *q = arg;

    (void)timeouts;
    if (!resolver_is_done(q))
        return;
    if (status == ARES_SUCCESS)
        status = q->answer.type == CPH_NET_DNS_SRV ? read_srv(&q->answer, msg, n)
                                                   : read_naptr(&q->answer, msg, n);
    settle(q, meaning(status));
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* An address in place of a name needs no asking. */
static bool literal(struct cph_net_query *q, struct cph_span name)
{
    enum cph_family want = q->answer.type == CPH_NET_DNS_A      ? CPH_AF_V4
                           : q->answer.type == CPH_NET_DNS_AAAA ? CPH_AF_V6
                                                                : CPH_AF_NONE;
    struct cph_addr a;

    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = (struct cph_span){ name.p + 1, name.n - 2 };
    if (cph_addr_parse_ip(name, &a) != CPH_OK)
        return false;
    if (a.family == want) {
        q->answer.addr[0] = a;
        q->answer.n = 1;
    }
    settle(q, CPH_OK);
    return true;
}

static cph_err ask(struct cph_net_query *q, const char *name)
{
    struct cph_net *net = q->h.net;
    struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
                                         .ai_family = q->answer.type == CPH_NET_DNS_A ? AF_INET
                                                                                      : AF_INET6 };

    if (!net->dns)
        CPH_TRY(dns_new(net));
    if (net->dns->queries >= NET_DNS_QUERIES)
        return CPH_E_LIMIT;
    net->dns->queries++;
    q->dns = net->dns;
    q->asked = true;
    q->err = CPH_E_TIMEOUT;
    cph_net_wake_at(q->wake, cph_net_now(net) + NET_DNS_TIME);
    if (q->answer.type == CPH_NET_DNS_A || q->answer.type == CPH_NET_DNS_AAAA)
        ares_getaddrinfo(net->dns->channel, name, NULL, &hints, on_addresses, q);
    else
        ares_query(net->dns->channel, name, DNS_CLASS_IN,
                   q->answer.type == CPH_NET_DNS_SRV ? DNS_TYPE_SRV : DNS_TYPE_NAPTR, on_records,
                   q);
    rearm(net->dns);
    return CPH_OK;
}

cph_err cph_net_resolve(struct cph_net *net, enum cph_net_dns_type type, const char *name,
                        cph_net_dns_fn *fn, void *arg, struct cph_net_query **out)
{
    struct cph_span text = cph_span_of(name);
    struct cph_net_query *q;
    cph_err err;

    if (text.n == 0 || text.n >= CPH_NET_NAME)
        return CPH_E_ARGUMENT;
    q = calloc(1, sizeof *q);
    if (!q)
        return CPH_E_NOMEM;
    q->answer.type = type;
    q->fn = fn;
    q->arg = arg;
    err = cph_net_wake_new(net, deliver, q, &q->wake);
    if (err) {
        free(q);
        return err;
    }
    net_adopt(net, &q->h, query_stop, query_release);
    if (!literal(q, text))
        err = ask(q, name);
    if (err)
        net_close(&q->h);
    else
        *out = q;
    return err;
}

void cph_net_query_cancel(struct cph_net_query *q)
{
    if (q)
        net_close(&q->h);
}

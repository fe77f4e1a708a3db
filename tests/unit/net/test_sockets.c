#include "support.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "net_int.h"

enum { TURNS = 500 };

static struct cph_net_env host;

static struct cph_net *net_new(void)
{
    struct cph_net *net = NULL;

    cph_net_env_init(&host, CPH_LOG_ERROR);
    assert_ok(cph_net_new(&host.env, &net));
    return net;
}

static struct cph_addr addr(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

/* Some containers have no IPv6 at all; what needs it is then left out. */
static bool have_v6(void)
{
    struct cph_addr a = addr("[::1]:0");
    int fd;
    bool ok;

    if (net_socket(&a, SOCK_DGRAM, &fd) != CPH_OK)
        return false;
    ok = net_bind(fd, &a) == CPH_OK;
    (void)close(fd);
    return ok;
}

#define TURN_UNTIL(net, cond)                                                                      \
    do {                                                                                           \
        for (int turns_ = 0; !(cond) && turns_ < TURNS; turns_++)                                  \
            assert_ok(cph_net_turn(net, CPH_MS(20)));                                              \
        assert_true(cond);                                                                         \
    } while (0)

/* ---- UDP ------------------------------------------------------------------------------------- */

struct inbox {
    size_t n, bytes;
    uint8_t first[64]; /* bytes of each packet */
    struct cph_addr from;
    bool close_it;
};

static void on_packet(void *arg, struct cph_net_udp *udp, const struct cph_addr *from, uint8_t *pkt,
                      size_t n, cph_time now)
{
    struct inbox *in = arg;

    assert_true(now > 0);
    assert_true(in->n < sizeof in->first);
    in->first[in->n++] = n ? pkt[0] : 0;
    in->bytes += n;
    in->from = *from;
    if (n)
        pkt[0] ^= 0xff; /* ours to change */
    if (in->close_it)
        cph_net_udp_close(udp);
}

static void exchange(const char *at)
{
    static uint8_t big[65507];
    struct cph_net *net = net_new();
    struct inbox in[2] = { 0 };
    struct cph_net_udp *u[2];
    struct cph_addr a = addr(at), wrong = addr(a.family == CPH_AF_V4 ? "[::1]:9" : "127.0.0.1:9");
    size_t max = a.family == CPH_AF_V4 ? 65507 : 65487;

    for (size_t i = 0; i < 2; i++) {
        assert_ok(cph_net_udp_open(net, &a, on_packet, &in[i], &u[i]));
        assert_int_not_equal(cph_net_udp_local(u[i])->port, 0);
        assert_true(cph_addr_ip_eq(cph_net_udp_local(u[i]), &a));
    }
    assert_ok(cph_net_udp_send(u[0], cph_net_udp_local(u[1]), CPH_SPAN_LIT("hello")));
    assert_ok(cph_net_udp_send(u[0], cph_net_udp_local(u[1]), (struct cph_span){ 0 }));
    assert_ok(cph_net_udp_send(u[0], cph_net_udp_local(u[1]), (struct cph_span){ big, max }));
    TURN_UNTIL(net, in[1].n == 3);
    assert_int_equal(in[1].first[0], 'h');
    assert_int_equal(in[1].bytes, 5 + max);
    assert_true(cph_addr_eq(&in[1].from, cph_net_udp_local(u[0])));
    assert_err(cph_net_udp_send(u[0], cph_net_udp_local(u[1]), (struct cph_span){ big, max + 100 }),
               CPH_E_LIMIT);
    assert_err(cph_net_udp_send(u[0], &wrong, CPH_SPAN_LIT("x")), CPH_E_ARGUMENT);
    cph_net_udp_close(u[0]);
    cph_net_udp_close(NULL);
    cph_net_free(net);
}

static void datagrams_travel_over_ipv4_and_ipv6(void **state)
{
    (void)state;
    exchange("127.0.0.1:0");
    if (have_v6())
        exchange("[::1]:0");
}

static void a_batch_arrives_in_order(void **state)
{
    struct cph_net *net = net_new();
    struct inbox in = { 0 };
    struct cph_net_udp *from, *to;
    struct cph_addr a = addr("127.0.0.1:0");
    struct cph_net_datagram d[40];
    uint8_t bytes[40];
    size_t sent;

    (void)state;
    assert_ok(cph_net_udp_open(net, &a, on_packet, &in, &from));
    assert_ok(cph_net_udp_open(net, &a, on_packet, &in, &to));
    for (size_t i = 0; i < 40; i++) {
        bytes[i] = (uint8_t)i;
        d[i] = (struct cph_net_datagram){ *cph_net_udp_local(to), { &bytes[i], 1 } };
    }
    assert_ok(cph_net_udp_send_batch(from, d, 40, &sent));
    assert_int_equal(sent, 40);
    TURN_UNTIL(net, in.n == 40);
    assert_memory_equal(in.first, bytes, 40);
    d[17].to = addr("[::1]:5");
    assert_err(cph_net_udp_send_batch(from, d, 40, &sent), CPH_E_ARGUMENT);
    assert_int_equal(sent, 16);
    cph_net_free(net);
}

static void a_socket_closed_in_its_callback_gets_no_more(void **state)
{
    struct cph_net *net = net_new();
    struct inbox in = { .close_it = true };
    struct cph_net_udp *from, *to;
    struct cph_addr a = addr("127.0.0.1:0"), at;

    (void)state;
    assert_ok(cph_net_udp_open(net, &a, on_packet, NULL, &from));
    assert_ok(cph_net_udp_open(net, &a, on_packet, &in, &to));
    at = *cph_net_udp_local(to);
    for (int i = 0; i < 5; i++)
        assert_ok(cph_net_udp_send(from, &at, CPH_SPAN_LIT("x")));
    TURN_UNTIL(net, in.n > 0);
    assert_ok(cph_net_turn(net, CPH_MS(5)));
    assert_int_equal(in.n, 1);
    cph_net_free(net);
}

static void a_taken_port_and_a_foreign_address_are_named(void **state)
{
    struct cph_net *net = net_new();
    struct cph_net_udp *u, *v;
    struct cph_net_listener *l, *m;
    struct cph_addr a = addr("127.0.0.1:0"), foreign = addr("198.51.100.77:0"), none = { 0 };

    (void)state;
    assert_ok(cph_net_udp_open(net, &a, on_packet, NULL, &u));
    assert_err(cph_net_udp_open(net, cph_net_udp_local(u), on_packet, NULL, &v), CPH_E_EXISTS);
    assert_err(cph_net_udp_open(net, &foreign, on_packet, NULL, &v), CPH_E_ARGUMENT);
    assert_err(cph_net_udp_open(net, &none, on_packet, NULL, &v), CPH_E_ARGUMENT);
    assert_ok(cph_net_listen(net, &a, NULL, NULL, &l));
    assert_err(cph_net_listen(net, cph_net_listener_local(l), NULL, NULL, &m), CPH_E_EXISTS);
    assert_err(cph_net_listen(net, &foreign, NULL, NULL, &m), CPH_E_ARGUMENT);
    cph_net_free(net);
}

static void rtp_gets_an_even_port_and_rtcp_the_next(void **state)
{
    struct cph_net *net = net_new();
    struct cph_addr a = addr("127.0.0.1:7");

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct cph_net_udp *pair[2];
        unsigned port;

        assert_ok(cph_net_udp_pair(net, &a, on_packet, NULL, pair));
        port = cph_net_udp_local(pair[0])->port;
        assert_int_equal(port % 2, 0);
        assert_in_range(port, NET_RTP_LOW, NET_RTP_HIGH - 1);
        assert_int_equal(cph_net_udp_local(pair[1])->port, port + 1);
    }
    cph_net_free(net);
}

static cph_err constant(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    memset(buf, 0x22, n);
    return CPH_OK;
}

static void a_pair_that_is_taken_is_refused_in_the_end(void **state)
{
    struct test_env env;
    struct cph_net *net;
    struct cph_net_udp *pair[2];
    struct cph_addr a = addr("127.0.0.1:0");

    (void)state;
    test_env_init(&env, 1);
    env.env.random = constant;
    assert_ok(cph_net_new(&env.env, &net));
    assert_ok(cph_net_udp_pair(net, &a, on_packet, NULL, pair));
    assert_err(cph_net_udp_pair(net, &a, on_packet, NULL, pair), CPH_E_EXISTS);
    cph_net_udp_close(
        pair[0]); /* the odd one alone is enough to refuse, and the even one is given back */
    assert_err(cph_net_udp_pair(net, &a, on_packet, NULL, pair), CPH_E_EXISTS);
    cph_net_free(net);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

struct end {
    struct cph_net_conn *c;
    bool open, closed, drained;
    cph_err why;
    size_t bytes;
    char text[64];
    bool close_on_data, take;
};

static void on_open(void *arg, struct cph_net_conn *c, cph_time now)
{
    struct end *e = arg;

    (void)now;
    assert_ptr_equal(c, e->c);
    e->open = true;
}

static void on_data(void *arg, struct cph_net_conn *c, struct cph_span bytes, cph_time now)
{
    struct end *e = arg;

    (void)now;
    for (size_t i = 0; i < bytes.n && e->bytes + i < sizeof e->text - 1; i++)
        e->text[e->bytes + i] = (char)bytes.p[i];
    e->bytes += bytes.n;
    if (e->close_on_data)
        cph_net_conn_close(c);
}

static void on_closed(void *arg, struct cph_net_conn *c, cph_err why, cph_time now)
{
    struct end *e = arg;

    (void)c;
    (void)now;
    assert_false(e->closed);
    e->closed = true;
    e->why = why;
}

static void on_drained(void *arg, struct cph_net_conn *c, cph_time now)
{
    (void)c;
    (void)now;
    ((struct end *)arg)->drained = true;
}

static const struct cph_net_conn_ops ops = { on_open, on_data, on_closed, on_drained };

static void on_accept(void *arg, struct cph_net_listener *l, struct cph_net_conn *c, cph_time now)
{
    struct end *e = arg;

    (void)l;
    (void)now;
    e->open = true;
    if (e->take) {
        e->c = c;
        cph_net_conn_take(c, &ops, e);
    }
}

struct wire {
    struct cph_net *net;
    struct cph_net_listener *l;
    struct end client, server;
};

static void wire_up(struct wire *w, const char *at)
{
    struct cph_addr a = addr(at);

    *w = (struct wire){ .net = net_new(), .server.take = true };
    assert_ok(cph_net_listen(w->net, &a, on_accept, &w->server, &w->l));
    assert_ok(cph_net_connect(w->net, cph_net_listener_local(w->l), CPH_SEC(5), &ops, &w->client,
                              &w->client.c));
    assert_false(w->client.open); /* never inside the call */
    TURN_UNTIL(w->net, w->client.open && w->server.open);
}

static void a_connection_carries_bytes_both_ways(void **state)
{
    static const char *const at[] = { "127.0.0.1:0", "[::1]:0" };

    (void)state;
    for (size_t i = 0; i < (have_v6() ? 2 : 1); i++) {
        struct wire w;

        wire_up(&w, at[i]);
        assert_true(cph_addr_eq(cph_net_conn_local(w.client.c), cph_net_conn_peer(w.server.c)));
        assert_true(cph_addr_eq(cph_net_conn_local(w.server.c), cph_net_conn_peer(w.client.c)));
        assert_ok(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("INVITE ")));
        assert_ok(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("bob")));
        assert_ok(cph_net_conn_put(w.server.c, CPH_SPAN_LIT("200")));
        TURN_UNTIL(w.net, w.server.bytes == 10 && w.client.bytes == 3 && w.client.drained);
        assert_string_equal(w.server.text, "INVITE bob");
        assert_int_equal(cph_net_conn_queued(w.client.c), 0);
        cph_net_conn_close(w.server.c);
        TURN_UNTIL(w.net, w.client.closed);
        assert_int_equal(w.client.why, CPH_E_CLOSED);
        assert_false(w.server.closed); /* who closes is not told */
        cph_net_listener_close(w.l);
        cph_net_listener_close(NULL);
        cph_net_free(w.net);
    }
}

static void what_is_put_before_the_connection_stands_is_kept(void **state)
{
    struct wire w = { .net = net_new(), .server.take = true };
    struct cph_addr a = addr("127.0.0.1:0");

    (void)state;
    assert_ok(cph_net_listen(w.net, &a, on_accept, &w.server, &w.l));
    assert_ok(cph_net_connect(w.net, cph_net_listener_local(w.l), CPH_SEC(5), &ops, &w.client,
                              &w.client.c));
    assert_ok(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("early")));
    cph_net_conn_finish(w.client.c);
    TURN_UNTIL(w.net, w.server.closed);
    assert_string_equal(w.server.text, "early");
    assert_int_equal(w.server.why, CPH_E_CLOSED);
    assert_false(w.client.open || w.client.closed);
    cph_net_free(w.net);
}

static void a_full_queue_refuses_and_keeps_what_it_has(void **state)
{
    static uint8_t block[CPH_NET_QUEUE_MAX];
    struct wire w;
    size_t put = 0;

    (void)state;
    wire_up(&w, "127.0.0.1:0");
    memset(block, 'x', sizeof block);
    assert_ok(cph_net_conn_put(w.client.c, (struct cph_span){ block, sizeof block }));
    put += sizeof block;
    assert_err(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("y")), CPH_E_LIMIT);
    TURN_UNTIL(w.net, cph_net_conn_queued(w.client.c) < sizeof block);
    assert_ok(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("y")));
    cph_net_conn_finish(w.client.c);
    assert_err(cph_net_conn_put(w.client.c, CPH_SPAN_LIT("z")), CPH_E_CLOSED);
    TURN_UNTIL(w.net, w.server.closed);
    assert_int_equal(w.server.bytes, put + 1);
    cph_net_free(w.net);
}

static void finishing_delivers_all_even_when_bytes_cross(void **state)
{
    static uint8_t block[300000];
    struct wire w;

    (void)state;
    wire_up(&w, "127.0.0.1:0");
    assert_ok(cph_net_conn_put(w.client.c, (struct cph_span){ block, sizeof block }));
    assert_ok(
        cph_net_conn_put(w.server.c, (struct cph_span){ block, sizeof block })); /* never read */
    cph_net_conn_finish(w.client.c);
    TURN_UNTIL(w.net, w.server.closed);
    assert_int_equal(w.server.bytes, sizeof block);
    TURN_UNTIL(w.net, w.net->conns == 0);
    cph_net_free(w.net);
}

static void a_refused_or_silent_peer_is_told_apart(void **state)
{
    struct cph_net *net = net_new();
    struct end refused = { 0 }, silent = { 0 };
    struct cph_addr a = addr("127.0.0.1:0");
    struct cph_net_listener *l;

    (void)state;
    assert_ok(cph_net_listen(net, &a, on_accept, &refused, &l));
    a = *cph_net_listener_local(l);
    cph_net_listener_close(l);
    assert_ok(cph_net_connect(net, &a, CPH_SEC(5), &ops, &refused, &refused.c));
    TURN_UNTIL(net, refused.closed);
    assert_int_equal(refused.why, CPH_E_CLOSED);

    /* a listener whose queue is full answers nobody */
    {
        struct cph_addr any = addr("127.0.0.1:0");
        struct end ignored[8] = { 0 };
        int fd;

        assert_ok(net_socket(&any, SOCK_STREAM, &fd));
        assert_ok(net_bind(fd, &any));
        assert_int_equal(listen(fd, 0), 0);
        a = net_local_of(fd);
        for (size_t i = 0; i < 4; i++)
            assert_ok(cph_net_connect(net, &a, CPH_SEC(60), &ops, &ignored[i], &ignored[i].c));
        for (int i = 0; i < 5; i++)
            assert_ok(cph_net_turn(net, CPH_MS(5)));
        silent.c = NULL;
        assert_ok(cph_net_connect(net, &a, CPH_MS(30), &ops, &silent, &silent.c));
        TURN_UNTIL(net, silent.closed);
        assert_int_equal(silent.why, CPH_E_TIMEOUT);
        (void)close(fd);
        cph_net_free(net);
    }
}

static bool from_the_same_port;

/* The library's too: one in some ten thousand connections to a port of this machine where nobody
 * listens comes from that very port, and is then one with itself. */
int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    if (from_the_same_port)
        assert_int_equal(bind(fd, to, n), 0);
    return (int)syscall(SYS_connect, fd, to, n);
}

static void a_connection_with_itself_is_refused(void **state)
{
    struct cph_net *net = net_new();
    struct cph_addr a = addr("127.0.0.1:0");
    struct cph_net_listener *l;
    struct end self = { 0 };

    (void)state;
    assert_ok(cph_net_listen(net, &a, on_accept, &self, &l));
    a = *cph_net_listener_local(l);
    cph_net_listener_close(l);
    from_the_same_port = true;
    assert_ok(cph_net_connect(net, &a, CPH_SEC(5), &ops, &self, &self.c));
    from_the_same_port = false;
    assert_ok(cph_net_conn_put(self.c, CPH_SPAN_LIT("is anybody there?")));
    TURN_UNTIL(net, self.closed);
    assert_int_equal(self.why, CPH_E_CLOSED);
    assert_int_equal(self.bytes, 0);
    cph_net_free(net);
}

static void a_connection_closed_while_it_is_read_gets_no_more(void **state)
{
    static uint8_t block[200000];
    struct wire w;

    (void)state;
    wire_up(&w, "127.0.0.1:0");
    w.server.close_on_data = true;
    assert_ok(cph_net_conn_put(w.client.c, (struct cph_span){ block, sizeof block }));
    TURN_UNTIL(w.net, w.client.closed);
    assert_true(w.server.bytes <= NET_READ);
    assert_false(w.server.closed);
    cph_net_free(w.net);
}

static void a_connection_nobody_takes_is_closed(void **state)
{
    struct wire w = { .net = net_new() };
    struct cph_addr a = addr("127.0.0.1:0");

    (void)state;
    assert_ok(cph_net_listen(w.net, &a, on_accept, &w.server, &w.l));
    assert_ok(cph_net_connect(w.net, cph_net_listener_local(w.l), CPH_SEC(5), &ops, &w.client,
                              &w.client.c));
    TURN_UNTIL(w.net, w.client.closed);
    assert_true(w.server.open);
    assert_int_equal(w.net->conns, 0);
    cph_net_free(w.net);
}

static void out_of_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct wire w = { .net = net_new(), .server.take = true };
    struct cph_addr a = addr("127.0.0.1:0");
    struct rlimit was, now;
    int next;

    (void)state;
    host.level = CPH_LOG_ERROR;
    assert_ok(cph_net_listen(w.net, &a, on_accept, &w.server, &w.l));
    assert_ok(cph_net_connect(w.net, cph_net_listener_local(w.l), CPH_SEC(5), &ops, &w.client,
                              &w.client.c));
    next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    now = was;
    now.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    for (int i = 0; i < 4; i++)
        assert_ok(cph_net_turn(w.net, CPH_MS(10)));
    assert_false(w.server.open);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    TURN_UNTIL(w.net, w.server.open);
    cph_net_free(w.net);
}

static void the_number_of_connections_is_bounded(void **state)
{
    struct wire w;
    struct cph_net_conn *c;

    (void)state;
    wire_up(&w, "127.0.0.1:0");
    w.net->conns = CPH_NET_CONNS_MAX;
    assert_err(cph_net_connect(w.net, cph_net_listener_local(w.l), CPH_SEC(5), &ops, &w.client, &c),
               CPH_E_LIMIT);
    w.net->conns = 2;
    cph_net_free(w.net);
}

/* ---- which address --------------------------------------------------------------------------- */

static void the_local_address_is_the_one_that_reaches_the_peer(void **state)
{
    struct cph_addr to = addr("127.0.0.1:5060"), out, want = addr("127.0.0.1");

    (void)state;
    assert_ok(cph_net_local_for(&to, &out));
    assert_true(cph_addr_eq(&out, &want));
    to = addr("127.9.9.9");
    assert_ok(cph_net_local_for(&to, &out));
    assert_true(out.family == CPH_AF_V4 && out.port == 0);
    to = addr("::1");
    want = addr("::1");
    if (have_v6()) {
        assert_ok(cph_net_local_for(&to, &out));
        assert_true(cph_addr_eq(&out, &want));
    }
    to = (struct cph_addr){ 0 };
    assert_err(cph_net_local_for(&to, &out), CPH_E_ARGUMENT);
}

static cph_err scenario(void *arg)
{
    struct cph_addr a = addr("127.0.0.1:0");
    struct end e = { 0 };
    struct cph_net_listener *l;
    struct cph_net_udp *u;
    struct cph_net *net;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_net_new(&host.env, &net));
    err = cph_net_udp_open(net, &a, on_packet, NULL, &u);
    if (err == CPH_OK)
        err = cph_net_listen(net, &a, on_accept, &e, &l);
    if (err == CPH_OK)
        err = cph_net_connect(net, cph_net_listener_local(l), CPH_SEC(1), &ops, &e, &e.c);
    if (err == CPH_OK)
        err = cph_net_conn_put(e.c, CPH_SPAN_LIT("hello"));
    if (err == CPH_OK)
        err = cph_net_turn(net, 0);
    cph_net_free(net);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
}

struct reader {
    uint8_t masked[TEST_NEEDLE];
    unsigned seen, in_memory;
};

static void on_secret(void *arg, struct cph_net_udp *udp, const struct cph_addr *from, uint8_t *pkt,
                      size_t n, cph_time now)
{
    struct reader *r = arg;

    (void)udp, (void)from, (void)now;
    assert_int_equal(n, TEST_NEEDLE);
    test_mask(r->masked, pkt, n);
    r->in_memory += test_in_memory(r->masked, n, NULL) > 0;
    r->seen++;
}

/* Keys of SDES come in datagrams. */
static void nothing_of_a_datagram_stays_behind(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    struct cph_net *net = net_new();
    struct cph_addr any = addr("127.0.0.1:0");
    struct reader r = { .seen = 0 };
    struct cph_net_udp *a, *b;

    (void)state;
    assert_ok(cph_net_udp_open(net, &any, on_secret, &r, &a));
    assert_ok(cph_net_udp_open(net, &any, on_secret, &r, &b));
    for (unsigned i = 0; i < 20; i++) { /* several are read at once */
        uint8_t bytes[TEST_NEEDLE];

        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(37 * i + 11 * k);
        assert_ok(
            cph_net_udp_send(b, cph_net_udp_local(a), (struct cph_span){ bytes, sizeof bytes }));
        cph_wipe(bytes, sizeof bytes);
    }
    TURN_UNTIL(net, r.seen == 20);
    assert_int_equal(r.in_memory, 20); /* we would see it */
    assert_int_equal(test_in_memory(r.masked, sizeof r.masked, "a datagram"), 0);
    cph_net_udp_close(a);
    cph_net_udp_close(b);
    cph_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_a_datagram_stays_behind),
        cmocka_unit_test(datagrams_travel_over_ipv4_and_ipv6),
        cmocka_unit_test(a_batch_arrives_in_order),
        cmocka_unit_test(a_socket_closed_in_its_callback_gets_no_more),
        cmocka_unit_test(a_taken_port_and_a_foreign_address_are_named),
        cmocka_unit_test(rtp_gets_an_even_port_and_rtcp_the_next),
        cmocka_unit_test(a_pair_that_is_taken_is_refused_in_the_end),
        cmocka_unit_test(a_connection_carries_bytes_both_ways),
        cmocka_unit_test(what_is_put_before_the_connection_stands_is_kept),
        cmocka_unit_test(a_full_queue_refuses_and_keeps_what_it_has),
        cmocka_unit_test(finishing_delivers_all_even_when_bytes_cross),
        cmocka_unit_test(a_refused_or_silent_peer_is_told_apart),
        cmocka_unit_test(a_connection_with_itself_is_refused),
        cmocka_unit_test(a_connection_closed_while_it_is_read_gets_no_more),
        cmocka_unit_test(a_connection_nobody_takes_is_closed),
        cmocka_unit_test(out_of_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(the_number_of_connections_is_bounded),
        cmocka_unit_test(the_local_address_is_the_one_that_reaches_the_peer),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "support.h"

#include "net.h"

#include "ciphony/base_text.h"

struct peer {
    struct lab_node *node;
    uint32_t flow;
    unsigned got, opened, closed, woken;
    uint64_t digest; /* of what came and when */
    size_t bytes;
};

static void mix(struct peer *p, struct cph_span bytes, cph_time now)
{
    for (size_t i = 0; i < bytes.n; i++)
        p->digest = (p->digest ^ bytes.p[i]) * 0x100000001b3U;
    p->digest = (p->digest ^ (uint64_t)now) * 0x100000001b3U;
}

static void datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                     struct cph_span bytes, cph_time now)
{
    struct peer *p = ctx;

    (void)local, (void)from;
    p->got++;
    mix(p, bytes, now);
}

static void flow_open(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                      const struct cph_addr *remote, cph_time now)
{
    struct peer *p = ctx;

    (void)local, (void)remote, (void)now;
    p->opened++;
    p->flow = flow;
    if (incoming)
        assert_ok(lab_flow_write(p->node, flow, CPH_SPAN_LIT("welcome")));
}

static void flow_bytes(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct peer *p = ctx;

    (void)flow;
    for (size_t i = 0; i < bytes.n; i++, p->bytes++)
        if (bytes.n > 7)
            assert_int_equal(bytes.p[i], (uint8_t)p->bytes); /* in order, none missing */
    mix(p, bytes, now);
}

static void flow_closed(void *ctx, uint32_t flow, cph_time now)
{
    (void)flow, (void)now;
    ((struct peer *)ctx)->closed++;
}

static void wake(void *ctx, cph_time now)
{
    struct peer *p = ctx;

    p->woken++;
    assert_ok(lab_wake_at(p->node, now + CPH_MS(10)));
}

static const struct lab_node_ops ops = { datagram, flow_open, flow_bytes, flow_closed, wake };
static const struct lab_link rough = { CPH_MS(20), CPH_MS(10), 100, 50, 50 };

static struct cph_addr at(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

static uint64_t thousand_datagrams(uint64_t seed, struct lab_counts *counts, unsigned *got)
{
    struct cph_addr here = at("10.0.0.1:5060"), there = at("10.0.0.2:5060");
    struct lab_net *net;
    struct peer a = { 0 }, b = { 0 };

    assert_ok(lab_net_new(seed, rough, &net));
    assert_ok(lab_node_new(net, &ops, &a, &a.node));
    assert_ok(lab_node_new(net, &ops, &b, &b.node));
    assert_ok(lab_bind(a.node, &here));
    assert_err(lab_bind(b.node, &here), CPH_E_EXISTS);
    assert_ok(lab_bind(b.node, &there));
    assert_err(lab_send(b.node, &here, &there, CPH_SPAN_LIT("x")), CPH_E_ARGUMENT);
    for (uint32_t i = 0; i < 1000; i++)
        assert_ok(lab_send(a.node, &here, &there, (struct cph_span){ (uint8_t *)&i, 4 }));
    assert_ok(lab_run(net, CPH_SEC(1)));
    assert_true(lab_now(net) == CPH_SEC(1));
    *counts = lab_counts(net);
    *got = b.got;
    lab_net_free(net);
    return b.digest;
}

static void a_run_is_its_seed(void **state)
{
    struct lab_counts c, again;
    unsigned got, got_again;
    uint64_t digest = thousand_datagrams(7, &c, &got);

    (void)state;
    assert_true(digest == thousand_datagrams(7, &again, &got_again));
    assert_memory_equal(&c, &again, sizeof c);
    assert_true(digest != thousand_datagrams(8, &again, &got_again));
    assert_true(c.lost > 50 && c.lost < 150 && c.duplicated > 20 && c.reordered > 20);
    assert_int_equal(got, c.sent - c.lost + c.duplicated);
}

static void flows_keep_order_and_tell_both_ends_when_they_close(void **state)
{
    struct cph_addr here = at("10.0.0.1:40000"), there = at("10.0.0.2:5060"),
                    nobody = at("10.0.0.3:5060");
    uint8_t bytes[10000];
    struct lab_net *net;
    struct peer a = { 0 }, b = { 0 };
    uint32_t flow, dead;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_ok(lab_net_new(1, rough, &net));
    assert_ok(lab_node_new(net, &ops, &a, &a.node));
    assert_ok(lab_node_new(net, &ops, &b, &b.node));
    assert_ok(lab_bind(b.node, &there));
    assert_ok(lab_connect(a.node, &here, &there, &flow));
    assert_ok(lab_run(net, CPH_MS(200)));
    assert_int_equal(a.opened + b.opened, 2);
    assert_int_equal(a.bytes, strlen("welcome"));
    assert_ok(lab_flow_write(a.node, flow, (struct cph_span){ bytes, 5000 }));
    lab_flow_close(a.node, flow);
    assert_err(lab_flow_write(a.node, flow, (struct cph_span){ bytes, 1 }), CPH_E_CLOSED);
    assert_ok(lab_run(net, CPH_MS(400)));
    assert_int_equal(b.bytes, 5000);
    assert_int_equal(b.closed, 1);
    assert_err(lab_flow_write(b.node, b.flow, (struct cph_span){ bytes, 1 }), CPH_E_CLOSED);
    assert_ok(lab_connect(a.node, &here, &nobody, &dead));
    assert_ok(lab_run(net, CPH_MS(600)));
    assert_int_equal(a.closed, 1);
    assert_int_equal(lab_counts(net).flows_open, 0);
    lab_net_free(net);
}

static void a_node_is_woken_when_it_asked(void **state)
{
    struct lab_net *net;
    struct peer a = { 0 };

    (void)state;
    assert_ok(lab_net_new(1, rough, &net));
    assert_ok(lab_node_new(net, &ops, &a, &a.node));
    assert_true(lab_next(net) == CPH_TIME_NEVER);
    assert_ok(lab_wake_at(a.node, CPH_MS(5)));
    assert_ok(lab_run(net, CPH_MS(104)));
    assert_int_equal(a.woken, 10);
    assert_ok(lab_wake_at(a.node, CPH_TIME_NEVER));
    assert_ok(lab_run(net, CPH_MS(1000)));
    assert_int_equal(a.woken, 10);
    lab_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_its_seed),
        cmocka_unit_test(flows_keep_order_and_tell_both_ends_when_they_close),
        cmocka_unit_test(a_node_is_woken_when_it_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

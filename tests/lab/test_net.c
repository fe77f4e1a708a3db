/* The simulated network itself: what a link does to what goes over it, and that a run is its seed.
 */
#include "support.h"

#include "net.h"

#include "ciphony/base_tools.h"

enum { MANY = 4000 };

/* Two hosts; what arrives at the second is written down. */
struct pair {
    struct lab_net *net;
    struct lab_node *node[2];
    struct cph_addr addr[2];
    unsigned came, twice, backwards; /* datagrams; seen before; below the highest so far */
    bool seen[MANY];
    uint32_t top;
    cph_time sent_at, soonest, latest;
    uint64_t digest; /* of bytes and times in their order */
    size_t stream;   /* bytes of the flow that came in their order */
    bool stream_ok;
};

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct pair *p = ctx;
    cph_time took = now - p->sent_at;
    uint8_t both[sizeof p->digest + sizeof now + sizeof(uint32_t)];
    uint32_t i;

    (void)local;
    (void)from;
    assert_int_equal(bytes.n, sizeof i);
    memcpy(&i, bytes.p, sizeof i);
    assert_true(i < MANY);
    p->came++;
    p->twice += p->seen[i];
    p->backwards += p->came > 1 && i < p->top;
    p->top = i > p->top ? i : p->top;
    p->seen[i] = true;
    p->soonest = took < p->soonest ? took : p->soonest;
    p->latest = took > p->latest ? took : p->latest;
    memcpy(both, &p->digest, sizeof p->digest);
    memcpy(both + sizeof p->digest, &now, sizeof now);
    memcpy(both + sizeof p->digest + sizeof now, &i, sizeof i);
    p->digest = cph_siphash(1, 2, (struct cph_span){ both, sizeof both });
}

static void on_open(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                    const struct cph_addr *remote, cph_time now)
{
    (void)ctx;
    (void)flow;
    (void)incoming;
    (void)local;
    (void)remote;
    (void)now;
}

static void on_bytes(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct pair *p = ctx;

    (void)flow;
    (void)now;
    for (size_t i = 0; i < bytes.n; i++, p->stream++)
        p->stream_ok &= bytes.p[i] == (uint8_t)(p->stream * 7);
}

static void open_pair(struct pair *p, uint64_t seed, struct lab_link link)
{
    static const struct lab_node_ops ops = { .datagram = on_datagram,
                                             .flow_open = on_open,
                                             .flow_bytes = on_bytes };

    memset(p, 0, sizeof *p);
    p->soonest = CPH_TIME_NEVER;
    p->stream_ok = true;
    assert_ok(lab_net_new(seed, link, &p->net));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(cph_addr_parse(CPH_SPAN_LIT("10.1.0.1:7000"), &p->addr[i]));
        p->addr[i].ip[3] = (uint8_t)(1 + i);
        assert_ok(lab_node_new(p->net, &ops, p, &p->node[i]));
        assert_ok(lab_bind(p->node[i], &p->addr[i]));
    }
}

static void send_one(struct pair *p, uint32_t i)
{
    assert_ok(lab_send(p->node[0], &p->addr[0], &p->addr[1],
                       (struct cph_span){ (const uint8_t *)&i, sizeof i }));
}

/* Each on its own, so that its time on the way is known; or all a millisecond apart. */
static void send_many(struct pair *p, unsigned n, bool one_by_one)
{
    for (uint32_t i = 0; i < n; i++) {
        p->sent_at = lab_now(p->net);
        send_one(p, i);
        assert_ok(lab_run(p->net, lab_now(p->net) + (one_by_one ? CPH_SEC(1) : CPH_MS(1))));
    }
    assert_ok(lab_run(p->net, lab_now(p->net) + CPH_SEC(10)));
}

static void delay_is_exact_and_jitter_stays_in_its_bounds(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, 1, (struct lab_link){ .delay = CPH_MS(20) });
    send_many(&p, 200, true);
    assert_int_equal(p.came, 200);
    assert_true(p.soonest == CPH_MS(20) && p.latest == CPH_MS(20));
    lab_net_free(p.net);

    open_pair(&p, 1, (struct lab_link){ .delay = CPH_MS(20), .jitter = CPH_MS(10) });
    send_many(&p, 1000, true);
    assert_int_equal(p.came, 1000);
    assert_true(p.soonest >= CPH_MS(20) && p.soonest < CPH_MS(20) + CPH_MS(1));
    assert_true(p.latest < CPH_MS(30) && p.latest >= CPH_MS(29));
    lab_net_free(p.net);
}

static void as_many_are_lost_as_the_link_says(void **state)
{
    static const unsigned loss[] = { 0, 100, 500, 1000 };
    struct pair p;

    (void)state;
    for (size_t k = 0; k < sizeof loss / sizeof *loss; k++) {
        unsigned want = MANY - MANY / 1000 * loss[k];

        open_pair(&p, 2, (struct lab_link){ .delay = CPH_MS(5), .loss = loss[k] });
        send_many(&p, MANY, false);
        assert_in_range(p.came, want < 100 ? want : want - 100, want + (want % MANY ? 100 : 0));
        assert_int_equal(p.came + lab_counts(p.net).lost, MANY);
        assert_int_equal(p.twice + p.backwards, 0);
        lab_net_free(p.net);
    }
}

static void duplicates_come_twice_and_nothing_is_changed(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, 3, (struct lab_link){ .delay = CPH_MS(5), .duplicate = 1000 });
    send_many(&p, MANY, false);
    assert_int_equal(p.came, 2 * MANY);
    assert_int_equal(p.twice, MANY);
    lab_net_free(p.net);

    open_pair(&p, 3, (struct lab_link){ .delay = CPH_MS(5), .duplicate = 250 });
    send_many(&p, MANY, false);
    assert_in_range(p.twice, MANY / 4 - 100, MANY / 4 + 100);
    assert_int_equal(p.twice, lab_counts(p.net).duplicated);
    lab_net_free(p.net);
}

static void what_is_reordered_is_overtaken_and_all_of_it_comes(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, 4, (struct lab_link){ .delay = CPH_MS(5) });
    send_many(&p, MANY, false);
    assert_int_equal(p.backwards, 0);
    lab_net_free(p.net);

    open_pair(&p, 4, (struct lab_link){ .delay = CPH_MS(5), .reorder = 100 });
    send_many(&p, MANY, false);
    assert_int_equal(p.came, MANY);
    assert_in_range(p.backwards, MANY / 10 - 100, MANY / 10 + 100);
    lab_net_free(p.net);
}

static void a_stream_is_late_on_a_bad_link_and_never_wrong(void **state)
{
    struct lab_link bad = {
        .delay = CPH_MS(5), .jitter = CPH_MS(50), .loss = 500, .duplicate = 500, .reorder = 500
    };
    uint8_t bytes[5000];
    uint32_t flow;
    struct pair p;
    size_t said = 0;

    (void)state;
    open_pair(&p, 5, bad);
    assert_ok(lab_connect(p.node[0], &p.addr[0], &p.addr[1], &flow));
    assert_ok(lab_run(p.net, CPH_SEC(1)));
    for (unsigned k = 0; k < 20; k++) {
        for (size_t i = 0; i < sizeof bytes; i++, said++)
            bytes[i] = (uint8_t)(said * 7);
        assert_ok(lab_flow_write(p.node[0], flow, (struct cph_span){ bytes, sizeof bytes }));
        assert_ok(lab_run(p.net, lab_now(p.net) + CPH_MS(3)));
    }
    assert_ok(lab_run(p.net, lab_now(p.net) + CPH_SEC(5)));
    assert_int_equal(p.stream, said);
    assert_true(p.stream_ok);
    lab_net_free(p.net);
}

static uint64_t run_of(uint64_t seed)
{
    struct lab_link bad = {
        .delay = CPH_MS(20), .jitter = CPH_MS(30), .loss = 100, .duplicate = 100, .reorder = 100
    };
    struct pair p;

    open_pair(&p, seed, bad);
    send_many(&p, 1000, false);
    lab_net_free(p.net);
    return p.digest;
}

/* The number stands here so that every compiler and every optimisation has to come to the same. */
static void a_run_is_its_seed_whoever_compiled_it(void **state)
{
    (void)state;
    assert_true(run_of(7) == run_of(7));
    assert_true(run_of(7) != run_of(8));
    assert_true(run_of(7) == UINT64_C(0x795b065222f65a08));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_is_exact_and_jitter_stays_in_its_bounds),
        cmocka_unit_test(as_many_are_lost_as_the_link_says),
        cmocka_unit_test(duplicates_come_twice_and_nothing_is_changed),
        cmocka_unit_test(what_is_reordered_is_overtaken_and_all_of_it_comes),
        cmocka_unit_test(a_stream_is_late_on_a_bad_link_and_never_wrong),
        cmocka_unit_test(a_run_is_its_seed_whoever_compiled_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whole calls between two user agents in virtual time. */
#include "ua_support.c"

#define OFFER  "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n"
#define ANSWER "v=0\r\no=- 2 2 IN IP4 10.0.0.2\r\n"

static struct cph_span body(const char *s)
{
    return cph_span_of(s);
}

static void two(struct world *w, uint64_t seed, const char *protos)
{
    w_init(w, seed);
    for (int i = 0; i < 2; i++) {
        struct cph_sip_ua_cfg c = w_cfg(w, i, i ? "10.0.0.2" : "10.0.0.1", protos);

        assert_ok(w_start(w, i, &c));
    }
}

static uint32_t place(struct world *w, const char *to)
{
    struct cph_sip_place p = { .to = to,
                               .from = "\"Alice\" <sip:alice@10.0.0.1>",
                               .body = body(OFFER) };
    uint32_t id = 0;

    assert_ok(cph_sip_call_place(w->node[0].ua, &p, w->now, &id));
    return id;
}

/* A full call with a hold in the middle; a caller over `to`. */
static void whole_call(struct world *w, const char *to)
{
    struct w_event *e;
    uint32_t a = place(w, to), b;

    w_run(w, CPH_SEC(20));
    e = w_want(w, 1, CPH_SIP_EV_INCOMING);
    b = e->e.call;
    assert_string_equal(e->body, OFFER);
    assert_string_equal(e->from, "sip:alice@10.0.0.1");
    assert_ok(cph_sip_call_progress(w->node[1].ua, b, 180, NULL, body(""), false, w->now));
    w_run(w, CPH_SEC(20));
    assert_ok(cph_sip_call_accept(w->node[1].ua, b, NULL, body(ANSWER), w->now));
    w_run(w, CPH_SEC(25));
    e = w_want(w, 0, CPH_SIP_EV_ANSWERED);
    assert_string_equal(e->body, ANSWER);
    (void)w_want(w, 1, CPH_SIP_EV_CONFIRMED);
    assert_ok(cph_sip_call_offer(w->node[1].ua, b, 0, false, NULL, body("hold"), w->now));
    w_run(w, CPH_SEC(20));
    e = w_want(w, 0, CPH_SIP_EV_OFFER);
    assert_string_equal(e->body, "hold");
    assert_ok(cph_sip_call_answer(w->node[0].ua, a, 200, NULL, body("held"), w->now));
    w_run(w, CPH_SEC(25));
    e = w_want(w, 1, CPH_SIP_EV_OFFER_DONE);
    assert_int_equal(e->e.status, 200);
    assert_string_equal(e->body, "held");
    assert_ok(cph_sip_call_info(w->node[0].ua, a, "application/dtmf-relay", body("Signal=5\r\n"),
                                w->now));
    w_run(w, CPH_SEC(20));
    assert_string_equal(w_want(w, 1, CPH_SIP_EV_INFO)->body, "Signal=5\r\n");
    assert_int_equal(w_want(w, 0, CPH_SIP_EV_INFO_DONE)->e.status, 200);
    assert_ok(cph_sip_call_hangup(w->node[0].ua, a, NULL, w->now));
    w_run(w, CPH_SEC(20));
    assert_false(w_want(w, 0, CPH_SIP_EV_ENDED)->e.by_peer);
    assert_true(w_want(w, 1, CPH_SIP_EV_ENDED)->e.by_peer);
    w_run(w, CPH_SEC(70));
    w_quiet(w, 0);
    w_quiet(w, 1);
}

static void a_call_over_udp(void **state)
{
    static struct world w;

    (void)state;
    two(&w, 1, "udp");
    whole_call(&w, "sip:bob@10.0.0.2");
    w_free(&w);
}

static void a_call_over_tcp(void **state)
{
    static struct world w;

    (void)state;
    two(&w, 2, "udp,tcp");
    whole_call(&w, "sip:bob@10.0.0.2;transport=tcp");
    assert_int_equal(w.datagrams, 0);
    w_free(&w);
}

static void calls_over_udp_with_loss_and_repeats(void **state)
{
    static struct world w;

    (void)state;
    for (uint64_t seed = 10; seed < 40; seed++) {
        two(&w, seed, "udp");
        w.loss = 20;
        w.twice = 20;
        whole_call(&w, "sip:bob@10.0.0.2");
        w_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_over_udp),
        cmocka_unit_test(a_call_over_tcp),
        cmocka_unit_test(calls_over_udp_with_loss_and_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

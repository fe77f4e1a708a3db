/* HelloVerifyRequests that nobody asked for: neither one nor many keep a client from its server. */
#include "pair.h"

#include "ciphony/base_wire.h"
#include "stream_int.h"

enum { RECORD = 13, HEADER = 25 };

static struct pair p;
static struct cph_stream_config cfg[2];
static uint8_t hello[WIRE]; /* the first datagram of the client */
static size_t hello_n;

static int setup(void **state)
{
    (void)state;
    pair_init(&p, 1, CPH_STREAM_DTLS, cfg);
    for (int i = 0; i < 2; i++)
        cfg[i].first_timeout = CPH_MS(500);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pair_free(&p);
    return 0;
}

static void begin(void)
{
    pair_open(&p, cfg);
    assert_ok(cph_stream_pull(p.s[0], hello, sizeof hello, &hello_n));
}

/* One record in clear with one handshake message. */
static struct cph_span record(uint8_t type, uint16_t seq, uint64_t number, struct cph_span body,
                              uint8_t buf[512])
{
    struct cph_wr wr = cph_wr_open(buf, 512);

    cph_wr_u8(&wr, 22);
    cph_wr_u16(&wr, 0xfeff);
    cph_wr_u16(&wr, 0);
    cph_wr_u48(&wr, number);
    cph_wr_u16(&wr, (uint16_t)(12 + body.n));
    cph_wr_u8(&wr, type);
    cph_wr_u24(&wr, (uint32_t)body.n);
    cph_wr_u16(&wr, seq);
    cph_wr_u24(&wr, 0);
    cph_wr_u24(&wr, (uint32_t)body.n);
    cph_wr_span(&wr, body);
    return cph_wr_done(&wr);
}

static void ask_with(const char *cookie, uint64_t number)
{
    uint8_t body[64] = { 0xfe, 0xff, (uint8_t)strlen(cookie) }, buf[512];

    memcpy(body + 3, cookie, strlen(cookie));
    assert_ok(cph_stream_feed(
        p.s[0], record(3, 0, number, (struct cph_span){ body, 3 + strlen(cookie) }, buf), p.now));
}

/* The next datagram of the client says hello with this cookie ("" none); it goes to hello. */
static void assert_hello(const char *cookie)
{
    struct cph_rd rd;
    uint16_t seq;

    assert_ok(cph_stream_pull(p.s[0], hello, sizeof hello, &hello_n));
    rd = cph_rd_open((struct cph_span){ hello + RECORD, hello_n - RECORD });
    assert_int_equal(cph_rd_u8(&rd), 1);
    (void)cph_rd_u24(&rd);
    seq = cph_rd_u16(&rd);
    (void)cph_rd_span(&rd, 6 + 2 + 32);
    (void)cph_rd_vec8(&rd);
    assert_int_equal(seq, cookie[0] != '\0');
    assert_int_equal(cph_rd_u8(&rd), strlen(cookie));
    assert_memory_equal(rd.p, cookie, strlen(cookie));
}

static void assert_silent(void)
{
    assert_int_equal(cph_stream_pending(p.s[0]), 0);
}

static void to_server(void)
{
    assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ hello, hello_n }, p.now));
}

static void assert_opens(void)
{
    run(&p, p.now + CPH_SEC(10));
    assert_true(both(&p, CPH_STREAM_OPEN));
}

static void a_forged_request_does_not_spoil_the_first_hello(void **state)
{
    (void)state;
    begin();
    ask_with("forged", 0);
    to_server(); /* which asks for no cookie, and answers */
    assert_hello("forged");
    to_server(); /* and does not know what to make of this */
    assert_opens();
}

static void the_second_hello_is_the_first_and_a_cookie(void **state)
{
    uint8_t first[WIRE];
    size_t n, at = HEADER + 2 + 32 + 1; /* where the cookie's length is, without a session */

    (void)state;
    begin();
    memcpy(first, hello, hello_n);
    n = hello_n;
    ask_with("cookie", 7);
    assert_hello("cookie");
    assert_int_equal(hello_n, n + 6);
    assert_memory_equal(hello, first, 10); /* type, version, epoch, and ... */
    assert_int_equal(hello[10], first[10] + 1);
    assert_memory_equal(hello + HEADER, first + HEADER, at - HEADER);
    assert_memory_equal(hello + at + 7, first + at + 1, n - at - 1);
}

static void a_server_that_asks_gets_its_cookie(void **state)
{
    (void)state;
    cfg[1].after_cookie = true;
    begin();
    ask_with("true", 0);
    assert_hello("true");
    to_server();
    assert_opens();
    assert_int_equal(p.s[0]->counts.dropped, 0);
}

/* The server says again what it said; he who is off the path does not hear when he would have to.
 */
static void a_forged_cookie_before_the_true_one_costs_one_round(void **state)
{
    (void)state;
    cfg[1].after_cookie = true;
    begin();
    ask_with("forged", 0);
    assert_hello("forged");
    ask_with("true", 0); /* to the first hello */
    assert_silent();
    ask_with("true", 1); /* to the second: it does not like that cookie */
    assert_hello("true");
    to_server();
    assert_opens();
    assert_int_equal(p.s[0]->counts.retransmitted, 0);
}

static void both_hellos_are_repeated_and_each_cookie_has_its_turn(void **state)
{
    static const char *const turn[] = { "two", "three", "one", "two" };

    (void)state;
    begin();
    ask_with("one", 0);
    assert_hello("one");
    ask_with("two", 1);
    ask_with("three", 2);
    assert_silent();
    for (int i = 0; i < 4; i++) {
        p.now = cph_stream_deadline(p.s[0]);
        assert_ok(cph_stream_tick(p.s[0], p.now));
        assert_hello("");
        assert_hello(turn[i]);
        assert_silent();
    }
}

static void many_requests_are_answered_seldom_and_the_server_is_still_heard(void **state)
{
    char cookie[16];
    unsigned said = 0;

    (void)state;
    begin();
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(cookie, sizeof cookie, "%d", i % 7);
        ask_with(cookie, (uint64_t)i);
    }
    to_server();
    while (cph_stream_pending(p.s[0]) > 0) {
        assert_ok(cph_stream_pull(p.s[0], hello, sizeof hello, &hello_n));
        to_server();
        said++;
    }
    assert_in_range(said, 1, 5);
    assert_opens();
}

static void once_a_server_has_answered_no_cookie_is_taken(void **state)
{
    uint8_t answer[WIRE];
    uint64_t dropped;
    size_t n;

    (void)state;
    begin();
    to_server();
    assert_ok(cph_stream_pull(p.s[1], answer, sizeof answer, &n));
    assert_ok(cph_stream_feed(p.s[0], (struct cph_span){ answer, n }, p.now));
    while (cph_stream_pending(p.s[0]) > 0) {
        assert_ok(cph_stream_pull(p.s[0], hello, sizeof hello, &hello_n));
        to_server();
    }
    dropped = p.s[0]->counts.dropped;
    ask_with("late", 9);
    assert_silent();
    assert_int_equal(p.s[0]->counts.dropped, dropped + 1);
    assert_opens();
}

static void a_server_hello_to_what_was_not_said_is_dropped(void **state)
{
    uint8_t body[40] = { 0xfe, 0xfd }, buf[512];

    (void)state;
    begin();
    for (uint16_t seq = 1; seq < 4; seq++)
        assert_ok(cph_stream_feed(
            p.s[0], record(2, seq, seq, (struct cph_span){ body, sizeof body }, buf), p.now));
    assert_int_equal(p.s[0]->counts.dropped, 3);
    to_server();
    assert_opens();
}

static void a_request_that_is_cut_or_hides_is_dropped(void **state)
{
    static const uint8_t bodies[][8] = {
        { 0xfe, 0xff, 0 },          /* an empty cookie */
        { 0xfe, 0xff, 3, 1, 2 },    /* a cut one */
        { 0xfe, 0xff, 1, 1, 2, 3 }, /* and more behind it */
    };
    static const size_t n[] = { 3, 5, 6 };
    uint8_t buf[512], two[512];
    struct cph_span one;

    (void)state;
    begin();
    for (size_t i = 0; i < 3; i++)
        assert_ok(cph_stream_feed(
            p.s[0], record(3, 0, i, (struct cph_span){ bodies[i], n[i] }, buf), p.now));
    /* Behind another message in its record. */
    one = record(3, 0, 0, (struct cph_span){ (const uint8_t *)"\xfe\xff\1x", 4 }, buf);
    memcpy(two, one.p, one.n);
    memcpy(two + one.n, one.p + RECORD, one.n - RECORD);
    two[12] = (uint8_t)(2 * (one.n - RECORD));
    assert_ok(cph_stream_feed(p.s[0], (struct cph_span){ two, 2 * one.n - RECORD }, p.now));
    assert_silent();
    assert_int_equal(p.s[0]->counts.dropped, 4);
    to_server();
    assert_opens();
}

/* Numbers in clear are signed by nobody: one that is far ahead must not make the true ones old. */
static void a_record_with_a_forged_number_does_not_make_the_others_old(void **state)
{
    static const uint8_t ccs[] = {
        20, 0xfe, 0xfd, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0, 1, 1
    };

    (void)state;
    begin();
    to_server();
    for (int i = 0; i < 2; i++)
        assert_ok(cph_stream_feed(p.s[i], (struct cph_span){ ccs, sizeof ccs }, p.now));
    ask_with("forged", 0xfffffffffff0);
    assert_opens();
    assert_int_equal(p.s[0]->counts.retransmitted + p.s[1]->counts.retransmitted, 0);
}

/* Too long for one datagram together with a cookie: then the library does it, as it always did. */
static void with_a_small_datagram_the_library_is_left_to_it(void **state)
{
    (void)state;
    cfg[0].mtu = cfg[1].mtu = STREAM_MTU_MIN;
    cfg[1].after_cookie = true;
    begin();
    ask_with("true", 0);
    assert_hello("true");
    to_server();
    assert_opens();
}

/* A server that takes a ClientHello with a forged cookie for that of another client answers both;
 * its datagrams come in any order. */
static void two_flights_that_come_mixed_are_not_mixed_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct cph_stream_config second;
        struct packet flight[16];
        struct cph_stream *other;
        size_t n = 0;

        teardown(NULL);
        setup(NULL);
        test_env_init(&p.t, seed);
        cfg[1].mtu = 300; /* else each flight is one datagram */
        second = cfg[1];
        second.after_cookie = true;
        assert_ok(cph_stream_new(&second, &p.t.env, &other));
        begin();
        to_server();
        ask_with("forged", 0);
        assert_hello("forged");
        assert_ok(cph_stream_feed(other, (struct cph_span){ hello, hello_n }, p.now));
        for (int i = 0; i < 2; i++) {
            while (cph_stream_pull(i ? other : p.s[1], flight[n].b, WIRE, &flight[n].n) == CPH_OK)
                n++;
        }
        assert_in_range(n, 6, 16);
        while (n > 0) {
            size_t k = test_random(&p.t) % n;

            assert_ok(
                cph_stream_feed(p.s[0], (struct cph_span){ flight[k].b, flight[k].n }, p.now));
            flight[k] = flight[--n];
        }
        while (cph_stream_pull(p.s[0], hello, sizeof hello, &hello_n) == CPH_OK) {
            for (int i = 0; i < 2; i++)
                (void)!cph_stream_feed(i ? other : p.s[1], (struct cph_span){ hello, hello_n },
                                       p.now);
        }
        while (cph_stream_pull(p.s[1], hello, sizeof hello, &hello_n) == CPH_OK ||
               cph_stream_pull(other, hello, sizeof hello, &hello_n) == CPH_OK)
            assert_ok(cph_stream_feed(p.s[0], (struct cph_span){ hello, hello_n }, p.now));
        assert_int_equal(cph_stream_state(p.s[0]), CPH_STREAM_OPEN);
        assert_true((cph_stream_state(p.s[1]) == CPH_STREAM_OPEN) !=
                    (cph_stream_state(other) == CPH_STREAM_OPEN));
        cph_stream_free(other);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_forged_request_does_not_spoil_the_first_hello),
        TEST(the_second_hello_is_the_first_and_a_cookie),
        TEST(a_server_that_asks_gets_its_cookie),
        TEST(a_forged_cookie_before_the_true_one_costs_one_round),
        TEST(both_hellos_are_repeated_and_each_cookie_has_its_turn),
        TEST(many_requests_are_answered_seldom_and_the_server_is_still_heard),
        TEST(once_a_server_has_answered_no_cookie_is_taken),
        TEST(a_server_hello_to_what_was_not_said_is_dropped),
        TEST(a_request_that_is_cut_or_hides_is_dropped),
        TEST(a_record_with_a_forged_number_does_not_make_the_others_old),
        TEST(two_flights_that_come_mixed_are_not_mixed_up),
        TEST(with_a_small_datagram_the_library_is_left_to_it),
    };

    return cmocka_run_group_tests_name("first", tests, NULL, NULL);
}

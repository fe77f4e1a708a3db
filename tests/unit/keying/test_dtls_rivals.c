/* Strangers who say hello to us, or answer ours. */
#include "dtls_support.h"

/* A ClientHello (and more, if it goes on) of somebody with a key of his own. */
static struct cph_stream *stranger(const struct party *p)
{
    static const uint16_t profile = 0x0001;
    struct cph_stream_config cfg = {
        .kind = CPH_STREAM_DTLS,
        .role = CPH_STREAM_CLIENT,
        .cert = p->cert,
        .key = p->key,
        .verify = CPH_STREAM_VERIFY_CALLER,
        .srtp_profile = &profile,
        .n_srtp_profile = 1,
    };
    struct cph_stream *s;

    assert_ok(cph_stream_new(&cfg, &t.env, &s));
    assert_ok(cph_stream_start(s, now));
    return s;
}

/* Feed what the stranger says to the victim as if from that address; optionally let him hear the
 * answer. */
static void speak(struct cph_stream *s, struct party *victim, struct cph_addr from, bool hears)
{
    uint8_t buf[2048];
    size_t n;
    bool moved = true;

    while (moved) {
        struct cph_keying_packet out;

        moved = false;
        while (cph_stream_pull(s, buf, sizeof buf, &n) == CPH_OK) {
            if (cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n },
                                now) == CPH_OK)
                moved = true;
        }
        while (hears && cph_keying_pull(victim->k, &out, now) == CPH_OK) {
            moved = true;
            if (cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now) != CPH_OK)
                hears = false;
        }
    }
}

/* CVE-2023-49786: whoever is first to say hello must not be the only one who is heard. */
static void a_raced_client_hello_does_not_stop_the_real_handshake(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        for (int spoofed = 0; spoofed < 2; spoofed++) {
            struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
            struct cph_addr from = spoofed ? who[1].at[0] : addr("192.0.2.66:6666");
            struct cph_stream *bad = stranger(&who[2]);

            if (answered)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
            speak(bad, &who[0], from, !spoofed); /* one who only spoofs hears nothing */
            run(&who[0], &who[1], now + CPH_SEC(4));
            if (!answered)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
            run(&who[0], &who[1], now + CPH_SEC(20));
            assert_keyed(&who[0], &who[1]);
            cph_stream_free(bad);
            teardown(NULL);
            setup(NULL);
        }
    }
}

/* A stranger who hears us, and stops when he has been let in. */
static void come_in(struct cph_stream *s, struct party *victim, struct cph_addr from)
{
    struct cph_keying_packet out;
    uint8_t buf[2048];
    size_t n;

    for (int i = 0; i < 2; i++) {
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        if (cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now) !=
            CPH_OK)
            return;
        if (i == 1 || cph_keying_pull(victim->k, &out, now) != CPH_OK)
            return;
        assert_true(out.n <= n);
        assert_ok(cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now));
    }
}

static unsigned handshakes(const struct dtls_pool *pool)
{
    unsigned n = 0;

    for (unsigned k = 0; k < DTLS_SLOTS; k++)
        n += pool->slot[0][k] != NULL;
    return n;
}

static void a_flood_of_client_hellos_is_bounded_and_the_peer_still_gets_in(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_keying_evidence e = { 0 };
    const struct dtls *d = (const struct dtls *)who[0].k;
    unsigned taken = 0;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    cph_keying_tick(who[0].k, now);
    for (int i = 0; i < 40; i++) {
        struct cph_stream *bad = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1");

        from.port = (uint16_t)(1000 + i);
        come_in(bad, &who[0], from);
        cph_stream_free(bad);
        taken = handshakes(d->pool) > taken ? handshakes(d->pool) : taken;
    }
    assert_int_equal(taken, DTLS_RIVALS - 1);
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_keying_dtls.evidence(who[0].k, &e);
    assert_true(e.notes & CPH_KEYING_NOTE_RIVAL_HANDSHAKE);
}

/* RFC 6347 4.2.1: R16 of draft-wing-media-security-requirements. */
static void whoever_is_not_heard_makes_us_say_little_and_keep_nothing(void **state)
{
    const struct dtls *d = (const struct dtls *)who[0].k;
    size_t in = 0, back = 0;

    (void)state;
    (void)offer_by(&who[0]);
    for (int i = 0; i < 100; i++) {
        struct cph_stream *bad = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1");
        struct cph_keying_packet out;
        uint8_t buf[2048];
        size_t n;

        from.port = (uint16_t)(1000 + i);
        assert_ok(cph_stream_pull(bad, buf, sizeof buf, &n));
        in += n;
        (void)!cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now);
        while (i % 10 == 9 && cph_keying_pull(who[0].k, &out, now) == CPH_OK) {
            assert_true(out.has_to);
            back += out.n;
        }
        assert_int_equal(handshakes(d->early), 0);
        cph_stream_free(bad);
    }
    assert_true(back > 0 && back * 3 < in); /* and what came too fast was not answered */
    assert_true(d->early->n_said <= DTLS_SAID);
}

static void a_cookie_is_good_at_its_address_and_for_a_while(void **state)
{
    static const struct {
        int64_t later_s;
        const char *from;
        bool good;
    } row[] = {
        { 0, "192.0.2.1:1000", true },    { 0, "192.0.2.1:1001", false },
        { 0, "192.0.2.2:1000", false },   { 60, "192.0.2.1:1000", true },
        { 120, "192.0.2.1:1000", false }, { 180, "192.0.2.1:1000", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct dtls *d = (const struct dtls *)who[0].k;
        struct cph_stream *s = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1000"), then = addr(row[i].from);
        struct cph_keying_packet out;
        uint8_t buf[2048];
        size_t n;

        (void)offer_by(&who[0]);
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        assert_ok(
            cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now));
        assert_ok(cph_keying_pull(who[0].k, &out, now));
        assert_int_equal(out.n, DTLS_ASK);
        assert_ok(cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now));
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        now += CPH_SEC(row[i].later_s);
        assert_ok(
            cph_keying_feed(who[0].k, CPH_KEYING_RTP, &then, (struct cph_span){ buf, n }, now));
        assert_int_equal(handshakes(d->early), row[i].good);
        assert_ok(cph_keying_pull(who[0].k, &out, now)); /* a ServerHello, or asked again */
        assert_int_equal(out.b[13], row[i].good ? 2 : 3);
        cph_stream_free(s);
    }
}

static void every_bit_of_a_cookie_counts(void **state)
{
    struct dtls_cookie_key key;
    struct dtls_hello hello = { 0 };
    struct cph_addr from = addr("192.0.2.1:1000");
    uint8_t ask[DTLS_ASK];

    (void)state;
    assert_ok(dtls_cookie_new(&t.env, &key));
    assert_false(dtls_cookie_ok(&key, &from, &hello, now)); /* none at all */
    assert_ok(dtls_cookie_ask(&key, &from, &hello, now, ask));
    hello.cookie = (struct cph_span){ ask + DTLS_ASK - DTLS_COOKIE, DTLS_COOKIE };
    assert_true(dtls_cookie_ok(&key, &from, &hello, now));
    for (unsigned bit = 0; bit < 8 * DTLS_COOKIE; bit++) {
        ask[DTLS_ASK - DTLS_COOKIE + bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(dtls_cookie_ok(&key, &from, &hello, now));
        ask[DTLS_ASK - DTLS_COOKIE + bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < DTLS_COOKIE; n++) {
        hello.cookie.n = n;
        assert_false(dtls_cookie_ok(&key, &from, &hello, now));
    }
}

static void a_hello_that_is_cut_is_none(void **state)
{
    struct cph_stream *s = stranger(&who[2]);
    struct dtls_hello hello;
    uint8_t buf[2048];
    size_t n;

    (void)state;
    assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
    assert_true(dtls_hello_read((struct cph_span){ buf, n }, &hello));
    assert_int_equal(hello.cookie.n, 0);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(dtls_hello_read((struct cph_span){ buf, cut }, &hello));
    buf[24]++; /* the fragment is longer than the message */
    assert_false(dtls_hello_read((struct cph_span){ buf, n }, &hello));
    cph_stream_free(s);
}

/* The address is the peer's: we asked before we knew; then the answer came, and he says it again.
 */
static void an_answer_between_hello_and_cookie_does_no_harm(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
        struct cph_keying_packet hello;

        assert_ok(cph_keying_pull(who[1].k, &hello, now));
        post(who[1].at[0], who[0].at[0], &hello);
        deliver(&wire[--n_wire]); /* now we ask */
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        if (again)
            post(who[1].at[0], who[0].at[0], &hello); /* doubled on its way */
        run(&who[0], &who[1], now + CPH_SEC(10));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* Somebody who knows the ports, but is not on the path, writes in the passive side's name. */
static void forge_request(struct cph_addr from, struct party *victim)
{
    uint8_t b[DTLS_ASK] = { 22,
                            0xfe,
                            0xff,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            DTLS_ASK - 13,
                            3,
                            0,
                            0,
                            3 + DTLS_COOKIE,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            3 + DTLS_COOKIE,
                            0xfe,
                            0xff,
                            DTLS_COOKIE };
    struct cph_wr number = cph_wr_open(b + 5, 6);

    cph_wr_u48(&number, test_random(&t) >> 16);
    for (size_t i = sizeof b - DTLS_COOKIE; i < sizeof b; i++)
        b[i] = (uint8_t)test_random(&t);
    (void)!cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ b, sizeof b }, now);
}

static void forged_requests_for_cookies_cost_the_active_side_nothing(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
        struct cph_keying_packet hello;

        if (known) /* else the passive side asks for a cookie of its own, and gets it */
            assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        assert_ok(cph_keying_pull(who[1].k, &hello, now));
        post(who[1].at[0], who[0].at[0], &hello);
        forge_request(who[0].at[0], &who[1]);
        run(&who[0], &who[1], now + CPH_MS(100));
        if (!known)
            assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        run(&who[0], &who[1], now + CPH_MS(100));
        assert_keyed(&who[0], &who[1]);
        assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1);
        teardown(NULL);
        setup(NULL);
    }
}

static void over_loss_too_forged_requests_do_not_keep_the_peer_out(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);

        loss = 15;
        delay_ms = 40;
        for (int i = 0; i < 20; i++) {
            forge_request(who[0].at[0], &who[1]);
            run(&who[0], &who[1], now + CPH_MS(test_random(&t) % 200));
            if (i == round)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        }
        run(&who[0], &who[1], now + CPH_SEC(25));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- false answers --------------------------------------------------------------------------- */

static void false_answer_to_our_hello(cph_time after, cph_err heard)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_addr from = addr("192.0.2.66:6666");
    struct cph_keying_packet hello;
    struct cph_stream_config cfg;
    uint8_t buf[2048];
    struct cph_stream *liar;
    size_t n;
    static const uint16_t profiles[] = { 0x0007, 0x0001 };
    bool first = true;

    /* who[1] is active; its hello is overheard and answered by a liar first */
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_ok(cph_keying_pull(who[1].k, &hello, now));
    cfg = (struct cph_stream_config){
        .kind = CPH_STREAM_DTLS,
        .role = CPH_STREAM_SERVER,
        .cert = who[2].cert,
        .key = who[2].key,
        .verify = CPH_STREAM_VERIFY_CALLER,
        .need_client_cert = true,
        .srtp_profile = profiles,
        .n_srtp_profile = 2,
    };
    assert_ok(cph_stream_new(&cfg, &t.env, &liar));
    assert_ok(cph_stream_feed(liar, (struct cph_span){ hello.b, hello.n }, now));
    now += after;
    for (int round = 0; round < 4; round++) {
        struct cph_keying_packet out;

        while (cph_stream_pull(liar, buf, sizeof buf, &n) == CPH_OK) {
            cph_err err = cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                                          (struct cph_span){ buf, n }, now);

            if (first)
                assert_err(err, heard);
            first = false;
            if (err != CPH_OK)
                break;
        }
        while (cph_keying_pull(who[1].k, &out, now) == CPH_OK) {
            if (out.has_to && cph_addr_eq(&out.to, &from)) {
                if (cph_stream_feed(liar, (struct cph_span){ out.b, out.n }, now) != CPH_OK)
                    break;
            } else { /* the new hello, to where the offer says */
                post(who[1].at[0], who[0].at[0], &out);
            }
        }
    }
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_stream_free(liar);
}

static void a_false_answer_to_our_hello_makes_us_begin_anew(void **state)
{
    (void)state;
    false_answer_to_our_hello(CPH_MS(DTLS_LATCH_MS), CPH_OK);
}

static void who_is_fast_but_was_not_announced_is_not_listened_to(void **state)
{
    (void)state;
    false_answer_to_our_hello(0, CPH_E_NOTFOUND);
    assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1); /* not one of them is spoilt */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_raced_client_hello_does_not_stop_the_real_handshake),
        T(a_flood_of_client_hellos_is_bounded_and_the_peer_still_gets_in),
        T(whoever_is_not_heard_makes_us_say_little_and_keep_nothing),
        T(a_cookie_is_good_at_its_address_and_for_a_while),
        T(every_bit_of_a_cookie_counts),
        T(a_hello_that_is_cut_is_none),
        T(forged_requests_for_cookies_cost_the_active_side_nothing),
        T(over_loss_too_forged_requests_do_not_keep_the_peer_out),
        T(an_answer_between_hello_and_cookie_does_no_harm),
        T(a_false_answer_to_our_hello_makes_us_begin_anew),
        T(who_is_fast_but_was_not_announced_is_not_listened_to),
    };

    return cmocka_run_group_tests_name("dtls_rivals", tests, NULL, NULL);
}

/* A call without keys says why: each way to fail has its own words. */
#include "dtls_support.h"

static const char *why(const struct party *p, cph_err err)
{
    struct cph_keying_status s = status(p);

    assert_int_equal(s.state, CPH_KEYING_FAILED);
    assert_err(s.err, err);
    assert_non_null(s.why);
    return s.why;
}

static void assert_says(const struct party *p, cph_err err, const char *words)
{
    if (!strstr(why(p, err), words))
        fail_msg("\"%s\" has no \"%s\"", why(p, err), words);
}

static void out_of_time(void)
{
    cph_keying_dtls.answered(who[1].k, now);
    run(&who[0], &who[1], now + CPH_SEC(DTLS_GIVE_UP_S + 10));
}

static void say(struct party *victim, const struct party *name, const uint8_t *b, size_t n)
{
    (void)!cph_keying_feed(victim->k, CPH_KEYING_RTP, &name->at[0], (struct cph_span){ b, n }, now);
}

static void who_hears_nothing_says_who_had_to_begin(void **state)
{
    (void)state;
    loss = 100;
    agree(&who[0], &who[1]);
    out_of_time();
    assert_says(&who[0], CPH_E_TIMEOUT, "nobody began a DTLS handshake with us");
    assert_says(&who[1], CPH_E_TIMEOUT, "nobody answered our DTLS handshake");
}

/* The flights that do not fit are lost, hellos get through. */
static void large_packets_that_are_lost_are_told_of(void **state)
{
    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_dtls.answered(who[1].k, now);
    for (cph_time end = now + CPH_SEC(DTLS_GIVE_UP_S + 10); now < end;
         run(&who[0], &who[1], now + CPH_MS(1))) {
        for (size_t i = 0; i < n_wire;) {
            if (wire[i].p.n > 300 && wire[i].p.b[13] != 2)
                wire[i] = wire[--n_wire];
            else if (wire[i].p.n > 300) /* of the server's flight the beginning arrives */
                wire[i++].p.n = 300;
            else
                i++;
        }
    }
    assert_says(&who[0], CPH_E_TIMEOUT, "MTU");
}

static void each_alert_in_clear_has_its_words_and_is_not_believed(void **state)
{
    static const struct {
        uint8_t alert;
        const char *words;
    } said[] = {
        { 40, "no cipher or SRTP profile" },
        { 71, "no cipher or SRTP profile" },
        { 70, "DTLS 1.2" },
        { 45, "out of date" },
        { 42, "does not take our certificate" },
        { 43, "does not take our certificate" },
        { 44, "does not take our certificate" },
        { 46, "does not take our certificate" },
        { 48, "does not take our certificate" },
        { 49, "does not take our certificate" },
        { 116, "no certificate of ours" },
        { 20, "does not fit together" },
        { 47, "does not fit together" },
        { 50, "does not fit together" },
        { 51, "does not fit together" },
        { 80, "not why" },
        { 255, "not why" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        uint8_t record[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, said[i].alert };

        loss = 100;
        agree(&who[0], &who[1]);
        cph_keying_tick(who[1].k, now);
        say(&who[1], &who[0], record, sizeof record);
        assert_int_equal(status(&who[1]).state, CPH_KEYING_RUNNING);
        out_of_time();
        assert_says(&who[1], CPH_E_TIMEOUT, said[i].words);
        assert_says(&who[1], CPH_E_TIMEOUT, "not signed");
        teardown(NULL);
        setup(NULL);
    }
}

static void an_alert_does_not_keep_the_peer_out(void **state)
{
    static const uint8_t record[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40 };

    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    say(&who[1], &who[0], record, sizeof record);
    run(&who[0], &who[1], now + CPH_SEC(1));
    assert_keyed(&who[0], &who[1]);
    assert_null(status(&who[1]).why);
}

/* RFC 5246 7.4.1.3: a ServerHello with a cipher that nobody offered, until it tells. */
static void hear_hellos_of(uint8_t minor)
{
    uint8_t hello[25 + 38] = { 22, 0xfe, minor, 0, 0, 0, 0, 0, 0, 0, 0,  0,    50,   2,
                               0,  0,    38,    0, 0, 0, 0, 0, 0, 0, 38, 0xfe, minor };

    loss = 100;
    agree(&who[0], &who[1]);
    cph_keying_dtls.answered(who[1].k, now);
    for (int i = 0; i < 300 && status(&who[1]).state == CPH_KEYING_RUNNING; i++) {
        say(&who[1], &who[0], hello, sizeof hello);
        run(&who[0], &who[1], now + CPH_MS(200));
    }
}

static void handshakes_that_go_wrong_are_told_of(void **state)
{
    (void)state;
    hear_hellos_of(0xfd); /* DTLS 1.2 */
    assert_says(&who[1], CPH_E_MALFORMED, "forged in the peer's name");
}

static void an_old_version_is_told_of(void **state)
{
    (void)state;
    hear_hellos_of(0xff); /* DTLS 1.0 */
    assert_says(&who[1], CPH_E_UNSUPPORTED, "no DTLS version");
}

static void without_a_profile_the_handshake_is_worth_nothing(void **state)
{
    (void)state;
    want_different_profiles();
    agree(&who[0], &who[1]);
    out_of_time();
    assert_says(&who[0], CPH_E_UNSUPPORTED, "without an SRTP profile");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(who_hears_nothing_says_who_had_to_begin),
        T(large_packets_that_are_lost_are_told_of),
        T(each_alert_in_clear_has_its_words_and_is_not_believed),
        T(an_alert_does_not_keep_the_peer_out),
        T(handshakes_that_go_wrong_are_told_of),
        T(an_old_version_is_told_of),
        T(without_a_profile_the_handshake_is_worth_nothing),
    };

    return cmocka_run_group_tests_name("dtls_words", tests, NULL, NULL);
}

#include "support.h"

#include "ciphony/rtp.h"

static void the_first_report_comes_after_half_the_minimum(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;
    cph_time sum = 0, least = CPH_SEC(100), most = 0;

    (void)state;
    test_env_init(&t, 1);
    for (int i = 0; i < 1000; i++) {
        assert_ok(cph_rtcp_clock_start(&c, &t.env, 64000, CPH_SEC(7)));
        sum += c.interval;
        least = c.interval < least ? c.interval : least;
        most = c.interval > most ? c.interval : most;
        assert_int_equal(c.next, CPH_SEC(7) + c.interval);
    }
    assert_in_range(sum / 1000, 2400000, 2600000); /* 2.5 s on average, from 1.25 to 3.75 */
    assert_in_range(least, 1250000, 1300000);
    assert_in_range(most, 3700000, 3750000);
}

static void later_reports_come_every_five_seconds(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;

    (void)state;
    test_env_init(&t, 2);
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 64000, 0));
    for (int i = 0; i < 100; i++) {
        cph_rtcp_clock_rtp_sent(&c, c.next);
        cph_rtcp_clock_rtp_heard(&c, c.next);
        assert_ok(cph_rtcp_clock_sent(&c, &t.env, 100, c.next));
        assert_int_equal(cph_rtcp_clock_td(&c), CPH_SEC(5));
        assert_in_range(c.interval, CPH_SEC(5) / 2, CPH_SEC(15) / 2);
    }
}

/* 8 kbit/s: RTCP has 50 octets a second; two members of 128 octets: 2 * 128 / 50 = 5.12 s. */
static void a_narrow_session_reports_less_often(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;

    (void)state;
    test_env_init(&t, 3);
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 8000, 0));
    c.initial = false;
    assert_int_equal(cph_rtcp_clock_td(&c), CPH_SEC(5)); /* alone, 75 % of 50: 3.4 s */
    cph_rtcp_clock_rtp_heard(&c, 0);
    assert_int_equal(cph_rtcp_clock_td(&c), 5120000);
    cph_rtcp_clock_bye_heard(&c);
    assert_int_equal(cph_rtcp_clock_td(&c), CPH_SEC(5));
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 0, 0)); /* no bandwidth is no division by zero */
    assert_true(cph_rtcp_clock_td(&c) > CPH_SEC(60));
}

static void sizes_are_averaged_over_sixteen(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;

    (void)state;
    test_env_init(&t, 4);
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 64000, 0));
    assert_int_equal(c.avg_size16, 16 * 128);
    cph_rtcp_clock_rtcp_heard(&c, 164,
                              0); /* 192 with the headers: 128 * 15 / 16 + 192 / 16 = 132 */
    assert_int_equal(c.avg_size16, 16 * 132);
}

static void who_is_silent_for_two_intervals_is_no_sender(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;

    (void)state;
    test_env_init(&t, 5);
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 64000, 0));
    cph_rtcp_clock_rtp_sent(&c, 0);
    assert_ok(cph_rtcp_clock_sent(&c, &t.env, 100, 2 * c.interval));
    assert_true(c.we_sent);
    assert_ok(cph_rtcp_clock_sent(&c, &t.env, 100, 2 * c.interval + 1));
    assert_false(c.we_sent);
}

static void a_peer_is_lost_after_five_intervals_of_silence(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;

    (void)state;
    test_env_init(&t, 6);
    assert_ok(cph_rtcp_clock_start(&c, &t.env, 64000, 0));
    cph_rtcp_clock_rtcp_heard(&c, 100, CPH_SEC(10));
    assert_ok(cph_rtcp_clock_sent(&c, &t.env, 100, CPH_SEC(11)));
    assert_false(cph_rtcp_clock_peer_lost(&c, CPH_SEC(35)));
    assert_true(cph_rtcp_clock_peer_lost(&c, CPH_SEC(35) + 1));
}

static void without_randomness_nothing_starts(void **state)
{
    struct test_env t;
    struct cph_rtcp_clock c;
    struct cph_rtp_identity id;

    (void)state;
    test_env_init(&t, 7);
    t.random_fails = 1;
    assert_err(cph_rtcp_clock_start(&c, &t.env, 64000, 0), CPH_E_CRYPTO);
    t.random_fails = 1;
    assert_err(cph_rtp_identity_init(&id, &t.env, 0), CPH_E_CRYPTO);
}

static void a_collision_moves_us_and_a_loop_does_not(void **state)
{
    struct test_env t;
    struct cph_rtp_identity id;

    (void)state;
    test_env_init(&t, 8);
    assert_ok(cph_rtp_identity_init(&id, &t.env, 5));
    assert_ok(cph_rtp_identity_meet(&id, &t.env, id.ssrc + 1));
    for (unsigned i = 0; i < CPH_RTP_COLLISIONS; i++) {
        uint32_t before = id.ssrc;

        assert_err(cph_rtp_identity_meet(&id, &t.env, before), CPH_E_EXISTS);
        assert_int_equal(id.old, before);
        assert_int_not_equal(id.ssrc, before);
    }
    assert_err(cph_rtp_identity_meet(&id, &t.env, id.ssrc), CPH_E_LIMIT);
    assert_ok(cph_rtp_identity_meet(&id, &t.env, id.ssrc + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_report_comes_after_half_the_minimum),
        cmocka_unit_test(later_reports_come_every_five_seconds),
        cmocka_unit_test(a_narrow_session_reports_less_often),
        cmocka_unit_test(sizes_are_averaged_over_sixteen),
        cmocka_unit_test(who_is_silent_for_two_intervals_is_no_sender),
        cmocka_unit_test(a_peer_is_lost_after_five_intervals_of_silence),
        cmocka_unit_test(without_randomness_nothing_starts),
        cmocka_unit_test(a_collision_moves_us_and_a_loop_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

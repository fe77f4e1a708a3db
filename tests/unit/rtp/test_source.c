#include "support.h"

#include "ciphony/rtp.h"

static void feed(struct cph_rtp_source *s, uint16_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(cph_rtp_source_update(s, (uint16_t)(first + i), 160));
}

static void two_packets_in_sequence_make_a_source_valid(void **state)
{
    struct cph_rtp_source s;

    (void)state;
    cph_rtp_source_init(&s, 1, 10, 2);
    assert_false(cph_rtp_source_update(&s, 10, 160));
    assert_false(cph_rtp_source_update(&s, 12, 160)); /* a hole: begin again */
    assert_int_equal(cph_rtp_source_expected(&s), 0);
    assert_true(cph_rtp_source_update(&s, 13, 160));
    assert_int_equal(cph_rtp_source_expected(&s), 1);
    assert_int_equal(cph_rtp_source_lost(&s), 0);
}

static void a_vouched_source_counts_from_its_first_packet(void **state)
{
    static const uint16_t first[] = { 0, 1, 65535, 1234 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cph_rtp_source s;

        cph_rtp_source_init(&s, 1, first[i], 0);
        assert_int_equal(cph_rtp_source_expected(&s), 0);
        feed(&s, first[i], 5);
        assert_int_equal(cph_rtp_source_expected(&s), 5);
        assert_int_equal(cph_rtp_source_lost(&s), 0);
        assert_int_equal(s.octets, 800);
    }
}

/* Counted by hand: A.3 with base 65530, wrap, 4 missing, 1 double. */
static void loss_is_counted_across_the_wrap(void **state)
{
    struct cph_rtp_source s;
    struct cph_rtcp_block b;

    (void)state;
    cph_rtp_source_init(&s, 7, 65530, 0);
    feed(&s, 65530, 6); /* up to 65535 */
    feed(&s, 4, 6);     /* 0..3 missing; 4..9 */
    assert_int_equal(s.cycles, 65536);
    assert_int_equal(cph_rtp_source_expected(&s), 16);
    assert_int_equal(cph_rtp_source_lost(&s), 4);
    cph_rtp_source_report(&s, 0, &b);
    assert_int_equal(b.highest_seq, 65536 + 9);
    assert_int_equal(b.lost, 4);
    assert_int_equal(b.fraction_lost, 4 * 256 / 16);

    assert_true(cph_rtp_source_update(&s, 9, 160)); /* a duplicate counts as received */
    cph_rtp_source_report(&s, 0, &b);
    assert_int_equal(b.lost, 3);
    assert_int_equal(b.fraction_lost, 0); /* nothing new expected */
    feed(&s, 12, 2);                      /* 10, 11 missing of 10..13 */
    cph_rtp_source_report(&s, 0, &b);
    assert_int_equal(b.fraction_lost, 128);
}

static void loss_stays_within_24_signed_bits(void **state)
{
    struct cph_rtp_source s;

    (void)state;
    cph_rtp_source_init(&s, 7, 0, 0);
    feed(&s, 0, 2);
    s.received = 0x900000;
    assert_int_equal(cph_rtp_source_lost(&s), -0x800000);
    s.received = 0;
    s.cycles = 0x1000000;
    assert_int_equal(cph_rtp_source_lost(&s), 0x7fffff);
}

static void a_jump_is_believed_only_when_the_next_packet_confirms_it(void **state)
{
    struct cph_rtp_source s;

    (void)state;
    cph_rtp_source_init(&s, 7, 100, 0);
    feed(&s, 100, 10);                               /* up to 109 */
    assert_true(cph_rtp_source_update(&s, 3108, 1)); /* 2999 ahead: a dropout */
    assert_false(cph_rtp_source_update(&s, 3108 + 3000, 1));
    assert_int_equal(s.max_seq, 3108);
    assert_false(cph_rtp_source_update(&s, 40000, 1));
    assert_true(cph_rtp_source_update(&s, 40001, 1));
    assert_int_equal(cph_rtp_source_expected(&s), 1);
    assert_true(cph_rtp_source_update(&s, 40001 - 99, 1)); /* misordered by 99 is no jump */
    assert_int_equal(s.max_seq, 40001);
    assert_false(cph_rtp_source_update(&s, 40001 - 101, 1));
}

/* By hand, RFC 3550 A.8: D = 0, 80, 80, 0: J16 = 0; 80; 80 + 80 - (88 >> 4) = 155; 155 - (163 >> 4)
 * = 145. */
static void jitter_follows_the_series_computed_by_hand(void **state)
{
    static const uint32_t ts[] = { 1000, 1160, 1320, 1480, 1640 };
    static const uint32_t arrival[] = { 0, 160, 400, 480, 640 };
    static const uint32_t want[] = { 0, 0, 80, 155, 145 };
    struct cph_rtp_source s;

    (void)state;
    cph_rtp_source_init(&s, 7, 0, 0);
    for (size_t i = 0; i < 5; i++) {
        cph_rtp_source_arrival(&s, ts[i], arrival[i]);
        assert_int_equal(s.jitter16, want[i]);
    }
}

static void a_step_of_the_clock_does_not_drown_the_jitter(void **state)
{
    struct cph_rtp_source s;

    (void)state;
    cph_rtp_source_init(&s, 7, 0, 0);
    cph_rtp_source_arrival(&s, 0, 0);
    cph_rtp_source_arrival(&s, 0x7fffffff, 160);
    assert_int_equal(s.jitter16, 0);
    for (unsigned i = 0; i < 400; i++) /* the worst that counts does not overflow */
        cph_rtp_source_arrival(&s, 0, i % 2 ? 0x07ffffff : 0);
    assert_true(s.jitter16 >> 4 <= 0x07ffffff);
    assert_true(s.jitter16 >> 4 > 0x07000000);
}

/* The example of RFC 3550 6.4.1, figure 2. */
static void round_trip_is_that_of_the_example(void **state)
{
    struct cph_rtp_source s;
    struct cph_rtcp_block b;
    cph_time rtt;

    (void)state;
    cph_rtp_source_init(&s, 7, 0, 0);
    cph_rtp_source_report(&s, CPH_SEC(1), &b);
    assert_int_equal(b.lsr, 0);
    assert_int_equal(b.dlsr, 0);
    assert_err(cph_rtp_round_trip(&b, 0xb44db71080000000, &rtt), CPH_E_AGAIN);

    cph_rtp_source_sr(&s, 0xb44db70520000000, CPH_SEC(100));
    cph_rtp_source_report(&s, CPH_SEC(100) + 5250000, &b);
    assert_int_equal(b.lsr, 0xb7052000);
    assert_int_equal(b.dlsr, 0x00054000);
    assert_ok(cph_rtp_round_trip(&b, (uint64_t)0xb44db710 << 32 | 0x80000000, &rtt));
    assert_int_equal(rtt, 6125000);

    b.dlsr += 0x00062000 + 3; /* answered before it was asked, by rounding */
    assert_ok(cph_rtp_round_trip(&b, (uint64_t)0xb44db710 << 32 | 0x80000000, &rtt));
    assert_int_equal(rtt, 0);
    b.dlsr += 1000;
    assert_err(cph_rtp_round_trip(&b, (uint64_t)0xb44db710 << 32 | 0x80000000, &rtt),
               CPH_E_MALFORMED);
}

static void ntp_time_counts_from_1900(void **state)
{
    (void)state;
    assert_true(cph_rtp_ntp(0, 0) == (uint64_t)2208988800U << 32);
    assert_true(cph_rtp_ntp(0, 1500000) == ((uint64_t)2208988801U << 32 | 0x80000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_packets_in_sequence_make_a_source_valid),
        cmocka_unit_test(a_vouched_source_counts_from_its_first_packet),
        cmocka_unit_test(loss_is_counted_across_the_wrap),
        cmocka_unit_test(loss_stays_within_24_signed_bits),
        cmocka_unit_test(a_jump_is_believed_only_when_the_next_packet_confirms_it),
        cmocka_unit_test(jitter_follows_the_series_computed_by_hand),
        cmocka_unit_test(a_step_of_the_clock_does_not_drown_the_jitter),
        cmocka_unit_test(round_trip_is_that_of_the_example),
        cmocka_unit_test(ntp_time_counts_from_1900),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

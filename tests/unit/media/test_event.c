#include "support.h"

#include "media_int.h"

enum { MAX_PACKETS = 400 };

struct line { /* what a sender of keys put out, 20 ms a step */
    struct event_out packet[MAX_PACKETS];
    size_t n;
    unsigned frames, done;
};

static void key(struct event_tx *e, char digit, uint16_t ms)
{
    e->queue[e->n].code = (uint8_t)media_event_code(digit);
    e->queue[e->n++].ms = ms;
}

static void send_all(struct event_tx *e, uint32_t rate, struct line *l)
{
    *l = (struct line){ 0 };
    for (uint32_t ts = 1000; e->n > 0 || e->state != EVENT_IDLE; ts += rate / 50) {
        struct event_out out;

        (void)media_event_tx(e, ts, rate, &out);
        if (out.send)
            l->packet[l->n++] = out;
        l->done += out.done;
        assert_true(++l->frames < 1000);
    }
}

static unsigned duration(const struct event_out *p)
{
    return (unsigned)p->payload[2] << 8 | p->payload[3];
}

static void a_key_is_sent_as_the_rfc_says(void **state)
{
    struct event_tx e = { 0 };
    struct line l;

    (void)state;
    key(&e, '5', 100);
    send_all(&e, 8000, &l);
    assert_int_equal(l.n, 5 + 2); /* 100 ms in steps of 20, the last three times */
    assert_int_equal(l.done, 1);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.packet[i].ts, 1000); /* one timestamp */
        assert_int_equal(l.packet[i].marker, i == 0);
        assert_int_equal(l.packet[i].payload[0], 5);
        assert_int_equal(l.packet[i].payload[1], (i >= 4 ? 0x80 : 0) | 10);
        assert_int_equal(duration(&l.packet[i]), i >= 4 ? 800 : 160 * (i + 1));
    }
}

static void keys_follow_with_a_pause_between(void **state)
{
    struct event_tx e = { 0 };
    struct line l;

    (void)state;
    key(&e, '1', 100);
    key(&e, '1', 100);
    send_all(&e, 8000, &l);
    assert_int_equal(l.n, 14);
    assert_true(l.packet[7].marker);
    assert_true(l.packet[7].ts - (l.packet[6].ts + 800) >= 8 * 60); /* 60 ms of pause at least */
}

static void at_48_khz_the_duration_fits_its_field(void **state)
{
    struct event_tx e = { 0 };
    struct line l;

    (void)state;
    key(&e, '#', 1000);
    send_all(&e, 48000, &l);
    assert_int_equal(duration(&l.packet[l.n - 1]), 48000);
    key(&e, '#', 60000); /* never asked for, but must not wrap */
    send_all(&e, 48000, &l);
    assert_int_equal(duration(&l.packet[l.n - 1]), 0xffff);
}

static size_t receive(struct event_rx *rx, const struct event_out *p, cph_time now,
                      struct event_digit *out)
{
    return media_event_rx(rx, (struct cph_span){ p->payload, 4 }, p->ts, 8000, now, out, 4);
}

/* Whatever two of the packets of each key get lost, the keys come out once each, in order. */
static void lost_packets_lose_no_key(void **state)
{
    struct event_tx e = { 0 };
    struct line l;

    (void)state;
    key(&e, '1', 100);
    key(&e, '1', 100);
    key(&e, '*', 60);
    send_all(&e, 8000, &l);
    for (size_t a = 0; a < 7; a++)
        for (size_t b = 0; b < 7; b++) {
            struct event_rx rx = { 0 };
            struct event_digit d[4], got[8];
            size_t n = 0;
            cph_time now = CPH_SEC(1);

            for (size_t i = 0; i < l.n; i++, now += CPH_MS(20)) {
                size_t in_key = i < 14 ? i % 7 : i - 14 + 100;
                size_t k;

                if (i > 0 && l.packet[i].marker)
                    now += CPH_MS(60);
                if (in_key == a || in_key == b)
                    continue;
                k = receive(&rx, &l.packet[i], now, d);
                for (size_t m = 0; m < k; m++)
                    got[n++] = d[m];
            }
            assert_int_equal(n, 3);
            assert_int_equal(got[0].code, 1);
            assert_int_equal(got[1].code, 1);
            assert_int_equal(got[2].code, 10);
            assert_int_equal(got[0].ms, 100);
            assert_int_equal(got[2].ms, 60);
        }
}

static void a_key_whose_end_is_lost_ends_by_time_or_by_the_next(void **state)
{
    struct event_tx e = { 0 };
    struct event_rx rx = { 0 };
    struct event_digit d[4];
    struct line l;
    size_t n = 0;

    (void)state;
    key(&e, '1', 100);
    key(&e, '2', 100);
    send_all(&e, 8000, &l);
    for (size_t i = 0; i < 3; i++)
        n += receive(&rx, &l.packet[i], CPH_SEC(1) + CPH_MS(20) * (cph_time)i, d);
    assert_int_equal(n, 0);
    assert_int_equal(media_event_rx_tick(&rx, CPH_SEC(1) + CPH_MS(180), d), 0);
    assert_int_equal(receive(&rx, &l.packet[7], CPH_SEC(1) + CPH_MS(185), d),
                     1); /* the next begins */
    assert_int_equal(d[0].code, 1);
    assert_int_equal(d[0].ms, 60);
    assert_int_equal(media_event_rx_tick(&rx, CPH_SEC(2), d), 1);
    assert_int_equal(d[0].code, 2);
    assert_int_equal(media_event_rx_tick(&rx, CPH_SEC(3), d), 0);
    assert_int_equal(receive(&rx, &l.packet[13], CPH_SEC(3), d), 0); /* reports after the end */
}

static size_t raw(struct event_rx *rx, uint32_t ts, const char *bytes, size_t n,
                  struct event_digit *d)
{
    return media_event_rx(rx, (struct cph_span){ (const uint8_t *)bytes, n }, ts, 8000, CPH_SEC(1),
                          d, 4);
}

static void segments_of_a_long_event_are_one_event(void **state)
{
    struct event_rx rx = { 0 };
    struct event_digit d[4];

    (void)state;
    assert_int_equal(raw(&rx, 500, "\x07\x0a\xff\xff", 4, d), 0);
    assert_int_equal(raw(&rx, 500 + 0xffff, "\x07\x0a\x00\xa0", 4, d), 0);
    assert_int_equal(raw(&rx, 500 + 0xffff, "\x07\x8a\x1f\x40", 4, d), 1);
    assert_int_equal(d[0].code, 7);
    assert_int_equal(d[0].ms, (0xffff + 8000) / 8);
}

static void oddities_are_taken_calmly(void **state)
{
    struct event_rx rx = { 0 };
    struct event_digit d[4];

    (void)state;
    assert_int_equal(raw(&rx, 1, "\x05\x8a\x03", 3, d), 0);     /* cut */
    assert_int_equal(raw(&rx, 1, "\x05\x8a\x00\x00", 4, d), 0); /* lasts nothing */
    assert_int_equal(raw(&rx, 1, "\x05\xca\x03\x20", 4, d), 1); /* the reserved bit is ignored */
    assert_int_equal(raw(&rx, 1, "\x05\x8a\x03\x20", 4, d), 0); /* again */
    assert_int_equal(raw(&rx, 0xfffffff0, "\x05\x8a\x03\x20", 4, d), 0);           /* older */
    assert_int_equal(raw(&rx, 5000, "\x01\x8a\x01\x90\x02\x8a\x01\x90", 8, d), 2); /* two in one */
    assert_int_equal(d[0].code, 1);
    assert_int_equal(d[1].code, 2);
}

static void letters_of_keys_and_codes_agree(void **state)
{
    (void)state;
    for (uint8_t c = 0; c < 16; c++)
        assert_int_equal(media_event_code(media_event_digit(c)), c);
    assert_int_equal(media_event_code('a'), 12);
    assert_int_equal(media_event_code('E'), -1);
    assert_int_equal(media_event_code('\0'), -1);
    assert_int_equal(media_event_digit(16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_sent_as_the_rfc_says),
        cmocka_unit_test(keys_follow_with_a_pause_between),
        cmocka_unit_test(at_48_khz_the_duration_fits_its_field),
        cmocka_unit_test(lost_packets_lose_no_key),
        cmocka_unit_test(a_key_whose_end_is_lost_ends_by_time_or_by_the_next),
        cmocka_unit_test(segments_of_a_long_event_are_one_event),
        cmocka_unit_test(oddities_are_taken_calmly),
        cmocka_unit_test(letters_of_keys_and_codes_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The jitter buffer in virtual time: a sender of 20 ms packets, a net, and a player that asks every
 * 20 ms. */
#include "support.h"

#include <stdlib.h>

#include "media_int.h"

enum { MAX_FLIGHT = 512 };

struct net {
    struct test_env rnd;
    unsigned loss, duplicate; /* percent */
    cph_time jitter;          /* each packet takes 0..jitter longer */
    int ppm;                  /* the sender's clock runs that much fast */
    /* sender */
    uint16_t seq;
    uint32_t ts;
    uint32_t units;
    unsigned sent, lost;
    /* in flight */
    struct {
        cph_time at;
        uint16_t seq;
        uint32_t ts;
    } flight[MAX_FLIGHT];
    size_t n;
    /* player */
    struct media_jitter *j;
    unsigned put[5], got[5], shrunk;
    int64_t last; /* index of the packet played last */
    unsigned out_of_order;
};

static void start(struct net *n, uint64_t seed)
{
    memset(n, 0, sizeof *n);
    test_env_init(&n->rnd, seed);
    n->seq = 65500;     /* wraps soon */
    n->ts = 0xffff0000; /* so does this */
    n->units = 160;
    n->last = -1;
    assert_ok(media_jitter_new(CPH_MS(20), CPH_MS(400), &n->j));
}

static unsigned roll(struct net *n, unsigned sides)
{
    return (unsigned)(test_random(&n->rnd) % sides);
}

static void fly(struct net *n, cph_time now)
{
    assert_true(n->n < MAX_FLIGHT);
    n->flight[n->n].at = now + CPH_MS(10) + (n->jitter ? roll(n, (unsigned)n->jitter) : 0);
    n->flight[n->n].seq = n->seq;
    n->flight[n->n++].ts = n->ts;
}

static void transmit(struct net *n, cph_time now)
{
    n->sent++;
    if (roll(n, 100) < n->loss) {
        n->lost++;
    } else {
        fly(n, now);
        if (roll(n, 100) < n->duplicate)
            fly(n, now);
    }
    n->seq++;
    n->ts += n->units;
}

static void deliver(struct net *n, cph_time now)
{
    for (;;) {
        size_t first = n->n;

        for (size_t i = 0; i < n->n; i++)
            if (n->flight[i].at <= now && (first == n->n || n->flight[i].at < n->flight[first].at))
                first = i;
        if (first == n->n)
            return;
        /* the payload says which packet of the stream it is, so that the player can check the order
         */
        uint32_t index = n->flight[first].ts;
        struct jitter_packet p = { .seq = n->flight[first].seq,
                                   .ts = n->flight[first].ts,
                                   .rate = 8000,
                                   .units = n->units,
                                   .payload = { (const uint8_t *)&index, sizeof index } };

        n->put[media_jitter_put(n->j, &p, n->flight[first].at)]++;
        n->flight[first] = n->flight[--n->n];
    }
}

static void check_order(struct net *n, const struct jitter_out *o)
{
    uint32_t ts;
    int64_t index;

    memcpy(&ts, o->packet.payload.p, sizeof ts);
    index = (uint32_t)(ts - 0xffff0000) / n->units;
    n->out_of_order += index <= n->last;
    n->last = index;
}

static void play(struct net *n, cph_time now)
{
    struct jitter_out o;
    enum jitter_get g;

    do {
        g = media_jitter_get(n->j, now, false, &o);
        n->got[g]++;
        if (g == JITTER_PACKET)
            check_order(n, &o);
        if (g == JITTER_PACKET && o.shrink) {
            n->shrunk++;
            if (media_jitter_get(n->j, now, false, &o) == JITTER_PACKET)
                check_order(n, &o);
        }
    } while (g == JITTER_LOST && o.packet.units == 0);
}

/* seconds of the player's time; the sender's period is shorter by ppm */
static void run(struct net *n, cph_time *now, unsigned seconds)
{
    cph_time end = *now + CPH_SEC(seconds);
    /* absolute, so that 100 ppm of 20 ms, 2 us, are kept exactly */
    cph_time from = *now, period = CPH_MS(20) - CPH_MS(20) * n->ppm / 1000000;
    cph_time next_send = from, next_play = from + CPH_MS(7);

    while (*now < end) {
        if (next_send <= next_play) {
            *now = next_send;
            transmit(n, *now);
            next_send += period;
        } else {
            *now = next_play;
            deliver(n, *now);
            play(n, *now);
            next_play += CPH_MS(20);
        }
    }
}

static void a_steady_stream_is_played_as_it_comes(void **state)
{
    struct net n;
    cph_time now = CPH_SEC(1000);

    (void)state;
    start(&n, 1);
    run(&n, &now, 60);
    assert_int_equal(n.got[JITTER_LOST], 0);
    assert_int_equal(n.out_of_order, 0);
    assert_int_equal(n.put[JITTER_LATE] + n.put[JITTER_EARLY] + n.put[JITTER_DUPLICATE], 0);
    assert_true(n.got[JITTER_EMPTY] + n.got[JITTER_WAIT] < 10);
    assert_in_range(media_jitter_delay(n.j), 0, CPH_MS(60));
    assert_int_equal(media_jitter_target(n.j), CPH_MS(20));
    media_jitter_free(n.j);
}

static void nothing_is_dropped_under_bounded_jitter(void **state)
{
    static const unsigned bound[] = { 10, 30, 60, 120, 300 };

    (void)state;
    for (size_t i = 0; i < sizeof bound / sizeof bound[0]; i++) {
        struct net n;
        cph_time now = CPH_SEC(1000);
        unsigned late;

        start(&n, 10 + i);
        n.jitter = CPH_MS(bound[i]);
        run(&n, &now, 5); /* to learn */
        late = n.put[JITTER_LATE] + n.got[JITTER_LOST];
        run(&n, &now, 60);
        assert_int_equal(n.put[JITTER_LATE] + n.got[JITTER_LOST], late);
        assert_int_equal(n.put[JITTER_EARLY], 0);
        assert_int_equal(n.out_of_order, 0);
        assert_in_range(media_jitter_target(n.j), CPH_MS(bound[i]) * 8 / 10,
                        CPH_MS(bound[i]) + CPH_MS(12));
        media_jitter_free(n.j);
    }
}

static void the_delay_follows_the_jitter_up_and_down(void **state)
{
    struct net n;
    cph_time now = CPH_SEC(1000);

    (void)state;
    start(&n, 2);
    run(&n, &now, 20);
    assert_true(media_jitter_delay(n.j) <= CPH_MS(60));
    n.jitter = CPH_MS(150);
    run(&n, &now, 20);
    assert_in_range(media_jitter_delay(n.j), CPH_MS(100), CPH_MS(220));
    n.jitter = CPH_MS(5);
    run(&n, &now, 40);
    assert_true(media_jitter_delay(n.j) <= CPH_MS(60));
    assert_true(n.shrunk > 3);
    assert_int_equal(n.out_of_order, 0);
    media_jitter_free(n.j);
}

static void lost_packets_are_said_to_be_lost(void **state)
{
    struct net n;
    cph_time now = CPH_SEC(1000);

    (void)state;
    start(&n, 3);
    n.loss = 10;
    n.jitter = CPH_MS(30);
    run(&n, &now, 60);
    assert_in_range(n.got[JITTER_LOST], n.lost - 5, n.lost + 5);
    assert_int_equal(n.out_of_order, 0);
    media_jitter_free(n.j);
}

static void doubles_are_told_from_latecomers(void **state)
{
    struct net n;
    cph_time now = CPH_SEC(1000);

    (void)state;
    start(&n, 4);
    n.duplicate = 30;
    n.jitter = CPH_MS(60);
    run(&n, &now, 30);
    assert_in_range(n.put[JITTER_DUPLICATE], n.sent / 5, n.sent * 2 / 5);
    assert_true(n.put[JITTER_LATE] < 10);
    assert_int_equal(n.out_of_order, 0);
    media_jitter_free(n.j);
}

static void an_hour_of_a_fast_or_slow_sender_makes_no_drift(void **state)
{
    (void)state;
    for (int ppm = -100; ppm <= 100; ppm += 200) {
        struct net n;
        cph_time now = CPH_SEC(1000);
        unsigned moved;

        start(&n, 5);
        n.ppm = ppm;
        n.jitter = CPH_MS(15);
        run(&n, &now, 3600);
        assert_true(media_jitter_delay(n.j) <= CPH_MS(80));
        assert_int_equal(n.got[JITTER_LOST] + n.put[JITTER_LATE] + n.put[JITTER_EARLY], 0);
        assert_int_equal(n.out_of_order, 0);
        moved = ppm > 0 ? n.shrunk : n.got[JITTER_GROW] + n.got[JITTER_EMPTY];
        assert_in_range(moved, 15, 40); /* 360 ms are 18 frames, and the start */
        media_jitter_free(n.j);
    }
}

/* ---- by hand --------------------------------------------------------------------------------- */

static enum jitter_put put(struct media_jitter *j, uint16_t seq, uint32_t ts, cph_time now)
{
    struct jitter_packet p = {
        .seq = seq, .ts = ts, .rate = 8000, .units = 160, .payload = CPH_SPAN_LIT("x")
    };

    return media_jitter_put(j, &p, now);
}

static struct media_jitter *fresh(void)
{
    struct media_jitter *j;

    assert_ok(media_jitter_new(CPH_MS(20), CPH_MS(400), &j));
    return j;
}

static void the_first_packets_may_come_in_any_order(void **state)
{
    struct media_jitter *j = fresh();
    struct jitter_out o;

    (void)state;
    assert_int_equal(put(j, 2, 320, CPH_SEC(1)), JITTER_KEPT);
    assert_int_equal(put(j, 1, 160, CPH_SEC(1)), JITTER_KEPT);
    assert_int_equal(put(j, 65535, 0xffffff60, CPH_SEC(1)), JITTER_KEPT);
    assert_int_equal(put(j, 1, 160, CPH_SEC(1)), JITTER_DUPLICATE);
    assert_int_equal(media_jitter_get(j, CPH_SEC(1) + CPH_MS(70), false, &o), JITTER_PACKET);
    assert_int_equal(o.packet.seq, 65535);
    assert_true(o.spurt);
    media_jitter_free(j);
}

static void the_window_ends_at_its_edge(void **state)
{
    struct media_jitter *j = fresh();

    (void)state;
    assert_int_equal(put(j, 1, 160, CPH_SEC(1)), JITTER_KEPT);
    assert_int_equal(put(j, 1 + MEDIA_SLOTS - 1, 160 * MEDIA_SLOTS, CPH_SEC(1)), JITTER_KEPT);
    assert_int_equal(put(j, 1 + MEDIA_SLOTS, 160 * (MEDIA_SLOTS + 1), CPH_SEC(1)), JITTER_EARLY);
    assert_int_equal(media_jitter_count(j), 2);
    media_jitter_free(j);
}

static void a_payload_over_the_limit_is_refused(void **state)
{
    static uint8_t big[MEDIA_PAYLOAD_MAX + 1];
    struct media_jitter *j = fresh();
    struct jitter_packet p = { .rate = 8000, .units = 160, .payload = { big, sizeof big } };

    (void)state;
    assert_int_equal(media_jitter_put(j, &p, 0), JITTER_TOO_LONG);
    p.payload.n--;
    assert_int_equal(media_jitter_put(j, &p, 0), JITTER_KEPT);
    media_jitter_free(j);
}

/* Silence that the sender does not send: the timestamp jumps, the sequence does not. */
static void silence_not_sent_is_no_loss(void **state)
{
    struct media_jitter *j = fresh();
    struct jitter_out o;
    cph_time now = CPH_SEC(1);
    unsigned wait = 0, lost = 0, played = 0;
    uint16_t seq = 100;
    uint32_t ts = 0;

    (void)state;
    for (int frame = 0; frame < 500; frame++, now += CPH_MS(20), ts += 160) {
        if (frame % 100 < 50) /* talks a second, is silent a second */
            assert_int_equal(put(j, seq++, ts, now), JITTER_KEPT);
        switch (media_jitter_get(j, now + 1, false, &o)) {
        case JITTER_PACKET:
            played++;
            assert_true(o.spurt == (played % 50 == 1));
            break;
        case JITTER_LOST:
            lost++;
            break;
        default:
            wait++;
        }
    }
    assert_int_equal(lost, 0);
    assert_int_equal(played, 250);
    assert_int_equal(wait, 250);
    media_jitter_free(j);
}

static void a_time_line_that_jumps_is_followed(void **state)
{
    static const uint32_t jump[] = { 80000000, (uint32_t)-80000000, 16000, (uint32_t)-16000,
                                     0x7fffffff };

    (void)state;
    for (size_t k = 0; k < sizeof jump / sizeof jump[0]; k++) {
        struct media_jitter *j = fresh();
        struct jitter_out o;
        cph_time now = CPH_SEC(1);
        unsigned played = 0;
        uint32_t ts = 1000;

        for (uint16_t seq = 0; seq < 400; seq++, ts += 160, now += CPH_MS(20)) {
            if (seq == 200)
                ts += jump[k];
            assert_int_equal(put(j, seq, ts, now), JITTER_KEPT);
            played += media_jitter_get(j, now + 1, false, &o) == JITTER_PACKET;
        }
        assert_in_range(played, 390, 400);
        assert_true(media_jitter_delay(j) <= CPH_MS(80));
        media_jitter_free(j);
    }
}

/* Media that came before its keys is here, all of it, when playing begins: nothing is thrown away.
 */
static void what_was_here_before_playing_began_is_caught_up_with(void **state)
{
    struct media_jitter *j = fresh();
    struct jitter_out o;
    cph_time now = CPH_SEC(1);
    unsigned n = 0;

    (void)state;
    for (; n < 64; n++, now += CPH_MS(20))
        assert_int_equal(put(j, (uint16_t)n, 160 * n, now), JITTER_KEPT);
    for (uint16_t want = 0; want < 300; want++, n++, now += CPH_MS(20)) {
        assert_int_equal(media_jitter_get(j, now, false, &o), JITTER_PACKET);
        assert_int_equal(o.packet.seq, want);
        if (o.shrink) {
            assert_int_equal(media_jitter_get(j, now, false, &o), JITTER_PACKET);
            assert_int_equal(o.packet.seq, ++want);
        }
        assert_int_equal(put(j, (uint16_t)n, 160 * n, now), JITTER_KEPT);
    }
    assert_int_equal(media_jitter_removed(j), 0);
    assert_true(media_jitter_delay(j) < CPH_MS(700));
    media_jitter_free(j);
}

/* Speech from before the keys: as it was said for two seconds, then a fifth faster; twice as fast,
 * and at once, where nobody speaks; none of it is dropped. */
static void speech_is_not_hurried_at_once_and_silence_is(void **state)
{
    (void)state;
    for (int quiet = 0; quiet < 2; quiet++) {
        struct media_jitter *j = fresh();
        cph_time now = CPH_SEC(1), began, first = 0, caught = 0;
        struct jitter_out o;
        unsigned n = 0;

        for (; n < 50; n++, now += CPH_MS(20))
            assert_int_equal(put(j, (uint16_t)n, 160 * n, now), JITTER_KEPT);
        began = now;
        for (uint16_t want = 0; want < 600; want++, n++, now += CPH_MS(20)) {
            assert_int_equal(put(j, (uint16_t)n, 160 * n, now), JITTER_KEPT);
            assert_int_equal(media_jitter_get(j, now, quiet, &o), JITTER_PACKET);
            assert_int_equal(o.packet.seq, want);
            if (o.shrink) {
                assert_int_equal(o.gently, now - began < CPH_SEC(2));
                first = first ? first : now;
                assert_int_equal(media_jitter_get(j, now, false, &o), JITTER_PACKET);
                assert_int_equal(o.packet.seq, ++want);
            }
            if (!caught && media_jitter_delay(j) < CPH_MS(100))
                caught = now;
        }
        assert_int_equal(media_jitter_removed(j), 0);
        assert_true(caught != 0);
        if (quiet)
            assert_true(first - began <= CPH_MS(40) && caught - began <= CPH_SEC(3));
        else
            assert_true(first - began >= CPH_SEC(2) && caught - began <= CPH_SEC(8));
        media_jitter_free(j);
    }
}

static void after_a_stall_old_packets_go(void **state)
{
    struct media_jitter *j = fresh();
    struct jitter_out o;
    cph_time now = CPH_SEC(1);
    uint16_t seq = 0;

    (void)state;
    for (; seq < 100; seq++, now += CPH_MS(20)) {
        assert_int_equal(put(j, seq, seq * 160U, now), JITTER_KEPT);
        (void)media_jitter_get(j, now + 1, false, &o);
    }
    now += CPH_MS(900); /* the machine slept; what came meanwhile comes at once */
    for (; seq < 145; seq++)
        (void)put(j, seq, seq * 160U, now);
    for (; seq < 700; seq++, now += CPH_MS(20)) {
        (void)put(j, seq, seq * 160U, now);
        if (media_jitter_get(j, now + 1, false, &o) == JITTER_PACKET && o.shrink)
            (void)media_jitter_get(j, now + 1, false, &o);
    }
    assert_true(media_jitter_removed(j) > 5);
    assert_true(media_jitter_delay(j) <= CPH_MS(120));
    media_jitter_free(j);
}

static void place_holders_are_not_played_and_not_lost(void **state)
{
    struct media_jitter *j = fresh();
    struct jitter_out o;
    struct jitter_packet event = { .rate = 8000 };
    cph_time now = CPH_SEC(1);
    unsigned got[5] = { 0 };
    uint32_t ts = 0;

    (void)state;
    for (uint16_t seq = 0; seq < 200; seq++, ts += 160, now += CPH_MS(20)) {
        if (seq >= 100 && seq < 110) {
            event.seq = seq;
            event.ts = 100 * 160;
            assert_int_equal(media_jitter_put(j, &event, now), JITTER_KEPT);
        } else {
            assert_int_equal(put(j, seq, ts, now), JITTER_KEPT);
        }
        got[media_jitter_get(j, now + 1, false, &o)]++;
    }
    assert_int_equal(got[JITTER_LOST], 0);
    assert_in_range(got[JITTER_PACKET], 185, 190);
    media_jitter_free(j);
}

static cph_err make(void *arg)
{
    struct media_jitter *j;

    (void)arg;
    CPH_TRY(media_jitter_new(1, 2, &j));
    media_jitter_free(j);
    return CPH_OK;
}

static void construction_survives_want_of_memory(void **state)
{
    (void)state;
    test_alloc_fails(make, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_stream_is_played_as_it_comes),
        cmocka_unit_test(nothing_is_dropped_under_bounded_jitter),
        cmocka_unit_test(the_delay_follows_the_jitter_up_and_down),
        cmocka_unit_test(lost_packets_are_said_to_be_lost),
        cmocka_unit_test(doubles_are_told_from_latecomers),
        cmocka_unit_test(an_hour_of_a_fast_or_slow_sender_makes_no_drift),
        cmocka_unit_test(the_first_packets_may_come_in_any_order),
        cmocka_unit_test(the_window_ends_at_its_edge),
        cmocka_unit_test(a_payload_over_the_limit_is_refused),
        cmocka_unit_test(silence_not_sent_is_no_loss),
        cmocka_unit_test(a_time_line_that_jumps_is_followed),
        cmocka_unit_test(what_was_here_before_playing_began_is_caught_up_with),
        cmocka_unit_test(speech_is_not_hurried_at_once_and_silence_is),
        cmocka_unit_test(after_a_stall_old_packets_go),
        cmocka_unit_test(place_holders_are_not_played_and_not_lost),
        cmocka_unit_test(construction_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

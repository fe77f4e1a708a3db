/* Two flows over a net that loses, delays and doubles, in virtual time. */
#include "flows.h"

#include <math.h>

static struct cph_media_pcm speech;

static int load_speech(void **state)
{
    const char *root = getenv("CPH_SOURCE");
    char full[4096];

    (void)state;
    (void)snprintf(full, sizeof full, "%s/share/demo/speech.wav", root ? root : ".");
    return cph_media_wav_load(full, NULL, &speech) == CPH_OK ? 0 : -1;
}

static int drop_speech(void **state)
{
    (void)state;
    cph_media_pcm_free(&speech);
    return 0;
}

static void play_speech(struct end *e)
{
    struct cph_media_source *s;

    assert_ok(cph_media_memory_source(&speech, false, &s));
    assert_ok(cph_media_flow_source(e->flow, s));
}

static struct cph_media_likeness heard_at(const struct end *e)
{
    struct cph_media_likeness l;

    assert_ok(cph_media_compare(&speech, &e->heard, &l));
    return l;
}

static const char *const codecs[] = { "PCMU", "PCMA", "opus" };

static void speech_arrives_whole_over_a_good_net(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (unsigned ptime = 20; ptime <= 60; ptime += 20) {
            struct pair p;
            struct cph_media_params params = params_of(codecs[k]);
            struct cph_media_likeness l;
            struct cph_media_stats s;

            params.ptime_ms = ptime;
            pair_start(&p, 1, &params);
            play_speech(&p.a);
            play_speech(&p.b);
            pair_run(&p, CPH_SEC(9));
            for (struct end *e = &p.a; e; e = e == &p.a ? &p.b : NULL) {
                l = heard_at(e);
                assert_true(l.similarity > 0.9);
                assert_int_equal(l.gaps, 0);
                assert_true(l.covered > 0.99);
                s = stats_of(&p, e);
                assert_int_equal(s.lost + s.late + s.early + s.duplicate + s.bad, 0);
                assert_in_range(s.packets_in, 9000 / ptime - 2, 9000 / ptime);
                assert_in_range(s.delay_ms, 0, 100);
                assert_true(l.delay_ms < 200);
            }
            pair_stop(&p);
        }
}

static void speech_is_understood_over_a_bad_net(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct pair p;
        struct cph_media_params params = params_of(codecs[k]);
        struct cph_media_likeness l;
        struct cph_media_stats s;

        params.fmtp = cph_span_of("useinbandfec=1");
        pair_start(&p, 2, &params);
        p.loss = 5;
        p.duplicate = 5;
        p.jitter = CPH_MS(60);
        pair_run(&p, CPH_SEC(6)); /* the encoder adds redundancy once a report told of the loss */
        play_speech(&p.a);
        pair_run(&p, CPH_SEC(9));
        l = heard_at(&p.b);
        s = stats_of(&p, &p.b);
        assert_true(k < 2 || s.fec > 0);
        assert_true(l.similarity > 0.75);
        assert_true(s.lost > 20 && s.lost < 70);
        assert_true(s.duplicate > 10);
        assert_true(s.concealed >= s.lost);
        assert_in_range(s.jitter_ms, 8, 40);
        assert_true(s.reordered > 10);
        pair_stop(&p);
    }
}

static void an_hour_with_skewed_clocks_keeps_the_delay(void **state)
{
    struct pair p;
    struct cph_media_params params = params_of("PCMU");
    struct cph_media_stats s;

    (void)state;
    pair_start(&p, 3, &params);
    assert_ok(cph_media_flow_sink(p.a.flow, NULL));
    assert_ok(cph_media_flow_sink(p.b.flow, NULL));
    p.a.ppm = 100;
    p.b.ppm = -100;
    p.jitter = CPH_MS(10);
    pair_run(&p, CPH_SEC(3600));
    for (struct end *e = &p.a; e; e = e == &p.a ? &p.b : NULL) {
        s = stats_of(&p, e);
        assert_int_equal(s.lost + s.late + s.early + s.frames_skipped, 0);
        assert_true(s.delay_ms < 90);
        assert_in_range(s.frames, 180000 - 20, 180000 + 20);
        assert_in_range(s.inserted + s.removed + s.concealed, 25,
                        80); /* 200 ppm of an hour: 36 frames */
    }
    pair_stop(&p);
}

static void reports_measure_loss_and_round_trip(void **state)
{
    struct pair p;
    struct cph_media_params params = params_of("PCMU");
    struct cph_media_stats s;

    (void)state;
    pair_start(&p, 4, &params);
    p.delay = CPH_MS(40);
    pair_run(&p, CPH_SEC(20));
    s = stats_of(&p, &p.a);
    assert_in_range(s.rtt_ms, 79, 83);
    assert_int_equal(s.peer_loss, 0);
    assert_true(s.rtcp_in > 2 && s.rtcp_out > 2);
    assert_false(s.peer_lost);
    p.loss = 20;
    pair_run(&p, CPH_SEC(40));
    s = stats_of(&p, &p.a);
    assert_in_range(s.peer_loss, 10, 30);
    p.loss = 100;
    pair_run(&p, CPH_SEC(40));
    s = stats_of(&p, &p.a);
    assert_true(s.peer_lost);
    pair_stop(&p);
}

static void keys_arrive_in_order_over_a_net_that_loses(void **state)
{
    static const char *const keys = "0123456789*#ABCD";

    (void)state;
    for (size_t k = 0; k < 3; k += 2) {
        struct pair p;
        struct cph_media_params params = params_of(codecs[k]);
        size_t n = 0;

        pair_start(&p, 5 + k, &params);
        p.loss = 10;
        p.jitter = CPH_MS(15); /* less than a frame: no packet passes another */
        assert_ok(cph_media_flow_digits(p.a.flow, keys, 0));
        pair_run(&p, CPH_SEC(6));
        for (size_t i = 0; i < p.b.n_events; i++)
            if (p.b.events[i].kind == CPH_MEDIA_EVENT_DIGIT) {
                assert_int_equal(p.b.events[i].digit, keys[n]);
                assert_in_range(p.b.events[i].duration_ms, 60, 100);
                n++;
            }
        assert_int_equal(n, 16);
        assert_int_equal(count_events(&p.a, CPH_MEDIA_EVENT_DIGIT_SENT), 16);
        pair_stop(&p);
    }
}

static void hold_and_resume_lose_nothing_but_the_time_between(void **state)
{
    struct pair p;
    struct cph_media_params params = params_of("PCMA"), hold;
    struct cph_media_stats s;

    (void)state;
    pair_start(&p, 6, &params);
    play_speech(&p.a);
    pair_run(&p, CPH_SEC(2));
    hold = params;
    hold.send = false;
    assert_ok(cph_media_flow_set(p.a.flow, &hold));
    hold = params;
    hold.recv_on = false;
    assert_ok(cph_media_flow_set(p.b.flow, &hold));
    pair_run(&p, CPH_SEC(30));
    assert_ok(cph_media_flow_set(p.a.flow, &params));
    assert_ok(cph_media_flow_set(p.b.flow, &params));
    play_speech(&p.a);
    cph_media_pcm_free(&p.b.heard);
    struct cph_media_sink *sink;
    assert_ok(cph_media_memory_sink(&p.b.heard, 48000, 20 * 48000, &sink));
    assert_ok(cph_media_flow_sink(p.b.flow, sink));
    pair_run(&p, CPH_SEC(9));
    assert_true(heard_at(&p.b).similarity > 0.9);
    assert_int_equal(heard_at(&p.b).gaps, 0);
    s = stats_of(&p, &p.b);
    assert_int_equal(s.lost + s.late + s.bad, 0);
    assert_true(s.delay_ms < 100);
    pair_stop(&p);
}

static void a_call_may_change_its_codec(void **state)
{
    struct pair p;
    struct cph_media_params mu = params_of("PCMU"), opus = params_of("opus");
    struct cph_media_stats s;

    (void)state;
    opus.recv[opus.n_recv++] = mu.recv[0];
    mu.recv[1] = opus.recv[0];
    mu.recv[mu.n_recv++] = opus.recv[1];
    pair_start(&p, 7, &mu);
    play_speech(&p.a);
    pair_run(&p, CPH_SEC(3));
    assert_ok(cph_media_flow_set(p.a.flow, &opus)); /* b learns of it a little later */
    pair_run(&p, CPH_SEC(1));
    assert_ok(cph_media_flow_set(p.b.flow, &opus));
    pair_run(&p, CPH_SEC(5));
    assert_true(heard_at(&p.b).similarity > 0.85);
    s = stats_of(&p, &p.b);
    assert_int_equal(s.bad, 0);
    pair_stop(&p);
}

static void a_good_bye_is_heard(void **state)
{
    struct pair p;
    struct cph_media_params params = params_of("PCMU");

    (void)state;
    pair_start(&p, 8, &params);
    pair_run(&p, CPH_SEC(3));
    cph_media_flow_bye(p.a.flow, own(&p.a, p.now));
    pair_run(&p, CPH_SEC(1));
    assert_int_equal(count_events(&p.b, CPH_MEDIA_EVENT_BYE), 1);
    assert_int_equal(count_events(&p.b, CPH_MEDIA_EVENT_SSRC), 1);
    pair_stop(&p);
}

static void what_is_lost_is_filled_and_not_cut_out(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct pair p;
        struct cph_media_params params = params_of(codecs[k]);
        struct cph_media_source *tone;
        size_t silent = 0;

        pair_start(&p, 9, &params);
        assert_ok(cph_media_tone(16000, 220, -10, &tone));
        assert_ok(cph_media_flow_source(p.a.flow, tone));
        p.loss = 10;
        pair_run(&p, CPH_SEC(k < 2 ? 20 : 6));
        for (size_t i = 16000; i + 160 <= p.b.heard.n; i += 160)
            silent += 10 * log10(media_power(p.b.heard.p + i, 160) + 1e-12) < -33;
        assert_true(silent < p.b.heard.n / 160 /
                                 100); /* of a tenth of packets lost, no hundredth is heard */
        pair_stop(&p);
    }
}

/* The answer is late: what came in the first second is given to the flow at its end, with the times
 * it came at (RFC 5763 A.4; R5 of draft-wing-media-security-requirements). */
static void speech_from_before_the_keys_is_heard_whole_and_then_in_time(void **state)
{
    enum { LATE = 50, WORD_MS = 900 };
    static struct {
        size_t n;
        uint8_t b[CPH_MEDIA_PACKET_MAX];
    } early[LATE];

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct cph_media_params params = params_of(codecs[k]);
        struct cph_media_likeness l;
        struct cph_media_pcm word;
        struct pair p;

        pair_start(&p, 1, &params);
        play_speech(&p.a);
        for (size_t i = 0; i < 450; i++, p.now += CPH_MS(20)) {
            uint8_t b[CPH_MEDIA_PACKET_MAX];
            size_t n;

            cph_media_flow_tick(p.a.flow, p.now);
            assert_ok(cph_media_flow_pull(p.a.flow, b, sizeof b, &n));
            if (i < LATE) {
                early[i].n = n;
                memcpy(early[i].b, b, n);
                continue;
            }
            for (size_t e = 0; i == LATE && e < LATE; e++)
                assert_ok(cph_media_flow_feed(p.b.flow, (struct cph_span){ early[e].b, early[e].n },
                                              p.now - CPH_MS(20 * (LATE - e))));
            assert_ok(cph_media_flow_feed(p.b.flow, (struct cph_span){ b, n }, p.now));
            cph_media_flow_tick(p.b.flow, p.now);
        }
        word = speech;
        word.n = word.rate * WORD_MS / 1000;
        assert_ok(cph_media_compare(&word, &p.b.heard, &l));
        assert_true(l.similarity > 0.8);
        assert_int_equal(l.gaps, 0);
        assert_true(l.covered > 0.98);
        assert_int_equal(stats_of(&p, &p.b).lost + stats_of(&p, &p.b).early, 0);
        assert_true(stats_of(&p, &p.b).removed >= 40);
        assert_true(stats_of(&p, &p.b).delay_ms < 100);
        pair_stop(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_arrives_whole_over_a_good_net),
        cmocka_unit_test(speech_is_understood_over_a_bad_net),
        cmocka_unit_test(an_hour_with_skewed_clocks_keeps_the_delay),
        cmocka_unit_test(reports_measure_loss_and_round_trip),
        cmocka_unit_test(keys_arrive_in_order_over_a_net_that_loses),
        cmocka_unit_test(hold_and_resume_lose_nothing_but_the_time_between),
        cmocka_unit_test(a_call_may_change_its_codec),
        cmocka_unit_test(a_good_bye_is_heard),
        cmocka_unit_test(speech_from_before_the_keys_is_heard_whole_and_then_in_time),
        cmocka_unit_test(what_is_lost_is_filled_and_not_cut_out),
    };

    return cmocka_run_group_tests(tests, load_speech, drop_speech);
}

/* One flow, packet by packet. */
#include "flows.h"

static const struct cph_media_payload pcmu_recv[] = { { 0, NULL, 0 } };

static struct cph_media_flow *flow_with(struct test_env *t, const struct cph_media_params *p)
{
    struct cph_media_flow_config config = { .env = &t->env, .cname = "alice" };
    struct cph_media_flow *f;

    (void)pcmu_recv;
    test_env_init(t, 7);
    assert_ok(cph_media_flow_new(&config, CPH_SEC(10), &f));
    if (p)
        assert_ok(cph_media_flow_set(f, p));
    return f;
}

static size_t pull(struct cph_media_flow *f, struct cph_rtp *rtp)
{
    static uint8_t buf[CPH_MEDIA_PACKET_MAX];
    size_t n = 0;

    if (cph_media_flow_pull(f, buf, sizeof buf, &n) != CPH_OK)
        return 0;
    assert_ok(cph_rtp_parse((struct cph_span){ buf, n }, rtp));
    return n;
}

static void give(struct cph_media_flow *f, uint32_t ssrc, uint16_t seq, uint8_t pt, cph_time now,
                 cph_err want)
{
    uint8_t payload[160], buf[200];
    struct cph_rtp rtp = { .pt = pt, .seq = seq, .ts = seq * 160U, .ssrc = ssrc };
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    memset(payload, 0xaa, sizeof payload);
    rtp.payload = (struct cph_span){ payload, sizeof payload };
    assert_ok(cph_rtp_build(&rtp, &wr));
    assert_err(cph_media_flow_feed(f, cph_wr_done(&wr), now), want);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static void nothing_happens_before_it_is_set(void **state)
{
    struct test_env t;
    struct cph_media_flow *f = flow_with(&t, NULL);
    struct cph_rtp rtp;

    (void)state;
    assert_true(cph_media_flow_deadline(f) == CPH_TIME_NEVER);
    cph_media_flow_tick(f, CPH_SEC(20));
    assert_int_equal(pull(f, &rtp), 0);
    cph_media_flow_bye(f, CPH_SEC(20));
    cph_media_flow_free(f);
}

static void ticks_lie_on_absolute_multiples(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    cph_time start = CPH_SEC(11) + 123, now = start;
    struct cph_rtp rtp;

    (void)state;
    assert_true(cph_media_flow_deadline(f) <= start);
    for (int i = 0; i < 1000; i++) {
        cph_time due = cph_media_flow_deadline(f);

        now = i == 0 ? start : due + (cph_time)(test_random(&t) % 15000); /* always a little late */
        cph_media_flow_tick(f, now);
        while (pull(f, &rtp) > 0)
            ;
    }
    struct cph_media_stats s;

    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.frames, (uint64_t)((now - start) / 20000 + 1));
    assert_int_equal(s.frames_skipped, 0);
    assert_true(cph_media_flow_deadline(f) <= start + 20000 * (cph_time)s.frames);
    cph_media_flow_free(f);
}

static void after_a_stall_four_frames_are_made_up_for(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_stats s;
    struct cph_rtp rtp;
    uint32_t ts;
    uint16_t seq;

    (void)state;
    cph_media_flow_tick(f, CPH_SEC(11));
    assert_true(pull(f, &rtp) > 0);
    ts = rtp.ts;
    seq = rtp.seq;
    cph_media_flow_tick(f, CPH_SEC(12)); /* 50 frames later */
    for (unsigned i = 0; i < 4; i++) {
        assert_true(pull(f, &rtp) > 0);
        assert_int_equal(rtp.ts, ts + (47 + i) * 160); /* the timestamp tells the time */
        assert_int_equal(rtp.seq, (uint16_t)(seq + 1 + i));
        assert_int_equal(rtp.marker, i == 0);
    }
    assert_int_equal(pull(f, &rtp), 0);
    cph_media_flow_stats(f, CPH_SEC(12), &s);
    assert_int_equal(s.frames_skipped, 46);
    assert_true(cph_media_flow_deadline(f) == CPH_SEC(12) + CPH_MS(20));
    cph_media_flow_free(f);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void packets_carry_the_right_numbers(void **state)
{
    static const struct {
        const char *codec;
        unsigned ptime, ms;
        size_t units;
    } row[] = { { "PCMU", 0, 20, 160 },  { "PCMU", 30, 40, 320 },  { "PCMA", 60, 60, 480 },
                { "opus", 20, 20, 960 }, { "opus", 40, 40, 1920 }, { "PCMA", 200, 60, 480 } };

    (void)state;
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        struct test_env t;
        struct cph_media_params p = params_of(row[k].codec);
        struct cph_media_flow *f;
        struct cph_media_source *tone;
        struct cph_rtp rtp;
        uint32_t ts = 0;
        uint16_t seq = 0;
        unsigned n = 0;

        p.ptime_ms = row[k].ptime;
        f = flow_with(&t, &p);
        assert_ok(cph_media_tone(44100, 440, -10, &tone));
        assert_ok(cph_media_flow_source(f, tone));
        for (cph_time now = CPH_SEC(11); now < CPH_SEC(12); now += CPH_MS(20)) {
            cph_media_flow_tick(f, now);
            while (pull(f, &rtp) > 0) {
                assert_int_equal(rtp.pt, p.pt);
                assert_int_equal(rtp.marker, n == 0);
                if (n++ > 0) {
                    assert_int_equal(rtp.ts, ts + row[k].units);
                    assert_int_equal(rtp.seq, (uint16_t)(seq + 1));
                } else {
                    assert_true(rtp.seq < 0x8000);
                }
                ts = rtp.ts;
                seq = rtp.seq;
            }
        }
        assert_int_equal(n, 1000 / row[k].ms);
        cph_media_flow_free(f);
    }
}

static void hold_sends_nothing_and_resume_marks_the_spurt(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_rtp rtp;
    cph_time now = CPH_SEC(11);
    uint32_t ts, ssrc;
    uint16_t seq;

    (void)state;
    cph_media_flow_tick(f, now);
    assert_true(pull(f, &rtp) > 0);
    ts = rtp.ts, seq = rtp.seq, ssrc = rtp.ssrc;
    p.send = false;
    assert_ok(cph_media_flow_set(f, &p));
    for (int i = 0; i < 10; i++) {
        cph_media_flow_tick(f, now += CPH_MS(20));
        assert_int_equal(pull(f, &rtp), 0);
    }
    p.send = true;
    assert_ok(cph_media_flow_set(f, &p));
    cph_media_flow_tick(f, now += CPH_MS(20));
    assert_true(pull(f, &rtp) > 0);
    assert_true(rtp.marker);
    assert_int_equal(rtp.ts, ts + 11 * 160);
    assert_int_equal(rtp.seq, (uint16_t)(seq + 1));
    assert_int_equal(rtp.ssrc, ssrc);
    p = params_of("opus"); /* another codec: the same source goes on */
    assert_ok(cph_media_flow_set(f, &p));
    cph_media_flow_tick(f, now += CPH_MS(20));
    assert_true(pull(f, &rtp) > 0);
    assert_int_equal(rtp.pt, 96);
    assert_int_equal(rtp.ssrc, ssrc);
    assert_int_equal(rtp.seq, (uint16_t)(seq + 2));
    cph_media_flow_free(f);
}

static void mute_sends_silence(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_source *tone;
    struct cph_media_stats s;
    struct cph_rtp rtp;
    cph_time now = CPH_SEC(11);

    (void)state;
    assert_ok(cph_media_tone(8000, 440, -10, &tone));
    assert_ok(cph_media_flow_source(f, tone));
    for (int i = 0; i < 20; i++, now += CPH_MS(20)) {
        cph_media_flow_tick(f, now);
        assert_true(pull(f, &rtp) > 0);
    }
    cph_media_flow_stats(f, now, &s);
    assert_true(s.level_out > -14 && s.level_out < -12);
    cph_media_flow_mute(f, true);
    for (int i = 0; i < 20; i++, now += CPH_MS(20)) {
        cph_media_flow_tick(f, now);
        assert_true(pull(f, &rtp) > 0);
        for (size_t k = 0; k < rtp.payload.n; k++)
            assert_int_equal(rtp.payload.p[k], 0xff);
    }
    cph_media_flow_stats(f, now, &s);
    assert_true(s.level_out == -127);
    cph_media_flow_free(f);
}

static void a_source_that_ends_is_told_once(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    int16_t data[400] = { 1 };
    struct cph_media_pcm pcm = { 8000, 400, data };
    struct cph_media_source *src;
    struct cph_media_event e;
    unsigned over = 0;

    (void)state;
    assert_ok(cph_media_memory_source(&pcm, false, &src));
    assert_ok(cph_media_flow_source(f, src));
    for (cph_time now = CPH_SEC(11); now < CPH_SEC(12); now += CPH_MS(20))
        cph_media_flow_tick(f, now);
    while (cph_media_flow_event(f, &e))
        over += e.kind == CPH_MEDIA_EVENT_SOURCE_OVER;
    assert_int_equal(over, 1);
    cph_media_flow_free(f);
}

static cph_err broken_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    (void)s;
    (void)pcm;
    (void)n;
    return CPH_E_IO;
}

static void free_nothing(struct cph_media_source *s)
{
    (void)s;
}

static void a_source_that_fails_is_let_go(void **state)
{
    static const struct cph_media_source_ops ops = { broken_read, free_nothing };
    static struct cph_media_source broken = { &ops, 8000 };
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_event e;
    struct cph_rtp rtp;

    (void)state;
    assert_ok(cph_media_flow_source(f, &broken));
    cph_media_flow_tick(f, CPH_SEC(11));
    assert_true(pull(f, &rtp) > 0); /* silence */
    assert_true(cph_media_flow_event(f, &e));
    assert_int_equal(e.kind, CPH_MEDIA_EVENT_IO);
    assert_int_equal(e.err, CPH_E_IO);
    cph_media_flow_tick(f, CPH_SEC(11) + CPH_MS(20));
    assert_false(cph_media_flow_event(f, &e));
    broken.rate = 4000;
    assert_err(cph_media_flow_source(f, &broken), CPH_E_ARGUMENT);
    broken.rate = 8000;
    cph_media_flow_free(f);
}

static void keys_the_peer_cannot_take_are_refused(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("opus");
    struct cph_media_flow *f = flow_with(&t, &p);

    (void)state;
    assert_err(cph_media_flow_digits(f, "12x", 0), CPH_E_MALFORMED);
    assert_err(cph_media_flow_digits(f, "012345678901234567890123456789012", 0), CPH_E_LIMIT);
    assert_ok(cph_media_flow_digits(f, "01234567890123456789012345678901", 0));
    assert_err(cph_media_flow_digits(f, "1", 0), CPH_E_LIMIT);
    p.event_rate = 8000; /* not the clock of the audio */
    assert_ok(cph_media_flow_set(f, &p));
    assert_err(cph_media_flow_digits(f, "1", 0), CPH_E_UNSUPPORTED);
    p.event_rate = 48000, p.event_pt = -1;
    assert_ok(cph_media_flow_set(f, &p));
    assert_err(cph_media_flow_digits(f, "1", 0), CPH_E_UNSUPPORTED);
    cph_media_flow_free(f);
}

static void params_that_cannot_be_are_refused_and_change_nothing(void **state)
{
    struct test_env t;
    struct cph_media_params good = params_of("PCMU"), p;
    struct cph_media_flow *f = flow_with(&t, &good);
    struct cph_rtp rtp;

    (void)state;
    p = params_of("opus");
    p.n_recv = CPH_MEDIA_PAYLOADS + 1;
    assert_err(cph_media_flow_set(f, &p), CPH_E_ARGUMENT);
    p = params_of("opus");
    p.recv[1].pt = p.recv[0].pt;
    assert_err(cph_media_flow_set(f, &p), CPH_E_ARGUMENT);
    p = params_of("opus");
    p.recv[1].event_rate = 0;
    assert_err(cph_media_flow_set(f, &p), CPH_E_ARGUMENT);
    p = params_of("opus");
    p.pt = 128;
    assert_err(cph_media_flow_set(f, &p), CPH_E_ARGUMENT);
    cph_media_flow_tick(f, CPH_SEC(11));
    assert_true(pull(f, &rtp) > 0);
    assert_int_equal(rtp.pt, 0);
    cph_media_flow_free(f);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void bad_packets_are_counted_and_do_nothing(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_stats s;

    (void)state;
    assert_err(cph_media_flow_feed(f, CPH_SPAN_LIT("\x80"), CPH_SEC(11)), CPH_E_TRUNCATED);
    assert_err(cph_media_flow_feed(f, CPH_SPAN_LIT("\x40zzzzzzzzzzzzz"), CPH_SEC(11)),
               CPH_E_MALFORMED);
    give(f, 5, 1, 77, CPH_SEC(11), CPH_E_UNSUPPORTED);
    assert_err(cph_media_flow_feed_rtcp(f, CPH_SPAN_LIT("\x80\xca\0\0"), CPH_SEC(11)),
               CPH_E_MALFORMED);
    cph_media_flow_stats(f, CPH_SEC(11), &s);
    assert_int_equal(s.bad, 4);
    assert_int_equal(s.packets_in, 0);
    assert_int_equal(s.ssrc_in, 0);
    cph_media_flow_free(f);
}

static void another_source_takes_over_only_when_the_first_is_silent(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_stats s;
    cph_time now = CPH_SEC(11);
    uint16_t seq = 1;

    (void)state;
    for (int i = 0; i < 50;
         i++, now += CPH_MS(20), seq++) { /* both talk: a forked call's early media */
        give(f, 0xa, seq, 0, now, CPH_OK);
        give(f, 0xb, seq, 0, now, i == 0 ? CPH_E_STATE : CPH_OK);
        cph_media_flow_tick(f, now);
        cph_media_flow_stats(f, now, &s);
        assert_int_equal(s.ssrc_in, 0xa);
    }
    for (int i = 0; i < 10; i++, now += CPH_MS(20), seq++)
        give(f, 0xb, seq, 0, now, CPH_OK);
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0xb);
    cph_media_flow_select(f, 0xa);
    give(f, 0xb, seq, 0, now, CPH_OK);
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0);
    give(f, 0xa, seq, 0, now, CPH_OK);
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0xa);
    now += CPH_SEC(1);
    give(f, 0xb, ++seq, 0, now, CPH_OK);
    give(f, 0xb, ++seq, 0, now, CPH_OK);
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0xa); /* chosen is chosen */
    cph_media_flow_follow(f);
    give(f, 0xb, ++seq, 0, now, CPH_OK);
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0xb);
    cph_media_flow_free(f);
}

static void more_sources_than_places_do_no_harm(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_stats s;
    cph_time now = CPH_SEC(11);

    (void)state;
    for (uint16_t i = 0; i < 1000; i++, now += CPH_MS(1)) {
        if (i % 20 == 0)
            give(f, 0xa, i / 20, 0, now, CPH_OK);
        give(f, 0x1000U + i, 7, 0, now, CPH_E_STATE);
    }
    cph_media_flow_stats(f, now, &s);
    assert_int_equal(s.ssrc_in, 0xa);
    assert_int_equal(s.packets_in, 50);
    cph_media_flow_free(f);
}

static void our_own_number_heard_is_given_up_with_a_bye(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_media_stats s;
    struct cph_media_event e;
    struct cph_rtp rtp;
    uint8_t buf[CPH_MEDIA_PACKET_MAX];
    size_t n;
    uint32_t mine;
    bool told = false;

    (void)state;
    cph_media_flow_tick(f, CPH_SEC(11));
    assert_true(pull(f, &rtp) > 0);
    mine = rtp.ssrc;
    give(f, mine, 1, 0, CPH_SEC(11), CPH_OK);
    while (cph_media_flow_event(f, &e))
        told |= e.kind == CPH_MEDIA_EVENT_COLLISION;
    assert_true(told);
    assert_ok(cph_media_flow_pull_rtcp(f, buf, sizeof buf, &n));
    assert_ok(cph_rtcp_check((struct cph_span){ buf, n }));
    struct cph_span rest = { buf, n };
    struct cph_rtcp r = { 0 };
    struct cph_rtcp_bye bye;
    while (cph_rtcp_next(&rest, &r) == CPH_OK)
        ;
    assert_ok(cph_rtcp_bye_parse(&r, &bye));
    assert_int_equal(bye.ssrc[0], mine);
    cph_media_flow_tick(f, CPH_SEC(11) + CPH_MS(20));
    assert_true(pull(f, &rtp) > 0);
    assert_int_not_equal(rtp.ssrc, mine);
    for (unsigned i = 1; i < CPH_RTP_COLLISIONS; i++) {
        cph_media_flow_stats(f, CPH_SEC(12), &s);
        give(f, s.ssrc_out, 1, 0, CPH_SEC(12), i == 1 ? CPH_E_STATE : CPH_E_STATE);
    }
    cph_media_flow_stats(f, CPH_SEC(12), &s);
    give(f, s.ssrc_out, 1, 0, CPH_SEC(12), CPH_E_LIMIT); /* an echo of ourselves */
    cph_media_flow_free(f);
}

static void a_pull_into_too_little_room_keeps_the_packet(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    uint8_t buf[CPH_MEDIA_PACKET_MAX];
    size_t n;

    (void)state;
    cph_media_flow_tick(f, CPH_SEC(11));
    assert_err(cph_media_flow_pull(f, buf, 171, &n), CPH_E_NOSPACE);
    assert_ok(cph_media_flow_pull(f, buf, 172, &n));
    assert_int_equal(n, 172);
    assert_err(cph_media_flow_pull(f, buf, 172, &n), CPH_E_AGAIN);
    cph_media_flow_free(f);
}

static void the_packet_path_allocates_nothing(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("PCMU");
    struct cph_media_flow *f = flow_with(&t, &p);
    struct cph_rtp rtp;
    size_t before = test_alloc_count();
    uint16_t seq = 1;

    (void)state;
    for (cph_time now = CPH_SEC(11); now < CPH_SEC(31); now += CPH_MS(20)) {
        give(f, 9, seq++, 0, now, CPH_OK);
        cph_media_flow_tick(f, now);
        while (pull(f, &rtp) > 0)
            ;
    }
    assert_int_equal(test_alloc_count(), before);
    cph_media_flow_free(f);
}

static cph_err make(void *arg)
{
    struct test_env t;
    struct cph_media_flow_config config = { .env = &t.env };
    struct cph_media_params p = params_of("opus");
    struct cph_media_flow *f;
    struct cph_media_source *source;
    struct cph_media_sink *sink;
    cph_err err;

    (void)arg;
    test_env_init(&t, 3);
    CPH_TRY(cph_media_flow_new(&config, 0, &f));
    err = cph_media_flow_set(f, &p);
    if (!err)
        err = cph_media_tone(8000, 440, -10, &source);
    if (!err)
        err = cph_media_flow_source(f, source);
    if (!err)
        err = cph_media_null_sink(8000, &sink);
    if (!err)
        err = cph_media_flow_sink(f, sink);
    p = params_of("PCMU");
    if (!err)
        err = cph_media_flow_set(f, &p);
    cph_media_flow_tick(f, CPH_SEC(1));
    cph_media_flow_free(f);
    return err;
}

static void construction_survives_want_of_memory(void **state)
{
    struct test_env t;
    struct cph_media_flow_config config = { .env = &t.env };
    struct cph_media_flow *f;

    (void)state;
    test_alloc_fails(make, NULL);
    for (unsigned i = 1; i <= 4; i++) { /* and of randomness */
        test_env_init(&t, 3);
        t.random_fails = i;
        assert_err(cph_media_flow_new(&config, 0, &f), CPH_E_CRYPTO);
    }
    test_env_init(&t, 3);
    config.delay_min_ms = 500;
    assert_err(cph_media_flow_new(&config, 0, &f), CPH_E_ARGUMENT);
    cph_media_flow_free(NULL);
}

static cph_err feed_any(void *arg, struct cph_span bytes)
{
    struct cph_media_flow *f = arg;

    (void)cph_media_flow_feed(f, bytes, CPH_SEC(12));
    (void)cph_media_flow_feed_rtcp(f, bytes, CPH_SEC(12));
    return CPH_OK;
}

static void golden_packets_may_be_cut_and_flipped(void **state)
{
    struct test_env t;
    struct cph_media_params p = params_of("opus");
    struct cph_media_flow *f = flow_with(&t, &p), *sender = flow_with(&t, &p);
    uint8_t buf[CPH_MEDIA_PACKET_MAX];
    size_t n;

    (void)state;
    assert_ok(cph_media_flow_digits(sender, "5", 0));
    for (cph_time now = CPH_SEC(11); now < CPH_SEC(16); now += CPH_MS(20)) {
        cph_media_flow_tick(sender, now);
        while (cph_media_flow_pull(sender, buf, sizeof buf, &n) == CPH_OK)
            if (now < CPH_SEC(11) + CPH_MS(300))
                expect_fragile((struct cph_span){ buf, n }, 0, feed_any, f);
        while (cph_media_flow_pull_rtcp(sender, buf, sizeof buf, &n) == CPH_OK)
            expect_fragile((struct cph_span){ buf, n }, 0, feed_any, f);
        cph_media_flow_tick(f, now);
    }
    cph_media_flow_free(sender);
    cph_media_flow_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_before_it_is_set),
        cmocka_unit_test(ticks_lie_on_absolute_multiples),
        cmocka_unit_test(after_a_stall_four_frames_are_made_up_for),
        cmocka_unit_test(packets_carry_the_right_numbers),
        cmocka_unit_test(hold_sends_nothing_and_resume_marks_the_spurt),
        cmocka_unit_test(mute_sends_silence),
        cmocka_unit_test(a_source_that_ends_is_told_once),
        cmocka_unit_test(a_source_that_fails_is_let_go),
        cmocka_unit_test(keys_the_peer_cannot_take_are_refused),
        cmocka_unit_test(params_that_cannot_be_are_refused_and_change_nothing),
        cmocka_unit_test(bad_packets_are_counted_and_do_nothing),
        cmocka_unit_test(another_source_takes_over_only_when_the_first_is_silent),
        cmocka_unit_test(more_sources_than_places_do_no_harm),
        cmocka_unit_test(our_own_number_heard_is_given_up_with_a_bye),
        cmocka_unit_test(a_pull_into_too_little_room_keeps_the_packet),
        cmocka_unit_test(the_packet_path_allocates_nothing),
        cmocka_unit_test(construction_survives_want_of_memory),
        cmocka_unit_test(golden_packets_may_be_cut_and_flipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

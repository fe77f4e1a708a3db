/* The nodes of the lab and the experiments that are about them. */
#include "lab_keys.h"

#include "gate.h"
#include "gateway.h"
#include "lab.h"
#include "mixer.h"
#include "recorder.h"
#include "rtp_only.h"

enum { SEED = 1, A = 1 << LAB_ALICE, B = 1 << LAB_BOB };

static struct lab_outcome outcome(const char *experiment, const char *keying,
                                  struct lab_trial *trial)
{
    struct lab_case c = { keying, SEED, NULL, trial };
    struct lab_outcome o;

    assert_ok(lab_run_one(lab_experiment_find(experiment), &c, &o));
    return o;
}

/* ---- servers in a row ------------------------------------------------------------------------ */

static struct lab_stage_config row_of_servers(unsigned servers, unsigned clear)
{
    return (struct lab_stage_config){ .seed = SEED,
                                      .link.delay = CPH_MS(20),
                                      .keying = "dtls",
                                      .security = CPH_SECURITY_REQUIRED,
                                      .people = A | B,
                                      .tls = true,
                                      .chain = { .servers = servers, .clear = clear } };
}

static void servers_in_a_row_carry_a_call_whatever_each_hop_is(void **state)
{
    (void)state;
    for (unsigned servers = 1; servers <= LAB_SERVERS; servers++)
        for (unsigned clear = 0; clear < 1U << (servers + 1); clear++) {
            struct lab_stage_config cfg = row_of_servers(servers, clear);
            struct lab_stage *s;

            assert_ok(lab_stage_open(&cfg, &s));
            assert_ok(lab_stage_talk(s, CPH_SEC(2)));
            assert_true(lab_stage_heard(s, LAB_ALICE, LAB_BOB));
            for (unsigned i = 0; i < servers; i++) { /* INVITE, ACK and BYE went through each */
                assert_true(lab_proxy_counts(s->server[i]).requests >= 3);
                assert_true(lab_proxy_counts(s->server[i]).responses >= 2);
            }
            for (unsigned i = LAB_ALICE; i <= LAB_BOB; i++)
                assert_true(s->person[i].ended && s->person[i].cause == CPH_OK);
            lab_stage_close(s);
        }
}

static void a_caller_who_gives_up_is_heard_at_the_other_end_of_the_row(void **state)
{
    struct lab_stage_config cfg = row_of_servers(3, 1U << 1);
    struct lab_stage *s;

    (void)state;
    assert_ok(lab_stage_open(&cfg, &s));
    s->person[LAB_BOB].callee = LAB_RINGS;
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    assert_true(s->person[LAB_ALICE].ended && s->person[LAB_BOB].ended);
    assert_int_equal(s->person[LAB_BOB].status, 487);
    assert_false(s->person[LAB_BOB].answered);
    lab_stage_close(s);
}

static void more_servers_than_there_are_is_refused(void **state)
{
    struct lab_stage_config cfg = row_of_servers(LAB_SERVERS + 1, 0);
    struct lab_stage *s;

    (void)state;
    assert_err(lab_stage_open(&cfg, &s), CPH_E_LIMIT);
}

static void one_hop_in_clear_gives_away_keys_that_pass_it_and_the_callee_is_told(void **state)
{
    struct lab_trial trial = { 0 };
    struct lab_outcome sdes = outcome("chain", "sdes", &trial);
    struct lab_outcome dtls = outcome("chain", "dtls", &trial);

    (void)state;
    assert_string_equal(sdes.answer, "hop/open, heard");
    assert_string_equal(dtls.answer, "private, safe");
    assert_true(lab_value_of(&sdes, "heard, TLS on every hop") == 0);
    assert_true(lab_value_of(&sdes, "heard, first hop clear") > 100);
    assert_true(lab_value_of(&sdes, "heard, last hop clear") > 100);
    assert_true(lab_value_of(&dtls, "heard, second hop clear") == 0);
    assert_int_equal(trial.failures, 0);
    assert_int_equal(trial.sessions, 16);
}

/* ---- boxes on the media path ----------------------------------------------------------------- */

static struct lab_packet packet(enum lab_kind kind, const char *to, const char *text, cph_time at)
{
    struct lab_packet p = { .at = at, .kind = kind, .bytes = cph_span_of(text) };

    assert_ok(cph_addr_parse_ip(cph_span_of(to), &p.to));
    return p;
}

static void a_gate_opens_when_the_answer_has_reached_its_host_and_no_earlier(void **state)
{
    static const char ok[] = "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n";
    static const char bye[] = "SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n";
    struct lab_packet p = packet(LAB_RTP, "10.0.0.1", "media", 1);
    struct lab_gate g;

    (void)state;
    assert_ok(lab_gate_init(&g, "10.0.0.1", CPH_MS(20)));
    assert_false(lab_gate_pass(&g, &p));
    p = packet(LAB_SIP, "10.0.0.100", ok, CPH_MS(10)); /* on its way, not there */
    assert_true(lab_gate_pass(&g, &p));
    p = packet(LAB_SIP, "10.0.0.1", bye, CPH_MS(20));
    assert_true(lab_gate_pass(&g, &p));
    p = packet(LAB_SIP, "10.0.0.1", ok, CPH_MS(30));
    p.stream = true; /* it cannot read that */
    assert_true(lab_gate_pass(&g, &p));
    assert_true(g.open_at == 0);
    p.stream = false;
    assert_true(lab_gate_pass(&g, &p));
    p = packet(LAB_RTP, "10.0.0.1", "media", CPH_MS(50) - 1);
    assert_false(lab_gate_pass(&g, &p));
    p.at++;
    assert_true(lab_gate_pass(&g, &p));
    assert_int_equal(g.passed, 1);
    assert_int_equal(g.dropped, 2);
    assert_true(lab_gate_init(&g, "nowhere", 0) != CPH_OK);
}

static void inspection_lets_rtp_through_and_nothing_else(void **state)
{
    static const struct {
        uint8_t b[20];
        size_t n;
        bool rtp;
    } row[] = {
        { { 0x80, 0 }, 12, true },
        { { 0x80, 0 }, 11, false },
        { { 0x40, 0 }, 12, false },           /* version 1 */
        { { 0x16, 0xfe, 0xfd }, 20, false },  /* DTLS */
        { { 0x10, 0 }, 20, false },           /* ZRTP */
        { { 0x82, 0 }, 20, true },            /* two CSRC */
        { { 0x82, 0 }, 19, false },           /* ... of which one is cut */
        { { 0x90, 0, [15] = 1 }, 20, true },  /* an extension of one word */
        { { 0x90, 0, [15] = 2 }, 20, false }, /* ... of two */
        { { 0x80, 200 }, 12, true },          /* RTCP: SR */
        { { 0x80, 72 }, 12, false },          /* a type that would be taken for it */
    };
    struct lab_inspector in = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_packet p = { .kind = LAB_OTHER, .bytes = { row[i].b, row[i].n } };

        assert_int_equal(lab_looks_like_rtp(p.bytes), row[i].rtp);
        assert_int_equal(lab_inspector_pass(&in, &p), row[i].rtp);
        p.kind = LAB_SIP;
        assert_true(lab_inspector_pass(&in, &p));
    }
    assert_int_equal(in.passed, 4);
    assert_int_equal(in.dropped, 7);
}

/* ---- telephones ------------------------------------------------------------------------------ */

static void an_old_telephone_answers_in_rtp_and_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    for (unsigned required = 0; required < 2; required++) {
        struct lab_stage_config cfg = { .seed = SEED,
                                        .link.delay = CPH_MS(20),
                                        .keying = "sdes",
                                        .security = required ? CPH_SECURITY_REQUIRED
                                                             : CPH_SECURITY_PREFER,
                                        .people = A };
        const struct lab_rtp_only_state *old;
        struct lab_rtp_only *o;
        struct lab_stage *s;

        assert_ok(lab_stage_open(&cfg, &s));
        assert_ok(lab_rtp_only_new(s->net, "10.0.0.2", SEED, LAB_BOB, &o));
        assert_ok(lab_proxy_add(s->proxy, "bob", "sip:bob@10.0.0.2:5060"));
        assert_ok(lab_stage_talk(s, CPH_SEC(2)));
        old = lab_rtp_only_state(o);
        assert_int_equal(old->invites, 1);
        assert_true(old->offer_had_keys);
        assert_int_equal(old->refused, required);
        assert_int_equal(old->answered, !required);
        assert_int_equal(old->ended, !required);
        assert_int_equal(old->heard.frames[LAB_ALICE] > 50, !required);
        assert_int_equal(s->person[LAB_ALICE].heard.frames[LAB_BOB] > 50, !required);
        assert_int_equal(lab_trace_kind(s->trace, LAB_RTP) > 0, !required);
        lab_rtp_only_free(o);
        lab_stage_close(s);
    }
    lab_rtp_only_free(NULL);
}

static void behind_a_gateway_everything_is_in_clear_however_the_call_is_keyed(void **state)
{
    struct lab_outcome sdes = outcome("gateway", "sdes", NULL);
    struct lab_outcome dtls = outcome("gateway", "dtls", NULL);

    (void)state;
    assert_string_equal(sdes.answer, "yes");
    assert_string_equal(dtls.answer, "yes");
    assert_true(lab_value_of(&dtls, "heard at the telephone") > 50);
    assert_true(lab_value_of(&dtls, "heard on the circuit") >
                lab_value_of(&dtls, "heard at the telephone"));
}

static void mu_law_of_a_value_is_the_byte_that_stands_for_it(void **state)
{
    (void)state;
    for (unsigned u = 0; u < 256; u++)
        if (u != 0x7f) /* minus zero */
            assert_int_equal(lab_pcm_ulaw(lab_ulaw_pcm((uint8_t)u)), u);
    assert_int_equal(lab_pcm_ulaw(1), 0x7f);
    assert_int_equal(lab_pcm_ulaw(32767), 0x7f);
    assert_int_equal(lab_pcm_ulaw(-32768), 0x7f);
}

/* ---- conferences ----------------------------------------------------------------------------- */

static void say(struct cph_media_sink *sink, int16_t v)
{
    int16_t pcm[LAB_FRAME];

    for (size_t i = 0; i < LAB_FRAME; i++)
        pcm[i] = v;
    assert_ok(sink->ops->write(sink, pcm, LAB_FRAME));
}

static int16_t hear(struct cph_media_source *source)
{
    int16_t pcm[LAB_FRAME];

    assert_ok(source->ops->read(source, pcm, LAB_FRAME));
    for (size_t i = 1; i < LAB_FRAME; i++)
        assert_int_equal(pcm[i], pcm[0]);
    return pcm[0];
}

static void a_mixer_gives_each_the_sum_of_the_others(void **state)
{
    struct cph_media_source *source[LAB_MIXER_LEGS], *none;
    struct cph_media_sink *sink[LAB_MIXER_LEGS], *nowhere;
    struct lab_mixer *m;
    struct lab_net *net;

    (void)state;
    assert_ok(lab_net_new(SEED, (struct lab_link){ 0 }, &net));
    assert_ok(lab_run(net, CPH_SEC(1)));
    assert_ok(lab_mixer_new(net, &m));
    for (unsigned i = 0; i < LAB_MIXER_LEGS; i++)
        assert_ok(lab_mixer_sound(m, i, &source[i], &sink[i]));
    assert_err(lab_mixer_sound(m, 99, &none, &nowhere), CPH_E_LIMIT);
    say(sink[0], 100);
    say(sink[1], -30);
    assert_int_equal(hear(source[0]), -30);
    assert_int_equal(hear(source[1]), 100);
    assert_int_equal(hear(source[2]), 70);
    say(sink[1], 32767); /* what is too loud is cut, and does not turn over */
    assert_int_equal(hear(source[2]), 32767);
    cph_media_sink_free(sink[1]);
    assert_int_equal(lab_mixer_legs(m), LAB_MIXER_LEGS);
    cph_media_source_free(source[1]);
    assert_int_equal(lab_mixer_legs(m), LAB_MIXER_LEGS - 1);
    assert_int_equal(hear(source[2]), 100);
    assert_ok(lab_run(net, CPH_SEC(1) + CPH_MS(61))); /* who has stopped is no longer heard */
    assert_int_equal(hear(source[2]), 0);
    for (unsigned i = 0; i < LAB_MIXER_LEGS; i++)
        if (i != 1) {
            cph_media_source_free(source[i]);
            cph_media_sink_free(sink[i]);
        }
    assert_int_equal(lab_mixer_legs(m), 0);
    assert_int_equal(lab_mixer_most(m), LAB_MIXER_LEGS);
    lab_mixer_free(m);
    lab_net_free(net);
}

static void a_conference_needs_a_stream_for_each_unless_the_mixer_decides_its_key(void **state)
{
    struct lab_outcome sdes = outcome("conference", "sdes", NULL);
    struct lab_outcome dtls = outcome("conference", "dtls", NULL);

    (void)state;
    assert_string_equal(sdes.answer, "yes, one stream");
    assert_string_equal(dtls.answer, "yes, one each");
    assert_true(lab_value_of(&sdes, "legs of the mixer") == 3);
    assert_true(lab_value_of(&sdes, "readers of one stream") == 3);
    assert_true(lab_value_of(&sdes, "readers with EKT") == 3);
    assert_true(lab_value_of(&dtls, "readers of one stream") == 1);
    assert_true(lab_value_of(&dtls, "heard by the third") > 50);
}

static void who_is_called_can_record_and_who_stands_at_the_wire_cannot(void **state)
{
    struct lab_outcome o = outcome("recording", "dtls", NULL);
    struct lab_recorder plain = { .seed = SEED };
    uint8_t rtp[12 + LAB_FRAME] = { 0x80 };
    struct lab_packet p = { .kind = LAB_RTP, .bytes = { rtp, sizeof rtp } };

    (void)state;
    assert_string_equal(o.answer, "only if told");
    assert_true(lab_value_of(&o, "packets kept at the wire") > 500);
    lab_speech_frame(SEED, LAB_BOB, 7, rtp + 12); /* it would know what is in clear */
    assert_true(lab_recorder_pass(&plain, &p));
    assert_int_equal(plain.heard.frames[LAB_BOB], 1);
    assert_int_equal(plain.packets, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_in_a_row_carry_a_call_whatever_each_hop_is),
        cmocka_unit_test(a_caller_who_gives_up_is_heard_at_the_other_end_of_the_row),
        cmocka_unit_test(more_servers_than_there_are_is_refused),
        cmocka_unit_test(one_hop_in_clear_gives_away_keys_that_pass_it_and_the_callee_is_told),
        cmocka_unit_test(a_gate_opens_when_the_answer_has_reached_its_host_and_no_earlier),
        cmocka_unit_test(inspection_lets_rtp_through_and_nothing_else),
        cmocka_unit_test(an_old_telephone_answers_in_rtp_and_refuses_what_it_does_not_know),
        cmocka_unit_test(behind_a_gateway_everything_is_in_clear_however_the_call_is_keyed),
        cmocka_unit_test(mu_law_of_a_value_is_the_byte_that_stands_for_it),
        cmocka_unit_test(a_mixer_gives_each_the_sum_of_the_others),
        cmocka_unit_test(a_conference_needs_a_stream_for_each_unless_the_mixer_decides_its_key),
        cmocka_unit_test(who_is_called_can_record_and_who_stands_at_the_wire_cannot),
    };

    return cmocka_run_group_tests_name("nodes", tests, open_keys, close_keys);
}

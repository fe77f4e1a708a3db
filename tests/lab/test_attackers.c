/* Every attacker both succeeds where he should and fails where he should: one who never succeeds
 * proves nothing. */
#include "lab_keys.h"

#include "denier.h"
#include "ear.h"
#include "forger.h"
#include "rewrite.h"
#include "siege.h"
#include "weaken.h"

#include "ciphony/base_text.h"

enum { SEED = 3, A = 1 << LAB_ALICE, B = 1 << LAB_BOB };

static struct lab_stage *talk(const char *keying)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = A | B };
    struct lab_stage *s;

    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    assert_true(lab_stage_heard(s, LAB_ALICE, LAB_BOB));
    return s;
}

static uint64_t listens(const struct lab_stage *s, bool with_keys_of_alice, bool and_of_bob)
{
    struct lab_ear *ear;
    uint64_t frames;

    assert_ok(lab_ear_new(SEED, &ear));
    if (with_keys_of_alice)
        lab_ear_steal(ear, LAB_ALICE);
    if (and_of_bob)
        lab_ear_steal(ear, LAB_BOB);
    (void)lab_ear_read_signalling(ear, s->trace);
    lab_ear_listen(ear, s->trace, 0);
    frames = lab_heard_total(lab_ear_heard(ear));
    lab_ear_free(ear);
    return frames;
}

static void who_reads_mikey_opens_what_his_keys_open_and_no_more(void **state)
{
    static const struct {
        const char *keying;
        bool reading, alice, both; /* suffices */
    } row[] = {
        { "mikey-null", true, true, true },
        { "mikey-psk", false, true, true },
        { "mikey-rsa", false, false, true },
        { "mikey-ecies", false, false, true },
        { "mikey-ecmqv", false, false, true },
        { "mikey-rsa-r", false, true, true },
        { "mikey-dhsign", false, false, false },
        { "mikey-dhhmac", false, false, false },
        { "sdes", true, true, true },
        { "zrtp", false, false, false },
        { "mikeyv2-null", true, true, true },
        { "mikeyv2-psk", false, true, true },
        { "mikeyv2-inband-null", true, true, true },
        { "mikeyv2-inband-psk", false, true, true },
        { "mikeyv2-inband", false, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_stage *s = talk(row[i].keying);
        uint64_t said = s->person[LAB_ALICE].said.frames[LAB_ALICE] +
                        s->person[LAB_BOB].said.frames[LAB_BOB];

        assert_int_equal(listens(s, false, false), row[i].reading ? said : 0);
        assert_int_equal(listens(s, true, false), row[i].alice ? said : 0);
        assert_int_equal(listens(s, true, true), row[i].both ? said : 0);
        lab_stage_close(s);
    }
}

static uint64_t pretends(const struct lab_stage *s, const char *keying, enum lab_person who)
{
    struct lab_pretence p = { s, keying, who, lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0),
                              lab_person_ip(LAB_ALICE) };
    struct lab_heard heard = { 0 };

    assert_ok(lab_pretend(&p, &heard));
    return lab_heard_total(&heard);
}

static void who_answers_a_recorded_offer_needs_the_keys_of_who_was_called(void **state)
{
    static const char *const opens[] = { "mikey-psk", "mikey-rsa", "mikey-ecies", "mikey-ecmqv" };

    (void)state;
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
        struct lab_stage *s = talk(opens[i]);

        assert_true(pretends(s, opens[i], LAB_BOB2) > 50);
        assert_int_equal(pretends(s, opens[i], LAB_MALLORY), 0);
        lab_stage_close(s);
    }
}

/* What was heard in the middle of a call, and whether the two noticed. */
static uint64_t in_the_middle_of(const char *keying, enum lab_meddling how, bool check, bool fooled,
                                 bool *noticed)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = A | B,
                                    .pinned = check,
                                    .fooled = fooled };
    struct lab_meddler_feat feat;
    struct lab_meddler *m;
    struct lab_stage *s;

    assert_ok(lab_meddler_new(how, keying, cfg.seed, &m));
    lab_meddler_place(m, &cfg);
    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_meddler_start(m, s));
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    feat = lab_meddler_feat(m);
    *noticed = !lab_stage_heard(s, LAB_ALICE, LAB_BOB) || s->person[LAB_ALICE].mismatch;
    lab_stage_close(s);
    lab_meddler_free(m);
    return lab_heard_total(&feat.heard);
}

static uint64_t in_the_middle(const char *keying, enum lab_meddling how, bool check, bool *noticed)
{
    return in_the_middle_of(keying, how, check, false, noticed);
}

static void who_stands_in_the_middle_of_zrtp_is_betrayed_by_the_string(void **state)
{
    bool noticed;

    (void)state;
    assert_true(in_the_middle("zrtp", LAB_MEDDLE_BOTH, false, &noticed) > 50);
    assert_false(noticed);
    (void)in_the_middle("zrtp", LAB_MEDDLE_BOTH, true, &noticed);
    assert_true(noticed);
    assert_int_equal(in_the_middle("zrtp", LAB_MEDDLE_MEDIA, false, &noticed), 0);
    assert_true(noticed); /* he stood there, and they went away */
    assert_int_equal(in_the_middle("dtls", LAB_MEDDLE_MEDIA, false, &noticed), 0);
    assert_true(noticed);
    assert_int_equal(in_the_middle("zrtp", LAB_MEDDLE_WEAKEN_BOTH, false, &noticed), 0);
    assert_true(noticed);
}

static void who_stands_in_the_middle_of_mikey_needs_the_users_keys(void **state)
{
    static const char *const mode[] = { "mikey-psk",   "mikey-rsa",    "mikey-ecies", "mikey-ecmqv",
                                        "mikey-rsa-r", "mikey-dhsign", "mikey-dhhmac" };
    bool noticed;

    (void)state;
    assert_true(in_the_middle("mikey-null", LAB_MEDDLE_BOTH, false, &noticed) > 50);
    assert_false(noticed);
    for (size_t i = 0; i < sizeof mode / sizeof *mode; i++) {
        assert_int_equal(in_the_middle(mode[i], LAB_MEDDLE_BOTH, false, &noticed), 0);
        assert_true(noticed);
        assert_true(in_the_middle(mode[i], LAB_MEDDLE_INVITED, false, &noticed) > 50);
        assert_false(noticed);
    }
}

/* He seals bodies of his own, with his own certificate, which the authority of all has signed. */
static void who_stands_in_the_middle_of_sealed_bodies_needs_the_users_keys(void **state)
{
    static const enum lab_meddling without[] = { LAB_MEDDLE_BOTH, LAB_MEDDLE_SUBSTITUTE,
                                                 LAB_MEDDLE_STRIP, LAB_MEDDLE_WEAKEN };
    bool noticed;

    (void)state;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        assert_int_equal(in_the_middle("sdes-smime", without[i], false, &noticed), 0);
        assert_true(noticed);
    }
    assert_true(in_the_middle("sdes-smime", LAB_MEDDLE_INVITED, false, &noticed) > 50);
    assert_false(noticed);
    /* the very same bodies, where the two took his certificate for that of the other */
    assert_true(in_the_middle_of("sdes-smime", LAB_MEDDLE_BOTH, false, true, &noticed) > 50);
    assert_false(noticed);
}

/* Each of his changes was made, and taken for what it says where nothing protects the message. */
static void who_weakens_offers_changes_what_he_wants_to(void **state)
{
    static const char *const carries[] = { "sdes",    "sdp-dh",         "mikey-null", "mikey-rsa-r",
                                           "mikeyv2", "mikeyv2-inband", "dtls",       "zrtp" };
    struct lab_stage *s;

    (void)state;
    for (size_t i = 0; i < sizeof carries / sizeof *carries; i++) {
        uint8_t less[16384];
        bool changed = false;

        s = talk(carries[i]);
        for (size_t k = 0; k < lab_trace_count(s->trace) && !changed; k++) {
            const struct lab_packet *p = lab_trace_at(s->trace, k);
            struct cph_wr wr = cph_wr_open(less, sizeof less);

            if (p->kind == LAB_KEYING)
                changed = lab_weaken_packet(p->bytes, &wr);
            else if (p->kind == LAB_SIP && lab_sip_body(p->bytes).n > 0) {
                lab_weaken_sdp(lab_sip_body(p->bytes), &wr);
                changed = !cph_span_eq(cph_wr_done(&wr), lab_sip_body(p->bytes));
            }
        }
        assert_true(changed);
        lab_stage_close(s);
    }
}

static bool becomes(enum lab_meddling how, const char *line, const char *wanted)
{
    uint8_t out[512];
    struct cph_wr wr = cph_wr_open(out, sizeof out);

    lab_rewrite(how, cph_span_of(line), &wr);
    return !wr.failed && cph_span_is(cph_wr_done(&wr), wanted);
}

/* What he makes of a description, line by line; one that is not his business stays. */
static void who_rewrites_a_description_changes_what_his_attack_needs(void **state)
{
    static const char fp[] =
        "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n";
    uint8_t out[512];
    struct cph_wr wr = cph_wr_open(out, sizeof out);

    (void)state;
    assert_true(becomes(LAB_MEDDLE_STRIP, "a=crypto:1 X inline:Y\r\n", ""));
    assert_true(becomes(LAB_MEDDLE_STRIP, fp, ""));
    assert_true(
        becomes(LAB_MEDDLE_STRIP, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "m=audio 9 RTP/AVPF 0\r\n"));
    assert_true(becomes(LAB_MEDDLE_ROLES, "a=setup:actpass\r\n", "a=setup:passive\r\n"));
    assert_true(becomes(LAB_MEDDLE_ROLES, "a=setup:passive\r\n", "a=setup:active\r\n"));
    assert_true(becomes(LAB_MEDDLE_ROLES, "a=sendrecv\r\n", "a=sendrecv\r\n"));
    lab_rewrite(LAB_MEDDLE_SUBSTITUTE, cph_span_of(fp), &wr);
    assert_true(cph_span_starts(cph_wr_done(&wr), "a=fingerprint:"));
    assert_false(cph_span_is(cph_wr_done(&wr), fp)); /* his */
    wr = cph_wr_open(out, sizeof out);
    lab_rewrite_mirror(CPH_SPAN_LIT("c=IN IP4 10.0.0.1\r\na=crypto:1 X\r\na=crypto:2 Y\r\n"
                                    "a=setup:actpass\r\n"),
                       "10.0.0.1", "10.0.0.2", &wr);
    assert_true(
        cph_span_is(cph_wr_done(&wr), "c=IN IP4 10.0.0.2\r\na=crypto:1 X\r\na=setup:active\r\n"));
}

static void an_offer_in_clear_is_weakened_and_the_callee_believes_it(void **state)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = "mikey-null",
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = A | B };
    struct lab_meddler *m;
    struct lab_stage *s;

    (void)state;
    assert_ok(lab_meddler_new(LAB_MEDDLE_WEAKEN, cfg.keying, cfg.seed, &m));
    lab_meddler_place(m, &cfg);
    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_meddler_start(m, s));
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    assert_string_equal(s->person[LAB_BOB].verdict.stream[0].suite, "AES_CM_128_HMAC_SHA1_32");
    assert_string_not_equal(s->person[LAB_ALICE].verdict.stream[0].suite,
                            "AES_CM_128_HMAC_SHA1_32");
    lab_stage_close(s);
    lab_meddler_free(m);
}

static uint64_t forged(const char *keying)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = A | B };
    struct lab_stage *s;
    uint64_t heard;
    bool any;

    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB));
    assert_ok(lab_stage_run(s, CPH_SEC(1)));
    assert_ok(lab_forge(s, LAB_BOB, &any));
    assert_true(any);
    assert_ok(lab_stage_run(s, CPH_SEC(2)));
    heard = s->person[LAB_ALICE].heard.frames[LAB_MALLORY];
    lab_stage_close(s);
    return heard;
}

static void who_makes_up_packets_is_heard_in_rtp_and_not_in_srtp(void **state)
{
    (void)state;
    assert_true(forged(NULL) > 0);
    assert_int_equal(forged("sdes"), 0);
    assert_int_equal(forged("zrtp"), 0);
}

/* Everything an attacker does succeeds somewhere; what never does would prove nothing. */
static void every_verb_succeeds_against_something_weak(void **state)
{
    static const struct {
        const char *keying; /* NULL: plain RTP */
        enum lab_meddling how;
        enum lab_moment when;
        enum cph_security security;
    } row[] = {
        { "dtls", LAB_MEDDLE_STRIP, LAB_FROM_THE_START, CPH_SECURITY_PREFER },  /* strips */
        { "dtls", LAB_MEDDLE_BOTH, LAB_FROM_THE_START, CPH_SECURITY_REQUIRED }, /* fingerprints */
        { "sdp-dh", LAB_MEDDLE_SUBSTITUTE, LAB_FROM_THE_START, CPH_SECURITY_REQUIRED }, /* shares */
        { "sdes", LAB_MEDDLE_WEAKEN, LAB_FROM_THE_START, CPH_SECURITY_REQUIRED },       /* suites */
        { "sdes", LAB_MEDDLE_MEDIA, LAB_FROM_THE_START, CPH_SECURITY_REQUIRED }, /* media alone */
        { "sdp-dh", LAB_MEDDLE_BOTH, LAB_MID_CALL, CPH_SECURITY_REQUIRED },
        { "dtls", LAB_MEDDLE_BOTH, LAB_SECOND_CALL, CPH_SECURITY_REQUIRED },
    };
    struct lab_case c = { NULL, SEED, NULL, NULL };
    struct lab_outcome o;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_attack a = { .how = row[i].how,
                                .when = row[i].when,
                                .security = row[i].security };
        struct lab_feat f;

        c.keying = row[i].keying;
        assert_ok(lab_attacked(&c, &a, &f, NULL));
        assert_true(f.passive + f.active > 50);
        assert_false(f.flattered);
    }
    c.keying = NULL; /* replays: RTP has nothing against them */
    assert_ok(lab_run_one(&lab_exp_replay, &c, &o));
    assert_string_equal(o.answer, "taken");
    assert_true(lab_value_of(&o, "taken twice") > 50);
    assert_ok(lab_run_one(&lab_exp_inject, &c, &o));
    assert_string_equal(o.answer, "heard");
    c.keying = "sdes"; /* a recorded offer */
    assert_ok(lab_run_one(&lab_exp_offer_again, &c, &o));
    assert_string_equal(o.answer, "heard");
}

/* RFC 6189 4.3.2: nobody ever compared a string, and still he does not come in without a word. */
static void
who_comes_in_with_the_second_call_is_warned_of_by_phones_that_never_compared(void **state)
{
    static const struct {
        enum lab_meddling how;
        bool old_zid, warned;
    } row[] = { { LAB_MEDDLE_NOT, false, false },
                { LAB_MEDDLE_BOTH, false, true },
                { LAB_MEDDLE_BOTH, true, true } };
    struct lab_case c = { "zrtp", SEED, NULL, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_attack a = { .how = row[i].how,
                                .when = LAB_SECOND_CALL,
                                .security = CPH_SECURITY_REQUIRED,
                                .old_zid = row[i].old_zid };
        struct lab_feat f;

        assert_ok(lab_attacked(&c, &a, &f, NULL));
        assert_int_equal(f.active > 50, row[i].warned);
        assert_int_equal(f.warned, row[i].warned);
        assert_false(f.flattered);
        if (f.warned)
            assert_non_null(strstr(f.warning, row[i].old_zid ? "secret of the last call"
                                                             : "another device before"));
        else
            assert_true(f.stands);
    }
}

/* What a call without keys suffers from each of them; what no call suffers from proves nothing. */
static void who_comes_before_the_answer_or_gives_back_what_was_said_is_heard_in_rtp(void **state)
{
    struct lab_case c = { NULL, SEED, NULL, NULL };
    struct lab_attack a = { .how = LAB_MEDDLE_MIRROR };
    struct lab_outcome o;
    struct lab_feat f;

    (void)state;
    assert_ok(lab_attacked(&c, &a, &f, NULL));
    assert_true(f.own > 50); /* she hears herself */
    assert_false(f.flattered);
    assert_ok(lab_run_one(&lab_exp_inject, &c, &o));
    assert_true(lab_value_of(&o, "of his before the answer") > 0);
    c.keying = "sdes";
    a.how = LAB_MEDDLE_OLD;
    a.when = LAB_SECOND_CALL;
    assert_ok(lab_attacked(&c, &a, &f, NULL));
    assert_true(f.keyed && !f.stands); /* the old answer was believed */
}

static double talked_to(const char *keying, const char *name)
{
    struct lab_case c = { keying, SEED, NULL, NULL };
    struct lab_outcome o;

    assert_ok(lab_run_one(&lab_exp_impostor, &c, &o));
    return lab_value_of(&o, name);
}

/* With keys of her own, in all the places of the lab, she is talked to where nobody checks, and
 * where those who check are asked nothing. */
static void who_sits_in_another_s_place_is_found_by_those_who_check(void **state)
{
    (void)state;
    assert_true(talked_to("dtls", "talked to her") > 4);
    assert_true(talked_to("dtls", "noticed") > 10);
    assert_int_equal(talked_to("dtls", "of them, users check"), 0);
    assert_int_equal(talked_to("zrtp", "of them, users check"), 0);
    assert_true(talked_to("sdes", "of them, users check") > 4);
    assert_int_equal(talked_to("mikey-dhsign", "talked to her"), 0);
}

/* What came of a call that somebody on the way refuses in the callee's name. */
struct denied {
    unsigned invites; /* that he had to refuse */
    size_t media;     /* packets */
    enum cph_level shown;
    bool heard;
};

static struct denied deny(const char *keying, enum cph_security security, struct lab_denier d)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = security,
                                    .people = A | B,
                                    .filter = lab_deny,
                                    .filter_ctx = &d };
    struct denied out;
    struct lab_stage *s;

    assert_ok(lab_stage_open(&cfg, &s));
    d.stage = s;
    assert_ok(lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB));
    assert_ok(lab_stage_run(s, CPH_SEC(40)));
    out = (struct denied){ .invites = d.refused,
                           .media = lab_trace_kind(s->trace, LAB_RTP),
                           .shown = s->person[LAB_ALICE].shown,
                           .heard = lab_stage_heard(s, LAB_ALICE, LAB_BOB) };
    lab_stage_close(s);
    return out;
}

/* He writes whatever reason he likes: she does not call again with less, nor in clear, and is shown
 * nothing better. He gains what a bare 488 gives him: there is no call. */
static void who_forges_a_reason_to_refuse_gains_no_more_than_by_refusing(void **state)
{
    static const char *const keying[] = { "mikey-psk",    "mikey-rsa",    "mikey-rsa-r",
                                          "mikey-dhsign", "mikey-dhhmac", "mikey-null" };
    static const enum cph_security security[] = { CPH_SECURITY_REQUIRED, CPH_SECURITY_PREFER };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++)
        for (unsigned k = 0; k < 2; k++) {
            struct denied bare = deny(keying[i], security[k], (struct lab_denier){ .error = -1 });

            /* where keys were only preferred she demands them, once */
            assert_int_equal(bare.invites, security[k] == CPH_SECURITY_PREFER ? 2 : 1);
            for (int error = 0; error < 15; error += 3) {
                struct denied d = deny(keying[i], security[k],
                                       (struct lab_denier){ .error = error });

                assert_true(d.invites <= bare.invites);
                assert_int_equal(d.media, 0);
                assert_int_equal(d.shown, bare.shown);
                assert_false(d.heard || bare.heard);
            }
        }
}

/* He refuses her first offer and lets the second pass: she has the call that she would have had,
 * and is shown the same. */
static void who_forges_a_refusal_once_changes_nothing(void **state)
{
    static const char *const keying[] = { "sdes", "dtls",       "mikey-psk", "mikey-dhsign",
                                          "ekt",  "sdes-smime", "sdp-dh" };
    struct lab_denier nobody = { .error = -1, .at_most = 1, .refused = 1 },
                      once = { .error = -1, .at_most = 1 };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++) {
        struct denied calm = deny(keying[i], CPH_SECURITY_PREFER, nobody);
        struct denied d = deny(keying[i], CPH_SECURITY_PREFER, once);

        assert_true(calm.heard && d.heard);
        assert_int_equal(d.invites, 1);
        assert_int_equal(d.shown, calm.shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_reads_mikey_opens_what_his_keys_open_and_no_more),
        cmocka_unit_test(who_answers_a_recorded_offer_needs_the_keys_of_who_was_called),
        cmocka_unit_test(who_stands_in_the_middle_of_zrtp_is_betrayed_by_the_string),
        cmocka_unit_test(who_stands_in_the_middle_of_mikey_needs_the_users_keys),
        cmocka_unit_test(who_stands_in_the_middle_of_sealed_bodies_needs_the_users_keys),
        cmocka_unit_test(who_weakens_offers_changes_what_he_wants_to),
        cmocka_unit_test(who_rewrites_a_description_changes_what_his_attack_needs),
        cmocka_unit_test(an_offer_in_clear_is_weakened_and_the_callee_believes_it),
        cmocka_unit_test(every_verb_succeeds_against_something_weak),
        cmocka_unit_test(
            who_comes_in_with_the_second_call_is_warned_of_by_phones_that_never_compared),
        cmocka_unit_test(who_comes_before_the_answer_or_gives_back_what_was_said_is_heard_in_rtp),
        cmocka_unit_test(who_sits_in_another_s_place_is_found_by_those_who_check),
        cmocka_unit_test(who_forges_a_reason_to_refuse_gains_no_more_than_by_refusing),
        cmocka_unit_test(who_forges_a_refusal_once_changes_nothing),
        cmocka_unit_test(who_makes_up_packets_is_heard_in_rtp_and_not_in_srtp),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

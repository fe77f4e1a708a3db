/* Each experiment attacks as it says: where an attack of its own makes a difference, that is seen.
 * A cell of the matrix can stay as it is when one of several attacks is left out, these figures
 * cannot. */
#include "lab_keys.h"

#include "rewrite.h"
#include "siege.h"

enum { SEED = 1, AB = 1 << LAB_ALICE | 1 << LAB_BOB, ALL = 1000000 };

static void an_attack_that_is_left_out_shows_in_what_was_counted(void **state)
{
    static const struct {
        const struct lab_experiment *experiment;
        const char *keying, *value;
        double least, most;
    } row[] = {
        /* a phone with DTLS answers a stranger's hello with a cookie: the shots do arrive */
        { &lab_exp_dos, "dtls", "amplification", 0.01, 1 },
        /* by her own name she is refused wherever a message carries one: in half of the calls */
        { &lab_exp_impostor, "mikey-null", "talked to her", 8, 8 },
        { &lab_exp_impostor, "sdes", "talked to her", 16, 16 },
        /* a string that is compared whenever it is seen finds him, one compared before does not */
        { &lab_exp_taken_over, "zrtp", "noticed", 1, 1 },
        /* ... once the two can no longer go on past him, with the keys they have */
        { &lab_exp_taken_over, "zrtp", "heard", 1, 1 },
        /* a certificate that is kept does, unless he only takes keys or suites away */
        { &lab_exp_taken_over, "dtls", "noticed", 8, 8 },
        /* the six forms differ: attacked in one alone it would be 12 */
        { &lab_exp_forms_attacked, "dtls", "heard", 16, 16 },
        { &lab_exp_forms_attacked, "sdes", "heard", 36, 36 },
        { &lab_exp_hop, "sdes", "heard on the wires", 0, 0 },
        { &lab_exp_hop, "sdes", "heard by the server", 50, ALL },
        { &lab_exp_intercept, "mikey-dhsign", "recorded", 0, 0 },
        { &lab_exp_intercept, "mikey-dhsign", "recorded, with users' keys", 50, ALL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_case c = { row[i].keying, SEED, NULL, NULL };
        struct lab_outcome o;
        double v;

        assert_ok(lab_run_one(row[i].experiment, &c, &o));
        v = lab_value_of(&o, row[i].value);
        if (v < row[i].least || v > row[i].most)
            print_error("%s with %s: %s is %g\n", row[i].experiment->name, row[i].keying,
                        row[i].value, v);
        assert_true(v >= row[i].least && v <= row[i].most);
    }
}

static void an_attack_that_is_left_out_shows_in_what_was_said(void **state)
{
    static const struct {
        const struct lab_experiment *experiment;
        const char *keying, *said;
    } row[] = {
        { &lab_exp_downgrade, "zrtp", "leaves the two without keys" }, /* on the media path too */
        { &lab_exp_downgrade, "dtls", "leaves the two without keys" },
        { &lab_exp_downgrade, "sdes", "goes on with less than both had" },
        { &lab_exp_second, "zrtp", "the secret of the last call" }, /* by the old name too */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lab_case c = { row[i].keying, SEED, NULL, NULL };
        struct lab_outcome o;

        assert_ok(lab_run_one(row[i].experiment, &c, &o));
        if (!strstr(o.detail, row[i].said))
            print_error("%s with %s: %s\n", row[i].experiment->name, row[i].keying, o.detail);
        assert_non_null(strstr(o.detail, row[i].said));
    }
}

/* Of a call that both hear, each phone answers for what it sent and for what it played. */
static void a_phone_answers_for_both_directions_of_what_was_heard(void **state)
{
    struct lab_case c = { "sdes", SEED, NULL, NULL };
    struct lab_attack a = { .how = LAB_MEDDLE_NOT, .security = CPH_SECURITY_REQUIRED };
    struct lab_feat f;

    (void)state;
    assert_ok(lab_attacked(&c, &a, &f, NULL));
    assert_true(f.by_phone && f.passive > 100);
    assert_int_equal(f.phone[0].passive, f.passive);
    assert_int_equal(f.phone[1].passive, f.passive);
}

/* The answer that reaches the caller is her own offer, made fit to be one. */
static void the_caller_is_answered_with_her_own_offer(void **state)
{
    static const char *const keying[] = { NULL, "sdes", "dtls", "zrtp", "sdp-dh" };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++) {
        struct lab_case c = { keying[i], SEED, NULL, NULL };
        struct lab_stage_config cfg = lab_stage_usual(&c, AB);
        uint8_t wanted[16384];
        struct cph_wr wr = cph_wr_open(wanted, sizeof wanted);
        struct lab_meddler *m;
        struct lab_stage *s;

        assert_ok(lab_meddler_new(LAB_MEDDLE_MIRROR, keying[i], SEED, &m));
        lab_meddler_place(m, &cfg);
        assert_ok(lab_stage_open(&cfg, &s));
        assert_ok(lab_meddler_start(m, s));
        assert_ok(lab_stage_talk(s, CPH_SEC(1)));
        lab_rewrite_mirror(lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0),
                           lab_person_ip(LAB_ALICE), lab_person_ip(LAB_BOB), &wr);
        assert_true(wr.n > 0);
        assert_true(cph_span_eq(lab_stage_sdp(s, lab_proxy_ip(), true, 0), cph_wr_done(&wr)));
        lab_stage_close(s);
        lab_meddler_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attack_that_is_left_out_shows_in_what_was_counted),
        cmocka_unit_test(an_attack_that_is_left_out_shows_in_what_was_said),
        cmocka_unit_test(a_phone_answers_for_both_directions_of_what_was_heard),
        cmocka_unit_test(the_caller_is_answered_with_her_own_offer),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

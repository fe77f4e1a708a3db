/* The nodes of the lab and the experiments that are about them. */
#include "support.h"

#include "lab.h"

enum { SEED = 1, A = 1 << LAB_ALICE, B = 1 << LAB_BOB };

static int open_keys(void **state)
{
    (void)state;
    assert_ok(lab_keys_open());
    return 0;
}

static int close_keys(void **state)
{
    (void)state;
    lab_keys_close();
    return 0;
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_in_a_row_carry_a_call_whatever_each_hop_is),
        cmocka_unit_test(a_caller_who_gives_up_is_heard_at_the_other_end_of_the_row),
        cmocka_unit_test(more_servers_than_there_are_is_refused),
        cmocka_unit_test(one_hop_in_clear_gives_away_keys_that_pass_it_and_the_callee_is_told),
    };

    return cmocka_run_group_tests_name("nodes", tests, open_keys, close_keys);
}

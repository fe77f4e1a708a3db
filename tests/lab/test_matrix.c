/* Every column through every experiment: the tables of docs/lab-matrix.md, and the verdict on
 * trial. */
#include "doc.h"
#include "support.h"

#include <stdlib.h>

#include "matrix.h"

#include "ciphony/base_text.h"

enum { SEED = 1 };

static struct lab_results *results;

static int open_lab(void **state)
{
    (void)state;
    assert_ok(lab_keys_open());
    assert_ok(lab_results_run(NULL, SEED, false, NULL, NULL, &results));
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    lab_results_free(results);
    lab_keys_close();
    return 0;
}

static void the_tables_are_those_in_the_documentation(void **state)
{
    struct cph_buf text = { .limit = TEXT };
    char *doc = slurp("docs/lab-matrix.md");
    struct cph_span got, want = cph_span_of(doc), a, b;

    (void)state;
    lab_results_markdown(results, &text);
    got = cph_buf_view(&text);
    while (cph_span_line(&got, &a)) {
        assert_true(cph_span_line(&want, &b));
        if (!cph_span_eq(a, b))
            print_error("docs/lab-matrix.md says\n%.*s\nand the lab\n%.*s\n"
                        "If that is right: ciphony lab matrix > docs/lab-matrix.md\n",
                        CPH_SPAN_ARG(b), CPH_SPAN_ARG(a));
        assert_true(cph_span_eq(a, b));
    }
    assert_int_equal(want.n, 0);
    cph_buf_clear(&text);
    free(doc);
}

static void every_difference_from_the_draft_has_a_reason(void **state)
{
    unsigned unexplained;

    (void)state;
    assert_true(lab_results_differences(results, &unexplained) > 0);
    assert_int_equal(unexplained, 0);
    assert_int_equal(results->failed, 0);
}

static enum lab_holds holds(const char *rule, const char *keying)
{
    for (unsigned i = 0; i < LAB_RULES; i++)
        for (unsigned k = 0; k < results->keyings; k++)
            if (strcmp(lab_rules[i].name, rule) == 0 && strcmp(results->keying[k], keying) == 0)
                return lab_rule_judge(&lab_rules[i], results, k);
    return LAB_NOT_TRIED;
}

static void a_requirement_that_some_modes_meet_depends_on_the_mode(void **state)
{
    (void)state;
    assert_int_equal(holds("R8", "mikeyv2"), LAB_DEPENDS);
    assert_int_equal(holds("R12", "mikeyv2-inband"), LAB_DEPENDS);
    assert_int_equal(holds("R3", "mikeyv2"), LAB_HOLDS);
    assert_int_equal(holds("R8", "mikey-dhsign"), LAB_HOLDS);
    assert_int_equal(holds("R8", "mikey-psk"), LAB_FAILS);
}

/* A sentence about a difference that is gone would be untrue. */
static void no_reason_is_left_where_there_is_no_difference(void **state)
{
    (void)state;
    for (unsigned k = 0; k < results->keyings; k++)
        for (unsigned e = 0; e < results->experiments; e++) {
            struct lab_said said;

            if (!lab_said_find(results->keying[k], lab_experiments[e]->name, &said) ||
                !lab_said_agrees(&said, results->outcome[e][k].answer))
                continue;
            if (said.reason[0])
                print_error("%s with %s agrees: %s\n", said.experiment, said.mechanism,
                            said.reason);
            assert_true(said.reason[0] == '\0');
        }
}

static void what_phones_show_is_never_better_than_what_attackers_achieve(void **state)
{
    static const char *const attacked[] = {
        "forking",     "retargeting",  "class",          "class-pinned",  "media-only",
        "downgrade",   "intermediary", "over-tls",       "server-tls",    "mid-call",
        "second-call", "chain",        "forms-attacked", "preconditions", "offer-again",
        "taken-over",  "impostor",     "false-answer",   "injection"
    };
    struct lab_trial trial = { 0 };

    (void)state;
    for (unsigned k = 0; lab_columns[k]; k++)
        for (uint64_t seed = 2; seed <= 3; seed++) /* the first is the matrix's own */
            for (size_t i = 0; i < sizeof attacked / sizeof *attacked; i++) {
                struct lab_case c = { lab_columns[k]->name, seed, NULL, &trial };
                struct lab_outcome o;

                assert_ok(lab_run_one(lab_experiment_find(attacked[i]), &c, &o));
            }
    if (trial.failures)
        print_error("%u of %u attacked calls: %s\n", trial.failures, trial.sessions, trial.first);
    assert_int_equal(trial.failures, 0);
    assert_int_equal(results->trial.failures, 0);
    assert_true(trial.sessions > 5000);
    assert_true(trial.heard > 800); /* there were attackers who succeeded */
    assert_true(trial.noticed > 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_those_in_the_documentation),
        cmocka_unit_test(every_difference_from_the_draft_has_a_reason),
        cmocka_unit_test(a_requirement_that_some_modes_meet_depends_on_the_mode),
        cmocka_unit_test(no_reason_is_left_where_there_is_no_difference),
        cmocka_unit_test(what_phones_show_is_never_better_than_what_attackers_achieve),
    };

    return cmocka_run_group_tests(tests, open_lab, close_lab);
}

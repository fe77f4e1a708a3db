/* Constant cost: what an offer costs does not grow with what it offers (R9, R19, C.4). Public-key
 * operations are counted where the rooms call them. */
#include "support.h"

#include "ciphony/keying_zrtp.h"
#include "duo.h"
#include "lab.h"

static unsigned offer_ops(const char *column, enum cph_keying_form form, enum cph_security security)
{
    struct lab_party_config a = { .keying = column,
                                  .security = security,
                                  .form = form,
                                  .who = LAB_ALICE,
                                  .peer = LAB_BOB,
                                  .draws = 3 };
    uint8_t offer[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(offer, sizeof offer);
    struct lab_count before, after;
    struct lab_duo *d;
    unsigned p;

    assert_ok(lab_duo_new(&d));
    assert_ok(lab_duo_add(d, &a, &p));
    before = lab_count_now();
    assert_ok(cph_session_offer(lab_duo_session(d, p), 0, &wr));
    assert_true(wr.n > 0);
    after = lab_count_now();
    lab_duo_free(d);
    return lab_count_between(&before, &after);
}

/* What MIKEY's one signed Diffie-Hellman message costs is all that the policy best costs, in
 * whatever form and with however many suites; without MIKEY an offer is free. */
static void the_policy_best_costs_what_its_mikey_does_and_nothing_in_any_form(void **state)
{
    unsigned mikey = offer_ops("mikey-dhsign", CPH_KEYING_FORM_OSRTP, CPH_SECURITY_REQUIRED);
    static const char *const free_ones[] = { "dtls", "zrtp", "sdes" };

    (void)state;
    assert_int_equal(mikey, 2); /* a value of ours, and a signature */
    for (int f = CPH_KEYING_FORM_DEFAULT; f <= CPH_KEYING_FORM_PROBE; f++) {
        enum cph_keying_form form = (enum cph_keying_form)f;

        assert_int_equal(offer_ops("best", form, CPH_SECURITY_PREFER),
                         form == CPH_KEYING_FORM_PROBE ? 0 : mikey);
        assert_int_equal(offer_ops("best", form, CPH_SECURITY_REQUIRED), mikey);
        for (size_t i = 0; i < sizeof free_ones / sizeof *free_ones; i++) {
            assert_int_equal(offer_ops(free_ones[i], form, CPH_SECURITY_PREFER), 0);
            assert_int_equal(offer_ops(free_ones[i], form, CPH_SECURITY_REQUIRED), 0);
        }
    }
}

static void no_form_costs_more_than_another(void **state)
{
    (void)state;
    for (size_t i = 0; lab_columns[i]; i++) {
        unsigned least = offer_ops(lab_columns[i]->name, CPH_KEYING_FORM_OSRTP,
                                   CPH_SECURITY_PREFER);

        for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_BODIES; f++)
            assert_int_equal(
                offer_ops(lab_columns[i]->name, (enum cph_keying_form)f, CPH_SECURITY_PREFER),
                least);
    }
}

static int open_keys(void **state)
{
    (void)state;
    return lab_keys_open() == CPH_OK ? 0 : -1;
}

static int close_keys(void **state)
{
    (void)state;
    lab_keys_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_best_costs_what_its_mikey_does_and_nothing_in_any_form),
        cmocka_unit_test(no_form_costs_more_than_another),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

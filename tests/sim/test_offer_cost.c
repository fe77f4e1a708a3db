/* Constant cost: what an offer costs does not grow with what it offers (R9, R19, C.4). Public-key
 * operations are counted where the rooms call them. */
#include "lab_keys.h"

#include "ciphony/keying_zrtp.h"
#include "duo.h"
#include "lab.h"

static unsigned ops_of(const char *column, const char *policy, enum cph_keying_form form,
                       enum cph_security security)
{
    struct lab_party_config a = { .keying = column,
                                  .policy = policy,
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

static unsigned offer_ops(const char *column, enum cph_keying_form form, enum cph_security security)
{
    return ops_of(column, NULL, form, security);
}

/* R9: a party that has everything (certificate, MIKEY by DHSIGN, ZRTP) spends nothing. */
static void no_policy_by_name_spends_a_public_key_operation_on_an_offer(void **state)
{
    static const char *const free_ones[] = { "best",      "compatible",    "legacy",    "dtls",
                                             "sdes",      "zrtp",          "dtls,sdes", "sdes,dtls",
                                             "zrtp,sdes", "dtls,zrtp,sdes" };

    (void)state;
    for (int f = CPH_KEYING_FORM_DEFAULT; f <= CPH_KEYING_FORM_PROBE; f++)
        for (size_t i = 0; i < sizeof free_ones / sizeof *free_ones; i++) {
            enum cph_keying_form form = (enum cph_keying_form)f;

            assert_int_equal(ops_of("best", free_ones[i], form, CPH_SECURITY_PREFER), 0);
            assert_int_equal(ops_of("best", free_ones[i], form, CPH_SECURITY_REQUIRED), 0);
        }
}

/* Who names MIKEY asks for it: its one message is made once, whatever stands beside it. What each
 * mode costs stands in docs/rooms/keying.md. */
static void a_list_that_names_mikey_costs_what_its_mode_does(void **state)
{
    static const struct {
        const char *column;
        unsigned ops;
    } mode[] = {
        { "mikey-null", 0 },  { "mikey-psk", 0 },   { "mikey-rsa", 2 },    { "mikey-ecies", 3 },
        { "mikey-ecmqv", 2 }, { "mikey-rsa-r", 1 }, { "mikey-dhsign", 2 }, { "mikey-dhhmac", 1 },
    };
    static const char *const list[] = { "mikey", "dtls,mikey", "mikey,sdes",
                                        "dtls,zrtp,mikey,sdes" };

    (void)state;
    for (size_t m = 0; m < sizeof mode / sizeof *mode; m++) {
        for (size_t i = 0; i < sizeof list / sizeof *list; i++)
            assert_int_equal(
                ops_of(mode[m].column, list[i], CPH_KEYING_FORM_OSRTP, CPH_SECURITY_REQUIRED),
                mode[m].ops);
        assert_int_equal(
            ops_of(mode[m].column, "best", CPH_KEYING_FORM_OSRTP, CPH_SECURITY_REQUIRED), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_policy_by_name_spends_a_public_key_operation_on_an_offer),
        cmocka_unit_test(a_list_that_names_mikey_costs_what_its_mode_does),
        cmocka_unit_test(no_form_costs_more_than_another),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

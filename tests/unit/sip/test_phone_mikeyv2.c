/* Calls with MIKEYv2: in SDP, where the phone needs a second exchange for the keys, and in band. */
#include "phone_mikey.h"

static void open_with(struct line *l, uint64_t seed, const char *keying, enum cph_mikey_mode mode,
                      const struct cph_secret *bobs)
{
    line_open(l, seed);
    for (unsigned i = 0; i < 2; i++) {
        material(l, i, mode, i ? bobs : &psk);
        phone_with(l, i, keying, false);
    }
}

static const char *const rows[] = { "mikeyv2", "mikeyv2-inband" };

static void both_ways_make_a_verified_call(void **state)
{
    struct line l;

    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (int mode = CPH_MIKEY_PSK; mode <= CPH_MIKEY_DHHMAC; mode++) {
            if (mode == CPH_MIKEY_RSA || mode == CPH_MIKEY_RSA_R)
                continue; /* these devices have EC keys */
            open_with(&l, 1 + (uint64_t)mode, rows[k], (enum cph_mikey_mode)mode, &psk);
            dial(&l, 0, BOB);
            run(&l, 3000);
            for (unsigned i = 0; i < 2; i++) {
                assert_non_null(heard(&l, i, CPH_PHONE_SECURED));
                assert_true(status(&l, i).media.packets_in > 50);
                assert_string_equal(status(&l, i).verdict.stream[0].keying, rows[k]);
                if (mode != CPH_MIKEY_DHSIGN)
                    assert_int_equal(status(&l, i).verdict.level, CPH_LEVEL_VERIFIED);
            }
            over(&l);
        }
}

static void hold_and_rekey_go_through(void **state)
{
    struct line l;
    uint64_t before;

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        open_with(&l, 20, rows[k], CPH_MIKEY_PSK, &psk);
        dial(&l, 0, BOB);
        run(&l, 2000);
        for (int round = 0; round < 2; round++) {
            assert_ok(cph_phone_hold(lab_terminal_phone(l.t[1]), l.ear[1].call, round == 0,
                                     lab_now(l.net)));
            lab_terminal_pump(l.t[1]);
            run(&l, 500);
        }
        for (unsigned i = 0; i < 2; i++) {
            assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[i]), l.ear[i].call, lab_now(l.net)));
            lab_terminal_pump(l.t[i]);
            run(&l, 2000);
            assert_true(heard(&l, i, CPH_PHONE_CHANGED) != NULL);
        }
        before = status(&l, 0).media.packets_in;
        run(&l, 1000);
        assert_true(status(&l, 0).media.packets_in > before + 40);
        assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_VERIFIED);
        over(&l);
    }
}

static void another_secret_makes_no_call(void **state)
{
    struct line l;

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        open_with(&l, 30, rows[k], CPH_MIKEY_PSK, &other);
        dial(&l, 0, BOB);
        run(&l, 45000);
        for (unsigned i = 0; i < 2; i++) {
            assert_null(heard(&l, i, CPH_PHONE_SECURED));
            assert_non_null(heard(&l, i, CPH_PHONE_ENDED));
        }
        over(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_make_a_verified_call),
        cmocka_unit_test(hold_and_rekey_go_through),
        cmocka_unit_test(another_secret_makes_no_call),
    };
    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

/* Calls whose keys are told in the media (EKT, RFC 8870), its set brought by SDES and by MIKEY:
 * either side takes another key whenever it likes, and nothing of what is said is lost. */
#include "phone_mikey.h"

static void open_with(struct line *l, const char *keying, const bool ekt[2])
{
    line_open(l, 1);
    for (unsigned i = 0; i < 2; i++) {
        material(l, i, CPH_MIKEY_PSK, &psk);
        phone_with(l, i, keying, ekt[i]);
    }
}

static cph_err tell(struct line *l, unsigned i)
{
    cph_err err = cph_phone_rekey_media(lab_terminal_phone(l->t[i]), l->ear[i].call,
                                        lab_now(l->net));

    lab_terminal_pump(l->t[i]);
    return err;
}

static unsigned told(const struct line *l, unsigned i)
{
    unsigned n = 0;

    for (size_t k = 0; k < l->ear[i].n; k++)
        n += strstr(l->ear[i].ev[k].why, "told in the media") != NULL &&
             l->ear[i].ev[k].kind == CPH_PHONE_CHANGED;
    return n;
}

/* So many packets more, and none of them lost, in both directions. */
static void talk_on(struct line *l, unsigned ms)
{
    uint64_t before[2] = { status(l, 0).media.packets_in, status(l, 1).media.packets_in };

    run(l, ms);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_status st = status(l, i);

        assert_true(st.media.packets_in >= before[i] + ms / 20 - 2);
        assert_int_equal(st.media.lost, 0);
    }
}

static void either_side_takes_another_key_at_any_time(void **state)
{
    static const char *const keying[] = { "sdes", "mikey" };
    static const bool both[2] = { true, true };

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct line l;

        open_with(&l, keying[k], both);
        dial(&l, 0, BOB);
        run(&l, 1000);
        for (unsigned i = 0; i < 2; i++)
            assert_non_null(heard(&l, i, CPH_PHONE_SECURED));
        assert_ok(tell(&l, 1)); /* the callee first */
        talk_on(&l, 1000);
        assert_ok(tell(&l, 0));
        talk_on(&l, 1000);
        for (unsigned i = 0; i < 2; i++) /* both at once */
            assert_ok(tell(&l, i));
        talk_on(&l, 1000);
        for (unsigned n = 0; n < 3; n++) { /* and again before the last one is in use */
            assert_ok(tell(&l, 1));
            talk_on(&l, 100);
        }
        for (unsigned i = 0; i < 2; i++) {
            struct cph_phone_status st = status(&l, i);

            assert_true(told(&l, i) >= 2);
            assert_true(st.verdict.level <= CPH_LEVEL_HOP); /* a group's keys are no more */
        }
        /* a signalled re-key brings another set; keys are told under that one then */
        assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        talk_on(&l, 1000);
        assert_ok(tell(&l, 1));
        talk_on(&l, 1000);
        hangup(&l, 0);
        assert_err(tell(&l, 0), CPH_E_NOTFOUND);
        over(&l);
    }
}

static void without_ekt_at_both_ends_there_is_nothing_to_tell(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 4; who++) { /* nobody has it; one; both, but DTLS brings none */
        const bool ekt[2] = { who == 0 || who == 3, who == 1 || who == 3 };
        struct line l;

        open_with(&l, who == 3 ? "dtls" : "sdes", ekt);
        dial(&l, 0, BOB);
        assert_err(tell(&l, 0), CPH_E_STATE); /* nor before the call stands */
        run(&l, 1000);
        for (unsigned i = 0; i < 2; i++) {
            const struct cph_phone_event *ev = heard(&l, i, CPH_PHONE_SECURED);

            assert_non_null(ev);
            /* and who asked for it hears that it did not come about */
            assert_int_equal(strstr(ev->why, "without the EKT that was asked for") != NULL, ekt[i]);
            assert_err(tell(&l, i), CPH_E_STATE);
            assert_int_equal(told(&l, i), 0);
        }
        talk_on(&l, 500);
        over(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_side_takes_another_key_at_any_time),
        cmocka_unit_test(without_ekt_at_both_ends_there_is_nothing_to_tell),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

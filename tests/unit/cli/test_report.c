/* What a call tells the world. */
#include <stdlib.h>

#include "report.h"
#include "support.h"

/* All that is written about one event. */
static char *said_of(const struct cph_phone_event *ev, const struct cph_phone_status *st, bool json)
{
    struct cli_report r = { .json = json };
    char *text = NULL;
    size_t n = 0;

    r.out = open_memstream(&text, &n);
    assert_non_null(r.out);
    cli_report_event(&r, ev, st);
    assert_int_equal(fclose(r.out), 0);
    return text;
}

static char *said(const struct cph_phone_event *ev, bool json)
{
    return said_of(ev, NULL, json);
}

static char *panel(const struct cph_phone_status *st)
{
    struct cli_report r = { .tty = true };
    char *text = NULL;
    size_t n = 0;

    r.out = open_memstream(&text, &n);
    assert_non_null(r.out);
    cli_report_panel(&r, st, CPH_SEC(1));
    assert_int_equal(fclose(r.out), 0);
    return text;
}

/* RFC 6189 4.3.2 MUST: the user is alerted; on the panel for as long as nobody compared. */
static void
a_peer_that_is_not_the_device_of_earlier_calls_is_told_to_people_and_programs(void **state)
{
    (void)state;
    for (int strange = 0; strange < 2; strange++) {
        struct cph_phone_event ev = { .kind = CPH_PHONE_SAS, .sas = "b9ui" };
        struct cph_phone_status st = { .sas = "b9ui", .sas_asked = true, .sas_strange = strange };
        char *json = said_of(&ev, &st, true), *drawn = panel(&st);

        assert_non_null(strstr(json, strange ? "\"strange\":true" : "\"strange\":false"));
        assert_non_null(strstr(drawn, "b9ui"));
        assert_int_equal(strstr(drawn, "NOT THE DEVICE OF EARLIER CALLS") != NULL, strange);
        free(json);
        free(drawn);
    }
}

static void weak_algorithms_are_among_the_reasons_for_programs(void **state)
{
    struct cph_phone_event ev = { .kind = CPH_PHONE_ENDED };
    struct cph_phone_status st = { .verdict = { .streams_n = 1, .reasons_n = 2 } };
    char *json;

    (void)state;
    st.verdict.reason[0].code = CPH_REASON_WEAK_GROUP;
    st.verdict.reason[1].code = CPH_REASON_WEAK_SIGNATURE;
    json = said_of(&ev, &st, true);
    assert_non_null(strstr(json, "group of less than 2048 bits"));
    assert_non_null(strstr(json, "(sha-1), so the signature says nothing"));
    free(json);
}

static void a_peer_s_words_cannot_steer_the_terminal(void **state)
{
    static const char *const evil[] = {
        "Busy\033[2J\033[1;32m[VERIFIED]",
        "Busy\x9b"
        "2J",
        "Busy\xc2\x9b"
        "2J",
        "Busy\r\nverdict: verified",
        "Busy \xe2\x80\xae"
        "deifirev",
    };

    (void)state;
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        for (int json = 0; json < 2; json++) {
            struct cph_phone_event ev = { .kind = CPH_PHONE_ENDED, .status = 599, .ours = true };
            char *text;

            ev.cause = CPH_E_POLICY;
            (void)snprintf(ev.why, sizeof ev.why, "%s", evil[i]);
            text = said(&ev, json);
            assert_non_null(strstr(text, "Busy"));
            for (const char *p = text; *p; p++)
                assert_true((*p >= 0x20 && *p < 0x7f) || (*p == '\n' && p[1] == '\0'));
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak_algorithms_are_among_the_reasons_for_programs),
        cmocka_unit_test(a_peer_s_words_cannot_steer_the_terminal),
        cmocka_unit_test(
            a_peer_that_is_not_the_device_of_earlier_calls_is_told_to_people_and_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

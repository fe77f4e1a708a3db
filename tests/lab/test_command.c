/* ciphony lab as a program: what it prints for programs, and what it writes. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "ciphony/json.h"

enum { LONG = 4 << 20 };

/* What the command printed, and how it ended. */
static char *ran(const char *args, int *status)
{
    char line[512];
    char *text = calloc(1, LONG);
    FILE *f;

    assert_non_null(getenv("CPH_COMMAND"));
    assert_non_null(text);
    (void)snprintf(line, sizeof line, "'%s' lab %s 2>&1", getenv("CPH_COMMAND"), args);
    f = popen(line, "r"); /* our own words; NOLINT(cert-env33-c) */
    assert_non_null(f);
    assert_true(fread(text, 1, LONG - 1, f) > 0);
    *status = pclose(f);
    return text;
}

static unsigned objects(const char *text, const char *with)
{
    struct cph_span rest = cph_span_of(text), line;
    unsigned n = 0;

    while (cph_span_line(&rest, &line)) {
        struct cph_json_doc *d;

        assert_ok(cph_json_parse(line, &d)); /* every line is one object */
        assert_int_equal(cph_json_kind(cph_json_root(d)), CPH_JSON_OBJECT);
        n += cph_json_get(cph_json_root(d), with) != NULL;
        cph_json_doc_free(d);
    }
    return n;
}

static void the_list_names_experiments_and_mechanisms(void **state)
{
    int status;
    char *text = ran("list --json", &status);

    (void)state;
    assert_int_equal(status, 0);
    assert_true(objects(text, "experiment") > 30);
    assert_true(objects(text, "keying") > 5);
    free(text);
    text = ran("list", &status);
    assert_non_null(strstr(text, "chain"));
    assert_non_null(strstr(text, "mikey-psk"));
    free(text);
}

static void a_run_tells_its_outcome_and_its_messages(void **state)
{
    int status;
    char *text = ran("run clipping --keying sdes --seed 3 --json --verbose", &status);

    (void)state;
    assert_int_equal(status, 0);
    assert_int_equal(objects(text, "ladder"), 1);
    assert_int_equal(objects(text, "units"), 1);
    assert_non_null(strstr(text, "\"steps\""));
    assert_non_null(strstr(text, "INVITE (SDP: keys by SDES)"));
    free(text);
    text = ran("run clipping --keying sdes --seed 3 --json", &status);
    assert_int_equal(objects(text, "ladder"), 0);
    free(text);
}

static void a_report_can_be_a_page_and_lines_at_once_and_shows_no_bar_in_a_pipe(void **state)
{
    char path[] = "/tmp/ciphony-lab-XXXXXX", args[128];
    int fd = mkstemp(path), status;
    char *text, end[16] = "";
    FILE *f;

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(args, sizeof args, "report --keying sdes --html %s --json", path);
    text = ran(args, &status);
    assert_int_equal(status, 0);
    assert_true(objects(text, "experiment") > 30);
    assert_int_equal(objects(text, "requirement"), 26);
    assert_int_equal(objects(text, "trial"), 1);
    assert_null(strchr(text, '\r'));
    free(text);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, -8, SEEK_END), 0);
    assert_int_equal(fread(end, 1, 8, f), 8);
    assert_string_equal(end, "</html>\n");
    (void)fclose(f);
    (void)unlink(path);
}

static void what_it_does_not_have_is_a_usage_error(void **state)
{
    static const char *const wrong[] = { "run nothing", "run",   "run chain --keying none",
                                         "report",      "dance", "list --seed x" };
    int status;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *text = ran(wrong[i], &status);

        assert_int_not_equal(status, 0);
        assert_non_null(strstr(text, "ciphony: "));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_names_experiments_and_mechanisms),
        cmocka_unit_test(a_run_tells_its_outcome_and_its_messages),
        cmocka_unit_test(a_report_can_be_a_page_and_lines_at_once_and_shows_no_bar_in_a_pipe),
        cmocka_unit_test(what_it_does_not_have_is_a_usage_error),
    };

    return cmocka_run_group_tests_name("lab command", tests, NULL, NULL);
}

#include "support.h"

#include <math.h>

#include "ciphony/json.h"

static struct cph_buf out = { .limit = 1 << 20 };

static void expect_line(const struct cph_json *j, const char *want)
{
    char got[4096];

    cph_buf_clear(&out);
    assert_ok(cph_json_line(j, &out));
    assert_true(out.n < sizeof got);
    memcpy(got, cph_buf_view(&out).p, out.n);
    got[out.n] = '\0';
    assert_string_equal(got, want);
    cph_buf_clear(&out);
}

static void an_object_is_one_line_in_the_order_it_was_written(void **state)
{
    struct cph_json *j;

    (void)state;
    assert_ok(cph_json_new(&j));
    cph_json_text(j, "event", "ended");
    cph_json_object(j, "verdict");
    cph_json_text(j, "level", "verified");
    cph_json_text(j, "peer", NULL);
    cph_json_array(j, "streams");
    cph_json_object(j, NULL);
    cph_json_uint(j, "packets", 9007199254740993U);
    cph_json_bool(j, "muted", false);
    cph_json_close(j);
    cph_json_int(j, NULL, -1);
    cph_json_close(j);
    cph_json_close(j);
    cph_json_real(j, "loss", 0.5);
    cph_json_real(j, "jitter", NAN);
    expect_line(
        j, "{\"event\":\"ended\",\"verdict\":{\"level\":\"verified\",\"peer\":null,\"streams\":"
           "[{\"packets\":9007199254740993,\"muted\":false},-1]},\"loss\":0.5,\"jitter\":null}\n");
    cph_json_free(j);
    cph_json_free(NULL);
}

static void text_is_escaped_and_broken_utf8_replaced(void **state)
{
    static const struct {
        struct cph_span in;
        const char *want;
    } row[] = {
        { CPH_SPAN_LIT("a\"b\\c/\n\t\x01\x7f"), "\"a\\\"b\\\\c/\\n\\t\\u0001\x7f\"" },
        { CPH_SPAN_LIT("nul\0in"), "\"nul\\u0000in\"" },
        { CPH_SPAN_LIT("\xc5\xbeofie"), "\"\\u017Eofie\"" },
        { CPH_SPAN_LIT("\xf0\x9f\x94\x92"), "\"\\uD83D\\uDD12\"" },
        { CPH_SPAN_LIT("\xff"), "\"\\uFFFD\"" },
        { CPH_SPAN_LIT("a\xc3"), "\"a\\uFFFD\"" },
        { CPH_SPAN_LIT("\xc0\xaf"), "\"\\uFFFD\\uFFFD\"" },            /* '/' in two bytes */
        { CPH_SPAN_LIT("\xe0\x80\xaf"), "\"\\uFFFD\\uFFFD\\uFFFD\"" }, /* and in three */
        { CPH_SPAN_LIT("\xed\xa0\x80"), "\"\\uFFFD\\uFFFD\\uFFFD\"" }, /* a surrogate */
        { CPH_SPAN_LIT("\xf4\x90\x80\x80"), "\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\"" },
        { CPH_SPAN_LIT("\xc2\x9b"), "\"\\u009B\"" }, /* a control sequence introducer */
        { { NULL, 0 }, "\"\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_json *j;
        char want[128];

        assert_ok(cph_json_new(&j));
        cph_json_span(j, "t", row[i].in);
        (void)snprintf(want, sizeof want, "{\"t\":%s}\n", row[i].want);
        expect_line(j, want);
        cph_json_free(j);
    }
}

static void a_document_that_is_written_wrongly_is_refused(void **state)
{
    for (int wrong = 0; wrong < 8; wrong++) {
        static const cph_err want[] = { CPH_E_BUG, CPH_E_BUG,   CPH_E_BUG, CPH_E_BUG,
                                        CPH_E_BUG, CPH_E_LIMIT, CPH_E_BUG, CPH_E_LIMIT };
        struct cph_json *j;
        static uint8_t big[CPH_JSON_MAX + 1];

        (void)state;
        assert_ok(cph_json_new(&j));
        cph_json_int(j, "a", 1);
        if (wrong == 0)
            cph_json_int(j, "a", 2);
        else if (wrong == 1)
            cph_json_int(j, NULL, 2);
        else if (wrong == 2)
            cph_json_close(j);
        else if (wrong == 3)
            cph_json_array(j, "open");
        else if (wrong == 4)
            cph_json_uint(j, "b", (uint64_t)INT64_MAX + 1);
        else if (wrong == 5)
            for (int i = 0; i < CPH_JSON_DEPTH; i++)
                cph_json_object(j, "b");
        else if (wrong == 6)
            cph_json_array(j, "b"), cph_json_int(j, "key in array", 1), cph_json_close(j);
        else
            cph_json_span(j, "b", (struct cph_span){ big, sizeof big });
        cph_json_int(j, "later", 1);
        cph_buf_clear(&out);
        assert_err(cph_json_line(j, &out), want[wrong]);
        assert_int_equal(out.n, 0);
        cph_json_free(j);
    }
}

static void the_deepest_document_that_may_be_written_may_be_read(void **state)
{
    struct cph_json_doc *d;
    struct cph_json *j;

    (void)state;
    assert_ok(cph_json_new(&j));
    for (int i = 0; i < CPH_JSON_DEPTH - 1; i++)
        cph_json_object(j, "d");
    for (int i = 0; i < CPH_JSON_DEPTH - 1; i++)
        cph_json_close(j);
    cph_buf_clear(&out);
    assert_ok(cph_json_line(j, &out));
    assert_ok(cph_json_parse(cph_buf_view(&out), &d));
    cph_json_doc_free(d);
    cph_json_free(j);
    cph_buf_clear(&out);
}

static void a_document_is_read_by_kind(void **state)
{
    struct cph_json_doc *d;
    const struct cph_json_value *r, *a;
    struct cph_span s = { 0 };
    int64_t n = 0;
    double x = 0;
    bool b = false;

    (void)state;
    assert_ok(cph_json_parse(
        CPH_SPAN_LIT(
            "{\"t\":\"[{\\\"\\u00e4\",\"n\":-7,\"x\":1.5,\"b\":true,\"z\":null,\"a\":[1,[]]}"),
        &d));
    r = cph_json_root(d);
    a = cph_json_get(r, "a");
    assert_int_equal(cph_json_kind(r), CPH_JSON_OBJECT);
    assert_int_equal(cph_json_count(r), 6);
    assert_ok(cph_json_as_text(cph_json_get(r, "t"), &s));
    assert_true(cph_span_is(s, "[{\"\xc3\xa4"));
    assert_ok(cph_json_as_int(cph_json_get(r, "n"), &n));
    assert_int_equal(n, -7);
    assert_ok(cph_json_as_real(cph_json_get(r, "x"), &x));
    assert_true(x > 1.49 && x < 1.51);
    assert_ok(cph_json_as_bool(cph_json_get(r, "b"), &b));
    assert_true(b);
    assert_int_equal(cph_json_kind(cph_json_get(r, "z")), CPH_JSON_NULL);
    assert_int_equal(cph_json_kind(a), CPH_JSON_ARRAY);
    assert_int_equal(cph_json_count(a), 2);
    assert_int_equal(cph_json_kind(cph_json_at(a, 0)), CPH_JSON_INT);
    assert_int_equal(cph_json_kind(cph_json_at(a, 2)), CPH_JSON_ABSENT);
    assert_int_equal(cph_json_kind(cph_json_get(a, "no object")), CPH_JSON_ABSENT);
    assert_int_equal(cph_json_count(NULL), 0);
    /* each with a value of the wrong kind, and absent */
    assert_err(cph_json_as_text(cph_json_get(r, "n"), &s), CPH_E_MALFORMED);
    assert_err(cph_json_as_int(cph_json_get(r, "x"), &n), CPH_E_MALFORMED);
    assert_err(cph_json_as_real(cph_json_get(r, "t"), &x), CPH_E_MALFORMED);
    assert_err(cph_json_as_bool(cph_json_get(r, "z"), &b), CPH_E_MALFORMED);
    assert_err(cph_json_as_text(cph_json_get(r, "absent"), &s), CPH_E_MALFORMED);
    cph_json_doc_free(d);
    cph_json_doc_free(NULL);
}

static void bad_documents_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "{",
                                       "{}x",
                                       "1",
                                       "\"t\"",
                                       "{\"a\":1,}",
                                       "{\"a\":01}",
                                       "{\"a\":1,\"a\":2}",
                                       "[\"\\u0000\"]",
                                       "[\"\xff\"]",
                                       "[1e999]",
                                       "[99999999999999999999]",
                                       "{'a':1}",
                                       "[nul]",
                                       "[\"\\ud800\"]" };
    static char deep[2 * CPH_JSON_DEPTH + 8], big[CPH_JSON_MAX + 2];
    struct cph_json_doc *d;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_json_parse(cph_span_of(bad[i]), &d), CPH_E_MALFORMED);
    memset(deep, '[', CPH_JSON_DEPTH + 1);
    assert_err(cph_json_parse(cph_span_of(deep), &d), CPH_E_LIMIT);
    memset(big, ' ', CPH_JSON_MAX + 1);
    assert_err(cph_json_parse(cph_span_of(big), &d), CPH_E_LIMIT);
    memcpy(big, "[]", 2);
    big[CPH_JSON_MAX] = '\0';
    assert_ok(cph_json_parse(cph_span_of(big), &d));
    cph_json_doc_free(d);
}

static cph_err check_fragile(void *arg, struct cph_span bytes)
{
    struct cph_json_doc *d;
    cph_err err = cph_json_parse(bytes, &d);

    (void)arg;
    if (err == CPH_OK)
        cph_json_doc_free(d);
    return err;
}

static void a_truncated_document_is_refused(void **state)
{
    (void)state;
    expect_fragile(CPH_SPAN_LIT("{\"a\":[1,2.5,{\"b\":\"\\u00e4\xc3\xa4\"}],\"c\":true}"),
                   FRAGILE_TRUNCATION, check_fragile, NULL);
}

static cph_err scenario(void *arg)
{
    struct cph_buf line = { .limit = 1000 };
    struct cph_json_doc *d = NULL;
    struct cph_json *j;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "a", "text");
    cph_json_array(j, "b");
    cph_json_text(j, NULL, "more");
    cph_json_close(j);
    err = cph_json_line(j, &line);
    if (err == CPH_OK)
        err = cph_json_parse(cph_buf_view(&line), &d);
    cph_json_doc_free(d);
    cph_buf_clear(&line);
    cph_json_free(j);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_one_line_in_the_order_it_was_written),
        cmocka_unit_test(text_is_escaped_and_broken_utf8_replaced),
        cmocka_unit_test(a_document_that_is_written_wrongly_is_refused),
        cmocka_unit_test(the_deepest_document_that_may_be_written_may_be_read),
        cmocka_unit_test(a_document_is_read_by_kind),
        cmocka_unit_test(bad_documents_are_refused),
        cmocka_unit_test(a_truncated_document_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

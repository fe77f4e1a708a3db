#include "support.h"

#include "ciphony/base_text.h"

static void numbers_are_strict(void **state)
{
    static const char *const bad[] = { "", "+1", "-1", " 1", "1 ", "0x1", "4294967296", "1a" };
    uint32_t v = 7;
    uint64_t big;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_span_u32(cph_span_of(bad[i]), &v), CPH_E_MALFORMED);
    assert_int_equal(v, 7);
    assert_ok(cph_span_u32(cph_span_of("4294967295"), &v));
    assert_int_equal(v, UINT32_MAX);
    assert_ok(cph_span_u32(cph_span_of("007"), &v));
    assert_int_equal(v, 7);
    assert_ok(cph_span_u64(cph_span_of("18446744073709551615"), &big));
    assert_true(big == UINT64_MAX);
    assert_err(cph_span_u64(cph_span_of("18446744073709551616"), &big), CPH_E_MALFORMED);
}

static void text_is_cut_at_bytes_words_and_lines(void **state)
{
    struct cph_span rest = cph_span_of("a=b=c"), line;

    (void)state;
    assert_true(cph_span_is(cph_span_cut(&rest, '='), "a"));
    assert_true(cph_span_is(cph_span_cut(&rest, '='), "b"));
    assert_true(cph_span_is(cph_span_cut(&rest, '='), "c"));
    assert_int_equal(rest.n, 0);
    rest = cph_span_of("  one\ttwo ");
    assert_true(cph_span_is(cph_span_word(&rest), "one"));
    assert_true(cph_span_is(cph_span_word(&rest), "two"));
    assert_int_equal(cph_span_word(&rest).n, 0);
    rest = cph_span_of("x\r\n\ny\rz");
    assert_true(cph_span_line(&rest, &line) && cph_span_is(line, "x"));
    assert_true(cph_span_line(&rest, &line) && line.n == 0);
    assert_true(cph_span_line(&rest, &line) && cph_span_is(line, "y\rz"));
    assert_false(cph_span_line(&rest, &line));
    assert_true(cph_span_is(cph_span_trim(cph_span_of(" \tq \t")), "q"));
    assert_true(cph_span_iis(cph_span_of("CaLL-id"), "call-ID"));
    assert_false(cph_span_is(cph_span_of("CaLL-id"), "call-ID"));
    assert_true(cph_span_starts(cph_span_of("sip:x"), "sip:"));
    assert_false(cph_span_starts(cph_span_of("si"), "sip:"));
}

static void cstr_refuses_a_nul_inside(void **state)
{
    char buf[4];

    (void)state;
    assert_ok(cph_span_cstr(cph_span_of("abc"), buf, sizeof buf));
    assert_string_equal(buf, "abc");
    assert_err(cph_span_cstr(cph_span_of("abcd"), buf, sizeof buf), CPH_E_NOSPACE);
    assert_err(cph_span_cstr((struct cph_span){ (const uint8_t *)"a\0b", 3 }, buf, sizeof buf),
               CPH_E_MALFORMED);
}

static void base64_of_rfc4648_10(void **state)
{
    static const char *const pair[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    static const char *const bad[] = { "Z",    "Zg",   "Zg=",  "Zh==", "Zg==Zg==", "Zm9=",
                                       "Z===", "Zm 9", "====", "Zg=g", "Zm9v=",    "-_-_" };
    char text[32];
    uint8_t out[32];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        cph_base64(cph_span_of(pair[i][0]), text);
        assert_string_equal(text, pair[i][1]);
        assert_int_equal(strlen(text), CPH_BASE64_LEN(strlen(pair[i][0])));
        assert_ok(cph_unbase64(cph_span_of(text), false, out, sizeof out, &n));
        assert_true(cph_span_is((struct cph_span){ out, n }, pair[i][0]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_unbase64(cph_span_of(bad[i]), false, out, sizeof out, &n), CPH_E_MALFORMED);
    assert_ok(cph_unbase64(cph_span_of("Zg"), true, out, sizeof out, &n));
    assert_int_equal(n, 1);
    assert_err(cph_unbase64(cph_span_of("Zm9v"), false, out, 2, &n), CPH_E_NOSPACE);
}

static void base64_and_hex_go_both_ways_for_every_byte(void **state)
{
    uint8_t all[256], back[256];
    char text[CPH_BASE64_LEN(256) + 1], hex[513];
    size_t n;

    (void)state;
    for (size_t i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    cph_base64((struct cph_span){ all, 256 }, text);
    assert_ok(cph_unbase64(cph_span_of(text), false, back, sizeof back, &n));
    assert_int_equal(n, 256);
    assert_memory_equal(all, back, 256);
    cph_hex((struct cph_span){ all, 256 }, hex);
    assert_int_equal(strncmp(hex, "000102030405060708090a0b0c0d0e0f10", 34), 0);
    assert_ok(cph_unhex(cph_span_of(hex), back, sizeof back, &n));
    assert_memory_equal(all, back, 256);
    assert_ok(cph_unhex(cph_span_of("aAfF09"), back, sizeof back, &n));
    assert_int_equal(back[1], 0xff);
    assert_err(cph_unhex(cph_span_of("0g"), back, sizeof back, &n), CPH_E_MALFORMED);
    assert_err(cph_unhex(cph_span_of("012"), back, sizeof back, &n), CPH_E_MALFORMED);
    assert_err(cph_unhex(cph_span_of("0:"), back, sizeof back, &n), CPH_E_MALFORMED);
}

static void base64_decoding_accepts_exactly_its_alphabet(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t out[8];
    size_t n;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[4] = { 'A', (uint8_t)c, 'A', 'A' };
        bool in = c != 0 && strchr(alphabet, (int)c) != NULL;

        assert_err(cph_unbase64((struct cph_span){ text, 4 }, false, out, sizeof out, &n),
                   in ? CPH_OK : CPH_E_MALFORMED);
    }
}

static void text_of_others_cannot_steer_a_terminal(void **state)
{
    static const struct {
        const char *in, *out;
    } row[] = {
        { "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x92",
          "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x92" },
        { "a\033[2Jb\r\n\tc\x7f", "a?[2Jb???c?" },
        { "\xc2\x9b"
          "2J",
          "?2J" }, /* CSI as a character */
        { "\x9b"
          "2J",
          "?2J" }, /* and as a byte */
        { "\xc2\xa0", "\xc2\xa0" },
        { "\xe2\x80\xae"
          "dekcol",
          "?dekcol" }, /* right to left */
        { "\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\x8f", "???" },
        { "\xe2\x80\xa6\xe2\x81\xa5", "\xe2\x80\xa6\xe2\x81\xa5" }, /* beside them */
        { "\xc3(\xff\xe2\x82", "?(???" },
        { "\xed\xa0\x80", "???" }, /* a surrogate */
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_string_equal(cph_text_clean(cph_span_of(row[i].in), out, sizeof out), row[i].out);
    assert_string_equal(cph_text_clean(cph_span_of("ab\xe2\x82\xac"), out, 5),
                        "ab"); /* not half of one */
    assert_string_equal(cph_text_clean(cph_span_of("ab\xe2\x82\xac"), out, 6), "ab\xe2\x82\xac");
    assert_string_equal(cph_text_clean(CPH_SPAN_LIT("a\0b"), out, sizeof out), "a?b");
    strcpy(out, "in \033 place \xc2\x85.");
    assert_string_equal(cph_text_clean(cph_span_of(out), out, sizeof out), "in ? place ?.");
    assert_string_equal(cph_text_clean(cph_span_of("abc"), out, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_others_cannot_steer_a_terminal),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(text_is_cut_at_bytes_words_and_lines),
        cmocka_unit_test(cstr_refuses_a_nul_inside),
        cmocka_unit_test(base64_of_rfc4648_10),
        cmocka_unit_test(base64_and_hex_go_both_ways_for_every_byte),
        cmocka_unit_test(base64_decoding_accepts_exactly_its_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

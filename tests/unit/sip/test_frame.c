#include "msg_support.h"

#define MSG  "OPTIONS sip:b SIP/2.0\r\nContent-Length: 3\r\n\r\nabc"
#define HEAD "OPTIONS sip:b SIP/2.0\r\n"

static void frame(const char *text, bool pong_due, cph_err err, enum cph_sip_frame_kind kind,
                  size_t n)
{
    struct cph_sip_frame f;

    assert_err(cph_sip_frame(cph_span_of(text), pong_due, 0, &f), err);
    assert_int_equal(f.bytes.n, n);
    if (err == CPH_OK)
        assert_int_equal(f.kind, kind);
}

static void a_message_ends_where_its_length_says(void **state)
{
    char text[] = MSG MSG;

    (void)state;
    frame(MSG, false, CPH_OK, CPH_SIP_FRAME_MESSAGE, sizeof MSG - 1);
    frame(text, false, CPH_OK, CPH_SIP_FRAME_MESSAGE, sizeof MSG - 1);
    for (size_t n = 0; n < sizeof MSG - 1; n++) { /* at every place it may be cut, it waits */
        struct cph_sip_frame f;
        bool body = n >= sizeof MSG - 1 - 3;

        assert_err(cph_sip_frame((struct cph_span){ (const uint8_t *)MSG, n }, false, 0, &f),
                   CPH_E_AGAIN);
        assert_int_equal(f.bytes.n, 0);
        assert_int_equal(f.need, body ? sizeof MSG - 1 : n + 1);
        assert_int_equal(f.searched, body ? 0 : n);
    }
    frame(HEAD "L:\r\n 2\r\n\r\nabc", false, CPH_OK, CPH_SIP_FRAME_MESSAGE, sizeof HEAD - 1 + 12);
}

/* Whoever sends single bytes must not have the whole looked at for each of them. */
static void what_was_searched_is_not_searched_again(void **state)
{
    struct cph_span all = cph_span_of(HEAD "l: 0\r\n\r\n");
    struct cph_sip_frame f = { .need = 0 };
    unsigned asked = 0;

    (void)state;
    assert_ok(cph_sip_frame(all, false, all.n - 1, &f)); /* the last byte of its end is new */
    assert_int_equal(f.bytes.n, all.n);
    assert_int_equal(f.need, 0);
    assert_err(cph_sip_frame(all, false, all.n, &f), CPH_E_AGAIN); /* it was said to have none */
    f = (struct cph_sip_frame){ .need = 0 };
    for (size_t n = 0; n < sizeof MSG - 1; n++)
        if (n >= f.need) {
            asked++;
            assert_err(
                cph_sip_frame((struct cph_span){ (const uint8_t *)MSG, n }, false, f.searched, &f),
                CPH_E_AGAIN);
        }
    assert_int_equal(asked, sizeof MSG - 1 - 2); /* for a body that comes in pieces once */
    assert_ok(cph_sip_frame(cph_span_of(MSG), false, f.searched, &f));
}

static void what_cannot_be_framed_closes_the_connection(void **state)
{
    static char big[CPH_SIP_HEAD_MAX + 1];

    (void)state;
    frame(HEAD "\r\n", false, CPH_E_MALFORMED, 0, sizeof HEAD + 1);
    frame(HEAD "l: x\r\n\r\n", false, CPH_E_MALFORMED, 0, sizeof HEAD + 7);
    frame(HEAD "l: -1\r\n\r\n", false, CPH_E_MALFORMED, 0, sizeof HEAD + 8);
    frame(HEAD "l: 1\r\nContent-Length: 1\r\n\r\nx", false, CPH_E_MALFORMED, 0, sizeof HEAD + 26);
    frame(HEAD "l: 131073\r\n\r\n", false, CPH_E_LIMIT, 0, sizeof HEAD + 12);
    frame(HEAD "l: 131072\r\n\r\n", false, CPH_E_AGAIN, 0, 0);
    frame("\x16\x03\x01", false, CPH_E_MALFORMED, 0, 0);
    frame(" x", false, CPH_E_MALFORMED, 0, 0);
    frame("\n", false, CPH_E_MALFORMED, 0, 0);
    memset(big, 'x', sizeof big - 2);
    frame(big, false, CPH_E_AGAIN, 0, 0);
    memset(big, 'x', sizeof big - 1);
    frame(big, false, CPH_E_LIMIT, 0, 0);
}

/* RFC 5626 4.4.1 */
static void keep_alives_are_told_from_messages(void **state)
{
    (void)state;
    frame("\r\n\r\n", false, CPH_OK, CPH_SIP_FRAME_PING, 4);
    frame("\r\n\r\n" MSG, false, CPH_OK, CPH_SIP_FRAME_PING, 4);
    frame("\r\n" MSG, false, CPH_OK, CPH_SIP_FRAME_PONG, 2);
    frame("\r\n", true, CPH_OK, CPH_SIP_FRAME_PONG, 2);
    frame("\r\n\r\n", true, CPH_OK, CPH_SIP_FRAME_PONG, 2);
    frame("\r\n", false, CPH_E_AGAIN, 0, 0);
    frame("\r\n\r", false, CPH_E_AGAIN, 0, 0);
    frame("\r", true, CPH_E_AGAIN, 0, 0);
    frame("\rx", true, CPH_E_MALFORMED, 0, 0);
    frame("\r\n\rx", false, CPH_E_MALFORMED, 0, 0);
    assert_true(cph_sip_is_keepalive(cph_span_of("")));
    assert_true(cph_sip_is_keepalive(CPH_SPAN_LIT("\r\n\r\n")));
    assert_true(cph_sip_is_keepalive(CPH_SPAN_LIT("\0\0\0\0")));
    assert_false(cph_sip_is_keepalive(CPH_SPAN_LIT("\r\nx")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_ends_where_its_length_says),
        cmocka_unit_test(what_was_searched_is_not_searched_again),
        cmocka_unit_test(what_cannot_be_framed_closes_the_connection),
        cmocka_unit_test(keep_alives_are_told_from_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "msg_support.h"

#include <ctype.h>

static void names_are_found_in_full_and_in_every_case(void **state)
{
    static const struct {
        enum cph_sip_hdr id;
        const char *name;
        char compact;
    } rows[] = {
#define ROW(id, name, compact, shape) { CPH_SIP_H_##id, name, compact },
        CPH_SIP_HEADER_LIST(ROW)
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        struct cph_span s = { (uint8_t *)text, strlen(rows[i].name) };

        strcpy(text, rows[i].name);
        assert_int_equal(cph_sip_hdr_find(s), rows[i].id);
        for (char *p = text; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        assert_int_equal(cph_sip_hdr_find(s), rows[i].id);
        strcpy(text + s.n, "x");
        s.n++;
        assert_int_equal(cph_sip_hdr_find(s), CPH_SIP_H_OTHER);
        s.n -= 2;
        if (s.n > 1) /* "T" is To again, by its compact form */
            assert_int_equal(cph_sip_hdr_find(s), CPH_SIP_H_OTHER);
        assert_string_equal(cph_sip_hdr_name(rows[i].id), rows[i].name);
        text[0] = rows[i].compact;
        s.n = 1;
        if (rows[i].compact)
            assert_int_equal(cph_sip_hdr_find(s), rows[i].id);
    }
    assert_int_equal(cph_sip_hdr_find(cph_span_of("")), CPH_SIP_H_OTHER);
    assert_int_equal(cph_sip_hdr_find(cph_span_of("z")), CPH_SIP_H_OTHER);
    assert_int_equal(cph_sip_hdr_find(CPH_SPAN_LIT("Vi\0")), CPH_SIP_H_OTHER);
}

static void methods_keep_their_case(void **state)
{
    (void)state;
    assert_int_equal(cph_sip_method_find(cph_span_of("INVITE")), CPH_SIP_INVITE);
    assert_int_equal(cph_sip_method_find(cph_span_of("Invite")), CPH_SIP_OTHER_METHOD);
    assert_int_equal(cph_sip_method_find(cph_span_of("")), CPH_SIP_OTHER_METHOD);
    assert_string_equal(cph_sip_method_name(CPH_SIP_PRACK), "PRACK");
    assert_string_equal(cph_sip_status_text(180), "Ringing");
    assert_string_equal(cph_sip_status_text(699), "Global Failure");
    assert_string_equal(cph_sip_status_text(12345), "Unknown");
}

static void a_via_tells_all_its_parts(void **state)
{
    struct cph_sip_via v;

    (void)state;
    assert_ok(cph_sip_via_parse(
        CPH_SPAN_LIT("SIP / 2.0 / TLS [2001:db8::9] : 5061 ;branch=z9hG4bK1;rport=7;"
                     "received=2001:db8::1;maddr=[::1];ttl=16;x"),
        &v));
    assert_span(v.transport, "TLS");
    assert_span(v.host, "2001:db8::9");
    assert_int_equal(v.port, 5061);
    assert_span(v.branch, "z9hG4bK1");
    assert_true(v.cookie && v.has_rport && v.host_is_v6);
    assert_int_equal(v.rport, 7);
    assert_span(v.received, "2001:db8::1");
    assert_span(v.maddr, "::1");
    assert_int_equal(v.ttl, 16);
    assert_ok(cph_sip_via_parse(CPH_SPAN_LIT("sip/2.0/UDP a;rport"), &v));
    assert_true(v.has_rport);
    assert_int_equal(v.rport, 0);
    assert_int_equal(v.ttl, -1);
}

static void vias_that_are_wrong_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP a",
        "SIP/1.0/UDP a",
        "HTTP/2.0/UDP a",
        "SIP/2.0/UDP a:",
        "SIP/2.0/UDP a:0",
        "SIP/2.0/UDP a:99999",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a;",
        "SIP/2.0/UDP a;branch",
        "SIP/2.0/UDP a;branch=",
        "SIP/2.0/UDP a;branch=\"x\"",
        "SIP/2.0/UDP a;branch=z9hG4bK",
        "SIP/2.0/UDP a;branch=1;BRANCH=2",
        "SIP/2.0/UDP a;rport=0",
        "SIP/2.0/UDP a;rport=65536",
        "SIP/2.0/UDP a;rport=x",
        "SIP/2.0/UDP a;received=a.example",
        "SIP/2.0/UDP a;received",
        "SIP/2.0/UDP a;ttl=256",
        "SIP/2.0/UDP a;ttl",
        "SIP/2.0/UDP a;maddr=-",
        "SIP/2.0/UDP a,SIP/2.0/UDP b",
    };
    struct cph_sip_via v;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cph_sip_via_parse(cph_span_of(bad[i]), &v) != CPH_E_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void addresses_come_in_three_forms(void **state)
{
    struct cph_sip_addr a;
    struct cph_span v;

    (void)state;
    assert_ok(cph_sip_addr_parse(
        CPH_SPAN_LIT("\"A. G. \\\"<Bell>\\\"\" <sip:a@b;x=1>;tag=7;y=\",;\""), &a));
    assert_span(a.display, "\"A. G. \\\"<Bell>\\\"\"");
    assert_span(a.uri.params, ";x=1");
    assert_span(a.tag, "7");
    assert_true(cph_sip_param(a.params, "y", &v));
    assert_span(v, "\",;\"");
    assert_ok(
        cph_sip_addr_parse(CPH_SPAN_LIT("Anonymous Coward<sip:c8oqz84zk7z@privacy.org>"), &a));
    assert_span(a.display, "Anonymous Coward");
    assert_ok(
        cph_sip_addr_parse(CPH_SPAN_LIT("sip:+12125551212@server.phone2net.com;tag=887s"), &a));
    assert_false(a.brackets);
    assert_int_equal(a.uri.params.n, 0);
    assert_span(a.tag, "887s");
    assert_ok(cph_sip_addr_parse(CPH_SPAN_LIT(" * "), &a));
    assert_true(a.star);
}

static void addresses_that_are_wrong_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\"x\"",
        "\"x <sip:a@b>",
        "x",
        "<sip:a@b",
        "sip:a@b>",
        "<sip:a@b>>",
        "<>",
        "< sip:a@b>",
        "<sip:a@b >",
        "Bell, Alexander <sip:a@b>",
        "\"x\" y <sip:a@b>",
        "<sip:a@b> x",
        "<sip:a@b>;",
        "<sip:a@b>;tag",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=\"x\"",
        "<sip:a@b>;tag=1;tag=2",
        "sip:a@b?x=1",
        "sip:a@b,sip:c@d",
        "sip:a@b ;; x",
        "\"\xc3\" <sip:a@b>",
        "\"\xc0\x80\" <sip:a@b>",
        "\"\xed\xa0\x80\" <sip:a@b>",
        "* x",
    };
    struct cph_sip_addr a;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cph_sip_addr_parse(cph_span_of(bad[i]), &a) != CPH_E_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void the_small_headers_are_parsed_and_their_errors_refused(void **state)
{
    struct cph_sip_cseq c;
    struct cph_sip_rack k;
    struct cph_sip_content_type t;
    struct cph_sip_session_expires e;
    struct cph_sip_retry_after r;
    struct cph_sip_reason n;
    uint32_t v;

    (void)state;
    assert_ok(cph_sip_cseq_parse(CPH_SPAN_LIT("2147483647  INVITE"), &c));
    assert_int_equal(c.method, CPH_SIP_INVITE);
    assert_err(cph_sip_cseq_parse(CPH_SPAN_LIT("2147483648 INVITE"), &c), CPH_E_MALFORMED);
    assert_err(cph_sip_cseq_parse(CPH_SPAN_LIT("1INVITE"), &c), CPH_E_MALFORMED);
    assert_err(cph_sip_cseq_parse(CPH_SPAN_LIT("1 "), &c), CPH_E_MALFORMED);
    assert_err(cph_sip_cseq_parse(CPH_SPAN_LIT("-1 INVITE"), &c), CPH_E_MALFORMED);
    assert_err(cph_sip_cseq_parse(CPH_SPAN_LIT("1 IN VITE"), &c), CPH_E_MALFORMED);

    assert_ok(cph_sip_rack_parse(CPH_SPAN_LIT("776656 1 INVITE"), &k));
    assert_int_equal(k.rseq, 776656);
    assert_int_equal(k.cseq.number, 1);
    assert_err(cph_sip_rack_parse(CPH_SPAN_LIT("776656 INVITE"), &k), CPH_E_MALFORMED);

    assert_ok(cph_sip_content_type_parse(CPH_SPAN_LIT("text/html ; charset=\"a b\""), &t));
    assert_span(t.subtype, "html");
    assert_err(cph_sip_content_type_parse(CPH_SPAN_LIT("text"), &t), CPH_E_MALFORMED);
    assert_err(cph_sip_content_type_parse(CPH_SPAN_LIT("text/"), &t), CPH_E_MALFORMED);
    assert_err(cph_sip_content_type_parse(CPH_SPAN_LIT("text/a;b"), &t), CPH_E_MALFORMED);

    assert_ok(cph_sip_session_expires_parse(CPH_SPAN_LIT("4000;refresher=UAC"), &e));
    assert_int_equal(e.seconds, 4000);
    assert_int_equal(e.refresher, CPH_SIP_REFRESHER_UAC);
    assert_err(cph_sip_session_expires_parse(CPH_SPAN_LIT("4000;refresher=me"), &e),
               CPH_E_MALFORMED);
    assert_err(cph_sip_session_expires_parse(CPH_SPAN_LIT(";refresher=uac"), &e), CPH_E_MALFORMED);

    assert_ok(
        cph_sip_retry_after_parse(CPH_SPAN_LIT("18000 (in a (long) meeting);duration=3600"), &r));
    assert_span(r.comment, "in a (long) meeting");
    assert_span(r.params, ";duration=3600");
    assert_err(cph_sip_retry_after_parse(CPH_SPAN_LIT("1 (x"), &r), CPH_E_MALFORMED);

    assert_ok(cph_sip_reason_parse(CPH_SPAN_LIT("Q.850;cause=16;text=\"Terminated\""), &n));
    assert_int_equal(n.cause, 16);
    assert_span(n.text, "\"Terminated\"");
    assert_err(cph_sip_reason_parse(CPH_SPAN_LIT("SIP;cause=x"), &n), CPH_E_MALFORMED);

    assert_ok(cph_sip_number_parse(CPH_SPAN_LIT("0068"), &v));
    assert_int_equal(v, 68);
    assert_err(cph_sip_number_parse(CPH_SPAN_LIT("4294967296"), &v), CPH_E_MALFORMED);
    assert_err(cph_sip_number_parse(CPH_SPAN_LIT("+1"), &v), CPH_E_MALFORMED);
}

static void dates_are_gmt_and_real_days(void **state)
{
    static const struct {
        int64_t t;
        const char *text;
    } good[] = {
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 1289690940, "Sat, 13 Nov 2010 23:29:00 GMT" }, /* RFC 3261 20.17 */
        { 951782399, "Mon, 28 Feb 2000 23:59:59 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    static const char *const bad[] = {
        "Fri, 01 Jan 2010 16:00:00 EST", "Sat, 13 Nov 2010 23:29:00",
        "Sun, 13 Nov 2010 23:29:00 GMT", "Sat, 13 nov 2010 23:29:00 GMT",
        "Sat, 13 Nov 2010 24:29:00 GMT", "Sat, 13 Nov 2010 23:60:00 GMT",
        "Sat, 13 Nov 2010 23:29:60 GMT", "Sat, 3 Nov 2010 23:29:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT", "Sat, 00 Nov 2010 23:29:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT", "",
    };
    int64_t t;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(cph_sip_date_parse(cph_span_of(good[i].text), &t));
        assert_int_equal(t, good[i].t);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_sip_date_parse(cph_span_of(bad[i]), &t), CPH_E_MALFORMED);
}

static void parameters_are_found_without_case_and_counted(void **state)
{
    char text[2048] = "<sip:a@b>";
    struct cph_span v, params = CPH_SPAN_LIT(" ; a = 1 ;B;c=\"x\\\"y\"");
    struct cph_sip_addr a;
    uint8_t buf[8];
    size_t n;

    (void)state;
    assert_true(cph_sip_param(params, "A", &v));
    assert_span(v, "1");
    assert_true(cph_sip_param(params, "b", &v));
    assert_null(v.p);
    assert_true(cph_sip_param(params, "c", &v));
    assert_ok(cph_sip_unquote(v, buf, sizeof buf, &n));
    assert_span(((struct cph_span){ buf, n }), "x\"y");
    assert_err(cph_sip_unquote(v, buf, 2, &n), CPH_E_NOSPACE);
    assert_false(cph_sip_param(params, "d", &v));
    for (int i = 0; i <= CPH_SIP_PARAMS_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), ";p%d", i);
    assert_err(cph_sip_addr_parse(cph_span_of(text), &a), CPH_E_LIMIT);
    *strrchr(text, ';') = '\0';
    assert_ok(cph_sip_addr_parse(cph_span_of(text), &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_full_and_in_every_case),
        cmocka_unit_test(methods_keep_their_case),
        cmocka_unit_test(a_via_tells_all_its_parts),
        cmocka_unit_test(vias_that_are_wrong_are_refused),
        cmocka_unit_test(addresses_come_in_three_forms),
        cmocka_unit_test(addresses_that_are_wrong_are_refused),
        cmocka_unit_test(the_small_headers_are_parsed_and_their_errors_refused),
        cmocka_unit_test(dates_are_gmt_and_real_days),
        cmocka_unit_test(parameters_are_found_without_case_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

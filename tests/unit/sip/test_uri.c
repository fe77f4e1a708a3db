#include "msg_support.h"

static struct cph_sip_uri uri(const char *text)
{
    struct cph_sip_uri u;

    if (cph_sip_uri_parse(cph_span_of(text), &u) != CPH_OK)
        fail_msg("not a URI: %s", text);
    return u;
}

static void refused(const char *text, cph_err want)
{
    struct cph_sip_uri u;
    cph_err got = cph_sip_uri_parse(cph_span_of(text), &u);

    if (got != want)
        fail_msg("%s: %s instead of %s", text, cph_err_name(got), cph_err_name(want));
}

static void parts_of_a_sip_uri_are_found(void **state)
{
    struct cph_sip_uri u =
        uri("sips:alice:secret@[2001:db8::1]:5061;transport=tcp;lr?subject=x%20y&priority=urgent");
    struct cph_span v;

    (void)state;
    assert_int_equal(u.scheme, CPH_SIP_SCHEME_SIPS);
    assert_span(u.user, "alice");
    assert_true(u.has_password);
    assert_span(u.password, "secret");
    assert_span(u.host, "2001:db8::1");
    assert_true(u.host_is_v6);
    assert_int_equal(u.port, 5061);
    assert_span(u.params, ";transport=tcp;lr");
    assert_span(u.headers, "subject=x%20y&priority=urgent");
    assert_true(cph_sip_uri_param(&u, "TRANSPORT", &v));
    assert_span(v, "tcp");
    assert_true(cph_sip_uri_param(&u, "lr", &v));
    assert_null(v.p);
    assert_false(cph_sip_uri_param(&u, "trans", &v));
    u = uri("sip:atlanta.com.");
    assert_int_equal(u.user.n, 0);
    assert_int_equal(u.port, 0);
    u = uri("sip:a:@b");
    assert_true(u.has_password);
    assert_int_equal(u.password.n, 0);
}

/* RFC 3261 19.1.3 */
static void the_examples_of_the_rfc_are_uris(void **state)
{
    static const char *const good[] = {
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "tel:863-1234;phone-context=+1-914-555",
        "mailto:joe@example.org",
        "http://[2001:db8::1]/x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        (void)uri(good[i]);
}

static void what_the_grammar_forbids_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "sip",
        "sip:",
        ":x",
        "1ip:x",
        "sip:@b",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b c",
        " sip:a@b",
        "sip:a@b ",
        "<sip:a@b>",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a\"@b",
        "sip:a[b@c",
        "sip:a@b:",
        "sip:a@b:0",
        "sip:a@b:65536",
        "sip:a@b:50x",
        "sip:a@b;",
        "sip:a@b;=x",
        "sip:a@b;x=",
        "sip:a@b;;x",
        "sip:a@b;x=1;X=2",
        "sip:a@b;%6Cr;lr",
        "sip:a@b?",
        "sip:a@b?x",
        "sip:a@b?x=1&",
        "sip:a@b?=1",
        "sip:a@b?x=1&&y=2",
        "sip:a@b?x=1=2",
        "sip:a@-b",
        "sip:a@b-",
        "sip:a@b..c",
        "sip:a@.b",
        "sip:a@1.2.3",
        "sip:a@256.1.1.1",
        "sip:a@1.2.3.4.5",
        "sip:a@b_c",
        "sip:a@[::1",
        "sip:a@[::g]",
        "sip:a@::1",
        "sip:a@[1.2.3.4]",
        "tel:",
        "tel:+",
        "tel:+-",
        "tel:+12a",
        "tel:7042",
        "tel:+1;x=1;x=2",
        "http:a b",
        "http:\x01",
        "http:\xc3\xa4",
    };
    static char big[CPH_SIP_URI_MAX + 16], many[1024];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i], CPH_E_MALFORMED);
    memset(big, 'a', sizeof big - 1);
    memcpy(big, "sip:", 4);
    refused(big, CPH_E_LIMIT);
    strcpy(many, "sip:a");
    for (int i = 0; i <= CPH_SIP_PARAMS_MAX; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ";p%d", i);
    refused(many, CPH_E_LIMIT);
    *strrchr(many, ';') = '\0';
    (void)uri(many);
}

static void a_null_byte_ends_nothing(void **state)
{
    struct cph_sip_uri u;

    (void)state;
    assert_err(cph_sip_uri_parse(CPH_SPAN_LIT("sip:a\0@b"), &u), CPH_E_MALFORMED);
    assert_err(cph_sip_uri_parse(CPH_SPAN_LIT("sip:a@b\0.c"), &u), CPH_E_MALFORMED);
}

static void same(const char *a, const char *b, bool want)
{
    struct cph_sip_uri x = uri(a), y = uri(b);

    if (cph_sip_uri_eq(&x, &y) != want || cph_sip_uri_eq(&y, &x) != want)
        fail_msg("%s and %s should %s", a, b, want ? "be equal" : "differ");
}

static void comparison_follows_the_examples_of_the_rfc(void **state)
{
    (void)state;
    /* RFC 3261 19.1.4, equal */
    same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", true);
    same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true);
    same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true);
    same("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
         "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true);
    same("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
         "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true);
    /* not equal */
    same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false);
    same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false);
    same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false);
    same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false);
    same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false);
    same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false);
    same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false);
}

static void comparison_at_its_edges(void **state)
{
    (void)state;
    same("sip:a@b", "sips:a@b", false);
    same("sip:a%40b@c", "sip:a%40B@c", false);
    same("sip:a;b@c", "sip:a%3Bb@c", false); /* a reserved character is not its escape */
    same("sip:a%3bb@c", "sip:a%3Bb@c", true);
    same("sip:a@b;maddr=x", "sip:a@b", false);
    same("sip:a@b;ttl=1", "sip:a@b", false);
    same("sip:a@b;user=phone", "sip:a@b", false);
    same("sip:a@b;method=INVITE", "sip:a@b", false);
    same("sip:a:p@b", "sip:a@b", false);
    same("sip:a:@b", "sip:a@b", false);
    same("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]", true);
    same("sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false);
    same("sip:%00@b", "sip:%00%00@b", false);
    same("sip:a@b?x=1&y=2", "sip:a@b?x=1", false);
    same("sip:a@b?x=1&x=1", "sip:a@b?x=1&y=2", false);
    same("sip:a@b?x=1&x=2", "sip:a@b?x=2&x=1", true);
    same("tel:+1-201-555-0123", "TEL:+1(201)5550123", true);
    same("tel:+12015550123", "tel:12015550123;phone-context=+1", false);
    same("tel:7042;phone-context=example.com;ext=1", "tel:7042;ext=1;phone-context=EXAMPLE.com",
         true);
    same("tel:7042;phone-context=example.com", "tel:7042;phone-context=example.com;ext=1", false);
    same("http://a/b", "HTTP://a/b", true);
    same("http://a/b", "http://a/B", false);
}

static void what_is_written_is_what_was_read(void **state)
{
    static const char *const texts[] = {
        "sip:a:b@[::1]:5060;lr;x=y?h=1&i=",
        "sips:atlanta.com",
        "tel:7042;phone-context=example.com",
        "urn:service:sos",
    };
    char buf[256];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cph_wr wr = cph_wr_open(buf, sizeof buf);
        struct cph_sip_uri u = uri(texts[i]);

        cph_sip_uri_wr(&wr, &u, true);
        assert_span(cph_wr_done(&wr), texts[i]);
    }
}

static void escapes_are_made_and_undone(void **state)
{
    uint8_t raw[16];
    char buf[64];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    size_t n;

    (void)state;
    cph_sip_wr_escaped_user(&wr, CPH_SPAN_LIT("a@b:\0%;"));
    assert_span(cph_wr_done(&wr), "a%40b%3A%00%25;");
    assert_ok(cph_sip_unescape(cph_wr_done(&wr), raw, sizeof raw, &n));
    assert_int_equal(n, 7);
    assert_memory_equal(raw, "a@b:\0%;", 7);
    assert_err(cph_sip_unescape(CPH_SPAN_LIT("a%4"), raw, sizeof raw, &n), CPH_E_MALFORMED);
    assert_err(cph_sip_unescape(CPH_SPAN_LIT("abc"), raw, 2, &n), CPH_E_NOSPACE);
}

static cph_err check(void *arg, struct cph_span bytes)
{
    struct cph_sip_uri u;

    (void)arg;
    return cph_sip_uri_parse(bytes, &u);
}

static void a_damaged_uri_does_no_harm(void **state)
{
    (void)state;
    expect_fragile(CPH_SPAN_LIT("sip:al%69ce:s@[2001:db8::1]:5061;transport=tcp;lr?a=%20&b=c"), 0,
                   check, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_sip_uri_are_found),
        cmocka_unit_test(the_examples_of_the_rfc_are_uris),
        cmocka_unit_test(what_the_grammar_forbids_is_refused),
        cmocka_unit_test(a_null_byte_ends_nothing),
        cmocka_unit_test(comparison_follows_the_examples_of_the_rfc),
        cmocka_unit_test(comparison_at_its_edges),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(escapes_are_made_and_undone),
        cmocka_unit_test(a_damaged_uri_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

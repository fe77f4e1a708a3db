#include "support.h"

#include "ciphony/base_addr.h"

static void addresses_go_both_ways(void **state)
{
    static const char *const text[][2] = {
        { "1.2.3.4:5060", "1.2.3.4:5060" },     { "[::1]:5061", "[::1]:5061" },
        { "10.0.0.1", "10.0.0.1:0" },           { "::1", "[::1]:0" },
        { "[2001:db8::1]", "[2001:db8::1]:0" },
    };
    char out[CPH_ADDR_TEXT];
    struct cph_addr a, b;

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        assert_ok(cph_addr_parse(cph_span_of(text[i][0]), &a));
        assert_string_equal(cph_addr_text(&a, out), text[i][1]);
        assert_ok(cph_addr_parse(cph_span_of(out), &b));
        assert_true(cph_addr_eq(&a, &b));
    }
    assert_ok(cph_addr_parse(cph_span_of("0.0.0.0:9"), &a));
    assert_true(cph_addr_is_any(&a));
    assert_ok(cph_addr_parse(cph_span_of("0.0.0.1:9"), &b));
    assert_false(cph_addr_is_any(&b));
    assert_false(cph_addr_ip_eq(&a, &b));
}

static void a_network_of_ipv6_is_one_host(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pair[] = {
        { "1.2.3.4:1", "1.2.3.4:2", true },
        { "1.2.3.4", "1.2.3.5", false },
        { "[2001:db8::1]:1", "[2001:db8::ffff:1]:2", true },
        { "2001:db8:0:1::1", "2001:db8::1", false },
        { "1.2.3.4", "102:304::", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        struct cph_addr a, b;

        assert_ok(cph_addr_parse(cph_span_of(pair[i].a), &a));
        assert_ok(cph_addr_parse(cph_span_of(pair[i].b), &b));
        assert_int_equal(cph_addr_host_eq(&a, &b), pair[i].same);
        assert_int_equal(cph_addr_host_eq(&b, &a), pair[i].same);
    }
    assert_int_equal(cph_addr_host(&(struct cph_addr){ 0 }).n, 0);
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "",       "host",   "1.2.3:4",   "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:5x", "[::1",
        "[::1]x", "[::1]:", "1.2.3.4.5", ":::",      "[1.2.3.4:5]:6", "256.1.1.1"
    };
    struct cph_addr a;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_addr_parse(cph_span_of(bad[i]), &a), CPH_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_go_both_ways),
        cmocka_unit_test(a_network_of_ipv6_is_one_host),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

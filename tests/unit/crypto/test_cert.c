#include "support.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"

enum { DAY = 86400 };

static struct test_env t;
static struct cph_key *key;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 2);
    return cph_key_generate(&t.env, CPH_KEY_EC_P256, &key) == CPH_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cph_key_free(key);
    return 0;
}

static struct cph_cert_name name_of(enum cph_cert_name_kind kind, const char *text)
{
    return (struct cph_cert_name){ kind, cph_span_of(text) };
}

static struct cph_cert *make(const char *cn, const struct cph_cert_name *san, size_t n)
{
    struct cph_cert_spec spec = { cn, san, n, t.wall - DAY, t.wall + DAY };
    struct cph_cert *cert;

    assert_ok(cph_cert_self_signed(&t.env, key, &spec, &cert));
    return cert;
}

static void a_device_certificate_says_what_it_was_asked_to(void **state)
{
    const struct cph_cert_name san[] = {
        name_of(CPH_NAME_URI, "sip:alice@example.org"),
        name_of(CPH_NAME_DNS, "phone.example.org"),
        name_of(CPH_NAME_EMAIL, "alice@example.org"),
        { CPH_NAME_IP, { (const uint8_t *)"\x7f\0\0\1", 4 } },
    };
    struct cph_cert *cert = make("Alice's phone", san, 4), *again;
    struct cph_cert_name got;
    char text[CPH_CERT_TEXT], pem[4096];
    int64_t from, to;
    size_t n;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(cph_cert_name(cert, i, &got));
        assert_int_equal(got.kind, san[i].kind);
        assert_true(cph_span_eq(got.text, san[i].text));
    }
    assert_false(cph_cert_name(cert, 4, &got));
    assert_string_equal(cph_cert_subject(cert, text), "CN=Alice's phone");
    assert_string_equal(cph_cert_issuer(cert, text), "CN=Alice's phone");
    assert_true(cph_cert_is_self_issued(cert));
    assert_true(cph_cert_has_key(cert, key));
    assert_int_equal(cph_cert_signature_hash(cert), CPH_FP_SHA256);
    cph_cert_validity(cert, &from, &to);
    assert_int_equal(from, t.wall - DAY);
    assert_int_equal(to, t.wall + DAY);

    assert_err(cph_cert_pem(cert, pem, 100, &n), CPH_E_NOSPACE);
    assert_ok(cph_cert_pem(cert, pem, sizeof pem, &n));
    assert_ok(cph_cert_parse(&t.env, cph_span_of(pem), &again));
    assert_true(cph_cert_eq(cert, again));
    cph_cert_free(again);
    assert_ok(cph_cert_parse(&t.env, cph_cert_der(cert), &again));
    assert_true(cph_cert_eq(cert, again));
    cph_cert_free(again);
    cph_cert_free(cert);
}

static void a_certificate_that_cannot_be_is_not_made(void **state)
{
    const struct cph_cert_name blank = name_of(CPH_NAME_DNS, "a b");
    const struct cph_cert_name none = name_of(CPH_NAME_DNS, "");
    const struct cph_cert_name ip = name_of(CPH_NAME_IP, "12345");
    const struct cph_cert_spec bad[] = {
        { "x", NULL, 0, 10, 10 },
        { "", NULL, 0, 0, 10 },
        { "x", &blank, 1, 0, 10 },
        { "x", &none, 1, 0, 10 },
        { "x", &ip, 1, 0, 10 },
        { "0123456789012345678901234567890123456789012345678901234567890123456789", NULL, 0, 0,
          10 },
    };
    const struct cph_cert_spec good = { NULL, NULL, 0, 0, 10 };
    struct cph_cert *cert;
    struct cph_key *pub;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_cert_self_signed(&t.env, key, &bad[i], &cert), CPH_E_ARGUMENT);
    t.random_fails = 1;
    assert_err(cph_cert_self_signed(&t.env, key, &good, &cert), CPH_E_CRYPTO);
    assert_ok(cph_cert_self_signed(&t.env, key, &good, &cert));
    assert_ok(cph_cert_key(&t.env, cert, &pub));
    cph_cert_free(cert);
    assert_err(cph_cert_self_signed(&t.env, pub, &good, &cert), CPH_E_ARGUMENT);
    cph_key_free(pub);
}

static void the_validity_ends_to_the_second(void **state)
{
    struct cph_cert *cert = make("x", NULL, 0);

    (void)state;
    assert_err(cph_cert_in_time(cert, t.wall - DAY - 1), CPH_E_EXPIRED);
    assert_ok(cph_cert_in_time(cert, t.wall - DAY));
    assert_ok(cph_cert_in_time(cert, t.wall));
    assert_ok(cph_cert_in_time(cert, t.wall + DAY));
    assert_err(cph_cert_in_time(cert, t.wall + DAY + 1), CPH_E_EXPIRED);
    cph_cert_free(cert);
}

/* ---- fingerprints ---------------------------------------------------------------------------- */

static void fingerprints_go_both_ways(void **state)
{
    struct cph_cert *cert = make("x", NULL, 0);

    (void)state;
    for (int h = CPH_FP_SHA1; h <= CPH_FP_SHA512; h++) {
        struct cph_fingerprint a, b;
        char text[CPH_FP_TEXT], lower[CPH_FP_TEXT];

        assert_ok(cph_cert_fingerprint(cert, (enum cph_fp_hash)h, &a));
        assert_ok(cph_fingerprint_parse(cph_span_of(cph_fingerprint_text(&a, text)), &b));
        assert_true(cph_fingerprint_eq(&a, &b));
        for (size_t i = 0; i < sizeof text; i++)
            lower[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
        assert_ok(cph_fingerprint_parse(cph_span_of(lower), &b));
        assert_true(cph_fingerprint_eq(&a, &b));
        b.b[a.n - 1] ^= 1;
        assert_false(cph_fingerprint_eq(&a, &b));
        for (size_t n = 0; n < strlen(text); n++) {
            struct cph_span cut = { (const uint8_t *)text, n };

            assert_int_not_equal(cph_fingerprint_parse(cut, &b), CPH_OK);
        }
    }
    cph_cert_free(cert);
}

static void broken_fingerprints_are_refused(void **state)
{
    struct cph_fingerprint fp;

    (void)state;
    assert_err(cph_fingerprint_parse(cph_span_of("md5 00:11"), &fp), CPH_E_UNSUPPORTED);
    assert_err(cph_fingerprint_parse(cph_span_of(""), &fp), CPH_E_MALFORMED);
    assert_err(cph_fingerprint_parse(cph_span_of("sha-1"), &fp), CPH_E_MALFORMED);
    assert_err(cph_fingerprint_parse(cph_span_of("sha-1 00:11"), &fp), CPH_E_MALFORMED);
    assert_err(
        cph_fingerprint_parse(
            cph_span_of("sha-1 00-11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"), &fp),
        CPH_E_MALFORMED);
    assert_err(
        cph_fingerprint_parse(
            cph_span_of("sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FG:00:11:22:33"), &fp),
        CPH_E_MALFORMED);
    assert_err(
        cph_fingerprint_parse(
            cph_span_of("sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44"),
            &fp),
        CPH_E_MALFORMED);
    assert_err(
        cph_fingerprint_parse(
            cph_span_of("sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33 x"),
            &fp),
        CPH_E_MALFORMED);
    /* RFC 5763 7.1's own example has a blank before it, and capitals */
    assert_ok(cph_fingerprint_parse(
        cph_span_of(" SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"), &fp));
    assert_true(fp.hash == CPH_FP_SHA1 && fp.n == 20 && fp.b[0] == 0x4a && fp.b[19] == 0xab);
    assert_ok(cph_fingerprint_parse(
        cph_span_of("SHA-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33 "), &fp));
    assert_false(cph_fp_hash_suffices(fp.hash));
}

static void the_strongest_hash_decides_and_sha1_never_suffices(void **state)
{
    struct cph_cert *cert = make("x", NULL, 0), *other = make("x", NULL, 0);
    struct cph_fingerprint s1, s256, s512, o256, o512, set[3];
    enum cph_fp_hash hash = CPH_FP_NONE;

    (void)state;
    assert_ok(cph_cert_fingerprint(cert, CPH_FP_SHA1, &s1));
    assert_ok(cph_cert_fingerprint(cert, CPH_FP_SHA256, &s256));
    assert_ok(cph_cert_fingerprint(cert, CPH_FP_SHA512, &s512));
    assert_ok(cph_cert_fingerprint(other, CPH_FP_SHA256, &o256));
    assert_ok(cph_cert_fingerprint(other, CPH_FP_SHA512, &o512));

    assert_err(cph_cert_match(cert, set, 0, &hash), CPH_E_NOTFOUND);
    assert_err(cph_cert_match(cert, &s1, 1, &hash), CPH_E_POLICY);
    assert_err(cph_cert_match(cert, &o256, 1, &hash), CPH_E_CERT);
    assert_ok(cph_cert_match(cert, &s256, 1, &hash));
    assert_int_equal(hash, CPH_FP_SHA256);

    /* one of the strongest set must match: a weaker match does not help */
    set[0] = s256, set[1] = o512;
    assert_err(cph_cert_match(cert, set, 2, NULL), CPH_E_CERT);
    set[0] = o512, set[1] = s256, set[2] = s512;
    assert_ok(cph_cert_match(cert, set, 3, &hash));
    assert_int_equal(hash, CPH_FP_SHA512);
    set[0] = s1, set[1] = o256;
    assert_err(cph_cert_match(cert, set, 2, NULL), CPH_E_CERT);
    cph_cert_free(cert);
    cph_cert_free(other);
}

/* ---- RFC 5922 -------------------------------------------------------------------------------- */

static cph_err is(const struct cph_cert *cert, const char *domain)
{
    return cph_cert_is_domain(cert, cph_span_of(domain));
}

static void a_sip_uri_goes_before_dns_names(void **state)
{
    const struct cph_cert_name san[] = {
        name_of(CPH_NAME_DNS, "dns.example.org"),
        name_of(CPH_NAME_URI, "SIP:Example.ORG:5061;transport=tls"),
        name_of(CPH_NAME_URI, "sips:sips.example.org"),
        name_of(CPH_NAME_URI, "sip:user@user.example.org"),
        name_of(CPH_NAME_URI, "https://web.example.org"),
    };
    struct cph_cert *cert = make("cn.example.org", san, 5);
    struct cph_span domain;

    (void)state;
    assert_true(cph_cert_sip_domain(cert, 0, &domain));
    assert_true(cph_span_is(domain, "Example.ORG"));
    assert_false(cph_cert_sip_domain(cert, 1, &domain));
    assert_ok(is(cert, "example.org"));
    assert_ok(is(cert, "EXAMPLE.org."));
    assert_err(is(cert, "dns.example.org"), CPH_E_CERT);
    assert_err(is(cert, "sips.example.org"), CPH_E_CERT);
    assert_err(is(cert, "user.example.org"), CPH_E_CERT);
    assert_err(is(cert, "cn.example.org"), CPH_E_CERT);
    assert_err(is(cert, "foo.example.org"), CPH_E_CERT);
    assert_err(is(cert, "org"), CPH_E_CERT);
    assert_err(is(cert, ""), CPH_E_CERT);
    assert_ok(cph_cert_is_user(cert, cph_span_of("sip:user@USER.example.org")));
    assert_err(cph_cert_is_user(cert, cph_span_of("sip:User@user.example.org")), CPH_E_CERT);
    assert_err(cph_cert_is_user(cert, cph_span_of("sip:user@other.example.org")), CPH_E_CERT);
    cph_cert_free(cert);
}

static void dns_names_count_without_a_sip_uri_and_wildcards_never(void **state)
{
    const struct cph_cert_name san[] = {
        name_of(CPH_NAME_DNS, "*.example.org"),
        name_of(CPH_NAME_DNS, "sip.example.org"),
        name_of(CPH_NAME_URI, "sip:user@user.example.org"),
        { CPH_NAME_IP, { (const uint8_t *)"\x7f\0\0\1", 4 } },
        name_of(CPH_NAME_DNS, "10.0.0.1"),
    };
    struct cph_cert *cert = make("cn.example.org", san, 5);

    (void)state;
    assert_ok(is(cert, "sip.example.org"));
    assert_err(is(cert, "other.example.org"), CPH_E_CERT);
    assert_err(is(cert, "*.example.org"), CPH_E_CERT);
    assert_err(is(cert, "cn.example.org"), CPH_E_CERT);
    assert_ok(is(cert, "127.0.0.1"));
    assert_err(is(cert, "127.0.0.2"), CPH_E_CERT);
    assert_err(is(cert, "10.0.0.1"), CPH_E_CERT); /* a DNS entry is no address */
    cph_cert_free(cert);
}

static void the_common_name_counts_only_without_subject_alt_name(void **state)
{
    struct cph_cert *cert = make("cn.example.org", NULL, 0);
    struct cph_cert *words = make("Alice phone", NULL, 0);
    struct cph_span domain;

    (void)state;
    assert_ok(is(cert, "cn.example.org"));
    assert_err(is(cert, "example.org"), CPH_E_CERT);
    assert_false(cph_cert_sip_domain(words, 0, &domain));
    cph_cert_free(cert);
    cph_cert_free(words);
}

static void a_name_with_a_nul_in_it_is_no_name(void **state)
{
    const struct cph_cert_name san = name_of(CPH_NAME_DNS, "bank.example_evil.example");
    struct cph_cert *cert = make("x", &san, 1), *bad;
    struct cph_span der = cph_cert_der(cert), domain;
    uint8_t *copy = malloc(der.n);
    uint8_t *at;

    (void)state;
    assert_non_null(copy);
    memcpy(copy, der.p, der.n);
    at = memmem(copy, der.n, "_evil", 5);
    assert_non_null(at);
    *at = 0;
    assert_ok(cph_cert_parse(&t.env, (struct cph_span){ copy, der.n }, &bad));
    assert_false(cph_cert_sip_domain(bad, 0, &domain));
    assert_err(is(bad, "bank.example"), CPH_E_CERT);
    cph_cert_free(bad);
    cph_cert_free(cert);
    free(copy);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static cph_err parse(void *arg, struct cph_span bytes)
{
    struct cph_cert *cert = NULL;
    cph_err err = cph_cert_parse(NULL, bytes, &cert);
    char text[CPH_CERT_TEXT];

    (void)arg;
    if (err == CPH_OK) {
        (void)cph_cert_subject(cert, text);
        if (cph_cert_is_domain(cert, cph_span_of("example.org")) == CPH_OK)
            (void)cph_cert_der(cert);
    }
    cph_cert_free(cert);
    return err;
}

static void every_truncation_is_refused_and_no_flip_crashes(void **state)
{
    const struct cph_cert_name san = name_of(CPH_NAME_URI, "sip:example.org");
    struct cph_cert *cert = make("x", &san, 1);
    uint8_t more[2048];
    struct cph_span der = cph_cert_der(cert);

    (void)state;
    expect_fragile(der, FRAGILE_TRUNCATION, parse, NULL);
    assert_true(der.n < sizeof more);
    memcpy(more, der.p, der.n);
    more[der.n] = 0;
    assert_err(parse(NULL, (struct cph_span){ more, der.n + 1 }), CPH_E_MALFORMED);
    cph_cert_free(cert);
}

static void pem_that_holds_no_certificate_is_refused(void **state)
{
    (void)state;
    assert_err(parse(NULL, cph_span_of("")), CPH_E_MALFORMED);
    assert_err(parse(NULL, cph_span_of("hello")), CPH_E_MALFORMED);
    assert_err(parse(NULL, cph_span_of("-----BEGIN CERTIFICATE-----\n")), CPH_E_MALFORMED);
    assert_err(
        parse(NULL, cph_span_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        CPH_E_MALFORMED);
}

static cph_err make_and_parse(void *arg)
{
    const struct cph_cert_name san = name_of(CPH_NAME_URI, "sip:example.org");
    struct cph_cert_spec spec = { "x", &san, 1, 0, 10 };
    struct cph_cert *cert = NULL, *again = NULL;
    cph_err err = cph_cert_self_signed(&t.env, arg, &spec, &cert);

    if (err == CPH_OK)
        err = cph_cert_parse(&t.env, cph_cert_der(cert), &again);
    cph_cert_free(cert);
    cph_cert_free(again);
    return err;
}

static void certificates_survive_allocation_failure(void **state)
{
    (void)state;
    test_alloc_fails(make_and_parse, key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_certificate_says_what_it_was_asked_to),
        cmocka_unit_test(a_certificate_that_cannot_be_is_not_made),
        cmocka_unit_test(the_validity_ends_to_the_second),
        cmocka_unit_test(fingerprints_go_both_ways),
        cmocka_unit_test(broken_fingerprints_are_refused),
        cmocka_unit_test(the_strongest_hash_decides_and_sha1_never_suffices),
        cmocka_unit_test(a_sip_uri_goes_before_dns_names),
        cmocka_unit_test(dns_names_count_without_a_sip_uri_and_wildcards_never),
        cmocka_unit_test(the_common_name_counts_only_without_subject_alt_name),
        cmocka_unit_test(a_name_with_a_nul_in_it_is_no_name),
        cmocka_unit_test(every_truncation_is_refused_and_no_flip_crashes),
        cmocka_unit_test(pem_that_holds_no_certificate_is_refused),
        cmocka_unit_test(certificates_survive_allocation_failure),
    };

    return cmocka_run_group_tests_name("cert", tests, setup, teardown);
}

#include "support.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/identity_device.h"
#include "ciphony/store.h"

static struct test_env env;
static char home[64], path[128];
static struct cph_store *store;

static int set_up(void **state)
{
    (void)state;
    test_env_init(&env, 3);
    (void)snprintf(home, sizeof home, "/tmp/ciphony-device-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    (void)snprintf(path, sizeof path, "%s/s.db", home);
    return cph_store_open(path, &env.env, &store, NULL) == CPH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    cph_store_close(store);
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

/* ---- the own device -------------------------------------------------------------------------- */

static void the_device_is_made_once_and_stays_the_same(void **state)
{
    struct cph_device *a, *b;
    int64_t from, to;
    bool made;

    (void)state;
    assert_ok(cph_device_open(store, &env.env, &a, &made));
    assert_true(made);
    assert_int_equal(cph_key_kind(cph_device_key(a)), CPH_KEY_EC_P256);
    assert_true(cph_cert_has_key(cph_device_cert(a), cph_device_key(a)));
    assert_true(cph_cert_is_self_issued(cph_device_cert(a)));
    assert_int_equal(cph_device_fingerprint(a)->hash, CPH_FP_SHA256);
    cph_cert_validity(cph_device_cert(a), &from, &to);
    assert_true(from < env.wall && to > env.wall + 20LL * 365 * 86400);

    cph_store_close(store);
    assert_ok(cph_store_open(path, &env.env, &store, NULL));
    assert_ok(cph_device_open(store, &env.env, &b, &made));
    assert_false(made);
    assert_true(cph_fingerprint_eq(cph_device_fingerprint(a), cph_device_fingerprint(b)));
    assert_true(cph_key_eq(cph_device_key(a), cph_device_key(b)));
    cph_device_free(a);
    cph_device_free(b);
    cph_device_free(NULL);
}

static void a_key_that_is_not_the_certificates_is_refused(void **state)
{
    static struct cph_store_device one, other;
    struct cph_device *d;

    (void)state;
    assert_ok(cph_device_open(store, &env.env, &d, NULL));
    cph_device_free(d);
    assert_ok(cph_store_device_get(store, "main", &one));
    assert_ok(cph_store_device_remove(store, "main"));
    assert_ok(cph_device_open(store, &env.env, &d, NULL));
    cph_device_free(d);
    assert_ok(cph_store_device_get(store, "main", &other));
    other.key = one.key;
    assert_ok(cph_store_device_remove(store, "main"));
    assert_ok(cph_store_device_add(store, "main", &other));
    assert_err(cph_device_open(store, &env.env, &d, NULL), CPH_E_STORE);

    assert_ok(cph_store_device_remove(store, "main"));
    one.cert[20] ^= 1;
    one.cert_n -= 5;
    assert_ok(cph_store_device_add(store, "main", &one));
    assert_err(cph_device_open(store, &env.env, &d, NULL), CPH_E_STORE);
    cph_store_device_wipe(&one);
    cph_store_device_wipe(&other);
}

static void without_randomness_no_device_is_kept(void **state)
{
    static struct cph_store_device row;
    struct cph_device *d;

    (void)state;
    env.random_fails = 1;
    assert_err(cph_device_open(store, &env.env, &d, NULL), CPH_E_CRYPTO);
    assert_err(cph_store_device_get(store, "main", &row), CPH_E_NOTFOUND);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void a_peer_has_one_spelling(void **state)
{
    static const struct {
        const char *in, *want;
    } row[] = {
        { "sip:alice@example.org", "sip:alice@example.org" },
        { "  alice@Example.ORG ", "sip:alice@example.org" },
        { "SIPS:alice@example.org;transport=tcp?Subject=x", "sip:alice@example.org" },
        { "sip:alice:secret@example.org:5070;lr", "sip:alice@example.org:5070" },
        { "sip:%61lice%20b%2d@example.org.", "sip:alice%20b-@example.org" },
        { "sip:Alice@example.org", "sip:Alice@example.org" }, /* users are told apart by case */
        { "example.org", "sip:example.org" },
        { "sip:bob@[2001:DB8:0::1]:5061", "sip:bob@[2001:db8::1]:5061" },
        { "sip:bob@[::1]", "sip:bob@[::1]" },
        { "sip:+49-30;phone-context=x@example.org", "sip:+49-30;phone-context=x@example.org" },
    };
    static const char *const bad[] = {
        "",
        "sip:",
        "sip:@example.org",
        "sip:a@",
        "sip:a@b@c",
        "a b@c.d",
        "sip:a@ex ample",
        "sip:a@x:0",
        "sip:a@x:65536",
        "sip:a@x:",
        "sip:a@x:1x",
        "sip:%4@x",
        "sip:%zz@x",
        "sip:a@[::1",
        "sip:a@[::1]x",
        "sip:a@[1.2.3.4]",
        "sip:\x01@x",
        "sip:<a>@x",
        "sip:a@[::1]:",
        "sip::pw@x",
        "sip:a@x/y",
        "https://x",
        "sip:a@.;x",
        "sip:a@x..y",
    };
    char out[CPH_PEER_MAX], again[CPH_PEER_MAX], longest[400];

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_ok(cph_peer_name(cph_span_of(row[i].in), out));
        assert_string_equal(out, row[i].want);
        assert_ok(cph_peer_name(cph_span_of(out), again));
        assert_string_equal(again, out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cph_err err = cph_peer_name(cph_span_of(bad[i]), out);

        if (err != CPH_E_MALFORMED)
            fail_msg("\"%s\": %s", bad[i], cph_err_name(err));
    }
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "sip:", 4);
    assert_ok(cph_peer_name((struct cph_span){ (uint8_t *)longest, CPH_PEER_MAX - 1 }, out));
    assert_err(cph_peer_name((struct cph_span){ (uint8_t *)longest, CPH_PEER_MAX }, out),
               CPH_E_LIMIT);
}

/* ---- pins ------------------------------------------------------------------------------------ */

static const struct cph_span bob = CPH_SPAN_LIT("sip:bob@example.org");

static struct cph_cert *cert_new(void)
{
    struct cph_cert_spec spec = { .not_before = env.wall, .not_after = env.wall + 1000 };
    struct cph_cert *cert;
    struct cph_key *key;

    assert_ok(cph_key_generate(&env.env, CPH_KEY_EC_P256, &key));
    assert_ok(cph_cert_self_signed(&env.env, key, &spec, &cert));
    cph_key_free(key);
    return cert;
}

static struct cph_fingerprint fp_of(const struct cph_cert *cert, enum cph_fp_hash hash)
{
    struct cph_fingerprint fp;

    assert_ok(cph_cert_fingerprint(cert, hash, &fp));
    return fp;
}

static void pin(const struct cph_cert *cert, enum cph_fp_hash hash, enum cph_pin_how how)
{
    struct cph_fingerprint fp = fp_of(cert, hash);

    assert_ok(cph_pins_add(store, &env.env, bob, &fp, how, "a test"));
}

static void expect(const struct cph_cert *cert, enum cph_pin_result result, enum cph_pin_how how)
{
    struct cph_pin_check c = { .result = (enum cph_pin_result)99 };

    assert_ok(cph_pins_check(store, CPH_SPAN_LIT("sips:bob@EXAMPLE.org;lr"), cert, &c));
    assert_int_equal(c.result, result);
    assert_int_equal(c.how, how);
}

static void a_certificate_is_known_unknown_or_wrong(void **state)
{
    struct cph_cert *right = cert_new(), *wrong = cert_new(), *second = cert_new();

    (void)state;
    expect(right, CPH_PIN_UNKNOWN, CPH_PIN_SEEN);
    pin(right, CPH_FP_SHA256, CPH_PIN_SEEN);
    expect(right, CPH_PIN_MATCH, CPH_PIN_SEEN);
    expect(wrong, CPH_PIN_MISMATCH, CPH_PIN_SEEN);
    pin(right, CPH_FP_SHA512, CPH_PIN_PINNED); /* another hash of the same certificate */
    expect(right, CPH_PIN_MATCH, CPH_PIN_PINNED);
    expect(wrong, CPH_PIN_MISMATCH, CPH_PIN_PINNED);
    pin(second, CPH_FP_SHA384, CPH_PIN_PAIRED); /* a second device of the same person */
    expect(second, CPH_PIN_MATCH, CPH_PIN_PAIRED);
    expect(right, CPH_PIN_MATCH, CPH_PIN_PINNED);
    expect(wrong, CPH_PIN_MISMATCH, CPH_PIN_PAIRED);
    cph_cert_free(right);
    cph_cert_free(wrong);
    cph_cert_free(second);
}

static void what_is_pinned_for_one_peer_says_nothing_of_another(void **state)
{
    struct cph_cert *cert = cert_new();
    struct cph_pin_check c;

    (void)state;
    pin(cert, CPH_FP_SHA256, CPH_PIN_PINNED);
    assert_ok(cph_pins_check(store, CPH_SPAN_LIT("sip:eve@example.org"), cert, &c));
    assert_int_equal(c.result, CPH_PIN_UNKNOWN);
    assert_ok(cph_pins_check(store, CPH_SPAN_LIT("sip:bob@example.org:5070"), cert, &c));
    assert_int_equal(c.result, CPH_PIN_UNKNOWN);
    assert_err(cph_pins_check(store, (struct cph_span){ 0 }, cert, &c), CPH_E_MALFORMED);
    assert_err(cph_pins_check(store, CPH_SPAN_LIT("sip:a@b@c"), cert, &c), CPH_E_MALFORMED);
    cph_cert_free(cert);
}

static void a_fingerprint_alone_is_compared_with_its_own_hash(void **state)
{
    struct cph_cert *cert = cert_new();
    struct cph_fingerprint sha256 = fp_of(cert, CPH_FP_SHA256), sha384 = fp_of(cert, CPH_FP_SHA384);
    struct cph_pin_check c;

    (void)state;
    pin(cert, CPH_FP_SHA256, CPH_PIN_PINNED);
    assert_ok(cph_pins_check_fp(store, bob, &sha256, &c));
    assert_int_equal(c.result, CPH_PIN_MATCH);
    assert_ok(cph_pins_check_fp(store, bob, &sha384, &c));
    assert_int_equal(c.result, CPH_PIN_MISMATCH); /* cannot be compared: not taken for good */
    sha256.b[31] ^= 1;
    assert_ok(cph_pins_check_fp(store, bob, &sha256, &c));
    assert_int_equal(c.result, CPH_PIN_MISMATCH);
    cph_cert_free(cert);
}

static void a_weak_hash_is_not_kept(void **state)
{
    struct cph_cert *cert = cert_new();
    struct cph_fingerprint fp = fp_of(cert, CPH_FP_SHA1);

    (void)state;
    assert_err(cph_pins_add(store, &env.env, bob, &fp, CPH_PIN_PINNED, "x"), CPH_E_POLICY);
    fp.hash = CPH_FP_NONE;
    assert_err(cph_pins_add(store, &env.env, bob, &fp, CPH_PIN_PINNED, "x"), CPH_E_POLICY);
    fp = fp_of(cert, CPH_FP_SHA256);
    assert_err(cph_pins_add(store, &env.env, CPH_SPAN_LIT("@"), &fp, CPH_PIN_PINNED, "x"),
               CPH_E_MALFORMED);
    cph_cert_free(cert);
}

static cph_err count(void *arg, const struct cph_pin *p)
{
    size_t *n = arg;

    assert_int_equal(p->since, env.wall);
    assert_string_equal(p->by, "a test");
    (*n)++;
    return CPH_OK;
}

static void pins_are_listed_and_removed(void **state)
{
    struct cph_cert *a = cert_new(), *b = cert_new();
    struct cph_fingerprint fp = fp_of(a, CPH_FP_SHA256);
    size_t n = 0;

    (void)state;
    pin(a, CPH_FP_SHA256, CPH_PIN_PINNED);
    pin(b, CPH_FP_SHA256, CPH_PIN_PINNED);
    assert_ok(cph_pins_each(store, (struct cph_span){ 0 }, count, &n));
    assert_int_equal(n, 2);
    assert_ok(cph_pins_remove(store, bob, &fp, &n));
    assert_int_equal(n, 1);
    assert_err(cph_pins_remove(store, bob, &fp, NULL), CPH_E_NOTFOUND);
    n = 0;
    assert_ok(cph_pins_each(store, bob, count, &n));
    assert_int_equal(n, 1);
    assert_ok(cph_pins_remove(store, bob, NULL, &n));
    expect(b, CPH_PIN_UNKNOWN, CPH_PIN_SEEN);
    cph_cert_free(a);
    cph_cert_free(b);
}

static void an_entry_we_did_not_write_is_an_error_and_not_unknown(void **state)
{
    struct cph_store_pin row = { .peer = "sip:bob@example.org", .alg = "sha-1", .fp_n = 20 };
    struct cph_cert *cert = cert_new();
    struct cph_pin_check c;

    (void)state;
    assert_ok(cph_store_pin_put(store, &row));
    assert_err(cph_pins_check(store, bob, cert, &c), CPH_E_STORE);
    cph_cert_free(cert);
}

static cph_err scenario(void *arg)
{
    struct cph_pin_check c;
    struct cph_device *d;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_device_open(store, &env.env, &d, NULL));
    err = cph_pins_check(store, bob, cph_device_cert(d), &c);
    cph_device_free(d);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
}

#define DEVICE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEVICE_TEST(the_device_is_made_once_and_stays_the_same),
        DEVICE_TEST(a_key_that_is_not_the_certificates_is_refused),
        DEVICE_TEST(without_randomness_no_device_is_kept),
        cmocka_unit_test(a_peer_has_one_spelling),
        DEVICE_TEST(a_certificate_is_known_unknown_or_wrong),
        DEVICE_TEST(what_is_pinned_for_one_peer_says_nothing_of_another),
        DEVICE_TEST(a_fingerprint_alone_is_compared_with_its_own_hash),
        DEVICE_TEST(a_weak_hash_is_not_kept),
        DEVICE_TEST(pins_are_listed_and_removed),
        DEVICE_TEST(an_entry_we_did_not_write_is_an_error_and_not_unknown),
        DEVICE_TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

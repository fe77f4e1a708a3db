#include "support.h"

#include "ciphony/crypto_agree.h"

static enum cph_agree_group group_of(const char *name)
{
    static const char *const names[CPH_AGREE_COUNT_] = { "MODP_1024", "MODP_1536", "MODP_2048",
                                                         "MODP_3072", "MODP_4096", "P256",
                                                         "P384",      "P521",      "X25519",
                                                         "X448" };

    for (unsigned i = 0; i < CPH_AGREE_COUNT_; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum cph_agree_group)i;
    }
    fail_msg("no group %s", name);
    return CPH_AGREE_COUNT_;
}

static void one_side(enum cph_agree_group group, struct cph_span own, struct cph_span own_pub,
                     struct cph_span peer_pub, struct cph_span want)
{
    struct cph_secret x, z;
    uint8_t y[CPH_AGREE_PUBLIC_MAX];

    assert_int_equal(cph_agree_public_size(group), own_pub.n);
    assert_int_equal(cph_agree_secret_size(group), want.n);
    assert_ok(cph_secret_set(&x, own));
    assert_ok(cph_agree_public(group, &x, y));
    assert_memory_equal(y, own_pub.p, own_pub.n);
    assert_ok(cph_agree_derive(group, &x, peer_pub, &z));
    assert_int_equal(z.n, want.n);
    assert_memory_equal(z.b, want.p, want.n);
}

static void agreements_are_those_of_the_vectors(void **state)
{
    struct vectors *v = vectors_open("crypto/agree.txt");
    unsigned n = 0;

    (void)state;
    while (vectors_next(v)) {
        enum cph_agree_group g = group_of(vectors_text(v, "group"));
        struct cph_span a = vectors_hex(v, "a"), b = vectors_hex(v, "b"),
                        pa = vectors_hex(v, "pub_a"), pb = vectors_hex(v, "pub_b"),
                        z = vectors_hex(v, "secret");

        one_side(g, a, pa, pb, z);
        one_side(g, b, pb, pa, z);
        n++;
    }
    assert_int_equal(n, CPH_AGREE_COUNT_);
    vectors_close(v);
}

static void two_sides_agree_in_every_group(void **state)
{
    struct test_env env;

    (void)state;
    test_env_init(&env, 7);
    for (unsigned i = 0; i < CPH_AGREE_COUNT_; i++) {
        enum cph_agree_group g = (enum cph_agree_group)i;
        size_t n = cph_agree_public_size(g);
        struct cph_secret xa = { 0 }, xb = { 0 }, za = { 0 }, zb = { 0 };
        uint8_t a[CPH_AGREE_PUBLIC_MAX], b[CPH_AGREE_PUBLIC_MAX];

        assert_ok(cph_agree_make(&env.env, g, 0, &xa, a));
        assert_ok(cph_agree_make(&env.env, g, 64, &xb, b));
        assert_memory_not_equal(a, b, n);
        assert_ok(cph_agree_derive(g, &xa, (struct cph_span){ b, n }, &za));
        assert_ok(cph_agree_derive(g, &xb, (struct cph_span){ a, n }, &zb));
        assert_true(za.n == zb.n && za.n == cph_agree_secret_size(g));
        assert_memory_equal(za.b, zb.b, za.n);
    }
}

/* p - 1 ends in fe, p in ff; both begin with ff ff ff ff ff ff ff ff. */
static void values_outside_the_field_are_refused(void **state)
{
    static const enum cph_agree_group groups[] = { CPH_AGREE_MODP_1024, CPH_AGREE_MODP_1536,
                                                   CPH_AGREE_MODP_2048, CPH_AGREE_MODP_3072,
                                                   CPH_AGREE_MODP_4096 };
    struct vectors *v = vectors_open("crypto/modp.txt");
    struct test_env env;

    (void)state;
    test_env_init(&env, 8);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        uint8_t y[CPH_AGREE_PUBLIC_MAX] = { 0 };
        size_t n = cph_agree_public_size(groups[i]);
        struct cph_secret x, z = { 0 };
        struct cph_span p;

        assert_true(vectors_next(v));
        p = vectors_hex(v, "p");
        assert_int_equal(p.n, n);
        assert_ok(cph_agree_make(&env.env, groups[i], 0, &x, y));
        memset(y, 0, n);
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        y[n - 1] = 1;
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        y[n - 1] = 2;
        assert_ok(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z));
        memcpy(y, p.p, n);
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        y[n - 1] -= 1;
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        y[n - 1] -= 1;
        assert_ok(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z));
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n - 1 }, &z),
                   CPH_E_MALFORMED);
    }
    vectors_close(v);
}

static void points_off_the_curve_are_refused(void **state)
{
    static const enum cph_agree_group groups[] = { CPH_AGREE_P256, CPH_AGREE_P384, CPH_AGREE_P521 };
    struct test_env env;

    (void)state;
    test_env_init(&env, 9);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        uint8_t y[CPH_AGREE_PUBLIC_MAX];
        size_t n = cph_agree_public_size(groups[i]);
        struct cph_secret x, z;

        assert_ok(cph_agree_make(&env.env, groups[i], 0, &x, y));
        assert_ok(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z));
        y[n - 1] ^= 1;
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        memset(y, 0, n);
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        memset(y, 0xff, n); /* beyond the field */
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
    }
}

static void points_of_small_order_are_refused(void **state)
{
    static const enum cph_agree_group groups[] = { CPH_AGREE_X25519, CPH_AGREE_X448 };
    struct test_env env;

    (void)state;
    test_env_init(&env, 10);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        uint8_t y[CPH_AGREE_PUBLIC_MAX];
        size_t n = cph_agree_public_size(groups[i]);
        struct cph_secret x, z;

        assert_ok(cph_agree_make(&env.env, groups[i], 0, &x, y));
        memset(y, 0, n);
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
        y[0] = 1;
        assert_err(cph_agree_derive(groups[i], &x, (struct cph_span){ y, n }, &z), CPH_E_MALFORMED);
    }
}

static void wrong_arguments_are_refused(void **state)
{
    struct cph_secret x = { 0 }, z;
    uint8_t y[CPH_AGREE_PUBLIC_MAX];
    struct test_env env;

    (void)state;
    test_env_init(&env, 11);
    assert_err(cph_agree_make(&env.env, CPH_AGREE_COUNT_, 0, &x, y), CPH_E_ARGUMENT);
    assert_err(cph_agree_make(&env.env, CPH_AGREE_MODP_2048, 31, &x, y), CPH_E_ARGUMENT);
    assert_err(cph_agree_make(&env.env, CPH_AGREE_MODP_2048, 256, &x, y), CPH_E_ARGUMENT);
    assert_err(cph_agree_derive(CPH_AGREE_P256, &x, (struct cph_span){ y, 64 }, &z),
               CPH_E_ARGUMENT);
    assert_int_equal(cph_agree_public_size(CPH_AGREE_COUNT_), 0);
    env.random_fails = 1;
    assert_true(cph_agree_make(&env.env, CPH_AGREE_P256, 0, &x, y) != CPH_OK);
    assert_int_equal(x.n, 0);
}

static void cfb_is_that_of_the_standard(void **state)
{
    struct vectors *v = vectors_open("crypto/cfb.txt");

    (void)state;
    while (vectors_next(v)) {
        struct cph_span key = vectors_hex(v, "key"), iv = vectors_hex(v, "iv"),
                        clear = vectors_hex(v, "clear"), cipher = vectors_hex(v, "cipher");
        uint8_t got[64];

        for (size_t n = 0; n <= clear.n; n++) { /* the last block may be short */
            assert_ok(cph_aes_cfb(true, key, iv.p, clear.p, got, n));
            assert_memory_equal(got, cipher.p, n);
            assert_ok(cph_aes_cfb(false, key, iv.p, got, got, n));
            assert_memory_equal(got, clear.p, n);
        }
        key.n -= 1;
        assert_err(cph_aes_cfb(true, key, iv.p, clear.p, got, 16), CPH_E_ARGUMENT);
    }
    vectors_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreements_are_those_of_the_vectors),
        cmocka_unit_test(two_sides_agree_in_every_group),
        cmocka_unit_test(values_outside_the_field_are_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(points_of_small_order_are_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(cfb_is_that_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

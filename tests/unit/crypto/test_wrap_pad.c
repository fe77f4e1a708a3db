#include "support.h"

#include "ciphony/crypto_wrap.h"

static cph_err check(void *arg, struct cph_span bytes)
{
    const struct cph_span *key = arg;
    uint8_t text[128];
    size_t n;

    return cph_aes_unwrap_pad(*key, bytes, text, &n);
}

static void texts_of_any_length_are_wrapped_as_the_rfc_does(void **state)
{
    struct vectors *v = vectors_open("crypto/wrap_pad.txt");
    size_t seen = 0;

    (void)state;
    for (; vectors_next(v); seen++) {
        struct cph_span key = vectors_hex(v, "key"), text = vectors_hex(v, "text");
        struct cph_span wrapped = vectors_hex(v, "wrapped");
        uint8_t out[128];
        size_t n;

        assert_int_equal(cph_aes_wrap_pad_size(text.n), wrapped.n);
        assert_ok(cph_aes_wrap_pad(key, text, out));
        assert_memory_equal(out, wrapped.p, wrapped.n);
        assert_ok(cph_aes_unwrap_pad(key, wrapped, out, &n));
        assert_int_equal(n, text.n);
        assert_memory_equal(out, text.p, n);
        expect_fragile(wrapped, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check, &key);
    }
    assert_int_equal(seen, 16);
    vectors_close(v);
}

static void lengths_that_nothing_has_are_refused(void **state)
{
    uint8_t key[32] = { 1 }, text[64] = { 2 }, out[80];
    size_t n;

    (void)state;
    for (size_t i = 0; i <= 32; i++) {
        struct cph_span k = { key, i }, t = { text, 25 };
        bool good = i == 16 || i == 24 || i == 32;

        assert_int_equal(cph_aes_wrap_pad(k, t, out), good ? CPH_OK : CPH_E_ARGUMENT);
    }
    assert_int_equal(
        cph_aes_wrap_pad((struct cph_span){ key, 16 }, (struct cph_span){ text, 0 }, out),
        CPH_E_ARGUMENT);
    for (size_t i = 0; i <= 40; i++) {
        cph_err err = cph_aes_unwrap_pad((struct cph_span){ key, 16 }, (struct cph_span){ text, i },
                                         out, &n);

        assert_int_equal(err, i >= 16 && i % 8 == 0 ? CPH_E_AUTH : CPH_E_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_any_length_are_wrapped_as_the_rfc_does),
        cmocka_unit_test(lengths_that_nothing_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

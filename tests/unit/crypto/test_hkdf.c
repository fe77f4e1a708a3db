#include "support.h"

#include "ciphony/crypto_cipher.h"

static void the_vectors_of_rfc5869_come_out(void **state)
{
    struct vectors *v = vectors_open("crypto/hkdf.txt");
    size_t seen = 0;

    (void)state;
    for (; vectors_next(v); seen++) {
        enum cph_digest_alg alg = strcmp(vectors_text(v, "alg"), "SHA256") == 0 ? CPH_DIGEST_SHA256
                                                                                : CPH_DIGEST_SHA1;
        struct cph_span none = { 0 }, okm = vectors_hex(v, "okm");
        struct cph_span salt = vectors_text(v, "salt") ? vectors_hex(v, "salt") : none;
        struct cph_span info = vectors_text(v, "info") ? vectors_hex(v, "info") : none;
        uint8_t out[128];

        assert_ok(cph_hkdf(alg, vectors_hex(v, "ikm"), salt, info, out, okm.n));
        assert_memory_equal(out, okm.p, okm.n);
        /* a shorter one is its beginning */
        assert_ok(cph_hkdf(alg, vectors_hex(v, "ikm"), salt, info, out, 1));
        assert_int_equal(out[0], okm.p[0]);
    }
    assert_int_equal(seen, 7);
    vectors_close(v);
}

static void more_than_there_is_cannot_be_had(void **state)
{
    static uint8_t out[255 * 32 + 1];
    struct cph_span ikm = CPH_SPAN_LIT("k"), none = { 0 };

    (void)state;
    assert_ok(cph_hkdf(CPH_DIGEST_SHA256, ikm, none, none, out, 255 * 32));
    assert_err(cph_hkdf(CPH_DIGEST_SHA256, ikm, none, none, out, sizeof out), CPH_E_ARGUMENT);
    assert_err(cph_hkdf(CPH_DIGEST_COUNT_, ikm, none, none, out, 1), CPH_E_ARGUMENT);
    assert_ok(cph_hkdf(CPH_DIGEST_SHA256, ikm, none, none, out, 0));
}

static cph_err once(void *arg)
{
    uint8_t out[40];

    (void)arg;
    return cph_hkdf(CPH_DIGEST_SHA256, CPH_SPAN_LIT("key"), CPH_SPAN_LIT("salt"),
                    CPH_SPAN_LIT("info"), out, sizeof out);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc5869_come_out),
        cmocka_unit_test(more_than_there_is_cannot_be_had),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

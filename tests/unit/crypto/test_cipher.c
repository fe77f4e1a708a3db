#include "support.h"

#include "ciphony/crypto_cipher.h"

static enum cph_digest_alg alg_of(const char *name)
{
    static const char *const names[CPH_DIGEST_COUNT_] = { "MD5",    "SHA1",   "SHA256",
                                                          "SHA384", "SHA512", "SHA512-256" };

    for (unsigned i = 0; i < CPH_DIGEST_COUNT_; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum cph_digest_alg)i;
    }
    fail_msg("no digest %s", name);
    return CPH_DIGEST_COUNT_;
}

static void digests_are_those_of_the_standards(void **state)
{
    struct vectors *v = vectors_open("crypto/digest.txt");

    (void)state;
    while (vectors_next(v)) {
        enum cph_digest_alg alg = alg_of(vectors_text(v, "alg"));
        struct cph_span in = vectors_hex(v, "in"), want = vectors_hex(v, "out");
        uint8_t got[CPH_DIGEST_MAX];

        assert_int_equal(cph_digest_size(alg), want.n);
        assert_ok(cph_digest(alg, in, got));
        assert_memory_equal(got, want.p, want.n);
    }
    vectors_close(v);
}

static void a_digest_in_pieces_is_the_digest_of_the_whole_again_and_again(void **state)
{
    uint8_t text[300], whole[CPH_DIGEST_MAX], pieces[CPH_DIGEST_MAX];

    (void)state;
    memset(text, 'x', sizeof text);
    for (unsigned alg = 0; alg < CPH_DIGEST_COUNT_; alg++) {
        struct cph_digest_ctx *d;

        assert_ok(cph_digest(alg, (struct cph_span){ text, sizeof text }, whole));
        assert_ok(cph_digest_new(alg, &d));
        for (size_t cut = 0; cut <= sizeof text; cut += 60) {
            assert_ok(cph_digest_add(d, (struct cph_span){ text, cut }));
            assert_ok(cph_digest_add(d, (struct cph_span){ text + cut, sizeof text - cut }));
            assert_ok(cph_digest_finish(d, pieces));
            assert_memory_equal(pieces, whole, cph_digest_size(alg));
        }
        cph_digest_free(d);
    }
}

static void hmacs_are_those_of_the_standards(void **state)
{
    struct vectors *v = vectors_open("crypto/hmac.txt");

    (void)state;
    while (vectors_next(v)) {
        enum cph_digest_alg alg = alg_of(vectors_text(v, "alg"));
        struct cph_span key = vectors_hex(v, "key"), in = vectors_hex(v, "in");
        struct cph_span want = vectors_hex(v, "out");
        uint8_t got[CPH_DIGEST_MAX];

        assert_ok(cph_hmac(alg, key, in, got));
        assert_memory_equal(got, want.p, want.n);
    }
    vectors_close(v);
}

static void a_keyed_hmac_serves_many_messages_and_takes_another_key(void **state)
{
    struct cph_span one = CPH_SPAN_LIT("key one"), two = CPH_SPAN_LIT("key two");
    struct cph_span text = CPH_SPAN_LIT("a text of several bytes");
    uint8_t want[CPH_DIGEST_MAX], got[CPH_DIGEST_MAX];
    struct cph_hmac_ctx *h;

    (void)state;
    assert_ok(cph_hmac_new(CPH_DIGEST_SHA1, one, &h));
    assert_ok(cph_hmac(CPH_DIGEST_SHA1, one, text, want));
    for (size_t cut = 0; cut < text.n; cut++) {
        assert_ok(cph_hmac_add(h, (struct cph_span){ text.p, cut }));
        assert_ok(cph_hmac_add(h, (struct cph_span){ text.p + cut, text.n - cut }));
        assert_ok(cph_hmac_finish(h, got));
        assert_memory_equal(got, want, 20);
    }
    assert_ok(cph_hmac_add(h, text)); /* a message is under way: forgotten */
    assert_ok(cph_hmac_key(h, two));
    assert_ok(cph_hmac_add(h, text));
    assert_ok(cph_hmac_finish(h, got));
    assert_ok(cph_hmac(CPH_DIGEST_SHA1, two, text, want));
    assert_memory_equal(got, want, 20);
    cph_hmac_free(h);
}

static void run_gcm(struct vectors *v, struct cph_span key, struct cph_span in,
                    struct cph_span want)
{
    struct cph_span iv = vectors_hex(v, "iv"), aad = vectors_hex(v, "aad"),
                    tag = vectors_hex(v, "tag");
    struct cph_aes *enc, *dec;
    uint8_t buf[256], got[CPH_GCM_TAG], bad[CPH_GCM_TAG];

    assert_ok(cph_aes_new(CPH_AES_GCM_ENC, key, &enc));
    assert_ok(cph_aes_new(CPH_AES_GCM_DEC, key, &dec));
    assert_ok(cph_aes_gcm_seal(enc, iv.p, aad, in.p, buf, in.n, got));
    assert_memory_equal(buf, want.p, want.n);
    assert_memory_equal(got, tag.p, tag.n);
    for (size_t bit = 0; bit < sizeof bad * 8; bit++) {
        memcpy(bad, tag.p, sizeof bad);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_err(cph_aes_gcm_open(dec, iv.p, aad, buf, buf, in.n, bad), CPH_E_AUTH);
        assert_memory_equal(buf, want.p, want.n); /* nothing decrypted is left */
    }
    assert_ok(cph_aes_gcm_open(dec, iv.p, aad, buf, buf, in.n, tag.p));
    assert_memory_equal(buf, in.p, in.n);
    assert_err(cph_aes_gcm_open(enc, iv.p, aad, buf, buf, in.n, tag.p), CPH_E_ARGUMENT);
    cph_aes_free(enc);
    cph_aes_free(dec);
}

static void aes_is_that_of_the_standards(void **state)
{
    struct vectors *v = vectors_open("crypto/aes.txt");

    (void)state;
    while (vectors_next(v)) {
        const char *mode = vectors_text(v, "mode");
        struct cph_span key = vectors_hex(v, "key"), in = vectors_hex(v, "in");
        struct cph_span want = vectors_hex(v, "out");
        uint8_t buf[256];
        struct cph_aes *a;

        if (strcmp(mode, "GCM") == 0) {
            run_gcm(v, key, in, want);
            continue;
        }
        assert_string_equal(mode, "CTR");
        assert_ok(cph_aes_new(CPH_AES_CTR, key, &a));
        for (int again = 0; again < 2; again++) {
            assert_ok(cph_aes_ctr(a, vectors_hex(v, "iv").p, in.p, buf, in.n));
            assert_memory_equal(buf, want.p, want.n);
            assert_ok(cph_aes_key(a, key));
        }
        assert_err(cph_aes_key(a, (struct cph_span){ key.p, key.n - 1 }), CPH_E_ARGUMENT);
        cph_aes_free(a);
    }
    vectors_close(v);
}

static void wrong_lengths_and_modes_are_refused(void **state)
{
    uint8_t key[33] = { 0 }, buf[32] = { 0 };
    struct cph_digest_ctx *d;
    struct cph_aes *a;

    (void)state;
    for (size_t n = 0; n <= sizeof key; n++) {
        cph_err want = n == 16 || n == 24 || n == 32 ? CPH_OK : CPH_E_ARGUMENT;

        a = NULL;
        assert_err(cph_aes_new(CPH_AES_CTR, (struct cph_span){ key, n }, &a), want);
        cph_aes_free(a);
    }
    assert_ok(cph_aes_new(CPH_AES_GCM_ENC, (struct cph_span){ key, 16 }, &a));
    assert_err(cph_aes_ctr(a, buf, buf, buf, 16), CPH_E_ARGUMENT);
    cph_aes_free(a);
    assert_err(cph_digest_new(CPH_DIGEST_COUNT_, &d), CPH_E_ARGUMENT);
    assert_int_equal(cph_digest_size(CPH_DIGEST_COUNT_), 0);
}

static cph_err make_all(void *arg)
{
    struct cph_span key = CPH_SPAN_LIT("0123456789abcdef");
    struct cph_hmac_ctx *h = NULL;
    struct cph_aes *a = NULL;
    cph_err err;

    (void)arg;
    err = cph_hmac_new(CPH_DIGEST_SHA1, key, &h);
    if (err == CPH_OK)
        err = cph_aes_new(CPH_AES_GCM_DEC, key, &a);
    cph_hmac_free(h);
    cph_aes_free(a);
    return err;
}

static void no_memory_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    test_alloc_fails(make_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standards),
        cmocka_unit_test(a_digest_in_pieces_is_the_digest_of_the_whole_again_and_again),
        cmocka_unit_test(hmacs_are_those_of_the_standards),
        cmocka_unit_test(a_keyed_hmac_serves_many_messages_and_takes_another_key),
        cmocka_unit_test(aes_is_that_of_the_standards),
        cmocka_unit_test(wrong_lengths_and_modes_are_refused),
        cmocka_unit_test(no_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

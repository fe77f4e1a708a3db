/* RSA encryption, AES key wrap, signatures over SHA-1. */
#include "support.h"

#include "ciphony/crypto_envelope.h"

static struct test_env t;
static struct cph_key *rsa, *ec;

static int open_keys(void **state)
{
    (void)state;
    test_env_init(&t, 7);
    assert_ok(cph_key_generate(&t.env, CPH_KEY_RSA, &rsa));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &ec));
    return 0;
}

static int close_keys(void **state)
{
    (void)state;
    cph_key_free(rsa);
    cph_key_free(ec);
    return 0;
}

static void wrapped_keys_are_those_of_rfc_3394(void **state)
{
    struct vectors *v = vectors_open("crypto/wrap.txt");
    unsigned n = 0;

    (void)state;
    while (vectors_next(v)) {
        struct cph_span kek = vectors_hex(v, "kek"), clear = vectors_hex(v, "key");
        struct cph_span want = vectors_hex(v, "wrapped");
        uint8_t out[64], back[64], bad[64];

        assert_ok(cph_aes_wrap(kek, NULL, clear, out));
        assert_memory_equal(out, want.p, want.n);
        assert_ok(cph_aes_unwrap(kek, NULL, want, back));
        assert_memory_equal(back, clear.p, clear.n);
        memcpy(bad, want.p, want.n);
        bad[n % want.n] ^= 1;
        assert_err(cph_aes_unwrap(kek, NULL, (struct cph_span){ bad, want.n }, back), CPH_E_AUTH);
        n++;
    }
    assert_int_equal(n, 6);
    vectors_close(v);
}

static void another_initial_value_makes_another_wrapping(void **state)
{
    static const uint8_t key[16] = "key of keys ....", iv[8] = "salt....", other[8] = "salt...!";
    static const uint8_t clear[24] = "a key that is to be kept";
    uint8_t out[32], back[24];
    struct cph_span k = { key, 16 };

    (void)state;
    assert_ok(cph_aes_wrap(k, iv, (struct cph_span){ clear, 24 }, out));
    assert_ok(cph_aes_unwrap(k, iv, (struct cph_span){ out, 32 }, back));
    assert_memory_equal(back, clear, 24);
    assert_err(cph_aes_unwrap(k, other, (struct cph_span){ out, 32 }, back), CPH_E_AUTH);
    assert_err(cph_aes_unwrap(k, NULL, (struct cph_span){ out, 32 }, back), CPH_E_AUTH);
    assert_err(cph_aes_wrap(k, iv, (struct cph_span){ clear, 20 }, out), CPH_E_ARGUMENT);
    assert_err(cph_aes_wrap(k, iv, (struct cph_span){ clear, 8 }, out), CPH_E_ARGUMENT);
    assert_err(cph_aes_unwrap(k, iv, (struct cph_span){ out, 16 }, back), CPH_E_ARGUMENT);
}

static void what_rsa_encrypts_the_private_key_decrypts(void **state)
{
    struct cph_secret in = { .n = 32, .b = "thirty-two bytes of envelope key" }, out;
    uint8_t box[CPH_RSA_MAX];
    size_t n;

    (void)state;
    for (int pad = CPH_RSA_PKCS1; pad <= CPH_RSA_OAEP; pad++) {
        assert_ok(
            cph_rsa_encrypt(&t.env, rsa, (enum cph_rsa_padding)pad, &in, box, sizeof box, &n));
        assert_int_equal(n, 384);
        assert_ok(cph_rsa_decrypt(&t.env, rsa, (enum cph_rsa_padding)pad,
                                  (struct cph_span){ box, n }, 16, &out));
        assert_int_equal(out.n, 32);
        assert_memory_equal(out.b, in.b, 32);
    }
    assert_err(cph_rsa_encrypt(&t.env, ec, CPH_RSA_PKCS1, &in, box, sizeof box, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_rsa_encrypt(&t.env, rsa, CPH_RSA_PKCS1, &in, box, 383, &n), CPH_E_NOSPACE);
    assert_err(cph_rsa_decrypt(&t.env, ec, CPH_RSA_PKCS1, (struct cph_span){ box, n }, 16, &out),
               CPH_E_ARGUMENT);
}

static void a_broken_ciphertext_gives_a_random_secret(void **state)
{
    struct cph_secret in = { .n = 32, .b = "thirty-two bytes of envelope key" }, a, b;
    struct cph_secret small = { .n = 15, .b = "fifteen bytes.." };
    uint8_t box[CPH_RSA_MAX];
    size_t n;

    (void)state;
    assert_ok(cph_rsa_encrypt(&t.env, rsa, CPH_RSA_PKCS1, &in, box, sizeof box, &n));
    box[100] ^= 1;
    assert_ok(cph_rsa_decrypt(&t.env, rsa, CPH_RSA_OAEP, (struct cph_span){ box, n }, 16, &a));
    assert_ok(cph_rsa_decrypt(&t.env, rsa, CPH_RSA_OAEP, (struct cph_span){ box, n }, 16, &b));
    assert_true(a.n == 16 && b.n == 16);
    assert_memory_not_equal(a.b, b.b, 16);
    assert_ok(cph_rsa_decrypt(&t.env, rsa, CPH_RSA_PKCS1, (struct cph_span){ box, 7 }, 16, &a));
    assert_int_equal(a.n, 16);
    /* one that is too short is as good as none */
    assert_ok(cph_rsa_encrypt(&t.env, rsa, CPH_RSA_PKCS1, &small, box, sizeof box, &n));
    assert_ok(cph_rsa_decrypt(&t.env, rsa, CPH_RSA_PKCS1, (struct cph_span){ box, n }, 16, &a));
    assert_true(a.n == 16 && memcmp(a.b, small.b, 15) != 0);
    t.random_fails = 1;
    assert_int_not_equal(
        cph_rsa_decrypt(&t.env, rsa, CPH_RSA_PKCS1, (struct cph_span){ box, n }, 16, &a), CPH_OK);
}

static void signatures_over_sha1_are_of_their_own(void **state)
{
    struct cph_span msg = CPH_SPAN_LIT("old"), other = CPH_SPAN_LIT("cold");
    uint8_t sig[CPH_KEY_SIG_MAX];
    size_t n;

    (void)state;
    for (int s = CPH_SIG_RSA_PKCS1; s <= CPH_SIG_RSA_PSS; s++) {
        enum cph_sig alg = (enum cph_sig)s;

        assert_ok(cph_key_sign_sha1(&t.env, rsa, alg, msg, sig, sizeof sig, &n));
        assert_ok(cph_key_verify_sha1(&t.env, rsa, alg, msg, (struct cph_span){ sig, n }));
        assert_err(cph_key_verify(&t.env, rsa, alg, msg, (struct cph_span){ sig, n }), CPH_E_AUTH);
        assert_err(cph_key_verify_sha1(&t.env, rsa, alg, other, (struct cph_span){ sig, n }),
                   CPH_E_AUTH);
        assert_ok(cph_key_sign(&t.env, rsa, alg, msg, sig, sizeof sig, &n));
        assert_err(cph_key_verify_sha1(&t.env, rsa, alg, msg, (struct cph_span){ sig, n }),
                   CPH_E_AUTH);
    }
    assert_err(cph_key_sign_sha1(&t.env, ec, CPH_SIG_ECDSA, msg, sig, sizeof sig, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_key_verify_sha1(&t.env, ec, CPH_SIG_ECDSA, msg, msg), CPH_E_ARGUMENT);
}

static void the_size_of_a_signature_is_known_beforehand(void **state)
{
    struct cph_span msg = CPH_SPAN_LIT("m");
    uint8_t sig[CPH_KEY_SIG_MAX];
    size_t n;

    (void)state;
    assert_ok(cph_key_sign(&t.env, rsa, CPH_SIG_RSA_PKCS1, msg, sig, sizeof sig, &n));
    assert_int_equal(n, cph_key_sig_size(rsa, CPH_SIG_RSA_PKCS1));
    assert_ok(cph_key_sign(&t.env, ec, CPH_SIG_ECDSA_RAW, msg, sig, sizeof sig, &n));
    assert_int_equal(n, cph_key_sig_size(ec, CPH_SIG_ECDSA_RAW));
    assert_ok(cph_key_sign(&t.env, ec, CPH_SIG_ECDSA, msg, sig, sizeof sig, &n));
    assert_true(n <= cph_key_sig_size(ec, CPH_SIG_ECDSA));
    assert_int_equal(cph_key_sig_size(ec, CPH_SIG_RSA_PSS), 0);
    assert_int_equal(cph_key_sig_size(rsa, CPH_SIG_ECDSA_RAW), 0);
    assert_int_equal(cph_key_sig_size(rsa, CPH_SIG_ED25519), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapped_keys_are_those_of_rfc_3394),
        cmocka_unit_test(another_initial_value_makes_another_wrapping),
        cmocka_unit_test(what_rsa_encrypts_the_private_key_decrypts),
        cmocka_unit_test(a_broken_ciphertext_gives_a_random_secret),
        cmocka_unit_test(the_size_of_a_signature_is_known_beforehand),
        cmocka_unit_test(signatures_over_sha1_are_of_their_own),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

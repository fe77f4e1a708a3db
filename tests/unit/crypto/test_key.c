#include "support.h"

#include "ciphony/crypto_key.h"

static struct test_env t;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 1);
    return 0;
}

static void a_key_goes_into_the_store_and_back(void **state)
{
    static const enum cph_key_kind kinds[] = { CPH_KEY_EC_P256, CPH_KEY_EC_P384, CPH_KEY_ED25519 };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CPH_SECRET_SCOPED der = { 0 };
        CPH_SECRET_SCOPED pem = { 0 };
        struct cph_key *key, *a, *b, *other;

        assert_ok(cph_key_generate(&t.env, kinds[i], &key));
        assert_ok(cph_key_generate(&t.env, kinds[i], &other));
        assert_ok(cph_key_private_der(&t.env, key, &der));
        assert_ok(cph_key_private_pem(&t.env, key, &pem));
        assert_ok(cph_key_load(&t.env, cph_secret_span(&der), &a));
        assert_ok(cph_key_load(&t.env, cph_secret_span(&pem), &b));
        assert_int_equal(cph_key_kind(a), kinds[i]);
        assert_true(cph_key_is_private(a));
        assert_true(cph_key_eq(key, a));
        assert_true(cph_key_eq(key, b));
        assert_false(cph_key_eq(key, other));
        cph_key_free(key);
        cph_key_free(a);
        cph_key_free(b);
        cph_key_free(other);
    }
}

static void the_public_half_cannot_sign(void **state)
{
    uint8_t der[CPH_KEY_PUBLIC_MAX], sig[CPH_KEY_SIG_MAX];
    struct cph_key *key, *pub;
    struct cph_secret secret;
    size_t n, sig_n;

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key));
    assert_err(cph_key_public_der(key, der, 10, &n), CPH_E_NOSPACE);
    assert_ok(cph_key_public_der(key, der, sizeof der, &n));
    assert_ok(cph_key_load_public(&t.env, (struct cph_span){ der, n }, &pub));
    assert_true(cph_key_eq(key, pub));
    assert_false(cph_key_is_private(pub));
    assert_err(cph_key_sign(&t.env, pub, CPH_SIG_ECDSA, cph_span_of("m"), sig, sizeof sig, &sig_n),
               CPH_E_ARGUMENT);
    assert_err(cph_key_private_der(&t.env, pub, &secret), CPH_E_ARGUMENT);
    cph_key_free(key);
    cph_key_free(pub);
}

static void signatures_verify_and_wrong_ones_do_not(void **state)
{
    static const struct {
        enum cph_key_kind kind;
        enum cph_sig sig;
    } all[] = {
        { CPH_KEY_EC_P256, CPH_SIG_ECDSA },   { CPH_KEY_EC_P256, CPH_SIG_ECDSA_RAW },
        { CPH_KEY_EC_P384, CPH_SIG_ECDSA },   { CPH_KEY_EC_P384, CPH_SIG_ECDSA_RAW },
        { CPH_KEY_ED25519, CPH_SIG_ED25519 },
    };
    struct cph_span msg = CPH_SPAN_LIT("INVITE sip:bob@example.org SIP/2.0");

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t sig[CPH_KEY_SIG_MAX];
        struct cph_key *key, *other;
        size_t n;

        assert_ok(cph_key_generate(&t.env, all[i].kind, &key));
        assert_ok(cph_key_generate(&t.env, all[i].kind, &other));
        assert_err(cph_key_sign(&t.env, key, all[i].sig, msg, sig, 8, &n), CPH_E_NOSPACE);
        assert_ok(cph_key_sign(&t.env, key, all[i].sig, msg, sig, sizeof sig, &n));
        assert_ok(cph_key_verify(&t.env, key, all[i].sig, msg, (struct cph_span){ sig, n }));
        assert_err(cph_key_verify(&t.env, other, all[i].sig, msg, (struct cph_span){ sig, n }),
                   CPH_E_AUTH);
        assert_err(
            cph_key_verify(&t.env, key, all[i].sig, cph_span_of("x"), (struct cph_span){ sig, n }),
            CPH_E_AUTH);
        assert_err(cph_key_verify(&t.env, key, all[i].sig, msg, (struct cph_span){ NULL, 0 }),
                   CPH_E_AUTH);
        assert_err(cph_key_verify(&t.env, key, CPH_SIG_RSA_PSS, msg, (struct cph_span){ sig, n }),
                   CPH_E_ARGUMENT);
        cph_key_free(key);
        cph_key_free(other);
    }
}

struct signed_msg {
    struct cph_key *key;
    enum cph_sig sig;
    struct cph_span msg;
};

static cph_err check_signature(void *arg, struct cph_span bytes)
{
    struct signed_msg *m = arg;

    return cph_key_verify(&t.env, m->key, m->sig, m->msg, bytes);
}

static void every_flip_and_truncation_of_a_signature_is_refused(void **state)
{
    struct signed_msg m = { .sig = CPH_SIG_ECDSA_RAW, .msg = CPH_SPAN_LIT("m") };
    uint8_t sig[CPH_KEY_SIG_MAX];
    size_t n;

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &m.key));
    assert_ok(cph_key_sign(&t.env, m.key, m.sig, m.msg, sig, sizeof sig, &n));
    assert_int_equal(n, 64);
    expect_fragile((struct cph_span){ sig, n }, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP,
                   check_signature, &m);
    m.sig = CPH_SIG_ECDSA;
    assert_ok(cph_key_sign(&t.env, m.key, m.sig, m.msg, sig, sizeof sig, &n));
    expect_fragile((struct cph_span){ sig, n }, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP,
                   check_signature, &m);
    cph_key_free(m.key);
}

/* RFC 7515 A.3.1: the key as SEC 1 (RFC 5915), and the signature over the JWS signing input. */
static void the_signature_of_rfc_7515_verifies(void **state)
{
    struct vectors *v = vectors_open("crypto/rfc7515_es256.txt");
    struct cph_key *key;
    struct cph_span sig;
    uint8_t bad[64];

    (void)state;
    assert_true(vectors_next(v));
    assert_ok(cph_key_load_public(&t.env, vectors_hex(v, "public"), &key));
    sig = vectors_hex(v, "signature");
    assert_ok(
        cph_key_verify(&t.env, key, CPH_SIG_ECDSA_RAW, cph_span_of(vectors_text(v, "input")), sig));
    assert_int_equal(sig.n, sizeof bad);
    memcpy(bad, sig.p, sizeof bad);
    bad[63] ^= 1;
    assert_err(cph_key_verify(&t.env, key, CPH_SIG_ECDSA_RAW, cph_span_of(vectors_text(v, "input")),
                              (struct cph_span){ bad, sizeof bad }),
               CPH_E_AUTH);
    cph_key_free(key);
    vectors_close(v);
}

static void rsa_keys_sign_but_do_not_fit_the_store(void **state)
{
    static const enum cph_sig sigs[] = { CPH_SIG_RSA_PKCS1, CPH_SIG_RSA_PSS };
    uint8_t sig[CPH_KEY_SIG_MAX];
    struct cph_secret secret;
    struct cph_key *key;
    size_t n;

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_RSA, &key));
    for (size_t i = 0; i < 2; i++) {
        struct cph_span s = { sig, 0 };

        assert_ok(cph_key_sign(&t.env, key, sigs[i], cph_span_of("m"), sig, sizeof sig, &n));
        s.n = n;
        assert_ok(cph_key_verify(&t.env, key, sigs[i], cph_span_of("m"), s));
        assert_err(cph_key_verify(&t.env, key, sigs[1 - i], cph_span_of("m"), s), CPH_E_AUTH);
    }
    assert_err(cph_key_private_der(&t.env, key, &secret), CPH_E_NOSPACE);
    cph_key_free(key);
}

static void nonsense_is_no_key(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "0",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        /* encrypted: must not ask for a password */
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
        "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEQAAA\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    CPH_SECRET_SCOPED der = { 0 };
    struct cph_key *key;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_err(cph_key_load(&t.env, cph_span_of(bad[i]), &key), CPH_E_MALFORMED);
        assert_err(cph_key_load_public(NULL, cph_span_of(bad[i]), &key), CPH_E_MALFORMED);
    }
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key));
    assert_ok(cph_key_private_der(&t.env, key, &der));
    cph_key_free(key);
    der.b[der.n++] = 0; /* trailing byte */
    assert_err(cph_key_load(&t.env, cph_secret_span(&der), &key), CPH_E_MALFORMED);
    der.n -= 2;
    assert_err(cph_key_load(&t.env, cph_secret_span(&der), &key), CPH_E_MALFORMED);
}

static void references_outlive_the_first_owner(void **state)
{
    struct cph_key *key, *second;

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key));
    second = cph_key_ref(key);
    cph_key_free(key);
    assert_true(cph_key_is_private(second));
    cph_key_free(second);
    cph_key_free(NULL);
    assert_null(cph_key_ref(NULL));
}

static void the_system_gives_random_bytes(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    (void)state;
    assert_ok(cph_crypto_random(NULL, a, sizeof a));
    assert_ok(cph_crypto_random(NULL, b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
}

static cph_err make_key(void *arg)
{
    struct cph_key *key = NULL;
    cph_err err = cph_key_generate(arg, CPH_KEY_EC_P256, &key);

    cph_key_free(key);
    return err;
}

static void keys_survive_allocation_failure(void **state)
{
    (void)state;
    test_alloc_fails(make_key, &t.env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_key_goes_into_the_store_and_back, setup),
        cmocka_unit_test_setup(the_public_half_cannot_sign, setup),
        cmocka_unit_test_setup(signatures_verify_and_wrong_ones_do_not, setup),
        cmocka_unit_test_setup(every_flip_and_truncation_of_a_signature_is_refused, setup),
        cmocka_unit_test_setup(the_signature_of_rfc_7515_verifies, setup),
        cmocka_unit_test_setup(rsa_keys_sign_but_do_not_fit_the_store, setup),
        cmocka_unit_test_setup(nonsense_is_no_key, setup),
        cmocka_unit_test_setup(references_outlive_the_first_owner, setup),
        cmocka_unit_test_setup(the_system_gives_random_bytes, setup),
        cmocka_unit_test_setup(keys_survive_allocation_failure, setup),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}

#include "support.h"

#include <string.h>

#include "ciphony/crypto_agree.h"
#include "ciphony/crypto_envelope.h"

static struct test_env t;
static struct cph_key *alice, *bob, *public_bob, *rsa, *other_curve;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 7);
    return 0;
}

static struct cph_key *key_of(struct vectors *v, const char *name)
{
    struct cph_key *key;

    assert_ok(cph_key_load(&t.env, vectors_hex(v, name), &key));
    return key;
}

static struct cph_secret secret_of(struct vectors *v, const char *name)
{
    struct cph_secret s = { 0 };

    assert_ok(cph_secret_set(&s, vectors_hex(v, name)));
    return s;
}

static void assert_secret(const struct cph_secret *s, struct cph_span is)
{
    assert_int_equal(s->n, is.n);
    assert_memory_equal(s->b, is.p, is.n);
}

static void what_the_other_path_made_comes_out(void **state)
{
    struct vectors *v = vectors_open("crypto/ecies.txt");
    size_t seen = 0;

    (void)state;
    for (; vectors_next(v); seen++) {
        struct cph_key *a = key_of(v, "alice"), *b = key_of(v, "bob");
        struct cph_secret lasting = secret_of(v, "alice_d"), now = secret_of(v, "now_d"), out;
        struct cph_span e = vectors_hex(v, "now"), q = vectors_hex(v, "bob_q");
        enum cph_agree_group group = strcmp(vectors_text(v, "curve"), "P-256") == 0
                                         ? CPH_AGREE_P256
                                         : CPH_AGREE_P384;

        assert_ok(cph_ecies_decrypt(b, vectors_hex(v, "ecies"), &out));
        assert_secret(&out, vectors_hex(v, "secret"));
        assert_err(cph_ecies_decrypt(a, vectors_hex(v, "ecies"), &out), CPH_E_AUTH);
        assert_ok(cph_agree_mqv(group, &lasting, &now, e, q, vectors_hex(v, "bob_now"), &out));
        assert_secret(&out, vectors_hex(v, "full"));
        assert_ok(cph_agree_mqv(group, &lasting, &now, e, q, q, &out));
        assert_secret(&out, vectors_hex(v, "x"));
        assert_ok(cph_mqv_finish(b, a, e, &out));
        assert_secret(&out, vectors_hex(v, "mqv"));
        assert_ok(cph_mqv_finish(a, b, e, &out)); /* the roles are in it */
        assert_memory_not_equal(out.b, vectors_hex(v, "mqv").p, out.n);
        cph_key_free(a);
        cph_key_free(b);
    }
    assert_int_equal(seen, 2);
    vectors_close(v);
}

static void open_keys(void)
{
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &alice));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &bob));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P384, &other_curve));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_RSA, &rsa));
}

static void close_keys(void)
{
    cph_key_free(alice);
    cph_key_free(bob);
    cph_key_free(other_curve);
    cph_key_free(rsa);
}

static void a_sealed_secret_opens_for_its_key_alone_and_not_when_touched(void **state)
{
    struct cph_secret in = { .n = 32 }, out;
    uint8_t box[256];
    size_t n;

    (void)state;
    open_keys();
    memset(in.b, 0x5a, in.n);
    assert_ok(cph_ecies_encrypt(&t.env, bob, &in, box, sizeof box, &n));
    assert_int_equal(n, 1 + 64 + 32 + 32);
    assert_ok(cph_ecies_decrypt(bob, (struct cph_span){ box, n }, &out));
    assert_secret(&out, cph_secret_span(&in));
    assert_err(cph_ecies_decrypt(alice, (struct cph_span){ box, n }, &out), CPH_E_AUTH);
    for (size_t i = 0; i < n; i++) {
        cph_err err;

        box[i] ^= 1;
        err = cph_ecies_decrypt(bob, (struct cph_span){ box, n }, &out);
        assert_true(err == CPH_E_AUTH || err == CPH_E_MALFORMED);
        assert_true(i < 65 || err == CPH_E_AUTH);
        box[i] ^= 1;
    }
    for (size_t cut = 0; cut < n; cut++)
        assert_int_not_equal(cph_ecies_decrypt(bob, (struct cph_span){ box, cut }, &out), CPH_OK);
    assert_err(cph_ecies_encrypt(&t.env, bob, &in, box, n - 1, &n), CPH_E_NOSPACE);
    in.n = 0;
    assert_err(cph_ecies_encrypt(&t.env, bob, &in, box, sizeof box, &n), CPH_E_ARGUMENT);
    in.n = 32;
    assert_err(cph_ecies_encrypt(&t.env, rsa, &in, box, sizeof box, &n), CPH_E_ARGUMENT);
    assert_err(cph_ecies_decrypt(rsa, (struct cph_span){ box, n }, &out), CPH_E_ARGUMENT);
    assert_true(cph_ecies_fits(bob) && cph_ecies_fits(other_curve) && !cph_ecies_fits(rsa));
    close_keys();
}

static void mqv_needs_both_keys_and_a_point(void **state)
{
    struct cph_secret a, b, third;
    uint8_t value[CPH_AGREE_PUBLIC_MAX];
    struct cph_span sent = { value, 0 };

    (void)state;
    open_keys();
    assert_ok(cph_mqv_begin(&t.env, alice, bob, value, &sent.n, &a));
    assert_int_equal(sent.n, 64);
    assert_ok(cph_mqv_finish(bob, alice, sent, &b));
    assert_secret(&b, cph_secret_span(&a));
    assert_int_equal(a.n, 32);
    assert_ok(cph_mqv_finish(bob, bob, sent, &third)); /* another's name on it */
    assert_memory_not_equal(third.b, a.b, a.n);
    assert_ok(cph_mqv_finish(alice, bob, sent, &third)); /* another's key to it */
    assert_memory_not_equal(third.b, a.b, a.n);
    value[0] ^= 1;
    assert_err(cph_mqv_finish(bob, alice, sent, &b), CPH_E_MALFORMED); /* not on the curve */
    memset(value, 0xff, sent.n);
    assert_err(cph_mqv_finish(bob, alice, sent, &b), CPH_E_MALFORMED);
    sent.n--;
    assert_err(cph_mqv_finish(bob, alice, sent, &b), CPH_E_MALFORMED);
    assert_err(cph_mqv_begin(&t.env, alice, other_curve, value, &sent.n, &a), CPH_E_ARGUMENT);
    assert_err(cph_mqv_begin(&t.env, rsa, bob, value, &sent.n, &a), CPH_E_ARGUMENT);
    close_keys();
}

static void a_public_half_can_be_sealed_to_and_opens_nothing(void **state)
{
    struct cph_cert_spec spec = { .cn = "x", .not_before = 0, .not_after = INT32_MAX };
    struct cph_secret in = { .n = 16 }, out;
    struct cph_cert *cert;
    uint8_t box[256];
    size_t n;

    (void)state;
    open_keys();
    assert_ok(cph_cert_self_signed(&t.env, bob, &spec, &cert));
    assert_ok(cph_cert_key(&t.env, cert, &public_bob));
    assert_ok(cph_ecies_encrypt(&t.env, public_bob, &in, box, sizeof box, &n));
    assert_err(cph_ecies_decrypt(public_bob, (struct cph_span){ box, n }, &out), CPH_E_ARGUMENT);
    assert_ok(cph_ecies_decrypt(bob, (struct cph_span){ box, n }, &out));
    assert_err(cph_mqv_begin(&t.env, public_bob, alice, box, &n, &out), CPH_E_ARGUMENT);
    cph_key_free(public_bob);
    cph_cert_free(cert);
    close_keys();
}

static cph_err once(void *arg)
{
    struct cph_secret in = { .n = 32 }, out = { 0 };
    uint8_t box[256];
    size_t n;

    (void)arg;
    CPH_TRY(cph_ecies_encrypt(&t.env, bob, &in, box, sizeof box, &n));
    CPH_TRY(cph_ecies_decrypt(bob, (struct cph_span){ box, n }, &out));
    CPH_TRY(cph_mqv_begin(&t.env, alice, bob, box, &n, &out));
    return cph_mqv_finish(bob, alice, (struct cph_span){ box, n }, &out);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    open_keys();
    test_alloc_fails(once, NULL);
    close_keys();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_the_other_path_made_comes_out, setup),
        cmocka_unit_test_setup(a_sealed_secret_opens_for_its_key_alone_and_not_when_touched, setup),
        cmocka_unit_test_setup(mqv_needs_both_keys_and_a_point, setup),
        cmocka_unit_test_setup(a_public_half_can_be_sealed_to_and_opens_nothing, setup),
        cmocka_unit_test_setup(running_out_of_memory_is_reported, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

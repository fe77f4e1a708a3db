#include "support.h"

#include <openssl/cms.h>

#include "ciphony/base_mem.h"
#include "ciphony/crypto_cms.h"

enum { WALL = 1700000000 };

struct party {
    struct cph_key *key;
    struct cph_cert *cert;
};

static struct test_env env;
static struct party alice, bob, rsa;

static struct party make(enum cph_key_kind kind, const char *cn)
{
    struct cph_cert_spec spec = { .cn = cn, .not_before = WALL - 10, .not_after = WALL + 1000 };
    struct party p;

    assert_ok(cph_key_generate(&env.env, kind, &p.key));
    assert_ok(cph_cert_self_signed(&env.env, p.key, &spec, &p.cert));
    return p;
}

static void drop(struct party *p)
{
    cph_key_free(p->key);
    cph_cert_free(p->cert);
}

static int open_all(void **state)
{
    (void)state;
    test_env_init(&env, 1);
    env.wall = WALL;
    alice = make(CPH_KEY_EC_P256, "alice");
    bob = make(CPH_KEY_EC_P384, "bob");
    rsa = make(CPH_KEY_RSA, "rsa");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    drop(&alice);
    drop(&bob);
    drop(&rsa);
    return 0;
}

static const struct cph_span text = { (const uint8_t *)"v=0\r\na line\nanother\r\n", 20 };

static uint8_t sealed[8192], plain[8192];
static size_t n, m;

/* ---- signatures ------------------------------------------------------------------------------ */

static void what_was_signed_comes_back_with_who_signed_it(void **state)
{
    const struct party *all[] = { &alice, &bob, &rsa };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct cph_cms_signer who = { 0 };

        assert_ok(cph_cms_sign(&env.env, all[i]->key, all[i]->cert, WALL + 7, text, sealed,
                               sizeof sealed, &n));
        assert_ok(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, NULL, plain,
                                 sizeof plain, &m, &who));
        assert_int_equal(m, text.n);
        assert_memory_equal(plain, text.p, m);
        assert_true(cph_cert_eq(who.cert, all[i]->cert));
        assert_true(who.has_time && who.time == WALL + 7);
        cph_cert_free(who.cert);
        assert_err(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, NULL, plain, text.n - 1,
                                  &m, &who),
                   CPH_E_NOSPACE);
    }
}

static void a_key_that_is_not_the_certificates_cannot_sign(void **state)
{
    struct party ed = make(CPH_KEY_ED25519, "ed");

    (void)state;
    assert_err(cph_cms_sign(&env.env, alice.key, bob.cert, WALL, text, sealed, sizeof sealed, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_cms_sign(&env.env, ed.key, ed.cert, WALL, text, sealed, sizeof sealed, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_cms_sign(&env.env, alice.key, alice.cert, WALL, text, sealed, 100, &n),
               CPH_E_NOSPACE);
    assert_err(cph_cms_sign(&env.env, alice.key, alice.cert, WALL,
                            (struct cph_span){ sealed, CPH_CMS_MAX + 1 }, sealed, 100, &n),
               CPH_E_LIMIT);
    drop(&ed);
}

/* Certificates and attributes that nobody signed may change: whom to trust is not said here. What
 * was signed may not. */
static void check_changed(struct cph_span bytes, cph_err want)
{
    struct cph_cms_signer who = { 0 };
    cph_err err = cph_cms_verify(&env.env, bytes, NULL, plain, sizeof plain, &m, &who);

    if (err == CPH_OK && want == CPH_OK)
        assert_true(m == text.n && memcmp(plain, text.p, m) == 0);
    else
        assert_err(err, CPH_E_AUTH);
    cph_cert_free(who.cert);
}

static void a_changed_signature_or_content_is_refused(void **state)
{
    const uint8_t *content;

    (void)state;
    assert_ok(cph_cms_sign(&env.env, alice.key, alice.cert, WALL, text, sealed, sizeof sealed, &n));
    content = memmem(sealed, n, text.p, text.n);
    assert_non_null(content);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bool inside = sealed + i >= content && sealed + i < content + text.n;

            sealed[i] ^= (uint8_t)(1 << bit);
            check_changed((struct cph_span){ sealed, n },
                          inside || i + 60 > n ? CPH_E_AUTH : CPH_OK); /* the signature is last */
            sealed[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t i = 0; i < n; i += 7)
        check_changed((struct cph_span){ sealed, i }, CPH_E_AUTH);
    sealed[n] = 0;
    check_changed((struct cph_span){ sealed, n + 1 }, CPH_E_AUTH);
}

/* ---- other people's forms, made with the library itself ------------------------------------- */

struct cph_native_pair {
    EVP_PKEY *key;
    X509 *cert;
};

static struct cph_native_pair native(const struct party *p)
{
    struct cph_native_pair out = { 0 };
    CPH_SECRET_SCOPED der = { 0 };
    struct cph_span c = cph_cert_der(p->cert);
    const uint8_t *at;

    assert_ok(cph_key_private_der(&env.env, p->key, &der));
    at = der.b;
    out.key = d2i_AutoPrivateKey(NULL, &at, (long)der.n);
    at = c.p;
    out.cert = d2i_X509(NULL, &at, (long)c.n);
    assert_true(out.key && out.cert);
    return out;
}

static void put(CMS_ContentInfo *cms)
{
    uint8_t *p = sealed;
    int len = i2d_CMS_ContentInfo(cms, NULL);

    assert_true(len > 0 && (size_t)len <= sizeof sealed);
    n = (size_t)i2d_CMS_ContentInfo(cms, &p);
    CMS_ContentInfo_free(cms);
}

static void signatures_of_another_form_are_refused(void **state)
{
    struct cph_native_pair a = native(&alice), b = native(&bob);
    struct cph_cms_signer who = { 0 };
    BIO *in;
    CMS_ContentInfo *cms;

    (void)state;
    for (int form = 0; form < 5; form++) {
        unsigned flags = CMS_BINARY | CMS_PARTIAL | (form == 1 ? CMS_DETACHED : 0);

        in = BIO_new_mem_buf(text.p, (int)text.n);
        cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
        assert_non_null(CMS_add1_signer(cms, a.cert, a.key, form == 2 ? EVP_sha1() : EVP_sha256(),
                                        flags | (form == 4 ? CMS_NOATTR : 0)));
        if (form == 3)
            assert_non_null(CMS_add1_signer(cms, b.cert, b.key, EVP_sha256(), flags));
        assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
        put(cms);
        BIO_free(in);
        /* detached, by SHA-1, two signers, no signed attributes */
        assert_err(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, NULL, plain,
                                  sizeof plain, &m, &who),
                   form == 0 ? CPH_OK : CPH_E_AUTH);
        if (form == 0)
            cph_cert_free(who.cert);
    }
    /* without its certificate it verifies for who knows it */
    in = BIO_new_mem_buf(text.p, (int)text.n);
    cms = CMS_sign(a.cert, a.key, NULL, in, CMS_BINARY | CMS_NOCERTS);
    put(cms);
    BIO_free(in);
    assert_err(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, NULL, plain, sizeof plain,
                              &m, &who),
               CPH_E_AUTH);
    assert_err(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, bob.cert, plain,
                              sizeof plain, &m, &who),
               CPH_E_AUTH);
    assert_ok(cph_cms_verify(&env.env, (struct cph_span){ sealed, n }, alice.cert, plain,
                             sizeof plain, &m, &who));
    assert_true(cph_cert_eq(who.cert, alice.cert));
    cph_cert_free(who.cert);
    EVP_PKEY_free(a.key);
    EVP_PKEY_free(b.key);
    X509_free(a.cert);
    X509_free(b.cert);
}

/* ---- encryption ------------------------------------------------------------------------------ */

static void what_was_encrypted_comes_back_to_whom_it_is_for(void **state)
{
    const struct party *all[] = { &alice, &bob, &rsa };
    static uint8_t big[6000];

    (void)state;
    memset(big, 'x', sizeof big);
    for (int cipher = CPH_CMS_AES256_GCM; cipher <= CPH_CMS_AES128_CBC; cipher++)
        for (size_t i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++) {
                struct cph_span in = k == 0 ? text : (struct cph_span){ big, k == 1 ? 1 : 6000 };

                assert_ok(cph_cms_encrypt(&env.env, all[i]->cert, (enum cph_cms_cipher)cipher, in,
                                          sealed, sizeof sealed, &n));
                assert_ok(cph_cms_decrypt(&env.env, all[i]->key, all[i]->cert,
                                          (struct cph_span){ sealed, n }, plain, sizeof plain, &m));
                assert_int_equal(m, in.n);
                assert_memory_equal(plain, in.p, m);
                assert_null(memmem(sealed, n, text.p, text.n));
                for (size_t other = 0; other < 3; other++)
                    if (other != i)
                        assert_err(cph_cms_decrypt(&env.env, all[other]->key, all[other]->cert,
                                                   (struct cph_span){ sealed, n }, plain,
                                                   sizeof plain, &m),
                                   CPH_E_AUTH);
            }
    assert_err(cph_cms_decrypt(&env.env, alice.key, bob.cert, (struct cph_span){ sealed, n }, plain,
                               sizeof plain, &m),
               CPH_E_ARGUMENT);
    assert_err(cph_cms_encrypt(&env.env, alice.cert, CPH_CMS_AES256_GCM, (struct cph_span){ 0 },
                               sealed, sizeof sealed, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_cms_encrypt(&env.env, alice.cert, (enum cph_cms_cipher)9, text, sealed,
                               sizeof sealed, &n),
               CPH_E_ARGUMENT);
    assert_err(cph_cms_encrypt(&env.env, alice.cert, CPH_CMS_AES256_GCM, text, sealed, 50, &n),
               CPH_E_NOSPACE);
}

static void certificates_that_are_not_for_it_are_not_encrypted_to(void **state)
{
    struct party ed = make(CPH_KEY_ED25519, "ed");

    (void)state;
    assert_true(cph_cms_can_receive(alice.cert) && cph_cms_can_receive(rsa.cert));
    assert_false(cph_cms_can_receive(ed.cert));
    assert_err(
        cph_cms_encrypt(&env.env, ed.cert, CPH_CMS_AES256_GCM, text, sealed, sizeof sealed, &n),
        CPH_E_CERT);
    drop(&ed);
}

/* Every bit of an authenticated envelope counts, or what is in it is the same. */
static void a_changed_envelope_is_refused_with_one_word(void **state)
{
    (void)state;
    assert_ok(
        cph_cms_encrypt(&env.env, alice.cert, CPH_CMS_AES256_GCM, text, sealed, sizeof sealed, &n));
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            cph_err err;

            sealed[i] ^= (uint8_t)(1 << bit);
            err = cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ sealed, n },
                                  plain, sizeof plain, &m);
            sealed[i] ^= (uint8_t)(1 << bit);
            if (err == CPH_OK)
                assert_true(m == text.n && memcmp(plain, text.p, m) == 0);
            else
                assert_err(err, CPH_E_AUTH);
        }
    for (size_t i = 0; i < n; i += 5)
        assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ sealed, i },
                                   plain, sizeof plain, &m),
                   CPH_E_AUTH);
}

static void a_short_tag_is_refused(void **state)
{
    uint8_t cut[sizeof sealed];

    (void)state;
    assert_ok(
        cph_cms_encrypt(&env.env, alice.cert, CPH_CMS_AES256_GCM, text, sealed, sizeof sealed, &n));
    /* the tag is the last value: four bytes of it, and each length around it four... or twelve less
     */
    assert_true(sealed[n - 18] == 0x04 && sealed[n - 17] == 16);
    memcpy(cut, sealed, n);
    cut[n - 17] = 4;
    assert_true(cut[1] == 0x82 && cut[18] == 0x82 && cut[22] == 0x82);
    for (size_t at = 2; at <= 23; at += at == 2 ? 17 : 4) {
        unsigned len = (unsigned)cut[at] << 8 | cut[at + 1];

        cut[at] = (uint8_t)((len - 12) >> 8);
        cut[at + 1] = (uint8_t)(len - 12);
    }
    assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ cut, n - 12 },
                               plain, sizeof plain, &m),
               CPH_E_AUTH);
}

static void other_envelopes_are_refused(void **state)
{
    struct cph_native_pair a = native(&alice);
    const uint8_t junk[] = { 0x30, 0x80, 0, 0 };
    STACK_OF(X509) *to = sk_X509_new_null();
    BIO *in = BIO_new_mem_buf(text.p, (int)text.n);
    CMS_ContentInfo *cms;

    (void)state;
    assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ junk, 4 }, plain,
                               sizeof plain, &m),
               CPH_E_AUTH);
    assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ NULL, 0 }, plain,
                               sizeof plain, &m),
               CPH_E_AUTH);
    /* a signature is no envelope, nor the other way round */
    assert_ok(cph_cms_sign(&env.env, alice.key, alice.cert, WALL, text, sealed, sizeof sealed, &n));
    assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ sealed, n },
                               plain, sizeof plain, &m),
               CPH_E_AUTH);
    /* a password as a further recipient */
    sk_X509_push(to, a.cert);
    cms = CMS_encrypt(to, in, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL);
    assert_non_null(CMS_add0_recipient_password(cms, -1, NID_undef, NID_undef,
                                                (uint8_t *)OPENSSL_strdup("word"), 4, NULL));
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    put(cms);
    assert_err(cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ sealed, n },
                               plain, sizeof plain, &m),
               CPH_E_AUTH);
    BIO_free(in);
    sk_X509_free(to);
    EVP_PKEY_free(a.key);
    X509_free(a.cert);
}

static void rsa_with_the_old_padding_is_refused(void **state)
{
    struct cph_span c = cph_cert_der(rsa.cert);
    const uint8_t *at = c.p;
    X509 *x = d2i_X509(NULL, &at, (long)c.n);
    STACK_OF(X509) *to = sk_X509_new_null();
    BIO *in = BIO_new_mem_buf(text.p, (int)text.n);

    (void)state;
    sk_X509_push(to, x);
    put(CMS_encrypt(to, in, EVP_aes_256_cbc(), CMS_BINARY));
    assert_err(cph_cms_decrypt(&env.env, rsa.key, rsa.cert, (struct cph_span){ sealed, n }, plain,
                               sizeof plain, &m),
               CPH_E_AUTH);
    BIO_free(in);
    sk_X509_free(to);
    X509_free(x);
}

static cph_err both_ways(void *arg)
{
    struct cph_cms_signer who = { 0 };
    uint8_t a[4096], b[4096];
    size_t i, k;
    cph_err err = cph_cms_sign(&env.env, alice.key, alice.cert, WALL, text, a, sizeof a, &i);

    (void)arg;
    if (err == CPH_OK)
        err = cph_cms_verify(&env.env, (struct cph_span){ a, i }, NULL, b, sizeof b, &k, &who);
    cph_cert_free(who.cert);
    if (err == CPH_OK)
        err = cph_cms_encrypt(&env.env, alice.cert, CPH_CMS_AES256_GCM, text, a, sizeof a, &i);
    if (err == CPH_OK)
        err = cph_cms_decrypt(&env.env, alice.key, alice.cert, (struct cph_span){ a, i }, b,
                              sizeof b, &k);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(both_ways, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_comes_back_with_who_signed_it),
        cmocka_unit_test(a_key_that_is_not_the_certificates_cannot_sign),
        cmocka_unit_test(a_changed_signature_or_content_is_refused),
        cmocka_unit_test(signatures_of_another_form_are_refused),
        cmocka_unit_test(what_was_encrypted_comes_back_to_whom_it_is_for),
        cmocka_unit_test(certificates_that_are_not_for_it_are_not_encrypted_to),
        cmocka_unit_test(a_changed_envelope_is_refused_with_one_word),
        cmocka_unit_test(a_short_tag_is_refused),
        cmocka_unit_test(other_envelopes_are_refused),
        cmocka_unit_test(rsa_with_the_old_padding_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

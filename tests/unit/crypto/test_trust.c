#include "support.h"

#include <stdlib.h>

#include "ciphony/crypto_key.h"

static struct test_env t;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 3);
    return 0;
}

static struct cph_cert *load(const char *name)
{
    char path[512];
    static char pem[8192];
    struct cph_cert *cert;
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "%s/crypto/chain/%s.pem", getenv("CPH_VECTORS"), name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(pem, 1, sizeof pem, f);
    (void)fclose(f);
    assert_ok(cph_cert_parse(&t.env, (struct cph_span){ (uint8_t *)pem, n }, &cert));
    return cert;
}

/* Leaf and chain file, the anchor, the purpose, at the test's wall clock. */
static cph_err verify(const char *leaf, const char *anchor, enum cph_cert_purpose purpose,
                      char *why)
{
    struct cph_cert *cert = load(leaf), *a = load(anchor);
    struct cph_trust *trust;
    cph_err err;

    assert_ok(cph_trust_new(&trust));
    assert_ok(cph_trust_add(trust, a));
    assert_ok(cph_trust_add(trust, a));
    err = cph_cert_verify(&t.env, cert, trust, purpose, t.wall, why);
    assert_true((err == CPH_OK) == (why[0] == '\0'));
    cph_trust_free(trust);
    cph_cert_free(cert);
    cph_cert_free(a);
    return err;
}

static void a_chain_to_an_anchor_is_good(void **state)
{
    char why[CPH_CERT_WHY];

    (void)state;
    assert_ok(verify("leaf_chain", "root", CPH_PURPOSE_TLS_SERVER, why));
    assert_ok(verify("leaf_chain", "root", CPH_PURPOSE_ANY, why));
    assert_ok(
        verify("leaf", "middle", CPH_PURPOSE_TLS_SERVER, why)); /* an anchor need not be a root */
    assert_ok(verify("leaf", "leaf", CPH_PURPOSE_TLS_SERVER, why)); /* nor an authority */
    assert_ok(verify("client_chain", "root", CPH_PURPOSE_TLS_CLIENT, why));
    assert_ok(verify("sipeku", "middle", CPH_PURPOSE_TLS_SERVER, why));
}

static void every_break_in_the_chain_has_its_reason(void **state)
{
    char why[CPH_CERT_WHY];

    (void)state;
    assert_err(verify("leaf_chain", "stranger", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
    assert_err(verify("leaf", "root", CPH_PURPOSE_TLS_SERVER, why),
               CPH_E_CERT); /* middle missing */
    assert_non_null(strstr(why, "issuer"));
    assert_err(verify("noca", "leaf", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
    assert_err(verify("expired_chain", "root", CPH_PURPOSE_TLS_SERVER, why), CPH_E_EXPIRED);
    assert_non_null(strstr(why, "expired"));
    assert_err(verify("future", "middle", CPH_PURPOSE_TLS_SERVER, why), CPH_E_EXPIRED);
    assert_err(verify("client_chain", "root", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
    assert_non_null(strstr(why, "key usage"));
    assert_err(verify("mail", "middle", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
    assert_err(verify("nosign", "middle", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
    assert_err(verify("sha1", "root", CPH_PURPOSE_TLS_SERVER, why), CPH_E_CERT);
}

static void the_clock_is_the_one_we_are_given(void **state)
{
    char why[CPH_CERT_WHY];

    (void)state;
    t.wall = 1717200000; /* 2024-06-01 */
    assert_err(verify("leaf_chain", "root", CPH_PURPOSE_ANY, why), CPH_E_EXPIRED);
    t.wall = 2367000000; /* 2045-01-02 */
    assert_err(verify("leaf_chain", "root", CPH_PURPOSE_ANY, why), CPH_E_EXPIRED);
    t.wall = 2300000000;
    assert_ok(verify("leaf_chain", "root", CPH_PURPOSE_ANY, why));
}

static void anchors_come_from_text_and_from_files(void **state)
{
    char path[512], why[CPH_CERT_WHY];
    struct cph_cert *cert = load("leaf_chain");
    struct cph_trust *trust;
    size_t n = 7;

    (void)state;
    assert_ok(cph_trust_new(&trust));
    assert_err(cph_trust_add_pem(&t.env, trust, cph_span_of("no certificate"), &n),
               CPH_E_MALFORMED);
    assert_err(cph_trust_add_path(&t.env, trust, "/nowhere/at/all"), CPH_E_CONFIG);
    (void)snprintf(path, sizeof path, "%s/crypto/chain", getenv("CPH_VECTORS"));
    assert_ok(cph_trust_add_path(&t.env, trust, path)); /* a directory, without hashed names */
    assert_err(cph_cert_verify(&t.env, cert, trust, CPH_PURPOSE_ANY, t.wall, why), CPH_E_CERT);
    (void)snprintf(path, sizeof path, "%s/crypto/chain/root.pem", getenv("CPH_VECTORS"));
    assert_ok(cph_trust_add_path(&t.env, trust, path));
    assert_ok(cph_cert_verify(&t.env, cert, trust, CPH_PURPOSE_ANY, t.wall, why));
    cph_trust_free(trust);
    cph_cert_free(cert);
}

static void a_chain_file_has_the_leaf_first(void **state)
{
    struct cph_cert *cert = load("leaf_chain"), *leaf = load("leaf");

    (void)state;
    assert_int_equal(cph_cert_chain_n(cert), 1);
    assert_true(cph_cert_eq(cert, leaf));
    assert_ok(cph_cert_is_domain(cert, cph_span_of("example.org")));
    assert_err(cph_cert_is_domain(cert, cph_span_of("sip.example.org")), CPH_E_CERT);
    assert_false(cph_cert_is_self_issued(cert));
    cph_cert_free(cert);
    cph_cert_free(leaf);
}

/* issuer NULL: an authority of its own. */
static struct cph_cert *issue(const char *cn, const struct cph_key *by,
                              const struct cph_cert *issuer, const struct cph_key *of)
{
    struct cph_cert_spec spec = { .cn = cn, .not_before = t.wall - 10, .not_after = t.wall + 10 };
    struct cph_cert *cert;

    assert_ok(cph_cert_issue(&t.env, by, issuer, of, &spec, &cert));
    return cert;
}

static void an_authority_s_word_is_good_and_a_device_s_is_none(void **state)
{
    struct cph_cert_spec spec = { .not_before = 0, .not_after = 10 };
    struct cph_key *root_key, *key, *pub;
    struct cph_cert *root, *leaf, *below, *none;
    struct cph_trust *trust;
    char why[CPH_CERT_WHY];

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &root_key));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key));
    root = issue("root", root_key, NULL, NULL);
    assert_ok(cph_cert_key(&t.env, root, &pub));
    leaf = issue("leaf", root_key, root, key);
    assert_true(cph_cert_has_key(leaf, key));
    assert_ok(cph_trust_new(&trust));
    assert_ok(cph_trust_add(trust, root));
    assert_ok(cph_cert_verify(&t.env, leaf, trust, CPH_PURPOSE_ANY, t.wall, why));
    assert_err(cph_cert_verify(&t.env, leaf, trust, CPH_PURPOSE_ANY, t.wall + 11, why),
               CPH_E_EXPIRED);

    below = issue("below", key, leaf, key); /* who is no authority signs all the same */
    assert_err(cph_cert_verify(&t.env, below, trust, CPH_PURPOSE_ANY, t.wall, why), CPH_E_CERT);
    assert_err(cph_cert_issue(&t.env, key, root, key, &spec, &none), CPH_E_ARGUMENT);
    assert_err(cph_cert_issue(&t.env, pub, root, key, &spec, &none), CPH_E_ARGUMENT);
    cph_cert_free(below);
    cph_cert_free(leaf);
    cph_cert_free(root);
    cph_key_free(pub);
    cph_key_free(key);
    cph_key_free(root_key);
    cph_trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_chain_to_an_anchor_is_good, setup),
        cmocka_unit_test_setup(an_authority_s_word_is_good_and_a_device_s_is_none, setup),
        cmocka_unit_test_setup(every_break_in_the_chain_has_its_reason, setup),
        cmocka_unit_test_setup(the_clock_is_the_one_we_are_given, setup),
        cmocka_unit_test_setup(anchors_come_from_text_and_from_files, setup),
        cmocka_unit_test_setup(a_chain_file_has_the_leaf_first, setup),
    };

    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}

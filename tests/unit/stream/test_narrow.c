/* Handshakes run in a library context that shows only what they need: nothing a peer may come with
 * is missing there, and what leaves it works elsewhere. */
#include "pair.h"

#include <openssl/evp.h>

#include "stream_int.h"

static const enum cph_key_kind kinds[] = { CPH_KEY_EC_P256, CPH_KEY_EC_P384, CPH_KEY_RSA,
                                           CPH_KEY_ED25519 };
static const enum cph_sig sigs[] = { CPH_SIG_ECDSA, CPH_SIG_ECDSA, CPH_SIG_RSA_PKCS1,
                                     CPH_SIG_ED25519 };

static void certify(struct pair *p, int who, enum cph_key_kind kind, struct cph_stream_config *cfg)
{
    struct cph_cert_spec spec = { "someone", NULL, 0, p->t.wall - DAY, p->t.wall + DAY };

    cph_key_free(p->key[who]);
    cph_cert_free(p->cert[who]);
    assert_ok(cph_key_generate(&p->t.env, kind, &p->key[who]));
    assert_ok(cph_cert_self_signed(&p->t.env, p->key[who], &spec, &p->cert[who]));
    cfg->key = p->key[who];
    cfg->cert = p->cert[who];
}

static void handshakes_run_where_little_is_to_be_found(void **state)
{
    OSSL_LIB_CTX *ctx = stream_narrow();
    EVP_CIPHER *used = EVP_CIPHER_fetch(ctx, "AES-128-GCM", NULL);

    (void)state;
    assert_non_null(ctx);
    assert_ptr_equal(ctx, stream_narrow());
    assert_non_null(used);
    assert_null(EVP_CIPHER_fetch(ctx, "AES-128-CBC", NULL));
    assert_null(EVP_MD_fetch(ctx, "MD5", NULL));
    EVP_CIPHER_free(used);
    cph_crypto_drain(NULL);
}

/* OpenSSL 3.0 has no cipher for a DTLS server with an Ed25519 certificate. */
static void each_kind_of_certificate_is_read_on_both_sides(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct cph_stream_config cfg[2];
        struct pair p;

        pair_init(&p, k + 1, CPH_STREAM_DTLS, cfg);
        for (int i = 0; i < (kinds[k] == CPH_KEY_ED25519 ? 1 : 2); i++)
            certify(&p, i, kinds[k], &cfg[i]);
        pair_open(&p, cfg);
        run(&p, CPH_SEC(10));
        assert_true(both(&p, CPH_STREAM_OPEN));
        for (int i = 0; i < 2; i++)
            assert_true(cph_cert_eq(cph_stream_peer(p.s[i]), p.cert[1 - i]));
        pair_free(&p);
    }
}

/* The verdict, a store or a further check may keep the certificate for long. */
static void a_peers_certificate_outlives_the_stream_and_serves_elsewhere(void **state)
{
    static const struct cph_span msg = { (const uint8_t *)"said", 4 };
    static const struct cph_span other = { (const uint8_t *)"sold", 4 };

    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint8_t sig[CPH_KEY_SIG_MAX], der[2][CPH_KEY_PUBLIC_MAX];
        struct cph_stream_config cfg[2];
        struct cph_cert *peer;
        struct cph_key *key;
        size_t n, der_n[2];
        struct pair p;

        pair_init(&p, k + 1, CPH_STREAM_DTLS, cfg);
        certify(&p, 0, kinds[k], &cfg[0]);
        assert_ok(cph_key_sign(&p.t.env, p.key[0], sigs[k], msg, sig, sizeof sig, &n));
        assert_ok(cph_key_public_der(p.key[0], der[0], sizeof der[0], &der_n[0]));
        pair_open(&p, cfg);
        run(&p, CPH_SEC(10));
        peer = cph_cert_ref(cph_stream_peer(p.s[1]));
        pair_free(&p);

        assert_ok(cph_cert_key(&p.t.env, peer, &key));
        cph_cert_free(peer);
        assert_ok(cph_key_verify(&p.t.env, key, sigs[k], msg, (struct cph_span){ sig, n }));
        assert_err(cph_key_verify(&p.t.env, key, sigs[k], other, (struct cph_span){ sig, n }),
                   CPH_E_AUTH);
        assert_ok(cph_key_public_der(key, der[1], sizeof der[1], &der_n[1]));
        assert_int_equal(der_n[0], der_n[1]);
        assert_memory_equal(der[0], der[1], der_n[0]);
        cph_key_free(key);
    }
}

static void a_chain_is_verified_there_as_well(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct cph_stream_config cfg[2];
        struct cph_cert *anchor;
        struct pair p;

        pair_init(&p, 1, CPH_STREAM_DTLS, cfg);
        anchor = cph_cert_ref(p.cert[wrong ? 0 : 1]);
        assert_ok(cph_trust_new(&p.trust));
        assert_ok(cph_trust_add(p.trust, anchor));
        cfg[0].verify = CPH_STREAM_VERIFY_CHAIN;
        cfg[0].trust = p.trust;
        pair_open(&p, cfg);
        run(&p, CPH_SEC(10));
        assert_int_equal(cph_stream_state(p.s[0]), wrong ? CPH_STREAM_FAILED : CPH_STREAM_OPEN);
        cph_cert_free(anchor);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_run_where_little_is_to_be_found),
        cmocka_unit_test(each_kind_of_certificate_is_read_on_both_sides),
        cmocka_unit_test(a_peers_certificate_outlives_the_stream_and_serves_elsewhere),
        cmocka_unit_test(a_chain_is_verified_there_as_well),
    };

    return cmocka_run_group_tests_name("narrow", tests, NULL, NULL);
}

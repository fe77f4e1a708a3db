/* The short way to a P-256 key leads where OpenSSL's own does, and what is refused is refused by
 * OpenSSL: its decoder stands behind ours here, and counts how often it is asked. */
#include "pair.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include "stream_int.h"

enum { SHAPE = 91, HEAD = 26, MAX = 600 };

/* ---- OpenSSL's decoder, counted -------------------------------------------------------------- */

static OSSL_FUNC_decoder_decode_fn *openssl;
static unsigned asked;

static int count(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *take, void *arg,
                 OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    asked++;
    return openssl(ctx, in, selection, take, arg, ask, ask_arg);
}

static int stand_between(void **state)
{
    OSSL_PROVIDER *whole = OSSL_PROVIDER_load(NULL, "default");
    static OSSL_DISPATCH counted[16];
    int no_cache;

    (void)state;
    assert_non_null(stream_narrow());
    for (const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(whole, OSSL_OP_DECODER, &no_cache);
         a->algorithm_names; a++) {
        if (strcmp(a->algorithm_names, "EC") != 0 || openssl ||
            !strstr(a->property_definition, "input=der,structure=SubjectPublicKeyInfo"))
            continue;
        for (size_t i = 0; a->implementation[i].function_id != 0; i++) {
            counted[i] = a->implementation[i];
            if (counted[i].function_id == OSSL_FUNC_DECODER_DECODE) {
                openssl = OSSL_FUNC_decoder_decode(&counted[i]);
                counted[i].function = (void (*)(void))count;
            }
        }
    }
    assert_non_null(openssl);
    assert_ptr_not_equal(stream_ec_key_before(counted), counted);
    return OSSL_PROVIDER_unload(whole) == 1 ? 0 : -1;
}

/* ---- reading keys ---------------------------------------------------------------------------- */

static EVP_PKEY *read_in(OSSL_LIB_CTX *ctx, const uint8_t *der, size_t n)
{
    const unsigned char *p = der;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, (long)n, ctx, NULL);

    cph_crypto_drain(NULL);
    return key;
}

/* Both ways: to the same key, or to none. asked is then how often OpenSSL's decoder was on ours. */
static bool is_read(const uint8_t *der, size_t n)
{
    EVP_PKEY *usual = read_in(NULL, der, n), *key;
    bool is = usual != NULL;

    asked = 0;
    key = read_in(stream_narrow(), der, n);
    assert_int_equal(key != NULL, is);
    if (is) {
        uint8_t *back[2] = { NULL, NULL };

        assert_int_equal(EVP_PKEY_eq(key, usual), 1);
        assert_int_equal(i2d_PUBKEY(key, &back[0]), i2d_PUBKEY(usual, &back[1]));
        assert_memory_equal(back[0], back[1], (size_t)i2d_PUBKEY(key, NULL));
        OPENSSL_free(back[0]);
        OPENSSL_free(back[1]);
    }
    EVP_PKEY_free(usual);
    EVP_PKEY_free(key);
    return is;
}

static size_t make(EVP_PKEY *key, const char *form, uint8_t out[MAX])
{
    uint8_t *p = out;
    int n;

    if (form)
        assert_int_equal(
            EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form),
            1);
    n = i2d_PUBKEY(key, &p);
    assert_in_range(n, 1, MAX);
    EVP_PKEY_free(key);
    return (size_t)n;
}

/* ---- one shape, and only that ---------------------------------------------------------------- */

static void a_p256_key_takes_the_short_way(void **state)
{
    uint8_t der[MAX];

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(make(EVP_EC_gen("P-256"), NULL, der), SHAPE);
        assert_true(is_read(der, SHAPE));
        assert_int_equal(asked, 0);
    }
}

static void every_other_key_is_left_to_openssl(void **state)
{
    static const struct {
        const char *curve, *form;
    } ec[] = { { "P-256", "compressed" }, { "P-256", "hybrid" }, { "P-384", NULL },
               { "P-521", NULL },         { "secp256k1", NULL }, { "brainpoolP256r1", NULL } };
    EVP_PKEY *of_size;
    uint8_t der[MAX];

    (void)state;
    for (size_t i = 0; i < sizeof ec / sizeof *ec; i++) {
        assert_true(is_read(der, make(EVP_EC_gen(ec[i].curve), ec[i].form, der)));
        assert_int_equal(asked, 1);
    }
    assert_true(is_read(der, make(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, der)));
    assert_int_equal(asked, 0);
    assert_true(is_read(der, make(EVP_RSA_gen(2048), NULL, der)));
    assert_int_equal(asked, 0);
    of_size = EVP_EC_gen("P-256"); /* the curve spelled out instead of named */
    assert_int_equal(
        EVP_PKEY_set_utf8_string_param(of_size, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
    assert_true(is_read(der, make(of_size, NULL, der)));
    assert_int_equal(asked, 1);
}

/* The point at infinity is one octet (SEC 1 2.3.3). OpenSSL 3.0 reads it; no signature fits it. */
static void what_is_no_point_of_the_curve_is_left_to_openssl(void **state)
{
    static const uint8_t infinity[] = { 0x30, 0x19, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x02, 0x00, 0x00 };
    uint8_t der[MAX];

    (void)state;
    asked = 0;
    EVP_PKEY_free(read_in(stream_narrow(), infinity, sizeof infinity));
    assert_int_equal(asked, 1);
    assert_int_equal(make(EVP_EC_gen("P-256"), NULL, der), SHAPE);
    memset(der + HEAD + 1, 0, 64);
    assert_false(is_read(der, SHAPE));
    assert_int_equal(asked, 1);
    memset(der + HEAD + 1, 0xff, 64); /* beyond the field */
    assert_false(is_read(der, SHAPE));
    assert_int_equal(asked, 1);
}

static void with_any_bit_wrong_the_answer_is_openssls(void **state)
{
    uint8_t der[MAX];

    (void)state;
    assert_int_equal(make(EVP_EC_gen("P-256"), NULL, der), SHAPE);
    for (size_t bit = 0; bit < SHAPE * 8; bit++) {
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit >= (HEAD + 1) * 8) { /* beside the curve */
            assert_false(is_read(der, SHAPE));
            assert_int_equal(asked, 1);
        } else if (bit / 8 >= HEAD - 1) { /* an octet for bits unused, or another form */
            (void)is_read(der, SHAPE);
        } else {
            assert_null(read_in(stream_narrow(), der, SHAPE));
        }
        der[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < SHAPE; n++)
        assert_null(read_in(stream_narrow(), der, n));
    assert_true(is_read(der, SHAPE));
    assert_int_equal(asked, 0);
}

/* One octet more, inside the structure and behind it. */
static void what_is_longer_is_not_cut(void **state)
{
    OSSL_DECODER_CTX *ctx;
    const uint8_t *at;
    EVP_PKEY *key = NULL;
    uint8_t der[MAX];
    size_t n = SHAPE + 1;

    (void)state;
    assert_int_equal(make(EVP_EC_gen("P-256"), NULL, der), SHAPE);
    der[SHAPE] = 0;
    ctx = OSSL_DECODER_CTX_new_for_pkey(&key, "DER", "SubjectPublicKeyInfo", "EC",
                                        EVP_PKEY_PUBLIC_KEY, stream_narrow(), NULL);
    at = der;
    asked = 0;
    assert_int_equal(OSSL_DECODER_from_data(ctx, &at, &n), 1);
    assert_int_equal(asked, 1);
    assert_int_equal(n, 1); /* it is left, and said to be */
    OSSL_DECODER_CTX_free(ctx);
    EVP_PKEY_free(key);

    der[1]++;
    der[HEAD - 2]++;
    assert_false(is_read(der, SHAPE + 1));
    assert_int_equal(asked, 1);
}

/* ---- what it is good for --------------------------------------------------------------------- */

static void a_key_that_was_read_so_checks_signatures(void **state)
{
    static const struct cph_span msg = { (const uint8_t *)"said", 4 };
    EVP_PKEY *own = EVP_EC_gen("P-256"), *key;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t sig[128], der[MAX], *p = der;
    size_t n = sizeof sig;

    (void)state;
    assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, own), 1);
    assert_int_equal(EVP_DigestSign(md, sig, &n, msg.p, msg.n), 1);
    EVP_MD_CTX_reset(md);
    assert_int_equal(i2d_PUBKEY(own, &p), SHAPE);
    key = read_in(stream_narrow(), der, SHAPE);
    for (int wrong = 0; wrong < 2; wrong++) {
        sig[n - 1] ^= (uint8_t)wrong;
        assert_int_equal(
            EVP_DigestVerifyInit_ex(md, NULL, "SHA2-256", stream_narrow(), NULL, key, NULL), 1);
        assert_int_equal(EVP_DigestVerify(md, sig, n, msg.p, msg.n), !wrong);
        EVP_MD_CTX_reset(md);
    }
    cph_crypto_drain(NULL);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    EVP_PKEY_free(own);
}

static void a_handshake_takes_it_on_both_sides(void **state)
{
    struct cph_stream_config cfg[2];
    struct pair p;

    (void)state;
    pair_init(&p, 1, CPH_STREAM_DTLS, cfg);
    pair_open(&p, cfg);
    asked = 0;
    run(&p, CPH_SEC(10));
    assert_true(both(&p, CPH_STREAM_OPEN));
    assert_int_equal(asked, 0);
    pair_free(&p);
}

static void a_decoder_of_another_make_is_left_alone(void **state)
{
    static const OSSL_DISPATCH none[] = { { 0, NULL } };
    OSSL_DISPATCH many[40] = { { 0, NULL } };

    (void)state;
    assert_ptr_equal(stream_ec_key_before(none), none);
    for (int i = 0; i < 39; i++)
        many[i].function_id = 100 + i;
    assert_ptr_equal(stream_ec_key_before(many), many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_p256_key_takes_the_short_way),
        cmocka_unit_test(every_other_key_is_left_to_openssl),
        cmocka_unit_test(what_is_no_point_of_the_curve_is_left_to_openssl),
        cmocka_unit_test(with_any_bit_wrong_the_answer_is_openssls),
        cmocka_unit_test(what_is_longer_is_not_cut),
        cmocka_unit_test(a_key_that_was_read_so_checks_signatures),
        cmocka_unit_test(a_handshake_takes_it_on_both_sides),
        cmocka_unit_test(a_decoder_of_another_make_is_left_alone),
    };

    return cmocka_run_group_tests_name("ec_key", tests, stand_between, NULL);
}

/* Alice and Bob with all that MIKEY can want of them: shared by the tests of it. A test takes away
 * or changes what it is about. */
#ifndef MIKEY_WORLD_H
#define MIKEY_WORLD_H

#include "pair.h"

#include "ciphony/crypto_key.h"
#include "mikey/row_int.h"

#define ALICE "sip:alice@example.org"
#define BOB   "sip:bob@example.org"

static const struct cph_keying_method *row[2];
static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
static struct test_env env_a, env_b;
static struct cph_key *rsa_a, *rsa_b, *ec_a, *ec_b, *ec_b256;
static struct cph_cert *cert_rsa_a, *cert_rsa_b, *cert_ec_a, *cert_ec_b, *cert_ec_b256;
static struct cph_trust *trust;
static struct cph_mikey_cfg cfg_a, cfg_b;
static struct cph_mikey *ma, *mb;
static struct pair p;

static inline struct cph_cert *cert_for(const struct cph_key *key, const char *uri)
{
    struct cph_cert_name san = { CPH_NAME_URI, cph_span_of(uri) };
    struct cph_cert_spec spec = {
        .cn = uri, .san = &san, .n_san = 1, .not_before = 0, .not_after = 4000000000
    };
    struct cph_cert *cert;

    assert_ok(cph_cert_self_signed(&env_a.env, key, &spec, &cert));
    assert_ok(cph_trust_add(trust, cert));
    return cert;
}

static inline int open_all(void **state)
{
    (void)state;
    row[0] = cph_keying_method_by_name(CPH_SPAN_LIT("mikey"));
    test_env_init(&env_a, 1);
    test_env_init(&env_b, 2);
    assert_ok(cph_trust_new(&trust));
    assert_ok(cph_key_generate(&env_a.env, CPH_KEY_RSA, &rsa_a));
    assert_ok(cph_key_generate(&env_a.env, CPH_KEY_RSA, &rsa_b));
    assert_ok(cph_key_generate(&env_a.env, CPH_KEY_EC_P256, &ec_a));
    assert_ok(cph_key_generate(&env_a.env, CPH_KEY_EC_P384, &ec_b));
    assert_ok(cph_key_generate(&env_a.env, CPH_KEY_EC_P256, &ec_b256));
    cert_rsa_a = cert_for(rsa_a, ALICE);
    cert_rsa_b = cert_for(rsa_b, BOB);
    cert_ec_a = cert_for(ec_a, ALICE);
    cert_ec_b = cert_for(ec_b, BOB);
    cert_ec_b256 = cert_for(ec_b256, BOB);
    return 0;
}

static inline int close_all(void **state)
{
    (void)state;
    cph_key_free(rsa_a);
    cph_key_free(rsa_b);
    cph_key_free(ec_a);
    cph_key_free(ec_b);
    cph_cert_free(cert_rsa_a);
    cph_cert_free(cert_rsa_b);
    cph_cert_free(cert_ec_a);
    cph_cert_free(cert_ec_b);
    cph_cert_free(cert_ec_b256);
    cph_key_free(ec_b256);
    cph_trust_free(trust);
    return 0;
}

static inline int defaults(void **state)
{
    (void)state;
    test_env_init(&env_a, 1);
    test_env_init(&env_b, 2);
    cfg_a = (struct cph_mikey_cfg){ .env = &env_a.env,
                                    .mode = CPH_MIKEY_PSK,
                                    .id = ALICE,
                                    .peer_id = BOB,
                                    .psk = &psk,
                                    .key = rsa_a,
                                    .cert = cert_rsa_a,
                                    .trust = trust };
    cfg_b = (struct cph_mikey_cfg){ .env = &env_b.env,
                                    .mode = CPH_MIKEY_PSK,
                                    .id = BOB,
                                    .peer_id = ALICE,
                                    .psk = &psk,
                                    .key = rsa_b,
                                    .cert = cert_rsa_b,
                                    .trust = trust };
    ma = mb = NULL;
    memset(&p, 0, sizeof p);
    return 0;
}

static inline void reopen_with(const char *const *suites_a, const char *const *suites_b)
{
    struct cph_nego_cfg a = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct cph_nego_cfg b = a;

    if (p.arena)
        pair_close(&p);
    cph_mikey_free(ma);
    cph_mikey_free(mb);
    assert_ok(cph_mikey_new(&cfg_a, &ma));
    assert_ok(cph_mikey_new(&cfg_b, &mb));
    a.keying.mikey = ma;
    b.keying.mikey = mb;
    a.keying.suites = suites_a;
    b.keying.suites = suites_b;
    pair_open(&p, a, b);
}

static inline void reopen(void)
{
    reopen_with(NULL, NULL);
}

static inline int teardown(void **state)
{
    (void)state;
    if (p.arena)
        pair_close(&p);
    cph_mikey_free(ma);
    cph_mikey_free(mb);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, defaults, teardown)

static inline struct cph_span mikey_attr(const struct cph_sdp *sdp)
{
    struct mikey_found f;

    assert_true(mikey_find(sdp, sdp->media[0], &f));
    return f.attr.data;
}

static inline struct mikey_text decoded(const struct cph_sdp *sdp)
{
    struct mikey_found f;
    struct mikey_text t;

    assert_true(mikey_find(sdp, sdp->media[0], &f));
    assert_ok(mikey_decode(&f, &t));
    return t;
}

static inline struct mikey_msg parsed(const struct cph_sdp *sdp, struct mikey_text *text)
{
    struct mikey_msg m;

    *text = decoded(sdp);
    assert_ok(mikey_parse((struct cph_span){ text->b, text->n }, &m, NULL));
    return m;
}

/* The same description with another message in it. */
static inline struct cph_sdp *with_message(const struct cph_sdp *sdp, const struct mikey_text *t)
{
    static char now[20000], was[20000];

    assert_ok(cph_span_cstr(mikey_attr(sdp), was, sizeof was));
    cph_base64((struct cph_span){ t->b, t->n }, now);
    if (strcmp(was, now) == 0)
        return (struct cph_sdp *)(uintptr_t)sdp;
    return tampered(&p, sdp, was, now);
}

#endif

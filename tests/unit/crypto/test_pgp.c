#include "support.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_pgp.h"
#include "pgp_int.h"

static struct test_env t;

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 9);
    return 0;
}

static cph_err named(const char *name)
{
    for (int e = 0; e < CPH_E_COUNT_; e++)
        if (strcmp(cph_err_name((cph_err)e), name) == 0)
            return (cph_err)e;
    fail_msg("no error %s", name);
    return CPH_E_BUG;
}

struct record {
    const char *name, *names;
    cph_err load, verify;
    int64_t until;
    struct cph_span key, sig, msg;
};

static bool next(struct vectors *v, struct record *r)
{
    uint64_t now, until;

    if (!vectors_next(v))
        return false;
    *r = (struct record){ .name = vectors_text(v, "name"),
                          .names = vectors_text(v, "names"),
                          .load = named(vectors_text(v, "load")),
                          .verify = named(vectors_text(v, "verify")),
                          .key = vectors_hex(v, "key"),
                          .sig = vectors_hex(v, "sig"),
                          .msg = vectors_hex(v, "msg") };
    assert_ok(cph_span_u64(cph_span_of(vectors_text(v, "now")), &now));
    assert_ok(cph_span_u64(cph_span_of(vectors_text(v, "until")), &until));
    t.wall = (int64_t)now;
    r->until = until ? (int64_t)until : INT64_MAX;
    return true;
}

static void what_gpg_made_is_taken_for_what_it_is(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct cph_pgp_by by;
    struct record r;
    size_t seen = 0;

    (void)state;
    for (; next(v, &r); seen++) {
        struct cph_pgp_key *key = NULL;
        cph_err err = cph_pgp_key_load(&t.env, r.key, &key);

        if (err != r.load)
            fail_msg("%s: loaded with %s", r.name, cph_err_name(err));
        if (err == CPH_OK) {
            err = cph_pgp_verify(&t.env, key, r.msg, r.sig, &by);
            if (err != r.verify)
                fail_msg("%s: verified with %s", r.name, cph_err_name(err));
        }
        if (r.load == CPH_OK && r.verify == CPH_OK) {
            assert_memory_equal(by.fingerprint, cph_pgp_key_fingerprint(key), 32);
            assert_true(by.not_before == 1767225600 && by.not_after == r.until);
            if (r.names[0])
                assert_true(cph_pgp_key_names(key, cph_span_of(r.names)));
            assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("mallory@example.org")));
        }
        cph_pgp_key_free(key);
    }
    assert_int_equal(seen, 26);
    vectors_close(v);
}

static void names_are_compared_whole(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct cph_pgp_key *key;
    struct record r;

    (void)state;
    while (next(v, &r) && strcmp(r.name, "two names") != 0)
        ;
    assert_ok(cph_pgp_key_load(&t.env, r.key, &key));
    assert_true(cph_pgp_key_names(key, CPH_SPAN_LIT("sip:two@example.org")));
    assert_true(cph_pgp_key_names(key, CPH_SPAN_LIT("sips:TWO@example.net")));
    assert_true(cph_pgp_key_names(key, CPH_SPAN_LIT("two@Example.net")));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("wo@example.org")));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("two@example.or")));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("two")));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("")));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("sip:")));
    cph_pgp_key_free(key);
    while (next(v, &r) && strcmp(r.name, "one name that was revoked") != 0)
        ;
    assert_ok(cph_pgp_key_load(&t.env, r.key, &key));
    assert_false(cph_pgp_key_names(key, CPH_SPAN_LIT("two@example.org")));
    cph_pgp_key_free(key);
    vectors_close(v);
}

/* ---- wrong values ---------------------------------------------------------------------------- */

struct golden {
    struct cph_pgp_key *key;
    struct cph_span msg;
};

static cph_err verify_one(void *arg, struct cph_span bytes)
{
    const struct golden *g = arg;
    struct cph_pgp_by by;

    return cph_pgp_verify(&t.env, g->key, g->msg, bytes, &by);
}

/* Every field of a signature is signed, or is the signature, but what is only advice: which key it
 * was, outside of what is hashed. That too names another key then, or nothing that is known. */
static void a_signature_may_not_change_in_one_bit(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct record r;
    size_t step = 1; /* each bit of the first, one of each byte of the others */

    (void)state;
    while (next(v, &r)) {
        struct golden g = { NULL, r.msg };
        struct pgp_sig sig;
        struct cph_rd rd = cph_rd_open(r.sig);
        struct cph_span body;
        size_t advice, advice_end;
        uint8_t copy[CPH_PGP_SIGNATURE_MAX], tag;

        if (r.load != CPH_OK || r.verify != CPH_OK)
            continue;
        assert_ok(cph_pgp_key_load(&t.env, r.key, &g.key));
        assert_ok(pgp_packet(&rd, &tag, &body));
        assert_ok(pgp_sig_parse(body, &sig));
        advice = (size_t)(body.p - r.sig.p) + sig.hashed.n + 2; /* gpg: one subpacket, the issuer */
        advice_end = advice + 10;
        memcpy(copy, r.sig.p, r.sig.n);
        for (size_t bit = 0; bit < 8 * r.sig.n; bit += step) {
            bool advised = bit / 8 >= advice && bit / 8 < advice_end;

            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            /* the critical bit, or another kind of subpacket: nothing hangs on it */
            if (!advised || bit / 8 > advice + 1)
                assert_true(verify_one(&g, (struct cph_span){ copy, r.sig.n }) != CPH_OK);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        cph_pgp_key_free(g.key);
        step = 7;
    }
    vectors_close(v);
}

static void a_signature_may_not_be_shorter_and_not_longer_than_a_word(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    uint8_t longer[CPH_PGP_SIGNATURE_MAX + 1] = { 0 };
    struct record r;
    struct golden g;

    (void)state;
    assert_true(next(v, &r));
    assert_ok(cph_pgp_key_load(&t.env, r.key, &g.key));
    g.msg = r.msg;
    expect_fragile(r.sig, FRAGILE_TRUNCATION, verify_one, &g);
    memcpy(longer, r.sig.p, r.sig.n);
    for (size_t zeros = 0; zeros < 4; zeros++)
        assert_ok(verify_one(&g, (struct cph_span){ longer, r.sig.n + zeros }));
    assert_err(verify_one(&g, (struct cph_span){ longer, r.sig.n + 4 }), CPH_E_TRAILING);
    assert_err(verify_one(&g, (struct cph_span){ longer, sizeof longer }), CPH_E_LIMIT);
    longer[r.sig.n] = 1;
    assert_err(verify_one(&g, (struct cph_span){ longer, r.sig.n + 1 }), CPH_E_TRAILING);
    cph_pgp_key_free(g.key);
    vectors_close(v);
}

static cph_err load_one(void *arg, struct cph_span bytes)
{
    struct cph_pgp_key *key = NULL;
    cph_err err = cph_pgp_key_load(&t.env, bytes, &key);

    (void)arg;
    cph_pgp_key_free(key);
    return err;
}

/* Of a key with one name each bit counts, but the advice who signed it. */
static void a_key_may_not_change_in_one_bit(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct record r;

    (void)state;
    while (next(v, &r) && strncmp(r.name, "in armour", 9) != 0) {
        uint8_t copy[CPH_PGP_FILE_MAX];
        struct cph_rd rd = cph_rd_open(r.key);
        struct cph_span body = { NULL, 0 };
        struct pgp_sig sig;
        size_t advice;
        uint8_t tag;

        while (pgp_packet(&rd, &tag, &body) == CPH_OK)
            ;
        assert_ok(pgp_sig_parse(body, &sig));
        advice = (size_t)(body.p - r.key.p) + sig.hashed.n + 2;
        memcpy(copy, r.key.p, r.key.n);
        for (size_t at = 0; at < r.key.n; at++) {
            if (at == advice + 1)
                continue; /* the kind of the advice */
            copy[at] ^= 1;
            if (load_one(NULL, (struct cph_span){ copy, r.key.n }) == CPH_OK)
                fail_msg("%s: byte %zu of the key does not count", r.name, at);
            copy[at] ^= 1;
        }
    }
    r.key.n--; /* the armoured one; a last line without its end is still one */
    expect_fragile(r.key, FRAGILE_TRUNCATION, load_one, NULL);
    vectors_close(v);
}

static void armour_is_checked(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "hello",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmFIE\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmF*E\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN PGP MESSAGE-----\n\nmFIE\n-----END PGP MESSAGE-----\n",
    };
    uint8_t zeros[CPH_PGP_FILE_MAX + 1] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(load_one(NULL, cph_span_of(wrong[i])) != CPH_OK);
    assert_err(load_one(NULL, (struct cph_span){ zeros, sizeof zeros }), CPH_E_LIMIT);
}

static void numbers_are_as_short_as_can_be(void **state)
{
    /* version, created, algorithm, n of 9 bits, e of 2 */
    uint8_t key[] = { 4, 1, 2, 3, 4, 1, 0, 9, 1, 0, 0, 2, 3 };
    struct pgp_public pub;

    (void)state;
    assert_ok(pgp_public_parse((struct cph_span){ key, sizeof key }, &pub));
    assert_true(pub.created == 0x01020304 && pub.n == 2 && pub.mpi[0].n == 2 && pub.mpi[1].n == 1);
    key[7] = 10;
    assert_err(pgp_public_parse((struct cph_span){ key, sizeof key }, &pub), CPH_E_MALFORMED);
    key[7] = 9;
    key[0] = 3;
    assert_err(pgp_public_parse((struct cph_span){ key, sizeof key }, &pub), CPH_E_UNSUPPORTED);
    key[0] = 4;
    key[5] = 16; /* Elgamal: it cannot sign */
    assert_err(pgp_public_parse((struct cph_span){ key, sizeof key }, &pub), CPH_E_UNSUPPORTED);
}

static void a_short_rsa_key_is_refused(void **state)
{
    uint8_t key[9 + 255 + 5] = { 4, 0, 0, 0, 1, 1, 0x07, 0xf8, 0x80 };
    struct pgp_public pub;
    EVP_PKEY *pkey;

    (void)state;
    key[8 + 254] = 1;
    memcpy(key + 8 + 255, "\0\2\3", 3);
    assert_ok(pgp_public_parse((struct cph_span){ key, 8 + 255 + 3 }, &pub)); /* 2040 bits */
    assert_err(pgp_pkey(&pub, &pkey), CPH_E_UNSUPPORTED);
}

static cph_err load_and_verify(void *arg)
{
    const struct record *r = arg;
    struct cph_pgp_key *key = NULL;
    struct cph_pgp_by by;
    cph_err err = cph_pgp_key_load(&t.env, r->key, &key);

    if (err == CPH_OK)
        err = cph_pgp_verify(&t.env, key, r->msg, r->sig, &by);
    cph_pgp_key_free(key);
    return err;
}

static void memory_may_run_out(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct record r;

    (void)state;
    while (next(v, &r) && strcmp(r.name, "in armour") != 0)
        ;
    test_alloc_fails(load_and_verify, &r);
    vectors_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gpg_made_is_taken_for_what_it_is),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(a_signature_may_not_change_in_one_bit),
        cmocka_unit_test(a_signature_may_not_be_shorter_and_not_longer_than_a_word),
        cmocka_unit_test(a_key_may_not_change_in_one_bit),
        cmocka_unit_test(armour_is_checked),
        cmocka_unit_test(numbers_are_as_short_as_can_be),
        cmocka_unit_test(a_short_rsa_key_is_refused),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}

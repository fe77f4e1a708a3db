/* When the keys are there: GoClear, the trusted man in the middle, signatures over the string (RFC
 * 6189 4.7, 7.2, 7.3). */
#include "zrtp_pair.h"

#include "ciphony/crypto_key.h"
#include "ciphony/crypto_pgp.h"

#include "ciphony/base_text.h"

/* ---- GoClear (4.7.2) ------------------------------------------------------------------------- */

static void a_call_goes_clear_and_secure_again(void **state)
{
    struct cph_srtp_policy before = { 0 }, after = { 0 };
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 84);
    d.streams = 2;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    duo_call(&d);
    for (int round = 0; round < 3; round++) {
        int who = round % 2;

        assert_ok(zrtp_srtp_policy(d.end[0].z[0], CPH_KEYING_SEND, &before));
        d.lose = ZRTP_CLEARACK;
        d.lose_n = (unsigned)round;
        d.tap = lose_some;
        assert_ok(cph_zrtp_clear(&d.end[who].z[0]->base, d.now));
        assert_err(zrtp_srtp_policy(d.end[who].z[0], CPH_KEYING_SEND, &after), CPH_E_AGAIN);
        duo_run(&d, d.now + CPH_SEC(5));
        d.tap = NULL;
        assert_true(duo_all_in(&d, ZRTP_CLEAR)); /* every stream */
        for (int e = 0; e < 2; e++)
            for (int s = 0; s < 2; s++) {
                assert_err(zrtp_srtp_policy(d.end[e].z[s], CPH_KEYING_SEND, &after), CPH_E_AGAIN);
                assert_int_equal(d.end[e].z[s]->live.keys.srtp[0].n, 0);
            }
        info_of(d.end[0].z[0], &info);
        assert_true(info.clear && !info.secure);
        assert_ok(cph_zrtp_secure(&d.end[who].z[0]->base, d.now));
        assert_ok(cph_zrtp_secure(&d.end[1 - who].z[1]->base, d.now));
        duo_run(&d, d.now + CPH_SEC(5));
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        assert_same_keys(&d, 0);
        assert_same_keys(&d, 1);
        assert_ok(zrtp_srtp_policy(d.end[0].z[0], CPH_KEYING_SEND, &after));
        assert_memory_not_equal(before.master.key.b, after.master.key.b, 16);
        assert_int_equal(d.end[0].z[0]->live.committed.mode, CPH_ZRTP_MULTISTREAM);
    }
    duo_close(&d);
}

static void goclear_needs_leave_and_a_good_mac(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 85);
    duo_call(&d);
    assert_err(cph_zrtp_clear(&d.end[0].z[0]->base, d.now), CPH_E_POLICY);
    d.end[0].z[0]->live.peer_flags |= ZRTP_FLAG_A; /* and asks all the same */
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(5));
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_GOCLEAR);
    assert_int_equal(d.end[1].z[0]->live.err, CPH_E_POLICY); /* and no RTP */
    duo_close(&d);

    duo_init(&d, 86);
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    d.tap = flip_some;
    d.flip = ZRTP_GOCLEAR;
    d.flip_at = 15;
    d.flip_n = UINT_MAX;
    duo_call(&d);
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(60));
    assert_int_equal(d.end[1].z[0]->live.state, ZRTP_SECURE); /* RFC 6189 4.7.2 MUST NOT */
    assert_int_equal(d.sent[1][ZRTP_CLEARACK], 0);
    assert_int_equal(d.sent[0][ZRTP_GOCLEAR], 11);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_CLEAR); /* its keys went all the same */
    duo_close(&d);
}

/* ---- trusted man in the middle (7.3) --------------------------------------------------------- */

static void a_relayed_sas_is_shown_only_when_enrolled(void **state)
{
    struct cph_zrtp_info phone, far;
    struct duo inside, outside;

    (void)state;
    for (int enrolled = 0; enrolled < 2; enrolled++) {
        duo_init(&inside, 87); /* end 0: the phone; end 1: the exchange */
        inside.end[1].cfg.mitm = true;
        inside.end[1].cfg.enroll = true;
        duo_call(&inside);
        info_of(inside.end[0].z[0], &phone);
        assert_true(phone.peer_mitm && phone.enroll_asked && !phone.trusted_mitm);
        if (enrolled) {
            assert_ok(cph_zrtp_enroll(&inside.end[0].z[0]->base));
            assert_ok(cph_zrtp_enroll(&inside.end[1].z[0]->base));
            assert_memory_equal(kept_by(&inside, 0)->pbx.b, kept_by(&inside, 1)->pbx.b, 32);
            assert_int_equal(kept_by(&inside, 0)->pbx.n, 32);
        }
        inside.end[1].cfg.enroll = false;
        next_call(&inside);
        duo_init(&outside, 88); /* end 0: somebody outside; end 1: the exchange */
        outside.end[1].cfg.mitm = true;
        outside.end[0].cfg.sas = (const char *const[]){ "B256", NULL };
        outside.end[1].cfg.passive = true;
        duo_call(&outside);

        inside.tap = lose_some;
        inside.lose = ZRTP_RELAYACK;
        inside.lose_n = 2;
        assert_ok(
            cph_zrtp_relay(&inside.end[1].z[0]->base, &outside.end[1].z[0]->base, inside.now));
        duo_run(&inside, inside.now + CPH_SEC(5));
        assert_int_equal(inside.end[1].z[0]->live.state, ZRTP_SECURE);
        assert_int_equal(inside.sent[1][ZRTP_SASRELAY], 3);
        info_of(inside.end[0].z[0], &phone);
        info_of(outside.end[0].z[0], &far);
        assert_int_equal(phone.trusted_mitm, enrolled);
        assert_string_equal(phone.relayed_sas, enrolled ? far.sas : "");
        assert_err(cph_zrtp_relay(&inside.end[0].z[0]->base, NULL, inside.now), CPH_E_POLICY);
        assert_err(cph_zrtp_enroll(&inside.end[0].z[0]->base), CPH_E_STATE); /* nobody asked */
        duo_close(&inside);
        duo_close(&outside);
    }
}

static const uint8_t *toy_signed; /* what the toy signer was given last */

static cph_err toy_sign_relay(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                              uint8_t *out, size_t cap, size_t *n)
{
    const bool *bad = ctx;

    assert_true(cap >= 40);
    memcpy(type, "X509", 4);
    memcpy(out, sashash, 32);
    memset(out + 32, *bad ? 1 : 2, 8);
    *n = 40;
    return CPH_OK;
}

static cph_err toy_verify_relay(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH],
                                const char type[4], struct cph_span sig, struct cph_zrtp_signed *by)
{
    static uint8_t copy[CPH_ZRTP_SASHASH];

    (void)ctx;
    toy_signed = memcpy(copy, sashash, sizeof copy);
    by->fingerprint[0] = 0x77;
    return memcmp(type, "X509", 4) == 0 && sig.n == 40 && sig.p[39] == 2 &&
                   memcmp(sig.p, sashash, 32) == 0
               ? CPH_OK
               : CPH_E_AUTH;
}

/* RFC 6189 5.13, 7.2: the man in the middle may sign what it relays, with a key of its own. That it
 * is good is told; the string is shown with or without; and the verdict is what it was. */
static void a_signature_inside_a_sasrelay_is_shown_for_what_it_is_worth(void **state)
{
    static const struct {
        bool enrolled, bad, reads;
    } row[] = {
        { true, false, true },
        { true, true, true },
        { false, false, true },
        { true, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bool bad = row[i].bad;
        struct cph_zrtp_signer signs = { &bad, toy_sign_relay, NULL },
                               reads = { NULL, NULL, toy_verify_relay };
        struct cph_zrtp_info phone, far;
        struct duo inside, outside;
        enum cph_keying_auth before;

        duo_init(&inside, 140 + i); /* end 0: the phone; end 1: the exchange */
        inside.end[0].cfg.signer = row[i].reads ? &reads : NULL;
        inside.end[1].cfg.mitm = inside.end[1].cfg.enroll = true;
        duo_call(&inside);
        for (int e = 0; e < 2 && row[i].enrolled; e++)
            assert_ok(cph_zrtp_enroll(&inside.end[e].z[0]->base));
        inside.end[1].cfg.enroll = false;
        inside.end[1].cfg.signer = &signs;
        next_call(&inside);
        duo_init(&outside, 150 + i);
        outside.end[1].cfg.mitm = true;
        duo_call(&outside);
        before = auth_of(&inside, 0);
        toy_signed = NULL;
        assert_ok(
            cph_zrtp_relay(&inside.end[1].z[0]->base, &outside.end[1].z[0]->base, inside.now));
        duo_run(&inside, inside.now + CPH_SEC(2));
        assert_int_equal(inside.end[1].z[0]->live.state, ZRTP_SECURE);
        info_of(inside.end[0].z[0], &phone);
        info_of(outside.end[0].z[0], &far);
        assert_string_equal(phone.relayed_sas, row[i].enrolled ? far.sas : "");
        assert_int_equal(phone.relay_signed, row[i].enrolled && !bad && row[i].reads);
        assert_int_equal(phone.relay_by.fingerprint[0], phone.relay_signed ? 0x77 : 0);
        assert_int_equal(auth_of(&inside, 0), before); /* it raises nothing */
        if (row[i].enrolled &&
            row[i].reads) /* over the relayed string, not over that of this side */
            assert_memory_equal(toy_signed, far.sashash, CPH_ZRTP_SASHASH);
        else
            assert_null(toy_signed);
        duo_close(&inside);
        duo_close(&outside);
    }
}

/* RFC 6189 7.3 MUST: of two enrolled ends one is told the other's SAS, not both; and where one of
 * them is an exchange too, the phone. */
static void of_two_enrolled_ends_one_is_told(void **state)
{
    static const struct {
        bool first_is_exchange, second_is_exchange, first_told, second_told;
    } row[] = {
        { false, false, true, false },
        { false, true, true, false },
        { true, false, false, true },
        { true, true, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo side[2]; /* end 0: who is enrolled; end 1: the exchange */
        struct cph_zrtp_info info[2];

        for (int k = 0; k < 2; k++) {
            duo_init(&side[k], 100 + 2 * i + (unsigned)k);
            side[k].end[0].cfg.mitm = k ? row[i].second_is_exchange : row[i].first_is_exchange;
            side[k].end[1].cfg.mitm = side[k].end[1].cfg.enroll = true;
            duo_call(&side[k]);
            for (int e = 0; e < 2; e++)
                assert_ok(cph_zrtp_enroll(&side[k].end[e].z[0]->base));
            side[k].end[1].cfg.enroll = false;
            next_call(&side[k]);
        }
        for (int k = 0; k < 2; k++) {
            assert_ok(cph_zrtp_relay(&side[k].end[1].z[0]->base, &side[1 - k].end[1].z[0]->base,
                                     side[k].now));
            duo_run(&side[k], side[k].now + CPH_SEC(2));
            info_of(side[k].end[0].z[0], &info[k]);
        }
        assert_string_equal(info[0].relayed_sas, row[i].first_told ? info[1].sas : "");
        assert_string_equal(info[1].relayed_sas, row[i].second_told ? info[0].sas : "");
        for (int k = 0; k < 2; k++)
            duo_close(&side[k]);
    }
}

/* ---- signatures (7.2) ------------------------------------------------------------------------ */

static cph_err toy_sign(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                        uint8_t *out, size_t cap, size_t *n)
{
    (void)ctx;
    assert_true(cap >= 35);
    memcpy(type, "X509", 4);
    memcpy(out, sashash, 32);
    memcpy(out + 32, "sig", 3);
    *n = 35;
    return CPH_OK;
}

static cph_err toy_verify(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                          struct cph_span sig, struct cph_zrtp_signed *by)
{
    bool *good = ctx;

    by->trusted = true;
    assert_memory_equal(type, "X509", 4);
    assert_int_equal(sig.n, 36); /* padded */
    assert_memory_equal(sig.p, sashash, 32);
    return *good ? CPH_OK : CPH_E_AUTH;
}

static void a_signature_over_the_sas_is_carried_and_asked_about(void **state)
{
    bool good;
    struct cph_zrtp_signer signer = { &good, toy_sign, toy_verify };
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        good = i;
        duo_init(&d, 90);
        d.end[0].cfg.signer = d.end[1].cfg.signer = &signer;
        duo_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.signed_by_peer, good);
        assert_int_equal(auth_of(&d, 0), good ? CPH_KEYING_AUTH_CERT : CPH_KEYING_AUTH_NONE);
        duo_close(&d);
    }
    duo_init(&d, 91); /* the peer cannot read them: none is sent */
    d.end[0].cfg.signer = &signer;
    duo_call(&d);
    info_of(d.end[1].z[0], &info);
    assert_false(info.signed_by_peer);
    duo_close(&d);
}

/* RFC 6189 7.2.2: a certificate, and r and s behind it at the next word. */
static void a_certificate_signs_the_string_and_every_change_of_it_is_found(void **state)
{
    static const enum cph_key_kind kind[] = { CPH_KEY_EC_P256, CPH_KEY_EC_P384 };
    static const uint8_t sashash[CPH_ZRTP_SASHASH] = "what both ends have computed ...";
    struct test_env te;

    (void)state;
    test_env_init(&te, 130);
    for (size_t k = 0; k < 2; k++) {
        struct cph_cert_spec spec = { .cn = "device",
                                      .not_before = te.wall - 10,
                                      .not_after = te.wall + 1000 };
        struct cph_zrtp_signing x = { .env = &te.env };
        struct cph_zrtp_signer signer;
        struct cph_zrtp_signed by = { 0 };
        struct cph_fingerprint fp;
        struct cph_key *key;
        struct cph_cert *cert;
        uint8_t sig[CPH_ZRTP_SIGNATURE], other[CPH_ZRTP_SASHASH];
        size_t n, der;
        char type[4];

        assert_ok(cph_key_generate(&te.env, kind[k], &key));
        assert_ok(cph_cert_self_signed(&te.env, key, &spec, &cert));
        der = cph_cert_der(cert).n;
        x.key = key;
        x.cert = cert;
        cph_zrtp_signer_init(&x, &signer);
        assert_ok(signer.sign(signer.ctx, sashash, type, sig, sizeof sig, &n));
        assert_memory_equal(type, "X509", 4);
        assert_int_equal(n, (der + 3) / 4 * 4 + (k ? 96 : 64));
        assert_err(signer.sign(signer.ctx, sashash, type, sig, n - 1, &n), CPH_E_NOSPACE);
        assert_ok(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by));
        assert_ok(cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp));
        assert_memory_equal(by.fingerprint, fp.b, 32);
        assert_true(by.not_after == spec.not_after && !by.trusted);
        memcpy(other, sashash, sizeof other);
        other[31] ^= 1;
        assert_err(signer.verify(signer.ctx, other, type, (struct cph_span){ sig, n }, &by),
                   CPH_E_AUTH);
        assert_err(signer.verify(signer.ctx, sashash, "PGP ", (struct cph_span){ sig, n }, &by),
                   CPH_E_NOKEY);
        assert_err(signer.verify(signer.ctx, sashash, "X510", (struct cph_span){ sig, n }, &by),
                   CPH_E_UNSUPPORTED);
        for (size_t cut = 0; cut < n; cut++)
            assert_true(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, cut },
                                      &by) != CPH_OK);
        for (size_t at = (der + 3) / 4 * 4; at < n; at++) {
            sig[at] ^= 1;
            assert_err(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by),
                       CPH_E_AUTH);
            sig[at] ^= 1;
        }
        assert_ok(cph_trust_new((struct cph_trust **)(void *)&x.trust));
        assert_ok(cph_trust_add((struct cph_trust *)(uintptr_t)x.trust, cert));
        assert_ok(signer.verify(signer.ctx, sashash, type, (struct cph_span){ sig, n }, &by));
        assert_true(by.trusted);
        cph_trust_free((struct cph_trust *)(uintptr_t)x.trust);
        cph_cert_free(cert);
        cph_key_free(key);
    }
}

/* RFC 6189 7.2.1: a packet that GnuPG made, and the key that the user has. */
static void an_openpgp_key_that_the_user_has_signs_the_string(void **state)
{
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct cph_pgp_key *key, *another;
    struct cph_span msg, sig;
    uint8_t other[CPH_ZRTP_SASHASH];
    struct test_env te;
    struct cph_zrtp_signing x = { .env = &te.env };
    struct cph_zrtp_signer signer;
    struct cph_zrtp_signed by = { 0 };

    (void)state;
    test_env_init(&te, 131);
    te.wall = 1772323200;
    assert_true(vectors_next(v));
    assert_ok(cph_pgp_key_load(&te.env, vectors_hex(v, "key"), &key));
    msg = vectors_hex(v, "msg");
    sig = vectors_hex(v, "sig");
    assert_int_equal(msg.n, sizeof other);
    cph_zrtp_signer_init(&x, &signer);
    assert_null(signer.sign);
    assert_err(signer.verify(signer.ctx, msg.p, "PGP ", sig, &by), CPH_E_NOKEY);
    x.pgp = key;
    assert_ok(signer.verify(signer.ctx, msg.p, "PGP ", sig, &by));
    assert_memory_equal(by.fingerprint, cph_pgp_key_fingerprint(key), 32);
    assert_true(by.not_before == 1767225600 && by.not_after == INT64_MAX && !by.trusted);
    memcpy(other, msg.p, sizeof other);
    other[0] ^= 1;
    assert_err(signer.verify(signer.ctx, other, "PGP ", sig, &by), CPH_E_AUTH);
    assert_true(signer.verify(signer.ctx, msg.p, "X509", sig, &by) != CPH_OK);
    assert_true(vectors_next(v));
    assert_ok(cph_pgp_key_load(&te.env, vectors_hex(v, "key"), &another));
    assert_err(signer.verify(signer.ctx, msg.p, "PGP ", vectors_hex(v, "sig"), &by), CPH_E_NOKEY);
    cph_pgp_key_free(another);
    cph_pgp_key_free(key);
    vectors_close(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_clear_and_secure_again),
        cmocka_unit_test(goclear_needs_leave_and_a_good_mac),
        cmocka_unit_test(a_relayed_sas_is_shown_only_when_enrolled),
        cmocka_unit_test(a_signature_inside_a_sasrelay_is_shown_for_what_it_is_worth),
        cmocka_unit_test(of_two_enrolled_ends_one_is_told),
        cmocka_unit_test(a_signature_over_the_sas_is_carried_and_asked_about),
        cmocka_unit_test(a_certificate_signs_the_string_and_every_change_of_it_is_found),
        cmocka_unit_test(an_openpgp_key_that_the_user_has_signs_the_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

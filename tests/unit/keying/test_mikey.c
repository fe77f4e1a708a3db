/* MIKEY between two sides: every mode, updates, forks, and what somebody on the way can do. */
#include "mikey_world.h"

/* ---- every mode ------------------------------------------------------------------------------ */

struct claim {
    enum cph_keying_auth auth;
    bool stays, secrecy, bound;
};

static void assert_claims(const struct side *s, struct claim c)
{
    struct cph_keying_evidence e = evidence_of(s);

    assert_string_equal(e.method, "mikey");
    assert_true(e.keyed && e.rtp_encrypted && e.rtcp_encrypted && e.rtp_authenticated);
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_int_equal(e.key_bits, 256);
    assert_int_equal(e.peer_auth, c.auth);
    assert_int_equal(e.keys_stay_at_ends, c.stays);
    assert_int_equal(e.forward_secrecy, c.secrecy);
    assert_int_equal(e.choice_protected, c.bound);
    assert_int_equal(e.notes, 0);
}

static void calls_in(enum cph_mikey_mode mode, struct claim c)
{
    struct cph_sdp *offer, *answer;

    cfg_a.mode = cfg_b.mode = mode;
    reopen();
    offer = make_offer(&p, &p.a);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_int_equal(count_attr(offer, "key-mgmt"), 1);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    assert_claims(&p.a, c);
    assert_claims(&p.b, c);
    /* the same answer again says nothing new (183, then 200) */
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    /* and a later offer of either side goes on, by an update */
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 3);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 4);
    assert_int_equal(p.a.installs[0], 1);
    assert_int_equal(p.b.installs[1], 1);
    assert_claims(&p.a, c);
    /* which brings new keys when it should */
    cph_nego_renew(p.a.nego);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 5);
    cph_nego_renew(p.b.nego);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 6);
    assert_int_equal(p.a.installs[0], 3);
    assert_int_equal(p.b.installs[1], 3);
    assert_int_equal(status_of(&p.a).keying.dir[0].streams, CPH_KEYING_STREAMS_KEEP);
    assert_claims(&p.a, c);
    assert_claims(&p.b, c);
}

static void a_call_under_a_shared_secret(void **state)
{
    (void)state;
    calls_in(CPH_MIKEY_PSK, (struct claim){ CPH_KEYING_AUTH_PSK, true, false, true });
}

static void a_call_with_keys_in_clear_claims_nothing(void **state)
{
    (void)state;
    cfg_a.accept = cfg_b.accept = 1U << CPH_MIKEY_NULL;
    calls_in(CPH_MIKEY_NULL, (struct claim){ CPH_KEYING_AUTH_NONE, false, false, false });
}

static void a_call_by_rsa(void **state)
{
    (void)state;
    cfg_a.peer_cert = cert_rsa_b;
    cfg_b.peer_cert = cert_rsa_a;
    calls_in(CPH_MIKEY_RSA, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
}

static void a_call_by_rsa_oaep_and_pss(void **state)
{
    (void)state;
    cfg_a.peer_cert = cert_rsa_b;
    cfg_b.peer_cert = cert_rsa_a;
    cfg_a.oaep = cfg_b.oaep = cfg_a.pss = cfg_b.pss = true;
    calls_in(CPH_MIKEY_RSA, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
}

static void a_call_by_rsa_in_reverse(void **state)
{
    (void)state;
    calls_in(CPH_MIKEY_RSA_R, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
}

static void a_call_by_signed_diffie_hellman(void **state)
{
    (void)state;
    calls_in(CPH_MIKEY_DHSIGN, (struct claim){ CPH_KEYING_AUTH_CERT, true, true, true });
}

static void a_call_by_diffie_hellman_under_a_shared_secret(void **state)
{
    (void)state;
    calls_in(CPH_MIKEY_DHHMAC, (struct claim){ CPH_KEYING_AUTH_PSK, true, true, true });
}

static void a_call_with_ecdsa_over_every_curve(void **state)
{
    static const enum cph_agree_group curve[] = { CPH_AGREE_P256, CPH_AGREE_P384, CPH_AGREE_P521 };

    (void)state;
    cfg_a.key = ec_a;
    cfg_a.cert = cert_ec_a;
    cfg_b.key = ec_b;
    cfg_b.cert = cert_ec_b;
    for (unsigned i = 0; i < 3; i++) {
        cfg_a.group = cfg_b.group = curve[i];
        calls_in(CPH_MIKEY_DHSIGN, (struct claim){ CPH_KEYING_AUTH_CERT, true, true, true });
    }
}

static void a_call_over_every_prime_of_2048_bits_or_more(void **state)
{
    static const enum cph_agree_group prime[] = { CPH_AGREE_MODP_2048, CPH_AGREE_MODP_3072,
                                                  CPH_AGREE_MODP_4096 };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        cfg_a.group = cfg_b.group = prime[i];
        cfg_a.mode = CPH_MIKEY_DHHMAC;
        reopen();
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
    }
}

static void a_wrapped_key_arrives_too(void **state)
{
    (void)state;
    cfg_a.key_wrap = cfg_b.key_wrap = true;
    calls_in(CPH_MIKEY_PSK, (struct claim){ CPH_KEYING_AUTH_PSK, true, false, true });
    cfg_a.peer_cert = cert_rsa_b;
    cfg_b.peer_cert = cert_rsa_a;
    calls_in(CPH_MIKEY_RSA, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
}

static void keys_with_an_mki_change_it(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC };

    (void)state;
    cfg_a.mki_n = cfg_b.mki_n = 4;
    for (unsigned i = 0; i < 2; i++) {
        CPH_SRTP_POLICY_SCOPED one = { 0 };
        CPH_SRTP_POLICY_SCOPED two = { 0 };

        cfg_a.mode = cfg_b.mode = mode[i];
        reopen();
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
        assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &one));
        cph_nego_renew(p.b.nego);
        exchange(&p, &p.b, &p.a);
        assert_media(&p, 2);
        assert_ok(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &two));
        assert_int_equal(one.master.mki_n, 4);
        assert_int_equal(one.master.mki[3], 1);
        assert_int_equal(two.master.mki[3], 2);
        assert_err(cph_nego_keys(p.b.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 1, &two),
                   CPH_E_NOTFOUND);
    }
}

static void timestamps_may_be_a_counter(void **state)
{
    struct mikey_text t;
    struct mikey_msg m;
    struct cph_sdp *offer, *answer;
    struct cph_mikey *nobody = NULL;

    (void)state;
    cfg_a.counter = cfg_b.counter = true;
    cfg_a.counter_next = 7;
    reopen();
    offer = make_offer(&p, &p.a);
    m = parsed(offer, &t);
    assert_int_equal(m.ts_type, MIKEY_TS_COUNTER);
    assert_int_equal(m.ts, 8); /* who begins has the even ones */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 2);
    cfg_b.counter = false; /* who did not agree to it does not take it: after a start all would be
                              new */
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cfg_a.id = NULL; /* and without a name it is nobody's */
    assert_err(cph_mikey_new(&cfg_a, &nobody), CPH_E_CONFIG);
}

/* ---- suites ---------------------------------------------------------------------------------- */

static void every_suite_of_the_table_can_be_agreed_on(void **state)
{
    (void)state;
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        const char *one[] = { cph_srtp_suites[i]->sdes_name, NULL };

        if (!one[0])
            continue;
        reopen_with(one, one);
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 1);
        assert_string_equal(evidence_of(&p.a).suite, one[0]);
        assert_int_equal(evidence_of(&p.a).tag_bits, 8U * cph_srtp_suites[i]->tag_n);
    }
}

static void a_suite_the_other_does_not_want_is_refused_with_an_error(void **state)
{
    static const char *const gcm[] = { "AEAD_AES_128_GCM", NULL };
    static const char *const cm[] = { "AES_CM_128_HMAC_SHA1_80", NULL };
    struct cph_sdp *offer, *answer;

    (void)state;
    reopen_with(gcm, cm);
    offer = make_offer(&p, &p.a);
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
}

static void in_reverse_the_responder_chooses_the_suite(void **state)
{
    static const char *const all[] = { "AEAD_AES_256_GCM", "AEAD_AES_128_GCM",
                                       "AES_CM_128_HMAC_SHA1_80", NULL };
    static const char *const some[] = { "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", NULL };

    (void)state;
    cfg_a.mode = CPH_MIKEY_RSA_R;
    reopen_with(all, some);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    assert_string_equal(evidence_of(&p.a).suite, "AES_CM_128_HMAC_SHA1_80");
    assert_string_equal(evidence_of(&p.b).suite, "AES_CM_128_HMAC_SHA1_80");
}

/* ---- weak things by explicit policy only ----------------------------------------------------- */

static void a_group_below_2048_bits_needs_a_policy_and_is_told(void **state)
{
    struct cph_keying_evidence e;
    struct cph_sdp *offer, *answer;

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    cfg_a.group = CPH_AGREE_MODP_1536;
    assert_err(cph_mikey_new(&cfg_a, &ma), CPH_E_CONFIG);
    cfg_a.weak_groups = true;
    reopen();
    offer = make_offer(&p, &p.a);
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    cfg_b.weak_groups = true;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    e = evidence_of(&p.b);
    assert_true(e.notes & CPH_KEYING_NOTE_WEAK_GROUP);
    assert_false(e.forward_secrecy || e.keys_stay_at_ends || e.choice_protected);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_NONE);
}

static void a_signature_over_sha1_needs_a_policy_and_is_told(void **state)
{
    struct cph_keying_evidence e;
    struct cph_sdp *offer, *answer;

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    cfg_a.sha1_signatures = true;
    reopen();
    offer = make_offer(&p, &p.a);
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    cfg_b.sha1_signatures = true;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    e = evidence_of(&p.b);
    assert_true(e.notes & CPH_KEYING_NOTE_WEAK_SIGNATURE);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_NONE);
    assert_int_equal(e.hash_bits, 160);
}

static void keys_in_clear_are_refused_unless_named(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    cfg_a.mode = CPH_MIKEY_NULL;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
}

static void a_protected_bundle_is_not_traded_for_keys_in_clear(void **state)
{
    struct cph_mikey *open = NULL;
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct side other;
    struct cph_sdp *answer;

    (void)state;
    cfg_b.accept = 1U << CPH_MIKEY_NULL | 1U << CPH_MIKEY_PSK;
    reopen();
    exchange(&p, &p.a, &p.b);
    cfg_a.mode = CPH_MIKEY_NULL;
    assert_ok(cph_mikey_new(&cfg_a, &open));
    cfg.keying.mikey = open;
    side_open(&other, cfg, "10.0.0.1", 9);
    assert_err(try_answer(&p, &p.b, make_offer(&p, &other), &answer), CPH_E_POLICY);
    assert_media(&p, 1); /* and the keys it has stay */
    side_close(&other);
    cph_mikey_free(open);
}

/* ---- somebody else --------------------------------------------------------------------------- */

static void another_secret_gives_no_keys(void **state)
{
    static const struct cph_secret other = { .n = 16, .b = "sixteen bytes!!!" };
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC };
    struct cph_sdp *answer;

    (void)state;
    cfg_b.psk = &other;
    for (unsigned i = 0; i < 2; i++) {
        cfg_a.mode = mode[i];
        reopen();
        assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    }
}

static void an_identity_that_is_not_the_peers_gives_no_keys(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC, CPH_MIKEY_DHSIGN,
                                                CPH_MIKEY_RSA_R };
    struct cph_sdp *answer;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        cfg_a.mode = mode[i];
        cfg_a.id = "sip:mallory@example.org";
        cfg_a.peer_id = BOB;
        reopen();
        assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
        cfg_a.id = ALICE;
        cfg_a.peer_id = "sip:carol@example.org"; /* meant for somebody else */
        reopen();
        assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    }
}

static void a_certificate_proves_the_name_it_has(void **state)
{
    struct cph_trust *nobody;
    struct cph_sdp *answer;

    (void)state;
    /* Mallory with Bob's certificate and key says he is Alice, and nobody is expected */
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    cfg_a.key = rsa_b;
    cfg_a.cert = cert_rsa_b;
    cfg_b.peer_id = NULL;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    /* a chain to nobody we know */
    assert_ok(cph_trust_new(&nobody));
    cfg_a.key = rsa_a;
    cfg_a.cert = cert_rsa_a;
    cfg_b.trust = nobody;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cph_trust_free(nobody);
    /* without anchors the certificate is as good as the messages it came in */
    cfg_b.trust = NULL;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_PATH);
    assert_int_equal(evidence_of(&p.b).peer_fingerprint_n, 32);
    assert_int_equal(evidence_of(&p.a).peer_auth, CPH_KEYING_AUTH_CERT);
    /* nor is anybody known whom the authority knows, when nobody was expected */
    cfg_b.trust = trust;
    cfg_b.peer_id = NULL;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_NONE);
    cfg_b.peer_id = ALICE;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_CERT);
    cfg_b.peer_id = NULL;
    cfg_b.trust = NULL;
    /* a certificate given beforehand is the only one */
    cfg_b.peer_cert = cert_ec_a;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cfg_b.peer_cert = cert_rsa_a;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_CERT);
}

static void on_curves(struct cph_key *b, struct cph_cert *cert_b)
{
    cfg_a.key = ec_a;
    cfg_a.cert = cfg_b.peer_cert = cert_ec_a;
    cfg_b.key = b;
    cfg_b.cert = cfg_a.peer_cert = cert_b;
}

/* draft-ietf-msec-mikey-ecc: ECIES where the certificate's key is on a curve. */
static void a_call_by_an_envelope_on_curves(void **state)
{
    (void)state;
    on_curves(ec_b, cert_ec_b);
    calls_in(CPH_MIKEY_RSA, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
    calls_in(CPH_MIKEY_RSA_R, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
}

static void a_call_by_mqv(void **state)
{
    (void)state;
    on_curves(ec_b256, cert_ec_b256);
    calls_in(CPH_MIKEY_ECMQV, (struct claim){ CPH_KEYING_AUTH_CERT, true, false, true });
    assert_int_equal(evidence_of(&p.b).peer_auth, CPH_KEYING_AUTH_CERT);
    assert_int_equal(evidence_of(&p.b).peer_fingerprint_n, 32);
}

static void mqv_takes_the_two_keys_that_were_meant(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    on_curves(ec_b256, cert_ec_b256);
    cfg_a.mode = CPH_MIKEY_ECMQV;
    cfg_b.key = ec_b; /* Bob has another key than the one Alice knows */
    cfg_b.cert = cert_ec_b;
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    on_curves(ec_b256, cert_ec_b256);
    cfg_b.peer_cert = cert_rsa_a; /* and knows another of Alice */
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    on_curves(ec_b256, cert_ec_b256);
    cfg_b.peer_cert = NULL;
    cfg_b.peer_id = "sip:mallory@example.org"; /* or expects somebody else */
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    on_curves(ec_b256, cert_ec_b256);
    cfg_b.peer_id = ALICE;
    cfg_b.accept = 1U << CPH_MIKEY_DHSIGN; /* or does not want it */
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
    cfg_b.accept = 0;
    cfg_a.peer_cert = cert_ec_b; /* on another curve: there is nothing to offer */
    reopen();
    assert_int_not_equal(try_offer(&p, &p.a, &offer), CPH_OK);
    cfg_a.key = rsa_a;
    cfg_a.cert = cert_rsa_a;
    cfg_a.peer_cert = cert_ec_b256;
    assert_err(cph_mikey_new(&cfg_a, &(struct cph_mikey *){ NULL }), CPH_E_CONFIG);
}

static void an_envelope_for_somebody_else_stays_shut(void **state)
{
    struct cph_sdp *answer;

    (void)state;
    cfg_a.mode = CPH_MIKEY_RSA;
    cfg_a.peer_cert = cert_rsa_a; /* not Bob's */
    reopen();
    assert_err(try_answer(&p, &p.b, make_offer(&p, &p.a), &answer), CPH_E_POLICY);
}

/* Every byte of a message counts: one bit changed, and there are no keys. */
static void flip_all(enum cph_mikey_mode mode, bool of_answer, size_t step)
{
    struct cph_sdp *offer, *answer, *ignored;
    struct mikey_text t;

    cfg_a.mode = mode;
    reopen();
    offer = make_offer(&p, &p.a);
    answer = of_answer ? make_answer(&p, &p.b, offer) : NULL;
    t = decoded(of_answer ? answer : offer);
    for (size_t i = 0; i < t.n; i += step) {
        struct mikey_text bad = t;
        struct mikey_csb csb;
        struct mikey_text back;
        enum mikey_error error;
        struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"), .suites = cph_srtp_suites };

        bad.b[i] ^= (uint8_t)(1U << i % 8);
        if (of_answer)
            assert_int_not_equal(try_finish(&p.a, with_message(answer, &bad)), CPH_OK);
        else if (mikey_respond(mb, NULL, (struct cph_span){ bad.b, bad.n }, &around, &csb, &back,
                               &error) == CPH_OK)
            fail_msg("bit %zu of byte %zu is not protected", i % 8, i);
    }
    (void)ignored;
}

static void no_bit_of_an_offer_can_be_changed(void **state)
{
    (void)state;
    flip_all(CPH_MIKEY_PSK, false, 1);
    flip_all(CPH_MIKEY_DHHMAC, false, 1);
    flip_all(CPH_MIKEY_DHSIGN, false, 7);
    flip_all(CPH_MIKEY_RSA_R, false, 7);
    cfg_a.peer_cert = cert_rsa_b;
    flip_all(CPH_MIKEY_RSA, false, 7);
    on_curves(ec_b256, cert_ec_b256);
    flip_all(CPH_MIKEY_RSA, false, 7);
    flip_all(CPH_MIKEY_RSA_R, false, 7);
    flip_all(CPH_MIKEY_ECMQV, false, 3);
}

static void no_bit_of_an_answer_can_be_changed(void **state)
{
    (void)state;
    flip_all(CPH_MIKEY_PSK, true, 1);
    flip_all(CPH_MIKEY_DHHMAC, true, 1);
    flip_all(CPH_MIKEY_DHSIGN, true, 11);
    flip_all(CPH_MIKEY_RSA_R, true, 11);
    cfg_a.peer_cert = cert_rsa_b;
    flip_all(CPH_MIKEY_RSA, true, 1);
    on_curves(ec_b256, cert_ec_b256);
    flip_all(CPH_MIKEY_RSA_R, true, 7);
    flip_all(CPH_MIKEY_ECMQV, true, 1);
}

static void a_message_that_comes_twice_is_answered_once(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC, CPH_MIKEY_DHSIGN,
                                                CPH_MIKEY_RSA_R };
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct cph_sdp *offer, *answer;
    struct side again;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        cfg_a.mode = mode[i];
        cfg_a.counter = cfg_b.counter = i == 1;
        reopen();
        offer = make_offer(&p, &p.a);
        assert_ok(try_answer(&p, &p.b, offer, &answer));
        cfg.keying.mikey = mb; /* a second call of the same account */
        side_open(&again, cfg, "10.0.0.2", 9);
        assert_err(try_answer(&p, &again, offer, &answer), CPH_E_POLICY);
        side_close(&again);
    }
}

static void a_message_outside_of_the_skew_is_refused(void **state)
{
    static const struct {
        int64_t off;
        bool good;
    } edge[] = { { 300, true }, { 301, false }, { 0, true }, { -1, false } };
    static const struct {
        int64_t ahead;
        bool good;
    } fast[] = { { 1, true }, { 300, true }, { 301, false }, { 86400, false } };
    struct cph_sdp *offer, *answer;

    (void)state;
    for (unsigned i = 0; i < 4; i++) { /* the caller's clock is fast */
        reopen();
        env_a.wall += fast[i].ahead;
        offer = make_offer(&p, &p.a);
        env_a.wall -= fast[i].ahead;
        assert_err(try_answer(&p, &p.b, offer, &answer), fast[i].good ? CPH_OK : CPH_E_POLICY);
    }
    for (unsigned i = 0; i < 4; i++) { /* or slow */
        reopen();
        if (edge[i].off < 0)
            env_a.wall -= 1; /* before the responder began to remember */
        offer = make_offer(&p, &p.a);
        env_b.wall += edge[i].off > 0 ? edge[i].off : 0;
        assert_err(try_answer(&p, &p.b, offer, &answer), edge[i].good ? CPH_OK : CPH_E_POLICY);
        env_a.wall = env_b.wall = 0;
    }
}

static void a_list_of_protocols_that_was_cut_is_noticed(void **state)
{
    struct cph_sdp *offer, *answer;
    struct mikey_around around = { .list = CPH_SPAN_LIT("keyp1;mikey"), .suites = cph_srtp_suites };
    struct mikey_offer o;
    struct mikey_text t;

    (void)state;
    reopen();
    assert_ok(mikey_start(ma, NULL, false, &around, &o, &t));
    offer = with_message(make_offer(&p, &p.a), &t);
    /* keyp1, which stood before us, was peeled off */
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    /* with it in its place all is well */
    offer = tampered(&p, offer, "a=key-mgmt:mikey", "a=key-mgmt:keyp1 AAAA\r\na=key-mgmt:mikey");
    assert_ok(try_answer(&p, &p.b, offer, &answer));
    assert_true(evidence_of(&p.b).choice_protected);
    mikey_offer_wipe(&o);
}

/* ---- the instance ---------------------------------------------------------------------------- */

static struct cph_keying *instance(struct cph_mikey *m)
{
    struct cph_keying_cfg cfg = { .env = m->cfg.env, .mikey = m };
    struct cph_keying *k;

    assert_ok(row[0]->make(&cfg, &k));
    return k;
}

static struct cph_sdp *blank(struct side *s, enum cph_sdp_proto proto)
{
    struct cph_sdp_local l = pair_local(s);
    struct cph_sdp_stream st = pair_stream(s);
    struct cph_sdp *sdp;

    assert_ok(cph_sdp_offer(p.arena, &l, &st, 1, &sdp));
    assert_ok(cph_sdp_media_set_proto(sdp, sdp->media[0], proto));
    return sdp;
}

static void ssrc_and_roc_are_told(void **state)
{
    struct cph_keying *a, *b;
    struct cph_keying_hint hint[4];
    struct cph_sdp *offer, *answer;

    (void)state;
    reopen();
    a = instance(ma);
    b = instance(mb);
    offer = blank(&p.a, CPH_SDP_RTP_SAVP);
    answer = blank(&p.b, CPH_SDP_RTP_SAVP);
    assert_ok(cph_mikey_stream(a, 0x11111111, 5));
    assert_ok(cph_mikey_stream(b, 0x22222222, 9));
    assert_int_equal(row[0]->hints(a, hint, 4), 0);
    assert_ok(row[0]->offer(a, &(struct cph_keying_local){ offer, offer->media[0] }));
    assert_ok(row[0]->answer(b, &(struct cph_keying_remote){ offer, offer->media[0] },
                             &(struct cph_keying_local){ answer, answer->media[0] }));
    assert_ok(row[0]->finish(a, &(struct cph_keying_remote){ answer, answer->media[0] }));
    assert_int_equal(row[0]->hints(a, hint, 4), 2);
    assert_true(hint[CPH_KEYING_RECV].ssrc == 0x22222222 && hint[CPH_KEYING_RECV].roc == 9);
    assert_true(hint[CPH_KEYING_SEND].ssrc == 0x11111111 && hint[CPH_KEYING_SEND].roc == 5);
    assert_int_equal(row[0]->hints(b, hint, 1), 1);
    cph_keying_free(a);
    cph_keying_free(b);
}

static void a_message_at_session_level_serves_every_stream(void **state)
{
    struct cph_sdp_local l;
    struct cph_sdp_stream st[2];
    struct cph_keying *b[2];
    struct cph_sdp *offer, *answer;
    struct mikey_cs cs[4] = { { 0 } };
    struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"), .suites = cph_srtp_suites };
    struct mikey_csb wide = { 0 }, got;
    struct mikey_offer o;
    struct mikey_text msg, back;
    struct cph_srtp_policy policy[2];

    (void)state;
    reopen();
    l = pair_local(&p.a);
    st[0] = st[1] = pair_stream(&p.a);
    assert_ok(cph_sdp_offer(p.arena, &l, st, 2, &offer));
    assert_ok(cph_sdp_offer(p.arena, &l, st, 2, &answer));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(cph_sdp_media_set_proto(offer, offer->media[i], CPH_SDP_RTP_SAVP));
        assert_ok(cph_sdp_media_set_proto(answer, answer->media[i], CPH_SDP_RTP_SAVP));
        b[i] = instance(mb);
    }
    /* a bundle of four sessions, as an update of one that never was, with a RAND put in */
    memset(&wide, 0, sizeof wide);
    assert_ok(mikey_start(ma, NULL, false, &around, &o, &msg));
    {
        struct mikey_hdr hdr = { MIKEY_PSK_I, true, o.next.b.csb_id, cs, 4 };
        struct mikey_out w = mikey_begin(msg.b, sizeof msg.b, &hdr);
        struct mikey_id alice = mikey_id_of(ALICE);
        size_t at;

        o.next.n_cs = 4;
        mikey_put_t(&w, o.ts_type, o.ts);
        mikey_put_rand(&w, (struct cph_span){ o.next.b.rand, o.next.b.rand_n });
        mikey_put_id(&w, &alice);
        mikey_put_ext(&w, MIKEY_EXT_SDP_IDS, CPH_SPAN_LIT("mikey"));
        assert_ok(mikey_put_keys(ma, &w, &o.key, &o.next, o.ts, NULL, true, &at));
        assert_ok(mikey_fill_mac(&o.key, &o.next.b, &w, at, NULL, 0));
        msg.n = w.wr.n;
        mikey_policy_default(0, &o.next.policy[0]);
    }
    assert_ok(mikey_encode(offer, NULL, &msg));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(row[0]->answer(b[i], &(struct cph_keying_remote){ offer, offer->media[i] },
                                 &(struct cph_keying_local){ answer, answer->media[i] }));
        assert_ok(row[0]->keys(b[i], CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &policy[i]));
    }
    assert_non_null(cph_sdp_attr(&answer->part, "key-mgmt"));
    assert_null(cph_sdp_attr_next(cph_sdp_attr(&answer->part, "key-mgmt")));
    assert_null(cph_sdp_attr(&answer->media[0]->part, "key-mgmt"));
    assert_memory_not_equal(policy[0].master.key.b, policy[1].master.key.b, 16);
    back = decoded(answer);
    /* the fallback of our own IDr: this message named Alice alone */
    ma->peer_id[0] = 0;
    assert_ok(mikey_finish(ma, &o, (struct cph_span){ back.b, back.n }, &got));
    for (unsigned i = 0; i < 2; i++) {
        struct cph_srtp_policy mine;

        assert_ok(mikey_master(&got, 2 * i + 2, 0, &mine));
        assert_memory_equal(mine.master.key.b, policy[i].master.key.b, 16);
        cph_srtp_policy_wipe(&mine);
        cph_srtp_policy_wipe(&policy[i]);
        cph_keying_free(b[i]);
    }
    assert_null(mb->shared);
    mikey_csb_wipe(&got);
    mikey_offer_wipe(&o);
}

static void a_tek_serves_as_it_is(void **state)
{
    struct mikey_csb csb = { .n_cs = 2, .n_policies = 1, .n_keys = 1 };
    struct cph_srtp_policy one, two;

    (void)state;
    mikey_policy_default(0, &csb.policy[0]);
    csb.key[0].tek = true;
    csb.key[0].key = (struct cph_secret){ .n = 16, .b = "sixteen byte key" };
    assert_err(mikey_master(&csb, 1, 0, &one), CPH_E_UNSUPPORTED); /* no salt can come of it */
    csb.key[0].salt = (struct cph_secret){ .n = 14, .b = "fourteen salt" };
    assert_ok(mikey_master(&csb, 1, 0, &one));
    assert_ok(mikey_master(&csb, 2, 0, &two));
    assert_memory_equal(one.master.key.b, "sixteen byte key", 16);
    assert_memory_equal(one.master.salt.b, "fourteen salt", 14);
    assert_memory_equal(one.master.key.b, two.master.key.b, 16);
    csb.key[0].key.n = 17;
    assert_err(mikey_master(&csb, 1, 0, &one), CPH_E_UNSUPPORTED);
}

static void an_open_stream_is_not_touched_by_the_sessions_message(void **state)
{
    struct cph_sdp *offer;
    struct mikey_text t;

    (void)state;
    reopen();
    t = decoded(make_offer(&p, &p.a));
    offer = blank(&p.a, CPH_SDP_RTP_AVP);
    assert_ok(mikey_encode(offer, NULL, &t));
    assert_false(row[0]->present(&(struct cph_keying_remote){ offer, offer->media[0] }));
    assert_ok(cph_sdp_media_set_proto(offer, offer->media[0], CPH_SDP_RTP_SAVP));
    assert_true(row[0]->present(&(struct cph_keying_remote){ offer, offer->media[0] }));
    assert_ok(cph_sdp_attr_add(offer, offer->media[0], "key-mgmt", "keyp1 AAAA"));
    assert_false(row[0]->present(&(struct cph_keying_remote){ offer, offer->media[0] }));
}

static void branches_of_a_fork(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };
        struct cph_mikey *mc;
        struct side branch = { 0 }, carol;
        struct cph_sdp *offer, *one, *two;
        struct cph_srtp_policy x, y;

        cfg_a.mode = mode[i];
        reopen();
        assert_ok(cph_mikey_new(&cfg_b, &mc)); /* another device of Bob's */
        cfg.keying.mikey = mc;
        side_open(&carol, cfg, "10.0.0.3", 9);
        offer = make_offer(&p, &p.a);
        one = make_answer(&p, &p.b, offer);
        two = make_answer(&p, &carol, offer);
        assert_ok(cph_nego_fork(p.a.nego, &branch.nego));
        assert_ok(try_finish(&p.a, one));
        assert_ok(try_finish(&branch, two));
        assert_ok(cph_nego_keys(p.a.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &x));
        assert_ok(cph_nego_keys(branch.nego, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &y));
        /* keys we sent are the same for all who got them; Diffie-Hellman makes each its own */
        assert_int_equal(memcmp(x.master.key.b, y.master.key.b, x.master.key.n) == 0, i == 0);
        assert_int_equal(!!(evidence_of(&branch).notes & CPH_KEYING_NOTE_KEY_SHARED), i == 0);
        cph_srtp_policy_wipe(&x);
        cph_srtp_policy_wipe(&y);
        side_close(&branch);
        side_close(&carol);
        cph_mikey_free(mc);
    }
}

/* When the last answer is in, what the private value could still be used for is over, too. */
static void what_made_the_keys_is_gone_when_the_answer_is_final(void **state)
{
    static const struct mikey_offer nothing;
    struct cph_sdp *offer, *answer;
    struct cph_nego *fork;
    struct mikey *k;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode < CPH_MIKEY_ECMQV; mode++) {
        cfg_a.mode = (enum cph_mikey_mode)mode;
        cfg_a.peer_cert = mode == CPH_MIKEY_RSA ? cert_rsa_b : NULL;
        reopen();
        offer = make_offer(&p, &p.a);
        answer = make_answer(&p, &p.b, offer);
        assert_ok(try_finish(&p.a, answer)); /* 183 */
        assert_ok(cph_nego_fork(p.a.nego, &fork));
        cph_nego_free(fork);
        assert_ok(try_finish(&p.a, answer)); /* 200 */
        k = (struct mikey *)cph_nego_instance(p.a.nego);
        assert_int_equal(k->offer.pair.ready, mode == CPH_MIKEY_DHSIGN || mode == CPH_MIKEY_DHHMAC);
        cph_nego_settled(p.a.nego);
        assert_memory_equal(&k->offer, &nothing, sizeof nothing);
        assert_err(try_finish(&p.a, answer), CPH_E_STATE);
        assert_err(cph_nego_fork(p.a.nego, &fork), CPH_E_STATE);
        assert_media(&p, 1);
        cph_nego_renew(p.a.nego);
        exchange(&p, &p.a, &p.b);
        assert_media(&p, 2);
        cph_nego_settled(p.a.nego);
        exchange(&p, &p.b, &p.a);
        assert_media(&p, 3);
    }
}

static void a_refused_update_leaves_the_keys(void **state)
{
    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    (void)make_offer(&p, &p.a);
    cph_nego_rollback(p.a.nego);
    assert_media(&p, 2);
    exchange(&p, &p.b, &p.a);
    assert_media(&p, 3);
}

static void an_offer_costs_no_exponentiation_when_it_was_prepared(void **state)
{
    struct cph_sdp *offer;

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    reopen();
    assert_ok(cph_mikey_prepare(ma));
    assert_true(ma->spare.ready);
    offer = make_offer(&p, &p.a);
    assert_false(ma->spare.ready); /* and it serves once */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
    assert_ok(cph_mikey_prepare(mb));
    assert_false(mb->spare.ready); /* PSK needs none */
}

static void a_configuration_without_its_material_is_refused(void **state)
{
    struct cph_mikey_cfg c;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode < CPH_MIKEY_MODES_; mode++) {
        c = (struct cph_mikey_cfg){ .env = &env_a.env, .mode = (enum cph_mikey_mode)mode };
        assert_err(cph_mikey_new(&c, &ma), CPH_E_CONFIG);
    }
    c = cfg_a;
    c.key = rsa_b; /* not the certificate's */
    assert_err(cph_mikey_new(&c, &ma), CPH_E_CONFIG);
    c = cfg_a;
    c.mki_n = 9;
    assert_err(cph_mikey_new(&c, &ma), CPH_E_CONFIG);
    c = cfg_a;
    c.group = CPH_AGREE_X25519; /* has no number */
    assert_err(cph_mikey_new(&c, &ma), CPH_E_CONFIG);
    c = cfg_a;
    c.mode = CPH_MIKEY_MODES_;
    assert_err(cph_mikey_new(&c, &ma), CPH_E_CONFIG);
    ma = NULL;
}

static void without_the_object_mikey_is_passed_over(void **state)
{
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_PREFER };
    struct cph_sdp *offer;

    (void)state;
    pair_open(&p, cfg, cfg);
    offer = make_offer(&p, &p.a);
    assert_int_equal(count_attr(offer, "key-mgmt"), 0);
    assert_true(count_attr(offer, "crypto") > 0);
}

static cph_err exchange_once(void *arg)
{
    struct cph_mikey_cfg c = *(const struct cph_mikey_cfg *)arg;
    struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"), .suites = cph_srtp_suites };
    MIKEY_OFFER_SCOPED o = { 0 };
    MIKEY_CSB_SCOPED b = { 0 };
    MIKEY_CSB_SCOPED a = { 0 };
    struct cph_mikey *one = NULL, *two = NULL;
    struct mikey_text m1, m2;
    enum mikey_error error;
    cph_err err = cph_mikey_new(&c, &one);

    if (err == CPH_OK)
        err = cph_mikey_new(&cfg_b, &two);
    if (err == CPH_OK)
        err = mikey_start(one, NULL, false, &around, &o, &m1);
    if (err == CPH_OK)
        err = mikey_respond(two, NULL, (struct cph_span){ m1.b, m1.n }, &around, &b, &m2, &error);
    if (err == CPH_OK)
        err = mikey_finish(one, &o, (struct cph_span){ m2.b, m2.n }, &a);
    cph_mikey_free(one);
    cph_mikey_free(two);
    return err;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    cfg_a.mode = CPH_MIKEY_PSK;
    test_alloc_fails(exchange_once, &cfg_a);
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    test_alloc_fails(exchange_once, &cfg_a);
    cfg_a.mode = CPH_MIKEY_RSA_R;
    test_alloc_fails(exchange_once, &cfg_a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        test(a_call_under_a_shared_secret),
        test(a_call_with_keys_in_clear_claims_nothing),
        test(a_call_by_rsa),
        test(a_call_by_rsa_oaep_and_pss),
        test(a_call_by_rsa_in_reverse),
        test(a_call_by_an_envelope_on_curves),
        test(a_call_by_mqv),
        test(mqv_takes_the_two_keys_that_were_meant),
        test(a_call_by_signed_diffie_hellman),
        test(a_call_by_diffie_hellman_under_a_shared_secret),
        test(a_call_with_ecdsa_over_every_curve),
        test(a_call_over_every_prime_of_2048_bits_or_more),
        test(a_wrapped_key_arrives_too),
        test(keys_with_an_mki_change_it),
        test(timestamps_may_be_a_counter),
        test(every_suite_of_the_table_can_be_agreed_on),
        test(a_suite_the_other_does_not_want_is_refused_with_an_error),
        test(in_reverse_the_responder_chooses_the_suite),
        test(a_group_below_2048_bits_needs_a_policy_and_is_told),
        test(a_signature_over_sha1_needs_a_policy_and_is_told),
        test(keys_in_clear_are_refused_unless_named),
        test(a_protected_bundle_is_not_traded_for_keys_in_clear),
        test(another_secret_gives_no_keys),
        test(an_identity_that_is_not_the_peers_gives_no_keys),
        test(a_certificate_proves_the_name_it_has),
        test(an_envelope_for_somebody_else_stays_shut),
        test(no_bit_of_an_offer_can_be_changed),
        test(no_bit_of_an_answer_can_be_changed),
        test(a_message_that_comes_twice_is_answered_once),
        test(a_message_outside_of_the_skew_is_refused),
        test(a_list_of_protocols_that_was_cut_is_noticed),
        test(ssrc_and_roc_are_told),
        test(a_message_at_session_level_serves_every_stream),
        test(a_tek_serves_as_it_is),
        test(an_open_stream_is_not_touched_by_the_sessions_message),
        test(branches_of_a_fork),
        test(what_made_the_keys_is_gone_when_the_answer_is_final),
        test(a_refused_update_leaves_the_keys),
        test(an_offer_costs_no_exponentiation_when_it_was_prepared),
        test(a_configuration_without_its_material_is_refused),
        test(without_the_object_mikey_is_passed_over),
        test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}

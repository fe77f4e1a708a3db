/* From offer and answer to keys: roles, sizes, time. */
#include "dtls_support.h"

static void an_offer_and_an_answer_lead_to_keys(void **state)
{
    struct cph_keying_remote offer, answer;
    struct cph_keying_evidence e = { 0 };
    struct cph_srtp_policy none;
    struct cph_fingerprint fp;

    (void)state;
    offer = offer_by(&who[0]);
    assert_int_equal(status(&who[0]).state, CPH_KEYING_OFFERED);
    assert_string_equal(attr(&offer, "setup"), "actpass");
    assert_int_equal(strlen(attr(&offer, "tls-id")), DTLS_TLS_ID);
    assert_true(strncmp(attr(&offer, "fingerprint"), "sha-256 ", 8) == 0);
    assert_true(cph_keying_dtls.present(&offer));
    answer = answer_by(&who[1], &offer);
    assert_string_equal(attr(&answer, "setup"), "active");
    assert_int_equal(strlen(attr(&answer, "tls-id")), DTLS_TLS_ID);
    assert_string_not_equal(attr(&answer, "tls-id"), attr(&offer, "tls-id"));
    assert_err(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &none),
               CPH_E_AGAIN);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
    assert_int_equal(status(&who[0]).dir[0].streams, CPH_KEYING_STREAMS_FRESH);
    assert_true(cph_keying_deadline(who[0].k) == CPH_TIME_NEVER);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);

    cph_keying_dtls.evidence(who[0].k, &e);
    assert_string_equal(e.method, "dtls");
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_true(e.keyed && e.keys_stay_at_ends && e.forward_secrecy && e.choice_protected);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_SIGNALLED);
    assert_int_equal(e.hash_bits, 512);
    assert_int_equal(e.notes, 0);
    assert_ok(cph_cert_fingerprint(who[1].cert, CPH_FP_SHA256, &fp));
    assert_memory_equal(e.peer_fingerprint, fp.b, 32);
}

static void without_rtcp_mux_each_component_has_an_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED rtp = { 0 };
    CPH_SRTP_POLICY_SCOPED rtcp = { 0 };

    (void)state;
    mux = false;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &rtp));
    assert_ok(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTCP, CPH_KEYING_SEND, 0, &rtcp));
    assert_false(cph_ct_eq(cph_secret_span(&rtp.master.key), cph_secret_span(&rtcp.master.key)));
    assert_int_equal(status(&who[1]).dir[0].generation > 0, 1);
}

static void roles_follow_the_setup_attribute(void **state)
{
    static const struct {
        const char *offer, *answer;
        cph_err err;
    } all[] = {
        { "actpass", "active", CPH_OK },         { "active", "passive", CPH_OK },
        { "passive", "active", CPH_OK },         { NULL, "passive", CPH_OK },
        { "holdconn", NULL, CPH_E_UNSUPPORTED }, { "both", NULL, CPH_E_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct cph_keying_remote offer = offer_by(&who[0]),
                                 changed = with(&offer, "setup", all[i].offer);
        struct cph_keying_local l = section(&who[1]);
        struct cph_keying_remote answer;

        assert_err(cph_keying_dtls.answer(who[1].k, &changed, &l), all[i].err);
        answer = sent(&l);
        assert_string_equal(attr(&answer, "setup"), all[i].answer ? all[i].answer : "");
        if (!all[i].answer)
            assert_string_equal(attr(&answer, "fingerprint"), "");
        cph_keying_dtls.rollback(who[0].k);
        teardown(NULL);
        setup(NULL);
    }
}

static void an_answer_must_choose_a_role(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer), bad;

    (void)state;
    bad = with(&answer, "setup", "actpass");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED);
    bad = with(&answer, "setup", "holdconn");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_UNSUPPORTED);
    bad = with(&answer, "fingerprint", NULL);
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_NOTFOUND);
    bad = with(&answer, "fingerprint", "sha-256 11:22");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED);
    assert_int_equal(status(&who[0]).state, CPH_KEYING_OFFERED);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer)); /* nothing of that left a trace */
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
}

static void the_passive_offerer_takes_a_client_hello_before_the_answer(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);

    (void)state;
    run(&who[0], &who[1], CPH_SEC(5));
    assert_int_equal(status(&who[0]).state,
                     CPH_KEYING_OFFERED); /* the handshake is over, but whose? */
    assert_int_equal(status(&who[1]).state, CPH_KEYING_KEYED);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_true(cph_keying_deadline(who[0].k) <= now);
    cph_keying_tick(who[0].k, now);
    assert_keyed(&who[0], &who[1]);
}

static void keys_come_over_a_lossy_network(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        t.state = seed;
        loss = 15;
        delay_ms = 100;
        mux = seed % 2;
        agree(&who[0], &who[1]);
        run(&who[0], &who[1], CPH_SEC(29));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- who does not fit -------------------------------------------------------------------------
 */

/* Somebody in between changed the answer's setup: nobody is served whose role was not agreed on. */
static void two_of_the_same_role_get_no_keys_and_a_reason(void **state)
{
    (void)state;
    for (int passive = 0; passive < 2; passive++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer;

        if (passive)
            offer = with(&offer, "setup", "active");
        answer = answer_by(&who[1], &offer);
        assert_string_equal(attr(&answer, "setup"), passive ? "passive" : "active");
        answer = with(&answer, "setup", passive ? "active" : "passive");
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        cph_keying_dtls.answered(who[1].k, now);
        run(&who[0], &who[1], now + CPH_SEC(DTLS_GIVE_UP_S + 10));
        for (int i = 0; i < 2; i++) {
            struct cph_keying_evidence e = { 0 };

            assert_int_equal(status(&who[i]).state, CPH_KEYING_FAILED);
            assert_err(status(&who[i]).err, CPH_E_TIMEOUT);
            cph_keying_dtls.evidence(who[i].k, &e);
            assert_false(e.keyed);
            assert_int_equal(!!(e.notes & CPH_KEYING_NOTE_RIVAL_HANDSHAKE), !passive);
        }
        teardown(NULL);
        setup(NULL);
    }
}

static void without_a_common_profile_there_are_no_keys(void **state)
{
    (void)state;
    want_different_profiles();
    agree(&who[0], &who[1]);
    cph_keying_dtls.answered(who[1].k, now);
    run(&who[0], &who[1], now + CPH_SEC(DTLS_GIVE_UP_S + 10));
    for (int i = 0; i < 2; i++)
        assert_int_equal(status(&who[i]).state, CPH_KEYING_FAILED);
    assert_err(status(&who[0]).err, CPH_E_UNSUPPORTED); /* who sees it first says no more */
}

/* RFC 6347 4.2.3: flights that do not fit a datagram are cut; with loss, a long chain too. */
static void small_datagrams_and_large_certificates_make_keys_as_well(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct cph_cert_spec spec = { "device with a key that is large", NULL, 0, t.wall - DAY,
                                      t.wall + DAY };
        struct cph_keying_cfg cfg = { .env = &t.env, .mtu = 400 };

        cph_keying_free(who[i].k);
        cph_cert_free(who[i].cert);
        cph_key_free(who[i].key);
        assert_ok(cph_key_generate(&t.env, CPH_KEY_RSA, &who[i].key));
        assert_ok(cph_cert_self_signed(&t.env, who[i].key, &spec, &who[i].cert));
        cfg.key = who[i].key;
        cfg.cert = who[i].cert;
        assert_ok(cph_keying_dtls.make(&cfg, &who[i].k));
    }
    loss = 10;
    delay_ms = 30;
    agree(&who[0], &who[1]);
    for (cph_time end = now + CPH_SEC(25); now < end; run(&who[0], &who[1], now + CPH_MS(10))) {
        for (size_t i = 0; i < n_wire; i++)
            assert_true(wire[i].p.n <= 400);
    }
    assert_keyed(&who[0], &who[1]);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void nobody_there_fails_in_time(void **state)
{
    struct cph_keying_status s;

    (void)state;
    loss = 100;
    agree(&who[0], &who[1]);
    cph_keying_dtls.answered(who[1].k, now);
    run(&who[0], &who[1], now + CPH_SEC(DTLS_GIVE_UP_S + 1));
    s = status(&who[0]);
    assert_int_equal(s.state, CPH_KEYING_FAILED);
    assert_err(s.err, CPH_E_TIMEOUT);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_FAILED);
    assert_true(cph_keying_deadline(who[0].k) == CPH_TIME_NEVER);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);
}

/* Our answer is made when the phone begins to ring. A peer that hears our hello no sooner than it
 * knows the answer is waited for that long, and then quickly found. */
static void a_phone_may_ring_for_minutes_before_the_peer_listens(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    cph_time taken;

    (void)state;
    loss = 100;
    run(&who[0], &who[1], now + CPH_SEC(170));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_RUNNING);
    loss = 0;
    taken = now;
    cph_keying_dtls.answered(who[1].k, now);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], taken + CPH_MS(100));
    assert_keyed(&who[0], &who[1]);
}

static void even_ringing_has_an_end(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]);

    (void)state;
    (void)answer_by(&who[1], &offer);
    loss = 100;
    run(&who[0], &who[1], now + CPH_SEC(DTLS_RING_S + 1));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_FAILED);
    assert_err(status(&who[1]).err, CPH_E_TIMEOUT);
}

/* A hello that may be answered at any moment is not taken back. */
static void a_call_that_is_taken_at_once_goes_on_with_its_first_hello(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_keying_packet hello;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_ok(cph_keying_pull(who[1].k, &hello, now));
    now += CPH_MS(DTLS_FIRST_MS) - 1;
    cph_keying_dtls.answered(who[1].k, now);
    post(who[1].at[0], who[0].at[0], &hello);
    run(&who[0], &who[1], now + CPH_MS(50));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1);
}

/* ---- small things ---------------------------------------------------------------------------- */

static void only_dtls_is_claimed(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) {
        uint8_t first = (uint8_t)b;

        assert_int_equal(cph_keying_dtls.claims((struct cph_span){ &first, 1 }),
                         b >= 20 && b <= 63);
    }
    assert_false(cph_keying_dtls.claims((struct cph_span){ NULL, 0 }));
}

static void noise_on_the_port_changes_nothing(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");

    (void)state;
    agree(&who[0], &who[1]);
    for (int i = 0; i < 2000; i++) {
        uint8_t junk[64];

        assert_ok(cph_random(&t.env, junk, sizeof junk));
        junk[0] = (uint8_t)(20 + i % 44);
        if (cph_keying_feed(who[i % 2].k, CPH_KEYING_RTP, i % 3 ? &from : &who[(i + 1) % 2].at[0],
                            (struct cph_span){ junk, (size_t)(i % 64 + 1) }, now) == CPH_OK)
            continue;
    }
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
}

static cph_err talk(void *arg)
{
    struct cph_keying_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };
    struct cph_keying *k = NULL;
    struct cph_keying_packet out;
    cph_err err;

    err = cph_keying_dtls.make(&cfg, &k);
    if (err == CPH_OK) {
        struct cph_keying_local l;
        struct cph_sdp_origin origin = { .id = 1, .version = 1 };

        err = cph_sdp_new(arena, &origin, &who[0].at[0], &l.sdp);
        if (err == CPH_OK)
            err = cph_sdp_media_add(l.sdp, cph_span_of("audio"), 4000, cph_span_of("RTP/SAVP"),
                                    cph_span_of("0"), &l.media);
        if (err == CPH_OK)
            err = cph_keying_dtls.answer(k, arg, &l);
    }
    if (err == CPH_OK && cph_keying_pull(k, &out, now) != CPH_OK) {
        struct cph_keying_status s;

        cph_keying_dtls.status(k, &s);
        err = s.err ? s.err : CPH_E_NOMEM;
    }
    cph_keying_free(k);
    return err;
}

static void allocation_failure_is_survived(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[1]);

    (void)state;
    test_alloc_fails(talk, &offer);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_offer_and_an_answer_lead_to_keys),
        T(without_rtcp_mux_each_component_has_an_association),
        T(roles_follow_the_setup_attribute),
        T(an_answer_must_choose_a_role),
        T(the_passive_offerer_takes_a_client_hello_before_the_answer),
        T(keys_come_over_a_lossy_network),
        T(two_of_the_same_role_get_no_keys_and_a_reason),
        T(without_a_common_profile_there_are_no_keys),
        T(small_datagrams_and_large_certificates_make_keys_as_well),
        T(nobody_there_fails_in_time),
        T(a_phone_may_ring_for_minutes_before_the_peer_listens),
        T(even_ringing_has_an_end),
        T(a_call_that_is_taken_at_once_goes_on_with_its_first_hello),
        T(only_dtls_is_claimed),
        T(noise_on_the_port_changes_nothing),
        T(allocation_failure_is_survived),
    };

    return cmocka_run_group_tests_name("dtls", tests, NULL, NULL);
}

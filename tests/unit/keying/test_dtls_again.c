/* Later offers, forks, and a second call between the same two. */
#include "dtls_support.h"

/* ---- re-offers ------------------------------------------------------------------------------- */

static void a_re_offer_keeps_the_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED before = { 0 };
    CPH_SRTP_POLICY_SCOPED after = { 0 };
    struct cph_keying_remote offer, answer, first;

    (void)state;
    first = offer_by(&who[0]);
    answer = answer_by(&who[1], &first);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    send_key(&who[0], &before);

    for (int by = 0; by < 2; by++) { /* from either side */
        offer = offer_by(&who[by]);
        assert_string_equal(attr(&offer, "setup"), "actpass");
        answer = answer_by(&who[1 - by], &offer);
        assert_string_equal(attr(&answer, "setup"), by ? "passive" : "active");
        assert_ok(cph_keying_dtls.finish(who[by].k, &answer));
        if (by == 0)
            assert_string_equal(attr(&offer, "tls-id"), attr(&first, "tls-id"));
        run(&who[0], &who[1], now + CPH_SEC(5));
        send_key(&who[0], &after);
        assert_true(
            cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&after.master.key)));
        assert_int_equal(status(&who[0]).dir[0].generation, 1);
        assert_keyed(&who[0], &who[1]);
    }
    /* a move to another address keeps it too, since both speak tls-id */
    who[0].at[0] = addr("10.0.9.9:7000");
    who[0].at[1] = addr("10.0.9.9:7001");
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_int_equal(status(&who[1]).dir[0].generation, 1);
}

static void an_answer_that_repeats_actpass_keeps_what_stands(void **state)
{
    struct cph_keying_remote first, offer, answer, bad;

    (void)state;
    first = offer_by(&who[0]);
    answer = answer_by(&who[1], &first);
    bad = with(&answer, "setup", "actpass");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED); /* nothing stands yet */
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    for (int by = 0; by < 2; by++) { /* whichever role it has */
        offer = offer_by(&who[by]);
        answer = answer_by(&who[1 - by], &offer);
        bad = with(&answer, "tls-id", "0123456789abcdefghij");
        bad = with(&bad, "setup", "actpass");
        assert_err(cph_keying_dtls.finish(who[by].k, &bad), CPH_E_MALFORMED); /* a new one */
        bad = with(&answer, "setup", "actpass");
        assert_ok(cph_keying_dtls.finish(who[by].k, &bad));
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_int_equal(status(&who[by]).dir[0].generation, 1);
        assert_keyed(&who[0], &who[1]);
    }
}

static void a_new_tls_id_makes_a_new_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED before = { 0 };
    CPH_SRTP_POLICY_SCOPED during = { 0 };
    CPH_SRTP_POLICY_SCOPED after = { 0 };
    struct cph_keying_remote offer, answer;
    struct cph_keying_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };

    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    send_key(&who[1], &before);

    /* the caller's side begins anew: another instance, same certificate, new tls-id */
    cph_keying_free(who[0].k);
    assert_ok(cph_keying_dtls.make(&cfg, &who[0].k));
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_KEYED); /* the old keys until then */
    send_key(&who[1], &during);
    assert_true(
        cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&during.master.key)));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    send_key(&who[1], &after);
    assert_false(
        cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&after.master.key)));
    assert_int_equal(status(&who[1]).dir[0].generation, 2);
    assert_int_equal(status(&who[1]).dir[0].streams, CPH_KEYING_STREAMS_FRESH);
}

static void a_peer_without_tls_id_gets_none_and_a_move_begins_anew(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), old = with(&offer, "tls-id", NULL), answer;

    (void)state;
    answer = answer_by(&who[1], &old);
    assert_string_equal(attr(&answer, "tls-id"), "");
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);

    /* hold the old way is no move */
    offer = offer_by(&who[0]);
    old = with(&offer, "tls-id", NULL);
    answer = answer_by(&who[1], &old);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_int_equal(status(&who[1]).dir[0].generation, 1);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);

    who[0].at[0] = addr("10.0.9.9:7000");
    who[0].at[1] = addr("10.0.9.9:7001");
    offer = offer_by(&who[0]);
    old = with(&offer, "tls-id", NULL);
    answer = answer_by(&who[1], &old);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(status(&who[1]).dir[0].generation, 2);
}

static void a_peer_without_tls_id_is_not_asked_for_new_keys(void **state)
{
    struct cph_keying_remote offer, answer;

    (void)state;
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    answer = with(&answer, "tls-id", NULL);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    cph_keying_dtls.renew(who[0].k);
    (void)offer_by(&who[0]);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer)); /* as it was */
    run(&who[0], &who[1], now + CPH_SEC(120));            /* longer than any handshake may take */
    assert_int_equal(status(&who[0]).state, CPH_KEYING_KEYED);
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
}

static void a_refused_re_offer_leaves_the_keys_alone(void **state)
{
    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    (void)offer_by(&who[0]);
    cph_keying_dtls.rollback(who[0].k);
    assert_keyed(&who[0], &who[1]);
}

static void a_later_answer_with_another_certificate_holds(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), early = answer_by(&who[1], &offer), late;
    struct cph_keying_status s;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &early));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.finish(who[0].k, &early)); /* the 200 says what the 183 said */
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
    late = answer_by(&who[2], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &late));
    run(&who[0], &who[2], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[2]);
    s = status(&who[0]);
    assert_int_equal(s.dir[0].generation, 2);
}

/* ---- forks ----------------------------------------------------------------------------------- */

/* Two answerers. Everything that comes is fed to the first branch, as if nobody knew better. */
static void forked_answers_get_keys_of_their_own(void **state)
{
    CPH_SRTP_POLICY_SCOPED one = { 0 };
    CPH_SRTP_POLICY_SCOPED two = { 0 };
    struct cph_keying_remote offer = offer_by(&who[0]), a[2];
    struct cph_keying *branch;

    (void)state;
    for (int i = 0; i < 2; i++)
        a[i] = answer_by(&who[1 + i], &offer);
    run(&who[0], &who[2], now + CPH_SEC(3)); /* the second is faster; both before the answers */
    run(&who[0], &who[1], now + CPH_SEC(3));
    assert_ok(cph_keying_dtls.fork(who[0].k, &branch));
    assert_ok(cph_keying_dtls.finish(who[0].k, &a[0]));
    assert_ok(cph_keying_dtls.finish(branch, &a[1]));
    cph_keying_tick(who[0].k, now);
    assert_true(cph_keying_deadline(branch) <= now);
    cph_keying_tick(branch, now);
    assert_same_keys(&who[0], &who[1], CPH_KEYING_RTP);
    {
        struct party second = { .k = branch };

        assert_same_keys(&second, &who[2], CPH_KEYING_RTP);
        send_key(&who[0], &one);
        send_key(&second, &two);
    }
    assert_false(cph_ct_eq(cph_secret_span(&one.master.key), cph_secret_span(&two.master.key)));
    cph_keying_free(branch);
    assert_keyed(&who[0], &who[1]);
}

static void a_fork_after_the_first_answer_works_too(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), a;
    struct cph_keying *branch;

    (void)state;
    a = answer_by(&who[1], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &a));
    run(&who[0], &who[1], now + CPH_SEC(3));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.fork(who[0].k, &branch));
    a = answer_by(&who[2], &offer);
    assert_ok(cph_keying_dtls.finish(branch, &a));
    run(&who[0], &who[2], now + CPH_SEC(3)); /* fed to the first, claimed by the second */
    cph_keying_tick(branch, now);
    {
        struct party second = { .k = branch };

        assert_same_keys(&second, &who[2], CPH_KEYING_RTP);
    }
    assert_keyed(&who[0], &who[1]);
    cph_keying_free(branch);
}

/* ---- a second call between the same two ------------------------------------------------------ */

static struct cph_dtls *device[PARTIES];

/* Instances of their own, that share what the device has. */
static void redo(struct party *p, unsigned resume_s)
{
    unsigned i = (unsigned)(p - who);
    struct cph_dtls_cfg shared = {
        .env = &t.env, .key = p->key, .cert = p->cert, .resume_s = resume_s
    };
    struct cph_keying_cfg cfg = { .env = &t.env, .key = p->key, .cert = p->cert };

    if (!device[i])
        assert_ok(cph_dtls_new(&shared, &device[i]));
    cfg.dtls = device[i];
    cph_keying_free(p->k);
    assert_ok(cph_keying_dtls.make(&cfg, &p->k));
}

static bool resumed(const struct party *p)
{
    struct cph_keying_evidence e = { 0 };

    cph_keying_dtls.evidence(p->k, &e);
    assert_true(e.keyed && e.peer_fingerprint_n == 32);
    return e.notes & CPH_KEYING_NOTE_RESUMED;
}

/* A call of a with b; true if it was made from an earlier one. */
static bool call_again(struct party *a, struct party *b)
{
    redo(a, CPH_DTLS_RESUME_S);
    redo(b, CPH_DTLS_RESUME_S);
    n_wire = 0;
    agree(a, b);
    run(a, b, now + CPH_SEC(5));
    assert_keyed(a, b);
    assert_int_equal(resumed(a), resumed(b));
    return resumed(a);
}

static int forget_devices(void **state)
{
    for (int i = 0; i < PARTIES; i++) {
        cph_keying_free(who[i].k);
        who[i].k = NULL;
        cph_dtls_free(device[i]);
        device[i] = NULL;
    }
    return teardown(state);
}

static void a_second_call_needs_no_public_keys_if_both_wish_it(void **state)
{
    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    assert_true(call_again(&who[0], &who[1]));
    assert_true(call_again(&who[0], &who[1]));
    assert_false(call_again(&who[1], &who[0])); /* roles are not exchanged: see stream.h */
    assert_true(call_again(&who[1], &who[0]));
    assert_false(call_again(&who[0], &who[2])); /* another peer */
    assert_true(call_again(&who[0], &who[1]));
}

static void without_the_wish_every_call_is_made_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        redo(&who[0], 0);
        redo(&who[1], i == 2 ? 0 : CPH_DTLS_RESUME_S);
        agree(&who[0], &who[1]);
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_keyed(&who[0], &who[1]);
        assert_false(resumed(&who[0]) || resumed(&who[1]));
    }
    assert_true(cph_dtls_deadline(device[0]) == CPH_TIME_NEVER);
}

/* The life counts from the handshake that made the keys, not from the last call. */
static void what_is_kept_is_forgotten_in_time(void **state)
{
    cph_time began = now;

    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    assert_true(cph_dtls_deadline(device[0]) <= now + CPH_SEC(CPH_DTLS_RESUME_S));
    now = began + CPH_SEC(CPH_DTLS_RESUME_S) - CPH_SEC(1);
    assert_true(call_again(&who[0], &who[1]));
    now = began + CPH_SEC(CPH_DTLS_RESUME_S) + CPH_SEC(1);
    assert_false(call_again(&who[0], &who[1]));
    cph_dtls_tick(device[0], now + CPH_SEC(CPH_DTLS_RESUME_S));
    assert_true(cph_dtls_deadline(device[0]) == CPH_TIME_NEVER);
    assert_false(call_again(&who[0], &who[1])); /* one end forgot */
}

/* RFC 8122 5.1: the certificate that a session stands for must be the promised one, too. */
static void a_session_does_not_stand_for_another_fingerprint(void **state)
{
    struct cph_keying_remote offer, answer, false_answer, other;

    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    redo(&who[0], 0);
    redo(&who[1], 0);
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    other = offer_by(&who[2]);
    false_answer = with(&answer, "fingerprint", attr(&other, "fingerprint"));
    assert_ok(cph_keying_dtls.finish(who[0].k, &false_answer));
    run(&who[0], &who[1], now + CPH_SEC(40));
    assert_int_equal(status(&who[0]).state, CPH_KEYING_FAILED);
    assert_int_equal(status(&who[0]).err, CPH_E_CERT);
}

static void more_peers_than_places_push_out_the_oldest(void **state)
{
    struct cph_dtls_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };
    struct cph_dtls *x;

    (void)state;
    cfg.resume_s = CPH_DTLS_RESUME_MAX_S + 1;
    assert_err(cph_dtls_new(&cfg, &x), CPH_E_CONFIG);
    cfg.resume_s = 1;
    cfg.key = NULL;
    assert_err(cph_dtls_new(&cfg, &x), CPH_E_CONFIG);
    /* A device's things are for its own certificate alone. */
    redo(&who[1], 1);
    assert_err(cph_keying_dtls.make(
                   &(struct cph_keying_cfg){
                       .env = &t.env, .key = who[0].key, .cert = who[0].cert, .dtls = device[1] },
                   &(struct cph_keying *){ NULL }),
               CPH_E_CONFIG);
    for (int i = 0; i < DTLS_KEPT + 3; i++) {
        struct cph_cert_spec spec = { "many", NULL, 0, t.wall - DAY, t.wall + DAY };

        cph_cert_free(who[1].cert);
        cph_dtls_free(device[1]);
        device[1] = NULL;
        cph_keying_free(who[1].k);
        who[1].k = NULL;
        assert_ok(cph_cert_self_signed(&t.env, who[1].key, &spec, &who[1].cert));
        assert_false(call_again(&who[0], &who[1]));
        assert_true(call_again(&who[0], &who[1]));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define D(name) cmocka_unit_test_setup_teardown(name, setup, forget_devices)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_re_offer_keeps_the_association),
        T(an_answer_that_repeats_actpass_keeps_what_stands),
        T(a_new_tls_id_makes_a_new_association),
        T(a_peer_without_tls_id_gets_none_and_a_move_begins_anew),
        T(a_peer_without_tls_id_is_not_asked_for_new_keys),
        T(a_refused_re_offer_leaves_the_keys_alone),
        T(a_later_answer_with_another_certificate_holds),
        T(forked_answers_get_keys_of_their_own),
        T(a_fork_after_the_first_answer_works_too),
        D(a_second_call_needs_no_public_keys_if_both_wish_it),
        D(without_the_wish_every_call_is_made_anew),
        D(what_is_kept_is_forgotten_in_time),
        D(a_session_does_not_stand_for_another_fingerprint),
        D(more_peers_than_places_push_out_the_oldest),
    };

    return cmocka_run_group_tests_name("dtls_again", tests, NULL, NULL);
}

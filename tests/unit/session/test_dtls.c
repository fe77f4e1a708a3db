/* The session engine with keys agreed on the media path (DTLS-SRTP). */
#include "pair.h"

#define REQ  CPH_SECURITY_REQUIRED
#define PREF CPH_SECURITY_PREFER

static void certify(struct party *p, int64_t from, int64_t to)
{
    struct cph_cert_spec spec = { .cn = "device", .not_before = from, .not_after = to };

    assert_ok(cph_key_generate(&p->env.env, CPH_KEY_EC_P256, &p->key));
    assert_ok(cph_cert_self_signed(&p->env.env, p->key, &spec, &p->cert));
    p->cfg.keying.key = p->key;
    p->cfg.keying.cert = p->cert;
}

static void dtls_party(struct party *p, unsigned who, enum cph_security policy, bool mux,
                       int64_t expires)
{
    party_init(p, who, policy, "dtls");
    p->env.wall = 1000000000;
    p->media[0].rtcp_mux = p->cfg.keying.rtcp_mux = mux;
    certify(p, 900000000, expires);
    party_start(p);
}

enum { LATER = 1100000000, PAST = 999999999 };

static void open_pair(struct pair *t, enum cph_security policy, bool mux)
{
    memset(t, 0, sizeof *t);
    dtls_party(&t->a, 1, policy, mux, LATER);
    dtls_party(&t->b, 2, policy, mux, LATER);
}

static void a_call_is_keyed_by_a_handshake_with_and_without_rtcp_mux(void **state)
{
    (void)state;
    for (int mux = 0; mux < 2; mux++) {
        struct pair t;
        struct pkt k;
        struct cph_session_event ev;
        struct cph_session_packet got;

        open_pair(&t, REQ, mux);
        call(&t);
        assert_err(say(&t, &t.a, &t.b, 1), CPH_E_NOKEY);
        assert_false(happened(&t.a, CPH_SESSION_KEYED, NULL));
        assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
        shuttle(&t);
        assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
        assert_non_null(strstr(ev.why, "dtls"));
        assert_true(happened(&t.b, CPH_SESSION_KEYED, NULL));
        talk(&t);
        rtcp(&t.a, &k);
        assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &k));
        assert_int_equal(k.port, mux ? CPH_KEYING_RTP : CPH_KEYING_RTCP);
        assert_ok(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][k.port]));
        assert_ok(cph_session_take(t.b.s, &got));
        assert_int_equal(got.component, CPH_KEYING_RTCP);
        assert_true(cph_session_counts(t.a.s).keying_out > 0);
        assert_false(reason(&t.a, CPH_REASON_REKEYED)); /* not by the handshake for RTCP either */
        assert_false(reason(&t.b, CPH_REASON_REKEYED));
        pair_close(&t);
    }
}

static void media_during_the_handshake_is_kept_and_played(void **state)
{
    struct pair t;
    struct cph_session_packet got;
    struct cph_session_out out;
    struct pkt k, fin = { .n = 0 };

    (void)state;
    open_pair(&t, REQ, true);
    call(&t);
    /* all but the last packet towards Alice arrives */
    for (int round = 0; round < 20; round++) {
        while (cph_session_pull(t.a.s, &out, 0) == CPH_OK) {
            k.n = out.bytes.n;
            k.port = out.port;
            memcpy(k.b, out.bytes.p, k.n);
            (void)feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]);
        }
        while (cph_session_pull(t.b.s, &out, 0) == CPH_OK) {
            k.n = out.bytes.n;
            k.port = out.port;
            memcpy(k.b, out.bytes.p, k.n);
            if (happened(&t.b, CPH_SESSION_KEYED, NULL) || fin.n > 0)
                fin = k;
            else
                (void)feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]);
        }
    }
    if (fin.n > 0) { /* Bob has keys, Alice not yet */
        for (uint8_t i = 0; i < 5; i++) {
            rtp(&t.b, &k, i);
            assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
            assert_ok(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]));
            assert_err(cph_session_take(t.a.s, &got), CPH_E_AGAIN);
        }
        (void)feed_from(&t, &t.a, 0, &fin, &t.b.addr[0][0]);
        for (uint8_t i = 0; i < 5; i++) {
            assert_ok(cph_session_take(t.a.s, &got));
            assert_int_equal(got.bytes.p[12], i);
        }
    }
    shuttle(&t);
    talk(&t);
    pair_close(&t);
}

static void a_handshake_before_the_answer_is_served(void **state)
{
    struct pair t;

    (void)state;
    open_pair(&t, REQ, true);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text)); /* active: Bob begins at once */
    shuttle(&t);
    assert_err(say(&t, &t.a, &t.b, 1), CPH_E_NOKEY); /* nobody knows yet whose certificate it is */
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    shuttle(&t);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, NULL));
    talk(&t);
    pair_close(&t);
}

static void with_a_fingerprint_alone_a_call_is_private(void **state)
{
    struct pair t;
    struct cph_verdict v;

    (void)state;
    open_pair(&t, REQ, true);
    call(&t);
    shuttle(&t);
    talk(&t);
    came_by(&t.a, CPH_HOP_UDP, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_UNKNOWN);
    cph_session_verdict(t.a.s, &v);
    assert_int_equal(v.level, CPH_LEVEL_PRIVATE);
    assert_int_equal(v.attacker, CPH_ATTACKER_III);
    assert_string_equal(v.stream[0].keying, "dtls");
    assert_true(v.policy_kept);
    assert_int_equal(t.a.voucher_asked, 1);
    cph_session_proof(t.a.s, CPH_PROOF_COVERED); /* the fingerprint was under a shared secret */
    assert_int_equal(level(&t.a), CPH_LEVEL_VERIFIED);
    pair_close(&t);
}

static void with_a_pinned_certificate_a_call_is_verified(void **state)
{
    struct pair t;
    struct cph_verdict v;

    (void)state;
    open_pair(&t, REQ, true);
    t.a.voucher = CPH_VOUCHER_PIN;
    call(&t);
    shuttle(&t);
    talk(&t);
    came_by(&t.a, CPH_HOP_UDP, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_UNKNOWN);
    cph_session_verdict(t.a.s, &v);
    assert_int_equal(v.level, CPH_LEVEL_VERIFIED);
    assert_int_equal(v.attacker, CPH_ATTACKER_IV);
    assert_int_equal(v.vouched_by, CPH_VOUCHER_PIN);
    assert_string_equal(v.voucher, "the pinned one");
    pair_close(&t);
}

static void another_certificate_than_the_pinned_one_ends_the_call(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    open_pair(&t, REQ, true);
    t.a.mismatch = true;
    call(&t);
    shuttle(&t);
    assert_true(happened(&t.a, CPH_SESSION_FAILED, &ev));
    assert_int_equal(ev.err, CPH_E_CERT);
    assert_non_null(strstr(ev.why, "another certificate"));
    assert_err(say(&t, &t.a, &t.b, 1), CPH_E_POLICY);
    assert_true(say(&t, &t.b, &t.a, 1) != CPH_OK);
    assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
    pair_close(&t);
}

static void an_expired_certificate_vouches_for_nobody(void **state)
{
    struct pair t;

    (void)state;
    memset(&t, 0, sizeof t);
    dtls_party(&t.a, 1, REQ, true, LATER);
    dtls_party(&t.b, 2, REQ, true, PAST);
    t.a.voucher = CPH_VOUCHER_PIN;
    call(&t);
    shuttle(&t);
    if (happened(&t.a, CPH_SESSION_KEYED, NULL)) { /* taken: then it lowers, and is told */
        came_by(&t.a, CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER);
        assert_int_equal(level(&t.a), CPH_LEVEL_PRIVATE);
        assert_true(reason(&t.a, CPH_REASON_VALIDITY));
    } else {
        assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
    }
    pair_close(&t);
}

/* Time goes on until neither has anything to wait for within a minute. */
static void wait_a_minute(struct pair *t)
{
    cph_time end = t->now + CPH_SEC(60);

    while (t->now < end) {
        cph_time a = cph_session_deadline(t->a.s), b = cph_session_deadline(t->b.s);
        cph_time next = a < b ? a : b;

        if (next > end)
            break;
        if (next > t->now)
            t->now = next;
        cph_session_tick(t->a.s, t->now);
        cph_session_tick(t->b.s, t->now);
        shuttle(t);
        t->now++;
    }
}

/* One digit of every fingerprint becomes another. */
static void forge(struct party *p)
{
    p->sdp[p->text.n] = '\0';
    for (char *at = p->sdp; (at = strstr(at, "a=fingerprint:sha-")) != NULL;) {
        at += 22;
        *at = *at == 'A' ? 'B' : 'A';
    }
}

static void a_wrong_fingerprint_means_no_media_and_a_loud_reason(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    for (int who = 0; who < 2; who++) { /* in the offer, or in the answer */
        struct party *p = who ? &t.b : &t.a, *q = who ? &t.a : &t.b;

        open_pair(&t, PREF, true); /* not even under prefer does it fall back to RTP */
        assert_ok(offer(&t, &t.a));
        if (!who)
            forge(&t.a);
        assert_ok(answer(&t, &t.b, t.a.text));
        if (who)
            forge(&t.b);
        assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
        assert_ok(cph_session_choose(t.a.s, 1));
        shuttle(&t);
        wait_a_minute(&t);
        assert_true(happened(q, CPH_SESSION_FAILED, &ev));
        assert_int_equal(ev.err, CPH_E_CERT);
        assert_true(say(&t, p, q, 1) != CPH_OK);
        assert_true(say(&t, q, p, 1) != CPH_OK);
        assert_int_equal(level(q), CPH_LEVEL_OPEN);
        assert_true(reason(q, CPH_REASON_MISMATCH));
        pair_close(&t);
    }
}

static void a_handshake_nobody_answers_fails_in_time(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    open_pair(&t, REQ, true);
    call(&t);
    while (t.now < CPH_SEC(60) && cph_session_deadline(t.a.s) != CPH_TIME_NEVER) {
        struct cph_session_out out;

        t.now = cph_session_deadline(t.a.s) > t.now ? cph_session_deadline(t.a.s) : t.now + 1;
        cph_session_tick(t.a.s, t.now);
        while (cph_session_pull(t.a.s, &out, t.now) == CPH_OK)
            continue; /* into the void */
    }
    assert_true(happened(&t.a, CPH_SESSION_FAILED, &ev));
    assert_int_equal(ev.err, CPH_E_TIMEOUT);
    assert_true(t.now <= CPH_SEC(41));
    pair_close(&t);
}

/* Time passes at one side, and what it sends is lost. */
static void alone(struct pair *t, struct party *p, cph_time until)
{
    struct cph_session_out out;

    while (cph_session_deadline(p->s) < until) {
        t->now = cph_session_deadline(p->s) > t->now ? cph_session_deadline(p->s) : t->now + 1;
        cph_session_tick(p->s, t->now);
        while (cph_session_pull(p->s, &out, t->now) == CPH_OK)
            continue;
    }
    t->now = until;
}

static void a_phone_that_rings_waits_longer_than_one_that_talks(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    open_pair(&t, REQ, true);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    alone(&t, &t.b, CPH_SEC(170)); /* the peer listens when it has the answer, and has none */
    assert_false(happened(&t.b, CPH_SESSION_FAILED, NULL));
    cph_session_answered(t.b.s, t.now);
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, t.now));
    assert_ok(cph_session_choose(t.a.s, 1));
    shuttle(&t);
    talk(&t);
    pair_close(&t);

    open_pair(&t, REQ, true);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    cph_session_answered(t.b.s, t.now);
    alone(&t, &t.b, CPH_SEC(41));
    assert_true(happened(&t.b, CPH_SESSION_FAILED, &ev));
    assert_int_equal(ev.err, CPH_E_TIMEOUT);
    pair_close(&t);
}

static void each_branch_of_a_fork_gets_a_handshake_of_its_own(void **state)
{
    struct pair t, u;

    (void)state;
    open_pair(&t, REQ, true);
    memset(&u, 0, sizeof u);
    dtls_party(&u.b, 3, REQ, true, LATER);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &u.b, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_finish(t.a.s, 2, u.b.text, 0));
    for (int round = 0; round < 40; round++) { /* three parties on one wire */
        struct party *p[3] = { &t.a, &t.b, &u.b };

        for (int i = 0; i < 3; i++) {
            struct cph_session_out out;

            while (cph_session_pull(p[i]->s, &out, 0) == CPH_OK) {
                struct pkt k = { .n = out.bytes.n, .port = out.port };

                memcpy(k.b, out.bytes.p, out.bytes.n);
                for (int j = 0; j < 3; j++)
                    if (cph_addr_eq(&out.to, &p[j]->addr[0][out.port]))
                        (void)feed_from(&t, p[j], 0, &k, &p[i]->addr[0][out.port]);
            }
        }
    }
    assert_true(happened(&t.b, CPH_SESSION_KEYED, NULL));
    assert_true(happened(&u.b, CPH_SESSION_KEYED, NULL));
    assert_ok(say(&t, &t.b, &t.a, 1));
    assert_ok(say(&t, &u.b, &t.a, 2));
    assert_ok(cph_session_choose(t.a.s, 2));
    assert_false(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL)); /* nobody else knows these keys */
    assert_true(say(&t, &t.b, &t.a, 1) != CPH_OK);
    assert_ok(say(&t, &u.b, &t.a, 2));
    assert_ok(say(&t, &t.a, &u.b, 3));
    party_end(&u.b);
    pair_close(&t);
}

static void hold_keeps_the_association_and_a_rekey_makes_a_new_one(void **state)
{
    struct pair t;
    uint64_t before;

    (void)state;
    open_pair(&t, REQ, true);
    call(&t);
    shuttle(&t);
    talk(&t);
    before = cph_session_counts(t.a.s).keying_out;
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDONLY));
    exchange(&t, &t.a, &t.b);
    shuttle(&t);
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDRECV));
    exchange(&t, &t.a, &t.b);
    shuttle(&t);
    assert_int_equal(cph_session_counts(t.a.s).keying_out, before);
    talk(&t);
    (void)happened(&t.a, CPH_SESSION_KEYED, NULL);
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    talk(&t); /* media goes on under the old keys meanwhile */
    shuttle(&t);
    talk(&t);
    assert_true(cph_session_counts(t.a.s).keying_out > before);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, NULL));
    assert_true(reason(&t.a, CPH_REASON_REKEYED));
    assert_int_equal(cph_session_counts(t.a.s).auth_failed, 0);
    pair_close(&t);
}

static void dtls_is_taken_before_sdes_when_both_are_offered(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    memset(&t, 0, sizeof t);
    for (int i = 0; i < 2; i++) {
        struct party *p = i ? &t.b : &t.a;

        party_init(p, 1 + (unsigned)i, REQ, NULL);
        p->env.wall = 1000000000;
        certify(p, 900000000, LATER);
        party_start(p);
    }
    call(&t);
    shuttle(&t);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "dtls"));
    talk(&t);
    pair_close(&t);
}

static void a_damaged_fingerprint_beside_sdes_is_noticed_as_a_downgrade(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    memset(&t, 0, sizeof t);
    for (int i = 0; i < 2; i++) {
        struct party *p = i ? &t.b : &t.a;

        party_init(p, 1 + (unsigned)i, REQ, NULL);
        p->env.wall = 1000000000;
        certify(p, 900000000, LATER);
        party_start(p);
    }
    assert_ok(offer(&t, &t.a));
    edit(&t.a, "a=fingerprint:sha-256 ", "a=fingerprint:sha-1 ");
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_true(happened(&t.b, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "sdes"));
    came_by(&t.b, CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER);
    assert_true(reason(&t.b, CPH_REASON_DOWNGRADE));
    assert_true(level(&t.b) <= CPH_LEVEL_HOP);
    pair_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_keyed_by_a_handshake_with_and_without_rtcp_mux),
        cmocka_unit_test(media_during_the_handshake_is_kept_and_played),
        cmocka_unit_test(a_handshake_before_the_answer_is_served),
        cmocka_unit_test(with_a_fingerprint_alone_a_call_is_private),
        cmocka_unit_test(with_a_pinned_certificate_a_call_is_verified),
        cmocka_unit_test(another_certificate_than_the_pinned_one_ends_the_call),
        cmocka_unit_test(an_expired_certificate_vouches_for_nobody),
        cmocka_unit_test(a_wrong_fingerprint_means_no_media_and_a_loud_reason),
        cmocka_unit_test(a_handshake_nobody_answers_fails_in_time),
        cmocka_unit_test(a_phone_that_rings_waits_longer_than_one_that_talks),
        cmocka_unit_test(each_branch_of_a_fork_gets_a_handshake_of_its_own),
        cmocka_unit_test(hold_keeps_the_association_and_a_rekey_makes_a_new_one),
        cmocka_unit_test(dtls_is_taken_before_sdes_when_both_are_offered),
        cmocka_unit_test(a_damaged_fingerprint_beside_sdes_is_noticed_as_a_downgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

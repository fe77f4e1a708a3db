/* Calls whose offers and answers are sealed: SDES keys that no server has, whatever carries them.
 */
#include "phone_support.h"

#define BOB "sip:bob@10.0.0.2:5060"

static const struct cph_phone_smime gcm, cbc = { .cbc = true };

/* What went over the wire: the last INVITE, and whether a key could be read. */
static struct wire {
    uint8_t invite[16384];
    size_t n;
    unsigned keys, sealed;
} wire;

static bool on_wire(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                    struct cph_span bytes, bool stream, cph_time now)
{
    (void)ctx, (void)from, (void)to, (void)stream, (void)now;
    if (memmem(bytes.p, bytes.n, "a=crypto:", 9) || memmem(bytes.p, bytes.n, "m=audio", 7))
        wire.keys++;
    if (memmem(bytes.p, bytes.n, "application/pkcs7-mime; smime-type=", 35))
        wire.sealed++;
    if (cph_span_starts(bytes, "INVITE ") && bytes.n <= sizeof wire.invite) {
        memcpy(wire.invite, bytes.p, bytes.n);
        wire.n = bytes.n;
    }
    return true;
}

static void phone_with(struct line *l, unsigned i, bool policy, const struct cph_phone_smime *smime,
                       const char *keying)
{
    struct cph_phone_account a = { .name = "", .user = i ? "bob" : "alice" };
    struct phone_extra x = { .account = &a, .n_accounts = 1, .smime = smime };

    a.policy.media = CPH_SECURITY_REQUIRED;
    a.policy.keying[0] = keying;
    a.policy.keying_n = 1;
    a.policy.smime = policy;
    phone_add(l, i, &x);
}

static void open_both(struct line *l, uint64_t seed, const char *keying)
{
    memset(&wire, 0, sizeof wire);
    line_open(l, seed);
    lab_net_tap(l->net, on_wire, NULL);
    for (unsigned i = 0; i < 2; i++) {
        phone_with(l, i, true, &gcm, keying);
        l->ear[i].peer_cert = phone_cert[!i];
    }
}

static bool says(const struct cph_verdict *v, enum cph_reason r)
{
    for (unsigned i = 0; i < v->reasons_n; i++)
        if (v->reason[i].code == r)
            return true;
    return false;
}

static void keys_that_no_server_sees_are_verified(void **state)
{
    struct line l;

    (void)state;
    open_both(&l, 1, "sdes");
    dial(&l, 0, BOB);
    run(&l, 3000);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_status st = status(&l, i);

        assert_non_null(heard(&l, i, CPH_PHONE_SECURED));
        assert_true(st.media.packets_in > 50);
        assert_string_equal(st.verdict.stream[0].keying, "sdes");
        assert_int_equal(st.verdict.level, CPH_LEVEL_VERIFIED); /* over UDP */
        assert_int_equal(st.verdict.attacker, CPH_ATTACKER_IV);
        assert_int_equal(st.verdict.vouched_by, CPH_VOUCHER_PIN);
        assert_true(says(&st.verdict, CPH_REASON_SEALED));
        assert_true(says(&st.verdict, CPH_REASON_NOT_FORWARD));
    }
    assert_int_equal(wire.keys, 0);
    assert_true(wire.sealed >= 2);
    hangup(&l, 1);
    assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_VERIFIED);
    line_close(&l);
}

static void a_call_that_is_not_sealed_is_as_open_as_its_path(void **state)
{
    struct line l;

    (void)state;
    memset(&wire, 0, sizeof wire);
    line_open(&l, 2);
    lab_net_tap(l.net, on_wire, NULL);
    for (unsigned i = 0; i < 2; i++) {
        phone_with(&l, i, false, &gcm, "sdes");
        l.ear[i].peer_cert = phone_cert[!i];
    }
    dial(&l, 0, BOB);
    run(&l, 2000);
    assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_OPEN);
    assert_true(wire.keys > 0);
    line_close(&l);
}

/* Whoever can open a sealed call takes it, and it stays sealed. */
static void the_called_needs_no_policy_for_it(void **state)
{
    struct line l;

    (void)state;
    memset(&wire, 0, sizeof wire);
    line_open(&l, 3);
    lab_net_tap(l.net, on_wire, NULL);
    phone_with(&l, 0, true, &cbc, "sdes");
    phone_with(&l, 1, false, &gcm, "sdes");
    for (unsigned i = 0; i < 2; i++)
        l.ear[i].peer_cert = phone_cert[!i];
    dial(&l, 0, BOB);
    run(&l, 2000);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(status(&l, i).verdict.level, CPH_LEVEL_VERIFIED);
    assert_int_equal(wire.keys, 0);
    line_close(&l);
}

static void shares_in_sealed_messages_are_the_peers(void **state)
{
    struct line l;

    (void)state;
    open_both(&l, 4, "sdp-dh");
    dial(&l, 0, BOB);
    run(&l, 2000);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_status st = status(&l, i);

        assert_int_equal(st.verdict.level, CPH_LEVEL_VERIFIED);
        assert_true(says(&st.verdict, CPH_REASON_BOUND_BY_PATH));
        assert_false(says(&st.verdict, CPH_REASON_NOT_FORWARD)); /* those keys are gone with it */
    }
    line_close(&l);
}

static void hold_and_new_keys_go_sealed_as_well(void **state)
{
    struct line l;
    uint64_t before;

    (void)state;
    open_both(&l, 5, "sdes");
    dial(&l, 0, BOB);
    run(&l, 1000);
    for (int round = 0; round < 4; round++) {
        unsigned who = round & 1;

        assert_ok(cph_phone_hold(lab_terminal_phone(l.t[who]), l.ear[who].call, round < 2,
                                 lab_now(l.net)));
        lab_terminal_pump(l.t[who]);
        run(&l, 500);
    }
    assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[1]), l.ear[1].call, lab_now(l.net)));
    lab_terminal_pump(l.t[1]);
    run(&l, 500);
    before = status(&l, 0).media.packets_in;
    run(&l, 1000);
    assert_true(status(&l, 0).media.packets_in > before + 40);
    assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_VERIFIED);
    assert_int_equal(status(&l, 1).verdict.level, CPH_LEVEL_VERIFIED);
    assert_int_equal(wire.keys, 0);
    line_close(&l);
}

/* What is known of one peer decides, where policy says nothing. */
static void a_peer_whose_calls_must_be_sealed_is_called_and_heard_so_only(void **state)
{
    struct line l;

    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        memset(&wire, 0, sizeof wire);
        line_open(&l, 30 + who);
        lab_net_tap(l.net, on_wire, NULL);
        for (unsigned i = 0; i < 2; i++) {
            phone_with(&l, i, false, &gcm, "sdes");
            l.ear[i].peer_cert = phone_cert[!i];
        }
        l.ear[who].seal.must = true;
        dial(&l, 0, BOB);
        run(&l, 2000);
        if (who == 0) {
            assert_int_equal(wire.keys, 0);
            assert_int_equal(status(&l, 1).verdict.level, CPH_LEVEL_VERIFIED);
        } else { /* the caller knows nothing of that */
            assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
        }
        line_close(&l);
    }
}

/* A key of our own for this, which an authority named, in place of the device's. */
static void an_authority_of_one_peer_vouches_for_it(void **state)
{
    struct cph_cert_name san = { CPH_NAME_URI, CPH_SPAN_LIT("sip:alice@10.0.0.1") };
    struct cph_cert_spec spec = { .cn = "CA", .not_before = 0, .not_after = INT32_MAX };
    struct cph_phone_smime own = { .cbc = false };
    struct cph_key *ca_key, *key;
    struct cph_cert *ca, *cert;
    struct cph_trust *trust;
    struct cph_env env;
    struct line l;

    (void)state;
    for (unsigned good = 0; good < 3; good++) { /* nobody, the right name, another one */
        line_open(&l, 40 + good);
        env = l.env;
        spec.cn = "CA";
        spec.n_san = 0;
        assert_ok(cph_key_generate(&env, CPH_KEY_EC_P256, &ca_key));
        assert_ok(cph_cert_issue(&env, ca_key, NULL, ca_key, &spec, &ca));
        assert_ok(cph_key_generate(&env, CPH_KEY_EC_P256, &key));
        spec.cn = "alice";
        san.text = good == 2 ? CPH_SPAN_LIT("sip:mallory@10.0.0.1")
                             : CPH_SPAN_LIT("sip:alice@10.0.0.1:5060");
        spec.san = &san;
        spec.n_san = 1;
        assert_ok(cph_cert_issue(&env, ca_key, ca, key, &spec, &cert));
        assert_ok(cph_trust_new(&trust));
        assert_ok(cph_trust_add(trust, ca));
        own.key = key;
        own.cert = cert;
        phone_with(&l, 0, true, &own, "sdes");
        phone_with(&l, 1, false, &gcm, "sdes");
        l.ear[0].peer_cert = phone_cert[1];
        l.ear[1].seal.trust = good ? trust : NULL;
        dial(&l, 0, BOB);
        run(&l, 2000);
        if (good == 1) {
            assert_true(status(&l, 1).secured);
            assert_int_equal(status(&l, 1).verdict.vouched_by, CPH_VOUCHER_AUTHORITY);
        } else {
            assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 493);
        }
        line_close(&l);
        cph_trust_free(trust);
        cph_cert_free(cert);
        cph_cert_free(ca);
        cph_key_free(key);
        cph_key_free(ca_key);
    }
}

/* ---- what must not be ----------------------------------------------------------------------- */

static void without_the_peers_certificate_there_is_no_call(void **state)
{
    struct cph_phone_dial d = { .to = BOB };
    struct line l;
    uint32_t call;

    (void)state;
    open_both(&l, 6, "sdes");
    l.ear[0].peer_cert = NULL;
    assert_err(cph_phone_dial(lab_terminal_phone(l.t[0]), &d, lab_now(l.net), &call),
               CPH_E_NOTFOUND);
    run(&l, 500);
    assert_int_equal(wire.n, 0);
    line_close(&l);
}

static unsigned refused_with(struct line *l)
{
    dial(l, 0, BOB);
    run(l, 2000);
    assert_null(heard(l, 0, CPH_PHONE_ANSWERED));
    assert_non_null(heard(l, 0, CPH_PHONE_ENDED));
    return heard(l, 0, CPH_PHONE_ENDED)->status;
}

/* What the called user reads of it. */
static void told(struct line *l, const char *one, const char *other)
{
    const struct cph_phone_event *ev = heard(l, 1, CPH_PHONE_ENDED);

    assert_non_null(ev);
    if (!strstr(ev->why, one) || !strstr(ev->why, other))
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", ev->why, one, other);
}

static void a_caller_who_is_not_the_one_we_know_is_refused(void **state)
{
    struct line l;

    (void)state;
    open_both(&l, 7, "sdes");
    l.ear[1].peer_cert = phone_cert[1]; /* another than the caller's */
    assert_int_equal(refused_with(&l), 493);
    told(&l, "another certificate than the one you know (sha-256 ", "nothing of it is used");
    line_close(&l);
    open_both(&l, 8, "sdes");
    l.ear[1].peer_cert = NULL; /* and one whom nobody knows */
    assert_int_equal(refused_with(&l), 493);
    told(&l, "nobody you know vouches for (sha-256 ", "it proves nothing");
    assert_int_equal(l.ear[1].verdict.level, CPH_LEVEL_OPEN);
    line_close(&l);
}

static void what_is_sealed_for_somebody_else_is_refused(void **state)
{
    struct line l;

    (void)state;
    open_both(&l, 9, "sdes");
    l.ear[0].peer_cert = phone_cert[0]; /* not Bob's */
    assert_int_equal(refused_with(&l), 493);
    told(&l, "cannot be opened", "sealed to another key");
    line_close(&l);
}

static void an_open_offer_is_refused_where_sealed_ones_are_due(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 10);
    phone_with(&l, 0, false, NULL, "sdes");
    phone_with(&l, 1, true, &gcm, "sdes");
    l.ear[1].peer_cert = phone_cert[0];
    assert_int_equal(refused_with(&l), 488);
    told(&l, "is not sealed", "must be");
    line_close(&l);
}

static void a_phone_without_it_says_what_it_takes(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 11);
    phone_with(&l, 0, true, &gcm, "sdes");
    phone_with(&l, 1, false, NULL, "sdes");
    l.ear[0].peer_cert = phone_cert[1];
    assert_int_equal(refused_with(&l), 415);
    line_close(&l);
}

/* An answer that is not sealed, to an offer that was. */
static void an_open_answer_to_a_sealed_offer_ends_the_call(void **state)
{
    struct line l;
    char sdp[512];

    (void)state;
    line_open(&l, 12);
    phone_with(&l, 0, true, &gcm, "sdes");
    l.ear[0].peer_cert = phone_cert[1];
    hand_open(&l);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 200);
    assert_int_equal(l.hand.invites, 1);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_answers(&l, 200, "t1", sdp);
    run(&l, 500);
    assert_null(heard(&l, 0, CPH_PHONE_SECURED));
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
    line_close(&l);
}

/* The very offer of an earlier call, under another Call-ID. */
static void an_offer_of_another_call_is_not_taken_again(void **state)
{
    struct cph_addr from, to;
    struct line l;
    size_t calls;
    uint8_t *id;

    (void)state;
    open_both(&l, 13, "sdes");
    dial(&l, 0, BOB);
    run(&l, 1000);
    hangup(&l, 0);
    run(&l, 40000);
    assert_true(wire.n > 0);
    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.1"), &from));
    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.2"), &to));
    from.port = to.port = 5060;
    id = memmem(wire.invite, wire.n, "Call-ID: ", 9);
    assert_non_null(id);
    id[9] = id[9] == 'x' ? 'y' : 'x';
    id = memmem(wire.invite, wire.n, "branch=z9hG4bK", 14);
    id[14] = id[14] == 'x' ? 'y' : 'x';
    calls = l.ear[1].n;
    assert_ok(lab_inject(l.net, &from, &to, (struct cph_span){ wire.invite, wire.n }));
    run(&l, 1000);
    assert_true(l.ear[1].n > calls); /* it came, and was refused */
    assert_int_equal(heard(&l, 1, CPH_PHONE_ENDED)->cause, CPH_E_REPLAY);
    line_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_no_server_sees_are_verified),
        cmocka_unit_test(a_call_that_is_not_sealed_is_as_open_as_its_path),
        cmocka_unit_test(the_called_needs_no_policy_for_it),
        cmocka_unit_test(shares_in_sealed_messages_are_the_peers),
        cmocka_unit_test(hold_and_new_keys_go_sealed_as_well),
        cmocka_unit_test(a_peer_whose_calls_must_be_sealed_is_called_and_heard_so_only),
        cmocka_unit_test(an_authority_of_one_peer_vouches_for_it),
        cmocka_unit_test(without_the_peers_certificate_there_is_no_call),
        cmocka_unit_test(a_caller_who_is_not_the_one_we_know_is_refused),
        cmocka_unit_test(what_is_sealed_for_somebody_else_is_refused),
        cmocka_unit_test(an_open_offer_is_refused_where_sealed_ones_are_due),
        cmocka_unit_test(a_phone_without_it_says_what_it_takes),
        cmocka_unit_test(an_open_answer_to_a_sealed_offer_ends_the_call),
        cmocka_unit_test(an_offer_of_another_call_is_not_taken_again),
    };
    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

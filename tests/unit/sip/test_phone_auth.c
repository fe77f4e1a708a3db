/* A caller must prove a password: from the first INVITE to the verdict, and everything that must
 * not get by. */
#include "phone_support.h"

#include "phone_int.h"

static struct cph_secret secret_of(const char *text)
{
    struct cph_secret s = { 0 };

    assert_ok(cph_secret_set(&s, cph_span_of(text)));
    return s;
}

/* Alice calls with a password, or NULL; Bob asks callers for alice's, which is "open sesame". */
static void house(struct line *l, const char *password, bool cover_body, const char *keying)
{
    struct cph_secret mine = secret_of(password ? password : "x"), hers = secret_of("open sesame");
    struct cph_phone_account a = { .name = "",
                                   .user = "alice",
                                   .password = password ? &mine : NULL };
    struct cph_phone_account b[2] = { { .name = "", .aor = "sip:bob@10.0.0.2:5060" },
                                      { .name = "open", .aor = "sip:open@10.0.0.2:5060" } };
    struct cph_phone_caller caller = { "alice", &hers };
    struct phone_extra x = { .account = &a, .n_accounts = 1 };

    a.policy.keying[0] = b[0].policy.keying[0] = b[1].policy.keying[0] = keying;
    a.policy.keying_n = b[0].policy.keying_n = b[1].policy.keying_n = 1;
    b[0].policy.challenge = true;
    b[0].policy.cover_body = cover_body;
    line_open(l, 11);
    phone_add(l, 0, &x);
    x = (struct phone_extra){ .account = b, .n_accounts = 2, .caller = &caller, .n_callers = 1 };
    phone_add(l, 1, &x);
}

static void a_right_password_rings_and_is_worth_what_it_covers(void **state)
{
    static const struct {
        bool cover_body;
        const char *keying;
        enum cph_level level;
    } row[] = {
        { true, "dtls", CPH_LEVEL_VERIFIED },
        { false, "dtls", CPH_LEVEL_PRIVATE },
        { true, "sdes", CPH_LEVEL_OPEN }, /* whoever listens has the keys all the same */
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct line l;

        house(&l, "open sesame", row[i].cover_body, row[i].keying);
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 3000);
        assert_non_null(heard(&l, 1, CPH_PHONE_INCOMING));
        assert_true(status(&l, 0).secured && status(&l, 1).secured);
        hangup(&l, 0);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(l.ear[k].verdict.level, row[i].level);
            assert_int_equal(l.ear[k].verdict.vouched_by, row[i].level == CPH_LEVEL_VERIFIED
                                                              ? CPH_VOUCHER_SECRET
                                                              : CPH_VOUCHER_NOBODY);
        }
        line_close(&l);
    }
}

static void without_the_password_nothing_rings(void **state)
{
    static const char *const password[] = { "open sesame!", "", NULL };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct line l;

        house(&l, password[i] && !password[i][0] ? "Open Sesame" : password[i], i % 2, "dtls");
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 3000);
        assert_int_equal(l.ear[1].n, 0);
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_true(heard(&l, 0, CPH_PHONE_ENDED)->status == 401 ||
                    heard(&l, 0, CPH_PHONE_ENDED)->status == 403);
        assert_null(heard(&l, 0, CPH_PHONE_ANSWERED));
        line_close(&l);
    }
}

/* ---- what an attacker has seen --------------------------------------------------------------- */

struct spy {
    char proven[TEXT]; /* the last INVITE with a proof */
    size_t n;
    bool bend;  /* change the fingerprint in it */
    bool strip; /* take Authentication-Info out of answers */
};

static bool spy_on(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                   struct cph_span bytes, bool stream, cph_time now)
{
    struct spy *s = ctx;
    uint8_t *at;

    (void)to, (void)stream, (void)now;
    if (from->port != 5060)
        return true;
    if (s->strip && (at = memmem(bytes.p, bytes.n, "Authentication-Info", 19)) != NULL)
        memcpy(at, "Authentication-Lost", 19);
    if (from->ip[3] != 1 || !cph_span_starts(bytes, "INVITE ") ||
        !memmem(bytes.p, bytes.n, "Authorization:", 14))
        return true;
    at = memmem(bytes.p, bytes.n, "a=fingerprint:sha-256 ", 22);
    if (s->bend && at)
        at[22] = at[22] == '0' ? '1' : '0';
    if (bytes.n < TEXT)
        memcpy(s->proven, bytes.p, s->n = bytes.n);
    return true;
}

static void a_proof_over_the_keys_notices_when_they_are_changed(void **state)
{
    struct spy s = { .bend = true };
    struct line l;

    (void)state;
    house(&l, "open sesame", true, "dtls");
    lab_net_tap(l.net, spy_on, &s);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 3000);
    assert_true(s.n > 0);
    assert_int_equal(l.ear[1].n, 0); /* it never rang */
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
}

static void hand_sends(struct line *l, const char *bytes, size_t n)
{
    struct cph_addr to = l->hand.addr;

    assert_ok(cph_addr_parse_ip(CPH_SPAN_LIT("10.0.0.2"), &to));
    to.port = 5060;
    assert_ok(
        lab_send(l->hand.node, &l->hand.addr, &to, (struct cph_span){ (const uint8_t *)bytes, n }));
    run(l, 100);
}

static unsigned incoming(const struct line *l)
{
    unsigned n = 0;

    for (size_t i = 0; i < l->ear[1].n; i++)
        n += l->ear[1].ev[i].kind == CPH_PHONE_INCOMING;
    return n;
}

static void a_proof_that_was_used_proves_nothing_again(void **state)
{
    static const unsigned later_s[] = { 1, 40, 200, 700 };
    struct spy s = { 0 };
    struct line l;
    char other[TEXT], *cseq;

    (void)state;
    house(&l, "open sesame", false, "dtls");
    hand_open(&l);
    lab_net_tap(l.net, spy_on, &s);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_int_equal(incoming(&l), 1);
    hangup(&l, 0);
    for (unsigned i = 0; i < 4; i++) {
        run(&l, later_s[i] * 1000);
        l.hand.status = 0;
        hand_sends(&l, s.proven, s.n); /* to the bit */
        assert_int_equal(incoming(&l), 1);
        memcpy(other, s.proven, s.n); /* as another call */
        cseq = memmem(other, s.n, "Call-ID: ", 9);
        assert_non_null(cseq);
        cseq[9] = cseq[9] == 'a' ? 'b' : 'a';
        cseq = memmem(other, s.n, "z9hG4bK", 7);
        cseq[8] = cseq[8] == 'a' ? 'b' : 'a';
        hand_sends(&l, other, s.n);
        assert_int_equal(l.hand.status, 401);
        assert_int_equal(incoming(&l), 1);
    }
    line_close(&l);
}

static void who_is_asked_is_not_the_callers_choice(void **state)
{
    static const struct {
        const char *uri, *to;
        unsigned rings;
    } row[] = {
        { "sip:bob@10.0.0.2:5060", "sip:bob@10.0.0.2:5060", 0 },
        { "sip:bob@10.0.0.2:5060", "sip:open@10.0.0.2:5060", 0 },
        { "sip:who@10.0.0.2:5060", "sip:open@10.0.0.2:5060", 0 },
        { "sip:open@10.0.0.2:5060", "sip:bob@10.0.0.2:5060", 1 }, /* that is whom it calls */
    };
    char sdp[1024];

    (void)state;
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    for (unsigned i = 0; i < 4; i++) {
        char all[TEXT];
        struct line l;

        house(&l, NULL, false, "sdes");
        hand_open(&l);
        snprintf(all, sizeof all,
                 "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKq\r\n"
                 "Max-Forwards: 70\r\nFrom: <sip:alice@10.0.0.9>;tag=hand\r\nTo: <%s>\r\n"
                 "Call-ID: by-hand\r\nCSeq: 1 INVITE\r\nContact: <sip:hand@10.0.0.9:5060>\r\n"
                 "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                 row[i].uri, row[i].to, strlen(sdp), sdp);
        hand_sends(&l, all, strlen(all));
        assert_int_equal(incoming(&l), row[i].rings);
        assert_int_equal(l.hand.status, row[i].rings ? 200 : 401);
        line_close(&l);
    }
}

static void new_keys_in_an_answer_nobody_proved_lower_the_verdict(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct line l;

        house(&l, "open sesame", true, i ? "sdes" : "dtls");
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 2000);
        assert_int_equal(status(&l, 1).verdict.level, i ? CPH_LEVEL_OPEN : CPH_LEVEL_VERIFIED);
        /* the one who asked changes the call: the answer comes without a proof */
        assert_ok(cph_phone_hold(lab_terminal_phone(l.t[1]), l.ear[1].call, true, lab_now(l.net)));
        lab_terminal_pump(l.t[1]);
        run(&l, 1000);
        /* no new keys, so what was proven stays proven */
        assert_int_equal(status(&l, 1).verdict.level, i ? CPH_LEVEL_OPEN : CPH_LEVEL_VERIFIED);
        hangup(&l, 1);
        line_close(&l);
    }
}

static void an_answer_whose_proof_was_taken_away_is_not_verified(void **state)
{
    struct spy s = { .strip = true };
    struct line l;

    (void)state;
    house(&l, "open sesame", true, "dtls");
    lab_net_tap(l.net, spy_on, &s);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 2000);
    assert_true(status(&l, 0).secured);
    assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_PRIVATE);
    assert_int_equal(status(&l, 1).verdict.level, CPH_LEVEL_VERIFIED);
    line_close(&l);
}

/* ---- our own password ------------------------------------------------------------------------ */

static void an_accounts_password_is_shown_to_its_server_only(void **state)
{
    static const struct {
        const char *registrar, *route;
        bool answers;
    } row[] = {
        { NULL, NULL, true },                 /* no server: the password is for peers */
        { "sip:10.0.0.9:5060", NULL, true },  /* the server itself */
        { "sip:10.0.0.8:5060", NULL, false }, /* a stranger who asks */
        { NULL, "sip:10.0.0.9:5060", true },  /* everything goes by this proxy */
    };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct cph_secret mine = secret_of("open sesame");
        struct cph_phone_account a = { .name = "",
                                       .aor = "sip:alice@example.org",
                                       .registrar = row[i].registrar,
                                       .route = row[i].route,
                                       .password = &mine };
        struct phone_extra x = { .account = &a, .n_accounts = 1 };
        struct line l;

        line_open(&l, 13);
        hand_open(&l);
        phone_add(&l, 0, &x);
        dial(&l, 0, "sip:hand@10.0.0.9:5060");
        run(&l, 50);
        assert_int_equal(l.hand.invites, 1);
        hand_responds(&l, "401 X", "t",
                      "WWW-Authenticate: Digest realm=\"any\", nonce=\"n\", algorithm=SHA-256, "
                      "qop=\"auth\"\r\n",
                      NULL);
        run(&l, 200);
        assert_int_equal(l.hand.invites, row[i].answers ? 2 : 1);
        assert_int_equal(strstr(l.hand.invite, "Authorization:") != NULL, row[i].answers);
        line_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_password_rings_and_is_worth_what_it_covers),
        cmocka_unit_test(without_the_password_nothing_rings),
        cmocka_unit_test(a_proof_over_the_keys_notices_when_they_are_changed),
        cmocka_unit_test(a_proof_that_was_used_proves_nothing_again),
        cmocka_unit_test(who_is_asked_is_not_the_callers_choice),
        cmocka_unit_test(new_keys_in_an_answer_nobody_proved_lower_the_verdict),
        cmocka_unit_test(an_answer_whose_proof_was_taken_away_is_not_verified),
        cmocka_unit_test(an_accounts_password_is_shown_to_its_server_only),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

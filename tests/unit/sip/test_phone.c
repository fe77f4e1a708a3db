/* Whole calls of phones under their policies, against phones, forks, gateways and liars. */
#include "phone_support.h"

#include "phone_int.h"

/* ---- policies -------------------------------------------------------------------------------- */

/* Plain PCMU between the phones' media ports: 12 + 160 bytes, version 2, payload type 0, no tag. */
static bool see_clear(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                      struct cph_span bytes, bool stream, cph_time now)
{
    struct line *l = ctx;

    (void)to, (void)stream, (void)now;
    l->clear_rtp += from->port >= 20000 && bytes.n == 172 && bytes.p[0] == 0x80;
    return true;
}

struct policy_row {
    enum cph_security a, b;
    bool secured, plain;
};

static void policies_decide_between_keys_clear_and_no_call(void **state)
{
    static const struct policy_row row[] = {
        { CPH_SECURITY_REQUIRED, CPH_SECURITY_REQUIRED, true, false },
        { CPH_SECURITY_REQUIRED, CPH_SECURITY_PREFER, true, false },
        { CPH_SECURITY_PREFER, CPH_SECURITY_REQUIRED, true, false },
        { CPH_SECURITY_PREFER, CPH_SECURITY_PREFER, true, false },
        { CPH_SECURITY_PREFER, CPH_SECURITY_NONE, false, true },
        { CPH_SECURITY_NONE, CPH_SECURITY_PREFER, false, true },
        { CPH_SECURITY_NONE, CPH_SECURITY_NONE, false, true },
        { CPH_SECURITY_NONE, CPH_SECURITY_REQUIRED, false, false },
    };
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof row / sizeof *row; i++) {
        const struct policy_row *r = &row[i / 2];
        struct line l;

        line_open(&l, i);
        lab_net_tap(l.net, see_clear, &l);
        phone_plain(&l, 0, "alice", r->a, keying[i % 2]);
        phone_plain(&l, 1, "bob", r->b, keying[i % 2]);
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 3000);
        assert_int_equal(heard(&l, 0, CPH_PHONE_SECURED) != NULL, r->secured);
        assert_int_equal(heard(&l, 1, CPH_PHONE_PLAIN) != NULL, r->plain);
        assert_int_equal(l.clear_rtp > 0, r->plain);
        if (r->secured || r->plain) {
            assert_int_equal(status(&l, 0).secured, r->secured);
            assert_true(status(&l, 0).media.packets_in > 0);
            hangup(&l, 0);
            assert_int_equal(l.ear[0].verdict.level,
                             r->secured && i % 2 ? CPH_LEVEL_PRIVATE : CPH_LEVEL_OPEN);
        } else {
            assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
            assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
            assert_int_equal(heard(&l, 1, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
        }
        line_close(&l);
    }
}

/* ---- somebody in between --------------------------------------------------------------------- */

struct meddler {
    const char *find, *put; /* of the same length */
    bool answers;           /* in what the callee sends, else in what the caller does */
    unsigned done;
};

static bool meddle(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                   struct cph_span bytes, bool stream, cph_time now)
{
    struct meddler *m = ctx;
    size_t n = strlen(m->find);
    uint8_t *at;

    (void)to, (void)stream, (void)now;
    if (from->port != 5060 || (from->ip[3] == 2) != m->answers)
        return true;
    at = memmem(bytes.p, bytes.n, m->find, n);
    for (; at; at = memmem(at, bytes.n - (size_t)(at - bytes.p), m->find, n)) {
        memcpy(at, m->put, n); /* on the wire, before it is copied */
        m->done++;
    }
    return true;
}

static void what_is_changed_on_the_way_ends_the_call_with_a_reason(void **state)
{
    static const struct {
        const char *keying;
        struct meddler m;
        cph_err cause[2]; /* CPH_OK: not looked at */
    } row[] = {
        { "sdes", { "a=crypto:", "a=nothin:", false, 0 }, { CPH_OK, CPH_E_POLICY } },
        { "sdes", { "a=crypto:", "a=nothin:", true, 0 }, { CPH_E_POLICY, CPH_OK } },
        { "dtls", { "a=fingerprint:", "a=forgetprint:", false, 0 }, { CPH_OK, CPH_E_POLICY } },
        { "dtls", { "a=fingerprint:", "a=forgetprint:", true, 0 }, { CPH_E_POLICY, CPH_OK } },
    };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct meddler m = row[i].m;
        struct line l;

        line_open(&l, i);
        lab_net_tap(l.net, meddle, &m);
        phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, row[i].keying);
        phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, row[i].keying);
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 5000);
        assert_true(m.done > 0);
        for (unsigned k = 0; k < 2; k++) {
            const struct cph_phone_event *end = heard(&l, k, CPH_PHONE_ENDED);

            assert_non_null(end);
            if (row[i].cause[k] == CPH_OK)
                continue;
            assert_null(heard(&l, k, CPH_PHONE_SECURED));
            assert_err(end->cause, row[i].cause[k]);
            assert_true(end->why[0]);
        }
        line_close(&l);
    }
}

/* The first byte of each fingerprint becomes another one. */
static bool other_fingerprint(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                              struct cph_span bytes, bool stream, cph_time now)
{
    unsigned *done = ctx;
    const uint8_t *at = bytes.p;

    (void)to, (void)stream, (void)now;
    while (from->port == 5060 && from->ip[3] == 2 &&
           (at = memmem(at, bytes.n - (size_t)(at - bytes.p), "a=fingerprint:sha-", 18)) != NULL) {
        uint8_t *digit = (uint8_t *)(uintptr_t)at + 22;

        *digit = *digit == '0' ? '1' : '0';
        at += 22;
        ++*done;
    }
    return true;
}

static void a_wrong_fingerprint_means_no_media_and_a_loud_reason(void **state)
{
    struct line l;
    unsigned done = 0;

    (void)state;
    line_open(&l, 1);
    lab_net_tap(l.net, other_fingerprint, &done);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "dtls");
    phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "dtls");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 5000);
    assert_true(done > 0);
    assert_null(heard(&l, 0, CPH_PHONE_SECURED));
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_err(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_CERT);
    assert_non_null(strstr(heard(&l, 0, CPH_PHONE_ENDED)->why, "fingerprint"));
    assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_OPEN);
    assert_false(l.ear[0].verdict.policy_kept);
    line_close(&l);
}

static void another_certificate_than_the_one_kept_ends_the_call_loudly(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        struct line l;

        line_open(&l, who);
        phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "dtls");
        phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "dtls");
        l.ear[who].pin = CPH_PHONE_PIN_MISMATCH;
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 5000);
        assert_null(heard(&l, who, CPH_PHONE_SECURED));
        assert_non_null(heard(&l, who, CPH_PHONE_ENDED));
        assert_err(heard(&l, who, CPH_PHONE_ENDED)->cause, CPH_E_CERT);
        assert_non_null(strstr(heard(&l, who, CPH_PHONE_ENDED)->why, "certificate"));
        assert_non_null(heard(&l, !who, CPH_PHONE_ENDED));
        assert_int_equal(l.ear[who].verdict.level, CPH_LEVEL_OPEN);
        line_close(&l);
    }
}

/* ---- forks, early media, late offers --------------------------------------------------------- */

static void ring_hand(struct line *l, enum cph_security media)
{
    line_open(l, 7);
    hand_open(l);
    phone_plain(l, 0, "alice", media, "sdes");
    dial(l, 0, "sip:hand@10.0.0.9:5060");
    run(l, 50);
    assert_int_equal(l->hand.invites, 1);
}

static void each_target_of_a_fork_has_keys_of_its_own(void **state)
{
    char a[1024], b[1024], first[256], again[256];
    struct line l;

    (void)state;
    ring_hand(&l, CPH_SECURITY_REQUIRED);
    assert_true(header(l.hand.invite, "a=crypto:1 ", first, sizeof first) > 0);
    hand_sdp(a, sizeof a, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_sdp(b, sizeof b, "RTP/SAVP", CRYPTO(HAND_KEY_B));
    hand_answers(&l, 183, "one", a);
    assert_non_null(heard(&l, 0, CPH_PHONE_EARLY));
    hand_answers(&l, 183, "two", b);
    hand_answers(&l, 200, "two", b);
    run(&l, 300);
    assert_non_null(heard(&l, 0, CPH_PHONE_ANSWERED));
    assert_true(status(&l, 0).secured);
    assert_int_equal(l.hand.acks, 1);
    assert_true(l.hand.n_media > 3);
    /* RFC 4568 7.3: the other one knows the key we send with, so another one is offered */
    assert_int_equal(l.hand.invites, 2);
    assert_true(header(l.hand.invite, "a=crypto:1 ", again, sizeof again) > 0);
    assert_true(strlen(first) > 40 && strcmp(first, again) != 0);
    hangup(&l, 0);
    line_close(&l);
}

static void a_target_that_cannot_have_keys_does_not_end_the_call_of_the_others(void **state)
{
    char bad[1024], good[1024];
    struct line l;

    (void)state;
    ring_hand(&l, CPH_SECURITY_REQUIRED);
    hand_sdp(bad, sizeof bad, "RTP/AVP", "");
    hand_sdp(good, sizeof good, "RTP/SAVP", CRYPTO(HAND_KEY_B));
    hand_answers(&l, 183, "one", bad);
    assert_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_non_null(heard(&l, 0, CPH_PHONE_NOTICE));
    assert_null(heard(&l, 0, CPH_PHONE_EARLY));
    hand_answers(&l, 200, "two", good);
    run(&l, 300);
    assert_non_null(heard(&l, 0, CPH_PHONE_ANSWERED));
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

static void the_target_that_failed_while_it_rang_cannot_answer(void **state)
{
    static const bool again[] = { false, true };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char bad[1024];
        struct line l;

        ring_hand(&l, CPH_SECURITY_REQUIRED);
        hand_sdp(bad, sizeof bad, "RTP/AVP", "");
        hand_answers(&l, 183, "one", bad);
        hand_answers(&l, 200, "one", again[i] ? bad : NULL);
        run(&l, 1000);
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_err(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
        assert_null(heard(&l, 0, CPH_PHONE_ANSWERED));
        assert_true(l.hand.byes > 0);
        assert_int_equal(l.hand.n_media, 0);
        line_close(&l);
    }
}

static void a_new_key_in_200_after_183_is_the_one_that_counts(void **state)
{
    char a[1024], b[1024];
    struct line l;

    (void)state;
    ring_hand(&l, CPH_SECURITY_REQUIRED);
    hand_sdp(a, sizeof a, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_sdp(b, sizeof b, "RTP/SAVP", CRYPTO(HAND_KEY_B));
    hand_answers(&l, 183, "one", a);
    assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
    hand_answers(&l, 200, "one", b);
    assert_non_null(heard(&l, 0, CPH_PHONE_ANSWERED));
    assert_non_null(heard(&l, 0, CPH_PHONE_CHANGED));
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

static void an_answer_in_clear_after_early_keys_ends_the_call(void **state)
{
    char a[1024], bad[1024];
    struct line l;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        ring_hand(&l, i ? CPH_SECURITY_PREFER : CPH_SECURITY_REQUIRED);
        hand_sdp(a, sizeof a, i ? "RTP/AVP" : "RTP/SAVP", CRYPTO(HAND_KEY_A));
        hand_sdp(bad, sizeof bad, "RTP/AVP", "");
        hand_answers(&l, 183, "one", a);
        hand_answers(&l, 200, "one", bad);
        run(&l, 500);
        assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_err(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
        line_close(&l);
    }
}

/* An INVITE of the hand, or a request in its dialog: to_tag "" for none. */
static void hand_asks(struct line *l, const char *method, const char *uri, const char *to,
                      const char *to_tag, unsigned cseq, const char *lines, const char *sdp)
{
    char all[TEXT];

    snprintf(all, sizeof all,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKh%s%u\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:carol@10.0.0.9>;tag=hand\r\nTo: <%s>%s%s\r\n"
             "Call-ID: by-hand\r\nCSeq: %u %s\r\nContact: <sip:hand@10.0.0.9:5060>\r\n%s%s"
             "Content-Length: %zu\r\n\r\n%s",
             method, uri, method, cseq, to, to_tag[0] ? ";tag=" : "", to_tag, cseq, method, lines,
             sdp ? "Content-Type: application/sdp\r\n" : "", sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    hand_says(l, all);
}

#define BOB "sip:bob@10.0.0.1:5060"

static void their_tag(const struct line *l, char *out, size_t cap)
{
    char to[256];

    header(l->hand.got, "To: ", to, sizeof to);
    assert_non_null(strstr(to, ";tag="));
    snprintf(out, cap, "%.*s", (int)strcspn(strstr(to, ";tag=") + 5, "\r"),
             strstr(to, ";tag=") + 5);
}

static void call_by_hand(struct line *l, const char *sdp, char tag[64])
{
    line_open(l, 9);
    hand_open(l);
    phone_plain(l, 0, "bob", CPH_SECURITY_REQUIRED, "sdes");
    hand_asks(l, "INVITE", BOB, BOB, "", 1, "", sdp);
    assert_int_equal(l->hand.status, 200);
    their_tag(l, tag, 64);
}

static void an_answer_in_the_ack_makes_the_keys_or_ends_the_call(void **state)
{
    static const char *const profile[] = { "RTP/SAVP", "RTP/AVP", NULL };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char sdp[1024], tag[64];
        struct line l;

        call_by_hand(&l, NULL, tag);
        assert_non_null(strstr(l.hand.got, "a=crypto:"));
        hand_sdp(sdp, sizeof sdp, profile[i] ? profile[i] : "RTP/AVP",
                 i == 0 ? CRYPTO(HAND_KEY_A) : "");
        hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", profile[i] ? sdp : NULL);
        run(&l, 500);
        if (i == 0) {
            assert_true(status(&l, 0).secured);
        } else {
            assert_null(heard(&l, 0, CPH_PHONE_ANSWERED));
            assert_err(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
            assert_true(l.hand.byes > 0);
            assert_int_equal(l.hand.n_media, 0);
        }
        line_close(&l);
    }
}

static void a_call_that_has_keys_does_not_lose_them_to_a_reoffer(void **state)
{
    static const char *const method[] = { "INVITE", "UPDATE" };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char good[1024], bad[1024], tag[64];
        struct line l;

        hand_sdp(good, sizeof good, "RTP/SAVP", CRYPTO(HAND_KEY_A));
        hand_sdp(bad, sizeof bad, "RTP/AVP", "");
        call_by_hand(&l, good, tag);
        hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", NULL);
        assert_true(status(&l, 0).secured);
        hand_asks(&l, method[i], BOB, BOB, tag, 2, "", bad);
        assert_int_equal(l.hand.status, 488);
        run(&l, 200);
        assert_true(status(&l, 0).secured);
        assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
        assert_null(heard(&l, 0, CPH_PHONE_ENDED));
        /* what looks like a hold, and a stream that goes and comes back, change nothing of it */
        hand_sdp(bad, sizeof bad, "RTP/AVP", "a=inactive\r\n");
        hand_asks(&l, method[i], BOB, BOB, tag, 3, "", bad);
        assert_int_equal(l.hand.status, 488);
        line_close(&l);
    }
}

static void a_stream_that_went_comes_back_with_keys_or_not_at_all(void **state)
{
    char good[1024], gone[1024], bad[1024], tag[64], ours[2][128];
    struct line l;

    (void)state;
    hand_sdp(good, sizeof good, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_sdp(bad, sizeof bad, "RTP/AVP", "");
    snprintf(gone, sizeof gone, "%s", good);
    memcpy(strstr(gone, "30000"), "0    ", 5);
    memmove(strstr(gone, "m=audio 0") + 9, strstr(gone, "m=audio 0") + 13,
            strlen(strstr(gone, "m=audio 0") + 13) + 1);
    call_by_hand(&l, good, tag);
    header(l.hand.got, "a=crypto:", ours[0], sizeof ours[0]);
    hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", NULL);
    hand_asks(&l, "UPDATE", BOB, BOB, tag, 2, "", gone);
    assert_int_equal(l.hand.status, 200);
    assert_false(status(&l, 0).secured);
    l.hand.n_media = 0;
    hand_asks(&l, "UPDATE", BOB, BOB, tag, 3, "", bad);
    assert_int_equal(l.hand.status, 488);
    run(&l, 200);
    assert_int_equal(l.hand.n_media, 0);
    hand_asks(&l, "UPDATE", BOB, BOB, tag, 4, "", good);
    assert_int_equal(l.hand.status, 200);
    header(l.hand.got, "a=crypto:", ours[1], sizeof ours[1]);
    assert_string_not_equal(ours[0],
                            ours[1]); /* its packets are counted from the beginning again */
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

/* ---- in the call ----------------------------------------------------------------------------- */

static void hold_resume_and_new_keys_leave_the_call_as_safe_as_it_was(void **state)
{
    static const char *const keying[] = { "sdes", "dtls", "sdp-dh" };
    static const enum cph_level level[] = { CPH_LEVEL_OPEN, CPH_LEVEL_PRIVATE, CPH_LEVEL_HOP };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct cph_phone *p;
        struct line l;

        line_open(&l, i);
        lab_net_tap(l.net, see_clear, &l);
        phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, keying[i]);
        phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, keying[i]);
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 2000);
        for (unsigned step = 0; step < 4; step++) {
            unsigned who = step % 2;
            uint64_t before = status(&l, !who).media.packets_in;

            p = lab_terminal_phone(l.t[who]);
            if (step < 2) {
                assert_ok(cph_phone_hold(p, l.ear[who].call, true, lab_now(l.net)));
                lab_terminal_pump(l.t[who]);
                run(&l, 500);
                assert_true(status(&l, who).held_by_us);
                assert_ok(cph_phone_hold(p, l.ear[who].call, false, lab_now(l.net)));
            } else {
                assert_ok(cph_phone_rekey(p, l.ear[who].call, lab_now(l.net)));
            }
            lab_terminal_pump(l.t[who]);
            run(&l, 1000);
            assert_true(status(&l, !who).media.packets_in > before + 20);
            assert_true(status(&l, 0).secured && status(&l, 1).secured);
        }
        assert_int_equal(l.clear_rtp, 0);
        hangup(&l, 1);
        assert_int_equal(l.ear[0].verdict.level, level[i]);
        assert_true(l.ear[0].verdict.policy_kept);
        line_close(&l);
    }
}

/* The key of the suite in use in the INVITE that the hand got last. */
static void last_key(const struct line *l, char out[64])
{
    static const char suite[] = "AES_CM_128_HMAC_SHA1_80 inline:";
    const char *at = strstr(l->hand.invite, suite);

    assert_non_null(at);
    (void)snprintf(out, 64, "%.40s", at + strlen(suite));
}

static void new_keys_that_were_refused_are_not_asked_for_by_a_hold(void **state)
{
    char sdp[512], first[64], wished[64], held[64];
    struct cph_phone *p;
    struct line l;

    (void)state;
    line_open(&l, 3);
    hand_open(&l);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "sdes");
    p = lab_terminal_phone(l.t[0]);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    dial(&l, 0, "sip:bob@10.0.0.9:5060");
    run(&l, 100);
    last_key(&l, first);
    hand_answers(&l, 200, "x", sdp);
    run(&l, 500);
    for (unsigned round = 0; round < 2; round++) {
        assert_ok(cph_phone_rekey(p, l.ear[0].call, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        run(&l, 100);
        last_key(&l, wished);
        assert_string_not_equal(wished, first);
        hand_answers(&l, 488, "", NULL);
        run(&l, 500);
        assert_ok(cph_phone_hold(p, l.ear[0].call, round == 0, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        run(&l, 100);
        last_key(&l, held);
        assert_string_equal(held, first);
        hand_answers(&l, 200, "", sdp);
        run(&l, 500);
        assert_int_equal(l.hand.invites, 3 + 2 * round);
    }
    hangup(&l, 0);
    line_close(&l);
}

static unsigned times(const struct line *l, unsigned i, enum cph_phone_event_kind kind)
{
    unsigned n = 0;

    for (size_t k = 0; k < l->ear[i].n; k++)
        n += l->ear[i].ev[k].kind == kind;
    return n;
}

static void a_change_is_told_once(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 3);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "sdes");
    phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 2000);
    for (unsigned change = 1; change <= 2; change++) {
        struct cph_phone *p = lab_terminal_phone(l.t[0]);

        if (change == 1)
            assert_ok(cph_phone_rekey(p, l.ear[0].call, lab_now(l.net)));
        else
            assert_ok(cph_phone_hold(p, l.ear[0].call, true, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        run(&l, 1000);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(times(&l, i, CPH_PHONE_CHANGED), change);
            if (change == 1)
                assert_non_null(strstr(heard(&l, i, CPH_PHONE_CHANGED)->why, "new keys"));
        }
    }
    hangup(&l, 0);
    line_close(&l);
}

/* The second target of a fork answers, and later asks us for an offer. */
static void a_late_offer_inside_the_call_of_a_fork_leaves_its_media_alone(void **state)
{
    char a[1024], b[1024], me[256], them[256], id[256], all[TEXT];
    static const char head[] = "%s sip:alice@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP "
                               "10.0.0.9:5060;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: %.*s;"
                               "tag=two\r\nTo: %s%sCSeq: 1 %s\r\nContact: "
                               "<sip:hand@10.0.0.9:5060>\r\n%sContent-Length: %zu\r\n\r\n%s";
    struct line l;

    (void)state;
    ring_hand(&l, CPH_SECURITY_REQUIRED);
    hand_sdp(a, sizeof a, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_sdp(b, sizeof b, "RTP/SAVP", CRYPTO(HAND_KEY_B));
    hand_answers(&l, 183, "one", a);
    hand_answers(&l, 200, "two", b);
    run(&l, 300);
    hand_answers(&l, 200, "", b); /* to the offer of another key */
    run(&l, 300);
    header(l.hand.invite, "From: ", me, sizeof me);
    header(l.hand.invite, "To: ", them, sizeof them);
    header(l.hand.invite, "Call-ID: ", id, sizeof id);
    for (unsigned i = 0; i < 2; i++) {
        const char *method = i ? "ACK" : "INVITE";

        (void)snprintf(all, sizeof all, head, method, method,
                       (int)(strstr(them, ";tag=") - them - 4), them + 4, me + 6, id, method,
                       i ? "Content-Type: application/sdp\r\n" : "", i ? strlen(b) : 0, i ? b : "");
        hand_says(&l, all);
        assert_int_equal(l.hand.status, 200);
    }
    run(&l, 300);
    assert_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_true(status(&l, 0).secured);
    l.hand.n_media = 0;
    run(&l, 300);
    assert_true(l.hand.n_media > 3);
    l.hand.invites = 0; /* and our own changes find their dialog */
    assert_ok(cph_phone_hold(lab_terminal_phone(l.t[0]), l.ear[0].call, true, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 50);
    assert_int_equal(l.hand.invites, 1);
    line_close(&l);
}

/* Only signalling gets through. */
static bool no_media(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                     struct cph_span bytes, bool stream, cph_time now)
{
    (void)ctx, (void)from, (void)bytes, (void)stream, (void)now;
    return to->port == 5060;
}

static void a_call_that_ends_before_its_keys_were_made_says_so(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        struct line l;

        line_open(&l, who);
        lab_net_tap(l.net, no_media, NULL);
        phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "dtls");
        phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "dtls");
        dial(&l, 0, "sip:bob@10.0.0.2:5060");
        run(&l, 2000);
        assert_non_null(heard(&l, who, CPH_PHONE_ANSWERED));
        hangup(&l, who);
        for (unsigned i = 0; i < 2; i++) {
            assert_non_null(heard(&l, i, CPH_PHONE_ENDED));
            assert_err(heard(&l, i, CPH_PHONE_ENDED)->cause, CPH_E_NOKEY);
            assert_non_null(strstr(heard(&l, i, CPH_PHONE_ENDED)->why, "before its keys"));
            assert_int_equal(heard(&l, i, CPH_PHONE_ENDED)->by_peer, i != who);
        }
        line_close(&l);
    }
}

static void media_without_an_ack_ends_soon(void **state)
{
    char good[1024], tag[64];
    struct line l;
    size_t before;

    (void)state;
    hand_sdp(good, sizeof good, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    call_by_hand(&l, good, tag);
    run(&l, 3000);
    assert_true(l.hand.n_media > 100); /* who waits for an ACK hears the first words */
    run(&l, 2000);
    before = l.hand.n_media;
    run(&l, 10000);
    assert_int_equal(l.hand.n_media, before);
    hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", NULL);
    run(&l, 1000);
    assert_true(l.hand.n_media > before + 40);
    run(&l, 5000);
    assert_true(l.hand.n_media > before + 240);
    line_close(&l);
}

static void requests_of_strangers_do_not_touch_a_call(void **state)
{
    char good[1024], tag[64];
    struct line l;

    (void)state;
    hand_sdp(good, sizeof good, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    call_by_hand(&l, good, tag);
    hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", NULL);
    hand_asks(&l, "BYE", BOB, BOB, "guess", 5, "", NULL);
    assert_int_equal(l.hand.status, 481);
    hand_asks(&l, "CANCEL", BOB, BOB, "", 1, "", NULL);
    assert_int_equal(l.hand.status, 481);
    hand_asks(&l, "UPDATE", BOB, BOB, "guess", 6, "", good);
    assert_int_equal(l.hand.status, 481);
    hand_asks(&l, "BYE", BOB, BOB, tag, 1, "", NULL); /* a CSeq that was there */
    assert_int_equal(l.hand.status, 500);
    assert_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

static void a_call_that_nobody_takes_does_not_ring_for_ever(void **state)
{
    char sdp[1024];
    struct line l;

    (void)state;
    line_open(&l, 4);
    hand_open(&l);
    phone_plain(&l, 0, "bob", CPH_SECURITY_REQUIRED, "sdes");
    l.ear[0].hold_back = true;
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_asks(&l, "INVITE", BOB, BOB, "", 1, "", sdp);
    run(&l, 179000);
    assert_null(heard(&l, 0, CPH_PHONE_ENDED));
    run(&l, 2000);
    assert_int_equal(l.hand.status, 480);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
}

static void calls_answered_with_nothing_do_not_stay(void **state)
{
    char tag[64];
    struct line l;

    (void)state;
    call_by_hand(&l, NULL, tag); /* our offer went in the 200 */
    hand_asks(&l, "ACK", BOB, BOB, tag, 1, "", NULL);
    run(&l, 60000);
    assert_true(l.hand.byes > 0);
    assert_int_equal(cph_phone_load(lab_terminal_phone(l.t[0])).sip.calls, 0);
    line_close(&l);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void the_end_of_a_call_is_told_though_nobody_listens(void **state)
{
    struct cph_phone_event ev;
    struct cph_phone *p;
    struct line l;
    unsigned ends = 0, all = 0;

    (void)state;
    line_open(&l, 3);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "sdes");
    p = lab_terminal_phone(l.t[0]);
    phone_tell(p, CPH_PHONE_ENDED, 1, "the first");
    for (unsigned i = 0; i < 3 * PHONE_EVENTS; i++)
        phone_tell(p, CPH_PHONE_NOTICE, 2, "words");
    phone_tell(p, CPH_PHONE_ENDED, 2, "the last");
    for (unsigned i = 0; i < PHONE_EVENTS; i++)
        phone_tell(p, CPH_PHONE_CHANGED, 3, NULL);
    while (cph_phone_event(p, &ev) == CPH_OK) {
        ends += ev.kind == CPH_PHONE_ENDED;
        all++;
    }
    assert_int_equal(ends, 2);
    assert_int_equal(all, PHONE_EVENTS);
    line_close(&l);
}

/* ---- who a hop belongs to -------------------------------------------------------------------- */

static void a_pin_speaks_for_one_device_and_an_authority_for_the_domain(void **state)
{
    static const struct {
        enum cph_sip_peer_check check;
        bool unchecked;
        enum cph_hop_auth auth;
        enum cph_hop_whose whose;
    } row[] = {
        { CPH_SIP_PEER_NONE, false, CPH_HOP_AUTH_NONE, CPH_HOP_WHOSE_NEXT },
        { CPH_SIP_PEER_NONE, true, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_NEXT },
        { CPH_SIP_PEER_DOMAIN, false, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_DOMAIN },
        { CPH_SIP_PEER_PINNED, false, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_NEXT },
    };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct cph_sip_hop hop = { .proto = CPH_SIP_TLS,
                                   .check = row[i].check,
                                   .unchecked = row[i].unchecked };
        struct cph_hop_facts facts;

        strcpy(hop.name, "pbx.example");
        cph_attach_hop_facts(&hop, CPH_SPAN_LIT("sip:bob@pbx.example"), &facts);
        assert_int_equal(facts.auth, row[i].auth);
        assert_int_equal(facts.whose, row[i].whose);
        cph_attach_hop_facts(&hop, CPH_SPAN_LIT("sip:bob@elsewhere.example"), &facts);
        assert_int_equal(facts.whose, CPH_HOP_WHOSE_NEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_decide_between_keys_clear_and_no_call),
        cmocka_unit_test(what_is_changed_on_the_way_ends_the_call_with_a_reason),
        cmocka_unit_test(a_wrong_fingerprint_means_no_media_and_a_loud_reason),
        cmocka_unit_test(another_certificate_than_the_one_kept_ends_the_call_loudly),
        cmocka_unit_test(each_target_of_a_fork_has_keys_of_its_own),
        cmocka_unit_test(a_target_that_cannot_have_keys_does_not_end_the_call_of_the_others),
        cmocka_unit_test(the_target_that_failed_while_it_rang_cannot_answer),
        cmocka_unit_test(a_new_key_in_200_after_183_is_the_one_that_counts),
        cmocka_unit_test(an_answer_in_clear_after_early_keys_ends_the_call),
        cmocka_unit_test(an_answer_in_the_ack_makes_the_keys_or_ends_the_call),
        cmocka_unit_test(a_call_that_has_keys_does_not_lose_them_to_a_reoffer),
        cmocka_unit_test(a_stream_that_went_comes_back_with_keys_or_not_at_all),
        cmocka_unit_test(hold_resume_and_new_keys_leave_the_call_as_safe_as_it_was),
        cmocka_unit_test(new_keys_that_were_refused_are_not_asked_for_by_a_hold),
        cmocka_unit_test(a_change_is_told_once),
        cmocka_unit_test(a_late_offer_inside_the_call_of_a_fork_leaves_its_media_alone),
        cmocka_unit_test(a_call_that_ends_before_its_keys_were_made_says_so),
        cmocka_unit_test(media_without_an_ack_ends_soon),
        cmocka_unit_test(requests_of_strangers_do_not_touch_a_call),
        cmocka_unit_test(a_call_that_nobody_takes_does_not_ring_for_ever),
        cmocka_unit_test(calls_answered_with_nothing_do_not_stay),
        cmocka_unit_test(the_end_of_a_call_is_told_though_nobody_listens),
        cmocka_unit_test(a_pin_speaks_for_one_device_and_an_authority_for_the_domain),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

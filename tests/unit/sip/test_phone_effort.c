/* The forms of best-effort encryption in calls between phones, and with peers that know them not.
 */
#include "phone_support.h"

static void phone_form(struct line *l, unsigned i, const char *user, enum cph_security media,
                       enum cph_keying_form form, const char *keying)
{
    struct cph_phone_account a = { .name = "", .user = user };
    struct phone_extra x = { .account = &a, .n_accounts = 1 };

    a.policy.media = media;
    a.policy.form = form;
    a.policy.keying[0] = keying;
    a.policy.keying_n = 1;
    phone_add(l, i, &x);
}

static void call_in(struct line *l, enum cph_keying_form form, enum cph_security media,
                    const char *keying)
{
    line_open(l, 21);
    phone_form(l, 0, "alice", CPH_SECURITY_PREFER, form, keying);
    phone_plain(l, 1, "bob", media, keying);
    dial(l, 0, "sip:bob@10.0.0.2:5060");
    run(l, 3000);
}

static void phones_understand_each_other_in_every_form(void **state)
{
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_BODIES; f++)
        for (unsigned k = 0; k < 2; k++)
            for (int m = CPH_SECURITY_REQUIRED; m <= CPH_SECURITY_PREFER; m++) {
                struct line l;

                call_in(&l, (enum cph_keying_form)f, (enum cph_security)m, keying[k]);
                assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
                assert_non_null(heard(&l, 1, CPH_PHONE_SECURED));
                assert_true(status(&l, 0).media.packets_in > 20);
                assert_true(status(&l, 1).media.packets_in > 20);
                assert_ok(cph_phone_hold(lab_terminal_phone(l.t[0]), l.ear[0].call, true,
                                         lab_now(l.net)));
                lab_terminal_pump(l.t[0]);
                run(&l, 500);
                assert_true(status(&l, 0).secured);
                assert_null(heard(&l, 0, CPH_PHONE_ENDED));
                hangup(&l, 0);
                line_close(&l);
            }
}

static void a_phone_in_rtp_is_called_in_rtp_in_every_form(void **state)
{
    (void)state;
    for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_PROBE; f++) {
        struct line l;

        if (f == CPH_KEYING_FORM_BODIES)
            continue; /* one of ours takes the keys of the last body, even under none */
        call_in(&l, (enum cph_keying_form)f, CPH_SECURITY_NONE, "sdes");
        assert_non_null(heard(&l, 0, CPH_PHONE_PLAIN));
        assert_true(status(&l, 1).media.packets_in > 20);
        hangup(&l, 0);
        assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_OPEN);
        line_close(&l);
    }
}

static void ring_hand(struct line *l, enum cph_keying_form form)
{
    line_open(l, 22);
    hand_open(l);
    phone_form(l, 0, "alice", CPH_SECURITY_PREFER, form, "sdes");
    dial(l, 0, "sip:hand@10.0.0.9:5060");
    run(l, 50);
    assert_int_equal(l->hand.invites, 1);
}

/* peers.md 2, themes 11 to 14: one that knows RTP alone, and takes the first thing it reads */
static void a_peer_that_refuses_a_stream_offered_twice_is_offered_one(void **state)
{
    static const unsigned refusal[] = { 415, 488, 400, 500, 488 };
    char sdp[1024];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct line l;

        ring_hand(&l, i == 4 ? CPH_KEYING_FORM_GROUP : CPH_KEYING_FORM_BODIES);
        assert_non_null(
            strstr(l.hand.invite, i == 4 ? "a=group:ANAT" : "Content-Type: multipart/alternative"));
        hand_answers(&l, refusal[i], "x", NULL);
        run(&l, 100);
        assert_int_equal(l.hand.invites, 2);
        assert_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_non_null(strstr(l.hand.invite, "Content-Type: application/sdp"));
        assert_non_null(strstr(l.hand.invite, "RTP/AVP"));
        assert_non_null(strstr(l.hand.invite, "a=crypto"));
        assert_null(strstr(l.hand.invite, "a=group"));
        hand_sdp(sdp, sizeof sdp, "RTP/AVP", CRYPTO(HAND_KEY_A));
        hand_answers(&l, 200, "y", sdp);
        run(&l, 300);
        assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
        assert_true(l.hand.n_media > 3);
        hangup(&l, 0);
        line_close(&l);
    }
}

static void a_refusal_for_another_reason_is_one(void **state)
{
    struct line l;

    (void)state;
    ring_hand(&l, CPH_KEYING_FORM_BODIES);
    hand_answers(&l, 486, "x", NULL);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 1);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
    ring_hand(&l, CPH_KEYING_FORM_BODIES); /* and the second time, too */
    hand_answers(&l, 415, "x", NULL);
    run(&l, 100);
    hand_answers(&l, 415, "y", NULL);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 2);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
}

static void a_peer_may_answer_either_body(void **state)
{
    char sdp[1024];
    struct line l;

    (void)state;
    ring_hand(&l, CPH_KEYING_FORM_BODIES);
    hand_sdp(sdp, sizeof sdp, "RTP/AVP", "");
    hand_answers(&l, 200, "x", sdp);
    run(&l, 300);
    assert_non_null(heard(&l, 0, CPH_PHONE_PLAIN));
    hangup(&l, 0);
    line_close(&l);
    ring_hand(&l, CPH_KEYING_FORM_BODIES);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_answers(&l, 200, "x", sdp);
    run(&l, 300);
    assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
    hangup(&l, 0);
    line_close(&l);
}

/* After a configuration was taken, the peer sees a re-INVITE that has it in the m= line. */
static void a_configuration_that_was_taken_comes_again_as_the_line_itself(void **state)
{
    char sdp[1024];
    struct line l;

    (void)state;
    ring_hand(&l, CPH_KEYING_FORM_CAPNEG);
    assert_non_null(strstr(l.hand.invite, "a=pcfg:1 t=1 a=1"));
    assert_non_null(strstr(l.hand.invite, " RTP/AVP "));
    assert_null(strstr(l.hand.invite, "\na=crypto"));
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP",
             "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:" HAND_KEY_A "\r\na=acfg:1 t=1\r\n");
    hand_answers(&l, 200, "x", sdp);
    run(&l, 1500);
    assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
    assert_true(l.hand.invites >= 2); /* the hand does not answer it */
    assert_non_null(strstr(l.hand.invite, " RTP/SAVP "));
    assert_non_null(strstr(l.hand.invite, "\na=crypto"));
    assert_null(strstr(l.hand.invite, "a=pcfg"));
    line_close(&l);
}

/* ---- a peer that demands keys, and an attacker who says so ----------------------------------- */

/* A phone that prefers keys calls the hand; it may speak these mechanisms. */
static void ring_demanding(struct line *l, const char *keying)
{
    struct cph_phone_account a = { .name = "", .user = "alice" };
    struct phone_extra x = { .account = &a, .n_accounts = 1 };

    line_open(l, 24);
    hand_open(l);
    assert_ok(cph_policy_keying(&a.policy, cph_span_of(keying)));
    a.policy.media = CPH_SECURITY_PREFER;
    phone_add(l, 0, &x);
    dial(l, 0, "sip:hand@10.0.0.9:5060");
    run(l, 50);
    assert_int_equal(l->hand.invites, 1);
    assert_non_null(strstr(l->hand.invite, " RTP/AVP "));
}

static size_t heard_times(const struct line *l, enum cph_phone_event_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < l->ear[0].n; i++)
        n += l->ear[0].ev[i].kind == kind;
    return n;
}

/* peers.md 2, themes 11 to 14 */
static void a_peer_that_refuses_keys_under_rtp_avp_is_called_again_under_a_secure_profile(void **st)
{
    static const unsigned refusal[] = { 488, 606 };
    char sdp[1024];

    (void)st;
    for (size_t i = 0; i < 2; i++) {
        const struct cph_phone_event *ev;
        char first[256], second[256];
        struct line l;

        ring_demanding(&l, "compatible");
        header(l.hand.invite, "a=crypto:1", first, sizeof first);
        hand_answers(&l, refusal[i], "x", NULL);
        run(&l, 100);
        assert_int_equal(l.hand.invites, 2);
        assert_null(heard(&l, 0, CPH_PHONE_ENDED));
        ev = heard(&l, 0, CPH_PHONE_NOTICE);
        assert_non_null(ev);
        assert_non_null(strstr(ev->why, "calling once more with encryption as a condition"));
        assert_non_null(strstr(l.hand.invite, " RTP/SAVP "));
        assert_null(strstr(l.hand.invite, "RTP/AVP"));
        assert_non_null(strstr(l.hand.invite, "a=fingerprint"));
        header(l.hand.invite, "a=crypto:1", second, sizeof second);
        assert_true(first[0] && second[0]);
        assert_string_not_equal(first, second); /* a call of its own has keys of its own */
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
        hand_answers(&l, 200, "y", sdp);
        run(&l, 300);
        assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
        assert_true(l.hand.n_media > 3);
        hangup(&l, 0);
        assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_OPEN); /* SDES over UDP, as ever */
        line_close(&l);
    }
}

static void a_second_refusal_ends_it(void **state)
{
    struct line l;

    (void)state;
    ring_demanding(&l, "compatible");
    hand_answers(&l, 488, "x", NULL);
    run(&l, 100);
    hand_answers(&l, 488, "y", NULL);
    run(&l, 2000);
    assert_int_equal(l.hand.invites, 2);
    assert_int_equal(heard_times(&l, CPH_PHONE_ENDED), 1);
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
    assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
    line_close(&l);
}

/* What an attacker gains who forges the refusal: nothing. Without it an answer in clear is taken,
 * which the policy allows; after it never. */
static void after_a_forged_refusal_nothing_goes_in_clear(void **state)
{
    static const struct {
        bool forged;
        const char *profile;
    } row[] = { { false, "RTP/AVP" }, { true, "RTP/AVP" }, { true, "RTP/SAVP" } };
    char sdp[1024];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct line l;

        ring_demanding(&l, "compatible");
        if (row[i].forged)
            hand_answers(&l, 488, "x", NULL);
        run(&l, 100);
        hand_sdp(sdp, sizeof sdp, row[i].profile, "");
        hand_answers(&l, 200, "y", sdp);
        run(&l, 1000);
        if (row[i].forged) {
            assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
            assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
            assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->cause, CPH_E_POLICY);
            assert_int_equal(l.hand.n_media, 0);
            assert_int_equal(l.hand.invites, 2);
        } else {
            assert_non_null(heard(&l, 0, CPH_PHONE_PLAIN));
            assert_true(l.hand.n_media > 3);
            hangup(&l, 0);
        }
        line_close(&l);
    }
}

/* Of a peer that has keys: the verdict with the forged refusal is the one without. */
static void a_forged_refusal_leaves_the_verdict_as_it_was(void **state)
{
    static const char *const keying[] = { "compatible", "sdes", "dtls", "zrtp,dtls" };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++) {
        struct cph_verdict v[2];

        for (int forged = 0; forged < 2; forged++) {
            struct line l;

            ring_demanding(&l, keying[i]);
            phone_plain(&l, 1, "bob", CPH_SECURITY_PREFER, i == 1 ? "sdes" : "dtls");
            if (forged) {
                hand_answers(&l, 488, "x", NULL);
                run(&l, 100);
            }
            hand_responds(&l, "302 Moved", "z", "Contact: <sip:bob@10.0.0.2:5060>\r\n", NULL);
            run(&l, 2000);
            assert_non_null(heard(&l, 0, CPH_PHONE_SECURED));
            assert_true(status(&l, 1).media.packets_in > 20);
            hangup(&l, 0);
            v[forged] = l.ear[0].verdict;
            line_close(&l);
        }
        assert_int_equal(v[1].level, v[0].level);
        assert_int_equal(v[1].attacker, v[0].attacker);
        assert_string_equal(v[1].stream[0].keying, v[0].stream[0].keying);
        assert_true(v[1].policy_kept);
    }
}

static void hand_refuses(const char *keying, enum cph_security media, unsigned before,
                         const char *sdp, unsigned refusal)
{
    struct line l;

    line_open(&l, 25);
    hand_open(&l);
    phone_plain(&l, 0, "alice", media, keying);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 50);
    if (before)
        hand_answers(&l, before, "x", sdp);
    hand_answers(&l, refusal, "x", NULL);
    run(&l, 1000);
    assert_int_equal(l.hand.invites, 1);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
}

static void other_refusals_lead_to_no_second_call(void **state)
{
    static const unsigned refusal[] = {
        400, 403, 404, 406, 415, 480, 486, 487, 493, 500, 580, 603
    };
    char sdp[1024];

    (void)state;
    for (size_t i = 0; i < sizeof refusal / sizeof *refusal; i++)
        hand_refuses("sdes", CPH_SECURITY_PREFER, 0, NULL, refusal[i]);
    hand_refuses("sdes", CPH_SECURITY_REQUIRED, 0, NULL, 488); /* it was demanded already */
    hand_refuses("sdes", CPH_SECURITY_NONE, 0, NULL, 488);     /* nobody asked for keys */
    hand_refuses("zrtp", CPH_SECURITY_PREFER, 0, NULL, 488);   /* has no secure profile */
    /* One phone of a fork rang: that took the offer, and the refusal is not for the profile. */
    hand_refuses("sdes", CPH_SECURITY_PREFER, 180, NULL, 488);
    hand_sdp(sdp, sizeof sdp, "RTP/AVP", "");
    hand_refuses("sdes", CPH_SECURITY_PREFER, 183, sdp, 488);
    hand_sdp(sdp, sizeof sdp, "RTP/AVP", CRYPTO(HAND_KEY_A));
    hand_refuses("sdes", CPH_SECURITY_PREFER, 183, sdp, 488);
}

/* A late answer to the first call is nothing to the second. */
static void an_answer_to_the_refused_call_is_not_taken(void **state)
{
    char sdp[1024], first[TEXT];
    struct line l;

    (void)state;
    ring_demanding(&l, "sdes");
    memcpy(first, l.hand.invite, sizeof first);
    hand_answers(&l, 488, "x", NULL);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 2);
    memcpy(l.hand.invite, first, sizeof first);
    hand_sdp(sdp, sizeof sdp, "RTP/AVP", "");
    hand_answers(&l, 200, "y", sdp);
    run(&l, 300);
    assert_null(heard(&l, 0, CPH_PHONE_ANSWERED));
    assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
    assert_int_equal(l.hand.n_media, 0);
    line_close(&l);
}

static void a_refused_change_of_a_standing_call_calls_nobody_again(void **state)
{
    char sdp[1024];
    struct line l;

    (void)state;
    ring_demanding(&l, "sdes");
    hand_sdp(sdp, sizeof sdp, "RTP/AVP", "");
    hand_answers(&l, 200, "y", sdp);
    run(&l, 300);
    assert_non_null(heard(&l, 0, CPH_PHONE_PLAIN));
    assert_ok(cph_phone_hold(lab_terminal_phone(l.t[0]), l.ear[0].call, true, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 2);
    hand_answers(&l, 488, "y", NULL);
    run(&l, 500);
    assert_int_equal(l.hand.invites, 2);
    assert_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_non_null(heard(&l, 0, CPH_PHONE_NOTICE));
    assert_false(status(&l, 0).secured);
    hangup(&l, 0);
    line_close(&l);
}

/* 488: told, and the old keys go on. 491: tried again. RFC 3261 14.1 */
static void new_keys_that_a_peer_refuses_leave_the_old_ones(void **state)
{
    static const unsigned refusal[] = { 488, 606, 500, 491 };
    char sdp[1024], first[256], offered[256];

    (void)state;
    for (size_t i = 0; i < sizeof refusal / sizeof *refusal; i++) {
        struct line l;
        size_t media;

        ring_demanding(&l, "sdes");
        hand_sdp(sdp, sizeof sdp, "RTP/AVP", CRYPTO(HAND_KEY_A));
        header(l.hand.invite, "a=crypto:1", first, sizeof first);
        hand_answers(&l, 200, "y", sdp);
        run(&l, 300);
        assert_true(status(&l, 0).secured);
        assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        run(&l, 100);
        assert_int_equal(l.hand.invites, 2);
        header(l.hand.invite, "a=crypto:1", offered, sizeof offered);
        assert_string_not_equal(first, offered);
        hand_answers(&l, refusal[i], "y", NULL);
        media = l.hand.n_media;
        run(&l, 1000);
        assert_true(l.hand.n_media >= media + 45);
        assert_true(status(&l, 0).secured);
        assert_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_null(heard(&l, 0, CPH_PHONE_CHANGED));
        if (refusal[i] != 491) {
            assert_string_equal(heard(&l, 0, CPH_PHONE_NOTICE)->why,
                                "the peer refused the change; the call goes on as it was");
            assert_int_equal(l.hand.invites, 2);
        } else {
            run(&l, 4000);
            assert_true(l.hand.invites > 2);
        }
        hangup(&l, 0);
        line_close(&l);
    }
}

/* The forms of best effort come first, each once, and then the demand. */
static void a_stream_offered_twice_comes_once_and_then_as_a_demand(void **state)
{
    struct line l;

    (void)state;
    ring_hand(&l, CPH_KEYING_FORM_GROUP);
    hand_answers(&l, 488, "x", NULL);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 2);
    assert_non_null(strstr(l.hand.invite, " RTP/AVP "));
    hand_answers(&l, 488, "y", NULL);
    run(&l, 100);
    assert_int_equal(l.hand.invites, 3);
    assert_non_null(strstr(l.hand.invite, " RTP/SAVP "));
    assert_null(strstr(l.hand.invite, "RTP/AVP"));
    hand_answers(&l, 488, "z", NULL);
    run(&l, 500);
    assert_int_equal(l.hand.invites, 3);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    line_close(&l);
}

/* ---- two bodies of a peer -------------------------------------------------------------------- */

static void hand_invites(struct line *l, const char *last)
{
    char plain[1024], keyed[1024], all[TEXT], body[2600];

    hand_sdp(plain, sizeof plain, "RTP/AVP", "");
    hand_sdp(keyed, sizeof keyed, "RTP/SAVP", last);
    snprintf(body, sizeof body,
             "--b\r\nContent-Type: application/sdp\r\n\r\n%s\r\n"
             "--b\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--b--\r\n",
             plain, keyed);
    snprintf(all, sizeof all,
             "INVITE sip:bob@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP "
             "10.0.0.9:5060;branch=z9hG4bKm1\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:carol@10.0.0.9>;tag=hand\r\nTo: <sip:bob@10.0.0.1>\r\n"
             "Call-ID: by-hand\r\nCSeq: 1 INVITE\r\nContact: <sip:hand@10.0.0.9:5060>\r\n"
             "Content-Type: multipart/alternative;boundary=b\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    hand_says(l, all);
    run(l, 100);
}

static void of_several_bodies_the_last_that_we_understand_is_answered(void **state)
{
    static const struct {
        enum cph_security media;
        const char *last;
        unsigned status;
        const char *answer;
    } row[] = {
        { CPH_SECURITY_REQUIRED, CRYPTO(HAND_KEY_A), 200, "RTP/SAVP" },
        { CPH_SECURITY_PREFER, CRYPTO(HAND_KEY_A), 200, "RTP/SAVP" },
        /* keys that nobody knows: the other one, if policy takes it */
        { CPH_SECURITY_PREFER, "a=crypto:1 ROT13 inline:x\r\n", 200, "RTP/AVP" },
        { CPH_SECURITY_REQUIRED, "a=crypto:1 ROT13 inline:x\r\n", 488, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct line l;

        line_open(&l, 23);
        hand_open(&l);
        phone_plain(&l, 0, "bob", row[i].media, "sdes");
        hand_invites(&l, row[i].last);
        assert_int_equal(l.hand.status, row[i].status);
        if (row[i].answer)
            assert_non_null(strstr(l.hand.got, row[i].answer));
        else
            assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        line_close(&l);
    }
}

/* ---- words for who is refused ---------------------------------------------------------------- */

static void who_offers_no_keys_hears_that_they_are_demanded(void **state)
{
    static const struct {
        enum cph_security policy;
        const char *keys;
        bool warned;
    } row[] = { { CPH_SECURITY_REQUIRED, "", true },
                { CPH_SECURITY_REQUIRED, "a=crypto:1 ROT13 inline:x\r\n", true },
                { CPH_SECURITY_PREFER, "", false } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char sdp[512], all[TEXT];
        struct line l;

        line_open(&l, 26);
        hand_open(&l);
        phone_plain(&l, 0, "bob", row[i].policy, "sdes");
        hand_sdp(sdp, sizeof sdp, "RTP/AVP", row[i].keys);
        snprintf(all, sizeof all,
                 "INVITE sip:bob@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP "
                 "10.0.0.9:5060;branch=z9hG4bKm1\r\nMax-Forwards: 70\r\n"
                 "From: <sip:carol@10.0.0.9>;tag=hand\r\nTo: <sip:bob@10.0.0.1>\r\n"
                 "Call-ID: by-hand\r\nCSeq: 1 INVITE\r\nContact: <sip:hand@10.0.0.9:5060>\r\n"
                 "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(sdp), sdp);
        hand_says(&l, all);
        run(&l, 100);
        assert_int_equal(l.hand.status, row[i].warned ? 488 : 200);
        if (row[i].warned) {
            assert_true(
                strncmp(l.hand.final, "SIP/2.0 488 Not Acceptable Here (Encrypted Media", 48) == 0);
            assert_non_null(strstr(l.hand.final, "Warning: 399 ciphony \"encrypted media is "
                                                 "demanded here, with keys by sdes\"\r\n"));
        }
        line_close(&l);
    }
}

/* And our user hears what another phone says so. */
static void what_a_refusal_says_is_told_as_hearsay(void **state)
{
    const struct cph_phone_event *ev;
    struct line l;

    (void)state;
    line_open(&l, 27);
    phone_plain(&l, 0, "alice", CPH_SECURITY_NONE, "sdes");
    phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    ev = heard(&l, 0, CPH_PHONE_NOTICE);
    assert_non_null(ev);
    assert_string_equal(ev->why, "the other side, or somebody on the way, says: encrypted media is "
                                 "demanded here, with keys by sdes");
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
    line_close(&l);
}

static void words_of_a_refusal_cannot_steer_a_terminal(void **state)
{
    static const struct {
        const char *warning, *told;
    } row[] = {
        { "Warning: 399 x \"a\\\"b \xe2\x80\xae\"\r\n", "says: a\"b ?" },
        { "Warning: 399 x \"\"\r\n", NULL },
        { "X-Warning: 399 x \"words\"\r\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct line l;

        line_open(&l, 28);
        hand_open(&l);
        phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "sdes");
        dial(&l, 0, "sip:hand@10.0.0.9:5060");
        run(&l, 50);
        hand_responds(&l, "488 X", "q", row[i].warning, NULL);
        run(&l, 100);
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        if (row[i].told)
            assert_non_null(strstr(heard(&l, 0, CPH_PHONE_NOTICE)->why, row[i].told));
        else
            assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        line_close(&l);
    }
}

/* The second call has a session of its own, which may not come about. */
static void want_of_memory_in_the_second_call_ends_it(void **state)
{
    bool ill = true;

    (void)state;
    for (size_t at = 0; ill; at++) {
        struct line l;

        ring_hand(&l, CPH_KEYING_FORM_OSRTP);
        hand_answers(&l, 488, "x", NULL);
        test_alloc_ill(at);
        run(&l, 100);
        ill = test_alloc_refused();
        test_alloc_heal();
        if (heard(&l, 0, CPH_PHONE_ENDED)) {
            assert_err(
                cph_phone_hold(lab_terminal_phone(l.t[0]), l.ear[0].call, true, lab_now(l.net)),
                CPH_E_NOTFOUND);
            assert_int_equal(l.hand.invites, 1);
        } else {
            assert_false(status(&l, 0).secured);
        }
        line_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phones_understand_each_other_in_every_form),
        cmocka_unit_test(a_phone_in_rtp_is_called_in_rtp_in_every_form),
        cmocka_unit_test(a_peer_that_refuses_a_stream_offered_twice_is_offered_one),
        cmocka_unit_test(a_refusal_for_another_reason_is_one),
        cmocka_unit_test(want_of_memory_in_the_second_call_ends_it),
        cmocka_unit_test(a_peer_may_answer_either_body),
        cmocka_unit_test(a_configuration_that_was_taken_comes_again_as_the_line_itself),
        cmocka_unit_test(
            a_peer_that_refuses_keys_under_rtp_avp_is_called_again_under_a_secure_profile),
        cmocka_unit_test(a_second_refusal_ends_it),
        cmocka_unit_test(after_a_forged_refusal_nothing_goes_in_clear),
        cmocka_unit_test(a_forged_refusal_leaves_the_verdict_as_it_was),
        cmocka_unit_test(other_refusals_lead_to_no_second_call),
        cmocka_unit_test(an_answer_to_the_refused_call_is_not_taken),
        cmocka_unit_test(a_refused_change_of_a_standing_call_calls_nobody_again),
        cmocka_unit_test(new_keys_that_a_peer_refuses_leave_the_old_ones),
        cmocka_unit_test(a_stream_offered_twice_comes_once_and_then_as_a_demand),
        cmocka_unit_test(of_several_bodies_the_last_that_we_understand_is_answered),
        cmocka_unit_test(who_offers_no_keys_hears_that_they_are_demanded),
        cmocka_unit_test(what_a_refusal_says_is_told_as_hearsay),
        cmocka_unit_test(words_of_a_refusal_cannot_steer_a_terminal),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

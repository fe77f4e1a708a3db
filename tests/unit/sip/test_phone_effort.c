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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phones_understand_each_other_in_every_form),
        cmocka_unit_test(a_phone_in_rtp_is_called_in_rtp_in_every_form),
        cmocka_unit_test(a_peer_that_refuses_a_stream_offered_twice_is_offered_one),
        cmocka_unit_test(a_refusal_for_another_reason_is_one),
        cmocka_unit_test(a_peer_may_answer_either_body),
        cmocka_unit_test(a_configuration_that_was_taken_comes_again_as_the_line_itself),
        cmocka_unit_test(of_several_bodies_the_last_that_we_understand_is_answered),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

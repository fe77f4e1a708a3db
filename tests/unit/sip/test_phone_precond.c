/* Calls that ring only when there are keys (RFC 5027). */
#include "phone_support.h"

static void phone_pre(struct line *l, unsigned i, const char *user, enum cph_precondition pre,
                      enum cph_security media, const char *keying)
{
    struct cph_phone_account a = { .name = "", .user = user };
    struct phone_extra x = { .account = &a, .n_accounts = 1 };

    a.policy.media = media;
    a.policy.precondition = pre;
    a.policy.keying[0] = keying;
    a.policy.keying_n = 1;
    phone_add(l, i, &x);
}

/* Place of an event among those a phone told, -1 if it was not. */
static int place(const struct line *l, unsigned i, enum cph_phone_event_kind kind)
{
    for (size_t k = 0; k < l->ear[i].n; k++)
        if (l->ear[i].ev[k].kind == kind)
            return (int)k;
    return -1;
}

#define REQ  CPH_SECURITY_REQUIRED
#define PREF CPH_SECURITY_PREFER

static void both_have_keys_before_it_rings(void **state)
{
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (int a = CPH_PRECONDITION_OPTIONAL; a <= CPH_PRECONDITION_MANDATORY; a++)
            for (int b = CPH_PRECONDITION_OPTIONAL; b <= CPH_PRECONDITION_MANDATORY; b++) {
                struct line l;

                line_open(&l, 31);
                phone_pre(&l, 0, "alice", (enum cph_precondition)a, REQ, keying[k]);
                phone_pre(&l, 1, "bob", (enum cph_precondition)b, REQ, keying[k]);
                l.ear[1].hold_back = true;
                dial(&l, 0, "sip:bob@10.0.0.2:5060");
                run(&l, 1000);
                assert_true(place(&l, 1, CPH_PHONE_INCOMING) >= 0);
                assert_true(status(&l, 0).secured); /* though nobody has answered */
                assert_true(status(&l, 1).secured);
                assert_ok(
                    cph_phone_ring(lab_terminal_phone(l.t[1]), l.ear[1].call, lab_now(l.net)));
                assert_ok(
                    cph_phone_accept(lab_terminal_phone(l.t[1]), l.ear[1].call, lab_now(l.net)));
                lab_terminal_pump(l.t[1]);
                run(&l, 1000);
                assert_true(place(&l, 0, CPH_PHONE_ANSWERED) >= 0);
                assert_true(status(&l, 0).media.packets_in > 20);
                assert_true(status(&l, 1).media.packets_in > 20);
                assert_int_equal(status(&l, 0).media.lost, 0); /* and not a word is clipped */
                hangup(&l, 0);
                line_close(&l);
            }
}

static struct order {
    unsigned pracks, updates;
    bool early;
} order;

static bool answers_prack(struct cph_span bytes)
{
    struct cph_span line;
    bool ok = cph_span_starts(bytes, "SIP/2.0 200"), is = false;

    while (cph_span_line(&bytes, &line))
        is |= cph_span_starts(line, "CSeq:") && memmem(line.p, line.n, " PRACK", 6);
    return ok && is;
}

static bool on_order(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                     struct cph_span bytes, bool stream, cph_time now)
{
    (void)ctx, (void)from, (void)to, (void)stream, (void)now;
    order.pracks += cph_span_starts(bytes, "PRACK ");
    order.pracks -= answers_prack(bytes);
    order.updates += cph_span_starts(bytes, "UPDATE ");
    order.early |= cph_span_starts(bytes, "UPDATE ") && order.pracks > 0;
    return true;
}

/* Datagrams change places; an UPDATE that is seen first makes its PRACK a thing of the past. */
static void the_word_waits_until_the_prack_has_its_answer(void **state)
{
    struct line l;

    (void)state;
    order = (struct order){ 0 };
    line_open(&l, 34);
    lab_net_tap(l.net, on_order, NULL);
    phone_pre(&l, 0, "alice", CPH_PRECONDITION_MANDATORY, REQ, "sdes"); /* keys with the 183 */
    phone_pre(&l, 1, "bob", CPH_PRECONDITION_MANDATORY, REQ, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 2000);
    assert_true(order.updates > 0);
    assert_false(order.early);
    assert_int_equal(order.pracks, 0);
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

static void who_does_not_know_it_rings_at_once_or_refuses(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 32);
    phone_pre(&l, 0, "alice", CPH_PRECONDITION_OPTIONAL, REQ, "sdes");
    phone_pre(&l, 1, "bob", CPH_PRECONDITION_OFF, REQ, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_true(status(&l, 0).secured);
    assert_true(status(&l, 0).media.packets_in > 10);
    line_close(&l);

    line_open(&l, 32);
    phone_pre(&l, 0, "alice", CPH_PRECONDITION_MANDATORY, REQ, "sdes");
    phone_pre(&l, 1, "bob", CPH_PRECONDITION_OFF, REQ, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_int_equal(place(&l, 1, CPH_PHONE_INCOMING), -1);
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 420); /* RFC 3261 8.2.2.3 */
    line_close(&l);
}

static void rtp_needs_nothing_to_wait_for(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 33);
    phone_pre(&l, 0, "alice", CPH_PRECONDITION_MANDATORY, PREF, "sdes");
    phone_pre(&l, 1, "bob", CPH_PRECONDITION_OPTIONAL, CPH_SECURITY_NONE, "sdes");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_non_null(heard(&l, 0, CPH_PHONE_PLAIN));
    assert_true(status(&l, 0).media.packets_in > 10); /* RFC 5027 3 */
    line_close(&l);
}

/* ---- by hand --------------------------------------------------------------------------------- */

#define BOB      "sip:bob@10.0.0.1:5060"
#define WANTS    "Supported: 100rel\r\nAllow: INVITE, ACK, UPDATE, PRACK\r\nRequire: precondition\r\n"
#define SEC(now) "a=curr:sec e2e " now "\r\na=des:sec mandatory e2e sendrecv\r\n"

static void hand_asks(struct line *l, const char *method, const char *tag, unsigned cseq,
                      const char *lines, const char *sdp)
{
    char all[TEXT];

    snprintf(all, sizeof all,
             "%s " BOB " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKp%s%u\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:carol@10.0.0.9>;tag=hand\r\nTo: <" BOB ">%s%s\r\n"
             "Call-ID: by-hand\r\nCSeq: %u %s\r\nContact: <sip:hand@10.0.0.9:5060>\r\n%s%s"
             "Content-Length: %zu\r\n\r\n%s",
             method, method, cseq, tag[0] ? ";tag=" : "", tag, cseq, method, lines,
             sdp ? "Content-Type: application/sdp\r\n" : "", sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    hand_says(l, all);
}

/* An INVITE with a precondition; tag and RAck of the 183 that comes. */
static void invite(struct line *l, const char *security, char tag[64], char rack[96])
{
    char sdp[1024], text[256];

    line_open(l, 34);
    hand_open(l);
    phone_pre(l, 0, "bob", CPH_PRECONDITION_OPTIONAL, REQ, "sdes");
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", security);
    hand_asks(l, "INVITE", "", 1, WANTS, sdp);
    assert_int_equal(strncmp(l->hand.got, "SIP/2.0 183", 11), 0);
    header(l->hand.got, "To: ", text, sizeof text);
    snprintf(tag, 64, "%.*s", (int)strcspn(strstr(text, ";tag=") + 5, "\r"),
             strstr(text, ";tag=") + 5);
    header(l->hand.got, "RSeq: ", text, sizeof text);
    snprintf(rack, 96, "RAck: %lu 1 INVITE\r\n", strtoul(text + 6, NULL, 10));
}

/* RFC 5027 4.1, line by line */
static void the_example_of_the_rfc_is_played_as_it_stands(void **state)
{
    char tag[64], rack[96], sdp[1024];
    struct line l;

    (void)state;
    invite(&l, SEC("none") CRYPTO(HAND_KEY_A), tag, rack);
    assert_non_null(strstr(l.hand.got, "Require: 100rel"));
    assert_non_null(strstr(l.hand.got, "a=curr:sec e2e recv\r\n"));
    assert_non_null(strstr(l.hand.got, "a=des:sec mandatory e2e sendrecv\r\n"));
    assert_non_null(strstr(l.hand.got, "a=conf:sec e2e sendrecv\r\n"));
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1); /* MUST NOT alert */
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_A));
    l.ear[0].hold_back = true;
    hand_asks(&l, "PRACK", tag, 2, rack, sdp); /* the word in the PRACK, as there */
    assert_int_equal(l.hand.status, 200);
    assert_non_null(strstr(l.hand.got, "a=curr:sec e2e sendrecv\r\n"));
    assert_null(strstr(l.hand.got, "a=conf"));
    assert_true(place(&l, 0, CPH_PHONE_INCOMING) >= 0);
    assert_ok(cph_phone_accept(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 50);
    assert_int_equal(l.hand.status, 200);
    assert_null(strstr(l.hand.got, "\r\nv=0")); /* the answer went out in the 183 */
    hand_asks(&l, "ACK", tag, 1, "", NULL);
    run(&l, 300);
    assert_true(status(&l, 0).secured);
    assert_true(l.hand.n_media > 3);
    line_close(&l);
}

static void the_word_may_come_in_an_update_and_says_nothing_before(void **state)
{
    char tag[64], rack[96], sdp[1024];
    struct line l;

    (void)state;
    invite(&l, SEC("none") CRYPTO(HAND_KEY_A), tag, rack);
    l.ear[0].hold_back = true;
    hand_asks(&l, "PRACK", tag, 2, rack, NULL);
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("recv") CRYPTO(HAND_KEY_A));
    hand_asks(&l, "UPDATE", tag, 3, "", sdp); /* half of it is not enough */
    assert_int_equal(l.hand.status, 200);
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_A));
    hand_asks(&l, "UPDATE", tag, 4, "", sdp);
    assert_int_equal(l.hand.status, 200);
    assert_true(place(&l, 0, CPH_PHONE_INCOMING) >= 0);
    line_close(&l);
}

static void a_caller_that_never_says_so_never_rings(void **state)
{
    char tag[64], rack[96];
    struct line l;

    (void)state;
    invite(&l, SEC("none") CRYPTO(HAND_KEY_A), tag, rack);
    hand_asks(&l, "PRACK", tag, 2, rack, NULL);
    run(&l, 40000);
    assert_int_equal(l.hand.status, 580);
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
    line_close(&l);
}

static void what_cannot_be_met_is_refused_with_580(void **state)
{
    static const char *const wrong[] = {
        SEC("none"),                                                           /* no keys */
        SEC("none") "a=des:qos mandatory e2e sendrecv\r\n" CRYPTO(HAND_KEY_A), /* RFC 3312 9 */
    };
    char sdp[1024];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct line l;

        line_open(&l, 35);
        hand_open(&l);
        phone_pre(&l, 0, "bob", CPH_PRECONDITION_OPTIONAL, REQ, "sdes");
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", wrong[i]);
        hand_asks(&l, "INVITE", "", 1, WANTS, sdp);
        run(&l, 100);
        assert_int_equal(l.hand.status, 580);
        assert_non_null(strstr(l.hand.final, "m=audio 0 ")); /* RFC 3312 8, 9 */
        assert_non_null(strstr(l.hand.final, "a=des:sec failure e2e sendrecv\r\n"));
        assert_int_equal(strstr(l.hand.final, "a=des:qos unknown e2e sendrecv") != NULL, i == 1);
        line_close(&l);
    }
}

static void without_100rel_there_is_nothing_to_wait_with(void **state)
{
    char sdp[1024];
    struct line l;

    (void)state;
    line_open(&l, 36);
    hand_open(&l);
    phone_pre(&l, 0, "bob", CPH_PRECONDITION_OPTIONAL, REQ, "sdes");
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP",
             "a=curr:sec e2e none\r\na=des:sec optional e2e sendrecv\r\n" CRYPTO(HAND_KEY_A));
    hand_asks(&l, "INVITE", "", 1, "", sdp);
    assert_int_equal(l.hand.status, 200);
    assert_null(strstr(l.hand.got, "a=curr"));
    line_close(&l);
}

/* ---- in a standing call ---------------------------------------------------------------------- */

static void new_keys_in_a_call_are_confirmed_and_nothing_is_lost(void **state)
{
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (unsigned k = 0; k < 2; k++)
        for (unsigned who = 0; who < 2; who++) {
            struct line l;

            line_open(&l, 37);
            phone_pre(&l, 0, "alice", CPH_PRECONDITION_MANDATORY, REQ, keying[k]);
            phone_pre(&l, 1, "bob", CPH_PRECONDITION_OPTIONAL, REQ, keying[k]);
            dial(&l, 0, "sip:bob@10.0.0.2:5060");
            run(&l, 2000);
            assert_true(status(&l, 0).media.packets_in > 20);
            l.ear[0].n = l.ear[1].n = 0;
            assert_ok(
                cph_phone_rekey(lab_terminal_phone(l.t[who]), l.ear[who].call, lab_now(l.net)));
            lab_terminal_pump(l.t[who]);
            run(&l, 2000);
            for (unsigned i = 0; i < 2; i++) {
                assert_true(place(&l, i, CPH_PHONE_CHANGED) >= 0);
                assert_int_equal(place(&l, i, CPH_PHONE_NOTICE), -1);
                assert_int_equal(place(&l, i, CPH_PHONE_SECURED), -1); /* it was before */
                assert_true(status(&l, i).secured);
                assert_true(status(&l, i).media.packets_in > 150);
                assert_int_equal(status(&l, i).media.lost, 0);
            }
            hangup(&l, 0);
            line_close(&l);
        }
}

/* The call of the RFC's example, taken. */
static void talking(struct line *l, char tag[64])
{
    char rack[96], sdp[1024];

    invite(l, SEC("none") CRYPTO(HAND_KEY_A), tag, rack);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_A));
    hand_asks(l, "PRACK", tag, 2, rack, sdp);
    run(l, 50);
    hand_asks(l, "ACK", tag, 1, "", NULL);
    run(l, 300);
    assert_true(status(l, 0).secured);
    l->ear[0].n = 0;
}

/* Answer the request the phone has sent last. */
static void hand_replies(struct line *l, unsigned code, const char *sdp)
{
    char via[512], from[256], to[256], id[256], cseq[64], all[TEXT];

    header(l->hand.got, "Via: ", via, sizeof via);
    header(l->hand.got, "From: ", from, sizeof from);
    header(l->hand.got, "To: ", to, sizeof to);
    header(l->hand.got, "Call-ID: ", id, sizeof id);
    header(l->hand.got, "CSeq: ", cseq, sizeof cseq);
    snprintf(all, sizeof all,
             "SIP/2.0 %u X\r\n%s%s%s%s%sContact: <sip:hand@10.0.0.9:5060>\r\n"
             "Allow: INVITE, ACK, UPDATE, PRACK\r\n%sContent-Length: %zu\r\n\r\n%s",
             code, via, from, to, id, cseq, sdp ? "Content-Type: application/sdp\r\n" : "",
             sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    hand_says(l, all);
}

#define DEMANDS "Require: precondition\r\n"

static void new_keys_by_hand_hold_until_the_word_in_update_or_reinvite(void **state)
{
    static const char *const method[] = { "UPDATE", "INVITE" };
    char tag[64], sdp[1024];
    struct line l;

    (void)state;
    for (unsigned m = 0; m < 2; m++) {
        size_t media;

        talking(&l, tag);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("none") CRYPTO(HAND_KEY_B));
        hand_asks(&l, method[m], tag, 3, DEMANDS, sdp);
        assert_int_equal(l.hand.status, 200);
        assert_non_null(strstr(l.hand.final, "a=curr:sec e2e recv\r\n"));
        assert_non_null(strstr(l.hand.final, "a=conf:sec e2e sendrecv\r\n"));
        if (m == 1)
            hand_asks(&l, "ACK", tag, 3, "", NULL);
        media = l.hand.n_media;
        run(&l, 500);
        assert_true(l.hand.n_media > media + 10); /* it goes on */
        assert_int_equal(place(&l, 0, CPH_PHONE_CHANGED), -1);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_B));
        hand_asks(&l, method[m], tag, 4, DEMANDS, sdp);
        assert_int_equal(l.hand.status, 200);
        assert_non_null(strstr(l.hand.final, "a=curr:sec e2e sendrecv\r\n"));
        assert_null(strstr(l.hand.final, "a=conf"));
        assert_true(place(&l, 0, CPH_PHONE_CHANGED) >= 0);
        line_close(&l);
    }
}

static void a_change_that_cannot_be_met_is_refused_with_580_and_the_call_goes_on(void **state)
{
    static const char *const wrong[] = {
        SEC("none"),                                                           /* no keys */
        SEC("none") "a=des:qos mandatory e2e sendrecv\r\n" CRYPTO(HAND_KEY_B), /* RFC 3312 9 */
    };
    static const char *const method[] = { "UPDATE", "INVITE" };
    char tag[64], sdp[1024];
    struct line l;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        size_t media;

        talking(&l, tag);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", wrong[i / 2]);
        hand_asks(&l, method[i % 2], tag, 3, DEMANDS, sdp);
        assert_int_equal(l.hand.status, 580);
        assert_non_null(strstr(l.hand.final, "m=audio 0 "));
        assert_non_null(strstr(l.hand.final, "a=des:sec failure e2e sendrecv\r\n"));
        media = l.hand.n_media;
        run(&l, 500);
        assert_true(l.hand.n_media > media + 10);
        assert_true(status(&l, 0).secured);
        line_close(&l);
    }
}

static void our_new_keys_are_offered_in_an_update_that_demands_what_policy_does(void **state)
{
    char tag[64], sdp[1024];
    struct line l;

    (void)state;
    talking(&l, tag);
    assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 20);
    assert_int_equal(strncmp(l.hand.got, "UPDATE ", 7), 0);
    assert_non_null(strstr(l.hand.got, "a=curr:sec e2e none\r\n"));
    assert_null(strstr(l.hand.got, "Require:")); /* policy says optional: RFC 3312 11 */
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP",
             "a=curr:sec e2e recv\r\na=des:sec mandatory e2e sendrecv\r\n"
             "a=conf:sec e2e sendrecv\r\n" CRYPTO(HAND_KEY_B));
    hand_replies(&l, 200, sdp);
    assert_int_equal(strncmp(l.hand.got, "UPDATE ", 7), 0); /* the word, at once */
    assert_non_null(strstr(l.hand.got, "a=curr:sec e2e sendrecv\r\n"));
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_B));
    hand_replies(&l, 200, sdp);
    assert_true(place(&l, 0, CPH_PHONE_CHANGED) >= 0);
    l.hand.got[0] = '\0';
    run(&l, 300);
    assert_int_equal(l.hand.got[0], 0); /* and no third one */
    line_close(&l);
}

static void a_refused_change_of_ours_leaves_the_call_as_it_was(void **state)
{
    char tag[64];
    struct line l;
    size_t media;

    (void)state;
    talking(&l, tag);
    assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 20);
    hand_replies(&l, 580, NULL);
    assert_true(place(&l, 0, CPH_PHONE_NOTICE) >= 0);
    media = l.hand.n_media;
    run(&l, 500);
    assert_true(l.hand.n_media > media + 10);
    assert_true(status(&l, 0).secured);
    line_close(&l);
}

/* ---- an INVITE without an offer -------------------------------------------------------------- */

static void late_invite(struct line *l, enum cph_precondition pre, const char *lines, char tag[64],
                        char rack[96])
{
    char text[256];

    line_open(l, 38);
    hand_open(l);
    phone_pre(l, 0, "bob", pre, REQ, "sdes");
    l->ear[0].hold_back = true;
    hand_asks(l, "INVITE", "", 1, lines, NULL);
    header(l->hand.got, "To: ", text, sizeof text);
    if (!strstr(text, ";tag="))
        return; /* 100 alone */
    snprintf(tag, 64, "%.*s", (int)strcspn(strstr(text, ";tag=") + 5, "\r"),
             strstr(text, ";tag=") + 5);
    header(l->hand.got, "RSeq: ", text, sizeof text);
    snprintf(rack, 96, "RAck: %lu 1 INVITE\r\n", text[0] ? strtoul(text + 6, NULL, 10) : 0);
}

#define LATE "Supported: 100rel, precondition\r\nAllow: INVITE, ACK, UPDATE, PRACK, CANCEL, BYE\r\n"
#define LATE_ANSWER                                                                                \
    "a=curr:sec e2e recv\r\na=des:sec mandatory e2e sendrecv\r\na=conf:sec e2e sendrecv\r\n"

/* RFC 3312 6: our offer in a reliable 183, the answer in its PRACK, our word in an UPDATE. */
static void our_offer_to_an_empty_invite_waits_too(void **state)
{
    char tag[64], rack[96], sdp[1024];
    struct line l;

    (void)state;
    for (int pre = CPH_PRECONDITION_OPTIONAL; pre <= CPH_PRECONDITION_MANDATORY; pre++) {
        late_invite(&l, (enum cph_precondition)pre, LATE, tag, rack);
        assert_int_equal(strncmp(l.hand.got, "SIP/2.0 183", 11), 0);
        assert_non_null(strstr(l.hand.got, "a=curr:sec e2e none\r\n"));
        assert_int_equal(strstr(l.hand.got, "Require: 100rel, precondition") != NULL,
                         pre == CPH_PRECONDITION_MANDATORY); /* RFC 3312 11 MUST */
        assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", LATE_ANSWER CRYPTO(HAND_KEY_A));
        hand_asks(&l, "PRACK", tag, 2, rack, sdp);
        assert_int_equal(strncmp(l.hand.got, "UPDATE ", 7), 0);
        assert_non_null(strstr(l.hand.got, "a=curr:sec e2e sendrecv\r\n"));
        assert_int_equal(strstr(l.hand.got, "Require: precondition") != NULL,
                         pre == CPH_PRECONDITION_MANDATORY);
        assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", SEC("sendrecv") CRYPTO(HAND_KEY_A));
        hand_replies(&l, 200, sdp);
        assert_true(place(&l, 0, CPH_PHONE_INCOMING) >= 0); /* now it rings */
        assert_ok(cph_phone_accept(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
        lab_terminal_pump(l.t[0]);
        run(&l, 50);
        assert_int_equal(l.hand.status, 200);
        hand_asks(&l, "ACK", tag, 1, "", NULL);
        run(&l, 300);
        assert_true(status(&l, 0).secured);
        assert_true(l.hand.n_media > 3);
        line_close(&l);
    }
}

static void an_answer_in_the_prack_without_them_rings_at_once(void **state)
{
    char tag[64], rack[96], sdp[1024];
    struct line l;

    (void)state;
    late_invite(&l, CPH_PRECONDITION_OPTIONAL, LATE, tag, rack);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", CRYPTO(HAND_KEY_A));
    hand_asks(&l, "PRACK", tag, 2, rack, sdp);
    assert_true(place(&l, 0, CPH_PHONE_INCOMING) >= 0);
    line_close(&l);
}

static void a_prack_with_no_answer_or_one_without_keys_never_rings(void **state)
{
    char tag[64], rack[96], sdp[1024];
    struct line l;

    (void)state;
    late_invite(&l, CPH_PRECONDITION_OPTIONAL, LATE, tag, rack);
    hand_asks(&l, "PRACK", tag, 2, rack, NULL);
    run(&l, 40000);
    assert_int_equal(l.hand.status, 580);
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
    line_close(&l);

    late_invite(&l, CPH_PRECONDITION_OPTIONAL, LATE, tag, rack);
    hand_sdp(sdp, sizeof sdp, "RTP/SAVP", LATE_ANSWER);
    hand_asks(&l, "PRACK", tag, 2, rack, sdp);
    run(&l, 100);
    assert_int_equal(l.hand.status, 488);
    assert_int_equal(place(&l, 0, CPH_PHONE_INCOMING), -1);
    line_close(&l);
}

static void an_empty_invite_that_knows_none_of_them_rings_at_once(void **state)
{
    static const char *const lines[] = {
        "Supported: 100rel\r\nAllow: INVITE, ACK, UPDATE, PRACK\r\n",
        "Supported: precondition\r\nAllow: INVITE, ACK, UPDATE, PRACK\r\n",
    };
    char tag[64], rack[96];
    struct line l;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        late_invite(&l, CPH_PRECONDITION_OPTIONAL, lines[i], tag, rack);
        assert_true(place(&l, 0, CPH_PHONE_INCOMING) >= 0);
        line_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_have_keys_before_it_rings),
        cmocka_unit_test(the_word_waits_until_the_prack_has_its_answer),
        cmocka_unit_test(who_does_not_know_it_rings_at_once_or_refuses),
        cmocka_unit_test(rtp_needs_nothing_to_wait_for),
        cmocka_unit_test(the_example_of_the_rfc_is_played_as_it_stands),
        cmocka_unit_test(the_word_may_come_in_an_update_and_says_nothing_before),
        cmocka_unit_test(a_caller_that_never_says_so_never_rings),
        cmocka_unit_test(what_cannot_be_met_is_refused_with_580),
        cmocka_unit_test(without_100rel_there_is_nothing_to_wait_with),
        cmocka_unit_test(new_keys_in_a_call_are_confirmed_and_nothing_is_lost),
        cmocka_unit_test(new_keys_by_hand_hold_until_the_word_in_update_or_reinvite),
        cmocka_unit_test(a_change_that_cannot_be_met_is_refused_with_580_and_the_call_goes_on),
        cmocka_unit_test(our_new_keys_are_offered_in_an_update_that_demands_what_policy_does),
        cmocka_unit_test(a_refused_change_of_ours_leaves_the_call_as_it_was),
        cmocka_unit_test(our_offer_to_an_empty_invite_waits_too),
        cmocka_unit_test(an_answer_in_the_prack_without_them_rings_at_once),
        cmocka_unit_test(a_prack_with_no_answer_or_one_without_keys_never_rings),
        cmocka_unit_test(an_empty_invite_that_knows_none_of_them_rings_at_once),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

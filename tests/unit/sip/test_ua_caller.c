/* The calling side against a hand that answers whatever a test wants. */
#include "ua_hand.h"

static void begin_with(void (*change)(struct cph_sip_ua_cfg *))
{
    begin_hand(3, "udp", change);
}

static void begin(void)
{
    begin_with(NULL);
}

static uint32_t place_rel(const char *offer, enum cph_sip_100rel rel)
{
    struct cph_sip_place p = { .to = "sip:bob@10.0.0.9",
                               .from = "sip:alice@10.0.0.1",
                               .body = cph_span_of(offer),
                               .rel = rel };
    uint32_t id = 0;

    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_run(&w, CPH_MS(20));
    return id;
}

static uint32_t place(const char *offer)
{
    return place_rel(offer, CPH_SIP_100REL_SUPPORTED);
}

static void say(const char *request, const char *status, const char *tag, const char *lines,
                const char *body)
{
    w_answer(&w, 1, 0, request, status, tag, lines, body);
    w_run(&w, CPH_MS(20));
}

/* The call is over when the BYE goes, but who stops then would not say it again. */
static void a_bye_that_was_lost_is_still_waited_for(void **state)
{
    const char *bye;
    uint32_t id;

    (void)state;
    begin();
    id = place("offer");
    assert_true(cph_sip_ua_waits(w.node[0].ua));
    say(hear("INVITE"), "200 OK", "t1", CONTACT, "answer");
    (void)hear("ACK"); /* kept for a repeated 200, and nothing to wait for */
    (void)w_want(&w, 0, CPH_SIP_EV_ANSWERED);
    assert_false(cph_sip_ua_waits(w.node[0].ua));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED);
    (void)hear("BYE"); /* lost */
    assert_true(cph_sip_ua_waits(w.node[0].ua));
    w_run(&w, CPH_MS(500));
    bye = hear("BYE");
    assert_true(cph_sip_ua_waits(w.node[0].ua));
    say(bye, "200 OK", "", "", NULL);
    assert_false(cph_sip_ua_waits(w.node[0].ua));
    w_run(&w, CPH_SEC(40));
    w_quiet(&w, 0);
    finish();
}

/* ---- forks ---- */

static void forked_answers_make_branches_and_the_second_2xx_is_ended(void **state)
{
    uint32_t b1, b2, b3;
    const char *inv, *ack, *bye;
    uint32_t id;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    say(inv, "183 Progress", "t1", CONTACT, "sdp1");
    say(inv, "180 Ringing", "t2", CONTACT, NULL);
    say(inv, "180 Ringing", "t3", CONTACT, NULL);
    b1 = w_want(&w, 0, CPH_SIP_EV_PROGRESS)->e.branch;
    b2 = w_want(&w, 0, CPH_SIP_EV_PROGRESS)->e.branch;
    b3 = w_want(&w, 0, CPH_SIP_EV_PROGRESS)->e.branch;
    assert_true(b1 != b2 && b2 != b3 && b1 != b3 && b1 && b2 && b3);
    say(inv, "200 OK", "t2", CONTACT, "answer2");
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_BRANCH_GONE)->e.branch, b1);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_BRANCH_GONE)->e.branch, b3);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ANSWERED)->e.branch, b2);
    ack = hear("ACK");
    assert_non_null(strstr(w_header(ack, "To"), "tag=t2"));
    say(inv, "200 OK", "t3", CONTACT, "answer3"); /* too late */
    ack = hear("ACK");
    assert_non_null(strstr(w_header(ack, "To"), "tag=t3"));
    bye = hear("BYE");
    assert_non_null(strstr(w_header(bye, "To"), "tag=t3"));
    say(bye, "200 OK", "", "", NULL);
    (void)w_want(&w, 0, CPH_SIP_EV_BRANCH_GONE);
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    bye = hear("BYE");
    assert_non_null(strstr(w_header(bye, "To"), "tag=t2"));
    say(bye, "200 OK", "", "", NULL);
    say(inv, "200 OK", "t4", CONTACT, NULL); /* even after the end of the call */
    assert_non_null(strstr(w_header(hear("ACK"), "To"), "tag=t4"));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void forks_beyond_the_limit_cost_nothing(void **state)
{
    char tag[8];
    const char *inv;

    (void)state;
    begin();
    (void)place("offer");
    inv = hear("INVITE");
    for (int i = 0; i < 30; i++) {
        snprintf(tag, sizeof tag, "f%d", i);
        say(inv, "180 Ringing", tag, CONTACT, NULL);
    }
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).dialogs, 12);
    say(inv, "486 Busy", "z", "", NULL);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 486);
    (void)hear("ACK");
    finish();
}

static void a_repeated_2xx_is_acknowledged_again(void **state)
{
    uint32_t id;
    const char *inv;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    say(inv, "200 OK", "t", CONTACT, "answer");
    say(inv, "200 OK", "t", CONTACT, "answer");
    say(inv, "200 OK", "t", CONTACT, "answer");
    (void)hear("ACK");
    (void)hear("ACK");
    (void)hear("ACK");
    (void)w_want(&w, 0, CPH_SIP_EV_ANSWERED);
    assert_false(w_has(&w, 0, CPH_SIP_EV_ANSWERED));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

/* ---- CANCEL ---- */

static void cancel_waits_for_a_provisional_answer(void **state)
{
    uint32_t id;
    const char *inv, *can;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(100));
    assert_null(w_heard(&w, 1, "CANCEL"));
    say(inv, "100 Trying", "", "", NULL);
    can = hear("CANCEL");
    assert_string_equal(w_header(can, "Via"), w_header(inv, "Via")); /* the same branch */
    assert_string_equal(w_header(can, "CSeq"), "1 CANCEL");
    say(can, "200 OK", "x", "", NULL);
    say(inv, "487 Terminated", "x", "", NULL);
    (void)hear("ACK");
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 487);
    finish();
}

static void a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended(void **state)
{
    uint32_t id;
    const char *inv, *can;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    say(inv, "180 Ringing", "t", CONTACT, NULL);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    can = hear("CANCEL");
    say(inv, "200 OK", "t", CONTACT, "answer");
    say(can, "481 Gone", "t", "", NULL);
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED);
    w.node[1].took = 0;
    (void)hear("ACK");
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void a_cancel_without_effect_ends_the_call_after_a_while(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = place("offer");
    say(hear("INVITE"), "180 Ringing", "t", CONTACT, NULL);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_SEC(40));
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED);
    finish(); /* RFC 3261 9.1: its transaction goes too, though no timer of 17.1.1 would end it */
}

static void an_unanswered_call_is_given_up(void **state)
{
    struct w_event *e;

    (void)state;
    begin();
    (void)place("offer"); /* nobody answers at all */
    w_run(&w, CPH_SEC(40));
    e = w_want(&w, 0, CPH_SIP_EV_ENDED);
    assert_err(e->e.cause, CPH_E_TIMEOUT);
    assert_int_equal(e->e.status, 408);
    finish();
}

/* ---- redirection, refusal ---- */

static void redirections_are_followed_within_the_limit(void **state)
{
    char line[80];

    (void)state;
    begin();
    (void)place("offer");
    for (int i = 0; i < 6; i++) {
        const char *inv = hear("INVITE");

        if (i)
            assert_int_equal(atoi(w_header(inv, "CSeq")), i + 1);
        snprintf(line, sizeof line, "Contact: <sip:next%d@10.0.0.9>\n", i);
        say(inv, "302 Moved", "t", line, NULL);
        (void)hear("ACK");
    }
    assert_null(w_heard(&w, 1, "INVITE"));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 302);
    finish();
}

static void the_second_address_of_a_redirection_is_tried_after_the_first(void **state)
{
    const char *inv;

    (void)state;
    begin();
    (void)place("offer");
    say(hear("INVITE"), "300 Choices", "t",
        "Contact: <sip:one@10.0.0.9>, <sip:two@10.0.0.9>\nContact: <mailto:x@y>\n", NULL);
    inv = hear("INVITE sip:one@");
    say(inv, "404 None", "u", "", NULL);
    w.node[1].took = 0;
    inv = hear("INVITE sip:two@");
    say(inv, "600 Busy Everywhere", "v", "", NULL);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 600);
    finish();
}

static void too_small_a_session_is_asked_for_again(void **state)
{
    const char *inv;

    (void)state;
    begin();
    (void)place("offer");
    say(hear("INVITE"), "422 Too Small", "t", "Min-SE: 200\n", NULL);
    inv = hear("ACK");
    w_run(&w, CPH_MS(20));
    inv = hear("INVITE");
    assert_string_equal(w_header(inv, "Min-SE"), "200");
    assert_string_equal(w_header(inv, "Session-Expires"), "200");
    say(inv, "422 Too Small", "t", "Min-SE: 200\n", NULL); /* the same again: no loop */
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 422);
    finish();
}

/* ---- 100rel, late offer ---- */

static void reliable_answers_are_taken_in_order_and_once(void **state)
{
    const char *inv, *pr;
    uint32_t id;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    assert_non_null(strstr(w_header(inv, "Supported"), "100rel"));
    say(inv, "183 P", "t", CONTACT "Require: 100rel\nRSeq: 900\n", "early");
    pr = hear("PRACK");
    assert_string_equal(w_header(pr, "RAck"), "900 1 INVITE");
    assert_string_equal(w_header(pr, "CSeq"), "2 PRACK");
    say(pr, "200 OK", "", "", NULL);
    say(inv, "183 P", "t", CONTACT "Require: 100rel\nRSeq: 900\n", "early"); /* again */
    say(inv, "180 R", "t", CONTACT "Require: 100rel\nRSeq: 902\n", NULL);    /* a gap */
    assert_null(w_heard(&w, 1, "PRACK"));
    say(inv, "180 R", "t", CONTACT "Require: 100rel\nRSeq: 901\n", NULL);
    w.node[1].took = 0;
    (void)hear("PRACK");
    pr = hear("PRACK");
    assert_string_equal(w_header(pr, "RAck"), "901 1 INVITE");
    say(pr, "200 OK", "", "", NULL);
    assert_string_equal(w_want(&w, 0, CPH_SIP_EV_PROGRESS)->body, "early");
    assert_true(w_want(&w, 0, CPH_SIP_EV_PROGRESS)->e.reliable);
    assert_false(w_has(&w, 0, CPH_SIP_EV_PROGRESS));
    say(inv, "200 OK", "t", CONTACT, NULL);
    (void)hear("ACK");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void an_offer_in_a_reliable_answer_is_answered_in_prack(void **state)
{
    const char *inv, *pr;
    struct w_event *e;
    uint32_t id;

    (void)state;
    begin();
    id = place("");
    inv = hear("INVITE");
    assert_string_equal(w_header(inv, "Content-Length"), "0");
    say(inv, "183 P", "t", CONTACT "Require: 100rel\nRSeq: 1\n", "their offer");
    assert_null(w_heard(&w, 1, "PRACK"));
    e = w_want(&w, 0, CPH_SIP_EV_PROGRESS);
    assert_true(e->e.wants_answer);
    assert_ok(cph_sip_call_give_answer(w.node[0].ua, id, e->e.branch, NULL,
                                       cph_span_of("our answer"), w.now));
    assert_err(
        cph_sip_call_give_answer(w.node[0].ua, id, e->e.branch, NULL, cph_span_of("again"), w.now),
        CPH_E_STATE);
    w_run(&w, CPH_MS(20));
    pr = hear("PRACK");
    assert_non_null(strstr(pr, "our answer"));
    say(pr, "200 OK", "", "", NULL);
    say(inv, "200 OK", "t", CONTACT, NULL);
    assert_false(w_want(&w, 0, CPH_SIP_EV_ANSWERED)->e.wants_answer);
    (void)hear("ACK");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void an_offer_in_the_2xx_is_answered_in_ack(void **state)
{
    const char *inv, *ack;
    struct w_event *e;
    uint32_t id;

    (void)state;
    begin();
    id = place("");
    inv = hear("INVITE");
    say(inv, "200 OK", "t", CONTACT, "their offer");
    e = w_want(&w, 0, CPH_SIP_EV_ANSWERED);
    assert_true(e->e.wants_answer);
    assert_null(w_heard(&w, 1, "ACK"));
    assert_ok(cph_sip_call_give_answer(w.node[0].ua, id, e->e.branch, NULL,
                                       cph_span_of("our answer"), w.now));
    w_run(&w, CPH_MS(20));
    ack = hear("ACK");
    assert_non_null(strstr(ack, "our answer"));
    assert_string_equal(w_header(ack, "CSeq"), "1 ACK");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

/* ---- routes ---- */

static void the_route_set_is_reversed_and_loose_or_strict(void **state)
{
    const char *inv, *m;
    uint32_t id;

    (void)state;
    begin();
    id = place("offer");
    inv = hear("INVITE");
    say(inv, "200 OK", "t",
        "Contact: <sip:bob@192.0.2.7>\nRecord-Route: <sip:far.example;lr>, <sip:10.0.0.9;lr>\n",
        NULL);
    m = hear("ACK sip:bob@192.0.2.7");
    assert_non_null(strstr(m, "Route: <sip:10.0.0.9;lr>\r\nRoute: <sip:far.example;lr>"));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE sip:bob@192.0.2.7"), "200 OK", "", "", NULL);
    w_run(&w, CPH_SEC(70));
    id = place("offer");
    inv = hear("INVITE");
    say(inv, "200 OK", "t", "Contact: <sip:bob@192.0.2.7>\nRecord-Route: <sip:10.0.0.9>\n", NULL);
    m = hear("ACK sip:10.0.0.9 "); /* a strict router of RFC 2543 */
    assert_string_equal(w_header(m, "Route"), "<sip:bob@192.0.2.7>");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE sip:10.0.0.9 "), "200 OK", "", "", NULL);
    finish();
}

/* ---- session timer ---- */

static void ask_timer(struct cph_sip_ua_cfg *c)
{
    c->session_expires = 100;
}

static void our_refreshes_go_by_update(void **state)
{
    const char *inv, *up;

    (void)state;
    begin_with(ask_timer);
    (void)place("offer");
    inv = hear("INVITE");
    assert_string_equal(w_header(inv, "Session-Expires"), "100");
    say(inv, "200 OK", "t", CONTACT "Allow: INVITE, UPDATE\nSession-Expires: 100;refresher=uac\n",
        "sdp");
    (void)hear("ACK");
    w_run(&w, CPH_SEC(50));
    up = hear("UPDATE");
    assert_string_equal(w_header(up, "Session-Expires"), "100;refresher=uac");
    say(up, "200 OK", "", CONTACT "Session-Expires: 100;refresher=uac\n", NULL);
    (void)w_want(&w, 0, CPH_SIP_EV_REFRESHED);
    w_run(&w, CPH_SEC(50));
    up = hear("UPDATE");
    say(up, "481 Gone", "", "", NULL); /* the dialog is gone over there */
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 481);
    say(hear("BYE"), "481 Gone", "", "", NULL);
    finish();
}

static void without_update_a_refresh_is_a_reinvite_with_the_same_offer(void **state)
{
    const char *inv;
    uint32_t id;

    (void)state;
    begin_with(ask_timer);
    id = place("my offer");
    say(hear("INVITE"), "200 OK", "t", CONTACT "Session-Expires: 100;refresher=uac\n", "sdp");
    (void)hear("ACK");
    w_run(&w, CPH_SEC(50));
    inv = hear("INVITE");
    assert_non_null(strstr(inv, "my offer"));
    say(inv, "200 OK", "", CONTACT "Session-Expires: 100;refresher=uac\n", "sdp");
    (void)hear("ACK");
    (void)w_want(&w, 0, CPH_SIP_EV_REFRESHED);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void a_peer_that_does_not_refresh_loses_the_call(void **state)
{
    const char *bye;

    (void)state;
    begin_with(ask_timer);
    (void)place("offer");
    say(hear("INVITE"), "200 OK", "t", CONTACT "Session-Expires: 99;refresher=uas\n", "sdp");
    w_run(&w, CPH_SEC(60));
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    w_run(&w, CPH_SEC(10)); /* 99 - min(32, 33) = 67 */
    assert_err(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause, CPH_E_EXPIRED);
    bye = hear("BYE");
    say(bye, "200 OK", "", "", NULL);
    finish();
}

/* ---- offers in the dialog ---- */

static uint32_t up(void)
{
    uint32_t id = place("offer");

    say(hear("INVITE"), "200 OK", "t", CONTACT "Allow: INVITE, UPDATE\n", "sdp");
    (void)hear("ACK");
    (void)w_want(&w, 0, CPH_SIP_EV_ANSWERED);
    return id;
}

static void down(uint32_t id)
{
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(hear("BYE"), "200 OK", "", "", NULL);
    finish();
}

static void after_491_the_offer_goes_out_once_more(void **state)
{
    const char *inv;
    uint32_t id;

    (void)state;
    begin();
    id = up();
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, false, NULL, cph_span_of("new"), w.now));
    assert_err(cph_sip_call_offer(w.node[0].ua, id, 0, true, NULL, cph_span_of("more"), w.now),
               CPH_E_STATE);
    w_run(&w, CPH_MS(20));
    say(hear("INVITE"), "491 Pending", "", "", NULL);
    (void)hear("ACK");
    w_run(&w, CPH_SEC(2));
    assert_null(w_heard(&w, 1, "INVITE")); /* we made the Call-ID: 2.1 to 4 s */
    w_run(&w, CPH_SEC(3));
    inv = hear("INVITE");
    assert_non_null(strstr(inv, "new"));
    say(inv, "200 OK", "", CONTACT, "fine");
    (void)hear("ACK");
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OFFER_DONE)->e.status, 200);
    down(id);
}

static void a_2xx_repeated_after_the_next_reinvite_does_not_end_the_call(void **state)
{
    const char *first, *second;
    uint32_t id;

    (void)state;
    begin();
    id = up();
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, false, NULL, cph_span_of("one"), w.now));
    w_run(&w, CPH_MS(20));
    first = hear("INVITE");
    say(first, "200 OK", "", CONTACT, "fine");
    assert_string_equal(w_header(hear("ACK"), "CSeq"), "2 ACK");
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, false, NULL, cph_span_of("two"), w.now));
    w_run(&w, CPH_MS(20));
    second = hear("INVITE");
    say(first, "200 OK", "", CONTACT, "fine"); /* the ACK was lost */
    assert_string_equal(w_header(hear("ACK"), "CSeq"), "2 ACK");
    say(second, "200 OK", "", CONTACT, "fine");
    assert_string_equal(w_header(hear("ACK"), "CSeq"), "3 ACK");
    say(first, "200 OK", "", CONTACT, "fine");
    assert_string_equal(w_header(hear("ACK"), "CSeq"), "2 ACK");
    assert_null(w_heard(&w, 1, "BYE"));
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    down(id);
}

static void a_reinvite_that_rings_after_its_call_is_gone_ends_by_itself(void **state)
{
    const char *inv;
    uint32_t id;

    (void)state;
    begin();
    id = up();
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, false, NULL, cph_span_of("new"), w.now));
    w_run(&w, CPH_MS(20));
    inv = hear("INVITE");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    say(inv, "100 Trying", "", "", NULL); /* stops timers A and B, and no final answer follows */
    say(hear("BYE"), "200 OK", "", "", NULL);
    w_run(&w, CPH_SEC(20));
    say(inv, "180 Ringing", "t", CONTACT, NULL); /* does not make it live any longer */
    w_run(&w, CPH_SEC(13));
    w_quiet(&w, 0);
    w_free(&w);
}

static void a_refused_offer_leaves_the_call_as_it_was(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = up();
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, true, NULL, cph_span_of("new"), w.now));
    w_run(&w, CPH_MS(20));
    say(hear("UPDATE"), "488 No", "", "", NULL);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OFFER_DONE)->e.status, 488);
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, false, NULL, cph_span_of("new"), w.now));
    w_run(&w, CPH_MS(20));
    say(hear("INVITE"), "488 No", "", "", NULL);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OFFER_DONE)->e.status, 488);
    down(id);
}

/* A request of the hand inside the dialog that `up` made. */
static void inside(const char *method, unsigned cseq, const char *lines, const char *sdp)
{
    const char *inv = w.node[1].got[0];

    w_say(&w, 1, 0,
          "%s sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK%s%u;rport\n"
          "Max-Forwards: 70\nFrom: <sip:bob@10.0.0.9>;tag=t\nTo: %s\nCall-ID: %s\nCSeq: %u %s\n%s%s"
          "Content-Length: *\n\n%s",
          method, method, cseq, w_header(inv, "From"), w_header(inv, "Call-ID"), cseq, method,
          lines, *sdp ? "Content-Type: application/sdp\n" : "", sdp);
    w_run(&w, CPH_MS(20));
}

static void glare_of_offers_is_491(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = up();
    assert_ok(cph_sip_call_offer(w.node[0].ua, id, 0, true, NULL, cph_span_of("ours"), w.now));
    w_run(&w, CPH_MS(20));
    inside("UPDATE", 10, CONTACT, "theirs");
    (void)hear("SIP/2.0 491");
    inside("INVITE", 11, CONTACT, "theirs");
    (void)hear("SIP/2.0 491");
    inside("UPDATE", 12, CONTACT, ""); /* without an offer there is no glare */
    (void)hear("SIP/2.0 200");
    w.node[1].took = 0;
    (void)hear("ACK");
    say(hear("UPDATE"), "200 OK", "", CONTACT, "answer");
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OFFER_DONE)->e.status, 200);
    w.node[1].took = w.node[1].n_got;
    down(id);
}

static void a_second_offer_before_the_answer_is_500_with_retry_after(void **state)
{
    const char *m;
    uint32_t id;

    (void)state;
    begin();
    id = up();
    inside("UPDATE", 10, CONTACT, "theirs");
    inside("UPDATE", 11, CONTACT, "again");
    m = hear("SIP/2.0 500");
    assert_true(atoi(w_header(m, "Retry-After")) <= 10 && *w_header(m, "Retry-After"));
    assert_true(w_want(&w, 0, CPH_SIP_EV_OFFER)->e.update);
    assert_ok(cph_sip_call_answer(w.node[0].ua, id, 200, NULL, cph_span_of("fine"), w.now));
    w_run(&w, CPH_MS(20));
    assert_non_null(strstr(hear("SIP/2.0 200"), "fine"));
    inside("INVITE", 12, CONTACT, "theirs");
    inside("INVITE", 13, CONTACT, "again");
    (void)hear("SIP/2.0 500");
    assert_false(w_want(&w, 0, CPH_SIP_EV_OFFER)->e.update);
    assert_ok(cph_sip_call_answer(w.node[0].ua, id, 488, NULL, cph_span_of(""), w.now));
    w_run(&w, CPH_MS(20));
    (void)hear("SIP/2.0 488");
    down(id);
}

static void a_cseq_that_does_not_rise_is_500(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = up();
    inside("INFO", 10, "", "");
    (void)hear("SIP/2.0 200");
    inside("INFO", 9, "", "");
    (void)hear("SIP/2.0 500");
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->bad_cseq, 1);
    down(id);
}

static void bye_of_the_peer_ends_the_call(void **state)
{
    (void)state;
    begin();
    (void)up();
    inside("BYE", 10, "", "");
    (void)hear("SIP/2.0 200");
    assert_true(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.by_peer);
    inside("BYE", 11, "", "");
    (void)hear("SIP/2.0 481");
    finish();
}

static void strangers_cannot_reach_into_the_dialog(void **state)
{
    const char *inv;
    uint32_t id;

    (void)state;
    begin();
    id = up();
    inv = w.node[1].got[0];
    w_say(&w, 1, 0,
          "BYE sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKs;rport\n"
          "Max-Forwards: 70\nFrom: <sip:bob@10.0.0.9>;tag=guess\nTo: %s\nCall-ID: %s\nCSeq: 9 BYE\n"
          "Content-Length: *\n\n",
          w_header(inv, "From"), w_header(inv, "Call-ID"));
    w_run(&w, CPH_MS(20));
    (void)hear("SIP/2.0 481");
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    down(id);
}

/* ---- what the app may not put in ---- */

static void line_breaks_of_the_app_do_not_get_out(void **state)
{
    struct cph_sip_place p = { .to = "sip:b@10.0.0.9", .from = "sip:a@10.0.0.1" };
    uint32_t id;

    (void)state;
    begin();
    p.to = "sip:b@10.0.0.9\r\nX: y";
    assert_err(cph_sip_call_place(w.node[0].ua, &p, w.now, &id), CPH_E_ARGUMENT);
    p.to = "sip:b@10.0.0.9";
    p.headers = "X: y";
    assert_err(cph_sip_call_place(w.node[0].ua, &p, w.now, &id), CPH_E_ARGUMENT);
    p.headers = "X: y\r\n\r\nINVITE\r\n";
    assert_err(cph_sip_call_place(w.node[0].ua, &p, w.now, &id), CPH_E_ARGUMENT);
    p.headers = "X: y\r\n";
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_run(&w, CPH_MS(20));
    assert_string_equal(w_header(hear("INVITE"), "X"), "y");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bye_that_was_lost_is_still_waited_for),
        cmocka_unit_test(forked_answers_make_branches_and_the_second_2xx_is_ended),
        cmocka_unit_test(forks_beyond_the_limit_cost_nothing),
        cmocka_unit_test(a_repeated_2xx_is_acknowledged_again),
        cmocka_unit_test(cancel_waits_for_a_provisional_answer),
        cmocka_unit_test(a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended),
        cmocka_unit_test(a_cancel_without_effect_ends_the_call_after_a_while),
        cmocka_unit_test(an_unanswered_call_is_given_up),
        cmocka_unit_test(redirections_are_followed_within_the_limit),
        cmocka_unit_test(the_second_address_of_a_redirection_is_tried_after_the_first),
        cmocka_unit_test(too_small_a_session_is_asked_for_again),
        cmocka_unit_test(reliable_answers_are_taken_in_order_and_once),
        cmocka_unit_test(an_offer_in_a_reliable_answer_is_answered_in_prack),
        cmocka_unit_test(an_offer_in_the_2xx_is_answered_in_ack),
        cmocka_unit_test(the_route_set_is_reversed_and_loose_or_strict),
        cmocka_unit_test(our_refreshes_go_by_update),
        cmocka_unit_test(without_update_a_refresh_is_a_reinvite_with_the_same_offer),
        cmocka_unit_test(a_peer_that_does_not_refresh_loses_the_call),
        cmocka_unit_test(after_491_the_offer_goes_out_once_more),
        cmocka_unit_test(a_refused_offer_leaves_the_call_as_it_was),
        cmocka_unit_test(a_2xx_repeated_after_the_next_reinvite_does_not_end_the_call),
        cmocka_unit_test(a_reinvite_that_rings_after_its_call_is_gone_ends_by_itself),
        cmocka_unit_test(glare_of_offers_is_491),
        cmocka_unit_test(a_second_offer_before_the_answer_is_500_with_retry_after),
        cmocka_unit_test(a_cseq_that_does_not_rise_is_500),
        cmocka_unit_test(bye_of_the_peer_ends_the_call),
        cmocka_unit_test(strangers_cannot_reach_into_the_dialog),
        cmocka_unit_test(line_breaks_of_the_app_do_not_get_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

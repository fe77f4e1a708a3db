/* The called side, and whatever else comes in, against a hand. */
#include "ua_hand.h"

static unsigned branch;

static void begin_with(void (*change)(struct cph_sip_ua_cfg *))
{
    branch = 0;
    begin_hand(4, "udp", change);
}

static void begin(void)
{
    begin_with(NULL);
}

/* A request of the hand; to_tag "" outside a dialog; branch 0: a fresh one. */
static void ask(const char *method, unsigned cseq, const char *to_tag, unsigned br,
                const char *lines, const char *sdp)
{
    w_say(&w, 1, 0,
          "%s sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKh%u;rport\n"
          "Max-Forwards: 70\nFrom: <sip:bob@10.0.0.9>;tag=f\nTo: <sip:alice@10.0.0.1>%s%s\n"
          "Call-ID: c1\nCSeq: %u %s\n%s%sContent-Length: *\n\n%s",
          method, br ? br : 1000 + ++branch, *to_tag ? ";tag=" : "", to_tag, cseq, method, lines,
          *sdp ? "Content-Type: application/sdp\n" : "", sdp);
    w_run(&w, CPH_MS(20));
}

static uint32_t invited(const char *lines, const char *sdp)
{
    char all[512];

    snprintf(all, sizeof all, CONTACT "%s", lines);
    ask("INVITE", 1, "", 1, all, sdp);
    return w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
}

static const char *tag_of(const char *m)
{
    static char tag[64];
    const char *p = strstr(w_header(m, "To"), "tag=");

    assert_non_null(p);
    snprintf(tag, sizeof tag, "%s", p + 4);
    return tag;
}

static cph_err accept_call(uint32_t id, const char *sdp)
{
    cph_err err = cph_sip_call_accept(w.node[0].ua, id, NULL, cph_span_of(sdp), w.now);

    w_run(&w, CPH_MS(20));
    return err;
}

static void hang_up(uint32_t id)
{
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    w.node[1].took = 0;
    w_answer(&w, 1, 0, hear("BYE"), "200 OK", "", "", NULL);
    w_run(&w, CPH_MS(20));
}

/* ---- INVITE, 2xx, ACK ---- */

static void the_2xx_is_repeated_until_the_ack(void **state)
{
    uint32_t id;
    const char *ok;
    size_t n;

    (void)state;
    begin();
    id = invited("", "offer");
    (void)hear("SIP/2.0 100");
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    assert_string_equal(w_header(ok, "Contact"), "<sip:alice@10.0.0.1:5060>");
    w_run(&w, CPH_MS(3600)); /* at 0.5, 1.5, 3.5 s */
    (void)hear("SIP/2.0 200");
    (void)hear("SIP/2.0 200");
    (void)hear("SIP/2.0 200");
    ask("INVITE", 1, "", 1, CONTACT, "offer"); /* absorbed */
    assert_null(w_heard(&w, 1, "SIP/2.0"));
    ask("ACK", 1, tag_of(ok), 0, "", "");
    n = w.node[1].n_got;
    w_run(&w, CPH_SEC(20));
    assert_int_equal(w.node[1].n_got, n);
    (void)w_want(&w, 0, CPH_SIP_EV_CONFIRMED);
    hang_up(id);
    finish();
}

static void without_an_ack_the_call_is_ended(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(accept_call(id, "answer"));
    w_run(&w, CPH_SEC(33));
    assert_err(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause, CPH_E_TIMEOUT);
    (void)hear("BYE");
    finish();
}

static void a_hangup_before_the_ack_waits_for_it(void **state)
{
    uint32_t id;
    const char *ok;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    assert_null(w_heard(&w, 1, "BYE"));
    ask("ACK", 1, tag_of(ok), 0, "", "");
    w_answer(&w, 1, 0, hear("BYE"), "200 OK", "", "", NULL);
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED);
    finish();
}

static void the_called_side_hangs_up_by_way_of_the_proxies(void **state)
{
    uint32_t id;
    const char *ok, *bye;

    (void)state;
    begin();
    ask("INVITE", 1, "", 1,
        "Contact: <sip:bob@10.0.0.66:7777>\nRecord-Route: <sip:10.0.0.9;lr;r2=on>\n"
        "Record-Route: <sip:10.0.0.8:5061;transport=tls;lr;r2=on>\n",
        "offer");
    id = w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    ask("ACK", 1, tag_of(ok), 0, "", "");
    (void)w_want(&w, 0, CPH_SIP_EV_CONFIRMED);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED); /* whatever becomes of the BYE */
    bye = hear("BYE sip:bob@10.0.0.66:7777 SIP/2.0");
    assert_non_null(strstr(bye, "Route: <sip:10.0.0.9;lr;r2=on>\r\n"
                                "Route: <sip:10.0.0.8:5061;transport=tls;lr;r2=on>\r\n"));
    w_answer(&w, 1, 0, bye, "200 OK", "", "", NULL);
    finish();
}

/* ---- what is known of the way behind the neighbour ---- */

static struct cph_sip_hop came_with_vias(const char *vias)
{
    struct cph_sip_call_info info;
    uint32_t id;

    begin();
    w_say(&w, 1, 0,
          "INVITE sip:alice@10.0.0.1 SIP/2.0\n"
          "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKv1;rport\n%s"
          "Max-Forwards: 70\nFrom: <sip:bob@10.0.0.9>;tag=f\nTo: <sip:alice@10.0.0.1>\n"
          "Call-ID: c1\nCSeq: 1 INVITE\n" CONTACT "Content-Type: application/sdp\n"
          "Content-Length: *\n\noffer",
          vias);
    w_run(&w, CPH_MS(20));
    id = w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
    assert_ok(cph_sip_call_info_get(w.node[0].ua, id, &info));
    assert_int_equal(info.n_hops, 1);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    finish();
    return info.hop[0];
}

static void hops_behind_the_neighbour_are_counted_with_what_they_claim(void **state)
{
    struct cph_sip_hop hop;

    (void)state;
    hop = came_with_vias("");
    assert_int_equal(hop.vias, 0);
    assert_int_equal(hop.vias_open, 0);
    hop = came_with_vias("Via: SIP/2.0/TLS 10.0.0.8;branch=z9hG4bKv2\n");
    assert_int_equal(hop.vias, 1);
    assert_int_equal(hop.vias_open, 0);
    hop = came_with_vias("Via: SIP/2.0/TLS 10.0.0.8;branch=z9hG4bKv2, SIP/2.0/TCP 10.0.0.7\n"
                         "Via: SIP/2.0/TLS-SCTP 10.0.0.6\nVia: SIP/2.0/wss 10.0.0.5\n");
    assert_int_equal(hop.vias, 4);
    assert_int_equal(hop.vias_open, 2);
}

static void a_late_offer_is_answered_in_the_ack(void **state)
{
    uint32_t id;
    const char *ok;

    (void)state;
    begin();
    id = invited("", "");
    assert_ok(accept_call(id, "our offer"));
    ok = hear("SIP/2.0 200");
    ask("ACK", 1, tag_of(ok), 0, "", "their answer");
    assert_string_equal(w_want(&w, 0, CPH_SIP_EV_CONFIRMED)->body, "their answer");
    hang_up(id);
    finish();
}

static void a_refusal_is_repeated_until_the_ack(void **state)
{
    uint32_t id;
    const char *no;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(cph_sip_call_reject(w.node[0].ua, id, 486, NULL, NULL, w.now));
    w_run(&w, CPH_MS(600));
    (void)w_want(&w, 0, CPH_SIP_EV_ENDED);
    no = hear("SIP/2.0 486");
    (void)hear("SIP/2.0 486");
    ask("INVITE", 1, "", 1, CONTACT, "offer");
    (void)hear("SIP/2.0 486");
    ask("ACK", 1, tag_of(no), 1, "", "");
    w_run(&w, CPH_SEC(10));
    assert_null(w_heard(&w, 1, "SIP/2.0"));
    w_quiet(&w, 0);
    finish();
}

static void cancel_ends_a_ringing_call(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(cph_sip_call_progress(w.node[0].ua, id, 180, NULL, cph_span_of(""), false, w.now));
    ask("CANCEL", 1, "", 1, "", "");
    (void)hear("SIP/2.0 200");
    ask("ACK", 1, tag_of(hear("SIP/2.0 487")), 1, "", "");
    assert_true(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.by_peer);
    finish();
}

static void cancel_after_the_2xx_changes_nothing(void **state)
{
    uint32_t id;
    const char *ok;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    ask("CANCEL", 1, "", 1, "", "");
    assert_string_equal(w_header(hear("SIP/2.0 200"), "CSeq"), "1 CANCEL");
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    ask("ACK", 1, tag_of(ok), 0, "", "");
    (void)w_want(&w, 0, CPH_SIP_EV_CONFIRMED);
    hang_up(id);
    finish();
}

static void a_ringing_call_says_so_every_minute(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_ok(cph_sip_call_progress(w.node[0].ua, id, 180, NULL, cph_span_of(""), false, w.now));
    w_run(&w, CPH_SEC(125));
    (void)hear("SIP/2.0 180");
    (void)hear("SIP/2.0 180");
    (void)hear("SIP/2.0 180");
    assert_null(w_heard(&w, 1, "SIP/2.0 180"));
    assert_ok(cph_sip_call_reject(w.node[0].ua, id, 603, NULL, NULL, w.now));
    finish();
}

/* ---- 100rel ---- */

static void a_reliable_answer_is_repeated_until_its_prack(void **state)
{
    char rack[64];
    uint32_t id;
    const char *p, *ok;

    (void)state;
    begin();
    id = invited("Supported: 100rel\n", "offer");
    assert_ok(
        cph_sip_call_progress(w.node[0].ua, id, 183, NULL, cph_span_of("early"), true, w.now));
    assert_err(cph_sip_call_progress(w.node[0].ua, id, 180, NULL, cph_span_of(""), true, w.now),
               CPH_E_STATE);
    w_run(&w, CPH_MS(1600));
    p = hear("SIP/2.0 183");
    (void)hear("SIP/2.0 183");
    (void)hear("SIP/2.0 183");
    assert_string_equal(w_header(p, "Require"), "100rel");
    /* the 2xx waits, since the 183 has a description */
    assert_ok(accept_call(id, "early"));
    assert_err(accept_call(id, "early"), CPH_E_STATE);
    assert_null(w_heard(&w, 1, "SIP/2.0 200"));
    ask("PRACK", 2, tag_of(p), 0, "RAck: 1 1 INVITE\n", "");
    (void)hear("SIP/2.0 481");
    snprintf(rack, sizeof rack, "RAck: %s 1 INVITE\n", w_header(p, "RSeq"));
    ask("PRACK", 3, tag_of(p), 0, rack, "");
    assert_string_equal(w_header(hear("SIP/2.0 200"), "CSeq"), "3 PRACK");
    ok = hear("SIP/2.0 200");
    assert_string_equal(w_header(ok, "CSeq"), "1 INVITE");
    (void)w_want(&w, 0, CPH_SIP_EV_PRACK);
    ask("ACK", 1, tag_of(ok), 0, "", "");
    (void)w_want(&w, 0, CPH_SIP_EV_CONFIRMED);
    hang_up(id);
    finish();
}

static void without_a_prack_the_invite_is_refused(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = invited("Require: 100rel\n", "offer");
    assert_ok(cph_sip_call_progress(w.node[0].ua, id, 180, NULL, cph_span_of(""), false, w.now));
    w_run(&w, CPH_MS(20));
    assert_non_null(strstr(hear("SIP/2.0 180"), "RSeq")); /* it is demanded */
    w_run(&w, CPH_SEC(33));
    assert_err(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause, CPH_E_TIMEOUT);
    (void)hear("SIP/2.0 504");
    finish();
}

static void a_caller_without_100rel_gets_none(void **state)
{
    uint32_t id;

    (void)state;
    begin();
    id = invited("", "offer");
    assert_err(cph_sip_call_progress(w.node[0].ua, id, 183, NULL, cph_span_of("x"), true, w.now),
               CPH_E_UNSUPPORTED);
    assert_ok(cph_sip_call_reject(w.node[0].ua, id, 480, NULL, NULL, w.now));
    finish();
}

/* ---- session timer ---- */

static void a_session_timer_is_granted_and_enforced(void **state)
{
    uint32_t id;
    const char *ok;

    (void)state;
    begin();
    id = invited("Supported: timer\nSession-Expires: 120\n", "offer");
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    assert_string_equal(w_header(ok, "Session-Expires"), "120;refresher=uac");
    assert_string_equal(w_header(ok, "Require"), "timer");
    ask("ACK", 1, tag_of(ok), 0, "", "");
    w_run(&w, CPH_SEC(60));
    ask("UPDATE", 2, tag_of(ok), 0,
        CONTACT "Supported: timer\nSession-Expires: 120;refresher=uac\n", "");
    assert_string_equal(w_header(hear("SIP/2.0 200"), "Session-Expires"), "120;refresher=uac");
    (void)w_want(&w, 0, CPH_SIP_EV_REFRESHED);
    w_run(&w, CPH_SEC(87));
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    w_run(&w, CPH_SEC(2)); /* 120 - 32 */
    assert_err(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause, CPH_E_EXPIRED);
    (void)hear("BYE");
    finish();
}

static void too_short_a_session_timer_is_422(void **state)
{
    (void)state;
    begin();
    ask("INVITE", 1, "", 1, CONTACT "Supported: timer\nSession-Expires: 89\n", "offer");
    assert_string_equal(w_header(hear("SIP/2.0 422"), "Min-SE"), "90");
    assert_false(w_has(&w, 0, CPH_SIP_EV_INCOMING));
    finish();
}

/* ---- what is refused, and counted ---- */

static void requests_that_cannot_be_served_get_the_right_answer(void **state)
{
    const struct cph_sip_counters *k;

    (void)state;
    begin();
    k = cph_sip_ua_counters(w.node[0].ua);
    ask("REGISTER", 1, "", 0, "", "");
    assert_non_null(strstr(w_header(hear("SIP/2.0 405"), "Allow"), "INVITE"));
    ask("FROB", 2, "", 0, "", "");
    (void)hear("SIP/2.0 501");
    assert_int_equal(k->bad_method, 2);
    ask("INVITE", 3, "", 0, CONTACT "Require: 100rel, frob\nRequire: nicate\n", "x");
    assert_non_null(strstr(hear("SIP/2.0 420"), "Unsupported: frob\r\nUnsupported: nicate\r\n"));
    assert_int_equal(k->bad_require, 1);
    ask("INVITE", 4, "", 0, CONTACT "Content-Type: text/plain\n", "");
    (void)hear("SIP/2.0 100"); /* a type without a body is no matter */
    ask("INVITE", 5, "", 0, CONTACT "Content-Encoding: gzip\n", "x");
    assert_string_equal(w_header(hear("SIP/2.0 415"), "Accept"), "application/sdp");
    assert_int_equal(k->bad_body_type, 1);
    ask("BYE", 6, "nope", 0, "", "");
    (void)hear("SIP/2.0 481");
    assert_int_equal(k->bad_no_dialog, 1);
    ask("UPDATE", 7, "", 0, "", "");
    (void)hear("SIP/2.0 481");
    ask("CANCEL", 8, "", 777, "", "");
    (void)hear("SIP/2.0 481");
    assert_int_equal(k->bad_stray_cancel, 1);
    ask("ACK", 9, "nope", 0, "", "");
    assert_int_equal(k->bad_stray_ack, 1);
    ask("INVITE", 10, "", 0, "", "x"); /* no Contact */
    (void)hear("SIP/2.0 400");
    ask("OPTIONS", 11, "", 0, "", "");
    assert_non_null(strstr(w_header(hear("SIP/2.0 200"), "Supported"), "100rel"));
    assert_int_equal(k->transport_failed, 0);
    assert_ok(cph_sip_call_reject(w.node[0].ua, w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call, 480,
                                  NULL, NULL, w.now));
    finish();
}

static void a_request_uri_of_another_scheme_is_416(void **state)
{
    (void)state;
    begin();
    w_say(&w, 1, 0,
          "OPTIONS mailto:a@b SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKq;rport\n"
          "Max-Forwards: 70\nFrom: <sip:b@c>;tag=f\nTo: <mailto:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\n"
          "Content-Length: *\n\n");
    w_run(&w, CPH_MS(20));
    (void)hear("SIP/2.0 416");
    finish();
}

static void the_same_request_by_two_ways_is_482(void **state)
{
    (void)state;
    begin();
    (void)invited("", "offer");
    ask("INVITE", 1, "", 2, CONTACT, "offer");
    (void)hear("SIP/2.0 482");
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->bad_loop, 1);
    assert_false(w_has(&w, 0, CPH_SIP_EV_INCOMING));
    ask("CANCEL", 1, "", 1, "", "");
    finish();
}

static void malformed_input_costs_no_state(void **state)
{
    const struct cph_sip_counters *k;

    (void)state;
    begin();
    k = cph_sip_ua_counters(w.node[0].ua);
    w_say(&w, 1, 0, "hello\n\n");
    w_say(&w, 1, 0, "\n\n");
    w_say(&w, 1, 0,
          "OPTIONS sip:a@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKm;rport\n"
          "From: <sip:b@c>;tag=x\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\nContact: <\n"
          "Content-Length: *\n\n");
    w_say(
        &w, 1, 0,
        "OPTIONS sip:a@10.0.0.1 SIP/7.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKn;rport\n"
        "From: <sip:b@c>;tag=x\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\nContent-Length: *\n\n");
    w_say(&w, 1, 0,
          "OPTIONS sip:a@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKo;rport\n"
          "From: <sip:b@c>;tag=x\nTo: <sip:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\nContent-Length: "
          "99\n\n");
    w_say(&w, 1, 0, /* a response that is not for us, and one to nothing */
          "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKo\n"
          "From: <sip:b@c>;tag=x\nTo: <sip:a@b>;tag=y\nCall-ID: c\nCSeq: 1 INVITE\nContent-Length: "
          "*\n\n");
    w_say(&w, 1, 0,
          "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKo\n"
          "From: <sip:b@c>;tag=x\nTo: <sip:a@b>;tag=y\nCall-ID: c\nCSeq: 1 INVITE\nContent-Length: "
          "*\n\n");
    w_run(&w, CPH_MS(20));
    w_quiet(&w, 0); /* at once */
    (void)hear("SIP/2.0 400");
    (void)hear("SIP/2.0 505");
    (void)hear("SIP/2.0 400");
    assert_null(w_heard(&w, 1, ""));
    assert_int_equal(k->bad_syntax, 1);
    assert_int_equal(k->bad_request, 1);
    assert_int_equal(k->bad_version, 1);
    assert_int_equal(k->bad_length, 1);
    assert_int_equal(k->bad_via, 1);
    assert_int_equal(k->bad_stray_response, 1);
    finish();
}

static void small(struct cph_sip_ua_cfg *c)
{
    c->max_transactions = 4;
    c->max_calls = 8;
}

static void a_full_table_answers_503_without_state(void **state)
{
    const char *m;

    (void)state;
    begin_with(small);
    for (unsigned i = 1; i <= 6; i++) /* they ring: nothing of them can be given up */
        ask("INVITE", i, "", 0, CONTACT, "x");
    m = hear("SIP/2.0 503");
    assert_non_null(w_header(m, "Retry-After"));
    (void)hear("SIP/2.0 503");
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->full_transactions, 2);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).transactions, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_ok(cph_sip_call_reject(w.node[0].ua, w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call, 486,
                                      NULL, NULL, w.now));
    finish();
}

static void a_flood_of_requests_does_not_keep_out_a_call(void **state)
{
    (void)state;
    begin_with(small);
    for (unsigned i = 1; i <= 40; i++)
        ask("OPTIONS", i, "", 0, "", "");
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).transactions, 4);
    ask("INVITE", 50, "", 0, CONTACT, "x");
    assert_ok(cph_sip_call_reject(w.node[0].ua, w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call, 486,
                                  NULL, NULL, w.now));
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->full_transactions, 0);
    finish();
}

static void few_calls(struct cph_sip_ua_cfg *c)
{
    c->max_transactions = 4;
    c->max_calls = 2;
}

static void a_full_house_is_busy(void **state)
{
    uint32_t a, b;

    (void)state;
    begin_with(few_calls);
    ask("INVITE", 1, "", 0, CONTACT, "x");
    ask("INVITE", 2, "", 0, CONTACT, "x");
    ask("INVITE", 3, "", 0, CONTACT, "x");
    (void)hear("SIP/2.0 486");
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->full_calls, 1);
    a = w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
    b = w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
    assert_ok(cph_sip_call_reject(w.node[0].ua, a, 486, NULL, NULL, w.now));
    assert_ok(cph_sip_call_reject(w.node[0].ua, b, 486, NULL, NULL, w.now));
    finish();
}

/* ---- RFC 2543, RFC 3581 ---- */

static void a_client_of_rfc_2543_is_served(void **state)
{
    static const char *head = "Via: SIP/2.0/UDP 10.0.0.9:5060\nFrom: <sip:b@c>\nTo: <sip:a@b>%s\n"
                              "Call-ID: old\nCSeq: 1 %s\n%sContent-Length: *\n\n";
    char rest[400], to[80];
    uint32_t id;
    const char *m;

    (void)state;
    begin();
    snprintf(rest, sizeof rest, head, "", "INVITE", "Contact: <sip:b@10.0.0.9>\n");
    w_say(&w, 1, 0, "INVITE sip:a@10.0.0.1 SIP/2.0\n%s", rest);
    w_say(&w, 1, 0, "INVITE sip:a@10.0.0.1 SIP/2.0\n%s", rest); /* again: the same transaction */
    w_run(&w, CPH_MS(20));
    id = w_want(&w, 0, CPH_SIP_EV_INCOMING)->e.call;
    assert_false(w_has(&w, 0, CPH_SIP_EV_INCOMING));
    assert_ok(accept_call(id, "x"));
    m = hear("SIP/2.0 200");
    snprintf(to, sizeof to, ";tag=%s", tag_of(m));
    snprintf(rest, sizeof rest, head, to, "ACK", "");
    w_say(&w, 1, 0, "ACK sip:a@10.0.0.1 SIP/2.0\n%s",
          rest); /* the same key as the INVITE: RFC 6026 6 */
    w_run(&w, CPH_MS(20));
    (void)w_want(&w, 0, CPH_SIP_EV_CONFIRMED);
    hang_up(id);
    finish();
}

static void answers_go_to_the_source_with_rport_and_to_sent_by_without(void **state)
{
    struct cph_sip_action a;
    struct cph_addr from;
    struct cph_span msg;
    static const char *const via[] = { "10.7.7.7:9999;branch=z9hG4bKr1;rport",
                                       "10.7.7.7:9999;branch=z9hG4bKr2" };
    char text[600];

    (void)state;
    begin();
    from = w_addr("10.0.0.77:4444");
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text,
                 "OPTIONS sip:a@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s\r\nMax-Forwards: 70\r\n"
                 "From: <sip:b@c>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: r%d\r\nCSeq: 1 OPTIONS\r\n"
                 "Content-Length: 0\r\n\r\n",
                 via[i], i);
        msg = cph_span_of(text);
        cph_sip_ua_datagram(w.node[0].ua, 0, &from, msg, w.now);
        assert_ok(cph_sip_ua_pull(w.node[0].ua, &a));
        assert_true(cph_addr_ip_eq(&a.addr, &from)); /* never to what the Via claims */
        assert_int_equal(a.addr.port, i ? 9999 : 4444);
        snprintf(text, sizeof text, "%.*s", CPH_SPAN_ARG(a.bytes));
        assert_non_null(strstr(text, ";received=10.0.0.77"));
        assert_int_equal(strstr(text, "rport=4444") != NULL, i == 0);
    }
    finish();
}

/* ---- the hook ---- */

struct watch {
    unsigned in, out, repeats;
    enum cph_sip_verdict next_in, next_out;
    unsigned retries;
    char last[64];
};

static enum cph_sip_verdict hook_in(void *ctx, const struct cph_sip_passing *p, cph_time now,
                                    struct cph_sip_reply *r)
{
    struct watch *h = ctx;

    (void)now;
    h->in++;
    assert_non_null(p->hop);
    assert_true(p->raw.n == p->msg->bytes.n);
    if (!p->msg->is_request && p->msg->status == 401) {
        assert_ptr_equal(p->account, h);
        h->retries++;
        r->headers = CPH_SPAN_LIT("Authorization: Digest who\r\n");
        return CPH_SIP_RETRY;
    }
    r->status = 401;
    r->headers = CPH_SPAN_LIT("WWW-Authenticate: Digest prove\r\n");
    return h->next_in;
}

static enum cph_sip_verdict hook_out(void *ctx, const struct cph_sip_passing *p, cph_time now,
                                     struct cph_sip_reply *r)
{
    struct watch *h = ctx;

    (void)now;
    h->out++;
    h->repeats += p->repeat;
    if (p->msg->is_request)
        r->headers = CPH_SPAN_LIT("X-Seen: yes\r\n");
    return h->next_out;
}

static struct watch watch;
static struct cph_sip_hook hook = { &watch, hook_in, hook_out };

static void hooked(struct cph_sip_ua_cfg *c)
{
    memset(&watch, 0, sizeof watch);
    c->hook = &hook;
}

static void the_hook_answers_before_any_state_exists(void **state)
{
    const char *m;

    (void)state;
    begin_with(hooked);
    watch.next_in = CPH_SIP_REPLY;
    ask("INVITE", 1, "", 1, CONTACT, "offer");
    m = hear("SIP/2.0 401");
    assert_string_equal(w_header(m, "WWW-Authenticate"), "Digest prove");
    ask("ACK", 1, tag_of(m), 1, "", ""); /* a REPLY to an ACK is a drop */
    w_quiet(&w, 0);
    assert_false(w_has(&w, 0, CPH_SIP_EV_INCOMING));
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->hook_replied, 2);
    watch.next_in = CPH_SIP_DROP;
    ask("INVITE", 2, "", 2, CONTACT, "offer");
    assert_null(w_heard(&w, 1, "SIP/2.0"));
    w_quiet(&w, 0);
    finish();
}

static uint32_t call_out(void)
{
    struct cph_sip_place p = { .to = "sip:bob@10.0.0.9",
                               .from = "sip:alice@10.0.0.1",
                               .body = CPH_SPAN_LIT("offer"),
                               .account = &watch };
    uint32_t id = 0;

    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_run(&w, CPH_MS(20));
    return id;
}

static void the_hook_sends_the_request_again_with_its_headers(void **state)
{
    const char *inv;
    uint32_t id;

    (void)state;
    begin_with(hooked);
    id = call_out();
    inv = hear("INVITE");
    assert_string_equal(w_header(inv, "X-Seen"), "yes");
    w_answer(&w, 1, 0, inv, "401 Unauthorized", "u", "", NULL);
    w_run(&w, CPH_MS(20));
    (void)hear("ACK");
    inv = hear("INVITE");
    assert_string_equal(w_header(inv, "CSeq"), "2 INVITE");
    assert_string_equal(w_header(inv, "Authorization"), "Digest who");
    assert_false(w_has(&w, 0, CPH_SIP_EV_ENDED));
    w_run(&w, CPH_MS(600));
    inv = hear("INVITE"); /* the repeat is the same bytes, seen as such */
    assert_string_equal(w_header(inv, "X-Seen"), "yes");
    assert_string_equal(w_header(inv, "CSeq"), "2 INVITE");
    assert_int_equal(watch.repeats, 1);
    for (int i = 0; i < 10 && inv; i++) { /* a peer that is never content is left at last */
        w_answer(&w, 1, 0, inv, "401 Unauthorized", "u", "", NULL);
        w_run(&w, CPH_MS(20));
        inv = w_heard(&w, 1, "INVITE");
    }
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.status, 401);
    (void)id;
    finish();
}

static void the_hook_can_keep_a_message_from_leaving(void **state)
{
    struct cph_sip_place p = { .to = "sip:bob@10.0.0.9", .from = "sip:alice@10.0.0.1" };
    uint32_t id;

    (void)state;
    begin_with(hooked);
    watch.next_out = CPH_SIP_DROP;
    assert_err(cph_sip_call_place(w.node[0].ua, &p, w.now, &id), CPH_E_POLICY);
    w_run(&w, CPH_MS(20));
    assert_null(w_heard(&w, 1, ""));
    w_quiet(&w, 0);
    finish();
}

static void hang_up_with_a_challenge_still_ends_at_the_peer(void **state)
{
    const char *bye;
    uint32_t id;

    (void)state;
    begin_with(hooked);
    id = call_out();
    w_answer(&w, 1, 0, hear("INVITE"), "200 OK", "t", CONTACT, "sdp");
    w_run(&w, CPH_MS(20));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    bye = hear("BYE");
    w_answer(&w, 1, 0, bye, "401 Unauthorized", "t", "", NULL);
    w_run(&w, CPH_MS(20));
    bye = hear("BYE");
    assert_string_equal(w_header(bye, "Authorization"), "Digest who");
    assert_string_equal(w_header(bye, "CSeq"), "3 BYE");
    w_answer(&w, 1, 0, bye, "200 OK", "t", "", NULL);
    finish();
}

static void a_called_party_answers_challenges_with_the_account_it_names(void **state)
{
    const char *ok, *bye;
    uint32_t id;

    (void)state;
    begin_with(hooked);
    id = invited("", "offer");
    assert_ok(cph_sip_call_set_account(w.node[0].ua, id, &watch));
    assert_err(cph_sip_call_set_account(w.node[0].ua, id + 1, &watch), CPH_E_NOTFOUND);
    assert_ok(accept_call(id, "answer"));
    ok = hear("SIP/2.0 200");
    ask("ACK", 1, tag_of(ok), 0, "", "");
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_MS(20));
    bye = hear("BYE");
    w_answer(&w, 1, 0, bye, "401 Unauthorized", "f", "", NULL); /* the hook checks the account */
    w_run(&w, CPH_MS(20));
    bye = hear("BYE");
    assert_string_equal(w_header(bye, "Authorization"), "Digest who");
    w_answer(&w, 1, 0, bye, "200 OK", "f", "", NULL);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_2xx_is_repeated_until_the_ack),
        cmocka_unit_test(without_an_ack_the_call_is_ended),
        cmocka_unit_test(a_hangup_before_the_ack_waits_for_it),
        cmocka_unit_test(the_called_side_hangs_up_by_way_of_the_proxies),
        cmocka_unit_test(hops_behind_the_neighbour_are_counted_with_what_they_claim),
        cmocka_unit_test(a_late_offer_is_answered_in_the_ack),
        cmocka_unit_test(a_refusal_is_repeated_until_the_ack),
        cmocka_unit_test(cancel_ends_a_ringing_call),
        cmocka_unit_test(cancel_after_the_2xx_changes_nothing),
        cmocka_unit_test(a_ringing_call_says_so_every_minute),
        cmocka_unit_test(a_reliable_answer_is_repeated_until_its_prack),
        cmocka_unit_test(without_a_prack_the_invite_is_refused),
        cmocka_unit_test(a_caller_without_100rel_gets_none),
        cmocka_unit_test(a_session_timer_is_granted_and_enforced),
        cmocka_unit_test(too_short_a_session_timer_is_422),
        cmocka_unit_test(requests_that_cannot_be_served_get_the_right_answer),
        cmocka_unit_test(a_request_uri_of_another_scheme_is_416),
        cmocka_unit_test(the_same_request_by_two_ways_is_482),
        cmocka_unit_test(malformed_input_costs_no_state),
        cmocka_unit_test(a_full_table_answers_503_without_state),
        cmocka_unit_test(a_flood_of_requests_does_not_keep_out_a_call),
        cmocka_unit_test(a_full_house_is_busy),
        cmocka_unit_test(a_client_of_rfc_2543_is_served),
        cmocka_unit_test(answers_go_to_the_source_with_rport_and_to_sent_by_without),
        cmocka_unit_test(the_hook_answers_before_any_state_exists),
        cmocka_unit_test(the_hook_sends_the_request_again_with_its_headers),
        cmocka_unit_test(the_hook_can_keep_a_message_from_leaving),
        cmocka_unit_test(hang_up_with_a_challenge_still_ends_at_the_peer),
        cmocka_unit_test(a_called_party_answers_challenges_with_the_account_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

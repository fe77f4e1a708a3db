/* Finding servers (RFC 3263), registrations, connections and their framing, memory that runs out.
 */
#include "ua_hand.h"

#include "ua_int.h"

static uint32_t options(const char *to)
{
    struct cph_sip_place p = { .to = to, .from = "sip:a@10.0.0.1" };
    uint32_t id = 0;

    assert_ok(cph_sip_options(w.node[0].ua, &p, w.now, &id));
    return id;
}

static void a_record(const char *name, const char *ip)
{
    struct cph_sip_record r = { .type = CPH_SIP_RR_A, .addr = w_addr(ip) };

    w_dns(&w, name, r);
}

static void srv(const char *name, uint16_t prio, uint16_t weight, uint16_t port, const char *target)
{
    struct cph_sip_record r = {
        .type = CPH_SIP_RR_SRV, .priority = prio, .weight = weight, .port = port
    };

    snprintf(r.target, sizeof r.target, "%s", target);
    w_dns(&w, name, r);
}

static void naptr(const char *name, uint16_t order, uint16_t pref, const char *service,
                  const char *to)
{
    struct cph_sip_record r = {
        .type = CPH_SIP_RR_NAPTR, .priority = order, .weight = pref, .flags = "s"
    };

    snprintf(r.service, sizeof r.service, "%s", service);
    snprintf(r.target, sizeof r.target, "%s", to);
    w_dns(&w, name, r);
}

static void asked(size_t i, const char *want)
{
    assert_true(i < w.n_asked);
    assert_string_equal(w.asked[i], want);
}

/* ---- RFC 3263 ---- */

static void naptr_then_srv_then_address(void **state)
{
    (void)state;
    begin_hand(6, "udp", NULL);
    naptr("x.example", 50, 1, "SIPS+D2T", "_sips._tcp.x.example"); /* no TLS here: left out */
    naptr("x.example", 100, 9, "SIP+D2X", "_nonsense.x.example");
    naptr("x.example", 90, 1, "SIP+D2U", "_sip._udp.deep.x.example.");
    srv("_sip._udp.deep.x.example", 1, 1, 5060, "host.x.example.");
    a_record("host.x.example", "10.0.0.9");
    (void)options("sip:x.example");
    w_run(&w, CPH_MS(100));
    asked(0, "0 x.example");
    asked(1, "1 _sip._udp.deep.x.example");
    asked(2, "2 host.x.example");
    w_answer(&w, 1, 0, hear("OPTIONS sip:x.example"), "200 OK", "t", "", NULL);
    w_run(&w, CPH_MS(100));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.status, 200);
    finish();
}

static void without_naptr_each_service_is_asked_then_the_host(void **state)
{
    (void)state;
    begin_hand(6, "udp", NULL);
    a_record("x.example", "10.0.0.9");
    (void)options("sip:x.example");
    w_run(&w, CPH_MS(100));
    asked(0, "0 x.example");
    asked(1, "1 _sip._udp.x.example");
    asked(2, "1 _sip._tcp.x.example");
    asked(3, "2 x.example");
    (void)hear("OPTIONS");
    w_run(&w, CPH_SEC(40));
    assert_err(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.cause, CPH_E_TIMEOUT);
    finish();
}

static void a_port_or_a_transport_shortens_the_way(void **state)
{
    (void)state;
    begin_hand(6, "udp", NULL);
    a_record("x.example", "10.0.0.9");
    (void)options("sip:x.example:5060");
    w_run(&w, CPH_MS(50));
    asked(0, "2 x.example");
    (void)options("sip:x.example;transport=udp");
    w_run(&w, CPH_MS(50));
    asked(1, "1 _sip._udp.x.example");
    asked(2, "2 x.example");
    (void)options("sip:x.example;maddr=10.0.0.9");
    w_run(&w, CPH_MS(50));
    assert_int_equal(w.n_asked, 3);
    (void)hear("OPTIONS");
    (void)hear("OPTIONS");
    (void)hear("OPTIONS");
    finish();
}

static void a_name_that_does_not_exist_fails_as_such(void **state)
{
    (void)state;
    begin_hand(6, "udp", NULL);
    (void)options("sip:nowhere.example");
    w_run(&w, CPH_SEC(1));
    assert_err(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.cause, CPH_E_NAME);
    srv("_sip._udp.no.example", 0, 0, 0, "."); /* "not offered here" */
    a_record("no.example", "10.0.0.9");
    (void)options("sip:no.example;transport=udp");
    w_run(&w, CPH_SEC(1));
    assert_err(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.cause, CPH_E_NAME);
    assert_null(w_heard(&w, 1, ""));
    finish();
}

static void the_next_address_is_tried_after_silence_and_503(void **state)
{
    const char *m, *branch;

    (void)state;
    begin_hand(6, "udp", NULL);
    w_hand(&w, 2, "10.0.0.8");
    srv("_sip._udp.x.example", 20, 0, 5060, "second.example");
    srv("_sip._udp.x.example", 10, 0, 5060, "first.example"); /* nobody there */
    srv("_sip._udp.x.example", 30, 0, 5060, "third.example");
    a_record("first.example", "10.0.0.66");
    a_record("second.example", "10.0.0.9");
    a_record("third.example", "10.0.0.8");
    (void)options("sip:x.example;transport=udp");
    w_run(&w, CPH_SEC(31));
    assert_null(w_heard(&w, 1, "OPTIONS"));
    w_run(&w, CPH_SEC(2)); /* timer F */
    m = hear("OPTIONS");
    branch = w_header(m, "Via");
    w_answer(&w, 1, 0, m, "503 Busy", "t", "", NULL);
    w_run(&w, CPH_SEC(1));
    m = w_heard(&w, 2, "OPTIONS");
    assert_non_null(m);
    assert_string_not_equal(w_header(m, "Via"), branch); /* RFC 3263 4.3: a new branch */
    w_answer(&w, 2, 0, m, "200 OK", "t", "", NULL);
    w_run(&w, CPH_SEC(1));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.status, 200);
    finish();
}

static void an_unreachable_address_is_left_at_once(void **state)
{
    struct cph_addr dead;

    (void)state;
    begin_hand(6, "udp", NULL);
    dead = w_addr("10.0.0.66:5060");
    a_record("x.example", "10.0.0.66");
    a_record("x.example", "10.0.0.9");
    (void)options("sip:x.example:5060");
    w_run(&w, CPH_MS(50));
    cph_sip_ua_unreachable(w.node[0].ua, 0, &dead, w.now);
    w_run(&w, CPH_MS(50));
    w_answer(&w, 1, 0, hear("OPTIONS"), "200 OK", "t", "", NULL);
    w_run(&w, CPH_MS(50));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE)->e.status, 200);
    finish();
}

static void an_address_tried_in_vain_is_a_hop_of_the_call(void **state)
{
    struct cph_sip_place p = { .from = "sip:a@10.0.0.1", .to = "sip:x.example:5060" };
    struct cph_addr dead, alive;
    struct cph_sip_call_info info;
    bool seen[2] = { false, false };
    uint32_t id;

    (void)state;
    begin_hand(6, "udp", NULL);
    dead = w_addr("10.0.0.66:5060");
    alive = w_addr("10.0.0.9:5060");
    a_record("x.example", "10.0.0.66");
    a_record("x.example", "10.0.0.9");
    p.body = cph_span_of("a key in clear");
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_run(&w, CPH_SEC(33)); /* timer B: whoever listens there has read the offer all the same */
    w_answer(&w, 1, 0, hear("INVITE"), "180 Ringing", "t", "", NULL);
    w_run(&w, CPH_MS(50));
    assert_ok(cph_sip_call_info_get(w.node[0].ua, id, &info));
    for (unsigned i = 0; i < info.n_hops; i++) {
        seen[0] |= cph_addr_eq(&info.hop[i].peer, &dead);
        seen[1] |= cph_addr_eq(&info.hop[i].peer, &alive);
    }
    assert_true(seen[0] && seen[1]);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    w_run(&w, CPH_SEC(40));
    finish();
}

static void weights_decide_how_often_a_server_is_first(void **state)
{
    int first[3] = { 0 };

    (void)state;
    begin_hand(6, "udp", NULL);
    srv("_sip._udp.x.example", 1, 0, 5060, "zero.example");
    srv("_sip._udp.x.example", 1, 10, 5060, "ten.example");
    srv("_sip._udp.x.example", 1, 90, 5060, "ninety.example");
    for (int i = 0; i < 400; i++) {
        w.n_asked = 0;
        (void)options("sip:x.example;transport=udp");
        w_run(&w, CPH_SEC(1));
        (void)w_want(&w, 0, CPH_SIP_EV_OPTIONS_DONE);
        w.node[0].n_ev = w.node[0].seen = 0;
        assert_int_equal(w.n_asked, 4);
        first[0] += strcmp(w.asked[1], "2 zero.example") == 0;
        first[1] += strcmp(w.asked[1], "2 ten.example") == 0;
        first[2] += strcmp(w.asked[1], "2 ninety.example") == 0;
    }
    assert_true(first[0] < 20);                  /* about 1 in 101 */
    assert_true(first[1] > 15 && first[1] < 75); /* about 40 */
    assert_true(first[2] > 320);                 /* about 356 */
    finish();
}

/* ---- size and TCP ---- */

static void a_large_request_goes_by_tcp_and_by_udp_if_that_fails(void **state)
{
    static char big[1400];
    struct cph_sip_place p = { .to = "sip:b@10.0.0.9", .from = "sip:a@10.0.0.1" };
    uint32_t id;

    (void)state;
    begin_hand(6, "udp,tcp", NULL);
    memset(big, 'x', sizeof big - 1);
    p.body = cph_span_of(big);
    w.tcp_refused = true;
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_pump(&w);
    assert_int_equal(w.streams, 1);
    assert_int_equal(w.datagrams, 0);
    w_run(&w, CPH_MS(100));
    assert_non_null(strstr(w_header(hear("INVITE"), "Via"), "SIP/2.0/UDP"));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    finish();
}

/* RFC 3261 18.1.1: what counts is the MTU of the path, where somebody knows it. */
static void path_known(struct cph_sip_ua_cfg *c)
{
    c->path_mtu = 9000;
}

static void a_request_goes_by_udp_over_a_path_that_is_known_to_carry_it(void **state)
{
    static char big[1400];
    struct cph_sip_place p = { .to = "sip:b@10.0.0.9", .from = "sip:a@10.0.0.1" };
    uint32_t id;

    (void)state;
    begin_hand(6, "udp,tcp", path_known);
    memset(big, 'x', sizeof big - 1);
    p.body = cph_span_of(big);
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
    w_pump(&w);
    assert_int_equal(w.streams, 0);
    assert_int_equal(w.datagrams, 1);
    assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
    finish();
}

/* ---- streams ---- */

static const char ask_options[] =
    "OPTIONS sip:a@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bK%d\r\nMax-Forwards: "
    "70\r\n"
    "From: <sip:b@c>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: s%d\r\nCSeq: 1 OPTIONS\r\n%s\r\n";

static uint32_t accepted(void)
{
    struct cph_addr from = w_addr("10.0.0.9:3333");
    uint32_t flow = 0;

    assert_ok(cph_sip_ua_accepted(w.node[0].ua, 0, &from, w.now, &flow));
    return flow;
}

/* All that is written on a flow, and whether it was closed. */
static const char *written(uint32_t flow, bool *closed)
{
    static char out[8192];
    struct cph_sip_action a;
    size_t n = 0;

    *closed = false;
    while (cph_sip_ua_pull(w.node[0].ua, &a) == CPH_OK) {
        assert_int_equal(a.flow, flow);
        if (a.what == CPH_SIP_DO_CLOSE)
            *closed = true;
        assert_true(n + a.bytes.n < sizeof out);
        if (a.bytes.n)
            memcpy(out + n, a.bytes.p, a.bytes.n);
        n += a.bytes.n;
    }
    out[n] = '\0';
    return out;
}

static void feed(uint32_t flow, const char *text)
{
    cph_sip_ua_bytes(w.node[0].ua, flow, cph_span_of(text), w.now);
}

static void messages_are_cut_out_of_a_stream_byte_by_byte(void **state)
{
    char text[600], *p;
    const char *out;
    uint32_t flow;
    bool closed;

    (void)state;
    begin_hand(6, "tcp", NULL);
    flow = accepted();
    snprintf(text, sizeof text, ask_options, 1, 1, "Content-Length: 4\r\n");
    for (p = text; *p; p++)
        cph_sip_ua_bytes(w.node[0].ua, flow, (struct cph_span){ (uint8_t *)p, 1 }, w.now);
    assert_string_equal(written(flow, &closed), "");
    feed(flow, "abcd\r\n\r\n"); /* the body, and a ping */
    out = written(flow, &closed);
    assert_non_null(strstr(out, "SIP/2.0 200 OK"));
    assert_string_equal(out + strlen(out) - 6, "\r\n\r\n\r\n");
    assert_false(closed);
    cph_sip_ua_closed(w.node[0].ua, flow, CPH_E_CLOSED, w.now);
    finish();
}

static void a_stream_that_cannot_be_framed_is_closed(void **state)
{
    static const char *const bad[] = { "", "Content-Length: x\r\n", "Content-Length: 1\r\nl: 2\r\n",
                                       "Content-Length: 99999999\r\n" };
    char text[600];
    uint32_t flow;
    bool closed;

    (void)state;
    begin_hand(6, "tcp", NULL);
    for (int i = 0; i < 4; i++) {
        flow = accepted();
        snprintf(text, sizeof text, ask_options, i, i, bad[i]);
        feed(flow, text);
        (void)written(flow, &closed);
        assert_true(closed);
    }
    flow = accepted();
    feed(flow, "\x16\x03\x01 TLS to a TCP port\r\n\r\n");
    (void)written(flow, &closed);
    assert_true(closed);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).flows, 0);
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->bad_framing, 5);
    finish();
}

static void a_connection_that_says_nothing_is_closed(void **state)
{
    uint32_t flow;
    bool closed;

    (void)state;
    begin_hand(6, "tcp", NULL);
    flow = accepted();
    cph_sip_ua_tick(w.node[0].ua, w.now + CPH_SEC(31));
    (void)written(flow, &closed);
    assert_false(closed);
    feed(flow, "OPTIONS sip:x"); /* a dribble does not help */
    cph_sip_ua_tick(w.node[0].ua, w.now + CPH_SEC(33));
    (void)written(flow, &closed);
    assert_true(closed);
    finish();
}

static void few(struct cph_sip_ua_cfg *c)
{
    c->max_flows = 3;
    c->ping = CPH_SEC(30);
}

static uint32_t accepted_from(const char *text, cph_time now)
{
    struct cph_addr from = w_addr(text);
    uint32_t flow = 0;

    assert_ok(cph_sip_ua_accepted(w.node[0].ua, 0, &from, now, &flow));
    return flow;
}

/* Flows that were closed; all that waits for the driver is taken. */
static unsigned closed_flows(uint32_t out[8])
{
    struct cph_sip_action a;
    unsigned n = 0;

    while (cph_sip_ua_pull(w.node[0].ua, &a) == CPH_OK) {
        if (a.what == CPH_SIP_DO_CLOSE && n < 8)
            out[n++] = a.flow;
    }
    return n;
}

static void speak(uint32_t flow, int number)
{
    char text[600];

    snprintf(text, sizeof text, ask_options, number, number, "Content-Length: 0\r\n");
    feed(flow, text);
    cph_sip_ua_tick(w.node[0].ua, w.now); /* timer J is zero here */
}

static void the_table_of_connections_is_bounded(void **state)
{
    uint32_t flow[3], shut[8];
    struct cph_addr from;

    (void)state;
    begin_hand(6, "tcp", few);
    flow[0] = accepted_from("10.0.0.7:1", w.now);
    flow[1] = accepted_from("10.0.0.8:1", w.now);
    flow[2] = accepted_from("10.0.0.9:1", w.now);
    for (int i = 0; i < 3; i++)
        speak(flow[i], i);
    assert_int_equal(closed_flows(shut), 0);
    from = w_addr("10.0.0.6:1"); /* all three have just brought a message */
    assert_err(cph_sip_ua_accepted(w.node[0].ua, 0, &from, w.now, &flow[0]), CPH_E_LIMIT);
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->full_flows, 1);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).flows, 3);
    finish();
}

static void numbers_that_went_round_are_neither_0_nor_in_use(void **state)
{
    struct cph_sip_place p = { .to = "sip:bob@10.0.0.9", .from = "sip:alice@10.0.0.1" };
    uint32_t old, next;
    bool closed;

    (void)state;
    begin_hand(6, "tcp", NULL);
    old = accepted();
    w.node[0].ua->next_flow = UINT32_MAX;
    next = accepted();
    assert_int_equal(next, old + 1);
    speak(next, 1);
    assert_non_null(strstr(written(next, &closed), "SIP/2.0 200"));
    assert_false(closed);
    finish();
    begin_hand(6, "udp", NULL);
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &old));
    w.node[0].ua->next_call = UINT32_MAX;
    assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &next));
    assert_int_equal(next, old + 1);
    finish();
}

static void silent_connections_of_a_stranger_keep_nobody_out(void **state)
{
    char text[40];
    uint32_t first = 0, shut[8];

    (void)state;
    begin_hand(6, "tcp", NULL);
    for (unsigned i = 0; i < 200; i++) { /* one host: a quarter of the table, its oldest go */
        uint32_t flow;

        snprintf(text, sizeof text, "10.9.9.9:%u", 1000 + i);
        flow = accepted_from(text, w.now);
        first = i == 0 ? flow : first;
        assert_int_equal(closed_flows(shut), i < 16 ? 0 : 1);
        assert_true(i != 16 || shut[0] == first);
    }
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).flows, 16);
    speak(accepted_from("10.0.0.9:3333", w.now), 1);
    assert_int_equal(closed_flows(shut), 0);
    finish();
}

static void a_table_full_of_silence_gives_up_the_oldest_of_whoever_has_most(void **state)
{
    uint32_t flow[64], shut[8], pair;
    char text[40];

    (void)state;
    begin_hand(6, "tcp", NULL);
    for (unsigned i = 0; i < 62; i++) { /* as many hosts as places, but one that has two */
        snprintf(text, sizeof text, "10.1.0.%u:1000", i);
        flow[i] = accepted_from(text, w.now);
    }
    pair = accepted_from("10.2.0.1:1", w.now);
    (void)accepted_from("10.2.0.1:2", w.now);
    assert_int_equal(closed_flows(shut), 0);
    speak(accepted_from("10.0.0.9:3333", w.now), 1);
    assert_int_equal(closed_flows(shut), 1);
    assert_int_equal(shut[0], pair);
    speak(accepted_from("10.0.0.9:3334", w.now), 2); /* now each has one: the oldest */
    assert_int_equal(closed_flows(shut), 1);
    assert_int_equal(shut[0], flow[0]);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).flows, 64);
    finish();
}

static void one_host_gets_half_of_the_table_whatever_it_says(void **state)
{
    uint32_t flow[40], shut[8];
    char text[40];

    (void)state;
    begin_hand(6, "tcp", NULL);
    for (unsigned i = 0; i < 33; i++) {
        snprintf(text, sizeof text, "[2001:db8::%x]:1000", i + 1); /* one network: one host */
        flow[i] = accepted_from(text, w.now);
        speak(flow[i], (int)i);
        assert_int_equal(closed_flows(shut), i < 32 ? 0 : 1);
    }
    assert_int_equal(shut[0], flow[0]);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).flows, 32);
    (void)accepted_from("[2001:db8:0:1::1]:1000", w.now); /* the network beside is another */
    assert_int_equal(closed_flows(shut), 0);
    finish();
}

static void a_large_request_invites_the_peer_only_to_where_we_listen(void **state)
{
    static const struct {
        const char *listen, *contact;
    } at[] = { { "udp", "Contact: <sip:a@10.0.0.1:5060>" },
               { "udp,tcp", "Contact: <sip:a@10.0.0.1:5060;transport=tcp>" } };
    static char big[1400];
    struct cph_sip_place p = { .to = "sip:b@10.0.0.9", .from = "sip:a@10.0.0.1" };
    struct cph_sip_action a;
    const char *invite;
    uint32_t id, flow;
    bool closed;

    (void)state;
    memset(big, 'x', sizeof big - 1);
    p.body = cph_span_of(big);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        begin_hand(6, at[i].listen, NULL);
        assert_ok(cph_sip_call_place(w.node[0].ua, &p, w.now, &id));
        assert_ok(cph_sip_ua_pull(w.node[0].ua, &a));
        assert_int_equal(a.what, CPH_SIP_DO_OPEN);
        flow = a.flow;
        cph_sip_ua_opened(w.node[0].ua, flow, NULL, w.now);
        invite = written(flow, &closed);
        assert_non_null(strstr(invite, "Via: SIP/2.0/TCP 10.0.0.1:5060"));
        if (!strstr(invite, at[i].contact))
            fail_msg("no %s in %s", at[i].contact, invite);
        assert_ok(cph_sip_call_hangup(w.node[0].ua, id, NULL, w.now));
        finish();
    }
}

static void a_silent_connection_of_ours_is_found_dead_by_pings(void **state)
{
    struct cph_sip_place p = { .to = "sip:10.0.0.9;transport=tcp", .from = "sip:a@10.0.0.1" };
    struct cph_sip_action a;
    uint32_t id, flow = 0;
    bool closed;

    (void)state;
    begin_hand(6, "tcp", few);
    assert_ok(cph_sip_options(w.node[0].ua, &p, w.now, &id));
    assert_ok(cph_sip_ua_pull(w.node[0].ua, &a));
    assert_int_equal(a.what, CPH_SIP_DO_OPEN);
    flow = a.flow;
    cph_sip_ua_opened(w.node[0].ua, flow, NULL, w.now);
    assert_non_null(strstr(written(flow, &closed), "OPTIONS"));
    w.now += CPH_SEC(31);
    cph_sip_ua_tick(w.node[0].ua, w.now);
    assert_string_equal(written(flow, &closed), "\r\n\r\n");
    feed(flow, "\r\n");
    w.now += CPH_SEC(31);
    cph_sip_ua_tick(w.node[0].ua, w.now);
    assert_string_equal(written(flow, &closed), "\r\n\r\n");
    w.now += CPH_SEC(11);
    cph_sip_ua_tick(w.node[0].ua, w.now);
    (void)written(flow, &closed);
    assert_true(closed);
    finish();
}

/* ---- REGISTER ---- */

static uint32_t reg(void)
{
    struct cph_sip_reg r = { .registrar = "sip:10.0.0.9",
                             .aor = "sip:alice@example.org",
                             .expires = 600 };
    uint32_t id = 0;

    assert_ok(cph_sip_register(w.node[0].ua, &r, w.now, &id));
    w_run(&w, CPH_MS(50));
    return id;
}

static void a_registration_is_refreshed_and_removed(void **state)
{
    struct w_event *e;
    const char *m;
    uint32_t id;

    (void)state;
    begin_hand(6, "udp", NULL);
    id = reg();
    m = hear("REGISTER sip:10.0.0.9 ");
    assert_string_equal(w_header(m, "Contact"), "<sip:alice@10.0.0.1:5060>");
    assert_string_equal(w_header(m, "Expires"), "600");
    w_answer(&w, 1, 0, m, "200 OK", "r",
             "Contact: <sip:alice@10.0.0.1:5060>;expires=300, <sip:alice@10.9.9.9>;expires=9\n",
             NULL);
    w_run(&w, CPH_MS(50));
    e = w_want(&w, 0, CPH_SIP_EV_REGISTERED);
    assert_int_equal(e->e.expires, 300);
    assert_int_equal(e->e.contacts, 2);
    w_run(&w, CPH_SEC(239));
    assert_null(w_heard(&w, 1, "REGISTER"));
    w_run(&w, CPH_SEC(2));
    m = hear("REGISTER");
    assert_string_equal(w_header(m, "CSeq"), "2 REGISTER");
    w_answer(&w, 1, 0, m, "200 OK", "r", "Contact: <sip:alice@10.0.0.1:5060>;expires=300\n", NULL);
    w_run(&w, CPH_MS(50));
    w.node[1].took = w.node[1].n_got;
    assert_ok(cph_sip_unregister(w.node[0].ua, id, w.now));
    w_run(&w, CPH_MS(50));
    m = hear("REGISTER");
    assert_string_equal(w_header(m, "Expires"), "0");
    w_answer(&w, 1, 0, m, "200 OK", "r", "", NULL);
    w_run(&w, CPH_MS(50));
    (void)w_want(&w, 0, CPH_SIP_EV_REGISTERED);
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_REGISTERED)->e.expires, 0);
    assert_int_equal(cph_sip_ua_load(w.node[0].ua).registrations, 0);
    finish();
}

static void too_brief_a_registration_is_asked_for_again(void **state)
{
    const char *m;
    uint32_t id;

    (void)state;
    begin_hand(6, "udp", NULL);
    id = reg();
    w_answer(&w, 1, 0, hear("REGISTER"), "423 Brief", "r", "Min-Expires: 1800\n", NULL);
    w_run(&w, CPH_MS(50));
    m = hear("REGISTER");
    assert_string_equal(w_header(m, "Expires"), "1800");
    w_answer(&w, 1, 0, m, "423 Brief", "r", "Min-Expires: 1800\n",
             NULL); /* the same again: no loop */
    w_run(&w, CPH_MS(50));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_REGISTER_FAILED)->e.status, 423);
    assert_null(w_heard(&w, 1, "REGISTER"));
    assert_ok(cph_sip_unregister(w.node[0].ua, id, w.now));
    finish();
}

static void a_registrar_that_is_away_is_asked_again_later(void **state)
{
    struct w_event *e;
    uint32_t id;

    (void)state;
    begin_hand(6, "udp", NULL);
    id = reg();
    w_answer(&w, 1, 0, hear("REGISTER"), "500 Oops", "r", "", NULL);
    w_run(&w, CPH_MS(50));
    e = w_want(&w, 0, CPH_SIP_EV_REGISTER_FAILED);
    assert_int_equal(e->e.status, 500);
    assert_int_equal(e->e.retry_s, 30);
    w_run(&w, CPH_SEC(31));
    w_answer(&w, 1, 0, hear("REGISTER"), "403 No", "r", "", NULL);
    w_run(&w, CPH_MS(50));
    assert_int_equal(w_want(&w, 0, CPH_SIP_EV_REGISTER_FAILED)->e.retry_s, 0);
    assert_ok(cph_sip_unregister(w.node[0].ua, id, w.now));
    finish();
}

/* ---- memory ---- */

static cph_err short_call(void *arg)
{
    struct cph_sip_ua_cfg c;
    struct cph_sip_place p = { .to = "sip:b@10.0.0.2",
                               .from = "sip:a@10.0.0.1",
                               .body = CPH_SPAN_LIT("o") };
    uint32_t a, b = 0;
    cph_err err;

    (void)arg;
    w_init(&w, 7);
    for (int i = 0; i < 2; i++) {
        c = w_cfg(&w, i, i ? "10.0.0.2" : "10.0.0.1", "udp,tcp");
        err = w_start(&w, i, &c);
        if (err)
            goto out;
    }
    err = cph_sip_call_place(w.node[0].ua, &p, w.now, &a);
    if (err)
        goto out;
    w_run(&w, CPH_SEC(1));
    for (size_t i = 0; i < w.node[1].n_ev; i++)
        b = w.node[1].ev[i].e.kind == CPH_SIP_EV_INCOMING ? w.node[1].ev[i].e.call : b;
    if (b)
        err = cph_sip_call_accept(w.node[1].ua, b, NULL, CPH_SPAN_LIT("a"), w.now);
    w_run(&w, CPH_SEC(2));
    (void)(cph_sip_call_offer(w.node[0].ua, a, 0, true, NULL, CPH_SPAN_LIT("n"), w.now) == CPH_OK);
    w_run(&w, CPH_SEC(1));
    (void)(cph_sip_call_answer(w.node[1].ua, b, 200, NULL, CPH_SPAN_LIT("m"), w.now) == CPH_OK);
    w_run(&w, CPH_SEC(1));
    (void)(cph_sip_call_hangup(w.node[0].ua, a, NULL, w.now) == CPH_OK);
    w_run(&w, CPH_SEC(1));
    if (b && cph_sip_call_hangup(w.node[1].ua, b, NULL, w.now) == CPH_OK)
        w_run(&w, CPH_SEC(1));
    w_run(&w, CPH_SEC(200)); /* whatever failed: nothing is left */
    w_quiet(&w, 0);
    w_quiet(&w, 1);
    if (err != CPH_E_NOMEM)
        err = CPH_OK;
out:
    w_free(&w);
    return err;
}

static void a_call_survives_memory_that_runs_out_anywhere(void **state)
{
    (void)state;
    test_alloc_fails(short_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naptr_then_srv_then_address),
        cmocka_unit_test(without_naptr_each_service_is_asked_then_the_host),
        cmocka_unit_test(a_port_or_a_transport_shortens_the_way),
        cmocka_unit_test(a_name_that_does_not_exist_fails_as_such),
        cmocka_unit_test(the_next_address_is_tried_after_silence_and_503),
        cmocka_unit_test(an_unreachable_address_is_left_at_once),
        cmocka_unit_test(an_address_tried_in_vain_is_a_hop_of_the_call),
        cmocka_unit_test(weights_decide_how_often_a_server_is_first),
        cmocka_unit_test(a_large_request_goes_by_tcp_and_by_udp_if_that_fails),
        cmocka_unit_test(a_request_goes_by_udp_over_a_path_that_is_known_to_carry_it),
        cmocka_unit_test(a_large_request_invites_the_peer_only_to_where_we_listen),
        cmocka_unit_test(messages_are_cut_out_of_a_stream_byte_by_byte),
        cmocka_unit_test(a_stream_that_cannot_be_framed_is_closed),
        cmocka_unit_test(a_connection_that_says_nothing_is_closed),
        cmocka_unit_test(the_table_of_connections_is_bounded),
        cmocka_unit_test(numbers_that_went_round_are_neither_0_nor_in_use),
        cmocka_unit_test(silent_connections_of_a_stranger_keep_nobody_out),
        cmocka_unit_test(a_table_full_of_silence_gives_up_the_oldest_of_whoever_has_most),
        cmocka_unit_test(one_host_gets_half_of_the_table_whatever_it_says),
        cmocka_unit_test(a_silent_connection_of_ours_is_found_dead_by_pings),
        cmocka_unit_test(a_registration_is_refreshed_and_removed),
        cmocka_unit_test(too_brief_a_registration_is_asked_for_again),
        cmocka_unit_test(a_registrar_that_is_away_is_asked_again_later),
        cmocka_unit_test(a_call_survives_memory_that_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

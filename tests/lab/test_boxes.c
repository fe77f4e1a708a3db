/* What the less polite servers of the lab do to messages, seen from the hosts on both sides. Each
 * is tried beside a polite one, where the same is seen not to happen. */
#include "lab_keys.h"

#include "lab.h"
#include "proxy.h"

#include "ciphony/base_text.h"

enum { RESPONSES = 8, MESSAGE = 4096 };

static const char sdp[] =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
    "a=one\r\na=two\r\nm=audio 4000 RTP/AVP 0\r\na=three\r\na=four\r\na=five\r\n";
static const char turned[] =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
    "a=two\r\na=one\r\nm=audio 4000 RTP/AVP 0\r\na=five\r\na=four\r\na=three\r\n";

/* A caller that notes what comes back, and a callee that answers 183 and 200 with descriptions. */
struct scene {
    struct lab_net *net;
    struct lab_node *node[2];
    struct cph_addr addr[2], server;
    struct {
        unsigned status;
        char body[512];
        char to_tag[32];
        cph_time at;
    } got[RESPONSES];
    unsigned n;
    char supported[64], require[64], offer[512]; /* as the callee saw them */
    cph_time heard_at;
};

static void text_of(const struct cph_sip_msg *m, enum cph_sip_hdr id, char *out, size_t cap)
{
    const struct cph_sip_header *h = cph_sip_find(m, id);

    assert_ok(cph_span_cstr(h ? h->value : (struct cph_span){ 0 }, out, cap));
}

static void at_caller(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                      struct cph_span bytes, cph_time now)
{
    struct scene *s = ctx;
    struct cph_sip_fault fault;
    struct cph_sip_msg m;
    struct cph_arena *a;
    struct cph_span tag = { 0 };

    (void)local;
    (void)from;
    assert_true(s->n < RESPONSES);
    assert_ok(cph_arena_new(1 << 16, &a));
    assert_ok(cph_sip_msg_parse(a, bytes, CPH_SIP_DATAGRAM, &m, &fault));
    (void)cph_sip_param(m.to.params, "tag", &tag);
    s->got[s->n].status = m.status;
    s->got[s->n].at = now;
    assert_ok(cph_span_cstr(m.body, s->got[s->n].body, sizeof s->got[0].body));
    assert_ok(cph_span_cstr(tag, s->got[s->n].to_tag, sizeof s->got[0].to_tag));
    s->n++;
    cph_arena_free(a);
}

static void answer(struct scene *s, const struct cph_sip_msg *req, unsigned status)
{
    uint8_t out[MESSAGE];
    struct cph_wr wr = cph_wr_open(out, sizeof out);

    cph_sip_wr_response(&wr, req, status, (struct cph_span){ 0 }, CPH_SPAN_LIT("callee"),
                        &s->server);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<sip:bob@10.0.0.2>");
    cph_sip_wr_body(&wr, CPH_SPAN_LIT("application/sdp"), cph_span_of(sdp));
    assert_ok(cph_wr_end(&wr));
    assert_ok(lab_send(s->node[1], &s->addr[1], &s->server, cph_wr_done(&wr)));
}

static void at_callee(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                      struct cph_span bytes, cph_time now)
{
    struct scene *s = ctx;
    struct cph_sip_fault fault;
    struct cph_sip_msg m;
    struct cph_arena *a;

    (void)local;
    (void)from;
    assert_ok(cph_arena_new(1 << 16, &a));
    assert_ok(cph_sip_msg_parse(a, bytes, CPH_SIP_DATAGRAM, &m, &fault));
    if (m.method == CPH_SIP_INVITE && !s->heard_at) {
        s->heard_at = now;
        text_of(&m, CPH_SIP_H_SUPPORTED, s->supported, sizeof s->supported);
        text_of(&m, CPH_SIP_H_REQUIRE, s->require, sizeof s->require);
        assert_ok(cph_span_cstr(m.body, s->offer, sizeof s->offer));
        answer(s, &m, 183);
        answer(s, &m, 200);
    }
    cph_arena_free(a);
}

static void send_invite(struct scene *s)
{
    char invite[MESSAGE];
    int n = snprintf(invite, sizeof invite,
                     "INVITE sip:bob@10.0.0.9 SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\n"
                     "Max-Forwards: 70\r\nFrom: <sip:alice@10.0.0.9>;tag=a\r\n"
                     "To: <sip:bob@10.0.0.9>\r\nCall-ID: 1@10.0.0.1\r\nCSeq: 1 INVITE\r\n"
                     "Contact: <sip:alice@10.0.0.1>\r\nSupported: timer, 100rel, replaces\r\n"
                     "Require: 100rel\r\nContent-Type: application/sdp\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(sdp), sdp);

    assert_in_range(n, 1, sizeof invite - 1);
    assert_ok(lab_send(s->node[0], &s->addr[0], &s->server,
                       (struct cph_span){ (const uint8_t *)invite, (size_t)n }));
}

static void call(struct scene *s, struct lab_proxy_config cfg)
{
    static const struct lab_node_ops ops[2] = { { .datagram = at_caller },
                                                { .datagram = at_callee } };
    struct lab_proxy *p;

    memset(s, 0, sizeof *s);
    cfg.ip = "10.0.0.9";
    assert_ok(lab_net_new(1, (struct lab_link){ .delay = CPH_MS(10) }, &s->net));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(cph_addr_parse(CPH_SPAN_LIT("10.0.0.1:5060"), &s->addr[i]));
        s->addr[i].ip[3] = (uint8_t)(1 + i);
        assert_ok(lab_node_new(s->net, &ops[i], s, &s->node[i]));
        assert_ok(lab_bind(s->node[i], &s->addr[i]));
    }
    s->server = s->addr[0];
    s->server.ip[3] = 9;
    assert_ok(lab_proxy_new(s->net, &cfg, &p));
    assert_ok(lab_proxy_add(p, "bob", "sip:bob@10.0.0.2:5060"));
    send_invite(s);
    assert_ok(lab_run(s->net, CPH_SEC(2)));
    lab_proxy_free(p);
    lab_net_free(s->net);
}

/* The first response of this status; NULL: none came. */
static const char *body_of(const struct scene *s, unsigned status)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->got[i].status == status)
            return s->got[i].body;
    return NULL;
}

static void a_polite_server_changes_nothing(void **state)
{
    struct scene s;

    (void)state;
    call(&s, (struct lab_proxy_config){ 0 });
    assert_string_equal(s.supported, "timer, 100rel, replaces");
    assert_string_equal(s.require, "100rel");
    assert_string_equal(s.offer, sdp);
    assert_string_equal(body_of(&s, 183), sdp);
    assert_string_equal(body_of(&s, 200), sdp);
    assert_true(s.heard_at == CPH_MS(20));
    for (unsigned i = 0; i < s.n; i++)
        if (s.got[i].status > 100)
            assert_string_equal(s.got[i].to_tag, "callee");
}

static void prack_is_taken_out_of_what_is_supported_and_required(void **state)
{
    struct scene s;

    (void)state;
    call(&s, (struct lab_proxy_config){ .no_prack = true });
    assert_string_equal(s.supported, "timer, replaces");
    assert_string_equal(s.require, "");
    assert_string_equal(s.offer, sdp);
}

static void descriptions_are_held_back_to_the_200(void **state)
{
    struct scene s;

    (void)state;
    call(&s, (struct lab_proxy_config){ .hold_sdp = true });
    assert_string_equal(s.offer, sdp);
    assert_string_equal(body_of(&s, 183), "");
    assert_string_equal(body_of(&s, 200), sdp);
}

static void descriptions_are_reordered_both_ways(void **state)
{
    struct scene s;

    (void)state;
    call(&s, (struct lab_proxy_config){ .reorder_sdp = true });
    assert_string_equal(s.offer, turned);
    assert_string_equal(body_of(&s, 183), turned);
    assert_string_equal(body_of(&s, 200), turned);
}

static void an_early_dialog_of_the_network_comes_before_the_callee_s(void **state)
{
    struct scene s;
    unsigned first = 0;

    (void)state;
    call(&s, (struct lab_proxy_config){ .fake_early = true });
    while (first < s.n && s.got[first].status != 183)
        first++;
    assert_true(first < s.n);
    assert_string_equal(s.got[first].to_tag, "network");
    assert_non_null(strstr(s.got[first].body, "m=audio 40000"));
    assert_true(s.got[first].at < s.heard_at + CPH_MS(10));
    assert_string_equal(body_of(&s, 200), sdp);
}

static void a_slow_server_is_slow_both_ways(void **state)
{
    struct scene s;

    (void)state;
    call(&s, (struct lab_proxy_config){ .delay = CPH_MS(50) });
    assert_true(s.heard_at == CPH_MS(70));
    assert_string_equal(body_of(&s, 200), sdp);
    assert_true(s.got[s.n - 1].at >= CPH_MS(140));
}

/* Is a call heard whose server reorders? */
static bool heard_reordered(const char *keying)
{
    struct lab_stage_config cfg = { .seed = 1,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = 1 << LAB_ALICE | 1 << LAB_BOB,
                                    .proxy.reorder_sdp = true };
    struct cph_span said, told;
    struct lab_stage *s;
    bool heard;

    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    said = lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0);
    told = lab_stage_sdp(s, lab_server_ip(0), false, 0);
    assert_true(said.n > 0 && said.n == told.n);
    assert_false(cph_span_eq(said, told));
    heard = lab_stage_heard(s, LAB_ALICE, LAB_BOB);
    lab_stage_close(s);
    return heard;
}

static void calls_survive_another_order_of_attributes(void **state)
{
    static const char *const keying[] = { "sdes",   "dtls",    "zrtp",          "mikey-psk",
                                          "sdp-dh", "mikeyv2", "mikeyv2-inband" };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++)
        assert_true(heard_reordered(keying[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_polite_server_changes_nothing),
        cmocka_unit_test(prack_is_taken_out_of_what_is_supported_and_required),
        cmocka_unit_test(descriptions_are_held_back_to_the_200),
        cmocka_unit_test(descriptions_are_reordered_both_ways),
        cmocka_unit_test(an_early_dialog_of_the_network_comes_before_the_callee_s),
        cmocka_unit_test(a_slow_server_is_slow_both_ways),
        cmocka_unit_test(calls_survive_another_order_of_attributes),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

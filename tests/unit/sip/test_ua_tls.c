/* SIP over TLS inside the engine: names, pins, sips, reuse of connections. RFC 5922, 5630,
 * 3261 26.2. */
#include "ua_support.c"

#include "ciphony/crypto_key.h"

struct tls_side {
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_trust *trust;
    struct cph_sip_pin pin[2];
    struct cph_sip_tls tls;
};

static struct tls_side side[3];

/* A device with a self-signed certificate for a SIP domain (or an IP address, then as 4 bytes). */
static void make_side(struct world *w, int i, const char *domain)
{
    struct cph_cert_name san = { CPH_NAME_DNS, cph_span_of(domain) };
    struct cph_cert_spec spec = { domain, &san, 1, w->env.wall - 1000, w->env.wall + 100000 };

    assert_ok(cph_key_generate(&w->env.env, CPH_KEY_EC_P256, &side[i].key));
    assert_ok(cph_cert_self_signed(&w->env.env, side[i].key, &spec, &side[i].cert));
    side[i].tls.cert = side[i].cert;
    side[i].tls.key = side[i].key;
}

static void trust(int who, int whom)
{
    if (!side[who].trust)
        assert_ok(cph_trust_new(&side[who].trust));
    assert_ok(cph_trust_add(side[who].trust, side[whom].cert));
    side[who].tls.trust = side[who].trust;
}

static void pin(int who, const char *name, int whom)
{
    struct cph_sip_pin *p = &side[who].pin[side[who].tls.n_pins++];

    p->name = name;
    assert_ok(cph_cert_fingerprint(side[whom].cert, CPH_FP_SHA256, &p->fp));
    side[who].tls.pin = side[who].pin;
}

static void start(struct world *w, int i, const char *ip, const char *protos)
{
    struct cph_sip_ua_cfg c = w_cfg(w, i, ip, protos);

    c.tls = &side[i].tls;
    c.no_naptr = true;
    assert_ok(w_start(w, i, &c));
}

static void two(struct world *w)
{
    struct cph_sip_record a = { .type = CPH_SIP_RR_A };

    w_init(w, 5);
    memset(side, 0, sizeof side);
    make_side(w, 0, "a.example");
    make_side(w, 1, "b.example");
    a.addr = w_addr("10.0.0.1");
    w_dns(w, "a.example", a);
    a.addr = w_addr("10.0.0.2");
    w_dns(w, "b.example", a);
    w_dns(w, "other.example", a);
}

static void done(struct world *w)
{
    w_free(w);
    for (int i = 0; i < 3; i++) {
        cph_cert_free(side[i].cert);
        cph_key_free(side[i].key);
        cph_trust_free(side[i].trust);
    }
    memset(side, 0, sizeof side);
}

static uint32_t place(struct world *w, const char *to)
{
    struct cph_sip_place p = { .to = to,
                               .from = "sips:alice@a.example",
                               .body = CPH_SPAN_LIT("secret-offer") };
    uint32_t id = 0;

    assert_ok(cph_sip_call_place(w->node[0].ua, &p, w->now, &id));
    return id;
}

/* Callee answers, then hangs up: its BYE goes back over the very connection. */
static void answer_and_hang_up(struct world *w, uint32_t a, struct cph_sip_call_info *info,
                               struct cph_sip_call_info *callee)
{
    uint32_t b;

    w_run(w, CPH_SEC(2));
    b = w_want(w, 1, CPH_SIP_EV_INCOMING)->e.call;
    assert_ok(cph_sip_call_accept(w->node[1].ua, b, NULL, CPH_SPAN_LIT("secret-answer"), w->now));
    w_run(w, CPH_SEC(2));
    assert_string_equal(w_want(w, 0, CPH_SIP_EV_ANSWERED)->body, "secret-answer");
    (void)w_want(w, 1, CPH_SIP_EV_CONFIRMED);
    assert_ok(cph_sip_call_info_get(w->node[0].ua, a, info));
    assert_ok(cph_sip_call_info_get(w->node[1].ua, b, callee));
    assert_ok(cph_sip_call_hangup(w->node[1].ua, b, NULL, w->now));
    w_run(w, CPH_SEC(60));
    assert_true(w_want(w, 0, CPH_SIP_EV_ENDED)->e.by_peer);
    w_quiet(w, 0);
    w_quiet(w, 1);
}

static bool on_the_wire(const struct world *w, const char *text)
{
    for (size_t i = 0; i + strlen(text) <= w->wire_n; i++) {
        if (memcmp(w->wire + i, text, strlen(text)) == 0)
            return true;
    }
    return false;
}

static void a_sips_call_with_domain_certificates_shows_only_ciphertext(void **state)
{
    static struct world w;
    struct cph_sip_call_info info, callee;

    (void)state;
    two(&w);
    trust(0, 1);
    trust(1, 0);
    w.keep_plain = true;
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    answer_and_hang_up(&w, place(&w, "sips:bob@b.example"), &info, &callee);
    assert_int_equal(w.streams, 1); /* one connection both ways */
    assert_true(info.sips && callee.sips);
    assert_int_equal(info.hop[0].proto, CPH_SIP_TLS);
    assert_int_equal(info.hop[0].check, CPH_SIP_PEER_DOMAIN);
    assert_string_equal(info.hop[0].name, "b.example");
    assert_int_equal(callee.hop[0].check, CPH_SIP_PEER_DOMAIN); /* by the client's certificate */
    assert_string_equal(callee.hop[0].name, "a.example");
    assert_true(w.wire_n > 1000);
    assert_false(on_the_wire(&w, "secret-offer"));
    assert_false(on_the_wire(&w, "INVITE"));
    done(&w);
}

static void a_pinned_peer_needs_no_authority(void **state)
{
    static struct world w;
    struct cph_sip_call_info info, callee;

    (void)state;
    two(&w);
    pin(0, "10.0.0.2", 1);
    pin(1, "10.0.0.1", 0);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    answer_and_hang_up(&w, place(&w, "sip:bob@10.0.0.2:5061;transport=tls"), &info, &callee);
    assert_int_equal(info.hop[0].check, CPH_SIP_PEER_PINNED);
    assert_string_equal(info.hop[0].name, "10.0.0.2");
    assert_int_equal(callee.hop[0].check, CPH_SIP_PEER_PINNED);
    assert_false(info.sips);
    done(&w);
}

/* And the words about it have why in them, which is what TLS said. */
static void fails_with(struct world *w, const char *to, cph_err want, const char *why)
{
    struct w_event *e;

    (void)place(w, to);
    w_run(w, CPH_SEC(60));
    e = w_want(w, 0, CPH_SIP_EV_ENDED);
    assert_err(e->e.cause, want);
    assert_non_null(strstr(e->reason, why));
    assert_false(w_has(w, 1, CPH_SIP_EV_INCOMING));
    w_quiet(w, 0);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    trust(0, 1);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    fails_with(&w, "sips:bob@other.example", CPH_E_CERT,
               "the certificate is not for other.example"); /* the same address */
    assert_true(cph_sip_ua_counters(w.node[0].ua)->tls_refused > 0);
    done(&w);
}

static void an_untrusted_certificate_is_refused(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    trust(0, 0);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    fails_with(&w, "sips:bob@b.example", CPH_E_CERT, "self-signed certificate");
    done(&w);
}

static void a_wrong_pin_is_refused(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    pin(0, "10.0.0.2", 0);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    fails_with(&w, "sips:bob@10.0.0.2", CPH_E_CERT, "not the one the fingerprint promised");
    done(&w);
}

static void without_trust_or_pin_nobody_is_believed(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    fails_with(&w, "sips:bob@b.example", CPH_E_CERT, cph_err_text(CPH_E_CERT));
    done(&w);
}

static void the_words_about_one_server_are_not_told_of_the_next(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    pin(0, "10.0.0.2", 0);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    fails_with(&w, "sips:bob@10.0.0.2", CPH_E_CERT, "not the one the fingerprint promised");
    /* nobody vouches for b.example: the same error, of which TLS says nothing */
    fails_with(&w, "sips:bob@b.example", CPH_E_CERT, cph_err_text(CPH_E_CERT));
    done(&w);
}

static void a_connection_is_not_reused_under_another_name(void **state)
{
    static struct world w;
    uint32_t a;

    (void)state;
    two(&w);
    trust(0, 1);
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    a = place(&w, "sips:bob@b.example");
    w_run(&w, CPH_SEC(2));
    (void)w_want(&w, 1, CPH_SIP_EV_INCOMING);
    assert_int_equal(w.streams, 1);
    /* CVE-2020-15260: other.example has the same address; its certificate does not name it */
    (void)place(&w, "sips:eve@other.example");
    w_run(&w, CPH_SEC(5));
    assert_int_equal(w.streams, 2);
    assert_err(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause, CPH_E_CERT);
    assert_false(w_has(&w, 1, CPH_SIP_EV_INCOMING));
    assert_ok(cph_sip_call_hangup(w.node[0].ua, a, NULL, w.now));
    w_run(&w, CPH_SEC(70));
    w_quiet(&w, 0);
    done(&w);
}

static void sips_never_leaves_tls(void **state)
{
    static struct world w;
    struct cph_sip_place p = { .to = "sips:bob@10.0.0.2;transport=udp",
                               .from = "sip:a@a.example",
                               .body = CPH_SPAN_LIT("x") };
    uint32_t id;

    (void)state;
    two(&w);
    trust(0, 1);
    start(&w, 0, "10.0.0.1", "udp,tcp,tls");
    start(&w, 1, "10.0.0.2", "udp,tcp"); /* its TLS port is closed */
    assert_err(cph_sip_call_place(w.node[0].ua, &p, w.now, &id), CPH_E_POLICY);
    (void)place(&w, "sips:bob@10.0.0.2");
    w_run(&w, CPH_SEC(60));
    assert_true(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause != CPH_OK);
    assert_int_equal(w.datagrams, 0);
    assert_false(w_has(&w, 1, CPH_SIP_EV_INCOMING));
    w_quiet(&w, 0);
    done(&w);
}

static void sips_that_came_without_tls_is_refused(void **state)
{
    static struct world w;
    const char *m;

    (void)state;
    two(&w);
    start(&w, 0, "10.0.0.1", "udp");
    w_hand(&w, 1, "10.0.0.9");
    w_say(&w, 1, 0,
          "INVITE sips:a@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKx;rport\n"
          "Max-Forwards: 70\nFrom: <sips:e@e>;tag=1\nTo: <sips:a@10.0.0.1>\nCall-ID: c1\n"
          "CSeq: 1 INVITE\nContact: <sips:e@10.0.0.9>\nContent-Length: *\n\n");
    w_run(&w, CPH_SEC(1));
    m = w_heard(&w, 1, "SIP/2.0 480");
    assert_non_null(m);
    assert_non_null(strstr(w_header(m, "Warning"), "380"));
    assert_int_equal(cph_sip_ua_counters(w.node[0].ua)->bad_sips, 1);
    done(&w);
}

static void a_server_may_demand_known_clients(void **state)
{
    static struct world w;

    (void)state;
    two(&w);
    trust(0, 1);
    side[1].tls.need_client_cert = true; /* and knows nobody */
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    (void)place(&w, "sips:bob@b.example");
    w_run(&w, CPH_SEC(60));
    assert_true(w_want(&w, 0, CPH_SIP_EV_ENDED)->e.cause != CPH_OK);
    assert_false(w_has(&w, 1, CPH_SIP_EV_INCOMING));
    assert_true(cph_sip_ua_counters(w.node[1].ua)->tls_refused > 0);
    done(&w);
}

static void unchecked_tls_says_that_it_is_unchecked(void **state)
{
    static struct world w;
    struct cph_sip_call_info info, callee;

    (void)state;
    two(&w);
    side[0].tls.accept_any = true;
    start(&w, 0, "10.0.0.1", "tls");
    start(&w, 1, "10.0.0.2", "tls");
    answer_and_hang_up(&w, place(&w, "sips:bob@b.example"), &info, &callee);
    assert_int_equal(info.hop[0].check, CPH_SIP_PEER_NONE);
    assert_string_equal(info.hop[0].name, "");
    assert_int_equal(callee.hop[0].check, CPH_SIP_PEER_NONE);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sips_call_with_domain_certificates_shows_only_ciphertext),
        cmocka_unit_test(a_pinned_peer_needs_no_authority),
        cmocka_unit_test(a_certificate_for_another_name_is_refused),
        cmocka_unit_test(an_untrusted_certificate_is_refused),
        cmocka_unit_test(a_wrong_pin_is_refused),
        cmocka_unit_test(without_trust_or_pin_nobody_is_believed),
        cmocka_unit_test(the_words_about_one_server_are_not_told_of_the_next),
        cmocka_unit_test(a_connection_is_not_reused_under_another_name),
        cmocka_unit_test(sips_never_leaves_tls),
        cmocka_unit_test(sips_that_came_without_tls_is_refused),
        cmocka_unit_test(a_server_may_demand_known_clients),
        cmocka_unit_test(unchecked_tls_says_that_it_is_unchecked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

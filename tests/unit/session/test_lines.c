/* Each mechanism with several media lines, and with changes that the peer refuses. */
#include "pair.h"

#include "ciphony/keying_mikey.h"
#include "ciphony/keying_zrtp.h"

static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
static const char *const keying[] = { "sdes", "dtls", "zrtp", "mikey", "mikey" };

enum { DHSIGN = 4 }; /* the second mikey */

enum { KINDS = sizeof keying / sizeof *keying };

static struct pair t;
static struct cph_zrtp_call *zrtp[2];
static struct cph_mikey *mikey[2];

static void certify(struct party *p)
{
    struct cph_cert_spec spec = { .cn = "device",
                                  .not_before = p->env.wall - 1000,
                                  .not_after = p->env.wall + 100000 };

    assert_ok(cph_key_generate(&p->env.env, CPH_KEY_EC_P256, &p->key));
    assert_ok(cph_cert_self_signed(&p->env.env, p->key, &spec, &p->cert));
    p->cfg.keying.key = p->key;
    p->cfg.keying.cert = p->cert;
}

/* Two parties with so many lines each. */
static void open_lines(unsigned kind, unsigned a, unsigned b)
{
    struct party *p[2] = { &t.a, &t.b };

    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < 2; i++) {
        party_init(p[i], i + 1, CPH_SECURITY_REQUIRED, keying[kind]);
        certify(p[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct cph_zrtp_cfg z = { .zid = { (uint8_t)('a' + i) } };
        struct cph_mikey_cfg m = { .mode = kind == DHSIGN ? CPH_MIKEY_DHSIGN : CPH_MIKEY_PSK,
                                   .key = p[i]->key,
                                   .cert = p[i]->cert,
                                   .peer_cert = p[!i]->cert,
                                   .psk = &psk,
                                   .id = i ? "sip:b@example.org" : "sip:a@example.org",
                                   .peer_id = i ? "sip:a@example.org" : "sip:b@example.org" };

        z.env = m.env = &p[i]->env.env;
        assert_ok(cph_zrtp_call_new(&z, &zrtp[i]));
        assert_ok(cph_mikey_new(&m, &mikey[i]));
        p[i]->cfg.keying.zrtp = zrtp[i];
        p[i]->cfg.keying.mikey = mikey[i];
        p[i]->n = i ? b : a;
        for (unsigned k = 0; k < 4; k++) {
            p[i]->media[k].ssrc = p[i]->ssrc + k;
            p[i]->media[k].rtcp_mux = true;
        }
        p[i]->cfg.keying.rtcp_mux = true;
        party_start(p[i]);
    }
}

static void close_lines(void)
{
    pair_close(&t);
    for (unsigned i = 0; i < 2; i++) {
        cph_zrtp_call_free(zrtp[i]);
        cph_mikey_free(mikey[i]);
    }
}

/* What is made on the media path gets its time. */
static void make_keys(void)
{
    struct party *p[2] = { &t.a, &t.b };

    for (unsigned i = 0; i < 100; i++, t.now += CPH_MS(10)) {
        shuttle(&t);
        for (unsigned k = 0; k < 2; k++)
            cph_session_tick(p[k]->s, t.now);
    }
}

static void pack(struct party *p, unsigned line, struct pkt *k)
{
    uint32_t first = p->ssrc;

    p->ssrc += line;
    rtp(p, k, (uint8_t)(0x40 + line));
    p->ssrc = first;
}

static cph_err hear(struct party *p, struct party *q, unsigned line)
{
    struct cph_session_packet got;
    struct pkt k;

    pack(p, line, &k);
    CPH_TRY(protect(&t, p, line, CPH_KEYING_RTP, &k));
    CPH_TRY(feed_from(&t, q, line, &k, &p->addr[line][k.port]));
    CPH_TRY(cph_session_take(q->s, &got));
    assert_int_equal(got.stream, line);
    assert_int_equal(got.bytes.p[12], 0x40 + line);
    return CPH_OK;
}

static void both_hear(unsigned line)
{
    assert_ok(hear(&t.a, &t.b, line));
    assert_ok(hear(&t.b, &t.a, line));
}

/* What one line sent is nothing on another: each has keys of its own. */
static void lines_are_apart(struct party *p, struct party *q)
{
    for (unsigned line = 0; line < 2; line++) {
        struct pkt k;

        pack(p, line, &k);
        assert_ok(protect(&t, p, line, CPH_KEYING_RTP, &k));
        assert_int_not_equal(feed_from(&t, q, !line, &k, &p->addr[!line][k.port]), CPH_OK);
        assert_ok(feed_from(&t, q, line, &k, &p->addr[line][k.port]));
        assert_ok(cph_session_take(q->s, &(struct cph_session_packet){ 0 }));
    }
}

static enum cph_session_line line_of(struct party *p, unsigned line)
{
    return cph_session_line(p->s, line, NULL);
}

static void two_lines_are_keyed_each_on_its_own(void **state)
{
    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        open_lines(k, 2, 2);
        call(&t);
        make_keys();
        for (unsigned line = 0; line < 2; line++) {
            both_hear(line);
            assert_int_equal(line_of(&t.a, line), CPH_SESSION_LINE_KEYED);
            assert_int_equal(line_of(&t.b, line), CPH_SESSION_LINE_KEYED);
        }
        lines_are_apart(&t.a, &t.b);
        lines_are_apart(&t.b, &t.a);
        close_lines();
    }
}

/* The answerer has one line; the other comes back with port 0. */
static void a_line_that_is_refused_leaves_the_other_its_keys(void **state)
{
    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        struct pkt pkt;

        open_lines(k, 2, 1);
        call(&t);
        make_keys();
        both_hear(0);
        assert_int_not_equal(line_of(&t.a, 1), CPH_SESSION_LINE_KEYED);
        pack(&t.a, 1, &pkt);
        assert_int_not_equal(protect(&t, &t.a, 1, CPH_KEYING_RTP, &pkt), CPH_OK);
        assert_false(happened(&t.a, CPH_SESSION_FAILED, NULL));
        exchange(&t, &t.a, &t.b); /* and it stays so */
        make_keys();
        both_hear(0);
        close_lines();
    }
}

/* In a re-INVITE of either side. */
static void lines_come_and_go_and_the_first_does_not_notice(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2 * KINDS; k++) {
        struct party *by = k < KINDS ? &t.a : &t.b, *to = k < KINDS ? &t.b : &t.a;
        unsigned at;
        struct pkt pkt;

        open_lines(k % KINDS, 1, 1);
        call(&t);
        make_keys();
        both_hear(0);
        (void)happened(&t.a, CPH_SESSION_KEYED, NULL);
        assert_ok(cph_session_add(t.a.s, &t.a.media[1], &at));
        assert_ok(cph_session_add(t.b.s, &t.b.media[1], &at));
        assert_ok(offer(&t, by));
        assert_ok(answer(&t, to, by->text));
        assert_ok(hear(&t.a, &t.b, 0)); /* while it is under way, too */
        assert_ok(cph_session_finish(by->s, 1, to->text, t.now));
        make_keys();
        both_hear(0);
        both_hear(1);
        lines_are_apart(&t.a, &t.b);
        assert_ok(cph_session_remove(by->s, 1));
        exchange(&t, by, to);
        make_keys();
        both_hear(0);
        pack(by, 1, &pkt);
        assert_int_not_equal(protect(&t, by, 1, CPH_KEYING_RTP, &pkt), CPH_OK);
        pack(to, 1, &pkt);
        assert_int_not_equal(protect(&t, to, 1, CPH_KEYING_RTP, &pkt), CPH_OK);
        assert_int_equal(cph_session_counts(t.a.s).replayed, 0);
        close_lines();
    }
}

/* ---- changes that are refused ---------------------------------------------------------------- */

static unsigned rekeys(struct party *p)
{
    struct cph_evidence ev;

    cph_session_evidence(p->s, &ev);
    return ev.stream[0].rekeys;
}

/* 488, 491 and silence are the same to the session: its offer is over. RFC 3264 8, 3261 14.1 */
static void new_keys_that_the_peer_refuses_change_nothing(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2 * KINDS; k++) {
        struct party *by = k < KINDS ? &t.a : &t.b;
        enum cph_level was;

        open_lines(k % KINDS, 2, 2);
        call(&t);
        make_keys();
        both_hear(0);
        both_hear(1);
        was = level(by);
        (void)happened(&t.a, CPH_SESSION_KEYED, NULL);
        (void)happened(&t.b, CPH_SESSION_KEYED, NULL);
        for (unsigned i = 0; i < 3; i++) { /* again and again */
            assert_ok(cph_session_rekey(by->s));
            assert_ok(offer(&t, by));
            both_hear(0); /* while it is open */
            make_keys();
            both_hear(0);
            cph_session_rollback(by->s);
            make_keys();
            both_hear(0);
            both_hear(1);
        }
        assert_int_equal(rekeys(by), 0);
        assert_int_equal(level(by), was);
        assert_false(happened(by, CPH_SESSION_KEYED, NULL)); /* nobody is told of new keys */
        exchange(&t, by, by == &t.a ? &t.b : &t.a);          /* and the next change is whole */
        make_keys();
        both_hear(0);
        both_hear(1);
        assert_int_equal(cph_session_counts(t.a.s).auth_failed, 0);
        assert_int_equal(cph_session_counts(t.b.s).auth_failed, 0);
        close_lines();
    }
}

/* The peer's side of it: an offer of new keys that is damaged on its way is refused, told, and
 * leaves no trace; the first good one afterwards is taken. */
static void new_keys_that_we_refuse_change_nothing(void **state)
{
    static const char *const line[] = { "a=crypto:", "a=fingerprint:", "a=zrtp-hash:",
                                        "a=key-mgmt:", "a=key-mgmt:" };

    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        struct cph_session_event ev;

        open_lines(k, 1, 1);
        call(&t);
        make_keys();
        both_hear(0);
        (void)happened(&t.b, CPH_SESSION_KEYED, NULL);
        assert_ok(cph_session_rekey(t.a.s));
        assert_ok(offer(&t, &t.a));
        strip(&t.a, line[k]);
        assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
        assert_true(happened(&t.b, CPH_SESSION_NOTICE, &ev));
        both_hear(0);
        cph_session_rollback(t.a.s);
        make_keys();
        both_hear(0);
        assert_int_equal(line_of(&t.b, 0), CPH_SESSION_LINE_KEYED);
        assert_int_equal(rekeys(&t.b), 0);
        exchange(&t, &t.a, &t.b);
        make_keys();
        both_hear(0);
        assert_int_equal(cph_session_counts(t.b.s).auth_failed, 0);
        close_lines();
    }
}

/* An answer to new keys that cannot be used: who offered goes on as it was. */
static void an_answer_to_new_keys_that_cannot_be_used_ends_nothing_by_halves(void **state)
{
    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        open_lines(k, 1, 1);
        call(&t);
        make_keys();
        both_hear(0);
        assert_ok(cph_session_rekey(t.a.s));
        assert_ok(offer(&t, &t.a));
        t.b.text = t.a.text;
        assert_int_not_equal(
            cph_session_finish(t.a.s, 1,
                               CPH_SPAN_LIT("v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\n"), t.now),
            CPH_OK);
        make_keys();
        both_hear(0); /* the peer has the old ones, and so has who offered */
        assert_int_equal(rekeys(&t.a), 0);
        close_lines();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_lines_are_keyed_each_on_its_own),
        cmocka_unit_test(a_line_that_is_refused_leaves_the_other_its_keys),
        cmocka_unit_test(lines_come_and_go_and_the_first_does_not_notice),
        cmocka_unit_test(new_keys_that_the_peer_refuses_change_nothing),
        cmocka_unit_test(new_keys_that_we_refuse_change_nothing),
        cmocka_unit_test(an_answer_to_new_keys_that_cannot_be_used_ends_nothing_by_halves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The session engine with keys in signalling (SDES). */
#include "memory.h"
#include "pair.h"

#define REQ  CPH_SECURITY_REQUIRED
#define PREF CPH_SECURITY_PREFER
#define NONE CPH_SECURITY_NONE

/* ---- a call ---------------------------------------------------------------------------------- */

static void a_call_is_keyed_and_media_goes_both_ways(void **state)
{
    struct pair t;
    struct cph_session_event ev;
    struct cph_session_counts n;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_err(say(&t, &t.a, &t.b, 1), CPH_E_NOKEY);
    call(&t);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "sdes"));
    assert_int_equal(ev.branch, 1);
    assert_true(happened(&t.b, CPH_SESSION_KEYED, &ev));
    assert_int_equal(ev.branch, 0);
    talk(&t);
    n = cph_session_counts(t.a.s);
    assert_int_equal(n.in, 3);
    assert_int_equal(n.out, 3);
    pair_close(&t);
}

static void what_goes_on_the_wire_is_not_what_was_said(void **state)
{
    struct pair t;
    struct pkt k, plain;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    rtp(&t.a, &k, 0x33);
    plain = k;
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
    assert_true(k.n > plain.n);
    assert_memory_equal(k.b, plain.b, 12);
    assert_memory_not_equal(k.b + 12, plain.b + 12, 160);
    assert_true(cph_addr_eq(&k.to, &t.b.addr[0][0]));
    rtcp(&t.a, &k);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &k));
    assert_int_equal(k.port, CPH_KEYING_RTCP);
    assert_true(cph_addr_eq(&k.to, &t.b.addr[0][1]));
    assert_ok(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][1]));
    pair_close(&t);
}

static void with_rtcp_mux_both_share_a_port_and_are_told_apart(void **state)
{
    struct pair t;
    struct pkt k;
    struct cph_session_packet got;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    party_end(&t.a);
    party_end(&t.b);
    party_init(&t.a, 1, REQ, "sdes");
    party_init(&t.b, 2, REQ, "sdes");
    t.a.media[0].rtcp_mux = t.b.media[0].rtcp_mux = true;
    party_start(&t.a);
    party_start(&t.b);
    call(&t);
    rtcp(&t.a, &k);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &k));
    assert_int_equal(k.port, CPH_KEYING_RTP);
    assert_true(cph_addr_eq(&k.to, &t.b.addr[0][0]));
    assert_ok(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]));
    assert_ok(cph_session_take(t.b.s, &got));
    assert_int_equal(got.component, CPH_KEYING_RTCP);
    talk(&t);
    pair_close(&t);
}

static void damaged_replayed_and_foreign_packets_are_dropped_and_counted(void **state)
{
    struct pair t;
    struct pkt k, bad;
    struct cph_session_packet got;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    rtp(&t.a, &k, 1);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
    for (size_t i = 0; i < k.n; i++) {
        if (i == 1) /* may turn it into RTCP */
            continue;
        bad = k;
        bad.b[i] ^= 0x40;
        assert_true(feed_from(&t, &t.b, 0, &bad, &t.a.addr[0][0]) != CPH_OK);
        assert_err(cph_session_take(t.b.s, &got), CPH_E_AGAIN);
    }
    assert_ok(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]));
    assert_ok(cph_session_take(t.b.s, &got));
    assert_err(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]), CPH_E_REPLAY);
    assert_int_equal(cph_session_counts(t.b.s).replayed, 1);
    assert_true(cph_session_counts(t.b.s).auth_failed > 100);
    assert_err(cph_session_feed(t.b.s, 9, CPH_KEYING_RTP, &t.a.addr[0][0], k.b, k.n, 0),
               CPH_E_ARGUMENT);
    k.b[0] = 90; /* RFC 7983: in no range */
    assert_err(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]), CPH_E_UNSUPPORTED);
    k.b[0] = 1; /* STUN, which nobody here does */
    assert_err(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]), CPH_E_UNSUPPORTED);
    k.b[0] = 0x80;
    k.n = 3;
    assert_err(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]), CPH_E_MALFORMED);
    k.n = 0;
    assert_true(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]) != CPH_OK);
    pair_close(&t);
}

/* ---- policy ---------------------------------------------------------------------------------- */

static void a_stripped_crypto_line_ends_the_call_under_required(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes"); /* out of the answer */
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    strip(&t.b, "a=crypto");
    assert_err(cph_session_finish(t.a.s, 1, t.b.text, 0), CPH_E_POLICY);
    assert_true(happened(&t.a, CPH_SESSION_FAILED, &ev));
    assert_int_equal(ev.err, CPH_E_POLICY);
    assert_err(cph_session_choose(t.a.s, 1), CPH_E_NOTFOUND);
    assert_true(say(&t, &t.a, &t.b, 1) != CPH_OK);
    pair_close(&t);

    pair_open(&t, REQ, REQ, "sdes"); /* out of the offer, and the profile changed to fit */
    assert_ok(offer(&t, &t.a));
    strip(&t.a, "a=crypto");
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
    assert_true(happened(&t.b, CPH_SESSION_FAILED, &ev));
    pair_close(&t);

    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    strip(&t.a, "a=crypto");
    edit(&t.a, "RTP/SAVP", "RTP/AVP");
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
    assert_int_equal(level(&t.b), CPH_LEVEL_OPEN);
    pair_close(&t);
}

static void a_changed_profile_in_the_answer_ends_the_call_under_required(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    edit(&t.b, "RTP/SAVP", "RTP/AVP");
    assert_true(cph_session_finish(t.a.s, 1, t.b.text, 0) != CPH_OK);
    assert_true(say(&t, &t.a, &t.b, 1) != CPH_OK);
    pair_close(&t);
}

static void prefer_uses_keys_where_it_can_and_says_so_where_it_cannot(void **state)
{
    static const struct {
        enum cph_security a, b;
        bool secure;
    } row[] = {
        { PREF, PREF, true },  { PREF, REQ, true },   { PREF, NONE, false },
        { NONE, PREF, false }, { NONE, NONE, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct pair t;

        pair_open(&t, row[i].a, row[i].b, "sdes");
        call(&t);
        assert_int_equal(happened(&t.a, CPH_SESSION_PLAIN, NULL), !row[i].secure);
        assert_int_equal(happened(&t.b, CPH_SESSION_PLAIN, NULL), !row[i].secure);
        talk(&t);
        came_by(&t.a, CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT);
        assert_int_equal(level(&t.a), row[i].secure ? CPH_LEVEL_HOP : CPH_LEVEL_OPEN);
        assert_int_equal(reason(&t.a, CPH_REASON_CLEAR_IN), !row[i].secure);
        assert_int_equal(reason(&t.a, CPH_REASON_FALLBACK), !row[i].secure && row[i].a == PREF);
        pair_close(&t);
    }
}

static void required_refuses_a_peer_that_has_no_keys(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, NONE, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
    pair_close(&t);
}

static void media_in_clear_is_refused_loudly_where_keys_are_in_use(void **state)
{
    struct pair t;
    struct pkt k;
    struct cph_session_packet got;
    struct cph_session_event ev;

    (void)state;
    pair_open(&t, PREF, PREF, "sdes"); /* even under prefer: RFC 8643 3.3 */
    call(&t);
    (void)happened(&t.b, CPH_SESSION_NOTICE, NULL);
    rtp(&t.a, &k, 0x55);
    k.port = CPH_KEYING_RTP;
    assert_true(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]) != CPH_OK);
    assert_err(cph_session_take(t.b.s, &got), CPH_E_AGAIN);
    rtcp(&t.a, &k);
    k.port = CPH_KEYING_RTCP;
    assert_true(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][1]) != CPH_OK);
    assert_true(happened(&t.b, CPH_SESSION_NOTICE, &ev));
    assert_non_null(strstr(ev.why, "in clear"));
    assert_int_equal(cph_session_counts(t.b.s).clear_refused, 2);
    assert_true(reason(&t.b, CPH_REASON_CLEAR_REFUSED));
    assert_false(reason(&t.b, CPH_REASON_CLEAR_IN));
    for (int i = 0; i < 50; i++) { /* and not a notice for each */
        rtp(&t.a, &k, 0x55);
        k.port = CPH_KEYING_RTP;
        assert_true(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]) != CPH_OK);
    }
    talk(&t);
    pair_close(&t);
}

static void a_policy_that_nothing_can_keep_is_refused_at_once(void **state)
{
    struct party p;

    (void)state;
    party_init(&p, 1, REQ, "dtls"); /* no certificate */
    assert_err(cph_session_new(&p.cfg, p.media, 1, 0, &p.s), CPH_E_CONFIG);
    p.cfg.policy.keying[0] = "no such thing";
    assert_err(cph_session_new(&p.cfg, p.media, 1, 0, &p.s), CPH_E_CONFIG);
    p.cfg.policy.keying_n = 0;
    assert_err(cph_session_new(&p.cfg, p.media, 0, 0, &p.s), CPH_E_ARGUMENT);
    assert_err(cph_session_new(&p.cfg, p.media, CPH_SESSION_STREAMS + 1, 0, &p.s), CPH_E_LIMIT);
    p.s = NULL;
    party_end(&p);
}

/* ---- early media ----------------------------------------------------------------------------- */

static void media_before_the_answer_is_kept_and_played_in_order(void **state)
{
    struct pair t;
    struct cph_session_packet got;
    struct pkt k;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    for (uint8_t i = 0; i < 10; i++) { /* Bob speaks; his answer is on its way */
        rtp(&t.b, &k, i);
        assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
        assert_ok(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]));
        assert_err(cph_session_take(t.a.s, &got), CPH_E_AGAIN);
        t.now += CPH_MS(20);
    }
    assert_int_equal(cph_session_counts(t.a.s).early_kept, 10);
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, t.now));
    for (uint8_t i = 0; i < 10; i++) {
        assert_ok(cph_session_take(t.a.s, &got));
        assert_int_equal(got.bytes.p[12], i);
        assert_int_equal(got.came, CPH_MS(20) * i);
        assert_int_equal(got.branch, 1);
    }
    assert_err(cph_session_take(t.a.s, &got), CPH_E_AGAIN);
    assert_int_equal(cph_session_counts(t.a.s).early_played, 10);
    talk(&t);
    pair_close(&t);
}

static void early_media_is_bounded_in_number_and_time(void **state)
{
    struct pair t;
    struct cph_session_packet got;
    struct pkt k;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    for (unsigned i = 0; i < CPH_EARLY_PACKETS_DEFAULT + 20; i++) {
        rtp(&t.b, &k, (uint8_t)i);
        assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
        assert_ok(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]));
    }
    assert_int_equal(cph_session_counts(t.a.s).early_kept, CPH_EARLY_PACKETS_DEFAULT);
    assert_int_equal(cph_session_counts(t.a.s).early_lost, 20);
    t.now = CPH_MS(CPH_EARLY_MS_DEFAULT);
    assert_true(cph_session_deadline(t.a.s) == t.now);
    cph_session_tick(t.a.s, t.now - 1);
    assert_int_equal(cph_session_counts(t.a.s).early_lost, 20);
    cph_session_tick(t.a.s, t.now);
    assert_int_equal(cph_session_counts(t.a.s).early_lost, 20 + CPH_EARLY_PACKETS_DEFAULT);
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, t.now));
    assert_err(cph_session_take(t.a.s, &got), CPH_E_AGAIN);
    talk(&t); /* and what comes later is heard */
    pair_close(&t);
}

/* A stranger's packet, from a host of his choice. */
static void flood(struct pair *t, uint32_t host, unsigned n)
{
    struct cph_addr from = { .family = CPH_AF_V4, .port = 9 };
    struct pkt k;

    from.ip[0] = 203;
    for (unsigned i = 0; i < 3; i++)
        from.ip[1 + i] = (uint8_t)(host >> 8 * i);
    for (unsigned i = 0; i < n; i++) {
        memset(k.b, 0x80, k.n = 182);
        k.port = CPH_KEYING_RTP;
        assert_ok(feed_from(t, &t->a, 0, &k, &from));
    }
}

static void early_word(struct pair *t, unsigned i)
{
    struct pkt k;

    rtp(&t->b, &k, (uint8_t)i);
    assert_ok(protect(t, &t->b, 0, CPH_KEYING_RTP, &k));
    assert_ok(feed_from(t, &t->a, 0, &k, &t->b.addr[0][0]));
}

/* What was said is heard in order; how much of it. */
static unsigned words(struct pair *t)
{
    struct cph_session_packet got;
    unsigned n = 0, last = 0;

    assert_ok(cph_session_finish(t->a.s, 1, t->b.text, t->now));
    for (; cph_session_take(t->a.s, &got) == CPH_OK; n++) {
        assert_true(n == 0 || got.bytes.p[12] > last);
        last = got.bytes.p[12];
    }
    return n;
}

static void who_floods_a_ringing_phone_does_not_push_out_the_peer(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes"); /* one host, before and while the peer speaks */
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    flood(&t, 1, 1000);
    for (unsigned i = 0; i < 130; i++) {
        early_word(&t, i);
        flood(&t, 1, 20);
    }
    assert_int_equal(words(&t), CPH_EARLY_PACKETS_DEFAULT / 2);
    talk(&t);
    pair_close(&t);

    pair_open(&t, REQ, REQ, "sdes"); /* another address each time */
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    for (unsigned i = 0; i < 1000; i++)
        flood(&t, i, 1);
    for (unsigned i = 0; i < 100; i++) {
        early_word(&t, i);
        for (unsigned k = 0; k < 100; k++)
            flood(&t, 1000 + 100 * i + k, 1);
    }
    assert_int_equal(words(&t), 100);
    talk(&t);
    pair_close(&t);
}

static void junk_before_the_answer_is_thrown_away_once_there_are_keys(void **state)
{
    struct pair t;
    struct cph_session_packet got;
    struct pkt k;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    rtp(&t.b, &k, 7);
    k.port = CPH_KEYING_RTP;
    assert_ok(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0])); /* in clear */
    rtp(&t.b, &k, 8);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
    assert_ok(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_take(t.a.s, &got));
    assert_int_equal(got.bytes.p[12], 8);
    assert_err(cph_session_take(t.a.s, &got), CPH_E_AGAIN);
    assert_int_equal(cph_session_counts(t.a.s).clear_refused, 1);
    assert_false(reason(&t.a, CPH_REASON_CLEAR_IN));
    pair_close(&t);
}

/* ---- changes of a standing call -------------------------------------------------------------- */

static void roc_of(struct party *p, uint32_t turns, struct pair *t, struct party *q)
{
    for (uint32_t i = 0; i < turns * 65536u; i += 1000) { /* jumps that guessing survives */
        p->seq = (uint16_t)(p->seq + 999);
        assert_ok(say(t, p, q, 0x44));
    }
}

/* Complaint 1: the ROC lost on re-INVITE and hold. */
static void hold_and_resume_keep_the_roll_over_counter(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    roc_of(&t.a, 2, &t, &t.b);
    roc_of(&t.b, 1, &t, &t.a);
    for (int i = 0; i < 3; i++) {
        assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDONLY)); /* hold */
        exchange(&t, &t.a, &t.b);
        assert_ok(say(&t, &t.a, &t.b, 1));
        assert_err(say(&t, &t.b, &t.a, 2), CPH_E_STATE);
        assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDRECV)); /* resume */
        exchange(&t, &t.a, &t.b);
        talk(&t);
    }
    exchange(&t, &t.b, &t.a); /* and the other side may offer */
    talk(&t);
    roc_of(&t.a, 1, &t, &t.b);
    assert_int_equal(cph_session_counts(t.b.s).auth_failed, 0);
    pair_close(&t);
}

static void a_rekey_changes_keys_both_ways_and_media_goes_on(void **state)
{
    struct pair t;
    struct pkt late;
    struct cph_session_packet got;
    char before[SDP_MAX];

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_err(cph_session_rekey(t.a.s), CPH_E_STATE);
    call(&t);
    talk(&t);
    strcpy(before, t.a.sdp);
    rtp(&t.b, &late, 9); /* under way while the keys change */
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &late));
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_string_not_equal(before, t.a.sdp);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, NULL));
    assert_ok(feed_from(&t, &t.a, 0, &late, &t.b.addr[0][0])); /* still good for a while */
    assert_ok(cph_session_take(t.a.s, &got));
    talk(&t);
    rtp(&t.b, &late, 9);
    t.now += CPH_SEC(10);
    cph_session_tick(t.a.s, t.now);
    talk(&t);
    assert_true(reason(&t.a, CPH_REASON_REKEYED));
    pair_close(&t);
}

static void old_keys_are_forgotten_after_the_grace(void **state)
{
    struct pair t;
    struct pkt late;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    talk(&t);
    rtp(&t.b, &late, 9);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &late));
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_true(cph_session_deadline(t.a.s) == t.now + CPH_SEC(3));
    t.now += CPH_SEC(3);
    cph_session_tick(t.a.s, t.now);
    assert_true(feed_from(&t, &t.a, 0, &late, &t.b.addr[0][0]) != CPH_OK);
    pair_close(&t);
}

/* Complaint 3: a new key in the 200 after the 183. */
static void a_second_answer_on_the_same_branch_changes_the_key(void **state)
{
    struct pair t;
    struct party b2;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    talk(&t);
    party_init(&b2, 2, REQ, "sdes"); /* the gateway answers anew, with another key */
    test_random(&b2.env);
    party_start(&b2);
    assert_ok(answer(&t, &b2, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, b2.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    b2.ssrc++;
    assert_ok(say(&t, &b2, &t.a, 3));
    assert_ok(say(&t, &t.a, &b2, 4));
    party_end(&b2);
    pair_close(&t);
}

/* RFC 3264 8.3.2 MUST: whoever gave a payload number its meaning, a later offer keeps it. */
static void numbers_of_codecs_keep_their_meaning_whoever_offers(void **state)
{
    static const struct cph_sdp_codec theirs[] = { { "PCMU", 8000, 1, 0, NULL },
                                                   { "telephone-event", 8000, 1, 96, "0-15" } };
    static const struct cph_sdp_codec ours[] = { { "opus", 48000, 2, 96, NULL },
                                                 { "PCMU", 8000, 1, 0, NULL },
                                                 { "telephone-event", 8000, 1, 101, "0-15" } };
    struct pair t = { 0 };

    (void)state;
    party_init(&t.a, 1, REQ, "sdes");
    party_init(&t.b, 2, REQ, "sdes");
    t.a.media[0].codecs = theirs;
    t.b.media[0].codecs = ours;
    t.b.media[0].n_codecs = 3;
    party_start(&t.a);
    party_start(&t.b);
    call(&t);
    assert_ok(cph_session_rekey(t.b.s));
    exchange(&t, &t.b, &t.a);
    t.b.sdp[t.b.text.n] = '\0';
    assert_non_null(strstr(t.b.sdp, "a=rtpmap:96 telephone-event/8000"));
    assert_null(strstr(t.b.sdp, "a=rtpmap:96 opus"));
    assert_non_null(strstr(t.b.sdp, " opus/48000/2"));
    talk(&t);
    exchange(&t, &t.a, &t.b); /* and back: what the other gave stays, too */
    t.a.sdp[t.a.text.n] = '\0';
    assert_non_null(strstr(t.a.sdp, "a=rtpmap:96 telephone-event/8000"));
    talk(&t);
    pair_close(&t);
}

static void a_refused_reoffer_leaves_everything_as_it_was(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    roc_of(&t.a, 1, &t, &t.b);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    assert_err(offer(&t, &t.a), CPH_E_STATE);
    assert_err(answer(&t, &t.a, t.b.text), CPH_E_STATE); /* glare: 491 */
    cph_session_rollback(t.a.s);
    talk(&t);
    assert_err(cph_session_finish(t.a.s, 1, t.b.text, 0), CPH_E_STATE);
    exchange(&t, &t.b, &t.a);
    talk(&t);
    pair_close(&t);
}

/* A refresh repeats what was said: a wish for new keys that was refused is none of the peer's. */
static void an_answer_that_comes_again_brings_no_key_that_nobody_was_told(void **state)
{
    struct cph_wr wr;
    char again[SDP_MAX];
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    talk(&t);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    cph_session_rollback(t.a.s); /* refused */
    wr = cph_wr_open(again, sizeof again);
    assert_err(cph_session_offer_again(t.a.s, t.now, &wr), CPH_E_STATE);
    talk(&t);
    exchange(&t, &t.a, &t.b); /* and now it is told */
    assert_true(happened(&t.b, CPH_SESSION_KEYED, NULL));
    talk(&t);
    assert_ok(cph_session_offer_again(t.a.s, t.now, &wr));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, t.now));
    talk(&t);
    pair_close(&t);
}

static void a_reoffer_without_keys_does_not_take_them_away(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, PREF, PREF, "sdes");
    call(&t);
    talk(&t);
    assert_ok(offer(&t, &t.a));
    strip(&t.a, "a=crypto"); /* somebody takes the keys out in the middle of the call */
    assert_err(answer(&t, &t.b, t.a.text), CPH_E_POLICY);
    assert_true(happened(&t.b, CPH_SESSION_NOTICE, NULL)); /* nothing has ended */
    cph_session_rollback(t.a.s);
    talk(&t);
    pair_close(&t);
}

static void a_first_offer_that_failed_can_be_made_again(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_true(cph_session_finish(t.a.s, 1, CPH_SPAN_LIT("v=0\r\n"), 0) != CPH_OK);
    cph_session_rollback(t.a.s);
    assert_err(cph_session_choose(t.a.s, 1), CPH_E_NOTFOUND);
    call(&t);
    talk(&t);
    pair_close(&t);
}

static void streams_are_added_and_removed_and_the_others_do_not_notice(void **state)
{
    struct pair t;
    unsigned at;
    struct pkt k;
    struct cph_session_packet got;
    struct cph_sdp_agreed agreed;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    roc_of(&t.a, 1, &t, &t.b);
    assert_ok(cph_session_add(t.a.s, &t.a.media[1], &at));
    assert_ok(cph_session_add(t.b.s, &t.b.media[1], &at));
    assert_int_equal(at, 1);
    exchange(&t, &t.a, &t.b);
    talk(&t);
    rtp(&t.a, &k, 6);
    assert_ok(protect(&t, &t.a, 1, CPH_KEYING_RTP, &k));
    assert_true(cph_addr_eq(&k.to, &t.b.addr[1][0]));
    assert_ok(feed_from(&t, &t.b, 1, &k, &t.a.addr[1][0]));
    assert_ok(cph_session_take(t.b.s, &got));
    assert_int_equal(got.stream, 1);
    assert_ok(cph_session_remove(t.a.s, 1));
    exchange(&t, &t.a, &t.b);
    rtp(&t.a, &k, 6);
    assert_err(protect(&t, &t.a, 1, CPH_KEYING_RTP, &k), CPH_E_STATE);
    assert_ok(cph_session_agreed(t.a.s, 1, &agreed));
    assert_false(agreed.active);
    talk(&t);
    came_by(&t.a, CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER);
    assert_int_equal(level(&t.a),
                     CPH_LEVEL_VERIFIED); /* the removed line counts with what it was */
    assert_int_equal(cph_session_streams(t.a.s), 2);
    assert_err(cph_session_direction(t.a.s, 1, CPH_SDP_SENDRECV), CPH_E_ARGUMENT);
    assert_err(cph_session_remove(t.a.s, 2), CPH_E_ARGUMENT);
    pair_close(&t);
}

static void a_late_offer_works_too(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    exchange(&t, &t.b, &t.a); /* the INVITE had none: the callee offers in its 200 */
    assert_ok(cph_session_choose(t.b.s, 1));
    talk(&t);
    pair_close(&t);
}

/* ---- forks ----------------------------------------------------------------------------------- */

static void each_branch_has_keys_of_its_own_and_the_choice_wipes_the_others(void **state)
{
    struct pair t;
    struct party c;
    struct pkt from_b, from_c;
    struct cph_session_packet got;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    party_init(&c, 3, REQ, "sdes");
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_finish(t.a.s, 2, c.text, 0));
    rtp(&t.b, &from_b, 0xb);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &from_b));
    rtp(&c, &from_c, 0xc);
    assert_ok(protect(&t, &c, 0, CPH_KEYING_RTP, &from_c));
    assert_ok(feed_from(&t, &t.a, 0, &from_b, &t.b.addr[0][0]));
    assert_ok(cph_session_take(t.a.s, &got));
    assert_int_equal(got.branch, 1);
    assert_int_equal(got.bytes.p[12], 0xb);
    assert_ok(feed_from(&t, &t.a, 0, &from_c, &c.addr[0][0]));
    assert_ok(cph_session_take(t.a.s, &got));
    assert_int_equal(got.branch, 2);
    assert_err(say(&t, &t.b, &c, 1), CPH_E_AUTH); /* R3: they do not know each other's keys */

    assert_err(cph_session_choose(t.a.s, 3), CPH_E_NOTFOUND);
    assert_ok(cph_session_choose(t.a.s, 2));
    assert_true(
        happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL)); /* both know the key we send with */
    rtp(&t.b, &from_b, 0xb);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &from_b));
    assert_true(feed_from(&t, &t.a, 0, &from_b, &t.b.addr[0][0]) != CPH_OK);
    assert_ok(say(&t, &c, &t.a, 2));
    assert_ok(say(&t, &t.a, &c, 3));
    assert_ok(cph_session_rekey(t.a.s)); /* after which the loser knows nothing */
    exchange(&t, &t.a, &c);
    assert_ok(say(&t, &t.a, &c, 3));
    assert_true(say(&t, &t.a, &t.b, 3) != CPH_OK);
    party_end(&c);
    pair_close(&t);
}

static void branches_that_were_told_the_same_key_never_reuse_its_keystream(void **state)
{
    struct pair t;
    struct party c;
    struct pkt first, second;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    party_init(&c, 3, REQ, "sdes");
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    rtcp(&t.a, &first);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &first));
    assert_ok(cph_session_finish(t.a.s, 2, c.text, 0));
    rtcp(&t.a, &second);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &second));
    /* the SRTCP index, the last word (RFC 7714 9.2), goes on */
    assert_int_equal(first.b[first.n - 1], 0);
    assert_int_equal(second.b[second.n - 1], 1);
    cph_session_drop(t.a.s, 2); /* and on, back on the first */
    rtcp(&t.a, &second);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTCP, &second));
    assert_int_equal(second.b[second.n - 1], 2);
    party_end(&c);
    pair_close(&t);
}

/* The SRTCP index of our next report: its last byte (RFC 7714 9.2). */
static unsigned next_index(struct pair *t)
{
    struct pkt k;

    rtcp(&t->a, &k);
    assert_ok(protect(t, &t->a, 0, CPH_KEYING_RTCP, &k));
    return k.b[k.n - 1];
}

static void a_key_goes_on_where_a_branch_that_is_gone_left_it(void **state)
{
    struct cph_session_counts n;
    struct pair t;
    struct party c;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    party_init(&c, 3, REQ, "sdes");
    test_random(&c.env);
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_int_equal(next_index(&t), 0);
    assert_int_equal(next_index(&t), 1);
    cph_session_drop(t.a.s, 1); /* it hung up while it was early; another one is called next */
    assert_ok(cph_session_finish(t.a.s, 2, c.text, 0));
    assert_int_equal(next_index(&t), 2);
    cph_session_drop(t.a.s, 2);
    assert_ok(cph_session_finish(t.a.s, 3, c.text, 0));
    assert_int_equal(next_index(&t), 3);
    assert_false(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL));
    assert_ok(cph_session_choose(t.a.s, 3));
    assert_true(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL)); /* they know it still */
    assert_int_equal(next_index(&t), 4);
    n = cph_session_counts(t.a.s);
    assert_int_equal(n.rtcp_out, 5);
    party_end(&c);
    pair_close(&t);
}

/* A gateway answers with one suite, with another, and with the first again. */
static void a_key_that_comes_back_while_it_rings_goes_on(void **state)
{
    struct pair t;
    struct party b[2];

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    for (unsigned i = 0; i < 2; i++) {
        static const char *const suite[2][2] = { { "AEAD_AES_256_GCM", NULL },
                                                 { "AEAD_AES_128_GCM", NULL } };

        party_init(&b[i], 2 + i, REQ, "sdes");
        b[i].cfg.keying.suites = suite[i];
        party_start(&b[i]);
        assert_ok(answer(&t, &b[i], t.a.text));
    }
    assert_ok(cph_session_finish(t.a.s, 1, b[0].text, 0));
    assert_int_equal(next_index(&t), 0);
    assert_ok(cph_session_finish(t.a.s, 1, b[1].text, 0));
    assert_int_equal(next_index(&t), 0); /* another key */
    assert_ok(cph_session_finish(t.a.s, 1, b[0].text, 0));
    assert_int_equal(next_index(&t), 1);
    assert_ok(cph_session_choose(t.a.s, 1));
    assert_int_equal(next_index(&t), 2);
    for (unsigned i = 0; i < 2; i++)
        party_end(&b[i]);
    pair_close(&t);
}

/* Complaint 11, R2: a fork to a phone with keys and one without. */
static void a_fork_to_srtp_and_rtp_phones_works_under_prefer(void **state)
{
    struct pair t;
    struct party c;
    struct pkt k;
    struct cph_session_packet got;

    (void)state;
    pair_open(&t, PREF, PREF, "sdes");
    party_init(&c, 3, NONE, "sdes");
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_finish(t.a.s, 2, c.text, 0));
    assert_ok(say(&t, &t.b, &t.a, 1));
    rtp(&c, &k, 2);
    k.port = CPH_KEYING_RTP;
    assert_true(feed_from(&t, &t.a, 0, &k, &t.b.addr[0][0]) != CPH_OK); /* not from where it said */
    assert_ok(feed_from(&t, &t.a, 0, &k, &c.addr[0][0]));
    assert_ok(cph_session_take(t.a.s, &got));
    assert_int_equal(got.branch, 2);
    assert_ok(cph_session_choose(t.a.s, 1));
    talk(&t);
    assert_true(feed_from(&t, &t.a, 0, &k, &c.addr[0][0]) != CPH_OK);
    assert_true(reason(&t.a, CPH_REASON_CLEAR_IN)); /* some of it was heard in clear */
    party_end(&c);
    pair_close(&t);
}

static void branches_are_bounded_and_may_go(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    for (unsigned i = 1; i <= CPH_SESSION_BRANCHES + 1; i++) {
        struct party p;

        party_init(&p, 10 + i, REQ, "sdes");
        party_start(&p);
        assert_ok(answer(&t, &p, t.a.text));
        assert_err(cph_session_finish(t.a.s, i, p.text, 0),
                   i <= CPH_SESSION_BRANCHES ? CPH_OK : CPH_E_LIMIT);
        party_end(&p);
    }
    for (unsigned i = 0; i <= CPH_SESSION_BRANCHES; i++)
        cph_session_drop(t.a.s, i);        /* 0 was never there */
    assert_ok(answer(&t, &t.b, t.a.text)); /* and the last phone answers after all others went */
    assert_ok(cph_session_finish(t.a.s, 77, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 77));
    talk(&t);
    pair_close(&t);
}

static void a_bad_answer_of_one_branch_leaves_the_others_alone(void **state)
{
    struct pair t;
    struct party c;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    party_init(&c, 3, REQ, "sdes");
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    strip(&c, "a=crypto");
    assert_err(cph_session_finish(t.a.s, 2, c.text, 0), CPH_E_POLICY);
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_err(cph_session_finish(t.a.s, 3, CPH_SPAN_LIT("v=0\r\nnonsense"), 0), CPH_E_MALFORMED);
    assert_ok(cph_session_choose(t.a.s, 1));
    talk(&t);
    party_end(&c);
    pair_close(&t);
}

/* ---- where media goes ------------------------------------------------------------------------ */

static void we_follow_authenticated_media_and_nothing_else(void **state)
{
    struct pair t;
    struct cph_addr nat, evil;
    struct pkt old, k;
    struct cph_session_packet got;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    talk(&t);
    assert_ok(cph_addr_parse(cph_span_of("203.0.113.5:7777"), &nat));
    assert_ok(cph_addr_parse(cph_span_of("198.51.100.66:666"), &evil));
    rtp(&t.b, &old, 1);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &old));
    rtp(&t.b, &k, 1);
    assert_ok(protect(&t, &t.b, 0, CPH_KEYING_RTP, &k));
    (void)happened(&t.a, CPH_SESSION_NOTICE, NULL);
    assert_ok(feed_from(&t, &t.a, 0, &k, &nat));
    assert_ok(cph_session_take(t.a.s, &got));
    assert_true(happened(&t.a, CPH_SESSION_NOTICE, NULL));
    assert_ok(feed_from(&t, &t.a, 0, &old, &evil)); /* held back, then sent on from elsewhere */
    assert_ok(cph_session_take(t.a.s, &got));
    assert_true(feed_from(&t, &t.a, 0, &k, &evil) != CPH_OK); /* replayed */
    k.b[40] ^= 1;
    assert_true(feed_from(&t, &t.a, 0, &k, &evil) != CPH_OK); /* forged */
    rtp(&t.a, &k, 1);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
    assert_true(cph_addr_eq(&k.to, &nat));
    pair_close(&t);

    pair_open(&t, NONE, NONE, "sdes"); /* media in clear moves nobody */
    call(&t);
    rtp(&t.b, &k, 1);
    k.port = CPH_KEYING_RTP;
    assert_ok(feed_from(&t, &t.a, 0, &k, &evil));
    rtp(&t.a, &k, 1);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
    assert_true(cph_addr_eq(&k.to, &t.b.addr[0][0]));
    pair_close(&t);
}

/* ---- lifetime -------------------------------------------------------------------------------- */

static void a_key_near_its_end_asks_for_a_new_one(void **state)
{
    struct pair t;
    struct cph_session_event ev;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    /* a peer that allows 70000 packets under its key: the last 65536 of them are "soon" */
    {
        char *at;
        char with[SDP_MAX];

        t.b.sdp[t.b.text.n] = '\0';
        at = strstr(t.b.sdp, "inline:");
        at += strcspn(at, "| \r");
        (void)snprintf(with, sizeof with, "%.*s|70000%s", (int)(at - t.b.sdp), t.b.sdp,
                       at + (*at == '|' ? strcspn(at, " \r") : 0));
        strcpy(t.b.sdp, with);
        t.b.text = cph_span_of(t.b.sdp);
    }
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    (void)happened(&t.a, CPH_SESSION_KEYED, NULL);
    for (unsigned i = 0; i < 6000; i++) {
        assert_ok(say(&t, &t.b, &t.a, 1));
        assert_ok(say(&t, &t.a, &t.b, 1));
    }
    assert_true(happened(&t.a, CPH_SESSION_REKEY_WANTED, &ev));
    assert_ok(say(&t, &t.a, &t.b, 1));
    assert_false(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL)); /* once */
    pair_close(&t);
}

/* ---- verdict --------------------------------------------------------------------------------- */

static void the_verdict_follows_the_path_of_the_keys(void **state)
{
    static const struct {
        enum cph_hop_transport tr;
        enum cph_hop_auth auth;
        enum cph_hop_whose whose;
        enum cph_level level;
    } row[] = {
        { CPH_HOP_UDP, CPH_HOP_AUTH_UNKNOWN, CPH_HOP_WHOSE_UNKNOWN, CPH_LEVEL_OPEN },
        { CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_DOMAIN, CPH_LEVEL_HOP },
        { CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_PEER, CPH_LEVEL_IDENTIFIED },
        { CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER, CPH_LEVEL_VERIFIED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct pair t;
        struct cph_verdict v;

        pair_open(&t, REQ, REQ, "sdes");
        assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
        call(&t);
        talk(&t);
        came_by(&t.a, row[i].tr, row[i].auth, row[i].whose);
        cph_session_verdict(t.a.s, &v);
        assert_int_equal(v.level, row[i].level);
        assert_true(v.policy_kept);
        assert_int_equal(v.streams_n, 1);
        assert_string_equal(v.stream[0].keying, "sdes");
        assert_int_equal(v.stream[0].packets_in, 3);
        assert_int_equal(v.stream[0].packets_out, 3);
        cph_session_proof(t.a.s, CPH_PROOF_COVERED); /* does not unread what a proxy has read */
        assert_int_equal(level(&t.a), row[i].level);
        pair_close(&t);
    }
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void the_ssm_interface_does_the_same(void **state)
{
    struct pair t;
    struct pkt k;
    const struct cph_ssm *a, *b;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    a = cph_session_ssm(t.a.s);
    b = cph_session_ssm(t.b.s);
    rtp(&t.a, &k, 3);
    assert_err(a->encrypt(a->ctx, 0, CPH_SSM_RTP, k.b, &k.n, sizeof k.b, 0), CPH_E_NOKEY);
    call(&t);
    assert_ok(a->encrypt(a->ctx, 0, CPH_SSM_RTP, k.b, &k.n, sizeof k.b, 0));
    assert_int_equal(k.b[12] == 3 && k.b[13] == 3 && k.b[14] == 3, 0);
    assert_ok(b->decrypt(b->ctx, 0, CPH_SSM_RTP, k.b, &k.n, 0));
    assert_int_equal(k.n, 172);
    assert_int_equal(k.b[12], 3);
    assert_err(b->decrypt(b->ctx, 0, CPH_SSM_RTP, k.b, &k.n, 0), CPH_E_REPLAY);
    pair_close(&t);
}

static void nobody_listening_costs_bounded_memory(void **state)
{
    struct pair t;
    struct pkt k;
    struct cph_session_event ev;
    unsigned events = 0;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    call(&t);
    for (int i = 0; i < 100; i++) { /* packets nobody takes */
        rtp(&t.a, &k, 1);
        assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
        (void)feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]);
    }
    assert_int_equal(cph_session_counts(t.b.s).in, 16);
    for (int i = 0; i < 100; i++) { /* events nobody takes */
        assert_ok(cph_session_rekey(t.a.s));
        exchange(&t, &t.a, &t.b);
    }
    while (cph_session_event(t.a.s, &ev) == CPH_OK)
        events++;
    assert_int_equal(events, 32);
    pair_close(&t);
}

static cph_err scenario(void *arg)
{
    struct pair *t = arg;
    char one[SDP_MAX], two[SDP_MAX];
    struct cph_wr wr = cph_wr_open(one, sizeof one);
    struct cph_session *a = NULL, *b = NULL;
    cph_err err = cph_session_new(&t->a.cfg, t->a.media, 1, 0, &a);

    if (err == CPH_OK)
        err = cph_session_new(&t->b.cfg, t->b.media, 1, 0, &b);
    if (err == CPH_OK)
        err = cph_session_offer(a, 0, &wr);
    if (err == CPH_OK) {
        struct cph_wr back = cph_wr_open(two, sizeof two);

        err = cph_session_answer(b, cph_wr_done(&wr), 0, &back);
        if (err == CPH_OK)
            err = cph_session_finish(a, 1, cph_wr_done(&back), 0);
        if (err == CPH_OK)
            err = cph_session_choose(a, 1);
    }
    cph_session_free(a);
    cph_session_free(b);
    /* a line whose contexts could not be made fails, with the exchange standing */
    return err == CPH_E_NOTFOUND ? CPH_E_NOMEM : err;
}

static void lack_of_memory_is_said_and_leaks_nothing(void **state)
{
    struct pair t;

    (void)state;
    pair_open(&t, REQ, REQ, "sdes");
    test_alloc_fails(scenario, &t);
    pair_close(&t);
}

#ifndef TEST_SANITIZED
/* What is drawn for keys: 16 bytes and more. */
static uint8_t drawn[64][TEST_NEEDLE];
static size_t drawn_size[64], drawn_n;
static const struct cph_env *real;

static cph_err note(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    CPH_TRY(cph_random(real, buf, n));
    if (n >= 16 && n <= TEST_NEEDLE && drawn_n < 64) {
        test_mask(drawn[drawn_n], buf, n);
        drawn_size[drawn_n++] = n;
    }
    return CPH_OK;
}

static cph_err scenario_searched(void *arg)
{
    cph_err err;

    drawn_n = 0;
    err = scenario(arg);
    for (size_t i = 0; i < drawn_n; i++)
        assert_int_equal(test_in_memory(drawn[i], drawn_size[i], "what was drawn for a key"), 0);
    return err;
}
#endif

static void lack_of_memory_leaves_no_key_behind(void **state)
{
    (void)state;
#ifdef TEST_SANITIZED
    skip();
#else
    for (unsigned ekt = 0; ekt < 2; ekt++) {
        struct pair t = { .now = 0 };
        struct cph_env env;

        party_init(&t.a, 1, REQ, "sdes");
        party_init(&t.b, 2, REQ, "sdes");
        real = &t.a.env.env;
        env = *real;
        env.random = note;
        t.a.cfg.env = t.b.cfg.env = &env;
        t.a.cfg.ekt = t.b.cfg.ekt = ekt;
        test_alloc_fails(scenario_searched, &t);
        assert_true(drawn_n >= 2 + ekt);
        party_end(&t.a);
        party_end(&t.b);
    }
#endif
}

static void descriptions_that_do_not_fit_are_refused(void **state)
{
    static const char *const bad[] = { "", "v=0\r\n", "hello",
                                       "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n" };
    struct pair t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pair_open(&t, REQ, REQ, "sdes");
        assert_true(answer(&t, &t.b, cph_span_of(bad[i])) != CPH_OK);
        assert_ok(offer(&t, &t.a));
        assert_true(cph_session_finish(t.a.s, 1, cph_span_of(bad[i]), 0) != CPH_OK);
        assert_ok(answer(&t, &t.b, t.a.text)); /* and nothing is spoilt */
        assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
        assert_ok(cph_session_choose(t.a.s, 1));
        talk(&t);
        pair_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_keyed_and_media_goes_both_ways),
        cmocka_unit_test(what_goes_on_the_wire_is_not_what_was_said),
        cmocka_unit_test(with_rtcp_mux_both_share_a_port_and_are_told_apart),
        cmocka_unit_test(damaged_replayed_and_foreign_packets_are_dropped_and_counted),
        cmocka_unit_test(a_stripped_crypto_line_ends_the_call_under_required),
        cmocka_unit_test(a_changed_profile_in_the_answer_ends_the_call_under_required),
        cmocka_unit_test(prefer_uses_keys_where_it_can_and_says_so_where_it_cannot),
        cmocka_unit_test(required_refuses_a_peer_that_has_no_keys),
        cmocka_unit_test(media_in_clear_is_refused_loudly_where_keys_are_in_use),
        cmocka_unit_test(a_policy_that_nothing_can_keep_is_refused_at_once),
        cmocka_unit_test(media_before_the_answer_is_kept_and_played_in_order),
        cmocka_unit_test(early_media_is_bounded_in_number_and_time),
        cmocka_unit_test(who_floods_a_ringing_phone_does_not_push_out_the_peer),
        cmocka_unit_test(junk_before_the_answer_is_thrown_away_once_there_are_keys),
        cmocka_unit_test(hold_and_resume_keep_the_roll_over_counter),
        cmocka_unit_test(a_rekey_changes_keys_both_ways_and_media_goes_on),
        cmocka_unit_test(old_keys_are_forgotten_after_the_grace),
        cmocka_unit_test(a_second_answer_on_the_same_branch_changes_the_key),
        cmocka_unit_test(numbers_of_codecs_keep_their_meaning_whoever_offers),
        cmocka_unit_test(a_refused_reoffer_leaves_everything_as_it_was),
        cmocka_unit_test(an_answer_that_comes_again_brings_no_key_that_nobody_was_told),
        cmocka_unit_test(a_reoffer_without_keys_does_not_take_them_away),
        cmocka_unit_test(a_first_offer_that_failed_can_be_made_again),
        cmocka_unit_test(streams_are_added_and_removed_and_the_others_do_not_notice),
        cmocka_unit_test(a_late_offer_works_too),
        cmocka_unit_test(each_branch_has_keys_of_its_own_and_the_choice_wipes_the_others),
        cmocka_unit_test(branches_that_were_told_the_same_key_never_reuse_its_keystream),
        cmocka_unit_test(a_key_goes_on_where_a_branch_that_is_gone_left_it),
        cmocka_unit_test(a_key_that_comes_back_while_it_rings_goes_on),
        cmocka_unit_test(a_fork_to_srtp_and_rtp_phones_works_under_prefer),
        cmocka_unit_test(branches_are_bounded_and_may_go),
        cmocka_unit_test(a_bad_answer_of_one_branch_leaves_the_others_alone),
        cmocka_unit_test(we_follow_authenticated_media_and_nothing_else),
        cmocka_unit_test(a_key_near_its_end_asks_for_a_new_one),
        cmocka_unit_test(the_verdict_follows_the_path_of_the_keys),
        cmocka_unit_test(the_ssm_interface_does_the_same),
        cmocka_unit_test(nobody_listening_costs_bounded_memory),
        cmocka_unit_test(lack_of_memory_is_said_and_leaks_nothing),
        cmocka_unit_test(lack_of_memory_leaves_no_key_behind),
        cmocka_unit_test(descriptions_that_do_not_fit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

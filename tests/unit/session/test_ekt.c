/* Sessions whose packets bring their keys along (EKT, RFC 8870), and encrypted headers. */
#include "pair.h"

#include <stdlib.h>

#include "ciphony/srtp_ekt.h"

static struct pair t;

/* A set as the host of a conference would have it. */
static struct cph_ekt_params conference(uint16_t spi, uint32_t ttl_s)
{
    struct cph_ekt_params set = { .spi = spi, .cipher = CPH_EKT_AESKW256, .ttl_s = ttl_s };

    set.key.n = 32;
    memset(set.key.b, spi, set.key.n);
    set.salt.n = 14;
    memset(set.salt.b, 0x5a, set.salt.n);
    return set;
}

static void begin(void)
{
    struct party *p[2] = { &t.a, &t.b };

    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < 2; i++) {
        party_init(p[i], i + 1, CPH_SECURITY_REQUIRED, "sdes");
        p[i]->cfg.ekt = true;
        p[i]->media[0].rtcp_mux = true;
    }
}

static void start(void)
{
    party_start(&t.a);
    party_start(&t.b);
}

static void begin_call(void)
{
    begin();
    start();
    call(&t);
}

static bool is_full(const struct pkt *k)
{
    return k->b[k->n - 1] == CPH_EKT_FULL;
}

static unsigned spi_of(const struct pkt *k)
{
    assert_true(is_full(k));
    return (unsigned)(k->b[k->n - 7] << 8 | k->b[k->n - 6]);
}

static unsigned epoch_of(const struct pkt *k)
{
    assert_true(is_full(k));
    return (unsigned)(k->b[k->n - 5] << 8 | k->b[k->n - 4]);
}

static void send(struct party *p, struct pkt *k)
{
    rtp(p, k, 0x33);
    assert_ok(protect(&t, p, 0, CPH_KEYING_RTP, k));
}

/* Does q hear it? */
static cph_err hears(struct party *p, struct party *q, const struct pkt *k)
{
    struct cph_session_packet got;

    CPH_TRY(feed_from(&t, q, 0, k, &p->addr[0][k->port]));
    CPH_TRY(cph_session_take(q->s, &got));
    assert_int_equal(got.bytes.n, 172);
    assert_int_equal(got.bytes.p[12], 0x33);
    return CPH_OK;
}

static void pass(cph_time us)
{
    t.now += us;
    cph_session_tick(t.a.s, t.now);
    cph_session_tick(t.b.s, t.now);
}

/* ---- what goes ------------------------------------------------------------------------------- */

static void keys_come_with_the_first_packets_and_then_ten_times_a_second(void **state)
{
    unsigned full = 0;
    struct pkt k;

    (void)state;
    begin_call();
    for (unsigned i = 0; i < 53; i++) {
        send(&t.a, &k);
        assert_ok(hears(&t.a, &t.b, &k));
        full += is_full(&k);
        assert_true(i >= 3 || is_full(&k));
        pass(CPH_MS(20));
    }
    assert_in_range(full, 12, 13); /* three, and one of each five */
    talk(&t);
    pair_close(&t);
}

static void rtcp_goes_under_the_keys_that_media_told(void **state)
{
    struct cph_session_packet got;
    struct pkt k;

    (void)state;
    begin_call();
    talk(&t);
    for (int i = 0; i < 2; i++) {
        struct party *p = i ? &t.b : &t.a, *q = i ? &t.a : &t.b;

        rtcp(p, &k);
        assert_ok(protect(&t, p, 0, CPH_KEYING_RTCP, &k));
        assert_ok(feed_from(&t, q, 0, &k, &p->addr[0][k.port]));
        assert_ok(cph_session_take(q->s, &got));
        assert_int_equal(got.component, CPH_KEYING_RTCP);
        assert_err(feed_from(&t, q, 0, &k, &p->addr[0][k.port]), CPH_E_REPLAY);
        assert_err(feed_from(&t, p, 0, &k, &q->addr[0][k.port]), CPH_E_POLICY); /* reflected */
    }
    pair_close(&t);
}

static void our_own_packets_sent_back_are_not_the_peer_s(void **state)
{
    struct pkt k;

    (void)state;
    begin_call();
    for (int i = 0; i < 5; i++) {
        send(&t.a, &k);
        assert_err(hears(&t.b, &t.a, &k), CPH_E_POLICY);
    }
    assert_int_equal(cph_session_counts(t.a.s).in, 0);
    pair_close(&t);
}

/* ---- keys change without signalling ---------------------------------------------------------- */

static void either_side_changes_its_key_at_any_time_and_nothing_is_lost(void **state)
{
    struct party *p[2] = { &t.a, &t.b };
    struct cph_session_event ev;
    unsigned last[2] = { 0, 0 };
    struct pkt k;

    (void)state;
    begin_call();
    talk(&t);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, NULL));
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned w = 0; w < 2; w++) {
            if (i % 17 == w * 5)
                assert_ok(cph_session_rekey_media(p[w]->s, t.now));
            send(p[w], &k);
            assert_ok(hears(p[w], p[!w], &k));
            if (is_full(&k)) {
                assert_true(epoch_of(&k) >= last[w]);
                last[w] = epoch_of(&k);
            }
        }
        pass(CPH_MS(20));
    }
    assert_int_equal(last[0], 12);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "told in the media"));
    assert_true(reason(&t.a, CPH_REASON_REKEYED));
    pair_close(&t);
}

static void a_receiver_that_missed_a_new_key_has_it_with_the_next_full_tag(void **state)
{
    unsigned deaf = 0;
    struct pkt k, old;

    (void)state;
    begin_call();
    send(&t.a, &k);
    assert_ok(hears(&t.a, &t.b, &k));
    assert_ok(cph_session_rekey_media(t.a.s, t.now));
    for (unsigned i = 0; i < 15; i++) { /* 300 ms that never arrive */
        send(&t.a, &k);
        pass(CPH_MS(20));
    }
    old = k;
    for (unsigned i = 0; i < 6; i++) {
        cph_err err;

        send(&t.a, &k);
        err = hears(&t.a, &t.b, &k);
        assert_true(err == CPH_OK || (!is_full(&k) && deaf == i));
        deaf += err != CPH_OK;
        pass(CPH_MS(20));
    }
    assert_in_range(deaf, 0, 4);
    assert_ok(hears(&t.a, &t.b, &old)); /* late, and now understood */
    pair_close(&t);
}

static void a_call_without_ekt_does_not_change_keys_in_the_media(void **state)
{
    (void)state;
    begin();
    t.b.cfg.ekt = false;
    start();
    call(&t);
    talk(&t);
    assert_err(cph_session_rekey_media(t.a.s, t.now), CPH_E_STATE);
    assert_false(reason(&t.a, CPH_REASON_KEYS_GROUP));
    exchange(&t, &t.a, &t.b); /* hold */
    exchange(&t, &t.b, &t.a);
    talk(&t);
    pair_close(&t);
    begin();
    t.a.cfg.ekt = false; /* nobody offers */
    start();
    call(&t);
    talk(&t);
    assert_err(cph_session_rekey_media(t.b.s, t.now), CPH_E_STATE);
    pair_close(&t);
}

/* ---- keys change by signalling --------------------------------------------------------------- */

static void offers_of_either_side_leave_keys_as_they_are(void **state)
{
    struct pkt k, early;

    (void)state;
    begin_call();
    talk(&t);
    send(&t.a, &early);
    assert_ok(cph_session_direction(t.b.s, 0, CPH_SDP_SENDONLY));
    exchange(&t, &t.b, &t.a);
    assert_ok(cph_session_direction(t.b.s, 0, CPH_SDP_SENDRECV));
    exchange(&t, &t.b, &t.a);
    exchange(&t, &t.a, &t.b);
    assert_ok(hears(&t.a, &t.b, &early));
    for (unsigned i = 0; i < 5; i++) {
        send(&t.a, &k);
        assert_ok(hears(&t.a, &t.b, &k));
        assert_true(!is_full(&k) || epoch_of(&k) == 0);
    }
    talk(&t);
    pair_close(&t);
}

static void a_signalled_rekey_brings_another_set_and_ends_the_one_before(void **state)
{
    struct pkt k, old[3];
    unsigned first, second;

    (void)state;
    begin_call();
    send(&t.a, &k);
    first = spi_of(&k);
    assert_ok(hears(&t.a, &t.b, &k));
    send(&t.b, &k);
    assert_ok(hears(&t.b, &t.a, &k));
    for (unsigned i = 0; i < 2; i++)
        send(&t.b, &old[i]); /* full: three of a row are */
    assert_true(is_full(&old[0]) && is_full(&old[1]));
    assert_ok(cph_session_rekey_media(t.b.s, t.now));
    send(&t.b, &old[2]); /* a key nobody hears of before the set is over */
    assert_true(is_full(&old[2]));
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    assert_true(happened(&t.a, CPH_SESSION_KEYED, NULL));
    send(&t.a, &k);
    second = spi_of(&k);
    assert_int_not_equal(first, second);
    assert_ok(hears(&t.a, &t.b, &k));
    assert_ok(hears(&t.b, &t.a, &old[0])); /* on its way */
    pass(CPH_MS(3000));
    pass(CPH_MS(1));
    assert_err(hears(&t.b, &t.a, &old[2]), CPH_E_AUTH); /* of a set that was taken back */
    for (unsigned i = 0; i < 20; i++) {
        send(&t.b, &k);
        assert_true(!is_full(&k) || spi_of(&k) == second);
        assert_ok(hears(&t.b, &t.a, &k));
        pass(CPH_MS(20));
    }
    assert_err(cph_session_rekey_media(t.b.s, t.now), CPH_OK);
    talk(&t);
    pair_close(&t);
}

static void a_refused_rekey_leaves_the_set_that_was(void **state)
{
    struct pkt k;
    unsigned first;

    (void)state;
    begin_call();
    send(&t.a, &k);
    first = spi_of(&k);
    assert_ok(cph_session_rekey(t.a.s));
    assert_ok(offer(&t, &t.a));
    cph_session_rollback(t.a.s);
    send(&t.a, &k);
    assert_int_equal(spi_of(&k), first);
    assert_ok(hears(&t.a, &t.b, &k));
    talk(&t);
    exchange(&t, &t.a, &t.b); /* the wish stayed */
    pass(CPH_MS(300));
    send(&t.a, &k);
    assert_int_not_equal(spi_of(&k), first);
    assert_ok(hears(&t.a, &t.b, &k));
    talk(&t);
    pair_close(&t);
}

static void take_ekt_out(struct party *p)
{
    char *at;

    p->sdp[p->text.n] = '\0';
    while ((at = strstr(p->sdp, " EKT=")) != NULL)
        memmove(at, strchr(at, '\r'), strlen(strchr(at, '\r')) + 1);
    p->text = cph_span_of(p->sdp);
}

static void a_call_may_go_on_without_ekt_and_with_it_again(void **state)
{
    struct pkt k;

    (void)state;
    begin_call();
    talk(&t);
    send(&t.a, &k);
    assert_ok(cph_session_rekey(t.b.s));
    assert_ok(offer(&t, &t.b));
    take_ekt_out(&t.b);
    assert_ok(answer(&t, &t.a, t.b.text));
    assert_ok(cph_session_finish(t.b.s, 1, t.a.text, t.now));
    assert_ok(hears(&t.a, &t.b, &k)); /* under way */
    talk(&t);
    assert_err(cph_session_rekey_media(t.a.s, t.now), CPH_E_STATE);
    assert_err(cph_session_rekey_media(t.b.s, t.now), CPH_E_STATE);
    assert_true(reason(&t.a, CPH_REASON_KEYS_GROUP)); /* it was */
    exchange(&t, &t.b, &t.a);
    talk(&t);
    pass(CPH_MS(3001));
    talk(&t);
    pair_close(&t);

    begin();
    t.a.cfg.keying.allow_ekt = true; /* takes sets, and has none to offer */
    t.a.cfg.ekt = false;
    start();
    call(&t);
    talk(&t);
    assert_err(cph_session_rekey_media(t.a.s, t.now), CPH_E_STATE);
    send(&t.a, &k);
    assert_ok(cph_session_rekey(t.b.s)); /* B has */
    exchange(&t, &t.b, &t.a);
    assert_ok(hears(&t.a, &t.b, &k)); /* under the keys before */
    talk(&t);
    assert_ok(cph_session_rekey_media(t.a.s, t.now));
    talk(&t);
    assert_true(reason(&t.a, CPH_REASON_KEYS_GROUP));
    pair_close(&t);
}

/* ---- conferences ----------------------------------------------------------------------------- */

/* One host and several guests who never speak to each other but through packets. */
enum { GUESTS = 3 };

static struct party host[GUESTS], guest[GUESTS];

static void invite(unsigned i, const struct cph_ekt_params *set)
{
    struct cph_wr wr;

    party_init(&host[i], 100 + i, CPH_SECURITY_REQUIRED, "sdes");
    party_init(&guest[i], 10 + i, CPH_SECURITY_REQUIRED, "sdes");
    host[i].cfg.ekt = guest[i].cfg.ekt = true;
    host[i].cfg.keying.ekt = set;
    party_start(&host[i]);
    party_start(&guest[i]);
    assert_ok(offer(&t, &host[i]));
    wr = cph_wr_open(guest[i].sdp, sizeof guest[i].sdp);
    assert_ok(cph_session_answer(guest[i].s, host[i].text, t.now, &wr));
    assert_ok(cph_session_finish(host[i].s, 1, cph_wr_done(&wr), t.now));
    assert_ok(cph_session_choose(host[i].s, 1));
}

static void everybody_hears_everybody_and_who_comes_late_has_the_roll_over_counter(void **state)
{
    struct cph_ekt_params set = conference(9, 1000);
    unsigned deaf = 0, i = 0;
    struct pkt k;

    (void)state;
    memset(&t, 0, sizeof t);
    invite(0, &set);
    invite(1, &set);
    guest[0].seq = 0xfff8;
    for (i = 0; i < 20; i++) { /* over the roll-over */
        send(&guest[0], &k);
        assert_ok(hears(&host[1], &guest[1], &k)); /* relayed as it is */
        assert_ok(hears(&guest[0], &host[0], &k));
        t.now += CPH_MS(20);
    }
    invite(2, &set);
    for (; i < 60; i++) {
        cph_err err;

        if (i == 40)
            assert_ok(cph_session_rekey_media(guest[0].s, t.now));
        send(&guest[0], &k);
        assert_ok(hears(&host[1], &guest[1], &k));
        err = hears(&host[2], &guest[2], &k);
        assert_true(err == CPH_OK || (err == CPH_E_NOKEY && i < 26));
        deaf += err != CPH_OK;
        send(&guest[2], &k);
        assert_ok(hears(&host[0], &guest[0], &k));
        t.now += CPH_MS(20);
    }
    assert_in_range(deaf, 0, 5);
    for (i = 0; i < GUESTS; i++) {
        party_end(&host[i]);
        party_end(&guest[i]);
    }
}

static void who_is_sent_away_hears_no_more_when_the_host_has_another_set(void **state)
{
    struct cph_ekt_params set = conference(9, 1000);
    struct pkt k;

    (void)state;
    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < GUESTS; i++)
        invite(i, &set);
    send(&guest[0], &k);
    assert_ok(hears(&host[2], &guest[2], &k));
    set = conference(10, 1000);
    for (unsigned i = 0; i < 2; i++) { /* not to the third */
        struct cph_wr wr;

        assert_ok(cph_session_rekey(host[i].s));
        assert_ok(offer(&t, &host[i]));
        wr = cph_wr_open(guest[i].sdp, sizeof guest[i].sdp);
        assert_ok(cph_session_answer(guest[i].s, host[i].text, t.now, &wr));
        assert_ok(cph_session_finish(host[i].s, 1, cph_wr_done(&wr), t.now));
    }
    t.now += CPH_MS(300);
    for (unsigned i = 0; i < 10; i++) {
        send(&guest[0], &k);
        assert_ok(hears(&host[1], &guest[1], &k));
        assert_err(hears(&host[2], &guest[2], &k), CPH_E_AUTH);
        t.now += CPH_MS(20);
    }
    /* nor is the third one heard any more when the time of the set before is over */
    t.now += CPH_SEC(4);
    cph_session_tick(guest[0].s, t.now);
    for (unsigned i = 0; i < 10; i++) {
        send(&guest[2], &k);
        assert_err(hears(&host[0], &guest[0], &k), is_full(&k) ? CPH_E_AUTH : CPH_E_NOKEY);
    }
    for (unsigned i = 0; i < GUESTS; i++) {
        party_end(&host[i]);
        party_end(&guest[i]);
    }
}

static void there_are_only_so_many_speakers(void **state)
{
    struct pkt k;

    (void)state;
    begin_call();
    for (unsigned i = 0; i < 15; i++) { /* a sender has room for 16 streams */
        t.a.ssrc = 0x9000 + i;
        send(&t.a, &k);
        assert_ok(hears(&t.a, &t.b, &k));
    }
    pair_close(&t);
    struct cph_ekt_params set = conference(9, 1000);

    begin();
    t.a.cfg.keying.ekt = &set;
    start();
    call(&t);
    for (unsigned i = 0; i < 66; i++) { /* another member each */
        struct cph_srtp_policy p = { .suite = cph_srtp_suite_by_dtls(0x0008) };
        struct cph_ekt_sender *s;
        struct cph_srtp_pkt pkt = { .p = k.b, .cap = sizeof k.b };

        t.a.ssrc = 0x9000 + i;
        rtp(&t.a, &k, 0x33);
        pkt.n = k.n;
        k.port = CPH_KEYING_RTP;
        assert_ok(cph_ekt_sender_new(t.a.engine, &t.a.env.env, &p, &set, t.now, &s));
        assert_ok(cph_ekt_protect(s, &pkt, t.now));
        k.n = pkt.n;
        cph_ekt_sender_free(s);
        assert_err(hears(&t.a, &t.b, &k), i < 64 ? CPH_OK : CPH_E_LIMIT);
    }
    pair_close(&t);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void a_set_whose_time_is_over_is_not_used(void **state)
{
    struct cph_ekt_params set = conference(9, 160);
    bool wanted = false;
    struct pkt k;

    (void)state;
    begin();
    t.a.cfg.keying.ekt = &set;
    start();
    call(&t);
    talk(&t);
    pass(CPH_SEC(149));
    for (unsigned i = 0; i < 1024; i++)
        send(&t.a, &k);
    assert_false(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL));
    pass(CPH_SEC(2)); /* less than a sixteenth is left */
    for (unsigned i = 0; i < 1024 && !wanted; i++) {
        send(&t.a, &k);
        wanted = happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL);
    }
    assert_true(wanted);
    pass(CPH_SEC(9));
    rtp(&t.a, &k, 0);
    assert_err(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k), CPH_E_EXPIRED);
    assert_err(cph_session_rekey_media(t.a.s, t.now), CPH_E_EXPIRED);
    set = conference(10, 160);
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    talk(&t);
    pair_close(&t);
}

/* ---- forks ----------------------------------------------------------------------------------- */

/* Whose branch is this packet taken for? 0: nobody's. */
static uint32_t branch_of(struct party *p, const struct pkt *k)
{
    struct cph_session_packet got;

    if (feed_from(&t, &t.a, 0, k, &p->addr[0][k->port]) != CPH_OK ||
        cph_session_take(t.a.s, &got) != CPH_OK)
        return 0;
    return got.branch;
}

static void each_branch_of_a_fork_has_keys_of_its_own(void **state)
{
    struct party c;
    struct pkt k;
    unsigned spi;

    (void)state;
    begin();
    party_init(&c, 3, CPH_SECURITY_REQUIRED, "sdes");
    c.cfg.ekt = true;
    party_start(&c);
    start();
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, t.now));
    assert_ok(cph_session_finish(t.a.s, 2, c.text, t.now));
    for (unsigned i = 0; i < 3; i++) {
        send(&t.b, &k);
        assert_int_equal(branch_of(&t.b, &k), 1);
        send(&c, &k);
        assert_int_equal(branch_of(&c, &k), 2);
    }
    assert_ok(cph_session_choose(t.a.s, 1));
    send(&c, &k); /* the set would let it speak as the one that answered */
    assert_err(hears(&c, &t.a, &k), CPH_E_POLICY);
    send(&t.b, &k);
    assert_int_equal(branch_of(&t.b, &k), 1);
    assert_true(happened(&t.a, CPH_SESSION_REKEY_WANTED, NULL)); /* the other one has the set */
    send(&t.a, &k);
    spi = spi_of(&k);
    assert_ok(hears(&t.a, &t.b, &k));
    assert_ok(hears(&t.a, &c, &k));
    assert_ok(cph_session_rekey(t.a.s));
    exchange(&t, &t.a, &t.b);
    pass(CPH_MS(300));
    send(&t.a, &k);
    assert_int_not_equal(spi_of(&k), spi);
    assert_ok(hears(&t.a, &t.b, &k));
    assert_err(hears(&t.a, &c, &k), CPH_E_AUTH);
    pass(CPH_SEC(4)); /* now the other one has nothing left, and B may speak from elsewhere */
    send(&t.b, &k);
    assert_ok(hears(&c, &t.a, &k));
    send(&c, &k);
    assert_err(hears(&c, &t.a, &k), is_full(&k) ? CPH_E_AUTH : CPH_E_NOKEY);
    party_end(&c);
    pair_close(&t);
}

/* ---- what it is worth ------------------------------------------------------------------------ */

static void keys_of_a_group_make_no_more_than_hop(void **state)
{
    struct cph_verdict v;

    (void)state;
    for (unsigned ekt = 0; ekt < 2; ekt++) {
        begin();
        t.a.cfg.ekt = t.b.cfg.ekt = ekt == 1;
        start();
        came_by(&t.a, CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER);
        came_by(&t.b, CPH_HOP_TLS13, CPH_HOP_AUTH_PINNED, CPH_HOP_WHOSE_PEER);
        call(&t);
        talk(&t);
        assert_int_equal(level(&t.a), ekt ? CPH_LEVEL_HOP : CPH_LEVEL_VERIFIED);
        assert_int_equal(level(&t.b), ekt ? CPH_LEVEL_HOP : CPH_LEVEL_VERIFIED);
        assert_int_equal(reason(&t.a, CPH_REASON_KEYS_GROUP), ekt);
        cph_session_verdict(t.b.s, &v);
        assert_string_equal(v.stream[0].keying, ekt ? "sdes+ekt" : "sdes");
        pair_close(&t);
    }
}

/* ---- headers --------------------------------------------------------------------------------- */

/* A packet with a one-byte header extension, as it stands on the wire. */
static void with_header(struct party *p, struct pkt *k)
{
    static const uint8_t ext[] = { 0xbe, 0xde, 0, 1, 0x10, 0x77, 0, 0 };

    rtp(p, k, 0x33);
    memmove(k->b + 12 + sizeof ext, k->b + 12, k->n - 12);
    memcpy(k->b + 12, ext, sizeof ext);
    k->b[0] |= 0x10;
    k->n += sizeof ext;
    assert_ok(protect(&t, p, 0, CPH_KEYING_RTP, k));
}

static void headers_are_encrypted_where_both_sides_say_so(void **state)
{
    struct cph_session_packet got;
    struct pkt k;

    (void)state;
    for (unsigned who = 0; who < 4; who++)
        for (unsigned ekt = 0; ekt < 2; ekt++) {
            bool both = who == 3;

            begin();
            t.a.cfg.ekt = t.b.cfg.ekt = ekt == 1;
            t.a.cfg.cryptex = who & 1;
            t.b.cfg.cryptex = who >> 1;
            start();
            call(&t);
            assert_int_equal(!!strstr(t.b.sdp, "a=cryptex"), both);
            with_header(&t.a, &k);
            assert_int_equal(k.b[12] << 8 | k.b[13], both ? 0xc0de : 0xbede);
            assert_int_equal(k.b[17] == 0x77, !both);
            assert_ok(feed_from(&t, &t.b, 0, &k, &t.a.addr[0][0]));
            assert_ok(cph_session_take(t.b.s, &got));
            assert_int_equal(got.bytes.p[12] << 8 | got.bytes.p[13], 0xbede);
            assert_int_equal(got.bytes.p[17], 0x77);
            talk(&t);
            pair_close(&t);
        }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static cph_err whole_call(void *arg)
{
    struct cph_session *s[2] = { NULL, NULL };
    struct party *p[2] = { &t.a, &t.b };
    uint8_t text[2][SDP_MAX];
    struct cph_wr wr[2] = { cph_wr_open(text[0], SDP_MAX), cph_wr_open(text[1], SDP_MAX) };
    cph_err err = CPH_OK;

    (void)arg;
    for (unsigned i = 0; i < 2 && err == CPH_OK; i++)
        err = cph_session_new(&p[i]->cfg, p[i]->media, 1, 0, &s[i]);
    for (unsigned round = 0; round < 2 && err == CPH_OK; round++) {
        wr[0].n = wr[1].n = 0;
        err = cph_session_offer(s[0], t.now, &wr[0]);
        if (err == CPH_OK)
            err = cph_session_answer(s[1], cph_wr_done(&wr[0]), t.now, &wr[1]);
        if (err == CPH_OK)
            err = cph_session_finish(s[0], 1, cph_wr_done(&wr[1]), t.now);
        if (err == CPH_OK && round == 0)
            err = cph_session_choose(s[0], 1);
        if (err == CPH_OK && cph_session_line(s[0], 0, NULL) != CPH_SESSION_LINE_KEYED)
            err = CPH_E_NOMEM; /* the line failed, and says so */
        if (err == CPH_OK)
            err = cph_session_rekey_media(s[0], t.now);
        if (err == CPH_OK)
            err = cph_session_rekey(s[0]);
    }
    cph_session_free(s[0]);
    cph_session_free(s[1]);
    return err;
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
    (void)state;
    begin();
    test_alloc_fails(whole_call, NULL);
    cph_srtp_engine_free(t.a.engine);
    cph_srtp_engine_free(t.b.engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_with_the_first_packets_and_then_ten_times_a_second),
        cmocka_unit_test(rtcp_goes_under_the_keys_that_media_told),
        cmocka_unit_test(our_own_packets_sent_back_are_not_the_peer_s),
        cmocka_unit_test(either_side_changes_its_key_at_any_time_and_nothing_is_lost),
        cmocka_unit_test(a_receiver_that_missed_a_new_key_has_it_with_the_next_full_tag),
        cmocka_unit_test(a_call_without_ekt_does_not_change_keys_in_the_media),
        cmocka_unit_test(offers_of_either_side_leave_keys_as_they_are),
        cmocka_unit_test(a_signalled_rekey_brings_another_set_and_ends_the_one_before),
        cmocka_unit_test(a_refused_rekey_leaves_the_set_that_was),
        cmocka_unit_test(a_call_may_go_on_without_ekt_and_with_it_again),
        cmocka_unit_test(everybody_hears_everybody_and_who_comes_late_has_the_roll_over_counter),
        cmocka_unit_test(who_is_sent_away_hears_no_more_when_the_host_has_another_set),
        cmocka_unit_test(there_are_only_so_many_speakers),
        cmocka_unit_test(a_set_whose_time_is_over_is_not_used),
        cmocka_unit_test(each_branch_of_a_fork_has_keys_of_its_own),
        cmocka_unit_test(keys_of_a_group_make_no_more_than_hop),
        cmocka_unit_test(headers_are_encrypted_where_both_sides_say_so),
        cmocka_unit_test(memory_that_runs_out_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

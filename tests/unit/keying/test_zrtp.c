/* Whole ZRTP exchanges between two engines: over bad links, on several streams, with wrong
 * settings. */
#include "zrtp_pair.h"

#include "ciphony/base_text.h"

/* ---- exchanges ------------------------------------------------------------------------------- */

static void two_ends_come_to_the_same_keys_and_sas(void **state)
{
    struct duo d;
    struct cph_zrtp_info info;

    (void)state;
    duo_init(&d, 1);
    duo_call(&d);
    info_of(d.end[0].z[0], &info);
    assert_string_equal(info.agreement, "X255"); /* ours by default */
    assert_string_equal(info.cipher, "AES3");
    assert_string_equal(info.tag, "HS80");
    assert_string_equal(info.hash, "S256");
    assert_string_equal(info.peer_client, "Ciphony         ");
    assert_true(!info.known && !info.continuity && !info.mismatch && !info.verified);
    duo_close(&d);
}

static const char *const kinds[] = { "X255", "EC25", "EC38", "DH3k", "DH2k", "X448" };

static void every_type_works_whoever_goes_first(void **state)
{
    static const char *const hashes[] = { "S256", "S384" },
                             *const ciphers[] = { "AES1", "AES2", "AES3" },
                             *const tags[] = { "HS32", "HS80" },
                             *const sases[] = { "B32 ", "B256" };
    struct duo d;

    (void)state;
    for (unsigned i = 0; i < 6 * 3; i++) {
        const char *agreement[] = { kinds[i % 6], NULL }, *hash[] = { hashes[i % 2], "S384", NULL },
                   *cipher[] = { ciphers[i % 3], NULL }, *tag[] = { tags[i / 6 % 2], NULL },
                   *sas[] = { sases[i / 3 % 2], NULL };
        struct cph_zrtp_info info;

        if (strcmp(hash[0], "S384") == 0)
            hash[1] = NULL;
        duo_init(&d, 100 + i);
        for (int e = 0; e < 2; e++) {
            d.end[e].cfg.agreements = agreement;
            d.end[e].cfg.hashes = hash;
            d.end[e].cfg.ciphers = cipher;
            d.end[e].cfg.tags = tag;
            d.end[e].cfg.sas = sas;
            d.end[e].cfg.passive = (int)(i / 6) == e; /* either, then whoever wins */
        }
        duo_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_string_equal(info.agreement, agreement[0]);
        assert_string_equal(info.cipher, cipher[0]);
        assert_string_equal(info.tag, tag[0]);
        assert_string_equal(info.sas_type, sas[0]);
        if (strcmp(agreement[0], "EC38") == 0) /* RFC 6189 5.1.5 MUST */
            assert_string_equal(info.hash, "S384");
        if (i < 12)
            assert_int_equal(info.initiator, i >= 6);
        duo_close(&d);
    }
}

static void a_thousand_lossy_exchanges_all_end_secure_with_one_sas(void **state)
{
    unsigned first[2] = { 0 }, both = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        /* the dear ones less often */
        const char *agreement[] = { i % 50 < 4 ? kinds[2 + i % 50] : kinds[i % 2], NULL };
        struct cph_zrtp_info info;
        struct duo d;

        duo_init(&d, 2000 + i);
        d.end[0].cfg.agreements = d.end[1].cfg.agreements = agreement;
        d.end[i & 1].cfg.passive = i % 5 == 0;
        d.link = (struct link_cfg){ i % 31, i % 17, i % 40, CPH_MS(1 + i % 120) };
        d.streams = i % 10 == 0 ? 2 : 1;
        duo_open(&d);
        duo_run(&d, CPH_SEC(40));
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        for (unsigned s = 0; s < d.streams; s++)
            assert_same_keys(&d, s);
        info_of(d.end[0].z[0], &info);
        first[info.initiator]++;
        both += d.sent[0][ZRTP_COMMIT] > 0 && d.sent[1][ZRTP_COMMIT] > 0;
        duo_close(&d);
    }
    assert_true(first[0] > 300 && first[1] > 300);
    assert_true(both > 300); /* contention is the rule, and each time one gives way */
}

/* 4.2: the Commit with the lower hvi is discarded. */
static struct zrtp_commit seen_commit[2];

static bool watch_commits(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp_packet p;
    struct zrtp_msg m;

    (void)d;
    (void)stream;
    assert_ok(zrtp_packet_parse((struct cph_span){ f->b, f->n }, &p));
    assert_ok(zrtp_msg_parse(p.msg, &m));
    if (m.type == ZRTP_COMMIT)
        seen_commit[from] = m.u.commit;
    return true;
}

static void of_two_commits_the_higher_one_wins(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct cph_zrtp_info info;
        struct duo d;
        int order;

        duo_init(&d, 300 + seed);
        d.tap = watch_commits;
        duo_call(&d);
        order = memcmp(seen_commit[0].hvi, seen_commit[1].hvi, ZRTP_HASH);
        assert_true(order != 0 && d.sent[0][ZRTP_COMMIT] == 1 && d.sent[1][ZRTP_COMMIT] == 1);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.initiator, order > 0);
        duo_close(&d);
    }
}

/* ---- timers (6) ------------------------------------------------------------------------------ */

static void nobody_there_is_asked_twenty_one_times_and_no_more(void **state)
{
    static const cph_time at[] = { 0, 50, 150, 350, 550, 750 };
    struct cph_keying_status st;
    struct duo d;
    unsigned n = 0;

    (void)state;
    duo_init(&d, 2);
    end_open(&d.end[0], 1, 1);
    d.link.loss = 100;
    while (duo_next(&d) < CPH_SEC(60)) {
        unsigned before = d.sent[0][ZRTP_HELLO];

        d.now = duo_next(&d) > d.now ? duo_next(&d) : d.now;
        duo_turn(&d);
        if (d.sent[0][ZRTP_HELLO] > before && n < 6)
            assert_int_equal(d.now, CPH_MS(at[n++]));
    }
    assert_int_equal(d.sent[0][ZRTP_HELLO], 1 + 20); /* RFC 6189 6 */
    assert_int_equal(d.now, CPH_MS(50 + 100 + 19 * 200));
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_QUIET);
    cph_keying_zrtp.status(&d.end[0].z[0]->base, &st);
    assert_int_equal(st.state, CPH_KEYING_FAILED);
    assert_int_equal(st.err, CPH_E_TIMEOUT);

    /* A peer that comes late is welcome. */
    d.link.loss = 0;
    end_open(&d.end[1], 1, 2);
    duo_run(&d, d.now + CPH_SEC(10));
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    duo_close(&d);
}

static void a_promised_peer_is_given_twelve_seconds(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 3);
    end_open(&d.end[0], 1, 1);
    d.end[0].z[0]->expects = true;
    d.link.loss = 100;
    duo_run(&d, CPH_SEC(60));
    assert_int_equal(d.sent[0][ZRTP_HELLO], 1 + 62);
    duo_close(&d);
}

/* Every message lost three times in a row is made up for; lost for ever, both ends say so. */
static void each_message_may_be_lost(void **state)
{
    static const enum zrtp_type types[] = { ZRTP_HELLO,    ZRTP_HELLOACK, ZRTP_COMMIT,
                                            ZRTP_DHPART1,  ZRTP_DHPART2,  ZRTP_CONFIRM1,
                                            ZRTP_CONFIRM2, ZRTP_CONF2ACK };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct duo d;

        duo_init(&d, 400 + i);
        d.tap = lose_some;
        d.lose = types[i];
        d.lose_n = 3;
        duo_call(&d);
        assert_int_equal(d.lose_n, 0);
        duo_close(&d);

        duo_init(&d, 420 + i);
        d.tap = lose_some;
        d.lose = types[i];
        d.end[1].cfg.passive = true;
        d.lose_n = 1000;
        duo_open(&d);
        duo_run(&d, CPH_SEC(60));
        assert_false(d.end[0].z[0]->live.state == ZRTP_SECURE);
        assert_int_equal(d.end[0].z[0]->live.has_keys & 1U << CPH_KEYING_SEND, 0);
        if (types[i] == ZRTP_COMMIT || types[i] == ZRTP_DHPART2 || types[i] == ZRTP_CONFIRM2) {
            assert_int_equal(d.sent[0][types[i]], 1 + 10); /* RFC 6189 6 */
            assert_int_equal(d.end[0].z[0]->live.err, CPH_E_TIMEOUT);
        }
        duo_close(&d);
    }
}

/* 4.6: the responder's SRTP is as good as its Conf2ACK. */
static void media_stands_for_the_last_acknowledgement(void **state)
{
    struct duo d;
    struct cph_srtp_policy p = { 0 };
    struct zrtp *a;

    (void)state;
    duo_init(&d, 5);
    d.end[1].cfg.passive = true;
    d.tap = lose_some;
    d.lose = ZRTP_CONF2ACK;
    d.lose_n = 1000;
    duo_open(&d);
    duo_run(&d, CPH_SEC(2));
    a = d.end[0].z[0];
    assert_int_equal(a->live.state, ZRTP_CONFIRMING);
    /* RFC 6189 4 MUST NOT: no SRTP is sent before; it may be received */
    assert_err(zrtp_srtp_policy(a, CPH_KEYING_SEND, &p), CPH_E_AGAIN);
    assert_ok(zrtp_srtp_policy(a, CPH_KEYING_RECV, &p));
    cph_zrtp_media(&a->base, d.now);
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    assert_same_keys(&d, 0);
    duo_close(&d);
}

/* ---- several streams (4.4.3) ----------------------------------------------------------------- */

static void further_streams_are_keyed_without_another_agreement(void **state)
{
    struct duo d;
    struct cph_srtp_policy p[3] = { 0 };
    struct cph_secret out;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        unsigned dh = 0;

        duo_init(&d, 800 + seed);
        d.streams = 3;
        d.link.delay = CPH_MS(1 + 7 * (seed % 5));
        d.link.late = (unsigned)(seed % 3) * 30; /* streams that overtake each other */
        duo_call(&d);
        for (unsigned s = 0; s < 3; s++) {
            dh += d.end[0].z[s]->live.committed.mode == CPH_ZRTP_DH;
            assert_ok(zrtp_srtp_policy(d.end[0].z[s], CPH_KEYING_SEND, &p[s]));
        }
        assert_int_equal(dh, 1);
        assert_memory_not_equal(p[0].master.key.b, p[1].master.key.b, p[0].master.key.n);
        assert_memory_not_equal(p[1].master.key.b, p[2].master.key.b, p[0].master.key.n);
        assert_int_equal(d.end[0].mem.puts, 1); /* 4.6.1: the cache was touched once */
        for (unsigned s = 0; s < 3; s++)
            assert_int_equal(cph_zrtp_export(&d.end[0].z[s]->base, &out),
                             d.end[0].z[s]->live.committed.mode == CPH_ZRTP_DH ? CPH_OK
                                                                               : CPH_E_STATE);
        duo_close(&d);
    }
}

/* Whoever answers for the second stream cannot bring another agreement under the word that the user
 * gave for the first. */
static void a_second_agreement_is_not_taken(void **state)
{
    uint8_t before[CPH_ZRTP_SASHASH];
    struct cph_zrtp_info info;
    struct duo d;

    (void)state;
    duo_init(&d, 79);
    d.streams = 2;
    d.end[0].cfg.passive = true;
    duo_open(&d);
    d.end[0].z[1]->started = d.end[1].z[1]->started = false;
    duo_run(&d, CPH_SEC(2));
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    assert_ok(cph_zrtp_compared(&d.end[0].z[0]->base, true));
    memcpy(before, d.end[0].z[0]->peer->sashash, sizeof before);
    d.end[1].z[0]->peer->session.n = 0; /* somebody who has not got it */
    d.end[0].z[1]->started = d.end[1].z[1]->started = true;
    duo_run(&d, CPH_SEC(60));
    assert_true(d.sent[1][ZRTP_COMMIT] > 2);
    info_of(d.end[0].z[1], &info);
    assert_false(info.secure);
    assert_memory_equal(d.end[0].z[0]->peer->sashash, before, sizeof before);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    duo_close(&d);
}

/* A Commit with a nonce of before ends the exchange (4.4.3.1). */
static uint8_t old_nonce[ZRTP_NONCE];

static bool repeat_nonce(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp *z = d->end[from].z[stream];
    struct zrtp_live *l = &z->live;

    if (flight_type(f) == ZRTP_COMMIT && l->committed.mode == CPH_ZRTP_MULTISTREAM && stream == 2) {
        uint8_t *nonce = l->commit.b + l->commit.n - ZRTP_MAC - ZRTP_NONCE;

        memcpy(nonce, old_nonce, ZRTP_NONCE);
        assert_ok(zrtp_mac_seal(l->commit.b, l->commit.n, cph_secret_span(&z->h[1])));
        memcpy(f->b + 12, l->commit.b, l->commit.n);
        fix_crc(f);
    } else if (flight_type(f) == ZRTP_COMMIT && stream == 1) {
        memcpy(old_nonce, l->commit.b + l->commit.n - ZRTP_MAC - ZRTP_NONCE, ZRTP_NONCE);
    }
    return true;
}

static void a_nonce_used_twice_ends_the_exchange(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 80);
    d.streams = 3;
    d.end[1].cfg.passive = true;
    duo_open(&d);
    d.end[0].z[1]->started = d.end[0].z[2]->started = false; /* one after the other */
    duo_run(&d, CPH_SEC(2));
    d.end[0].z[1]->started = true;
    d.tap = repeat_nonce;
    duo_run(&d, CPH_SEC(4));
    assert_int_equal(d.end[1].z[1]->live.state, ZRTP_SECURE);
    d.end[0].z[2]->started = true;
    duo_run(&d, CPH_SEC(40));
    assert_int_equal(d.end[1].z[2]->live.error, ZRTP_E_NONCE);
    assert_int_equal(d.end[0].z[2]->live.state, ZRTP_ENDED);
    assert_same_keys(&d, 0); /* the others are as they were */
    duo_close(&d);
}

/* Multistream where there is no session to build on. */
static void multistream_without_a_session_is_refused(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 81);
    d.end[1].cfg.passive = true;
    duo_open(&d);
    duo_turn(&d);
    d.now += CPH_MS(20);
    duo_turn(&d); /* Hellos */
    assert_non_null(d.end[0].z[0]->peer);
    d.end[0].z[0]->peer->session.n = 32;
    for (int k = 0; k < ZRTP_KINDS; k++)
        d.end[0].z[0]->peer->alg[k] = zrtp_alg((enum zrtp_kind)k,
                                               zrtp_id_of(zrtp_defaults((enum zrtp_kind)k)[0]));
    duo_run(&d, CPH_SEC(40));
    assert_int_equal(d.end[1].z[0]->live.error, ZRTP_E_NO_SECRET);
    assert_int_equal(d.end[0].z[0]->live.error, ZRTP_E_NO_SECRET);
    duo_close(&d);
}

/* ---- what a Commit may name (5.1.2 to 5.1.6, 5.9) ------------------------------------------- */

static struct {
    int kind; /* enum zrtp_kind */
    uint8_t id[4];
} other_type;

/* The peer's Commit names another type; the MAC that would show it comes later. */
static bool name_another(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d;
    (void)stream;
    if (from == 1 && flight_type(f) == ZRTP_COMMIT) {
        memcpy(f->b + 12 + 12 + 32 + 12 + (size_t)4 * (size_t)other_type.kind, other_type.id, 4);
        fix_crc(f);
    }
    return true;
}

static void a_commit_with_a_type_we_have_not_is_refused_by_its_code(void **state)
{
    static const struct {
        int kind;
        const char *id;
        unsigned code;
    } row[] = {
        { ZRTP_K_HASH, "N256", ZRTP_E_HASH },
        { ZRTP_K_CIPHER, "2FS1", ZRTP_E_CIPHER },
        { ZRTP_K_TAG, "SK32", ZRTP_E_TAG },
        { ZRTP_K_AGREEMENT, "EC52", ZRTP_E_AGREEMENT },
        { ZRTP_K_AGREEMENT, "DH2k", ZRTP_E_AGREEMENT }, /* we can, and have not listed it */
        { ZRTP_K_AGREEMENT, "EC38", ZRTP_E_HASH },      /* RFC 6189 5.1.5 MUST: with SHA-384 */
        { ZRTP_K_SAS, "B64 ", ZRTP_E_SAS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo d;

        duo_init(&d, 110 + i);
        d.end[0].cfg.passive = true;
        d.tap = name_another;
        other_type.kind = row[i].kind;
        memcpy(other_type.id, row[i].id, 4);
        duo_open(&d);
        duo_run(&d, CPH_SEC(20));
        assert_refused(&d, 0, row[i].code);
    }
}

/* RFC 6189 4.2: Multistream against an agreement is an error of somebody's software. */
static void multistream_against_an_agreement_ends_it(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_COMMIT };
    struct zrtp_commit *c = &m.u.commit;
    uint8_t mb[256], pb[300];
    struct cph_wr mw = cph_wr_open(mb, sizeof mb), pw = cph_wr_open(pb, sizeof pb);
    struct zrtp_packet p = { 0 };
    struct zrtp *ours, *theirs;
    struct duo d;

    (void)state;
    duo_init(&d, 120);
    d.end[1].cfg.passive = true;
    d.tap = lose_some;
    d.lose = ZRTP_COMMIT;
    d.lose_n = 1000;
    duo_open(&d);
    duo_run(&d, CPH_MS(500));
    ours = d.end[0].z[0];
    theirs = d.end[1].z[0];
    assert_int_equal(ours->live.state, ZRTP_COMMITTED);
    *c = ours->live.committed;
    c->mode = CPH_ZRTP_MULTISTREAM;
    c->id[ZRTP_K_AGREEMENT] = ZRTP_MULT;
    memcpy(c->h2, theirs->h[2].b, ZRTP_HASH);
    memcpy(c->zid, theirs->own.zid, CPH_ZRTP_ZID);
    zrtp_msg_build(&mw, &m);
    assert_ok(zrtp_mac_seal(mb, mw.n, cph_secret_span(&theirs->h[1])));
    p.ssrc = theirs->ssrc;
    p.msg = cph_wr_done(&mw);
    zrtp_packet_build(&pw, &p);
    assert_ok(zrtp_feed(ours, NULL, cph_wr_done(&pw), d.now));
    assert_int_equal(ours->live.error, ZRTP_E_SOFTWARE);
    assert_int_equal(ours->live.state, ZRTP_ENDING);
    duo_close(&d);
}

/* ---- Error and Ping -------------------------------------------------------------------------- */

/* A Ping arrives before every packet, at the end the packet is for. */
static unsigned *ping_states;
static bool ping_before(struct duo *d, int from, int stream, struct flight *f)
{
    struct zrtp_msg m = { .type = ZRTP_PING, .u.ping = { "1.10", "abcdefgh" } };

    (void)stream;
    if (flight_type(f) == ZRTP_PINGACK)
        return true;
    for (int e = 0; e < 2; e++) {
        struct zrtp_live *l = &d->end[e].z[0]->live;
        enum zrtp_state before = l->state;

        feed_msg(d, e, &m, 0x12345678);
        if (before == ZRTP_IDLE)
            continue;
        assert_true(l->due & zrtp_bit(ZRTP_PINGACK));
        assert_int_equal(l->state, before);
        assert_memory_equal(l->pinged, "abcdefgh", 8);
        assert_int_equal(l->ping_ssrc, 0x12345678);
        l->due &= ~zrtp_bit(ZRTP_PINGACK);
        *ping_states |= 1U << before;
    }
    (void)from;
    return true;
}

static void an_error_ends_an_exchange_but_not_a_call(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_ERROR, .u.error = ZRTP_E_UNAVAILABLE };
    struct duo d;

    (void)state;
    duo_init(&d, 92);
    duo_open(&d);
    duo_turn(&d);
    d.now = CPH_MS(20);
    duo_turn(&d);
    feed_msg(&d, 0, &m, 0x9999); /* not the peer's source */
    assert_int_equal(d.end[0].z[0]->live.error, 0);
    feed_msg(&d, 0, &m, d.end[1].z[0]->ssrc);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_ENDED);
    duo_run(&d, CPH_SEC(1));
    assert_int_equal(d.sent[0][ZRTP_ERRORACK], 1);
    duo_close(&d);

    duo_init(&d, 93);
    duo_call(&d);
    feed_msg(&d, 0, &m, d.end[1].z[0]->ssrc);
    assert_int_equal(d.end[0].z[0]->live.state, ZRTP_SECURE);
    duo_close(&d);
}

/* RFC 6189 5.15, 5.16 MUST: whatever is going on, and whoever asks */
static void a_ping_is_answered_in_every_state(void **state)
{
    struct zrtp_msg m = { .type = ZRTP_PING, .u.ping = { "1.10", "abcdefgh" } };
    unsigned seen = 0;
    struct duo d;

    (void)state;
    duo_init(&d, 96);
    d.tap = ping_before;
    ping_states = &seen;
    d.end[1].cfg.passive = true;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = d.end[0].cfg.mitm = true;
    duo_call(&d);
    assert_ok(cph_zrtp_relay(&d.end[0].z[0]->base, NULL, d.now));
    duo_run(&d, d.now + CPH_SEC(1));
    assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(1));
    /* discover to cleared, on both sides; quiet, ending and ended stand in the table below */
    for (unsigned st = ZRTP_DISCOVER; st <= ZRTP_CLEAR; st++)
        if (st != ZRTP_WAIT && st != ZRTP_ACKED)
            assert_true(seen & 1U << st);
    duo_close(&d);
    for (unsigned st = ZRTP_DISCOVER; st < ZRTP_STATES; st++) {
        duo_init(&d, 97);
        duo_open(&d);
        duo_turn(&d);
        d.end[0].z[0]->live.state = (enum zrtp_state)st;
        d.end[0].z[0]->live.due = 0;
        feed_msg(&d, 0, &m, 0x12345678);
        assert_int_equal(d.end[0].z[0]->live.due, zrtp_bit(ZRTP_PINGACK));
        assert_int_equal(d.end[0].z[0]->live.state, st);
        duo_close(&d);
    }
    duo_init(&d, 94);
    duo_call(&d);
    feed_msg(&d, 0, &m, 0x12345678);
    assert_int_equal(d.end[0].z[0]->live.due, zrtp_bit(ZRTP_PINGACK));
    assert_memory_equal(d.end[0].z[0]->live.pinged, "abcdefgh", 8);
    assert_int_equal(d.end[0].z[0]->live.ping_ssrc, 0x12345678);
    duo_run(&d, d.now + CPH_SEC(1));
    assert_int_equal(d.sent[0][ZRTP_PINGACK], 1);
    duo_close(&d);
}

/* RFC 6189 4.1 MUST: a message of any kind under our own SSRC ends the negotiation while nobody
 * else has shown himself; afterwards it is our own packet, sent back. */
static void a_message_under_our_ssrc_ends_the_negotiation_before_there_is_a_peer(void **state)
{
    static const enum zrtp_type type[] = { ZRTP_HELLOACK, ZRTP_CONF2ACK, ZRTP_ERRORACK,
                                           ZRTP_CLEARACK };
    struct duo d;

    (void)state;
    for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
        struct zrtp_msg m = { .type = type[i] };

        duo_init(&d, 98);
        duo_open(&d);
        duo_turn(&d);
        feed_msg(&d, 0, &m, d.end[0].z[0]->ssrc);
        assert_int_equal(d.end[0].z[0]->live.error, ZRTP_E_SSRC);
        assert_int_equal(d.end[0].z[0]->live.state, ZRTP_ENDING);
        duo_close(&d);

        duo_init(&d, 99);
        duo_call(&d);
        feed_msg(&d, 0, &m, d.end[0].z[0]->ssrc);
        assert_int_equal(d.end[0].z[0]->live.error, 0);
        assert_same_keys(&d, 0);
        duo_close(&d);
    }
}

/* ---- no memory, no chance -------------------------------------------------------------------- */

static cph_err one_call(void *arg)
{
    struct duo *d = arg;
    cph_err err;

    duo_init(d, 95);
    for (int e = 0; e < 2; e++) {
        err = cph_zrtp_call_new(&d->end[e].cfg, &d->end[e].call);
        if (err == CPH_OK)
            err = zrtp_new(d->end[e].call, 0, 0, &d->end[e].z[0]);
        if (err) {
            duo_close(d);
            return err;
        }
        d->end[e].z[0]->started = true;
    }
    duo_run(d, CPH_SEC(40));
    err = duo_all_in(d, ZRTP_SECURE) ? CPH_OK : CPH_E_NOMEM;
    if (err == CPH_OK)
        assert_same_keys(d, 0);
    duo_close(d);
    return err;
}

static void no_memory_is_told_and_leaks_nothing(void **state)
{
    static struct duo d;

    (void)state;
    test_alloc_fails(one_call, &d);
}

static void without_randomness_there_are_no_keys(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 12; n++) {
        struct duo d;

        duo_init(&d, 96);
        duo_open(&d);
        d.end[0].env.random_fails = n;
        duo_run(&d, CPH_SEC(40)); /* what failed is tried again, or it ends; never half */
        for (int e = 0; e < 2; e++)
            assert_true(d.end[e].z[0]->live.state == ZRTP_SECURE ||
                        d.end[e].z[0]->live.has_keys == 0);
        duo_close(&d);
    }
}

static void wrong_settings_are_refused(void **state)
{
    static const char *const bad[] = { "XX25", NULL }, *const twice[] = { "X255", "X255", NULL },
                             *const mult[] = { "Mult", NULL };
    struct cph_zrtp_call *call;
    struct duo d;

    (void)state;
    duo_init(&d, 97);
    d.end[0].cfg.agreements = bad;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    d.end[0].cfg.agreements = twice;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    d.end[0].cfg.agreements = mult;
    assert_err(cph_zrtp_call_new(&d.end[0].cfg, &call), CPH_E_CONFIG);
    assert_err(cph_zrtp_info(NULL, NULL), CPH_E_ARGUMENT);
    assert_err(cph_zrtp_compared(NULL, true), CPH_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_come_to_the_same_keys_and_sas),
        cmocka_unit_test(every_type_works_whoever_goes_first),
        cmocka_unit_test(a_thousand_lossy_exchanges_all_end_secure_with_one_sas),
        cmocka_unit_test(of_two_commits_the_higher_one_wins),
        cmocka_unit_test(nobody_there_is_asked_twenty_one_times_and_no_more),
        cmocka_unit_test(a_promised_peer_is_given_twelve_seconds),
        cmocka_unit_test(each_message_may_be_lost),
        cmocka_unit_test(media_stands_for_the_last_acknowledgement),
        cmocka_unit_test(further_streams_are_keyed_without_another_agreement),
        cmocka_unit_test(a_second_agreement_is_not_taken),
        cmocka_unit_test(a_nonce_used_twice_ends_the_exchange),
        cmocka_unit_test(multistream_without_a_session_is_refused),
        cmocka_unit_test(a_commit_with_a_type_we_have_not_is_refused_by_its_code),
        cmocka_unit_test(multistream_against_an_agreement_ends_it),
        cmocka_unit_test(an_error_ends_an_exchange_but_not_a_call),
        cmocka_unit_test(a_ping_is_answered_in_every_state),
        cmocka_unit_test(a_message_under_our_ssrc_ends_the_negotiation_before_there_is_a_peer),
        cmocka_unit_test(no_memory_is_told_and_leaks_nothing),
        cmocka_unit_test(without_randomness_there_are_no_keys),
        cmocka_unit_test(wrong_settings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rules of RFC 6189 that no other test goes against: who is the initiator among Preshared Commits,
 * which octets of a version count, what an Error leaves behind. */
#include "zrtp_pair.h"

#include "ciphony/base_text.h"

/* Both had a call, and both users compared its string. */
static void verified_pair(struct duo *d, uint64_t seed)
{
    duo_init(d, seed);
    duo_call(d);
    for (int e = 0; e < 2; e++)
        assert_ok(cph_zrtp_compared(&d->end[e].z[0]->base, true));
}

/* RFC 6189 4.2 MUST: whatever the nonces, the phone goes first and the exchange answers */
static void of_two_preshared_commits_that_of_the_man_in_the_middle_is_discarded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct cph_zrtp_info info;
        struct duo d;

        verified_pair(&d, 200 + i);
        d.end[0].cfg.preshared = d.end[1].cfg.preshared = true;
        d.end[i % 2].cfg.mitm = true;
        next_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.mode, CPH_ZRTP_PRESHARED);
        assert_int_equal(info.initiator, i % 2);
        assert_true(d.sent[0][ZRTP_COMMIT] > 0 && d.sent[1][ZRTP_COMMIT] > 0); /* they met */
        duo_close(&d);
    }
}

/* RFC 6189 4.2 MUST: an agreement goes before what was shared, whoever wants it */
static void an_agreement_goes_before_a_preshared_commit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct cph_zrtp_info info;
        struct duo d;

        verified_pair(&d, 230 + i);
        d.end[0].cfg.preshared = d.end[1].cfg.preshared = true;
        d.end[1].mem.at[0].r.verified = false; /* its user never compared: it wants an agreement */
        next_call(&d);
        info_of(d.end[0].z[0], &info);
        assert_int_equal(info.mode, CPH_ZRTP_DH);
        assert_false(info.initiator);
        assert_true(info.continuity);
        duo_close(&d);
    }
}

/* The Hello of end 1 says another version, as a whole. */
static void says_version(struct duo *d, const char version[5])
{
    struct zrtp *z = d->end[1].z[0];

    memcpy(z->own.version, version, 4);
    memcpy(z->own_hello.b + 12, version, 4);
    assert_ok(zrtp_mac_seal(z->own_hello.b, z->own_hello.n, cph_secret_span(&z->h[2])));
}

/* RFC 6189 4.1.1 MUST: only the first three octets count */
static void three_octets_of_a_version_count(void **state)
{
    static const struct {
        const char *version;
        bool secure;
    } row[] = { { "1.10", true },  { "1.1 ", true },  { "1.1a", true },  { "1.11", true },
                { "1.20", false }, { "1.00", false }, { "2.10", false }, { "1,10", false } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo d;

        duo_init(&d, 240 + i);
        duo_open(&d);
        says_version(&d, row[i].version);
        duo_run(&d, CPH_SEC(15));
        assert_int_equal(duo_all_in(&d, ZRTP_SECURE), row[i].secure);
        duo_close(&d);
    }
}

/* RFC 6189 4.7.1: what is retained is not touched; 4.6.1 MUST: by the responder not before Confirm2
 */
static void an_exchange_that_broke_off_changes_nothing_that_is_retained(void **state)
{
    struct cph_zrtp_retained before[2];
    struct duo d;

    (void)state;
    verified_pair(&d, 250);
    for (int e = 0; e < 2; e++)
        before[e] = d.end[e].mem.at[0].r;
    duo_close(&d);
    for (int e = 0; e < 2; e++)
        d.end[e].env.state += 77;
    d.tap = lose_some;
    d.lose = ZRTP_CONFIRM2;
    d.lose_n = UINT_MAX;
    duo_open(&d);
    duo_run(&d, d.now + CPH_SEC(60));
    for (int e = 0; e < 2; e++) {
        assert_int_not_equal(d.end[e].z[0]->live.error, 0);
        assert_int_equal(d.end[e].z[0]->live.keys.srtp[0].n + d.end[e].z[0]->live.dh.n, 0);
        assert_memory_equal(&d.end[e].mem.at[0].r, &before[e], sizeof before[e]);
    }
    d.tap = NULL;
    next_call(&d); /* and they still know each other */
    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_info info;

        info_of(d.end[e].z[0], &info);
        assert_true(info.verified && !info.mismatch);
    }
    duo_close(&d);
}

/* RFC 6189 7.3.1 MUST NOT: the user of the phone is asked; the exchange alone keeps what it made */
static void an_enrolment_that_is_declined_stores_nothing(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 260); /* end 1 is the exchange */
    d.end[1].cfg.mitm = d.end[1].cfg.enroll = true;
    d.end[1].cfg.allow_clear = true;
    duo_call(&d);
    assert_ok(cph_zrtp_enroll(&d.end[1].z[0]->base));
    assert_int_equal(d.end[0].mem.at[0].r.pbx.n, 0);
    assert_int_equal(d.end[1].mem.at[0].r.pbx.n, 32);
    /* RFC 6189 7.3.1 MUST: E implies not A, in what is sent and in what is read */
    assert_int_equal(d.end[0].z[0]->live.peer_flags & (ZRTP_FLAG_E | ZRTP_FLAG_A), ZRTP_FLAG_E);
    assert_err(cph_zrtp_clear(&d.end[0].z[0]->base, d.now), CPH_E_POLICY);
    d.end[1].cfg.enroll = false;
    next_call(&d);
    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_info info;

        info_of(d.end[e].z[0], &info);
        assert_true(info.continuity && !info.trusted_mitm);
        assert_false(d.end[e].z[0]->peer->pbx_matched);
    }
    duo_close(&d);
}

/* RFC 6189 7.3.1 MUST: nor by what the exchange relays of who is behind it */
static void while_it_enrols_nobody_behind_an_exchange_allows_clear(void **state)
{
    (void)state;
    for (int enrols = 0; enrols < 2; enrols++) {
        struct duo d, behind;

        duo_init(&behind, 262);
        behind.end[0].cfg.allow_clear = true;
        duo_call(&behind);
        duo_init(&d, 263);
        d.end[1].cfg.mitm = true;
        d.end[1].cfg.enroll = enrols;
        duo_call(&d);
        assert_ok(cph_zrtp_relay(&d.end[1].z[0]->base, &behind.end[1].z[0]->base, d.now));
        duo_run(&d, d.now + CPH_SEC(1));
        assert_int_equal(d.sent[0][ZRTP_RELAYACK], 1);
        assert_err(cph_zrtp_clear(&d.end[0].z[0]->base, d.now), enrols ? CPH_E_POLICY : CPH_OK);
        duo_close(&d);
        duo_close(&behind);
    }
}

/* ---- contention (4.2) ------------------------------------------------------------------------ */

/* The first Commit of each end on each stream. */
static struct {
    struct zrtp_commit of[2][PAIR_STREAMS];
    bool seen[2][PAIR_STREAMS];
} commits;

static void note_commit(int from, int stream, const struct flight *f)
{
    struct zrtp_packet p;
    struct zrtp_msg m;

    if (flight_type(f) != ZRTP_COMMIT || commits.seen[from][stream])
        return;
    assert_ok(zrtp_packet_parse((struct cph_span){ f->b, f->n }, &p));
    assert_ok(zrtp_msg_parse(p.msg, &m));
    commits.of[from][stream] = m.u.commit;
    commits.seen[from][stream] = true;
}

static bool note_commits(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d;
    note_commit(from, stream, f);
    return true;
}

/* Which end must be the initiator of two Commits of one kind: that of the higher value. */
static int winner(const struct zrtp_commit *of0, const struct zrtp_commit *of1, size_t n)
{
    int order = memcmp(of0->hvi, of1->hvi, n);

    assert_int_not_equal(order, 0);
    assert_int_equal(of0->mode, of1->mode);
    return order > 0 ? 0 : 1;
}

/* RFC 6189 4.2 MUST: of two Commits without an agreement that with the lower nonce is discarded */
static void of_two_commits_without_an_agreement_the_higher_nonce_wins(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        bool mult = i % 2;
        unsigned stream = mult, won[2] = { 0 };
        struct cph_zrtp_info info;
        struct duo d;

        memset(&commits, 0, sizeof commits);
        if (mult) {
            duo_init(&d, 460 + i);
            d.streams = 2;
            duo_open(&d);
            d.end[0].z[1]->started = d.end[1].z[1]->started = false;
            duo_run(&d, CPH_SEC(2));
            d.tap = note_commits;
            d.end[0].z[1]->started = d.end[1].z[1]->started = true;
            duo_run(&d, d.now + CPH_SEC(10));
        } else {
            verified_pair(&d, 460 + i);
            d.end[0].cfg.preshared = d.end[1].cfg.preshared = true;
            d.tap = note_commits;
            next_call(&d);
        }
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        assert_same_keys(&d, stream);
        info_of(d.end[0].z[stream], &info);
        assert_int_equal(info.mode, mult ? CPH_ZRTP_MULTISTREAM : CPH_ZRTP_PRESHARED);
        assert_true(commits.seen[0][stream] && commits.seen[1][stream]);
        won[winner(&commits.of[0][stream], &commits.of[1][stream], ZRTP_NONCE)]++;
        assert_int_equal(info.initiator, won[0]);
        duo_close(&d);
    }
}

/* End 0 gets no acknowledgement of its Hello but on the first stream, end 1 none but on the second,
 * and their Commits are lost at first: so each commits on another one. */
static bool part_streams(struct duo *d, int from, int stream, struct flight *f)
{
    enum zrtp_type type = flight_type(f);

    note_commit(from, stream, f);
    if (d->now > CPH_MS(300))
        return true;
    return type != ZRTP_COMMIT && !(type == ZRTP_HELLOACK && from == stream);
}

/* 4.2: "the same resolution rules apply as if they were received on the same stream" */
static void commits_that_cross_on_two_streams_are_one_contention(void **state)
{
    unsigned won[2] = { 0 };

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct duo d;
        int w;

        memset(&commits, 0, sizeof commits);
        duo_init(&d, 490 + i);
        d.streams = 2;
        d.tap = part_streams;
        duo_open(&d);
        duo_run(&d, CPH_MS(299));
        assert_true(commits.seen[0][0] && !commits.seen[0][1]);
        assert_true(commits.seen[1][1] && !commits.seen[1][0]);
        duo_run(&d, CPH_SEC(20));
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        w = winner(&commits.of[0][0], &commits.of[1][1], ZRTP_HASH);
        won[w]++;
        for (int s = 0; s < 2; s++) {
            assert_same_keys(&d, (unsigned)s);
            for (int e = 0; e < 2; e++)
                assert_int_equal(d.end[e].z[s]->live.committed.mode,
                                 s == w ? CPH_ZRTP_DH : CPH_ZRTP_MULTISTREAM);
        }
        assert_int_equal(d.end[w].z[w]->live.initiator, true);
        assert_int_equal(d.sent[0][ZRTP_DHPART1] > 0, w == 1);
        assert_int_equal(d.sent[1][ZRTP_DHPART1] > 0, w == 0);
        duo_close(&d);
    }
    assert_true(won[0] > 0 && won[1] > 0);
}

/* ---- Hello ----------------------------------------------------------------------------------- */

/* What end 1 lists instead, of each kind. */
static void lists(struct duo *d, unsigned n)
{
    struct zrtp_list list = { .n = n };

    for (unsigned k = 0; k < n; k++)
        list.id[k] = ZRTP_ID('?', '?', '0' + k, 0xff);
    for (int k = 0; k < ZRTP_KINDS; k++)
        d->end[1].call->list[k] = list;
    assert_ok(zrtp_own_hello(d->end[1].z[0]));
}

/* 5.2: what is mandatory is there, listed or not, and what nobody knows is passed over; the field
 * has four bits, and more than seven of a kind there are not. */
static void a_hello_lists_up_to_seven_of_a_kind_known_or_not(void **state)
{
    static const unsigned n[] = { 0, 1, 7, 8 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cph_zrtp_info info;
        struct zrtp_msg m;
        struct duo d;

        duo_init(&d, 510 + i);
        duo_open(&d);
        lists(&d, n[i]);
        assert_err(
            zrtp_msg_parse(
                (struct cph_span){ d.end[1].z[0]->own_hello.b, d.end[1].z[0]->own_hello.n }, &m),
            n[i] > 7 ? CPH_E_MALFORMED : CPH_OK);
        if (n[i] <= 7) {
            duo_run(&d, CPH_SEC(20));
            assert_same_keys(&d, 0);
            info_of(d.end[0].z[0], &info);
            assert_string_equal(info.hash, "S256");
            assert_string_equal(info.cipher, "AES1");
            assert_string_equal(info.agreement, "DH3k");
            assert_string_equal(info.sas_type, "B32 ");
        }
        duo_close(&d);
    }
}

/* A peer that knows a later version too, until it hears that we do not. */
static bool steps_down(struct duo *d, int from, int stream, struct flight *f)
{
    enum zrtp_type type = flight_type(f);

    (void)stream;
    if (d->now >= CPH_MS(200))
        return true;
    if (from == 1 && type == ZRTP_HELLO) {
        f->b[12 + 12] = '2';
        fix_crc(f);
    }
    return !(from == 0 && type == ZRTP_HELLOACK);
}

/* RFC 6189 4.1.1 MUST: the higher one is ignored, and the exchange goes on when both have one */
static void a_peer_that_steps_down_to_our_version_is_spoken_with(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 520);
    d.tap = steps_down;
    duo_open(&d);
    duo_run(&d, CPH_MS(199));
    assert_false(d.end[0].z[0]->live.has_peer);
    duo_run(&d, CPH_SEC(5));
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    assert_same_keys(&d, 0);
    duo_close(&d);
}

/* 6 SHOULD: a Ping is evidence too that somebody is there: 12 seconds */
static void who_pings_is_given_twelve_seconds(void **state)
{
    (void)state;
    for (int pinged = 0; pinged < 2; pinged++) {
        struct zrtp_msg m = { .type = ZRTP_PING };
        struct duo d;

        duo_init(&d, 521);
        end_open(&d.end[0], 1, 1);
        d.link.loss = 100;
        duo_run(&d, CPH_SEC(1));
        memcpy(m.u.ping.version, "1.10", 4);
        if (pinged)
            feed_msg(&d, 0, &m, 0x7777);
        duo_run(&d, CPH_SEC(60));
        assert_int_equal(d.sent[0][ZRTP_PINGACK], pinged);
        assert_int_equal(d.sent[0][ZRTP_HELLO], 1 + (pinged ? 62 : 20));
        duo_close(&d);
    }
}

/* ---- clear before the last word was heard ---------------------------------------------------- */

static bool lose_first_conf2ack(struct duo *d, int from, int stream, struct flight *f)
{
    (void)stream;
    return flight_type(f) != ZRTP_CONF2ACK || d->sent[from][ZRTP_CONF2ACK] > 1;
}

/* A responder that goes clear while its Conf2ACK is lost still acknowledges: else the initiator
 * could not know the GoClear for one, and both would wait in vain. */
static void a_responder_that_goes_clear_at_once_is_understood(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 530);
    d.end[1].cfg.passive = true;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    d.tap = lose_first_conf2ack;
    duo_open(&d);
    while (d.end[1].z[0]->live.state != ZRTP_SECURE)
        duo_run(&d, d.now + CPH_MS(1));
    assert_ok(cph_zrtp_clear(&d.end[1].z[0]->base, d.now));
    duo_run(&d, d.now + CPH_SEC(5));
    assert_true(d.sent[1][ZRTP_CONF2ACK] > 1);
    assert_true(duo_all_in(&d, ZRTP_CLEAR));
    duo_close(&d);
}

/* ---- the schedule of what is sent again (6) -------------------------------------------------- */

static struct {
    enum zrtp_type sent, lost; /* by end 0; its answer, by end 1 */
    unsigned n;
    cph_time at[32];
    struct flight first;
} watch;

static bool watch_sends(struct duo *d, int from, int stream, struct flight *f)
{
    enum zrtp_type type = flight_type(f);

    (void)stream;
    if (from == 1 && type == ZRTP_DHPART1 && watch.sent == ZRTP_ERROR) {
        f->b[f->n - 5] ^= 1; /* keys that differ: in the end that is told */
        fix_crc(f);
    }
    if (from == 0 && type == watch.sent) {
        assert_in_range(watch.n, 0, 31);
        if (watch.n == 0)
            watch.first = *f;
        /* RFC 6189 6 MUST: the same message; the packet around it has a number of its own */
        assert_int_equal(f->n, watch.first.n);
        assert_memory_equal(f->b + 12, watch.first.b + 12, f->n - ZRTP_FRAME);
        watch.at[watch.n++] = d->now;
    }
    return from == 0 || type != watch.lost;
}

/* RFC 6189 6: from T2, 150 ms, doubled to 1200 ms; ten times: 150 + 300 + 600 + 7 * 1200 ms */
static void every_message_but_hello_is_sent_eleven_times_in_so_many_milliseconds(void **state)
{
    static const struct {
        enum zrtp_type sent, lost;
        bool after; /* the exchange */
    } row[] = {
        { ZRTP_COMMIT, ZRTP_DHPART1, false },    { ZRTP_DHPART2, ZRTP_CONFIRM1, false },
        { ZRTP_CONFIRM2, ZRTP_CONF2ACK, false }, { ZRTP_ERROR, ZRTP_ERRORACK, false },
        { ZRTP_GOCLEAR, ZRTP_CLEARACK, true },   { ZRTP_SASRELAY, ZRTP_RELAYACK, true },
    };
    static const unsigned ms[] = { 150, 300, 600, 1200, 1200, 1200, 1200, 1200, 1200, 1200 };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct duo d;

        memset(&watch, 0, sizeof watch);
        watch.sent = row[i].sent;
        watch.lost = row[i].lost;
        duo_init(&d, 300 + i);
        d.end[1].cfg.passive = true;
        d.end[0].cfg.mitm = row[i].sent == ZRTP_SASRELAY;
        d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
        d.tap = watch_sends;
        if (row[i].after) {
            duo_call(&d);
            assert_int_equal(watch.n, 0);
            if (row[i].sent == ZRTP_GOCLEAR)
                assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now));
            else
                assert_ok(cph_zrtp_relay(&d.end[0].z[0]->base, NULL, d.now));
        } else {
            duo_open(&d);
        }
        duo_run(&d, d.now + CPH_SEC(60));
        assert_int_equal(watch.n, 1 + 10);
        for (unsigned k = 0; k < 10; k++)
            assert_int_equal(watch.at[k + 1] - watch.at[k], CPH_MS(ms[k]));
        assert_int_equal(watch.at[10] - watch.at[0], CPH_MS(9450));
        duo_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_preshared_commits_that_of_the_man_in_the_middle_is_discarded),
        cmocka_unit_test(an_agreement_goes_before_a_preshared_commit),
        cmocka_unit_test(three_octets_of_a_version_count),
        cmocka_unit_test(an_exchange_that_broke_off_changes_nothing_that_is_retained),
        cmocka_unit_test(an_enrolment_that_is_declined_stores_nothing),
        cmocka_unit_test(while_it_enrols_nobody_behind_an_exchange_allows_clear),
        cmocka_unit_test(of_two_commits_without_an_agreement_the_higher_nonce_wins),
        cmocka_unit_test(commits_that_cross_on_two_streams_are_one_contention),
        cmocka_unit_test(a_hello_lists_up_to_seven_of_a_kind_known_or_not),
        cmocka_unit_test(a_peer_that_steps_down_to_our_version_is_spoken_with),
        cmocka_unit_test(who_pings_is_given_twelve_seconds),
        cmocka_unit_test(a_responder_that_goes_clear_at_once_is_understood),
        cmocka_unit_test(every_message_but_hello_is_sent_eleven_times_in_so_many_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static bool lose_confirm2(struct duo *d, int from, int stream, struct flight *f)
{
    (void)d, (void)from, (void)stream;
    return flight_type(f) != ZRTP_CONFIRM2;
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
    d.tap = lose_confirm2;
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
        uint32_t crc; /* keys that differ: in the end that is told */

        f->b[f->n - 5] ^= 1;
        crc = zrtp_crc32c((struct cph_span){ f->b, f->n - 4 });
        for (int i = 0; i < 4; i++)
            f->b[f->n - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
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
        cmocka_unit_test(every_message_but_hello_is_sent_eleven_times_in_so_many_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

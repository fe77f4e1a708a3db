/* What the phones' own search of the memory does not come to: keys of ZRTP by each agreement,
 * without one, after GoClear, with a man in the middle, and of exchanges that failed. */
#include "sip/memory_secrets.h"

#include "zrtp_pair.h"

/* ---- a store that does not hold what it keeps as it is --------------------------------------- */

static void mask(struct cph_zrtp_retained *r)
{
    uint8_t *b = (uint8_t *)r;

    for (size_t i = 0; i < sizeof *r; i++)
        b[i] ^= MASK;
}

static cph_err masked_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    CPH_TRY(mem_get(ctx, zid, out));
    mask(out);
    return CPH_OK;
}

static cph_err masked_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                          const struct cph_zrtp_retained *in)
{
    struct mem_store *m = ctx;

    CPH_TRY(mem_put(ctx, zid, in));
    for (int i = 0; i < PAIR_STORE; i++) /* names, so public */
        if (m->at[i].used && memcmp(m->at[i].zid, zid, CPH_ZRTP_ZID) == 0)
            mask(&m->at[i].r);
    return CPH_OK;
}

static struct duo d; /* by itself, so that no frame of ours hides what a step leaves on the stack */

static void open_pair(uint64_t seed)
{
    secrets_forget();
    stack_finds = 0;
    noting = true;
    duo_init(&d, seed);
    for (int e = 0; e < 2; e++) {
        d.end[e].mem.store.get = masked_get;
        d.end[e].mem.store.put = masked_put;
    }
}

static void run_for(unsigned ms)
{
    for (unsigned t = 0; t < ms; t += 10)
        ON_STACK(duo_run(&d, d.now + CPH_MS(10)));
}

/* A call, in which nothing of what made the keys is left. RFC 6189 4.4.1.4, 4.6.1 MUST */
static unsigned stand(void)
{
    unsigned finds;

    ON_STACK(duo_open(&d));
    run_for(4000);
    assert_true(duo_all_in(&d, ZRTP_SECURE));
    finds = find_secrets("s0", true) + find_secrets(AGREED, true);
    assert_true(find_secrets("a key of SRTP by ZRTP", false) > 0); /* and we would see it */
    return finds + find_secrets(PRIVATE_VALUE, true);
}

static unsigned finds_after_it(void)
{
    ON_STACK(duo_close(&d));
    for (int e = 0; e < 2; e++)
        d.end[e].env.state += 77; /* another call draws something else */
    return find_secrets(NULL, true) + stack_finds;
}

static void say(bool equal)
{
    for (int e = 0; e < 2; e++)
        ON_STACK(assert_ok(cph_zrtp_compared(&d.end[e].z[0]->base, equal)));
}

/* ---- ways to come to keys -------------------------------------------------------------------- */

static void no_agreement_leaves_anything(void **state)
{
#ifdef TEST_SANITIZED
    skip(); /* freed memory is kept, and the shadow is larger than the machine */
#endif
    static const char *const agreement[][2] = { { "X255" }, { "X448" }, { "EC25" },
                                                { "EC38" }, { "DH3k" }, { "DH2k" } };

    (void)state;
    for (size_t i = 0; i < sizeof agreement / sizeof *agreement; i++) {
        unsigned finds;

        open_pair(i);
        d.end[0].cfg.agreements = d.end[1].cfg.agreements = agreement[i];
        finds = stand();
        assert_true(noted(PRIVATE_VALUE) > 0 && noted(AGREED) > 0 && noted("s0") > 0);
        if (finds + finds_after_it() > 0)
            fail_msg("by %s", agreement[i][0]);
    }
}

/* Of a later call, whose secrets are those of the first and one that both were given. */
static void nothing_that_two_calls_share_is_left(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static const uint8_t given[2][16] = { "given to both..", "salt of that..." };

    (void)state;
    for (int preshared = 0; preshared < 2; preshared++) {
        unsigned finds;

        open_pair(10);
        d.end[0].cfg.preshared = d.end[1].cfg.preshared = preshared;
        finds = stand();
        say(true);
        finds += finds_after_it();
        ON_STACK(duo_open(&d));
        for (int e = 0; e < 2 && !preshared; e++)
            assert_ok(cph_zrtp_srtps(&d.end[e].z[0]->base, (struct cph_span){ given[0], 16 },
                                     (struct cph_span){ given[1], 16 }));
        run_for(4000);
        assert_true(duo_all_in(&d, ZRTP_SECURE));
        assert_int_equal(d.end[0].z[0]->live.committed.mode,
                         preshared ? CPH_ZRTP_PRESHARED : CPH_ZRTP_DH);
        assert_true(d.end[0].z[0]->peer->continuity);
        finds += find_secrets("s0", true);
        assert_int_equal(finds + finds_after_it(), 0);
    }
}

/* RFC 6189 4.7.2.1 MUST: the keys of all streams go with the GoClear, and ZRTPSess as it was */
static void nothing_is_left_of_the_keys_of_a_call_that_went_clear(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    unsigned finds;

    (void)state;
    open_pair(20);
    d.streams = 3;
    d.end[0].cfg.allow_clear = d.end[1].cfg.allow_clear = true;
    finds = stand();
    assert_true(find_secrets("ZRTPSess", false) > 0);
    ON_STACK(assert_ok(cph_zrtp_clear(&d.end[0].z[0]->base, d.now)));
    run_for(2000);
    finds += find_secrets("a key of SRTP by ZRTP", true) + find_secrets("ZRTPSess", true) +
             find_secrets("the exported key of ZRTP", true) + find_secrets("a key of ZRTP", true);
    for (unsigned s = 0; s < 3; s++)
        ON_STACK((void)!cph_zrtp_secure(&d.end[0].z[s]->base, d.now));
    run_for(4000);
    assert_same_keys(&d, 0);
    assert_int_equal(finds + finds_after_it(), 0);
}

static void nothing_is_left_of_an_enrolment_and_of_what_is_relayed(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    unsigned finds;

    (void)state;
    open_pair(30); /* end 1 is the exchange */
    d.end[1].cfg.mitm = d.end[1].cfg.enroll = true;
    finds = stand();
    for (int e = 0; e < 2; e++)
        ON_STACK(assert_ok(cph_zrtp_enroll(&d.end[e].z[0]->base)));
    finds += finds_after_it();
    d.end[1].cfg.enroll = false;
    finds += stand();
    assert_true(d.end[0].z[0]->peer->pbx_matched);
    ON_STACK(assert_ok(cph_zrtp_relay(&d.end[1].z[0]->base, NULL, d.now)));
    run_for(1000);
    assert_int_equal(d.sent[0][ZRTP_RELAYACK], 1);
    assert_int_equal(finds + finds_after_it(), 0);
}

/* ---- exchanges that come to nothing ---------------------------------------------------------- */

static void nothing_is_left_where_the_peer_fell_silent(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static const enum zrtp_type lost[] = { ZRTP_COMMIT, ZRTP_DHPART1, ZRTP_DHPART2, ZRTP_CONFIRM1,
                                           ZRTP_CONFIRM2 };

    (void)state;
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        unsigned finds;

        open_pair(40 + i);
        d.end[0].cfg.agreements = (const char *const[]){ "DH2k", NULL };
        d.end[1].cfg.agreements = d.end[0].cfg.agreements;
        d.end[1].cfg.passive = true;
        d.tap = lose_some;
        d.lose = lost[i];
        d.lose_n = UINT_MAX;
        ON_STACK(duo_open(&d));
        run_for(40000);
        assert_int_equal(d.end[0].z[0]->live.err, CPH_E_TIMEOUT);
        assert_true(noted(PRIVATE_VALUE) > 0);
        /* the streams still stand, and have let go of it */
        finds = find_secrets(NULL, true);
        assert_int_equal(finds + finds_after_it(), 0);
    }
}

static void nothing_is_left_of_a_call_whose_strings_differ(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    (void)state;
    for (int known = 0; known < 2; known++) {
        unsigned finds;

        open_pair(50);
        finds = stand();
        if (known) { /* and then one of them lost what it kept */
            finds += finds_after_it();
            d.end[1].mem.at[0].used = false;
            finds += stand();
            assert_true(d.end[0].z[0]->peer->held);
        }
        say(false);
        assert_int_equal(finds + finds_after_it(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_agreement_leaves_anything),
        cmocka_unit_test(nothing_that_two_calls_share_is_left),
        cmocka_unit_test(nothing_is_left_of_the_keys_of_a_call_that_went_clear),
        cmocka_unit_test(nothing_is_left_of_an_enrolment_and_of_what_is_relayed),
        cmocka_unit_test(nothing_is_left_where_the_peer_fell_silent),
        cmocka_unit_test(nothing_is_left_of_a_call_whose_strings_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

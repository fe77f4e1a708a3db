#include "util.h"

enum { SSRC = 0x12345678 };

/* Each test runs on both engines. */
static const int accels[] = { CPH_SRTP_ACCEL_AUTO, CPH_SRTP_ACCEL_NONE };

struct pair {
    struct cph_srtp_engine *e;
    struct cph_srtp *out, *in;
};

static struct pair pair_open(int accel, const struct cph_srtp_policy *p)
{
    struct pair x = { .e = engine_new(accel) };

    x.out = ctx_new(x.e, p, CPH_SRTP_SEND);
    x.in = ctx_new(x.e, p, CPH_SRTP_RECV);
    return x;
}

static void pair_close(struct pair *x)
{
    cph_srtp_free(x->out);
    cph_srtp_free(x->in);
    cph_srtp_engine_free(x->e);
}

static uint32_t roc_of(const struct cph_srtp *s)
{
    uint32_t roc;

    assert_ok(cph_srtp_roc_get(s, SSRC, &roc));
    return roc;
}

/* ---- every check with a wrong value ---------------------------------------------------------- */

struct golden {
    struct cph_srtp_engine *e;
    const struct cph_srtp_policy *p;
    bool rtcp;
};

static cph_err check_golden(void *arg, struct cph_span bytes)
{
    const struct golden *g = arg;
    struct cph_srtp *s = ctx_new(g->e, g->p, CPH_SRTP_RECV);
    struct packet k = { 0 };
    uint8_t was[BUF];
    cph_err err;

    memcpy(k.b, bytes.p, bytes.n);
    memcpy(was, k.b, BUF);
    k.pkt = (struct cph_srtp_pkt){ k.b, bytes.n, BUF };
    err = g->rtcp ? cph_srtp_unprotect_rtcp(s, &k.pkt) : cph_srtp_unprotect(s, &k.pkt);
    if (err != CPH_OK) {
        assert_int_equal(cph_srtp_stream_count(s), 0); /* no trace, and the packet as it was */
        assert_memory_equal(k.b, was, BUF);
        assert_int_equal(s->key[0]->rtp_used + s->key[0]->rtcp_used, 0);
    }
    cph_srtp_free(s);
    return err;
}

static void no_bit_of_a_packet_of_any_suite_may_change_and_none_be_cut(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_engine *e = engine_new(accels[a]);

        for (size_t i = 0; cph_srtp_suites[i]; i++) {
            for (unsigned clear = 0; clear < 2; clear++) {
                struct cph_srtp_policy p = policy_of(cph_srtp_suites[i], 3);
                struct golden g = { e, &p, false };
                struct cph_srtp *s;
                struct packet k;

                p.unencrypted_rtp = p.unencrypted_rtcp = clear;
                p.master.mki_n = (uint8_t)(2 * clear);
                s = ctx_new(e, &p, CPH_SRTP_SEND);
                rtp_make(&k, SSRC, 5, 21);
                k.b[0] = 0x91; /* a CSRC and a header extension of one word */
                k.b[12 + 4 + 2] = 0;
                k.b[12 + 4 + 3] = 1;
                assert_ok(cph_srtp_protect(s, &k.pkt));
                assert_int_equal(k.pkt.n, 33 + cph_srtp_overhead(s, false));
                expect_fragile((struct cph_span){ k.b, k.pkt.n },
                               FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_golden, &g);
                g.rtcp = true;
                rtcp_make(&k, SSRC, 20);
                assert_ok(cph_srtp_protect_rtcp(s, &k.pkt));
                assert_int_equal(k.pkt.n, 28 + cph_srtp_overhead(s, true));
                expect_fragile((struct cph_span){ k.b, k.pkt.n },
                               FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_golden, &g);
                cph_srtp_free(s);
            }
        }
        cph_srtp_engine_free(e);
    }
}

static void payload_is_encrypted_or_clear_as_agreed(void **state)
{
    (void)state;
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        for (unsigned clear = 0; clear < 2; clear++) {
            struct cph_srtp_policy p = policy_of(cph_srtp_suites[i], 3);
            bool seen = clear || !p.suite->encrypts;
            struct packet k, plain;
            struct pair x;

            p.unencrypted_rtp = p.unencrypted_rtcp = clear;
            x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
            rtp_make(&k, SSRC, 5, 40);
            copy(&plain, &k);
            assert_ok(cph_srtp_protect(x.out, &k.pkt));
            assert_memory_equal(k.b, plain.b, 12);
            assert_int_equal(memcmp(k.b + 12, plain.b + 12, 40) == 0, seen);
            assert_ok(cph_srtp_unprotect(x.in, &k.pkt));
            assert_int_equal(k.pkt.n, 52);
            assert_memory_equal(k.b, plain.b, 52);
            rtcp_make(&k, SSRC, 40);
            copy(&plain, &k);
            assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
            assert_int_equal(memcmp(k.b + 8, plain.b + 8, 40) == 0, seen);
            assert_int_equal(k.b[48 + (p.suite->transform->aead ? 16 : 0)] >> 7, !seen); /* E */
            assert_ok(cph_srtp_unprotect_rtcp(x.in, &k.pkt));
            assert_memory_equal(k.b, plain.b, 48);
            pair_close(&x);
        }
    }
}

static void an_E_flag_that_was_not_agreed_is_refused(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);

    (void)state;
    for (unsigned clear = 0; clear < 2; clear++) {
        struct cph_srtp *out, *in;
        struct packet k;

        p.unencrypted_rtcp = clear;
        out = ctx_new(e, &p, CPH_SRTP_SEND);
        p.unencrypted_rtcp = !clear;
        in = ctx_new(e, &p, CPH_SRTP_RECV);
        rtcp_make(&k, SSRC, 20);
        assert_ok(cph_srtp_protect_rtcp(out, &k.pkt));
        assert_err(cph_srtp_unprotect_rtcp(in, &k.pkt), CPH_E_POLICY);
        cph_srtp_free(out);
        cph_srtp_free(in);
    }
    cph_srtp_engine_free(e);
}

static void unauthenticated_rtp_carries_no_tag_and_rtcp_still_does(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
    struct packet k, plain;
    struct pair x;

    (void)state;
    p.unauthenticated_rtp = true;
    for (size_t a = 0; a < 2; a++) {
        x = pair_open(accels[a], &p);
        assert_int_equal(cph_srtp_overhead(x.out, false), 0);
        assert_int_equal(cph_srtp_overhead(x.out, true), 14);
        rtp_make(&k, SSRC, 5, 40);
        copy(&plain, &k);
        assert_ok(cph_srtp_protect(x.out, &k.pkt));
        assert_int_equal(k.pkt.n, 52);
        assert_memory_not_equal(k.b, plain.b, 52);
        assert_ok(opened(x.in, &k));
        rtcp_make(&k, SSRC, 40);
        assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
        k.b[20] ^= 1;
        assert_err(cph_srtp_unprotect_rtcp(x.in, &k.pkt), CPH_E_AUTH);
        pair_close(&x);
    }
}

static void what_is_no_packet_is_refused(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct packet k;

    (void)state;
    for (size_t n = 0; n < 12; n++) {
        rtp_make(&k, SSRC, 1, 0);
        k.pkt.n = n;
        assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_TRUNCATED);
    }
    rtp_make(&k, SSRC, 1, 8);
    k.b[0] = 0x40; /* version 1 */
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_MALFORMED);
    rtp_make(&k, SSRC, 1, 8);
    k.b[0] = 0x83; /* three CSRCs, room for two */
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_TRUNCATED);
    k.b[0] = 0x92; /* an extension header behind the end */
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_TRUNCATED);
    k.b[0] = 0x90;
    k.b[14] = 0;
    k.b[15] = 2; /* two words, room for one */
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_TRUNCATED);
    k.b[15] = 1; /* just fits: nothing to encrypt */
    assert_ok(cph_srtp_protect(x.out, &k.pkt));
    assert_ok(cph_srtp_unprotect(x.in, &k.pkt));
    rtp_make(&k, SSRC, 2, 8);
    k.pkt.cap = k.pkt.n + 9;
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_NOSPACE);
    k.pkt.cap++;
    assert_ok(cph_srtp_protect(x.out, &k.pkt)); /* the refusal used nothing up */
    for (size_t n = 0; n < 8; n++) {
        rtcp_make(&k, SSRC, 0);
        k.pkt.n = n;
        assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_TRUNCATED);
    }
    rtcp_make(&k, SSRC, 20);
    k.b[0] = 0;
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_MALFORMED);
    rtcp_make(&k, SSRC, 20);
    k.pkt.cap = k.pkt.n + 13;
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_NOSPACE);
    assert_err(cph_srtp_protect(x.in, &k.pkt), CPH_E_ARGUMENT); /* the wrong direction */
    assert_err(cph_srtp_protect_rtcp(x.in, &k.pkt), CPH_E_ARGUMENT);
    assert_err(cph_srtp_unprotect(x.out, &k.pkt), CPH_E_ARGUMENT);
    assert_err(cph_srtp_unprotect_rtcp(x.out, &k.pkt), CPH_E_ARGUMENT);
    pair_close(&x);
}

static void policies_outside_the_rfcs_are_refused(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_policy good = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3), p;
    struct cph_srtp *s;

    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        p = good;                                                                                  \
        change;                                                                                    \
        assert_err(cph_srtp_new(e, &p, CPH_SRTP_SEND, &s), CPH_E_ARGUMENT);                        \
    } while (0)
    REFUSED(p.suite = NULL);
    REFUSED(p.master.key.n = 15);
    REFUSED(p.master.key.n = 17);
    REFUSED(p.master.salt.n = 13);
    REFUSED(p.master.mki_n = 129);
    REFUSED(p.master.lifetime_rtp = (1ULL << 48) + 1);
    REFUSED(p.master.lifetime_rtcp = (1ULL << 31) + 1);
    REFUSED(p.kdr = 3);
    REFUSED(p.kdr = 1U << 25);
    REFUSED(p.window = 63);
    REFUSED(p.window = 32769);
    REFUSED(p.streams = 65537);
    REFUSED((p.unauthenticated_rtp = true, p.unencrypted_rtp = true));
    REFUSED((p = policy_of(suite_of("AEAD_AES_128_GCM"), 3), p.unauthenticated_rtp = true));
    REFUSED((p = policy_of(suite_of("NULL_HMAC_SHA1_80"), 3), p.unauthenticated_rtp = true));
    cph_srtp_engine_free(e);
}

/* ---- index, window, roll-over ---------------------------------------------------------------- */

static void the_window_ends_at_its_numbered_edges(void **state)
{
    static const unsigned sizes[] = { 0, 64, 100, 128, 1000, 32768 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
        unsigned w = sizes[i] ? sizes[i] : 128;
        uint16_t top = (uint16_t)(32768 + 100);
        struct packet k[5];
        struct pair x;

        p.window = sizes[i];
        x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
        sealed(x.out, &k[0], SSRC, (uint16_t)(top - w));     /* just too old */
        sealed(x.out, &k[1], SSRC, (uint16_t)(top - w + 1)); /* the oldest one */
        sealed(x.out, &k[2], SSRC, (uint16_t)(top - 1));
        sealed(x.out, &k[3], SSRC, top);
        sealed(x.out, &k[4], SSRC, (uint16_t)(top + 1));
        assert_ok(opened(x.in, &k[3]));
        assert_err(opened(x.in, &k[3]), CPH_E_REPLAY);
        assert_err(opened(x.in, &k[0]), CPH_E_REPLAY);
        assert_ok(opened(x.in, &k[1]));
        assert_err(opened(x.in, &k[1]), CPH_E_REPLAY);
        assert_ok(opened(x.in, &k[2]));
        assert_err(opened(x.in, &k[2]), CPH_E_REPLAY);
        assert_ok(opened(x.in, &k[4]));
        assert_err(opened(x.in, &k[1]), CPH_E_REPLAY); /* now below it */
        assert_err(opened(x.in, &k[4]), CPH_E_REPLAY);
        pair_close(&x);
    }
}

/* Against a list of all that was accepted. */
static void the_window_agrees_with_a_list(void **state)
{
    static bool seen[70000];
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct test_env t;

    (void)state;
    test_env_init(&t, 5);
    for (unsigned w = 64; w <= 200; w += 17) {
        struct cph_srtp *s;
        struct srtp_stream *st;
        uint64_t top = 0;

        p.window = w;
        s = ctx_new(e, &p, CPH_SRTP_RECV);
        assert_ok(srtp_stream_bind(s, SSRC, &st));
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < 20000 && top < 60000; i++) {
            uint64_t jump = test_random(&t) % 50 == 0 ? test_random(&t) % 700 : test_random(&t) % 4;
            uint64_t back = test_random(&t) % (w + 20);
            uint64_t at = test_random(&t) % 3 ? top + jump : top > back ? top - back : 0;
            bool refuse = st->rtp.started && at <= top && (top - at >= w || seen[at]);

            assert_int_equal(srtp_window_refuses(s, &st->rtp, at), refuse);
            if (refuse)
                continue;
            srtp_window_mark(s, &st->rtp, at);
            seen[at] = true;
            top = at > top ? at : top;
            assert_int_equal(st->rtp.top, top);
        }
        cph_srtp_free(s);
    }
    cph_srtp_engine_free(e);
}

static void the_index_is_the_nearest_one(void **state)
{
    static const struct {
        uint64_t top;
        uint16_t seq;
        uint64_t want;
    } row[] = {
        { 0, 0, 0 },
        { 0, 32768, 32768 },
        { 0, 32769, 32769 }, /* no ROC before 0 */
        { 10, 65535, 65535 },
        { 0x10000, 0, 0x10000 },
        { 0x10000, 0x8000, 0x18000 }, /* appendix A: not more than 2^15 ahead, same ROC */
        { 0x10000, 0x8001, 0x8001 },
        { 0x17fff, 0xffff, 0x1ffff },
        { 0x18000, 0x0000, 0x10000 },
        { 0x18001, 0x0000, 0x20000 },
        { 0x1ffff, 0x0000, 0x20000 },
        { 0x1ffff, 0x7ffe, 0x27ffe },
        { 0x1ffff, 0x7fff, 0x17fff },
        { 0x20000, 0xffff, 0x1ffff },
        { 0xffffffffffff, 0, 0x1000000000000 }, /* past the end: refused by the caller */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct srtp_window w = { .started = true };

        assert_int_equal(srtp_index_guess(&w, row[i].top, row[i].seq), row[i].want);
    }
}

static void the_roc_follows_the_wrap_through_loss_and_reordering(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);

    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct pair x = pair_open(accels[a], &p);
        struct packet before, wrap, late;

        for (uint32_t seq = 0; seq < 3 * 65536; seq += 20000) {
            sealed(x.out, &before, SSRC, (uint16_t)seq);
            assert_ok(opened(x.in, &before));
            assert_int_equal(roc_of(x.in), seq >> 16);
        }
        sealed(x.out, &late, SSRC, 65530);
        sealed(x.out, &before, SSRC, 65535);
        sealed(x.out, &wrap, SSRC, 0);
        assert_int_equal(roc_of(x.out), 3);
        assert_ok(opened(x.in, &wrap));
        assert_int_equal(roc_of(x.in), 3);
        assert_ok(opened(x.in, &before)); /* with the ROC before */
        assert_ok(opened(x.in, &late));
        assert_int_equal(roc_of(x.in), 3);
        assert_err(opened(x.in, &wrap), CPH_E_REPLAY);
        pair_close(&x);
    }
}

static void a_late_receiver_needs_the_roc(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);

    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct pair x = pair_open(accels[a], &p);
        uint32_t roc;
        struct packet k;

        assert_ok(cph_srtp_roc_set(x.out, SSRC, 70000));
        sealed(x.out, &k, SSRC, 1000);
        assert_err(opened(x.in, &k), CPH_E_AUTH);
        assert_err(cph_srtp_roc_get(x.in, SSRC, &roc), CPH_E_NOTFOUND);
        assert_ok(cph_srtp_roc_set(x.in, SSRC, 69999));
        assert_err(opened(x.in, &k), CPH_E_AUTH);
        assert_ok(cph_srtp_roc_set(x.in, SSRC, 70000));
        assert_ok(opened(x.in, &k));
        assert_err(cph_srtp_roc_set(x.in, SSRC, 69999), CPH_E_REPLAY); /* never back */
        assert_err(cph_srtp_roc_set(x.out, SSRC, 69999), CPH_E_REPLAY);
        assert_ok(cph_srtp_roc_set(x.in, SSRC, 70000));
        assert_err(opened(x.in, &k), CPH_E_REPLAY);
        assert_ok(cph_srtp_roc_set(x.in, SSRC, 70001));
        assert_ok(cph_srtp_roc_set(x.out, SSRC, 70001));
        sealed(x.out, &k, SSRC, 1001);
        assert_ok(opened(x.in, &k));
        pair_close(&x);
    }
}

static void the_index_space_has_an_end(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_256_GCM"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct cph_srtp_life life;
    struct packet k;

    (void)state;
    assert_ok(cph_srtp_roc_set(x.out, SSRC, 0xffffffff));
    assert_ok(cph_srtp_roc_set(x.in, SSRC, 0xffffffff));
    sealed(x.out, &k, SSRC, 65535);
    assert_ok(opened(x.in, &k));
    rtp_make(&k, SSRC, 0, 10);
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_EXPIRED);
    cph_srtp_life(x.out, &life);
    assert_true(life.soon);
    assert_int_equal(life.rtp_left, 0);
    srtp_stream_find(x.out, SSRC)->rtcp_next = (1ULL << 31) - 1;
    rtcp_make(&k, SSRC, 20);
    assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
    assert_ok(cph_srtp_unprotect_rtcp(x.in, &k.pkt));
    rtcp_make(&k, SSRC, 20);
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_EXPIRED);
    pair_close(&x);
}

static void a_sender_never_uses_an_index_twice(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct packet k;

    (void)state;
    sealed(x.out, &k, SSRC, 1000);
    sealed(x.out, &k, SSRC, 998); /* out of order is no reuse */
    for (uint16_t seq = 998; seq <= 1000; seq = (uint16_t)(seq + 2)) {
        struct packet was;

        rtp_make(&k, SSRC, seq, 10);
        copy(&was, &k);
        assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_REPLAY);
        assert_memory_equal(k.b, was.b, BUF);
    }
    rtp_make(&k, SSRC, 1000 - 128, 10);
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_REPLAY);
    assert_err(cph_srtp_stream_drop(x.out, SSRC), CPH_E_POLICY); /* nor forgets that it did */
    pair_close(&x);
}

static void rtcp_replay_is_refused_and_the_index_counts_from_0(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_32"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct packet k[200], c;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        rtcp_make(&k[i], SSRC, 20);
        assert_ok(cph_srtp_protect_rtcp(x.out, &k[i].pkt));
        assert_int_equal(srtp_be32(k[i].b + 28), 0x80000000 + i);
    }
#define RTCP(i, want)                                                                              \
    do {                                                                                           \
        copy(&c, &k[i]);                                                                           \
        assert_err(cph_srtp_unprotect_rtcp(x.in, &c.pkt), want);                                   \
    } while (0)
    RTCP(150, CPH_OK);
    RTCP(150, CPH_E_REPLAY);
    RTCP(22, CPH_E_REPLAY); /* 128 back */
    RTCP(23, CPH_OK);
    RTCP(23, CPH_E_REPLAY);
    RTCP(199, CPH_OK);
    RTCP(71, CPH_E_REPLAY);
    RTCP(72, CPH_OK);
    pair_close(&x);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void fill_and_drop(unsigned window)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct cph_srtp_stream_info info;
    struct packet k, bad;
    struct pair x;

    p.window = window;
    x = pair_open(CPH_SRTP_ACCEL_AUTO, &p); /* 16 streams */
    for (uint32_t ssrc = 0; ssrc < 16; ssrc++) {
        sealed(x.out, &k, ssrc * 0x10001, 7);
        copy(&bad, &k);
        bad.b[20] ^= 1;
        assert_err(opened(x.in, &bad), CPH_E_AUTH);
        assert_int_equal(cph_srtp_stream_count(x.in), ssrc); /* a forger takes no place */
        assert_ok(opened(x.in, &k));
        assert_int_equal(cph_srtp_stream_count(x.in), ssrc + 1);
    }
    bad.b[20] ^= 1; /* the last one's packet again */
    rtp_make(&k, 99, 1, 20);
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_LIMIT);
    assert_err(cph_srtp_unprotect(x.in, &k.pkt), CPH_E_LIMIT);
    rtcp_make(&k, 99, 20);
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_LIMIT);
    assert_err(cph_srtp_roc_set(x.in, 99, 1), CPH_E_LIMIT);
    assert_ok(cph_srtp_stream_drop(x.in, 3 * 0x10001));
    assert_err(cph_srtp_stream_drop(x.in, 3 * 0x10001), CPH_E_NOTFOUND);
    assert_int_equal(cph_srtp_stream_count(x.in), 15);
    for (uint32_t ssrc = 0; ssrc < 16; ssrc++) { /* the others are found, with their state */
        sealed(x.out, &k, ssrc * 0x10001, 8);
        assert_ok(opened(x.in, &k));
        assert_err(opened(x.in, &k), CPH_E_REPLAY);
    }
    assert_err(opened(x.in, &bad), CPH_E_REPLAY); /* it took the place of the one dropped */
    assert_ok(cph_srtp_stream_at(x.in, 15, &info));
    assert_int_equal(info.ssrc, 3 * 0x10001);
    assert_int_equal(info.s_l, 8);
    assert_true(info.started && !info.rtcp_started);
    assert_err(cph_srtp_stream_at(x.in, 16, &info), CPH_E_NOTFOUND);
    pair_close(&x);
}

static void streams_bind_late_and_the_table_is_bounded(void **state)
{
    (void)state;
    fill_and_drop(128); /* the rings lie in the streams */
    fill_and_drop(129); /* or apart */
}

static void one_key_both_ways_refuses_a_shared_ssrc(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct cph_srtp *other;
    struct packet k;

    (void)state;
    assert_err(cph_srtp_pair(x.in, x.out), CPH_E_ARGUMENT);
    assert_ok(cph_srtp_pair(x.out, x.in));
    sealed(x.out, &k, 1, 1);
    assert_err(opened(x.in, &k), CPH_E_POLICY); /* our own packet come back */
    other = ctx_new(x.e, &p, CPH_SRTP_SEND);
    sealed(other, &k, 2, 1);
    assert_ok(opened(x.in, &k));
    rtp_make(&k, 2, 2, 10);
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_POLICY);
    rtcp_make(&k, 2, 20);
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_POLICY);
    cph_srtp_free(other);
    cph_srtp_free(x.in);
    x.in = NULL;
    sealed(x.out, &k, 2, 3); /* undone when either goes */
    p.master.key.b[0] ^= 1;
    x.in = ctx_new(x.e, &p, CPH_SRTP_RECV);
    assert_ok(cph_srtp_pair(x.out, x.in));
    assert_null(x.in->pair); /* other keys: nothing to watch */
    pair_close(&x);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void keys_are_told_apart_by_their_mki(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; cph_srtp_suites[i]; i++) {
            struct cph_srtp_policy p = policy_of(cph_srtp_suites[i], 3);
            struct cph_srtp_key second = p.master, third;
            struct packet k, old;
            struct pair x;

            p.master.mki_n = second.mki_n = 4;
            second.mki[3] = 9;
            second.key.b[0] ^= 1;
            third = second;
            third.mki[0] = 1;
            x = pair_open(accels[a], &p);
            sealed(x.out, &old, SSRC, 1);
            assert_ok(cph_srtp_key_add(x.out, &second));
            assert_err(cph_srtp_key_add(x.out, &second), CPH_E_EXISTS);
            assert_ok(cph_srtp_key_use(x.out, (struct cph_span){ second.mki, 4 }));
            assert_err(cph_srtp_key_use(x.out, (struct cph_span){ third.mki, 4 }), CPH_E_NOTFOUND);
            sealed(x.out, &k, SSRC, 2);
            assert_err(opened(x.in, &k), CPH_E_NOKEY);
            assert_ok(cph_srtp_key_add(x.in, &second));
            assert_ok(opened(x.in, &k));
            assert_ok(opened(x.in, &old)); /* late, under the key before */
            rtcp_make(&k, SSRC, 20);
            assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
            assert_ok(cph_srtp_unprotect_rtcp(x.in, &k.pkt));
            third.mki_n = 3;
            assert_err(cph_srtp_key_add(x.in, &third), CPH_E_ARGUMENT);
            assert_err(cph_srtp_key_drop(x.out, (struct cph_span){ second.mki, 4 }),
                       CPH_E_ARGUMENT);
            assert_ok(cph_srtp_key_drop(x.out, (struct cph_span){ p.master.mki, 4 }));
            assert_ok(cph_srtp_key_drop(x.in, (struct cph_span){ p.master.mki, 4 }));
            assert_err(cph_srtp_key_drop(x.in, (struct cph_span){ p.master.mki, 4 }),
                       CPH_E_NOTFOUND);
            assert_err(cph_srtp_key_drop(x.in, (struct cph_span){ second.mki, 4 }), CPH_E_ARGUMENT);
            sealed(x.out, &k, SSRC, 3);
            assert_ok(opened(x.in, &k));
            assert_err(opened(x.in, &old), CPH_E_NOKEY);
            pair_close(&x);
        }
    }
}

static void sixteen_keys_and_no_more(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct pair x;

    (void)state;
    p.master.mki_n = 1;
    x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    for (uint8_t i = 1; i < CPH_SRTP_KEYS_MAX; i++) {
        p.master.mki[0] = i;
        assert_ok(cph_srtp_key_add(x.in, &p.master));
    }
    p.master.mki[0] = 77;
    assert_err(cph_srtp_key_add(x.in, &p.master), CPH_E_LIMIT);
    pair_close(&x);
}

static void a_lifetime_is_reported_and_then_kept(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
    struct cph_srtp_life life;
    struct packet k;
    struct pair x;

    (void)state;
    p.master.lifetime_rtp = 1 << 21;
    p.master.lifetime_rtcp = 3;
    x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    for (int i = 0; i < 3; i++) {
        cph_srtp_life(x.out, &life);
        assert_int_equal(life.rtcp_left, 3 - i);
        rtcp_make(&k, SSRC, 20);
        assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
        assert_ok(cph_srtp_unprotect_rtcp(x.in, &k.pkt));
    }
    rtcp_make(&k, SSRC, 20);
    assert_err(cph_srtp_protect_rtcp(x.out, &k.pkt), CPH_E_EXPIRED);
    k.pkt.n += 14;
    assert_err(cph_srtp_unprotect_rtcp(x.in, &k.pkt), CPH_E_EXPIRED);
    pair_close(&x);

    p.master.lifetime_rtcp = 0;
    x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    cph_srtp_life(x.out, &life);
    assert_int_equal(life.rtp_left, 1 << 21);
    assert_int_equal(life.rtcp_left, 1ULL << 31);
    assert_false(life.soon);
    x.out->key[0]->rtp_used = (1 << 21) - (1 << 17) - 1;
    cph_srtp_life(x.out, &life);
    assert_false(life.soon);
    sealed(x.out, &k, SSRC, 1);
    cph_srtp_life(x.out, &life); /* a sixteenth is left */
    assert_true(life.soon);
    x.out->key[0]->rtp_used = (1 << 21) - 1;
    sealed(x.out, &k, SSRC, 2);
    rtp_make(&k, SSRC, 3, 10);
    assert_err(cph_srtp_protect(x.out, &k.pkt), CPH_E_EXPIRED);
    pair_close(&x);
}

static void keys_are_derived_anew_at_the_rate_agreed(void **state)
{
    static const uint64_t rates[] = { 1, 2, 16, 256, 1 << 24 };

    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
            struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
            struct packet k[40], rtcp, fixed;
            struct cph_srtp *zero;
            struct pair x;

            p.kdr = rates[r];
            x = pair_open(accels[a], &p);
            p.kdr = 0;
            zero = ctx_new(x.e, &p, CPH_SRTP_SEND);
            for (uint16_t i = 0; i < 40; i++) {
                sealed(x.out, &k[i], SSRC, i);
                sealed(zero, &fixed, SSRC, i);
                /* the first key is that of rate 0; then they part */
                assert_int_equal(memcmp(fixed.b, k[i].b, k[i].pkt.n) == 0, i < rates[r]);
                rtcp_make(&rtcp, SSRC, 20);
                assert_ok(cph_srtp_protect_rtcp(x.out, &rtcp.pkt));
                assert_ok(cph_srtp_unprotect_rtcp(x.in, &rtcp.pkt));
            }
            for (uint16_t i = 0; i < 40; i++) /* across the borders, both ways */
                assert_ok(opened(x.in, &k[i % 2 ? 40 - i : i]));
            cph_srtp_free(zero);
            pair_close(&x);
        }
    }
}

/* ---- moving, peers.md 2 #1 and #5 ------------------------------------------------------------ */

static void a_reoffer_that_keeps_the_key_keeps_roc_and_window(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct cph_srtp *out, *in;
    struct packet k[5], reused;
    struct cph_srtp_life life;

    (void)state;
    sealed(x.out, &k[0], SSRC, 65000);
    sealed(x.out, &k[1], SSRC, 65535);
    sealed(x.out, &k[2], SSRC, 30);
    sealed(x.out, &k[3], SSRC, 31);
    assert_ok(opened(x.in, &k[0]));
    assert_ok(opened(x.in, &k[1]));
    assert_ok(opened(x.in, &k[3]));
    p.window = 1024; /* another window, the same key */
    out = ctx_new(x.e, &p, CPH_SRTP_SEND);
    in = ctx_new(x.e, &p, CPH_SRTP_RECV);
    assert_err(cph_srtp_move(in, x.out), CPH_E_ARGUMENT);
    assert_ok(cph_srtp_move(out, x.out));
    assert_ok(cph_srtp_move(in, x.in));
    assert_err(cph_srtp_move(in, x.in), CPH_E_EXISTS);
    assert_true(cph_srtp_same_key(in, x.in));
    assert_int_equal(roc_of(in), 1);
    cph_srtp_life(out, &life);
    assert_int_equal(life.rtp_left, (1ULL << 48) - (65536 + 32)); /* what its index leaves */
    assert_err(opened(in, &k[3]), CPH_E_REPLAY);
    assert_err(opened(in, &k[1]), CPH_E_REPLAY);
    assert_err(opened(in, &k[0]), CPH_E_REPLAY); /* the old window did not reach so far */
    assert_ok(opened(in, &k[2]));
    rtp_make(&reused, SSRC, 31, 10);
    assert_err(cph_srtp_protect(out, &reused.pkt), CPH_E_REPLAY);
    sealed(out, &k[4], SSRC, 32);
    assert_ok(opened(in, &k[4]));
    cph_srtp_free(out);
    cph_srtp_free(in);
    pair_close(&x);
}

static void a_rekey_keeps_the_roc_and_empties_the_window(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 3);
    struct pair x = pair_open(CPH_SRTP_ACCEL_AUTO, &p);
    struct cph_srtp *out, *in, *tiny;
    struct packet k;

    (void)state;
    for (uint32_t seq = 65000; seq < 65700; seq += 100) {
        sealed(x.out, &k, SSRC, (uint16_t)seq);
        assert_ok(opened(x.in, &k));
    }
    rtcp_make(&k, SSRC, 20);
    assert_ok(cph_srtp_protect_rtcp(x.out, &k.pkt));
    p = policy_of(suite_of("AES_256_CM_HMAC_SHA1_80"), 9); /* another suite even */
    out = ctx_new(x.e, &p, CPH_SRTP_SEND);
    in = ctx_new(x.e, &p, CPH_SRTP_RECV);
    p.streams = 1;
    tiny = ctx_new(x.e, &p, CPH_SRTP_SEND);
    assert_ok(cph_srtp_roc_set(tiny, 5, 1));
    assert_err(cph_srtp_move(tiny, x.out), CPH_E_LIMIT);
    assert_int_equal(cph_srtp_stream_count(tiny), 1);
    assert_ok(cph_srtp_move(out, x.out));
    assert_ok(cph_srtp_move(in, x.in));
    assert_false(cph_srtp_same_key(in, x.in));
    assert_int_equal(roc_of(in), 1);
    sealed(out, &k, SSRC, (uint16_t)65500); /* sent again under the new key: another keystream */
    assert_ok(opened(in, &k));
    sealed(out, &k, SSRC, 65);
    assert_ok(opened(in, &k));
    assert_int_equal(roc_of(in), 1);
    rtcp_make(&k, SSRC, 20);
    assert_ok(cph_srtp_protect_rtcp(out, &k.pkt));
    assert_int_equal(srtp_be32(k.b + 28), 0x80000001); /* the SRTCP index goes on */
    cph_srtp_free(out);
    cph_srtp_free(in);
    cph_srtp_free(tiny);
    pair_close(&x);
}

static cph_err make_and_free(void *arg)
{
    struct cph_srtp_engine *e = NULL;
    struct cph_srtp *s = NULL;
    struct cph_srtp_policy p = policy_of(suite_of(arg), 3);
    cph_err err;

    p.kdr = 16;
    p.master.mki_n = 1;
    err = cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &e);
    if (err == CPH_OK)
        err = cph_srtp_new(e, &p, CPH_SRTP_RECV, &s);
    p.master.mki[0] = 1;
    if (err == CPH_OK)
        err = cph_srtp_key_add(s, &p.master);
    cph_srtp_free(s);
    cph_srtp_engine_free(e);
    return err;
}

static void no_memory_is_told_and_leaks_nothing(void **state)
{
    char cm[] = "AES_CM_128_HMAC_SHA1_80", gcm[] = "AEAD_AES_128_GCM";

    (void)state;
    test_alloc_fails(make_and_free, cm);
    test_alloc_fails(make_and_free, gcm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bit_of_a_packet_of_any_suite_may_change_and_none_be_cut),
        cmocka_unit_test(payload_is_encrypted_or_clear_as_agreed),
        cmocka_unit_test(an_E_flag_that_was_not_agreed_is_refused),
        cmocka_unit_test(unauthenticated_rtp_carries_no_tag_and_rtcp_still_does),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(policies_outside_the_rfcs_are_refused),
        cmocka_unit_test(the_window_ends_at_its_numbered_edges),
        cmocka_unit_test(the_window_agrees_with_a_list),
        cmocka_unit_test(the_index_is_the_nearest_one),
        cmocka_unit_test(the_roc_follows_the_wrap_through_loss_and_reordering),
        cmocka_unit_test(a_late_receiver_needs_the_roc),
        cmocka_unit_test(the_index_space_has_an_end),
        cmocka_unit_test(a_sender_never_uses_an_index_twice),
        cmocka_unit_test(rtcp_replay_is_refused_and_the_index_counts_from_0),
        cmocka_unit_test(streams_bind_late_and_the_table_is_bounded),
        cmocka_unit_test(one_key_both_ways_refuses_a_shared_ssrc),
        cmocka_unit_test(keys_are_told_apart_by_their_mki),
        cmocka_unit_test(sixteen_keys_and_no_more),
        cmocka_unit_test(a_lifetime_is_reported_and_then_kept),
        cmocka_unit_test(keys_are_derived_anew_at_the_rate_agreed),
        cmocka_unit_test(a_reoffer_that_keeps_the_key_keeps_roc_and_window),
        cmocka_unit_test(a_rekey_keeps_the_roc_and_empties_the_window),
        cmocka_unit_test(no_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

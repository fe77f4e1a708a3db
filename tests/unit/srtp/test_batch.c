#include "util.h"

enum { OPS = 150, CTX = 24 };

/* What a seeded run of mixed traffic leaves behind. */
struct outcome {
    cph_err err[OPS];
    size_t n[OPS];
    uint8_t b[OPS][BUF];
    struct cph_srtp_stream_info info[CTX][4];
    size_t streams[CTX];
};

struct plan {
    struct packet packet[OPS];
    bool rtcp[OPS];
    size_t ctx[OPS]; /* its receiver; the sender is the same number in another array */
};

static struct cph_srtp_policy mixed_policy(size_t i)
{
    struct cph_srtp_policy p = policy_of(cph_srtp_suites[i % 10], (uint8_t)(i + 1));

    p.window = i % 3 == 1 ? 512 : 64; /* the rings lie in the stream, or apart */
    p.streams = 3;
    if (i % 7 == 3)
        p.kdr = 16;
    if (i % 5 == 2) {
        p.master.mki_n = 3;
        p.master.mki[0] = (uint8_t)i;
    }
    p.unencrypted_rtp = i % 11 == 5;
    p.unencrypted_rtcp = i % 6 == 5;
    p.unauthenticated_rtp = i == 4;
    if (i == 14)
        p.master.lifetime_rtp = 4;
    return p;
}

/* Protect in the order planned, then shuffle, repeat, damage and cut. */
static void make_plan(struct test_env *t, struct plan *plan, struct cph_srtp_engine *e)
{
    struct cph_srtp *out[CTX];
    uint16_t seq[CTX];

    for (size_t i = 0; i < CTX; i++) {
        struct cph_srtp_policy p = mixed_policy(i);

        p.streams = 8;
        p.master.lifetime_rtp = 0;
        out[i] = ctx_new(e, &p, CPH_SRTP_SEND);
        seq[i] = (uint16_t)(test_random(t) % 3 == 0 ? 65500 : test_random(t));
    }
    for (size_t i = 0; i < OPS; i++) {
        size_t c = test_random(t) % (test_random(t) % 2 ? CTX : 4);
        uint64_t fate = test_random(t) % 16;

        plan->ctx[i] = c;
        plan->rtcp[i] = fate == 0;
        if (plan->rtcp[i]) {
            rtcp_make(&plan->packet[i], (uint32_t)(test_random(t) % 5), test_random(t) % 50);
            assert_ok(cph_srtp_protect_rtcp(out[c], &plan->packet[i].pkt));
        } else {
            seq[c] = (uint16_t)(seq[c] + (fate == 1 ? 30000 + test_random(t) % 5000
                                                    : 1 + test_random(t) % 3));
            rtp_make(&plan->packet[i], (uint32_t)(test_random(t) % 5), seq[c],
                     test_random(t) % 200);
            if (cph_srtp_protect(out[c], &plan->packet[i].pkt) != CPH_OK)
                plan->packet[i].b[0] ^= 0x40; /* a jump back too far: something to refuse */
        }
        if (fate == 2)
            plan->packet[i].b[test_random(t) % plan->packet[i].pkt.n] ^= 4;
        if (fate == 3)
            plan->packet[i].pkt.n = test_random(t) % plan->packet[i].pkt.n;
        if (i > 0 && fate >= 12) { /* out of order, or again */
            size_t k = test_random(t) % i, from = fate == 15 ? k : i;
            struct packet was;

            copy(&was, &plan->packet[k]);
            if (fate != 15) {
                bool rtcp = plan->rtcp[k];
                size_t ctx = plan->ctx[k];

                copy(&plan->packet[k], &plan->packet[i]);
                plan->rtcp[k] = plan->rtcp[i];
                plan->ctx[k] = plan->ctx[i];
                plan->rtcp[i] = rtcp;
                plan->ctx[i] = ctx;
            } else {
                plan->rtcp[i] = plan->rtcp[from];
                plan->ctx[i] = plan->ctx[from];
            }
            copy(&plan->packet[i], &was);
        }
    }
    for (size_t i = 0; i < CTX; i++)
        cph_srtp_free(out[i]);
}

/* step 0: single calls; otherwise batches of that many. */
static void receive(struct cph_srtp_engine *e, const struct plan *plan, size_t step,
                    struct outcome *o)
{
    static struct packet work[OPS];
    struct cph_srtp_op op[OPS];
    struct cph_srtp *in[CTX];
    size_t allocations;

    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < CTX; i++) {
        struct cph_srtp_policy p = mixed_policy(i);

        in[i] = ctx_new(e, &p, CPH_SRTP_RECV);
    }
    for (size_t i = 0; i < OPS; i++) {
        copy(&work[i], &plan->packet[i]);
        op[i] = (struct cph_srtp_op){ in[plan->ctx[i]], plan->rtcp[i], work[i].pkt, CPH_E_BUG };
    }
    allocations = test_alloc_count();
    for (size_t i = 0; i < OPS; i += step ? step : 1) {
        if (step)
            cph_srtp_batch(e, &op[i], OPS - i < step ? OPS - i : step);
        else
            op[i].err = op[i].rtcp ? cph_srtp_unprotect_rtcp(op[i].ctx, &op[i].pkt)
                                   : cph_srtp_unprotect(op[i].ctx, &op[i].pkt);
    }
    assert_int_equal(test_alloc_count(), allocations); /* the packet path allocates nothing */
    for (size_t i = 0; i < OPS; i++) {
        o->err[i] = op[i].err;
        o->n[i] = op[i].pkt.n;
        memcpy(o->b[i], work[i].b, op[i].pkt.n);
    }
    for (size_t i = 0; i < CTX; i++) {
        o->streams[i] = cph_srtp_stream_count(in[i]);
        for (size_t k = 0; k < o->streams[i]; k++)
            assert_ok(cph_srtp_stream_at(in[i], k, &o->info[i][k]));
        cph_srtp_free(in[i]);
    }
}

static void expect_same(const struct outcome *a, const struct outcome *b)
{
    for (size_t i = 0; i < OPS; i++) {
        assert_err(b->err[i], a->err[i]);
        assert_int_equal(a->n[i], b->n[i]);
        assert_memory_equal(a->b[i], b->b[i], BUF);
    }
    assert_memory_equal(a->streams, b->streams, sizeof a->streams);
    assert_memory_equal(a->info, b->info, sizeof a->info);
}

static void a_batch_ends_as_single_calls_do_on_either_engine(void **state)
{
    static const size_t steps[] = { 1, 2, 7, 16, 23, 64, 65, OPS };
    static struct plan plan;
    static struct outcome single, batch;
    struct cph_srtp_engine *fast = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_engine *plain = engine_new(CPH_SRTP_ACCEL_NONE);
    size_t seen[CPH_E_COUNT_] = { 0 };
    struct test_env t;

    (void)state;
    test_env_init(&t, 7);
    for (int round = 0; round < 60; round++) {
        make_plan(&t, &plan, round % 2 ? fast : plain);
        receive(plain, &plan, 0, &single);
        receive(fast, &plan, 0, &batch);
        expect_same(&single, &batch);
        receive(plain, &plan, 64, &batch);
        expect_same(&single, &batch);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            receive(fast, &plan, steps[i], &batch);
            expect_same(&single, &batch);
        }
        for (size_t i = 0; i < OPS; i++)
            seen[single.err[i]]++;
    }
    /* the runs met what they should meet */
    assert_true(seen[CPH_OK] > 3000);
    assert_true(seen[CPH_E_AUTH] > 20 && seen[CPH_E_REPLAY] > 20 && seen[CPH_E_LIMIT] > 20);
    assert_true(seen[CPH_E_TRUNCATED] > 20 && seen[CPH_E_EXPIRED] > 5);
    cph_srtp_engine_free(fast);
    cph_srtp_engine_free(plain);
}

static void sending_in_a_batch_gives_the_bytes_of_single_calls(void **state)
{
    static struct packet one[OPS], many[OPS];
    struct cph_srtp_engine *fast = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_engine *plain = engine_new(CPH_SRTP_ACCEL_NONE);
    struct test_env t;

    (void)state;
    test_env_init(&t, 11);
    for (size_t n = 1; n <= OPS; n += n < 40 ? 1 : 22) {
        struct cph_srtp *a[CTX], *b[CTX];
        struct cph_srtp_op op[OPS];

        for (size_t i = 0; i < CTX; i++) {
            struct cph_srtp_policy p = mixed_policy(i);

            a[i] = ctx_new(plain, &p, CPH_SRTP_SEND);
            b[i] = ctx_new(fast, &p, CPH_SRTP_SEND);
        }
        for (size_t i = 0; i < n; i++) {
            size_t c = test_random(&t) % CTX;

            op[i].rtcp = test_random(&t) % 8 == 0;
            if (op[i].rtcp)
                rtcp_make(&one[i], (uint32_t)(test_random(&t) % 5), test_random(&t) % 60);
            else
                rtp_make(&one[i], (uint32_t)(test_random(&t) % 5),
                         (uint16_t)(65400 + i + test_random(&t) % 3), test_random(&t) % 100);
            copy(&many[i], &one[i]);
            op[i].ctx = b[c];
            op[i].pkt = many[i].pkt;
            op[i].err = op[i].rtcp ? cph_srtp_protect_rtcp(a[c], &one[i].pkt)
                                   : cph_srtp_protect(a[c], &one[i].pkt);
            one[i].b[BUF - 1] = (uint8_t)op[i].err;
        }
        cph_srtp_batch(fast, op, n);
        for (size_t i = 0; i < n; i++) {
            assert_err(op[i].err, (cph_err)one[i].b[BUF - 1]);
            assert_int_equal(op[i].pkt.n, one[i].pkt.n);
            assert_memory_equal(many[i].b, one[i].b, one[i].pkt.n);
        }
        for (size_t i = 0; i < CTX; i++) {
            cph_srtp_free(a[i]);
            cph_srtp_free(b[i]);
        }
    }
    cph_srtp_engine_free(fast);
    cph_srtp_engine_free(plain);
}

/* The first packet decides what index the second has, though the stream is known by its SRTCP. */
static void a_stream_met_by_its_srtcp_first_starts_in_the_batch(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 1);
    struct cph_srtp *out = ctx_new(e, &p, CPH_SRTP_SEND), *in = ctx_new(e, &p, CPH_SRTP_RECV);
    struct packet report, k[2];
    struct cph_srtp_op op[2];

    (void)state;
    rtcp_make(&report, 1, 20);
    assert_ok(cph_srtp_protect_rtcp(out, &report.pkt));
    assert_ok(cph_srtp_unprotect_rtcp(in, &report.pkt));
    for (size_t i = 0; i < 2; i++) {
        sealed(out, &k[i], 1, i ? 100 : 40000);
        op[i] = (struct cph_srtp_op){ .ctx = in, .pkt = k[i].pkt };
    }
    cph_srtp_batch(e, op, 2);
    assert_ok(op[0].err);
    assert_ok(op[1].err);
    assert_int_equal(in->stream[0].rtp.top, 65536 + 100);
    cph_srtp_free(out);
    cph_srtp_free(in);
    cph_srtp_engine_free(e);
}

/* What comes next on its stream goes a short way; it must see the same. */
static void the_next_packet_is_checked_like_any_other(void **state)
{
    static const char *const names[] = { "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM" };
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cph_srtp_policy p = policy_of(suite_of(names[i]), 1);
        struct cph_srtp *out = ctx_new(e, &p, CPH_SRTP_SEND), *in = ctx_new(e, &p, CPH_SRTP_RECV);
        struct packet first, next, twin, bad, after;
        struct cph_srtp_op op[4];

        sealed(out, &first, 1, 7);
        assert_ok(opened(in, &first));
        rtp_make(&next, 1, 8, 40);
        assert_err(cph_srtp_protect(in, &next.pkt), CPH_E_ARGUMENT); /* the wrong direction */
        assert_err(cph_srtp_unprotect(out, &next.pkt), CPH_E_ARGUMENT);
        next.pkt.cap = next.pkt.n + p.suite->tag_n - 1U;
        assert_err(cph_srtp_protect(out, &next.pkt), CPH_E_NOSPACE);
        sealed(out, &next, 1, 8);
        sealed(out, &after, 1, 9);
        copy(&twin, &next);
        copy(&bad, &next);
        bad.b[20] ^= 1;
        op[0] = (struct cph_srtp_op){ .ctx = in, .pkt = bad.pkt };
        op[1] = (struct cph_srtp_op){ .ctx = in, .pkt = next.pkt };
        op[2] = (struct cph_srtp_op){ .ctx = in, .pkt = after.pkt };
        op[3] = (struct cph_srtp_op){ .ctx = in, .pkt = twin.pkt };
        cph_srtp_batch(e, op, 4);
        assert_err(op[0].err, CPH_E_AUTH);
        assert_ok(op[1].err);
        assert_ok(op[2].err);
        assert_err(op[3].err, CPH_E_REPLAY);
        assert_int_equal(in->stream[0].rtp.top, 9);
        cph_srtp_free(out);
        cph_srtp_free(in);
    }
    cph_srtp_engine_free(e);
}

static void a_context_of_another_engine_is_refused(void **state)
{
    struct cph_srtp_engine *fast = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_engine *plain = engine_new(CPH_SRTP_ACCEL_NONE);
    struct cph_srtp_policy p = mixed_policy(0);
    struct cph_srtp *a = ctx_new(fast, &p, CPH_SRTP_SEND);
    struct packet k;
    struct cph_srtp_op op = { .ctx = a };

    (void)state;
    rtp_make(&k, 1, 1, 10);
    op.pkt = k.pkt;
    cph_srtp_batch(plain, &op, 1);
    assert_err(op.err, CPH_E_ARGUMENT);
    cph_srtp_batch(fast, &op, 0);
    cph_srtp_free(a);
    cph_srtp_engine_free(fast);
    cph_srtp_engine_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_ends_as_single_calls_do_on_either_engine),
        cmocka_unit_test(sending_in_a_batch_gives_the_bytes_of_single_calls),
        cmocka_unit_test(a_stream_met_by_its_srtcp_first_starts_in_the_batch),
        cmocka_unit_test(the_next_packet_is_checked_like_any_other),
        cmocka_unit_test(a_context_of_another_engine_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Double encryption (RFC 8723). */
#include "util.h"

enum { SSRC = 0xcafebabe };

static const int accels[] = { CPH_SRTP_ACCEL_AUTO, CPH_SRTP_ACCEL_NONE };

static const struct cph_srtp_suite *double_of(size_t i)
{
    return cph_srtp_double_suites[i % 2];
}

static struct cph_srtp_policy policy_from(struct vectors *v)
{
    struct cph_srtp_policy p = { 0 };

    for (size_t i = 0; cph_srtp_double_suites[i]; i++)
        if (strcmp(cph_srtp_double_suites[i]->name, vectors_text(v, "suite")) == 0)
            p.suite = cph_srtp_double_suites[i];
    assert_ok(cph_secret_set(&p.master.key, vectors_hex(v, "key")));
    assert_ok(cph_secret_set(&p.master.salt, vectors_hex(v, "salt")));
    return p;
}

struct golden {
    struct cph_srtp_engine *e;
    const struct cph_srtp_policy *p;
};

static cph_err check_golden(void *arg, struct cph_span bytes)
{
    const struct golden *g = arg;
    struct cph_srtp *s = ctx_new(g->e, g->p, CPH_SRTP_RECV);
    struct packet k = { 0 };
    cph_err err;

    memcpy(k.b, bytes.p, bytes.n);
    k.pkt = (struct cph_srtp_pkt){ k.b, bytes.n, BUF };
    err = opened(s, &k);
    if (err != CPH_OK)
        assert_int_equal(cph_srtp_stream_count(s) + cph_srtp_stream_count(s->inner), 0);
    cph_srtp_free(s);
    return err;
}

static void packets_are_those_of_another_implementation_and_no_bit_may_differ(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_engine *e = engine_new(accels[a]);
        struct vectors *v = vectors_open("srtp/double.txt");
        size_t seen = 0;

        for (; vectors_next(v); seen++) {
            struct cph_srtp_policy p = policy_from(v);
            struct cph_span clear = vectors_hex(v, "clear"), prot = vectors_hex(v, "protected");
            struct cph_srtp *out = ctx_new(e, &p, CPH_SRTP_SEND);
            struct cph_srtp *in = ctx_new(e, &p, CPH_SRTP_RECV);
            struct golden g = { e, &p };
            struct packet k = { 0 };

            memcpy(k.b, clear.p, clear.n);
            k.pkt = (struct cph_srtp_pkt){ k.b, clear.n, clear.n + cph_srtp_overhead(out, false) };
            assert_ok(cph_srtp_protect(out, &k.pkt));
            if (!vectors_text(v, "relayed")) {
                assert_int_equal(k.pkt.n, prot.n);
                assert_memory_equal(k.b, prot.p, prot.n);
            }
            memcpy(k.b, prot.p, prot.n);
            k.pkt.n = prot.n;
            assert_ok(cph_srtp_unprotect(in, &k.pkt));
            assert_int_equal(k.pkt.n, clear.n);
            assert_memory_equal(k.b, clear.p, clear.n);
            expect_fragile(prot, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_golden, &g);
            cph_srtp_free(out);
            cph_srtp_free(in);
        }
        assert_int_equal(seen, 8);
        vectors_close(v);
        cph_srtp_engine_free(e);
    }
}

static void double_suites_give_their_known_answers_and_are_not_offered_unasked(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_engine *e = engine_new(accels[a]);

        for (size_t i = 0; i < 2; i++) {
            const struct cph_srtp_suite *s = double_of(i);
            struct cph_srtp_suite bad = *s;
            uint8_t rtp[128];
            struct cph_srtp_kat kat = *s->kat;

            assert_ok(srtp_kat_run(e, s));
            assert_true(cph_srtp_engine_has(e, s));
            assert_ptr_equal(cph_srtp_suite_by_dtls(i ? 9 : 10), s);
            assert_null(cph_srtp_suite_by_sdes(cph_span_of(s->name)));
            for (size_t k = 0; cph_srtp_suites[k]; k++)
                assert_ptr_not_equal(cph_srtp_suites[k], s);
            for (size_t at = 0; at < kat.rtp_n; at++) {
                memcpy(rtp, s->kat->rtp, kat.rtp_n);
                rtp[at] ^= 1;
                kat.rtp = rtp;
                bad.kat = &kat;
                assert_int_not_equal(srtp_kat_run(e, &bad), CPH_OK);
            }
        }
        cph_srtp_engine_free(e);
    }
}

/* ---- a distributor --------------------------------------------------------------------------- */

struct path {
    struct cph_srtp_engine *e;
    struct cph_srtp *from, *hop_in, *hop_out, *to;
};

static struct path path_open(int accel, size_t suite)
{
    struct cph_srtp_policy near = policy_of(double_of(suite), 3), far, hop;
    struct path x = { .e = engine_new(accel) };
    size_t n = near.master.key.n / 2;

    far = near; /* the second hop's key is another */
    for (size_t i = 0; i < n; i++)
        far.master.key.b[n + i] ^= 0x77;
    x.from = ctx_new(x.e, &near, CPH_SRTP_SEND);
    x.to = ctx_new(x.e, &far, CPH_SRTP_RECV);
    assert_ok(cph_srtp_double_hop(&near, &hop));
    x.hop_in = ctx_new(x.e, &hop, CPH_SRTP_RECV);
    assert_ok(cph_srtp_double_hop(&far, &hop));
    x.hop_out = ctx_new(x.e, &hop, CPH_SRTP_SEND);
    return x;
}

static void path_close(struct path *x)
{
    cph_srtp_free(x->from);
    cph_srtp_free(x->hop_in);
    cph_srtp_free(x->hop_out);
    cph_srtp_free(x->to);
    cph_srtp_engine_free(x->e);
}

static void a_distributor_changes_the_head_and_the_endpoint_still_verifies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        struct path x = path_open(accels[i & 1], i >> 1 & 1);
        struct cph_srtp_head to, was;
        struct packet k, clear;

        rtp_make(&clear, SSRC, 100, 40);
        copy(&k, &clear);
        assert_ok(cph_srtp_protect(x.from, &k.pkt));
        assert_ok(cph_srtp_unprotect(x.hop_in, &k.pkt));
        to = (struct cph_srtp_head){ .pt = i & 4 ? 5 : 96,
                                     .marker = i & 8,
                                     .seq = i & 16 ? 777 : 100 };
        assert_ok(cph_srtp_double_relay(&k.pkt, &to));
        assert_ok(cph_srtp_double_original(&k.pkt, &was));
        assert_int_equal(was.pt, 96);
        assert_int_equal(was.seq, 100);
        assert_false(was.marker);
        assert_int_equal(k.pkt.n, clear.pkt.n + 17 + (i & 4 ? 1U : 0) + (i & 16 ? 2U : 0));
        assert_ok(cph_srtp_protect(x.hop_out, &k.pkt));
        assert_ok(cph_srtp_unprotect(x.to, &k.pkt));
        assert_int_equal(k.pkt.n, clear.pkt.n);
        assert_int_equal(k.b[1], i & 4 ? 5 : 96); /* PT and SEQ of the hop, M of the sender */
        assert_int_equal(srtp_rtp_seq(k.b), to.seq);
        assert_memory_equal(k.b + 4, clear.b + 4, clear.pkt.n - 4);
        path_close(&x);
    }
}

static void what_a_distributor_may_not_change_is_noticed(void **state)
{
    struct packet k;

    (void)state;
    for (size_t at = 0; at < 12 + 40 + 17; at++) {
        struct path x = path_open(CPH_SRTP_ACCEL_AUTO, 0);

        rtp_make(&k, SSRC, 100, 40);
        k.b[0] = 0x80;
        assert_ok(cph_srtp_protect(x.from, &k.pkt));
        assert_ok(cph_srtp_unprotect(x.hop_in, &k.pkt));
        k.b[at] ^= at == 0 ? 0x20 : 0x40; /* a header without OHB, the payload, the tag, the OHB */
        assert_ok(cph_srtp_protect(x.hop_out, &k.pkt));
        assert_int_equal(opened(x.to, &k), at == 68 ? CPH_E_MALFORMED : CPH_E_AUTH);
        assert_int_equal(cph_srtp_stream_count(x.to), 0);
        path_close(&x);
    }
}

static void what_was_changed_back_leaves_the_block_again(void **state)
{
    struct path x = path_open(CPH_SRTP_ACCEL_AUTO, 0);
    struct cph_srtp_head to = { 5, true, 777 }, was = { 96, false, 100 };
    struct packet k;
    size_t n;

    (void)state;
    rtp_make(&k, SSRC, 100, 40);
    assert_ok(cph_srtp_protect(x.from, &k.pkt));
    assert_ok(cph_srtp_unprotect(x.hop_in, &k.pkt));
    n = k.pkt.n;
    assert_ok(cph_srtp_double_relay(&k.pkt, &to));
    assert_int_equal(k.pkt.n, n + 3);
    to.pt = 6; /* a second distributor: the original stays what it was */
    assert_ok(cph_srtp_double_relay(&k.pkt, &to));
    assert_int_equal(k.pkt.n, n + 3);
    assert_ok(cph_srtp_double_original(&k.pkt, &to));
    assert_memory_equal(&to, &was, sizeof to);
    assert_ok(cph_srtp_double_relay(&k.pkt, &was));
    assert_int_equal(k.pkt.n, n);
    assert_int_equal(k.b[n - 1], 0);
    to.pt = 128;
    assert_int_equal(cph_srtp_double_relay(&k.pkt, &to), CPH_E_ARGUMENT);
    k.pkt.cap = k.pkt.n + 2;
    to = (struct cph_srtp_head){ 5, true, 777 };
    assert_int_equal(cph_srtp_double_relay(&k.pkt, &to), CPH_E_NOSPACE);
    assert_int_equal(k.pkt.n, n);
    path_close(&x);
}

static void malformed_blocks_are_refused(void **state)
{
    struct cph_srtp_head was;
    struct packet k;

    (void)state;
    for (unsigned config = 0; config < 256; config++) {
        bool good = config < 16 && (config & 12) != 8;
        size_t need = 1 + (config & 1) + (config & 2);

        rtp_make(&k, SSRC, 100, 16);
        memset(k.b + 12 + 16, 0, 8);
        k.pkt.n = 12 + 16 + need;
        k.b[k.pkt.n - 1] = (uint8_t)config;
        assert_int_equal(cph_srtp_double_original(&k.pkt, &was), good ? CPH_OK : CPH_E_MALFORMED);
        k.b[k.pkt.n - 2] = k.b[k.pkt.n - 1];
        k.pkt.n--;
        if (good)
            assert_int_equal(cph_srtp_double_original(&k.pkt, &was), CPH_E_TRUNCATED);
    }
    rtp_make(&k, SSRC, 100, 16); /* a payload type of eight bits */
    k.pkt.n = 12 + 16 + 2;
    k.b[28] = 0x80;
    k.b[29] = 1;
    assert_int_equal(cph_srtp_double_original(&k.pkt, &was), CPH_E_MALFORMED);
}

static void sequence_numbers_are_followed_apart(void **state)
{
    struct path x = path_open(CPH_SRTP_ACCEL_AUTO, 1);
    struct cph_srtp_head to = { .pt = 96 };
    uint32_t roc;

    (void)state;
    for (uint32_t i = 0; i < 200; i++) { /* the inner wraps, the outer does not */
        struct packet k;

        rtp_make(&k, SSRC, (uint16_t)(0xffa0 + i), 20);
        assert_ok(cph_srtp_protect(x.from, &k.pkt));
        assert_ok(cph_srtp_unprotect(x.hop_in, &k.pkt));
        to.seq = (uint16_t)(i + 1);
        assert_ok(cph_srtp_double_relay(&k.pkt, &to));
        assert_ok(cph_srtp_protect(x.hop_out, &k.pkt));
        assert_ok(opened(x.to, &k));
        assert_int_equal(opened(x.to, &k), CPH_E_REPLAY);
    }
    assert_ok(cph_srtp_roc_get(x.to, SSRC, &roc));
    assert_int_equal(roc, 0);
    assert_ok(cph_srtp_roc_get(x.to->inner, SSRC, &roc));
    assert_int_equal(roc, 1);
    path_close(&x);
}

/* A distributor sends the same inner packet twice under new sequence numbers. */
static void an_inner_packet_is_taken_once(void **state)
{
    struct path x = path_open(CPH_SRTP_ACCEL_AUTO, 1);
    struct cph_srtp_head to = { .pt = 96 };
    struct packet first, k;

    (void)state;
    rtp_make(&first, SSRC, 100, 20);
    assert_ok(cph_srtp_protect(x.from, &first.pkt));
    assert_ok(cph_srtp_unprotect(x.hop_in, &first.pkt));
    for (uint16_t seq = 1; seq < 4; seq++) {
        copy(&k, &first);
        to.seq = seq;
        assert_ok(cph_srtp_double_relay(&k.pkt, &to));
        assert_ok(cph_srtp_protect(x.hop_out, &k.pkt));
        assert_int_equal(opened(x.to, &k), seq == 1 ? CPH_OK : CPH_E_REPLAY);
    }
    path_close(&x);
}

static void repair_and_rtcp_go_from_hop_to_hop(void **state)
{
    struct path x = path_open(CPH_SRTP_ACCEL_AUTO, 0);
    struct packet k, clear;

    (void)state;
    rtp_make(&clear, SSRC, 100, 20);
    copy(&k, &clear);
    assert_ok(cph_srtp_double_protect_repair(x.from, &k.pkt));
    assert_ok(cph_srtp_unprotect(x.hop_in, &k.pkt));
    assert_memory_equal(k.b, clear.b, clear.pkt.n);
    assert_ok(cph_srtp_protect(x.hop_out, &k.pkt));
    assert_ok(cph_srtp_double_unprotect_repair(x.to, &k.pkt));
    assert_memory_equal(k.b, clear.b, clear.pkt.n);
    assert_int_equal(cph_srtp_double_protect_repair(x.hop_out, &k.pkt), CPH_E_ARGUMENT);
    rtcp_make(&clear, SSRC, 20);
    copy(&k, &clear);
    assert_ok(cph_srtp_protect_rtcp(x.from, &k.pkt));
    assert_ok(cph_srtp_unprotect_rtcp(x.hop_in, &k.pkt));
    assert_memory_equal(k.b, clear.b, clear.pkt.n);
    path_close(&x);
}

static cph_err make_and_free(void *arg)
{
    const struct cph_srtp_policy *p = arg;
    struct cph_srtp_engine *e;
    struct cph_srtp *s = NULL;
    cph_err err;

    CPH_TRY(cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &e));
    err = cph_srtp_new(e, p, CPH_SRTP_SEND, &s);
    cph_srtp_free(s);
    cph_srtp_engine_free(e);
    return err;
}

static void policies_of_double_suites_are_checked_and_memory_may_fail(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_NONE);
    struct cph_srtp_policy p, bad, half;
    struct cph_srtp *s;

    (void)state;
    p = policy_of(double_of(0), 1);
    test_alloc_fails(make_and_free, &p);
    for (unsigned i = 0; i < 6; i++) {
        bad = p;
        bad.master.mki_n = i == 0;
        bad.unencrypted_rtp = i == 1;
        bad.cryptex = i == 2;
        bad.rcc = i == 3 ? CPH_SRTP_RCC_2 : 0;
        bad.master.key.n -= i == 4;
        bad.master.salt.n += i == 5;
        assert_int_equal(cph_srtp_new(e, &bad, CPH_SRTP_SEND, &s), CPH_E_ARGUMENT);
        if (i > 3)
            assert_int_equal(cph_srtp_double_hop(&bad, &half), CPH_E_ARGUMENT);
    }
    p.suite = suite_of("AEAD_AES_128_GCM");
    assert_int_equal(cph_srtp_double_end(&p, &half), CPH_E_ARGUMENT);
    cph_srtp_engine_free(e);
}

static void state_moves_with_both_halves(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_AUTO);
    struct cph_srtp_policy p = policy_of(double_of(0), 1), q = p;
    struct cph_srtp *out = ctx_new(e, &p, CPH_SRTP_SEND), *in = ctx_new(e, &p, CPH_SRTP_RECV);
    struct cph_srtp *next = ctx_new(e, &p, CPH_SRTP_RECV), *other, *plain;
    struct packet k, first;

    (void)state;
    q.master.key.b[0] ^= 1; /* the inner key alone differs */
    other = ctx_new(e, &q, CPH_SRTP_RECV);
    assert_true(cph_srtp_same_key(in, next));
    assert_false(cph_srtp_same_key(in, other));
    assert_ok(cph_srtp_double_hop(&p, &q));
    plain = ctx_new(e, &q, CPH_SRTP_RECV);
    assert_false(cph_srtp_same_key(in, plain));
    assert_ok(cph_srtp_roc_set(out, SSRC, 6));
    assert_ok(cph_srtp_roc_set(in, SSRC, 6));
    sealed(out, &first, SSRC, 10);
    assert_ok(opened(in, &first));
    assert_int_equal(cph_srtp_move(plain, in), CPH_E_ARGUMENT);
    assert_ok(cph_srtp_move(next, in));
    assert_int_equal(opened(next, &first), CPH_E_REPLAY);
    sealed(out, &k, SSRC, 11);
    assert_ok(opened(next, &k));
    assert_ok(cph_srtp_stream_drop(next, SSRC));
    assert_int_equal(cph_srtp_stream_count(next->inner), 0);
    cph_srtp_free(out);
    cph_srtp_free(in);
    cph_srtp_free(next);
    cph_srtp_free(other);
    cph_srtp_free(plain);
    cph_srtp_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_those_of_another_implementation_and_no_bit_may_differ),
        cmocka_unit_test(double_suites_give_their_known_answers_and_are_not_offered_unasked),
        cmocka_unit_test(a_distributor_changes_the_head_and_the_endpoint_still_verifies),
        cmocka_unit_test(what_a_distributor_may_not_change_is_noticed),
        cmocka_unit_test(what_was_changed_back_leaves_the_block_again),
        cmocka_unit_test(malformed_blocks_are_refused),
        cmocka_unit_test(sequence_numbers_are_followed_apart),
        cmocka_unit_test(an_inner_packet_is_taken_once),
        cmocka_unit_test(repair_and_rtcp_go_from_hop_to_hop),
        cmocka_unit_test(policies_of_double_suites_are_checked_and_memory_may_fail),
        cmocka_unit_test(state_moves_with_both_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

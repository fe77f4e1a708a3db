/* The ROC in tags (RFC 4771) and encrypted header extensions (RFC 9335). */
#include "util.h"

#include <stdlib.h>

enum { SSRC = 0xcafebabe };

static const int accels[] = { CPH_SRTP_ACCEL_AUTO, CPH_SRTP_ACCEL_NONE };
static const enum cph_srtp_rcc modes[] = { 0, CPH_SRTP_RCC_1, CPH_SRTP_RCC_2, CPH_SRTP_RCC_3 };

static struct cph_srtp_policy rcc_policy(enum cph_srtp_rcc mode, uint16_t rate)
{
    struct cph_srtp_policy p = policy_of(suite_of("AES_CM_128_HMAC_SHA1_80"), 9);

    p.rcc = mode;
    p.rcc_rate = rate;
    return p;
}

/* ---- vectors --------------------------------------------------------------------------------- */

static struct cph_srtp_policy policy_from(struct vectors *v, const char *suite)
{
    struct cph_srtp_policy p = { .suite = suite_of(suite) };

    assert_ok(cph_secret_set(&p.master.key, vectors_hex(v, "master_key")));
    assert_ok(cph_secret_set(&p.master.salt, vectors_hex(v, "master_salt")));
    return p;
}

struct golden {
    struct cph_srtp_engine *e;
    const struct cph_srtp_policy *p;
    uint32_t roc; /* a receiver that was told */
};

static cph_err check_golden(void *arg, struct cph_span bytes)
{
    const struct golden *g = arg;
    struct cph_srtp *s = ctx_new(g->e, g->p, CPH_SRTP_RECV);
    struct packet k = { 0 };
    uint8_t was[BUF];
    cph_err err;

    if (g->roc)
        assert_ok(cph_srtp_roc_set(s, SSRC, g->roc));
    memcpy(k.b, bytes.p, bytes.n);
    memcpy(was, k.b, BUF);
    k.pkt = (struct cph_srtp_pkt){ k.b, bytes.n, BUF };
    err = cph_srtp_unprotect(s, &k.pkt);
    if (err != CPH_OK) {
        assert_int_equal(cph_srtp_stream_count(s), g->roc != 0);
        assert_memory_equal(k.b, was, BUF);
        assert_int_equal(s->key[0]->rtp_used, 0);
    }
    cph_srtp_free(s);
    return err;
}

/* Protect clear, compare, and give it back to a receiver. */
static void both_ways(struct cph_srtp_engine *e, const struct cph_srtp_policy *p, uint32_t roc,
                      uint32_t told, struct cph_span clear, struct cph_span prot)
{
    struct cph_srtp *out = ctx_new(e, p, CPH_SRTP_SEND), *in = ctx_new(e, p, CPH_SRTP_RECV);
    struct packet k = { 0 };

    assert_ok(cph_srtp_roc_set(out, SSRC, roc));
    if (told)
        assert_ok(cph_srtp_roc_set(in, SSRC, told));
    memcpy(k.b, clear.p, clear.n);
    k.pkt = (struct cph_srtp_pkt){ k.b, clear.n, clear.n + cph_srtp_overhead(out, false) };
    assert_ok(cph_srtp_protect(out, &k.pkt));
    assert_int_equal(k.pkt.n, prot.n);
    assert_memory_equal(k.b, prot.p, prot.n);
    assert_ok(cph_srtp_unprotect(in, &k.pkt));
    assert_int_equal(k.pkt.n, clear.n);
    assert_memory_equal(k.b, clear.p, clear.n);
    cph_srtp_free(out);
    cph_srtp_free(in);
}

static void tags_with_the_roc_are_those_of_another_implementation(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_engine *e = engine_new(accels[a]);
        struct vectors *v = vectors_open("srtp/rcc.txt");
        size_t seen = 0;

        for (; vectors_next(v); seen++) {
            struct cph_srtp_policy p = policy_from(v, "AES_CM_128_HMAC_SHA1_80");
            struct cph_span clear = vectors_hex(v, "clear"), prot = vectors_hex(v, "protected");
            uint32_t roc = (uint32_t)strtoul(vectors_text(v, "roc"), NULL, 10), told = roc;
            bool carried, authentic;

            p.rcc = modes[strtoul(vectors_text(v, "mode"), NULL, 10)];
            p.rcc_rate = (uint16_t)strtoul(vectors_text(v, "rate"), NULL, 10);
            p.rcc_tag_n = (uint8_t)strtoul(vectors_text(v, "tag"), NULL, 10);
            if (vectors_text(v, "mki")) {
                struct cph_span mki = vectors_hex(v, "mki");

                memcpy(p.master.mki, mki.p, mki.n);
                p.master.mki_n = (uint8_t)mki.n;
            }
            carried = srtp_rtp_seq(clear.p) % p.rcc_rate == 0;
            authentic = p.rcc == CPH_SRTP_RCC_2 || (p.rcc == CPH_SRTP_RCC_1 && carried);
            if (carried)
                told = 0; /* the packet says it */
            both_ways(e, &p, roc, told, clear, prot);
            if (authentic) {
                struct golden g = { e, &p, told };

                /* A bit of SEQ may make it a packet with another kind of tag: in mode 1 one
                 * without. The receiver cannot know better. */
                expect_fragile(prot,
                               p.rcc == CPH_SRTP_RCC_2 || p.rcc_rate == 1
                                   ? FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP
                                   : 0,
                               check_golden, &g);
            }
        }
        assert_int_equal(seen, 11);
        vectors_close(v);
        cph_srtp_engine_free(e);
    }
}

static void packets_with_hidden_headers_are_those_of_rfc9335_and_no_bit_may_differ(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_engine *e = engine_new(accels[a]);
        struct vectors *v = vectors_open("srtp/rfc9335.txt");
        size_t seen = 0;

        for (; vectors_next(v); seen++) {
            struct cph_srtp_policy p = policy_from(v, vectors_text(v, "suite"));
            struct cph_span prot = vectors_hex(v, "protected");
            struct golden g = { e, &p, 0 };

            p.cryptex = true;
            both_ways(e, &p, 0, 0, vectors_hex(v, "clear"), prot);
            expect_fragile(prot, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_golden, &g);
        }
        assert_int_equal(seen, 12);
        vectors_close(v);
        cph_srtp_engine_free(e);
    }
}

/* ---- policies -------------------------------------------------------------------------------- */

static cph_err takes(struct cph_srtp_engine *e, const struct cph_srtp_policy *p)
{
    struct cph_srtp *s = NULL;
    cph_err err = cph_srtp_new(e, p, CPH_SRTP_SEND, &s);

    cph_srtp_free(s);
    return err;
}

static void policies_outside_the_rfcs_are_refused(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_NONE);
    struct cph_srtp_policy p;

    (void)state;
    for (size_t m = 1; m < 4; m++) {
        p = rcc_policy(modes[m], 0);
        assert_ok(takes(e, &p));
        p.unauthenticated_rtp = true;
        assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
        p = rcc_policy(modes[m], 1);
        p.suite = suite_of("AEAD_AES_128_GCM");
        p.master.salt.n = 12;
        assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
        for (unsigned n = 1; n < 30; n++) {
            bool good = modes[m] == CPH_SRTP_RCC_3 ? n == 4 : n >= 8 && n <= 20;

            p = rcc_policy(modes[m], 1);
            p.rcc_tag_n = (uint8_t)n;
            assert_int_equal(takes(e, &p), good ? CPH_OK : CPH_E_ARGUMENT);
        }
        p = rcc_policy(modes[m], 2);
        p.unencrypted_rtp = true; /* neither cipher nor tag: nothing is left */
        assert_int_equal(takes(e, &p), modes[m] == CPH_SRTP_RCC_2 ? CPH_OK : CPH_E_ARGUMENT);
    }
    p = rcc_policy((enum cph_srtp_rcc)1, 1); /* HMAC-SHA1's number, no mode */
    assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
    p = rcc_policy((enum cph_srtp_rcc)5, 1);
    assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
    p = rcc_policy(CPH_SRTP_RCC_NONE, 1);
    assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
    p = rcc_policy(CPH_SRTP_RCC_NONE, 0);
    p.cryptex = true;
    assert_ok(takes(e, &p));
    p.unencrypted_rtp = true;
    assert_int_equal(takes(e, &p), CPH_E_ARGUMENT);
    cph_srtp_engine_free(e);
}

/* ---- the ROC --------------------------------------------------------------------------------- */

struct ends {
    struct cph_srtp_engine *e;
    struct cph_srtp *out, *in;
};

static struct ends ends_open(int accel, const struct cph_srtp_policy *p, uint32_t roc)
{
    struct ends x = { .e = engine_new(accel) };

    x.out = ctx_new(x.e, p, CPH_SRTP_SEND);
    x.in = ctx_new(x.e, p, CPH_SRTP_RECV);
    assert_ok(cph_srtp_roc_set(x.out, SSRC, roc));
    return x;
}

static void ends_close(struct ends *x)
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

static void who_joins_late_has_the_roc_from_the_first_packet_that_carries_it(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_2, 10);
        struct ends x = ends_open(accels[a], &p, 77);
        struct packet k;

        for (uint16_t seq = 41; seq < 50; seq++) { /* the ROC is not 0: their tags say so */
            sealed(x.out, &k, SSRC, seq);
            assert_int_equal(opened(x.in, &k), CPH_E_AUTH);
        }
        sealed(x.out, &k, SSRC, 50);
        assert_ok(opened(x.in, &k));
        assert_int_equal(roc_of(x.in), 77);
        assert_int_equal(opened(x.in, &k), CPH_E_REPLAY);
        sealed(x.out, &k, SSRC, 51);
        assert_ok(opened(x.in, &k));
        ends_close(&x);
    }
}

static void the_roc_comes_over_the_wrap_that_was_lost(void **state)
{
    (void)state;
    for (size_t m = 1; m < 4; m++) {
        struct cph_srtp_policy p = rcc_policy(modes[m], 1);
        struct ends x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 0);
        struct packet k;

        sealed(x.out, &k, SSRC, 100);
        assert_ok(opened(x.in, &k));
        for (uint32_t i = 1; i <= 3; i++) /* unheard: two whole turns and more */
            for (uint32_t seq = 0x7000; seq <= 0x17000; seq += 0x7000)
                sealed(x.out, &k, SSRC, (uint16_t)seq);
        assert_int_not_equal(roc_of(x.out), 0);
        assert_ok(opened(x.in, &k));
        assert_int_equal(roc_of(x.in), roc_of(x.out));
        ends_close(&x);
    }
}

static void a_wrong_roc_in_a_packet_moves_nothing(void **state)
{
    struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_2, 1);
    struct ends x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 5);
    struct packet k;

    (void)state;
    sealed(x.out, &k, SSRC, 10);
    assert_ok(opened(x.in, &k));
    sealed(x.out, &k, SSRC, 11);
    for (size_t bit = 0; bit < 32; bit++) {
        k.b[k.pkt.n - 14 + bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(opened(x.in, &k) == CPH_E_AUTH || opened(x.in, &k) == CPH_E_REPLAY);
        k.b[k.pkt.n - 14 + bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(roc_of(x.in), 5);
    }
    assert_ok(opened(x.in, &k));
    ends_close(&x);
}

/* Mode 1, R of 100: packets between have no MAC, so anybody can drive the receiver on. */
static void the_next_good_packet_undoes_what_forged_ones_did(void **state)
{
    struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_1, 100);
    struct ends x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 3);
    struct packet k, old, forged;

    (void)state;
    sealed(x.out, &old, SSRC, 200);
    assert_ok(opened(x.in, &old));
    for (uint32_t seq = 201; seq < 0x30000; seq += 0x7001) {
        if (seq % 65536 % 100 == 0)
            continue;
        rtp_make(&forged, SSRC, (uint16_t)seq, 20);
        assert_ok(opened(x.in, &forged));
    }
    assert_true(roc_of(x.in) > 3);
    assert_int_equal(opened(x.in, &old), CPH_E_REPLAY); /* a good one of before does not */
    assert_true(roc_of(x.in) > 3);
    sealed(x.out, &k, SSRC, 300);
    assert_ok(opened(x.in, &k));
    assert_int_equal(roc_of(x.in), 3);
    assert_int_equal(opened(x.in, &k), CPH_E_REPLAY);
    assert_int_equal(opened(x.in, &old), CPH_E_REPLAY);
    sealed(x.out, &k, SSRC, 301);
    assert_ok(opened(x.in, &k));
    ends_close(&x);
}

static void without_a_mac_the_application_can_say_that_the_roc_is_right(void **state)
{
    struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_3, 1);
    struct ends x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 3);
    struct packet k;

    (void)state;
    sealed(x.out, &k, SSRC, 10);
    assert_ok(opened(x.in, &k));
    cph_srtp_rcc_synced(x.in, true);
    sealed(x.out, &k, SSRC, 11);
    k.b[k.pkt.n - 1] ^= 0x40; /* an attacker's ROC */
    assert_ok(opened(x.in, &k));
    assert_int_equal(roc_of(x.in), 3);
    cph_srtp_rcc_synced(x.in, false);
    sealed(x.out, &k, SSRC, 12);
    k.b[k.pkt.n - 1] ^= 0x40;
    assert_ok(opened(x.in, &k));
    assert_int_equal(roc_of(x.in), 3 ^ 0x40);
    sealed(x.out, &k, SSRC, 13); /* and the next from the sender puts it right */
    assert_ok(opened(x.in, &k));
    assert_int_equal(roc_of(x.in), 3);
    ends_close(&x);
}

static void the_key_of_the_packets_roc_is_used_where_keys_depend_on_it(void **state)
{
    struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_2, 1);
    struct ends x;
    struct packet k;

    (void)state;
    p.kdr = 1U << 16; /* RFC 4771 2 MUST: a new session key with each ROC */
    x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 9);
    sealed(x.out, &k, SSRC, 10);
    assert_ok(opened(x.in, &k));
    ends_close(&x);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void header_make(struct packet *k, unsigned csrcs, unsigned profile, unsigned words)
{
    size_t n = 12;

    rtp_make(k, SSRC, 7, 0);
    k->b[0] = (uint8_t)(0x80 | csrcs | (profile ? 0x10 : 0));
    for (unsigned i = 0; i < 4 * csrcs; i++)
        k->b[n++] = (uint8_t)(0x30 + i);
    if (profile) {
        k->b[n++] = (uint8_t)(profile >> 8);
        k->b[n++] = (uint8_t)profile;
        k->b[n++] = 0;
        k->b[n++] = (uint8_t)words;
        for (unsigned i = 0; i < 4 * words; i++)
            k->b[n++] = (uint8_t)(0x90 + i);
    }
    for (unsigned i = 0; i < 23; i++)
        k->b[n++] = (uint8_t)i;
    k->pkt = (struct cph_srtp_pkt){ k->b, n, sizeof k->b };
}

static void every_kind_of_header_comes_back_and_nothing_of_it_shows(void **state)
{
    static const char *const names[] = { "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM" };

    (void)state;
    for (unsigned i = 0; i < 2 * 2 * 16 * 3; i++) {
        unsigned csrcs = i / 4 % 16, profile = (unsigned[]){ 0, 0xbede, 0x1000 }[i / 64];
        struct cph_srtp_policy p = policy_of(suite_of(names[i % 2]), 9);
        struct packet clear, k;
        struct ends x;

        p.cryptex = true;
        p.master.mki_n = (uint8_t)(i / 2 % 2 * 3);
        x = ends_open(accels[i / 2 % 2], &p, 0);
        header_make(&clear, csrcs, profile, csrcs % 3);
        copy(&k, &clear);
        k.pkt.cap = k.pkt.n + cph_srtp_overhead(x.out, false) - 1;
        if (csrcs > 0 && profile == 0) { /* an empty extension is put in, and stays */
            assert_int_equal(cph_srtp_protect(x.out, &k.pkt), CPH_E_NOSPACE);
            assert_memory_equal(k.b, clear.b, BUF);
        }
        k.pkt.cap++;
        assert_ok(cph_srtp_protect(x.out, &k.pkt));
        for (size_t at = 12; csrcs > 0 && at + 8 <= k.pkt.n; at++)
            assert_memory_not_equal(k.b + at, clear.b + 12, 4);
        assert_ok(cph_srtp_unprotect(x.in, &k.pkt));
        if (csrcs > 0 && profile == 0) {
            struct packet want;

            header_make(&want, csrcs, 0xbede, 0);
            copy(&clear, &want);
        }
        assert_int_equal(k.pkt.n, clear.pkt.n);
        assert_memory_equal(k.b, clear.b, clear.pkt.n);
        ends_close(&x);
    }
}

static void a_packet_with_nothing_to_hide_is_an_ordinary_one(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 9), with = p;
    struct packet a, b;
    struct ends x, y;

    (void)state;
    with.cryptex = true;
    x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 0);
    y = ends_open(CPH_SRTP_ACCEL_AUTO, &with, 0);
    sealed(x.out, &a, SSRC, 5);
    sealed(y.out, &b, SSRC, 5);
    assert_int_equal(a.pkt.n, b.pkt.n);
    assert_memory_equal(a.b, b.b, a.pkt.n);
    assert_ok(opened(y.in, &a));
    ends_close(&x);
    ends_close(&y);
}

static void an_extension_of_another_kind_is_not_sent_in_the_open(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 9);
    struct packet k, was;
    struct ends x;

    (void)state;
    p.cryptex = true;
    x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 0);
    for (unsigned profile = 1; profile < 0x10000; profile += 0xfff) {
        if (profile == 0xbede || profile == 0x1000)
            continue;
        header_make(&k, 1, profile, 1);
        copy(&was, &k);
        assert_int_equal(cph_srtp_protect(x.out, &k.pkt), CPH_E_UNSUPPORTED);
        assert_memory_equal(k.b, was.b, BUF);
    }
    ends_close(&x);
}

static void who_did_not_agree_to_it_neither_hides_nor_finds(void **state)
{
    struct cph_srtp_policy p = policy_of(suite_of("AEAD_AES_128_GCM"), 9), with = p;
    struct packet k, clear;
    struct ends x, y;

    (void)state;
    with.cryptex = true;
    x = ends_open(CPH_SRTP_ACCEL_AUTO, &p, 0);
    y = ends_open(CPH_SRTP_ACCEL_AUTO, &with, 0);
    header_make(&clear, 1, 0xbede, 1);
    copy(&k, &clear);
    assert_ok(cph_srtp_protect(x.out, &k.pkt));
    assert_memory_equal(k.b, clear.b, 24); /* the header is as it was */
    assert_ok(opened(y.in, &k));           /* and an open header is taken */
    copy(&k, &clear);
    assert_ok(cph_srtp_protect(y.out, &k.pkt));
    assert_int_equal(opened(x.in, &k), CPH_E_AUTH);
    ends_close(&x);
    ends_close(&y);
}

/* ---- together -------------------------------------------------------------------------------- */

static void batches_give_the_same_as_single_calls(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct cph_srtp_policy p = rcc_policy(CPH_SRTP_RCC_2, 3);
        struct cph_srtp_op ops[20];
        struct packet k[20], one[20];
        struct ends x, y;

        p.cryptex = true;
        x = ends_open(accels[a], &p, 4);
        y = ends_open(accels[a], &p, 4);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 20; i++) {
                if (round == 0) {
                    header_make(&k[i], i % 3, i % 2 ? 0xbede : 0, i % 2);
                    k[i].b[3] = (uint8_t)(3 * (i / 2)); /* each twice */
                }
                copy(&one[i], &k[i]);
                ops[i] = (struct cph_srtp_op){ .ctx = round ? x.in : x.out, .pkt = k[i].pkt };
            }
            cph_srtp_batch(x.e, ops, 20);
            for (unsigned i = 0; i < 20; i++) {
                cph_err err = round ? cph_srtp_unprotect(y.in, &one[i].pkt)
                                    : cph_srtp_protect(y.out, &one[i].pkt);

                k[i].pkt.n = ops[i].pkt.n;
                assert_int_equal(ops[i].err, err);
                assert_int_equal(err, i % 2 || round ? err : CPH_OK);
                assert_int_equal(k[i].pkt.n, one[i].pkt.n);
                assert_memory_equal(k[i].b, one[i].b, BUF);
            }
        }
        assert_int_equal(roc_of(x.in), 4);
        ends_close(&x);
        ends_close(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_with_the_roc_are_those_of_another_implementation),
        cmocka_unit_test(packets_with_hidden_headers_are_those_of_rfc9335_and_no_bit_may_differ),
        cmocka_unit_test(policies_outside_the_rfcs_are_refused),
        cmocka_unit_test(who_joins_late_has_the_roc_from_the_first_packet_that_carries_it),
        cmocka_unit_test(the_roc_comes_over_the_wrap_that_was_lost),
        cmocka_unit_test(a_wrong_roc_in_a_packet_moves_nothing),
        cmocka_unit_test(the_next_good_packet_undoes_what_forged_ones_did),
        cmocka_unit_test(without_a_mac_the_application_can_say_that_the_roc_is_right),
        cmocka_unit_test(the_key_of_the_packets_roc_is_used_where_keys_depend_on_it),
        cmocka_unit_test(every_kind_of_header_comes_back_and_nothing_of_it_shows),
        cmocka_unit_test(a_packet_with_nothing_to_hide_is_an_ordinary_one),
        cmocka_unit_test(an_extension_of_another_kind_is_not_sent_in_the_open),
        cmocka_unit_test(who_did_not_agree_to_it_neither_hides_nor_finds),
        cmocka_unit_test(batches_give_the_same_as_single_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

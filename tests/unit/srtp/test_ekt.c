/* Encrypted Key Transport (RFC 8870). */
#include "util.h"

#include <stdlib.h>

#include "ekt_int.h"

enum { SSRC = 0xcafebabe };

/* 0x80, 0x81, ... and on: every key is another. */
struct counter {
    struct cph_env env;
    uint8_t next;
    bool broken;
};

static cph_err count_up(void *ctx, void *buf, size_t n)
{
    struct counter *c = ctx;

    if (c->broken)
        return CPH_E_IO;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = c->next++;
    return CPH_OK;
}

static struct counter *counter_new(void)
{
    struct counter *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->env.ctx = c;
    c->env.random = count_up;
    c->next = 0x80;
    return c;
}

static struct cph_ekt_params params_of(uint16_t spi, size_t key_n, size_t salt_n)
{
    struct cph_ekt_params p = { .spi = spi,
                                .cipher = key_n == 16 ? CPH_EKT_AESKW128 : CPH_EKT_AESKW256,
                                .ttl_s = 1000 };

    p.key.n = key_n;
    for (size_t i = 0; i < key_n; i++)
        p.key.b[i] = (uint8_t)(0x10 + i);
    p.salt.n = salt_n;
    for (size_t i = 0; i < salt_n; i++)
        p.salt.b[i] = (uint8_t)(0xa0 + i);
    return p;
}

/* One sender and one receiver who have the same parameter set. */
struct room {
    struct cph_srtp_engine *e;
    struct counter *rnd;
    struct cph_srtp_policy policy;
    struct cph_ekt_params params;
    struct cph_ekt_sender *out;
    struct cph_ekt_receiver *in;
};

static struct cph_ekt_receiver *joins(struct room *r)
{
    struct cph_ekt_receiver *in;

    assert_ok(cph_ekt_receiver_new(r->e, &r->policy, &in));
    assert_ok(cph_ekt_receiver_params(in, &r->params, 0));
    return in;
}

static struct room room_open(const struct cph_srtp_suite *suite, int accel)
{
    struct room r = { .e = engine_new(accel), .rnd = counter_new(), .policy.suite = suite };

    r.params = params_of(5, suite->key_n == 16 ? 16 : 32, suite->salt_n);
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &r.out));
    r.in = joins(&r);
    return r;
}

static struct room room_gcm(void)
{
    return room_open(suite_of("AEAD_AES_128_GCM"), CPH_SRTP_ACCEL_AUTO);
}

static void room_close(struct room *r)
{
    cph_ekt_sender_free(r->out);
    cph_ekt_receiver_free(r->in);
    cph_srtp_engine_free(r->e);
    free(r->rnd);
}

static void says(struct room *r, struct packet *k, uint16_t seq, cph_time now)
{
    rtp_make(k, SSRC, seq, 30);
    assert_ok(cph_ekt_protect(r->out, &k->pkt, now));
}

static cph_err hears(struct cph_ekt_receiver *in, const struct packet *k, cph_time now)
{
    struct packet c;
    cph_err err;

    copy(&c, k);
    err = cph_ekt_unprotect(in, &c.pkt, now);
    if (err != CPH_OK) {
        assert_int_equal(c.pkt.n, k->pkt.n);
        assert_memory_equal(c.b, k->b, BUF);
    }
    return err;
}

static bool is_full(const struct packet *k)
{
    return k->b[k->pkt.n - 1] == CPH_EKT_FULL;
}

/* ---- vectors --------------------------------------------------------------------------------- */

struct golden {
    struct cph_srtp_engine *e;
    const struct cph_srtp_policy *p;
    const struct cph_ekt_params *params;
    size_t free_from, free_n; /* the epoch, which nothing proves */
};

static cph_err check_golden(void *arg, struct cph_span bytes)
{
    const struct golden *g = arg;
    struct cph_ekt_receiver *in;
    struct packet k = { 0 };
    cph_err err;

    assert_ok(cph_ekt_receiver_new(g->e, g->p, &in));
    assert_ok(cph_ekt_receiver_params(in, g->params, 0));
    memcpy(k.b, bytes.p, bytes.n);
    k.pkt = (struct cph_srtp_pkt){ k.b, bytes.n, BUF };
    err = hears(in, &k, 0);
    for (size_t i = 0; i < 2 && err == CPH_OK; i++) /* a flip there is none of the sender's */
        if (bytes.n == g->free_from + 5 && (bytes.p[g->free_from + i]) != 0)
            err = CPH_E_AUTH;
    cph_ekt_receiver_free(in);
    return err;
}

static void packets_and_tags_are_those_of_another_implementation(void **state)
{
    (void)state;
    for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
        struct cph_srtp_engine *e = engine_new(accel);
        struct vectors *v = vectors_open("srtp/ekt.txt");
        size_t seen = 0;

        for (; vectors_next(v); seen++) {
            struct cph_span clear = vectors_hex(v, "clear"), prot = vectors_hex(v, "protected");
            struct cph_span tag = vectors_hex(v, "tag"), salt = vectors_hex(v, "salt");
            uint16_t spi = (uint16_t)strtoul(vectors_text(v, "spi"), NULL, 10);
            uint32_t roc = (uint32_t)strtoul(vectors_text(v, "roc"), NULL, 10);
            struct cph_ekt_params params = params_of(spi, vectors_hex(v, "key").n, salt.n);
            struct cph_srtp_policy p = { 0 };
            struct golden g = { e, &p, &params, prot.n - 5, 2 };
            struct ekt_plain plain = { .ssrc = SSRC, .roc = roc }, back = { 0 };
            struct cph_ekt_tag parsed, made = { .type = CPH_EKT_FULL, .spi = spi };
            struct counter *rnd = counter_new();
            uint8_t ciphertext[CPH_EKT_TAG_MAX], out[CPH_EKT_TAG_MAX];
            struct cph_ekt_sender *s;
            size_t n;

            for (unsigned i = 0; srtp_suite_at(i); i++)
                if (strcmp(srtp_suite_at(i)->name, vectors_text(v, "suite")) == 0)
                    p.suite = srtp_suite_at(i);
            assert_ok(cph_secret_set(&plain.key, vectors_hex(v, "master_key")));
            made.ciphertext.p = ciphertext;
            assert_ok(ekt_wrap(&params, &plain, ciphertext, &made.ciphertext.n));
            assert_ok(cph_ekt_tag_build(&made, out, sizeof out, &n));
            assert_int_equal(n, tag.n);
            assert_memory_equal(out, tag.p, n);
            assert_ok(cph_ekt_tag_parse(prot, &parsed));
            assert_int_equal(parsed.n, tag.n);
            assert_int_equal(parsed.spi, spi);
            assert_ok(ekt_unwrap(&params, parsed.ciphertext, &back));
            assert_int_equal(back.roc, roc);
            assert_memory_equal(&back.key, &plain.key, sizeof back.key);
            if (roc == 0) { /* a sender begins there */
                struct packet k = { 0 };

                memcpy(k.b, clear.p, clear.n);
                k.pkt = (struct cph_srtp_pkt){ k.b, clear.n, BUF };
                assert_ok(cph_ekt_sender_new(e, &rnd->env, &p, &params, 0, &s));
                assert_ok(cph_ekt_protect(s, &k.pkt, 0));
                assert_int_equal(k.pkt.n, prot.n);
                assert_memory_equal(k.b, prot.p, prot.n);
                cph_ekt_sender_free(s);
            }
            expect_fragile(prot, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_golden, &g);
            free(rnd);
        }
        assert_int_equal(seen, 7);
        vectors_close(v);
        cph_srtp_engine_free(e);
    }
}

static void tags_of_wrong_lengths_are_refused(void **state)
{
    uint8_t b[64] = { 0 };
    struct cph_ekt_tag tag;
    size_t n;

    (void)state;
    assert_int_equal(cph_ekt_tag_parse((struct cph_span){ b, 0 }, &tag), CPH_E_TRUNCATED);
    assert_ok(cph_ekt_tag_parse((struct cph_span){ b, 1 }, &tag));
    assert_int_equal(tag.n, 1);
    for (unsigned type = 1; type < 256; type++) {
        for (unsigned len = 0; len < 70; len++) {
            unsigned least = type == CPH_EKT_FULL ? 8 : 4;

            b[61] = 0;
            b[62] = (uint8_t)len;
            b[63] = (uint8_t)type;
            assert_int_equal(cph_ekt_tag_parse((struct cph_span){ b, 64 }, &tag),
                             len > 64      ? CPH_E_TRUNCATED
                             : len < least ? CPH_E_MALFORMED
                                           : CPH_OK);
        }
        assert_int_equal(cph_ekt_tag_parse((struct cph_span){ b + 62, 2 }, &tag), CPH_E_TRUNCATED);
    }
    tag = (struct cph_ekt_tag){ .type = 1 };
    assert_int_equal(cph_ekt_tag_build(&tag, b, sizeof b, &n), CPH_E_ARGUMENT);
    tag.type = CPH_EKT_FULL;
    assert_int_equal(cph_ekt_tag_build(&tag, b, sizeof b, &n), CPH_E_ARGUMENT);
    tag.ciphertext = (struct cph_span){ b, 40 };
    assert_int_equal(cph_ekt_tag_build(&tag, b, 46, &n), CPH_E_NOSPACE);
}

/* ---- sending and receiving ------------------------------------------------------------------- */

static void full_tags_come_three_times_and_every_100_ms(void **state)
{
    struct room r = room_gcm();
    struct packet k;

    (void)state;
    for (uint16_t i = 0; i < 60; i++) {
        says(&r, &k, i, CPH_MS(20 * i));
        assert_int_equal(is_full(&k), i < 3 || (i - 2) % 5 == 0);
        assert_ok(hears(r.in, &k, 0));
        assert_int_equal(hears(r.in, &k, 0), CPH_E_REPLAY);
    }
    rtp_make(&k, SSRC + 1, 1, 20); /* another SSRC of the sender: told at once */
    assert_ok(cph_ekt_protect(r.out, &k.pkt, CPH_MS(1201)));
    assert_true(is_full(&k));
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

static void who_joins_late_hears_from_the_next_full_tag_on(void **state)
{
    (void)state;
    for (unsigned i = 0; srtp_suite_at(i); i++) {
        struct room r = room_open(srtp_suite_at(i), (int)(i & 1));
        struct cph_ekt_receiver *late;
        struct packet k, clear;
        uint16_t seq = 0xfff0;

        for (unsigned n = 0; n < 40; n++, seq++) { /* over the wrap: the ROC is 1 */
            says(&r, &k, seq, CPH_MS(20 * n));
            assert_ok(hears(r.in, &k, 0));
        }
        late = joins(&r);
        do {
            says(&r, &k, seq, CPH_MS(20 * (seq + 16)));
            assert_int_equal(hears(late, &k, 0), is_full(&k) ? CPH_OK : CPH_E_NOKEY);
            rtp_make(&clear, SSRC, seq++, 30);
        } while (!is_full(&k));
        assert_ok(cph_ekt_unprotect(r.in, &k.pkt, 0));
        assert_int_equal(k.pkt.n, clear.pkt.n);
        assert_memory_equal(k.b, clear.b, k.pkt.n);
        says(&r, &k, seq, CPH_MS(20 * (seq + 16)));
        assert_ok(hears(late, &k, 0));
        cph_ekt_receiver_free(late);
        room_close(&r);
    }
}

static void a_sender_takes_a_new_key_whenever_it_likes_and_no_packet_is_lost(void **state)
{
    struct room r = room_gcm();
    struct packet k[400];

    (void)state;
    for (uint16_t i = 0; i < 400; i++) {
        if (i % 50 == 25)
            assert_ok(cph_ekt_rekey(r.out, CPH_MS(20 * i)));
        says(&r, &k[i], (uint16_t)(0xff00 + i), CPH_MS(20 * i));
        if (i % 50 >= 25 && i % 50 < 28)
            assert_true(is_full(&k[i]));
        if (i % 2 == 1) { /* each two change places, over the change of keys too */
            assert_ok(hears(r.in, &k[i], CPH_MS(20 * i)));
            assert_ok(hears(r.in, &k[i - 1], CPH_MS(20 * i)));
        }
    }
    for (uint16_t i = 300; i < 400; i++)
        assert_int_not_equal(hears(r.in, &k[i], CPH_SEC(8)), CPH_OK);
    room_close(&r);
}

static void the_new_key_is_used_after_250_ms(void **state)
{
    struct room r = room_gcm();
    struct cph_ekt_receiver *before = r.in;
    struct packet k;

    (void)state;
    says(&r, &k, 1, 0);
    assert_ok(hears(before, &k, 0));
    assert_ok(cph_ekt_rekey(r.out, 0));
    assert_ok(cph_ekt_receiver_drop(before, 5)); /* this one learns no new key */
    for (uint16_t seq = 2; seq < 20; seq++) {
        cph_time now = seq < 11 ? CPH_MS(25 * (seq - 1)) : CPH_EKT_OLD_US;

        says(&r, &k, seq, seq == 10 ? CPH_EKT_OLD_US - 1 : now);
        if (is_full(&k)) /* no SPI: nothing of it is looked at */
            assert_int_equal(hears(before, &k, 0), CPH_E_AUTH);
        else
            assert_int_equal(hears(before, &k, 0), seq <= 10 ? CPH_OK : CPH_E_AUTH);
    }
    room_close(&r);
}

static void a_key_told_and_taken_back_is_never_used(void **state)
{
    struct room r = room_gcm();
    struct packet k;

    (void)state;
    says(&r, &k, 1, 0);
    assert_ok(hears(r.in, &k, 0));
    for (uint16_t i = 0; i < 5; i++) {
        assert_ok(cph_ekt_rekey(r.out, CPH_MS(i)));
        says(&r, &k, (uint16_t)(2 + i), CPH_MS(i));
        assert_true(is_full(&k));
        assert_ok(hears(r.in, &k, 0));
    }
    says(&r, &k, 7, CPH_SEC(1));
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

static void a_new_parameter_set_brings_a_new_key(void **state)
{
    struct room r = room_gcm();
    struct cph_ekt_params next = params_of(6, 32, 20), bad;
    struct packet k;

    (void)state;
    says(&r, &k, 1, 0);
    assert_ok(hears(r.in, &k, 0));
    bad = next;
    bad.spi = 5;
    assert_int_equal(cph_ekt_sender_params(r.out, &bad, 0), CPH_E_EXISTS);
    assert_int_equal(cph_ekt_receiver_params(r.in, &bad, 0), CPH_E_EXISTS);
    next.salt.b[3] ^= 1; /* longer than needed: cut; and another one */
    assert_ok(cph_ekt_sender_params(r.out, &next, 0));
    says(&r, &k, 2, 0);
    assert_int_equal(hears(r.in, &k, 0), CPH_E_AUTH); /* nobody told us of SPI 6 */
    assert_ok(cph_ekt_receiver_params(r.in, &next, 0));
    assert_ok(hears(r.in, &k, 0));
    says(&r, &k, 3, CPH_SEC(1));
    assert_ok(hears(r.in, &k, 0));
    for (uint16_t spi = 7; spi < 13; spi++) {
        next.spi = spi;
        assert_ok(cph_ekt_receiver_params(r.in, &next, 0));
    }
    next.spi = 13;
    assert_int_equal(cph_ekt_receiver_params(r.in, &next, 0), CPH_E_LIMIT);
    assert_ok(cph_ekt_receiver_drop(r.in, 9));
    assert_ok(cph_ekt_receiver_params(r.in, &next, 0));
    assert_int_equal(cph_ekt_receiver_drop(r.in, 9), CPH_E_NOTFOUND);
    room_close(&r);
}

static void nothing_is_done_under_an_ekt_key_whose_time_is_over(void **state)
{
    struct room r = room_gcm();
    struct packet k, full;

    (void)state;
    rtp_make(&k, SSRC, 1, 30);
    assert_int_equal(cph_ekt_protect(r.out, &k.pkt, CPH_SEC(1000)), CPH_E_EXPIRED);
    rtcp_make(&k, SSRC, 20);
    assert_int_equal(cph_ekt_protect_rtcp(r.out, &k.pkt, CPH_SEC(1000)), CPH_E_EXPIRED);
    assert_int_equal(cph_ekt_rekey(r.out, CPH_SEC(1000)), CPH_E_EXPIRED);
    says(&r, &full, 1, CPH_SEC(1000) - 1);
    assert_int_equal(hears(r.in, &full, CPH_SEC(1000)), CPH_E_EXPIRED);
    assert_ok(hears(r.in, &full, CPH_SEC(1000) - 1));
    room_close(&r);
}

/* ---- who would do harm ----------------------------------------------------------------------- */

/* The tag of one packet behind another. */
static void graft(struct packet *to, const struct packet *tag_of)
{
    struct cph_ekt_tag a, b;

    assert_ok(cph_ekt_tag_parse((struct cph_span){ to->b, to->pkt.n }, &a));
    assert_ok(cph_ekt_tag_parse((struct cph_span){ tag_of->b, tag_of->pkt.n }, &b));
    to->pkt.n -= a.n;
    memcpy(to->b + to->pkt.n, tag_of->b + tag_of->pkt.n - b.n, b.n);
    to->pkt.n += b.n;
}

static void an_old_tag_brings_no_old_packet_back(void **state)
{
    struct room r = room_gcm();
    struct packet old, k;
    uint16_t seq = 1;

    (void)state;
    says(&r, &old, seq++, 0);
    assert_ok(hears(r.in, &old, 0));
    for (unsigned n = 0; n < 3; n++) { /* three keys on */
        assert_ok(cph_ekt_rekey(r.out, CPH_SEC(n)));
        for (unsigned i = 0; i < 100; i++) {
            says(&r, &k, seq++, CPH_SEC(n) + CPH_MS(5 * i));
            assert_ok(hears(r.in, &k, 0));
        }
    }
    says(&r, &k, seq++, CPH_SEC(3));
    graft(&k, &old);
    k.b[k.pkt.n - 4] = 0xff; /* its epoch, which nothing proves */
    assert_ok(hears(r.in, &k, 0));
    assert_int_not_equal(hears(r.in, &old, 0), CPH_OK);
    says(&r, &k, seq++, CPH_SEC(3)); /* and the sender is still heard */
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

static void a_tag_of_another_source_is_passed_over(void **state)
{
    struct room r = room_gcm();
    struct packet a, b;

    (void)state;
    says(&r, &a, 1, 0);
    rtp_make(&b, SSRC + 1, 1, 30);
    assert_ok(cph_ekt_protect(r.out, &b.pkt, 0));
    graft(&a, &b);
    assert_int_equal(hears(r.in, &a, 0), CPH_E_NOKEY); /* no key of its own, none of the other */
    assert_ok(hears(r.in, &b, 0));
    says(&r, &a, 2, 0);
    assert_ok(hears(r.in, &a, 0));
    says(&r, &a, 3, 0);
    graft(&a, &b);
    assert_ok(hears(r.in, &a, 0)); /* RFC 8870 4.3.2: the packet may be processed as normal */
    room_close(&r);
}

static void forged_packets_move_nothing(void **state)
{
    struct room r = room_gcm();
    struct packet k, forged;

    (void)state;
    says(&r, &k, 1, 0);
    copy(&forged, &k);
    forged.b[14] ^= 1; /* a good tag behind a bad packet */
    assert_int_equal(hears(r.in, &forged, 0), CPH_E_AUTH);
    assert_int_equal(cph_ekt_source_drop(r.in, SSRC), CPH_E_NOTFOUND);
    assert_ok(hears(r.in, &k, 0));
    assert_ok(cph_ekt_rekey(r.out, 0));
    says(&r, &k, 2, 0);
    copy(&forged, &k);
    forged.b[14] ^= 1;
    assert_int_equal(hears(r.in, &forged, 0), CPH_E_AUTH);
    assert_ok(hears(r.in, &k, 0)); /* its epoch was not used up */
    says(&r, &k, 3, CPH_SEC(1));
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

static void there_are_no_more_sources_than_agreed(void **state)
{
    struct room r = room_gcm();
    struct packet k;

    (void)state;
    r.policy.streams = 0;
    for (uint32_t i = 0; i <= CPH_SRTP_STREAMS; i++) {
        struct cph_ekt_sender *s;

        assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &s));
        rtp_make(&k, SSRC + i, 1, 30);
        assert_ok(cph_ekt_protect(s, &k.pkt, 0));
        assert_int_equal(hears(r.in, &k, 0), i < CPH_SRTP_STREAMS ? CPH_OK : CPH_E_LIMIT);
        cph_ekt_sender_free(s);
    }
    assert_ok(cph_ekt_source_drop(r.in, SSRC + 3));
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

/* ---- one endpoint's two halves ----------------------------------------------------------------
 */

static void what_an_endpoint_sent_is_not_taken_for_another_s(void **state)
{
    struct room r = room_gcm();
    struct cph_ekt_receiver *other = joins(&r);
    struct packet k, c;

    (void)state;
    cph_ekt_pair(r.out, r.in);
    says(&r, &k, 1, 0);
    assert_err(hears(r.in, &k, 0), CPH_E_POLICY); /* reflected */
    assert_ok(hears(other, &k, 0));
    rtcp_make(&c, SSRC, 20);
    assert_ok(cph_ekt_protect_rtcp(r.out, &c.pkt, 0));
    assert_err(cph_ekt_unprotect_rtcp(r.in, &c.pkt, 0), CPH_E_POLICY);
    cph_ekt_pair(r.out, other); /* the other one now */
    assert_ok(hears(r.in, &k, 0));
    says(&r, &k, 2, 0);
    assert_err(hears(other, &k, 0), CPH_E_POLICY);
    cph_ekt_sender_free(r.out);
    assert_ok(hears(other, &k, 0));
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &r.out));
    cph_ekt_pair(r.out, other);
    cph_ekt_receiver_free(other);
    says(&r, &k, 3, 0);
    room_close(&r);
}

static void a_key_that_is_over_is_good_for_three_seconds(void **state)
{
    struct room r = room_gcm();
    struct packet old[3], k;

    (void)state;
    says(&r, &k, 1, 0);
    assert_ok(hears(r.in, &k, 0));
    for (uint16_t i = 0; i < 3; i++)
        says(&r, &old[i], (uint16_t)(10 + i), CPH_MS(20));
    assert_ok(cph_ekt_rekey(r.out, CPH_MS(20)));
    says(&r, &k, 20, CPH_MS(20)); /* tells it */
    assert_ok(hears(r.in, &k, CPH_MS(20)));
    says(&r, &k, 21, CPH_MS(300)); /* uses it */
    assert_ok(hears(r.in, &k, CPH_MS(300)));
    assert_ok(hears(r.in, &old[0], CPH_MS(300)));
    assert_ok(hears(r.in, &old[1], CPH_MS(300) + CPH_EKT_LATE_US - 1));
    assert_err(hears(r.in, &old[2], CPH_MS(300) + CPH_EKT_LATE_US), CPH_E_AUTH);
    room_close(&r);
}

static void a_sender_in_another_s_place_goes_on_where_it_was(void **state)
{
    struct room r = room_gcm();
    struct cph_ekt_sender *next;
    struct packet k;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        says(&r, &k, (uint16_t)(0xfffe + i), 0);
    assert_ok(hears(r.in, &k, 0)); /* ROC 1 */
    assert_ok(cph_ekt_rekey(r.out, 0));
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &next));
    assert_ok(cph_ekt_sender_move(next, r.out, 0));
    cph_ekt_sender_free(r.out);
    r.out = next;
    rtp_make(&k, SSRC, 0, 30); /* that index was used */
    assert_ok(cph_ekt_protect(r.out, &k.pkt, 0));
    says(&r, &k, 1, 0);
    assert_int_equal(k.b[k.pkt.n - 5] << 8 | k.b[k.pkt.n - 4], 2); /* epoch: above both before */
    assert_ok(hears(r.in, &k, 0));
    /* under another parameter set epochs begin anew, indices do not */
    r.params.spi++;
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &next));
    assert_ok(cph_ekt_sender_move(next, r.out, 0));
    cph_ekt_sender_free(r.out);
    r.out = next;
    assert_ok(cph_ekt_receiver_params(r.in, &r.params, 0));
    says(&r, &k, 2, 0);
    assert_int_equal(k.b[k.pkt.n - 5] << 8 | k.b[k.pkt.n - 4], 0);
    assert_ok(hears(r.in, &k, 0));
    room_close(&r);
}

static void a_sender_says_when_its_key_and_its_set_near_their_end(void **state)
{
    struct cph_srtp_policy short_lived = { .suite = suite_of("AEAD_AES_128_GCM"),
                                           .master.lifetime_rtp = 32 };
    struct room r = room_gcm();
    struct cph_ekt_sender *s;
    struct cph_ekt_life life;
    struct packet k;

    (void)state;
    cph_ekt_sender_life(r.out, 0, &life);
    assert_true(!life.key.soon && !life.set_soon && life.set_left == CPH_SEC(1000));
    cph_ekt_sender_life(r.out, CPH_SEC(1000) - CPH_SEC(1000) / 16, &life);
    assert_false(life.set_soon);
    cph_ekt_sender_life(r.out, CPH_SEC(1000) - CPH_SEC(1000) / 16 + 1, &life);
    assert_true(life.set_soon);
    cph_ekt_sender_life(r.out, CPH_SEC(2000), &life);
    assert_true(life.set_soon && life.set_left == 0);
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &short_lived, &r.params, 0, &s));
    cph_ekt_sender_life(s, 0, &life);
    assert_true(life.key.soon);
    for (unsigned i = 0; i < 32; i++) {
        rtp_make(&k, SSRC, (uint16_t)i, 30);
        assert_ok(cph_ekt_protect(s, &k.pkt, 0));
    }
    rtp_make(&k, SSRC, 40, 30);
    assert_err(cph_ekt_protect(s, &k.pkt, 0), CPH_E_EXPIRED);
    assert_ok(cph_ekt_rekey(s, 0)); /* and another key ends that */
    rtp_make(&k, SSRC, 40, 30);
    assert_ok(cph_ekt_protect(s, &k.pkt, CPH_EKT_OLD_US));
    cph_ekt_sender_free(s);
    room_close(&r);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void rtcp_goes_under_the_same_keys_without_a_tag(void **state)
{
    struct room r = room_gcm();
    struct packet k, c;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        if (i % 10 == 5)
            assert_ok(cph_ekt_rekey(r.out, CPH_MS(100 * i)));
        rtcp_make(&c, SSRC, 20);
        assert_ok(cph_ekt_protect_rtcp(r.out, &c.pkt, CPH_MS(100 * i)));
        copy(&k, &c);
        if (i == 0)
            assert_int_equal(cph_ekt_unprotect_rtcp(r.in, &k.pkt, CPH_MS(100 * i)), CPH_E_NOKEY);
        else
            assert_ok(cph_ekt_unprotect_rtcp(r.in, &k.pkt, CPH_MS(100 * i)));
        copy(&k, &c);
        assert_int_not_equal(cph_ekt_unprotect_rtcp(r.in, &k.pkt, CPH_MS(100 * i)), CPH_OK);
        says(&r, &k, (uint16_t)i, CPH_MS(100 * i));
        assert_ok(hears(r.in, &k, 0));
    }
    room_close(&r);
}

static void the_end_to_end_half_comes_alone_where_the_other_is_the_hops(void **state)
{
    struct cph_srtp_policy near = policy_of(cph_srtp_double_suites[1], 3);
    struct room r = { .e = engine_new(CPH_SRTP_ACCEL_AUTO),
                      .rnd = counter_new(),
                      .policy = near,
                      .params = params_of(1, 16, 24) };
    struct cph_ekt_tag tag;
    struct ekt_plain plain = { 0 };
    struct packet k, c;
    struct cph_srtp_policy hop;
    struct cph_srtp *distributor;

    (void)state;
    assert_ok(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &r.out));
    r.in = joins(&r);
    says(&r, &k, 1, 0);
    assert_ok(cph_ekt_tag_parse((struct cph_span){ k.b, k.pkt.n }, &tag));
    assert_ok(ekt_unwrap(&r.params, tag.ciphertext, &plain));
    assert_int_equal(plain.key.n, 16);
    assert_ok(hears(r.in, &k, 0));
    assert_ok(cph_srtp_double_hop(&near, &hop)); /* a distributor reads the outer half */
    distributor = ctx_new(r.e, &hop, CPH_SRTP_RECV);
    copy(&c, &k);
    c.pkt.n -= tag.n;
    assert_ok(cph_srtp_unprotect(distributor, &c.pkt));
    cph_srtp_free(distributor);
    room_close(&r);
}

static void what_ekt_cannot_go_with_is_refused(void **state)
{
    struct room r = room_gcm();
    struct cph_srtp_policy p;
    struct cph_ekt_params q;
    struct cph_ekt_sender *s;
    struct cph_ekt_receiver *in;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        p = (struct cph_srtp_policy){ .suite = suite_of("AES_CM_128_HMAC_SHA1_80") };
        p.master.mki_n = i == 0;
        p.unauthenticated_rtp = i == 1;
        p.rcc = i == 2 ? CPH_SRTP_RCC_1 : i == 3 ? CPH_SRTP_RCC_3 : CPH_SRTP_RCC_NONE;
        q = params_of(1, 16, 14);
        assert_int_equal(cph_ekt_sender_new(r.e, &r.rnd->env, &p, &q, 0, &s), CPH_E_ARGUMENT);
        assert_int_equal(cph_ekt_receiver_new(r.e, &p, &in), CPH_E_ARGUMENT);
    }
    for (unsigned i = 0; i < 7; i++) {
        p = (struct cph_srtp_policy){ .suite = suite_of("AEAD_AES_128_GCM") };
        q = params_of(1, 16, 12);
        q.key.n -= i == 0;
        q.salt.n -= i == 1;
        q.ttl_s = i == 2 ? 0 : i == 3 ? CPH_EKT_TTL_MAX + 1 : 1;
        q.cipher = i == 4 ? (enum cph_ekt_cipher)2 : i == 5 ? CPH_EKT_AESKW256 : CPH_EKT_AESKW128;
        if (i == 6) /* RFC 8870 6 MUST: not weaker than what it carries */
            p.suite = suite_of("AEAD_AES_256_GCM");
        assert_int_equal(cph_ekt_sender_new(r.e, &r.rnd->env, &p, &q, 0, &s), CPH_E_ARGUMENT);
        assert_ok(cph_ekt_receiver_new(r.e, &p, &in));
        assert_int_equal(cph_ekt_receiver_params(in, &q, 0), CPH_E_ARGUMENT);
        cph_ekt_receiver_free(in);
    }
    room_close(&r);
}

static void without_randomness_the_old_key_stays(void **state)
{
    struct room r = room_gcm();
    struct cph_ekt_sender *s;
    struct packet k;

    (void)state;
    r.rnd->broken = true;
    assert_int_equal(cph_ekt_sender_new(r.e, &r.rnd->env, &r.policy, &r.params, 0, &s), CPH_E_IO);
    assert_int_equal(cph_ekt_rekey(r.out, 0), CPH_E_IO);
    says(&r, &k, 1, CPH_SEC(1));
    assert_ok(hears(r.in, &k, 0));
    rtp_make(&k, SSRC, 2, 30);
    k.pkt.cap = k.pkt.n + cph_ekt_overhead(r.out, false) - 1;
    assert_int_equal(cph_ekt_protect(r.out, &k.pkt, 0), CPH_E_NOSPACE);
    room_close(&r);
}

static cph_err talk(void *arg)
{
    struct counter rnd = { .env = { .ctx = &rnd, .random = count_up } };
    struct cph_srtp_policy p = { .suite = suite_of("AEAD_AES_128_GCM") };
    struct cph_ekt_params q = params_of(1, 16, 12);
    struct cph_ekt_sender *s = NULL;
    struct cph_ekt_receiver *in = NULL;
    struct packet k;
    cph_err err;

    rtp_make(&k, SSRC, 1, 30);
    err = cph_ekt_sender_new(arg, &rnd.env, &p, &q, 0, &s);
    if (err == CPH_OK)
        err = cph_ekt_receiver_new(arg, &p, &in);
    if (err == CPH_OK)
        err = cph_ekt_receiver_params(in, &q, 0);
    if (err == CPH_OK)
        err = cph_ekt_rekey(s, 0);
    if (err == CPH_OK)
        err = cph_ekt_protect(s, &k.pkt, CPH_SEC(1));
    if (err == CPH_OK)
        err = cph_ekt_unprotect(in, &k.pkt, 0);
    cph_ekt_sender_free(s);
    cph_ekt_receiver_free(in);
    return err == CPH_E_CRYPTO ? CPH_E_NOMEM : err; /* the library does not say why */
}

static void no_memory_is_told_and_leaks_nothing(void **state)
{
    struct cph_srtp_engine *e = engine_new(CPH_SRTP_ACCEL_NONE);

    (void)state;
    assert_ok(talk(e));
    test_alloc_fails(talk, e);
    cph_srtp_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_and_tags_are_those_of_another_implementation),
        cmocka_unit_test(tags_of_wrong_lengths_are_refused),
        cmocka_unit_test(full_tags_come_three_times_and_every_100_ms),
        cmocka_unit_test(who_joins_late_hears_from_the_next_full_tag_on),
        cmocka_unit_test(a_sender_takes_a_new_key_whenever_it_likes_and_no_packet_is_lost),
        cmocka_unit_test(the_new_key_is_used_after_250_ms),
        cmocka_unit_test(a_key_told_and_taken_back_is_never_used),
        cmocka_unit_test(a_new_parameter_set_brings_a_new_key),
        cmocka_unit_test(nothing_is_done_under_an_ekt_key_whose_time_is_over),
        cmocka_unit_test(an_old_tag_brings_no_old_packet_back),
        cmocka_unit_test(a_tag_of_another_source_is_passed_over),
        cmocka_unit_test(forged_packets_move_nothing),
        cmocka_unit_test(there_are_no_more_sources_than_agreed),
        cmocka_unit_test(what_an_endpoint_sent_is_not_taken_for_another_s),
        cmocka_unit_test(a_key_that_is_over_is_good_for_three_seconds),
        cmocka_unit_test(a_sender_in_another_s_place_goes_on_where_it_was),
        cmocka_unit_test(a_sender_says_when_its_key_and_its_set_near_their_end),
        cmocka_unit_test(rtcp_goes_under_the_same_keys_without_a_tag),
        cmocka_unit_test(the_end_to_end_half_comes_alone_where_the_other_is_the_hops),
        cmocka_unit_test(what_ekt_cannot_go_with_is_refused),
        cmocka_unit_test(without_randomness_the_old_key_stays),
        cmocka_unit_test(no_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Contexts and packets for the tests of this room. */
#ifndef CPH_TEST_SRTP_UTIL_H
#define CPH_TEST_SRTP_UTIL_H

#include "support.h"

#include "srtp_int.h"

enum { BUF = 400 };

struct packet {
    uint8_t b[BUF];
    struct cph_srtp_pkt pkt;
};

static inline struct cph_srtp_engine *engine_new(int accel)
{
    struct cph_srtp_engine *e;

    assert_ok(cph_srtp_engine_new((enum cph_srtp_accel)accel, &e));
    return e;
}

static inline struct cph_srtp_policy policy_of(const struct cph_srtp_suite *suite, uint8_t seed)
{
    struct cph_srtp_policy p = { .suite = suite };

    p.master.key.n = suite->key_n;
    p.master.salt.n = suite->salt_n;
    for (size_t i = 0; i < suite->key_n; i++)
        p.master.key.b[i] = (uint8_t)(seed + 7 * i);
    for (size_t i = 0; i < suite->salt_n; i++)
        p.master.salt.b[i] = (uint8_t)(seed ^ 31 * i);
    return p;
}

static inline const struct cph_srtp_suite *suite_of(const char *name)
{
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        if (strcmp(cph_srtp_suites[i]->name, name) == 0)
            return cph_srtp_suites[i];
    }
    fail_msg("no suite %s", name);
    return NULL;
}

static inline struct cph_srtp *ctx_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                                       enum cph_srtp_dir dir)
{
    struct cph_srtp *s;

    assert_ok(cph_srtp_new(e, p, dir, &s));
    return s;
}

static inline void rtp_make(struct packet *k, uint32_t ssrc, uint16_t seq, size_t payload)
{
    memset(k->b, 0, sizeof k->b);
    k->b[0] = 0x80;
    k->b[1] = 96;
    k->b[2] = (uint8_t)(seq >> 8);
    k->b[3] = (uint8_t)seq;
    srtp_put_be32(k->b + 8, ssrc);
    for (size_t i = 0; i < payload; i++)
        k->b[12 + i] = (uint8_t)(seq + i);
    k->pkt = (struct cph_srtp_pkt){ k->b, 12 + payload, sizeof k->b };
}

static inline void rtcp_make(struct packet *k, uint32_t ssrc, size_t payload)
{
    memset(k->b, 0, sizeof k->b);
    k->b[0] = 0x80;
    k->b[1] = 200;
    srtp_put_be32(k->b + 4, ssrc);
    for (size_t i = 0; i < payload; i++)
        k->b[8 + i] = (uint8_t)i;
    k->pkt = (struct cph_srtp_pkt){ k->b, 8 + payload, sizeof k->b };
}

static inline void copy(struct packet *to, const struct packet *from)
{
    *to = *from;
    to->pkt.p = to->b;
}

/** Protect a packet with this sequence number. */
static inline void sealed(struct cph_srtp *s, struct packet *k, uint32_t ssrc, uint16_t seq)
{
    rtp_make(k, ssrc, seq, 30);
    assert_ok(cph_srtp_protect(s, &k->pkt));
}

/** Unprotect a copy. */
static inline cph_err opened(struct cph_srtp *s, const struct packet *k)
{
    struct packet c;
    cph_err err;

    copy(&c, k);
    err = cph_srtp_unprotect(s, &c.pkt);
    if (err != CPH_OK) { /* the packet is as it was */
        assert_int_equal(c.pkt.n, k->pkt.n);
        assert_memory_equal(c.b, k->b, BUF);
    }
    return err;
}

#endif

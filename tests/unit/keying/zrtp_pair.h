/* Two ends that speak ZRTP over links that lose, double and reorder; retained secrets in memory. */
#ifndef KEYING_TEST_ZRTP_PAIR_H
#define KEYING_TEST_ZRTP_PAIR_H

#include <limits.h>

#include "support.h"

#include "keying_int.h"
#include "zrtp/zrtp_int.h"

enum { PAIR_STREAMS = 3, PAIR_FLIGHT = 64, PAIR_STORE = 8 };

/* ---- a store in memory ----------------------------------------------------------------------- */

struct mem_store {
    struct cph_zrtp_store store;
    struct {
        bool used;
        uint8_t zid[CPH_ZRTP_ZID];
        struct cph_zrtp_retained r;
    } at[PAIR_STORE];
    const struct test_env *env;
    unsigned gets, puts;
    cph_err get_err, put_err;
};

static inline cph_err mem_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                              struct cph_zrtp_retained *out)
{
    struct mem_store *m = ctx;

    m->gets++;
    if (m->get_err)
        return m->get_err;
    for (int i = 0; i < PAIR_STORE; i++) {
        if (m->at[i].used && memcmp(m->at[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            *out = m->at[i].r;
            return CPH_OK;
        }
    }
    return CPH_E_NOTFOUND;
}

static inline cph_err mem_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                              const struct cph_zrtp_retained *in)
{
    struct mem_store *m = ctx;

    m->puts++;
    if (m->put_err)
        return m->put_err;
    for (int i = 0; i < PAIR_STORE; i++) {
        if (!m->at[i].used || memcmp(m->at[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            m->at[i].used = true;
            memcpy(m->at[i].zid, zid, CPH_ZRTP_ZID);
            m->at[i].r = *in;
            return CPH_OK;
        }
    }
    return CPH_E_LIMIT;
}

/* As the command's store answers; by the time of the test's clock. */
static inline bool mem_other(void *ctx, const char *peer, const uint8_t zid[CPH_ZRTP_ZID])
{
    const struct mem_store *m = ctx;
    bool other = false;

    for (int i = 0; i < PAIR_STORE; i++) {
        const struct cph_zrtp_retained *r = &m->at[i].r;

        if (!m->at[i].used || memcmp(m->at[i].zid, zid, CPH_ZRTP_ZID) == 0 ||
            !(r->verified || (r->rs1.n > 0 && r->expires > m->env->wall)))
            continue;
        for (int k = 0; k < CPH_ZRTP_NAMES; k++)
            other |= strcmp(r->peer[k], peer) == 0;
    }
    return other;
}

/* ---- an end ---------------------------------------------------------------------------------- */

struct end {
    struct test_env env;
    struct mem_store mem;
    struct cph_zrtp_cfg cfg;
    struct cph_zrtp_call *call;
    struct zrtp *z[PAIR_STREAMS];
};

struct flight {
    bool used;
    cph_time at;
    int to, stream; /* end 0 or 1 */
    size_t n;
    uint8_t b[CPH_KEYING_PACKET];
};

struct link_cfg {
    unsigned loss, twice, late; /* per cent */
    cph_time delay;
};

struct duo {
    struct end end[2];
    unsigned streams;
    struct link_cfg link;
    struct test_env chance;
    struct flight flight[PAIR_FLIGHT];
    cph_time now;
    unsigned sent[2][ZRTP_TYPES];
    /* Sees every packet before it goes; false: it is lost. May change it. */
    bool (*tap)(struct duo *d, int from, int stream, struct flight *f);
    /* Taps of their own: this type is lost so often; or a byte of it is changed, counted in the
     * message from its beginning or, if that is large, from its end, and the CRC made right. */
    enum zrtp_type lose, flip;
    unsigned lose_n, flip_n;
    size_t flip_at;
};

static inline void end_cfg(struct end *e, uint64_t seed, uint8_t id)
{
    memset(e, 0, sizeof *e);
    test_env_init(&e->env, seed);
    e->mem.store = (struct cph_zrtp_store){ &e->mem, mem_get, mem_put, mem_other };
    e->mem.env = &e->env;
    e->cfg.env = &e->env.env;
    memset(e->cfg.zid, id, CPH_ZRTP_ZID);
    e->cfg.store = &e->mem.store;
}

static inline void end_open(struct end *e, unsigned streams, uint32_t ssrc)
{
    assert_ok(cph_zrtp_call_new(&e->cfg, &e->call));
    for (unsigned i = 0; i < streams; i++) {
        assert_ok(zrtp_new(e->call, ssrc + i, 0, &e->z[i]));
        e->z[i]->started = true;
    }
}

static inline void end_close(struct end *e)
{
    for (int i = 0; i < PAIR_STREAMS; i++) {
        zrtp_free(e->z[i]);
        e->z[i] = NULL;
    }
    cph_zrtp_call_free(e->call);
    e->call = NULL;
}

static inline void duo_init(struct duo *d, uint64_t seed)
{
    memset(d, 0, sizeof *d);
    end_cfg(&d->end[0], 2 * seed + 1, 0xa1);
    end_cfg(&d->end[1], 2 * seed + 2, 0xb2);
    test_env_init(&d->chance, seed);
    d->link.delay = CPH_MS(20);
    d->streams = 1;
}

static inline void duo_open(struct duo *d)
{
    end_open(&d->end[0], d->streams, 0x1000);
    end_open(&d->end[1], d->streams, 0x2000);
}

static inline void duo_close(struct duo *d)
{
    end_close(&d->end[0]);
    end_close(&d->end[1]);
    memset(d->flight, 0, sizeof d->flight);
}

static inline bool percent(struct duo *d, unsigned p)
{
    return p > 0 && test_random(&d->chance) % 100 < p;
}

static inline void launch(struct duo *d, const struct flight *f)
{
    for (int i = 0; i < PAIR_FLIGHT; i++) {
        if (!d->flight[i].used) {
            d->flight[i] = *f;
            d->flight[i].used = true;
            d->flight[i].at = d->now + d->link.delay;
            if (percent(d, d->link.late))
                d->flight[i].at += CPH_MS(test_random(&d->chance) % 300);
            return;
        }
    }
}

static inline enum zrtp_type flight_type(const struct flight *f)
{
    struct zrtp_packet p;
    struct zrtp_msg m;

    assert_ok(zrtp_packet_parse((struct cph_span){ f->b, f->n }, &p));
    assert_ok(zrtp_msg_parse(p.msg, &m));
    return m.type;
}

static inline void duo_send(struct duo *d)
{
    for (int e = 0; e < 2; e++) {
        for (unsigned s = 0; s < d->streams; s++) {
            for (;;) {
                struct flight f = { .to = 1 - e, .stream = (int)s };
                struct cph_wr wr = cph_wr_open(f.b, sizeof f.b);

                if (!d->end[e].z[s] || zrtp_pull(d->end[e].z[s], &wr, d->now) != CPH_OK)
                    break;
                f.n = wr.n;
                d->sent[e][flight_type(&f)]++;
                if (d->tap && !d->tap(d, e, (int)s, &f))
                    continue;
                if (percent(d, d->link.loss))
                    continue;
                launch(d, &f);
                if (percent(d, d->link.twice))
                    launch(d, &f);
            }
        }
    }
}

static inline cph_time duo_next(const struct duo *d)
{
    cph_time at = CPH_TIME_NEVER;

    for (int i = 0; i < PAIR_FLIGHT; i++) {
        if (d->flight[i].used && d->flight[i].at < at)
            at = d->flight[i].at;
    }
    for (int e = 0; e < 2; e++) {
        for (unsigned s = 0; s < d->streams; s++) {
            if (d->end[e].z[s] && zrtp_deadline(d->end[e].z[s]) < at)
                at = zrtp_deadline(d->end[e].z[s]);
        }
    }
    return at;
}

/* Everything that is due now. */
static inline void duo_turn(struct duo *d)
{
    duo_send(d);
    for (int i = 0; i < PAIR_FLIGHT; i++) {
        struct flight f = d->flight[i];
        struct zrtp *z;

        if (!f.used || f.at > d->now)
            continue;
        d->flight[i].used = false;
        z = d->end[f.to].z[f.stream];
        if (z) {
            static uint8_t room[CPH_KEYING_PACKET];
            uint8_t *end = room + sizeof room - f.n; /* a sanitizer sees who reads on */

            memcpy(end, f.b, f.n);
            (void)!zrtp_feed(z, NULL, (struct cph_span){ end, f.n }, d->now);
        }
        duo_send(d);
    }
    for (int e = 0; e < 2; e++) {
        for (unsigned s = 0; s < d->streams; s++) {
            if (d->end[e].z[s])
                zrtp_tick(d->end[e].z[s], d->now);
        }
    }
    duo_send(d);
}

static inline void duo_run(struct duo *d, cph_time until)
{
    for (;;) {
        cph_time next = duo_next(d);

        if (next > until)
            break;
        d->now = next > d->now ? next : d->now;
        duo_turn(d);
    }
    d->now = until;
}

static inline bool duo_all_in(const struct duo *d, enum zrtp_state state)
{
    for (int e = 0; e < 2; e++) {
        for (unsigned s = 0; s < d->streams; s++) {
            if (d->end[e].z[s]->live.state != state)
                return false;
        }
    }
    return true;
}

static inline void info_of(const struct zrtp *z, struct cph_zrtp_info *out)
{
    assert_ok(cph_zrtp_info(&z->base, out));
}

/* Both ends of a stream have the same keys, crosswise, and all the streams the same SAS. */
static inline void assert_same_keys(struct duo *d, unsigned stream)
{
    struct zrtp *a = d->end[0].z[stream], *b = d->end[1].z[stream];
    struct cph_zrtp_info ia, ib;

    for (int dir = 0; dir < 2; dir++) {
        struct cph_srtp_policy pa = { 0 }, pb = { 0 };

        assert_ok(zrtp_srtp_policy(a, (enum cph_keying_dir)dir, &pa));
        assert_ok(zrtp_srtp_policy(b, (enum cph_keying_dir)(1 - dir), &pb));
        assert_ptr_equal(pa.suite, pb.suite);
        assert_int_equal(pa.master.key.n, pa.suite->key_n);
        assert_int_equal(pa.master.salt.n, pa.suite->salt_n);
        assert_memory_equal(pa.master.key.b, pb.master.key.b, pa.master.key.n);
        assert_memory_equal(pa.master.salt.b, pb.master.salt.b, pa.master.salt.n);
    }
    info_of(a, &ia);
    info_of(b, &ib);
    assert_true(ia.secure && ib.secure && ia.initiator != ib.initiator);
    assert_true(strlen(ia.sas) >= 4);
    assert_string_equal(ia.sas, ib.sas);
    assert_memory_equal(ia.sashash, ib.sashash, CPH_ZRTP_SASHASH);
}

static inline void duo_call(struct duo *d)
{
    duo_open(d);
    duo_run(d, d->now + CPH_SEC(10));
    assert_true(duo_all_in(d, ZRTP_SECURE));
    for (unsigned s = 0; s < d->streams; s++)
        assert_same_keys(d, s);
}

static inline struct cph_zrtp_retained *kept_by(struct duo *d, int e)
{
    return &d->end[e].mem.at[0].r;
}

static inline void next_call(struct duo *d)
{
    duo_close(d);
    for (int e = 0; e < 2; e++)
        d->end[e].env.state += 77;
    memset(d->sent, 0, sizeof d->sent);
    duo_call(d);
}

static inline enum cph_keying_auth auth_of(struct duo *d, int e)
{
    struct cph_keying_evidence ev = { 0 };

    cph_keying_zrtp.evidence(&d->end[e].z[0]->base, &ev);
    assert_true(ev.keyed && ev.forward_secrecy && ev.choice_protected && ev.keys_stay_at_ends);
    return ev.peer_auth;
}

/* After a change on its way. */
static inline void fix_crc(struct flight *f)
{
    uint32_t crc = zrtp_crc32c((struct cph_span){ f->b, f->n - 4 });

    for (int i = 0; i < 4; i++)
        f->b[f->n - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}

static inline bool lose_some(struct duo *d, int from, int stream, struct flight *f)
{
    (void)from, (void)stream;
    if (flight_type(f) != d->lose || d->lose_n == 0)
        return true;
    d->lose_n--;
    return false;
}

static inline bool flip_some(struct duo *d, int from, int stream, struct flight *f)
{
    size_t n = f->n - ZRTP_FRAME;

    (void)from, (void)stream;
    if (flight_type(f) != d->flip || d->flip_n == 0)
        return true;
    d->flip_n--;
    f->b[12 + (d->flip_at < n ? d->flip_at : n + d->flip_at)] ^= 0x01;
    fix_crc(f);
    return true;
}

/* The exchange failed by this code, on both sides, and nothing of it is left. Closes. */
static inline void assert_refused(struct duo *d, int end, unsigned code)
{
    struct cph_keying_status st;
    struct cph_srtp_policy p = { 0 };
    struct cph_keying_evidence ev = { 0 };

    assert_int_equal(d->end[end].z[0]->live.error, code);
    for (int e = 0; e < 2; e++) {
        cph_keying_zrtp.status(&d->end[e].z[0]->base, &st);
        assert_int_equal(st.state, CPH_KEYING_FAILED);
        assert_non_null(st.why);
        assert_err(zrtp_srtp_policy(d->end[e].z[0], CPH_KEYING_SEND, &p), CPH_E_AGAIN);
        assert_err(zrtp_srtp_policy(d->end[e].z[0], CPH_KEYING_RECV, &p), CPH_E_AGAIN);
        cph_keying_zrtp.evidence(&d->end[e].z[0]->base, &ev);
        assert_false(ev.keyed);
        assert_int_equal(d->end[e].z[0]->live.keys.srtp[0].n, 0); /* wiped */
        assert_int_equal(d->end[e].z[0]->live.dh.n, 0);
        assert_int_equal(d->end[e].mem.puts, 0);
    }
    duo_close(d);
}

/* A message by itself, as if it came from there. */
static inline void feed_msg(struct duo *d, int to, struct zrtp_msg *m, uint32_t ssrc)
{
    uint8_t mb[256], pb[300];
    struct cph_wr mw = cph_wr_open(mb, sizeof mb), pw = cph_wr_open(pb, sizeof pb);
    struct zrtp_packet p = { .ssrc = ssrc };

    zrtp_msg_build(&mw, m);
    p.msg = cph_wr_done(&mw);
    zrtp_packet_build(&pw, &p);
    (void)!zrtp_feed(d->end[to].z[0], NULL, cph_wr_done(&pw), d->now);
}

#endif

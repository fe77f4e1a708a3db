/* Two sides that negotiate one audio stream and send packets through the keys that come out. */
#ifndef KEYING_TEST_PAIR_H
#define KEYING_TEST_PAIR_H

#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/keying.h"
#include "ciphony/sdp_offer.h"
#include "ciphony/srtp.h"

struct side {
    struct test_env env;
    struct cph_nego *nego;
    const char *ip;
    uint16_t port;
    enum cph_sdp_dir direction;
    struct cph_srtp *srtp[2]; /* by enum cph_keying_dir */
    unsigned generation[2];
    unsigned installs[2]; /* how often keys were installed */
};

struct pair {
    struct cph_arena *arena;
    struct cph_srtp_engine *engine;
    struct side a, b;
};

static const struct cph_sdp_codec pair_codec[] = { { "PCMU", 8000, 1, 0, NULL } };

static inline struct cph_sdp_local pair_local(const struct side *s)
{
    struct cph_sdp_local l = { .origin = { .id = 1, .version = 1 } };

    assert_ok(cph_addr_parse_ip(cph_span_of(s->ip), &l.addr));
    return l;
}

static inline struct cph_sdp_stream pair_stream(const struct side *s)
{
    return (struct cph_sdp_stream){
        .port = s->port, .codecs = pair_codec, .n_codecs = 1, .direction = s->direction
    };
}

static inline void side_open(struct side *s, struct cph_nego_cfg cfg, const char *ip, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    test_env_init(&s->env, seed);
    s->ip = ip;
    s->port = 4000;
    s->direction = CPH_SDP_SENDRECV;
    cfg.keying.env = &s->env.env;
    assert_ok(cph_nego_new(&cfg, &s->nego));
}

static inline void side_close(struct side *s)
{
    cph_nego_free(s->nego);
    cph_srtp_free(s->srtp[0]);
    cph_srtp_free(s->srtp[1]);
    memset(s, 0, sizeof *s);
}

static inline void pair_open(struct pair *p, struct cph_nego_cfg a, struct cph_nego_cfg b)
{
    memset(p, 0, sizeof *p);
    assert_ok(cph_arena_new(16 * CPH_SDP_ARENA, &p->arena));
    assert_ok(cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &p->engine));
    side_open(&p->a, a, "10.0.0.1", 1);
    side_open(&p->b, b, "10.0.0.2", 2);
}

static inline void pair_close(struct pair *p)
{
    side_close(&p->a);
    side_close(&p->b);
    cph_srtp_engine_free(p->engine);
    cph_arena_free(p->arena);
}

/* ---- exchanges ------------------------------------------------------------------------------ */

static inline cph_err try_offer(struct pair *p, struct side *s, struct cph_sdp **out)
{
    struct cph_sdp_local l = pair_local(s);
    struct cph_sdp_stream st = pair_stream(s);

    assert_ok(cph_sdp_offer(p->arena, &l, &st, 1, out));
    return cph_nego_offer(s->nego, &(struct cph_keying_local){ *out, (*out)->media[0] });
}

static inline struct cph_sdp *make_offer(struct pair *p, struct side *s)
{
    struct cph_sdp *sdp;

    assert_ok(try_offer(p, s, &sdp));
    return sdp;
}

static inline cph_err try_answer(struct pair *p, struct side *s, const struct cph_sdp *offer,
                                 struct cph_sdp **out)
{
    struct cph_sdp_local l = pair_local(s);
    struct cph_sdp_stream st = pair_stream(s);

    assert_ok(cph_sdp_answer_skeleton(p->arena, &l, offer, &st, 1, out));
    return cph_nego_answer(s->nego, &(struct cph_keying_remote){ offer, offer->media[0] },
                           &(struct cph_keying_local){ *out, (*out)->media[0] });
}

static inline struct cph_sdp *make_answer(struct pair *p, struct side *s,
                                          const struct cph_sdp *offer)
{
    struct cph_sdp *sdp;

    assert_ok(try_answer(p, s, offer, &sdp));
    return sdp;
}

static inline cph_err try_finish(struct side *s, const struct cph_sdp *answer)
{
    return cph_nego_finish(s->nego, &(struct cph_keying_remote){ answer, answer->media[0] });
}

/* The text of a description, to be changed as somebody on the way might. */
static inline char *text_of(struct pair *p, const struct cph_sdp *sdp)
{
    return (char *)(uintptr_t)cph_arena_copy(p->arena, cph_sdp_text(sdp, p->arena)).p;
}

static inline struct cph_sdp *read_sdp(struct pair *p, const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(p->arena, cph_arena_copy(p->arena, cph_span_of(text)), &sdp));
    return sdp;
}

/* The same with every "from" made "to". */
static inline struct cph_sdp *tampered(struct pair *p, const struct cph_sdp *sdp, const char *from,
                                       const char *to)
{
    const char *text = text_of(p, sdp), *at;
    struct cph_buf out = { .limit = CPH_SDP_MAX_BYTES };
    struct cph_sdp *result;

    assert_non_null(strstr(text, from));
    while ((at = strstr(text, from)) != NULL) {
        assert_ok(
            cph_buf_put(&out, (struct cph_span){ (const uint8_t *)text, (size_t)(at - text) }));
        assert_ok(cph_buf_put(&out, cph_span_of(to)));
        text = at + strlen(from);
    }
    assert_ok(cph_buf_put(&out, cph_span_of(text)));
    assert_ok(cph_buf_put(&out, (struct cph_span){ (const uint8_t *)"", 1 }));
    result = read_sdp(p, (const char *)cph_buf_view(&out).p);
    cph_buf_clear(&out);
    return result;
}

static inline unsigned count_attr(const struct cph_sdp *sdp, const char *name)
{
    unsigned n = 0;

    for (const struct cph_sdp_line *l = cph_sdp_attr(&sdp->media[0]->part, name); l;
         l = cph_sdp_attr_next(l))
        n++;
    return n;
}

static inline struct cph_span crypto_of(const struct cph_sdp *sdp)
{
    return cph_sdp_attr(&sdp->media[0]->part, "crypto")->arg;
}

static inline struct cph_nego_status status_of(const struct side *s)
{
    struct cph_nego_status st;

    cph_nego_status(s->nego, &st);
    return st;
}

static inline struct cph_keying_evidence evidence_of(const struct side *s)
{
    struct cph_keying_evidence e;

    cph_nego_evidence(s->nego, &e);
    return e;
}

/* ---- media ---------------------------------------------------------------------------------- */

/* What a session does when a generation moves. */
static inline void install(struct pair *p, struct side *s)
{
    struct cph_keying_status st = status_of(s).keying;

    for (int d = 0; d < 2; d++) {
        CPH_SRTP_POLICY_SCOPED policy = { 0 };
        struct cph_srtp *fresh;

        if (st.dir[d].generation == s->generation[d])
            continue;
        assert_ok(cph_nego_keys(s->nego, CPH_KEYING_RTP, (enum cph_keying_dir)d, 0, &policy));
        assert_ok(cph_srtp_new(p->engine, &policy,
                               d == CPH_KEYING_SEND ? CPH_SRTP_SEND : CPH_SRTP_RECV, &fresh));
        for (unsigned i = 1;
             cph_nego_keys(s->nego, CPH_KEYING_RTP, (enum cph_keying_dir)d, i, &policy) == CPH_OK;
             i++)
            assert_ok(cph_srtp_key_add(fresh, &policy.master));
        if (s->srtp[d] && st.dir[d].streams == CPH_KEYING_STREAMS_KEEP)
            assert_ok(cph_srtp_move(fresh, s->srtp[d]));
        cph_srtp_free(s->srtp[d]);
        s->srtp[d] = fresh;
        s->generation[d] = st.dir[d].generation;
        s->installs[d]++;
    }
}

/* One packet from one side to the other. */
static inline cph_err send_one(struct side *from, struct side *to, uint16_t seq)
{
    uint8_t buf[512] = { 0x80, 0, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 1, 1, 2, 3, 4 };
    struct cph_srtp_pkt pkt = { buf, 12 + 20, sizeof buf };
    cph_err err;

    memset(buf + 12, 'm', 20);
    assert_ok(cph_srtp_protect(from->srtp[CPH_KEYING_SEND], &pkt));
    err = cph_srtp_unprotect(to->srtp[CPH_KEYING_RECV], &pkt);
    if (err == CPH_OK)
        assert_true(pkt.n == 32 && buf[12] == 'm' && buf[31] == 'm');
    return err;
}

static inline void assert_media(struct pair *p, uint16_t seq)
{
    install(p, &p->a);
    install(p, &p->b);
    assert_ok(send_one(&p->a, &p->b, seq));
    assert_ok(send_one(&p->b, &p->a, seq));
}

static inline void exchange(struct pair *p, struct side *offerer, struct side *answerer)
{
    struct cph_sdp *offer = make_offer(p, offerer);

    assert_ok(try_finish(offerer, make_answer(p, answerer, offer)));
}

/* Two sides made, so many exchanges and a fork, and all gone: for allocations that fail. */
static inline cph_err pair_whole_call(const struct cph_nego_cfg *ca, const struct cph_nego_cfg *cb,
                                      int rounds)
{
    struct cph_arena *arena = NULL;
    struct cph_nego *a = NULL, *b = NULL, *fork = NULL;
    struct cph_sdp *offer, *answer;
    struct side s = { .ip = "10.0.0.1", .port = 4000, .direction = CPH_SDP_SENDRECV };
    struct cph_sdp_local l = pair_local(&s);
    struct cph_sdp_stream st = pair_stream(&s);
    cph_err err = cph_arena_new(CPH_SDP_ARENA, &arena);

    if (err == CPH_OK)
        err = cph_nego_new(ca, &a);
    if (err == CPH_OK)
        err = cph_nego_new(cb, &b);
    for (int round = 0; round < rounds && err == CPH_OK; round++) {
        err = cph_sdp_offer(arena, &l, &st, 1, &offer);
        if (err == CPH_OK)
            err = cph_nego_offer(a, &(struct cph_keying_local){ offer, offer->media[0] });
        if (err == CPH_OK && round == 0)
            err = cph_nego_fork(a, &fork);
        if (err == CPH_OK)
            err = cph_sdp_answer_skeleton(arena, &l, offer, &st, 1, &answer);
        if (err == CPH_OK)
            err = cph_nego_answer(b, &(struct cph_keying_remote){ offer, offer->media[0] },
                                  &(struct cph_keying_local){ answer, answer->media[0] });
        if (err == CPH_OK)
            err = cph_nego_finish(a, &(struct cph_keying_remote){ answer, answer->media[0] });
    }
    cph_nego_free(a);
    cph_nego_free(b);
    cph_nego_free(fork);
    cph_arena_free(arena);
    return err;
}

#endif

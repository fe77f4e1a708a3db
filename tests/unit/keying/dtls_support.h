/* Parties of a DTLS call, what they describe to each other, and the network between them. */
#ifndef CPH_TEST_DTLS_SUPPORT_H
#define CPH_TEST_DTLS_SUPPORT_H

#include "support.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/keying.h"
#include "ciphony/srtp.h"
#include "dtls/dtls_int.h"
#include "keying_int.h"

enum { DAY = 86400, WIRE = 64, PARTIES = 3 };

/* A party of a call: the caller, or one of those who answer. */
struct party {
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_keying *k;
    struct cph_addr at[2]; /* RTP, RTCP */
};

struct datagram {
    cph_time at;
    struct cph_addr from, to;
    struct cph_keying_packet p;
};

static struct test_env t;
static struct party who[PARTIES];
static struct datagram wire[WIRE];
static size_t n_wire;
static cph_time now;
static unsigned loss, delay_ms;
static bool mux;
static struct cph_addr outside; /* who[0] is behind a translator with this address; NONE: is not */
static bool translator_open;    /* towards who[1] */
static struct cph_arena *arena;

static inline struct cph_addr addr(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

static inline int setup(void **state)
{
    (void)state;
    test_env_init(&t, 7);
    memset(who, 0, sizeof who);
    n_wire = 0;
    now = CPH_SEC(1);
    loss = delay_ms = 0;
    mux = true;
    outside = (struct cph_addr){ .family = CPH_AF_NONE };
    translator_open = false;
    assert_ok(cph_arena_new(1 << 22, &arena));
    for (int i = 0; i < PARTIES; i++) {
        struct cph_cert_spec spec = { "device", NULL, 0, t.wall - DAY, t.wall + DAY };
        struct cph_keying_cfg cfg = { .env = &t.env };
        char text[32];

        assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &who[i].key));
        assert_ok(cph_cert_self_signed(&t.env, who[i].key, &spec, &who[i].cert));
        cfg.key = who[i].key;
        cfg.cert = who[i].cert;
        assert_ok(cph_keying_dtls.make(&cfg, &who[i].k));
        (void)snprintf(text, sizeof text, "10.0.0.%d:4000", i + 1);
        who[i].at[0] = addr(text);
        who[i].at[1] = who[i].at[0];
        who[i].at[1].port++;
    }
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < PARTIES; i++) {
        cph_keying_free(who[i].k);
        cph_cert_free(who[i].cert);
        cph_key_free(who[i].key);
    }
    cph_arena_free(arena);
    return 0;
}

/* The first two have no profile of SRTP in common. */
static inline void want_different_profiles(void)
{
    static const char *const suites[2][2] = { { "AES_CM_128_HMAC_SHA1_80" },
                                              { "AEAD_AES_256_GCM" } };

    for (int i = 0; i < 2; i++) {
        struct cph_keying_cfg cfg = {
            .env = &t.env, .key = who[i].key, .cert = who[i].cert, .suites = suites[i]
        };

        cph_keying_free(who[i].k);
        assert_ok(cph_keying_dtls.make(&cfg, &who[i].k));
    }
}

/* ---- descriptions ---------------------------------------------------------------------------- */

static inline struct cph_keying_local section(const struct party *p)
{
    struct cph_sdp_origin origin = { .id = 1, .version = 1 };
    struct cph_keying_local l;

    assert_ok(cph_sdp_new(arena, &origin, &p->at[0], &l.sdp));
    assert_ok(cph_sdp_media_add(l.sdp, cph_span_of("audio"), p->at[0].port,
                                cph_span_of("UDP/TLS/RTP/SAVP"), cph_span_of("0"), &l.media));
    if (mux)
        assert_ok(cph_sdp_attr_add(l.sdp, l.media, "rtcp-mux", NULL));
    return l;
}

/* Over the wire and back, so that nothing is shared but text. */
static inline struct cph_keying_remote sent(const struct cph_keying_local *l)
{
    struct cph_sdp *sdp;

    assert_ok(cph_sdp_parse(arena, cph_sdp_text(l->sdp, arena), &sdp));
    return (struct cph_keying_remote){ sdp, sdp->media[0] };
}

static inline struct cph_keying_remote offer_by(struct party *p)
{
    struct cph_keying_local l = section(p);

    assert_ok(cph_keying_dtls.offer(p->k, &l));
    return sent(&l);
}

static inline struct cph_keying_remote answer_by(struct party *p,
                                                 const struct cph_keying_remote *offer)
{
    struct cph_keying_local l = section(p);

    assert_ok(cph_keying_dtls.answer(p->k, offer, &l));
    return sent(&l);
}

static inline const char *attr(const struct cph_keying_remote *r, const char *name)
{
    const struct cph_sdp_line *line = cph_sdp_attr(&r->media->part, name);

    return line ? cph_arena_fmt(arena, "%.*s", CPH_SPAN_ARG(line->arg)) : "";
}

/* The same description with an attribute replaced (arg NULL: taken out). */
static inline struct cph_keying_remote with(const struct cph_keying_remote *r, const char *name,
                                            const char *arg)
{
    struct cph_keying_local l;

    assert_ok(cph_sdp_copy(arena, r->sdp, &l.sdp));
    l.media = l.sdp->media[0];
    (void)cph_sdp_attr_remove(l.sdp, l.media, name);
    if (arg)
        assert_ok(cph_sdp_attr_add(l.sdp, l.media, name, arg));
    return sent(&l);
}

static inline void agree(struct party *a, struct party *b)
{
    struct cph_keying_remote offer = offer_by(a), answer = answer_by(b, &offer);

    assert_ok(cph_keying_dtls.finish(a->k, &answer));
}

/* ---- the network ----------------------------------------------------------------------------- */

static inline void post(struct cph_addr from, struct cph_addr to, const struct cph_keying_packet *p)
{
    if (outside.family != CPH_AF_NONE && cph_addr_eq(&from, &who[0].at[0])) {
        translator_open |= cph_addr_eq(&to, &who[1].at[0]);
        from = outside;
    } else if (outside.family != CPH_AF_NONE) {
        if (!cph_addr_eq(&to, &outside) || !translator_open || !cph_addr_eq(&from, &who[1].at[0]))
            return;
        to = who[0].at[0];
    }
    if (n_wire == WIRE || test_random(&t) % 100 < loss)
        return;
    wire[n_wire++] = (struct datagram){
        now + CPH_MS(1) + (delay_ms ? CPH_MS(test_random(&t) % delay_ms) : 0), from, to, *p
    };
}

/* What party p has to send; without an address of its own it goes to the media address of peer. */
static inline void collect(struct cph_keying *k, const struct party *p, const struct party *peer)
{
    struct cph_keying_packet out;

    while (cph_keying_pull(k, &out, now) == CPH_OK)
        post(p->at[out.component], out.has_to ? out.to : peer->at[out.component], &out);
}

static struct party *owner(const struct cph_addr *a, enum cph_keying_component *c)
{
    for (int i = 0; i < PARTIES; i++) {
        for (int k = 0; k < 2; k++) {
            if (cph_addr_eq(&who[i].at[k], a)) {
                *c = (enum cph_keying_component)k;
                return &who[i];
            }
        }
    }
    return NULL;
}

static inline void deliver(struct datagram *d)
{
    enum cph_keying_component c;
    struct party *p = owner(&d->to, &c);

    if (p &&
        cph_keying_feed(p->k, c, &d->from, (struct cph_span){ d->p.b, d->p.n }, now) != CPH_OK) {
        /* the test looks at the state */
    }
}

/* Between a and b, until the given time or until nothing is due. */
static inline void run(struct party *a, struct party *b, cph_time until)
{
    for (int guard = 0; guard < 100000; guard++) {
        cph_time at = cph_keying_deadline(a->k), other = cph_keying_deadline(b->k);

        collect(a->k, a, b);
        collect(b->k, b, a);
        at = other < at ? other : at;
        for (size_t i = 0; i < n_wire; i++)
            at = wire[i].at < at ? wire[i].at : at;
        if (at == CPH_TIME_NEVER || at > until)
            break;
        now = at > now ? at : now;
        for (size_t i = 0; i < n_wire;) {
            struct datagram d = wire[i];

            if (d.at > now) {
                i++;
                continue;
            }
            wire[i] = wire[--n_wire];
            deliver(&d);
            collect(a->k, a, b);
            collect(b->k, b, a);
        }
        cph_keying_tick(a->k, now);
        cph_keying_tick(b->k, now);
    }
    now = until != CPH_TIME_NEVER && until > now ? until : now;
}

/* ---- looking --------------------------------------------------------------------------------- */

static inline struct cph_keying_status status(const struct party *p)
{
    struct cph_keying_status s;

    cph_keying_dtls.status(p->k, &s);
    return s;
}

static inline void assert_same_keys(const struct party *a, const struct party *b,
                                    enum cph_keying_component c)
{
    for (int dir = 0; dir < 2; dir++) {
        CPH_SRTP_POLICY_SCOPED x = { 0 };
        CPH_SRTP_POLICY_SCOPED y = { 0 };

        assert_ok(cph_keying_dtls.keys(a->k, c, (enum cph_keying_dir)dir, 0, &x));
        assert_ok(cph_keying_dtls.keys(b->k, c, (enum cph_keying_dir) !dir, 0, &y));
        assert_ptr_equal(x.suite, y.suite);
        assert_int_equal(x.master.key.n, x.suite->key_n);
        assert_int_equal(x.master.salt.n, x.suite->salt_n);
        assert_true(cph_ct_eq(cph_secret_span(&x.master.key), cph_secret_span(&y.master.key)));
        assert_true(cph_ct_eq(cph_secret_span(&x.master.salt), cph_secret_span(&y.master.salt)));
        assert_err(cph_keying_dtls.keys(a->k, c, (enum cph_keying_dir)dir, 1, &x), CPH_E_NOTFOUND);
    }
}

static inline void send_key(const struct party *p, struct cph_srtp_policy *out)
{
    assert_ok(cph_keying_dtls.keys(p->k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, out));
}

static inline void assert_keyed(const struct party *a, const struct party *b)
{
    assert_int_equal(status(a).state, CPH_KEYING_KEYED);
    assert_int_equal(status(b).state, CPH_KEYING_KEYED);
    assert_same_keys(a, b, CPH_KEYING_RTP);
    assert_same_keys(a, b, CPH_KEYING_RTCP);
}

#endif

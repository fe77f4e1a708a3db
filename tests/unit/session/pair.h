/* Two sessions, wired by hand: descriptions and packets go from one to the other as the test
 * wishes. */
#ifndef TEST_SESSION_PAIR_H
#define TEST_SESSION_PAIR_H

#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"

enum { SDP_MAX = 8192, PACKET_MAX = 2048 };

struct party {
    struct test_env env;
    struct cph_srtp_engine *engine;
    struct cph_session_config cfg;
    struct cph_session_media media[4];
    unsigned n;
    struct cph_session *s;
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_addr addr[4][2];
    uint32_t ssrc, rtcp;
    uint16_t seq;
    char sdp[SDP_MAX]; /* the last description it wrote */
    struct cph_span text;
    enum cph_voucher voucher;
    bool mismatch;
    unsigned voucher_asked;
};

struct pair {
    struct party a, b;
    cph_time now;
};

static const struct cph_sdp_codec pair_codec[] = { { "PCMU", 8000, 1, 0, NULL },
                                                   { "telephone-event", 8000, 1, 101, "0-15" } };

__attribute__((unused)) static enum cph_voucher
pair_voucher(void *ctx, struct cph_span sha256, char name[CPH_FACT_TEXT], bool *mismatch)
{
    struct party *p = ctx;

    assert_int_equal(sha256.n, 32);
    p->voucher_asked++;
    cph_fact_text(name, CPH_SPAN_LIT("the pinned one"));
    *mismatch = p->mismatch;
    return p->voucher;
}

__attribute__((unused)) static void party_init(struct party *p, unsigned who,
                                               enum cph_security policy, const char *keying)
{
    char text[32];

    memset(p, 0, sizeof *p);
    test_env_init(&p->env, 100 + who);
    assert_ok(cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &p->engine));
    p->n = 1;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned c = 0; c < 2; c++) {
            (void)snprintf(text, sizeof text, "192.0.2.%u:%u", who, 4000 + 10 * i + c);
            assert_ok(cph_addr_parse(cph_span_of(text), &p->addr[i][c]));
        }
        p->media[i] = (struct cph_session_media){
            .kind = "audio",
            .codecs = pair_codec,
            .n_codecs = 2,
            .ptime = 20,
            .local = { p->addr[i][0], p->addr[i][1] },
            .direction = CPH_SDP_SENDRECV,
        };
    }
    p->ssrc = 0x1000 * who;
    p->cfg = (struct cph_session_config){ .env = &p->env.env,
                                          .srtp = p->engine,
                                          .policy = { .media = policy },
                                          .peer = "sip:peer@example.org",
                                          .voucher = pair_voucher,
                                          .ctx = p };
    p->voucher = CPH_VOUCHER_NOBODY;
    if (keying) {
        p->cfg.policy.keying[0] = keying;
        p->cfg.policy.keying_n = 1;
    }
}

__attribute__((unused)) static void party_start(struct party *p)
{
    assert_ok(cph_session_new(&p->cfg, p->media, p->n, 0, &p->s));
}

__attribute__((unused)) static void party_end(struct party *p)
{
    cph_session_free(p->s);
    cph_srtp_engine_free(p->engine);
    cph_cert_free(p->cert);
    cph_key_free(p->key);
}

__attribute__((unused)) static void pair_open(struct pair *t, enum cph_security a,
                                              enum cph_security b, const char *keying)
{
    memset(t, 0, sizeof *t);
    party_init(&t->a, 1, a, keying);
    party_init(&t->b, 2, b, keying);
    party_start(&t->a);
    party_start(&t->b);
}

__attribute__((unused)) static void pair_close(struct pair *t)
{
    party_end(&t->a);
    party_end(&t->b);
}

/* ---- descriptions ---------------------------------------------------------------------------- */

__attribute__((unused)) static cph_err offer(struct pair *t, struct party *p)
{
    struct cph_wr wr = cph_wr_open(p->sdp, sizeof p->sdp);

    CPH_TRY(cph_session_offer(p->s, t->now, &wr));
    p->text = cph_wr_done(&wr);
    return CPH_OK;
}

__attribute__((unused)) static cph_err answer(struct pair *t, struct party *p, struct cph_span to)
{
    struct cph_wr wr = cph_wr_open(p->sdp, sizeof p->sdp);

    CPH_TRY(cph_session_answer(p->s, to, t->now, &wr));
    p->text = cph_wr_done(&wr);
    return CPH_OK;
}

/* A whole exchange, from offering to finished. */
__attribute__((unused)) static void exchange(struct pair *t, struct party *from, struct party *to)
{
    assert_ok(offer(t, from));
    assert_ok(answer(t, to, from->text));
    assert_ok(cph_session_finish(from->s, 1, to->text, t->now));
}

__attribute__((unused)) static void call(struct pair *t)
{
    exchange(t, &t->a, &t->b);
    assert_ok(cph_session_choose(t->a.s, 1));
}

/* Change the text of a description. what occurs once; by may be longer. */
__attribute__((unused)) static void edit(struct party *p, const char *what, const char *by)
{
    static char out[SDP_MAX];
    char *at;

    p->sdp[p->text.n] = '\0';
    at = strstr(p->sdp, what);
    assert_non_null(at);
    (void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - p->sdp), p->sdp, by, at + strlen(what));
    strcpy(p->sdp, out);
    p->text = cph_span_of(p->sdp);
}

/* Take out every line that begins so. */
__attribute__((unused)) static void strip(struct party *p, const char *line)
{
    char *at;

    p->sdp[p->text.n] = '\0';
    while ((at = strstr(p->sdp, line)) != NULL) {
        char *end = strchr(at, '\n');

        memmove(at, end + 1, strlen(end + 1) + 1);
    }
    p->text = cph_span_of(p->sdp);
}

/* ---- packets --------------------------------------------------------------------------------- */

struct pkt {
    uint8_t b[PACKET_MAX];
    size_t n;
    enum cph_keying_component port;
    struct cph_addr to;
};

/* 20 ms of PCMU whose every byte is `fill`. */
__attribute__((unused)) static void rtp(struct party *p, struct pkt *k, uint8_t fill)
{
    struct cph_wr wr = cph_wr_open(k->b, sizeof k->b);

    cph_wr_u16(&wr, 0x8000);
    cph_wr_u16(&wr, p->seq);
    cph_wr_u32(&wr, 160u * p->seq);
    cph_wr_u32(&wr, p->ssrc);
    memset(k->b + wr.n, fill, 160);
    k->n = wr.n + 160;
    p->seq++;
}

__attribute__((unused)) static void rtcp(struct party *p, struct pkt *k)
{
    struct cph_wr wr = cph_wr_open(k->b, sizeof k->b);

    cph_wr_u16(&wr, 0x80c9); /* an empty RR */
    cph_wr_u16(&wr, 1);
    cph_wr_u32(&wr, p->ssrc);
    k->n = wr.n;
}

__attribute__((unused)) static cph_err protect(struct pair *t, struct party *p, unsigned stream,
                                               enum cph_keying_component c, struct pkt *k)
{
    return cph_session_protect(p->s, stream, c, k->b, &k->n, sizeof k->b, &k->port, &k->to, t->now);
}

__attribute__((unused)) static cph_err feed_from(struct pair *t, struct party *p, unsigned stream,
                                                 const struct pkt *k, const struct cph_addr *from)
{
    uint8_t copy[PACKET_MAX];

    memcpy(copy, k->b, k->n);
    return cph_session_feed(p->s, stream, k->port, from, copy, k->n, t->now);
}

/* One packet from p to q; the error of whichever end refused it. */
__attribute__((unused)) static cph_err say(struct pair *t, struct party *p, struct party *q,
                                           uint8_t fill)
{
    struct cph_session_packet got;
    struct pkt k;

    rtp(p, &k, fill);
    CPH_TRY(protect(t, p, 0, CPH_KEYING_RTP, &k));
    CPH_TRY(feed_from(t, q, 0, &k, &p->addr[0][k.port]));
    CPH_TRY(cph_session_take(q->s, &got));
    assert_int_equal(got.component, CPH_KEYING_RTP);
    assert_int_equal(got.bytes.n, 172);
    assert_int_equal(got.bytes.p[12], fill);
    assert_int_equal(got.bytes.p[171], fill);
    return CPH_OK;
}

__attribute__((unused)) static void talk(struct pair *t)
{
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(say(t, &t->a, &t->b, 0x11));
        assert_ok(say(t, &t->b, &t->a, 0x22));
    }
}

/* Keying packets go between the two until nobody has any. */
__attribute__((unused)) static void shuttle(struct pair *t)
{
    struct party *p[2] = { &t->a, &t->b };
    bool more = true;

    for (int round = 0; more && round < 100; round++) {
        more = false;
        for (int i = 0; i < 2; i++) {
            struct cph_session_out out;

            while (cph_session_pull(p[i]->s, &out, t->now) == CPH_OK) {
                struct pkt k = { .n = out.bytes.n, .port = out.port };

                memcpy(k.b, out.bytes.p, out.bytes.n);
                (void)feed_from(t, p[!i], out.stream, &k, &p[i]->addr[out.stream][out.port]);
                more = true;
            }
            if (cph_session_deadline(p[i]->s) <= t->now)
                cph_session_tick(p[i]->s, t->now);
        }
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Was there one of this kind? All events are taken. */
__attribute__((unused)) static bool happened(struct party *p, enum cph_session_event_kind kind,
                                             struct cph_session_event *out)
{
    struct cph_session_event ev;
    bool yes = false;

    while (cph_session_event(p->s, &ev) == CPH_OK) {
        assert_true(ev.why[0] != '\0');
        if (ev.kind == kind && !yes && out)
            *out = ev;
        yes |= ev.kind == kind;
    }
    return yes;
}

__attribute__((unused)) static enum cph_level level(struct party *p)
{
    struct cph_verdict v;

    cph_session_verdict(p->s, &v);
    return v.level;
}

__attribute__((unused)) static bool reason(struct party *p, enum cph_reason r)
{
    struct cph_verdict v;

    cph_session_verdict(p->s, &v);
    for (unsigned i = 0; i < v.reasons_n; i++)
        if (v.reason[i].code == r)
            return true;
    return false;
}

/* A signalling hop of one kind. */
__attribute__((unused)) static void came_by(struct party *p, enum cph_hop_transport tr,
                                            enum cph_hop_auth auth, enum cph_hop_whose whose)
{
    struct cph_hop_facts h = { tr, auth, whose, CPH_HOP_SEEN_OURS, "hop" };

    cph_session_path(p->s, &h, 1, 1);
}

#endif

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

static struct cph_addr addr(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

static int setup(void **state)
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

static int teardown(void **state)
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

/* ---- descriptions ---------------------------------------------------------------------------- */

static struct cph_keying_local section(const struct party *p)
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
static struct cph_keying_remote sent(const struct cph_keying_local *l)
{
    struct cph_sdp *sdp;

    assert_ok(cph_sdp_parse(arena, cph_sdp_text(l->sdp, arena), &sdp));
    return (struct cph_keying_remote){ sdp, sdp->media[0] };
}

static struct cph_keying_remote offer_by(struct party *p)
{
    struct cph_keying_local l = section(p);

    assert_ok(cph_keying_dtls.offer(p->k, &l));
    return sent(&l);
}

static struct cph_keying_remote answer_by(struct party *p, const struct cph_keying_remote *offer)
{
    struct cph_keying_local l = section(p);

    assert_ok(cph_keying_dtls.answer(p->k, offer, &l));
    return sent(&l);
}

static const char *attr(const struct cph_keying_remote *r, const char *name)
{
    const struct cph_sdp_line *line = cph_sdp_attr(&r->media->part, name);

    return line ? cph_arena_fmt(arena, "%.*s", CPH_SPAN_ARG(line->arg)) : "";
}

/* The same description with an attribute replaced (arg NULL: taken out). */
static struct cph_keying_remote with(const struct cph_keying_remote *r, const char *name,
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

static void agree(struct party *a, struct party *b)
{
    struct cph_keying_remote offer = offer_by(a), answer = answer_by(b, &offer);

    assert_ok(cph_keying_dtls.finish(a->k, &answer));
}

/* ---- the network ----------------------------------------------------------------------------- */

static void post(struct cph_addr from, struct cph_addr to, const struct cph_keying_packet *p)
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
static void collect(struct cph_keying *k, const struct party *p, const struct party *peer)
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

static void deliver(struct datagram *d)
{
    enum cph_keying_component c;
    struct party *p = owner(&d->to, &c);

    if (p &&
        cph_keying_feed(p->k, c, &d->from, (struct cph_span){ d->p.b, d->p.n }, now) != CPH_OK) {
        /* the test looks at the state */
    }
}

/* Between a and b, until the given time or until nothing is due. */
static void run(struct party *a, struct party *b, cph_time until)
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

static struct cph_keying_status status(const struct party *p)
{
    struct cph_keying_status s;

    cph_keying_dtls.status(p->k, &s);
    return s;
}

static void assert_same_keys(const struct party *a, const struct party *b,
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

static void send_key(const struct party *p, struct cph_srtp_policy *out)
{
    assert_ok(cph_keying_dtls.keys(p->k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, out));
}

static void assert_keyed(const struct party *a, const struct party *b)
{
    assert_int_equal(status(a).state, CPH_KEYING_KEYED);
    assert_int_equal(status(b).state, CPH_KEYING_KEYED);
    assert_same_keys(a, b, CPH_KEYING_RTP);
    assert_same_keys(a, b, CPH_KEYING_RTCP);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void an_offer_and_an_answer_lead_to_keys(void **state)
{
    struct cph_keying_remote offer, answer;
    struct cph_keying_evidence e = { 0 };
    struct cph_srtp_policy none;
    struct cph_fingerprint fp;

    (void)state;
    offer = offer_by(&who[0]);
    assert_int_equal(status(&who[0]).state, CPH_KEYING_OFFERED);
    assert_string_equal(attr(&offer, "setup"), "actpass");
    assert_int_equal(strlen(attr(&offer, "tls-id")), DTLS_TLS_ID);
    assert_true(strncmp(attr(&offer, "fingerprint"), "sha-256 ", 8) == 0);
    assert_true(cph_keying_dtls.present(&offer));
    answer = answer_by(&who[1], &offer);
    assert_string_equal(attr(&answer, "setup"), "active");
    assert_int_equal(strlen(attr(&answer, "tls-id")), DTLS_TLS_ID);
    assert_string_not_equal(attr(&answer, "tls-id"), attr(&offer, "tls-id"));
    assert_err(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &none),
               CPH_E_AGAIN);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
    assert_int_equal(status(&who[0]).dir[0].streams, CPH_KEYING_STREAMS_FRESH);
    assert_true(cph_keying_deadline(who[0].k) == CPH_TIME_NEVER);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);

    cph_keying_dtls.evidence(who[0].k, &e);
    assert_string_equal(e.method, "dtls");
    assert_string_equal(e.suite, "AEAD_AES_256_GCM");
    assert_true(e.keyed && e.keys_stay_at_ends && e.forward_secrecy && e.choice_protected);
    assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_SIGNALLED);
    assert_int_equal(e.hash_bits, 512);
    assert_int_equal(e.notes, 0);
    assert_ok(cph_cert_fingerprint(who[1].cert, CPH_FP_SHA256, &fp));
    assert_memory_equal(e.peer_fingerprint, fp.b, 32);
}

static void without_rtcp_mux_each_component_has_an_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED rtp = { 0 };
    CPH_SRTP_POLICY_SCOPED rtcp = { 0 };

    (void)state;
    mux = false;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_SEND, 0, &rtp));
    assert_ok(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTCP, CPH_KEYING_SEND, 0, &rtcp));
    assert_false(cph_ct_eq(cph_secret_span(&rtp.master.key), cph_secret_span(&rtcp.master.key)));
    assert_int_equal(status(&who[1]).dir[0].generation > 0, 1);
}

static void roles_follow_the_setup_attribute(void **state)
{
    static const struct {
        const char *offer, *answer;
        cph_err err;
    } all[] = {
        { "actpass", "active", CPH_OK },         { "active", "passive", CPH_OK },
        { "passive", "active", CPH_OK },         { NULL, "passive", CPH_OK },
        { "holdconn", NULL, CPH_E_UNSUPPORTED }, { "both", NULL, CPH_E_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct cph_keying_remote offer = offer_by(&who[0]),
                                 changed = with(&offer, "setup", all[i].offer);
        struct cph_keying_local l = section(&who[1]);
        struct cph_keying_remote answer;

        assert_err(cph_keying_dtls.answer(who[1].k, &changed, &l), all[i].err);
        answer = sent(&l);
        assert_string_equal(attr(&answer, "setup"), all[i].answer ? all[i].answer : "");
        if (!all[i].answer)
            assert_string_equal(attr(&answer, "fingerprint"), "");
        cph_keying_dtls.rollback(who[0].k);
        teardown(NULL);
        setup(NULL);
    }
}

static void an_answer_must_choose_a_role(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer), bad;

    (void)state;
    bad = with(&answer, "setup", "actpass");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED);
    bad = with(&answer, "setup", "holdconn");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_UNSUPPORTED);
    bad = with(&answer, "fingerprint", NULL);
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_NOTFOUND);
    bad = with(&answer, "fingerprint", "sha-256 11:22");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED);
    assert_int_equal(status(&who[0]).state, CPH_KEYING_OFFERED);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer)); /* nothing of that left a trace */
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
}

static void the_passive_offerer_takes_a_client_hello_before_the_answer(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);

    (void)state;
    run(&who[0], &who[1], CPH_SEC(5));
    assert_int_equal(status(&who[0]).state,
                     CPH_KEYING_OFFERED); /* the handshake is over, but whose? */
    assert_int_equal(status(&who[1]).state, CPH_KEYING_KEYED);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_true(cph_keying_deadline(who[0].k) <= now);
    cph_keying_tick(who[0].k, now);
    assert_keyed(&who[0], &who[1]);
}

static void keys_come_over_a_lossy_network(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        t.state = seed;
        loss = 15;
        delay_ms = 100;
        mux = seed % 2;
        agree(&who[0], &who[1]);
        run(&who[0], &who[1], CPH_SEC(29));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void a_wrong_fingerprint_means_no_keys_and_a_loud_reason(void **state)
{
    struct cph_keying_remote offer, answer, forged;
    struct cph_srtp_policy none;
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    for (int passive = 0; passive < 2; passive++) {
        struct cph_keying_evidence e = { 0 };
        struct cph_keying_status s;

        offer = offer_by(&who[0]);
        answer = answer_by(&who[1], &offer);
        if (passive) /* and once as the active side */
            answer = with(&answer, "setup", "passive");
        assert_ok(cph_cert_fingerprint(who[2].cert, CPH_FP_SHA256, &fp));
        forged = with(&answer, "fingerprint", cph_fingerprint_text(&fp, text));
        assert_ok(cph_keying_dtls.finish(who[0].k, &forged));
        if (passive) { /* the other side must serve for this */
            offer = with(&offer, "setup", "active");
            offer = with(&offer, "tls-id", NULL);
            (void)answer_by(&who[1], &offer);
        }
        run(&who[0], &who[1], CPH_SEC(20));
        s = status(&who[0]);
        assert_int_equal(s.state, CPH_KEYING_FAILED);
        assert_err(s.err, CPH_E_CERT);
        assert_non_null(strstr(s.why, "fingerprint"));
        assert_err(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &none),
                   CPH_E_AGAIN);
        cph_keying_dtls.evidence(who[0].k, &e);
        assert_false(e.keyed);
        assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_NONE);
        teardown(NULL);
        setup(NULL);
    }
}

static void sha1_alone_is_refused_and_noted(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), weak;
    struct cph_keying_local l = section(&who[1]);
    struct cph_keying_evidence e = { 0 };
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    assert_ok(cph_cert_fingerprint(who[0].cert, CPH_FP_SHA1, &fp));
    weak = with(&offer, "fingerprint", cph_fingerprint_text(&fp, text));
    assert_err(cph_keying_dtls.answer(who[1].k, &weak, &l), CPH_E_POLICY);
    cph_keying_dtls.evidence(who[1].k, &e);
    assert_int_equal(e.notes, CPH_KEYING_NOTE_WEAK_HASH);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_IDLE);
}

static void one_good_line_among_unknown_hashes_is_enough(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer, mixed;
    struct cph_keying_evidence e = { 0 };
    struct cph_keying_local l;
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    answer = answer_by(&who[1], &offer);
    mixed = with(&answer, "fingerprint", "md5 00:11:22");
    assert_ok(cph_sdp_copy(arena, mixed.sdp, &l.sdp));
    l.media = l.sdp->media[0];
    assert_ok(cph_cert_fingerprint(who[1].cert, CPH_FP_SHA256, &fp));
    assert_ok(cph_sdp_attr_add(l.sdp, l.media, "fingerprint", cph_fingerprint_text(&fp, text)));
    mixed = sent(&l);
    assert_ok(cph_keying_dtls.finish(who[0].k, &mixed));
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_keying_dtls.evidence(who[0].k, &e);
    assert_int_equal(e.hash_bits, 256);
}

/* ---- rivals ---------------------------------------------------------------------------------- */

/* A ClientHello (and more, if it goes on) of somebody with a key of his own. */
static struct cph_stream *stranger(const struct party *p)
{
    static const uint16_t profile = 0x0001;
    struct cph_stream_config cfg = {
        .kind = CPH_STREAM_DTLS,
        .role = CPH_STREAM_CLIENT,
        .cert = p->cert,
        .key = p->key,
        .verify = CPH_STREAM_VERIFY_CALLER,
        .srtp_profile = &profile,
        .n_srtp_profile = 1,
    };
    struct cph_stream *s;

    assert_ok(cph_stream_new(&cfg, &t.env, &s));
    assert_ok(cph_stream_start(s, now));
    return s;
}

/* Feed what the stranger says to the victim as if from that address; optionally let him hear the
 * answer. */
static void speak(struct cph_stream *s, struct party *victim, struct cph_addr from, bool hears)
{
    uint8_t buf[2048];
    size_t n;
    bool moved = true;

    while (moved) {
        struct cph_keying_packet out;

        moved = false;
        while (cph_stream_pull(s, buf, sizeof buf, &n) == CPH_OK) {
            if (cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n },
                                now) == CPH_OK)
                moved = true;
        }
        while (hears && cph_keying_pull(victim->k, &out, now) == CPH_OK) {
            moved = true;
            if (cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now) != CPH_OK)
                hears = false;
        }
    }
}

/* CVE-2023-49786: whoever is first to say hello must not be the only one who is heard. */
static void a_raced_client_hello_does_not_stop_the_real_handshake(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        for (int spoofed = 0; spoofed < 2; spoofed++) {
            struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
            struct cph_addr from = spoofed ? who[1].at[0] : addr("192.0.2.66:6666");
            struct cph_stream *bad = stranger(&who[2]);

            if (answered)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
            speak(bad, &who[0], from, !spoofed); /* one who only spoofs hears nothing */
            run(&who[0], &who[1], now + CPH_SEC(4));
            if (!answered)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
            run(&who[0], &who[1], now + CPH_SEC(20));
            assert_keyed(&who[0], &who[1]);
            cph_stream_free(bad);
            teardown(NULL);
            setup(NULL);
        }
    }
}

/* A stranger who hears us, and stops when he has been let in. */
static void come_in(struct cph_stream *s, struct party *victim, struct cph_addr from)
{
    struct cph_keying_packet out;
    uint8_t buf[2048];
    size_t n;

    for (int i = 0; i < 2; i++) {
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        if (cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now) !=
            CPH_OK)
            return;
        if (i == 1 || cph_keying_pull(victim->k, &out, now) != CPH_OK)
            return;
        assert_true(out.n <= n);
        assert_ok(cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now));
    }
}

static unsigned handshakes(const struct dtls_pool *pool)
{
    unsigned n = 0;

    for (unsigned k = 0; k < DTLS_SLOTS; k++)
        n += pool->slot[0][k] != NULL;
    return n;
}

static void a_flood_of_client_hellos_is_bounded_and_the_peer_still_gets_in(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_keying_evidence e = { 0 };
    const struct dtls *d = (const struct dtls *)who[0].k;
    unsigned taken = 0;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    cph_keying_tick(who[0].k, now);
    for (int i = 0; i < 40; i++) {
        struct cph_stream *bad = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1");

        from.port = (uint16_t)(1000 + i);
        come_in(bad, &who[0], from);
        cph_stream_free(bad);
        taken = handshakes(d->pool) > taken ? handshakes(d->pool) : taken;
    }
    assert_int_equal(taken, DTLS_RIVALS - 1);
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_keying_dtls.evidence(who[0].k, &e);
    assert_true(e.notes & CPH_KEYING_NOTE_RIVAL_HANDSHAKE);
}

/* RFC 6347 4.2.1: R16 of draft-wing-media-security-requirements. */
static void whoever_is_not_heard_makes_us_say_little_and_keep_nothing(void **state)
{
    const struct dtls *d = (const struct dtls *)who[0].k;
    size_t in = 0, back = 0;

    (void)state;
    (void)offer_by(&who[0]);
    for (int i = 0; i < 100; i++) {
        struct cph_stream *bad = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1");
        struct cph_keying_packet out;
        uint8_t buf[2048];
        size_t n;

        from.port = (uint16_t)(1000 + i);
        assert_ok(cph_stream_pull(bad, buf, sizeof buf, &n));
        in += n;
        (void)!cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now);
        while (i % 10 == 9 && cph_keying_pull(who[0].k, &out, now) == CPH_OK) {
            assert_true(out.has_to);
            back += out.n;
        }
        assert_int_equal(handshakes(d->early), 0);
        cph_stream_free(bad);
    }
    assert_true(back > 0 && back * 3 < in); /* and what came too fast was not answered */
    assert_true(d->early->n_said <= DTLS_SAID);
}

static void a_cookie_is_good_at_its_address_and_for_a_while(void **state)
{
    static const struct {
        int64_t later_s;
        const char *from;
        bool good;
    } row[] = {
        { 0, "192.0.2.1:1000", true },    { 0, "192.0.2.1:1001", false },
        { 0, "192.0.2.2:1000", false },   { 60, "192.0.2.1:1000", true },
        { 120, "192.0.2.1:1000", false }, { 180, "192.0.2.1:1000", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct dtls *d = (const struct dtls *)who[0].k;
        struct cph_stream *s = stranger(&who[2]);
        struct cph_addr from = addr("192.0.2.1:1000"), then = addr(row[i].from);
        struct cph_keying_packet out;
        uint8_t buf[2048];
        size_t n;

        (void)offer_by(&who[0]);
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        assert_ok(
            cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, n }, now));
        assert_ok(cph_keying_pull(who[0].k, &out, now));
        assert_int_equal(out.n, DTLS_ASK);
        assert_ok(cph_stream_feed(s, (struct cph_span){ out.b, out.n }, now));
        assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
        now += CPH_SEC(row[i].later_s);
        assert_ok(
            cph_keying_feed(who[0].k, CPH_KEYING_RTP, &then, (struct cph_span){ buf, n }, now));
        assert_int_equal(handshakes(d->early), row[i].good);
        assert_ok(cph_keying_pull(who[0].k, &out, now)); /* a ServerHello, or asked again */
        assert_int_equal(out.b[13], row[i].good ? 2 : 3);
        cph_stream_free(s);
    }
}

static void every_bit_of_a_cookie_counts(void **state)
{
    struct dtls_cookie_key key;
    struct dtls_hello hello = { 0 };
    struct cph_addr from = addr("192.0.2.1:1000");
    uint8_t ask[DTLS_ASK];

    (void)state;
    assert_ok(dtls_cookie_new(&t.env, &key));
    assert_false(dtls_cookie_ok(&key, &from, &hello, now)); /* none at all */
    assert_ok(dtls_cookie_ask(&key, &from, &hello, now, ask));
    hello.cookie = (struct cph_span){ ask + DTLS_ASK - DTLS_COOKIE, DTLS_COOKIE };
    assert_true(dtls_cookie_ok(&key, &from, &hello, now));
    for (unsigned bit = 0; bit < 8 * DTLS_COOKIE; bit++) {
        ask[DTLS_ASK - DTLS_COOKIE + bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(dtls_cookie_ok(&key, &from, &hello, now));
        ask[DTLS_ASK - DTLS_COOKIE + bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < DTLS_COOKIE; n++) {
        hello.cookie.n = n;
        assert_false(dtls_cookie_ok(&key, &from, &hello, now));
    }
}

static void a_hello_that_is_cut_is_none(void **state)
{
    struct cph_stream *s = stranger(&who[2]);
    struct dtls_hello hello;
    uint8_t buf[2048];
    size_t n;

    (void)state;
    assert_ok(cph_stream_pull(s, buf, sizeof buf, &n));
    assert_true(dtls_hello_read((struct cph_span){ buf, n }, &hello));
    assert_int_equal(hello.cookie.n, 0);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(dtls_hello_read((struct cph_span){ buf, cut }, &hello));
    buf[24]++; /* the fragment is longer than the message */
    assert_false(dtls_hello_read((struct cph_span){ buf, n }, &hello));
    cph_stream_free(s);
}

/* The address is the peer's: we asked before we knew; then the answer came, and he says it again.
 */
static void an_answer_between_hello_and_cookie_does_no_harm(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
        struct cph_keying_packet hello;

        assert_ok(cph_keying_pull(who[1].k, &hello, now));
        post(who[1].at[0], who[0].at[0], &hello);
        deliver(&wire[--n_wire]); /* now we ask */
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        if (again)
            post(who[1].at[0], who[0].at[0], &hello); /* doubled on its way */
        run(&who[0], &who[1], now + CPH_SEC(10));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* Somebody who knows the ports, but is not on the path, writes in the passive side's name. */
static void forge_request(struct cph_addr from, struct party *victim)
{
    uint8_t b[DTLS_ASK] = { 22,
                            0xfe,
                            0xff,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            DTLS_ASK - 13,
                            3,
                            0,
                            0,
                            3 + DTLS_COOKIE,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            0,
                            3 + DTLS_COOKIE,
                            0xfe,
                            0xff,
                            DTLS_COOKIE };
    struct cph_wr number = cph_wr_open(b + 5, 6);

    cph_wr_u48(&number, test_random(&t) >> 16);
    for (size_t i = sizeof b - DTLS_COOKIE; i < sizeof b; i++)
        b[i] = (uint8_t)test_random(&t);
    (void)!cph_keying_feed(victim->k, CPH_KEYING_RTP, &from, (struct cph_span){ b, sizeof b }, now);
}

static void forged_requests_for_cookies_cost_the_active_side_nothing(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
        struct cph_keying_packet hello;

        if (known) /* else the passive side asks for a cookie of its own, and gets it */
            assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        assert_ok(cph_keying_pull(who[1].k, &hello, now));
        post(who[1].at[0], who[0].at[0], &hello);
        forge_request(who[0].at[0], &who[1]);
        run(&who[0], &who[1], now + CPH_MS(100));
        if (!known)
            assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        run(&who[0], &who[1], now + CPH_MS(100));
        assert_keyed(&who[0], &who[1]);
        assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1);
        teardown(NULL);
        setup(NULL);
    }
}

static void over_loss_too_forged_requests_do_not_keep_the_peer_out(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);

        loss = 15;
        delay_ms = 40;
        for (int i = 0; i < 20; i++) {
            forge_request(who[0].at[0], &who[1]);
            run(&who[0], &who[1], now + CPH_MS(test_random(&t) % 200));
            if (i == round)
                assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        }
        run(&who[0], &who[1], now + CPH_SEC(25));
        assert_keyed(&who[0], &who[1]);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- through address translation ------------------------------------------------------------- */

static unsigned openers_on_the_wire(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < n_wire; i++)
        n += dtls_is_opener((struct cph_span){ wire[i].p.b, wire[i].p.n });
    return n;
}

static void the_passive_side_behind_a_translator_opens_it(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct cph_keying_remote offer, answer;

        outside = addr("203.0.113.7:777");
        offer = offer_by(&who[0]);
        if (!named)
            offer = with(&offer, "tls-id", NULL);
        answer = answer_by(&who[1], &offer);
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_keyed(&who[0], &who[1]);
        assert_true(cph_addr_eq(&status(&who[1]).at[0], &outside));
        assert_true(cph_addr_eq(&status(&who[0]).at[0], &who[1].at[0]));
        assert_int_equal(((struct dtls *)who[1].k)->hint[0][0].named, named);
        teardown(NULL);
        setup(NULL);
    }
}

static void over_loss_too_the_translator_is_opened(void **state)
{
    (void)state;
    outside = addr("203.0.113.7:777");
    loss = 20;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(25));
    assert_keyed(&who[0], &who[1]);
}

static void nothing_is_opened_where_the_hello_comes_through(void **state)
{
    struct cph_keying_packet out;
    unsigned openers = 0;

    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_MS(DTLS_OPEN_MS) - 1);
    assert_keyed(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(10));
    assert_int_equal(openers_on_the_wire(), 0);
    assert_int_equal(((struct dtls *)who[0].k)->opens[0], 0);
    /* And where it never comes, an end is made. */
    agree(&who[0], &who[2]);
    for (cph_time end = now + CPH_SEC(29); now < end; now += CPH_MS(50)) {
        while (cph_keying_pull(who[0].k, &out, now) == CPH_OK) {
            assert_true(dtls_is_opener((struct cph_span){ out.b, out.n }));
            assert_int_equal(out.n, DTLS_OPENER);
            assert_true(cph_addr_eq(&out.to, &who[2].at[0]));
            openers++;
        }
    }
    assert_int_equal(openers, DTLS_OPENERS);
}

/* An opener made up by somebody who knows the port and nothing else. */
static struct cph_span made_up(const char *username, size_t n, uint8_t buf[1500])
{
    struct cph_wr wr = cph_wr_open(buf, 1500);
    size_t len = username ? strlen(username) : 0;

    cph_wr_u16(&wr, 0x0011);
    cph_wr_u16(&wr, (uint16_t)(n - 20));
    cph_wr_u32(&wr, 0x2112a442);
    cph_wr_zero(&wr, 12);
    if (username) {
        cph_wr_u16(&wr, 6);
        cph_wr_u16(&wr, (uint16_t)len);
        cph_wr_text(&wr, username);
        cph_wr_zero(&wr, (4 - len % 4) % 4);
    }
    if (wr.n < n) {
        cph_wr_u16(&wr, 0x26);
        cph_wr_u16(&wr, (uint16_t)(n - wr.n - 2));
        cph_wr_zero(&wr, n - wr.n);
    }
    assert_int_equal(wr.n, n);
    return cph_wr_done(&wr);
}

/* Bytes the active side sends to an address within a time in which nothing else happens. */
static size_t sent_to(struct party *p, const struct cph_addr *to, cph_time until)
{
    struct cph_keying_packet out;
    size_t n = 0;

    for (; now < until; now += CPH_MS(50)) {
        while (cph_keying_pull(p->k, &out, now) == CPH_OK)
            n += out.has_to && cph_addr_eq(&out.to, to) ? out.n : 0;
        cph_keying_tick(p->k, now);
    }
    return n;
}

static void whoever_opens_with_a_false_address_wins_no_bytes(void **state)
{
    static const size_t size[] = { 20, 60, 200, 400, 1200 };
    struct cph_addr victim = addr("192.0.2.66:6666");
    uint8_t buf[1500];

    (void)state;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        size_t in = 0, back;

        agree(&who[0], &who[1]);
        cph_keying_tick(who[1].k, now);
        for (int k = 0; k < 5; k++, in += size[i])
            assert_ok(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &victim,
                                      made_up(NULL, size[i], buf), now));
        back = sent_to(&who[1], &victim, now + CPH_SEC(20));
        assert_true(back <= in);
        assert_int_equal(back > 0, in >= 300); /* a hello fits, and is tried */
        teardown(NULL);
        setup(NULL);
    }
}

static void an_opener_that_names_other_ids_is_refused(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");
    uint8_t buf[1500];

    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    assert_err(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                               made_up("0123456789abcdef:0123456789abcdef", 400, buf), now),
               CPH_E_AUTH);
    for (size_t n = 0; n < 20; n++)
        assert_false(dtls_is_opener((struct cph_span){ buf, n }));
    /* An attribute that lies about its length; and nobody passive wants one. */
    (void)made_up(NULL, 60, buf);
    buf[23]++;
    assert_err(cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from, (struct cph_span){ buf, 60 }, now),
               CPH_E_MALFORMED);
    assert_err(cph_keying_feed(who[0].k, CPH_KEYING_RTP, &from, made_up(NULL, 400, buf), now),
               CPH_E_NOTFOUND);
    assert_int_equal(sent_to(&who[1], &from, now + CPH_SEC(3)), 0);
}

/* Many open in others' names; and one who answers as if he were the peer. The call is keyed with
 * the peer, where he said he is. */
static void openers_of_strangers_do_not_lead_media_astray(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");
    struct dtls *d = (struct dtls *)who[1].k;
    struct cph_keying_packet out;
    unsigned refused = 0;
    uint8_t buf[1500];
    bool tried = false;

    (void)state;
    agree(&who[0], &who[1]);
    cph_keying_tick(who[1].k, now);
    for (int i = 0; i < 50; i++) {
        from.port = (uint16_t)(6666 + i);
        refused += cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from, made_up(NULL, 1200, buf),
                                   now) == CPH_E_LIMIT;
    }
    assert_int_equal(refused, 50 - DTLS_DETOURS);
    from.port = 6666;
    /* The peer is silent until the first of them had his hello, and has shown a certificate. */
    for (cph_time end = now + CPH_SEC(2); now < end; now += CPH_MS(50)) {
        struct cph_stream_config cfg = { .kind = CPH_STREAM_DTLS,
                                         .role = CPH_STREAM_SERVER,
                                         .cert = who[2].cert,
                                         .key = who[2].key,
                                         .verify = CPH_STREAM_VERIFY_CALLER,
                                         .need_client_cert = true,
                                         .srtp_profile = (const uint16_t[]){ 0x0007 },
                                         .n_srtp_profile = 1 };
        struct cph_stream *liar = NULL;

        while (cph_keying_pull(who[1].k, &out, now) == CPH_OK) {
            if (!out.has_to || !cph_addr_eq(&out.to, &from))
                continue;
            tried = true;
            if (!liar)
                assert_ok(cph_stream_new(&cfg, &t.env, &liar));
            (void)!cph_stream_feed(liar, (struct cph_span){ out.b, out.n }, now);
            while (cph_stream_pull(liar, out.b, sizeof out.b, &out.n) == CPH_OK)
                (void)!cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                                       (struct cph_span){ out.b, out.n }, now);
        }
        cph_stream_free(liar);
        cph_keying_tick(who[1].k, now);
    }
    assert_true(tried);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_RUNNING);
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    assert_true(cph_addr_eq(&status(&who[1]).at[0], &who[0].at[0]));
    assert_true(d->hints[0] <= DTLS_DETOURS_ALL);
}

static void false_answer_to_our_hello(cph_time after, cph_err heard)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_addr from = addr("192.0.2.66:6666");
    struct cph_keying_packet hello;
    struct cph_stream_config cfg;
    uint8_t buf[2048];
    struct cph_stream *liar;
    size_t n;
    static const uint16_t profiles[] = { 0x0007, 0x0001 };
    bool first = true;

    /* who[1] is active; its hello is overheard and answered by a liar first */
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_ok(cph_keying_pull(who[1].k, &hello, now));
    cfg = (struct cph_stream_config){
        .kind = CPH_STREAM_DTLS,
        .role = CPH_STREAM_SERVER,
        .cert = who[2].cert,
        .key = who[2].key,
        .verify = CPH_STREAM_VERIFY_CALLER,
        .need_client_cert = true,
        .srtp_profile = profiles,
        .n_srtp_profile = 2,
    };
    assert_ok(cph_stream_new(&cfg, &t.env, &liar));
    assert_ok(cph_stream_feed(liar, (struct cph_span){ hello.b, hello.n }, now));
    now += after;
    for (int round = 0; round < 4; round++) {
        struct cph_keying_packet out;

        while (cph_stream_pull(liar, buf, sizeof buf, &n) == CPH_OK) {
            cph_err err = cph_keying_feed(who[1].k, CPH_KEYING_RTP, &from,
                                          (struct cph_span){ buf, n }, now);

            if (first)
                assert_err(err, heard);
            first = false;
            if (err != CPH_OK)
                break;
        }
        while (cph_keying_pull(who[1].k, &out, now) == CPH_OK) {
            if (out.has_to && cph_addr_eq(&out.to, &from)) {
                if (cph_stream_feed(liar, (struct cph_span){ out.b, out.n }, now) != CPH_OK)
                    break;
            } else { /* the new hello, to where the offer says */
                post(who[1].at[0], who[0].at[0], &out);
            }
        }
    }
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_stream_free(liar);
}

static void a_false_answer_to_our_hello_makes_us_begin_anew(void **state)
{
    (void)state;
    false_answer_to_our_hello(CPH_MS(DTLS_LATCH_MS), CPH_OK);
}

static void who_is_fast_but_was_not_announced_is_not_listened_to(void **state)
{
    (void)state;
    false_answer_to_our_hello(0, CPH_E_NOTFOUND);
    assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1); /* not one of them is spoilt */
}

static void nobody_there_fails_in_time(void **state)
{
    struct cph_keying_status s;

    (void)state;
    loss = 100;
    agree(&who[0], &who[1]);
    cph_keying_dtls.answered(who[1].k, now);
    run(&who[0], &who[1], now + CPH_SEC(DTLS_GIVE_UP_S + 1));
    s = status(&who[0]);
    assert_int_equal(s.state, CPH_KEYING_FAILED);
    assert_err(s.err, CPH_E_TIMEOUT);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_FAILED);
    assert_true(cph_keying_deadline(who[0].k) == CPH_TIME_NEVER);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);
}

/* Our answer is made when the phone begins to ring. A peer that hears our hello no sooner than it
 * knows the answer is waited for that long, and then quickly found. */
static void a_phone_may_ring_for_minutes_before_the_peer_listens(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    cph_time taken;

    (void)state;
    loss = 100;
    run(&who[0], &who[1], now + CPH_SEC(170));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_RUNNING);
    loss = 0;
    taken = now;
    cph_keying_dtls.answered(who[1].k, now);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], taken + CPH_MS(100));
    assert_keyed(&who[0], &who[1]);
}

static void even_ringing_has_an_end(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]);

    (void)state;
    (void)answer_by(&who[1], &offer);
    loss = 100;
    run(&who[0], &who[1], now + CPH_SEC(DTLS_RING_S + 1));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_FAILED);
    assert_err(status(&who[1]).err, CPH_E_TIMEOUT);
}

/* A hello that may be answered at any moment is not taken back. */
static void a_call_that_is_taken_at_once_goes_on_with_its_first_hello(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
    struct cph_keying_packet hello;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_ok(cph_keying_pull(who[1].k, &hello, now));
    now += CPH_MS(DTLS_FIRST_MS) - 1;
    cph_keying_dtls.answered(who[1].k, now);
    post(who[1].at[0], who[0].at[0], &hello);
    run(&who[0], &who[1], now + CPH_MS(50));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(((struct dtls *)who[1].k)->tries[0], 1);
}

/* ---- re-offers ------------------------------------------------------------------------------- */

static void a_re_offer_keeps_the_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED before = { 0 };
    CPH_SRTP_POLICY_SCOPED after = { 0 };
    struct cph_keying_remote offer, answer, first;

    (void)state;
    first = offer_by(&who[0]);
    answer = answer_by(&who[1], &first);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    send_key(&who[0], &before);

    for (int by = 0; by < 2; by++) { /* from either side */
        offer = offer_by(&who[by]);
        assert_string_equal(attr(&offer, "setup"), "actpass");
        answer = answer_by(&who[1 - by], &offer);
        assert_string_equal(attr(&answer, "setup"), by ? "passive" : "active");
        assert_ok(cph_keying_dtls.finish(who[by].k, &answer));
        if (by == 0)
            assert_string_equal(attr(&offer, "tls-id"), attr(&first, "tls-id"));
        run(&who[0], &who[1], now + CPH_SEC(5));
        send_key(&who[0], &after);
        assert_true(
            cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&after.master.key)));
        assert_int_equal(status(&who[0]).dir[0].generation, 1);
        assert_keyed(&who[0], &who[1]);
    }
    /* a move to another address keeps it too, since both speak tls-id */
    who[0].at[0] = addr("10.0.9.9:7000");
    who[0].at[1] = addr("10.0.9.9:7001");
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_int_equal(status(&who[1]).dir[0].generation, 1);
}

static void an_answer_that_repeats_actpass_keeps_what_stands(void **state)
{
    struct cph_keying_remote first, offer, answer, bad;

    (void)state;
    first = offer_by(&who[0]);
    answer = answer_by(&who[1], &first);
    bad = with(&answer, "setup", "actpass");
    assert_err(cph_keying_dtls.finish(who[0].k, &bad), CPH_E_MALFORMED); /* nothing stands yet */
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    for (int by = 0; by < 2; by++) { /* whichever role it has */
        offer = offer_by(&who[by]);
        answer = answer_by(&who[1 - by], &offer);
        bad = with(&answer, "tls-id", "0123456789abcdefghij");
        bad = with(&bad, "setup", "actpass");
        assert_err(cph_keying_dtls.finish(who[by].k, &bad), CPH_E_MALFORMED); /* a new one */
        bad = with(&answer, "setup", "actpass");
        assert_ok(cph_keying_dtls.finish(who[by].k, &bad));
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_int_equal(status(&who[by]).dir[0].generation, 1);
        assert_keyed(&who[0], &who[1]);
    }
}

static void a_new_tls_id_makes_a_new_association(void **state)
{
    CPH_SRTP_POLICY_SCOPED before = { 0 };
    CPH_SRTP_POLICY_SCOPED during = { 0 };
    CPH_SRTP_POLICY_SCOPED after = { 0 };
    struct cph_keying_remote offer, answer;
    struct cph_keying_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };

    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    send_key(&who[1], &before);

    /* the caller's side begins anew: another instance, same certificate, new tls-id */
    cph_keying_free(who[0].k);
    assert_ok(cph_keying_dtls.make(&cfg, &who[0].k));
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_int_equal(status(&who[1]).state, CPH_KEYING_KEYED); /* the old keys until then */
    send_key(&who[1], &during);
    assert_true(
        cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&during.master.key)));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    send_key(&who[1], &after);
    assert_false(
        cph_ct_eq(cph_secret_span(&before.master.key), cph_secret_span(&after.master.key)));
    assert_int_equal(status(&who[1]).dir[0].generation, 2);
    assert_int_equal(status(&who[1]).dir[0].streams, CPH_KEYING_STREAMS_FRESH);
}

static void a_peer_without_tls_id_gets_none_and_a_move_begins_anew(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), old = with(&offer, "tls-id", NULL), answer;

    (void)state;
    answer = answer_by(&who[1], &old);
    assert_string_equal(attr(&answer, "tls-id"), "");
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);

    /* hold the old way is no move */
    offer = offer_by(&who[0]);
    old = with(&offer, "tls-id", NULL);
    answer = answer_by(&who[1], &old);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    assert_int_equal(status(&who[1]).dir[0].generation, 1);
    assert_true(cph_keying_deadline(who[1].k) == CPH_TIME_NEVER);

    who[0].at[0] = addr("10.0.9.9:7000");
    who[0].at[1] = addr("10.0.9.9:7001");
    offer = offer_by(&who[0]);
    old = with(&offer, "tls-id", NULL);
    answer = answer_by(&who[1], &old);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    assert_int_equal(status(&who[1]).dir[0].generation, 2);
}

static void a_peer_without_tls_id_is_not_asked_for_new_keys(void **state)
{
    struct cph_keying_remote offer, answer;

    (void)state;
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    answer = with(&answer, "tls-id", NULL);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
    run(&who[0], &who[1], now + CPH_SEC(5));
    cph_keying_dtls.renew(who[0].k);
    (void)offer_by(&who[0]);
    assert_ok(cph_keying_dtls.finish(who[0].k, &answer)); /* as it was */
    run(&who[0], &who[1], now + CPH_SEC(120));            /* longer than any handshake may take */
    assert_int_equal(status(&who[0]).state, CPH_KEYING_KEYED);
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
}

static void a_refused_re_offer_leaves_the_keys_alone(void **state)
{
    (void)state;
    agree(&who[0], &who[1]);
    run(&who[0], &who[1], now + CPH_SEC(5));
    (void)offer_by(&who[0]);
    cph_keying_dtls.rollback(who[0].k);
    assert_keyed(&who[0], &who[1]);
}

static void a_later_answer_with_another_certificate_holds(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), early = answer_by(&who[1], &offer), late;
    struct cph_keying_status s;

    (void)state;
    assert_ok(cph_keying_dtls.finish(who[0].k, &early));
    run(&who[0], &who[1], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.finish(who[0].k, &early)); /* the 200 says what the 183 said */
    assert_int_equal(status(&who[0]).dir[0].generation, 1);
    late = answer_by(&who[2], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &late));
    run(&who[0], &who[2], now + CPH_SEC(5));
    assert_keyed(&who[0], &who[2]);
    s = status(&who[0]);
    assert_int_equal(s.dir[0].generation, 2);
}

/* ---- forks ----------------------------------------------------------------------------------- */

/* Two answerers. Everything that comes is fed to the first branch, as if nobody knew better. */
static void forked_answers_get_keys_of_their_own(void **state)
{
    CPH_SRTP_POLICY_SCOPED one = { 0 };
    CPH_SRTP_POLICY_SCOPED two = { 0 };
    struct cph_keying_remote offer = offer_by(&who[0]), a[2];
    struct cph_keying *branch;

    (void)state;
    for (int i = 0; i < 2; i++)
        a[i] = answer_by(&who[1 + i], &offer);
    run(&who[0], &who[2], now + CPH_SEC(3)); /* the second is faster; both before the answers */
    run(&who[0], &who[1], now + CPH_SEC(3));
    assert_ok(cph_keying_dtls.fork(who[0].k, &branch));
    assert_ok(cph_keying_dtls.finish(who[0].k, &a[0]));
    assert_ok(cph_keying_dtls.finish(branch, &a[1]));
    cph_keying_tick(who[0].k, now);
    assert_true(cph_keying_deadline(branch) <= now);
    cph_keying_tick(branch, now);
    assert_same_keys(&who[0], &who[1], CPH_KEYING_RTP);
    {
        struct party second = { .k = branch };

        assert_same_keys(&second, &who[2], CPH_KEYING_RTP);
        send_key(&who[0], &one);
        send_key(&second, &two);
    }
    assert_false(cph_ct_eq(cph_secret_span(&one.master.key), cph_secret_span(&two.master.key)));
    cph_keying_free(branch);
    assert_keyed(&who[0], &who[1]);
}

static void a_fork_after_the_first_answer_works_too(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), a;
    struct cph_keying *branch;

    (void)state;
    a = answer_by(&who[1], &offer);
    assert_ok(cph_keying_dtls.finish(who[0].k, &a));
    run(&who[0], &who[1], now + CPH_SEC(3));
    assert_keyed(&who[0], &who[1]);
    assert_ok(cph_keying_dtls.fork(who[0].k, &branch));
    a = answer_by(&who[2], &offer);
    assert_ok(cph_keying_dtls.finish(branch, &a));
    run(&who[0], &who[2], now + CPH_SEC(3)); /* fed to the first, claimed by the second */
    cph_keying_tick(branch, now);
    {
        struct party second = { .k = branch };

        assert_same_keys(&second, &who[2], CPH_KEYING_RTP);
    }
    assert_keyed(&who[0], &who[1]);
    cph_keying_free(branch);
}

/* ---- small things ---------------------------------------------------------------------------- */

/* ---- a second call between the same two ------------------------------------------------------ */

static struct cph_dtls *device[PARTIES];

/* Instances of their own, that share what the device has. */
static void redo(struct party *p, unsigned resume_s)
{
    unsigned i = (unsigned)(p - who);
    struct cph_dtls_cfg shared = {
        .env = &t.env, .key = p->key, .cert = p->cert, .resume_s = resume_s
    };
    struct cph_keying_cfg cfg = { .env = &t.env, .key = p->key, .cert = p->cert };

    if (!device[i])
        assert_ok(cph_dtls_new(&shared, &device[i]));
    cfg.dtls = device[i];
    cph_keying_free(p->k);
    assert_ok(cph_keying_dtls.make(&cfg, &p->k));
}

static bool resumed(const struct party *p)
{
    struct cph_keying_evidence e = { 0 };

    cph_keying_dtls.evidence(p->k, &e);
    assert_true(e.keyed && e.peer_fingerprint_n == 32);
    return e.notes & CPH_KEYING_NOTE_RESUMED;
}

/* A call of a with b; true if it was made from an earlier one. */
static bool call_again(struct party *a, struct party *b)
{
    redo(a, CPH_DTLS_RESUME_S);
    redo(b, CPH_DTLS_RESUME_S);
    n_wire = 0;
    agree(a, b);
    run(a, b, now + CPH_SEC(5));
    assert_keyed(a, b);
    assert_int_equal(resumed(a), resumed(b));
    return resumed(a);
}

static int forget_devices(void **state)
{
    for (int i = 0; i < PARTIES; i++) {
        cph_keying_free(who[i].k);
        who[i].k = NULL;
        cph_dtls_free(device[i]);
        device[i] = NULL;
    }
    return teardown(state);
}

static void a_second_call_needs_no_public_keys_if_both_wish_it(void **state)
{
    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    assert_true(call_again(&who[0], &who[1]));
    assert_true(call_again(&who[0], &who[1]));
    assert_false(call_again(&who[1], &who[0])); /* roles are not exchanged: see stream.h */
    assert_true(call_again(&who[1], &who[0]));
    assert_false(call_again(&who[0], &who[2])); /* another peer */
    assert_true(call_again(&who[0], &who[1]));
}

static void without_the_wish_every_call_is_made_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        redo(&who[0], 0);
        redo(&who[1], i == 2 ? 0 : CPH_DTLS_RESUME_S);
        agree(&who[0], &who[1]);
        run(&who[0], &who[1], now + CPH_SEC(5));
        assert_keyed(&who[0], &who[1]);
        assert_false(resumed(&who[0]) || resumed(&who[1]));
    }
    assert_true(cph_dtls_deadline(device[0]) == CPH_TIME_NEVER);
}

/* The life counts from the handshake that made the keys, not from the last call. */
static void what_is_kept_is_forgotten_in_time(void **state)
{
    cph_time began = now;

    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    assert_true(cph_dtls_deadline(device[0]) <= now + CPH_SEC(CPH_DTLS_RESUME_S));
    now = began + CPH_SEC(CPH_DTLS_RESUME_S) - CPH_SEC(1);
    assert_true(call_again(&who[0], &who[1]));
    now = began + CPH_SEC(CPH_DTLS_RESUME_S) + CPH_SEC(1);
    assert_false(call_again(&who[0], &who[1]));
    cph_dtls_tick(device[0], now + CPH_SEC(CPH_DTLS_RESUME_S));
    assert_true(cph_dtls_deadline(device[0]) == CPH_TIME_NEVER);
    assert_false(call_again(&who[0], &who[1])); /* one end forgot */
}

/* RFC 8122 5.1: the certificate that a session stands for must be the promised one, too. */
static void a_session_does_not_stand_for_another_fingerprint(void **state)
{
    struct cph_keying_remote offer, answer, false_answer, other;

    (void)state;
    assert_false(call_again(&who[0], &who[1]));
    redo(&who[0], 0);
    redo(&who[1], 0);
    offer = offer_by(&who[0]);
    answer = answer_by(&who[1], &offer);
    other = offer_by(&who[2]);
    false_answer = with(&answer, "fingerprint", attr(&other, "fingerprint"));
    assert_ok(cph_keying_dtls.finish(who[0].k, &false_answer));
    run(&who[0], &who[1], now + CPH_SEC(40));
    assert_int_equal(status(&who[0]).state, CPH_KEYING_FAILED);
    assert_int_equal(status(&who[0]).err, CPH_E_CERT);
}

static void more_peers_than_places_push_out_the_oldest(void **state)
{
    struct cph_dtls_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };
    struct cph_dtls *x;

    (void)state;
    cfg.resume_s = CPH_DTLS_RESUME_MAX_S + 1;
    assert_err(cph_dtls_new(&cfg, &x), CPH_E_CONFIG);
    cfg.resume_s = 1;
    cfg.key = NULL;
    assert_err(cph_dtls_new(&cfg, &x), CPH_E_CONFIG);
    /* A device's things are for its own certificate alone. */
    redo(&who[1], 1);
    assert_err(cph_keying_dtls.make(
                   &(struct cph_keying_cfg){
                       .env = &t.env, .key = who[0].key, .cert = who[0].cert, .dtls = device[1] },
                   &(struct cph_keying *){ NULL }),
               CPH_E_CONFIG);
    for (int i = 0; i < DTLS_KEPT + 3; i++) {
        struct cph_cert_spec spec = { "many", NULL, 0, t.wall - DAY, t.wall + DAY };

        cph_cert_free(who[1].cert);
        cph_dtls_free(device[1]);
        device[1] = NULL;
        cph_keying_free(who[1].k);
        who[1].k = NULL;
        assert_ok(cph_cert_self_signed(&t.env, who[1].key, &spec, &who[1].cert));
        assert_false(call_again(&who[0], &who[1]));
        assert_true(call_again(&who[0], &who[1]));
    }
}

static void only_dtls_is_claimed(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) {
        uint8_t first = (uint8_t)b;

        assert_int_equal(cph_keying_dtls.claims((struct cph_span){ &first, 1 }),
                         b >= 20 && b <= 63);
    }
    assert_false(cph_keying_dtls.claims((struct cph_span){ NULL, 0 }));
}

static void noise_on_the_port_changes_nothing(void **state)
{
    struct cph_addr from = addr("192.0.2.66:6666");

    (void)state;
    agree(&who[0], &who[1]);
    for (int i = 0; i < 2000; i++) {
        uint8_t junk[64];

        assert_ok(cph_random(&t.env, junk, sizeof junk));
        junk[0] = (uint8_t)(20 + i % 44);
        if (cph_keying_feed(who[i % 2].k, CPH_KEYING_RTP, i % 3 ? &from : &who[(i + 1) % 2].at[0],
                            (struct cph_span){ junk, (size_t)(i % 64 + 1) }, now) == CPH_OK)
            continue;
    }
    run(&who[0], &who[1], now + CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
}

static cph_err talk(void *arg)
{
    struct cph_keying_cfg cfg = { .env = &t.env, .key = who[0].key, .cert = who[0].cert };
    struct cph_keying *k = NULL;
    struct cph_keying_packet out;
    cph_err err;

    err = cph_keying_dtls.make(&cfg, &k);
    if (err == CPH_OK) {
        struct cph_keying_local l;
        struct cph_sdp_origin origin = { .id = 1, .version = 1 };

        err = cph_sdp_new(arena, &origin, &who[0].at[0], &l.sdp);
        if (err == CPH_OK)
            err = cph_sdp_media_add(l.sdp, cph_span_of("audio"), 4000, cph_span_of("RTP/SAVP"),
                                    cph_span_of("0"), &l.media);
        if (err == CPH_OK)
            err = cph_keying_dtls.answer(k, arg, &l);
    }
    if (err == CPH_OK && cph_keying_pull(k, &out, now) != CPH_OK) {
        struct cph_keying_status s;

        cph_keying_dtls.status(k, &s);
        err = s.err ? s.err : CPH_E_NOMEM;
    }
    cph_keying_free(k);
    return err;
}

static void allocation_failure_is_survived(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[1]);

    (void)state;
    test_alloc_fails(talk, &offer);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define D(name) cmocka_unit_test_setup_teardown(name, setup, forget_devices)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_offer_and_an_answer_lead_to_keys),
        T(without_rtcp_mux_each_component_has_an_association),
        T(roles_follow_the_setup_attribute),
        T(an_answer_must_choose_a_role),
        T(the_passive_offerer_takes_a_client_hello_before_the_answer),
        T(keys_come_over_a_lossy_network),
        T(a_wrong_fingerprint_means_no_keys_and_a_loud_reason),
        T(sha1_alone_is_refused_and_noted),
        T(one_good_line_among_unknown_hashes_is_enough),
        T(a_raced_client_hello_does_not_stop_the_real_handshake),
        T(a_flood_of_client_hellos_is_bounded_and_the_peer_still_gets_in),
        T(whoever_is_not_heard_makes_us_say_little_and_keep_nothing),
        T(a_cookie_is_good_at_its_address_and_for_a_while),
        T(every_bit_of_a_cookie_counts),
        T(a_hello_that_is_cut_is_none),
        T(forged_requests_for_cookies_cost_the_active_side_nothing),
        T(over_loss_too_forged_requests_do_not_keep_the_peer_out),
        T(an_answer_between_hello_and_cookie_does_no_harm),
        T(the_passive_side_behind_a_translator_opens_it),
        T(over_loss_too_the_translator_is_opened),
        T(nothing_is_opened_where_the_hello_comes_through),
        T(whoever_opens_with_a_false_address_wins_no_bytes),
        T(an_opener_that_names_other_ids_is_refused),
        T(openers_of_strangers_do_not_lead_media_astray),
        T(a_false_answer_to_our_hello_makes_us_begin_anew),
        T(who_is_fast_but_was_not_announced_is_not_listened_to),
        T(nobody_there_fails_in_time),
        T(a_phone_may_ring_for_minutes_before_the_peer_listens),
        T(even_ringing_has_an_end),
        T(a_call_that_is_taken_at_once_goes_on_with_its_first_hello),
        T(a_re_offer_keeps_the_association),
        T(an_answer_that_repeats_actpass_keeps_what_stands),
        T(a_new_tls_id_makes_a_new_association),
        T(a_peer_without_tls_id_gets_none_and_a_move_begins_anew),
        T(a_peer_without_tls_id_is_not_asked_for_new_keys),
        T(a_refused_re_offer_leaves_the_keys_alone),
        T(a_later_answer_with_another_certificate_holds),
        T(forked_answers_get_keys_of_their_own),
        T(a_fork_after_the_first_answer_works_too),
        D(a_second_call_needs_no_public_keys_if_both_wish_it),
        D(without_the_wish_every_call_is_made_anew),
        D(what_is_kept_is_forgotten_in_time),
        D(a_session_does_not_stand_for_another_fingerprint),
        D(more_peers_than_places_push_out_the_oldest),
        T(only_dtls_is_claimed),
        T(noise_on_the_port_changes_nothing),
        T(allocation_failure_is_survived),
    };

    return cmocka_run_group_tests_name("dtls keying", tests, NULL, NULL);
}

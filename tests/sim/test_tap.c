/* What somebody on the network sees of calls: every byte that crosses it is looked at. */
#include "world.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/srtp.h"

enum { EARS = 64, PUZZLES = 64, SILENCE = 0xff /* PCMU */ };

/* A key that was read in the signalling, and what it opens. */
struct ear {
    unsigned side; /* who sends with it */
    char text[160];
    uint8_t key[64];
    size_t key_n;
    struct cph_srtp *rx;
};

/* A packet no key fits yet: media may be sent a moment before the message with its key. */
struct puzzle {
    unsigned side;
    size_t n;
    uint8_t b[256];
};

/* A passive observer of signalling and media. */
struct observer {
    struct cph_srtp_engine *engine;
    struct ear ear[EARS];
    unsigned n;
    struct puzzle puzzle[PUZZLES];
    unsigned n_puzzles;
    bool speaking;                     /* what is said is not silence */
    size_t rtp[2], rtcp[2], handshake; /* by who sent */
    size_t clear[2], clear_rtcp[2];    /* of these, in clear */
    size_t heard[2];                   /* of these, opened with keys that were overheard */
    size_t keys_on_media;
    uint64_t hash;
    unsigned answers_to_swallow; /* of the callee's 200 */
};

static struct world w;
static struct observer o;

static unsigned side_of(const struct cph_addr *a)
{
    char text[CPH_ADDR_TEXT];

    return strncmp(cph_addr_text(a, text), "10.0.0.2:", 9) == 0;
}

/* ---- reading signalling ---------------------------------------------------------------------- */

static bool known(unsigned side, struct cph_span text)
{
    for (unsigned i = 0; i < o.n; i++)
        if (o.ear[i].side == side && cph_span_is(text, o.ear[i].text))
            return true;
    return false;
}

static void take_key(unsigned side, struct cph_span suite_name, struct cph_span text)
{
    const struct cph_srtp_suite *suite = cph_srtp_suite_by_sdes(suite_name);
    CPH_SRTP_POLICY_SCOPED p = { .suite = suite };
    struct ear *e = &o.ear[o.n];
    struct cph_span rest = text;

    assert_non_null(suite);
    if (known(side, text))
        return;
    assert_true(o.n < EARS);
    e->side = side;
    assert_ok(cph_span_cstr(text, e->text, sizeof e->text));
    assert_ok(cph_unbase64(cph_span_cut(&rest, '|'), true, e->key, sizeof e->key, &e->key_n));
    assert_int_equal(e->key_n, suite->key_n + suite->salt_n);
    assert_ok(cph_secret_set(&p.master.key, (struct cph_span){ e->key, suite->key_n }));
    assert_ok(
        cph_secret_set(&p.master.salt, (struct cph_span){ e->key + suite->key_n, suite->salt_n }));
    while (rest.n) { /* lifetime, then MKI:length */
        struct cph_span part = cph_span_cut(&rest, '|'), mki = cph_span_cut(&part, ':');
        uint32_t value, n;

        if (part.n == 0)
            continue;
        assert_ok(cph_span_u32(mki, &value));
        assert_ok(cph_span_u32(part, &n));
        p.master.mki_n = (uint8_t)n;
        for (uint32_t i = 0; i < n && i < 4; i++)
            p.master.mki[n - 1 - i] = (uint8_t)(value >> (8 * i));
    }
    assert_ok(cph_srtp_new(o.engine, &p, CPH_SRTP_RECV, &e->rx));
    o.n++;
}

static void read_signalling(unsigned side, struct cph_span bytes)
{
    struct cph_span line;

    while (cph_span_line(&bytes, &line)) {
        struct cph_span suite, key;

        if (!cph_span_starts(line, "a=crypto:"))
            continue;
        (void)cph_span_cut(&line, ' ');
        suite = cph_span_cut(&line, ' ');
        key = cph_span_cut(&line, ' ');
        assert_true(cph_span_starts(key, "inline:"));
        take_key(side, suite, cph_span_from(key, 7));
    }
}

/* ---- listening to media ---------------------------------------------------------------------- */

static bool silent(struct cph_span payload)
{
    for (size_t i = 0; i < payload.n; i++)
        if (payload.p[i] != SILENCE)
            return false;
    return payload.n >= 80;
}

/* A whole compound packet, readable to its last byte. */
static bool rtcp_in_clear(struct cph_span p)
{
    while (p.n >= 4 && p.p[0] >> 6 == 2 && p.p[1] >= 192 && p.p[1] <= 223) {
        size_t n = 4 + 4 * ((size_t)p.p[2] << 8 | p.p[3]);

        if (n > p.n)
            return false;
        p = cph_span_from(p, n);
        if (p.n == 0)
            return true;
    }
    return false;
}

static bool overhear(unsigned side, struct cph_span bytes)
{
    for (unsigned i = 0; i < o.n; i++) {
        uint8_t copy[2048];
        struct cph_srtp_pkt pkt = { .p = copy, .n = bytes.n, .cap = sizeof copy };

        if (o.ear[i].side != side || bytes.n > sizeof copy)
            continue;
        memcpy(copy, bytes.p, bytes.n);
        if (cph_srtp_unprotect(o.ear[i].rx, &pkt) == CPH_OK) {
            assert_true(o.speaking || silent((struct cph_span){ copy + 12, pkt.n - 12 }));
            return true;
        }
    }
    return false;
}

static void keep(unsigned side, struct cph_span bytes)
{
    struct puzzle *p = &o.puzzle[o.n_puzzles];

    if (o.n_puzzles == PUZZLES || bytes.n > sizeof p->b)
        return;
    p->side = side;
    p->n = bytes.n;
    memcpy(p->b, bytes.p, bytes.n);
    o.n_puzzles++;
}

/* Once more, with all the keys there were. */
static void solve(void)
{
    for (unsigned i = 0; i < o.n_puzzles; i++) {
        struct puzzle *p = &o.puzzle[i];

        o.heard[p->side] += overhear(p->side, (struct cph_span){ p->b, p->n });
    }
    o.n_puzzles = 0;
}

static void listen_to(unsigned side, struct cph_span bytes)
{
    for (unsigned i = 0; i < o.n; i++)
        o.keys_on_media += memmem(bytes.p, bytes.n, o.ear[i].key, o.ear[i].key_n) != NULL ||
                           memmem(bytes.p, bytes.n, o.ear[i].text, strlen(o.ear[i].text)) != NULL;
    if (bytes.n < 12 || bytes.p[0] >> 6 != 2) {
        o.handshake++;
    } else if (bytes.p[1] >= 192 && bytes.p[1] <= 223) {
        o.rtcp[side]++;
        o.clear_rtcp[side] += rtcp_in_clear(bytes);
    } else {
        o.rtp[side]++;
        o.clear[side] += silent(cph_span_from(bytes, 12));
        if (overhear(side, bytes))
            o.heard[side]++;
        else
            keep(side, bytes);
    }
}

static void mix(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        o.hash = (o.hash ^ b[i]) * 0x100000001b3U; /* FNV-1a */
}

static bool tap(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                struct cph_span bytes, bool stream, cph_time now)
{
    unsigned side = side_of(from);

    (void)ctx;
    mix(&now, sizeof now);
    mix(&from->port, sizeof from->port);
    mix(&to->port, sizeof to->port);
    mix(bytes.p, bytes.n);
    if (stream || to->port == 5060 || from->port == 5060) {
        read_signalling(side, bytes);
        if (side == 1 && o.answers_to_swallow > 0 && cph_span_starts(bytes, "SIP/2.0 200") &&
            memmem(bytes.p, bytes.n, "INVITE\r\n", 8)) {
            o.answers_to_swallow--;
            return false;
        }
        return true;
    }
    listen_to(side, bytes);
    return true;
}

/* ---- a call under observation ---------------------------------------------------------------- */

static void watch(const struct w_config *cfg)
{
    memset(&o, 0, sizeof o);
    o.hash = 0xcbf29ce484222325U;
    assert_ok(cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &o.engine));
    w_new(&w, cfg);
    lab_net_tap(w.net, tap, NULL);
}

static void stop(void)
{
    w_silent(&w);
    w_free(&w);
    for (unsigned i = 0; i < o.n; i++)
        cph_srtp_free(o.ear[i].rx);
    cph_srtp_engine_free(o.engine);
}

static struct w_config mix_of(enum cph_security a, const char *ka, enum cph_security b,
                              const char *kb)
{
    struct w_config cfg = { .seed = 11 };

    cfg.link.delay = CPH_MS(20);
    cfg.side[0] = (struct w_side_config){ .policy = a, .keying = ka };
    cfg.side[1] = (struct w_side_config){ .policy = b, .keying = kb };
    return cfg;
}

/* Media flows both ways, or never will. */
static bool settled(const struct world *world)
{
    bool flows = world->side[1].n > 0;

    for (unsigned s = 0; s < 2; s++)
        for (unsigned i = 0; i < world->side[s].n; i++)
            flows &= world->side[s].leg[i].secured || world->side[s].leg[i].plain;
    return flows || w_all_ended(world);
}

/* A call of five seconds with hold and new keys, if it comes to one. */
static void talk(void)
{
    struct leg *l = w_dial(&w, 0);

    (void)w_until(&w, settled, CPH_SEC(60));
    w_run(&w, CPH_SEC(2));
    if (!l->ended) {
        w_hold(&w, 0, l, true);
        w_run(&w, CPH_SEC(1));
        w_hold(&w, 0, l, false);
        w_run(&w, CPH_SEC(1));
        (void)!w_rekey(&w, 0, l);
        w_run(&w, CPH_SEC(1));
        w_hangup(&w, 0, l);
    }
    assert_true(w_until(&w, w_all_ended, CPH_SEC(120)));
    solve();
}

static struct leg *leg(unsigned side)
{
    assert_int_equal(w.side[side].n, 1);
    return &w.side[side].leg[0];
}

static void expect_level(enum cph_level level)
{
    for (unsigned s = 0; s < 2; s++)
        assert_int_equal(leg(s)->last.verdict.level, level);
}

/* ---- policies -------------------------------------------------------------------------------- */

static void media_in_clear_is_seen_where_there_is_some(void **state)
{
    struct w_config cfg = mix_of(CPH_SECURITY_NONE, NULL, CPH_SECURITY_NONE, NULL);

    (void)state;
    watch(&cfg);
    talk();
    for (unsigned s = 0; s < 2; s++) { /* so the checks below do see what they look for */
        assert_true(leg(s)->answered && leg(s)->plain && !leg(s)->secured);
        assert_true(o.rtp[s] > 100 && o.rtcp[s] > 0);
        assert_int_equal(o.clear[s], o.rtp[s]);
        assert_int_equal(o.clear_rtcp[s], o.rtcp[s]);
    }
    expect_level(CPH_LEVEL_OPEN);
    stop();
}

static void under_required_nothing_in_clear_ever_crosses_the_network(void **state)
{
    static const char *const keying[] = { "sdes", "dtls" };

    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++) {
        const char *k = keying[seed % 2];
        /* one side strict is enough */
        struct w_config cfg =
            mix_of(seed & 2 ? CPH_SECURITY_PREFER : CPH_SECURITY_REQUIRED, k,
                   seed & 4 && !(seed & 2) ? CPH_SECURITY_PREFER : CPH_SECURITY_REQUIRED, k);

        cfg.seed = seed;
        cfg.proto = (enum cph_sip_proto)(seed % 3);
        cfg.side[0].mux = cfg.side[1].mux = seed & 1;
        cfg.link = (struct lab_link){
            .delay = CPH_MS(30), .jitter = CPH_MS(40), .loss = 100, .duplicate = 50, .reorder = 50
        };
        watch(&cfg);
        talk();
        for (unsigned s = 0; s < 2; s++) {
            assert_true(leg(s)->secured && !leg(s)->plain);
            assert_true(o.rtp[s] > 50);
            assert_int_equal(o.clear[s] + o.clear_rtcp[s], 0);
        }
        assert_int_equal(o.keys_on_media, 0);
        stop();
    }
}

/* A caller that asked for no more than a preference calls once more with keys as a condition: so
 * the callee may see two calls of it. */
static void fails_closed(const struct w_config *cfg)
{
    unsigned calls = cfg->side[0].policy == CPH_SECURITY_PREFER ? 2 : 1;

    watch(cfg);
    talk();
    assert_false(leg(0)->answered || leg(0)->secured || leg(0)->plain);
    assert_true(leg(0)->cause == CPH_E_POLICY || leg(0)->status == 488);
    assert_true(leg(0)->why[0] != '\0');
    assert_true(w.side[1].n <= calls);
    for (unsigned i = 0; i < w.side[1].n; i++) {
        assert_false(w.side[1].leg[i].secured || w.side[1].leg[i].plain);
        assert_true(w.side[1].leg[i].why[0] != '\0');
    }
    assert_int_equal(o.rtp[0] + o.rtp[1] + o.rtcp[0] + o.rtcp[1], 0);
    stop();
}

static void required_against_an_offer_without_keys_fails_closed(void **state)
{
    struct w_config cfg = mix_of(CPH_SECURITY_NONE, NULL, CPH_SECURITY_REQUIRED, NULL);

    (void)state;
    fails_closed(&cfg);
}

static void an_offer_that_requires_keys_gets_them_even_from_none(void **state)
{
    struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, NULL, CPH_SECURITY_NONE, NULL);

    (void)state;
    watch(&cfg);
    talk();
    for (unsigned s = 0; s < 2; s++) {
        assert_true(leg(s)->secured && !leg(s)->plain);
        assert_int_equal(o.clear[s] + o.clear_rtcp[s], 0);
        assert_true(o.rtp[s] > 100);
    }
    stop();
}

static void no_keying_in_common_fails_closed_under_required(void **state)
{
    struct w_config a = mix_of(CPH_SECURITY_REQUIRED, "dtls", CPH_SECURITY_REQUIRED, "sdes");
    struct w_config b = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_REQUIRED, "dtls");
    struct w_config c = mix_of(CPH_SECURITY_PREFER, "sdes", CPH_SECURITY_REQUIRED, "dtls");
    struct w_config d = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_PREFER, "dtls");

    (void)state;
    fails_closed(&a);
    fails_closed(&b);
    fails_closed(&c);
    fails_closed(&d);
}

static void prefer_without_keys_at_the_peer_is_open_and_says_so(void **state)
{
    static const enum cph_security mixes[][2] = {
        { CPH_SECURITY_PREFER, CPH_SECURITY_NONE },
        { CPH_SECURITY_NONE, CPH_SECURITY_PREFER },
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct w_config cfg = mix_of(mixes[i][0], NULL, mixes[i][1], NULL);

        watch(&cfg);
        talk();
        for (unsigned s = 0; s < 2; s++) {
            assert_true(leg(s)->answered && leg(s)->plain && !leg(s)->secured);
            assert_int_equal(o.clear[s], o.rtp[s]);
            assert_true(o.rtp[s] > 100);
            assert_true(leg(s)->last.verdict.reasons_n > 0);
        }
        expect_level(CPH_LEVEL_OPEN);
        stop();
    }
}

/* ---- what the observer can do, and what the verdict says ------------------------------------- */

static void who_reads_sdes_on_the_way_hears_the_call_and_the_verdict_is_open(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_REQUIRED, "sdes");

        cfg.seed = i;
        cfg.proto = i % 2 ? CPH_SIP_TCP : CPH_SIP_UDP;
        cfg.pinned = i / 2 % 2; /* pins say nothing about keys that anybody can read */
        watch(&cfg);
        talk();
        assert_true(o.n >= 4); /* both sides', and new ones */
        for (unsigned s = 0; s < 2; s++) {
            assert_true(o.rtp[s] > 100);
            assert_int_equal(o.heard[s], o.rtp[s]);
        }
        expect_level(CPH_LEVEL_OPEN);
        assert_int_equal(o.keys_on_media, 0);
        stop();
    }
}

static void who_only_listens_does_not_hear_dtls(void **state)
{
    struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, "dtls", CPH_SECURITY_REQUIRED, "dtls");

    (void)state;
    watch(&cfg);
    talk();
    assert_int_equal(o.n, 0);
    assert_true(o.handshake > 3);
    for (unsigned s = 0; s < 2; s++) {
        assert_true(o.rtp[s] > 100);
        assert_int_equal(o.heard[s], 0);
    }
    expect_level(CPH_LEVEL_PRIVATE);
    stop();
}

static void sdes_over_tls_to_the_pinned_device_is_not_heard(void **state)
{
    struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_REQUIRED, "sdes");

    (void)state;
    cfg.proto = CPH_SIP_TLS;
    cfg.pinned = true;
    watch(&cfg);
    talk();
    assert_int_equal(o.n, 0); /* no key was to be read */
    for (unsigned s = 0; s < 2; s++) {
        assert_true(o.rtp[s] > 100);
        assert_int_equal(o.heard[s] + o.clear[s], 0);
    }
    expect_level(CPH_LEVEL_VERIFIED);
    stop();
}

/* ---- a run is its seed ----------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t seed)
{
    struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_PREFER, "sdes");

    cfg.seed = seed;
    cfg.link = (struct lab_link){
        .delay = CPH_MS(30), .jitter = CPH_MS(40), .loss = 50, .duplicate = 50, .reorder = 50
    };
    watch(&cfg);
    talk();
    stop();
    return o.hash;
}

static void the_same_seed_gives_the_same_bytes_at_the_same_time(void **state)
{
    uint64_t first = hash_of(1), other = hash_of(2);

    (void)state;
    assert_true(hash_of(1) == first);
    assert_true(hash_of(2) == other);
    assert_true(first != other);
}

/* ---- media before the answer ----------------------------------------------------------------- */

enum { RATE = 8000, SECONDS = 4 };

/* Bursts that differ, so that a piece that is missing is missed. */
static void speak(struct cph_media_pcm *pcm)
{
    uint32_t phase = 0;

    *pcm = (struct cph_media_pcm){ .rate = RATE, .n = RATE * SECONDS };
    pcm->p = malloc(pcm->n * sizeof *pcm->p);
    assert_non_null(pcm->p);
    for (size_t i = 0; i < pcm->n; i++) {
        size_t burst = i / (RATE / 10);

        phase += (uint32_t)(300 + 97 * (burst * 7 % 13)) * 536871; /* about 2^32 / 8000 per Hz */
        pcm->p[i] = (int16_t)(burst % 5 == 4 ? 0 : (int32_t)(phase >> 18) - 8192);
    }
}

/* How many answers are lost, and so for how long the callee speaks to somebody without keys. */
static void speak_before_the_answer(unsigned lost, struct cph_media_likeness *like,
                                    struct cph_media_stats *in, struct cph_media_stats *out)
{
    struct w_config cfg = mix_of(CPH_SECURITY_REQUIRED, "sdes", CPH_SECURITY_REQUIRED, "sdes");
    struct cph_media_pcm said, heard = { 0 };

    speak(&said);
    watch(&cfg);
    o.speaking = true;
    o.answers_to_swallow = lost;
    w.side[1].play = &said;
    w.side[0].record = &heard;
    (void)w_dial(&w, 0);
    w_run(&w, CPH_SEC(2 * SECONDS + 2) + CPH_MS(10)); /* between two packets */
    w_hangup(&w, 1, leg(1));
    assert_true(w_until(&w, w_all_ended, CPH_SEC(60)));
    *in = leg(0)->last.media;
    *out = leg(1)->last.media;
    assert_ok(cph_media_compare(&said, &heard, like));
    stop();
    cph_media_pcm_free(&said);
    cph_media_pcm_free(&heard);
}

static void an_answer_that_is_late_clips_nothing_of_what_was_said_before(void **state)
{
    static const cph_time late[] = { 0, CPH_MS(500), CPH_MS(1500) };

    (void)state;
    for (unsigned lost = 0; lost < 3; lost++) {
        size_t behind = (size_t)(late[lost] / CPH_MS(20)), over = behind > 64 ? behind - 64 : 0;
        struct cph_media_stats in, out;
        struct cph_media_likeness like;

        speak_before_the_answer(lost, &like, &in, &out);
        print_message("%u answers lost: %zu of %zu packets heard, %zu folded\n", lost,
                      in.packets_in, out.packets_out, in.removed);
        assert_in_range(in.packets_in, out.packets_out - over, out.packets_out);
        assert_int_equal(in.late + in.early + in.bad, 0);
        assert_in_range(in.lost, 0, over);
        assert_in_range(in.removed, 0, behind); /* two frames in the time of one, to catch up */
        if (lost == 0)
            assert_true(like.covered > 0.95 && like.gaps == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_in_clear_is_seen_where_there_is_some),
        cmocka_unit_test(under_required_nothing_in_clear_ever_crosses_the_network),
        cmocka_unit_test(required_against_an_offer_without_keys_fails_closed),
        cmocka_unit_test(an_offer_that_requires_keys_gets_them_even_from_none),
        cmocka_unit_test(no_keying_in_common_fails_closed_under_required),
        cmocka_unit_test(prefer_without_keys_at_the_peer_is_open_and_says_so),
        cmocka_unit_test(who_reads_sdes_on_the_way_hears_the_call_and_the_verdict_is_open),
        cmocka_unit_test(who_only_listens_does_not_hear_dtls),
        cmocka_unit_test(sdes_over_tls_to_the_pinned_device_is_not_heard),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_at_the_same_time),
        cmocka_unit_test(an_answer_that_is_late_clips_nothing_of_what_was_said_before),
    };
    return cmocka_run_group_tests(tests, w_keys_make, w_keys_free);
}

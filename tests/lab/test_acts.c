/* Each attacker does what he says he does: his acts are counted where they arrive, not by himself.
 * One who had silently stopped would make every mechanism look better. What his acts are good for
 * is tried in test_attackers.c. */
#include "lab_keys.h"

#include <stdlib.h>

#include "denier.h"
#include "forger.h"
#include "mikey_read.h"
#include "siege.h"
#include "weaken.h"

#include "ciphony/base_text.h"
#include "ciphony/rtp.h"

enum { SEED = 3, ROOM = 4096, HEARD = 128, PORT = 20000, AB = 1 << LAB_ALICE | 1 << LAB_BOB };

/* ---- two hosts that write down what comes, and nobody at home -------------------------------- */

struct ear {
    struct lab_node *node;
    struct cph_addr at;
    struct {
        struct cph_addr from;
        uint8_t b[ROOM];
        size_t n;
    } got[HEARD];
    unsigned n;
};

struct scene {
    struct lab_stage stage; /* of it only what attackers need */
    struct ear ear[2];      /* LAB_ALICE, LAB_BOB */
};

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct ear *e = ctx;

    (void)local;
    (void)now;
    assert_true(e->n < HEARD && bytes.n <= ROOM);
    e->got[e->n].from = *from;
    e->got[e->n].n = bytes.n;
    memcpy(e->got[e->n++].b, bytes.p, bytes.n);
}

static struct cph_span got(const struct ear *e, unsigned i)
{
    assert_true(i < e->n);
    return (struct cph_span){ e->got[i].b, e->got[i].n };
}

static struct scene *open_scene(void)
{
    static const struct lab_node_ops ops = { .datagram = on_datagram };
    struct scene *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->stage.cfg.seed = SEED;
    assert_ok(lab_net_new(SEED, (struct lab_link){ .delay = CPH_MS(20) }, &s->stage.net));
    assert_ok(lab_trace_new(&s->stage.trace));
    for (unsigned i = 0; i < LAB_PEOPLE; i++)
        s->stage.person[i].accept_due = CPH_TIME_NEVER;
    for (unsigned i = LAB_ALICE; i <= LAB_BOB; i++) {
        assert_ok(cph_addr_parse_ip(cph_span_of(lab_person_ip((enum lab_person)i)), &s->ear[i].at));
        s->ear[i].at.port = PORT;
        assert_ok(lab_node_new(s->stage.net, &ops, &s->ear[i], &s->ear[i].node));
        assert_ok(lab_bind(s->ear[i].node, &s->ear[i].at));
    }
    return s;
}

static void close_scene(struct scene *s)
{
    lab_net_free(s->stage.net);
    lab_trace_free(s->stage.trace);
    free(s);
}

static void settle(struct scene *s)
{
    assert_ok(lab_stage_run(&s->stage, CPH_SEC(1)));
}

/* What this one sends to the other; for filters, who get it before it goes. */
static struct lab_packet packet_of(const struct scene *s, enum lab_person from, enum lab_kind kind,
                                   struct cph_span bytes)
{
    return (struct lab_packet){
        .from = s->ear[from].at, .to = s->ear[!from].at, .kind = kind, .bytes = bytes
    };
}

/* A frame of somebody's, number 7 of his. */
enum { SSRC = 0x11223344, SEQ = 700, TS = 70000 };
static struct cph_span frame(uint8_t b[12 + LAB_FRAME])
{
    struct cph_wr wr = cph_wr_open(b, 12 + LAB_FRAME);

    cph_wr_u16(&wr, 0x8000);
    cph_wr_u16(&wr, SEQ);
    cph_wr_u32(&wr, TS);
    cph_wr_u32(&wr, SSRC);
    lab_speech_frame(SEED, LAB_BOB, 7, b + 12);
    return (struct cph_span){ b, 12 + LAB_FRAME };
}

/* ---- who sends packets in another's name ----------------------------------------------------- */

/* A frame of Mallory's in Bob's name, with the numbers that would come next, and with or without a
 * tag behind it. */
static void is_forged(const struct scene *s, unsigned i, struct cph_rtp next, uint32_t frame_n,
                      size_t tag)
{
    const struct ear *alice = &s->ear[LAB_ALICE];
    struct cph_span b = got(alice, i);
    unsigned speaker;
    struct cph_rtp rtp;
    uint32_t n;

    assert_true(cph_addr_eq(&alice->got[i].from, &s->ear[LAB_BOB].at));
    assert_int_equal(b.n, 12 + LAB_FRAME + tag);
    assert_ok(cph_rtp_parse(cph_span_head(b, b.n - tag), &rtp));
    assert_int_equal(rtp.ssrc, next.ssrc);
    assert_int_equal(rtp.seq, next.seq);
    assert_int_equal(rtp.ts, next.ts);
    assert_true(lab_speech_is(SEED, rtp.payload, &speaker, &n));
    assert_int_equal(speaker, LAB_MALLORY);
    assert_int_equal(n, frame_n);
}

/* RFC 3550 6.6: a report of nothing, and the BYE of this source; and nothing else. */
static void is_goodbye(struct cph_span b, uint32_t ssrc)
{
    struct cph_rtcp_bye bye;
    struct cph_rtcp p;

    assert_ok(cph_rtcp_check(b));
    assert_ok(cph_rtcp_next(&b, &p));
    assert_int_equal(p.type, CPH_RTCP_RR);
    assert_ok(cph_rtcp_next(&b, &p));
    assert_ok(cph_rtcp_bye_parse(&p, &bye));
    assert_int_equal(bye.n, 1);
    assert_int_equal(bye.ssrc[0], ssrc);
    assert_int_equal(b.n, 0);
}

static void who_forges_goes_on_in_another_s_numbers_and_says_good_bye_for_him(void **state)
{
    enum { FRAMES = 50, BYE = 16, INDEX = 4, TAG = 10 };
    struct scene *s = open_scene();
    const struct ear *alice = &s->ear[LAB_ALICE];
    uint8_t b[12 + LAB_FRAME];
    struct cph_span bob_s = frame(b), last;
    bool any = true;

    (void)state;
    assert_ok(lab_forge(&s->stage, LAB_BOB, &any));
    assert_false(any); /* he has nothing to imitate yet */
    assert_int_equal(alice->n, 0);
    assert_ok(lab_trace_add(s->stage.trace, &s->ear[LAB_BOB].at, &alice->at, bob_s, false, false,
                            lab_now(s->stage.net)));
    assert_ok(lab_forge(&s->stage, LAB_BOB, &any));
    assert_true(any);
    settle(s);
    assert_int_equal(alice->n, 2 * FRAMES + 2);
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct cph_rtp next = { .ssrc = SSRC,
                                .seq = (uint16_t)(SEQ + 2 + i),
                                .ts = TS + 160 * (2 + i) };

        is_forged(s, 2 * i, next, i, 0);
        is_forged(s, 2 * i + 1, next, i, TAG);
    }
    is_goodbye(got(alice, 2 * FRAMES), SSRC);
    last = got(alice, 2 * FRAMES + 1); /* RFC 3711 3.4: E, index, tag */
    assert_int_equal(last.n, BYE + INDEX + TAG);
    is_goodbye(cph_span_head(last, BYE), SSRC);
    assert_int_equal(last.p[BYE] & 0x80, 0); /* it says that it is in clear */
    assert_int_equal(s->ear[LAB_BOB].n, 0);
    close_scene(s);
}

static void who_forges_early_speaks_to_a_phone_that_was_sent_nothing_yet(void **state)
{
    enum { FRAMES = 50 };
    struct scene *s = open_scene();
    const struct ear *alice = &s->ear[LAB_ALICE];

    (void)state;
    assert_ok(lab_forge_early(&s->stage, LAB_BOB, LAB_ALICE));
    settle(s);
    assert_int_equal(alice->n, FRAMES);
    for (uint32_t i = 0; i < FRAMES; i++)
        is_forged(s, i,
                  (struct cph_rtp){ .ssrc = 0x0badcafe, .seq = (uint16_t)(1 + i), .ts = 160 * i },
                  i, 0);
    close_scene(s);
}

/* ---- who gives back what was said ------------------------------------------------------------ */

/* The caller gets her own packet in the callee's name: as it was, and under another SSRC. What the
 * callee says does not come. */
static void who_mirrors_gives_the_caller_her_own_packets_and_no_others(void **state)
{
    struct scene *s = open_scene();
    const struct ear *alice = &s->ear[LAB_ALICE];
    uint8_t b[12 + LAB_FRAME], rtcp[] = { 0x80, 201, 0, 1, 1, 2, 3, 4 };
    struct cph_span said = frame(b);
    struct lab_packet p = packet_of(s, LAB_ALICE, LAB_RTP, said);
    struct lab_stage_config cfg = { 0 };
    struct lab_meddler *m;
    struct cph_rtp rtp;

    (void)state;
    assert_ok(lab_meddler_new(LAB_MEDDLE_MIRROR, "sdes", SEED, &m));
    lab_meddler_place(m, &cfg);
    assert_true(cfg.filter(cfg.filter_ctx, &p)); /* he has not begun */
    assert_ok(lab_meddler_start(m, &s->stage));
    assert_false(cfg.filter(cfg.filter_ctx, &p));
    settle(s);
    assert_int_equal(alice->n, 2);
    assert_true(cph_span_eq(got(alice, 0), said));
    assert_ok(cph_rtp_parse(got(alice, 1), &rtp));
    assert_int_equal(rtp.ssrc, SSRC ^ 1 << 24);
    assert_true(cph_span_eq(rtp.payload, cph_span_from(said, 12)));
    p = packet_of(s, LAB_ALICE, LAB_RTCP, (struct cph_span){ rtcp, sizeof rtcp });
    assert_false(cfg.filter(cfg.filter_ctx, &p));
    p = packet_of(s, LAB_BOB, LAB_RTP, said);
    assert_false(cfg.filter(cfg.filter_ctx, &p));
    p.kind = LAB_SIP;
    assert_true(cfg.filter(cfg.filter_ctx, &p));
    settle(s);
    assert_int_equal(alice->n, 3);
    assert_true(cph_span_eq(got(alice, 2), (struct cph_span){ rtcp, sizeof rtcp }));
    for (unsigned i = 0; i < alice->n; i++)
        assert_true(cph_addr_eq(&alice->got[i].from, &s->ear[LAB_BOB].at));
    assert_int_equal(s->ear[LAB_BOB].n, 0);
    close_scene(s);
    lab_meddler_free(m);
}

/* Plain RTP takes what comes again, from whomever it first came; with keys as much is tried. */
static void who_replays_sends_the_callee_s_packets_again_and_the_caller_s_back(void **state)
{
    static const char *const keying[] = { NULL, "sdes", "dtls" };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++) {
        struct lab_case c = { keying[i], SEED, NULL, NULL };
        struct lab_outcome o;

        assert_ok(lab_run_one(&lab_exp_replay, &c, &o));
        assert_true(lab_value_of(&o, "sent again") > 80);
        assert_true(lab_value_of(&o, "sent back") > 80);
        assert_int_equal(lab_value_of(&o, "taken twice") > 80, keying[i] == NULL);
        assert_int_equal(lab_value_of(&o, "taken back") > 80, keying[i] == NULL);
    }
}

/* ---- who sits in another's place ------------------------------------------------------------- */

/* Does the MIKEY message that opens this call name her? (That of MIKEYv2 is another, not read.) */
static bool names_her(const struct lab_stage *s)
{
    struct cph_span sdp = lab_stage_sdp(s, lab_person_ip(LAB_ALICE), false, 0), line;
    const char *name = lab_person_uri(LAB_MALLORY);
    uint8_t message[ROOM];
    size_t n;

    while (cph_span_line(&sdp, &line))
        if (lab_mikey_line(line, message, sizeof message, &n))
            return memmem(message, n, name, strlen(name)) != NULL;
    return false;
}

struct seat {
    const char *keying;
    enum lab_person place;
    bool own_name;
};

/* Was she talked to? named: she said her own name in the offer; why: what Alice was told. */
static bool sits(const struct seat *seat, bool *named, char why[CPH_PHONE_WHY])
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = seat->keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = AB,
                                    .impostor = 1U << seat->place,
                                    .own_name = seat->own_name };
    struct lab_stage *s;
    bool heard;

    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_talk(s, CPH_SEC(2)));
    heard = lab_stage_heard(s, LAB_ALICE, LAB_BOB);
    *named = names_her(s);
    memcpy(why, s->person[LAB_ALICE].why, CPH_PHONE_WHY);
    lab_stage_close(s);
    return heard;
}

/* In another's name she is talked to where nothing proves a name, and under her own nowhere. */
static void who_sits_in_another_s_place_says_her_own_name_or_his(void **state)
{
    static const char *const carries[] = { "mikey-null", "mikeyv2-null" };
    char why[CPH_PHONE_WHY];
    bool named;

    (void)state;
    for (size_t i = 0; i < sizeof carries / sizeof *carries; i++)
        for (unsigned k = LAB_ALICE; k <= LAB_BOB; k++) {
            struct seat seat = { carries[i], (enum lab_person)k, false };

            assert_true(sits(&seat, &named, why));
            assert_false(named);
            seat.own_name = true;
            assert_false(sits(&seat, &named, why));
            assert_int_equal(named, k == LAB_ALICE && i == 0);
        }
    assert_string_equal(why, "audio: the keys of the answer cannot be used");
}

/* Who compares strings whenever he sees one finds who comes with the second call; who compared once
 * in his life is warned at most, and heard. */
static void who_comes_after_the_only_comparison_is_not_found_by_it(void **state)
{
    struct lab_case c = { "zrtp", SEED, NULL, NULL };

    (void)state;
    for (unsigned once = 0; once < 2; once++) {
        struct lab_attack a = { .how = LAB_MEDDLE_BOTH,
                                .when = LAB_SECOND_CALL,
                                .pinned = true,
                                .once = once,
                                .security = CPH_SECURITY_REQUIRED };
        struct lab_feat f;

        assert_ok(lab_attacked(&c, &a, &f, NULL));
        assert_int_equal(f.noticed, !once);
        assert_int_equal(f.stands, once);
        assert_int_equal(f.active > 50, once);
        assert_false(f.flattered);
        a.how = LAB_MEDDLE_NOT; /* they do compare, once */
        assert_ok(lab_attacked(&c, &a, &f, NULL));
        assert_int_equal(f.shown, CPH_LEVEL_VERIFIED);
    }
}

/* ---- who changes what passes ----------------------------------------------------------------- */

static struct lab_stage *talk(const char *keying)
{
    struct lab_stage_config cfg = { .seed = SEED,
                                    .link.delay = CPH_MS(20),
                                    .keying = keying,
                                    .security = CPH_SECURITY_REQUIRED,
                                    .people = AB };
    struct lab_stage *s;

    assert_ok(lab_stage_open(&cfg, &s));
    assert_ok(lab_stage_talk(s, CPH_SEC(1)));
    return s;
}

/* The first packet of this call that can be made to offer less. */
static struct cph_span strong(const struct lab_stage *s, uint8_t less[ROOM], size_t *n)
{
    for (size_t i = 0; i < lab_trace_count(s->trace); i++) {
        const struct lab_packet *p = lab_trace_at(s->trace, i);
        struct cph_wr wr = cph_wr_open(less, ROOM);

        if (p->kind == LAB_KEYING && lab_weaken_packet(p->bytes, &wr)) {
            *n = wr.n;
            return p->bytes;
        }
    }
    fail_msg("nothing to weaken");
    return (struct cph_span){ 0 };
}

/* It comes weaker than it was sent, once, in the name of who sent it; all else passes. */
static void who_weakens_on_the_media_path_puts_the_weaker_in_the_place_of_the_strong(void **state)
{
    static const char *const keying[] = { "dtls", "zrtp", "mikeyv2-inband" };

    (void)state;
    for (size_t i = 0; i < sizeof keying / sizeof *keying; i++) {
        struct scene *s = open_scene();
        struct lab_stage *call = talk(keying[i]);
        uint8_t less[ROOM], b[12 + LAB_FRAME];
        struct lab_stage_config cfg = { 0 };
        struct lab_meddler *m;
        struct lab_packet p;
        size_t n = 0;

        p = packet_of(s, LAB_ALICE, LAB_KEYING, strong(call, less, &n));
        assert_ok(lab_meddler_new(LAB_MEDDLE_WEAKEN_BOTH, keying[i], SEED, &m));
        lab_meddler_place(m, &cfg);
        assert_true(cfg.filter(cfg.filter_ctx, &p)); /* he has not begun */
        assert_ok(lab_meddler_start(m, &s->stage));
        assert_false(cfg.filter(cfg.filter_ctx, &p));
        settle(s);
        assert_int_equal(s->ear[LAB_BOB].n, 1);
        assert_true(cph_addr_eq(&s->ear[LAB_BOB].got[0].from, &s->ear[LAB_ALICE].at));
        assert_true(cph_span_eq(got(&s->ear[LAB_BOB], 0), (struct cph_span){ less, n }));
        assert_false(cph_span_eq(got(&s->ear[LAB_BOB], 0), p.bytes));
        assert_int_equal(lab_meddler_feat(m).changed, 1);
        p = packet_of(s, LAB_ALICE, LAB_RTP, frame(b));
        assert_true(cfg.filter(cfg.filter_ctx, &p));
        close_scene(s);
        lab_stage_close(call);
        lab_meddler_free(m);
    }
}

/* What she is told in the callee's name: 488 to the INVITE she sent, with the reason if he has one.
 */
static void who_refuses_in_the_callee_s_name_says_488_and_his_reason(void **state)
{
    static const uint8_t error[] = { 1, 6, 5, 0 }; /* RFC 3830 6.1: version, Error, T follows */
    struct lab_stage *call = talk("mikey-psk");
    const struct lab_packet *invite = NULL;

    (void)state;
    for (size_t i = 0; i < lab_trace_count(call->trace) && !invite; i++)
        if (cph_span_starts(lab_trace_at(call->trace, i)->bytes, "INVITE "))
            invite = lab_trace_at(call->trace, i);
    assert_non_null(invite);
    for (int number = -1; number < 9; number += 3) {
        struct scene *s = open_scene();
        struct lab_denier d = { .error = number, .at_most = 1 };
        struct lab_packet p = packet_of(s, LAB_ALICE, LAB_SIP, invite->bytes);
        struct cph_span sdp, line;
        uint8_t message[ROOM];
        size_t n = 0;

        assert_true(lab_deny(&d, &p)); /* he is not there yet */
        d.stage = &s->stage;
        assert_false(lab_deny(&d, &p));
        settle(s);
        assert_int_equal(d.refused, 1);
        assert_int_equal(s->ear[LAB_ALICE].n, 1);
        assert_true(cph_addr_eq(&s->ear[LAB_ALICE].got[0].from, &s->ear[LAB_BOB].at));
        assert_true(cph_span_starts(got(&s->ear[LAB_ALICE], 0), "SIP/2.0 488 "));
        sdp = lab_sip_body(got(&s->ear[LAB_ALICE], 0));
        while (n == 0 && cph_span_line(&sdp, &line))
            (void)lab_mikey_line(line, message, sizeof message, &n);
        assert_int_equal(n, number < 0 ? 0 : 24);
        if (number >= 0) {
            assert_memory_equal(message, error, sizeof error);
            assert_int_equal(message[21], number);
        }
        assert_true(lab_deny(&d, &p)); /* one was all he wanted to refuse */
        settle(s);
        assert_int_equal(s->ear[LAB_ALICE].n, 1);
        close_scene(s);
    }
    lab_stage_close(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_forges_goes_on_in_another_s_numbers_and_says_good_bye_for_him),
        cmocka_unit_test(who_forges_early_speaks_to_a_phone_that_was_sent_nothing_yet),
        cmocka_unit_test(who_mirrors_gives_the_caller_her_own_packets_and_no_others),
        cmocka_unit_test(who_replays_sends_the_callee_s_packets_again_and_the_caller_s_back),
        cmocka_unit_test(who_sits_in_another_s_place_says_her_own_name_or_his),
        cmocka_unit_test(who_comes_after_the_only_comparison_is_not_found_by_it),
        cmocka_unit_test(who_weakens_on_the_media_path_puts_the_weaker_in_the_place_of_the_strong),
        cmocka_unit_test(who_refuses_in_the_callee_s_name_says_488_and_his_reason),
    };

    return cmocka_run_group_tests(tests, open_keys, close_keys);
}

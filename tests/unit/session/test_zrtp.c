/* Sessions keyed by ZRTP: several media lines of one call (RFC 6189 4.4.3, 5). */
#include "pair.h"

#include "engine_int.h"

#include "ciphony/base_wire.h"
#include "ciphony/keying_zrtp.h"

#define REQ CPH_SECURITY_REQUIRED

enum { LINES = 3 };

static struct pair t;
static struct cph_zrtp_call *zrtp[2];

static void open_call(unsigned lines)
{
    struct party *p[2] = { &t.a, &t.b };

    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_zrtp_cfg cfg = { 0 };

        party_init(p[i], i + 1, REQ, "zrtp");
        cfg.env = &p[i]->env.env;
        memset(cfg.zid, 'a' + (int)i, sizeof cfg.zid);
        assert_ok(cph_zrtp_call_new(&cfg, &zrtp[i]));
        p[i]->cfg.keying.zrtp = zrtp[i];
        p[i]->n = lines;
        for (unsigned m = 0; m < lines; m++)
            p[i]->media[m].ssrc = p[i]->ssrc + m;
        p[i]->media[1].kind = "video";
        party_start(p[i]);
    }
    call(&t);
}

static void close_call(void)
{
    pair_close(&t);
    cph_zrtp_call_free(zrtp[0]);
    cph_zrtp_call_free(zrtp[1]);
}

/* What went over the wire of a line: which SSRCs, and which messages. */
struct seen {
    uint32_t ssrc;
    bool one; /* all packets bore it */
    unsigned dhparts, packets, mult;
};

static void look_at(struct seen *s, struct cph_span packet)
{
    struct cph_rd rd = cph_rd_open(packet);
    uint32_t ssrc;

    assert_int_equal(cph_rd_u16(&rd), 0x1000);
    (void)cph_rd_u16(&rd);
    assert_int_equal(cph_rd_u32(&rd), 0x5a525450);
    ssrc = cph_rd_u32(&rd);
    s->one = s->packets == 0 || (s->one && s->ssrc == ssrc);
    s->ssrc = ssrc;
    s->packets++;
    (void)cph_rd_u32(&rd);
    s->dhparts += cph_span_starts(cph_rd_rest(&rd), "DHPart");
    /* 5.4: the fourth type of a Commit */
    s->mult += packet.n > 84 && memcmp(packet.p + 16, "Commit  ", 8) == 0 &&
               memcmp(packet.p + 12 + 12 + 32 + 12 + 12, "Mult", 4) == 0;
}

/* As shuttle(), with time that passes, looking at each packet. */
static void run_call(struct seen seen[2][LINES])
{
    struct party *p[2] = { &t.a, &t.b };

    for (int round = 0; round < 400; round++, t.now += CPH_MS(10)) {
        for (int i = 0; i < 2; i++) {
            struct cph_session_out out;

            cph_session_tick(p[i]->s, t.now);
            while (cph_session_pull(p[i]->s, &out, t.now) == CPH_OK) {
                struct pkt k = { .n = out.bytes.n, .port = out.port };

                look_at(&seen[i][out.stream], out.bytes);
                memcpy(k.b, out.bytes.p, out.bytes.n);
                (void)feed_from(&t, p[!i], out.stream, &k, &p[i]->addr[out.stream][out.port]);
            }
        }
    }
}

static cph_err hear(struct party *p, struct party *q, unsigned stream)
{
    struct cph_session_packet got;
    struct pkt k;
    uint32_t first = p->ssrc;

    p->ssrc += stream;
    rtp(p, &k, (uint8_t)(0x40 + stream));
    p->ssrc = first;
    CPH_TRY(protect(&t, p, stream, CPH_KEYING_RTP, &k));
    CPH_TRY(feed_from(&t, q, stream, &k, &p->addr[stream][k.port]));
    CPH_TRY(cph_session_take(q->s, &got));
    assert_int_equal(got.stream, stream);
    return CPH_OK;
}

/* RFC 6189 5: the source identifier is the SSRC of the RTP stream to which the packet relates.
 * 4.4.3 MUST: the further ones by Multistream, without a second agreement. */
static void each_line_speaks_under_the_ssrc_of_its_own_stream(void **state)
{
    struct party *p[2] = { &t.a, &t.b };

    (void)state;
    for (unsigned lines = 1; lines <= LINES; lines++) {
        struct seen seen[2][LINES] = { 0 };
        struct cph_session_sas sas[2];
        unsigned mult = 0, dhparts = 0;

        open_call(lines);
        run_call(seen);
        for (unsigned i = 0; i < 2; i++) {
            for (unsigned m = 0; m < lines; m++) {
                assert_true(seen[i][m].packets > 0 && seen[i][m].one);
                assert_int_equal(seen[i][m].ssrc, p[i]->ssrc + m);
                assert_ok(hear(p[i], p[!i], m));
                mult += seen[i][m].mult > 0;
                dhparts += seen[i][m].dhparts > 0;
            }
            cph_session_sas(p[i]->s, &sas[i]);
            assert_true(happened(p[i], CPH_SESSION_SAS, NULL));
        }
        assert_string_equal(sas[0].text, sas[1].text);
        assert_int_equal(dhparts, 2);                      /* one line, DHPart1 and DHPart2 */
        assert_in_range(mult, lines - 1, 2 * (lines - 1)); /* both may have sent one */
        close_call();
    }
}

/* A comparison counts for all of them, and one word of doubt too. */
static void one_string_is_for_all_lines(void **state)
{
    (void)state;
    for (int equal = 1; equal >= 0; equal--) {
        struct seen seen[2][LINES] = { 0 };
        struct cph_verdict v;

        open_call(2);
        run_call(seen);
        assert_ok(hear(&t.a, &t.b, 0));
        assert_ok(hear(&t.a, &t.b, 1));
        assert_ok(cph_session_sas_compared(t.a.s, equal));
        cph_session_verdict(t.a.s, &v);
        assert_int_equal(v.streams_n, 2);
        if (equal)
            assert_int_equal(v.level, CPH_LEVEL_VERIFIED);
        else
            assert_true(v.level < CPH_LEVEL_PRIVATE);
        for (unsigned m = 0; m < 2 && equal; m++)
            assert_int_equal(v.stream[m].level, CPH_LEVEL_VERIFIED);
        close_call();
    }
}

/* RFC 6189 4.4.3 MUST: one ZID for all lines of a call. Who has another one has a string of his
 * own, and the word that the users gave for theirs is not for him. */
static void a_line_whose_keys_are_with_another_device_is_not_compared(void **state)
{
    (void)state;
    for (int equal = 1; equal >= 0; equal--) {
        struct seen seen[2][LINES] = { 0 };
        struct cph_zrtp_cfg cfg = { .env = &t.b.env.env };
        struct cph_zrtp_call *other;
        struct cph_session_sas before, sas;
        struct cph_session_event told;
        struct cph_verdict v;
        unsigned stream;

        open_call(1);
        run_call(seen);
        cph_session_sas(t.a.s, &before);
        memset(cfg.zid, 'm', sizeof cfg.zid);
        assert_ok(cph_zrtp_call_new(&cfg, &other));
        t.b.s->cfg.keying.zrtp = other; /* somebody else answers for the second line */
        t.a.media[1].ssrc = t.a.ssrc + 1;
        t.b.media[1].ssrc = t.b.ssrc + 1;
        assert_ok(cph_session_add(t.a.s, &t.a.media[1], &stream));
        assert_ok(cph_session_add(t.b.s, &t.b.media[1], &stream));
        exchange(&t, &t.a, &t.b);
        run_call(seen);
        assert_ok(hear(&t.a, &t.b, 0));
        assert_ok(hear(&t.a, &t.b, 1));
        cph_session_sas(t.a.s, &sas);
        assert_string_equal(sas.text, before.text);
        assert_true(happened(&t.a, CPH_SESSION_NOTICE, &told));
        assert_int_equal(told.stream, 1);
        assert_non_null(strstr(told.why, "another device than those of the rest"));
        assert_ok(cph_session_sas_compared(t.a.s, equal));
        cph_session_verdict(t.a.s, &v);
        assert_int_equal(v.streams_n, 2);
        if (equal) {
            assert_int_equal(v.stream[0].level, CPH_LEVEL_VERIFIED);
            assert_int_equal(v.stream[1].level, CPH_LEVEL_HOP);
        }
        for (unsigned m = 0; m < 2 && !equal; m++)
            assert_true(v.stream[m].level < CPH_LEVEL_HOP);
        close_call();
        cph_zrtp_call_free(other);
    }
}

/* A line that is added later is keyed by Multistream too, under its own SSRC. */
static void a_line_added_in_the_call_is_keyed_by_multistream(void **state)
{
    struct seen seen[2][LINES] = { 0 };
    unsigned stream;

    (void)state;
    open_call(1);
    run_call(seen);
    t.a.media[1].ssrc = t.a.ssrc + 1;
    t.b.media[1].ssrc = t.b.ssrc + 1;
    assert_ok(cph_session_add(t.a.s, &t.a.media[1], &stream));
    assert_int_equal(stream, 1);
    assert_ok(cph_session_add(t.b.s, &t.b.media[1], &stream));
    exchange(&t, &t.a, &t.b);
    memset(seen, 0, sizeof seen);
    run_call(seen);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(seen[i][1].dhparts, 0);
        assert_true(seen[i][1].one);
    }
    assert_int_equal(seen[0][1].ssrc, t.a.ssrc + 1);
    assert_int_equal(seen[1][1].ssrc, t.b.ssrc + 1);
    assert_true(seen[0][1].mult + seen[1][1].mult > 0);
    assert_ok(hear(&t.a, &t.b, 1));
    assert_ok(hear(&t.b, &t.a, 1));
    close_call();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_speaks_under_the_ssrc_of_its_own_stream),
        cmocka_unit_test(one_string_is_for_all_lines),
        cmocka_unit_test(a_line_whose_keys_are_with_another_device_is_not_compared),
        cmocka_unit_test(a_line_added_in_the_call_is_keyed_by_multistream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

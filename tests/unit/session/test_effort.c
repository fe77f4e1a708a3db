/* The forms of best-effort encryption as whole descriptions: what a session offers, and what it
 * does with the offers of others. */
#include "pair.h"

#define REQ  CPH_SECURITY_REQUIRED
#define PREF CPH_SECURITY_PREFER
#define NONE CPH_SECURITY_NONE

static void open_form(struct pair *t, enum cph_keying_form form, enum cph_security b)
{
    memset(t, 0, sizeof *t);
    party_init(&t->a, 1, PREF, "sdes");
    party_init(&t->b, 2, b, "sdes");
    t->a.cfg.policy.form = form;
    party_start(&t->a);
    party_start(&t->b);
}

/* Lines of a description that begin so. */
static unsigned lines(const struct party *p, const char *begin)
{
    struct cph_span rest = p->text, line;
    unsigned n = 0;

    while (cph_span_line(&rest, &line))
        n += cph_span_starts(line, begin);
    return n;
}

static enum cph_session_line state(const struct party *p)
{
    return cph_session_line(p->s, 0, NULL);
}

static void every_form_keys_a_call_with_a_peer_that_has_keys(void **state_)
{
    (void)state_;
    for (int f = CPH_KEYING_FORM_DEFAULT; f <= CPH_KEYING_FORM_BODIES; f++)
        for (int b = REQ; b <= PREF; b++) {
            struct pair t;

            open_form(&t, (enum cph_keying_form)f, (enum cph_security)b);
            call(&t);
            assert_int_equal(state(&t.a), CPH_SESSION_LINE_KEYED);
            talk(&t);
            /* whatever was offered, the next exchange is about one stream with keys */
            exchange(&t, &t.b, &t.a);
            talk(&t);
            exchange(&t, &t.a, &t.b);
            assert_int_equal(lines(&t.a, "a=pcfg") + lines(&t.a, "a=group"), 0);
            talk(&t);
            assert_false(reason(&t.a, CPH_REASON_REKEYED));
            pair_close(&t);
        }
}

static void every_form_gives_rtp_to_a_peer_that_wants_none(void **state_)
{
    (void)state_;
    for (int f = CPH_KEYING_FORM_DEFAULT; f <= CPH_KEYING_FORM_PROBE; f++) {
        struct pair t;

        open_form(&t, (enum cph_keying_form)f, NONE);
        assert_ok(offer(&t, &t.a));
        if (f == CPH_KEYING_FORM_BODIES) { /* it takes the other one */
            struct cph_wr wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);

            assert_ok(cph_session_offer_plain(t.a.s, &wr));
            t.a.text = cph_wr_done(&wr);
        }
        assert_ok(answer(&t, &t.b, t.a.text));
        assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
        assert_ok(cph_session_choose(t.a.s, 1));
        assert_int_equal(state(&t.a), CPH_SESSION_LINE_CLEAR);
        assert_int_equal(state(&t.b), CPH_SESSION_LINE_CLEAR);
        talk(&t);
        assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
        assert_true(reason(&t.a, CPH_REASON_FALLBACK));
        exchange(&t, &t.a, &t.b); /* and can be asked again */
        talk(&t);
        pair_close(&t);
    }
}

/* ---- bidding down ---------------------------------------------------------------------------- */

/* All that asks for keys or has them, in whatever form. */
static void take_keys_out(struct party *p)
{
    static const char *const line[] = { "a=crypto", "a=acap", "a=tcap",
                                        "a=pcfg",   "a=acfg", "a=encryption" };

    for (size_t i = 0; i < sizeof line / sizeof *line; i++)
        strip(p, line[i]);
}

static void open_by_tls(struct pair *t, enum cph_keying_form form)
{
    open_form(t, form, PREF);
    came_by(&t->a, CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT);
    came_by(&t->b, CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT);
}

/* A server on the way takes the keys out of the offer: both ends talk in clear, and are told. */
static void who_bids_the_offer_down_lowers_the_verdict_in_every_form(void **state_)
{
    (void)state_;
    for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_BODIES; f++)
        for (int attacked = 0; attacked < 2; attacked++) {
            struct pair t;

            open_by_tls(&t, (enum cph_keying_form)f);
            assert_ok(offer(&t, &t.a));
            if (attacked && f == CPH_KEYING_FORM_BODIES) { /* it lets the other body through */
                struct cph_wr wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);

                assert_ok(cph_session_offer_plain(t.a.s, &wr));
                t.a.text = cph_wr_done(&wr);
            } else if (attacked) {
                take_keys_out(&t.a);
            }
            assert_ok(answer(&t, &t.b, t.a.text));
            assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
            assert_ok(cph_session_choose(t.a.s, 1));
            talk(&t);
            assert_int_equal(level(&t.a), attacked ? CPH_LEVEL_OPEN : CPH_LEVEL_HOP);
            assert_int_equal(level(&t.b), attacked ? CPH_LEVEL_OPEN : CPH_LEVEL_HOP);
            assert_int_equal(reason(&t.a, CPH_REASON_FALLBACK), attacked);
            assert_int_equal(happened(&t.a, CPH_SESSION_PLAIN, NULL), attacked);
            assert_int_equal(happened(&t.b, CPH_SESSION_PLAIN, NULL), attacked);
            pair_close(&t);
        }
}

/* Out of the answer: who asked hears what is not its peer's, and does not call it more than open.
 */
static void who_bids_the_answer_down_lowers_the_verdict_of_who_asked(void **state_)
{
    (void)state_;
    for (int f = CPH_KEYING_FORM_OSRTP; f <= CPH_KEYING_FORM_CAPNEG; f++) {
        struct pair t;

        open_by_tls(&t, (enum cph_keying_form)f);
        assert_ok(offer(&t, &t.a));
        assert_ok(answer(&t, &t.b, t.a.text));
        take_keys_out(&t.b);
        t.b.sdp[t.b.text.n] = '\0';
        if (strstr(t.b.sdp, "RTP/SAVP"))
            edit(&t.b, "RTP/SAVP", "RTP/AVP");
        assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
        assert_ok(cph_session_choose(t.a.s, 1));
        assert_int_equal(state(&t.a), CPH_SESSION_LINE_CLEAR);
        assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
        assert_true(reason(&t.a, CPH_REASON_FALLBACK));
        assert_true(say(&t, &t.a, &t.b, 1) != CPH_OK); /* the other end takes nothing in clear */
        pair_close(&t);
    }
}

/* Where a stream stands twice, it is the line with keys that a server refuses in the other's name.
 */
static void a_line_refused_in_the_peers_name_lowers_it_as_well(void **state_)
{
    struct pair t;

    (void)state_;
    open_by_tls(&t, CPH_KEYING_FORM_GROUP);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    edit(&t.b, "m=audio 4000 RTP/SAVP", "m=audio 0 RTP/SAVP");
    edit(&t.b, "m=audio 0 RTP/AVP", "m=audio 4000 RTP/AVP");
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    assert_int_equal(level(&t.a), CPH_LEVEL_OPEN);
    pair_close(&t);
}

/* ---- configurations -------------------------------------------------------------------------- */

static void a_configuration_that_was_taken_is_offered_again_as_such(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_CAPNEG, PREF);
    call(&t);
    assert_true(happened(&t.a, CPH_SESSION_REOFFER_WANTED, NULL));
    assert_false(happened(&t.b, CPH_SESSION_REOFFER_WANTED, NULL));
    exchange(&t, &t.a, &t.b);
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/SAVP "), 1);
    assert_false(happened(&t.a, CPH_SESSION_REOFFER_WANTED, NULL));
    talk(&t);
    pair_close(&t);

    open_form(&t, CPH_KEYING_FORM_OSRTP, PREF);
    call(&t);
    assert_false(happened(&t.a, CPH_SESSION_REOFFER_WANTED, NULL));
    pair_close(&t);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void a_group_has_a_line_with_keys_and_one_without(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_GROUP, PREF);
    assert_ok(offer(&t, &t.a));
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/SAVP "), 1);
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/AVP "), 1);
    assert_int_equal(lines(&t.a, "a=group:ANAT 1 2"), 1);
    assert_int_equal(lines(&t.a, "a=mid:"), 2);
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_int_equal(lines(&t.b, "m=audio 4000 RTP/SAVP "), 1);
    assert_int_equal(lines(&t.b, "m=audio 0 RTP/AVP "), 1);
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    talk(&t);
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDONLY));
    exchange(&t, &t.a, &t.b);
    assert_int_equal(lines(&t.a, "m=audio 0 "), 1); /* RFC 3264 8: its place stays */
    exchange(&t, &t.b, &t.a);
    assert_int_equal(lines(&t.b, "m=audio 0 "), 1);
    pair_close(&t);
}

static void the_line_without_keys_may_be_the_one_that_is_taken(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_GROUP, NONE);
    call(&t);
    assert_int_equal(lines(&t.b, "m=audio 0 RTP/SAVP "), 1);
    assert_int_equal(lines(&t.b, "m=audio 4000 RTP/AVP "), 1);
    talk(&t);
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDONLY)); /* hold, in that line */
    exchange(&t, &t.a, &t.b);
    assert_int_equal(lines(&t.a, "m=audio 0 RTP/AVP "), 1);
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/AVP "), 1);
    assert_ok(cph_session_direction(t.a.s, 0, CPH_SDP_SENDRECV));
    exchange(&t, &t.b, &t.a);
    exchange(&t, &t.a, &t.b);
    talk(&t);
    pair_close(&t);
}

static void who_takes_both_lines_is_asked_to_give_one_back(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_GROUP, PREF);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    edit(&t.b, "m=audio 0 RTP/AVP", "m=audio 4000 RTP/AVP");
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    assert_true(happened(&t.a, CPH_SESSION_REOFFER_WANTED, NULL));
    assert_int_equal(state(&t.a), CPH_SESSION_LINE_KEYED);
    assert_ok(offer(&t, &t.a));
    assert_int_equal(lines(&t.a, "m=audio 0 RTP/AVP"), 1);
    pair_close(&t);
}

static void who_refuses_both_lines_has_refused_the_stream(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_GROUP, PREF);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    edit(&t.b, "m=audio 4000 RTP/SAVP", "m=audio 0 RTP/SAVP");
    assert_ok(cph_session_finish(t.a.s, 1, t.b.text, 0));
    assert_int_equal(state(&t.a), CPH_SESSION_LINE_NONE);
    pair_close(&t);
}

#define TOP "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define KEY "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n"

static void pairs_of_lines_are_understood_with_and_without_a_group(void **state_)
{
    static const struct {
        const char *offer;
        const char *plain, *secure; /* how the answer's lines begin under prefer */
    } row[] = {
        { TOP "m=audio 4000 RTP/AVP 0\r\nm=audio 4000 RTP/SAVP 0\r\n" KEY, "m=audio 0 RTP/AVP",
          "m=audio 4000 RTP/SAVP" },
        { TOP "m=audio 4000 RTP/SAVP 0\r\n" KEY "m=audio 4000 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP",
          "m=audio 4000 RTP/SAVP" },
        { TOP "a=group:ANAT x y\r\nm=audio 4000 RTP/AVP 0\r\na=mid:x\r\nm=audio 4002 RTP/SAVP 0\r\n"
              "a=mid:y\r\n" KEY,
          "m=audio 0 RTP/AVP", "m=audio 4000 RTP/SAVP" },
        /* keys that are not ours: the other one */
        { TOP "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0\r\n",
          "m=audio 4000 RTP/AVP", "m=audio 0 UDP" },
        /* two streams are no pair */
        { TOP "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/SAVP 0\r\n" KEY, "m=audio 4000 RTP/AVP",
          "m=audio 0 RTP/SAVP" },
    };

    (void)state_;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct pair t;

        open_form(&t, CPH_KEYING_FORM_OSRTP, PREF);
        assert_ok(answer(&t, &t.b, cph_span_of(row[i].offer)));
        assert_int_equal(lines(&t.b, row[i].plain), 1);
        assert_int_equal(lines(&t.b, row[i].secure), 1);
        pair_close(&t);
    }
    for (size_t i = 0; i < 3; i++) { /* required: the line with keys, wherever it stands */
        struct pair t;

        open_form(&t, CPH_KEYING_FORM_OSRTP, REQ);
        assert_ok(answer(&t, &t.b, cph_span_of(row[i].offer)));
        assert_int_equal(state(&t.b), CPH_SESSION_LINE_KEYED);
        pair_close(&t);
    }
}

static void a_call_with_more_lines_than_we_have_streams_can_be_held(void **state_)
{
    struct pair t;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_OSRTP, PREF);
    assert_ok(answer(&t, &t.b,
                     cph_span_of(TOP "m=audio 4000 RTP/AVP 0\r\n" KEY
                                     "m=video 4002 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n")));
    assert_ok(cph_session_direction(t.b.s, 0, CPH_SDP_SENDONLY));
    assert_ok(offer(&t, &t.b));
    assert_int_equal(lines(&t.b, "m="), 2); /* RFC 3264 8 MUST */
    assert_int_equal(lines(&t.b, "m=video 0 "), 1);
    pair_close(&t);
}

/* ---- two bodies ------------------------------------------------------------------------------ */

static void the_body_without_keys_has_none(void **state_)
{
    struct pair t;
    struct cph_wr wr;
    char keyed[SDP_MAX];

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_BODIES, PREF);
    wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);
    assert_err(cph_session_offer_plain(t.a.s, &wr), CPH_E_STATE);
    assert_ok(offer(&t, &t.a));
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/SAVP"), 1);
    assert_true(lines(&t.a, "a=crypto") > 0);
    memcpy(keyed, t.a.sdp, t.a.text.n);
    assert_ok(cph_session_offer_plain(t.a.s, &wr));
    t.a.text = cph_wr_done(&wr);
    assert_int_equal(lines(&t.a, "m=audio 4000 RTP/AVP"), 1);
    assert_int_equal(lines(&t.a, "a=crypto"), 0);
    cph_session_rollback(t.a.s);
    wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);
    assert_err(cph_session_offer_plain(t.a.s, &wr), CPH_E_STATE);
    pair_close(&t);

    open_form(&t, CPH_KEYING_FORM_BODIES, PREF); /* what is required is not offered without */
    party_end(&t.a);
    party_init(&t.a, 1, REQ, "sdes");
    t.a.cfg.policy.form = CPH_KEYING_FORM_BODIES;
    party_start(&t.a);
    assert_ok(offer(&t, &t.a));
    wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);
    assert_err(cph_session_offer_plain(t.a.s, &wr), CPH_E_STATE);
    pair_close(&t);
}

static void branches_may_answer_different_bodies(void **state_)
{
    struct pair t;
    struct party c;
    struct cph_wr wr;

    (void)state_;
    open_form(&t, CPH_KEYING_FORM_BODIES, PREF);
    party_init(&c, 3, NONE, "sdes");
    party_start(&c);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    wr = cph_wr_open(t.a.sdp, sizeof t.a.sdp);
    assert_ok(cph_session_offer_plain(t.a.s, &wr));
    assert_ok(answer(&t, &c, cph_wr_done(&wr)));
    assert_ok(cph_session_finish(t.a.s, 1, c.text, 0));
    assert_ok(cph_session_finish(t.a.s, 2, t.b.text, 0));
    assert_ok(cph_session_choose(t.a.s, 1));
    assert_int_equal(state(&t.a), CPH_SESSION_LINE_CLEAR);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &c, t.a.text));
    assert_ok(cph_session_finish(t.a.s, 1, c.text, 0));
    party_end(&c);
    pair_close(&t);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static cph_err whole(void *arg)
{
    struct pair *t = arg;
    struct cph_session *a = NULL, *b = NULL;
    uint8_t x[SDP_MAX], y[SDP_MAX];
    struct cph_wr wx = cph_wr_open(x, sizeof x), wy = cph_wr_open(y, sizeof y);
    cph_err err = cph_session_new(&t->a.cfg, t->a.media, 1, 0, &a);

    if (err == CPH_OK)
        err = cph_session_new(&t->b.cfg, t->b.media, 1, 0, &b);
    if (err == CPH_OK)
        err = cph_session_offer(a, 0, &wx);
    if (err == CPH_OK)
        err = cph_session_answer(b, cph_wr_done(&wx), 0, &wy);
    if (err == CPH_OK)
        err = cph_session_finish(a, 1, cph_wr_done(&wy), 0);
    if (err == CPH_OK)
        err = cph_session_choose(a, 1);
    cph_session_free(a);
    cph_session_free(b);
    return err;
}

static void lack_of_memory_is_said_and_leaks_nothing(void **state_)
{
    (void)state_;
    for (int f = CPH_KEYING_FORM_CAPNEG; f <= CPH_KEYING_FORM_BODIES; f++) {
        struct pair t;

        open_form(&t, (enum cph_keying_form)f, PREF);
        test_alloc_fails(whole, &t);
        pair_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_keys_a_call_with_a_peer_that_has_keys),
        cmocka_unit_test(every_form_gives_rtp_to_a_peer_that_wants_none),
        cmocka_unit_test(who_bids_the_offer_down_lowers_the_verdict_in_every_form),
        cmocka_unit_test(who_bids_the_answer_down_lowers_the_verdict_of_who_asked),
        cmocka_unit_test(a_line_refused_in_the_peers_name_lowers_it_as_well),
        cmocka_unit_test(a_configuration_that_was_taken_is_offered_again_as_such),
        cmocka_unit_test(a_group_has_a_line_with_keys_and_one_without),
        cmocka_unit_test(the_line_without_keys_may_be_the_one_that_is_taken),
        cmocka_unit_test(who_takes_both_lines_is_asked_to_give_one_back),
        cmocka_unit_test(who_refuses_both_lines_has_refused_the_stream),
        cmocka_unit_test(pairs_of_lines_are_understood_with_and_without_a_group),
        cmocka_unit_test(a_call_with_more_lines_than_we_have_streams_can_be_held),
        cmocka_unit_test(the_body_without_keys_has_none),
        cmocka_unit_test(branches_may_answer_different_bodies),
        cmocka_unit_test(lack_of_memory_is_said_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/sdp_offer.h"
#include "examples.h"

static struct cph_arena *arena;

static int open_arena(void **state)
{
    (void)state;
    return cph_arena_new(4 * CPH_SDP_ARENA, &arena) == CPH_OK ? 0 : -1;
}

static int close_arena(void **state)
{
    (void)state;
    cph_arena_free(arena);
    return 0;
}

static const struct cph_sdp_codec codecs[] = {
    { "opus", 48000, 2, 96, "useinbandfec=1" },
    { "PCMU", 8000, 1, 0, NULL },
    { "PCMA", 8000, 1, 8, NULL },
    { "telephone-event", 8000, 1, 101, "0-15" },
};

static struct cph_sdp_local local_at(const char *addr)
{
    struct cph_sdp_local l = { .origin = { .id = 77, .version = 1 } };

    assert_ok(cph_addr_parse_ip(cph_span_of(addr), &l.addr));
    return l;
}

static struct cph_sdp_stream stream(uint16_t port)
{
    return (struct cph_sdp_stream){
        .port = port, .codecs = codecs, .n_codecs = 4, .direction = CPH_SDP_SENDRECV
    };
}

static struct cph_sdp *parse(const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(arena, cph_span_of(text), &sdp));
    return sdp;
}

static void assert_prints(const struct cph_sdp *sdp, const char *text)
{
    struct cph_span out = cph_sdp_text(sdp, arena);

    assert_string_equal((const char *)cph_arena_copy(arena, out).p, text);
}

static struct cph_sdp *offer_of(const struct cph_sdp_local *l, struct cph_sdp_stream s)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_offer(arena, l, &s, 1, &sdp));
    return sdp;
}

static struct cph_sdp *answer_of(const struct cph_sdp *offer, struct cph_sdp_stream s)
{
    struct cph_sdp_local l = local_at("10.0.0.2");
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_answer_skeleton(arena, &l, offer, &s, 1, &sdp));
    assert_ok(cph_sdp_answer_check(offer, sdp));
    return sdp;
}

static void an_offer_says_all_we_wish(void **state)
{
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp_stream s = stream(4000);

    (void)state;
    s.rtcp_mux = true;
    s.ptime = 20;
    s.mid = "a";
    s.proto = CPH_SDP_RTP_SAVP;
    s.rtcp_port = 4003;
    assert_prints(offer_of(&l, s),
                  "v=0\r\no=- 77 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
                  "m=audio 4000 RTP/SAVP 96 0 8 101\r\n"
                  "a=mid:a\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
                  "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
                  "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
                  "a=ptime:20\r\na=sendrecv\r\na=rtcp:4003\r\na=rtcp-mux\r\n");
}

static void an_offer_that_contradicts_itself_is_refused(void **state)
{
    static const struct cph_sdp_codec twice[] = { { "PCMU", 8000, 1, 0, NULL },
                                                  { "PCMA", 8000, 1, 0, NULL } };
    static const struct cph_sdp_codec high[] = { { "PCMU", 8000, 1, 128, NULL } };
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp_stream s = stream(4000);
    struct cph_sdp *sdp;

    (void)state;
    s.codecs = twice;
    s.n_codecs = 2;
    assert_err(cph_sdp_offer(arena, &l, &s, 1, &sdp), CPH_E_ARGUMENT);
    s.codecs = high;
    s.n_codecs = 1;
    assert_err(cph_sdp_offer(arena, &l, &s, 1, &sdp), CPH_E_ARGUMENT);
    s.n_codecs = 0;
    assert_err(cph_sdp_offer(arena, &l, &s, 1, &sdp), CPH_E_ARGUMENT);
}

static void an_answer_takes_the_offers_numbers_order_and_profile(void **state)
{
    struct cph_sdp *offer = parse(
        "v=0\r\no=x 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
        "t=0 0\r\nm=audio 4000 RTP/SAVPF 8 111 3 126 112\r\n"
        "a=rtpmap:111 OPUS/48000/2\r\na=rtpmap:126 telephone-event/8000\r\n"
        "a=rtpmap:112 opus/48000/2\r\na=mid:m1\r\na=rtcp-mux\r\n");
    struct cph_sdp_stream s = stream(5000);
    struct cph_sdp_agreed a;
    struct cph_sdp *answer;

    (void)state;
    s.rtcp_mux = true;
    answer = answer_of(offer, s);
    assert_prints(answer, "v=0\r\no=- 77 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
                          "m=audio 5000 RTP/SAVPF 8 111 126\r\na=mid:m1\r\na=rtpmap:8 PCMA/8000\r\n"
                          "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
                          "a=rtpmap:126 telephone-event/8000\r\na=fmtp:126 0-15\r\n"
                          "a=sendrecv\r\na=rtcp-mux\r\n");
    assert_ok(cph_sdp_agree(answer, offer, 0, false, &a));
    assert_true(a.active && a.rtcp_mux && a.proto == CPH_SDP_RTP_SAVPF);
    assert_int_equal(a.n_codecs, 4); /* 112 is the same codec as 111 */
    assert_int_equal(a.codec[0].pt_send, 8);
    assert_true(a.codec[3].pt_send == 112 && a.codec[3].pt_recv == 111);
    assert_int_equal(a.rtcp.addr.port, 4000);
}

static void each_side_sends_with_the_numbers_of_the_other(void **state)
{
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp *offer = offer_of(&l, stream(4000));
    struct cph_sdp *answer = parse(
        "v=0\r\no=x 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\n"
        "t=0 0\r\nm=audio 5000 RTP/AVP 0 120\r\n"
        "a=rtpmap:120 opus/48000/2\r\na=fmtp:120 maxaveragebitrate=9000\r\n"
        "a=ptime:40\r\na=maxptime:60\r\n");
    struct cph_sdp_agreed a;

    (void)state;
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_ok(cph_sdp_agree(offer, answer, 0, true, &a));
    assert_int_equal(a.n_codecs, 2);
    assert_true(a.codec[1].pt_send == 120 && a.codec[1].pt_recv == 96);
    assert_true(cph_span_is(a.codec[1].fmtp_remote, "maxaveragebitrate=9000"));
    assert_true(cph_span_is(a.codec[1].fmtp_local, "useinbandfec=1"));
    assert_true(a.ptime == 40 && a.maxptime == 60);
    assert_true(!a.rtcp_mux && a.rtp.addr.port == 5000 && a.rtcp.addr.port == 5001);
    assert_err(cph_sdp_agree(offer, answer, 1, true, &a), CPH_E_ARGUMENT);
}

static void what_we_lack_is_refused_in_its_place(void **state)
{
    struct cph_sdp *offer = parse(ex_3264_offer), *answer;
    struct cph_sdp_local l = local_at("10.0.0.2");
    struct cph_sdp_stream s[2] = { stream(5000), stream(5002) };
    static const char *const none[] = {
        "m=audio 0 RTP/AVP 0\r\n",     /* removed */
        "m=audio 4000 RTP/AVP 18\r\n", /* no codec in common */
        "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", /* tones alone */
        "m=audio 4000 TCP/RTP/AVP 0\r\n",                                    /* unknown profile */
        "m=image 4000 udptl t38\r\n",                                        /* another kind */
        "m=audio 4000 RTP/AVP 96\r\n", /* a dynamic number that means nothing */
        "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000\r\n", /* other channels */
    };

    (void)state;
    assert_ok(cph_sdp_answer_skeleton(arena, &l, offer, s, 2, &answer));
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_true(answer->n_media == 3 && answer->media[0]->port == 5000);
    assert_prints(answer, "v=0\r\no=- 77 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
                          "m=audio 5000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
                          "m=video 0 RTP/AVP 31\r\nm=video 0 RTP/AVP 32\r\n");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct cph_sdp_agreed a;

        offer = parse(cph_arena_fmt(arena,
                                    "v=0\r\no=x 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"
                                    "c=IN IP4 10.0.0.1\r\nt=0 0\r\n%s",
                                    none[i]));
        answer = answer_of(offer, stream(5000));
        assert_int_equal(answer->media[0]->port, 0);
        assert_ok(cph_sdp_agree(answer, offer, 0, false, &a));
        assert_false(a.active);
    }
    s[0].port = 0; /* we do not want it */
    assert_ok(cph_sdp_answer_skeleton(arena, &l, parse(ex_3264_offer), s, 2, &answer));
    assert_int_equal(answer->media[0]->port, 0);
}

/* RFC 3264 6.1, table by table: what is offered, what the answerer wants, what comes out. */
static void directions_are_what_both_allow(void **state)
{
    (void)state;
    for (int o = 0; o <= 3; o++)
        for (int w = 0; w <= 3; w++) {
            struct cph_sdp_local l = local_at("10.0.0.1");
            struct cph_sdp_stream so = stream(4000), sa = stream(5000);
            struct cph_sdp *offer, *answer;
            struct cph_sdp_agreed a, b;

            so.direction = (enum cph_sdp_dir)o;
            sa.direction = (enum cph_sdp_dir)w;
            offer = offer_of(&l, so);
            answer = answer_of(offer, sa);
            assert_int_equal(cph_sdp_direction(answer, answer->media[0]),
                             w & (int)cph_sdp_dir_mirror((enum cph_sdp_dir)o));
            assert_ok(cph_sdp_agree(offer, answer, 0, true, &a));
            assert_ok(cph_sdp_agree(answer, offer, 0, false, &b));
            assert_int_equal(a.direction, cph_sdp_dir_mirror(b.direction));
            assert_int_equal(b.direction, w & (int)cph_sdp_dir_mirror((enum cph_sdp_dir)o));
        }
}

static void both_ways_to_hold_are_understood(void **state)
{
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp_stream s = stream(4000);
    struct cph_sdp *offer, *answer;
    struct cph_sdp_agreed a;

    (void)state;
    s.direction = CPH_SDP_SENDONLY;
    offer = offer_of(&l, s);
    answer = answer_of(offer, stream(5000));
    assert_non_null(cph_sdp_attr(&answer->media[0]->part, "recvonly"));
    assert_ok(cph_sdp_agree(answer, offer, 0, false, &a));
    assert_true(a.active && a.direction == CPH_SDP_RECVONLY && a.remote_hold);
    assert_ok(cph_sdp_agree(offer, answer, 0, true, &a));
    assert_true(a.active && a.direction == CPH_SDP_SENDONLY && !a.remote_hold);

    s.direction = CPH_SDP_SENDRECV;
    s.hold_by_address = true;
    offer = offer_of(&l, s);
    assert_true(cph_span_is(cph_sdp_line(&offer->media[0]->part, 'c')->value, "IN IP4 0.0.0.0"));
    answer = answer_of(offer, stream(5000));
    assert_non_null(cph_sdp_attr(&answer->media[0]->part, "recvonly"));
    /* a peer that answers sendrecv nevertheless does not make us send into the void */
    answer = parse("v=0\r\no=x 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                   "m=audio 5000 RTP/AVP 0\r\na=sendrecv\r\n");
    offer = offer_of(&l, stream(4000));
    assert_ok(cph_sdp_agree(offer, answer, 0, true, &a));
    assert_true(a.direction == CPH_SDP_RECVONLY && a.remote_hold);
}

static void numbers_keep_their_meaning_in_a_reoffer(void **state)
{
    struct cph_sdp *offer = parse("v=0\r\no=x 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
                                  "t=0 0\r\nm=audio 4000 RTP/AVP 101 96 0\r\n"
                                  "a=rtpmap:101 opus/48000/2\r\na=rtpmap:96 iLBC/8000\r\n");
    struct cph_sdp *answer = answer_of(offer, stream(5000)), *reoffer;
    struct cph_sdp_local l = local_at("10.0.0.2");
    struct cph_sdp_stream s = stream(5000);
    struct cph_sdp_codec mine[4];

    (void)state;
    memcpy(mine, codecs, sizeof mine);
    assert_ok(cph_sdp_codecs_renumber(answer, offer, 0, mine, 4));
    assert_int_equal(mine[0].pt, 101); /* opus, as the peer numbered it */
    assert_int_equal(mine[1].pt, 0);
    assert_int_equal(mine[2].pt, 8);
    assert_int_equal(mine[3].pt, 97); /* 101 and 96 mean something else by now */
    s.codecs = mine;
    assert_ok(cph_sdp_offer(arena, &l, &s, 1, &reoffer));
    assert_ok(cph_sdp_codecs_renumber(answer, offer, 7, mine, 4)); /* a new stream: any number */
    assert_int_equal(mine[3].pt, 97);
    assert_err(cph_sdp_codecs_renumber(answer, offer, 0, mine, CPH_SDP_MAX_CODECS + 1),
               CPH_E_ARGUMENT);
}

static void the_version_moves_exactly_when_something_changes(void **state)
{
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp *first = offer_of(&l, stream(4000)), *same, *held, *fewer;
    struct cph_sdp_stream s = stream(4000);

    (void)state;
    assert_ok(cph_sdp_finish_local(&l, first, NULL));
    assert_true(first->origin.version == 1);
    same = offer_of(&l, s);
    assert_ok(cph_sdp_finish_local(&l, same, first));
    assert_true(same->origin.version == 1);
    s.direction = CPH_SDP_SENDONLY;
    held = offer_of(&l, s);
    assert_ok(cph_sdp_finish_local(&l, held, same));
    assert_true(held->origin.version == 2 && l.origin.version == 2);
    assert_ok(cph_sdp_offer(arena, &l, NULL, 0, &fewer));
    assert_err(cph_sdp_finish_local(&l, fewer, held), CPH_E_ARGUMENT);
}

static void streams_are_added_and_removed(void **state)
{
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp_stream s[2] = { stream(4000), stream(4002) };
    struct cph_sdp *one = offer_of(&l, s[0]), *two, *removed;

    (void)state;
    assert_ok(cph_sdp_finish_local(&l, one, NULL));
    assert_ok(cph_sdp_offer(arena, &l, s, 2, &two));
    assert_ok(cph_sdp_finish_local(&l, two, one));
    assert_ok(cph_sdp_reoffer_check(one, two));
    assert_err(cph_sdp_reoffer_check(two, one), CPH_E_MALFORMED);
    s[0].port = 0;
    assert_ok(cph_sdp_offer(arena, &l, s, 2, &removed));
    assert_ok(cph_sdp_finish_local(&l, removed, two));
    assert_true(removed->origin.version == 3 && removed->media[0]->port == 0);
    assert_int_equal(removed->media[0]->part.n_lines, 1);
    assert_ok(cph_sdp_reoffer_check(two, removed));
    assert_err(cph_sdp_reoffer_check(removed, two), CPH_E_MALFORMED); /* version goes back */
}

static void the_exchange_of_rfc3264_10_1_checks(void **state)
{
    struct cph_sdp *offer = parse(ex_3264_offer), *answer = parse(ex_3264_answer);
    struct cph_sdp *reoffer = parse(ex_3264_reoffer);
    struct cph_sdp_agreed a;

    (void)state;
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_ok(cph_sdp_agree(offer, answer, 0, true, &a));
    assert_true(a.active && cph_span_is(a.rtp.host, "host.example.com") &&
                a.rtp.addr.port == 49920);
    assert_ok(cph_sdp_agree(offer, answer, 1, true, &a));
    assert_false(a.active);
    assert_ok(cph_sdp_reoffer_check(answer, reoffer));
    assert_err(cph_sdp_reoffer_check(reoffer, answer), CPH_E_MALFORMED);
}

static void answers_that_do_not_fit_are_refused(void **state)
{
    static const char *const bad[] = {
        "",                                                     /* too few */
        "m=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 0\r\n", /* too many */
        "m=video 5000 RTP/AVP 0\r\n",                           /* another kind */
        "m=audio 5000 RTP/SAVP 0\r\n",                          /* another profile */
    };
    struct cph_sdp_local l = local_at("10.0.0.1");
    struct cph_sdp_stream gone = stream(0);
    struct cph_sdp *offer = offer_of(&l, stream(4000)), *answer;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answer = parse(cph_arena_fmt(arena,
                                     "v=0\r\no=x 1 1 IN IP4 10.0.0.2\r\ns=-\r\n"
                                     "c=IN IP4 10.0.0.2\r\nt=0 0\r\n%s",
                                     bad[i]));
        assert_err(cph_sdp_answer_check(offer, answer), CPH_E_MALFORMED);
    }
    answer = parse("v=0\r\no=x 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
                   "m=audio 5000 RTP/AVP 0\r\n");
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_err(cph_sdp_answer_check(offer_of(&l, gone), answer), CPH_E_MALFORMED);
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_offer_says_all_we_wish),
        test(an_offer_that_contradicts_itself_is_refused),
        test(an_answer_takes_the_offers_numbers_order_and_profile),
        test(each_side_sends_with_the_numbers_of_the_other),
        test(what_we_lack_is_refused_in_its_place),
        test(directions_are_what_both_allow),
        test(both_ways_to_hold_are_understood),
        test(numbers_keep_their_meaning_in_a_reoffer),
        test(the_version_moves_exactly_when_something_changes),
        test(streams_are_added_and_removed),
        test(the_exchange_of_rfc3264_10_1_checks),
        test(answers_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

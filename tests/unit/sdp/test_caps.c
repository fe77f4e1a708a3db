/* Capability negotiation: RFC 5939's own examples, and what is wrong with descriptions like them.
 */
#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/sdp_caps.h"
#include "ciphony/sdp_offer.h"

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

static struct cph_sdp *parse(const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(arena, cph_span_of(text), &sdp));
    return sdp;
}

static struct cph_sdp_configs configs(const char *text, unsigned media)
{
    struct cph_sdp *sdp = parse(text);
    struct cph_sdp_configs out;

    cph_sdp_configs_of(sdp, sdp->media[media], &out);
    return out;
}

static void assert_prints(const struct cph_sdp *sdp, const char *text)
{
    struct cph_span out = cph_sdp_text(sdp, arena);

    assert_string_equal((const char *)cph_arena_copy(arena, out).p, text);
}

#define TOP  "v=0\r\no=- 25678 753849 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define KEY  "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4"
#define KEY2 "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32"

/* ---- the RFC's examples ---------------------------------------------------------------------- */

/* RFC 5939 3.2 */
static const char simple[] = TOP "m=audio 53456 RTP/AVP 0 18\r\n"
                                 "a=tcap:1 RTP/SAVP\r\n"
                                 "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"
                                 "a=pcfg:1 t=1 a=1\r\n";

static void the_simple_example_has_one_configuration(void **state)
{
    struct cph_sdp_configs c = configs(simple, 0);
    struct cph_sdp *offer = parse(simple), *as;

    (void)state;
    assert_int_equal(c.n, 1);
    assert_int_equal(c.config[0].number, 1);
    assert_int_equal(c.config[0].transport, 1);
    assert_true(cph_span_is(c.config[0].proto, "RTP/SAVP"));
    assert_ok(cph_sdp_config_apply(arena, offer, 0, &c.config[0], &as));
    assert_prints(as, TOP "m=audio 53456 RTP/SAVP 0 18\r\n"
                          "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n");
    assert_int_equal(as->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_prints(offer, simple); /* the offer itself is untouched */
}

/* RFC 5939 4.1 */
static void favourites_come_first_and_optional_attributes_we_lack_are_left_out(void **state)
{
    static const char text[] = TOP "m=audio 53456 RTP/AVP 0 18\r\n"
                                   "a=tcap:1 RTP/SAVPF RTP/SAVP RTP/AVPF\r\n"
                                   "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"
                                   "a=acap:2 rtcp-fb:0 nack\r\n"
                                   "a=pcfg:3 t=3 a=[2]\r\n"
                                   "a=pcfg:1 t=1 a=1,[2]\r\n"
                                   "a=pcfg:2 t=2 a=1\r\n";
    struct cph_sdp_configs c = configs(text, 0);

    (void)state;
    assert_int_equal(c.n, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(c.config[i].number, i + 1);
    assert_true(cph_span_is(c.config[0].proto, "RTP/SAVPF"));
    assert_int_equal(c.config[0].attrs.n, 1);
    assert_int_equal(c.config[0].attrs.mandatory, 1);
    assert_int_equal(c.config[2].attrs.n, 0);
}

/* RFC 5939 3.6.2.1 */
static void session_and_media_attributes_go_where_they_belong_ahead_of_the_others(void **state)
{
    static const char text[] = "v=0\r\no=alice 1 1 IN IP4 lost.example.com\r\ns=-\r\n"
                               "c=IN IP4 lost.example.com\r\nt=0 0\r\n"
                               "a=tool:foo\r\n"
                               "a=acap:1 key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyO\r\n"
                               "a=tcap:1 RTP/SAVP RTP/AVP\r\n"
                               "m=audio 59000 RTP/AVP 98\r\n"
                               "a=rtpmap:98 AMR/8000\r\n"
                               "a=acap:2 crypto:1 AES_CM_128_HMAC_SHA1_32 " KEY2 "\r\n"
                               "a=pcfg:1 t=1 a=1|2\r\n"
                               "m=video 52000 RTP/AVP 31\r\n"
                               "a=rtpmap:31 H261/90000\r\n"
                               "a=acap:3 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"
                               "a=pcfg:1 t=1 a=1|3\r\n";
    struct cph_sdp_configs c = configs(text, 0);
    struct cph_sdp *as;

    (void)state;
    assert_int_equal(c.n, 2);
    assert_int_equal(configs(text, 1).n, 2);
    assert_ok(cph_sdp_config_apply(arena, parse(text), 0, &c.config[0], &as));
    assert_prints(as, "v=0\r\no=alice 1 1 IN IP4 lost.example.com\r\ns=-\r\n"
                      "c=IN IP4 lost.example.com\r\nt=0 0\r\n"
                      "a=key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyO\r\n"
                      "a=tool:foo\r\n"
                      "m=audio 59000 RTP/SAVP 98\r\n"
                      "a=rtpmap:98 AMR/8000\r\n"
                      "m=video 52000 RTP/AVP 31\r\n"
                      "a=rtpmap:31 H261/90000\r\n");
    assert_ok(cph_sdp_config_apply(arena, parse(text), 0, &c.config[1], &as));
    assert_prints(as, "v=0\r\no=alice 1 1 IN IP4 lost.example.com\r\ns=-\r\n"
                      "c=IN IP4 lost.example.com\r\nt=0 0\r\n"
                      "a=tool:foo\r\n"
                      "m=audio 59000 RTP/SAVP 98\r\n"
                      "a=crypto:1 AES_CM_128_HMAC_SHA1_32 " KEY2 "\r\n"
                      "a=rtpmap:98 AMR/8000\r\n"
                      "m=video 52000 RTP/AVP 31\r\n"
                      "a=rtpmap:31 H261/90000\r\n");
}

/* RFC 5939 3.5.1: "-m:1,2,[3,4]|1,7,[5]" and the four of t=4|3 and t=1|2 */
static void alternatives_and_deletions_are_read(void **state)
{
    struct cph_sdp_pcfg p;
    struct cph_sdp_configs c;
    struct cph_sdp *as;

    (void)state;
    assert_ok(cph_sdp_pcfg_parse(CPH_SPAN_LIT("1 a=-m:1,2,[3,4]|1,7,[5]"), &p));
    assert_true(p.delete_media && !p.delete_session);
    assert_int_equal(p.n_attrs, 2);
    assert_int_equal(p.attrs[0].n, 4);
    assert_int_equal(p.attrs[0].mandatory, 2);
    assert_int_equal(p.attrs[1].number[1], 7);
    assert_int_equal(p.attrs[1].mandatory, 2);
    assert_int_equal(p.attrs[1].n, 3);
    c = configs(TOP "m=audio 53456 RTP/AVPF 0 18\r\n"
                    "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_32 " KEY2 "\r\n"
                    "a=tcap:1 RTP/AVPF RTP/AVP RTP/SAVP RTP/SAVPF\r\n"
                    "a=pcfg:1 t=4|3 a=1\r\n"
                    "a=pcfg:8 t=1|2\r\n",
                0);
    assert_int_equal(c.n, 4);
    assert_true(cph_span_is(c.config[0].proto, "RTP/SAVPF"));
    assert_true(cph_span_is(c.config[1].proto, "RTP/SAVP"));
    assert_true(cph_span_is(c.config[2].proto, "RTP/AVPF"));
    assert_true(cph_span_is(c.config[3].proto, "RTP/AVP"));

    static const char text[] = TOP "a=tool:x\r\nm=audio 4 RTP/AVP 0\r\na=ptime:30\r\n"
                                   "a=acap:1 ptime:20\r\na=pcfg:1 a=-ms:1\r\na=pcfg:2 a=-s\r\n"
                                   "a=pcfg:3\r\n";
    c = configs(text, 0);
    assert_int_equal(c.n, 3);
    assert_ok(cph_sdp_config_apply(arena, parse(text), 0, &c.config[0], &as));
    assert_prints(as, TOP "m=audio 4 RTP/AVP 0\r\na=ptime:20\r\n");
    assert_ok(cph_sdp_config_apply(arena, parse(text), 0, &c.config[1], &as));
    assert_prints(as, TOP "m=audio 4 RTP/AVP 0\r\na=ptime:30\r\n");
    assert_ok(cph_sdp_config_apply(arena, parse(text), 0, &c.config[2], &as));
    assert_prints(as, TOP "a=tool:x\r\nm=audio 4 RTP/AVP 0\r\na=ptime:30\r\n");
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static void attributes_that_break_their_grammar_are_refused(void **state)
{
    static const char *const pcfg[] = {
        "",         "0",           "x",           "2147483648", "00000000001",
        "1 a=",     "1 a=0",       "1 a=1,",      "1 a=,1",     "1 a=1,[2",
        "1 a=1[2]", "1 a=1,[]",    "1 a=[1]2",    "1 a=-x:1",   "1 a=-:1",
        "1 a=1|",   "1 a=|1",      "1 t=",        "1 t=0",      "1 t=1|",
        "1 t=1,2",  "1 t=1 t=2",   "1 a=1 a=2",   "1 b",        "1 =1",
        "1 x=",     "1 +=1",       "1 a=1 x y=1", "-1",         "1 a=-m:",
        "1,2",      "1 a=1,[2],3", "1 a=1,[2,]",  "+1",         "1 t=2147483648",
    };
    static const char *const acap[] = {
        "",     "1",         "0 ptime:1",        "1 acap:2 foo:a", "1 pcfg:1 t=1",
        "1 :x", "x ptime:1", "1 tcap:1 RTP/AVP", "1 a b:c"
    };
    static const char *const tcap[] = {
        "", "1", "0 RTP/AVP", "x RTP/AVP", "2147483647 a b", "1 RTP/(AVP)", "1 RTP/AVP RTP//AVP"
    };
    struct cph_sdp_pcfg p;
    struct cph_sdp_acap a;
    struct cph_sdp_tcap t;

    (void)state;
    for (size_t i = 0; i < sizeof pcfg / sizeof *pcfg; i++)
        assert_err(cph_sdp_pcfg_parse(cph_span_of(pcfg[i]), &p), CPH_E_MALFORMED);
    for (size_t i = 0; i < sizeof acap / sizeof *acap; i++)
        assert_err(cph_sdp_acap_parse(cph_span_of(acap[i]), &a), CPH_E_MALFORMED);
    for (size_t i = 0; i < sizeof tcap / sizeof *tcap; i++)
        assert_err(cph_sdp_tcap_parse(cph_span_of(tcap[i]), &t), CPH_E_MALFORMED);
    assert_ok(cph_sdp_pcfg_parse(CPH_SPAN_LIT("2147483647 x=y a=-s"), &p));
    assert_false(p.foreign);
    assert_ok(cph_sdp_pcfg_parse(CPH_SPAN_LIT("1 +x=y"), &p));
    assert_true(p.foreign);
}

static void lists_are_bounded(void **state)
{
    char text[256] = "1 a=1", alts[256] = "1 t=1";
    struct cph_sdp_pcfg p;

    (void)state;
    for (int i = 1; i < CPH_SDP_CAPS_REFS; i++)
        strcat(text, ",7");
    assert_ok(cph_sdp_pcfg_parse(cph_span_of(text), &p));
    assert_int_equal(p.attrs[0].n, CPH_SDP_CAPS_REFS);
    strcat(text, ",7");
    assert_err(cph_sdp_pcfg_parse(cph_span_of(text), &p), CPH_E_LIMIT);
    for (int i = 1; i < CPH_SDP_CAPS_ALTS; i++)
        strcat(alts, "|7");
    assert_ok(cph_sdp_pcfg_parse(cph_span_of(alts), &p));
    strcat(alts, "|7");
    assert_err(cph_sdp_pcfg_parse(cph_span_of(alts), &p), CPH_E_LIMIT);
}

#define LINE "m=audio 53456 RTP/AVP 0\r\n"
#define CAPS "a=tcap:1 RTP/SAVP\r\na=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"

static void configurations_that_are_not_valid_are_passed_over(void **state)
{
    static const char *const bad[] = {
        TOP LINE CAPS "a=pcfg:1 t=2 a=1\r\n",                         /* no such transport */
        TOP LINE CAPS "a=pcfg:1 t=1 a=2\r\n",                         /* no such attribute */
        TOP LINE CAPS "a=pcfg:1 t=1 a=1\r\na=pcfg:1 t=1\r\n",         /* a number twice */
        TOP LINE CAPS "a=acap:1 ptime:20\r\na=pcfg:1 t=1 a=1\r\n",    /* a capability twice */
        TOP LINE CAPS "a=tcap:2 RTP/AVP\r\na=pcfg:1 t=1 a=1\r\n",     /* two lists of transports */
        TOP "a=tcap:1 RTP/AVPF\r\n" LINE CAPS "a=pcfg:1 t=1 a=1\r\n", /* numbers overlap */
        TOP "a=acap:5 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n" LINE
            "a=tcap:1 RTP/SAVP\r\na=pcfg:1 t=1 a=5\r\n",           /* what belongs to a section */
        TOP LINE CAPS "a=acap:2 what:x\r\na=pcfg:1 t=1 a=1,2\r\n", /* mandatory and unknown */
        TOP LINE CAPS "a=pcfg:1 t=1 a=1 +ext=1\r\n",               /* an extension we lack */
        TOP "a=creq:cap-v1\r\n" LINE CAPS "a=pcfg:1 t=1 a=1\r\n",
        TOP LINE CAPS "a=creq:cap-v0,foo\r\na=pcfg:1 t=1 a=1\r\n",
        TOP "m=audio 1 RTP/AVP 0\r\na=pcfg:1 t=1 a=1\r\n" LINE CAPS, /* of another section */
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(configs(bad[i], 0).n, 0);
    assert_true(configs(bad[9], 0).lacking_session);
    assert_true(configs(bad[10], 0).lacking_media);
    assert_int_equal(configs(TOP "a=creq:cap-v0\r\n" LINE CAPS "a=pcfg:1 t=1 a=1 ext=1\r\n", 0).n,
                     1);
}

static void many_configurations_are_looked_at_only_so_far(void **state)
{
    struct cph_buf text = { .limit = CPH_SDP_MAX_BYTES };
    struct cph_sdp_configs c;
    char line[64];

    (void)state;
    assert_ok(cph_buf_put(&text, CPH_SPAN_LIT(TOP LINE CAPS)));
    for (int i = 0; i < 200; i++) {
        (void)snprintf(line, sizeof line, "a=pcfg:%d t=1|1|1|1 a=1|1|1|1\r\n", 200 - i);
        assert_ok(cph_buf_put(&text, cph_span_of(line)));
    }
    assert_ok(cph_buf_put(&text, (struct cph_span){ (const uint8_t *)"", 1 }));
    c = configs((const char *)cph_buf_view(&text).p, 0);
    assert_int_equal(c.n, CPH_SDP_CAPS_CONFIGS);
    cph_buf_clear(&text);
}

/* ---- answers --------------------------------------------------------------------------------- */

static cph_err check(const char *offer, const char *answer)
{
    return cph_sdp_answer_check(parse(offer), parse(answer));
}

static void an_answer_may_have_another_transport_if_it_says_which_configuration(void **state)
{
    (void)state;
    assert_ok(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\na=acfg:1 t=1 a=1\r\n"));
    assert_ok(check(simple, TOP "m=audio 1 RTP/AVP 0\r\n"));
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\n"), CPH_E_MALFORMED);
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVPF 0\r\na=acfg:1 t=1 a=1\r\n"), CPH_E_MALFORMED);
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\na=acfg:2 t=1 a=1\r\n"), CPH_E_MALFORMED);
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\na=acfg:1 t=2 a=1\r\n"), CPH_E_MALFORMED);
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\na=acfg:1 t=1\r\na=acfg:1 t=1\r\n"),
               CPH_E_MALFORMED);
    assert_err(check(simple, TOP "m=audio 1 RTP/SAVP 0\r\na=acfg:1 t=1|1 a=1\r\n"),
               CPH_E_MALFORMED);
    /* who offers "optional" may get the profile with keys */
    assert_ok(check(TOP LINE "a=encryption:optional\r\n", TOP "m=audio 1 RTP/SAVP 0\r\n"));
    assert_err(check(TOP LINE, TOP "m=audio 1 RTP/SAVP 0\r\n"), CPH_E_MALFORMED);
    assert_err(check(TOP LINE "a=encryption:optional\r\n", TOP "m=audio 1 RTP/SAVPF 0\r\n"),
               CPH_E_MALFORMED);
}

/* as liblinphone 5.1 does */
static void alternatives_in_an_answer_are_put_together(void **state)
{
    struct cph_sdp_config c;

    (void)state;
    assert_ok(cph_sdp_acfg_parse(CPH_SPAN_LIT("1 a=1,3|2,3|4 t=1"), &c));
    assert_int_equal(c.attrs.n, 4);
    assert_int_equal(c.attrs.number[1], 3);
    assert_int_equal(c.attrs.number[3], 4);
    assert_err(
        cph_sdp_acfg_parse(CPH_SPAN_LIT("1 a=1,2,3,4,5,6,7,8,9|10,11,12,13,14,15,16,17 t=1"), &c),
        CPH_E_LIMIT);
    assert_err(cph_sdp_acfg_parse(CPH_SPAN_LIT("1 a=1 t=1|2"), &c), CPH_E_MALFORMED);
    assert_err(cph_sdp_acfg_parse(CPH_SPAN_LIT("1 a=1 +x=1"), &c), CPH_E_MALFORMED);
}

static void what_is_offered_is_read_back_as_it_was_meant(void **state)
{
    static const char *const optional[] = { "tls-id", NULL };
    struct cph_sdp *offer = parse(TOP LINE "a=sendrecv\r\n");
    struct cph_sdp *one = parse(TOP "m=audio 53456 UDP/TLS/RTP/SAVP 0\r\na=setup:actpass\r\n"
                                    "a=tls-id:abc\r\na=fingerprint:sha-256 00\r\na=sendrecv\r\n");
    struct cph_sdp *two = parse(TOP "m=audio 53456 RTP/SAVP 0\r\na=sendrecv\r\na=crypto:1 x y\r\n"
                                    "a=cryptex\r\na=crypto:2 z y\r\n");
    struct cph_sdp_config c;
    struct cph_sdp_configs all;
    struct cph_sdp *as;

    (void)state;
    assert_ok(cph_sdp_config_offer(offer, offer->media[0], one->media[0], optional, &c));
    assert_int_equal(c.number, 1);
    assert_ok(cph_sdp_config_offer(offer, offer->media[0], two->media[0], optional, &c));
    assert_int_equal(c.number, 2);
    assert_prints(offer, TOP LINE "a=sendrecv\r\n"
                                  "a=acap:1 setup:actpass\r\n"
                                  "a=acap:2 fingerprint:sha-256 00\r\n"
                                  "a=acap:3 tls-id:abc\r\n"
                                  "a=pcfg:1 t=1 a=1,2,[3]\r\n"
                                  "a=tcap:1 UDP/TLS/RTP/SAVP RTP/SAVP\r\n"
                                  "a=acap:4 cryptex\r\n"
                                  "a=acap:5 crypto:1 x y\r\n"
                                  "a=acap:6 crypto:2 z y\r\n"
                                  "a=pcfg:2 t=2 a=4,5|4,6\r\n");
    cph_sdp_configs_of(offer, offer->media[0], &all);
    assert_int_equal(all.n, 3);
    assert_ok(cph_sdp_config_apply(arena, offer, 0, &all.config[1], &as));
    assert_prints(as, TOP "m=audio 53456 RTP/SAVP 0\r\na=cryptex\r\na=crypto:1 x y\r\n"
                          "a=sendrecv\r\n");
    assert_ok(cph_sdp_acfg_add(two, two->media[0], &all.config[0]));
    assert_true(cph_span_is(cph_sdp_attr(&two->media[0]->part, "acfg")->arg, "1 t=1 a=1,2,[3]"));
}

static cph_err parse_and_apply(void *arg, struct cph_span bytes)
{
    struct cph_arena *own;
    struct cph_sdp *sdp, *as;
    struct cph_sdp_configs c;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &own));
    err = cph_sdp_parse(own, bytes, &sdp);
    if (err == CPH_OK && sdp->n_media > 0) {
        cph_sdp_configs_of(sdp, sdp->media[0], &c);
        for (unsigned i = 0; i < c.n && err == CPH_OK; i++)
            err = cph_sdp_config_apply(own, sdp, 0, &c.config[i], &as);
    }
    cph_arena_free(own);
    return err;
}

static void damaged_examples_never_crash(void **state)
{
    (void)state;
    expect_fragile(CPH_SPAN_LIT(simple), 0, parse_and_apply, NULL);
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_simple_example_has_one_configuration),
        test(favourites_come_first_and_optional_attributes_we_lack_are_left_out),
        test(session_and_media_attributes_go_where_they_belong_ahead_of_the_others),
        test(alternatives_and_deletions_are_read),
        test(attributes_that_break_their_grammar_are_refused),
        test(lists_are_bounded),
        test(configurations_that_are_not_valid_are_passed_over),
        test(many_configurations_are_looked_at_only_so_far),
        test(an_answer_may_have_another_transport_if_it_says_which_configuration),
        test(alternatives_in_an_answer_are_put_together),
        test(what_is_offered_is_read_back_as_it_was_meant),
        test(damaged_examples_never_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

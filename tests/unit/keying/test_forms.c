/* The forms of best-effort encryption, with a peer that knows them and with one that does not. */
#include "pair.h"

#include "ciphony/crypto_key.h"
#include "keying_int.h"
#include "zrtp/zrtp_int.h"

static const struct cph_keying_method *const sdes_only[] = { &cph_keying_sdes, NULL };
static const struct cph_keying_method *const dtls_only[] = { &cph_keying_dtls, NULL };
static const struct cph_keying_method *const zrtp_only[] = { &cph_keying_zrtp, NULL };
static const struct cph_keying_method *const both[] = { &cph_keying_dtls, &cph_keying_sdes, NULL };

static struct cph_key *key;
static struct cph_cert *cert;
static struct pair p;

static struct cph_nego_cfg cfg(enum cph_keying_policy policy, enum cph_keying_form form,
                               const struct cph_keying_method *const *methods)
{
    return (struct cph_nego_cfg){
        .keying = { .key = key, .cert = cert }, .policy = policy, .form = form, .methods = methods
    };
}

static void with(enum cph_keying_form form, const struct cph_keying_method *const *a,
                 enum cph_keying_policy pb, const struct cph_keying_method *const *b)
{
    pair_close(&p);
    pair_open(&p, cfg(CPH_KEYING_PREFER, form, a), cfg(pb, CPH_KEYING_FORM_OSRTP, b));
}

static int open_all(void **state)
{
    struct cph_cert_spec spec = { .cn = "device", .not_before = 1, .not_after = 2000000000 };
    struct test_env env;

    (void)state;
    test_env_init(&env, 7);
    return cph_key_generate(&env.env, CPH_KEY_EC_P256, &key) == CPH_OK &&
                   cph_cert_self_signed(&env.env, key, &spec, &cert) == CPH_OK
               ? 0
               : -1;
}

static int close_all(void **state)
{
    (void)state;
    cph_cert_free(cert);
    cph_key_free(key);
    return 0;
}

static int open_pair(void **state)
{
    (void)state;
    pair_open(&p, cfg(CPH_KEYING_PREFER, CPH_KEYING_FORM_CAPNEG, sdes_only),
              cfg(CPH_KEYING_PREFER, CPH_KEYING_FORM_OSRTP, sdes_only));
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    pair_close(&p);
    return 0;
}

static enum cph_nego_outcome outcome(const struct side *s)
{
    return status_of(s).outcome;
}

static struct cph_span attr(const struct cph_sdp *sdp, const char *name)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&sdp->media[0]->part, name);

    return l ? l->arg : (struct cph_span){ 0 };
}

/* The answer of a peer that has never heard of any of it: the lines are not seen. */
static struct cph_sdp *deaf(const struct cph_sdp *sdp, const char *const *names)
{
    struct cph_sdp *copy;

    assert_ok(cph_sdp_copy(p.arena, sdp, &copy));
    for (; *names; names++)
        (void)cph_sdp_attr_remove(copy, copy->media[0], *names);
    return copy;
}

static const char *const caps_lines[] = { "tcap", "acap", "pcfg", NULL };

/* ---- RFC 5939 -------------------------------------------------------------------------------- */

static void configurations_carry_keys_and_the_line_itself_none(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    offer = make_offer(&p, &p.a);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_int_equal(count_attr(offer, "crypto"), 0);
    assert_int_equal(count_attr(offer, "tcap"), 1);
    assert_int_equal(count_attr(offer, "pcfg"), 1);
    assert_true(cph_span_is(attr(offer, "tcap"), "1 RTP/SAVP"));
    assert_ok(try_answer(&p, &p.b, offer, &answer));
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_int_equal(count_attr(answer, "crypto"), 1);
    assert_true(cph_span_starts(attr(answer, "acfg"), "1 t=1 a=1"));
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_ok(try_finish(&p.a, answer));
    assert_int_equal(outcome(&p.a), CPH_NEGO_SECURE);
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE);
    assert_false(evidence_of(&p.a).notes & CPH_KEYING_NOTE_OPPORTUNISTIC);
    assert_media(&p, 1);
}

static void the_next_offer_has_what_was_agreed_and_the_same_keys(void **state)
{
    struct cph_sdp *offer, *answer;
    struct cph_span before;

    (void)state;
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    before = attr(answer, "crypto");
    assert_false(status_of(&p.a).reoffer);
    assert_ok(try_finish(&p.a, answer));
    assert_true(status_of(&p.a).reoffer); /* RFC 5939 3.6.3 SHOULD */
    assert_false(status_of(&p.b).reoffer);
    assert_media(&p, 1);
    offer = make_offer(&p, &p.a);
    assert_false(status_of(&p.a).reoffer);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP); /* RFC 5939 3.6.3 MUST */
    assert_true(count_attr(offer, "crypto") > 0);
    assert_int_equal(count_attr(offer, "pcfg"), 0);
    answer = make_answer(&p, &p.b, offer);
    assert_int_equal(count_attr(answer, "acfg"), 0);
    assert_true(cph_span_eq(attr(answer, "crypto"), before));
    assert_ok(try_finish(&p.a, answer));
    assert_false(status_of(&p.a).reoffer);
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    assert_int_equal(p.b.installs[0], 1);
}

static void a_peer_without_capability_negotiation_gets_rtp(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    offer = make_offer(&p, &p.a);
    assert_ok(try_answer(&p, &p.b, deaf(offer, caps_lines), &answer));
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_ok(try_finish(&p.a, answer));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_PEER_PLAIN);
    assert_false(status_of(&p.a).reoffer);
    /* and one that requires keys takes the configuration */
    with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_REQUIRED, sdes_only);
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    /* one that wants none takes the line */
    with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_NONE, sdes_only);
    exchange(&p, &p.a, &p.b);
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
}

/* themes 11 to 14: a peer that knows one keying sees one at a time */
static void each_mechanism_has_a_configuration_and_a_transport_of_its_own(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_FORM_CAPNEG, both, CPH_KEYING_PREFER, sdes_only);
    offer = make_offer(&p, &p.a);
    assert_int_equal(count_attr(offer, "pcfg"), 2);
    assert_true(cph_span_is(attr(offer, "tcap"), "1 UDP/TLS/RTP/SAVP RTP/SAVP"));
    assert_int_equal(count_attr(offer, "fingerprint") + count_attr(offer, "setup") +
                         count_attr(offer, "tls-id") + count_attr(offer, "crypto"),
                     0);
    answer = make_answer(&p, &p.b, offer);
    assert_true(cph_span_starts(attr(answer, "acfg"), "2 t=2 a="));
    assert_int_equal(count_attr(answer, "fingerprint"), 0);
    assert_ok(try_finish(&p.a, answer));
    assert_string_equal(evidence_of(&p.a).method, "sdes");
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_NOT_BEST);
    assert_media(&p, 1);

    with(CPH_KEYING_FORM_CAPNEG, both, CPH_KEYING_PREFER, dtls_only);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_int_equal(answer->media[0]->proto, CPH_SDP_UDP_TLS_RTP_SAVP);
    assert_true(cph_span_starts(attr(answer, "acfg"), "1 t=1 a="));
    assert_ok(try_finish(&p.a, answer));
    assert_string_equal(status_of(&p.a).method->name, "dtls");
    assert_false(evidence_of(&p.a).notes & CPH_KEYING_NOTE_NOT_BEST);
}

static void an_answer_that_does_not_name_what_was_offered_fails(void **state)
{
    static const char *const wrong[] = { "9 t=1",        "1 t=2",   "1", "1 t=1 a=99",
                                         "1 t=1 a=-m:1", "1 t=1|1", "x", "1 t=1 a=1,99" };
    struct cph_sdp *offer, *answer;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_PREFER, sdes_only);
        offer = make_offer(&p, &p.a);
        answer = make_answer(&p, &p.b, offer);
        (void)cph_sdp_attr_remove(answer, answer->media[0], "acfg");
        assert_ok(cph_sdp_attr_add(answer, answer->media[0], "acfg", wrong[i]));
        assert_err(try_finish(&p.a, answer), CPH_E_MALFORMED);
        assert_int_equal(outcome(&p.a), CPH_NEGO_FAILED);
    }
    with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_PREFER, sdes_only);
    answer = make_answer(&p, &p.b, make_offer(&p, &p.a));
    (void)cph_sdp_attr_remove(answer, answer->media[0], "acfg");
    assert_err(try_finish(&p.a, answer), CPH_E_MALFORMED);
    /* the configuration, but not its keys: RFC 8643 3.3, no RTP instead */
    with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_PREFER, sdes_only);
    answer = make_answer(&p, &p.b, make_offer(&p, &p.a));
    (void)cph_sdp_attr_remove(answer, answer->media[0], "crypto");
    assert_err(try_finish(&p.a, answer), CPH_E_MALFORMED);
    assert_int_equal(outcome(&p.a), CPH_NEGO_FAILED);
}

#define TOP  "v=0\r\no=- 25678 753849 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define KEY  "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20"
#define KEY2 "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20"

/* RFC 5939 4.1 and 4.2, with PCMU, without FEC and MKI, and with a fingerprint we take */
static void the_examples_of_the_rfc_are_answered(void **state)
{
    static const char transports[] = TOP "m=audio 53456 RTP/AVP 0 18\r\n"
                                         "a=tcap:1 RTP/SAVPF RTP/SAVP RTP/AVPF\r\n"
                                         "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"
                                         "a=acap:2 rtcp-fb:0 nack\r\n"
                                         "a=pcfg:1 t=1 a=1,[2]\r\n"
                                         "a=pcfg:2 t=2 a=1\r\n"
                                         "a=pcfg:3 t=3 a=[2]\r\n";
    static const char dtls[] = TOP
        "a=acap:1 setup:actpass\r\n"
        "a=acap:2 fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:"
        "AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF\r\n"
        "a=tcap:1 UDP/TLS/RTP/SAVP RTP/SAVP\r\n"
        "m=audio 59000 RTP/AVP 0\r\n"
        "a=acap:3 crypto:1 AES_CM_128_HMAC_SHA1_32 " KEY2 "\r\n"
        "a=pcfg:1 t=1 a=1,2\r\n"
        "a=pcfg:2 t=2 a=3\r\n";
    struct cph_sdp *answer;

    (void)state;
    answer = make_answer(&p, &p.b, read_sdp(&p, transports));
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_SAVPF);
    assert_true(cph_span_is(attr(answer, "acfg"), "1 t=1 a=1"));
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE);
    with(CPH_KEYING_FORM_OSRTP, sdes_only, CPH_KEYING_PREFER, both);
    answer = make_answer(&p, &p.b, read_sdp(&p, dtls));
    assert_int_equal(answer->media[0]->proto, CPH_SDP_UDP_TLS_RTP_SAVP);
    assert_true(cph_span_is(attr(answer, "acfg"), "1 t=1 a=1,2"));
    assert_true(attr(answer, "fingerprint").n > 0);
    with(CPH_KEYING_FORM_OSRTP, sdes_only, CPH_KEYING_PREFER, sdes_only);
    answer = make_answer(&p, &p.b, read_sdp(&p, dtls));
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_true(cph_span_is(attr(answer, "acfg"), "2 t=2 a=3"));
}

static void a_configuration_we_cannot_use_gives_way_to_the_next(void **state)
{
    static const char text[] = TOP "m=audio 53456 RTP/AVP 0\r\n"
                                   "a=tcap:1 RTP/SAVP\r\n"
                                   "a=acap:1 crypto:1 F8_128_HMAC_SHA1_80 " KEY "\r\n"
                                   "a=acap:2 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY2 "\r\n"
                                   "a=pcfg:1 t=1 a=1\r\n"
                                   "a=pcfg:2 t=1 a=2\r\n";
    struct cph_sdp *answer = make_answer(&p, &p.b, read_sdp(&p, text));

    (void)state;
    assert_true(cph_span_is(attr(answer, "acfg"), "2 t=1 a=2"));
    assert_false(evidence_of(&p.b).notes & CPH_KEYING_NOTE_LOST_METHOD);
}

static void a_configuration_that_changes_more_than_keys_is_not_for_us(void **state)
{
    static const char *const more[] = {
        "a=acap:9 rtpmap:0 L16/8000\r\na=pcfg:1 t=1 a=-m:1,9\r\n",
        "a=acap:9 inactive\r\na=pcfg:1 t=1 a=1,9\r\n",
        "a=acap:9 mid:x\r\na=pcfg:1 t=1 a=1,9\r\n",
    };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct cph_sdp *answer;

        with(CPH_KEYING_FORM_OSRTP, sdes_only, CPH_KEYING_PREFER, sdes_only);
        (void)snprintf(text, sizeof text,
                       TOP "m=audio 53456 RTP/AVP 0\r\na=tcap:1 RTP/SAVP\r\n"
                           "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n%s",
                       more[i]);
        answer = make_answer(&p, &p.b, read_sdp(&p, text));
        assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_AVP);
        assert_int_equal(count_attr(answer, "acfg"), 0);
        assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    }
}

static void a_required_extension_we_lack_is_answered_with_what_we_have(void **state)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;

    (void)state;
    assert_ok(cph_sdp_attr_add(offer, NULL, "creq", "med-v0"));
    assert_ok(try_answer(&p, &p.b, offer, &answer));
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    assert_true(cph_span_is(cph_sdp_attr(&answer->part, "csup")->arg, "cap-v0"));
    assert_int_equal(count_attr(answer, "csup"), 0);
    with(CPH_KEYING_FORM_CAPNEG, sdes_only, CPH_KEYING_REQUIRED, sdes_only);
    offer = make_offer(&p, &p.a);
    assert_ok(cph_sdp_attr_add(offer, offer->media[0], "creq", "cap-v0,med-v0"));
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
}

static void plain_rtp_may_be_a_configuration_too(void **state)
{
    static const char text[] = TOP "m=audio 53456 RTP/SAVP 0\r\n"
                                   "a=crypto:1 F8_128_HMAC_SHA1_80 " KEY "\r\n"
                                   "a=tcap:5 RTP/AVP\r\n"
                                   "a=pcfg:7 t=5\r\n";
    struct cph_sdp *answer = make_answer(&p, &p.b, read_sdp(&p, text));

    (void)state;
    assert_int_equal(answer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_true(cph_span_is(attr(answer, "acfg"), "7 t=5"));
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    with(CPH_KEYING_FORM_OSRTP, sdes_only, CPH_KEYING_REQUIRED, sdes_only);
    assert_err(try_answer(&p, &p.b, read_sdp(&p, text), &answer), CPH_E_POLICY);
}

static cph_err answer_it(void *arg, struct cph_span bytes)
{
    struct cph_nego_cfg c = cfg(CPH_KEYING_REQUIRED, CPH_KEYING_FORM_OSRTP, both);
    struct side s;
    struct pair q = { 0 };
    struct cph_sdp *offer, *answer;
    struct cph_sdp_local l;
    struct cph_sdp_stream st;
    cph_err err;

    (void)arg;
    assert_ok(cph_arena_new(2 * CPH_SDP_ARENA, &q.arena));
    side_open(&s, c, "10.0.0.9", 3);
    l = pair_local(&s);
    st = pair_stream(&s);
    err = cph_sdp_parse(q.arena, bytes, &offer);
    if (err == CPH_OK && offer->n_media > 0)
        err = cph_sdp_answer_skeleton(q.arena, &l, offer, &st, 1, &answer);
    if (err == CPH_OK && offer->n_media > 0)
        err = cph_nego_answer(s.nego, &(struct cph_keying_remote){ offer, offer->media[0] },
                              &(struct cph_keying_local){ answer, answer->media[0] });
    if (err == CPH_OK) /* under required whatever was answered has keys, or is not there */
        assert_true(outcome(&s) == CPH_NEGO_SECURE || outcome(&s) == CPH_NEGO_REMOVED ||
                    outcome(&s) == CPH_NEGO_OPEN);
    side_close(&s);
    cph_arena_free(q.arena);
    return err;
}

static void damaged_configurations_never_lead_to_rtp(void **state)
{
    static const char text[] = TOP "m=audio 53456 RTP/AVP 0\r\na=tcap:1 RTP/SAVP\r\n"
                                   "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY "\r\n"
                                   "a=pcfg:1 t=1 a=1\r\n";

    (void)state;
    expect_fragile(CPH_SPAN_LIT(text), 0, answer_it, NULL);
}

static cph_err whole(void *arg)
{
    struct cph_nego_cfg c = cfg(CPH_KEYING_PREFER, CPH_KEYING_FORM_CAPNEG, both);
    struct cph_sdp_local l = { .origin = { .id = 1, .version = 1 },
                               .addr = { .family = CPH_AF_V4 } };
    struct cph_sdp_stream st = { .port = 4000, .codecs = pair_codec, .n_codecs = 1 };
    struct cph_nego *n = NULL, *m = NULL;
    struct cph_arena *a = NULL;
    struct cph_sdp *offer, *answer;
    cph_err err;

    c.keying.env = arg;
    err = cph_nego_new(&c, &n);
    if (err == CPH_OK)
        err = cph_nego_new(&c, &m);
    if (err == CPH_OK)
        err = cph_arena_new(CPH_SDP_ARENA, &a);
    if (err == CPH_OK)
        err = cph_sdp_offer(a, &l, &st, 1, &offer);
    if (err == CPH_OK)
        err = cph_nego_offer(n, &(struct cph_keying_local){ offer, offer->media[0] });
    if (err == CPH_OK)
        err = cph_sdp_answer_skeleton(a, &l, offer, &st, 1, &answer);
    if (err == CPH_OK)
        err = cph_nego_answer(m, &(struct cph_keying_remote){ offer, offer->media[0] },
                              &(struct cph_keying_local){ answer, answer->media[0] });
    if (err == CPH_OK)
        err = cph_nego_finish(n, &(struct cph_keying_remote){ answer, answer->media[0] });
    cph_nego_free(n);
    cph_nego_free(m);
    cph_arena_free(a);
    return err;
}

static void lack_of_memory_is_said_and_leaks_nothing(void **state)
{
    struct test_env env;

    (void)state;
    test_env_init(&env, 11);
    test_alloc_fails(whole, &env.env);
}

/* ---- the attribute --------------------------------------------------------------------------- */

static void the_attribute_says_that_keys_are_optional(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_FORM_ATTRIBUTE, sdes_only, CPH_KEYING_PREFER, sdes_only);
    offer = make_offer(&p, &p.a);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_true(cph_span_is(attr(offer, "encryption"), "optional"));
    assert_true(count_attr(offer, "crypto") > 0);
    answer = make_answer(&p, &p.b, offer);
    assert_true(cph_span_is(attr(answer, "encryption"), "required"));
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    /* the re-offer has keys, and nothing to ask */
    assert_int_equal(count_attr(make_offer(&p, &p.a), "encryption"), 0);

    with(CPH_KEYING_FORM_ATTRIBUTE, sdes_only, CPH_KEYING_NONE, sdes_only);
    answer = make_answer(&p, &p.b, make_offer(&p, &p.a));
    assert_true(cph_span_is(attr(answer, "encryption"), "rejected"));
    assert_int_equal(count_attr(answer, "crypto"), 0);
    assert_ok(try_finish(&p.a, answer));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
}

static void an_answer_may_come_under_the_profile_that_has_keys(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_FORM_ATTRIBUTE, sdes_only, CPH_KEYING_PREFER, sdes_only);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    assert_ok(cph_sdp_media_set_proto(answer, answer->media[0], CPH_SDP_RTP_SAVP));
    assert_ok(cph_sdp_answer_check(offer, answer));
    assert_ok(try_finish(&p.a, answer));
    assert_media(&p, 1);
    assert_int_equal(make_offer(&p, &p.a)->media[0]->proto, CPH_SDP_RTP_SAVP);
}

static void a_peer_that_demands_keys_is_given_no_rtp(void **state)
{
    struct cph_sdp *offer, *answer;

    (void)state;
    with(CPH_KEYING_FORM_ATTRIBUTE, sdes_only, CPH_KEYING_NONE, sdes_only);
    offer = make_offer(&p, &p.a);
    (void)cph_sdp_attr_remove(offer, offer->media[0], "encryption");
    assert_ok(cph_sdp_attr_add(offer, offer->media[0], "encryption", "required"));
    answer = make_answer(&p, &p.b, offer);
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE); /* though policy is none */
    (void)cph_sdp_attr_remove(answer, answer->media[0], "crypto");
    assert_err(try_finish(&p.a, answer), CPH_E_POLICY); /* "required" and nothing */
    with(CPH_KEYING_FORM_ATTRIBUTE, sdes_only, CPH_KEYING_PREFER, sdes_only);
    offer = make_offer(&p, &p.a);
    (void)cph_sdp_attr_remove(offer, offer->media[0], "crypto");
    (void)cph_sdp_attr_remove(offer, offer->media[0], "encryption");
    assert_ok(cph_sdp_attr_add(offer, offer->media[0], "encryption", "required"));
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
}

/* ---- the same stream twice ------------------------------------------------------------------- */

static void offer_twice(struct cph_sdp **secure, struct cph_sdp **plain)
{
    struct cph_sdp_local l = pair_local(&p.a);
    struct cph_sdp_stream st = pair_stream(&p.a);

    assert_ok(cph_sdp_offer(p.arena, &l, &st, 1, secure));
    assert_ok(cph_sdp_offer(p.arena, &l, &st, 1, plain));
    assert_ok(cph_nego_offer_twice(p.a.nego,
                                   &(struct cph_keying_local){ *secure, (*secure)->media[0] },
                                   &(struct cph_keying_local){ *plain, (*plain)->media[0] }));
}

static void a_stream_offered_twice_is_taken_once(void **state)
{
    struct cph_sdp *secure, *plain, *answer;

    (void)state;
    with(CPH_KEYING_FORM_BODIES, sdes_only, CPH_KEYING_PREFER, sdes_only);
    assert_true(cph_nego_twice(p.a.nego));
    offer_twice(&secure, &plain);
    assert_int_equal(secure->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_int_equal(plain->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_int_equal(count_attr(plain, "crypto"), 0);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, secure)));
    assert_media(&p, 1);
    assert_false(cph_nego_twice(p.a.nego)); /* once there are keys, they stay */

    with(CPH_KEYING_FORM_GROUP, sdes_only, CPH_KEYING_PREFER, sdes_only);
    offer_twice(&secure, &plain);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, plain)));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_PEER_PLAIN);

    /* an answer to the one with keys that has none is no answer to the other */
    with(CPH_KEYING_FORM_GROUP, sdes_only, CPH_KEYING_PREFER, sdes_only);
    offer_twice(&secure, &plain);
    answer = make_answer(&p, &p.b, secure);
    (void)cph_sdp_attr_remove(answer, answer->media[0], "crypto");
    assert_err(try_finish(&p.a, answer), CPH_E_POLICY);
}

static void twice_is_for_those_who_would_take_either(void **state)
{
    struct cph_nego_cfg c = cfg(CPH_KEYING_REQUIRED, CPH_KEYING_FORM_GROUP, sdes_only);
    struct cph_sdp *offer;

    (void)state;
    pair_close(&p);
    pair_open(&p, c, c);
    assert_false(cph_nego_twice(p.a.nego));
    offer = make_offer(&p, &p.a); /* as ever */
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_SAVP);
    assert_err(cph_nego_offer_twice(p.a.nego, &(struct cph_keying_local){ offer, offer->media[0] },
                                    &(struct cph_keying_local){ offer, offer->media[0] }),
               CPH_E_STATE);
    with(CPH_KEYING_FORM_OSRTP, sdes_only, CPH_KEYING_PREFER, sdes_only);
    assert_false(cph_nego_twice(p.a.nego));
}

/* ---- probing --------------------------------------------------------------------------------- */

static struct test_env zenv[2];
static struct cph_zrtp_call *zcall[2];

static void zrtp_pair(enum cph_keying_form form, bool peer_has_it)
{
    struct cph_nego_cfg c[2];

    pair_close(&p);
    for (int e = 0; e < 2; e++) {
        struct cph_zrtp_cfg z = { .env = &zenv[e].env };

        test_env_init(&zenv[e], 50 + (uint64_t)e);
        memset(z.zid, 0x41 + e, sizeof z.zid);
        assert_ok(cph_zrtp_call_new(&z, &zcall[e]));
        c[e] = cfg(CPH_KEYING_PREFER, form, e && !peer_has_it ? sdes_only : zrtp_only);
        c[e].keying.zrtp = zcall[e];
    }
    pair_open(&p, c[0], c[1]);
}

static void zrtp_close(void)
{
    for (int e = 0; e < 2; e++) {
        cph_zrtp_call_free(zcall[e]);
        zcall[e] = NULL;
    }
}

static void carry(cph_time *now, cph_time until)
{
    struct side *side[2] = { &p.a, &p.b };

    for (; *now < until; *now += CPH_MS(10))
        for (int e = 0; e < 2; e++) {
            struct cph_keying_packet out;
            struct cph_addr from = { .family = CPH_AF_V4, .port = side[e]->port };

            cph_nego_tick(side[e]->nego, *now);
            while (cph_nego_pull(side[e]->nego, &out, *now) == CPH_OK) {
                struct cph_span packet = { out.b, out.n };

                if (cph_nego_claims(side[1 - e]->nego, packet))
                    (void)!cph_nego_feed(side[1 - e]->nego, CPH_KEYING_RTP, &from, packet, *now);
            }
        }
}

static void a_call_in_rtp_finds_out_on_the_media_path_that_both_have_zrtp(void **state)
{
    struct cph_sdp *offer;
    cph_time now = 0;

    (void)state;
    zrtp_pair(CPH_KEYING_FORM_PROBE, true);
    offer = make_offer(&p, &p.a);
    assert_int_equal(offer->media[0]->proto, CPH_SDP_RTP_AVP);
    assert_int_equal(count_attr(offer, "zrtp-hash"), 0); /* not a word */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN); /* RTP flows meanwhile */
    assert_int_equal(outcome(&p.b), CPH_NEGO_PLAIN);
    carry(&now, CPH_SEC(2));
    assert_int_equal(outcome(&p.a), CPH_NEGO_SECURE);
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE);
    assert_true(evidence_of(&p.a).notes & CPH_KEYING_NOTE_OPPORTUNISTIC);
    assert_media(&p, 1);
    /* and from now on the descriptions say so */
    offer = make_offer(&p, &p.a);
    assert_int_equal(count_attr(offer, "zrtp-hash"), 1);
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 2);
    assert_int_equal(p.a.installs[0], 1);
    zrtp_close();
}

static void a_peer_that_answers_no_probe_stays_in_rtp(void **state)
{
    cph_time now = 0;

    (void)state;
    zrtp_pair(CPH_KEYING_FORM_PROBE, false);
    exchange(&p, &p.a, &p.b);
    carry(&now, CPH_SEC(60));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    assert_int_equal(cph_nego_deadline(p.a.nego), CPH_TIME_NEVER); /* and the asking ends */
    zrtp_close();
}

static void whatever_the_form_a_peer_in_rtp_is_probed(void **state)
{
    cph_time now = 0;
    static const char *const hash[] = { "zrtp-hash", NULL };

    (void)state;
    zrtp_pair(CPH_KEYING_FORM_OSRTP, true);
    /* somebody on the way takes the attribute out */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, deaf(make_offer(&p, &p.a), hash))));
    assert_int_equal(outcome(&p.a), CPH_NEGO_PLAIN);
    carry(&now, CPH_SEC(2));
    assert_int_equal(outcome(&p.a), CPH_NEGO_SECURE);
    assert_int_equal(outcome(&p.b), CPH_NEGO_SECURE);
    assert_media(&p, 1);
    zrtp_close();
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(configurations_carry_keys_and_the_line_itself_none),
        test(the_next_offer_has_what_was_agreed_and_the_same_keys),
        test(a_peer_without_capability_negotiation_gets_rtp),
        test(each_mechanism_has_a_configuration_and_a_transport_of_its_own),
        test(an_answer_that_does_not_name_what_was_offered_fails),
        test(the_examples_of_the_rfc_are_answered),
        test(a_configuration_we_cannot_use_gives_way_to_the_next),
        test(a_configuration_that_changes_more_than_keys_is_not_for_us),
        test(a_required_extension_we_lack_is_answered_with_what_we_have),
        test(plain_rtp_may_be_a_configuration_too),
        test(damaged_configurations_never_lead_to_rtp),
        test(lack_of_memory_is_said_and_leaks_nothing),
        test(the_attribute_says_that_keys_are_optional),
        test(an_answer_may_come_under_the_profile_that_has_keys),
        test(a_peer_that_demands_keys_is_given_no_rtp),
        test(a_stream_offered_twice_is_taken_once),
        test(twice_is_for_those_who_would_take_either),
        test(a_call_in_rtp_finds_out_on_the_media_path_that_both_have_zrtp),
        test(a_peer_that_answers_no_probe_stays_in_rtp),
        test(whatever_the_form_a_peer_in_rtp_is_probed),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}

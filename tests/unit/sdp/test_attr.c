#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/sdp.h"
#include "examples.h"

static struct cph_arena *arena;

static int open_arena(void **state)
{
    (void)state;
    return cph_arena_new(CPH_SDP_ARENA, &arena) == CPH_OK ? 0 : -1;
}

static int close_arena(void **state)
{
    (void)state;
    cph_arena_free(arena);
    return 0;
}

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"

static struct cph_sdp *parse(const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(arena, cph_span_of(text), &sdp));
    return sdp;
}

/* A description with one audio section and the lines given. */
static struct cph_sdp *with(const char *lines)
{
    const char *text = cph_arena_fmt(arena, HEAD "m=audio 4000 RTP/AVP 0 96 97\r\n%s", lines);

    assert_non_null(text);
    return parse(text);
}

static void rtpmaps_are_read_and_the_static_ones_known(void **state)
{
    static const char *const bad[] = { "",           "0",          "0 PCMU",        "128 PCMU/8000",
                                       "0 PCMU/0",   "0 /8000",    "0 PCMU/8000/x", "x PCMU/8000",
                                       "0 P/8000/0", "0 P/8000 x", "0 P/1/256" };
    struct cph_sdp *sdp = parse(ex_browser);
    struct cph_sdp_rtpmap m;

    (void)state;
    assert_ok(cph_sdp_rtpmap_of(sdp->media[0], 111, &m));
    assert_true(cph_span_is(m.name, "opus") && m.rate == 48000 && m.channels == 2);
    assert_ok(cph_sdp_rtpmap_of(sdp->media[0], 8, &m));
    assert_true(cph_span_is(m.name, "PCMA") && m.rate == 8000 && m.channels == 1);
    assert_err(cph_sdp_rtpmap_of(sdp->media[0], 100, &m), CPH_E_NOTFOUND);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_sdp_rtpmap_parse(cph_span_of(bad[i]), &m), CPH_E_MALFORMED);
    sdp = with("a=rtpmap:0 L16/44100/2\r\n");
    assert_ok(cph_sdp_rtpmap_of(sdp->media[0], 0, &m)); /* said is said */
    assert_true(cph_span_is(m.name, "L16"));
}

static void format_parameters_are_those_of_their_payload_type(void **state)
{
    struct cph_sdp *sdp = parse(ex_browser);
    struct cph_span fmtp = cph_sdp_fmtp_of(sdp->media[0], 111);

    (void)state;
    assert_true(cph_span_is(fmtp, "minptime=10;useinbandfec=1"));
    assert_int_equal(cph_sdp_fmtp_of(sdp->media[0], 0).n, 0);
}

static void setup_and_tls_id_follow_their_grammar(void **state)
{
    enum cph_sdp_setup s;
    struct cph_span id;

    (void)state;
    for (int i = CPH_SDP_SETUP_ACTIVE; i <= CPH_SDP_SETUP_HOLDCONN; i++) {
        assert_ok(cph_sdp_setup_parse(cph_span_of(cph_sdp_setup_text((enum cph_sdp_setup)i)), &s));
        assert_int_equal(s, i);
    }
    assert_err(cph_sdp_setup_parse(cph_span_of("actpas"), &s), CPH_E_MALFORMED);
    assert_err(cph_sdp_setup_parse(cph_span_of(""), &s), CPH_E_MALFORMED);
    assert_ok(cph_sdp_tls_id_parse(cph_span_of("89J2LRATQ3ULA24G9AHW"), &id));
    assert_err(cph_sdp_tls_id_parse(cph_span_of("89J2LRATQ3ULA24G9AH"), &id), CPH_E_MALFORMED);
    assert_err(cph_sdp_tls_id_parse(cph_span_of("89J2LRATQ3ULA24G9AH W"), &id), CPH_E_MALFORMED);
}

static void crypto_lines_follow_the_generic_grammar(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "1 SUITE",
        "01 SUITE inline:x",
        "1234567890 SUITE inline:x",
        "-1 SUITE inline:x",
        "a SUITE inline:x",
        "1 SU-ITE inline:x",
        "1 SUITE inline",
        "1 SUITE inline:",
        "1 SUITE :x",
        "1 SUITE inline:x;",
        "1 SUITE inline:x;;inline:y",
        "1 SUITE in-line:x",
        "1 SUITE inline:x KDR=\x7f",
    };
    struct cph_sdp *sdp = parse(ex_keys);
    struct cph_sdp_media *m = sdp->media[0];
    const struct cph_sdp_line *l = cph_sdp_attr(&m->part, "crypto");
    struct cph_sdp_crypto c;
    struct cph_span before = l->next->value;

    (void)state;
    assert_ok(cph_sdp_crypto_parse(l->arg, &c));
    assert_true(c.tag == 1 && cph_span_is(c.suite, "AES_CM_128_HMAC_SHA1_80"));
    assert_true(
        cph_span_is(c.key_params, "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4"));
    assert_true(cph_span_is(c.session_params, "FEC_ORDER=FEC_SRTP"));
    l = cph_sdp_attr_next(l);
    assert_ok(cph_sdp_crypto_parse(l->arg, &c));
    assert_int_equal(c.tag, 2);
    cph_sdp_attr_remove(sdp, m, "crypto");
    assert_ok(cph_sdp_crypto_add(sdp, m, &c));
    assert_true(cph_span_eq(cph_sdp_attr(&m->part, "crypto")->value, before));
    assert_ok(cph_sdp_crypto_parse(cph_span_of("0 S  inline:x\tKDR=1  WSH=64 "), &c));
    assert_true(c.tag == 0 && cph_span_is(c.session_params, "KDR=1  WSH=64"));
    assert_ok(cph_sdp_crypto_parse(cph_span_of("999999999 S inline:x"), &c));
    assert_int_equal(c.tag, 999999999);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_sdp_crypto_parse(cph_span_of(bad[i]), &c), CPH_E_MALFORMED);
}

static void mikey_and_zrtp_lines_are_carried(void **state)
{
    struct cph_sdp *sdp = parse(ex_keys);
    const struct cph_sdp_line *l = cph_sdp_attr_any(sdp, sdp->media[0], "key-mgmt");
    struct cph_sdp_key_mgmt k;
    struct cph_sdp_zrtp_hash z;

    (void)state;
    assert_ok(cph_sdp_key_mgmt_parse(l->arg, &k));
    assert_true(cph_span_is(k.protocol, "mikey") && cph_span_starts(k.data, "AQAFgM0X"));
    assert_err(cph_sdp_key_mgmt_parse(cph_span_of("mikey"), &k), CPH_E_MALFORMED);
    assert_err(cph_sdp_key_mgmt_parse(cph_span_of("mikey A-B"), &k), CPH_E_MALFORMED);
    assert_err(cph_sdp_key_mgmt_parse(cph_span_of("mikey AA BB"), &k), CPH_E_MALFORMED);
    assert_ok(cph_sdp_zrtp_hash_parse(cph_sdp_attr(&sdp->media[0]->part, "zrtp-hash")->arg, &z));
    assert_true(cph_span_is(z.version, "1.10") && z.hash[0] == 0xfe && z.hash[31] == 0xdf);
    assert_err(cph_sdp_zrtp_hash_parse(cph_span_of("1.10 fe30"), &z), CPH_E_MALFORMED);
}

static void rtcp_group_mid_and_ssrc_are_read(void **state)
{
    static const char *const bad[] = {
        "", "0", "65536", "9 IN", "9 IN IP4", "9 IN IP4 1.1.1.1 x", "9 XX IP4 1.1.1.1"
    };
    struct cph_sdp *sdp = parse(ex_browser);
    struct cph_sdp_rtcp r;
    struct cph_sdp_group g;
    struct cph_sdp_ssrc s;

    (void)state;
    assert_ok(cph_sdp_rtcp_parse(cph_span_of("53020 IN IP6 2001:db8::1"), &r));
    assert_true(r.port == 53020 && cph_span_is(r.addr, "2001:db8::1"));
    assert_ok(cph_sdp_rtcp_parse(cph_span_of("53020"), &r));
    assert_int_equal(r.addr.n, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_sdp_rtcp_parse(cph_span_of(bad[i]), &r), CPH_E_MALFORMED);
    assert_ok(cph_sdp_group_parse(cph_sdp_attr(&sdp->part, "group")->arg, &g));
    assert_true(cph_span_is(g.semantics, "BUNDLE") && cph_span_is(g.mids, "0"));
    assert_err(cph_sdp_group_parse(cph_span_of(""), &g), CPH_E_MALFORMED);
    assert_true(cph_span_is(cph_sdp_mid(sdp->media[0]), "0"));
    assert_ok(cph_sdp_ssrc_parse(cph_sdp_attr(&sdp->media[0]->part, "ssrc")->arg, &s));
    assert_true(s.ssrc == 0xdeadbeef && cph_span_is(s.name, "cname"));
    assert_true(cph_span_is(s.value, "o/i14u9pJrxRKAsu"));
    assert_err(cph_sdp_ssrc_parse(cph_span_of("4294967296 cname:x"), &s), CPH_E_MALFORMED);
    assert_err(cph_sdp_ssrc_parse(cph_span_of("1"), &s), CPH_E_MALFORMED);
}

static void packet_times_are_whole_sane_milliseconds(void **state)
{
    static const struct {
        const char *text;
        unsigned ms;
    } ptime[] = {
        { "20", 20 },        { "2.5", 3 },  { "20.0", 20 },  { "1000", 1000 },
        { "1001", 0 },       { "0", 0 },    { "-20", 0 },    { "", 0 },
        { "4294967296", 0 }, { "20ms", 0 }, { "1000.5", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ptime / sizeof *ptime; i++) {
        struct cph_sdp *sdp = with(
            cph_arena_fmt(arena, "a=ptime:%s\r\na=maxptime:%s\r\n", ptime[i].text, ptime[i].text));

        assert_int_equal(cph_sdp_ptime(sdp->media[0]), ptime[i].ms);
        assert_int_equal(cph_sdp_maxptime(sdp->media[0]), ptime[i].ms);
    }
    assert_int_equal(cph_sdp_ptime(with("")->media[0]), 0);
}

static void direction_has_defaults_and_the_old_hold(void **state)
{
    struct cph_sdp *sdp = with("");

    (void)state;
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[0]), CPH_SDP_SENDRECV);
    sdp = with("a=inactive\r\n");
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[0]), CPH_SDP_INACTIVE);
    sdp = with("c=IN IP4 0.0.0.0\r\n");
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[0]), CPH_SDP_SENDONLY);
    sdp = with("c=IN IP4 0.0.0.0\r\na=recvonly\r\n");
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[0]), CPH_SDP_INACTIVE);
    assert_int_equal(cph_sdp_dir_mirror(CPH_SDP_SENDONLY), CPH_SDP_RECVONLY);
    assert_int_equal(cph_sdp_dir_mirror(CPH_SDP_SENDRECV), CPH_SDP_SENDRECV);
    assert_int_equal(cph_sdp_dir_mirror(CPH_SDP_INACTIVE), CPH_SDP_INACTIVE);
}

static void targets_come_from_the_nearest_connection_line(void **state)
{
    struct cph_sdp *sdp = with("");
    struct cph_sdp_target t;
    char text[CPH_ADDR_TEXT];

    (void)state;
    assert_ok(cph_sdp_rtp_target(sdp, sdp->media[0], &t));
    assert_string_equal(cph_addr_text(&t.addr, text), "10.0.0.1:4000");
    assert_ok(cph_sdp_rtcp_target(sdp, sdp->media[0], &t));
    assert_string_equal(cph_addr_text(&t.addr, text), "10.0.0.1:4001");
    sdp = with("c=IN IP6 2001:db8::7\r\na=rtcp:5000\r\n");
    assert_ok(cph_sdp_rtcp_target(sdp, sdp->media[0], &t));
    assert_string_equal(cph_addr_text(&t.addr, text), "[2001:db8::7]:5000");
    sdp = with("a=rtcp:5000 IN IP4 10.9.9.9\r\n");
    assert_ok(cph_sdp_rtcp_target(sdp, sdp->media[0], &t));
    assert_string_equal(cph_addr_text(&t.addr, text), "10.9.9.9:5000");
    sdp = with("c=IN IP4 host.example.com\r\n");
    assert_ok(cph_sdp_rtp_target(sdp, sdp->media[0], &t));
    assert_true(cph_span_is(t.host, "host.example.com") && t.addr.port == 4000);
}

static void odd_connection_lines_are_refused(void **state)
{
    static const struct {
        const char *line;
        cph_err err;
    } bad[] = {
        { "c=IN IP4 224.2.36.42/127\r\n", CPH_E_UNSUPPORTED },
        { "c=IN IP4 224.2.36.42\r\n", CPH_E_UNSUPPORTED },
        { "c=IN IP6 ff15::101\r\n", CPH_E_UNSUPPORTED },
        { "c=ATM NSAP 47.0091\r\n", CPH_E_UNSUPPORTED },
        { "c=IN IP4 ::1\r\n", CPH_E_MALFORMED },
        { "c=IN IP6 10.0.0.1\r\n", CPH_E_MALFORMED },
        { "c=IN IP4\r\n", CPH_E_MALFORMED },
        { "c=IN IP4 10.0.0.1 x\r\n", CPH_E_MALFORMED },
        { "c=IN IP4 ho$t\r\n", CPH_E_MALFORMED },
        { "c=IN IP5 10.0.0.1\r\n", CPH_E_UNSUPPORTED },
    };
    struct cph_sdp_target t;
    struct cph_sdp *sdp;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sdp = with(bad[i].line);
        assert_err(cph_sdp_rtp_target(sdp, sdp->media[0], &t), bad[i].err);
    }
    sdp = parse("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 65535 RTP/AVP 0\r\n");
    assert_err(cph_sdp_rtp_target(sdp, sdp->media[0], &t), CPH_E_NOTFOUND);
    assert_err(cph_sdp_rtcp_target(sdp, sdp->media[0], &t), CPH_E_MALFORMED);
}

static void profiles_have_names(void **state)
{
    (void)state;
    for (int i = CPH_SDP_RTP_AVP; i <= CPH_SDP_UDP_TLS_RTP_SAVPF; i++) {
        enum cph_sdp_proto p = (enum cph_sdp_proto)i;

        assert_int_equal(cph_sdp_proto_of(cph_span_of(cph_sdp_proto_text(p))), p);
        assert_int_equal(cph_sdp_proto_secure(p), strstr(cph_sdp_proto_text(p), "SAVP") != NULL);
    }
    assert_int_equal(cph_sdp_proto_of(cph_span_of("TCP/TLS/RTP/SAVP")), CPH_SDP_PROTO_OTHER);
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(rtpmaps_are_read_and_the_static_ones_known),
        test(format_parameters_are_those_of_their_payload_type),
        test(setup_and_tls_id_follow_their_grammar),
        test(crypto_lines_follow_the_generic_grammar),
        test(mikey_and_zrtp_lines_are_carried),
        test(rtcp_group_mid_and_ssrc_are_read),
        test(packet_times_are_whole_sane_milliseconds),
        test(direction_has_defaults_and_the_old_hold),
        test(targets_come_from_the_nearest_connection_line),
        test(odd_connection_lines_are_refused),
        test(profiles_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

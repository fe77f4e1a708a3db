#include "support.h"

#include "ciphony/rtp.h"

static cph_err parses(void *arg, struct cph_span bytes)
{
    struct cph_rtp rtp;

    (void)arg;
    return cph_rtp_parse(bytes, &rtp);
}

static void every_packet_is_rebuilt_byte_by_byte(void **state)
{
    struct vectors *v = vectors_open("rtp/packets.txt");

    (void)state;
    while (vectors_next(v)) {
        struct cph_span packet = vectors_hex(v, "packet");
        struct cph_rtp rtp;
        uint8_t buf[256];
        struct cph_wr wr = cph_wr_open(buf, sizeof buf);

        assert_ok(cph_rtp_parse(packet, &rtp));
        assert_ok(cph_rtp_build(&rtp, &wr));
        assert_true(cph_span_eq(cph_wr_done(&wr), packet));
        expect_fragile(packet, 0, parses, NULL);
    }
    vectors_close(v);
}

static void fields_are_where_the_figure_has_them(void **state)
{
    static const uint8_t packet[] = { 0xb1, 0xff, 0,    1,    0,    0,    0,    2,    0,   0,
                                      0,    3,    0x44, 0x44, 0x44, 0x44, 0xbe, 0xde, 0,   1,
                                      0x10, 0xaa, 0,    0,    0x55, 0x66, 0,    0,    0x03 };
    struct cph_rtp r;

    (void)state;
    assert_ok(cph_rtp_parse((struct cph_span){ packet, sizeof packet }, &r));
    assert_true(r.marker && r.has_ext);
    assert_int_equal(r.pt, 127);
    assert_int_equal(r.seq, 1);
    assert_int_equal(r.ts, 2);
    assert_int_equal(r.ssrc, 3);
    assert_int_equal(r.n_csrc, 1);
    assert_int_equal(r.csrc[0], 0x44444444);
    assert_int_equal(r.ext_profile, 0xbede);
    assert_int_equal(r.ext.n, 4);
    assert_int_equal(r.padding, 3);
    assert_int_equal(r.payload.n, 2);
    assert_int_equal(r.payload.p[0], 0x55);
}

static cph_err parse_with(size_t at, uint8_t byte, size_t n)
{
    /* header, one word of extension, two bytes of payload, two of padding */
    uint8_t packet[] = { 0xb0, 0,    0, 1, 0,    0,    0, 2, 0, 0, 0, 3,
                         0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, 5, 6, 0, 2 };
    struct cph_rtp r;

    packet[at] = byte;
    return cph_rtp_parse((struct cph_span){ packet, n ? n : sizeof packet }, &r);
}

/* RFC 3550 A.1, each check with a value that it must refuse */
static void each_check_of_appendix_a_1_refuses_a_wrong_value(void **state)
{
    (void)state;
    assert_ok(parse_with(0, 0xb0, 0));
    assert_err(parse_with(0, 0x70, 0), CPH_E_MALFORMED); /* version 1 */
    assert_err(parse_with(0, 0xf0, 0), CPH_E_MALFORMED); /* version 3 */
    assert_err(parse_with(1, 200, 0), CPH_E_MALFORMED);  /* SR */
    assert_err(parse_with(1, 201, 0), CPH_E_MALFORMED);  /* RR */
    assert_ok(parse_with(1, 72, 0));                     /* that type without the marker is no SR */
    assert_err(parse_with(23, 0, 0), CPH_E_MALFORMED);   /* padding of nothing */
    assert_ok(parse_with(23, 4, 0));                     /* all payload is padding */
    assert_err(parse_with(23, 5, 0), CPH_E_MALFORMED);   /* padding into the header */
    assert_err(parse_with(15, 2, 0), CPH_E_TRUNCATED);   /* extension takes the padding */
    assert_err(parse_with(15, 3, 0), CPH_E_TRUNCATED);   /* extension past the end */
    assert_err(parse_with(14, 0xff, 0), CPH_E_TRUNCATED);
    assert_err(parse_with(0, 0xbf, 0), CPH_E_TRUNCATED); /* 15 CSRC do not fit */
    assert_err(parse_with(0, 0x80, 11), CPH_E_TRUNCATED);
    assert_ok(parse_with(0, 0x80, 12));
    assert_err(parse_with(0, 0xa0, 12), CPH_E_TRUNCATED); /* padding without a byte to count it */
}

static void a_packet_that_cannot_be_said_is_not_built(void **state)
{
    uint8_t buf[64];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    assert_err(cph_rtp_build(&(struct cph_rtp){ .pt = 128 }, &wr), CPH_E_ARGUMENT);
    assert_err(cph_rtp_build(&(struct cph_rtp){ .n_csrc = 16 }, &wr), CPH_E_ARGUMENT);
    assert_err(cph_rtp_build(&(struct cph_rtp){ .has_ext = true, .ext = CPH_SPAN_LIT("abc") }, &wr),
               CPH_E_ARGUMENT);
    wr = cph_wr_open(buf, 12);
    assert_err(cph_rtp_build(&(struct cph_rtp){ .payload = CPH_SPAN_LIT("x") }, &wr),
               CPH_E_NOSPACE);
}

static void extension_elements_are_walked(void **state)
{
    struct cph_rtp r = { .has_ext = true,
                         .ext_profile = 0xbede,
                         .ext = CPH_SPAN_LIT("\x10\xaa\x00\x22xyz\xf0") };
    struct cph_rtp_ext e;
    size_t at = 0;

    (void)state;
    assert_ok(cph_rtp_ext_next(&r, &at, &e));
    assert_int_equal(e.id, 1);
    assert_int_equal(e.data.n, 1);
    assert_ok(cph_rtp_ext_next(&r, &at, &e));
    assert_int_equal(e.id, 2);
    assert_true(cph_span_is(e.data, "xyz"));
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_AGAIN); /* 15 stops */
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_AGAIN);

    r.ext = CPH_SPAN_LIT("\x13xyz"); /* four bytes promised, three there */
    at = 0;
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_MALFORMED);
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_AGAIN);

    r.ext_profile = 0x1005;
    r.ext = CPH_SPAN_LIT("\x00\x07\x00\xff\x01x\x09\x01");
    at = 0;
    assert_ok(cph_rtp_ext_next(&r, &at, &e));
    assert_int_equal(e.id, 7);
    assert_int_equal(e.data.n, 0);
    assert_ok(cph_rtp_ext_next(&r, &at, &e));
    assert_int_equal(e.id, 255);
    assert_true(cph_span_is(e.data, "x"));
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_MALFORMED);

    r.ext_profile = 0x1234;
    at = 0;
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_UNSUPPORTED);
    r.has_ext = false;
    assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_AGAIN);
}

static void built_elements_are_read_again(void **state)
{
    struct cph_rtp_ext in[2] = { { 3, CPH_SPAN_LIT("0123456789abcdef") },
                                 { 14, CPH_SPAN_LIT("z") } },
                       e;
    uint8_t buf[600];

    (void)state;
    for (int form = 0; form < 3; form++) {
        struct cph_wr wr = cph_wr_open(buf, sizeof buf);
        struct cph_rtp r = { .has_ext = true };
        size_t at = 0;

        assert_ok(cph_rtp_ext_build(in, 2, &wr, &r.ext_profile));
        assert_int_equal(r.ext_profile, form == 0 ? 0xbede : 0x1000);
        r.ext = cph_wr_done(&wr);
        assert_int_equal(r.ext.n % 4, 0);
        for (int i = 0; i < 2; i++) {
            assert_ok(cph_rtp_ext_next(&r, &at, &e));
            assert_int_equal(e.id, in[i].id);
            assert_true(cph_span_eq(e.data, in[i].data));
        }
        assert_err(cph_rtp_ext_next(&r, &at, &e), CPH_E_AGAIN);
        if (form == 0)
            in[1].id = 15; /* means "stop" in the short form */
        else
            in[0].data = (struct cph_span){ 0 };
    }
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    uint16_t profile;

    in[0].id = 0;
    assert_err(cph_rtp_ext_build(in, 2, &wr, &profile), CPH_E_ARGUMENT);
}

static void datagrams_are_sorted_at_the_edges_of_each_range(void **state)
{
    static const struct {
        uint8_t first, second;
        enum cph_rtp_class want;
    } row[] = {
        { 0, 0, CPH_RTP_CLASS_STUN },      { 3, 0, CPH_RTP_CLASS_STUN },
        { 4, 0, CPH_RTP_CLASS_UNKNOWN },   { 15, 0, CPH_RTP_CLASS_UNKNOWN },
        { 16, 0, CPH_RTP_CLASS_ZRTP },     { 19, 0, CPH_RTP_CLASS_ZRTP },
        { 20, 0, CPH_RTP_CLASS_DTLS },     { 63, 0, CPH_RTP_CLASS_DTLS },
        { 64, 0, CPH_RTP_CLASS_TURN },     { 79, 0, CPH_RTP_CLASS_TURN },
        { 80, 0, CPH_RTP_CLASS_UNKNOWN },  { 127, 0, CPH_RTP_CLASS_UNKNOWN },
        { 128, 0, CPH_RTP_CLASS_RTP },     { 191, 0, CPH_RTP_CLASS_RTP },
        { 192, 0, CPH_RTP_CLASS_UNKNOWN }, { 255, 200, CPH_RTP_CLASS_UNKNOWN },
        { 128, 191, CPH_RTP_CLASS_RTP },   { 128, 192, CPH_RTP_CLASS_RTCP },
        { 128, 223, CPH_RTP_CLASS_RTCP },  { 128, 224, CPH_RTP_CLASS_RTP },
        { 128, 72, CPH_RTP_CLASS_RTP },    { 128, 200, CPH_RTP_CLASS_RTCP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        uint8_t p[2] = { row[i].first, row[i].second };

        assert_int_equal(cph_rtp_classify((struct cph_span){ p, 2 }), row[i].want);
        assert_int_equal(cph_rtp_classify((struct cph_span){ p, 1 }), CPH_RTP_CLASS_UNKNOWN);
    }
    assert_int_equal(cph_rtp_classify((struct cph_span){ 0 }), CPH_RTP_CLASS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_is_rebuilt_byte_by_byte),
        cmocka_unit_test(fields_are_where_the_figure_has_them),
        cmocka_unit_test(each_check_of_appendix_a_1_refuses_a_wrong_value),
        cmocka_unit_test(a_packet_that_cannot_be_said_is_not_built),
        cmocka_unit_test(extension_elements_are_walked),
        cmocka_unit_test(built_elements_are_read_again),
        cmocka_unit_test(datagrams_are_sorted_at_the_edges_of_each_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

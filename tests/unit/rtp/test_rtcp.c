#include "support.h"

#include "ciphony/rtp.h"

static const struct cph_rtcp_report sender_report = {
    .ssrc = 0x01020304,
    .sender = true,
    .ntp = 0xb44db70520000000,
    .rtp_ts = 8000,
    .packets = 50,
    .octets = 8000,
    .n_block = 2,
    .block = { { 0xaaaaaaaa, 64, -3, 0x0001ffff, 12, 0xb7052000, 0x00054000 },
               { 0xbbbbbbbb, 255, 0x7fffff, 5, 0, 0, 0 } },
};

static const struct cph_rtcp_sdes_item cname = { 0x01020304, CPH_RTCP_SDES_CNAME,
                                                 CPH_SPAN_LIT("alice@example.com") };

static struct cph_span compound(uint8_t *buf, size_t cap)
{
    struct cph_wr wr = cph_wr_open(buf, cap);

    assert_ok(cph_rtcp_report_build(&sender_report, &wr));
    assert_ok(cph_rtcp_sdes_build(&cname, 1, &wr));
    assert_ok(cph_rtcp_bye_build(
        &(struct cph_rtcp_bye){ .n = 1, .ssrc = { 0x01020304 }, .reason = CPH_SPAN_LIT("gone") },
        &wr));
    return cph_wr_done(&wr);
}

static cph_err checks(void *arg, struct cph_span bytes)
{
    (void)arg;
    return cph_rtcp_check(bytes);
}

static void a_compound_packet_is_built_and_read_again(void **state)
{
    uint8_t buf[256];
    struct cph_span rest = compound(buf, sizeof buf);
    struct cph_rtcp p;
    struct cph_rtcp_report r;
    struct cph_rtcp_sdes_item item[2];
    struct cph_rtcp_bye bye;
    size_t n;

    (void)state;
    assert_ok(cph_rtcp_check(rest));
    assert_ok(cph_rtcp_next(&rest, &p));
    assert_ok(cph_rtcp_report_parse(&p, &r));
    assert_true(r.sender && r.ntp == sender_report.ntp);
    assert_int_equal(r.n_block, 2);
    assert_int_equal(r.block[0].lost, -3);
    assert_int_equal(r.block[1].lost, 0x7fffff);
    assert_int_equal(r.block[0].highest_seq, 0x0001ffff);
    assert_int_equal(r.block[1].fraction_lost, 255);
    assert_err(cph_rtcp_bye_parse(&p, &bye), CPH_E_ARGUMENT);

    assert_ok(cph_rtcp_next(&rest, &p));
    assert_ok(cph_rtcp_sdes_parse(&p, item, 2, &n));
    assert_int_equal(n, 1);
    assert_int_equal(item[0].ssrc, 0x01020304);
    assert_true(cph_span_is(item[0].text, "alice@example.com"));

    assert_ok(cph_rtcp_next(&rest, &p));
    assert_ok(cph_rtcp_bye_parse(&p, &bye));
    assert_int_equal(bye.n, 1);
    assert_true(cph_span_is(bye.reason, "gone"));
    assert_err(cph_rtcp_next(&rest, &p), CPH_E_AGAIN);
}

/* The golden bytes are written out so that parser and builder cannot agree on the same mistake. */
static void a_receiver_report_has_the_bytes_of_the_figure(void **state)
{
    static const uint8_t want[] = { 0x81, 201, 0,    7,    1,    2, 3, 4,    0xaa, 0xaa, 0xaa,
                                    0xaa, 64,  0xff, 0xff, 0xfd, 0, 1, 0xff, 0xff, 0,    0,
                                    0,    12,  0xb7, 5,    0x20, 0, 0, 5,    0x40, 0 };
    struct cph_rtcp_report r = sender_report;
    uint8_t buf[64];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    r.sender = false;
    r.n_block = 1;
    assert_ok(cph_rtcp_report_build(&r, &wr));
    assert_true(cph_span_eq(cph_wr_done(&wr), (struct cph_span){ want, sizeof want }));
}

static void a_compound_packet_refuses_to_be_cut_inside_a_packet(void **state)
{
    uint8_t buf[256];
    struct cph_span golden = compound(buf, sizeof buf);
    size_t whole[] = { 4 * (1 + 6 + 12), 4 * (1 + 6 + 12) + 28 }; /* SR alone; with SDES */

    (void)state;
    expect_fragile(golden, 0, checks, NULL);
    for (size_t n = 0; n < golden.n; n++)
        assert_int_equal(cph_rtcp_check((struct cph_span){ golden.p, n }) == CPH_OK,
                         n == whole[0] || n == whole[1]);
}

/* RFC 3550 A.2, each check with a value that it must refuse */
static void each_check_of_appendix_a_2_refuses_a_wrong_value(void **state)
{
    uint8_t rr[] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 203, 0, 1, 0, 0, 0, 4 };
    struct cph_span all = { rr, sizeof rr };

    (void)state;
    assert_ok(cph_rtcp_check(all));
    rr[0] = 0x40;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED); /* version */
    rr[0] = 0x80, rr[1] = 202;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED); /* first is neither SR nor RR */
    rr[1] = 201, rr[0] = 0xa0;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED); /* padding before the last */
    rr[0] = 0x80, rr[8] = 0xa0;
    assert_ok(cph_rtcp_check(all)); /* padding in the last: four bytes */
    rr[15] = 3;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED); /* not whole words */
    rr[15] = 8;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED); /* more than there is */
    rr[15] = 0;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED);
    rr[8] = 0x80, rr[11] = 2;
    assert_err(cph_rtcp_check(all), CPH_E_TRUNCATED); /* lengths do not add up */
    rr[11] = 0;
    assert_err(cph_rtcp_check(all), CPH_E_MALFORMED);
    assert_err(cph_rtcp_check((struct cph_span){ rr, 3 }), CPH_E_TRUNCATED);
}

static void bodies_shorter_than_their_count_are_refused(void **state)
{
    uint8_t body[24] = { 0 };
    struct cph_rtcp_report r;
    struct cph_rtcp_bye b;
    struct cph_rtcp_app a;
    struct cph_rtcp_feedback f;
    struct cph_rtcp_sdes_item item;
    size_t n;

    (void)state;
#define PACKET(t, c, len)                                                                          \
    &(struct cph_rtcp)                                                                             \
    {                                                                                              \
        .type = (t), .count = (c), .body = { body, (len) }                                         \
    }
    assert_err(cph_rtcp_report_parse(PACKET(200, 0, 20), &r), CPH_E_TRUNCATED);
    assert_ok(cph_rtcp_report_parse(PACKET(200, 0, 24), &r));
    assert_err(cph_rtcp_report_parse(PACKET(201, 1, 24), &r), CPH_E_TRUNCATED);
    assert_ok(cph_rtcp_report_parse(PACKET(201, 0, 24), &r));
    assert_int_equal(r.rest.n, 20); /* profile extension, carried */
    assert_err(cph_rtcp_bye_parse(PACKET(203, 7, 24), &b), CPH_E_TRUNCATED);
    assert_err(cph_rtcp_bye_parse(PACKET(203, 1, 12), &b), CPH_E_TRAILING);
    body[4] = 4;
    assert_err(cph_rtcp_bye_parse(PACKET(203, 1, 8), &b),
               CPH_E_TRUNCATED); /* reason past the end */
    body[4] = 3;
    assert_ok(cph_rtcp_bye_parse(PACKET(203, 1, 8), &b));
    assert_int_equal(b.reason.n, 3);
    assert_err(cph_rtcp_app_parse(PACKET(204, 0, 4), &a), CPH_E_TRUNCATED);
    assert_ok(cph_rtcp_app_parse(PACKET(204, 0, 8), &a));
    assert_err(cph_rtcp_feedback_parse(PACKET(205, 1, 4), &f), CPH_E_TRUNCATED);
    assert_ok(cph_rtcp_feedback_parse(PACKET(206, 1, 12), &f));
    assert_int_equal(f.fci.n, 4);
    assert_err(cph_rtcp_feedback_parse(PACKET(204, 1, 12), &f), CPH_E_ARGUMENT);
    body[4] = CPH_RTCP_SDES_CNAME, body[5] = 3;
    assert_err(cph_rtcp_sdes_parse(PACKET(202, 1, 8), &item, 1, &n), CPH_E_TRUNCATED);
    assert_ok(cph_rtcp_sdes_parse(PACKET(202, 1, 12), &item, 1, &n)); /* end in the next word */
    assert_err(cph_rtcp_sdes_parse(PACKET(202, 0, 12), &item, 1, &n), CPH_E_TRAILING);
    assert_err(cph_rtcp_sdes_parse(PACKET(202, 3, 12), &item, 1, &n), CPH_E_TRUNCATED);
#undef PACKET
}

static void sdes_groups_items_by_source(void **state)
{
    struct cph_rtcp_sdes_item in[3] = { { 1, CPH_RTCP_SDES_CNAME, CPH_SPAN_LIT("a") },
                                        { 1, CPH_RTCP_SDES_TOOL, CPH_SPAN_LIT("tool") },
                                        { 2, CPH_RTCP_SDES_CNAME, CPH_SPAN_LIT("bcd") } };
    struct cph_rtcp_sdes_item out[3];
    uint8_t buf[64], text[256] = { 0 };
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_span rest;
    struct cph_rtcp p;
    size_t n;

    (void)state;
    assert_ok(cph_rtcp_sdes_build(in, 3, &wr));
    rest = cph_wr_done(&wr);
    assert_ok(cph_rtcp_next(&rest, &p));
    assert_int_equal(p.count, 2);
    assert_ok(cph_rtcp_sdes_parse(&p, out, 3, &n));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(out[i].ssrc, in[i].ssrc);
        assert_int_equal(out[i].type, in[i].type);
        assert_true(cph_span_eq(out[i].text, in[i].text));
    }
    assert_ok(cph_rtcp_sdes_parse(&p, out, 1, &n)); /* room for one: the others are counted */
    assert_int_equal(n, 3);
    in[0].text = (struct cph_span){ text, 256 };
    assert_err(cph_rtcp_sdes_build(in, 3, &wr), CPH_E_ARGUMENT);
}

static void app_and_feedback_are_carried(void **state)
{
    struct cph_rtcp_app app = { 5, 9, { 'c', 'i', 'p', 'h' }, CPH_SPAN_LIT("12345678") }, app2;
    struct cph_rtcp_feedback fb = { CPH_RTCP_PSFB, 1, 7, 8, CPH_SPAN_LIT("abcd") }, fb2;
    uint8_t buf[64];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_span rest;
    struct cph_rtcp p;

    (void)state;
    assert_ok(cph_rtcp_app_build(&app, &wr));
    assert_ok(cph_rtcp_feedback_build(&fb, &wr));
    rest = cph_wr_done(&wr);
    assert_ok(cph_rtcp_next(&rest, &p));
    assert_ok(cph_rtcp_app_parse(&p, &app2));
    assert_int_equal(app2.subtype, 5);
    assert_memory_equal(app2.name, "ciph", 4);
    assert_true(cph_span_eq(app2.data, app.data));
    assert_ok(cph_rtcp_next(&rest, &p));
    assert_ok(cph_rtcp_feedback_parse(&p, &fb2));
    assert_int_equal(fb2.type, CPH_RTCP_PSFB);
    assert_int_equal(fb2.media, 8);
    assert_true(cph_span_eq(fb2.fci, fb.fci));

    app.data.n = 3;
    assert_err(cph_rtcp_app_build(&app, &wr), CPH_E_ARGUMENT);
    app.data.n = 4, app.subtype = 32;
    assert_err(cph_rtcp_app_build(&app, &wr), CPH_E_ARGUMENT);
    fb.type = CPH_RTCP_BYE;
    assert_err(cph_rtcp_feedback_build(&fb, &wr), CPH_E_ARGUMENT);
}

static void reports_that_cannot_be_said_are_not_built(void **state)
{
    struct cph_rtcp_report r = sender_report;
    uint8_t buf[1024];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    r.block[0].lost = 0x800000;
    assert_err(cph_rtcp_report_build(&r, &wr), CPH_E_ARGUMENT);
    r.block[0].lost = -0x800001;
    assert_err(cph_rtcp_report_build(&r, &wr), CPH_E_ARGUMENT);
    r.block[0].lost = -0x800000;
    assert_ok(cph_rtcp_report_build(&r, &wr));
    r.n_block = 32;
    assert_err(cph_rtcp_report_build(&r, &wr), CPH_E_ARGUMENT);
    assert_err(cph_rtcp_bye_build(&(struct cph_rtcp_bye){ .n = 32 }, &wr), CPH_E_ARGUMENT);
    wr = cph_wr_open(buf, 20);
    assert_err(cph_rtcp_report_build(&sender_report, &wr), CPH_E_NOSPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compound_packet_is_built_and_read_again),
        cmocka_unit_test(a_receiver_report_has_the_bytes_of_the_figure),
        cmocka_unit_test(a_compound_packet_refuses_to_be_cut_inside_a_packet),
        cmocka_unit_test(each_check_of_appendix_a_2_refuses_a_wrong_value),
        cmocka_unit_test(bodies_shorter_than_their_count_are_refused),
        cmocka_unit_test(sdes_groups_items_by_source),
        cmocka_unit_test(app_and_feedback_are_carried),
        cmocka_unit_test(reports_that_cannot_be_said_are_not_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

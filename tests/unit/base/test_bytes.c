#include "support.h"

#include "ciphony/base_wire.h"

static void reads_what_was_written(void **state)
{
    uint8_t buf[64];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_rd rd, inner;
    size_t mark;

    (void)state;
    cph_wr_u8(&wr, 0x01);
    mark = cph_wr_mark(&wr);
    cph_wr_u16(&wr, 0);
    cph_wr_u24(&wr, 0x040506);
    cph_wr_u32(&wr, 0x0708090a);
    cph_wr_u48(&wr, 0x0b0c0d0e0f10);
    cph_wr_u64(&wr, 0x1112131415161718);
    cph_wr_fmt(&wr, "%s", "abc");
    cph_wr_patch16(&wr, mark, 0x0203);
    assert_ok(cph_wr_end(&wr));
    for (uint8_t i = 0; i < 0x18; i++)
        assert_int_equal(buf[i], i + 1);

    rd = cph_rd_open(cph_wr_done(&wr));
    assert_int_equal(cph_rd_u8(&rd), 0x01);
    assert_int_equal(cph_rd_u16(&rd), 0x0203);
    assert_int_equal(cph_rd_u24(&rd), 0x040506);
    assert_int_equal(cph_rd_u32(&rd), 0x0708090a);
    assert_true(cph_rd_u48(&rd) == 0x0b0c0d0e0f10);
    assert_true(cph_rd_u64(&rd) == 0x1112131415161718);
    assert_err(cph_rd_end(&rd), CPH_E_TRAILING);
    assert_true(cph_span_is(cph_rd_rest(&rd), "abc"));
    assert_ok(cph_rd_end(&rd));

    rd = cph_rd_open((struct cph_span){ (const uint8_t *)"\x02xyz", 4 });
    inner = cph_rd_vec8(&rd);
    assert_int_equal(cph_rd_u16(&inner), 'x' << 8 | 'y');
    assert_ok(cph_rd_end(&inner));
    assert_err(cph_rd_end(&rd), CPH_E_TRAILING);
}

static void a_failed_reader_stays_failed(void **state)
{
    struct cph_rd rd = cph_rd_open(CPH_SPAN_LIT("\x05"
                                                "ab")),
                  inner;

    (void)state;
    inner = cph_rd_vec8(&rd);
    assert_true(inner.failed && rd.failed);
    assert_int_equal(cph_rd_u8(&inner), 0);
    assert_int_equal(cph_rd_u8(&rd), 0);
    assert_false(cph_rd_more(&rd));
    assert_err(cph_rd_end(&rd), CPH_E_TRUNCATED);
}

static void a_full_writer_stays_failed_and_keeps_its_length(void **state)
{
    uint8_t buf[3];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    cph_wr_u16(&wr, 1);
    cph_wr_u16(&wr, 2);
    cph_wr_u8(&wr, 3);
    assert_int_equal(wr.n, 2);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);

    wr = cph_wr_open(buf, sizeof buf);
    cph_wr_fmt(&wr, "%d", 1000);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
    wr = cph_wr_open(buf, sizeof buf);
    cph_wr_u8(&wr, 1);
    cph_wr_patch16(&wr, 0, 7);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
}

static void every_error_has_name_text_and_blame(void **state)
{
    (void)state;
    for (int e = 0; e < CPH_E_COUNT_; e++) {
        assert_true(strlen(cph_err_name((cph_err)e)) > 1);
        assert_true(strlen(cph_err_text((cph_err)e)) > 5);
    }
    assert_int_equal(cph_err_blame(CPH_E_AUTH), CPH_BLAME_PEER);
    assert_int_equal(cph_err_blame(CPH_E_BUG), CPH_BLAME_SELF);
    assert_string_equal(cph_err_name(CPH_E_COUNT_), "BUG");
}

static void wiping_a_writer_reaches_what_was_taken_back(void **state)
{
    uint8_t buf[16];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    memset(buf, 0x55, sizeof buf);
    cph_wr_text(&wr, "secret");
    wr.n = 2; /* as who tries one answer after the other does */
    cph_wr_wipe(&wr);
    assert_int_equal(wr.n, 0);
    for (size_t i = 0; i < sizeof buf; i++)
        assert_int_equal(buf[i], i < 6 ? 0 : 0x55); /* and no further */

    cph_wr_text(&wr, "ab");
    cph_wr_fmt(&wr, "%s", "more than there is room for"); /* some of it was written */
    assert_true(wr.failed);
    cph_wr_wipe(&wr);
    assert_false(wr.failed);
    for (size_t i = 0; i < sizeof buf; i++)
        assert_int_equal(buf[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(a_full_writer_stays_failed_and_keeps_its_length),
        cmocka_unit_test(every_error_has_name_text_and_blame),
        cmocka_unit_test(wiping_a_writer_reaches_what_was_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

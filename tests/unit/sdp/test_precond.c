/* What a description says must be so before the phone rings. */
#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/sdp_precond.h"

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

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define LINE "m=audio 20000 RTP/SAVP 0\r\n"

static struct cph_sdp *parse(const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(arena, cph_span_of(text), &sdp));
    return sdp;
}

static void the_lines_of_the_examples_are_read(void **state)
{
    struct cph_sdp_security s;

    (void)state;
    /* RFC 5027 4.1, SDP2 */
    cph_sdp_security_of(parse(HEAD LINE "a=curr:sec e2e recv\r\n"
                                        "a=des:sec mandatory e2e sendrecv\r\n"
                                        "a=conf:sec e2e sendrecv\r\n")
                            ->media[0],
                        &s);
    assert_int_equal(s.now, CPH_SDP_RECVONLY);
    assert_int_equal(s.wanted, CPH_SDP_STRENGTH_MANDATORY);
    assert_int_equal(s.want, CPH_SDP_SENDRECV);
    assert_int_equal(s.confirm, CPH_SDP_SENDRECV);
    assert_false(s.foreign);
    /* directions one by one, the stronger wish counts; RFC 3312 4 */
    cph_sdp_security_of(parse(HEAD LINE "a=curr:sec e2e send\r\na=curr:sec e2e recv\r\n"
                                        "a=des:sec optional e2e send\r\n"
                                        "a=des:sec mandatory e2e recv\r\n"
                                        "a=des:qos optional local sendrecv\r\n")
                            ->media[0],
                        &s);
    assert_int_equal(s.now, CPH_SDP_SENDRECV);
    assert_int_equal(s.wanted, CPH_SDP_STRENGTH_MANDATORY);
    assert_int_equal(s.want, CPH_SDP_SENDRECV);
    assert_false(s.foreign);
    cph_sdp_security_of(parse(HEAD LINE "a=des:qos mandatory local send\r\n")->media[0], &s);
    assert_int_equal(s.wanted, CPH_SDP_STRENGTH_UNSAID);
    assert_true(s.foreign);
}

static void lines_that_break_their_grammar_say_nothing(void **state)
{
    static const char *const wrong[] = { "",
                                         "sec",
                                         "sec e2e",
                                         "sec e2e x",
                                         "sec e2e recv x",
                                         "sec e2e sendonly",
                                         "s:c e2e recv",
                                         "sec e(e recv" };
    static const char *const des[] = { "sec e2e recv", "sec must e2e recv", "sec mandatory recv",
                                       "sec Mandatory e2e recv" };
    struct cph_sdp_precond p;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_err(cph_sdp_precond_parse(cph_span_of(wrong[i]), false, &p), CPH_E_MALFORMED);
    for (size_t i = 0; i < sizeof des / sizeof *des; i++)
        assert_err(cph_sdp_precond_parse(cph_span_of(des[i]), true, &p), CPH_E_MALFORMED);
    assert_ok(cph_sdp_precond_parse(CPH_SPAN_LIT("qos failure remote none"), true, &p));
    assert_int_equal(p.strength, CPH_SDP_STRENGTH_FAILURE);
    assert_int_equal(p.dir, CPH_SDP_INACTIVE);
}

static void what_is_written_is_read_and_replaces_what_was(void **state)
{
    struct cph_sdp *sdp = parse(HEAD LINE);

    (void)state;
    for (int now = CPH_SDP_INACTIVE; now <= CPH_SDP_SENDRECV; now++)
        for (int c = CPH_SDP_INACTIVE; c <= CPH_SDP_SENDRECV; c++) {
            const struct cph_sdp_security s = { .wanted = CPH_SDP_STRENGTH_OPTIONAL,
                                                .want = CPH_SDP_SENDRECV,
                                                .now = (enum cph_sdp_dir)now,
                                                .confirm = (enum cph_sdp_dir)c };
            struct cph_sdp_security t;

            assert_ok(cph_sdp_security_set(sdp, sdp->media[0], &s));
            cph_sdp_security_of(sdp->media[0], &t);
            assert_int_equal(t.wanted, s.wanted);
            assert_int_equal(t.want, s.want);
            assert_int_equal(t.now, s.now);
            assert_int_equal(t.confirm, s.confirm);
            assert_int_equal(sdp->media[0]->part.n_attrs, c ? 3 : 2);
        }
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_lines_of_the_examples_are_read),
        test(lines_that_break_their_grammar_say_nothing),
        test(what_is_written_is_read_and_replaces_what_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "support.h"

#include "ciphony/base_text.h"
#include "ciphony/sdp.h"
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

static struct cph_sdp *parse(const char *text)
{
    struct cph_sdp *sdp = NULL;

    assert_ok(cph_sdp_parse(arena, cph_span_of(text), &sdp));
    return sdp;
}

static void assert_prints(const struct cph_sdp *sdp, const char *text)
{
    struct cph_span out = cph_sdp_text(sdp, arena);

    assert_int_equal(out.n, strlen(text));
    assert_memory_equal(out.p, text, out.n);
    assert_int_equal(sdp->n_bytes, out.n);
}

#define HEAD "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"

static void what_was_read_is_printed_byte_by_byte(void **state)
{
    (void)state;
    assert_prints(parse(ex_rfc8866), ex_rfc8866);
    assert_prints(parse(ex_browser), ex_browser);
    assert_prints(parse(ex_keys), ex_keys);
    assert_prints(parse(ex_3264_reoffer), ex_3264_reoffer);
    assert_prints(
        parse("v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nt=0 0\na=x:  y \nm=audio  9 RTP/AVP  0"),
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\na=x:  y \r\n"
        "m=audio  9 RTP/AVP  0\r\n");
    assert_prints(parse(HEAD "\r\n\r\n"), HEAD); /* empty lines at the very end do not count */
}

static void the_parts_of_rfc8866_are_found(void **state)
{
    struct cph_sdp *sdp = parse(ex_rfc8866);
    const struct cph_sdp_media *m;
    const struct cph_sdp_line *l;

    (void)state;
    assert_true(cph_span_is(sdp->origin.user, "jdoe"));
    assert_true(sdp->origin.id == 3724394400 && sdp->origin.version == 3724394405);
    assert_true(cph_span_is(sdp->origin.addr, "198.51.100.1"));
    assert_int_equal(sdp->n_media, 3);
    m = sdp->media[2];
    assert_true(cph_span_is(m->kind, "video"));
    assert_int_equal(m->port, 51372);
    assert_int_equal(m->n_ports, 2);
    assert_int_equal(m->proto, CPH_SDP_RTP_AVP);
    assert_int_equal(m->n_fmts, 1);
    assert_int_equal(m->index, 2);
    l = cph_sdp_attr(&sdp->part, "unheard-of");
    assert_non_null(l);
    assert_true(cph_span_is(l->arg, "value with : colons"));
    assert_null(cph_sdp_attr(&sdp->part, "Recvonly")); /* RFC 8866 6: names have case */
    assert_int_equal(cph_sdp_attr(&sdp->part, "recvonly")->arg.n, 0);
    assert_true(cph_span_is(cph_sdp_line(&sdp->part, 'z')->value, "3724394400 -1h 3735014400 0"));
    assert_null(cph_sdp_attr_next(l));
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[0]), CPH_SDP_RECVONLY);
    assert_int_equal(cph_sdp_direction(sdp, sdp->media[1]), CPH_SDP_SENDRECV);
}

static void broken_descriptions_are_refused(void **state)
{
    static const struct {
        const char *text;
        cph_err err;
    } bad[] = {
        { "", CPH_E_TRUNCATED },
        { "\r\n", CPH_E_MALFORMED },
        { "v=0\r\n", CPH_E_MALFORMED },
        { "v=1\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n", CPH_E_UNSUPPORTED },
        { "v=0\r\ns=-\r\no=- 1 1 IN IP4 1.1.1.1\r\nt=0 0\r\n", CPH_E_MALFORMED },
        { "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\n", CPH_E_MALFORMED },        /* no t= */
        { "v=0\r\no=- 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n", CPH_E_MALFORMED }, /* no version */
        { "v=0\r\no=- -1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n", CPH_E_MALFORMED },
        { "v=0\r\no=- 1 1 IN IP4 1.1.1.1 x\r\ns=-\r\nt=0 0\r\n", CPH_E_MALFORMED },
        { HEAD "x=1\r\n", CPH_E_UNSUPPORTED },
        { HEAD "v=0\r\n", CPH_E_MALFORMED },
        { HEAD "s=again\r\n", CPH_E_MALFORMED },
        { HEAD "a\r\n", CPH_E_MALFORMED },
        { HEAD "a=\r\n", CPH_E_MALFORMED },
        { HEAD "a=:x\r\n", CPH_E_MALFORMED },
        { HEAD "a=b c\r\n", CPH_E_MALFORMED },
        { HEAD "a=x:\ry\r\n", CPH_E_MALFORMED },
        { HEAD "\r\na=x\r\n", CPH_E_MALFORMED },
        { HEAD " a=x\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 1 RTP/AVP\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 65536 RTP/AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio -1 RTP/AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 1/0 RTP/AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 1/70000 RTP/AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 1 RTP//AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=au(dio 1 RTP/AVP 0\r\n", CPH_E_MALFORMED },
        { HEAD "m=audio 1 RTP/AVP 0\r\nt=0 0\r\n", CPH_E_MALFORMED }, /* not of a media section */
    };
    struct cph_sdp *sdp = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(cph_sdp_parse(arena, cph_span_of(bad[i].text), &sdp), bad[i].err);
    assert_err(cph_sdp_parse(arena, CPH_SPAN_LIT(HEAD "a=x:\0y\r\n"), &sdp), CPH_E_MALFORMED);
    assert_null(sdp);
}

/* HEAD and then n times a line, in a buffer that is reused. */
static struct cph_span many(const char *head, const char *line, unsigned n)
{
    static char text[2 * CPH_SDP_MAX_BYTES];
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    cph_wr_text(&wr, head);
    for (unsigned i = 0; i < n; i++)
        cph_wr_text(&wr, line);
    assert_false(wr.failed);
    return cph_wr_done(&wr);
}

static cph_err try_many(const char *head, const char *line, unsigned n)
{
    struct cph_arena *a;
    struct cph_sdp *sdp;
    cph_err err;

    assert_ok(cph_arena_new(CPH_SDP_ARENA, &a));
    err = cph_sdp_parse(a, many(head, line, n), &sdp);
    cph_arena_free(a);
    return err;
}

static void every_limit_holds_at_its_edge(void **state)
{
    static char line[CPH_SDP_MAX_LINE + 16];

    (void)state;
    assert_ok(try_many(HEAD, "m=audio 9 RTP/AVP 0\r\n", CPH_SDP_MAX_MEDIA));
    assert_err(try_many(HEAD, "m=audio 9 RTP/AVP 0\r\n", CPH_SDP_MAX_MEDIA + 1), CPH_E_LIMIT);
    assert_ok(try_many(HEAD, "a=x\r\n", CPH_SDP_MAX_ATTRS));
    assert_err(try_many(HEAD, "a=x\r\n", CPH_SDP_MAX_ATTRS + 1), CPH_E_LIMIT);
    assert_ok(try_many(HEAD, "i=x\r\n", CPH_SDP_MAX_LINES - 5));
    assert_err(try_many(HEAD, "i=x\r\n", CPH_SDP_MAX_LINES - 4), CPH_E_LIMIT);
    assert_ok(try_many(HEAD "m=audio 9 RTP/AVP", " 0", CPH_SDP_MAX_FMTS));
    assert_err(try_many(HEAD "m=audio 9 RTP/AVP", " 0", CPH_SDP_MAX_FMTS + 1), CPH_E_LIMIT);
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "i=", 2);
    line[CPH_SDP_MAX_LINE + 2] = '\0';
    assert_ok(try_many(HEAD, line, 1));
    strcpy(line + CPH_SDP_MAX_LINE + 2, "x");
    assert_err(try_many(HEAD, line, 1), CPH_E_LIMIT);
    strcpy(line + 1000, "\r\n");
    assert_ok(try_many(HEAD, line, 65));
    assert_err(try_many(HEAD, line, 66), CPH_E_LIMIT); /* 66 kB */
}

static cph_err parse_and_print(void *arg, struct cph_span text)
{
    struct cph_arena *a;
    struct cph_sdp *sdp, *copy;
    cph_err err;

    (void)arg;
    assert_ok(cph_arena_new(CPH_SDP_ARENA, &a));
    err = cph_sdp_parse(a, text, &sdp);
    if (err == CPH_OK) {
        struct cph_span first = cph_sdp_text(sdp, a);

        assert_ok(cph_sdp_copy(a, sdp, &copy));
        assert_true(cph_span_eq(first, cph_sdp_text(copy, a)));
        for (unsigned i = 0; i < sdp->n_media; i++)
            (void)cph_sdp_direction(sdp, sdp->media[i]);
    }
    cph_arena_free(a);
    return err;
}

static void damaged_descriptions_do_no_harm(void **state)
{
    (void)state;
    expect_fragile(CPH_SPAN_LIT(ex_rfc8866), 0, parse_and_print, NULL);
    expect_fragile(CPH_SPAN_LIT(ex_browser), 0, parse_and_print, NULL);
    expect_fragile(CPH_SPAN_LIT(ex_keys), 0, parse_and_print, NULL);
}

static void lines_are_added_where_the_grammar_wants_them(void **state)
{
    struct cph_sdp *sdp = parse("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n");
    struct cph_sdp_media *m;

    (void)state;
    assert_ok(cph_sdp_attr_add(sdp, NULL, "sendonly", NULL));
    assert_ok(cph_sdp_line_add(sdp, NULL, 'c', CPH_SPAN_LIT("IN IP4 10.0.0.2")));
    assert_ok(cph_sdp_line_add(sdp, NULL, 'b', CPH_SPAN_LIT("AS:1")));
    assert_ok(cph_sdp_line_add(sdp, NULL, 'b', CPH_SPAN_LIT("AS:2")));
    assert_ok(cph_sdp_media_add(sdp, CPH_SPAN_LIT("audio"), 4000, CPH_SPAN_LIT("RTP/AVP"),
                                CPH_SPAN_LIT("0 8"), &m));
    assert_ok(cph_sdp_attr_fmt(sdp, m, "ptime", "%d", 20));
    assert_ok(cph_sdp_line_add(sdp, m, 'i', CPH_SPAN_LIT("voice")));
    assert_prints(sdp, "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nb=AS:1\r\n"
                       "b=AS:2\r\nt=0 0\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0 8\r\ni=voice\r\n"
                       "a=ptime:20\r\n");
    assert_ok(cph_sdp_media_set_proto(sdp, m, CPH_SDP_RTP_SAVPF));
    assert_ok(cph_sdp_media_set_port(sdp, m, 4002));
    assert_ok(cph_sdp_set_version(sdp, 2));
    assert_int_equal(cph_sdp_attr_remove(sdp, NULL, "sendonly"), 1);
    assert_int_equal(cph_sdp_line_remove(sdp, NULL, 'b'), 2);
    assert_int_equal(cph_sdp_line_remove(sdp, NULL, 's'), 0);
    assert_ok(cph_sdp_attr_add(sdp, NULL, "z", "1"));
    assert_prints(sdp, "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
                       "a=z:1\r\nm=audio 4002 RTP/SAVPF 0 8\r\ni=voice\r\na=ptime:20\r\n");
    assert_true(sdp->origin.version == 2 && m->proto == CPH_SDP_RTP_SAVPF && m->port == 4002);
    assert_ok(cph_sdp_media_refuse(sdp, m));
    assert_prints(sdp, "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
                       "a=z:1\r\nm=audio 0 RTP/SAVPF 0 8\r\n");
}

static void lines_that_would_break_out_are_not_added(void **state)
{
    struct cph_sdp *sdp = parse(HEAD);
    struct cph_sdp_media *m;

    (void)state;
    assert_err(cph_sdp_attr_add(sdp, NULL, "x", "y\r\na=crypto:1"), CPH_E_MALFORMED);
    assert_err(cph_sdp_attr_add(sdp, NULL, "x\n", NULL), CPH_E_MALFORMED);
    assert_err(cph_sdp_line_add(sdp, NULL, 'q', CPH_SPAN_LIT("x")), CPH_E_MALFORMED);
    assert_err(cph_sdp_line_add(sdp, NULL, 'm', CPH_SPAN_LIT("audio 1 RTP/AVP 0")),
               CPH_E_MALFORMED);
    assert_err(cph_sdp_media_add(sdp, CPH_SPAN_LIT("au dio"), 1, CPH_SPAN_LIT("RTP/AVP"),
                                 CPH_SPAN_LIT("0"), &m),
               CPH_E_MALFORMED);
    assert_prints(sdp, HEAD);
}

static cph_err build_all(void *arg)
{
    struct cph_arena *a = NULL;
    struct cph_sdp *sdp, *copy;
    struct cph_sdp_media *m;
    const struct cph_sdp_origin o = { .id = 1, .version = 1 };
    struct cph_addr addr;
    cph_err err;

    (void)arg;
    assert_ok(cph_addr_parse(cph_span_of("[2001:db8::1]:5000"), &addr));
    err = cph_arena_new(CPH_SDP_ARENA, &a);
    if (err == CPH_OK)
        err = cph_sdp_new(a, &o, &addr, &sdp);
    if (err == CPH_OK)
        err = cph_sdp_media_add(sdp, CPH_SPAN_LIT("audio"), 1, CPH_SPAN_LIT("RTP/AVP"),
                                CPH_SPAN_LIT("0"), &m);
    for (int i = 0; i < 400 && err == CPH_OK; i++)
        err = cph_sdp_attr_add(sdp, m, "x", "a value long enough to need some more memory");
    if (err == CPH_OK)
        err = cph_sdp_copy(a, sdp, &copy);
    cph_arena_free(a);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(build_all, NULL);
}

static void a_new_description_is_complete(void **state)
{
    struct cph_sdp *sdp;
    const struct cph_sdp_origin o = { .user = CPH_SPAN_LIT("me"), .id = 5, .version = 6 };
    struct cph_addr addr;

    (void)state;
    assert_ok(cph_addr_parse(cph_span_of("[2001:db8::1]:5000"), &addr));
    assert_ok(cph_sdp_new(arena, &o, &addr, &sdp));
    assert_prints(sdp, "v=0\r\no=me 5 6 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\n"
                       "t=0 0\r\n");
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_was_read_is_printed_byte_by_byte),
        test(the_parts_of_rfc8866_are_found),
        test(broken_descriptions_are_refused),
        test(every_limit_holds_at_its_edge),
        test(damaged_descriptions_do_no_harm),
        test(lines_are_added_where_the_grammar_wants_them),
        test(lines_that_would_break_out_are_not_added),
        test(running_out_of_memory_is_reported),
        test(a_new_description_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "msg_support.h"

enum { FILE_MAX = 8192 };

struct torture {
    uint8_t bytes[FILE_MAX];
    size_t n;
    struct parsed p;
};

static void load(struct torture *t, const char *name)
{
    const char *root = getenv("CPH_VECTORS");
    char path[4096];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/sip/rfc4475/%s.dat", root ? root : "tests/vectors", name);
    f = fopen(path, "rb");
    if (!f)
        fail_msg("no file %s", path);
    t->n = fread(t->bytes, 1, sizeof t->bytes, f);
    (void)fclose(f);
    t->p = parse_bytes((struct cph_span){ t->bytes, t->n }, CPH_SIP_DATAGRAM);
}

static struct torture *accepted(const char *name)
{
    static struct torture t;

    load(&t, name);
    assert_ok(t.p.err);
    return &t;
}

static void every_message_gets_the_answer_the_rfc_names(void **state)
{
    struct vectors *v = vectors_open("sip/rfc4475.txt");
    size_t n = 0;

    (void)state;
    for (; vectors_next(v); n++) {
        static struct torture t;
        const char *status = vectors_text(v, "status"), *header = vectors_text(v, "header");

        load(&t, vectors_text(v, "name"));
        if (strcmp(cph_err_name(t.p.err), vectors_text(v, "result")) != 0)
            fail_msg("%s: %s (%s) instead of %s", vectors_text(v, "name"), cph_err_name(t.p.err),
                     t.p.fault.reason ? t.p.fault.reason : "", vectors_text(v, "result"));
        if (status && t.p.fault.status != (unsigned)atoi(status))
            fail_msg("%s: status %u instead of %s", vectors_text(v, "name"), t.p.fault.status,
                     status);
        if (header)
            assert_string_equal(cph_sip_hdr_name(t.p.fault.hdr), header);
        if (status)
            assert_int_equal(t.p.fault.answerable, strcmp(status, "0") != 0);
        parsed_free(&t.p);
    }
    assert_int_equal(n, 49);
    vectors_close(v);
}

/* A refusal can be answered, and the answer is itself a message. */
static void refused_requests_can_be_answered(void **state)
{
    static const char *const names[] = { "badinv01", "clerr",    "ncl",        "scalar02",
                                         "quotbal",  "badaspec", "mismatch02", "multi01" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        static struct torture t;
        uint8_t buf[4096];
        struct cph_wr wr = cph_wr_open(buf, sizeof buf);

        load(&t, names[i]);
        assert_true(t.p.fault.answerable);
        cph_sip_wr_response(&wr, &t.p.msg, t.p.fault.status, cph_span_of(t.p.fault.reason),
                            CPH_SPAN_LIT("totag"), NULL);
        cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
        assert_ok(cph_wr_end(&wr));
        assert_true(cph_span_starts(cph_wr_done(&wr), "SIP/2.0 "));
        parsed_free(&t.p);
    }
}

static void wsinv_is_understood_through_its_folds(void **state)
{
    struct torture *t = accepted("wsinv");
    const struct cph_sip_msg *m = &t->p.msg;
    const struct cph_sip_header *h;
    struct cph_sip_addr contact;
    struct cph_span v;

    (void)state;
    assert_int_equal(m->method, CPH_SIP_INVITE);
    assert_true(cph_sip_uri_param(&m->uri, "unknownparam", &v));
    assert_span(m->to.tag, "1918181833n");
    assert_span(m->to.uri.text, "sip:vivekg@chair-dnrc.example.com");
    assert_span(m->from.display, "\"J Rosenberg \\\\\\\"\"");
    assert_span(m->from.tag, "98asjd8");
    assert_int_equal(m->max_forwards, 68);
    assert_int_equal(m->cseq.number, 9);
    assert_int_equal(m->n_via, 3);
    assert_span(m->via[0].host, "192.0.2.2");
    assert_span(m->via[0].branch, "390skdjuw");
    assert_false(m->via[0].cookie);
    assert_span(m->via[1].transport, "TCP");
    assert_span(m->via[1].branch, "z9hG4bK9ikj8");
    assert_span(m->via[2].host, "192.168.255.111");
    assert_span(m->via[2].branch, "z9hG4bK30239");
    h = cph_sip_find(m, CPH_SIP_H_SUBJECT);
    assert_non_null(h);
    assert_int_equal(h->value.n, 0);
    h = cph_sip_find_name(m, cph_span_of("newfangledheader"));
    assert_span(h->value, "newfangled value continued newfangled value");
    assert_span(h->raw, "newfangled value\r\n continued newfangled value");
    h = cph_sip_find_name(m, cph_span_of("UnknownHeaderWithUnusualValue"));
    assert_span(h->value, ";;,,;;,;");
    assert_ok(cph_sip_addr_at(m, CPH_SIP_H_CONTACT, 0, &contact));
    assert_span(contact.display, "\"Quoted string \\\"\\\"\"");
    assert_true(cph_sip_param(contact.params, "newparam", &v));
    assert_span(v, "newvalue");
    assert_true(cph_sip_param(contact.params, "secondparam", &v));
    assert_null(v.p);
    assert_true(cph_sip_param(contact.params, "q", &v));
    assert_span(v, "0.33");
    assert_err(cph_sip_addr_at(m, CPH_SIP_H_CONTACT, 1, &contact), CPH_E_NOTFOUND);
    assert_int_equal(m->body.n, 150);
    parsed_free(&t->p);
}

static void intmeth_keeps_its_wide_characters(void **state)
{
    struct torture *t = accepted("intmeth");
    const struct cph_sip_msg *m = &t->p.msg;
    uint8_t buf[64];
    size_t n;

    (void)state;
    assert_int_equal(m->method, CPH_SIP_OTHER_METHOD);
    assert_span(m->method_name, "!interesting-Method0123456789_*+`.%indeed'~");
    assert_span(m->uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    assert_span(m->uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
    assert_span(m->uri.host, "example.com");
    assert_span(m->via[0].branch, "z9hG4bK-.!%66*_+`'~");
    assert_ok(cph_sip_unquote(m->to.display, buf, sizeof buf, &n));
    assert_int_equal(n, 17);
    assert_memory_equal(buf, "BEL:\x07 NUL:\0 DEL:\x7f", 17);
    assert_span(m->from.display, "token1~` token2'+_ token3*%!.-");
    assert_span(m->from.tag, "_token~1'+`*%!-.");
    assert_span(m->call_id, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_int_equal(m->cseq.number, 139122385);
    assert_int_equal(m->max_forwards, 255);
    parsed_free(&t->p);
}

static void escapes_are_undone_once_and_only_where_they_are_escapes(void **state)
{
    struct torture *t = accepted("esc01");
    struct cph_sip_addr contact;
    struct cph_sip_uri same;
    struct cph_span v;
    uint8_t buf[64];
    size_t n;

    (void)state;
    assert_span(t->p.msg.uri.user, "sips%3Auser%40example.com");
    assert_ok(cph_sip_unescape(t->p.msg.uri.user, buf, sizeof buf, &n));
    assert_span(((struct cph_span){ buf, n }), "sips:user@example.com");
    assert_ok(cph_sip_uri_parse(cph_span_of("sip:user@example.com"), &same));
    assert_true(cph_sip_uri_eq(&t->p.msg.to.uri, &same));
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 0, &contact));
    assert_true(cph_sip_uri_param(&contact.uri, "lr", &v));
    assert_true(cph_sip_uri_param(&contact.uri, "name", &v));
    assert_ok(cph_sip_unescape(v, buf, sizeof buf, &n));
    assert_span(((struct cph_span){ buf, n }), "value%41");
    parsed_free(&t->p);

    t = accepted("esc02");
    assert_int_equal(t->p.msg.method, CPH_SIP_OTHER_METHOD);
    assert_span(t->p.msg.to.display, "\"%Z%45\"");
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 1, &contact));
    assert_span(contact.uri.user, "alias3");
    assert_err(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 2, &contact), CPH_E_NOTFOUND);
    parsed_free(&t->p);
}

static void escaped_nulls_do_not_end_a_user_part(void **state)
{
    struct torture *t = accepted("escnull");
    struct cph_sip_addr a, b;
    uint8_t buf[64];
    size_t n;

    (void)state;
    assert_ok(cph_sip_unescape(t->p.msg.to.uri.user, buf, sizeof buf, &n));
    assert_int_equal(n, 11);
    assert_memory_equal(buf, "null-\0-null", 11);
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 0, &a));
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 1, &b));
    assert_false(cph_sip_uri_eq(&a.uri, &b.uri));
    parsed_free(&t->p);
}

static void long_values_and_many_vias_are_kept(void **state)
{
    struct torture *t = accepted("longreq");
    const struct cph_sip_msg *m = &t->p.msg;

    (void)state;
    assert_int_equal(m->n_via, 34);
    assert_span(m->via[0].host, "sip33.example.com");
    assert_span(m->via[33].received, "192.0.2.5");
    assert_int_equal(m->from.tag.n, 2 + 150 + 3);
    assert_int_equal(m->to.uri.port, 6000);
    assert_int_equal(m->call_id.n, strlen("longreq.one") + 20 * 6 + strlen("longcallid"));
    parsed_free(&t->p);
}

static void what_follows_the_body_in_a_datagram_is_dropped(void **state)
{
    struct torture *t = accepted("dblreq");

    (void)state;
    assert_int_equal(t->p.msg.method, CPH_SIP_REGISTER);
    assert_int_equal(t->p.msg.body.n, 0);
    assert_int_equal(t->p.msg.bytes.n, t->p.msg.head.n);
    assert_true(t->p.msg.bytes.n < t->n);
    parsed_free(&t->p);
}

static void single_details_of_the_other_valid_messages(void **state)
{
    struct cph_sip_addr contact;
    struct cph_sip_iter it = { 0 };
    struct cph_span v;
    struct torture *t;
    size_t n = 0;

    (void)state;
    t = accepted("semiuri");
    assert_span(t->p.msg.uri.user, "user;par=u%40example.net");
    while (cph_sip_each(&t->p.msg, CPH_SIP_H_ACCEPT, &it, &v))
        n++;
    assert_int_equal(n, 6);
    assert_span(v, "message/sipfrag");
    parsed_free(&t->p);

    t = accepted("transports");
    assert_int_equal(t->p.msg.n_via, 5);
    assert_span(t->p.msg.via[3].transport, "UNKNOWN");
    parsed_free(&t->p);

    t = accepted("lwsdisp");
    assert_span(t->p.msg.from.display, "caller");
    parsed_free(&t->p);

    t = accepted("unreason");
    assert_int_equal(t->p.msg.status, 200);
    assert_true(cph_span_starts(t->p.msg.reason, "= 2**3 * 5**2 \xd0\xbd"));
    parsed_free(&t->p);

    t = accepted("noreason");
    assert_int_equal(t->p.msg.status, 100);
    assert_int_equal(t->p.msg.reason.n, 0);
    parsed_free(&t->p);

    t = accepted("unkscm");
    assert_int_equal(t->p.msg.uri.scheme, CPH_SIP_SCHEME_OTHER);
    assert_span(t->p.msg.uri.scheme_name, "nobodyKnowsThisScheme");
    parsed_free(&t->p);

    t = accepted("unksm2");
    assert_span(t->p.msg.to.uri.scheme_name, "isbn");
    assert_span(t->p.msg.from.tag, "3234233");
    parsed_free(&t->p);

    t = accepted("bext01");
    assert_true(cph_sip_has_token(&t->p.msg, CPH_SIP_H_REQUIRE, "nothingSupportsThisEither"));
    assert_false(cph_sip_has_token(&t->p.msg, CPH_SIP_H_REQUIRE, "nothing"));
    parsed_free(&t->p);

    t = accepted("bcast");
    assert_span(t->p.msg.via[1].host, "255.255.255.255");
    parsed_free(&t->p);

    t = accepted("zeromf");
    assert_true(t->p.msg.has_max_forwards);
    assert_int_equal(t->p.msg.max_forwards, 0);
    parsed_free(&t->p);

    t = accepted("cparam01"); /* a parameter of the header, not of the URI */
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 0, &contact));
    assert_true(cph_sip_param(contact.params, "unknownparam", &v));
    assert_false(cph_sip_uri_param(&contact.uri, "unknownparam", &v));
    parsed_free(&t->p);

    t = accepted("cparam02");
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 0, &contact));
    assert_false(cph_sip_param(contact.params, "unknownparam", &v));
    assert_true(cph_sip_uri_param(&contact.uri, "unknownparam", &v));
    parsed_free(&t->p);

    t = accepted("regescrt");
    assert_ok(cph_sip_addr_at(&t->p.msg, CPH_SIP_H_CONTACT, 0, &contact));
    assert_span(contact.uri.headers, "Route=%3Csip:sip.example.com%3E");
    parsed_free(&t->p);

    t = accepted("inv2543"); /* no branch, no From tag, no Max-Forwards, no Content-Length */
    assert_int_equal(t->p.msg.via[0].branch.n, 0);
    assert_int_equal(t->p.msg.from.tag.n, 0);
    assert_false(t->p.msg.has_max_forwards);
    assert_false(t->p.msg.has_content_length);
    assert_true(cph_span_starts(t->p.msg.body, "v=0\r\n"));
    parsed_free(&t->p);
}

static void the_multipart_body_comes_apart_with_its_null_bytes(void **state)
{
    struct torture *t = accepted("mpart01");
    struct cph_sip_part part[4];
    struct cph_span v, type = cph_sip_find(&t->p.msg, CPH_SIP_H_CONTENT_TYPE)->value;
    size_t n;

    (void)state;
    assert_int_equal(t->p.msg.body.n, 553);
    assert_ok(cph_sip_multipart_split(type, t->p.msg.body, part, 4, &n));
    assert_int_equal(n, 2);
    assert_span(part[0].body, "Hello");
    assert_true(cph_sip_part_header(&part[1], "Content-Type", &v));
    assert_span(v, "application/octet-stream");
    assert_int_equal(part[1].body.n, 0x152 + 4);
    assert_int_equal(part[1].body.p[0], 0x30);
    assert_err(cph_sip_multipart_split(type, t->p.msg.body, part, 1, &n), CPH_E_LIMIT);
    parsed_free(&t->p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_gets_the_answer_the_rfc_names),
        cmocka_unit_test(refused_requests_can_be_answered),
        cmocka_unit_test(wsinv_is_understood_through_its_folds),
        cmocka_unit_test(intmeth_keeps_its_wide_characters),
        cmocka_unit_test(escapes_are_undone_once_and_only_where_they_are_escapes),
        cmocka_unit_test(escaped_nulls_do_not_end_a_user_part),
        cmocka_unit_test(long_values_and_many_vias_are_kept),
        cmocka_unit_test(what_follows_the_body_in_a_datagram_is_dropped),
        cmocka_unit_test(single_details_of_the_other_valid_messages),
        cmocka_unit_test(the_multipart_body_comes_apart_with_its_null_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

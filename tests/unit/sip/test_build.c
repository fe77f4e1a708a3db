#include "ciphony/base_addr.h"
#include "msg_support.h"

static const struct cph_span none = { 0 };

static struct cph_addr addr(const char *text)
{
    struct cph_addr a;

    assert_ok(cph_addr_parse(cph_span_of(text), &a));
    return a;
}

static void a_request_is_built_in_one_pass(void **state)
{
    char buf[1024];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    (void)state;
    cph_sip_wr_request_line(&wr, CPH_SPAN_LIT("INVITE"), CPH_SPAN_LIT("sip:bob@biloxi.com"));
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_VIA, "SIP/2.0/UDP %s;branch=%s;rport", "pc33.atlanta.com",
                          "z9hG4bKnashds8");
    cph_sip_wr_header(&wr, CPH_SIP_H_MAX_FORWARDS, CPH_SPAN_LIT("70"));
    cph_sip_wr_addr_header(&wr, CPH_SIP_H_TO, CPH_SPAN_LIT("Bob \"B\""),
                           CPH_SPAN_LIT("sip:bob@biloxi.com"), none);
    cph_sip_wr_addr_header(&wr, CPH_SIP_H_FROM, none, CPH_SPAN_LIT("sip:alice@atlanta.com"),
                           CPH_SPAN_LIT("1928301774"));
    cph_sip_wr_header(&wr, CPH_SIP_H_CALL_ID, CPH_SPAN_LIT("a84b4c76e66710"));
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CSEQ, "%u %s", 314159u, "INVITE");
    cph_sip_wr_header_named(&wr, CPH_SPAN_LIT("X-Ours"), CPH_SPAN_LIT("y"));
    cph_sip_wr_body(&wr, CPH_SPAN_LIT("application/sdp"), CPH_SPAN_LIT("v=0\r\n"));
    assert_ok(cph_wr_end(&wr));
    assert_span(cph_wr_done(&wr),
                "INVITE sip:bob@biloxi.com SIP/2.0\r\n"
                "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;rport\r\n"
                "Max-Forwards: 70\r\n"
                "To: \"Bob \\\"B\\\"\" <sip:bob@biloxi.com>\r\n"
                "From: <sip:alice@atlanta.com>;tag=1928301774\r\n"
                "Call-ID: a84b4c76e66710\r\n"
                "CSeq: 314159 INVITE\r\n"
                "X-Ours: y\r\n"
                "Content-Type: application/sdp\r\n"
                "Content-Length: 5\r\n\r\nv=0\r\n");
    struct parsed p = parse_bytes(cph_wr_done(&wr), CPH_SIP_STREAM);
    assert_ok(p.err);
    parsed_free(&p);
}

/* Every way a line break or a NUL could come in. */
static void nothing_can_be_smuggled_into_a_line(void **state)
{
    static const struct cph_span evil[] = { CPH_SPAN_LIT("a\rb"), CPH_SPAN_LIT("a\nb"),
                                            CPH_SPAN_LIT("a\r\nX: y"), CPH_SPAN_LIT("a\0b") };
    char buf[512];

    (void)state;
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        for (int way = 0; way < 10; way++) {
            struct cph_wr wr = cph_wr_open(buf, sizeof buf);
            struct cph_span e = evil[i], ok = CPH_SPAN_LIT("sip:a@b");

            switch (way) {
            case 0:
                cph_sip_wr_header(&wr, CPH_SIP_H_SUBJECT, e);
                break;
            case 1:
                cph_sip_wr_header_named(&wr, e, ok);
                break;
            case 2:
                cph_sip_wr_request_line(&wr, e, ok);
                break;
            case 3:
                cph_sip_wr_request_line(&wr, CPH_SPAN_LIT("BYE"), e);
                break;
            case 4:
                cph_sip_wr_status_line(&wr, 200, e);
                break;
            case 5:
                if (i == 3) /* quoted, a NUL is allowed: RFC 3261 25.1 quoted-pair */
                    wr.failed = true;
                cph_sip_wr_addr(&wr, e, ok, none);
                break;
            case 6:
                cph_sip_wr_addr(&wr, none, e, none);
                break;
            case 7:
                cph_sip_wr_addr(&wr, none, ok, e);
                break;
            case 8:
                cph_sip_wr_addr_header(&wr, CPH_SIP_H_FROM, none, ok, e);
                break;
            case 9:
                cph_sip_wr_body(&wr, e, none);
                break;
            }
            if (cph_wr_end(&wr) != CPH_E_NOSPACE)
                fail_msg("way %d let evil %zu through", way, i);
        }
    }
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    cph_sip_wr_addr(&wr, none, CPH_SPAN_LIT("sip:a@b>,<sip:c@d"), none);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
    wr = cph_wr_open(buf, sizeof buf);
    cph_sip_wr_quoted(&wr, CPH_SPAN_LIT("\xff"));
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
    wr = cph_wr_open(buf, sizeof buf);
    cph_sip_wr_status_line(&wr, 99, none);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
    wr = cph_wr_open(buf, sizeof buf);
    cph_sip_wr_request_line(&wr, CPH_SPAN_LIT("BYE"), CPH_SPAN_LIT("sip:a b"));
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
    wr = cph_wr_open(buf, 10);
    cph_sip_wr_status_line(&wr, 200, none);
    assert_err(cph_wr_end(&wr), CPH_E_NOSPACE);
}

#define REST                                                                                       \
    "From: <sip:a@a>;tag=1\r\nTo:  <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"                 \
    "Timestamp: 54\r\nContent-Length: 0\r\n\r\n"

/* The response to a request with these Via lines that came from there. */
static void response(const char *vias, const char *source, unsigned status, const char *want)
{
    char text[1024], buf[1024];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_addr from = addr(source ? source : "1.1.1.1:1");
    struct parsed p;

    (void)snprintf(text, sizeof text, "OPTIONS sip:b@b SIP/2.0\r\n%s" REST, vias);
    p = parse_bytes(cph_span_of(text), CPH_SIP_STREAM);
    assert_ok(p.err);
    cph_sip_wr_response(&wr, &p.msg, status, none, CPH_SPAN_LIT("2"), source ? &from : NULL);
    assert_ok(cph_wr_end(&wr));
    assert_span(cph_wr_done(&wr), want);
    cph_sip_wr_body(&wr, none, none);
    parsed_free(&p);
    p = parse_bytes(cph_wr_done(&wr), CPH_SIP_STREAM);
    assert_ok(p.err);
    assert_span(p.msg.to.tag, "2");
    parsed_free(&p);
}

#define OK200 "SIP/2.0 200 OK\r\n"
#define TAIL  "From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"

static void a_response_goes_back_the_way_the_request_came(void **state)
{
    (void)state;
    /* sent-by is a name: received says the address */
    response("Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1\r\n", "192.0.2.1:5060", 200,
             OK200 "Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1;received=192.0.2.1\r\n" TAIL);
    /* sent-by is the source: nothing to add */
    response("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n", "192.0.2.1:5062", 200,
             OK200 "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" TAIL);
    /* RFC 3581 4: rport asks for both, even so */
    response("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\n", "192.0.2.1:9988", 200,
             OK200
             "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.1;rport=9988\r\n" TAIL);
    /* what the sender claims of itself does not stand */
    response("Via: SIP/2.0/UDP a;received=9.9.9.9;rport=1;branch=z9hG4bK1\r\n", "[2001:db8::1]:7",
             200, OK200 "Via: SIP/2.0/UDP a;branch=z9hG4bK1;received=2001:db8::1;rport=7\r\n" TAIL);
    /* only the top one changes; order and form of the others stay */
    response("v:SIP/2.0/UDP a;rport , SIP/2.0/TCP b;branch=z9hG4bK2\r\nVIA : SIP/2.0/TLS c\r\n",
             "192.0.2.1:1", 200,
             OK200 "Via: SIP/2.0/UDP a;received=192.0.2.1;rport=1\r\n"
                   "Via: SIP/2.0/TCP b;branch=z9hG4bK2\r\nVIA : SIP/2.0/TLS c\r\n" TAIL);
    response("v: SIP/2.0/UDP a;rport\r\n", NULL, 200, OK200 "v: SIP/2.0/UDP a;rport\r\n" TAIL);
    response("v: SIP/2.0/UDP a\r\n", NULL, 100,
             "SIP/2.0 100 Trying\r\nv: SIP/2.0/UDP a\r\n" TAIL "Timestamp: 54\r\n");
}

static void a_tag_that_is_there_is_kept(void **state)
{
    static const char text[] = "BYE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@a>;tag=1\r\n"
                               "t: <sip:b@b>;tag=3\r\ni: c\r\nCSeq: 1 BYE\r\n\r\n";
    char buf[512];
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct parsed p = parse_bytes(cph_span_of(text), CPH_SIP_DATAGRAM);

    (void)state;
    assert_ok(p.err);
    cph_sip_wr_response(&wr, &p.msg, 481, CPH_SPAN_LIT("Gone"), CPH_SPAN_LIT("2"), NULL);
    assert_span(cph_wr_done(&wr), "SIP/2.0 481 Gone\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@a>;tag=1\r\n"
                                  "t: <sip:b@b>;tag=3\r\ni: c\r\nCSeq: 1 BYE\r\n");
    parsed_free(&p);
}

static void messages_of_the_examples_are_understood(void **state)
{
    struct vectors *v = vectors_open("sip/rfc3261_24.txt");
    const char *root = getenv("CPH_VECTORS");
    size_t n = 0;

    (void)state;
    for (; vectors_next(v); n++) {
        uint8_t text[4096];
        char path[4096];
        struct parsed p;
        size_t size;
        FILE *f;

        (void)snprintf(path, sizeof path, "%s/sip/rfc3261_24/%s.dat", root ? root : "tests/vectors",
                       vectors_text(v, "name"));
        f = fopen(path, "rb");
        assert_non_null(f);
        size = fread(text, 1, sizeof text, f);
        (void)fclose(f);
        memset(text + size, 'x', 142); /* the body that is not shown */
        p = parse_bytes((struct cph_span){ text, size + 142 }, CPH_SIP_DATAGRAM);
        if (p.err != CPH_OK)
            fail_msg("%s: %s", vectors_text(v, "section"), p.fault.reason);
        assert_span(p.msg.start_line, vectors_text(v, "start"));
        assert_int_equal(p.msg.n_header, atoi(vectors_text(v, "headers")));
        parsed_free(&p);
    }
    assert_int_equal(n, 16);
    vectors_close(v);
}

static cph_err split(const char *type, const char *body, size_t *n)
{
    struct cph_sip_part part[CPH_SIP_PARTS_MAX];

    return cph_sip_multipart_split(cph_span_of(type), cph_span_of(body), part, CPH_SIP_PARTS_MAX,
                                   n);
}

static void multipart_bodies_are_strict(void **state)
{
    const char *type = "multipart/mixed;boundary=\"b 1\"", *b = "multipart/mixed;boundary=b";
    struct cph_sip_part part[2];
    char many[1024] = "";
    struct cph_span v;
    size_t n;

    (void)state;
    assert_ok(split(
        type, "preamble\r\n--b 1 \t\r\n\r\nx\r\n--b 1\r\nA: b\r\n\r\n\r\n--b 1--\r\nepilogue", &n));
    assert_int_equal(n, 2);
    assert_ok(split(b, "--b\r\n\r\n--bx\r\n--b--", &n)); /* --bx is text */
    assert_int_equal(n, 1);
    assert_err(split("multipart/mixed", "--b\r\n\r\n--b--", &n), CPH_E_MALFORMED);
    assert_err(split("text/plain;boundary=b", "--b\r\n\r\n\r\n--b--", &n), CPH_E_MALFORMED);
    assert_err(split("multipart/mixed;boundary=\"\"", "----", &n), CPH_E_MALFORMED);
    assert_err(split(b, "", &n), CPH_E_MALFORMED);
    assert_err(split(b, "--b--", &n), CPH_E_MALFORMED);
    assert_err(split(b, "--b\r\n--b--", &n), CPH_E_MALFORMED);
    assert_err(split(b, "--b\r\n\r\nx\r\n", &n), CPH_E_MALFORMED);
    assert_err(split(b, "--b\r\nno header end\r\n--b--", &n), CPH_E_MALFORMED);
    assert_err(split(b, "x--b\r\n\r\nx\r\n--b--", &n), CPH_E_MALFORMED);
    for (int i = 0; i <= CPH_SIP_PARTS_MAX; i++)
        strcat(many, "--b\r\n\r\nx\r\n");
    strcat(many, "--b--");
    assert_err(split(b, many, &n), CPH_E_LIMIT);
    assert_ok(split(b, many + 10, &n));
    assert_int_equal(n, CPH_SIP_PARTS_MAX);
    assert_ok(cph_sip_multipart_split(
        cph_span_of(b), CPH_SPAN_LIT("--b\r\nA: 1\r\nB:\r\n 2\r\n\r\n\r\n--b--"), part, 2, &n));
    assert_true(cph_sip_part_header(&part[0], "b", &v));
    assert_span(v, "2");
    assert_false(cph_sip_part_header(&part[0], "c", &v));
    assert_int_equal(part[0].body.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_built_in_one_pass),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_line),
        cmocka_unit_test(a_response_goes_back_the_way_the_request_came),
        cmocka_unit_test(a_tag_that_is_there_is_kept),
        cmocka_unit_test(messages_of_the_examples_are_understood),
        cmocka_unit_test(multipart_bodies_are_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "msg_support.h"

#define VIA  "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n"
#define FROM "From: <sip:a@a.example>;tag=1\r\n"
#define TO   "To: <sip:b@b.example>\r\n"
#define CALL "Call-ID: x@a.example\r\n"
#define SEQ  "CSeq: 1 OPTIONS\r\n"
#define LINE "OPTIONS sip:b@b.example SIP/2.0\r\n"
#define HEAD LINE VIA FROM TO CALL SEQ
#define LEN0 "Content-Length: 0\r\n"

/* RFC 3261 24.2 F1, the body put in with its true length. */
static const char golden_body[] = "v=0\r\no=alice 53655765 2353687637 IN IP4 pc33.atlanta.com\r\n"
                                  "s=-\r\nt=0 0\r\nc=IN IP4 pc33.atlanta.com\r\n"
                                  "m=audio 3456 RTP/AVP 0 1 3 99\r\na=rtpmap:0 PCMU/8000\r\n";
static const char golden_head[] = "INVITE sip:bob@biloxi.com SIP/2.0\r\n"
                                  "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8\r\n"
                                  "Max-Forwards: 70\r\n"
                                  "To: Bob <sip:bob@biloxi.com>\r\n"
                                  "From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
                                  "Call-ID: a84b4c76e66710\r\n"
                                  "CSeq: 314159 INVITE\r\n"
                                  "Contact: <sip:alice@pc33.atlanta.com>\r\n"
                                  "Content-Type: application/sdp\r\n";

static struct cph_span golden(void)
{
    static char text[1024];

    (void)snprintf(text, sizeof text, "%sContent-Length: %zu\r\n\r\n%s", golden_head,
                   sizeof golden_body - 1, golden_body);
    return cph_span_of(text);
}

static cph_err check(void *arg, struct cph_span bytes)
{
    struct parsed p = parse_bytes(bytes, *(enum cph_sip_transport_kind *)arg);

    parsed_free(&p);
    return p.err;
}

static void a_cut_message_is_refused_and_a_damaged_one_does_no_harm(void **state)
{
    enum cph_sip_transport_kind kinds[] = { CPH_SIP_DATAGRAM, CPH_SIP_STREAM };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        expect_fragile(golden(), FRAGILE_TRUNCATION, check, &kinds[i]);
}

/* What is refused, why, and with what answer. */
static void refused(const char *text, enum cph_sip_transport_kind kind, cph_err err,
                    unsigned status, enum cph_sip_hdr hdr)
{
    struct parsed p = parse_bytes(cph_span_of(text), kind);

    if (p.err != err || p.fault.status != status || p.fault.hdr != hdr)
        fail_msg("%s %u %s (%s) for:\n%s", cph_err_name(p.err), p.fault.status,
                 cph_sip_hdr_name(p.fault.hdr), p.fault.reason ? p.fault.reason : "", text);
    if (status == 0)
        assert_false(p.fault.answerable);
    parsed_free(&p);
}

static void bad(const char *text, enum cph_sip_hdr hdr)
{
    refused(text, CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 400, hdr);
}

static struct parsed good(const char *text, enum cph_sip_transport_kind kind)
{
    struct parsed p = parse_bytes(cph_span_of(text), kind);

    if (p.err != CPH_OK)
        fail_msg("%s (%s) for:\n%s", cph_err_name(p.err), p.fault.reason, text);
    return p;
}

static void every_part_keeps_its_original_bytes(void **state)
{
    struct parsed p = parse_bytes(golden(), CPH_SIP_STREAM);
    const uint8_t *at;

    (void)state;
    assert_ok(p.err);
    assert_span(p.msg.start_line, "INVITE sip:bob@biloxi.com SIP/2.0");
    assert_span(p.msg.body, golden_body);
    assert_int_equal(p.msg.head.n + p.msg.body.n, p.msg.bytes.n);
    at = p.msg.start_line.p + p.msg.start_line.n + 2;
    for (size_t i = 0; i < p.msg.n_header;
         i++) { /* the lines lie one behind the other, nothing between */
        const struct cph_sip_header *h = &p.msg.header[i];

        assert_ptr_equal(h->line.p, at);
        assert_ptr_equal(h->name.p, at);
        assert_ptr_equal(h->raw.p, h->value.p);
        at += h->line.n;
    }
    assert_ptr_equal(at + 2, p.msg.body.p);
    assert_int_equal(p.msg.n_header, 9);
    parsed_free(&p);
}

static void a_folded_line_keeps_its_folds_and_reads_as_one(void **state)
{
    struct parsed p = good(HEAD "Subject:\r\n one \t\r\n\t two\r\n\r\n", CPH_SIP_DATAGRAM);
    const struct cph_sip_header *h = cph_sip_find(&p.msg, CPH_SIP_H_SUBJECT);

    (void)state;
    assert_span(h->value, "one two");
    assert_span(h->raw, "one \t\r\n\t two");
    assert_span(h->line, "Subject:\r\n one \t\r\n\t two\r\n");
    parsed_free(&p);
}

static void start_lines_are_strict(void **state)
{
    (void)state;
    refused("", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0, CPH_SIP_H_OTHER);
    refused("\r\n\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0, CPH_SIP_H_OTHER);
    refused("garbage", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0, CPH_SIP_H_OTHER);
    refused("\x16\x03\x01 x\r\n\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0, CPH_SIP_H_OTHER);
    bad("OPTIONS sip:b@b.example\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_H_OTHER);
    bad("OPTIONS sip:b@b.example SIP/2.x\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_H_OTHER);
    refused("OPTIONS\tsip:b@b.example SIP/2.0\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM,
            CPH_E_MALFORMED, 0, CPH_SIP_H_OTHER);
    bad("OPTIONS sip:b@b.example SIP/2.0\r\n x\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_H_OTHER);
    bad("OPTIONS sip:b@b.example SIP/2.0\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_H_OTHER);
    refused("OPTIONS sip:b@b.example SIP/3.0\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM,
            CPH_E_UNSUPPORTED, 505, CPH_SIP_H_OTHER);
    refused("SIP/2.0 200\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0,
            CPH_SIP_H_OTHER);
    refused("SIP/2.0 099 x\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0,
            CPH_SIP_H_OTHER);
    refused("SIP/2.0 700 x\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0,
            CPH_SIP_H_OTHER);
    refused("SIP/3.0 200 OK\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_UNSUPPORTED,
            0, CPH_SIP_H_OTHER);
    refused("SIP/2.0 200 \x01\r\n" VIA FROM TO CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED,
            0, CPH_SIP_H_OTHER);
}

static void header_lines_are_strict(void **state)
{
    (void)state;
    bad(HEAD "NoColon\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD ": empty\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Bad Name: x\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "B\xc3\xa4: x\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Z: bare\rcr\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Z: bare\nlf\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Z: \x01\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Z: \xc3(\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Z: \"\\\x01\"\r\n\r\n", CPH_SIP_H_OTHER);
    bad(HEAD "Subject: \x80\r\n\r\n", CPH_SIP_H_SUBJECT);
    bad(HEAD "Subject: \\\x01\r\n\r\n", CPH_SIP_H_SUBJECT);
    bad(HEAD "Contact: <sip:a@b>;x=\\\x01\r\n\r\n", CPH_SIP_H_CONTACT);
    refused(HEAD, CPH_SIP_DATAGRAM, CPH_E_TRUNCATED, 400, CPH_SIP_H_OTHER);
    struct parsed p = good(HEAD "Z: \x80\xc3\xa4\r\nSubject: \xc3\xa4\r\n"
                                "Contact: \"\\\x01\" <sip:a@b>\r\n\r\n",
                           CPH_SIP_DATAGRAM);
    parsed_free(&p);
}

static void what_must_be_there_must_be_there_once(void **state)
{
    (void)state;
    bad(LINE FROM TO CALL SEQ "\r\n", CPH_SIP_H_VIA);
    bad(LINE VIA TO CALL SEQ "\r\n", CPH_SIP_H_FROM);
    bad(LINE VIA FROM CALL SEQ "\r\n", CPH_SIP_H_TO);
    bad(LINE VIA FROM TO SEQ "\r\n", CPH_SIP_H_CALL_ID);
    bad(LINE VIA FROM TO CALL "\r\n", CPH_SIP_H_CSEQ);
    bad(HEAD FROM "\r\n", CPH_SIP_H_FROM);
    bad(HEAD "t: <sip:c@c>\r\n\r\n", CPH_SIP_H_TO);
    bad(HEAD "i: y\r\n\r\n", CPH_SIP_H_CALL_ID);
    bad(HEAD SEQ "\r\n", CPH_SIP_H_CSEQ);
    bad(HEAD LEN0 "l: 0\r\n\r\n", CPH_SIP_H_CONTENT_LENGTH);
    bad(HEAD "Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n", CPH_SIP_H_MAX_FORWARDS);
    bad(LINE "Via:\r\n" FROM TO CALL SEQ "\r\n", CPH_SIP_H_VIA);
    bad(LINE VIA FROM "To: *\r\n" CALL SEQ "\r\n", CPH_SIP_H_TO);
    bad(LINE VIA FROM TO "Call-ID: a@b@c\r\n" SEQ "\r\n", CPH_SIP_H_CALL_ID);
    bad(LINE VIA FROM TO "Call-ID: a b\r\n" SEQ "\r\n", CPH_SIP_H_CALL_ID);
    bad(LINE VIA FROM TO "Call-ID: @b\r\n" SEQ "\r\n", CPH_SIP_H_CALL_ID);
    bad(LINE VIA FROM TO CALL "CSeq: 1 INVITE\r\n\r\n", CPH_SIP_H_CSEQ);
}

static void known_headers_are_checked_wherever_they_stand(void **state)
{
    static const struct {
        const char *line;
        enum cph_sip_hdr hdr;
    } rows[] = {
        { "Max-Forwards: 256", CPH_SIP_H_MAX_FORWARDS },
        { "Max-Forwards: x", CPH_SIP_H_MAX_FORWARDS },
        { "Content-Length: -1", CPH_SIP_H_CONTENT_LENGTH },
        { "Content-Length: 0x1", CPH_SIP_H_CONTENT_LENGTH },
        { "Content-Length: 1 2", CPH_SIP_H_CONTENT_LENGTH },
        { "Content-Type: sdp", CPH_SIP_H_CONTENT_TYPE },
        { "Expires: 4294967296", CPH_SIP_H_EXPIRES },
        { "Min-Expires: soon", CPH_SIP_H_MIN_EXPIRES },
        { "Date: Sat, 13 Nov 2010 23:29:00 EST", CPH_SIP_H_DATE },
        { "Contact:", CPH_SIP_H_CONTACT },
        { "Contact: <sip:a@b>,", CPH_SIP_H_CONTACT },
        { "Contact: *, <sip:a@b>", CPH_SIP_H_CONTACT },
        { "Contact: <sip:a@b>;q=1.1", CPH_SIP_H_CONTACT },
        { "Contact: <sip:a@b>;q=0.1234", CPH_SIP_H_CONTACT },
        { "Contact: <sip:a@b>;expires=x", CPH_SIP_H_CONTACT },
        { "Route: sip:a@b", CPH_SIP_H_ROUTE },
        { "Record-Route: <sip:a@b>,,<sip:c@d>", CPH_SIP_H_RECORD_ROUTE },
        { "Refer-To: x", CPH_SIP_H_REFER_TO },
        { "Reply-To: *", CPH_SIP_H_REPLY_TO },
        { "RAck: 1 INVITE", CPH_SIP_H_RACK },
        { "RSeq: a", CPH_SIP_H_RSEQ },
        { "Session-Expires: a", CPH_SIP_H_SESSION_EXPIRES },
        { "x: 1;refresher=proxy", CPH_SIP_H_SESSION_EXPIRES },
        { "Min-SE: a", CPH_SIP_H_MIN_SE },
        { "Retry-After: soon", CPH_SIP_H_RETRY_AFTER },
        { "Warning: 1812 x \"y\"", CPH_SIP_H_WARNING },
        { "Warning: 399 x y", CPH_SIP_H_WARNING },
        { "Allow: INVITE,,ACK", CPH_SIP_H_ALLOW },
        { "Supported: a b", CPH_SIP_H_SUPPORTED },
        { "k: a,", CPH_SIP_H_SUPPORTED },
        { "Require:", CPH_SIP_H_REQUIRE },
        { "Proxy-Require: a;b", CPH_SIP_H_PROXY_REQUIRE },
        { "Unsupported: \"a\"", CPH_SIP_H_UNSUPPORTED },
    };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(text, sizeof text, "%s%s\r\n\r\n", HEAD, rows[i].line);
        bad(text, rows[i].hdr);
    }
    struct parsed p =
        good(HEAD "Supported:\r\nAllow:\r\nWarning: 399 a.b:5060 \"x, y\" , 301 p \"z\"\r\n"
                  "Contact: \"a, b\" <sip:a@b;x>;q=1.000 , <sip:c,d@e>;expires=0\r\n\r\n",
             CPH_SIP_DATAGRAM);
    struct cph_sip_addr a;

    assert_ok(cph_sip_addr_at(&p.msg, CPH_SIP_H_CONTACT, 1, &a));
    assert_span(a.uri.user, "c,d");
    parsed_free(&p);
}

static void a_bad_date_does_not_lose_a_response(void **state)
{
    struct parsed p = good("SIP/2.0 200 OK\r\n" VIA FROM TO CALL SEQ "Date: today\r\n\r\n",
                           CPH_SIP_DATAGRAM);

    (void)state;
    assert_int_equal(p.msg.method, CPH_SIP_OPTIONS);
    parsed_free(&p);
}

static void content_length_means_what_the_transport_says(void **state)
{
    struct parsed p;

    (void)state;
    p = good(HEAD "l: 3\r\n\r\nabcdef", CPH_SIP_DATAGRAM);
    assert_span(p.msg.body, "abc");
    parsed_free(&p);
    p = good(HEAD "\r\nabcdef", CPH_SIP_DATAGRAM);
    assert_span(p.msg.body, "abcdef");
    parsed_free(&p);
    p = good("\r\n\r\n" HEAD LEN0 "\r\n", CPH_SIP_STREAM); /* RFC 3261 7.5 */
    parsed_free(&p);
    refused(HEAD "l: 7\r\n\r\nabcdef", CPH_SIP_DATAGRAM, CPH_E_TRUNCATED, 400,
            CPH_SIP_H_CONTENT_LENGTH);
    refused(HEAD "\r\nabcdef", CPH_SIP_STREAM, CPH_E_MALFORMED, 400, CPH_SIP_H_CONTENT_LENGTH);
}

static void an_ack_and_a_response_are_never_answered(void **state)
{
    (void)state;
    refused("ACK sip:b@b SIP/2.0\r\n" VIA FROM TO CALL "CSeq: 1 INVITE\r\n\r\n", CPH_SIP_DATAGRAM,
            CPH_E_MALFORMED, 0, CPH_SIP_H_CSEQ);
    refused("SIP/2.0 200 OK\r\n" VIA FROM CALL SEQ "\r\n", CPH_SIP_DATAGRAM, CPH_E_MALFORMED, 0,
            CPH_SIP_H_TO);
}

static void a_fault_without_via_cannot_be_answered(void **state)
{
    struct parsed p = parse_bytes(cph_span_of(LINE FROM TO CALL SEQ "\r\n"), CPH_SIP_DATAGRAM);

    (void)state;
    assert_int_equal(p.fault.status, 400);
    assert_false(p.fault.answerable);
    parsed_free(&p);
    p = parse_bytes(cph_span_of(LINE VIA FROM TO CALL "\r\n"), CPH_SIP_DATAGRAM);
    assert_false(p.fault.answerable);
    parsed_free(&p);
    p = parse_bytes(cph_span_of(LINE VIA SEQ "\r\n"), CPH_SIP_DATAGRAM);
    assert_true(p.fault.answerable);
    parsed_free(&p);
}

/* A message of HEAD, then `count` times `line`, then an end. Caller frees. */
static char *repeated(const char *head, size_t count, const char *line)
{
    size_t n = strlen(line), at = strlen(head);
    char *text = malloc(at + count * n + 3);

    assert_non_null(text);
    memcpy(text, head, at + 1);
    for (size_t i = 0; i < count; i++, at += n)
        memcpy(text + at, line, n + 1);
    strcpy(text + at, "\r\n");
    return text;
}

static void limit(size_t count, const char *line, bool ok, enum cph_sip_hdr hdr)
{
    char *text = repeated(HEAD, count, line);

    if (ok) {
        struct parsed p = good(text, CPH_SIP_DATAGRAM);

        parsed_free(&p);
    } else {
        refused(text, CPH_SIP_DATAGRAM, CPH_E_LIMIT, 513, hdr);
    }
    free(text);
}

static void every_limit_holds_at_its_edge(void **state)
{
    char line[CPH_SIP_LINE_MAX + 2], big[4096], uri[CPH_SIP_URI_MAX + 200];

    (void)state;
    limit(CPH_SIP_HEADERS_MAX - 5, "Z: y\r\n", true, 0);
    limit(CPH_SIP_HEADERS_MAX - 4, "Z: y\r\n", false, CPH_SIP_H_OTHER);
    limit(CPH_SIP_VALUES_MAX - 1, "v: SIP/2.0/UDP b\r\n", true, 0);
    limit(CPH_SIP_VALUES_MAX, "v: SIP/2.0/UDP b\r\n", false, CPH_SIP_H_VIA);
    limit(CPH_SIP_VALUES_MAX / 2, "k: a,b\r\n", true, 0);
    limit(CPH_SIP_VALUES_MAX / 2 + 1, "k: a,b\r\n", false, CPH_SIP_H_SUPPORTED);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t n = CPH_SIP_LINE_MAX + extra;

        memset(line, 'x', n);
        memcpy(line, "Z: ", 3);
        strcpy(line + n - 2, "\r\n");
        limit(1, line, extra == 0, CPH_SIP_H_OTHER);
    }
    memset(big, 'x', sizeof big);
    memcpy(big, "Z: ", 3);
    strcpy(big + sizeof big - 3, "\r\n");
    limit(7, big, true, 0);
    limit(8, big, false, CPH_SIP_H_OTHER);
    (void)snprintf(uri, sizeof uri, "OPTIONS sip:%0*d SIP/2.0\r\n%s\r\n", CPH_SIP_URI_MAX, 1,
                   VIA FROM TO CALL SEQ);
    refused(uri, CPH_SIP_DATAGRAM, CPH_E_LIMIT, 414, CPH_SIP_H_OTHER);
}

static void the_largest_message_fits_the_arena(void **state)
{
    char *text =
        repeated(HEAD, CPH_SIP_HEADERS_MAX - 5,
                 "Z: a\r\n b\r\n c\r\n d\r\n e\r\n f\r\n g\r\n h\r\n i\r\n j\r\n k\r\n l\r\n");
    struct parsed p = good(text, CPH_SIP_DATAGRAM);

    (void)state;
    parsed_free(&p);
    free(text);
    text = repeated(
        HEAD, CPH_SIP_VALUES_MAX - 1,
        "v: SIP/2.0/UDP\r\n bbbbbbbbbbbbbbbbbb;branch=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n");
    p = good(text, CPH_SIP_DATAGRAM);
    assert_int_equal(p.msg.n_via, CPH_SIP_VALUES_MAX);
    parsed_free(&p);
    free(text);
}

static void a_large_body_is_513(void **state)
{
    static char text[sizeof HEAD + CPH_SIP_BODY_MAX + 16];

    (void)state;
    strcpy(text, HEAD "\r\n");
    memset(text + sizeof HEAD + 1, 'x', CPH_SIP_BODY_MAX);
    text[sizeof HEAD + 1 + CPH_SIP_BODY_MAX] = '\0';
    struct parsed p = good(text, CPH_SIP_DATAGRAM);
    parsed_free(&p);
    strcat(text, "x");
    refused(text, CPH_SIP_DATAGRAM, CPH_E_LIMIT, 513, CPH_SIP_H_CONTENT_LENGTH);
}

static void walking_sees_every_value_in_order(void **state)
{
    struct parsed p = good(HEAD
                           "Supported: a , b\r\nZ: 1\r\nk: c\r\nAllow:\r\nx-y: q\r\n"
                           "Authorization: Digest a=1,b=2\r\nAuthorization: Digest c=3\r\n\r\n",
                           CPH_SIP_DATAGRAM);
    const char *want[] = { "a", "b", "c" }, *auth[] = { "Digest a=1,b=2", "Digest c=3" };
    struct cph_sip_iter it = { 0 };
    struct cph_span v;
    uint32_t n;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(cph_sip_each(&p.msg, CPH_SIP_H_SUPPORTED, &it, &v));
        assert_span(v, want[i]);
    }
    assert_span(it.header->name, "k");
    assert_false(cph_sip_each(&p.msg, CPH_SIP_H_SUPPORTED, &it, &v));
    it = (struct cph_sip_iter){ 0 };
    for (size_t i = 0; i < 2; i++) {
        assert_true(cph_sip_each(&p.msg, CPH_SIP_H_AUTHORIZATION, &it, &v));
        assert_span(v, auth[i]);
    }
    it = (struct cph_sip_iter){ 0 };
    assert_false(cph_sip_each(&p.msg, CPH_SIP_H_ALLOW, &it, &v));
    assert_true(cph_sip_has_token(&p.msg, CPH_SIP_H_SUPPORTED, "B"));
    assert_non_null(cph_sip_find_name(&p.msg, cph_span_of("X-Y")));
    assert_null(cph_sip_find_name(&p.msg, cph_span_of("X-")));
    assert_non_null(cph_sip_find_name(&p.msg, cph_span_of("supported")));
    assert_err(cph_sip_number(&p.msg, CPH_SIP_H_EXPIRES, &n), CPH_E_NOTFOUND);
    parsed_free(&p);
}

static cph_err parse_once(void *arg)
{
    struct cph_arena *a = NULL;
    struct cph_sip_msg m;
    cph_err err = cph_arena_new(CPH_SIP_ARENA, &a);

    (void)arg;
    if (err == CPH_OK)
        err = cph_sip_msg_parse(a, golden(), CPH_SIP_STREAM, &m, NULL);
    cph_arena_free(a);
    return err;
}

static void memory_may_run_out_anywhere(void **state)
{
    struct cph_arena *a;
    struct cph_sip_msg m;

    (void)state;
    test_alloc_fails(parse_once, NULL);
    assert_ok(cph_arena_new(64, &a));
    assert_err(cph_sip_msg_parse(a, golden(), CPH_SIP_STREAM, &m, NULL), CPH_E_NOMEM);
    cph_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_message_is_refused_and_a_damaged_one_does_no_harm),
        cmocka_unit_test(every_part_keeps_its_original_bytes),
        cmocka_unit_test(a_folded_line_keeps_its_folds_and_reads_as_one),
        cmocka_unit_test(start_lines_are_strict),
        cmocka_unit_test(header_lines_are_strict),
        cmocka_unit_test(what_must_be_there_must_be_there_once),
        cmocka_unit_test(known_headers_are_checked_wherever_they_stand),
        cmocka_unit_test(a_bad_date_does_not_lose_a_response),
        cmocka_unit_test(content_length_means_what_the_transport_says),
        cmocka_unit_test(an_ack_and_a_response_are_never_answered),
        cmocka_unit_test(a_fault_without_via_cannot_be_answered),
        cmocka_unit_test(every_limit_holds_at_its_edge),
        cmocka_unit_test(the_largest_message_fits_the_arena),
        cmocka_unit_test(a_large_body_is_513),
        cmocka_unit_test(walking_sees_every_value_in_order),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

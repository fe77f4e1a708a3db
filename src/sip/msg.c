#include "ciphony/sip_msg.h"

#include "msg_int.h"

/* The first thing found wrong is what the sender hears of; the rest is still read, to be able to
 * answer. */
struct parser {
    struct cph_arena *a;
    struct cph_sip_msg *m;
    struct cph_sip_fault fault;
    cph_err err;
};

static void fail(struct parser *p, cph_err err, unsigned status, const char *reason,
                 enum cph_sip_hdr hdr, struct cph_span where)
{
    if (p->err != CPH_OK)
        return;
    p->err = err;
    p->fault.status = status;
    p->fault.reason = reason;
    p->fault.hdr = hdr;
    p->fault.offset = where.p ? (size_t)(where.p - p->m->bytes.p) : 0;
}

static void bad(struct parser *p, const char *reason, enum cph_sip_hdr hdr, struct cph_span where)
{
    fail(p, CPH_E_MALFORMED, 400, reason, hdr, where);
}

/* ---- start line ------------------------------------------------------------------------------ */

/* "SIP" "/" 1*DIGIT "." 1*DIGIT */
static bool is_version(struct cph_span s)
{
    if (!cph_span_iis(cph_span_head(s, 4), "SIP/"))
        return false;
    s = cph_span_from(s, 4);
    return sip_take_while(&s, C_DIGIT).n > 0 && sip_take(&s, '.') &&
           sip_take_while(&s, C_DIGIT).n > 0 && s.n == 0;
}

static void parse_status_line(struct parser *p, struct cph_span line)
{
    struct cph_span rest = line, version = cph_span_cut(&rest, ' ');
    struct cph_span code = cph_span_head(rest, 3);
    uint32_t status = 0;

    if (!cph_span_iis(version, "SIP/2.0")) {
        fail(p, CPH_E_UNSUPPORTED, 0, "SIP version not supported", CPH_SIP_H_OTHER, line);
        return;
    }
    if (!sip_all(code, C_DIGIT) || cph_span_u32(code, &status) != CPH_OK || status < 100 ||
        status > 699 || rest.n < 4 || rest.p[3] != ' ') {
        bad(p, "Bad status line", CPH_SIP_H_OTHER, line);
        return;
    }
    p->m->status = status;
    p->m->reason = cph_span_from(rest, 4);
    /* Wider than Reason-Phrase: any text without controls. It is for people, and an answer is worth
     * more. */
    if (!sip_text_ok(p->m->reason, true))
        bad(p, "Bad reason phrase", CPH_SIP_H_OTHER, line);
}

/* Method SP Request-URI SP SIP-Version, one space each */
static void parse_request_line(struct parser *p, struct cph_span line)
{
    struct cph_sip_msg *m = p->m;
    struct cph_span rest = line, uri, version;
    size_t last;

    m->method_name = cph_span_cut(&rest, ' ');
    m->method = cph_sip_method_find(m->method_name);
    for (last = rest.n; last > 0 && rest.p[last - 1] != ' '; last--)
        ;
    if (!sip_all(m->method_name, C_TOKEN) || last == 0) {
        bad(p, "Bad request line", CPH_SIP_H_OTHER, line);
        return;
    }
    uri = cph_span_head(rest, last - 1);
    version = cph_span_from(rest, last);
    if (!cph_span_iis(version, "SIP/2.0")) {
        if (is_version(version))
            fail(p, CPH_E_UNSUPPORTED, 505, "Version Not Supported", CPH_SIP_H_OTHER, line);
        else
            bad(p, "Bad request line", CPH_SIP_H_OTHER, line);
        return;
    }
    if (uri.n > CPH_SIP_URI_MAX)
        fail(p, CPH_E_LIMIT, 414, "Request-URI Too Large", CPH_SIP_H_OTHER, line);
    else if (cph_sip_uri_parse(uri, &m->uri) != CPH_OK)
        bad(p, "Bad Request-URI", CPH_SIP_H_OTHER, line);
    else if (m->uri.headers.n > 0) /* RFC 3261 19.1.1, table 1: not allowed in a Request-URI */
        bad(p, "Headers in Request-URI", CPH_SIP_H_OTHER, line);
}

/* False if this is nothing like SIP, and nobody is to be answered. */
static bool parse_start_line(struct parser *p, struct cph_span *rest)
{
    struct cph_span line;
    cph_err err = sip_take_line(rest, &line);
    size_t n = 0;

    if (err == CPH_E_AGAIN || err == CPH_E_TRUNCATED) {
        fail(p, CPH_E_MALFORMED, 0, "No start line", CPH_SIP_H_OTHER, line);
        return false;
    }
    while (n < line.n && line.p[n] != '\r' && line.p[n] != '\n')
        n++;
    p->m->start_line = cph_span_head(line, n);
    p->m->is_request = !cph_span_iis(cph_span_head(line, 4), "SIP/");
    if (err != CPH_OK || n + 2 != line.n) /* a bare CR or LF, or a fold: there is none here */
        bad(p, "Bad start line", CPH_SIP_H_OTHER, line);
    if (p->m->is_request)
        parse_request_line(p, p->m->start_line);
    else
        parse_status_line(p, p->m->start_line);
    return !p->m->is_request || sip_all(p->m->method_name, C_TOKEN);
}

/* ---- header lines ---------------------------------------------------------------------------- */

/* RFC 3261 7.3.1: a fold is white space and reads as one space. */
static bool unfold(struct cph_arena *a, struct cph_span raw, struct cph_span *value)
{
    uint8_t *out;
    size_t n = 0;

    *value = raw;
    if (cph_span_find(raw, '\r') == raw.n)
        return true;
    out = cph_arena_alloc(a, raw.n);
    if (!out)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\r') {
            out[n++] = raw.p[i];
            continue;
        }
        while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\t'))
            n--;
        while (i + 1 < raw.n && (raw.p[i + 1] == '\r' || raw.p[i + 1] == '\n' ||
                                 raw.p[i + 1] == ' ' || raw.p[i + 1] == '\t'))
            i++;
        out[n++] = ' ';
    }
    *value = (struct cph_span){ out, n };
    return true;
}

/* Controls stand in quoted pairs only (RFC 3261 25.1), so only in headers that have quoted strings.
 */
static bool value_ok(const struct cph_sip_header *h)
{
    struct cph_span s = h->value, quoted;
    size_t n = 0;

    if (h->id == CPH_SIP_H_OTHER) /* header-value = *(TEXT-UTF8char / UTF8-CONT / LWS) */
        return sip_text_ok(s, true);
    if (h->id == CPH_SIP_H_CALL_ID || cph_sip_hdr_shape(h->id) == CPH_SIP_SHAPE_TEXT)
        return sip_text_ok(s, false);
    while (n < s.n) {
        if (s.p[n] != '"') {
            n++;
            continue;
        }
        if (!sip_text_ok(cph_span_head(s, n), false))
            return false;
        s = cph_span_from(s, n);
        n = 0;
        if (!sip_take_quoted(&s, &quoted))
            break; /* for the header's own grammar to judge */
    }
    return sip_text_ok(s, false);
}

/* As many as there can be, or the limit: ends of lines up to an empty one. */
static size_t count_lines(struct cph_span rest)
{
    const struct cph_span crlf = CPH_SPAN_LIT("\r\n");
    bool whole = true; /* the line before ended as it should */
    size_t n = 0;

    while (n < CPH_SIP_HEADERS_MAX && rest.n > 0) {
        struct cph_span line;

        if (whole && cph_span_eq(cph_span_head(rest, 2), crlf))
            break;
        line = cph_span_cut(&rest, '\n');
        whole = line.n > 0 && line.p[line.n - 1] == '\r';
        n++;
    }
    return n;
}

static void add_header(struct parser *p, struct cph_span line, bool bare)
{
    struct cph_sip_header h = { .line = line };

    if (bare || sip_line_split(line, &h.name, &h.raw) != CPH_OK) {
        bad(p, "Bad header line", CPH_SIP_H_OTHER, line);
        return;
    }
    h.id = cph_sip_hdr_find(h.name);
    if (line.n > CPH_SIP_LINE_MAX) {
        fail(p, CPH_E_LIMIT, 513, "Header line too long", h.id, line);
        return;
    }
    if (!unfold(p->a, h.raw, &h.value)) {
        fail(p, CPH_E_NOMEM, 0, "Out of memory", h.id, line);
        return;
    }
    if (!value_ok(&h)) {
        bad(p, "Bad characters in a header", h.id, line);
        return;
    }
    p->m->header[p->m->n_header++] = h;
}

/* Index all lines up to the empty one; *rest is the body then. */
static void parse_lines(struct parser *p, struct cph_span *rest)
{
    size_t n = count_lines(*rest);
    struct cph_span line;
    cph_err err;

    p->m->header = cph_arena_array(p->a, n > 0 ? n : 1, sizeof *p->m->header);
    if (!p->m->header) {
        fail(p, CPH_E_NOMEM, 0, "Out of memory", CPH_SIP_H_OTHER, *rest);
        return;
    }
    for (size_t i = 0;; i++) {
        err = sip_take_line(rest, &line);
        if (err == CPH_E_AGAIN)
            break;
        if (err == CPH_E_TRUNCATED) {
            fail(p, CPH_E_TRUNCATED, 400, "No end of headers", CPH_SIP_H_OTHER, line);
            break;
        }
        if (i >= n) {
            fail(p, CPH_E_LIMIT, 513, "Too many headers", CPH_SIP_H_OTHER, line);
            break;
        }
        add_header(p, line, err == CPH_E_MALFORMED);
    }
    p->m->head = cph_span_head(p->m->bytes, p->m->bytes.n - rest->n);
}

/* ---- what the headers say -------------------------------------------------------------------- */

typedef cph_err check_fn(struct cph_span value);

static cph_err number_check(struct cph_span v)
{
    uint32_t n;

    return cph_sip_number_parse(v, &n);
}

static cph_err content_type_check(struct cph_span v)
{
    struct cph_sip_content_type t;

    return cph_sip_content_type_parse(v, &t);
}

static cph_err rack_check(struct cph_span v)
{
    struct cph_sip_rack r;

    return cph_sip_rack_parse(v, &r);
}

static cph_err session_expires_check(struct cph_span v)
{
    struct cph_sip_session_expires e;

    return cph_sip_session_expires_parse(v, &e);
}

static cph_err retry_after_check(struct cph_span v)
{
    struct cph_sip_retry_after r;

    return cph_sip_retry_after_parse(v, &r);
}

static cph_err date_check(struct cph_span v)
{
    int64_t t;

    return cph_sip_date_parse(v, &t);
}

/* A header checked whenever it is there; may_be_empty: the list may have no value at all. */
/* clang-format off */
static const struct {
    check_fn *check;
    const char *reason;
    bool may_be_empty;
} rules[CPH_SIP_N_HEADERS] = {
    [CPH_SIP_H_CALL_ID]         = { sip_call_id_check,     "Bad Call-ID header", false },
    [CPH_SIP_H_CONTENT_LENGTH]  = { number_check,          "Bad Content-Length header", false },
    [CPH_SIP_H_CONTENT_TYPE]    = { content_type_check,    "Bad Content-Type header", false },
    [CPH_SIP_H_EXPIRES]         = { number_check,          "Bad Expires header", false },
    [CPH_SIP_H_MIN_EXPIRES]     = { number_check,          "Bad Min-Expires header", false },
    [CPH_SIP_H_DATE]            = { date_check,            "Bad Date header", false },
    [CPH_SIP_H_CONTACT]         = { sip_contact_check,     "Bad Contact header", false },
    [CPH_SIP_H_ROUTE]           = { sip_route_check,       "Bad Route header", false },
    [CPH_SIP_H_RECORD_ROUTE]    = { sip_route_check,       "Bad Record-Route header", false },
    [CPH_SIP_H_PATH]            = { sip_route_check,       "Bad Path header", false },
    [CPH_SIP_H_SERVICE_ROUTE]   = { sip_route_check,       "Bad Service-Route header", false },
    [CPH_SIP_H_REFER_TO]        = { sip_addr_check,        "Bad Refer-To header", false },
    [CPH_SIP_H_REPLY_TO]        = { sip_addr_check,        "Bad Reply-To header", false },
    [CPH_SIP_H_RACK]            = { rack_check,            "Bad RAck header", false },
    [CPH_SIP_H_RSEQ]            = { number_check,          "Bad RSeq header", false },
    [CPH_SIP_H_SESSION_EXPIRES] = { session_expires_check, "Bad Session-Expires header", false },
    [CPH_SIP_H_MIN_SE]          = { session_expires_check, "Bad Min-SE header", false },
    [CPH_SIP_H_RETRY_AFTER]     = { retry_after_check,     "Bad Retry-After header", false },
    [CPH_SIP_H_WARNING]         = { sip_warning_check,     "Bad Warning header", false },
    [CPH_SIP_H_ALLOW]           = { sip_token_check,       "Bad Allow header", true },
    [CPH_SIP_H_SUPPORTED]       = { sip_token_check,       "Bad Supported header", true },
    [CPH_SIP_H_REQUIRE]         = { sip_token_check,       "Bad Require header", false },
    [CPH_SIP_H_PROXY_REQUIRE]   = { sip_token_check,       "Bad Proxy-Require header", false },
    [CPH_SIP_H_UNSUPPORTED]     = { sip_token_check,       "Bad Unsupported header", false },
};
/* clang-format on */

static void check_values(struct parser *p, const struct cph_sip_header *h, size_t *n)
{
    bool list = cph_sip_hdr_shape(h->id) == CPH_SIP_SHAPE_LIST;
    struct cph_span rest = h->value, value;

    if (h->value.n == 0) {
        if (!rules[h->id].may_be_empty)
            bad(p, rules[h->id].reason, h->id, h->line);
        return;
    }
    do {
        value = list ? sip_cut_value(&rest, false) : rest;
        if (++*n > CPH_SIP_VALUES_MAX) {
            fail(p, CPH_E_LIMIT, 513, "Too many values in a header", h->id, h->line);
            return;
        }
        if (rules[h->id].check(value) != CPH_OK) {
            bad(p, rules[h->id].reason, h->id, h->line);
            return;
        }
    } while (list && rest.p);
}

/* "*" deregisters everything, so it stands alone (RFC 3261 10.2.2). */
static void check_star(struct parser *p)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span value;
    size_t n = 0;
    bool star = false;

    while (cph_sip_each(p->m, CPH_SIP_H_CONTACT, &it, &value)) {
        n++;
        star = star || cph_span_is(value, "*");
    }
    if (star && n > 1)
        bad(p, "Bad Contact header", CPH_SIP_H_CONTACT, p->m->head);
}

static void check_headers(struct parser *p)
{
    size_t values[CPH_SIP_N_HEADERS] = { 0 }, lines[CPH_SIP_N_HEADERS] = { 0 };

    for (size_t i = 0; i < p->m->n_header; i++) {
        const struct cph_sip_header *h = &p->m->header[i];
        enum cph_sip_shape shape = cph_sip_hdr_shape(h->id);

        if (++lines[h->id] > 1 && (shape == CPH_SIP_SHAPE_ONE || shape == CPH_SIP_SHAPE_TEXT))
            bad(p, "A header that may appear once appears twice", h->id, h->line);
        /* RFC 4475 3.1.2.12: a bad Date is worth a refusal only to who uses it; a response that
         * nobody can be told about is not thrown away for it. */
        if (!rules[h->id].check || (h->id == CPH_SIP_H_DATE && !p->m->is_request))
            continue;
        check_values(p, h, &values[h->id]);
    }
    check_star(p);
}

static const struct cph_sip_header *must_have(struct parser *p, enum cph_sip_hdr id,
                                              const char *missing)
{
    const struct cph_sip_header *h = cph_sip_find(p->m, id);

    if (!h) /* RFC 3261 8.1.1 MUST: To, From, CSeq, Call-ID and Via are in every request */
        bad(p, missing, id, p->m->start_line);
    return h;
}

static void parse_vias(struct parser *p)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span value;
    size_t n = 0;

    if (!must_have(p, CPH_SIP_H_VIA, "Missing Via header"))
        return;
    while (n <= CPH_SIP_VALUES_MAX && cph_sip_each(p->m, CPH_SIP_H_VIA, &it, &value))
        n++;
    if (n > CPH_SIP_VALUES_MAX) {
        fail(p, CPH_E_LIMIT, 513, "Too many values in a header", CPH_SIP_H_VIA, p->m->start_line);
        n = CPH_SIP_VALUES_MAX;
    }
    p->m->via = cph_arena_array(p->a, n > 0 ? n : 1, sizeof *p->m->via);
    if (!p->m->via) {
        fail(p, CPH_E_NOMEM, 0, "Out of memory", CPH_SIP_H_VIA, p->m->start_line);
        return;
    }
    it = (struct cph_sip_iter){ 0 };
    while (p->m->n_via < n && cph_sip_each(p->m, CPH_SIP_H_VIA, &it, &value)) {
        if (cph_sip_via_parse(value, &p->m->via[p->m->n_via]) != CPH_OK) {
            bad(p, "Bad Via header", CPH_SIP_H_VIA, it.header->line);
            return;
        }
        p->m->n_via++;
    }
    if (n == 0)
        bad(p, "Bad Via header", CPH_SIP_H_VIA, p->m->start_line);
}

static void parse_party(struct parser *p, enum cph_sip_hdr id, const char *missing,
                        const char *wrong, struct cph_sip_addr *out)
{
    const struct cph_sip_header *h = must_have(p, id, missing);

    if (h && (cph_sip_addr_parse(h->value, out) != CPH_OK || out->star)) {
        *out = (struct cph_sip_addr){ 0 };
        bad(p, wrong, id, h->line);
    }
}

static void parse_cseq(struct parser *p)
{
    const struct cph_sip_header *h = must_have(p, CPH_SIP_H_CSEQ, "Missing CSeq header");
    struct cph_sip_msg *m = p->m;

    if (!h)
        return;
    if (cph_sip_cseq_parse(h->value, &m->cseq) != CPH_OK) {
        bad(p, "Bad CSeq header", CPH_SIP_H_CSEQ, h->line);
        return;
    }
    if (!m->is_request) {
        m->method = m->cseq.method;
        m->method_name = m->cseq.method_name;
        return;
    }
    /* RFC 3261 8.1.1.5 MUST: the method in CSeq is that of the request */
    if (cph_span_eq(m->method_name, m->cseq.method_name))
        return;
    if (m->method == CPH_SIP_OTHER_METHOD) /* RFC 4475 3.1.2.18 */
        fail(p, CPH_E_UNSUPPORTED, 501, "Not Implemented", CPH_SIP_H_CSEQ, h->line);
    else
        bad(p, "CSeq method is not that of the request", CPH_SIP_H_CSEQ, h->line);
}

static void parse_max_forwards(struct parser *p)
{
    const struct cph_sip_header *h = cph_sip_find(p->m, CPH_SIP_H_MAX_FORWARDS);
    uint32_t n;

    if (!h)
        return;                                                    /* RFC 2543 had none */
    if (cph_sip_number_parse(h->value, &n) != CPH_OK || n > 255) { /* RFC 3261 20.22 */
        bad(p, "Bad Max-Forwards header", CPH_SIP_H_MAX_FORWARDS, h->line);
        return;
    }
    p->m->has_max_forwards = true;
    p->m->max_forwards = (uint8_t)n;
}

/* RFC 3261 18.3. rest is what follows the empty line. */
static void take_body(struct parser *p, struct cph_span rest, enum cph_sip_transport_kind kind)
{
    const struct cph_sip_header *h = cph_sip_find(p->m, CPH_SIP_H_CONTENT_LENGTH);
    struct cph_sip_msg *m = p->m;

    m->has_content_length = h && cph_sip_number_parse(h->value, &m->content_length) == CPH_OK;
    if (!h && kind == CPH_SIP_STREAM) /* RFC 3261 20.14 MUST: on a stream it is there */
        bad(p, "Missing Content-Length header", CPH_SIP_H_CONTENT_LENGTH, m->start_line);
    if (m->has_content_length && m->content_length > rest.n)
        fail(p, CPH_E_TRUNCATED, 400, "Body shorter than Content-Length", CPH_SIP_H_CONTENT_LENGTH,
             h->line);
    else if (m->has_content_length)
        rest.n = m->content_length; /* RFC 3261 18.3: what follows in a datagram is dropped */
    if (rest.n > CPH_SIP_BODY_MAX)
        fail(p, CPH_E_LIMIT, 513, "Message Too Large", CPH_SIP_H_CONTENT_LENGTH, m->start_line);
    m->body = rest;
    m->bytes.n = m->head.n + rest.n;
}

/* Via and CSeq make a response find its transaction; an ACK and a response are never answered. */
static void judge(struct parser *p)
{
    const struct cph_sip_msg *m = p->m;

    if (!m->is_request || m->method == CPH_SIP_ACK)
        p->fault.status = 0;
    p->fault.answerable = p->fault.status != 0 && cph_sip_find(m, CPH_SIP_H_VIA) &&
                          cph_sip_find(m, CPH_SIP_H_CSEQ);
}

cph_err cph_sip_msg_parse(struct cph_arena *a, struct cph_span bytes,
                          enum cph_sip_transport_kind kind, struct cph_sip_msg *out,
                          struct cph_sip_fault *fault)
{
    struct parser p = { .a = a, .m = out };
    struct cph_span rest;

    while (bytes.n >= 2 && bytes.p[0] == '\r' &&
           bytes.p[1] == '\n') /* RFC 3261 7.5 MUST: skipped */
        bytes = cph_span_from(bytes, 2);
    *out = (struct cph_sip_msg){ .bytes = bytes };
    rest = bytes;
    if (bytes.n > CPH_SIP_MSG_MAX)
        fail(&p, CPH_E_LIMIT, 513, "Message Too Large", CPH_SIP_H_OTHER, bytes);
    if (parse_start_line(&p, &rest)) {
        parse_lines(&p, &rest);
        if (out->head.n > CPH_SIP_HEAD_MAX)
            fail(&p, CPH_E_LIMIT, 513, "Message Too Large", CPH_SIP_H_OTHER, bytes);
        parse_vias(&p);
        parse_party(&p, CPH_SIP_H_FROM, "Missing From header", "Bad From header", &out->from);
        parse_party(&p, CPH_SIP_H_TO, "Missing To header", "Bad To header", &out->to);
        if (must_have(&p, CPH_SIP_H_CALL_ID, "Missing Call-ID header"))
            out->call_id = cph_sip_find(out, CPH_SIP_H_CALL_ID)->value;
        parse_cseq(&p);
        parse_max_forwards(&p);
        check_headers(&p);
        take_body(&p, rest, kind);
        judge(&p);
    } else {
        p.fault.status = 0;
    }
    if (p.err != CPH_OK && fault)
        *fault = p.fault;
    return p.err;
}

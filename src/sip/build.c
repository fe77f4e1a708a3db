#include <stdarg.h>
#include <stdio.h>

#include "msg_int.h"

enum { FMT_MAX = 2048 }; /* one formatted header value */

/* What we write in one line stays one line: nobody smuggles a header in through a value. */
static void wr_clean(struct cph_wr *wr, struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            wr->failed = true;
    }
    cph_wr_span(wr, s);
}

void cph_sip_wr_request_line(struct cph_wr *wr, struct cph_span method, struct cph_span uri)
{
    if (!sip_all(method, C_TOKEN) || uri.n == 0 || cph_span_find(uri, ' ') != uri.n)
        wr->failed = true;
    wr_clean(wr, method);
    cph_wr_text(wr, " ");
    wr_clean(wr, uri);
    cph_wr_text(wr, " SIP/2.0\r\n");
}

void cph_sip_wr_status_line(struct cph_wr *wr, unsigned status, struct cph_span reason)
{
    if (status < 100 || status > 699)
        wr->failed = true;
    cph_wr_fmt(wr, "SIP/2.0 %u ", status);
    wr_clean(wr, reason.n > 0 ? reason : cph_span_of(cph_sip_status_text(status)));
    cph_wr_text(wr, "\r\n");
}

void cph_sip_wr_header_named(struct cph_wr *wr, struct cph_span name, struct cph_span value)
{
    if (!sip_all(name, C_TOKEN))
        wr->failed = true;
    cph_wr_span(wr, name);
    cph_wr_text(wr, ": ");
    wr_clean(wr, value);
    cph_wr_text(wr, "\r\n");
}

void cph_sip_wr_header(struct cph_wr *wr, enum cph_sip_hdr id, struct cph_span value)
{
    cph_sip_wr_header_named(wr, cph_span_of(cph_sip_hdr_name(id)), value);
}

void cph_sip_wr_header_fmt(struct cph_wr *wr, enum cph_sip_hdr id, const char *fmt, ...)
{
    char text[FMT_MAX];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text) {
        wr->failed = true;
        return;
    }
    cph_sip_wr_header(wr, id, cph_span_of(text));
}

void cph_sip_wr_copy(struct cph_wr *wr, const struct cph_sip_header *h)
{
    cph_wr_span(wr, h->line);
}

void cph_sip_wr_copy_all(struct cph_wr *wr, const struct cph_sip_msg *msg, enum cph_sip_hdr id)
{
    const struct cph_sip_header *h = NULL;

    while ((h = cph_sip_find_next(msg, id, h)))
        cph_sip_wr_copy(wr, h);
}

void cph_sip_wr_quoted(struct cph_wr *wr, struct cph_span bytes)
{
    if (!sip_utf8_ok(bytes, false))
        wr->failed = true;
    cph_wr_text(wr, "\"");
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t c = bytes.p[i];

        if (c == '\r' || c == '\n') /* RFC 3261 25.1: these two cannot be escaped */
            wr->failed = true;
        if (c == '"' || c == '\\' || (c < 0x20 && c != '\t') || c == 0x7f)
            cph_wr_u8(wr, '\\');
        cph_wr_u8(wr, c);
    }
    cph_wr_text(wr, "\"");
}

void cph_sip_wr_addr(struct cph_wr *wr, struct cph_span display, struct cph_span uri,
                     struct cph_span params)
{
    if (display.n > 0) {
        cph_sip_wr_quoted(wr, display);
        cph_wr_text(wr, " ");
    }
    if (cph_span_find(uri, '>') != uri.n || cph_span_find(uri, '<') != uri.n)
        wr->failed = true;
    cph_wr_text(wr, "<");
    wr_clean(wr, uri);
    cph_wr_text(wr, ">");
    wr_clean(wr, params);
}

void cph_sip_wr_addr_header(struct cph_wr *wr, enum cph_sip_hdr id, struct cph_span display,
                            struct cph_span uri, struct cph_span tag)
{
    cph_wr_text(wr, cph_sip_hdr_name(id));
    cph_wr_text(wr, ": ");
    cph_sip_wr_addr(wr, display, uri, (struct cph_span){ 0 });
    if (tag.n > 0) {
        if (!sip_all(tag, C_TOKEN))
            wr->failed = true;
        cph_wr_text(wr, ";tag=");
        cph_wr_span(wr, tag);
    }
    cph_wr_text(wr, "\r\n");
}

void cph_sip_wr_body(struct cph_wr *wr, struct cph_span type, struct cph_span body)
{
    if (type.n > 0)
        cph_sip_wr_header(wr, CPH_SIP_H_CONTENT_TYPE, type);
    cph_sip_wr_header_fmt(wr, CPH_SIP_H_CONTENT_LENGTH, "%zu", body.n);
    cph_wr_text(wr, "\r\n");
    cph_wr_span(wr, body);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* The top Via with where the request really came from; every other parameter as it was. */
static void wr_top_via(struct cph_wr *wr, const struct cph_sip_via *v,
                       const struct cph_addr *source)
{
    struct cph_span rest = v->params, name, value;
    struct cph_addr sent_by;
    char ip[CPH_ADDR_TEXT];
    bool same = cph_addr_parse_ip(v->host, &sent_by) == CPH_OK && cph_addr_ip_eq(&sent_by, source);

    cph_wr_span(wr, cph_span_trim(cph_span_head(v->text, v->text.n - v->params.n)));
    while (cph_sip_param_next(&rest, &name, &value)) {
        if (cph_span_iis(name, "received") || cph_span_iis(name, "rport"))
            continue;
        cph_wr_text(wr, ";");
        cph_wr_span(wr, name);
        cph_wr_text(wr, value.p ? "=" : "");
        cph_wr_span(wr, value);
    }
    /* RFC 3261 18.2.1 MUST: received is added when the source differs from sent-by.
     * RFC 3581 4 MUST: with rport both are set, even when they agree. */
    if (v->has_rport || !same)
        cph_wr_fmt(wr, ";received=%s", cph_addr_ip(source, ip));
    if (v->has_rport)
        cph_wr_fmt(wr, ";rport=%u", source->port);
}

/* RFC 3261 8.2.6.2 MUST: the Via values of the response are those of the request, in order. */
static void wr_vias(struct cph_wr *wr, const struct cph_sip_msg *req, const struct cph_addr *source)
{
    struct cph_sip_iter it = { 0 };
    const struct cph_sip_header *h;
    struct cph_span value;

    if (!source || req->n_via == 0 || !cph_sip_each(req, CPH_SIP_H_VIA, &it, &value)) {
        cph_sip_wr_copy_all(wr, req, CPH_SIP_H_VIA);
        return;
    }
    cph_wr_text(wr, "Via: ");
    wr_top_via(wr, &req->via[0], source);
    cph_wr_text(wr, "\r\n");
    if (it.rest.p)
        cph_sip_wr_header(wr, CPH_SIP_H_VIA, cph_span_trim(it.rest));
    for (h = it.header; (h = cph_sip_find_next(req, CPH_SIP_H_VIA, h));)
        cph_sip_wr_copy(wr, h);
}

static void wr_first(struct cph_wr *wr, const struct cph_sip_msg *req, enum cph_sip_hdr id)
{
    const struct cph_sip_header *h = cph_sip_find(req, id);

    if (h)
        cph_sip_wr_copy(wr, h);
}

static void wr_to(struct cph_wr *wr, const struct cph_sip_msg *req, struct cph_span tag)
{
    const struct cph_sip_header *h = cph_sip_find(req, CPH_SIP_H_TO);

    if (!h || tag.n == 0 || !req->to.text.p || req->to.tag.n > 0) {
        wr_first(wr, req, CPH_SIP_H_TO);
        return;
    }
    if (!sip_all(tag, C_TOKEN))
        wr->failed = true;
    cph_wr_text(wr, "To: ");
    cph_wr_span(wr, h->raw);
    cph_wr_text(wr, ";tag=");
    cph_wr_span(wr, tag);
    cph_wr_text(wr, "\r\n");
}

void cph_sip_wr_response(struct cph_wr *wr, const struct cph_sip_msg *req, unsigned status,
                         struct cph_span reason, struct cph_span to_tag,
                         const struct cph_addr *source)
{
    cph_sip_wr_status_line(wr, status, reason);
    wr_vias(wr, req, source);
    wr_first(wr, req, CPH_SIP_H_FROM);
    wr_to(wr, req, to_tag);
    wr_first(wr, req, CPH_SIP_H_CALL_ID);
    wr_first(wr, req, CPH_SIP_H_CSEQ);
    if (status == 100) /* RFC 3261 8.2.6.1 */
        wr_first(wr, req, CPH_SIP_H_TIMESTAMP);
}

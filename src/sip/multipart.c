#include <string.h>

#include "msg_int.h"

enum { BOUNDARY_MAX = 70 }; /* RFC 2046 5.1.1 */

static cph_err boundary_of(struct cph_span content_type, uint8_t *buf, size_t *n)
{
    struct cph_sip_content_type t;
    struct cph_span value;

    CPH_TRY(cph_sip_content_type_parse(content_type, &t));
    if (!cph_span_iis(t.type, "multipart") || !cph_sip_param(t.params, "boundary", &value))
        return CPH_E_MALFORMED;
    if (cph_sip_unquote(value, buf, BOUNDARY_MAX, n) != CPH_OK || *n == 0)
        return CPH_E_MALFORMED;
    return sip_text_ok((struct cph_span){ buf, *n }, false) ? CPH_OK : CPH_E_MALFORMED;
}

/* The next delimiter line at or behind from: where it begins, with the CRLF before it, and where
 * the line ends. False if there is none. */
static bool find_delimiter(struct cph_span body, size_t from, struct cph_span boundary,
                           size_t *begin, size_t *end, bool *last)
{
    for (size_t i = from; i + 2 + boundary.n <= body.n; i++) {
        size_t at = i + 2 + boundary.n;
        struct cph_span rest;

        if (body.p[i] != '-' || body.p[i + 1] != '-' ||
            !cph_span_eq((struct cph_span){ body.p + i + 2, boundary.n }, boundary))
            continue;
        if (i > 0 && (i < 2 || body.p[i - 2] != '\r' || body.p[i - 1] != '\n'))
            continue;
        rest = cph_span_from(body, at);
        *last = rest.n >= 2 && rest.p[0] == '-' && rest.p[1] == '-';
        if (*last)
            rest = cph_span_from(rest, 2);
        sip_skip_ws(&rest);
        if (rest.n >= 2 ? rest.p[0] != '\r' || rest.p[1] != '\n' : rest.n != 0 || !*last)
            continue; /* a longer boundary that begins with ours */
        *begin = i > 0 ? i - 2 : 0;
        *end = body.n - rest.n + (rest.n >= 2 ? 2 : 0);
        return true;
    }
    return false;
}

/* Headers, the empty line, the body. A part may begin with the empty line, and so have no headers.
 */
static cph_err split_part(struct cph_span bytes, struct cph_sip_part *out)
{
    const uint8_t *end;

    *out = (struct cph_sip_part){ .bytes = bytes };
    if (bytes.n >= 2 && bytes.p[0] == '\r' && bytes.p[1] == '\n') {
        out->body = cph_span_from(bytes, 2);
        return CPH_OK;
    }
    end = bytes.n > 0 ? memmem(bytes.p, bytes.n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return CPH_E_MALFORMED;
    out->headers = cph_span_head(bytes, (size_t)(end - bytes.p) + 2);
    out->body = cph_span_from(bytes, out->headers.n + 2);
    return CPH_OK;
}

cph_err cph_sip_multipart_split(struct cph_span content_type, struct cph_span body,
                                struct cph_sip_part *out, size_t cap, size_t *n)
{
    uint8_t text[BOUNDARY_MAX];
    struct cph_span boundary = { text, 0 };
    size_t begin, end, next, count = 0;
    bool last;

    CPH_TRY(boundary_of(content_type, text, &boundary.n));
    if (!find_delimiter(body, 0, boundary, &begin, &end, &last) || last)
        return CPH_E_MALFORMED;
    while (!last) {
        size_t from = end;

        if (!find_delimiter(body, from, boundary, &begin, &next, &last) || begin < from)
            return CPH_E_MALFORMED;
        if (count == cap || count == CPH_SIP_PARTS_MAX)
            return CPH_E_LIMIT;
        CPH_TRY(split_part((struct cph_span){ body.p + from, begin - from }, &out[count]));
        count++;
        end = next;
    }
    *n = count;
    return CPH_OK;
}

bool cph_sip_part_header(const struct cph_sip_part *part, const char *name, struct cph_span *value)
{
    struct cph_span rest = part->headers, line, n, raw;

    while (rest.n > 0) {
        cph_err err = sip_take_line(&rest, &line);

        if (err != CPH_OK)
            return false;
        if (sip_line_split(line, &n, &raw) == CPH_OK && cph_span_iis(n, name)) {
            *value = raw;
            return true;
        }
    }
    return false;
}

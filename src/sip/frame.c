#include <string.h>

#include "msg_int.h"

/* CRLFs between messages: RFC 5626 4.4.1 keep-alives, RFC 3261 7.5. AGAIN means "not one of those
 * yet". */
static cph_err take_crlf(struct cph_span s, bool pong_due, struct cph_sip_frame *f)
{
    bool first = s.n >= 2 && s.p[1] == '\n';

    if (s.n >= 2 && !first)
        return CPH_E_MALFORMED; /* a bare CR */
    if (first && (pong_due || (s.n >= 3 && s.p[2] != '\r'))) {
        *f = (struct cph_sip_frame){ .kind = CPH_SIP_FRAME_PONG, .bytes = cph_span_head(s, 2) };
        return CPH_OK;
    }
    if (s.n < 4)
        return CPH_E_AGAIN;
    if (s.p[3] != '\n')
        return CPH_E_MALFORMED;
    *f = (struct cph_sip_frame){ .kind = CPH_SIP_FRAME_PING, .bytes = cph_span_head(s, 4) };
    return CPH_OK;
}

/* Just behind the empty line, or 0. Its first three bytes may be among those searched before. */
static size_t find_head(struct cph_span s, size_t searched)
{
    size_t from = searched < 3 ? 0 : searched - 3 < s.n ? searched - 3 : s.n;
    const uint8_t *end = memmem(s.p + from, s.n - from, "\r\n\r\n", 4);

    return end ? (size_t)(end - s.p) + 4 : 0;
}

static cph_err content_length(struct cph_span head, uint32_t *out)
{
    struct cph_span line, name, raw;
    bool found = false;
    cph_err err;

    while ((err = sip_take_line(&head, &line)) == CPH_OK || err == CPH_E_MALFORMED) {
        if (sip_line_split(line, &name, &raw) != CPH_OK ||
            cph_sip_hdr_find(name) != CPH_SIP_H_CONTENT_LENGTH)
            continue;
        if (found || cph_sip_number_parse(raw, out) != CPH_OK)
            return CPH_E_MALFORMED; /* RFC 4475 3.3.9: two are as bad as none */
        found = true;
    }
    return found ? CPH_OK : CPH_E_MALFORMED;
}

cph_err cph_sip_frame(struct cph_span received, bool pong_due, size_t searched,
                      struct cph_sip_frame *out)
{
    struct cph_sip_frame f = { .kind = CPH_SIP_FRAME_MESSAGE, .need = received.n + 1 };
    uint32_t body = 0;
    size_t head;
    cph_err err;

    *out = f;
    if (received.n == 0)
        return CPH_E_AGAIN;
    if (received.p[0] == '\r')
        return take_crlf(received, pong_due, out);
    if (!sip_is(received.p[0], C_TOKEN)) /* no start line begins so */
        return CPH_E_MALFORMED;
    head = find_head(cph_span_head(received, CPH_SIP_HEAD_MAX), searched);
    out->searched = head == 0 ? received.n : 0;
    if (head == 0)
        return received.n < CPH_SIP_HEAD_MAX ? CPH_E_AGAIN : CPH_E_LIMIT;
    out->bytes = cph_span_head(received, head);
    err = content_length(out->bytes, &body);
    if (err == CPH_OK && body > CPH_SIP_BODY_MAX)
        err = CPH_E_LIMIT;
    CPH_TRY(err);
    if (received.n - head < body) {
        *out = f;
        out->need = head + body;
        return CPH_E_AGAIN;
    }
    out->need = 0;
    out->bytes = cph_span_head(received, head + body);
    return CPH_OK;
}

bool cph_sip_is_keepalive(struct cph_span datagram)
{
    for (size_t i = 0; i < datagram.n; i++) {
        if (datagram.p[i] != '\r' && datagram.p[i] != '\n' && datagram.p[i] != 0)
            return false;
    }
    return true;
}

#include "ciphony/sip_uri.h"

#include "ciphony/base_addr.h"
#include "msg_int.h"

/* ---- host ------------------------------------------------------------------------------------ */

static bool is_v4(struct cph_span s)
{
    struct cph_addr a;

    return cph_addr_parse_ip(s, &a) == CPH_OK && a.family == CPH_AF_V4;
}

static bool is_v6(struct cph_span s)
{
    struct cph_addr a;

    return cph_addr_parse_ip(s, &a) == CPH_OK && a.family == CPH_AF_V6;
}

/* RFC 3261 25.1: labels of letters, digits and inner hyphens; the last one begins with a letter. */
static bool is_hostname(struct cph_span s)
{
    struct cph_span label = { 0 };

    if (s.n > 1 && s.p[s.n - 1] == '.')
        s.n--;
    if (s.n == 0 || s.n > 253 || s.p[s.n - 1] == '.')
        return false;
    while (s.n > 0) {
        label = cph_span_cut(&s, '.');
        if (label.n == 0 || label.n > 63 || !sip_is(label.p[0], C_ALNUM) ||
            !sip_is(label.p[label.n - 1], C_ALNUM))
            return false;
        for (size_t i = 0; i < label.n; i++) {
            if (!sip_is(label.p[i], C_ALNUM) && label.p[i] != '-')
                return false;
        }
    }
    return sip_is(label.p[0], C_ALPHA);
}

bool cph_sip_is_host(struct cph_span text)
{
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        return is_v6((struct cph_span){ text.p + 1, text.n - 2 });
    return is_v4(text) || is_hostname(text);
}

bool sip_take_host(struct cph_span *s, struct cph_span *host, bool *v6)
{
    struct cph_span h;
    size_t i = 0;

    *v6 = s->n > 0 && s->p[0] == '[';
    if (*v6) {
        i = cph_span_find(*s, ']') + 1;
        if (i > s->n)
            return false;
    } else {
        while (i < s->n && (sip_is(s->p[i], C_ALNUM) || s->p[i] == '-' || s->p[i] == '.'))
            i++;
    }
    h = cph_span_head(*s, i);
    if (!cph_sip_is_host(h))
        return false;
    *host = *v6 ? (struct cph_span){ h.p + 1, h.n - 2 } : h;
    *s = cph_span_from(*s, i);
    return true;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* One character of an escaped text: 0-255, or -1 at the end. */
static int next_char(struct cph_span *s, bool *was_escaped)
{
    int c;

    *was_escaped = false;
    if (s->n == 0)
        return -1;
    c = s->p[0];
    if (c == '%' && s->n >= 3 && sip_hex(s->p[1]) >= 0 && sip_hex(s->p[2]) >= 0) {
        *was_escaped = true;
        c = sip_hex(s->p[1]) << 4 | sip_hex(s->p[2]);
        *s = cph_span_from(*s, 3);
        return c;
    }
    *s = cph_span_from(*s, 1);
    return c;
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* RFC 3261 19.1.4: a character equals its escape unless it is a reserved one. */
static bool escaped_eq(struct cph_span a, struct cph_span b, bool ignore_case)
{
    for (;;) {
        bool ea, eb;
        int ca = next_char(&a, &ea), cb = next_char(&b, &eb);

        if (ignore_case) {
            ca = lower(ca);
            cb = lower(cb);
        }
        if (ca != cb)
            return false;
        if (ca < 0)
            return true;
        if (ea != eb && sip_is((uint8_t)ca, C_RESERVED))
            return false;
    }
}

bool sip_escaped_ieq(struct cph_span a, struct cph_span b)
{
    return escaped_eq(a, b, true);
}

/* From ";a=b;c" take ";a=b". Empty value with p NULL: no equals sign. False at the end. */
static bool uri_param_next(struct cph_span *rest, struct cph_span *name, struct cph_span *value)
{
    struct cph_span one;

    if (!sip_take(rest, ';'))
        return false;
    one = cph_span_head(*rest, cph_span_find(*rest, ';'));
    *rest = cph_span_from(*rest, one.n);
    *name = cph_span_head(one, cph_span_find(one, '='));
    *value = name->n < one.n ? (struct cph_span){ one.p + name->n + 1, one.n - name->n - 1 }
                             : (struct cph_span){ 0 };
    return true;
}

static bool header_next(struct cph_span *rest, struct cph_span *name, struct cph_span *value)
{
    struct cph_span one;

    if (rest->n == 0)
        return false;
    one = cph_span_cut(rest, '&');
    *name = cph_span_head(one, cph_span_find(one, '='));
    *value = cph_span_from(one, name->n + 1);
    return true;
}

typedef bool next_fn(struct cph_span *rest, struct cph_span *name, struct cph_span *value);

static bool lookup(next_fn *next, struct cph_span list, struct cph_span name,
                   struct cph_span *value)
{
    struct cph_span n, v;

    while (next(&list, &n, &v)) {
        if (escaped_eq(n, name, true)) {
            *value = v;
            return true;
        }
    }
    return false;
}

static cph_err check_uri_params(struct cph_span params)
{
    struct cph_span rest = params, name, value, v;
    size_t n = 0;

    while (rest.n > 0) {
        if (!uri_param_next(&rest, &name, &value))
            return CPH_E_MALFORMED;
        if (++n > CPH_SIP_PARAMS_MAX)
            return CPH_E_LIMIT;
        if (name.n == 0 || !sip_all_escaped(name, C_PARAM | C_UNRESERVED))
            return CPH_E_MALFORMED;
        if (value.p && (value.n == 0 || !sip_all_escaped(value, C_PARAM | C_UNRESERVED)))
            return CPH_E_MALFORMED;
        /* RFC 3261 19.1.1 MUST: a uri-parameter name appears once at most */
        v = (struct cph_span){ params.p, (size_t)(name.p - 1 - params.p) };
        if (lookup(uri_param_next, v, name, &v))
            return CPH_E_MALFORMED;
    }
    return CPH_OK;
}

static cph_err check_headers(struct cph_span headers)
{
    struct cph_span rest = headers;
    size_t n = 0;

    if (headers.n == 0 || headers.p[headers.n - 1] == '&')
        return CPH_E_MALFORMED;
    while (rest.n > 0) {
        struct cph_span one = cph_span_cut(&rest, '&');
        size_t eq = cph_span_find(one, '=');

        if (++n > CPH_SIP_PARAMS_MAX)
            return CPH_E_LIMIT;
        if (eq == 0 || eq == one.n ||
            !sip_all_escaped(cph_span_head(one, eq), C_HNV | C_UNRESERVED) ||
            !sip_all_escaped(cph_span_from(one, eq + 1), C_HNV | C_UNRESERVED))
            return CPH_E_MALFORMED;
    }
    return CPH_OK;
}

static cph_err take_port(struct cph_span *s, uint16_t *port)
{
    uint32_t v;

    CPH_TRY(cph_span_u32(sip_take_while(s, C_DIGIT), &v));
    if (v == 0 || v > 65535)
        return CPH_E_MALFORMED;
    *port = (uint16_t)v;
    return CPH_OK;
}

static cph_err parse_userinfo(struct cph_span info, struct cph_sip_uri *u)
{
    size_t colon = cph_span_find(info, ':');

    u->user = cph_span_head(info, colon);
    u->has_password = colon < info.n;
    u->password = cph_span_from(info, colon + 1);
    if (u->user.n == 0 || !sip_all_escaped(u->user, C_USER | C_UNRESERVED) ||
        !sip_all_escaped(u->password, C_PASS | C_UNRESERVED))
        return CPH_E_MALFORMED;
    return CPH_OK;
}

/* sip: and sips: behind the colon. "@" cannot stand unescaped in any other part. */
static cph_err parse_sip(struct cph_span s, struct cph_sip_uri *u)
{
    size_t at = cph_span_find(s, '@');

    if (at < s.n) {
        CPH_TRY(parse_userinfo(cph_span_head(s, at), u));
        s = cph_span_from(s, at + 1);
    }
    if (!sip_take_host(&s, &u->host, &u->host_is_v6))
        return CPH_E_MALFORMED;
    if (sip_take(&s, ':'))
        CPH_TRY(take_port(&s, &u->port));
    u->params = cph_span_head(s, cph_span_find(s, '?'));
    if (u->params.n < s.n) {
        u->headers = cph_span_from(s, u->params.n + 1);
        CPH_TRY(check_headers(u->headers));
    }
    return check_uri_params(u->params);
}

/* RFC 3966 3: "+" and digits, or a local number, which must say its phone-context. */
static cph_err parse_tel(struct cph_span s, struct cph_sip_uri *u)
{
    struct cph_span context;
    bool global, digits = false;

    u->user = cph_span_head(s, cph_span_find(s, ';'));
    u->params = cph_span_from(s, u->user.n);
    s = u->user;
    global = sip_take(&s, '+');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (sip_is(c, C_DIGIT) || (!global && (sip_is(c, C_HEX) || c == '*' || c == '#')))
            digits = true;
        else if (c != '-' && c != '.' && c != '(' && c != ')')
            return CPH_E_MALFORMED;
    }
    if (!digits)
        return CPH_E_MALFORMED;
    CPH_TRY(check_uri_params(u->params));
    /* RFC 3966 5.1.5 MUST: a local number has a phone-context */
    if (!global && !cph_sip_uri_param(u, "phone-context", &context))
        return CPH_E_MALFORMED;
    return CPH_OK;
}

cph_err cph_sip_uri_parse(struct cph_span text, struct cph_sip_uri *out)
{
    struct cph_sip_uri u = { .text = text };
    struct cph_span rest;

    if (text.n > CPH_SIP_URI_MAX)
        return CPH_E_LIMIT;
    u.scheme_name = cph_span_head(text, cph_span_find(text, ':'));
    rest = cph_span_from(text, u.scheme_name.n + 1);
    if (rest.n == 0 || u.scheme_name.n == 0 || !sip_is(u.scheme_name.p[0], C_ALPHA))
        return CPH_E_MALFORMED;
    for (size_t i = 1; i < u.scheme_name.n; i++) {
        uint8_t c = u.scheme_name.p[i];

        if (!sip_is(c, C_ALNUM) && c != '+' && c != '-' && c != '.')
            return CPH_E_MALFORMED;
    }
    if (cph_span_iis(u.scheme_name, "sip") || cph_span_iis(u.scheme_name, "sips")) {
        u.scheme = u.scheme_name.n == 3 ? CPH_SIP_SCHEME_SIP : CPH_SIP_SCHEME_SIPS;
        CPH_TRY(parse_sip(rest, &u));
    } else if (cph_span_iis(u.scheme_name, "tel")) {
        u.scheme = CPH_SIP_SCHEME_TEL;
        CPH_TRY(parse_tel(rest, &u));
    } else {
        u.opaque = rest;
        /* reserved, unreserved, escaped; and brackets, which RFC 3986 3.2.2 added for IPv6 */
        for (size_t i = 0; i < rest.n; i++) {
            uint8_t c = rest.p[i];

            if (c != '[' && c != ']' && c != '%' && !sip_is(c, C_RESERVED | C_UNRESERVED))
                return CPH_E_MALFORMED;
        }
    }
    *out = u;
    return CPH_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static size_t count_of(next_fn *next, struct cph_span list)
{
    struct cph_span n, v;
    size_t count = 0;

    while (next(&list, &n, &v))
        count++;
    return count;
}

/* Parameters in both agree; and where one stands in a alone, it is not one that always counts. */
static bool sip_params_agree(struct cph_span a, struct cph_span b)
{
    static const char *const always[] = { "user", "ttl", "method", "maddr", "transport" };
    struct cph_span rest = a, name, va, vb;

    while (uri_param_next(&rest, &name, &va)) {
        if (lookup(uri_param_next, b, name, &vb)) {
            if (!escaped_eq(va, vb, true))
                return false;
            continue;
        }
        for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
            if (escaped_eq(name, cph_span_of(always[i]), true))
                return false;
        }
    }
    return true;
}

static bool has_pair(next_fn *next, struct cph_span list, struct cph_span name,
                     struct cph_span value, bool ignore_case)
{
    struct cph_span n, v;

    while (next(&list, &n, &v)) {
        if (escaped_eq(n, name, true) && escaped_eq(v, value, ignore_case))
            return true;
    }
    return false;
}

/* A header may stand in a URI twice, so a pair is looked for, not a name. */
static bool all_in(next_fn *next, struct cph_span a, struct cph_span b, bool ignore_case)
{
    struct cph_span name, value;

    while (next(&a, &name, &value)) {
        if (!has_pair(next, b, name, value, ignore_case))
            return false;
    }
    return true;
}

static bool host_eq(const struct cph_sip_uri *a, const struct cph_sip_uri *b)
{
    struct cph_addr x, y;

    if (a->host_is_v6 != b->host_is_v6)
        return false;
    if (!a->host_is_v6)
        return cph_span_ieq(a->host, b->host);
    return cph_addr_parse_ip(a->host, &x) == CPH_OK && cph_addr_parse_ip(b->host, &y) == CPH_OK &&
           cph_addr_ip_eq(&x, &y);
}

/* RFC 3966 4: without visual separators, letters without case. */
static bool number_eq(struct cph_span a, struct cph_span b)
{
    for (;;) {
        while (a.n > 0 && sip_is(a.p[0], C_UNRESERVED) && !sip_is(a.p[0], C_ALNUM) && a.p[0] != '*')
            a = cph_span_from(a, 1);
        while (b.n > 0 && sip_is(b.p[0], C_UNRESERVED) && !sip_is(b.p[0], C_ALNUM) && b.p[0] != '*')
            b = cph_span_from(b, 1);
        if (a.n == 0 || b.n == 0)
            return a.n == b.n;
        if (lower(a.p[0]) != lower(b.p[0]))
            return false;
        a = cph_span_from(a, 1);
        b = cph_span_from(b, 1);
    }
}

bool cph_sip_uri_eq(const struct cph_sip_uri *a, const struct cph_sip_uri *b)
{
    if (a->scheme != b->scheme)
        return false;
    switch (a->scheme) {
    case CPH_SIP_SCHEME_OTHER:
        return cph_span_ieq(a->scheme_name, b->scheme_name) && cph_span_eq(a->opaque, b->opaque);
    case CPH_SIP_SCHEME_TEL:
        return number_eq(a->user, b->user) &&
               count_of(uri_param_next, a->params) == count_of(uri_param_next, b->params) &&
               all_in(uri_param_next, a->params, b->params, true);
    case CPH_SIP_SCHEME_SIP:
    case CPH_SIP_SCHEME_SIPS:
        break;
    }
    return escaped_eq(a->user, b->user, false) && a->has_password == b->has_password &&
           escaped_eq(a->password, b->password, false) && host_eq(a, b) && a->port == b->port &&
           sip_params_agree(a->params, b->params) && sip_params_agree(b->params, a->params) &&
           count_of(header_next, a->headers) == count_of(header_next, b->headers) &&
           all_in(header_next, a->headers, b->headers, false) &&
           all_in(header_next, b->headers, a->headers, false);
}

bool cph_sip_uri_param(const struct cph_sip_uri *uri, const char *name, struct cph_span *value)
{
    return lookup(uri_param_next, uri->params, cph_span_of(name), value);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void wr_host(struct cph_wr *wr, const struct cph_sip_uri *uri)
{
    cph_wr_text(wr, uri->host_is_v6 ? "[" : "");
    cph_wr_span(wr, uri->host);
    cph_wr_text(wr, uri->host_is_v6 ? "]" : "");
    if (uri->port != 0)
        cph_wr_fmt(wr, ":%u", uri->port);
}

void cph_sip_uri_wr(struct cph_wr *wr, const struct cph_sip_uri *uri, bool with_headers)
{
    cph_wr_span(wr, uri->scheme_name);
    cph_wr_text(wr, ":");
    if (uri->scheme == CPH_SIP_SCHEME_OTHER) {
        cph_wr_span(wr, uri->opaque);
        return;
    }
    cph_wr_span(wr, uri->user);
    if (uri->scheme != CPH_SIP_SCHEME_TEL) {
        cph_wr_text(wr, uri->has_password ? ":" : "");
        cph_wr_span(wr, uri->password);
        cph_wr_text(wr, uri->user.n > 0 ? "@" : "");
        wr_host(wr, uri);
    }
    cph_wr_span(wr, uri->params);
    if (with_headers && uri->headers.n > 0) {
        cph_wr_text(wr, "?");
        cph_wr_span(wr, uri->headers);
    }
}

cph_err cph_sip_unescape(struct cph_span text, uint8_t *buf, size_t cap, size_t *n)
{
    size_t at = 0;

    while (text.n > 0) {
        bool escaped;
        uint8_t first = text.p[0];
        int c = next_char(&text, &escaped);

        if (first == '%' && !escaped)
            return CPH_E_MALFORMED;
        if (at == cap)
            return CPH_E_NOSPACE;
        buf[at++] = (uint8_t)c;
    }
    *n = at;
    return CPH_OK;
}

void cph_sip_wr_escaped_user(struct cph_wr *wr, struct cph_span bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        if (sip_is(bytes.p[i], C_USER | C_UNRESERVED))
            cph_wr_u8(wr, bytes.p[i]);
        else
            cph_wr_fmt(wr, "%%%02X", bytes.p[i]);
    }
}

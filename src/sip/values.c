#include <string.h>

#include "msg_int.h"

/* Nothing but white space is left. */
static bool at_end(struct cph_span s)
{
    sip_skip_ws(&s);
    return s.n == 0;
}

/* ---- Via ------------------------------------------------------------------------------------- */

static struct cph_span no_brackets(struct cph_span s)
{
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        return (struct cph_span){ s.p + 1, s.n - 2 };
    return s;
}

static cph_err via_params(struct cph_sip_via *v)
{
    struct cph_span value, rest = v->params, name;
    struct cph_addr ip;
    uint32_t n;

    v->ttl = -1;
    while (cph_sip_param_next(&rest, &name, &value)) {
        if (cph_span_iis(name, "branch")) {
            /* RFC 3261 8.1.1.7: the cookie says that an identifier follows; RFC 4475 3.2.1 has
             * none. */
            if (!sip_all(value, C_TOKEN) || cph_span_is(value, "z9hG4bK"))
                return CPH_E_MALFORMED;
            v->branch = value;
            v->cookie = cph_span_starts(value, "z9hG4bK");
        } else if (cph_span_iis(name, "received")) {
            v->received = no_brackets(value);
            CPH_TRY(cph_addr_parse_ip(v->received, &ip));
        } else if (cph_span_iis(name, "rport")) {
            v->has_rport = true;
            if (value.p) {
                CPH_TRY(cph_span_u32(value, &n));
                if (n == 0 || n > 65535)
                    return CPH_E_MALFORMED;
                v->rport = (uint16_t)n;
            }
        } else if (cph_span_iis(name, "maddr")) {
            if (!cph_sip_is_host(value))
                return CPH_E_MALFORMED;
            v->maddr = no_brackets(value);
        } else if (cph_span_iis(name, "ttl")) {
            CPH_TRY(cph_span_u32(value, &n));
            if (n > 255)
                return CPH_E_MALFORMED;
            v->ttl = (int)n;
        }
    }
    return CPH_OK;
}

/* SIP / 2.0 / UDP  host [: port] *(;param), white space allowed around every separator */
cph_err cph_sip_via_parse(struct cph_span text, struct cph_sip_via *out)
{
    struct cph_span s = cph_span_trim(text);
    struct cph_sip_via v = { .text = s };
    uint32_t port = 0;

    if (!cph_span_iis(sip_take_while(&s, C_TOKEN), "SIP") || !sip_take_sep(&s, '/') ||
        !cph_span_is(sip_take_while(&s, C_TOKEN), "2.0") || !sip_take_sep(&s, '/'))
        return CPH_E_MALFORMED;
    v.transport = sip_take_while(&s, C_TOKEN);
    if (v.transport.n == 0 || s.n == 0 || (s.p[0] != ' ' && s.p[0] != '\t'))
        return CPH_E_MALFORMED;
    sip_skip_ws(&s);
    if (!sip_take_host(&s, &v.host, &v.host_is_v6))
        return CPH_E_MALFORMED;
    if (sip_take_sep(&s, ':')) {
        CPH_TRY(cph_span_u32(sip_take_while(&s, C_DIGIT), &port));
        if (port == 0 || port > 65535)
            return CPH_E_MALFORMED;
        v.port = (uint16_t)port;
    }
    CPH_TRY(sip_params_parse(s, &v.params));
    CPH_TRY(via_params(&v));
    *out = v;
    return CPH_OK;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* [display] "<"; *s stands behind the bracket. False when the value has not that form. RFC 4475
 * 3.1.1.6: white space between the last token and the bracket is not required. */
static bool take_display(struct cph_span *s, struct cph_span *display)
{
    struct cph_span at = *s, from = *s;

    if (at.n > 0 && at.p[0] == '"') {
        if (!sip_take_quoted(&at, display))
            return false;
        sip_skip_ws(&at);
    } else {
        while (at.n > 0 && (sip_is(at.p[0], C_TOKEN) || at.p[0] == ' ' || at.p[0] == '\t'))
            at = cph_span_from(at, 1);
        *display = cph_span_trim(sip_between(from, at));
    }
    if (!sip_take(&at, '<'))
        return false;
    *s = at;
    return true;
}

/* RFC 3261 20: outside of brackets a URI ends at the first semicolon (what follows are the header's
 * parameters), and may hold no comma and no question mark. */
static cph_err take_bare_uri(struct cph_span *s, struct cph_sip_uri *uri)
{
    size_t n = 0;

    while (n < s->n && s->p[n] != ';' && s->p[n] != ' ' && s->p[n] != '\t') {
        if (s->p[n] == ',' || s->p[n] == '?')
            return CPH_E_MALFORMED;
        n++;
    }
    CPH_TRY(cph_sip_uri_parse(cph_span_head(*s, n), uri));
    *s = cph_span_from(*s, n);
    return CPH_OK;
}

cph_err cph_sip_addr_parse(struct cph_span text, struct cph_sip_addr *out)
{
    struct cph_span s = cph_span_trim(text), rest, name, value;
    struct cph_sip_addr a = { .text = s };

    if (cph_span_is(s, "*")) {
        a.star = true;
        *out = a;
        return CPH_OK;
    }
    a.brackets = take_display(&s, &a.display);
    if (a.brackets) {
        size_t n = cph_span_find(s, '>');

        if (n == s.n)
            return CPH_E_MALFORMED;
        CPH_TRY(cph_sip_uri_parse(cph_span_head(s, n), &a.uri));
        s = cph_span_from(s, n + 1);
    } else {
        a.display = (struct cph_span){ 0 };
        CPH_TRY(take_bare_uri(&s, &a.uri));
    }
    CPH_TRY(sip_params_parse(s, &a.params));
    for (rest = a.params; cph_sip_param_next(&rest, &name, &value);) {
        if (!cph_span_iis(name, "tag"))
            continue;
        if (!sip_all(value, C_TOKEN))
            return CPH_E_MALFORMED;
        a.tag = value;
    }
    *out = a;
    return CPH_OK;
}

/* ---- numbers and words ----------------------------------------------------------------------- */

cph_err cph_sip_number_parse(struct cph_span text, uint32_t *out)
{
    return cph_span_u32(cph_span_trim(text), out);
}

/* 1*DIGIT LWS */
static cph_err take_number(struct cph_span *s, uint32_t *out)
{
    CPH_TRY(cph_span_u32(sip_take_while(s, C_DIGIT), out));
    if (s->n == 0 || (s->p[0] != ' ' && s->p[0] != '\t'))
        return CPH_E_MALFORMED;
    sip_skip_ws(s);
    return CPH_OK;
}

cph_err cph_sip_cseq_parse(struct cph_span text, struct cph_sip_cseq *out)
{
    struct cph_span s = cph_span_trim(text);
    struct cph_sip_cseq c = { 0 };

    CPH_TRY(take_number(&s, &c.number));
    if (c.number >> 31 != 0) /* RFC 3261 8.1.1.5 MUST: less than 2**31 */
        return CPH_E_MALFORMED;
    c.method_name = s;
    if (!sip_all(s, C_TOKEN))
        return CPH_E_MALFORMED;
    c.method = cph_sip_method_find(s);
    *out = c;
    return CPH_OK;
}

/* RFC 3262 7.2: response-num LWS CSeq-num LWS Method */
cph_err cph_sip_rack_parse(struct cph_span text, struct cph_sip_rack *out)
{
    struct cph_span s = cph_span_trim(text);
    struct cph_sip_rack r = { 0 };

    CPH_TRY(take_number(&s, &r.rseq));
    CPH_TRY(cph_sip_cseq_parse(s, &r.cseq));
    *out = r;
    return CPH_OK;
}

cph_err cph_sip_content_type_parse(struct cph_span text, struct cph_sip_content_type *out)
{
    struct cph_span s = cph_span_trim(text), rest, name, value;
    struct cph_sip_content_type t = { 0 };

    t.type = sip_take_while(&s, C_TOKEN);
    if (t.type.n == 0 || !sip_take_sep(&s, '/'))
        return CPH_E_MALFORMED;
    t.subtype = sip_take_while(&s, C_TOKEN);
    if (t.subtype.n == 0)
        return CPH_E_MALFORMED;
    CPH_TRY(sip_params_parse(s, &t.params));
    for (rest = t.params; cph_sip_param_next(&rest, &name, &value);) {
        if (!value.p) /* an m-parameter has a value always */
            return CPH_E_MALFORMED;
    }
    *out = t;
    return CPH_OK;
}

cph_err cph_sip_session_expires_parse(struct cph_span text, struct cph_sip_session_expires *out)
{
    struct cph_span s = cph_span_trim(text), params, value;
    struct cph_sip_session_expires e = { 0 };

    CPH_TRY(cph_span_u32(sip_take_while(&s, C_DIGIT), &e.seconds));
    CPH_TRY(sip_params_parse(s, &params));
    if (cph_sip_param(params, "refresher", &value)) {
        if (cph_span_iis(value, "uac"))
            e.refresher = CPH_SIP_REFRESHER_UAC;
        else if (cph_span_iis(value, "uas"))
            e.refresher = CPH_SIP_REFRESHER_UAS;
        else
            return CPH_E_MALFORMED;
    }
    *out = e;
    return CPH_OK;
}

cph_err cph_sip_retry_after_parse(struct cph_span text, struct cph_sip_retry_after *out)
{
    struct cph_span s = cph_span_trim(text);
    struct cph_sip_retry_after r = { 0 };

    CPH_TRY(cph_span_u32(sip_take_while(&s, C_DIGIT), &r.seconds));
    sip_skip_ws(&s);
    if (s.n > 0 && s.p[0] == '(') {
        if (!sip_take_comment(&s, &r.comment))
            return CPH_E_MALFORMED;
        r.comment = (struct cph_span){ r.comment.p + 1, r.comment.n - 2 };
    }
    CPH_TRY(sip_params_parse(s, &r.params));
    *out = r;
    return CPH_OK;
}

/* RFC 3326 2: protocol *(SEMI reason-params) */
cph_err cph_sip_reason_parse(struct cph_span text, struct cph_sip_reason *out)
{
    struct cph_span s = cph_span_trim(text), params, value;
    struct cph_sip_reason r = { 0 };

    r.protocol = sip_take_while(&s, C_TOKEN);
    if (r.protocol.n == 0)
        return CPH_E_MALFORMED;
    CPH_TRY(sip_params_parse(s, &params));
    if (cph_sip_param(params, "cause", &value)) {
        CPH_TRY(cph_span_u32(value, &r.cause));
        r.has_cause = true;
    }
    if (cph_sip_param(params, "text", &value))
        r.text = value;
    *out = r;
    return CPH_OK;
}

/* ---- Date ------------------------------------------------------------------------------------ */

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days since 1970-01-01 of a Gregorian date (month 1-12), by counting from March of year 0. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 -
           719468;
}

static int digits(struct cph_span s, size_t at, size_t n)
{
    int v = 0;

    for (size_t i = at; i < at + n; i++) {
        if (!sip_is(s.p[i], C_DIGIT))
            return -1;
        v = v * 10 + (s.p[i] - '0');
    }
    return v;
}

static int name_at(struct cph_span s, size_t at, const char *names)
{
    for (size_t i = 0; names[3 * i] != '\0'; i++) {
        if (memcmp(s.p + at, names + 3 * i, 3) == 0) /* public text */
            return (int)i;
    }
    return -1;
}

static bool date_punctuation(struct cph_span s)
{
    static const char form[] = "___, __ ___ ____ __:__:__ GMT";

    if (s.n != sizeof form - 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (form[i] != '_' && (uint8_t)form[i] != s.p[i])
            return false;
    }
    return true;
}

cph_err cph_sip_date_parse(struct cph_span text, int64_t *out)
{
    static const int longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct cph_span s = cph_span_trim(text);
    int weekday, day, month, year, hour, minute, second;
    int64_t days;

    if (!date_punctuation(s)) /* RFC 3261 20.17 MUST: GMT is the only time zone */
        return CPH_E_MALFORMED;
    weekday = name_at(s, 0, weekdays);
    day = digits(s, 5, 2);
    month = name_at(s, 8, months);
    year = digits(s, 12, 4);
    hour = digits(s, 17, 2);
    minute = digits(s, 20, 2);
    second = digits(s, 23, 2);
    if (weekday < 0 || month < 0 || year < 1970 || day < 1 || day > longest[month] || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return CPH_E_MALFORMED;
    days = days_of(year, month + 1, day);
    if (day == 29 && month == 1 && days_of(year, 3, 1) - days != 1)
        return CPH_E_MALFORMED;
    if ((days + 4) % 7 != weekday) /* 1970-01-01 was a Thursday */
        return CPH_E_MALFORMED;
    *out = days * 86400 + hour * INT64_C(3600) + minute * INT64_C(60) + second;
    return CPH_OK;
}

/* ---- checks without a result ----------------------------------------------------------------- */

static cph_err check_words(struct cph_span s, unsigned classes)
{
    return sip_all(s, classes) ? CPH_OK : CPH_E_MALFORMED;
}

cph_err sip_token_check(struct cph_span value)
{
    return check_words(value, C_TOKEN);
}

/* RFC 3261 25.1: word [ "@" word ] */
cph_err sip_call_id_check(struct cph_span value)
{
    struct cph_span rest = value, left = cph_span_cut(&rest, '@');

    CPH_TRY(check_words(left, C_WORD));
    return left.n == value.n ? CPH_OK : check_words(rest, C_WORD);
}

/* warn-code SP warn-agent SP warn-text */
cph_err sip_warning_check(struct cph_span value)
{
    struct cph_span s = value, code = sip_take_while(&s, C_DIGIT), text;
    size_t n = 0;

    if (code.n != 3 || !sip_take(&s, ' '))
        return CPH_E_MALFORMED;
    sip_skip_ws(&s);
    while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t' && s.p[n] != '"')
        n++;
    s = cph_span_from(s, n);
    if (n == 0 || s.n == 0 || s.p[0] == '"')
        return CPH_E_MALFORMED;
    sip_skip_ws(&s);
    return sip_take_quoted(&s, &text) && at_end(s) ? CPH_OK : CPH_E_MALFORMED;
}

static bool q_ok(struct cph_span q)
{
    if (q.n == 0 || q.n > 5 || (q.p[0] != '0' && q.p[0] != '1') || (q.n > 1 && q.p[1] != '.'))
        return false;
    for (size_t i = 2; i < q.n; i++) {
        if (!sip_is(q.p[i], C_DIGIT) || (q.p[0] == '1' && q.p[i] != '0'))
            return false;
    }
    return true;
}

cph_err sip_contact_check(struct cph_span value)
{
    struct cph_sip_addr a;
    struct cph_span v;
    uint32_t seconds;

    CPH_TRY(cph_sip_addr_parse(value, &a));
    if (cph_sip_param(a.params, "q", &v) && !q_ok(v))
        return CPH_E_MALFORMED;
    if (cph_sip_param(a.params, "expires", &v))
        return cph_span_u32(v, &seconds);
    return CPH_OK;
}

cph_err sip_addr_check(struct cph_span value)
{
    struct cph_sip_addr a;

    CPH_TRY(cph_sip_addr_parse(value, &a));
    return a.star ? CPH_E_MALFORMED : CPH_OK;
}

/* Route and its kin: name-addr alone. */
cph_err sip_route_check(struct cph_span value)
{
    struct cph_sip_addr a;

    CPH_TRY(cph_sip_addr_parse(value, &a));
    return a.brackets ? CPH_OK : CPH_E_MALFORMED;
}

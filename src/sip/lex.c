#include "msg_int.h"

#include <string.h>

#include "ciphony/base_text.h"

#define MARK (C_TOKEN | C_WORD | C_UNRESERVED)

/* clang-format off */
const uint16_t sip_class_of[256] = {
    ['0' ... '9'] = C_DIGIT | C_HEX | MARK,
    ['A' ... 'F'] = C_ALPHA | C_HEX | MARK,
    ['G' ... 'Z'] = C_ALPHA | MARK,
    ['a' ... 'f'] = C_ALPHA | C_HEX | MARK,
    ['g' ... 'z'] = C_ALPHA | MARK,
    ['-'] = MARK, ['_'] = MARK, ['.'] = MARK, ['!'] = MARK, ['~'] = MARK, ['*'] = MARK, ['\''] = MARK,
    ['('] = C_WORD | C_UNRESERVED | C_CUT,
    [')'] = C_WORD | C_UNRESERVED | C_CUT,
    ['%'] = C_TOKEN | C_WORD,
    ['`'] = C_TOKEN | C_WORD,
    ['<'] = C_WORD | C_CUT, ['>'] = C_WORD | C_CUT, ['\\'] = C_WORD | C_CUT, ['"'] = C_WORD | C_CUT,
    ['{'] = C_WORD, ['}'] = C_WORD,
    ['['] = C_WORD | C_PARAM | C_HNV,
    [']'] = C_WORD | C_PARAM | C_HNV,
    ['+'] = C_TOKEN | C_WORD | C_RESERVED | C_USER | C_PASS | C_PARAM | C_HNV,
    [':'] = C_WORD | C_RESERVED | C_PARAM | C_HNV,
    ['/'] = C_WORD | C_RESERVED | C_USER | C_PARAM | C_HNV,
    ['?'] = C_WORD | C_RESERVED | C_USER | C_HNV,
    ['&'] = C_RESERVED | C_USER | C_PASS | C_PARAM,
    ['$'] = C_RESERVED | C_USER | C_PASS | C_PARAM | C_HNV,
    ['='] = C_RESERVED | C_USER | C_PASS,
    [','] = C_RESERVED | C_USER | C_PASS | C_CUT,
    [';'] = C_RESERVED | C_USER,
    ['@'] = C_RESERVED,
};
/* clang-format on */

bool sip_all(struct cph_span s, unsigned classes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!sip_is(s.p[i], classes))
            return false;
    }
    return s.n > 0;
}

int sip_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool sip_all_escaped(struct cph_span s, unsigned classes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (sip_is(s.p[i], classes))
            continue;
        if (s.p[i] != '%' || s.n - i < 3 || !sip_is(s.p[i + 1], C_HEX) ||
            !sip_is(s.p[i + 2], C_HEX))
            return false;
        i += 2;
    }
    return true;
}

bool sip_utf8_ok(struct cph_span s, bool lone_cont_ok)
{
    while (s.n > 0) {
        size_t n = cph_utf8_char(s);

        if (n == 0 && lone_cont_ok && s.p[0] >= 0x80 && s.p[0] <= 0xbf)
            n = 1;
        if (n == 0)
            return false;
        s = cph_span_from(s, n);
    }
    return true;
}

/* Only what prints in ASCII, as nearly all of SIP. No way out early, so that it goes in steps of
 * many bytes. */
static bool all_print(struct cph_span s)
{
    uint8_t other = 0;

    for (size_t i = 0; i < s.n; i++)
        other |= (uint8_t)(s.p[i] - 0x20) > 0x5e;
    return !other;
}

bool sip_text_ok(struct cph_span s, bool lone_cont_ok)
{
    if (all_print(s))
        return true;
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    }
    return sip_utf8_ok(s, lone_cont_ok);
}

/* ---- lexer ----------------------------------------------------------------------------------- */

void sip_skip_ws(struct cph_span *s)
{
    size_t i = 0;

    while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t'))
        i++;
    *s = cph_span_from(*s, i);
}

bool sip_take(struct cph_span *s, char c)
{
    if (s->n == 0 || s->p[0] != (uint8_t)c)
        return false;
    *s = cph_span_from(*s, 1);
    return true;
}

bool sip_take_sep(struct cph_span *s, char c)
{
    struct cph_span at = *s;

    sip_skip_ws(&at);
    if (!sip_take(&at, c))
        return false;
    sip_skip_ws(&at);
    *s = at;
    return true;
}

struct cph_span sip_take_while(struct cph_span *s, unsigned classes)
{
    struct cph_span taken;
    size_t i = 0;

    while (i < s->n && sip_is(s->p[i], classes))
        i++;
    taken = cph_span_head(*s, i);
    *s = cph_span_from(*s, i);
    return taken;
}

struct cph_span sip_between(struct cph_span from, struct cph_span rest)
{
    return cph_span_head(from, from.n - rest.n);
}

bool sip_take_quoted(struct cph_span *s, struct cph_span *quoted)
{
    size_t i = 1;

    if (s->n < 2 || s->p[0] != '"')
        return false;
    for (; i < s->n && s->p[i] != '"'; i++) {
        uint8_t c = s->p[i];

        if (c == '\\') { /* quoted-pair: any of ASCII but CR and LF */
            if (++i == s->n || s->p[i] >= 0x80 || s->p[i] == '\r' || s->p[i] == '\n')
                return false;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    if (i >= s->n)
        return false;
    *quoted = cph_span_head(*s, i + 1);
    if (!sip_utf8_ok(*quoted, false))
        return false;
    *s = cph_span_from(*s, i + 1);
    return true;
}

bool sip_take_comment(struct cph_span *s, struct cph_span *comment)
{
    size_t depth = 0, i = 0;

    if (s->n == 0 || s->p[0] != '(')
        return false;
    for (; i < s->n; i++) {
        uint8_t c = s->p[i];

        if (c == '\\') {
            if (++i == s->n || s->p[i] >= 0x80)
                return false;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            break;
        }
    }
    if (i >= s->n)
        return false;
    *comment = cph_span_head(*s, i + 1);
    *s = cph_span_from(*s, i + 1);
    return sip_text_ok(*comment, false);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool is_crlf(struct cph_span s, size_t i)
{
    return i + 1 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n';
}

static bool is_wsp(struct cph_span s, size_t i)
{
    return i < s.n && (s.p[i] == ' ' || s.p[i] == '\t');
}

/* The next CR or LF from i on, or the end. */
static size_t find_break(struct cph_span s, size_t i)
{
    const uint8_t *lf = memchr(s.p + i, '\n', s.n - i), *end = lf ? lf : s.p + s.n, *cr;

    cr = memchr(s.p + i, '\r', (size_t)(end - (s.p + i)));
    return (size_t)((cr ? cr : end) - s.p);
}

cph_err sip_take_line(struct cph_span *rest, struct cph_span *line)
{
    bool bare = false;
    size_t i = 0;

    if (is_crlf(*rest, 0)) {
        *line = cph_span_head(*rest, 2);
        *rest = cph_span_from(*rest, 2);
        return CPH_E_AGAIN;
    }
    while (i < rest->n) {
        i = find_break(*rest, i);
        if (is_crlf(*rest, i)) {
            i += 2;
            if (!is_wsp(*rest, i)) {
                *line = cph_span_head(*rest, i);
                *rest = cph_span_from(*rest, i);
                return bare ? CPH_E_MALFORMED : CPH_OK;
            }
        }
        if (i < rest->n && (rest->p[i] == '\r' || rest->p[i] == '\n'))
            bare = !is_crlf(*rest, i) || bare;
        if (!is_crlf(*rest, i))
            i++;
    }
    *line = *rest;
    *rest = (struct cph_span){ 0 };
    return CPH_E_TRUNCATED;
}

cph_err sip_line_split(struct cph_span line, struct cph_span *name, struct cph_span *raw)
{
    struct cph_span s = line, v;

    *name = sip_take_while(&s, C_TOKEN);
    sip_skip_ws(&s);
    if (name->n == 0 || !sip_take(&s, ':'))
        return CPH_E_MALFORMED;
    v = s;
    while (v.n > 0 && (is_wsp(v, 0) || v.p[0] == '\r' || v.p[0] == '\n'))
        v = cph_span_from(v, 1);
    while (v.n > 0 && (is_wsp(v, v.n - 1) || v.p[v.n - 1] == '\r' || v.p[v.n - 1] == '\n'))
        v.n--;
    *raw = v;
    return CPH_OK;
}

struct cph_span sip_cut_value(struct cph_span *rest, bool comments)
{
    size_t i = 0, depth = 0;
    bool quoted = false, angle = false;
    struct cph_span value;

    for (; i < rest->n; i++) {
        uint8_t c = rest->p[i];

        if (!sip_is(c, C_CUT)) /* nearly always */
            continue;
        if (c == '\\' && (quoted || depth > 0)) {
            i++;
        } else if (depth == 0 && !angle && c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            continue;
        } else if (comments && !angle && c == '(') {
            depth++;
        } else if (comments && depth > 0 && c == ')') {
            depth--;
        } else if (depth == 0 && (c == '<' || c == '>')) {
            angle = c == '<';
        } else if (c == ',' && depth == 0 && !angle) {
            break;
        }
    }
    if (i > rest->n) /* a backslash was the last byte */
        i = rest->n;
    value = cph_span_head(*rest, i);
    if (i < rest->n) /* behind a comma there is one more, if only an empty one */
        *rest = (struct cph_span){ rest->p + i + 1, rest->n - i - 1 };
    else
        *rest = (struct cph_span){ 0 };
    return cph_span_trim(value);
}

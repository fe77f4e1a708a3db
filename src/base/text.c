#include "ciphony/base_text.h"

#include <string.h>

bool cph_span_eq(struct cph_span a, struct cph_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); /* public bytes only */
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool cph_span_ieq(struct cph_span a, struct cph_span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

cph_err cph_span_u64(struct cph_span s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return CPH_E_MALFORMED;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return CPH_E_MALFORMED;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return CPH_E_MALFORMED;
    }
    *out = v;
    return CPH_OK;
}

cph_err cph_span_u32(struct cph_span s, uint32_t *out)
{
    uint64_t v;

    CPH_TRY(cph_span_u64(s, &v));
    if (v > UINT32_MAX)
        return CPH_E_MALFORMED;
    *out = (uint32_t)v;
    return CPH_OK;
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct cph_span cph_span_trim(struct cph_span s)
{
    while (s.n > 0 && blank(s.p[0]))
        s = cph_span_from(s, 1);
    while (s.n > 0 && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool cph_span_starts(struct cph_span s, const char *prefix)
{
    struct cph_span p = cph_span_of(prefix);

    return s.n >= p.n && cph_span_eq(cph_span_head(s, p.n), p);
}

size_t cph_span_find(struct cph_span s, uint8_t c)
{
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

struct cph_span cph_span_cut(struct cph_span *rest, uint8_t c)
{
    size_t at = cph_span_find(*rest, c);
    struct cph_span head = cph_span_head(*rest, at);

    *rest = cph_span_from(*rest, at + 1);
    return head;
}

struct cph_span cph_span_word(struct cph_span *rest)
{
    struct cph_span s = *rest;
    size_t n = 0;

    while (s.n > 0 && blank(s.p[0]))
        s = cph_span_from(s, 1);
    while (n < s.n && !blank(s.p[n]))
        n++;
    *rest = cph_span_from(s, n);
    return cph_span_head(s, n);
}

bool cph_span_line(struct cph_span *rest, struct cph_span *line)
{
    if (rest->n == 0)
        return false;
    *line = cph_span_cut(rest, '\n');
    if (line->n > 0 && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

cph_err cph_span_cstr(struct cph_span s, char *buf, size_t cap)
{
    if (s.n >= cap)
        return CPH_E_NOSPACE;
    if (cph_span_find(s, 0) != s.n)
        return CPH_E_MALFORMED;
    if (s.n > 0)
        memcpy(buf, s.p, s.n);
    buf[s.n] = '\0';
    return CPH_OK;
}

/* ---- hex and base64: arithmetic, not tables, so that keys leave no trace in the cache -------- */

/* All ones when lo <= c <= hi, else 0; all below 256, so bit 31 of a difference is its sign. */
static unsigned in_range(unsigned c, unsigned lo, unsigned hi)
{
    return (((c - lo) | (hi - c)) >> 31) - 1;
}

/* ---- text of others -------------------------------------------------------------------------- */

size_t cph_utf8_char(struct cph_span s)
{
    uint8_t c = s.n > 0 ? s.p[0] : 0xff, low = 0x80, high = 0xbf;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || n > s.n)
        return 0;
    if (c == 0xe0) /* no longer form than needed, no surrogates, nothing above U+10FFFF */
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (s.p[i] < low || s.p[i] > high)
            return 0;
    return n;
}

/* Does this character do something to the others? */
static bool steers(struct cph_span s, size_t n)
{
    const uint8_t *p = s.p;

    if (n == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    if (n == 2)
        return p[0] == 0xc2 && p[1] <= 0x9f; /* C1 */
    if (n != 3 || p[0] != 0xe2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
           (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

char *cph_text_clean(struct cph_span text, char *out, size_t cap)
{
    size_t n = 0;

    while (text.n > 0) {
        size_t take = cph_utf8_char(text);
        bool bad = take == 0 || steers(text, take);

        if (n + (bad ? 1 : take) >= cap)
            break;
        if (bad)
            out[n++] = '?';
        else
            memmove(out + n, text.p, take);
        n += bad ? 0 : take;
        text = cph_span_from(text, take ? take : 1);
    }
    out[n] = '\0';
    return out;
}

void cph_hex(struct cph_span s, char *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned hi = s.p[i] >> 4, lo = s.p[i] & 15U;

        *out++ = (char)('0' + hi + (in_range(hi, 10, 15) & ('a' - '0' - 10)));
        *out++ = (char)('0' + lo + (in_range(lo, 10, 15) & ('a' - '0' - 10)));
    }
    *out = '\0';
}

/* value of a hex digit, or bit 8 set */
static unsigned unhex_digit(unsigned c)
{
    unsigned num = in_range(c, '0', '9'), up = in_range(c, 'A', 'F'), low = in_range(c, 'a', 'f');

    return (num & (c - '0')) | (up & (c - 'A' + 10)) | (low & (c - 'a' + 10)) |
           (~(num | up | low) & 256U);
}

cph_err cph_unhex(struct cph_span s, uint8_t *out, size_t cap, size_t *n)
{
    unsigned bad = 0;

    if (s.n % 2 != 0)
        return CPH_E_MALFORMED;
    if (s.n / 2 > cap)
        return CPH_E_NOSPACE;
    for (size_t i = 0; i < s.n / 2; i++) {
        unsigned hi = unhex_digit(s.p[2 * i]), lo = unhex_digit(s.p[2 * i + 1]);

        bad |= (hi | lo) & 256U;
        out[i] = (uint8_t)(hi << 4 | (lo & 15U));
    }
    if (bad) {
        cph_wipe(out, s.n / 2);
        return CPH_E_MALFORMED;
    }
    *n = s.n / 2;
    return CPH_OK;
}

static char base64_char(unsigned v)
{
    unsigned c = 0;

    c |= in_range(v, 0, 25) & (v + 'A');
    c |= in_range(v, 26, 51) & (v - 26 + 'a');
    c |= in_range(v, 52, 61) & (v - 52 + '0');
    c |= in_range(v, 62, 62) & '+';
    c |= in_range(v, 63, 63) & '/';
    return (char)c;
}

void cph_base64(struct cph_span s, char *out)
{
    for (size_t i = 0; i < s.n; i += 3) {
        size_t have = s.n - i < 3 ? s.n - i : 3;
        unsigned v = (unsigned)s.p[i] << 16;

        v |= have > 1 ? (unsigned)s.p[i + 1] << 8 : 0;
        v |= have > 2 ? (unsigned)s.p[i + 2] : 0;
        *out++ = base64_char(v >> 18 & 63);
        *out++ = base64_char(v >> 12 & 63);
        *out++ = have > 1 ? base64_char(v >> 6 & 63) : '=';
        *out++ = have > 2 ? base64_char(v & 63) : '=';
    }
    *out = '\0';
}

/* value of a base64 character, or bit 8 set */
static unsigned unbase64_char(unsigned c)
{
    unsigned up = in_range(c, 'A', 'Z'), low = in_range(c, 'a', 'z'), num = in_range(c, '0', '9');
    unsigned plus = in_range(c, '+', '+'), slash = in_range(c, '/', '/');

    return (up & (c - 'A')) | (low & (c - 'a' + 26)) | (num & (c - '0' + 52)) | (plus & 62U) |
           (slash & 63U) | (~(up | low | num | plus | slash) & 256U);
}

cph_err cph_unbase64(struct cph_span s, bool pad_optional, uint8_t *out, size_t cap, size_t *n)
{
    size_t pad = 0, len = s.n, m = 0;
    unsigned bad = 0, acc = 0, bits = 0;

    while (pad < 2 && len > 0 && s.p[len - 1] == '=') {
        pad++;
        len--;
    }
    if (len % 4 == 1 || (pad > 0 && s.n % 4 != 0) || (pad == 0 && len % 4 != 0 && !pad_optional))
        return CPH_E_MALFORMED;
    if (len * 3 / 4 > cap)
        return CPH_E_NOSPACE;
    for (size_t i = 0; i < len; i++) {
        unsigned v = unbase64_char(s.p[i]);

        bad |= v & 256U;
        acc = acc << 6 | (v & 63U);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[m++] = (uint8_t)(acc >> bits);
        }
        acc &= (1U << bits) - 1;
    }
    bad |= acc; /* RFC 4648 3.5: unused bits are zero */
    if (bad) {
        cph_wipe(out, m);
        return CPH_E_MALFORMED;
    }
    *n = m;
    return CPH_OK;
}

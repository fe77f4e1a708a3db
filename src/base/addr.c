#include "ciphony/base_addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

cph_err cph_addr_parse_ip(struct cph_span ip, struct cph_addr *out)
{
    char text[INET6_ADDRSTRLEN];
    struct cph_addr a = { 0 };

    if (cph_span_cstr(ip, text, sizeof text) != CPH_OK)
        return CPH_E_MALFORMED;
    if (inet_pton(AF_INET, text, a.ip) == 1)
        a.family = CPH_AF_V4;
    else if (inet_pton(AF_INET6, text, a.ip) == 1)
        a.family = CPH_AF_V6;
    else
        return CPH_E_MALFORMED;
    *out = a;
    return CPH_OK;
}

static cph_err parse_port(struct cph_span text, uint16_t *out)
{
    uint32_t port;

    CPH_TRY(cph_span_u32(text, &port));
    if (port > UINT16_MAX)
        return CPH_E_MALFORMED;
    *out = (uint16_t)port;
    return CPH_OK;
}

cph_err cph_addr_parse(struct cph_span text, struct cph_addr *out)
{
    struct cph_span rest = text, ip;
    struct cph_addr a;
    uint16_t port = 0;

    if (cph_span_starts(text, "[")) {
        rest = cph_span_from(text, 1);
        if (cph_span_find(rest, ']') == rest.n)
            return CPH_E_MALFORMED;
        ip = cph_span_cut(&rest, ']');
        if (rest.n > 0 && rest.p[0] != ':')
            return CPH_E_MALFORMED;
        if (rest.n > 0)
            CPH_TRY(parse_port(cph_span_from(rest, 1), &port));
    } else {
        ip = cph_span_cut(&rest, ':');
        if (ip.n < text.n) {
            if (cph_span_find(rest, ':') != rest.n) { /* a second colon: IPv6 without brackets */
                ip = text;
            } else {
                CPH_TRY(parse_port(rest, &port));
            }
        }
    }
    CPH_TRY(cph_addr_parse_ip(ip, &a));
    a.port = port;
    *out = a;
    return CPH_OK;
}

static char *put_number(char *to, unsigned v)
{
    char digits[10];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

/* What inet_ntop() says, several times as fast: every message has such addresses. */
static char *put_v4(char *to, const uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        to = put_number(to, ip[i]);
        *to++ = i < 3 ? '.' : '\0';
    }
    return to - 1;
}

const char *cph_addr_ip(const struct cph_addr *a, char out[CPH_ADDR_TEXT])
{
    if (a->family == CPH_AF_V4)
        (void)put_v4(out, a->ip);
    else if (a->family == CPH_AF_NONE || !inet_ntop(AF_INET6, a->ip, out, CPH_ADDR_TEXT))
        (void)snprintf(out, CPH_ADDR_TEXT, "-");
    return out;
}

const char *cph_addr_text(const struct cph_addr *a, char out[CPH_ADDR_TEXT])
{
    char ip[CPH_ADDR_TEXT], *end;
    bool v6 = a->family == CPH_AF_V6;

    if (a->family == CPH_AF_V4) {
        end = put_v4(out, a->ip);
        *end++ = ':';
        *put_number(end, a->port) = '\0';
        return out;
    }
    (void)snprintf(out, CPH_ADDR_TEXT, "%s%.45s%s:%u", v6 ? "[" : "", cph_addr_ip(a, ip),
                   v6 ? "]" : "", (unsigned)a->port);
    return out;
}

bool cph_addr_ip_eq(const struct cph_addr *a, const struct cph_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0; /* public bytes */
}

bool cph_addr_eq(const struct cph_addr *a, const struct cph_addr *b)
{
    return cph_addr_ip_eq(a, b) && a->port == b->port;
}

struct cph_span cph_addr_host(const struct cph_addr *a)
{
    return (struct cph_span){ a->ip, a->family == CPH_AF_V6 ? 8 : a->family == CPH_AF_V4 ? 4 : 0 };
}

bool cph_addr_host_eq(const struct cph_addr *a, const struct cph_addr *b)
{
    return a->family == b->family && cph_span_eq(cph_addr_host(a), cph_addr_host(b));
}

bool cph_addr_is_any(const struct cph_addr *a)
{
    struct cph_addr zero = { .family = a->family };

    return cph_addr_ip_eq(a, &zero);
}

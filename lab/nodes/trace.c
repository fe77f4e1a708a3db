#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"

#include "ciphony/base_text.h"
#include "ciphony/rtp.h"

enum { HOSTS = 12, NAME = 16, COLUMN = 22, STEPS = 4000 };

struct lab_trace {
    struct lab_packet *packet;
    size_t n, cap;
    struct {
        struct cph_addr ip;
        char name[NAME];
    } host[HOSTS];
    unsigned hosts;
};

cph_err lab_trace_new(struct lab_trace **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? CPH_OK : CPH_E_NOMEM;
}

void lab_trace_free(struct lab_trace *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): only takes the const away */
        free((void *)(uintptr_t)t->packet[i].bytes.p);
    free(t->packet);
    free(t);
}

static unsigned host_of(const struct lab_trace *t, const struct cph_addr *a)
{
    unsigned i = 0;

    while (i < t->hosts && !cph_addr_ip_eq(&t->host[i].ip, a))
        i++;
    return i;
}

void lab_trace_name(struct lab_trace *t, const char *ip, const char *name)
{
    struct cph_addr addr;
    unsigned i;

    if (cph_addr_parse_ip(cph_span_of(ip), &addr) != CPH_OK)
        return;
    i = host_of(t, &addr);
    if (i == HOSTS)
        return;
    t->host[i].ip = addr;
    (void)snprintf(t->host[i].name, NAME, "%s", name);
    t->hosts += i == t->hosts;
}

static enum lab_kind kind_of(const struct cph_addr *to, const struct cph_addr *from,
                             struct cph_span b, bool stream)
{
    if (stream || to->port == 5060 || to->port == 5061 || from->port == 5060)
        return LAB_SIP;
    if (b.n < 12 || to->port == LAB_TRUNK_PORT)
        return LAB_OTHER;
    if (b.p[0] >= 20 && b.p[0] <= 63)
        return LAB_KEYING; /* RFC 7983: DTLS */
    if ((b.p[0] & 0xf0) == 0x10)
        return LAB_KEYING;           /* RFC 6189 5: ZRTP */
    if (memcmp(b.p, "mkv2", 4) == 0) /* public */
        return LAB_KEYING;           /* MIKEYv2 in band */
    if ((b.p[0] & 0xc0) == 0x80)
        return b.p[1] >= 192 && b.p[1] <= 223 ? LAB_RTCP : LAB_RTP;
    return LAB_OTHER;
}

cph_err lab_trace_add(struct lab_trace *t, const struct cph_addr *from, const struct cph_addr *to,
                      struct cph_span bytes, bool stream, bool swallowed, cph_time now)
{
    uint8_t *copy;

    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;
        struct lab_packet *more = realloc(t->packet, cap * sizeof *more);

        if (!more)
            return CPH_E_NOMEM;
        t->packet = more;
        t->cap = cap;
    }
    copy = malloc(bytes.n + 1);
    if (!copy)
        return CPH_E_NOMEM;
    memcpy(copy, bytes.p, bytes.n);
    t->packet[t->n++] = (struct lab_packet){
        .at = now,
        .from = *from,
        .to = *to,
        .stream = stream,
        .swallowed = swallowed,
        .kind = kind_of(to, from, bytes, stream),
        .bytes = { copy, bytes.n },
    };
    return CPH_OK; /* cppcheck-suppress memleak ; the record owns it, lab_trace_free frees it */
}

size_t lab_trace_count(const struct lab_trace *t)
{
    return t->n;
}

const struct lab_packet *lab_trace_at(const struct lab_trace *t, size_t i)
{
    return &t->packet[i];
}

size_t lab_trace_kind(const struct lab_trace *t, enum lab_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += t->packet[i].kind == kind;
    return n;
}

/* ---- the ladder ------------------------------------------------------------------------------ */

unsigned lab_trace_hosts(const struct lab_trace *t)
{
    return t->hosts;
}

const char *lab_trace_host(const struct lab_trace *t, unsigned i)
{
    return t->host[i].name;
}

static bool body_has(struct cph_span b, const char *what)
{
    return memmem(b.p, b.n, what, strlen(what)) != NULL;
}

static void say_sip(struct cph_span b, char out[72])
{
    struct cph_span rest = b, line, word;
    const char *keys = "";

    if (!cph_span_line(&rest, &line))
        return;
    if (cph_span_starts(line, "SIP/2.0 "))
        line = cph_span_from(line, 8);
    else {
        word = cph_span_word(&line);
        line = word;
    }
    if (body_has(b, "application/pkcs7-mime; smime"))
        keys = " (sealed)";
    else if (body_has(b, "\nm=audio"))
        keys = body_has(b, "\na=crypto:")        ? " (SDP: keys by SDES)"
               : body_has(b, "\na=fingerprint:") ? " (SDP: fingerprint)"
               : body_has(b, "\na=key-mgmt:")    ? " (SDP: MIKEY)"
               : body_has(b, "\na=zrtp-hash:")   ? " (SDP: zrtp-hash)"
               : body_has(b, "\na=sdp-dh:")      ? " (SDP: shares)"
               : body_has(b, "\na=mikeyv2")      ? " (SDP: MIKEYv2)"
                                                 : " (SDP: no keys)";
    (void)snprintf(out, 72, "%.*s%s", CPH_SPAN_ARG(cph_span_head(line, 40)), keys);
}

static const char *dtls_word(struct cph_span b)
{
    uint8_t type = b.p[0];

    if (type == 20)
        return "ChangeCipherSpec";
    if (type == 21)
        return "Alert";
    if (type != 22)
        return "record";
    if (b.n < 14 || b.p[3] != 0 || b.p[4] != 0)
        return "Finished (encrypted)";
    switch (b.p[13]) {
    case 1:
        return "ClientHello";
    case 2:
        return "ServerHello";
    case 3:
        return "HelloVerifyRequest";
    case 11:
        return "Certificate";
    case 12:
        return "ServerKeyExchange";
    case 13:
        return "CertificateRequest";
    case 14:
        return "ServerHelloDone";
    case 15:
        return "CertificateVerify";
    case 16:
        return "ClientKeyExchange";
    default:
        return "handshake";
    }
}

static void say(const struct lab_packet *p, char out[72])
{
    const struct cph_span b = p->bytes;

    switch (p->kind) {
    case LAB_SIP:
        if (p->stream)
            (void)snprintf(out, 72, "SIP over TLS or TCP");
        else
            say_sip(b, out);
        break;
    case LAB_RTP:
        (void)snprintf(out, 72, "media");
        break;
    case LAB_RTCP:
        (void)snprintf(out, 72, "RTCP");
        break;
    case LAB_KEYING:
        if (b.p[0] >= 20)
            (void)snprintf(out, 72, "DTLS %s", dtls_word(b));
        else if (b.n >= 24)
            (void)snprintf(out, 72, "ZRTP %.8s", (const char *)b.p + 16);
        break;
    case LAB_OTHER:
        if (p->to.port == LAB_TRUNK_PORT)
            (void)snprintf(out, 72, "PCM in clear");
        else
            (void)snprintf(out, 72, "%zu bytes", b.n);
        break;
    }
    if (p->swallowed)
        (void)strncat(out, " x", 71 - strlen(out));
}

static bool alike(const struct lab_step *a, const struct lab_step *b)
{
    return a->from == b->from && a->to == b->to && strcmp(a->text, b->text) == 0;
}

size_t lab_trace_ladder(const struct lab_trace *t, struct lab_step *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n && n < cap; i++) {
        const struct lab_packet *p = &t->packet[i];
        struct lab_step s = {
            .at = p->at, .from = host_of(t, &p->from), .to = host_of(t, &p->to), .n = 1
        };
        size_t k = n;

        if (s.from >= t->hosts || s.to >= t->hosts || s.from == s.to)
            continue;
        say(p, s.text);
        s.flows = p->kind == LAB_RTP || p->kind == LAB_RTCP || p->to.port == LAB_TRUNK_PORT;
        /* Flows alternate: look back over all of them for one to join. */
        while (s.flows && k > 0 && out[k - 1].flows && !alike(&out[k - 1], &s))
            k--;
        if (s.flows && k > 0 && alike(&out[k - 1], &s))
            out[k - 1].n++;
        else
            out[n++] = s;
    }
    return n;
}

static void print_step(const struct lab_trace *t, const struct lab_step *s, struct cph_wr *out)
{
    char line[HOSTS * COLUMN + 2], label[96];
    unsigned a = s->from < s->to ? s->from : s->to, b = s->from < s->to ? s->to : s->from;
    size_t left = a * COLUMN + 1, right = b * COLUMN - 1, room = right - left + 1, n, at;

    memset(line, ' ', sizeof line);
    for (unsigned h = 0; h < t->hosts; h++)
        line[(size_t)h * COLUMN] = '|';
    for (size_t i = left; i <= right; i++)
        line[i] = '-';
    line[s->from < s->to ? right : left] = s->from < s->to ? '>' : '<';
    if (s->n > 1)
        (void)snprintf(label, sizeof label, " %s x%u ", s->text, s->n);
    else
        (void)snprintf(label, sizeof label, " %s ", s->text);
    n = strlen(label);
    if (n <= room - 2) {
        memcpy(line + left + (room - n) / 2, label, n);
        label[0] = '\0';
    }
    at = t->hosts * COLUMN - COLUMN + 1;
    while (at > 0 && line[at - 1] == ' ')
        at--;
    cph_wr_fmt(out, "%9.1f ms  %.*s%s\n", (double)s->at / 1000, (int)at, line, label);
}

void lab_trace_print(const struct lab_trace *t, struct cph_wr *out)
{
    struct lab_step *step = calloc(STEPS, sizeof *step);
    size_t n;

    if (!step)
        return;
    n = lab_trace_ladder(t, step, STEPS);
    cph_wr_text(out, "              ");
    for (unsigned h = 0; h < t->hosts; h++)
        cph_wr_fmt(out, "%-*s", COLUMN, t->host[h].name);
    cph_wr_text(out, "\n");
    for (size_t i = 0; i < n; i++)
        print_step(t, &step[i], out);
    free(step);
}

#include "gate.h"

#include <string.h>

#include "ciphony/base_text.h"

cph_err lab_gate_init(struct lab_gate *g, const char *inside, cph_time way)
{
    *g = (struct lab_gate){ .way = way };
    return cph_addr_parse_ip(cph_span_of(inside), &g->inside);
}

static bool is_answer(const struct lab_packet *p)
{
    return !p->stream && cph_span_starts(p->bytes, "SIP/2.0 200") &&
           memmem(p->bytes.p, p->bytes.n, " INVITE\r\n", 9) != NULL;
}

bool lab_gate_pass(void *ctx, const struct lab_packet *p)
{
    struct lab_gate *g = ctx;
    bool pass = g->open_at && p->at >= g->open_at;

    if (p->kind == LAB_SIP) {
        if (!g->open_at && cph_addr_ip_eq(&p->to, &g->inside) && is_answer(p))
            g->open_at = p->at + g->way;
        return true;
    }
    g->passed += pass;
    g->dropped += !pass;
    return pass;
}

bool lab_looks_like_rtp(struct cph_span p)
{
    size_t head;
    unsigned pt;

    if (p.n < 12 || (p.p[0] & 0xc0) != 0x80)
        return false;
    pt = p.p[1] & 0x7fU;
    if (pt >= 72 && pt <= 76)
        return p.p[1] >= 200 && p.p[1] <= 204; /* RTCP */
    head = 12 + 4U * (p.p[0] & 15U);
    if (p.p[0] & 0x10) {
        if (p.n < head + 4)
            return false;
        head += 4 + 4U * (unsigned)(p.p[head + 2] << 8 | p.p[head + 3]);
    }
    return p.n >= head;
}

bool lab_inspector_pass(void *ctx, const struct lab_packet *p)
{
    struct lab_inspector *i = ctx;
    bool pass = p->kind == LAB_SIP || lab_looks_like_rtp(p->bytes);

    i->passed += pass && p->kind != LAB_SIP;
    i->dropped += !pass;
    return pass;
}

#include "ciphony/rtp.h"

#include <string.h>

/*
 * RFC 3550 6.4: every packet of a compound begins with
 *
 *   V=2 P count(5) | type | length in words without this one
 */
cph_err cph_rtcp_next(struct cph_span *rest, struct cph_rtcp *out)
{
    struct cph_rd rd = cph_rd_open(*rest);
    struct cph_rtcp v = { 0 };
    uint8_t b0;

    if (rest->n == 0)
        return CPH_E_AGAIN;
    b0 = cph_rd_u8(&rd);
    v.type = cph_rd_u8(&rd);
    v.body = cph_rd_span(&rd, (size_t)4 * cph_rd_u16(&rd));
    if (rd.failed)
        return CPH_E_TRUNCATED;
    if (b0 >> 6 != 2)
        return CPH_E_MALFORMED;
    v.count = b0 & 0x1f;
    if (b0 & 0x20) {
        /* RFC 3550 6.4.1: padding is whole words and stands in the last packet only */
        if (v.body.n == 0 || rd.n > 0)
            return CPH_E_MALFORMED;
        v.padding = v.body.p[v.body.n - 1];
        if (v.padding == 0 || v.padding % 4 != 0 || v.padding > v.body.n)
            return CPH_E_MALFORMED;
        v.body.n -= v.padding;
    }
    *rest = cph_rd_rest(&rd);
    *out = v;
    return CPH_OK;
}

cph_err cph_rtcp_check(struct cph_span compound)
{
    struct cph_rtcp p;
    cph_err err = CPH_OK;

    if (compound.n < 4)
        return CPH_E_TRUNCATED;
    /* RFC 3550 6.1 MUST: the first packet is a report; A.2: and is not padded unless it is also the
     * last, which cph_rtcp_next() sees to */
    if (compound.p[1] != CPH_RTCP_SR && compound.p[1] != CPH_RTCP_RR)
        return CPH_E_MALFORMED;
    while (err == CPH_OK)
        err = cph_rtcp_next(&compound, &p);
    return err == CPH_E_AGAIN ? CPH_OK : err;
}

/* Write the header; returns the mark from which close_packet() fills in the length. */
static size_t open_packet(struct cph_wr *wr, unsigned count, uint8_t type)
{
    size_t start = cph_wr_mark(wr);

    cph_wr_u8(wr, (uint8_t)(0x80 | count));
    cph_wr_u8(wr, type);
    cph_wr_u16(wr, 0);
    return start;
}

static cph_err close_packet(struct cph_wr *wr, size_t start)
{
    size_t words = (cph_wr_mark(wr) - start) / 4;

    if (words > 0x10000)
        return CPH_E_ARGUMENT;
    cph_wr_patch16(wr, start + 2, (uint16_t)(words - 1));
    return cph_wr_end(wr);
}

static void pad_to_word(struct cph_wr *wr, size_t start)
{
    cph_wr_zero(wr, (4 - (cph_wr_mark(wr) - start) % 4) % 4);
}

/* ---- SR and RR ------------------------------------------------------------------------------- */

static int32_t signed24(uint32_t v)
{
    return v & 0x800000 ? (int32_t)v - 0x1000000 : (int32_t)v;
}

/* RFC 3550 6.4.1: SSRC | fraction(8) lost(24) | highest sequence | jitter | LSR | DLSR */
static struct cph_rtcp_block take_block(struct cph_rd *rd)
{
    struct cph_rtcp_block b = { .ssrc = cph_rd_u32(rd) };

    b.fraction_lost = cph_rd_u8(rd);
    b.lost = signed24(cph_rd_u24(rd));
    b.highest_seq = cph_rd_u32(rd);
    b.jitter = cph_rd_u32(rd);
    b.lsr = cph_rd_u32(rd);
    b.dlsr = cph_rd_u32(rd);
    return b;
}

static void put_block(struct cph_wr *wr, const struct cph_rtcp_block *b)
{
    cph_wr_u32(wr, b->ssrc);
    cph_wr_u8(wr, b->fraction_lost);
    cph_wr_u24(wr, (uint32_t)b->lost & 0xffffff);
    cph_wr_u32(wr, b->highest_seq);
    cph_wr_u32(wr, b->jitter);
    cph_wr_u32(wr, b->lsr);
    cph_wr_u32(wr, b->dlsr);
}

cph_err cph_rtcp_report_parse(const struct cph_rtcp *p, struct cph_rtcp_report *out)
{
    struct cph_rd rd = cph_rd_open(p->body);
    struct cph_rtcp_report v = { .sender = p->type == CPH_RTCP_SR, .n_block = p->count };

    if (p->type != CPH_RTCP_SR && p->type != CPH_RTCP_RR)
        return CPH_E_ARGUMENT;
    v.ssrc = cph_rd_u32(&rd);
    if (v.sender) {
        v.ntp = cph_rd_u64(&rd);
        v.rtp_ts = cph_rd_u32(&rd);
        v.packets = cph_rd_u32(&rd);
        v.octets = cph_rd_u32(&rd);
    }
    for (unsigned i = 0; i < v.n_block; i++)
        v.block[i] = take_block(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    v.rest = cph_rd_rest(&rd);
    *out = v;
    return CPH_OK;
}

cph_err cph_rtcp_report_build(const struct cph_rtcp_report *r, struct cph_wr *wr)
{
    size_t start;

    if (r->n_block > CPH_RTCP_MAX_BLOCK || r->rest.n % 4 != 0)
        return CPH_E_ARGUMENT;
    for (unsigned i = 0; i < r->n_block; i++)
        if (r->block[i].lost < -0x800000 || r->block[i].lost > 0x7fffff)
            return CPH_E_ARGUMENT;
    start = open_packet(wr, r->n_block, r->sender ? CPH_RTCP_SR : CPH_RTCP_RR);
    cph_wr_u32(wr, r->ssrc);
    if (r->sender) {
        cph_wr_u64(wr, r->ntp);
        cph_wr_u32(wr, r->rtp_ts);
        cph_wr_u32(wr, r->packets);
        cph_wr_u32(wr, r->octets);
    }
    for (unsigned i = 0; i < r->n_block; i++)
        put_block(wr, &r->block[i]);
    cph_wr_span(wr, r->rest);
    return close_packet(wr, start);
}

/* ---- SDES ------------------------------------------------------------------------------------ */

/*
 * RFC 3550 6.5: a chunk is an SSRC and items (type, length, text), ended by one zero byte or more,
 * up to the next word of the packet.
 */
static void take_chunk(struct cph_rd *rd, struct cph_rtcp_sdes_item *items, size_t cap, size_t *n)
{
    uint32_t ssrc = cph_rd_u32(rd);

    while (!rd->failed) {
        struct cph_rtcp_sdes_item it = { .ssrc = ssrc, .type = cph_rd_u8(rd) };

        if (it.type == CPH_RTCP_SDES_END) {
            (void)cph_rd_span(rd, rd->n % 4); /* the packet is whole words */
            return;
        }
        it.text = cph_rd_span(rd, cph_rd_u8(rd));
        if (rd->failed)
            return;
        if (*n < cap)
            items[*n] = it;
        ++*n;
    }
}

cph_err cph_rtcp_sdes_parse(const struct cph_rtcp *p, struct cph_rtcp_sdes_item *items, size_t cap,
                            size_t *n)
{
    struct cph_rd rd = cph_rd_open(p->body);
    size_t total = 0;

    if (p->type != CPH_RTCP_SDES)
        return CPH_E_ARGUMENT;
    for (unsigned i = 0; i < p->count; i++)
        take_chunk(&rd, items, cap, &total);
    CPH_TRY(cph_rd_end(&rd));
    *n = total;
    return CPH_OK;
}

cph_err cph_rtcp_sdes_build(const struct cph_rtcp_sdes_item *items, size_t n, struct cph_wr *wr)
{
    size_t chunks = 0, start;

    for (size_t i = 0; i < n; i++) {
        if (items[i].type == CPH_RTCP_SDES_END || items[i].text.n > UINT8_MAX)
            return CPH_E_ARGUMENT;
        chunks += i == 0 || items[i].ssrc != items[i - 1].ssrc;
    }
    if (chunks > CPH_RTCP_MAX_BLOCK)
        return CPH_E_ARGUMENT;
    start = open_packet(wr, (unsigned)chunks, CPH_RTCP_SDES);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || items[i].ssrc != items[i - 1].ssrc)
            cph_wr_u32(wr, items[i].ssrc);
        cph_wr_u8(wr, items[i].type);
        cph_wr_u8(wr, (uint8_t)items[i].text.n);
        cph_wr_span(wr, items[i].text);
        if (i + 1 == n || items[i + 1].ssrc != items[i].ssrc) {
            cph_wr_u8(wr, CPH_RTCP_SDES_END);
            pad_to_word(wr, start);
        }
    }
    return close_packet(wr, start);
}

/* ---- BYE, APP, feedback ---------------------------------------------------------------------- */

cph_err cph_rtcp_bye_parse(const struct cph_rtcp *p, struct cph_rtcp_bye *out)
{
    struct cph_rd rd = cph_rd_open(p->body);
    struct cph_rtcp_bye v = { .n = p->count };

    if (p->type != CPH_RTCP_BYE)
        return CPH_E_ARGUMENT;
    for (unsigned i = 0; i < v.n; i++)
        v.ssrc[i] = cph_rd_u32(&rd);
    if (cph_rd_more(&rd))
        v.reason = cph_rd_span(&rd, cph_rd_u8(&rd));
    if (rd.failed)
        return CPH_E_TRUNCATED;
    if (rd.n > 3) /* what is left pads the reason to a word */
        return CPH_E_TRAILING;
    *out = v;
    return CPH_OK;
}

cph_err cph_rtcp_bye_build(const struct cph_rtcp_bye *b, struct cph_wr *wr)
{
    size_t start;

    if (b->n > CPH_RTCP_MAX_BLOCK || b->reason.n > UINT8_MAX)
        return CPH_E_ARGUMENT;
    start = open_packet(wr, b->n, CPH_RTCP_BYE);
    for (unsigned i = 0; i < b->n; i++)
        cph_wr_u32(wr, b->ssrc[i]);
    if (b->reason.n > 0) {
        cph_wr_u8(wr, (uint8_t)b->reason.n);
        cph_wr_span(wr, b->reason);
        pad_to_word(wr, start);
    }
    return close_packet(wr, start);
}

cph_err cph_rtcp_app_parse(const struct cph_rtcp *p, struct cph_rtcp_app *out)
{
    struct cph_rd rd = cph_rd_open(p->body);
    struct cph_rtcp_app v = { .subtype = p->count };
    struct cph_span name;

    if (p->type != CPH_RTCP_APP)
        return CPH_E_ARGUMENT;
    v.ssrc = cph_rd_u32(&rd);
    name = cph_rd_span(&rd, sizeof v.name);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    memcpy(v.name, name.p, sizeof v.name);
    v.data = cph_rd_rest(&rd);
    *out = v;
    return CPH_OK;
}

cph_err cph_rtcp_app_build(const struct cph_rtcp_app *a, struct cph_wr *wr)
{
    size_t start;

    if (a->subtype > 31 || a->data.n % 4 != 0)
        return CPH_E_ARGUMENT;
    start = open_packet(wr, a->subtype, CPH_RTCP_APP);
    cph_wr_u32(wr, a->ssrc);
    cph_wr_bytes(wr, a->name, sizeof a->name);
    cph_wr_span(wr, a->data);
    return close_packet(wr, start);
}

static bool is_feedback(uint8_t type)
{
    return type == CPH_RTCP_RTPFB || type == CPH_RTCP_PSFB;
}

cph_err cph_rtcp_feedback_parse(const struct cph_rtcp *p, struct cph_rtcp_feedback *out)
{
    struct cph_rd rd = cph_rd_open(p->body);
    struct cph_rtcp_feedback v = { .type = p->type, .format = p->count };

    if (!is_feedback(p->type))
        return CPH_E_ARGUMENT;
    v.sender = cph_rd_u32(&rd);
    v.media = cph_rd_u32(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    v.fci = cph_rd_rest(&rd);
    *out = v;
    return CPH_OK;
}

cph_err cph_rtcp_feedback_build(const struct cph_rtcp_feedback *f, struct cph_wr *wr)
{
    size_t start;

    if (!is_feedback(f->type) || f->format > 31 || f->fci.n % 4 != 0)
        return CPH_E_ARGUMENT;
    start = open_packet(wr, f->format, f->type);
    cph_wr_u32(wr, f->sender);
    cph_wr_u32(wr, f->media);
    cph_wr_span(wr, f->fci);
    return close_packet(wr, start);
}

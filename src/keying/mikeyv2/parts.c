/* Messages that come in parts: the datagrams of inband.c. */
#include "parts_int.h"

#include <stdlib.h>
#include <string.h>

cph_err v2_part_parse(struct cph_span packet, struct v2_part *out)
{
    struct cph_rd rd = cph_rd_open(packet);

    (void)cph_rd_u32(&rd);
    out->index = cph_rd_u8(&rd);
    out->count = cph_rd_u8(&rd);
    out->total = cph_rd_u16(&rd);
    out->spi_i = cph_rd_u64(&rd);
    out->bytes = cph_rd_rest(&rd);
    CPH_TRY(cph_rd_end(&rd));
    if (out->count == 0 || out->count > V2_PARTS || out->index >= out->count ||
        out->total > V2_MSG_MAX || out->bytes.n == 0 || out->bytes.n > out->total)
        return CPH_E_MALFORMED;
    return out->count > 1 || out->bytes.n == out->total ? CPH_OK : CPH_E_MALFORMED;
}

void v2_gather_drop(struct v2_gather *g)
{
    if (g->b)
        cph_free_secret(g->b, g->total);
    memset(g, 0, sizeof *g);
}

/* A part of another message throws away what there was of the one before. All but the last part
 * are of one length. */
static cph_err gather_for(struct v2_gather *g, const struct v2_part *p, size_t n)
{
    if (g->b && g->spi_i == p->spi_i && g->total == p->total && g->count == p->count && g->n == n)
        return CPH_OK;
    v2_gather_drop(g);
    *g = (struct v2_gather){ .spi_i = p->spi_i, .total = p->total, .count = p->count, .n = n };
    g->b = malloc(p->total);
    return g->b ? CPH_OK : CPH_E_NOMEM;
}

/* CPH_E_AGAIN: parts are missing. */
cph_err v2_gather(struct v2_gather *g, const struct v2_part *p)
{
    bool last = p->index + 1 == p->count;
    size_t n = last && p->count > 1 ? (p->total - p->bytes.n) / (p->count - 1U) : p->bytes.n;
    size_t at = n * p->index;

    if (at + p->bytes.n > p->total || (last && at + p->bytes.n != p->total) ||
        (!last && at + p->bytes.n == p->total))
        return CPH_E_MALFORMED;
    CPH_TRY(gather_for(g, p, n));
    memcpy(g->b + at, p->bytes.p, p->bytes.n);
    g->have |= (uint16_t)(1U << p->index);
    return g->have == (1U << p->count) - 1 ? CPH_OK : CPH_E_AGAIN;
}

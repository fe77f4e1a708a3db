#include "ciphony/base_wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_mem.h"

struct cph_rd cph_rd_open(struct cph_span bytes)
{
    return (struct cph_rd){ .p = bytes.p, .n = bytes.n };
}

bool cph_rd_more(const struct cph_rd *rd)
{
    return !rd->failed && rd->n > 0;
}

struct cph_span cph_rd_span(struct cph_rd *rd, size_t n)
{
    struct cph_span s = { rd->p, n };

    if (rd->failed || n > rd->n) {
        rd->failed = true;
        return (struct cph_span){ 0 };
    }
    if (n > 0)
        rd->p += n;
    rd->n -= n;
    return s;
}

static uint64_t rd_uint(struct cph_rd *rd, size_t n)
{
    struct cph_span s = cph_rd_span(rd, n);
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

uint8_t cph_rd_u8(struct cph_rd *rd)
{
    return (uint8_t)rd_uint(rd, 1);
}

uint16_t cph_rd_u16(struct cph_rd *rd)
{
    return (uint16_t)rd_uint(rd, 2);
}

uint32_t cph_rd_u24(struct cph_rd *rd)
{
    return (uint32_t)rd_uint(rd, 3);
}

uint32_t cph_rd_u32(struct cph_rd *rd)
{
    return (uint32_t)rd_uint(rd, 4);
}

uint64_t cph_rd_u48(struct cph_rd *rd)
{
    return rd_uint(rd, 6);
}

uint64_t cph_rd_u64(struct cph_rd *rd)
{
    return rd_uint(rd, 8);
}

struct cph_span cph_rd_rest(struct cph_rd *rd)
{
    return cph_rd_span(rd, rd->n);
}

static struct cph_rd sub(struct cph_rd *rd, size_t n)
{
    struct cph_rd v = cph_rd_open(cph_rd_span(rd, n));

    v.failed = rd->failed;
    return v;
}

struct cph_rd cph_rd_vec8(struct cph_rd *rd)
{
    return sub(rd, cph_rd_u8(rd));
}

struct cph_rd cph_rd_vec16(struct cph_rd *rd)
{
    return sub(rd, cph_rd_u16(rd));
}

cph_err cph_rd_end(const struct cph_rd *rd)
{
    if (rd->failed)
        return CPH_E_TRUNCATED;
    return rd->n > 0 ? CPH_E_TRAILING : CPH_OK;
}

struct cph_wr cph_wr_open(void *buf, size_t cap)
{
    return (struct cph_wr){ .p = buf, .cap = cap };
}

void cph_wr_wipe(struct cph_wr *wr)
{
    cph_wipe(wr->p, wr->top);
    *wr = cph_wr_open(wr->p, wr->cap);
}

/* Room for n more bytes, or NULL and failed for good. */
static uint8_t *room_for(struct cph_wr *wr, size_t n)
{
    uint8_t *at;

    if (wr->failed || n > wr->cap - wr->n) {
        wr->failed = true;
        return NULL;
    }
    at = wr->p + wr->n;
    wr->n += n;
    wr->top = wr->n > wr->top ? wr->n : wr->top;
    return at;
}

static void put_uint(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = n; i > 0; i--, v >>= 8)
        at[i - 1] = (uint8_t)v;
}

static void wr_uint(struct cph_wr *wr, uint64_t v, size_t n)
{
    uint8_t *at = room_for(wr, n);

    if (at)
        put_uint(at, v, n);
}

void cph_wr_u8(struct cph_wr *wr, uint8_t v)
{
    wr_uint(wr, v, 1);
}

void cph_wr_u16(struct cph_wr *wr, uint16_t v)
{
    wr_uint(wr, v, 2);
}

void cph_wr_u24(struct cph_wr *wr, uint32_t v)
{
    wr_uint(wr, v, 3);
}

void cph_wr_u32(struct cph_wr *wr, uint32_t v)
{
    wr_uint(wr, v, 4);
}

void cph_wr_u48(struct cph_wr *wr, uint64_t v)
{
    wr_uint(wr, v, 6);
}

void cph_wr_u64(struct cph_wr *wr, uint64_t v)
{
    wr_uint(wr, v, 8);
}

void cph_wr_bytes(struct cph_wr *wr, const void *p, size_t n)
{
    uint8_t *at = room_for(wr, n);

    if (at && n > 0)
        memcpy(at, p, n);
}

void cph_wr_span(struct cph_wr *wr, struct cph_span bytes)
{
    cph_wr_bytes(wr, bytes.p, bytes.n);
}

void cph_wr_zero(struct cph_wr *wr, size_t n)
{
    uint8_t *at = room_for(wr, n);

    if (at && n > 0)
        memset(at, 0, n);
}

void cph_wr_text(struct cph_wr *wr, const char *text)
{
    cph_wr_bytes(wr, text, strlen(text));
}

void cph_wr_fmt(struct cph_wr *wr, const char *fmt, ...)
{
    size_t left = wr->cap - wr->n;
    va_list ap;
    int n;

    if (wr->failed)
        return;
    va_start(ap, fmt);
    n = vsnprintf((char *)wr->p + wr->n, left, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= left) { /* vsnprintf wants a byte for its NUL */
        wr->failed = true;
        wr->top = wr->cap;
        return;
    }
    wr->n += (size_t)n;
    wr->top = wr->n > wr->top ? wr->n : wr->top;
}

size_t cph_wr_mark(const struct cph_wr *wr)
{
    return wr->n;
}

void cph_wr_patch16(struct cph_wr *wr, size_t mark, uint16_t v)
{
    if (wr->failed || mark > wr->n || wr->n - mark < 2)
        wr->failed = true;
    else
        put_uint(wr->p + mark, v, 2);
}

struct cph_span cph_wr_done(const struct cph_wr *wr)
{
    return (struct cph_span){ wr->p, wr->n };
}

cph_err cph_wr_end(const struct cph_wr *wr)
{
    return wr->failed ? CPH_E_NOSPACE : CPH_OK;
}

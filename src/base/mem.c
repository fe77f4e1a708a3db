#include "ciphony/base_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 4096 };

struct chunk {
    struct chunk *next;
    size_t cap, n;
    max_align_t data[];
};

struct cph_arena {
    struct chunk *chunks; /* newest first */
    size_t limit, used;
};

cph_err cph_arena_new(size_t limit, struct cph_arena **out)
{
    struct cph_arena *a = calloc(1, sizeof *a);

    if (!a)
        return CPH_E_NOMEM;
    a->limit = limit;
    *out = a;
    return CPH_OK;
}

void cph_arena_free(struct cph_arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        cph_wipe(c->data, c->n); /* descriptions with keys and messages with passwords lie here */
        free(c);
    }
    free(a);
}

static struct chunk *add_chunk(struct cph_arena *a, size_t n)
{
    size_t cap = n > ARENA_CHUNK ? n : ARENA_CHUNK;
    struct chunk *c = malloc(sizeof *c + cap);

    if (!c)
        return NULL;
    *c = (struct chunk){ .next = a->chunks, .cap = cap };
    a->chunks = c;
    return c;
}

void *cph_arena_alloc(struct cph_arena *a, size_t n)
{
    const size_t align = sizeof(max_align_t) - 1;
    struct chunk *c = a->chunks;
    void *at;

    if (n > a->limit - a->used || n > SIZE_MAX / 2)
        return NULL;
    n = n ? (n + align) & ~align : align + 1;
    if (!c || n > c->cap - c->n) {
        c = add_chunk(a, n);
        if (!c)
            return NULL;
    }
    at = memset((uint8_t *)c->data + c->n, 0, n);
    c->n += n;
    a->used = n > a->limit - a->used ? a->limit : a->used + n;
    return at;
}

void *cph_arena_array(struct cph_arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return cph_arena_alloc(a, n);
}

struct cph_span cph_arena_copy(struct cph_arena *a, struct cph_span bytes)
{
    uint8_t *p = cph_arena_alloc(a, bytes.n + 1);

    if (!p)
        return (struct cph_span){ 0 };
    if (bytes.n > 0)
        memcpy(p, bytes.p, bytes.n);
    return (struct cph_span){ p, bytes.n };
}

char *cph_arena_fmt(struct cph_arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    text = cph_arena_alloc(a, (size_t)n + 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

void cph_wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}

void cph_free_secret(void *p, size_t n)
{
    if (p)
        cph_wipe(p, n);
    free(p);
}

void cph_secret_wipe(struct cph_secret *s)
{
    cph_wipe(s, sizeof *s);
}

cph_err cph_secret_set(struct cph_secret *s, struct cph_span bytes)
{
    if (bytes.n > sizeof s->b)
        return CPH_E_NOSPACE;
    cph_secret_wipe(s);
    if (bytes.n > 0)
        memcpy(s->b, bytes.p, bytes.n);
    s->n = bytes.n;
    return CPH_OK;
}

struct cph_span cph_secret_span(const struct cph_secret *s)
{
    return (struct cph_span){ s->b, s->n };
}

bool cph_ct_eq(struct cph_span a, struct cph_span b)
{
    uint8_t diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        diff |= (uint8_t)(a.p[i] ^ b.p[i]);
        __asm__ volatile("" : "+r"(diff)); /* keep the loop from ending early */
    }
    return diff == 0;
}

/* Move the bytes to a block of at least need bytes; the old block may have held secrets. */
static cph_err grow(struct cph_buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 1024;
    uint8_t *p;

    while (cap < need)
        cap *= 2;
    p = malloc(cap);
    if (!p)
        return CPH_E_NOMEM;
    if (b->n > 0)
        memcpy(p, b->p + b->start, b->n);
    cph_free_secret(b->p, b->cap);
    b->p = p;
    b->cap = cap;
    b->start = 0;
    return CPH_OK;
}

cph_err cph_buf_put(struct cph_buf *b, struct cph_span bytes)
{
    if (bytes.n > b->limit || b->n > b->limit - bytes.n)
        return CPH_E_LIMIT;
    if (bytes.n == 0)
        return CPH_OK;
    if (bytes.n > b->cap - b->start - b->n) {
        if (b->n + bytes.n <= b->cap) {
            memmove(b->p, b->p + b->start, b->n);
            b->start = 0;
        } else {
            CPH_TRY(grow(b, b->n + bytes.n));
        }
    }
    memcpy(b->p + b->start + b->n, bytes.p, bytes.n);
    b->n += bytes.n;
    return CPH_OK;
}

struct cph_span cph_buf_view(const struct cph_buf *b)
{
    return b->n ? (struct cph_span){ b->p + b->start, b->n } : (struct cph_span){ 0 };
}

void cph_buf_drop(struct cph_buf *b, size_t n)
{
    if (n > b->n)
        n = b->n;
    if (n == 0)
        return;
    cph_wipe(b->p + b->start, n);
    b->start += n;
    b->n -= n;
    if (b->n == 0)
        b->start = 0;
}

void cph_buf_clear(struct cph_buf *b)
{
    cph_free_secret(b->p, b->cap);
    *b = (struct cph_buf){ .limit = b->limit };
}

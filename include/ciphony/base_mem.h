/* Ciphony: arenas, secrets and bounded buffers. */
#ifndef CPH_BASE_MEM_H
#define CPH_BASE_MEM_H

#include "ciphony/base.h"

/* ---- arena: everything parsed from one message lives and dies together ----------------------- */

struct cph_arena;

/** limit is the most bytes the arena ever hands out; past it, allocation gives NULL. */
CPH_API CPH_MUST_CHECK cph_err cph_arena_new(size_t limit, struct cph_arena **out);
CPH_API void cph_arena_free(struct cph_arena *a); /* wipes what it held; NULL is fine */
/** Zeroed, aligned for any type; NULL when out of memory or over the limit. Owned by the arena. */
CPH_API void *cph_arena_alloc(struct cph_arena *a, size_t n);
CPH_API void *cph_arena_array(struct cph_arena *a, size_t count, size_t size); /* checks overflow */
/** A copy of the bytes with a NUL behind them (not counted); .p NULL on failure. */
CPH_API struct cph_span cph_arena_copy(struct cph_arena *a, struct cph_span bytes);
/** NUL-terminated formatted text, NULL on failure. */
CPH_API char *cph_arena_fmt(struct cph_arena *a, const char *fmt, ...) CPH_PRINTF(2, 3);

/* ---- secrets --------------------------------------------------------------------------------- */

enum { CPH_SECRET_MAX = 512 }; /* a 4096-bit shared secret is the largest we keep */

/* Key material, inline, so that a copy is a struct copy and wiping is one call. */
struct cph_secret {
    size_t n;
    uint8_t b[CPH_SECRET_MAX];
};

CPH_API void cph_secret_wipe(struct cph_secret *s);
/** Wipe what was there and copy bytes (not of s itself) in. CPH_E_NOSPACE over CPH_SECRET_MAX: s is
 * as before. */
CPH_API CPH_MUST_CHECK cph_err cph_secret_set(struct cph_secret *s, struct cph_span bytes);
/** A view of the bytes; dies with s. */
CPH_API struct cph_span cph_secret_span(const struct cph_secret *s);
/** Overwrite n bytes in a way the compiler keeps. */
CPH_API void cph_wipe(void *p, size_t n);
/** Wipe and free what malloc or calloc gave; NULL is fine. */
CPH_API void cph_free_secret(void *p, size_t n);
/** Equal in time that depends on the lengths only. Different lengths are unequal. */
CPH_API CPH_MUST_CHECK bool cph_ct_eq(struct cph_span a, struct cph_span b);

#define CPH_SECRET_SCOPED __attribute__((cleanup(cph_secret_wipe))) struct cph_secret

/* ---- a growing byte queue with a bound ------------------------------------------------------- */

/* Zero-initialised plus a limit is a valid empty buffer. */
struct cph_buf {
    uint8_t *p;
    size_t start, n, cap; /* the bytes are p[start .. start + n) */
    size_t limit;         /* most bytes held at once */
};

/** Append; CPH_E_LIMIT over the limit, CPH_E_NOMEM; on error nothing was appended. */
CPH_API CPH_MUST_CHECK cph_err cph_buf_put(struct cph_buf *b, struct cph_span bytes);
/** The bytes held, as a view that dies with the next call on b. */
CPH_API struct cph_span cph_buf_view(const struct cph_buf *b);
/** Drop the first n bytes (n at most b->n); they are wiped. */
CPH_API void cph_buf_drop(struct cph_buf *b, size_t n);
/** Wipe and release; b is empty and usable again, limit kept. */
CPH_API void cph_buf_clear(struct cph_buf *b);

#endif

/* Ciphony: a reader and a writer that fail once and stay failed. */
#ifndef CPH_BASE_WIRE_H
#define CPH_BASE_WIRE_H

#include "ciphony/base.h"

/*
 * Cursor over bytes. After the first failure every read gives zero or an empty span and
 * cph_rd_more() is false, so a parser reads straight on and checks cph_rd_end() once.
 */
struct cph_rd {
    const uint8_t *p;
    size_t n; /* bytes left */
    bool failed;
};

CPH_API struct cph_rd cph_rd_open(struct cph_span bytes);
CPH_API bool cph_rd_more(const struct cph_rd *rd); /* not failed and bytes left */
CPH_API uint8_t cph_rd_u8(struct cph_rd *rd);
CPH_API uint16_t cph_rd_u16(struct cph_rd *rd); /* network byte order, as all below */
CPH_API uint32_t cph_rd_u24(struct cph_rd *rd);
CPH_API uint32_t cph_rd_u32(struct cph_rd *rd);
CPH_API uint64_t cph_rd_u48(struct cph_rd *rd);
CPH_API uint64_t cph_rd_u64(struct cph_rd *rd);
CPH_API struct cph_span cph_rd_span(struct cph_rd *rd, size_t n); /* the next n bytes, as a view */
CPH_API struct cph_span cph_rd_rest(struct cph_rd *rd);           /* all that is left */

/** A cursor of its own over a field with an 8- or 16-bit length in bytes before it. If rd fails,
 *  the new cursor has failed too. */
CPH_API struct cph_rd cph_rd_vec8(struct cph_rd *rd);
CPH_API struct cph_rd cph_rd_vec16(struct cph_rd *rd);

/** CPH_OK if all was read; CPH_E_TRUNCATED after a failed read; CPH_E_TRAILING if bytes are left.
 */
CPH_API CPH_MUST_CHECK cph_err cph_rd_end(const struct cph_rd *rd);

/*
 * Cursor over a caller's buffer. Once something did not fit it stays failed and n no longer moves;
 * check cph_wr_end() once. All integers go out in network byte order.
 */
struct cph_wr {
    uint8_t *p;
    size_t cap;
    size_t n; /* bytes written */
    bool failed;
    size_t top; /* of the buffer, so much was ever written to */
};

CPH_API struct cph_wr cph_wr_open(void *buf, size_t cap);
/** Wipe all that was ever written, also what was taken back; the writer is empty then. */
CPH_API void cph_wr_wipe(struct cph_wr *wr);
CPH_API void cph_wr_u8(struct cph_wr *wr, uint8_t v);
CPH_API void cph_wr_u16(struct cph_wr *wr, uint16_t v);
CPH_API void cph_wr_u24(struct cph_wr *wr, uint32_t v);
CPH_API void cph_wr_u32(struct cph_wr *wr, uint32_t v);
CPH_API void cph_wr_u48(struct cph_wr *wr, uint64_t v);
CPH_API void cph_wr_u64(struct cph_wr *wr, uint64_t v);
CPH_API void cph_wr_span(struct cph_wr *wr, struct cph_span bytes);
CPH_API void cph_wr_bytes(struct cph_wr *wr, const void *p, size_t n);
CPH_API void cph_wr_zero(struct cph_wr *wr, size_t n);
CPH_API void cph_wr_text(struct cph_wr *wr, const char *text); /* without the NUL */
CPH_API void cph_wr_fmt(struct cph_wr *wr, const char *fmt, ...) CPH_PRINTF(2, 3);

/** Remember a place, and fill it in later: mark before writing the u16, patch with its value. */
CPH_API size_t cph_wr_mark(const struct cph_wr *wr);
CPH_API void cph_wr_patch16(struct cph_wr *wr, size_t mark, uint16_t v);

/** What was written so far. */
CPH_API struct cph_span cph_wr_done(const struct cph_wr *wr);
/** CPH_OK, or CPH_E_NOSPACE if anything did not fit. */
CPH_API CPH_MUST_CHECK cph_err cph_wr_end(const struct cph_wr *wr);

#endif

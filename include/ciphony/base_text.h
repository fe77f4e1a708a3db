/* Ciphony: text over spans: numbers, splitting, hex and base64. */
#ifndef CPH_BASE_TEXT_H
#define CPH_BASE_TEXT_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

/** Decimal digits only: no sign, no space, no overflow, nothing behind. CPH_E_MALFORMED otherwise.
 */
CPH_API CPH_MUST_CHECK cph_err cph_span_u32(struct cph_span s, uint32_t *out);
/** The same up to 2^64-1. */
CPH_API CPH_MUST_CHECK cph_err cph_span_u64(struct cph_span s, uint64_t *out);

/** Without spaces and tabs at both ends. */
CPH_API struct cph_span cph_span_trim(struct cph_span s);
/** The tail; empty past the end. */
static inline struct cph_span cph_span_from(struct cph_span s, size_t at)
{
    return at < s.n ? (struct cph_span){ s.p + at, s.n - at } : (struct cph_span){ 0 };
}
/** The first n at most. */
static inline struct cph_span cph_span_head(struct cph_span s, size_t n)
{
    return n < s.n ? (struct cph_span){ s.p, n } : s;
}
CPH_API bool cph_span_starts(struct cph_span s, const char *prefix);
/** Index of the first byte c, or s.n. */
CPH_API size_t cph_span_find(struct cph_span s, uint8_t c);

/** Take what stands before the first c from *rest (which then begins behind c), or all of it. */
CPH_API struct cph_span cph_span_cut(struct cph_span *rest, uint8_t c);
/** Next word between spaces and tabs; empty when there is none. */
CPH_API struct cph_span cph_span_word(struct cph_span *rest);
/** Next line without its CRLF or LF; false when *rest is empty. A bare CR stays in the line. */
CPH_API bool cph_span_line(struct cph_span *rest, struct cph_span *line);

/** NUL-terminated copy into buf; CPH_E_NOSPACE, or CPH_E_MALFORMED if s holds a NUL. */
CPH_API CPH_MUST_CHECK cph_err cph_span_cstr(struct cph_span s, char *buf, size_t cap);

/** Bytes of the well-formed UTF-8 character at the head of s (RFC 3629 4), or 0. */
CPH_API size_t cph_utf8_char(struct cph_span s);
/**
 * NUL-terminated text that cannot steer a terminal: controls (C0, DEL, and C1 in one byte or two),
 * what turns or breaks lines (U+2028, U+2029, the signs of bidirectional text) and bytes that are
 * no UTF-8 become '?'. Cut before the character that does not fit; out may be text.p. Returns out.
 */
CPH_API char *cph_text_clean(struct cph_span text, char *out, size_t cap);

/** Lower-case hex and a NUL: out takes 2 * s.n + 1 bytes. Time does not depend on the bytes. */
CPH_API void cph_hex(struct cph_span s, char *out);
/** Digits of either case; s.n must be even. Bytes written to *n. */
CPH_API CPH_MUST_CHECK cph_err cph_unhex(struct cph_span s, uint8_t *out, size_t cap, size_t *n);

/** Characters base64 needs for n bytes, with padding, without the NUL. RFC 4648 4. */
#define CPH_BASE64_LEN(n) (((n) + 2) / 3 * 4)
/** RFC 4648 4 with padding; writes CPH_BASE64_LEN(s.n) characters and a NUL.
 *  Time does not depend on the bytes. */
CPH_API void cph_base64(struct cph_span s, char *out);
/** Strict: right alphabet, padding exact (or, if pad_optional, absent), unused bits zero. Time
 * depends on the length only, so keys may pass through it. */
CPH_API CPH_MUST_CHECK cph_err cph_unbase64(struct cph_span s, bool pad_optional, uint8_t *out,
                                            size_t cap, size_t *n);

#endif

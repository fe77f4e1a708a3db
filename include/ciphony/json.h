/* Ciphony: JSON. One object per line out, small bounded documents in. */
#ifndef CPH_JSON_H
#define CPH_JSON_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

enum {
    CPH_JSON_MAX = 65536, /* bytes of a document that is read */
    CPH_JSON_DEPTH = 16,  /* objects and arrays inside each other, read or written */
};

/* ---- writing -------------------------------------------------------------------------------- */

/*
 * An object under construction. Calls follow the document: inside an object each has a key, inside
 * an array the key is NULL. The first failure sticks and cph_json_line() reports it. Output is
 * ASCII: everything else, and every control character, is escaped; bytes that are not UTF-8 become
 * U+FFFD.
 */
struct cph_json;

/** An object that is empty. One thread at a time. CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_json_new(struct cph_json **out);
CPH_API void cph_json_free(struct cph_json *j); /* NULL is fine */
CPH_API void cph_json_span(struct cph_json *j, const char *key, struct cph_span text);
CPH_API void cph_json_text(struct cph_json *j, const char *key, const char *text); /* NULL: null */
CPH_API void cph_json_int(struct cph_json *j, const char *key, int64_t v);
CPH_API void cph_json_uint(struct cph_json *j, const char *key, uint64_t v); /* past 2^63: fails */
CPH_API void cph_json_real(struct cph_json *j, const char *key, double v);   /* not finite: null */
CPH_API void cph_json_bool(struct cph_json *j, const char *key, bool v);
CPH_API void cph_json_null(struct cph_json *j, const char *key);
CPH_API void cph_json_object(struct cph_json *j, const char *key); /* until cph_json_close() */
CPH_API void cph_json_array(struct cph_json *j, const char *key);  /* until cph_json_close() */
CPH_API void cph_json_close(struct cph_json *j);
/**
 * Append the object as one line with its LF to out. CPH_E_NOMEM; CPH_E_BUG: a key missing, twice,
 * or in an array, or something is still open; CPH_E_LIMIT: too deep, or out is full.
 */
CPH_API CPH_MUST_CHECK cph_err cph_json_line(const struct cph_json *j, struct cph_buf *out);

/* ---- reading -------------------------------------------------------------------------------- */

struct cph_json_doc;
struct cph_json_value; /* a part of a document; dies with it. NULL is "absent" everywhere below */

enum cph_json_kind {
    CPH_JSON_ABSENT,
    CPH_JSON_NULL,
    CPH_JSON_BOOL,
    CPH_JSON_INT,
    CPH_JSON_REAL,
    CPH_JSON_TEXT,
    CPH_JSON_ARRAY,
    CPH_JSON_OBJECT,
};

/**
 * An object or array, whole, with nothing behind it. CPH_E_MALFORMED (also for a key twice in an
 * object and for \u0000), CPH_E_LIMIT (size, depth), CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_json_parse(struct cph_span text, struct cph_json_doc **out);
CPH_API void cph_json_doc_free(struct cph_json_doc *d); /* NULL is fine */
CPH_API const struct cph_json_value *cph_json_root(const struct cph_json_doc *d);
CPH_API enum cph_json_kind cph_json_kind(const struct cph_json_value *v);
CPH_API size_t cph_json_count(const struct cph_json_value *v); /* of an array or object, else 0 */
/** NULL if the object has no such key, or it is no object. */
CPH_API const struct cph_json_value *cph_json_get(const struct cph_json_value *object,
                                                  const char *key);
/** NULL past the end, or if it is no array. */
CPH_API const struct cph_json_value *cph_json_at(const struct cph_json_value *array, size_t i);
/* CPH_E_MALFORMED when the value is absent or of another kind; *out is then untouched. */

/** UTF-8, without a NUL; lives as long as the document. */
CPH_API CPH_MUST_CHECK cph_err cph_json_as_text(const struct cph_json_value *v,
                                                struct cph_span *out);
/** A number written without fraction and exponent. */
CPH_API CPH_MUST_CHECK cph_err cph_json_as_int(const struct cph_json_value *v, int64_t *out);
/** Any number. */
CPH_API CPH_MUST_CHECK cph_err cph_json_as_real(const struct cph_json_value *v, double *out);
/** true or false, no number. */
CPH_API CPH_MUST_CHECK cph_err cph_json_as_bool(const struct cph_json_value *v, bool *out);

#endif

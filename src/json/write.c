#include "ciphony/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

struct cph_json {
    json_t *open[CPH_JSON_DEPTH]; /* open[0] is the document and owns the others */
    size_t depth;
    cph_err err; /* the first failure */
};

static void fail(struct cph_json *j, cph_err err)
{
    if (j->err == CPH_OK)
        j->err = err;
}

cph_err cph_json_new(struct cph_json **out)
{
    struct cph_json *j = calloc(1, sizeof *j);

    if (!j)
        return CPH_E_NOMEM;
    j->open[0] = json_object();
    if (!j->open[0]) {
        free(j);
        return CPH_E_NOMEM;
    }
    j->depth = 1;
    *out = j;
    return CPH_OK;
}

void cph_json_free(struct cph_json *j)
{
    if (!j)
        return;
    json_decref(j->open[0]);
    free(j);
}

/* Takes v over; NULL means that making it failed. */
static void add(struct cph_json *j, const char *key, json_t *v)
{
    json_t *in = j->open[j->depth - 1];
    int bad;

    if (!v)
        fail(j, CPH_E_NOMEM);
    else if (json_is_object(in) ? !key || json_object_get(in, key) : key != NULL)
        fail(j, CPH_E_BUG);
    if (j->err) {
        json_decref(v);
        return;
    }
    bad = json_is_object(in) ? json_object_set_new(in, key, v) : json_array_append_new(in, v);
    if (bad) /* a key that is not UTF-8 is our own mistake, but looks the same */
        fail(j, CPH_E_NOMEM);
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char replacement[] = "\xef\xbf\xbd";

static json_t *text_of(struct cph_span s)
{
    char *clean = malloc(s.n * (sizeof replacement - 1) + 1);
    size_t n = 0;
    json_t *v;

    if (!clean)
        return NULL;
    while (s.n > 0) {
        size_t take = cph_utf8_char(s);

        if (take > 0)
            memcpy(clean + n, s.p, take);
        else
            memcpy(clean + n, replacement, sizeof replacement - 1);
        n += take > 0 ? take : sizeof replacement - 1;
        s.p += take > 0 ? take : 1;
        s.n -= take > 0 ? take : 1;
    }
    v = json_stringn_nocheck(clean, n);
    free(clean);
    return v;
}

void cph_json_span(struct cph_json *j, const char *key, struct cph_span text)
{
    if (text.n > CPH_JSON_MAX)
        fail(j, CPH_E_LIMIT);
    else
        add(j, key, text_of(text));
}

void cph_json_text(struct cph_json *j, const char *key, const char *text)
{
    if (text)
        cph_json_span(j, key, cph_span_of(text));
    else
        cph_json_null(j, key);
}

/* ---- the rest -------------------------------------------------------------------------------- */

void cph_json_int(struct cph_json *j, const char *key, int64_t v)
{
    add(j, key, json_integer(v));
}

void cph_json_uint(struct cph_json *j, const char *key, uint64_t v)
{
    if (v > INT64_MAX)
        fail(j, CPH_E_BUG);
    else
        add(j, key, json_integer((int64_t)v));
}

void cph_json_real(struct cph_json *j, const char *key, double v)
{
    add(j, key, isfinite(v) ? json_real(v) : json_null());
}

void cph_json_bool(struct cph_json *j, const char *key, bool v)
{
    add(j, key, json_boolean(v));
}

void cph_json_null(struct cph_json *j, const char *key)
{
    add(j, key, json_null());
}

static void open_inside(struct cph_json *j, const char *key, json_t *v)
{
    if (j->depth == CPH_JSON_DEPTH) {
        fail(j, CPH_E_LIMIT);
        json_decref(v);
        return;
    }
    add(j, key, v);
    if (j->err == CPH_OK)
        j->open[j->depth++] = v;
}

void cph_json_object(struct cph_json *j, const char *key)
{
    open_inside(j, key, json_object());
}

void cph_json_array(struct cph_json *j, const char *key)
{
    open_inside(j, key, json_array());
}

void cph_json_close(struct cph_json *j)
{
    if (j->err)
        return;
    if (j->depth == 1)
        fail(j, CPH_E_BUG);
    else
        j->depth--;
}

cph_err cph_json_line(const struct cph_json *j, struct cph_buf *out)
{
    cph_err err;
    char *line;
    size_t n;

    CPH_TRY(j->err);
    if (j->depth != 1)
        return CPH_E_BUG;
    line = json_dumps(j->open[0], JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!line)
        return CPH_E_NOMEM;
    n = strlen(line);
    line[n] = '\n'; /* in the place of the NUL */
    err = cph_buf_put(out, (struct cph_span){ (const uint8_t *)line, n + 1 });
    free(line);
    return err;
}

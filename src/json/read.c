#include "ciphony/json.h"

#include <jansson.h>
#include <stdlib.h>

struct cph_json_doc {
    json_t *root;
};

/* A value is the library's; the incomplete type keeps its header out of ours. */
static const json_t *in(const struct cph_json_value *v)
{
    return (const json_t *)(const void *)v;
}

static const struct cph_json_value *out_of(const json_t *v)
{
    return (const struct cph_json_value *)(const void *)v;
}

/* The library allows 2048 levels; look before it does. Brackets inside strings do not count. */
static cph_err check_depth(struct cph_span s)
{
    size_t depth = 0;
    bool string = false;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > CPH_JSON_DEPTH)
                return CPH_E_LIMIT;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return CPH_OK;
}

cph_err cph_json_parse(struct cph_span text, struct cph_json_doc **out)
{
    struct cph_json_doc *d;
    json_error_t why;
    cph_err err;

    if (text.n > CPH_JSON_MAX)
        return CPH_E_LIMIT;
    CPH_TRY(check_depth(text));
    d = calloc(1, sizeof *d);
    if (!d)
        return CPH_E_NOMEM;
    d->root = text.n ? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why)
                     : NULL;
    if (d->root) {
        *out = d;
        return CPH_OK;
    }
    err = text.n && json_error_code(&why) == json_error_out_of_memory ? CPH_E_NOMEM
                                                                      : CPH_E_MALFORMED;
    free(d);
    return err;
}

void cph_json_doc_free(struct cph_json_doc *d)
{
    if (!d)
        return;
    json_decref(d->root);
    free(d);
}

const struct cph_json_value *cph_json_root(const struct cph_json_doc *d)
{
    return out_of(d->root);
}

enum cph_json_kind cph_json_kind(const struct cph_json_value *v)
{
    if (!v)
        return CPH_JSON_ABSENT;
    switch (json_typeof(in(v))) {
    case JSON_OBJECT:
        return CPH_JSON_OBJECT;
    case JSON_ARRAY:
        return CPH_JSON_ARRAY;
    case JSON_STRING:
        return CPH_JSON_TEXT;
    case JSON_INTEGER:
        return CPH_JSON_INT;
    case JSON_REAL:
        return CPH_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return CPH_JSON_BOOL;
    case JSON_NULL:
        return CPH_JSON_NULL;
    }
    return CPH_JSON_ABSENT;
}

size_t cph_json_count(const struct cph_json_value *v)
{
    return json_object_size(in(v)) + json_array_size(in(v)); /* each is 0 for the other kind */
}

const struct cph_json_value *cph_json_get(const struct cph_json_value *object, const char *key)
{
    return out_of(json_object_get(in(object), key));
}

const struct cph_json_value *cph_json_at(const struct cph_json_value *array, size_t i)
{
    return out_of(json_array_get(in(array), i));
}

cph_err cph_json_as_text(const struct cph_json_value *v, struct cph_span *out)
{
    if (!json_is_string(in(v)))
        return CPH_E_MALFORMED;
    *out = (struct cph_span){ (const uint8_t *)json_string_value(in(v)),
                              json_string_length(in(v)) };
    return CPH_OK;
}

cph_err cph_json_as_int(const struct cph_json_value *v, int64_t *out)
{
    if (!json_is_integer(in(v)))
        return CPH_E_MALFORMED;
    *out = json_integer_value(in(v));
    return CPH_OK;
}

cph_err cph_json_as_real(const struct cph_json_value *v, double *out)
{
    if (!json_is_number(in(v)))
        return CPH_E_MALFORMED;
    *out = json_number_value(in(v));
    return CPH_OK;
}

cph_err cph_json_as_bool(const struct cph_json_value *v, bool *out)
{
    if (!json_is_boolean(in(v)))
        return CPH_E_MALFORMED;
    *out = json_is_true(in(v));
    return CPH_OK;
}

/* What is read can be walked; its text can be written again and read again to the same. */
#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void write_again(struct cph_span text)
{
    struct cph_buf line = { .limit = 1 << 20 };
    struct cph_json_doc *d;
    struct cph_json *j;
    struct cph_span back;

    if (cph_json_new(&j) != CPH_OK)
        return;
    cph_json_span(j, "t", text);
    if (cph_json_line(j, &line) == CPH_OK && line.n <= CPH_JSON_MAX) {
        if (cph_json_parse(cph_buf_view(&line), &d) != CPH_OK)
            abort();
        if (cph_json_as_text(cph_json_get(cph_json_root(d), "t"), &back) != CPH_OK ||
            !cph_span_eq(back, text))
            abort();
        cph_json_doc_free(d);
    }
    cph_buf_clear(&line);
    cph_json_free(j);
}

static void walk(const struct cph_json_value *v)
{
    struct cph_span text;

    if (cph_json_as_text(v, &text) == CPH_OK)
        write_again(text);
    if (cph_json_kind(v) == CPH_JSON_ARRAY)
        for (size_t i = 0; i < cph_json_count(v); i++)
            walk(cph_json_at(v, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_span in = { data, n };
    struct cph_buf line = { .limit = 1 << 20 };
    struct cph_json_doc *d;
    struct cph_json *j;

    if (cph_json_parse(in, &d) == CPH_OK) {
        walk(cph_json_root(d));
        cph_json_doc_free(d);
    }
    if (cph_json_new(&j) != CPH_OK) /* any bytes at all make a document that can be read */
        return 0;
    cph_json_span(j, "raw", in);
    if (cph_json_line(j, &line) == CPH_OK && n < 1000) {
        if (cph_json_parse(cph_buf_view(&line), &d) == CPH_OK)
            cph_json_doc_free(d);
        else if (cph_span_find(in, 0) == n)
            abort();
    }
    cph_buf_clear(&line);
    cph_json_free(j);
    return 0;
}

#include "support.h"

#include <ctype.h>
#include <stdlib.h>

enum { MAX_FIELDS = 64 };

struct vectors {
    char *text; /* the whole file */
    char *at;   /* the first line not read */
    size_t n;   /* fields of this record */
    size_t records;
    char *name[MAX_FIELDS];
    char *value[MAX_FIELDS];
    uint8_t *bytes[MAX_FIELDS];
    size_t n_bytes[MAX_FIELDS];
};

struct vectors *vectors_open(const char *path)
{
    const char *root = getenv("CPH_VECTORS");
    char full[4096];
    struct vectors *v = calloc(1, sizeof *v);
    FILE *f;
    long n;

    assert_non_null(v);
    (void)snprintf(full, sizeof full, "%s/%s", root ? root : "tests/vectors", path);
    f = fopen(full, "rb");
    if (!f)
        fail_msg("no vector file %s", full);
    (void)fseek(f, 0, SEEK_END);
    n = ftell(f);
    assert_true(n >= 0);
    rewind(f);
    v->text = calloc(1, (size_t)n + 2);
    assert_non_null(v->text);
    assert_int_equal(fread(v->text, 1, (size_t)n, f), (size_t)n);
    (void)fclose(f);
    v->at = v->text;
    return v;
}

static void forget_record(struct vectors *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->bytes[i]);
        v->bytes[i] = NULL;
    }
    v->n = 0;
}

static void add_line(struct vectors *v, char *line)
{
    char *colon;

    if (line[0] == ' ') { /* the value of the line before goes on */
        char *end;

        assert_true(v->n > 0);
        end = v->value[v->n - 1] + strlen(v->value[v->n - 1]);
        memmove(end, line, strlen(line) + 1);
        return;
    }
    colon = strchr(line, ':');
    if (!colon)
        fail_msg("vector line without a colon: %s", line);
    assert_true(v->n < MAX_FIELDS);
    *colon = '\0';
    v->name[v->n] = line;
    for (colon++; *colon == ' '; colon++)
        ;
    v->value[v->n++] = colon;
}

bool vectors_next(struct vectors *v)
{
    forget_record(v);
    while (*v->at) {
        char *line = v->at;
        size_t n = strcspn(line, "\n");

        v->at = line + n + (line[n] == '\n');
        line[n] = '\0';
        if (line[0] == '#')
            continue;
        if (line[0] != '\0')
            add_line(v, line);
        else if (v->n > 0)
            break;
    }
    if (v->n > 0 && v->records++ == 0 && !vectors_text(v, "source"))
        fail_msg("a vector with no source is not a vector");
    return v->n > 0;
}

static size_t index_of(struct vectors *v, const char *name)
{
    size_t i = 0;

    while (i < v->n && strcmp(v->name[i], name) != 0)
        i++;
    return i;
}

const char *vectors_text(struct vectors *v, const char *name)
{
    size_t i = index_of(v, name);

    return i < v->n ? v->value[i] : NULL;
}

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a' + 10);
}

struct cph_span vectors_hex(struct vectors *v, const char *name)
{
    size_t i = index_of(v, name), n = 0;

    if (i == v->n)
        fail_msg("vector has no field %s", name);
    if (!v->bytes[i]) {
        v->bytes[i] = malloc(strlen(v->value[i]) / 2 + 1);
        assert_non_null(v->bytes[i]);
        for (const char *p = v->value[i]; *p; p++) {
            if (isspace((unsigned char)*p))
                continue;
            assert_true(isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]));
            v->bytes[i][n++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
            p++;
        }
        v->n_bytes[i] = n;
    }
    return (struct cph_span){ v->bytes[i], v->n_bytes[i] };
}

void vectors_close(struct vectors *v)
{
    forget_record(v);
    free(v->text);
    free(v);
}

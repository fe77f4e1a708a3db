#include "cli_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/json.h"

/* ---- text of others -------------------------------------------------------------------------- */

const char *cli_clean(struct cph_span text, char *out, size_t cap)
{
    return cph_text_clean(text, out, cap);
}

static void say(const char *fmt, va_list ap)
{
    char text[CLI_WHY + 256], clean[sizeof text];

    (void)vsnprintf(text, sizeof text, fmt, ap);
    (void)fprintf(stderr, "ciphony: %s\n", cli_clean(cph_span_of(text), clean, sizeof clean));
}

/* How this process speaks: set once, before a verb runs. */
static bool errors_as_json;

void cli_errors_as_json(bool on)
{
    errors_as_json = on;
}

static void say_json(const char *text)
{
    struct cph_json *j;

    if (cph_json_new(&j) != CPH_OK)
        return;
    cph_json_text(j, "event", "error");
    cph_json_text(j, "why", text);
    (void)!cli_json_print(j); /* it is on stderr, too */
}

void cli_error(const char *fmt, ...)
{
    char text[CLI_WHY + 256];
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    if (!errors_as_json)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say_json(text);
}

void cli_notice(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

cph_err cli_json_print(struct cph_json *j)
{
    struct cph_buf line = { .limit = (size_t)4 * CPH_JSON_MAX };
    cph_err err = cph_json_line(j, &line);

    cph_json_free(j);
    if (err == CPH_OK &&
        (fwrite(cph_buf_view(&line).p, 1, line.n, stdout) != line.n || fflush(stdout) != 0))
        err = CPH_E_IO;
    cph_buf_clear(&line);
    return err;
}

/* ---- slips of the finger --------------------------------------------------------------------- */

enum {
    NEAR_WORD = 31,
    NEAR_ENOUGH = 2
}; /* longer words are not compared; changes that still look meant */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Levenshtein's distance: letters to change, add or drop. */
static unsigned distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned row[NEAR_WORD + 1];

    if (na > NEAR_WORD || nb > NEAR_WORD)
        return NEAR_WORD;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[nb];
}

void cli_near_offer(struct cli_near *n, const char *name)
{
    unsigned d = distance(n->to, name);

    if (d <= NEAR_ENOUGH && d < strlen(name) && (!n->best || d < n->distance)) {
        n->best = name;
        n->distance = d;
    }
}

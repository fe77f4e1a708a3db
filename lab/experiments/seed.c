#include <stdio.h>
#include <string.h>

#include "matrix.h"

#include "ciphony/base_text.h"

static const char data[] =
#include "seed003.inc"
    ;

static void field(struct cph_span *rest, char *out, size_t cap)
{
    struct cph_span f = cph_span_trim(cph_span_cut(rest, '|'));

    (void)snprintf(out, cap, "%.*s", CPH_SPAN_ARG(f));
}

bool lab_said_at(unsigned i, struct lab_said *out)
{
    struct cph_span rest = cph_span_of(data), line;

    while (cph_span_line(&rest, &line)) {
        if (line.n == 0 || line.p[0] == '#' || i-- > 0)
            continue;
        *out = (struct lab_said){ 0 };
        field(&line, out->mechanism, sizeof out->mechanism);
        field(&line, out->experiment, sizeof out->experiment);
        field(&line, out->answer, sizeof out->answer);
        field(&line, out->section, sizeof out->section);
        field(&line, out->reason, sizeof out->reason);
        return true;
    }
    return false;
}

bool lab_said_find(const char *mechanism, const char *experiment, struct lab_said *out)
{
    for (unsigned i = 0; lab_said_at(i, out); i++)
        if (strcmp(out->mechanism, mechanism) == 0 && strcmp(out->experiment, experiment) == 0)
            return true;
    *out = (struct lab_said){ 0 };
    return false;
}

bool lab_said_agrees(const struct lab_said *said, const char *answer)
{
    struct cph_span rest = cph_span_of(said->answer);

    if (rest.n == 0)
        return true;
    while (rest.n)
        if (cph_span_is(cph_span_trim(cph_span_cut(&rest, '/')), answer))
            return true;
    return strcmp(said->answer, answer) == 0; /* "n/a" */
}

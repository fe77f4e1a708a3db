/* A page of docs/ as text. */
#ifndef CPH_TEST_LAB_DOC_H
#define CPH_TEST_LAB_DOC_H

#include "support.h"

#include <stdlib.h>

enum { TEXT = 1 << 20 };

static char *slurp(const char *name)
{
    char path[4096];
    char *text = calloc(1, TEXT);
    FILE *f;

    assert_non_null(getenv("CPH_SOURCE"));
    (void)snprintf(path, sizeof path, "%s/%s", getenv("CPH_SOURCE"), name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, TEXT - 1, f) > 0);
    (void)fclose(f);
    return text;
}

#endif

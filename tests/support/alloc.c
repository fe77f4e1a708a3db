/* Counts, and on request refuses, the allocations of the rooms under test (see
 * support/meson.build). */
#include "support.h"

#include <stdlib.h>

static size_t total,
    countdown; /* countdown 0: never fail; tests are single-threaded where it is set */
static bool armed, tripped;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static bool refuse(void)
{
    total++;
    if (!armed)
        return false;
    if (countdown > 0) {
        countdown--;
        return false;
    }
    tripped = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return refuse() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return refuse() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refuse() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return refuse() ? NULL : __real_strdup(s);
}

size_t test_alloc_count(void)
{
    return total;
}

void test_alloc_ill(size_t n)
{
    armed = true;
    tripped = false;
    countdown = n;
}

bool test_alloc_refused(void)
{
    return tripped;
}

void test_alloc_heal(void)
{
    armed = false;
}

/* Leaks show in the sanitized build, where LeakSanitizer looks at the whole program at its end. */
void test_alloc_fails(cph_err (*fn)(void *arg), void *arg)
{
    for (size_t at = 0;; at++) {
        cph_err err;

        test_alloc_ill(at);
        err = fn(arg);
        test_alloc_heal();
        if (err != CPH_OK && err != CPH_E_NOMEM)
            fail_msg("allocation %zu failing gave %s", at, cph_err_name(err));
        if (!tripped) {
            assert_ok(err);
            return;
        }
    }
}

/* What every test of Ciphony shares. */
#ifndef CPH_TEST_SUPPORT_H
#define CPH_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ciphony/base.h"

/* Same as assert_int_equal, but a failure prints the error's name. */
#define assert_err(expr, want)                                                                     \
    do {                                                                                           \
        cph_err got_err_ = (expr);                                                                 \
        if (got_err_ != (want))                                                                    \
            print_error("%s: %s instead of %s\n", #expr, cph_err_name(got_err_),                   \
                        cph_err_name(want));                                                       \
        assert_int_equal(got_err_, (want));                                                        \
    } while (0)
#define assert_ok(expr) assert_err(expr, CPH_OK)

/* ---- an environment whose randomness is a seed and whose clock stands still ------------------ */

struct test_env {
    struct cph_env env;
    uint64_t state;        /* splitmix64 */
    int64_t wall;          /* seconds; a test may move it */
    unsigned random_fails; /* when 1, the next draw fails; counts down; 0 never */
};

void test_env_init(struct test_env *t, uint64_t seed);
uint64_t test_random(struct test_env *t);

/* ---- allocation failure ---------------------------------------------------------------------- */

/*
 * Run fn(arg) again and again with allocation 0, 1, 2, ... failing, until a run meets no failure.
 * fn returns what the code under test returned and has released all it got. Allowed: CPH_OK and
 * CPH_E_NOMEM; anything else, or memory still held, fails the test.
 */
void test_alloc_fails(cph_err (*fn)(void *arg), void *arg);
/** By hand, where fn cannot be run as a whole: the next n succeed, and what comes after them fails
 * until test_alloc_heal(). Did any fail since? */
void test_alloc_ill(size_t n);
bool test_alloc_refused(void);
void test_alloc_heal(void);
/** Allocations (malloc, calloc, realloc, strdup) made by the rooms since the program began. */
size_t test_alloc_count(void);

/* ---- golden messages ------------------------------------------------------------------------- */

enum { FRAGILE_TRUNCATION = 1, FRAGILE_BIT_FLIP = 2 };

/*
 * Try each truncation and each single-bit flip of a golden message. check gives CPH_OK if it
 * accepts the bytes (which lie in a block of exactly n bytes, so that a sanitizer sees an
 * over-read). must: which kinds must all be refused; the others must only not crash.
 */
void expect_fragile(struct cph_span golden, int must,
                    cph_err (*check)(void *arg, struct cph_span bytes), void *arg);

/* ---- vectors --------------------------------------------------------------------------------- */

/* A file of "name: value" lines; # begins a comment line; a blank line ends a record; a value may
 * go on in lines that begin with a space. The first record must carry "source:". */
struct vectors;
struct vectors *vectors_open(const char *path); /* below tests/vectors; fails the test if absent */
bool vectors_next(struct vectors *v);           /* to the next record */
const char *vectors_text(struct vectors *v, const char *name);    /* NULL if absent */
struct cph_span vectors_hex(struct vectors *v, const char *name); /* owned by v */
void vectors_close(struct vectors *v);

#endif

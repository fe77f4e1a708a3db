/* The environment of a fuzzer that must do the same with the same input: randomness that counts,
 * and a clock that stands. */
#ifndef FUZZ_ENV_H
#define FUZZ_ENV_H

#include "ciphony/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint8_t drawn; /* set it before each run; the byte after it is drawn first */

static inline cph_err draw(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = ++drawn;
    return CPH_OK;
}

static inline int64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

static const struct cph_env env = { .random = draw, .wall = wall };

#endif

/* Randomness of a fuzzer whose seeds answer to what was drawn: the same after the same state. */
#ifndef FUZZ_DICE_H
#define FUZZ_DICE_H

#include "ciphony/base.h"

/* What is added in a step, and where the byte of it is, belong to the corpus: to change them is to
 * change what its files do. */
struct dice {
    uint64_t state, add;
    unsigned shift;
};

static inline cph_err dice_draw(void *ctx, void *buf, size_t n)
{
    struct dice *d = ctx;

    for (size_t i = 0; i < n; i++) {
        d->state = d->state * 6364136223846793005U + d->add;
        ((uint8_t *)buf)[i] = (uint8_t)(d->state >> d->shift);
    }
    return CPH_OK;
}

#endif

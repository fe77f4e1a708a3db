#include "support.h"

#include <stdlib.h>

static cph_err try_copy(struct cph_span bytes, size_t flip_bit, bool flip,
                        cph_err (*check)(void *arg, struct cph_span bytes), void *arg)
{
    uint8_t *copy = malloc(bytes.n ? bytes.n : 1);
    cph_err err;

    assert_non_null(copy);
    if (bytes.n > 0)
        memcpy(copy, bytes.p, bytes.n);
    if (flip)
        copy[flip_bit / 8] ^= (uint8_t)(1U << flip_bit % 8);
    err = check(arg, (struct cph_span){ copy, bytes.n });
    free(copy);
    return err;
}

void expect_fragile(struct cph_span golden, int must,
                    cph_err (*check)(void *arg, struct cph_span bytes), void *arg)
{
    assert_ok(try_copy(golden, 0, false, check, arg));
    for (size_t n = 0; n < golden.n; n++)
        if (try_copy((struct cph_span){ golden.p, n }, 0, false, check, arg) == CPH_OK &&
            (must & FRAGILE_TRUNCATION))
            fail_msg("accepted when cut to %zu of %zu bytes", n, golden.n);
    for (size_t bit = 0; bit < 8 * golden.n; bit++)
        if (try_copy(golden, bit, true, check, arg) == CPH_OK && (must & FRAGILE_BIT_FLIP))
            fail_msg("accepted with bit %zu of byte %zu flipped", bit % 8, bit / 8);
}

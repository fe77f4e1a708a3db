#include "support.h"

uint64_t test_random(struct test_env *t)
{
    uint64_t z = t->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static cph_err fill(void *ctx, void *buf, size_t n)
{
    struct test_env *t = ctx;
    uint8_t *p = buf;

    if (t->random_fails > 0 && --t->random_fails == 0)
        return CPH_E_CRYPTO;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)test_random(t);
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    return ((struct test_env *)ctx)->wall;
}

void test_env_init(struct test_env *t, uint64_t seed)
{
    *t = (struct test_env){ .state = seed, .wall = 1767225600 }; /* 2026-01-01 */
    t->env = (struct cph_env){ .ctx = t, .random = fill, .wall = wall };
}

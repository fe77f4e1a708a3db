/* Does the compiler copy a struct into another one's initialiser whole, with the flags it is given?
 * GCC 12.2 does not with -ftrivial-auto-var-init, at any level: some members stay as that flag left
 * them. meson.build runs this with the flag and does without it where the trial fails. */
#include <string.h>

struct inner {
    const char *name, *unit;
    double value;
};
struct outer {
    char text[240];
    struct inner inner[12];
    struct {
        const char *name;
        char text[24];
    } more[6];
    unsigned n;
};

__attribute__((noinline)) static int differs(const struct outer *a, const struct outer *b)
{
    struct outer copy[2] = { *a, *b };

    __asm__ volatile("" ::"r"(copy) : "memory");
    return memcmp(copy[0].inner, a->inner, sizeof a->inner) != 0 ||
           memcmp(copy[1].inner, b->inner, sizeof b->inner) != 0 || copy[1].n != b->n;
}

int main(void)
{
    static struct outer a, b;

    for (int i = 0; i < 12; i++)
        a.inner[i] = b.inner[i] = (struct inner){ "name", "unit", 1.5 };
    a.n = b.n = 7;
    return differs(&a, &b);
}

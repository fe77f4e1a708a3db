/* Stands in for libFuzzer in ordinary builds: every seed as it is, then fixed mutations of it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED_MAX = 1 << 16, MUTATIONS = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint64_t state = 1;

static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

/* An exact-size copy, so that a sanitizer sees the first byte read past the end. */
static void run_copy(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    memcpy(copy, data, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void mutate_and_run(const uint8_t *data, size_t n)
{
    static uint8_t buf[SEED_MAX];
    size_t cut = n;

    memcpy(buf, data, n);
    for (uint64_t flips = draw() % 4; n > 0 && flips > 0; flips--)
        buf[draw() % n] = (uint8_t)draw();
    if (n > 0 && draw() % 3 == 0)
        cut = draw() % n;
    run_copy(buf, cut);
}

static int run_file(const char *path)
{
    static uint8_t buf[SEED_MAX];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        (void)fprintf(stderr, "cannot open seed %s\n", path);
        return 1;
    }
    n = fread(buf, 1, sizeof buf, f);
    (void)fclose(f);
    run_copy(buf, n);
    for (int i = 0; i < MUTATIONS; i++)
        mutate_and_run(buf, n);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    int seeds = 0, bad = 0;

    if (!dir) {
        (void)fprintf(stderr, "no seeds: %s is not a directory\n",
                      argc > 1 ? argv[1] : "(none given)");
        return 1;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[4096];

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        bad |= run_file(path);
        seeds++;
    }
    (void)closedir(dir);
    if (seeds == 0)
        (void)fprintf(stderr, "no seeds in %s\n", argv[1]);
    return bad || seeds == 0;
}

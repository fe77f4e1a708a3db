/* Is something still in the memory of this process? */
#ifndef CPH_TEST_MEMORY_H
#define CPH_TEST_MEMORY_H

#include <stdio.h>

#include "support.h"

#include "ciphony/base_mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED 1
#endif

enum { TEST_MASK = 0xa5, TEST_NEEDLE = 64 };

/* To be kept where it is looked for, each byte is changed: itself it is no find. */
__attribute__((unused)) static void test_mask(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] ^ TEST_MASK;
}

/** In how many mappings that are written to, all but the stack, the bytes are. The sanitizers keep
 *  what was freed: there, do not ask. tell: what it is, to be printed, or NULL. */
__attribute__((unused)) static unsigned test_in_memory(const uint8_t *masked, size_t n,
                                                       const char *tell)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned found = 0;
    char line[512];

    assert_non_null(maps);
    assert_true(n <= TEST_NEEDLE);
    while (fgets(line, sizeof line, maps)) {
        uint8_t needle[TEST_NEEDLE];
        unsigned long from, to;
        char mode[8];

        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
            mode[1] != 'w' || strstr(line, "[stack]"))
            continue;
        test_mask(needle, masked, n);
        if (memmem((const void *)from, to - from, needle, n)) { // NOLINT
            if (tell)
                print_error("%s is still in %s", tell, line);
            found++;
        }
        cph_wipe(needle, sizeof needle);
    }
    (void)fclose(maps);
    return found;
}

#endif

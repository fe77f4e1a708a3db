/* A home of its own for each test. */
#ifndef CPH_TEST_CLI_HOME_H
#define CPH_TEST_CLI_HOME_H

#include "support.h"

#include <stdlib.h>
#include <unistd.h>

static char home[64];

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(home, sizeof home, "/tmp/ciphony-cli-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_CONFIG_HOME");
    return setenv("HOME", home, 1);
}

static inline int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

#define CLI_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif

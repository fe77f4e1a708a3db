/* The keys of the lab's people, for a group of tests: made before the first and gone after the
 * last. */
#ifndef CPH_TEST_LAB_KEYS_H
#define CPH_TEST_LAB_KEYS_H

#include "support.h"

#include "people.h"

static int open_keys(void **state)
{
    (void)state;
    assert_ok(lab_keys_open());
    return 0;
}

static int close_keys(void **state)
{
    (void)state;
    lab_keys_close();
    return 0;
}

#endif

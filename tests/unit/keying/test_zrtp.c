/* Whole ZRTP exchanges between two engines. */
#include "zrtp_pair.h"

static void two_ends_come_to_the_same_keys_and_sas(void **state)
{
    struct duo d;

    (void)state;
    duo_init(&d, 1);
    duo_call(&d);
    duo_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_come_to_the_same_keys_and_sas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

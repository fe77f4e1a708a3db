#include "support.h"

#include "ciphony/base_tools.h"

enum { N = 500 };

static void timers_come_due_in_order_whatever_was_moved_or_stopped(void **state)
{
    struct test_env t;
    struct cph_timers ts = { 0 };
    struct cph_timer timer[N] = { 0 };
    cph_time last = 0;
    size_t seen = 0, armed = 0;

    (void)state;
    test_env_init(&t, 1);
    assert_true(cph_timers_next(&ts) == CPH_TIME_NEVER);
    for (size_t round = 0; round < 4 * N; round++) {
        struct cph_timer *x = &timer[test_random(&t) % N];

        if (test_random(&t) % 4 == 0)
            cph_timers_stop(&ts, x);
        else
            assert_ok(cph_timers_set(&ts, x, (cph_time)(1 + test_random(&t) % 1000)));
    }
    for (size_t i = 0; i < N; i++)
        armed += timer[i].slot != 0;
    assert_int_equal(armed, ts.n);
    for (struct cph_timer *x; (x = cph_timers_due(&ts, 700)) != NULL; seen++) {
        assert_true(x->at >= last && x->at <= 700);
        last = x->at;
    }
    assert_true(cph_timers_next(&ts) > 700);
    while (cph_timers_due(&ts, 1000))
        seen++;
    assert_int_equal(seen, armed);
    cph_timers_free(&ts);
}

static cph_err map_scenario(void *arg)
{
    struct test_env t;
    struct cph_map m;
    char key[200][4];
    cph_err err;

    (void)arg;
    test_env_init(&t, 2);
    CPH_TRY(cph_map_init(&m, &t.env, 150));
    err = CPH_OK;
    for (size_t i = 0; i < 150 && err == CPH_OK; i++) {
        (void)snprintf(key[i], sizeof key[i], "%zu", i);
        err = cph_map_put(&m, cph_span_of(key[i]), key[i]);
    }
    cph_map_free(&m);
    return err;
}

static void map_finds_what_was_put_and_only_that(void **state)
{
    struct test_env t;
    struct cph_map m;
    char key[200][4];
    size_t at = 0, n = 0;

    (void)state;
    test_env_init(&t, 3);
    assert_ok(cph_map_init(&m, &t.env, 150));
    assert_null(cph_map_get(&m, cph_span_of("1")));
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 150; i++) {
            (void)snprintf(key[i], sizeof key[i], "%zu", i);
            assert_ok(cph_map_put(&m, cph_span_of(key[i]), key[i]));
        }
        assert_err(cph_map_put(&m, cph_span_of("x"), key), CPH_E_LIMIT);
        assert_err(cph_map_put(&m, cph_span_of("7"), key), CPH_E_EXISTS);
        for (size_t i = 0; i < 150; i += 2)
            assert_ptr_equal(cph_map_take(&m, cph_span_of(key[i])), key[i]);
        assert_null(cph_map_take(&m, cph_span_of("0")));
        assert_null(cph_map_get(&m, cph_span_of("0")));
        assert_ptr_equal(cph_map_get(&m, cph_span_of("149")), key[149]);
        for (size_t i = 1; i < 150; i += 2)
            assert_ptr_equal(cph_map_take(&m, cph_span_of(key[i])), key[i]);
        assert_int_equal(m.n, 0);
    }
    assert_ok(cph_map_put(&m, (struct cph_span){ 0 }, key));
    assert_ok(cph_map_put(&m, cph_span_of("a"), key));
    assert_ptr_equal(cph_map_get(&m, (struct cph_span){ 0 }), key);
    while (cph_map_each(&m, &at))
        n++;
    assert_int_equal(n, 2);
    cph_map_free(&m);
    test_alloc_fails(map_scenario, NULL);
}

static void siphash_of_its_paper(void **state)
{
    uint8_t in[15];

    (void)state;
    for (uint8_t i = 0; i < 15; i++)
        in[i] = i;
    /* Aumasson, Bernstein: SipHash, appendix A */
    assert_true(cph_siphash(0x0706050403020100, 0x0f0e0d0c0b0a0908, (struct cph_span){ in, 15 }) ==
                0xa129ca6149be45e5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_come_due_in_order_whatever_was_moved_or_stopped),
        cmocka_unit_test(map_finds_what_was_put_and_only_that),
        cmocka_unit_test(siphash_of_its_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

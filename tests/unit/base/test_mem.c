#include "support.h"

#include "ciphony/base_mem.h"

static void arena_hands_out_zeroed_memory_up_to_its_limit(void **state)
{
    struct cph_arena *a;
    uint8_t *p;

    (void)state;
    assert_ok(cph_arena_new(10000, &a));
    p = cph_arena_alloc(a, 9000);
    assert_non_null(p);
    for (size_t i = 0; i < 9000; i++)
        assert_int_equal(p[i], 0);
    assert_null(cph_arena_alloc(a, 1001));
    assert_non_null(cph_arena_alloc(a, 900));
    assert_null(cph_arena_alloc(a, 200));
    assert_null(cph_arena_array(a, SIZE_MAX / 2, 4));
    cph_arena_free(a);
    cph_arena_free(NULL);
}

static void arena_copies_carry_a_nul(void **state)
{
    struct cph_arena *a;
    struct cph_span s;

    (void)state;
    assert_ok(cph_arena_new(1000, &a));
    s = cph_arena_copy(a, CPH_SPAN_LIT("hello"));
    assert_int_equal(s.n, 5);
    assert_string_equal((const char *)s.p, "hello");
    assert_string_equal(cph_arena_fmt(a, "%d-%s", 7, "x"), "7-x");
    assert_null(cph_arena_fmt(a, "%2000d", 1));
    cph_arena_free(a);
}

static cph_err arena_scenario(void *arg)
{
    struct cph_arena *a;
    bool ok;

    (void)arg;
    CPH_TRY(cph_arena_new(100000, &a));
    ok = cph_arena_alloc(a, 5000) && cph_arena_alloc(a, 5000) && cph_arena_alloc(a, 10);
    cph_arena_free(a);
    return ok ? CPH_OK : CPH_E_NOMEM;
}

static cph_err buf_scenario(void *arg)
{
    struct cph_buf b = { .limit = 5000 };
    uint8_t bytes[900] = { 0 };
    cph_err err = CPH_OK;

    (void)arg;
    for (int i = 0; i < 5 && err == CPH_OK; i++)
        err = cph_buf_put(&b, (struct cph_span){ bytes, sizeof bytes });
    cph_buf_clear(&b);
    return err;
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    test_alloc_fails(arena_scenario, NULL);
    test_alloc_fails(buf_scenario, NULL);
}

static void buf_is_a_queue_with_a_bound(void **state)
{
    struct cph_buf b = { .limit = 3000 };
    uint8_t bytes[1000];

    (void)state;
    for (int round = 0; round < 50; round++) {
        memset(bytes, round, sizeof bytes);
        assert_ok(cph_buf_put(&b, (struct cph_span){ bytes, sizeof bytes }));
        assert_ok(cph_buf_put(&b, (struct cph_span){ bytes, sizeof bytes - 1 }));
        assert_err(cph_buf_put(&b, (struct cph_span){ bytes, 1000 + 2 }), CPH_E_LIMIT);
        assert_int_equal(b.n, 1999);
        assert_int_equal(cph_buf_view(&b).p[0], round);
        assert_int_equal(cph_buf_view(&b).p[1998], round);
        cph_buf_drop(&b, 700);
        cph_buf_drop(&b, 5000);
        assert_int_equal(b.n, 0);
    }
    cph_buf_clear(&b);
    assert_ok(cph_buf_put(&b, CPH_SPAN_LIT("again")));
    assert_true(cph_span_is(cph_buf_view(&b), "again"));
    cph_buf_clear(&b);
}

static void secrets_compare_and_wipe(void **state)
{
    struct cph_secret s = { 0 };
    uint8_t big[CPH_SECRET_MAX + 1] = { 0 };

    (void)state;
    assert_ok(cph_secret_set(&s, CPH_SPAN_LIT("key")));
    assert_true(cph_ct_eq(cph_secret_span(&s), CPH_SPAN_LIT("key")));
    assert_false(cph_ct_eq(cph_secret_span(&s), CPH_SPAN_LIT("kez")));
    assert_false(cph_ct_eq(cph_secret_span(&s), CPH_SPAN_LIT("keyy")));
    assert_err(cph_secret_set(&s, (struct cph_span){ big, sizeof big }), CPH_E_NOSPACE);
    cph_secret_wipe(&s);
    for (size_t i = 0; i < sizeof s.b; i++)
        assert_int_equal(s.b[i], 0);
    assert_int_equal(s.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_hands_out_zeroed_memory_up_to_its_limit),
        cmocka_unit_test(arena_copies_carry_a_nul),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(buf_is_a_queue_with_a_bound),
        cmocka_unit_test(secrets_compare_and_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

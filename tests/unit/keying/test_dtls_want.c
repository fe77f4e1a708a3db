/*
 * The library itself without memory in the handshake of a re-key. It cannot go on with a handshake
 * then, and who sends the last flight has its keys before the other end: so new keys come after
 * all, or one end says that it could not, and no packet passes until both agree on the next ones.
 */
#include "dtls_support.h"

#include <openssl/crypto.h>

enum { RUNS = 100, REKEY_S = 40 };

static size_t asked, refuse_at; /* counted from arm(); one is refused */
static bool refused;

static bool refuse(void)
{
    bool no = asked++ == refuse_at;

    refused |= no;
    return no;
}

static void *lib_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : malloc(n);
}

static void *lib_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : realloc(p, n);
}

static void lib_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

static void arm(size_t at)
{
    asked = 0;
    refuse_at = at;
    refused = false;
}

static void rekey(struct party *by, struct party *to, size_t at)
{
    cph_keying_dtls.renew(by->k);
    agree(by, to);
    arm(at);
    run(by, to, now + CPH_SEC(REKEY_S));
}

static bool keyed(const struct party *p, unsigned generation)
{
    struct cph_keying_status s = status(p);

    return s.state == CPH_KEYING_KEYED && s.dir[0].generation == generation;
}

/* It was our own want, and nobody else is accused of it. */
static void assert_wanted(const struct party *p)
{
    struct cph_keying_status s = status(p);

    assert_int_equal(s.state, CPH_KEYING_FAILED);
    if (s.err != CPH_E_NOMEM && s.err != CPH_E_CRYPTO)
        fail_msg("allocation %zu: %s, %s", refuse_at, cph_err_name(s.err), s.why);
}

/* *lost: is the second end one that could not go on? True: there was such an allocation. */
static bool rekey_in_want(size_t at, bool *lost)
{
    struct party *a = &who[0], *b = &who[1];
    void *nothing = NULL;

    setup(&nothing);
    agree(a, b);
    run(a, b, now + CPH_SEC(1));
    assert_keyed(a, b);
    rekey(a, b, at);
    *lost = !keyed(b, 2);
    assert_true(keyed(a, 2)); /* the passive end does without the handshake that went wrong */
    if (*lost) {
        assert_wanted(b);
        rekey(at & 1 ? a : b, at & 1 ? b : a, SIZE_MAX);
    }
    assert_keyed(a, b);
    teardown(&nothing);
    return refused || *lost;
}

static void no_end_accuses_the_other_of_its_want_of_memory_and_the_next_rekey_serves(void **state)
{
    unsigned runs = 0, losses = 0;
    size_t stride;
    bool lost;

    (void)state;
    (void)rekey_in_want(SIZE_MAX, &lost);
    assert_false(lost);
    stride = asked / RUNS + 1;
    for (size_t at = 0; rekey_in_want(at, &lost); at += stride) {
        runs++;
        losses += lost;
    }
    print_message("%u runs, of which %u had to be made anew\n", runs, losses);
    assert_true(runs >= RUNS / 2 && losses < runs / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_end_accuses_the_other_of_its_want_of_memory_and_the_next_rekey_serves),
    };

    if (CRYPTO_set_mem_functions(lib_malloc, lib_realloc, lib_free) != 1)
        return 1;
    arm(SIZE_MAX);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

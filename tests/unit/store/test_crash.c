/* The process is killed at any instant, and nothing that was answered is lost, nothing half-made is
 * found. */
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ciphony/store.h"

enum { KILLS = 12, ROUNDS = 100000 };

static char path[128];

/* Each round writes two items that must always agree, and reports the round once it is on the disk.
 */
static void write_for_ever(const struct cph_env *env, int report)
{
    struct cph_store *s;

    if (cph_store_open(path, env, &s, NULL) != CPH_OK)
        _exit(1);
    for (uint32_t i = 1; i < ROUNDS; i++) {
        struct cph_span v = { (const uint8_t *)&i, sizeof i };

        if (cph_store_begin(s) != CPH_OK || cph_store_put(s, "t", CPH_SPAN_LIT("a"), v) != CPH_OK ||
            cph_store_put(s, "t", CPH_SPAN_LIT("b"), v) != CPH_OK || cph_store_commit(s) != CPH_OK)
            _exit(2);
        if (write(report, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(3);
    }
    _exit(4);
}

static uint32_t value_of(struct cph_store *s, const char *key)
{
    struct cph_buf b = { .limit = 16 };
    uint32_t v = 0;
    cph_err err = cph_store_get(s, "t", cph_span_of(key), &b);

    assert_true(err == CPH_OK || err == CPH_E_NOTFOUND);
    if (err == CPH_OK) {
        assert_int_equal(b.n, sizeof v);
        memcpy(&v, cph_buf_view(&b).p, sizeof v);
    }
    cph_buf_clear(&b);
    return v;
}

static void a_killed_writer_leaves_a_whole_store(void **state)
{
    char home[] = "/tmp/ciphony-crash-XXXXXX", command[64];
    struct test_env env;

    (void)state;
    test_env_init(&env, 7);
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/s.db", home);
    for (int i = 0; i < KILLS; i++) {
        uint32_t last = 0, got;
        struct cph_store *s;
        int fd[2], status;
        pid_t child;

        assert_int_equal(pipe(fd), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_for_ever(&env.env, fd[1]);
        (void)close(fd[1]);
        (void)usleep((useconds_t)(test_random(&env) %
                                  60000)); /* the first ones fall into making the tables */
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(fd[0], &got, sizeof got) == (ssize_t)sizeof got)
            last = got;
        (void)close(fd[0]);

        assert_ok(cph_store_open(path, &env.env, &s, NULL));
        got = value_of(s, "a");
        assert_int_equal(got, value_of(s, "b"));
        assert_true(last == 0 || got == last ||
                    got == last + 1); /* written, killed before reporting */
        cph_store_close(s);
    }
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    assert_int_equal(system(command), 0);
}

/* Several processes make the same store at once: all succeed. */
static void a_store_may_be_made_by_several_at_once(void **state)
{
    char home[] = "/tmp/ciphony-race-XXXXXX", command[64];
    struct test_env env;
    pid_t child[6];

    (void)state;
    test_env_init(&env, 8);
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/new/dir/s.db", home);
    for (size_t i = 0; i < 6; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            char why[CPH_STORE_WHY];
            struct cph_store *s;

            if (cph_store_open(path, &env.env, &s, why) != CPH_OK) {
                (void)fprintf(stderr, "%s\n", why);
                _exit(1);
            }
            cph_store_close(s);
            _exit(0);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status;

        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_writer_leaves_a_whole_store),
        cmocka_unit_test(a_store_may_be_made_by_several_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

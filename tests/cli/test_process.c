/* The command as a process: keys and passwords are in its memory, and stay there. */
#include "memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static char home[] = "/tmp/ciphony-process-XXXXXX";

/* `ciphony answer`, as a user who is not root, where core dumps are wished. */
static void be_the_command(int out)
{
    const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

    if (geteuid() == 0 &&
        (chown(home, NOBODY, NOBODY) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(126);
    if (setrlimit(RLIMIT_CORE, &all) != 0 && errno != EPERM)
        _exit(126);
    if (chdir(home) != 0 || setenv("HOME", home, 1) != 0 || dup2(out, 1) != 1)
        _exit(126);
    (void)unsetenv("XDG_DATA_HOME");
    (void)unsetenv("XDG_CONFIG_HOME");
    (void)execl(getenv("CPH_COMMAND"), "ciphony", "answer", "--listen", "udp:127.0.0.1:0",
                "--device", "none", "--for", "60", (char *)NULL);
    _exit(127);
}

static bool line_of(pid_t pid, const char *file, const char *begins, char out[256])
{
    char path[64];
    bool found = false;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    f = fopen(path, "r");
    while (f && !found && fgets(out, 256, f))
        found = strncmp(out, begins, strlen(begins)) == 0;
    if (f)
        (void)fclose(f);
    return found;
}

static void no_core_is_dumped_and_nobody_looks_in(void **state)
{
    char said[64] = "", line[256], path[64];
    unsigned soft = 1, hard = 1;
    int way[2], status = 0;
    struct stat st;
    pid_t pid;

    (void)state;
    assert_non_null(getenv("CPH_COMMAND"));
    assert_non_null(mkdtemp(home));
    assert_int_equal(pipe(way), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_the_command(way[1]);
    (void)close(way[1]);
    if (read(way[0], said, sizeof said - 1) <= 0) { /* it says where it listens, once it runs */
        assert_int_equal(waitpid(pid, &status, 0), pid);
        print_message("the command could not be run as another user here: %d\n", status);
        skip();
    }
    assert_non_null(strstr(said, "listening"));
    assert_true(line_of(pid, "limits", "Max core file size", line));
    assert_int_equal(sscanf(line, "Max core file size %u %u", &soft, &hard), 2);
    assert_int_equal(soft + hard, 0);
#ifndef TEST_SANITIZED
    /* proc(5): of a process that is not dumpable, these belong to root */
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0);
#else
    (void)path, (void)st;
#endif
    assert_int_equal(kill(pid, SIGABRT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_false(WCOREDUMP(status));
    (void)close(way[0]);
    (void)snprintf(line, sizeof line, "rm -rf %s", home);
    assert_int_equal(system(line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_core_is_dumped_and_nobody_looks_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

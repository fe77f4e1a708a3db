/* The command as a user runs it: a process of its own, in a home of its own. */
#ifndef CPH_TEST_CLI_COMMAND_H
#define CPH_TEST_CLI_COMMAND_H

#include "home.h"

#include <sys/wait.h>

static char program[512];
static char out[65536], err[8192];

static inline bool find_program(void)
{
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0)
        return false;
    self[n] = '\0';
    *strrchr(self, '/') = '\0'; /* the tests are two folders below the command */
    (void)snprintf(program, sizeof program, "%s/../../ciphony", self);
    return true;
}

static inline void read_back(int fd, char *buf, size_t cap)
{
    size_t n = 0;
    ssize_t got;

    while (n + 1 < cap && (got = pread(fd, buf + n, cap - 1 - n, (off_t)n)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
}

/* Words are cut at blanks. Output and messages land in out and err. */
static inline int run(const char *words)
{
    char line[1024], *argv[32] = { program },
                     name[2][32] = { "/tmp/ciphony-o-XXXXXX", "/tmp/ciphony-e-XXXXXX" };
    int fd[2] = { mkstemp(name[0]), mkstemp(name[1]) }, status;
    size_t n = 1;
    pid_t child;

    assert_true(fd[0] >= 0 && fd[1] >= 0);
    (void)snprintf(line, sizeof line, "%s", words);
    for (char *at = line, *word; n < 31 && (word = strsep(&at, " ")) != NULL;)
        if (*word)
            argv[n++] = word;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fd[0], 1);
        (void)dup2(fd[1], 2);
        (void)execv(program, argv);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    read_back(fd[0], out, sizeof out);
    read_back(fd[1], err, sizeof err);
    for (size_t i = 0; i < 2; i++) {
        (void)close(fd[i]);
        (void)unlink(name[i]);
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void says(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
}

#endif

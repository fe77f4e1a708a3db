/* The ciphony command. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli_int.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#endif

/* Keys and passwords are in memory: no core dump, and no other process of this user looks in. */
static void keep_to_itself(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef WATCHED /* the leak checker looks in */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int main(int argc, char **argv)
{
    keep_to_itself();
    /* A reader that went away is an error of the write, not the end of a call without a word. */
    (void)signal(SIGPIPE, SIG_IGN);
    return (int)cli_main(argc, (const char *const *)argv);
}

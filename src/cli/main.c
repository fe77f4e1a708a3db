/* The ciphony command. */
#include <signal.h>

#include "cli_int.h"

int main(int argc, char **argv)
{
    /* A reader that went away is an error of the write, not the end of a call without a word. */
    (void)signal(SIGPIPE, SIG_IGN);
    return (int)cli_main(argc, (const char *const *)argv);
}

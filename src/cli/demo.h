/* The demo: two terminals on this machine, two calls, and what each is worth. */
#ifndef CPH_CLI_DEMO_H
#define CPH_CLI_DEMO_H

#include "terminal.h"

struct cli_demo_options {
    const char *speech; /* WAV file; NULL: the one that comes with ciphony */
    const char *record; /* keep what was heard in the first call, NULL: do not */
    const char *device; /* ALSA name, NULL "default", "none" */
    struct cli_report report;
};

/** Exit status 0 if the first call was verified, the second open, and both were heard. */
enum cli_exit cli_demo_run(struct cli *cli, const struct cli_demo_options *o);

#endif

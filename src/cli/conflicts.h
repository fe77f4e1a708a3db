/* Options that undo one another. */
#ifndef CPH_CLI_CONFLICTS_H
#define CPH_CLI_CONFLICTS_H

#include "ciphony/session_policy.h"
#include "cli_int.h"

/* What a verb is about to do. */
struct cli_choice {
    const struct cli_args *args;
    const struct cph_policy *policy; /* as it will be, the configuration's with it; NULL: none */
    bool calls;                      /* it calls somebody */
    bool play, record;               /* a file is spoken, written */
};

struct cli_conflict {
    bool (*holds)(const struct cli_choice *c);
    const char *example; /* words behind "ciphony" that show it */
    const char *words;   /* what is wrong and what to do */
};
extern const struct cli_conflict cli_conflicts[]; /* ends with a row without words */

/** The words of the first that holds, or NULL. */
const char *cli_conflict(const struct cli_choice *c);

#endif

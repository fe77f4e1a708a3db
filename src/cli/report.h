/* What a call tells the world: a JSON line an event, or a panel for people. */
#ifndef CPH_CLI_REPORT_H
#define CPH_CLI_REPORT_H

#include <stdio.h>

#include "ciphony/sip_phone.h"

struct cli_report {
    FILE *out;
    bool json;
    bool tty; /* out is a terminal: the panel redraws itself in place */
    const char
        *who;       /* of two terminals in one process (demo): put before each line; NULL: nobody */
    unsigned drawn; /* lines of the panel on the screen */
    char last[512]; /* the panel's first line, to print changes alone where there is no terminal */
};

/** Why a call or registration ended, in words for the user, with what to do; empty for a plain end.
 *  Returns out. */
const char *cli_explain(const struct cph_phone_event *ev, char out[CPH_PHONE_WHY]);
/** What the command sets out to do, before anything happens: "listening" "on" "UDP 192.0.2.1:5060".
 */
void cli_report_begin(const struct cli_report *r, const char *event, const char *word,
                      const char *where);
/** One event. st is the call's status, or NULL when the event is not about a call. */
void cli_report_event(struct cli_report *r, const struct cph_phone_event *ev,
                      const struct cph_phone_status *st);
/** The panel of a call, as it is now. Nothing with json. */
void cli_report_panel(struct cli_report *r, const struct cph_phone_status *st, cph_time now);
/** Leave the panel on the screen and write below it from now on. */
void cli_report_leave(struct cli_report *r);
/** The verdict in full, for the end of a call. With json it is part of the ended event. */
void cli_report_verdict(struct cli_report *r, const struct cph_verdict *v);

#endif

#include <stdio.h>
#include <unistd.h>

#include "demo.h"

static enum cli_exit run_demo(struct cli *cli)
{
    struct cli_demo_options o = {
        .speech = cli_value(&cli->args, CLI_OPT_PLAY, 0),
        .record = cli_value(&cli->args, CLI_OPT_RECORD, 0),
        .device = cli_value(&cli->args, CLI_OPT_DEVICE, 0),
        .report = { .out = stdout,
                    .json = cli_given(&cli->args, CLI_OPT_JSON),
                    .tty = isatty(1) == 1 },
    };

    char why[CLI_WHY];

    if (cli_sound_check(o.speech, false, o.record, why) != CPH_OK) {
        cli_error("%s", why);
        return CLI_USAGE;
    }
    return cli_demo_run(cli, &o);
}

static const enum cli_opt demo_opts[] = { CLI_OPT_PLAY, CLI_OPT_RECORD, CLI_OPT_DEVICE,
                                          CLI_OPT_JSON, CLI_OPT_END };

const struct cli_verb cli_verb_demo = {
    .name = "demo",
    .args = "",
    .line = "two terminals on this machine call each other, twice",
    .more = "The first call has TLS signalling with pinned certificates and DTLS-SRTP\n"
            "media; its verdict is verified. The second sends its keys in SIP messages that\n"
            "nothing encrypts (SDES); its verdict is open, and says why. Nothing of yours is\n"
            "read or kept.\n"
            "\n"
            "Exit status: 0 if both calls were heard and both verdicts are as they should\n"
            "be.",
    .opts = demo_opts,
    .run = run_demo,
};

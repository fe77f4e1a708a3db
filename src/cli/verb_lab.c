#include "lab_run.h"

static const enum cli_opt lab_opts[] = { CLI_OPT_COLUMN, CLI_OPT_SEED, CLI_OPT_HTML, CLI_OPT_JSON,
                                         CLI_OPT_END };

const struct cli_verb cli_verb_lab = {
    .name = "lab",
    .args = "[list|run|matrix|report] [EXPERIMENT]",
    .line = "see by experiment what each key management is worth",
    .more = "Make calls in a simulated network, attack them, and read off what was achieved.\n"
            "Nothing leaves this machine.\n"
            "\n"
            "  list             the experiments, each a question, and the mechanisms\n"
            "  run EXPERIMENT   one of them; --verbose: with the ladder diagram of its\n"
            "                   messages\n"
            "  matrix           all of them, beside what\n"
            "                   draft-wing-media-security-requirements-05 says, and its\n"
            "                   requirements R1 to R26; as Markdown, or --json\n"
            "  report           the same with diagrams and plots, as one page: --html FILE\n"
            "\n"
            "A run is its seed: the same --seed gives the same outcome.\n"
            "\n"
            "Exit status: 1 if an experiment could not be run, or if in any attacked call the\n"
            "phones showed more security than there was.",
    .opts = lab_opts,
    .max_pos = 2,
    .run = cli_lab_run,
};

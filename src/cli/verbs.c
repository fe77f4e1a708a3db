#include "cli_int.h"

#include <stdio.h>
#include <string.h>

/* A new verb is a file and a row here. */
const struct cli_verb *const cli_verbs[] = {
    &cli_verb_call, &cli_verb_answer, &cli_verb_register, &cli_verb_demo,    &cli_verb_lab,
    &cli_verb_id,   &cli_verb_trust,  &cli_verb_config,   &cli_verb_version, &cli_verb_help,
    NULL,
};

const struct cli_verb *cli_verb_find(const char *name)
{
    for (const struct cli_verb *const *v = cli_verbs; *v; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
    return NULL;
}

/* ---- version, help --------------------------------------------------------------------------- */

static enum cli_exit run_version(struct cli *cli)
{
    (void)cli;
    (void)printf("ciphony %s\n", CPH_VERSION);
    return CLI_OK;
}

const struct cli_verb cli_verb_version = {
    .name = "version",
    .args = "",
    .line = "say which version this is",
    .more = "Print the version.",
    .run = run_version,
};

static void no_such_verb(const char *name)
{
    char word[64];
    struct cli_near near = { .to = cli_clean(cph_span_of(name), word, sizeof word) };

    for (const struct cli_verb *const *v = cli_verbs; *v; v++)
        cli_near_offer(&near, (*v)->name);
    if (near.best)
        cli_error("there is no verb %s; did you mean %s?", word, near.best);
    else
        cli_error("there is no verb %s; see: ciphony help", word);
}

static enum cli_exit run_help(struct cli *cli)
{
    const struct cli_verb *verb = NULL;

    if (cli_given(&cli->args, CLI_OPT_MAN)) {
        cli_help_man();
        return CLI_OK;
    }
    if (cli->args.n_pos > 0) {
        verb = cli_verb_find(cli->args.pos[0]);
        if (!verb) {
            no_such_verb(cli->args.pos[0]);
            return CLI_USAGE;
        }
    }
    cli_help(verb);
    return CLI_OK;
}

static const enum cli_opt help_opts[] = { CLI_OPT_MAN, CLI_OPT_END };

const struct cli_verb cli_verb_help = {
    .name = "help",
    .args = "[VERB]",
    .line = "show the verbs, or all about one of them",
    .more = "Show the list of verbs, or the help of one.",
    .opts = help_opts,
    .max_pos = 1,
    .run = run_help,
};

/* ---- the command ----------------------------------------------------------------------------- */

cph_err cli_store_open(struct cli *cli, struct cph_store **out)
{
    char why[CPH_STORE_WHY];
    cph_err err = cph_store_open(cli_value(&cli->args, CLI_OPT_STORE, 0), &cli->host.env, out, why);

    if (err)
        cli_error("%s", why);
    return err;
}

static bool asks_for_json(int argc, const char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

static enum cli_exit run(const struct cli_verb *verb, int argc, const char *const *argv)
{
    struct cli cli;
    char why[CLI_WHY];
    enum cph_log_level level = CPH_LOG_WARN;

    cli_errors_as_json(asks_for_json(argc, argv)); /* also of what is wrong with the options */
    if (cli_args_parse(verb, argc, argv, &cli.args, why) != CPH_OK) {
        cli_error("%s", why);
        return CLI_USAGE;
    }
    if (cli_given(&cli.args, CLI_OPT_HELP)) {
        cli_help(verb);
        return CLI_OK;
    }
    for (size_t i = 0; cli_value(&cli.args, CLI_OPT_VERBOSE, i) && level < CPH_LOG_DEBUG; i++)
        level++;
    cph_net_env_init(&cli.host, level);
    return verb->run(&cli);
}

static enum cli_exit dispatch(int argc, const char *const *argv)
{
    const struct cli_verb *verb;

    if (argc < 2) {
        cli_help(NULL);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        verb = &cli_verb_help;
    else if (strcmp(argv[1], "--version") == 0)
        verb = &cli_verb_version;
    else
        verb = cli_verb_find(argv[1]);
    if (!verb) {
        no_such_verb(argv[1]);
        return CLI_USAGE;
    }
    return run(verb, argc - 2, argv + 2);
}

enum cli_exit cli_main(int argc, const char *const *argv)
{
    enum cli_exit status = dispatch(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout)) { /* a full disk, or nobody reads any more */
        cli_error("the output could not be written");
        return status == CLI_OK ? CLI_FAILED : status;
    }
    return status;
}

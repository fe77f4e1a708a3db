/* ciphony lab: what the verb does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_int.h"
#include "lab.h"
#include "lab_run.h"
#include "matrix.h"

#include "ciphony/base_text.h"
#include "ciphony/json.h"

enum { REPORT_MAX = 16 << 20, DEFAULT_SEED = 1 };

static void progress(void *ctx, unsigned done, unsigned all)
{
    enum { WIDTH = 40 };
    unsigned full = done * WIDTH / all;

    (void)ctx;
    (void)fprintf(stderr, "\r[%.*s%*s] %u of %u", (int)full,
                  "########################################", (int)(WIDTH - full), "", done, all);
    if (done == all)
        (void)fprintf(stderr, "\r%*s\r", WIDTH + 30, "");
}

static bool seed_of(struct cli *cli, uint64_t *seed)
{
    const char *text = cli_value(&cli->args, CLI_OPT_SEED, 0);

    *seed = DEFAULT_SEED;
    if (!text || cph_span_u64(cph_span_of(text), seed) == CPH_OK)
        return true;
    cli_error("--seed takes a whole number, for example: --seed 7");
    return false;
}

static enum cli_exit no_keying(const char *name)
{
    char word[64];

    cli_error("the lab has no keying %s; it has:", cli_clean(cph_span_of(name), word, sizeof word));
    for (unsigned i = 0; lab_columns[i]; i++)
        cli_error("  %-14s %s", lab_columns[i]->name, lab_columns[i]->title);
    return CLI_USAGE;
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum cli_exit list(bool json)
{
    for (const struct lab_experiment *const *e = lab_experiments; *e; e++) {
        struct cph_json *j;

        if (!json) {
            (void)printf("%-16s %-9s %s\n", (*e)->name, (*e)->section, (*e)->title);
            continue;
        }
        if (cph_json_new(&j) != CPH_OK)
            return CLI_FAILED;
        cph_json_text(j, "experiment", (*e)->name);
        cph_json_text(j, "section", (*e)->section);
        cph_json_text(j, "question", (*e)->title);
        if (cli_json_print(j) != CPH_OK)
            return CLI_FAILED;
    }
    return CLI_OK;
}

/* ---- run ------------------------------------------------------------------------------------- */

static cph_err say_json(const char *experiment, const char *keying, uint64_t seed,
                        const struct lab_outcome *o)
{
    struct lab_said said;
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "experiment", experiment);
    cph_json_text(j, "keying", keying);
    cph_json_uint(j, "seed", seed);
    cph_json_text(j, "answer", o->answer);
    cph_json_text(j, "detail", o->detail);
    cph_json_uint(j, "sessions", o->sessions);
    if (lab_said_find(keying, experiment, &said) && said.answer[0]) {
        cph_json_text(j, "draft", said.answer);
        cph_json_bool(j, "agrees", lab_said_agrees(&said, o->answer));
        cph_json_text(j, "reason", said.reason[0] ? said.reason : NULL);
    }
    cph_json_object(j, "values");
    for (unsigned i = 0; i < o->n_values; i++)
        cph_json_real(j, o->value[i].name, o->value[i].v);
    cph_json_close(j);
    return cli_json_print(j);
}

static void say_text(const char *experiment, const char *keying, const struct lab_outcome *o)
{
    struct lab_said said;

    (void)printf("%s with %s: %s\n  %s\n", experiment, keying, o->answer, o->detail);
    for (unsigned i = 0; i < o->n_values; i++)
        (void)printf("  %-28s %g %s\n", o->value[i].name, o->value[i].v, o->value[i].unit);
    if (!lab_said_find(keying, experiment, &said) || !said.answer[0])
        return;
    if (lab_said_agrees(&said, o->answer))
        (void)printf("  The draft says the same (%s).\n", said.section);
    else
        (void)printf("  The draft says %s (%s): %s.\n", said.answer, said.section,
                     said.reason[0] ? said.reason : "no reason is known, so this is a defect");
}

static enum cli_exit run_one(struct cli *cli, const struct lab_experiment *e, const char *keying,
                             uint64_t seed, bool json)
{
    bool draw = cli_given(&cli->args, CLI_OPT_VERBOSE);
    struct lab_ladder ladder = { 0 };
    struct lab_case c = { keying, seed, draw ? &ladder : NULL, NULL };
    struct lab_outcome o;
    cph_err err = lab_run_one(e, &c, &o);

    if (json) {
        if (say_json(e->name, keying, seed, &o) != CPH_OK)
            err = CPH_E_NOMEM;
    } else {
        say_text(e->name, keying, &o);
    }
    if (draw && !json && ladder.text)
        (void)printf("\n%s\n\n%s\n", ladder.title, ladder.text);
    free(ladder.text);
    return err == CPH_OK ? CLI_OK : CLI_FAILED;
}

static enum cli_exit run(struct cli *cli, uint64_t seed, bool json)
{
    const char *name = cli->args.n_pos > 1 ? cli->args.pos[1] : NULL;
    const char *keying = cli_value(&cli->args, CLI_OPT_KEYING, 0);
    const struct lab_experiment *e = name ? lab_experiment_find(name) : NULL;
    enum cli_exit status = CLI_OK;

    if (!e) {
        cli_error(name ? "there is no such experiment; see: ciphony lab list"
                       : "which experiment? See: ciphony lab list");
        return CLI_USAGE;
    }
    if (keying) {
        const struct lab_column *c = lab_column_find(keying);

        return c ? run_one(cli, e, c->name, seed, json) : no_keying(keying);
    }
    for (unsigned i = 0; lab_columns[i] && status == CLI_OK; i++)
        status = run_one(cli, e, lab_columns[i]->name, seed, json);
    return status;
}

/* ---- matrix, report -------------------------------------------------------------------------- */

static enum cli_exit matrix_json(const struct lab_results *r)
{
    for (unsigned e = 0; e < r->experiments; e++)
        for (unsigned k = 0; k < r->keyings; k++)
            if (say_json(lab_experiments[e]->name, r->keying[k], r->seed, &r->outcome[e][k]) !=
                CPH_OK)
                return CLI_FAILED;
    for (unsigned i = 0; i < LAB_RULES; i++)
        for (unsigned k = 0; k < r->keyings; k++) {
            struct cph_json *j;

            if (cph_json_new(&j) != CPH_OK)
                return CLI_FAILED;
            cph_json_text(j, "requirement", lab_rules[i].name);
            cph_json_text(j, "keying", r->keying[k]);
            cph_json_text(j, "outcome", lab_holds_word(lab_rules[i].judge(r, k)));
            if (cli_json_print(j) != CPH_OK)
                return CLI_FAILED;
        }
    return CLI_OK;
}

static enum cli_exit write_file(const char *path, struct cph_span bytes)
{
    FILE *f = fopen(path, "w");
    bool ok = f && fwrite(bytes.p, 1, bytes.n, f) == bytes.n;

    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        cli_error("%s cannot be written: %s", path, strerror(errno));
    return ok ? CLI_OK : CLI_FAILED;
}

static enum cli_exit say_all(const struct lab_results *r, const char *html, bool json)
{
    struct cph_buf text = { .limit = REPORT_MAX };
    enum cli_exit status = CLI_OK;
    struct cph_span view;
    unsigned unexplained;

    if (json) {
        status = matrix_json(r);
    } else if (html) {
        lab_results_html(r, &text);
        view = cph_buf_view(&text);
        status = write_file(html, view);
        if (status == CLI_OK)
            (void)printf("%u calls, the report is in %s\n", r->sessions, html);
    } else {
        lab_results_markdown(r, &text);
        view = cph_buf_view(&text);
        (void)fwrite(view.p, 1, view.n, stdout);
    }
    cph_buf_clear(&text);
    (void)lab_results_differences(r, &unexplained);
    if (r->failed)
        cli_error("%u experiments could not be run", r->failed);
    if (r->trial.failures)
        cli_error("the verdict was too good in %u attacked calls: %s", r->trial.failures,
                  r->trial.first);
    return r->failed || r->trial.failures ? CLI_FAILED : status;
}

static enum cli_exit all(struct cli *cli, uint64_t seed, bool json, bool report)
{
    const char *keying = cli_value(&cli->args, CLI_OPT_KEYING, 0);
    const char *html = report ? cli_value(&cli->args, CLI_OPT_HTML, 0) : NULL;
    struct lab_results *r;
    enum cli_exit status;
    cph_err err;

    if (report && !html && !json) {
        cli_error("report needs a file: ciphony lab report --html FILE");
        return CLI_USAGE;
    }
    err = lab_results_run(keying, seed, html != NULL, isatty(2) == 1 ? progress : NULL, NULL, &r);
    if (err == CPH_E_NOTFOUND)
        return no_keying(keying);
    if (err != CPH_OK) {
        cli_error("the experiments cannot be run: %s", cph_err_text(err));
        return CLI_FAILED;
    }
    status = say_all(r, html, json);
    lab_results_free(r);
    return status;
}

enum cli_exit cli_lab_run(struct cli *cli)
{
    const char *what = cli->args.n_pos ? cli->args.pos[0] : "list";
    bool json = cli_given(&cli->args, CLI_OPT_JSON);
    enum cli_exit status;
    uint64_t seed;

    if (!seed_of(cli, &seed))
        return CLI_USAGE;
    if (lab_keys_open() != CPH_OK) {
        cli_error("the lab cannot begin: no keys could be made");
        return CLI_FAILED;
    }
    if (strcmp(what, "list") == 0) {
        status = list(json);
    } else if (strcmp(what, "run") == 0) {
        status = run(cli, seed, json);
    } else if (strcmp(what, "matrix") == 0) {
        status = all(cli, seed, json, false);
    } else if (strcmp(what, "report") == 0) {
        status = all(cli, seed, json, true);
    } else {
        cli_error("lab can: list, run EXPERIMENT, matrix, report");
        status = CLI_USAGE;
    }
    lab_keys_close();
    return status;
}

/* ciphony lab: what the verb does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli_int.h"
#include "command_json.h"
#include "lab.h"
#include "lab_run.h"
#include "matrix.h"

#include "ciphony/base_text.h"

enum { REPORT_MAX = 16 << 20, DEFAULT_SEED = 1 };

/* How long a bar there is room for beside the numbers, so that no line breaks. */
static unsigned bar_width(void)
{
    enum { MOST = 40, BESIDE = 20 };
    struct winsize w = { 0 };

    if (ioctl(2, TIOCGWINSZ, &w) < 0 || w.ws_col == 0 || w.ws_col > MOST + BESIDE)
        return MOST;
    return w.ws_col > BESIDE ? w.ws_col - BESIDE : 0;
}

/* On a terminal alone, and gone when all is done. */
static void progress(void *ctx, unsigned done, unsigned all)
{
    unsigned width = bar_width(), full = (unsigned)((uint64_t)done * width / all);

    (void)ctx;
    if (width > 0)
        (void)fprintf(stderr, "\r[%.*s%*s] %u of %u", (int)full,
                      "########################################", (int)(width - full), "", done,
                      all);
    else
        (void)fprintf(stderr, "\r%u", done);
    if (done == all)
        (void)fprintf(stderr, "\r%*s\r", width > 0 ? (int)width + 19 : 5, "");
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
    struct cli_near near = { .to = cli_clean(cph_span_of(name), word, sizeof word) };

    for (unsigned i = 0; lab_columns[i]; i++)
        cli_near_offer(&near, lab_columns[i]->name);
    if (near.best)
        cli_error("the lab has no keying %s; did you mean %s?", near.to, near.best);
    else
        cli_error("the lab has no keying %s; see: ciphony lab list", near.to);
    return CLI_USAGE;
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum cli_exit list(bool json)
{
    if (json)
        return lab_json_list() == CPH_OK ? CLI_OK : CLI_FAILED;
    for (const struct lab_experiment *const *e = lab_experiments; *e; e++)
        (void)printf("%-18s %-9s %s\n", (*e)->name, (*e)->section, (*e)->title);
    (void)printf("\nwith --keying:\n");
    for (const struct lab_column *const *c = lab_columns; *c; c++) {
        (void)printf("%-18s %s\n", (*c)->name, (*c)->title);
        for (const struct lab_column *const *other = (*c)->others; other && *other; other++)
            (void)printf("%s%s", other == (*c)->others ? "  in other modes: " : ", ",
                         (*other)->name);
        if ((*c)->others)
            (void)printf("\n");
    }
    return CLI_OK;
}

static enum cli_exit no_experiment(const char *name)
{
    char word[64];
    struct cli_near near = { .to = name ? cli_clean(cph_span_of(name), word, sizeof word) : "" };

    for (const struct lab_experiment *const *e = lab_experiments; name && *e; e++)
        cli_near_offer(&near, (*e)->name);
    if (near.best)
        cli_error("there is no experiment %s; did you mean %s?", near.to, near.best);
    else if (name)
        cli_error("there is no experiment %s; see: ciphony lab list", near.to);
    else
        cli_error("which experiment? See: ciphony lab list");
    return CLI_USAGE;
}

/* ---- run ------------------------------------------------------------------------------------- */

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
        if (lab_json_outcome(e->name, keying, seed, &o, draw ? &ladder : NULL) != CPH_OK)
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
    const char *keying = cli_value(&cli->args, CLI_OPT_COLUMN, 0);
    const struct lab_experiment *e = name ? lab_experiment_find(name) : NULL;
    enum cli_exit status = CLI_OK;

    if (!e)
        return no_experiment(name);
    if (keying) {
        const struct lab_column *c = lab_column_find(keying);

        return c ? run_one(cli, e, c->name, seed, json) : no_keying(keying);
    }
    for (unsigned i = 0; lab_columns[i] && status == CLI_OK; i++)
        status = run_one(cli, e, lab_columns[i]->name, seed, json);
    return status;
}

/* ---- matrix, report -------------------------------------------------------------------------- */

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

static bool can_write(const char *path)
{
    FILE *f = fopen(path, "a");

    if (!f || fclose(f) != 0) {
        cli_error("%s cannot be written: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static enum cli_exit write_page(const struct lab_results *r, const char *path)
{
    static const char end[] = "</html>\n";
    struct cph_buf text = { .limit = REPORT_MAX };
    enum cli_exit status = CLI_FAILED;
    struct cph_span page;

    lab_results_html(r, &text);
    page = cph_buf_view(&text);
    if (page.n > sizeof end && cph_span_is(cph_span_from(page, page.n - sizeof end + 1), end))
        status = write_file(path, page);
    else
        cli_error("the report did not fit into %d MB", REPORT_MAX >> 20);
    cph_buf_clear(&text);
    return status;
}

static void say_markdown(const struct lab_results *r)
{
    struct cph_buf text = { .limit = REPORT_MAX };
    struct cph_span view;

    lab_results_markdown(r, &text);
    view = cph_buf_view(&text);
    (void)fwrite(view.p, 1, view.n, stdout);
    cph_buf_clear(&text);
}

static enum cli_exit say_all(const struct lab_results *r, const char *html, bool json)
{
    enum cli_exit status = html ? write_page(r, html) : CLI_OK;

    if (json && lab_json_results(r) != CPH_OK)
        status = CLI_FAILED;
    if (!json && html && status == CLI_OK)
        (void)printf("%u calls, the report is in %s\n", r->sessions, html);
    if (!json && !html)
        say_markdown(r);
    if (r->failed)
        cli_error("%u experiments could not be run", r->failed);
    if (r->trial.failures)
        cli_error("the verdict was too good in %u attacked calls: %s", r->trial.failures,
                  r->trial.first);
    return r->failed || r->trial.failures ? CLI_FAILED : status;
}

static enum cli_exit all(struct cli *cli, uint64_t seed, bool json, bool report)
{
    const char *keying = cli_value(&cli->args, CLI_OPT_COLUMN, 0);
    const char *html = report ? cli_value(&cli->args, CLI_OPT_HTML, 0) : NULL;
    struct lab_results *r;
    enum cli_exit status;
    cph_err err;

    if (report && !html && !json) {
        cli_error("report needs a file: ciphony lab report --html FILE");
        return CLI_USAGE;
    }
    if (html && !can_write(html)) /* before minutes of work */
        return CLI_FAILED;
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

/* What only one of the four takes. */
static bool fits(struct cli *cli, const char *what)
{
    bool is_run = strcmp(what, "run") == 0, is_list = strcmp(what, "list") == 0;

    if (cli_given(&cli->args, CLI_OPT_HTML) && strcmp(what, "report") != 0)
        cli_error("--html is for: ciphony lab report --html FILE");
    else if (cli->args.n_pos > 1 && !is_run)
        cli_error("lab %s takes no argument; one experiment: ciphony lab run EXPERIMENT", what);
    else if (is_list &&
             (cli_given(&cli->args, CLI_OPT_COLUMN) || cli_given(&cli->args, CLI_OPT_SEED)))
        cli_error("lab list runs nothing; --keying and --seed are for run, matrix and report");
    else
        return true;
    return false;
}

enum cli_exit cli_lab_run(struct cli *cli)
{
    const char *what = cli->args.n_pos ? cli->args.pos[0] : "list";
    bool json = cli_given(&cli->args, CLI_OPT_JSON);
    enum cli_exit status;
    uint64_t seed;

    if (strcmp(what, "list") != 0 && strcmp(what, "run") != 0 && strcmp(what, "matrix") != 0 &&
        strcmp(what, "report") != 0) {
        cli_error("lab can: list, run EXPERIMENT, matrix, report");
        return CLI_USAGE;
    }
    if (!fits(cli, what) || !seed_of(cli, &seed))
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
    } else {
        status = all(cli, seed, json, true);
    }
    lab_keys_close();
    return status;
}

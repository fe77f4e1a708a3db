#include "matrix.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- running --------------------------------------------------------------------------------- */

static cph_err choose(const char *keying, struct lab_results *r)
{
    struct cph_span rest = cph_span_of(keying);

    for (unsigned i = 0; !keying && lab_columns[i] && r->keyings < LAB_METHODS; i++)
        r->keying[r->keyings++] = lab_columns[i]->name;
    while (rest.n) {
        char name[24];
        const struct lab_column *c;

        if (cph_span_cstr(cph_span_trim(cph_span_cut(&rest, ',')), name, sizeof name) != CPH_OK)
            return CPH_E_NOTFOUND;
        c = lab_column_find(name);
        if (!c)
            return CPH_E_NOTFOUND;
        if (r->keyings == LAB_METHODS)
            return CPH_E_LIMIT;
        r->keying[r->keyings++] = c->name;
    }
    return CPH_OK;
}

cph_err lab_results_run(const char *keying, uint64_t seed, bool ladders, lab_progress_fn *progress,
                        void *ctx, struct lab_results **out)
{
    struct lab_results *r = calloc(1, sizeof *r);
    cph_err err;

    if (!r)
        return CPH_E_NOMEM;
    r->seed = seed;
    err = choose(keying, r);
    if (err != CPH_OK) {
        free(r);
        return err;
    }
    while (lab_experiments[r->experiments] && r->experiments < LAB_EXPERIMENTS)
        r->experiments++;
    for (unsigned e = 0; e < r->experiments; e++)
        for (unsigned k = 0; k < r->keyings; k++) {
            struct lab_case c = { r->keying[k], seed, ladders ? &r->ladder[e][k] : NULL,
                                  &r->trial };

            r->failed += lab_run_one(lab_experiments[e], &c, &r->outcome[e][k]) != CPH_OK;
            r->sessions += r->outcome[e][k].sessions;
            if (progress)
                progress(ctx, e * r->keyings + k + 1, r->experiments * r->keyings);
        }
    *out = r;
    return CPH_OK;
}

void lab_results_free(struct lab_results *r)
{
    if (!r)
        return;
    for (unsigned e = 0; e < LAB_EXPERIMENTS; e++)
        for (unsigned k = 0; k < LAB_METHODS; k++)
            free(r->ladder[e][k].text);
    free(r);
}

const struct lab_outcome *lab_results_of(const struct lab_results *r, const char *experiment,
                                         unsigned keying)
{
    for (unsigned e = 0; e < r->experiments; e++)
        if (strcmp(lab_experiments[e]->name, experiment) == 0)
            return &r->outcome[e][keying];
    return NULL;
}

unsigned lab_results_differences(const struct lab_results *r, unsigned *unexplained)
{
    unsigned n = 0;

    *unexplained = 0;
    for (unsigned e = 0; e < r->experiments; e++)
        for (unsigned k = 0; k < r->keyings; k++) {
            struct lab_said said;

            if (!lab_said_find(r->keying[k], lab_experiments[e]->name, &said) ||
                lab_said_agrees(&said, r->outcome[e][k].answer))
                continue;
            n++;
            *unexplained += said.reason[0] == '\0';
        }
    return n;
}

/* ---- Markdown -------------------------------------------------------------------------------- */

CPH_PRINTF(2, 3)
static void put(struct cph_buf *out, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof line)
        (void)!cph_buf_put(out, (struct cph_span){ (const uint8_t *)line, (size_t)n });
}

static void heads(const struct lab_results *r, const char *first, struct cph_buf *out)
{
    put(out, "| %s |", first);
    for (unsigned k = 0; k < r->keyings; k++)
        put(out, " %s |", r->keying[k]);
    put(out, "\n|---|");
    for (unsigned k = 0; k < r->keyings; k++)
        put(out, "---|");
    put(out, "\n");
}

static void cell(const struct lab_results *r, unsigned e, unsigned k, struct cph_buf *out)
{
    struct lab_said said;
    const char *answer = r->outcome[e][k].answer;

    if (!lab_said_find(r->keying[k], lab_experiments[e]->name, &said) || said.answer[0] == '\0')
        put(out, " %s |", answer);
    else if (lab_said_agrees(&said, answer))
        put(out, " %s = |", answer);
    else
        put(out, " **%s** ≠ %s |", answer, said.answer);
}

static void reasons(const struct lab_results *r, struct cph_buf *out)
{
    put(out, "\n## Differences\n\n| mechanism | experiment | the draft | ours | why |\n"
             "|---|---|---|---|---|\n");
    for (unsigned k = 0; k < r->keyings; k++)
        for (unsigned e = 0; e < r->experiments; e++) {
            struct lab_said said;
            const char *answer = r->outcome[e][k].answer;

            if (lab_said_find(r->keying[k], lab_experiments[e]->name, &said) &&
                !lab_said_agrees(&said, answer))
                put(out, "| %s | %s | %s | %s | %s |\n", said.mechanism, said.experiment,
                    said.answer, answer, said.reason[0] ? said.reason : "**a defect**");
        }
}

/* The mechanisms of the draft that this table of methods does not have. */
static void absent(const struct lab_results *r, struct cph_buf *out)
{
    char last[24] = "";
    struct lab_said said;
    bool any = false;

    for (unsigned i = 0; lab_said_at(i, &said); i++) {
        if (strcmp(said.mechanism, last) == 0)
            continue;
        (void)snprintf(last, sizeof last, "%s", said.mechanism);
        for (unsigned k = 0; k < r->keyings; k++)
            if (strcmp(r->keying[k], last) == 0)
                last[0] = '\0';
        if (last[0]) {
            put(out, "%s%s",
                any ? ", " : "\nThe draft also compares mechanisms that were not run: ", last);
            any = true;
        }
        (void)snprintf(last, sizeof last, "%s", said.mechanism);
    }
    if (any)
        put(out, ".\n");
}

static unsigned columns(void)
{
    unsigned n = 0;

    while (lab_columns[n])
        n++;
    return n;
}

void lab_results_markdown(const struct lab_results *r, struct cph_buf *out)
{
    unsigned unexplained, differences = lab_results_differences(r, &unexplained);

    bool all = r->keyings == columns();

    put(out, "# What each mechanism is worth\n\nPrinted by `ciphony lab matrix");
    for (unsigned k = 0; k < r->keyings && !all; k++)
        put(out, "%s%s", k ? "," : " --keying ", r->keying[k]);
    put(out,
        " --seed %llu`. An answer is the outcome of calls or sessions that were made in the "
        "lab's network,\nand attacked where that is asked; `central-mixer` and `central-user` "
        "alone "
        "are answered by what is specified where DTLS makes the keys.\n"
        "`=`: the draft (draft-wing-media-security-requirements-05) says "
        "the same; **bold** ≠: it says what stands behind; neither: it does not say.\n"
        "A column is a mechanism, or the policy `best`: `ciphony lab list` has their names in "
        "full. "
        "Levels (open to verified) and\nclasses of attackers (I to IV) are those of "
        "[verdict.md](verdict.md).\n\n",
        (unsigned long long)r->seed);
    heads(r, "experiment (section)", out);
    for (unsigned e = 0; e < r->experiments; e++) {
        put(out, "| `%s` (%s) %s |", lab_experiments[e]->name, lab_experiments[e]->section,
            lab_experiments[e]->title);
        for (unsigned k = 0; k < r->keyings; k++)
            cell(r, e, k, out);
        put(out, "\n");
    }
    reasons(r, out);
    put(out, "\n%u differences, %u of them without a reason.\n", differences, unexplained);
    absent(r, out);
    put(out, "\n## The requirements\n\n");
    heads(r, "requirement", out);
    for (unsigned i = 0; i < LAB_RULES; i++) {
        put(out, "| %s %s (%s) |", lab_rules[i].name, lab_rules[i].text, lab_rules[i].experiments);
        for (unsigned k = 0; k < r->keyings; k++)
            put(out, " %s |", lab_holds_word(lab_rule_judge(&lab_rules[i], r, k)));
        put(out, "\n");
    }
    put(out,
        "\n\"conflict\": whoever can notice an intermediary (R17, R20) also notices lawful "
        "interception (R24); we side with the users.\n\"refuses\": the call reaches a user "
        "who was not called, and the key exchange finds that out; R1 itself allows this failure "
        "(\"an unsuccessful\nauthentication attempt\").\n\"depends\": it holds in some modes of "
        "the "
        "mechanism and fails in others.\n");
    put(out,
        "\n## The verdict on trial\n\nIn %u attacked calls the attacker heard something in %u, "
        "and a phone noticed him in %u. The level and class the phones showed\nwere better "
        "than what the attacker achieved in %u%s%s.\n\nIn %u more a phone that holds the called "
        "user's own keys could listen, and nobody without them: to whoever calls, that is the\n"
        "user who was called, and it is no counterexample.\n",
        r->trial.sessions, r->trial.heard, r->trial.noticed, r->trial.failures,
        r->trial.failures ? ": " : "", r->trial.first, r->trial.peers);
}

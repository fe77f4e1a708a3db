#include "lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A new experiment is a row here. */
/* clang-format off: one line each, so that two who add one do not meet */
const struct lab_experiment *const lab_experiments[] = {
    &lab_exp_forking,
    &lab_exp_retargeting,
    &lab_exp_forwarding,
    &lab_exp_who,
    &lab_exp_association,
    &lab_exp_pad,
    &lab_exp_clipping,
    &lab_exp_central_mixer,
    &lab_exp_central_user,
    &lab_exp_rekeying,
    &lab_exp_ssrc,
    &lab_exp_roc,
    &lab_exp_pki,
    &lab_exp_shared,
    &lab_exp_pfs,
    &lab_exp_best_effort,
    &lab_exp_forms,
    &lab_exp_offer_cost,
    &lab_exp_messages,
    &lab_exp_loss,
    &lab_exp_class,
    &lab_exp_class_pinned,
    &lab_exp_over_tls,
    &lab_exp_hop,
    &lab_exp_media_only,
    &lab_exp_downgrade,
    &lab_exp_mid_call,
    &lab_exp_second,
    &lab_exp_taken_over,
    &lab_exp_impostor,
    &lab_exp_false_answer,
    &lab_exp_forms_attacked,
    &lab_exp_precondition,
    &lab_exp_offer_again,
    &lab_exp_replay,
    &lab_exp_inject,
    &lab_exp_mixed_fork,
    &lab_exp_resume,
    &lab_exp_validity,
    &lab_exp_gate,
    &lab_exp_inspection,
    &lab_exp_b2bua,
    &lab_exp_early_dialog,
    &lab_exp_upgrade,
    &lab_exp_dos,
    &lab_exp_agility,
    &lab_exp_no_sip,
    &lab_exp_intercept,
    &lab_exp_nat,
    &lab_exp_gateway,
    &lab_exp_chain,
    &lab_exp_rtp_only,
    &lab_exp_conference,
    &lab_exp_recording,
    NULL,
};
/* clang-format on */

const struct lab_experiment *lab_experiment_find(const char *name)
{
    for (const struct lab_experiment *const *e = lab_experiments; *e; e++)
        if (strcmp((*e)->name, name) == 0)
            return *e;
    return NULL;
}

static cph_err run(const struct lab_experiment *e, const struct lab_case *c,
                   struct lab_outcome *out)
{
    cph_err err;

    *out = (struct lab_outcome){ 0 };
    err = e->run(c, out);
    if (err != CPH_OK)
        lab_say(out, "failed", "the experiment could not be run: %s", cph_err_text(err));
    return err;
}

static void mode_said(struct lab_outcome *out, const char *name, const char *answer)
{
    unsigned i = out->modes++;

    out->mode[i].name = name;
    memcpy(out->mode[i].answer, answer, LAB_ANSWER);
}

/* The other modes of this column; what was measured stays that of the mode it likes best. */
static cph_err run_modes(const struct lab_experiment *e, const struct lab_case *c,
                         const struct lab_column *column, struct lab_outcome *out)
{
    bool differ = false;

    mode_said(out, column->mode, out->answer);
    for (unsigned i = 0; column->others[i]; i++) {
        struct lab_case other = { column->others[i]->name, c->seed, NULL, c->trial };
        struct lab_outcome o;
        cph_err err = run(e, &other, &o);

        if (err != CPH_OK) {
            *out = o;
            return err;
        }
        out->sessions += o.sessions;
        differ = differ || strcmp(o.answer, out->answer) != 0;
        mode_said(out, column->others[i]->mode, o.answer);
    }
    if (differ)
        lab_say(out, LAB_DEPENDS_ON_MODE, "%s", "");
    else
        lab_add(out, "; in each mode: ");
    for (unsigned i = 0; i < out->modes; i++)
        if (differ)
            lab_add(out, "%s%s: %s", i ? ", " : "", out->mode[i].name, out->mode[i].answer);
        else
            lab_add(out, "%s%s", i ? ", " : "", out->mode[i].name);
    return CPH_OK;
}

cph_err lab_run_one(const struct lab_experiment *e, const struct lab_case *c,
                    struct lab_outcome *out)
{
    const struct lab_column *column = lab_column_find(c->keying);
    bool compared = e->section[0] == 'B' || e->section[0] == 'C';
    cph_err err = run(e, c, out);

    return err == CPH_OK && compared && column && column->others ? run_modes(e, c, column, out)
                                                                 : err;
}

void lab_say(struct lab_outcome *out, const char *answer, const char *fmt, ...)
{
    va_list ap;

    (void)snprintf(out->answer, sizeof out->answer, "%s", answer);
    va_start(ap, fmt);
    (void)vsnprintf(out->detail, sizeof out->detail, fmt, ap);
    va_end(ap);
}

void lab_add(struct lab_outcome *out, const char *fmt, ...)
{
    size_t n = strlen(out->detail);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(out->detail + n, sizeof out->detail - n, fmt, ap);
    va_end(ap);
}

void lab_measure(struct lab_outcome *out, const char *name, const char *unit, double v)
{
    if (out->n_values < LAB_VALUES)
        out->value[out->n_values++] = (struct lab_value){ name, unit, v };
}

double lab_value_of(const struct lab_outcome *out, const char *name)
{
    for (unsigned i = 0; i < out->n_values; i++)
        if (strcmp(out->value[i].name, name) == 0)
            return out->value[i].v;
    return -1;
}

void lab_case_show(const struct lab_case *c, const struct lab_stage *s, const char *title)
{
    enum { TEXT = 65536 };
    struct lab_ladder *l = c->ladder;
    struct cph_wr wr;

    if (!l)
        return;
    free(l->text);
    *l = (struct lab_ladder){ 0 };
    (void)snprintf(l->title, sizeof l->title, "%s", title);
    for (unsigned i = 0; i < lab_trace_hosts(s->trace) && i < LAB_HOSTS; i++, l->hosts++)
        (void)snprintf(l->host[i], sizeof l->host[i], "%s", lab_trace_host(s->trace, i));
    l->n = lab_trace_ladder(s->trace, l->step, LAB_LADDER);
    l->text = calloc(1, TEXT);
    if (!l->text)
        return;
    wr = cph_wr_open(l->text, TEXT - 1);
    lab_trace_print(s->trace, &wr);
}

struct lab_stage_config lab_stage_usual(const struct lab_case *c, unsigned people)
{
    return (struct lab_stage_config){ .seed = c->seed,
                                      .link = { .delay = CPH_MS(20) },
                                      .keying = c->keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .people = people };
}

bool lab_shown_too_much(const struct lab_verdict_case *v)
{
    enum cph_attacker worst = CPH_ATTACKER_IV;
    enum cph_level level = CPH_LEVEL_VERIFIED;

    if (v->passive) {
        worst = v->server || v->media ? CPH_ATTACKER_II : CPH_ATTACKER_I;
        level = CPH_LEVEL_HOP;
    } else if (v->active) {
        worst = v->server && v->media ? CPH_ATTACKER_III : CPH_ATTACKER_II;
        level = !v->server || !v->media ? CPH_LEVEL_HOP
                : v->domain             ? CPH_LEVEL_IDENTIFIED
                                        : CPH_LEVEL_PRIVATE;
    }
    return v->shown > level || v->shown_class > worst;
}

void lab_trial_add(const struct lab_case *c, const char *what, const struct lab_verdict_case *v)
{
    struct lab_trial *t = c->trial;

    if (!t)
        return;
    t->sessions++;
    t->heard += v->passive || v->active;
    t->noticed += v->noticed;
    t->peers += v->peer;
    if (lab_shown_too_much(v) && t->failures++ == 0)
        (void)snprintf(t->first, sizeof t->first,
                       "%s, seed %llu, %s: %llu frames were heard, the phones showed %s and class "
                       "%s",
                       c->keying, (unsigned long long)c->seed, what,
                       (unsigned long long)(v->passive + v->active), cph_level_name(v->shown),
                       cph_attacker_name(v->shown_class));
}

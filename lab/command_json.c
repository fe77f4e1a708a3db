#include "command_json.h"

#include "cli_int.h"

#include "ciphony/json.h"

static cph_err list_experiment(const struct lab_experiment *e)
{
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "experiment", e->name);
    cph_json_text(j, "section", e->section);
    cph_json_text(j, "question", e->title);
    return cli_json_print(j);
}

static cph_err list_column(const struct lab_column *c)
{
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "keying", c->name);
    cph_json_text(j, "title", c->title);
    return cli_json_print(j);
}

cph_err lab_json_list(void)
{
    for (const struct lab_experiment *const *e = lab_experiments; *e; e++)
        CPH_TRY(list_experiment(*e));
    for (const struct lab_column *const *c = lab_columns; *c; c++) {
        CPH_TRY(list_column(*c));
        for (const struct lab_column *const *other = (*c)->others; other && *other; other++)
            CPH_TRY(list_column(*other));
    }
    return CPH_OK;
}

static void ladder(struct cph_json *j, const struct lab_ladder *l)
{
    cph_json_object(j, "ladder");
    cph_json_text(j, "title", l->title);
    cph_json_array(j, "hosts");
    for (unsigned i = 0; i < l->hosts; i++)
        cph_json_text(j, NULL, l->host[i]);
    cph_json_close(j);
    cph_json_array(j, "steps");
    for (size_t i = 0; i < l->n; i++) {
        const struct lab_step *s = &l->step[i];

        if (s->from >= l->hosts || s->to >= l->hosts)
            continue;
        cph_json_object(j, NULL);
        cph_json_real(j, "ms", (double)s->at / 1000);
        cph_json_text(j, "from", l->host[s->from]);
        cph_json_text(j, "to", l->host[s->to]);
        cph_json_text(j, "what", s->text);
        cph_json_uint(j, "packets", s->n);
        cph_json_close(j);
    }
    cph_json_close(j);
    cph_json_close(j);
}

cph_err lab_json_outcome(const char *experiment, const char *keying, uint64_t seed,
                         const struct lab_outcome *o, const struct lab_ladder *l)
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
    cph_json_object(j, "units");
    for (unsigned i = 0; i < o->n_values; i++)
        cph_json_text(j, o->value[i].name, o->value[i].unit);
    cph_json_close(j);
    if (l && l->n)
        ladder(j, l);
    return cli_json_print(j);
}

static cph_err requirement(const struct lab_results *r, unsigned i, unsigned k)
{
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_text(j, "requirement", lab_rules[i].name);
    cph_json_text(j, "text", lab_rules[i].text);
    cph_json_text(j, "keying", r->keying[k]);
    cph_json_text(j, "outcome", lab_holds_word(lab_rule_judge(&lab_rules[i], r, k)));
    cph_json_text(j, "judged_by", lab_rules[i].experiments);
    return cli_json_print(j);
}

static cph_err sums(const struct lab_results *r)
{
    unsigned unexplained, differences = lab_results_differences(r, &unexplained);
    struct cph_json *j;

    CPH_TRY(cph_json_new(&j));
    cph_json_uint(j, "seed", r->seed);
    cph_json_uint(j, "sessions", r->sessions);
    cph_json_uint(j, "failed", r->failed);
    cph_json_uint(j, "differences", differences);
    cph_json_uint(j, "unexplained", unexplained);
    cph_json_object(j, "trial");
    cph_json_uint(j, "sessions", r->trial.sessions);
    cph_json_uint(j, "heard", r->trial.heard);
    cph_json_uint(j, "noticed", r->trial.noticed);
    cph_json_uint(j, "failures", r->trial.failures);
    cph_json_text(j, "first", r->trial.failures ? r->trial.first : NULL);
    cph_json_close(j);
    return cli_json_print(j);
}

cph_err lab_json_results(const struct lab_results *r)
{
    for (unsigned e = 0; e < r->experiments; e++)
        for (unsigned k = 0; k < r->keyings; k++)
            CPH_TRY(lab_json_outcome(lab_experiments[e]->name, r->keying[k], r->seed,
                                     &r->outcome[e][k], NULL));
    for (unsigned i = 0; i < LAB_RULES; i++)
        for (unsigned k = 0; k < r->keyings; k++)
            CPH_TRY(requirement(r, i, k));
    return sums(r);
}

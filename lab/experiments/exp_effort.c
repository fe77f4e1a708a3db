/* Best effort in each of its forms (C.3): what a call comes to with a peer that has keys and with
 * one that has not, and what an offer costs. */
#include <stdio.h>

#include "ciphony/base_wire.h"
#include "column.h"
#include "duo.h"
#include "lab.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB, FORMS = CPH_KEYING_FORM_PROBE };

struct form_seen {
    bool secure; /* keys, with a peer that has them */
    bool called; /* a call, with one that wants none */
    unsigned ops;
};

static cph_err one_call(const struct lab_case *c, enum cph_keying_form form, bool peer_has_keys,
                        struct form_seen *seen)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_stage *s;
    cph_err err;

    cfg.security = CPH_SECURITY_PREFER;
    cfg.form = form;
    cfg.of[LAB_BOB] = peer_has_keys ? CPH_SECURITY_UNSET : CPH_SECURITY_NONE;
    CPH_TRY(lab_stage_open(&cfg, &s));
    err = lab_stage_talk(s, CPH_SEC(2));
    if (peer_has_keys)
        seen->secure = err == CPH_OK && lab_stage_heard(s, LAB_ALICE, LAB_BOB) &&
                       s->person[LAB_ALICE].secured && s->person[LAB_BOB].secured;
    else
        seen->called = err == CPH_OK && lab_stage_heard(s, LAB_ALICE, LAB_BOB) &&
                       (s->person[LAB_ALICE].secured ||
                        s->person[LAB_ALICE].shown == CPH_LEVEL_OPEN);
    if (form == CPH_KEYING_FORM_CAPNEG && peer_has_keys)
        lab_case_show(c, s, "Best effort by capability negotiation (RFC 5939)");
    lab_stage_close(s);
    return err;
}

/* The offer alone. */
static cph_err cost(const struct lab_case *c, enum cph_keying_form form, unsigned *ops)
{
    struct lab_party_config a = { .keying = c->keying,
                                  .security = CPH_SECURITY_PREFER,
                                  .form = form,
                                  .who = LAB_ALICE,
                                  .peer = LAB_BOB,
                                  .draws = c->seed };
    struct lab_count before, after;
    struct lab_duo *d;
    unsigned p;
    cph_err err;

    CPH_TRY(lab_duo_new(&d));
    err = lab_duo_add(d, &a, &p);
    before = lab_count_now();
    if (err == CPH_OK)
        err = lab_duo_offer(d, p);
    after = lab_count_now();
    *ops = lab_count_between(&before, &after);
    lab_duo_free(d);
    return err;
}

static cph_err run_forms(const struct lab_case *c, struct lab_outcome *out)
{
    struct form_seen seen[FORMS + 1] = { 0 };
    char works[128];
    struct cph_wr wr = cph_wr_open(works, sizeof works);
    unsigned n = 0, most = 0, least = UINT32_MAX;
    bool calls = true;

    for (int f = CPH_KEYING_FORM_OSRTP; f <= FORMS; f++) {
        enum cph_keying_form form = (enum cph_keying_form)f;

        CPH_TRY(one_call(c, form, true, &seen[f]));
        CPH_TRY(one_call(c, form, false, &seen[f]));
        CPH_TRY(cost(c, form, &seen[f].ops));
        out->sessions += 2;
        calls &= seen[f].called;
        lab_measure(out, cph_keying_form_name(form), "public-key operations", seen[f].ops);
        if (form != CPH_KEYING_FORM_PROBE) { /* which offers nothing */
            most = seen[f].ops > most ? seen[f].ops : most;
            least = seen[f].ops < least ? seen[f].ops : least;
        }
        if (!seen[f].secure)
            continue;
        cph_wr_fmt(&wr, "%s%s", n++ ? ", " : "", cph_keying_form_name(form));
    }
    cph_wr_u8(&wr, 0);
    CPH_TRY(cph_wr_end(&wr));
    if (!calls)
        lab_say(out, "call fails", "a peer without keys could not be called in every form");
    else {
        char answer[LAB_ANSWER];

        (void)snprintf(answer, sizeof answer, "%u of %d", n, FORMS);
        lab_say(out, n ? answer : "none",
                "keys with a peer that has them by %s; without them a call in clear in each form; "
                "an offer costs %u public-key operation%s in %s",
                n ? works : "no form", most, most == 1 ? "" : "s",
                most == least ? "every form" : "the dearest");
    }
    return CPH_OK;
}

const struct lab_experiment lab_exp_forms = { "best-effort-forms", "C.3",
                                              "In how many forms can best effort be asked for?",
                                              run_forms };

/* Somebody else in the place of one of the two: not in the middle, but instead. Draft 4 R17, R18.
 */
#include "lab.h"

#include <stdio.h>

enum { A = 1 << LAB_ALICE, B = 1 << LAB_BOB, B2 = 1 << LAB_BOB2 };

/* Where Mallory sits, and what the others have to know her by. */
struct seat {
    enum lab_person place; /* LAB_BOB2: at the same address of record, besides Bob */
    bool tls, issued;      /* from phone to phone, certificates kept or of the authority */
    bool pinned, own_name;
};

struct took {
    unsigned calls, heard, checked, tls, noticed;
    enum cph_level shown; /* the best where she was heard */
};

static enum lab_person honest(const struct seat *seat)
{
    return seat->place == LAB_ALICE ? LAB_BOB : LAB_ALICE;
}

static void judge(const struct lab_case *c, const struct lab_stage *s, const struct seat *seat,
                  struct took *took)
{
    const struct lab_stage_person *p = &s->person[honest(seat)];
    struct lab_verdict_case v = {
        .active = p->heard.frames[seat->place] + s->person[seat->place].heard.frames[honest(seat)],
        .server = true,
        .media = true,
        .noticed = p->ended && p->cause != CPH_OK && p->cause != CPH_E_NOKEY,
        .shown = p->shown,
        .shown_class = p->shown_class
    };
    char what[160];

    (void)snprintf(what, sizeof what, "mallory in the place of %s%s%s%s%s",
                   lab_person_name(seat->place), seat->tls ? ", TLS" : "",
                   seat->issued ? " by the authority" : "", seat->pinned ? ", pinned" : "",
                   seat->own_name ? ", by her own name" : "");
    lab_trial_add(c, what, &v);
    took->calls++;
    took->noticed += v.noticed;
    if (!v.active)
        return;
    took->heard++;
    took->checked += seat->pinned;
    took->tls += seat->tls;
    if (p->shown > took->shown)
        took->shown = p->shown;
}

static cph_err sit(const struct lab_case *c, const struct seat *seat, const char *show,
                   struct took *took)
{
    struct lab_stage_config cfg = lab_stage_usual(c, A | B | (seat->place == LAB_BOB2 ? B2 : 0U));
    struct lab_stage *s;
    cph_err err;

    cfg.impostor = 1U << seat->place;
    cfg.own_name = seat->own_name;
    cfg.pinned = seat->pinned;
    cfg.direct = cfg.tls = seat->tls;
    cfg.issued = seat->issued;
    CPH_TRY(lab_stage_open(&cfg, &s));
    if (seat->place == LAB_BOB2) { /* she answers, and he would have */
        s->person[LAB_BOB].callee = LAB_ANSWERS_LATER;
        s->person[LAB_BOB].later = CPH_MS(500);
    }
    err = lab_stage_talk(s, CPH_SEC(3));
    if (err == CPH_E_CONFIG || err == CPH_E_NOTFOUND) /* no offer can be made: no call */
        err = CPH_OK;
    if (err == CPH_OK) {
        judge(c, s, seat, took);
        if (show)
            lab_case_show(c, s, show);
    }
    lab_stage_close(s);
    return err;
}

static cph_err run_impostor(const struct lab_case *c, struct lab_outcome *out)
{
    static const enum lab_person place[] = { LAB_BOB, LAB_ALICE, LAB_BOB2 };
    struct took took = { 0 };
    bool taken;

    for (unsigned i = 0; i < 3; i++)
        for (unsigned way = 0; way < 3; way++) /* a server, TLS with pins, TLS with an authority */
            for (unsigned more = 0; more < 4; more++) {
                struct seat seat = { .place = place[i],
                                     .tls = way > 0,
                                     .issued = way == 2,
                                     .pinned = more & 1,
                                     .own_name = more & 2 };
                bool first = i == 0 && way == 0 && more == 0;

                if (seat.place == LAB_BOB2 && seat.tls)
                    continue; /* it takes a server to have two */
                CPH_TRY(sit(c, &seat, first ? "Mallory answers in Bob's place" : NULL, &took));
            }
    out->sessions = took.calls;
    taken = took.heard && took.shown > CPH_LEVEL_PRIVATE;
    lab_measure(out, "talked to her", "calls", took.heard);
    lab_measure(out, "of them, users check", "calls", took.checked);
    lab_measure(out, "of them, over TLS", "calls", took.tls);
    lab_measure(out, "noticed", "calls", took.noticed);
    lab_say(out,
            taken        ? "taken for him"
            : took.heard ? cph_level_name(took.shown)
                         : "kept out",
            "of %u calls in which mallory, with keys and a certificate of her own, sat in the "
            "place of one of the two, in %u she was talked to (%u where users check each other), "
            "shown at best as %s",
            took.calls, took.heard, took.checked,
            took.heard ? cph_level_name(took.shown) : "nothing");
    return CPH_OK;
}

const struct lab_experiment lab_exp_impostor = {
    "impostor", "4 R17", "Somebody else in the place of one of the two: what is shown?",
    run_impostor
};

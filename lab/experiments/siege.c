#include "siege.h"

#include <stdio.h>

#include "ear.h"

enum { AB = 1 << LAB_ALICE | 1 << LAB_BOB };

static const char *const meddling[] = {
    [LAB_MEDDLE_NOT] = "nobody meddles",
    [LAB_MEDDLE_STRIP] = "offers stripped",
    [LAB_MEDDLE_SUBSTITUTE] = "fingerprints changed",
    [LAB_MEDDLE_WEAKEN] = "suites removed",
    [LAB_MEDDLE_BOTH] = "in the middle of both",
    [LAB_MEDDLE_MEDIA] = "in the middle of the media",
    [LAB_MEDDLE_ROLES] = "roles changed, and in the middle of the media",
    [LAB_MEDDLE_WEAKEN_BOTH] = "suites removed everywhere",
    [LAB_MEDDLE_INVITED] = "invited",
    [LAB_MEDDLE_MIRROR] = "the caller's own offer comes back",
    [LAB_MEDDLE_OLD] = "an answer of an earlier call",
};
_Static_assert(sizeof meddling / sizeof *meddling == LAB_MEDDLINGS, "each has a name");

static bool in_server(enum lab_meddling how)
{
    return how != LAB_MEDDLE_NOT && how != LAB_MEDDLE_MEDIA;
}

static bool in_media(enum lab_meddling how)
{
    return how == LAB_MEDDLE_MEDIA || how == LAB_MEDDLE_BOTH || how == LAB_MEDDLE_ROLES ||
           how == LAB_MEDDLE_WEAKEN_BOTH || how == LAB_MEDDLE_MIRROR;
}

void lab_siege_try(const struct lab_case *c, const struct lab_attack *a, struct lab_feat *f)
{
    static const char *const moment[] = { "", ", in mid-call", ", in the second call" };
    struct lab_verdict_case v = { .passive = f->passive,
                                  .active = f->active + f->own,
                                  .server = in_server(a->how),
                                  .media = in_media(a->how),
                                  .domain = a->domain,
                                  .noticed = f->noticed,
                                  .shown = f->shown,
                                  .shown_class = f->shown_class };
    char what[160];

    for (unsigned i = 0; f->by_phone && i < 2; i++) {
        struct lab_verdict_case one = v;

        one.passive = f->phone[i].passive;
        one.shown = f->phone[i].shown;
        one.shown_class = f->phone[i].shown_class;
        if (i == 0 || lab_shown_too_much(&one))
            v = one;
    }

    if (a->how == LAB_MEDDLE_INVITED)
        return; /* no attacker: the users gave him their keys */
    (void)snprintf(what, sizeof what, "%s%s%s%s%s, %s", meddling[a->how], moment[a->when],
                   a->pinned ? ", pinned" : "", a->form ? ", form " : "",
                   a->form ? cph_keying_form_name(a->form) : "", cph_security_name(a->security));
    f->flattered = lab_shown_too_much(&v);
    lab_trial_add(c, what, &v);
}

void lab_siege_look(const struct lab_stage *s, struct lab_feat *f)
{
    f->stands = lab_stage_heard(s, LAB_ALICE, LAB_BOB);
    f->own = s->person[LAB_ALICE].heard.frames[LAB_ALICE];
    f->keyed = s->person[LAB_ALICE].secured;
    f->shown = CPH_LEVEL_OPEN;
    f->shown_class = CPH_ATTACKER_I;
    for (unsigned i = LAB_ALICE; i <= LAB_BOB; i++) {
        const struct lab_stage_person *p = &s->person[i];

        f->plain |= p->plain;
        f->rang_without_keys |= p->incoming_n > 0 && !(p->secured && p->secured_at <= p->rang_at);
        /* Ended for a reason of security. A plain refusal of the other one does not count, and
         * neither does that there were no keys yet when the user hung up. */
        if (p->ended && p->cause != CPH_OK && p->cause != CPH_E_NOKEY && p->why[0]) {
            f->noticed = true;
            (void)snprintf(f->why, sizeof f->why, "%s", p->why);
        }
        if (p->warned[0]) {
            f->warned = true;
            (void)snprintf(f->warning, sizeof f->warning, "%s", p->warned);
        }
        f->phone[i - LAB_ALICE].shown = p->shown;
        f->phone[i - LAB_ALICE].shown_class = p->shown_class;
        if (p->shown > f->shown)
            f->shown = p->shown;
        if (p->shown_class > f->shown_class)
            f->shown_class = p->shown_class;
    }
    (void)snprintf(f->suite, sizeof f->suite, "%s",
                   s->person[LAB_ALICE].has_verdict && s->person[LAB_ALICE].verdict.streams_n
                       ? s->person[LAB_ALICE].verdict.stream[0].suite
                       : "");
}

/* ---- what happens ---------------------------------------------------------------------------- */

/* From here on it counts: packets of the record, what he decrypted before, and what is shown. */
struct from {
    size_t packet;
    uint64_t active;
};

static struct from from_here(struct lab_stage *s, const struct lab_meddler *m)
{
    struct lab_meddler_feat feat = lab_meddler_feat(m);

    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        s->person[i].shown = CPH_LEVEL_OPEN;
        s->person[i].shown_class = CPH_ATTACKER_I;
    }
    return (struct from){ lab_trace_count(s->trace), lab_heard_total(&feat.heard) };
}

/* They talk; then the server is taken over, and Alice's phone offers once more. */
static cph_err mid_call(struct lab_stage *s, struct lab_meddler *m, struct from *from)
{
    struct lab_stage_person *a = &s->person[LAB_ALICE];

    CPH_TRY(lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB));
    CPH_TRY(lab_stage_run(s, CPH_SEC(2)));
    CPH_TRY(lab_meddler_start(m, s));
    (void)!cph_phone_rekey(a->phone, a->call, lab_now(s->net));
    lab_terminal_pump(a->terminal);
    CPH_TRY(lab_stage_run(s, CPH_SEC(1)));
    *from = from_here(s, m);
    CPH_TRY(lab_stage_run(s, CPH_SEC(2)));
    lab_stage_hangup(s, LAB_ALICE);
    return lab_stage_run(s, CPH_SEC(2));
}

static cph_err second_call(struct lab_stage *s, struct lab_meddler *m, struct from *from)
{
    CPH_TRY(lab_stage_talk(s, CPH_SEC(2)));
    lab_stage_forget(s);
    CPH_TRY(lab_meddler_start(m, s));
    *from = from_here(s, m);
    return lab_stage_talk(s, CPH_SEC(3));
}

static cph_err happens(const struct lab_attack *a, struct lab_stage *s, struct lab_meddler *m,
                       struct from *from)
{
    *from = (struct from){ 0 };
    switch (a->when) {
    case LAB_MID_CALL:
        return mid_call(s, m, from);
    case LAB_SECOND_CALL:
        return second_call(s, m, from);
    case LAB_FROM_THE_START:
        break;
    }
    if (a->how != LAB_MEDDLE_NOT)
        CPH_TRY(lab_meddler_start(m, s));
    return lab_stage_talk(s, CPH_SEC(3));
}

static cph_err by_phone(const struct lab_case *c, const struct lab_stage *s, size_t from,
                        struct lab_feat *f)
{
    for (unsigned i = LAB_ALICE; i <= LAB_BOB; i++) {
        struct lab_ear *ear;

        CPH_TRY(lab_ear_new(c->seed, &ear));
        (void)lab_ear_read_signalling(ear, s->trace);
        /* What a phone threw away it does not answer for. */
        lab_ear_listen_at(ear, s->trace, from, lab_person_ip((enum lab_person)i),
                          s->person[i].heard.frames[i == LAB_ALICE ? LAB_BOB : LAB_ALICE] > 0);
        f->phone[i - LAB_ALICE].passive = lab_heard_total(lab_ear_heard(ear));
        lab_ear_free(ear);
    }
    f->by_phone = true;
    return CPH_OK;
}

static void count(struct lab_ear *ear, const struct lab_stage *s, const struct lab_meddler *m,
                  const struct from *from, struct lab_feat *f)
{
    struct lab_meddler_feat feat = lab_meddler_feat(m);

    lab_ear_listen(ear, s->trace, from->packet);
    f->media = lab_heard_total(lab_ear_heard(ear));
    (void)lab_ear_read_signalling(ear, s->trace);
    lab_ear_listen(ear, s->trace, from->packet);
    f->passive = lab_heard_total(lab_ear_heard(ear));
    f->active = lab_heard_total(&feat.heard) - from->active;
    lab_siege_look(s, f);
}

cph_err lab_attacked(const struct lab_case *c, const struct lab_attack *a, struct lab_feat *f,
                     const char *show)
{
    struct lab_stage_config cfg = lab_stage_usual(c, AB);
    struct lab_meddler *m = NULL;
    struct lab_stage *s = NULL;
    struct lab_ear *ear = NULL;
    struct from from;
    cph_err err;

    *f = (struct lab_feat){ 0 };
    cfg.pinned = a->pinned;
    cfg.once = a->once;
    cfg.security = a->security;
    cfg.strangers = a->strangers;
    cfg.form = a->form;
    cfg.precondition = a->precondition;
    cfg.resume = a->when == LAB_SECOND_CALL;
    CPH_TRY(lab_meddler_new(a->how, c->keying, c->seed, &m));
    lab_meddler_name(m, a->old_zid);
    lab_meddler_place(m, &cfg);
    err = lab_ear_new(c->seed, &ear);
    if (err == CPH_OK)
        err = lab_stage_open(&cfg, &s);
    if (err == CPH_OK)
        err = happens(a, s, m, &from);
    if (err == CPH_E_CONFIG ||
        err == CPH_E_NOTFOUND) { /* the phone would not even dial: something is missing */
        (void)snprintf(f->why, sizeof f->why, "the caller cannot make an offer");
        err = CPH_OK;
    } else if (err == CPH_OK) {
        count(ear, s, m, &from, f);
        err = f->passive ? by_phone(c, s, from.packet, f) : CPH_OK;
        lab_siege_try(c, a, f);
        if (show)
            lab_case_show(c, s, show);
    }
    lab_stage_close(s);
    lab_ear_free(ear);
    lab_meddler_free(m);
    return err;
}

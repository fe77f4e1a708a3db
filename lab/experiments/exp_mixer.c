/* Conferences and recording: a mixer that holds several calls, and who may hear what it mixes.
 * Draft B.3, 4 R23, R25; RFC 8870 for one encrypted stream that serves all. */
#include "duo.h"
#include "lab.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/srtp_ekt.h"
#include "mixer.h"
#include "recorder.h"

enum { CALLERS = 3, SSRC = 0x22222222 };

static const enum lab_person callers[CALLERS] = { LAB_ALICE, LAB_BOB, LAB_BOB2 };

/* ---- one stream for all ---------------------------------------------------------------------- */

/* The mixer calls three, with a session for each. What the first one protects is given to all: how
 * many can read it? */
static cph_err readers(const struct lab_case *c, const struct cph_ekt_params *set, unsigned *n)
{
    unsigned host[CALLERS], guest[CALLERS];
    uint8_t plain[LAB_FRAME], wire[LAB_WIRE];
    struct lab_duo *d;
    cph_err err;
    size_t len = 0;

    *n = 0;
    CPH_TRY(lab_duo_new(&d));
    for (unsigned i = 0; i < CALLERS; i++) {
        struct lab_party_config h = { .keying = c->keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = LAB_CAROL,
                                      .peer = callers[i],
                                      .ssrc = SSRC,
                                      .ekt = set,
                                      .draws = set ? c->seed * 10 + i : c->seed };
        struct lab_party_config g = { .keying = c->keying,
                                      .security = CPH_SECURITY_REQUIRED,
                                      .who = callers[i],
                                      .peer = LAB_CAROL,
                                      .takes_ekt = set != NULL,
                                      .draws = c->seed * 100 + i };

        err = lab_duo_add(d, &h, &host[i]);
        if (err == CPH_OK)
            err = lab_duo_add(d, &g, &guest[i]);
        if (err == CPH_OK)
            err = lab_duo_connect(d, host[i], &guest[i], 1, true);
        if (err != CPH_OK)
            goto out;
    }
    lab_speech_frame(c->seed, LAB_CAROL, 0, plain);
    lab_duo_protect(d, host[0], SSRC, 1, plain, wire, &len);
    for (unsigned i = 0; i < CALLERS; i++)
        *n += lab_duo_take(d, guest[i], host[i], wire, len, plain);
out:
    lab_duo_free(d);
    return err;
}

static void draw_set(uint64_t seed, struct cph_ekt_params *set)
{
    *set = (struct cph_ekt_params){ .spi = 1, .cipher = CPH_EKT_AESKW128, .ttl_s = 3600 };
    set->key.n = cph_ekt_key_size(set->cipher);
    set->salt.n = CPH_SECRET_MAX < 14 ? CPH_SECRET_MAX : 14; /* the longest that a suite has */
    memset(set->key.b, (int)(seed & 0x7f) + 1, set->key.n);  /* a conference of the lab */
    memset(set->salt.b, (int)(seed & 0x7f) + 2, set->salt.n);
}

/* ---- a conference ---------------------------------------------------------------------------- */

struct conference {
    struct lab_stage *s;
    struct lab_mixer *mixer;
};

static void close_conference(struct conference *f)
{
    lab_stage_close(f->s); /* its calls hold legs of the mixer */
    lab_mixer_free(f->mixer);
}

/* Carol's phone becomes a mixer; three call it; Alice speaks. */
static cph_err open_conference(const struct lab_case *c, unsigned more, lab_filter_fn *filter,
                               void *filter_ctx, struct conference *f)
{
    struct lab_stage_config cfg = lab_stage_usual(c, 1U << LAB_CAROL | more);

    *f = (struct conference){ 0 };
    for (unsigned i = 0; i < CALLERS; i++)
        cfg.people |= 1U << callers[i];
    cfg.filter = filter;
    cfg.filter_ctx = filter_ctx;
    CPH_TRY(lab_stage_open(&cfg, &f->s));
    lab_trace_name(f->s->trace, lab_person_ip(LAB_CAROL), "mixer");
    CPH_TRY(lab_mixer_new(f->s->net, &f->mixer));
    f->s->person[LAB_CAROL].sound = lab_mixer_sound;
    f->s->person[LAB_CAROL].sound_ctx = f->mixer;
    for (unsigned i = 0; i < CALLERS; i++) {
        f->s->person[callers[i]].mute = callers[i] != LAB_ALICE;
        CPH_TRY(lab_stage_dial(f->s, callers[i], "carol", LAB_CAROL));
        CPH_TRY(lab_stage_run(f->s, CPH_MS(200)));
    }
    return lab_stage_run(f->s, CPH_SEC(2));
}

static cph_err end_conference(struct conference *f)
{
    for (unsigned i = 0; i < CALLERS; i++)
        lab_stage_hangup(f->s, callers[i]);
    return lab_stage_run(f->s, CPH_SEC(2));
}

static cph_err run_conference(const struct lab_case *c, struct lab_outcome *out)
{
    struct cph_ekt_params set;
    unsigned plain = 0, ekt = 0;
    struct conference f;
    uint64_t bob = 0, bob2 = 0;
    const char *how;
    cph_err err = open_conference(c, 0, NULL, NULL, &f);

    if (err == CPH_OK) {
        bob = f.s->person[LAB_BOB].heard.frames[LAB_ALICE];
        bob2 = f.s->person[LAB_BOB2].heard.frames[LAB_ALICE];
        lab_measure(out, "legs of the mixer", "calls", lab_mixer_most(f.mixer));
        err = end_conference(&f);
        lab_case_show(c, f.s, "Three in a conference; one speaks");
    }
    close_conference(&f);
    CPH_TRY(err);
    draw_set(c->seed, &set);
    CPH_TRY(readers(c, NULL, &plain));
    if (readers(c, &set, &ekt) != CPH_OK)
        ekt = 0;
    cph_ekt_params_wipe(&set);
    out->sessions = CALLERS + 2 * CALLERS;
    lab_measure(out, "heard by the second", "frames", (double)bob);
    lab_measure(out, "heard by the third", "frames", (double)bob2);
    lab_measure(out, "readers of one stream", "of 3", plain);
    lab_measure(out, "readers with EKT", "of 3", ekt);
    if (!bob || !bob2) {
        lab_say(out, "no", "the others do not hear who speaks");
        return CPH_OK;
    }
    how = plain == CALLERS ? "one stream" : ekt == CALLERS ? "one with EKT" : "one each";
    lab_say(out, "",
            "two hear the third through the mixer, which decrypts and encrypts anew; of three "
            "participants %u can read one stream of its, %u when it tells its keys by EKT",
            plain, ekt);
    (void)snprintf(out->answer, sizeof out->answer, "yes, %s", how);
    return CPH_OK;
}

const struct lab_experiment lab_exp_conference = {
    "conference", "B.3", "Does a mixer serve three, and with how many encrypted streams?",
    run_conference
};

/* ---- recording ------------------------------------------------------------------------------- */

/* Mallory's place has the recorder that the mixer calls; another one stands at the wire. */
static cph_err run_recording(const struct lab_case *c, struct lab_outcome *out)
{
    struct lab_recorder told = { .seed = c->seed }, wire = { .seed = c->seed };
    uint64_t got = 0, overheard;
    struct conference f;
    cph_err err = open_conference(c, 1U << LAB_MALLORY, lab_recorder_pass, &wire, &f);

    if (err == CPH_OK) {
        told.net = f.s->net;
        lab_trace_name(f.s->trace, lab_person_ip(LAB_MALLORY), "recorder");
        f.s->person[LAB_MALLORY].sound = lab_recorder_sound;
        f.s->person[LAB_MALLORY].sound_ctx = &told;
        err = lab_stage_dial(f.s, LAB_CAROL, "mallory", LAB_MALLORY);
    }
    if (err == CPH_OK)
        err = lab_stage_run(f.s, CPH_SEC(2));
    got = told.heard.frames[LAB_ALICE];
    if (err == CPH_OK) {
        lab_stage_hangup(f.s, LAB_CAROL);
        err = end_conference(&f);
        lab_case_show(c, f.s, "A mixer that calls a recorder");
    }
    close_conference(&f);
    CPH_TRY(err);
    overheard = wire.heard.frames[LAB_ALICE];
    out->sessions = CALLERS + 1;
    lab_measure(out, "recorded by who is called", "frames", (double)got);
    lab_measure(out, "packets kept at the wire", "packets", (double)wire.packets);
    lab_measure(out, "understood at the wire", "frames", (double)overheard);
    lab_say(
        out,
        got && !overheard ? "only if told"
        : got             ? "by anybody"
                          : "no",
        "the recorder that the mixer calls hears %llu frames, that at the wire kept %llu packets "
        "and understands %llu frames of them",
        (unsigned long long)got, (unsigned long long)wire.packets, (unsigned long long)overheard);
    return CPH_OK;
}

const struct lab_experiment lab_exp_recording = {
    "recording", "4 R23", "Who can record: the one a mixer calls, or anybody at the wire?",
    run_recording
};

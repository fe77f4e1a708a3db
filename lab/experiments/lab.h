/*
 * The experiments. Each is a row: a name, the section of draft-wing-media-security-requirements-05
 * it reproduces, and a function that runs real sessions and reads the answer off them. The outcome
 * is a function of experiment, keying and seed.
 */
#ifndef CPH_LAB_LAB_H
#define CPH_LAB_LAB_H

#include "stage.h"

enum {
    LAB_ANSWER = 24,
    LAB_DETAIL = 240,
    LAB_VALUES = 12,
    LAB_LADDER = 160,
    LAB_HOSTS = 8,
    LAB_MODES = 6
};

struct lab_value {
    const char *name; /* static: "clipped" */
    const char *unit; /* static: "ms" */
    double v;
};

/* What an experiment found. */
struct lab_outcome {
    char answer[LAB_ANSWER]; /* a word or two, for a cell */
    char detail[LAB_DETAIL]; /* one sentence: what was seen */
    struct lab_value value[LAB_VALUES];
    unsigned n_values;
    unsigned sessions; /* calls that were run for it */
    /* The answer in each mode of a mechanism of several, the one it likes best first; what stands
     * above is of that one, but the answer is LAB_DEPENDS_ON_MODE where they differ. 0: not asked.
     */
    struct {
        const char *name; /* static: "dhsign" */
        char answer[LAB_ANSWER];
    } mode[LAB_MODES];
    unsigned modes;
};

#define LAB_DEPENDS_ON_MODE "depends on the mode" /* as the draft says it */

/* The ladder of one call, as it was. */
struct lab_ladder {
    char title[96];
    char host[LAB_HOSTS][16];
    unsigned hosts;
    struct lab_step step[LAB_LADDER];
    size_t n;
    char *text; /* the same as text; free() */
};

/* Every attacked session: what the user was shown, what the attacker got. */
struct lab_trial {
    unsigned sessions, heard, noticed;
    unsigned peers;    /* heard by nobody but a device that holds the called user's own keys */
    unsigned failures; /* shown better than it was */
    char first[LAB_DETAIL];
};

struct lab_case {
    const char *keying; /* name of a column */
    uint64_t seed;
    struct lab_ladder *ladder; /* filled by the experiment's most telling call; NULL: not wanted */
    struct lab_trial *trial;   /* NULL: nobody counts */
};

struct lab_experiment {
    const char *name, *section;
    const char *title; /* a question */
    cph_err (*run)(const struct lab_case *c, struct lab_outcome *out);
};

extern const struct lab_experiment *const lab_experiments[]; /* ends with NULL */
const struct lab_experiment *lab_experiment_find(const char *name);

/** Run one; also sets out->answer to "failed" when it could not be run at all. What appendices B
 * and C compare is asked of each mode. */
CPH_MUST_CHECK cph_err lab_run_one(const struct lab_experiment *e, const struct lab_case *c,
                                   struct lab_outcome *out);

/* ---- for experiments ------------------------------------------------------------------------- */

void lab_say(struct lab_outcome *out, const char *answer, const char *fmt, ...) CPH_PRINTF(3, 4);
/** More words behind what was said. */
void lab_add(struct lab_outcome *out, const char *fmt, ...) CPH_PRINTF(2, 3);
void lab_measure(struct lab_outcome *out, const char *name, const char *unit, double v);
double lab_value_of(const struct lab_outcome *out, const char *name); /* -1: not measured */
/** Keep the ladder of this stage if somebody wants it. */
void lab_case_show(const struct lab_case *c, const struct lab_stage *s, const char *title);
/** The usual stage: a SIP server, 20 ms each way, policy required. */
struct lab_stage_config lab_stage_usual(const struct lab_case *c, unsigned people);
/** Milliseconds of bob since his answer that alice never heard: what he could not send yet, and
 * what she did not play although later frames were. Where her phone played faster, two frames sound
 * in the time of one, and neither is known again: they were heard. -1: she heard nothing. */
double lab_clipped(const struct lab_stage *s);
/** Public-key operations and handshakes begun so far in this process. */
struct lab_count {
    unsigned signs, verifies, generates, agreements, envelopes, handshakes;
};
struct lab_count lab_count_now(void);
unsigned lab_count_between(const struct lab_count *a, const struct lab_count *b);

/* One attacked call: what the attacker got, where he was, and what the phones showed. */
struct lab_verdict_case {
    uint64_t passive;   /* frames heard by listening, once he had read or changed the signalling */
    uint64_t active;    /* frames decrypted in the middle of the media */
    bool server, media; /* he changed things there */
    bool domain;        /* he is the server that the users trust with their domain */
    bool noticed;
    bool peer; /* a device with the called user's own keys heard it, and could not without them */
    enum cph_level shown;
    enum cph_attacker shown_class;
};
/** Was more shown than is true? Heard by listening: at most hop, and class I, or II if he had to
 * change the signalling. Heard in the middle: class I or II and hop if one place was enough, else
 * class III and at most private, or identified if it is the domain itself that lies. */
bool lab_shown_too_much(const struct lab_verdict_case *v);
/** Count it in c->trial. */
void lab_trial_add(const struct lab_case *c, const char *what, const struct lab_verdict_case *v);

/* Rows, by file. */
extern const struct lab_experiment lab_exp_forking, lab_exp_retargeting, lab_exp_forwarding,
    lab_exp_who, lab_exp_association, lab_exp_mixed_fork, lab_exp_clipping, lab_exp_rekeying,
    lab_exp_best_effort, lab_exp_forms, lab_exp_pki, lab_exp_pfs, lab_exp_messages,
    lab_exp_validity, lab_exp_gate, lab_exp_inspection, lab_exp_b2bua, lab_exp_early_dialog,
    lab_exp_loss, lab_exp_gateway, lab_exp_nat; /* stage based */
extern const struct lab_experiment lab_exp_pad, lab_exp_central_mixer, lab_exp_central_user,
    lab_exp_ssrc, lab_exp_roc, lab_exp_offer_cost, lab_exp_resume, lab_exp_agility,
    lab_exp_no_sip; /* session based */
extern const struct lab_experiment lab_exp_class, lab_exp_class_pinned, lab_exp_downgrade,
    lab_exp_dos, lab_exp_intercept, lab_exp_media_only, lab_exp_over_tls, lab_exp_hop,
    lab_exp_upgrade, lab_exp_shared, lab_exp_replay, lab_exp_inject, lab_exp_mid_call,
    lab_exp_second, lab_exp_forms_attacked, lab_exp_precondition, lab_exp_offer_again,
    lab_exp_impostor, lab_exp_taken_over, lab_exp_false_answer; /* attacks */
extern const struct lab_experiment lab_exp_chain, lab_exp_rtp_only, lab_exp_conference,
    lab_exp_recording; /* other nodes */

#endif

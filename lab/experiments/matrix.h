/* All experiments with all mechanisms, beside what the draft says, and the requirements R1 to R26.
 */
#ifndef CPH_LAB_MATRIX_H
#define CPH_LAB_MATRIX_H

#include "lab.h"

/* ---- the draft's own answers (data/seed003.txt) ---------------------------------------------- */

struct lab_said {
    char mechanism[24], experiment[24], answer[48], section[8], reason[240];
};
/** The i-th line of the data; false past the end. */
bool lab_said_at(unsigned i, struct lab_said *out);
bool lab_said_find(const char *mechanism, const char *experiment, struct lab_said *out);
/** Is the answer one of those the draft allows ("a/b")? True if it says nothing. */
bool lab_said_agrees(const struct lab_said *said, const char *answer);

/* ---- results --------------------------------------------------------------------------------- */

enum { LAB_METHODS = 24, LAB_EXPERIMENTS = 64 };

struct lab_results {
    uint64_t seed;
    const char *keying[LAB_METHODS];
    unsigned keyings, experiments, sessions, failed;
    struct lab_outcome outcome[LAB_EXPERIMENTS][LAB_METHODS];
    struct lab_ladder ladder[LAB_EXPERIMENTS][LAB_METHODS];
    struct lab_trial trial;
};

typedef void lab_progress_fn(void *ctx, unsigned done, unsigned all);

/** keying: "sdes,dtls", NULL: every column. CPH_E_NOTFOUND for a name that is none.
 * ladders: keep them (for the report). */
CPH_MUST_CHECK cph_err lab_results_run(const char *keying, uint64_t seed, bool ladders,
                                       lab_progress_fn *progress, void *ctx,
                                       struct lab_results **out);
void lab_results_free(struct lab_results *r);
const struct lab_outcome *lab_results_of(const struct lab_results *r, const char *experiment,
                                         unsigned keying);
/** Differences from the draft; unexplained: those without a sentence. */
unsigned lab_results_differences(const struct lab_results *r, unsigned *unexplained);

/* ---- R1 to R26 ------------------------------------------------------------------------------- */

enum lab_holds {
    LAB_HOLDS,
    LAB_FAILS,
    LAB_CONFLICT, /* with another requirement */
    LAB_EXCEPTED, /* it fails where the requirement itself allows it */
    LAB_DEPENDS,  /* on the mode */
    LAB_NOT_TRIED
};

/* What a rule looks at: a column, and where its modes were tried, one of them. */
struct lab_view {
    const struct lab_results *results;
    unsigned keying, mode;
};

struct lab_rule {
    const char *name, *text; /* "R3", a few words */
    const char *experiments; /* by which it is judged */
    enum lab_holds (*judge)(const struct lab_view *v);
};
extern const struct lab_rule lab_rules[]; /* 26 of them */
enum { LAB_RULES = 26 };
/** LAB_DEPENDS if its modes differ in it. */
enum lab_holds lab_rule_judge(const struct lab_rule *rule, const struct lab_results *r,
                              unsigned keying);
const char *lab_holds_word(enum lab_holds h);

/** The tables as Markdown. */
void lab_results_markdown(const struct lab_results *r, struct cph_buf *out);
/** The whole report: one HTML page that needs nothing else. */
void lab_results_html(const struct lab_results *r, struct cph_buf *out);

#endif

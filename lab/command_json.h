/* What ciphony lab says for programs: one JSON object a line. */
#ifndef CPH_LAB_COMMAND_JSON_H
#define CPH_LAB_COMMAND_JSON_H

#include "matrix.h"

/** {"experiment","section","question"} for each, then {"keying","title"} for each. */
CPH_MUST_CHECK cph_err lab_json_list(void);
/** One outcome, beside the draft's answer if it has one; with the ladder, unless it is NULL. */
CPH_MUST_CHECK cph_err lab_json_outcome(const char *experiment, const char *keying, uint64_t seed,
                                        const struct lab_outcome *o, const struct lab_ladder *l);
/** Every outcome, every requirement, and one line with the sums and the trial of the verdict. */
CPH_MUST_CHECK cph_err lab_json_results(const struct lab_results *r);

#endif

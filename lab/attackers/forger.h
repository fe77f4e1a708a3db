/* Who sends packets in others' names. */
#ifndef CPH_LAB_FORGER_H
#define CPH_LAB_FORGER_H

#include "stage.h"

/** 50 frames of Mallory's in clear and 50 with a made-up tag, from the address that `who` sends
 * media from, with his SSRC and next numbers, over a second; and his good-bye (RTCP). *any: there
 * was media of his to imitate. */
CPH_MUST_CHECK cph_err lab_forge(struct lab_stage *s, enum lab_person who, bool *any);
/** The same in clear alone to the first media port of `to`, who was not sent anything yet. */
CPH_MUST_CHECK cph_err lab_forge_early(struct lab_stage *s, enum lab_person who,
                                       enum lab_person to);

#endif

/*
 * Who meddles: an attacker in the SIP server, on the media path, or in both. What he can do in the
 * server is change descriptions; on the media path, swallow and send packets in anybody's name.
 */
#ifndef CPH_LAB_MEDDLER_H
#define CPH_LAB_MEDDLER_H

#include "stage.h"

enum lab_meddling {
    LAB_MEDDLE_NOT,
    LAB_MEDDLE_STRIP,      /* server: takes every offer of keys out of the descriptions */
    LAB_MEDDLE_SUBSTITUTE, /* server: puts in his own fingerprints and keys */
    LAB_MEDDLE_WEAKEN, /* server: leaves the last suite on offer, and SDES of several mechanisms */
    LAB_MEDDLE_BOTH,   /* server and media: in the middle of both, with his own keys */
    LAB_MEDDLE_MEDIA,  /* media path: the same, but the signalling passes as it is */
    LAB_MEDDLE_ROLES,  /* the same, and the server changes who begins (a=setup) */
    LAB_MEDDLE_WEAKEN_BOTH, /* WEAKEN, and the same with what makes keys on the media path */
    LAB_MEDDLE_INVITED,     /* in the middle of both, with the keys of each towards the other */
    LAB_MEDDLE_MIRROR,      /* the caller's own offer and packets come back as the callee's */
    LAB_MEDDLE_OLD,         /* server: the answer of a call before he began comes again */
    LAB_MEDDLINGS
};

struct lab_meddler;

struct lab_meddler_feat {
    struct lab_heard heard; /* what he could decrypt */
    unsigned changed;       /* descriptions */
    unsigned keyed;         /* sessions of his that got keys: 2 is both victims */
    uint64_t relayed;       /* packets passed on after reading them */
};

CPH_MUST_CHECK cph_err lab_meddler_new(enum lab_meddling how, const char *keying, uint64_t seed,
                                       struct lab_meddler **out);
void lab_meddler_free(struct lab_meddler *m);
/** In the middle he says, to each, the ZID that the other one has: anybody can read it in a Hello.
 */
void lab_meddler_name(struct lab_meddler *m, bool old_zid);
/** Put him where he is to be; before lab_stage_open(). */
void lab_meddler_place(struct lab_meddler *m, struct lab_stage_config *cfg);
/** ... and after it. */
CPH_MUST_CHECK cph_err lab_meddler_start(struct lab_meddler *m, struct lab_stage *s);
struct lab_meddler_feat lab_meddler_feat(const struct lab_meddler *m);

#endif

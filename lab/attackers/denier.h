/* Who refuses calls in others' names. */
#ifndef CPH_LAB_DENIER_H
#define CPH_LAB_DENIER_H

#include "stage.h"

/* He sits on the caller's way to her server: swallows her INVITEs and answers them with 488. */
struct lab_denier {
    struct lab_stage *stage; /* put here when it is open; before, he does nothing */
    /* Number of an Error message of MIKEY (RFC 3830 6.12) that the 488 has about her offer, made
     * from what is written in it; negative: none, a bare 488. */
    int error;
    unsigned at_most; /* INVITEs, and the rest go on; 0: all of them */
    unsigned refused;
};

/** For lab_stage_config.filter, with the denier as filter_ctx. */
bool lab_deny(void *ctx, const struct lab_packet *p);

#endif

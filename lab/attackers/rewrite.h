/* What an attacker in a server makes of a description, as text. */
#ifndef CPH_LAB_REWRITE_H
#define CPH_LAB_REWRITE_H

#include "meddler.h"

/** As this kind of meddling has it: STRIP, SUBSTITUTE, WEAKEN, WEAKEN_BOTH, ROLES; any other leaves
 * it as it is. */
void lab_rewrite(enum lab_meddling how, struct cph_span sdp, struct cph_wr *out);
/** A caller's own offer, as an answer to it that seems to come from another host. */
void lab_rewrite_mirror(struct cph_span offer, const char *from_ip, const char *to_ip,
                        struct cph_wr *out);

#endif

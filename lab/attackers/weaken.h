/*
 * Take the good suites off an offer, wherever it stands: in a description (a=crypto, shares, MIKEY,
 * MIKEYv2), or in packets on the media path (DTLS, ZRTP, MIKEYv2). Of several the worst is left;
 * sums that need no key are made right again.
 */
#ifndef CPH_LAB_WEAKEN_H
#define CPH_LAB_WEAKEN_H

#include "ciphony/base.h"
#include "ciphony/base_wire.h"

enum { LAB_WEAKEN_LINE = 12288 };

/** The same description with less on offer. */
void lab_weaken_sdp(struct cph_span sdp, struct cph_wr *out);
/** A keying packet with less on offer in it; false if it offers nothing that could be less. */
bool lab_weaken_packet(struct cph_span packet, struct cph_wr *out);
/** Is it a line that offers keys, in any mechanism? */
bool lab_is_key_line(struct cph_span line);

#endif

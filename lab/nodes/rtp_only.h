/*
 * A telephone of old: answers every call that offers RTP/AVP, in RTP, and knows nothing of SRTP. It
 * does not look at attributes it does not know, and refuses an offer under another profile with
 * 488. No engine of ours is in it.
 */
#ifndef CPH_LAB_RTP_ONLY_H
#define CPH_LAB_RTP_ONLY_H

#include "speech.h"

struct lab_rtp_only;

struct lab_rtp_only_state {
    unsigned invites, refused, answered, ended;
    bool offer_had_keys; /* and it did not care */
    struct lab_heard said, heard;
};

/** It is called at sip:USER@ip, UDP port 5060, and speaks as this speaker. */
CPH_MUST_CHECK cph_err lab_rtp_only_new(struct lab_net *net, const char *ip, uint64_t seed,
                                        unsigned speaker, struct lab_rtp_only **out);
/** Before the network. NULL is fine. */
void lab_rtp_only_free(struct lab_rtp_only *o);
const struct lab_rtp_only_state *lab_rtp_only_state(const struct lab_rtp_only *o);

#endif

/* The negotiation of one m= line from the inside: nego.c the object and what came of it,
 * nego_offer.c our offer and its answer, nego_answer.c the peer's offer, nego_caps.c configurations
 * (RFC 5939), nego_path.c the media path. */
#ifndef CPH_KEYING_NEGO_INT_H
#define CPH_KEYING_NEGO_INT_H

#include "keying_int.h"

#include "ciphony/sdp_caps.h"

struct slot {
    const struct cph_keying_method *method;
    struct cph_keying *k; /* NULL until it is needed */
};

/* A potential configuration of our offer: one mechanism under its own profile. */
struct nego_config {
    uint32_t number, transport;
    enum cph_sdp_proto proto;
    struct cph_sdp_caps_refs attrs;
    unsigned slot;
};

struct cph_nego {
    struct cph_nego_cfg cfg;
    struct slot slot[CPH_KEYING_MAX_METHODS]; /* in policy order */
    unsigned n;
    unsigned spared;            /* slots that are only answered: bits */
    unsigned generations[2];    /* of instances that were chosen before, by direction */
    int chosen;                 /* slot, or -1 */
    int probing;                /* slot that asks on the media path while RTP flows, or -1 */
    bool open;                  /* our offer may be answered */
    enum cph_sdp_proto profile; /* of the exchange that holds, or of our offer */
    enum cph_sdp_proto offered_profile;
    bool plain_offered; /* the same stream without keys, in another section */
    enum cph_nego_outcome outcome;
    unsigned offered;      /* methods of our offer, as bits of slots */
    unsigned peer_offered; /* the peer's, as bits of the table */
    struct nego_config config[CPH_KEYING_MAX_METHODS];
    unsigned configs;
    bool reoffer; /* what was agreed is not yet what stands in the m= line */
    bool gave_reason;
    unsigned notes;
    bool cryptex_offered, cryptex; /* we said it; both did */
    cph_err err;
    const char *why;
};

/* ---- nego.c ---------------------------------------------------------------------------------- */

cph_err nego_slot_open(struct cph_nego *n, unsigned i);
/** Nobody but the chosen one is needed any more. */
void nego_drop_others(struct cph_nego *n);
/** The next instance's generations go on where those of this one end. */
void nego_retire(struct cph_nego *n);
/** The stream is gone or in clear: what keys there were are not used again. */
void nego_forget(struct cph_nego *n);
bool nego_has_keys(const struct cph_nego *n);
cph_err nego_settle(struct cph_nego *n, enum cph_nego_outcome outcome, const char *why);
/** An exchange that went wrong: it does not take away what an earlier one gave. */
cph_err nego_fail(struct cph_nego *n, cph_err err, const char *why);
void nego_choose(struct cph_nego *n, unsigned i, enum cph_sdp_proto profile);
cph_err nego_removed(struct cph_nego *n, const char *why);
/** RFC 5764 8: UDP/TLS/RTP/SAVP(F) says DTLS, whatever else stands in the section. */
bool nego_fits_profile(const struct cph_keying_method *m, enum cph_sdp_proto p);
/** Methods whose attributes the section has, as bits of slots; those of the table are added to
 * *table, for the evidence. */
unsigned nego_present(const struct cph_nego *n, const struct cph_keying_remote *r, unsigned *table);
/** The same profile with or without feedback. */
enum cph_sdp_proto nego_with_feedback(enum cph_sdp_proto p, bool feedback);
bool nego_says_cryptex(const struct cph_keying_remote *r);
extern const char nego_cryptex[];
/** a=encryption:<how> */
enum nego_wish { NEGO_WISH_NONE, NEGO_WISH_OPTIONAL, NEGO_WISH_REQUIRED, NEGO_WISH_REJECTED };
enum nego_wish nego_wish_of(const struct cph_keying_remote *r);
extern const char nego_encryption[];
/** The error is a matter of ours (memory, a bug), not of what the peer sent. */
bool nego_is_ours(cph_err err);

/* ---- nego_caps.c ----------------------------------------------------------------------------- */

/** Write every mechanism into a configuration of its own; those made for RTP/AVP into the section
 * itself. Returns what the section itself offers in *offered, as bits of slots. */
cph_err nego_caps_offer(struct cph_nego *n, const struct cph_keying_local *offer,
                        unsigned *offered);
/** The configuration of ours that this answer answers; NULL if it answers the m= line. */
const struct nego_config *nego_caps_answered(const struct cph_nego *n,
                                             const struct cph_keying_remote *answer);

/* Ways to read the peer's offer: its configurations, its favourite first, then the m= line. */
struct nego_ways {
    struct cph_sdp_configs all;
    unsigned n; /* with the m= line itself */
};
void nego_ways_of(const struct cph_keying_remote *offer, struct nego_ways *out);
/** The offer as way i reads it, in arena (*config NULL: as it is). CPH_E_UNSUPPORTED: our answer's
 * section does not fit it. */
cph_err nego_way(const struct nego_ways *w, unsigned i, const struct cph_keying_remote *offer,
                 const struct cph_keying_local *answer, struct cph_arena *arena,
                 struct cph_keying_remote *out, const struct cph_sdp_config **config);
/** Say in the answer which way was taken. */
cph_err nego_way_taken(const struct cph_sdp_config *config, const struct cph_keying_local *answer);
/** RFC 5939 3.6.2 MUST: where an extension is lacking, what we have is said. */
cph_err nego_way_lacking(const struct nego_ways *w, const struct cph_keying_local *answer);

/* ---- nego_path.c ----------------------------------------------------------------------------- */

/** RTP it is: a mechanism that can ask on the media path does so meanwhile. */
void nego_probe(struct cph_nego *n);
void nego_probe_stop(struct cph_nego *n);

#endif

/* MIKEYv2 in band: one stream's instance, between its row (inband_row.c) and the media path
 * (inband.c). */
#ifndef CPH_MIKEYV2_INBAND_INT_H
#define CPH_MIKEYV2_INBAND_INT_H

#include "parts_int.h"

enum { V2_OPENERS = 5 }; /* that are sent, and that are followed */

/* Which message of the run goes out. */
enum v2_out { OUT_HELLO_I, OUT_HELLO_R, OUT_PROOF };

/* Answers that were given of late. */
struct v2_allowance {
    unsigned used;
    cph_time since;
};

struct v2band {
    struct v2 v2;
    bool open, first;
    bool ready;     /* offer and answer are through: there is somewhere to send to */
    bool begins;    /* we are to */
    bool anew;      /* and once more, for new keys */
    bool opening;   /* an opener is to go */
    unsigned opens; /* still */
    bool has_to;    /* where the peer's messages come from */
    struct cph_addr to;
    struct cph_addr named; /* where the last description says that the peer is */
    struct cph_addr home;  /* the same, until a proof came from elsewhere; family NONE: unknown */
    bool from_home;        /* the run that the peer began was begun from there */
    enum v2_out out;
    unsigned at, parts; /* next part of it; 0 parts: nothing goes out */
    cph_time again;     /* initiator: when to repeat */
    cph_time pause;
    unsigned tries, proofs;          /* proofs: of ours, over all runs for these keys */
    unsigned opened;                 /* openers that were followed */
    struct v2_allowance answered[2]; /* [1]: home, whom nobody can use it up who is elsewhere */
    struct v2_gather in;
};

/* inband.c: the row's, see keying_int.h. */
bool v2_band_claims(struct cph_span packet);
cph_err v2_band_pull(struct cph_keying *base, struct cph_keying_packet *out, cph_time now);
cph_time v2_band_deadline(const struct cph_keying *base);
void v2_band_tick(struct cph_keying *base, cph_time now);
cph_err v2_band_feed(struct cph_keying *base, enum cph_keying_component component,
                     const struct cph_addr *from, struct cph_span packet, cph_time now);
/** Nothing is to be repeated. */
void v2_band_disarm(struct v2band *k);

#endif

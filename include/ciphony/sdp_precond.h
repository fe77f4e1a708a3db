/* Ciphony: preconditions in descriptions: what must be so before the phone rings. RFC 3312 4, RFC
 * 5027. */
#ifndef CPH_SDP_PRECOND_H
#define CPH_SDP_PRECOND_H

#include "ciphony/sdp.h"

/* Zero is "not said"; in the order of RFC 3312 5.2. */
enum cph_sdp_strength {
    CPH_SDP_STRENGTH_UNSAID,
    CPH_SDP_STRENGTH_NONE,
    CPH_SDP_STRENGTH_OPTIONAL,
    CPH_SDP_STRENGTH_MANDATORY,
    CPH_SDP_STRENGTH_FAILURE, /* in a refusal */
    CPH_SDP_STRENGTH_UNKNOWN, /* in a refusal: of a type nobody knows */
};

/* a=curr:<type> <status> <direction>, a=des:<type> <strength> <status> <direction>,
 * a=conf:<type> <status> <direction> */
struct cph_sdp_precond {
    struct cph_span type;   /* "sec", "qos" */
    struct cph_span status; /* "e2e", "local", "remote" */
    enum cph_sdp_strength strength;
    enum cph_sdp_dir dir; /* as the writer sees it */
};
/** strength: it is a=des. CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_precond_parse(struct cph_span arg, bool strength,
                                                     struct cph_sdp_precond *out);

/* What a section says of security, end to end. */
struct cph_sdp_security {
    enum cph_sdp_strength wanted; /* the strongest of its a=des:sec; UNSAID: there is none */
    enum cph_sdp_dir want;        /* directions that are wanted so */
    enum cph_sdp_dir now;         /* what is so, as the writer sees it */
    enum cph_sdp_dir confirm;     /* what it wants to hear of */
    bool foreign; /* wants something that is mandatory and not security end to end */
};
/** A line that breaks its grammar says nothing. */
CPH_API void cph_sdp_security_of(const struct cph_sdp_media *media, struct cph_sdp_security *out);
/** Write it: a=curr, a=des unless UNSAID, a=conf unless INACTIVE; what stood there is taken out. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_security_set(struct cph_sdp *sdp,
                                                    struct cph_sdp_media *media,
                                                    const struct cph_sdp_security *s);

/** What a 580 says of a section: port 0, and of each thing the offer demanded whether it failed or
 * is unknown. RFC 3312 8, 9. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_precond_refuse(struct cph_sdp *sdp,
                                                      struct cph_sdp_media *media,
                                                      const struct cph_sdp_media *offered);

#endif

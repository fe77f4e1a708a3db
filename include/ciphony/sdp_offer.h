/* Ciphony: offer and answer. Builds descriptions, and computes what two of them agreed on. RFC
 * 3264. */
#ifndef CPH_SDP_OFFER_H
#define CPH_SDP_OFFER_H

#include "ciphony/sdp.h"

/* A codec we have. The first in a list is the one we like best. */
struct cph_sdp_codec {
    const char *name; /* "opus", "PCMU", "telephone-event" */
    uint32_t rate;    /* RTP clock, Hz */
    uint8_t channels; /* in rtpmap; 1 unless opus (2) */
    uint8_t pt;       /* the number we use when we offer */
    const char *fmtp; /* our parameters, NULL for none */
};

/* One stream of ours, as we wish it. Zeroed fields take the default named. */
struct cph_sdp_stream {
    const char *kind;           /* "audio" (default) */
    uint16_t port;              /* 0: not there (offer: a refused place; answer: refuse) */
    uint16_t rtcp_port;         /* written as a=rtcp unless 0 or port + 1 */
    bool rtcp_mux;              /* offered; in an answer said only if offered: RFC 5761 5.1.1 */
    enum cph_sdp_proto proto;   /* of an offer; default RTP/AVP. An answer mirrors the offer */
    enum cph_sdp_dir direction; /* what we want; an answer takes what the offer allows of it */
    const struct cph_sdp_codec *codecs;
    unsigned n_codecs;
    unsigned ptime, maxptime; /* ms, 0: not said */
    const char *mid;          /* of an offer, NULL for none; an answer repeats the offer's */
    bool hold_by_address; /* hold as RFC 2543 did, with c=0.0.0.0, for peers that know no other */
    const struct cph_addr *addr; /* c= of its own; NULL: the session's */
};

/* Where a side is with its own descriptions: kept from offer to offer. */
struct cph_sdp_local {
    struct cph_sdp_origin origin; /* id and version at the start; version is moved by us */
    struct cph_addr addr;         /* goes into c= */
};

/**
 * Build an offer, or a re-offer. Each stream becomes the m= line at its place; a re-offer must not
 * have fewer streams than the last description exchanged (RFC 3264 8 MUST), a removed one has port
 * 0. Keying attributes are added later, by keying; call cph_sdp_finish_local() after that.
 * CPH_E_ARGUMENT, CPH_E_LIMIT, CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_offer(struct cph_arena *arena,
                                             const struct cph_sdp_local *local,
                                             const struct cph_sdp_stream *streams, unsigned n,
                                             struct cph_sdp **out);

/**
 * Build an answer: one m= line for each of the offer, in its order, with its kind, its profile, its
 * payload type numbers and its a=mid. Stream i of ours answers m= line i; what we lack (i >= n,
 * port 0, kind or profile we do not do, no codec in common) is refused with port 0. Keying
 * attributes are added later. CPH_E_LIMIT, CPH_E_NOMEM, CPH_E_MALFORMED (the offer's codecs are
 * nonsense).
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_answer_skeleton(struct cph_arena *arena,
                                                       const struct cph_sdp_local *local,
                                                       const struct cph_sdp *offer,
                                                       const struct cph_sdp_stream *streams,
                                                       unsigned n, struct cph_sdp **out);

/**
 * Set the version of a finished description of ours: that of previous (the last one we sent, NULL
 * for none) if nothing else differs, one more if something does (RFC 3264 8 MUST). local remembers
 * it.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_finish_local(struct cph_sdp_local *local,
                                                    struct cph_sdp *sdp,
                                                    const struct cph_sdp *previous);

/**
 * Number our codecs for a re-offer: a codec that m= line index of our last description has keeps
 * its number; no dynamic number that either last description used gets another meaning (RFC
 * 3264 8.3.2 MUST). codecs[i].pt is rewritten where needed. CPH_E_LIMIT if no number is left.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_codecs_renumber(const struct cph_sdp *local,
                                                       const struct cph_sdp *remote, unsigned index,
                                                       struct cph_sdp_codec *codecs, unsigned n);

/** Does an answer fit its offer? As many m= lines; those not refused keep their kind and profile
 * (or have that of an offered configuration that a=acfg names, RFC 5939), and were not refused by
 * the offer. CPH_E_MALFORMED if not. (A direction the offer did not allow is not an error:
 * cph_sdp_agree() takes what both allow.) RFC 3264 6. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_answer_check(const struct cph_sdp *offer,
                                                    const struct cph_sdp *answer);
/** Does a re-offer of the peer fit its last description? No fewer m= lines, and for the same
 * session id no lower version; CPH_E_MALFORMED if not. A changed o= is taken: a call that was
 * transferred behind a gateway has one. RFC 3264 8. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_reoffer_check(const struct cph_sdp *previous,
                                                     const struct cph_sdp *reoffer);

struct cph_sdp_agreed_codec {
    struct cph_span name; /* as the remote wrote it */
    uint32_t rate;
    uint8_t channels;
    uint8_t pt_send, pt_recv;    /* remote's and our number: RFC 3264 5.1, 6.1 */
    struct cph_span fmtp_remote; /* what the peer can take: obey when sending */
    struct cph_span fmtp_local;
};

/* What an offer and its answer agreed for one m= line, as the local side sees it. */
struct cph_sdp_agreed {
    bool active;                /* port on both sides, same kind, a codec in common */
    enum cph_sdp_dir direction; /* what we may do: SENDONLY is "we send" */
    bool remote_hold;           /* the peer does not want to hear us now (not: it never could) */
    struct cph_sdp_target rtp, rtcp; /* where to send; rtcp == rtp with rtcp_mux */
    bool rtcp_mux;
    enum cph_sdp_proto proto;
    unsigned ptime;    /* the remote's wish for what we send, else 0 */
    unsigned maxptime; /* the remote's limit, else 0 */
    struct cph_sdp_agreed_codec codec[CPH_SDP_MAX_CODECS]; /* the remote's order: send the first */
    unsigned n_codecs;
};

/** Compute it. index counts m= lines. local_offered says which of the two was the offer.
 *  CPH_E_ARGUMENT for an index one of them lacks; CPH_E_MALFORMED, CPH_E_UNSUPPORTED for a remote
 * target. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_agree(const struct cph_sdp *local,
                                             const struct cph_sdp *remote, unsigned index,
                                             bool local_offered, struct cph_sdp_agreed *out);

#endif

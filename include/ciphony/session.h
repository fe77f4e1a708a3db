/*
 * Ciphony: one call as an engine: offers and answers, the keys of its media, its packets, and what
 * was seen on the way. It speaks SDP text with whatever carries the call (SIP now), and packets
 * with whatever holds the sockets. No I/O, no clock. All calls on one session come from one thread.
 *
 *   caller     new, offer, finish, choose      (offer_wanted: offer, finish once more)
 *   callee     new, answer, answered
 *   packets    feed what comes to the ports, take what is plain; protect what goes
 *   keying     pull what is to be sent, tick at the deadline
 *   at last    event tells what happened, verdict what it is worth
 *
 * examples/session does all of it in memory.
 */
#ifndef CPH_SESSION_H
#define CPH_SESSION_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_wire.h"
#include "ciphony/keying.h"
#include "ciphony/sdp_offer.h"
#include "ciphony/session_policy.h"
#include "ciphony/session_ssm.h"
#include "ciphony/session_verdict.h"

struct cph_session;
struct cph_srtp_engine; /* srtp.h */

enum {
    CPH_SESSION_STREAMS = 8,   /* media lines */
    CPH_SESSION_BRANCHES = 8,  /* answerers of one forked offer whose keys are kept at once */
    CPH_SESSION_SDP = 16384,   /* an offer or answer of ours is never longer */
    CPH_SESSION_WHY = 200,     /* a sentence with its NUL */
    CPH_SESSION_SAS_TEXT = 32, /* a string to compare, with its NUL */
};

/* One media line as we wish it. */
struct cph_session_media {
    const char *kind;                   /* "audio" */
    const struct cph_sdp_codec *codecs; /* borrowed as long as the session lives */
    unsigned n_codecs;
    unsigned ptime;           /* ms, 0: not said */
    struct cph_addr local[2]; /* RTP, RTCP */
    enum cph_sdp_dir direction;
    bool rtcp_mux; /* offer it */
    uint32_t ssrc; /* of the stream that this line sends, for keying.h; 0: nobody knows yet */
};

/* What the users keep about the certificate a stream was keyed with. mismatch: they keep another
 * one for this peer, which ends the session. name: of the pin, for the user. */
typedef enum cph_voucher cph_session_voucher_fn(void *ctx, struct cph_span cert_sha256,
                                                char name[CPH_FACT_TEXT], bool *mismatch);

struct cph_session_config {
    const struct cph_env *env;
    struct cph_srtp_engine *srtp; /* outlives the session */
    struct cph_keying_cfg keying; /* env is filled in from above, ssrc from each line; if it is
                                     given here, it is that of the first line */
    bool ekt;     /* tell keys in the media (RFC 8870) where the peer can, and take that of it. The
                     set offered is keying.ekt, a conference's, or one drawn for this session */
    bool cryptex; /* RFC 9335: encrypt header extensions and CSRCs where the peer can */
    struct cph_policy policy;
    const char *peer;                /* address of the peer as claimed; copied */
    cph_session_voucher_fn *voucher; /* NULL: nobody vouches */
    void *ctx;
};

/** Copies cfg. CPH_E_CONFIG: the policy wants protection and no mechanism can give it. CPH_E_NOMEM,
 *  CPH_E_LIMIT. */
CPH_API CPH_MUST_CHECK cph_err cph_session_new(const struct cph_session_config *cfg,
                                               const struct cph_session_media *media, unsigned n,
                                               cph_time now, struct cph_session **out);
CPH_API void cph_session_free(struct cph_session *s); /* wipes all keys; NULL is fine */

/* ---- offer and answer ------------------------------------------------------------------------ */

/* Changes for the next offer or answer. CPH_E_ARGUMENT for a line that is not there. */

/** CPH_E_ARGUMENT also for a line that was removed. */
CPH_API CPH_MUST_CHECK cph_err cph_session_direction(struct cph_session *s, unsigned stream,
                                                     enum cph_sdp_dir direction);
/** A further line, whose codecs are borrowed; *stream is its number. CPH_E_LIMIT over
 * CPH_SESSION_STREAMS. */
CPH_API CPH_MUST_CHECK cph_err cph_session_add(struct cph_session *s,
                                               const struct cph_session_media *media,
                                               unsigned *stream);
/** It is offered with port 0 from then on; its number is not used again. RFC 3264 8.2. */
CPH_API CPH_MUST_CHECK cph_err cph_session_remove(struct cph_session *s, unsigned stream);
/** The next offer brings new keys (SDES), with EKT another set if it is ours, or a new association
 * (DTLS: new tls-id). The owner of keying.ekt puts another set there before. */
CPH_API CPH_MUST_CHECK cph_err cph_session_rekey(struct cph_session *s);
/** The peer will have none: the wish is over, and the keys in use stay. After a rollback alone it
 * goes on to the next offer (glare). */
CPH_API void cph_session_rekey_off(struct cph_session *s);

/**
 * Another sending key at once, told in the media, without signalling: for lines with EKT.
 * CPH_E_STATE if there is none. It does not keep out who has the set: that takes
 * cph_session_rekey(). CPH_E_EXPIRED: the set has had its time.
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_rekey_media(struct cph_session *s, cph_time now);

/** Write our offer or re-offer as SDP. CPH_E_STATE while one is pending. The text may hold keys. */
CPH_API CPH_MUST_CHECK cph_err cph_session_offer(struct cph_session *s, cph_time now,
                                                 struct cph_wr *out);
/** The same, to read the answer to our last offer that came again (RFC 4028 7.4). CPH_E_STATE also
 *  while new keys are wished: the peer was not told of them. */
CPH_API CPH_MUST_CHECK cph_err cph_session_offer_again(struct cph_session *s, cph_time now,
                                                       struct cph_wr *out);
/** The same offer without keys, if it goes out in two bodies (CPH_KEYING_FORM_BODIES): that without
 * first, that with keys last, in a multipart/alternative. CPH_E_STATE: it has one body. */
CPH_API CPH_MUST_CHECK cph_err cph_session_offer_plain(const struct cph_session *s,
                                                       struct cph_wr *out);
/** Has the open offer a stream in two m= lines (CPH_KEYING_FORM_GROUP)? */
CPH_API bool cph_session_offers_twice(const struct cph_session *s);
/**
 * Read the peer's offer or re-offer and write our answer. CPH_E_POLICY: nothing we may accept
 * (answer 488; in a standing call what held goes on holding). CPH_E_MALFORMED, CPH_E_LIMIT,
 * CPH_E_UNSUPPORTED: likewise. CPH_E_STATE: our own offer is pending (491). On an error out is
 * empty, or has a description that says why, for the body of the 488.
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_answer(struct cph_session *s, struct cph_span offer,
                                                  cph_time now, struct cph_wr *out);
/** The same with one of several alternatives of a first offer. What cannot be answered is no
 * failure of the session, and not told, unless this is the last. */
CPH_API CPH_MUST_CHECK cph_err cph_session_answer_try(struct cph_session *s, struct cph_span offer,
                                                      bool last, cph_time now, struct cph_wr *out);
/**
 * Read an answer to our offer. branch names the early dialog it came in (any number but 0, the
 * caller's): each has keys of its own; the first takes the session's own instances, others are
 * forked. The same branch may answer again (183, then 200); what the later one says holds.
 * CPH_E_POLICY and others: this branch must not be used; after cph_session_choose() that ends the
 * session. CPH_E_LIMIT over CPH_SESSION_BRANCHES.
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_finish(struct cph_session *s, uint32_t branch,
                                                  struct cph_span answer, cph_time now);
/** The user takes the call whose offer we answered: the answer goes to the peer now. Until then a
 * peer that does not make keys is waited for as long as a phone may ring. */
CPH_API void cph_session_answered(struct cph_session *s, cph_time now);
/** The call was answered on this branch: the others' keys are wiped. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_session_choose(struct cph_session *s, uint32_t branch);
/** This branch is over (its early dialog ended). Unknown is fine. */
CPH_API void cph_session_drop(struct cph_session *s, uint32_t branch);
/** A mechanism needs another offer of ours before there are keys (MIKEYv2), and none is pending. */
CPH_API bool cph_session_offer_wanted(const struct cph_session *s);
/**
 * Our pending offer was refused with this description as the body: what a mechanism reads of it, in
 * words for the user. A hint: whoever is on the way could have written it (unless proven), nothing
 * in the session changes but a count, and it is never a reason to offer less. CPH_E_NOTFOUND: there
 * is nothing in it; CPH_E_STATE: no offer is pending. Before cph_session_rollback().
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_refused(struct cph_session *s, struct cph_span body,
                                                   char why[CPH_SESSION_WHY], bool *proven);
/** Our pending offer was refused: what held before holds. */
CPH_API void cph_session_rollback(struct cph_session *s);

/* Security preconditions of a branch (0: we answered), RFC 5027. */
enum cph_session_precond {
    CPH_SESSION_PRECOND_NONE,    /* none are in play */
    CPH_SESSION_PRECOND_WAITS,   /* for keys, or for word from the peer: nobody rings */
    CPH_SESSION_PRECOND_CONFIRM, /* the peer waits for word from us: cph_session_confirm() */
    CPH_SESSION_PRECOND_MET,
};
CPH_API enum cph_session_precond cph_session_precond(const struct cph_session *s, uint32_t branch);
/** The open first offer once more, now saying that keys are there: for an UPDATE on this branch,
 * whose answer goes to cph_session_finish(). CPH_E_STATE unless CONFIRM. In a standing call the
 * next cph_session_offer() is that word. */
CPH_API CPH_MUST_CHECK cph_err cph_session_confirm(struct cph_session *s, uint32_t branch,
                                                   struct cph_wr *out);

/** What is agreed for a line now (on the chosen branch, or the latest that answered). CPH_E_AGAIN
 * before there is an answer; CPH_E_ARGUMENT. Views in *out live until the next offer or answer. */
CPH_API CPH_MUST_CHECK cph_err cph_session_agreed(const struct cph_session *s, unsigned stream,
                                                  struct cph_sdp_agreed *out);
/** Lines there are, removed ones too: their numbers are 0 to one less. */
CPH_API unsigned cph_session_streams(const struct cph_session *s);

/* ---- packets --------------------------------------------------------------------------------- */

/**
 * A datagram came to a local port of ours: component CPH_KEYING_RTP or _RTCP as to the port (with
 * rtcp-mux RTCP is told apart here, RFC 5761 4). Keying packets go to the mechanisms (RFC 7983),
 * SRTP is verified and decrypted, what comes before keys exist is kept for a bounded time. packet
 * is changed in place and may be used again on return. What is good is taken with
 * cph_session_take(). The error is the packet's, for counting: CPH_E_AUTH, CPH_E_REPLAY,
 * CPH_E_POLICY (in clear), CPH_E_LIMIT, ...
 */
CPH_API cph_err cph_session_feed(struct cph_session *s, unsigned stream,
                                 enum cph_keying_component component, const struct cph_addr *from,
                                 uint8_t *packet, size_t n, cph_time now);

struct cph_session_packet {
    unsigned stream;
    enum cph_keying_component component; /* what it is: RTP or RTCP */
    uint32_t branch;                     /* 0 when we answered */
    struct cph_span bytes;               /* plain; valid until the next call on the session */
    cph_time came;                       /* when it arrived: early ones arrived before now */
};
/** The next plain packet for the media, oldest first; CPH_E_AGAIN. */
CPH_API CPH_MUST_CHECK cph_err cph_session_take(struct cph_session *s,
                                                struct cph_session_packet *out);

/**
 * Protect an RTP or RTCP packet for sending, in place, and say where it goes. p holds *n of cap
 * bytes; leave room for CPH_SRTP_TRAILER_MAX more. component in: what it is; *port out: which of
 * our ports it leaves by (with rtcp-mux always RTP). CPH_E_NOKEY: no keys yet, drop it;
 * CPH_E_POLICY: it may not go; CPH_E_STATE: on hold or not agreed; CPH_E_EXPIRED.
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_protect(struct cph_session *s, unsigned stream,
                                                   enum cph_keying_component component, uint8_t *p,
                                                   size_t *n, size_t cap,
                                                   enum cph_keying_component *port,
                                                   struct cph_addr *to, cph_time now);
/** The same two as an interface that names nothing else (session_ssm.h). Lives as long as s. */
CPH_API const struct cph_ssm *cph_session_ssm(struct cph_session *s);

/* A datagram of a keying mechanism that must go out. */
struct cph_session_out {
    unsigned stream;
    enum cph_keying_component port;
    struct cph_addr to;
    struct cph_span bytes; /* valid until the next call on the session */
};
/** The next one; CPH_E_AGAIN when there is none. */
CPH_API CPH_MUST_CHECK cph_err cph_session_pull(struct cph_session *s, struct cph_session_out *out,
                                                cph_time now);
CPH_API cph_time cph_session_deadline(const struct cph_session *s);
CPH_API void cph_session_tick(struct cph_session *s, cph_time now);

/* ---- what happened --------------------------------------------------------------------------- */

enum cph_session_event_kind {
    CPH_SESSION_KEYED,  /* a stream has keys in both directions; again after a re-key */
    CPH_SESSION_PLAIN,  /* policy lets a stream go in clear */
    CPH_SESSION_FAILED, /* the policy cannot be met or the peer is not who it should be: end the
                           call */
    CPH_SESSION_NOTICE, /* something the user should read */
    CPH_SESSION_REKEY_WANTED,   /* the lifetime of a key nears its end: cph_session_rekey() and
                                   re-offer */
    CPH_SESSION_REOFFER_WANTED, /* what was agreed is to be offered as such, without any other
                                   change */
    CPH_SESSION_SAS,            /* there is a string to compare with the peer: sas, verified */
    CPH_SESSION_ENROLL,         /* the peer asks to be a trusted man in the middle:
                                   cph_session_enroll() */
    CPH_SESSION_CLEARED, /* the peer took the call back to RTP: nothing is sent or heard until
                            cph_session_clear() agrees, or cph_session_secure() */
};

struct cph_session_event {
    enum cph_session_event_kind kind;
    unsigned stream;
    uint32_t branch;
    cph_err err;               /* FAILED: CPH_E_POLICY, CPH_E_CERT, CPH_E_TIMEOUT, ... */
    char why[CPH_SESSION_WHY]; /* in words, with what to do where there is something to do */
    char sas[CPH_SESSION_SAS_TEXT];
    bool verified; /* SAS: compared in an earlier call, and the same peer ever since */
};
/** The next event, oldest first; CPH_E_AGAIN. If nobody takes them, the oldest go. */
CPH_API CPH_MUST_CHECK cph_err cph_session_event(struct cph_session *s,
                                                 struct cph_session_event *out);

/* How a stream stands on the branch in use. */
enum cph_session_line {
    CPH_SESSION_LINE_NONE,   /* nothing agreed, refused or removed */
    CPH_SESSION_LINE_WAITS,  /* keys are on their way */
    CPH_SESSION_LINE_KEYED,  /* keys in both directions */
    CPH_SESSION_LINE_CLEAR,  /* policy lets it go without */
    CPH_SESSION_LINE_ASKS,   /* the peer took the keys away; the user must agree first */
    CPH_SESSION_LINE_FAILED, /* it must not go on; *why says why */
};

/** why may be NULL; it is set to static words, or NULL. */
CPH_API enum cph_session_line cph_session_line(const struct cph_session *s, unsigned stream,
                                               const char **why);

/* The short authentication string (ZRTP, RFC 6189 7) of the branch in use. */
struct cph_session_sas {
    char text[CPH_SESSION_SAS_TEXT]; /* "": there is none */
    bool verified;                   /* compared in an earlier call, and the same peer since */
    bool compared, refuted;          /* in this call */
    bool strange;      /* the peer is not the device of earlier calls, or lost what it had */
    bool relayed;      /* text is that of the far side of a trusted man in the middle */
    bool mitm;         /* the peer says that it is in the middle */
    bool trusted_mitm; /* and we are enrolled with it */
    bool enroll_asked; /* it asks us to enrol, and we have not */
    bool discloses;    /* the peer says that others may have its keys */
    bool may_clear;    /* cph_session_clear() would be obeyed */
    bool clear;        /* the keys were taken away so; cph_session_secure() may bring them back */
};
CPH_API void cph_session_sas(const struct cph_session *s, struct cph_session_sas *out);
/** The users compared the strings. Unequal fails the streams: the call is to be ended. CPH_E_STATE
 *  before there is a string; CPH_E_STORE if the result could not be kept (it counts in this call).
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_sas_compared(struct cph_session *s, bool equal);
/** The user lets the peer be in the middle of calls from now on (RFC 6189 7.3.1). CPH_E_STATE if it
 *  did not ask; CPH_E_AUTH before its string was compared: anybody could have asked. CPH_E_STORE */
CPH_API CPH_MUST_CHECK cph_err cph_session_enroll(struct cph_session *s);
/**
 * Back to RTP by GoClear (RFC 6189 4.7.2), or the user's word that he knows the peer did that. The
 * keys go at once; RTP is sent when the peer has acknowledged. CPH_E_POLICY: our policy demands
 * keys, or the peer does not allow it; CPH_E_STATE: no stream is keyed by ZRTP.
 */
CPH_API CPH_MUST_CHECK cph_err cph_session_clear(struct cph_session *s, cph_time now);
/** And to SRTP again. CPH_E_STATE if no stream went clear that way. */
CPH_API CPH_MUST_CHECK cph_err cph_session_secure(struct cph_session *s, cph_time now);

/* Counted over all streams. */
struct cph_session_counts {
    uint64_t in, out; /* plain RTP packets given up and protected */
    uint64_t rtcp_in, rtcp_out;
    uint64_t keying_in, keying_out;
    uint64_t early_kept, early_played, early_lost; /* media before keys */
    uint64_t clear_refused;                        /* RTP where SRTP is due */
    uint64_t auth_failed, replayed, unknown, malformed;
    uint64_t refusals_told;   /* offers of the peer that we refused with a reason */
    uint64_t refusals_heard;  /* reasons that came for refusing ours */
    uint64_t refusals_proven; /* and of those, how many were the peer's beyond doubt */
};
CPH_API struct cph_session_counts cph_session_counts(const struct cph_session *s);

/* ---- evidence and verdict -------------------------------------------------------------------- */

/** The path of a message that carried an offer or answer (session_verdict.h). */
CPH_API void cph_session_path(struct cph_session *s, const struct cph_hop_facts *hops, unsigned n,
                              unsigned told);
/** What the security manager learned from the message with an offer or answer. Tell it before the
 * message is given to the session: keys that are there are not touched, new ones are judged by it.
 */
CPH_API void cph_session_proof(struct cph_session *s, enum cph_peer_proof proof);
/** Whether the message was sealed, and to whose certificate. Of each message with an offer or
 * answer, ours too, and likewise before. */
CPH_API void cph_session_seal(struct cph_session *s, enum cph_seal seal, struct cph_span sealer);
/** All that was seen so far, and what it is worth now. */
CPH_API void cph_session_evidence(const struct cph_session *s, struct cph_evidence *out);
CPH_API void cph_session_verdict(const struct cph_session *s, struct cph_verdict *out);

#endif

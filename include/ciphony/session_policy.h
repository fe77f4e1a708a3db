/* Ciphony: how much security a call must have. */
#ifndef CPH_SESSION_POLICY_H
#define CPH_SESSION_POLICY_H

#include "ciphony/base.h"
#include "ciphony/keying.h"
#include "ciphony/session_verdict.h"

/* Zero is the strictest. */
enum cph_security {
    CPH_SECURITY_UNSET, /* nothing chosen: in a call's policy the account's counts, else REQUIRED */
    CPH_SECURITY_REQUIRED, /* SRTP or no call: never sends or accepts RTP */
    CPH_SECURITY_PREFER, /* RFC 8643: SRTP if the peer has it, else RTP, and the verdict says so */
    CPH_SECURITY_NONE,   /* offers RTP; a peer that demands SRTP is still answered with keys */
};

/* Does a phone we call ring only when there are keys (RFC 5027), and do we ring so? */
enum cph_precondition {
    CPH_PRECONDITION_OFF,       /* not asked for, and not heard of */
    CPH_PRECONDITION_OPTIONAL,  /* asked for of those that know it */
    CPH_PRECONDITION_MANDATORY, /* demanded: who does not know it refuses the call */
};

enum {
    CPH_POLICY_KEYING_MAX = 16,      /* mechanisms named in order */
    CPH_EARLY_PACKETS_DEFAULT = 250, /* per stream: 5 s of 20 ms packets */
    CPH_EARLY_MS_DEFAULT = 5000,     /* media before the answer older than this is of no use */
};

/* Plain values and borrowed names; a zeroed struct is valid and strict. */
struct cph_policy {
    enum cph_security media;
    enum cph_level need; /* a verdict below this breaks the policy */
    bool no_authorities; /* certificate authorities and domains do not make a peer `identified` */
    /* Names of keying methods in order of preference, static storage; none: all, in the table's
     * order. */
    const char *keying[CPH_POLICY_KEYING_MAX];
    unsigned keying_n;
    /* What the name of a policy says where media is UNSET on all levels. */
    enum cph_security media_named;
    enum cph_keying_form form; /* of our offers under PREFER */
    enum cph_precondition precondition;
    /* A call with keys is ended if its verdict is below need, and not only told so. */
    bool enforce_need;
    bool free_offers; /* no public-key operation is spent on an offer, where there is a choice */
    bool challenge;   /* answer an INVITE that carries no valid proof with 401 */
    bool smime;       /* offers and answers go sealed to the peer's certificate, and must come so
                         (identity_smime.h) */
    bool cover_body;  /* ... and ask for a proof that covers the body (qop=auth-int) */
    unsigned early_packets; /* kept per stream until keys exist; 0: the default */
    unsigned early_ms;      /* for this long; 0: the default */
};

/** The policy of a call: what call sets, and for the rest what account sets. Either may be NULL. */
CPH_API struct cph_policy cph_policy_choose(const struct cph_policy *account,
                                            const struct cph_policy *call);
/**
 * Set the mechanisms by the name of a policy (cph_keying_presets: best, compatible, legacy) or a
 * list of methods with commas between, best first. A name also says whether RTP will do, as long as
 * nobody sets media; a list leaves that at REQUIRED. CPH_E_MALFORMED, and *p is as it was: an
 * unknown name, or one twice. Mechanisms that expired are in no policy, but may stand in a list.
 */
CPH_API CPH_MUST_CHECK cph_err cph_policy_keying(struct cph_policy *p, struct cph_span text);
/** Does the list name a mechanism that needs this (enum cph_keying_needs)? Without a list: no. */
CPH_API bool cph_policy_needs(const struct cph_policy *p, unsigned need);
/** What media says, or the policy's name where it is UNSET; else REQUIRED. */
CPH_API enum cph_security cph_policy_media(const struct cph_policy *p);
/** "off", "optional", "mandatory". */
CPH_API const char *cph_precondition_name(enum cph_precondition p);
/** CPH_E_MALFORMED for another word. */
CPH_API CPH_MUST_CHECK cph_err cph_precondition_parse(struct cph_span name,
                                                      enum cph_precondition *out);
CPH_API const char *cph_security_name(enum cph_security s); /* "required", "prefer", "none" */
/** CPH_E_MALFORMED for another word. */
CPH_API CPH_MUST_CHECK cph_err cph_security_parse(struct cph_span name, enum cph_security *out);
/** "open", "hop", "private", "identified", "verified". CPH_E_MALFORMED for another word. */
CPH_API CPH_MUST_CHECK cph_err cph_level_parse(struct cph_span name, enum cph_level *out);

#endif

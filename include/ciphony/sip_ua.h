/*
 * Ciphony: the SIP user agent as an engine: transport, transactions, dialogs, calls, registrations.
 *
 * The app calls cph_sip_call_*() and cph_sip_register*(), the driver feeds and pulls
 * (sip_transport.h), and what happened is pulled with cph_sip_ua_event(). All calls come from the
 * one loop that owns the engine. Nothing in here calls back into the app but the hook.
 */
#ifndef CPH_SIP_UA_H
#define CPH_SIP_UA_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/sip_transport.h"

enum { CPH_SIP_LISTENERS_MAX = 8, CPH_SIP_ROUTES_MAX = 4, CPH_SIP_CONTACTS_MAX = 4 };

struct cph_sip_listener {
    enum cph_sip_proto proto;
    struct cph_addr addr; /* where the driver listens; not the any-address unless `host` is set */
    const char *host;     /* sent-by and Contact host, NULL: the address */
};

struct cph_sip_ua_cfg {
    const struct cph_env *env;
    struct cph_sip_listener listener[CPH_SIP_LISTENERS_MAX];
    unsigned n_listeners;
    const struct cph_sip_hook *hook; /* NULL: none; outlives the engine */
    const struct cph_sip_tls *tls;   /* NULL: no TLS; outlives the engine */
    const char *user_agent;          /* NULL: no User-Agent or Server line */
    const char *accept;              /* body types we take in an INVITE, NULL: "application/sdp" */
    bool precondition; /* RFC 3312: offers may say what must be so before it rings; the app sees to
                          it */
    bool no_naptr;     /* skip the NAPTR step of RFC 3263 4.1 (SRV and A stay) */
    bool no_ipv6;      /* ask for A records only */
    /* Limits; 0 takes the default in brackets. */
    unsigned max_transactions; /* [512] */
    unsigned max_calls;        /* [64] */
    unsigned max_flows;        /* [64] */
    size_t max_message;        /* bytes of one message [65536] */
    size_t path_mtu; /* bytes that every path is known to carry; larger requests go by TCP [1500] */
    unsigned max_redirects; /* addresses tried after 3xx, per call [5] */
    cph_time t1;            /* [500 ms]; T2 and T4 are 4 s and 5 s */
    cph_time idle;          /* a flow without use is closed after [600 s] */
    cph_time ping; /* CRLF keep-alive on flows we opened and registrations use, [0: never] */
    unsigned session_expires; /* seconds, RFC 4028, [0: we do not ask for it] */
    unsigned min_se;          /* smallest we accept and offer, [90] */
};

/** The engine and everything in it. The strings of cfg are copied, env outlives it. CPH_E_CONFIG:
 * no listener, one without an address of its own, one for TLS without certificate and key, or a
 * text with a line end. CPH_E_NOMEM, and what env->random returns. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_ua_new(const struct cph_sip_ua_cfg *cfg, cph_time now,
                                              struct cph_sip_ua **out);
/** Drops all calls without a word to the peers. NULL is fine. */
CPH_API void cph_sip_ua_free(struct cph_sip_ua *ua);

/* ---- events ---- */

enum cph_sip_event_kind {
    CPH_SIP_EV_INCOMING, /* INVITE; body is the offer, empty for a late offer */
    CPH_SIP_EV_PROGRESS, /* 1xx over 100 on an early dialog; wants_answer: reliable, with an offer
                          */
    CPH_SIP_EV_ANSWERED, /* 2xx to our INVITE on `branch`; wants_answer: its body is an offer */
    CPH_SIP_EV_BRANCH_GONE, /* an early dialog lost the race, or its 2xx came late and got BYE */
    CPH_SIP_EV_CONFIRMED,   /* ACK to our 2xx; body is the answer if ours was an offer */
    CPH_SIP_EV_OFFER, /* re-INVITE or UPDATE from the peer: cph_sip_call_answer(). Empty body in a
                         re-INVITE asks for our offer. */
    CPH_SIP_EV_OFFER_DONE, /* the final answer to our cph_sip_call_offer(): status, body. 491: try
                              later */
    CPH_SIP_EV_PRACK,      /* our reliable 1xx arrived; body is the answer, or a further offer */
    CPH_SIP_EV_INFO,       /* INFO; already answered 200 */
    CPH_SIP_EV_INFO_DONE,  /* final status of our INFO */
    CPH_SIP_EV_REFRESHED,  /* a session timer refresh went through, either side's */
    CPH_SIP_EV_ENDED,      /* last event of a call: status, reason, cause, by_peer */
    CPH_SIP_EV_REGISTERED, /* expires: seconds granted; contacts: how many the registrar holds; 0 0:
                              gone */
    CPH_SIP_EV_REGISTER_FAILED, /* status or cause; retry_s: when we try again, 0: not */
    CPH_SIP_EV_OPTIONS_DONE,    /* status of our OPTIONS, or cause */
};

struct cph_sip_event {
    enum cph_sip_event_kind kind;
    uint32_t call;   /* 0 if it is not about a call */
    uint32_t branch; /* early dialog of the call, from 1; 0 unknown */
    uint32_t id;     /* registration or OPTIONS */
    void *cookie;    /* what the app gave with place/register/options; NULL of an incoming call */
    unsigned status; /* SIP status, 0 if none was received */
    cph_err
        cause; /* CPH_OK for a plain end; CPH_E_TIMEOUT, CPH_E_NAME, CPH_E_CERT, CPH_E_POLICY ... */
    bool by_peer;      /* ENDED: the peer ended it */
    bool reliable;     /* PROGRESS by 100rel */
    bool wants_answer; /* body is an offer: cph_sip_call_give_answer() */
    bool update;       /* OFFER: by UPDATE, else re-INVITE */
    unsigned expires, contacts, retry_s;
    struct cph_span reason;        /* phrase of the status line, or words of ours */
    struct cph_span body, type;    /* body and its Content-Type value; empty if none */
    struct cph_span from, to;      /* URIs of INCOMING */
    struct cph_span request_uri;   /* of INCOMING */
    const struct cph_sip_msg *msg; /* the message behind it, or NULL */
};

/** The next event, or CPH_E_AGAIN. Spans and msg live until the next call of this function. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_ua_event(struct cph_sip_ua *ua, struct cph_sip_event *out);

CPH_API const char *cph_sip_event_name(enum cph_sip_event_kind kind);

/* ---- calls ---- */

/* Ids are never used twice; an old one gives CPH_E_NOTFOUND. A call that may not do that now gives
 * CPH_E_STATE and is not changed. Bodies are opaque; type NULL means "application/sdp". */

enum cph_sip_100rel { CPH_SIP_100REL_SUPPORTED, CPH_SIP_100REL_REQUIRED, CPH_SIP_100REL_OFF };

struct cph_sip_place {
    const char *to;           /* URI, "sips:bob@example.org" or "<sip:...>" with a display name */
    const char *from;         /* our own address, likewise */
    const char *contact_user; /* user part of our Contact, NULL: that of from */
    const char *route[CPH_SIP_ROUTES_MAX]; /* outbound proxies, "sip:proxy;lr"; first is next hop */
    const char *type;
    struct cph_span body; /* the offer; empty: late offer */
    const char *headers;  /* further whole lines "Name: value\r\n", or NULL */
    enum cph_sip_100rel rel;
    const void *account; /* handed to the hook, not looked into */
    void *cookie;        /* comes back in events */
    cph_time ring_limit; /* give up (CANCEL) when unanswered, 0: 180 s */
};

/** Send an INVITE; what becomes of it is told by events. CPH_E_ARGUMENT: no to or from, or a text
 * with a line end. CPH_E_MALFORMED: an address. CPH_E_LIMIT: cfg.max_calls. CPH_E_POLICY: sips
 * without TLS, or the hook lets nothing out. CPH_E_NOMEM. On error there is no call. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_place(struct cph_sip_ua *ua,
                                                  const struct cph_sip_place *p, cph_time now,
                                                  uint32_t *call);

/** Whose credentials the hook uses for our requests inside an INCOMING call, as
 * cph_sip_place.account does for an outgoing one. Without it a challenge there (to our BYE, say) is
 * not answered, and so it should be unless the peer is known to be one's own server: what a digest
 * is made of can be guessed at. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_set_account(struct cph_sip_ua *ua, uint32_t call,
                                                        const void *account);

/** Answer an INCOMING call with 101 to 199. reliable: by 100rel (CPH_E_UNSUPPORTED if the peer
 * cannot, CPH_E_STATE while an earlier one waits for its PRACK). */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_progress(struct cph_sip_ua *ua, uint32_t call,
                                                     unsigned status, const char *type,
                                                     struct cph_span body, bool reliable,
                                                     cph_time now);
/** 200 with body: the answer, or the offer if the INVITE had none. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_accept(struct cph_sip_ua *ua, uint32_t call,
                                                   const char *type, struct cph_span body,
                                                   cph_time now);
/** 300 to 699 to an INCOMING call. headers: whole lines or NULL. reason NULL: the usual phrase. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_reject(struct cph_sip_ua *ua, uint32_t call,
                                                   unsigned status, const char *reason,
                                                   const char *headers, cph_time now);
/** The same with 488 or 580 and a description that says what was wrong with the offer (RFC 4567
 * 4.1.2, RFC 3312 8). */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_reject_with(struct cph_sip_ua *ua, uint32_t call,
                                                        unsigned status, struct cph_span sdp,
                                                        cph_time now);
/** The answer to an offer in a 2xx (goes out in ACK) or reliable 1xx (in PRACK) of branch. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_give_answer(struct cph_sip_ua *ua, uint32_t call,
                                                        uint32_t branch, const char *type,
                                                        struct cph_span body, cph_time now);
/** A new offer in a standing call: re-INVITE, or UPDATE (also in early dialogs, RFC 3311).
 * CPH_E_STATE while another offer is under way on either side. OFFER_DONE tells the outcome. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_offer(struct cph_sip_ua *ua, uint32_t call,
                                                  uint32_t branch, bool update, const char *type,
                                                  struct cph_span body, cph_time now);
/** Answer an OFFER event: 200 with body, or 300 to 699, with a body that says why or without. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_answer(struct cph_sip_ua *ua, uint32_t call,
                                                   unsigned status, const char *type,
                                                   struct cph_span body, cph_time now);
/** INFO with a body in a standing call; INFO_DONE tells the outcome. type must be given, else
 * CPH_E_ARGUMENT. RFC 6086 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_info(struct cph_sip_ua *ua, uint32_t call,
                                                 const char *type, struct cph_span body,
                                                 cph_time now);
/** End it whatever its state: CANCEL, BYE, or 603 to an unanswered incoming call. ENDED follows.
 *  reason NULL or text for a Reason line. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_hangup(struct cph_sip_ua *ua, uint32_t call,
                                                   const char *reason, cph_time now);

/* What is known of a call's signalling, for the session's evidence. */
struct cph_sip_call_info {
    bool outgoing, confirmed;
    bool sips; /* every URI that decides was sips: */
    bool peer_100rel, peer_update, peer_timer;
    unsigned session_expires; /* 0: no session timer */
    bool we_refresh;
    struct cph_sip_hop
        hop[CPH_SIP_HOPS_MAX]; /* distinct neighbours its messages went to and came from */
    unsigned n_hops;
    bool hops_lost; /* there were more than fit: what is told is not all */
    struct cph_span call_id, local_uri, remote_uri, remote_target; /* live as long as the call */
};

/** Of a call in any state. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_call_info_get(const struct cph_sip_ua *ua, uint32_t call,
                                                     struct cph_sip_call_info *out);

/* ---- registrations, OPTIONS ---- */

struct cph_sip_reg {
    const char *registrar;                     /* "sip:example.org" or sips: */
    const char *aor;                           /* "sip:alice@example.org", display name allowed */
    const char *contact[CPH_SIP_CONTACTS_MAX]; /* URIs; all NULL: our listener that fits */
    const char *route[CPH_SIP_ROUTES_MAX];
    unsigned expires; /* seconds, 0: 3600 */
    const void *account;
    void *cookie;
};

/** Register and keep registered (refresh before it ends, retry after failure) until unregistered.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_register(struct cph_sip_ua *ua,
                                                const struct cph_sip_reg *reg, cph_time now,
                                                uint32_t *id);
/** Remove our contacts at the registrar; REGISTERED with expires 0 (or FAILED) is the last event.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_unregister(struct cph_sip_ua *ua, uint32_t id, cph_time now);

/** Ask what `to` can do, or whether it is there (RFC 3261 11); OPTIONS_DONE follows with the id. Of
 * p its addresses, account and cookie count. Errors as of cph_sip_call_place(). */
CPH_API CPH_MUST_CHECK cph_err cph_sip_options(struct cph_sip_ua *ua, const struct cph_sip_place *p,
                                               cph_time now, uint32_t *id);

#endif

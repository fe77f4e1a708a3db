/*
 * Ciphony: a terminal as one engine: the SIP user agent with the security manager below it, and for
 * each call a session (keys, evidence, verdict) and a flow of audio. No I/O: the host moves the
 * bytes.
 *
 * The host feeds and pulls SIP through cph_phone_ua() (sip_transport.h), gives media packets to
 * cph_phone_media(), and calls cph_phone_turn() after every such feeding and at the deadline. One
 * thread.
 */
#ifndef CPH_SIP_PHONE_H
#define CPH_SIP_PHONE_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_mem.h"
#include "ciphony/media.h"
#include "ciphony/session_policy.h"
#include "ciphony/session_verdict.h"
#include "ciphony/sip_ua.h"

struct cph_phone;
struct cph_key;
struct cph_cert;
struct cph_pgp_key;    /* crypto_pgp.h */
struct cph_mikey;      /* keying_mikey.h */
struct cph_zrtp_store; /* keying_zrtp.h */

enum {
    CPH_PHONE_CALLS = 64, /* at once, unless configured */
    CPH_PHONE_ACCOUNTS = 16,
    CPH_PHONE_URI = 256,     /* bytes of an address with its NUL */
    CPH_PHONE_WHY = 256,     /* bytes of a sentence with its NUL */
    CPH_PHONE_SAS_TEXT = 32, /* bytes of a string to compare, with its NUL */
};

/* ---- what the phone asks of its host --------------------------------------------------------- */

/* Who a certificate belongs to, by what the user keeps (identity_device.h has the store). */
enum cph_phone_pin {
    CPH_PHONE_PIN_UNKNOWN,  /* nothing is kept about this peer */
    CPH_PHONE_PIN_PINNED,   /* the user named this certificate */
    CPH_PHONE_PIN_PAIRED,   /* the devices proved it to each other */
    CPH_PHONE_PIN_MISMATCH, /* another certificate is kept: the call is ended */
};

/* What holds for sealed bodies of one peer. */
struct cph_phone_seal {
    const struct cph_trust *trust; /* who may vouch for it; NULL: those of cph_phone_smime */
    bool must;                     /* calls with it are sealed, whatever policy says */
};

/* ctx is handed back. None may call the phone. All are used on the phone's thread. */
struct cph_phone_host {
    void *ctx;
    /* Open two UDP ports, RTP and RTCP, on an address that reaches *near. */
    cph_err (*media_open)(void *ctx, uint32_t call, const struct cph_addr *near,
                          struct cph_addr local[2]);
    /* component: 0 RTP, 1 RTCP. A packet that cannot go is lost, as packets may be. */
    void (*media_send)(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                       struct cph_span packet);
    void (*media_close)(void *ctx, uint32_t call);
    /* What is said and heard in this call; either may stay NULL (silence). The phone owns them. */
    cph_err (*sound)(void *ctx, uint32_t call, struct cph_media_source **source,
                     struct cph_media_sink **sink);
    /* sha256: 32 bytes over the certificate. NULL function: everything is unknown. */
    enum cph_phone_pin (*pin)(void *ctx, struct cph_span peer_uri, struct cph_span sha256);
    /* What MIKEY needs in a call of this account with this peer (as it claims to be): what one of
     * cph_mikey serves is one peer. NULL: no MIKEY in this call. It outlives the call. NULL
     * function: cfg.mikey serves every call. */
    struct cph_mikey *(*mikey)(void *ctx, const char *account, struct cph_span peer_uri);
    /* The certificate of a peer that the user has given us, to seal bodies to; it outlives the
     * call. NULL function, or NULL: none is known. */
    const struct cph_cert *(*peer_cert)(void *ctx, struct cph_span peer_uri);
    /* The OpenPGP key that the user has for this peer; it outlives the call. A string of ZRTP that
     * it signed is as good as compared. NULL function, or NULL: none. */
    const struct cph_pgp_key *(*peer_pgp)(void *ctx, struct cph_span peer_uri);
    /* More about sealed bodies of this peer. NULL function: nothing. */
    struct cph_phone_seal (*peer_seal)(void *ctx, struct cph_span peer_uri);
};

/* ---- configuration --------------------------------------------------------------------------- */

/* Strings are copied. */
struct cph_phone_account {
    const char *name;      /* for --account; "" is the default one */
    const char *aor;       /* "sip:alice@example.org"; NULL: sip:user@ the listener's address */
    const char *registrar; /* NULL: none */
    const char *route;     /* outbound proxy, or NULL */
    const char *user;      /* for digest; NULL: the user of aor */
    const struct cph_secret *password; /* NULL: none. Copied, wiped with the phone */
    struct cph_policy policy;
};

/* Who may call us by proving a password (digest). Copied. */
struct cph_phone_caller {
    const char *user;
    const struct cph_secret *password;
};

/* What ZRTP needs. It is spoken in calls whose policy names it. */
struct cph_phone_zrtp {
    uint8_t zid[12]; /* our name, drawn once */
    const struct cph_zrtp_store
        *store;    /* of retained secrets; NULL: none are. Outlives the phone */
    bool mitm;     /* we are a trusted man in the middle: an exchange (RFC 6189 7.3) */
    bool enroll;   /* and ask every caller to enrol */
    bool disclose; /* the keys of our calls may be known to others: confess it (11) */
};

/* Sealed bodies (S/MIME, identity_smime.h): calls whose policy says smime send and take no others;
 * any call may come with them. */
struct cph_phone_smime {
    const struct cph_trust *trust; /* authorities that may vouch for a caller; NULL: none */
    bool cbc;                      /* AES-CBC for peers that have no AES-GCM */
    const struct cph_key *key;     /* ours for this, with cert; NULL: the device's */
    const struct cph_cert *cert;
};

struct cph_phone_config {
    const struct cph_env *env;
    const struct cph_phone_host *host;
    const struct cph_sip_ua_cfg *sip; /* listeners, TLS, limits; hook is ours */
    const struct cph_key *key;        /* the device, for DTLS-SRTP; outlive the phone */
    const struct cph_cert *cert;
    const struct cph_phone_account *account; /* at least one; the first is the default */
    unsigned n_accounts;
    const struct cph_phone_caller *caller;
    unsigned n_callers;
    const char *const *codecs; /* names, best first, NULL-ended; NULL: all we have */
    bool rtcp_mux;             /* offer it */
    bool ekt;           /* RFC 8870: offer to tell keys in the media, and take such an offer */
    bool cryptex;       /* RFC 9335: encrypt RTP headers with peers that can, too */
    unsigned resume_s;  /* DTLS: a call may be made from the keys of an earlier one with the same
                           peer for so many seconds; keying_dtls.h has the price. 0: never */
    unsigned max_calls; /* 0: CPH_PHONE_CALLS */
    const struct cph_phone_zrtp *zrtp;   /* NULL: no call has it */
    struct cph_mikey *mikey;             /* for calls with anybody, or NULL; outlives the phone */
    const struct cph_phone_smime *smime; /* NULL: a sealed call is refused (415) */
    bool portable_crypto;                /* SRTP through OpenSSL even where libipsec-mb could */
};

/**
 * Copies the texts and passwords of cfg, and keeps what it points to beside them: env, host, key,
 * cert, authorities, mikey outlive the phone. One thread.
 * CPH_E_ARGUMENT: no account, no listener, a caller without a name or password. CPH_E_CONFIG:
 * no codec of those named, or what cph_sip_ua_new() says. CPH_E_LIMIT: more accounts or callers, or
 * longer texts, than fit. CPH_E_MALFORMED: an address of record. CPH_E_NOMEM, CPH_E_CRYPTO.
 */
CPH_API CPH_MUST_CHECK cph_err cph_phone_new(const struct cph_phone_config *cfg, cph_time now,
                                             struct cph_phone **out);
/** Ends without a word to the peers; hang up and turn first to be polite. NULL is fine. */
CPH_API void cph_phone_free(struct cph_phone *p);

/** For the driver of sip_transport.h. Its events are taken by the phone; do not pull them. */
CPH_API struct cph_sip_ua *cph_phone_ua(struct cph_phone *p);
/** A datagram came to a media port of a call; packet is changed in place. Unknown calls are
 * ignored. */
CPH_API void cph_phone_media(struct cph_phone *p, uint32_t call, unsigned component,
                             const struct cph_addr *from, uint8_t *packet, size_t n, cph_time now);
/** Do what is to be done now: SIP events, keying, audio frames. */
CPH_API void cph_phone_turn(struct cph_phone *p, cph_time now);
CPH_API cph_time cph_phone_deadline(const struct cph_phone *p);

/* ---- what happened --------------------------------------------------------------------------- */

enum cph_phone_event_kind {
    CPH_PHONE_INCOMING,    /* accept it or reject it */
    CPH_PHONE_RINGING,     /* the far end rings */
    CPH_PHONE_EARLY,       /* early media may be heard */
    CPH_PHONE_ANSWERED,    /* the call stands; media may still wait for keys */
    CPH_PHONE_SECURED,     /* media has keys in both directions */
    CPH_PHONE_PLAIN,       /* policy let the call go on without keys */
    CPH_PHONE_CHANGED,     /* hold, resume, re-key: see the status */
    CPH_PHONE_DIGIT,       /* the peer pressed a key */
    CPH_PHONE_NOTICE,      /* why: a sentence for the user */
    CPH_PHONE_SOURCE_OVER, /* our source has been played to its end */
    CPH_PHONE_ENDED,       /* the last event of a call */
    CPH_PHONE_REGISTERED,
    CPH_PHONE_REGISTER_FAILED,
    CPH_PHONE_UNREGISTERED,
    CPH_PHONE_SAS,     /* compare the string with the peer, and say so with cph_phone_sas() */
    CPH_PHONE_ENROLL,  /* the peer wants to be a trusted man in the middle: cph_phone_enroll() */
    CPH_PHONE_CLEARED, /* the peer took the keys away: nothing goes until cph_phone_clear() or
                          cph_phone_secure() */
};

struct cph_phone_event {
    enum cph_phone_event_kind kind;
    uint32_t call;
    unsigned status; /* SIP status, 0 if there was none */
    cph_err cause;   /* ENDED: CPH_OK for a plain end; CPH_E_POLICY: security policy not met */
    bool by_peer;
    bool ours; /* ENDED: we gave the call up, for the reason in why */
    char digit;
    unsigned expires; /* REGISTERED: seconds */
    char why[CPH_PHONE_WHY];
    char sas[CPH_PHONE_SAS_TEXT]; /* SAS */
    bool verified;                /* SAS: no need to: compared in an earlier call */
};

/** The next event, oldest first; CPH_E_AGAIN. Of 256 that nobody takes, those of least use go, and
 * CPH_PHONE_ENDED never. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_event(struct cph_phone *p, struct cph_phone_event *out);
CPH_API const char *cph_phone_event_name(enum cph_phone_event_kind kind);

/* ---- what the user does ---------------------------------------------------------------------- */

/* Of a call that is not there, or over: CPH_E_NOTFOUND. What a call cannot do now: CPH_E_STATE, and
 * nothing changed. */

struct cph_phone_dial {
    const char *to;
    const char *account;             /* NULL: the default one */
    const struct cph_policy *policy; /* what differs from the account's, or NULL */
};

/** The call begins; what becomes of it is told by events. CPH_E_MALFORMED (address), CPH_E_NOTFOUND
 *  (account), CPH_E_LIMIT, CPH_E_CONFIG (no keying possible under the policy). */
CPH_API CPH_MUST_CHECK cph_err cph_phone_dial(struct cph_phone *p, const struct cph_phone_dial *d,
                                              cph_time now, uint32_t *call);
/** Tell the caller of an incoming call that it rings (180). */
CPH_API CPH_MUST_CHECK cph_err cph_phone_ring(struct cph_phone *p, uint32_t call, cph_time now);
/** Take an incoming call. CPH_E_STATE also while its preconditions wait. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_accept(struct cph_phone *p, uint32_t call, cph_time now);
/** Refuse an incoming call; status: 300 to 699, else CPH_E_ARGUMENT. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_reject(struct cph_phone *p, uint32_t call, unsigned status,
                                                cph_time now);
/** End it in whatever state it is; CPH_PHONE_ENDED follows. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_hangup(struct cph_phone *p, uint32_t call, cph_time now);
/** Hold the peer, or take it back, by a re-offer (RFC 3264 8.4); CPH_PHONE_CHANGED tells when it is
 * so. CPH_E_STATE while another offer is under way. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_hold(struct cph_phone *p, uint32_t call, bool hold,
                                              cph_time now);
/** New keys by a re-offer. CPH_E_STATE while another offer is under way. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_rekey(struct cph_phone *p, uint32_t call, cph_time now);
/** Another key of ours at once and without a word of signalling, in a call with EKT. CPH_E_STATE in
 * others; CPH_E_EXPIRED: cph_phone_rekey() is due. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_rekey_media(struct cph_phone *p, uint32_t call,
                                                     cph_time now);
/** The users compared the string of CPH_PHONE_SAS. Not equal ends the call. CPH_E_STATE before
 * there is one; CPH_E_STORE: it counts, but could not be kept for the next call. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_sas(struct cph_phone *p, uint32_t call, bool equal,
                                             cph_time now);
/** Trust the peer to be in the middle of calls from now on. CPH_E_STATE if it did not ask;
 *  CPH_E_AUTH before the string was compared. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_enroll(struct cph_phone *p, uint32_t call, cph_time now);
/** Back to RTP, or agree to it after CPH_PHONE_CLEARED. CPH_E_POLICY: our policy or the peer does
 *  not allow it; CPH_E_STATE: the call is not keyed by ZRTP. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_clear(struct cph_phone *p, uint32_t call, cph_time now);
/** And to SRTP again. CPH_E_STATE */
CPH_API CPH_MUST_CHECK cph_err cph_phone_secure(struct cph_phone *p, uint32_t call, cph_time now);
/** Send silence instead of our source. CPH_E_NOTFOUND also before there is media. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_mute(struct cph_phone *p, uint32_t call, bool mute);
/** Press keys, e.g. "123#". Errors as of cph_media_flow_digits(); CPH_E_NOTFOUND as above. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_digits(struct cph_phone *p, uint32_t call,
                                                const char *digits);
/** Register an account (NULL: the first) and keep it registered; cph_phone_unregister() ends it.
 * CPH_E_NOTFOUND: no such account. CPH_E_CONFIG: it has no registrar or address. CPH_E_EXISTS: it
 * is registered, or about to be. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_register(struct cph_phone *p, const char *account,
                                                  cph_time now);
/** CPH_PHONE_UNREGISTERED follows, or CPH_PHONE_REGISTER_FAILED. CPH_E_NOTFOUND: it is not
 * registered; CPH_E_STATE: already on its way out. */
CPH_API CPH_MUST_CHECK cph_err cph_phone_unregister(struct cph_phone *p, const char *account,
                                                    cph_time now);

/* ---- how a call is now ----------------------------------------------------------------------- */

enum cph_phone_state {
    CPH_PHONE_ST_CALLING,
    CPH_PHONE_ST_RINGING,
    CPH_PHONE_ST_EARLY,
    CPH_PHONE_ST_INCOMING,
    CPH_PHONE_ST_TALKING,
    CPH_PHONE_ST_HELD, /* by either side */
    CPH_PHONE_ST_ENDED,
};

struct cph_phone_status {
    enum cph_phone_state state;
    bool outgoing, muted, held_by_us, held_by_peer, secured;
    char peer[CPH_PHONE_URI];
    const char *codec; /* "opus", NULL before there is one */
    cph_time since;    /* when it was answered, 0 before */
    struct cph_media_stats media;
    struct cph_verdict verdict;
    char sas[CPH_PHONE_SAS_TEXT]; /* "": none */
    bool sas_asked;               /* and nobody has compared it yet */
    bool sas_strange;        /* ... and the peer has not what the device of earlier calls had */
    bool sas_relayed;        /* it is that of who is behind a man in the middle we trust */
    bool mitm, trusted_mitm; /* the peer says it is in the middle; and we enrolled with it */
    bool enroll_asked;       /* cph_phone_enroll() would be in place */
    bool clear_asked;        /* the peer took the keys away, and the user has not agreed */
    bool may_clear;          /* cph_phone_clear() would be obeyed */
    bool went_clear;         /* the call is in clear; cph_phone_secure() may end that */
};

/** Of a call, also once more after CPH_PHONE_ENDED until the next cph_phone_turn(). CPH_E_NOTFOUND.
 */
CPH_API CPH_MUST_CHECK cph_err cph_phone_status(struct cph_phone *p, uint32_t call, cph_time now,
                                                struct cph_phone_status *out);
CPH_API const char *cph_phone_state_name(enum cph_phone_state state);

/* Objects alive; all zero but registrations when nothing goes on. */
struct cph_phone_load {
    size_t calls, sessions, flows;
    struct cph_sip_load sip;
};
CPH_API struct cph_phone_load cph_phone_load(const struct cph_phone *p);

#endif

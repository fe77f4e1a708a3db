/* The phone from inside: phone.c the whole, phone_call.c signalling and session of a call,
 * phone_change.c what changes in a standing one, phone_user.c what the user does, phone_media.c its
 * packets and audio, phone_trust.c who is who. */
#ifndef CPH_SIP_PHONE_INT_H
#define CPH_SIP_PHONE_INT_H

#include "attach.h"

#include "ciphony/identity_device.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/identity_smime.h"
#include "ciphony/session.h"
#include "ciphony/session_manager.h"
#include "ciphony/session_sma.h"
#include "ciphony/session_sst.h"
#include "ciphony/sip_phone.h"

enum {
    PHONE_CODECS = CPH_SDP_MAX_CODECS,
    PHONE_EVENTS = 256,                        /* waiting for the host; a call makes about ten */
    PHONE_PACKET = CPH_MEDIA_PACKET_MAX + 256, /* with room for SRTP's trailer */
    PHONE_CALLERS = 64,
    PHONE_TAKE = 64,         /* packets moved per stream and turn */
    PHONE_PRECOND_S = 32,    /* keys that a call to us waits for before it rings; 64 T1 */
    PHONE_RING_S = 180,      /* a call to us that nobody takes; RFC 3261 16.6 timer C */
    PHONE_UNCONFIRMED_S = 4, /* we send media without an ACK: it may have a false address */
    PHONE_SECOND_MS = 50,    /* before an offer that a mechanism needs beside the first */
    PHONE_TRIES = 5,         /* of a change at a peer that says it is busy with another */
    PHONE_OUR_BRANCH = 1, /* a call of ours has a branch per early dialog, a call to us this one */
};

struct phone_account {
    char name[CPH_SST_NAME];
    char aor[CPH_PHONE_URI], registrar[CPH_PHONE_URI], route[CPH_PHONE_URI], user[CPH_SST_NAME];
    bool has_aor, has_registrar, has_route, has_password;
    struct cph_secret password;
    struct cph_policy policy;
    uint32_t registration; /* 0: none */
};

struct phone_caller {
    char user[CPH_SST_NAME];
    struct cph_secret password;
};

struct phone_call {
    struct cph_phone *phone;
    uint32_t id;  /* ours, told to the host */
    uint32_t sip; /* the SIP engine's, 0 when it has none (any more) */
    enum cph_phone_state state;
    bool outgoing, muted, held_by_us, held_by_peer;
    bool held_agreed; /* held_by_us as the peer knows it */
    unsigned tries;   /* of an offer that met a peer in the middle of something */
    bool ports_open, sounding;
    bool keyed, plain; /* media may flow: with keys, or policy lets it go without */
    bool told_keyed;   /* SECURED was said */
    bool answered, late_offer;
    bool demanded;       /* an offer that asked for keys was refused: now they are a condition */
    bool twice;          /* our offer has a stream twice, in two bodies or in two lines */
    bool waiting;        /* for keys on both sides: nobody was told of it yet */
    bool answer_sent;    /* in a reliable 183; or our offer, to an INVITE without one */
    bool late_answered;  /* and its PRACK has answered that */
    bool confirmed;      /* a call to us: its ACK came */
    bool told_change;    /* the exchange under way made keys, and that was told */
    uint32_t confirming; /* branch that is being told of our keys, or 0 */
    bool ended;          /* ENDED was told; gone at the next turn */
    struct phone_account *account;
    struct cph_policy policy;
    char peer[CPH_PHONE_URI];
    struct cph_session *session;
    struct cph_zrtp_call *zrtp;      /* NULL: not in this call */
    char zrtp_peer[CPH_PEER_MAX];    /* the peer's address in one spelling */
    struct cph_zrtp_signing signing; /* of the string: ours by the device's certificate */
    struct cph_zrtp_signer signer;
    struct cph_media_flow *flow;
    const struct cph_media_codec *codec;
    uint32_t branch; /* the one that answered, 0 before */
    struct cph_addr local[2];
    cph_time since;
    cph_time ring_until; /* incoming, or CPH_TIME_NEVER */
    cph_time retry_at;   /* of an offer that met a 491, or CPH_TIME_NEVER */
    char *answer;        /* our answer, made when the INVITE came; holds keys */
    size_t answer_n;
    bool refusal;                     /* no answer: it says why we refuse, and has no keys */
    char answer_type[CPH_SMIME_TYPE]; /* "": application/sdp */
    bool sealed;                      /* by S/MIME, and must stay so */
    char seal_why[CPH_PHONE_WHY];     /* what is wrong with the last body; "": nothing is */
    struct cph_cert *seal_cert;       /* the peer's, as it came; NULL before */
    char seal_out[CPH_SMIME_ID];      /* our last offer, which an answer must answer */
    char seal_in[CPH_SMIME_ID];       /* the peer's last offer */
    unsigned refuse;                  /* status to refuse with, 0: 488 */
    cph_err failed;                   /* why we end it, CPH_OK if we do not */
    char why[CPH_PHONE_WHY];
    struct phone_call *next;
};

struct cph_phone {
    const struct cph_env *env;
    const struct cph_phone_host *host;
    struct cph_sip_ua *ua;
    struct cph_manager *manager;
    struct cph_attach attach;
    struct cph_sst sst;
    struct cph_sma digest;
    struct cph_srtp_engine *srtp;
    const struct cph_key *key;
    const struct cph_cert *cert;
    struct cph_phone_zrtp zrtp;
    bool has_zrtp;
    struct cph_dtls *dtls; /* NULL: there is no certificate */
    struct cph_mikey *mikey;
    struct cph_smime *smime; /* NULL: no sealed bodies */
    struct phone_account account[CPH_PHONE_ACCOUNTS];
    unsigned n_accounts;
    struct phone_caller caller[PHONE_CALLERS];
    unsigned n_callers;
    struct cph_sip_listener listener[CPH_SIP_LISTENERS_MAX];
    unsigned n_listeners;
    struct cph_sdp_codec codec[PHONE_CODECS];
    unsigned n_codecs;
    bool rtcp_mux, ekt, cryptex;
    unsigned max_calls, n_calls;
    struct phone_call *calls;
    uint32_t next_id;
    struct cph_phone_event event[PHONE_EVENTS];
    unsigned event_first, event_n;
    struct cph_phone_event scratch; /* what there was no room for */
};

/* phone.c */
struct phone_call *phone_call_of(struct cph_phone *p, uint32_t id);
struct phone_call *phone_call_by_sip(struct cph_phone *p, uint32_t sip);
CPH_MUST_CHECK cph_err phone_call_new(struct cph_phone *p, struct phone_account *a,
                                      struct cph_span peer, bool outgoing, struct phone_call **out);
/** Queue an event; when the queue is full the oldest notice is lost first, and ENDED never. */
void phone_tell(struct cph_phone *p, enum cph_phone_event_kind kind, uint32_t call,
                const char *why);
struct cph_phone_event *phone_tell_more(struct cph_phone *p, enum cph_phone_event_kind kind,
                                        uint32_t call);
struct phone_account *phone_account_of(struct cph_phone *p, const char *name);

/* SDP we write holds keys: it is wiped on every way out. */
struct phone_sdp {
    uint8_t b[CPH_SESSION_SDP + 3 * CPH_SMIME_GROWS];
    struct cph_wr wr;
    char type[CPH_SMIME_TYPE]; /* "": application/sdp */
};
/* Not zeroed first: it is 28 kB, and all that is ever read or wiped of it was written. */
#define PHONE_SDP_SCOPED(name)                                                                     \
    __attribute__((cleanup(phone_sdp_wipe), uninitialized)) struct phone_sdp name;                 \
    phone_sdp_open(&(name))

/* phone_call.c */
void phone_sdp_wipe(struct phone_sdp *t);
void phone_sdp_open(struct phone_sdp *t);
/** An answer came on a branch. False: a bad one; it ended the call if it is the one that counts. */
bool phone_take_answer(struct phone_call *c, uint32_t branch, const struct cph_sip_event *ev,
                       cph_time now);
void phone_sip_event(struct cph_phone *p, const struct cph_sip_event *ev, cph_time now);
void phone_session_events(struct phone_call *c, cph_time now);
void phone_call_unanswered(struct phone_call *c, cph_time now); /* it rang long enough */
/** End the call for a reason of ours. */
void phone_fail(struct phone_call *c, cph_err err, const char *why, cph_time now);
void phone_call_free(struct phone_call *c);

/* phone_change.c */
/** Our answer to the offer in a message, or our offer if it has none; sealed where the call is. On
 * an error sdp is empty, or says why, for a 488. */
CPH_MUST_CHECK cph_err phone_answer(struct phone_call *c, const struct cph_sip_event *ev,
                                    struct phone_sdp *sdp, cph_time now);
/** The status that says so. */
unsigned phone_refusal(cph_err err);
/** An offer of ours was refused: tell the user what is said of it. True: a mechanism read the
 * reason in the body, and it is the keys. */
bool phone_hear_refusal(struct phone_call *c, const struct cph_sip_event *ev);
void phone_on_offer(struct phone_call *c, const struct cph_sip_event *ev, cph_time now);
/** An exchange in a standing call is over. */
void phone_changed(struct phone_call *c, cph_time now);
void phone_on_offer_done(struct phone_call *c, const struct cph_sip_event *ev, cph_time now);
void phone_on_refreshed(struct phone_call *c, const struct cph_sip_event *ev, cph_time now);
void phone_call_retry(struct phone_call *c, cph_time now); /* an offer that met a 491 */
/** Send a re-offer of what the session now wants. CPH_E_STATE while another is under way. */
CPH_MUST_CHECK cph_err phone_reoffer(struct phone_call *c, cph_time now);

/* phone_offer.c */
struct phone_offer { /* as SIP takes it; it holds keys */
    uint8_t b[2 * CPH_SESSION_SDP + 3 * CPH_SMIME_GROWS];
    char type[CPH_SMIME_TYPE];
    struct cph_wr wr;
};
void phone_offer_open(struct phone_offer *o);
void phone_offer_wipe(struct phone_offer *o);
#define PHONE_OFFER_SCOPED(name)                                                                   \
    __attribute__((cleanup(phone_offer_wipe), uninitialized)) struct phone_offer name;             \
    phone_offer_open(&(name))
/** Our first offer, in one body or two. */
CPH_MUST_CHECK cph_err phone_offer_write(struct phone_call *c, cph_time now, struct phone_offer *o);
/** Our first offer was refused: make ready to call again in another way, if that may help.
 * CPH_E_NOTFOUND: it may not. */
CPH_MUST_CHECK cph_err phone_offer_again(struct phone_call *c, const struct cph_sip_event *ev,
                                         cph_time now);
/** Answer an offer; of several bodies of an INVITE the last that we can. body: the one offer,
 * opened if it was sealed. */
CPH_MUST_CHECK cph_err phone_offer_answer(struct phone_call *c, const struct cph_sip_event *ev,
                                          struct cph_span body, cph_time now, struct cph_wr *out);

/** Refuse an INVITE, saying why where that can be said. */
CPH_MUST_CHECK cph_err phone_refuse(const struct phone_call *c, cph_time now);

/* phone_precond.c */
bool phone_precond_asked(const struct phone_call *c, const struct cph_sip_event *ev);
void phone_precond_incoming(struct phone_call *c, const struct cph_sip_event *ev,
                            const struct cph_sip_call_info *info);
/** The PRACK of our offer in a 183 came. */
void phone_precond_prack(struct phone_call *c, const struct cph_sip_event *ev, cph_time now);
/** Lines of our INVITE, or NULL. */
const char *phone_precond_headers(const struct phone_call *c);
/** Our answer is made: does the call wait before it rings? Then it goes out, and c->waiting is set.
 */
CPH_MUST_CHECK cph_err phone_precond_begin(struct phone_call *c, cph_time now);
/** Something changed on a branch: ring, or tell the peer of our keys. */
void phone_precond_look(struct phone_call *c, uint32_t branch, cph_time now);
/** The end of an offer of ours: was it such word? */
bool phone_precond_done(struct phone_call *c, const struct cph_sip_event *ev, cph_time now);
/** Does this branch wait? */
bool phone_precond_holds(const struct phone_call *c, uint32_t branch);

/* phone_media.c */
/** Open ports near an address and make the session. */
CPH_MUST_CHECK cph_err phone_session_new(struct phone_call *c, const struct cph_addr *near,
                                         cph_time now);
/** Another session on the same ports, by the policy that the call has now. */
CPH_MUST_CHECK cph_err phone_session_again(struct phone_call *c, cph_time now);
void phone_session_free(struct phone_call *c);
/** Bring the audio flow in line with what the session agreed. */
void phone_media_update(struct phone_call *c, cph_time now);
/** Move packets in and out, and play and record what is due. */
void phone_media_turn(struct phone_call *c, cph_time now);
void phone_media_stop(struct phone_call *c, cph_time now);
cph_time phone_media_deadline(const struct phone_call *c);
unsigned phone_codecs(const char *const *names, struct cph_sdp_codec out[PHONE_CODECS]);

/* phone_smime.c */
#define PHONE_OPENED_SCOPED __attribute__((cleanup(cph_smime_opened_wipe))) struct cph_smime_opened
CPH_MUST_CHECK cph_err phone_smime_init(struct cph_phone *p, const struct cph_phone_smime *cfg);
/** Where the call is sealed: what stands in t becomes that, sealed to the peer. CPH_E_NOTFOUND:
 * nobody knows the peer's certificate. */
CPH_MUST_CHECK cph_err phone_seal(struct phone_call *c, bool answer, struct phone_sdp *t);
/** The description in a message: its body, or what was sealed in it (a view of opened).
 * CPH_E_POLICY: it came open, and may not. */
CPH_MUST_CHECK cph_err phone_unseal(struct phone_call *c, bool answer,
                                    const struct cph_sip_event *ev, struct cph_smime_opened *opened,
                                    struct cph_span *body);
/** Why a body is not taken, in words: those of S/MIME if it was that, else these. */
const char *phone_seal_words(const struct phone_call *c, const char *else_words);
/** Content-Type for the SIP engine. */
const char *phone_type(const char type[CPH_SMIME_TYPE]);

/* phone_trust.c */
void phone_trust_init(struct cph_phone *p);
/** Whose call it is, by the user in the address called; the first account's in doubt. */
struct phone_account *phone_account_called(struct cph_phone *p, struct cph_span uri);
bool phone_has_server(const struct phone_account *a);
bool phone_at_server(const struct phone_account *a, struct cph_span to);
/** What the call's signalling path was, into the session's evidence. */
void phone_path(struct phone_call *c);
cph_session_voucher_fn phone_voucher;

#endif

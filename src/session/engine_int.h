/* The session engine from the inside. */
#ifndef CPH_SESSION_ENGINE_INT_H
#define CPH_SESSION_ENGINE_INT_H

#include "ciphony/base_mem.h"
#include "ciphony/rtp.h"
#include "ciphony/sdp_precond.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"
#include "ciphony/srtp_ekt.h"

enum {
    ENGINE_PACKET = 2048,     /* bytes of a media packet we handle; an Ethernet frame has 1500 */
    ENGINE_RING = 16,         /* good packets that wait to be taken; feed one, take one is usual */
    ENGINE_EVENTS = 32,       /* that wait to be taken; the oldest notice goes first */
    ENGINE_GRACE_MS = 3000,   /* old receiving keys stay this long for packets under way */
    ENGINE_WORD_S = 32,       /* ... while the peer is told that ours are ready; 64 T1 of SIP */
    ENGINE_RING_S = 300,      /* the same while it rings at our side */
    ENGINE_KEYING_S = 40,     /* longer than any mechanism tries: then something is stuck */
    ENGINE_LIFE_EVERY = 1024, /* packets between looks at a key's lifetime */
    ENGINE_KIND = 32,         /* bytes of "audio" with its NUL */
    ENGINE_NOTICES = 3,       /* notices of one sort for one line */
    ENGINE_PARTED = 32,       /* senders of branches that are gone, until the choice */
    ENGINE_NO_LINE = 255,     /* a stream that has no such m= line */
    ENGINE_EKT_SOURCES = 64,  /* members of a conference that speak in one line */
    ENGINE_EKT_SALT = 14,     /* the longest salt of our suites */
    ENGINE_EKT_TTL_S =
        86400, /* of a set that we draw: no call of ours is longer without a re-key */
};

/* A description and where it lives. */
struct engine_desc {
    struct cph_arena *arena;
    struct cph_sdp *sdp; /* NULL: none */
};

/* A sending context. Branches of a fork may have been told the same key (SDES); they share it, so
 * that no keystream is used twice. */
struct engine_sender {
    struct cph_srtp *srtp;
    unsigned refs;
    struct engine_sender *next; /* among those that nobody uses */
};

struct engine_ekt; /* ekt.c */

enum engine_state {
    LINE_NONE,   /* nothing agreed, refused or removed */
    LINE_KEYING, /* agreed; keys are on their way */
    LINE_SECURE,
    LINE_PLAIN,
    LINE_CLEARED, /* the keys were taken away by GoClear; the user must agree */
    LINE_FAILED,
};

/* One media line of one branch. */
struct engine_line {
    struct cph_nego *nego;
    enum engine_state state;
    bool shared;        /* one set of keys serves RTP and RTCP */
    unsigned gen[2][2]; /* installed generations by component and enum cph_keying_dir */
    struct engine_sender *send[2];
    struct cph_srtp *recv[2];
    struct cph_srtp *prev[2]; /* the receiving keys before; NULL after the grace */
    struct cph_srtp *alt[2];  /* the same keys with the other idea of the ROC, until one is right */
    struct engine_ekt *ekt;   /* packets bring their keys: then the contexts above are none */
    struct engine_ekt *ekt_prev; /* for receiving, until the grace is over */
    bool ekt_forked;             /* who only rang knows the set, too, until it is changed */
    cph_time prev_until, keying_since;
    struct cph_sdp_agreed agreed;
    bool has_agreed;
    struct cph_addr
        latched[2]; /* where authenticated packets came from; family NONE: not elsewhere */
    bool seen_seq;
    uint16_t seq; /* highest RTP sequence number accepted */
    bool voucher_asked;
    enum cph_voucher voucher;
    char voucher_name[CPH_FACT_TEXT];
    struct cph_stream_facts facts; /* as of the last look at the keys */
    bool moved;                    /* media went through under these facts */
    unsigned sent;                 /* since the last look at the lifetime */
    bool rekey_told;
    bool held; /* what an exchange changed waits for the peer: the old is sent (RFC 5027 3) */
    bool mute; /* ... and there is nothing old: nothing is sent */
    unsigned gen_was[2]; /* of negotiation before the exchange that is being read */
    unsigned notices;
    bool apart_told; /* that its keys are with another device than the rest of the call */
};

struct engine_branch {
    unsigned slot; /* its place among the session's */
    uint32_t id;   /* 0: the one we answered on */
    struct engine_desc remote;
    struct engine_line line[CPH_SESSION_STREAMS];
    uint8_t at[CPH_SESSION_STREAMS]; /* m= line of each stream */
    bool plain_body;                 /* it answered the description without keys */
    bool precond;                    /* preconditions are in play (RFC 5027) */
    bool confirm, confirmed;         /* the peer wants to hear when ours are met; it was told */
    bool peer_knows;                 /* preconditions: it has used them */
    enum cph_sdp_dir peer_now;       /* what the peer said last of its own */
    bool tidy;                       /* it took both lines of a stream: one has to go */
    char sas[CPH_SESSION_SAS_TEXT];  /* as last told */
    bool enroll_told;
};

/* A host that has packets among the early ones. */
struct engine_host {
    unsigned n;
};

/* A packet that came too early. */
struct engine_early {
    struct engine_early *next;
    enum cph_keying_component component;
    struct cph_addr from;
    cph_time came;
    struct engine_host *host; /* who sent it */
    size_t n, room;           /* n shrinks when it is decrypted in place */
    uint8_t b[];
};

/* What is the same on all branches. */
struct engine_media {
    struct cph_session_media wish;
    char kind[ENGINE_KIND];
    bool removed;
    struct engine_early *early, **early_end;
    unsigned early_n;
    int fact; /* place in the evidence, -1: it never was agreed */
    uint64_t in, out, clear_in, clear_out, refused;
    unsigned rekeys;
};

struct engine_good {
    unsigned stream;
    enum cph_keying_component component;
    uint32_t branch;
    cph_time came;
    size_t n;
    uint8_t b[ENGINE_PACKET];
};

struct cph_session {
    struct cph_session_config cfg;
    char peer[CPH_FACT_TEXT];
    const struct cph_keying_method *method[CPH_KEYING_MAX_METHODS + 1];
    bool none_named; /* policy names mechanisms and this build has none of them */
    struct engine_media media[CPH_SESSION_STREAMS];
    unsigned n;
    struct cph_sdp_local local_side;
    struct engine_desc local, pending;  /* in force; our open offer */
    struct engine_desc pending_plain;   /* the same without keys, for a second body */
    unsigned lines;                     /* m= lines of our next description */
    uint8_t place[CPH_SESSION_STREAMS]; /* m= line of each stream in it */
    uint8_t
        second[CPH_SESSION_STREAMS]; /* in the open offer: that without keys, or ENGINE_NO_LINE */
    bool offered;                    /* our offer waits for an answer, or for the choice */
    bool first;                      /* and it is the first exchange */
    bool rekey, rekey_offered;       /* wished; in the open offer */
    bool rings; /* we answered the first offer, and the user did not take the call yet */
    struct cph_ekt_params ekt;                  /* a set of our own to offer, if we shall */
    struct cph_nego *base[CPH_SESSION_STREAMS]; /* of the first offer, until a branch takes them */
    int active;                                 /* chosen, or the latest that answered; -1 */
    bool chosen;
    struct cph_session_event event[ENGINE_EVENTS];
    unsigned event_at, events_n;
    struct engine_good *ring; /* ENGINE_RING of them */
    unsigned ring_at, ring_n;
    unsigned ring_used;         /* of them, how many ever held a packet */
    struct engine_early *given; /* its bytes were handed out by take */
    struct cph_keying_packet out;
    struct cph_session_counts count;
    struct cph_evidence ev; /* of what is over; the present is added when asked */
    unsigned facts_n;
    enum cph_peer_proof proof_next; /* of messages since there are keys */
    struct engine_sender *parted;   /* their keys may come again until the choice is made */
    unsigned parted_n;
    bool others_told;  /* a branch that had answered is gone */
    bool clear_agreed; /* the user knows that media goes in clear, since a GoClear */
    struct cph_ssm ssm;
    cph_time now; /* of the last call that told it */
    bool look;    /* something was told since: look at negotiation at the next pull */
    struct engine_branch *branch[CPH_SESSION_BRANCHES]; /* NULL: a free place */
};

/* session.c */
void engine_event(struct cph_session *s, enum cph_session_event_kind kind, unsigned stream,
                  const struct engine_branch *b, cph_err err, const char *fmt, ...)
    CPH_PRINTF(6, 7);
/* Of one line. */
cph_err engine_nego(const struct cph_session *s, unsigned stream, struct cph_nego **out);
uint32_t engine_ssrc(const struct cph_session *s, unsigned stream); /* that we send from; 0 */
/* In the first free place. CPH_E_LIMIT: there is none. */
CPH_MUST_CHECK cph_err engine_branch_new(struct cph_session *s, uint32_t id,
                                         struct engine_branch **out);
void engine_branch_free(struct cph_session *s, struct engine_branch *b);
/* By its id, or NULL. */
struct engine_branch *engine_branch_find(const struct cph_session *s, uint32_t id);
/* The active one, or NULL. */
struct engine_branch *engine_branch(struct cph_session *s);
const struct engine_branch *engine_branch_const(const struct cph_session *s);
/* The next in use from the *i-th place on, NULL when there is none: for (unsigned i = 0; (b =
 * engine_next(s, &i)) != NULL;). */
static inline struct engine_branch *engine_next(const struct cph_session *s, unsigned *i)
{
    while (*i < CPH_SESSION_BRANCHES)
        if (s->branch[(*i)++])
            return s->branch[*i - 1];
    return NULL;
}
/* The same, but from the active one on. */
static inline struct engine_branch *engine_next_likely(const struct cph_session *s, unsigned *i)
{
    unsigned from = s->active < 0 ? 0 : (unsigned)s->active;

    while (*i < CPH_SESSION_BRANCHES) {
        struct engine_branch *b = s->branch[(from + (*i)++) % CPH_SESSION_BRANCHES];

        if (b)
            return b;
    }
    return NULL;
}

/* contexts.c: SRTP contexts */
/* What installing has brought. A second handshake that adds the RTCP component replaces nothing, so
 * it is no re-key. */
struct engine_change {
    bool any;      /* a key that was not there */
    bool replaced; /* RTP had another one before */
};
/** Install what is new. CPH_E_AGAIN: a component has no keys yet. */
CPH_MUST_CHECK cph_err engine_install_contexts(struct cph_session *s, struct engine_branch *b,
                                               unsigned stream, const struct cph_keying_status *st,
                                               cph_time now, struct engine_change *change);
/** The same, or an EKT set where that was agreed on. */
CPH_MUST_CHECK cph_err engine_install(struct cph_session *s, struct engine_branch *b,
                                      unsigned stream, const struct cph_keying_status *st,
                                      cph_time now, struct engine_change *change);
void engine_line_stop(struct cph_session *s, struct engine_line *l);
void engine_tell_stream(const struct cph_session *s, const struct engine_branch *b,
                        unsigned stream);
void engine_grace_over(struct engine_line *l);

/* verify.c: media that came */
/** Try one packet on every branch, the one in use first. CPH_E_AGAIN: keys are still to come. */
CPH_MUST_CHECK cph_err engine_verify(struct cph_session *s, unsigned stream,
                                     enum cph_keying_component kind, enum cph_keying_component port,
                                     const struct cph_addr *from, uint8_t *p, size_t *n,
                                     uint32_t *branch);
/** Where the peer is: where its good packets came from, or as it said. May be NULL. */
const struct cph_addr *engine_target(const struct engine_line *l, enum cph_keying_component port);
static inline bool engine_usable(const struct cph_addr *a)
{
    return a && a->family != CPH_AF_NONE && a->port != 0 && !cph_addr_is_any(a);
}

/* keys.c: look at what negotiation has come to, and follow. */
void engine_look(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_time now);
void engine_look_all(struct cph_session *s, struct engine_branch *b, cph_time now);
/** The choice is made, or there is none to make: no key that was told to all comes again. */
void engine_parted_free(struct cph_session *s);
/* By when this line must have its keys. */
cph_time engine_keys_due(const struct cph_session *s, const struct engine_line *l);
void engine_plain(struct cph_session *s, struct engine_branch *b, unsigned stream, const char *why);
/** Can a packet be verified on this line? While a last acknowledgement is missing, too. */
static inline bool engine_hears(const struct engine_line *l)
{
    return l->state == LINE_SECURE || (l->state == LINE_KEYING && (l->recv[0] || l->recv[1]));
}

/* ekt.c: keys that packets bring along */
void engine_ekt_free(struct engine_ekt *e); /* NULL is fine */
/** Make ready to offer and take EKT sets, if that is wished. */
CPH_MUST_CHECK cph_err engine_ekt_setup(struct cph_session *s);
/** Another set for the next offer with new keys; nothing to do where the set is not ours. */
CPH_MUST_CHECK cph_err engine_ekt_draw(struct cph_session *s);
/** The same before an answer, if the set is in use: where the answer gives it (MIKEY), it comes
 * with new keys, and is another one (RFC 8870 4.1 MUST). */
CPH_MUST_CHECK cph_err engine_ekt_draw_again(struct cph_session *s, const struct engine_branch *b);
/** Follow negotiation. CPH_E_NOTFOUND: this line has no EKT. On an error nothing changed. */
CPH_MUST_CHECK cph_err engine_ekt_follow(struct cph_session *s, struct engine_line *l, cph_time now,
                                         bool *changed);
CPH_MUST_CHECK cph_err engine_ekt_protect(struct engine_line *l, enum cph_keying_component kind,
                                          struct cph_srtp_pkt *pkt, cph_time now);
CPH_MUST_CHECK cph_err engine_ekt_unprotect(struct engine_ekt *e, enum cph_keying_component kind,
                                            uint8_t *p, size_t *n, cph_time now);
/** Is a re-key by signalling needed? What a new key of ours can do is done. */
bool engine_ekt_life(struct engine_line *l, cph_time now);
/** The grace is over: the set before is not used any more. */
void engine_ekt_forget(struct engine_ekt *e);

/* early.c: packets before keys */
void engine_keep(struct cph_session *s, unsigned stream, enum cph_keying_component c,
                 const struct cph_addr *from, struct cph_span packet, cph_time now);
/** Those too old are dropped; the time the next one is, or CPH_TIME_NEVER. */
cph_time engine_early_expire(struct cph_session *s, unsigned stream, cph_time now);
void engine_early_free(struct engine_early *e); /* NULL is fine */
struct engine_early *engine_early_pop(struct cph_session *s, unsigned stream);
void engine_early_clear(struct cph_session *s, unsigned stream);
/** Keying packets that waited for their branch. */
void engine_early_keying(struct cph_session *s, struct engine_branch *b, cph_time now);

/* describe.c: descriptions */
void engine_desc_free(struct engine_desc *d);
void engine_desc_move(struct engine_desc *to, struct engine_desc *from);
cph_err engine_desc_read(struct cph_span text, struct engine_desc *out);
/** What the two descriptions of a branch come to, for all its streams or for none. */
cph_err engine_agree(struct cph_session *s, struct engine_branch *b, const struct cph_sdp *local,
                     bool we_offered);
/** Words of what negotiation says about a line, for the event and the log. */
void engine_tell_failure(struct cph_session *s, const struct engine_branch *b, unsigned stream,
                         enum cph_session_event_kind kind, cph_err err);
bool engine_is_fatal(cph_err err);

/* place.c: which m= line is whose */
struct engine_wishes {
    struct cph_sdp_stream stream[CPH_SDP_MAX_MEDIA];
    char kind[CPH_SDP_MAX_MEDIA][ENGINE_KIND];
    char mid[CPH_SDP_MAX_MEDIA][8];
    struct cph_sdp_codec codec[CPH_SESSION_STREAMS][CPH_SDP_MAX_CODECS]; /* of a re-offer */
    unsigned n;
};
/** Our wishes as sdp/ takes them, a line for each m= line of our next offer; they point into out.
 * CPH_E_LIMIT: no payload number is left for a codec. */
cph_err engine_wishes_offer(struct cph_session *s, struct engine_wishes *out);
/** ... for the answer to this offer. */
void engine_wishes_answer(struct cph_session *s, const struct cph_sdp *offer,
                          struct engine_wishes *out);
/** A first offer that offers streams twice has a second line for each of them. */
cph_err engine_place_twice(struct cph_session *s);
/** Name the groups of such lines. */
cph_err engine_place_groups(const struct cph_session *s, const struct engine_wishes *w,
                            struct cph_sdp *sdp);
/** A first offer of the peer: where a stream stands twice, the line we can use. */
cph_err engine_place_choose(struct cph_session *s, const struct cph_sdp *offer);
/** Which lines the answer took; false: both of one stream, so the second has to go. */
bool engine_place_answer(const struct cph_session *s, struct engine_branch *b,
                         const struct cph_sdp *answer);

/* precond.c */
cph_err engine_precond_offer(struct cph_session *s, struct cph_sdp *sdp);
/** CPH_E_UNSUPPORTED: the offer depends on what we do not know. */
cph_err engine_precond_known(const struct cph_session *s, const struct cph_sdp *offer);
/** Turn the answer into the description of a refusal. false: none was demanded, it is as it was. */
bool engine_precond_refuse(const struct cph_session *s, const struct cph_sdp *offer,
                           struct cph_sdp *answer);
cph_err engine_precond_answer(struct cph_session *s, struct engine_branch *b,
                              const struct cph_sdp *offer, struct cph_sdp *answer);
void engine_precond_finish(struct cph_session *s, struct engine_branch *b,
                           const struct cph_sdp *answer);
/** An exchange is about to be read: what are the keys before it? */
void engine_precond_before(struct cph_session *s, struct engine_branch *b);
/** The first exchange is over since the call is answered: nothing waits any more. */
void engine_precond_over(struct cph_session *s, struct engine_branch *b);
/** Until when the receiving keys before are kept, if they are replaced now. */
cph_time engine_precond_grace(const struct engine_branch *b, const struct engine_line *l,
                              cph_time now);

/* sas.c */
void engine_sas(struct cph_session *s, struct engine_branch *b, unsigned stream);
/** The users compared its string and found another one. */
bool engine_sas_refuted(const struct engine_line *l);

/* zrtp.c: what only ZRTP does */
/** A packet was verified on a line that waits for the peer's last word. */
void engine_heard(struct cph_session *s, struct engine_branch *b, unsigned stream);
/** May the receiving keys be used before there are sending ones? */
bool engine_hears_first(const struct engine_line *l);
/** The call was taken back to RTP: follow. false: it was not. */
bool engine_cleared(struct cph_session *s, struct engine_branch *b, unsigned stream);

/* facts.c */
void engine_facts(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_time now);
void engine_facts_proof(struct cph_session *s); /* new keys are in use */
void engine_facts_close(struct cph_session *s, struct engine_branch *b, unsigned stream);

#endif

/*
 * The stage of an experiment: people with real phones, one SIP server between them, everything they
 * send on record, and whoever listens or meddles. Virtual time; a run is its seed.
 */
#ifndef CPH_LAB_STAGE_H
#define CPH_LAB_STAGE_H

#include "column.h"
#include "proxy.h"
#include "speech.h"
#include "terminal.h"
#include "trace.h"

#include "ciphony/crypto_key.h"
#include "ciphony/keying.h"

struct lab_stage;

enum lab_callee { LAB_ANSWERS, LAB_RINGS, LAB_ANSWERS_LATER };

struct lab_stage_person {
    struct lab_stage *stage;
    unsigned index;
    struct lab_terminal *terminal; /* NULL: not on this stage */
    struct cph_phone *phone;
    enum lab_callee callee;
    cph_time later; /* LAB_ANSWERS_LATER */
    uint32_t call;  /* the latest */
    cph_time rang_at;
    bool ringing, answered, secured, plain, ended, mismatch, compared;
    unsigned secured_n, changed, incoming_n;
    cph_time dialled_at, accepted_at, answered_at, secured_at, accept_due;
    cph_err cause;
    unsigned status;
    char why[CPH_PHONE_WHY];
    struct cph_verdict worst; /* of all looked at: the best level the user was shown is in shown */
    enum cph_level shown;     /* the highest level shown while the call stood, or at its end */
    enum cph_attacker shown_class;
    struct cph_verdict verdict; /* the latest */
    bool has_verdict;
    struct cph_media_stats media; /* the latest */
    struct lab_heard said, heard;
    bool mute;                                 /* hears, and says nothing */
    cph_err (*sound)(void *ctx, uint32_t call, /* of a node, instead of a person's; NULL: none */
                     struct cph_media_source **source, struct cph_media_sink **sink);
    void *sound_ctx;
    struct lab_kit *kit;
    char sas[CPH_PHONE_SAS_TEXT]; /* the string on the display, "" */
    char warned[CPH_PHONE_WHY];   /* what the phone told of itself, the latest; "" */
};

/* May a datagram pass? For gates, inspection and attackers on the path. */
typedef bool lab_filter_fn(void *ctx, const struct lab_packet *p);

/* Servers in a row: Alice's is the first, everybody else's the last. Hop 0 is hers to the first,
 * hop i that from server i - 1 to server i, the last one that to the others' phones. */
enum { LAB_SERVERS = 3 };
struct lab_chain {
    unsigned servers; /* 0 and 1: only one */
    unsigned clear;   /* bits 1 << hop: over UDP although tls is wished for */
    unsigned meddler; /* the hooks of proxy.ops are in this one */
};

struct lab_stage_config {
    uint64_t seed;
    struct lab_link link;
    const char *keying;         /* a column; NULL: none (plain RTP) */
    enum cph_security security; /* of everybody */
    enum cph_keying_form form;  /* of offers, where RTP will do */
    enum cph_precondition precondition;
    bool resume;                      /* devices keep the keys of DTLS for a later call */
    enum cph_security of[LAB_PEOPLE]; /* where it is not UNSET: of this one */
    unsigned people;                  /* bits 1 << enum lab_person */
    unsigned unlisted;                /* of them, who does not register */
    bool direct;                      /* no server between */
    bool tls;       /* signalling over TLS with pinned certificates, to the server or each other */
    bool issued;    /* with tls: certificates of the authority, and nobody keeps any */
    bool pinned;    /* people keep each other's certificates, and compare strings */
    bool strangers; /* nobody signed anybody's certificate, nor gave it to the other */
    bool fooled;    /* Mallory's certificate was given to everybody as that of the other */
    unsigned
        impostor;  /* bits 1 << enum lab_person: in whose place Mallory sits, with her own keys */
    bool own_name; /* ... and where keys carry a name says who she is */
    bool once;     /* with pinned: people compare strings at the first call's first, never again */
    bool quiet;    /* nobody speaks */
    struct lab_proxy_config proxy; /* ip is filled in */
    struct lab_chain chain;
    lab_filter_fn *filter;
    void *filter_ctx;
    bool nat;       /* Alice is behind address translation */
    bool no_record; /* packets are not kept */
};

struct lab_stage {
    struct lab_stage_config cfg;
    const struct lab_column *column;
    struct lab_net *net;
    struct cph_env env;
    struct lab_trace *trace;
    struct lab_proxy *proxy; /* the first of the servers */
    struct lab_proxy *server[LAB_SERVERS];
    struct lab_stage_person person[LAB_PEOPLE];
    struct cph_sip_pin pin[LAB_PEOPLE];
    struct cph_sip_tls tls[LAB_PEOPLE];
    int64_t began; /* wall seconds */
    cph_err err;   /* the first thing that went wrong in a callback */
};

CPH_MUST_CHECK cph_err lab_stage_open(const struct lab_stage_config *cfg, struct lab_stage **out);
void lab_stage_close(struct lab_stage *s);

/* ---- the servers (servers.c) ----------------------------------------------------------------- */

const char *lab_server_ip(unsigned i);
const char *lab_server_of(const struct lab_stage *s, enum lab_person who);
bool lab_person_tls(const struct lab_stage *s, enum lab_person who); /* to its server */
CPH_MUST_CHECK cph_err lab_servers_open(struct lab_stage *s);
void lab_servers_name(struct lab_stage *s); /* in the ladder */
void lab_servers_close(struct lab_stage *s);

/* ---- what people do -------------------------------------------------------------------------- */

/** from calls to: "bob" is the address of record at the server, or the phone itself if direct. */
CPH_MUST_CHECK cph_err lab_stage_dial(struct lab_stage *s, enum lab_person from, const char *user,
                                      enum lab_person direct_to);
void lab_stage_hangup(struct lab_stage *s, enum lab_person who);
CPH_MUST_CHECK cph_err lab_stage_rekey(struct lab_stage *s, enum lab_person who);
/** Let time pass. */
CPH_MUST_CHECK cph_err lab_stage_run(struct lab_stage *s, cph_time us);
/** A call from Alice to Bob (his first phone answers) that talks for us, and ends. */
CPH_MUST_CHECK cph_err lab_stage_talk(struct lab_stage *s, cph_time us);
/** What people did and saw so far belongs to a call that is over. */
void lab_stage_forget(struct lab_stage *s);
/** Do both of them have a call with media that was heard by each? */
bool lab_stage_heard(const struct lab_stage *s, enum lab_person a, enum lab_person b);
/** Note what the phones show now. */
void lab_stage_look(struct lab_stage *s);

/** The description (offer of an INVITE, or answer) on the wire: the i-th SIP datagram with a body
 * from this host to any. Empty if there is none. */
struct cph_span lab_stage_sdp(const struct lab_stage *s, const char *from_ip, bool response,
                              unsigned i);
/** The Body of a SIP datagram. */
struct cph_span lab_sip_body(struct cph_span datagram);

#endif

/* Ciphony: private face of DTLS-SRTP keying (RFC 5763, 5764, 8122, 8842, 7983). */
#ifndef CPH_KEYING_DTLS_INT_H
#define CPH_KEYING_DTLS_INT_H

#include "ciphony/crypto_key.h"
#include "ciphony/keying.h"
#include "ciphony/keying_dtls.h"
#include "ciphony/sdp.h"
#include "ciphony/srtp.h"
#include "ciphony/stream.h"

enum {
    DTLS_RIVALS = 4,  /* ClientHellos of one component we answer at once, over all branches */
    DTLS_SLOTS = 12,  /* handshakes of one component: those, and our own of each branch */
    DTLS_FPS = 8,     /* fingerprint lines we look at */
    DTLS_FPS_OWN = 3, /* and that we write */
    DTLS_TLS_ID = 32, /* hex digits of ours: 128 bits; RFC 8842 4 wants 120 */
    DTLS_TLS_ID_MAX = 255,
    DTLS_RESTARTS = 6,   /* times an active side begins anew after a false answer */
    DTLS_PAUSE_MS = 250, /* before it does, doubled each time */
    DTLS_GIVE_UP_S = 30, /* no keys by then: the stream fails */
    DTLS_RING_S = 240,   /* the same while the phone rings: the peer may not listen before */
    DTLS_DOUBT_S = 5,    /* after a false certificate, the true one has this long to show up */
    DTLS_LATCH_MS = 500, /* before an answer from where nobody said is listened to */
    DTLS_STALE_S = 2,    /* an unfinished rival older than this gives way to a newcomer */
    DTLS_FIRST_MS = 500, /* first retransmission */
    DTLS_STALL_S = 3,    /* answered, and not done by then: the active side says hello beside it */
    DTLS_OWN = 3,        /* of these at once */
    DTLS_NAMED = 2,      /* unfinished ones from the announced address that asked for no cookie */
    DTLS_RANDOM = 32,    /* bytes of a ClientHello's random */
    DTLS_HELLO_MAX = 4096, /* bytes of a ClientHello in pieces; with ML-KEM-768 1500 */
    DTLS_COOKIE = 16,      /* bytes of a cookie of ours */
    DTLS_COOKIE_S = 60,    /* its secret changes; the one before is still good */
    DTLS_ASK = 13 + 12 + 3 + DTLS_COOKIE, /* a HelloVerifyRequest */
    DTLS_SAID = 4,                        /* of them that wait to be sent */
    DTLS_KEPT = 32,                       /* sessions that can be taken up again */
    DTLS_OPENER = 400,      /* a packet that opens the path: pays for two ClientHellos */
    DTLS_OPENERS = 8,       /* of them at most */
    DTLS_OPEN_MS = 100,     /* the peer's ClientHello has this long before the first */
    DTLS_DETOURS = 2,       /* addresses tried at once beside the announced one */
    DTLS_DETOURS_ALL = 8,   /* and in all, for one association */
    DTLS_DETOUR_MS = 200,   /* the announced address has this long to answer ... */
    DTLS_DETOUR_LATE_S = 1, /* ... and this long, if it only began to */
};

/* ---- desc.c: what one side says in a description --------------------------------------------- */

struct dtls_side {
    enum cph_sdp_setup setup;
    char tls_id[DTLS_TLS_ID_MAX + 1]; /* "" if there is none */
    struct cph_fingerprint fp[DTLS_FPS];
    size_t n_fp;
    struct cph_addr at[2]; /* media addresses by component; family NONE if it is a name */
    bool mux;
};

/* Our own fingerprints; the shared one of that certificate has them already. */
cph_err dtls_side_own(const struct cph_dtls *shared, const struct cph_cert *cert,
                      struct dtls_side *own);
cph_err dtls_fingerprints(const struct cph_cert *cert, struct cph_fingerprint fp[DTLS_FPS_OWN]);
/* CPH_E_NOTFOUND without a fingerprint, CPH_E_POLICY if none suffices, CPH_E_MALFORMED. */
cph_err dtls_side_read(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                       struct dtls_side *out);
/* The addresses alone, of our own section. */
void dtls_side_addresses(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                         struct cph_addr at[2]);
/* setup, fingerprints, and tls_id unless it is empty. All or nothing. */
cph_err dtls_side_write(const struct cph_keying_local *local, const struct dtls_side *side);
bool dtls_side_same_fps(const struct dtls_side *a, const struct dtls_side *b);

/* ---- pieces.c: a ClientHello in several datagrams ----------------------------------------------
 */

/* A piece of one, or all of it; a view. */
struct dtls_piece {
    uint64_t record; /* its sequence number */
    uint32_t total, offset;
    uint16_t version, seq;
    struct cph_span bytes;
};
struct dtls_pieces;
struct dtls_shake;

/* False: it is no ClientHello. */
bool dtls_piece_read(struct cph_span packet, struct dtls_piece *out);
/* The next piece; the first one makes what keeps them. CPH_OK: whole is one record with all of it,
 * good until the next piece. CPH_E_AGAIN: more are needed, or it is not the next; CPH_E_LIMIT. */
cph_err dtls_pieces_add(struct dtls_pieces **pieces, const struct dtls_piece *piece,
                        struct cph_span *whole);
void dtls_pieces_free(struct dtls_pieces *p);
/* A packet for the library, which sees a ClientHello in one piece. */
cph_err dtls_shake_feed(struct dtls_shake *shake, struct cph_span packet, cph_time now);

/* ---- hello.c: who says hello ------------------------------------------------------------------
 */

/* What a ClientHello begins with; views. */
struct dtls_hello {
    uint64_t record; /* its sequence number */
    struct cph_span random, cookie;
};

/* What cookies are made with. */
struct dtls_cookie_key {
    uint64_t k[4];
};

/* False: it is no ClientHello, nor the first piece of one with all up to the cookie. */
bool dtls_hello_read(struct cph_span packet, struct dtls_hello *out);
cph_err dtls_cookie_new(const struct cph_env *env, struct dtls_cookie_key *out);
/* Does it repeat what we said to this address a short while ago? */
bool dtls_cookie_ok(const struct dtls_cookie_key *key, const struct cph_addr *from,
                    const struct dtls_hello *hello, cph_time now);
/* A HelloVerifyRequest that asks for it. */
cph_err dtls_cookie_ask(const struct dtls_cookie_key *key, const struct cph_addr *from,
                        const struct dtls_hello *hello, cph_time now, uint8_t out[DTLS_ASK]);

/* ---- shared.c: what the calls of one device share ---------------------------------------------
 */

struct cph_dtls {
    const struct cph_env *env;
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_fingerprint fp[DTLS_FPS_OWN];
    struct cph_stream_home *home; /* NULL until the first handshake */
    cph_time life;                /* of a session; 0: none is kept */
    struct {
        struct cph_stream_session *k; /* NULL: free */
        cph_time until;
    } kept[DTLS_KEPT];
};

cph_err dtls_home(struct cph_dtls *shared, struct cph_stream_home **out);
/* For the server (cph_stream_find_fn; ctx is the struct cph_dtls). */
const struct cph_stream_session *dtls_find(void *ctx, struct cph_span id, cph_time now);
/* For the client: one with a peer of these fingerprints, or NULL. */
const struct cph_stream_session *
dtls_find_peer(struct cph_dtls *shared, const struct cph_fingerprint *fp, size_t n, cph_time now);
/* The peer of this handshake is who he should be: keep what was agreed. */
void dtls_keep(struct cph_dtls *shared, const struct cph_stream *s, cph_time now);

/* ---- pool.c: the handshakes of one offer, shared by its branches ----------------------------- */

/* One handshake. */
struct dtls_shake {
    struct cph_stream *s;
    enum cph_stream_role role;
    enum cph_keying_component component;
    const void *owner;      /* client: the instance it is for; server: NULL until one claims it */
    struct cph_addr from;   /* whom it talks to; family NONE until the first answer (client) */
    struct cph_addr target; /* client: where the description says */
    uint8_t
        random[DTLS_RANDOM]; /* server: of the ClientHello, tells rivals from one address apart */
    cph_time born;
    cph_time heard;             /* when something came from there first; 0: not yet */
    bool judged;                /* open, and a branch found the certificate not to be its peer's */
    bool after_cookie;          /* server: it began with a hello that has one */
    bool detour;                /* client: to an address that nobody announced */
    struct cph_secret keys;     /* exported when it was found to be the peer's; empty before */
    size_t credit;              /* bytes that came from there and were not paid back yet */
    struct dtls_pieces *pieces; /* server: of a hello in several datagrams; or NULL */
};

/* A HelloVerifyRequest that waits to be sent. */
struct dtls_said {
    enum cph_keying_component component;
    struct cph_addr to;
    uint8_t b[DTLS_ASK];
};

/* Who was asked for a cookie. */
struct dtls_asked {
    enum cph_keying_component component;
    struct cph_addr from;
    uint8_t random[DTLS_RANDOM]; /* of its hello */
};

struct dtls_pool {
    unsigned refs;
    unsigned moves; /* counts what other branches may want to look at */
    const struct cph_env *env;
    struct cph_key *key;
    struct cph_cert *cert;
    uint16_t profile[CPH_STREAM_PROFILES];
    size_t n_profile;
    unsigned mtu;
    bool rival;                   /* somebody was turned away */
    struct cph_dtls *shared;      /* outlives the pool; may be NULL */
    struct cph_stream_home *home; /* without shared: made when needed */
    struct dtls_cookie_key cookie;
    struct dtls_said said[DTLS_SAID];
    unsigned n_said;
    struct dtls_asked asked[DTLS_SAID]; /* the latest; a ring */
    unsigned n_asked;                   /* ever */
    struct dtls_shake *slot[2][DTLS_SLOTS];
};

cph_err dtls_pool_new(const struct dtls_pool *like, struct dtls_pool **out);
struct dtls_pool *dtls_pool_ref(struct dtls_pool *pool);
void dtls_pool_unref(struct dtls_pool *pool, const void *owner); /* and what the owner began */
void dtls_pool_clear(struct dtls_pool *pool);                    /* every handshake in it */
void dtls_shake_free(struct dtls_shake *shake);

/* To begin as the active side. */
struct dtls_wish {
    const void *owner;
    enum cph_keying_component c;
    struct cph_addr target;
    const struct cph_stream_session *resume; /* or NULL */
    bool detour;
    size_t credit; /* detour: bytes that came from there */
};
cph_err dtls_pool_connect(struct dtls_pool *pool, const struct dtls_wish *wish, cph_time now);
/* A packet from the wire. known: the peer's address by the description, or NULL; serve: whether a
 * new ClientHello is welcome. CPH_E_NOTFOUND if no handshake wants it, CPH_E_LIMIT if there are too
 * many. */
cph_err dtls_pool_feed(struct dtls_pool *pool, enum cph_keying_component c,
                       const struct cph_addr *from, const struct cph_addr *known, bool serve,
                       struct cph_span packet, cph_time now);
cph_err dtls_pool_pull(struct dtls_pool *pool, const void *owner, struct cph_keying_packet *out);
cph_time dtls_pool_deadline(const struct dtls_pool *pool);
void dtls_pool_tick(struct dtls_pool *pool, cph_time now);
/* Take handshake i out of the pool; NULL stays behind. */
struct dtls_shake *dtls_pool_take(struct dtls_pool *pool, enum cph_keying_component c, unsigned i);
cph_err dtls_shake_pull(struct dtls_shake *shake, struct cph_keying_packet *out);

/* How a handshake begins. */
struct dtls_beginning {
    enum cph_stream_role role;
    enum cph_keying_component c;
    const struct cph_stream_session *resume; /* client */
    bool after_cookie;                       /* server */
};

/* A handshake in an empty slot (at). */
cph_err dtls_shake_begin(struct dtls_pool *pool, const struct dtls_beginning *b, unsigned at,
                         cph_time now, struct dtls_shake **out);
/* Is there an empty slot? */
bool dtls_pool_place(const struct dtls_pool *pool, enum cph_keying_component c, unsigned *at);
/* A packet for handshake i. */
void dtls_pool_give(struct dtls_pool *pool, enum cph_keying_component c, unsigned i,
                    struct cph_span packet, cph_time now);

/* welcome.c: a ClientHello came (the rest as in dtls_pool_feed()). */
cph_err dtls_pool_welcome(struct dtls_pool *pool, enum cph_keying_component c,
                          const struct cph_addr *from, const struct cph_addr *known, bool serve,
                          const struct dtls_hello *hello, struct cph_span packet, cph_time now);

/* ---- dtls.c ---------------------------------------------------------------------------------- */

/* An address from where somebody who may be the peer opened the path. */
struct dtls_hint {
    struct cph_addr at; /* family NONE: free */
    size_t credit;      /* bytes that came from there */
    bool named;         /* it knows what only the signalling said */
    bool tried;
};

/* One m= line of one branch. */
struct dtls {
    struct cph_keying base;
    const struct cph_env *env;
    struct cph_dtls *shared; /* may be NULL */

    struct dtls_side own;     /* as last agreed; fp and n_fp from the beginning */
    struct dtls_side pending; /* our offer that is not answered yet */
    bool offered;             /* pending is valid */
    struct dtls_side peer;    /* as last agreed */
    bool agreed;              /* own and peer are valid */
    bool renew;               /* the next offer asks for a new association */

    struct dtls_pool *proto; /* what new pools are made like; no handshakes in it */
    struct dtls_pool *early; /* of the pending offer, if it asks for a new association */
    struct dtls_pool *pool;  /* of the association being made, or last made */
    unsigned looked;         /* pool->moves when we last looked */
    enum cph_stream_role role;
    bool making; /* an association is to be made, or is being made */
    bool begun;  /* and the clock below is set */
    bool rings;  /* our first answer, and nobody took the call yet */
    cph_time give_up;
    unsigned tries[2];    /* times the active side began, by component */
    cph_time retry_at[2]; /* when it may begin anew */
    cph_time again_at;    /* when to look once more at a handshake that is done: memory was short */
    bool mismatch;        /* a certificate was not the promised one */
    bool answered;        /* something came to a handshake of ours (words.c) */
    uint8_t alert;        /* the last one that came in clear; 0: none */
    cph_err trouble;      /* what the last handshake failed of */
    cph_time since;       /* begun */
    cph_time open_at[2];  /* passive: when the path is opened from our side (again) */
    unsigned opens[2];    /* how often it was */
    struct dtls_hint hint[2][DTLS_DETOURS]; /* active: where else the peer may be */
    unsigned hints[2];                      /* how many were taken in all */
    cph_time detour_at[2];                  /* when to look at them */

    struct dtls_shake *won[2]; /* by component; with rtcp-mux RTP only */
    enum cph_fp_hash hash;     /* that the winner's certificate was matched by */

    enum cph_keying_state state;
    struct cph_keying_status status; /* generation and streams */
    unsigned notes;
};

/* agree.c: the row's, see keying_int.h. */
cph_err dtls_offer(struct cph_keying *k, const struct cph_keying_local *offer);
void dtls_rollback(struct cph_keying *k);
void dtls_renew(struct cph_keying *k);
cph_err dtls_fork(const struct cph_keying *k, struct cph_keying **out);
cph_err dtls_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
                    const struct cph_keying_local *answer);
cph_err dtls_finish(struct cph_keying *k, const struct cph_keying_remote *answer);
void dtls_answered(struct cph_keying *k, cph_time now);

/* result.c: the same. */
void dtls_status(const struct cph_keying *k, struct cph_keying_status *out);
cph_err dtls_keys(const struct cph_keying *k, enum cph_keying_component c, enum cph_keying_dir dir,
                  unsigned i, struct cph_srtp_policy *out);
void dtls_evidence(const struct cph_keying *k, struct cph_keying_evidence *out);

/* follow.c: from agreement to keys. */
void dtls_follow_begin(struct dtls *d, enum cph_stream_role role, struct dtls_pool *pool);
void dtls_follow(struct dtls *d, cph_time now);          /* look at every handshake once more */
void dtls_follow_answered(struct dtls *d, cph_time now); /* the call was taken */
void dtls_fail(struct dtls *d, cph_err err, const char *why);

/* words.c: why there are no keys, once it is sure; static text. */
void dtls_words_note(struct dtls *d, const struct dtls_shake *shake);
const char *dtls_words(const struct dtls *d, cph_err *err);

/* Is component c of the association being made still open? */
bool dtls_wanting(const struct dtls *d, enum cph_keying_component c);

/* ---- path.c: through address translation --------------------------------------------------------
 */

bool dtls_is_opener(struct cph_span packet);
void dtls_path_begin(struct dtls *d, cph_time now);
/* Passive: a packet that opens the path for the peer's ClientHello. CPH_E_AGAIN. */
cph_err dtls_path_pull(struct dtls *d, struct cph_keying_packet *out, cph_time now);
cph_time dtls_path_deadline(const struct dtls *d);
/* Active: such a packet came. CPH_E_AUTH if it names other ids, CPH_E_LIMIT, CPH_E_NOTFOUND if it
 * is of no use. */
cph_err dtls_path_feed(struct dtls *d, enum cph_keying_component c, const struct cph_addr *from,
                       struct cph_span packet);
/* Active: try where it came from. */
void dtls_path_detour(struct dtls *d, enum cph_keying_component c, cph_time now);

#endif

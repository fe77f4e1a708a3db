/* Ciphony: private face of DTLS-SRTP keying (RFC 5763, 5764, 8122, 8842, 7983). */
#ifndef CPH_KEYING_DTLS_INT_H
#define CPH_KEYING_DTLS_INT_H

#include "ciphony/crypto_key.h"
#include "ciphony/keying.h"
#include "ciphony/sdp.h"
#include "ciphony/srtp.h"
#include "ciphony/stream.h"

enum {
    DTLS_RIVALS = 4,  /* ClientHellos of one component we answer at once, over all branches */
    DTLS_SLOTS = 12,  /* handshakes of one component: those, and one of our own per branch */
    DTLS_FPS = 8,     /* fingerprint lines we look at */
    DTLS_TLS_ID = 32, /* hex digits of ours: 128 bits; RFC 8842 4 wants 120 */
    DTLS_TLS_ID_MAX = 255,
    DTLS_RESTARTS = 6,   /* times an active side begins anew after a false answer */
    DTLS_PAUSE_MS = 250, /* before it does, doubled each time */
    DTLS_GIVE_UP_S = 30, /* no keys by then: the stream fails */
    DTLS_DOUBT_S = 5,    /* after a false certificate, the true one has this long to show up */
    DTLS_LATCH_MS = 500, /* before an answer from where nobody said is listened to */
    DTLS_STALE_S = 2,    /* an unfinished rival older than this gives way to a newcomer */
    DTLS_FIRST_MS = 500, /* first retransmission */
    DTLS_RANDOM = 32,    /* bytes of a ClientHello's random */
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

/* CPH_E_NOTFOUND without a fingerprint, CPH_E_POLICY if none suffices, CPH_E_MALFORMED. */
cph_err dtls_side_read(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                       struct dtls_side *out);
/* The addresses alone, of our own section. */
void dtls_side_addresses(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                         struct cph_addr at[2]);
/* setup, fingerprints, and tls_id unless it is empty. All or nothing. */
cph_err dtls_side_write(const struct cph_keying_local *local, const struct dtls_side *side);
bool dtls_side_same_fps(const struct dtls_side *a, const struct dtls_side *b);

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
    bool judged; /* open, and a branch found the certificate not to be its peer's */
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
    bool rival; /* somebody was turned away */
    struct dtls_shake *slot[2][DTLS_SLOTS];
};

cph_err dtls_pool_new(const struct dtls_pool *like, struct dtls_pool **out);
struct dtls_pool *dtls_pool_ref(struct dtls_pool *pool);
void dtls_pool_unref(struct dtls_pool *pool, const void *owner); /* and what the owner began */
void dtls_pool_clear(struct dtls_pool *pool);                    /* every handshake in it */
void dtls_shake_free(struct dtls_shake *shake);

/* Begin as the active side. */
cph_err dtls_pool_connect(struct dtls_pool *pool, const void *owner, enum cph_keying_component c,
                          const struct cph_addr *target, cph_time now);
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
/* The random of a ClientHello that begins this packet; false if it is none. */
bool dtls_is_client_hello(struct cph_span packet, uint8_t random[DTLS_RANDOM]);

/* ---- dtls.c ---------------------------------------------------------------------------------- */

/* One m= line of one branch. */
struct dtls {
    struct cph_keying base;
    const struct cph_env *env;

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
    cph_time give_up;
    unsigned tries[2];    /* times the active side began, by component */
    cph_time retry_at[2]; /* when it may begin anew */
    bool mismatch;        /* a certificate was not the promised one */

    struct dtls_shake *won[2]; /* by component; with rtcp-mux RTP only */
    enum cph_fp_hash hash;     /* that the winner's certificate was matched by */

    enum cph_keying_state state;
    struct cph_keying_status status; /* generation and streams */
    unsigned notes;
};

/* follow.c: from agreement to keys. */
void dtls_follow_begin(struct dtls *d, enum cph_stream_role role, struct dtls_pool *pool);
void dtls_follow(struct dtls *d, cph_time now); /* look at every handshake once more */
void dtls_fail(struct dtls *d, cph_err err, const char *why);

#endif

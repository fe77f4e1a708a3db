/* Ciphony: private face of ZRTP (RFC 6189): keys, what streams share, states. Numbers in
 * parentheses are its sections. */
#ifndef CPH_KEYING_ZRTP_INT_H
#define CPH_KEYING_ZRTP_INT_H

#include "zrtp_wire.h"

enum {
    /* 6 */
    ZRTP_T1_MS = 50,
    ZRTP_T1_CAP_MS = 200,
    ZRTP_HELLO_TRIES = 20,      /* retransmissions of a Hello nobody answers */
    ZRTP_HELLO_TRIES_LONG = 62, /* and to a peer that showed itself: 12 seconds */
    ZRTP_T2_MS = 150,
    ZRTP_T2_CAP_MS = 1200,
    ZRTP_TRIES = 10,
    ZRTP_RESPOND_S = 10, /* a responder that hears nothing gives up after this */

    ZRTP_PEERS = 8,   /* endpoints one call talks to: branches of a fork */
    ZRTP_NONCES = 64, /* Multistream and Preshared exchanges with one peer in one call */
    ZRTP_BAD_MACS =
        3, /* Confirms that do not authenticate, before we believe that it is the keys */
};

/* ---- kdf.c: key schedule (4.3 to 4.5) -------------------------------------------------------- */

enum zrtp_role { ZRTP_INITIATOR, ZRTP_RESPONDER };

/* What every derivation is bound to: ZIDi, ZIDr, total_hash. */
struct zrtp_context {
    size_t n;
    uint8_t b[2 * CPH_ZRTP_ZID + CPH_DIGEST_MAX];
};

/* All that one exchange yields, by role. */
struct zrtp_keys {
    struct cph_secret mac[2], zrtp[2]; /* for Confirms, GoClear and SASrelay (4.5.3) */
    struct cph_secret srtp[2], salt[2];
    struct cph_secret retained; /* the new rs1 (4.6.1) */
    struct cph_secret session;  /* ZRTPSess; not for Multistream */
    struct cph_secret exported;
    uint8_t sashash[CPH_ZRTP_SASHASH];
};

cph_err zrtp_kdf(const struct zrtp_alg *hash, struct cph_span ki, const char *label,
                 struct cph_span context, unsigned bits, struct cph_secret *out);
/* MAC of 64 bits by the negotiated or the implicit hash (NULL). */
cph_err zrtp_mac(const struct zrtp_alg *hash, struct cph_span key, struct cph_span in,
                 uint8_t out[ZRTP_MAC]);
cph_err zrtp_hash256(struct cph_span in, uint8_t out[ZRTP_HASH]); /* the implicit hash */
cph_err zrtp_hash_all(const struct zrtp_alg *hash, const struct cph_span *part, size_t n,
                      uint8_t out[CPH_DIGEST_MAX]);
/* s0 of a DH exchange (4.4.1.4). s[]: rs, aux, pbx; n == 0 is null. */
cph_err zrtp_s0_dh(const struct zrtp_alg *hash, const struct cph_secret *dh,
                   const struct zrtp_context *context, const struct cph_secret *const s[3],
                   struct cph_secret *s0);
/* preshared_key (4.4.2.2). NULL or n == 0: not there. */
cph_err zrtp_preshared_key(const struct zrtp_alg *hash, const struct cph_secret *rs1,
                           const struct cph_secret *aux, const struct cph_secret *pbx,
                           struct cph_secret *out);
/* Everything from s0; whole: of a first stream, with session, SAS, rs1 and exported key. */
cph_err zrtp_derive(const struct zrtp_alg *hash, const struct zrtp_alg *cipher,
                    const struct cph_secret *s0, const struct zrtp_context *context, bool whole,
                    struct zrtp_keys *out);
/* CFB and its MAC over the encrypted part (4.6, 5.7): inner becomes a whole message. */
cph_err zrtp_seal(const struct zrtp_alg *hash, const struct zrtp_keys *keys, enum zrtp_role by,
                  enum zrtp_type type, const uint8_t iv[ZRTP_IV], struct cph_span inner,
                  struct cph_wr *out);
/* CPH_E_AUTH if the MAC is wrong; else the clear bytes to out (sealed->cipher.n of them). */
cph_err zrtp_open(const struct zrtp_alg *hash, const struct zrtp_keys *keys, enum zrtp_role by,
                  const struct zrtp_sealed *sealed, uint8_t *out);
/* Write the MAC of 64 bits under a value of a hash chain to the last bytes of a message. */
cph_err zrtp_mac_seal(uint8_t *msg, size_t n, struct cph_span key);
/* Is image the hash of value? CPH_E_AUTH. 9: a packet with a wrong preimage is not used. */
cph_err zrtp_check_image(const uint8_t value[ZRTP_HASH], const uint8_t image[ZRTP_HASH]);
/* Is the MAC at the end of this message the one under key? CPH_E_AUTH */
cph_err zrtp_mac_check(struct cph_span msg, struct cph_span key);

/* ---- call.c: what the streams of a call share ------------------------------------------------ */

struct zrtp;

/* Another endpoint of the call. */
struct zrtp_peer {
    unsigned users; /* streams; 0: free */
    uint8_t zid[CPH_ZRTP_ZID];
    const struct zrtp *owner; /* the stream that runs the one DH or Preshared exchange (4.4.1) */
    struct cph_zrtp_retained kept; /* as in the store */
    bool has_kept;                 /* there is an entry in the store */
    bool unread;                   /* or there may be: the store failed */
    bool kept_now;                 /* with an rs1 that did not expire */
    bool other_device;             /* the store knows another one under the peer's address */
    bool held; /* a mismatch: what is kept is another's, until the SAS is compared (4.6.1.1) */
    struct cph_secret session; /* ZRTPSess; n == 0: none yet */
    const struct zrtp_alg *alg[ZRTP_KINDS];
    uint8_t zids[2 * CPH_ZRTP_ZID]; /* ZIDi and ZIDr of the first exchange */
    uint8_t sashash[CPH_ZRTP_SASHASH];
    struct cph_secret exported;
    struct cph_secret pending; /* the new rs1, until it is kept */
    uint32_t cache_s;          /* agreed */
    bool preshared;            /* the first exchange was */
    bool continuity, mismatch, aux_mismatch, pbx_matched, enrolled;
    bool peer_verified, compared, refuted, signed_by_peer, has_signature;
    struct cph_zrtp_signed by;
    unsigned cleared; /* counts GoClear */
    unsigned n_nonce;
    uint8_t nonce[ZRTP_NONCES][ZRTP_NONCE];
};

struct cph_zrtp_call {
    unsigned refs;
    struct cph_zrtp_cfg cfg;
    struct zrtp_list list[ZRTP_KINDS]; /* ours, as in Hello */
    unsigned moves;                    /* counts what other streams may want to look at */
    struct zrtp_peer peer[ZRTP_PEERS];
};

struct cph_zrtp_call *zrtp_call_ref(struct cph_zrtp_call *call);
/* The peer of this ZID, with one more user; its retained secrets are read. CPH_E_LIMIT. */
cph_err zrtp_call_meet(struct cph_zrtp_call *call, const uint8_t zid[CPH_ZRTP_ZID],
                       struct zrtp_peer **out);
void zrtp_call_leave(struct cph_zrtp_call *call, struct zrtp_peer *peer, const struct zrtp *who);
bool zrtp_peer_nonce_used(const struct zrtp_peer *peer, const uint8_t nonce[ZRTP_NONCE]);
void zrtp_peer_nonce_add(struct zrtp_peer *peer, const uint8_t nonce[ZRTP_NONCE]);
cph_err zrtp_peer_put(struct cph_zrtp_call *call, struct zrtp_peer *peer);
/* The new rs1 becomes the one that is kept, and all that is kept is put. */
cph_err zrtp_peer_roll(struct cph_zrtp_call *call, struct zrtp_peer *peer);
/* Is it kept under the address that this call is with? */
bool zrtp_peer_is_named(const struct cph_zrtp_call *call, const struct zrtp_peer *peer);
/* Does an earlier comparison vouch for it, under this address and by continuity since? */
bool zrtp_peer_is_verified(const struct cph_zrtp_call *call, const struct zrtp_peer *peer);
/* Is it, as far as is kept, not the device of earlier calls, and nobody compared? 4.3.2 */
bool zrtp_peer_is_strange(const struct cph_zrtp_call *call, const struct zrtp_peer *peer);
/* It had the secret, or nothing was expected of it. Until somebody compares it is the device of
 * this address if no other one is. */
void zrtp_peer_met(const struct cph_zrtp_call *call, struct zrtp_peer *peer);
/* The user's word: compared under this address now, or never (equal false). */
void zrtp_peer_judge(const struct cph_zrtp_call *call, struct zrtp_peer *peer, bool equal);

/* ---- fsm.c: the states ----------------------------------------------------------------------- */

enum zrtp_state {
    ZRTP_IDLE,       /* not begun */
    ZRTP_DISCOVER,   /* Hello goes out; nothing was heard */
    ZRTP_HEARD,      /* the peer's Hello is here; ours is not acknowledged */
    ZRTP_ACKED,      /* ours is acknowledged; the peer's is not here */
    ZRTP_WAIT,       /* both are through; a Commit must come, or another stream be done */
    ZRTP_COMMITTED,  /* our Commit is out */
    ZRTP_AGREEING,   /* initiator: our DHPart2 is out */
    ZRTP_CONFIRMING, /* initiator: our Confirm2 is out */
    ZRTP_RESPONDED,  /* responder: our DHPart1 is out */
    ZRTP_CONFIRMED,  /* responder: our Confirm1 is out */
    ZRTP_SECURE,
    ZRTP_RELAYING, /* secure, and our SASrelay is out */
    ZRTP_CLEARING, /* our GoClear is out; nothing is sent */
    ZRTP_CLEAR,
    ZRTP_QUIET,  /* the peer never answered; a late Commit is still welcome (6) */
    ZRTP_ENDING, /* our Error is out */
    ZRTP_ENDED,
    ZRTP_STATES
};

enum zrtp_event {
    /* the first are messages: enum zrtp_type */
    ZRTP_EV_START = ZRTP_TYPES,
    ZRTP_EV_TIMEOUT,
    ZRTP_EV_WAKE,      /* something moved in another stream of the call */
    ZRTP_EV_MEDIA,     /* the peer's SRTP arrived and was good */
    ZRTP_EV_COLLISION, /* a message under our own SSRC, and no peer yet */
    ZRTP_EV_DO_CLEAR,
    ZRTP_EV_DO_SECURE,
    ZRTP_EV_DO_RELAY,
    ZRTP_EVENTS
};

struct zrtp_text {
    size_t n;
    uint8_t b[ZRTP_SHORT];
};
static inline struct cph_span zrtp_text_span(const struct zrtp_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

/* What commit() does outside of the stream, once a step is through. */
enum zrtp_effect {
    ZRTP_DO_OWN = 1,      /* the DH or Preshared exchange with this peer is ours now */
    ZRTP_DO_RELEASE = 2,  /* and not any more */
    ZRTP_DO_NONCE = 4,    /* remember the Commit's nonce */
    ZRTP_DO_SESSION = 8,  /* the exchange is through: session key, SAS, retained secret */
    ZRTP_DO_CLEARED = 16, /* GoClear: a new session key, and every stream lets go of its keys */
};

/* All that a step may change. */
struct zrtp_live {
    enum zrtp_state state;
    unsigned effects;

    unsigned tries;
    unsigned interval_ms;
    cph_time at;  /* of the next EV_TIMEOUT; CPH_TIME_NEVER */
    unsigned due; /* messages to send, 1 << enum zrtp_type */

    bool initiator;
    bool has_peer; /* peer_hello and peer_ssrc are valid */
    uint32_t peer_ssrc;
    struct zrtp_hello peer_hello;
    struct zrtp_text hello;  /* the peer's, as it came */
    struct zrtp_text commit; /* that counts, whoever sent it */
    struct zrtp_commit committed;
    struct zrtp_text dhpart1, dhpart2;
    size_t sealed_n;
    uint8_t sealed[ZRTP_SEALED]; /* our Confirm, later our SASrelay */
    uint8_t peer_h1[ZRTP_HASH];  /* DH: checked against H2 */

    const struct zrtp_alg *alg[ZRTP_KINDS];
    struct cph_secret dh; /* private value; gone when the result is computed */
    struct zrtp_keys keys;
    unsigned has_keys; /* 1 << enum cph_keying_dir */
    unsigned generation[2];
    bool continuity, aux_mismatch, pbx_matched, mismatch;
    unsigned peer_flags; /* of its Confirm or SASrelay */
    uint32_t cache_s;
    bool signed_by_peer, has_signature;
    struct cph_zrtp_signed by;
    bool enroll_asked;
    unsigned bad_macs;
    unsigned cleared;            /* peer->cleared when we last looked */
    uint8_t clear_mac[ZRTP_MAC]; /* of the last GoClear, either way */
    bool told_sas;               /* the SAS of another side was relayed to this peer */
    bool relayed;
    uint32_t relayed_id;
    uint8_t relayed_sashash[CPH_ZRTP_SASHASH];
    bool relay_signed; /* by the man in the middle that relayed it */
    struct cph_zrtp_signed relay_by;
    bool heard_ping;
    uint8_t pinged[8];
    uint32_t ping_ssrc;
    unsigned error; /* code sent or received */
    cph_err err;
    const char *why;
};

struct zrtp {
    struct cph_keying base;
    struct cph_zrtp_call *call;
    struct zrtp_peer *peer;
    uint32_t ssrc;
    uint16_t seq;
    unsigned mtu;
    struct cph_secret h[3]; /* H0, H1, H2 (9) */
    struct zrtp_hello own;
    struct zrtp_text own_hello; /* fixed when the instance is made */
    bool started, begun;        /* started: the descriptions are through; begun: the clock runs */
    bool expects;               /* the signalling promised a Hello hash */
    uint8_t expected[ZRTP_HASH];
    bool bound;                              /* and this is it */
    struct cph_addr from;                    /* where the accepted Hello came from */
    struct cph_secret srtps_key, srtps_salt; /* 8.2 */
    unsigned looked;                         /* call->moves */
    unsigned notes;                          /* enum cph_keying_note */
    struct zrtp_live live;

    /* row.c: what the descriptions said */
    bool offered, agreed, forkable;
};

/* What a step gets. */
struct zrtp_in {
    enum zrtp_event ev;
    const struct zrtp_msg *msg; /* of a message */
    uint32_t ssrc;
    cph_time now;
    const struct zrtp *other; /* DO_RELAY; may be NULL */
};

typedef cph_err zrtp_edge(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next);

cph_err zrtp_step(struct zrtp *z, const struct zrtp_in *in);
/* For handlers. */
void zrtp_enter(struct zrtp_live *next, enum zrtp_state state); /* no timer, no tries */
void zrtp_retry_from(struct zrtp_live *next, enum zrtp_type type, cph_time now); /* T2, or T1 */
cph_err zrtp_fail(struct zrtp_live *next, cph_err err, unsigned code, const char *why,
                  cph_time now); /* sends Error; always CPH_OK */
static inline unsigned zrtp_bit(enum zrtp_type type)
{
    return 1U << type;
}

/* ---- hello.c --------------------------------------------------------------------------------- */

cph_err zrtp_own_hello(struct zrtp *z);
/* Is it the Hello that the signalling promised? CPH_E_AUTH */
cph_err zrtp_check_promise(const struct zrtp *z, struct cph_span hello);
zrtp_edge zrtp_on_start, zrtp_on_hello, zrtp_on_hello_again, zrtp_on_helloack, zrtp_on_wake_waiting,
    zrtp_on_do_secure;
/* Both Hellos are through: send a Commit, or wait. */
cph_err zrtp_proceed(const struct zrtp *z, const struct zrtp_peer *peer, struct zrtp_live *next,
                     cph_time now);
cph_err zrtp_commit_dh(const struct zrtp *z, const struct zrtp_peer *peer, struct zrtp_live *next,
                       cph_time now);

/* ---- agree.c --------------------------------------------------------------------------------- */

zrtp_edge zrtp_on_commit, zrtp_on_commit_again, zrtp_on_dhpart1, zrtp_on_dhpart2;

/* ---- shared.c -------------------------------------------------------------------------------- */

/* Write our DHPart for a role; H1, IDs of what is retained, public value. */
cph_err zrtp_write_dhpart(const struct zrtp *z, const struct zrtp_peer *peer, enum zrtp_role role,
                          const struct zrtp_live *live, struct cph_span pv, struct zrtp_text *out);
/* auxsecret as both sides would have it; n == 0: none. */
cph_err zrtp_aux(const struct zrtp *z, const struct zrtp_peer *peer, const struct zrtp_live *live,
                 enum zrtp_role role, struct cph_secret *out);
/* Everything of one DH exchange: next->keys, from our private value and what theirs says. */
cph_err zrtp_derive_dh(const struct zrtp *z, const struct zrtp_dhpart *theirs,
                       struct zrtp_live *next);
/* Keys of Multistream and Preshared mode. CPH_E_NOTFOUND if the secret is not here. */
cph_err zrtp_derive_undh(const struct zrtp *z, struct zrtp_live *next);

/* ---- confirm.c ------------------------------------------------------------------------------- */

zrtp_edge zrtp_on_confirm1, zrtp_on_confirm2, zrtp_on_conf2ack, zrtp_on_dhpart2_again,
    zrtp_on_confirm2_again;
cph_err zrtp_write_confirm(const struct zrtp *z, const struct zrtp_peer *peer,
                           struct zrtp_live *next);
/* A signature over a SAS, for a Confirm or a SASrelay; n == 0: none. 7.2 */
struct cph_span zrtp_sign(const struct zrtp *z, const struct zrtp_live *live,
                          const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                          uint8_t room[CPH_ZRTP_SIGNATURE]);
bool zrtp_good_signature(const struct zrtp *z, const struct zrtp_live *live,
                         const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                         struct cph_span sig, struct cph_zrtp_signed *by);

/* ---- after.c --------------------------------------------------------------------------------- */

zrtp_edge zrtp_on_error, zrtp_on_error_late, zrtp_on_errorack, zrtp_on_ping, zrtp_on_goclear,
    zrtp_on_goclear_again, zrtp_on_clearack, zrtp_on_do_clear, zrtp_on_do_relay, zrtp_on_sasrelay,
    zrtp_on_relayack, zrtp_on_wake_secure;
void zrtp_drop_keys(struct zrtp_live *next);

/* ---- zrtp.c: the object ---------------------------------------------------------------------- */

cph_err zrtp_new(struct cph_zrtp_call *call, uint32_t ssrc, unsigned mtu, struct zrtp **out);
void zrtp_free(struct zrtp *z);
/* A further stream that speaks with the same Hello: another answerer of the same offer. */
cph_err zrtp_fork(const struct zrtp *z, struct zrtp **out);
/* Begin anew with the Hello we have: another peer, or the same after a failure. */
void zrtp_reset(struct zrtp *z);
cph_err zrtp_feed(struct zrtp *z, const struct cph_addr *from, struct cph_span packet,
                  cph_time now);
cph_err zrtp_pull(struct zrtp *z, struct cph_wr *out, cph_time now);
cph_time zrtp_deadline(const struct zrtp *z);
void zrtp_tick(struct zrtp *z, cph_time now);
cph_err zrtp_srtp_policy(const struct zrtp *z, enum cph_keying_dir dir,
                         struct cph_srtp_policy *out);

#endif

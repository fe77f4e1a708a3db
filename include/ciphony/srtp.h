/* Ciphony: SRTP and SRTCP (RFC 3711, 6188, 7714), one packet at a time or in batches. */
#ifndef CPH_SRTP_H
#define CPH_SRTP_H

#include "ciphony/base.h"
#include "ciphony/base_mem.h"

/* ---- suites ---------------------------------------------------------------------------------- */

struct cph_srtp_transform; /* how a suite treats a packet; inside the room */
struct cph_srtp_kat;       /* its known answers; inside the room */

/* A row of the table. Lengths in bytes, as SDES (RFC 4568 6.2) and DTLS-SRTP (RFC 5764 4.1.2) give
 * them: key_n + salt_n is the length of an SDES inline key, and of one side's share of the
 * exported keying material. */
struct cph_srtp_suite {
    const char *name;      /* for people and logs; never NULL */
    const char *sdes_name; /* NULL: SDES has no name for it */
    uint16_t dtls_id;      /* 0: no DTLS-SRTP profile */
    uint8_t key_n, salt_n; /* of the master key and master salt */
    uint8_t tag_n;         /* SRTP tag */
    uint8_t rtcp_tag_n;    /* SRTCP tag */
    bool encrypts;         /* false: NULL cipher, authentication only */
    const struct cph_srtp_suite
        *half; /* of a double suite (RFC 8723): that of each half; or NULL */
    const struct cph_srtp_transform *transform;
    const struct cph_srtp_kat *kat;
};

/* All suites, the preferred first, NULL at the end. Static storage. */
CPH_API extern const struct cph_srtp_suite *const cph_srtp_suites[];

/* RFC 8723: not among those above, which are what we offer. tag_n counts both tags and the OHB. */
CPH_API extern const struct cph_srtp_suite *const cph_srtp_double_suites[];

/** NULL if there is no such suite. SDES names are compared with case. Any thread. */
CPH_API const struct cph_srtp_suite *cph_srtp_suite_by_sdes(struct cph_span name);
CPH_API const struct cph_srtp_suite *cph_srtp_suite_by_dtls(uint16_t profile);

/* ---- engine ---------------------------------------------------------------------------------- */

enum cph_srtp_accel {
    CPH_SRTP_ACCEL_AUTO, /* libipsec-mb if the CPU has AES-NI and AVX2, else OpenSSL */
    CPH_SRTP_ACCEL_NONE, /* OpenSSL */
};

/*
 * The ciphers of one worker thread: every context is made on an engine and may be used only by the
 * thread that uses the engine. Contexts must be freed before it.
 */
struct cph_srtp_engine;

/** Checks the known answers of every suite. CPH_E_NOMEM, CPH_E_CRYPTO. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_engine_new(enum cph_srtp_accel accel,
                                                   struct cph_srtp_engine **out);
CPH_API void cph_srtp_engine_free(struct cph_srtp_engine *e); /* NULL is fine */
/** "libipsec-mb AVX512", "OpenSSL", ... Static storage. */
CPH_API const char *cph_srtp_engine_name(const struct cph_srtp_engine *e);
/** Did the suite give its known answers on this engine? Offer only such suites. */
CPH_API bool cph_srtp_engine_has(const struct cph_srtp_engine *e, const struct cph_srtp_suite *s);

/* ---- contexts -------------------------------------------------------------------------------- */

enum cph_srtp_dir { CPH_SRTP_SEND, CPH_SRTP_RECV };

enum {
    CPH_SRTP_MKI_MAX = 128,      /* RFC 4568 6.1: MKI length 1 to 128 bytes */
    CPH_SRTP_KEYS_MAX = 16,      /* master keys of one context */
    CPH_SRTP_WINDOW = 128,       /* default replay window, packets */
    CPH_SRTP_WINDOW_MIN = 64,    /* RFC 3711 3.3.2: at least 64 */
    CPH_SRTP_WINDOW_MAX = 32768, /* half the sequence number space */
    CPH_SRTP_STREAMS = 16,       /* default size of the stream table */
    CPH_SRTP_STREAMS_MAX = 65536,
    CPH_SRTP_TRAILER_MAX = 33 + 4 + CPH_SRTP_MKI_MAX, /* most a packet grows by */
    CPH_SRTP_PACKET_MAX = 65535,
};

/* One master key. Zero lifetimes are the most the RFC allows: 2^48 SRTP, 2^31 SRTCP packets. */
struct cph_srtp_key {
    struct cph_secret key, salt; /* suite's key_n and salt_n bytes */
    uint8_t mki[CPH_SRTP_MKI_MAX];
    uint8_t mki_n;                        /* 0: packets carry no MKI */
    uint64_t lifetime_rtp, lifetime_rtcp; /* packets */
};

/* RFC 4771: the tag of every R-th SRTP packet carries the ROC, so that a receiver who joins late,
 * or lost count, has it from the packet. The numbers are those of MIKEY's "SRTP auth alg" (RFC 4771
 * 4); SDES has no syntax for it. Only with HMAC-SHA1 suites. */
enum cph_srtp_rcc {
    CPH_SRTP_RCC_NONE = 0,
    CPH_SRTP_RCC_1 = 2, /* packets with the ROC are authenticated, the others are not */
    CPH_SRTP_RCC_2 = 3, /* all are authenticated */
    CPH_SRTP_RCC_3 = 4, /* none is: anybody can move the receiver's ROC */
};

enum {
    CPH_SRTP_RCC_ROC = 4,  /* bytes of it in a tag */
    CPH_SRTP_RCC_TAG = 14, /* default tag: the ROC and 80 bits of MAC (RFC 4771 5) */
    CPH_SRTP_RCC_TAG_MIN = 8,
    CPH_SRTP_RCC_TAG_MAX = 20,
};

/* Everything about one direction. A zeroed policy with suite and master is complete. Holds key
 * material: wipe it when done (cph_srtp_policy_wipe). */
struct cph_srtp_policy {
    const struct cph_srtp_suite *suite;
    struct cph_srtp_key master;
    uint64_t kdr;             /* key derivation rate: 0, or a power of two up to 2^24 */
    unsigned window;          /* packets; 0: CPH_SRTP_WINDOW */
    unsigned streams;         /* SSRCs at most; 0: CPH_SRTP_STREAMS */
    bool unencrypted_rtp;     /* RFC 4568 6.3.2 */
    bool unencrypted_rtcp;    /* RFC 4568 6.3.2 */
    bool unauthenticated_rtp; /* RFC 4568 6.3.3; not with AEAD, nor with nothing encrypted */
    enum cph_srtp_rcc rcc;    /* both sides must have agreed, on the rate too */
    uint16_t rcc_rate;        /* R: packets whose SEQ is 0 mod R carry the ROC; 0: 1, all do */
    uint8_t rcc_tag_n;        /* bytes of a tag, ROC included; 0: 14 (modes 1, 2) or 4 (mode 3) */
    bool cryptex;             /* RFC 9335: encrypt CSRCs and header extensions (a=cryptex) */
};

CPH_API void cph_srtp_policy_wipe(struct cph_srtp_policy *p);

#define CPH_SRTP_POLICY_SCOPED __attribute__((cleanup(cph_srtp_policy_wipe))) struct cph_srtp_policy

/*
 * One direction of one or more streams: master keys, and per SSRC the index, the replay window and
 * (sending) what was used already. SSRCs are bound when their first packet is sent, or its tag was
 * good.
 */
struct cph_srtp;

/**
 * Copies what it needs from p. CPH_E_ARGUMENT for lengths, rates, windows and flags outside the
 * above; CPH_E_CRYPTO if the suite failed its known answers; CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_new(struct cph_srtp_engine *e,
                                            const struct cph_srtp_policy *p, enum cph_srtp_dir dir,
                                            struct cph_srtp **out);
CPH_API void cph_srtp_free(struct cph_srtp *s); /* wipes; NULL is fine */

/**
 * A further master key, told apart by its MKI, which must be new and as long as the first key's.
 * A sender goes on with the key it has until cph_srtp_key_use().
 * CPH_E_ARGUMENT, CPH_E_EXISTS, CPH_E_LIMIT, CPH_E_NOMEM, CPH_E_CRYPTO; on error nothing changed.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_key_add(struct cph_srtp *s, const struct cph_srtp_key *key);
/** Send under this key from now on. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_key_use(struct cph_srtp *s, struct cph_span mki);
/** Forget a key. CPH_E_NOTFOUND; CPH_E_ARGUMENT for the one in use by a sender, or the last one. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_key_drop(struct cph_srtp *s, struct cph_span mki);

/**
 * A sending and a receiving context that serve the same session: if they hold the same master key,
 * an SSRC of the one is refused by the other (CPH_E_POLICY), since two packets would be encrypted
 * with the same keystream. RFC 3711 9.1. Different keys: nothing to watch. Undone when either is
 * freed. CPH_E_ARGUMENT if they are not one of each direction.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_pair(struct cph_srtp *send, struct cph_srtp *recv);

/* ---- packets --------------------------------------------------------------------------------- */

/* A packet in the caller's buffer, changed in place. */
struct cph_srtp_pkt {
    uint8_t *p;
    size_t n;   /* bytes of the packet */
    size_t cap; /* bytes of the buffer; protecting needs n + cph_srtp_overhead() */
};

/** Bytes that protecting an RTP or RTCP packet with s adds. */
CPH_API size_t cph_srtp_overhead(const struct cph_srtp *s, bool rtcp);

/**
 * Encrypt and authenticate one packet in place; pkt->n grows by the overhead.
 *
 * CPH_E_TRUNCATED or CPH_E_MALFORMED if it is no RTP (RTCP) packet; CPH_E_NOSPACE; CPH_E_REPLAY if
 * its index was used already or lies below the window; CPH_E_LIMIT if the stream table is full;
 * CPH_E_EXPIRED at the end of the key's lifetime; CPH_E_POLICY (see cph_srtp_pair); CPH_E_CRYPTO.
 * CPH_E_ARGUMENT on a receiving context. On error the packet is as it was (but CPH_E_CRYPTO).
 * Allocates nothing. RFC 3711 3.3, 3.4; RFC 7714 8, 9.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
/** The same for a compound RTCP packet, which gets the SRTCP index. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_protect_rtcp(struct cph_srtp *s, struct cph_srtp_pkt *pkt);

/**
 * Verify and decrypt one packet in place; pkt->n shrinks by MKI, tag (and SRTCP index).
 *
 * CPH_E_TRUNCATED, CPH_E_MALFORMED; CPH_E_NOKEY for an unknown MKI; CPH_E_REPLAY; CPH_E_AUTH;
 * CPH_E_LIMIT, CPH_E_EXPIRED, CPH_E_POLICY as above; CPH_E_CRYPTO. On every error but
 * CPH_E_CRYPTO the packet is as it was, and can be tried with another context.
 * Index, window and stream table move only on CPH_OK. Allocates nothing.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt);
/** The same for SRTCP. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_unprotect_rtcp(struct cph_srtp *s,
                                                       struct cph_srtp_pkt *pkt);

/* One packet of a batch. */
struct cph_srtp_op {
    struct cph_srtp *ctx; /* its direction says whether to protect or unprotect */
    bool rtcp;
    struct cph_srtp_pkt pkt;
    cph_err err; /* out: what the single call would have returned */
};

/**
 * The same as one call per op in order, faster: packets of many contexts share the CPU's lanes.
 * All contexts are of engine e (else that op gives CPH_E_ARGUMENT). No two ops share a buffer.
 */
CPH_API void cph_srtp_batch(struct cph_srtp_engine *e, struct cph_srtp_op *ops, size_t n);

/* ---- double encryption (RFC 8723) --------------------------------------------------------------
 *
 * A context of a double suite is an endpoint's: protect and unprotect do both. Its keys are the
 * end-to-end (inner) half, then the hop-by-hop (outer) half. SRTCP is hop by hop. A media
 * distributor has the outer half alone: per hop a context of cph_srtp_double_hop(), and between
 * unprotect of the one and protect of the other cph_srtp_double_relay(). RFC 8723 5.2 MUST: the
 * keys of two hops are independent of each other. No MKI, no cryptex, no unencrypted_rtp.
 */

/** The policy of the outer half: its suite and keys, all else the same. CPH_E_ARGUMENT if both is
 * not of a double suite with keys of its lengths. The caller wipes *out. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_hop(const struct cph_srtp_policy *both,
                                                   struct cph_srtp_policy *out);
/** The same of the inner half. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_end(const struct cph_srtp_policy *both,
                                                   struct cph_srtp_policy *out);

/* What a distributor may change. */
struct cph_srtp_head {
    uint8_t pt; /* 0 to 127 */
    bool marker;
    uint16_t seq;
};

/** The original values, in a packet whose outer encryption is off. CPH_E_TRUNCATED,
 *  CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_original(const struct cph_srtp_pkt *pkt,
                                                        struct cph_srtp_head *out);
/** Write another head into such a packet, and the original header block that goes with it: pkt->n
 *  changes by up to 3 either way. Errors as above; CPH_E_ARGUMENT; CPH_E_NOSPACE. On error the
 * packet is as it was. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_relay(struct cph_srtp_pkt *pkt,
                                                     const struct cph_srtp_head *to);

/** Packets of a repair mechanism (RTX, FEC), hop by hop only: RFC 8723 5.1, 7. Errors as of
 *  cph_srtp_protect and cph_srtp_unprotect; CPH_E_ARGUMENT if s is not of a double suite. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_protect_repair(struct cph_srtp *s,
                                                              struct cph_srtp_pkt *pkt);
/** The reverse. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_double_unprotect_repair(struct cph_srtp *s,
                                                                struct cph_srtp_pkt *pkt);

/* ---- stream state ---------------------------------------------------------------------------- */

/** The roll-over counter of a stream. CPH_E_NOTFOUND if the SSRC was never seen or set. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_roc_get(const struct cph_srtp *s, uint32_t ssrc,
                                                uint32_t *roc);
/** Before the first packet any value (a receiver that joins late was told it); later only forward,
 * else CPH_E_REPLAY. CPH_E_LIMIT if the table is full. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_roc_set(struct cph_srtp *s, uint32_t ssrc, uint32_t roc);

/** RFC 4771 3, mode 3: the application hears that the local ROC is the sender's (true), so the one
 * in packets, which anybody may have written, is not looked at; false: it is again. Other modes: no
 *  effect. */
CPH_API void cph_srtp_rcc_synced(struct cph_srtp *s, bool synced);

/* What a stream has come to. */
struct cph_srtp_stream_info {
    uint32_t ssrc, roc;
    uint16_t s_l;        /* highest sequence number, if started */
    bool started;        /* an RTP packet was sent or accepted */
    uint32_t rtcp_index; /* next to send, or highest accepted */
    bool rtcp_started;
};

/** Streams known now. */
CPH_API size_t cph_srtp_stream_count(const struct cph_srtp *s);
/** The i-th of them, in no order that lasts. CPH_E_NOTFOUND past the end. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_stream_at(const struct cph_srtp *s, size_t i,
                                                  struct cph_srtp_stream_info *out);
/** Forget a stream (its sender said BYE), to make room. On a sending context CPH_E_POLICY: the
 *  indices it used must stay known as long as the key lives. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_stream_drop(struct cph_srtp *s, uint32_t ssrc);

/**
 * Carry ROC, s_l and the SRTCP index of every stream over to a context of the same direction that
 * replaces from (after a re-offer, a re-key). Where the master key and suite are the same, the
 * replay windows and the packets counted against the key's lifetime go with them; under a new key
 * the windows start empty. RFC 3711 3.3.1: re-keying does not reset the ROC.
 *
 * Do not call it where the protocol starts over: SDES with a new key begins with ROC 0 (RFC 4568
 * 7.1.4), DTLS-SRTP after a new association likewise.
 *
 * to must not have used any of these SSRCs (CPH_E_EXISTS) and needs room for them (CPH_E_LIMIT);
 * CPH_E_ARGUMENT for different directions. On error nothing changed.
 */
CPH_API CPH_MUST_CHECK cph_err cph_srtp_move(struct cph_srtp *to, struct cph_srtp *from);

/** Is the master key in use the same in both (suite, key, salt)? Compared in constant time. */
CPH_API bool cph_srtp_same_key(const struct cph_srtp *a, const struct cph_srtp *b);

struct cph_srtp_life {
    uint64_t rtp_left, rtcp_left; /* packets until the key (a sender's key in use) may do no more */
    bool soon;                    /* less than 1/16 of either lifetime, or 2^16 packets, is left */
};

/** Ask now and then; re-key when soon. The first key of a receiver, the one in use of a sender. */
CPH_API void cph_srtp_life(const struct cph_srtp *s, struct cph_srtp_life *out);

#endif

/* Ciphony: Encrypted Key Transport (RFC 8870): SRTP whose packets bring their keys along. */
#ifndef CPH_SRTP_EKT_H
#define CPH_SRTP_EKT_H

#include "ciphony/srtp.h"

/*
 * All members of a session share an EKT key, which key management gave them (keying_ekt.h). Each
 * sender makes its own SRTP master key, and puts it, wrapped under the EKT key, behind some of its
 * packets; it takes a new one whenever it likes. Who joins late decrypts from the first packet with
 * such a tag. Every SRTP packet of the session ends with a tag, full or short; SRTCP packets have
 * none. The members do not prove to each other who they are: any of them can speak for any SSRC.
 */

enum cph_ekt_cipher { /* RFC 8870 7.2 */
                      CPH_EKT_AESKW128 = 0,
                      CPH_EKT_AESKW256 = 1,
};

enum {
    CPH_EKT_TAG_MAX = 95,       /* bytes of the longest tag: a key of 64 */
    CPH_EKT_SETS = 8,           /* parameter sets of a receiver */
    CPH_EKT_TTL_MAX = 0xffffff, /* seconds */
    CPH_EKT_OLD_US = 250000,    /* RFC 8870 4.3.1: a sender goes on with its old key so long */
    CPH_EKT_EVERY_US = 100000,  /* RFC 8870 4.6: from one full tag to the next, audio */
    CPH_EKT_TIMES = 3,          /* RFC 8870 4.6: full tags in a row with a new key */
    CPH_EKT_LATE_US = 3000000,  /* a receiver takes packets under the key before so long */
};

/* RFC 8870 4.2: an EKT parameter set. Holds key material: wipe it when done. */
struct cph_ekt_params {
    uint16_t spi; /* names it; another one never has the same */
    enum cph_ekt_cipher cipher;
    struct cph_secret key;  /* 16 or 32 bytes, by the cipher */
    struct cph_secret salt; /* SRTP master salt; what is longer than the suite's is cut */
    uint32_t ttl_s;         /* 1 to CPH_EKT_TTL_MAX */
};

CPH_API void cph_ekt_params_wipe(struct cph_ekt_params *p);
#define CPH_EKT_PARAMS_SCOPED __attribute__((cleanup(cph_ekt_params_wipe))) struct cph_ekt_params

/** Bytes of a cipher's key; 0 if there is no such cipher. */
CPH_API size_t cph_ekt_key_size(enum cph_ekt_cipher cipher);

/* ---- tags ------------------------------------------------------------------------------------ */

enum cph_ekt_type {
    CPH_EKT_SHORT = 0,
    CPH_EKT_FULL = 2
}; /* RFC 8870 7.1; others are passed over */

/* A tag as it stands behind a packet; views. */
struct cph_ekt_tag {
    uint8_t type;
    size_t n; /* bytes of it */
    /* full: */
    struct cph_span ciphertext;
    uint16_t spi, epoch;
};

/** The tag at the end of a packet. CPH_E_TRUNCATED, CPH_E_MALFORMED. RFC 8870 4.1 */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_tag_parse(struct cph_span packet, struct cph_ekt_tag *out);
/** Write a tag behind what out has; CPH_E_NOSPACE, CPH_E_ARGUMENT for a type we do not make. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_tag_build(const struct cph_ekt_tag *tag, uint8_t *out,
                                                 size_t cap, size_t *n);

/* ---- sending --------------------------------------------------------------------------------- */

/* One sender: its SSRCs share a master key. One thread at a time; the engine outlives it. */
struct cph_ekt_sender;

/**
 * policy: suite and the rest, as for cph_srtp_new; its salt is not looked at, and its key only for
 * a double suite: the hop-by-hop half is kept, the other is ours. The master key is random. RFC
 * 8870 4 MUST: no MKI (CPH_E_ARGUMENT), nor anything without a MAC. env outlives it. Errors as of
 * cph_srtp_new; those of env's random.
 */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_sender_new(struct cph_srtp_engine *e,
                                                  const struct cph_env *env,
                                                  const struct cph_srtp_policy *policy,
                                                  const struct cph_ekt_params *params, cph_time now,
                                                  struct cph_ekt_sender **out);
CPH_API void cph_ekt_sender_free(struct cph_ekt_sender *s); /* wipes; NULL is fine */

/** Most bytes a packet grows by. */
CPH_API size_t cph_ekt_overhead(const struct cph_ekt_sender *s, bool rtcp);
/** As cph_srtp_protect, and a tag. CPH_E_EXPIRED also when the parameter set has had its time.
 *  Allocates once per new key, SSRC or ROC, in the crypto library. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_protect(struct cph_ekt_sender *s, struct cph_srtp_pkt *pkt,
                                               cph_time now);
/** As cph_srtp_protect_rtcp(), without a tag. CPH_E_EXPIRED as above. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_protect_rtcp(struct cph_ekt_sender *s,
                                                    struct cph_srtp_pkt *pkt, cph_time now);
/** A new master key, told from now on, used in CPH_EKT_OLD_US. CPH_E_EXPIRED after 65536 keys under
 *  one parameter set. On error nothing changed. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_rekey(struct cph_ekt_sender *s, cph_time now);
/** Another parameter set, and so a new master key (RFC 8870 4.5). CPH_E_EXISTS for the SPI in use.
 */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_sender_params(struct cph_ekt_sender *s,
                                                     const struct cph_ekt_params *params,
                                                     cph_time now);

/** to, which has sent nothing, takes the place of from, which sends no more (another suite, say):
 * indices and, under the same parameter set, epochs go on. Errors of cph_srtp_move;
 * CPH_E_EXPIRED. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_sender_move(struct cph_ekt_sender *to,
                                                   struct cph_ekt_sender *from, cph_time now);

struct cph_ekt_life {
    struct cph_srtp_life key; /* of the master key in use: cph_ekt_rekey() when soon */
    cph_time set_left;        /* of the parameter set's ttl */
    bool set_soon; /* less than 1/16 of ttl, wraps or epochs is left: another set is needed */
};
/** Ask now and then. */
CPH_API void cph_ekt_sender_life(const struct cph_ekt_sender *s, cph_time now,
                                 struct cph_ekt_life *out);

/* ---- receiving ------------------------------------------------------------------------------- */

/* All the others of a session. One thread at a time; the engine outlives it. */
struct cph_ekt_receiver;

/** policy as above; its streams is how many SSRCs there may be. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_receiver_new(struct cph_srtp_engine *e,
                                                    const struct cph_srtp_policy *policy,
                                                    struct cph_ekt_receiver **out);
CPH_API void cph_ekt_receiver_free(struct cph_ekt_receiver *r); /* wipes; NULL is fine */

/** Sender and receiver of one endpoint: what was sent under an SSRC of the one is no other's
 * (CPH_E_POLICY), since everybody's key, ours too, is told the same way. Undone when either goes.
 */
CPH_API void cph_ekt_pair(struct cph_ekt_sender *send, struct cph_ekt_receiver *recv);
/** A parameter set more. CPH_E_ARGUMENT, CPH_E_EXISTS, CPH_E_LIMIT. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_receiver_params(struct cph_ekt_receiver *r,
                                                       const struct cph_ekt_params *params,
                                                       cph_time now);
/** Take no more keys under it; those that came stay. CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_receiver_drop(struct cph_ekt_receiver *r, uint16_t spi);
/** Forget a source (its sender said BYE). CPH_E_NOTFOUND. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_source_drop(struct cph_ekt_receiver *r, uint32_t ssrc);

/**
 * As cph_srtp_unprotect, tag included. A key is taken from a tag when the packet before the tag is
 * good, under that key or the one before; old keys stay CPH_EKT_LATE_US for what comes late.
 * CPH_E_NOKEY: no key yet for this SSRC. CPH_E_AUTH also for a tag of an SPI nobody told us or that
 * does not unwrap; CPH_E_EXPIRED for one whose time is over; CPH_E_LIMIT: too many SSRCs. On error
 * but CPH_E_CRYPTO the packet is as it was. Allocates only for a tag with a new key that unwraps.
 */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_unprotect(struct cph_ekt_receiver *r,
                                                 struct cph_srtp_pkt *pkt, cph_time now);
/** As cph_srtp_unprotect_rtcp(): it has no tag, so CPH_E_NOKEY until one came with RTP of that
 * SSRC. */
CPH_API CPH_MUST_CHECK cph_err cph_ekt_unprotect_rtcp(struct cph_ekt_receiver *r,
                                                      struct cph_srtp_pkt *pkt, cph_time now);

#endif

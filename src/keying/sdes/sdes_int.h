/* Private face of SDES. RFC 4568. */
#ifndef CPH_SDES_INT_H
#define CPH_SDES_INT_H

#include "../keying_int.h"
#include "ciphony/keying_ekt.h"
#include "ciphony/srtp.h"

enum {
    SDES_MAX_KEYS = CPH_KEYING_MAX_KEYS, /* inline keys of one line */
    SDES_MAX_SUITES = 10,                /* lines of our offers */
    SDES_MAX_LINES = 32,                 /* lines of a peer's offer that we look at */
    SDES_MIRROR_MKI = 16, /* an MKI up to this size is answered with one of the same size */
    SDES_WSH_MIN = 64,    /* RFC 4568 9.2 */
    SDES_KDR_MAX = 24,    /* RFC 4568 6.3.1: 2^1 to 2^24 */
};

/* One crypto line, understood. Holds key material. */
struct sdes_line {
    uint32_t tag;
    const struct cph_srtp_suite *suite;
    struct cph_srtp_key key[SDES_MAX_KEYS]; /* the first is the one to send with */
    unsigned n_keys;
    unsigned kdr; /* log2 of the key derivation rate; 0: one derivation */
    unsigned wsh; /* packets; 0: not said */
    bool unencrypted_rtp, unencrypted_rtcp, unauthenticated_rtp;
    bool ekt; /* and its set, with the salt of the offer's line */
    struct cph_ekt_params set;
    bool used;          /* of our offers: an answer took it */
    bool srtp_then_fec; /* FEC_ORDER=SRTP_FEC; without FEC streams it means nothing */
};

void sdes_line_wipe(struct sdes_line *line);

#define SDES_LINE_SCOPED __attribute__((cleanup(sdes_line_wipe))) struct sdes_line

/**
 * Understand what stands behind "a=crypto:". CPH_E_MALFORMED: the line breaks RFC 4568 and is not
 * valid; CPH_E_UNSUPPORTED: a suite, key method, mandatory parameter or number of keys we do not
 * have. *out is written on CPH_OK only.
 */
CPH_MUST_CHECK cph_err sdes_line_parse(struct cph_span arg, struct sdes_line *out);
/** Write a line of ours into a section: tag, suite, keys with their MKI, negotiated flags. */
CPH_MUST_CHECK cph_err sdes_line_add(const struct sdes_line *line,
                                     const struct cph_keying_local *to);
/** Is any master key the same? In constant time for keys of one length. */
bool sdes_key_eq(const struct cph_srtp_key *a, const struct cph_srtp_key *b);
/** A suite that SDES has a name for, found without case (RFC 4568 4); NULL if there is none. */
const struct cph_srtp_suite *sdes_suite(struct cph_span name);

/* ---- state.c -------------------------------------------------------------------------------- */

/* Where a side receives. A name is kept as a hash of its text: it is only compared. */
struct sdes_place {
    struct cph_addr addr;
    uint64_t host;
};

/* What an exchange agreed on. */
struct sdes_deal {
    struct sdes_line mine, theirs; /* the flags that are negotiated are in both */
    struct sdes_place my_place, their_place;
};

/* Our offer; kept for later answers to it, for further branches, and for the next offer. */
struct sdes_offered {
    struct sdes_line *line; /* room for SDES_MAX_SUITES, once there is one */
    unsigned n;
    struct sdes_place place;
};

struct sdes {
    struct cph_keying base;
    struct cph_keying_cfg cfg;
    bool open;  /* our offer may be answered */
    bool first; /* and it was the first exchange */
    bool keyed;
    bool renew;
    struct sdes_deal deal;
    struct cph_keying_status status;
    unsigned notes;
    struct sdes_offered offered;
};

void sdes_deal_wipe(struct sdes_deal *d);
void sdes_offered_wipe(struct sdes_offered *o);

#define SDES_DEAL_SCOPED    __attribute__((cleanup(sdes_deal_wipe))) struct sdes_deal
#define SDES_OFFERED_SCOPED __attribute__((cleanup(sdes_offered_wipe))) struct sdes_offered

/** Where a section's owner receives; empty if it does not say. */
struct sdes_place sdes_place_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media);
bool sdes_place_known(const struct sdes_place *p);
/** A hold by c=0.0.0.0 is no move, and its end is none. */
bool sdes_moved(const struct sdes_place *was, const struct sdes_place *is);
CPH_MUST_CHECK cph_err sdes_offered_copy(const struct sdes_offered *from, struct sdes_offered *to);
/** A random master key and salt; an MKI of mki_n bytes with the value 1. */
CPH_MUST_CHECK cph_err sdes_key_new(const struct sdes *s, const struct cph_srtp_suite *suite,
                                    unsigned mki_n, struct cph_srtp_key *out);
/** Give key an MKI that is not the old one's, so that packets in flight are told apart (7.1.4). */
void sdes_mki_after(const struct cph_srtp_key *old, struct cph_srtp_key *key);
/** The suites we take, best first, NULL-ended; is this one of them? */
const char *const *sdes_suites_of(const struct sdes *s);
bool sdes_suite_wanted(const struct sdes *s, const struct cph_srtp_suite *suite);
/** The EKT set our offers have, NULL: none. */
const struct cph_ekt_params *sdes_set_of(const struct sdes *s);
/** Does a line of this suite have it? RFC 8870 6 MUST: the EKT key is as long as the suite's. */
bool sdes_set_fits(const struct cph_ekt_params *set, const struct cph_srtp_suite *suite);
/** A further line of our offer, with the key we said before if it may be said again. set: its EKT
 *  set, or NULL. */
CPH_MUST_CHECK cph_err sdes_line_new(const struct sdes *s, const struct cph_srtp_suite *suite,
                                     const struct cph_ekt_params *set,
                                     struct sdes_offered *offered);
bool sdes_same_set(const struct sdes_line *a, const struct sdes_line *b);
bool sdes_key_in(const struct cph_srtp_key *key, const struct sdes_line *line);
/** Is there a master key that goes on from one line to the next? Then its streams do. */
bool sdes_keys_go_on(const struct sdes_line *was, const struct sdes_line *is);
/** The only writer of the deal: moves the generations and says what becomes of the streams. */
void sdes_commit(struct sdes *s, const struct sdes_deal *next);

#endif

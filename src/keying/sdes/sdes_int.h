/* Private face of SDES. RFC 4568. */
#ifndef CPH_SDES_INT_H
#define CPH_SDES_INT_H

#include "../keying_int.h"
#include "ciphony/srtp.h"

enum {
    SDES_MAX_KEYS = CPH_KEYING_MAX_KEYS, /* inline keys of one line */
    SDES_MAX_SUITES = 8,                 /* lines of our offers */
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

#endif

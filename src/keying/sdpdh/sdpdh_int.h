/* Private face of SDP-DH: Diffie-Hellman shares in SDP. Expired, the syntax is ours. */
#ifndef CPH_SDPDH_INT_H
#define CPH_SDPDH_INT_H

#include "../keying_int.h"
#include "ciphony/crypto_agree.h"
#include "ciphony/srtp.h"

enum {
    SDPDH_LINES = 8,    /* of one offer; more are refused, since all of them are in the keys */
    SDPDH_SUITES = 16,  /* of one line that we look at */
    SDPDH_SHARE = 384,  /* bytes of the longest share (MODP 3072) */
    SDPDH_TAG_MAX = 99, /* lines are numbered from 1, best first */
    SDPDH_HASH = 32,    /* SHA-256 */
    SDPDH_LINE = 1024,  /* characters of a line of ours: 512 of a share and all suites */
    SDPDH_GROUPS = 3,
};

/* A group by its name in the line. */
struct sdpdh_group {
    const char *name;
    enum cph_agree_group group;
    unsigned bits; /* of security, for people */
};

/** NULL if we have no such group. */
const struct sdpdh_group *sdpdh_group(struct cph_span name);

/*
 * One line, understood:
 *
 *   a=sdp-dh:<tag> <group> <suite>[,<suite>...] <share in base64>
 *
 * An offer has a line for each group, with all suites, best first. An answer has one line, with the
 * tag and group of the line it takes and one suite.
 */
struct sdpdh_line {
    uint32_t tag;
    const struct sdpdh_group *group;
    const struct cph_srtp_suite *suite[SDPDH_SUITES]; /* those that we know, in the peer's order */
    unsigned n_suites;                                /* may be 0 */
    unsigned n_named;                                 /* known or not */
    uint8_t share[SDPDH_SHARE];
    size_t share_n;
};

/** Understand what stands behind "a=sdp-dh:". CPH_E_MALFORMED: it breaks the form above;
 *  CPH_E_UNSUPPORTED: a group we do not have. *out is written on CPH_OK only. */
CPH_MUST_CHECK cph_err sdpdh_line_parse(struct cph_span arg, struct sdpdh_line *out);
/** Write a line into out (SDPDH_LINE characters, with a NUL). CPH_E_NOSPACE. */
CPH_MUST_CHECK cph_err sdpdh_line_build(const struct sdpdh_line *line, char out[SDPDH_LINE]);

/* All lines of a section by their tags, wherever they stood: views of it. */
struct sdpdh_lines {
    unsigned n;
    struct {
        uint32_t tag;
        struct cph_span text;
    } line[SDPDH_LINES];
};

/** CPH_E_NOTFOUND: there is none; CPH_E_LIMIT for more than SDPDH_LINES; CPH_E_MALFORMED: a line
 *  has no tag, or that of another. */
CPH_MUST_CHECK cph_err sdpdh_lines_of(const struct cph_sdp_media *media, struct sdpdh_lines *out);
/** Digest of all of them, in the order of their tags. */
CPH_MUST_CHECK cph_err sdpdh_lines_hash(const struct sdpdh_lines *lines, uint8_t out[SDPDH_HASH]);

/* Both directions, as the offerer and the answerer of the exchange that made them. */
struct sdpdh_keys {
    struct cph_srtp_key offerer, answerer;
};

/** Keys from the secret, the offer (sdpdh_lines_hash) and the line of the answer. */
CPH_MUST_CHECK cph_err sdpdh_derive(const struct cph_secret *secret,
                                    const uint8_t offer[SDPDH_HASH], struct cph_span answer,
                                    const struct cph_srtp_suite *suite, struct sdpdh_keys *out);

/* ---- an instance: sdpdh.c's ------------------------------------------------------------------ */

/* A share of ours, without what it was made of. */
struct share {
    const struct sdpdh_group *group; /* NULL: none */
    uint8_t value[SDPDH_SHARE];
    size_t n;
};

/* Our offer; kept for later answers to it and for further branches. */
struct offered {
    struct share share[SDPDH_GROUPS];
    struct cph_secret secret[SDPDH_GROUPS]; /* of each; none if the share is said again */
    unsigned n;
    const struct cph_srtp_suite *suite[SDPDH_SUITES];
    unsigned n_suites;
    uint8_t hash[SDPDH_HASH];
};

/* What an exchange agreed on. */
struct deal {
    struct share mine;
    uint8_t theirs[SDPDH_SHARE];
    size_t theirs_n;
    const struct cph_srtp_suite *suite;
    struct cph_srtp_key key[2]; /* by enum cph_keying_dir */
};

struct sdpdh {
    struct cph_keying base;
    struct cph_keying_cfg cfg;
    bool open;  /* our offer may be answered */
    bool first; /* and it was the first exchange */
    bool keyed;
    bool renew;
    struct offered offered;
    struct deal deal;
    struct cph_keying_status status;
    unsigned notes;
};

#endif

/* Ciphony: RTP and RTCP packets (RFC 3550): parse, build, follow, count. No state but what is
 * passed. */
#ifndef CPH_RTP_H
#define CPH_RTP_H

#include "ciphony/base.h"
#include "ciphony/base_wire.h"

enum {
    CPH_RTP_HEADER = 12,    /* bytes of the fixed header */
    CPH_RTP_MAX_CSRC = 15,  /* a 4-bit count */
    CPH_RTCP_MAX_BLOCK = 31 /* a 5-bit count: report blocks, chunks, sources of a BYE */
};

/* ---- what is this datagram? ------------------------------------------------------------------ */

enum cph_rtp_class {
    CPH_RTP_CLASS_UNKNOWN, /* drop it */
    CPH_RTP_CLASS_STUN,    /* first byte 0..3 */
    CPH_RTP_CLASS_ZRTP,    /* 16..19 */
    CPH_RTP_CLASS_DTLS,    /* 20..63 */
    CPH_RTP_CLASS_TURN,    /* 64..79, a TURN channel */
    CPH_RTP_CLASS_RTP,     /* 128..191 and the second byte is not an RTCP type */
    CPH_RTP_CLASS_RTCP,    /* 128..191 and the second byte is 192..223 */
};

/** Sort a datagram of a media port by its first two bytes. RFC 7983 7, RFC 5761 4. Any thread. */
CPH_API enum cph_rtp_class cph_rtp_classify(struct cph_span datagram);

/* ---- RTP packets ----------------------------------------------------------------------------- */

/* A parsed packet: numbers by value, the rest views of the packet. */
struct cph_rtp {
    bool marker;
    uint8_t pt;
    uint16_t seq;
    uint32_t ts, ssrc;
    uint8_t n_csrc;
    uint32_t csrc[CPH_RTP_MAX_CSRC];
    bool has_ext;
    uint16_t ext_profile; /* 0xbede: one-byte elements; 0x100x: two-byte elements; RFC 8285 4 */
    struct cph_span ext;  /* what follows the 4-byte extension header; whole words */
    struct cph_span payload;
    uint8_t padding; /* bytes of padding after the payload, their count byte included; 0 none */
};

/**
 * Parse one RTP packet. Checks RFC 3550 A.1: version 2, payload type not that of SR or RR with the
 * marker (72, 73), CSRC list, extension and padding inside the packet.
 *
 * packet  header, payload, padding, as it came from the network or from SRTP
 *
 * Returns CPH_OK, CPH_E_TRUNCATED, CPH_E_MALFORMED. *out is written on CPH_OK only. Any thread.
 * RFC 3550 5.1, 5.3.1, A.1.
 */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_parse(struct cph_span packet, struct cph_rtp *out);

/** Append the packet to wr. CPH_E_ARGUMENT if a field cannot be said (pt > 127, n_csrc > 15, an
 *  extension that is not whole words or over 65535 of them), CPH_E_NOSPACE. RFC 3550 5.1. */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_build(const struct cph_rtp *rtp, struct cph_wr *wr);

/* One element of a header extension. RFC 8285 4.2, 4.3. */
struct cph_rtp_ext {
    uint8_t id;
    struct cph_span data;
};

/** Walk the elements: start with *at = 0. CPH_E_AGAIN at the end, CPH_E_MALFORMED when an element
 *  passes the end, CPH_E_UNSUPPORTED when the extension is of another kind. */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_ext_next(const struct cph_rtp *rtp, size_t *at,
                                                struct cph_rtp_ext *out);
/** Append n elements to wr in the shorter form that can say them, padded to whole words; *profile
 *  becomes 0xbede or 0x1000. CPH_E_ARGUMENT for id 0 or data over 255 bytes. RFC 8285 4.2, 4.3. */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_ext_build(const struct cph_rtp_ext *ext, size_t n,
                                                 struct cph_wr *wr, uint16_t *profile);

/* ---- RTCP packets ---------------------------------------------------------------------------- */

enum cph_rtcp_type {
    CPH_RTCP_SR = 200,
    CPH_RTCP_RR = 201,
    CPH_RTCP_SDES = 202,
    CPH_RTCP_BYE = 203,
    CPH_RTCP_APP = 204,
    CPH_RTCP_RTPFB = 205, /* RFC 4585 6.2 */
    CPH_RTCP_PSFB = 206,  /* RFC 4585 6.3 */
    CPH_RTCP_XR = 207,    /* RFC 3611, carried only */
};

enum cph_rtcp_sdes_type { /* RFC 3550 6.5 */
                          CPH_RTCP_SDES_END,
                          CPH_RTCP_SDES_CNAME,
                          CPH_RTCP_SDES_NAME,
                          CPH_RTCP_SDES_EMAIL,
                          CPH_RTCP_SDES_PHONE,
                          CPH_RTCP_SDES_LOC,
                          CPH_RTCP_SDES_TOOL,
                          CPH_RTCP_SDES_NOTE,
                          CPH_RTCP_SDES_PRIV,
};

/* One packet of a compound packet. */
struct cph_rtcp {
    uint8_t type;         /* enum cph_rtcp_type or one we do not know */
    uint8_t count;        /* the 5 bits: blocks, chunks, sources, subtype or feedback format */
    struct cph_span body; /* after the 4-byte header, padding removed */
    uint8_t padding;      /* bytes of padding removed */
};

/** Check a whole compound packet as RFC 3550 A.2 does: version, first is SR or RR, padding only in
 * the last, lengths add up. CPH_E_TRUNCATED, CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_check(struct cph_span compound);

/** Take the next packet off *rest (start with the compound packet). CPH_E_AGAIN when nothing is
 * left, CPH_E_TRUNCATED, CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_next(struct cph_span *rest, struct cph_rtcp *out);

/* What one receiver says about one source. RFC 3550 6.4.1. */
struct cph_rtcp_block {
    uint32_t ssrc;
    uint8_t fraction_lost; /* of 256, since the report before */
    int32_t lost;          /* in all; 24 bits, signed */
    uint32_t highest_seq;  /* extended with the count of cycles */
    uint32_t jitter;       /* timestamp units */
    uint32_t lsr, dlsr;    /* middle 32 bits of NTP time; 1/65536 s */
};

/* SR and RR in one. */
struct cph_rtcp_report {
    uint32_t ssrc;
    bool sender; /* SR: the four fields below are there */
    uint64_t ntp;
    uint32_t rtp_ts, packets, octets;
    uint8_t n_block;
    struct cph_rtcp_block block[CPH_RTCP_MAX_BLOCK];
    struct cph_span rest; /* profile-specific extension, carried */
};

/*
 * The typed bodies. *_parse reads one packet of cph_rtcp_next(): CPH_E_ARGUMENT if it is of another
 * type, CPH_E_TRUNCATED if it is shorter than it must be. *out is written on CPH_OK only; its
 * views live as long as the packet. *_build appends one whole packet to wr, without padding:
 * CPH_E_ARGUMENT if a field cannot be said, CPH_E_NOSPACE. A compound packet is several of them, a
 * report first. Any thread.
 */

/** SR or RR. RFC 3550 6.4.1, 6.4.2. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_report_parse(const struct cph_rtcp *p,
                                                     struct cph_rtcp_report *out);
/** Cannot be said: over 31 blocks, a loss of more than 24 signed bits, a rest that is not whole
 * words. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_report_build(const struct cph_rtcp_report *r,
                                                     struct cph_wr *wr);

struct cph_rtcp_sdes_item {
    uint32_t ssrc; /* of the chunk the item stands in */
    uint8_t type;  /* enum cph_rtcp_sdes_type */
    struct cph_span text;
};

/** Check the whole SDES packet and take up to cap items in order; *n counts all there are.
 * CPH_E_TRAILING for bytes behind the last chunk. RFC 3550 6.5. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_sdes_parse(const struct cph_rtcp *p,
                                                   struct cph_rtcp_sdes_item *items, size_t cap,
                                                   size_t *n);
/** One chunk per run of items with the same SSRC. Cannot be said: text over 255 bytes, an item of
 * type END, over 31 chunks. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_sdes_build(const struct cph_rtcp_sdes_item *items, size_t n,
                                                   struct cph_wr *wr);

struct cph_rtcp_bye {
    uint8_t n;
    uint32_t ssrc[CPH_RTCP_MAX_BLOCK];
    struct cph_span reason; /* empty: none */
};

/** CPH_E_TRAILING for more than what pads the reason to a word. RFC 3550 6.6. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_bye_parse(const struct cph_rtcp *p,
                                                  struct cph_rtcp_bye *out);
/** Cannot be said: over 31 sources, a reason over 255 bytes. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_bye_build(const struct cph_rtcp_bye *b, struct cph_wr *wr);

struct cph_rtcp_app {
    uint8_t subtype; /* 5 bits */
    uint32_t ssrc;
    uint8_t name[4];
    struct cph_span data; /* whole words */
};

/** RFC 3550 6.7. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_app_parse(const struct cph_rtcp *p,
                                                  struct cph_rtcp_app *out);
/** Cannot be said: a subtype over 31, data that are not whole words. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_app_build(const struct cph_rtcp_app *a, struct cph_wr *wr);

/* RTPFB and PSFB, the control information carried. RFC 4585 6.1. */
struct cph_rtcp_feedback {
    uint8_t type;   /* CPH_RTCP_RTPFB or CPH_RTCP_PSFB */
    uint8_t format; /* 5 bits */
    uint32_t sender, media;
    struct cph_span fci; /* whole words */
};

/** Either type; the fci is not looked at. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_feedback_parse(const struct cph_rtcp *p,
                                                       struct cph_rtcp_feedback *out);
/** Cannot be said: another type, a format over 31, an fci that is not whole words. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_feedback_build(const struct cph_rtcp_feedback *f,
                                                       struct cph_wr *wr);

/* ---- following a source ---------------------------------------------------------------------- */

/* RFC 3550 A.1, A.3, A.8. Read the fields; let the functions below write them. */
struct cph_rtp_source {
    uint32_t ssrc;
    uint16_t max_seq;
    uint32_t cycles; /* times 65536 */
    uint32_t base_seq, bad_seq;
    unsigned probation; /* packets in sequence still wanted before the source counts as valid */
    uint32_t received, received_prior, expected_prior;
    uint64_t octets; /* payload bytes */
    bool has_transit;
    uint32_t transit;  /* relative, timestamp units */
    uint32_t jitter16; /* timestamp units times 16 */
    uint32_t lsr;      /* of the last SR, 0 none */
    cph_time lsr_at;
};

/** Meet a source. probation: how many packets in sequence make it valid: 2 for plain RTP (RFC 3550
 *  A.1), 0 where SRTP has vouched for the packet. */
CPH_API void cph_rtp_source_init(struct cph_rtp_source *s, uint32_t ssrc, uint16_t first_seq,
                                 unsigned probation);
/** Count a packet. False: not valid (on probation, or a jump not yet confirmed); do not play it. */
CPH_API CPH_MUST_CHECK bool cph_rtp_source_update(struct cph_rtp_source *s, uint16_t seq,
                                                  size_t payload_n);
/** Measure the jitter. A.8. arrival in the units of ts, any origin, modulo 2^32. */
CPH_API void cph_rtp_source_arrival(struct cph_rtp_source *s, uint32_t ts, uint32_t arrival);
/** Microseconds as units of a clock of rate Hz, modulo 2^32. */
CPH_API uint32_t cph_rtp_units(cph_time t, uint32_t rate);
/** Remember the sender report for LSR and DLSR. */
CPH_API void cph_rtp_source_sr(struct cph_rtp_source *s, uint64_t ntp, cph_time now);
/** Packets expected so far, and lost: may be negative with duplicates. A.3. */
CPH_API uint32_t cph_rtp_source_expected(const struct cph_rtp_source *s);
CPH_API int32_t cph_rtp_source_lost(const struct cph_rtp_source *s); /* clamped to 24 bits */
/** The block for the next report; begins a new reporting interval. */
CPH_API void cph_rtp_source_report(struct cph_rtp_source *s, cph_time now,
                                   struct cph_rtcp_block *out);

/** NTP time: seconds since 1900 in the upper half, fractions below. wall: seconds since 1970. */
CPH_API uint64_t cph_rtp_ntp(int64_t wall, cph_time us_more);
/** Round trip, microseconds, from a block about us that came when our NTP time was ntp. CPH_E_AGAIN
 * if the peer had no SR of ours yet, CPH_E_MALFORMED if time would run backwards. RFC 3550 6.4.1.
 */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_round_trip(const struct cph_rtcp_block *about_us,
                                                  uint64_t ntp, cph_time *out);

/* ---- when to report: two parties ------------------------------------------------------------- */

/*
 * RFC 3550 6.2, 6.3 for a session of two: randomized, no reconsideration (6.3 allows to omit it).
 * Zero-initialise and call start.
 */
struct cph_rtcp_clock {
    uint32_t bandwidth;      /* RTCP octets per second, all members together */
    uint32_t avg_size16;     /* average size of compound packets incl. IP and UDP, times 16 */
    bool initial;            /* nothing sent yet */
    bool we_sent, peer_sent; /* RTP within the last two intervals */
    bool peer_known;
    cph_time interval,
        next; /* the last interval drawn; when to report, CPH_TIME_NEVER before start */
    cph_time we_sent_at, peer_sent_at, peer_heard_at;
};

/** session_bps: session bandwidth in bits per second, of which RTCP takes 5 %. The error is env's,
 * as below. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_clock_start(struct cph_rtcp_clock *c,
                                                    const struct cph_env *env, uint32_t session_bps,
                                                    cph_time now);
/** What went out and came in: who counts as sender and as member (6.3.3 to 6.3.5). n is the size of
 * the compound packet in bytes, without IP and UDP. */
CPH_API void cph_rtcp_clock_rtp_sent(struct cph_rtcp_clock *c, cph_time now);
CPH_API void cph_rtcp_clock_rtp_heard(struct cph_rtcp_clock *c, cph_time now);
CPH_API void cph_rtcp_clock_rtcp_heard(struct cph_rtcp_clock *c, size_t n, cph_time now);
CPH_API void cph_rtcp_clock_bye_heard(struct cph_rtcp_clock *c);
/** We sent a compound packet of n bytes: draw the next time. */
CPH_API CPH_MUST_CHECK cph_err cph_rtcp_clock_sent(struct cph_rtcp_clock *c,
                                                   const struct cph_env *env, size_t n,
                                                   cph_time now);
/** Is the peer silent (no RTP, no RTCP) for five deterministic intervals? 6.3.5. */
CPH_API bool cph_rtcp_clock_peer_lost(const struct cph_rtcp_clock *c, cph_time now);
/** The deterministic interval Td, microseconds, as 6.3.1 counts it. */
CPH_API cph_time cph_rtcp_clock_td(const struct cph_rtcp_clock *c);

/* ---- our SSRC -------------------------------------------------------------------------------- */

enum { CPH_RTP_COLLISIONS = 3 }; /* after so many new numbers it is our own packets coming back */

struct cph_rtp_identity {
    uint32_t ssrc;
    uint32_t old; /* to say BYE for, when moved */
    unsigned collisions;
};

/** Draw an SSRC that differs from avoid. */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_identity_init(struct cph_rtp_identity *id,
                                                     const struct cph_env *env, uint32_t avoid);
/** A packet came whose SSRC is heard. CPH_OK: not ours. CPH_E_EXISTS: it was; we have a new one now
 * and must send BYE for id->old. CPH_E_LIMIT: a loop, drop the packet. Else from env. RFC 3550 8.2.
 */
CPH_API CPH_MUST_CHECK cph_err cph_rtp_identity_meet(struct cph_rtp_identity *id,
                                                     const struct cph_env *env, uint32_t heard);

#endif

/* Ciphony: session descriptions. A tree of lines that prints back what it was read from, and the
 * attributes we understand, read and written one by one. RFC 8866 (4566). */
#ifndef CPH_SDP_H
#define CPH_SDP_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"

enum {
    CPH_SDP_MAX_BYTES = 64 * 1024, /* one UDP datagram; a description of ours has 1 to 2 kB */
    CPH_SDP_MAX_LINE = 16 * 1024,  /* a key-mgmt line with a certificate chain */
    CPH_SDP_MAX_LINES = 2000,      /* a browser's offer with many codecs has about 300 */
    CPH_SDP_MAX_MEDIA = 32,        /* m= lines */
    CPH_SDP_MAX_ATTRS = 400,       /* a= lines of one section */
    CPH_SDP_MAX_FMTS =
        64, /* formats of one m= line; 7 bits of payload type, half of them dynamic */
    CPH_SDP_MAX_CODECS = 16,     /* we look at this many codecs of an m= line */
    CPH_SDP_ARENA = 1024 * 1024, /* a sensible limit of the arena of one description */
};

/* ---- the tree ------------------------------------------------------------------------------- */

/* One line. All spans are views of the text that was parsed, or live in the arena. */
struct cph_sdp_line {
    struct cph_sdp_line *next;
    struct cph_span value; /* what stands behind "x=", without the line end */
    struct cph_span name;  /* a= lines: what stands before the first colon; else empty */
    struct cph_span arg;   /* a= lines: what stands behind it; empty for a flag */
    char type;             /* the letter */
};

/* The session section, or one media section: its lines in the order they came. */
struct cph_sdp_part {
    struct cph_sdp_line *first, *last;
    unsigned n_lines, n_attrs;
};

enum cph_sdp_proto {
    CPH_SDP_PROTO_OTHER,
    CPH_SDP_RTP_AVP,
    CPH_SDP_RTP_AVPF,
    CPH_SDP_RTP_SAVP,
    CPH_SDP_RTP_SAVPF,
    CPH_SDP_UDP_TLS_RTP_SAVP,
    CPH_SDP_UDP_TLS_RTP_SAVPF,
};

/* Bits, as seen by whom the description belongs to. */
enum cph_sdp_dir {
    CPH_SDP_INACTIVE = 0,
    CPH_SDP_SENDONLY = 1,
    CPH_SDP_RECVONLY = 2,
    CPH_SDP_SENDRECV = 3,
};

struct cph_sdp_media {
    struct cph_sdp_part part;   /* the m= line first */
    struct cph_span kind;       /* "audio" */
    struct cph_span proto_text; /* "RTP/AVP" */
    enum cph_sdp_proto proto;
    uint16_t port;    /* 0: refused or removed */
    unsigned n_ports; /* 1 unless "port/number" */
    struct cph_span fmt[CPH_SDP_MAX_FMTS];
    unsigned n_fmts;
    unsigned index; /* place among the m= lines, from 0 */
};

struct cph_sdp_origin {
    struct cph_span user; /* "-" if there is none */
    uint64_t id, version;
    struct cph_span net, addr_type; /* "IN", "IP4" */
    struct cph_span addr;
};

struct cph_sdp {
    struct cph_arena *arena; /* not owned: the caller frees it, and the description is gone */
    struct cph_sdp_part part;
    struct cph_sdp_origin origin;
    struct cph_sdp_media *media[CPH_SDP_MAX_MEDIA];
    unsigned n_media;
    unsigned n_lines; /* in all sections */
    size_t n_bytes;   /* as printed */
};

/**
 * Parse a description. text must live as long as the result; everything else comes from arena
 * (see CPH_SDP_ARENA) and is gone with it. CRLF and LF end a line.
 *
 * Returns CPH_OK; CPH_E_TRUNCATED for no text; CPH_E_LIMIT over a limit above; CPH_E_UNSUPPORTED
 * for an unknown letter or version; CPH_E_MALFORMED otherwise; CPH_E_NOMEM. RFC 8866 5, 9.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_parse(struct cph_arena *arena, struct cph_span text,
                                             struct cph_sdp **out);
/** Print with CRLF line ends. Text that had them comes out byte by byte. CPH_E_NOSPACE. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_print(const struct cph_sdp *sdp, struct cph_wr *wr);
/** Print into arena memory; .p NULL on failure. */
CPH_API struct cph_span cph_sdp_text(const struct cph_sdp *sdp, struct cph_arena *arena);
/** A description with v=, o=, s=-, c= (if addr is not NULL) and t=0 0. origin is copied; an empty
 *  user, net, addr_type or addr is filled in ("-", "IN", from addr). CPH_E_NOMEM, CPH_E_MALFORMED.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_new(struct cph_arena *arena,
                                           const struct cph_sdp_origin *origin,
                                           const struct cph_addr *addr, struct cph_sdp **out);
/** A deep copy that needs nothing of the source, not even its text. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_copy(struct cph_arena *arena, const struct cph_sdp *src,
                                            struct cph_sdp **out);

/* ---- lines ---------------------------------------------------------------------------------- */

/* Where "media or NULL" is said, NULL stands for the session section. */

/** The section's lines. */
CPH_API const struct cph_sdp_part *cph_sdp_part_of(const struct cph_sdp *sdp,
                                                   const struct cph_sdp_media *media);
/** First line of that type, NULL if there is none. */
CPH_API const struct cph_sdp_line *cph_sdp_line(const struct cph_sdp_part *part, char type);
/** Attributes by name, compared exactly: first, and next of the same name; NULL at the end. */
CPH_API const struct cph_sdp_line *cph_sdp_attr(const struct cph_sdp_part *part, const char *name);
CPH_API const struct cph_sdp_line *cph_sdp_attr_next(const struct cph_sdp_line *line);
/** The attribute of the media section or, failing that, of the session section. */
CPH_API const struct cph_sdp_line *
cph_sdp_attr_any(const struct cph_sdp *sdp, const struct cph_sdp_media *media, const char *name);

/** Add a line at its place in the order of RFC 8866 9, behind those of the same letter. value is
 *  copied. CPH_E_LIMIT, CPH_E_NOMEM, CPH_E_MALFORMED if value has a NUL, CR or LF or type is odd.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_line_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                char type, struct cph_span value);
/** a=name or a=name:arg (arg NULL: a flag). Errors as above. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_attr_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                const char *name, const char *arg);
/** a=name:arg with a formatted arg. Not for secrets. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_attr_fmt(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                const char *name, const char *fmt, ...)
    CPH_PRINTF(4, 5);
/** Take out every attribute of that name; returns how many. */
CPH_API unsigned cph_sdp_attr_remove(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                     const char *name);
/** Take out every line of that type (not v, o, s, t, m); returns how many. */
CPH_API unsigned cph_sdp_line_remove(struct cph_sdp *sdp, struct cph_sdp_media *media, char type);

/** Add m=kind port proto fmts (fmts: words between spaces), behind the others. Errors as of
 * cph_sdp_line_add(). */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_media_add(struct cph_sdp *sdp, struct cph_span kind,
                                                 uint16_t port, struct cph_span proto,
                                                 struct cph_span fmts, struct cph_sdp_media **out);
/** Another port in the m= line; 0 is written without "/number". CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_media_set_port(struct cph_sdp *sdp,
                                                      struct cph_sdp_media *media, uint16_t port);
/** Another profile in the m= line; its formats stay. CPH_E_ARGUMENT for CPH_SDP_PROTO_OTHER,
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_media_set_proto(struct cph_sdp *sdp,
                                                       struct cph_sdp_media *media,
                                                       enum cph_sdp_proto proto);
/** RFC 3264 6: port 0, and no attribute that would mean anything (all a=, c=, b=, i= taken out).
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_media_refuse(struct cph_sdp *sdp,
                                                    struct cph_sdp_media *media);
/** Another version in o=, and nothing else (what RFC 3264 8 asks is cph_sdp_finish_local()'s).
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_set_version(struct cph_sdp *sdp, uint64_t version);

/** "RTP/AVP"; "" for CPH_SDP_PROTO_OTHER. */
CPH_API const char *cph_sdp_proto_text(enum cph_sdp_proto proto);
CPH_API enum cph_sdp_proto cph_sdp_proto_of(struct cph_span text); /* compared with case */
CPH_API bool cph_sdp_proto_secure(enum cph_sdp_proto proto);       /* one of the four with S */

/* ---- attributes we understand --------------------------------------------------------------- */
/* *_parse reads what stands behind "a=name:" and writes *out on CPH_OK only; CPH_E_MALFORMED for
 * what does not follow the grammar named. All spans are views of it. *_add writes the attribute
 * into the section (NULL: the session's); errors as of cph_sdp_line_add().
 * a=fingerprint is read and written by crypto_key.h: cph_fingerprint_parse(),
 * cph_fingerprint_text(). */

/* a=rtpmap:<pt> <name>/<rate>[/<channels>]  RFC 8866 6.6 */
struct cph_sdp_rtpmap {
    uint8_t pt; /* 0 to 127 */
    struct cph_span name;
    uint32_t rate;    /* Hz */
    uint8_t channels; /* 1 if not said */
};
/** A rate or a number of channels of 0 is malformed, and so are over 255 channels. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtpmap_parse(struct cph_span arg,
                                                    struct cph_sdp_rtpmap *out);
/** Channels are written if there are several. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtpmap_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                  const struct cph_sdp_rtpmap *map);
/** What a payload type means in this section: its rtpmap, or the static table of RFC 3551 6.
 *  CPH_E_NOTFOUND, CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtpmap_of(const struct cph_sdp_media *media, uint8_t pt,
                                                 struct cph_sdp_rtpmap *out);
/** The parameters in a=fmtp:<pt> ...; empty if there are none. RFC 8866 6.15 */
CPH_API struct cph_span cph_sdp_fmtp_of(const struct cph_sdp_media *media, uint8_t pt);

/* a=setup:  RFC 4145 4 */
enum cph_sdp_setup {
    CPH_SDP_SETUP_NONE, /* not said */
    CPH_SDP_SETUP_ACTIVE,
    CPH_SDP_SETUP_PASSIVE,
    CPH_SDP_SETUP_ACTPASS,
    CPH_SDP_SETUP_HOLDCONN,
};
/** One of the four words, without case. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_setup_parse(struct cph_span arg, enum cph_sdp_setup *out);
CPH_API const char *cph_sdp_setup_text(enum cph_sdp_setup setup); /* "actpass"; "" for NONE */

/* a=tls-id:<20 to 255 of ALPHA DIGIT + / - _>  RFC 8842 4 */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_tls_id_parse(struct cph_span arg, struct cph_span *out);

/* a=rtcp:<port> [IN IP4 <addr>]  RFC 3605 2.1 */
struct cph_sdp_rtcp {
    uint16_t port;
    struct cph_span addr_type, addr; /* empty if not said: that of the media */
};
/** Port 0, and a network other than IN, are malformed. The address is only cut out:
 * cph_sdp_rtcp_target() reads it. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtcp_parse(struct cph_span arg, struct cph_sdp_rtcp *out);

/* a=crypto:<tag> <suite> <key-params> [<session-params>], generic grammar of RFC 4568 9.1. What the
 * keys and parameters mean is keying/sdes' business; they are key material: do not log, wipe
 * copies. */
struct cph_sdp_crypto {
    uint32_t tag; /* 0 to 999999999, no leading zero */
    struct cph_span suite;
    struct cph_span key_params;     /* "inline:...;inline:..." */
    struct cph_span session_params; /* words between blanks; empty if there are none */
};
/** Of the keys the form alone is looked at: "method:info", one or more between semicolons. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_crypto_parse(struct cph_span arg,
                                                    struct cph_sdp_crypto *out);
/** Written as it stands, into the arena, which is wiped when it is freed. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_crypto_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                                  const struct cph_sdp_crypto *crypto);

/* a=key-mgmt:<protocol> <data>  RFC 4567 3.1 (data stays base64: keying/mikey reads it) */
struct cph_sdp_key_mgmt {
    struct cph_span protocol, data;
};
/** data: one word of the letters of base64, not decoded. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_key_mgmt_parse(struct cph_span arg,
                                                      struct cph_sdp_key_mgmt *out);

/* a=zrtp-hash:<version> <64 hex digits>  RFC 6189 8 */
struct cph_sdp_zrtp_hash {
    struct cph_span version; /* "1.10" */
    uint8_t hash[32];
};
/** The digits in either case. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_zrtp_hash_parse(struct cph_span arg,
                                                       struct cph_sdp_zrtp_hash *out);

/* a=group:<semantics> <mid> ...  RFC 5888 5 */
struct cph_sdp_group {
    struct cph_span semantics, mids; /* "BUNDLE", words between spaces */
};
/** A group of nobody (mids empty) is one, too. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_group_parse(struct cph_span arg, struct cph_sdp_group *out);
/** The a=mid of a section; empty if there is none. */
CPH_API struct cph_span cph_sdp_mid(const struct cph_sdp_media *media);

/* a=ssrc:<id> <attribute>[:<value>]  RFC 5576 4.1 */
struct cph_sdp_ssrc {
    uint32_t ssrc;
    struct cph_span name, value;
};
/** value is empty if there is none. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_ssrc_parse(struct cph_span arg, struct cph_sdp_ssrc *out);

/** a=ptime, a=maxptime in whole milliseconds (a fraction is rounded up), 1 to 1000; 0 if not said
 * or nonsense. RFC 8866 6.4, 6.5 */
CPH_API unsigned cph_sdp_ptime(const struct cph_sdp_media *media);
CPH_API unsigned cph_sdp_maxptime(const struct cph_sdp_media *media);

/* ---- what a section says, with the session's defaults --------------------------------------- */

/** Direction: media section, else session section, else sendrecv (RFC 8866 6.7). With c=0.0.0.0,
 * the old way to hold (RFC 3264 8.4), the owner of the description does not want to receive. */
CPH_API enum cph_sdp_dir cph_sdp_direction(const struct cph_sdp *sdp,
                                           const struct cph_sdp_media *media);
/** "sendrecv" and so on, and the direction as the other side sees it (send and receive changed). */
CPH_API const char *cph_sdp_dir_text(enum cph_sdp_dir dir);
CPH_API enum cph_sdp_dir cph_sdp_dir_mirror(enum cph_sdp_dir dir);

/* Where to send to. If host is not empty, it is a name that must be looked up and addr has the port
 * only. */
struct cph_sdp_target {
    struct cph_addr addr;
    struct cph_span host;
};
/** RTP: c= of the media or the session, port of m=. CPH_E_NOTFOUND without c=, CPH_E_MALFORMED,
 *  CPH_E_UNSUPPORTED for a network other than IN or for multicast. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtp_target(const struct cph_sdp *sdp,
                                                  const struct cph_sdp_media *media,
                                                  struct cph_sdp_target *out);
/** RTCP: a=rtcp, else the RTP address at port + 1. Not looked at: rtcp-mux. Errors as above. */
CPH_API CPH_MUST_CHECK cph_err cph_sdp_rtcp_target(const struct cph_sdp *sdp,
                                                   const struct cph_sdp_media *media,
                                                   struct cph_sdp_target *out);

#endif

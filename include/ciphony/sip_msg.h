/*
 * Ciphony: the SIP message codec. RFC 3261 7, 20, 25; RFC 4475 is its test.
 *
 * Parsing is zero-copy: every view points into the caller's bytes, except the value of a folded
 * header line, whose unfolded copy lies in the arena. The index of headers lies in the arena too.
 * Original bytes stay reachable for every part, so that what is signed or split is what was sent.
 * Building is one pass over a struct cph_wr. No function here keeps state; any thread.
 */
#ifndef CPH_SIP_MSG_H
#define CPH_SIP_MSG_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"
#include "ciphony/sip_uri.h"

/* ---- limits ---------------------------------------------------------------------------------- */

enum {
    CPH_SIP_HEAD_MAX = 32768,  /* start line and headers; more is answered 513 */
    CPH_SIP_BODY_MAX = 131072, /* body; more is answered 513 */
    CPH_SIP_MSG_MAX = CPH_SIP_HEAD_MAX + CPH_SIP_BODY_MAX,
    CPH_SIP_LINE_MAX = 8192,   /* one header line, folding included */
    CPH_SIP_HEADERS_MAX = 256, /* header lines */
    CPH_SIP_VALUES_MAX =
        128,                /* values of one header, over all its lines; RFC 3261 allows 70 hops */
    CPH_SIP_ARENA = 131072, /* an arena of this limit holds the index of the largest message */
    CPH_SIP_PARTS_MAX = 16, /* parts of a multipart body */
};

/* ---- names ----------------------------------------------------------------------------------- */

/* Methods compare with case (RFC 3261 7.1). */
/* clang-format off */
#define CPH_SIP_METHOD_LIST(X) \
    X(ACK) X(BYE) X(CANCEL) X(INFO) X(INVITE) X(MESSAGE) X(NOTIFY) X(OPTIONS) X(PRACK) X(PUBLISH) \
    X(REFER) X(REGISTER) X(SUBSCRIBE) X(UPDATE)

enum cph_sip_method {
    CPH_SIP_OTHER_METHOD,
#define CPH_SIP_METHOD_ENUM(name) CPH_SIP_##name,
    CPH_SIP_METHOD_LIST(CPH_SIP_METHOD_ENUM)
#undef CPH_SIP_METHOD_ENUM
    CPH_SIP_N_METHODS
};

/*
 * Headers with a name of their own: identifier, long name, compact form or 0, shape of the value.
 *   ONE    at most one line, one value
 *   LIST   comma-separated values, on one line or many
 *   LINES  may repeat, but a comma does not separate values (RFC 3261 7.3.1)
 *   TEXT   at most one line of free text
 */
#define CPH_SIP_HEADER_LIST(X)                                  \
    X(ACCEPT,              "Accept",               0,   LIST)   \
    X(ACCEPT_CONTACT,      "Accept-Contact",       'a', LIST)   \
    X(ACCEPT_ENCODING,     "Accept-Encoding",      0,   LIST)   \
    X(ACCEPT_LANGUAGE,     "Accept-Language",      0,   LIST)   \
    X(ALERT_INFO,          "Alert-Info",           0,   LIST)   \
    X(ALLOW,               "Allow",                0,   LIST)   \
    X(ALLOW_EVENTS,        "Allow-Events",         'u', LIST)   \
    X(AUTHENTICATION_INFO, "Authentication-Info",  0,   LINES)  \
    X(AUTHORIZATION,       "Authorization",        0,   LINES)  \
    X(CALL_ID,             "Call-ID",              'i', ONE)    \
    X(CALL_INFO,           "Call-Info",            0,   LIST)   \
    X(CONTACT,             "Contact",              'm', LIST)   \
    X(CONTENT_DISPOSITION, "Content-Disposition",  0,   ONE)    \
    X(CONTENT_ENCODING,    "Content-Encoding",     'e', LIST)   \
    X(CONTENT_LANGUAGE,    "Content-Language",     0,   LIST)   \
    X(CONTENT_LENGTH,      "Content-Length",       'l', ONE)    \
    X(CONTENT_TYPE,        "Content-Type",         'c', ONE)    \
    X(CSEQ,                "CSeq",                 0,   ONE)    \
    X(DATE,                "Date",                 0,   ONE)    \
    X(ERROR_INFO,          "Error-Info",           0,   LIST)   \
    X(EVENT,               "Event",                'o', ONE)    \
    X(EXPIRES,             "Expires",              0,   ONE)    \
    X(FROM,                "From",                 'f', ONE)    \
    X(HISTORY_INFO,        "History-Info",         0,   LIST)   \
    X(IDENTITY,            "Identity",             'y', LINES)  \
    X(IN_REPLY_TO,         "In-Reply-To",          0,   LIST)   \
    X(JOIN,                "Join",                 0,   ONE)    \
    X(MAX_FORWARDS,        "Max-Forwards",         0,   ONE)    \
    X(MIME_VERSION,        "MIME-Version",         0,   ONE)    \
    X(MIN_EXPIRES,         "Min-Expires",          0,   ONE)    \
    X(MIN_SE,              "Min-SE",               0,   ONE)    \
    X(ORGANIZATION,        "Organization",         0,   TEXT)   \
    X(P_ASSERTED_IDENTITY, "P-Asserted-Identity",  0,   LIST)   \
    X(P_PREFERRED_IDENTITY,"P-Preferred-Identity", 0,   LIST)   \
    X(PATH,                "Path",                 0,   LIST)   \
    X(PRIORITY,            "Priority",             0,   ONE)    \
    X(PRIVACY,             "Privacy",              0,   ONE)    \
    X(PROXY_AUTHENTICATE,  "Proxy-Authenticate",   0,   LINES)  \
    X(PROXY_AUTHENTICATION_INFO, "Proxy-Authentication-Info", 0, LINES) \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization",  0,   LINES)  \
    X(PROXY_REQUIRE,       "Proxy-Require",        0,   LIST)   \
    X(RACK,                "RAck",                 0,   ONE)    \
    X(REASON,              "Reason",               0,   LIST)   \
    X(RECORD_ROUTE,        "Record-Route",         0,   LIST)   \
    X(REFER_TO,            "Refer-To",             'r', ONE)    \
    X(REFERRED_BY,         "Referred-By",          'b', ONE)    \
    X(REJECT_CONTACT,      "Reject-Contact",       'j', LIST)   \
    X(REPLACES,            "Replaces",             0,   ONE)    \
    X(REPLY_TO,            "Reply-To",             0,   ONE)    \
    X(REQUEST_DISPOSITION, "Request-Disposition",  'd', LIST)   \
    X(REQUIRE,             "Require",              0,   LIST)   \
    X(RETRY_AFTER,         "Retry-After",          0,   ONE)    \
    X(ROUTE,               "Route",                0,   LIST)   \
    X(RSEQ,                "RSeq",                 0,   ONE)    \
    X(SERVER,              "Server",               0,   TEXT)   \
    X(SERVICE_ROUTE,       "Service-Route",        0,   LIST)   \
    X(SESSION_EXPIRES,     "Session-Expires",      'x', ONE)    \
    X(SUBJECT,             "Subject",              's', TEXT)   \
    X(SUBSCRIPTION_STATE,  "Subscription-State",   0,   ONE)    \
    X(SUPPORTED,           "Supported",            'k', LIST)   \
    X(TIMESTAMP,           "Timestamp",            0,   ONE)    \
    X(TO,                  "To",                   't', ONE)    \
    X(UNSUPPORTED,         "Unsupported",          0,   LIST)   \
    X(USER_AGENT,          "User-Agent",           0,   TEXT)   \
    X(VIA,                 "Via",                  'v', LIST)   \
    X(WARNING,             "Warning",              0,   LIST)   \
    X(WWW_AUTHENTICATE,    "WWW-Authenticate",     0,   LINES)

enum cph_sip_hdr {
    CPH_SIP_H_OTHER, /* a name we have no row for; kept and compared by its text */
#define CPH_SIP_HEADER_ENUM(id, name, compact, shape) CPH_SIP_H_##id,
    CPH_SIP_HEADER_LIST(CPH_SIP_HEADER_ENUM)
#undef CPH_SIP_HEADER_ENUM
    CPH_SIP_N_HEADERS
};
/* clang-format on */

enum cph_sip_shape {
    CPH_SIP_SHAPE_ONE,
    CPH_SIP_SHAPE_LIST,
    CPH_SIP_SHAPE_LINES,
    CPH_SIP_SHAPE_TEXT
};

/** Exact, in full, long or compact form, without case. H_OTHER if there is no row. */
CPH_API enum cph_sip_hdr cph_sip_hdr_find(struct cph_span name);
CPH_API const char *cph_sip_hdr_name(enum cph_sip_hdr id);         /* long form; "" for H_OTHER */
CPH_API enum cph_sip_shape cph_sip_hdr_shape(enum cph_sip_hdr id); /* LINES for H_OTHER */
CPH_API enum cph_sip_method cph_sip_method_find(struct cph_span name); /* with case */
CPH_API const char *cph_sip_method_name(enum cph_sip_method m);        /* "" for OTHER_METHOD */
/** The usual reason phrase of a status ("Ringing"); that of its class if unknown; never NULL. */
CPH_API const char *cph_sip_status_text(unsigned status);

/* ---- typed values ---------------------------------------------------------------------------- */

/* All parse functions below: text is one value without folding, trimmed or not (a struct
 * cph_sip_header's `value`, or what cph_sip_each() gives). They return CPH_OK, CPH_E_MALFORMED or
 * CPH_E_LIMIT, write out on CPH_OK only, borrow from text, allocate nothing. A parameter given
 * twice is MALFORMED (RFC 3261 7.3.1). "params" are kept as text ";a=b;c" that is known to be
 * well-formed. */

/** Value of a parameter, name without case. Quotes stay on a quoted value. A parameter without
 * value gives the empty span. False if absent. */
CPH_API bool cph_sip_param(struct cph_span params, const char *name, struct cph_span *value);
/** Walk: *rest begins as params; false at the end. Value empty (p NULL) when there is no '='. */
CPH_API bool cph_sip_param_next(struct cph_span *rest, struct cph_span *name,
                                struct cph_span *value);
/** A quoted string without its quotes and backslashes, anything else as it is. CPH_E_NOSPACE. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_unquote(struct cph_span text, uint8_t *buf, size_t cap,
                                               size_t *n);

struct cph_sip_via {
    struct cph_span text;      /* the whole value */
    struct cph_span transport; /* "UDP", as written */
    struct cph_span host;      /* sent-by; IPv6 without brackets */
    bool host_is_v6;
    uint16_t port; /* sent-by; 0: none given */
    struct cph_span params;
    struct cph_span branch;   /* empty: none (RFC 2543) */
    bool cookie;              /* branch begins with z9hG4bK */
    struct cph_span received; /* empty: none; IPv6 without brackets */
    bool has_rport;           /* with or without a value */
    uint16_t rport;           /* 0: no value yet */
    struct cph_span maddr;
    int ttl; /* -1: none */
};

/* name-addr or addr-spec with header parameters: From, To, Contact, Route, Record-Route, Refer-To,
 * ... */
struct cph_sip_addr {
    struct cph_span text;
    bool star;               /* Contact: * ; nothing else is set then */
    bool brackets;           /* name-addr form */
    struct cph_span display; /* as written, with quotes if quoted; empty: none */
    struct cph_sip_uri uri;
    struct cph_span params; /* header parameters, not the URI's */
    struct cph_span tag;    /* empty: none */
};

struct cph_sip_cseq {
    uint32_t number;
    enum cph_sip_method method;
    struct cph_span method_name;
};

struct cph_sip_rack {
    uint32_t rseq;
    struct cph_sip_cseq cseq;
};

struct cph_sip_content_type {
    struct cph_span type, subtype; /* compare without case */
    struct cph_span params;
};

enum cph_sip_refresher { CPH_SIP_REFRESHER_NONE, CPH_SIP_REFRESHER_UAC, CPH_SIP_REFRESHER_UAS };

struct cph_sip_session_expires {
    uint32_t seconds;
    enum cph_sip_refresher refresher;
};

struct cph_sip_retry_after {
    uint32_t seconds;
    struct cph_span comment; /* without the outer parentheses */
    struct cph_span params;
};

struct cph_sip_reason {
    struct cph_span protocol; /* "SIP", "Q.850" */
    bool has_cause;
    uint32_t cause;
    struct cph_span text; /* as written, usually quoted */
};

/** One Via value. RFC 3261 20.42, RFC 3581 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_via_parse(struct cph_span text, struct cph_sip_via *out);
/** Without brackets, parameters are the header's. RFC 3261 20, 20.10 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_addr_parse(struct cph_span text, struct cph_sip_addr *out);
/** Below 2^31; any method that is a token. RFC 3261 20.16, 8.1.1.5 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_cseq_parse(struct cph_span text, struct cph_sip_cseq *out);
/** RFC 3262 7.2 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_rack_parse(struct cph_span text, struct cph_sip_rack *out);
/** Each parameter has a value. RFC 3261 20.15 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_content_type_parse(struct cph_span text,
                                                          struct cph_sip_content_type *out);
/** RFC 4028 4. Also for Min-SE (5), where the refresher stays NONE. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_session_expires_parse(struct cph_span text,
                                                             struct cph_sip_session_expires *out);
/** RFC 3261 20.33 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_retry_after_parse(struct cph_span text,
                                                         struct cph_sip_retry_after *out);
/** RFC 3326 2 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_reason_parse(struct cph_span text,
                                                    struct cph_sip_reason *out);
/** RFC 3261 20.17: "Sat, 13 Nov 2010 23:29:00 GMT", GMT alone; seconds since 1970. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_date_parse(struct cph_span text, int64_t *out);
/** Digits alone: Expires, Min-Expires, Max-Forwards, Content-Length, RSeq. Leading zeros allowed.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_number_parse(struct cph_span text, uint32_t *out);

/* ---- the message ----------------------------------------------------------------------------- */

struct cph_sip_header {
    enum cph_sip_hdr id;
    struct cph_span line; /* from the first byte of the name to the last CRLF, folding included */
    struct cph_span name; /* as written: "v", "Via" */
    struct cph_span raw;  /* value as sent, trimmed at both ends, folding inside */
    struct cph_span
        value; /* the same with each fold made one space; equals raw when there was none */
};

struct cph_sip_msg {
    struct cph_span bytes;      /* start line to the end of the body */
    struct cph_span start_line; /* without its CRLF */
    struct cph_span head;       /* start line to the empty line, which is included */
    struct cph_span body;

    bool is_request;
    enum cph_sip_method method; /* of a response: that of its CSeq */
    struct cph_span method_name;
    struct cph_sip_uri uri; /* request */
    unsigned status;        /* response: 100 to 699; 0 in a request */
    struct cph_span reason; /* response */

    struct cph_sip_header *header; /* in order of appearance */
    size_t n_header;

    struct cph_sip_via *via; /* all Via values, topmost first */
    size_t n_via;
    struct cph_sip_addr from, to;
    struct cph_span call_id;
    struct cph_sip_cseq cseq;
    bool has_max_forwards;
    uint8_t max_forwards;
    bool has_content_length;
    uint32_t content_length;
};

/* Where the bytes come from decides what Content-Length means (RFC 3261 18.3). */
enum cph_sip_transport_kind {
    CPH_SIP_DATAGRAM, /* absent: to the end; smaller: the rest is dropped; larger: 400 */
    CPH_SIP_STREAM,   /* the bytes are exactly one frame; absent: 400 */
};

/* Why a message was refused, and how to answer. */
struct cph_sip_fault {
    unsigned
        status; /* response to send (400, 501, 505, 513); 0: drop it (a response, an ACK, no SIP) */
    const char *reason;   /* reason phrase: "Bad From header"; static storage */
    enum cph_sip_hdr hdr; /* the header at fault, H_OTHER if none */
    size_t offset;        /* byte at fault, roughly: the line it is in */
    /* msg holds enough to build that response with cph_sip_wr_response(): at least its Via and CSeq
     * lines, by which the response finds its transaction. From, To and Call-ID are copied if they
     * are there. */
    bool answerable;
};

/**
 * Parse one message, strictly.
 *
 * bytes  the datagram, or one frame of cph_sip_frame(). Must outlive msg.
 * a      holds the index; must outlive msg. A limit of CPH_SIP_ARENA is enough for any message.
 * out    on error too: everything that was understood up to then, the headers first
 * fault  set on error; may be NULL
 *
 * What has been checked on CPH_OK: the start line; every header's form, controls and UTF-8; the
 * number of times a header may appear; Via, From, To, Call-ID, CSeq present and well-formed; the
 * method of CSeq that of the request; Max-Forwards, Content-Length, Content-Type, Expires,
 * Min-Expires, Date, Contact, Route, Record-Route, Refer-To, Reply-To, RAck, RSeq, Session-Expires,
 * Min-SE, Retry-After, Warning and the token lists Allow, Supported, Require, Proxy-Require,
 * Unsupported well-formed if present.
 *
 * Returns CPH_OK, CPH_E_MALFORMED, CPH_E_TRUNCATED (body shorter than Content-Length), CPH_E_LIMIT,
 * CPH_E_UNSUPPORTED (version, or unknown method that also contradicts CSeq), CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_msg_parse(struct cph_arena *a, struct cph_span bytes,
                                                 enum cph_sip_transport_kind kind,
                                                 struct cph_sip_msg *out,
                                                 struct cph_sip_fault *fault);

/** First header of that kind, or by name (long or compact, exact, without case); NULL if absent. */
CPH_API const struct cph_sip_header *cph_sip_find(const struct cph_sip_msg *msg,
                                                  enum cph_sip_hdr id);
CPH_API const struct cph_sip_header *cph_sip_find_name(const struct cph_sip_msg *msg,
                                                       struct cph_span name);
/** The next one after prev (NULL: the first); NULL at the end. */
CPH_API const struct cph_sip_header *cph_sip_find_next(const struct cph_sip_msg *msg,
                                                       enum cph_sip_hdr id,
                                                       const struct cph_sip_header *prev);

/* Walks the values of a header over commas (shape LIST) and repeated lines, in order. Zero is the
 * start. */
struct cph_sip_iter {
    size_t at;                           /* next line */
    struct cph_span rest;                /* of the current line */
    const struct cph_sip_header *header; /* that the last value came from */
};
/** False at the end. Values are trimmed. Commas in quoted strings, <> and comments do not split. */
CPH_API bool cph_sip_each(const struct cph_sip_msg *msg, enum cph_sip_hdr id,
                          struct cph_sip_iter *it, struct cph_span *value);
/** Is the token among the values of this list header (Supported: 100rel)? Without case. */
CPH_API bool cph_sip_has_token(const struct cph_sip_msg *msg, enum cph_sip_hdr id,
                               const char *token);

/** The at-th value of an address header, parsed. CPH_E_NOTFOUND past the end. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_addr_at(const struct cph_sip_msg *msg, enum cph_sip_hdr id,
                                               size_t at, struct cph_sip_addr *out);
/** A number header (Expires, Min-Expires, RSeq, ...). CPH_E_NOTFOUND if absent. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_number(const struct cph_sip_msg *msg, enum cph_sip_hdr id,
                                              uint32_t *out);

/* ---- framing on a stream --------------------------------------------------------------------- */

enum cph_sip_frame_kind {
    CPH_SIP_FRAME_MESSAGE,
    CPH_SIP_FRAME_PING, /* CRLF CRLF: answer with one CRLF (RFC 5626 4.4.1) */
    CPH_SIP_FRAME_PONG, /* one CRLF: the answer, or a blank line to skip */
};

struct cph_sip_frame {
    enum cph_sip_frame_kind kind;
    struct cph_span bytes; /* drop this many from the buffer once handled */
    /* With CPH_E_AGAIN: before so many bytes are there, there is no use in asking again; and what
     * to say as searched then. Zero else. */
    size_t need, searched;
};

/**
 * The next frame at the start of what has been received and not yet dropped.
 *
 * pong_due  true while a ping of ours is unanswered: then one CRLF is a pong at once; otherwise it
 * may be the first half of a ping and waits for the next byte.
 * searched  what the last call for these bytes said, 0 if there was none: so much is known to have
 * no end of the head. Bytes that come one by one are then looked at once each, not again and again.
 *
 * Returns CPH_OK; CPH_E_AGAIN (more bytes needed; never more than CPH_SIP_MSG_MAX are); or, and
 * then the connection must be closed: CPH_E_LIMIT (too large), CPH_E_MALFORMED (no, two different,
 * or a non-numeric Content-Length; or not SIP). On those two out->bytes is the head if its end was
 * found, else empty: cph_sip_msg_parse() of it gives the response to send before closing.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_frame(struct cph_span received, bool pong_due,
                                             size_t searched, struct cph_sip_frame *out);
/** A datagram that is only a keep-alive (empty, CRLFs, NULs): drop it silently. */
CPH_API bool cph_sip_is_keepalive(struct cph_span datagram);

/* ---- building -------------------------------------------------------------------------------- */

/* One pass over a writer. A value with CR, LF or NUL in it fails the writer (nothing can be
 * injected), so cph_wr_end() once at the end is the only check needed. Order: start line, headers,
 * then cph_sip_wr_body(). */

CPH_API void cph_sip_wr_request_line(struct cph_wr *wr, struct cph_span method,
                                     struct cph_span uri);
/** reason empty: the usual phrase. */
CPH_API void cph_sip_wr_status_line(struct cph_wr *wr, unsigned status, struct cph_span reason);
CPH_API void cph_sip_wr_header(struct cph_wr *wr, enum cph_sip_hdr id, struct cph_span value);
CPH_API void cph_sip_wr_header_fmt(struct cph_wr *wr, enum cph_sip_hdr id, const char *fmt, ...)
    CPH_PRINTF(3, 4);
CPH_API void cph_sip_wr_header_named(struct cph_wr *wr, struct cph_span name,
                                     struct cph_span value);
/** The line exactly as it came. */
CPH_API void cph_sip_wr_copy(struct cph_wr *wr, const struct cph_sip_header *h);
/** Every line of that header, as it came. */
CPH_API void cph_sip_wr_copy_all(struct cph_wr *wr, const struct cph_sip_msg *msg,
                                 enum cph_sip_hdr id);

/** `"display" <uri>;params` as a value: display in plain bytes (empty: none), quoted and escaped
 * here. */
CPH_API void cph_sip_wr_addr(struct cph_wr *wr, struct cph_span display, struct cph_span uri,
                             struct cph_span params);
/** The header line of a From, To or Contact: cph_sip_wr_addr() with ";tag=" if tag, a token, is not
 * empty. For messages made by hand: what a display name or a URI holds cannot leave its place. */
CPH_API void cph_sip_wr_addr_header(struct cph_wr *wr, enum cph_sip_hdr id, struct cph_span display,
                                    struct cph_span uri, struct cph_span tag);
CPH_API void cph_sip_wr_quoted(struct cph_wr *wr, struct cph_span bytes); /* "..." with escapes */

/** Content-Type (if type is not empty), Content-Length, the empty line and the body. The last call.
 */
CPH_API void cph_sip_wr_body(struct cph_wr *wr, struct cph_span type, struct cph_span body);

/**
 * Begin a response: status line, Via lines of the request (RFC 3261 8.2.6.2, 18.2.1; RFC 3581 4),
 * From, To, Call-ID, CSeq; for 100 also Timestamp. Then add headers and end with cph_sip_wr_body().
 *
 * req     parsed, or refused with fault.answerable
 * to_tag  added to To if To has none and it is not empty
 * source  where the request came from: goes into received= and rport= of the top Via as RFC 3581
 * says; NULL leaves Via as it is
 */
CPH_API void cph_sip_wr_response(struct cph_wr *wr, const struct cph_sip_msg *req, unsigned status,
                                 struct cph_span reason, struct cph_span to_tag,
                                 const struct cph_addr *source);

/* ---- multipart bodies ------------------------------------------------------------------------ */

struct cph_sip_part {
    struct cph_span bytes;   /* headers and body: what a signature over the part covers */
    struct cph_span headers; /* up to the empty line, without it; may be empty */
    struct cph_span body;
};

/**
 * Split a body by the boundary in its Content-Type value (RFC 2046 5.1.1). Neutral: no part is
 * interpreted. out holds cap parts; *n is how many there are. CPH_E_MALFORMED (no boundary, no
 * closing delimiter, no part), CPH_E_LIMIT over cap.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_multipart_split(struct cph_span content_type,
                                                       struct cph_span body,
                                                       struct cph_sip_part *out, size_t cap,
                                                       size_t *n);
/** A header of a part ("Content-Type"), unfolded not; trimmed value; false if absent. */
CPH_API bool cph_sip_part_header(const struct cph_sip_part *part, const char *name,
                                 struct cph_span *value);

#endif

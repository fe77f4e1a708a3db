/* Ciphony: SIP, SIPS, tel and other absolute URIs as views over their text. */
#ifndef CPH_SIP_URI_H
#define CPH_SIP_URI_H

#include "ciphony/base.h"
#include "ciphony/base_wire.h"

enum cph_sip_scheme {
    CPH_SIP_SCHEME_OTHER, /* any other absolute URI: carried, compared byte by byte */
    CPH_SIP_SCHEME_SIP,
    CPH_SIP_SCHEME_SIPS,
    CPH_SIP_SCHEME_TEL,
};

enum {
    CPH_SIP_URI_MAX = 4096,  /* bytes of one URI; RFC 4475's longest has about 700 */
    CPH_SIP_PARAMS_MAX = 64, /* parameters of one URI or header value */
};

/*
 * A parsed URI. Everything is a view into the text it was parsed from, still escaped.
 *
 *   sip:user:password@host:port;params?headers        tel:user;params        scheme:opaque
 */
struct cph_sip_uri {
    enum cph_sip_scheme scheme;
    bool has_password;           /* "user:@host" has one, and it is empty */
    struct cph_span text;        /* all of it */
    struct cph_span scheme_name; /* as written */
    struct cph_span user;        /* empty: there is none; for tel the number as written */
    struct cph_span password;
    struct cph_span host; /* IPv6 without its brackets */
    bool host_is_v6;
    uint16_t port;           /* 0: none given */
    struct cph_span params;  /* ";a=b;c", with the leading semicolon, or empty */
    struct cph_span headers; /* "a=b&c=d" without the question mark, or empty */
    struct cph_span opaque;  /* scheme OTHER: what follows the colon */
};

/**
 * Parse one URI; nothing may stand before or behind it. RFC 3261 19.1.1, 25.1; RFC 3966 3; RFC
 * 3986 3.
 *
 * Returns CPH_OK, CPH_E_MALFORMED (also for a parameter or header given twice), CPH_E_LIMIT.
 * out is written on CPH_OK only and borrows from text. Allocates nothing. Any thread.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_uri_parse(struct cph_span text, struct cph_sip_uri *out);

/** Equal by RFC 3261 19.1.4 (sip, sips), RFC 3966 4 (tel), or byte by byte (others). */
CPH_API bool cph_sip_uri_eq(const struct cph_sip_uri *a, const struct cph_sip_uri *b);

/** Write it anew from its parts: the same URI, and the same text. Headers only if asked for. */
CPH_API void cph_sip_uri_wr(struct cph_wr *wr, const struct cph_sip_uri *uri, bool with_headers);

/** Value of a URI parameter ("transport", "lr", ...), names without case; false if absent. A
 *  parameter without value gives the empty span. */
CPH_API bool cph_sip_uri_param(const struct cph_sip_uri *uri, const char *name,
                               struct cph_span *value);

/**
 * Undo %XX once (never twice) into buf. The result may hold NULs: it is counted, not terminated.
 * CPH_E_MALFORMED for a broken escape, CPH_E_NOSPACE. RFC 3261 19.1.2, RFC 3986 2.4.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_unescape(struct cph_span text, uint8_t *buf, size_t cap,
                                                size_t *n);
/** Write bytes as a user part, escaping what the grammar does not allow there. */
CPH_API void cph_sip_wr_escaped_user(struct cph_wr *wr, struct cph_span bytes);

/** True for a host name or address the grammar of `host` allows (IPv6 in brackets). RFC 3261 25.1.
 */
CPH_API bool cph_sip_is_host(struct cph_span text);

#endif

/* The codec's own tools: character classes and a small lexer over one unfolded value. */
#ifndef CPH_SIP_MSG_INT_H
#define CPH_SIP_MSG_INT_H

#include "ciphony/base_text.h"
#include "ciphony/sip_msg.h"

/* RFC 3261 25.1, one bit for each class of character. */
enum {
    C_ALPHA = 1 << 0,
    C_DIGIT = 1 << 1,
    C_HEX = 1 << 2,
    C_TOKEN = 1 << 3,
    C_WORD = 1 << 4,
    C_UNRESERVED = 1 << 5,
    C_RESERVED = 1 << 6,
    C_USER = 1 << 7,  /* user-unreserved */
    C_PASS = 1 << 8,  /* what a password has beside unreserved */
    C_PARAM = 1 << 9, /* param-unreserved */
    C_HNV = 1 << 10,  /* hnv-unreserved */
    C_CUT = 1 << 11,  /* what may begin or end something in a comma list of values */
    C_ALNUM = C_ALPHA | C_DIGIT,
};

extern const uint16_t sip_class_of[256];
static inline bool sip_is(uint8_t c, unsigned classes)
{
    return (sip_class_of[c] & classes) != 0;
}
/* Not empty, and every byte in one of the classes. */
bool sip_all(struct cph_span s, unsigned classes);
/* The same, but %XX is allowed too; may be empty. */
bool sip_all_escaped(struct cph_span s, unsigned classes);
bool sip_utf8_ok(struct cph_span s, bool lone_cont_ok);
/* No control but HTAB, and UTF-8. */
bool sip_text_ok(struct cph_span s, bool lone_cont_ok);
int sip_hex(uint8_t c); /* -1 if it is no hex digit */

/* The lexer takes from the front of *s; "SWS" is spaces and tabs. */
void sip_skip_ws(struct cph_span *s);
bool sip_take(struct cph_span *s, char c);     /* exactly this byte, no white space around it */
bool sip_take_sep(struct cph_span *s, char c); /* SWS c SWS */
struct cph_span sip_take_while(struct cph_span *s, unsigned classes);
/* "..." with its quotes; false if it does not begin, end or keep to the grammar. */
bool sip_take_quoted(struct cph_span *s, struct cph_span *quoted);
/* (...) nested, with its parentheses. */
bool sip_take_comment(struct cph_span *s, struct cph_span *comment);
/* host, IPv6 in brackets (given without them). */
bool sip_take_host(struct cph_span *s, struct cph_span *host, bool *is_v6);
struct cph_span sip_between(struct cph_span from, struct cph_span rest); /* what was taken */

/* *(SEMI generic-param) to the end of s, none twice; *params is the text, from the first semicolon.
 */
cph_err sip_params_parse(struct cph_span s, struct cph_span *params);
/* One URI parameter or header name equal to another or a literal, escapes undone, without case. */
bool sip_escaped_ieq(struct cph_span a, struct cph_span b);

/* One header line with its folds from the front of *rest, CRLF included. OK; AGAIN at the empty
 * line (taken); TRUNCATED when the bytes end first; MALFORMED for a bare CR or LF in it (the line
 * is taken). */
cph_err sip_take_line(struct cph_span *rest, struct cph_span *line);
/* Name and raw value of a header line. */
cph_err sip_line_split(struct cph_span line, struct cph_span *name, struct cph_span *raw);
/* Cut the next value of a comma list; commas in quotes, <> and comments stay. rest->p is NULL at
 * the end. */
struct cph_span sip_cut_value(struct cph_span *rest, bool comments);

/* One value of a header: is it well-formed? (values.c) */
cph_err sip_token_check(struct cph_span value);
cph_err sip_call_id_check(struct cph_span value);
cph_err sip_warning_check(struct cph_span value);
cph_err sip_contact_check(struct cph_span value);
cph_err sip_addr_check(struct cph_span value);
cph_err sip_route_check(struct cph_span value);

#endif

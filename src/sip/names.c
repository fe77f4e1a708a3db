#include "ciphony/sip_msg.h"

#include <string.h>

struct row {
    const char *name; /* lower case */
    int id;
};

/* One table for long and compact names, sorted by their lower-case bytes; a test holds it to that.
 */
/* clang-format off */
static const struct row names[] = {
    { "a", CPH_SIP_H_ACCEPT_CONTACT },
    { "accept", CPH_SIP_H_ACCEPT },
    { "accept-contact", CPH_SIP_H_ACCEPT_CONTACT },
    { "accept-encoding", CPH_SIP_H_ACCEPT_ENCODING },
    { "accept-language", CPH_SIP_H_ACCEPT_LANGUAGE },
    { "alert-info", CPH_SIP_H_ALERT_INFO },
    { "allow", CPH_SIP_H_ALLOW },
    { "allow-events", CPH_SIP_H_ALLOW_EVENTS },
    { "authentication-info", CPH_SIP_H_AUTHENTICATION_INFO },
    { "authorization", CPH_SIP_H_AUTHORIZATION },
    { "b", CPH_SIP_H_REFERRED_BY },
    { "c", CPH_SIP_H_CONTENT_TYPE },
    { "call-id", CPH_SIP_H_CALL_ID },
    { "call-info", CPH_SIP_H_CALL_INFO },
    { "contact", CPH_SIP_H_CONTACT },
    { "content-disposition", CPH_SIP_H_CONTENT_DISPOSITION },
    { "content-encoding", CPH_SIP_H_CONTENT_ENCODING },
    { "content-language", CPH_SIP_H_CONTENT_LANGUAGE },
    { "content-length", CPH_SIP_H_CONTENT_LENGTH },
    { "content-type", CPH_SIP_H_CONTENT_TYPE },
    { "cseq", CPH_SIP_H_CSEQ },
    { "d", CPH_SIP_H_REQUEST_DISPOSITION },
    { "date", CPH_SIP_H_DATE },
    { "e", CPH_SIP_H_CONTENT_ENCODING },
    { "error-info", CPH_SIP_H_ERROR_INFO },
    { "event", CPH_SIP_H_EVENT },
    { "expires", CPH_SIP_H_EXPIRES },
    { "f", CPH_SIP_H_FROM },
    { "from", CPH_SIP_H_FROM },
    { "history-info", CPH_SIP_H_HISTORY_INFO },
    { "i", CPH_SIP_H_CALL_ID },
    { "identity", CPH_SIP_H_IDENTITY },
    { "in-reply-to", CPH_SIP_H_IN_REPLY_TO },
    { "j", CPH_SIP_H_REJECT_CONTACT },
    { "join", CPH_SIP_H_JOIN },
    { "k", CPH_SIP_H_SUPPORTED },
    { "l", CPH_SIP_H_CONTENT_LENGTH },
    { "m", CPH_SIP_H_CONTACT },
    { "max-forwards", CPH_SIP_H_MAX_FORWARDS },
    { "mime-version", CPH_SIP_H_MIME_VERSION },
    { "min-expires", CPH_SIP_H_MIN_EXPIRES },
    { "min-se", CPH_SIP_H_MIN_SE },
    { "o", CPH_SIP_H_EVENT },
    { "organization", CPH_SIP_H_ORGANIZATION },
    { "p-asserted-identity", CPH_SIP_H_P_ASSERTED_IDENTITY },
    { "p-preferred-identity", CPH_SIP_H_P_PREFERRED_IDENTITY },
    { "path", CPH_SIP_H_PATH },
    { "priority", CPH_SIP_H_PRIORITY },
    { "privacy", CPH_SIP_H_PRIVACY },
    { "proxy-authenticate", CPH_SIP_H_PROXY_AUTHENTICATE },
    { "proxy-authentication-info", CPH_SIP_H_PROXY_AUTHENTICATION_INFO },
    { "proxy-authorization", CPH_SIP_H_PROXY_AUTHORIZATION },
    { "proxy-require", CPH_SIP_H_PROXY_REQUIRE },
    { "r", CPH_SIP_H_REFER_TO },
    { "rack", CPH_SIP_H_RACK },
    { "reason", CPH_SIP_H_REASON },
    { "record-route", CPH_SIP_H_RECORD_ROUTE },
    { "refer-to", CPH_SIP_H_REFER_TO },
    { "referred-by", CPH_SIP_H_REFERRED_BY },
    { "reject-contact", CPH_SIP_H_REJECT_CONTACT },
    { "replaces", CPH_SIP_H_REPLACES },
    { "reply-to", CPH_SIP_H_REPLY_TO },
    { "request-disposition", CPH_SIP_H_REQUEST_DISPOSITION },
    { "require", CPH_SIP_H_REQUIRE },
    { "retry-after", CPH_SIP_H_RETRY_AFTER },
    { "route", CPH_SIP_H_ROUTE },
    { "rseq", CPH_SIP_H_RSEQ },
    { "s", CPH_SIP_H_SUBJECT },
    { "server", CPH_SIP_H_SERVER },
    { "service-route", CPH_SIP_H_SERVICE_ROUTE },
    { "session-expires", CPH_SIP_H_SESSION_EXPIRES },
    { "subject", CPH_SIP_H_SUBJECT },
    { "subscription-state", CPH_SIP_H_SUBSCRIPTION_STATE },
    { "supported", CPH_SIP_H_SUPPORTED },
    { "t", CPH_SIP_H_TO },
    { "timestamp", CPH_SIP_H_TIMESTAMP },
    { "to", CPH_SIP_H_TO },
    { "u", CPH_SIP_H_ALLOW_EVENTS },
    { "unsupported", CPH_SIP_H_UNSUPPORTED },
    { "user-agent", CPH_SIP_H_USER_AGENT },
    { "v", CPH_SIP_H_VIA },
    { "via", CPH_SIP_H_VIA },
    { "warning", CPH_SIP_H_WARNING },
    { "www-authenticate", CPH_SIP_H_WWW_AUTHENTICATE },
    { "x", CPH_SIP_H_SESSION_EXPIRES },
    { "y", CPH_SIP_H_IDENTITY },
};

static const struct {
    const char *name;
    enum cph_sip_shape shape;
} headers[] = {
    [CPH_SIP_H_OTHER] = { "", CPH_SIP_SHAPE_LINES },
#define HEADER_ROW(id, name, compact, shape) [CPH_SIP_H_##id] = { name, CPH_SIP_SHAPE_##shape },
    CPH_SIP_HEADER_LIST(HEADER_ROW)
};

static const char *const methods[] = {
    [CPH_SIP_OTHER_METHOD] = "",
#define METHOD_ROW(name) [CPH_SIP_##name] = #name,
    CPH_SIP_METHOD_LIST(METHOD_ROW)
};
/* clang-format on */

static int order(struct cph_span name, const char *row)
{
    size_t i = 0;

    for (; i < name.n && row[i]; i++) {
        uint8_t c = name.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + ('a' - 'A'));
        if (c != (uint8_t)row[i])
            return c < (uint8_t)row[i] ? -1 : 1;
    }
    return i < name.n ? 1 : -(row[i] != '\0');
}

enum cph_sip_hdr cph_sip_hdr_find(struct cph_span name)
{
    size_t low = 0, high = sizeof names / sizeof *names;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int o = order(name, names[mid].name);

        if (o == 0)
            return (enum cph_sip_hdr)names[mid].id;
        if (o < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return CPH_SIP_H_OTHER;
}

const char *cph_sip_hdr_name(enum cph_sip_hdr id)
{
    return (size_t)id < CPH_SIP_N_HEADERS ? headers[id].name : "";
}

enum cph_sip_shape cph_sip_hdr_shape(enum cph_sip_hdr id)
{
    return (size_t)id < CPH_SIP_N_HEADERS ? headers[id].shape : CPH_SIP_SHAPE_LINES;
}

enum cph_sip_method cph_sip_method_find(struct cph_span name)
{
    for (size_t i = 1; i < CPH_SIP_N_METHODS; i++) {
        if (cph_span_is(name, methods[i]))
            return (enum cph_sip_method)i;
    }
    return CPH_SIP_OTHER_METHOD;
}

const char *cph_sip_method_name(enum cph_sip_method m)
{
    return (size_t)m < CPH_SIP_N_METHODS ? methods[m] : "";
}

static const struct {
    unsigned status;
    const char *text;
} phrases[] = {
    { 100, "Trying" },
    { 180, "Ringing" },
    { 181, "Call Is Being Forwarded" },
    { 182, "Queued" },
    { 183, "Session Progress" },
    { 200, "OK" },
    { 202, "Accepted" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Moved Temporarily" },
    { 305, "Use Proxy" },
    { 380, "Alternative Service" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },
    { 410, "Gone" },
    { 413, "Request Entity Too Large" },
    { 414, "Request-URI Too Large" },
    { 415, "Unsupported Media Type" },
    { 416, "Unsupported URI Scheme" },
    { 420, "Bad Extension" },
    { 421, "Extension Required" },
    { 422, "Session Interval Too Small" },
    { 423, "Interval Too Brief" },
    { 428, "Use Identity Header" },
    { 430, "Flow Failed" },
    { 436, "Bad Identity-Info" },
    { 437, "Unsupported Certificate" },
    { 438, "Invalid Identity Header" },
    { 439, "First Hop Lacks Outbound Support" },
    { 469, "Bad Info Package" },
    { 480, "Temporarily Unavailable" },
    { 481, "Call/Transaction Does Not Exist" },
    { 482, "Loop Detected" },
    { 483, "Too Many Hops" },
    { 484, "Address Incomplete" },
    { 485, "Ambiguous" },
    { 486, "Busy Here" },
    { 487, "Request Terminated" },
    { 488, "Not Acceptable Here" },
    { 489, "Bad Event" },
    { 491, "Request Pending" },
    { 493, "Undecipherable" },
    { 494, "Security Agreement Required" },
    { 500, "Server Internal Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Server Time-out" },
    { 505, "Version Not Supported" },
    { 513, "Message Too Large" },
    { 580, "Precondition Failure" },
    { 600, "Busy Everywhere" },
    { 603, "Decline" },
    { 604, "Does Not Exist Anywhere" },
    { 606, "Not Acceptable" },
};

const char *cph_sip_status_text(unsigned status)
{
    static const char *const classes[] = { "Unknown",       "Trying",  "OK",
                                           "Redirected",    "Refused", "Server Error",
                                           "Global Failure" };

    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (phrases[i].status == status)
            return phrases[i].text;
    }
    return classes[status / 100 < 7 ? status / 100 : 0];
}

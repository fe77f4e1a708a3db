/* Ciphony: what a driver does for the SIP engine: datagrams, streams, names. No I/O in here. */
#ifndef CPH_SIP_TRANSPORT_H
#define CPH_SIP_TRANSPORT_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"
#include "ciphony/crypto_key.h"

struct cph_sip_msg;
struct cph_sip_ua;

enum cph_sip_proto { CPH_SIP_UDP, CPH_SIP_TCP, CPH_SIP_TLS };

/** "UDP", "TCP", "TLS", as in a Via. */
CPH_API const char *cph_sip_proto_name(enum cph_sip_proto proto);

/* ---- counters -------------------------------------------------------------------------------- */

/* Everything the engine counts; the bad_* ones name why input was dropped or refused. */
/* clang-format off */
#define CPH_SIP_COUNTER_LIST(X)                                                                   \
    X(received,            "messages that parsed")                                                \
    X(sent,                "messages handed to the driver, repeats included")                     \
    X(resent,              "repeats by timers A, E, G and of 2xx and reliable 1xx")               \
    X(bad_syntax,          "bytes that are not a SIP message: dropped")                           \
    X(bad_request,         "requests that broke a rule of the grammar: 400")                      \
    X(bad_version,         "SIP version other than 2.0: 505")                                     \
    X(bad_length,          "datagram shorter than its Content-Length: 400 or dropped")            \
    X(bad_size,            "messages over the size limit: stream closed or datagram dropped")     \
    X(bad_framing,         "streams closed because no message could be framed")                   \
    X(bad_via,             "responses whose top Via is not ours: dropped")                        \
    X(bad_stray_response,  "responses without a transaction: dropped")                            \
    X(bad_stray_ack,       "ACKs without a transaction or dialog: dropped")                       \
    X(bad_stray_cancel,    "CANCELs without an INVITE: 481")                                      \
    X(bad_no_dialog,       "requests inside a dialog we do not know: 481")                        \
    X(bad_cseq,            "requests with a CSeq below the last one: 500")                        \
    X(bad_method,          "methods we do not do: 405 or 501")                                    \
    X(bad_require,         "extensions we do not do: 420")                                        \
    X(bad_body_type,       "bodies we do not take: 415")                                          \
    X(bad_scheme,          "request URIs that are neither sip nor sips: 416")                     \
    X(bad_loop,            "merged or looped requests: 482")                                      \
    X(bad_sips,            "sips requests that did not come by TLS: refused")                     \
    X(bad_state,           "messages not allowed in the state of their call: refused")            \
    X(full_transactions,   "requests answered 503 without state: no transaction free")            \
    X(full_calls,          "INVITEs answered 486 or 503: no call free")                           \
    X(full_flows,          "connections refused: no flow free")                                   \
    X(hook_dropped,        "messages the security manager took")                                  \
    X(hook_replied,        "messages the security manager answered")                              \
    X(tls_refused,         "TLS flows closed because the peer's certificate did not match")       \
    X(transport_failed,    "sends that failed and went to the next address or gave up")           \
    X(dropped_nomem,       "messages lost because memory ran out")
/* clang-format on */

struct cph_sip_counters {
#define CPH_SIP_COUNTER_FIELD(name, text) uint64_t name;
    CPH_SIP_COUNTER_LIST(CPH_SIP_COUNTER_FIELD)
#undef CPH_SIP_COUNTER_FIELD
};

CPH_API const struct cph_sip_counters *cph_sip_ua_counters(const struct cph_sip_ua *ua);

/* Objects alive now; all zero but flows and registrations when nothing goes on. */
struct cph_sip_load {
    size_t transactions, requests, calls, dialogs, flows, registrations, queries, timers, messages;
};

CPH_API struct cph_sip_load cph_sip_ua_load(const struct cph_sip_ua *ua);

/** Does a request of ours still wait for its final answer, as a BYE does once its call is over? Who
 *  goes before that takes its repetitions along. */
CPH_API bool cph_sip_ua_waits(const struct cph_sip_ua *ua);

/* ---- evidence: the signalling hop next to us ---- */

/* How the name of a TLS peer was checked. */
enum cph_sip_peer_check {
    CPH_SIP_PEER_NONE,   /* no certificate, or not checked: nobody in particular */
    CPH_SIP_PEER_DOMAIN, /* chain to a trusted root and RFC 5922 name match with `name` */
    CPH_SIP_PEER_PINNED, /* the very certificate that was pinned for `name` */
};

enum { CPH_SIP_NAME_MAX = 255, CPH_SIP_HOPS_MAX = 8 };

struct cph_sip_hop {
    enum cph_sip_proto proto;
    struct cph_addr peer;
    enum cph_sip_peer_check check;
    char name[CPH_SIP_NAME_MAX + 1]; /* the identity checked; "" if none */
    uint8_t cert_sha256[32];         /* of the peer's certificate, zero if none */
    bool tls13;                      /* TLS 1.3; else, with TLS, 1.2 */
    bool incoming;                   /* the message came to us on it (else we sent on it) */
    bool sips;                       /* the request URI was sips: */
    unsigned vias; /* Via lines below the neighbour's own: hops we cannot see, 0 if none known */
    unsigned vias_open; /* how many of those do not claim to have been TLS */
    bool unchecked;     /* we opened it, and whoever answered was taken (accept_any) */
    bool proxied;       /* a message on it had a Record-Route: the neighbour is not the other end */
};

/* ---- TLS ---- */

/* A certificate a peer must show, in place of a chain and a name in it. */
struct cph_sip_pin {
    const char *name; /* host or domain as it stands in the URI: "192.0.2.1", "example.org" */
    struct cph_fingerprint fp; /* sha-256 or better */
};

/* Read while the engine lives; the owner keeps it, and may add pins between calls of the engine. */
struct cph_sip_tls {
    const struct cph_cert *cert; /* ours; a listener needs it */
    const struct cph_key *key;
    const struct cph_trust *trust; /* NULL: only pinned peers are accepted */
    const struct cph_sip_pin *pin;
    size_t n_pins;
    bool need_client_cert; /* refuse clients that prove no name and match no pin */
    bool accept_any;       /* insecure: no check of servers; the hop says so (CPH_SIP_PEER_NONE) */
};

/* ---- what the driver feeds ---- */

/** A datagram came to listener. Bytes are copied as needed. Never fails: bad input is counted. */
CPH_API void cph_sip_ua_datagram(struct cph_sip_ua *ua, unsigned listener,
                                 const struct cph_addr *from, struct cph_span bytes, cph_time now);
/** ICMP said that datagrams from listener do not reach `to`. */
CPH_API void cph_sip_ua_unreachable(struct cph_sip_ua *ua, unsigned listener,
                                    const struct cph_addr *to, cph_time now);
/** A TCP connection came to a TCP or TLS listener. CPH_E_LIMIT, CPH_E_NOMEM, ...: close it. */
CPH_API CPH_MUST_CHECK cph_err cph_sip_ua_accepted(struct cph_sip_ua *ua, unsigned listener,
                                                   const struct cph_addr *from, cph_time now,
                                                   uint32_t *flow);
/** A connection asked for by CPH_SIP_DO_OPEN stands; local is its own end. */
CPH_API void cph_sip_ua_opened(struct cph_sip_ua *ua, uint32_t flow, const struct cph_addr *local,
                               cph_time now);
/** Bytes came on a connection. */
CPH_API void cph_sip_ua_bytes(struct cph_sip_ua *ua, uint32_t flow, struct cph_span bytes,
                              cph_time now);
/** A connection failed to open, broke or was closed by the peer (CPH_E_CLOSED). The flow is gone.
 */
CPH_API void cph_sip_ua_closed(struct cph_sip_ua *ua, uint32_t flow, cph_err why, cph_time now);

/* ---- names (RFC 3263): the engine chooses, the driver asks the DNS ---- */

enum cph_sip_rr { CPH_SIP_RR_NAPTR, CPH_SIP_RR_SRV, CPH_SIP_RR_A, CPH_SIP_RR_AAAA };

struct cph_sip_record {
    enum cph_sip_rr type;
    struct cph_addr addr;              /* A, AAAA; port unused */
    uint16_t priority, weight, port;   /* SRV; NAPTR: order in priority, preference in weight */
    char service[32];                  /* NAPTR: "SIPS+D2T" */
    char flags[4];                     /* NAPTR: "s" */
    char target[CPH_SIP_NAME_MAX + 1]; /* SRV target or NAPTR replacement */
};

enum { CPH_SIP_RECORDS_MAX = 32 };

/** The answer to CPH_SIP_DO_RESOLVE. err CPH_OK with n 0 is "no such record"; CPH_E_NAME or
 *  CPH_E_TIMEOUT is a failure. Records past CPH_SIP_RECORDS_MAX are ignored. */
CPH_API void cph_sip_ua_resolved(struct cph_sip_ua *ua, uint32_t query, cph_err err,
                                 const struct cph_sip_record *records, size_t n, cph_time now);

/* ---- what the driver does ---- */

enum cph_sip_do {
    CPH_SIP_DO_SEND,  /* bytes as one datagram from listener to addr */
    CPH_SIP_DO_OPEN,  /* TCP connection `flow` to addr (from the address of listener); then _opened
                         or _closed */
    CPH_SIP_DO_WRITE, /* bytes on flow, in order; ciphertext already if the flow is TLS */
    CPH_SIP_DO_CLOSE, /* write what is pending, then close flow; no _closed is expected */
    CPH_SIP_DO_RESOLVE, /* look up type of name; then _resolved with query */
    CPH_SIP_DO_FORGET,  /* nobody waits for query any more */
};

struct cph_sip_action {
    enum cph_sip_do what;
    unsigned listener;
    uint32_t flow, query;
    struct cph_addr addr;
    enum cph_sip_rr type;
    struct cph_span bytes; /* valid until the next call on the engine */
    const char *name;      /* likewise */
};

/** The next thing to do, or CPH_E_AGAIN. Call until CPH_E_AGAIN after each feed, tick or app call.
 */
CPH_API CPH_MUST_CHECK cph_err cph_sip_ua_pull(struct cph_sip_ua *ua, struct cph_sip_action *out);
/** When to call cph_sip_ua_tick() at the latest; CPH_TIME_NEVER if nothing is pending. */
CPH_API cph_time cph_sip_ua_deadline(const struct cph_sip_ua *ua);
CPH_API void cph_sip_ua_tick(struct cph_sip_ua *ua, cph_time now);

/* ---- the hook below the transactions ---- */

enum cph_sip_verdict {
    CPH_SIP_PASS,  /* go on (on_send: with the header lines in reply.headers added) */
    CPH_SIP_DROP,  /* the message ends here; nobody hears of it */
    CPH_SIP_REPLY, /* on_receive, requests but ACK: answer reply.status, statelessly, and end here
                    */
    CPH_SIP_RETRY, /* on_receive, final responses: end this transaction, and send the request again
                      as a new transaction (next CSeq, new branch) with reply.headers; the user is
                      not told */
};

/* What the hook sees. All views die when it returns. */
struct cph_sip_passing {
    const struct cph_sip_msg *msg; /* parsed */
    struct cph_span raw;           /* the bytes on the wire */
    const struct cph_sip_hop *hop; /* from or to where */
    bool repeat;         /* on_send: the same bytes were sent before; headers are not added */
    const void *account; /* on_send, RETRY: cookie of the place/register that began it, or NULL */
};

/* Filled by the hook; all spans are copied when it returns. */
struct cph_sip_reply {
    unsigned status;         /* 300 to 699 */
    const char *reason;      /* NULL: the usual phrase */
    struct cph_span headers; /* whole lines, each "Name: value\r\n" */
};

/* Every message, in and out, passes here: after parsing and before the transactions on the way in,
 * after them and before the wire on the way out. Either function may be NULL (pass). Must not call
 * the engine, but to ask (cph_sip_call_info_get). */
struct cph_sip_hook {
    void *ctx;
    enum cph_sip_verdict (*on_receive)(void *ctx, const struct cph_sip_passing *in, cph_time now,
                                       struct cph_sip_reply *reply);
    enum cph_sip_verdict (*on_send)(void *ctx, const struct cph_sip_passing *out, cph_time now,
                                    struct cph_sip_reply *reply);
};

#endif

/* The private face of the user agent: transport, transactions, requests, dialogs, calls. */
#ifndef CPH_SIP_UA_INT_H
#define CPH_SIP_UA_INT_H

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"
#include "ciphony/base_wire.h"
#include "ciphony/sip_msg.h"
#include "ciphony/sip_ua.h"
#include "ciphony/stream.h"

#include "fsm.h"

enum {
    SIP_BRANCH_MAX = 64,
    SIP_TAG_MAX = 24,
    SIP_TARGETS_MAX = 24,        /* addresses and names one request may lead to (RFC 3263) */
    SIP_QUERIES_MAX = 24,        /* DNS questions one request may cost */
    SIP_UDP_MAX = 1300,          /* RFC 3261 18.1.1: larger requests go over TCP */
    SIP_DIALOGS_MAX = 12,        /* early dialogs of one INVITE */
    SIP_RETRIES_MAX = 5,         /* retries of one request by the hook, and for 422, 423 */
    SIP_QUEUE_MAX = 8 << 20,     /* bytes waiting for the driver */
    SIP_FLOW_PENDING = 262144,   /* bytes waiting for a flow to open */
    SIP_FIRST_MESSAGE_S = 32,    /* a connection made to us must bring a message by then */
    SIP_EVENTS_MAX = 1024,       /* events waiting for the app */
    SIP_LOCAL_BODY_MAX = 131072, /* body given by the app */
};

/* ---- lists ---- */

struct sip_link {
    struct sip_link *next, *prev;
};

#define SIP_OF(type, field, link) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void sip_list_init(struct sip_link *l)
{
    l->next = l->prev = l;
}

static inline void sip_list_add(struct sip_link *list, struct sip_link *l)
{
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

static inline void sip_list_del(struct sip_link *l)
{
    if (l->next) {
        l->next->prev = l->prev;
        l->prev->next = l->next;
        l->next = l->prev = NULL;
    }
}

/* ---- messages in ---- */

/* Where a message came from, or goes to. */
struct sip_path {
    enum cph_sip_proto proto;
    unsigned listener;
    uint32_t flow; /* 0: UDP */
    struct cph_addr peer;
};

struct sip_in {
    unsigned refs;
    struct cph_sip_ua *ua;
    struct cph_arena *arena;
    struct cph_sip_msg msg;
    struct sip_path path;
    struct cph_sip_hop hop;
};

struct sip_in *sip_in_ref(struct sip_in *in);
void sip_in_unref(struct sip_in *in);

/* ---- transport ---- */

struct sip_action {
    struct sip_link link;
    struct cph_sip_action a;
    char name[CPH_SIP_NAME_MAX + 1];
    size_t n;
    uint8_t bytes[];
};

enum sip_flow_state { SIP_FLOW_OPENING, SIP_FLOW_HANDSHAKE, SIP_FLOW_OPEN };

struct sip_flow {
    struct sip_link link;
    struct cph_sip_ua *ua;
    uint32_t id;
    enum cph_sip_proto proto;
    enum sip_flow_state state;
    bool incoming, spoke; /* spoke: a whole message came */
    unsigned listener;
    struct cph_addr peer, local;
    char wanted[CPH_SIP_NAME_MAX + 1]; /* identity the peer must prove; "" for incoming */
    enum cph_sip_peer_check check;
    char name[CPH_SIP_NAME_MAX + 1]; /* identity it proved */
    uint8_t cert_sha256[32];
    struct cph_stream *tls;
    struct cph_buf in, pending;
    size_t need, searched; /* of in, as cph_sip_frame() said */
    struct cph_timer idle, ping;
    cph_time used;
    bool pong_due;
};

/* One place to send a request to. */
struct sip_target {
    enum cph_sip_proto proto;
    struct cph_addr addr;
    char name[CPH_SIP_NAME_MAX + 1]; /* domain the peer must prove on TLS */
    uint32_t flow;                   /* a flow to use as it is, or 0 */
};

/** Send a request's or response's bytes. On error it was given up at once. final (may be NULL) is
 * what went out, with the hook's lines; it lies in bytes or in ua->scratch2. */
cph_err sip_send(struct cph_sip_ua *ua, const struct sip_path *path, struct cph_span bytes,
                 bool repeat, const void *account, struct cph_span *final);
/** The path to a target: chooses the listener, finds or opens the flow. */
cph_err sip_path_open(struct cph_sip_ua *ua, const struct sip_target *t, struct sip_path *out);
bool sip_path_alive(const struct cph_sip_ua *ua, const struct sip_path *path);
/** Response without a transaction, to where the request came from. */
void sip_reply_stateless(struct cph_sip_ua *ua, const struct sip_in *in, unsigned status,
                         const char *reason, struct cph_span headers);
/** Where responses to `in` go (RFC 3261 18.2.2, RFC 3581 4). */
struct sip_path sip_response_path(const struct cph_sip_ua *ua, const struct sip_in *in);
void sip_hop_of(const struct cph_sip_ua *ua, const struct sip_path *path, bool incoming,
                struct cph_sip_hop *hop);
/** host[:port] of our Via on that path; the Contact's host and parameters. */
const char *sip_sent_by(const struct cph_sip_ua *ua, enum cph_sip_proto proto,
                        enum cph_family family, char out[CPH_SIP_NAME_MAX + 16]);
bool sip_can(const struct cph_sip_ua *ua, enum cph_sip_proto proto);
bool sip_can_family(const struct cph_sip_ua *ua, enum cph_sip_proto proto, enum cph_family family);
void sip_receive(struct cph_sip_ua *ua, const struct sip_path *path, struct cph_span bytes,
                 enum cph_sip_transport_kind kind);
struct sip_action *sip_action_new(struct cph_sip_ua *ua, enum cph_sip_do what,
                                  struct cph_span bytes);
void sip_action_put(struct cph_sip_ua *ua, struct sip_action *a);
/** Messages with keys were written there; what was, is wiped. */
void sip_scratch_wipe(struct cph_sip_ua *ua);
void sip_actions_free(struct cph_sip_ua *ua);
enum cph_sip_proto sip_proto_of(struct cph_span name, bool *known);
uint16_t sip_default_port(enum cph_sip_proto proto);

struct sip_flow *sip_flow_get(const struct cph_sip_ua *ua, uint32_t id);
struct sip_flow *sip_flow_find(struct cph_sip_ua *ua, const struct sip_target *t);
cph_err sip_flow_open(struct cph_sip_ua *ua, const struct sip_target *t, struct sip_flow **out);
cph_err sip_flow_write(struct sip_flow *f, struct cph_span bytes);
void sip_flow_timer(struct sip_flow *f, struct cph_timer *t);
/** Is there a place for one more, from this address or (NULL) of ours? Others may be given up. */
bool sip_flow_room(struct cph_sip_ua *ua, const struct cph_addr *from);
void sip_flow_free(struct sip_flow *f);
/** Close it towards the driver, tell the transactions, free it. */
void sip_flow_close(struct sip_flow *f, cph_err why);

/* flow_tls.c */
cph_err sip_flow_tls_begin(struct sip_flow *f);
/** The handshake is over: the other end gets its name, or CPH_E_CERT. */
cph_err sip_flow_tls_opened(struct sip_flow *f);
/** Before it is closed: count it, and keep the words for whoever waits for the flow. */
void sip_flow_tls_failed(struct sip_flow *f, cph_err err);

/* ---- names ---- */

enum sip_step_kind { SIP_STEP_SRV, SIP_STEP_HOST, SIP_STEP_ADDR };

struct sip_step {
    enum sip_step_kind kind;
    enum cph_sip_proto proto;
    uint16_t port;
    struct cph_addr addr;
    char name[CPH_SIP_NAME_MAX + 1];
};

/* RFC 3263 for one request: a list of steps, worked from the front, that turns into addresses. */
struct sip_res {
    struct cph_sip_ua *ua;
    struct sip_link link; /* in ua->queries while a query is out */
    bool active, naptr, sips, any_srv, srv_tried, prefer_tcp, failed;
    unsigned asked;
    uint32_t query[2]; /* outstanding: [0] NAPTR, SRV or A; [1] AAAA */
    struct cph_addr found[CPH_SIP_RECORDS_MAX];
    size_t n_found;
    char host[CPH_SIP_NAME_MAX + 1]; /* of the URI: what TLS must prove */
    enum cph_sip_proto fallback;     /* when no SRV is found */
    struct sip_step *step;           /* SIP_TARGETS_MAX of them */
    size_t n_step;
    void (*ready)(struct sip_res *r); /* sip_res_next() may be called again */
};

/** Begin for a next-hop URI. CPH_E_UNSUPPORTED (scheme, transport), CPH_E_POLICY (sips over UDP).
 */
cph_err sip_res_start(struct cph_sip_ua *ua, struct sip_res *r, const struct cph_sip_uri *uri,
                      bool sips, bool prefer_tcp);
/** The next target: CPH_OK, CPH_E_AGAIN (r->ready comes later), CPH_E_NAME at the end. */
cph_err sip_res_next(struct sip_res *r, struct sip_target *out);
void sip_res_stop(struct sip_res *r);

/* ---- transactions ---- */

struct sip_req;
struct sip_call;

struct sip_tx {
    struct cph_sip_ua *ua;
    enum sip_tx_kind kind;
    enum sip_tx_state state;
    struct cph_timer retx, timeout, end;
    cph_time interval;
    struct sip_path path;
    uint8_t *bytes; /* the request, or the last response */
    size_t n;
    const void *account;
    unsigned status;       /* last response */
    cph_err why;           /* of SIP_TXE_ERROR */
    bool flow_dead;        /* marked by sip_tx_flow_gone() */
    struct sip_link doom;  /* in ua->doomed: freed when nobody is inside it */
    char tag[SIP_TAG_MAX]; /* server: our To tag */
    struct sip_req *req;   /* client: whom to tell; NULL: nobody */
    struct sip_in *in;     /* server: the request. client: NULL */
    struct sip_call *call; /* INVITE server: whom to tell */
    struct cph_span merge; /* in key_bytes; server: From tag, Call-ID, CSeq (RFC 3261 8.2.2.2) */
    struct cph_span key;
    uint8_t key_bytes[];
};

/** A client transaction; bytes are copied and sent. On error nothing is left. */
cph_err sip_tx_client(struct cph_sip_ua *ua, struct sip_req *req, bool invite,
                      struct cph_span branch, struct cph_span method, const struct sip_path *path,
                      struct cph_span bytes, const void *account, struct sip_tx **out);
/** A request or response that came. */
void sip_tx_request(struct cph_sip_ua *ua, struct sip_in *in);
void sip_tx_response(struct cph_sip_ua *ua, struct sip_in *in, const char *retry_headers);
/** Whose request it was that this response answers. */
const void *sip_tx_account(const struct cph_sip_ua *ua, const struct sip_in *in);
/** Send a response of the user, built by sip_respond(). */
cph_err sip_tx_respond(struct sip_tx *tx, unsigned status, struct cph_span bytes);
cph_err sip_tx_repeat(struct sip_tx *tx); /* the last 2xx or reliable 1xx once more */
void sip_tx_timer(struct sip_tx *tx, struct cph_timer *t);
void sip_tx_flow_gone(struct cph_sip_ua *ua, uint32_t flow, cph_err why);
bool sip_tx_uses_flow(const struct cph_sip_ua *ua, uint32_t flow);
void sip_tx_unreachable(struct cph_sip_ua *ua, const struct cph_addr *to);
void sip_tx_free(struct sip_tx *tx);
void sip_tx_reap(struct cph_sip_ua *ua);
void sip_tx_abandon(struct sip_tx *tx);
/** A ringing INVITE of ours whose call is gone: at most 64*T1 more. */
void sip_tx_limit(struct sip_tx *tx);
/** The INVITE server transaction a CANCEL belongs to, or NULL. */
struct sip_tx *sip_tx_of_cancel(struct cph_sip_ua *ua, const struct sip_in *cancel);

/* ---- requests out ---- */

/* What a request says but for Via and Contact, which depend on where it goes. */
struct sip_draft {
    enum cph_sip_method method;
    struct cph_span uri;      /* Request-URI */
    struct cph_span routes;   /* whole Route lines */
    struct cph_span next_hop; /* URI to resolve */
    struct cph_span from, to; /* values with their tags */
    struct cph_span call_id;
    uint32_t cseq;
    struct cph_span contact_user;
    struct cph_span contacts; /* whole Contact lines instead of one of our own */
    bool contact;             /* carry a Contact */
    bool sips;
    struct cph_span extra; /* whole lines */
    struct cph_span auth;  /* whole lines, from the hook */
    struct cph_span type, body;
};

/* A request on its way: resolution, failover, retries, and then responses. */
struct sip_req {
    struct sip_link link; /* ua->reqs */
    struct cph_sip_ua *ua;
    struct cph_arena *arena;
    struct sip_draft d;
    struct sip_res res;
    struct sip_target target;
    struct sip_path path;
    struct sip_tx *tx;
    bool ack;        /* ACK to a 2xx: no transaction */
    bool got_any;    /* a response came: no failover any more */
    bool final;      /* a final one */
    bool by_size;    /* on TCP for its size only (18.1.1): UDP is next */
    bool udp_anyway; /* TCP for size failed */
    bool dead;       /* about to be freed by whoever calls done */
    bool resolving;  /* sip_res_start() was called */
    cph_err why;     /* of the last attempt */
    unsigned retries;
    char branch[SIP_BRANCH_MAX];
    uint32_t *cseq; /* the counter it draws from, NULL: its own */
    uint32_t hint;  /* flow to use first, 0 none */
    const void *account;
    uint8_t *ack_bytes; /* ACK as sent */
    size_t ack_n;
    struct cph_timer linger; /* ACK: how long it is kept */
    void *owner;             /* NULL: nobody cares */
    /* It went to q->path in vain, and the next address is tried: what it said was said there. May
     * be NULL; not called without an owner. */
    void (*went)(struct sip_req *q);
    unsigned sub; /* the owner's note */
    /* in: a response (INVITE: 100 and each 2xx too). in NULL: it failed with why, and q goes; with
     * why CPH_OK it ended quietly after its response, and q goes. */
    void (*done)(struct sip_req *q, struct sip_in *in, cph_err why);
};

/** An empty draft in an arena of its own; fill d with sip_req_copy()ed bytes, then send. */
cph_err sip_req_new(struct cph_sip_ua *ua, enum cph_sip_method method, struct sip_req **out);
struct cph_span sip_req_copy(struct sip_req *q, struct cph_span bytes);
/** Send; on error q is freed and done is not called. After CPH_OK, q lives until its transaction
 * ends; done may be called before this returns only through later feeds and ticks. */
cph_err sip_req_send(struct sip_req *q);
/** Nobody listens any more; it runs to its end by itself. */
void sip_req_orphan(struct sip_req *q);
void sip_req_free(struct sip_req *q);
void sip_req_on_tx(struct sip_req *q, enum sip_tx_event ev, struct sip_in *in, const char *retry);
void sip_req_tx_gone(struct sip_req *q);
void sip_req_timer(struct sip_req *q);
cph_err sip_req_cancel(struct sip_req *invite); /* send CANCEL for it */
void sip_req_ack_again(struct sip_req *ack);
/** Write the request for a path into ua->scratch. */
cph_err sip_draft_build(struct cph_sip_ua *ua, const struct sip_draft *d,
                        const struct sip_path *path, const char *branch, struct cph_span *out);
/** Our Contact value for a path. */
void sip_wr_contact(struct cph_sip_ua *ua, struct cph_wr *wr, struct cph_span user,
                    enum cph_sip_proto proto, enum cph_family family, bool sips);

/* ---- dialogs ---- */

enum sip_dlg_state { SIP_DLG_EARLY, SIP_DLG_CONFIRMED, SIP_DLG_KILLED };

struct sip_dlg {
    struct sip_call *call;
    uint32_t id; /* branch */
    enum sip_dlg_state state;
    bool peer_update;
    char *remote_tag;
    char *remote; /* To value of our requests, with the tag */
    char *local;  /* From value, with our tag */
    char *target; /* remote target URI */
    char **route; /* URIs in angle brackets with parameters, in order */
    size_t n_route;
    uint32_t local_cseq, remote_cseq;
    bool has_remote_cseq;
    uint32_t rseq;     /* last reliable 1xx taken, 0 none */
    bool rel_offer;    /* a reliable 1xx with an offer waits for our answer */
    bool had_offer;    /* the peer's offer to our empty INVITE came in a 1xx */
    bool wants_ack;    /* a 2xx with an offer waits for our answer */
    uint32_t ack_cseq; /* of the 2xx to acknowledge */
    uint32_t rel_cseq;
    uint32_t hint;       /* flow its messages came on */
    bool direct;         /* no proxy between: one Via */
    struct sip_req *ack; /* our last ACK to a 2xx */
};

/** From a response to our INVITE or from an INVITE that came. */
cph_err sip_dlg_uac(struct sip_call *call, const struct sip_in *in, struct sip_dlg **out);
cph_err sip_dlg_uas(struct sip_call *call, const struct sip_in *in, struct sip_dlg **out);
void sip_dlg_free(struct sip_dlg *d);
/** Target refresh by a Contact (12.2). */
void sip_dlg_refresh(struct sip_dlg *d, const struct sip_in *in);
cph_err sip_dlg_routes(struct sip_dlg *d, const struct sip_in *in, bool reverse);
/** A request inside d: From, To, routes, CSeq (ACK: number given) filled in. */
cph_err sip_dlg_request(struct sip_dlg *d, enum cph_sip_method method, uint32_t ack_cseq,
                        struct sip_req **out);
struct sip_dlg *sip_dlg_find(struct cph_sip_ua *ua, const struct sip_in *in);
/** ACK a 2xx to an INVITE nobody waits for, if its dialog stands. */
bool sip_dlg_ack_repeat(struct cph_sip_ua *ua, const struct sip_in *in);
/** ACK and BYE a 2xx nobody wants. */
void sip_dlg_refuse_2xx(struct sip_req *q, struct sip_in *in);
cph_err sip_route_lines(struct sip_req *q, char *const *route, size_t n, struct cph_span target);

/* ---- calls ---- */

enum sip_call_state {
    SIP_CALL_CALLING,  /* our INVITE is out */
    SIP_CALL_INCOMING, /* theirs waits for our answer */
    SIP_CALL_ACCEPTED, /* our 2xx waits for ACK */
    SIP_CALL_UP,
    SIP_CALL_ENDING, /* we want it to end: CANCEL is out, or ACK is awaited before BYE */
};

enum sip_offer { SIP_OFFER_NONE, SIP_OFFER_OURS, SIP_OFFER_THEIRS };

struct sip_event {
    struct sip_link link;
    struct cph_sip_event e;
    struct sip_in *in;
    char text[CPH_STREAM_WHY];
};

struct sip_blob {
    char *type;
    uint8_t *body;
    size_t n;
};

struct sip_call {
    struct sip_link link;
    struct cph_sip_ua *ua;
    uint32_t id, next_branch;
    enum sip_call_state state;
    bool outgoing, sips, confirmed, cancel_wanted, cancelled, no_answer, refreshing, late;
    bool peer_100rel, peer_timer;
    void *cookie;
    const void *account;
    char *call_id, *local_tag, *contact_user, *local, *remote, *request_uri, *extra;
    enum cph_sip_100rel rel;
    char **route;
    size_t n_route;
    struct sip_event *ended; /* kept ready */
    /* outgoing INVITE */
    struct sip_req *invite;
    uint32_t cseq;
    unsigned redirects;
    char **redirect; /* further addresses to try */
    size_t n_redirect;
    struct sip_blob offer_out; /* body of the INVITE, for redirects */
    struct cph_timer alive;    /* a ringing phone says so once a minute (13.3.1.1) */
    struct cph_timer limit;    /* unanswered too long; or CANCEL without effect */
    struct sip_dlg *dlg[SIP_DIALOGS_MAX];
    size_t n_dlg;
    struct sip_dlg *win;
    /* incoming INVITE, and INVITEs inside the dialog */
    struct sip_tx *tx;      /* the INVITE we have not yet answered, or whose 2xx waits for ACK */
    uint32_t invite_cseq;   /* CSeq of that INVITE */
    struct cph_timer again; /* 2xx or reliable 1xx goes out again */
    cph_time again_after, again_since;
    bool rel_wait, rel_body;
    uint32_t rseq;
    struct sip_blob held; /* 2xx held back until the PRACK comes */
    bool held_set;
    bool reinvite;         /* tx is a re-INVITE */
    struct sip_tx *update; /* UPDATE or PRACK with an offer that waits for our answer */
    /* offers of ours inside the dialog */
    struct sip_req *offer_req;
    bool offer_update, offer_done;
    struct sip_blob offer; /* for 491 and for refreshes by re-INVITE */
    struct cph_timer offer_again;
    unsigned offer_tries;
    unsigned pracks;       /* of ours without an answer yet */
    bool offer_waits;      /* an UPDATE with c->offer goes out when they have one ... */
    uint32_t offer_branch; /* ... on this branch */
    enum sip_offer pending;
    /* session timer */
    unsigned session_expires, min_se, ask_se;
    bool we_refresh;
    struct cph_timer refresh, expire;
    struct cph_sip_hop hop[CPH_SIP_HOPS_MAX];
    unsigned n_hops;
    bool hops_lost;
    char *peer_uri, *own_uri;
};

struct sip_reg {
    struct sip_link link;
    struct cph_sip_ua *ua;
    uint32_t id;
    bool options, going, granted;
    void *cookie;
    const void *account;
    char *registrar, *aor, *call_id, *tag, *contact_user;
    char *contact[CPH_SIP_CONTACTS_MAX];
    size_t n_contact;
    char **route;
    size_t n_route;
    unsigned expires;
    uint32_t cseq;
    unsigned failures;
    struct sip_req *req;
    struct cph_timer refresh;
};

/* ---- the user agent ---- */

enum sip_timer_kind {
    SIP_TIMER_TX,
    SIP_TIMER_FLOW,
    SIP_TIMER_REQ,
    SIP_TIMER_CALL,
    SIP_TIMER_REG,
};

struct cph_sip_ua {
    struct cph_sip_ua_cfg cfg;
    char *host[CPH_SIP_LISTENERS_MAX], *user_agent, *accept;
    const struct cph_env *env;
    cph_time now;
    struct cph_timers timers;
    struct cph_map txs, merges;
    struct sip_link reqs, calls, regs, flows, queries, actions, events, doomed;
    size_t n_reqs, n_calls, n_regs, n_flows, n_queries, n_dlgs, n_in, n_events, queued;
    uint32_t next_flow, next_query, next_call, next_reg;
    struct sip_action *pulled;
    struct sip_event *shown;
    struct cph_sip_counters count;
    uint8_t *scratch; /* one message being built */
    size_t scratch_n;
    cph_err tls_err;                    /* why a server is not taken, */
    char tls_why[CPH_STREAM_WHY];       /* and in words, until all on its flow have heard it */
    size_t scratch_used, scratch2_used; /* to be wiped */
    uint8_t *scratch2;                  /* with the hook's headers */
};

#define SIP_T2 CPH_SEC(4)
#define SIP_T4 CPH_SEC(5)

cph_err sip_timer_set(struct cph_sip_ua *ua, struct cph_timer *t, enum sip_timer_kind kind,
                      void *owner, cph_time in_us);
char *sip_strdup(struct cph_span s); /* malloc'ed, NUL-terminated; NULL on failure */
cph_err sip_str_set(char **dst, struct cph_span s);
cph_err sip_blob_set(struct sip_blob *b, const char *type, struct cph_span body);
void sip_blob_clear(struct sip_blob *b);
void sip_log(struct cph_sip_ua *ua, enum cph_log_level level, const char *fmt, ...)
    CPH_PRINTF(3, 4);

/* ua.c: what arrives from the transactions */
void sip_core_request(struct sip_tx *tx, struct sip_in *in);
void sip_core_ack(struct cph_sip_ua *ua, struct sip_in *in, struct sip_call *call);
void sip_core_cancel(struct sip_tx *tx, struct sip_in *in);
/** Build and send a response: headers are whole lines; contact adds ours. */
cph_err sip_respond(struct sip_tx *tx, unsigned status, const char *reason, struct cph_span headers,
                    bool contact, struct cph_span type, struct cph_span body);
/** The body a call works with, out of a plain or multipart one; empty if there is none. */
extern const char sip_not_understood[]; /* call_uas.c: a header line */
void sip_body_of(const struct cph_sip_msg *msg, const char *accept, struct cph_span *type,
                 struct cph_span *body);
bool sip_clean(const char *text); /* no control characters */
/** Why a request got no response, in words. */
const char *sip_failure_words(const struct cph_sip_ua *ua, cph_err why);
struct sip_event *sip_emit(struct cph_sip_ua *ua, enum cph_sip_event_kind kind, struct sip_in *in);
void sip_event_free(struct sip_event *ev);
extern const char sip_allow[];
const char *sip_supported(const struct cph_sip_ua *ua);

/* call.c and its neighbours */
void sip_call_invite(struct sip_tx *tx, struct sip_in *in);
void sip_call_in_dialog(struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d);
void sip_call_ack(struct sip_call *call, struct sip_in *in);
/** No PRACK of ours is on its way any more: an UPDATE that waited for that goes out. */
void sip_call_pracked(struct sip_call *call);
void sip_call_prack(struct sip_call *call, struct sip_tx *tx, struct sip_in *in, struct sip_dlg *d);
void sip_call_cancelled(struct sip_call *call, struct sip_in *in);
void sip_call_tx(struct sip_call *call, struct sip_tx *tx, enum sip_tx_event ev); /* H, L, error */
void sip_call_timer(struct sip_call *call, struct cph_timer *t);
void sip_call_end(struct sip_call *call, struct sip_in *in, cph_err cause, unsigned status,
                  const char *words, bool by_peer); /* ENDED; call is gone */
void sip_call_free(struct sip_call *call);
struct sip_call *sip_call_get(const struct cph_sip_ua *ua, uint32_t id);
cph_err sip_call_new(struct cph_sip_ua *ua, struct sip_call **out);
struct sip_event *sip_call_emit(struct sip_call *call, enum cph_sip_event_kind kind,
                                struct sip_in *in, const struct sip_dlg *d);
bool sip_call_uses_flow(const struct cph_sip_ua *ua, uint32_t flow);
void sip_call_went(struct sip_req *q); /* for q->went of a call's request */
void sip_call_hop(struct sip_call *call, const struct cph_sip_hop *hop);
void sip_call_bye(struct sip_call *call, struct sip_dlg *d, const char *reason);
void sip_call_up(struct sip_call *call);
/** What comes back to it (call_uac.c). */
void sip_call_on_invite(struct sip_req *q, struct sip_in *in, cph_err why);
cph_err sip_call_send_invite(struct sip_call *call, const char *uri);
void sip_call_hop_out(struct sip_call *call, const struct sip_req *q);
void sip_call_send_cancel(struct sip_call *call);
cph_err sip_call_ack_2xx(struct sip_call *call, struct sip_dlg *d, const char *type,
                         struct cph_span body);
void sip_call_again_due(struct sip_call *call);
void sip_call_alive_due(struct sip_call *call);
void sip_call_offer_due(struct sip_call *call);
/** Does a description demand that something be so first (RFC 3312 4: a=des with mandatory)? */
bool sip_call_demands(struct cph_span sdp);
cph_err sip_call_send_offer(struct sip_call *call, struct sip_dlg *d, bool update, bool refresh);
cph_err sip_routes_of(const char *const *route, char ***out, size_t *n);
cph_err sip_app_addr(const char *text, struct cph_sip_addr *out);
bool sip_lines_ok(const char *lines);

/* session_timer.c */
void sip_timer_request_lines(const struct sip_call *call, struct cph_wr *wr);
/** False: the request asked for too short an interval, 422 has been sent. */
bool sip_timer_uas_check(struct sip_call *call, struct sip_tx *tx, const struct sip_in *in);
/** Lines for our 2xx; sets interval and role. */
void sip_timer_uas_lines(struct sip_call *call, const struct sip_in *in, struct cph_wr *wr);
void sip_timer_uac(struct sip_call *call, const struct sip_in *in);
bool sip_timer_422(struct sip_call *call, const struct sip_in *in);
void sip_timer_arm(struct sip_call *call);
void sip_timer_due(struct sip_call *call, struct cph_timer *t);

/* register.c */
void sip_reg_timer(struct sip_reg *r);
void sip_reg_free(struct sip_reg *r);

#endif

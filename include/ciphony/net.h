/* Ciphony: the loop. Sockets, deadlines, names, signals and keys of the terminal, for one thread.
 */
#ifndef CPH_NET_H
#define CPH_NET_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"

/*
 * One loop belongs to one thread; every object made with it is used on that thread only, and every
 * callback runs there, never nested in another callback and never inside the call that asked for
 * it. now is the monotonic clock, read once per turn, the same for all callbacks of the turn. Any
 * object may be closed in any callback, its own too; nothing is called for it afterwards.
 */
struct cph_net;
struct cph_net_wake;
struct cph_net_udp;
struct cph_net_listener;
struct cph_net_conn;
struct cph_net_query;
struct cph_net_watch;

enum {
    CPH_NET_UDP_MAX = 65535,         /* largest datagram that is received */
    CPH_NET_BATCH = 16,              /* datagrams received or sent in one system call */
    CPH_NET_QUEUE_MAX = 1024 * 1024, /* bytes a connection keeps unsent before put refuses */
    CPH_NET_CONNS_MAX = 4096,        /* connections one loop keeps; a peer may open no more */
    CPH_NET_DNS_ANSWERS = 16,        /* records kept of one answer; the rest is dropped */
    CPH_NET_NAME = 256,              /* a domain name and the NUL, RFC 1035 2.3.4 */
};

/* ---- the real environment ------------------------------------------------------------------- */

/* Randomness from getrandom(2), the wall clock, log lines to stderr up to a level. */
struct cph_net_env {
    struct cph_env env; /* pass &h.env to the engines */
    enum cph_log_level level;
};
CPH_API void cph_net_env_init(struct cph_net_env *h, enum cph_log_level level);

/* ---- the loop ------------------------------------------------------------------------------- */

/** env outlives the loop. CPH_E_NOMEM, CPH_E_IO. */
CPH_API CPH_MUST_CHECK cph_err cph_net_new(const struct cph_env *env, struct cph_net **out);
/** Closes all that is still open, without calling anybody. NULL is fine. Not from a callback. */
CPH_API void cph_net_free(struct cph_net *net);
/** The clock of this turn, microseconds. Outside of a turn it is read anew. */
CPH_API cph_time cph_net_now(struct cph_net *net);
/** Turn until cph_net_stop(). CPH_E_IO; CPH_E_STATE when called from a callback. */
CPH_API CPH_MUST_CHECK cph_err cph_net_run(struct cph_net *net);
/** One turn: wait at most wait_us (0: do not wait) for something to happen, and handle it. */
CPH_API CPH_MUST_CHECK cph_err cph_net_turn(struct cph_net *net, cph_time wait_us);
/** cph_net_run() returns after this turn. */
CPH_API void cph_net_stop(struct cph_net *net);

/* ---- deadlines: one per engine -------------------------------------------------------------- */

typedef void cph_net_wake_fn(void *arg, cph_time now);

/** Not set at first. CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_net_wake_new(struct cph_net *net, cph_net_wake_fn *fn, void *arg,
                                                struct cph_net_wake **out);
/** Call fn once when the clock has reached at; replaces what was set. CPH_TIME_NEVER clears it.
 *  A deadline in the past fires on the next turn. Cannot fail. */
CPH_API void cph_net_wake_at(struct cph_net_wake *w, cph_time at);
CPH_API void cph_net_wake_free(struct cph_net_wake *w); /* NULL is fine */

/* ---- UDP ------------------------------------------------------------------------------------ */

/* pkt[0..n) may be changed in place and dies with the callback. from: who sent it. */
typedef void cph_net_udp_fn(void *arg, struct cph_net_udp *udp, const struct cph_addr *from,
                            uint8_t *pkt, size_t n, cph_time now);

/**
 * Bind to an address; port 0 takes a free one. IPv6 sockets carry IPv6 only.
 * CPH_E_EXISTS: the port is taken. CPH_E_ARGUMENT: no such local address. CPH_E_IO, CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_udp_open(struct cph_net *net, const struct cph_addr *at,
                                                cph_net_udp_fn *fn, void *arg,
                                                struct cph_net_udp **out);
/**
 * An even port for RTP in out[0] and the next one for RTCP in out[1], at random (RFC 3550 11).
 * at->port is ignored. Errors as cph_net_udp_open(); CPH_E_EXISTS when no pair was found.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_udp_pair(struct cph_net *net, const struct cph_addr *at,
                                                cph_net_udp_fn *fn, void *arg,
                                                struct cph_net_udp *out[2]);
CPH_API void cph_net_udp_close(struct cph_net_udp *udp);                         /* NULL is fine */
CPH_API const struct cph_addr *cph_net_udp_local(const struct cph_net_udp *udp); /* as bound */
/**
 * Send one datagram now. CPH_E_AGAIN: the system's queue is full, the datagram is lost, as
 * datagrams may be. CPH_E_LIMIT: larger than the system sends. CPH_E_IO: no route and the like.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_udp_send(struct cph_net_udp *udp, const struct cph_addr *to,
                                                struct cph_span bytes);

struct cph_net_datagram {
    struct cph_addr to;
    struct cph_span bytes;
};
/** Several at once. *sent is how many went out; the error is that of the first which did not. */
CPH_API CPH_MUST_CHECK cph_err cph_net_udp_send_batch(struct cph_net_udp *udp,
                                                      const struct cph_net_datagram *d, size_t n,
                                                      size_t *sent);

/* ---- TCP ------------------------------------------------------------------------------------ */

/* What the owner of a connection is told. closed comes at most once, last, and not after
 * cph_net_conn_close(); after it c is gone. open comes for connections we made. */
struct cph_net_conn_ops {
    void (*open)(void *arg, struct cph_net_conn *c, cph_time now);
    void (*data)(void *arg, struct cph_net_conn *c, struct cph_span bytes, cph_time now);
    void (*closed)(void *arg, struct cph_net_conn *c, cph_err why, cph_time now);
    void (*drained)(void *arg, struct cph_net_conn *c, cph_time now); /* all is sent; may be NULL */
};

/**
 * Connect. The outcome is ops->open, or ops->closed with CPH_E_TIMEOUT (after timeout_us),
 * CPH_E_CLOSED (refused or reset) or CPH_E_IO (no route). ops is static; out may be written to at
 * once, what is put before open is kept.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_connect(struct cph_net *net, const struct cph_addr *to,
                                               cph_time timeout_us,
                                               const struct cph_net_conn_ops *ops, void *arg,
                                               struct cph_net_conn **out);
/** Queue bytes. CPH_E_LIMIT: more than CPH_NET_QUEUE_MAX would be waiting, nothing was queued.
 *  CPH_E_CLOSED after cph_net_conn_finish(). */
CPH_API CPH_MUST_CHECK cph_err cph_net_conn_put(struct cph_net_conn *c, struct cph_span bytes);
CPH_API size_t cph_net_conn_queued(const struct cph_net_conn *c);
/** Send what is queued, then close (at most 2 s later). c is given up: no callback comes any more.
 */
CPH_API void cph_net_conn_finish(struct cph_net_conn *c);
CPH_API void cph_net_conn_close(struct cph_net_conn *c); /* at once; NULL is fine */
CPH_API const struct cph_addr *cph_net_conn_peer(const struct cph_net_conn *c);
CPH_API const struct cph_addr *
cph_net_conn_local(const struct cph_net_conn *c); /* none before open */

/* Take c with cph_net_conn_take() before returning, or it is closed. */
typedef void cph_net_accept_fn(void *arg, struct cph_net_listener *l, struct cph_net_conn *c,
                               cph_time now);
CPH_API void cph_net_conn_take(struct cph_net_conn *c, const struct cph_net_conn_ops *ops,
                               void *arg);
/** Errors as cph_net_udp_open(). */
CPH_API CPH_MUST_CHECK cph_err cph_net_listen(struct cph_net *net, const struct cph_addr *at,
                                              cph_net_accept_fn *fn, void *arg,
                                              struct cph_net_listener **out);
CPH_API void
cph_net_listener_close(struct cph_net_listener *l); /* NULL is fine; accepted ones stay */
CPH_API const struct cph_addr *cph_net_listener_local(const struct cph_net_listener *l);

/* ---- names ---------------------------------------------------------------------------------- */

enum cph_net_dns_type { CPH_NET_DNS_A, CPH_NET_DNS_AAAA, CPH_NET_DNS_SRV, CPH_NET_DNS_NAPTR };

struct cph_net_dns_srv {
    uint16_t priority, weight, port;
    char target[CPH_NET_NAME];
};

struct cph_net_dns_naptr {
    uint16_t order, preference;
    char flags[16], service[64], regexp[CPH_NET_NAME], replacement[CPH_NET_NAME];
};

/* n records of the type asked for, in the order of the answer (RFC 2782 and 3403 sorting is the
 * caller's). Records with a field too long for its array are left out. */
struct cph_net_dns {
    enum cph_net_dns_type type;
    size_t n;
    union {
        struct cph_addr addr[CPH_NET_DNS_ANSWERS]; /* port 0 */
        struct cph_net_dns_srv srv[CPH_NET_DNS_ANSWERS];
        struct cph_net_dns_naptr naptr[CPH_NET_DNS_ANSWERS];
    };
};

/*
 * err CPH_OK: n >= 1. CPH_E_NOTFOUND: a definite no (no such name, or no record of the type).
 * CPH_E_TIMEOUT: no server answered in 10 s. CPH_E_NAME: refused, failed or malformed.
 * answer is never NULL and dies with the callback; so does the query.
 */
typedef void cph_net_dns_fn(void *arg, cph_err err, const struct cph_net_dns *answer, cph_time now);

/**
 * Ask for one name, taken as absolute (no search domains). A and AAAA look into /etc/hosts first;
 * an IP literal (for IPv6 with or without brackets) is answered without asking anybody, and the
 * literal of the other family is CPH_E_NOTFOUND.
 * CPH_E_ARGUMENT: empty or too long. CPH_E_NOMEM.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_resolve(struct cph_net *net, enum cph_net_dns_type type,
                                               const char *name, cph_net_dns_fn *fn, void *arg,
                                               struct cph_net_query **out);
CPH_API void cph_net_query_cancel(struct cph_net_query *q); /* no callback; NULL is fine */
/** Ask this server instead of the system's. CPH_E_NAME if the resolver refuses it. */
CPH_API CPH_MUST_CHECK cph_err cph_net_dns_server(struct cph_net *net,
                                                  const struct cph_addr *server);

/* ---- which of our addresses reaches a peer --------------------------------------------------- */

/** The local IP the system would send from to reach *to (port 0 in *out). Nothing is sent.
 *  CPH_E_IO: no route. */
CPH_API CPH_MUST_CHECK cph_err cph_net_local_for(const struct cph_addr *to, struct cph_addr *out);

/* ---- the process: signals, keys, other descriptors, other threads ---------------------------- */

typedef void cph_net_signal_fn(void *arg, int signo, cph_time now);
/** Be told of SIGINT and SIGTERM instead of dying of them, until the loop is freed. One loop per
 *  process may ask. CPH_E_EXISTS when asked twice. */
CPH_API CPH_MUST_CHECK cph_err cph_net_signals(struct cph_net *net, cph_net_signal_fn *fn,
                                               void *arg);

/* n is 0 once, at the end of the input. */
typedef void cph_net_keys_fn(void *arg, struct cph_span bytes, cph_time now);
/**
 * Bytes from a descriptor (standard input): if it is a terminal, each key at once and without echo;
 * the terminal is put back on close. CPH_E_UNSUPPORTED: a plain file or /dev/null, which cannot be
 * waited for. The descriptor stays the caller's.
 */
CPH_API CPH_MUST_CHECK cph_err cph_net_keys(struct cph_net *net, int fd, cph_net_keys_fn *fn,
                                            void *arg, struct cph_net_watch **out);

typedef void cph_net_watch_fn(void *arg, int fd, bool readable, bool writable, cph_time now);
/** Be told whenever fd is ready (an audio device, a pipe). The descriptor stays the caller's.
 *  CPH_E_UNSUPPORTED as above. */
CPH_API CPH_MUST_CHECK cph_err cph_net_watch(struct cph_net *net, int fd, bool read, bool write,
                                             cph_net_watch_fn *fn, void *arg,
                                             struct cph_net_watch **out);
CPH_API void cph_net_watch_close(struct cph_net_watch *w); /* of either kind; NULL is fine */

#endif

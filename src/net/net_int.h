/* Private face of net/: the loop's insides and what every object of it has in common. */
#ifndef CPH_NET_INT_H
#define CPH_NET_INT_H

#include <event2/event.h>
#include <sys/socket.h>

#include "ciphony/net.h"
#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

enum {
    NET_READ = 16384,      /* bytes read from a connection at once */
    NET_READS = 4,         /* reads per turn and connection, so that one talker starves nobody */
    NET_ACCEPTS = 16,      /* connections accepted per turn and listener, for the same reason */
    NET_BACKLOG = 128,     /* what the system queues before we accept */
    NET_PAIR_TRIES = 64,   /* random ports tried for an RTP pair */
    NET_RTP_LOW = 16384,   /* RTP ports: above the registered ones and below the range from */
    NET_RTP_HIGH = 32767,  /* which the system hands out ports of its own choice */
    NET_DNS_TRY_MS = 1500, /* wait for one server */
    NET_DNS_TRIES = 2,     /* rounds over the servers */
    NET_DNS_SOCKETS = 32,  /* of the resolver, at once */
    NET_DNS_QUERIES = 256, /* names being asked for at once; a flood of calls is refused here */
};

#define NET_DNS_TIME     CPH_SEC(10) /* the whole of one query */
#define NET_FINISH_TIME  CPH_SEC(2)  /* for the peer to take what is queued */
#define NET_ACCEPT_PAUSE CPH_MS(100) /* when the process is out of descriptors */

/* First member of every object: where it hangs, and how it goes. A closed object stays in memory
 * until the end of the turn, so that the code which was calling it may look at `dead`. */
struct net_handle {
    struct cph_net *net;
    struct net_handle *prev, *next;
    void (*stop)(struct net_handle *h);    /* give back descriptors and events; nothing is called */
    void (*release)(struct net_handle *h); /* free the memory */
    bool dead;
};

struct cph_net_wake {
    struct net_handle h;
    struct cph_timer
        timer; /* always in the heap, at CPH_TIME_NEVER when idle: arming cannot fail */
    cph_net_wake_fn *fn;
    void *arg;
};

struct net_dns; /* the resolver, made when first needed */

struct cph_net {
    const struct cph_env *env;
    struct event_base *base;
    struct cph_timers timers;
    int timer_fd; /* one system timer, armed at the earliest deadline */
    struct event *timer_ev;
    cph_time armed; /* what timer_fd is set to */
    cph_time now;   /* valid while fresh */
    bool fresh, in_turn, stop;
    struct net_handle *live, *dead;
    uint8_t *rx;  /* CPH_NET_BATCH datagrams of CPH_NET_UDP_MAX bytes, shared by all sockets */
    size_t conns; /* connections open */
    struct event *sig[2];
    cph_net_signal_fn *sig_fn;
    void *sig_arg;
    struct net_dns *dns;
    int dns_try_ms; /* NET_DNS_TRY_MS; tests have less patience */
};

/** Hang h into the loop. From then on it is ended by net_close() alone. */
void net_adopt(struct cph_net *net, struct net_handle *h, void (*stop)(struct net_handle *),
               void (*release)(struct net_handle *));
void net_close(struct net_handle *h); /* a dead one is fine */
/** The shared receive buffer, made when first needed; NULL when out of memory. */
uint8_t *net_rx(struct cph_net *net);
void net_dns_free(struct cph_net *net);

socklen_t net_to_sa(const struct cph_addr *a, struct sockaddr_storage *ss);
struct cph_addr net_from_sa(const struct sockaddr_storage *ss);
struct cph_addr net_local_of(int fd);
/** errno in our words; e is never 0. */
cph_err net_err(int e);
/** A socket that does not block and is not inherited. */
cph_err net_socket(const struct cph_addr *at, int type, int *out);
cph_err net_bind(int fd, const struct cph_addr *at);

#endif

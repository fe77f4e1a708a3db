/*
 * A network that exists only in memory: virtual time, seeded loss, duplication, reordering and
 * delay. A run is its seed: the same seed and the same calls give the same events in the same
 * order. One thread. Addresses are ordinary cph_addr values that belong to the nodes that bound
 * them.
 */
#ifndef CPH_LAB_NET_H
#define CPH_LAB_NET_H

#include "ciphony/base.h"
#include "ciphony/base_addr.h"

struct lab_net;
struct lab_node;

/* What a link does to a datagram; for streams only delay and jitter count. Shares are per 1,000. */
struct lab_link {
    cph_time delay, jitter;            /* each way: delay + uniform [0, jitter) */
    unsigned loss, duplicate, reorder; /* reorder: held back one further delay + jitter */
};

/* What a node hears. Any may be NULL. Bytes are a view that dies with the call. */
struct lab_node_ops {
    void (*datagram)(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                     struct cph_span bytes, cph_time now);
    /* A flow: accepted at local (incoming true), or answered to lab_connect(); then bytes; then its
     * end. */
    void (*flow_open)(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                      const struct cph_addr *remote, cph_time now);
    void (*flow_bytes)(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now);
    void (*flow_closed)(void *ctx, uint32_t flow, cph_time now);
    void (*wake)(void *ctx, cph_time now); /* the time given to lab_wake_at() has come */
};

/* A look at everything that is sent, for captures and attackers: return false to swallow it. */
typedef bool lab_tap_fn(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                        struct cph_span bytes, bool stream, cph_time now);

CPH_MUST_CHECK cph_err lab_net_new(uint64_t seed, struct lab_link link, struct lab_net **out);
void lab_net_free(struct lab_net *net); /* nodes go with it */
void lab_net_tap(struct lab_net *net, lab_tap_fn *tap, void *ctx);
/** From here on datagrams and new stream bytes meet this link. */
void lab_net_link(struct lab_net *net, struct lab_link link);

CPH_MUST_CHECK cph_err lab_node_new(struct lab_net *net, const struct lab_node_ops *ops, void *ctx,
                                    struct lab_node **out);
/** Datagrams and connections to addr go to the node from now on. CPH_E_EXISTS if it is taken. */
CPH_MUST_CHECK cph_err lab_bind(struct lab_node *node, const struct cph_addr *addr);
void lab_unbind(struct lab_node *node, const struct cph_addr *addr);
/** Ask for wake() at a time; one request per node, the latest call counts; CPH_TIME_NEVER cancels.
 */
CPH_MUST_CHECK cph_err lab_wake_at(struct lab_node *node, cph_time at);

/** from must be bound by the node. Nobody bound at to: the datagram is lost, as on a real network.
 */
CPH_MUST_CHECK cph_err lab_send(struct lab_node *node, const struct cph_addr *from,
                                const struct cph_addr *to, struct cph_span bytes);

/** Put the host `inside` behind an address translator with the address `outside`: its datagrams
 * come from a port of the translator, and only what comes back from a host it wrote to goes in.
 * Nothing sent to `inside` itself arrives. Datagrams only. CPH_E_EXISTS: there is one already. */
CPH_MUST_CHECK cph_err lab_nat(struct lab_net *net, const struct cph_addr *inside,
                               const struct cph_addr *outside);

/** What an attacker on the path does: a datagram with any sender, which no tap sees. */
CPH_MUST_CHECK cph_err lab_inject(struct lab_net *net, const struct cph_addr *from,
                                  const struct cph_addr *to, struct cph_span bytes);

/** Open a reliable flow; flow_open() or flow_closed() tells how it went. The id is this node's. */
CPH_MUST_CHECK cph_err lab_connect(struct lab_node *node, const struct cph_addr *from,
                                   const struct cph_addr *to, uint32_t *flow);
CPH_MUST_CHECK cph_err lab_flow_write(struct lab_node *node, uint32_t flow, struct cph_span bytes);
void lab_flow_close(struct lab_node *node, uint32_t flow);

cph_time lab_now(const struct lab_net *net);
/** Let everything happen that is due up to and including until; CPH_E_NOMEM if it ran out. */
CPH_MUST_CHECK cph_err lab_run(struct lab_net *net, cph_time until);
/** The time of the next event, or CPH_TIME_NEVER when the network is silent. */
cph_time lab_next(const struct lab_net *net);
/** A number below n from the network's seed, for scenarios that want to share its stream. */
uint64_t lab_random(struct lab_net *net, uint64_t n);
/** An environment for engines: randomness from the seed, wall clock = a fixed day + virtual time.
 */
void lab_env(struct lab_net *net, struct cph_env *out);

struct lab_counts {
    uint64_t sent, lost, duplicated, reordered, unbound, delivered; /* datagrams */
    uint64_t flows_open, flows_total;
};
struct lab_counts lab_counts(const struct lab_net *net);

#endif

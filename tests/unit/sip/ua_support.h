/* A world of user agents in virtual time: datagrams with loss and repeats, connections, a DNS. */
#ifndef CPH_TEST_UA_SUPPORT_H
#define CPH_TEST_UA_SUPPORT_H

#include <stdlib.h>

#include "support.h"

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/sip_msg.h"
#include "ciphony/sip_ua.h"

enum { W_NODES = 4, W_CONNS = 64, W_LOG = 400, W_RECORDS = 32 };

struct w_event { /* an event of a UA, copied */
    struct cph_sip_event e;
    char body[2048], reason[128], from[256], to[256];
    size_t body_n;
};

struct w_node {
    struct cph_sip_ua *ua;
    struct cph_addr addr[CPH_SIP_LISTENERS_MAX];
    enum cph_sip_proto proto[CPH_SIP_LISTENERS_MAX];
    unsigned n_listeners;
    struct w_event ev[W_LOG];
    size_t n_ev, seen;
    /* a node without a ua is a hand: it gets what is sent to it */
    char got[64][8192];
    struct cph_addr got_from[64];
    size_t n_got, took;
};

struct w_packet {
    struct w_packet *next;
    cph_time at;
    int to; /* node */
    unsigned listener;
    struct cph_addr from;
    int conn, end, what; /* what: 0 datagram, 1 bytes, 2 opened, 3 closed, 4 accept, 5 dns */
    uint32_t query;
    size_t n;
    uint8_t b[];
};

struct w_conn {
    bool used;
    int node[2]; /* node at each end; -1 gone */
    uint32_t flow[2];
    struct cph_addr addr[2];
};

struct world {
    struct test_env env;
    cph_time now;
    struct w_node node[W_NODES];
    int n_nodes;
    struct w_packet *queue;
    struct w_conn conn[W_CONNS];
    unsigned loss, twice; /* percent */
    cph_time delay;
    bool tcp_refused, tcp_blackhole;
    uint64_t dice;
    size_t datagrams, streams, stream_bytes;
    struct {
        char name[128];
        struct cph_sip_record r;
    } dns[W_RECORDS];
    size_t n_dns;
    char asked[32][128];
    size_t n_asked;
    bool keep_plain; /* remember stream bytes, to look for plaintext */
    char wire[65536];
    size_t wire_n;
};

void w_init(struct world *w, uint64_t seed);
void w_free(struct world *w);
struct cph_addr w_addr(const char *text);
/** A UA at ip:5060 on the protocols in `protos` ("udp,tcp,tls"); change cfg before by w_cfg(). */
struct cph_sip_ua_cfg w_cfg(struct world *w, int node, const char *ip, const char *protos);
cph_err w_start(struct world *w, int node, const struct cph_sip_ua_cfg *cfg);
/** A hand at ip:5060 udp. */
void w_hand(struct world *w, int node, const char *ip);
void w_dns(struct world *w, const char *name, struct cph_sip_record r);
/** Carry out all actions; then let time pass by us at most, doing what falls due. */
void w_pump(struct world *w);
void w_run(struct world *w, cph_time us);
/** The next event of that kind not yet seen by this function; fails the test if none. Earlier ones
 * skipped. */
struct w_event *w_want(struct world *w, int node, enum cph_sip_event_kind kind);
bool w_has(struct world *w, int node, enum cph_sip_event_kind kind);
/** Send text (LF becomes CRLF; a body is counted into "Content-Length: *") from a hand to a node.
 */
void w_say(struct world *w, int hand, int to, const char *fmt, ...) CPH_PRINTF(4, 5);
/** The next message a hand got that begins with prefix. NULL if none. */
const char *w_heard(struct world *w, int hand, const char *prefix);
/** Value of a header line in a message (one of sixteen static buffers). */
const char *w_header(const char *msg, const char *name);
/** Answer `request` with status line and further lines ("" or "X: y\n"), body NULL or text. tag ""
 * none. */
void w_answer(struct world *w, int hand, int to, const char *request, const char *status,
              const char *tag, const char *lines, const char *body);
void w_quiet(struct world *w, int node); /* nothing of a call is left */

#endif

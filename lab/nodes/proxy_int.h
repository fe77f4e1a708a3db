/* The SIP server of the lab from the inside: one object, and its parts file by file. */
#ifndef CPH_LAB_PROXY_INT_H
#define CPH_LAB_PROXY_INT_H

#include "proxy.h"
#include "tls.h"

#include "ciphony/base_mem.h"

enum {
    MESSAGE = 16384,
    USERS = 32,
    TARGETS = 8, /* of one INVITE, with those of redirects */
    CALLS = 64,  /* INVITE transactions remembered */
    URI = 128,
    BRANCH = 64,
    SIP_PORT = 5060,
    SIPS_PORT = 5061,
    ALIASES = 8,
};

/* Where a message goes, or came from. */
struct way {
    struct cph_addr addr;
    bool tls;
};

struct contact {
    char user[32], uri[URI];
};

struct target {
    char uri[URI];
    struct way way;
    unsigned status; /* final, 0: none yet */
    bool cancelled;
};

/* One INVITE we forwarded. */
struct invite {
    char branch[BRANCH]; /* of the caller's Via */
    struct way caller;
    uint8_t *request;
    size_t request_n;
    struct target target[TARGETS];
    unsigned n;
    bool answered, told_early;
    uint8_t *best; /* the final response kept for when all have failed */
    size_t best_n;
    unsigned best_status;
};

/* A host behind address translation: where it says it is, and where it is heard from. */
struct alias {
    struct cph_addr said, heard;
};

struct queued {
    cph_time at;
    struct way to;
    struct queued *next;
    size_t n;
    uint8_t b[];
};

struct lab_proxy {
    struct lab_net *net;
    struct lab_node *node;
    struct lab_proxy_config cfg;
    char next[URI];          /* of cfg */
    struct cph_addr addr[2]; /* without and with TLS */
    bool udp;
    struct lab_tls *tls; /* NULL: UDP alone */
    struct contact contact[USERS];
    unsigned contacts;
    struct alias alias[ALIASES];
    unsigned aliases;
    struct invite invite[CALLS];
    unsigned next_invite;
    struct queued *queue;
    struct cph_arena *arena; /* of the message at hand */
    struct lab_proxy_counts counts;
    uint8_t out[MESSAGE], body[MESSAGE];
};

/* ---- sending, after thinking (proxy.c) ------------------------------------------------------- */

void proxy_send_to(struct lab_proxy *p, const struct way *to, const struct cph_wr *wr);

/* ---- passing messages on (forward.c) --------------------------------------------------------- */

bool proxy_way_of(const struct lab_proxy *p, const struct cph_sip_uri *uri, struct way *out);
bool proxy_way_of_text(const struct lab_proxy *p, const char *uri, struct way *out);
bool proxy_is_us(const struct lab_proxy *p, const struct cph_sip_uri *uri);
/** How many of its Route values, from the top, are ours: two where its transport changes here. */
unsigned proxy_ours_on_top(const struct lab_proxy *p, const struct cph_sip_msg *req);
/** The same request gives the same branch, so that CANCEL and ACK follow their INVITE. */
void proxy_branch(const struct cph_sip_msg *req, const char *target, char out[BRANCH]);
/** uri: the new request URI, which also makes the branch; the first `ours` Routes fall away. */
void proxy_forward(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from,
                   const char *uri, const struct way *to, unsigned ours);
/** A CANCEL of ours, or the ACK of a failure that ends with us, after the request forwarded. */
void proxy_hop(struct lab_proxy *p, const struct cph_sip_msg *req, const struct target *target,
               const char *method, const struct cph_sip_addr *to_value);
void proxy_reply(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from,
                 unsigned status);
/** A response, to where the next Via says. */
void proxy_pass_up(struct lab_proxy *p, const struct cph_sip_msg *res, const struct way *from);

/* ---- who is where (registrar.c) -------------------------------------------------------------- */

void registrar_take(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from);

/* ---- INVITEs and their targets (fork.c) ------------------------------------------------------ */

struct invite *fork_invite_of(struct lab_proxy *p, struct cph_span branch); /* of the caller */
void fork_clear(struct invite *v);
void fork_invite(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from);
void fork_cancel(struct lab_proxy *p, const struct cph_sip_msg *cancel, const struct way *from);
void fork_response(struct lab_proxy *p, const struct cph_sip_msg *res, const struct way *from);

/* ---- less polite boxes (b2bua.c) ------------------------------------------------------------- */

/** The body to pass on; false: the message is to go no further. */
bool box_body(struct lab_proxy *p, const struct cph_sip_msg *msg, const struct way *from,
              struct cph_span *body);
/** Supported or Require, with or without 100rel. */
void box_options(const struct lab_proxy *p, const struct cph_sip_header *h, struct cph_wr *wr);
/** An early dialog that no callee has: the network plays something first. */
void box_early(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req);

#endif

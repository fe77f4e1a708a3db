/*
 * A SIP server of the simulated network, message by message: registrar, proxy that forks and
 * follows redirects, and on request the less polite boxes of the world (one that takes PRACK out,
 * holds descriptions back or reorders them, invents early dialogs, or changes what it carries).
 * UDP, or TLS over connections that phones open, or both. Servers can stand in a row, each hop with
 * a transport of its own.
 */
#ifndef CPH_LAB_PROXY_H
#define CPH_LAB_PROXY_H

#include "net.h"

#include "ciphony/base_wire.h"
#include "ciphony/crypto_key.h"
#include "ciphony/sip_msg.h"

struct lab_proxy;

enum lab_proxy_body { LAB_BODY_KEEP, LAB_BODY_REPLACE, LAB_BODY_DROP_MESSAGE };

struct lab_proxy_ops {
    /* A body passes in msg, sent by from: a description, several of them, or a sealed one. REPLACE:
     * with what was written to out; a description in the place of another body is called so. */
    enum lab_proxy_body (*sdp)(void *ctx, const struct cph_sip_msg *msg,
                               const struct cph_addr *from, struct cph_span sdp,
                               struct cph_wr *out);
};

struct lab_proxy_config {
    const char *ip;            /* it listens on port 5060 there */
    cph_time delay;            /* it thinks this long over each message */
    bool recurse;              /* follows a 3xx itself; else it goes back to the caller */
    bool no_prack;             /* takes 100rel out of Supported and Require */
    bool hold_sdp;             /* takes descriptions out of provisional responses */
    bool reorder_sdp;          /* turns the order of each section's attributes round */
    bool fake_early;           /* answers each INVITE with an early dialog of the network's own */
    const struct cph_key *key; /* with cert: TLS on port 5061, and nothing else */
    const struct cph_cert *cert;
    bool both; /* with TLS: UDP on port 5060 as well */
    const char
        *next; /* calls to other servers' users go by way of this URI; NULL: straight there */
    const struct lab_proxy_ops *ops; /* NULL: it is honest */
    void *ctx;
};

struct lab_proxy_counts {
    unsigned requests, responses, registers, forks, recursed, cancelled;
};

CPH_MUST_CHECK cph_err lab_proxy_new(struct lab_net *net, const struct lab_proxy_config *cfg,
                                     struct lab_proxy **out);
/** Before the network. NULL is fine. */
void lab_proxy_free(struct lab_proxy *p);
/** user is also to be found at addr, as if it had registered. CPH_E_LIMIT. */
CPH_MUST_CHECK cph_err lab_proxy_add(struct lab_proxy *p, const char *user, const char *contact);
/** Contacts of user that are registered now. */
unsigned lab_proxy_contacts(const struct lab_proxy *p, const char *user);
struct lab_proxy_counts lab_proxy_counts(const struct lab_proxy *p);

/* An address that answers every INVITE with 302 and a Contact, and keeps the offer it saw. */
struct lab_redirect;
CPH_MUST_CHECK cph_err lab_redirect_new(struct lab_net *net, const char *ip, const char *contact,
                                        struct lab_redirect **out);
void lab_redirect_free(struct lab_redirect *r);
struct cph_span lab_redirect_offer(const struct lab_redirect *r); /* empty: none seen */

#endif

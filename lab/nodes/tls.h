/* The TLS side of a SIP server in the lab: connections that phones open and keep, and those it
 * opens to other servers, which must show the certificate it has itself. */
#ifndef CPH_LAB_TLS_H
#define CPH_LAB_TLS_H

#include "net.h"

#include "ciphony/crypto_key.h"

struct lab_tls;

/* One SIP message came whole. */
typedef void lab_tls_fn(void *ctx, const struct cph_addr *from, struct cph_span message);

CPH_MUST_CHECK cph_err lab_tls_new(struct lab_net *net, const struct cph_addr *addr,
                                   const struct cph_key *key, const struct cph_cert *cert,
                                   lab_tls_fn *message, void *ctx, struct lab_tls **out);
void lab_tls_free(struct lab_tls *t); /* NULL is fine */
/** What the node hears goes here. */
void lab_tls_opened(struct lab_tls *t, struct lab_node *node, uint32_t flow, bool incoming,
                    const struct cph_addr *remote);
void lab_tls_bytes(struct lab_tls *t, struct lab_node *node, uint32_t flow, struct cph_span bytes);
void lab_tls_closed(struct lab_tls *t, uint32_t flow);
/** Over the connection that host has with us, or over a new one. */
bool lab_tls_send(struct lab_tls *t, struct lab_node *node, const struct cph_addr *to,
                  struct cph_span message);

#endif

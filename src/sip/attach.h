/* The security manager, attached to our own stack below its transactions. */
#ifndef CPH_SIP_ATTACH_H
#define CPH_SIP_ATTACH_H

#include "ciphony/session_manager.h"
#include "ciphony/sip_msg.h"
#include "ciphony/sip_transport.h"

/* A hook that shows every message to the manager. Must not move while a stack uses it. */
struct cph_attach {
    struct cph_manager *manager; /* not owned */
    struct cph_sip_hook hook;    /* give &a->hook to the stack */
};

void cph_attach_init(struct cph_attach *a, struct cph_manager *manager);

/** What the stack knows of a hop, in the words of the evidence. peer_uri: the address of the party
 * the call is with (empty: not known), to tell its own device or domain from some proxy. */
void cph_attach_hop_facts(const struct cph_sip_hop *hop, struct cph_span peer_uri,
                          struct cph_hop_facts *out);

#endif

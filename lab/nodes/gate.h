/*
 * Boxes on the media path, to be put in as the filter of a stage: a gate that opens when the call
 * is answered, and inspection that lets through what looks like RTP. Neither knows of keying.
 */
#ifndef CPH_LAB_GATE_H
#define CPH_LAB_GATE_H

#include "trace.h"

/* Stands before a host, and lets media pass once the 200 of an INVITE has reached that host. */
struct lab_gate {
    struct cph_addr inside;
    cph_time way;     /* from the sender of a message to the host */
    cph_time open_at; /* 0: not yet */
    uint64_t passed, dropped;
};
CPH_MUST_CHECK cph_err lab_gate_init(struct lab_gate *g, const char *inside, cph_time way);
/** ctx: the gate. It reads SIP in clear alone. */
bool lab_gate_pass(void *ctx, const struct lab_packet *p);

/* Deep packet inspection: version, payload type and length as RFC 3550 A.1 has them. */
struct lab_inspector {
    uint64_t passed, dropped;
};
bool lab_inspector_pass(void *ctx, const struct lab_packet *p);
bool lab_looks_like_rtp(struct cph_span packet);

#endif

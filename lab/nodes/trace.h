/* What passed on the network: a capture for attackers, and a ladder for people. */
#ifndef CPH_LAB_TRACE_H
#define CPH_LAB_TRACE_H

#include "net.h"

#include "ciphony/base_wire.h"

enum lab_kind { LAB_SIP, LAB_RTP, LAB_RTCP, LAB_KEYING, LAB_OTHER };

struct lab_packet {
    cph_time at;
    struct cph_addr from, to;
    bool stream, swallowed;
    enum lab_kind kind;
    struct cph_span bytes; /* owned by the trace */
};

struct lab_trace; /* packets in the order they were sent */

CPH_MUST_CHECK cph_err lab_trace_new(struct lab_trace **out);
void lab_trace_free(struct lab_trace *t);
/** Name a host of the ladder; hosts stand in the order they were first named. */
void lab_trace_name(struct lab_trace *t, const char *ip, const char *name);
CPH_MUST_CHECK cph_err lab_trace_add(struct lab_trace *t, const struct cph_addr *from,
                                     const struct cph_addr *to, struct cph_span bytes, bool stream,
                                     bool swallowed, cph_time now);
size_t lab_trace_count(const struct lab_trace *t);
const struct lab_packet *lab_trace_at(const struct lab_trace *t, size_t i);
size_t lab_trace_kind(const struct lab_trace *t, enum lab_kind kind); /* how many */

/* One step of the ladder: packets of the same kind one after the other are one step, and so are
 * those of flows that alternate. */
struct lab_step {
    cph_time at;
    unsigned from, to; /* hosts; to == from never */
    unsigned n;
    bool flows; /* media, RTCP, PCM: many alike, both ways */
    char text[72];
};
unsigned lab_trace_hosts(const struct lab_trace *t);
const char *lab_trace_host(const struct lab_trace *t, unsigned i);
/** Steps into out; returns how many there are, at most cap. Deterministic. */
size_t lab_trace_ladder(const struct lab_trace *t, struct lab_step *out, size_t cap);
/** The ladder as text lines. */
void lab_trace_print(const struct lab_trace *t, struct cph_wr *out);

#endif

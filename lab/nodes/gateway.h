/*
 * The far side of a gateway to the telephone network: a circuit on which PCM goes in clear, and a
 * telephone at its end, where somebody speaks and listens. The near side is the sound of a
 * terminal, whose calls may be as well encrypted as they like.
 */
#ifndef CPH_LAB_GATEWAY_H
#define CPH_LAB_GATEWAY_H

#include "speech.h"

#include "ciphony/media.h"

struct lab_gateway;
enum { LAB_TRUNK_PORT = 7000 }; /* the circuit, as far as this network knows */

/** near: the terminal's address; far: the telephone's. It speaks as this speaker. One call at a
 * time. */
CPH_MUST_CHECK cph_err lab_gateway_new(struct lab_net *net, const char *near, const char *far,
                                       uint64_t seed, unsigned speaker, struct lab_gateway **out);
/** After its terminal and the network, which both hold parts of it. NULL is fine. */
void lab_gateway_free(struct lab_gateway *g);
/** ctx: the gateway. */
CPH_MUST_CHECK cph_err lab_gateway_sound(void *ctx, uint32_t call, struct cph_media_source **source,
                                         struct cph_media_sink **sink);
const struct lab_heard *lab_gateway_said(const struct lab_gateway *g); /* at the telephone */
const struct lab_heard *lab_gateway_heard(const struct lab_gateway *g);

#endif

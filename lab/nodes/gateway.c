#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

enum { RATE = 8000, QUEUE = 4 };

struct lab_gateway {
    struct lab_net *net;
    struct lab_node *near_node, *far_node;
    struct cph_addr near, far;
    uint64_t seed;
    unsigned speaker;
    uint32_t frame;
    struct lab_heard said, heard;
    struct cph_media_source source;
    struct cph_media_sink sink;
    uint8_t queue[QUEUE][LAB_FRAME]; /* from the circuit, to be spoken into the call */
    unsigned queued;
};

/* ---- the near side --------------------------------------------------------------------------- */

static void from_circuit(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                         struct cph_span bytes, cph_time now)
{
    struct lab_gateway *g = ctx;

    (void)local;
    (void)from;
    (void)now;
    if (bytes.n == LAB_FRAME && g->queued < QUEUE)
        memcpy(g->queue[g->queued++], bytes.p, LAB_FRAME);
}

static cph_err source_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct lab_gateway *g =
        (struct lab_gateway *)((char *)s - offsetof(struct lab_gateway, source));

    if (n != LAB_FRAME || g->queued == 0)
        return CPH_OK; /* silence */
    for (size_t i = 0; i < n; i++)
        pcm[i] = lab_ulaw_pcm(g->queue[0][i]);
    g->queued--;
    memmove(g->queue[0], g->queue[1], g->queued * sizeof g->queue[0]);
    return CPH_OK;
}

static cph_err sink_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct lab_gateway *g = (struct lab_gateway *)((char *)s - offsetof(struct lab_gateway, sink));
    uint8_t frame[LAB_FRAME];

    if (n != LAB_FRAME)
        return CPH_OK;
    for (size_t i = 0; i < n; i++)
        frame[i] = lab_pcm_ulaw(pcm[i]);
    return lab_send(g->near_node, &g->near, &g->far, (struct cph_span){ frame, n });
}

static void source_free(struct cph_media_source *s)
{
    (void)s; /* part of the gateway */
}

static void sink_free(struct cph_media_sink *s)
{
    (void)s;
}

cph_err lab_gateway_sound(void *ctx, uint32_t call, struct cph_media_source **source,
                          struct cph_media_sink **sink)
{
    static const struct cph_media_source_ops source_ops = { source_read, source_free };
    static const struct cph_media_sink_ops sink_ops = { sink_write, sink_free };
    struct lab_gateway *g = ctx;

    (void)call;
    g->source = (struct cph_media_source){ &source_ops, RATE };
    g->sink = (struct cph_media_sink){ &sink_ops, RATE };
    *source = &g->source;
    *sink = &g->sink;
    return CPH_OK;
}

/* ---- the telephone --------------------------------------------------------------------------- */

/* A circuit has one clock: for each frame that comes, one goes. */
static void to_telephone(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                         struct cph_span bytes, cph_time now)
{
    struct lab_gateway *g = ctx;
    uint8_t frame[LAB_FRAME];
    unsigned speaker;
    uint32_t i;

    (void)local;
    (void)from;
    if (lab_speech_is(g->seed, bytes, &speaker, &i))
        lab_heard_add(&g->heard, speaker, i, now);
    lab_speech_frame(g->seed, g->speaker, g->frame, frame);
    lab_heard_add(&g->said, g->speaker, g->frame++, now);
    (void)!lab_send(g->far_node, &g->far, &g->near, (struct cph_span){ frame, sizeof frame });
}

static cph_err attach(struct lab_gateway *g, const struct lab_node_ops *ops, const char *ip,
                      struct lab_node **node, struct cph_addr *addr)
{
    CPH_TRY(cph_addr_parse_ip(cph_span_of(ip), addr));
    addr->port = LAB_TRUNK_PORT;
    CPH_TRY(lab_node_new(g->net, ops, g, node));
    return lab_bind(*node, addr);
}

cph_err lab_gateway_new(struct lab_net *net, const char *near, const char *far, uint64_t seed,
                        unsigned speaker, struct lab_gateway **out)
{
    static const struct lab_node_ops near_ops = { .datagram = from_circuit };
    static const struct lab_node_ops far_ops = { .datagram = to_telephone };
    struct lab_gateway *g = calloc(1, sizeof *g);
    cph_err err;

    if (!g)
        return CPH_E_NOMEM;
    *g = (struct lab_gateway){ .net = net, .seed = seed, .speaker = speaker };
    err = attach(g, &near_ops, near, &g->near_node, &g->near);
    if (err == CPH_OK)
        err = attach(g, &far_ops, far, &g->far_node, &g->far);
    if (err != CPH_OK) {
        free(g);
        return err;
    }
    *out = g;
    return CPH_OK;
}

void lab_gateway_free(struct lab_gateway *g)
{
    free(g);
}

const struct lab_heard *lab_gateway_said(const struct lab_gateway *g)
{
    return &g->said;
}

const struct lab_heard *lab_gateway_heard(const struct lab_gateway *g)
{
    return &g->heard;
}

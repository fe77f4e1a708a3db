/* Two flows and a net between them in virtual time, for the tests of the flow. */
#ifndef CPH_TEST_FLOWS_H
#define CPH_TEST_FLOWS_H

#include "support.h"

#include <stdlib.h>

#include "media_int.h"

enum { FLIGHT = 256 };

struct end {
    struct cph_media_flow *flow;
    cph_time clock; /* what its own clock shows when the net's shows `now` (ppm apart) */
    int ppm;
    struct cph_media_pcm heard;
    struct cph_media_event events[256];
    size_t n_events;
};

struct pair {
    struct test_env rnd;
    struct end a, b;
    unsigned loss, duplicate; /* percent, both ways */
    cph_time delay, jitter;
    cph_time now;
    struct {
        cph_time at;
        struct end *to;
        bool rtcp;
        size_t n;
        uint8_t bytes[CPH_MEDIA_PACKET_MAX];
    } flight[FLIGHT];
    size_t n;
    unsigned most; /* packets in flight at once */
};

static inline struct cph_media_params params_of(const char *name)
{
    struct cph_media_params p = { .send = true, .recv_on = true, .event_pt = 101 };

    for (size_t i = 0; cph_media_codecs()[i]; i++)
        if (strcmp(cph_media_codecs()[i]->name, name) == 0)
            p.codec = cph_media_codecs()[i];
    assert_non_null(p.codec);
    p.pt = p.codec->static_pt >= 0 ? (uint8_t)p.codec->static_pt : 96;
    p.event_rate = p.codec->clock_rate;
    p.recv[p.n_recv++] = (struct cph_media_payload){ .pt = p.pt, .codec = p.codec };
    p.recv[p.n_recv++] = (struct cph_media_payload){ .pt = 101, .event_rate = p.event_rate };
    return p;
}

static inline void end_start(struct pair *p, struct end *e, const struct cph_media_params *params,
                             uint32_t sink_rate)
{
    struct cph_media_flow_config config = { .env = &p->rnd.env };
    struct cph_media_sink *sink;

    assert_ok(cph_media_flow_new(&config, p->now, &e->flow));
    assert_ok(cph_media_memory_sink(&e->heard, sink_rate, 60 * 48000, &sink));
    assert_ok(cph_media_flow_sink(e->flow, sink));
    assert_ok(cph_media_flow_set(e->flow, params));
}

static inline void pair_start(struct pair *p, uint64_t seed, const struct cph_media_params *params)
{
    memset(p, 0, sizeof *p);
    test_env_init(&p->rnd, seed);
    p->now = CPH_SEC(1000);
    p->delay = CPH_MS(15);
    end_start(p, &p->a, params, 16000);
    end_start(p, &p->b, params, 16000);
}

static inline void pair_stop(struct pair *p)
{
    cph_media_flow_free(p->a.flow);
    cph_media_flow_free(p->b.flow);
    cph_media_pcm_free(&p->a.heard);
    cph_media_pcm_free(&p->b.heard);
}

/* The time an end's own clock shows, and back. */
static inline cph_time own(const struct end *e, cph_time now)
{
    return now + (now - CPH_SEC(1000)) * e->ppm / 1000000;
}

static inline void fly(struct pair *p, struct end *to, bool rtcp, const uint8_t *bytes, size_t n)
{
    if (test_random(&p->rnd) % 100 < p->loss)
        return;
    assert_true(p->n < FLIGHT);
    p->flight[p->n].at = p->now + p->delay +
                         (p->jitter ? (cph_time)(test_random(&p->rnd) % (uint64_t)p->jitter) : 0);
    p->flight[p->n].to = to;
    p->flight[p->n].rtcp = rtcp;
    p->flight[p->n].n = n;
    memcpy(p->flight[p->n++].bytes, bytes, n);
    p->most = p->n > p->most ? (unsigned)p->n : p->most;
}

static inline void drain(struct pair *p, struct end *from, struct end *to)
{
    uint8_t buf[CPH_MEDIA_PACKET_MAX];
    size_t n;

    while (cph_media_flow_pull(from->flow, buf, sizeof buf, &n) == CPH_OK) {
        fly(p, to, false, buf, n);
        if (test_random(&p->rnd) % 100 < p->duplicate)
            fly(p, to, false, buf, n);
    }
    while (cph_media_flow_pull_rtcp(from->flow, buf, sizeof buf, &n) == CPH_OK)
        fly(p, to, true, buf, n);
    while (from->n_events < 256 && cph_media_flow_event(from->flow, &from->events[from->n_events]))
        from->n_events++;
}

static inline void arrive(struct pair *p)
{
    for (size_t i = 0; i < p->n;) {
        struct end *to = p->flight[i].to;
        struct cph_span s = { p->flight[i].bytes, p->flight[i].n };

        if (p->flight[i].at > p->now) {
            i++;
            continue;
        }
        if (p->flight[i].rtcp)
            (void)cph_media_flow_feed_rtcp(to->flow, s, own(to, p->now));
        else
            (void)cph_media_flow_feed(to->flow, s, own(to, p->now));
        p->flight[i] = p->flight[--p->n];
    }
}

static inline void step_end(struct pair *p, struct end *e, struct end *other)
{
    cph_time t = own(e, p->now);

    if (cph_media_flow_deadline(e->flow) <= t)
        cph_media_flow_tick(e->flow, t);
    drain(p, e, other);
}

static inline cph_time earlier(cph_time a, cph_time b)
{
    return a < b ? a : b;
}

/* From one thing that happens to the next. */
static inline void pair_run(struct pair *p, cph_time us)
{
    cph_time end = p->now + us;

    while (p->now < end) {
        cph_time next = end;

        arrive(p);
        step_end(p, &p->a, &p->b);
        step_end(p, &p->b, &p->a);
        for (size_t i = 0; i < p->n; i++)
            next = earlier(next, p->flight[i].at);
        next = earlier(next, p->now + cph_media_flow_deadline(p->a.flow) - own(&p->a, p->now));
        next = earlier(next, p->now + cph_media_flow_deadline(p->b.flow) - own(&p->b, p->now));
        p->now = next > p->now ? next : p->now + 1;
    }
}

static inline struct cph_media_stats stats_of(const struct pair *p, const struct end *e)
{
    struct cph_media_stats s;

    cph_media_flow_stats(e->flow, own(e, p->now), &s);
    return s;
}

static inline size_t count_events(const struct end *e, enum cph_media_event_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < e->n_events; i++)
        n += e->events[i].kind == kind;
    return n;
}

#endif

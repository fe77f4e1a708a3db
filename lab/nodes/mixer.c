#include "mixer.h"

#include <stdlib.h>
#include <string.h>

enum { RATE = 8000, FRAME = RATE / 50, STALE = CPH_MS(60) };

struct leg {
    struct lab_mixer *mixer; /* NULL: free */
    struct cph_media_source source;
    struct cph_media_sink sink;
    bool has_source, has_sink;
    int16_t said[FRAME]; /* its newest frame */
    cph_time said_at;
};

struct lab_mixer {
    struct lab_net *net;
    struct leg leg[LAB_MIXER_LEGS];
    unsigned most;
};

static struct leg *of_source(struct cph_media_source *s)
{
    return (struct leg *)((char *)s - offsetof(struct leg, source));
}

static struct leg *of_sink(struct cph_media_sink *s)
{
    return (struct leg *)((char *)s - offsetof(struct leg, sink));
}

static int16_t add(int a, int b)
{
    int sum = a + b;

    return (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

static cph_err source_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct leg *me = of_source(s);
    cph_time now = lab_now(me->mixer->net);

    memset(pcm, 0, n * sizeof *pcm);
    for (unsigned i = 0; i < LAB_MIXER_LEGS; i++) {
        const struct leg *l = &me->mixer->leg[i];

        if (l == me || !l->mixer || !l->said_at || now - l->said_at > STALE)
            continue;
        for (size_t k = 0; k < n && k < FRAME; k++)
            pcm[k] = add(pcm[k], l->said[k]);
    }
    return CPH_OK;
}

static cph_err sink_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct leg *me = of_sink(s);

    memset(me->said, 0, sizeof me->said);
    memcpy(me->said, pcm, (n < FRAME ? n : FRAME) * sizeof *pcm);
    me->said_at = lab_now(me->mixer->net);
    return CPH_OK;
}

static void leave(struct leg *l)
{
    if (!l->has_source && !l->has_sink)
        *l = (struct leg){ 0 };
}

static void source_free(struct cph_media_source *s)
{
    struct leg *l = of_source(s);

    l->has_source = false;
    l->said_at = 0;
    leave(l);
}

static void sink_free(struct cph_media_sink *s)
{
    struct leg *l = of_sink(s);

    l->has_sink = false;
    l->said_at = 0;
    leave(l);
}

cph_err lab_mixer_sound(void *ctx, uint32_t call, struct cph_media_source **source,
                        struct cph_media_sink **sink)
{
    static const struct cph_media_source_ops source_ops = { source_read, source_free };
    static const struct cph_media_sink_ops sink_ops = { sink_write, sink_free };
    struct lab_mixer *m = ctx;
    unsigned i = 0;

    (void)call;
    while (i < LAB_MIXER_LEGS && m->leg[i].mixer)
        i++;
    if (i == LAB_MIXER_LEGS)
        return CPH_E_LIMIT;
    m->leg[i] = (struct leg){ .mixer = m,
                              .source = { &source_ops, RATE },
                              .sink = { &sink_ops, RATE },
                              .has_source = true,
                              .has_sink = true };
    *source = &m->leg[i].source;
    *sink = &m->leg[i].sink;
    if (lab_mixer_legs(m) > m->most)
        m->most = lab_mixer_legs(m);
    return CPH_OK;
}

unsigned lab_mixer_legs(const struct lab_mixer *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < LAB_MIXER_LEGS; i++)
        n += m->leg[i].mixer != NULL;
    return n;
}

unsigned lab_mixer_most(const struct lab_mixer *m)
{
    return m->most;
}

cph_err lab_mixer_new(struct lab_net *net, struct lab_mixer **out)
{
    struct lab_mixer *m = calloc(1, sizeof *m);

    if (!m)
        return CPH_E_NOMEM;
    m->net = net;
    *out = m;
    return CPH_OK;
}

void lab_mixer_free(struct lab_mixer *m)
{
    free(m);
}

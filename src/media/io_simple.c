/* Sources and sinks without a world behind them: a tone, nothing, memory. */
#include "ciphony/media_io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media_int.h"

struct tone {
    struct cph_media_source source; /* first: the two are one object */
    double phase, step, amplitude;
};

struct memory_source {
    struct cph_media_source source;
    const struct cph_media_pcm *pcm;
    size_t at;
    bool loop;
};

struct memory_sink {
    struct cph_media_sink sink;
    struct cph_media_pcm *into;
    size_t cap, limit;
};

/* ---- tone ------------------------------------------------------------------------------------ */

static cph_err tone_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct tone *t = (struct tone *)s;

    for (size_t i = 0; i < n; i++) {
        pcm[i] = media_clip(t->amplitude * sin(t->phase));
        t->phase = fmod(t->phase + t->step, 2 * M_PI);
    }
    return CPH_OK;
}

static void source_free(struct cph_media_source *s)
{
    free(s);
}

static const struct cph_media_source_ops tone_ops = { tone_read, source_free };

cph_err cph_media_tone(uint32_t rate, double hz, double dbfs, struct cph_media_source **out)
{
    struct tone *t;

    if (rate == 0 || !(hz > 0) || hz >= rate / 2.0 || !(dbfs <= 0))
        return CPH_E_ARGUMENT;
    t = calloc(1, sizeof *t);
    if (!t)
        return CPH_E_NOMEM;
    t->source = (struct cph_media_source){ &tone_ops, rate };
    t->step = 2 * M_PI * hz / rate;
    t->amplitude = 32767 * pow(10, dbfs / 20);
    *out = &t->source;
    return CPH_OK;
}

/* ---- nothing --------------------------------------------------------------------------------- */

static cph_err null_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    (void)s;
    memset(pcm, 0, n * sizeof *pcm);
    return CPH_OK;
}

static cph_err null_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    (void)s;
    (void)pcm;
    (void)n;
    return CPH_OK;
}

static void sink_free(struct cph_media_sink *s)
{
    free(s);
}

static const struct cph_media_source_ops null_source_ops = { null_read, source_free };
static const struct cph_media_sink_ops null_sink_ops = { null_write, sink_free };

cph_err cph_media_null_source(uint32_t rate, struct cph_media_source **out)
{
    struct cph_media_source *s = calloc(1, sizeof *s);

    if (!s)
        return CPH_E_NOMEM;
    *s = (struct cph_media_source){ &null_source_ops, rate };
    *out = s;
    return CPH_OK;
}

cph_err cph_media_null_sink(uint32_t rate, struct cph_media_sink **out)
{
    struct cph_media_sink *s = calloc(1, sizeof *s);

    if (!s)
        return CPH_E_NOMEM;
    *s = (struct cph_media_sink){ &null_sink_ops, rate };
    *out = s;
    return CPH_OK;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static cph_err memory_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct memory_source *m = (struct memory_source *)s;
    size_t done = 0;

    while (done < n) {
        size_t left = m->pcm->n - m->at, take = left < n - done ? left : n - done;

        if (take > 0)
            memcpy(pcm + done, m->pcm->p + m->at, take * sizeof *pcm);
        done += take;
        m->at += take;
        if (done == n)
            break;
        if (!m->loop || m->pcm->n == 0) {
            memset(pcm + done, 0, (n - done) * sizeof *pcm);
            return done == 0 ? CPH_E_CLOSED : CPH_OK;
        }
        m->at = 0;
    }
    return CPH_OK;
}

static const struct cph_media_source_ops memory_source_ops = { memory_read, source_free };

cph_err cph_media_memory_source(const struct cph_media_pcm *pcm, bool loop,
                                struct cph_media_source **out)
{
    struct memory_source *m = calloc(1, sizeof *m);

    if (!m)
        return CPH_E_NOMEM;
    m->source = (struct cph_media_source){ &memory_source_ops, pcm->rate };
    m->pcm = pcm;
    m->loop = loop;
    *out = &m->source;
    return CPH_OK;
}

static cph_err grow(struct memory_sink *m, size_t want)
{
    size_t cap = m->cap ? m->cap : 8000;
    int16_t *p;

    if (want <= m->cap)
        return CPH_OK;
    while (cap < want)
        cap *= 2;
    p = realloc(m->into->p, cap * sizeof *p);
    if (!p)
        return CPH_E_NOMEM;
    m->into->p = p;
    m->cap = cap;
    return CPH_OK;
}

static cph_err memory_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct memory_sink *m = (struct memory_sink *)s;

    if (n > m->limit - m->into->n)
        n = m->limit - m->into->n;
    if (n == 0)
        return CPH_OK;
    CPH_TRY(grow(m, m->into->n + n));
    memcpy(m->into->p + m->into->n, pcm, n * sizeof *pcm);
    m->into->n += n;
    return CPH_OK;
}

static const struct cph_media_sink_ops memory_sink_ops = { memory_write, sink_free };

cph_err cph_media_memory_sink(struct cph_media_pcm *into, uint32_t rate, size_t limit,
                              struct cph_media_sink **out)
{
    struct memory_sink *m = calloc(1, sizeof *m);

    if (!m)
        return CPH_E_NOMEM;
    m->sink = (struct cph_media_sink){ &memory_sink_ops, rate };
    m->into = into;
    m->limit = limit;
    *into = (struct cph_media_pcm){ .rate = rate };
    *out = &m->sink;
    return CPH_OK;
}

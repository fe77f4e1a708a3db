/*
 * Waveform substitution: the last pitch period is repeated, at full strength for 10 ms and fading
 * to nothing at 60 ms; the first 5 ms after the loss blend the substitute into what really came.
 */
#include <math.h>
#include <string.h>

#include "media_int.h"

static size_t ms(const struct media_plc *p, unsigned tenths)
{
    return (size_t)p->rate * tenths / 10000;
}

void media_plc_reset(struct media_plc *p, uint32_t rate)
{
    memset(p, 0, sizeof *p);
    p->rate = rate;
}

static void remember(struct media_plc *p, const int16_t *pcm, size_t n)
{
    size_t all = ms(p, 600);

    if (n > all) {
        pcm += n - all;
        n = all;
    }
    memmove(p->history, p->history + n, (all - n) * sizeof *p->history);
    memcpy(p->history + all - n, pcm, n * sizeof *pcm);
}

/* How well the last 20 ms repeat after lag samples, -1..1. Every step-th sample is looked at. */
static double likeness(const struct media_plc *p, size_t lag, size_t step)
{
    size_t all = ms(p, 600), window = ms(p, 200);
    const int16_t *x = p->history + all - window, *y = x - lag;
    double xy = 0, xx = 1, yy = 1;

    for (size_t i = 0; i < window; i += step) {
        xy += (double)x[i] * y[i];
        xx += (double)x[i] * x[i];
        yy += (double)y[i] * y[i];
    }
    return xy / sqrt(xx * yy);
}

static size_t find_pitch(const struct media_plc *p)
{
    size_t low = ms(p, 25), high = ms(p, 150), step = p->rate / 8000, best = low;
    double top = -2;

    for (size_t lag = low; lag <= high; lag += step) {
        double v = likeness(p, lag, step);

        if (v > top + 0.01) { /* not a multiple of the period that is no better */
            top = v;
            best = lag;
        }
    }
    return best;
}

static void begin(struct media_plc *p)
{
    size_t all = ms(p, 600), seam;

    p->pitch = find_pitch(p);
    seam = p->pitch / 4;
    for (size_t i = 0; i < p->pitch; i++)
        p->cycle[i] = p->history[all - p->pitch + i];
    /* the end of the period becomes what stood before its beginning, so that it can go round */
    for (size_t i = 0; i < seam; i++) {
        float w = (float)(i + 1) / (float)(seam + 1);
        size_t at = p->pitch - seam + i;

        p->cycle[at] = (1 - w) * p->cycle[at] + w * p->history[all - p->pitch - seam + i];
    }
    p->at = 0;
    p->step = (float)p->history[all - 1] - p->cycle[p->pitch - 1];
}

static float fade(const struct media_plc *p, size_t made)
{
    size_t hold = ms(p, 100), end = ms(p, 600);

    if (made < hold)
        return 1;
    return made >= end ? 0 : (float)(end - made) / (float)(end - hold);
}

static float substitute(struct media_plc *p)
{
    size_t blend = ms(p, 20);
    float v = p->cycle[p->at];

    /* A pitch is 2.5 ms at least. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    p->at = (p->at + 1) % p->pitch;
    if (p->made < blend)
        v += p->step * (float)(blend - p->made) / (float)blend;
    v *= fade(p, p->made);
    p->made++;
    return v;
}

void media_plc_conceal(struct media_plc *p, int16_t *out, size_t n)
{
    if (p->made == 0)
        begin(p);
    for (size_t i = 0; i < n; i++)
        out[i] = media_clip((double)substitute(p));
    remember(p, out, n);
}

void media_plc_good(struct media_plc *p, int16_t *pcm, size_t n)
{
    size_t blend = ms(p, 50);

    if (p->made > 0) {
        for (size_t i = 0; i < blend && i < n; i++) {
            float w = (float)(i + 1) / (float)(blend + 1);

            pcm[i] = media_clip((double)(w * pcm[i] + (1 - w) * substitute(p)));
        }
        p->made = 0;
    }
    remember(p, pcm, n);
}

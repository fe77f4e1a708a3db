/*
 * How alike are two recordings? Both become pictures: every 10 ms the energies of 14 bands of the
 * telephone's range, in dB. The loudness over time is slid along the other until it fits best; from
 * there the delay is followed where it changes, as a jitter buffer changes it, and the bands are
 * correlated along that way. Level, codec and a little delay do not matter to a picture.
 */
#include "ciphony/media_io.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media_int.h"

enum {
    RATE = 8000,
    HOP = 80,     /* 10 ms */
    WINDOW = 256, /* 32 ms, a power of two */
    BANDS = 14,
    SHORTEST = 20,  /* frames that must overlap */
    GAP_FRAMES = 4, /* 40 ms */
    COARSE = 3000,  /* frames; longer recordings are first aligned every fourth */
    RANGE_DB = 45,  /* below the loudest, nothing is told apart */
    LOUD_DB = 25,   /* sound that a person hears well */
    FINE_MS = 20,   /* how far the delay is refined */
    FOLLOW = 50,    /* frames: how far the delay may lie from where all fits best */
    LAGS = 2 * FOLLOW + 1,
};
/* What a change of the delay must win, in frames that are as far apart as two unrelated ones. */
#define CHANGE 60.0

struct picture {
    size_t n;
    float (*band)[BANDS];     /* dB */
    float (*norm)[BANDS];     /* the same with mean 0 and variance 1/2 of each band */
    float *loud;              /* all bands together, dB */
    float top;                /* loudest frame */
    struct cph_media_pcm pcm; /* at RATE */
};

/* Band edges in Hz, wider upwards as ears have them. */
static const int edge[BANDS + 1] = { 150,  250,  350,  450,  570,  700,  840, 1000,
                                     1170, 1370, 1600, 1900, 2300, 2750, 3300 };

/* ---- the picture ----------------------------------------------------------------------------- */

static void fft(float complex *x, size_t n)
{
    for (size_t i = 1, k = 0; i < n; i++) { /* bit-reversed order */
        size_t bit = n >> 1;

        for (; k & bit; bit >>= 1)
            k ^= bit;
        k ^= bit;
        if (i < k) {
            float complex t = x[i];

            x[i] = x[k];
            x[k] = t;
        }
    }
    for (size_t len = 2; len <= n; len <<= 1) {
        float complex turn = cexpf(-2.0F * (float)M_PI * I / (float)len);

        for (size_t i = 0; i < n; i += len) {
            float complex w = 1;

            for (size_t k = 0; k < len / 2; k++) {
                float complex u = x[i + k], v = x[i + k + len / 2] * w;

                x[i + k] = u + v;
                x[i + k + len / 2] = u - v;
                w *= turn;
            }
        }
    }
}

static void draw_frame(const int16_t *pcm, float *band, float *loud)
{
    float complex x[WINDOW];
    double all = 0;

    for (size_t i = 0; i < WINDOW; i++)
        x[i] = pcm[i] * (0.5F - 0.5F * cosf(2 * (float)M_PI * (float)i / WINDOW));
    fft(x, WINDOW);
    for (size_t b = 0; b < BANDS; b++) {
        double sum = 0;

        for (int k = edge[b] * WINDOW / RATE + 1; k <= edge[b + 1] * WINDOW / RATE; k++)
            sum += (double)(crealf(x[k]) * crealf(x[k]) + cimagf(x[k]) * cimagf(x[k]));
        all += sum;
        band[b] = (float)(10 * log10(sum + 1));
    }
    *loud = (float)(10 * log10(all + 1));
}

static cph_err to_rate(const struct cph_media_pcm *in, struct cph_media_pcm *out)
{
    struct media_resampler *r;
    size_t cap = (size_t)((uint64_t)in->n * RATE / in->rate) + RATE / 25;

    CPH_TRY(media_resampler_new(in->rate, RATE, &r));
    *out = (struct cph_media_pcm){ .rate = RATE, .p = calloc(cap, sizeof *out->p) };
    if (!out->p) {
        media_resampler_free(r);
        return CPH_E_NOMEM;
    }
    for (size_t at = 0; at < in->n;) {
        size_t step = in->rate / 50, n = in->n - at < step ? in->n - at : step;

        media_resampler_push(r, in->p + at, n);
        out->n += media_resampler_pull(r, out->p + out->n, cap - out->n);
        at += n;
    }
    media_resampler_free(r);
    return CPH_OK;
}

static void wipe_picture(struct picture *p)
{
    free(p->band);
    free(p->norm);
    free(p->loud);
    cph_media_pcm_free(&p->pcm);
}

static void normalize(struct picture *p, size_t band)
{
    double sum = 0, square = 0, variance;

    for (size_t i = 0; i < p->n; i++) {
        sum += p->band[i][band];
        square += (double)p->band[i][band] * p->band[i][band];
    }
    variance = square / (double)p->n - sum * sum / ((double)p->n * (double)p->n);
    for (size_t i = 0; i < p->n && variance > 1e-6; i++)
        p->norm[i][band] = (float)((p->band[i][band] - sum / (double)p->n) / sqrt(2 * variance));
}

static cph_err draw(const struct cph_media_pcm *pcm, struct picture *p)
{
    *p = (struct picture){ 0 };
    CPH_TRY(to_rate(pcm, &p->pcm));
    p->n = p->pcm.n < WINDOW ? 0 : (p->pcm.n - WINDOW) / HOP + 1;
    if (p->n < SHORTEST - 4)
        return CPH_E_ARGUMENT;
    p->band = calloc(p->n, sizeof *p->band);
    p->norm = calloc(p->n, sizeof *p->norm);
    p->loud = calloc(p->n, sizeof *p->loud);
    if (!p->band || !p->norm || !p->loud)
        return CPH_E_NOMEM;
    for (size_t i = 0; i < p->n; i++) {
        draw_frame(p->pcm.p + i * HOP, p->band[i], &p->loud[i]);
        p->top = p->loud[i] > p->top ? p->loud[i] : p->top;
    }
    /* what lies far below the loudest is noise of a codec or a room: one and the same floor for all
     */
    for (size_t i = 0; i < p->n; i++) {
        p->loud[i] = fmaxf(p->loud[i], p->top - RANGE_DB);
        for (size_t b = 0; b < BANDS; b++)
            p->band[i][b] = fmaxf(p->band[i][b], p->top - RANGE_DB);
    }
    for (size_t b = 0; b < BANDS; b++)
        normalize(p, b);
    return CPH_OK;
}

/* ---- aligning -------------------------------------------------------------------------------- */

struct sums { /* of a correlation */
    double n, x, y, xx, yy, xy;
};

static void add(struct sums *s, double x, double y)
{
    s->n++;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->yy += y * y;
    s->xy += x * y;
}

static double correlation(const struct sums *s)
{
    double vx = s->xx - s->x * s->x / s->n, vy = s->yy - s->y * s->y / s->n;

    if (s->n < 2 || vx <= 1e-6 * s->n || vy <= 1e-6 * s->n)
        return 0;
    return (s->xy - s->x * s->y / s->n) / sqrt(vx * vy);
}

/* Frames i of a that have a partner i + lag in b. */
static void overlap(const struct picture *a, const struct picture *b, long lag, size_t *from,
                    size_t *to)
{
    *from = lag < 0 ? (size_t)-lag : 0;
    *to = (long)a->n + lag > (long)b->n ? (size_t)((long)b->n - lag) : a->n;
}

static double fit_at(const struct picture *a, const struct picture *b, long lag, size_t step)
{
    struct sums s = { 0 };
    size_t from, to;

    overlap(a, b, lag, &from, &to);
    for (size_t i = from; i < to; i += step)
        add(&s, a->loud[i], b->loud[(size_t)((long)i + lag)]);
    return correlation(&s);
}

static long align(const struct picture *a, const struct picture *b)
{
    size_t shorter = a->n < b->n ? a->n : b->n;
    size_t least = shorter / 2 > SHORTEST - 4 ? shorter / 2 : SHORTEST - 4;
    size_t step = a->n > COARSE && b->n > COARSE ? 4 : 1;
    long best = 0, low = (long)least - (long)a->n, high = (long)b->n - (long)least;
    double top = -2;

    for (long lag = low; lag <= high; lag += (long)step) {
        double v = fit_at(a, b, lag, step);

        if (v > top) {
            top = v;
            best = lag;
        }
    }
    top = -2;
    for (long lag = best - 4, last = best + 4; lag <= last; lag++) {
        double v = lag < low || lag > high ? -2 : fit_at(a, b, lag, 1);

        if (v > top) {
            top = v;
            best = lag;
        }
    }
    return best;
}

/* ---- following the delay --------------------------------------------------------------------- */

/* The partner in b of frame i of a; false: there is none. */
static bool partner(const struct picture *b, long lag, size_t i, size_t *out)
{
    long at = (long)i + lag;

    *out = (size_t)at;
    return at >= 0 && at < (long)b->n;
}

/* How far apart two frames are: 0 the same, about 1 unrelated, or one of them not there. */
static double apart(const struct picture *a, size_t i, const struct picture *b, long lag)
{
    double sum = 0;
    size_t k;

    if (!partner(b, lag, i, &k))
        return 1;
    for (size_t band = 0; band < BANDS; band++) {
        double d = (double)a->norm[i][band] - (double)b->norm[k][band];

        sum += d * d;
    }
    return sum / BANDS;
}

/* From the lag where all fits best to one for each frame of a: the cheapest way on which frames are
 * little apart and the lag seldom changes. back: room for a->n rows. */
static void find_way(const struct picture *a, const struct picture *b, long best,
                     uint8_t (*back)[LAGS], long *lag)
{
    double cost[LAGS] = { 0 };
    size_t low = FOLLOW;

    for (size_t i = 0; i < a->n; i++) {
        double change = cost[low] + CHANGE;
        size_t from = low;

        low = 0;
        for (size_t k = 0; k < LAGS; k++) {
            back[i][k] = (uint8_t)(cost[k] <= change ? k : from);
            cost[k] = fmin(cost[k], change) + apart(a, i, b, best + (long)k - FOLLOW);
            low = cost[k] < cost[low] ? k : low;
        }
    }
    for (size_t i = a->n; i-- > 0; low = back[i][low])
        lag[i] = best + (long)low - FOLLOW;
}

static cph_err follow(const struct picture *a, const struct picture *b, long best, long *lag)
{
    uint8_t(*back)[LAGS] = calloc(a->n, sizeof *back);

    if (!back)
        return CPH_E_NOMEM;
    find_way(a, b, best, back, lag);
    free(back);
    return CPH_OK;
}

/* The loudest half second of a, slid over b sample by sample. */
static double fine_delay_ms(const struct picture *a, const struct picture *b, const long *lag)
{
    size_t loudest = a->n, k, n = RATE / 2;
    double top = 0;
    long best = 0;

    for (size_t i = 0; i < a->n; i++)
        if (partner(b, lag[i], i, &k) && (loudest == a->n || a->loud[i] > a->loud[loudest]))
            loudest = i;
    if (loudest == a->n)
        return 0;
    for (long d = -FINE_MS * RATE / 1000; d <= FINE_MS * RATE / 1000; d++) {
        struct sums s = { 0 };

        for (size_t i = 0; i < n; i++) {
            long x = (long)(loudest * HOP + i) - (long)n / 2, y = x + lag[loudest] * HOP + d;

            if (x >= 0 && y >= 0 && x < (long)a->pcm.n && y < (long)b->pcm.n)
                add(&s, a->pcm.p[x], b->pcm.p[y]);
        }
        if (correlation(&s) > top) {
            top = correlation(&s);
            best = d;
        }
    }
    return (double)(lag[loudest] * HOP + best) * 1000 / RATE;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* Mean of the bands' correlations, each weighted by how much happens in it. */
static double likeness(const struct picture *a, const struct picture *b, const long *lag)
{
    double sum = 0, weight = 0;
    size_t k;

    for (size_t band = 0; band < BANDS; band++) {
        struct sums s = { 0 };
        double w;

        for (size_t i = 0; i < a->n; i++)
            if (partner(b, lag[i], i, &k))
                add(&s, a->band[i][band], b->band[k][band]);
        w = sqrt(fmax(0, s.xx - s.x * s.x / s.n));
        sum += w * correlation(&s);
        weight += w;
    }
    return weight > 0 ? fmax(0, sum / weight) : 0;
}

static void find_gaps(const struct picture *a, const struct picture *b, const long *lag,
                      struct cph_media_likeness *out)
{
    size_t k, run = 0;

    for (size_t i = 0; i <= a->n; i++) {
        bool hole = i < a->n && partner(b, lag[i], i, &k) && a->loud[i] > a->top - LOUD_DB &&
                    b->loud[k] <= b->top - RANGE_DB + 1;

        if (hole) {
            run++;
            continue;
        }
        if (run >= GAP_FRAMES) {
            out->gaps++;
            out->gap_ms += (double)run * HOP * 1000 / RATE;
        }
        run = 0;
    }
}

static double covered(const struct picture *a, const struct picture *b, const long *lag)
{
    size_t k, all = 0, in = 0;

    for (size_t i = 0; i < a->n; i++)
        if (a->loud[i] > a->top - LOUD_DB) {
            all++;
            in += partner(b, lag[i], i, &k);
        }
    return all > 0 ? (double)in / (double)all : 0;
}

cph_err cph_media_compare(const struct cph_media_pcm *a, const struct cph_media_pcm *b,
                          struct cph_media_likeness *out)
{
    struct picture pa = { 0 }, pb = { 0 };
    long *lag = NULL;
    cph_err err = CPH_OK;

    if ((uint64_t)a->n * 5 < a->rate || (uint64_t)b->n * 5 < b->rate || a->rate < RATE ||
        b->rate < RATE)
        return CPH_E_ARGUMENT;
    err = draw(a, &pa);
    if (!err)
        err = draw(b, &pb);
    if (!err) {
        lag = calloc(pa.n, sizeof *lag);
        err = lag ? follow(&pa, &pb, align(&pa, &pb), lag) : CPH_E_NOMEM;
    }
    if (!err) {
        *out = (struct cph_media_likeness){ .similarity = likeness(&pa, &pb, lag),
                                            .delay_ms = fine_delay_ms(&pa, &pb, lag),
                                            .covered = covered(&pa, &pb, lag) };
        find_gaps(&pa, &pb, lag, out);
    }
    free(lag);
    wipe_picture(&pa);
    wipe_picture(&pb);
    return err;
}

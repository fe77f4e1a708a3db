/*
 * Resampling by a windowed sinc: 240 phases in a table, straight lines between neighbours, the
 * place of each output sample kept as an exact fraction so that nothing drifts. 240 has 2, 3 and 6
 * in it: between 8, 16 and 48 kHz every place is a phase of the table.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media_int.h"

enum {
    PHASES = 240,
    CROSSINGS = 16, /* zero crossings of the sinc on each side */
    RATE_MIN = 8000,
    RATE_MAX = 192000,
};

static const double passband = 0.93; /* of the lower Nyquist frequency; the rest is for the slope */
static const double kaiser_beta = 8; /* about 80 dB of stop band */

struct media_resampler {
    uint32_t in_rate, out_rate;
    size_t taps;  /* even */
    float *table; /* (PHASES + 1) rows of taps */
    float *in;    /* samples not yet passed */
    size_t n, cap;
    size_t at;     /* first sample under the window of the next output */
    uint32_t frac; /* of out_rate: how far between two input samples */
};

static double bessel0(double x)
{
    double sum = 1, term = 1;

    for (int k = 1; k < 40; k++) {
        term *= (x / 2 / k) * (x / 2 / k);
        sum += term;
    }
    return sum;
}

static double kernel(double x, double cut, double half)
{
    double w = x / half, s = cut * x * M_PI;

    if (w <= -1 || w >= 1)
        return 0;
    return cut * (fabs(s) < 1e-9 ? 1 : sin(s) / s) * bessel0(kaiser_beta * sqrt(1 - w * w)) /
           bessel0(kaiser_beta);
}

static void fill_table(struct media_resampler *r, double cut)
{
    double half = (double)r->taps / 2;

    for (size_t ph = 0; ph <= PHASES; ph++) {
        float *row = r->table + ph * r->taps;
        double sum = 0;

        for (size_t i = 0; i < r->taps; i++) {
            double x = (double)i - (half - 1) - (double)ph / PHASES;

            row[i] = (float)kernel(x, cut, half);
            sum += row[i];
        }
        for (size_t i = 0; i < r->taps; i++) /* a constant stays what it is, in every phase */
            row[i] = (float)(row[i] / sum);
    }
}

void media_resampler_free(struct media_resampler *r)
{
    if (!r)
        return;
    free(r->table);
    free(r->in);
    free(r);
}

cph_err media_resampler_new(uint32_t in_rate, uint32_t out_rate, struct media_resampler **out)
{
    struct media_resampler *r;
    double cut = out_rate < in_rate ? (double)out_rate / in_rate : 1;

    if (in_rate < RATE_MIN || in_rate > RATE_MAX || out_rate < RATE_MIN || out_rate > RATE_MAX)
        return CPH_E_ARGUMENT;
    r = calloc(1, sizeof *r);
    if (!r)
        return CPH_E_NOMEM;
    r->in_rate = in_rate;
    r->out_rate = out_rate;
    if (in_rate == out_rate)
        r->taps = 2; /* the table is not used */
    else
        r->taps = 2 * (size_t)ceil(CROSSINGS / (cut * passband));
    r->cap = r->taps + in_rate / 25 + 64;
    r->table = calloc((PHASES + 1) * r->taps, sizeof *r->table);
    r->in = calloc(r->cap, sizeof *r->in);
    if (!r->table || !r->in) {
        media_resampler_free(r);
        return CPH_E_NOMEM;
    }
    fill_table(r, cut * passband);
    r->n = r->taps / 2 - 1; /* begin with silence, so that the first sample is the first */
    *out = r;
    return CPH_OK;
}

size_t media_resampler_need(const struct media_resampler *r, size_t n)
{
    uint64_t last;

    if (n == 0)
        return 0;
    last = r->at + ((uint64_t)r->frac + (uint64_t)(n - 1) * r->in_rate) / r->out_rate + r->taps;
    return last > r->n ? (size_t)(last - r->n) : 0;
}

void media_resampler_push(struct media_resampler *r, const int16_t *in, size_t n)
{
    if (r->at > 0) {
        size_t gone = r->at < r->n ? r->at : r->n;

        memmove(r->in, r->in + gone, (r->n - gone) * sizeof *r->in);
        r->n -= gone;
        r->at -= gone;
    }
    if (n > r->cap - r->n)
        n = r->cap - r->n;
    for (size_t i = 0; i < n; i++)
        r->in[r->n++] = in[i];
}

/* Four sums, so that one addition need not wait for the other. n is even. */
static float product(const float *a, const float *x, size_t n)
{
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * x[i];
        s1 += a[i + 1] * x[i + 1];
        s2 += a[i + 2] * x[i + 2];
        s3 += a[i + 3] * x[i + 3];
    }
    for (; i < n; i++)
        s0 += a[i] * x[i];
    return (s0 + s1) + (s2 + s3);
}

static float one(const struct media_resampler *r)
{
    uint64_t place = (uint64_t)r->frac * PHASES;
    size_t ph = (size_t)(place / r->out_rate);
    const float *row = r->table + ph * r->taps, *x = r->in + r->at;
    float v = product(row, x, r->taps), mix = (float)(place % r->out_rate) / (float)r->out_rate;

    if (place % r->out_rate > 0)
        v += mix * (product(row + r->taps, x, r->taps) - v);
    return v;
}

size_t media_resampler_pull(struct media_resampler *r, int16_t *out, size_t n)
{
    size_t done = 0;

    while (done < n && r->at + r->taps <= r->n) {
        out[done++] = media_clip((double)(r->in_rate == r->out_rate ? r->in[r->at] : one(r)));
        r->frac += r->in_rate;
        r->at += r->frac / r->out_rate;
        r->frac %= r->out_rate;
    }
    return done;
}

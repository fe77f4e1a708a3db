#include <math.h>

#include "media_int.h"

int16_t media_clip(double v)
{
    if (v >= INT16_MAX)
        return INT16_MAX;
    return v <= INT16_MIN ? INT16_MIN : (int16_t)lrint(v);
}

double media_power(const int16_t *pcm, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)(pcm[i] * pcm[i]);
    return n > 0 ? (double)sum / (double)n / (32768.0 * 32768.0) : 0;
}

void media_level_add(struct media_level *l, const int16_t *pcm, size_t n)
{
    l->power[l->at] = media_power(pcm, n);
    l->at = (l->at + 1) % LEVEL_FRAMES;
}

double media_level_dbfs(const struct media_level *l)
{
    double sum = 0;

    for (unsigned i = 0; i < LEVEL_FRAMES; i++)
        sum += l->power[i];
    sum /= LEVEL_FRAMES;
    return sum < 2e-13 ? -127 : 10 * log10(sum);
}

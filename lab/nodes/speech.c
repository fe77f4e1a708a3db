#include "speech.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_tools.h"

/*
 *   byte 0      0x80 + speaker
 *   bytes 1..8  0x80 + one hexadecimal digit of the number each, the highest first
 *   the rest    pseudo-random in seed, speaker and number
 *
 * 0x7f is never used: it and 0xff are both zero to a decoder of mu-law.
 */
enum { DIGITS = 8, HEAD = 1 + DIGITS };

/* Behind its sign mu-law is a small float: three bits of exponent (from 2^7 on) and four of
 * mantissa, 132 too much, and half a step. */
enum { BIAS = 132, ZERO = (127 + 7) << 4, STEP = 19, HALF = 1 << (STEP - 1) };

static inline int16_t to_pcm(uint8_t u)
{
    uint32_t b = (uint8_t)~u, bits = (ZERO + (b & 0x7f)) << STEP | HALF;
    int minus = -(int)(b >> 7); /* all ones or none: nobody can foretell a sign */
    float f;

    memcpy(&f, &bits, sizeof f);
    return (int16_t)((((int)f - BIAS) ^ minus) - minus);
}

/* One byte for each number, but 0x7f for what no byte says. */
static inline uint8_t from_pcm(int16_t v)
{
    float f = (float)((v < 0 ? -v : v) + BIAS);
    uint32_t bits, said;

    memcpy(&bits, &f, sizeof bits);
    said = (bits >> STEP) - ZERO;
    if (said > 0x7f || (bits & (2 * HALF - 1)) != HALF)
        return 0x7f;
    return (uint8_t) ~((v < 0 ? 0x80U : 0U) | said);
}

/* SplitMix64, from a keyed start: one frame tells nothing of the next. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

void lab_speech_frame(uint64_t seed, unsigned speaker, uint32_t i, uint8_t out[LAB_FRAME])
{
    uint64_t at = (uint64_t)speaker << 32 | i;
    uint64_t state = cph_siphash(seed, 77, (struct cph_span){ (const uint8_t *)&at, sizeof at });

    out[0] = (uint8_t)(0x80 | (speaker & 15));
    for (unsigned k = 0; k < DIGITS; k++)
        out[1 + k] = (uint8_t)(0x80 | ((i >> (4 * (DIGITS - 1 - k))) & 15));
    for (unsigned k = HEAD; k < LAB_FRAME; k += 8) {
        uint64_t r = draw(&state);

        for (unsigned b = k; b < k + 8 && b < LAB_FRAME; b++, r >>= 8)
            out[b] = (uint8_t)(r & 0xff) == 0x7f ? 0x55 : (uint8_t)(r & 0xff);
    }
}

bool lab_speech_is(uint64_t seed, struct cph_span payload, unsigned *speaker, uint32_t *i)
{
    uint8_t want[LAB_FRAME];
    uint32_t n = 0;

    if (payload.n != LAB_FRAME || (payload.p[0] & 0xf0) != 0x80)
        return false;
    for (unsigned k = 0; k < DIGITS; k++) {
        if ((payload.p[1 + k] & 0xf0) != 0x80)
            return false;
        n = n << 4 | (payload.p[1 + k] & 15U);
    }
    *speaker = payload.p[0] & 15U;
    *i = n;
    lab_speech_frame(seed, *speaker, n, want);
    /* made-up speech, public */
    return *speaker < LAB_SPEAKERS && memcmp(want, payload.p, LAB_FRAME) == 0;
}

int16_t lab_ulaw_pcm(uint8_t u)
{
    return to_pcm(u);
}

uint8_t lab_pcm_ulaw(int16_t v)
{
    return from_pcm(v);
}

void lab_heard_add(struct lab_heard *h, unsigned speaker, uint32_t i, cph_time now)
{
    if (h->frames[speaker] && i <= h->last[speaker])
        return;
    if (!h->frames[speaker]) {
        h->first[speaker] = i;
        h->first_at[speaker] = now;
    }
    h->frames[speaker]++;
    h->last[speaker] = i;
    h->last_at[speaker] = now;
}

/* ---- source and sink ------------------------------------------------------------------------- */

struct source {
    struct cph_media_source source;
    struct lab_net *net;
    uint64_t seed;
    unsigned speaker;
    uint32_t next;
    size_t at; /* samples of the frame already given */
    uint8_t frame[LAB_FRAME];
    struct lab_heard *said;
};

static void begin_frame(struct source *s)
{
    lab_speech_frame(s->seed, s->speaker, s->next, s->frame);
    if (s->said)
        lab_heard_add(s->said, s->speaker, s->next, lab_now(s->net));
    s->next++;
}

static void to_pcm_all(const uint8_t *restrict frame, int16_t *restrict pcm, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = to_pcm(frame[i]);
}

static cph_err source_read(struct cph_media_source *base, int16_t *pcm, size_t n)
{
    struct source *s = (struct source *)base;

    while (n > 0) {
        size_t some = n < LAB_FRAME - s->at ? n : LAB_FRAME - s->at;

        if (s->at == 0)
            begin_frame(s);
        to_pcm_all(s->frame + s->at, pcm, some);
        s->at = (s->at + some) % LAB_FRAME;
        pcm += some;
        n -= some;
    }
    return CPH_OK;
}

static void source_free(struct cph_media_source *base)
{
    free(base);
}

cph_err lab_speech_source(struct lab_net *net, uint64_t seed, unsigned speaker,
                          struct lab_heard *said, struct cph_media_source **out)
{
    static const struct cph_media_source_ops ops = { source_read, source_free };
    struct source *s = calloc(1, sizeof *s);

    if (!s)
        return CPH_E_NOMEM;
    *s = (struct source){
        { &ops, 8000 }, .net = net, .seed = seed, .speaker = speaker, .said = said
    };
    *out = &s->source;
    return CPH_OK;
}

struct sink {
    struct cph_media_sink sink;
    struct lab_net *net;
    uint64_t seed;
    struct lab_heard *heard;
};

static cph_err sink_write(struct cph_media_sink *base, const int16_t *pcm, size_t n)
{
    struct sink *s = (struct sink *)base;
    uint8_t frame[LAB_FRAME];
    unsigned speaker;
    uint32_t i;

    if (n != LAB_FRAME)
        return CPH_OK;
    for (size_t k = 0; k < n; k++)
        frame[k] = from_pcm(pcm[k]);
    if (lab_speech_is(s->seed, (struct cph_span){ frame, n }, &speaker, &i))
        lab_heard_add(s->heard, speaker, i, lab_now(s->net));
    return CPH_OK;
}

static void sink_free(struct cph_media_sink *base)
{
    free(base);
}

cph_err lab_speech_sink(struct lab_net *net, uint64_t seed, struct lab_heard *heard,
                        struct cph_media_sink **out)
{
    static const struct cph_media_sink_ops ops = { sink_write, sink_free };
    struct sink *s = calloc(1, sizeof *s);

    if (!s)
        return CPH_E_NOMEM;
    *s = (struct sink){ { &ops, 8000 }, net, seed, heard };
    *out = &s->sink;
    return CPH_OK;
}

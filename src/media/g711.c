/* PCMU and PCMA: ITU-T G.711, RFC 3551 4.5.14. One byte a sample, no state. */
#include <stdlib.h>
#include <string.h>

#include "media_int.h"

enum {
    ULAW_BIAS = 132, /* 33 in 14 bits, here in 16: moves the segment borders to powers of two */
    ULAW_CLIP = 32635,
    /* Biased, a sample is 1.mmmm... * 2^(7 + segment): a float of it has the segment in its
     * exponent and the step as the first bits of its mantissa. */
    FLOAT_STEP = 19,            /* so far up is the last bit of the step */
    ULAW_ZERO = (127 + 7) << 4, /* segment 0, step 0 */
};

/* Nothing to remember, but an object makes the row like every other. */
struct cph_media_encoder {
    char none;
};

struct cph_media_decoder {
    char none;
};

/* Position of the highest bit set above bit 7; 0..7. */
static unsigned segment(unsigned v)
{
    return 24 - (unsigned)__builtin_clz(v | 0xff);
}

static uint8_t ulaw(int16_t pcm)
{
    int v = abs(pcm);
    float f = (float)((v > ULAW_CLIP ? ULAW_CLIP : v) + ULAW_BIAS);
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return (uint8_t) ~((pcm < 0 ? 0x80U : 0U) | ((bits >> FLOAT_STEP) - ULAW_ZERO));
}

static int16_t from_ulaw(uint8_t byte)
{
    uint32_t b = (uint8_t)~byte, bits = (ULAW_ZERO + (b & 0x7f)) << FLOAT_STEP;
    int minus = -(int)(b >> 7); /* all ones or none: nobody can foretell a sign */
    float f;

    bits |= 1U << (FLOAT_STEP - 1); /* the middle of the step */
    memcpy(&f, &bits, sizeof f);
    return (int16_t)((((int)f - ULAW_BIAS) ^ minus) - minus);
}

static uint8_t alaw(int16_t pcm)
{
    /* the negative half is mirrored one below, so that there is no zero to be said twice */
    unsigned sign = pcm < 0 ? 0 : 0x80;
    unsigned v = (unsigned)(pcm < 0 ? -(pcm + 1) : pcm);
    unsigned seg = segment(v);
    unsigned mantissa = (seg == 0 ? v >> 4 : v >> (seg + 3)) & 0x0f;

    return (uint8_t)((sign | seg << 4 | mantissa) ^ 0x55); /* even bits inverted */
}

static int16_t from_alaw(uint8_t byte)
{
    unsigned b = byte ^ 0x55U, seg = b >> 4 & 7;
    int v = (int)((b & 0x0f) << 4) + 8; /* the middle of the step */

    if (seg > 0)
        v = (v + 0x100) << (seg - 1);
    return (int16_t)(b & 0x80 ? v : -v);
}

static cph_err encoder_new(struct cph_span fmtp, struct cph_media_encoder **out)
{
    (void)fmtp;
    *out = calloc(1, sizeof **out);
    return *out ? CPH_OK : CPH_E_NOMEM;
}

static void encoder_free(struct cph_media_encoder *e)
{
    free(e);
}

static cph_err decoder_new(struct cph_media_decoder **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? CPH_OK : CPH_E_NOMEM;
}

static void decoder_free(struct cph_media_decoder *d)
{
    free(d);
}

static size_t samples(struct cph_span payload)
{
    return payload.n;
}

static cph_err encode_all(uint8_t (*one)(int16_t), const int16_t *pcm, size_t n, uint8_t *out,
                          size_t cap, size_t *out_n)
{
    if (n > cap)
        return CPH_E_NOSPACE;
    for (size_t i = 0; i < n; i++)
        out[i] = one(pcm[i]);
    *out_n = n;
    return CPH_OK;
}

static cph_err decode_all(int16_t (*one)(uint8_t), struct cph_span payload, int16_t *pcm,
                          size_t cap, size_t *n)
{
    if (payload.n > cap)
        return CPH_E_NOSPACE;
    for (size_t i = 0; i < payload.n; i++)
        pcm[i] = one(payload.p[i]);
    *n = payload.n;
    return CPH_OK;
}

static cph_err pcmu_encode(struct cph_media_encoder *e, const int16_t *pcm, size_t n, uint8_t *out,
                           size_t cap, size_t *out_n)
{
    (void)e;
    return encode_all(ulaw, pcm, n, out, cap, out_n);
}

static cph_err pcmu_decode(struct cph_media_decoder *d, struct cph_span payload, int16_t *pcm,
                           size_t cap, size_t *n)
{
    (void)d;
    return decode_all(from_ulaw, payload, pcm, cap, n);
}

static cph_err pcma_encode(struct cph_media_encoder *e, const int16_t *pcm, size_t n, uint8_t *out,
                           size_t cap, size_t *out_n)
{
    (void)e;
    return encode_all(alaw, pcm, n, out, cap, out_n);
}

static cph_err pcma_decode(struct cph_media_decoder *d, struct cph_span payload, int16_t *pcm,
                           size_t cap, size_t *n)
{
    (void)d;
    return decode_all(from_alaw, payload, pcm, cap, n);
}

/* clang-format off: a table. RFC 3551 6 has the payload types. */
#define G711_ROW(NAME, PT, ENCODE, DECODE)                                                         \
    {                                                                                              \
        .name = (NAME), .clock_rate = 8000, .channels = 1, .static_pt = (PT), .pcm_rate = 8000,    \
        .bit_rate = 64000, .encoder_new = encoder_new, .encoder_free = encoder_free,               \
        .encode = (ENCODE), .decoder_new = decoder_new, .decoder_free = decoder_free,              \
        .samples = samples, .decode = (DECODE),                                                    \
    }
/* clang-format on */

const struct cph_media_codec media_codec_pcmu = G711_ROW("PCMU", 0, pcmu_encode, pcmu_decode);
const struct cph_media_codec media_codec_pcma = G711_ROW("PCMA", 8, pcma_encode, pcma_decode);

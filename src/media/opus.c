/* Opus over RTP: RFC 7587. The codec itself is libopus. Mono, 48 kHz. */
#include <opus/opus.h>
#include <stdlib.h>

#include "media_int.h"

enum {
    BIT_RATE = 36000,    /* speech in full band, RFC 7587 3.1.1: 28 to 40 kbit/s; under 34 libopus
                          * has no room for the redundant copy */
    LOSS_LEAST = 5,      /* percent; under that libopus adds no copy */
    COMPLEXITY = 6,      /* of 10: the last steps cost twice the time for little */
    MAX_RATE_LOW = 6000, /* RFC 7587 6.1: values outside are to be ignored */
    MAX_RATE_HIGH = 510000,
};

/* libopus hands out the objects; these names keep the row's types apart. */
struct cph_media_encoder {
    OpusEncoder *opus;
};

struct cph_media_decoder {
    OpusDecoder *opus;
};

static bool wants(struct cph_span fmtp, const char *name)
{
    uint32_t v;

    return cph_media_fmtp_u32(fmtp, name, &v) == CPH_OK && v == 1;
}

static opus_int32 bit_rate(struct cph_span fmtp)
{
    uint32_t v;

    /* RFC 7587 7.1 MUST: we do not send more on average than the peer asks for */
    if (cph_media_fmtp_u32(fmtp, "maxaveragebitrate", &v) != CPH_OK || v < MAX_RATE_LOW ||
        v > MAX_RATE_HIGH)
        return BIT_RATE;
    return v < BIT_RATE ? (opus_int32)v : BIT_RATE;
}

static opus_int32 bandwidth(struct cph_span fmtp)
{
    uint32_t v;

    /* RFC 7587 7.1 MUST: no wider band than the peer can play */
    if (cph_media_fmtp_u32(fmtp, "maxplaybackrate", &v) != CPH_OK || v >= 48000 || v < 8000)
        return OPUS_BANDWIDTH_FULLBAND;
    if (v >= 24000)
        return OPUS_BANDWIDTH_SUPERWIDEBAND;
    if (v >= 16000)
        return OPUS_BANDWIDTH_WIDEBAND;
    return v >= 12000 ? OPUS_BANDWIDTH_MEDIUMBAND : OPUS_BANDWIDTH_NARROWBAND;
}

static bool settle(OpusEncoder *o, struct cph_span fmtp)
{
    return opus_encoder_ctl(o, OPUS_SET_BITRATE(bit_rate(fmtp))) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_MAX_BANDWIDTH(bandwidth(fmtp))) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_COMPLEXITY(COMPLEXITY)) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_VBR(wants(fmtp, "cbr") ? 0 : 1)) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_DTX(wants(fmtp, "usedtx"))) == OPUS_OK &&
           opus_encoder_ctl(o, OPUS_SET_INBAND_FEC(wants(fmtp, "useinbandfec"))) == OPUS_OK;
}

static void encoder_free(struct cph_media_encoder *e)
{
    if (e && e->opus)
        opus_encoder_destroy(e->opus);
    free(e);
}

static cph_err encoder_new(struct cph_span fmtp, struct cph_media_encoder **out)
{
    struct cph_media_encoder *e = calloc(1, sizeof *e);
    int err;

    if (!e)
        return CPH_E_NOMEM;
    e->opus = opus_encoder_create(CPH_MEDIA_MAX_RATE, 1, OPUS_APPLICATION_VOIP, &err);
    if (!e->opus || !settle(e->opus, fmtp)) {
        encoder_free(e);
        return CPH_E_NOMEM;
    }
    *out = e;
    return CPH_OK;
}

static cph_err encode(struct cph_media_encoder *e, const int16_t *pcm, size_t n, uint8_t *out,
                      size_t cap, size_t *out_n)
{
    opus_int32 got = opus_encode(e->opus, pcm, (int)n, out, (opus_int32)cap);

    if (got < 0)
        return CPH_E_ARGUMENT;
    *out_n = got <= 2 ? 0 : (size_t)got; /* one byte or two: libopus says it need not be sent */
    return CPH_OK;
}

static void loss(struct cph_media_encoder *e, unsigned percent)
{
    if (percent > 0 && percent < LOSS_LEAST)
        percent = LOSS_LEAST;
    (void)opus_encoder_ctl(e->opus, OPUS_SET_PACKET_LOSS_PERC(percent > 100 ? 100 : (int)percent));
}

static void decoder_free(struct cph_media_decoder *d)
{
    if (d && d->opus)
        opus_decoder_destroy(d->opus);
    free(d);
}

static cph_err decoder_new(struct cph_media_decoder **out)
{
    struct cph_media_decoder *d = calloc(1, sizeof *d);
    int err;

    if (!d)
        return CPH_E_NOMEM;
    /* RFC 7587 6.1 MUST: stereo can be received; libopus mixes it to mono */
    d->opus = opus_decoder_create(CPH_MEDIA_MAX_RATE, 1, &err);
    if (!d->opus) {
        decoder_free(d);
        return CPH_E_NOMEM;
    }
    *out = d;
    return CPH_OK;
}

static size_t samples(struct cph_span payload)
{
    int n = payload.n == 0
                ? 0
                : opus_packet_get_nb_samples(payload.p, (opus_int32)payload.n, CPH_MEDIA_MAX_RATE);

    return n > 0 ? (size_t)n : 0;
}

static cph_err decode(struct cph_media_decoder *d, struct cph_span payload, int16_t *pcm,
                      size_t cap, size_t *n)
{
    int got = opus_decode(d->opus, payload.p, (opus_int32)payload.n, pcm, (int)cap, 0);

    if (got < 0)
        return got == OPUS_BUFFER_TOO_SMALL ? CPH_E_NOSPACE : CPH_E_MALFORMED;
    *n = (size_t)got;
    return CPH_OK;
}

/*
 * Does the packet carry a low-rate copy of the one before? RFC 6716 4.2.4: in SILK and hybrid
 * frames the flag stands behind one voice-activity bit for each 20 ms (three at most) in the first
 * byte.
 */
static bool has_copy(struct cph_span payload)
{
    const unsigned char *frame[48];
    opus_int16 size[48];
    unsigned char toc;
    int per_frame, n;

    if (payload.n == 0 || payload.p[0] & 0x80) /* CELT has none */
        return false;
    n = opus_packet_parse(payload.p, (opus_int32)payload.n, &toc, frame, size, NULL);
    if (n <= 0 || size[0] == 0)
        return false;
    per_frame = opus_packet_get_samples_per_frame(payload.p, CPH_MEDIA_MAX_RATE) / 960;
    return frame[0][0] >> (7 - (per_frame > 1 ? per_frame : 1)) & 1;
}

static cph_err conceal(struct cph_media_decoder *d, struct cph_span next, int16_t *pcm, size_t n,
                       bool *fec)
{
    bool copy = has_copy(next);
    int got;

    if (copy)
        got = opus_decode(d->opus, next.p, (opus_int32)next.n, pcm, (int)n, 1);
    else
        got = opus_decode(d->opus, NULL, 0, pcm, (int)n, 0);
    if (got < 0 || (size_t)got != n)
        return CPH_E_MALFORMED;
    *fec = copy;
    return CPH_OK;
}

const struct cph_media_codec media_codec_opus = {
    .name = "opus",
    .clock_rate = 48000, /* RFC 7587 7 MUST: 48000 and two channels, whatever is in the packets */
    .channels = 2,
    .static_pt = -1,
    .pcm_rate = CPH_MEDIA_MAX_RATE,
    .bit_rate = BIT_RATE,
    .fmtp = "useinbandfec=1",
    .plc = true,
    .encoder_new = encoder_new,
    .encoder_free = encoder_free,
    .encode = encode,
    .loss = loss,
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .samples = samples,
    .decode = decode,
    .conceal = conceal,
};

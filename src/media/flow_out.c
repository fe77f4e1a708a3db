/* The sending half of a flow: source -> encoder or telephone event -> RTP packet. */
#include <string.h>

#include "flow_int.h"

enum { DIGIT_MS = 100, DIGIT_MIN_MS = 40, DIGIT_MAX_MS = 1000, SOURCE_CHUNK = 4800 };

uint32_t flow_frame_units(const struct cph_media_flow *f)
{
    return (f->params.codec ? f->params.codec->clock_rate : 8000) / 50;
}

cph_err flow_source_resampler(const struct cph_media_flow *f, const struct cph_media_source *s,
                              const struct cph_media_codec *codec, struct media_resampler **out)
{
    (void)f;
    *out = NULL;
    if (!s || !codec || s->rate == codec->pcm_rate)
        return CPH_OK;
    return media_resampler_new(s->rate, codec->pcm_rate, out);
}

/* ---- reading the source ---------------------------------------------------------------------- */

static void source_failed(struct cph_media_flow *f, cph_err err)
{
    struct cph_media_event e = { .kind = CPH_MEDIA_EVENT_IO, .err = err };

    if (err == CPH_E_CLOSED) {
        if (f->source_over)
            return;
        f->source_over = true;
        e = (struct cph_media_event){ .kind = CPH_MEDIA_EVENT_SOURCE_OVER };
    } else {
        cph_media_source_free(f->source);
        f->source = NULL;
    }
    flow_event(f, &e);
}

/* n samples at the source's rate; silence after its end. */
static void read_source(struct cph_media_flow *f, int16_t *pcm, size_t n)
{
    cph_err err;

    memset(pcm, 0, n * sizeof *pcm);
    if (!f->source || f->source_over)
        return;
    err = f->source->ops->read(f->source, pcm, n);
    if (err)
        source_failed(f, err);
}

static void read_resampled(struct cph_media_flow *f, struct media_resampler *r, int16_t *pcm,
                           size_t n)
{
    int16_t in[SOURCE_CHUNK];
    size_t need = media_resampler_need(r, n);

    if (need > SOURCE_CHUNK) /* 20 ms at 192 kHz and the window fit; anything else is a bug */
        need = SOURCE_CHUNK;
    read_source(f, in, need);
    media_resampler_push(r, in, need);
    memset(pcm, 0, n * sizeof *pcm);
    (void)media_resampler_pull(r, pcm, n);
}

static void read_frame(struct cph_media_flow *f, int16_t *pcm, size_t n)
{
    if (f->enc.from_source)
        read_resampled(f, f->enc.from_source, pcm, n);
    else
        read_source(f, pcm, n);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void send_packet(struct cph_media_flow *f, uint8_t pt, bool marker, uint32_t ts,
                        struct cph_span payload, cph_time now)
{
    struct cph_rtp rtp = {
        .marker = marker, .pt = pt, .seq = f->seq, .ts = ts, .ssrc = f->id.ssrc, .payload = payload
    };
    struct flow_packet *p = flow_queue_add(&f->out);
    struct cph_wr wr = cph_wr_open(p->bytes, sizeof p->bytes);

    if (cph_rtp_build(&rtp, &wr) != CPH_OK) { /* cannot be: sizes and numbers are ours */
        f->out.n--;
        return;
    }
    p->n = wr.n;
    f->seq++;
    f->sent_packets++;
    f->sent_octets += (uint32_t)payload.n;
    f->stats.packets_out++;
    f->stats.octets_out += payload.n;
    cph_rtcp_clock_rtp_sent(&f->clock, now);
}

/* RFC 3551 4.1: the marker says that a talkspurt begins. */
static void send_audio(struct cph_media_flow *f, cph_time now)
{
    const struct cph_media_codec *c = f->params.codec;
    size_t want = (size_t)c->pcm_rate / 1000 * f->params.ptime_ms, n = 0;
    uint8_t payload[MEDIA_PAYLOAD_MAX];

    if (f->n_frame < want)
        return;
    f->n_frame = 0;
    if (c->encode(f->enc.state, f->frame, want, payload, sizeof payload, &n) != CPH_OK || n == 0) {
        f->spurt = true;
        return;
    }
    send_packet(f, f->params.pt, f->spurt, f->frame_ts, (struct cph_span){ payload, n }, now);
    f->spurt = false;
}

static void digit_sent(struct cph_media_flow *f, uint8_t code)
{
    flow_event(f, &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_DIGIT_SENT,
                                             .code = code,
                                             .digit = media_event_digit(code) });
}

static bool can_send_events(const struct cph_media_flow *f)
{
    /* RFC 4733 2.5.1.2 MUST: events share the clock of the audio */
    return f->params.event_pt >= 0 && f->params.codec &&
           f->params.event_rate == f->params.codec->clock_rate;
}

/* True while an event takes the place of the audio. */
static bool send_event(struct cph_media_flow *f, cph_time now)
{
    struct event_out e;

    if (!can_send_events(f))
        return false;
    if (!media_event_tx(&f->event_tx, f->ts, f->params.event_rate, &e))
        return false;
    if (e.send)
        send_packet(f, (uint8_t)f->params.event_pt, e.marker, e.ts,
                    (struct cph_span){ e.payload, sizeof e.payload }, now);
    if (e.done)
        digit_sent(f, e.code);
    return true;
}

/* One frame of 20 ms. The timestamp moves on whether or not anything is sent: RFC 3550 5.1. */
void flow_send_frame(struct cph_media_flow *f, cph_time now)
{
    const struct cph_media_codec *c = f->params.codec;
    size_t n = (c ? c->pcm_rate : 8000) / 50;
    int16_t *pcm = f->frame + f->n_frame;

    read_frame(f, pcm, n);
    if (f->mute || !f->params.send)
        memset(pcm, 0, n * sizeof *pcm);
    media_level_add(&f->level_out, pcm, n);
    if (!c || !f->params.send || send_event(f, now)) {
        f->n_frame = 0;
        f->spurt = true;
    } else {
        if (f->n_frame == 0)
            f->frame_ts = f->ts;
        f->n_frame += n;
        send_audio(f, now);
    }
    f->ts += flow_frame_units(f);
}

void flow_skip_frames(struct cph_media_flow *f, uint64_t n)
{
    f->ts += (uint32_t)n * flow_frame_units(f);
    f->n_frame = 0;
    f->spurt = true;
}

/* ---- keys ------------------------------------------------------------------------------------ */

cph_err cph_media_flow_digits(struct cph_media_flow *f, const char *digits, unsigned duration_ms)
{
    size_t n = strlen(digits);

    if (!can_send_events(f))
        return CPH_E_UNSUPPORTED;
    for (size_t i = 0; i < n; i++)
        if (media_event_code(digits[i]) < 0)
            return CPH_E_MALFORMED;
    if (n > MEDIA_DIGITS - f->event_tx.n)
        return CPH_E_LIMIT;
    if (duration_ms == 0)
        duration_ms = DIGIT_MS;
    if (duration_ms < DIGIT_MIN_MS)
        duration_ms = DIGIT_MIN_MS;
    if (duration_ms > DIGIT_MAX_MS)
        duration_ms = DIGIT_MAX_MS;
    for (size_t i = 0; i < n; i++) {
        f->event_tx.queue[f->event_tx.n].code = (uint8_t)media_event_code(digits[i]);
        f->event_tx.queue[f->event_tx.n++].ms = (uint16_t)duration_ms;
    }
    return CPH_OK;
}

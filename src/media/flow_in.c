/* The receiving half of a flow: RTP packet -> source -> jitter buffer -> decoder -> sink. */
#include <math.h>
#include <string.h>

#include "flow_int.h"

enum {
    MADE_UP_FRAMES = 5
}; /* after 100 ms of substitutes there is silence until something comes */

struct flow_recv *flow_recv_of(struct cph_media_flow *f, uint8_t pt)
{
    for (size_t i = 0; i < f->n_recv; i++)
        if (f->recv[i].what.pt == pt)
            return &f->recv[i];
    return NULL;
}

void flow_forget_playout(struct cph_media_flow *f)
{
    f->playing = NULL;
    f->n_pcm = 0;
    f->made_up = 0;
    f->heard_any = false;
}

/* ---- who is it? ------------------------------------------------------------------------------ */

static struct flow_source *find_source(struct cph_media_flow *f, uint32_t ssrc)
{
    for (size_t i = 0; i < FLOW_SOURCES; i++)
        if (f->from[i].used && f->from[i].rtp.ssrc == ssrc)
            return &f->from[i];
    return NULL;
}

static struct flow_source *meet_source(struct cph_media_flow *f, const struct cph_rtp *rtp,
                                       cph_time now)
{
    struct flow_source *s = NULL;

    for (size_t i = 0; i < FLOW_SOURCES; i++) {
        struct flow_source *c = &f->from[i];

        if (c == f->current)
            continue;
        if (!s || !c->used || (s->used && c->heard < s->heard))
            s = c;
        if (!c->used)
            break;
    }
    *s = (struct flow_source){ .used = true, .heard = now, .clock_rate = 8000 };
    /* The first source is believed at once, so that the first word is heard; another must show two
     * packets in sequence (RFC 3550 A.1) before it can take over. */
    cph_rtp_source_init(&s->rtp, rtp->ssrc, rtp->seq, f->current ? 2 : 0);
    flow_event(f, &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_SSRC, .ssrc = rtp->ssrc });
    return s;
}

static void make_current(struct cph_media_flow *f, struct flow_source *s)
{
    f->current = s;
    media_jitter_reset(f->jitter);
    f->event_rx = (struct event_rx){ 0 };
    f->heard_any = false;
}

/* Is this the source we play? Changes over when the rules of media.h say so. */
static bool is_current(struct cph_media_flow *f, struct flow_source *s, cph_time now)
{
    if (f->fixed && s->rtp.ssrc != f->chosen)
        return false;
    if (s == f->current)
        return true;
    if (!f->fixed && f->current && now - f->current->heard < CPH_MS(FLOW_SWITCH_MS))
        return false;
    make_current(f, s);
    return true;
}

/* ---- a packet comes -------------------------------------------------------------------------- */

static void digits(struct cph_media_flow *f, const struct event_digit *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        flow_event(f, &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_DIGIT,
                                                 .code = d[i].code,
                                                 .digit = media_event_digit(d[i].code),
                                                 .duration_ms = d[i].ms,
                                                 .ssrc = f->current->rtp.ssrc });
}

static void keep(struct cph_media_flow *f, const struct cph_rtp *rtp, const struct flow_recv *r,
                 cph_time now)
{
    struct jitter_packet p = { .seq = rtp->seq, .ts = rtp->ts, .pt = rtp->pt, .rate = 8000 };
    struct event_digit d[4] = { 0 };

    if (r->what.codec) {
        const struct cph_media_codec *c = r->what.codec;

        p.rate = c->clock_rate;
        p.units = (uint32_t)((uint64_t)c->samples(rtp->payload) * c->clock_rate / c->pcm_rate);
        p.payload = rtp->payload;
        if (p.units == 0) /* nothing that can be played: comfort, padding or nonsense */
            p.payload = (struct cph_span){ 0 };
    } else {
        digits(f, d,
               media_event_rx(&f->event_rx, rtp->payload, rtp->ts, r->what.event_rate, now, d, 4));
    }
    switch (media_jitter_put(f->jitter, &p, now)) {
    case JITTER_KEPT:
        break;
    case JITTER_LATE:
        f->stats.late++;
        break;
    case JITTER_EARLY:
        f->stats.early++;
        break;
    case JITTER_DUPLICATE:
        f->stats.duplicate++;
        break;
    case JITTER_TOO_LONG:
        f->stats.bad++;
        break;
    }
}

static cph_err refuse(struct cph_media_flow *f, cph_err err)
{
    f->stats.bad++;
    return err;
}

/* Our own number in use by someone else, or our packets coming back. RFC 3550 8.2. */
static cph_err meet_ourselves(struct cph_media_flow *f, uint32_t ssrc, cph_time now)
{
    cph_err err = cph_rtp_identity_meet(&f->id, f->env, ssrc);

    if (err == CPH_E_EXISTS) {
        flow_moved(f, now);
        return CPH_OK; /* RFC 3550 8.2: the packet is the other one's, who keeps the number */
    }
    return err;
}

static cph_err count(struct cph_media_flow *f, struct flow_source *s, const struct cph_rtp *rtp,
                     const struct flow_recv *r, cph_time now)
{
    uint32_t rate = r->what.codec ? r->what.codec->clock_rate : r->what.event_rate;
    uint16_t top = s->rtp.max_seq;
    uint32_t before = s->rtp.received;

    if (!cph_rtp_source_update(&s->rtp, rtp->seq, rtp->payload.n))
        return CPH_E_STATE;
    if (before > 0 && (int16_t)(rtp->seq - top) < 0)
        f->stats.reordered++;
    if (s == f->current && s->rtp.received == 1 && before > 0) /* it began anew */
        make_current(f, s);
    s->clock_rate = rate;
    /* RFC 4733 2.5.2.2 MUST: all packets count for the jitter, also those of events */
    cph_rtp_source_arrival(&s->rtp, rtp->ts, cph_rtp_units(now, rate));
    return CPH_OK;
}

cph_err cph_media_flow_feed(struct cph_media_flow *f, struct cph_span bytes, cph_time now)
{
    struct cph_rtp rtp;
    struct flow_recv *r;
    struct flow_source *s;
    bool current;
    cph_err err = cph_rtp_parse(bytes, &rtp);

    if (err)
        return refuse(f, err);
    r = flow_recv_of(f, rtp.pt);
    if (!r) /* RFC 3550 5.1 MUST: a payload type that was not agreed on is ignored */
        return refuse(f, CPH_E_UNSUPPORTED);
    err = meet_ourselves(f, rtp.ssrc, now);
    if (err)
        return refuse(f, err);
    s = find_source(f, rtp.ssrc);
    if (!s)
        s = meet_source(f, &rtp, now);
    err = count(f, s, &rtp, r, now);
    if (err) {
        s->heard = now;
        return refuse(f, err);
    }
    current = is_current(f, s, now);
    s->heard = now;
    f->stats.packets_in++;
    f->stats.octets_in += rtp.payload.n;
    cph_rtcp_clock_rtp_heard(&f->clock, now);
    if (current && f->params.recv_on)
        keep(f, &rtp, r, now);
    return CPH_OK;
}

/* ---- 20 ms are played ------------------------------------------------------------------------ */

static size_t frame_of(const struct cph_media_flow *f)
{
    return (f->playing ? f->playing->what.codec->pcm_rate : 8000) / 50;
}

static int16_t *room(struct cph_media_flow *f, size_t n)
{
    return n <= MEDIA_PCM_MAX - f->n_pcm ? f->pcm + f->n_pcm : NULL;
}

/* n samples that never came. next: the payload behind them, if it is there. */
static void make_up(struct cph_media_flow *f, size_t n, struct cph_span next)
{
    const struct cph_media_codec *c = f->playing->what.codec;
    int16_t *pcm = room(f, n);
    bool fec = false;

    if (!pcm)
        return;
    if (f->made_up >= MADE_UP_FRAMES && next.n == 0)
        memset(pcm, 0, n * sizeof *pcm);
    else if (!c->plc)
        media_plc_conceal(&f->plc, pcm, n);
    else if (c->conceal(f->playing->decoder, next, pcm, n, &fec) != CPH_OK)
        memset(pcm, 0, n * sizeof *pcm);
    f->stats.fec += fec;
    f->made_up++;
    f->n_pcm += n;
}

static void change_decoder(struct cph_media_flow *f, struct flow_recv *r)
{
    if (f->playing == r)
        return;
    if (!f->playing || f->playing->what.codec->pcm_rate != r->what.codec->pcm_rate)
        f->n_pcm = 0; /* of another rate */
    f->playing = r;
    media_plc_reset(&f->plc, r->what.codec->pcm_rate);
}

/* How well a frame repeats shift samples later, -1..1; every step-th sample is looked at. Loud
 * samples that meet by chance are no voice: the signs must agree as well. */
static double repeats(const int16_t *a, size_t n, size_t shift, size_t step)
{
    double xy = 0, xx = 1, yy = 1;
    size_t same = 0, all = 0;

    for (size_t i = 0; i < n; i += step, all++) {
        double x = a[i], y = a[i + shift];

        xy += x * y;
        xx += x * x;
        yy += y * y;
        same += (x < 0) == (y < 0);
    }
    return 10 * same > 7 * all ? xy / sqrt(xx * yy) : -1;
}

/* By how much two frames are best shortened: whole periods of a voice, 10 to 20 ms of it; 20 where
 * nothing repeats. */
static size_t best_shift(const int16_t *a, size_t n)
{
    size_t step = n > 160 ? n / 160 : 1, best = n;
    double top = 0.5;

    for (size_t shift = n / 2; shift <= n; shift += step) {
        double v = repeats(a, n, shift, step);

        if (v > top) {
            top = v;
            best = shift;
        }
    }
    return best;
}

static bool is_quiet(const int16_t *a, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * a[i];
    return sum < 10737 * (double)n; /* -50 dBFS */
}

/* Two frames in less than the time of two: the first fades into the second. gently: only where
 * nobody speaks. */
static void fold(struct cph_media_flow *f, size_t from, size_t n, bool gently)
{
    int16_t *a = f->pcm + from;
    size_t shift;

    if (f->n_pcm < from + 2 * n)
        return;
    if (is_quiet(a, n) ? !is_quiet(a + n, n)
                       : gently) /* a word is not touched, nor its beginning */
        return;
    shift = best_shift(a, n);
    for (size_t i = 0; i < n; i++)
        a[i] = (int16_t)(((int32_t)a[i] * (int32_t)(n - i) + (int32_t)a[shift + i] * (int32_t)i) /
                         (int32_t)n);
    memmove(a + n, a + n + shift, (f->n_pcm - from - n - shift) * sizeof *a);
    f->n_pcm -= shift;
    f->stats.removed++;
}

static bool decode(struct cph_media_flow *f, const struct jitter_packet *p)
{
    struct flow_recv *r = flow_recv_of(f, p->pt);
    size_t n = 0;

    if (!r || !r->what.codec)
        return false;
    change_decoder(f, r);
    if (r->what.codec->decode(r->decoder, p->payload, f->pcm + f->n_pcm, MEDIA_PCM_MAX - f->n_pcm,
                              &n) != CPH_OK) {
        f->stats.bad++;
        return false;
    }
    if (!r->what.codec->plc)
        media_plc_good(&f->plc, f->pcm + f->n_pcm, n);
    f->n_pcm += n;
    f->made_up = 0;
    f->heard_any = true;
    return true;
}

static void play_packet(struct cph_media_flow *f, const struct jitter_out *o, cph_time now)
{
    size_t from = f->n_pcm;
    struct jitter_out second;

    if (!decode(f, &o->packet)) {
        if (f->playing)
            make_up(f, frame_of(f), (struct cph_span){ 0 });
        return;
    }
    if (!o->shrink || media_jitter_get(f->jitter, now, false, &second) != JITTER_PACKET)
        return;
    if (from > f->n_pcm) /* the decoder's rate changed in between */
        from = 0;
    if (decode(f, &second.packet))
        fold(f, from, frame_of(f), o->gently);
}

static void play_lost(struct cph_media_flow *f, const struct jitter_out *o)
{
    const struct cph_media_codec *c;
    struct flow_recv *next = flow_recv_of(f, o->next_pt);
    size_t n;

    f->stats.lost++;
    if (!f->playing || o->packet.units == 0)
        return;
    c = f->playing->what.codec;
    n = (size_t)((uint64_t)o->packet.units * c->pcm_rate / c->clock_rate);
    make_up(f, n, next == f->playing ? o->next : (struct cph_span){ 0 });
    f->stats.concealed++;
}

/* Bring f->pcm to at least a frame. */
static void gather(struct cph_media_flow *f, cph_time now)
{
    bool quiet = media_level_dbfs(&f->level_in) < -50;
    struct jitter_out o;

    /* each turn takes a packet from the buffer or ends; the count is for safety */
    for (int turn = 0; turn < 2 * MEDIA_SLOTS && f->n_pcm < frame_of(f); turn++) {
        switch (media_jitter_get(f->jitter, now, quiet, &o)) {
        case JITTER_PACKET:
            play_packet(f, &o, now);
            continue;
        case JITTER_LOST:
            play_lost(f, &o);
            continue;
        case JITTER_GROW:
            f->stats.inserted++;
            break;
        case JITTER_EMPTY:
        case JITTER_WAIT:
            if (f->heard_any && f->made_up < MADE_UP_FRAMES)
                f->stats.concealed++;
            break;
        }
        if (f->playing)
            make_up(f, frame_of(f) - f->n_pcm, (struct cph_span){ 0 });
        return;
    }
}

/* At the sink's own rate. Apart, since most calls need none of this room. */
static __attribute__((noinline)) cph_err write_resampled(struct cph_media_flow *f,
                                                         const int16_t *pcm, size_t n)
{
    struct media_resampler *r = f->playing ? f->playing->to_sink : NULL;
    int16_t out[CPH_MEDIA_FRAME_MAX * 4 + 64] = { 0 }; /* 20 ms at 192 kHz and a few */

    if (r) {
        media_resampler_push(r, pcm, n);
        n = media_resampler_pull(r, out, sizeof out / sizeof out[0]);
    } else { /* nothing was heard yet: silence */
        n = f->sink->rate / 50;
    }
    return f->sink->ops->write(f->sink, out, n);
}

static void write_sink(struct cph_media_flow *f, const int16_t *pcm, size_t n)
{
    cph_err err;

    if (!f->sink)
        return;
    err = f->playing && !f->playing->to_sink ? f->sink->ops->write(f->sink, pcm, n)
                                             : write_resampled(f, pcm, n);
    if (err) {
        cph_media_sink_free(f->sink);
        f->sink = NULL;
        flow_event(f, &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_IO, .err = err });
    }
}

void flow_play_frame(struct cph_media_flow *f, cph_time now)
{
    struct event_digit d = { 0 };
    size_t n;

    if (f->current)
        digits(f, &d, media_event_rx_tick(&f->event_rx, now, &d));
    if (f->params.recv_on)
        gather(f, now);
    n = frame_of(f);
    if (f->n_pcm < n) { /* hold, or nobody yet */
        memset(f->pcm + f->n_pcm, 0, (n - f->n_pcm) * sizeof *f->pcm);
        f->n_pcm = n;
    }
    media_level_add(&f->level_in, f->pcm, n);
    write_sink(f, f->pcm, n);
    f->n_pcm -= n;
    memmove(f->pcm, f->pcm + n, f->n_pcm * sizeof *f->pcm);
}

#include "ciphony/media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_int.h"

enum { RTCP_WAITING = 4, DELAY_MIN_MS = 20, DELAY_MAX_MS = 400, DELAY_LIMIT_MS = 1000 };

void cph_media_source_free(struct cph_media_source *s)
{
    if (s)
        s->ops->free(s);
}

void cph_media_sink_free(struct cph_media_sink *s)
{
    if (s)
        s->ops->free(s);
}

/* ---- queues ---------------------------------------------------------------------------------- */

struct flow_packet *flow_queue_add(struct flow_queue *q)
{
    if (q->n == q->cap) {
        q->first = (q->first + 1) % q->cap;
        q->n--;
    }
    return &q->p[(q->first + q->n++) % q->cap];
}

static cph_err queue_pull(struct flow_queue *q, uint8_t *buf, size_t cap, size_t *n)
{
    const struct flow_packet *p = &q->p[q->first];

    if (q->n == 0)
        return CPH_E_AGAIN;
    if (p->n > cap)
        return CPH_E_NOSPACE;
    memcpy(buf, p->bytes, p->n);
    *n = p->n;
    q->first = (q->first + 1) % q->cap;
    q->n--;
    return CPH_OK;
}

void flow_event(struct cph_media_flow *f, const struct cph_media_event *e)
{
    if (f->n_event == FLOW_EVENTS) {
        f->event_first = (f->event_first + 1) % FLOW_EVENTS;
        f->n_event--;
    }
    f->event[(f->event_first + f->n_event++) % FLOW_EVENTS] = *e;
}

bool cph_media_flow_event(struct cph_media_flow *f, struct cph_media_event *out)
{
    if (f->n_event == 0)
        return false;
    *out = f->event[f->event_first];
    f->event_first = (f->event_first + 1) % FLOW_EVENTS;
    f->n_event--;
    return true;
}

/* ---- new and free ---------------------------------------------------------------------------- */

static void recv_free(struct flow_recv *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (r[i].decoder)
            r[i].what.codec->decoder_free(r[i].decoder);
        media_resampler_free(r[i].to_sink);
        r[i] = (struct flow_recv){ 0 };
    }
}

static void encoder_free(struct flow_encoder *e)
{
    if (e->state)
        e->codec->encoder_free(e->state);
    media_resampler_free(e->from_source);
    *e = (struct flow_encoder){ 0 };
}

void cph_media_flow_free(struct cph_media_flow *f)
{
    if (!f)
        return;
    encoder_free(&f->enc);
    recv_free(f->recv, f->n_recv);
    cph_media_source_free(f->source);
    cph_media_sink_free(f->sink);
    media_jitter_free(f->jitter);
    free(f->out.p);
    free(f->rtcp_out.p);
    free(f);
}

static cph_err make_queue(struct flow_queue *q, size_t cap)
{
    q->cap = cap;
    q->p = malloc(cap * sizeof *q->p); /* a packet is written before it is read */
    return q->p ? CPH_OK : CPH_E_NOMEM;
}

static cph_err make_cname(struct cph_media_flow *f, const char *cname)
{
    if (!cname)
        return cph_random_hex(f->env, f->cname, 24); /* RFC 7022 4.2: at least 96 bits */
    if (strlen(cname) >= sizeof f->cname)
        return CPH_E_ARGUMENT;
    memcpy(f->cname, cname, strlen(cname) + 1);
    return CPH_OK;
}

static cph_err make_jitter(struct cph_media_flow *f, const struct cph_media_flow_config *c)
{
    unsigned min = c->delay_min_ms ? c->delay_min_ms : DELAY_MIN_MS;
    unsigned max = c->delay_max_ms ? c->delay_max_ms : DELAY_MAX_MS;

    if (min > max || max > DELAY_LIMIT_MS)
        return CPH_E_ARGUMENT;
    return media_jitter_new(CPH_MS(min), CPH_MS(max), &f->jitter);
}

static cph_err draw_start(struct cph_media_flow *f)
{
    CPH_TRY(cph_rtp_identity_init(&f->id, f->env, 0));
    CPH_TRY(cph_random(f->env, &f->seq, sizeof f->seq));
    CPH_TRY(cph_random(f->env, &f->ts, sizeof f->ts));
    f->seq &=
        0x7fff; /* RFC 3711 3.3.1: no wrap in the first packets, while the ROC is being learned */
    return CPH_OK;
}

cph_err cph_media_flow_new(const struct cph_media_flow_config *config, cph_time now,
                           struct cph_media_flow **out)
{
    struct cph_media_flow *f = calloc(1, sizeof *f);
    cph_err err;

    if (!f)
        return CPH_E_NOMEM;
    f->env = config->env;
    f->rtcp = !config->no_rtcp;
    f->spurt = true;
    f->rtt = -1;
    f->stats.peer_loss = -1;
    f->started = now;
    f->wall = cph_wall(f->env);
    f->next_frame = CPH_TIME_NEVER;
    f->clock.next = CPH_TIME_NEVER;
    f->params.event_pt = -1;
    err = make_cname(f, config->cname);
    if (!err)
        err = draw_start(f);
    if (!err)
        err = make_jitter(f, config);
    if (!err)
        err = make_queue(&f->out, FLOW_OUT);
    if (!err)
        err = make_queue(&f->rtcp_out, RTCP_WAITING);
    if (err) {
        cph_media_flow_free(f);
        return err;
    }
    *out = f;
    return CPH_OK;
}

/* ---- what was settled ------------------------------------------------------------------------ */

static cph_err check(const struct cph_media_params *p)
{
    if (p->n_recv > CPH_MEDIA_PAYLOADS || p->pt > 127 || p->event_pt > 127 || p->fmtp.n > FLOW_FMTP)
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < p->n_recv; i++) {
        if (p->recv[i].pt > 127 || (!p->recv[i].codec && p->recv[i].event_rate < 8000))
            return CPH_E_ARGUMENT;
        for (size_t k = 0; k < i; k++)
            if (p->recv[k].pt == p->recv[i].pt)
                return CPH_E_ARGUMENT;
    }
    return CPH_OK;
}

static bool same_encoder(const struct flow_encoder *e, const struct cph_media_params *p)
{
    return e->codec == p->codec &&
           cph_span_eq((struct cph_span){ (const uint8_t *)e->fmtp, e->fmtp_n }, p->fmtp);
}

static cph_err make_encoder(struct cph_media_flow *f, const struct cph_media_params *p,
                            struct flow_encoder *e)
{
    cph_err err = CPH_OK;

    e->codec = p->codec;
    e->fmtp_n = p->fmtp.n;
    if (p->fmtp.n > 0)
        memcpy(e->fmtp, p->fmtp.p, p->fmtp.n);
    if (!e->codec)
        return CPH_OK;
    err = e->codec->encoder_new(p->fmtp, &e->state);
    if (!err)
        err = flow_source_resampler(f, f->source, e->codec, &e->from_source);
    if (err)
        encoder_free(e);
    return err;
}

static cph_err sink_resampler(const struct cph_media_sink *s, const struct cph_media_codec *codec,
                              struct media_resampler **out)
{
    *out = NULL;
    if (!s || !codec || s->rate == codec->pcm_rate)
        return CPH_OK;
    return media_resampler_new(codec->pcm_rate, s->rate, out);
}

static cph_err make_recv(struct cph_media_flow *f, const struct cph_media_params *p,
                         struct flow_recv *r)
{
    for (size_t i = 0; i < p->n_recv; i++) {
        cph_err err = CPH_OK;

        r[i].what = p->recv[i];
        if (r[i].what.codec)
            err = r[i].what.codec->decoder_new(&r[i].decoder);
        if (!err)
            err = sink_resampler(f->sink, r[i].what.codec, &r[i].to_sink);
        if (err) {
            recv_free(r, i + 1);
            return err;
        }
    }
    return CPH_OK;
}

static bool same_recv(const struct cph_media_flow *f, const struct cph_media_params *p)
{
    if (f->n_recv != p->n_recv)
        return false;
    for (size_t i = 0; i < p->n_recv; i++)
        if (f->recv[i].what.pt != p->recv[i].pt || f->recv[i].what.codec != p->recv[i].codec ||
            f->recv[i].what.event_rate != p->recv[i].event_rate)
            return false;
    return true;
}

/* The first tick decides when; until then the deadline is past, so that it comes at once. */
static cph_err start_clocks(struct cph_media_flow *f, const struct cph_media_params *p)
{
    uint32_t bps = p->codec ? p->codec->bit_rate : media_codec_pcmu.bit_rate;

    if (f->running)
        return CPH_OK;
    if (f->rtcp)
        CPH_TRY(cph_rtcp_clock_start(&f->clock, f->env, bps, f->started));
    f->next_frame = f->started;
    f->running = true;
    return CPH_OK;
}

static void set_phase(struct cph_media_flow *f, cph_time now)
{
    f->ticking = true;
    if (f->rtcp) {
        f->clock.next += now - f->started;
        f->clock.peer_heard_at = now;
    }
    f->next_frame = now;
}

static void adopt_params(struct cph_media_flow *f, const struct cph_media_params *p)
{
    if (f->params.recv_on && !p->recv_on) { /* hold: what is under way is not for later */
        media_jitter_reset(f->jitter);
        flow_forget_playout(f);
    }
    if (f->params.pt != p->pt || !p->send)
        f->n_frame = 0;
    f->params = *p;
    f->params.fmtp = (struct cph_span){ 0 };
    if (p->ptime_ms > 40)
        f->params.ptime_ms = 60;
    else
        f->params.ptime_ms = p->ptime_ms > 20 ? 40 : 20;
}

cph_err cph_media_flow_set(struct cph_media_flow *f, const struct cph_media_params *params)
{
    struct flow_encoder enc = { 0 };
    struct flow_recv recv[CPH_MEDIA_PAYLOADS] = { 0 };
    bool new_enc = !same_encoder(&f->enc, params), new_recv = !same_recv(f, params);
    cph_err err;

    CPH_TRY(check(params));
    if (new_enc)
        CPH_TRY(make_encoder(f, params, &enc));
    err = new_recv ? make_recv(f, params, recv) : CPH_OK;
    if (!err) {
        err = start_clocks(f, params);
        if (err)
            recv_free(recv, new_recv ? params->n_recv : 0);
    }
    if (err) {
        encoder_free(&enc);
        return err;
    }
    if (new_enc) {
        encoder_free(&f->enc);
        f->enc = enc;
        f->n_frame = 0;
    }
    if (new_recv) {
        flow_forget_playout(f);
        media_jitter_reset(f->jitter);
        recv_free(f->recv, f->n_recv);
        memcpy(f->recv, recv, sizeof recv);
        f->n_recv = params->n_recv;
    }
    adopt_params(f, params);
    return CPH_OK;
}

static bool rate_is_fine(uint32_t rate)
{
    return rate >= 8000 && rate <= 192000;
}

cph_err cph_media_flow_source(struct cph_media_flow *f, struct cph_media_source *s)
{
    struct media_resampler *r = NULL;
    cph_err err = CPH_E_ARGUMENT;

    if (!s || rate_is_fine(s->rate))
        err = flow_source_resampler(f, s, f->enc.codec, &r);
    if (err) {
        cph_media_source_free(s);
        return err;
    }
    media_resampler_free(f->enc.from_source);
    cph_media_source_free(f->source);
    f->enc.from_source = r;
    f->source = s;
    f->source_over = false;
    return CPH_OK;
}

cph_err cph_media_flow_sink(struct cph_media_flow *f, struct cph_media_sink *s)
{
    struct media_resampler *r[CPH_MEDIA_PAYLOADS] = { 0 };
    cph_err err = !s || rate_is_fine(s->rate) ? CPH_OK : CPH_E_ARGUMENT;

    for (size_t i = 0; i < f->n_recv && !err; i++)
        err = sink_resampler(s, f->recv[i].what.codec, &r[i]);
    for (size_t i = 0; i < f->n_recv; i++) {
        media_resampler_free(err ? r[i] : f->recv[i].to_sink);
        if (!err)
            f->recv[i].to_sink = r[i];
    }
    if (err) {
        cph_media_sink_free(s);
        return err;
    }
    cph_media_sink_free(f->sink);
    f->sink = s;
    return CPH_OK;
}

/* ---- the clock ------------------------------------------------------------------------------- */

cph_time cph_media_flow_deadline(const struct cph_media_flow *f)
{
    return f->next_frame < f->clock.next ? f->next_frame : f->clock.next;
}

void cph_media_flow_tick(struct cph_media_flow *f, cph_time now)
{
    cph_time behind;

    if (!f->running)
        return;
    if (!f->ticking)
        set_phase(f, now);
    behind = now < f->next_frame ? 0 : (now - f->next_frame) / CPH_MEDIA_FRAME_US + 1;
    if (behind > FLOW_CATCH_UP) {
        uint64_t gone = (uint64_t)behind - FLOW_CATCH_UP;

        f->next_frame += (cph_time)gone * CPH_MEDIA_FRAME_US;
        f->stats.frames_skipped += gone;
        flow_skip_frames(f, gone);
    }
    while (f->next_frame <= now) {
        flow_send_frame(f, now);
        flow_play_frame(f, f->next_frame);
        f->stats.frames++;
        f->next_frame += CPH_MEDIA_FRAME_US;
    }
    if (f->clock.next <= now)
        flow_report(f, now);
}

cph_err cph_media_flow_pull(struct cph_media_flow *f, uint8_t *buf, size_t cap, size_t *n)
{
    return queue_pull(&f->out, buf, cap, n);
}

cph_err cph_media_flow_pull_rtcp(struct cph_media_flow *f, uint8_t *buf, size_t cap, size_t *n)
{
    return queue_pull(&f->rtcp_out, buf, cap, n);
}

/* ---- small things ---------------------------------------------------------------------------- */

void cph_media_flow_mute(struct cph_media_flow *f, bool mute)
{
    f->mute = mute;
}

void cph_media_flow_select(struct cph_media_flow *f, uint32_t ssrc)
{
    f->fixed = true;
    f->chosen = ssrc;
    if (f->current && f->current->rtp.ssrc != ssrc) {
        f->current = NULL;
        media_jitter_reset(f->jitter);
        flow_forget_playout(f);
    }
}

void cph_media_flow_follow(struct cph_media_flow *f)
{
    f->fixed = false;
}

void cph_media_flow_stats(const struct cph_media_flow *f, cph_time now, struct cph_media_stats *out)
{
    *out = f->stats;
    out->removed += media_jitter_removed(f->jitter);
    out->delay_ms = (unsigned)(media_jitter_delay(f->jitter) / 1000);
    out->target_ms = (unsigned)(media_jitter_target(f->jitter) / 1000);
    if (f->current) {
        out->ssrc_in = f->current->rtp.ssrc;
        out->jitter_ms =
            (unsigned)((uint64_t)(f->current->rtp.jitter16 >> 4) * 1000 / f->current->clock_rate);
    }
    out->ssrc_out = f->id.ssrc;
    out->rtt_ms = f->rtt < 0 ? -1 : (int)(f->rtt / 1000);
    out->level_in = media_level_dbfs(&f->level_in);
    out->level_out = media_level_dbfs(&f->level_out);
    out->peer_lost = f->running && f->rtcp && cph_rtcp_clock_peer_lost(&f->clock, now);
}

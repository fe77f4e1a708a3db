/* The sound card, through ALSA. Never waits: what is not there yet is silence, what does not fit is
 * lost. */
#include "ciphony/media_io.h"

#include <alsa/asoundlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LATENCY_US = 80000, /* the card's own buffer */
    LEAD_MS = 40, /* silence written ahead when playing begins, so that a late tick is not heard */
    LAG_MS = 100, /* more than that captured and not read is thrown away */
};

struct alsa_source {
    struct cph_media_source source; /* first: the two are one object */
    snd_pcm_t *pcm;
};

struct alsa_sink {
    struct cph_media_sink sink;
    snd_pcm_t *pcm;
    bool begun;
};

/* ALSA would print to stderr, over the panel; what matters comes back as a code. */
static void be_quiet(const char *file, int line, const char *function, int err, const char *fmt,
                     ...)
{
    (void)file;
    (void)line;
    (void)function;
    (void)err;
    (void)fmt;
}

static cph_err open_device(const char *device, snd_pcm_stream_t way, uint32_t rate, char *why,
                           snd_pcm_t **out)
{
    const char *what = way == SND_PCM_STREAM_CAPTURE ? "record from" : "play on";
    snd_pcm_t *pcm = NULL;
    int err;

    (void)snd_lib_error_set_handler(be_quiet);
    err = snd_pcm_open(&pcm, device, way, SND_PCM_NONBLOCK);
    if (err == 0)
        err = snd_pcm_set_params(pcm, SND_PCM_FORMAT_S16, SND_PCM_ACCESS_RW_INTERLEAVED, 1, rate, 1,
                                 LATENCY_US);
    if (err == 0 && way == SND_PCM_STREAM_CAPTURE)
        err = snd_pcm_start(pcm);
    if (err < 0) {
        if (why)
            (void)snprintf(why, CPH_MEDIA_WHY, "cannot %s the sound device \"%s\": %s", what,
                           device, snd_strerror(err));
        if (pcm)
            (void)snd_pcm_close(pcm);
        return CPH_E_IO;
    }
    *out = pcm;
    return CPH_OK;
}

/* ---- capture --------------------------------------------------------------------------------- */

static void drop_lag(const struct alsa_source *a)
{
    snd_pcm_sframes_t lag = snd_pcm_avail(a->pcm);
    snd_pcm_sframes_t most = (snd_pcm_sframes_t)a->source.rate / 1000 * LAG_MS;

    if (lag > most)
        (void)snd_pcm_forward(a->pcm, (snd_pcm_uframes_t)(lag - most / 2));
}

static cph_err alsa_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct alsa_source *a = (struct alsa_source *)s;
    snd_pcm_sframes_t got;

    drop_lag(a);
    got = snd_pcm_readi(a->pcm, pcm, n);
    if (got == -EPIPE || got == -ESTRPIPE) { /* an overrun or a suspended machine */
        if (snd_pcm_recover(a->pcm, (int)got, 1) < 0 || snd_pcm_start(a->pcm) < 0)
            return CPH_E_IO;
        got = 0;
    }
    if (got == -EAGAIN)
        got = 0;
    if (got < 0)
        return CPH_E_IO; /* unplugged */
    memset(pcm + got, 0, (n - (size_t)got) * sizeof *pcm);
    return CPH_OK;
}

static void alsa_source_free(struct cph_media_source *s)
{
    struct alsa_source *a = (struct alsa_source *)s;

    (void)snd_pcm_close(a->pcm);
    free(a);
}

static const struct cph_media_source_ops alsa_source_ops = { alsa_read, alsa_source_free };

cph_err cph_media_alsa_capture(const char *device, uint32_t rate, char why[CPH_MEDIA_WHY],
                               struct cph_media_source **out)
{
    struct alsa_source *a = calloc(1, sizeof *a);
    cph_err err;

    if (!a)
        return CPH_E_NOMEM;
    err = open_device(device, SND_PCM_STREAM_CAPTURE, rate, why, &a->pcm);
    if (err) {
        free(a);
        return err;
    }
    a->source = (struct cph_media_source){ &alsa_source_ops, rate };
    *out = &a->source;
    return CPH_OK;
}

/* ---- playing --------------------------------------------------------------------------------- */

static void write_lead(struct alsa_sink *a)
{
    int16_t silence[CPH_MEDIA_MAX_RATE / 1000 * LEAD_MS] = { 0 };
    size_t n = (size_t)a->sink.rate / 1000 * LEAD_MS, most = sizeof silence / sizeof silence[0];

    (void)snd_pcm_writei(a->pcm, silence, n < most ? n : most);
    a->begun = true;
}

static cph_err alsa_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct alsa_sink *a = (struct alsa_sink *)s;
    snd_pcm_sframes_t put;

    if (!a->begun)
        write_lead(a);
    put = snd_pcm_writei(a->pcm, pcm, n);
    if (put == -EPIPE || put == -ESTRPIPE) { /* it ran dry */
        if (snd_pcm_recover(a->pcm, (int)put, 1) < 0)
            return CPH_E_IO;
        write_lead(a);
        put = snd_pcm_writei(a->pcm, pcm, n);
    }
    return put < 0 && put != -EAGAIN && put != -EPIPE ? CPH_E_IO : CPH_OK;
}

static void alsa_sink_free(struct cph_media_sink *s)
{
    struct alsa_sink *a = (struct alsa_sink *)s;

    (void)snd_pcm_close(a->pcm);
    free(a);
}

static const struct cph_media_sink_ops alsa_sink_ops = { alsa_write, alsa_sink_free };

cph_err cph_media_alsa_play(const char *device, uint32_t rate, char why[CPH_MEDIA_WHY],
                            struct cph_media_sink **out)
{
    struct alsa_sink *a = calloc(1, sizeof *a);
    cph_err err;

    if (!a)
        return CPH_E_NOMEM;
    err = open_device(device, SND_PCM_STREAM_PLAYBACK, rate, why, &a->pcm);
    if (err) {
        free(a);
        return err;
    }
    a->sink = (struct cph_media_sink){ &alsa_sink_ops, rate };
    *out = &a->sink;
    return CPH_OK;
}

/* Sound files through libsndfile: played, recorded, loaded whole. */
#include "ciphony/media_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RATE_MIN = 8000,
    RATE_MAX = 192000,
    CHUNK = 1024, /* frames read from the file at once */
    LOAD_SECONDS = 600,
};

struct wav_source {
    struct cph_media_source source; /* first: the two are one object */
    SNDFILE *file;
    int channels;
    bool loop;
};

struct wav_sink {
    struct cph_media_sink sink;
    SNDFILE *file;
    size_t since_header; /* samples since the header was brought up to date */
};

static void explain(char *why, const char *what, const char *path, const char *reason)
{
    static const char system[] = "System error : "; /* the library's words before errno's */
    size_t n;

    if (!why)
        return;
    if (strncmp(reason, system, sizeof system - 1) == 0)
        reason += sizeof system - 1;
    n = strlen(reason);
    n -= n > 0 && reason[n - 1] == '.';
    (void)snprintf(why, CPH_MEDIA_WHY, "%s %s: %.*s", what, path, (int)n, reason);
}

static cph_err open_for_reading(const char *path, char *why, SNDFILE **out, SF_INFO *info)
{
    SNDFILE *file;

    *info = (SF_INFO){ 0 };
    file = sf_open(path, SFM_READ, info);
    if (!file) {
        explain(why, "cannot read", path, sf_strerror(NULL));
        return CPH_E_IO;
    }
    if (info->samplerate < RATE_MIN || info->samplerate > RATE_MAX || info->channels < 1 ||
        info->channels > 2) {
        explain(why, "cannot play", path, "neither mono nor stereo of 8 to 192 kHz");
        (void)sf_close(file);
        return CPH_E_UNSUPPORTED;
    }
    *out = file;
    return CPH_OK;
}

/* Up to n samples, mixed to mono; returns how many there were. */
static size_t read_mono(SNDFILE *file, int channels, int16_t *pcm, size_t n)
{
    int16_t two[2 * CHUNK];
    size_t done = 0;

    while (done < n) {
        size_t want = n - done < CHUNK ? n - done : CHUNK;
        sf_count_t got = sf_readf_short(file, two, (sf_count_t)want);

        if (got <= 0)
            break;
        for (size_t i = 0; i < (size_t)got; i++)
            pcm[done + i] = (int16_t)(channels == 2 ? (two[2 * i] + two[2 * i + 1]) / 2 : two[i]);
        done += (size_t)got;
    }
    return done;
}

/* ---- playing --------------------------------------------------------------------------------- */

static cph_err wav_read(struct cph_media_source *s, int16_t *pcm, size_t n)
{
    struct wav_source *w = (struct wav_source *)s;
    size_t done = read_mono(w->file, w->channels, pcm, n);
    bool over = done == 0;

    while (w->loop && done < n) {
        size_t got;

        if (sf_seek(w->file, 0, SEEK_SET) != 0)
            return CPH_E_IO;
        got = read_mono(w->file, w->channels, pcm + done, n - done);
        if (got == 0)
            return CPH_E_CLOSED; /* an empty file */
        done += got;
    }
    memset(pcm + done, 0, (n - done) * sizeof *pcm);
    return over && !w->loop ? CPH_E_CLOSED : CPH_OK;
}

static void wav_source_free(struct cph_media_source *s)
{
    struct wav_source *w = (struct wav_source *)s;

    (void)sf_close(w->file);
    free(w);
}

static const struct cph_media_source_ops wav_source_ops = { wav_read, wav_source_free };

cph_err cph_media_wav_play(const char *path, bool loop, char why[CPH_MEDIA_WHY],
                           struct cph_media_source **out)
{
    struct wav_source *w;
    SNDFILE *file;
    SF_INFO info;

    CPH_TRY(open_for_reading(path, why, &file, &info));
    w = calloc(1, sizeof *w);
    if (!w) {
        (void)sf_close(file);
        return CPH_E_NOMEM;
    }
    w->source = (struct cph_media_source){ &wav_source_ops, (uint32_t)info.samplerate };
    w->file = file;
    w->channels = info.channels;
    w->loop = loop;
    *out = &w->source;
    return CPH_OK;
}

/* ---- recording ------------------------------------------------------------------------------- */

static cph_err wav_write(struct cph_media_sink *s, const int16_t *pcm, size_t n)
{
    struct wav_sink *w = (struct wav_sink *)s;

    if (sf_write_short(w->file, pcm, (sf_count_t)n) != (sf_count_t)n)
        return CPH_E_IO;
    w->since_header += n;
    if (w->since_header >= s->rate) { /* killed at any time, at most a second is missing */
        (void)sf_command(w->file, SFC_UPDATE_HEADER_NOW, NULL, 0);
        sf_write_sync(w->file);
        w->since_header = 0;
    }
    return CPH_OK;
}

static void wav_sink_free(struct cph_media_sink *s)
{
    struct wav_sink *w = (struct wav_sink *)s;

    (void)sf_close(w->file);
    free(w);
}

static const struct cph_media_sink_ops wav_sink_ops = { wav_write, wav_sink_free };

cph_err cph_media_wav_record(const char *path, uint32_t rate, char why[CPH_MEDIA_WHY],
                             struct cph_media_sink **out)
{
    SF_INFO info = { .samplerate = (int)rate,
                     .channels = 1,
                     .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16 };
    struct wav_sink *w;
    int fd;

    if (rate < RATE_MIN || rate > RATE_MAX)
        return CPH_E_ARGUMENT;
    w = calloc(1, sizeof *w);
    if (!w)
        return CPH_E_NOMEM;
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* what was said is private */
    w->file = fd < 0 ? NULL : sf_open_fd(fd, SFM_WRITE, &info, SF_TRUE);
    if (!w->file) {
        explain(why, "cannot record to", path, fd < 0 ? strerror(errno) : sf_strerror(NULL));
        free(w);
        return CPH_E_IO;
    }
    w->sink = (struct cph_media_sink){ &wav_sink_ops, rate };
    *out = &w->sink;
    return CPH_OK;
}

/* ---- whole files ----------------------------------------------------------------------------- */

void cph_media_pcm_free(struct cph_media_pcm *pcm)
{
    free(pcm->p);
    *pcm = (struct cph_media_pcm){ 0 };
}

cph_err cph_media_wav_load(const char *path, char why[CPH_MEDIA_WHY], struct cph_media_pcm *out)
{
    struct cph_media_pcm pcm = { 0 };
    SNDFILE *file;
    SF_INFO info;
    cph_err err = CPH_OK;

    CPH_TRY(open_for_reading(path, why, &file, &info));
    pcm.rate = (uint32_t)info.samplerate;
    if (info.frames < 0 || info.frames > (sf_count_t)info.samplerate * LOAD_SECONDS) {
        explain(why, "cannot load", path, "longer than ten minutes");
        err = CPH_E_LIMIT;
    }
    if (!err) {
        pcm.p = calloc((size_t)info.frames + 1, sizeof *pcm.p);
        err = pcm.p ? CPH_OK : CPH_E_NOMEM;
    }
    if (!err)
        pcm.n = read_mono(file, info.channels, pcm.p, (size_t)info.frames);
    (void)sf_close(file);
    if (err)
        return err;
    *out = pcm;
    return CPH_OK;
}

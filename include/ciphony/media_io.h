/* Ciphony: where sound comes from and goes to: files, tones, devices, memory; and comparing
 * recordings. */
#ifndef CPH_MEDIA_IO_H
#define CPH_MEDIA_IO_H

#include "ciphony/base.h"
#include "ciphony/media.h"

enum { CPH_MEDIA_WHY = 160 }; /* room for a sentence about what went wrong */

/* Constructors with why fill it with a sentence for the user on error; why may be NULL. Use an
 * object on one thread at a time. */

/** A WAV file (or what else libsndfile reads), 8000..192000 Hz, mono or stereo (mixed to mono).
 * Played once, or again and again. CPH_E_IO, CPH_E_UNSUPPORTED, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_wav_play(const char *path, bool loop,
                                                  char why[CPH_MEDIA_WHY],
                                                  struct cph_media_source **out);
/** Record 16 bit mono; an existing file is replaced. The file is valid after each second written.
 */
CPH_API CPH_MUST_CHECK cph_err cph_media_wav_record(const char *path, uint32_t rate,
                                                    char why[CPH_MEDIA_WHY],
                                                    struct cph_media_sink **out);
/** A sine of hz at dbfs (0 is full scale, -10 is usual), without end. rate: samples per second.
 * CPH_E_ARGUMENT for half the rate and more, or above full scale; CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_tone(uint32_t rate, double hz, double dbfs,
                                              struct cph_media_source **out);
/** Silence without end, and a sink that forgets what it is given. CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_null_source(uint32_t rate, struct cph_media_source **out);
CPH_API CPH_MUST_CHECK cph_err cph_media_null_sink(uint32_t rate, struct cph_media_sink **out);

/** An ALSA device ("default"), mono, not blocking. CPH_E_IO with a sentence when there is none,
 * CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_alsa_capture(const char *device, uint32_t rate,
                                                      char why[CPH_MEDIA_WHY],
                                                      struct cph_media_source **out);
/** The same to be heard on. */
CPH_API CPH_MUST_CHECK cph_err cph_media_alsa_play(const char *device, uint32_t rate,
                                                   char why[CPH_MEDIA_WHY],
                                                   struct cph_media_sink **out);

/* ---- PCM in memory, for tests and comparisons ------------------------------------------------ */

struct cph_media_pcm {
    uint32_t rate;
    size_t n;
    int16_t *p; /* owned */
};

CPH_API void
cph_media_pcm_free(struct cph_media_pcm *pcm); /* frees the samples, clears the struct */
/** A whole file, mixed to mono, at most ten minutes (CPH_E_LIMIT). */
CPH_API CPH_MUST_CHECK cph_err cph_media_wav_load(const char *path, char why[CPH_MEDIA_WHY],
                                                  struct cph_media_pcm *out);
/** pcm is borrowed and must outlive the source. */
CPH_API CPH_MUST_CHECK cph_err cph_media_memory_source(const struct cph_media_pcm *pcm, bool loop,
                                                       struct cph_media_source **out);
/** Collects into *into (rate set from rate, n grows) up to limit samples; the rest is dropped. */
CPH_API CPH_MUST_CHECK cph_err cph_media_memory_sink(struct cph_media_pcm *into, uint32_t rate,
                                                     size_t limit, struct cph_media_sink **out);

/* ---- how alike are two recordings? ----------------------------------------------------------- */

struct cph_media_likeness {
    double
        similarity; /* 0 unrelated .. 1 the same; over 0.8 a person would call it the same speech */
    double delay_ms; /* how much later b has what a has, at its loudest; may be negative */
    unsigned gaps;   /* holes of 40 ms and more: sound in a, silence at that place in b */
    double gap_ms;   /* together */
    double covered;  /* share of a's sound that lies within b after alignment, 0..1 */
};

/** Align by the envelope, then compare band energies; survives G.711, Opus, level changes, delay,
 * and a delay that changes by up to half a second on the way, as a jitter buffer changes it. Either
 * may be the longer; where a repeats (looped file) the best place is taken. CPH_E_ARGUMENT when one
 * is shorter than 200 ms, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_compare(const struct cph_media_pcm *a,
                                                 const struct cph_media_pcm *b,
                                                 struct cph_media_likeness *out);

#endif

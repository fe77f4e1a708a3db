/* The private face of the media room. */
#ifndef CPH_MEDIA_INT_H
#define CPH_MEDIA_INT_H

#include "ciphony/media.h"
#include "ciphony/media_io.h"

enum {
    MEDIA_SLOTS = 256, /* packets in the jitter buffer: what came before keys (5 s), and a little */
    MEDIA_PAYLOAD_MAX = 1280,   /* longest payload kept; Opus at its best has 1275 */
    MEDIA_PCM_MAX = 5760 + 960, /* 120 ms at 48 kHz, the longest Opus packet, and a frame */
    MEDIA_DIGITS = 32,          /* keys waiting to be sent */
};

int16_t media_clip(double v);

/* ---- the rows (codecs.c lists them) ---------------------------------------------------------- */

extern const struct cph_media_codec media_codec_opus, media_codec_pcmu, media_codec_pcma;

/* ---- resampler: windowed sinc, any rates from 8 to 192 kHz ----------------------------------- */

struct media_resampler;

cph_err media_resampler_new(uint32_t in_rate, uint32_t out_rate, struct media_resampler **out);
void media_resampler_free(struct media_resampler *r);
/* Input samples still wanted before n can be pulled. */
size_t media_resampler_need(const struct media_resampler *r, size_t n);
/* Room for at least 40 ms of input is there after all was pulled; what does not fit is dropped. */
void media_resampler_push(struct media_resampler *r, const int16_t *in, size_t n);
size_t media_resampler_pull(struct media_resampler *r, int16_t *out, size_t n);

/* ---- packet loss concealment for codecs without their own ------------------------------------ */

enum { PLC_HISTORY = 2880, PLC_CYCLE = 960 }; /* 60 ms and 20 ms at 48 kHz */

struct media_plc {
    uint32_t rate;
    int16_t history[PLC_HISTORY]; /* the last 60 ms played */
    float cycle[PLC_CYCLE];       /* one pitch period whose end joins its beginning */
    size_t pitch, at;
    size_t made; /* samples made up since the last good one */
    float step;  /* jump between the last good sample and the cycle, faded out */
};

void media_plc_reset(struct media_plc *p, uint32_t rate);
void media_plc_conceal(struct media_plc *p, int16_t *out, size_t n);
/* Remember good samples; after a loss their beginning is blended with the substitute. */
void media_plc_good(struct media_plc *p, int16_t *pcm, size_t n);

/* ---- jitter buffer --------------------------------------------------------------------------- */

enum jitter_put { JITTER_KEPT, JITTER_LATE, JITTER_EARLY, JITTER_DUPLICATE, JITTER_TOO_LONG };

enum jitter_get {
    JITTER_PACKET, /* play it */
    JITTER_LOST,   /* make up what it would have held; next is its successor if that is here */
    JITTER_WAIT,   /* a talkspurt is not due yet: silence */
    JITTER_EMPTY,  /* nothing here: make something up, the place stays */
    JITTER_GROW,   /* insert a frame to raise the delay, the place stays */
};

struct jitter_packet {
    uint16_t seq;
    uint32_t ts, rate; /* rate: of ts, Hz */
    uint32_t units;    /* duration in units of rate; 0: only holds its place in the sequence */
    uint8_t pt;
    struct cph_span payload;
};

struct jitter_out {
    struct jitter_packet packet;
    struct cph_span next; /* JITTER_LOST only */
    uint8_t next_pt;
    bool spurt;  /* first after silence */
    bool shrink; /* there is too much delay: play it and its successor in the time of one */
    bool gently; /* ... if nobody speaks in them */
};

struct media_jitter;

cph_err media_jitter_new(cph_time delay_min, cph_time delay_max, struct media_jitter **out);
void media_jitter_free(struct media_jitter *j);
void media_jitter_reset(struct media_jitter *j); /* a new source */
enum jitter_put media_jitter_put(struct media_jitter *j, const struct jitter_packet *p,
                                 cph_time now);
/* quiet: what was played last is hardly to be heard. Views live until the next put. */
enum jitter_get media_jitter_get(struct media_jitter *j, cph_time now, bool quiet,
                                 struct jitter_out *out);
cph_time media_jitter_delay(const struct media_jitter *j);
cph_time media_jitter_target(const struct media_jitter *j);
size_t media_jitter_count(const struct media_jitter *j);
uint64_t
media_jitter_removed(const struct media_jitter *j); /* packets dropped to cut a long delay */

/* ---- telephone events, RFC 4733 -------------------------------------------------------------- */

struct event_out { /* one packet to send */
    bool send, marker;
    uint32_t ts;
    uint8_t payload[4];
    bool done; /* the last packet of this digit */
    uint8_t code;
};

struct event_tx {
    struct {
        uint8_t code;
        uint16_t ms;
    } queue[MEDIA_DIGITS];
    size_t n;
    enum { EVENT_IDLE, EVENT_ON, EVENT_END, EVENT_GAP } state;
    uint32_t ts, duration, total; /* units */
    unsigned left;                /* repeats of the end, then frames of the gap */
};

/* -1 for a character that is no key. */
int media_event_code(char digit);
char media_event_digit(uint8_t code);
/* One frame of 20 ms passes. True while audio is replaced by the event. */
bool media_event_tx(struct event_tx *e, uint32_t ts, uint32_t rate, struct event_out *out);

struct event_rx {
    bool active, heard; /* heard: ended is valid */
    uint8_t code;
    uint32_t ts, ended; /* start of the active event (segment); start of the last one finished */
    uint32_t before, duration; /* of segments before this one; of this one */
    uint32_t rate;
    cph_time seen;
};

struct event_digit {
    uint8_t code;
    unsigned ms;
};

/* Returns how many events became known to be over (at most cap are written). */
size_t media_event_rx(struct event_rx *e, struct cph_span payload, uint32_t ts, uint32_t rate,
                      cph_time now, struct event_digit *out, size_t cap);
/* An event whose end got lost is over when nothing came for a while. */
size_t media_event_rx_tick(struct event_rx *e, cph_time now, struct event_digit *out);

/* ---- level meter ----------------------------------------------------------------------------- */

enum { LEVEL_FRAMES = 10 };

struct media_level {
    double power[LEVEL_FRAMES]; /* mean square of each of the last frames, full scale 1 */
    unsigned at;
};

void media_level_add(struct media_level *l, const int16_t *pcm, size_t n);
double media_level_dbfs(const struct media_level *l);
double media_power(const int16_t *pcm, size_t n);

#endif

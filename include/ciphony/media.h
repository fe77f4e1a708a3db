/* Ciphony: one flow of audio: codecs, jitter buffer, telephone events, the 20 ms clock. No I/O
 * here. */
#ifndef CPH_MEDIA_H
#define CPH_MEDIA_H

#include "ciphony/base.h"
#include "ciphony/rtp.h"

enum {
    CPH_MEDIA_FRAME_US = 20000,  /* the clock of every flow */
    CPH_MEDIA_MAX_RATE = 48000,  /* PCM samples per second, mono */
    CPH_MEDIA_FRAME_MAX = 960,   /* samples of 20 ms at 48 kHz */
    CPH_MEDIA_PACKET_MAX = 1500, /* an RTP or RTCP packet handed out is never longer */
    CPH_MEDIA_PAYLOADS = 8,      /* payload types one flow can receive */
};

/* ---- sources and sinks (media_io.h makes them) ----------------------------------------------- */

/* PCM is mono, signed 16 bit, host byte order, everywhere. */
struct cph_media_source;
struct cph_media_sink;

struct cph_media_source_ops {
    /* Fill all n samples. CPH_E_CLOSED: it is over (pcm is silence from there on). */
    cph_err (*read)(struct cph_media_source *s, int16_t *pcm, size_t n);
    void (*free)(struct cph_media_source *s);
};

struct cph_media_sink_ops {
    cph_err (*write)(struct cph_media_sink *s, const int16_t *pcm, size_t n);
    void (*free)(struct cph_media_sink *s);
};

/* First member of whatever implements it. The flow converts between its rate and the codec's. */
struct cph_media_source {
    const struct cph_media_source_ops *ops;
    uint32_t rate; /* 8000..192000 */
};

struct cph_media_sink {
    const struct cph_media_sink_ops *ops;
    uint32_t rate;
};

CPH_API void cph_media_source_free(struct cph_media_source *s); /* NULL is fine */
CPH_API void cph_media_sink_free(struct cph_media_sink *s);

/* ---- codecs: one file and one row each ------------------------------------------------------- */

struct cph_media_encoder;
struct cph_media_decoder;

struct cph_media_codec {
    const char *name;    /* as in a=rtpmap, compared without case */
    uint32_t clock_rate; /* of RTP timestamps, as in a=rtpmap */
    uint8_t channels;    /* as in a=rtpmap; 1 is not written there */
    int static_pt;       /* -1: dynamic */
    uint32_t pcm_rate;   /* samples per second in and out */
    uint32_t bit_rate;   /* about, for the RTCP share */
    const char *fmtp;    /* what we can take, for our a=fmtp line; NULL none */
    bool plc;            /* has concealment of its own; otherwise the flow does it */

    /* fmtp: the peer's parameters, may be empty; unknown ones are ignored. */
    cph_err (*encoder_new)(struct cph_span fmtp, struct cph_media_encoder **out);
    void (*encoder_free)(struct cph_media_encoder *e);
    /* n samples (20, 40 or 60 ms). *out_n may be 0: nothing to send (DTX). */
    cph_err (*encode)(struct cph_media_encoder *e, const int16_t *pcm, size_t n, uint8_t *out,
                      size_t cap, size_t *out_n);
    /* Tell the encoder how many percent of packets get lost; NULL if it cannot use it. */
    void (*loss)(struct cph_media_encoder *e, unsigned percent);

    cph_err (*decoder_new)(struct cph_media_decoder **out);
    void (*decoder_free)(struct cph_media_decoder *d);
    /* Samples the payload holds, 0 if it is not valid. Needs no decoder. */
    size_t (*samples)(struct cph_span payload);
    cph_err (*decode)(struct cph_media_decoder *d, struct cph_span payload, int16_t *pcm,
                      size_t cap, size_t *n);
    /* plc only: n samples for a lost packet; next is the payload after it (its redundancy is used),
     * or empty. *fec says whether the redundancy was there. */
    cph_err (*conceal)(struct cph_media_decoder *d, struct cph_span next, int16_t *pcm, size_t n,
                       bool *fec);
};

/** NULL-terminated; order is our preference. */
CPH_API const struct cph_media_codec *const *cph_media_codecs(void);
/** By a=rtpmap, or by what RFC 3551 6 says where there is none (cph_sdp_rtpmap_of()); channels 0 or
 * 1 when none is written. NULL if we do not have it. */
CPH_API const struct cph_media_codec *cph_media_codec_find(struct cph_span name,
                                                           uint32_t clock_rate, unsigned channels);
/** The value of one "name=value" of an fmtp line as a number. CPH_E_NOTFOUND, CPH_E_MALFORMED. */
CPH_API CPH_MUST_CHECK cph_err cph_media_fmtp_u32(struct cph_span fmtp, const char *name,
                                                  uint32_t *out);

/* ---- the flow -------------------------------------------------------------------------------- */

/* One payload type the flow can receive: audio, or telephone-event when codec is NULL. */
struct cph_media_payload {
    uint8_t pt;
    const struct cph_media_codec *codec;
    uint32_t event_rate; /* clock rate of telephone-event */
};

/* What offer and answer settled; may change during the call. */
struct cph_media_params {
    const struct cph_media_codec *codec; /* to send; NULL: nothing is sent but RTCP */
    uint8_t pt;
    struct cph_span fmtp; /* the peer's, copied */
    unsigned ptime_ms;    /* 0: 20; else rounded to 20, 40 or 60 */
    int event_pt;         /* telephone-event to send, -1: the peer does not take it */
    uint32_t event_rate;  /* its clock rate; must be the codec's clock rate to be used */
    struct cph_media_payload recv[CPH_MEDIA_PAYLOADS];
    size_t n_recv;
    bool send, recv_on; /* sendrecv is both; hold is neither or one */
};

struct cph_media_flow_config {
    const struct cph_env *env;
    const char *cname;     /* of our SDES, at most 63 bytes; NULL: random (RFC 7022) */
    unsigned delay_min_ms; /* jitter buffer, 0: 20 */
    unsigned delay_max_ms; /* 0: 400 */
    bool no_rtcp;          /* the peer takes none */
};

enum cph_media_event_kind {
    CPH_MEDIA_EVENT_DIGIT,       /* the peer pressed a key, known to be over */
    CPH_MEDIA_EVENT_SSRC,        /* a source was heard for the first time */
    CPH_MEDIA_EVENT_SOURCE_OVER, /* the local source has been played to its end */
    CPH_MEDIA_EVENT_BYE,         /* the peer's RTCP says good-bye */
    CPH_MEDIA_EVENT_COLLISION,   /* we have a new SSRC; ssrc is the new one */
    CPH_MEDIA_EVENT_IO,          /* a source or sink failed and was let go; err says how */
    CPH_MEDIA_EVENT_DIGIT_SENT,  /* ours is out */
};

struct cph_media_event {
    enum cph_media_event_kind kind;
    uint8_t code;         /* event code; 0..15 are 0-9 * # A-D */
    char digit;           /* '0'..'9' '*' '#' 'A'..'D', or 0 */
    unsigned duration_ms; /* of a digit */
    uint32_t ssrc;
    cph_err err;
};

struct cph_media_stats {
    uint64_t packets_in, packets_out, octets_in, octets_out; /* RTP; payload octets */
    uint64_t rtcp_in, rtcp_out;
    uint64_t lost;  /* never came in time and a successor did */
    uint64_t late;  /* came after its place was concealed */
    uint64_t early; /* too far ahead for the buffer */
    uint64_t duplicate, reordered;
    uint64_t bad;            /* RTP or RTCP that did not parse, wrong payload type, wrong source */
    uint64_t concealed, fec; /* 20 ms frames made up; packets restored from redundancy */
    uint64_t inserted, removed;      /* frames added or taken away to change the delay */
    uint64_t frames, frames_skipped; /* ticks done, and those given up after a stall */
    unsigned jitter_ms;              /* RFC 3550 */
    unsigned delay_ms, target_ms;    /* jitter buffer: now, and wanted */
    int rtt_ms;                      /* -1 not known */
    int peer_loss; /* percent of our packets the peer says it lost lately, -1 not known */
    double level_in, level_out; /* dBFS RMS of the last 200 ms; -127 is silence */
    uint32_t ssrc_in, ssrc_out; /* ssrc_in 0: nobody yet */
    bool peer_lost;             /* nothing heard for five RTCP intervals */
};

struct cph_media_flow;

/** Nothing is sent before cph_media_flow_set. config is copied, env must outlive the flow. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_new(const struct cph_media_flow_config *config,
                                                  cph_time now, struct cph_media_flow **out);
CPH_API void
cph_media_flow_free(struct cph_media_flow *f); /* NULL is fine; frees source and sink */

/** Begin, or change, what is sent and received. SSRC, sequence numbers and timestamps go on. On
 * error the flow is as before: CPH_E_ARGUMENT, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_set(struct cph_media_flow *f,
                                                  const struct cph_media_params *params);

/** Attach; the flow owns it from then on, also on error, and frees the one before. NULL: silence.
 * CPH_E_ARGUMENT for a rate outside of 8 to 192 kHz, CPH_E_NOMEM. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_source(struct cph_media_flow *f,
                                                     struct cph_media_source *s);
/** The same for what is heard; NULL: it goes nowhere. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_sink(struct cph_media_flow *f,
                                                   struct cph_media_sink *s);

/** A plain RTP or RTCP packet from the peer (after SRTP). Bad ones are counted and their error
 * returned for the log; no error harms the flow. Allocates nothing.
 */
CPH_API cph_err cph_media_flow_feed(struct cph_media_flow *f, struct cph_span rtp, cph_time now);
CPH_API cph_err cph_media_flow_feed_rtcp(struct cph_media_flow *f, struct cph_span rtcp,
                                         cph_time now);

/** The next tick or report; after the first cph_media_flow_set it is at once. Ticks lie on
 * multiples of 20 ms after the first of them. */
CPH_API cph_time cph_media_flow_deadline(const struct cph_media_flow *f);
/** Do what is due: at most four frames; older ones are given up, the phase stays. */
CPH_API void cph_media_flow_tick(struct cph_media_flow *f, cph_time now);

/** The next packet to send, plain; the caller protects. CPH_E_AGAIN: none; CPH_E_NOSPACE: cap too
 * small (CPH_MEDIA_PACKET_MAX always does). */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_pull(struct cph_media_flow *f, uint8_t *buf,
                                                   size_t cap, size_t *n);
/** The same for RTCP: one compound packet. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_pull_rtcp(struct cph_media_flow *f, uint8_t *buf,
                                                        size_t cap, size_t *n);

/** What happened; false when nothing (more) did. The oldest of 32 is forgotten. */
CPH_API bool cph_media_flow_event(struct cph_media_flow *f, struct cph_media_event *out);
CPH_API void cph_media_flow_stats(const struct cph_media_flow *f, cph_time now,
                                  struct cph_media_stats *out);

/** Send silence instead of the source, which goes on being read. */
CPH_API void cph_media_flow_mute(struct cph_media_flow *f, bool mute);
/** Queue keys, e.g. "123#". CPH_E_UNSUPPORTED if the peer takes no telephone-event, CPH_E_MALFORMED
 * for another character, CPH_E_LIMIT over 32 waiting. All or nothing. duration_ms 0: 100; else
 * brought into 40..1000. */
CPH_API CPH_MUST_CHECK cph_err cph_media_flow_digits(struct cph_media_flow *f, const char *digits,
                                                     unsigned duration_ms);
/** Play this source only (several answer a forked call). By default the flow stays with the source
 * it has until that is silent for 100 ms and another talks. */
CPH_API void cph_media_flow_select(struct cph_media_flow *f, uint32_t ssrc);
CPH_API void cph_media_flow_follow(struct cph_media_flow *f); /* back to the default */
/** Queue an RTCP BYE; pull it before freeing. Nothing is queued if we never sent (RFC 3550 6.3.7).
 */
CPH_API void cph_media_flow_bye(struct cph_media_flow *f, cph_time now);

#endif

/* The flow's own struct, shared by flow*.c. */
#ifndef CPH_MEDIA_FLOW_INT_H
#define CPH_MEDIA_FLOW_INT_H

#include "media_int.h"

enum {
    FLOW_SOURCES = 4, /* SSRC followed at once; the one silent longest makes room */
    FLOW_EVENTS = 32,
    FLOW_OUT = 8,      /* RTP packets waiting to be pulled: two rounds of catching up */
    FLOW_CATCH_UP = 4, /* frames done at once after a stall */
    FLOW_SWITCH_MS = 100,
    FLOW_FMTP = 256,
    FLOW_CNAME = 64,
};

struct flow_packet {
    size_t n;
    uint8_t bytes[CPH_MEDIA_PACKET_MAX];
};

struct flow_queue { /* a ring; when full, the oldest goes */
    struct flow_packet *p;
    size_t cap, first, n;
};

/* One payload type to receive, with what decodes and converts it. */
struct flow_recv {
    struct cph_media_payload what;
    struct cph_media_decoder *decoder;
    struct media_resampler *to_sink;
};

struct flow_source { /* somebody who sends to us */
    bool used;
    struct cph_rtp_source rtp;
    cph_time heard;
    uint32_t clock_rate;
};

struct flow_encoder {
    const struct cph_media_codec *codec;
    struct cph_media_encoder *state;
    struct media_resampler *from_source;
    char fmtp[FLOW_FMTP];
    size_t fmtp_n;
};

struct cph_media_flow {
    const struct cph_env *env;
    bool rtcp;
    bool running, ticking;
    cph_time started;
    int64_t wall; /* at started */
    cph_time next_frame;
    struct cph_media_stats stats;

    /* what was settled */
    struct cph_media_params params; /* fmtp is not kept here */
    struct flow_encoder enc;
    struct flow_recv recv[CPH_MEDIA_PAYLOADS];
    size_t n_recv;

    /* out */
    struct cph_media_source *source;
    bool source_over;
    bool mute;
    struct cph_rtp_identity id;
    uint16_t seq;
    uint32_t ts; /* of the frame this tick makes */
    bool spurt;  /* the next packet is the first after silence */
    int16_t frame[3 * CPH_MEDIA_FRAME_MAX];
    size_t n_frame; /* samples gathered for the next packet */
    uint32_t frame_ts;
    struct event_tx event_tx;
    uint32_t sent_packets, sent_octets; /* of this SSRC, for SR */
    struct media_level level_out;
    struct flow_queue out, rtcp_out;

    /* in */
    struct flow_source from[FLOW_SOURCES];
    struct flow_source *current;
    bool fixed; /* the caller chose */
    uint32_t chosen;
    struct media_jitter *jitter;
    struct flow_recv *playing; /* whose decoder made what is in pcm */
    struct media_plc plc;
    int16_t pcm[MEDIA_PCM_MAX];
    size_t n_pcm;
    unsigned made_up; /* frames since the last good one */
    bool heard_any;   /* of this source something was played */
    struct cph_media_sink *sink;
    struct event_rx event_rx;
    struct media_level level_in;

    /* reports */
    struct cph_rtcp_clock clock;
    char cname[FLOW_CNAME];
    cph_time rtt; /* -1 not known */

    struct cph_media_event event[FLOW_EVENTS];
    size_t event_first, n_event;
};

void flow_event(struct cph_media_flow *f, const struct cph_media_event *e);
struct flow_packet *flow_queue_add(struct flow_queue *q);
uint32_t flow_frame_units(const struct cph_media_flow *f);

/* flow_out.c */
void flow_send_frame(struct cph_media_flow *f, cph_time now);
void flow_skip_frames(struct cph_media_flow *f, uint64_t n);
cph_err flow_source_resampler(const struct cph_media_flow *f, const struct cph_media_source *s,
                              const struct cph_media_codec *codec, struct media_resampler **out);

/* flow_in.c */
void flow_play_frame(struct cph_media_flow *f, cph_time now);
void flow_forget_playout(struct cph_media_flow *f);
struct flow_recv *flow_recv_of(struct cph_media_flow *f, uint8_t pt);

/* flow_rtcp.c */
void flow_report(struct cph_media_flow *f, cph_time now);
void flow_moved(struct cph_media_flow *f, cph_time now); /* a new SSRC after a collision */

#endif

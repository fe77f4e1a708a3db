#include "recorder.h"

#include "ciphony/rtp.h"

cph_err lab_recorder_sound(void *ctx, uint32_t call, struct cph_media_source **source,
                           struct cph_media_sink **sink)
{
    struct lab_recorder *r = ctx;

    (void)call;
    *source = NULL;
    return lab_speech_sink(r->net, r->seed, &r->heard, sink);
}

bool lab_recorder_pass(void *ctx, const struct lab_packet *p)
{
    struct lab_recorder *r = ctx;
    struct cph_rtp rtp;
    unsigned speaker;
    uint32_t i;

    if (p->kind != LAB_RTP)
        return true;
    r->packets++;
    if (cph_rtp_parse(p->bytes, &rtp) == CPH_OK &&
        lab_speech_is(r->seed, rtp.payload, &speaker, &i))
        lab_heard_add(&r->heard, speaker, i, p->at);
    return true;
}

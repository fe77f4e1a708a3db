#include "forger.h"

#include "ciphony/base_wire.h"
#include "ciphony/rtp.h"

enum { FRAMES = 50, TAG = 10 };

static const struct lab_packet *latest(const struct lab_stage *s, const struct cph_addr *from)
{
    const struct lab_packet *found = NULL;

    for (size_t i = 0; i < lab_trace_count(s->trace); i++)
        if (lab_trace_at(s->trace, i)->kind == LAB_RTP &&
            cph_addr_ip_eq(&lab_trace_at(s->trace, i)->from, from))
            found = lab_trace_at(s->trace, i);
    return found;
}

cph_err lab_forge(struct lab_stage *s, enum lab_person who, bool *any)
{
    uint8_t packet[12 + LAB_FRAME + TAG];
    const struct lab_packet *found;
    struct cph_addr from, to;
    struct cph_rtp rtp;

    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(who)), &from));
    found = latest(s, &from);
    *any = found != NULL;
    if (!found)
        return CPH_OK;
    CPH_TRY(cph_rtp_parse(found->bytes, &rtp));
    from = found->from; /* the record may move while it grows */
    to = found->to;
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct cph_wr wr = cph_wr_open(packet, sizeof packet);
        uint8_t frame[LAB_FRAME];

        lab_speech_frame(s->cfg.seed, LAB_MALLORY, i, frame);
        cph_wr_u8(&wr, 0x80);
        cph_wr_u8(&wr, 0);
        cph_wr_u16(&wr, (uint16_t)(rtp.seq + 2 + i));
        cph_wr_u32(&wr, rtp.ts + 160 * (2 + i));
        cph_wr_u32(&wr, rtp.ssrc);
        cph_wr_bytes(&wr, frame, sizeof frame);
        CPH_TRY(lab_inject(s->net, &from, &to, cph_wr_done(&wr)));
        cph_wr_zero(&wr, TAG); /* the same with a tag that he cannot know */
        CPH_TRY(lab_inject(s->net, &from, &to, cph_wr_done(&wr)));
        CPH_TRY(lab_stage_run(s, CPH_MS(20))); /* at the pace of speech, two frames ahead */
    }
    return CPH_OK;
}

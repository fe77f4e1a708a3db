#include "forger.h"

#include "ciphony/base_text.h"
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

/* What is being imitated. */
struct model {
    struct cph_addr from, to;
    uint32_t ssrc, ts;
    uint16_t seq;
};

/* One frame, without a tag and perhaps with one that he cannot know, and the time of a frame. */
static cph_err say(struct lab_stage *s, const struct model *m, uint32_t i, bool tag)
{
    uint8_t packet[12 + LAB_FRAME + TAG], frame[LAB_FRAME];
    struct cph_wr wr = cph_wr_open(packet, sizeof packet);

    lab_speech_frame(s->cfg.seed, LAB_MALLORY, i, frame);
    cph_wr_u8(&wr, 0x80);
    cph_wr_u8(&wr, 0);
    cph_wr_u16(&wr, (uint16_t)(m->seq + i));
    cph_wr_u32(&wr, m->ts + 160 * i);
    cph_wr_u32(&wr, m->ssrc);
    cph_wr_bytes(&wr, frame, sizeof frame);
    CPH_TRY(lab_inject(s->net, &m->from, &m->to, cph_wr_done(&wr)));
    if (tag) {
        cph_wr_zero(&wr, TAG);
        CPH_TRY(lab_inject(s->net, &m->from, &m->to, cph_wr_done(&wr)));
    }
    return lab_stage_run(s, CPH_MS(20));
}

/* RFC 3550 6.4.2, 6.6: an empty report and a BYE, in clear and with the trailer of an SRTCP packet
 * that says it is not encrypted. */
static cph_err say_goodbye(struct lab_stage *s, const struct model *m)
{
    uint8_t packet[16 + 4 + TAG];
    struct cph_wr wr = cph_wr_open(packet, sizeof packet);

    cph_wr_u32(&wr, 0x80c90001);
    cph_wr_u32(&wr, m->ssrc);
    cph_wr_u32(&wr, 0x81cb0001);
    cph_wr_u32(&wr, m->ssrc);
    CPH_TRY(lab_inject(s->net, &m->from, &m->to, cph_wr_done(&wr)));
    cph_wr_u32(&wr, 1000);
    cph_wr_zero(&wr, TAG);
    return lab_inject(s->net, &m->from, &m->to, cph_wr_done(&wr));
}

cph_err lab_forge(struct lab_stage *s, enum lab_person who, bool *any)
{
    const struct lab_packet *found;
    struct cph_addr from;
    struct cph_rtp rtp;
    struct model m;

    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(who)), &from));
    found = latest(s, &from);
    *any = found != NULL;
    if (!found)
        return CPH_OK;
    CPH_TRY(cph_rtp_parse(found->bytes, &rtp));
    m = (struct model){ found->from, found->to, rtp.ssrc, rtp.ts + 320, (uint16_t)(rtp.seq + 2) };
    for (uint32_t i = 0; i < FRAMES; i++) /* at the pace of speech, two frames ahead */
        CPH_TRY(say(s, &m, i, true));
    return say_goodbye(s, &m);
}

cph_err lab_forge_early(struct lab_stage *s, enum lab_person who, enum lab_person to)
{
    struct model m = { .ssrc = 0x0badcafe, .seq = 1 };

    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(who)), &m.from));
    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(to)), &m.to));
    m.from.port = m.to.port = 20000; /* where a terminal begins */
    for (uint32_t i = 0; i < FRAMES; i++)
        CPH_TRY(say(s, &m, i, false));
    return CPH_OK;
}

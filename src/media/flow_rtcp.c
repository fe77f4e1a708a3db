/* Reports, both ways: RFC 3550 6. */
#include <string.h>

#include "ciphony/base_text.h"
#include "flow_int.h"

static uint64_t ntp_at(const struct cph_media_flow *f, cph_time now)
{
    return cph_rtp_ntp(f->wall, now - f->started);
}

/* ---- ours ------------------------------------------------------------------------------------ */

/* The timestamp that a sample taken now would have. */
static uint32_t ts_at(const struct cph_media_flow *f, cph_time now)
{
    uint32_t rate = flow_frame_units(f) * 50;
    cph_time ahead = f->next_frame - now; /* f->ts is of the frame due at next_frame */

    if (f->next_frame == CPH_TIME_NEVER)
        return f->ts;
    return ahead >= 0 ? f->ts - cph_rtp_units(ahead, rate) : f->ts + cph_rtp_units(-ahead, rate);
}

static void fill_report(struct cph_media_flow *f, struct cph_rtcp_report *r, cph_time now)
{
    *r = (struct cph_rtcp_report){ .ssrc = f->id.ssrc, .sender = f->clock.we_sent };
    if (r->sender) {
        r->ntp = ntp_at(f, now);
        r->rtp_ts = ts_at(f, now);
        r->packets = f->sent_packets;
        r->octets = f->sent_octets;
    }
    for (size_t i = 0; i < FLOW_SOURCES; i++) {
        struct flow_source *s = &f->from[i];

        if (s->used && s->rtp.probation == 0 && s->rtp.received != s->rtp.received_prior)
            cph_rtp_source_report(&s->rtp, now, &r->block[r->n_block++]);
    }
}

/* RFC 3550 6.1 MUST: every compound packet is a report and then an SDES with the CNAME. */
static void send_compound(struct cph_media_flow *f, const struct cph_rtcp_bye *bye, cph_time now)
{
    struct flow_packet *p = flow_queue_add(&f->rtcp_out);
    struct cph_wr wr = cph_wr_open(p->bytes, sizeof p->bytes);
    struct cph_rtcp_report report;
    struct cph_rtcp_sdes_item cname = { f->id.ssrc, CPH_RTCP_SDES_CNAME, cph_span_of(f->cname) };
    cph_err err;

    fill_report(f, &report, now);
    if (bye && bye->n > 0) { /* the number we give up speaks for the last time */
        report.ssrc = bye->ssrc[0];
        cname.ssrc = bye->ssrc[0];
    }
    err = cph_rtcp_report_build(&report, &wr);
    if (!err)
        err = cph_rtcp_sdes_build(&cname, 1, &wr);
    if (!err && bye)
        err = cph_rtcp_bye_build(bye, &wr);
    if (err) { /* cannot be: it all fits */
        f->rtcp_out.n--;
        return;
    }
    p->n = wr.n;
    f->stats.rtcp_out++;
}

void flow_report(struct cph_media_flow *f, cph_time now)
{
    size_t n;

    send_compound(f, NULL, now);
    n = f->rtcp_out.p[(f->rtcp_out.first + f->rtcp_out.n - 1) % f->rtcp_out.cap].n;
    if (cph_rtcp_clock_sent(&f->clock, f->env, n, now) != CPH_OK)
        f->clock.next = now +
                        cph_rtcp_clock_td(&f->clock); /* no randomness: no jitter in time either */
}

void cph_media_flow_bye(struct cph_media_flow *f, cph_time now)
{
    struct cph_rtcp_bye bye = { .n = 1, .ssrc = { f->id.ssrc } };

    /* RFC 3550 6.3.7 MUST: who never sent anything says no good-bye */
    if (!f->rtcp || !f->running || (f->stats.packets_out == 0 && f->stats.rtcp_out == 0))
        return;
    send_compound(f, &bye, now);
    f->clock.next = CPH_TIME_NEVER;
}

/* RFC 3550 8.2 MUST: BYE for the old number, go on with the new one. */
void flow_moved(struct cph_media_flow *f, cph_time now)
{
    struct cph_rtcp_bye bye = { .n = 1, .ssrc = { f->id.old } };

    if (f->rtcp && f->running && (f->stats.packets_out > 0 || f->stats.rtcp_out > 0))
        send_compound(f, &bye, now);
    f->sent_packets = 0;
    f->sent_octets = 0;
    f->spurt = true;
    flow_event(f,
               &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_COLLISION, .ssrc = f->id.ssrc });
}

/* ---- the peer's ------------------------------------------------------------------------------ */

static void on_block(struct cph_media_flow *f, const struct cph_rtcp_block *b, cph_time now)
{
    cph_time rtt;

    if (b->ssrc != f->id.ssrc)
        return;
    f->stats.peer_loss = (b->fraction_lost * 100 + 128) / 256;
    if (cph_rtp_round_trip(b, ntp_at(f, now), &rtt) == CPH_OK)
        f->rtt = rtt;
    if (f->enc.state && f->enc.codec->loss)
        f->enc.codec->loss(f->enc.state, (unsigned)f->stats.peer_loss);
}

static cph_err on_report(struct cph_media_flow *f, const struct cph_rtcp *p, cph_time now)
{
    struct cph_rtcp_report r;

    CPH_TRY(cph_rtcp_report_parse(p, &r));
    for (size_t i = 0; i < FLOW_SOURCES && r.sender; i++)
        if (f->from[i].used && f->from[i].rtp.ssrc == r.ssrc)
            cph_rtp_source_sr(&f->from[i].rtp, r.ntp, now);
    for (unsigned i = 0; i < r.n_block; i++)
        on_block(f, &r.block[i], now);
    return CPH_OK;
}

static cph_err on_bye(struct cph_media_flow *f, const struct cph_rtcp *p)
{
    struct cph_rtcp_bye b;

    CPH_TRY(cph_rtcp_bye_parse(p, &b));
    for (unsigned i = 0; i < b.n; i++)
        if (f->current && b.ssrc[i] == f->current->rtp.ssrc) {
            cph_rtcp_clock_bye_heard(&f->clock);
            flow_event(f,
                       &(struct cph_media_event){ .kind = CPH_MEDIA_EVENT_BYE, .ssrc = b.ssrc[i] });
        }
    return CPH_OK;
}

static cph_err on_packet(struct cph_media_flow *f, const struct cph_rtcp *p, cph_time now)
{
    if (p->type == CPH_RTCP_SR || p->type == CPH_RTCP_RR)
        return on_report(f, p, now);
    if (p->type == CPH_RTCP_BYE)
        return on_bye(f, p);
    return CPH_OK; /* RFC 3550 6.1 MUST: types that are not known are ignored */
}

cph_err cph_media_flow_feed_rtcp(struct cph_media_flow *f, struct cph_span rtcp, cph_time now)
{
    struct cph_span rest = rtcp;
    struct cph_rtcp p;
    cph_err err = cph_rtcp_check(rtcp);

    while (!err && cph_rtcp_next(&rest, &p) == CPH_OK)
        err = on_packet(f, &p, now);
    if (err) {
        f->stats.bad++;
        return err;
    }
    f->stats.rtcp_in++;
    cph_rtcp_clock_rtcp_heard(&f->clock, rtcp.n, now);
    return CPH_OK;
}

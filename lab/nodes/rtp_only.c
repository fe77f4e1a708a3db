#include "rtp_only.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/rtp.h"
#include "ciphony/sip_msg.h"

enum { SIP_PORT = 5060, RTP_PORT = 30000, PCMU = 0, SSRC = 0x01d, FRAME_UNITS = LAB_FRAME };

struct lab_rtp_only {
    struct lab_net *net;
    struct lab_node *node;
    struct cph_addr sip, rtp;
    char ip[CPH_ADDR_TEXT];
    uint64_t seed;
    unsigned speaker;
    struct cph_addr peer; /* where its RTP goes */
    bool talking;
    uint32_t frame;
    struct lab_rtp_only_state state;
};

/* ---- SIP ------------------------------------------------------------------------------------- */

/* Where an offer under RTP/AVP wants its media; false: it is none. */
static bool plain_audio(struct cph_span sdp, struct cph_addr *out)
{
    struct cph_span line;
    bool found = false, addressed = false;

    while (cph_span_line(&sdp, &line)) {
        uint32_t port;

        if (cph_span_starts(line, "c=IN IP4 ") && !addressed) {
            uint16_t keep = out->port;

            addressed = cph_addr_parse_ip(cph_span_trim(cph_span_from(line, 9)), out) == CPH_OK;
            out->port = keep;
        } else if (cph_span_starts(line, "m=audio ") && !found) {
            struct cph_span rest = cph_span_from(line, 8);

            if (cph_span_u32(cph_span_word(&rest), &port) != CPH_OK || port == 0 || port > 65535 ||
                !cph_span_is(cph_span_word(&rest), "RTP/AVP"))
                return false;
            out->port = (uint16_t)port;
            found = true;
        }
    }
    return found && addressed;
}

static void send(struct lab_rtp_only *o, const struct cph_addr *to, const struct cph_wr *wr)
{
    if (!wr->failed)
        (void)!lab_send(o->node, &o->sip, to, cph_wr_done(wr));
}

static void reply(struct lab_rtp_only *o, const struct cph_sip_msg *req,
                  const struct cph_addr *from, unsigned status)
{
    uint8_t out[4096];
    struct cph_wr wr = cph_wr_open(out, sizeof out);

    cph_sip_wr_response(&wr, req, status, (struct cph_span){ 0 }, CPH_SPAN_LIT("old"), from);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    send(o, from, &wr);
}

static void on_invite(struct lab_rtp_only *o, const struct cph_sip_msg *req,
                      const struct cph_addr *from)
{
    uint8_t out[4096];
    struct cph_wr wr = cph_wr_open(out, sizeof out);
    char sdp[256];

    o->state.invites++;
    o->state.offer_had_keys |= memmem(req->body.p, req->body.n, "\na=crypto:", 10) ||
                               memmem(req->body.p, req->body.n, "\na=fingerprint:", 15);
    if (!plain_audio(req->body, &o->peer)) {
        o->state.refused++;
        reply(o, req, from, 488);
        return;
    }
    (void)snprintf(sdp, sizeof sdp,
                   "v=0\r\no=old 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                   "m=audio %d RTP/AVP 0\r\n",
                   o->ip, o->ip, RTP_PORT);
    cph_sip_wr_response(&wr, req, 200, (struct cph_span){ 0 }, CPH_SPAN_LIT("old"), from);
    cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_RECORD_ROUTE);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<sip:old@%s:%d>", o->ip, SIP_PORT);
    cph_sip_wr_body(&wr, CPH_SPAN_LIT("application/sdp"), cph_span_of(sdp));
    send(o, from, &wr);
}

static void on_request(struct lab_rtp_only *o, const struct cph_sip_msg *req,
                       const struct cph_addr *from)
{
    switch ((int)req->method) {
    case CPH_SIP_INVITE:
        on_invite(o, req, from);
        break;
    case CPH_SIP_ACK:
        if (o->state.invites > o->state.refused && !o->talking) {
            o->state.answered++;
            o->talking = true;
            (void)!lab_wake_at(o->node, lab_now(o->net));
        }
        break;
    case CPH_SIP_BYE:
    case CPH_SIP_CANCEL:
        o->state.ended += o->talking;
        o->talking = false;
        reply(o, req, from, 200);
        break;
    default:
        reply(o, req, from, 501);
        break;
    }
}

static void on_sip(struct lab_rtp_only *o, const struct cph_addr *from, struct cph_span bytes)
{
    struct cph_arena *arena;
    struct cph_sip_msg msg;

    if (cph_arena_new(CPH_SIP_ARENA, &arena) != CPH_OK)
        return;
    if (cph_sip_msg_parse(arena, bytes, CPH_SIP_DATAGRAM, &msg, NULL) == CPH_OK && msg.is_request)
        on_request(o, &msg, from);
    cph_arena_free(arena);
}

/* ---- media ----------------------------------------------------------------------------------- */

static void on_rtp(struct lab_rtp_only *o, struct cph_span bytes)
{
    struct cph_rtp rtp;
    unsigned speaker;
    uint32_t i;

    if (cph_rtp_parse(bytes, &rtp) == CPH_OK && rtp.pt == PCMU &&
        lab_speech_is(o->seed, rtp.payload, &speaker, &i))
        lab_heard_add(&o->state.heard, speaker, i, lab_now(o->net));
}

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct lab_rtp_only *o = ctx;

    (void)now;
    if (local->port == SIP_PORT)
        on_sip(o, from, bytes);
    else
        on_rtp(o, bytes);
}

static void on_wake(void *ctx, cph_time now)
{
    struct lab_rtp_only *o = ctx;
    uint8_t payload[LAB_FRAME], out[LAB_FRAME + 12];
    struct cph_wr wr = cph_wr_open(out, sizeof out);
    struct cph_rtp rtp = { .pt = PCMU,
                           .seq = (uint16_t)o->frame,
                           .ts = o->frame * FRAME_UNITS,
                           .ssrc = SSRC,
                           .payload = { payload, sizeof payload } };

    if (!o->talking)
        return;
    lab_speech_frame(o->seed, o->speaker, o->frame, payload);
    if (cph_rtp_build(&rtp, &wr) == CPH_OK &&
        lab_send(o->node, &o->rtp, &o->peer, cph_wr_done(&wr)) == CPH_OK)
        lab_heard_add(&o->state.said, o->speaker, o->frame, now);
    o->frame++;
    (void)!lab_wake_at(o->node, now + CPH_MS(20));
}

static const struct lab_node_ops node_ops = { .datagram = on_datagram, .wake = on_wake };

cph_err lab_rtp_only_new(struct lab_net *net, const char *ip, uint64_t seed, unsigned speaker,
                         struct lab_rtp_only **out)
{
    struct lab_rtp_only *o = calloc(1, sizeof *o);
    cph_err err;

    if (!o)
        return CPH_E_NOMEM;
    *o = (struct lab_rtp_only){ .net = net, .seed = seed, .speaker = speaker };
    err = cph_addr_parse_ip(cph_span_of(ip), &o->sip);
    (void)cph_addr_ip(&o->sip, o->ip);
    o->rtp = o->sip;
    o->sip.port = SIP_PORT;
    o->rtp.port = RTP_PORT;
    if (err == CPH_OK)
        err = lab_node_new(net, &node_ops, o, &o->node);
    if (err == CPH_OK)
        err = lab_bind(o->node, &o->sip);
    if (err == CPH_OK)
        err = lab_bind(o->node, &o->rtp);
    if (err != CPH_OK) {
        free(o);
        return err;
    }
    *out = o;
    return CPH_OK;
}

void lab_rtp_only_free(struct lab_rtp_only *o)
{
    if (!o)
        return;
    lab_unbind(o->node, &o->sip);
    lab_unbind(o->node, &o->rtp);
    free(o);
}

const struct lab_rtp_only_state *lab_rtp_only_state(const struct lab_rtp_only *o)
{
    return &o->state;
}

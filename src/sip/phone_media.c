#include "phone_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/srtp.h"

/* ---- codecs ---------------------------------------------------------------------------------- */

static bool wanted(const char *const *names, const char *name)
{
    if (!names)
        return true;
    for (; *names; names++)
        if (cph_span_iis(cph_span_of(*names), name))
            return true;
    return false;
}

/* A telephone-event for each clock rate among the codecs: RFC 4733 2.1 wants the rate of the audio.
 */
static unsigned add_events(struct cph_sdp_codec *out, unsigned n, uint8_t pt)
{
    unsigned audio = n;

    for (unsigned i = 0; i < audio && n < PHONE_CODECS; i++) {
        bool have = false;

        for (unsigned k = audio; k < n; k++)
            have |= out[k].rate == out[i].rate;
        if (have)
            continue;
        out[n++] = (struct cph_sdp_codec){
            .name = "telephone-event", .rate = out[i].rate, .channels = 1, .pt = pt, .fmtp = "0-15"
        };
        pt++;
    }
    return n;
}

unsigned phone_codecs(const char *const *names, struct cph_sdp_codec out[PHONE_CODECS])
{
    uint8_t pt = 96;
    unsigned n = 0;

    for (const struct cph_media_codec *const *k = cph_media_codecs(); *k && n < PHONE_CODECS / 2;
         k++)
        if (wanted(names, (*k)->name))
            out[n++] = (struct cph_sdp_codec){
                .name = (*k)->name,
                .rate = (*k)->clock_rate,
                .channels = (*k)->channels,
                .pt = (*k)->static_pt >= 0 ? (uint8_t)(*k)->static_pt : pt++,
                .fmtp = (*k)->fmtp,
            };
    return add_events(out, n, pt);
}

/* ---- session and flow ------------------------------------------------------------------------ */

/* What MIKEY needs is one peer's; its crypto sessions name the stream that the flow sends. */
static void add_mikey(struct phone_call *c, struct cph_keying_cfg *keying)
{
    const struct cph_phone *p = c->phone;

    keying->mikey = p->host->mikey
                        ? p->host->mikey(p->host->ctx, c->account->name, cph_span_of(c->peer))
                        : p->mikey;
}

/* ZRTP is for calls whose policy names it. */
static cph_err add_zrtp(struct phone_call *c, struct cph_keying_cfg *keying)
{
    const struct cph_phone *p = c->phone;
    struct cph_zrtp_cfg cfg = {
        .env = p->env,
        .store = p->zrtp.store,
        .mitm = p->zrtp.mitm,
        .enroll = p->zrtp.enroll,
        .disclose = p->zrtp.disclose,
        /* a policy that demands keys does not let the peer take them away */
        .allow_clear = cph_policy_media(&c->policy) != CPH_SECURITY_REQUIRED
    };

    if (!cph_policy_needs(&c->policy, CPH_KEYING_NEEDS_ZRTP) || !p->has_zrtp)
        return CPH_OK;
    memcpy(cfg.zid, p->zrtp.zid, sizeof cfg.zid);
    /* Who has no address in one spelling is nobody that a string was ever compared with. */
    if (cph_peer_name(cph_span_of(c->peer), c->zrtp_peer) != CPH_OK)
        c->zrtp_peer[0] = '\0';
    cfg.peer = c->zrtp_peer;
    c->signing = (struct cph_zrtp_signing){ .env = p->env, .key = p->key, .cert = p->cert };
    if (p->host->peer_pgp)
        c->signing.pgp = p->host->peer_pgp(p->host->ctx, cph_span_of(c->peer));
    cph_zrtp_signer_init(&c->signing, &c->signer);
    cfg.signer = &c->signer;
    CPH_TRY(cph_zrtp_call_new(&cfg, &c->zrtp));
    keying->zrtp = c->zrtp;
    return CPH_OK;
}

cph_err phone_session_again(struct phone_call *c, cph_time now)
{
    struct cph_phone *p = c->phone;
    struct cph_session_media media = {
        .kind = "audio",
        .codecs = p->codec,
        .n_codecs = p->n_codecs,
        .ptime = 20,
        .direction = CPH_SDP_SENDRECV,
        .rtcp_mux = p->rtcp_mux,
    };
    struct cph_session_config cfg = {
        .env = p->env,
        .srtp = p->srtp,
        .keying = { .env = p->env,
                    .key = p->key,
                    .cert = p->cert,
                    .dtls = p->dtls,
                    .rtcp_mux = p->rtcp_mux },
        .ekt = p->ekt,
        .cryptex = p->cryptex,
        .policy = c->policy,
        .peer = c->peer,
        .voucher = phone_voucher,
        .ctx = c,
    };
    struct cph_media_stats stats;

    phone_session_free(c);
    memcpy(media.local, c->local, sizeof media.local);
    cph_media_flow_stats(c->flow, now, &stats);
    media.ssrc = stats.ssrc_out;
    add_mikey(c, &cfg.keying);
    CPH_TRY(add_zrtp(c, &cfg.keying));
    return cph_session_new(&cfg, &media, 1, now, &c->session);
}

void phone_session_free(struct phone_call *c)
{
    cph_session_free(c->session); /* its lines hold ZRTP's half */
    cph_zrtp_call_free(c->zrtp);
    c->session = NULL;
    c->zrtp = NULL;
}

cph_err phone_session_new(struct phone_call *c, const struct cph_addr *near, cph_time now)
{
    struct cph_phone *p = c->phone;
    struct cph_media_flow_config flow = { .env = p->env };

    CPH_TRY(p->host->media_open(p->host->ctx, c->id, near, c->local));
    c->ports_open = true;
    CPH_TRY(
        cph_media_flow_new(&flow, now, &c->flow)); /* first: where there is a session is a flow */
    return phone_session_again(c, now);
}

/* The first audio codec of the peer's list that we have is the one to send with. */
static void fill(const struct cph_sdp_agreed *agreed, struct cph_media_params *m)
{
    m->event_pt = -1;
    for (unsigned i = 0; i < agreed->n_codecs; i++) {
        const struct cph_sdp_agreed_codec *k = &agreed->codec[i];
        const struct cph_media_codec *codec = cph_media_codec_find(k->name, k->rate, k->channels);
        bool event = cph_span_iis(k->name, "telephone-event");

        if (!codec && !event)
            continue;
        if (codec && !m->codec) {
            m->codec = codec;
            m->pt = k->pt_send;
            m->fmtp = k->fmtp_remote;
        }
        if (m->n_recv < CPH_MEDIA_PAYLOADS)
            m->recv[m->n_recv++] = (struct cph_media_payload){ k->pt_recv, codec, k->rate };
    }
    for (unsigned i = 0; i < agreed->n_codecs && m->codec; i++) {
        const struct cph_sdp_agreed_codec *k = &agreed->codec[i];

        if (cph_span_iis(k->name, "telephone-event") && k->rate == m->codec->clock_rate) {
            m->event_pt = k->pt_send;
            m->event_rate = k->rate;
        }
    }
}

static void attach_sound(struct phone_call *c)
{
    struct cph_media_source *source = NULL;
    struct cph_media_sink *sink = NULL;
    const struct cph_phone_host *host = c->phone->host;
    cph_err err;

    if (c->sounding)
        return;
    c->sounding = true;
    err = host->sound ? host->sound(host->ctx, c->id, &source, &sink) : CPH_OK;
    if (err == CPH_OK && source)
        err = cph_media_flow_source(c->flow, source);
    else
        cph_media_source_free(source);
    if (err == CPH_OK && sink)
        err = cph_media_flow_sink(c->flow, sink);
    else
        cph_media_sink_free(sink);
    if (err != CPH_OK)
        phone_tell(c->phone, CPH_PHONE_NOTICE, c->id, "the sound device or file could not be used");
}

void phone_media_update(struct phone_call *c, cph_time now)
{
    struct cph_media_params m = { 0 };
    struct cph_sdp_agreed agreed;

    (void)now;
    if (cph_session_agreed(c->session, 0, &agreed) != CPH_OK)
        return;
    /* An answer of ours already bows to the peer's wish, so what we may do tells more than who
     * wished it: we always want to be heard, also when we hold. */
    c->held_by_peer = agreed.active && !(agreed.direction & CPH_SDP_SENDONLY);
    if (c->answered && c->state != CPH_PHONE_ST_ENDED)
        c->state = c->held_by_us || c->held_by_peer ? CPH_PHONE_ST_HELD : CPH_PHONE_ST_TALKING;
    if (!c->keyed && !c->plain)
        return; /* what is said before there are keys would be lost */
    if (agreed.active)
        fill(&agreed, &m);
    m.ptime_ms = agreed.ptime;
    m.send = agreed.active && (agreed.direction & CPH_SDP_SENDONLY) && c->answered &&
             !c->held_by_us; /* who holds does not want to be heard */
    m.recv_on = agreed.active && (agreed.direction & CPH_SDP_RECVONLY);
    if (c->answered)
        attach_sound(c);
    if (cph_media_flow_set(c->flow, &m) != CPH_OK)
        phone_tell(c->phone, CPH_PHONE_NOTICE, c->id,
                   "the codec that was agreed could not be started");
    else
        c->codec = m.codec;
}

/* ---- packets --------------------------------------------------------------------------------- */

static void send_plain(struct phone_call *c, enum cph_keying_component component, uint8_t *buf,
                       size_t n, cph_time now)
{
    const struct cph_phone_host *host = c->phone->host;
    enum cph_keying_component port;
    struct cph_addr to;

    if (cph_session_protect(c->session, 0, component, buf, &n, PHONE_PACKET, &port, &to, now) ==
        CPH_OK)
        host->media_send(host->ctx, c->id, port, &to, (struct cph_span){ buf, n });
}

/* Whoever sends an INVITE names the address that media goes to. Only the ACK shows that our answer
 * arrived where the INVITE came from; until then nobody else is to be drowned. */
static bool may_be_false(const struct phone_call *c, cph_time now)
{
    return !c->outgoing && c->answered && !c->confirmed &&
           now - c->since >= CPH_SEC(PHONE_UNCONFIRMED_S);
}

static void send_media(struct phone_call *c, cph_time now)
{
    bool silent = may_be_false(c, now);
    uint8_t buf[PHONE_PACKET];
    size_t n;

    for (int i = 0; i < PHONE_TAKE; i++) {
        if (cph_media_flow_pull(c->flow, buf, CPH_MEDIA_PACKET_MAX, &n) != CPH_OK)
            break;
        if (!silent)
            send_plain(c, CPH_KEYING_RTP, buf, n, now);
    }
    for (int i = 0; i < PHONE_TAKE; i++) {
        if (cph_media_flow_pull_rtcp(c->flow, buf, CPH_MEDIA_PACKET_MAX, &n) != CPH_OK)
            break;
        if (!silent)
            send_plain(c, CPH_KEYING_RTCP, buf, n, now);
    }
}

static void send_keying(struct phone_call *c, cph_time now)
{
    const struct cph_phone_host *host = c->phone->host;
    struct cph_session_out out;

    for (int i = 0; i < PHONE_TAKE; i++) {
        if (cph_session_pull(c->session, &out, now) != CPH_OK)
            return;
        host->media_send(host->ctx, c->id, out.port, &out.to, out.bytes);
    }
}

static void hear(struct phone_call *c)
{
    struct cph_session_packet in;

    while (cph_session_take(c->session, &in) == CPH_OK) {
        if (c->branch != 0 && in.branch != 0 && in.branch != c->branch)
            continue; /* another target of the fork, which did not answer */
        if (in.component == CPH_KEYING_RTP)
            (void)cph_media_flow_feed(c->flow, in.bytes, in.came);
        else
            (void)cph_media_flow_feed_rtcp(c->flow, in.bytes, in.came);
    }
}

static void media_events(struct phone_call *c)
{
    struct cph_media_event ev;

    while (cph_media_flow_event(c->flow, &ev)) {
        if (ev.kind == CPH_MEDIA_EVENT_DIGIT && ev.digit)
            phone_tell_more(c->phone, CPH_PHONE_DIGIT, c->id)->digit = ev.digit;
        else if (ev.kind == CPH_MEDIA_EVENT_SOURCE_OVER)
            phone_tell(c->phone, CPH_PHONE_SOURCE_OVER, c->id, NULL);
        else if (ev.kind == CPH_MEDIA_EVENT_IO)
            phone_tell(c->phone, CPH_PHONE_NOTICE, c->id,
                       "the sound device or file stopped working; the call goes on without it");
    }
}

void phone_media_turn(struct phone_call *c, cph_time now)
{
    if (cph_session_deadline(c->session) <= now)
        cph_session_tick(c->session, now);
    phone_session_events(c, now);
    hear(c);
    phone_session_events(c, now); /* media may have been the peer's last word on keys */
    if (cph_media_flow_deadline(c->flow) <= now)
        cph_media_flow_tick(c->flow, now);
    media_events(c);
    send_keying(c, now);
    send_media(c, now);
}

void phone_media_stop(struct phone_call *c, cph_time now)
{
    const struct cph_phone_host *host = c->phone->host;

    if (c->flow && c->session) {
        cph_media_flow_bye(c->flow, now);
        send_media(c, now);
    }
    if (c->ports_open)
        host->media_close(host->ctx, c->id);
    c->ports_open = false;
}

cph_time phone_media_deadline(const struct phone_call *c)
{
    cph_time a = cph_session_deadline(c->session), b = cph_media_flow_deadline(c->flow);

    return a < b ? a : b;
}

#include "meddler_int.h"

#include <stdlib.h>
#include <string.h>

#include "weaken.h"

#include "ciphony/base_text.h"
#include "ciphony/rtp.h"

enum { SPACE = 2048, RTP_SSRC = 8 };

/* ---- in the middle -------------------------------------------------------------------------- */

static void send_to(struct lab_meddler *m, unsigned i, enum cph_keying_component port,
                    const struct cph_addr *to, struct cph_span bytes)
{
    struct victim *v = &m->victim[i];

    if (lab_meddler_in_both(m) || m->middle)
        (void)!lab_send(m->node, &v->local[port], to, bytes);
    else if (v->known)
        (void)!lab_inject(m->stage->net, &v->us, &v->him, bytes);
}

/* What one victim said goes on to the other, after it was read. */
static void pass_on(struct lab_meddler *m, unsigned i)
{
    struct cph_session_packet in;
    cph_time now = lab_now(m->stage->net);

    while (cph_session_take(m->victim[i].session, &in) == CPH_OK) {
        uint8_t buf[SPACE];
        size_t n = in.bytes.n;
        enum cph_keying_component port;
        struct cph_addr to;
        struct cph_rtp rtp;
        unsigned speaker;
        uint32_t k;

        if (in.component == CPH_KEYING_RTP && cph_rtp_parse(in.bytes, &rtp) == CPH_OK &&
            lab_speech_is(m->seed, rtp.payload, &speaker, &k))
            lab_heard_add(&m->feat.heard, speaker, k, now);
        if (n + CPH_SRTP_TRAILER_MAX > sizeof buf)
            continue;
        memcpy(buf, in.bytes.p, n);
        if (cph_session_protect(m->victim[!i].session, 0, in.component, buf, &n, sizeof buf, &port,
                                &to, now) == CPH_OK) {
            m->feat.relayed++;
            send_to(m, !i, port, &to, (struct cph_span){ buf, n });
        }
    }
}

void lab_meddler_turn(struct lab_meddler *m)
{
    cph_time now = lab_now(m->stage->net), next = CPH_TIME_NEVER;
    struct cph_session_event ev;
    struct cph_session_out out;

    for (unsigned i = 0; i < VICTIMS; i++) {
        struct cph_session *s = m->victim[i].session;

        if (!s)
            continue;
        if (cph_session_deadline(s) <= now)
            cph_session_tick(s, now);
        while (cph_session_event(s, &ev) == CPH_OK)
            if (ev.kind == CPH_SESSION_KEYED && !m->victim[i].keyed) {
                m->victim[i].keyed = true;
                m->feat.keyed++;
            }
        while (cph_session_pull(s, &out, now) == CPH_OK)
            send_to(m, i, out.port, &out.to, out.bytes);
        if (m->victim[!i].session)
            pass_on(m, i);
        if (cph_session_deadline(s) < next)
            next = cph_session_deadline(s);
    }
    if (m->node)
        (void)!lab_wake_at(m->node, next);
}

static void give(struct lab_meddler *m, unsigned i, enum cph_keying_component c,
                 const struct cph_addr *from, struct cph_span bytes)
{
    uint8_t copy[SPACE];

    if (!m->victim[i].session || bytes.n > sizeof copy)
        return;
    memcpy(copy, bytes.p, bytes.n);
    (void)cph_session_feed(m->victim[i].session, 0, c, from, copy, bytes.n, lab_now(m->stage->net));
    lab_meddler_turn(m);
}

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct lab_meddler *m = ctx;

    (void)now;
    for (unsigned i = 0; i < VICTIMS; i++)
        for (unsigned c = 0; c < 2; c++)
            if (cph_addr_eq(&m->victim[i].local[c], local))
                give(m, i, (enum cph_keying_component)c, from, bytes);
}

static void on_wake(void *ctx, cph_time now)
{
    (void)now;
    lab_meddler_turn(ctx);
}

/* On the media path: everything the victims send is his. */
static bool on_path(void *ctx, const struct lab_packet *p)
{
    struct lab_meddler *m = ctx;
    struct cph_addr who;

    if (!m->stage || p->kind == LAB_SIP)
        return true;
    for (unsigned i = 0; i < VICTIMS; i++) {
        struct victim *v = &m->victim[i];

        if (cph_addr_parse_ip(cph_span_of(lab_person_ip(i ? LAB_BOB : LAB_ALICE)), &who) !=
                CPH_OK ||
            !cph_addr_ip_eq(&who, &p->from))
            continue;
        v->him = p->from;
        v->us = p->to;
        v->known = true;
        m->victim[!i].him = p->to;
        m->victim[!i].us = p->from;
        m->victim[!i].known = true;
        give(m, i, CPH_KEYING_RTP, &p->from, p->bytes);
        return false;
    }
    return true;
}

/* In the middle of both: what the victims still say to each other does not arrive, so that there is
 * him to speak with or nobody. */
static bool cut_path(void *ctx, const struct lab_packet *p)
{
    struct lab_meddler *m = ctx;
    const struct cph_addr *here = &m->victim[0].local[0];

    return !m->stage || p->kind == LAB_SIP || cph_addr_ip_eq(here, &p->from) ||
           cph_addr_ip_eq(here, &p->to);
}

/* On the media path, the caller gets her own packets, in the callee's name, and nobody else's: as
 * they were, and with another SSRC, since she may know her own. */
static bool mirror_path(void *ctx, const struct lab_packet *p)
{
    struct lab_meddler *m = ctx;
    struct cph_addr alice, from = p->from, to = p->to;
    uint8_t copy[SPACE];

    if (!m->stage || p->kind == LAB_SIP ||
        cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_ALICE)), &alice) != CPH_OK)
        return true;
    if (!cph_addr_ip_eq(&alice, &from)) /* what is injected does not come by here */
        return false;
    (void)!lab_inject(m->stage->net, &to, &from, p->bytes);
    if (p->kind == LAB_RTP && p->bytes.n <= sizeof copy) {
        memcpy(copy, p->bytes.p, p->bytes.n);
        copy[RTP_SSRC] ^= 1;
        (void)!lab_inject(m->stage->net, &to, &from, (struct cph_span){ copy, p->bytes.n });
    }
    return false;
}

/* On the media path, what makes keys is changed, and the rest passes. */
static bool weaken_path(void *ctx, const struct lab_packet *p)
{
    struct lab_meddler *m = ctx;
    uint8_t less[SPACE];
    struct cph_wr wr = cph_wr_open(less, sizeof less);
    struct cph_addr from = p->from, to = p->to;

    if (!m->stage || p->kind != LAB_KEYING || !lab_weaken_packet(p->bytes, &wr))
        return true;
    m->feat.changed++;
    return lab_inject(m->stage->net, &from, &to, cph_wr_done(&wr)) != CPH_OK;
}

/* In the server only: what goes by on the media path is read, and goes on. */
static bool on_wire(void *ctx, const struct lab_packet *p)
{
    struct lab_meddler *m = ctx;
    struct cph_addr who;

    for (unsigned i = 0; m->stage && p->kind == LAB_RTP && i < VICTIMS; i++)
        if (cph_addr_parse_ip(cph_span_of(lab_person_ip(i ? LAB_BOB : LAB_ALICE)), &who) ==
                CPH_OK &&
            cph_addr_ip_eq(&who, &p->from))
            give(m, i, CPH_KEYING_RTP, &p->from, p->bytes);
    return true;
}

/* ---- begin and end --------------------------------------------------------------------------- */

cph_err lab_meddler_new(enum lab_meddling how, const char *keying, uint64_t seed,
                        struct lab_meddler **out)
{
    struct lab_meddler *m = calloc(1, sizeof *m);
    cph_err err;

    if (!m)
        return CPH_E_NOMEM;
    m->how = how;
    m->keying = keying;
    m->seed = seed;
    err = cph_srtp_engine_new(CPH_SRTP_ACCEL_NONE, &m->srtp);
    if (err != CPH_OK) {
        free(m);
        return err;
    }
    *out = m;
    return CPH_OK;
}

void lab_meddler_free(struct lab_meddler *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < VICTIMS; i++) {
        cph_session_free(m->victim[i].session);
        lab_kit_free(m->victim[i].kit);
        cph_wipe(m->victim[i].answer, sizeof m->victim[i].answer);
    }
    lab_sealer_free(m->sealer);
    cph_srtp_engine_free(m->srtp);
    free(m);
}

void lab_meddler_name(struct lab_meddler *m, bool old_zid)
{
    m->old_zid = old_zid;
}

void lab_meddler_place(struct lab_meddler *m, struct lab_stage_config *cfg)
{
    static const struct lab_proxy_ops ops = { lab_meddler_sdp };

    if (m->how == LAB_MEDDLE_NOT)
        return;
    cfg->proxy.ops = &ops;
    cfg->proxy.ctx = m;
    if (m->how == LAB_MEDDLE_MIRROR) {
        cfg->filter = mirror_path;
        cfg->filter_ctx = m;
    }
    if (lab_meddler_in_both(m)) {
        cfg->filter = cut_path;
        cfg->filter_ctx = m;
    }
    if (m->how == LAB_MEDDLE_WEAKEN_BOTH) {
        cfg->filter = weaken_path;
        cfg->filter_ctx = m;
    }
    if (lab_meddler_only_media(m) || m->how == LAB_MEDDLE_SUBSTITUTE) {
        cfg->filter = lab_meddler_only_media(m) ? on_path : on_wire;
        cfg->filter_ctx = m;
    }
}

cph_err lab_meddler_start(struct lab_meddler *m, struct lab_stage *s)
{
    static const struct lab_node_ops node_ops = { .datagram = on_datagram, .wake = on_wake };
    struct cph_addr a;

    m->stage = s;
    lab_trace_name(s->trace, lab_person_ip(LAB_MALLORY), lab_person_name(LAB_MALLORY));
    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_MALLORY)), &a));
    CPH_TRY(lab_node_new(s->net, &node_ops, m, &m->node));
    for (unsigned i = 0; i < VICTIMS; i++)
        for (unsigned c = 0; c < 2; c++) {
            m->victim[i].local[c] = a;
            m->victim[i].local[c].port = (uint16_t)(30000 + 2 * i + c);
            CPH_TRY(lab_bind(m->node, &m->victim[i].local[c]));
        }
    return CPH_OK;
}

struct lab_meddler_feat lab_meddler_feat(const struct lab_meddler *m)
{
    return m->feat;
}

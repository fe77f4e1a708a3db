#include "meddler.h"

#include <stdlib.h>
#include <string.h>

#include "rewrite.h"
#include "sealer.h"
#include "weaken.h"

#include "ciphony/base_text.h"
#include "ciphony/rtp.h"
#include "ciphony/session.h"
#include "ciphony/srtp.h"

enum { VICTIMS = 2, SPACE = 2048, RTP_SSRC = 8 }; /* 0: who offers, 1: who answers */

struct victim {
    struct cph_session *session;
    struct lab_kit *kit;
    struct cph_addr local[2]; /* our ports towards him */
    struct cph_addr him, us;  /* his media address, and the one he takes for the other's */
    bool known;
    uint8_t answer[CPH_SESSION_SDP];
    size_t answer_n;
    bool keyed;
};

struct lab_meddler {
    enum lab_meddling how;
    const char *keying;
    uint64_t seed;
    struct lab_stage *stage;
    struct lab_node *node;
    struct cph_srtp_engine *srtp;
    struct victim victim[VICTIMS];
    struct lab_meddler_feat feat;
    bool as_secure; /* his own offers have the profile of theirs */
    struct lab_sealer *sealer;
    bool old_zid;
    uint8_t offer[CPH_SESSION_SDP], old[CPH_SESSION_SDP]; /* the last offer, and answer before he
                                                             began, as they went by */
    size_t offer_n, old_n;
    bool middle; /* the media comes to his ports, since his are the addresses in the descriptions */
};

static bool only_media(const struct lab_meddler *m)
{
    return m->how == LAB_MEDDLE_MEDIA || m->how == LAB_MEDDLE_ROLES;
}

/* ---- in the middle: sessions ----------------------------------------------------------------- */

static cph_err open_victim(struct lab_meddler *m, unsigned i)
{
    static const struct cph_sdp_codec codec = { .name = "PCMU", .rate = 8000, .channels = 1 };
    struct victim *v = &m->victim[i];
    struct cph_session_media media = { .kind = "audio",
                                       .codecs = &codec,
                                       .n_codecs = 1,
                                       .direction = CPH_SDP_SENDRECV,
                                       .rtcp_mux = true };
    struct cph_session_config cfg = { .env = &m->stage->env, .srtp = m->srtp, .peer = "" };
    enum lab_person other = i ? LAB_ALICE : LAB_BOB;
    /* His own keys, unless he was given theirs; and in the name of the other one. */
    struct lab_kit_config kit = { .column = lab_column_find(m->keying),
                                  .who = m->how == LAB_MEDDLE_INVITED ? other : LAB_MALLORY,
                                  .claims = other,
                                  .old_zid = m->old_zid,
                                  .env = &m->stage->env };

    if (v->session)
        return CPH_OK;
    if (!kit.column)
        return CPH_E_NOTFOUND;
    CPH_TRY(lab_kit_new(&kit, &v->kit));
    CPH_TRY(lab_kit_session(v->kit, i ? LAB_BOB : LAB_ALICE, &cfg.keying));
    cfg.policy.media = m->how == LAB_MEDDLE_STRIP ? CPH_SECURITY_NONE
                       : m->as_secure             ? CPH_SECURITY_REQUIRED
                                                  : CPH_SECURITY_PREFER;
    lab_kit_policy(v->kit, &cfg.policy);
    memcpy(media.local, v->local, sizeof media.local);
    return cph_session_new(&cfg, &media, 1, lab_now(m->stage->net), &v->session);
}

static bool in_both(const struct lab_meddler *m)
{
    return m->how == LAB_MEDDLE_BOTH || m->how == LAB_MEDDLE_INVITED;
}

/* An offer passes: answer it as the callee would, if he can, and make one of his own for the
 * callee.
 */
static cph_err take_offer(struct lab_meddler *m, struct cph_span offer, struct cph_wr *out)
{
    struct victim *a = &m->victim[0];
    struct cph_wr answer = cph_wr_open(a->answer, sizeof a->answer);
    cph_time now = lab_now(m->stage->net);

    CPH_TRY(open_victim(m, 0));
    CPH_TRY(open_victim(m, 1));
    if (cph_session_answer(a->session, offer, now, &answer) == CPH_OK)
        a->answer_n = answer.n;
    return cph_session_offer(m->victim[1].session, now, out);
}

static cph_err take_answer(struct lab_meddler *m, unsigned status, struct cph_span answer,
                           struct cph_wr *out)
{
    struct victim *a = &m->victim[0], *b = &m->victim[1];

    if (!b->session || a->answer_n == 0)
        return CPH_E_STATE;
    CPH_TRY(cph_session_finish(b->session, 1, answer, lab_now(m->stage->net)));
    if (status >= 200)
        CPH_TRY(cph_session_choose(b->session, 1));
    cph_wr_bytes(out, a->answer, a->answer_n);
    return CPH_OK;
}

/* Shares in the description are all there is to the keys: with his own in the place of theirs he
 * needs no more than an ear on the media, which goes between the two as ever. */
static bool has_shares(struct cph_span sdp)
{
    return memmem(sdp.p, sdp.n, "a=sdp-dh:", 9) != NULL;
}

static cph_err swap_shares(struct lab_meddler *m, const struct cph_sip_msg *msg,
                           struct cph_span sdp, struct cph_wr *out)
{
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine);
    struct cph_span line, rest;
    bool done = false;

    m->as_secure = memmem(sdp.p, sdp.n, " RTP/SAVP", 9) != NULL;
    CPH_TRY(msg->is_request ? take_offer(m, sdp, &wr) : take_answer(m, msg->status, sdp, &wr));
    while (cph_span_line(&sdp, &line)) {
        if (!cph_span_starts(line, "a=sdp-dh:")) {
            cph_wr_span(out, line);
            cph_wr_text(out, "\r\n");
            continue;
        }
        for (rest = cph_wr_done(&wr); !done && cph_span_line(&rest, &line);)
            if (cph_span_starts(line, "a=sdp-dh:")) {
                cph_wr_span(out, line);
                cph_wr_text(out, "\r\n");
            }
        done = true;
    }
    return cph_wr_end(out);
}

/* ---- in the middle: sealed bodies ------------------------------------------------------------ */

/* An answer to what he could not read: what he would have offered, with one key. */
static cph_err answer_blindly(struct lab_meddler *m)
{
    struct victim *a = &m->victim[0];
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine),
                  one = cph_wr_open(a->answer, sizeof a->answer);
    struct cph_span rest, line;
    unsigned keys = 0;

    CPH_TRY(cph_session_offer(a->session, lab_now(m->stage->net), &wr));
    for (rest = cph_wr_done(&wr); cph_span_line(&rest, &line);) {
        if (cph_span_starts(line, "a=crypto:") && keys++ > 0)
            continue;
        cph_wr_span(&one, line);
        cph_wr_text(&one, "\r\n");
    }
    a->answer_n = one.n;
    return cph_wr_end(&one);
}

/* His own body in the place of theirs; whether he can read theirs depends on his keys. */
static cph_err own_description(struct lab_meddler *m, const struct cph_sip_msg *msg,
                               struct cph_wr *out)
{
    struct cph_span theirs;
    bool read = lab_sealer_open(m->sealer, !msg->is_request, msg, &theirs) == CPH_OK;
    struct victim *a = &m->victim[0];

    if (read)
        return msg->is_request ? take_offer(m, theirs, out)
                               : take_answer(m, msg->status, theirs, out);
    if (msg->is_request) {
        CPH_TRY(open_victim(m, 0));
        CPH_TRY(open_victim(m, 1));
        CPH_TRY(answer_blindly(m));
        return cph_session_offer(m->victim[1].session, lab_now(m->stage->net), out);
    }
    if (a->answer_n == 0)
        return CPH_E_STATE;
    cph_wr_bytes(out, a->answer, a->answer_n);
    return CPH_OK;
}

static cph_err swap_sealed(struct lab_meddler *m, const struct cph_sip_msg *msg,
                           struct cph_span body, struct cph_wr *out)
{
    bool invited = m->how == LAB_MEDDLE_INVITED;
    enum lab_person keys[2] = { invited ? LAB_BOB : LAB_MALLORY,
                                invited ? LAB_ALICE : LAB_MALLORY };
    uint8_t mine[CPH_SESSION_SDP];
    struct cph_wr wr = cph_wr_open(mine, sizeof mine);

    if (m->how == LAB_MEDDLE_WEAKEN ||
        m->how ==
            LAB_MEDDLE_WEAKEN_BOTH) { /* he sees no suites: all he can do is to change something */
        cph_wr_bytes(out, body.p, body.n);
        out->p[body.n / 2] ^= 1;
        return cph_wr_end(out);
    }
    if (!m->sealer)
        CPH_TRY(lab_sealer_new(&m->stage->env, keys, &m->sealer));
    m->middle = m->as_secure = true;
    CPH_TRY(own_description(m, msg, &wr));
    if (m->how == LAB_MEDDLE_STRIP) { /* neither keys nor a seal */
        cph_wr_span(out, cph_wr_done(&wr));
        return cph_wr_end(out);
    }
    return lab_sealer_close(m->sealer, msg->is_request ? 1 : 0, cph_wr_done(&wr), out);
}

static void turn(struct lab_meddler *m);

/* Of several descriptions (multipart) the last is the one with keys. */
static struct cph_span last_part(struct cph_span body)
{
    static const char begins[] = "\r\n\r\nv=0\r\n";
    struct cph_span part = body, rest = body;
    const uint8_t *at;

    if (!cph_span_starts(body, "--"))
        return body;
    while (rest.n > 0 && (at = memmem(rest.p, rest.n, begins, sizeof begins - 1))) {
        rest = cph_span_from(rest, (size_t)(at - rest.p) + 4);
        part = rest;
    }
    at = part.n > 0 ? memmem(part.p, part.n, "\r\n--", 4) : NULL;
    return at ? cph_span_head(part, (size_t)(at - part.p) + 2) : part;
}

static void keep(struct cph_span body, uint8_t copy[CPH_SESSION_SDP], size_t *n)
{
    if (body.n > CPH_SESSION_SDP)
        return;
    memcpy(copy, body.p, body.n);
    *n = body.n;
}

/* Her own offer, or what was answered in another call. Sealed bodies go back as they came. */
static cph_err answer_falsely(struct lab_meddler *m, const struct cph_sip_msg *msg,
                              struct cph_wr *out)
{
    struct cph_span offer = { m->offer, m->offer_n };

    if (msg->is_request || (m->how == LAB_MEDDLE_OLD && m->old_n == 0))
        return CPH_E_STATE; /* it passes */
    if (m->how == LAB_MEDDLE_OLD)
        cph_wr_bytes(out, m->old, m->old_n);
    else if (lab_sealer_is(msg))
        cph_wr_span(out, offer);
    else
        lab_rewrite_mirror(offer, lab_person_ip(LAB_ALICE), lab_person_ip(LAB_BOB), out);
    return cph_wr_end(out);
}

static enum lab_proxy_body on_sdp(void *ctx, const struct cph_sip_msg *msg,
                                  const struct cph_addr *from, struct cph_span sdp,
                                  struct cph_wr *out)
{
    struct lab_meddler *m = ctx;
    cph_err err = CPH_OK;

    (void)from;
    if (msg->is_request)
        keep(sdp, m->offer, &m->offer_n);
    else if (!m->stage)
        keep(sdp, m->old, &m->old_n);
    if (!m->stage)
        return LAB_BODY_KEEP;
    if (in_both(m) || only_media(m))
        sdp = last_part(sdp);
    if (m->how == LAB_MEDDLE_MIRROR || m->how == LAB_MEDDLE_OLD) {
        err = answer_falsely(m, msg, out);
    } else if (lab_sealer_is(msg)) {
        err = only_media(m) ? CPH_E_AUTH : swap_sealed(m, msg, sdp, out);
        turn(m);
    } else if (in_both(m)) {
        err = msg->is_request ? take_offer(m, sdp, out) : take_answer(m, msg->status, sdp, out);
        turn(m);
    } else if (only_media(m)) { /* what he would say himself he keeps */
        uint8_t mine[CPH_SESSION_SDP];
        struct cph_wr wr = cph_wr_open(mine, sizeof mine);

        (void)!(msg->is_request ? take_offer(m, sdp, &wr) : take_answer(m, msg->status, sdp, &wr));
        turn(m);
        if (m->how == LAB_MEDDLE_MEDIA)
            return LAB_BODY_KEEP;
        lab_rewrite(m->how, sdp, out);
    } else if (m->how == LAB_MEDDLE_SUBSTITUTE && has_shares(sdp)) {
        err = swap_shares(m, msg, sdp, out);
        turn(m);
    } else {
        lab_rewrite(m->how, sdp, out);
    }
    if (err != CPH_OK)
        return LAB_BODY_KEEP;
    m->feat.changed++;
    return LAB_BODY_REPLACE;
}

/* ---- in the middle: media -------------------------------------------------------------------- */

static void send_to(struct lab_meddler *m, unsigned i, enum cph_keying_component port,
                    const struct cph_addr *to, struct cph_span bytes)
{
    struct victim *v = &m->victim[i];

    if (in_both(m) || m->middle)
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

static void turn(struct lab_meddler *m)
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
    turn(m);
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
    turn(ctx);
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
    static const struct lab_proxy_ops ops = { on_sdp };

    if (m->how == LAB_MEDDLE_NOT)
        return;
    cfg->proxy.ops = &ops;
    cfg->proxy.ctx = m;
    if (m->how == LAB_MEDDLE_MIRROR) {
        cfg->filter = mirror_path;
        cfg->filter_ctx = m;
    }
    if (m->how == LAB_MEDDLE_WEAKEN_BOTH) {
        cfg->filter = weaken_path;
        cfg->filter_ctx = m;
    }
    if (only_media(m) || m->how == LAB_MEDDLE_SUBSTITUTE) {
        cfg->filter = only_media(m) ? on_path : on_wire;
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

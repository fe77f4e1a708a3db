#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * What arrives and what goes.
 *
 *   datagram -> RFC 7983 -> keying:  the mechanism that claims it
 *                        -> media:   no keys yet: kept; SECURE: verified and decrypted on the
 * branch whose keys fit; PLAIN: taken as it is
 *                        -> others:  dropped
 */

/* ---- good packets ---------------------------------------------------------------------------- */

static struct engine_good *ring_next(struct cph_session *s)
{
    unsigned at;

    if (s->ring_n == ENGINE_RING)
        return NULL;
    if (s->ring_n == 0) /* the same place again and again, which is in the cache */
        s->ring_at = 0;
    at = (s->ring_at + s->ring_n) % ENGINE_RING;
    if (at >= s->ring_used)
        s->ring_used = at + 1;
    return &s->ring[at];
}

/* ---- verifying ------------------------------------------------------------------------------- */

static cph_err unprotect_with(struct cph_srtp *ctx, enum cph_keying_component kind, uint8_t *p,
                              size_t *n)
{
    struct cph_srtp_pkt pkt = { .n = *n, .cap = *n };
    cph_err err;

    pkt.p = p;
    if (!ctx)
        return CPH_E_NOKEY;
    err = kind == CPH_KEYING_RTP ? cph_srtp_unprotect(ctx, &pkt)
                                 : cph_srtp_unprotect_rtcp(ctx, &pkt);
    if (err == CPH_OK)
        *n = pkt.n;
    return err;
}

/* The keys in use, and the other idea of the ROC. */
static cph_err unprotect_now(struct engine_line *l, unsigned c, enum cph_keying_component kind,
                             uint8_t *p, size_t *n)
{
    cph_err err = unprotect_with(l->recv[c], kind, p, n);

    if (err == CPH_OK) {
        cph_srtp_free(l->alt[c]); /* the first guess was right */
        l->alt[c] = NULL;
        return err;
    }
    if (err == CPH_E_REPLAY || err == CPH_E_CRYPTO || !l->alt[c] ||
        unprotect_with(l->alt[c], kind, p, n) != CPH_OK)
        return err;
    cph_srtp_free(l->recv[c]);
    l->recv[c] = l->alt[c];
    l->alt[c] = NULL;
    return CPH_OK;
}

/* The keys in use; then, after a change, the ones before. A packet is unchanged when its tag does
 * not fit. */
static cph_err unprotect(struct engine_line *l, enum cph_keying_component kind, uint8_t *p,
                         size_t *n, cph_time now)
{
    unsigned c = l->shared ? 0 : kind;
    cph_err err = l->ekt ? engine_ekt_unprotect(l->ekt, kind, p, n, now)
                         : unprotect_now(l, c, kind, p, n);

    if (err == CPH_OK || err == CPH_E_REPLAY || err == CPH_E_CRYPTO)
        return err;
    if (l->prev[c] && unprotect_with(l->prev[c], kind, p, n) == CPH_OK)
        return CPH_OK;
    if (l->ekt_prev && engine_ekt_unprotect(l->ekt_prev, kind, p, n, now) == CPH_OK)
        return CPH_OK;
    return err;
}

/* ---- where the peer is ----------------------------------------------------------------------- */

static const struct cph_addr *target_of(const struct engine_line *l, enum cph_keying_component port)
{
    if (l->latched[port].family != CPH_AF_NONE)
        return &l->latched[port];
    if (!l->has_agreed)
        return NULL;
    return port == CPH_KEYING_RTP ? &l->agreed.rtp.addr : &l->agreed.rtcp.addr;
}

static bool usable(const struct cph_addr *a)
{
    return a && a->family != CPH_AF_NONE && a->port != 0 && !cph_addr_is_any(a);
}

/* We send where authenticated media comes from (NAT), and only follow packets that are the newest:
 * one that was held back and sent on from elsewhere does not move us. */
static void latch(struct cph_session *s, struct engine_branch *b, unsigned stream,
                  enum cph_keying_component port, const struct cph_addr *from, bool newest)
{
    struct engine_line *l = &b->line[stream];
    const struct cph_addr *now_at = target_of(l, port);
    char text[CPH_ADDR_TEXT];

    if (!newest || !usable(from) || (now_at && cph_addr_eq(now_at, from)))
        return;
    l->latched[port] = *from;
    if (l->notices++ < ENGINE_NOTICES)
        engine_event(
            s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
            "%s comes from %s, not from where the peer said; we send there, since its keys "
            "are right",
            s->media[stream].kind, cph_addr_text(from, text));
}

/* Is it later than all before? Sequence numbers wrap: RFC 3550 A.1. */
static bool is_newest(struct engine_line *l, struct cph_span rtp)
{
    uint16_t seq = (uint16_t)(rtp.p[2] << 8 | rtp.p[3]);
    bool newest = !l->seen_seq || (uint16_t)(seq - l->seq - 1) < 0x8000;

    if (newest)
        l->seq = seq;
    l->seen_seq = true;
    return newest;
}

/* ---- media that arrives ---------------------------------------------------------------------- */

/* RTP of a codec with whole 10 ms of bytes and no tag behind, or a sound RTCP packet: that is no
 * SRTP. */
static bool looks_clear(enum cph_keying_component kind, struct cph_span packet)
{
    struct cph_rtp rtp;

    if (kind == CPH_KEYING_RTCP)
        return cph_rtcp_check(packet) == CPH_OK;
    return cph_rtp_parse(packet, &rtp) == CPH_OK && (rtp.pt == 0 || rtp.pt == 8) &&
           rtp.payload.n > 0 && rtp.payload.n % 80 == 0;
}

static void refused(struct cph_session *s, unsigned stream, struct engine_branch *b,
                    enum cph_keying_component kind, struct cph_span packet, cph_err err)
{
    struct engine_line *l = &b->line[stream];
    bool clear = err != CPH_E_REPLAY && looks_clear(kind, packet);

    switch (err) {
    case CPH_E_REPLAY:
        s->count.replayed++;
        return;
    case CPH_E_TRUNCATED:
    case CPH_E_MALFORMED:
        s->count.malformed += !clear;
        break;
    default:
        s->count.auth_failed += !clear;
    }
    if (!clear)
        return;
    s->count.clear_refused++;
    s->media[stream].refused++;
    if (l->notices++ < ENGINE_NOTICES)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_E_POLICY,
                     "%s arrived in clear and was thrown away: it must be encrypted",
                     s->media[stream].kind);
}

static void accepted(struct cph_session *s, struct engine_branch *b, unsigned stream,
                     enum cph_keying_component kind, enum cph_keying_component port,
                     const struct cph_addr *from, struct cph_span plain)
{
    struct engine_line *l = &b->line[stream];
    struct engine_media *m = &s->media[stream];
    /* RTCP that was held back is not told from the newest, so it never moves where media goes. */
    bool newest = kind == CPH_KEYING_RTP ? is_newest(l, plain) : port == CPH_KEYING_RTCP;

    l->moved = true;
    if (kind == CPH_KEYING_RTP) {
        s->count.in++;
        m->in++;
    } else {
        s->count.rtcp_in++;
    }
    if (l->state == LINE_SECURE) /* never after packets in clear, which anybody can send */
        latch(s, b, stream, port, from, newest);
    else if (kind == CPH_KEYING_RTP)
        m->clear_in++;
}

static bool from_peer(const struct engine_line *l, const struct cph_addr *from)
{
    return l->has_agreed && cph_addr_ip_eq(&l->agreed.rtp.addr, from);
}

/* All targets of a fork are told one EKT set, so that each could speak on the branch of another:
 * until it is clear who answers, and then until the set is another one, media is taken only from
 * where the answer said. */
static bool of_another_branch(const struct cph_session *s, const struct engine_line *l,
                              const struct cph_addr *from)
{
    return l->ekt && (!s->chosen || l->ekt_forked) && !from_peer(l, from);
}

/* An answer that names its SSRC (MIKEY) takes no other: branches whose keys the caller made have
 * the same, and only this tells whose packet it is. RFC 3830 6.1.1 MUST: the stream has the SSRC
 * that its crypto session says */
static bool of_another_stream(const struct engine_line *l, enum cph_keying_component kind,
                              const uint8_t *p, size_t n)
{
    struct cph_keying_hint hint[CPH_KEYING_MAX_HINTS];
    struct cph_rd rd = cph_rd_open((struct cph_span){ p, n });
    unsigned hints = 0;
    bool named = false;
    uint32_t ssrc;

    if (kind == CPH_KEYING_RTP && l->state == LINE_SECURE)
        hints = cph_nego_hints(l->nego, hint, CPH_KEYING_MAX_HINTS);
    (void)cph_rd_u64(&rd);
    ssrc = cph_rd_u32(&rd);
    for (unsigned i = 0; i < hints; i++) {
        if (hint[i].dir == CPH_KEYING_RECV && hint[i].ssrc == ssrc)
            return false;
        named |= hint[i].dir == CPH_KEYING_RECV;
    }
    return named;
}

/* Try one packet on every branch, the one in use first. CPH_E_AGAIN: keys are still to come. */
static cph_err try_branches(struct cph_session *s, unsigned stream, enum cph_keying_component kind,
                            enum cph_keying_component port, const struct cph_addr *from, uint8_t *p,
                            size_t *n, uint32_t *branch)
{
    struct engine_branch *b, *clear = NULL, *tried = NULL;
    bool waiting = engine_branch(s) == NULL;
    cph_err err = CPH_E_POLICY;

    for (unsigned i = 0; (b = engine_next_likely(s, &i)) != NULL;) {
        struct engine_line *l = &b->line[stream];
        cph_err e;

        waiting |= l->state == LINE_KEYING;
        /* While several phones ring, plain media is taken only from where its answer said. */
        if (l->state == LINE_PLAIN && (s->chosen || from_peer(l, from)) && !clear)
            clear = b;
        if (!engine_hears(l))
            continue;
        if (of_another_branch(s, l, from)) {
            waiting |= !s->chosen; /* its answer may be on its way */
            continue;
        }
        if (of_another_stream(l, kind, p, *n))
            continue;
        e = unprotect(l, kind, p, n, s->now);
        if (e == CPH_OK) {
            if (l->state == LINE_KEYING)
                engine_heard(s, b, stream);
            *branch = b->id;
            accepted(s, b, stream, kind, port, from, (struct cph_span){ p, *n });
            return CPH_OK;
        }
        if (!tried || e == CPH_E_REPLAY)
            err = e;
        tried = tried ? tried : b;
    }
    if (clear) {
        struct cph_rtp rtp;

        CPH_TRY(kind == CPH_KEYING_RTP ? cph_rtp_parse((struct cph_span){ p, *n }, &rtp)
                                       : cph_rtcp_check((struct cph_span){ p, *n }));
        *branch = clear->id;
        accepted(s, clear, stream, kind, port, from, (struct cph_span){ p, *n });
        return CPH_OK;
    }
    if (waiting && err != CPH_E_REPLAY)
        return CPH_E_AGAIN;
    if (!tried)
        s->count.unknown++; /* no line of any branch wants media */
    else
        refused(s, stream, tried, kind, (struct cph_span){ p, *n }, err);
    return err;
}

static cph_err feed_media(struct cph_session *s, unsigned stream, enum cph_keying_component kind,
                          enum cph_keying_component port, const struct cph_addr *from, uint8_t *p,
                          size_t n, cph_time now)
{
    struct engine_good *g = ring_next(s);
    uint32_t branch = 0;
    cph_err err;

    if (n > ENGINE_PACKET || n < CPH_RTP_HEADER - 4) {
        s->count.malformed++;
        return CPH_E_MALFORMED;
    }
    if (!g) {
        s->count.unknown++;
        return CPH_E_LIMIT; /* nobody takes what is good */
    }
    err = try_branches(s, stream, kind, port, from, p, &n, &branch);
    if (err == CPH_E_AGAIN) {
        engine_keep(s, stream, port, from, (struct cph_span){ p, n }, now);
        return CPH_OK;
    }
    CPH_TRY(err);
    *g = (struct engine_good){
        .stream = stream, .component = kind, .branch = branch, .came = now, .n = n
    };
    memcpy(g->b, p, n);
    s->ring_n++;
    return CPH_OK;
}

/* ---- keying that arrives --------------------------------------------------------------------- */

/* What opens a path is for a mechanism that waits for it, and is never kept. */
static cph_err feed_opener(struct cph_session *s, unsigned stream, enum cph_keying_component port,
                           const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    cph_err err = CPH_E_UNSUPPORTED;
    struct engine_branch *b;

    for (unsigned i = 0; err != CPH_OK && (b = engine_next(s, &i)) != NULL;) {
        if (!b->line[stream].nego || !cph_nego_claims(b->line[stream].nego, packet))
            continue;
        err = cph_nego_feed(b->line[stream].nego, port, from, packet, now);
        engine_look(s, b, stream, now);
    }
    s->count.keying_in += err == CPH_OK;
    s->count.unknown += err != CPH_OK;
    return err;
}

static cph_err feed_keying(struct cph_session *s, unsigned stream, enum cph_keying_component port,
                           const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    cph_err err = CPH_E_UNSUPPORTED;
    struct engine_branch *b;

    s->count.keying_in++;
    for (unsigned i = 0; err != CPH_OK && (b = engine_next_likely(s, &i)) != NULL;)
        if (b->line[stream].nego && cph_nego_claims(b->line[stream].nego, packet))
            err = cph_nego_feed(b->line[stream].nego, port, from, packet, now);
    /* RFC 8842 5.2 MUST: a handshake may begin before the answer */
    if (err != CPH_OK && s->base[stream] && cph_nego_claims(s->base[stream], packet))
        err = cph_nego_feed(s->base[stream], port, from, packet, now);
    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        engine_look(s, b, stream, now); /* what one learned may end another's wait */
    if (err != CPH_OK && !engine_branch(s)) {
        engine_keep(s, stream, port, from, packet, now);
        return CPH_OK;
    }
    s->count.unknown += err != CPH_OK;
    return err;
}

/* A mechanism of ours may use what RFC 7983 gives to nobody (MIKEYv2 in band). */
static bool somebody_claims(const struct cph_session *s, unsigned stream, struct cph_span packet)
{
    bool yes = s->base[stream] && cph_nego_claims(s->base[stream], packet);
    const struct engine_branch *b;

    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        yes |= b->line[stream].nego && cph_nego_claims(b->line[stream].nego, packet);
    return yes;
}

cph_err cph_session_feed(struct cph_session *s, unsigned stream,
                         enum cph_keying_component component, const struct cph_addr *from,
                         uint8_t *packet, size_t n, cph_time now)
{
    struct cph_span view = { packet, n };

    if (stream >= s->n || component > CPH_KEYING_RTCP)
        return CPH_E_ARGUMENT;
    s->now = now;
    switch (cph_rtp_classify(view)) {
    case CPH_RTP_CLASS_DTLS:
    case CPH_RTP_CLASS_ZRTP:
        return feed_keying(s, stream, component, from, view, now);
    case CPH_RTP_CLASS_RTP:
        return feed_media(s, stream, CPH_KEYING_RTP, component, from, packet, n, now);
    case CPH_RTP_CLASS_RTCP:
        return feed_media(s, stream, CPH_KEYING_RTCP, component, from, packet, n, now);
    case CPH_RTP_CLASS_STUN:
        return feed_opener(s, stream, component, from, view, now);
    case CPH_RTP_CLASS_UNKNOWN:
        if (somebody_claims(s, stream, view))
            return feed_keying(s, stream, component, from, view, now);
        break;
    case CPH_RTP_CLASS_TURN:
        break;
    }
    s->count.unknown++; /* RFC 7983 7 MUST: what is in no range is dropped */
    return CPH_E_UNSUPPORTED;
}

/* ---- taking what is good --------------------------------------------------------------------- */

static bool ready(const struct cph_session *s, unsigned stream)
{
    const struct engine_branch *b;

    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        if (engine_hears(&b->line[stream]) || b->line[stream].state == LINE_PLAIN)
            return true;
    return false;
}

/* One of those that had to wait; it is decrypted where it lies. */
static bool take_early(struct cph_session *s, unsigned stream, struct cph_session_packet *out)
{
    struct engine_early *again = NULL, **again_end = &again, *e;
    unsigned kept = 0;
    bool got = false;

    while (!got && ready(s, stream) && (e = engine_early_pop(s, stream)) != NULL) {
        bool rtcp = cph_rtp_classify((struct cph_span){ e->b, e->n }) == CPH_RTP_CLASS_RTCP;
        enum cph_keying_component kind = rtcp ? CPH_KEYING_RTCP : CPH_KEYING_RTP;
        cph_err err = try_branches(s, stream, kind, e->component, &e->from, e->b, &e->n,
                                   &out->branch);

        e->next = NULL;
        if (err == CPH_E_AGAIN) { /* another branch may have its keys */
            *again_end = e;
            again_end = &e->next;
            kept++;
        } else if (err != CPH_OK) {
            engine_early_free(e);
            s->count.early_lost++;
        } else {
            s->given = e;
            s->count.early_played++;
            out->stream = stream;
            out->component = kind;
            out->bytes = (struct cph_span){ e->b, e->n };
            out->came = e->came;
            got = true;
        }
    }
    if (kept) { /* back to the front, in order */
        struct engine_media *m = &s->media[stream];

        *again_end = m->early;
        if (!m->early)
            m->early_end = again_end == &again ? &m->early : again_end;
        m->early = again;
        m->early_n += kept;
    }
    return got;
}

cph_err cph_session_take(struct cph_session *s, struct cph_session_packet *out)
{
    struct engine_good *g;

    engine_early_free(s->given);
    s->given = NULL;
    for (unsigned i = 0; i < s->n; i++)
        if (s->media[i].early && take_early(s, i, out))
            return CPH_OK;
    if (s->ring_n == 0)
        return CPH_E_AGAIN;
    g = &s->ring[s->ring_at];
    s->ring_at = (s->ring_at + 1) % ENGINE_RING;
    s->ring_n--;
    *out = (struct cph_session_packet){ .stream = g->stream,
                                        .component = g->component,
                                        .branch = g->branch,
                                        .bytes = { g->b, g->n },
                                        .came = g->came };
    return CPH_OK;
}

/* ---- what goes ------------------------------------------------------------------------------- */

static void look_at_life(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];
    struct cph_srtp_life life = { 0 };
    bool soon = false;

    if (l->sent++ % ENGINE_LIFE_EVERY != 0 || l->rekey_told)
        return;
    if (l->ekt)
        soon = engine_ekt_life(l, s->now);
    for (int c = 0; c < 2; c++) {
        if (l->send[c]) {
            cph_srtp_life(l->send[c]->srtp, &life);
            soon |= life.soon;
        }
        if (l->recv[c]) {
            cph_srtp_life(l->recv[c], &life);
            soon |= life.soon;
        }
    }
    if (!soon)
        return;
    l->rekey_told = true;
    engine_event(s, CPH_SESSION_REKEY_WANTED, stream, b, CPH_OK,
                 "%s: the lifetime of a key nears its end", s->media[stream].kind);
}

/* May media go on this line now? */
static cph_err may_send(const struct cph_session *s, const struct engine_line *l,
                        enum cph_keying_component kind)
{
    switch (l->state) {
    case LINE_NONE:
        return CPH_E_STATE;
    case LINE_KEYING:
    case LINE_CLEARED: /* RFC 6189 4.7.2 MUST NOT: RTP before the user knows */
        return CPH_E_NOKEY;
    case LINE_FAILED:
        return CPH_E_POLICY;
    case LINE_PLAIN:
        if (cph_policy_media(&s->cfg.policy) == CPH_SECURITY_REQUIRED)
            return CPH_E_POLICY;
        break;
    case LINE_SECURE:
        if (l->mute) /* RFC 5027 3 MUST NOT: media before the preconditions are met */
            return CPH_E_NOKEY;
        break;
    }
    if (!l->has_agreed || !l->agreed.active)
        return CPH_E_STATE;
    /* RFC 3264 5.1: RTCP goes on while media is on hold */
    return kind == CPH_KEYING_RTCP || (l->agreed.direction & CPH_SDP_SENDONLY) ? CPH_OK
                                                                               : CPH_E_STATE;
}

static cph_err protect_with(struct engine_line *l, enum cph_keying_component kind,
                            struct cph_srtp_pkt *pkt, cph_time now)
{
    struct engine_sender *x = l->send[l->shared ? 0 : kind];

    if (l->ekt)
        return engine_ekt_protect(l, kind, pkt, now);
    if (!x)
        return CPH_E_NOKEY;
    return kind == CPH_KEYING_RTP ? cph_srtp_protect(x->srtp, pkt)
                                  : cph_srtp_protect_rtcp(x->srtp, pkt);
}

cph_err cph_session_protect(struct cph_session *s, unsigned stream,
                            enum cph_keying_component component, uint8_t *p, size_t *n, size_t cap,
                            enum cph_keying_component *port, struct cph_addr *to, cph_time now)
{
    struct engine_branch *b = engine_branch(s);
    struct cph_srtp_pkt pkt = { .n = *n, .cap = cap };
    const struct cph_addr *at;
    struct engine_line *l;

    pkt.p = p;
    if (stream >= s->n || component > CPH_KEYING_RTCP)
        return CPH_E_ARGUMENT;
    if (!b)
        return CPH_E_NOKEY;
    s->now = now;
    l = &b->line[stream];
    CPH_TRY(may_send(s, l, component));
    *port = l->agreed.rtcp_mux ? CPH_KEYING_RTP : component;
    at = target_of(l, *port);
    if (!usable(at))
        return CPH_E_STATE; /* held by 0.0.0.0, or a name we cannot look up */
    if (l->state == LINE_SECURE) {
        CPH_TRY(protect_with(l, component, &pkt, now));
        look_at_life(s, b, stream);
    }
    *n = pkt.n;
    *to = *at;
    l->moved = true;
    if (component == CPH_KEYING_RTCP) {
        s->count.rtcp_out++;
        return CPH_OK;
    }
    s->count.out++;
    s->media[stream].out++;
    s->media[stream].clear_out += l->state == LINE_PLAIN;
    return CPH_OK;
}

/* ---- keying that goes, and time -------------------------------------------------------------- */

static cph_err pull_from(struct cph_session *s, struct cph_nego *nego, const struct engine_line *l,
                         unsigned stream, struct cph_session_out *out, cph_time now)
{
    const struct cph_addr *to;

    while (nego && cph_nego_pull(nego, &s->out, now) == CPH_OK) {
        to = s->out.has_to ? &s->out.to : l ? target_of(l, s->out.component) : NULL;
        if (!usable(to))
            continue; /* nowhere to send it; it is repeated */
        s->count.keying_out++;
        *out = (struct cph_session_out){
            .stream = stream, .port = s->out.component, .to = *to, .bytes = { s->out.b, s->out.n }
        };
        return CPH_OK;
    }
    return CPH_E_AGAIN;
}

/* A mechanism on the media path may come to its end when asked, and who demands proof of the peer
 * looks each time; else it is enough after something was told. */
static bool to_look_at(const struct cph_session *s, const struct engine_line *l)
{
    return s->look || s->cfg.policy.enforce_need || (l->nego && cph_nego_sends(l->nego));
}

cph_err cph_session_pull(struct cph_session *s, struct cph_session_out *out, cph_time now)
{
    struct engine_branch *b;

    s->now = now;
    for (unsigned stream = 0; stream < s->n; stream++) {
        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;) {
            cph_err err;

            err = pull_from(s, b->line[stream].nego, &b->line[stream], stream, out, now);
            if (to_look_at(s, &b->line[stream]))
                engine_look(s, b, stream, now);
            if (err == CPH_OK)
                return CPH_OK;
        }
        if (pull_from(s, s->base[stream], NULL, stream, out, now) == CPH_OK)
            return CPH_OK;
    }
    s->look = false;
    return CPH_E_AGAIN;
}

static cph_time earlier(cph_time a, cph_time b)
{
    return a < b ? a : b;
}

static cph_time line_deadline(const struct cph_session *s, const struct engine_line *l)
{
    cph_time at = l->nego ? cph_nego_deadline(l->nego) : CPH_TIME_NEVER;

    if (l->prev_until)
        at = earlier(at, l->prev_until);
    if (l->state == LINE_KEYING)
        at = earlier(at, engine_keys_due(s, l));
    return at;
}

cph_time cph_session_deadline(const struct cph_session *s)
{
    cph_time at = CPH_TIME_NEVER;
    const struct engine_branch *b;

    for (unsigned stream = 0; stream < s->n; stream++) {
        const struct engine_media *m = &s->media[stream];
        unsigned ms = s->cfg.policy.early_ms ? s->cfg.policy.early_ms : CPH_EARLY_MS_DEFAULT;

        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
            at = earlier(at, line_deadline(s, &b->line[stream]));
        if (s->base[stream])
            at = earlier(at, cph_nego_deadline(s->base[stream]));
        if (m->early)
            at = earlier(at, m->early->came + CPH_MS(ms));
    }
    return at;
}

void cph_session_tick(struct cph_session *s, cph_time now)
{
    struct engine_branch *b;

    s->now = now;
    for (unsigned stream = 0; stream < s->n; stream++) {
        (void)engine_early_expire(s, stream, now);
        if (s->base[stream])
            cph_nego_tick(s->base[stream], now);
        for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;) {
            struct engine_line *l = &b->line[stream];

            if (l->prev_until && now >= l->prev_until)
                engine_grace_over(l);
            if (l->nego)
                cph_nego_tick(l->nego, now);
            engine_look(s, b, stream, now);
        }
    }
}

/* A media packet that came: whose it is, whether its tag is good, and where its sender is. */
#include "ciphony/session.h"
#include "engine_int.h"

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

const struct cph_addr *engine_target(const struct engine_line *l, enum cph_keying_component port)
{
    if (l->latched[port].family != CPH_AF_NONE)
        return &l->latched[port];
    if (!l->has_agreed)
        return NULL;
    return port == CPH_KEYING_RTP ? &l->agreed.rtp.addr : &l->agreed.rtcp.addr;
}

/* We send where authenticated media comes from (NAT), and only follow packets that are the newest:
 * one that was held back and sent on from elsewhere does not move us. */
static void latch(struct cph_session *s, struct engine_branch *b, unsigned stream,
                  enum cph_keying_component port, const struct cph_addr *from, bool newest)
{
    struct engine_line *l = &b->line[stream];
    const struct cph_addr *now_at = engine_target(l, port);
    char text[CPH_ADDR_TEXT];

    if (!newest || !engine_usable(from) || (now_at && cph_addr_eq(now_at, from)))
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

/* A line that goes without keys takes what is well formed. */
static cph_err take_clear(struct cph_session *s, struct engine_branch *b, unsigned stream,
                          enum cph_keying_component kind, enum cph_keying_component port,
                          const struct cph_addr *from, struct cph_span packet)
{
    struct cph_rtp rtp;

    CPH_TRY(kind == CPH_KEYING_RTP ? cph_rtp_parse(packet, &rtp) : cph_rtcp_check(packet));
    accepted(s, b, stream, kind, port, from, packet);
    return CPH_OK;
}

cph_err engine_verify(struct cph_session *s, unsigned stream, enum cph_keying_component kind,
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
        CPH_TRY(take_clear(s, clear, stream, kind, port, from, (struct cph_span){ p, *n }));
        *branch = clear->id;
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

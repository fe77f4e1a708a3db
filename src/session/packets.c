#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * What arrives: datagram -> RFC 7983
 *
 *   keying   to the mechanism that claims it
 *   media    no keys yet: kept; SECURE: verified on the branch whose keys fit; PLAIN: as it is
 *   others   dropped
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

/* ---- media that arrives ---------------------------------------------------------------------- */

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
    err = engine_verify(s, stream, kind, port, from, p, &n, &branch);
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
        cph_err err = engine_verify(s, stream, kind, e->component, &e->from, e->b, &e->n,
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

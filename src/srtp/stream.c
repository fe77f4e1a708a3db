#include "srtp_int.h"

static uint32_t home(const struct cph_srtp *s, uint32_t ssrc)
{
    return ssrc * 2654435769U >> 7 & s->slot_mask;
}

struct srtp_stream *srtp_stream_find(const struct cph_srtp *s, uint32_t ssrc)
{
    if (s->last && s->last->ssrc == ssrc)
        return s->last;
    for (uint32_t at = home(s, ssrc); s->slot[at]; at = (at + 1) & s->slot_mask) {
        struct srtp_stream *st = &s->stream[s->slot[at] - 1];

        if (st->ssrc == ssrc)
            return st;
    }
    return NULL;
}

cph_err srtp_stream_room(const struct cph_srtp *s, uint32_t ssrc)
{
    /* RFC 3711 9.1 MUST: two streams under one key never have the same SSRC */
    if (s->pair && srtp_stream_find(s->pair, ssrc))
        return CPH_E_POLICY;
    return s->n_streams < s->cap_streams ? CPH_OK : CPH_E_LIMIT;
}

static void link_slot(struct cph_srtp *s, size_t place)
{
    uint32_t at = home(s, s->stream[place].ssrc);

    while (s->slot[at])
        at = (at + 1) & s->slot_mask;
    s->slot[at] = (uint32_t)place + 1;
}

/* A stream's rings stay with its place in the table. */
static void stream_clear(struct cph_srtp *s, struct srtp_stream *st)
{
    uint64_t *rtp = st->rtp.seen, *rtcp = st->rtcp.seen;
    size_t ring = ((size_t)s->ring_mask + 1) / 8;

    memset(rtp, 0, ring);
    memset(rtcp, 0, ring);
    *st = (struct srtp_stream){ .rtp.seen = rtp, .rtcp.seen = rtcp };
}

cph_err srtp_stream_bind(struct cph_srtp *s, uint32_t ssrc, struct srtp_stream **out)
{
    struct srtp_stream *st;

    CPH_TRY(srtp_stream_room(s, ssrc));
    st = &s->stream[s->n_streams];
    stream_clear(s, st);
    st->ssrc = ssrc;
    link_slot(s, s->n_streams++);
    s->last = st;
    *out = st;
    return CPH_OK;
}

void srtp_window_slide(const struct cph_srtp *s, struct srtp_window *w, uint64_t index)
{
    if (!w->started || index - w->top > s->ring_mask) {
        memset(w->seen, 0, ((size_t)s->ring_mask + 1) / 8);
    } else {
        for (uint64_t i = w->top + 1; i <= index; i++)
            w->seen[(i & s->ring_mask) >> 6] &= ~(1ULL << (i & 63));
    }
    w->started = true;
    w->top = index;
}

/* ---- state, as others see it ----------------------------------------------------------------- */

cph_err cph_srtp_roc_get(const struct cph_srtp *s, uint32_t ssrc, uint32_t *roc)
{
    const struct srtp_stream *st = srtp_stream_find(s, ssrc);

    if (!st)
        return CPH_E_NOTFOUND;
    *roc = (uint32_t)(st->rtp.top >> 16);
    return CPH_OK;
}

cph_err cph_srtp_roc_set(struct cph_srtp *s, uint32_t ssrc, uint32_t roc)
{
    struct srtp_stream *st = srtp_stream_find(s, ssrc);
    uint64_t top;

    if (s->inner)
        CPH_TRY(cph_srtp_roc_set(s->inner, ssrc, roc));
    if (!st)
        CPH_TRY(srtp_stream_bind(s, ssrc, &st));
    top = (uint64_t)roc << 16 | (st->rtp.top & 0xffff);
    if (!st->rtp.started) {
        st->rtp.top = top;
        return CPH_OK;
    }
    if (top < st->rtp.top)
        return CPH_E_REPLAY;
    if (top > st->rtp.top)
        srtp_window_slide(s, &st->rtp, top);
    return CPH_OK;
}

size_t cph_srtp_stream_count(const struct cph_srtp *s)
{
    return s->n_streams;
}

cph_err cph_srtp_stream_at(const struct cph_srtp *s, size_t i, struct cph_srtp_stream_info *out)
{
    const struct srtp_stream *st;

    if (i >= s->n_streams)
        return CPH_E_NOTFOUND;
    st = &s->stream[i];
    *out = (struct cph_srtp_stream_info){
        .ssrc = st->ssrc,
        .roc = (uint32_t)(st->rtp.top >> 16),
        .s_l = (uint16_t)st->rtp.top,
        .started = st->rtp.started,
        .rtcp_index = (uint32_t)(s->dir == CPH_SRTP_SEND ? st->rtcp_next : st->rtcp.top),
        .rtcp_started = s->dir == CPH_SRTP_SEND ? st->rtcp_next > 0 : st->rtcp.started,
    };
    return CPH_OK;
}

/* A ring in the stream moves along with it. */
static void ring_home(const struct cph_srtp *s, struct srtp_stream *st)
{
    if (s->ring_mask < SRTP_NEAR) {
        st->rtp.seen = st->rtp_near;
        st->rtcp.seen = st->rtcp_near;
    }
}

cph_err cph_srtp_stream_drop(struct cph_srtp *s, uint32_t ssrc)
{
    struct srtp_stream *st = srtp_stream_find(s, ssrc), *end, gone;

    if (!st)
        return CPH_E_NOTFOUND;
    if (s->dir == CPH_SRTP_SEND)
        return CPH_E_POLICY;
    if (s->inner && srtp_stream_find(s->inner, ssrc)) /* only RTP makes one there */
        CPH_TRY(cph_srtp_stream_drop(s->inner, ssrc));
    end = &s->stream[--s->n_streams];
    gone = *st;
    *st = *end; /* rings change places with the structs */
    *end = gone;
    ring_home(s, st);
    ring_home(s, end);
    s->last = s->n_streams > 0 ? s->stream : NULL;
    memset(s->slot, 0, ((size_t)s->slot_mask + 1) * sizeof *s->slot);
    for (size_t i = 0; i < s->n_streams; i++)
        link_slot(s, i);
    return CPH_OK;
}

/* ---- moving ---------------------------------------------------------------------------------- */

static bool master_eq(const struct cph_srtp_key *a, const struct cph_srtp_key *b)
{
    bool key = cph_ct_eq(cph_secret_span(&a->key), cph_secret_span(&b->key));
    bool salt = cph_ct_eq(cph_secret_span(&a->salt), cph_secret_span(&b->salt));

    return key && salt;
}

bool cph_srtp_same_key(const struct cph_srtp *a, const struct cph_srtp *b)
{
    bool same = a->suite == b->suite &&
                master_eq(&a->key[a->in_use]->master, &b->key[b->in_use]->master);

    if (!a->inner != !b->inner)
        return false;
    return same && (!a->inner || cph_srtp_same_key(a->inner, b->inner));
}

static void window_move(const struct cph_srtp *to, struct srtp_window *a,
                        const struct cph_srtp *from, const struct srtp_window *b, bool same_key)
{
    uint64_t reach = from->ring_mask < to->ring_mask ? from->ring_mask : to->ring_mask;

    a->top = b->top;
    a->started = b->started;
    if (!same_key || !b->started)
        return;
    for (uint64_t d = 0; d <= reach && d <= b->top; d++) {
        uint64_t was = (b->top - d) & from->ring_mask, is = (b->top - d) & to->ring_mask;

        if (d >= from->window || (b->seen[was >> 6] >> (was & 63) & 1))
            a->seen[is >> 6] |= 1ULL << (is & 63);
    }
    /* What the old window could not remember, the new one must not take for new. */
    for (uint64_t d = reach + 1; d < to->window && d <= b->top; d++) {
        uint64_t is = (b->top - d) & to->ring_mask;

        a->seen[is >> 6] |= 1ULL << (is & 63);
    }
}

/* Do any of their keys agree? Then indices used by the one are used for the other. */
static bool move_keys(struct cph_srtp *to, const struct cph_srtp *from, bool count)
{
    bool same = false;

    for (size_t i = 0; i < to->n_keys && to->suite == from->suite; i++) {
        for (size_t k = 0; k < from->n_keys; k++) {
            if (!master_eq(&to->key[i]->master, &from->key[k]->master))
                continue;
            same = true;
            to->key[i]->rtp_used += count ? from->key[k]->rtp_used : 0;
            to->key[i]->rtcp_used += count ? from->key[k]->rtcp_used : 0;
        }
    }
    return same;
}

cph_err cph_srtp_move(struct cph_srtp *to, struct cph_srtp *from)
{
    bool same = move_keys(to, from, false);

    if (to->dir != from->dir || to == from)
        return CPH_E_ARGUMENT;
    if (from->n_streams > to->cap_streams - to->n_streams)
        return CPH_E_LIMIT;
    for (size_t i = 0; i < from->n_streams; i++) {
        if (srtp_stream_find(to, from->stream[i].ssrc))
            return CPH_E_EXISTS;
        if (srtp_stream_room(to, from->stream[i].ssrc) == CPH_E_POLICY)
            return CPH_E_POLICY;
    }
    if (!to->inner != !from->inner)
        return CPH_E_ARGUMENT;
    if (to->inner)
        CPH_TRY(cph_srtp_move(to->inner, from->inner));
    for (size_t i = 0; i < from->n_streams; i++) {
        const struct srtp_stream *old = &from->stream[i];
        struct srtp_stream *st;

        CPH_TRY(srtp_stream_bind(to, old->ssrc, &st));
        window_move(to, &st->rtp, from, &old->rtp, same);
        window_move(to, &st->rtcp, from, &old->rtcp, same);
        st->rtcp_next = old->rtcp_next;
        st->rcc_top = same ? old->rcc_top : 0;
    }
    (void)move_keys(to, from, true);
    return CPH_OK;
}

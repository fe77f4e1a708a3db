/*
 * The steps of a single RTP packet before and after the cipher, shared with batches and small
 * enough to be compiled into each. None changes the packet but srtp_send_end.
 */
#ifndef CPH_SRTP_STEPS_H
#define CPH_SRTP_STEPS_H

#include "srtp_int.h"

/* The key of a context, for this index. */
static inline cph_err srtp_rtp_session(struct cph_srtp *s, struct srtp_key *key, uint64_t index,
                                       struct srtp_session **out)
{
    struct srtp_session *ss = key->rtp;

    if (s->derives)
        CPH_TRY(srtp_session_for(s, key, false, index, &ss));
    *out = ss;
    return CPH_OK;
}

static inline struct srtp_stream *srtp_stream_fast(const struct cph_srtp *s, uint32_t ssrc)
{
    return s->last && s->last->ssrc == ssrc ? s->last : srtp_stream_find(s, ssrc);
}

/* Tags are 4, 10 or 16 bytes. */
static inline void srtp_tag_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n == 10)
        memcpy(to, from, 10);
    else if (n == 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, 4);
}

/*
 * The usual packet comes next after the highest index of the stream met last, has no CSRCs and no
 * header extension, and its context no MKI, rate or pair. The two functions below do for it in few
 * steps what the long ones do; they say false, with nothing moved, if it is another.
 */
INTO static inline bool srtp_usual(const struct cph_srtp *s, enum cph_srtp_dir dir,
                                   const uint8_t *p, size_t n)
{
    const struct srtp_stream *st = s->last;
    const struct srtp_key *key = s->use;

    return s->dir == dir && s->plain && !s->pair && st && st->rtp.started &&
           n - (SRTP_RTP_HEADER + 1) <= CPH_SRTP_PACKET_MAX - (SRTP_RTP_HEADER + 1) &&
           (p[0] & 0xdf) == 0x80 && srtp_be32(p + 8) == st->ssrc && key->rtp_used < key->rtp_max;
}

INTO static inline void srtp_usual_pass(const struct cph_srtp *s, uint64_t index, size_t n,
                                        struct srtp_pass *pass)
{
    struct srtp_key *key = s->use;

    pass->key = key;
    pass->ss = key->rtp;
    pass->index = index;
    pass->ssrc = s->last->ssrc;
    pass->header = SRTP_RTP_HEADER;
    pass->n = n;
    pass->clear = s->clear_rtp;
}

INTO static inline bool srtp_send_next(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                                       struct srtp_pass *pass)
{
    struct srtp_stream *st = s->last;
    uint64_t index;

    if (!srtp_usual(s, CPH_SRTP_SEND, pkt->p, pkt->n) || pkt->cap < pkt->n + s->tag_n)
        return false;
    index = st->rtp.top + 1;
    if (srtp_rtp_seq(pkt->p) != (uint16_t)index || index >= SRTP_INDEX_END)
        return false;
    srtp_usual_pass(s, index, pkt->n, pass);
    srtp_window_next(s, &st->rtp, index);
    pass->key->rtp_used++;
    return true;
}

/* epoch: of the batch's group; packets of this stream that wait there count as received. */
INTO static inline bool srtp_recv_next(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                                       uint64_t epoch, struct srtp_pass *pass)
{
    struct srtp_stream *st = s->last;
    size_t n = pkt->n - s->tag_n;
    uint64_t top, index;

    if (pkt->n < s->tag_n || !srtp_usual(s, CPH_SRTP_RECV, pkt->p, n))
        return false;
    top = st->pend_epoch == epoch ? st->pend_top : st->rtp.top;
    index = top + 1;
    /* so near to the top that the guess is the same whether or not those before it are good */
    if (srtp_rtp_seq(pkt->p) != (uint16_t)index || index >= SRTP_INDEX_END ||
        top - st->rtp.top > 0x4000)
        return false;
    srtp_usual_pass(s, index, n, pass);
    return true;
}

/* Parse, find or bind the stream, take the index: all a sender does before the cipher. */
static inline cph_err srtp_send_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                                      struct srtp_pass *pass)
{
    struct srtp_stream *st;
    struct srtp_key *key = s->use;
    uint16_t seq;
    size_t header;

    if (s->dir != CPH_SRTP_SEND)
        return CPH_E_ARGUMENT;
    CPH_TRY(srtp_rtp_header(pkt->p, pkt->n, &header));
    if (pkt->cap < pkt->n + (size_t)s->mki_n + s->tag_n)
        return CPH_E_NOSPACE;
    /* RFC 3711 9.2 MUST: no packet beyond the key's lifetime */
    if (key->rtp_used >= key->rtp_max)
        return CPH_E_EXPIRED;
    pass->ssrc = srtp_be32(pkt->p + 8);
    seq = srtp_rtp_seq(pkt->p);
    st = srtp_stream_fast(s, pass->ssrc);
    if (!st) {
        CPH_TRY(srtp_stream_bind(s, pass->ssrc, &st));
    } else if (s->pair && srtp_stream_find(s->pair, pass->ssrc)) {
        return CPH_E_POLICY;
    }
    s->last = st;
    pass->index = srtp_index_guess(&st->rtp, st->rtp.top, seq);
    if (pass->index >= SRTP_INDEX_END)
        return CPH_E_EXPIRED;
    /* RFC 3711 9.1 MUST: no index twice under one key, else the keystream is used twice */
    if (srtp_window_refuses(s, &st->rtp, pass->index))
        return CPH_E_REPLAY;
    CPH_TRY(srtp_rtp_session(s, key, pass->index, &pass->ss));
    srtp_window_mark(s, &st->rtp, pass->index);
    key->rtp_used++;
    pass->key = key;
    pass->header = header;
    pass->n = pkt->n;
    pass->clear = s->clear_rtp;
    return CPH_OK;
}

static inline void srtp_send_end(struct cph_srtp *s, struct cph_srtp_pkt *pkt,
                                 const struct srtp_key *key)
{
    if (s->mki_n > 0) /* RFC 7714 8.4: behind the AEAD's tag; RFC 3711 3.1: before the tag */
        memcpy(pkt->p + pkt->n + (s->aead ? s->tag_n : 0), key->master.mki, s->mki_n);
    pkt->n += (size_t)s->mki_n + s->tag_n;
}

/* Parse, look at MKI, lifetime, index and window: all a receiver does before the cipher. *stream is
 * NULL for an SSRC not bound yet. roc, if not NULL, is the sender's own; the window is then the
 * caller's to look at. */
INTO static inline cph_err srtp_recv_begin_at(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                                              size_t tag_n, const uint32_t *roc,
                                              struct srtp_pass *pass, struct srtp_stream **stream)
{
    static const struct srtp_window fresh = { 0 };
    size_t trailer = (size_t)s->mki_n + tag_n, mki;
    const struct srtp_window *w = &fresh;
    struct srtp_stream *st;

    *stream = NULL;
    if (s->dir != CPH_SRTP_RECV)
        return CPH_E_ARGUMENT;
    if (pkt->n < SRTP_RTP_HEADER + trailer)
        return CPH_E_TRUNCATED;
    pass->n = pkt->n - trailer;
    CPH_TRY(srtp_rtp_header(pkt->p, pass->n, &pass->header));
    pass->key = s->use;
    if (s->mki_n > 0) {
        struct srtp_key *named;

        mki = pass->n + (s->aead ? tag_n : 0);
        CPH_TRY(srtp_key_of(s, pkt->p + mki, &named));
        pass->key = named;
    }
    if (pass->key->rtp_used >= pass->key->rtp_max)
        return CPH_E_EXPIRED;
    pass->ssrc = srtp_be32(pkt->p + 8);
    st = srtp_stream_fast(s, pass->ssrc);
    if (st)
        w = &st->rtp;
    if (!st || (s->pair && srtp_stream_find(s->pair, pass->ssrc)))
        CPH_TRY(srtp_stream_room(s, pass->ssrc));
    *stream = st;
    /* RFC 3711 3.3.1 MUST: the index comes from the local ROC and s_l, and the packet's SEQ */
    pass->index = srtp_index_guess(w, w->top, srtp_rtp_seq(pkt->p));
    if (roc)
        pass->index = (uint64_t)*roc << 16 | srtp_rtp_seq(pkt->p);
    if (pass->index >= SRTP_INDEX_END)
        return CPH_E_EXPIRED;
    if (!roc && srtp_window_refuses(s, w, pass->index))
        return CPH_E_REPLAY;
    CPH_TRY(srtp_rtp_session(s, pass->key, pass->index, &pass->ss));
    pass->clear = s->clear_rtp;
    return CPH_OK;
}

static inline cph_err srtp_recv_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                                      struct srtp_pass *pass, struct srtp_stream **stream)
{
    return srtp_recv_begin_at(s, pkt, s->tag_n, NULL, pass, stream);
}

/* What moves with a packet whose tag was good. */
static inline void srtp_recv_mark(struct cph_srtp *s, struct srtp_key *key, struct srtp_stream *st,
                                  uint64_t index)
{
    s->last = st;
    srtp_window_mark(s, &st->rtp, index);
    key->rtp_used++;
}

/* The tag was good: only now anything moves. */
static inline cph_err srtp_recv_commit(struct cph_srtp *s, const struct srtp_pass *pass,
                                       struct srtp_stream *st)
{
    if (!st)
        CPH_TRY(srtp_stream_bind(s, pass->ssrc, &st));
    srtp_recv_mark(s, pass->key, st, pass->index);
    return CPH_OK;
}

#endif

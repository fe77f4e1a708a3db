/*
 * One packet. The order is always: parse, guess the index, look at the window, verify, decrypt, and
 * only then move the index, the window and the stream table.
 */
#include "srtp_int.h"

/* ---- SRTP
 * ----------------------------------------------------------------------------------------- */

cph_err srtp_send_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt, struct srtp_pass *pass)
{
    struct srtp_stream *st;
    struct srtp_key *key = s->key[s->in_use];
    uint16_t seq;
    size_t header;

    if (s->dir != CPH_SRTP_SEND)
        return CPH_E_ARGUMENT;
    CPH_TRY(srtp_rtp_header(pkt->p, pkt->n, &header));
    if (pkt->cap < pkt->n + (size_t)s->mki_n + s->tag_n)
        return CPH_E_NOSPACE;
    /* RFC 3711 9.2 MUST: no packet beyond the key's lifetime */
    if (key->rtp_used >= key->master.lifetime_rtp)
        return CPH_E_EXPIRED;
    pass->ssrc = srtp_be32(pkt->p + 8);
    seq = srtp_rtp_seq(pkt->p);
    st = srtp_stream_find(s, pass->ssrc);
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
    CPH_TRY(srtp_session_for(s, key, false, pass->index, &pass->ss));
    srtp_window_mark(s, &st->rtp, pass->index);
    key->rtp_used++;
    pass->key = key;
    pass->header = header;
    pass->n = pkt->n;
    pass->clear = s->clear_rtp;
    return CPH_OK;
}

void srtp_send_end(struct cph_srtp *s, struct cph_srtp_pkt *pkt, const struct srtp_pass *pass)
{
    if (s->mki_n > 0) /* RFC 7714 8.4: behind the AEAD's tag; RFC 3711 3.1: before the tag */
        memcpy(pkt->p + pkt->n + (s->suite->transform->aead ? s->tag_n : 0), pass->key->master.mki,
               s->mki_n);
    pkt->n += (size_t)s->mki_n + s->tag_n;
}

cph_err cph_srtp_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_pass pass;

    CPH_TRY(srtp_send_begin(s, pkt, &pass));
    CPH_TRY(s->suite->transform->rtp_seal(s, &pass, pkt->p));
    srtp_send_end(s, pkt, &pass);
    return CPH_OK;
}

cph_err srtp_recv_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt, struct srtp_pass *pass,
                        struct srtp_stream **stream)
{
    static const struct srtp_window fresh = { 0 };
    size_t trailer = (size_t)s->mki_n + s->tag_n, mki;
    const struct srtp_window *w = &fresh;
    struct srtp_stream *st;

    *stream = NULL;
    if (s->dir != CPH_SRTP_RECV)
        return CPH_E_ARGUMENT;
    if (pkt->n < SRTP_RTP_HEADER + trailer)
        return CPH_E_TRUNCATED;
    pass->n = pkt->n - trailer;
    CPH_TRY(srtp_rtp_header(pkt->p, pass->n, &pass->header));
    pass->key = s->key[0];
    if (s->mki_n > 0) {
        mki = pass->n + (s->suite->transform->aead ? s->tag_n : 0);
        CPH_TRY(srtp_key_of(s, pkt->p + mki, &pass->key));
    }
    if (pass->key->rtp_used >= pass->key->master.lifetime_rtp)
        return CPH_E_EXPIRED;
    pass->ssrc = srtp_be32(pkt->p + 8);
    st = srtp_stream_find(s, pass->ssrc);
    if (st)
        w = &st->rtp;
    if (!st || (s->pair && srtp_stream_find(s->pair, pass->ssrc)))
        CPH_TRY(srtp_stream_room(s, pass->ssrc));
    *stream = st;
    /* RFC 3711 3.3.1 MUST: the index comes from the local ROC and s_l, and the packet's SEQ */
    pass->index = srtp_index_guess(w, w->top, srtp_rtp_seq(pkt->p));
    if (pass->index >= SRTP_INDEX_END)
        return CPH_E_EXPIRED;
    if (srtp_window_refuses(s, w, pass->index))
        return CPH_E_REPLAY;
    CPH_TRY(srtp_session_for(s, pass->key, false, pass->index, &pass->ss));
    pass->clear = s->clear_rtp;
    return CPH_OK;
}

cph_err srtp_recv_commit(struct cph_srtp *s, const struct srtp_pass *pass, struct srtp_stream *st)
{
    if (!st)
        CPH_TRY(srtp_stream_bind(s, pass->ssrc, &st));
    s->last = st;
    srtp_window_mark(s, &st->rtp, pass->index);
    pass->key->rtp_used++;
    return CPH_OK;
}

cph_err cph_srtp_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_stream *st;
    struct srtp_pass pass;

    CPH_TRY(srtp_recv_begin(s, pkt, &pass, &st));
    CPH_TRY(s->suite->transform->rtp_open(s, &pass, pkt->p));
    /* RFC 3711 3.3 MUST: ROC, s_l and the replay list move after the tag was found good */
    CPH_TRY(srtp_recv_commit(s, &pass, st));
    pkt->n = pass.n;
    return CPH_OK;
}

/* ---- SRTCP
 * ---------------------------------------------------------------------------------------- */

static cph_err rtcp_header(const uint8_t *p, size_t n)
{
    if (n < SRTP_RTCP_HEADER)
        return CPH_E_TRUNCATED;
    if (n > CPH_SRTP_PACKET_MAX)
        return CPH_E_LIMIT;
    return p[0] >> 6 == 2 ? CPH_OK : CPH_E_MALFORMED;
}

cph_err cph_srtp_protect_rtcp(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_pass pass = { .header = SRTP_RTCP_HEADER, .n = pkt->n, .clear = s->clear_rtcp };
    size_t over = cph_srtp_overhead(s, true);
    struct srtp_stream *st;

    if (s->dir != CPH_SRTP_SEND)
        return CPH_E_ARGUMENT;
    CPH_TRY(rtcp_header(pkt->p, pkt->n));
    if (pkt->cap < pkt->n + over)
        return CPH_E_NOSPACE;
    pass.key = s->key[s->in_use];
    if (pass.key->rtcp_used >= pass.key->master.lifetime_rtcp)
        return CPH_E_EXPIRED;
    pass.ssrc = srtp_be32(pkt->p + 4);
    st = srtp_stream_find(s, pass.ssrc);
    if (!st)
        CPH_TRY(srtp_stream_bind(s, pass.ssrc, &st));
    else if (s->pair && srtp_stream_find(s->pair, pass.ssrc))
        return CPH_E_POLICY;
    /* RFC 3711 3.4 MUST: the index starts at 0 and grows by 1 with each packet */
    if (st->rtcp_next >= SRTP_RTCP_INDEX_END)
        return CPH_E_EXPIRED;
    pass.index = st->rtcp_next;
    CPH_TRY(srtp_session_for(s, pass.key, true, pass.index, &pass.ss));
    st->rtcp_next++;
    pass.key->rtcp_used++;
    CPH_TRY(s->suite->transform->rtcp_seal(s, &pass, pkt->p));
    if (s->mki_n > 0) /* AEAD: at the end; else between index and tag */
        memcpy(pkt->p + pkt->n + SRTP_RTCP_WORD + (s->suite->transform->aead ? s->rtcp_tag_n : 0),
               pass.key->master.mki, s->mki_n);
    pkt->n += over;
    return CPH_OK;
}

/* All a receiver does before the cipher. */
static cph_err rtcp_recv_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                               struct srtp_pass *pass, struct srtp_stream **stream)
{
    size_t over = cph_srtp_overhead(s, true);
    bool aead = s->suite->transform->aead;
    const uint8_t *word, *mki;
    struct srtp_stream *st;
    bool encrypted;

    if (s->dir != CPH_SRTP_RECV)
        return CPH_E_ARGUMENT;
    if (pkt->n < SRTP_RTCP_HEADER + over)
        return CPH_E_TRUNCATED;
    pass->n = pkt->n - over;
    pass->header = SRTP_RTCP_HEADER;
    CPH_TRY(rtcp_header(pkt->p, pass->n));
    word = pkt->p + pass->n + (aead ? s->rtcp_tag_n : 0);
    mki = word + SRTP_RTCP_WORD;
    pass->key = s->key[0];
    if (s->mki_n > 0)
        CPH_TRY(srtp_key_of(s, mki, &pass->key));
    if (pass->key->rtcp_used >= pass->key->master.lifetime_rtcp)
        return CPH_E_EXPIRED;
    encrypted = word[0] >> 7;
    /* The E flag is what was agreed, or the sender is not who agreed to it. */
    if (s->suite->encrypts && encrypted == s->clear_rtcp)
        return CPH_E_POLICY;
    pass->clear = !encrypted || !s->suite->encrypts;
    pass->ssrc = srtp_be32(pkt->p + 4);
    pass->index = srtp_be32(word) & 0x7fffffff;
    st = srtp_stream_find(s, pass->ssrc);
    if (!st || (s->pair && srtp_stream_find(s->pair, pass->ssrc)))
        CPH_TRY(srtp_stream_room(s, pass->ssrc));
    if (st && srtp_window_refuses(s, &st->rtcp, pass->index))
        return CPH_E_REPLAY;
    *stream = st;
    return srtp_session_for(s, pass->key, true, pass->index, &pass->ss);
}

cph_err cph_srtp_unprotect_rtcp(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_stream *st;
    struct srtp_pass pass;

    CPH_TRY(rtcp_recv_begin(s, pkt, &pass, &st));
    CPH_TRY(s->suite->transform->rtcp_open(s, &pass, pkt->p));
    if (!st)
        CPH_TRY(srtp_stream_bind(s, pass.ssrc, &st));
    srtp_window_mark(s, &st->rtcp, pass.index);
    pass.key->rtcp_used++;
    pkt->n = pass.n;
    return CPH_OK;
}

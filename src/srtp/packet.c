/*
 * One packet. The order is always: parse, guess the index, look at the window, verify, decrypt, and
 * only then move the index, the window and the stream table.
 */
#include "steps.h"

/* ---- SRTP ------------------------------------------------------------------------------------ */

/* The way of every suite; AES-GCM on libipsec-mb has a shorter one. */
cph_err srtp_protect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_pass pass;

    CPH_TRY(srtp_send_begin(s, pkt, &pass));
    CPH_TRY(s->suite->transform->rtp_seal(s, &pass, pkt->p));
    srtp_send_end(s, pkt, pass.key);
    return CPH_OK;
}

cph_err cph_srtp_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    return s->protect(s, pkt);
}

cph_err srtp_unprotect_any(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
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

cph_err cph_srtp_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    return s->unprotect(s, pkt);
}

/* ---- SRTCP ----------------------------------------------------------------------------------- */

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
    pass.key = s->use;
    if (pass.key->rtcp_used >= pass.key->rtcp_max)
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
        memcpy(pkt->p + pkt->n + SRTP_RTCP_WORD + (s->aead ? s->rtcp_tag_n : 0),
               pass.key->master.mki, s->mki_n);
    pkt->n += over;
    return CPH_OK;
}

/* All a receiver does before the cipher. */
static cph_err rtcp_recv_begin(struct cph_srtp *s, const struct cph_srtp_pkt *pkt,
                               struct srtp_pass *pass, struct srtp_stream **stream)
{
    size_t over = cph_srtp_overhead(s, true);
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
    word = pkt->p + pass->n + (s->aead ? s->rtcp_tag_n : 0);
    mki = word + SRTP_RTCP_WORD;
    pass->key = s->key[0];
    if (s->mki_n > 0)
        CPH_TRY(srtp_key_of(s, mki, &pass->key));
    if (pass->key->rtcp_used >= pass->key->rtcp_max)
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

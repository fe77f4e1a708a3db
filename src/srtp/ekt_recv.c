/*
 * Who receives from senders that tell their keys. RFC 8870 4.3.2.
 *
 * What a tag holds is proved by its own cipher, but nothing ties it to the packet before it, nor
 * its epoch to anything: so a key from a tag is staged, and taken only with a packet that is good
 * under it or under a key we have; and a source's index goes on from key to key, so that a tag of
 * long ago brings no packet of long ago back.
 */
#include "ekt_int.h"

#include <stdlib.h>

struct set {
    bool used;
    struct cph_ekt_params params;
    cph_time until;
};

struct source {
    uint32_t ssrc;
    struct cph_srtp *now, *next, *was; /* in use; told, not used yet; for what comes late */
    cph_time was_until;
    uint32_t after[CPH_EKT_SETS]; /* by set: the last epoch, plus 1 */
};

struct cph_ekt_receiver {
    struct cph_srtp_engine *engine;
    struct cph_srtp_policy base;
    struct set set[CPH_EKT_SETS];
    size_t n, cap;
    struct source *source;
    struct cph_ekt_sender *own; /* whose packets are not taken for another's; NULL: nobody's */
};

/* A key of a tag that is not taken yet. */
struct staged {
    struct cph_srtp *ctx;
    size_t set;
    uint16_t epoch;
};

static void source_wipe(struct source *s)
{
    cph_srtp_free(s->now);
    cph_srtp_free(s->next);
    cph_srtp_free(s->was);
    *s = (struct source){ 0 };
}

void cph_ekt_receiver_free(struct cph_ekt_receiver *r)
{
    if (!r)
        return;
    if (r->own)
        ekt_sender_heard_by(r->own, NULL);
    for (size_t i = 0; i < r->n; i++)
        source_wipe(&r->source[i]);
    free(r->source);
    cph_free_secret(r, sizeof *r);
}

cph_err cph_ekt_receiver_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *policy,
                             struct cph_ekt_receiver **out)
{
    struct cph_ekt_receiver *r;

    if (!ekt_policy_fits(policy) || policy->streams > CPH_SRTP_STREAMS_MAX)
        return CPH_E_ARGUMENT;
    r = calloc(1, sizeof *r);
    if (!r)
        return CPH_E_NOMEM;
    r->engine = e;
    r->base = *policy;
    r->base.streams = 1;
    r->cap = policy->streams ? policy->streams : CPH_SRTP_STREAMS;
    r->source = calloc(r->cap, sizeof *r->source);
    if (!r->source) {
        cph_ekt_receiver_free(r);
        return CPH_E_NOMEM;
    }
    *out = r;
    return CPH_OK;
}

/* ---- parameter sets -------------------------------------------------------------------------- */

static struct set *set_find(struct cph_ekt_receiver *r, uint16_t spi)
{
    for (size_t i = 0; i < CPH_EKT_SETS; i++)
        if (r->set[i].used && r->set[i].params.spi == spi)
            return &r->set[i];
    return NULL;
}

cph_err cph_ekt_receiver_params(struct cph_ekt_receiver *r, const struct cph_ekt_params *params,
                                cph_time now)
{
    size_t at = 0;

    if (!ekt_params_fit(params, r->base.suite))
        return CPH_E_ARGUMENT;
    if (set_find(r, params->spi))
        return CPH_E_EXISTS;
    while (at < CPH_EKT_SETS && r->set[at].used)
        at++;
    if (at == CPH_EKT_SETS)
        return CPH_E_LIMIT;
    r->set[at].used = true;
    r->set[at].params = *params;
    r->set[at].until = now + CPH_SEC(params->ttl_s);
    for (size_t i = 0; i < r->n; i++)
        r->source[i].after[at] = 0;
    return CPH_OK;
}

cph_err cph_ekt_receiver_drop(struct cph_ekt_receiver *r, uint16_t spi)
{
    struct set *set = set_find(r, spi);

    if (!set)
        return CPH_E_NOTFOUND;
    cph_wipe(set, sizeof *set);
    return CPH_OK;
}

void cph_ekt_pair(struct cph_ekt_sender *send, struct cph_ekt_receiver *recv)
{
    if (recv->own)
        ekt_sender_heard_by(recv->own, NULL);
    ekt_sender_heard_by(send, recv);
    recv->own = send;
}

void ekt_receiver_alone(struct cph_ekt_receiver *r)
{
    r->own = NULL;
}

/* ---- sources --------------------------------------------------------------------------------- */

static struct source *source_find(const struct cph_ekt_receiver *r, uint32_t ssrc)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->source[i].ssrc == ssrc)
            return &r->source[i];
    return NULL;
}

cph_err cph_ekt_source_drop(struct cph_ekt_receiver *r, uint32_t ssrc)
{
    struct source *s = source_find(r, ssrc);

    if (!s)
        return CPH_E_NOTFOUND;
    source_wipe(s);
    *s = r->source[--r->n];
    r->source[r->n] = (struct source){ 0 };
    return CPH_OK;
}

/* Where the source's packets have come to under the key in use. */
static uint64_t top_of(const struct source *s)
{
    const struct srtp_stream *st = s ? srtp_stream_find(s->now, s->ssrc) : NULL;

    return st ? st->rtp.top : 0;
}

/* The new key goes on from here: what is far below counts as seen. */
static cph_err place(struct cph_srtp *ctx, uint32_t ssrc, uint32_t roc, uint64_t index)
{
    struct srtp_stream *st;

    CPH_TRY(cph_srtp_roc_set(ctx, ssrc, roc));
    st = srtp_stream_find(ctx, ssrc);
    if (index > 0)
        srtp_window_slide(ctx, &st->rtp, index - 1);
    return CPH_OK;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static cph_err stage_key(struct cph_ekt_receiver *r, const struct set *set,
                         const struct source *src, const struct ekt_plain *plain, uint16_t seq,
                         struct staged *out)
{
    CPH_SRTP_POLICY_SCOPED p = { 0 };
    uint64_t index = (uint64_t)plain->roc << 16 | seq, top = top_of(src);

    if (top > index && top - index > 0x8000)
        return CPH_OK; /* a ROC of long ago: not the sender's now, so no key of now */
    CPH_TRY(ekt_policy(&r->base, &set->params, &plain->key, &p));
    CPH_TRY(cph_srtp_new(r->engine, &p, CPH_SRTP_RECV, &out->ctx));
    return place(out->ctx, plain->ssrc, plain->roc, top > index ? top : index);
}

/* RFC 8870 4.3.2 steps 2 to 6. No staged key and CPH_OK: the tag says nothing new, or of another.
 */
static cph_err stage(struct cph_ekt_receiver *r, const struct cph_ekt_tag *tag, const uint8_t *p,
                     cph_time now, const struct source *src, struct staged *out)
{
    struct set *set = set_find(r, tag->spi);
    struct ekt_plain plain = { 0 };
    cph_err err;

    /* RFC 8870 4.3.2 MUST: an SPI that is not known is a failure of authentication */
    if (!set)
        return CPH_E_AUTH;
    /* RFC 8870 5.2.2 MUST NOT: decrypt under the key when its time is over */
    if (now >= set->until)
        return CPH_E_EXPIRED;
    out->set = (size_t)(set - r->set);
    out->epoch = tag->epoch;
    /* RFC 8870 4.1 MUST: an epoch not above the last is rejected. The packet is not. */
    if (src && tag->epoch < src->after[out->set])
        return CPH_OK;
    if (!src && r->n == r->cap)
        return CPH_E_LIMIT;
    err = ekt_unwrap(&set->params, tag->ciphertext, &plain);
    /* RFC 8870 4.3.2 MUST: a tag for another SSRC is discarded, it alone */
    if (err == CPH_OK && plain.ssrc == srtp_be32(p + 8))
        err = stage_key(r, set, src, &plain, srtp_rtp_seq(p), out);
    cph_secret_wipe(&plain.key);
    return err;
}

/* ---- packets --------------------------------------------------------------------------------- */

typedef cph_err unprotect_fn(struct cph_srtp *s, struct cph_srtp_pkt *pkt);

/* Under the keys we have; *by is which one it was. */
static cph_err try_keys(const struct source *src, unprotect_fn *unprotect, struct cph_srtp_pkt *pkt,
                        cph_time now, struct cph_srtp **by)
{
    /* a key that is over is not good for ever: who left may know it */
    struct cph_srtp *key[] = { src->now, src->next, now < src->was_until ? src->was : NULL };
    cph_err first = CPH_E_NOKEY;

    for (size_t i = 0; i < 3; i++) {
        cph_err err = key[i] ? unprotect(key[i], pkt) : CPH_E_NOKEY;

        if (err == CPH_OK)
            *by = key[i];
        if (err == CPH_OK || err == CPH_E_CRYPTO)
            return err;
        if (i == 0)
            first = err;
    }
    return first;
}

/* The sender uses it: the one before stays for what comes late. */
static void promote(struct source *src, struct cph_srtp *key, cph_time now)
{
    cph_srtp_free(src->was);
    src->was = src->now;
    src->was_until = now + CPH_EKT_LATE_US;
    src->now = key;
}

static void take(struct cph_ekt_receiver *r, struct source *src, struct staged *st, uint32_t ssrc,
                 bool used, cph_time now)
{
    if (!st->ctx)
        return;
    if (!src) {
        src = &r->source[r->n++];
        src->ssrc = ssrc;
    }
    src->after[st->set] = st->epoch + 1U;
    cph_srtp_free(src->next);
    src->next = used ? NULL : st->ctx;
    if (used)
        promote(src, st->ctx, now);
    st->ctx = NULL;
}

cph_err cph_ekt_unprotect(struct cph_ekt_receiver *r, struct cph_srtp_pkt *pkt, cph_time now)
{
    struct cph_srtp_pkt inner = *pkt;
    struct cph_srtp *by = NULL;
    struct staged st = { 0 };
    struct cph_ekt_tag tag;
    struct source *src;
    uint32_t ssrc;
    cph_err err;

    CPH_TRY(cph_ekt_tag_parse((struct cph_span){ pkt->p, pkt->n }, &tag));
    inner.n -= tag.n;
    if (inner.n < SRTP_RTP_HEADER)
        return CPH_E_TRUNCATED;
    ssrc = srtp_be32(pkt->p + 8);
    if (r->own && ekt_sender_sends(r->own, ssrc))
        return CPH_E_POLICY; /* our own, sent back: its key is told as everybody's is */
    src = source_find(r, ssrc);
    if (tag.type == CPH_EKT_FULL)
        err = stage(r, &tag, pkt->p, now, src, &st);
    else
        err = CPH_OK; /* RFC 8870 4.1 MUST: a tag of a type nobody knows is discarded */
    if (err == CPH_OK)
        err = src ? try_keys(src, cph_srtp_unprotect, &inner, now, &by) : CPH_E_NOKEY;
    if (err == CPH_OK) {
        if (by == src->next) {
            src->next = NULL;
            promote(src, by, now);
        }
        take(r, src, &st, ssrc, false, now);
    } else if (err != CPH_E_CRYPTO && st.ctx) {
        err = cph_srtp_unprotect(st.ctx, &inner);
        if (err == CPH_OK)
            take(r, src, &st, ssrc, true, now);
    }
    cph_srtp_free(st.ctx);
    if (err == CPH_OK)
        pkt->n = inner.n;
    return err;
}

cph_err cph_ekt_unprotect_rtcp(struct cph_ekt_receiver *r, struct cph_srtp_pkt *pkt, cph_time now)
{
    struct cph_srtp *by;
    struct source *src;
    uint32_t ssrc;

    if (pkt->n < SRTP_RTCP_HEADER)
        return CPH_E_TRUNCATED;
    ssrc = srtp_be32(pkt->p + 4);
    if (r->own && ekt_sender_sends(r->own, ssrc))
        return CPH_E_POLICY;
    src = source_find(r, ssrc);
    return src ? try_keys(src, cph_srtp_unprotect_rtcp, pkt, now, &by) : CPH_E_NOKEY;
}

/*
 * Two AEADs on one packet (RFC 8723): the inner from end to end, the outer from hop to hop.
 *
 *   | header, extension | payload | inner tag | OHB | outer tag |
 *                       |<- inner ->|
 *                       |<------------ outer ---------->|
 *
 * The inner authenticates the header as the sender made it, without extension; the original header
 * block says what a media distributor, who has the outer key alone, changed since.
 */
#include "steps.h"

#include "ciphony/crypto_cipher.h"

enum {
    OHB_MAX = 4,
    OHB_PT = 1, /* PT is present */
    OHB_SEQ = 2,
    OHB_M = 4, /* the marker bit is, and is this: */
    OHB_MARKER = 8,
    OHB_KNOWN = 15,
    SYNTH_MAX = SRTP_RTP_HEADER + 15 * 4, /* header without extension */
};

/* ---- the original header block --------------------------------------------------------------- */

static struct cph_srtp_head head_of(const uint8_t *p)
{
    return (struct cph_srtp_head){ .pt = p[1] & 0x7f, .marker = p[1] >> 7, .seq = srtp_rtp_seq(p) };
}

static void head_put(uint8_t *p, const struct cph_srtp_head *h)
{
    p[1] = (uint8_t)((h->marker ? 0x80 : 0) | (h->pt & 0x7f));
    p[2] = (uint8_t)(h->seq >> 8);
    p[3] = (uint8_t)h->seq;
}

/* RFC 8723 4: OHB = [ PT ] [ SEQ ] Config. It ends at p + n; *was is what stands in the header,
 * where it says nothing else. */
static cph_err ohb_parse(const uint8_t *p, size_t from, size_t n, struct cph_srtp_head *was,
                         size_t *ohb_n)
{
    struct cph_srtp_head v = head_of(p);
    uint8_t config;
    size_t len;

    if (n <= from)
        return CPH_E_TRUNCATED;
    config = p[n - 1];
    /* RFC 8723 4 MUST: reserved bits are zero, and the value of M is not there without M */
    if ((config & ~OHB_KNOWN) || (config & (OHB_M | OHB_MARKER)) == OHB_MARKER)
        return CPH_E_MALFORMED;
    len = 1 + (config & OHB_PT ? 1U : 0) + (config & OHB_SEQ ? 2U : 0);
    if (n < from + len)
        return CPH_E_TRUNCATED;
    p += n - len;
    if (config & OHB_PT) {
        if (*p & 0x80)
            return CPH_E_MALFORMED; /* a payload type has seven bits */
        v.pt = *p++;
    }
    if (config & OHB_SEQ)
        v.seq = (uint16_t)(p[0] << 8 | p[1]);
    if (config & OHB_M)
        v.marker = config & OHB_MARKER;
    *was = v;
    *ohb_n = len;
    return CPH_OK;
}

/* What lies behind the header must hold the inner tag, too. */
static cph_err ohb_find(const struct cph_srtp_pkt *pkt, struct cph_srtp_head *was, size_t *ohb_n)
{
    size_t header;

    CPH_TRY(srtp_rtp_header(pkt->p, pkt->n, &header));
    return ohb_parse(pkt->p, header + CPH_GCM_TAG, pkt->n, was, ohb_n);
}

cph_err cph_srtp_double_original(const struct cph_srtp_pkt *pkt, struct cph_srtp_head *out)
{
    size_t ohb_n;

    return ohb_find(pkt, out, &ohb_n);
}

/* RFC 8723 5.2: the first to change a field says what it was; who changes it back takes that out;
 * what is left alone stays as it is, in the block too. */
static bool says(bool said, bool changed, bool differs)
{
    return changed ? differs : said;
}

cph_err cph_srtp_double_relay(struct cph_srtp_pkt *pkt, const struct cph_srtp_head *to)
{
    struct cph_srtp_head is, was;
    uint8_t ohb[OHB_MAX], had;
    size_t ohb_n, n = 0;
    bool pt, seq, m;

    CPH_TRY(ohb_find(pkt, &was, &ohb_n));
    if (to->pt > 127)
        return CPH_E_ARGUMENT;
    is = head_of(pkt->p);
    had = pkt->p[pkt->n - 1];
    pt = says(had & OHB_PT, to->pt != is.pt, to->pt != was.pt);
    seq = says(had & OHB_SEQ, to->seq != is.seq, to->seq != was.seq);
    m = says(had & OHB_M, to->marker != is.marker, to->marker != was.marker);
    if (pt)
        ohb[n++] = was.pt;
    if (seq) {
        ohb[n++] = (uint8_t)(was.seq >> 8);
        ohb[n++] = (uint8_t)was.seq;
    }
    ohb[n++] = (uint8_t)((pt ? OHB_PT : 0) | (seq ? OHB_SEQ : 0) | (m ? OHB_M : 0) |
                         (m && was.marker ? OHB_MARKER : 0));
    if (pkt->cap < pkt->n - ohb_n + n)
        return CPH_E_NOSPACE;
    pkt->n -= ohb_n;
    memcpy(pkt->p + pkt->n, ohb, n);
    pkt->n += n;
    head_put(pkt->p, to);
    return CPH_OK;
}

/* ---- packets --------------------------------------------------------------------------------- */

/* RFC 8723 5.1 step 3: the header the inner AEAD sees. */
static size_t synthetic(const uint8_t *p, const struct cph_srtp_head *was, uint8_t *out)
{
    size_t n = SRTP_RTP_HEADER + 4 * (size_t)(p[0] & 15);

    memcpy(out, p, n);
    out[0] &= 0xef;
    head_put(out, was);
    return n;
}

/* RFC 8723 5.1 MUST: extensions are those of RFC 8285 */
static bool ext_fits(const uint8_t *p)
{
    const uint8_t *x = p + SRTP_RTP_HEADER + 4 * (size_t)(p[0] & 15);

    return !(p[0] & 0x10) || (x[0] == 0xbe && x[1] == 0xde) || (x[0] == 0x10 && x[1] >> 4 == 0);
}

cph_err srtp_double_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    uint8_t head[SYNTH_MAX + CPH_GCM_TAG], iv[16], *end = pkt->p + pkt->n;
    struct cph_srtp_pkt synth = { .p = head, .cap = sizeof head };
    struct srtp_pass outer, inner;
    struct cph_srtp_head is;
    size_t header;

    if (s->dir != CPH_SRTP_SEND)
        return CPH_E_ARGUMENT;
    CPH_TRY(srtp_rtp_header(pkt->p, pkt->n, &header));
    if (!ext_fits(pkt->p))
        return CPH_E_UNSUPPORTED;
    if (pkt->cap < pkt->n + cph_srtp_overhead(s, false))
        return CPH_E_NOSPACE;
    is = head_of(pkt->p);
    synth.n = synthetic(pkt->p, &is, head);
    CPH_TRY(srtp_send_begin(s, pkt, &outer));
    CPH_TRY(srtp_send_begin(s->inner, &synth, &inner));
    srtp_iv_gcm(inner.ss, inner.ssrc, inner.index, iv);
    CPH_TRY(s->engine->ops->seal(s->engine, inner.ss, s->inner->key_n, iv,
                                 (struct cph_span){ head, synth.n }, pkt->p + header,
                                 pkt->n - header, end));
    end[CPH_GCM_TAG] = 0; /* nothing was changed yet */
    outer.n = pkt->n + CPH_GCM_TAG + 1;
    CPH_TRY(s->suite->transform->rtp_seal(s, &outer, pkt->p));
    pkt->n = outer.n + CPH_GCM_TAG;
    return CPH_OK;
}

/* All of the inner before its cipher, and the cipher. *n: bytes of header and payload. */
static cph_err inner_open(struct cph_srtp *s, uint8_t *p, const struct srtp_pass *outer,
                          struct srtp_pass *pass, struct srtp_stream **st,
                          struct cph_srtp_head *was, size_t *n)
{
    uint8_t head[SYNTH_MAX], iv[16];
    struct cph_srtp_pkt synth = { .p = head };
    size_t ohb_n, end;

    CPH_TRY(ohb_parse(p, outer->header + CPH_GCM_TAG, outer->n, was, &ohb_n));
    end = outer->n - ohb_n - CPH_GCM_TAG;
    synth.n = synthetic(p, was, head);
    CPH_TRY(srtp_recv_begin_at(s->inner, &synth, 0, NULL, pass, st));
    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    CPH_TRY(s->engine->ops->unseal(s->engine, pass->ss, s->inner->key_n, iv,
                                   (struct cph_span){ head, synth.n }, p + outer->header,
                                   end - outer->header, p + end));
    *n = end;
    return CPH_OK;
}

cph_err srtp_double_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_stream *st, *inner_st;
    struct srtp_pass outer, inner;
    struct cph_srtp_head was;
    cph_err err;
    size_t n;

    CPH_TRY(srtp_recv_begin(s, pkt, &outer, &st));
    CPH_TRY(s->suite->transform->rtp_open(s, &outer, pkt->p));
    err = inner_open(s, pkt->p, &outer, &inner, &inner_st, &was, &n);
    if (err != CPH_OK) { /* as it was, tag and all */
        CPH_TRY(s->suite->transform->rtp_seal(s, &outer, pkt->p));
        return err;
    }
    CPH_TRY(srtp_recv_commit(s, &outer, st));
    CPH_TRY(srtp_recv_commit(s->inner, &inner, inner_st));
    /* RFC 8723 5.3 MUST: only PT and SEQ are taken from the outer header */
    pkt->p[1] = (uint8_t)((pkt->p[1] & 0x7f) | (was.marker ? 0x80 : 0));
    pkt->n = n;
    return CPH_OK;
}

/* RFC 8723 5.1 step 2, 7.1, 7.3: what repairs goes from hop to hop only. */
cph_err cph_srtp_double_protect_repair(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    return s->inner ? srtp_protect_any(s, pkt) : CPH_E_ARGUMENT;
}

cph_err cph_srtp_double_unprotect_repair(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    return s->inner ? srtp_unprotect_any(s, pkt) : CPH_E_ARGUMENT;
}

/* ---- halves ---------------------------------------------------------------------------------- */

static cph_err half(const struct cph_srtp_policy *both, size_t at, struct cph_srtp_policy *out)
{
    const struct cph_srtp_suite *suite = both->suite ? both->suite->half : NULL;
    const struct cph_srtp_key *m = &both->master;

    if (!suite || m->key.n != (size_t)2 * suite->key_n || m->salt.n != (size_t)2 * suite->salt_n)
        return CPH_E_ARGUMENT;
    *out = *both;
    out->suite = suite;
    cph_secret_wipe(&out->master.key);
    cph_secret_wipe(&out->master.salt);
    CPH_TRY(cph_secret_set(&out->master.key,
                           (struct cph_span){ m->key.b + at * suite->key_n, suite->key_n }));
    return cph_secret_set(&out->master.salt,
                          (struct cph_span){ m->salt.b + at * suite->salt_n, suite->salt_n });
}

cph_err cph_srtp_double_end(const struct cph_srtp_policy *both, struct cph_srtp_policy *out)
{
    return half(both, 0, out);
}

cph_err cph_srtp_double_hop(const struct cph_srtp_policy *both, struct cph_srtp_policy *out)
{
    return half(both, 1, out);
}

cph_err srtp_double_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                        enum cph_srtp_dir dir, struct cph_srtp **out)
{
    CPH_SRTP_POLICY_SCOPED end = { 0 }, hop = { 0 };
    struct cph_srtp *s;
    cph_err err;

    /* One MKI would name a key of both, and RFC 8870 has none; what is in clear or dressed
     * otherwise RFC 8723 does not know. */
    if (p->master.mki_n > 0 || p->unencrypted_rtp || p->cryptex)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_srtp_double_end(p, &end));
    CPH_TRY(cph_srtp_double_hop(p, &hop));
    if (!cph_srtp_engine_has(e, p->suite))
        return CPH_E_CRYPTO;
    CPH_TRY(cph_srtp_new(e, &hop, dir, &s));
    err = cph_srtp_new(e, &end, dir, &s->inner);
    if (err != CPH_OK) {
        cph_srtp_free(s);
        return err;
    }
    s->protect = srtp_double_protect;
    s->unprotect = srtp_double_unprotect;
    s->plain = false;
    s->alone = true;
    *out = s;
    return CPH_OK;
}

/*
 * What few contexts have beyond RFC 3711: the ROC in tags (RFC 4771), and CSRCs and header
 * extensions that are encrypted with the payload (RFC 9335). They take this way, the others know
 * nothing of it.
 */
#include "steps.h"

#include "ciphony/crypto_cipher.h"

/* ---- the ROC in tags ------------------------------------------------------------------------- */

/*
 *   SEQ = 0 mod R:   | header | payload | MKI | ROC | MAC |    mode 3: no MAC
 *   others:          | header | payload | MKI |     MAC   |    modes 1 and 3: no tag
 */
static bool carries(const struct cph_srtp *s, const uint8_t *p)
{
    return s->rcc && srtp_rtp_seq(p) % s->rcc_rate == 0;
}

static size_t tag_of(const struct cph_srtp *s, bool roc)
{
    return !s->rcc || roc || s->rcc == CPH_SRTP_RCC_2 ? s->tag_n : 0;
}

static size_t mac_of(const struct cph_srtp *s, bool roc)
{
    if (s->rcc == CPH_SRTP_RCC_3)
        return 0;
    return tag_of(s, roc) - (roc ? CPH_SRTP_RCC_ROC : 0);
}

void cph_srtp_rcc_synced(struct cph_srtp *s, bool synced)
{
    s->rcc_synced = synced;
}

/*
 * May a packet that says its ROC be one seen before? In mode 2 the window knows. In modes 1 and 3
 * anybody can move the window on with a packet that has no MAC: then one with a MAC that is newer
 * than the last such, or, where there is no MAC at all, one out of the window, puts it right.
 */
static bool repeats(const struct cph_srtp *s, const struct srtp_stream *st, uint64_t index)
{
    if (!st || (s->rcc == CPH_SRTP_RCC_1 && index >= st->rcc_top))
        return false;
    if (s->rcc == CPH_SRTP_RCC_3 && st->rtp.top > index && st->rtp.top - index >= s->window)
        return false;
    return srtp_window_refuses(s, &st->rtp, index);
}

/* RFC 4771 2: the local ROC becomes that of the packet, backwards too. */
static void adopt(struct cph_srtp *s, struct srtp_stream *st, uint64_t index)
{
    if (st->rtp.started && st->rtp.top > index && st->rtp.top - index >= s->window) {
        st->rtp.top = index; /* nobody knows any more what was seen below: all of it */
        memset(st->rtp.seen, 0xff, ((size_t)s->ring_mask + 1) / 8);
    }
    if (s->rcc != CPH_SRTP_RCC_3 && index >= st->rcc_top)
        st->rcc_top = index + 1;
}

/* ---- encrypted headers ----------------------------------------------------------------------- */

enum {
    EXT_ONE_BYTE = 0xbede, /* RFC 8285 4.2 */
    EXT_TWO_BYTE = 0x1000, /* RFC 8285 4.3, with appbits of zero */
    EXT_CRYPTEX_ONE = 0xc0de,
    EXT_CRYPTEX_TWO = 0xc2de,
};

static size_t csrcs(const uint8_t *p)
{
    return 4 * (size_t)(p[0] & 15);
}

static unsigned ext_profile(const uint8_t *p)
{
    const uint8_t *x = p + SRTP_RTP_HEADER + csrcs(p);

    return p[0] & 0x10 ? (unsigned)(x[0] << 8 | x[1]) : 0;
}

static void ext_profile_put(uint8_t *p, unsigned profile)
{
    uint8_t *x = p + SRTP_RTP_HEADER + csrcs(p);

    x[0] = (uint8_t)(profile >> 8);
    x[1] = (uint8_t)profile;
}

/*
 * RFC 9335 5.1. What is encrypted must lie in one piece, so the extension's header and the CSRCs
 * change places for the cipher:
 *
 *   on the wire:    | 12 bytes | CSRCs | profile, length | extension | payload |
 *   for the cipher: | 12 bytes | profile, length | CSRCs | extension | payload |
 *                   |<------- in clear -------->|<-------- encrypted -------->|
 */
static void cipher_order(uint8_t *p)
{
    uint8_t x[SRTP_EXT_HEADER], *at = p + SRTP_RTP_HEADER;
    size_t n = csrcs(p);

    memcpy(x, at + n, sizeof x);
    memmove(at + sizeof x, at, n);
    memcpy(at, x, sizeof x);
}

static void wire_order(uint8_t *p)
{
    uint8_t x[SRTP_EXT_HEADER], *at = p + SRTP_RTP_HEADER;
    size_t n = csrcs(p);

    memcpy(x, at, sizeof x);
    memmove(at, at + sizeof x, n);
    memcpy(at + n, x, sizeof x);
}

struct plan {
    bool hide; /* the packet has something to hide */
    bool add;  /* but no extension: an empty one is put in */
    unsigned profile;
};

static cph_err plan_of(const struct cph_srtp *s, const struct cph_srtp_pkt *pkt, struct plan *out)
{
    struct plan v = { 0 };
    size_t header;

    *out = v;
    CPH_TRY(srtp_rtp_header(pkt->p, pkt->n, &header));
    if (!s->cryptex || header == SRTP_RTP_HEADER)
        return CPH_OK;
    v.hide = true;
    v.add = (pkt->p[0] & 0x10) == 0;
    if (v.add || ext_profile(pkt->p) == EXT_ONE_BYTE)
        v.profile = EXT_CRYPTEX_ONE;
    else if (ext_profile(pkt->p) == EXT_TWO_BYTE)
        v.profile = EXT_CRYPTEX_TWO;
    else
        return CPH_E_UNSUPPORTED; /* there is no way to say which it was: rather none than open */
    /* the empty extension is not part of the overhead that the steps below look at */
    if (v.add && pkt->cap < pkt->n + SRTP_EXT_HEADER + s->mki_n + s->tag_n)
        return CPH_E_NOSPACE;
    *out = v;
    return CPH_OK;
}

/* RFC 9335 5.1 MUST: CSRCs alone go with an empty extension */
static void dress(const struct plan *plan, struct cph_srtp_pkt *pkt, struct srtp_pass *pass)
{
    uint8_t *p = pkt->p;

    if (!plan->hide)
        return;
    if (plan->add) {
        memmove(p + pass->header + SRTP_EXT_HEADER, p + pass->header, pkt->n - pass->header);
        memset(p + pass->header, 0, SRTP_EXT_HEADER);
        p[0] |= 0x10;
        pkt->n += SRTP_EXT_HEADER;
        pass->header += SRTP_EXT_HEADER;
        pass->n += SRTP_EXT_HEADER;
    }
    ext_profile_put(p, plan->profile);
}

/* Does a received packet say that its header is encrypted? */
static bool hides(const struct cph_srtp *s, const uint8_t *p)
{
    unsigned profile = ext_profile(p);

    return s->cryptex && (profile == EXT_CRYPTEX_ONE || profile == EXT_CRYPTEX_TWO);
}

static void undress(uint8_t *p)
{
    ext_profile_put(p, ext_profile(p) == EXT_CRYPTEX_ONE ? EXT_ONE_BYTE : EXT_TWO_BYTE);
}

/* Run a step of a transform with the header in the cipher's order, if it is to be hidden. */
typedef cph_err step_fn(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p);

static cph_err hidden(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p, bool hide,
                      step_fn *step)
{
    struct srtp_pass moved = *pass;
    cph_err err;

    if (!hide)
        return step(s, pass, p);
    moved.header = SRTP_RTP_HEADER + SRTP_EXT_HEADER;
    cipher_order(p);
    err = step(s, &moved, p);
    wire_order(p);
    return err;
}

/* ---- packets --------------------------------------------------------------------------------- */

static cph_err cm_seal(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p, bool hide)
{
    bool roc = carries(s, p);
    size_t mac_n = mac_of(s, roc);
    uint8_t mac[SRTP_HMAC] = { 0 }, *tag = p + pass->n + s->mki_n;

    CPH_TRY(hidden(s, pass, p, hide, srtp_cm_crypt));
    if (mac_n > 0)
        CPH_TRY(srtp_cm_hmac(s, pass, p, mac));
    if (roc) {
        srtp_put_be32(tag, (uint32_t)(pass->index >> 16));
        tag += CPH_SRTP_RCC_ROC;
    }
    memcpy(tag, mac, mac_n);
    return CPH_OK;
}

cph_err srtp_extras_protect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    struct srtp_pass pass;
    struct plan plan;

    if (s->dir != CPH_SRTP_SEND)
        return CPH_E_ARGUMENT;
    CPH_TRY(plan_of(s, pkt, &plan));
    CPH_TRY(srtp_send_begin(s, pkt, &pass));
    dress(&plan, pkt, &pass);
    if (s->aead)
        CPH_TRY(hidden(s, &pass, pkt->p, plan.hide, s->suite->transform->rtp_seal));
    else
        CPH_TRY(cm_seal(s, &pass, pkt->p, plan.hide));
    if (s->mki_n > 0)
        memcpy(pkt->p + pkt->n + (s->aead ? s->tag_n : 0), pass.key->master.mki, s->mki_n);
    pkt->n += (size_t)s->mki_n + tag_of(s, carries(s, pkt->p));
    return CPH_OK;
}

static cph_err cm_open(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p, bool roc,
                       bool hide)
{
    uint8_t mac[SRTP_HMAC], tag[CPH_SRTP_RCC_TAG_MAX], under[4];
    size_t mac_n = mac_of(s, roc);
    cph_err err;

    if (mac_n > 0) {
        memcpy(tag, p + pass->n + s->mki_n + (roc ? CPH_SRTP_RCC_ROC : 0), mac_n);
        memcpy(under, p + pass->n, sizeof under);
        err = srtp_cm_hmac(s, pass, p, mac);
        memcpy(p + pass->n, under, sizeof under);
        CPH_TRY(err);
        /* RFC 4771 2 MUST: dropped if the MAC, made with the packet's ROC, does not verify */
        if (!cph_ct_eq((struct cph_span){ mac, mac_n }, (struct cph_span){ tag, mac_n }))
            return CPH_E_AUTH;
    }
    return hidden(s, pass, p, hide, srtp_cm_crypt);
}

cph_err srtp_extras_unprotect(struct cph_srtp *s, struct cph_srtp_pkt *pkt)
{
    bool roc = pkt->n >= SRTP_RTP_HEADER && carries(s, pkt->p), hide, use;
    size_t tag_n = tag_of(s, roc);
    struct srtp_stream *st;
    struct srtp_pass pass;
    uint32_t carried = 0;

    if (pkt->n < SRTP_RTP_HEADER + s->mki_n + tag_n)
        return CPH_E_TRUNCATED;
    if (roc)
        carried = srtp_be32(pkt->p + pkt->n - tag_n);
    /* RFC 4771 3: in mode 3, ignored if the application knows better */
    use = roc && !(s->rcc == CPH_SRTP_RCC_3 && s->rcc_synced);
    CPH_TRY(srtp_recv_begin_at(s, pkt, tag_n, use ? &carried : NULL, &pass, &st));
    if (use && repeats(s, st, pass.index))
        return CPH_E_REPLAY;
    hide = hides(s, pkt->p);
    if (s->aead)
        CPH_TRY(hidden(s, &pass, pkt->p, hide, s->suite->transform->rtp_open));
    else
        CPH_TRY(cm_open(s, &pass, pkt->p, roc, hide));
    if (!st)
        CPH_TRY(srtp_stream_bind(s, pass.ssrc, &st));
    if (use)
        adopt(s, st, pass.index);
    srtp_recv_mark(s, pass.key, st, pass.index);
    if (hide)
        undress(pkt->p);
    pkt->n = pass.n;
    return CPH_OK;
}

/* How AES-CM with HMAC-SHA1 and how AEAD treat one packet; RFC 3711 3.1, 3.4, RFC 7714 8, 9. */
#include "srtp_int.h"

#include "ciphony/crypto_cipher.h"

/* ---- AES-CM, or no cipher, with HMAC-SHA1 ---------------------------------------------------- */

/*
 *   | header | payload (encrypted) | MKI | tag |
 *   |<-------- tag over this ----->| then the ROC, which is written where MKI and tag go
 */
cph_err srtp_cm_hmac(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p,
                     uint8_t out[SRTP_HMAC])
{
    srtp_put_be32(p + pass->n, (uint32_t)(pass->index >> 16));
    return s->engine->ops->hmac(s->engine, pass->ss, p, pass->n + 4, out);
}

cph_err srtp_cm_crypt(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t iv[16];

    if (pass->clear)
        return CPH_OK;
    srtp_iv_cm(pass->ss, pass->ssrc, pass->index, iv);
    return s->engine->ops->ctr(s->engine, pass->ss, s->suite->key_n, iv, p + pass->header,
                               pass->n - pass->header);
}

static cph_err cm_rtp_seal(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t mac[SRTP_HMAC];

    CPH_TRY(srtp_cm_crypt(s, pass, p));
    if (s->tag_n == 0)
        return CPH_OK;
    CPH_TRY(srtp_cm_hmac(s, pass, p, mac));
    memcpy(p + pass->n + s->mki_n, mac, s->tag_n);
    return CPH_OK;
}

static cph_err cm_rtp_open(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t mac[SRTP_HMAC], tag[16], under[4];
    cph_err err;

    if (s->tag_n > 0) {
        memcpy(tag, p + pass->n + s->mki_n, s->tag_n);
        memcpy(under, p + pass->n, sizeof under);
        err = srtp_cm_hmac(s, pass, p, mac);
        memcpy(p + pass->n, under, sizeof under);
        CPH_TRY(err);
        if (!srtp_tag_eq(mac, tag, s->tag_n))
            return CPH_E_AUTH;
    }
    return srtp_cm_crypt(s, pass, p);
}

/*
 *   | header | payload (encrypted) | E | index | MKI | tag |
 *   |<------------ tag over this ------------->|
 */
static cph_err cm_rtcp_seal(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t mac[SRTP_HMAC];

    CPH_TRY(srtp_cm_crypt(s, pass, p));
    srtp_put_be32(p + pass->n, (pass->clear ? 0 : 1U << 31) | (uint32_t)pass->index);
    CPH_TRY(s->engine->ops->hmac(s->engine, pass->ss, p, pass->n + SRTP_RTCP_WORD, mac));
    memcpy(p + pass->n + SRTP_RTCP_WORD + s->mki_n, mac, s->rtcp_tag_n);
    return CPH_OK;
}

static cph_err cm_rtcp_open(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t mac[SRTP_HMAC];

    CPH_TRY(s->engine->ops->hmac(s->engine, pass->ss, p, pass->n + SRTP_RTCP_WORD, mac));
    if (!srtp_tag_eq(mac, p + pass->n + SRTP_RTCP_WORD + s->mki_n, s->rtcp_tag_n))
        return CPH_E_AUTH;
    return srtp_cm_crypt(s, pass, p);
}

const struct cph_srtp_transform srtp_transform_cm = {
    .aead = false,
    .rtp_seal = cm_rtp_seal,
    .rtp_open = cm_rtp_open,
    .rtcp_seal = cm_rtcp_seal,
    .rtcp_open = cm_rtcp_open,
};

/* ---- AES-GCM --------------------------------------------------------------------------------- */

/*
 *   | header | payload (encrypted) | tag | MKI |      associated data: the header;
 *                                                     without encryption all before the tag
 */
static cph_err gcm_rtp_seal(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    size_t aad = pass->clear ? pass->n : pass->header;
    uint8_t iv[16];

    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    return s->engine->ops->seal(s->engine, pass->ss, s->suite->key_n, iv,
                                (struct cph_span){ p, aad }, p + aad, pass->n - aad, p + pass->n);
}

static cph_err gcm_rtp_open(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    size_t aad = pass->clear ? pass->n : pass->header;
    uint8_t iv[16];

    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    return s->engine->ops->unseal(s->engine, pass->ss, s->suite->key_n, iv,
                                  (struct cph_span){ p, aad }, p + aad, pass->n - aad, p + pass->n);
}

/*
 *   | header | payload (encrypted) | tag | E | index | MKI |   associated data: header, E, index;
 *                                                              without encryption all but tag, MKI
 * The associated data must lie in one piece: a copy, or (in clear) the word moved over the tag.
 */
static cph_err gcm_rtcp(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p, bool seal,
                        uint8_t tag[CPH_GCM_TAG])
{
    const struct srtp_ops *ops = s->engine->ops;
    size_t payload = pass->clear ? 0 : pass->n - pass->header;
    uint32_t word = (pass->clear ? 0 : 1U << 31) | (uint32_t)pass->index;
    uint8_t iv[16], head[SRTP_RTCP_HEADER + SRTP_RTCP_WORD];
    struct cph_span aad = { head, sizeof head };

    srtp_iv_gcm(pass->ss, pass->ssrc, pass->index, iv);
    if (pass->clear) {
        srtp_put_be32(p + pass->n, word);
        aad = (struct cph_span){ p, pass->n + SRTP_RTCP_WORD };
    } else {
        memcpy(head, p, SRTP_RTCP_HEADER);
        srtp_put_be32(head + SRTP_RTCP_HEADER, word);
    }
    if (seal)
        return ops->seal(s->engine, pass->ss, s->suite->key_n, iv, aad, p + pass->header, payload,
                         tag);
    return ops->unseal(s->engine, pass->ss, s->suite->key_n, iv, aad, p + pass->header, payload,
                       tag);
}

static cph_err gcm_rtcp_seal(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t tag[CPH_GCM_TAG];

    CPH_TRY(gcm_rtcp(s, pass, p, true, tag));
    memcpy(p + pass->n, tag, sizeof tag);
    srtp_put_be32(p + pass->n + CPH_GCM_TAG, (pass->clear ? 0 : 1U << 31) | (uint32_t)pass->index);
    return CPH_OK;
}

static cph_err gcm_rtcp_open(struct cph_srtp *s, const struct srtp_pass *pass, uint8_t *p)
{
    uint8_t tag[CPH_GCM_TAG];
    cph_err err;

    memcpy(tag, p + pass->n, sizeof tag);
    err = gcm_rtcp(s, pass, p, false, tag);
    memcpy(p + pass->n, tag, sizeof tag);
    return err;
}

const struct cph_srtp_transform srtp_transform_gcm = {
    .aead = true,
    .rtp_seal = gcm_rtp_seal,
    .rtp_open = gcm_rtp_open,
    .rtcp_seal = gcm_rtcp_seal,
    .rtcp_open = gcm_rtcp_open,
};

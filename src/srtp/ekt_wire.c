/*
 * RFC 8870 4.1, what stands behind an SRTP packet:
 *
 *    full:  | EKTCiphertext | SPI, 2 | Epoch, 2 | Length, 2 | 2 |     Length is of all of it
 *   short:  | 0 |
 *  others:  | data | Length, 2 | type |
 */
#include "ekt_int.h"

#include "ciphony/base_wire.h"
#include "ciphony/crypto_wrap.h"

void cph_ekt_params_wipe(struct cph_ekt_params *p)
{
    cph_wipe(p, sizeof *p);
}

size_t cph_ekt_key_size(enum cph_ekt_cipher cipher)
{
    switch (cipher) {
    case CPH_EKT_AESKW128:
        return 16;
    case CPH_EKT_AESKW256:
        return 32;
    }
    return 0;
}

cph_err cph_ekt_tag_parse(struct cph_span packet, struct cph_ekt_tag *out)
{
    struct cph_ekt_tag v = { 0 };
    struct cph_rd rd;
    size_t len;

    if (packet.n < 1)
        return CPH_E_TRUNCATED;
    v.type = packet.p[packet.n - 1];
    if (v.type == CPH_EKT_SHORT) {
        v.n = 1;
        *out = v;
        return CPH_OK;
    }
    if (packet.n < EKT_EXT_TAIL)
        return CPH_E_TRUNCATED;
    len = (size_t)(packet.p[packet.n - 3] << 8 | packet.p[packet.n - 2]);
    if (len > packet.n)
        return CPH_E_TRUNCATED;
    if (len <= (v.type == CPH_EKT_FULL ? EKT_FULL_TAIL : EKT_EXT_TAIL))
        return CPH_E_MALFORMED;
    v.n = len;
    if (v.type == CPH_EKT_FULL) {
        rd = cph_rd_open((struct cph_span){ packet.p + packet.n - len, len - EKT_EXT_TAIL });
        v.ciphertext = cph_rd_span(&rd, len - EKT_FULL_TAIL);
        v.spi = cph_rd_u16(&rd);
        v.epoch = cph_rd_u16(&rd);
        CPH_TRY(cph_rd_end(&rd));
    }
    *out = v;
    return CPH_OK;
}

cph_err cph_ekt_tag_build(const struct cph_ekt_tag *tag, uint8_t *out, size_t cap, size_t *n)
{
    struct cph_wr wr = cph_wr_open(out, cap);

    if (tag->type != CPH_EKT_SHORT && tag->type != CPH_EKT_FULL)
        return CPH_E_ARGUMENT;
    if (tag->type == CPH_EKT_FULL) {
        if (tag->ciphertext.n == 0 || tag->ciphertext.n > UINT16_MAX - EKT_FULL_TAIL)
            return CPH_E_ARGUMENT;
        cph_wr_span(&wr, tag->ciphertext);
        cph_wr_u16(&wr, tag->spi);
        cph_wr_u16(&wr, tag->epoch);
        cph_wr_u16(&wr, (uint16_t)(tag->ciphertext.n + EKT_FULL_TAIL));
    }
    cph_wr_u8(&wr, tag->type);
    CPH_TRY(cph_wr_end(&wr));
    *n = wr.n;
    return CPH_OK;
}

cph_err ekt_wrap(const struct cph_ekt_params *params, const struct ekt_plain *in, uint8_t *out,
                 size_t *n)
{
    uint8_t plain[EKT_PLAIN_MAX];
    struct cph_wr wr = cph_wr_open(plain, sizeof plain);
    cph_err err;

    cph_wr_u8(&wr, (uint8_t)in->key.n);
    cph_wr_span(&wr, cph_secret_span(&in->key));
    cph_wr_u32(&wr, in->ssrc);
    cph_wr_u32(&wr, in->roc);
    err = cph_wr_end(&wr);
    if (err == CPH_OK)
        err = cph_aes_wrap_pad(cph_secret_span(&params->key), cph_wr_done(&wr), out);
    *n = cph_aes_wrap_pad_size(wr.n);
    cph_wipe(plain, sizeof plain);
    return err;
}

static cph_err plain_parse(struct cph_span text, struct ekt_plain *out)
{
    struct cph_rd rd = cph_rd_open(text);
    struct cph_span key = cph_rd_span(&rd, cph_rd_u8(&rd));

    out->ssrc = cph_rd_u32(&rd);
    out->roc = cph_rd_u32(&rd);
    if (cph_rd_end(&rd) != CPH_OK || key.n == 0)
        return CPH_E_MALFORMED;
    return cph_secret_set(&out->key, key);
}

cph_err ekt_unwrap(const struct cph_ekt_params *params, struct cph_span ciphertext,
                   struct ekt_plain *out)
{
    uint8_t plain[CPH_EKT_TAG_MAX];
    cph_err err;
    size_t n;

    if (ciphertext.n > sizeof plain) /* a key of no suite */
        return CPH_E_MALFORMED;
    err = cph_aes_unwrap_pad(cph_secret_span(&params->key), ciphertext, plain, &n);
    if (err == CPH_E_ARGUMENT) /* a length that wrapping never gives */
        err = CPH_E_AUTH;
    if (err == CPH_OK)
        err = plain_parse((struct cph_span){ plain, n }, out);
    cph_wipe(plain, sizeof plain);
    return err;
}

bool ekt_params_fit(const struct cph_ekt_params *p, const struct cph_srtp_suite *suite)
{
    size_t key_n = cph_ekt_key_size(p->cipher);
    size_t srtp_n = suite->half ? suite->half->key_n : suite->key_n;

    /* RFC 8870 6 MUST: the EKT key is at least as long as that of the SRTP cipher */
    return key_n > 0 && p->key.n == key_n && key_n >= srtp_n && p->salt.n >= suite->salt_n &&
           p->ttl_s > 0 && p->ttl_s <= CPH_EKT_TTL_MAX;
}

bool ekt_policy_fits(const struct cph_srtp_policy *p)
{
    /* RFC 8870 4 MUST NOT: with an MKI. Trying keys needs a MAC: 4.3.2 */
    return p->suite && p->master.mki_n == 0 && !p->unauthenticated_rtp &&
           (p->rcc == CPH_SRTP_RCC_NONE || p->rcc == CPH_SRTP_RCC_2);
}

cph_err ekt_policy(const struct cph_srtp_policy *base, const struct cph_ekt_params *params,
                   const struct cph_secret *key, struct cph_srtp_policy *out)
{
    const struct cph_srtp_suite *suite = base->suite;
    size_t salt_n = suite->salt_n;

    *out = *base;
    /* RFC 8870 4.3.2: of a double suite, the first half may come alone; the rest stays */
    if (suite->half && key->n == suite->half->key_n && base->master.key.n == suite->key_n) {
        memcpy(out->master.key.b, key->b, key->n);
        if (base->master.salt.n == suite->salt_n)
            salt_n = suite->half->salt_n;
    } else if (key->n == suite->key_n) {
        out->master.key = *key;
    } else {
        return CPH_E_MALFORMED;
    }
    memcpy(out->master.salt.b, params->salt.b, salt_n);
    out->master.salt.n = suite->salt_n;
    return CPH_OK;
}

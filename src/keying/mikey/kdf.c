#include "mikey_int.h"

#include <string.h>

#include "ciphony/crypto_cipher.h"
#include "ciphony/crypto_envelope.h"

enum {
    BLOCK = 32,      /* RFC 3830 4.1.2: the key is cut into blocks of 256 bits */
    LABEL_FIXED = 9, /* constant, cs_id, csb_id */
    LABEL_MAX = LABEL_FIXED + MIKEY_RAND_MAX,
    OF_MESSAGE = 0xff, /* stands for cs_id where keys protect messages. 4.1.4 */
    CM_KEY = 16,
    CM_SALT = 14,
    KW_SALT = 8,
};

/*
 * P(s, label, m) = HMAC(s, A_1 || label) || ... || HMAC(s, A_m || label), A_0 = label,
 * A_i = HMAC(s, A_(i-1)); its first n bytes are added to out by exclusive or.
 */
static cph_err p_function(struct cph_hmac_ctx *h, struct cph_span label, uint8_t *out, size_t n)
{
    uint8_t a[MIKEY_MAC], block[MIKEY_MAC];
    struct cph_span a_i = label;
    cph_err err = CPH_OK;

    for (size_t at = 0; at < n && err == CPH_OK; at += MIKEY_MAC) {
        err = cph_hmac_add(h, a_i);
        if (err == CPH_OK)
            err = cph_hmac_finish(h, a);
        a_i = (struct cph_span){ a, sizeof a };
        if (err == CPH_OK)
            err = cph_hmac_add(h, a_i);
        if (err == CPH_OK)
            err = cph_hmac_add(h, label);
        if (err == CPH_OK)
            err = cph_hmac_finish(h, block);
        for (size_t i = 0; i < MIKEY_MAC && at + i < n && err == CPH_OK; i++)
            out[at + i] ^= block[i];
    }
    cph_wipe(a, sizeof a);
    cph_wipe(block, sizeof block);
    return err;
}

cph_err mikey_prf(struct cph_span inkey, struct cph_span label, size_t n, struct cph_secret *out)
{
    struct cph_hmac_ctx *h = NULL;
    cph_err err = CPH_OK;

    if (n > sizeof out->b || inkey.n == 0)
        return CPH_E_ARGUMENT;
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < inkey.n && err == CPH_OK; at += BLOCK) {
        struct cph_span s = { inkey.p + at, inkey.n - at < BLOCK ? inkey.n - at : BLOCK };

        err = h ? cph_hmac_key(h, s) : cph_hmac_new(CPH_DIGEST_SHA1, s, &h);
        if (err == CPH_OK)
            err = p_function(h, label, out->b, n);
    }
    cph_hmac_free(h);
    out->n = n;
    if (err != CPH_OK)
        cph_secret_wipe(out);
    return err;
}

cph_err mikey_derive(const struct cph_secret *from, enum mikey_constant what, uint8_t cs_id,
                     const struct mikey_bundle *b, size_t n, struct cph_secret *out)
{
    uint8_t label[LABEL_MAX];
    struct cph_wr wr = cph_wr_open(label, sizeof label);

    /* 4.1.3, 4.1.4: constant || cs_id || csb_id || RAND */
    cph_wr_u32(&wr, (uint32_t)what);
    cph_wr_u8(&wr, cs_id);
    cph_wr_u32(&wr, b->csb_id);
    cph_wr_bytes(&wr, b->rand, b->rand_n);
    return mikey_prf(cph_secret_span(from), cph_wr_done(&wr), n, out);
}

/* ---- encryption of key data ------------------------------------------------------------------ */

size_t mikey_encr_size(uint8_t alg, size_t n)
{
    return alg == MIKEY_ENCR_AES_KW ? n + CPH_WRAP_MORE : n;
}

/* 4.2.3: AES in counter mode from IV = (S xor (0x0000 || CSB ID || T)) || 0x0000 */
static cph_err counter_mode(const struct cph_secret *key, const struct mikey_bundle *b, uint64_t ts,
                            struct cph_span in, uint8_t *out)
{
    CPH_SECRET_SCOPED encr = { 0 };
    CPH_SECRET_SCOPED iv = { 0 };
    uint8_t mask[CM_SALT];
    struct cph_wr wr = cph_wr_open(mask, sizeof mask);
    struct cph_aes *aes;
    cph_err err;

    CPH_TRY(mikey_derive(key, MIKEY_FOR_MSG_ENCR, OF_MESSAGE, b, CM_KEY, &encr));
    CPH_TRY(mikey_derive(key, MIKEY_FOR_MSG_SALT, OF_MESSAGE, b, CM_SALT, &iv));
    cph_wr_u16(&wr, 0);
    cph_wr_u32(&wr, b->csb_id);
    cph_wr_u64(&wr, ts); /* Table 6.6: a COUNTER has zeroes before it */
    for (size_t i = 0; i < CM_SALT; i++)
        iv.b[i] ^= mask[i];
    CPH_TRY(cph_aes_new(CPH_AES_CTR, cph_secret_span(&encr), &aes));
    err = cph_aes_ctr(aes, iv.b, in.p, out, in.n);
    cph_aes_free(aes);
    return err;
}

/* 4.2.3: RFC 3394 with a salt of 64 bits for its initial value */
static cph_err key_wrap(const struct cph_secret *key, const struct mikey_bundle *b, bool encrypt,
                        struct cph_span in, uint8_t *out)
{
    CPH_SECRET_SCOPED encr = { 0 };
    CPH_SECRET_SCOPED iv = { 0 };
    cph_err err;

    CPH_TRY(mikey_derive(key, MIKEY_FOR_MSG_ENCR, OF_MESSAGE, b, CM_KEY, &encr));
    CPH_TRY(mikey_derive(key, MIKEY_FOR_MSG_SALT, OF_MESSAGE, b, KW_SALT, &iv));
    if (encrypt)
        return cph_aes_wrap(cph_secret_span(&encr), iv.b, in, out);
    err = cph_aes_unwrap(cph_secret_span(&encr), iv.b, in, out);
    return err == CPH_E_ARGUMENT ? CPH_E_MALFORMED : err;
}

static cph_err crypt(const struct cph_secret *key, const struct mikey_bundle *b, uint64_t ts,
                     uint8_t alg, bool encrypt, struct cph_span in, uint8_t *out, size_t *n)
{
    if (in.n == 0) { /* 6.2: an update may leave the keys out */
        *n = 0;
        return CPH_OK;
    }
    *n = in.n;
    switch (alg) {
    case MIKEY_ENCR_NULL:
        memcpy(out, in.p, in.n);
        return CPH_OK;
    case MIKEY_ENCR_AES_CM:
        return counter_mode(key, b, ts, in, out);
    case MIKEY_ENCR_AES_KW:
        *n = encrypt ? in.n + CPH_WRAP_MORE : in.n - CPH_WRAP_MORE;
        return key_wrap(key, b, encrypt, in, out);
    default:
        return CPH_E_UNSUPPORTED;
    }
}

cph_err mikey_encrypt(const struct cph_secret *key, const struct mikey_bundle *b, uint64_t ts,
                      uint8_t alg, struct cph_span in, uint8_t *out, size_t *n)
{
    return crypt(key, b, ts, alg, true, in, out, n);
}

cph_err mikey_decrypt(const struct cph_secret *key, const struct mikey_bundle *b, uint64_t ts,
                      uint8_t alg, struct cph_span in, uint8_t *out, size_t *n)
{
    return crypt(key, b, ts, alg, false, in, out, n);
}

cph_err mikey_mac(const struct cph_secret *key, const struct mikey_bundle *b,
                  const struct cph_span *parts, unsigned n_parts, uint8_t out[MIKEY_MAC])
{
    CPH_SECRET_SCOPED auth = { 0 };
    struct cph_hmac_ctx *h;
    cph_err err = CPH_OK;

    /* 4.2.4 SHOULD: a key as long as the MAC */
    CPH_TRY(mikey_derive(key, MIKEY_FOR_MSG_AUTH, OF_MESSAGE, b, MIKEY_MAC, &auth));
    CPH_TRY(cph_hmac_new(CPH_DIGEST_SHA1, cph_secret_span(&auth), &h));
    for (unsigned i = 0; i < n_parts && err == CPH_OK; i++)
        err = cph_hmac_add(h, parts[i]);
    if (err == CPH_OK)
        err = cph_hmac_finish(h, out);
    cph_hmac_free(h);
    return err;
}

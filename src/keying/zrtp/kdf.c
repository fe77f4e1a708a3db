/* Key schedule of RFC 6189 4.3 to 4.6: from secrets to keys, and what is sealed with them. */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

static struct cph_span span(const void *p, size_t n)
{
    return (struct cph_span){ p, n };
}

/* ---- hashes and MACs ------------------------------------------------------------------------- */

cph_err zrtp_hash256(struct cph_span in, uint8_t out[ZRTP_HASH])
{
    return cph_digest(CPH_DIGEST_SHA256, in, out);
}

cph_err zrtp_hash_all(const struct zrtp_alg *hash, const struct cph_span *part, size_t n,
                      uint8_t out[CPH_DIGEST_MAX])
{
    struct cph_digest_ctx *d;
    cph_err err;

    CPH_TRY(cph_digest_new(hash->digest, &d));
    err = CPH_OK;
    for (size_t i = 0; i < n && err == CPH_OK; i++)
        err = cph_digest_add(d, part[i]);
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

cph_err zrtp_mac(const struct zrtp_alg *hash, struct cph_span key, struct cph_span in,
                 uint8_t out[ZRTP_MAC])
{
    uint8_t whole[CPH_DIGEST_MAX];

    CPH_TRY(cph_hmac(hash ? hash->digest : CPH_DIGEST_SHA256, key, in, whole));
    memcpy(out, whole, ZRTP_MAC);
    return CPH_OK;
}

cph_err zrtp_mac_seal(uint8_t *msg, size_t n, struct cph_span key)
{
    if (n < ZRTP_MAC)
        return CPH_E_BUG;
    return zrtp_mac(NULL, key, span(msg, n - ZRTP_MAC), msg + n - ZRTP_MAC);
}

cph_err zrtp_mac_check(struct cph_span msg, struct cph_span key)
{
    uint8_t want[ZRTP_MAC];

    if (msg.n < ZRTP_MAC)
        return CPH_E_AUTH;
    CPH_TRY(zrtp_mac(NULL, key, cph_span_head(msg, msg.n - ZRTP_MAC), want));
    return cph_ct_eq(span(want, sizeof want), cph_span_from(msg, msg.n - ZRTP_MAC)) ? CPH_OK
                                                                                    : CPH_E_AUTH;
}

cph_err zrtp_check_image(const uint8_t value[ZRTP_HASH], const uint8_t image[ZRTP_HASH])
{
    uint8_t hash[ZRTP_HASH];

    CPH_TRY(zrtp_hash256(span(value, ZRTP_HASH), hash));
    return cph_ct_eq(span(hash, sizeof hash), span(image, ZRTP_HASH)) ? CPH_OK : CPH_E_AUTH;
}

/* ---- derivation ------------------------------------------------------------------------------ */

/* 4.5.1: HMAC(KI, 00000001 || label || 00 || context || bits), the leftmost bits of it. h has KI.
 */
static cph_err kdf_by(struct cph_hmac_ctx *h, const struct zrtp_alg *hash, const char *label,
                      struct cph_span context, unsigned bits, struct cph_secret *out)
{
    uint8_t in[256];
    struct cph_wr wr = cph_wr_open(in, sizeof in);
    CPH_SECRET_SCOPED whole = { 0 };

    cph_wr_u32(&wr, 1);
    cph_wr_text(&wr, label);
    cph_wr_u8(&wr, 0);
    cph_wr_span(&wr, context);
    cph_wr_u32(&wr, bits);
    CPH_TRY(cph_wr_end(&wr));
    if (bits > 8 * hash->hash_n)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_hmac_add(h, cph_wr_done(&wr)));
    CPH_TRY(cph_hmac_finish(h, whole.b));
    return cph_secret_set(out, span(whole.b, bits / 8));
}

cph_err zrtp_kdf(const struct zrtp_alg *hash, struct cph_span ki, const char *label,
                 struct cph_span context, unsigned bits, struct cph_secret *out)
{
    struct cph_hmac_ctx *h;
    cph_err err;

    CPH_TRY(cph_hmac_new(hash->digest, ki, &h));
    err = kdf_by(h, hash, label, context, bits, out);
    cph_hmac_free(h);
    return err;
}

static void put_secret(struct cph_wr *wr, const struct cph_secret *s)
{
    size_t n = s ? s->n : 0;

    cph_wr_u32(wr, (uint32_t)n);
    if (n > 0)
        cph_wr_bytes(wr, s->b, n);
}

struct secrets_text {
    uint8_t b[3 * (4 + CPH_SECRET_MAX)];
};

static void secrets_wipe(struct secrets_text *t)
{
    cph_wipe(t, sizeof *t);
}

#define SECRETS_SCOPED __attribute__((cleanup(secrets_wipe))) struct secrets_text

cph_err zrtp_s0_dh(const struct zrtp_alg *hash, const struct cph_secret *dh,
                   const struct zrtp_context *context, const struct cph_secret *const s[3],
                   struct cph_secret *s0)
{
    static const uint8_t counter[4] = { 0, 0, 0, 1 };
    SECRETS_SCOPED text;
    struct cph_wr wr = cph_wr_open(text.b, sizeof text.b);
    CPH_SECRET_SCOPED out = { .n = hash->hash_n };
    struct cph_span part[5];

    for (int i = 0; i < 3; i++)
        put_secret(&wr, s[i]);
    CPH_TRY(cph_wr_end(&wr));
    part[0] = span(counter, sizeof counter);
    part[1] = cph_secret_span(dh);
    part[2] = CPH_SPAN_LIT("ZRTP-HMAC-KDF");
    part[3] = span(context->b, context->n); /* ZIDi, ZIDr, total_hash stand in it in this order */
    part[4] = cph_wr_done(&wr);
    CPH_TRY(zrtp_hash_all(hash, part, 5, out.b));
    *s0 = out;
    return CPH_OK;
}

cph_err zrtp_preshared_key(const struct zrtp_alg *hash, const struct cph_secret *rs1,
                           const struct cph_secret *aux, const struct cph_secret *pbx,
                           struct cph_secret *out)
{
    SECRETS_SCOPED text;
    struct cph_wr wr = cph_wr_open(text.b, sizeof text.b);
    CPH_SECRET_SCOPED key = { .n = hash->hash_n };
    struct cph_span all;

    put_secret(&wr, rs1);
    put_secret(&wr, aux);
    put_secret(&wr, pbx);
    CPH_TRY(cph_wr_end(&wr));
    all = cph_wr_done(&wr);
    CPH_TRY(zrtp_hash_all(hash, &all, 1, key.b));
    *out = key;
    return CPH_OK;
}

/* 4.5.2 */
static cph_err derive_first(struct cph_hmac_ctx *h, const struct zrtp_alg *hash,
                            struct cph_span ctx, struct zrtp_keys *k)
{
    unsigned bits = 8 * hash->hash_n;
    CPH_SECRET_SCOPED sas = { 0 };

    CPH_TRY(kdf_by(h, hash, "ZRTP Session Key", ctx, bits, &k->session));
    CPH_TRY(kdf_by(h, hash, "SAS", ctx, 256, &sas));
    memcpy(k->sashash, sas.b, sizeof k->sashash);
    CPH_TRY(kdf_by(h, hash, "Exported key", ctx, bits, &k->exported));
    return kdf_by(h, hash, "retained secret", ctx, 256, &k->retained); /* 4.6.1 */
}

/* 4.5.3 */
static cph_err derive_rest(struct cph_hmac_ctx *h, const struct zrtp_alg *hash, unsigned key_bits,
                           struct cph_span ctx, struct zrtp_keys *k)
{
    unsigned bits = 8 * hash->hash_n;

    CPH_TRY(kdf_by(h, hash, "Initiator SRTP master key", ctx, key_bits, &k->srtp[0]));
    CPH_TRY(kdf_by(h, hash, "Initiator SRTP master salt", ctx, 112, &k->salt[0]));
    CPH_TRY(kdf_by(h, hash, "Responder SRTP master key", ctx, key_bits, &k->srtp[1]));
    CPH_TRY(kdf_by(h, hash, "Responder SRTP master salt", ctx, 112, &k->salt[1]));
    CPH_TRY(kdf_by(h, hash, "Initiator HMAC key", ctx, bits, &k->mac[0]));
    CPH_TRY(kdf_by(h, hash, "Responder HMAC key", ctx, bits, &k->mac[1]));
    CPH_TRY(kdf_by(h, hash, "Initiator ZRTP key", ctx, key_bits, &k->zrtp[0]));
    return kdf_by(h, hash, "Responder ZRTP key", ctx, key_bits, &k->zrtp[1]);
}

cph_err zrtp_derive(const struct zrtp_alg *hash, const struct zrtp_alg *cipher,
                    const struct cph_secret *s0, const struct zrtp_context *context, bool whole,
                    struct zrtp_keys *out)
{
    struct cph_span ctx = span(context->b, context->n);
    struct cph_hmac_ctx *h;
    cph_err err;

    CPH_TRY(cph_hmac_new(hash->digest, cph_secret_span(s0), &h));
    err = derive_rest(h, hash, 8 * cipher->key_n, ctx, out);
    if (err == CPH_OK && whole)
        err = derive_first(h, hash, ctx, out);
    cph_hmac_free(h);
    return err;
}

/* ---- Confirm and SASrelay -------------------------------------------------------------------- */

cph_err zrtp_seal(const struct zrtp_alg *hash, const struct zrtp_keys *keys, enum zrtp_role by,
                  enum zrtp_type type, const uint8_t iv[ZRTP_IV], struct cph_span inner,
                  struct cph_wr *out)
{
    uint8_t cipher[ZRTP_MESSAGE];
    struct zrtp_msg msg = { .type = type };

    if (inner.n > sizeof cipher)
        return CPH_E_LIMIT;
    CPH_TRY(cph_aes_cfb(true, cph_secret_span(&keys->zrtp[by]), iv, inner.p, cipher, inner.n));
    msg.u.sealed.cipher = span(cipher, inner.n);
    memcpy(msg.u.sealed.iv, iv, ZRTP_IV);
    /* 4.6: over the encrypted part alone */
    CPH_TRY(zrtp_mac(hash, cph_secret_span(&keys->mac[by]), msg.u.sealed.cipher, msg.u.sealed.mac));
    zrtp_msg_build(out, &msg);
    return cph_wr_end(out);
}

cph_err zrtp_open(const struct zrtp_alg *hash, const struct zrtp_keys *keys, enum zrtp_role by,
                  const struct zrtp_sealed *sealed, uint8_t *out)
{
    uint8_t want[ZRTP_MAC];

    CPH_TRY(zrtp_mac(hash, cph_secret_span(&keys->mac[by]), sealed->cipher, want));
    if (!cph_ct_eq(span(want, sizeof want), span(sealed->mac, sizeof sealed->mac)))
        return CPH_E_AUTH;
    return cph_aes_cfb(false, cph_secret_span(&keys->zrtp[by]), sealed->iv, sealed->cipher.p, out,
                       sealed->cipher.n);
}

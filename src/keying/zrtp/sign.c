/*
 * Signatures over the SAS. By a device's certificate (RFC 6189 7.2.2):
 *
 *   certificate, DER | zeros to a word | r || s, each as long as the curve's field
 *
 * By an OpenPGP key (7.2.1): a packet of RFC 4880, which does not bring its key along. We read
 * those (SHOULD), where the user has the key, and make none: every reader of signatures reads
 * certificates (MUST).
 */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_envelope.h"
#include "ciphony/crypto_key.h"
#include "ciphony/crypto_pgp.h"

static const char x509[4] = { 'X', '5', '0', '9' }, pgp[4] = { 'P', 'G', 'P', ' ' };

static bool fit(const struct cph_key *key)
{
    /* RFC 6189 7.2.2: ECDSA over P-256 or P-384; by them SHA-256 and SHA-384, never SHA-1 (7.2
     * MUST) */
    return key && (cph_key_kind(key) == CPH_KEY_EC_P256 || cph_key_kind(key) == CPH_KEY_EC_P384);
}

static size_t to_word(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static cph_err sign(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4], uint8_t *out,
                    size_t cap, size_t *n)
{
    const struct cph_zrtp_signing *x = ctx;
    struct cph_span der = cph_cert_der(x->cert);
    size_t at = to_word(der.n), sig = cph_key_sig_size(x->key, CPH_SIG_ECDSA_RAW);

    if (!fit(x->key) || sig == 0)
        return CPH_E_UNSUPPORTED;
    if (at + sig > cap) /* 7.2: better none than one that UDP has to cut */
        return CPH_E_NOSPACE;
    memset(out, 0, at);
    memcpy(out, der.p, der.n);
    CPH_TRY(cph_key_sign(x->env, x->key, CPH_SIG_ECDSA_RAW,
                         (struct cph_span){ sashash, CPH_ZRTP_SASHASH }, out + at, sig, &sig));
    memcpy(type, x509, sizeof x509);
    *n = at + sig;
    return CPH_OK;
}

/* How long the certificate is that these bytes begin with: X.690 8.1.3. */
static size_t der_length(struct cph_span s)
{
    struct cph_rd rd = cph_rd_open(s);
    uint8_t tag = cph_rd_u8(&rd), first = cph_rd_u8(&rd);
    size_t n = first;

    if (first == 0x81)
        n = cph_rd_u8(&rd);
    else if (first == 0x82)
        n = cph_rd_u16(&rd);
    else if (first > 0x7f)
        return 0;
    return rd.failed || tag != 0x30 || n > rd.n ? 0 : s.n - rd.n + n;
}

static cph_err check(const struct cph_zrtp_signing *x, const struct cph_cert *cert,
                     struct cph_span sashash, struct cph_span sig, struct cph_zrtp_signed *by)
{
    struct cph_fingerprint fp;
    char why[CPH_CERT_WHY];
    struct cph_key *key;
    cph_err err;

    CPH_TRY(cph_cert_key(x->env, cert, &key));
    err = fit(key) && sig.n == cph_key_sig_size(key, CPH_SIG_ECDSA_RAW)
              ? cph_key_verify(x->env, key, CPH_SIG_ECDSA_RAW, sashash, sig)
              : CPH_E_UNSUPPORTED;
    cph_key_free(key);
    CPH_TRY(err);
    CPH_TRY(cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp));
    memcpy(by->fingerprint, fp.b, sizeof by->fingerprint);
    cph_cert_validity(cert, &by->not_before, &by->not_after);
    by->trusted = x->trust && cph_cert_verify(x->env, cert, x->trust, CPH_PURPOSE_ANY,
                                              cph_wall(x->env), why) == CPH_OK;
    return CPH_OK;
}

static cph_err verify_x509(const struct cph_zrtp_signing *x, struct cph_span sashash,
                           struct cph_span signature, struct cph_zrtp_signed *by)
{
    size_t n = der_length(signature);
    struct cph_cert *cert;
    cph_err err;

    if (n == 0)
        return CPH_E_MALFORMED;
    CPH_TRY(cph_cert_parse(x->env, cph_span_head(signature, n), &cert));
    err = check(x, cert, sashash, cph_span_from(signature, to_word(n)), by);
    cph_cert_free(cert);
    return err;
}

/* RFC 6189 7.2.1: where to get the key and whether to believe it is the reader's affair. Nothing is
 * fetched from where the signature says: the user has it, or nobody signed. */
static cph_err verify_pgp(const struct cph_zrtp_signing *x, struct cph_span sashash,
                          struct cph_span signature, struct cph_zrtp_signed *by)
{
    struct cph_pgp_by key;

    if (!x->pgp)
        return CPH_E_NOKEY;
    CPH_TRY(cph_pgp_verify(x->env, x->pgp, sashash, signature, &key));
    memcpy(by->fingerprint, key.fingerprint, sizeof by->fingerprint);
    by->not_before = key.not_before;
    by->not_after = key.not_after;
    return CPH_OK;
}

static cph_err verify(void *ctx, const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                      struct cph_span signature, struct cph_zrtp_signed *by)
{
    struct cph_span hash = { sashash, CPH_ZRTP_SASHASH };

    if (memcmp(type, x509, sizeof x509) == 0) /* public, as below */
        return verify_x509(ctx, hash, signature, by);
    if (memcmp(type, pgp, sizeof pgp) == 0) /* public */
        return verify_pgp(ctx, hash, signature, by);
    return CPH_E_UNSUPPORTED;
}

void cph_zrtp_signer_init(struct cph_zrtp_signing *x, struct cph_zrtp_signer *out)
{
    *out = (struct cph_zrtp_signer){ x, x->cert && fit(x->key) ? sign : NULL, verify };
}

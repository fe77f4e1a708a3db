#include "ciphony/crypto_key.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "key_int.h"

/* In order of enum cph_fp_hash. */
static const struct {
    const char *name; /* RFC 8122 5, the IANA hash names */
    const char *md;   /* the library's name */
    uint8_t n;
} hashes[] = {
    [CPH_FP_NONE] = { "none", NULL, 0 },           [CPH_FP_SHA1] = { "sha-1", "SHA1", 20 },
    [CPH_FP_SHA256] = { "sha-256", "SHA256", 32 }, [CPH_FP_SHA384] = { "sha-384", "SHA384", 48 },
    [CPH_FP_SHA512] = { "sha-512", "SHA512", 64 },
};

static const size_t HASHES = sizeof hashes / sizeof *hashes;

const char *cph_fp_hash_name(enum cph_fp_hash hash)
{
    return hash < HASHES ? hashes[hash].name : hashes[0].name;
}

bool cph_fp_hash_suffices(enum cph_fp_hash hash)
{
    return hash >= CPH_FP_SHA256 && hash < HASHES;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') /* RFC 8122 5 has upper case only; old peers send lower case */
        return c - 'a' + 10;
    return -1;
}

cph_err cph_fingerprint_parse(struct cph_span text, struct cph_fingerprint *out)
{
    struct cph_fingerprint fp = { .hash = CPH_FP_NONE };
    struct cph_span name = cph_span_word(&text);
    struct cph_span hex = cph_span_trim(text);

    if (name.n == 0 || hex.n == 0)
        return CPH_E_MALFORMED;
    for (size_t h = CPH_FP_SHA1; h < HASHES; h++) {
        if (cph_span_iis(name, hashes[h].name))
            fp.hash = (enum cph_fp_hash)h;
    }
    if (fp.hash == CPH_FP_NONE)
        return CPH_E_UNSUPPORTED;

    fp.n = hashes[fp.hash].n;
    if (hex.n != 3 * (size_t)fp.n - 1)
        return CPH_E_MALFORMED;
    for (size_t i = 0; i < fp.n; i++) {
        int hi = hex_digit(hex.p[3 * i]), lo = hex_digit(hex.p[3 * i + 1]);

        if (hi < 0 || lo < 0 || (3 * i + 2 < hex.n && hex.p[3 * i + 2] != ':'))
            return CPH_E_MALFORMED;
        fp.b[i] = (uint8_t)(hi << 4 | lo);
    }
    *out = fp;
    return CPH_OK;
}

const char *cph_fingerprint_text(const struct cph_fingerprint *fp, char out[CPH_FP_TEXT])
{
    static const char digit[] = "0123456789ABCDEF";
    char *p = stpcpy(out, cph_fp_hash_name(fp->hash));

    *p++ = ' ';
    for (size_t i = 0; i < fp->n && i < CPH_FP_MAX; i++) {
        if (i > 0)
            *p++ = ':';
        *p++ = digit[fp->b[i] >> 4];
        *p++ = digit[fp->b[i] & 15];
    }
    *p = '\0';
    return out;
}

bool cph_fingerprint_eq(const struct cph_fingerprint *a, const struct cph_fingerprint *b)
{
    return a->hash == b->hash && a->n == b->n && a->n <= CPH_FP_MAX &&
           cph_ct_eq((struct cph_span){ a->b, a->n }, (struct cph_span){ b->b, b->n });
}

cph_err cph_cert_fingerprint(const struct cph_cert *cert, enum cph_fp_hash hash,
                             struct cph_fingerprint *out)
{
    struct cph_fingerprint fp = { .hash = hash };
    size_t n = sizeof fp.b;

    if (hash == CPH_FP_NONE || hash >= HASHES)
        return CPH_E_ARGUMENT;
    if (EVP_Q_digest(NULL, hashes[hash].md, NULL, cert->der.p, cert->der.n, fp.b, &n) != 1) {
        cph_crypto_drain(NULL);
        return CPH_E_CRYPTO;
    }
    fp.n = (uint8_t)n;
    *out = fp;
    return CPH_OK;
}

enum cph_fp_hash cph_cert_signature_hash(const struct cph_cert *cert)
{
    int md = NID_undef;

    (void)X509_get_signature_info(cert->leaf, &md, NULL, NULL, NULL);
    cph_crypto_drain(NULL);
    switch (md) {
    case NID_sha1:
        return CPH_FP_SHA1;
    case NID_sha256:
        return CPH_FP_SHA256;
    case NID_sha384:
        return CPH_FP_SHA384;
    case NID_sha512:
        return CPH_FP_SHA512;
    default:
        return CPH_FP_NONE;
    }
}

cph_err cph_cert_match(const struct cph_cert *cert, const struct cph_fingerprint *fps, size_t n,
                       enum cph_fp_hash *hash)
{
    enum cph_fp_hash best = CPH_FP_NONE;
    struct cph_fingerprint own;

    if (n == 0)
        return CPH_E_NOTFOUND;
    for (size_t i = 0; i < n; i++) {
        if (fps[i].hash > best)
            best = fps[i].hash;
    }
    if (!cph_fp_hash_suffices(best))
        return CPH_E_POLICY;
    CPH_TRY(cph_cert_fingerprint(cert, best, &own));
    /* RFC 8122 5.1 MUST: out of the most preferred hash's set, one fingerprint matches the
     * certificate */
    for (size_t i = 0; i < n; i++) {
        if (fps[i].hash == best && cph_fingerprint_eq(&fps[i], &own)) {
            if (hash)
                *hash = best;
            return CPH_OK;
        }
    }
    return CPH_E_CERT;
}

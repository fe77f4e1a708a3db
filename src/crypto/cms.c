#include "ciphony/crypto_cms.h"

#include <openssl/cms.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_wire.h"
#include "crypto_int.h"
#include "key_int.h"

/*
 * OpenSSL's CMS does the work; here is what must hold around it: one signer, no weak digest, a
 * whole tag, bounded sizes, no clock of its own, and one answer to everything that is wrong.
 */

/* ---- small things ---------------------------------------------------------------------------- */

static cph_err give(BIO *from, uint8_t *out, size_t cap, size_t *n)
{
    char *p;
    long got = BIO_get_mem_data(from, &p);

    if (got < 0)
        return CPH_E_CRYPTO;
    if ((size_t)got > cap)
        return CPH_E_NOSPACE;
    if (got > 0)
        memcpy(out, p, (size_t)got);
    *n = (size_t)got;
    return CPH_OK;
}

/* What was in clear in a memory BIO is wiped with it. */
static void bio_wipe(BIO *bio)
{
    char *p;
    long n = bio ? BIO_get_mem_data(bio, &p) : 0;

    if (n > 0)
        cph_wipe(p, (size_t)n);
    BIO_free(bio);
}

static cph_err write_der(CMS_ContentInfo *cms, uint8_t *out, size_t cap, size_t *n)
{
    int need = i2d_CMS_ContentInfo(cms, NULL);
    uint8_t *p = out;

    if (need <= 0)
        return CPH_E_CRYPTO;
    if ((size_t)need > cap)
        return CPH_E_NOSPACE;
    if (i2d_CMS_ContentInfo(cms, &p) != need)
        return CPH_E_CRYPTO;
    *n = (size_t)need;
    return CPH_OK;
}

/* One ContentInfo and nothing behind it. */
static CMS_ContentInfo *read_der(struct cph_span in)
{
    const uint8_t *p = in.p;
    CMS_ContentInfo *cms;

    if (in.n == 0 || in.n > CPH_CMS_MAX)
        return NULL;
    cms = d2i_CMS_ContentInfo(NULL, &p, (long)in.n);
    if (cms && p != in.p + in.n) {
        CMS_ContentInfo_free(cms);
        cms = NULL;
    }
    return cms;
}

/* What was signed stands in the message in clear, and is wiped with it. */
static void cms_wipe(CMS_ContentInfo *cms)
{
    ASN1_OCTET_STRING **content = cms ? CMS_get0_content(cms) : NULL;

    if (content && *content && ASN1_STRING_length(*content) > 0)
        cph_wipe((*content)->data, (size_t)ASN1_STRING_length(*content));
    CMS_ContentInfo_free(cms);
}

/* CMS_final(), but for a buffer on its way that is freed with the clear text in it. */
static bool fill(CMS_ContentInfo *cms, struct cph_span in)
{
    BIO *chain = CMS_dataInit(cms, NULL);
    bool ok = chain && (in.n == 0 || BIO_write(chain, in.p, (int)in.n) == (int)in.n) &&
              BIO_flush(chain) == 1 && CMS_dataFinal(cms, chain) == 1;

    BIO_free_all(chain);
    return ok;
}

/* What was made is written out, and goes. cms NULL: it was not made. */
static cph_err finish(const struct cph_env *env, CMS_ContentInfo *cms, uint8_t *out, size_t cap,
                      size_t *n)
{
    cph_err err = cms ? write_der(cms, out, cap, n) : CPH_E_CRYPTO;

    cms_wipe(cms);
    cph_crypto_drain(env);
    return err;
}

/* ---- signing --------------------------------------------------------------------------------- */

static const EVP_MD *digest_of(const struct cph_key *key)
{
    return key->kind == CPH_KEY_EC_P384 ? EVP_sha384() : EVP_sha256();
}

static bool add_time(CMS_SignerInfo *si, int64_t wall)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL,
                                 (time_t)wall); /* UTCTime through 2049, as RFC 5652 11.3 has it */
    bool ok = t && CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, t->type, t, -1) == 1;

    ASN1_TIME_free(t);
    return ok;
}

static CMS_ContentInfo *signed_data(const struct cph_key *key, const struct cph_cert *cert,
                                    int64_t wall, struct cph_span in)
{
    const unsigned flags = CMS_PARTIAL | CMS_BINARY;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    CMS_SignerInfo *si = cms ? CMS_add1_signer(cms, cert->leaf, key->pkey, digest_of(key), flags)
                             : NULL;
    bool ok = si && add_time(si, wall);

    for (size_t i = 0; ok && i < cert->n_chain; i++)
        ok = CMS_add1_cert(cms, cert->chain[i]) == 1;
    ok = ok && fill(cms, in);
    if (!ok) {
        cms_wipe(cms);
        cms = NULL;
    }
    return cms;
}

cph_err cph_cms_sign(const struct cph_env *env, const struct cph_key *key,
                     const struct cph_cert *cert, int64_t wall, struct cph_span in, uint8_t *out,
                     size_t cap, size_t *n)
{
    if (!key->is_private || !cph_cert_has_key(cert, key) || key->kind == CPH_KEY_ED25519)
        return CPH_E_ARGUMENT; /* OpenSSL 3.0 has no Ed25519 in CMS (RFC 8419) */
    if (in.n > CPH_CMS_MAX)
        return CPH_E_LIMIT;
    return finish(env, signed_data(key, cert, wall, in), out, cap, n);
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* RFC 8551 2.1, 2.2: SHA-256 or better; what is older may be forged. */
static bool digest_suffices(CMS_SignerInfo *si)
{
    X509_ALGOR *digest = NULL;
    const ASN1_OBJECT *oid = NULL;
    int nid;

    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, NULL);
    if (!digest)
        return false;
    X509_ALGOR_get0(&oid, NULL, NULL, digest);
    nid = OBJ_obj2nid(oid);
    return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

/* The one signature, over signed attributes (RFC 5652 11: a content of its own type would do
 * without them, and could then be taken for attributes). */
static CMS_SignerInfo *one_signer(CMS_ContentInfo *cms)
{
    STACK_OF(CMS_SignerInfo) *all = CMS_get0_SignerInfos(cms);
    CMS_SignerInfo *si;

    if (!all || sk_CMS_SignerInfo_num(all) != 1)
        return NULL;
    si = sk_CMS_SignerInfo_value(all, 0);
    return digest_suffices(si) && CMS_signed_get_attr_count(si) > 0 ? si : NULL;
}

static int64_t seconds_of(const ASN1_TIME *t, bool *ok)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;

    *ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

static void read_time(CMS_SignerInfo *si, struct cph_cms_signer *out)
{
    int at = CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1);
    X509_ATTRIBUTE *attr = at >= 0 ? CMS_signed_get_attr(si, at) : NULL;
    const ASN1_TYPE *value = attr ? X509_ATTRIBUTE_get0_type(attr, 0) : NULL;

    if (value && X509_ATTRIBUTE_count(attr) == 1 &&
        (value->type == V_ASN1_UTCTIME || value->type == V_ASN1_GENERALIZEDTIME))
        out->time = seconds_of(value->value.asn1_string, &out->has_time);
}

/* The signer's certificate, and what else came with the message as its chain. */
static cph_err signer_cert(CMS_ContentInfo *cms, struct cph_cert **out)
{
    STACK_OF(X509) *signers = CMS_get0_signers(cms), *all = CMS_get1_certs(cms);
    X509 *leaf = signers && sk_X509_num(signers) == 1 ? sk_X509_value(signers, 0) : NULL;
    struct cph_cert *cert = NULL;
    cph_err err = CPH_E_AUTH;

    if (leaf && X509_up_ref(leaf) == 1)
        err = cph_cert_wrap(leaf, &cert);
    for (int i = 0; err == CPH_OK && i < sk_X509_num(all) && cert->n_chain < CPH_CERT_CHAIN_MAX;
         i++) {
        X509 *x = sk_X509_value(all, i);

        if (X509_cmp(x, leaf) != 0 && X509_up_ref(x) == 1)
            cert->chain[cert->n_chain++] = x;
    }
    if (err == CPH_OK)
        *out = cert;
    else if (err != CPH_E_NOMEM)
        err = CPH_E_AUTH;
    sk_X509_free(signers);
    sk_X509_pop_free(all, X509_free);
    return err;
}

static bool certs_bounded(CMS_ContentInfo *cms)
{
    STACK_OF(X509) *all = CMS_get1_certs(cms);
    bool ok = !all || sk_X509_num(all) <= CPH_CMS_CERTS_MAX;

    sk_X509_pop_free(all, X509_free);
    return ok;
}

/* The signature alone: whom to trust is the caller's. */
static cph_err check_signature(CMS_ContentInfo *cms, const struct cph_cert *known, BIO *content)
{
    STACK_OF(X509) *others = NULL;
    int ok;

    if (known) {
        others = sk_X509_new_null();
        if (!others || sk_X509_push(others, known->leaf) <= 0) {
            sk_X509_free(others);
            return CPH_E_NOMEM;
        }
    }
    ok = CMS_verify(cms, others, NULL, NULL, content, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY);
    crypto_stack_wipe();
    sk_X509_free(others);
    return ok == 1 ? CPH_OK : CPH_E_AUTH;
}

cph_err cph_cms_verify(const struct cph_env *env, struct cph_span in, const struct cph_cert *known,
                       uint8_t *out, size_t cap, size_t *n, struct cph_cms_signer *signer)
{
    struct cph_cms_signer who = { 0 };
    CMS_ContentInfo *cms = read_der(in);
    CMS_SignerInfo *si = NULL;
    BIO *content = BIO_new(BIO_s_mem());
    cph_err err = content ? CPH_E_AUTH : CPH_E_NOMEM;
    ASN1_OCTET_STRING **inside;

    if (cms && OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed && certs_bounded(cms)) {
        inside = CMS_get0_content(cms);
        si = inside && *inside ? one_signer(cms) : NULL; /* detached has nothing to give */
    }
    if (si && content)
        err = check_signature(cms, known, content);
    if (si && err == CPH_OK)
        err = signer_cert(cms, &who.cert);
    if (si && err == CPH_OK)
        err = give(content, out, cap, n);
    if (si && err == CPH_OK) {
        read_time(si, &who);
        *signer = who;
        who.cert = NULL;
    }
    cph_cert_free(who.cert);
    cms_wipe(cms);
    bio_wipe(content);
    cph_crypto_drain(env);
    return err;
}

/* ---- encrypting ------------------------------------------------------------------------------ */

static bool key_receives(const struct cph_cert *cert, uint32_t *usage)
{
    EVP_PKEY *key = X509_get0_pubkey(cert->leaf);
    int kind = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;

    *usage = kind == EVP_PKEY_EC ? KU_KEY_AGREEMENT : KU_KEY_ENCIPHERMENT;
    return kind == EVP_PKEY_EC || kind == EVP_PKEY_RSA;
}

bool cph_cms_can_receive(const struct cph_cert *cert)
{
    uint32_t usage;
    bool ok = key_receives(cert, &usage) &&
              (X509_get_key_usage(cert->leaf) & usage) != 0; /* without the extension: all bits */

    cph_crypto_drain(NULL);
    return ok;
}

static const EVP_CIPHER *cipher_of(enum cph_cms_cipher cipher)
{
    switch (cipher) {
    case CPH_CMS_AES256_GCM:
        return EVP_aes_256_gcm();
    case CPH_CMS_AES128_GCM:
        return EVP_aes_128_gcm();
    case CPH_CMS_AES256_CBC:
        return EVP_aes_256_cbc();
    case CPH_CMS_AES128_CBC:
        return EVP_aes_128_cbc();
    }
    return NULL;
}

/* OpenSSL's defaults are SHA-1 in the key derivation, and RSA as in PKCS#1 v1.5. */
static bool choose_scheme(CMS_RecipientInfo *ri)
{
    EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);

    if (!ctx)
        return false;
    if (CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_AGREE)
        return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) == 1;
    return CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_TRANS &&
           EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1;
}

static CMS_ContentInfo *enveloped(const struct cph_cert *to, enum cph_cms_cipher cipher,
                                  struct cph_span in)
{
    bool aead = cipher == CPH_CMS_AES256_GCM || cipher == CPH_CMS_AES128_GCM;
    CMS_ContentInfo *cms = aead ? CMS_AuthEnvelopedData_create(cipher_of(cipher))
                                : CMS_EnvelopedData_create(cipher_of(cipher));
    CMS_RecipientInfo *ri = cms ? CMS_add1_recipient_cert(cms, to->leaf, CMS_KEY_PARAM | CMS_BINARY)
                                : NULL;

    if (ri && choose_scheme(ri) && CMS_set_detached(cms, 0) == 1 && fill(cms, in))
        return cms;
    CMS_ContentInfo_free(cms);
    return NULL;
}

cph_err cph_cms_encrypt(const struct cph_env *env, const struct cph_cert *to,
                        enum cph_cms_cipher cipher, struct cph_span in, uint8_t *out, size_t cap,
                        size_t *n)
{
    if (!cipher_of(cipher) || in.n == 0)
        return CPH_E_ARGUMENT;
    if (in.n > CPH_CMS_MAX)
        return CPH_E_LIMIT;
    if (!cph_cms_can_receive(to))
        return CPH_E_CERT;
    return finish(env, enveloped(to, cipher, in), out, cap, n);
}

/* ---- decrypting ------------------------------------------------------------------------------ */

/* One DER value: its tag and a cursor over what is in it. Lengths are definite. */
static uint8_t der_value(struct cph_rd *rd, struct cph_rd *in)
{
    uint8_t tag = cph_rd_u8(rd);
    size_t n = cph_rd_u8(rd);

    if (n > 0x80) {
        unsigned bytes = n & 0x7f;

        for (n = 0; bytes > 0 && bytes <= 3; bytes--)
            n = n << 8 | cph_rd_u8(rd);
        rd->failed |= bytes > 0;
    } else if (n == 0x80) {
        rd->failed = true;
    }
    *in = cph_rd_open(cph_rd_span(rd, n));
    in->failed |= rd->failed;
    return rd->failed ? 0 : tag;
}

static bool der_skip(struct cph_rd *rd, uint8_t want)
{
    struct cph_rd in;

    return der_value(rd, &in) == want;
}

/*
 * RFC 5083 2.1: behind the recipients, what is encrypted and the tag. The tag's length is the
 * sender's to say, and the library takes short ones, which could be guessed: RFC 5084 3.2 has 12 to
 * 16 bytes, we take 16.
 *
 *   ContentInfo { OID, [0] { version, [0]?, SET of recipients, SEQ of encrypted, [1]?, OCTETS, [2]?
 * } }
 */
static bool whole_tag(struct cph_span der)
{
    struct cph_rd rd = cph_rd_open(der), info, content, auth, in;
    uint8_t tag;

    if (der_value(&rd, &info) != 0x30 || !der_skip(&info, 0x06) ||
        der_value(&info, &content) != 0xa0 || der_value(&content, &auth) != 0x30 ||
        !der_skip(&auth, 0x02))
        return false;
    tag = der_value(&auth, &in);
    if (tag == 0xa0)
        tag = der_value(&auth, &in);
    if (tag != 0x31 || !der_skip(&auth, 0x30))
        return false;
    tag = der_value(&auth, &in);
    if (tag == 0xa1)
        tag = der_value(&auth, &in);
    return tag == 0x04 && in.n == 16;
}

/* RSA as in PKCS#1 v1.5 would make us an oracle; and one recipient has one way only. */
static bool recipients_ok(CMS_ContentInfo *cms)
{
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);
    int n = all ? sk_CMS_RecipientInfo_num(all) : 0;

    for (int i = 0; i < n; i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(all, i);
        X509_ALGOR *alg = NULL;
        const ASN1_OBJECT *oid = NULL;
        int type = CMS_RecipientInfo_type(ri);

        if (type == CMS_RECIPINFO_AGREE)
            continue;
        if (type != CMS_RECIPINFO_TRANS ||
            CMS_RecipientInfo_ktri_get0_algs(ri, NULL, NULL, &alg) != 1)
            return false;
        X509_ALGOR_get0(&oid, NULL, NULL, alg);
        if (OBJ_obj2nid(oid) != NID_rsaesOaep)
            return false;
    }
    return n > 0 && n <= CPH_CMS_CERTS_MAX;
}

static bool form_ok(CMS_ContentInfo *cms, struct cph_span in)
{
    int type = OBJ_obj2nid(CMS_get0_type(cms));

    if (type == NID_id_smime_ct_authEnvelopedData)
        return whole_tag(in) && recipients_ok(cms);
    return type == NID_pkcs7_enveloped && recipients_ok(cms);
}

cph_err cph_cms_decrypt(const struct cph_env *env, const struct cph_key *key,
                        const struct cph_cert *cert, struct cph_span in, uint8_t *out, size_t cap,
                        size_t *n)
{
    CMS_ContentInfo *cms;
    BIO *content;
    cph_err err = CPH_E_AUTH;

    if (!key->is_private || !cph_cert_has_key(cert, key))
        return CPH_E_ARGUMENT;
    content = BIO_new(BIO_s_mem());
    if (!content)
        return CPH_E_NOMEM;
    cms = read_der(in);
    if (cms && form_ok(cms, in) &&
        CMS_decrypt(cms, key->pkey, cert->leaf, NULL, content, CMS_BINARY) == 1)
        err = give(content, out, cap, n);
    crypto_stack_wipe();
    cms_wipe(cms);
    bio_wipe(content);
    cph_crypto_drain(env);
    return err;
}

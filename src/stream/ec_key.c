/*
 * The key in a peer's certificate, if it is of the one shape that nearly all have:
 *
 *     26 octets   SubjectPublicKeyInfo, id-ecPublicKey, secp256r1       RFC 5480 2.1.1
 *      1          4: the point is not compressed                        RFC 5480 2.2
 *     64          x, y
 *
 * OpenSSL makes the curve anew for each, Montgomery's constants and all, for what is in the end the
 * same curve: a twentieth of a whole handshake. Here it is made once and copied. Whether the point
 * is on it is asked of the same library (EC_KEY_oct2key) that is asked otherwise.
 *
 * Whatever has another shape, and whatever fails here, is given to OpenSSL's decoder as if nothing
 * had been: it alone refuses.
 *
 * The key is handed on as that decoder does, by reference, to key management of the same provider.
 * That this takes an EC_KEY is not written anywhere; so it is done with OpenSSL 3.0 alone, which we
 * read, and tried there with a known key once: unless that comes out as it should, never.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: what the default provider's keys are */
#include "stream_int.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <string.h>

enum { HEAD = 26, POINT = 65, SHAPE = HEAD + POINT, FUNCTIONS = 16 };

/* The generator of the curve, FIPS 186-4 D.1.2.3, as a key. */
static const uint8_t known[SHAPE] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

/* Written once, before anyone reads them. */
static OSSL_FUNC_BIO_read_ex_fn *bio_read;
static OSSL_FUNC_BIO_ctrl_fn *bio_ctrl;
static OSSL_FUNC_decoder_decode_fn *theirs;
static OSSL_DISPATCH ours[FUNCTIONS];
static EC_KEY *curve;
static bool on;

/* ---- one key --------------------------------------------------------------------------------- */

static EC_KEY *read_key(OSSL_CORE_BIO *in)
{
    uint8_t b[SHAPE + 1]; /* one more: nothing is behind it */
    EC_KEY *key = NULL;
    size_t n = 0;

    if (bio_read(in, b, sizeof b, &n) != 1 || n != SHAPE)
        return NULL;
    if (memcmp(b, known, HEAD + 1) != 0) /* public bytes */
        return NULL;
    ERR_set_mark();
    key = EC_KEY_dup(curve);
    if (key && EC_KEY_oct2key(key, b + HEAD, POINT, NULL) != 1) {
        EC_KEY_free(key);
        key = NULL;
    }
    ERR_pop_to_mark();
    return key;
}

static int hand_on(EC_KEY *key, OSSL_CALLBACK *take, void *arg)
{
    static char name[] = "EC";
    int type = OSSL_OBJECT_PKEY, ok;
    OSSL_PARAM what[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof key),
        OSSL_PARAM_construct_end(),
    };

    ok = take(what, arg); /* whoever takes the key clears the reference */
    EC_KEY_free(key);
    return ok;
}

static int decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *take, void *arg,
                  OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    long at = on ? bio_ctrl(in, BIO_C_FILE_TELL, 0, NULL) : -1;
    EC_KEY *key = NULL;

    if (at >= 0 && selection == EVP_PKEY_PUBLIC_KEY) {
        key = read_key(in);
        if (!key && bio_ctrl(in, BIO_C_FILE_SEEK, at, NULL) < 0)
            return 0;
    }
    return key ? hand_on(key, take, arg) : theirs(ctx, in, selection, take, arg, ask, ask_arg);
}

/* ---- once ------------------------------------------------------------------------------------ */

void stream_ec_key_core(const OSSL_DISPATCH *core)
{
    for (; core->function_id != 0; core++) {
        if (core->function_id == OSSL_FUNC_BIO_READ_EX)
            bio_read = OSSL_FUNC_BIO_read_ex(core);
        if (core->function_id == OSSL_FUNC_BIO_CTRL)
            bio_ctrl = OSSL_FUNC_BIO_ctrl(core);
    }
}

const OSSL_DISPATCH *stream_ec_key_before(const OSSL_DISPATCH *decoder)
{
    OSSL_FUNC_decoder_decode_fn *found = NULL;
    size_t n = 0;

    for (; decoder[n].function_id != 0; n++) {
        if (n == FUNCTIONS - 1)
            return decoder;
        if (decoder[n].function_id == OSSL_FUNC_DECODER_DECODE)
            found = OSSL_FUNC_decoder_decode(&decoder[n]);
    }
    if (!found)
        return decoder;
    theirs = found;
    for (size_t i = 0; i < n; i++) {
        ours[i] = decoder[i];
        if (ours[i].function_id == OSSL_FUNC_DECODER_DECODE)
            ours[i].function = (void (*)(void))decode;
    }
    ours[n] = (OSSL_DISPATCH){ 0, NULL };
    return ours;
}

/* What comes out by way of us is what comes out where we are not. */
static bool is_right(OSSL_LIB_CTX *ctx)
{
    const unsigned char *p = known, *q = known;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, sizeof known, ctx, NULL);
    EVP_PKEY *usual = d2i_PUBKEY(NULL, &q, sizeof known);
    bool same = key && usual && EVP_PKEY_eq(key, usual) == 1;

    EVP_PKEY_free(key);
    EVP_PKEY_free(usual);
    return same;
}

void stream_ec_key_prove(OSSL_LIB_CTX *ctx)
{
    const unsigned char *p = known;

    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0 || !bio_read || !bio_ctrl ||
        !theirs)
        return;
    curve = d2i_EC_PUBKEY(NULL, &p, sizeof known);
    on = curve != NULL;
    on = on && is_right(ctx);
}

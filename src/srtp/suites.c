#include "kat.h"

/*
 * The rows. RFC 4568 6.2, RFC 5764 4.1.2, RFC 6188 and RFC 7714 14 give names and numbers.
 * The short tag is for SRTP alone: SRTCP keeps 80 bits (RFC 4568 6.2.2, RFC 5764 4.1.2, RFC 6188
 * 4). NULL ciphers (RFC 5764 4.1.2) take the 16-byte key and 14-byte salt that their authentication
 * key is derived from; SDES says the same with UNENCRYPTED_SRTP.
 */
#define CM(id, text, sdes, dtls, key, tag, enc)                                                    \
    static const struct cph_srtp_suite id = {                                                      \
        .name = (text),                                                                            \
        .sdes_name = (sdes),                                                                       \
        .dtls_id = (dtls),                                                                         \
        .key_n = (key),                                                                            \
        .salt_n = 14,                                                                              \
        .tag_n = (tag),                                                                            \
        .rtcp_tag_n = 10,                                                                          \
        .encrypts = (enc),                                                                         \
        .transform = &srtp_transform_cm,                                                           \
        .kat = &kat_##id,                                                                          \
    }
#define GCM(id, text, dtls, key)                                                                   \
    static const struct cph_srtp_suite id = {                                                      \
        .name = (text),                                                                            \
        .sdes_name = (text),                                                                       \
        .dtls_id = (dtls),                                                                         \
        .key_n = (key),                                                                            \
        .salt_n = 12,                                                                              \
        .tag_n = 16,                                                                               \
        .rtcp_tag_n = 16,                                                                          \
        .encrypts = true,                                                                          \
        .transform = &srtp_transform_gcm,                                                          \
        .kat = &kat_##id,                                                                          \
    }

GCM(gcm256, "AEAD_AES_256_GCM", 0x0008, 32);
GCM(gcm128, "AEAD_AES_128_GCM", 0x0007, 16);
CM(aes256_80, "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80", 0, 32, 10, true);
CM(aes192_80, "AES_192_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_80", 0, 24, 10, true);
CM(aes128_80, "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80", 0x0001, 16, 10, true);
CM(aes256_32, "AES_256_CM_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_32", 0, 32, 4, true);
CM(aes192_32, "AES_192_CM_HMAC_SHA1_32", "AES_192_CM_HMAC_SHA1_32", 0, 24, 4, true);
CM(aes128_32, "AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32", 0x0002, 16, 4, true);
CM(null_80, "NULL_HMAC_SHA1_80", NULL, 0x0005, 16, 10, false);
CM(null_32, "NULL_HMAC_SHA1_32", NULL, 0x0006, 16, 4, false);

const struct cph_srtp_suite *const cph_srtp_suites[] = {
    &gcm256,    &gcm128,    &aes256_80, &aes192_80, &aes128_80, &aes256_32,
    &aes192_32, &aes128_32, &null_80,   &null_32,   NULL,
};

/* RFC 8723 10.1. In a table of their own, so that nobody offers them unasked. */
#define DOUBLE(id, text, dtls, of)                                                                 \
    static const struct cph_srtp_suite id = {                                                      \
        .name = (text),                                                                            \
        .dtls_id = (dtls),                                                                         \
        .key_n = 2 * (of),                                                                         \
        .salt_n = 24,                                                                              \
        .tag_n = 33,                                                                               \
        .rtcp_tag_n = 16,                                                                          \
        .encrypts = true,                                                                          \
        .half = (of) == 16 ? &gcm128 : &gcm256,                                                    \
        .transform = &srtp_transform_gcm,                                                          \
        .kat = &kat_##id,                                                                          \
    }

DOUBLE(double256, "DOUBLE_AEAD_AES_256_GCM_AEAD_AES_256_GCM", 0x000a, 32);
DOUBLE(double128, "DOUBLE_AEAD_AES_128_GCM_AEAD_AES_128_GCM", 0x0009, 16);

const struct cph_srtp_suite *const cph_srtp_double_suites[] = { &double256, &double128, NULL };

const struct cph_srtp_suite *srtp_suite_at(unsigned i)
{
    const unsigned n = sizeof cph_srtp_suites / sizeof *cph_srtp_suites - 1;

    return i < n ? cph_srtp_suites[i] : i < n + 2 ? cph_srtp_double_suites[i - n] : NULL;
}

const struct cph_srtp_suite *cph_srtp_suite_by_sdes(struct cph_span name)
{
    for (size_t i = 0; cph_srtp_suites[i]; i++) {
        if (cph_srtp_suites[i]->sdes_name && cph_span_is(name, cph_srtp_suites[i]->sdes_name))
            return cph_srtp_suites[i];
    }
    return NULL;
}

const struct cph_srtp_suite *cph_srtp_suite_by_dtls(uint16_t profile)
{
    for (unsigned i = 0; srtp_suite_at(i); i++) {
        if (srtp_suite_at(i)->dtls_id == profile && profile != 0)
            return srtp_suite_at(i);
    }
    return NULL;
}

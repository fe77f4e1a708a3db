/* Known answers, one per suite. */
#ifndef CPH_SRTP_KAT_H
#define CPH_SRTP_KAT_H

#include "srtp_int.h"

extern const struct cph_srtp_kat kat_aes128_80, kat_aes128_32, kat_aes192_80, kat_aes192_32,
    kat_aes256_80, kat_aes256_32, kat_null_80, kat_null_32, kat_gcm128, kat_gcm256, kat_double128,
    kat_double256;

#endif

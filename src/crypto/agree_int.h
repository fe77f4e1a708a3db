/* Private face of key agreement: a row per group, a file per family. */
#ifndef CPH_CRYPTO_AGREE_INT_H
#define CPH_CRYPTO_AGREE_INT_H

#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include "ciphony/crypto_agree.h"

struct agree_row {
    const struct agree_family *family;
    uint16_t public_n, secret_n;
    int nid; /* OpenSSL's number of the curve; 0 for primes */
};

/* Lengths were checked by the caller; what is written is as long as the row says. */
struct agree_family {
    cph_err (*draw)(const struct agree_row *r, const struct cph_env *env, size_t exponent_n,
                    struct cph_secret *private_value);
    cph_err (*public_of)(const struct agree_row *r, const struct cph_secret *private_value,
                         uint8_t *public_value);
    cph_err (*derive)(const struct agree_row *r, const struct cph_secret *private_value,
                      const uint8_t *peer, uint8_t *secret);
};

extern const struct agree_family agree_modp, agree_ec, agree_x;

/* One side's view of MQV; public values have the row's length. */
struct agree_mqv {
    const struct cph_secret *lasting, *now;
    const uint8_t *ours_now, *peer_lasting, *peer_now;
};
cph_err agree_ec_mqv(const struct agree_row *r, const struct agree_mqv *in, uint8_t *secret);

#endif

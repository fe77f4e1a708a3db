#include "srtp_int.h"

#include "ciphony/crypto_cipher.h"

/*
 * RFC 3711 4.3.1, 4.3.3. The master salt is 14 bytes (12 with AEAD, then two zeros: RFC 7714 11):
 *
 *       0           7         8            14     16
 *   x = | ........ | label  | r (48 bits) |
 *   IV = (x XOR master salt) | 00 00
 */
cph_err srtp_prf(struct cph_aes *prf, const struct cph_secret *salt, unsigned label, uint64_t r,
                 uint8_t *out, size_t n)
{
    uint8_t iv[CPH_AES_BLOCK] = { 0 };

    memcpy(iv, salt->b, salt->n);
    iv[7] ^= (uint8_t)label;
    for (unsigned i = 0; i < 6; i++)
        iv[13 - i] ^= (uint8_t)(r >> 8 * i);
    memset(out, 0, n);
    return cph_aes_ctr(prf, iv, out, out, n);
}

/* EKT parameter sets on their way: RFC 8870 5.2, and the expired draft's crypto lines. */
#include "ciphony/keying_ekt.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- DTLS ------------------------------------------------------------------------------------ */

enum { FIELD_MAX = 256 }; /* of key and salt: opaque<1..256>, so their lengths have two bytes */

static bool cipher_known(uint8_t wire, enum cph_ekt_cipher *out)
{
    *out = (enum cph_ekt_cipher)(wire - 1);
    return wire >= 1 && wire <= CPH_EKT_CIPHERS;
}

void cph_ekt_cipher_build(enum cph_ekt_cipher cipher, struct cph_wr *wr)
{
    cph_wr_u8(wr, (uint8_t)((unsigned)cipher + 1));
}

cph_err cph_ekt_cipher_parse(struct cph_span body, enum cph_ekt_cipher *out)
{
    struct cph_rd rd = cph_rd_open(body);
    uint8_t wire = cph_rd_u8(&rd);

    CPH_TRY(cph_rd_end(&rd));
    return cipher_known(wire, out) ? CPH_OK : CPH_E_UNSUPPORTED;
}

void cph_ekt_ciphers_build(const enum cph_ekt_cipher *list, size_t n, struct cph_wr *wr)
{
    cph_wr_u8(wr, (uint8_t)n);
    for (size_t i = 0; i < n; i++)
        cph_ekt_cipher_build(list[i], wr);
}

cph_err cph_ekt_ciphers_parse(struct cph_span body, enum cph_ekt_cipher out[CPH_EKT_CIPHERS],
                              size_t *n)
{
    struct cph_rd rd = cph_rd_open(body), list = cph_rd_vec8(&rd);
    bool any = cph_rd_more(&list), seen[CPH_EKT_CIPHERS] = { false };
    enum cph_ekt_cipher c;
    size_t got = 0;

    while (cph_rd_more(&list)) {
        if (cipher_known(cph_rd_u8(&list), &c) && !seen[c]) {
            seen[c] = true;
            out[got++] = c;
        }
    }
    CPH_TRY(cph_rd_end(&list));
    CPH_TRY(cph_rd_end(&rd));
    *n = got;
    return any ? CPH_OK : CPH_E_MALFORMED;
}

/*
 *   | n, 2 | ekt_key_value | n, 2 | srtp_master_salt | ekt_spi, 2 | ekt_ttl, 3 |
 */
void cph_ekt_message_build(const struct cph_ekt_params *params, struct cph_wr *wr)
{
    cph_wr_u16(wr, (uint16_t)params->key.n);
    cph_wr_span(wr, cph_secret_span(&params->key));
    cph_wr_u16(wr, (uint16_t)params->salt.n);
    cph_wr_span(wr, cph_secret_span(&params->salt));
    cph_wr_u16(wr, params->spi);
    cph_wr_u24(wr, params->ttl_s);
}

cph_err cph_ekt_message_parse(struct cph_span body, enum cph_ekt_cipher cipher,
                              struct cph_ekt_params *out)
{
    struct cph_rd rd = cph_rd_open(body);
    struct cph_rd key_rd = cph_rd_vec16(&rd), salt_rd = cph_rd_vec16(&rd);
    struct cph_span key = cph_rd_rest(&key_rd), salt = cph_rd_rest(&salt_rd);
    CPH_EKT_PARAMS_SCOPED v = { .cipher = cipher };

    v.spi = cph_rd_u16(&rd);
    v.ttl_s = cph_rd_u24(&rd);
    CPH_TRY(cph_rd_end(&rd));
    if (key.n != cph_ekt_key_size(cipher) || salt.n == 0 || salt.n > FIELD_MAX || v.ttl_s == 0)
        return CPH_E_MALFORMED;
    CPH_TRY(cph_secret_set(&v.key, key));
    CPH_TRY(cph_secret_set(&v.salt, salt));
    *out = v;
    return CPH_OK;
}

/* ---- SDES ------------------------------------------------------------------------------------ */

static const char *const sdes_cipher[CPH_EKT_CIPHERS] = {
    [CPH_EKT_AESKW128] = "AESKW_128",
    [CPH_EKT_AESKW256] = "AESKW_256",
};

void cph_ekt_sdes_build(const struct cph_ekt_params *params, char out[CPH_EKT_SDES])
{
    char key[CPH_BASE64_LEN(32) + 1];

    cph_base64(cph_secret_span(&params->key), key);
    snprintf(out, CPH_EKT_SDES, "%s|%s|%04X", sdes_cipher[params->cipher], key, params->spi);
    cph_wipe(key, sizeof key);
}

cph_err cph_ekt_sdes_parse(struct cph_span value, struct cph_ekt_params *out)
{
    struct cph_span cipher = cph_span_cut(&value, '|'), key = cph_span_cut(&value, '|');
    CPH_EKT_PARAMS_SCOPED v = { .ttl_s = CPH_EKT_TTL_MAX };
    unsigned c = 0;
    uint8_t spi[2];
    size_t n;

    while (c < CPH_EKT_CIPHERS && !cph_span_iis(cipher, sdes_cipher[c]))
        c++;
    if (c == CPH_EKT_CIPHERS)
        return CPH_E_UNSUPPORTED;
    v.cipher = (enum cph_ekt_cipher)c;
    if (cph_unbase64(key, false, v.key.b, sizeof v.key.b, &v.key.n) != CPH_OK ||
        v.key.n != cph_ekt_key_size(v.cipher))
        return CPH_E_MALFORMED;
    if (value.n != 4 || cph_unhex(value, spi, sizeof spi, &n) != CPH_OK || n != 2)
        return CPH_E_MALFORMED;
    v.spi = (uint16_t)(spi[0] << 8 | spi[1]);
    *out = v;
    return CPH_OK;
}

/* How a SAS is read out (RFC 6189 5.1.6). */
#include "zrtp_int.h"

#include <stdio.h>
#include <string.h>

/* The leftmost 20 bits, 5 a character. */
static void base32(const uint8_t *hash, char *out)
{
    static const char digits[33] = "ybndrfg8ejkmcpqxot1uwisza345h769";
    uint32_t bits = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8;

    for (int i = 0; i < 4; i++)
        out[i] = digits[bits >> (27 - 5 * i) & 31];
    out[4] = '\0';
}

cph_err cph_zrtp_sas_text(const char *type, const uint8_t sashash[CPH_ZRTP_SASHASH],
                          char out[CPH_ZRTP_SAS])
{
    if (strcmp(type, "B32 ") == 0)
        base32(sashash, out);
    else if (strcmp(type, "B256") == 0) /* the leftmost 16 bits */
        (void)snprintf(out, CPH_ZRTP_SAS, "%s %s", zrtp_words_even[sashash[0]],
                       zrtp_words_odd[sashash[1]]);
    else
        return CPH_E_UNSUPPORTED;
    return CPH_OK;
}

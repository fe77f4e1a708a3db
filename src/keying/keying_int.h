/* Private face of the keying room. */
#ifndef CPH_KEYING_INT_H
#define CPH_KEYING_INT_H

#include "ciphony/keying.h"

/* The mechanisms, the one we like best first. A new one is a folder and a line here. */
/* clang-format off */
#define KEYING_ROWS(X) \
    X(cph_keying_dtls) \
    X(cph_keying_mikey) \
    X(cph_keying_sdes) \
    X(cph_keying_zrtp) \
    X(cph_keying_sdpdh) \
    X(cph_keying_mikeyv2) \
    X(cph_keying_mikeyv2_inband)
/* clang-format on */

#define KEYING_ROW_DECLARE(row) extern const struct cph_keying_method row;
KEYING_ROWS(KEYING_ROW_DECLARE)
#undef KEYING_ROW_DECLARE

#endif

/* Base64, hex, numbers, addresses: what decodes must encode to the same text again. */
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_span s = { data, n };
    uint8_t raw[1024];
    char text[2048], addr_text[CPH_ADDR_TEXT];
    struct cph_addr a, b;
    size_t raw_n;

    if (cph_unbase64(s, false, raw, sizeof raw, &raw_n) == CPH_OK) {
        cph_base64((struct cph_span){ raw, raw_n }, text);
        if (!cph_span_is(s, text))
            abort();
    }
    if (cph_unhex(s, raw, 512, &raw_n) == CPH_OK) {
        cph_hex((struct cph_span){ raw, raw_n }, text);
        if (!cph_span_iis(s, text))
            abort();
    }
    if (cph_addr_parse(s, &a) == CPH_OK &&
        (cph_addr_parse(cph_span_of(cph_addr_text(&a, addr_text)), &b) != CPH_OK ||
         !cph_addr_eq(&a, &b)))
        abort();
    return 0;
}

/* CRC-32C (RFC 4960 B), half a byte at a time. */
#include "zrtp_wire.h"

/* The remainder of every half byte by the reflected polynomial 0x82f63b78. */
static const uint32_t half[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t zrtp_crc32c(struct cph_span bytes)
{
    uint32_t c = 0xffffffff;

    for (size_t i = 0; i < bytes.n; i++) {
        c ^= bytes.p[i];
        c = c >> 4 ^ half[c & 15];
        c = c >> 4 ^ half[c & 15];
    }
    c = ~c;
    /* RFC 4960 B: the sum goes out with its lowest byte first */
    return c >> 24 | (c >> 8 & 0xff00) | (c << 8 & 0xff0000) | c << 24;
}

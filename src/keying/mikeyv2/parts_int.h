/* MIKEYv2 in band: a message in several datagrams. */
#ifndef CPH_MIKEYV2_PARTS_INT_H
#define CPH_MIKEYV2_PARTS_INT_H

#include "mikeyv2_int.h"

enum {
    V2_HEAD = 16,  /* bytes before those of the message; the picture is in inband.c */
    V2_PARTS = 16, /* of one message */
};

struct v2_part {
    uint8_t index, count;
    uint16_t total;
    uint64_t spi_i;
    struct cph_span bytes;
};

/* A message that comes in parts. */
struct v2_gather {
    uint64_t spi_i;
    uint16_t total, have; /* have: bits by part */
    uint8_t count;
    size_t n;   /* bytes of each part but the last */
    uint8_t *b; /* total bytes; NULL if nothing is waited for */
};

/** CPH_E_TRUNCATED; CPH_E_MALFORMED for what cannot be part of a message. */
CPH_MUST_CHECK cph_err v2_part_parse(struct cph_span packet, struct v2_part *out);
/** Add a part. CPH_OK: the message is whole, total bytes at b; CPH_E_AGAIN: parts are missing. */
CPH_MUST_CHECK cph_err v2_gather(struct v2_gather *g, const struct v2_part *p);
void v2_gather_drop(struct v2_gather *g);

#endif

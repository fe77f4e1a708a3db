/*
 * The original header block of double encryption: the first four bytes are the head a distributor
 * writes, the rest the packet. What was said to be original stays so, whatever is written, and
 * writing the original takes every word of it out again.
 */
#include <stdlib.h>
#include <string.h>

#include "ciphony/srtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const struct cph_srtp_head *a, const struct cph_srtp_head *b)
{
    return a->pt == b->pt && a->marker == b->marker && a->seq == b->seq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_srtp_head to, was, now;
    struct cph_srtp_pkt pkt;
    cph_err err;

    if (n < 4)
        return 0;
    to = (struct cph_srtp_head){ data[0], data[1] & 1, (uint16_t)(data[2] << 8 | data[3]) };
    pkt = (struct cph_srtp_pkt){ malloc(n), n - 4, n };
    if (!pkt.p)
        return 0;
    memcpy(pkt.p, data + 4, n - 4);
    err = cph_srtp_double_original(&pkt, &was);
    if (cph_srtp_double_relay(&pkt, &to) == CPH_OK) {
        if (err != CPH_OK || cph_srtp_double_original(&pkt, &now) != CPH_OK || !same(&was, &now))
            abort();
        if (cph_srtp_double_relay(&pkt, &was) != CPH_OK ||
            cph_srtp_double_original(&pkt, &now) != CPH_OK || !same(&was, &now))
            abort();
    } else if (err != CPH_OK && memcmp(pkt.p, data + 4, n - 4) != 0) {
        abort();
    }
    free(pkt.p);
    return 0;
}

/* The jitter buffer under any order of packets and any times: what comes out is what went in, in
 * order. */
#include <stdlib.h>

#include "../src/media/media_int.h"

#include "ciphony/base_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One step of the input: what(1) seq(2) ts(4) time(2) */
static void step(struct media_jitter *j, struct cph_rd *rd, cph_time *now)
{
    uint8_t what = cph_rd_u8(rd);
    uint8_t payload[2];
    struct jitter_packet p = { .seq = cph_rd_u16(rd), .ts = cph_rd_u32(rd), .rate = 8000 };
    struct jitter_out o;

    *now += cph_rd_u16(rd) * 10;
    if (what & 1) {
        payload[0] = (uint8_t)(p.seq >> 8);
        payload[1] = (uint8_t)p.seq;
        p.rate = what & 2 ? 48000 : 8000;
        p.units = what & 4 ? 0 : p.rate / 50;
        p.payload = (struct cph_span){ payload, sizeof payload };
        (void)media_jitter_put(j, &p, *now);
    } else if (what & 2) {
        media_jitter_reset(j);
    }
    for (unsigned turns = 0; what & 8; turns++) {
        enum jitter_get g = media_jitter_get(j, *now, what & 16, &o);

        if (g == JITTER_PACKET &&
            (o.packet.payload.n != 2 ||
             (o.packet.payload.p[0] << 8 | o.packet.payload.p[1]) != o.packet.seq))
            abort();
        if (g == JITTER_WAIT || g == JITTER_EMPTY || g == JITTER_GROW)
            break;
        if (turns > 2 * MEDIA_SLOTS) /* it must run dry */
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    struct media_jitter *j;
    cph_time now = CPH_SEC(5);

    if (media_jitter_new(CPH_MS(20), CPH_MS(400), &j) != CPH_OK)
        return 0;
    while (cph_rd_more(&rd))
        step(j, &rd, &now);
    if (media_jitter_count(j) > MEDIA_SLOTS)
        abort();
    media_jitter_free(j);
    return 0;
}

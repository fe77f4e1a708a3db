/* A flow fed with anything at any time keeps its promises: packets that parse, reports that check.
 */
#include <stdlib.h>

#include "../src/media/media_int.h"

#include "ciphony/base_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static cph_err seven(void *ctx, void *buf, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = (uint8_t)(7 + i);
    return CPH_OK;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1767225600;
}

static void check_out(struct cph_media_flow *f)
{
    uint8_t buf[CPH_MEDIA_PACKET_MAX];
    struct cph_media_event e;
    struct cph_rtp rtp;
    size_t n;

    while (cph_media_flow_pull(f, buf, sizeof buf, &n) == CPH_OK)
        if (cph_rtp_parse((struct cph_span){ buf, n }, &rtp) != CPH_OK)
            abort();
    while (cph_media_flow_pull_rtcp(f, buf, sizeof buf, &n) == CPH_OK)
        if (cph_rtcp_check((struct cph_span){ buf, n }) != CPH_OK)
            abort();
    while (cph_media_flow_event(f, &e))
        ;
}

/* One step of the input: what(1) time(1) length(2) packet */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cph_env env = { .random = seven, .wall = wall };
    struct cph_media_flow_config config = { .env = &env };
    struct cph_media_params p = { .codec = &media_codec_pcmu,
                                  .send = true,
                                  .recv_on = true,
                                  .event_pt = 101,
                                  .event_rate = 8000,
                                  .n_recv = 3 };
    struct cph_rd rd = cph_rd_open((struct cph_span){ data, n });
    struct cph_media_flow *f;
    cph_time now = CPH_SEC(5);

    p.recv[0] = (struct cph_media_payload){ .pt = 0, .codec = &media_codec_pcmu };
    p.recv[1] = (struct cph_media_payload){ .pt = 96, .codec = &media_codec_opus };
    p.recv[2] = (struct cph_media_payload){ .pt = 101, .event_rate = 8000 };
    if (cph_media_flow_new(&config, now, &f) != CPH_OK || cph_media_flow_set(f, &p) != CPH_OK)
        abort();
    while (cph_rd_more(&rd)) {
        uint8_t what = cph_rd_u8(&rd);

        now += CPH_MS(cph_rd_u8(&rd));
        struct cph_rd packet = cph_rd_vec16(&rd);
        if (what & 1)
            (void)cph_media_flow_feed(f, cph_rd_rest(&packet), now);
        else
            (void)cph_media_flow_feed_rtcp(f, cph_rd_rest(&packet), now);
        cph_media_flow_tick(f, now);
        check_out(f);
    }
    cph_media_flow_free(f);
    return 0;
}

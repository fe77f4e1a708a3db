/* RTCP packets that parse are built again and mean the same. */
#include <stdlib.h>

#include "ciphony/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static cph_err rebuild(const struct cph_rtcp *p, struct cph_wr *wr)
{
    static struct cph_rtcp_sdes_item items[1024];
    struct cph_rtcp_report report;
    struct cph_rtcp_bye bye;
    struct cph_rtcp_app app;
    struct cph_rtcp_feedback fb;
    size_t n;

    if (cph_rtcp_report_parse(p, &report) == CPH_OK)
        return cph_rtcp_report_build(&report, wr);
    if (cph_rtcp_bye_parse(p, &bye) == CPH_OK)
        return cph_rtcp_bye_build(&bye, wr);
    if (cph_rtcp_app_parse(p, &app) == CPH_OK)
        return cph_rtcp_app_build(&app, wr);
    if (cph_rtcp_feedback_parse(p, &fb) == CPH_OK)
        return cph_rtcp_feedback_build(&fb, wr);
    if (cph_rtcp_sdes_parse(p, items, 1024, &n) == CPH_OK && n <= 1024)
        return cph_rtcp_sdes_build(items, n, wr);
    return CPH_E_AGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t buf[300000];
    struct cph_span rest = { data, n };
    struct cph_rtcp p, again;

    bool compound = cph_rtcp_check(rest) == CPH_OK;

    while (cph_rtcp_next(&rest, &p) == CPH_OK) {
        struct cph_wr wr = cph_wr_open(buf, sizeof buf);
        struct cph_span built;

        if (rebuild(&p, &wr) != CPH_OK)
            continue;
        built = cph_wr_done(&wr);
        if (cph_rtcp_next(&built, &again) != CPH_OK || again.type != p.type || built.n != 0)
            abort();
        if (p.type != CPH_RTCP_SDES && again.count != p.count) /* a chunk may repeat its SSRC */
            abort();
    }
    if (compound && rest.n != 0)
        abort();
    return 0;
}

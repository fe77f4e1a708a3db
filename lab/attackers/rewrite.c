#include "rewrite.h"

#include <string.h>

#include "weaken.h"

#include "ciphony/base_text.h"

static void strip_line(struct cph_span line, struct cph_wr *out)
{
    static const char *const profile[] = { "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF",
                                           "RTP/SAVP" };

    if (lab_is_key_line(line))
        return;
    if (cph_span_starts(line, "m="))
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *at = memmem(line.p, line.n, profile[i], strlen(profile[i]));

            if (!at)
                continue;
            cph_wr_bytes(out, line.p, (size_t)(at - line.p));
            cph_wr_text(out, i % 2 ? "RTP/AVP" : "RTP/AVPF");
            line = cph_span_from(line, (size_t)(at - line.p) + strlen(profile[i]));
            break;
        }
    cph_wr_span(out, line);
    cph_wr_text(out, "\r\n");
}

static void substitute_line(struct cph_span line, struct cph_wr *out)
{
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    if (cph_span_starts(line, "a=fingerprint:") &&
        cph_cert_fingerprint(lab_cert(LAB_MALLORY), CPH_FP_SHA256, &fp) == CPH_OK) {
        cph_wr_fmt(out, "a=fingerprint:%s\r\n", cph_fingerprint_text(&fp, text));
        return;
    }
    cph_wr_span(out, line);
    cph_wr_text(out, "\r\n");
}

/* Who would wait begins, and who would begin waits. */
static void turn_role(struct cph_span line, struct cph_wr *out)
{
    if (cph_span_is(line, "a=setup:active") || cph_span_is(line, "a=setup:actpass"))
        cph_wr_text(out, "a=setup:passive");
    else if (cph_span_is(line, "a=setup:passive"))
        cph_wr_text(out, "a=setup:active");
    else
        cph_wr_span(out, line);
    cph_wr_text(out, "\r\n");
}

void lab_rewrite(enum lab_meddling how, struct cph_span sdp, struct cph_wr *out)
{
    struct cph_span line;

    if (how == LAB_MEDDLE_WEAKEN || how == LAB_MEDDLE_WEAKEN_BOTH) {
        lab_weaken_sdp(sdp, out);
        return;
    }
    while (cph_span_line(&sdp, &line)) {
        if (how == LAB_MEDDLE_STRIP)
            strip_line(line, out);
        else if (how == LAB_MEDDLE_SUBSTITUTE)
            substitute_line(line, out);
        else if (how == LAB_MEDDLE_ROLES)
            turn_role(line, out);
        else {
            cph_wr_span(out, line);
            cph_wr_text(out, "\r\n");
        }
    }
}

/* An answer has one key of several, and one of the two begins. */
void lab_rewrite_mirror(struct cph_span offer, const char *from_ip, const char *to_ip,
                        struct cph_wr *out)
{
    struct cph_span line;
    unsigned keys = 0;

    while (cph_span_line(&offer, &line)) {
        const uint8_t *at = memmem(line.p, line.n, from_ip, strlen(from_ip));

        if (cph_span_starts(line, "a=crypto:") && keys++ > 0)
            continue;
        if (cph_span_is(line, "a=setup:actpass"))
            cph_wr_text(out, "a=setup:active");
        else if (at && (line.p[0] == 'c' || line.p[0] == 'o')) {
            cph_wr_bytes(out, line.p, (size_t)(at - line.p));
            cph_wr_text(out, to_ip);
            cph_wr_span(out, cph_span_from(line, (size_t)(at - line.p) + strlen(from_ip)));
        } else
            cph_wr_span(out, line);
        cph_wr_text(out, "\r\n");
    }
}

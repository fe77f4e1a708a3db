#include "denier.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "mikey_read.h"

enum { RESPONSE = 4096, MESSAGE = 12000, ERROR = 24 };

/* RFC 3830 6.1, 6.6, 6.12: HDR and T as the offer has them, and ERR. */
static bool error_about(struct cph_span offer, uint8_t number, uint8_t out[ERROR])
{
    struct cph_rd rd = cph_rd_open(offer);
    struct cph_wr wr = cph_wr_open(out, ERROR);
    uint32_t csb_id;
    uint8_t n_cs;

    (void)cph_rd_u32(&rd);
    csb_id = cph_rd_u32(&rd);
    n_cs = cph_rd_u8(&rd);
    (void)cph_rd_span(&rd, 1 + (size_t)9 * n_cs + 1);
    cph_wr_u32(&wr, 0x01060500); /* version, Error, T follows */
    cph_wr_u32(&wr, csb_id);
    cph_wr_u16(&wr, 0);
    cph_wr_u8(&wr, 12); /* ERR follows */
    cph_wr_span(&wr, cph_rd_span(&rd, 9));
    cph_wr_u8(&wr, 0);
    cph_wr_u8(&wr, number);
    cph_wr_u16(&wr, 0);
    return !rd.failed && !wr.failed && wr.n == ERROR;
}

/* A refusing description with his reason; nothing if the offer has no MIKEY. */
static void put_reason(struct cph_span invite, uint8_t number, struct cph_wr *out)
{
    char text[CPH_BASE64_LEN(ERROR) + 1];
    uint8_t *offer = malloc(MESSAGE), e[ERROR];
    struct cph_span line;
    size_t n;

    while (offer && cph_span_line(&invite, &line))
        if (lab_mikey_line(line, offer, MESSAGE, &n) &&
            error_about((struct cph_span){ offer, n }, number, e)) {
            cph_base64((struct cph_span){ e, ERROR }, text);
            cph_wr_fmt(out,
                       "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
                       "m=audio 0 RTP/SAVP 0\r\na=key-mgmt:mikey %s\r\n",
                       text);
            break;
        }
    free(offer);
}

static void put_response(struct cph_span invite, struct cph_span sdp, struct cph_wr *out)
{
    static const char *const same[] = { "Via:", "From:", "To:", "Call-ID:", "CSeq:" };
    struct cph_span line;

    cph_wr_text(out, "SIP/2.0 488 Not Acceptable Here\r\n");
    while (cph_span_line(&invite, &line) && line.n > 0)
        for (size_t i = 0; i < sizeof same / sizeof *same; i++)
            if (cph_span_starts(line, same[i]))
                cph_wr_fmt(out, "%.*s%s\r\n", CPH_SPAN_ARG(line), i == 2 ? ";tag=him" : "");
    if (sdp.n > 0)
        cph_wr_text(out, "Content-Type: application/sdp\r\n");
    cph_wr_fmt(out, "Content-Length: %zu\r\n\r\n", sdp.n);
    cph_wr_span(out, sdp);
}

bool lab_deny(void *ctx, const struct lab_packet *p)
{
    struct lab_denier *d = ctx;
    uint8_t all[RESPONSE], sdp[1024];
    struct cph_wr body = cph_wr_open(sdp, sizeof sdp), wr = cph_wr_open(all, sizeof all);
    struct cph_addr alice;

    if (!d->stage || (d->at_most && d->refused >= d->at_most) || p->kind != LAB_SIP ||
        !cph_span_starts(p->bytes, "INVITE ") ||
        cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_ALICE)), &alice) != CPH_OK ||
        !cph_addr_ip_eq(&alice, &p->from))
        return true;
    if (d->error >= 0)
        put_reason(p->bytes, (uint8_t)d->error, &body);
    put_response(p->bytes, cph_wr_done(&body), &wr);
    if (wr.failed || lab_inject(d->stage->net, &p->to, &p->from, cph_wr_done(&wr)) != CPH_OK)
        return true;
    d->refused++;
    return false;
}

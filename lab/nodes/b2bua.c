/* What less polite boxes do to the messages they carry. */
#include "proxy_int.h"

#include <stdio.h>

#include "ciphony/base_text.h"

enum { SDP_LINES = 200 };

/* The list of tokens without one of them; empty if nothing is left. */
static void without_token(struct cph_span list, const char *token, struct cph_wr *out)
{
    while (list.n) {
        struct cph_span one = cph_span_trim(cph_span_cut(&list, ','));

        if (one.n == 0 || cph_span_iis(one, token))
            continue;
        if (out->n)
            cph_wr_text(out, ", ");
        cph_wr_span(out, one);
    }
}

void box_options(const struct lab_proxy *p, const struct cph_sip_header *h, struct cph_wr *wr)
{
    uint8_t kept[512];
    struct cph_wr list = cph_wr_open(kept, sizeof kept);

    if (!p->cfg.no_prack) {
        cph_sip_wr_copy(wr, h);
        return;
    }
    without_token(h->value, "100rel", &list);
    if (list.n)
        cph_sip_wr_header(wr, h->id, cph_wr_done(&list));
}

static void put_line(struct cph_wr *out, struct cph_span line)
{
    cph_wr_span(out, line);
    cph_wr_text(out, "\r\n");
}

/* Attributes of a section may stand in any order (RFC 8866 5): here they stand the other way
 * round. False: this is no description, or a longer one than there is room for. */
static bool reordered(struct cph_span sdp, struct cph_wr *out)
{
    struct cph_span line[SDP_LINES];
    unsigned n = 0;

    if (!cph_span_starts(sdp, "v=0"))
        return false;
    while (n < SDP_LINES && cph_span_line(&sdp, &line[n]))
        n++;
    for (unsigned i = 0, end; i < n; i = end) {
        for (end = i; end < n && cph_span_starts(line[end], "a="); end++)
            ;
        for (unsigned k = end; k > i; k--)
            put_line(out, line[k - 1]);
        if (end == i)
            put_line(out, line[end++]);
    }
    return sdp.n == 0 && !out->failed;
}

bool box_body(struct lab_proxy *p, const struct cph_sip_msg *msg, const struct way *from,
              struct cph_span *body)
{
    struct cph_wr wr = cph_wr_open(p->body, sizeof p->body);
    enum lab_proxy_body did = LAB_BODY_KEEP;

    *body = msg->body;
    if (msg->body.n == 0)
        return true;
    if (p->cfg.hold_sdp && !msg->is_request && msg->status < 200) {
        *body = (struct cph_span){ 0 };
        return true;
    }
    if (p->cfg.ops && p->cfg.ops->sdp)
        did = p->cfg.ops->sdp(p->cfg.ctx, msg, &from->addr, msg->body, &wr);
    if (did == LAB_BODY_REPLACE && !wr.failed)
        *body = cph_wr_done(&wr);
    else if (did == LAB_BODY_KEEP && p->cfg.reorder_sdp && reordered(msg->body, &wr))
        *body = cph_wr_done(&wr);
    return did != LAB_BODY_DROP_MESSAGE;
}

void box_early(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char sdp[256], us[CPH_ADDR_TEXT];

    if (v->told_early)
        return;
    v->told_early = true;
    (void)cph_addr_ip(&p->addr[0], us);
    (void)snprintf(sdp, sizeof sdp,
                   "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                   "m=audio 40000 RTP/AVP 0\r\n",
                   us, us);
    cph_sip_wr_response(&wr, req, 183, (struct cph_span){ 0 }, CPH_SPAN_LIT("network"),
                        &v->caller.addr);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<sip:announcement@%s>", us);
    cph_sip_wr_body(&wr, CPH_SPAN_LIT("application/sdp"), cph_span_of(sdp));
    proxy_send_to(p, &v->caller, &wr);
}

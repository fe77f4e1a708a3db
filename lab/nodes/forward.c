/* Passing messages on: what a proxy does to each of them (RFC 3261 16.6, 16.7). */
#include "proxy_int.h"

#include <stdio.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

/* ---- small things of SIP --------------------------------------------------------------------- */

bool proxy_addr_of(const struct cph_sip_uri *uri, struct cph_addr *out)
{
    if (cph_addr_parse_ip(uri->host, out) != CPH_OK)
        return false;
    out->port = uri->port ? uri->port : SIP_PORT;
    return true;
}

bool proxy_addr_of_text(const char *uri, struct cph_addr *out)
{
    struct cph_sip_uri u;

    return cph_sip_uri_parse(cph_span_of(uri), &u) == CPH_OK && proxy_addr_of(&u, out);
}

bool proxy_is_us(const struct lab_proxy *p, const struct cph_sip_uri *uri)
{
    struct cph_addr a;

    return proxy_addr_of(uri, &a) && cph_addr_ip_eq(&a, &p->addr);
}

void proxy_branch(const struct cph_sip_msg *req, const char *target, char out[BRANCH])
{
    uint64_t h = cph_siphash(1, 2, req->via[0].branch) ^ cph_siphash(3, 4, cph_span_of(target));

    (void)snprintf(out, BRANCH, "z9hG4bK-lab-%016llx", (unsigned long long)h);
}

static bool via_back(const struct cph_sip_via *v, struct cph_addr *to)
{
    if (cph_addr_parse_ip(v->received.n ? v->received : v->host, to) != CPH_OK)
        return false;
    to->port = v->rport ? v->rport : v->port ? v->port : SIP_PORT;
    return true;
}

bool proxy_ours_on_top(const struct lab_proxy *p, const struct cph_sip_msg *req)
{
    struct cph_sip_addr top;

    return cph_sip_addr_at(req, CPH_SIP_H_ROUTE, 0, &top) == CPH_OK && proxy_is_us(p, &top.uri);
}

/* ---- messages on their way ------------------------------------------------------------------- */

static void copy_headers(const struct lab_proxy *p, const struct cph_sip_msg *msg,
                         struct cph_wr *wr, bool drop_route)
{
    bool route_seen = false;

    for (size_t i = 0; i < msg->n_header; i++) {
        const struct cph_sip_header *h = &msg->header[i];

        switch ((int)h->id) {
        case CPH_SIP_H_CONTENT_LENGTH:
        case CPH_SIP_H_CONTENT_TYPE:
            break;
        case CPH_SIP_H_MAX_FORWARDS:
            cph_sip_wr_header_fmt(wr, h->id, "%u", msg->max_forwards ? msg->max_forwards - 1U : 0U);
            break;
        case CPH_SIP_H_ROUTE:
            if (drop_route && !route_seen) {
                struct cph_span rest = h->value;

                (void)cph_span_cut(&rest, ',');
                route_seen = true;
                if (rest.n)
                    cph_sip_wr_header(wr, h->id, cph_span_trim(rest));
                break;
            }
            cph_sip_wr_copy(wr, h);
            break;
        case CPH_SIP_H_SUPPORTED:
        case CPH_SIP_H_REQUIRE:
            box_options(p, h, wr);
            break;
        default:
            cph_sip_wr_copy(wr, h);
            break;
        }
    }
}

static void finish(const struct cph_sip_msg *msg, struct cph_span body, struct cph_wr *wr)
{
    const struct cph_sip_header *type = cph_sip_find(msg, CPH_SIP_H_CONTENT_TYPE);

    cph_sip_wr_body(wr, body.n && type ? type->value : (struct cph_span){ 0 }, body);
}

void proxy_forward(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from,
                   const char *uri, const struct cph_addr *to, const char *branch_of,
                   bool drop_route)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char branch[BRANCH], us[CPH_ADDR_TEXT];
    struct cph_span body;

    if (!box_body(p, req, from, &body))
        return;
    proxy_branch(req, branch_of, branch);
    (void)cph_addr_text(&p->addr, us);
    cph_sip_wr_request_line(&wr, req->method_name, cph_span_of(uri));
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_VIA, "SIP/2.0/%s %s;branch=%s", p->tls ? "TLS" : "UDP", us,
                          branch);
    if (req->method == CPH_SIP_INVITE)
        cph_sip_wr_header_fmt(&wr, CPH_SIP_H_RECORD_ROUTE, "<sip:%s;%slr>", us,
                              p->tls ? "transport=tls;" : "");
    copy_headers(p, req, &wr, drop_route);
    finish(req, body, &wr);
    proxy_send_to(p, to, &wr);
}

void proxy_reply(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from,
                 unsigned status)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);

    cph_sip_wr_response(&wr, req, status, (struct cph_span){ 0 },
                        status > 100 ? CPH_SPAN_LIT("lab") : (struct cph_span){ 0 }, from);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    proxy_send_to(p, from, &wr);
}

void proxy_hop(struct lab_proxy *p, const struct cph_sip_msg *req, const char *uri,
               const char *method, const struct cph_sip_addr *to_value)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char branch[BRANCH], us[CPH_ADDR_TEXT];
    struct cph_addr to;

    if (!proxy_addr_of_text(uri, &to))
        return;
    proxy_branch(req, uri, branch);
    cph_sip_wr_request_line(&wr, cph_span_of(method), cph_span_of(uri));
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_VIA, "SIP/2.0/%s %s;branch=%s", p->tls ? "TLS" : "UDP",
                          cph_addr_text(&p->addr, us), branch);
    cph_sip_wr_header(&wr, CPH_SIP_H_MAX_FORWARDS, CPH_SPAN_LIT("70"));
    cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_FROM);
    if (to_value)
        cph_sip_wr_header(&wr, CPH_SIP_H_TO, to_value->text);
    else
        cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_TO);
    cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_CALL_ID);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CSEQ, "%u %s", req->cseq.number, method);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    proxy_send_to(p, &to, &wr);
}

void proxy_pass_up(struct lab_proxy *p, const struct cph_sip_msg *res, const struct cph_addr *from)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    struct cph_addr to;
    struct cph_span body;
    bool first = true;

    if (res->n_via < 2 || !via_back(&res->via[1], &to) || !box_body(p, res, from, &body))
        return;
    cph_sip_wr_status_line(&wr, res->status, res->reason);
    for (size_t i = 0; i < res->n_header; i++) {
        const struct cph_sip_header *h = &res->header[i];
        struct cph_span rest = h->value;

        if (h->id == CPH_SIP_H_CONTENT_LENGTH || h->id == CPH_SIP_H_CONTENT_TYPE)
            continue;
        if (h->id == CPH_SIP_H_VIA && first) {
            first = false;
            (void)cph_span_cut(&rest, ',');
            if (rest.n)
                cph_sip_wr_header(&wr, h->id, cph_span_trim(rest));
            continue;
        }
        cph_sip_wr_copy(&wr, h);
    }
    finish(res, body, &wr);
    proxy_send_to(p, &to, &wr);
}

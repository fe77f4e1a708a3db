/* Passing messages on: what a proxy does to each of them (RFC 3261 16.6, 16.7). */
#include "proxy_int.h"

#include <stdio.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

/* ---- small things of SIP --------------------------------------------------------------------- */

bool proxy_way_of(const struct lab_proxy *p, const struct cph_sip_uri *uri, struct way *out)
{
    struct cph_span transport = { 0 };

    if (cph_addr_parse_ip(uri->host, &out->addr) != CPH_OK)
        return false;
    (void)cph_sip_param(uri->params, "transport", &transport);
    out->tls = p->tls && (!p->udp || cph_span_iis(transport, "tls"));
    out->addr.port = uri->port ? uri->port : out->tls ? SIPS_PORT : SIP_PORT;
    return true;
}

bool proxy_way_of_text(const struct lab_proxy *p, const char *uri, struct way *out)
{
    struct cph_sip_uri u;

    return cph_sip_uri_parse(cph_span_of(uri), &u) == CPH_OK && proxy_way_of(p, &u, out);
}

bool proxy_is_us(const struct lab_proxy *p, const struct cph_sip_uri *uri)
{
    struct way a;

    return proxy_way_of(p, uri, &a) && cph_addr_ip_eq(&a.addr, &p->addr[0]);
}

void proxy_branch(const struct cph_sip_msg *req, const char *target, char out[BRANCH])
{
    uint64_t h = cph_siphash(1, 2, req->via[0].branch) ^ cph_siphash(3, 4, cph_span_of(target));

    (void)snprintf(out, BRANCH, "z9hG4bK-lab-%016llx", (unsigned long long)h);
}

static bool via_back(const struct cph_sip_via *v, struct way *to)
{
    if (cph_addr_parse_ip(v->received.n ? v->received : v->host, &to->addr) != CPH_OK)
        return false;
    to->tls = cph_span_iis(v->transport, "TLS");
    to->addr.port = v->rport ? v->rport : v->port ? v->port : SIP_PORT;
    return true;
}

unsigned proxy_ours_on_top(const struct lab_proxy *p, const struct cph_sip_msg *req)
{
    struct cph_sip_addr route;
    unsigned n = 0;

    while (cph_sip_addr_at(req, CPH_SIP_H_ROUTE, n, &route) == CPH_OK && proxy_is_us(p, &route.uri))
        n++;
    return n;
}

/* ---- messages on their way ------------------------------------------------------------------- */

/* Of this header without its first values, as long as there are some to drop. */
static void drop_routes(const struct cph_sip_header *h, unsigned *ours, struct cph_wr *wr)
{
    struct cph_span rest = h->value;

    for (; *ours > 0 && rest.n; (*ours)--)
        (void)cph_span_cut(&rest, ',');
    rest = cph_span_trim(rest);
    if (rest.n)
        cph_sip_wr_header(wr, h->id, rest);
}

static void copy_headers(const struct lab_proxy *p, const struct cph_sip_msg *msg,
                         struct cph_wr *wr, unsigned ours)
{
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
            drop_routes(h, &ours, wr);
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
    const struct cph_sip_header *h = cph_sip_find(msg, CPH_SIP_H_CONTENT_TYPE);
    struct cph_span type = h ? h->value : (struct cph_span){ 0 };

    if (body.p != msg->body.p && cph_span_starts(body, "v=0"))
        type = CPH_SPAN_LIT("application/sdp");
    cph_sip_wr_body(wr, body.n ? type : (struct cph_span){ 0 }, body);
}

static void put_via(const struct lab_proxy *p, const struct cph_sip_msg *req, const char *uri,
                    bool tls, struct cph_wr *wr)
{
    char branch[BRANCH], us[CPH_ADDR_TEXT];

    proxy_branch(req, uri, branch);
    cph_sip_wr_header_fmt(wr, CPH_SIP_H_VIA, "SIP/2.0/%s %s;branch=%s", tls ? "TLS" : "UDP",
                          cph_addr_text(&p->addr[tls], us), branch);
}

static void put_record_route(const struct lab_proxy *p, bool tls, struct cph_wr *wr)
{
    char us[CPH_ADDR_TEXT];

    cph_sip_wr_header_fmt(wr, CPH_SIP_H_RECORD_ROUTE, "<sip:%s;%slr>",
                          cph_addr_text(&p->addr[tls], us), tls ? "transport=tls;" : "");
}

void proxy_forward(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from,
                   const char *uri, const struct way *to, unsigned ours)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    struct cph_span body;

    if (!box_body(p, req, from, &body))
        return;
    cph_sip_wr_request_line(&wr, req->method_name, cph_span_of(uri));
    put_via(p, req, uri, to->tls, &wr);
    if (req->method == CPH_SIP_INVITE) {
        put_record_route(p, to->tls, &wr);
        if (to->tls != from->tls) /* RFC 5658 3: one for each side */
            put_record_route(p, from->tls, &wr);
    }
    copy_headers(p, req, &wr, ours);
    finish(req, body, &wr);
    proxy_send_to(p, to, &wr);
}

void proxy_reply(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from,
                 unsigned status)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);

    cph_sip_wr_response(&wr, req, status, (struct cph_span){ 0 },
                        status > 100 ? CPH_SPAN_LIT("lab") : (struct cph_span){ 0 }, &from->addr);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    proxy_send_to(p, from, &wr);
}

void proxy_hop(struct lab_proxy *p, const struct cph_sip_msg *req, const struct target *target,
               const char *method, const struct cph_sip_addr *to_value)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);

    cph_sip_wr_request_line(&wr, cph_span_of(method), cph_span_of(target->uri));
    put_via(p, req, target->uri, target->way.tls, &wr);
    cph_sip_wr_header(&wr, CPH_SIP_H_MAX_FORWARDS, CPH_SPAN_LIT("70"));
    cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_FROM);
    if (to_value)
        cph_sip_wr_header(&wr, CPH_SIP_H_TO, to_value->text);
    else
        cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_TO);
    cph_sip_wr_copy_all(&wr, req, CPH_SIP_H_CALL_ID);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CSEQ, "%u %s", req->cseq.number, method);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    proxy_send_to(p, &target->way, &wr);
}

void proxy_pass_up(struct lab_proxy *p, const struct cph_sip_msg *res, const struct way *from)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    struct way to;
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

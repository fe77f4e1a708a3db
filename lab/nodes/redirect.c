#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

struct lab_redirect {
    struct lab_node *node;
    struct cph_addr addr;
    char contact[128];
    uint8_t offer[8192];
    size_t offer_n;
};

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    struct lab_redirect *r = ctx;
    struct cph_arena *arena;
    struct cph_sip_msg msg;
    uint8_t out[4096];
    struct cph_wr wr = cph_wr_open(out, sizeof out);

    (void)local;
    (void)now;
    if (cph_arena_new(CPH_SIP_ARENA, &arena) != CPH_OK)
        return;
    if (cph_sip_msg_parse(arena, bytes, CPH_SIP_DATAGRAM, &msg, NULL) == CPH_OK && msg.is_request &&
        msg.method == CPH_SIP_INVITE) {
        if (msg.body.n <= sizeof r->offer) {
            memcpy(r->offer, msg.body.p, msg.body.n);
            r->offer_n = msg.body.n;
        }
        cph_sip_wr_response(&wr, &msg, 302, (struct cph_span){ 0 }, CPH_SPAN_LIT("moved"), from);
        cph_sip_wr_addr_header(&wr, CPH_SIP_H_CONTACT, (struct cph_span){ 0 },
                               cph_span_of(r->contact), (struct cph_span){ 0 });
        cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
        if (!wr.failed)
            (void)!lab_send(r->node, &r->addr, from, cph_wr_done(&wr));
    }
    cph_arena_free(arena);
}

static const struct lab_node_ops node_ops = { .datagram = on_datagram };

cph_err lab_redirect_new(struct lab_net *net, const char *ip, const char *contact,
                         struct lab_redirect **out)
{
    struct lab_redirect *r = calloc(1, sizeof *r);
    cph_err err;

    if (!r)
        return CPH_E_NOMEM;
    (void)snprintf(r->contact, sizeof r->contact, "%s", contact);
    err = cph_addr_parse_ip(cph_span_of(ip), &r->addr);
    r->addr.port = 5060;
    if (err == CPH_OK)
        err = lab_node_new(net, &node_ops, r, &r->node);
    if (err == CPH_OK)
        err = lab_bind(r->node, &r->addr);
    if (err != CPH_OK) {
        free(r);
        return err;
    }
    *out = r;
    return CPH_OK;
}

void lab_redirect_free(struct lab_redirect *r)
{
    if (!r)
        return;
    lab_unbind(r->node, &r->addr);
    free(r);
}

struct cph_span lab_redirect_offer(const struct lab_redirect *r)
{
    return (struct cph_span){ r->offer, r->offer_n };
}

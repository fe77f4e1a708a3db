#include "attach.h"

#include <string.h>

#include "ciphony/base_text.h"

/* ---- a message of ours, seen by the manager -------------------------------------------------- */

/* The manager sees the header the stack acts on: both take it from the same index. */
static struct cph_span header(void *ctx, const char *name, unsigned i)
{
    const struct cph_sip_msg *msg = ctx;
    enum cph_sip_hdr id = cph_sip_hdr_find(cph_span_of(name));
    struct cph_sip_iter it = { 0 };
    struct cph_span value;

    if (id == CPH_SIP_H_OTHER) {
        for (size_t at = 0; at < msg->n_header; at++)
            if (cph_span_iis(msg->header[at].name, name) && i-- == 0)
                return msg->header[at].value;
        return (struct cph_span){ 0 };
    }
    while (cph_sip_each(msg, id, &it, &value))
        if (i-- == 0)
            return value;
    return (struct cph_span){ 0 };
}

static void view(const struct cph_sip_passing *p, struct cph_hop_facts *hop,
                 char peer[CPH_ADDR_TEXT], struct cph_ssa_msg *out)
{
    const struct cph_sip_msg *msg = p->msg;
    bool towards_us = p->hop && p->hop->incoming;

    *out = (struct cph_ssa_msg){
        .status = msg->is_request ? 0 : msg->status,
        .method = msg->is_request ? msg->method_name : msg->cseq.method_name,
        .uri = msg->is_request ? msg->uri.text : (struct cph_span){ 0 },
        .call_id = msg->call_id,
        .from_tag = msg->from.tag,
        .to_tag = msg->to.tag,
        .from_uri = msg->from.uri.text,
        .to_uri = msg->to.uri.text,
        .cseq = msg->cseq.number,
        .body = msg->body,
        .raw = p->raw,
        .header = header,
        .ctx = (void *)(uintptr_t)msg, /* only reads; NOLINT(performance-no-int-to-ptr) */
        .account = p->account,
        .repeat = p->repeat,
    };
    if (!p->hop)
        return;
    cph_attach_hop_facts(p->hop, towards_us ? msg->from.uri.text : msg->to.uri.text, hop);
    out->hop = hop;
    out->peer = cph_span_of(cph_addr_text(&p->hop->peer, peer));
}

static enum cph_sip_verdict decision(const struct cph_ssa_out *out, struct cph_sip_reply *reply)
{
    reply->status = out->status;
    reply->reason = out->reason;
    reply->headers = out->headers;
    switch (out->what) {
    case CPH_SSA_PASS:
        return CPH_SIP_PASS;
    case CPH_SSA_REPLY:
        return CPH_SIP_REPLY;
    case CPH_SSA_RETRY:
        return CPH_SIP_RETRY;
    case CPH_SSA_DROP:
    case CPH_SSA_REPLACE: /* no application of ours rewrites bodies: fail closed */
        break;
    }
    return CPH_SIP_DROP;
}

typedef void ssa_fn(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                    struct cph_ssa_out *out);

static enum cph_sip_verdict show(const struct cph_attach *a, ssa_fn *fn,
                                 const struct cph_sip_passing *p, cph_time now,
                                 struct cph_sip_reply *reply)
{
    struct cph_hop_facts hop = { 0 };
    char peer[CPH_ADDR_TEXT];
    struct cph_ssa_msg msg;
    struct cph_ssa_out out = { 0 };

    view(p, &hop, peer, &msg);
    fn(a->manager, &msg, now, &out);
    return decision(&out, reply);
}

static enum cph_sip_verdict on_receive(void *ctx, const struct cph_sip_passing *in, cph_time now,
                                       struct cph_sip_reply *reply)
{
    return show(ctx, cph_ssa_receive, in, now, reply);
}

static enum cph_sip_verdict on_send(void *ctx, const struct cph_sip_passing *out, cph_time now,
                                    struct cph_sip_reply *reply)
{
    return show(ctx, cph_ssa_send, out, now, reply);
}

void cph_attach_init(struct cph_attach *a, struct cph_manager *manager)
{
    *a = (struct cph_attach){ .manager = manager };
    a->hook = (struct cph_sip_hook){ .ctx = a, .on_receive = on_receive, .on_send = on_send };
}

/* ---- hops as evidence ------------------------------------------------------------------------ */

static bool same_host(struct cph_span uri, const char *name)
{
    struct cph_sip_uri u;

    return cph_sip_uri_parse(uri, &u) == CPH_OK && u.host.n > 0 && cph_span_iis(u.host, name);
}

static enum cph_hop_transport transport_of(const struct cph_sip_hop *hop)
{
    switch (hop->proto) {
    case CPH_SIP_UDP:
        return CPH_HOP_UDP;
    case CPH_SIP_TCP:
        return CPH_HOP_TCP;
    case CPH_SIP_TLS:
        return hop->tls13 ? CPH_HOP_TLS13 : CPH_HOP_TLS12; /* stream/ does none below 1.2 */
    }
    return CPH_HOP_UNKNOWN;
}

void cph_attach_hop_facts(const struct cph_sip_hop *hop, struct cph_span peer_uri,
                          struct cph_hop_facts *out)
{
    char addr[CPH_ADDR_TEXT];

    *out = (struct cph_hop_facts){
        .transport = transport_of(hop),
        /* a caller without a certificate has looked at ours; nobody looked at one we took unseen */
        .auth = hop->unchecked ? CPH_HOP_AUTH_UNKNOWN : CPH_HOP_AUTH_NONE,
        .whose = CPH_HOP_WHOSE_NEXT,
        .seen = CPH_HOP_SEEN_OURS,
    };
    if (hop->proto == CPH_SIP_TLS && hop->check == CPH_SIP_PEER_DOMAIN)
        out->auth = CPH_HOP_AUTH_AUTHORITY;
    else if (hop->proto == CPH_SIP_TLS && hop->check == CPH_SIP_PEER_PINNED)
        out->auth = CPH_HOP_AUTH_PINNED;
    /* A pin is one device of the host it is kept for, not the domain: whoever is pinned there could
     * else speak for everybody of it. */
    if (out->auth == CPH_HOP_AUTH_AUTHORITY && same_host(peer_uri, hop->name))
        out->whose = CPH_HOP_WHOSE_DOMAIN;
    cph_fact_text(out->name,
                  cph_span_of(hop->name[0] ? hop->name : cph_addr_text(&hop->peer, addr)));
}

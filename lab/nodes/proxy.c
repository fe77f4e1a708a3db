#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls.h"

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

enum {
    MESSAGE = 16384,
    USERS = 32,
    TARGETS = 8, /* of one INVITE, with those of redirects */
    CALLS = 64,  /* INVITE transactions remembered */
    URI = 128,
    BRANCH = 64,
    SIP_PORT = 5060,
    SIPS_PORT = 5061,
    ALIASES = 8,
};

struct contact {
    char user[32], uri[URI];
};

struct target {
    char uri[URI];
    unsigned status; /* final, 0: none yet */
    bool cancelled;
};

/* One INVITE we forwarded. */
struct invite {
    char branch[BRANCH]; /* of the caller's Via */
    struct cph_addr caller;
    uint8_t *request;
    size_t request_n;
    struct target target[TARGETS];
    unsigned n;
    bool answered, told_early;
    uint8_t *best; /* the final response kept for when all have failed */
    size_t best_n;
    unsigned best_status;
};

/* A host behind address translation: where it says it is, and where it is heard from. */
struct alias {
    struct cph_addr said, heard;
};

struct queued {
    cph_time at;
    struct cph_addr to;
    struct queued *next;
    size_t n;
    uint8_t b[];
};

struct lab_proxy {
    struct lab_net *net;
    struct lab_node *node;
    struct lab_proxy_config cfg;
    struct cph_addr addr;
    struct lab_tls *tls; /* NULL: UDP */
    struct contact contact[USERS];
    unsigned contacts;
    struct alias alias[ALIASES];
    unsigned aliases;
    struct invite invite[CALLS];
    unsigned next_invite;
    struct queued *queue;
    struct cph_arena *arena;
    struct lab_proxy_counts counts;
    uint8_t out[MESSAGE], body[MESSAGE];
};

/* ---- sending, after thinking ----------------------------------------------------------------- */

static void send_due(struct lab_proxy *p, cph_time now)
{
    while (p->queue && p->queue->at <= now) {
        struct queued *q = p->queue;

        p->queue = q->next;
        if (p->tls)
            (void)lab_tls_send(p->tls, p->node, &q->to, (struct cph_span){ q->b, q->n });
        else
            (void)!lab_send(p->node, &p->addr, &q->to, (struct cph_span){ q->b, q->n });
        free(q);
    }
    (void)!lab_wake_at(p->node, p->queue ? p->queue->at : CPH_TIME_NEVER);
}

static void send_to(struct lab_proxy *p, const struct cph_addr *to, const struct cph_wr *wr)
{
    struct queued **at = &p->queue;
    struct queued *q;

    if (wr->failed)
        return;
    for (unsigned i = 0; i < p->aliases; i++)
        if (cph_addr_eq(&p->alias[i].said, to))
            to = &p->alias[i].heard;
    q = malloc(sizeof *q + wr->n);
    if (!q)
        return;
    *q = (struct queued){ .at = lab_now(p->net) + p->cfg.delay, .to = *to, .n = wr->n };
    memcpy(q->b, wr->p, wr->n);
    while (*at && (*at)->at <= q->at)
        at = &(*at)->next;
    q->next = *at;
    *at = q;
    send_due(p, lab_now(p->net));
}

/* ---- small things of SIP --------------------------------------------------------------------- */

static bool addr_of_uri(const struct cph_sip_uri *uri, struct cph_addr *out)
{
    if (cph_addr_parse_ip(uri->host, out) != CPH_OK)
        return false;
    out->port = uri->port ? uri->port : SIP_PORT;
    return true;
}

static bool addr_of_text(const char *uri, struct cph_addr *out)
{
    struct cph_sip_uri u;

    return cph_sip_uri_parse(cph_span_of(uri), &u) == CPH_OK && addr_of_uri(&u, out);
}

static bool is_us(const struct lab_proxy *p, const struct cph_sip_uri *uri)
{
    struct cph_addr a;

    return addr_of_uri(uri, &a) && cph_addr_ip_eq(&a, &p->addr);
}

/* The same request gives the same branch, so that CANCEL and ACK follow their INVITE. */
static void branch_for(const struct cph_sip_msg *req, const char *target, char out[BRANCH])
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

/* ---- forwarding ------------------------------------------------------------------------------ */

/* False: the message is to go no further. */
static bool body_for(struct lab_proxy *p, const struct cph_sip_msg *msg,
                     const struct cph_addr *from, struct cph_span *body)
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
    if (p->cfg.ops && p->cfg.ops->sdp && cph_sip_content_is(msg, "application/sdp"))
        did = p->cfg.ops->sdp(p->cfg.ctx, msg, from, msg->body, &wr);
    if (did == LAB_BODY_REPLACE && !wr.failed)
        *body = cph_wr_done(&wr);
    return did != LAB_BODY_DROP_MESSAGE;
}

static void copy_headers(const struct lab_proxy *p, const struct cph_sip_msg *msg,
                         struct cph_wr *wr, bool drop_route)
{
    bool route_seen = false;

    for (size_t i = 0; i < msg->n_header; i++) {
        const struct cph_sip_header *h = &msg->header[i];
        uint8_t kept[512];
        struct cph_wr list = cph_wr_open(kept, sizeof kept);

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
            if (!p->cfg.no_prack) {
                cph_sip_wr_copy(wr, h);
                break;
            }
            without_token(h->value, "100rel", &list);
            if (list.n)
                cph_sip_wr_header(wr, h->id, cph_wr_done(&list));
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

/* uri: the new request URI; to: where it goes. */
static void forward(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from,
                    const char *uri, const struct cph_addr *to, const char *branch_of,
                    bool drop_route)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char branch[BRANCH], us[CPH_ADDR_TEXT];
    struct cph_span body;

    if (!body_for(p, req, from, &body))
        return;
    branch_for(req, branch_of, branch);
    (void)cph_addr_text(&p->addr, us);
    cph_sip_wr_request_line(&wr, req->method_name, cph_span_of(uri));
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_VIA, "SIP/2.0/%s %s;branch=%s", p->tls ? "TLS" : "UDP", us,
                          branch);
    if (req->method == CPH_SIP_INVITE)
        cph_sip_wr_header_fmt(&wr, CPH_SIP_H_RECORD_ROUTE, "<sip:%s;%slr>", us,
                              p->tls ? "transport=tls;" : "");
    copy_headers(p, req, &wr, drop_route);
    finish(req, body, &wr);
    send_to(p, to, &wr);
}

static void reply(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from,
                  unsigned status)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);

    cph_sip_wr_response(&wr, req, status, (struct cph_span){ 0 },
                        status > 100 ? CPH_SPAN_LIT("lab") : (struct cph_span){ 0 }, from);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    send_to(p, from, &wr);
}

/* ---- registrar ------------------------------------------------------------------------------- */

cph_err lab_proxy_add(struct lab_proxy *p, const char *user, const char *contact)
{
    struct contact *c = &p->contact[p->contacts];

    for (unsigned i = 0; i < p->contacts; i++)
        if (strcmp(p->contact[i].user, user) == 0 && strcmp(p->contact[i].uri, contact) == 0)
            return CPH_OK;
    if (p->contacts == USERS || strlen(user) >= sizeof c->user || strlen(contact) >= sizeof c->uri)
        return CPH_E_LIMIT;
    (void)snprintf(c->user, sizeof c->user, "%s", user);
    (void)snprintf(c->uri, sizeof c->uri, "%s", contact);
    p->contacts++;
    return CPH_OK;
}

unsigned lab_proxy_contacts(const struct lab_proxy *p, const char *user)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->contacts; i++)
        n += strcmp(p->contact[i].user, user) == 0;
    return n;
}

static void on_register(struct lab_proxy *p, const struct cph_sip_msg *req,
                        const struct cph_addr *from)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    const struct cph_sip_header *contact = cph_sip_find(req, CPH_SIP_H_CONTACT);
    struct cph_sip_addr at;
    char user[32], uri[URI];

    p->counts.registers++;
    if (!contact || cph_sip_addr_at(req, CPH_SIP_H_CONTACT, 0, &at) != CPH_OK || at.star ||
        cph_span_cstr(req->to.uri.user, user, sizeof user) != CPH_OK ||
        cph_span_cstr(at.uri.text, uri, sizeof uri) != CPH_OK ||
        lab_proxy_add(p, user, uri) != CPH_OK) {
        reply(p, req, from, 400);
        return;
    }
    cph_sip_wr_response(&wr, req, 200, (struct cph_span){ 0 }, CPH_SPAN_LIT("lab"), from);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<%s>;expires=3600", uri);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    send_to(p, from, &wr);
}

/* ---- INVITE ---------------------------------------------------------------------------------- */

static struct invite *invite_of(struct lab_proxy *p, struct cph_span branch)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (p->invite[i].request && cph_span_is(branch, p->invite[i].branch))
            return &p->invite[i];
    return NULL;
}

static void invite_clear(struct invite *v)
{
    free(v->request);
    free(v->best);
    *v = (struct invite){ 0 };
}

static uint8_t *copy_of(struct cph_span s)
{
    uint8_t *b = malloc(s.n + 1);

    if (b)
        memcpy(b, s.p, s.n);
    return b;
}

static struct invite *invite_new(struct lab_proxy *p, const struct cph_sip_msg *req,
                                 const struct cph_addr *from)
{
    struct invite *v = &p->invite[p->next_invite];

    p->next_invite = (p->next_invite + 1) % CALLS;
    invite_clear(v);
    if (cph_span_cstr(req->via[0].branch, v->branch, sizeof v->branch) != CPH_OK)
        return NULL;
    v->caller = *from;
    v->request = copy_of(req->bytes);
    v->request_n = req->bytes.n;
    return v->request ? v : NULL;
}

/* Parse what we kept of the INVITE. */
static bool original(struct lab_proxy *p, const struct invite *v, struct cph_sip_msg *out)
{
    return cph_sip_msg_parse(p->arena, (struct cph_span){ v->request, v->request_n },
                             CPH_SIP_DATAGRAM, out, NULL) == CPH_OK;
}

static bool ours_on_top(const struct lab_proxy *p, const struct cph_sip_msg *req)
{
    struct cph_sip_addr top;

    return cph_sip_addr_at(req, CPH_SIP_H_ROUTE, 0, &top) == CPH_OK && is_us(p, &top.uri);
}

static void to_target(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req,
                      unsigned i)
{
    struct cph_addr to;

    if (addr_of_text(v->target[i].uri, &to))
        forward(p, req, &v->caller, v->target[i].uri, &to, v->target[i].uri, ours_on_top(p, req));
}

/* An early dialog that no callee has: the network plays something first. */
static void fake_early(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char sdp[256], us[CPH_ADDR_TEXT];

    if (v->told_early)
        return;
    v->told_early = true;
    (void)cph_addr_ip(&p->addr, us);
    (void)snprintf(sdp, sizeof sdp,
                   "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                   "m=audio 40000 RTP/AVP 0\r\n",
                   us, us);
    cph_sip_wr_response(&wr, req, 183, (struct cph_span){ 0 }, CPH_SPAN_LIT("network"), &v->caller);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<sip:announcement@%s>", us);
    cph_sip_wr_body(&wr, CPH_SPAN_LIT("application/sdp"), cph_span_of(sdp));
    send_to(p, &v->caller, &wr);
}

static void on_invite(struct lab_proxy *p, const struct cph_sip_msg *req,
                      const struct cph_addr *from)
{
    struct invite *v = invite_of(p, req->via[0].branch);
    bool mine = is_us(p, &req->uri);

    if (v) { /* once more: where nobody answered yet */
        for (unsigned i = 0; i < v->n; i++)
            if (v->target[i].status == 0)
                to_target(p, v, req, i);
        return;
    }
    v = invite_new(p, req, from);
    if (!v)
        return;
    reply(p, req, from, 100);
    for (unsigned i = 0; mine && i < p->contacts && v->n < TARGETS; i++)
        if (cph_span_is(req->uri.user, p->contact[i].user))
            memcpy(v->target[v->n++].uri, p->contact[i].uri, URI);
    if (!mine && cph_span_cstr(req->uri.text, v->target[0].uri, URI) == CPH_OK)
        v->n = 1;
    if (v->n == 0) {
        reply(p, req, from, 404);
        return;
    }
    p->counts.forks += v->n > 1;
    if (p->cfg.fake_early)
        fake_early(p, v, req);
    for (unsigned i = 0; i < v->n; i++)
        to_target(p, v, req, i);
}

/* CANCEL of ours, or the ACK of a failure that ends with us: built from what was forwarded. */
static void hop(struct lab_proxy *p, const struct cph_sip_msg *req, const char *uri,
                const char *method, const struct cph_sip_addr *to_value)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    char branch[BRANCH], us[CPH_ADDR_TEXT];
    struct cph_addr to;

    if (!addr_of_text(uri, &to))
        return;
    branch_for(req, uri, branch);
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
    send_to(p, &to, &wr);
}

static void cancel_rest(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req)
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->target[i].status == 0 && !v->target[i].cancelled) {
            v->target[i].cancelled = true;
            p->counts.cancelled++;
            hop(p, req, v->target[i].uri, "CANCEL", NULL);
        }
}

static void on_cancel(struct lab_proxy *p, const struct cph_sip_msg *cancel,
                      const struct cph_addr *from)
{
    struct invite *v = invite_of(p, cancel->via[0].branch);
    struct cph_sip_msg req;

    reply(p, cancel, from, v ? 200 : 481);
    if (v && original(p, v, &req))
        cancel_rest(p, v, &req);
}

static void on_request(struct lab_proxy *p, const struct cph_sip_msg *req,
                       const struct cph_addr *from)
{
    bool drop = ours_on_top(p, req);
    struct cph_sip_addr next;
    struct cph_addr to;
    char uri[URI];

    p->counts.requests++;
    if (req->method == CPH_SIP_REGISTER) {
        on_register(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_INVITE && req->to.tag.n == 0) {
        on_invite(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_CANCEL) {
        on_cancel(p, req, from);
        return;
    }
    if (req->method == CPH_SIP_ACK && invite_of(p, req->via[0].branch))
        return; /* of a failure we told */
    if (cph_span_cstr(req->uri.text, uri, sizeof uri) != CPH_OK)
        return;
    if (cph_sip_addr_at(req, CPH_SIP_H_ROUTE, drop ? 1 : 0, &next) == CPH_OK) {
        if (!addr_of_uri(&next.uri, &to))
            return;
    } else if (is_us(p, &req->uri) || !addr_of_uri(&req->uri, &to)) {
        if (req->method != CPH_SIP_ACK)
            reply(p, req, from, 404);
        return;
    }
    forward(p, req, from, uri, &to, uri, drop);
}

/* ---- responses ------------------------------------------------------------------------------- */

static void pass_up(struct lab_proxy *p, const struct cph_sip_msg *res, const struct cph_addr *from)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    struct cph_addr to;
    struct cph_span body;
    bool first = true;

    if (res->n_via < 2 || !via_back(&res->via[1], &to) || !body_for(p, res, from, &body))
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
    send_to(p, &to, &wr);
}

static bool follow(struct lab_proxy *p, struct invite *v, const struct cph_sip_msg *req,
                   const struct cph_sip_msg *res)
{
    struct cph_sip_addr contact;
    struct cph_addr to;

    if (!p->cfg.recurse || v->n == TARGETS ||
        cph_sip_addr_at(res, CPH_SIP_H_CONTACT, 0, &contact) != CPH_OK ||
        !addr_of_uri(&contact.uri, &to) ||
        cph_span_cstr(contact.uri.text, v->target[v->n].uri, URI) != CPH_OK)
        return false;
    p->counts.recursed++;
    to_target(p, v, req, v->n++);
    return true;
}

static void keep_best(struct invite *v, const struct cph_sip_msg *res)
{
    if (v->best_status && v->best_status <= res->status)
        return;
    free(v->best);
    v->best = copy_of(res->bytes);
    v->best_n = res->bytes.n;
    v->best_status = v->best ? res->status : 0;
}

/* A final failure of one target: HERFP, only one of them reaches the caller. */
static void failed(struct lab_proxy *p, struct invite *v, unsigned i, const struct cph_sip_msg *req,
                   const struct cph_sip_msg *res, const struct cph_addr *from)
{
    struct cph_sip_msg best;

    hop(p, req, v->target[i].uri, "ACK", &res->to);
    if (v->target[i].status)
        return;
    v->target[i].status = res->status;
    if (v->answered || (res->status < 400 && follow(p, v, req, res)))
        return;
    keep_best(v, res);
    for (unsigned k = 0; k < v->n; k++)
        if (v->target[k].status == 0)
            return;
    if (v->best && cph_sip_msg_parse(p->arena, (struct cph_span){ v->best, v->best_n },
                                     CPH_SIP_DATAGRAM, &best, NULL) == CPH_OK)
        pass_up(p, &best, from);
}

static void on_response(struct lab_proxy *p, const struct cph_sip_msg *res,
                        const struct cph_addr *from)
{
    struct invite *v = res->n_via > 1 ? invite_of(p, res->via[1].branch) : NULL;
    struct cph_sip_msg req;
    unsigned i = 0;

    p->counts.responses++;
    if (res->method == CPH_SIP_CANCEL || res->status == 100)
        return;
    if (!v || res->method != CPH_SIP_INVITE || !original(p, v, &req)) {
        pass_up(p, res, from);
        return;
    }
    for (i = 0; i < v->n; i++) {
        char branch[BRANCH];

        branch_for(&req, v->target[i].uri, branch);
        if (cph_span_is(res->via[0].branch, branch))
            break;
    }
    if (i == v->n)
        return;
    if (res->status >= 300) {
        failed(p, v, i, &req, res, from);
        return;
    }
    pass_up(p, res, from);
    if (res->status >= 200 && v->target[i].status == 0) {
        v->target[i].status = res->status;
        v->answered = true;
        cancel_rest(p, v, &req);
    }
}

/* RFC 3581: its requests come from elsewhere than its Via says. */
static void learn(struct lab_proxy *p, const struct cph_sip_msg *req, const struct cph_addr *from)
{
    struct cph_addr said;
    unsigned i = 0;

    if (cph_addr_parse_ip(req->via[0].host, &said) != CPH_OK)
        return;
    said.port = req->via[0].port ? req->via[0].port : SIP_PORT;
    if (cph_addr_eq(&said, from))
        return;
    while (i < p->aliases && !cph_addr_eq(&p->alias[i].said, &said))
        i++;
    if (i == ALIASES)
        return;
    p->alias[i] = (struct alias){ said, *from };
    p->aliases += i == p->aliases;
}

static void take(struct lab_proxy *p, const struct cph_addr *from, struct cph_span bytes)
{
    struct cph_sip_msg msg;

    cph_arena_free(p->arena);
    p->arena = NULL;
    if (cph_arena_new(4 * (size_t)CPH_SIP_ARENA, &p->arena) != CPH_OK ||
        cph_sip_msg_parse(p->arena, bytes, p->tls ? CPH_SIP_STREAM : CPH_SIP_DATAGRAM, &msg,
                          NULL) != CPH_OK)
        return;
    if (msg.is_request) {
        if (!p->tls)
            learn(p, &msg, from);
        on_request(p, &msg, from);
    } else {
        on_response(p, &msg, from);
    }
}

static void on_datagram(void *ctx, const struct cph_addr *local, const struct cph_addr *from,
                        struct cph_span bytes, cph_time now)
{
    (void)local;
    (void)now;
    take(ctx, from, bytes);
}

static void on_message(void *ctx, const struct cph_addr *from, struct cph_span message)
{
    take(ctx, from, message);
}

static void on_flow_open(void *ctx, uint32_t flow, bool incoming, const struct cph_addr *local,
                         const struct cph_addr *remote, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)local;
    (void)now;
    if (incoming && p->tls)
        lab_tls_opened(p->tls, p->node, flow, remote);
}

static void on_flow_bytes(void *ctx, uint32_t flow, struct cph_span bytes, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)now;
    if (p->tls)
        lab_tls_bytes(p->tls, p->node, flow, bytes);
}

static void on_flow_closed(void *ctx, uint32_t flow, cph_time now)
{
    struct lab_proxy *p = ctx;

    (void)now;
    if (p->tls)
        lab_tls_closed(p->tls, flow);
}

static void on_wake(void *ctx, cph_time now)
{
    send_due(ctx, now);
}

static const struct lab_node_ops node_ops = { on_datagram, on_flow_open, on_flow_bytes,
                                              on_flow_closed, on_wake };

cph_err lab_proxy_new(struct lab_net *net, const struct lab_proxy_config *cfg,
                      struct lab_proxy **out)
{
    struct lab_proxy *p = calloc(1, sizeof *p);
    cph_err err;

    if (!p)
        return CPH_E_NOMEM;
    p->net = net;
    p->cfg = *cfg;
    err = cph_addr_parse_ip(cph_span_of(cfg->ip), &p->addr);
    p->addr.port = cfg->key ? SIPS_PORT : SIP_PORT;
    if (err == CPH_OK)
        err = lab_node_new(net, &node_ops, p, &p->node);
    if (err == CPH_OK)
        err = lab_bind(p->node, &p->addr);
    if (err == CPH_OK && cfg->key)
        err = lab_tls_new(net, cfg->key, cfg->cert, on_message, p, &p->tls);
    if (err != CPH_OK) {
        free(p);
        return err;
    }
    *out = p;
    return CPH_OK;
}

void lab_proxy_free(struct lab_proxy *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < CALLS; i++)
        invite_clear(&p->invite[i]);
    while (p->queue) {
        struct queued *q = p->queue;

        p->queue = q->next;
        free(q);
    }
    lab_unbind(p->node, &p->addr);
    lab_tls_free(p->tls);
    cph_arena_free(p->arena);
    free(p);
}

struct lab_proxy_counts lab_proxy_counts(const struct lab_proxy *p)
{
    return p->counts;
}

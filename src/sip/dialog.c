#include "ua_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- making and ending: RFC 3261 12.1 ---- */

static void free_routes(struct sip_dlg *d)
{
    for (size_t i = 0; i < d->n_route; i++)
        free(d->route[i]);
    free(d->route);
    d->route = NULL;
    d->n_route = 0;
}

static void free_parts(struct sip_dlg *d)
{
    free_routes(d);
    free(d->remote_tag);
    free(d->remote);
    free(d->local);
    free(d->target);
    free(d);
}

void sip_dlg_free(struct sip_dlg *d)
{
    struct sip_call *call = d->call;
    struct cph_sip_ua *ua = call->ua;

    for (size_t i = 0; i < call->n_dlg; i++) {
        if (call->dlg[i] == d) {
            call->dlg[i] = call->dlg[--call->n_dlg];
            break;
        }
    }
    if (call->win == d)
        call->win = NULL;
    for (struct sip_link *l = ua->reqs.next; l != &ua->reqs; l = l->next) {
        struct sip_req *q = SIP_OF(struct sip_req, link, l);

        if (q->cseq == &d->local_cseq)
            q->cseq = NULL;
        if (q->owner == d) {
            q->owner = NULL;
            q->done = NULL;
        }
    }
    ua->n_dlgs--;
    free_parts(d);
}

/* The route set out of Record-Route, reversed for the caller (12.1.2). */
cph_err sip_dlg_routes(struct sip_dlg *d, const struct sip_in *in, bool reverse)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span v;
    char **route = calloc(CPH_SIP_VALUES_MAX, sizeof *route);
    size_t n = 0;

    if (!route)
        return CPH_E_NOMEM;
    while (n < CPH_SIP_VALUES_MAX && cph_sip_each(&in->msg, CPH_SIP_H_RECORD_ROUTE, &it, &v)) {
        route[n] = sip_strdup(v);
        if (!route[n])
            goto nomem;
        n++;
    }
    for (size_t i = 0; reverse && i < n / 2; i++) {
        char *t = route[i];

        route[i] = route[n - 1 - i];
        route[n - 1 - i] = t;
    }
    free_routes(d);
    d->route = route;
    d->n_route = n;
    return CPH_OK;
nomem:
    while (n)
        free(route[--n]);
    free(route);
    return CPH_E_NOMEM;
}

static cph_err set_target(struct sip_dlg *d, const struct sip_in *in)
{
    struct cph_sip_addr a;

    if (cph_sip_addr_at(&in->msg, CPH_SIP_H_CONTACT, 0, &a) != CPH_OK || a.star)
        return CPH_E_NOTFOUND;
    if (a.uri.scheme != CPH_SIP_SCHEME_SIP && a.uri.scheme != CPH_SIP_SCHEME_SIPS)
        return CPH_E_UNSUPPORTED;
    /* RFC 3261 12.2.1.1, 26.2.2: a secure dialog never gets a target that is not sips */
    if (d->call->sips && a.uri.scheme != CPH_SIP_SCHEME_SIPS)
        return CPH_E_POLICY;
    a.uri.text = cph_span_head(a.uri.text,
                               a.uri.text.n - (a.uri.headers.n ? a.uri.headers.n + 1 : 0));
    return sip_str_set(&d->target, a.uri.text);
}

void sip_dlg_refresh(struct sip_dlg *d, const struct sip_in *in)
{
    cph_err err = set_target(d, in);

    if (err && err != CPH_E_NOTFOUND)
        sip_log(d->call->ua, CPH_LOG_INFO, "a new remote target is not taken: %s",
                cph_err_text(err));
    if (in->path.flow)
        d->hint = in->path.flow;
    if (cph_sip_has_token(&in->msg, CPH_SIP_H_ALLOW, "UPDATE"))
        d->peer_update = true;
}

static cph_err dlg_new(struct sip_call *call, struct sip_dlg **out)
{
    struct sip_dlg *d;

    if (call->n_dlg >= SIP_DIALOGS_MAX)
        return CPH_E_LIMIT;
    d = calloc(1, sizeof *d);
    if (!d)
        return CPH_E_NOMEM;
    d->call = call;
    d->id = ++call->next_branch;
    call->dlg[call->n_dlg++] = d;
    call->ua->n_dlgs++;
    *out = d;
    return CPH_OK;
}

cph_err sip_dlg_uac(struct sip_call *call, const struct sip_in *in, struct sip_dlg **out)
{
    const struct cph_sip_header *to = cph_sip_find(&in->msg, CPH_SIP_H_TO);
    struct sip_dlg *d;
    cph_err err;

    CPH_TRY(dlg_new(call, &d));
    d->local_cseq = in->msg.cseq.number;
    err = sip_str_set(&d->remote_tag, in->msg.to.tag);
    if (!err)
        err = sip_str_set(&d->remote, to->value);
    if (!err)
        err = sip_str_set(&d->local, cph_span_of(call->local));
    if (!err)
        err = set_target(d, in);
    if (err == CPH_E_NOTFOUND) /* a 1xx without Contact: until a better one comes */
        err = sip_str_set(&d->target, cph_span_of(call->request_uri));
    if (!err)
        err = sip_dlg_routes(d, in, true);
    if (err) {
        sip_dlg_free(d);
        return err;
    }
    d->hint = in->path.flow;
    d->peer_update = cph_sip_has_token(&in->msg, CPH_SIP_H_ALLOW, "UPDATE");
    *out = d;
    return CPH_OK;
}

cph_err sip_dlg_uas(struct sip_call *call, const struct sip_in *in, struct sip_dlg **out)
{
    const struct cph_sip_header *from = cph_sip_find(&in->msg, CPH_SIP_H_FROM);
    struct sip_dlg *d;
    uint32_t start = 0;
    cph_err err;

    CPH_TRY(dlg_new(call, &d));
    d->remote_cseq = in->msg.cseq.number;
    d->has_remote_cseq = true;
    err = cph_random(call->ua->env, &start, sizeof start);
    d->local_cseq = start & 0xffff;
    if (!err)
        err = sip_str_set(&d->remote_tag, in->msg.from.tag);
    if (!err)
        err = sip_str_set(&d->remote, from->value);
    if (!err)
        err = sip_str_set(&d->local, cph_span_of(call->local));
    if (!err)
        err = set_target(d, in);
    if (!err)
        err = sip_dlg_routes(d, in, false);
    if (err) {
        sip_dlg_free(d);
        return err;
    }
    d->hint = in->path.flow;
    d->direct = in->msg.n_via == 1;
    d->peer_update = cph_sip_has_token(&in->msg, CPH_SIP_H_ALLOW, "UPDATE");
    *out = d;
    return CPH_OK;
}

struct sip_dlg *sip_dlg_find(struct cph_sip_ua *ua, const struct sip_in *in)
{
    for (struct sip_link *l = ua->calls.next; l != &ua->calls; l = l->next) {
        struct sip_call *c = SIP_OF(struct sip_call, link, l);

        if (!c->call_id || !cph_span_is(in->msg.call_id, c->call_id) ||
            !cph_span_is(in->msg.to.tag, c->local_tag))
            continue;
        for (size_t i = 0; i < c->n_dlg; i++) {
            if (c->dlg[i]->state != SIP_DLG_KILLED &&
                cph_span_is(in->msg.from.tag, c->dlg[i]->remote_tag))
                return c->dlg[i];
        }
    }
    return NULL;
}

/* ---- requests inside: RFC 3261 12.2.1.1 ---- */

static cph_err route_line(struct cph_wr *wr, struct cph_span value)
{
    cph_sip_wr_header(wr, CPH_SIP_H_ROUTE, value);
    return cph_wr_end(wr);
}

/* Request-URI, Route lines and next hop of q, from a route set and a target: loose, or strict for
 * the proxies of RFC 2543 that do not say lr. */
cph_err sip_route_lines(struct sip_req *q, char *const *route, size_t n, struct cph_span target)
{
    struct cph_wr wr = cph_wr_open(q->ua->scratch, q->ua->scratch_n);
    struct cph_sip_addr first;
    struct cph_span lr;
    size_t from = 0;
    bool loose = true;

    if (n) {
        CPH_TRY(cph_sip_addr_parse(cph_span_of(route[0]), &first));
        loose = cph_sip_uri_param(&first.uri, "lr", &lr);
    }
    if (!loose)
        from = 1;
    for (size_t i = from; i < n; i++)
        CPH_TRY(route_line(&wr, cph_span_of(route[i])));
    if (!loose) {
        cph_wr_text(&wr, "Route: <");
        cph_wr_span(&wr, target);
        cph_wr_text(&wr, ">\r\n");
    }
    CPH_TRY(cph_wr_end(&wr));
    q->d.routes = sip_req_copy(q, cph_wr_done(&wr));
    q->d.uri = sip_req_copy(q, loose ? target : first.uri.text);
    q->d.next_hop = sip_req_copy(q, n ? first.uri.text : target);
    return q->d.routes.p && q->d.uri.p && q->d.next_hop.p ? CPH_OK : CPH_E_NOMEM;
}

/* A connection the dialog's messages came on serves its requests too: if the neighbour is the peer
 * itself (one Via), or the next hop is the very address it leads to. */
static uint32_t hint_for(const struct sip_dlg *d, const struct cph_span next_hop)
{
    const struct sip_flow *f = d->hint ? sip_flow_get(d->call->ua, d->hint) : NULL;
    struct cph_sip_uri uri;
    struct cph_addr ip;

    if (!f || f->state != SIP_FLOW_OPEN || cph_sip_uri_parse(next_hop, &uri) != CPH_OK)
        return 0;
    if (f->incoming && !d->n_route && d->direct)
        return f->id;
    if (cph_addr_parse_ip(uri.host, &ip) != CPH_OK)
        return 0;
    ip.port = uri.port ? uri.port : sip_default_port(f->proto);
    return cph_addr_eq(&ip, &f->peer) ? f->id : 0;
}

cph_err sip_dlg_request(struct sip_dlg *d, enum cph_sip_method method, uint32_t ack_cseq,
                        struct sip_req **out)
{
    struct sip_call *call = d->call;
    struct sip_req *q;
    cph_err err;

    CPH_TRY(sip_req_new(call->ua, method, &q));
    err = sip_route_lines(q, d->route, d->n_route, cph_span_of(d->target));
    if (!err) {
        q->d.from = sip_req_copy(q, cph_span_of(d->local));
        q->d.to = sip_req_copy(q, cph_span_of(d->remote));
        q->d.call_id = sip_req_copy(q, cph_span_of(call->call_id));
        q->d.contact_user = sip_req_copy(q, cph_span_of(call->contact_user));
        if (!q->d.from.p || !q->d.to.p || !q->d.call_id.p || !q->d.contact_user.p)
            err = CPH_E_NOMEM;
    }
    if (err) {
        sip_req_free(q);
        return err;
    }
    q->d.contact = method == CPH_SIP_INVITE || method == CPH_SIP_UPDATE;
    q->d.sips = call->sips;
    q->account = call->account;
    q->hint = hint_for(d, q->d.next_hop);
    if (method == CPH_SIP_ACK) {
        q->ack = true;
        q->d.cseq = ack_cseq;
    } else {
        q->d.cseq = ++d->local_cseq;
        q->cseq = &d->local_cseq;
    }
    *out = q;
    return CPH_OK;
}

/* ---- a 2xx nobody waits for: RFC 3261 13.2.2.4 ---- */

static struct sip_dlg *dlg_of_response(struct cph_sip_ua *ua, const struct sip_in *in)
{
    for (struct sip_link *l = ua->calls.next; l != &ua->calls; l = l->next) {
        struct sip_call *c = SIP_OF(struct sip_call, link, l);

        if (!c->call_id || !cph_span_is(in->msg.call_id, c->call_id) ||
            !cph_span_is(in->msg.from.tag, c->local_tag))
            continue;
        for (size_t i = 0; i < c->n_dlg; i++) {
            if (cph_span_is(in->msg.to.tag, c->dlg[i]->remote_tag))
                return c->dlg[i];
        }
    }
    return NULL;
}

/* RFC 3261 13.2.2.4 MUST: each repeat of a 2xx is acknowledged, also when a later INVITE of the
 * same dialog is under way already. False: there is no such dialog (any more). */
bool sip_dlg_ack_repeat(struct cph_sip_ua *ua, const struct sip_in *in)
{
    struct sip_dlg *d = dlg_of_response(ua, in);
    struct sip_req *q;

    if (!d)
        return false;
    if (d->ack && d->ack->d.cseq == in->msg.cseq.number)
        sip_req_ack_again(d->ack);
    else if (sip_dlg_request(d, CPH_SIP_ACK, in->msg.cseq.number, &q) != CPH_OK ||
             sip_req_send(q) != CPH_OK)
        ua->count.transport_failed++;
    return true;
}

void sip_dlg_refuse_2xx(struct sip_req *invite, struct sip_in *in)
{
    struct sip_call call = { 0 };
    struct sip_dlg *d = NULL;
    struct sip_req *q;

    call.ua = invite->ua;
    call.account = invite->account;
    call.sips = invite->d.sips;
    call.call_id = sip_strdup(invite->d.call_id);
    call.local = sip_strdup(invite->d.from);
    call.request_uri = sip_strdup(invite->d.uri);
    if (call.call_id && call.local && call.request_uri && sip_dlg_uac(&call, in, &d) == CPH_OK) {
        if (sip_dlg_request(d, CPH_SIP_ACK, in->msg.cseq.number, &q) == CPH_OK)
            (void)(sip_req_send(q) == CPH_OK);
        sip_call_bye(&call, d, NULL);
        sip_dlg_free(d);
    }
    free(call.call_id);
    free(call.local);
    free(call.request_uri);
}

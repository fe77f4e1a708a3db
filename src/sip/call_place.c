/* The caller's INVITE: to whom, as whom, by which way. RFC 3261 13.2.1. */
#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sending ---- */

/* Only whole lines "Name: value" without stray controls: nothing of the app can break out of its
 * place. */
bool sip_lines_ok(const char *lines)
{
    struct cph_span rest = cph_span_of(lines), line;

    if (!lines || !*lines)
        return true;
    if (!cph_span_is(cph_span_from(rest, rest.n < 2 ? 0 : rest.n - 2), "\r\n"))
        return false;
    while (cph_span_line(&rest, &line)) {
        size_t colon = cph_span_find(line, ':');

        if (colon == 0 || colon == line.n || line.p[0] == ' ' || line.p[0] == '\t')
            return false;
        for (size_t i = 0; i < line.n; i++) {
            if ((line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
                return false;
        }
    }
    return true;
}

static cph_err invite_extra(const struct sip_call *c, struct sip_req *q)
{
    size_t extra = c->extra ? strlen(c->extra) : 0;
    struct cph_wr wr = cph_wr_open(q->ua->scratch, q->ua->scratch_n);

    cph_wr_fmt(&wr, "Allow: %s\r\n", sip_allow);
    cph_wr_fmt(&wr, "Supported: %s\r\n",
               c->rel == CPH_SIP_100REL_OFF ? "timer" : sip_supported(c->ua));
    if (c->rel == CPH_SIP_100REL_REQUIRED)
        cph_wr_text(&wr, "Require: 100rel\r\n");
    sip_timer_request_lines(c, &wr);
    cph_wr_fmt(&wr, "Accept: %s\r\n", q->ua->accept);
    cph_wr_bytes(&wr, c->extra ? c->extra : "", extra);
    CPH_TRY(cph_wr_end(&wr));
    q->d.extra = sip_req_copy(q, cph_wr_done(&wr));
    return q->d.extra.p ? CPH_OK : CPH_E_NOMEM;
}

static cph_err fill_invite(struct sip_call *c, struct sip_req *q, const char *uri)
{
    CPH_TRY(sip_route_lines(q, c->route, c->n_route, cph_span_of(uri)));
    CPH_TRY(invite_extra(c, q));
    q->d.from = sip_req_copy(q, cph_span_of(c->local));
    q->d.to = sip_req_copy(q, cph_span_of(c->remote));
    q->d.call_id = sip_req_copy(q, cph_span_of(c->call_id));
    q->d.contact_user = sip_req_copy(q, cph_span_of(c->contact_user));
    if (c->offer_out.n) {
        q->d.type = sip_req_copy(q, cph_span_of(c->offer_out.type));
        q->d.body = sip_req_copy(q, (struct cph_span){ c->offer_out.body, c->offer_out.n });
        if (!q->d.type.p || !q->d.body.p)
            return CPH_E_NOMEM;
    }
    if (!q->d.from.p || !q->d.to.p || !q->d.call_id.p || !q->d.contact_user.p)
        return CPH_E_NOMEM;
    q->d.contact = true;
    q->d.sips = c->sips;
    q->d.cseq = ++c->cseq;
    q->cseq = &c->cseq;
    q->account = c->account;
    q->owner = c;
    q->done = sip_call_on_invite;
    q->went = sip_call_went;
    return CPH_OK;
}

cph_err sip_call_send_invite(struct sip_call *c, const char *uri)
{
    struct sip_req *q;
    cph_err err;

    CPH_TRY(sip_str_set(&c->request_uri, cph_span_of(uri)));
    CPH_TRY(sip_req_new(c->ua, CPH_SIP_INVITE, &q));
    err = fill_invite(c, q, c->request_uri);
    if (err) {
        sip_req_free(q);
        return err;
    }
    CPH_TRY(sip_req_send(q));
    c->invite = q;
    return CPH_OK;
}

/* ---- placing ---- */

/* An address the app gave: with angle brackets as in a header; without, all of it is the URI, so
 * that
 * ";transport=tcp" belongs to it. */
cph_err sip_app_addr(const char *text, struct cph_sip_addr *out)
{
    struct cph_span s = cph_span_of(text);

    if (cph_span_find(s, '<') < s.n)
        return cph_sip_addr_parse(s, out);
    memset(out, 0, sizeof *out);
    out->text = s;
    return cph_sip_uri_parse(cph_span_trim(s), &out->uri);
}

static cph_err set_from(struct sip_call *c, const char *from)
{
    struct cph_wr wr = cph_wr_open(c->ua->scratch, c->ua->scratch_n);
    struct cph_sip_addr a;
    char tag[SIP_TAG_MAX];

    CPH_TRY(sip_app_addr(from, &a));
    if (a.tag.n)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_random_hex(c->ua->env, tag, 16));
    CPH_TRY(sip_str_set(&c->local_tag, cph_span_of(tag)));
    if (a.display.n) {
        cph_wr_span(&wr, a.display);
        cph_wr_u8(&wr, ' ');
    }
    cph_wr_u8(&wr, '<');
    cph_wr_span(&wr, a.uri.text);
    cph_wr_fmt(&wr, ">;tag=%s", tag);
    CPH_TRY(cph_wr_end(&wr));
    CPH_TRY(sip_str_set(&c->local, cph_wr_done(&wr)));
    CPH_TRY(sip_str_set(&c->own_uri, a.uri.text));
    return c->contact_user ? CPH_OK : sip_str_set(&c->contact_user, a.uri.user);
}

static cph_err set_to(struct sip_call *c, const char *to)
{
    struct cph_wr wr = cph_wr_open(c->ua->scratch, c->ua->scratch_n);
    struct cph_span uri;
    struct cph_sip_addr a;

    CPH_TRY(sip_app_addr(to, &a));
    if (a.tag.n || a.star)
        return CPH_E_ARGUMENT;
    if (a.uri.scheme != CPH_SIP_SCHEME_SIP && a.uri.scheme != CPH_SIP_SCHEME_SIPS && !c->n_route)
        return CPH_E_UNSUPPORTED;
    c->sips = a.uri.scheme == CPH_SIP_SCHEME_SIPS;
    /* RFC 3261 19.1.1 MUST: headers of a URI do not go into a Request-URI */
    uri = cph_span_head(a.uri.text, a.uri.text.n - (a.uri.headers.n ? a.uri.headers.n + 1 : 0));
    if (a.display.n) {
        cph_wr_span(&wr, a.display);
        cph_wr_u8(&wr, ' ');
    }
    cph_wr_u8(&wr, '<');
    cph_wr_span(&wr, uri);
    cph_wr_u8(&wr, '>');
    CPH_TRY(cph_wr_end(&wr));
    CPH_TRY(sip_str_set(&c->remote, cph_wr_done(&wr)));
    CPH_TRY(sip_str_set(&c->peer_uri, uri));
    return sip_str_set(&c->request_uri, uri);
}

cph_err sip_routes_of(const char *const *route, char ***out, size_t *n)
{
    char **r = calloc(CPH_SIP_ROUTES_MAX, sizeof *r);
    struct cph_sip_addr a;
    cph_err err = CPH_OK;

    if (!r)
        return CPH_E_NOMEM;
    *out = r;
    for (*n = 0; *n < CPH_SIP_ROUTES_MAX && route[*n]; (*n)++) {
        size_t len = strlen(route[*n]) + 3;

        err = sip_app_addr(route[*n], &a);
        if (err)
            return err;
        r[*n] = malloc(len);
        if (!r[*n])
            return CPH_E_NOMEM;
        if (a.brackets)
            snprintf(r[*n], len, "%s", route[*n]);
        else
            snprintf(r[*n], len, "<%s>", route[*n]);
    }
    return CPH_OK;
}

static cph_err fill_call(struct sip_call *c, const struct cph_sip_place *p)
{
    char id[40];

    c->outgoing = true;
    c->state = SIP_CALL_CALLING;
    c->cookie = p->cookie;
    c->account = p->account;
    c->rel = p->rel;
    c->late = !p->body.n;
    c->pending = c->late ? SIP_OFFER_NONE : SIP_OFFER_OURS;
    CPH_TRY(sip_routes_of(p->route, &c->route, &c->n_route));
    if (p->contact_user)
        CPH_TRY(sip_str_set(&c->contact_user, cph_span_of(p->contact_user)));
    CPH_TRY(set_from(c, p->from));
    CPH_TRY(set_to(c, p->to));
    CPH_TRY(cph_random_hex(c->ua->env, id, 32));
    CPH_TRY(sip_str_set(&c->call_id, cph_span_of(id)));
    if (p->headers)
        CPH_TRY(sip_str_set(&c->extra, cph_span_of(p->headers)));
    if (!c->late) {
        CPH_TRY(sip_blob_set(&c->offer_out, p->type, p->body));
        CPH_TRY(sip_blob_set(&c->offer, p->type, p->body));
    }
    return sip_timer_set(c->ua, &c->limit, SIP_TIMER_CALL, c,
                         p->ring_limit ? p->ring_limit : CPH_SEC(180));
}

static bool place_ok(const struct cph_sip_place *p)
{
    for (size_t i = 0; i < CPH_SIP_ROUTES_MAX; i++) {
        if (!sip_clean(p->route[i]))
            return false;
    }
    return p->to && p->from && sip_clean(p->to) && sip_clean(p->from) &&
           sip_clean(p->contact_user) && sip_clean(p->type) && sip_lines_ok(p->headers) &&
           p->body.n <= SIP_LOCAL_BODY_MAX;
}

cph_err cph_sip_call_place(struct cph_sip_ua *ua, const struct cph_sip_place *p, cph_time now,
                           uint32_t *call)
{
    struct sip_call *c;
    char *uri = NULL;
    cph_err err;

    ua->now = now;
    if (!place_ok(p))
        return CPH_E_ARGUMENT;
    CPH_TRY(sip_call_new(ua, &c));
    err = fill_call(c, p);
    if (!err && c->sips && !ua->cfg.tls)
        err = CPH_E_POLICY; /* RFC 5630: sips without TLS cannot be */
    if (!err)
        uri = sip_strdup(cph_span_of(c->request_uri));
    if (!err)
        err = uri ? sip_call_send_invite(c, uri) : CPH_E_NOMEM;
    free(uri);
    if (err) {
        sip_call_free(c);
        return err;
    }
    *call = c->id;
    return CPH_OK;
}

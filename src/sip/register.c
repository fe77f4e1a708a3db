#include "ua_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Registrations (RFC 3261 10.2), and OPTIONS outside of a dialog (11.1). */

static void on_register(struct sip_req *q, struct sip_in *in, cph_err why);

void sip_reg_free(struct sip_reg *r)
{
    struct cph_sip_ua *ua = r->ua;

    cph_timers_stop(&ua->timers, &r->refresh);
    if (r->req) {
        r->req->owner = NULL;
        r->req->done = NULL;
        r->req->cseq = NULL;
    }
    for (size_t i = 0; i < r->n_contact; i++)
        free(r->contact[i]);
    for (size_t i = 0; i < r->n_route; i++)
        free(r->route[i]);
    free(r->route);
    free(r->registrar);
    free(r->aor);
    free(r->call_id);
    free(r->tag);
    free(r->contact_user);
    sip_list_del(&r->link);
    ua->n_regs--;
    free(r);
}

static struct sip_reg *reg_get(struct cph_sip_ua *ua, uint32_t id)
{
    for (struct sip_link *l = ua->regs.next; l != &ua->regs; l = l->next) {
        struct sip_reg *r = SIP_OF(struct sip_reg, link, l);

        if (r->id == id && !r->options)
            return r;
    }
    return NULL;
}

static cph_err reg_new(struct cph_sip_ua *ua, const char *const *route, struct sip_reg **out)
{
    struct sip_reg *r = calloc(1, sizeof *r);
    char hex[40];
    cph_err err;

    if (!r)
        return CPH_E_NOMEM;
    r->ua = ua;
    r->id = ++ua->next_reg;
    sip_list_add(&ua->regs, &r->link);
    ua->n_regs++;
    err = cph_random_hex(ua->env, hex, 32);
    if (!err)
        err = sip_str_set(&r->call_id, cph_span_of(hex));
    if (!err)
        err = cph_random_hex(ua->env, hex, 16);
    if (!err)
        err = sip_str_set(&r->tag, cph_span_of(hex));
    if (!err)
        err = sip_routes_of(route, &r->route, &r->n_route);
    if (err) {
        sip_reg_free(r);
        return err;
    }
    *out = r;
    return CPH_OK;
}

/* ---- sending ---- */

static cph_err contact_lines(const struct sip_reg *r, struct sip_req *q)
{
    struct cph_wr wr = cph_wr_open(q->ua->scratch, q->ua->scratch_n);

    for (size_t i = 0; i < r->n_contact; i++)
        cph_wr_fmt(&wr, "Contact: <%s>\r\n", r->contact[i]);
    CPH_TRY(cph_wr_end(&wr));
    q->d.contacts = sip_req_copy(q, cph_wr_done(&wr));
    return q->d.contacts.p ? CPH_OK : CPH_E_NOMEM;
}

/* value with <> around a bare URI, and our tag if it is From */
static cph_err addr_value(struct sip_req *q, const char *text, const char *tag,
                          struct cph_span *out)
{
    struct cph_wr wr = cph_wr_open(q->ua->scratch, q->ua->scratch_n);
    struct cph_sip_addr a;

    CPH_TRY(sip_app_addr(text, &a));
    if (a.display.n) {
        cph_wr_span(&wr, a.display);
        cph_wr_u8(&wr, ' ');
    }
    cph_wr_u8(&wr, '<');
    cph_wr_span(&wr, a.uri.text);
    cph_wr_u8(&wr, '>');
    if (tag)
        cph_wr_fmt(&wr, ";tag=%s", tag);
    CPH_TRY(cph_wr_end(&wr));
    *out = sip_req_copy(q, cph_wr_done(&wr));
    return out->p ? CPH_OK : CPH_E_NOMEM;
}

static cph_err fill(struct sip_reg *r, struct sip_req *q, const char *uri, const char *to,
                    const char *extra)
{
    struct cph_sip_addr a;

    CPH_TRY(sip_app_addr(uri, &a));
    q->d.sips = a.uri.scheme == CPH_SIP_SCHEME_SIPS;
    CPH_TRY(sip_route_lines(
        q, r->route, r->n_route,
        cph_span_head(a.uri.text, a.uri.text.n - (a.uri.headers.n ? a.uri.headers.n + 1 : 0))));
    CPH_TRY(addr_value(q, r->aor, r->tag, &q->d.from));
    CPH_TRY(addr_value(q, to, NULL, &q->d.to));
    q->d.call_id = sip_req_copy(q, cph_span_of(r->call_id));
    q->d.contact_user = sip_req_copy(q, cph_span_of(r->contact_user));
    q->d.extra = sip_req_copy(q, cph_span_of(extra));
    if (!q->d.call_id.p || !q->d.contact_user.p || !q->d.extra.p)
        return CPH_E_NOMEM;
    q->d.contact = true;
    q->d.cseq = ++r->cseq;
    q->cseq = &r->cseq;
    q->account = r->account;
    q->owner = r;
    return CPH_OK;
}

static cph_err send_register(struct sip_reg *r)
{
    struct sip_req *q;
    char extra[400];
    cph_err err;

    if (r->req) { /* a response is due, or only the transaction's end */
        r->req->owner = NULL;
        r->req->done = NULL;
        r->req->cseq = NULL;
        r->req = NULL;
    }
    snprintf(extra, sizeof extra, "Expires: %u\r\nAllow: %s\r\nSupported: %s\r\n",
             r->going ? r->expires : 0, sip_allow, sip_supported(r->ua));
    CPH_TRY(sip_req_new(r->ua, CPH_SIP_REGISTER, &q));
    err = fill(r, q, r->registrar, r->aor, extra);
    if (!err && r->n_contact)
        err = contact_lines(r, q);
    if (err) {
        sip_req_free(q);
        return err;
    }
    q->done = on_register;
    CPH_TRY(sip_req_send(q));
    r->req = q;
    return CPH_OK;
}

/* ---- answers ---- */

/* Is this Contact of the registrar's list one of ours? */
static bool is_ours(const struct sip_reg *r, const struct sip_req *q, const struct cph_sip_uri *uri)
{
    struct cph_sip_uri mine;
    char host[CPH_SIP_NAME_MAX + 16];
    char buf[2 * CPH_SIP_NAME_MAX + 64];

    for (size_t i = 0; i < r->n_contact; i++) {
        if (cph_sip_uri_parse(cph_span_of(r->contact[i]), &mine) == CPH_OK &&
            cph_sip_uri_eq(&mine, uri))
            return true;
    }
    if (r->n_contact)
        return false;
    sip_sent_by(r->ua, q->path.proto, q->path.peer.family, host);
    snprintf(buf, sizeof buf, "sip:%s", host);
    if (cph_sip_uri_parse(cph_span_of(buf), &mine) != CPH_OK)
        return false;
    return cph_span_ieq(mine.host, uri->host) && mine.port == uri->port &&
           cph_span_is(uri->user, r->contact_user);
}

static unsigned granted_for(const struct sip_reg *r, const struct sip_req *q,
                            const struct sip_in *in, unsigned *n)
{
    uint32_t common = r->expires, best = 0, v;
    struct cph_sip_addr a;
    struct cph_span text;

    (void)(cph_sip_number(&in->msg, CPH_SIP_H_EXPIRES, &common) == CPH_OK);
    *n = 0;
    for (size_t i = 0; cph_sip_addr_at(&in->msg, CPH_SIP_H_CONTACT, i, &a) == CPH_OK; i++) {
        if (a.star)
            continue;
        ++*n;
        if (!is_ours(r, q, &a.uri))
            continue;
        v = common;
        if (cph_sip_param(a.params, "expires", &text) && cph_span_u32(text, &v) != CPH_OK)
            v = common;
        if (!best || v < best)
            best = v;
    }
    return best;
}

static void emit_reg(struct sip_reg *r, enum cph_sip_event_kind kind, struct sip_in *in,
                     cph_err why, unsigned expires, unsigned contacts, unsigned retry_s)
{
    struct sip_event *ev = sip_emit(r->ua, kind, in);

    if (!ev)
        return;
    ev->e.id = r->id;
    ev->e.cookie = r->cookie;
    ev->e.cause = why;
    ev->e.expires = expires;
    ev->e.contacts = contacts;
    ev->e.retry_s = retry_s;
    if (!in && why)
        (void)snprintf(ev->text, sizeof ev->text, "%s", sip_failure_words(r->ua, why));
}

static void registered(struct sip_reg *r, struct sip_req *q, struct sip_in *in)
{
    unsigned n, granted = granted_for(r, q, in, &n);
    cph_time next;

    r->failures = 0;
    if (!r->going) {
        emit_reg(r, CPH_SIP_EV_REGISTERED, in, CPH_OK, 0, n, 0);
        sip_reg_free(r);
        return;
    }
    if (!granted) /* it does not list us: believe what we asked for, but look again soon */
        granted = r->expires < 60 ? r->expires : 60;
    r->granted = true;
    emit_reg(r, CPH_SIP_EV_REGISTERED, in, CPH_OK, granted, n, 0);
    next = granted > 120 ? CPH_SEC((cph_time)granted - 60) : CPH_SEC((cph_time)granted) / 2;
    if (sip_timer_set(r->ua, &r->refresh, SIP_TIMER_REG, r, next) != CPH_OK)
        r->ua->count.dropped_nomem++;
}

static void register_failed(struct sip_reg *r, struct sip_in *in, cph_err why)
{
    unsigned status = in ? in->msg.status : 0, retry = 0;
    uint32_t min;

    if (status == 423 && cph_sip_number(&in->msg, CPH_SIP_H_MIN_EXPIRES, &min) == CPH_OK &&
        min > r->expires && min <= 604800 && r->going) { /* RFC 3261 10.2.8 */
        r->expires = min;
        if (send_register(r) == CPH_OK)
            return;
    }
    if (!r->going) {
        emit_reg(r, CPH_SIP_EV_REGISTER_FAILED, in, why, 0, 0, 0);
        sip_reg_free(r);
        return;
    }
    /* what may pass by itself is tried again, further and further apart */
    if (!in || status == 408 || status == 480 || status >= 500) {
        retry = 30u << (r->failures < 6 ? r->failures : 6);
        r->failures++;
        if (sip_timer_set(r->ua, &r->refresh, SIP_TIMER_REG, r, CPH_SEC((cph_time)retry)) != CPH_OK)
            retry = 0;
    }
    emit_reg(r, CPH_SIP_EV_REGISTER_FAILED, in, why, 0, 0, retry);
}

static void on_register(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_reg *r = q->owner;

    if (in && in->msg.status < 200)
        return;
    if (!in && !why) {
        if (r->req == q)
            r->req = NULL;
        return;
    }
    q->owner = NULL;
    q->done = NULL;
    q->cseq = NULL;
    r->req = NULL;
    if (in && in->msg.status < 300)
        registered(r, q, in);
    else
        register_failed(r, in, why);
}

void sip_reg_timer(struct sip_reg *r)
{
    cph_err err = send_register(r);

    if (err)
        register_failed(r, NULL, err);
}

/* ---- what the app may ask ---- */

/* Its first request went out and it is the app's, or it is gone. */
static cph_err begun(struct sip_reg *r, cph_err err, uint32_t *id)
{
    if (err)
        sip_reg_free(r);
    else
        *id = r->id;
    return err;
}

static cph_err fill_reg(struct sip_reg *r, const struct cph_sip_reg *cfg)
{
    struct cph_sip_addr a;

    CPH_TRY(sip_app_addr(cfg->aor, &a));
    CPH_TRY(sip_str_set(&r->contact_user, a.uri.user));
    CPH_TRY(sip_str_set(&r->aor, cph_span_of(cfg->aor)));
    CPH_TRY(sip_str_set(&r->registrar, cph_span_of(cfg->registrar)));
    for (size_t i = 0; i < CPH_SIP_CONTACTS_MAX && cfg->contact[i]; i++) {
        struct cph_sip_uri uri;

        CPH_TRY(cph_sip_uri_parse(cph_span_of(cfg->contact[i]), &uri));
        CPH_TRY(sip_str_set(&r->contact[i], uri.text));
        r->n_contact++;
    }
    r->expires = cfg->expires ? cfg->expires : 3600;
    r->cookie = cfg->cookie;
    r->account = cfg->account;
    r->going = true;
    return CPH_OK;
}

cph_err cph_sip_register(struct cph_sip_ua *ua, const struct cph_sip_reg *cfg, cph_time now,
                         uint32_t *id)
{
    struct sip_reg *r;
    cph_err err;

    ua->now = now;
    if (!cfg->registrar || !cfg->aor || !sip_clean(cfg->registrar) || !sip_clean(cfg->aor))
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < CPH_SIP_ROUTES_MAX; i++) {
        if (!sip_clean(cfg->route[i]))
            return CPH_E_ARGUMENT;
    }
    CPH_TRY(reg_new(ua, cfg->route, &r));
    err = fill_reg(r, cfg);
    if (!err)
        err = send_register(r);
    return begun(r, err, id);
}

cph_err cph_sip_unregister(struct cph_sip_ua *ua, uint32_t id, cph_time now)
{
    struct sip_reg *r = reg_get(ua, id);
    cph_err err;

    ua->now = now;
    if (!r)
        return CPH_E_NOTFOUND;
    if (!r->going)
        return CPH_E_STATE;
    r->going = false;
    cph_timers_stop(&ua->timers, &r->refresh);
    err = send_register(r);
    if (err) { /* the contacts run out by themselves */
        emit_reg(r, CPH_SIP_EV_REGISTER_FAILED, NULL, err, 0, 0, 0);
        sip_reg_free(r);
    }
    return CPH_OK;
}

/* ---- OPTIONS ---- */

static void on_options(struct sip_req *q, struct sip_in *in, cph_err why)
{
    struct sip_reg *r = q->owner;

    if (in && in->msg.status < 200)
        return;
    if (in || why)
        emit_reg(r, CPH_SIP_EV_OPTIONS_DONE, in, why, 0, 0, 0);
    sip_reg_free(r);
}

static cph_err send_options(struct sip_reg *r, const struct cph_sip_place *p)
{
    struct cph_sip_addr a;
    struct sip_req *q;
    char extra[128];
    cph_err err;

    CPH_TRY(sip_app_addr(p->from, &a));
    CPH_TRY(
        sip_str_set(&r->contact_user, p->contact_user ? cph_span_of(p->contact_user) : a.uri.user));
    CPH_TRY(sip_str_set(&r->aor, cph_span_of(p->from)));
    CPH_TRY(sip_req_new(r->ua, CPH_SIP_OPTIONS, &q));
    snprintf(extra, sizeof extra, "Accept: %.90s\r\n", r->ua->accept);
    err = fill(r, q, p->to, p->to, extra);
    if (err) {
        sip_req_free(q);
        return err;
    }
    q->done = on_options;
    CPH_TRY(sip_req_send(q));
    r->req = q;
    return CPH_OK;
}

cph_err cph_sip_options(struct cph_sip_ua *ua, const struct cph_sip_place *p, cph_time now,
                        uint32_t *id)
{
    struct sip_reg *r;

    ua->now = now;
    if (!p->to || !p->from || !sip_clean(p->to) || !sip_clean(p->from) ||
        !sip_clean(p->contact_user))
        return CPH_E_ARGUMENT;
    CPH_TRY(reg_new(ua, p->route, &r));
    r->options = true;
    r->cookie = p->cookie;
    r->account = p->account;
    return begun(r, send_options(r, p), id);
}

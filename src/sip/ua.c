#include "ciphony/sip_ua.h"

#include "ua_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char sip_allow[] = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK";
const char *sip_supported(const struct cph_sip_ua *ua)
{
    return ua->cfg.precondition ? "100rel, timer, precondition" : "100rel, timer";
}

/* ---- small helpers ---- */

char *sip_strdup(struct cph_span s)
{
    char *p = malloc(s.n + 1);

    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

cph_err sip_str_set(char **dst, struct cph_span s)
{
    char *p = sip_strdup(s);

    if (!p)
        return CPH_E_NOMEM;
    free(*dst);
    *dst = p;
    return CPH_OK;
}

void sip_blob_clear(struct sip_blob *b)
{
    free(b->type);
    cph_free_secret(b->body, b->n); /* an SDP may hold keys */
    memset(b, 0, sizeof *b);
}

cph_err sip_blob_set(struct sip_blob *b, const char *type, struct cph_span body)
{
    struct sip_blob n = { 0 };

    n.type = sip_strdup(cph_span_of(type ? type : "application/sdp"));
    n.body = malloc(body.n + 1);
    if (!n.type || !n.body) {
        free(n.type);
        free(n.body);
        return CPH_E_NOMEM;
    }
    if (body.n)
        memcpy(n.body, body.p, body.n);
    n.n = body.n;
    sip_blob_clear(b);
    *b = n;
    return CPH_OK;
}

bool sip_clean(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

const char *sip_failure_words(const struct cph_sip_ua *ua, cph_err why)
{
    return why == ua->tls_err && ua->tls_why[0] ? ua->tls_why : cph_err_text(why);
}

void sip_log(struct cph_sip_ua *ua, enum cph_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    cph_log(ua->env, level, "sip", "%s", line);
}

cph_err sip_timer_set(struct cph_sip_ua *ua, struct cph_timer *t, enum sip_timer_kind kind,
                      void *owner, cph_time in_us)
{
    t->kind = (int)kind;
    t->owner = owner;
    return cph_timers_set(&ua->timers, t, ua->now + in_us);
}

/* ---- new and free ---- */

static void defaults(struct cph_sip_ua_cfg *c)
{
    if (!c->max_transactions)
        c->max_transactions = 512;
    if (!c->max_calls)
        c->max_calls = 64;
    if (!c->max_flows)
        c->max_flows = 64;
    if (!c->max_message || c->max_message > CPH_SIP_MSG_MAX)
        c->max_message = 65536;
    if (!c->max_redirects)
        c->max_redirects = 5;
    /* RFC 3261 18.1.1: 200 bytes below the MTU of the path, or 1300 if nobody knows that */
    c->path_mtu = c->path_mtu > SIP_UDP_MAX + 200 ? c->path_mtu - 200 : SIP_UDP_MAX;
    if (!c->t1)
        c->t1 = CPH_MS(500);
    if (!c->idle)
        c->idle = CPH_SEC(600);
    if (c->min_se < 90)
        c->min_se = 90; /* RFC 4028 5 MUST: not below 90 s */
    if (c->session_expires && c->session_expires < c->min_se)
        c->session_expires = c->min_se;
}

static cph_err copy_strings(struct cph_sip_ua *ua)
{
    const struct cph_sip_ua_cfg *c = &ua->cfg;

    for (unsigned i = 0; i < c->n_listeners; i++) {
        if (c->listener[i].host && !(ua->host[i] = sip_strdup(cph_span_of(c->listener[i].host))))
            return CPH_E_NOMEM;
    }
    if (c->user_agent && !(ua->user_agent = sip_strdup(cph_span_of(c->user_agent))))
        return CPH_E_NOMEM;
    ua->accept = sip_strdup(cph_span_of(c->accept ? c->accept : "application/sdp"));
    return ua->accept ? CPH_OK : CPH_E_NOMEM;
}

static cph_err check_cfg(const struct cph_sip_ua_cfg *c)
{
    if (!c->env || !c->n_listeners || c->n_listeners > CPH_SIP_LISTENERS_MAX)
        return CPH_E_CONFIG;
    if (!sip_clean(c->user_agent) || !sip_clean(c->accept))
        return CPH_E_CONFIG;
    for (unsigned i = 0; i < c->n_listeners; i++) {
        const struct cph_sip_listener *l = &c->listener[i];

        if (l->addr.family == CPH_AF_NONE || (cph_addr_is_any(&l->addr) && !l->host))
            return CPH_E_CONFIG;
        if (l->host && !cph_sip_is_host(cph_span_of(l->host)))
            return CPH_E_CONFIG;
        if (l->proto == CPH_SIP_TLS && (!c->tls || !c->tls->cert || !c->tls->key))
            return CPH_E_CONFIG;
    }
    return CPH_OK;
}

cph_err cph_sip_ua_new(const struct cph_sip_ua_cfg *cfg, cph_time now, struct cph_sip_ua **out)
{
    struct cph_sip_ua *ua;
    cph_err err;

    CPH_TRY(check_cfg(cfg));
    ua = calloc(1, sizeof *ua);
    if (!ua)
        return CPH_E_NOMEM;
    ua->cfg = *cfg;
    ua->env = cfg->env;
    ua->now = now;
    defaults(&ua->cfg);
    sip_list_init(&ua->reqs);
    sip_list_init(&ua->calls);
    sip_list_init(&ua->regs);
    sip_list_init(&ua->flows);
    sip_list_init(&ua->queries);
    sip_list_init(&ua->actions);
    sip_list_init(&ua->events);
    sip_list_init(&ua->doomed);
    ua->scratch_n = CPH_SIP_MSG_MAX;
    ua->scratch = malloc(ua->scratch_n);
    ua->scratch2 = malloc(ua->scratch_n);
    err = ua->scratch && ua->scratch2 ? copy_strings(ua) : CPH_E_NOMEM;
    if (!err)
        err = cph_map_init(&ua->txs, ua->env, ua->cfg.max_transactions);
    if (!err)
        err = cph_map_init(&ua->merges, ua->env, ua->cfg.max_transactions);
    if (err) {
        cph_sip_ua_free(ua);
        return err;
    }
    *out = ua;
    return CPH_OK;
}

static void free_all_txs(struct cph_sip_ua *ua)
{
    struct sip_tx *tx;
    size_t at = 0;

    while ((tx = cph_map_each(&ua->txs, &at))) {
        tx->req = NULL;
        sip_tx_free(tx);
    }
}

void cph_sip_ua_free(struct cph_sip_ua *ua)
{
    if (!ua)
        return;
    while (ua->calls.next != &ua->calls)
        sip_call_free(SIP_OF(struct sip_call, link, ua->calls.next));
    while (ua->regs.next != &ua->regs)
        sip_reg_free(SIP_OF(struct sip_reg, link, ua->regs.next));
    while (ua->reqs.next != &ua->reqs)
        sip_req_free(SIP_OF(struct sip_req, link, ua->reqs.next));
    free_all_txs(ua);
    while (ua->flows.next != &ua->flows)
        sip_flow_free(SIP_OF(struct sip_flow, link, ua->flows.next));
    while (ua->events.next != &ua->events) {
        struct sip_event *ev = SIP_OF(struct sip_event, link, ua->events.next);

        sip_list_del(&ev->link);
        sip_event_free(ev);
    }
    sip_event_free(ua->shown);
    sip_actions_free(ua);
    cph_map_free(&ua->txs);
    cph_map_free(&ua->merges);
    cph_timers_free(&ua->timers);
    for (unsigned i = 0; i < CPH_SIP_LISTENERS_MAX; i++)
        free(ua->host[i]);
    free(ua->user_agent);
    free(ua->accept);
    cph_free_secret(ua->scratch, ua->scratch ? ua->scratch_n : 0);
    cph_free_secret(ua->scratch2, ua->scratch2 ? ua->scratch_n : 0);
    free(ua);
}

const struct cph_sip_counters *cph_sip_ua_counters(const struct cph_sip_ua *ua)
{
    return &ua->count;
}

struct cph_sip_load cph_sip_ua_load(const struct cph_sip_ua *ua)
{
    struct cph_sip_load l = { 0 };

    l.transactions = ua->txs.n;
    l.requests = ua->n_reqs;
    l.calls = ua->n_calls;
    l.dialogs = ua->n_dlgs;
    l.flows = ua->n_flows;
    l.registrations = ua->n_regs;
    l.queries = ua->n_queries;
    l.timers = ua->timers.n;
    l.messages = ua->n_in;
    return l;
}

bool cph_sip_ua_waits(const struct cph_sip_ua *ua)
{
    for (struct sip_link *l = ua->reqs.next; l != &ua->reqs; l = l->next) {
        const struct sip_req *q = SIP_OF(struct sip_req, link, l);

        if (!q->ack && !q->final && !q->dead)
            return true;
    }
    return false;
}

/* ---- time ---- */

cph_time cph_sip_ua_deadline(const struct cph_sip_ua *ua)
{
    return ua->doomed.next != &ua->doomed ? ua->now : cph_timers_next(&ua->timers);
}

void cph_sip_ua_tick(struct cph_sip_ua *ua, cph_time now)
{
    struct cph_timer *t;

    ua->now = now;
    sip_tx_reap(ua);
    while ((t = cph_timers_due(&ua->timers, now))) {
        switch ((enum sip_timer_kind)t->kind) {
        case SIP_TIMER_TX:
            sip_tx_timer(t->owner, t);
            break;
        case SIP_TIMER_FLOW:
            sip_flow_timer(t->owner, t);
            break;
        case SIP_TIMER_REQ:
            sip_req_timer(t->owner);
            break;
        case SIP_TIMER_CALL:
            sip_call_timer(t->owner, t);
            break;
        case SIP_TIMER_REG:
            sip_reg_timer(t->owner);
            break;
        }
    }
}

/* ---- events ---- */

const char *cph_sip_event_name(enum cph_sip_event_kind kind)
{
    static const char *const name[] = {
        "incoming",   "progress",        "answered",     "branch-gone", "confirmed", "offer",
        "offer-done", "prack",           "info",         "info-done",   "refreshed", "ended",
        "registered", "register-failed", "options-done",
    };
    return (size_t)kind < sizeof name / sizeof *name ? name[kind] : "?";
}

void sip_event_free(struct sip_event *ev)
{
    if (!ev)
        return;
    sip_in_unref(ev->in);
    free(ev);
}

/* An event that reports what is in the message. NULL when there is no room. */
struct sip_event *sip_emit(struct cph_sip_ua *ua, enum cph_sip_event_kind kind, struct sip_in *in)
{
    struct sip_event *ev = ua->n_events < SIP_EVENTS_MAX ? calloc(1, sizeof *ev) : NULL;

    if (!ev) {
        ua->count.dropped_nomem++;
        return NULL;
    }
    ev->e.kind = kind;
    if (in) {
        ev->in = sip_in_ref(in);
        ev->e.msg = &in->msg;
        ev->e.status = in->msg.status;
        ev->e.reason = in->msg.reason;
        ev->e.from = in->msg.from.uri.text;
        ev->e.to = in->msg.to.uri.text;
        ev->e.request_uri = in->msg.uri.text;
        sip_body_of(&in->msg, ua->accept, &ev->e.type, &ev->e.body);
    }
    sip_list_add(&ua->events, &ev->link);
    ua->n_events++;
    return ev;
}

cph_err cph_sip_ua_event(struct cph_sip_ua *ua, struct cph_sip_event *out)
{
    sip_event_free(ua->shown);
    ua->shown = NULL;
    if (ua->events.next == &ua->events)
        return CPH_E_AGAIN;
    ua->shown = SIP_OF(struct sip_event, link, ua->events.next);
    sip_list_del(&ua->shown->link);
    ua->n_events--;
    if (!ua->shown->e.reason.n && ua->shown->text[0])
        ua->shown->e.reason = cph_span_of(ua->shown->text);
    *out = ua->shown->e;
    return CPH_OK;
}

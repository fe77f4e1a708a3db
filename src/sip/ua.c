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

/* ---- bodies ---- */

static bool type_in(struct cph_span list, struct cph_span type)
{
    struct cph_sip_content_type ct;

    if (cph_sip_content_type_parse(type, &ct) != CPH_OK)
        return false;
    while (list.n) {
        struct cph_span one = cph_span_trim(cph_span_cut(&list, ','));
        struct cph_span main = cph_span_trim(cph_span_cut(&one, '/'));

        if (cph_span_ieq(main, ct.type) && cph_span_ieq(cph_span_trim(one), ct.subtype))
            return true;
    }
    return false;
}

void sip_body_of(const struct cph_sip_msg *msg, const char *accept, struct cph_span *type,
                 struct cph_span *body)
{
    const struct cph_sip_header *h = cph_sip_find(msg, CPH_SIP_H_CONTENT_TYPE);
    struct cph_sip_content_type ct;
    struct cph_sip_part part[CPH_SIP_PARTS_MAX];
    size_t n = 0;

    *body = msg->body;
    *type = h ? h->value : (struct cph_span){ 0 };
    if (!h || !msg->body.n || cph_sip_content_type_parse(h->value, &ct) != CPH_OK ||
        !cph_span_iis(ct.type, "multipart"))
        return;
    bool last = cph_span_iis(ct.subtype, "alternative");

    /* RFC 5621 3: of a multipart body, the first part of a type we take; RFC 2046 5.1.4: of
     * alternatives the last */
    if (cph_sip_multipart_split(h->value, msg->body, part, CPH_SIP_PARTS_MAX, &n) != CPH_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct cph_span t;

        if (cph_sip_part_header(&part[i], "Content-Type", &t) && type_in(cph_span_of(accept), t)) {
            *type = t;
            *body = part[i].body;
            if (!last)
                return;
        }
    }
}

/* ---- responses ---- */

cph_err sip_respond(struct sip_tx *tx, unsigned status, const char *reason, struct cph_span headers,
                    bool contact, struct cph_span type, struct cph_span body)
{
    struct cph_sip_ua *ua = tx->ua;
    struct cph_wr wr = cph_wr_open(ua->scratch, ua->scratch_n);
    const struct sip_in *in = tx->in;
    struct cph_span tag = { 0 };

    if (status > 100)
        tag = cph_span_of(tx->tag);
    cph_sip_wr_response(&wr, &in->msg, status, cph_span_of(reason), tag, &in->path.peer);
    /* RFC 3261 12.1.1 MUST: a response that makes a dialog copies Record-Route and has a Contact */
    if (contact && status > 100 && status < 300)
        cph_sip_wr_copy_all(&wr, &in->msg, CPH_SIP_H_RECORD_ROUTE);
    if (contact) {
        bool sips = in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS || (tx->call && tx->call->sips);

        cph_wr_text(&wr, "Contact: ");
        sip_wr_contact(ua, &wr, cph_span_of(tx->call ? tx->call->contact_user : ""), tx->path.proto,
                       tx->path.peer.family, sips);
        cph_wr_text(&wr, "\r\n");
    }
    cph_wr_span(&wr, headers);
    if (ua->user_agent)
        cph_sip_wr_header(&wr, CPH_SIP_H_SERVER, cph_span_of(ua->user_agent));
    cph_sip_wr_body(&wr, type, body);
    CPH_TRY(cph_wr_end(&wr));
    return sip_tx_respond(tx, status, cph_wr_done(&wr));
}

static void refuse(struct sip_tx *tx, unsigned status, struct cph_span headers)
{
    if (sip_respond(tx, status, "", headers, false, (struct cph_span){ 0 },
                    (struct cph_span){ 0 }) != CPH_OK)
        tx->ua->count.transport_failed++;
}

/* ---- requests: RFC 3261 8.2 ---- */

static bool method_known(struct sip_tx *tx, const struct sip_in *in)
{
    char line[128];

    switch (in->msg.method) {
    case CPH_SIP_INVITE:
    case CPH_SIP_BYE:
    case CPH_SIP_CANCEL:
    case CPH_SIP_OPTIONS:
    case CPH_SIP_INFO:
    case CPH_SIP_UPDATE:
    case CPH_SIP_PRACK:
        return true;
    case CPH_SIP_OTHER_METHOD:
        tx->ua->count.bad_method++;
        refuse(tx, 501, (struct cph_span){ 0 });
        return false;
    default: /* RFC 3261 8.2.1 MUST: 405 lists what is allowed */
        tx->ua->count.bad_method++;
        snprintf(line, sizeof line, "Allow: %s\r\n", sip_allow);
        refuse(tx, 405, cph_span_of(line));
        return false;
    }
}

static bool scheme_known(struct sip_tx *tx, const struct sip_in *in)
{
    if (in->msg.uri.scheme != CPH_SIP_SCHEME_SIP && in->msg.uri.scheme != CPH_SIP_SCHEME_SIPS &&
        in->msg.uri.scheme != CPH_SIP_SCHEME_TEL) {
        tx->ua->count.bad_scheme++;
        refuse(tx, 416, (struct cph_span){ 0 });
        return false;
    }
    if (in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS && in->path.proto != CPH_SIP_TLS) {
        /* RFC 5630 3.1.3: the last-hop exception is gone: sips came without TLS, so somebody broke
         * it */
        tx->ua->count.bad_sips++;
        refuse(tx, 480, CPH_SPAN_LIT("Warning: 380 ciphony \"SIPS Not Allowed\"\r\n"));
        return false;
    }
    return true;
}

static bool extensions_known(struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span tag;
    char lines[512];
    struct cph_wr wr = cph_wr_open(lines, sizeof lines);
    bool bad = false;

    while (cph_sip_each(&in->msg, CPH_SIP_H_REQUIRE, &it, &tag)) {
        if (cph_span_iis(tag, "100rel") || cph_span_iis(tag, "timer") ||
            (tx->ua->cfg.precondition && cph_span_iis(tag, "precondition")))
            continue;
        bad = true;
        if (tag.n < 64 && wr.n + tag.n + 20 < sizeof lines)
            cph_sip_wr_header(&wr, CPH_SIP_H_UNSUPPORTED, tag);
    }
    if (!bad)
        return true;
    tx->ua->count.bad_require++;
    refuse(tx, 420, cph_wr_done(&wr)); /* RFC 3261 8.2.2.3 MUST */
    return false;
}

static bool body_known(struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span coding, type, body;
    char line[256];
    bool bad = false;

    if (!in->msg.body.n || (in->msg.method != CPH_SIP_INVITE && in->msg.method != CPH_SIP_UPDATE &&
                            in->msg.method != CPH_SIP_PRACK))
        return true;
    while (cph_sip_each(&in->msg, CPH_SIP_H_CONTENT_ENCODING, &it, &coding))
        bad |= !cph_span_iis(coding, "identity");
    sip_body_of(&in->msg, tx->ua->accept, &type, &body);
    bad |= !type_in(cph_span_of(tx->ua->accept), type);
    if (!bad)
        return true;
    tx->ua->count.bad_body_type++;
    snprintf(line, sizeof line, "Accept: %s\r\nAccept-Encoding: identity\r\n", tx->ua->accept);
    refuse(tx, 415, cph_span_of(line));
    return false;
}

static void answer_options(struct sip_tx *tx)
{
    char lines[512];

    snprintf(lines, sizeof lines,
             "Allow: %s\r\nAccept: %s\r\nAccept-Encoding: identity\r\nSupported: %s\r\n", sip_allow,
             tx->ua->accept, sip_supported(tx->ua));
    if (sip_respond(tx, 200, "", cph_span_of(lines), true, (struct cph_span){ 0 },
                    (struct cph_span){ 0 }) != CPH_OK)
        tx->ua->count.transport_failed++;
}

static void outside_dialog(struct sip_tx *tx, struct sip_in *in)
{
    switch (in->msg.method) {
    case CPH_SIP_INVITE:
        sip_call_invite(tx, in);
        break;
    case CPH_SIP_OPTIONS:
        answer_options(tx);
        break;
    default: /* BYE, INFO, UPDATE, PRACK make sense in a dialog only */
        tx->ua->count.bad_no_dialog++;
        refuse(tx, 481, (struct cph_span){ 0 });
        break;
    }
}

void sip_core_request(struct sip_tx *tx, struct sip_in *in)
{
    struct sip_dlg *d;

    if (!method_known(tx, in))
        return;
    if (in->msg.method == CPH_SIP_CANCEL) {
        sip_core_cancel(tx, in);
        return;
    }
    if (!scheme_known(tx, in) || !extensions_known(tx, in) || !body_known(tx, in))
        return;
    if (!in->msg.to.tag.n) {
        outside_dialog(tx, in);
        return;
    }
    d = sip_dlg_find(tx->ua, in);
    if (!d) { /* RFC 3261 12.2.2 MUST: 481 */
        tx->ua->count.bad_no_dialog++;
        refuse(tx, 481, (struct cph_span){ 0 });
    } else if (in->msg.method == CPH_SIP_OPTIONS) {
        answer_options(tx);
    } else {
        sip_call_in_dialog(tx, in, d);
    }
}

void sip_core_ack(struct cph_sip_ua *ua, struct sip_in *in, struct sip_call *call)
{
    struct sip_dlg *d = sip_dlg_find(ua, in);

    (void)call; /* the dialog says whose it is, also for a client of RFC 2543 */
    if (d && d->call)
        sip_call_ack(d->call, in);
    else
        ua->count.bad_stray_ack++;
}

/* RFC 3261 9.2 */
void sip_core_cancel(struct sip_tx *tx, struct sip_in *in)
{
    struct sip_tx *invite = sip_tx_of_cancel(tx->ua, in);

    if (!invite) {
        tx->ua->count.bad_stray_cancel++;
        refuse(tx, 481, (struct cph_span){ 0 });
        return;
    }
    memcpy(tx->tag, invite->tag, sizeof tx->tag); /* SHOULD: the same To tag */
    refuse(tx, 200, (struct cph_span){ 0 });
    if (invite->state == SIP_TX_PROCEEDING && invite->call)
        sip_call_cancelled(invite->call, in);
}

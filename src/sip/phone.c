#include "phone_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/keying_dtls.h"
#include "ciphony/keying_zrtp.h"
#include "ciphony/srtp.h"

static const char room[] = "phone";

/* ---- events for the host --------------------------------------------------------------------- */

static struct cph_phone_event *event_at(struct cph_phone *p, unsigned i)
{
    return &p->event[(p->event_first + i) % PHONE_EVENTS];
}

/* How little it matters that an event is lost. Ends are never: the host would wait for ever. */
static unsigned loss(enum cph_phone_event_kind kind)
{
    switch (kind) {
    case CPH_PHONE_NOTICE:
    case CPH_PHONE_DIGIT:
        return 3;
    case CPH_PHONE_RINGING:
    case CPH_PHONE_EARLY:
    case CPH_PHONE_CHANGED:
    case CPH_PHONE_SOURCE_OVER:
    case CPH_PHONE_REGISTERED:
        return 2;
    case CPH_PHONE_INCOMING:
    case CPH_PHONE_ANSWERED:
    case CPH_PHONE_SECURED:
    case CPH_PHONE_PLAIN:
    case CPH_PHONE_REGISTER_FAILED:
    case CPH_PHONE_UNREGISTERED:
    case CPH_PHONE_SAS:
    case CPH_PHONE_ENROLL:
    case CPH_PHONE_CLEARED:
        return 1;
    case CPH_PHONE_ENDED:
        break;
    }
    return 0;
}

/* Nobody listens: the oldest of those of least use goes. */
static void make_room(struct cph_phone *p)
{
    unsigned worst = 0;

    for (unsigned i = 1; i < p->event_n; i++)
        if (loss(event_at(p, i)->kind) > loss(event_at(p, worst)->kind))
            worst = i;
    if (loss(event_at(p, worst)->kind) == 0)
        return;
    for (unsigned i = worst; i + 1 < p->event_n; i++)
        *event_at(p, i) = *event_at(p, i + 1);
    p->event_n--;
}

/* The caller may fill in more; a scratch event is given when there is no room. */
struct cph_phone_event *phone_tell_more(struct cph_phone *p, enum cph_phone_event_kind kind,
                                        uint32_t call)
{
    struct cph_phone_event *ev;

    if (p->event_n == PHONE_EVENTS)
        make_room(p);
    if (p->event_n ==
        PHONE_EVENTS) { /* 256 ends that nobody takes; cannot be, see phone_call_new() */
        p->scratch = (struct cph_phone_event){ .kind = kind, .call = call };
        return &p->scratch;
    }
    ev = event_at(p, p->event_n++);
    *ev = (struct cph_phone_event){ .kind = kind, .call = call };
    return ev;
}

void phone_tell(struct cph_phone *p, enum cph_phone_event_kind kind, uint32_t call, const char *why)
{
    struct cph_phone_event *ev = phone_tell_more(p, kind, call);

    (void)snprintf(ev->why, sizeof ev->why, "%s", why ? why : "");
}

cph_err cph_phone_event(struct cph_phone *p, struct cph_phone_event *out)
{
    if (p->event_n == 0)
        return CPH_E_AGAIN;
    *out = p->event[p->event_first];
    p->event_first = (p->event_first + 1) % PHONE_EVENTS;
    p->event_n--;
    return CPH_OK;
}

const char *cph_phone_event_name(enum cph_phone_event_kind kind)
{
    static const char *const name[] = {
        [CPH_PHONE_INCOMING] = "incoming",
        [CPH_PHONE_RINGING] = "ringing",
        [CPH_PHONE_EARLY] = "early",
        [CPH_PHONE_ANSWERED] = "answered",
        [CPH_PHONE_SECURED] = "secured",
        [CPH_PHONE_PLAIN] = "plain",
        [CPH_PHONE_CHANGED] = "changed",
        [CPH_PHONE_DIGIT] = "digit",
        [CPH_PHONE_NOTICE] = "notice",
        [CPH_PHONE_SOURCE_OVER] = "source_over",
        [CPH_PHONE_ENDED] = "ended",
        [CPH_PHONE_REGISTERED] = "registered",
        [CPH_PHONE_REGISTER_FAILED] = "register_failed",
        [CPH_PHONE_UNREGISTERED] = "unregistered",
        [CPH_PHONE_SAS] = "sas",
        [CPH_PHONE_ENROLL] = "enroll",
        [CPH_PHONE_CLEARED] = "cleared",
    };

    return (size_t)kind < sizeof name / sizeof *name ? name[kind] : "";
}

const char *cph_phone_state_name(enum cph_phone_state state)
{
    static const char *const name[] = {
        [CPH_PHONE_ST_CALLING] = "calling", [CPH_PHONE_ST_RINGING] = "ringing",
        [CPH_PHONE_ST_EARLY] = "early",     [CPH_PHONE_ST_INCOMING] = "incoming",
        [CPH_PHONE_ST_TALKING] = "talking", [CPH_PHONE_ST_HELD] = "held",
        [CPH_PHONE_ST_ENDED] = "ended",
    };

    return (size_t)state < sizeof name / sizeof *name ? name[state] : "";
}

/* ---- calls in the table ---------------------------------------------------------------------- */

struct phone_call *phone_call_of(struct cph_phone *p, uint32_t id)
{
    struct phone_call *c = p->calls;

    while (c && c->id != id)
        c = c->next;
    return c;
}

struct phone_call *phone_call_by_sip(struct cph_phone *p, uint32_t sip)
{
    struct phone_call *c = p->calls;

    while (c && (c->sip != sip || sip == 0))
        c = c->next;
    return c;
}

cph_err phone_call_new(struct cph_phone *p, struct phone_account *a, struct cph_span peer,
                       bool outgoing, struct phone_call **out)
{
    struct phone_call *c;

    /* Those that ended count until the host has heard of it, so that every end has its place. */
    if (p->n_calls >= p->max_calls || p->n_calls >= PHONE_EVENTS)
        return CPH_E_LIMIT;
    if (peer.n >= sizeof c->peer)
        return CPH_E_MALFORMED; /* half an address is another one */
    c = calloc(1, sizeof *c);
    if (!c)
        return CPH_E_NOMEM;
    c->phone = p;
    c->id = ++p->next_id;
    c->account = a;
    c->policy = a->policy;
    c->outgoing = outgoing;
    c->state = outgoing ? CPH_PHONE_ST_CALLING : CPH_PHONE_ST_INCOMING;
    c->retry_at = c->ring_until = CPH_TIME_NEVER;
    if (cph_span_cstr(peer, c->peer, sizeof c->peer) != CPH_OK) {
        free(c);
        return CPH_E_MALFORMED;
    }
    c->next = p->calls;
    p->calls = c;
    p->n_calls++;
    *out = c;
    return CPH_OK;
}

void phone_call_free(struct phone_call *c)
{
    struct phone_call **at = &c->phone->calls;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->phone->n_calls--;
    if (c->ports_open)
        c->phone->host->media_close(c->phone->host->ctx, c->id);
    cph_free_secret(c->answer, c->answer_n);
    cph_media_flow_free(c->flow);
    phone_session_free(c);
    cph_cert_free(c->seal_cert);
    free(c);
}

/* ---- accounts -------------------------------------------------------------------------------- */

struct phone_account *phone_account_of(struct cph_phone *p, const char *name)
{
    if (!name)
        return &p->account[0];
    for (unsigned i = 0; i < p->n_accounts; i++)
        if (strcmp(p->account[i].name, name) == 0)
            return &p->account[i];
    return NULL;
}

static bool put_text(char *out, size_t cap, const char *text)
{
    int n = snprintf(out, cap, "%s", text ? text : "");

    return n >= 0 && (size_t)n < cap;
}

static cph_err add_account(struct cph_phone *p, const struct cph_phone_account *in)
{
    struct phone_account *a = &p->account[p->n_accounts];
    struct cph_sip_addr aor;

    if (p->n_accounts == CPH_PHONE_ACCOUNTS)
        return CPH_E_LIMIT;
    if (!put_text(a->name, sizeof a->name, in->name) || !put_text(a->aor, sizeof a->aor, in->aor) ||
        !put_text(a->registrar, sizeof a->registrar, in->registrar) ||
        !put_text(a->route, sizeof a->route, in->route) ||
        !put_text(a->user, sizeof a->user, in->user))
        return CPH_E_LIMIT;
    a->has_aor = in->aor != NULL;
    a->has_registrar = in->registrar != NULL;
    a->has_route = in->route != NULL;
    a->has_password = in->password != NULL;
    if (in->password)
        a->password = *in->password;
    if (a->has_aor) {
        CPH_TRY(cph_sip_addr_parse(cph_span_of(a->aor), &aor));
        if (!in->user)
            CPH_TRY(cph_span_cstr(aor.uri.user, a->user, sizeof a->user));
    }
    a->policy = in->policy;
    p->n_accounts++;
    return CPH_OK;
}

static cph_err add_caller(struct cph_phone *p, const struct cph_phone_caller *in)
{
    struct phone_caller *c = &p->caller[p->n_callers];

    if (p->n_callers == PHONE_CALLERS || !in->user || !in->password)
        return p->n_callers == PHONE_CALLERS ? CPH_E_LIMIT : CPH_E_ARGUMENT;
    if (!put_text(c->user, sizeof c->user, in->user))
        return CPH_E_LIMIT;
    c->password = *in->password;
    p->n_callers++;
    return CPH_OK;
}

/* ---- begin and end --------------------------------------------------------------------------- */

static cph_err make_manager(struct cph_phone *p)
{
    struct cph_manager_cfg cfg = { .env = p->env, .sst = &p->sst, .realm = "ciphony" };

    CPH_TRY(cph_sma_digest_new(p->env, cfg.realm, &p->digest));
    cfg.sma[cfg.sma_n++] = p->digest;
    CPH_TRY(cph_manager_new(&cfg, &p->manager));
    cph_attach_init(&p->attach, p->manager);
    return CPH_OK;
}

static cph_err make_dtls(struct cph_phone *p, unsigned resume_s)
{
    struct cph_dtls_cfg cfg = {
        .env = p->env, .key = p->key, .cert = p->cert, .resume_s = resume_s
    };

    return p->key && p->cert ? cph_dtls_new(&cfg, &p->dtls) : CPH_OK;
}

static cph_err fill_phone(struct cph_phone *p, const struct cph_phone_config *cfg, cph_time now)
{
    struct cph_sip_ua_cfg sip = *cfg->sip;

    p->env = cfg->env;
    p->host = cfg->host;
    p->key = cfg->key;
    p->cert = cfg->cert;
    p->has_zrtp = cfg->zrtp != NULL;
    if (cfg->zrtp)
        p->zrtp = *cfg->zrtp;
    p->mikey = cfg->mikey;
    CPH_TRY(make_dtls(p, cfg->resume_s));
    p->rtcp_mux = cfg->rtcp_mux;
    p->ekt = cfg->ekt;
    p->cryptex = cfg->cryptex;
    p->max_calls = cfg->max_calls ? cfg->max_calls : CPH_PHONE_CALLS;
    p->n_listeners = sip.n_listeners;
    memcpy(p->listener, sip.listener, sizeof p->listener);
    for (unsigned i = 0; i < cfg->n_accounts; i++)
        CPH_TRY(add_account(p, &cfg->account[i]));
    for (unsigned i = 0; i < cfg->n_callers; i++)
        CPH_TRY(add_caller(p, &cfg->caller[i]));
    if (p->n_accounts == 0 || p->n_listeners == 0)
        return CPH_E_ARGUMENT;
    p->n_codecs = phone_codecs(cfg->codecs, p->codec);
    if (p->n_codecs == 0)
        return CPH_E_CONFIG;
    CPH_TRY(cph_srtp_engine_new(cfg->portable_crypto ? CPH_SRTP_ACCEL_NONE : CPH_SRTP_ACCEL_AUTO,
                                &p->srtp));
    phone_trust_init(p);
    CPH_TRY(make_manager(p));
    if (cfg->smime) {
        CPH_TRY(phone_smime_init(p, cfg->smime));
        sip.accept = "application/sdp, application/pkcs7-mime";
    }
    for (unsigned i = 0; i < p->n_accounts; i++)
        sip.precondition |= p->account[i].policy.precondition != CPH_PRECONDITION_OFF;
    sip.hook = &p->attach.hook;
    sip.max_calls = p->max_calls;
    return cph_sip_ua_new(&sip, now, &p->ua);
}

cph_err cph_phone_new(const struct cph_phone_config *cfg, cph_time now, struct cph_phone **out)
{
    struct cph_phone *p = calloc(1, sizeof *p);
    cph_err err;

    if (!p)
        return CPH_E_NOMEM;
    err = fill_phone(p, cfg, now);
    if (err != CPH_OK) {
        cph_phone_free(p);
        return err;
    }
    cph_log(p->env, CPH_LOG_DEBUG, room, "SRTP by %s", cph_srtp_engine_name(p->srtp));
    *out = p;
    return CPH_OK;
}

void cph_phone_free(struct cph_phone *p)
{
    if (!p)
        return;
    while (p->calls)
        phone_call_free(p->calls);
    cph_sip_ua_free(p->ua);
    cph_manager_free(p->manager);
    cph_sma_digest_free(&p->digest);
    cph_srtp_engine_free(p->srtp);
    cph_smime_free(p->smime);
    cph_dtls_free(p->dtls);
    cph_free_secret(p, sizeof *p);
}

struct cph_sip_ua *cph_phone_ua(struct cph_phone *p)
{
    return p->ua;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

void cph_phone_media(struct cph_phone *p, uint32_t call, unsigned component,
                     const struct cph_addr *from, uint8_t *packet, size_t n, cph_time now)
{
    struct phone_call *c = phone_call_of(p, call);

    if (c && c->session && !c->ended) /* the error is the packet's; the session has counted it */
        (void)cph_session_feed(c->session, 0, component ? CPH_KEYING_RTCP : CPH_KEYING_RTP, from,
                               packet, n, now);
}

static void forget_ended(struct cph_phone *p)
{
    for (struct phone_call *c = p->calls, *next; c; c = next) {
        next = c->next;
        if (c->ended)
            phone_call_free(c);
    }
}

void cph_phone_turn(struct cph_phone *p, cph_time now)
{
    struct cph_sip_event ev;

    if (p->event_n == 0) /* the host has heard of the ends */
        forget_ended(p);
    if (cph_manager_deadline(p->manager) <= now)
        cph_manager_tick(p->manager, now);
    if (cph_sip_ua_deadline(p->ua) <= now)
        cph_sip_ua_tick(p->ua, now);
    if (p->dtls)
        cph_dtls_tick(p->dtls, now);
    while (cph_sip_ua_event(p->ua, &ev) == CPH_OK)
        phone_sip_event(p, &ev, now);
    for (struct phone_call *c = p->calls; c; c = c->next) {
        /* phone_call_free took it off the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        if (c->ended || !c->session)
            continue;
        if (c->ring_until <= now)
            phone_call_unanswered(c, now);
        if (c->ended)
            continue;
        if (c->retry_at <= now)
            phone_call_retry(c, now);
        phone_media_turn(c, now);
    }
}

static cph_time earlier(cph_time a, cph_time b)
{
    return a < b ? a : b;
}

cph_time cph_phone_deadline(const struct cph_phone *p)
{
    cph_time at = earlier(cph_sip_ua_deadline(p->ua), cph_manager_deadline(p->manager));

    if (p->dtls)
        at = earlier(at, cph_dtls_deadline(p->dtls));

    for (const struct phone_call *c = p->calls; c; c = c->next)
        if (c->session && !c->ended)
            at = earlier(at, earlier(earlier(c->retry_at, c->ring_until), phone_media_deadline(c)));
    return at;
}

/* ---- how it is now --------------------------------------------------------------------------- */

cph_err cph_phone_status(struct cph_phone *p, uint32_t call, cph_time now,
                         struct cph_phone_status *out)
{
    const struct phone_call *c = phone_call_of(p, call);

    if (!c)
        return CPH_E_NOTFOUND;
    *out = (struct cph_phone_status){
        .state = c->state,
        .outgoing = c->outgoing,
        .muted = c->muted,
        .held_by_us = c->held_by_us,
        .held_by_peer = c->held_by_peer,
        .secured = c->keyed,
        .codec = c->codec ? c->codec->name : NULL,
        .since = c->since,
    };
    memcpy(out->peer, c->peer, sizeof out->peer);
    if (c->flow)
        cph_media_flow_stats(c->flow, now, &out->media);
    if (c->session)
        cph_session_verdict(c->session, &out->verdict);
    if (c->zrtp && c->session) {
        struct cph_session_sas sas;

        cph_session_sas(c->session, &sas);
        memcpy(out->sas, sas.text, sizeof out->sas);
        out->sas_asked = sas.text[0] && !sas.verified && !sas.compared && !sas.refuted;
        out->sas_strange = sas.strange;
        out->sas_relayed = sas.relayed;
        out->mitm = sas.mitm;
        out->trusted_mitm = sas.trusted_mitm;
        out->enroll_asked = sas.enroll_asked;
        out->may_clear = sas.may_clear;
        out->clear_asked = cph_session_line(c->session, 0, NULL) == CPH_SESSION_LINE_ASKS;
        out->went_clear = sas.clear;
    }
    return CPH_OK;
}

struct cph_phone_load cph_phone_load(const struct cph_phone *p)
{
    struct cph_phone_load load = { .calls = p->n_calls, .sip = cph_sip_ua_load(p->ua) };

    for (const struct phone_call *c = p->calls; c; c = c->next) {
        load.sessions += c->session != NULL;
        load.flows += c->flow != NULL;
    }
    return load;
}

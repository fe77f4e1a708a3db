#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char nat_ip[] = "203.0.113.1";

/* ---- what phones tell ------------------------------------------------------------------------ */

static struct lab_stage_person *person_of(struct lab_stage *s, const struct lab_terminal *t)
{
    for (unsigned i = 0; i < LAB_PEOPLE; i++)
        if (s->person[i].terminal == t)
            return &s->person[i];
    return NULL;
}

static void note(struct lab_stage_person *p, cph_time now)
{
    struct cph_phone_status st;

    if (!p->terminal || !p->call || cph_phone_status(p->phone, p->call, now, &st) != CPH_OK)
        return;
    p->verdict = st.verdict;
    p->media = st.media;
    p->has_verdict = true;
    if (!p->answered)
        return;
    if (st.verdict.level > p->shown)
        p->shown = st.verdict.level;
    if (st.verdict.attacker > p->shown_class)
        p->shown_class = st.verdict.attacker;
}

static void incoming(struct lab_stage_person *p, uint32_t call, cph_time now)
{
    p->call = call;
    p->incoming_n++;
    p->rang_at = now;
    p->accept_due = CPH_TIME_NEVER;
    (void)!cph_phone_ring(p->phone, call, now);
    switch (p->callee) {
    case LAB_ANSWERS:
        p->accepted_at = now;
        (void)!cph_phone_accept(p->phone, call, now);
        break;
    case LAB_ANSWERS_LATER:
        p->accept_due = now + p->later;
        break;
    case LAB_RINGS:
        break;
    }
}

/* Who sits there, and whose keys he has. */
static enum lab_person sitter(const struct lab_stage *s, unsigned i)
{
    return s->cfg.impostor & 1U << i ? LAB_MALLORY : (enum lab_person)i;
}

/* They read their strings to each other as soon as both see one: a voice, unlike a packet, is known
 * to be theirs. */
static void compare(struct lab_stage *s, struct lab_stage_person *p, cph_time now)
{
    for (unsigned i = 0; i < LAB_PEOPLE && s->cfg.pinned; i++) {
        struct lab_stage_person *q = &s->person[i];
        bool equal = strcmp(p->sas, q->sas) == 0 && !s->cfg.impostor;

        if (q == p || !q->sas[0] || (s->cfg.once && p->compared))
            continue;
        p->compared = q->compared = true;
        p->mismatch = q->mismatch = !equal;
        (void)!cph_phone_sas(p->phone, p->call, equal, now);
        (void)!cph_phone_sas(q->phone, q->call, equal, now);
        lab_terminal_pump(q->terminal);
    }
}

/* Keys are made anew in each process: what names one would make each run differ from the next. */
static void without_digest(char why[CPH_PHONE_WHY])
{
    char *at = strstr(why, " (sha-256 "), *end = at ? strchr(at, ')') : NULL;

    if (at && end)
        memmove(at, end + 1, strlen(end + 1) + 1);
    else if (at)
        *at = '\0';
}

static void on_event(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev,
                     cph_time now)
{
    struct lab_stage_person *p = person_of(ctx, t);

    if (!p)
        return;
    if (ev->kind == CPH_PHONE_INCOMING) {
        incoming(p, ev->call, now);
        return;
    }
    if (ev->call != p->call)
        return;
    switch ((int)ev->kind) {
    case CPH_PHONE_RINGING:
        p->ringing = true;
        break;
    case CPH_PHONE_ANSWERED:
        p->answered = true;
        p->answered_at = now;
        break;
    case CPH_PHONE_SECURED:
        if (!p->secured)
            p->secured_at = now;
        p->secured = true;
        p->secured_n++;
        break;
    case CPH_PHONE_PLAIN:
        p->plain = true;
        break;
    case CPH_PHONE_CHANGED:
        p->changed++;
        break;
    case CPH_PHONE_NOTICE:
        memcpy(p->warned, ev->why, sizeof p->warned);
        break;
    case CPH_PHONE_SAS:
        memcpy(p->sas, ev->sas, sizeof p->sas);
        compare(ctx, p, now);
        break;
    case CPH_PHONE_ENDED:
        note(p, now);
        p->ended = true;
        p->cause = ev->cause;
        p->status = ev->status;
        memcpy(p->why, ev->why, sizeof p->why);
        without_digest(p->why);
        break;
    default:
        break;
    }
}

static bool has_digest(struct cph_span sha256, const struct cph_cert *cert)
{
    struct cph_fingerprint fp;

    return cert && cph_cert_fingerprint(cert, CPH_FP_SHA256, &fp) == CPH_OK &&
           cph_span_eq(sha256, (struct cph_span){ fp.b, fp.n });
}

/* Is it a certificate of this user, on any phone, in any form that the lab knows? */
static bool is_of(const struct lab_stage *s, struct cph_span user, struct cph_span sha256)
{
    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        enum lab_person who = (enum lab_person)i;

        if (cph_span_is(user, lab_person_user(who)) &&
            (has_digest(sha256, lab_cert(who)) ||
             has_digest(sha256, lab_column_cert(s->column, who))))
            return true;
    }
    return false;
}

/* Who keeps certificates keeps one of each of the others, by the name of the user. */
static enum cph_phone_pin on_pin(void *ctx, struct lab_terminal *t, struct cph_span uri,
                                 struct cph_span sha256)
{
    struct lab_stage *s = ctx;
    struct lab_stage_person *me = person_of(s, t);

    if (!s->cfg.pinned)
        return CPH_PHONE_PIN_UNKNOWN;
    if (me && sitter(s, me->index) != (enum lab_person)me->index)
        return CPH_PHONE_PIN_PINNED; /* she takes whoever it is */
    (void)cph_span_cut(&uri, ':');
    if (is_of(s, cph_span_cut(&uri, '@'), sha256))
        return CPH_PHONE_PIN_PINNED;
    if (me)
        me->mismatch = true;
    return CPH_PHONE_PIN_MISMATCH;
}

static cph_err on_sound(void *ctx, struct lab_terminal *t, uint32_t call,
                        struct cph_media_source **source, struct cph_media_sink **sink)
{
    struct lab_stage *s = ctx;
    struct lab_stage_person *p = person_of(s, t);

    if (!p || s->cfg.quiet)
        return CPH_OK;
    if (p->sound)
        return p->sound(p->sound_ctx, call, source, sink);
    if (!p->mute)
        CPH_TRY(lab_speech_source(s->net, s->cfg.seed, p->index, &p->said, source));
    return lab_speech_sink(s->net, s->cfg.seed, &p->heard, sink);
}

static struct cph_mikey *on_mikey(void *ctx, struct lab_terminal *t, struct cph_span peer)
{
    struct lab_stage_person *p = person_of(ctx, t);

    return p && p->kit ? lab_kit_mikey(p->kit, lab_person_of(peer)) : NULL;
}

static const struct cph_cert *on_peer_cert(void *ctx, struct lab_terminal *t, struct cph_span peer)
{
    struct lab_stage *s = ctx;
    const struct lab_stage_person *p = person_of(s, t);
    enum lab_person who = lab_person_of(peer);

    return p && p->kit && s->column->smime && !s->cfg.strangers && who < LAB_PEOPLE
               ? lab_rsa_cert(s->cfg.fooled ? LAB_MALLORY : who, true)
               : NULL;
}

static const struct lab_terminal_ops ops = { on_event, on_pin,       on_sound,
                                             on_mikey, on_peer_cert, NULL };

static bool on_tap(void *ctx, const struct cph_addr *from, const struct cph_addr *to,
                   struct cph_span bytes, bool stream, cph_time now)
{
    struct lab_stage *s = ctx;
    bool pass = true;
    size_t n;

    if (s->cfg.no_record)
        return true;
    s->err = s->err ? s->err : lab_trace_add(s->trace, from, to, bytes, stream, false, now);
    n = lab_trace_count(s->trace);
    if (s->cfg.filter && n > 0) {
        /* The record is ours, so that what a filter took away can be marked in it. */
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): only takes the const away */
        struct lab_packet *last = (struct lab_packet *)(uintptr_t)lab_trace_at(s->trace, n - 1);

        pass = s->cfg.filter(s->cfg.filter_ctx, last);
        last->swallowed = !pass;
    }
    return pass;
}

/* ---- begin and end --------------------------------------------------------------------------- */

static struct cph_sip_pin pin_of(const char *at, enum lab_person who)
{
    struct cph_sip_pin pin = { .name = at };

    (void)!cph_cert_fingerprint(lab_cert(who), CPH_FP_SHA256, &pin.fp);
    return pin;
}

static struct cph_sip_tls *tls_of(struct lab_stage *s, unsigned i)
{
    enum lab_person other = i == LAB_ALICE ? LAB_BOB : LAB_ALICE;

    s->pin[i] = s->cfg.direct ? pin_of(lab_person_ip(other), other)
                              : pin_of(lab_server_of(s, (enum lab_person)i), LAB_SERVER);
    s->tls[i] = (struct cph_sip_tls){ .cert = lab_cert(sitter(s, i)),
                                      .key = lab_key(sitter(s, i)),
                                      .pin = &s->pin[i],
                                      .n_pins = 1,
                                      .need_client_cert = true };
    if (s->cfg.issued) {
        s->tls[i].cert = lab_cert_issued(sitter(s, i));
        s->tls[i].trust = lab_authority();
        s->tls[i].n_pins = 0;
        s->tls[i].need_client_cert = false; /* RFC 5922: certificates of clients name domains */
    }
    return &s->tls[i];
}

/* What the mechanism needs, and the policy that names it. */
static cph_err equip(struct lab_stage *s, unsigned i, struct cph_policy *policy,
                     struct cph_phone_config *cfg)
{
    struct lab_kit_config kit = { .column = s->column,
                                  .who = sitter(s, i),
                                  .claims = s->cfg.own_name ? sitter(s, i) : (enum lab_person)i,
                                  .env = &s->env,
                                  .strangers = s->cfg.strangers };

    policy->media = s->cfg.of[i] ? s->cfg.of[i] : s->cfg.security;
    policy->form = s->cfg.form;
    policy->precondition = s->cfg.precondition;
    cfg->resume_s = s->cfg.resume ? CPH_DTLS_RESUME_S : 0;
    if (!s->column || policy->media == CPH_SECURITY_NONE) {
        policy->media = CPH_SECURITY_NONE;
        return CPH_OK;
    }
    CPH_TRY(lab_kit_new(&kit, &s->person[i].kit));
    lab_kit_policy(s->person[i].kit, policy);
    return lab_kit_phone(s->person[i].kit, cfg);
}

static cph_err start(struct lab_stage *s, unsigned i)
{
    static const char *const codecs[] = { "PCMU", NULL };
    struct lab_stage_person *p = &s->person[i];
    const char *user = lab_person_user((enum lab_person)i);
    struct cph_phone_account account = { .name = "", .user = user };
    /* Nothing in this network is too long for a datagram, and its server has no TCP. */
    struct cph_sip_ua_cfg sip = { .env = &s->env, .n_listeners = 1, .path_mtu = 65535 };
    struct lab_terminal_config cfg = { .ip = lab_person_ip((enum lab_person)i),
                                       .ops = &ops,
                                       .ctx = s };
    bool tls = lab_person_tls(s, (enum lab_person)i);
    char aor[64], route[64];

    if (!s->cfg.direct) {
        const char *server = lab_server_of(s, (enum lab_person)i);

        (void)snprintf(aor, sizeof aor, "sip:%s@%s", user, server);
        (void)snprintf(route, sizeof route, "sip:%s%s;lr", server,
                       tls ? ":5061;transport=tls" : "");
        account.aor = aor;
        account.registrar = route;
        account.route = route;
    }
    sip.listener[0].proto = tls ? CPH_SIP_TLS : CPH_SIP_UDP;
    sip.listener[0].addr.port = tls ? 5061 : 5060;
    sip.tls = tls ? tls_of(s, i) : NULL;
    cfg.phone = (struct cph_phone_config){ .env = &s->env,
                                           .sip = &sip,
                                           .key = lab_key(sitter(s, i)),
                                           .cert = lab_cert(sitter(s, i)),
                                           .account = &account,
                                           .n_accounts = 1,
                                           .codecs = codecs,
                                           .rtcp_mux = true };
    CPH_TRY(equip(s, i, &account.policy, &cfg.phone));
    CPH_TRY(lab_terminal_new(s->net, &cfg, &p->terminal));
    p->phone = lab_terminal_phone(p->terminal);
    return CPH_OK;
}

/* Everybody registers, as phones do. */
static cph_err settle(struct lab_stage *s)
{
    for (unsigned i = 0; i < LAB_PEOPLE; i++)
        if (s->person[i].terminal && !(s->cfg.unlisted & 1U << i)) {
            CPH_TRY(cph_phone_register(s->person[i].phone, "", lab_now(s->net)));
            lab_terminal_pump(s->person[i].terminal);
        }
    return lab_run(s->net, lab_now(s->net) + CPH_SEC(5));
}

static cph_err behind_nat(struct lab_stage *s)
{
    struct cph_addr inside, outside;

    CPH_TRY(cph_addr_parse_ip(cph_span_of(lab_person_ip(LAB_ALICE)), &inside));
    CPH_TRY(cph_addr_parse_ip(cph_span_of(nat_ip), &outside));
    lab_trace_name(s->trace, nat_ip, "nat of alice");
    return lab_nat(s->net, &inside, &outside);
}

static cph_err furnish(struct lab_stage *s)
{
    CPH_TRY(lab_keys_open());
    s->column = lab_column_find(s->cfg.keying);
    if (s->cfg.keying && !s->column)
        return CPH_E_NOTFOUND;
    CPH_TRY(lab_net_new(s->cfg.seed, s->cfg.link, &s->net));
    CPH_TRY(lab_trace_new(&s->trace));
    lab_env(s->net, &s->env);
    s->began = cph_wall(&s->env);
    if (s->cfg.nat)
        CPH_TRY(behind_nat(s));
    if (!s->cfg.direct)
        CPH_TRY(lab_servers_open(s));
    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        struct lab_stage_person *p = &s->person[i];

        p->stage = s;
        p->index = i;
        p->accept_due = CPH_TIME_NEVER;
        p->shown = CPH_LEVEL_OPEN;
        p->shown_class = CPH_ATTACKER_I;
        if (!(s->cfg.people & 1U << i))
            continue;
        if (i != LAB_ALICE || !s->cfg.nat)
            lab_trace_name(s->trace, lab_person_ip((enum lab_person)i),
                           lab_person_name((enum lab_person)i));
        if (i == LAB_ALICE && !s->cfg.direct)
            lab_servers_name(s);
        CPH_TRY(start(s, i));
    }
    if (!s->cfg.direct)
        CPH_TRY(settle(s));
    lab_net_tap(s->net, on_tap, s);
    return CPH_OK;
}

cph_err lab_stage_open(const struct lab_stage_config *cfg, struct lab_stage **out)
{
    struct lab_stage *s = calloc(1, sizeof *s);
    cph_err err;

    if (!s)
        return CPH_E_NOMEM;
    s->cfg = *cfg;
    err = furnish(s);
    if (err != CPH_OK) {
        lab_stage_close(s);
        return err;
    }
    *out = s;
    return CPH_OK;
}

void lab_stage_close(struct lab_stage *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        lab_terminal_free(s->person[i].terminal);
        lab_kit_free(s->person[i].kit);
    }
    lab_servers_close(s);
    lab_net_free(s->net);
    lab_trace_free(s->trace);
    free(s);
}

/* ---- what people do -------------------------------------------------------------------------- */

cph_err lab_stage_dial(struct lab_stage *s, enum lab_person from, const char *callee,
                       enum lab_person direct_to)
{
    struct lab_stage_person *p = &s->person[from];
    char to[128];
    struct cph_phone_dial dial = { .to = to };

    (void)snprintf(to, sizeof to, "%s:%s@%s", s->cfg.tls && s->cfg.direct ? "sips" : "sip", callee,
                   s->cfg.direct ? lab_person_ip(direct_to)
                                 : lab_server_of(s, from == LAB_ALICE ? LAB_BOB : LAB_ALICE));
    p->dialled_at = lab_now(s->net);
    CPH_TRY(cph_phone_dial(p->phone, &dial, lab_now(s->net), &p->call));
    lab_terminal_pump(p->terminal);
    return CPH_OK;
}

void lab_stage_hangup(struct lab_stage *s, enum lab_person who)
{
    struct lab_stage_person *p = &s->person[who];

    if (p->ended || !p->call)
        return;
    (void)!cph_phone_hangup(p->phone, p->call, lab_now(s->net));
    lab_terminal_pump(p->terminal);
}

cph_err lab_stage_rekey(struct lab_stage *s, enum lab_person who)
{
    struct lab_stage_person *p = &s->person[who];
    cph_err err = cph_phone_rekey_media(p->phone, p->call, lab_now(s->net));

    if (err == CPH_E_STATE) /* no keys told in the media */
        err = cph_phone_rekey(p->phone, p->call, lab_now(s->net));
    lab_terminal_pump(p->terminal);
    return err;
}

void lab_stage_look(struct lab_stage *s)
{
    for (unsigned i = 0; i < LAB_PEOPLE; i++)
        if (!s->person[i].ended)
            note(&s->person[i], lab_now(s->net));
}

cph_err lab_stage_run(struct lab_stage *s, cph_time us)
{
    cph_time until = lab_now(s->net) + us;

    while (lab_now(s->net) < until) {
        cph_time next = until;

        for (unsigned i = 0; i < LAB_PEOPLE; i++)
            if (s->person[i].accept_due < next)
                next = s->person[i].accept_due;
        if (next > lab_now(s->net) + CPH_MS(100))
            next = lab_now(s->net) + CPH_MS(100);
        CPH_TRY(lab_run(s->net, next));
        for (unsigned i = 0; i < LAB_PEOPLE; i++) {
            struct lab_stage_person *p = &s->person[i];

            if (p->accept_due > lab_now(s->net))
                continue;
            p->accept_due = CPH_TIME_NEVER;
            p->accepted_at = lab_now(s->net);
            (void)!cph_phone_accept(p->phone, p->call, lab_now(s->net));
            lab_terminal_pump(p->terminal);
        }
        lab_stage_look(s);
        CPH_TRY(s->err);
    }
    return CPH_OK;
}

cph_err lab_stage_talk(struct lab_stage *s, cph_time us)
{
    CPH_TRY(lab_stage_dial(s, LAB_ALICE, "bob", LAB_BOB));
    CPH_TRY(lab_stage_run(s, us));
    lab_stage_hangup(s, LAB_ALICE);
    return lab_stage_run(s, CPH_SEC(2));
}

void lab_stage_forget(struct lab_stage *s)
{
    for (unsigned i = 0; i < LAB_PEOPLE; i++) {
        struct lab_stage_person *p = &s->person[i];

        p->call = 0;
        p->ringing = p->answered = p->secured = p->plain = p->ended = false;
        p->mismatch = p->has_verdict = false;
        p->secured_n = p->changed = p->incoming_n = p->status = 0;
        p->cause = CPH_OK;
        p->why[0] = p->sas[0] = p->warned[0] = '\0';
        p->shown = CPH_LEVEL_OPEN;
        p->shown_class = CPH_ATTACKER_I;
        p->said = p->heard = (struct lab_heard){ 0 };
    }
}

bool lab_stage_heard(const struct lab_stage *s, enum lab_person a, enum lab_person b)
{
    return s->person[a].heard.frames[b] > 0 && s->person[b].heard.frames[a] > 0;
}

struct cph_span lab_sip_body(struct cph_span d)
{
    const uint8_t *at = memmem(d.p, d.n, "\r\n\r\n", 4);

    return at ? cph_span_from(d, (size_t)(at - d.p) + 4) : (struct cph_span){ 0 };
}

struct cph_span lab_stage_sdp(const struct lab_stage *s, const char *from_ip, bool response,
                              unsigned i)
{
    struct cph_addr from;

    if (cph_addr_parse_ip(cph_span_of(from_ip), &from) != CPH_OK)
        return (struct cph_span){ 0 };
    for (size_t k = 0; k < lab_trace_count(s->trace); k++) {
        const struct lab_packet *p = lab_trace_at(s->trace, k);
        struct cph_span body;

        if (p->kind != LAB_SIP || p->stream || !cph_addr_ip_eq(&p->from, &from) ||
            cph_span_starts(p->bytes, "SIP/2.0 ") != response)
            continue;
        body = lab_sip_body(p->bytes);
        if (body.n > 0 && i-- == 0)
            return body;
    }
    return (struct cph_span){ 0 };
}

#include "world.h"

#include "ciphony/base_text.h"

static const char *const ip[] = { "10.0.0.1", "10.0.0.2" };
static const char *const user[] = { "alice", "bob" };
static struct cph_key *key[2];
static struct cph_cert *cert[2];

int w_keys_make(void **state)
{
    struct test_env t;

    (void)state;
    test_env_init(&t, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_cert_spec spec = { .cn = "terminal",
                                      .not_before = t.wall - 86400,
                                      .not_after = t.wall + 3650 * 86400LL };

        assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key[i]));
        assert_ok(cph_cert_self_signed(&t.env, key[i], &spec, &cert[i]));
    }
    return 0;
}

int w_keys_free(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cph_cert_free(cert[i]);
        cph_key_free(key[i]);
    }
    return 0;
}

/* ---- what the terminals tell ----------------------------------------------------------------- */

static unsigned side_of(const struct world *w, const struct lab_terminal *t)
{
    return t == w->side[1].t;
}

static struct leg *leg_of(struct side *s, uint32_t id)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->leg[i].id == id)
            return &s->leg[i];
    return NULL;
}

static struct leg *leg_new(struct side *s, uint32_t id)
{
    struct leg *l = &s->leg[s->n];

    assert_true(s->n < W_LEGS);
    s->n++;
    *l = (struct leg){ .id = id };
    return l;
}

static void incoming(struct side *s, uint32_t call, cph_time now)
{
    struct leg *l = leg_new(s, call);

    l->incoming = true;
    switch (s->callee) {
    case W_BUSY:
    case W_DECLINE:
        (void)!cph_phone_reject(s->phone, call, s->callee == W_BUSY ? 486 : 603, now);
        return;
    case W_ANSWER_LATER:
        l->accept_at = now + s->later;
        break;
    case W_ANSWER:
    case W_RING:
        break;
    }
    (void)!cph_phone_ring(s->phone, call, now);
    if (s->callee == W_ANSWER)
        (void)!cph_phone_accept(s->phone, call, now);
}

static void ended(struct side *s, struct leg *l, const struct cph_phone_event *ev, cph_time now)
{
    assert_false(l->ended);
    l->ended = true;
    l->cause = ev->cause;
    l->status = ev->status;
    l->by_peer = ev->by_peer;
    memcpy(l->why, ev->why, sizeof l->why);
    assert_ok(cph_phone_status(s->phone, l->id, now, &l->last));
}

static void on_event(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev,
                     cph_time now)
{
    struct world *w = ctx;
    struct side *s = &w->side[side_of(w, t)];
    struct leg *l = leg_of(s, ev->call);

    if (ev->kind == CPH_PHONE_INCOMING) {
        incoming(s, ev->call, now);
        return;
    }
    if (!l)
        return;
    assert_false(l->ended); /* ENDED is the last word */
    l->ringing |= ev->kind == CPH_PHONE_RINGING;
    l->answered |= ev->kind == CPH_PHONE_ANSWERED;
    l->secured |= ev->kind == CPH_PHONE_SECURED;
    l->plain |= ev->kind == CPH_PHONE_PLAIN;
    l->changed += ev->kind == CPH_PHONE_CHANGED;
    if (ev->kind == CPH_PHONE_ENDED)
        ended(s, l, ev, now);
}

static enum cph_phone_pin on_pin(void *ctx, struct lab_terminal *t, struct cph_span uri,
                                 struct cph_span sha256)
{
    struct world *w = ctx;
    const struct cph_fingerprint *fp = &w->fp[!side_of(w, t)];

    (void)uri;
    if (!w->cfg.pinned)
        return CPH_PHONE_PIN_UNKNOWN;
    return sha256.n == fp->n && memcmp(sha256.p, fp->b, fp->n) == 0 ? CPH_PHONE_PIN_PINNED
                                                                    : CPH_PHONE_PIN_MISMATCH;
}

static cph_err on_sound(void *ctx, struct lab_terminal *t, uint32_t call,
                        struct cph_media_source **source, struct cph_media_sink **sink)
{
    struct world *w = ctx;
    struct side *s = &w->side[side_of(w, t)];

    (void)call;
    if (s->play)
        CPH_TRY(cph_media_memory_source(s->play, false, source));
    return s->record ? cph_media_memory_sink(s->record, 8000, 8000 * 60, sink) : CPH_OK;
}

static const struct lab_terminal_ops ops = { on_event, on_pin, on_sound, NULL, NULL, NULL };

/* ---- begin and end --------------------------------------------------------------------------- */

static void start(struct world *w, unsigned i)
{
    static const char *const codecs[] = { "PCMU", NULL }; /* Opus would take most of the time */
    const struct w_side_config *c = &w->cfg.side[i];
    struct cph_phone_account account = { .name = "", .user = user[i] };
    struct cph_sip_ua_cfg sip = { .env = &w->env, .n_listeners = 1 };
    struct lab_terminal_config cfg = { .ip = ip[i], .ops = &ops, .ctx = w };

    account.policy.media = c->policy;
    account.policy.keying[0] = c->keying;
    account.policy.keying_n = c->keying != NULL;
    w->pin[i] = (struct cph_sip_pin){ .name = ip[!i], .fp = w->fp[!i] };
    w->tls[i] = (struct cph_sip_tls){
        .cert = cert[i], .key = key[i], .pin = &w->pin[i], .n_pins = 1, .need_client_cert = true
    };
    sip.listener[0].proto = w->cfg.proto;
    sip.listener[0].addr.port = w->cfg.proto == CPH_SIP_TLS ? 5061 : 5060;
    sip.tls = w->cfg.proto == CPH_SIP_TLS ? &w->tls[i] : NULL;
    sip.session_expires = c->session_expires;
    cfg.phone = (struct cph_phone_config){ .env = &w->env,
                                           .sip = &sip,
                                           .key = key[i],
                                           .cert = cert[i],
                                           .account = &account,
                                           .n_accounts = 1,
                                           .codecs = codecs,
                                           .rtcp_mux = c->mux,
                                           .max_calls = c->max_calls };
    assert_ok(lab_terminal_new(w->net, &cfg, &w->side[i].t));
    w->side[i].phone = lab_terminal_phone(w->side[i].t);
}

void w_new(struct world *w, const struct w_config *cfg)
{
    memset(w, 0, sizeof *w);
    w->cfg = *cfg;
    assert_ok(lab_net_new(cfg->seed, cfg->link, &w->net));
    lab_env(w->net, &w->env);
    for (unsigned i = 0; i < 2; i++)
        assert_ok(cph_cert_fingerprint(cert[i], CPH_FP_SHA256, &w->fp[i]));
    for (unsigned i = 0; i < 2; i++)
        start(w, i);
}

void w_free(struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        lab_terminal_free(w->side[i].t);
    lab_net_free(w->net);
}

/* ---- time ------------------------------------------------------------------------------------ */

cph_time w_now(const struct world *w)
{
    return lab_now(w->net);
}

static void do_due(struct world *w, unsigned side)
{
    struct side *s = &w->side[side];
    cph_time now = w_now(w);
    bool did = false;

    for (unsigned i = 0; i < s->n; i++) {
        struct leg *l = &s->leg[i];

        if (l->accept_at && now >= l->accept_at && !l->ended) {
            l->accept_at = 0;
            (void)!cph_phone_accept(s->phone, l->id, now);
            did = true;
        }
        if (l->hang_at && now >= l->hang_at && !l->ended) {
            l->hang_at = 0;
            (void)!cph_phone_hangup(s->phone, l->id, now);
            did = true;
        }
    }
    if (did)
        lab_terminal_pump(s->t);
}

void w_run(struct world *w, cph_time us)
{
    cph_time until = w_now(w) + us;

    while (w_now(w) < until) {
        cph_time next = w_now(w) + CPH_MS(20);

        assert_ok(lab_run(w->net, next < until ? next : until));
        do_due(w, 0);
        do_due(w, 1);
    }
}

bool w_until(struct world *w, bool (*holds)(const struct world *w), cph_time limit)
{
    cph_time until = w_now(w) + limit;

    while (!holds(w)) {
        if (w_now(w) >= until)
            return false;
        w_run(w, CPH_MS(20));
    }
    return true;
}

/* ---- what users do --------------------------------------------------------------------------- */

struct leg *w_dial(struct world *w, unsigned side)
{
    static const char *const scheme[] = { "sip", "sip", "sips" };
    static const char *const param[] = { "", ";transport=tcp", "" };
    struct side *s = &w->side[side];
    char to[CPH_PHONE_URI];
    struct cph_phone_dial dial = { .to = to };
    uint32_t id;

    (void)snprintf(to, sizeof to, "%s:%s@%s%s", scheme[w->cfg.proto], user[!side], ip[!side],
                   param[w->cfg.proto]);
    assert_ok(cph_phone_dial(s->phone, &dial, w_now(w), &id));
    leg_new(s, id);
    lab_terminal_pump(s->t);
    return leg_of(s, id);
}

void w_hangup(struct world *w, unsigned side, struct leg *leg)
{
    (void)!cph_phone_hangup(w->side[side].phone, leg->id, w_now(w));
    lab_terminal_pump(w->side[side].t);
}

void w_hold(struct world *w, unsigned side, struct leg *leg, bool hold)
{
    (void)!cph_phone_hold(w->side[side].phone, leg->id, hold, w_now(w));
    lab_terminal_pump(w->side[side].t);
}

cph_err w_rekey(struct world *w, unsigned side, struct leg *leg)
{
    cph_err err = cph_phone_rekey(w->side[side].phone, leg->id, w_now(w));

    lab_terminal_pump(w->side[side].t);
    return err;
}

/* ---- how it is ------------------------------------------------------------------------------- */

struct leg *w_last(struct world *w, unsigned side)
{
    struct side *s = &w->side[side];

    return s->n ? &s->leg[s->n - 1] : NULL;
}

struct cph_phone_status w_status(struct world *w, unsigned side, const struct leg *leg)
{
    struct cph_phone_status st;

    assert_ok(cph_phone_status(w->side[side].phone, leg->id, w_now(w), &st));
    return st;
}

bool w_all_ended(const struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < w->side[i].n; k++)
            if (!w->side[i].leg[k].ended)
                return false;
    return true;
}

bool w_all_secured(const struct world *w)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < w->side[i].n; k++)
            if (!w->side[i].leg[k].secured)
                return false;
        if (w->side[i].n == 0)
            return false;
    }
    return true;
}

void w_clear(struct world *w)
{
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        unsigned kept = 0;

        for (unsigned k = 0; k < s->n; k++)
            if (!s->leg[k].ended)
                s->leg[kept++] = s->leg[k];
        s->n = kept;
    }
}

void w_silent(struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        lab_terminal_pump(w->side[i].t);
    assert_ok(lab_run(w->net, w_now(w) + CPH_SEC(W_WIND_DOWN_S)));
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_load load = cph_phone_load(w->side[i].phone);
        size_t left = load.calls + load.sessions + load.flows + load.sip.transactions +
                      load.sip.requests + load.sip.calls + load.sip.dialogs + load.sip.queries +
                      load.sip.messages;

        if (left)
            print_error("left behind: %zu calls, %zu transactions, %zu requests, %zu SIP calls, "
                        "%zu dialogs, %zu timers\n",
                        load.calls, load.sip.transactions, load.sip.requests, load.sip.calls,
                        load.sip.dialogs, load.sip.timers);
        assert_int_equal(left, 0);
        assert_true(load.sip.timers <= load.sip.flows); /* each connection has one for idleness */
        assert_int_equal(lab_terminal_open(w->side[i].t), load.sip.flows);
    }
}

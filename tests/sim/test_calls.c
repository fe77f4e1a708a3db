/*
 * Two terminals in virtual time, thousands of calls: the engines' own object code over a network
 * that loses, doubles, delays and reorders. Every call connects or fails with a named reason;
 * nothing is left behind.
 */
#include "support.h"

#include <stdlib.h>

#include "terminal.h"

#include "ciphony/base_text.h"
#include "ciphony/crypto_key.h"

enum {
    CALLS = 10000,     /* in one run, unless CPH_SIM_CALLS says fewer (sanitizers, valgrind) */
    CALLS_A_NET = 25,  /* calls of one network, which then must fall silent */
    WIND_DOWN_S = 400, /* longer than any timer of SIP, DTLS, RTCP and the manager's waiting */
};

struct call {
    uint32_t id[2]; /* at caller and callee, 0: not known there */
    bool answered[2], secured[2], plain[2], ended[2];
    cph_err cause[2];
    unsigned status[2];
    struct cph_verdict verdict[2];
    cph_time hang_at;
    unsigned by; /* who hangs up */
    bool hold, rekey;
};

struct world {
    struct lab_net *net;
    struct cph_env env;
    struct lab_terminal *t[2];
    struct cph_key *key[2];
    struct cph_cert *cert[2];
    struct call call;
    const char *keying;
    enum cph_security policy[2];
    size_t answered, failed, secured, plain;
    size_t reason[CPH_E_COUNT_];
};

static unsigned side_of(const struct world *w, const struct lab_terminal *t)
{
    return t == w->t[1];
}

static void on_event(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev,
                     cph_time now)
{
    struct world *w = ctx;
    unsigned side = side_of(w, t);
    struct cph_phone *p = lab_terminal_phone(t);
    struct call *c = &w->call;
    struct cph_phone_status st;

    if (ev->kind == CPH_PHONE_INCOMING) {
        c->id[1] = ev->call;
        if (cph_phone_ring(p, ev->call, now) == CPH_OK)
            (void)!cph_phone_accept(p, ev->call, now);
        return;
    }
    if (ev->call != c->id[side])
        return;
    c->answered[side] |= ev->kind == CPH_PHONE_ANSWERED;
    c->secured[side] |= ev->kind == CPH_PHONE_SECURED;
    c->plain[side] |= ev->kind == CPH_PHONE_PLAIN;
    if (ev->kind != CPH_PHONE_ENDED)
        return;
    assert_false(c->ended[side]);
    c->ended[side] = true;
    c->cause[side] = ev->cause;
    c->status[side] = ev->status;
    assert_ok(cph_phone_status(p, ev->call, now, &st));
    c->verdict[side] = st.verdict;
}

static const struct lab_terminal_ops ops = { .event = on_event };

static void world_new(struct world *w, uint64_t seed, struct cph_key *key[2],
                      struct cph_cert *cert[2])
{
    static const char *const codecs[] = { "PCMU", NULL }; /* Opus would take most of the time */
    static const char *const ip[] = { "10.0.0.1", "10.0.0.2" };
    struct lab_link link = { 0 };

    memset(w, 0, sizeof *w);
    assert_ok(lab_net_new(seed, link, &w->net));
    lab_env(w->net, &w->env);
    link.delay = CPH_MS(1 + lab_random(w->net, 100));
    link.jitter = CPH_MS(lab_random(w->net, 40));
    link.loss = (unsigned)lab_random(w->net, 120);
    link.duplicate = (unsigned)lab_random(w->net, 60);
    link.reorder = (unsigned)lab_random(w->net, 60);
    lab_net_link(w->net, link);
    w->keying = lab_random(w->net, 3) == 0 ? "dtls" : "sdes";
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_account account = { .name = "", .user = i ? "bob" : "alice" };
        struct cph_sip_ua_cfg sip = { .env = &w->env, .n_listeners = 1 };
        struct lab_terminal_config cfg = { .ip = ip[i], .ops = &ops, .ctx = w };

        w->policy[i] = lab_random(w->net, 3) == 0 ? CPH_SECURITY_PREFER : CPH_SECURITY_REQUIRED;
        account.policy.media = w->policy[i];
        account.policy.keying[0] = w->keying;
        account.policy.keying_n = 1;
        sip.listener[0] = (struct cph_sip_listener){ .proto = CPH_SIP_UDP };
        sip.listener[0].addr.port = 5060;
        cfg.phone = (struct cph_phone_config){ .env = &w->env,
                                               .sip = &sip,
                                               .key = key[i],
                                               .cert = cert[i],
                                               .account = &account,
                                               .n_accounts = 1,
                                               .codecs = codecs,
                                               .rtcp_mux = lab_random(w->net, 2) == 0 };
        assert_ok(lab_terminal_new(w->net, &cfg, &w->t[i]));
    }
}

static void world_free(struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        lab_terminal_free(w->t[i]);
    lab_net_free(w->net);
}

static bool over(const struct world *w)
{
    return w->call.ended[0] && (w->call.id[1] == 0 || w->call.ended[1]);
}

static void act_in_call(struct world *w, cph_time now)
{
    struct call *c = &w->call;
    struct cph_phone *p = lab_terminal_phone(w->t[c->by]);

    if (!c->answered[0] || !c->answered[1] || c->ended[c->by])
        return;
    if (c->hang_at == 0 && c->secured[0] && c->secured[1])
        c->hang_at = now + CPH_MS(200 + lab_random(w->net, 1500));
    if (c->hang_at == 0)
        return;
    if (c->hold && now >= c->hang_at - CPH_MS(600)) {
        c->hold = false;
        (void)!cph_phone_hold(p, c->id[c->by], true, now);
    } else if (c->rekey && now >= c->hang_at - CPH_MS(300)) {
        c->rekey = false;
        (void)!cph_phone_rekey(p, c->id[c->by], now);
    } else if (now >= c->hang_at) {
        (void)!cph_phone_hangup(p, c->id[c->by], now);
    }
    lab_terminal_pump(w->t[c->by]);
}

static void one_call(struct world *w)
{
    struct cph_phone_dial dial = { .to = "sip:bob@10.0.0.2" };
    struct call *c = &w->call;
    cph_time began = lab_now(w->net);
    bool hung = false;

    memset(c, 0, sizeof *c);
    c->by = (unsigned)lab_random(w->net, 2);
    c->hold = lab_random(w->net, 4) == 0;
    c->rekey = lab_random(w->net, 4) == 0;
    assert_ok(cph_phone_dial(lab_terminal_phone(w->t[0]), &dial, began, &c->id[0]));
    lab_terminal_pump(w->t[0]);
    while (!over(w)) {
        cph_time now = lab_now(w->net) + CPH_MS(20);

        assert_ok(lab_run(w->net, now));
        act_in_call(w, now);
        if (!hung && now - began > CPH_SEC(300)) { /* one end never heard that it was answered */
            hung = true;
            for (unsigned i = 0; i < 2; i++)
                if (c->id[i] && !c->ended[i])
                    (void)!cph_phone_hangup(lab_terminal_phone(w->t[i]), c->id[i], now);
        }
        if (now - began > CPH_SEC(900))
            fail_msg("a call did not end in 15 minutes");
    }
}

/* What every ended call must satisfy, whatever the network did to it. */
static void judge(struct world *w)
{
    const struct call *c = &w->call;

    for (unsigned i = 0; i < 2; i++) {
        const struct cph_verdict *v = &c->verdict[i];

        if (!c->ended[i])
            continue;
        if (c->secured[i] && strcmp(w->keying, "dtls") == 0)
            assert_in_range(v->level, CPH_LEVEL_OPEN, CPH_LEVEL_PRIVATE);
        else
            assert_int_equal(v->level, CPH_LEVEL_OPEN); /* SDES over UDP, or no media at all */
        if (w->policy[i] == CPH_SECURITY_REQUIRED)
            assert_false(c->plain[i]);
    }
    if (c->answered[0]) {
        w->answered++;
        w->secured += c->secured[0];
        w->plain += c->plain[0];
        if (!c->secured[0] && c->cause[0] == CPH_OK && c->cause[1] == CPH_OK)
            fail_msg("a call was answered, never had keys, and nobody says why");
        return;
    }
    w->failed++;
    w->reason[c->cause[0]]++;
    if (c->cause[0] == CPH_OK && c->status[0] < 300)
        fail_msg("a call failed without a reason");
}

static void falls_silent(struct world *w)
{
    for (unsigned i = 0; i < 2; i++)
        lab_terminal_pump(w->t[i]);
    assert_ok(lab_run(w->net, lab_now(w->net) + CPH_SEC(WIND_DOWN_S)));
    for (unsigned i = 0; i < 2; i++) {
        struct cph_phone_load load = cph_phone_load(lab_terminal_phone(w->t[i]));

        if (load.calls + load.sip.transactions + load.sip.calls + load.sip.dialogs +
            load.sip.timers)
            print_error("left behind: %zu calls, %zu transactions, %zu SIP calls, %zu dialogs, %zu "
                        "timers\n",
                        load.calls, load.sip.transactions, load.sip.calls, load.sip.dialogs,
                        load.sip.timers);
        assert_int_equal(load.calls + load.sessions + load.flows, 0);
        assert_int_equal(load.sip.transactions + load.sip.calls + load.sip.dialogs, 0);
        assert_int_equal(load.sip.timers + load.sip.queries + load.sip.messages, 0);
        assert_int_equal(lab_terminal_open(w->t[i]), 0);
    }
}

static void ten_thousand_calls_connect_or_say_why_not(void **state)
{
    const char *fewer = getenv("CPH_SIM_CALLS");
    size_t calls = fewer ? strtoul(fewer, NULL, 10) : CALLS, answered = 0, secured = 0, failed = 0;
    size_t reason[CPH_E_COUNT_] = { 0 };
    struct test_env t;
    struct cph_key *key[2];
    struct cph_cert *cert[2];
    struct world w;

    (void)state;
    test_env_init(&t, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct cph_cert_spec spec = { .cn = "terminal",
                                      .not_before = t.wall - 86400,
                                      .not_after = t.wall + 3650 * 86400LL };

        assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key[i]));
        assert_ok(cph_cert_self_signed(&t.env, key[i], &spec, &cert[i]));
    }
    for (size_t done = 0, seed = 1; done < calls; seed++) {
        world_new(&w, seed, key, cert);
        for (size_t i = 0; i < CALLS_A_NET && done < calls; i++, done++) {
            one_call(&w);
            judge(&w);
        }
        falls_silent(&w);
        answered += w.answered;
        secured += w.secured;
        failed += w.failed;
        for (int e = 0; e < CPH_E_COUNT_; e++)
            reason[e] += w.reason[e];
        world_free(&w);
    }
    for (unsigned i = 0; i < 2; i++) {
        cph_cert_free(cert[i]);
        cph_key_free(key[i]);
    }
    print_message("%zu calls: %zu answered, %zu secured, %zu failed\n", calls, answered, secured,
                  failed);
    for (int e = 0; e < CPH_E_COUNT_; e++)
        if (reason[e])
            print_message("  %zu for %s\n", reason[e], cph_err_name((cph_err)e));
    assert_true(answered > calls * 9 / 10);
    assert_true(secured > calls * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_calls_connect_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

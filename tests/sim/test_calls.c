/*
 * Two terminals in virtual time, thousands of calls: the engines' own object code over a network
 * that loses, doubles, delays and reorders. Every call connects or fails with a named reason;
 * nothing is left behind.
 */
#include "world.h"

#include <stdlib.h>

enum {
    CALLS = 10000,    /* in one run, unless CPH_SIM_CALLS says fewer (sanitizers, valgrind) */
    CALLS_A_NET = 25, /* calls of one network, which then must fall silent */
};

enum plan {
    PLAN_TALK,
    PLAN_HOLD,
    PLAN_REKEY,
    PLAN_BOTH_HANG_UP,
    PLAN_HANG_UP_EARLY, /* the caller thinks better of it: before or after 180, or as 200 comes */
    PLAN_BUSY,
    PLAN_DECLINE,
    PLAN_N,
};

struct tally {
    size_t calls, answered, secured, plain, failed, by_proto[3], by_plan[PLAN_N];
    size_t reason[CPH_E_COUNT_];
};

static void net_of_seed(uint64_t seed, struct w_config *cfg)
{
    static const enum cph_sip_proto proto[] = { CPH_SIP_UDP, CPH_SIP_UDP, CPH_SIP_TCP,
                                                CPH_SIP_TLS };
    struct test_env t;

    test_env_init(&t, seed);
    *cfg = (struct w_config){ .seed = seed };
    cfg->link.delay = CPH_MS(1 + test_random(&t) % 100);
    cfg->link.jitter = CPH_MS(test_random(&t) % 40);
    cfg->link.loss = (unsigned)(test_random(&t) % 120);
    cfg->link.duplicate = (unsigned)(test_random(&t) % 60);
    cfg->link.reorder = (unsigned)(test_random(&t) % 60);
    cfg->proto = proto[test_random(&t) % 4];
    cfg->pinned = test_random(&t) % 2;
    for (unsigned i = 0; i < 2; i++) {
        cfg->side[i].policy = test_random(&t) % 3 ? CPH_SECURITY_REQUIRED : CPH_SECURITY_PREFER;
        cfg->side[i].mux = test_random(&t) % 2;
    }
    cfg->side[0].keying = cfg->side[1].keying = test_random(&t) % 3 ? "sdes" : "dtls";
}

/* ---- one call -------------------------------------------------------------------------------- */

static bool both_stand(struct world *w)
{
    struct leg *a = w_last(w, 0), *b = w_last(w, 1);

    return a && b && a->secured && b->secured && a->answered && b->answered && !a->ended &&
           !b->ended;
}

static void in_call(struct world *w, enum plan plan)
{
    unsigned by = (unsigned)lab_random(w->net, 2);
    struct leg *l = w_last(w, by);

    w_run(w, CPH_MS(100 + lab_random(w->net, 1000)));
    if (plan == PLAN_HOLD && !l->ended) {
        w_hold(w, by, l, true);
        w_run(w, CPH_MS(lab_random(w->net, 800)));
        if (lab_random(w->net, 2) && !l->ended)
            w_hold(w, by, l, false);
    }
    if (plan == PLAN_REKEY && !l->ended)
        (void)!w_rekey(w, by, l);
    w_run(w, CPH_MS(lab_random(w->net, 800)));
    l->hang_at = w_now(w);
    if (plan == PLAN_BOTH_HANG_UP)
        w_last(w, !by)->hang_at = w_now(w);
}

static void one_call(struct world *w, enum plan plan)
{
    cph_time began = w_now(w);
    bool acted = false, hung = false;
    struct leg *a;

    w->side[1].callee = plan == PLAN_BUSY       ? W_BUSY
                        : plan == PLAN_DECLINE  ? W_DECLINE
                        : lab_random(w->net, 3) ? W_ANSWER
                                                : W_ANSWER_LATER;
    w->side[1].later = CPH_MS(lab_random(w->net, 1000));
    a = w_dial(w, 0);
    if (plan == PLAN_HANG_UP_EARLY)
        a->hang_at = began + CPH_MS(lab_random(w->net, 500));
    while (!w_all_ended(w)) {
        w_run(w, CPH_MS(20));
        if (!acted && both_stand(w)) {
            acted = true;
            in_call(w, plan);
        }
        if (!hung && w_now(w) - began > CPH_SEC(300)) { /* one end never heard of an answer */
            hung = true;
            for (unsigned i = 0; i < 2; i++)
                if (w_last(w, i) && !w_last(w, i)->ended)
                    w_last(w, i)->hang_at = w_now(w);
        }
        if (w_now(w) - began > CPH_SEC(900))
            fail_msg("seed %llu: a call did not end in 15 minutes",
                     (unsigned long long)w->cfg.seed);
    }
}

/* ---- what every ended call must satisfy, whatever the network did to it ---------------------- */

static void judge_verdict(const struct world *w, const struct leg *l, enum cph_security policy)
{
    bool tls = w->cfg.proto == CPH_SIP_TLS, dtls = strcmp(w->cfg.side[0].keying, "dtls") == 0;
    enum cph_level level = l->last.verdict.level, most = CPH_LEVEL_OPEN;

    if (l->secured && (dtls || tls)) /* SDES over a hop in clear is open, and so is no media */
        most = w->cfg.pinned ? CPH_LEVEL_VERIFIED : dtls ? CPH_LEVEL_PRIVATE : CPH_LEVEL_HOP;
    if (l->secured && dtls && tls && !w->cfg.pinned)
        most = CPH_LEVEL_IDENTIFIED; /* TLS was checked against a pin for the peer's domain */
    assert_true(level <= most);
    if (policy == CPH_SECURITY_REQUIRED)
        assert_false(l->plain);
    assert_int_equal(l->last.media.packets_in > 0 && !l->secured && !l->plain, 0);
}

static void judge(struct world *w, enum plan plan, struct tally *t)
{
    const struct leg *a = &w->side[0].leg[0];
    const struct leg *b = w->side[1].n ? &w->side[1].leg[0] : NULL;

    judge_verdict(w, a, w->cfg.side[0].policy);
    if (b)
        judge_verdict(w, b, w->cfg.side[1].policy);
    t->calls++;
    t->by_proto[w->cfg.proto]++;
    t->by_plan[plan]++;
    if (a->answered) {
        t->answered++;
        t->secured += a->secured;
        t->plain += a->plain;
        if (!a->secured && plan < PLAN_HANG_UP_EARLY && a->cause == CPH_OK && b->cause == CPH_OK)
            fail_msg("a call was answered, never had keys, and nobody says why");
        return;
    }
    t->failed++;
    t->reason[a->cause]++;
    if (plan == PLAN_BUSY && a->cause == CPH_OK)
        assert_int_equal(a->status, 486);
    if (plan == PLAN_DECLINE && a->cause == CPH_OK)
        assert_int_equal(a->status, 603);
    if (a->cause == CPH_OK && (a->status < 300 || !a->why[0]))
        fail_msg("a call failed without a reason");
}

static void print_tally(const struct tally *t)
{
    print_message("%zu calls (%zu UDP, %zu TCP, %zu TLS): %zu answered, %zu secured, %zu failed\n",
                  t->calls, t->by_proto[0], t->by_proto[1], t->by_proto[2], t->answered, t->secured,
                  t->failed);
    for (int e = 0; e < CPH_E_COUNT_; e++)
        if (t->reason[e])
            print_message("  %zu ended before an answer with %s\n", t->reason[e],
                          cph_err_name((cph_err)e));
}

static void ten_thousand_calls_connect_or_say_why_not(void **state)
{
    const char *fewer = getenv("CPH_SIM_CALLS"), *first = getenv("CPH_SIM_SEED");
    size_t calls = fewer ? strtoul(fewer, NULL, 10) : CALLS;
    uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
    struct tally t = { 0 };
    size_t meant;

    (void)state;
    for (; t.calls < calls; seed++) {
        struct w_config cfg;
        struct world w;

        net_of_seed(seed, &cfg);
        w_new(&w, &cfg);
        for (size_t i = 0; i < CALLS_A_NET && t.calls < calls; i++) {
            enum plan plan = (enum plan)lab_random(w.net, PLAN_N);

            one_call(&w, plan);
            judge(&w, plan, &t);
            w_clear(&w);
        }
        w_silent(&w);
        w_free(&w);
    }
    print_tally(&t);
    meant = t.calls - t.by_plan[PLAN_BUSY] - t.by_plan[PLAN_DECLINE] -
            t.by_plan[PLAN_HANG_UP_EARLY]; /* calls that were meant to be answered */
    assert_true(t.answered >= meant * 99 / 100);
    assert_true(t.secured >= meant * 99 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_calls_connect_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, w_keys_make, w_keys_free);
}

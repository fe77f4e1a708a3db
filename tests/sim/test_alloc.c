/* One whole call in virtual time, with each allocation failing in turn. */
#include "world.h"

#include <stdlib.h>

static void event(void *ctx, struct lab_terminal *t, const struct cph_phone_event *ev, cph_time now)
{
    uint32_t *call = ctx;
    struct cph_phone *p = lab_terminal_phone(t);

    call[ev->kind == CPH_PHONE_INCOMING] = ev->call;
    if (ev->kind == CPH_PHONE_INCOMING && cph_phone_ring(p, ev->call, now) == CPH_OK)
        (void)!cph_phone_accept(p, ev->call, now);
}

static const struct lab_terminal_ops ops = { .event = event };

static cph_err terminal(struct lab_net *net, const struct cph_env *env, const char *ip,
                        uint32_t *call, struct lab_terminal **out)
{
    static const char *const codecs[] = { "PCMU", NULL };
    struct cph_phone_account account = { .name = "", .user = "u" };
    struct cph_sip_ua_cfg sip = { .env = env, .n_listeners = 1 };
    struct lab_terminal_config cfg = { .ip = ip, .ops = &ops, .ctx = call };

    account.policy.keying[0] = "sdes";
    account.policy.keying_n = 1;
    sip.listener[0] = (struct cph_sip_listener){ .proto = CPH_SIP_UDP };
    sip.listener[0].addr.port = 5060;
    cfg.phone = (struct cph_phone_config){ .env = env,
                                           .sip = &sip,
                                           .account = &account,
                                           .n_accounts = 1,
                                           .codecs = codecs,
                                           .portable_crypto = true };
    return lab_terminal_new(net, &cfg, out);
}

/* The API may say only that memory ran out; what became of the call shows in the events. */
static cph_err talk(struct lab_net *net, struct lab_terminal *t)
{
    struct cph_phone_dial dial = { .to = "sip:u@10.0.0.2" };
    struct cph_phone *p = lab_terminal_phone(t);
    uint32_t id;
    cph_err err;

    CPH_TRY(cph_phone_dial(p, &dial, lab_now(net), &id));
    lab_terminal_pump(t);
    CPH_TRY(lab_run(net, lab_now(net) + CPH_MS(300)));
    err = cph_phone_hold(p, id, true, lab_now(net));
    if (err == CPH_E_NOMEM)
        return err;
    lab_terminal_pump(t);
    CPH_TRY(lab_run(net, lab_now(net) + CPH_MS(200)));
    err = cph_phone_rekey(p, id, lab_now(net));
    if (err == CPH_E_NOMEM)
        return err;
    lab_terminal_pump(t);
    CPH_TRY(lab_run(net, lab_now(net) + CPH_MS(200)));
    err = cph_phone_hangup(p, id, lab_now(net));
    lab_terminal_pump(t);
    if (err == CPH_E_NOMEM)
        return err;
    return lab_run(net, lab_now(net) + CPH_SEC(40));
}

static cph_err whole_call(void *arg)
{
    struct lab_terminal *t[2] = { NULL, NULL };
    uint32_t call[2] = { 0 };
    struct lab_net *net;
    struct cph_env env;
    cph_err err;

    (void)arg;
    CPH_TRY(lab_net_new(1, (struct lab_link){ .delay = CPH_MS(10) }, &net));
    lab_env(net, &env);
    err = terminal(net, &env, "10.0.0.1", call, &t[0]);
    if (err == CPH_OK)
        err = terminal(net, &env, "10.0.0.2", call, &t[1]);
    if (err == CPH_OK)
        err = talk(net, t[0]);
    lab_terminal_free(t[0]);
    lab_terminal_free(t[1]);
    lab_net_free(net);
    return err;
}

static void a_whole_call_survives_want_of_memory_at_any_moment(void **state)
{
    size_t before = test_alloc_count();

    (void)state;
    assert_ok(whole_call(NULL));
    print_message("%zu allocations\n", test_alloc_count() - before);
    test_alloc_fails(whole_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_call_survives_want_of_memory_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

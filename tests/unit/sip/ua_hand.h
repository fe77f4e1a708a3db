/* One user agent and one hand-made peer of it, for the tests of ua_support.c. */
#ifndef CPH_TEST_UA_HAND_H
#define CPH_TEST_UA_HAND_H

#include "ua_support.c"

#define CONTACT "Contact: <sip:bob@10.0.0.9:5060>\n"

static struct world w;

/* Node 0 is the agent, at 10.0.0.1; node 1 the hand, at 10.0.0.9. */
static void begin_hand(uint64_t seed, const char *protos, void (*change)(struct cph_sip_ua_cfg *))
{
    struct cph_sip_ua_cfg c;

    w_init(&w, seed);
    c = w_cfg(&w, 0, "10.0.0.1", protos);
    if (change)
        change(&c);
    assert_ok(w_start(&w, 0, &c));
    w_hand(&w, 1, "10.0.0.9");
}

static void finish(void)
{
    w_run(&w, CPH_SEC(80));
    w_quiet(&w, 0);
    w_free(&w);
}

static const char *hear(const char *prefix)
{
    const char *m = w_heard(&w, 1, prefix);

    if (!m)
        fail_msg("the hand did not get %s", prefix);
    return m;
}

#endif

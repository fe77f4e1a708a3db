/* Sessions keyed by MIKEY: what the call hears, and what its verdict says. */
#include "pair.h"

#include "ciphony/keying_mikey.h"

static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };

static struct pair t;
static struct cph_mikey *m[2];

static void open_call(struct cph_mikey_cfg cfg)
{
    struct party *p[2] = { &t.a, &t.b };

    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < 2; i++) {
        party_init(p[i], i + 1, CPH_SECURITY_REQUIRED, "mikey");
        cfg.env = &p[i]->env.env;
        cfg.id = i == 0 ? "sip:a@example.org" : "sip:b@example.org";
        cfg.peer_id = i == 0 ? "sip:b@example.org" : "sip:a@example.org";
        assert_ok(cph_mikey_new(&cfg, &m[i]));
        p[i]->cfg.keying.mikey = m[i];
        p[i]->n = 2; /* each stream has a bundle of its own */
        party_start(p[i]);
        came_by(p[i], CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT);
    }
}

static void close_call(void)
{
    pair_close(&t);
    cph_mikey_free(m[0]);
    cph_mikey_free(m[1]);
}

static void a_call_under_a_shared_secret_is_heard(void **state)
{
    struct cph_session_event ev;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode <= CPH_MIKEY_DHHMAC;
         mode += CPH_MIKEY_DHHMAC - CPH_MIKEY_PSK) {
        open_call((struct cph_mikey_cfg){ .mode = (enum cph_mikey_mode)mode, .psk = &psk });
        call(&t);
        talk(&t);
        assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
        assert_int_equal(level(&t.a), CPH_LEVEL_VERIFIED);
        assert_int_equal(level(&t.b), CPH_LEVEL_VERIFIED);
        exchange(&t, &t.b, &t.a); /* an update from the other side */
        talk(&t);
        close_call();
    }
}

static void keys_in_clear_make_no_more_than_the_hops_are_worth(void **state)
{
    (void)state;
    open_call((struct cph_mikey_cfg){ .mode = CPH_MIKEY_NULL, .accept = 1U << CPH_MIKEY_NULL });
    call(&t);
    talk(&t);
    assert_int_equal(level(&t.a), CPH_LEVEL_HOP);
    assert_int_equal(level(&t.b), CPH_LEVEL_HOP);
    close_call();
}

static void a_group_that_can_be_broken_makes_no_more_either(void **state)
{
    (void)state;
    open_call((struct cph_mikey_cfg){
        .mode = CPH_MIKEY_DHHMAC, .psk = &psk, .group = CPH_AGREE_MODP_1536, .weak_groups = true });
    call(&t);
    talk(&t);
    assert_int_equal(level(&t.a), CPH_LEVEL_HOP);
    assert_int_equal(level(&t.b), CPH_LEVEL_HOP);
    close_call();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_under_a_shared_secret_is_heard),
        cmocka_unit_test(keys_in_clear_make_no_more_than_the_hops_are_worth),
        cmocka_unit_test(a_group_that_can_be_broken_makes_no_more_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

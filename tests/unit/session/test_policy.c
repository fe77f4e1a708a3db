/* Policies with a name, and a call that ends because its peer is not proven as demanded. */
#include "pair.h"

static cph_err named(struct cph_policy *p, const char *text)
{
    return cph_policy_keying(p, cph_span_of(text));
}

static void a_name_stands_for_an_order_and_for_what_is_done_without_keys(void **state)
{
    struct cph_policy p = { 0 };

    (void)state;
    assert_ok(named(&p, "best"));
    assert_int_equal(p.keying_n, 4);
    assert_string_equal(p.keying[0], "dtls");
    assert_string_equal(p.keying[1], "zrtp");
    assert_string_equal(p.keying[2], "mikey");
    assert_string_equal(p.keying[3], "sdes");
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_REQUIRED);
    assert_true(p.enforce_need && p.free_offers);
    assert_ok(named(&p, " compatible "));
    assert_int_equal(p.keying_n, 2);
    assert_string_equal(p.keying[1], "sdes");
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
    assert_false(p.enforce_need);
    assert_ok(named(&p, "legacy"));
    assert_int_equal(p.keying_n, 1);
    assert_string_equal(p.keying[0], "sdes");
    assert_null(p.keying[1]);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
    assert_true(p.free_offers);
    assert_ok(named(&p, "sdes, dtls"));
    assert_false(p.free_offers); /* who lists it wants it */
    assert_int_equal(p.keying_n, 2);
    assert_string_equal(p.keying[0], "sdes");
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_REQUIRED);
}

static void what_the_rows_of_a_list_need_is_known(void **state)
{
    static const struct {
        const char *list;
        unsigned needs;
    } row[] = {
        { "best", CPH_KEYING_NEEDS_CERT | CPH_KEYING_NEEDS_ZRTP | CPH_KEYING_NEEDS_MIKEY },
        { "compatible", CPH_KEYING_NEEDS_CERT },
        { "legacy", 0 },
        { "sdes,zrtp", CPH_KEYING_NEEDS_ZRTP },
        { "mikeyv2-inband", CPH_KEYING_NEEDS_MIKEY },
    };
    struct cph_policy p = { 0 };

    (void)state;
    assert_false(cph_policy_needs(&p, CPH_KEYING_NEEDS_CERT)); /* nobody is named */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_ok(named(&p, row[i].list));
        for (unsigned need = 1; need <= CPH_KEYING_NEEDS_MIKEY; need <<= 1)
            assert_int_equal(cph_policy_needs(&p, need), (row[i].needs & need) != 0);
    }
}

static void what_is_no_name_and_no_list_changes_nothing(void **state)
{
    static const char *const wrong[] = { "",          "Best",          "best,dtls", "dtls,",
                                         "dtls,dtls", "dtls,,sdes",    "worst",     ",dtls",
                                         "dtls best", "legacy,legacy", "dtls;sdes", "\0dtls" };
    struct cph_policy p = { 0 }, before;

    (void)state;
    assert_ok(named(&p, "compatible"));
    before = p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_err(named(&p, wrong[i]), CPH_E_MALFORMED);
    assert_memory_equal(&p, &before, sizeof p);
}

static void every_row_of_a_policy_exists_and_none_has_expired(void **state)
{
    (void)state;
    for (const struct cph_keying_preset *s = cph_keying_presets; s->name; s++) {
        assert_ptr_equal(cph_keying_preset_by_name(cph_span_of(s->name)), s);
        assert_non_null(s->about);
        for (size_t i = 0; s->row[i]; i++) {
            const struct cph_keying_method *m = cph_keying_method_by_name(cph_span_of(s->row[i]));

            assert_non_null(m);
            assert_false(m->expired);
        }
    }
    assert_null(cph_keying_preset_by_name(CPH_SPAN_LIT("")));
    for (size_t i = 0; cph_keying_methods[i]; i++) {
        struct cph_policy p = { 0 };

        assert_ok(named(&p, cph_keying_methods[i]->name)); /* by its own name any may be used */
    }
}

static void a_call_by_name_asks_for_no_less_than_its_account_says(void **state)
{
    struct cph_policy account = { .media = CPH_SECURITY_REQUIRED }, call = { 0 }, p;

    (void)state;
    assert_ok(named(&call, "compatible"));
    p = cph_policy_choose(&account, &call);
    assert_int_equal(cph_policy_media(&p),
                     CPH_SECURITY_REQUIRED); /* it was said in so many words */
    assert_int_equal(p.keying_n, 2);
    account.media = CPH_SECURITY_UNSET;
    p = cph_policy_choose(&account, &call);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
    assert_ok(named(&account, "best"));
    assert_ok(named(&call, "sdes"));
    p = cph_policy_choose(&account, &call); /* a list says nothing about RTP */
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_REQUIRED);
    assert_true(p.enforce_need);
    call.media = CPH_SECURITY_PREFER;
    p = cph_policy_choose(&account, &call);
    assert_int_equal(cph_policy_media(&p), CPH_SECURITY_PREFER);
}

/* ---- no call with a stranger ----------------------------------------------------------------- */

static void best_party(struct party *p, unsigned who, enum cph_level need, const char *keying)
{
    struct cph_cert_spec spec = { .cn = "device", .not_before = 1, .not_after = 1100000000 };

    party_init(p, who, CPH_SECURITY_UNSET, NULL);
    assert_ok(named(&p->cfg.policy, keying));
    p->cfg.policy.need = need;
    p->env.wall = 1000000000;
    assert_ok(cph_key_generate(&p->env.env, CPH_KEY_EC_P256, &p->key));
    assert_ok(cph_cert_self_signed(&p->env.env, p->key, &spec, &p->cert));
    p->cfg.keying.key = p->key;
    p->cfg.keying.cert = p->cert;
}

/* Alice demands need; how her users know Bob is voucher. */
static void demand(struct pair *t, enum cph_level need, enum cph_voucher voucher,
                   const char *keying)
{
    memset(t, 0, sizeof *t);
    best_party(&t->a, 1, need, keying);
    best_party(&t->b, 2, CPH_LEVEL_OPEN, "best");
    t->a.voucher = voucher;
    party_start(&t->a);
    party_start(&t->b);
    call(t);
    shuttle(t);
}

static void best_takes_the_media_path_and_ends_a_call_with_nobody_in_particular(void **state)
{
    struct pair t;
    struct cph_session_event ev;
    const char *why = NULL;

    (void)state;
    demand(&t, CPH_LEVEL_OPEN, CPH_VOUCHER_NOBODY, "best");
    assert_true(happened(&t.a, CPH_SESSION_KEYED, &ev));
    assert_non_null(strstr(ev.why, "dtls"));
    talk(&t);
    pair_close(&t);

    demand(&t, CPH_LEVEL_IDENTIFIED, CPH_VOUCHER_NOBODY, "best");
    assert_true(happened(&t.a, CPH_SESSION_FAILED, &ev));
    assert_int_equal(ev.err, CPH_E_POLICY);
    assert_non_null(strstr(ev.why, "proof"));
    assert_int_equal(cph_session_line(t.a.s, 0, &why), CPH_SESSION_LINE_FAILED);
    assert_true(say(&t, &t.a, &t.b, 1) != CPH_OK); /* and nothing more is said */
    assert_true(say(&t, &t.b, &t.a, 1) != CPH_OK);
    pair_close(&t);

    demand(&t, CPH_LEVEL_VERIFIED, CPH_VOUCHER_PIN, "best");
    assert_false(happened(&t.a, CPH_SESSION_FAILED, NULL));
    talk(&t);
    assert_int_equal(level(&t.a), CPH_LEVEL_VERIFIED);
    pair_close(&t);
}

static void a_list_only_tells_that_the_policy_is_broken(void **state)
{
    struct pair t;
    struct cph_verdict v;

    (void)state;
    demand(&t, CPH_LEVEL_VERIFIED, CPH_VOUCHER_NOBODY, "dtls,sdes");
    assert_false(happened(&t.a, CPH_SESSION_FAILED, NULL));
    talk(&t);
    cph_session_verdict(t.a.s, &v);
    assert_false(v.policy_kept);
    pair_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_stands_for_an_order_and_for_what_is_done_without_keys),
        cmocka_unit_test(what_the_rows_of_a_list_need_is_known),
        cmocka_unit_test(what_is_no_name_and_no_list_changes_nothing),
        cmocka_unit_test(every_row_of_a_policy_exists_and_none_has_expired),
        cmocka_unit_test(a_call_by_name_asks_for_no_less_than_its_account_says),
        cmocka_unit_test(best_takes_the_media_path_and_ends_a_call_with_nobody_in_particular),
        cmocka_unit_test(a_list_only_tells_that_the_policy_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Calls with ZRTP: what the users see, what they say of it, and what lasts to the next call. */
#include "phone_support.h"

#include "ciphony/keying_zrtp.h"

enum { PEERS = 4 };

/* What one phone keeps, over calls and restarts. */
struct kept {
    struct cph_phone_zrtp zrtp;
    struct cph_zrtp_store store;
    struct {
        bool used;
        uint8_t zid[CPH_ZRTP_ZID];
        struct cph_zrtp_retained r;
    } peer[PEERS];
    bool broken; /* nothing can be written */
};

static cph_err kept_get(void *ctx, const uint8_t zid[CPH_ZRTP_ZID], struct cph_zrtp_retained *out)
{
    struct kept *k = ctx;

    for (unsigned i = 0; i < PEERS; i++)
        if (k->peer[i].used && memcmp(k->peer[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            *out = k->peer[i].r;
            return CPH_OK;
        }
    return CPH_E_NOTFOUND;
}

static cph_err kept_put(void *ctx, const uint8_t zid[CPH_ZRTP_ZID],
                        const struct cph_zrtp_retained *in)
{
    struct kept *k = ctx;

    for (unsigned i = 0; i < PEERS && !k->broken; i++)
        if (!k->peer[i].used || memcmp(k->peer[i].zid, zid, CPH_ZRTP_ZID) == 0) {
            k->peer[i].used = true;
            memcpy(k->peer[i].zid, zid, CPH_ZRTP_ZID);
            k->peer[i].r = *in;
            return CPH_OK;
        }
    return CPH_E_STORE;
}

static void kept_open(struct kept *k, uint8_t name)
{
    memset(k, 0, sizeof *k);
    k->store = (struct cph_zrtp_store){ k, kept_get, kept_put };
    memset(k->zrtp.zid, name, sizeof k->zrtp.zid);
    k->zrtp.store = &k->store;
}

static void phone_zrtp(struct line *l, unsigned i, const char *user, const struct kept *k,
                       enum cph_security media)
{
    struct cph_phone_account a = { .name = "", .user = user };
    struct phone_extra x = { .account = &a, .n_accounts = 1, .zrtp = &k->zrtp };

    a.policy.media = media;
    a.policy.keying[0] = "zrtp";
    a.policy.keying_n = 1;
    phone_add(l, i, &x);
}

/* A call that stands and has keys. */
static void call(struct line *l, uint64_t seed, struct kept *a, struct kept *b)
{
    line_open(l, seed);
    phone_zrtp(l, 0, "alice", a, CPH_SECURITY_REQUIRED);
    phone_zrtp(l, 1, "bob", b, CPH_SECURITY_REQUIRED);
    dial(l, 0, "sip:bob@10.0.0.2:5060");
    run(l, 3000);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(heard(l, i, CPH_PHONE_SECURED));
        assert_non_null(heard(l, i, CPH_PHONE_SAS));
        assert_true(status(l, i).media.packets_in > 50);
        assert_string_equal(status(l, i).verdict.stream[0].keying, "zrtp");
    }
}

static const char *sas(struct line *l, unsigned i)
{
    return heard(l, i, CPH_PHONE_SAS)->sas;
}

static cph_err say(struct line *l, unsigned i, bool equal)
{
    cph_err err = cph_phone_sas(lab_terminal_phone(l->t[i]), l->ear[i].call, equal,
                                lab_now(l->net));

    lab_terminal_pump(l->t[i]);
    run(l, 500);
    return err;
}

static enum cph_level level(struct line *l, unsigned i)
{
    return status(l, i).verdict.level;
}

static void both_see_one_string_and_comparing_it_verifies_this_call_and_the_next(void **state)
{
    struct kept a, b;
    struct line l;
    char first[CPH_PHONE_SAS_TEXT];

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 1, &a, &b);
    assert_string_equal(sas(&l, 0), sas(&l, 1));
    assert_int_equal(strlen(sas(&l, 0)), 4);
    (void)snprintf(first, sizeof first, "%s", sas(&l, 0));
    for (unsigned i = 0; i < 2; i++) { /* nobody compared: no peer is proven */
        assert_false(heard(&l, i, CPH_PHONE_SAS)->verified);
        assert_true(status(&l, i).sas_asked);
        assert_true(level(&l, i) < CPH_LEVEL_PRIVATE);
        assert_int_equal(status(&l, i).verdict.vouched_by, CPH_VOUCHER_NOBODY);
    }
    assert_ok(say(&l, 0, true));
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    assert_int_equal(status(&l, 0).verdict.vouched_by, CPH_VOUCHER_COMPARED);
    assert_false(status(&l, 0).sas_asked);
    assert_true(level(&l, 1) < CPH_LEVEL_PRIVATE); /* each user speaks for itself */
    assert_ok(say(&l, 1, true));
    assert_int_equal(level(&l, 1), CPH_LEVEL_VERIFIED);
    hangup(&l, 0);
    assert_int_equal(l.ear[0].verdict.level, CPH_LEVEL_VERIFIED);
    line_close(&l);

    call(&l, 2, &b, &a); /* by continuity, also the other way round */
    assert_string_equal(sas(&l, 0), sas(&l, 1));
    assert_string_not_equal(sas(&l, 0), first);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(heard(&l, i, CPH_PHONE_SAS)->verified);
        assert_false(status(&l, i).sas_asked);
        assert_int_equal(level(&l, i), CPH_LEVEL_VERIFIED);
    }
    line_close(&l);
}

static void continuity_without_a_comparison_proves_nothing(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    for (uint64_t seed = 3; seed < 5; seed++) {
        call(&l, seed, &a, &b);
        assert_false(heard(&l, 0, CPH_PHONE_SAS)->verified);
        assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        assert_true(level(&l, 0) < CPH_LEVEL_PRIVATE);
        hangup(&l, 0);
        line_close(&l);
    }
}

static void a_peer_that_lost_the_secret_is_warned_of_and_no_longer_verified(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 5, &a, &b);
    assert_ok(say(&l, 0, true));
    assert_ok(say(&l, 1, true));
    hangup(&l, 0);
    line_close(&l);
    kept_open(&b, 'b'); /* bob's name, without what bob knew */
    call(&l, 6, &a, &b);
    assert_non_null(heard(&l, 0, CPH_PHONE_NOTICE));
    assert_non_null(strstr(heard(&l, 0, CPH_PHONE_NOTICE)->why, "compare"));
    assert_false(heard(&l, 0, CPH_PHONE_SAS)->verified);
    assert_true(status(&l, 0).sas_asked);
    assert_true(level(&l, 0) < CPH_LEVEL_PRIVATE);
    assert_ok(say(&l, 0, true)); /* it was bob, with a new phone */
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    line_close(&l);
}

static void somebody_in_between_shows_two_strings_and_the_call_ends_loudly(void **state)
{
    struct kept a, b, m;
    struct line near, far;
    const struct cph_phone_event *end;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    kept_open(&m, 'm');
    call(&near, 7, &a, &m); /* who is in between has a call with each side */
    call(&far, 8, &m, &b);
    assert_string_not_equal(sas(&near, 0), sas(&far, 1));
    assert_ok(say(&near, 0, false));
    end = heard(&near, 0, CPH_PHONE_ENDED);
    assert_non_null(end);
    assert_err(end->cause, CPH_E_AUTH);
    assert_non_null(strstr(end->why, "in between"));
    assert_non_null(heard(&near, 1, CPH_PHONE_ENDED));
    assert_int_equal(near.ear[0].verdict.level, CPH_LEVEL_OPEN);
    assert_false(near.ear[0].verdict.policy_kept);
    assert_true(a.peer[0].used);
    assert_int_equal(a.peer[0].r.rs1.n, 0); /* what is shared with that one is forgotten */
    assert_false(a.peer[0].r.verified);
    line_close(&near);
    line_close(&far);
}

static void a_comparison_that_cannot_be_kept_still_counts(void **state)
{
    struct kept a, b;
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    call(&l, 9, &a, &b);
    a.broken = true;
    assert_err(say(&l, 0, true), CPH_E_STORE);
    assert_int_equal(level(&l, 0), CPH_LEVEL_VERIFIED);
    line_close(&l);
}

/* Who has what ZRTP needs, and does not name it, neither offers nor takes it. */
static void zrtp_is_spoken_only_where_the_policy_names_it(void **state)
{
    struct cph_phone_account acc = { .name = "", .user = "alice" };
    struct kept a, b;
    struct phone_extra x = { .account = &acc, .n_accounts = 1, .zrtp = &a.zrtp };
    struct line l;

    (void)state;
    kept_open(&a, 'a');
    kept_open(&b, 'b');
    line_open(&l, 10);
    hand_open(&l);
    phone_add(&l, 0, &x);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 100);
    assert_non_null(strstr(l.hand.invite, "a=fingerprint"));
    assert_null(strstr(l.hand.invite, "zrtp"));
    line_close(&l);

    line_open(&l, 11);
    phone_add(&l, 0, &x);
    phone_zrtp(&l, 1, "bob", &b, CPH_SECURITY_REQUIRED);
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
    assert_int_equal(heard(&l, 0, CPH_PHONE_ENDED)->status, 488);
    line_close(&l);
}

static void there_is_nothing_to_compare_without_zrtp(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 12);
    phone_plain(&l, 0, "alice", CPH_SECURITY_REQUIRED, "dtls");
    phone_plain(&l, 1, "bob", CPH_SECURITY_REQUIRED, "dtls");
    dial(&l, 0, "sip:bob@10.0.0.2:5060");
    run(&l, 1000);
    assert_err(say(&l, 0, true), CPH_E_STATE);
    assert_err(cph_phone_sas(lab_terminal_phone(l.t[0]), 999, true, lab_now(l.net)),
               CPH_E_NOTFOUND);
    assert_string_equal(status(&l, 0).sas, "");
    assert_null(heard(&l, 0, CPH_PHONE_SAS));
    line_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_see_one_string_and_comparing_it_verifies_this_call_and_the_next),
        cmocka_unit_test(continuity_without_a_comparison_proves_nothing),
        cmocka_unit_test(a_peer_that_lost_the_secret_is_warned_of_and_no_longer_verified),
        cmocka_unit_test(somebody_in_between_shows_two_strings_and_the_call_ends_loudly),
        cmocka_unit_test(a_comparison_that_cannot_be_kept_still_counts),
        cmocka_unit_test(zrtp_is_spoken_only_where_the_policy_names_it),
        cmocka_unit_test(there_is_nothing_to_compare_without_zrtp),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

/* Calls with MIKEY: the phone finds what it needs for a peer, and tells what that is worth. */
#include "phone_support.h"

#include "ciphony/keying_mikey.h"

#define ALICE "sip:alice@10.0.0.1:5060"
#define BOB   "sip:bob@10.0.0.2:5060"

static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };
static const struct cph_secret other = { .n = 16, .b = "another secret.." };
static struct cph_mikey *mikey[2];

static const char *const names[] = { ALICE, BOB };
static const char *const users[] = { "alice", "bob" };

/* Each with its own clock, which is that of the network. */
static void material(struct line *l, unsigned i, enum cph_mikey_mode mode,
                     const struct cph_secret *secret)
{
    struct cph_mikey_cfg cfg = { .env = &l->env,
                                 .mode = mode,
                                 .id = names[i],
                                 .peer_id = names[!i],
                                 .psk = secret,
                                 .key = phone_key[i],
                                 .cert = phone_cert[i],
                                 .peer_cert = phone_cert[!i] };

    if (mode == CPH_MIKEY_NULL)
        cfg.accept = 1U << CPH_MIKEY_NULL;
    assert_ok(cph_mikey_new(&cfg, &mikey[i]));
}

static void phone_with(struct line *l, unsigned i, const char *keying)
{
    struct cph_phone_account a = { .name = "", .aor = names[i], .user = users[i] };
    struct phone_extra x = { .account = &a, .n_accounts = 1, .mikey = mikey[i] };

    a.policy.media = CPH_SECURITY_REQUIRED;
    a.policy.keying[0] = keying;
    a.policy.keying_n = keying != NULL;
    phone_add(l, i, &x);
}

static void over(struct line *l)
{
    line_close(l);
    for (unsigned i = 0; i < 2; i++) {
        cph_mikey_free(mikey[i]);
        mikey[i] = NULL;
    }
}

static void open_with(struct line *l, uint64_t seed, enum cph_mikey_mode mode)
{
    line_open(l, seed);
    for (unsigned i = 0; i < 2; i++) {
        material(l, i, mode, &psk);
        phone_with(l, i, "mikey");
    }
}

static void talk(struct line *l)
{
    dial(l, 0, BOB);
    run(l, 2000);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(heard(l, i, CPH_PHONE_SECURED));
        assert_true(status(l, i).media.packets_in > 50);
        assert_string_equal(status(l, i).verdict.stream[0].keying, "mikey");
    }
}

static void a_secret_shared_beforehand_verifies_the_call(void **state)
{
    struct line l;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode <= CPH_MIKEY_DHHMAC;
         mode += CPH_MIKEY_DHHMAC - CPH_MIKEY_PSK) {
        open_with(&l, 1, (enum cph_mikey_mode)mode);
        talk(&l);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(status(&l, i).verdict.level, CPH_LEVEL_VERIFIED);
        hangup(&l, 0);
        assert_int_equal(l.ear[1].verdict.level, CPH_LEVEL_VERIFIED);
        over(&l);
    }
}

static void signed_keys_are_from_the_certificate_that_was_named(void **state)
{
    struct line l;

    (void)state;
    open_with(&l, 2, CPH_MIKEY_DHSIGN);
    talk(&l);
    for (unsigned i = 0; i < 2; i++)
        assert_true(status(&l, i).verdict.level >= CPH_LEVEL_PRIVATE);
    over(&l);
}

static void keys_in_clear_are_worth_nothing_over_udp(void **state)
{
    struct line l;

    (void)state;
    open_with(&l, 3, CPH_MIKEY_NULL);
    talk(&l);
    assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_OPEN);
    over(&l);
}

static void another_secret_makes_no_call(void **state)
{
    const struct cph_phone_event *end;
    struct line l;

    (void)state;
    line_open(&l, 4);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    material(&l, 1, CPH_MIKEY_PSK, &other);
    phone_with(&l, 0, "mikey");
    phone_with(&l, 1, "mikey");
    dial(&l, 0, BOB);
    run(&l, 1000);
    end = heard(&l, 0, CPH_PHONE_ENDED);
    assert_non_null(end);
    assert_int_equal(end->status, 488);
    assert_null(heard(&l, 1, CPH_PHONE_SECURED));
    over(&l);
}

static void new_keys_come_without_a_gap_in_a_standing_call(void **state)
{
    struct line l;
    uint64_t before;

    (void)state;
    open_with(&l, 5, CPH_MIKEY_PSK);
    talk(&l);
    for (unsigned i = 0; i < 2; i++) {
        before = status(&l, !i).media.packets_in;
        assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[i]), l.ear[i].call, lab_now(l.net)));
        lab_terminal_pump(l.t[i]);
        run(&l, 1000);
        assert_true(status(&l, !i).media.packets_in >= before + 49);
        assert_int_equal(status(&l, !i).media.lost, 0);
        assert_int_equal(status(&l, i).verdict.level, CPH_LEVEL_VERIFIED);
    }
    over(&l);
}

static void mikey_stands_beside_others_in_an_offer_and_is_passed_over_without_material(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 6);
    hand_open(&l);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    phone_with(&l, 0, NULL);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 100);
    assert_non_null(strstr(l.hand.invite, "a=key-mgmt:mikey "));
    assert_non_null(strstr(l.hand.invite, "a=fingerprint"));
    over(&l);

    line_open(&l, 7);
    hand_open(&l);
    phone_with(&l, 0, NULL);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 100);
    assert_null(strstr(l.hand.invite, "key-mgmt"));
    over(&l);
}

/* ---- one phone, several peers ---------------------------------------------------------------- */

static const char *asked_for;

static struct cph_mikey *of_peer(void *ctx, const char *account, struct cph_span peer)
{
    static char text[CPH_PHONE_URI];

    (void)ctx;
    assert_string_equal(account, "work");
    assert_ok(cph_span_cstr(peer, text, sizeof text));
    asked_for = text;
    return cph_span_starts(peer, "sip:bob@") ? mikey[0] : NULL;
}

static cph_err no_ports(void *ctx, uint32_t call, const struct cph_addr *near,
                        struct cph_addr local[2])
{
    (void)ctx, (void)call;
    local[0] = local[1] = *near;
    return CPH_OK;
}

static void no_send(void *ctx, uint32_t call, unsigned component, const struct cph_addr *to,
                    struct cph_span packet)
{
    (void)ctx, (void)call, (void)component, (void)to, (void)packet;
}

static void no_close(void *ctx, uint32_t call)
{
    (void)ctx, (void)call;
}

static void the_host_says_which_material_is_for_which_peer(void **state)
{
    static const struct cph_phone_host host = {
        .media_open = no_ports, .media_send = no_send, .media_close = no_close, .mikey = of_peer
    };
    struct cph_phone_account a = { .name = "work", .user = "alice" };
    struct cph_phone_dial d = { .to = BOB };
    struct cph_phone *p;
    struct line l;
    uint32_t call;

    (void)state;
    line_open(&l, 8);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    a.policy.keying[0] = "mikey";
    a.policy.keying_n = 1;
    {
        struct cph_sip_ua_cfg sip = { .env = &l.env, .n_listeners = 1 };
        struct cph_phone_config cfg = {
            .env = &l.env, .host = &host, .sip = &sip, .account = &a, .n_accounts = 1
        };

        assert_ok(cph_addr_parse(CPH_SPAN_LIT("10.0.0.1:5060"), &sip.listener[0].addr));
        sip.listener[0].proto = CPH_SIP_UDP;
        assert_ok(cph_phone_new(&cfg, lab_now(l.net), &p));
    }
    assert_ok(cph_phone_dial(p, &d, lab_now(l.net), &call));
    assert_string_equal(asked_for, BOB);
    d.to = "sip:carol@10.0.0.3";
    assert_err(cph_phone_dial(p, &d, lab_now(l.net), &call), CPH_E_CONFIG);
    assert_string_equal(asked_for, "sip:carol@10.0.0.3");
    cph_phone_free(p);
    over(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_shared_beforehand_verifies_the_call),
        cmocka_unit_test(signed_keys_are_from_the_certificate_that_was_named),
        cmocka_unit_test(keys_in_clear_are_worth_nothing_over_udp),
        cmocka_unit_test(another_secret_makes_no_call),
        cmocka_unit_test(new_keys_come_without_a_gap_in_a_standing_call),
        cmocka_unit_test(
            mikey_stands_beside_others_in_an_offer_and_is_passed_over_without_material),
        cmocka_unit_test(the_host_says_which_material_is_for_which_peer),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

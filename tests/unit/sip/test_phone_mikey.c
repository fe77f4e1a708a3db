/* Calls with MIKEY: the phone finds what it needs for a peer, and tells what that is worth. */
#include "phone_mikey.h"

#include "../keying/mikey/mikey_int.h"

static void open_with(struct line *l, uint64_t seed, enum cph_mikey_mode mode)
{
    line_open(l, seed);
    for (unsigned i = 0; i < 2; i++) {
        material(l, i, mode, &psk);
        phone_with(l, i, "mikey", false);
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

/* ---- refusals that say why ------------------------------------------------------------------- */

static void another_secret_makes_no_call_and_why_is_told_as_a_hint(void **state)
{
    const struct cph_phone_event *note, *end;
    struct line l;

    (void)state;
    line_open(&l, 4);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    material(&l, 1, CPH_MIKEY_PSK, &other);
    phone_with(&l, 0, "mikey", false);
    phone_with(&l, 1, "mikey", false);
    dial(&l, 0, BOB);
    run(&l, 1000);
    note = heard(&l, 0, CPH_PHONE_NOTICE);
    end = heard(&l, 0, CPH_PHONE_ENDED);
    assert_non_null(note);
    assert_non_null(strstr(note->why, "somebody on the way says"));
    assert_non_null(strstr(note->why, "secrets or certificates do not fit"));
    assert_non_null(end);
    assert_int_equal(end->status, 488);
    assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
    assert_null(heard(&l, 1, CPH_PHONE_SECURED));
    over(&l);
}

/* The same secret, but Bob does not take the mode: that is under the secret, and so proven. */
static void a_reason_under_the_secret_is_told_as_proven(void **state)
{
    struct cph_mikey_cfg cfg = { .mode = CPH_MIKEY_PSK,
                                 .accept = 1U << CPH_MIKEY_DHHMAC,
                                 .id = BOB,
                                 .peer_id = ALICE,
                                 .psk = &psk };
    const struct cph_phone_event *note;
    struct line l;

    (void)state;
    line_open(&l, 4);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    cfg.env = &l.env;
    assert_ok(cph_mikey_new(&cfg, &mikey[1]));
    phone_with(&l, 0, "mikey", false);
    phone_with(&l, 1, "mikey", false);
    dial(&l, 0, BOB);
    run(&l, 1000);
    note = heard(&l, 0, CPH_PHONE_NOTICE);
    assert_non_null(note);
    assert_non_null(strstr(note->why, "the peer proves that it refuses"));
    assert_non_null(strstr(note->why, "this mode of MIKEY"));
    over(&l);
}

/* The MIKEY message in the INVITE that came last: its CSB ID and timestamp are for all to read. */
static void forge(const struct line *l, uint8_t number, char out[256])
{
    const char *at = strstr(l->hand.invite, "a=key-mgmt:mikey ");
    uint8_t msg[1024], e[32] = { 1, 6, 5, 0 };
    char text[CPH_BASE64_LEN(sizeof e) + 1];
    size_t n, len, start;

    assert_non_null(at);
    at += strlen("a=key-mgmt:mikey ");
    len = strcspn(at, "\r\n");
    assert_ok(
        cph_unbase64((struct cph_span){ (const uint8_t *)at, len }, true, msg, sizeof msg, &n));
    start = 10 + (size_t)9 * msg[8]; /* behind HDR with its sessions: next, type, 8 bytes */
    memcpy(e + 4, msg + 4, 4);
    e[10] = 12;
    memcpy(e + 11, msg + start + 1, 9);
    e[21] = number;
    cph_base64((struct cph_span){ e, 24 }, text);
    (void)snprintf(out, 256, "a=key-mgmt:mikey %s\r\n", text);
}

/* Somebody on the way answers for Bob, and says what would be a reason to offer less. He has what a
 * bare 488 had given him: there is no call. */
static void a_forged_reason_gains_nothing(void **state)
{
    static const enum cph_security policy[] = { CPH_SECURITY_REQUIRED, CPH_SECURITY_PREFER };
    static const uint8_t number[] = { 0, 6, 9, 10, 11, 12, 13, 255 };

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof number; i++) {
        struct cph_phone_account a = { .name = "", .aor = ALICE, .user = "alice" };
        struct phone_extra x = { .account = &a, .n_accounts = 1 };
        const struct cph_phone_event *note;
        struct line l;
        char keys[256], sdp[512];

        line_open(&l, 4);
        hand_open(&l);
        material(&l, 0, CPH_MIKEY_PSK, &psk);
        x.mikey = mikey[0];
        a.policy.media = policy[i / sizeof number];
        a.policy.keying[0] = "mikey";
        a.policy.keying_n = 1;
        phone_add(&l, 0, &x);
        dial(&l, 0, "sip:bob@10.0.0.9:5060");
        run(&l, 100);
        forge(&l, number[i % sizeof number], keys);
        hand_sdp(sdp, sizeof sdp, "RTP/SAVP", keys);
        hand_answers(&l, 488, "x", sdp);
        run(&l, 1000);
        note = heard(&l, 0, CPH_PHONE_NOTICE);
        assert_non_null(note);
        assert_non_null(strstr(note->why, "somebody on the way says"));
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
        assert_null(heard(&l, 0, CPH_PHONE_SECURED));
        assert_int_equal(l.hand.invites, 1); /* no second offer, least of all a weaker one */
        assert_int_equal(l.hand.n_media, 0);
        over(&l);
    }
}

/* A body that is none of that is passed over. */
static void a_refusal_with_nonsense_in_it_is_a_refusal(void **state)
{
    static const char *const keys[] = { "", "a=key-mgmt:mikey AAAA\r\n", "a=key-mgmt:mikey !\r\n",
                                        "a=key-mgmt:other AAAA\r\n" };

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct line l;
        char sdp[512] = "no description";

        line_open(&l, 4);
        hand_open(&l);
        material(&l, 0, CPH_MIKEY_PSK, &psk);
        phone_with(&l, 0, "mikey", false);
        dial(&l, 0, "sip:bob@10.0.0.9:5060");
        run(&l, 100);
        if (i < 4)
            hand_sdp(sdp, sizeof sdp, "RTP/SAVP", keys[i]);
        hand_answers(&l, 488, "x", sdp);
        assert_non_null(heard(&l, 0, CPH_PHONE_ENDED));
        assert_null(heard(&l, 0, CPH_PHONE_NOTICE));
        over(&l);
    }
}

/* The hand passes on to Alice what it got as the body of an INVITE, with one thing changed. */
static void pass_on(struct line *l, const char *from, const char *what, const char *by)
{
    char all[2 * TEXT], body[TEXT];
    const char *at = strstr(l->hand.invite, "\r\n\r\n"), *cut;

    assert_non_null(at);
    at += 4;
    cut = strstr(at, what);
    assert_non_null(cut);
    (void)snprintf(body, sizeof body, "%.*s%s%s", (int)(cut - at), at, by, cut + strlen(what));
    (void)snprintf(all, sizeof all,
                   "INVITE sip:alice@10.0.0.1:5060 SIP/2.0\r\n"
                   "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKback\r\n"
                   "From: <%s>;tag=b\r\nTo: <sip:alice@10.0.0.1>\r\n"
                   "Call-ID: back\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
                   "Contact: <sip:bob@10.0.0.9:5060>\r\nContent-Type: application/sdp\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   from, strlen(body), body);
    hand_says(l, all);
}

/* What is in the 488 on the wire: a refused stream, the reason, a warning, and no keys. */
static void the_488_on_the_wire_has_the_reason_and_no_keys(void **state)
{
    struct line l;

    (void)state;
    line_open(&l, 4);
    hand_open(&l);
    material(&l, 0, CPH_MIKEY_PSK, &psk);
    phone_with(&l, 0, "mikey", false);
    dial(&l, 0, "sip:bob@10.0.0.9:5060");
    run(&l, 100);
    /* her own offer comes back to her: it was made with the right secret, in the wrong name */
    pass_on(&l, BOB, "s=-", "s=-");
    assert_int_equal(l.hand.status, 488);
    assert_non_null(strstr(l.hand.got, "Warning: 306 "));
    assert_non_null(strstr(l.hand.got, "Content-Type: application/sdp"));
    assert_non_null(strstr(l.hand.got, "m=audio 0 RTP/SAVP"));
    assert_non_null(strstr(l.hand.got, "a=key-mgmt:mikey AQYF")); /* version, Error, then T */
    assert_null(strstr(l.hand.got, "a=crypto"));
    over(&l);
}

/* RFC 4567 4.1.4, 7: who is on the way changes which protocols there were. */
static void an_offer_that_was_bid_down_rings_at_nobody(void **state)
{
    static const struct {
        const char *what, *by;
        unsigned status;
    } cases[] = { { "s=-", "s=-", 200 },
                  { "a=key-mgmt:mikey ", "a=key-mgmt:keyp1 AAAA\r\na=key-mgmt:mikey ", 488 },
                  { "a=key-mgmt:mikey ", "a=key-mgmt:mikey AAAA\r\na=key-mgmt:mikey ", 488 },
                  { "a=key-mgmt:mikey ", "a=x-key-mgmt:mikey ", 488 },
                  { "RTP/SAVP", "RTP/AVP", 200 } }; /* the keys are there, and are used */

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line l;

        line_open(&l, 4);
        hand_open(&l);
        for (unsigned k = 0; k < 2; k++) {
            material(&l, k, CPH_MIKEY_PSK, &psk);
            phone_with(&l, k, "mikey", false);
        }
        dial(&l, 1, "sip:alice@10.0.0.9:5060"); /* Bob calls by way of the hand */
        run(&l, 100);
        pass_on(&l, BOB, cases[i].what, cases[i].by);
        assert_int_equal(l.hand.status, cases[i].status);
        assert_null(heard(&l, 0, CPH_PHONE_PLAIN));
        assert_int_equal(heard(&l, 0, CPH_PHONE_ANSWERED) != NULL, cases[i].status == 200);
        if (cases[i].status == 200)
            assert_string_equal(status(&l, 0).verdict.stream[0].keying, "mikey");
        over(&l);
    }
}

static void a_refused_change_of_keys_says_why_and_the_call_goes_on(void **state)
{
    const struct cph_phone_event *note;
    struct line l;
    uint64_t before;

    (void)state;
    open_with(&l, 5, CPH_MIKEY_PSK);
    talk(&l);
    mikey[1]->cfg.psk = NULL;
    mikey[1]->psk = other; /* Bob's secret is another one from now on */
    assert_ok(cph_phone_rekey(lab_terminal_phone(l.t[0]), l.ear[0].call, lab_now(l.net)));
    lab_terminal_pump(l.t[0]);
    run(&l, 500);
    note = heard(&l, 0, CPH_PHONE_NOTICE);
    assert_non_null(note); /* the last one */
    assert_non_null(strstr(note->why, "goes on as it was"));
    for (size_t i = 0; i < l.ear[0].n; i++)
        if (l.ear[0].ev[i].kind == CPH_PHONE_NOTICE) {
            assert_non_null(strstr(l.ear[0].ev[i].why, "somebody on the way says"));
            break;
        }
    before = status(&l, 0).media.packets_in;
    run(&l, 1000);
    assert_true(status(&l, 0).media.packets_in >= before + 49);
    assert_int_equal(status(&l, 0).verdict.level, CPH_LEVEL_VERIFIED);
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
    phone_with(&l, 0, NULL, false);
    dial(&l, 0, "sip:hand@10.0.0.9:5060");
    run(&l, 100);
    assert_non_null(strstr(l.hand.invite, "a=key-mgmt:mikey "));
    assert_non_null(strstr(l.hand.invite, "a=fingerprint"));
    over(&l);

    line_open(&l, 7);
    hand_open(&l);
    phone_with(&l, 0, NULL, false);
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
        cmocka_unit_test(another_secret_makes_no_call_and_why_is_told_as_a_hint),
        cmocka_unit_test(a_reason_under_the_secret_is_told_as_proven),
        cmocka_unit_test(a_forged_reason_gains_nothing),
        cmocka_unit_test(a_refusal_with_nonsense_in_it_is_a_refusal),
        cmocka_unit_test(the_488_on_the_wire_has_the_reason_and_no_keys),
        cmocka_unit_test(an_offer_that_was_bid_down_rings_at_nobody),
        cmocka_unit_test(a_refused_change_of_keys_says_why_and_the_call_goes_on),
        cmocka_unit_test(new_keys_come_without_a_gap_in_a_standing_call),
        cmocka_unit_test(
            mikey_stands_beside_others_in_an_offer_and_is_passed_over_without_material),
        cmocka_unit_test(the_host_says_which_material_is_for_which_peer),
    };

    return cmocka_run_group_tests(tests, devices_make, devices_free);
}

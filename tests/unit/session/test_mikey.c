/* Sessions keyed by MIKEY: what the call hears, and what its verdict says. */
#include "pair.h"

#include "ciphony/keying_mikey.h"

static const struct cph_secret psk = { .n = 16, .b = "sixteen bytes..." };

static struct pair t;
static struct cph_mikey *m[2];
static bool ekt[2];                    /* who speaks EKT */
static const struct cph_secret *psk_b; /* NULL: as the caller's */
static struct cph_key *key[2];         /* for the modes that sign */
static struct cph_cert *cert[2];

static void open_call(struct cph_mikey_cfg cfg)
{
    struct party *p[2] = { &t.a, &t.b };

    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < 2; i++) {
        party_init(p[i], i + 1, CPH_SECURITY_REQUIRED, "mikey");
        cfg.env = &p[i]->env.env;
        cfg.psk = i && psk_b ? psk_b : cfg.psk;
        cfg.key = key[i];
        cfg.cert = cert[i];
        cfg.peer_cert = cert[!i];
        cfg.id = i == 0 ? "sip:a@example.org" : "sip:b@example.org";
        cfg.peer_id = i == 0 ? "sip:b@example.org" : "sip:a@example.org";
        assert_ok(cph_mikey_new(&cfg, &m[i]));
        p[i]->cfg.keying.mikey = m[i];
        p[i]->cfg.ekt = ekt[i];
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

static int keys_make(void **state)
{
    struct cph_cert_spec spec = { .cn = "phone", .not_before = 0, .not_after = 4000000000 };
    struct test_env e;

    (void)state;
    test_env_init(&e, 9);
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(cph_key_generate(&e.env, CPH_KEY_RSA, &key[i]));
        assert_ok(cph_cert_self_signed(&e.env, key[i], &spec, &cert[i]));
    }
    return 0;
}

static int keys_free(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cph_cert_free(cert[i]);
        cph_key_free(key[i]);
        cert[i] = NULL;
        key[i] = NULL;
    }
    return 0;
}

/* The same call, and what each part of it that is not sound costs, with the words for it. */
static void what_is_weak_costs_the_call_its_level(void **state)
{
    static const struct {
        enum cph_agree_group group;
        bool sha1, weak;
    } row[] = { { CPH_AGREE_P256, false, false },
                { CPH_AGREE_MODP_2048, false, false },
                { CPH_AGREE_MODP_1536, false, true },
                { CPH_AGREE_P256, true, true } };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        open_call((struct cph_mikey_cfg){ .mode = CPH_MIKEY_DHSIGN,
                                          .group = row[i].group,
                                          .weak_groups = row[i].weak && !row[i].sha1,
                                          .sha1_signatures = row[i].sha1 });
        call(&t);
        talk(&t);
        for (unsigned k = 0; k < 2; k++) {
            struct party *p = k ? &t.b : &t.a;

            if (row[i].weak)
                assert_true(level(p) <= CPH_LEVEL_HOP);
            else
                assert_int_equal(level(p), CPH_LEVEL_IDENTIFIED);
            assert_int_equal(reason(p, CPH_REASON_WEAK_GROUP), row[i].weak && !row[i].sha1);
            assert_int_equal(reason(p, CPH_REASON_WEAK_SIGNATURE), row[i].sha1);
        }
        close_call();
    }
}

/* Somebody on the way takes the protocol away that stood before MIKEY in the offer. The list under
 * the MAC is another one then, and there is no call. RFC 4567 4.1.4, 7 */
static void an_offer_that_was_bid_down_makes_no_call(void **state)
{
    struct cph_session_event ev;

    (void)state;
    for (int mode = CPH_MIKEY_PSK; mode < CPH_MIKEY_ECMQV; mode++) {
        for (unsigned how = 0; how < 3; how++) {
            open_call((struct cph_mikey_cfg){ .mode = (enum cph_mikey_mode)mode, .psk = &psk });
            assert_ok(offer(&t, &t.a));
            if (how == 1) /* one put in: he would have it seem that Alice knew more */
                edit(&t.a, "a=key-mgmt:mikey ", "a=key-mgmt:keyp1 AAAA\r\na=key-mgmt:mikey ");
            if (how == 2) /* ours taken out; the stream stays protected */
                edit(&t.a, "a=key-mgmt:mikey ", "a=key-mgmt:MIKEY ");
            /* the other stream has its answer, and the call is to be ended */
            assert_ok(answer(&t, &t.b, t.a.text));
            assert_int_equal(happened(&t.b, CPH_SESSION_FAILED, &ev), how > 0);
            assert_int_equal(cph_session_line(t.b.s, 0, NULL) == CPH_SESSION_LINE_KEYED, how == 0);
            close_call();
        }
    }
}

/* Bob knows another secret: his refusal says so, and what Alice reads of it changes nothing. */
static void a_refusal_is_read_counted_and_obeyed_by_nobody(void **state)
{
    static const struct cph_secret wrong = { .n = 16, .b = "sixteen bytes!!!" };
    char why[CPH_SESSION_WHY];
    struct cph_session_event ev;
    struct cph_wr wr;
    bool proven;

    (void)state;
    psk_b = &wrong;
    open_call((struct cph_mikey_cfg){ .mode = CPH_MIKEY_PSK, .psk = &psk });
    psk_b = NULL;
    assert_err(cph_session_refused(t.a.s, (struct cph_span){ 0 }, why, &proven), CPH_E_STATE);
    assert_ok(offer(&t, &t.a));
    wr = cph_wr_open(t.b.sdp, sizeof t.b.sdp);
    assert_err(cph_session_answer(t.b.s, t.a.text, t.now, &wr), CPH_E_POLICY);
    assert_true(wr.n > 0);
    assert_int_equal(cph_session_counts(t.b.s).refusals_told, 1);
    assert_ok(cph_session_refused(t.a.s, cph_wr_done(&wr), why, &proven));
    assert_false(proven);
    assert_non_null(strstr(why, "audio: "));
    assert_int_equal(cph_session_counts(t.a.s).refusals_heard, 1);
    assert_int_equal(cph_session_counts(t.a.s).refusals_proven, 0);
    assert_err(cph_session_event(t.a.s, &ev), CPH_E_AGAIN);
    /* no bytes of it are understood that are not all there, or else nothing happens */
    for (size_t n = 0; n < wr.n; n++)
        (void)!cph_session_refused(t.a.s, (struct cph_span){ wr.p, n }, why, &proven);
    assert_err(cph_session_event(t.a.s, &ev), CPH_E_AGAIN);
    close_call();
}

/* Two phones ring and tell their halves; the one that is taken says the same again in its 200. */
static void a_fork_by_diffie_hellman_is_heard_on_the_branch_that_answers(void **state)
{
    static char said[2][SDP_MAX];
    struct cph_span early[2];
    struct cph_mikey *of_carol;
    struct cph_mikey_cfg cfg = { .mode = CPH_MIKEY_DHHMAC,
                                 .psk = &psk,
                                 .id = "sip:b@example.org",
                                 .peer_id = "sip:a@example.org" };
    struct party carol;

    (void)state;
    open_call((struct cph_mikey_cfg){ .mode = CPH_MIKEY_DHHMAC, .psk = &psk });
    party_init(&carol, 2, CPH_SECURITY_REQUIRED, "mikey");
    test_env_init(&carol.env, 77);
    cfg.env = &carol.env.env;
    assert_ok(cph_mikey_new(&cfg, &of_carol));
    carol.cfg.keying.mikey = of_carol;
    carol.n = 2;
    party_start(&carol);
    came_by(&carol, CPH_HOP_TLS13, CPH_HOP_AUTH_AUTHORITY, CPH_HOP_WHOSE_NEXT);
    assert_ok(offer(&t, &t.a));
    assert_ok(answer(&t, &t.b, t.a.text));
    assert_ok(answer(&t, &carol, t.a.text));
    for (unsigned i = 0; i < 2; i++) {
        struct cph_span text = i ? carol.text : t.b.text;

        memcpy(said[i], text.p, text.n);
        early[i] = (struct cph_span){ (const uint8_t *)said[i], text.n };
        assert_ok(cph_session_finish(t.a.s, i + 1, early[i], t.now));
    }
    assert_ok(cph_session_finish(t.a.s, 1, early[0], t.now)); /* 200 */
    assert_ok(cph_session_choose(t.a.s, 1));
    talk(&t);
    assert_err(cph_session_finish(t.a.s, 1, early[0], t.now), CPH_E_STATE);
    assert_int_equal(level(&t.a), CPH_LEVEL_VERIFIED);
    party_end(&carol);
    cph_mikey_free(of_carol);
    close_call();
}

static unsigned spi_told(void)
{
    struct pkt k;

    rtp(&t.a, &k, 0x44);
    assert_ok(protect(&t, &t.a, 0, CPH_KEYING_RTP, &k));
    return k.b[k.n - 1] == 2 ? (unsigned)(k.b[k.n - 7] << 8 | k.b[k.n - 6]) : 0x10000U;
}

/* RFC 8870, its set by MIKEY. */
static void keys_told_in_the_media_under_a_set_that_mikey_brought(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_NULL, CPH_MIKEY_DHHMAC };

    (void)state;
    ekt[0] = ekt[1] = true;
    for (unsigned i = 0; i < 3; i++) {
        struct cph_verdict v;
        unsigned spi;

        open_call((struct cph_mikey_cfg){ .mode = mode[i], .accept = 1U << mode[i], .psk = &psk });
        call(&t);
        spi = spi_told();
        assert_true(spi < 0x10000);
        talk(&t);
        assert_ok(cph_session_rekey_media(t.a.s, t.now));
        assert_ok(cph_session_rekey_media(t.b.s, t.now));
        t.now += CPH_MS(300);
        talk(&t);
        exchange(&t, &t.b, &t.a); /* an update without keys, by who was given the set */
        exchange(&t, &t.a, &t.b);
        talk(&t);
        assert_ok(cph_session_rekey_media(t.b.s, t.now));
        assert_ok(cph_session_rekey(t.a.s));
        exchange(&t, &t.a, &t.b);
        t.now += CPH_MS(300);
        assert_int_not_equal(spi_told(), spi);
        talk(&t);
        assert_ok(cph_session_rekey(t.b.s));
        exchange(&t, &t.b, &t.a); /* the other one's set now */
        t.now += CPH_MS(300);
        talk(&t);
        cph_session_verdict(t.a.s, &v);
        assert_string_equal(v.stream[0].keying, "mikey+ekt");
        assert_int_equal(v.level, CPH_LEVEL_HOP); /* a shared secret proves nothing of a group */
        assert_true(reason(&t.b, CPH_REASON_KEYS_GROUP));
        close_call();
    }
    ekt[0] = ekt[1] = false;
}

static void without_ekt_on_both_sides_a_call_has_mikey_s_keys(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        ekt[0] = who == 0;
        ekt[1] = who == 1;
        open_call((struct cph_mikey_cfg){ .mode = CPH_MIKEY_PSK, .psk = &psk });
        call(&t);
        talk(&t);
        assert_err(cph_session_rekey_media(t.a.s, t.now), CPH_E_STATE);
        assert_err(cph_session_rekey_media(t.b.s, t.now), CPH_E_STATE);
        assert_int_equal(level(&t.a), CPH_LEVEL_VERIFIED);
        close_call();
    }
    ekt[0] = ekt[1] = false;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_told_in_the_media_under_a_set_that_mikey_brought),
        cmocka_unit_test(without_ekt_on_both_sides_a_call_has_mikey_s_keys),
        cmocka_unit_test(what_is_weak_costs_the_call_its_level),
        cmocka_unit_test(an_offer_that_was_bid_down_makes_no_call),
        cmocka_unit_test(a_fork_by_diffie_hellman_is_heard_on_the_branch_that_answers),
        cmocka_unit_test(a_refusal_is_read_counted_and_obeyed_by_nobody),
        cmocka_unit_test(a_call_under_a_shared_secret_is_heard),
        cmocka_unit_test(keys_in_clear_make_no_more_than_the_hops_are_worth),
        cmocka_unit_test(a_group_that_can_be_broken_makes_no_more_either),
    };

    return cmocka_run_group_tests(tests, keys_make, keys_free);
}

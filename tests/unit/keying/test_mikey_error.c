/* MIKEY's Error messages (RFC 3830 5.1.2, 6.12): who refuses says why, who hears it is none the
 * worse for it, whoever wrote it. */
#include "mikey_world.h"

static const struct cph_secret other_psk = { .n = 16, .b = "sixteen bytes!!!" };
static const char *const gcm[] = { "AEAD_AES_128_GCM", NULL };
static const char *const cm[] = { "AES_CM_128_HMAC_SHA1_80", NULL };

/* What the initiator reads of a refusing answer. */
static cph_err hear(const struct side *s, const struct cph_sdp *refusal,
                    struct cph_keying_refusal *out)
{
    struct cph_keying_remote remote = { refusal, refusal->media[0] };

    *out = (struct cph_keying_refusal){ 0 };
    return cph_nego_refused(s->nego, &remote, out);
}

/* Bob refuses Alice's offer; what she hears of it. */
static struct cph_sdp *refused(struct cph_keying_refusal *r)
{
    struct cph_sdp *offer = make_offer(&p, &p.a), *answer;

    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    assert_int_equal(answer->media[0]->port, 0);
    assert_true(status_of(&p.b).gave_reason);
    assert_int_equal(count_attr(answer, "key-mgmt"), 1);
    assert_ok(hear(&p.a, answer, r));
    assert_string_equal(r->method, "mikey");
    return answer;
}

static struct mikey_msg error_of(const struct cph_sdp *refusal, struct mikey_text *text)
{
    struct mikey_msg m = parsed(refusal, text);

    assert_int_equal(m.type, MIKEY_ERROR);
    return m;
}

static void another_secret_is_told_without_a_proof(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC };
    struct cph_keying_refusal r;
    struct mikey_text t;
    struct mikey_msg m;

    (void)state;
    cfg_b.psk = &other_psk;
    for (unsigned i = 0; i < 2; i++) {
        cfg_a.mode = mode[i];
        reopen();
        m = error_of(refused(&r), &t);
        assert_int_equal(m.error[0], MIKEY_E_AUTH);
        assert_false(m.has & (1U << MIKEY_V | 1U << MIKEY_SIGN));
        assert_false(r.proven);
        assert_string_equal(r.why, mikey_error_words(MIKEY_E_AUTH));
    }
}

static void a_reason_under_the_shared_secret_is_proven(void **state)
{
    static const enum cph_mikey_mode mode[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC };
    struct cph_keying_refusal r;
    struct mikey_text t;
    struct mikey_msg m;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cfg_a.mode = mode[i];
        reopen_with(gcm, cm);
        m = error_of(refused(&r), &t);
        assert_int_equal(m.error[0], MIKEY_E_SPPAR);
        assert_true(r.proven);
        /* RFC 3830 5.1.2 SHOULD: with what it would have taken */
        assert_int_equal(m.n_sp, 1);
    }
}

static void each_cause_has_its_number(void **state)
{
    struct cph_keying_refusal r;
    struct mikey_text t;

    (void)state;
    cfg_a.peer_id = "sip:carol@example.org";
    reopen();
    assert_int_equal(error_of(refused(&r), &t).error[0], MIKEY_E_ID);
    cfg_a.peer_id = BOB;
    cfg_b.accept = 1U << CPH_MIKEY_DHSIGN;
    reopen();
    assert_int_equal(error_of(refused(&r), &t).error[0], MIKEY_E_DT);
    cfg_b.accept = 0;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    cfg_a.group = CPH_AGREE_MODP_1536;
    cfg_a.weak_groups = true;
    reopen();
    assert_int_equal(error_of(refused(&r), &t).error[0], MIKEY_E_DH);
    cfg_a.group = 0;
    cfg_a.mode = CPH_MIKEY_PSK;
    reopen();
    env_a.wall += 301;
    assert_int_equal(error_of(refused(&r), &t).error[0], MIKEY_E_TS);
    assert_true(r.proven); /* so the user can rely on it that a clock is wrong */
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    cfg_b.peer_cert = cert_ec_a;
    reopen();
    env_a.wall = env_b.wall;
    assert_int_equal(error_of(refused(&r), &t).error[0], MIKEY_E_CERT);
    assert_false(r.proven);
}

/* A reason written with the right secret, for the offer that is open; then one thing is wrong. */
enum wrong { NOTHING, NO_V, V_BIT, V_NULL, CSB, TS, TS_TYPE, NOT_AN_ERROR, N_WRONG };

static struct mikey_text forged(const struct mikey_msg *i, enum wrong wrong)
{
    struct mikey_bundle b = { .csb_id = i->csb_id, .rand_n = (uint8_t)i->rand.n };
    struct mikey_hdr hdr = { .type = wrong == NOT_AN_ERROR ? MIKEY_PSK_V : MIKEY_ERROR,
                             .csb_id = i->csb_id + (wrong == CSB) };
    struct mikey_text t = { 0 };
    struct mikey_out w = mikey_begin(t.b, sizeof t.b, &hdr);
    size_t at;

    memcpy(b.rand, i->rand.p, i->rand.n);
    mikey_put_t(&w, wrong == TS_TYPE ? MIKEY_TS_NTP : i->ts_type, i->ts + (wrong == TS));
    if (wrong != NOT_AN_ERROR)
        mikey_put_error(&w, MIKEY_E_DT);
    if (wrong != NO_V) {
        at = mikey_put_v(&w, wrong == V_NULL ? MIKEY_MAC_NULL : MIKEY_MAC_SHA1);
        if (wrong != V_NULL)
            assert_ok(mikey_fill_mac(&psk, &b, &w, at, NULL, 0));
        if (wrong == V_BIT)
            w.wr.p[at + 3] ^= 1;
    }
    t.n = w.wr.n;
    return t;
}

static void what_is_wrong_about_a_reason_is_noticed(void **state)
{
    static const struct {
        enum wrong wrong;
        cph_err err;
        bool proven;
    } cases[] = { { NOTHING, CPH_OK, true },          { NO_V, CPH_OK, false },
                  { V_BIT, CPH_E_NOTFOUND, false },   { V_NULL, CPH_OK, false },
                  { CSB, CPH_E_NOTFOUND, false },     { TS, CPH_E_NOTFOUND, false },
                  { TS_TYPE, CPH_E_NOTFOUND, false }, { NOT_AN_ERROR, CPH_E_NOTFOUND, false } };
    struct cph_keying_refusal r;
    struct mikey_text text;
    struct cph_sdp *offer;
    struct mikey_msg i;

    (void)state;
    reopen();
    offer = make_offer(&p, &p.a);
    i = parsed(offer, &text);
    for (unsigned c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct mikey_text t = forged(&i, cases[c].wrong);

        if (hear(&p.a, with_message(offer, &t), &r) != cases[c].err || r.proven != cases[c].proven)
            fail_msg("case %u", c);
    }
    /* nor do others get a word in */
    assert_err(hear(&p.b, offer, &r), CPH_E_NOTFOUND);
    /* and whatever was said, the answer of the peer still counts */
    assert_ok(try_finish(&p.a, make_answer(&p, &p.b, offer)));
    assert_media(&p, 1);
}

/* A proven reason has no bit that somebody on the way could change. */
static void no_bit_of_a_proven_reason_can_be_changed(void **state)
{
    struct cph_keying_refusal r;
    struct mikey_text text;
    struct cph_sdp *offer;
    struct mikey_msg i;
    struct mikey_text t;

    (void)state;
    reopen();
    offer = make_offer(&p, &p.a);
    i = parsed(offer, &text);
    t = forged(&i, NOTHING);
    for (size_t at = 0; at < 8 * t.n; at++) {
        struct mikey_text bad = t;

        bad.b[at / 8] ^= (uint8_t)(1U << at % 8);
        if (hear(&p.a, with_message(offer, &bad), &r) == CPH_OK && r.proven)
            fail_msg("bit %zu is not protected", at);
    }
}

/* Our own offer, thrown back at us, must not become a proof that the peer refused it. */
static void our_own_offer_proves_nothing(void **state)
{
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct cph_keying_refusal r;
    struct cph_sdp *offer, *answer;
    struct side mirror;

    (void)state;
    for (unsigned named = 0; named < 2; named++) {
        cfg_a.id = named ? ALICE : NULL;
        cfg_a.peer_id = named ? BOB : NULL;
        for (int late = 0; late < 2; late++) {
            reopen();
            offer = make_offer(&p, &p.a);
            env_a.wall += late ? 301 : 0;
            cfg.keying.mikey = ma;
            side_open(&mirror, cfg, "10.0.0.1", 9);
            assert_err(try_answer(&p, &mirror, offer, &answer), CPH_E_POLICY);
            assert_false(hear(&p.a, answer, &r) == CPH_OK && r.proven);
            side_close(&mirror);
        }
    }
}

static void what_is_replayed_is_passed_over_in_silence(void **state)
{
    struct cph_nego_cfg cfg = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct cph_sdp *offer, *answer;
    struct side again;

    (void)state;
    reopen();
    offer = make_offer(&p, &p.a);
    assert_ok(try_answer(&p, &p.b, offer, &answer));
    cfg.keying.mikey = mb;
    side_open(&again, cfg, "10.0.0.2", 9);
    assert_err(try_answer(&p, &again, offer, &answer), CPH_E_POLICY);
    assert_int_equal(count_attr(answer, "key-mgmt"), 0);
    assert_false(status_of(&again).gave_reason);
    side_close(&again);
}

/* The certificate that the user gave may sign one; that of whoever comes along may not. */
static void a_signed_reason_is_proven_by_the_certificate_given(void **state)
{
    struct cph_keying_refusal r;
    struct mikey_text text, t;
    struct cph_sdp *offer;
    struct mikey_msg i;

    (void)state;
    cfg_a.mode = CPH_MIKEY_DHSIGN;
    for (int c = 0; c < 3; c++) {
        struct mikey_hdr hdr = { .type = MIKEY_ERROR };
        struct mikey_out w;

        cfg_a.peer_cert = c == 0 ? cert_rsa_b : c == 1 ? cert_rsa_a : NULL;
        reopen();
        offer = make_offer(&p, &p.a);
        i = parsed(offer, &text);
        hdr.csb_id = i.csb_id;
        w = mikey_begin(t.b, sizeof t.b, &hdr);
        mikey_put_t(&w, i.ts_type, i.ts);
        mikey_put_error(&w, MIKEY_E_DT);
        assert_ok(mikey_put_signature(mb, &w, NULL));
        t.n = w.wr.n;
        assert_ok(hear(&p.a, with_message(offer, &t), &r));
        assert_int_equal(r.proven, c == 0);
    }
}

static void a_reason_instead_of_an_answer_takes_nothing_away(void **state)
{
    struct mikey_around around = { .suites = cph_srtp_suites };
    struct mikey_text i_msg, error;
    struct cph_sdp *offer, *answer;
    struct cph_mikey_info info;

    (void)state;
    reopen();
    exchange(&p, &p.a, &p.b);
    assert_media(&p, 1);
    offer = make_offer(&p, &p.a);
    answer = make_answer(&p, &p.b, offer);
    i_msg = decoded(offer);
    assert_ok(mikey_error_write(mb, NULL, (struct cph_span){ i_msg.b, i_msg.n }, MIKEY_E_SPPAR,
                                &around, &error));
    assert_err(try_finish(&p.a, with_message(answer, &error)), CPH_E_POLICY);
    assert_media(&p, 2);
    assert_ok(cph_mikey_info(cph_nego_instance(p.a.nego), &info));
    assert_true(info.keyed);
}

static void a_refused_update_proves_itself_under_the_envelope_key(void **state)
{
    struct cph_keying_refusal r;
    struct mikey_text t;
    struct mikey_msg m;

    (void)state;
    cfg_a.peer_cert = cert_rsa_b;
    cfg_a.mode = CPH_MIKEY_RSA;
    reopen();
    exchange(&p, &p.a, &p.b);
    env_a.wall += 301; /* what follows is out of the other's time */
    m = error_of(refused(&r), &t);
    assert_int_equal(m.error[0], MIKEY_E_TS);
    assert_true(r.proven);
    cph_nego_rollback(p.a.nego);
    assert_media(&p, 1);
}

static void an_answer_after_a_refusal_has_no_old_reason(void **state)
{
    struct cph_keying_refusal r;
    struct cph_sdp *answer, *offer;

    (void)state;
    cfg_a.counter = cfg_b.counter = true;
    reopen_with(gcm, cm);
    (void)refused(&r);
    cph_nego_rollback(p.a.nego);
    assert_err(hear(&p.a, make_offer(&p, &p.a), &r), CPH_E_NOTFOUND); /* not an Error */
    cph_nego_rollback(p.a.nego);
    /* an offer without MIKEY is refused without a word */
    offer = tampered(&p, make_offer(&p, &p.a), "a=key-mgmt:", "a=key-nonsense:");
    assert_err(try_answer(&p, &p.b, offer, &answer), CPH_E_POLICY);
    assert_int_equal(count_attr(answer, "key-mgmt"), 0);
    assert_false(status_of(&p.b).gave_reason);
}

static void every_number_has_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++)
        assert_true(strlen(mikey_error_words((uint8_t)i)) > 10);
    assert_string_equal(mikey_error_words(14), mikey_error_words(MIKEY_E_OTHER));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        test(another_secret_is_told_without_a_proof),
        test(a_reason_under_the_shared_secret_is_proven),
        test(each_cause_has_its_number),
        test(what_is_wrong_about_a_reason_is_noticed),
        test(no_bit_of_a_proven_reason_can_be_changed),
        test(our_own_offer_proves_nothing),
        test(what_is_replayed_is_passed_over_in_silence),
        test(a_signed_reason_is_proven_by_the_certificate_given),
        test(a_reason_instead_of_an_answer_takes_nothing_away),
        test(a_refused_update_proves_itself_under_the_envelope_key),
        test(an_answer_after_a_refusal_has_no_old_reason),
        test(every_number_has_words),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}

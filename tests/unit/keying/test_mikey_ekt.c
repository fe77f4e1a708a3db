/* EKT sets (RFC 8870) that MIKEY brings: whose, in which mode, and what a wrong one comes to. */
#include "mikey_world.h"

#include "ciphony/keying_ekt.h"
#include "ciphony/srtp_ekt.h"

static struct cph_ekt_params set_of(uint16_t spi, enum cph_ekt_cipher cipher)
{
    struct cph_ekt_params set = { .spi = spi, .cipher = cipher, .ttl_s = 60 };

    set.key.n = cph_ekt_key_size(cipher);
    set.salt.n = 14;
    memset(set.key.b, 0x40 + spi, set.key.n);
    memset(set.salt.b, 0x60 + spi, set.salt.n);
    return set;
}

static void meet(const struct cph_ekt_params *of_a, const struct cph_ekt_params *of_b, bool allow_a,
                 bool allow_b)
{
    struct cph_nego_cfg a = { .policy = CPH_KEYING_REQUIRED, .methods = row };
    struct cph_nego_cfg b = a;

    reopen();
    pair_close(&p);
    a.keying.mikey = ma;
    a.keying.ekt = of_a;
    a.keying.allow_ekt = allow_a;
    b.keying.mikey = mb;
    b.keying.ekt = of_b;
    b.keying.allow_ekt = allow_b;
    pair_open(&p, a, b);
}

/* Both have this one, or none. */
static void assert_set(const struct cph_ekt_params *want)
{
    const struct side *s[] = { &p.a, &p.b };

    for (unsigned i = 0; i < 2; i++) {
        CPH_EKT_PARAMS_SCOPED got = { 0 };

        if (!want) {
            assert_err(cph_nego_ekt(s[i]->nego, &got), CPH_E_NOTFOUND);
            continue;
        }
        assert_ok(cph_nego_ekt(s[i]->nego, &got));
        assert_int_equal(got.spi, want->spi);
        assert_int_equal(got.cipher, want->cipher);
        assert_int_equal(got.ttl_s, 60);
        assert_true(cph_ct_eq(cph_secret_span(&got.key), cph_secret_span(&want->key)));
        assert_true(cph_ct_eq(cph_secret_span(&got.salt), cph_secret_span(&want->salt)));
    }
}

static void curves(bool yes)
{
    cfg_a.key = yes ? ec_a : rsa_a;
    cfg_a.cert = yes ? cert_ec_a : cert_rsa_a;
    cfg_b.key = yes ? ec_b256 : rsa_b;
    cfg_b.cert = yes ? cert_ec_b256 : cert_rsa_b;
    cfg_a.peer_cert = cfg_b.cert;
    cfg_b.peer_cert = cfg_a.cert;
}

static void each_mode_brings_the_set_of_who_has_keys_first(void **state)
{
    static const bool back[CPH_MIKEY_MODES_] = {
        [CPH_MIKEY_RSA_R] = true, [CPH_MIKEY_DHSIGN] = true, [CPH_MIKEY_DHHMAC] = true
    };
    struct cph_ekt_params a = set_of(1, CPH_EKT_AESKW256), b = set_of(2, CPH_EKT_AESKW256);

    (void)state;
    for (int mode = 0; mode < CPH_MIKEY_MODES_; mode++) {
        cfg_a.mode = cfg_b.mode = (enum cph_mikey_mode)mode;
        cfg_a.accept = cfg_b.accept = 1U << mode;
        curves(mode == CPH_MIKEY_ECMQV);
        meet(&a, &b, true, true);
        exchange(&p, &p.a, &p.b);
        assert_set(back[mode] ? &b : &a);
        /* an update without keys leaves it, in either direction */
        exchange(&p, &p.a, &p.b);
        exchange(&p, &p.b, &p.a);
        assert_set(back[mode] ? &b : &a);
        /* and one with keys brings that of who has them then: RSA-R is updated by who begins */
        cph_nego_renew(p.b.nego);
        exchange(&p, &p.b, &p.a);
        assert_set(mode == CPH_MIKEY_DHSIGN || mode == CPH_MIKEY_DHHMAC ? &a : &b);
    }
}

static void who_does_not_want_a_set_has_none(void **state)
{
    struct cph_ekt_params set = set_of(1, CPH_EKT_AESKW256);

    (void)state;
    for (int mode = 0; mode < CPH_MIKEY_MODES_; mode++) {
        cfg_a.mode = cfg_b.mode = (enum cph_mikey_mode)mode;
        cfg_a.accept = cfg_b.accept = 1U << mode;
        curves(mode == CPH_MIKEY_ECMQV);
        for (unsigned who = 0; who < 2; who++) {
            meet(who == 0 ? &set : NULL, who == 1 ? &set : NULL, who == 0, who == 1);
            exchange(&p, &p.a, &p.b);
            assert_set(NULL);
        }
    }
}

static void a_set_that_does_not_fit_is_not_brought(void **state)
{
    static const enum cph_mikey_mode modes[] = { CPH_MIKEY_PSK, CPH_MIKEY_DHHMAC, CPH_MIKEY_RSA_R };
    struct cph_ekt_params weak = set_of(1, CPH_EKT_AESKW128), set = set_of(2, CPH_EKT_AESKW256);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        cfg_a.mode = modes[i];
        cfg_a.mki_n = cfg_b.mki_n = 0;
        meet(&weak, &weak, true, true); /* AEAD_AES_256_GCM wants 32 bytes */
        exchange(&p, &p.a, &p.b);
        assert_set(NULL);
        cfg_a.mki_n = cfg_b.mki_n = 4; /* RFC 8870 4 MUST NOT: beside an MKI */
        meet(&set, &set, true, true);
        exchange(&p, &p.a, &p.b);
        assert_set(NULL);
    }
}

/* ---- wrong values ---------------------------------------------------------------------------- */

/* A bundle with a TGK, and a message with the set under it. */
static struct mikey_text carrying(const struct mikey_csb *csb, const struct cph_ekt_params *set)
{
    struct mikey_hdr hdr = { MIKEY_DH_R, false, csb->b.csb_id, csb->cs, csb->n_cs };
    struct mikey_text t = { 0 };
    struct mikey_out w = mikey_begin(t.b, sizeof t.b, &hdr);

    assert_ok(mikey_ekt_put(&w, csb, set));
    t.n = w.wr.n;
    return t;
}

static cph_err taken(const struct mikey_text *t, const struct mikey_csb *csb,
                     struct cph_ekt_params *out)
{
    struct mikey_msg m = { .n_ext = 1 };

    m.ext[0].data = (struct cph_span){ t->b + 14, t->n - 14 }; /* behind HDR, next, type, length */
    return mikey_ekt_take(&m, csb, out);
}

static void a_wrong_set_is_not_taken(void **state)
{
    struct cph_ekt_params set = set_of(1, CPH_EKT_AESKW256), got, odd;
    struct mikey_csb csb = { .n_policies = 1, .n_keys = 1 }, other;
    struct mikey_text t, bad;
    size_t wrapped = 14 + 11 + 6; /* where what is under the key begins */

    (void)state;
    csb.policy[0].suite = cph_srtp_suite_by_sdes(CPH_SPAN_LIT("AES_CM_128_HMAC_SHA1_80"));
    csb.key[0].key = psk;
    csb.b.rand_n = 16;
    t = carrying(&csb, &set);
    assert_ok(taken(&t, &csb, &got));
    assert_int_equal(got.spi, 1);
    for (size_t i = 0; i < 8 * (t.n - wrapped); i++) { /* under the key: no bit can be changed */
        bad = t;
        bad.b[wrapped + i / 8] ^= (uint8_t)(1U << i % 8);
        assert_err(taken(&bad, &csb, &got), CPH_E_AUTH);
    }
    for (size_t n = 14 + 12; n < t.n; n++) {
        bad = t;
        bad.n = n;
        assert_err(taken(&bad, &csb, &got), CPH_E_MALFORMED);
    }
    bad = t;
    bad.b[14 + 11] = 2; /* a cipher that there is not */
    assert_err(taken(&bad, &csb, &got), CPH_E_MALFORMED);
    bad = t;
    memset(bad.b + 14 + 11 + 3, 0, 3); /* no time to live */
    assert_err(taken(&bad, &csb, &got), CPH_E_MALFORMED);
    other = csb;
    other.key[0].key.b[0] ^= 1; /* another TGK */
    assert_err(taken(&t, &other, &got), CPH_E_AUTH);
    other = csb;
    other.b.csb_id ^= 1; /* another bundle */
    assert_err(taken(&t, &other, &got), CPH_E_AUTH);
    other = csb;
    other.key[0].mki_n = 1;
    assert_err(taken(&t, &other, &got), CPH_E_UNSUPPORTED);
    other = csb;
    other.key[0].tek = true; /* nothing can be derived from it */
    assert_err(taken(&t, &other, &got), CPH_E_UNSUPPORTED);
    odd = set_of(1, CPH_EKT_AESKW128);
    csb.policy[0].suite = cph_srtp_suite_by_sdes(CPH_SPAN_LIT("AEAD_AES_256_GCM"));
    t = carrying(&csb, &odd);
    assert_err(taken(&t, &csb, &got), CPH_E_UNSUPPORTED);
}

/* Who asked counts on what comes: a set it cannot use gives no keys at all, rather than a call
 * where the two do different things. */
static void a_set_that_was_asked_for_and_cannot_be_read_gives_no_keys(void **state)
{
    struct cph_ekt_params set = set_of(1, CPH_EKT_AESKW256);
    struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"),
                                   .suites = cph_srtp_suites,
                                   .allow_ekt = true };
    struct mikey_around theirs = around;
    MIKEY_CSB_SCOPED csb = { 0 };
    struct mikey_text msg, back;
    enum mikey_error error;

    (void)state;
    theirs.ekt = &set;
    cfg_a.mode = CPH_MIKEY_DHHMAC;
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        MIKEY_OFFER_SCOPED o = { 0 };

        reopen();
        assert_ok(mikey_start(ma, NULL, false, &around, &o, &msg));
        assert_true(o.asks_ekt);
        assert_ok(mikey_respond(mb, NULL, (struct cph_span){ msg.b, msg.n }, &theirs, &csb, &back,
                                &error));
        assert_true(csb.ekt);
        if (wrong) { /* a bit of the wrapped key, under a MAC that is right */
            uint8_t *at = memmem(back.b, back.n, "ciphony EKT", 11);

            at[11 + 6] ^= 1;
            assert_ok(mikey_mac(&psk, &o.next.b, &(struct cph_span){ back.b, back.n - MIKEY_MAC },
                                1, back.b + back.n - MIKEY_MAC));
        }
        mikey_csb_wipe(&csb);
        assert_err(mikey_finish(ma, &o, (struct cph_span){ back.b, back.n }, &csb),
                   wrong ? CPH_E_AUTH : CPH_OK);
        assert_int_equal(csb.ekt, !wrong);
    }
}

/* Asking is two ciphers and no more; a wish of another length is none. */
static void a_wish_is_a_list_of_ciphers(void **state)
{
    static const struct {
        struct cph_span ext;
        bool asks;
    } cases[] = { { CPH_SPAN_LIT("ciphony EKT\1"), true },
                  { CPH_SPAN_LIT("ciphony EKT\0\1"), true },
                  { CPH_SPAN_LIT("ciphony EKT\0"), false },
                  { CPH_SPAN_LIT("ciphony EKT\1\0\7"), false }, /* it says that a set was taken */
                  { CPH_SPAN_LIT("ciphony EKT"), false },
                  { CPH_SPAN_LIT("somebody EKT\1"), false } };
    struct cph_ekt_params set = set_of(1, CPH_EKT_AESKW256);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mikey_msg m = { .n_ext = 1 };

        m.ext[0].data = cases[i].ext;
        assert_int_equal(mikey_ekt_asked(&m, &set), cases[i].asks);
        m.ext[0].type = MIKEY_EXT_SDP_IDS;
        assert_false(mikey_ekt_asked(&m, &set));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        test(each_mode_brings_the_set_of_who_has_keys_first),
        test(who_does_not_want_a_set_has_none),
        test(a_set_that_does_not_fit_is_not_brought),
        test(a_wrong_set_is_not_taken),
        test(a_set_that_was_asked_for_and_cannot_be_read_gives_no_keys),
        test(a_wish_is_a_list_of_ciphers),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}

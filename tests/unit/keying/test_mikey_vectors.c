/* MIKEY against messages made elsewhere: the key schedule, and whole exchanges both ways. */
#include "support.h"

#include <stdlib.h>

#include "ciphony/base_text.h"
#include "mikey/mikey_int.h"

static void the_prf_gives_its_known_answers(void **state)
{
    struct vectors *v = vectors_open("mikey/prf.txt");
    unsigned n = 0;

    (void)state;
    while (vectors_next(v)) {
        struct cph_span want = vectors_hex(v, "outkey");
        struct cph_secret got;

        assert_ok(mikey_prf(vectors_hex(v, "inkey"), vectors_hex(v, "label"), want.n, &got));
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.b, want.p, want.n);
        n++;
    }
    assert_int_equal(n, 6);
    vectors_close(v);
}

static void the_prf_has_limits(void **state)
{
    struct cph_secret out;

    (void)state;
    assert_err(mikey_prf((struct cph_span){ 0 }, CPH_SPAN_LIT("l"), 16, &out), CPH_E_ARGUMENT);
    assert_err(mikey_prf(CPH_SPAN_LIT("key"), CPH_SPAN_LIT("l"), CPH_SECRET_MAX + 1, &out),
               CPH_E_ARGUMENT);
    assert_ok(mikey_prf(CPH_SPAN_LIT("key"), CPH_SPAN_LIT("l"), CPH_SECRET_MAX, &out));
}

/* ---- whole exchanges ------------------------------------------------------------------------- */

struct world {
    struct test_env env;
    struct cph_key *key[2]; /* Alice, who began, and Bob */
    struct cph_cert *cert[2];
    struct cph_trust *trust;
    struct cph_secret psk;
};

static void open_world(struct world *w, struct vectors *v)
{
    static const char *const key[] = { "key_i", "key_r" }, *const cert[] = { "cert_i", "cert_r" };

    test_env_init(&w->env, 3);
    assert_true(vectors_next(v));
    w->env.wall = strtoll(vectors_text(v, "wall"), NULL, 10);
    assert_ok(cph_trust_new(&w->trust));
    for (int i = 0; i < 2; i++) {
        assert_ok(cph_key_load(&w->env.env, vectors_hex(v, key[i]), &w->key[i]));
        assert_ok(cph_cert_parse(&w->env.env, vectors_hex(v, cert[i]), &w->cert[i]));
        assert_ok(cph_trust_add(w->trust, w->cert[i]));
    }
}

static void close_world(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        cph_key_free(w->key[i]);
        cph_cert_free(w->cert[i]);
    }
    cph_trust_free(w->trust);
}

static struct cph_mikey *side(struct world *w, int who, struct vectors *v)
{
    static const char *const name[] = { "sip:alice@example.org", "sip:bob@example.org" };
    const char *psk = vectors_text(v, "psk");
    struct cph_mikey_cfg cfg = {
        .env = &w->env.env,
        .mode = CPH_MIKEY_NULL,
        .id = name[who],
        .peer_id = name[!who],
        .key = w->key[who],
        .cert = w->cert[who],
        .peer_cert = w->cert[!who],
        .trust = w->trust,
        .accept = 0x7f,
    };
    struct cph_mikey *m;

    if (psk && psk[0]) {
        assert_ok(cph_secret_set(&w->psk, vectors_hex(v, "psk")));
        cfg.psk = &w->psk;
    }
    assert_ok(cph_mikey_new(&cfg, &m));
    return m;
}

static void assert_keys(const struct mikey_csb *csb, struct vectors *v)
{
    static const char *const key[] = { "key1", "key2" }, *const salt[] = { "salt1", "salt2" };

    for (unsigned cs = 1; cs <= 2; cs++) {
        struct cph_srtp_policy p;

        assert_ok(mikey_master(csb, cs, 0, &p));
        assert_string_equal(p.suite->sdes_name, "AES_CM_128_HMAC_SHA1_80");
        assert_memory_equal(p.master.key.b, vectors_hex(v, key[cs - 1]).p, 16);
        assert_memory_equal(p.master.salt.b, vectors_hex(v, salt[cs - 1]).p, 14);
        if (vectors_text(v, "mki") && vectors_text(v, "mki")[0]) {
            assert_int_equal(p.master.mki_n, vectors_hex(v, "mki").n);
            assert_memory_equal(p.master.mki, vectors_hex(v, "mki").p, p.master.mki_n);
        }
        cph_srtp_policy_wipe(&p);
    }
}

static const struct mikey_around around = { .list = CPH_SPAN_LIT("mikey"),
                                            .suites = cph_srtp_suites };

static bool keys_are_in(const struct mikey_msg *i)
{
    return i->type == MIKEY_PSK_I || i->type == MIKEY_PK_I || i->type == MIKEY_MQV_I;
}

/* As responder: the foreign message is taken; where the keys are all in it, they are the ones. */
static void answer_it(struct world *w, struct vectors *v, struct mikey_msg *i)
{
    struct cph_mikey *m = side(w, 1, v);
    struct mikey_text answer;
    struct mikey_csb csb;
    enum mikey_error error;

    assert_ok(mikey_respond(m, NULL, i->all, &around, &csb, &answer, &error));
    if (keys_are_in(i)) {
        struct cph_span want = vectors_hex(v, "message_r");

        assert_keys(&csb, v);
        assert_int_equal(answer.n, want.n); /* a verification has nothing random */
        assert_memory_equal(answer.b, want.p, want.n);
    }
    mikey_csb_wipe(&csb);
    cph_mikey_free(m);
}

/* As initiator, who sent the foreign message: its answer gives the keys. */
static void finish_it(struct world *w, struct vectors *v, struct mikey_msg *i)
{
    static const enum cph_mikey_mode mode[MIKEY_TYPES_] = {
        [MIKEY_PSK_I] = CPH_MIKEY_PSK,    [MIKEY_PK_I] = CPH_MIKEY_RSA,
        [MIKEY_DH_I] = CPH_MIKEY_DHSIGN,  [MIKEY_DHHMAC_I] = CPH_MIKEY_DHHMAC,
        [MIKEY_RSAR_I] = CPH_MIKEY_RSA_R, [MIKEY_MQV_I] = CPH_MIKEY_ECMQV,
    };
    struct cph_mikey *m = side(w, 0, v);
    struct mikey_offer o = { .type = i->type, .ts_type = i->ts_type, .ts = i->ts };
    struct cph_span want;
    struct mikey_csb csb;

    o.next.mode = i->mac_alg == MIKEY_MAC_NULL && i->type == MIKEY_PSK_I ? CPH_MIKEY_NULL
                                                                         : mode[i->type];
    o.next.we_began = true;
    o.next.n_cs = i->n_cs;
    memcpy(o.next.cs, i->cs, sizeof i->cs);
    o.next.n_policies = 1;
    assert_ok(mikey_policy_read(&i->sp[0], &o.next.policy[0]));
    o.next.b.csb_id = i->csb_id;
    memcpy(o.next.b.rand, i->rand.p, i->rand.n);
    o.next.b.rand_n = (uint8_t)i->rand.n;
    if (vectors_text(v, "psk") && vectors_text(v, "psk")[0])
        assert_ok(cph_secret_set(&o.key, vectors_hex(v, "psk")));
    if (keys_are_in(i)) { /* the keys we sent */
        o.next.n_keys = 1;
        assert_ok(cph_secret_set(&o.next.key[0].key, vectors_hex(v, "tgk")));
        if (vectors_text(v, "tgk_salt") && vectors_text(v, "tgk_salt")[0])
            assert_ok(cph_secret_set(&o.next.key[0].salt, vectors_hex(v, "tgk_salt")));
        if (vectors_text(v, "mki") && vectors_text(v, "mki")[0]) {
            o.next.key[0].mki_n = (uint8_t)vectors_hex(v, "mki").n;
            memcpy(o.next.key[0].mki, vectors_hex(v, "mki").p, o.next.key[0].mki_n);
        }
    }
    if (i->n_dh > 0) {
        assert_true(mikey_group_of(i->dh[0].group, &o.group));
        o.pair.ready = true;
        assert_ok(cph_secret_set(&o.pair.x, vectors_hex(v, "x")));
        memcpy(o.pair.y, i->dh[0].value.p, i->dh[0].value.n);
    }
    want = vectors_hex(v, "message_r");
    assert_ok(mikey_finish(m, &o, want, &csb));
    assert_keys(&csb, v);
    mikey_csb_wipe(&csb);
    mikey_offer_wipe(&o);
    cph_mikey_free(m);
}

static void both_ends(const char *file, unsigned want)
{
    struct vectors *v = vectors_open(file);
    struct world w = { 0 };
    unsigned n = 0;

    open_world(&w, v);
    while (vectors_next(v)) {
        struct mikey_msg i;

        print_message("             %s\n", vectors_text(v, "name"));
        assert_ok(mikey_parse(vectors_hex(v, "message_i"), &i, NULL));
        answer_it(&w, v, &i);
        finish_it(&w, v, &i);
        n++;
    }
    assert_int_equal(n, want);
    close_world(&w);
    vectors_close(v);
}

static void foreign_exchanges_work_from_both_ends(void **state)
{
    (void)state;
    both_ends("mikey/messages.txt", 8);
}

/* ECIES, ECMQV, ECDSA; Diffie-Hellman over P-256, P-384 and P-521. */
static void foreign_exchanges_on_curves_work_from_both_ends(void **state)
{
    (void)state;
    both_ends("mikey/messages_p256.txt", 6);
    both_ends("mikey/messages_p384.txt", 6);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prf_gives_its_known_answers),
        cmocka_unit_test(the_prf_has_limits),
        cmocka_unit_test(foreign_exchanges_work_from_both_ends),
        cmocka_unit_test(foreign_exchanges_on_curves_work_from_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

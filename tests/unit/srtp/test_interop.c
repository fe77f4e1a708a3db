/* Against libsrtp2: random packets both ways, out of order, over the wrap; and batches. */
#include "util.h"

#include <srtp2/srtp.h>

enum { ROUNDS = 300, SSRC = 0x0badcafe };

/* libsrtp's policy for a suite of ours; false if it has none. */
static bool theirs(const struct cph_srtp_suite *s, bool mki, srtp_policy_t *p)
{
    static const struct {
        const char *name;
        void (*rtp)(srtp_crypto_policy_t *);
        void (*rtcp)(srtp_crypto_policy_t *);
    } row[] = {
        { "AES_CM_128_HMAC_SHA1_80", srtp_crypto_policy_set_rtp_default,
          srtp_crypto_policy_set_rtcp_default },
        { "AES_CM_128_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
          srtp_crypto_policy_set_rtcp_default },
        { "AES_192_CM_HMAC_SHA1_80", srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
          srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80 },
        { "AES_192_CM_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32,
          srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80 },
        { "AES_256_CM_HMAC_SHA1_80", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
          srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80 },
        { "AES_256_CM_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
          srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80 },
        { "NULL_HMAC_SHA1_80", srtp_crypto_policy_set_null_cipher_hmac_sha1_80,
          srtp_crypto_policy_set_null_cipher_hmac_sha1_80 },
        { "AEAD_AES_128_GCM", srtp_crypto_policy_set_aes_gcm_128_16_auth,
          srtp_crypto_policy_set_aes_gcm_128_16_auth },
        { "AEAD_AES_256_GCM", srtp_crypto_policy_set_aes_gcm_256_16_auth,
          srtp_crypto_policy_set_aes_gcm_256_16_auth },
    };

    /* Debian 12's libsrtp (2.5 over NSS) derives AES-192 session keys that are not those of RFC
     * 6188 7.4, and looks for the MKI of SRTCP where the SRTP tag's length puts it. 2.8 agrees with
     * us. */
    if (strstr(srtp_get_version_string(), " 2.5.") && (s->key_n == 24 || (mki && s->tag_n == 4)))
        return false;
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (strcmp(row[i].name, s->name) == 0) {
            row[i].rtp(&p->rtp);
            row[i].rtcp(&p->rtcp);
            p->window_size = 128;
            return true;
        }
    }
    return false;
}

struct peers {
    srtp_t out, in;
    struct cph_srtp *ours_out, *ours_in;
    unsigned mki;
};

static bool peers_open(struct peers *x, struct cph_srtp_engine *e, struct cph_srtp_policy *p)
{
    static uint8_t key[64], id[4] = { 1, 2, 3, 4 };
    srtp_master_key_t master = { key, id, 4 }, *masters[1] = { &master };
    srtp_policy_t t;

    if (!theirs(p->suite, p->master.mki_n > 0, &t))
        return false;
    memcpy(key, p->master.key.b, p->suite->key_n);
    memcpy(key + p->suite->key_n, p->master.salt.b, p->suite->salt_n);
    t.key = key;
    x->mki = p->master.mki_n > 0;
    if (x->mki) {
        memcpy(p->master.mki, id, 4);
        t.key = NULL;
        t.keys = masters;
        t.num_master_keys = 1;
    }
    t.ssrc.type = ssrc_any_outbound;
    if (srtp_create(&x->out, &t) != srtp_err_status_ok)
        return false; /* built without this suite */
    t.ssrc.type = ssrc_any_inbound;
    assert_int_equal(srtp_create(&x->in, &t), srtp_err_status_ok);
    x->ours_out = ctx_new(e, p, CPH_SRTP_SEND);
    x->ours_in = ctx_new(e, p, CPH_SRTP_RECV);
    return true;
}

static void peers_close(struct peers *x)
{
    (void)srtp_dealloc(x->out);
    (void)srtp_dealloc(x->in);
    cph_srtp_free(x->ours_out);
    cph_srtp_free(x->ours_in);
}

/* Our packets to them, four by four and the last first. */
static void to_them(struct peers *x, struct test_env *t, uint16_t from)
{
    struct packet sent[4], plain[4], report;

    for (unsigned i = 0; i < ROUNDS; i += 4) {
        int len;

        for (unsigned k = 0; k < 4; k++) {
            rtp_make(&sent[k], SSRC, (uint16_t)(from + i + k), test_random(t) % 200);
            copy(&plain[k], &sent[k]);
            assert_ok(cph_srtp_protect(x->ours_out, &sent[k].pkt));
        }
        for (unsigned k = 4; k-- > 0;) {
            len = (int)sent[k].pkt.n;
            assert_int_equal(srtp_unprotect_mki(x->in, sent[k].b, &len, x->mki),
                             srtp_err_status_ok);
            assert_int_equal(len, plain[k].pkt.n);
            assert_memory_equal(sent[k].b, plain[k].b, (size_t)len);
        }
        rtcp_make(&report, SSRC, test_random(t) % 50 * 4);
        copy(&plain[0], &report);
        assert_ok(cph_srtp_protect_rtcp(x->ours_out, &report.pkt));
        len = (int)report.pkt.n;
        assert_int_equal(srtp_unprotect_rtcp_mki(x->in, report.b, &len, x->mki),
                         srtp_err_status_ok);
        assert_int_equal(len, plain[0].pkt.n);
        assert_memory_equal(report.b, plain[0].b, (size_t)len);
    }
}

/* Theirs to us, in batches turned round. */
static void from_them(struct peers *x, struct cph_srtp_engine *e, struct test_env *t, uint16_t from)
{
    enum { MANY = 50 };
    static struct packet sent[MANY], plain[MANY];

    for (unsigned round = 0; round < ROUNDS / MANY; round++) {
        struct cph_srtp_op op[MANY];

        for (unsigned i = 0; i < MANY; i++) {
            bool rtcp = i % 10 == 9;
            int len;

            if (rtcp)
                rtcp_make(&plain[i], SSRC, test_random(t) % 20 * 4);
            else
                rtp_make(&plain[i], SSRC, (uint16_t)(from + round * MANY + i),
                         test_random(t) % 200);
            copy(&sent[i], &plain[i]);
            len = (int)sent[i].pkt.n;
            assert_int_equal(rtcp ? srtp_protect_rtcp_mki(x->out, sent[i].b, &len, x->mki, 0)
                                  : srtp_protect_mki(x->out, sent[i].b, &len, x->mki, 0),
                             srtp_err_status_ok);
            sent[i].pkt.n = (size_t)len;
            op[MANY - 1 - i] = (struct cph_srtp_op){ x->ours_in, rtcp, sent[i].pkt, CPH_E_BUG };
        }
        cph_srtp_batch(e, op, MANY);
        for (unsigned i = 0; i < MANY; i++) {
            assert_ok(op[MANY - 1 - i].err);
            assert_int_equal(op[MANY - 1 - i].pkt.n, plain[i].pkt.n);
            assert_memory_equal(sent[i].b, plain[i].b, plain[i].pkt.n);
        }
    }
}

static void libsrtp_and_we_read_each_other(void **state)
{
    struct test_env t;
    size_t met = 0;

    (void)state;
    test_env_init(&t, 3);
    for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
        struct cph_srtp_engine *e = engine_new(accel);

        for (size_t i = 0; cph_srtp_suites[i]; i++) {
            for (unsigned mki = 0; mki < 2; mki++) {
                struct cph_srtp_policy p = policy_of(cph_srtp_suites[i], 5);
                struct peers x;

                p.master.mki_n = (uint8_t)(4 * mki);
                if (!peers_open(&x, e, &p))
                    continue;
                met++;
                to_them(&x, &t, 65400);
                from_them(&x, e, &t, 65400);
                peers_close(&x);
            }
        }
        cph_srtp_engine_free(e);
    }
    print_message("%zu pairings\n", met);
    assert_true(met >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(libsrtp_and_we_read_each_other) };

    if (srtp_init() != srtp_err_status_ok)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

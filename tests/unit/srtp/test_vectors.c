#include "util.h"

#include "ciphony/crypto_cipher.h"

static void key_derivation_is_that_of_the_rfcs(void **state)
{
    static const struct {
        const char *field;
        unsigned label;
    } want[] = { { "cipher_key", 0 }, { "auth_key", 1 }, { "cipher_salt", 2 } };
    struct vectors *v = vectors_open("srtp/kdf.txt");

    (void)state;
    while (vectors_next(v)) {
        struct cph_secret salt = { 0 };
        struct cph_aes *prf;
        uint8_t got[128];

        assert_ok(cph_secret_set(&salt, vectors_hex(v, "master_salt")));
        assert_ok(cph_aes_new(CPH_AES_CTR, vectors_hex(v, "master_key"), &prf));
        for (size_t i = 0; i < 3; i++) {
            struct cph_span out = vectors_hex(v, want[i].field);

            assert_ok(srtp_prf(prf, &salt, want[i].label, 0, got, out.n));
            assert_memory_equal(got, out.p, out.n);
        }
        cph_aes_free(prf);
    }
    vectors_close(v);
}

/* The segment is longer than a packet may be; both ciphers run it as one. */
static void keystreams_are_those_of_the_rfcs(void **state)
{
    static uint8_t stream[1044512];
    struct vectors *v = vectors_open("srtp/keystream.txt");

    (void)state;
    while (vectors_next(v)) {
        struct cph_span key = vectors_hex(v, "key"), salt = vectors_hex(v, "salt");
        struct cph_span first = vectors_hex(v, "first"), last = vectors_hex(v, "last");

        for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
            const char *name = key.n == 16   ? "AES_CM_128_HMAC_SHA1_80"
                               : key.n == 24 ? "AES_192_CM_HMAC_SHA1_80"
                                             : "AES_256_CM_HMAC_SHA1_80";
            struct cph_srtp_policy p = policy_of(suite_of(name), 1);
            struct cph_srtp_engine *e = engine_new(accel);
            struct cph_srtp *s = ctx_new(e, &p, CPH_SRTP_SEND);
            struct srtp_session *ss = s->key[0]->rtp;
            uint8_t auth[SRTP_AUTH_KEY] = { 0 }, iv[16];

            assert_ok(e->ops->key(e, ss, key, (struct cph_span){ auth, sizeof auth }));
            ss->salt_hi = (uint64_t)srtp_be32(salt.p) << 32 | srtp_be32(salt.p + 4);
            ss->salt_lo = (uint64_t)srtp_be32(salt.p + 8) << 32 | srtp_be32(salt.p + 12);
            srtp_iv_cm(ss, 0, 0, iv);
            assert_memory_equal(iv, salt.p, 16);
            memset(stream, 0, sizeof stream);
            assert_ok(e->ops->ctr(e, ss, key.n, iv, stream, sizeof stream));
            assert_memory_equal(stream, first.p, first.n);
            assert_memory_equal(stream + 0xfeff * 16, last.p, last.n);
            cph_srtp_free(s);
            cph_srtp_engine_free(e);
        }
    }
    vectors_close(v);
}

/* The RFC gives session keys. */
static struct cph_srtp *session_of(struct cph_srtp_engine *e, struct vectors *v,
                                   enum cph_srtp_dir dir, uint32_t ssrc)
{
    bool encrypted = strcmp(vectors_text(v, "encrypted"), "yes") == 0;
    struct cph_srtp_policy p = policy_of(suite_of(vectors_text(v, "suite")), 1);
    struct cph_span salt = vectors_hex(v, "salt");
    struct srtp_session *ss[2];
    struct srtp_stream *st;
    struct cph_srtp *s;

    p.unencrypted_rtp = p.unencrypted_rtcp = !encrypted;
    s = ctx_new(e, &p, dir);
    ss[0] = s->key[0]->rtp;
    ss[1] = s->key[0]->rtcp;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(e->ops->key(e, ss[i], vectors_hex(v, "key"), (struct cph_span){ NULL, 0 }));
        ss[i]->salt_hi = (uint64_t)srtp_be32(salt.p) << 32 | srtp_be32(salt.p + 4);
        ss[i]->salt_lo = (uint64_t)srtp_be32(salt.p + 8) << 32;
    }
    assert_ok(srtp_stream_bind(s, ssrc, &st));
    st->rtcp_next = 0x5d4;
    return s;
}

struct fragile {
    struct cph_srtp_engine *e;
    struct vectors *v;
    uint32_t ssrc;
    bool rtcp;
};

static cph_err check_bytes(void *arg, struct cph_span bytes)
{
    struct fragile *a = arg;
    struct cph_srtp *s = session_of(a->e, a->v, CPH_SRTP_RECV, a->ssrc);
    uint8_t buf[256];
    struct cph_srtp_pkt pkt = { buf, bytes.n, sizeof buf };
    cph_err err;

    memcpy(buf, bytes.p, bytes.n);
    err = a->rtcp ? cph_srtp_unprotect_rtcp(s, &pkt) : cph_srtp_unprotect(s, &pkt);
    assert_true(err == CPH_OK || !s->stream[0].rtp.started);
    assert_true(err == CPH_OK || !s->stream[0].rtcp.started);
    assert_true(err == CPH_OK || s->n_streams == 1);
    cph_srtp_free(s);
    return err;
}

static void gcm_packets_are_those_of_rfc7714_and_no_bit_may_differ(void **state)
{
    (void)state;
    for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
        struct cph_srtp_engine *e = engine_new(accel);
        struct vectors *v = vectors_open("srtp/rfc7714.txt");
        size_t seen = 0;

        for (; vectors_next(v); seen++) {
            struct cph_span clear = vectors_hex(v, "clear"), prot = vectors_hex(v, "protected");
            bool rtcp = strcmp(vectors_text(v, "kind"), "rtcp") == 0;
            uint32_t ssrc = srtp_be32(clear.p + (rtcp ? 4 : 8));
            struct cph_srtp *out = session_of(e, v, CPH_SRTP_SEND, ssrc);
            struct cph_srtp *in = session_of(e, v, CPH_SRTP_RECV, ssrc);
            struct fragile arg = { e, v, ssrc, rtcp };
            uint8_t buf[256];
            struct cph_srtp_pkt pkt = { buf, clear.n, sizeof buf };

            memcpy(buf, clear.p, clear.n);
            assert_ok(rtcp ? cph_srtp_protect_rtcp(out, &pkt) : cph_srtp_protect(out, &pkt));
            assert_int_equal(pkt.n, prot.n);
            assert_memory_equal(buf, prot.p, prot.n);
            assert_ok(rtcp ? cph_srtp_unprotect_rtcp(in, &pkt) : cph_srtp_unprotect(in, &pkt));
            assert_int_equal(pkt.n, clear.n);
            assert_memory_equal(buf, clear.p, clear.n);
            cph_srtp_free(out);
            cph_srtp_free(in);
            expect_fragile(prot, FRAGILE_TRUNCATION | FRAGILE_BIT_FLIP, check_bytes, &arg);
        }
        assert_int_equal(seen, 12);
        vectors_close(v);
        cph_srtp_engine_free(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_derivation_is_that_of_the_rfcs),
        cmocka_unit_test(keystreams_are_those_of_the_rfcs),
        cmocka_unit_test(gcm_packets_are_those_of_rfc7714_and_no_bit_may_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

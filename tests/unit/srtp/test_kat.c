#include "support.h"

#include "srtp_int.h"

static void every_suite_gives_its_known_answers(void **state)
{
    (void)state;
    for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
        struct cph_srtp_engine *e;

        assert_ok(cph_srtp_engine_new((enum cph_srtp_accel)accel, &e));
        for (size_t i = 0; cph_srtp_suites[i]; i++) {
            assert_ok(srtp_kat_run(e, cph_srtp_suites[i]));
            assert_true(cph_srtp_engine_has(e, cph_srtp_suites[i]));
        }
        cph_srtp_engine_free(e);
    }
}

static void a_suite_with_another_answer_is_refused(void **state)
{
    (void)state;
    for (int accel = CPH_SRTP_ACCEL_AUTO; accel <= CPH_SRTP_ACCEL_NONE; accel++) {
        struct cph_srtp_policy p = { .suite = cph_srtp_suites[0] };
        struct cph_srtp_engine *e;
        struct cph_srtp *s;

        assert_ok(cph_srtp_engine_new((enum cph_srtp_accel)accel, &e));
        for (size_t i = 0; cph_srtp_suites[i]; i++) {
            const struct cph_srtp_suite *suite = cph_srtp_suites[i];

            for (size_t at = 0; at < suite->kat->rtp_n + suite->kat->rtcp_n; at++) {
                uint8_t rtp[128], rtcp[128];
                struct cph_srtp_kat kat = { rtp, rtcp, suite->kat->rtp_n, suite->kat->rtcp_n };
                struct cph_srtp_suite bad = *suite;

                memcpy(rtp, suite->kat->rtp, kat.rtp_n);
                memcpy(rtcp, suite->kat->rtcp, kat.rtcp_n);
                if (at < kat.rtp_n)
                    rtp[at] ^= 1;
                else
                    rtcp[at - kat.rtp_n] ^= 1;
                bad.kat = &kat;
                assert_int_not_equal(srtp_kat_run(e, &bad), CPH_OK);
            }
        }
        e->good &= ~1U; /* what the engine remembers of a suite that failed */
        p.master.key.n = p.suite->key_n;
        p.master.salt.n = p.suite->salt_n;
        assert_false(cph_srtp_engine_has(e, p.suite));
        assert_err(cph_srtp_new(e, &p, CPH_SRTP_SEND, &s), CPH_E_CRYPTO);
        cph_srtp_engine_free(e);
    }
}

static void suites_are_found_by_their_names_and_numbers(void **state)
{
    static const struct {
        const char *sdes;
        uint16_t dtls;
        unsigned key, salt, tag, rtcp_tag;
    } want[] = {
        { "AES_CM_128_HMAC_SHA1_80", 0x0001, 16, 14, 10, 10 },
        { "AES_CM_128_HMAC_SHA1_32", 0x0002, 16, 14, 4, 10 },
        { "AES_192_CM_HMAC_SHA1_80", 0, 24, 14, 10, 10 },
        { "AES_192_CM_HMAC_SHA1_32", 0, 24, 14, 4, 10 },
        { "AES_256_CM_HMAC_SHA1_80", 0, 32, 14, 10, 10 },
        { "AES_256_CM_HMAC_SHA1_32", 0, 32, 14, 4, 10 },
        { "AEAD_AES_128_GCM", 0x0007, 16, 12, 16, 16 },
        { "AEAD_AES_256_GCM", 0x0008, 32, 12, 16, 16 },
        { NULL, 0x0005, 16, 14, 10, 10 },
        { NULL, 0x0006, 16, 14, 4, 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct cph_srtp_suite *s = want[i].sdes
                                             ? cph_srtp_suite_by_sdes(cph_span_of(want[i].sdes))
                                             : cph_srtp_suite_by_dtls(want[i].dtls);

        assert_non_null(s);
        assert_int_equal(s->dtls_id, want[i].dtls);
        assert_int_equal(s->key_n, want[i].key);
        assert_int_equal(s->salt_n, want[i].salt);
        assert_int_equal(s->tag_n, want[i].tag);
        assert_int_equal(s->rtcp_tag_n, want[i].rtcp_tag);
        if (s->dtls_id)
            assert_ptr_equal(cph_srtp_suite_by_dtls(s->dtls_id), s);
    }
    assert_null(cph_srtp_suite_by_sdes(cph_span_of("aes_cm_128_hmac_sha1_80")));
    assert_null(cph_srtp_suite_by_sdes(cph_span_of("AES_CM_128_HMAC_SHA1_8")));
    assert_null(cph_srtp_suite_by_sdes(cph_span_of("")));
    assert_null(cph_srtp_suite_by_dtls(0));
    assert_null(cph_srtp_suite_by_dtls(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_gives_its_known_answers),
        cmocka_unit_test(a_suite_with_another_answer_is_refused),
        cmocka_unit_test(suites_are_found_by_their_names_and_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

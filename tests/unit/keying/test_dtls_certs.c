/* The certificate that is shown, and the fingerprints that were promised. */
#include "dtls_support.h"

static void a_wrong_fingerprint_means_no_keys_and_a_loud_reason(void **state)
{
    struct cph_keying_remote offer, answer, forged;
    struct cph_srtp_policy none;
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    for (int passive = 0; passive < 2; passive++) {
        struct cph_keying_evidence e = { 0 };
        struct cph_keying_status s;

        offer = offer_by(&who[0]);
        answer = answer_by(&who[1], &offer);
        if (passive) /* and once as the active side */
            answer = with(&answer, "setup", "passive");
        assert_ok(cph_cert_fingerprint(who[2].cert, CPH_FP_SHA256, &fp));
        forged = with(&answer, "fingerprint", cph_fingerprint_text(&fp, text));
        assert_ok(cph_keying_dtls.finish(who[0].k, &forged));
        if (passive) { /* the other side must serve for this */
            offer = with(&offer, "setup", "active");
            offer = with(&offer, "tls-id", NULL);
            (void)answer_by(&who[1], &offer);
        }
        run(&who[0], &who[1], CPH_SEC(20));
        s = status(&who[0]);
        assert_int_equal(s.state, CPH_KEYING_FAILED);
        assert_err(s.err, CPH_E_CERT);
        assert_non_null(strstr(s.why, "fingerprint"));
        assert_err(cph_keying_dtls.keys(who[0].k, CPH_KEYING_RTP, CPH_KEYING_RECV, 0, &none),
                   CPH_E_AGAIN);
        cph_keying_dtls.evidence(who[0].k, &e);
        assert_false(e.keyed);
        assert_int_equal(e.peer_auth, CPH_KEYING_AUTH_NONE);
        teardown(NULL);
        setup(NULL);
    }
}

static void sha1_alone_is_refused_and_noted(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), weak;
    struct cph_keying_local l = section(&who[1]);
    struct cph_keying_evidence e = { 0 };
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    assert_ok(cph_cert_fingerprint(who[0].cert, CPH_FP_SHA1, &fp));
    weak = with(&offer, "fingerprint", cph_fingerprint_text(&fp, text));
    assert_err(cph_keying_dtls.answer(who[1].k, &weak, &l), CPH_E_POLICY);
    cph_keying_dtls.evidence(who[1].k, &e);
    assert_int_equal(e.notes, CPH_KEYING_NOTE_WEAK_HASH);
    assert_int_equal(status(&who[1]).state, CPH_KEYING_IDLE);
}

static void one_good_line_among_unknown_hashes_is_enough(void **state)
{
    struct cph_keying_remote offer = offer_by(&who[0]), answer, mixed;
    struct cph_keying_evidence e = { 0 };
    struct cph_keying_local l;
    struct cph_fingerprint fp;
    char text[CPH_FP_TEXT];

    (void)state;
    answer = answer_by(&who[1], &offer);
    mixed = with(&answer, "fingerprint", "md5 00:11:22");
    assert_ok(cph_sdp_copy(arena, mixed.sdp, &l.sdp));
    l.media = l.sdp->media[0];
    assert_ok(cph_cert_fingerprint(who[1].cert, CPH_FP_SHA256, &fp));
    assert_ok(cph_sdp_attr_add(l.sdp, l.media, "fingerprint", cph_fingerprint_text(&fp, text)));
    mixed = sent(&l);
    assert_ok(cph_keying_dtls.finish(who[0].k, &mixed));
    run(&who[0], &who[1], CPH_SEC(20));
    assert_keyed(&who[0], &who[1]);
    cph_keying_dtls.evidence(who[0].k, &e);
    assert_int_equal(e.hash_bits, 256);
}

/* The same description with one more line. */
static struct cph_keying_remote and_also(const struct cph_keying_remote *r, const char *name,
                                         const char *arg)
{
    struct cph_keying_local l;

    assert_ok(cph_sdp_copy(arena, r->sdp, &l.sdp));
    l.media = l.sdp->media[0];
    assert_ok(cph_sdp_attr_add(l.sdp, l.media, name, arg));
    return sent(&l);
}

static const char *print_of(const struct party *p, enum cph_fp_hash hash, char text[CPH_FP_TEXT])
{
    struct cph_fingerprint fp;

    assert_ok(cph_cert_fingerprint(p->cert, hash, &fp));
    return cph_fingerprint_text(&fp, text);
}

/* RFC 8122 5.1 MUST: the strongest hash decides; of several lines with it, any may be the one. */
static void of_several_lines_the_strongest_hash_decides(void **state)
{
    static const struct {
        struct {
            int of; /* whose certificate */
            enum cph_fp_hash hash;
        } line[3];
        bool good;
    } all[] = {
        { { { 1, CPH_FP_SHA256 }, { 1, CPH_FP_SHA512 }, { 1, CPH_FP_SHA1 } }, true },
        { { { 2, CPH_FP_SHA256 }, { 1, CPH_FP_SHA512 }, { 2, CPH_FP_SHA1 } }, true },
        { { { 1, CPH_FP_SHA256 }, { 2, CPH_FP_SHA512 }, { 1, CPH_FP_SHA384 } }, false },
        { { { 2, CPH_FP_SHA512 }, { 1, CPH_FP_SHA512 }, { 2, CPH_FP_SHA256 } }, true },
        { { { 2, CPH_FP_SHA256 }, { 0, CPH_FP_SHA256 }, { 1, CPH_FP_SHA1 } }, false },
        { { { 2, CPH_FP_SHA256 }, { 1, CPH_FP_SHA256 }, { 0, CPH_FP_SHA256 } }, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct cph_keying_remote offer = offer_by(&who[0]), answer = answer_by(&who[1], &offer);
        char text[CPH_FP_TEXT];

        answer = with(&answer, "fingerprint", NULL);
        for (size_t k = 0; k < 3; k++)
            answer = and_also(&answer, "fingerprint",
                              print_of(&who[all[i].line[k].of], all[i].line[k].hash, text));
        assert_ok(cph_keying_dtls.finish(who[0].k, &answer));
        run(&who[0], &who[1], CPH_SEC(20));
        if (all[i].good)
            assert_keyed(&who[0], &who[1]);
        else
            assert_err(status(&who[0]).err, CPH_E_CERT);
        teardown(NULL);
        setup(NULL);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_wrong_fingerprint_means_no_keys_and_a_loud_reason),
        T(sha1_alone_is_refused_and_noted),
        T(one_good_line_among_unknown_hashes_is_enough),
        T(of_several_lines_the_strongest_hash_decides),
    };

    return cmocka_run_group_tests_name("dtls_certs", tests, NULL, NULL);
}

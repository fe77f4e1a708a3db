#include "pair.h"

static const uint16_t profiles[] = { 0x0007, 0x0001 };

static void dtls_pair(struct pair *p, uint64_t seed, struct cph_stream_config cfg[2])
{
    pair_init(p, seed, CPH_STREAM_DTLS, cfg);
    for (int i = 0; i < 2; i++) {
        cfg[i].srtp_profile = profiles;
        cfg[i].n_srtp_profile = 2;
        cfg[i].first_timeout = CPH_MS(500);
    }
}

static void two_engines_agree_on_keys_for_srtp(void **state)
{
    static const uint16_t old_first[] = { 0x0001, 0x0002 };
    CPH_SECRET_SCOPED a = { 0 };
    CPH_SECRET_SCOPED b = { 0 };
    struct cph_stream_config cfg[2];
    struct pair p;

    (void)state;
    dtls_pair(&p, 1, cfg);
    cfg[1].srtp_profile = old_first;
    pair_open(&p, cfg);
    run(&p, CPH_SEC(10));
    assert_true(both(&p, CPH_STREAM_OPEN));
    assert_string_equal(cph_stream_version(p.s[0]), "DTLSv1.2");
    assert_non_null(strstr(cph_stream_cipher(p.s[0]), "ECDHE-ECDSA"));
    assert_int_equal(cph_stream_srtp_profile(p.s[0]), 0x0001);
    assert_int_equal(cph_stream_srtp_profile(p.s[1]), 0x0001);
    assert_ok(cph_stream_export(p.s[0], "EXTRACTOR-dtls_srtp", &a, 60));
    assert_ok(cph_stream_export(p.s[1], "EXTRACTOR-dtls_srtp", &b, 60));
    assert_true(cph_ct_eq(cph_secret_span(&a), cph_secret_span(&b)));
    assert_true(cph_stream_deadline(p.s[0]) == CPH_TIME_NEVER);
    assert_true(cph_stream_deadline(p.s[1]) == CPH_TIME_NEVER);
    assert_false(p.seen_too_large);
    pair_free(&p);
}

static void no_common_profile_shows_as_none(void **state)
{
    static const uint16_t other[] = { 0x0002 };
    struct cph_stream_config cfg[2];
    struct pair p;

    (void)state;
    dtls_pair(&p, 1, cfg);
    cfg[1].srtp_profile = other;
    cfg[1].n_srtp_profile = 1;
    pair_open(&p, cfg);
    run(&p, CPH_SEC(10));
    assert_int_equal(cph_stream_srtp_profile(p.s[0]), 0);
    assert_int_equal(cph_stream_srtp_profile(p.s[1]), 0);
    pair_free(&p);
}

static void records_keep_their_boundaries(void **state)
{
    struct cph_stream_config cfg[2];
    char buf[2048];
    struct pair p;
    size_t n;

    (void)state;
    dtls_pair(&p, 1, cfg);
    pair_open(&p, cfg);
    run(&p, CPH_SEC(10));
    assert_ok(cph_stream_write(p.s[0], cph_span_of("one"), p.now));
    assert_ok(cph_stream_write(p.s[0], cph_span_of("three"), p.now));
    assert_err(cph_stream_write(p.s[0], (struct cph_span){ (uint8_t *)buf, sizeof buf }, p.now),
               CPH_E_ARGUMENT);
    run(&p, p.now + CPH_SEC(1));
    assert_err(cph_stream_read(p.s[1], buf, 2, &n), CPH_E_NOSPACE);
    assert_ok(cph_stream_read(p.s[1], buf, sizeof buf, &n));
    assert_true(n == 3 || n == 5);
    assert_ok(cph_stream_read(p.s[1], buf, sizeof buf, &n));
    assert_err(cph_stream_read(p.s[1], buf, sizeof buf, &n), CPH_E_AGAIN);
    cph_stream_close(p.s[0], p.now);
    run(&p, p.now + CPH_SEC(1));
    assert_int_equal(cph_stream_state(p.s[1]), CPH_STREAM_CLOSED);
    pair_free(&p);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void nothing_answers_and_the_timer_doubles_in_virtual_time(void **state)
{
    static const int64_t wait_ms[] = { 500,  1000, 2000, 4000, 8000, 8000, 8000,
                                       8000, 8000, 8000, 8000, 8000, 8000 };
    struct cph_stream_config cfg[2];
    struct cph_stream_counts c;
    struct pair p;

    (void)state;
    dtls_pair(&p, 1, cfg);
    pair_open(&p, cfg);
    for (size_t i = 0; i < CPH_STREAM_TRIES + 1; i++) {
        uint8_t buf[WIRE];
        size_t n, sent = 0;

        while (cph_stream_pull(p.s[0], buf, sizeof buf, &n) == CPH_OK)
            sent++;
        assert_int_equal(sent, 1);
        assert_true(cph_stream_deadline(p.s[0]) == p.now + CPH_MS(wait_ms[i]));
        assert_ok(cph_stream_tick(p.s[0], p.now + CPH_MS(wait_ms[i]) - 1)); /* not yet */
        assert_int_equal(cph_stream_pending(p.s[0]), 0);
        p.now += CPH_MS(wait_ms[i]);
        assert_err(cph_stream_tick(p.s[0], p.now), i < CPH_STREAM_TRIES ? CPH_OK : CPH_E_TIMEOUT);
    }
    assert_int_equal(cph_stream_state(p.s[0]), CPH_STREAM_FAILED);
    assert_true(cph_stream_deadline(p.s[0]) == CPH_TIME_NEVER);
    cph_stream_counts(p.s[0], &c);
    assert_int_equal(c.retransmitted, CPH_STREAM_TRIES);
    pair_free(&p);
}

/* Every single datagram of the handshake lost once: it must be made good by retransmission alone.
 */
static void any_one_lost_datagram_is_made_good(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < 12; lost++) {
        struct cph_stream_config cfg[2];
        struct pair p;
        size_t seen = 0;

        dtls_pair(&p, lost, cfg);
        cfg[0].mtu = cfg[1].mtu = 400;
        pair_open(&p, cfg);
        while (!both(&p, CPH_STREAM_OPEN) && p.now < CPH_SEC(60)) {
            bool moved = false;

            for (int i = 0; i < 2; i++) {
                uint8_t buf[WIRE];
                size_t n;

                while (cph_stream_pull(p.s[i], buf, sizeof buf, &n) == CPH_OK) {
                    assert_true(n <= 400);
                    moved = true;
                    if (seen++ != lost)
                        assert_ok(cph_stream_feed(p.s[1 - i], (struct cph_span){ buf, n }, p.now));
                }
            }
            if (moved)
                continue;
            p.now = next_event(&p);
            assert_true(p.now != CPH_TIME_NEVER);
            for (int i = 0; i < 2; i++)
                assert_ok(cph_stream_tick(p.s[i], p.now));
        }
        assert_true(both(&p, CPH_STREAM_OPEN));
        assert_true(p.now <= CPH_SEC(2));
        pair_free(&p);
    }
}

static void handshakes_open_over_a_bad_network(void **state)
{
    unsigned good = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct cph_stream_config cfg[2];
        CPH_SECRET_SCOPED a = { 0 };
        CPH_SECRET_SCOPED b = { 0 };
        struct pair p;

        dtls_pair(&p, seed, cfg);
        cfg[0].mtu = cfg[1].mtu = 400;
        p.loss = 20;
        p.dup = 20;
        p.delay_ms = 200;
        pair_open(&p, cfg);
        run(&p, CPH_SEC(90));
        assert_false(p.seen_too_large);
        if (both(&p, CPH_STREAM_OPEN)) {
            assert_ok(cph_stream_export(p.s[0], "EXTRACTOR-dtls_srtp", &a, 60));
            assert_ok(cph_stream_export(p.s[1], "EXTRACTOR-dtls_srtp", &b, 60));
            assert_true(cph_ct_eq(cph_secret_span(&a), cph_secret_span(&b)));
            good++;
        }
        pair_free(&p);
    }
    assert_int_equal(good, 60);
}

/* ---- forgery --------------------------------------------------------------------------------- */

static void an_alert_in_clear_is_not_believed(void **state)
{
    static const uint8_t alert[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40 };
    struct cph_stream_config cfg[2];
    struct cph_stream_counts c;
    struct pair p;

    (void)state;
    dtls_pair(&p, 1, cfg);
    pair_open(&p, cfg);
    for (int i = 0; i < 2; i++) {
        assert_ok(cph_stream_feed(p.s[i], (struct cph_span){ alert, sizeof alert }, 0));
        cph_stream_counts(p.s[i], &c);
        assert_int_equal(c.alerts_unproven, 1);
        assert_int_equal(c.dropped, 1);
    }
    run(&p, CPH_SEC(10));
    assert_true(both(&p, CPH_STREAM_OPEN));
    assert_ok(cph_stream_feed(p.s[0], (struct cph_span){ alert, sizeof alert }, 0));
    assert_true(both(&p, CPH_STREAM_OPEN));
    pair_free(&p);
}

static void forged_records_do_not_stop_the_handshake(void **state)
{
    static const uint8_t bad[][40] = {
        { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 12, 0, 0, 0, 0, 0, 0 }, /* HelloRequest */
        { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 12, 20, 0, 0, 0, 0,
          9 }, /* Finished in clear */
        { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 12, 11, 0, 0, 0, 0, 1, 0, 0, 9 }, /* past its
                                                                                          end */
        { 23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 4, 1, 2, 3, 4 },  /* data in clear */
        { 23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 7, 0, 20, 1, 2, 3, 4 }, /* wrong tag */
        { 22, 0xfe, 0xfd, 0, 2, 0, 0, 0, 0, 0, 7, 0, 20, 1, 2, 3, 4 }, /* epoch 2 */
        { 20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1 },           /* early CCS */
        { 20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 8, 0, 2, 1, 1 },
        { 22, 0x03, 0x03, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 1 }, /* TLS on this port */
        { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff }, /* runs out */
        { 0x80, 0, 1, 2, 3 },                                   /* RTP */
    };
    struct cph_stream_config cfg[2];
    struct pair p;

    (void)state;
    dtls_pair(&p, 1, cfg);
    cfg[0].mtu = cfg[1].mtu = 400;
    pair_open(&p, cfg);
    for (cph_time t = 0; t < CPH_MS(12); t += CPH_MS(1)) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            for (int k = 0; k < 2; k++)
                assert_ok(
                    cph_stream_feed(p.s[k], (struct cph_span){ bad[i], sizeof bad[i] }, p.now));
        }
        run(&p, t);
    }
    run(&p, CPH_SEC(20));
    assert_true(both(&p, CPH_STREAM_OPEN));
    pair_free(&p);
}

/* After it is open every flipped datagram is dropped and counted, and what is true still gets
 * through. */
static void flipped_datagrams_are_dropped_and_counted_once_open(void **state)
{
    struct cph_stream_config cfg[2];
    struct cph_stream_counts before, after;
    uint8_t buf[WIRE], turned[WIRE];
    struct pair p;
    size_t n;

    (void)state;
    dtls_pair(&p, 1, cfg);
    pair_open(&p, cfg);
    run(&p, CPH_SEC(10));
    assert_ok(cph_stream_write(p.s[0], cph_span_of("hello"), p.now));
    assert_ok(cph_stream_pull(p.s[0], buf, sizeof buf, &n));
    for (size_t bit = 0; bit < 8 * n; bit++) {
        char got[64];
        size_t len;

        memcpy(turned, buf, n);
        turned[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cph_stream_counts(p.s[1], &before);
        assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ turned, n }, p.now));
        cph_stream_counts(p.s[1], &after);
        assert_int_equal(cph_stream_state(p.s[1]), CPH_STREAM_OPEN);
        assert_err(cph_stream_read(p.s[1], got, sizeof got, &len), CPH_E_AGAIN);
        assert_int_equal(after.dropped, before.dropped + 1);
    }
    for (size_t cut = 0; cut < n; cut++)
        assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ buf, cut }, p.now));
    assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ buf, n }, p.now));
    assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ buf, n }, p.now)); /* replayed */
    assert_ok(cph_stream_read(p.s[1], turned, sizeof turned, &n));
    assert_memory_equal(turned, "hello", 5);
    assert_err(cph_stream_read(p.s[1], turned, sizeof turned, &n), CPH_E_AGAIN);
    pair_free(&p);
}

/* Noise on the wire during the handshake: it opens, or fails; it never crashes and never opens
 * wrongly. */
static void a_noisy_handshake_opens_or_fails_with_a_reason(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct cph_stream_config cfg[2];
        struct pair p;

        dtls_pair(&p, seed, cfg);
        p.flip = 30;
        pair_open(&p, cfg);
        run(&p, CPH_SEC(120));
        for (int i = 0; i < 2; i++) {
            if (cph_stream_state(p.s[i]) == CPH_STREAM_FAILED)
                assert_true(cph_stream_why(p.s[i])[0] != '\0');
            else
                assert_true(cph_stream_state(p.s[i]) != CPH_STREAM_CLOSED);
        }
        pair_free(&p);
    }
}

static void a_wrong_fingerprint_ends_the_handshake(void **state)
{
    struct cph_stream_config cfg[2];
    struct cph_fingerprint pin;
    struct pair p;

    (void)state;
    for (int judge = 0; judge < 2; judge++) {
        dtls_pair(&p, 1, cfg);
        assert_ok(cph_cert_fingerprint(p.cert[judge], CPH_FP_SHA256, &pin)); /* its own: wrong */
        cfg[judge].verify = CPH_STREAM_VERIFY_PINNED;
        cfg[judge].pins = &pin;
        cfg[judge].n_pins = 1;
        pair_open(&p, cfg);
        run(&p, CPH_SEC(200));
        assert_err(cph_stream_error(p.s[judge]), CPH_E_CERT);
        assert_non_null(strstr(cph_stream_why(p.s[judge]), "fingerprint"));
        assert_int_equal(cph_stream_state(p.s[1 - judge]), CPH_STREAM_FAILED);
        pair_free(&p);
    }
}

/* ---- resumption ------------------------------------------------------------------------------ */

struct kept {
    struct pair p;
    struct cph_stream_config cfg[2];
    struct cph_stream_home *home[2];
    struct cph_stream_session *session[2]; /* of the client, of the server */
    unsigned asked;
};

static const struct cph_stream_session *find(void *ctx, struct cph_span id, cph_time now)
{
    struct kept *k = ctx;

    (void)now;
    k->asked++;
    return cph_span_eq(cph_stream_session_id(k->session[1]), id) ? k->session[1] : NULL;
}

/* A first stream whose session both ends keep. */
static void keep_open(struct kept *k, bool resumable)
{
    memset(k, 0, sizeof *k);
    dtls_pair(&k->p, 1, k->cfg);
    for (int i = 0; i < 2; i++) {
        assert_ok(cph_stream_home_new(CPH_STREAM_DTLS, k->p.cert[i], k->p.key[i], resumable,
                                      &k->p.t.env, &k->home[i]));
        k->cfg[i].home = k->home[i];
        k->cfg[i].cert = NULL;
        k->cfg[i].key = NULL;
    }
    pair_open(&k->p, k->cfg);
    assert_err(cph_stream_session_keep(k->p.s[0], &k->session[0]), CPH_E_STATE);
    run(&k->p, CPH_SEC(10));
    assert_true(both(&k->p, CPH_STREAM_OPEN));
}

static void again(struct kept *k)
{
    for (int i = 0; i < 2; i++) {
        cph_stream_free(k->p.s[i]);
        k->p.s[i] = NULL;
        k->p.n_way[i] = 0;
    }
    pair_open(&k->p, k->cfg);
    run(&k->p, k->p.now + CPH_SEC(10));
}

static void keep_close(struct kept *k)
{
    for (int i = 0; i < 2; i++) {
        cph_stream_session_free(k->session[i]);
        cph_stream_home_free(k->home[i]);
    }
    pair_free(&k->p);
}

static void a_session_is_taken_up_with_fresh_keys_and_the_same_peer(void **state)
{
    CPH_SECRET_SCOPED before = { 0 };
    CPH_SECRET_SCOPED after = { 0 };
    CPH_SECRET_SCOPED other = { 0 };
    struct kept k;

    (void)state;
    keep_open(&k, true);
    for (int i = 0; i < 2; i++)
        assert_ok(cph_stream_session_keep(k.p.s[i], &k.session[i]));
    assert_ok(cph_stream_export(k.p.s[0], "EXTRACTOR-dtls_srtp", &before, 60));
    k.cfg[0].resume = k.session[0];
    k.cfg[1].find = find;
    k.cfg[1].find_ctx = &k;
    for (int round = 0; round < 3; round++) { /* a session serves more than once */
        again(&k);
        assert_true(both(&k.p, CPH_STREAM_OPEN));
        for (int i = 0; i < 2; i++) {
            assert_true(cph_stream_resumed(k.p.s[i]));
            assert_true(cph_span_eq(cph_cert_der(cph_stream_peer(k.p.s[i])),
                                    cph_cert_der(k.p.cert[1 - i])));
            assert_int_equal(cph_stream_srtp_profile(k.p.s[i]), 0x0007);
        }
        assert_ok(cph_stream_export(k.p.s[0], "EXTRACTOR-dtls_srtp", &after, 60));
        assert_ok(cph_stream_export(k.p.s[1], "EXTRACTOR-dtls_srtp", &other, 60));
        assert_true(cph_ct_eq(cph_secret_span(&after), cph_secret_span(&other)));
        assert_false(cph_ct_eq(cph_secret_span(&after), cph_secret_span(&before)));
        before = after;
    }
    assert_int_equal(k.asked, 3);
    k.cfg[1].find = NULL; /* the other end was started anew: everything is proven again */
    again(&k);
    assert_true(both(&k.p, CPH_STREAM_OPEN));
    assert_false(cph_stream_resumed(k.p.s[0]) || cph_stream_resumed(k.p.s[1]));
    keep_close(&k);
}

static void a_session_is_good_for_its_role_and_home_alone(void **state)
{
    struct cph_stream *s;
    struct kept k;

    (void)state;
    keep_open(&k, true);
    for (int i = 0; i < 2; i++)
        assert_ok(cph_stream_session_keep(k.p.s[i], &k.session[i]));
    k.cfg[0].resume = k.session[1];
    assert_err(cph_stream_new(&k.cfg[0], &k.p.t.env, &s), CPH_E_CONFIG);
    k.cfg[0].resume = NULL;
    k.cfg[1].resume = k.session[1];
    assert_err(cph_stream_new(&k.cfg[1], &k.p.t.env, &s), CPH_E_CONFIG);
    k.cfg[1].resume = NULL;
    k.cfg[0].after_cookie = true;
    assert_err(cph_stream_new(&k.cfg[0], &k.p.t.env, &s), CPH_E_CONFIG);
    k.cfg[0].after_cookie = false;
    /* A mirror: the client's own session comes back to it where it serves. */
    struct cph_stream_session *own = k.session[1];
    k.session[1] = k.session[0];
    k.session[0] = own;
    k.cfg[1].find = find;
    k.cfg[1].find_ctx = &k;
    k.cfg[0].resume = k.session[1];
    again(&k);
    assert_true(both(&k.p, CPH_STREAM_OPEN));
    assert_int_equal(k.asked, 1);
    assert_false(cph_stream_resumed(k.p.s[0]) || cph_stream_resumed(k.p.s[1]));
    keep_close(&k);

    keep_open(&k, false);
    assert_err(cph_stream_session_keep(k.p.s[0], &k.session[0]), CPH_E_UNSUPPORTED);
    k.cfg[1].find = find;
    assert_err(cph_stream_new(&k.cfg[1], &k.p.t.env, &s), CPH_E_CONFIG);
    keep_close(&k);
}

static void the_peer_of_a_session_is_judged_again(void **state)
{
    struct cph_fingerprint right, wrong;
    struct kept k;

    (void)state;
    keep_open(&k, true);
    for (int i = 0; i < 2; i++)
        assert_ok(cph_stream_session_keep(k.p.s[i], &k.session[i]));
    assert_ok(cph_cert_fingerprint(k.p.cert[1], CPH_FP_SHA256, &right));
    assert_ok(cph_cert_fingerprint(k.p.cert[0], CPH_FP_SHA256, &wrong));
    k.cfg[1].find = find;
    k.cfg[1].find_ctx = &k;
    k.cfg[0].resume = k.session[0];
    k.cfg[0].verify = CPH_STREAM_VERIFY_PINNED;
    k.cfg[0].pins = &right;
    k.cfg[0].n_pins = 1;
    again(&k);
    assert_true(both(&k.p, CPH_STREAM_OPEN) && cph_stream_resumed(k.p.s[0]));
    assert_string_equal(cph_stream_accepted_by(k.p.s[0]), "pinned");
    k.cfg[0].pins = &wrong;
    again(&k);
    assert_int_equal(cph_stream_state(k.p.s[0]), CPH_STREAM_FAILED);
    assert_int_equal(cph_stream_error(k.p.s[0]), CPH_E_CERT);
    assert_false(cph_stream_resumed(k.p.s[0]));
    keep_close(&k);
}

static void behind_the_cookie_nothing_is_said_to_a_hello_without(void **state)
{
    struct cph_stream_config cfg[2];
    uint8_t buf[2048];
    struct pair p;
    size_t n;

    (void)state;
    dtls_pair(&p, 1, cfg);
    cfg[1].after_cookie = true;
    pair_open(&p, cfg);
    assert_ok(cph_stream_pull(p.s[0], buf, sizeof buf, &n));
    assert_ok(cph_stream_feed(p.s[1], (struct cph_span){ buf, n }, p.now));
    assert_err(cph_stream_pull(p.s[1], buf, sizeof buf, &n), CPH_E_AGAIN);
    assert_ok(cph_stream_tick(p.s[1], p.now + CPH_SEC(100)));
    assert_err(cph_stream_pull(p.s[1], buf, sizeof buf, &n), CPH_E_AGAIN);
    assert_int_equal(cph_stream_state(p.s[1]), CPH_STREAM_HANDSHAKE);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_engines_agree_on_keys_for_srtp),
        cmocka_unit_test(no_common_profile_shows_as_none),
        cmocka_unit_test(records_keep_their_boundaries),
        cmocka_unit_test(nothing_answers_and_the_timer_doubles_in_virtual_time),
        cmocka_unit_test(any_one_lost_datagram_is_made_good),
        cmocka_unit_test(handshakes_open_over_a_bad_network),
        cmocka_unit_test(an_alert_in_clear_is_not_believed),
        cmocka_unit_test(forged_records_do_not_stop_the_handshake),
        cmocka_unit_test(flipped_datagrams_are_dropped_and_counted_once_open),
        cmocka_unit_test(a_noisy_handshake_opens_or_fails_with_a_reason),
        cmocka_unit_test(a_wrong_fingerprint_ends_the_handshake),
        cmocka_unit_test(a_session_is_taken_up_with_fresh_keys_and_the_same_peer),
        cmocka_unit_test(a_session_is_good_for_its_role_and_home_alone),
        cmocka_unit_test(the_peer_of_a_session_is_judged_again),
        cmocka_unit_test(behind_the_cookie_nothing_is_said_to_a_hello_without),
    };

    return cmocka_run_group_tests_name("dtls", tests, NULL, NULL);
}

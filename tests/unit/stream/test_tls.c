#include "memory.h"
#include "pair.h"

static void open_pair(struct pair *p, struct cph_stream_config cfg[2])
{
    pair_open(p, cfg);
    pump(p);
}

static void two_engines_shake_hands_and_talk(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];
    char buf[64];
    size_t n;

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    cfg[0].alpn = "sip";
    cfg[1].alpn = "http/1.1,sip";
    pair_open(&p, cfg);
    assert_err(cph_stream_write(p.s[0], cph_span_of("early"), 0), CPH_E_AGAIN);
    pump(&p);
    assert_true(both(&p, CPH_STREAM_OPEN));
    assert_string_equal(cph_stream_version(p.s[0]), "TLSv1.3");
    assert_string_equal(cph_stream_alpn(p.s[0]), "sip");
    assert_string_equal(cph_stream_alpn(p.s[1]), "sip");
    assert_true(cph_cert_eq(cph_stream_peer(p.s[0]), p.cert[1]));
    assert_true(cph_cert_eq(cph_stream_peer(p.s[1]), p.cert[0]));
    assert_string_equal(cph_stream_accepted_by(p.s[0]), "caller");

    assert_err(cph_stream_read(p.s[1], buf, sizeof buf, &n), CPH_E_AGAIN);
    assert_ok(cph_stream_write(p.s[0], cph_span_of("INVITE"), 0));
    pump(&p);
    assert_ok(cph_stream_read(p.s[1], buf, 3, &n));
    assert_int_equal(n, 3);
    assert_ok(cph_stream_read(p.s[1], buf + 3, sizeof buf - 3, &n));
    assert_memory_equal(buf, "INVITE", 6);

    assert_ok(cph_stream_write(p.s[1], cph_span_of("bye"), 0));
    cph_stream_close(p.s[1], 0);
    cph_stream_close(p.s[1], 0);
    pump(&p);
    assert_int_equal(cph_stream_state(p.s[0]), CPH_STREAM_CLOSED);
    cph_stream_eof(p.s[0]); /* after close-notify this is no failure */
    assert_ok(cph_stream_read(p.s[0], buf, sizeof buf, &n));
    assert_int_equal(n, 3);
    assert_err(cph_stream_read(p.s[0], buf, sizeof buf, &n), CPH_E_CLOSED);
    assert_err(cph_stream_write(p.s[0], cph_span_of("x"), 0), CPH_E_CLOSED);
    pair_free(&p);
}

/* Keys of SDES go through here. */
static void what_was_read_does_not_stay_behind(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    static const uint8_t masked[] = "not a key but as good as one for looking for it";
    struct pair p;
    struct cph_stream_config cfg[2];
    uint8_t text[sizeof masked], got[sizeof masked];
    size_t n;

    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        pair_init(&p, 1, CPH_STREAM_TLS, cfg);
        open_pair(&p, cfg);
        test_mask(text, masked, sizeof text);
        assert_ok(cph_stream_write(p.s[way], (struct cph_span){ text, sizeof text }, 0));
        pump(&p);
        assert_ok(cph_stream_read(p.s[!way], got, sizeof got, &n));
        assert_int_equal(n, sizeof got);
        assert_memory_equal(got, text, sizeof text);
        assert_int_equal(test_in_memory(masked, sizeof masked, "what was read"), 0);
        cph_stream_close(p.s[way], 0);
        pair_free(&p);
        assert_int_equal(test_in_memory(masked, sizeof masked, "what was read"), 0);
    }
}

static void exporters_agree_on_both_sides(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];
    CPH_SECRET_SCOPED a = { 0 };
    CPH_SECRET_SCOPED b = { 0 };

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    pair_open(&p, cfg);
    assert_err(cph_stream_export(p.s[0], "EXPORTER-x", &a, 32), CPH_E_STATE);
    pump(&p);
    assert_ok(cph_stream_export(p.s[0], "EXPORTER-x", &a, 32));
    assert_ok(cph_stream_export(p.s[1], "EXPORTER-x", &b, 32));
    assert_true(cph_ct_eq(cph_secret_span(&a), cph_secret_span(&b)));
    assert_ok(cph_stream_export(p.s[1], "EXPORTER-y", &b, 32));
    assert_false(cph_ct_eq(cph_secret_span(&a), cph_secret_span(&b)));
    assert_err(cph_stream_export(p.s[1], "EXPORTER-y", &b, 4096), CPH_E_NOSPACE);
    pair_free(&p);
}

/* ---- whom to believe ------------------------------------------------------------------------- */

/* A server with the chain file of that name, a client that trusts the anchor and expects the name.
 */
static void judge_server(const char *server, const char *anchor, const char *name, cph_err want,
                         const char *why)
{
    struct pair p;
    struct cph_stream_config cfg[2];
    struct cph_cert *chain, *root;
    struct cph_key *key;

    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    chain = read_cert(&p.t, server);
    key = read_key(&p.t, strncmp(server, "client", 6) == 0    ? "client"
                         : strncmp(server, "expired", 7) == 0 ? "expired"
                                                              : "leaf");
    root = read_cert(&p.t, anchor);
    assert_ok(cph_trust_new(&p.trust));
    assert_ok(cph_trust_add(p.trust, root));
    cfg[1].cert = chain;
    cfg[1].key = key;
    cfg[0].verify = CPH_STREAM_VERIFY_CHAIN;
    cfg[0].trust = p.trust;
    cfg[0].name = name;
    open_pair(&p, cfg);
    assert_err(cph_stream_error(p.s[0]), want);
    if (want == CPH_OK) {
        assert_true(both(&p, CPH_STREAM_OPEN));
        assert_string_equal(cph_stream_accepted_by(p.s[0]), "chain");
        assert_int_equal(cph_cert_chain_n(cph_stream_peer(p.s[0])), 1);
        assert_string_equal(cph_stream_why(p.s[0]), "");
    } else {
        assert_true(both(&p, CPH_STREAM_FAILED));
        assert_non_null(strstr(cph_stream_why(p.s[0]), why));
        assert_non_null(strstr(cph_stream_why(p.s[1]), "the peer gave up"));
        assert_err(cph_stream_feed(p.s[0], cph_span_of("x"), 0), want);
        assert_string_equal(cph_stream_accepted_by(p.s[0]), "");
    }
    cph_cert_free(chain);
    cph_cert_free(root);
    cph_key_free(key);
    pair_free(&p);
}

static void the_server_must_prove_its_chain_its_dates_and_its_name(void **state)
{
    (void)state;
    judge_server("leaf_chain", "root", "example.org", CPH_OK, "");
    judge_server("leaf_chain", "root", "Example.Org.", CPH_OK, "");
    judge_server("leaf_chain", "root", NULL, CPH_OK, "");
    judge_server("leaf_chain", "root", "example.com", CPH_E_CERT, "not for example.com");
    judge_server("leaf_chain", "root", "sip.example.org", CPH_E_CERT, "not for");
    judge_server("leaf_chain", "root", "127.0.0.1", CPH_E_CERT, "not for");
    judge_server("leaf_chain", "stranger", "example.org", CPH_E_CERT, "issuer");
    judge_server("leaf", "root", "example.org", CPH_E_CERT, "issuer");
    judge_server("expired_chain", "root", "example.org", CPH_E_EXPIRED, "expired");
    judge_server("client_chain", "root", "example.com", CPH_E_CERT, "key usage");
}

static void judge_pin(bool right, enum cph_fp_hash hash, enum cph_stream_verify verify,
                      cph_err want)
{
    struct pair p;
    struct cph_stream_config cfg[2];
    struct cph_fingerprint pin;

    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    assert_ok(cph_cert_fingerprint(p.cert[right ? 1 : 0], hash, &pin));
    cfg[0].verify = verify;
    cfg[0].pins = &pin;
    cfg[0].n_pins = 1;
    open_pair(&p, cfg);
    assert_err(cph_stream_error(p.s[0]), want);
    assert_true(both(&p, want == CPH_OK ? CPH_STREAM_OPEN : CPH_STREAM_FAILED));
    assert_string_equal(cph_stream_accepted_by(p.s[0]), want == CPH_OK ? "pinned" : "");
    assert_true((cph_stream_why(p.s[0])[0] == '\0') == (want == CPH_OK));
    pair_free(&p);
}

static void a_pinned_fingerprint_decides(void **state)
{
    (void)state;
    judge_pin(true, CPH_FP_SHA256, CPH_STREAM_VERIFY_PINNED, CPH_OK);
    judge_pin(true, CPH_FP_SHA512, CPH_STREAM_VERIFY_CHAIN, CPH_OK);
    judge_pin(false, CPH_FP_SHA256, CPH_STREAM_VERIFY_PINNED, CPH_E_CERT);
    judge_pin(false, CPH_FP_SHA256, CPH_STREAM_VERIFY_CHAIN, CPH_E_CERT);
    judge_pin(true, CPH_FP_SHA1, CPH_STREAM_VERIFY_PINNED, CPH_E_POLICY);
}

static void a_client_must_show_a_certificate_when_one_is_needed(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    cfg[0].cert = NULL;
    cfg[0].key = NULL;
    open_pair(&p, cfg);
    assert_err(cph_stream_error(p.s[1]), CPH_E_CERT);
    assert_string_equal(cph_stream_why(p.s[1]), "the peer showed no certificate");
    assert_int_equal(cph_stream_state(p.s[0]), CPH_STREAM_FAILED);
    pair_free(&p);

    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    cfg[0].cert = NULL;
    cfg[0].key = NULL;
    cfg[1].need_client_cert = false;
    cfg[1].ask_client_cert = true;
    open_pair(&p, cfg);
    assert_true(both(&p, CPH_STREAM_OPEN));
    assert_null(cph_stream_peer(p.s[1]));
    assert_string_equal(cph_stream_accepted_by(p.s[1]), "");
    pair_free(&p);
}

static void a_configuration_that_cannot_work_is_refused(void **state)
{
    struct pair p;
    struct cph_stream_config good[2], c;
    struct cph_stream *s;
    uint16_t profile = 0x0007, unknown = 0x4242;

    (void)state;
    pair_init(&p, 1, CPH_STREAM_DTLS, good);
    c = good[1], c.key = p.key[0];
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[1], c.cert = NULL, c.key = NULL;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.verify = CPH_STREAM_VERIFY_CHAIN;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.verify = CPH_STREAM_VERIFY_PINNED;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.srtp_profile = &unknown, c.n_srtp_profile = 1;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.kind = CPH_STREAM_TLS, c.srtp_profile = &profile, c.n_srtp_profile = 1;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.mtu = 100;
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    c = good[0], c.alpn = "sip,,x";
    assert_err(cph_stream_new(&c, &p.t.env, &s), CPH_E_CONFIG);
    pair_free(&p);
}

/* ---- broken pipes ---------------------------------------------------------------------------- */

static void an_end_without_close_notify_is_a_failure(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    open_pair(&p, cfg);
    cph_stream_eof(p.s[0]);
    assert_err(cph_stream_error(p.s[0]), CPH_E_CLOSED);
    assert_non_null(strstr(cph_stream_why(p.s[0]), "close-notify"));
    pair_free(&p);
}

static void protocols_without_overlap_end_the_handshake(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    cfg[0].alpn = "sip";
    cfg[1].alpn = "http/1.1";
    open_pair(&p, cfg);
    assert_true(both(&p, CPH_STREAM_FAILED));
    pair_free(&p);
}

/* Each byte of a handshake, and of a record after it, turned: neither side may open on it or
 * believe it. */
static void a_turned_byte_ends_the_stream(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3000; at += 53) {
        struct pair p;
        struct cph_stream_config cfg[2];
        size_t seen = 0;
        bool moved = true;

        pair_init(&p, at, CPH_STREAM_TLS, cfg);
        pair_open(&p, cfg);
        while (moved) {
            moved = false;
            for (int i = 0; i < 2; i++) {
                uint8_t b;
                size_t n;

                while (cph_stream_pull(p.s[i], &b, 1, &n) == CPH_OK) {
                    if (seen++ == at)
                        b ^= 1;
                    if (cph_stream_feed(p.s[1 - i], (struct cph_span){ &b, 1 }, 0) != CPH_OK) {
                        /* looked at below */
                    }
                    moved = true;
                }
            }
        }
        if (seen > at)
            assert_false(both(&p, CPH_STREAM_OPEN));
        pair_free(&p);
    }
}

static void garbage_is_no_handshake(void **state)
{
    struct pair p;
    struct cph_stream_config cfg[2];

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    pair_open(&p, cfg);
    assert_err(cph_stream_feed(p.s[1], cph_span_of("OPTIONS sip:x SIP/2.0\r\n\r\n"), 0),
               CPH_E_MALFORMED);
    assert_non_null(strstr(cph_stream_why(p.s[1]), "handshake"));
    pair_free(&p);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void a_slow_reader_bounds_both_directions(void **state)
{
    static uint8_t block[16384], got[16384];
    struct pair p;
    struct cph_stream_config cfg[2];
    size_t sent = 0, read = 0, n;
    cph_err err = CPH_OK;

    (void)state;
    pair_init(&p, 1, CPH_STREAM_TLS, cfg);
    cfg[0].limit = cfg[1].limit = 65536;
    open_pair(&p, cfg);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)i;

    while (cph_stream_write(p.s[0], (struct cph_span){ block, sizeof block }, 0) == CPH_OK)
        sent += sizeof block;
    assert_true(sent > 0 && sent <= 65536);
    assert_true(cph_stream_pending(p.s[0]) <= 65536 + 4096);
    pump(&p);
    while (cph_stream_read(p.s[1], got, sizeof got, &n) == CPH_OK) {
        assert_memory_equal(
            got, block + read % sizeof block,
            n < sizeof block - read % sizeof block ? n : sizeof block - read % sizeof block);
        read += n;
    }
    assert_int_equal(read, sent);

    /* one who never reads is cut off instead of filling memory */
    for (int i = 0; i < 100 && err == CPH_OK; i++) {
        assert_ok(cph_stream_write(p.s[0], (struct cph_span){ block, sizeof block }, 0));
        pump(&p);
        err = cph_stream_error(p.s[1]);
    }
    assert_err(err, CPH_E_LIMIT);
    pair_free(&p);
}

static cph_err shake_hands(void *arg)
{
    struct pair *p = arg;
    struct cph_stream_config *cfg = (struct cph_stream_config *)(p + 1);
    cph_err err = CPH_OK;

    for (int i = 0; i < 2 && err == CPH_OK; i++)
        err = cph_stream_new(&cfg[i], &p->t.env, &p->s[i]);
    if (err == CPH_OK)
        err = cph_stream_start(p->s[0], 0);
    if (err == CPH_OK)
        pump(p);
    for (int i = 0; i < 2; i++) {
        if (p->s[i] && err == CPH_OK)
            err = cph_stream_error(p->s[i]);
        if (err == CPH_E_CLOSED) /* the other side ran out of memory and said so */
            err = CPH_E_NOMEM;
    }
    for (int i = 0; i < 2; i++) {
        cph_stream_free(p->s[i]);
        p->s[i] = NULL;
    }
    return err;
}

static void the_handshake_survives_allocation_failure(void **state)
{
    struct {
        struct pair p;
        struct cph_stream_config cfg[2];
    } *a = calloc(1, sizeof *a);

    (void)state;
    assert_non_null(a);
    pair_init(&a->p, 1, CPH_STREAM_TLS, a->cfg);
    a->cfg[0].cert = NULL;
    a->cfg[0].key = NULL;
    a->cfg[1].need_client_cert = false;
    test_alloc_fails(shake_hands, a);
    pair_free(&a->p);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_does_not_stay_behind),
        cmocka_unit_test(two_engines_shake_hands_and_talk),
        cmocka_unit_test(exporters_agree_on_both_sides),
        cmocka_unit_test(the_server_must_prove_its_chain_its_dates_and_its_name),
        cmocka_unit_test(a_pinned_fingerprint_decides),
        cmocka_unit_test(a_client_must_show_a_certificate_when_one_is_needed),
        cmocka_unit_test(a_configuration_that_cannot_work_is_refused),
        cmocka_unit_test(an_end_without_close_notify_is_a_failure),
        cmocka_unit_test(protocols_without_overlap_end_the_handshake),
        cmocka_unit_test(a_turned_byte_ends_the_stream),
        cmocka_unit_test(garbage_is_no_handshake),
        cmocka_unit_test(a_slow_reader_bounds_both_directions),
        cmocka_unit_test(the_handshake_survives_allocation_failure),
    };

    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}

/* Sealed bodies: who can read them, who can have written them, and all that must not pass. */
#include "support.h"

#include <stdlib.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/identity_smime.h"

enum { WALL = 1700000000 };

struct party {
    struct test_env env;
    struct cph_key *key;
    struct cph_cert *cert;
    struct cph_smime *s;
};

static struct party alice, bob, mallory;
static const struct cph_span sdp = CPH_SPAN_LIT("v=0\r\ns=-\r\na=crypto:1 X inline:KEY\r\n");
static const struct cph_span sdp_type = CPH_SPAN_LIT("application/sdp");
static uint8_t bytes[CPH_SMIME_BODY];
static struct cph_wr wr;
static char type[CPH_SMIME_TYPE], id[CPH_SMIME_ID];
static struct cph_smime_opened *got;

static void make_cert(struct party *p, enum cph_key_kind kind, const char *name)
{
    char uri[64];
    struct cph_cert_name san = { CPH_NAME_URI, { 0 } };
    struct cph_cert_spec spec = {
        .cn = name, .san = &san, .n_san = 1, .not_before = WALL - 1000, .not_after = WALL + 10000
    };

    (void)snprintf(uri, sizeof uri, "sip:%s@example.org", name);
    san.text = cph_span_of(uri);
    assert_ok(cph_key_generate(&p->env.env, kind, &p->key));
    assert_ok(cph_cert_self_signed(&p->env.env, p->key, &spec, &p->cert));
}

static void make(struct party *p, uint64_t seed, const char *name)
{
    struct cph_smime_cfg cfg = { .env = &p->env.env };

    test_env_init(&p->env, seed);
    p->env.wall = WALL;
    make_cert(p, CPH_KEY_EC_P256, name);
    cfg.key = p->key;
    cfg.cert = p->cert;
    assert_ok(cph_smime_new(&cfg, &p->s));
}

static void drop(struct party *p)
{
    cph_smime_free(p->s);
    cph_key_free(p->key);
    cph_cert_free(p->cert);
}

static void again(struct party *p, const struct cph_smime_cfg *how)
{
    struct cph_smime_cfg cfg = *how;

    cfg.env = &p->env.env;
    cfg.key = p->key;
    cfg.cert = p->cert;
    cph_smime_free(p->s);
    assert_ok(cph_smime_new(&cfg, &p->s));
}

static int open_all(void **state)
{
    (void)state;
    make(&alice, 1, "alice");
    make(&bob, 2, "bob");
    make(&mallory, 3, "mallory");
    got = calloc(1, sizeof *got);
    return got ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    cph_smime_opened_wipe(got);
    free(got);
    drop(&alice);
    drop(&bob);
    drop(&mallory);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

static struct cph_span seal(struct party *from, const struct party *to, const char *answers)
{
    wr = cph_wr_open(bytes, sizeof bytes);
    assert_ok(cph_smime_seal(from->s, to->cert, sdp_type, sdp, answers, type, id, &wr));
    return cph_wr_done(&wr);
}

static cph_err open_by(struct party *p, const struct cph_smime_from *from, struct cph_span body)
{
    cph_smime_opened_wipe(got);
    return cph_smime_open(p->s, from, cph_span_of(type), body, got);
}

/* ---- what works ------------------------------------------------------------------------------ */

static void a_body_reaches_the_peer_and_its_answer_comes_back(void **state)
{
    struct cph_smime_from from_alice = { .cert = alice.cert }, from_bob = { .cert = bob.cert };
    struct cph_span body = seal(&alice, &bob, NULL);
    char offer[CPH_SMIME_ID];

    (void)state;
    assert_null(memmem(body.p, body.n, "inline", 6)); /* nobody on the way sees a key */
    assert_null(memmem(body.p, body.n, "crypto", 6));
    assert_string_equal(type,
                        "application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m");
    assert_true(cph_smime_is(cph_span_of(type)));
    assert_true(body.n < sdp.n + CPH_SMIME_GROWS);
    memcpy(offer, id, sizeof offer);
    assert_ok(open_by(&bob, &from_alice, body));
    assert_true(cph_span_eq(got->body, sdp) && cph_span_eq(got->type, sdp_type));
    assert_string_equal(got->id, offer);
    assert_int_equal(got->by, CPH_SMIME_BY_PIN);
    assert_true(cph_cert_eq(got->cert, alice.cert));
    from_bob.answers = offer;
    assert_ok(open_by(&alice, &from_bob, seal(&bob, &alice, offer)));
    assert_true(cph_span_eq(got->body, sdp));
}

static void cbc_is_for_peers_of_rfc3853(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };

    (void)state;
    again(&alice, &(struct cph_smime_cfg){ .cipher = CPH_CMS_AES128_CBC });
    assert_ok(open_by(&bob, &from, seal(&alice, &bob, NULL)));
    assert_string_equal(type, "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m");
}

static void an_authority_may_vouch_for_whom_nobody_pinned(void **state)
{
    struct cph_smime_from from = { .uri = CPH_SPAN_LIT("sip:alice@example.org") };
    struct cph_trust *trust;

    (void)state;
    assert_err(open_by(&bob, &from, seal(&alice, &bob, NULL)), CPH_E_CERT);
    assert_ok(cph_trust_new(&trust));
    assert_ok(cph_trust_add(trust, alice.cert));
    again(&bob, &(struct cph_smime_cfg){ .trust = trust });
    assert_ok(open_by(&bob, &from, seal(&alice, &bob, NULL)));
    assert_int_equal(got->by, CPH_SMIME_BY_AUTHORITY);
    from.uri = CPH_SPAN_LIT("sip:carol@example.org"); /* a certificate of somebody else */
    assert_err(open_by(&bob, &from, seal(&alice, &bob, NULL)), CPH_E_CERT);
    from.uri = CPH_SPAN_LIT("sip:mallory@example.org"); /* nobody vouches for him */
    assert_err(open_by(&bob, &from, seal(&mallory, &bob, NULL)), CPH_E_CERT);
    cph_trust_free(trust);
}

/* ---- what must not pass ---------------------------------------------------------------------- */

static void somebody_elses_signature_is_refused(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };

    (void)state;
    assert_err(open_by(&bob, &from, seal(&mallory, &bob, NULL)), CPH_E_CERT);
    assert_int_equal(got->body.n, 0);
}

static void a_body_for_somebody_else_is_refused(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };

    (void)state;
    assert_err(open_by(&bob, &from, seal(&alice, &mallory, NULL)), CPH_E_AUTH);
}

/* Mallory, to whom Alice wrote, sends what she signed on to Bob. */
static void a_body_that_was_encrypted_again_is_refused(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    struct cph_span body = seal(&alice, &mallory, NULL);
    uint8_t inner[8192], outer[8192];
    size_t n;

    (void)state;
    assert_ok(cph_cms_decrypt(&mallory.env.env, mallory.key, mallory.cert, body, inner,
                              sizeof inner, &n));
    assert_ok(cph_cms_encrypt(&mallory.env.env, bob.cert, CPH_CMS_AES256_GCM,
                              (struct cph_span){ inner, n }, outer, sizeof outer, &n));
    assert_err(open_by(&bob, &from, (struct cph_span){ outer, n }), CPH_E_POLICY);
}

static cph_err as_entity(const char *head, const struct party *signer, bool sign,
                         const struct cph_smime_from *from)
{
    static const char signed_head[] = "Content-Type: application/pkcs7-mime\r\n\r\n";
    uint8_t inner[8192], outer[8192];
    const size_t h = sizeof signed_head - 1;
    size_t n;

    (void)snprintf(type, sizeof type, "application/pkcs7-mime");
    memcpy(inner, signed_head, h);
    if (sign) {
        assert_ok(cph_cms_sign(&alice.env.env, signer->key, signer->cert, alice.env.wall,
                               cph_span_of(head), inner + h, sizeof inner - h, &n));
        n += h;
    } else {
        n = strlen(head);
        memcpy(inner, head, n);
    }
    assert_ok(cph_cms_encrypt(&alice.env.env, bob.cert, CPH_CMS_AES256_GCM,
                              (struct cph_span){ inner, n }, outer, sizeof outer, &n));
    return open_by(&bob, from, (struct cph_span){ outer, n });
}

static void what_nobody_signed_or_encrypted_is_refused(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    uint8_t out[8192];
    size_t n;

    (void)state;
    assert_err(as_entity("Content-Type: application/sdp\r\n\r\nv=0\r\n", &alice, false, &from),
               CPH_E_AUTH); /* encrypted, as anybody can */
    assert_ok(cph_cms_sign(&alice.env.env, alice.key, alice.cert, WALL, sdp, out, sizeof out, &n));
    assert_err(open_by(&bob, &from, (struct cph_span){ out, n }), CPH_E_AUTH); /* signed only */
    (void)snprintf(type, sizeof type, "application/sdp");
    assert_err(open_by(&bob, &from, sdp), CPH_E_UNSUPPORTED);
    (void)snprintf(type, sizeof type, "application/pkcs7-mime");
    assert_err(open_by(&bob, &from, sdp), CPH_E_AUTH);
    assert_err(open_by(&bob, &from, (struct cph_span){ bytes, CPH_SMIME_BODY + 1 }), CPH_E_LIMIT);
}

static void headers_that_could_be_read_in_two_ways_are_refused(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    struct cph_fingerprint fp;
    char mine[CPH_FP_TEXT], good[1024], text[2048];
    static const char *const change[][2] = {
        { "", "" },
        { "Content-Type: application/sdp\r\n", "" },
        { "Content-Type: application/sdp\r\n",
          "Content-Type: application/sdp\r\nContent-Type: text/plain\r\n" },
        { "Content-ID: <", "Content-ID: <1" },
        { "@ciphony", "@elsewhere" },
        { "Recipient-Fingerprint: ", "X-Recipient: " },
        { "sha-256 ", "sha-256  " },
        { "\r\nRecipient", "\r\n Recipient" },
        { "\r\nRecipient", "\r\nno colon\r\nRecipient" },
        { "Content-ID", "Content-Transfer-Encoding: base64\r\nContent-ID" },
        { "\r\n\r\nv=0\r\n", "\r\n" },
        { "Content-ID", "In-Reply-To: <00112233445566778899aabbccddeeff@ciphony>\r\nContent-ID" },
    };

    (void)state;
    assert_ok(cph_cert_fingerprint(bob.cert, CPH_FP_SHA256, &fp));
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        const char *at;

        (void)snprintf(good, sizeof good,
                       "Content-Type: application/sdp\r\nContent-ID: "
                       "<00112233445566778899aabbccddee%02zx@ciphony>\r\nRecipient-Fingerprint: "
                       "%s\r\n\r\nv=0\r\n",
                       i, cph_fingerprint_text(&fp, mine));
        at = strstr(good, change[i][0]);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, change[i][1],
                       at + strlen(change[i][0]));
        if (i == 0)
            assert_ok(as_entity(text, &alice, true, &from));
        else
            assert_int_equal(cph_err_blame(as_entity(text, &alice, true, &from)), CPH_BLAME_PEER);
    }
}

static void a_body_comes_once(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    struct cph_span body = seal(&alice, &bob, NULL);
    char offer[CPH_SMIME_ID];

    (void)state;
    memcpy(offer, id, sizeof offer);
    assert_ok(open_by(&bob, &from, body));
    assert_err(open_by(&bob, &from, body), CPH_E_REPLAY);
    from.again = offer; /* the refresh of a call says what it said */
    assert_ok(open_by(&bob, &from, body));
    from.again = "00";
    assert_err(open_by(&bob, &from, body), CPH_E_REPLAY);
    /* what another recipient refused was not remembered */
    from.again = NULL;
    body = seal(&alice, &bob, NULL);
    from.cert = mallory.cert;
    assert_err(open_by(&bob, &from, body), CPH_E_CERT);
    from.cert = alice.cert;
    assert_ok(open_by(&bob, &from, body));
}

static void what_was_forgotten_is_not_taken_again(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    static uint8_t first[8192];
    struct cph_span body;

    (void)state;
    again(&bob, &(struct cph_smime_cfg){ .seen = 2 });
    body = seal(&alice, &bob, NULL);
    memcpy(first, body.p, body.n);
    body.p = first;
    assert_ok(open_by(&bob, &from, body));
    for (int i = 1; i <= 2; i++) {
        alice.env.wall = WALL + i;
        assert_ok(open_by(&bob, &from, seal(&alice, &bob, NULL)));
    }
    assert_err(open_by(&bob, &from, body), CPH_E_REPLAY);
    /* nor after a new beginning */
    bob.env.wall = WALL + 3;
    again(&bob, &(struct cph_smime_cfg){ .seen = 2 });
    assert_err(open_by(&bob, &from, body), CPH_E_REPLAY);
}

static void time_is_bounded_on_both_sides(void **state)
{
    static const struct {
        int64_t at;
        cph_err err;
    } row[] = {
        { WALL - CPH_SMIME_WINDOW_S - 1, CPH_E_EXPIRED },
        { WALL - CPH_SMIME_WINDOW_S, CPH_OK },
        { WALL, CPH_OK },
        { WALL + CPH_SMIME_WINDOW_S, CPH_OK },
        { WALL + CPH_SMIME_WINDOW_S + 1, CPH_E_EXPIRED },
    };
    struct cph_smime_from from = { .cert = alice.cert };

    (void)state;
    bob.env.wall = WALL - 1000;
    again(&bob, &(struct cph_smime_cfg){ 0 });
    bob.env.wall = WALL;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        alice.env.wall = row[i].at;
        assert_err(open_by(&bob, &from, seal(&alice, &bob, NULL)), row[i].err);
    }
    alice.env.wall = bob.env.wall = WALL + 20000; /* the certificate is over */
    assert_err(open_by(&bob, &from, seal(&alice, &bob, NULL)), CPH_E_EXPIRED);
}

static void an_answer_answers_its_offer(void **state)
{
    struct cph_smime_from from = { .cert = bob.cert };
    char first[CPH_SMIME_ID], second[CPH_SMIME_ID];

    (void)state;
    (void)seal(&alice, &bob, NULL);
    memcpy(first, id, sizeof first);
    (void)seal(&alice, &bob, NULL);
    memcpy(second, id, sizeof second);
    from.answers = second;
    assert_err(open_by(&alice, &from, seal(&bob, &alice, first)), CPH_E_POLICY);
    assert_err(open_by(&alice, &from, seal(&bob, &alice, NULL)), CPH_E_POLICY);
    assert_ok(open_by(&alice, &from, seal(&bob, &alice, second)));
    from.answers = NULL; /* and an offer none */
    assert_err(open_by(&alice, &from, seal(&bob, &alice, second)), CPH_E_POLICY);
}

static cph_err opens(void *arg, struct cph_span body)
{
    const struct cph_smime_from *from = arg;
    cph_err err = open_by(&bob, from, body);

    if (err == CPH_OK && !cph_span_eq(got->body, sdp))
        return CPH_OK;                       /* the worst */
    return err == CPH_OK ? CPH_E_AUTH : err; /* what changed nothing */
}

static void whatever_is_changed_changes_nothing_in_it(void **state)
{
    struct cph_smime_from from = { .cert = alice.cert };
    struct cph_span body = seal(&alice, &bob, NULL);

    (void)state;
    for (size_t i = 0; i < body.n; i++) {
        bytes[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(opens(&from, body), CPH_OK);
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < body.n; i += 11)
        assert_err(opens(&from, cph_span_head(body, i)), CPH_E_AUTH);
}

static void a_certificate_that_cannot_receive_is_a_mistake(void **state)
{
    struct party ed = { 0 };
    struct cph_smime_cfg cfg;
    struct cph_smime *s;

    (void)state;
    test_env_init(&ed.env, 9);
    make_cert(&ed, CPH_KEY_ED25519, "ed");
    cfg = (struct cph_smime_cfg){ .env = &ed.env.env, .key = ed.key, .cert = ed.cert };
    assert_err(cph_smime_new(&cfg, &s), CPH_E_CONFIG);
    cfg.key = alice.key;
    assert_err(cph_smime_new(&cfg, &s), CPH_E_CONFIG);
    wr = cph_wr_open(bytes, sizeof bytes);
    assert_err(cph_smime_seal(alice.s, ed.cert, sdp_type, sdp, NULL, type, id, &wr), CPH_E_CERT);
    wr = cph_wr_open(bytes, 100);
    assert_err(cph_smime_seal(alice.s, bob.cert, sdp_type, sdp, NULL, type, id, &wr),
               CPH_E_NOSPACE);
    assert_err(cph_smime_seal(alice.s, bob.cert, sdp_type,
                              (struct cph_span){ bytes, CPH_SMIME_BODY / 2 + 1 }, NULL, type, id,
                              &wr),
               CPH_E_LIMIT);
    drop(&ed);
}

static cph_err there(void *arg)
{
    struct cph_smime_from from = { .cert = alice.cert };
    struct cph_smime_cfg cfg = { .env = &bob.env.env, .key = bob.key, .cert = bob.cert };
    struct cph_smime *s = NULL;
    cph_err err = cph_smime_new(&cfg, &s);

    (void)arg;
    wr = cph_wr_open(bytes, sizeof bytes);
    if (err == CPH_OK)
        err = cph_smime_seal(alice.s, bob.cert, sdp_type, sdp, NULL, type, id, &wr);
    cph_smime_opened_wipe(got);
    if (err == CPH_OK)
        err = cph_smime_open(s, &from, cph_span_of(type), cph_wr_done(&wr), got);
    cph_smime_free(s);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(there, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_body_reaches_the_peer_and_its_answer_comes_back),
        test(cbc_is_for_peers_of_rfc3853),
        test(an_authority_may_vouch_for_whom_nobody_pinned),
        test(somebody_elses_signature_is_refused),
        test(a_body_for_somebody_else_is_refused),
        test(a_body_that_was_encrypted_again_is_refused),
        test(what_nobody_signed_or_encrypted_is_refused),
        test(headers_that_could_be_read_in_two_ways_are_refused),
        test(a_body_comes_once),
        test(what_was_forgotten_is_not_taken_again),
        test(time_is_bounded_on_both_sides),
        test(an_answer_answers_its_offer),
        test(whatever_is_changed_changes_nothing_in_it),
        test(a_certificate_that_cannot_receive_is_a_mistake),
        test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

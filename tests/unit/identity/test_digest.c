#include <stdlib.h>

#include "digest_int.h"
#include "support.h"

static struct cph_span text_of(struct vectors *v, const char *name)
{
    return cph_span_of(vectors_text(v, name));
}

static void input_from(struct vectors *v, struct auth_input *in)
{
    const char *qop = vectors_text(v, "qop");

    *in = (struct auth_input){
        .qop = !qop                       ? CPH_AUTH_QOP_NONE
               : strcmp(qop, "auth") == 0 ? CPH_AUTH_QOP_AUTH
                                          : CPH_AUTH_QOP_AUTH_INT,
        .nc = (uint32_t)atoi(vectors_text(v, "nc")),
        .nonce = text_of(v, "nonce"),
        .cnonce = text_of(v, "cnonce"),
        .method = text_of(v, "method"),
        .uri = text_of(v, "uri"),
        .body = text_of(v, "body"),
    };
    assert_ok(cph_auth_alg_find(text_of(v, "algorithm"), &in->alg));
}

static void responses_are_those_of_the_examples(void **state)
{
    struct vectors *v = vectors_open("identity/digest.txt");
    size_t n = 0;

    (void)state;
    for (; vectors_next(v); n++) {
        struct cph_auth_secret password = { 0 }, stored = { 0 };
        char got[CPH_AUTH_HEX_MAX + 1];
        struct cph_secret ha1 = { 0 };
        struct auth_input in;

        input_from(v, &in);
        assert_ok(cph_secret_set(&password.secret, text_of(v, "password")));
        assert_ok(auth_a1(&password, text_of(v, "username"), text_of(v, "realm"), &in, &ha1));
        assert_ok(auth_response(&ha1, &in, got));
        assert_string_equal(got, vectors_text(v, "response"));

        /* the stored hash does as well as the password */
        assert_ok(cph_auth_ha1(in.alg, text_of(v, "username"), text_of(v, "realm"),
                               &password.secret, &stored));
        assert_ok(auth_a1(&stored, text_of(v, "username"), text_of(v, "realm"), &in, &ha1));
        assert_ok(auth_response(&ha1, &in, got));
        assert_string_equal(got, vectors_text(v, "response"));

        in.nc++;
        assert_ok(auth_response(&ha1, &in, got));
        if (in.qop != CPH_AUTH_QOP_NONE)
            assert_string_not_equal(got, vectors_text(v, "response"));
    }
    assert_int_equal(n, 16);
    vectors_close(v);
}

static void a_hash_of_another_algorithm_is_refused(void **state)
{
    struct auth_input in = { .alg = CPH_AUTH_SHA256 };
    struct cph_auth_secret stored = { 0 };
    struct cph_secret ha1 = { 0 }, password = { .n = 1, .b = "x" };

    (void)state;
    assert_ok(cph_auth_ha1(CPH_AUTH_MD5, CPH_SPAN_LIT("u"), CPH_SPAN_LIT("r"), &password, &stored));
    assert_err(auth_a1(&stored, CPH_SPAN_LIT("u"), CPH_SPAN_LIT("r"), &in, &ha1), CPH_E_POLICY);
}

/* ---- parsing --------------------------------------------------------------------------------- */

static cph_err challenge(const char *value)
{
    struct cph_auth_challenge c;

    return cph_auth_challenge_parse(cph_span_of(value), &c);
}

static void challenges_are_parsed(void **state)
{
    struct cph_auth_challenge c;

    (void)state;
    assert_ok(cph_auth_challenge_parse(
        CPH_SPAN_LIT("Digest realm=\"a \\\"b\\\"\", domain=\"sip:x\" ,qop=\"auth, auth-int,new\" , "
                     "nonce=\"n\", opaque=\"\", stale=TRUE, algorithm=sha-256, charset=UTF-8"),
        &c));
    assert_true(cph_span_is(c.realm, "a \\\"b\\\""));
    assert_true(c.qop_auth && c.qop_auth_int && c.stale && c.has_opaque);
    assert_int_equal(c.alg, CPH_AUTH_SHA256);
    assert_ok(cph_auth_challenge_parse(CPH_SPAN_LIT("digest realm=\"r\",nonce=\"n\""), &c));
    assert_int_equal(c.alg, CPH_AUTH_MD5);
    assert_false(c.has_qop || c.stale || c.has_opaque);
}

static void challenges_that_are_wrong_or_strange_are_not_answered(void **state)
{
    char big[CPH_AUTH_VALUE_MAX + 64];

    (void)state;
    assert_err(challenge("Basic realm=\"r\""), CPH_E_UNSUPPORTED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\",algorithm=SHA-1"), CPH_E_UNSUPPORTED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\",qop=\"auth-new\""), CPH_E_UNSUPPORTED);
    assert_err(challenge(""), CPH_E_MALFORMED);
    assert_err(challenge("Digest"), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\""), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=r,nonce=\"n\""), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\","), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",,nonce=\"n\""), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\" nonce=\"n\""), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\",realm=\"s\""), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\",x=1,X=2"), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n"), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\",nonce=\"n\\"), CPH_E_MALFORMED);
    assert_err(challenge("Digest realm=\"r\nx\",nonce=\"n\""), CPH_E_MALFORMED);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_err(challenge(big), CPH_E_LIMIT);
    memcpy(big, "Digest realm=\"r\",nonce=\"", 24);
    strcpy(big + 24 + CPH_AUTH_TEXT_MAX + 1, "\"");
    assert_err(challenge(big), CPH_E_LIMIT);
}

#define GOOD "Digest username=\"u\",realm=\"r\",nonce=\"n\",uri=\"sip:x\",response=\"0a\""

static cph_err response(const char *value)
{
    struct cph_auth_response r;

    return cph_auth_response_parse(cph_span_of(value), &r);
}

static void responses_that_are_wrong_are_refused(void **state)
{
    (void)state;
    assert_ok(response(GOOD));
    assert_ok(response(GOOD ",qop=auth,cnonce=\"c\",nc=00000001"));
    assert_ok(response(GOOD ",qop=\"auth\",cnonce=\"c\",nc=0000000f"));
    assert_err(response(GOOD ",qop=auth,cnonce=\"c\""), CPH_E_MALFORMED);
    assert_err(response(GOOD ",qop=auth,nc=00000001"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",qop=auth,cnonce=\"c\",nc=1"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",qop=auth,cnonce=\"c\",nc=0000000F"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",qop=auth,cnonce=\"c\",nc=00000000"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",qop=other,cnonce=\"c\",nc=00000001"), CPH_E_UNSUPPORTED);
    assert_err(response(GOOD ",algorithm=MD5-sess"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",username*=x"), CPH_E_MALFORMED);
    assert_err(response(GOOD ",userhash=true"), CPH_E_UNSUPPORTED);
    assert_err(response("Digest username=\"u\",realm=\"r\",nonce=\"n\",uri=sip:x,response=\"0a\""),
               CPH_E_MALFORMED);
    assert_err(response("Digest username=\"u\",realm=\"r\",nonce=\"n\",uri=\"x\",response=\"0A\""),
               CPH_E_MALFORMED);
    assert_err(response("Digest realm=\"r\",nonce=\"n\",uri=\"sip:x\",response=\"0a\""),
               CPH_E_MALFORMED);
}

/* ---- both ways ------------------------------------------------------------------------------- */

struct pair {
    struct test_env env;
    struct cph_auth_client *client;
    struct cph_auth_server *server;
    struct cph_auth_secret password;
    const char *method, *uri, *body;
    char text[8192];
    struct cph_wr wr;
    struct cph_span line[16];
    size_t n_line;
    struct cph_auth_result result;
};

static cph_err lookup(void *ctx, struct cph_span username, struct cph_span realm,
                      struct cph_auth_secret *out)
{
    struct pair *p = ctx;

    assert_true(cph_span_is(realm, "ex\"ample.org"));
    if (!cph_span_is(username, "al\\ice"))
        return CPH_E_NOTFOUND;
    *out = p->password;
    return CPH_OK;
}

static void pair_open(struct pair *p, struct cph_auth_server_cfg *cfg)
{
    struct cph_auth_client_cfg mine = { .username = CPH_SPAN_LIT("al\\ice"),
                                        .secret = &p->password };

    memset(p, 0, sizeof *p);
    test_env_init(&p->env, 7);
    assert_ok(cph_secret_set(&p->password.secret, CPH_SPAN_LIT("wonder land")));
    cfg->realm = CPH_SPAN_LIT("ex\"ample.org");
    p->method = "INVITE";
    p->uri = "sip:bob@example.org";
    p->body = "v=0\r\n";
    assert_ok(cph_auth_client_new(&mine, &p->env.env, &p->client));
    assert_ok(cph_auth_server_new(cfg, &p->env.env, &p->server));
}

static void pair_close(struct pair *p)
{
    cph_auth_client_free(p->client);
    cph_auth_server_free(p->server);
}

/* Cut what was written into lines and give their values. */
static void cut(struct pair *p, const char *name)
{
    struct cph_span rest = cph_wr_done(&p->wr), line;

    for (p->n_line = 0; cph_span_line(&rest, &line); p->n_line++) {
        assert_true(cph_span_starts(line, name));
        p->line[p->n_line] = cph_span_from(line, strlen(name) + 2);
    }
}

static cph_err challenged(struct pair *p, bool stale, cph_time now)
{
    p->wr = cph_wr_open(p->text, sizeof p->text);
    assert_ok(cph_auth_server_challenge(p->server, false, stale, now, &p->wr));
    cut(p, "WWW-Authenticate");
    return cph_auth_client_challenge(p->client, false, p->line, p->n_line);
}

static cph_err verified(struct pair *p, cph_time now)
{
    return cph_auth_server_verify(p->server, p->line, p->n_line, cph_span_of(p->method),
                                  cph_span_of(p->uri), cph_span_of(p->body), lookup, p, now,
                                  &p->result);
}

static void authorize(struct pair *p)
{
    p->wr = cph_wr_open(p->text, sizeof p->text);
    assert_ok(cph_auth_client_authorize(p->client, cph_span_of(p->method), cph_span_of(p->uri),
                                        cph_span_of(p->body), &p->wr));
    cut(p, "Authorization");
}

static void every_algorithm_and_protection_convinces(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * CPH_AUTH_N_ALGS; i++) {
        enum cph_auth_alg alg = (enum cph_auth_alg)(i / 2);
        struct cph_auth_server_cfg cfg = { .algs = &alg, .n_algs = 1, .auth_int = i & 1 };
        char info[512];
        struct cph_wr wr = cph_wr_open(info, sizeof info);
        struct cph_span value;
        struct pair p;

        pair_open(&p, &cfg);
        assert_ok(challenged(&p, false, 0));
        authorize(&p);
        assert_ok(verified(&p, 0));
        assert_int_equal(p.result.response.alg, alg);
        assert_true(p.result.uri_matches);
        assert_ok(cph_auth_server_info(&p.result, false, CPH_SPAN_LIT("answer"), &wr));
        value = cph_span_from(cph_wr_done(&wr), strlen("Authentication-Info: "));
        value.n -= 2;
        assert_ok(cph_auth_client_info(p.client, false, value, cph_span_of(p.uri),
                                       CPH_SPAN_LIT("answer")));
        assert_err(cph_auth_client_info(p.client, false, value, CPH_SPAN_LIT("sip:x"),
                                        CPH_SPAN_LIT("answer")),
                   CPH_E_AUTH);
        assert_err(
            cph_auth_client_info(p.client, true, value, cph_span_of(p.uri), CPH_SPAN_LIT("answer")),
            CPH_E_AUTH);
        pair_close(&p);
    }
}

static void the_strongest_algorithm_wins_wherever_it_stands(void **state)
{
    static const enum cph_auth_alg algs[] = { CPH_AUTH_MD5, CPH_AUTH_SHA256, CPH_AUTH_SHA512_256 };
    struct cph_auth_server_cfg cfg = { .algs = algs, .n_algs = 3 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    assert_int_equal(p.n_line, 3);
    authorize(&p);
    assert_int_equal(p.n_line, 1);
    assert_ok(verified(&p, 0));
    assert_int_equal(p.result.response.alg, CPH_AUTH_SHA512_256);
    pair_close(&p);
}

static void an_algorithm_policy_forbids_is_not_answered(void **state)
{
    static const enum cph_auth_alg algs[] = { CPH_AUTH_MD5 };
    struct cph_auth_server_cfg cfg = { .algs = algs, .n_algs = 1 };
    struct cph_auth_client_cfg mine = { .username = CPH_SPAN_LIT("u"), .algs = CPH_AUTH_NO_MD5 };
    struct cph_auth_client *c;
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    mine.secret = &p.password;
    assert_ok(cph_auth_client_new(&mine, &p.env.env, &c));
    p.wr = cph_wr_open(p.text, sizeof p.text);
    assert_ok(cph_auth_server_challenge(p.server, false, false, 0, &p.wr));
    cut(&p, "WWW-Authenticate");
    assert_err(cph_auth_client_challenge(c, false, p.line, p.n_line), CPH_E_UNSUPPORTED);
    assert_false(cph_auth_client_ready(c));
    cph_auth_client_free(c);
    pair_close(&p);
}

/* Each input of the response is changed after the client signed it. */
static void whatever_is_changed_is_noticed(void **state)
{
    struct cph_auth_server_cfg cfg = { .auth_int = true };
    static const char *const wrong[] = { "username=\"al", "realm=\"ex", "nonce=\"",  "uri=\"sip:b",
                                         "response=\"",   "cnonce=\"",  "nc=0000000" };
    struct pair p;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *at;

        pair_open(&p, &cfg);
        assert_ok(challenged(&p, false, 0));
        authorize(&p);
        at = strstr(p.text, wrong[i]);
        assert_non_null(at);
        at += strlen(wrong[i]);
        *at = *at == 'a' ? 'b' : *at == '1' ? '2' : *at == '0' ? '1' : 'a';
        assert_err(verified(&p, 0), CPH_E_AUTH);
        assert_false(p.result.stale);
        assert_int_equal(p.result.ha1.n, 0);
        pair_close(&p);
    }
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    authorize(&p);
    p.method = "BYE";
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_SECRET);
    p.method = "INVITE";
    assert_ok(verified(&p, 0));
    p.uri = "sip:carol@example.org"; /* the response covers its own uri; the caller is told */
    authorize(&p);
    p.uri = "sip:bob@example.org";
    assert_ok(verified(&p, 0));
    assert_false(p.result.uri_matches);
    pair_close(&p);
}

static void a_body_under_auth_int_may_not_change(void **state)
{
    struct cph_auth_server_cfg cfg = { .auth_int = true };
    struct cph_auth_client_cfg mine = { .username = CPH_SPAN_LIT("al\\ice"),
                                        .prefer_auth_int = true };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    cph_auth_client_free(p.client);
    mine.secret = &p.password;
    assert_ok(cph_auth_client_new(&mine, &p.env.env, &p.client));
    assert_ok(challenged(&p, false, 0));
    authorize(&p);
    p.body = "v=1\r\n";
    assert_err(verified(&p, 0), CPH_E_AUTH);
    p.body = "v=0\r\n";
    assert_ok(verified(&p, 0));
    assert_int_equal(p.result.response.qop, CPH_AUTH_QOP_AUTH_INT);
    pair_close(&p);
}

static void a_count_serves_once_within_its_window(void **state)
{
    struct cph_auth_server_cfg cfg = { 0 };
    static char kept[CPH_AUTH_NC_WINDOW + 2][512];
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    for (size_t i = 0; i < CPH_AUTH_NC_WINDOW + 2; i++) {
        authorize(&p);
        assert_ok(cph_span_cstr(p.line[0], kept[i], sizeof kept[i]));
    }
    /* counts 66, then 66 again, 3 (the window's last), 3 again, 2 (outside), 65, 65 again */
    static const struct {
        size_t at;
        enum cph_auth_why why;
    } steps[] = { { 65, CPH_AUTH_WHY_OK },    { 65, CPH_AUTH_WHY_REPLAY }, { 2, CPH_AUTH_WHY_OK },
                  { 2, CPH_AUTH_WHY_REPLAY }, { 1, CPH_AUTH_WHY_REPLAY },  { 64, CPH_AUTH_WHY_OK },
                  { 64, CPH_AUTH_WHY_REPLAY } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        p.line[0] = cph_span_of(kept[steps[i].at]);
        p.n_line = 1;
        assert_int_equal(verified(&p, 0) == CPH_OK, steps[i].why == CPH_AUTH_WHY_OK);
        assert_int_equal(p.result.why, steps[i].why);
        assert_int_equal(p.result.stale, steps[i].why == CPH_AUTH_WHY_REPLAY);
    }
    pair_close(&p);
}

static void a_nonce_ages_to_the_second(void **state)
{
    struct cph_auth_server_cfg cfg = { .lifetime_s = 60 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, CPH_SEC(1000)));
    authorize(&p);
    assert_err(verified(&p, CPH_SEC(999)), CPH_E_AUTH); /* from the future */
    assert_ok(verified(&p, CPH_SEC(1060)));
    authorize(&p);
    assert_err(verified(&p, CPH_SEC(1061)), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_STALE);
    assert_true(p.result.stale);
    assert_ok(challenged(&p, true, CPH_SEC(1061))); /* stale: the client tries again by itself */
    authorize(&p);
    assert_ok(verified(&p, CPH_SEC(1061)));
    pair_close(&p);
}

static void a_foreign_nonce_is_stale_only_to_who_knows_the_secret(void **state)
{
    struct cph_auth_server_cfg cfg = { 0 };
    struct cph_auth_server *other;
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    authorize(&p);
    assert_ok(cph_auth_server_new(&cfg, &p.env.env, &other));
    cph_auth_server_free(p.server);
    p.server = other; /* started again, with a new key */
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_NONCE);
    assert_true(p.result.stale);
    p.password.secret.b[0] ^= 1;
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_SECRET);
    assert_false(p.result.stale);
    pair_close(&p);
}

/* The table forgets; what it forgot does not become fresh. */
static void a_full_table_refuses_what_it_forgot(void **state)
{
    struct cph_auth_server_cfg cfg = { .nonces = 2 };
    char first[512];
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    for (int i = 0; i < 3; i++) {
        cph_auth_client_accepted(p.client);
        assert_ok(challenged(&p, false, CPH_SEC(i)));
        authorize(&p);
        assert_ok(verified(&p, CPH_SEC(i)));
        if (i == 0)
            assert_ok(cph_span_cstr(p.line[0], first, sizeof first));
    }
    p.line[0] = cph_span_of(first);
    assert_err(verified(&p, CPH_SEC(3)), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_STALE);
    pair_close(&p);
}

static void a_wrong_password_ends_it_for_the_client(void **state)
{
    struct cph_auth_server_cfg cfg = { 0 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    authorize(&p);
    p.password.secret.b[0] ^= 1;
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_SECRET);
    assert_false(p.result.stale);
    assert_err(challenged(&p, false, 0), CPH_E_AUTH);
    cph_auth_client_accepted(p.client);
    assert_ok(challenged(&p, false, 0)); /* another request, later */
    for (int i = 0; i < 4; i++) {
        authorize(&p);
        assert_err(challenged(&p, true, 0), i < 3 ? CPH_OK : CPH_E_AUTH);
    }
    pair_close(&p);
}

static void what_was_not_offered_is_refused(void **state)
{
    static const enum cph_auth_alg sha[] = { CPH_AUTH_SHA256 };
    struct cph_auth_server_cfg cfg = { .algs = sha, .n_algs = 1 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    p.n_line = 0;
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_NONE);
    p.n_line = 1;
    p.line[0] = CPH_SPAN_LIT("Basic abc=");
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_NONE);
    p.line[0] = CPH_SPAN_LIT("Digest username=");
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_MALFORMED);
    p.line[0] = CPH_SPAN_LIT("Digest username=\"u\",realm=\"ex\\\"ample.org\",nonce=\"n\","
                             "uri=\"sip:x\",response=\"0a\"");
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_ALGORITHM);
    p.line[0] = CPH_SPAN_LIT("Digest username=\"u\",realm=\"ex\\\"ample.org\",nonce=\"n\","
                             "uri=\"sip:x\",response=\"0a\",algorithm=SHA-256");
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_QOP);
    p.line[0] = CPH_SPAN_LIT(
        "Digest username=\"nobody\",realm=\"ex\\\"ample.org\",nonce=\"n\",qop=auth,"
        "nc=00000001,cnonce=\"c\",uri=\"sip:x\",response=\"0a\",algorithm=SHA-256");
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_SECRET);
    pair_close(&p);
}

/* A server of RFC 2543: no qop in its challenge. Ours accepts such an answer once for each nonce.
 */
static void without_qop_a_nonce_serves_once(void **state)
{
    static const enum cph_auth_alg md5[] = { CPH_AUTH_MD5 };
    struct cph_auth_server_cfg cfg = { .algs = md5, .n_algs = 1, .accept_no_qop = true };
    char value[512];
    struct cph_auth_challenge ch;
    struct cph_wr wr = cph_wr_open(value, sizeof value);
    struct cph_span one;
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    p.wr = cph_wr_open(p.text, sizeof p.text);
    assert_ok(cph_auth_server_challenge(p.server, false, false, 0, &p.wr));
    cut(&p, "WWW-Authenticate");
    assert_ok(cph_auth_challenge_parse(p.line[0], &ch));
    cph_wr_fmt(&wr, "Digest realm=\"ex\\\"ample.org\", nonce=\"%.*s\"", CPH_SPAN_ARG(ch.nonce));
    one = cph_wr_done(&wr);
    assert_ok(cph_auth_client_challenge(p.client, false, &one, 1));
    authorize(&p);
    assert_null(strstr(p.text, "cnonce"));
    assert_null(strstr(p.text, "qop"));
    assert_ok(verified(&p, 0));
    assert_err(verified(&p, 0), CPH_E_AUTH);
    assert_int_equal(p.result.why, CPH_AUTH_WHY_REPLAY);
    pair_close(&p);
}

static void a_next_nonce_is_used_from_then_on(void **state)
{
    struct cph_auth_server_cfg cfg = { 0 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    authorize(&p);
    assert_err(cph_auth_client_info(p.client, false, CPH_SPAN_LIT("nextnonce=\"soon\""),
                                    cph_span_of(p.uri), cph_span_of("")),
               CPH_E_NOTFOUND);
    authorize(&p);
    assert_non_null(strstr(p.text, "nonce=\"soon\""));
    assert_non_null(strstr(p.text, "nc=00000001"));
    pair_close(&p);
}

static void nothing_can_be_smuggled_into_a_header(void **state)
{
    struct cph_auth_server_cfg cfg = { 0 };
    struct pair p;

    (void)state;
    pair_open(&p, &cfg);
    assert_ok(challenged(&p, false, 0));
    p.wr = cph_wr_open(p.text, sizeof p.text);
    assert_err(cph_auth_client_authorize(p.client, CPH_SPAN_LIT("INVITE"),
                                         CPH_SPAN_LIT("sip:a\r\nX: y"), CPH_SPAN_LIT(""), &p.wr),
               CPH_E_ARGUMENT);
    assert_err(cph_auth_client_authorize(p.client, CPH_SPAN_LIT("INVITE"),
                                         CPH_SPAN_LIT("sip:a\",x=\""), CPH_SPAN_LIT(""), &p.wr),
               CPH_E_ARGUMENT);
    p.wr = cph_wr_open(p.text, 100);
    assert_err(cph_auth_client_authorize(p.client, CPH_SPAN_LIT("INVITE"), CPH_SPAN_LIT("sip:a"),
                                         CPH_SPAN_LIT(""), &p.wr),
               CPH_E_NOSPACE);
    pair_close(&p);
}

static void a_server_is_configured_rightly_or_not_at_all(void **state)
{
    static const enum cph_auth_alg twice[] = { CPH_AUTH_MD5, CPH_AUTH_MD5 };
    struct cph_auth_server_cfg cfg = { .realm = CPH_SPAN_LIT("r"), .algs = twice, .n_algs = 2 };
    struct cph_auth_server *s;
    struct test_env env;

    (void)state;
    test_env_init(&env, 1);
    assert_err(cph_auth_server_new(&cfg, &env.env, &s), CPH_E_ARGUMENT);
    cfg.n_algs = 0;
    assert_err(cph_auth_server_new(&cfg, &env.env, &s), CPH_E_ARGUMENT);
    cfg.n_algs = 1;
    cfg.realm.n = 0;
    assert_err(cph_auth_server_new(&cfg, &env.env, &s), CPH_E_ARGUMENT);
}

static cph_err one_exchange(void *arg)
{
    static const enum cph_auth_alg algs[] = { CPH_AUTH_SHA256 };
    struct cph_auth_server_cfg cfg = { .realm = CPH_SPAN_LIT("ex\"ample.org"),
                                       .algs = algs,
                                       .n_algs = 1 };
    struct cph_auth_client_cfg mine = { .username = CPH_SPAN_LIT("al\\ice") };
    struct pair *p = arg;
    cph_err err;

    memset(p, 0, sizeof *p);
    test_env_init(&p->env, 7);
    p->method = p->uri = p->body = "x";
    mine.secret = &p->password;
    err = cph_auth_client_new(&mine, &p->env.env, &p->client);
    if (err == CPH_OK)
        err = cph_auth_server_new(&cfg, &p->env.env, &p->server);
    p->wr = cph_wr_open(p->text, sizeof p->text);
    if (err == CPH_OK)
        err = cph_auth_server_challenge(p->server, false, false, 0, &p->wr);
    if (err == CPH_OK) {
        cut(p, "WWW-Authenticate");
        err = cph_auth_client_challenge(p->client, false, p->line, p->n_line);
    }
    p->wr = cph_wr_open(p->text, sizeof p->text);
    if (err == CPH_OK)
        err = cph_auth_client_authorize(p->client, CPH_SPAN_LIT("x"), CPH_SPAN_LIT("x"),
                                        CPH_SPAN_LIT("x"), &p->wr);
    if (err == CPH_OK) {
        cut(p, "Authorization");
        err = verified(p, 0);
    }
    pair_close(p);
    return err;
}

static void memory_may_run_out_anywhere(void **state)
{
    static struct pair p;

    (void)state;
    test_alloc_fails(one_exchange, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_those_of_the_examples),
        cmocka_unit_test(a_hash_of_another_algorithm_is_refused),
        cmocka_unit_test(challenges_are_parsed),
        cmocka_unit_test(challenges_that_are_wrong_or_strange_are_not_answered),
        cmocka_unit_test(responses_that_are_wrong_are_refused),
        cmocka_unit_test(every_algorithm_and_protection_convinces),
        cmocka_unit_test(the_strongest_algorithm_wins_wherever_it_stands),
        cmocka_unit_test(an_algorithm_policy_forbids_is_not_answered),
        cmocka_unit_test(whatever_is_changed_is_noticed),
        cmocka_unit_test(a_body_under_auth_int_may_not_change),
        cmocka_unit_test(a_count_serves_once_within_its_window),
        cmocka_unit_test(a_nonce_ages_to_the_second),
        cmocka_unit_test(a_foreign_nonce_is_stale_only_to_who_knows_the_secret),
        cmocka_unit_test(a_full_table_refuses_what_it_forgot),
        cmocka_unit_test(a_wrong_password_ends_it_for_the_client),
        cmocka_unit_test(what_was_not_offered_is_refused),
        cmocka_unit_test(without_qop_a_nonce_serves_once),
        cmocka_unit_test(a_next_nonce_is_used_from_then_on),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_header),
        cmocka_unit_test(a_server_is_configured_rightly_or_not_at_all),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

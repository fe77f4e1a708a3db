/* Whose certificate a call is sealed to: what --smime and the configuration name, and what is said
 * where that cannot be. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "smime.h"

static struct test_env t;
static struct cli_config config;
static struct cli_smime s;
static char why[CLI_WHY], home[] = "/tmp/ciphony-smime-XXXXXX";
static struct cph_key *key[2];
static struct cph_cert *bob, *carol, *device;

static struct cph_cert *certify(struct cph_key *k, const char *uri)
{
    struct cph_cert_name san = { CPH_NAME_URI, cph_span_of(uri) };
    struct cph_cert_spec spec = {
        .cn = "x", .san = &san, .n_san = 1, .not_before = 0, .not_after = INT32_MAX
    };
    struct cph_cert *cert;

    assert_ok(cph_cert_self_signed(&t.env, k, &spec, &cert));
    return cert;
}

static const char *path_of(const char *name)
{
    static char path[4][64];
    static unsigned at;

    at = (at + 1) % 4;
    (void)snprintf(path[at], sizeof path[at], "%s/%s", home, name);
    return path[at];
}

static void write_file(const char *name, const char *one, const char *other)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_true(fprintf(f, "%s%s", one, other) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path_of(name), 0600), 0);
}

/* text: a configuration with %s where the directory of the files goes; file: one --smime. */
static cph_err open_with(const char *text, const char *file, bool wanted)
{
    struct cli_smime_config cfg = { .env = &t.env, .device_cert = device, .wanted = wanted };
    char whole[1024] = "";
    size_t n = 0;

    for (const char *at = text; *at; at++)
        n += (size_t)snprintf(whole + n, sizeof whole - n, "%.*s%s", *at == '~' ? 0 : 1, at,
                              *at == '~' ? home : "");
    cli_smime_drop(&s);
    why[0] = '\0';
    assert_ok(cli_config_parse(cph_span_of(whole), "f", &config, why));
    cfg.peer = config.peer;
    cfg.n_peers = config.n_peers;
    cfg.own = config.smime_own;
    cfg.file = &file;
    cfg.n_files = file ? 1 : 0;
    return cli_smime_load(&cfg, why, &s);
}

#define BOB   "[peer bob]\nuri = sip:bob@example.org\nsmime = yes\ncertificate = ~/bob.pem\n"
#define CAROL "[peer carol]\nuri = sip:carol@example.org\nsmime = yes\nauthority = ~/carol.pem\n"

static void each_peer_has_its_own_certificate_or_authority(void **state)
{
    struct cph_span to_bob = CPH_SPAN_LIT("sips:bob@EXAMPLE.org;transport=tls");
    struct cph_span to_carol = CPH_SPAN_LIT("sip:carol@example.org");
    struct cph_span to_other = CPH_SPAN_LIT("sip:dave@example.org");

    (void)state;
    assert_ok(open_with(BOB CAROL "[peer dave]\nuri = sip:dave@example.org\nmikey = dhsign\n", NULL,
                        false));
    assert_true(s.on);
    assert_true(cph_cert_eq(cli_smime_for(&s, to_bob), bob));
    assert_true(cli_smime_seal(&s, to_bob).must && !cli_smime_seal(&s, to_bob).trust);
    assert_null(cli_smime_for(&s, to_carol));
    assert_true(cli_smime_seal(&s, to_carol).must && cli_smime_seal(&s, to_carol).trust);
    assert_null(cli_smime_for(&s, to_other));
    assert_false(cli_smime_seal(&s, to_other).must);
    assert_null(cli_smime_for(&s, CPH_SPAN_LIT("no address")));

    assert_ok(open_with("", NULL, false));
    assert_false(s.on);
    assert_ok(open_with("", NULL, true)); /* answers take what an authority vouches for */
    assert_true(s.on);
}

static void the_command_line_goes_before_the_file_where_it_names_the_peer(void **state)
{
    (void)state;
    assert_ok(open_with(BOB, path_of("carol.pem"), false));
    assert_true(cph_cert_eq(cli_smime_for(&s, CPH_SPAN_LIT("sip:bob@example.org")), bob));
    assert_true(cph_cert_eq(cli_smime_for(&s, CPH_SPAN_LIT("sip:carol@example.org")), carol));
    assert_true(cph_cert_eq(cli_smime_for(&s, CPH_SPAN_LIT("sip:dave@example.org")), carol));
    assert_ok(open_with("[peer b]\nuri = sip:bob@example.org\nsmime = yes\n"
                        "certificate = ~/carol.pem\n",
                        path_of("bob.pem"), false));
    assert_true(cph_cert_eq(cli_smime_for(&s, CPH_SPAN_LIT("sip:bob@example.org")), bob));
}

static void a_key_of_our_own_stands_for_the_devices(void **state)
{
    (void)state;
    assert_ok(open_with("[defaults]\nsmime-own = ~/own.pem\n", NULL, false));
    assert_true(s.on && s.own_key && cph_cert_has_key(s.own_cert, s.own_key));
    assert_err(open_with("[defaults]\nsmime-own = ~/bob.pem\n", NULL, false), CPH_E_CONFIG);
    assert_non_null(strstr(why, "smime-own "));
    assert_non_null(strstr(why, "expected a PEM file with our key and its certificate"));
    assert_err(open_with("[defaults]\nsmime-own = ~/wrong.pem\n", NULL, false), CPH_E_CONFIG);
    assert_non_null(strstr(why, "the certificate is not that of the key"));
    assert_err(open_with("[defaults]\nsmime-own = /nowhere/x\n", NULL, false), CPH_E_CONFIG);
}

static void what_is_wrong_is_said_with_the_way_out(void **state)
{
    static const struct {
        const char *text, *words;
    } row[] = {
        { "[peer b]\nuri = sip:b@c\nsmime = yes\ncertificate = /nowhere/x.pem\n",
          "peer b: /nowhere/x.pem: " },
        { "[peer b]\nuri = sip:b@c\nsmime = yes\ncertificate = /dev/null\n",
          "there is no certificate in it; expected a PEM file with the peer's certificate" },
        { "[peer b]\nuri = sip:b@c\nsmime = yes\nauthority = /dev/null\n",
          "expected a PEM file with certificates of authorities" },
        { "[peer b]\nuri = sip:b@c\nsmime = yes\ncertificate = ~/ed.pem\n",
          "nothing can be encrypted to this certificate" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_err(open_with(row[i].text, NULL, false), CPH_E_CONFIG);
        if (!strstr(why, row[i].words))
            fail_msg("\"%s\" does not say \"%s\"", why, row[i].words);
    }
    assert_err(open_with("", "/nowhere/y.pem", false), CPH_E_CONFIG);
    assert_non_null(strstr(why, "--smime /nowhere/y.pem: "));
}

static void a_call_that_cannot_be_sealed_is_not_begun(void **state)
{
    (void)state;
    assert_ok(open_with(BOB CAROL, NULL, false));
    assert_ok(cli_smime_reaches(&s, false, "sip:bob@example.org", why));
    assert_ok(cli_smime_reaches(&s, true, "sip:bob@example.org", why));
    assert_ok(cli_smime_reaches(&s, false, "sip:dave@example.org", why));
    assert_err(cli_smime_reaches(&s, true, "sip:dave@example.org", why), CPH_E_CONFIG);
    assert_err(cli_smime_reaches(&s, false, "sip:carol@example.org", why), CPH_E_CONFIG);
    assert_non_null(strstr(why, "nobody has its certificate; name it with --smime FILE"));
}

static int setup(void **state)
{
    char pem[2][16384];
    CPH_SECRET_SCOPED secret = { 0 };
    struct cph_key *ed;
    struct cph_cert *c;
    size_t n;

    (void)state;
    test_env_init(&t, 1);
    assert_non_null(mkdtemp(home));
    for (int i = 0; i < 2; i++)
        assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &key[i]));
    bob = certify(key[0], "sip:bob@example.org");
    carol = certify(key[1], "sip:carol@example.org");
    device = certify(key[0], "sip:alice@example.org");
    assert_ok(cph_cert_pem(bob, pem[0], sizeof pem[0], &n));
    assert_ok(cph_cert_pem(carol, pem[1], sizeof pem[1], &n));
    assert_ok(cph_key_private_pem(&t.env, key[0], &secret));
    write_file("bob.pem", pem[0], "");
    write_file("carol.pem", pem[1], "");
    write_file("own.pem", (const char *)secret.b, pem[0]);
    write_file("wrong.pem", (const char *)secret.b, pem[1]);
    assert_ok(cph_key_generate(&t.env, CPH_KEY_ED25519, &ed));
    c = certify(ed, "sip:bob@example.org");
    assert_ok(cph_cert_pem(c, pem[0], sizeof pem[0], &n));
    write_file("ed.pem", pem[0], "");
    cph_cert_free(c);
    cph_key_free(ed);
    return 0;
}

static int teardown(void **state)
{
    static const char *const file[] = { "bob.pem", "carol.pem", "own.pem", "wrong.pem", "ed.pem" };

    (void)state;
    cli_smime_drop(&s);
    cli_config_wipe(&config);
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        (void)unlink(path_of(file[i]));
    (void)rmdir(home);
    cph_cert_free(bob);
    cph_cert_free(carol);
    cph_cert_free(device);
    cph_key_free(key[0]);
    cph_key_free(key[1]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_peer_has_its_own_certificate_or_authority),
        cmocka_unit_test(the_command_line_goes_before_the_file_where_it_names_the_peer),
        cmocka_unit_test(a_key_of_our_own_stands_for_the_devices),
        cmocka_unit_test(what_is_wrong_is_said_with_the_way_out),
        cmocka_unit_test(a_call_that_cannot_be_sealed_is_not_begun),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* What the configuration says of MIKEY's peers, made into what their calls take. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ciphony/crypto_key.h"
#include "ciphony/keying_mikey.h"
#include "mikey.h"

static struct test_env t;
static struct cli_config config;
static struct cli_mikey *mikey;
static char why[CLI_WHY], home[] = "/tmp/ciphony-mikey-XXXXXX";
static struct cph_key *device_key;
static struct cph_cert *device;

static struct cph_cert *certify(struct cph_key *key)
{
    struct cph_cert_spec spec = { .cn = "x", .not_before = 0, .not_after = INT32_MAX };
    struct cph_cert *cert;

    assert_ok(cph_cert_self_signed(&t.env, key, &spec, &cert));
    return cert;
}

/* The file's path, as the configuration writes it. */
static void write_file(const char *name, const char *text, size_t n)
{
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", home, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static cph_err open_with(const char *text)
{
    struct cli_mikey_config cfg = {
        .env = &t.env, .own_uri = "sips:Alice@EXAMPLE.org", .key = device_key, .cert = device
    };

    cli_mikey_free(mikey);
    mikey = NULL;
    assert_ok(cli_config_parse(cph_span_of(text), "f", &config, why));
    cfg.peer = config.peer;
    cfg.n_peers = config.n_peers;
    return cli_mikey_new(&cfg, why, &mikey);
}

static void each_peer_has_its_own_and_the_others_share_one(void **state)
{
    struct cph_mikey *bob, *carol, *other;

    (void)state;
    assert_ok(open_with("[peer bob]\nuri = sip:bob@example.org\nmikey = psk\nsecret = one\n"
                        "[peer carol]\nuri = sip:carol@example.org\nmikey = dhsign\n"));
    bob = cli_mikey_for(mikey, CPH_SPAN_LIT("sips:bob@EXAMPLE.org;transport=tls"));
    carol = cli_mikey_for(mikey, CPH_SPAN_LIT("sip:carol@example.org"));
    other = cli_mikey_for(mikey, CPH_SPAN_LIT("sip:bob@example.com"));
    assert_true(bob && carol && other && bob != carol && bob != other && carol != other);
    assert_ptr_equal(cli_mikey_for(mikey, CPH_SPAN_LIT("no address")), other);
    assert_ok(open_with(""));
    assert_non_null(cli_mikey_for(mikey, CPH_SPAN_LIT("sip:bob@example.org")));
}

static void certificates_and_keys_come_from_files(void **state)
{
    char pem[16384], text[512];
    struct cph_key *rsa;
    struct cph_cert *cert;
    size_t n;

    (void)state;
    assert_ok(cph_key_generate(&t.env, CPH_KEY_RSA, &rsa));
    cert = certify(rsa);
    assert_ok(cph_cert_pem(cert, pem, sizeof pem, &n));
    write_file("bob.pem", pem, n);
    (void)snprintf(text, sizeof text,
                   "[peer bob]\nuri = sip:bob@example.org\nmikey = rsa\ncertificate = %s/bob.pem\n"
                   "authority = %s/bob.pem\n",
                   home, home);
    assert_ok(open_with(text));
    (void)snprintf(text, sizeof text,
                   "[peer bob]\nuri = sip:bob@example.org\nmikey = dhsign\nown = %s/bob.pem\n",
                   home);
    assert_err(open_with(text), CPH_E_CONFIG); /* no key in it */
    assert_non_null(strstr(why, "peer bob: "));
    assert_non_null(strstr(why, "expected a PEM file with our key and its certificate"));
    cph_cert_free(cert);
    cph_key_free(rsa);
}

static void what_cannot_work_is_said_in_words(void **state)
{
    static const struct {
        const char *peer, *words;
    } row[] = {
        { "mikey = rsa\ncertificate = /nowhere/x.pem", "expected a PEM file with the peer's" },
        { "mikey = dhsign\nauthority = /dev/null", "expected a PEM file with certificates of" },
        { "mikey = psk\nsecret-file = /nowhere/x", "peer b: the password cannot be read from" },
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        (void)snprintf(text, sizeof text, "[peer b]\nuri = sip:b@c\n%s\n", row[i].peer);
        assert_err(open_with(text), CPH_E_CONFIG);
        if (!strstr(why, row[i].words))
            fail_msg("\"%s\" does not say \"%s\"", why, row[i].words);
    }
}

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 1);
    assert_non_null(mkdtemp(home));
    assert_ok(cph_key_generate(&t.env, CPH_KEY_EC_P256, &device_key));
    device = certify(device_key);
    return 0;
}

static int teardown(void **state)
{
    char path[64];

    (void)state;
    cli_mikey_free(mikey);
    cli_config_wipe(&config);
    cph_cert_free(device);
    cph_key_free(device_key);
    (void)snprintf(path, sizeof path, "%s/bob.pem", home);
    (void)unlink(path);
    (void)rmdir(home);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_peer_has_its_own_and_the_others_share_one),
        cmocka_unit_test(certificates_and_keys_come_from_files),
        cmocka_unit_test(what_cannot_work_is_said_in_words),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

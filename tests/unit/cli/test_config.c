#include "home.h"

#include <sys/stat.h>

#include "ciphony/keying.h"
#include "cli_int.h"

static struct cli_config c;
static char why[CLI_WHY];

static cph_err parse(const char *text)
{
    return cli_config_parse(cph_span_of(text), "f", &c, why);
}

static void a_whole_file_is_read(void **state)
{
    (void)state;
    assert_ok(parse("\xef\xbb\xbf# comment\r\n"
                    "\n"
                    "[defaults]\n"
                    "  policy = prefer\n"
                    "need=private\n"
                    "listen = udp:127.0.0.1:5070, tls:[::1]\n"
                    "play = a b.wav\n"
                    "record = \"  odd \\\"name\\\\ \"\n"
                    "account = bob\n"
                    "; another comment\n"
                    "[account alice]\n"
                    "uri = sip:alice@example.org\n"
                    "[ account  bob ]\n"
                    "uri = sips:bob@example.org;x=y\n"
                    "registrar = sip:example.org\n"
                    "proxy = sip:proxy.example.org;lr\n"
                    "user = Bob = B\n"
                    "password = # not a comment\n"
                    "transport = tls\n"
                    "policy = required\n"
                    "need = verified"));
    assert_int_equal(c.policy.media, CPH_SECURITY_PREFER);
    assert_int_equal(c.policy.need, CPH_LEVEL_PRIVATE);
    assert_int_equal(c.n_listen, 2);
    assert_int_equal(c.listen[0].proto, CPH_SIP_UDP);
    assert_int_equal(c.listen[0].addr.port, 5070);
    assert_int_equal(c.listen[1].proto, CPH_SIP_TLS);
    assert_int_equal(c.listen[1].addr.port, 5061);
    assert_string_equal(c.play, "a b.wav");
    assert_string_equal(c.record, "  odd \"name\\ ");
    assert_int_equal(c.n_accounts, 2);
    assert_ptr_equal(cli_config_account(&c, NULL), &c.account[1]);
    assert_ptr_equal(cli_config_account(&c, "alice"), &c.account[0]);
    assert_null(cli_config_account(&c, "Alice"));
    assert_int_equal(c.account[0].policy.media, CPH_SECURITY_UNSET);
    assert_false(c.account[0].has_proto);
    assert_string_equal(c.account[1].uri, "sips:bob@example.org;x=y");
    assert_string_equal(c.account[1].registrar, "sip:example.org");
    assert_string_equal(c.account[1].proxy, "sip:proxy.example.org;lr");
    assert_string_equal(c.account[1].user, "Bob = B");
    assert_true(cph_span_is(cph_secret_span(&c.account[1].password), "# not a comment"));
    assert_true(c.account[1].has_proto);
    assert_int_equal(c.account[1].proto, CPH_SIP_TLS);
    assert_int_equal(c.account[1].policy.need, CPH_LEVEL_VERIFIED);
    cli_config_wipe(&c);
    assert_int_equal(c.account[1].password.n, 0);
}

static void ekt_is_off_and_encrypted_headers_are_on_unless_said_otherwise(void **state)
{
    (void)state;
    assert_ok(parse("[defaults]\n"));
    assert_true(!c.ekt && !c.no_cryptex);
    assert_ok(parse("[defaults]\nekt = yes\ncryptex = no\n"));
    assert_true(c.ekt && c.no_cryptex);
    assert_ok(parse("[defaults]\nekt = no\ncryptex = yes\n"));
    assert_true(!c.ekt && !c.no_cryptex);
    assert_err(parse("[defaults]\nekt = true\n"), CPH_E_CONFIG);
    assert_string_equal(why, "f:2: ekt must be yes or no");
    assert_err(parse("[defaults]\ncryptex = off\n"), CPH_E_CONFIG);
    assert_err(parse("[account a]\nuri = sip:a@b\nekt = yes\n"), CPH_E_CONFIG);
}

static void an_error_does_not_repeat_a_password(void **state)
{
    static const char *const line[] = { "password hunter2hunter2", "password: hunter2hunter2",
                                        "password = \"hunter2hunter2", "pasword = hunter2hunter2",
                                        "password = hunter2hunter2\npassword = hunter2hunter2" };
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        (void)snprintf(text, sizeof text, "[account a]\nuri = sip:a@b\n%s\n", line[i]);
        assert_err(parse(text), CPH_E_CONFIG);
        assert_null(strstr(why, "hunter2"));
        assert_non_null(strstr(why, "f:"));
    }
}

static void callers_and_who_must_prove_a_password(void **state)
{
    (void)state;
    assert_ok(parse("[defaults]\nchallenge = yes\n[caller bob]\npassword = x y\n"
                    "[account a]\nuri = sip:a@b\nchallenge = keys\n"
                    "[caller carol]\npassword-command = pass carol\n"));
    assert_true(c.policy.challenge && !c.policy.cover_body);
    assert_true(c.account[0].policy.challenge && c.account[0].policy.cover_body);
    assert_int_equal(c.n_accounts, 1);
    assert_int_equal(c.n_callers, 2);
    assert_string_equal(c.caller[0].name, "bob");
    assert_true(cph_span_is(cph_secret_span(&c.caller[0].password), "x y"));
    assert_string_equal(c.caller[1].password_command, "pass carol");
    assert_ok(parse("[account a]\nuri = sip:a@b\nchallenge = no\n"));
    assert_false(c.account[0].policy.challenge);
}

static void an_empty_file_configures_nothing(void **state)
{
    (void)state;
    assert_ok(parse(""));
    assert_int_equal(c.n_accounts, 0);
    assert_null(cli_config_account(&c, NULL));
    assert_ok(parse("\n\n# only\n"));
}

static void every_keying_of_the_table_may_be_named(void **state)
{
    char text[256] = "[defaults]\nkeying =";
    size_t n = 0;

    (void)state;
    for (size_t i = 0; cph_keying_methods[i]; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s", n++ ? "," : "",
                       cph_keying_methods[i]->name);
    assert_ok(parse(text));
    assert_int_equal(c.policy.keying_n, n);
    assert_ptr_equal(c.policy.keying[0], cph_keying_methods[0]->name);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",%s",
                   cph_keying_methods[0]->name);
    assert_err(parse(text), CPH_E_CONFIG);
}

static void a_policy_may_be_named_for_all_or_for_an_account(void **state)
{
    (void)state;
    assert_ok(parse("[defaults]\nkeying = best\n[account a]\nuri = sip:a@b\nkeying = legacy"));
    assert_string_equal(c.policy.keying[0], "dtls");
    assert_true(c.policy.enforce_need);
    assert_int_equal(c.account[0].policy.keying_n, 1);
    assert_int_equal(cph_policy_media(&c.account[0].policy), CPH_SECURITY_PREFER);
    assert_err(parse("[defaults]\nkeying = best, dtls"), CPH_E_CONFIG);
    assert_ok(parse("[defaults]\nbest-effort = group\n[account a]\nuri = sip:a@b\n"
                    "best-effort = probe"));
    assert_int_equal(c.policy.form, CPH_KEYING_FORM_GROUP);
    assert_int_equal(c.account[0].policy.form, CPH_KEYING_FORM_PROBE);
    assert_err(parse("[defaults]\nbest-effort = much"), CPH_E_CONFIG);
}

#define A "[account a]\nuri = sip:a@b\n"
#define P "[peer b]\nuri = sip:b@c\nmikey = psk\nsecret = s\n"

static void a_peer_says_how_mikey_speaks_with_it(void **state)
{
    (void)state;
    assert_ok(parse(P "[peer c]\nuri = sips:c@d\nmikey = rsa\ncertificate = ~/c.pem\n"
                      "authority = /ca.pem\nown = /own.pem\n"));
    assert_int_equal(c.n_peers, 2);
    assert_string_equal(c.peer[0].who.name, "b");
    assert_string_equal(c.peer[0].who.uri, "sip:b@c");
    assert_int_equal(c.peer[0].mode, CPH_MIKEY_PSK);
    assert_int_equal(c.peer[0].who.password.n, 1);
    assert_int_equal(c.peer[1].mode, CPH_MIKEY_RSA);
    assert_string_equal(c.peer[1].certificate, "~/c.pem");
    assert_string_equal(c.peer[1].authority, "/ca.pem");
    assert_string_equal(c.peer[1].own, "/own.pem");
}

static void calls_that_are_sealed_are_named_for_all_or_for_one(void **state)
{
    (void)state;
    assert_ok(parse("[defaults]\nsmime = yes\nsmime-own = ~/own.pem\n" A "smime = no\n"
                    "[account b]\nuri = sip:b@b\nsmime = yes\n"
                    "[peer c]\nuri = sip:c@d\nsmime = yes\ncertificate = /c.pem\n" P
                    "[peer e]\nuri = sip:e@d\nsmime = yes\nmikey = dhsign\nauthority = /a.pem\n"));
    assert_true(c.policy.smime);
    assert_string_equal(c.smime_own, "~/own.pem");
    assert_false(c.account[0].policy.smime);
    assert_true(c.account[1].policy.smime);
    assert_true(c.peer[0].smime && !c.peer[0].has_mode);
    assert_true(!c.peer[1].smime && c.peer[1].has_mode);
    assert_true(c.peer[2].smime && c.peer[2].has_mode);
    assert_ok(parse(A));
    assert_false(c.policy.smime || c.account[0].policy.smime || c.smime_own[0]);
}

static void each_wrong_thing_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *words;
    } row[] = {
        { "policy = none", 1, "before any section" },
        { "[defaults]\npolice = none", 2,
          "no key \"police\" in [defaults]; there are policy, need" },
        { A "\nlisten = udp:0.0.0.0:1", 4,
          "no key \"listen\" in an account; there are uri, registrar" },
        { "[defaults]\npolicy = Required", 2, "policy must be required, prefer or none" },
        { "[defaults]\npolicy =", 2, "policy must be required" },
        { "[defaults]\nneed = safe", 2, "need must be open, hop, private, identified or verified" },
        { "[defaults]\nkeying = rot13", 2,
          "keying must be best, compatible, legacy, or some of dtls" },
        { "[defaults]\nkeying =", 2, "keying must be" },
        { "[defaults]\nlisten = udp:example.org:5060", 2, "listen must be up to 8" },
        { "[defaults]\nlisten = sctp:127.0.0.1", 2, "listen must be" },
        { "[defaults]\nlisten = udp:127.0.0.1:65536", 2, "listen must be" },
        { "[defaults]\nlisten =", 2, "listen must be" },
        { "[defaults]\nlisten = udp:127.0.0.1,,udp:127.0.0.2", 2, "listen must be" },
        { "[defaults]\nlisten = "
          "udp:1.1.1.1,udp:1.1.1.1,udp:1.1.1.1,udp:1.1.1.1,udp:1.1.1.1,udp:1.1.1.1,"
          "udp:1.1.1.1,udp:1.1.1.1,udp:1.1.1.1",
          2, "up to 8" },
        { "[defaults]\npolicy = none\npolicy = none", 3, "second time" },
        { "[defaults]\n[defaults]", 2, "there already" },
        { "[defaults]\nplay =", 2, "play must be" },
        { "[defaults]\nrecord = \"\"", 2, "record must be" },
        { "[defaults]\nplay = \"open", 2, "quotes do not match" },
        { "[defaults]\nplay = \"a\" b", 2, "quotes do not match" },
        { "[defaults]\nplay = \"a\\n\"", 2, "quotes do not match" },
        { "[defaults]\nplay = \"a\\", 2, "quotes do not match" },
        { "[defaults]\naccount = nobody\n" A, 4, "there is no [account nobody]" },
        { "[defaults]\nnonsense", 2, "no line of a configuration" },
        { "[defaults", 1, "missing its ]" },
        { "[", 1, "missing its ]" },
        { "[default]", 1, "no section [default]; there are [defaults], [account NAME], [caller" },
        { "[accounts x]", 1, "no section" },
        { "[account]", 1, "no name of an account" },
        { "[caller]", 1, "no name of a caller" },
        { "[caller a/b]", 1, "no name of a caller" },
        { "[caller a]\npassword = x\n[caller a]", 3, "there already, in line 1" },
        { "[caller a]", 1, "has no password" },
        { "[caller a]\npassword = x\npassword-file = /x", 1, "caller a has more than one" },
        { "[caller a]\nuri = sip:a@b", 2, "no key \"uri\" in a caller; there are password" },
        { A "challenge = maybe", 3, "challenge must be no, yes or keys" },
        { A "challenge = yes", 3, "nobody could call" },
        { "[defaults]\nchallenge = keys", 2, "nobody could call" },
        { "[peer]", 1, "no name of a peer" },
        { P "[peer b]", 5, "peer b is there already, in line 1" },
        { "[peer b]\nuri = sip:b@c", 1, "peer b has no mikey and no smime" },
        { "[peer b]\nuri = sip:b@c\nsmime = no", 1, "peer b has no mikey and no smime" },
        { "[peer b]\nuri = sip:b@c\nsmime = yes", 1, "smime needs certificate, the peer's, or" },
        { "[peer b]\nuri = sip:b@c\nsmime = yes\ncertificate = /c\nsecret = x", 1,
          "secret and own are for mikey" },
        { "[peer b]\nuri = sip:b@c\nsmime = yes\ncertificate = /c\nown = /o", 1,
          "our key for S/MIME is smime-own in [defaults]" },
        { P "smime = yes", 1, "smime needs certificate" },
        { "[peer b]\nsmime = maybe", 2, "smime must be yes or no" },
        { "[defaults]\nsmime = 1", 2, "smime must be yes or no" },
        { "[defaults]\nsmime-own = own.pem", 2, "smime-own must be an absolute path" },
        { A "smime = on", 3, "smime must be yes or no" },
        { A "smime-own = /x", 3, "no key \"smime-own\" in an account" },
        { "[peer b]\nmikey = dhsign", 1, "peer b has no uri" },
        { "[peer b]\nmikey = des", 2,
          "mikey must be psk, rsa, rsa-r, dhsign, dhhmac, ecmqv or null" },
        { "[peer b]\nuri = sip:b@c\nmikey = dhhmac", 1, "needs secret, secret-file or" },
        { "[peer b]\nuri = sip:b@c\nmikey = dhsign\nsecret = x", 1, "uses no secret" },
        { "[peer b]\nuri = sip:b@c\nmikey = rsa", 1, "needs certificate" },
        { "[peer b]\nuri = sip:b@c\nmikey = ecmqv", 1, "needs certificate" },
        { "[peer b]\ncertificate = relative", 2, "certificate must be an absolute path" },
        { "[peer b]\nauthority = relative", 2, "authority must be" },
        { "[peer b]\nown = relative", 2, "own must be" },
        { P "secret-file = /x", 1, "peer b has more than one of secret, secret-file" },
        { "[peer b]\npassword = x", 2, "no key \"password\" in a peer; there are uri, mikey" },
        { "[account a b]", 1, "no name of an account" },
        { "[account a/b]", 1, "no name of an account" },
        { A "[account a]", 3, "there already, in line 1" },
        { "[account a]\n\n\n", 1, "has no uri" },
        { "[account a]\n[defaults]\n", 1, "has no uri" },
        { "[account a]\nuri = alice@example.org", 2, "uri must be an address like" },
        { "[account a]\nuri = sip:example.org", 2, "uri must be" },
        { "[account a]\nuri = sip:@example.org", 2, "uri must be" },
        { "[account a]\nuri = sip:a@", 2, "uri must be" },
        { "[account a]\nuri = sip:a b@c", 2, "uri must be" },
        { "[account a]\nuri = http://a@b", 2, "uri must be" },
        { A "registrar = example.org", 3, "registrar must be" },
        { A "proxy = sip:", 3, "proxy must be" },
        { A "user =", 3, "user must be" },
        { A "password =", 3, "password must be 1 to 512 bytes" },
        { A "password-file = relative", 3, "password-file must be an absolute path" },
        { A "password-command =", 3, "password-command must be" },
        { A "password = x\npassword-command = y", 1, "more than one of password" },
        { A "password-file = /x\npassword-command = y\n[defaults]", 1,
          "more than one of password" },
        { A "transport = sctp", 3, "transport must be udp, tcp or tls" },
        { A "keying = x", 3, "keying must be" },
        { A "policy = x", 3, "policy must be" },
        { A "need = x", 3, "need must be" },
        { A "= x", 3, "no key \"\"" },
        { "[defaults]\nplay\x1b[2J = x", 2, "no key \"play?[2J\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char where[16];

        (void)snprintf(where, sizeof where, "f:%u: ", row[i].line);
        assert_err(parse(row[i].text), CPH_E_CONFIG);
        if (strncmp(why, where, strlen(where)) != 0 || !strstr(why, row[i].words))
            fail_msg("row %zu: \"%s\" instead of \"%s...%s\"", i, why, where, row[i].words);
        assert_int_equal(c.n_accounts, 0); /* nothing of it is left */
    }
}

static void every_bound_holds_at_its_edge(void **state)
{
    static char text[CLI_CONFIG_MAX + 2];
    size_t n;

    (void)state;
    /* a line */
    n = (size_t)snprintf(text, sizeof text, "[defaults]\n#");
    memset(text + n, 'x', CLI_LINE_MAX - 1);
    text[n + CLI_LINE_MAX - 1] = '\0';
    assert_ok(parse(text));
    n += CLI_LINE_MAX - 1;
    (void)snprintf(text + n, sizeof text - n, "x");
    assert_err(parse(text), CPH_E_CONFIG);
    assert_non_null(strstr(why, "f:2: the line is longer"));
    /* the file */
    memset(text, '\n', sizeof text);
    assert_ok(cli_config_parse((struct cph_span){ (uint8_t *)text, CLI_CONFIG_MAX }, "f", &c, why));
    assert_err(
        cli_config_parse((struct cph_span){ (uint8_t *)text, CLI_CONFIG_MAX + 1 }, "f", &c, why),
        CPH_E_CONFIG);
    /* a name, an address, a password */
    for (size_t extra = 0; extra < 2; extra++) {
        static const struct {
            const char *before;
            size_t max;
            const char *after;
        } row[] = {
            { "[account ", CLI_NAME_MAX - 1, "]\nuri = sip:a@b\n" },
            { "[account a]\nuri = sip:a@", CLI_URI_MAX - 1 - 6, "" },
            { A "user = ", CLI_URI_MAX - 1, "" },
            { A "password = ", CPH_SECRET_MAX, "" },
            { "[defaults]\nplay = ", CLI_LINE_MAX - 7, "" },
        };

        for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
            n = (size_t)snprintf(text, sizeof text, "%s", row[i].before);
            memset(text + n, 'x', row[i].max + extra);
            (void)snprintf(text + n + row[i].max + extra, 64, "%s", row[i].after);
            assert_err(parse(text), extra ? CPH_E_CONFIG : CPH_OK);
        }
    }
    /* accounts */
    for (int accounts = CLI_ACCOUNTS_MAX; accounts <= CLI_ACCOUNTS_MAX + 1; accounts++) {
        n = 0;
        for (int i = 0; i < accounts; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "[account a%d]\nuri = sip:a@b\n", i);
        assert_err(parse(text), accounts > CLI_ACCOUNTS_MAX ? CPH_E_CONFIG : CPH_OK);
    }
}

static void a_nul_in_a_value_is_refused(void **state)
{
    (void)state;
    assert_err(cli_config_parse(CPH_SPAN_LIT("[defaults]\nplay = a\0b"), "f", &c, why),
               CPH_E_CONFIG);
    assert_err(cli_config_parse(CPH_SPAN_LIT(A "password = a\0b"), "f", &c, why), CPH_E_CONFIG);
}

/* ---- files and passwords --------------------------------------------------------------------- */

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* What was said on stderr while fn(arg) ran. */
static cph_err listen_to(cph_err (*fn)(const char *), const char *arg, char *said, size_t cap)
{
    char name[] = "/tmp/ciphony-said-XXXXXX";
    int fd = mkstemp(name), saved = dup(2);
    cph_err err;
    ssize_t n;

    assert_true(fd >= 0 && saved >= 0);
    (void)fflush(stderr);
    assert_int_equal(dup2(fd, 2), 2);
    err = fn(arg);
    (void)fflush(stderr);
    assert_int_equal(dup2(saved, 2), 2);
    n = pread(fd, said, cap - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    (void)close(saved);
    (void)unlink(name);
    return err;
}

static cph_err load(const char *path)
{
    return cli_config_load(path, &c, why);
}

static void a_file_that_anybody_may_write_to_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        cph_err err;
    } row[] = {
        { 0600, CPH_OK }, { 0664, CPH_OK }, { 0602, CPH_E_CONFIG }, { 0666, CPH_E_CONFIG }
    };
    char path[] = "/tmp/ciphony-conf-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && close(fd) == 0);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        put(path, "[defaults]\npolicy = required\n", row[i].mode);
        assert_err(cli_config_load(path, &c, why), row[i].err);
        assert_int_equal(strstr(why, "chmod o-w") != NULL, row[i].err != CPH_OK);
    }
    (void)unlink(path);
}

static void the_file_is_found_by_the_xdg_rules(void **state)
{
    char dir[128], path[192], out[CPH_STORE_PATH];

    (void)state;
    assert_ok(cli_config_load(NULL, &c, why)); /* none is fine */
    (void)snprintf(dir, sizeof dir, "%s/.config", home);
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(dir, sizeof dir, "%s/.config/ciphony", home);
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/config", dir);
    assert_ok(cli_config_path(out));
    assert_string_equal(out, path);
    put(path, A, 0600);
    assert_ok(cli_config_load(NULL, &c, why));
    assert_int_equal(c.n_accounts, 1);
    put(path, "[defaults]\nx = y", 0600);
    assert_err(cli_config_load(NULL, &c, why), CPH_E_CONFIG);
    assert_non_null(strstr(why, path));
    assert_non_null(strstr(why, ":2: "));
    setenv("XDG_CONFIG_HOME", "/elsewhere", 1);
    assert_ok(cli_config_path(out));
    assert_string_equal(out, "/elsewhere/ciphony/config");
    unsetenv("HOME");
    unsetenv("XDG_CONFIG_HOME");
    assert_err(cli_config_path(out), CPH_E_CONFIG);
    assert_ok(cli_config_load(NULL, &c, why));
    assert_err(cli_config_load("/no/such/file", &c, why),
               CPH_E_CONFIG); /* named, so it must be there */
    assert_non_null(strstr(why, "/no/such/file cannot be read: No such file"));
}

static void a_password_that_others_may_read_is_warned_about(void **state)
{
    char path[128], said[2048];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/config", home);
    put(path, A "password = x", 0644);
    assert_ok(listen_to(load, path, said, sizeof said));
    assert_non_null(strstr(said, "chmod 600"));
    put(path, A "password = x", 0600);
    assert_ok(listen_to(load, path, said, sizeof said));
    assert_string_equal(said, "");
    put(path, A, 0644); /* nothing to hide */
    assert_ok(listen_to(load, path, said, sizeof said));
    assert_string_equal(said, "");
}

static struct cph_secret password;

static cph_err get_password(const char *unused)
{
    (void)unused;
    return cli_account_password(&c.account[0], &password, why);
}

static void a_password_comes_from_the_file_a_file_or_a_command(void **state)
{
    static const struct {
        const char *line;
        const char *file; /* what the file holds, NULL: there is none */
        mode_t mode;
        cph_err want;
        const char *words; /* the password, or the explanation */
        bool warning;
    } row[] = {
        { "", NULL, 0, CPH_E_NOTFOUND, "", false },
        { "password = in line", NULL, 0, CPH_OK, "in line", false },
        { "password-file = ~/pw", "from file\r\nmore\n", 0600, CPH_OK, "from file", false },
        { "password-file = ~/pw", "open", 0644, CPH_OK, "open", true },
        { "password-file = ~/pw", "", 0600, CPH_E_CONFIG, "no password", false },
        { "password-file = ~/pw", "\nx", 0600, CPH_E_CONFIG, "no password", false },
        { "password-file = ~/nope", NULL, 0, CPH_E_CONFIG, "No such file", false },
        { "password-command = echo from command; echo more", NULL, 0, CPH_OK, "from command",
          false },
        { "password-command = echo wrong; exit 3", NULL, 0, CPH_E_CONFIG, "failed", false },
        { "password-command = true", NULL, 0, CPH_E_CONFIG, "printed no password", false },
        { "password-command = printf %600s x", NULL, 0, CPH_E_CONFIG, "printed no password",
          false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[256], path[128], said[2048];

        (void)snprintf(text, sizeof text, A "%s", row[i].line);
        assert_ok(parse(text));
        (void)snprintf(path, sizeof path, "%s/pw", home);
        if (row[i].file)
            put(path, row[i].file, row[i].mode);
        cph_secret_wipe(&password);
        assert_err(listen_to(get_password, NULL, said, sizeof said), row[i].want);
        if (row[i].want == CPH_OK)
            assert_true(cph_span_is(cph_secret_span(&password), row[i].words));
        else
            assert_non_null(strstr(why, row[i].words));
        assert_int_equal(strstr(said, "chmod 600") != NULL, row[i].warning);
    }
    cph_secret_wipe(&password);
    cli_config_wipe(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(ekt_is_off_and_encrypted_headers_are_on_unless_said_otherwise),
        cmocka_unit_test(an_error_does_not_repeat_a_password),
        cmocka_unit_test(callers_and_who_must_prove_a_password),
        cmocka_unit_test(an_empty_file_configures_nothing),
        cmocka_unit_test(every_keying_of_the_table_may_be_named),
        cmocka_unit_test(a_policy_may_be_named_for_all_or_for_an_account),
        cmocka_unit_test(a_peer_says_how_mikey_speaks_with_it),
        cmocka_unit_test(calls_that_are_sealed_are_named_for_all_or_for_one),
        cmocka_unit_test(each_wrong_thing_is_named_with_its_line),
        cmocka_unit_test(every_bound_holds_at_its_edge),
        cmocka_unit_test(a_nul_in_a_value_is_refused),
        cmocka_unit_test(a_file_that_anybody_may_write_to_is_refused),
        cmocka_unit_test_setup_teardown(the_file_is_found_by_the_xdg_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_that_others_may_read_is_warned_about, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_password_comes_from_the_file_a_file_or_a_command, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

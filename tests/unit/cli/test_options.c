#include "support.h"

#include "ciphony/keying.h"
#include "cli_int.h"

static const enum cli_opt all_opts[] = { CLI_OPT_JSON,         CLI_OPT_ACCOUNT, CLI_OPT_LISTEN,
                                         CLI_OPT_PLAY,         CLI_OPT_RECORD,  CLI_OPT_KEYING,
                                         CLI_OPT_POLICY,       CLI_OPT_FOR,     CLI_OPT_EFFORT,
                                         CLI_OPT_PRECONDITION, CLI_OPT_END };
static const struct cli_verb verb = {
    .name = "call", .args = "URI", .more = "", .opts = all_opts, .min_pos = 1, .max_pos = 2
};

static struct cli_args a;
static char why[CLI_WHY];

#define PARSE(...)                                                                                 \
    cli_args_parse(&verb, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)),   \
                   (const char *[]){ __VA_ARGS__ }, &a, why)

static void options_and_words_may_mix(void **state)
{
    (void)state;
    assert_ok(PARSE("--json", "sip:bob@x", "--play=a=b.wav", "--listen", "udp:127.0.0.1:1",
                    "--listen", "tcp:127.0.0.1:2", "--", "--odd"));
    assert_int_equal(a.n_pos, 2);
    assert_string_equal(a.pos[0], "sip:bob@x");
    assert_string_equal(a.pos[1], "--odd");
    assert_true(cli_given(&a, CLI_OPT_JSON));
    assert_false(cli_given(&a, CLI_OPT_RECORD));
    assert_string_equal(cli_value(&a, CLI_OPT_PLAY, 0), "a=b.wav");
    assert_string_equal(cli_value(&a, CLI_OPT_LISTEN, 1), "tcp:127.0.0.1:2");
    assert_null(cli_value(&a, CLI_OPT_LISTEN, 2));
    assert_ok(PARSE("-h")); /* help needs nothing else */
    assert_true(cli_given(&a, CLI_OPT_HELP));
    assert_ok(PARSE("-")); /* a word */
}

static void expect(cph_err err, const char *words)
{
    assert_err(err, CPH_E_ARGUMENT);
    if (!strstr(why, words))
        fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void mistakes_are_told_with_the_way_out(void **state)
{
    (void)state;
    expect(PARSE("--json"), "something is missing; usage: ciphony call URI");
    expect(PARSE("a", "b", "c"), "\"c\" is one argument too many");
    expect(PARSE("a", "--jason"), "did you mean --json?");
    expect(PARSE("a", "--polcy=x"), "did you mean --policy?");
    expect(PARSE("a", "--frobnicate"), "see: ciphony call --help");
    expect(PARSE("a", "--replace"), "no option --replace"); /* another verb's */
    expect(PARSE("a", "--json=yes"), "takes no value");
    expect(PARSE("a", "--play"), "--play needs a value: --play FILE");
    expect(PARSE("a", "--play="), "not empty");
    expect(PARSE("a", "--play", ""), "not empty");
    expect(PARSE("a", "--play", "x", "--play", "y"), "given twice");
    expect(PARSE("a", "-j"), "two dashes");
    expect(PARSE("a", "--\x1b[2J"), "no option --?[2J");
}

static void the_number_of_options_is_bounded(void **state)
{
    const char *argv[CLI_ARGS_MAX + 2] = { "uri" };

    (void)state;
    for (size_t i = 1; i < CLI_ARGS_MAX + 2; i++)
        argv[i] = "--verbose";
    assert_ok(cli_args_parse(&verb, CLI_ARGS_MAX + 1, argv, &a, why));
    expect(cli_args_parse(&verb, CLI_ARGS_MAX + 2, argv, &a, why), "more than 32");
}

static void the_options_of_a_call_are_typed(void **state)
{
    struct cli_call_opts o;

    (void)state;
    assert_ok(PARSE("u", "--listen", "udp:127.0.0.1:0", "--listen=tls:[::1]", "--policy",
                    "required", "--keying", "sdes", "--for", "90", "--account", "alice", "--record",
                    "r.wav"));
    assert_ok(cli_call_opts(&a, &o, why));
    assert_int_equal(o.n_listen, 2);
    assert_int_equal(o.listen[0].addr.port, 0);
    assert_int_equal(o.listen[1].addr.port, 5061);
    assert_int_equal(o.policy.media, CPH_SECURITY_REQUIRED);
    assert_int_equal(o.policy.keying_n, 1);
    assert_string_equal(o.policy.keying[0], "sdes");
    assert_int_equal(o.for_us, CPH_SEC(90));
    assert_string_equal(o.account, "alice");
    assert_string_equal(o.record, "r.wav");
    assert_null(o.play);
    assert_false(o.json);
    assert_ok(PARSE("u", "--best-effort", "capneg"));
    assert_ok(cli_call_opts(&a, &o, why));
    assert_int_equal(o.policy.form, CPH_KEYING_FORM_CAPNEG);
    assert_ok(PARSE("u", "--precondition", "mandatory"));
    assert_ok(cli_call_opts(&a, &o, why));
    assert_int_equal(o.policy.precondition, CPH_PRECONDITION_MANDATORY);
    assert_ok(PARSE("u", "--keying", "best"));
    assert_ok(cli_call_opts(&a, &o, why));
    assert_string_equal(o.policy.keying[0], "dtls");
    assert_int_equal(o.policy.media, CPH_SECURITY_UNSET);
    assert_int_equal(cph_policy_media(&o.policy), CPH_SECURITY_REQUIRED);
    assert_ok(PARSE("u"));
    assert_ok(cli_call_opts(&a, &o, why));
    assert_int_equal(o.policy.media, CPH_SECURITY_UNSET);
    assert_int_equal(o.for_us, 0);
}

static void a_wrong_value_is_named_with_what_is_allowed(void **state)
{
    static const char *const row[][3] = {
        { "--policy", "strict", "it must be required, prefer or none" },
        { "--keying", "zrtp9", "best, compatible, legacy" },
        { "--keying", "sdes,sdes", "each once" },
        { "--best-effort", "ice", "it must be osrtp, attribute, capneg" },
        { "--precondition", "yes", "off, optional or mandatory" },
        { "--for", "0", "1 to 604800" },
        { "--for", "604801", "1 to 604800" },
        { "--for", "1m", "1 to 604800" },
        { "--listen", "udp", "write udp:HOST:PORT" },
        { "--listen", "ws:127.0.0.1:1", "write udp:HOST:PORT" },
        { "--listen", "udp:localhostile:5060", "write udp:HOST:PORT" },
        { "--listen", "udp:127.0.0.1:99999", "write udp:HOST:PORT" },
    };
    struct cli_call_opts o;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_ok(PARSE("u", row[i][0], row[i][1]));
        expect(cli_call_opts(&a, &o, why), row[i][2]);
    }
}

static void the_words_about_keying_name_every_mechanism(void **state)
{
    static const char words[] = CLI_KEYING_WORDS;

    (void)state;
    for (const struct cph_keying_method *const *m = cph_keying_methods; *m; m++) {
        const char *at = strstr(words, (*m)->name);

        assert_non_null(at);
        assert_int_equal(at > strstr(words, "for experiments"), (*m)->expired);
    }
}

static void a_listening_address_has_many_forms(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } row[] = {
        { "udp:0.0.0.0", "0.0.0.0:5060" },
        { "tls:0.0.0.0", "0.0.0.0:5061" },
        { "tcp:10.0.0.1:7", "10.0.0.1:7" },
        { "udp:127.0.0.1:0", "127.0.0.1:0" },
        { "udp:localhost", "127.0.0.1:5060" },
        { "udp:localhost:9", "127.0.0.1:9" },
        { "udp:[::1]:0", "[::1]:0" },
        { "udp:[::]:6", "[::]:6" },
        { "udp:::", "[::]:5060" },
        { "udp:::1", "[::1]:5060" },
        { "udp:::0", "[::]:5060" },
        { "udp:", NULL },
        { "udp:127.0.0.1:", NULL },
        { "UDP:127.0.0.1", NULL },
        { "udp:localhost:x", NULL },
        { "udp:[::1", NULL },
        { ":127.0.0.1", NULL },
        { "", NULL },
        { "udp:localhost:1234567890123456789012345678901234567890", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[CPH_ADDR_TEXT];
        struct cli_listen l;
        cph_err err = cli_listen_parse(cph_span_of(row[i].text), &l);

        if (err != (row[i].want ? CPH_OK : CPH_E_MALFORMED))
            fail_msg("%s: %s", row[i].text, cph_err_name(err));
        if (row[i].want)
            assert_string_equal(cph_addr_text(&l.addr, text), row[i].want);
    }
}

static void every_row_of_the_tables_is_filled(void **state)
{
    (void)state;
    for (int o = CLI_OPT_END + 1; o < CLI_OPT_COUNT_; o++) {
        assert_non_null(cli_opts[o].name);
        assert_non_null(cli_opts[o].help);
    }
    for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
        assert_non_null((*v)->run);
        assert_non_null((*v)->args);
        assert_non_null((*v)->line);
        assert_non_null((*v)->more);
        assert_true((*v)->min_pos <= (*v)->max_pos);
        assert_ptr_equal(cli_verb_find((*v)->name), *v);
    }
    assert_null(cli_verb_find("no such verb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_may_mix),
        cmocka_unit_test(mistakes_are_told_with_the_way_out),
        cmocka_unit_test(the_number_of_options_is_bounded),
        cmocka_unit_test(the_options_of_a_call_are_typed),
        cmocka_unit_test(a_wrong_value_is_named_with_what_is_allowed),
        cmocka_unit_test(the_words_about_keying_name_every_mechanism),
        cmocka_unit_test(a_listening_address_has_many_forms),
        cmocka_unit_test(every_row_of_the_tables_is_filled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What each verb does, as a user runs it. */
#include "command.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "ciphony/base_text.h"
#include "ciphony/json.h"
#include "ciphony/keying.h"
#include "cli_int.h"
#include "conflicts.h"

static void the_identity_is_made_once(void **state)
{
    char first[256], path[128];
    struct stat st;

    (void)state;
    assert_int_equal(run("id"), CLI_OK);
    says(err, "a new identity was made; it is kept in ");
    assert_int_equal(strlen(out), 8 + 32 * 3);
    assert_memory_equal(out, "sha-256 ", 8);
    (void)snprintf(first, sizeof first, "%s", out);
    assert_int_equal(run("id"), CLI_OK);
    assert_string_equal(out, first);
    assert_string_equal(err, "");
    (void)snprintf(path, sizeof path, "%s/.local/share/ciphony/ciphony.db", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(run("id --pem"), CLI_OK);
    assert_memory_equal(out, "-----BEGIN CERTIFICATE-----", 27);
    assert_int_equal(run("id --pem --json"), CLI_USAGE);
}

static void the_identity_can_be_read_by_machines(void **state)
{
    const struct cph_json_value *r;
    struct cph_json_doc *d;
    struct cph_span fp = { 0 };
    bool made = false;

    (void)state;
    assert_int_equal(run("id --json"), CLI_OK);
    assert_string_equal(err, "");
    assert_ok(cph_json_parse(cph_span_of(out), &d));
    r = cph_json_root(d);
    assert_ok(cph_json_as_text(cph_json_get(r, "fingerprint"), &fp));
    assert_ok(cph_json_as_bool(cph_json_get(r, "made"), &made));
    assert_true(made && cph_span_starts(fp, "sha-256 "));
    cph_json_doc_free(d);
}

#define FP1                                                                                        \
    "AA:BB:CC:DD:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:00:11:22:33:44:55:66:77:88:99:AA:BB:"   \
    "CC:DD"
#define FP2                                                                                        \
    "FF:BB:CC:DD:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:00:11:22:33:44:55:66:77:88:99:AA:BB:"   \
    "CC:DD"

static void a_peer_is_pinned_listed_and_forgotten(void **state)
{
    (void)state;
    assert_int_equal(run("trust list"), CLI_OK);
    says(err, "no peer is known yet");
    assert_int_equal(run("trust sips:bob@Example.org sha-256 " FP1), CLI_OK);
    says(out, "sip:bob@example.org is known by this certificate");
    assert_string_equal(err, "");
    assert_int_equal(run("trust bob@example.org sha-256 " FP2), CLI_OK);
    says(err, "now has 2 certificates");
    assert_int_equal(run("trust list"), CLI_OK);
    says(out, FP1);
    says(out, FP2);
    says(out, "pinned 20");
    assert_int_equal(run("trust list --json sip:bob@example.org"), CLI_OK);
    says(out, "{\"event\":\"pin\",\"peer\":\"sip:bob@example.org\",\"fingerprint\":\"sha-256 " FP1
              "\",\"how\":\"pinned\",\"by\":\"ciphony trust\",\"since\":");
    assert_int_equal(run("trust list sip:eve@example.org --json"), CLI_OK);
    assert_string_equal(out, "");
    assert_int_equal(run("trust remove bob@example.org sha-256 " FP2), CLI_OK);
    says(out, "1 certificate forgotten");
    assert_int_equal(run("trust --replace bob@example.org sha-256 " FP2), CLI_OK);
    assert_string_equal(err, "");
    assert_int_equal(run("trust list"), CLI_OK);
    assert_null(strstr(out, FP1));
    assert_int_equal(run("trust remove bob@example.org"), CLI_OK);
    assert_int_equal(run("trust remove bob@example.org"), CLI_FAILED);
    says(err, "nothing like that is kept about sip:bob@example.org");
}

static void mistakes_with_trust_are_usage_errors(void **state)
{
    static const struct {
        const char *words, *says;
    } row[] = {
        { "trust", "something is missing" },
        { "trust sip:bob@x", "no fingerprint" },
        { "trust sip:bob@x sha-256 AA:BB", "no fingerprint" },
        { "trust sip:bob@x sha-256 " FP1 " more", "no fingerprint" },
        { "trust sip:bob@x " FP1, "no fingerprint" },
        { "trust sip:bob@x sha-1 AA:BB:CC:DD:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:00:11",
          "vouches for nobody" },
        { "trust sip:a@b@c sha-256 " FP1, "no address of a peer" },
        { "trust remove", "whom?" },
        { "trust remove @", "no address" },
        { "trust remove sip:b@x sha-256 zz", "no fingerprint" },
        { "trust list @", "no address" },
        { "trust list a b", "usage: ciphony trust list" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int status = run(row[i].words);

        if (status != CLI_USAGE)
            fail_msg("%s: %d (%s)", row[i].words, status, err);
        says(err, row[i].says);
        assert_string_equal(out, "");
    }
}

static void options_that_would_be_passed_over_are_told(void **state)
{
    static const char *const row[][2] = {
        { "--ekt --keying dtls", "--ekt comes with sdes or mikey" },
        { "--ekt --keying dtls,sdes", "name one of them first" },
        { "--ekt --keying best", "name one of them first" },
        { "--ekt --keying zrtp", "--ekt comes with sdes or mikey" },
        { "--resume --keying zrtp,sdes", "--resume is for dtls" },
        { "--pgp a.asc --keying dtls", "add zrtp to --keying" },
        { "--play /no/such.wav", "cannot read /no/such.wav: No such file or directory" },
        { "--play /", "expected a WAV file" },
        { "--record /no/such/r.wav", "cannot be written: No such file or directory" },
        { "--record /", "Is a directory" },
        { "--account nobody", "no account 'nobody'" },
        { "--config /no/such", "/no/such cannot be read: No such file or directory" },
        { "--config /", "Is a directory" },
        { "--listen udp:0.0.0.0:5060", "name one address of this machine" },
        { "--keying zrtp,zrtp", "each once" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char words[256];

        (void)snprintf(words, sizeof words, "call sip:bob@127.0.0.1:9 --device none %s", row[i][0]);
        if (run(words) != CLI_USAGE)
            fail_msg("%s: \"%s\" is no usage error", row[i][0], err);
        says(err, row[i][1]);
        assert_string_equal(out, "");
    }
    assert_int_equal(run("call sip:bob@127.0.0.1:9 --ca /no/such"), CLI_USAGE);
    says(err, "--ca /no/such: No such file or directory");
    assert_int_equal(run("call sip:bob@127.0.0.1:9 --smime /no/such"), CLI_USAGE);
    says(err, "--smime /no/such: No such file or directory");
    assert_int_equal(run("call sip:bob@127.0.0.1:9 --smime /etc/hostname"), CLI_USAGE);
    says(err, "there is no certificate in it");
    assert_int_equal(run("call bob"), CLI_USAGE);
    says(err, "that is no address; one looks like sip:");
    assert_int_equal(run("register"), CLI_USAGE);
    says(err, "there is no account; write uri and registrar");
}

/* Each row is shown by its example, and none hides behind another. */
static void every_pair_of_options_that_undo_one_another_is_told(void **state)
{
    (void)state;
    for (const struct cli_conflict *row = cli_conflicts; row->words; row++) {
        if (run(row->example) != CLI_USAGE)
            fail_msg("%s: \"%s\" is no usage error", row->example, err);
        says(err, row->words);
    }
}

/* What would work must not be refused. */
static void options_that_go_together_are_not_refused(void **state)
{
    static const char *const words[] = {
        "--ekt --keying sdes",
        "--ekt --keying sdes,dtls",
        "--ekt --keying mikey",
        "--ekt --keying legacy",
        "--resume",
        "--resume --keying zrtp,dtls",
        "--policy none",
        "--best-effort bodies --policy prefer",
        "--best-effort probe --policy prefer --keying sdes,zrtp",
        "--insecure-tls",
        "--keying compatible --best-effort group",
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char all[256];

        (void)snprintf(all, sizeof all, "call sip:bob@127.0.0.1:9;transport=tcp --device none %s",
                       words[i]);
        if (run(all) != CLI_FAILED)
            fail_msg("%s: %s", words[i], err);
        says(out, "nobody listens there");
    }
}

static void every_mechanism_calls_without_a_configuration(void **state)
{
    (void)state;
    for (const struct cph_keying_method *const *m = cph_keying_methods; *m; m++) {
        char words[256];

        (void)snprintf(words, sizeof words,
                       "call sip:bob@127.0.0.1:9;transport=tcp --device none --keying %s",
                       (*m)->name);
        assert_int_equal(run(words), CLI_FAILED);
        says(out, "calling sip:bob@127.0.0.1:9");
        says(out, "nobody listens there");
        assert_int_equal(strstr(err, "expired without a final text") != NULL, (*m)->expired);
    }
}

static size_t count_of(const char *text, const char *words)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        n++;
    return n;
}

/* A command with keys to press, whose words are read as they come. */
struct phone {
    pid_t pid;
    int keys, says;
    char text[8192];
    size_t n;
};

static void phone_start(struct phone *p, const char *verb, const char *at, const char *store)
{
    int in[2], says_to[2];

    p->n = 0;
    p->text[0] = '\0';
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(says_to, O_CLOEXEC), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        if (chdir(home) == 0 && dup2(in[0], 0) == 0 && dup2(says_to[1], 1) == 1 &&
            dup2(says_to[1], 2) == 2)
            (void)execl(program, "ciphony", verb, at, "--device=none", "--keying=sdes", "--ekt",
                        "--for=60", store, (char *)NULL);
        _exit(99);
    }
    (void)close(in[0]);
    (void)close(says_to[1]);
    p->keys = in[1];
    p->says = says_to[0];
}

/* Until the words were said so often, or the end. */
static void phone_hear(struct phone *p, const char *words, size_t times)
{
    while (count_of(p->text, words) < times) {
        ssize_t got = read(p->says, p->text + p->n, sizeof p->text - 1 - p->n);

        if (got <= 0)
            fail_msg("\"%s\" does not say \"%s\" %zu times", p->text, words, times);
        p->n += (size_t)got;
        p->text[p->n] = '\0';
    }
}

static void phone_press(struct phone *p, char key)
{
    assert_int_equal(write(p->keys, &key, 1), 1);
}

static void phone_over(struct phone *p)
{
    int status;

    phone_hear(p, "the keys changed during the call\n", 1);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_int_equal(status, CLI_OK);
    (void)close(p->keys);
    (void)close(p->says);
}

/* Two commands on the loopback interface, each with keys pressed: t takes another key at once. */
static void either_command_tells_another_key_in_a_call_with_ekt(void **state)
{
    static const char *const told = "new sending key, told in the media\n";
    static struct phone a, b;
    char uri[64];
    int port;

    (void)state;
    phone_start(&a, "answer", "--listen=udp:127.0.0.1:0", "--store=a.db");
    phone_hear(&a, "\n", 1);
    assert_int_equal(sscanf(a.text, "listening on UDP 127.0.0.1:%d\n", &port), 1);
    (void)snprintf(uri, sizeof uri, "sip:bob@127.0.0.1:%d", port);
    phone_start(&b, "call", uri, "--store=b.db");
    phone_hear(&a, "\nanswered: ", 1);
    phone_hear(&b, "\nanswered: ", 1);
    phone_press(&a, 't');
    phone_hear(&a, told, 1);
    phone_press(&b, 't');
    phone_hear(&b, told, 1);
    phone_press(&b, 't');
    phone_hear(&b, told, 2);
    phone_press(&b, 'q');
    phone_over(&a);
    phone_over(&b);
    says(a.text, "told in the media (EKT)");
    assert_int_equal(count_of(a.text, told), 1);
    says(b.text, "the keys are a group's (EKT)");
    assert_int_equal(count_of(b.text, told), 2);
}

static void mistakes_with_the_lab_are_usage_errors(void **state)
{
    static const char *const row[][2] = {
        { "lab frob", "lab can: list, run EXPERIMENT" },
        { "lab list x", "takes no argument" },
        { "lab list --seed 2", "runs nothing" },
        { "lab run", "which experiment?" },
        { "lab run clas", "did you mean class?" },
        { "lab run class --keying frob", "no keying frob" },
        { "lab run class --seed x", "--seed 7" },
        { "lab run class --html x", "lab report --html FILE" },
        { "lab matrix class", "ciphony lab run EXPERIMENT" },
        { "lab report", "report needs a file" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (run(row[i][0]) != CLI_USAGE)
            fail_msg("%s: \"%s\" is no usage error", row[i][0], err);
        says(err, row[i][1]);
    }
    assert_int_equal(run("lab report --html /no/such/page.html"), CLI_FAILED);
    says(err, "/no/such/page.html cannot be written");
}

static void a_store_that_cannot_be_used_is_explained(void **state)
{
    char words[256], path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/open", home);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(chmod(path, 0777), 0);
    (void)snprintf(words, sizeof words, "id --store %s/s.db", path);
    assert_int_equal(run(words), CLI_FAILED);
    says(err, "chmod go-w");
    (void)snprintf(words, sizeof words, "id --store=%s/mine/s.db", home);
    assert_int_equal(run(words), CLI_OK);
    unsetenv("HOME");
    assert_int_equal(run("id"), CLI_FAILED);
    says(err, "set HOME or XDG_DATA_HOME");
}

static void the_configuration_is_checked_and_shown_without_secrets(void **state)
{
    char path[128], words[256];
    FILE *f;

    (void)state;
    assert_int_equal(run("config"), CLI_OK);
    assert_string_equal(out, "defaults\n");
    (void)snprintf(path, sizeof path, "%s/c", home);
    (void)snprintf(words, sizeof words, "config --config %s", path);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs("[defaults]\npolicy = required\nlisten = udp:127.0.0.1\n[account a]\n"
                      "uri = sip:a@b\npassword = topsecret\nneed = hop\nkeying = sdes\n",
                      f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(run(words), CLI_OK);
    assert_string_equal(
        out, "defaults, policy required, listens on udp:127.0.0.1:5060\n"
             "account a (default): sip:a@b, password in this file, needs hop, keying sdes\n");
    says(err, "holds a password and other users may read it");
    f = fopen(path, "ab");
    assert_non_null(f);
    assert_true(fputs("oops\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(run(words), CLI_USAGE);
    says(err, "/c:9: \"oops\" is no line of a configuration");
    assert_null(strstr(err, "topsecret"));
}

static void help_is_there_for_all_and_for_each(void **state)
{
    (void)state;
    assert_int_equal(run(""), CLI_USAGE);
    says(out, "usage: ciphony VERB");
    assert_int_equal(run("help"), CLI_OK);
    for (const struct cli_verb *const *v = cli_verbs; *v; v++) {
        char words[64];

        assert_int_equal(run("--help"), CLI_OK);
        says(out, (*v)->line);
        (void)snprintf(words, sizeof words, "%s --help", (*v)->name);
        assert_int_equal(run(words), CLI_OK);
        says(out, (*v)->more);
        assert_string_equal(err, "");
        (void)snprintf(words, sizeof words, "help %s", (*v)->name);
        assert_int_equal(run(words), CLI_OK);
        says(out, (*v)->more);
    }
    assert_int_equal(run("help nothing"), CLI_USAGE);
    assert_int_equal(run("trsut"), CLI_USAGE);
    says(err, "did you mean trust?");
    assert_int_equal(run("--frob"), CLI_USAGE);
    says(err, "see: ciphony help");
    assert_int_equal(run("--version"), CLI_OK);
    assert_string_equal(out, "ciphony " CPH_VERSION "\n");
    assert_int_equal(run("version"), CLI_OK);
}

static void the_manual_page_is_the_one_of_the_tables(void **state)
{
    static char page[sizeof out];
    char path[512];
    FILE *f;
    size_t n;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/docs/ciphony.1", getenv("CPH_SOURCE"));
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(page, 1, sizeof page - 1, f);
    page[n] = '\0';
    (void)fclose(f);
    assert_int_equal(run("help --man"), CLI_OK);
    if (strcmp(page, out) != 0)
        fail_msg("docs/ciphony.1 is not what the tables say; run: build/ciphony help --man > "
                 "docs/ciphony.1");
}

static void output_that_nobody_takes_is_a_failure(void **state)
{
    char command[700];
    int status;

    (void)state;
    (void)snprintf(command, sizeof command, "'%s' version > /dev/full 2> /dev/null", program);
    status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CLI_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLI_TEST(the_identity_is_made_once),
        CLI_TEST(the_identity_can_be_read_by_machines),
        CLI_TEST(a_peer_is_pinned_listed_and_forgotten),
        CLI_TEST(mistakes_with_trust_are_usage_errors),
        CLI_TEST(options_that_would_be_passed_over_are_told),
        CLI_TEST(every_pair_of_options_that_undo_one_another_is_told),
        CLI_TEST(options_that_go_together_are_not_refused),
        CLI_TEST(every_mechanism_calls_without_a_configuration),
        CLI_TEST(either_command_tells_another_key_in_a_call_with_ekt),
        CLI_TEST(mistakes_with_the_lab_are_usage_errors),
        CLI_TEST(a_store_that_cannot_be_used_is_explained),
        CLI_TEST(the_configuration_is_checked_and_shown_without_secrets),
        CLI_TEST(help_is_there_for_all_and_for_each),
        CLI_TEST(the_manual_page_is_the_one_of_the_tables),
        CLI_TEST(output_that_nobody_takes_is_a_failure),
    };
    return find_program() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

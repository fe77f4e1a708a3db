/* What a user can do wrong, or the other side refuse: each error names what happened, to what, and
 * what to do; its exit status is the one of the manual page; and --json says the same. */
#include "command.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include "cli_int.h"
#include "report.h"

/* ---- a peer that refuses --------------------------------------------------------------------- */

static void copy_line(const char *msg, const char *name, char *to, size_t cap)
{
    const char *at = strstr(msg, name), *end = at ? strstr(at, "\r\n") : NULL;

    if (end)
        (void)snprintf(to + strlen(to), cap - strlen(to), "\r\n%.*s", (int)(end - at - 2), at + 2);
}

/* Every request but ACK gets the line. */
static void refuse_all(int fd, const char *line)
{
    static const char *const kept[] = { "\r\nVia:", "\r\nFrom:", "\r\nTo:", "\r\nCall-ID:",
                                        "\r\nCSeq:" };
    struct sockaddr_in from;
    char msg[8192], answer[4096];

    for (;;) {
        socklen_t n = sizeof from;
        ssize_t got = recvfrom(fd, msg, sizeof msg - 1, 0, (struct sockaddr *)&from, &n);

        if (got <= 0 || strncmp(msg, "ACK", 3) == 0)
            continue;
        msg[got] = '\0';
        (void)snprintf(answer, sizeof answer, "SIP/2.0 %s", line);
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            copy_line(msg, kept[i], answer, sizeof answer);
        (void)snprintf(answer + strlen(answer), sizeof answer - strlen(answer),
                       "\r\nContent-Length: 0\r\n\r\n");
        (void)sendto(fd, answer, strlen(answer), 0, (struct sockaddr *)&from, n);
    }
}

static int bound(int type, const struct sockaddr_in *at)
{
    int fd = socket(AF_INET, type, 0);

    assert_true(fd >= 0);
    if (bind(fd, (const struct sockaddr *)at, sizeof *at) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* Its port is nobody's for TCP, where a call whose INVITE is long knocks first. */
static pid_t refuser(const char *line, int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int fd, deaf;
    pid_t pid;

    do {
        at.sin_port = 0;
        fd = bound(SOCK_DGRAM, &at);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
        deaf = bound(SOCK_STREAM, &at);
        if (deaf < 0) /* taken: another */
            (void)close(fd);
    } while (deaf < 0);
    *port = ntohs(at.sin_port);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        refuse_all(fd, line);
    (void)close(fd);
    (void)close(deaf); /* the child has both */
    return pid;
}

static void a_refused_call_says_why_and_what_to_do(void **state)
{
    static const char *const row[][2] = {
        { "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"n\", "
          "algorithm=SHA-256, qop=\"auth\"",
          "set 'user' and 'password' in the [account NAME] of the configuration" },
        { "403 Forbidden", "ask who runs it what your account may do" },
        { "404 Not Found", "there is nobody of that address; check it" },
        { "480 Temporarily Unavailable", "nobody answers there now; try again later" },
        { "486 Busy Here", "the line is busy; try again later" },
        { "488 Not Acceptable Here", "try another --keying (one alone is understood by more)" },
        { "503 Service Unavailable", "the server there cannot do it now; try again later" },
        { "603 Decline", "the call was declined" },
        { "499 Not Today", "the other side refuses it; it says" },
        { "599 On Fire", "the server there failed; try again later; it says" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char words[160], status[32];
        pid_t pid;
        int port;

        pid = refuser(row[i][0], &port);
        (void)snprintf(words, sizeof words, "call sip:bob@127.0.0.1:%d;transport=udp --device none",
                       port);
        assert_int_equal(run(words), CLI_FAILED);
        says(out, "calling sip:bob@127.0.0.1:");
        says(out, row[i][1]);
        (void)snprintf(status, sizeof status, "(SIP status %.3s)", row[i][0]);
        says(out, status);
        (void)snprintf(words + strlen(words), sizeof words - strlen(words), " --json");
        assert_int_equal(run(words), CLI_FAILED);
        says(out, "{\"event\":\"calling\",\"where\":\"sip:bob@127.0.0.1:");
        says(out, row[i][1]);
        (void)snprintf(status, sizeof status, "\"status\":%.3s,", row[i][0]);
        says(out, status);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
}

/* ---- our own side ---------------------------------------------------------------------------- */

static void an_error_is_a_json_object_too(void **state)
{
    static const struct {
        const char *words;
        enum cli_exit status;
        const char *says;
    } row[] = {
        { "call", CLI_USAGE, "usage: ciphony call URI" },
        { "call sip:b@127.0.0.1 --frob", CLI_USAGE, "call has no option --frob" },
        { "call sip:b@127.0.0.1 --policy strict", CLI_USAGE, "required, prefer or none" },
        { "call sip:b@127.0.0.1 --play none.wav", CLI_USAGE, "none.wav: No such file" },
        { "call sip:b@127.0.0.1 --ca none.pem", CLI_USAGE, "--ca none.pem: No such file" },
        { "call sip:b@127.0.0.1 --smime none.pem", CLI_USAGE, "--smime none.pem: No such file" },
        { "call sip:b@127.0.0.1 --keying zrtp --pgp none.pgp", CLI_USAGE,
          "--pgp none.pgp: No such file" },
        { "call bob", CLI_USAGE, "one looks like sip:alice@example.org" },
        { "call http://bob/", CLI_USAGE, "that begin with sip: or sips:" },
        { "answer --listen udp:198.51.100.1:5060", CLI_USAGE, "this machine has no such address" },
        { "register", CLI_USAGE, "write uri and registrar" },
        { "demo --play none.wav", CLI_USAGE, "none.wav: No such file" },
        { "demo --record /no/such/x.wav", CLI_USAGE, "/no/such/x.wav: it cannot be written" },
        { "trust bob@x sha-256 AB", CLI_USAGE, "that is no fingerprint" },
        { "lab run class --keying frob", CLI_USAGE, "see: ciphony lab list" },
        { "id --store /", CLI_FAILED, "not a plain file" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char words[160];
        int status;

        (void)snprintf(words, sizeof words, "%s --json", row[i].words);
        status = run(words);
        if (status != (int)row[i].status)
            fail_msg("%s: exit status %d, and not %d", words, status, (int)row[i].status);
        says(err, "ciphony: ");
        says(err, row[i].says);
        says(out, "{\"event\":\"error\",\"why\":\"");
        says(out, row[i].says);
        assert_int_equal(run(row[i].words), row[i].status); /* and without --json in words alone */
        says(err, row[i].says);
        assert_null(strstr(out, "{\"event\""));
    }
}

static void a_port_in_use_is_named(void **state)
{
    char words[128];
    pid_t pid;
    int port;

    (void)state;
    pid = refuser("486 Busy Here", &port);
    (void)snprintf(words, sizeof words, "answer --listen udp:127.0.0.1:%d --device none", port);
    assert_int_equal(run(words), CLI_FAILED);
    says(err, "the port is in use; choose another with --listen");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_listener_on_any_free_port_tells_programs_which(void **state)
{
    (void)state;
    assert_int_equal(run("answer --listen udp:127.0.0.1:0 --for 1 --json --device none"),
                     CLI_FAILED);
    says(out, "{\"event\":\"listening\",\"where\":\"UDP 127.0.0.1:");
    assert_null(strstr(out, "127.0.0.1:0\""));
    says(out, "{\"event\":\"error\",\"why\":\"nobody called in the time given with --for\"}");
}

/* ---- what happened to a call, by its event --------------------------------------------------- */

static void a_cause_is_explained_without_a_status_nobody_sent(void **state)
{
    static const struct {
        struct cph_phone_event ev;
        const char *says;
    } row[] = {
        { { .cause = CPH_E_NAME, .status = 503 }, "check the address and the network" },
        { { .cause = CPH_E_TIMEOUT, .status = 408 }, "is the other side running" },
        { { .cause = CPH_E_CLOSED, .status = 503 }, "nobody listens there" },
        { { .cause = CPH_E_MALFORMED, .status = 503 }, "does not speak SIP" },
        { { .cause = CPH_E_CERT, .status = 503, .why = "self-signed certificate" },
          "is not accepted: self-signed certificate; name who vouches for it with --ca FILE" },
        { { .cause = CPH_E_EXPIRED, .status = 503 }, "is not accepted: " },
        { { .cause = CPH_E_CERT, .ours = true, .why = "another one than was kept" },
          "another one than was kept" },
        { { .cause = CPH_E_POLICY, .why = "the answer cannot be used" },
          "the answer cannot be used" },
        { { .status = 302 }, "it was sent on to where nobody can be called" },
        { { .status = 200 }, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cph_phone_event ev = row[i].ev;
        struct cli_report r = { .json = true };
        char words[CPH_PHONE_WHY], *text = NULL;
        size_t n = 0;

        says(cli_explain(&ev, words), row[i].says);
        ev.kind = CPH_PHONE_ENDED;
        r.out = open_memstream(&text, &n);
        assert_non_null(r.out);
        cli_report_event(&r, &ev, NULL);
        assert_int_equal(fclose(r.out), 0);
        assert_true(!strstr(text, "\"status\"") == (ev.cause != CPH_OK));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLI_TEST(a_refused_call_says_why_and_what_to_do),
        CLI_TEST(an_error_is_a_json_object_too),
        CLI_TEST(a_port_in_use_is_named),
        CLI_TEST(a_listener_on_any_free_port_tells_programs_which),
        CLI_TEST(a_cause_is_explained_without_a_status_nobody_sent),
    };
    return find_program() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

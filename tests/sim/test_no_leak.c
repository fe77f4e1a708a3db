/*
 * No media key comes out: whatever the command prints (tables, ladders, JSON, pages, logs at their
 * loudest) is searched for every master key and every EKT key that was used meanwhile, as bytes, in
 * hex and in base64. Its argument says which commands: "lab", or "slow" for those that take time.
 */
#include "support.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli_int.h"
#include "column.h"

#include "ciphony/base_text.h"
#include "ciphony/srtp_ekt.h"

enum { KEYS = 20000, KEY = 64, OUTPUT = 32 << 20 };

static struct {
    uint8_t b[KEY];
    size_t n;
} key[KEYS];
static size_t key_n;
static uint8_t *output;
static size_t output_n;

static void remember(struct cph_span k)
{
    for (size_t i = key_n; i-- > 0;) /* both ends have it, and attackers again and again */
        if (key[i].n == k.n && memcmp(key[i].b, k.p, k.n) == 0)
            return;
    assert_true(key_n < KEYS);
    if (k.n < 12 || k.n > KEY) /* less is found by chance */
        return;
    memcpy(key[key_n].b, k.p, k.n);
    key[key_n++].n = k.n;
}

/* ---- every key passes here ------------------------------------------------------------------- */

cph_err __real_cph_srtp_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                            enum cph_srtp_dir dir, struct cph_srtp **out);
cph_err __wrap_cph_srtp_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                            enum cph_srtp_dir dir, struct cph_srtp **out);
cph_err __real_cph_srtp_key_add(struct cph_srtp *s, const struct cph_srtp_key *k);
cph_err __wrap_cph_srtp_key_add(struct cph_srtp *s, const struct cph_srtp_key *k);
cph_err __real_cph_ekt_receiver_params(struct cph_ekt_receiver *r, const struct cph_ekt_params *p,
                                       cph_time now);
cph_err __wrap_cph_ekt_receiver_params(struct cph_ekt_receiver *r, const struct cph_ekt_params *p,
                                       cph_time now);

cph_err __wrap_cph_srtp_new(struct cph_srtp_engine *e, const struct cph_srtp_policy *p,
                            enum cph_srtp_dir dir, struct cph_srtp **out)
{
    remember(cph_secret_span(&p->master.key));
    return __real_cph_srtp_new(e, p, dir, out);
}

cph_err __wrap_cph_srtp_key_add(struct cph_srtp *s, const struct cph_srtp_key *k)
{
    remember(cph_secret_span(&k->key));
    return __real_cph_srtp_key_add(s, k);
}

cph_err __wrap_cph_ekt_receiver_params(struct cph_ekt_receiver *r, const struct cph_ekt_params *p,
                                       cph_time now)
{
    remember(cph_secret_span(&p->key));
    return __real_cph_ekt_receiver_params(r, p, now);
}

/* ---- the command, and what it says ----------------------------------------------------------- */

static void take_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    assert_true(fd >= 0);
    while ((got = read(fd, output + output_n, OUTPUT - output_n)) > 0)
        output_n += (size_t)got;
    assert_int_equal(got, 0);
    assert_true(output_n < OUTPUT);
    (void)close(fd);
}

/* Words are cut at blanks. Standard output and standard error land in output. */
static void run(const char *words)
{
    char line[512], path[] = "/tmp/ciphony-leak-XXXXXX", *at = line, *word;
    const char *argv[24] = { "ciphony" };
    int fd = mkstemp(path), keep[2] = { dup(1), dup(2) }, argc = 1, status;

    (void)snprintf(line, sizeof line, "%s", words);
    while ((word = strsep(&at, " ")) != NULL && argc < 24)
        argv[argc++] = word;
    (void)fflush(NULL);
    assert_true(fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
    status = (int)cli_main(argc, argv);
    (void)fflush(NULL);
    assert_true(dup2(keep[0], 1) == 1 && dup2(keep[1], 2) == 2);
    (void)close(keep[0]), (void)close(keep[1]), (void)close(fd);
    take_file(path);
    (void)unlink(path);
    if (status != CLI_OK)
        fail_msg("ciphony %s: %d, after saying: %.*s", words, status,
                 (int)(output_n < 600 ? output_n : 600),
                 (const char *)output + output_n - (output_n < 600 ? output_n : 600));
}

/* ---- looking for them ------------------------------------------------------------------------ */

static bool printed(const void *what, size_t n)
{
    return n > 0 && memmem(output, output_n, what, n) != NULL;
}

static bool in_hex(const uint8_t *b, size_t n)
{
    char text[3 * KEY + 1];
    bool found = false;

    for (unsigned form = 0; form < 4; form++) { /* upper or lower case, with colons or without */
        size_t len = 0;

        for (size_t i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, form & 1 ? "%02X%s" : "%02x%s",
                                    b[i], form & 2 && i + 1 < n ? ":" : "");
        found |= printed(text, len);
    }
    return found;
}

/* Wherever in longer base64 it begins: what depends on the neighbours is left out. */
static bool in_base64(const uint8_t *b, size_t n)
{
    bool found = false;

    for (size_t before = 0; before < 3; before++) {
        uint8_t raw[KEY + 3] = { 0 };
        char text[2 * KEY];
        size_t from = before ? 4 : 0, to = (before + n) / 3 * 4;

        memcpy(raw + before, b, n);
        cph_base64((struct cph_span){ raw, before + n }, text);
        found |= printed(text + from, to - from);
    }
    return found;
}

static unsigned found_keys(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < key_n; i++)
        n += printed(key[i].b, key[i].n) || in_hex(key[i].b, key[i].n) ||
             in_base64(key[i].b, key[i].n);
    return n;
}

static void nothing_leaked(size_t least_keys)
{
    if (key_n < least_keys)
        fail_msg("only %zu keys were used: is nobody noted any more?", key_n);
    print_message("%zu keys, %zu bytes of output\n", key_n, output_n);
    assert_int_equal(found_keys(), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_key_in_any_of_the_forms_would_be_found(void **state)
{
    uint8_t k[20], around[40];
    char text[128];

    (void)state;
    key_n = output_n = 0;
    for (size_t i = 0; i < sizeof k; i++)
        k[i] = (uint8_t)(0x9d * i + 3);
    remember((struct cph_span){ k, sizeof k });
    memcpy(output, "nothing here", output_n = 12);
    assert_int_equal(found_keys(), 0);
    memcpy(output + 5, k, sizeof k);
    output_n = 40;
    assert_int_equal(found_keys(), 1);
    for (size_t before = 0; before < 5; before++) { /* as in "inline:" with a salt behind */
        memset(around, 0x77, sizeof around);
        memcpy(around + before, k, sizeof k);
        cph_base64((struct cph_span){ around, sizeof around }, text);
        memcpy(output, text, output_n = strlen(text));
        assert_int_equal(found_keys(), 1);
    }
    for (size_t i = 0; i < sizeof k; i++)
        (void)snprintf((char *)output + 3 * i, 4, "%02X:", k[i]);
    output_n = 3 * sizeof k;
    assert_int_equal(found_keys(), 1);
    output[1] = 'x';
    assert_int_equal(found_keys(), 0);
}

static void the_lab_prints_no_key_of_any_mechanism(void **state)
{
    static const char *const how[] = {
        "lab run rekeying --seed 3 -v -v --keying ",
        "lab run forking --seed 3 -v -v --keying ",
        "lab run class --seed 3 -v -v --json --keying ",
        "lab run downgrade --seed 3 -v -v --keying ",
    };
    char words[128];

    (void)state;
    key_n = output_n = 0;
    for (const struct lab_column *const *c = lab_columns; *c; c++)
        for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
            if (i > 0 && strstr((*c)->name, "rsa"))
                continue; /* each run makes RSA keys anew, which takes seconds */
            (void)snprintf(words, sizeof words, "%s%s", how[i], (*c)->name);
            run(words);
        }
    nothing_leaked(100);
}

static void no_page_and_no_call_prints_a_key(void **state)
{
    char words[512], page[] = "/tmp/ciphony-page-XXXXXX";
    int fd = mkstemp(page);

    (void)state;
    assert_true(fd >= 0 && close(fd) == 0);
    key_n = output_n = 0;
    (void)snprintf(words, sizeof words, "lab report --keying sdes,ekt,dtls --html %s", page);
    run(words);
    take_file(page);
    (void)unlink(page);
    run("lab matrix --json --keying sdes,ekt");
    (void)snprintf(words, sizeof words,
                   "demo --json -v -v --device none --play %s/share/demo/speech.wav",
                   getenv("CPH_SOURCE"));
    run(words); /* real calls; events, verdicts */
    nothing_leaked(200);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest lab[] = { cmocka_unit_test(a_key_in_any_of_the_forms_would_be_found),
                                      cmocka_unit_test(the_lab_prints_no_key_of_any_mechanism) };
    const struct CMUnitTest slow[] = { cmocka_unit_test(no_page_and_no_call_prints_a_key) };
    char home[] = "/tmp/ciphony-home-XXXXXX", command[64];
    int failed;

    output = malloc(OUTPUT);
    if (!output || !mkdtemp(home) || setenv("HOME", home, 1) != 0)
        return 2;
    (void)unsetenv("XDG_DATA_HOME");
    (void)unsetenv("XDG_CONFIG_HOME");
    failed = argc > 1 && strcmp(argv[1], "slow") == 0 ? cmocka_run_group_tests(slow, NULL, NULL)
                                                      : cmocka_run_group_tests(lab, NULL, NULL);
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    free(output);
    return system(command) == 0 ? failed : 2;
}

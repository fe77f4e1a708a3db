/* Whose OpenPGP key counts in a call, and what is said of files that are none (--pgp). */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ciphony/base_text.h"
#include "pgp.h"

static struct test_env t;
static char dir[] = "/tmp/ciphony-pgp-XXXXXX";

/* The key of a record of the vectors, as a file. */
static const char *file_of(const char *record)
{
    static char path[8][64];
    static unsigned at;
    struct vectors *v = vectors_open("crypto/pgp.txt");
    struct cph_span key;
    FILE *f;

    at = (at + 1) % 8;
    (void)snprintf(path[at], sizeof path[at], "%s/%u", dir, at);
    while (vectors_next(v) && strcmp(vectors_text(v, "name"), record) != 0)
        ;
    key = vectors_hex(v, "key");
    f = fopen(path[at], "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(key.p, 1, key.n, f), key.n);
    assert_int_equal(fclose(f), 0);
    vectors_close(v);
    return path[at];
}

static void the_key_that_names_the_peer_is_its(void **state)
{
    struct cli_pgp p = { 0 };
    char why[CLI_WHY] = "";
    const char *file[] = { file_of("nistp256 with SHA256"), file_of("two names") };

    (void)state;
    assert_ok(cli_pgp_load(&t.env, file, 2, why, &p));
    assert_int_equal(p.n, 2);
    assert_ptr_equal(cli_pgp_for(&p, CPH_SPAN_LIT("sip:p256@example.org")), p.key[0]);
    assert_ptr_equal(cli_pgp_for(&p, CPH_SPAN_LIT("sips:p256@EXAMPLE.org;x=y")), p.key[0]);
    assert_ptr_equal(cli_pgp_for(&p, CPH_SPAN_LIT("two@example.net")), p.key[1]);
    /* nobody's, even where one key alone was given: whose it is stands in it */
    assert_null(cli_pgp_for(&p, CPH_SPAN_LIT("sip:mallory@example.org")));
    assert_null(cli_pgp_for(&p, CPH_SPAN_LIT("sip:p256@example.org:5062")));
    assert_null(cli_pgp_for(&p, CPH_SPAN_LIT("")));
    cli_pgp_drop(&p);
    assert_null(cli_pgp_for(&p, CPH_SPAN_LIT("sip:p256@example.org")));
}

static void what_is_wrong_with_a_file_is_said(void **state)
{
    const struct {
        const char *file, *says;
    } row[] = {
        { file_of("revoked"), "the key was revoked by its owner" },
        { file_of("two keys"), "there is more than one key in it" },
        { file_of("SHA-1 under its own name"), "signed by itself with SHA-256 or better" },
        { "/no/such", "No such file" },
        { "/etc/hostname", "as gpg --export writes it" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct cli_pgp p = { 0 };
        char why[CLI_WHY] = "";

        assert_err(cli_pgp_load(&t.env, &row[i].file, 1, why, &p), CPH_E_CONFIG);
        assert_int_equal(p.n, 0);
        if (!strstr(why, row[i].says) || !strstr(why, row[i].file))
            fail_msg("\"%s\" does not say \"%s\"", why, row[i].says);
        cli_pgp_drop(&p);
    }
}

static int setup(void **state)
{
    (void)state;
    test_env_init(&t, 3);
    t.wall = 1772323200;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[64];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(path, sizeof path, "%s/%u", dir, i);
        (void)unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_that_names_the_peer_is_its),
        cmocka_unit_test(what_is_wrong_with_a_file_is_said),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

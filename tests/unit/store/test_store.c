#include "support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "store_int.h"

static struct test_env env;
static char home[64], path[256], why[CPH_STORE_WHY];
static unsigned warnings;

static void count_log(void *ctx, enum cph_log_level level, const char *room, const char *line)
{
    (void)ctx;
    (void)room;
    (void)line;
    warnings += level == CPH_LOG_WARN;
}

static int set_up(void **state)
{
    (void)state;
    test_env_init(&env, 1);
    env.env.log = count_log;
    warnings = 0;
    (void)snprintf(home, sizeof home, "/tmp/ciphony-store-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    (void)snprintf(path, sizeof path, "%s/s.db", home);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

static struct cph_store *open_it(void)
{
    struct cph_store *s = NULL;
    cph_err err = cph_store_open(path, &env.env, &s, why);

    if (err)
        print_error("%s\n", why);
    assert_ok(err);
    return s;
}

static unsigned mode_of(const char *file)
{
    struct stat st;

    assert_int_equal(stat(file, &st), 0);
    return st.st_mode & 0777;
}

static bool file_holds(const char *file, struct cph_span what)
{
    static char all[1 << 20];
    FILE *f = fopen(file, "rb");
    size_t n = f ? fread(all, 1, sizeof all, f) : 0;

    if (f)
        (void)fclose(f);
    return n > 0 && memmem(all, n, what.p, what.n) != NULL;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void the_default_place_follows_the_xdg_rules(void **state)
{
    char out[CPH_STORE_PATH];
    char *long_home = malloc(CPH_STORE_PATH + 1);

    (void)state;
    assert_non_null(long_home);
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("HOME", "/home/x", 1);
    assert_ok(cph_store_default_path(out));
    assert_string_equal(out, "/data/ciphony/ciphony.db");
    setenv("XDG_DATA_HOME", "relative", 1);
    assert_ok(cph_store_default_path(out));
    assert_string_equal(out, "/home/x/.local/share/ciphony/ciphony.db");
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_err(cph_store_default_path(out), CPH_E_CONFIG);
    memset(long_home, 'x', CPH_STORE_PATH);
    long_home[0] = '/';
    long_home[CPH_STORE_PATH] = '\0';
    setenv("HOME", long_home, 1);
    assert_err(cph_store_default_path(out), CPH_E_NOSPACE);
    free(long_home);
}

static void a_new_store_is_for_its_owner_alone(void **state)
{
    char dir[128];
    struct cph_store *s;

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/data/share/ciphony", home);
    setenv("HOME", home, 1);
    (void)snprintf(path, sizeof path, "%s/data/share", home);
    setenv("XDG_DATA_HOME", path, 1);
    assert_ok(cph_store_open(NULL, &env.env, &s, why));
    assert_int_equal(mode_of(dir), 0700);
    assert_int_equal(mode_of(cph_store_path(s)), 0600);
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v")));
    (void)snprintf(path, sizeof path, "%s/ciphony.db-wal", dir);
    assert_int_equal(mode_of(path), 0600);
    cph_store_close(s);
    cph_store_close(NULL);
}

static void a_file_that_others_could_read_is_closed_to_them(void **state)
{
    struct cph_store *s = open_it();

    (void)state;
    cph_store_close(s);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(warnings, 0);
    s = open_it();
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(warnings, 1);
    cph_store_close(s);
}

static void expect_refused(const char *at, cph_err want, const char *words)
{
    struct cph_store *s = NULL;

    assert_err(cph_store_open(at, &env.env, &s, why), want);
    assert_null(s);
    if (!strstr(why, words))
        fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static int journal(void *wal, int n, char **value, char **name)
{
    (void)n, (void)name;
    *(bool *)wal = strcmp(value[0], "wal") == 0;
    return 0;
}

static void a_place_that_is_not_safe_is_refused_with_words(void **state)
{
    char link_path[300], sql_file[300];
    bool wal = true;
    sqlite3 *db;
    FILE *f;

    (void)state;
    cph_store_close(open_it());
    (void)snprintf(link_path, sizeof link_path, "%s/link.db", home);
    assert_int_equal(symlink(path, link_path), 0);
    expect_refused(link_path, CPH_E_STORE, "is a link");
    (void)snprintf(link_path, sizeof link_path, "%s/dir.db", home);
    assert_int_equal(mkdir(link_path, 0700), 0);
    expect_refused(link_path, CPH_E_STORE, "not a plain file");
    expect_refused("", CPH_E_ARGUMENT, "empty");
    assert_int_equal(chmod(home, 0777), 0);
    expect_refused(path, CPH_E_STORE, "chmod go-w");
    assert_int_equal(chmod(home, 0700), 0);
    (void)snprintf(link_path, sizeof link_path, "%s/s.db/below/x.db", home);
    expect_refused(link_path, CPH_E_STORE, "cannot be made");

    (void)snprintf(sql_file, sizeof sql_file, "%s/garbage.db", home);
    f = fopen(sql_file, "wb");
    assert_non_null(f);
    for (int i = 0; i < 500; i++)
        assert_true(fputs("not a database at all ", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(sql_file, 0644), 0);
    expect_refused(sql_file, CPH_E_STORE, "not a Ciphony store");
    assert_int_equal(mode_of(sql_file), 0644); /* what is not ours stays as it is */

    (void)snprintf(sql_file, sizeof sql_file, "%s/other.db", home);
    assert_int_equal(sqlite3_open(sql_file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(chmod(sql_file, 0644), 0);
    expect_refused(sql_file, CPH_E_STORE, "another program");
    assert_int_equal(mode_of(sql_file), 0644);
    assert_int_equal(sqlite3_open(sql_file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode", journal, &wal, NULL), SQLITE_OK);
    assert_false(wal);
    sqlite3_close(db);
}

static void a_file_of_somebody_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can make one */
    cph_store_close(open_it());
    assert_int_equal(chown(path, 12345, 12345), 0);
    expect_refused(path, CPH_E_STORE, "belongs to another user");
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(chown(home, 12345, 12345), 0);
    expect_refused(path, CPH_E_STORE, "belongs to another user");
    assert_int_equal(chown(home, 0, 0), 0);
}

static void a_store_of_a_newer_version_is_left_alone(void **state)
{
    sqlite3 *db;

    (void)state;
    cph_store_close(open_it());
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    expect_refused(path, CPH_E_STORE, "newer Ciphony (format 999");
}

static void a_store_that_is_locked_says_by_whom(void **state)
{
    struct cph_store *s = open_it();
    sqlite3 *db;

    (void)state;
    (void)sqlite3_busy_timeout(s->db, 20);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_err(cph_store_put(s, "t", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v")), CPH_E_STORE);
    assert_non_null(strstr(cph_store_why(s), "another process"));
    assert_non_null(strstr(cph_store_why(s), path));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v")));
    cph_store_close(s);
}

/* ---- devices --------------------------------------------------------------------------------- */

static void a_device_is_kept_and_never_written_over(void **state)
{
    static struct cph_store_device d, got;
    struct cph_store *s = open_it();

    (void)state;
    assert_err(cph_store_device_get(s, "main", &got), CPH_E_NOTFOUND);
    assert_err(cph_store_device_add(s, "main", &d), CPH_E_ARGUMENT);
    assert_ok(cph_secret_set(&d.key, CPH_SPAN_LIT("the private key\0with a zero")));
    memcpy(d.cert, "cert", 4);
    d.cert_n = 4;
    d.made = 77;
    assert_ok(cph_store_device_add(s, "main", &d));
    assert_err(cph_store_device_add(s, "main", &d), CPH_E_EXISTS);
    assert_err(cph_store_device_add(s, "", &d), CPH_E_ARGUMENT);
    cph_store_close(s);

    s = open_it();
    assert_ok(cph_store_device_get(s, "main", &got));
    assert_true(cph_span_eq(cph_secret_span(&got.key), cph_secret_span(&d.key)));
    assert_int_equal(got.cert_n, 4);
    assert_memory_equal(got.cert, "cert", 4);
    assert_int_equal(got.made, 77);
    cph_store_device_wipe(&got);
    assert_int_equal(got.key.n, 0);
    cph_store_close(s);
}

static void a_removed_key_leaves_no_bytes_behind(void **state)
{
    static const char key[] = "sixteen and more bytes that are found in a file";
    static struct cph_store_device d;
    struct cph_store *s = open_it();
    char wal[300];

    (void)state;
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    assert_ok(cph_secret_set(&d.key, CPH_SPAN_LIT(key)));
    d.cert_n = 1;
    assert_ok(cph_store_device_add(s, "main", &d));
    assert_true(file_holds(path, CPH_SPAN_LIT(key)) || file_holds(wal, CPH_SPAN_LIT(key)));
    assert_ok(cph_store_device_remove(s, "main"));
    assert_false(file_holds(path, CPH_SPAN_LIT(key)));
    assert_false(file_holds(wal, CPH_SPAN_LIT(key)));
    assert_err(cph_store_device_remove(s, "main"), CPH_E_NOTFOUND);
    cph_store_close(s);
}

/* ---- pins ------------------------------------------------------------------------------------ */

struct seen {
    size_t n;
    struct cph_store_pin pin[4];
    cph_err answer;
};

static cph_err note(void *arg, const struct cph_store_pin *p)
{
    struct seen *seen = arg;

    assert_true(seen->n < 4);
    seen->pin[seen->n++] = *p;
    return seen->answer;
}

static struct cph_store_pin pin_of(const char *peer, uint8_t first)
{
    struct cph_store_pin p = {
        .fp = { first, 2, 3 }, .fp_n = 32, .how = CPH_STORE_SEEN, .since = 5
    };

    (void)snprintf(p.peer, sizeof p.peer, "%s", peer);
    (void)snprintf(p.alg, sizeof p.alg, "sha-256");
    (void)snprintf(p.by, sizeof p.by, "a test");
    return p;
}

static void pins_are_kept_per_peer_and_fingerprint(void **state)
{
    struct cph_store_pin a = pin_of("sip:b@x", 1), b = pin_of("sip:b@x", 2),
                         c = pin_of("sip:a@x", 1);
    struct cph_store *s = open_it();
    struct seen seen = { 0 };
    size_t n;

    (void)state;
    assert_ok(cph_store_pin_put(s, &a));
    assert_ok(cph_store_pin_put(s, &b));
    assert_ok(cph_store_pin_put(s, &c));
    a.how = CPH_STORE_PINNED;
    a.since = 9;
    assert_ok(cph_store_pin_put(s, &a)); /* the same fingerprint, now named by the user */
    assert_ok(cph_store_pin_each(s, NULL, note, &seen));
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.pin[0].peer, "sip:a@x");
    assert_memory_equal(&seen.pin[1], &a, sizeof a);
    assert_int_equal(seen.pin[2].fp[0], 2);
    seen = (struct seen){ .answer = CPH_E_POLICY };
    assert_err(cph_store_pin_each(s, "sip:b@x", note, &seen), CPH_E_POLICY);
    assert_int_equal(seen.n, 1);
    seen = (struct seen){ 0 };
    assert_ok(cph_store_pin_each(s, "sip:B@x", note, &seen));
    assert_int_equal(seen.n, 0);

    assert_err(cph_store_pin_remove(s, "sip:b@x", "sha-512", (struct cph_span){ a.fp, 32 }, &n),
               CPH_E_NOTFOUND);
    assert_ok(cph_store_pin_remove(s, "sip:b@x", "sha-256", (struct cph_span){ a.fp, 32 }, &n));
    assert_int_equal(n, 1);
    assert_ok(cph_store_pin_put(s, &a));
    assert_ok(cph_store_pin_remove(s, "sip:b@x", NULL, (struct cph_span){ 0 }, &n));
    assert_int_equal(n, 2);
    seen = (struct seen){ 0 };
    assert_ok(cph_store_pin_each(s, NULL, note, &seen));
    assert_int_equal(seen.n, 1);
    cph_store_close(s);
}

static void a_pin_without_its_parts_is_refused(void **state)
{
    struct cph_store_pin p[4] = { pin_of("", 1), pin_of("a", 1), pin_of("a", 1), pin_of("a", 1) };
    struct cph_store *s = open_it();

    (void)state;
    p[1].fp_n = 0;
    p[2].fp_n = CPH_STORE_FP_MAX + 1;
    p[3].alg[0] = '\0';
    for (size_t i = 0; i < 4; i++)
        assert_err(cph_store_pin_put(s, &p[i]), CPH_E_ARGUMENT);
    cph_store_close(s);
}

static void an_entry_we_did_not_write_is_an_error(void **state)
{
    struct cph_store *s = open_it();
    struct seen seen = { 0 };

    (void)state;
    assert_int_equal(sqlite3_exec(s->db,
                                  "INSERT INTO pin (peer, alg, fp, how, added_by, since) VALUES"
                                  " ('a', 'an algorithm with a long name', x'01', 1, '', 0)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_err(cph_store_pin_each(s, "a", note, &seen), CPH_E_STORE);
    assert_int_equal(
        sqlite3_exec(s->db, "UPDATE pin SET alg = 'sha-256', how = 3", NULL, NULL, NULL),
        SQLITE_OK);
    assert_err(cph_store_pin_each(s, "a", note, &seen), CPH_E_STORE);
    assert_int_equal(
        sqlite3_exec(s->db, "UPDATE pin SET how = 0, fp = zeroblob(65)", NULL, NULL, NULL),
        SQLITE_OK);
    assert_err(cph_store_pin_each(s, "a", note, &seen), CPH_E_STORE);
    assert_int_equal(seen.n, 0);
    cph_store_close(s);
}

/* ---- items and transactions ------------------------------------------------------------------ */

static cph_err join(void *arg, struct cph_span key, struct cph_span value)
{
    struct cph_buf *b = arg;

    CPH_TRY(cph_buf_put(b, key));
    CPH_TRY(cph_buf_put(b, CPH_SPAN_LIT("=")));
    return cph_buf_put(b, value);
}

static void items_are_found_in_their_space_only(void **state)
{
    static uint8_t big[CPH_STORE_VALUE_MAX + 1];
    struct cph_buf b = { .limit = sizeof big };
    struct cph_store *s = open_it();

    (void)state;
    assert_ok(cph_store_put(s, "one", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v1")));
    assert_ok(cph_store_put(s, "two", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v2")));
    assert_ok(cph_store_put(s, "two", CPH_SPAN_LIT(""), (struct cph_span){ 0 }));
    assert_ok(cph_store_put(s, "two", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v3")));
    assert_ok(cph_store_get(s, "one", CPH_SPAN_LIT("k"), &b));
    assert_true(cph_span_is(cph_buf_view(&b), "v1"));
    cph_buf_clear(&b);
    assert_err(cph_store_get(s, "one", CPH_SPAN_LIT("K"), &b), CPH_E_NOTFOUND);
    assert_ok(cph_store_each(s, "two", join, &b));
    assert_true(cph_span_is(cph_buf_view(&b), "=k=v3"));
    cph_buf_clear(&b);
    assert_ok(cph_store_remove(s, "two", CPH_SPAN_LIT("k")));
    assert_err(cph_store_remove(s, "two", CPH_SPAN_LIT("k")), CPH_E_NOTFOUND);

    assert_ok(cph_store_put(s, "big", CPH_SPAN_LIT("k"), (struct cph_span){ big, sizeof big - 1 }));
    assert_err(cph_store_put(s, "big", CPH_SPAN_LIT("k"), (struct cph_span){ big, sizeof big }),
               CPH_E_LIMIT);
    assert_err(
        cph_store_put(s, "big", (struct cph_span){ big, CPH_STORE_KEY_MAX + 1 }, CPH_SPAN_LIT("")),
        CPH_E_LIMIT);
    b.limit = 100;
    assert_err(cph_store_get(s, "big", CPH_SPAN_LIT("k"), &b), CPH_E_LIMIT);
    cph_buf_clear(&b);
    cph_store_close(s);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct cph_buf b = { .limit = 100 };
    struct cph_store *s = open_it();

    (void)state;
    assert_err(cph_store_commit(s), CPH_E_STATE);
    assert_ok(cph_store_begin(s));
    assert_err(cph_store_begin(s), CPH_E_STATE);
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("a"), CPH_SPAN_LIT("1")));
    cph_store_rollback(s);
    assert_err(cph_store_get(s, "t", CPH_SPAN_LIT("a"), &b), CPH_E_NOTFOUND);
    assert_ok(cph_store_begin(s));
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("a"), CPH_SPAN_LIT("1")));
    assert_ok(cph_store_commit(s));
    assert_ok(cph_store_begin(s));
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("a"), CPH_SPAN_LIT("2")));
    cph_store_close(s); /* as good as a rollback */
    s = open_it();
    assert_ok(cph_store_get(s, "t", CPH_SPAN_LIT("a"), &b));
    assert_true(cph_span_is(cph_buf_view(&b), "1"));
    cph_buf_clear(&b);
    cph_store_close(s);
}

static void two_in_one_process_do_not_disturb_each_other(void **state)
{
    struct cph_store *a = open_it(), *b;
    sqlite3 *db;

    (void)state;
    assert_ok(cph_store_begin(a));
    assert_ok(cph_store_put(a, "t", CPH_SPAN_LIT("a"), CPH_SPAN_LIT("1")));
    b = open_it(); /* must not drop the lock of a */
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(db);
    assert_ok(cph_store_commit(a));
    assert_ok(cph_store_put(b, "t", CPH_SPAN_LIT("a"), CPH_SPAN_LIT("2")));
    cph_store_close(a);
    cph_store_close(b);
}

static cph_err scenario(void *arg)
{
    struct cph_buf b = { .limit = 100 };
    struct cph_store *s;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_store_open(path, &env.env, &s, NULL));
    err = cph_store_put(s, "t", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v"));
    if (err == CPH_OK)
        err = cph_store_get(s, "t", CPH_SPAN_LIT("k"), &b);
    cph_buf_clear(&b);
    cph_store_close(s);
    return err;
}

/* The library's own allocations too: its allocator is replaced by one that fails on demand. */
static sqlite3_mem_methods real;
static long countdown = -1;

static void *failing_malloc(int n)
{
    return countdown >= 0 && countdown-- == 0 ? NULL : real.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return countdown >= 0 && countdown-- == 0 ? NULL : real.xRealloc(p, n);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
    for (long at = 0; at < 400; at++) {
        cph_err err;

        countdown = at;
        err = scenario(NULL);
        if (countdown >= 0) {
            assert_ok(err);
            break;
        }
        countdown = -1;
        /* some of its caches do without; whatever happens, there is no other error and the store is
         * whole */
        assert_true(err == CPH_OK || err == CPH_E_NOMEM);
    }
    countdown = -1;
    assert_ok(scenario(NULL));
}

/* ---- ZRTP ------------------------------------------------------------------------------------ */

static const uint8_t zid_a[CPH_STORE_ZID] = "endpoint-a-", zid_b[CPH_STORE_ZID] = "endpoint-b-";

static void an_endpoint_draws_its_name_once(void **state)
{
    struct cph_store *s = open_it();
    uint8_t first[CPH_STORE_ZID], again[CPH_STORE_ZID] = { 0 };

    (void)state;
    assert_ok(cph_store_zrtp_own(s, first));
    assert_ok(cph_store_zrtp_own(s, again));
    assert_memory_equal(first, again, sizeof first);
    cph_store_close(s);
    s = open_it();
    memset(again, 0, sizeof again);
    assert_ok(cph_store_zrtp_own(s, again));
    assert_memory_equal(first, again, sizeof first);
    cph_store_close(s);
}

static bool file_has(const char *file, struct cph_span text)
{
    FILE *f = fopen(file, "rb");
    static uint8_t all[1 << 20];
    size_t n = f ? fread(all, 1, sizeof all, f) : 0;

    if (f)
        (void)fclose(f);
    return n > 0 && memmem(all, n, text.p, text.n) != NULL;
}

static void retained_secrets_are_replaced_whole_and_leave_no_bytes_behind(void **state)
{
    static const struct cph_span old = CPH_SPAN_LIT("the secret of a call long ago ..");
    static const struct cph_span new = CPH_SPAN_LIT("the secret of the call just made");
    struct cph_store_zrtp in = { .verified = true, .expires = INT64_MAX }, out;
    struct cph_store *s = open_it();
    char log[300];

    (void)state;
    (void)snprintf(log, sizeof log, "%s-wal", path);
    assert_err(cph_store_zrtp_get(s, zid_a, &out), CPH_E_NOTFOUND);
    assert_ok(cph_secret_set(&in.rs1, old));
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_err(cph_store_zrtp_get(s, zid_b, &out), CPH_E_NOTFOUND);
    assert_ok(cph_store_zrtp_get(s, zid_a, &out));
    assert_true(cph_ct_eq(cph_secret_span(&out.rs1), old));
    assert_int_equal(out.rs2.n + out.aux.n + out.pbx.n, 0);
    assert_true(out.verified);
    assert_true(out.expires == INT64_MAX);
    assert_true(file_has(path, old)); /* so that the search below means something */
    assert_ok(cph_secret_set(&in.rs1, new));
    in.verified = false;
    in.expires = 77;
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_ok(cph_store_zrtp_get(s, zid_a, &out));
    assert_true(cph_ct_eq(cph_secret_span(&out.rs1), new));
    assert_false(out.verified);
    assert_int_equal(out.expires, 77);
    assert_false(file_has(path, old));
    assert_false(file_has(log, old));
    cph_store_close(s);
}

static void whose_device_it_is_is_kept_with_it(void **state)
{
    struct cph_store_zrtp in = { .verified = true,
                                 .peer = { "sip:a@x.example", "sip:b@x.example" } },
                          out;
    struct cph_store *s = open_it();

    (void)state;
    assert_ok(cph_secret_set(&in.rs1, CPH_SPAN_LIT("0123456789abcdef")));
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_ok(cph_store_zrtp_get(s, zid_a, &out));
    assert_memory_equal(in.peer, out.peer, sizeof in.peer);
    for (int i = 0; i < 2; i++) {
        assert_ok(cph_store_zrtp_other(s, in.peer[i], zid_b));
        assert_err(cph_store_zrtp_other(s, in.peer[i], zid_a), CPH_E_NOTFOUND);
    }
    assert_err(cph_store_zrtp_other(s, "sip:a@x.exampl", zid_b), CPH_E_NOTFOUND);
    assert_err(cph_store_zrtp_other(s, "ip:b@x.example", zid_b), CPH_E_NOTFOUND);
    in.expires = env.wall; /* one that was compared stays known, whatever became of its secret */
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_ok(cph_store_zrtp_other(s, in.peer[0], zid_b));
    in.verified = false; /* one that was only met is not missed later than agreed (RFC 6189 4.9) */
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_err(cph_store_zrtp_other(s, in.peer[0], zid_b), CPH_E_NOTFOUND);
    in.expires++;
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_ok(cph_store_zrtp_other(s, in.peer[0], zid_b));
    cph_secret_wipe(&in.rs1); /* forgotten */
    assert_ok(cph_store_zrtp_put(s, zid_a, &in));
    assert_err(cph_store_zrtp_other(s, in.peer[0], zid_b), CPH_E_NOTFOUND);
    cph_store_close(s);
}

static void a_store_of_the_first_version_gets_the_new_tables(void **state)
{
    struct cph_store *s = open_it();
    struct cph_store_zrtp out;
    sqlite3 *db;

    (void)state;
    assert_ok(cph_store_put(s, "t", CPH_SPAN_LIT("k"), CPH_SPAN_LIT("v")));
    cph_store_close(s);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE zrtp; DROP TABLE zrtp_own; PRAGMA user_version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    s = open_it();
    assert_err(cph_store_zrtp_get(s, zid_a, &out), CPH_E_NOTFOUND);
    cph_store_close(s);
}

static void retained_secrets_that_we_did_not_write_are_an_error(void **state)
{
    struct cph_store *s = open_it();
    struct cph_store_zrtp out;
    uint8_t zid[CPH_STORE_ZID];

    (void)state;
    assert_int_equal(sqlite3_exec(s->db,
                                  "INSERT INTO zrtp VALUES (x'656e64706f696e742d612d00',"
                                  " zeroblob(513), x'', x'', x'', 1, 0, '');"
                                  "INSERT INTO zrtp_own VALUES (1, x'0102')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_err(cph_store_zrtp_get(s, zid_a, &out), CPH_E_STORE);
    assert_err(cph_store_zrtp_own(s, zid), CPH_E_STORE);
    cph_store_close(s);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* The device's key is kept masked, where the test looks for it. */
static uint8_t masked_key[TEST_NEEDLE];

static void add_masked(struct cph_store *s)
{
    struct cph_store_device d = { .cert_n = 1 };

    for (size_t i = 0; i < sizeof masked_key; i++)
        masked_key[i] = (uint8_t)(83 * i + 7);
    d.key.n = sizeof masked_key;
    test_mask(d.key.b, masked_key, sizeof masked_key);
    assert_ok(cph_store_device_add(s, "one", &d));
    cph_store_device_wipe(&d);
}

static void no_secret_stays_in_the_memory_of_the_library(void **state)
{
#ifdef TEST_SANITIZED
    skip();
#endif
    struct cph_store *s = open_it();
    struct cph_store_device d;

    (void)state;
    add_masked(s);
    cph_store_close(s); /* until then SQLite keeps the row that it wrote last */
    assert_int_equal(test_in_memory(masked_key, sizeof masked_key, "the key that was added"), 0);
    s = open_it();
    assert_ok(cph_store_device_get(s, "one", &d));
    assert_int_equal(d.key.n, sizeof masked_key);
    cph_store_device_wipe(&d);
    assert_int_equal(test_in_memory(masked_key, sizeof masked_key, "the key that was read"), 0);
    cph_store_close(s);
    assert_int_equal(test_in_memory(masked_key, sizeof masked_key, "the key"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_place_follows_the_xdg_rules),
        STORE_TEST(a_new_store_is_for_its_owner_alone),
        STORE_TEST(a_file_that_others_could_read_is_closed_to_them),
        STORE_TEST(a_place_that_is_not_safe_is_refused_with_words),
        STORE_TEST(a_file_of_somebody_else_is_refused),
        STORE_TEST(a_store_of_a_newer_version_is_left_alone),
        STORE_TEST(a_store_that_is_locked_says_by_whom),
        STORE_TEST(a_device_is_kept_and_never_written_over),
        STORE_TEST(no_secret_stays_in_the_memory_of_the_library),
        STORE_TEST(a_removed_key_leaves_no_bytes_behind),
        STORE_TEST(pins_are_kept_per_peer_and_fingerprint),
        STORE_TEST(a_pin_without_its_parts_is_refused),
        STORE_TEST(an_entry_we_did_not_write_is_an_error),
        STORE_TEST(items_are_found_in_their_space_only),
        STORE_TEST(a_transaction_is_all_or_nothing),
        STORE_TEST(two_in_one_process_do_not_disturb_each_other),
        STORE_TEST(an_endpoint_draws_its_name_once),
        STORE_TEST(retained_secrets_are_replaced_whole_and_leave_no_bytes_behind),
        STORE_TEST(whose_device_it_is_is_kept_with_it),
        STORE_TEST(a_store_of_the_first_version_gets_the_new_tables),
        STORE_TEST(retained_secrets_that_we_did_not_write_are_an_error),
        STORE_TEST(running_out_of_memory_is_reported),
    };
    sqlite3_mem_methods failing;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
        return 1;
    failing = real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

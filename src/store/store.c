#include "store_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- errors in words ------------------------------------------------------------------------- */

cph_err store_fail(struct cph_store *s, cph_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(s->why, sizeof s->why, fmt, ap);
    va_end(ap);
    return err;
}

/* What the user can do about it. */
static const char *remedy(int code)
{
    switch (code) {
    case SQLITE_FULL:
        return "; make room on the disk";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "; another process holds it, end that one or try again";
    case SQLITE_NOTADB:
        return "; it is not a Ciphony store, name another file";
    case SQLITE_CORRUPT:
        return "; it is damaged, restore it from a backup or move it away";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "; check that you may write to the file and its directory";
    default:
        return "";
    }
}

cph_err store_sql_fail(struct cph_store *s, const char *what)
{
    int code = sqlite3_errcode(s->db) & 0xff;

    s->busy = code == SQLITE_BUSY;
    return store_fail(s, code == SQLITE_NOMEM ? CPH_E_NOMEM : CPH_E_STORE, "%s: %s: %s%s", s->path,
                      what, sqlite3_errmsg(s->db), remedy(code));
}

const char *cph_store_why(const struct cph_store *s)
{
    return s->why;
}

const char *cph_store_path(const struct cph_store *s)
{
    return s->path;
}

/* ---- statements ------------------------------------------------------------------------------ */

struct store_stmt store_prepare(struct cph_store *s, const char *sql, const char *what)
{
    struct store_stmt st = { .s = s, .what = what };

    if (sqlite3_prepare_v2(s->db, sql, -1, &st.stmt, NULL) != SQLITE_OK)
        st.err = store_sql_fail(s, what);
    return st;
}

static void bound(struct store_stmt *st, int code)
{
    if (st->err == CPH_OK && code != SQLITE_OK)
        st->err = store_sql_fail(st->s, st->what);
}

void store_text(struct store_stmt *st, const char *text)
{
    if (st->err == CPH_OK)
        bound(st, sqlite3_bind_text(st->stmt, ++st->at, text, -1, SQLITE_STATIC));
}

void store_blob(struct store_stmt *st, struct cph_span bytes)
{
    if (st->err == CPH_OK)
        bound(st, bytes.n ? sqlite3_bind_blob64(st->stmt, ++st->at, bytes.p, bytes.n, SQLITE_STATIC)
                          : sqlite3_bind_zeroblob(st->stmt, ++st->at, 0));
}

void store_int(struct store_stmt *st, int64_t v)
{
    if (st->err == CPH_OK)
        bound(st, sqlite3_bind_int64(st->stmt, ++st->at, v));
}

bool store_row(struct store_stmt *st)
{
    int code;

    if (st->err)
        return false;
    code = sqlite3_step(st->stmt);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_CONSTRAINT)
        st->err = store_fail(st->s, CPH_E_EXISTS, "%s: %s: there is one already", st->s->path,
                             st->what);
    else if (code != SQLITE_DONE)
        st->err = store_sql_fail(st->s, st->what);
    return false;
}

struct cph_span store_column(struct store_stmt *st, int i)
{
    const void *p = sqlite3_column_blob(st->stmt, i);
    int n = sqlite3_column_bytes(st->stmt, i);

    return p ? (struct cph_span){ p, (size_t)n } : (struct cph_span){ 0 };
}

void store_column_text(struct store_stmt *st, int i, char *out, size_t cap)
{
    if (cph_span_cstr(store_column(st, i), out, cap) != CPH_OK && st->err == CPH_OK)
        st->err = store_fail(st->s, CPH_E_STORE, "%s: %s: an entry is not one we wrote",
                             st->s->path, st->what);
}

cph_err store_done(struct store_stmt *st)
{
    (void)sqlite3_finalize(st->stmt);
    st->stmt = NULL;
    (void)sqlite3_db_release_memory(st->s->db); /* secrets are on the pages that it keeps */
    return st->err;
}

cph_err store_exec(struct cph_store *s, const char *sql, const char *what)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? CPH_OK
                                                                   : store_sql_fail(s, what);
}

/* ---- transactions ---------------------------------------------------------------------------- */

cph_err cph_store_begin(struct cph_store *s)
{
    if (s->in_tx)
        return store_fail(s, CPH_E_STATE, "a transaction is open already");
    CPH_TRY(store_exec(s, "BEGIN IMMEDIATE", "a change cannot begin"));
    s->in_tx = true;
    return CPH_OK;
}

cph_err cph_store_commit(struct cph_store *s)
{
    if (!s->in_tx)
        return store_fail(s, CPH_E_STATE, "no transaction is open");
    CPH_TRY(store_exec(s, "COMMIT", "a change cannot be written"));
    s->in_tx = false;
    return CPH_OK;
}

void cph_store_rollback(struct cph_store *s)
{
    if (s->in_tx && !sqlite3_get_autocommit(s->db)) /* some errors roll back by themselves */
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->in_tx = false;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* secure_delete: what is removed is overwritten. synchronous FULL: what was answered is on the
 * disk. A schema that somebody tampered with must not run functions of its own. */
static const char settings[] = "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA secure_delete = ON;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA synchronous = FULL;";

/* Turning on the write-ahead log needs the file alone for a moment. A file that is not ours is left
 * as it is, its mode too. */
static cph_err prepare_once(struct cph_store *s)
{
    CPH_TRY(store_exec(s, settings, "it cannot be prepared"));
    CPH_TRY(store_ours(s));
    CPH_TRY(store_close_to_others(s));
    CPH_TRY(store_exec(s, "PRAGMA journal_mode = WAL", "it cannot be prepared"));
    return store_migrate(s);
}

static cph_err prepare_db(struct cph_store *s)
{
    for (int i = 1;; i++) {
        cph_err err;

        s->busy = false;
        err = prepare_once(s);
        if (err != CPH_E_STORE || !s->busy || i == STORE_OPEN_TRIES)
            return err;
        (void)sqlite3_sleep(STORE_OPEN_MS);
    }
}

static cph_err open_db(struct cph_store *s)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX;
    int code = sqlite3_open_v2(s->path, &s->db, flags, NULL);

    if (!s->db)
        return CPH_E_NOMEM;
    if (code != SQLITE_OK)
        return store_sql_fail(s, "it cannot be opened");
    (void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return prepare_db(s);
}

static cph_err open_store(struct cph_store *s, const char *path)
{
    if (!path)
        switch (cph_store_default_path(s->path)) {
        case CPH_OK:
            break;
        case CPH_E_CONFIG:
            return store_fail(s, CPH_E_CONFIG,
                              "there is no place for the store: set HOME or XDG_DATA_HOME");
        default:
            return store_fail(s, CPH_E_CONFIG,
                              "the path of the store is too long: set XDG_DATA_HOME");
        }
    else if (path[0] == '\0' || cph_span_cstr(cph_span_of(path), s->path, sizeof s->path) != CPH_OK)
        return store_fail(s, CPH_E_ARGUMENT, "the path of the store is empty or too long");
    CPH_TRY(store_file(s));
    return open_db(s);
}

cph_err cph_store_open(const char *path, const struct cph_env *env, struct cph_store **out,
                       char *why)
{
    struct cph_store *s = calloc(1, sizeof *s);
    cph_err err = CPH_E_NOMEM;

    store_wipe_always();
    if (s) {
        s->env = env;
        err = open_store(s, path);
    }
    if (err) {
        if (why)
            (void)snprintf(why, CPH_STORE_WHY, "%s", s && s->why[0] ? s->why : cph_err_text(err));
        cph_store_close(s);
        return err;
    }
    *out = s;
    return CPH_OK;
}

void cph_store_close(struct cph_store *s)
{
    if (!s)
        return;
    if (s->db)
        cph_store_rollback(s);
    (void)sqlite3_close(
        s->db); /* NULL is fine; the last one to close folds the log into the file */
    free(s);
}

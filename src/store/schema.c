#include "store_int.h"

/*
 * One entry per version, run in order on a store that is older; never edited once it was released,
 * only followed. A later room adds its tables here.
 */
static const char *const migration[] = {
    /* 1 */
    "CREATE TABLE device ("
    "  name TEXT PRIMARY KEY,"
    "  key BLOB NOT NULL," /* the private key */
    "  cert BLOB NOT NULL,"
    "  made INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE pin ("
    "  id INTEGER PRIMARY KEY," /* grows: age decides the order */
    "  peer TEXT NOT NULL,"
    "  alg TEXT NOT NULL,"
    "  fp BLOB NOT NULL,"
    "  how INTEGER NOT NULL," /* enum cph_store_how */
    "  added_by TEXT NOT NULL,"
    "  since INTEGER NOT NULL,"
    "  UNIQUE (peer, alg, fp)"
    ") STRICT;"
    "CREATE TABLE item ("
    "  space TEXT NOT NULL,"
    "  key BLOB NOT NULL,"
    "  value BLOB NOT NULL,"
    "  PRIMARY KEY (space, key)"
    ") STRICT, WITHOUT ROWID;",
    /* 2 */
    "CREATE TABLE zrtp_own ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  zid BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE zrtp ("
    "  zid BLOB PRIMARY KEY," /* the other endpoint */
    "  rs1 BLOB NOT NULL,"    /* an empty secret is not there */
    "  rs2 BLOB NOT NULL,"
    "  aux BLOB NOT NULL,"
    "  pbx BLOB NOT NULL,"
    "  verified INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL"
    ") STRICT;",
    /* 3: addresses under which the string was compared, a line each */
    "ALTER TABLE zrtp ADD COLUMN peers TEXT NOT NULL DEFAULT ''",
};

enum { VERSIONS = sizeof migration / sizeof *migration };

static cph_err pragma(struct cph_store *s, const char *sql, int64_t *out)
{
    struct store_stmt st = store_prepare(s, sql, "its version cannot be read");

    *out = 0;
    if (store_row(&st))
        *out = sqlite3_column_int64(st.stmt, 0);
    return store_done(&st);
}

/* Call inside a transaction: the three answers must be of the same moment. */
static cph_err version_of(struct cph_store *s, int64_t *version)
{
    int64_t app, tables;

    CPH_TRY(pragma(s, "PRAGMA application_id", &app));
    CPH_TRY(pragma(s, "PRAGMA user_version", version));
    CPH_TRY(pragma(s, "SELECT count(*) FROM sqlite_schema", &tables));
    if (app != STORE_APP_ID && (tables > 0 || app != 0 || *version != 0))
        return store_fail(s, CPH_E_STORE, "%s is a database of another program; name another file",
                          s->path);
    if (*version < 0 || *version > VERSIONS)
        return store_fail(
            s, CPH_E_STORE,
            "%s was written by a newer Ciphony (format %lld, this one knows %d); install that one",
            s->path, (long long)*version, (int)VERSIONS);
    return CPH_OK;
}

static cph_err step(struct cph_store *s, int64_t version)
{
    char mark[128];

    (void)sqlite3_snprintf(sizeof mark, mark,
                           "PRAGMA application_id = %d; PRAGMA user_version = %d",
                           (int)STORE_APP_ID, (int)version + 1);
    CPH_TRY(store_exec(s, migration[version], "its tables cannot be made"));
    return store_exec(s, mark, "its version cannot be set");
}

static cph_err look(struct cph_store *s, int64_t *version)
{
    cph_err err;

    CPH_TRY(store_exec(s, "BEGIN", "its version cannot be read"));
    err = version_of(s, version);
    if (err != CPH_OK) { /* its words are the ones to keep */
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return err;
    }
    return store_exec(s, "ROLLBACK", "its version cannot be read"); /* it only read */
}

cph_err store_ours(struct cph_store *s)
{
    int64_t version;

    return look(s, &version);
}

/* The version is looked at again inside the transaction: another process may have been faster. */
cph_err store_migrate(struct cph_store *s)
{
    int64_t version;
    cph_err err = look(s, &version);

    if (err != CPH_OK || version == VERSIONS)
        return err;
    CPH_TRY(cph_store_begin(s));
    err = version_of(s, &version);
    for (; err == CPH_OK && version < VERSIONS; version++)
        err = step(s, version);
    if (err == CPH_OK)
        err = cph_store_commit(s);
    if (err != CPH_OK)
        cph_store_rollback(s);
    return err;
}

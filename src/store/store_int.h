/* Private face of store/: SQL stays in this room. */
#ifndef CPH_STORE_INT_H
#define CPH_STORE_INT_H

#include <sqlite3.h>

#include "ciphony/store.h"

enum {
    STORE_APP_ID = 0x43504844, /* "CPHD", so that other programs' files are not taken for ours */
    STORE_BUSY_MS = 5000,      /* wait for another process that writes */
    STORE_OPEN_TRIES = 100,    /* while another process makes or closes the same store, */
    STORE_OPEN_MS = 20, /* with this pause between: the library does not wait for that itself */
};

struct cph_store {
    sqlite3 *db;
    const struct cph_env *env;
    bool in_tx;
    bool busy; /* the last failure was another process's lock */
    char path[CPH_STORE_PATH];
    char why[CPH_STORE_WHY];
};

/** Make sure of the directory and the file: present, and our user's. */
cph_err store_file(struct cph_store *s);
/** Close the file to others, and say so if it was not. Call when it is known to be a store. */
cph_err store_close_to_others(struct cph_store *s);
/** Is it a store, or empty? Else the words say what it is. Nothing is written. */
cph_err store_ours(struct cph_store *s);
/** Bring the tables up to date, one version after the other, each in a transaction. */
cph_err store_migrate(struct cph_store *s);

/** Remember what went wrong, in words, and give err back. */
CPH_PRINTF(3, 4) cph_err store_fail(struct cph_store *s, cph_err err, const char *fmt, ...);
/** The same for an error of the library; what: "the pins could not be read". */
cph_err store_sql_fail(struct cph_store *s, const char *what);
cph_err store_exec(struct cph_store *s, const char *sql, const char *what);

/* One prepared statement: bind in order, then step. The first failure sticks until store_done(). */
struct store_stmt {
    struct cph_store *s;
    sqlite3_stmt *stmt;
    const char *what;
    int at;
    cph_err err;
};

struct store_stmt store_prepare(struct cph_store *s, const char *sql, const char *what);
void store_text(struct store_stmt *st, const char *text);
void store_blob(struct store_stmt *st, struct cph_span bytes);
void store_int(struct store_stmt *st, int64_t v);
/** true: there is a row to read. false at the end and on error. */
bool store_row(struct store_stmt *st);
/** Bytes of a column, as a view until the next row. */
struct cph_span store_column(struct store_stmt *st, int i);
/** Copy a column of text; fails st if it does not fit. */
void store_column_text(struct store_stmt *st, int i, char *out, size_t cap);
/** Run to the end if need be, and give the statement back. CPH_E_EXISTS for a key that is taken. */
cph_err store_done(struct store_stmt *st);
/** Forget the copies that the write-ahead log still holds. While another process reads, it cannot
 * be cut, and is when the last one closes. */
void store_cut_log(struct cph_store *s);

/* memory.c: from the first store on, what SQLite gives back is wiped. */
void store_wipe_always(void);

#endif

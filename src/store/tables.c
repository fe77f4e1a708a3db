#include "store_int.h"

#include <string.h>

void store_cut_log(struct cph_store *s)
{
    if (!s->in_tx)
        (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static cph_err check_name(struct cph_store *s, const char *name, const char *what)
{
    if (!name || name[0] == '\0' || strnlen(name, CPH_STORE_NAME) == CPH_STORE_NAME)
        return store_fail(s, CPH_E_ARGUMENT, "the name of %s is empty or longer than %d bytes",
                          what, CPH_STORE_NAME - 1);
    return CPH_OK;
}

/* ---- own devices ----------------------------------------------------------------------------- */

void cph_store_device_wipe(struct cph_store_device *d)
{
    cph_wipe(d, sizeof *d);
}

static cph_err read_device(struct store_stmt *st, struct cph_store_device *out)
{
    struct cph_span cert = store_column(st, 1);

    cph_store_device_wipe(out);
    if (cert.n > sizeof out->cert || cph_secret_set(&out->key, store_column(st, 0)) != CPH_OK)
        return store_fail(st->s, CPH_E_STORE, "%s: the device's key is not one we wrote",
                          st->s->path);
    if (cert.n > 0)
        memcpy(out->cert, cert.p, cert.n);
    out->cert_n = cert.n;
    out->made = sqlite3_column_int64(st->stmt, 2);
    return CPH_OK;
}

cph_err cph_store_device_get(struct cph_store *s, const char *name, struct cph_store_device *out)
{
    struct store_stmt st;
    bool found;

    CPH_TRY(check_name(s, name, "a device"));
    st = store_prepare(s, "SELECT key, cert, made FROM device WHERE name = ?",
                       "the device's key cannot be read");
    store_text(&st, name);
    found = store_row(&st);
    if (found)
        st.err = read_device(&st, out);
    CPH_TRY(store_done(&st));
    return found ? CPH_OK : CPH_E_NOTFOUND;
}

cph_err cph_store_device_add(struct cph_store *s, const char *name,
                             const struct cph_store_device *d)
{
    struct store_stmt st;

    CPH_TRY(check_name(s, name, "a device"));
    if (d->key.n == 0 || d->cert_n == 0 || d->cert_n > sizeof d->cert)
        return store_fail(s, CPH_E_ARGUMENT, "a device needs a key and a certificate");
    st = store_prepare(s, "INSERT INTO device (name, key, cert, made) VALUES (?, ?, ?, ?)",
                       "the device's key cannot be written");
    store_text(&st, name);
    store_blob(&st, cph_secret_span(&d->key));
    store_blob(&st, (struct cph_span){ d->cert, d->cert_n });
    store_int(&st, d->made);
    (void)store_row(&st);
    return store_done(&st);
}

/* Run a statement that removes rows. */
static cph_err remove_rows(struct store_stmt *st, size_t *n)
{
    int gone;

    (void)store_row(st);
    CPH_TRY(store_done(st));
    gone = sqlite3_changes(st->s->db);
    if (n)
        *n = (size_t)gone;
    if (gone == 0)
        return CPH_E_NOTFOUND;
    store_cut_log(st->s);
    return CPH_OK;
}

cph_err cph_store_device_remove(struct cph_store *s, const char *name)
{
    struct store_stmt st;

    CPH_TRY(check_name(s, name, "a device"));
    st = store_prepare(s, "DELETE FROM device WHERE name = ?", "the device cannot be removed");
    store_text(&st, name);
    return remove_rows(&st, NULL);
}

/* ---- peers' certificates --------------------------------------------------------------------- */

cph_err cph_store_pin_put(struct cph_store *s, const struct cph_store_pin *p)
{
    struct store_stmt st;

    CPH_TRY(check_name(s, p->peer, "a peer"));
    if (p->alg[0] == '\0' || p->fp_n == 0 || p->fp_n > sizeof p->fp || p->how > CPH_STORE_PAIRED)
        return store_fail(s, CPH_E_ARGUMENT,
                          "a pin needs an algorithm, a fingerprint and a reason");
    st = store_prepare(
        s,
        "INSERT INTO pin (peer, alg, fp, how, added_by, since) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (peer, alg, fp) DO UPDATE SET"
        " how = excluded.how, added_by = excluded.added_by, since = excluded.since",
        "the peer's certificate cannot be kept");
    store_text(&st, p->peer);
    store_text(&st, p->alg);
    store_blob(&st, (struct cph_span){ p->fp, p->fp_n });
    store_int(&st, (int64_t)p->how);
    store_text(&st, p->by);
    store_int(&st, p->since);
    (void)store_row(&st);
    return store_done(&st);
}

cph_err cph_store_pin_remove(struct cph_store *s, const char *peer, const char *alg,
                             struct cph_span fp, size_t *n)
{
    static const char what[] = "the peer's certificate cannot be removed";
    struct store_stmt st;

    CPH_TRY(check_name(s, peer, "a peer"));
    st = store_prepare(s,
                       alg ? "DELETE FROM pin WHERE peer = ? AND alg = ? AND fp = ?"
                           : "DELETE FROM pin WHERE peer = ?",
                       what);
    store_text(&st, peer);
    if (alg) {
        store_text(&st, alg);
        store_blob(&st, fp);
    }
    return remove_rows(&st, n);
}

static void read_pin(struct store_stmt *st, struct cph_store_pin *p)
{
    struct cph_span fp = store_column(st, 2);
    int64_t how = sqlite3_column_int64(st->stmt, 3);

    *p = (struct cph_store_pin){ .since = sqlite3_column_int64(st->stmt, 5) };
    store_column_text(st, 0, p->peer, sizeof p->peer);
    store_column_text(st, 1, p->alg, sizeof p->alg);
    store_column_text(st, 4, p->by, sizeof p->by);
    if (fp.n == 0 || fp.n > sizeof p->fp || how < 0 || how > CPH_STORE_PAIRED) {
        st->err = store_fail(st->s, CPH_E_STORE, "%s: %s: an entry is not one we wrote",
                             st->s->path, st->what);
        return;
    }
    memcpy(p->fp, fp.p, fp.n);
    p->fp_n = fp.n;
    p->how = (enum cph_store_how)how;
}

cph_err cph_store_pin_each(struct cph_store *s, const char *peer, cph_store_pin_fn *fn, void *arg)
{
    struct store_stmt st = store_prepare(s,
                                         "SELECT peer, alg, fp, how, added_by, since FROM pin"
                                         " WHERE ?1 IS NULL OR peer = ?1 ORDER BY peer, id",
                                         "the peers' certificates cannot be read");
    struct cph_store_pin p;

    store_text(&st, peer); /* NULL binds NULL */
    while (store_row(&st)) {
        read_pin(&st, &p);
        if (st.err == CPH_OK)
            st.err = fn(arg, &p);
    }
    return store_done(&st);
}

/* ---- small things by key --------------------------------------------------------------------- */

static cph_err check_item(struct cph_store *s, const char *space, struct cph_span key)
{
    CPH_TRY(check_name(s, space, "a key space"));
    if (key.n > CPH_STORE_KEY_MAX)
        return store_fail(s, CPH_E_LIMIT, "a key is longer than %d bytes", CPH_STORE_KEY_MAX);
    return CPH_OK;
}

cph_err cph_store_get(struct cph_store *s, const char *space, struct cph_span key,
                      struct cph_buf *out)
{
    struct store_stmt st;
    bool found;

    CPH_TRY(check_item(s, space, key));
    st = store_prepare(s, "SELECT value FROM item WHERE space = ? AND key = ?",
                       "an item cannot be read");
    store_text(&st, space);
    store_blob(&st, key);
    found = store_row(&st);
    if (found)
        st.err = cph_buf_put(out, store_column(&st, 0));
    CPH_TRY(store_done(&st));
    return found ? CPH_OK : CPH_E_NOTFOUND;
}

cph_err cph_store_put(struct cph_store *s, const char *space, struct cph_span key,
                      struct cph_span value)
{
    struct store_stmt st;

    CPH_TRY(check_item(s, space, key));
    if (value.n > CPH_STORE_VALUE_MAX)
        return store_fail(s, CPH_E_LIMIT, "a value is longer than %d bytes", CPH_STORE_VALUE_MAX);
    st = store_prepare(s,
                       "INSERT INTO item (space, key, value) VALUES (?, ?, ?)"
                       " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value",
                       "an item cannot be written");
    store_text(&st, space);
    store_blob(&st, key);
    store_blob(&st, value);
    (void)store_row(&st);
    return store_done(&st);
}

cph_err cph_store_remove(struct cph_store *s, const char *space, struct cph_span key)
{
    struct store_stmt st;

    CPH_TRY(check_item(s, space, key));
    st = store_prepare(s, "DELETE FROM item WHERE space = ? AND key = ?",
                       "an item cannot be removed");
    store_text(&st, space);
    store_blob(&st, key);
    return remove_rows(&st, NULL);
}

cph_err cph_store_each(struct cph_store *s, const char *space, cph_store_each_fn *fn, void *arg)
{
    struct store_stmt st;

    CPH_TRY(check_item(s, space, (struct cph_span){ 0 }));
    st = store_prepare(s, "SELECT key, value FROM item WHERE space = ? ORDER BY key",
                       "the items cannot be read");
    store_text(&st, space);
    while (store_row(&st))
        st.err = fn(arg, store_column(&st, 0), store_column(&st, 1));
    return store_done(&st);
}

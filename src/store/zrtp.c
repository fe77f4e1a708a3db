/* What lasts between two endpoints from call to call, by the name of the other one. */
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"
#include "ciphony/base_wire.h"
#include "store_int.h"

static cph_err own_get(struct cph_store *s, uint8_t zid[CPH_STORE_ZID])
{
    struct store_stmt st = store_prepare(s, "SELECT zid FROM zrtp_own",
                                         "the name of this endpoint cannot be read");
    bool found = store_row(&st);

    if (found) {
        struct cph_span b = store_column(&st, 0);

        if (b.n == CPH_STORE_ZID)
            memcpy(zid, b.p, b.n);
        else
            st.err = store_fail(s, CPH_E_STORE, "%s: the name of this endpoint is not one we wrote",
                                s->path);
    }
    CPH_TRY(store_done(&st));
    return found ? CPH_OK : CPH_E_NOTFOUND;
}

cph_err cph_store_zrtp_own(struct cph_store *s, uint8_t zid[CPH_STORE_ZID])
{
    struct store_stmt st;
    cph_err err = own_get(s, zid);
    uint8_t fresh[CPH_STORE_ZID];

    if (err != CPH_E_NOTFOUND)
        return err;
    CPH_TRY(cph_random(s->env, fresh, sizeof fresh));
    /* another process may be faster: then its name is ours */
    st = store_prepare(s, "INSERT OR IGNORE INTO zrtp_own (one, zid) VALUES (1, ?)",
                       "the name of this endpoint cannot be written");
    store_blob(&st, (struct cph_span){ fresh, sizeof fresh });
    (void)store_row(&st);
    CPH_TRY(store_done(&st));
    return own_get(s, zid);
}

static void read_secret(struct store_stmt *st, int column, struct cph_secret *out)
{
    struct cph_span b = store_column(st, column);

    if (st->err == CPH_OK && b.n > 0 && cph_secret_set(out, b) != CPH_OK)
        st->err = store_fail(st->s, CPH_E_STORE, "%s: a retained secret is not one we wrote",
                             st->s->path);
}

enum { NAMES = 4, NAME = 256, ALL_NAMES = NAMES * NAME };

static void read_names(struct store_stmt *st, int column, char out[NAMES][NAME])
{
    struct cph_span all = store_column(st, column);

    for (int i = 0; i < NAMES && all.n > 0; i++) {
        struct cph_span one = cph_span_cut(&all, '\n');

        if (cph_span_cstr(one, out[i], NAME) != CPH_OK)
            st->err = store_fail(st->s, CPH_E_STORE, "%s: an address is not one we wrote",
                                 st->s->path);
    }
}

static void write_names(const char in[NAMES][NAME], char out[ALL_NAMES])
{
    struct cph_wr wr = cph_wr_open(out, ALL_NAMES);

    for (int i = 0; i < NAMES; i++) {
        if (!in[i][0])
            continue;
        if (wr.n > 0)
            cph_wr_u8(&wr, '\n');
        cph_wr_text(&wr, in[i]);
    }
    cph_wr_u8(&wr, 0);
}

cph_err cph_store_zrtp_get(struct cph_store *s, const uint8_t zid[CPH_STORE_ZID],
                           struct cph_store_zrtp *out)
{
    struct store_stmt st = store_prepare(
        s, "SELECT rs1, rs2, aux, pbx, verified, expires, peers FROM zrtp WHERE zid = ?",
        "the retained secrets cannot be read");
    bool found;
    cph_err err;

    cph_wipe(out, sizeof *out);
    store_blob(&st, (struct cph_span){ zid, CPH_STORE_ZID });
    found = store_row(&st);
    if (found) {
        read_secret(&st, 0, &out->rs1);
        read_secret(&st, 1, &out->rs2);
        read_secret(&st, 2, &out->aux);
        read_secret(&st, 3, &out->pbx);
        out->verified = sqlite3_column_int64(st.stmt, 4) == 1;
        out->expires = sqlite3_column_int64(st.stmt, 5);
        read_names(&st, 6, out->peer);
    }
    err = store_done(&st);
    if (err != CPH_OK)
        cph_wipe(out, sizeof *out);
    return err != CPH_OK ? err : found ? CPH_OK : CPH_E_NOTFOUND;
}

cph_err cph_store_zrtp_put(struct cph_store *s, const uint8_t zid[CPH_STORE_ZID],
                           const struct cph_store_zrtp *in)
{
    struct store_stmt st =
        store_prepare(s,
                      "INSERT INTO zrtp (zid, rs1, rs2, aux, pbx, verified, expires, peers)"
                      " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                      " ON CONFLICT (zid) DO UPDATE SET rs1 = excluded.rs1, rs2 = excluded.rs2,"
                      " aux = excluded.aux, pbx = excluded.pbx, verified = excluded.verified,"
                      " expires = excluded.expires, peers = excluded.peers",
                      "the retained secrets cannot be kept");
    char names[ALL_NAMES];

    write_names(in->peer, names);
    store_blob(&st, (struct cph_span){ zid, CPH_STORE_ZID });
    store_blob(&st, cph_secret_span(&in->rs1));
    store_blob(&st, cph_secret_span(&in->rs2));
    store_blob(&st, cph_secret_span(&in->aux));
    store_blob(&st, cph_secret_span(&in->pbx));
    store_int(&st, in->verified ? 1 : 0);
    store_int(&st, in->expires);
    store_text(&st, names);
    (void)store_row(&st);
    CPH_TRY(store_done(&st));
    store_cut_log(s);
    return CPH_OK;
}

cph_err cph_store_zrtp_other(struct cph_store *s, const char *peer,
                             const uint8_t zid[CPH_STORE_ZID])
{
    struct store_stmt st =
        store_prepare(s,
                      "SELECT 1 FROM zrtp WHERE zid <> ? AND"
                      " (verified = 1 OR (length(rs1) > 0 AND expires > ?)) AND"
                      " instr(char(10) || peers || char(10), char(10) || ? || char(10)) > 0",
                      "the retained secrets cannot be read");
    bool found;

    store_blob(&st, (struct cph_span){ zid, CPH_STORE_ZID });
    store_int(&st, cph_wall(s->env));
    store_text(&st, peer);
    found = store_row(&st);
    CPH_TRY(store_done(&st));
    return found ? CPH_OK : CPH_E_NOTFOUND;
}

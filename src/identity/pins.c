#include "ciphony/identity_device.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_addr.h"
#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/store.h"

/* ---- the one spelling of a peer -------------------------------------------------------------- */

/* RFC 3261 25.1: unreserved; an escape of one of these says the same as the character (19.1.4). */
static bool unreserved(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("-_.!~*'()", c));
}

static bool printable(uint8_t c)
{
    return c > 0x20 && c != 0x7f && c != '<' && c != '>' && c != '"';
}

static cph_err write_user(struct cph_wr *wr, struct cph_span user)
{
    user = cph_span_cut(&user, ':'); /* a password is not part of who somebody is */
    if (user.n == 0)
        return CPH_E_MALFORMED;
    for (size_t i = 0; i < user.n; i++) {
        uint8_t c = user.p[i], byte;
        size_t n;

        if (!printable(c) || c == '@')
            return CPH_E_MALFORMED;
        if (c != '%') {
            cph_wr_u8(wr, c);
            continue;
        }
        if (cph_unhex(cph_span_head(cph_span_from(user, i + 1), 2), &byte, 1, &n) != CPH_OK ||
            n != 1)
            return CPH_E_MALFORMED;
        if (unreserved(byte))
            cph_wr_u8(wr, byte);
        else
            cph_wr_fmt(wr, "%%%02X", byte);
        i += 2;
    }
    cph_wr_u8(wr, '@');
    return CPH_OK;
}

/* Lower case; a single dot at the end says only that the name is absolute. */
static cph_err write_host(struct cph_wr *wr, struct cph_span host)
{
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0)
        return CPH_E_MALFORMED;
    for (size_t i = 0; i < host.n; i++) {
        uint8_t c = host.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == '_' || c >= 0x80;

        if (!ok || (c == '.' && (i == 0 || host.p[i - 1] == '.')))
            return CPH_E_MALFORMED;
        cph_wr_u8(wr, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
    }
    return CPH_OK;
}

/* "[...]" holds an IPv6 address, which has many spellings: write the system's. */
static cph_err write_hostport(struct cph_wr *wr, struct cph_span s)
{
    struct cph_addr a;
    char text[CPH_ADDR_TEXT];
    uint32_t port = 0;

    if (cph_span_starts(s, "[")) {
        struct cph_span rest = cph_span_from(s, 1), ip = cph_span_cut(&rest, ']');

        CPH_TRY(cph_addr_parse_ip(ip, &a));
        if (a.family != CPH_AF_V6 || (rest.n > 0 && rest.p[0] != ':') || ip.n + 2 > s.n)
            return CPH_E_MALFORMED;
        cph_wr_fmt(wr, "[%s]", cph_addr_ip(&a, text));
        s = rest.n > 0 ? cph_span_from(rest, 1) : rest;
        if (rest.n > 0 && s.n == 0)
            return CPH_E_MALFORMED;
    } else {
        size_t colon = cph_span_find(s, ':');
        struct cph_span host = cph_span_head(s, colon);

        if (colon + 1 == s.n)
            return CPH_E_MALFORMED;
        CPH_TRY(write_host(wr, host));
        s = cph_span_from(s, colon + 1);
    }
    if (s.n == 0)
        return CPH_OK;
    if (cph_span_u32(s, &port) != CPH_OK || port == 0 || port > 65535)
        return CPH_E_MALFORMED;
    cph_wr_fmt(wr, ":%u", (unsigned)port);
    return CPH_OK;
}

/* Does s begin with this scheme and its colon, in any case? */
static bool scheme(struct cph_span s, const char *name)
{
    return cph_span_iis(cph_span_head(s, strlen(name)), name);
}

cph_err cph_peer_name(struct cph_span uri, char *out)
{
    struct cph_wr wr = cph_wr_open(out, CPH_PEER_MAX);
    struct cph_span s = cph_span_trim(uri);
    size_t at;

    if (scheme(s, "sip:"))
        s = cph_span_from(s, 4);
    else if (scheme(s, "sips:"))
        s = cph_span_from(s, 5);
    at = cph_span_find(s, '@');
    cph_wr_text(&wr, "sip:");
    if (at < s.n) {
        CPH_TRY(write_user(&wr, cph_span_head(s, at)));
        s = cph_span_from(s, at + 1);
    }
    s = cph_span_head(s, cph_span_find(s, ';'));
    s = cph_span_head(s, cph_span_find(s, '?'));
    CPH_TRY(write_hostport(&wr, s));
    cph_wr_u8(&wr, 0);
    return wr.failed ? CPH_E_LIMIT : CPH_OK;
}

/* ---- keeping --------------------------------------------------------------------------------- */

_Static_assert((int)CPH_PIN_SEEN == (int)CPH_STORE_SEEN, "the store's words and ours agree");
_Static_assert((int)CPH_PIN_PINNED == (int)CPH_STORE_PINNED, "the store's words and ours agree");
_Static_assert((int)CPH_PIN_PAIRED == (int)CPH_STORE_PAIRED, "the store's words and ours agree");

cph_err cph_pins_add(struct cph_store *store, const struct cph_env *env, struct cph_span peer,
                     const struct cph_fingerprint *fp, enum cph_pin_how how, const char *by)
{
    struct cph_store_pin row = { .fp_n = fp->n,
                                 .how = (enum cph_store_how)how,
                                 .since = cph_wall(env) };

    if (!cph_fp_hash_suffices(fp->hash))
        return CPH_E_POLICY;
    if (fp->n > sizeof row.fp)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_peer_name(peer, row.peer));
    CPH_TRY(cph_span_cstr(cph_span_of(cph_fp_hash_name(fp->hash)), row.alg, sizeof row.alg));
    memcpy(row.fp, fp->b, fp->n);
    (void)snprintf(row.by, sizeof row.by, "%s", by ? by : "");
    return cph_store_pin_put(store, &row);
}

cph_err cph_pins_remove(struct cph_store *store, struct cph_span peer,
                        const struct cph_fingerprint *fp, size_t *n)
{
    struct cph_span bytes = fp ? (struct cph_span){ fp->b, fp->n } : (struct cph_span){ 0 };
    char name[CPH_PEER_MAX];

    CPH_TRY(cph_peer_name(peer, name));
    return cph_store_pin_remove(store, name, fp ? cph_fp_hash_name(fp->hash) : NULL, bytes, n);
}

/* A row that we would not have written is an error, never skipped: it may be the one that warns. */
static cph_err from_row(const struct cph_store_pin *row, struct cph_pin *out)
{
    struct cph_pin p = { .how = (enum cph_pin_how)row->how, .since = row->since };

    for (int h = CPH_FP_SHA256; h <= CPH_FP_SHA512; h++)
        if (strcmp(row->alg, cph_fp_hash_name((enum cph_fp_hash)h)) == 0)
            p.fp.hash = (enum cph_fp_hash)h;
    if (p.fp.hash == CPH_FP_NONE || row->fp_n > sizeof p.fp.b)
        return CPH_E_STORE;
    p.fp.n = (uint8_t)row->fp_n;
    memcpy(p.fp.b, row->fp, row->fp_n);
    memcpy(p.peer, row->peer, sizeof p.peer);
    memcpy(p.by, row->by, sizeof p.by);
    *out = p;
    return CPH_OK;
}

struct walk {
    cph_pins_fn *fn;
    void *arg;
};

static cph_err pass_on(void *arg, const struct cph_store_pin *row)
{
    const struct walk *w = arg;
    struct cph_pin p;

    CPH_TRY(from_row(row, &p));
    return w->fn(w->arg, &p);
}

cph_err cph_pins_each(struct cph_store *store, struct cph_span peer, cph_pins_fn *fn, void *arg)
{
    struct walk w = { fn, arg };
    char name[CPH_PEER_MAX];

    if (peer.n == 0)
        return cph_store_pin_each(store, NULL, pass_on, &w);
    CPH_TRY(cph_peer_name(peer, name));
    return cph_store_pin_each(store, name, pass_on, &w);
}

/* ---- checking -------------------------------------------------------------------------------- */

struct compare {
    const struct cph_cert *cert; /* one of these two */
    const struct cph_fingerprint *fp;
    struct cph_pin_check found;
};

static cph_err compare(void *arg, const struct cph_pin *pin)
{
    struct compare *c = arg;
    struct cph_pin_check *f = &c->found;
    struct cph_fingerprint own = { 0 };
    bool same;

    if (c->cert)
        CPH_TRY(cph_cert_fingerprint(c->cert, pin->fp.hash, &own));
    same = cph_fingerprint_eq(c->cert ? &own : c->fp, &pin->fp);
    if (f->result == CPH_PIN_MATCH && (!same || pin->how <= f->how))
        return CPH_OK; /* a match is not undone, and the strongest one counts */
    if (same || f->result == CPH_PIN_UNKNOWN || pin->how > f->how)
        *f = (struct cph_pin_check){ same ? CPH_PIN_MATCH : CPH_PIN_MISMATCH, pin->how,
                                     pin->since };
    return CPH_OK;
}

static cph_err check(struct cph_store *store, struct cph_span peer, struct compare *c,
                     struct cph_pin_check *out)
{
    if (peer.n == 0)
        return CPH_E_MALFORMED; /* empty would walk over everybody's */
    CPH_TRY(cph_pins_each(store, peer, compare, c));
    *out = c->found;
    return CPH_OK;
}

cph_err cph_pins_check(struct cph_store *store, struct cph_span peer, const struct cph_cert *cert,
                       struct cph_pin_check *out)
{
    struct compare c = { .cert = cert };

    return check(store, peer, &c, out);
}

cph_err cph_pins_check_fp(struct cph_store *store, struct cph_span peer,
                          const struct cph_fingerprint *fp, struct cph_pin_check *out)
{
    struct compare c = { .fp = fp };

    return check(store, peer, &c, out);
}

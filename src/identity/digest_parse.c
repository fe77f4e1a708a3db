#include "digest_int.h"

#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

static const struct auth_row rows[CPH_AUTH_N_ALGS] = {
    [CPH_AUTH_MD5] = { "MD5", CPH_DIGEST_MD5, false },
    [CPH_AUTH_MD5_SESS] = { "MD5-sess", CPH_DIGEST_MD5, true },
    [CPH_AUTH_SHA256] = { "SHA-256", CPH_DIGEST_SHA256, false },
    [CPH_AUTH_SHA256_SESS] = { "SHA-256-sess", CPH_DIGEST_SHA256, true },
    [CPH_AUTH_SHA512_256] = { "SHA-512-256", CPH_DIGEST_SHA512_256, false },
    [CPH_AUTH_SHA512_256_SESS] = { "SHA-512-256-sess", CPH_DIGEST_SHA512_256, true },
};

const struct auth_row *auth_row(enum cph_auth_alg alg)
{
    return &rows[alg];
}

bool auth_same_hash(enum cph_auth_alg a, enum cph_auth_alg b)
{
    return rows[a].hash == rows[b].hash;
}

const char *cph_auth_alg_name(enum cph_auth_alg alg)
{
    return (size_t)alg < CPH_AUTH_N_ALGS ? rows[alg].name : "";
}

cph_err cph_auth_alg_find(struct cph_span name, enum cph_auth_alg *out)
{
    for (size_t i = 0; i < CPH_AUTH_N_ALGS; i++) {
        if (cph_span_iis(name, rows[i].name)) {
            *out = (enum cph_auth_alg)i;
            return CPH_OK;
        }
    }
    return CPH_E_UNSUPPORTED;
}

const char *auth_qop_name(enum cph_auth_qop qop)
{
    return qop == CPH_AUTH_QOP_AUTH_INT ? "auth-int" : qop == CPH_AUTH_QOP_AUTH ? "auth" : "";
}

/* ---- quoted text ----------------------------------------------------------------------------- */

struct cph_span auth_span(const struct auth_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

cph_err auth_unquote(struct cph_span raw, struct auth_text *out)
{
    out->n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n)
            i++;
        if (out->n == sizeof out->b)
            return CPH_E_LIMIT;
        out->b[out->n++] = raw.p[i];
    }
    return CPH_OK;
}

void auth_wr_quoted(struct cph_wr *wr, struct cph_span plain)
{
    cph_wr_text(wr, "\"");
    for (size_t i = 0; i < plain.n; i++) {
        uint8_t c = plain.p[i];

        if (c == '\r' || c == '\n' || c == 0)
            wr->failed = true;
        if (c == '"' || c == '\\')
            cph_wr_u8(wr, '\\');
        cph_wr_u8(wr, c);
    }
    cph_wr_text(wr, "\"");
}

/* ---- parameters ------------------------------------------------------------------------------ */

enum param {
    P_ALGORITHM,
    P_CNONCE,
    P_DOMAIN,
    P_NC,
    P_NEXTNONCE,
    P_NONCE,
    P_OPAQUE,
    P_QOP,
    P_REALM,
    P_RESPONSE,
    P_RSPAUTH,
    P_STALE,
    P_URI,
    P_USERHASH,
    P_USERNAME,
    P_USERNAME_EXT,
    P_N
};

/* must: the grammar gives it quotes and nothing else (RFC 7616 3.3, 3.4). */
static const struct {
    const char *name;
    bool must_quote;
} params[P_N] = {
    [P_ALGORITHM] = { "algorithm", false },
    [P_CNONCE] = { "cnonce", true },
    [P_DOMAIN] = { "domain", true },
    [P_NC] = { "nc", false },
    [P_NEXTNONCE] = { "nextnonce", true },
    [P_NONCE] = { "nonce", true },
    [P_OPAQUE] = { "opaque", true },
    [P_QOP] = { "qop", false },
    [P_REALM] = { "realm", true },
    [P_RESPONSE] = { "response", true },
    [P_RSPAUTH] = { "rspauth", true },
    [P_STALE] = { "stale", false },
    [P_URI] = { "uri", true },
    [P_USERHASH] = { "userhash", false },
    [P_USERNAME] = { "username", true },
    [P_USERNAME_EXT] = { "username*", false },
};

struct found {
    bool has[P_N];
    struct cph_span v[P_N]; /* between the quotes, if there were any */
};

static bool is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("-.!%*_+`'~", c));
}

static void skip_ws(struct cph_span *s)
{
    while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = cph_span_from(*s, 1);
}

static struct cph_span take_token(struct cph_span *s)
{
    struct cph_span t;
    size_t n = 0;

    while (n < s->n && is_token(s->p[n]))
        n++;
    t = cph_span_head(*s, n);
    *s = cph_span_from(*s, n);
    return t;
}

static bool take(struct cph_span *s, uint8_t c)
{
    skip_ws(s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = cph_span_from(*s, 1);
    skip_ws(s);
    return true;
}

/* "..." at the front of s; what lies between the quotes. */
static cph_err take_quoted(struct cph_span *s, struct cph_span *inside)
{
    size_t i = 1;

    for (; i < s->n && s->p[i] != '"'; i++) {
        uint8_t c = s->p[i];

        if (c == '\\' && ++i == s->n)
            return CPH_E_MALFORMED;
        if (s->p[i] == '\r' || s->p[i] == '\n' || s->p[i] == 0 || (c < 0x20 && c != '\t') ||
            c == 0x7f)
            return CPH_E_MALFORMED;
    }
    if (i >= s->n)
        return CPH_E_MALFORMED;
    *inside = (struct cph_span){ s->p + 1, i - 1 };
    *s = cph_span_from(*s, i + 1);
    return CPH_OK;
}

static cph_err keep(struct found *f, struct cph_span name, struct cph_span value, bool quoted)
{
    for (size_t i = 0; i < P_N; i++) {
        if (!cph_span_iis(name, params[i].name))
            continue;
        if (f->has[i] || (params[i].must_quote && !quoted))
            return CPH_E_MALFORMED;
        f->has[i] = true;
        f->v[i] = value;
    }
    return CPH_OK;
}

/* name=value *("," name=value) */
static cph_err take_params(struct cph_span s, struct found *f)
{
    struct cph_span names[CPH_AUTH_PARAMS_MAX], value;

    for (size_t n = 0;; n++) {
        bool quoted;

        skip_ws(&s);
        if (n == CPH_AUTH_PARAMS_MAX)
            return CPH_E_LIMIT;
        names[n] = take_token(&s);
        if (names[n].n == 0 || !take(&s, '='))
            return CPH_E_MALFORMED;
        for (size_t i = 0; i < n; i++) {
            if (cph_span_ieq(names[i], names[n]))
                return CPH_E_MALFORMED;
        }
        quoted = s.n > 0 && s.p[0] == '"';
        if (quoted)
            CPH_TRY(take_quoted(&s, &value));
        else
            value = take_token(&s);
        if (!quoted && value.n == 0)
            return CPH_E_MALFORMED;
        CPH_TRY(keep(f, names[n], value, quoted));
        skip_ws(&s);
        if (s.n == 0)
            return CPH_OK;
        if (!take(&s, ','))
            return CPH_E_MALFORMED;
    }
}

static cph_err take_digest(struct cph_span value, struct found *f)
{
    struct cph_span s = cph_span_trim(value), scheme;

    if (s.n > CPH_AUTH_VALUE_MAX)
        return CPH_E_LIMIT;
    scheme = take_token(&s);
    if (scheme.n == 0 || s.n == 0 || (s.p[0] != ' ' && s.p[0] != '\t'))
        return CPH_E_MALFORMED;
    /* RFC 8760 2.6 MUST: no Basic; nor anything else */
    if (!cph_span_iis(scheme, "Digest"))
        return CPH_E_UNSUPPORTED;
    return take_params(s, f);
}

static bool is_lhex(struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    }
    return s.n > 0;
}

/* nc-value = 8LHEX */
static cph_err nc_value(struct cph_span s, uint32_t *out)
{
    uint32_t v = 0;

    if (s.n != 8 || !is_lhex(s))
        return CPH_E_MALFORMED;
    for (size_t i = 0; i < 8; i++)
        v = v << 4 | (uint32_t)(s.p[i] <= '9' ? s.p[i] - '0' : s.p[i] - 'a' + 10);
    if (v == 0)
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

static cph_err one_qop(const struct found *f, enum cph_auth_qop *qop)
{
    *qop = CPH_AUTH_QOP_NONE;
    if (!f->has[P_QOP])
        return CPH_OK;
    if (cph_span_iis(f->v[P_QOP], "auth"))
        *qop = CPH_AUTH_QOP_AUTH;
    else if (cph_span_iis(f->v[P_QOP], "auth-int"))
        *qop = CPH_AUTH_QOP_AUTH_INT;
    else
        return CPH_E_UNSUPPORTED;
    return CPH_OK;
}

static cph_err algorithm(const struct found *f, enum cph_auth_alg *alg)
{
    *alg = CPH_AUTH_MD5; /* RFC 7616 3.3: if it is not present */
    return f->has[P_ALGORITHM] ? cph_auth_alg_find(f->v[P_ALGORITHM], alg) : CPH_OK;
}

static bool too_long(struct cph_span s)
{
    return s.n > CPH_AUTH_TEXT_MAX;
}

/* ---- the three headers ----------------------------------------------------------------------- */

cph_err cph_auth_challenge_parse(struct cph_span value, struct cph_auth_challenge *out)
{
    struct found f = { 0 };
    struct cph_auth_challenge c = { 0 };

    CPH_TRY(take_digest(value, &f));
    if (!f.has[P_REALM] || !f.has[P_NONCE])
        return CPH_E_MALFORMED;
    c.realm = f.v[P_REALM];
    c.nonce = f.v[P_NONCE];
    c.opaque = f.v[P_OPAQUE];
    c.domain = f.v[P_DOMAIN];
    c.has_opaque = f.has[P_OPAQUE];
    c.stale = f.has[P_STALE] && cph_span_iis(f.v[P_STALE], "true");
    c.has_qop = f.has[P_QOP];
    if (too_long(c.realm) || too_long(c.nonce) || too_long(c.opaque))
        return CPH_E_LIMIT;
    CPH_TRY(algorithm(&f, &c.alg));
    while (f.v[P_QOP].n > 0) { /* RFC 7616 3.3 MUST: unknown options are ignored */
        struct cph_span one = cph_span_trim(cph_span_cut(&f.v[P_QOP], ','));

        c.qop_auth = c.qop_auth || cph_span_iis(one, "auth");
        c.qop_auth_int = c.qop_auth_int || cph_span_iis(one, "auth-int");
    }
    if (c.has_qop && !c.qop_auth && !c.qop_auth_int)
        return CPH_E_UNSUPPORTED;
    *out = c;
    return CPH_OK;
}

cph_err cph_auth_response_parse(struct cph_span value, struct cph_auth_response *out)
{
    struct found f = { 0 };
    struct cph_auth_response r = { 0 };

    CPH_TRY(take_digest(value, &f));
    if (f.has[P_USERNAME_EXT]) /* RFC 7616 3.4 MUST: both forms are an error; alone we do not know
                                  it */
        return f.has[P_USERNAME] ? CPH_E_MALFORMED : CPH_E_UNSUPPORTED;
    if (!f.has[P_USERNAME] || !f.has[P_REALM] || !f.has[P_NONCE] || !f.has[P_URI] ||
        !f.has[P_RESPONSE])
        return CPH_E_MALFORMED;
    r.username = f.v[P_USERNAME];
    r.realm = f.v[P_REALM];
    r.nonce = f.v[P_NONCE];
    r.uri = f.v[P_URI];
    r.response = f.v[P_RESPONSE];
    r.cnonce = f.v[P_CNONCE];
    r.opaque = f.v[P_OPAQUE];
    r.has_opaque = f.has[P_OPAQUE];
    r.has_alg = f.has[P_ALGORITHM];
    if (too_long(r.username) || too_long(r.realm) || too_long(r.nonce) || too_long(r.cnonce))
        return CPH_E_LIMIT;
    CPH_TRY(algorithm(&f, &r.alg));
    CPH_TRY(one_qop(&f, &r.qop));
    if (f.has[P_USERHASH] && cph_span_iis(f.v[P_USERHASH], "true"))
        return CPH_E_UNSUPPORTED; /* never asked for */
    if (r.qop != CPH_AUTH_QOP_NONE) {
        /* RFC 7616 3.4 MUST: cnonce and nc come with qop */
        if (r.cnonce.n == 0 || !f.has[P_NC])
            return CPH_E_MALFORMED;
        CPH_TRY(nc_value(f.v[P_NC], &r.nc));
    } else if (rows[r.alg].sess) {
        return CPH_E_MALFORMED; /* RFC 3261 22.4 (8): -sess needs the cnonce, and so qop */
    }
    if (!is_lhex(r.response))
        return CPH_E_MALFORMED;
    *out = r;
    return CPH_OK;
}

cph_err cph_auth_info_parse(struct cph_span value, struct cph_auth_info *out)
{
    struct found f = { 0 };
    struct cph_auth_info i = { 0 };

    if (value.n > CPH_AUTH_VALUE_MAX)
        return CPH_E_LIMIT;
    CPH_TRY(take_params(value, &f));
    i.nextnonce = f.v[P_NEXTNONCE];
    i.rspauth = f.v[P_RSPAUTH];
    i.cnonce = f.v[P_CNONCE];
    if (too_long(i.nextnonce) || too_long(i.cnonce))
        return CPH_E_LIMIT;
    CPH_TRY(one_qop(&f, &i.qop));
    if (f.has[P_NC])
        CPH_TRY(nc_value(f.v[P_NC], &i.nc));
    if (f.has[P_RSPAUTH] && !is_lhex(i.rspauth))
        return CPH_E_MALFORMED;
    /* RFC 7616 3.5 MUST: with qop the three come together */
    if (i.qop != CPH_AUTH_QOP_NONE && (i.rspauth.n == 0 || i.cnonce.n == 0 || i.nc == 0))
        return CPH_E_MALFORMED;
    *out = i;
    return CPH_OK;
}

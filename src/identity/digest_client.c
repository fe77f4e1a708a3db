#include "digest_int.h"

#include <stdlib.h>
#include <string.h>

enum {
    CNONCE_DIGITS = 32,
    TRIES_MAX =
        4, /* stale answers in a row before we believe that the server will never be content */
};

/* One realm whose challenge we answer. Texts as they came, escapes in, to be sent back as they are.
 */
struct session {
    bool proxy;
    enum cph_auth_alg alg;
    enum cph_auth_qop qop;
    struct auth_text realm, nonce, opaque;
    bool has_opaque;
    char cnonce[CNONCE_DIGITS + 1];
    struct cph_secret ha1; /* with -sess, made with the nonce of the challenge */
    uint32_t nc;
    unsigned tries; /* answered and not accepted since */
};

struct cph_auth_client {
    const struct cph_env *env;
    struct auth_text username, realm;
    struct cph_auth_secret secret;
    unsigned algs;
    bool prefer_auth_int;
    size_t n;
    struct session session[CPH_AUTH_REALMS_MAX];
};

static cph_err set_text(struct auth_text *t, struct cph_span s)
{
    if (s.n > sizeof t->b)
        return CPH_E_LIMIT;
    if (s.n > 0)
        memcpy(t->b, s.p, s.n);
    t->n = s.n;
    return CPH_OK;
}

cph_err cph_auth_client_new(const struct cph_auth_client_cfg *cfg, const struct cph_env *env,
                            struct cph_auth_client **out)
{
    struct cph_auth_client *c = calloc(1, sizeof *c);
    cph_err err;

    if (!c)
        return CPH_E_NOMEM;
    c->env = env;
    c->secret = *cfg->secret;
    c->algs = cfg->algs != 0 ? cfg->algs : CPH_AUTH_ALL;
    c->prefer_auth_int = cfg->prefer_auth_int;
    err = set_text(&c->username, cfg->username);
    if (err == CPH_OK)
        err = set_text(&c->realm, cfg->realm);
    if (err != CPH_OK) {
        cph_auth_client_free(c);
        return err;
    }
    *out = c;
    return CPH_OK;
}

void cph_auth_client_free(struct cph_auth_client *c)
{
    cph_free_secret(c, sizeof *c);
}

/* ---- taking a challenge ---------------------------------------------------------------------- */

static bool same_realm(struct cph_span raw_a, struct cph_span raw_b)
{
    struct auth_text a, b;

    return auth_unquote(raw_a, &a) == CPH_OK && auth_unquote(raw_b, &b) == CPH_OK &&
           cph_span_eq(auth_span(&a), auth_span(&b));
}

static bool can_answer(const struct cph_auth_client *c, const struct cph_auth_challenge *ch)
{
    struct auth_text realm;

    if (!(c->algs & CPH_AUTH_BIT(ch->alg)))
        return false;
    if (c->secret.is_ha1 && !auth_same_hash(c->secret.ha1_alg, ch->alg))
        return false;
    if (auth_row(ch->alg)->sess && !ch->has_qop)
        return false;
    if (auth_unquote(ch->realm, &realm) != CPH_OK)
        return false;
    return c->realm.n == 0 || cph_span_eq(auth_span(&c->realm), auth_span(&realm));
}

static unsigned strength(enum cph_auth_alg alg)
{
    return (unsigned)alg / 2; /* -sess is no stronger */
}

static struct session *find(struct cph_auth_client *c, bool proxy, struct cph_span realm)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->session[i].proxy == proxy && same_realm(auth_span(&c->session[i].realm), realm))
            return &c->session[i];
    }
    return NULL;
}

static cph_err input_of(const struct session *s, struct auth_text *nonce, struct auth_input *in)
{
    CPH_TRY(auth_unquote(auth_span(&s->nonce), nonce));
    *in = (struct auth_input){
        .alg = s->alg,
        .qop = s->qop,
        .nc = s->nc,
        .nonce = auth_span(nonce),
        .cnonce = cph_span_of(s->cnonce),
    };
    return CPH_OK;
}

/* Begin to answer a challenge. On error the session is as it was. */
static cph_err begin(struct cph_auth_client *c, bool proxy, const struct cph_auth_challenge *ch,
                     unsigned tries, struct session *s)
{
    struct session next = { .proxy = proxy, .alg = ch->alg, .tries = tries };
    struct auth_text realm, nonce;
    struct auth_input in;
    cph_err err;

    next.has_opaque = ch->has_opaque;
    if (ch->has_qop)
        next.qop = ch->qop_auth_int && (c->prefer_auth_int || !ch->qop_auth) ? CPH_AUTH_QOP_AUTH_INT
                                                                             : CPH_AUTH_QOP_AUTH;
    CPH_TRY(set_text(&next.realm, ch->realm));
    CPH_TRY(set_text(&next.nonce, ch->nonce));
    CPH_TRY(set_text(&next.opaque, ch->opaque));
    CPH_TRY(auth_unquote(ch->realm, &realm));
    CPH_TRY(cph_random_hex(c->env, next.cnonce, CNONCE_DIGITS));
    CPH_TRY(input_of(&next, &nonce, &in));
    err = auth_a1(&c->secret, auth_span(&c->username), auth_span(&realm), &in, &next.ha1);
    if (err == CPH_OK)
        *s = next;
    cph_secret_wipe(&next.ha1);
    return err;
}

static cph_err take(struct cph_auth_client *c, bool proxy, const struct cph_auth_challenge *ch)
{
    struct session *s = find(c, proxy, ch->realm);
    unsigned tries = s ? s->tries : 0;

    if (tries > 0 && (!ch->stale || tries >= TRIES_MAX))
        return CPH_E_AUTH;
    if (s)
        return begin(c, proxy, ch, tries, s);
    if (c->n == CPH_AUTH_REALMS_MAX)
        return CPH_E_LIMIT;
    CPH_TRY(begin(c, proxy, ch, 0, &c->session[c->n]));
    c->n++;
    return CPH_OK;
}

/* The best of the values from `at` on with the realm of values[at]; false if that realm was met
 * before. */
static bool best_of_realm(const struct cph_auth_client *c, const struct cph_span *values, size_t n,
                          size_t at, struct cph_auth_challenge *best)
{
    struct cph_auth_challenge ch;

    if (cph_auth_challenge_parse(values[at], best) != CPH_OK || !can_answer(c, best))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i == at || cph_auth_challenge_parse(values[i], &ch) != CPH_OK || !can_answer(c, &ch) ||
            !same_realm(ch.realm, best->realm))
            continue;
        if (i < at)
            return false;
        if (strength(ch.alg) > strength(best->alg))
            *best = ch;
    }
    return true;
}

cph_err cph_auth_client_challenge(struct cph_auth_client *c, bool proxy,
                                  const struct cph_span *values, size_t n)
{
    struct cph_auth_challenge best;
    size_t taken = 0;

    /* RFC 8760 2.4 MUST: a challenge that is not understood is ignored */
    for (size_t i = 0; i < n && i < CPH_AUTH_PARAMS_MAX; i++) {
        if (!best_of_realm(c, values, n < CPH_AUTH_PARAMS_MAX ? n : CPH_AUTH_PARAMS_MAX, i, &best))
            continue;
        CPH_TRY(take(c, proxy, &best));
        taken++;
    }
    return taken > 0 ? CPH_OK : CPH_E_UNSUPPORTED;
}

bool cph_auth_client_ready(const struct cph_auth_client *c)
{
    return c->n > 0;
}

void cph_auth_client_accepted(struct cph_auth_client *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->session[i].tries = 0;
}

/* ---- answering ------------------------------------------------------------------------------- */

static void wr_raw(struct cph_wr *wr, const char *name, struct cph_span raw)
{
    cph_wr_text(wr, name);
    cph_wr_text(wr, "=\"");
    cph_wr_span(wr, raw);
    cph_wr_text(wr, "\"");
}

static cph_err authorize(struct cph_auth_client *c, struct session *s, struct cph_span method,
                         struct cph_span uri, struct cph_span body, struct cph_wr *wr)
{
    char response[CPH_AUTH_HEX_MAX + 1];
    struct auth_text nonce;
    struct auth_input in;

    if (s->nc == UINT32_MAX)
        return CPH_E_LIMIT;
    s->nc++;
    s->tries++;
    CPH_TRY(input_of(s, &nonce, &in));
    in.method = method;
    in.uri = uri;
    in.body = body;
    CPH_TRY(auth_response(&s->ha1, &in, response));
    cph_wr_text(wr, s->proxy ? "Proxy-Authorization" : "Authorization");
    cph_wr_text(wr, ": Digest username=");
    auth_wr_quoted(wr, auth_span(&c->username));
    wr_raw(wr, ", realm", auth_span(&s->realm));
    wr_raw(wr, ", nonce", auth_span(&s->nonce));
    wr_raw(wr, ", uri", uri); /* RFC 8760 2.6 MUST: in quotation marks */
    wr_raw(wr, ", response", cph_span_of(response));
    cph_wr_fmt(wr, ", algorithm=%s", cph_auth_alg_name(s->alg));
    if (s->has_opaque)
        wr_raw(wr, ", opaque", auth_span(&s->opaque));
    if (s->qop !=
        CPH_AUTH_QOP_NONE) /* RFC 3261 22.4 (8) MUST: qop goes back if it came, else no cnonce */
        cph_wr_fmt(wr, ", cnonce=\"%s\", qop=%s, nc=%08x", s->cnonce, auth_qop_name(s->qop), s->nc);
    cph_wr_text(wr, "\r\n");
    return CPH_OK;
}

cph_err cph_auth_client_authorize(struct cph_auth_client *c, struct cph_span method,
                                  struct cph_span uri, struct cph_span body, struct cph_wr *wr)
{
    for (size_t i = 0; i < uri.n; i++) {
        if (uri.p[i] <= ' ' || uri.p[i] == '"' || uri.p[i] == '\\' || uri.p[i] == 0x7f)
            return CPH_E_ARGUMENT;
    }
    for (size_t i = 0; i < c->n; i++)
        CPH_TRY(authorize(c, &c->session[i], method, uri, body, wr));
    return cph_wr_end(wr);
}

/* ---- the server's proof ---------------------------------------------------------------------- */

static cph_err check_rspauth(const struct session *s, const struct cph_auth_info *info,
                             struct cph_span uri, struct cph_span body)
{
    char want[CPH_AUTH_HEX_MAX + 1];
    struct auth_text nonce;
    struct auth_input in;

    /* RFC 7616 3.5 MUST: cnonce and nc are those of a request we made */
    if (info->qop != s->qop || (s->qop != CPH_AUTH_QOP_NONE && (info->nc == 0 || info->nc > s->nc)))
        return CPH_E_AUTH;
    CPH_TRY(input_of(s, &nonce, &in));
    in.nc = info->nc;
    in.uri = uri;
    in.body = body;
    CPH_TRY(auth_response(&s->ha1, &in, want));
    return cph_ct_eq(cph_span_of(want), info->rspauth) ? CPH_OK : CPH_E_AUTH;
}

cph_err cph_auth_client_info(struct cph_auth_client *c, bool proxy, struct cph_span value,
                             struct cph_span uri, struct cph_span body)
{
    struct cph_auth_info info;
    struct session *s = NULL;
    cph_err err = CPH_E_NOTFOUND;

    CPH_TRY(cph_auth_info_parse(value, &info));
    for (size_t i = 0; i < c->n && !s; i++) {
        if (c->session[i].proxy == proxy &&
            (info.cnonce.n == 0 || cph_span_is(info.cnonce, c->session[i].cnonce)))
            s = &c->session[i];
    }
    if (!s)
        return info.rspauth.n > 0 ? CPH_E_AUTH : CPH_E_NOTFOUND;
    if (info.rspauth.n > 0)
        err = check_rspauth(s, &info, uri, body);
    if (info.nextnonce.n > 0 && (err == CPH_OK || err == CPH_E_NOTFOUND)) {
        CPH_TRY(set_text(&s->nonce, info.nextnonce));
        s->nc = 0;
    }
    return err;
}

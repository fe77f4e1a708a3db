#include "digest_int.h"

#include <stdlib.h>
#include <string.h>

/*
 * A nonce is text of its own proof, in hex; nothing is kept for one that was only handed out:
 *
 *   8 bytes         8 bytes   16 bytes
 *  +---------------+---------+----------------------------------------------+
 *  | issued, sec.  | random  | HMAC-SHA-256(key, issued random realm), half |
 *  +---------------+---------+----------------------------------------------+
 */
enum { ID = 16, MAC = 16, NONCE = ID + MAC, KEY = 32 };

/* The counts seen of a nonce that was used rightly at least once. */
struct seen {
    bool used;
    uint8_t id[ID];
    uint64_t issued;
    uint32_t top;    /* highest count */
    uint64_t window; /* bit i: top - i was used */
};

struct cph_auth_server {
    const struct cph_env *env;
    struct auth_text realm;
    enum cph_auth_alg alg[CPH_AUTH_N_ALGS];
    size_t n_alg;
    uint32_t lifetime_s;
    bool auth_int, accept_no_qop;
    struct cph_secret key;
    struct cph_auth_secret nobody; /* what an unknown user's answer is compared with */
    uint64_t floor;                /* a nonce issued before and not in the table was forgotten */
    size_t n_seen;
    struct seen *seen;
};

static const enum cph_auth_alg default_algs[] = { CPH_AUTH_SHA256, CPH_AUTH_MD5 };

static cph_err configure(struct cph_auth_server *s, const struct cph_auth_server_cfg *cfg)
{
    const enum cph_auth_alg *algs = cfg->algs ? cfg->algs : default_algs;

    s->n_alg = cfg->algs ? cfg->n_algs : sizeof default_algs / sizeof *default_algs;
    if (s->n_alg == 0 || s->n_alg > CPH_AUTH_N_ALGS)
        return CPH_E_ARGUMENT;
    for (size_t i = 0; i < s->n_alg; i++) {
        if ((size_t)algs[i] >= CPH_AUTH_N_ALGS)
            return CPH_E_ARGUMENT;
        for (size_t k = 0; k < i; k++) {
            if (algs[k] == algs[i]) /* RFC 8760 2.3 MUST: each challenge has another algorithm */
                return CPH_E_ARGUMENT;
        }
        s->alg[i] = algs[i];
    }
    if (cfg->realm.n == 0 || cfg->realm.n > CPH_AUTH_TEXT_MAX)
        return CPH_E_ARGUMENT;
    memcpy(s->realm.b, cfg->realm.p, cfg->realm.n);
    s->realm.n = cfg->realm.n;
    s->lifetime_s = cfg->lifetime_s != 0 ? cfg->lifetime_s : CPH_AUTH_LIFETIME_S;
    s->n_seen = cfg->nonces != 0 ? cfg->nonces : CPH_AUTH_NONCES_MAX;
    s->auth_int = cfg->auth_int;
    s->accept_no_qop = cfg->accept_no_qop;
    return CPH_OK;
}

cph_err cph_auth_server_new(const struct cph_auth_server_cfg *cfg, const struct cph_env *env,
                            struct cph_auth_server **out)
{
    struct cph_auth_server *s = calloc(1, sizeof *s);
    cph_err err;

    if (!s)
        return CPH_E_NOMEM;
    s->env = env;
    err = configure(s, cfg);
    if (err != CPH_OK)
        goto out;
    s->seen = calloc(s->n_seen, sizeof *s->seen);
    err = s->seen ? CPH_OK : CPH_E_NOMEM;
    if (err != CPH_OK)
        goto out;
    s->key.n = s->nobody.secret.n = KEY;
    err = cph_random(env, s->key.b, KEY);
    if (err == CPH_OK)
        err = cph_random(env, s->nobody.secret.b, KEY);
    if (err != CPH_OK)
        goto out;
    *out = s;
    s = NULL; /* moved to the caller */
out:
    cph_auth_server_free(s);
    return err;
}

void cph_auth_server_free(struct cph_auth_server *s)
{
    if (!s)
        return;
    free(s->seen);
    cph_free_secret(s, sizeof *s);
}

/* ---- nonces ---------------------------------------------------------------------------------- */

static uint64_t seconds(cph_time now)
{
    return (uint64_t)(now / CPH_SEC(1));
}

static cph_err nonce_mac(const struct cph_auth_server *s, const uint8_t id[ID], uint8_t out[MAC])
{
    uint8_t in[ID + CPH_AUTH_TEXT_MAX], mac[CPH_DIGEST_MAX];

    memcpy(in, id, ID);
    memcpy(in + ID, s->realm.b, s->realm.n);
    CPH_TRY(cph_hmac(CPH_DIGEST_SHA256, cph_secret_span(&s->key),
                     (struct cph_span){ in, ID + s->realm.n }, mac));
    memcpy(out, mac, MAC);
    return CPH_OK;
}

static cph_err nonce_make(struct cph_auth_server *s, cph_time now, char out[2 * NONCE + 1])
{
    uint8_t b[NONCE];
    struct cph_wr wr = cph_wr_open(b, sizeof b);

    cph_wr_u64(&wr, seconds(now));
    CPH_TRY(cph_random(s->env, b + 8, ID - 8));
    CPH_TRY(nonce_mac(s, b, b + ID));
    cph_hex((struct cph_span){ b, NONCE }, out);
    return CPH_OK;
}

/* Is it ours? Then its id and time. */
static cph_err nonce_open(const struct cph_auth_server *s, struct cph_span text, uint8_t id[ID],
                          uint64_t *issued)
{
    uint8_t b[NONCE], mac[MAC];
    struct cph_rd rd;
    size_t n;

    if (text.n != 2 * (size_t)NONCE || cph_unhex(text, b, sizeof b, &n) != CPH_OK)
        return CPH_E_AUTH;
    CPH_TRY(nonce_mac(s, b, mac));
    if (!cph_ct_eq((struct cph_span){ b + ID, MAC }, (struct cph_span){ mac, MAC }))
        return CPH_E_AUTH;
    memcpy(id, b, ID);
    rd = cph_rd_open((struct cph_span){ b, 8 });
    *issued = cph_rd_u64(&rd);
    return CPH_OK;
}

static bool too_old(const struct cph_auth_server *s, uint64_t issued, cph_time now)
{
    return issued > seconds(now) || seconds(now) - issued > s->lifetime_s;
}

/* A place for a nonce new to the table: a free one, an expired one, or else that of the oldest, of
 * which we then know no more than that it is not new. */
static struct seen *place_for(struct cph_auth_server *s, cph_time now)
{
    struct seen *oldest = &s->seen[0];

    for (size_t i = 0; i < s->n_seen; i++) {
        if (!s->seen[i].used || too_old(s, s->seen[i].issued, now))
            return &s->seen[i];
        if (s->seen[i].issued < oldest->issued)
            oldest = &s->seen[i];
    }
    if (oldest->issued >= s->floor)
        s->floor = oldest->issued + 1;
    return oldest;
}

/* RFC 7616 3.4: the same count twice is a replay. */
static enum cph_auth_why count(struct cph_auth_server *s, const uint8_t id[ID], uint64_t issued,
                               uint32_t nc, cph_time now)
{
    struct seen *e = NULL;

    for (size_t i = 0; i < s->n_seen && !e; i++) {
        if (s->seen[i].used &&
            cph_span_eq((struct cph_span){ s->seen[i].id, ID }, (struct cph_span){ id, ID }))
            e = &s->seen[i];
    }
    if (!e) {
        if (issued < s->floor)
            return CPH_AUTH_WHY_STALE;
        e = place_for(s, now);
        *e = (struct seen){ .used = true, .issued = issued, .top = nc, .window = 1 };
        memcpy(e->id, id, ID);
        return CPH_AUTH_WHY_OK;
    }
    if (nc > e->top) {
        uint32_t by = nc - e->top;

        e->window = by < CPH_AUTH_NC_WINDOW ? e->window << by | 1 : 1;
        e->top = nc;
        return CPH_AUTH_WHY_OK;
    }
    if (e->top - nc >= CPH_AUTH_NC_WINDOW || (e->window >> (e->top - nc) & 1) != 0)
        return CPH_AUTH_WHY_REPLAY;
    e->window |= (uint64_t)1 << (e->top - nc);
    return CPH_AUTH_WHY_OK;
}

cph_err cph_auth_server_challenge(struct cph_auth_server *s, bool proxy, bool stale, cph_time now,
                                  struct cph_wr *wr)
{
    char nonce[2 * NONCE + 1];

    CPH_TRY(nonce_make(s, now, nonce));
    /* RFC 8760 2.3 MUST: one header for each algorithm, the preferred one on top */
    for (size_t i = 0; i < s->n_alg; i++) {
        cph_wr_text(wr, proxy ? "Proxy-Authenticate" : "WWW-Authenticate");
        cph_wr_text(wr, ": Digest realm=");
        auth_wr_quoted(wr, auth_span(&s->realm));
        /* RFC 8760 2.6 (8) MUST: qop is always sent */
        cph_wr_fmt(wr, ", nonce=\"%s\", qop=\"%s\", algorithm=%s", nonce,
                   s->auth_int ? "auth,auth-int" : "auth", cph_auth_alg_name(s->alg[i]));
        cph_wr_text(wr, stale ? ", stale=true\r\n" : "\r\n");
    }
    return cph_wr_end(wr);
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* The first credentials for our realm. */
static enum cph_auth_why pick(const struct cph_auth_server *s, const struct cph_span *values,
                              size_t n, struct cph_auth_response *out)
{
    enum cph_auth_why why = CPH_AUTH_WHY_NONE;
    struct auth_text realm;

    for (size_t i = 0; i < n && i < CPH_AUTH_PARAMS_MAX; i++) {
        cph_err err = cph_auth_response_parse(values[i], out);

        if (err == CPH_E_MALFORMED || err == CPH_E_LIMIT)
            why = CPH_AUTH_WHY_MALFORMED;
        if (err == CPH_OK && auth_unquote(out->realm, &realm) == CPH_OK &&
            cph_span_eq(auth_span(&realm), auth_span(&s->realm)))
            return CPH_AUTH_WHY_OK;
    }
    return why;
}

static enum cph_auth_why offered(const struct cph_auth_server *s, const struct cph_auth_response *r)
{
    size_t i = 0;

    while (i < s->n_alg && s->alg[i] != r->alg)
        i++;
    if (i == s->n_alg)
        return CPH_AUTH_WHY_ALGORITHM;
    if (r->qop == CPH_AUTH_QOP_NONE && !s->accept_no_qop)
        return CPH_AUTH_WHY_QOP;
    if (r->qop == CPH_AUTH_QOP_AUTH_INT && !s->auth_int)
        return CPH_AUTH_WHY_QOP;
    return CPH_AUTH_WHY_OK;
}

struct texts {
    struct auth_text username, realm, nonce, cnonce;
};

static cph_err input_of(const struct cph_auth_response *r, struct texts *t, struct auth_input *in)
{
    CPH_TRY(auth_unquote(r->username, &t->username));
    CPH_TRY(auth_unquote(r->realm, &t->realm));
    CPH_TRY(auth_unquote(r->nonce, &t->nonce));
    CPH_TRY(auth_unquote(r->cnonce, &t->cnonce));
    *in = (struct auth_input){
        .alg = r->alg,
        .qop = r->qop,
        .nc = r->nc,
        .nonce = auth_span(&t->nonce),
        .cnonce = auth_span(&t->cnonce),
        .uri = r->uri,
    };
    return CPH_OK;
}

/* Is the response that of the user's secret? Takes as long for a user that is not there. */
static cph_err prove(const struct cph_auth_server *s, const struct cph_auth_response *r,
                     const struct texts *t, const struct auth_input *in, cph_auth_lookup_fn *lookup,
                     void *ctx, struct cph_secret *ha1, bool *right)
{
    CPH_SECRET_SCOPED unused = { 0 };
    struct cph_auth_secret secret = { 0 };
    char want[CPH_AUTH_HEX_MAX + 1];
    cph_err err = lookup(ctx, auth_span(&t->username), auth_span(&t->realm), &secret);
    bool known = err == CPH_OK;

    if (known && secret.is_ha1 && !auth_same_hash(secret.ha1_alg, in->alg))
        known = false;
    if (err == CPH_OK || err == CPH_E_NOTFOUND)
        err = auth_a1(known ? &secret : &s->nobody, auth_span(&t->username), auth_span(&t->realm),
                      in, ha1);
    if (err == CPH_OK && known && secret.is_ha1) /* the hash that a password would have cost */
        err = auth_a1(&s->nobody, auth_span(&t->username), auth_span(&t->realm), in, &unused);
    if (err == CPH_OK)
        err = auth_response(ha1, in, want);
    if (err == CPH_OK)
        *right = cph_ct_eq(cph_span_of(want), r->response) && known;
    cph_secret_wipe(&secret.secret);
    return err;
}

/* The nonce is judged after the proof: who knows the secret may be told that only the nonce is at
 * fault. */
static cph_err judge_nonce(struct cph_auth_server *s, const struct texts *t,
                           const struct cph_auth_response *r, cph_time now, enum cph_auth_why *why)
{
    uint8_t id[ID];
    uint64_t issued;
    cph_err err = nonce_open(s, auth_span(&t->nonce), id, &issued);

    if (err == CPH_E_AUTH) {
        *why = CPH_AUTH_WHY_NONCE;
        return CPH_OK;
    }
    CPH_TRY(err);
    if (too_old(s, issued, now))
        *why = CPH_AUTH_WHY_STALE;
    else /* without qop there is no count, so the nonce serves once */
        *why = count(s, id, issued, r->qop == CPH_AUTH_QOP_NONE ? 1 : r->nc, now);
    return CPH_OK;
}

cph_err cph_auth_server_verify(struct cph_auth_server *s, const struct cph_span *values, size_t n,
                               struct cph_span method, struct cph_span uri, struct cph_span body,
                               cph_auth_lookup_fn *lookup, void *ctx, cph_time now,
                               struct cph_auth_result *out)
{
    struct auth_input in;
    struct texts t;
    bool right = false;

    *out = (struct cph_auth_result){ 0 };
    out->why = pick(s, values, n, &out->response);
    if (out->why == CPH_AUTH_WHY_OK)
        out->why = offered(s, &out->response);
    if (out->why != CPH_AUTH_WHY_OK)
        return CPH_E_AUTH;
    CPH_TRY(input_of(&out->response, &t, &in));
    in.method = method;
    in.body = body;
    out->uri_matches = cph_span_eq(out->response.uri, uri);
    out->why = CPH_AUTH_WHY_SECRET;
    CPH_TRY(prove(s, &out->response, &t, &in, lookup, ctx, &out->ha1, &right));
    if (right)
        CPH_TRY(judge_nonce(s, &t, &out->response, now, &out->why));
    if (out->why == CPH_AUTH_WHY_OK)
        return CPH_OK;
    cph_secret_wipe(&out->ha1);
    out->stale = right;
    return CPH_E_AUTH;
}

cph_err cph_auth_server_info(const struct cph_auth_result *verified, bool proxy,
                             struct cph_span body, struct cph_wr *wr)
{
    const struct cph_auth_response *r = &verified->response;
    char rspauth[CPH_AUTH_HEX_MAX + 1];
    struct auth_input in;
    struct texts t;

    if (verified->why != CPH_AUTH_WHY_OK)
        return CPH_E_ARGUMENT;
    if (r->qop == CPH_AUTH_QOP_NONE)
        return CPH_OK;
    CPH_TRY(input_of(r, &t, &in));
    in.body = body;
    CPH_TRY(auth_response(&verified->ha1, &in, rspauth));
    cph_wr_text(wr, proxy ? "Proxy-Authentication-Info" : "Authentication-Info");
    cph_wr_fmt(wr, ": qop=%s, rspauth=\"%s\", cnonce=\"", auth_qop_name(r->qop), rspauth);
    cph_wr_span(wr, r->cnonce);
    cph_wr_fmt(wr, "\", nc=%08x\r\n", r->nc);
    return cph_wr_end(wr);
}

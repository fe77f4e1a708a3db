#include <stdlib.h>
#include <string.h>

#include "ciphony/identity_digest.h"
#include "ciphony/session_sma.h"
#include "ciphony/session_sst.h"

/* Digest (identity_digest.h) as a row of the SMA interface. */

enum {
    REALMS = 4,    /* realms one call answers: our own server, a proxy or two, the peer */
    URI_MAX = 512, /* Request-URI we can check a success against */
};

struct digest {
    const struct cph_env *env;
    struct cph_auth_server *server; /* asks for auth */
    struct cph_auth_server *strict; /* asks for auth-int, so that the keys are covered */
};

/* As the one who is asked, in one realm. */
struct answerer {
    struct cph_auth_client *client;
    char realm[CPH_SST_NAME];
    enum cph_auth_alg alg; /* the strongest it was asked for */
    bool proxy;
};

struct talk {
    const struct cph_sst *sst;
    struct answerer answerer[REALMS];
    unsigned n;
    char uri[URI_MAX];
    size_t uri_n;
    /* As the one who asks: the last request that was right, to prove ourselves in the answer. */
    bool verified;
    struct cph_auth_result result; /* its spans point into value */
    char value[CPH_AUTH_VALUE_MAX];
};

static cph_err open_talk(void *ctx, const struct cph_sst *sst, void **out)
{
    struct talk *t = calloc(1, sizeof *t);

    (void)ctx;
    if (!t)
        return CPH_E_NOMEM;
    t->sst = sst;
    *out = t;
    return CPH_OK;
}

static void close_talk(void *ctx, void *talk)
{
    struct talk *t = talk;

    (void)ctx;
    if (!t)
        return;
    for (unsigned i = 0; i < t->n; i++)
        cph_auth_client_free(t->answerer[i].client);
    cph_free_secret(t, sizeof *t);
}

/* ---- asked ----------------------------------------------------------------------------------- */

/* Gives our password for a realm, in the form the client wants it. */
static cph_err make_client(const struct digest *d, const struct talk *t, const void *account,
                           struct cph_span realm, struct cph_auth_client **out)
{
    struct cph_sst_credentials cred = { 0 };
    struct cph_auth_secret secret = { 0 };
    struct cph_auth_client_cfg cfg = { .realm = realm, .secret = &secret, .prefer_auth_int = true };
    cph_err err;

    if (!t->sst || !t->sst->credentials)
        return CPH_E_NOTFOUND;
    err = t->sst->credentials(t->sst->ctx, account, realm, &cred);
    if (err == CPH_OK) {
        cred.user[sizeof cred.user - 1] = '\0';
        secret.secret = cred.password;
        cfg.username = cph_span_of(cred.user);
        err = cph_auth_client_new(&cfg, d->env, out);
    }
    cph_secret_wipe(&cred.password);
    cph_secret_wipe(&secret.secret);
    return err;
}

static cph_err answerer_of(const struct digest *d, struct talk *t, const void *account,
                           struct cph_span realm, bool proxy, struct answerer **out)
{
    struct answerer *a;

    for (unsigned i = 0; i < t->n; i++) {
        a = &t->answerer[i];
        if (a->proxy == proxy && cph_span_is(realm, a->realm)) {
            *out = a;
            return CPH_OK;
        }
    }
    if (t->n == REALMS)
        return CPH_E_LIMIT;
    if (realm.n >= sizeof a->realm || memchr(realm.p, '\\', realm.n)) /* an escape: not ours */
        return CPH_E_UNSUPPORTED;
    a = &t->answerer[t->n];
    memset(a, 0, sizeof *a);
    CPH_TRY(make_client(d, t, account, realm, &a->client));
    memcpy(a->realm, realm.p, realm.n);
    a->proxy = proxy;
    t->n++;
    *out = a;
    return CPH_OK;
}

static cph_err asked(void *ctx, void *talk, const void *account, bool proxy,
                     const struct cph_span *values, unsigned n)
{
    const struct digest *d = ctx;
    struct talk *t = talk;
    cph_err first = CPH_E_UNSUPPORTED;
    bool good = false;

    for (unsigned i = 0; i < n; i++) {
        struct cph_auth_challenge c;
        struct answerer *a;
        cph_err err = cph_auth_challenge_parse(values[i], &c);

        if (err == CPH_OK)
            err = answerer_of(d, t, account, c.realm, proxy, &a);
        if (err == CPH_OK && i > 0 && a->alg >= c.alg) /* the client took the strongest already */
            continue;
        if (err == CPH_OK) {
            a->alg = c.alg;
            err = cph_auth_client_challenge(a->client, proxy, values, n);
        }
        good |= err == CPH_OK;
        if (i == 0)
            first = err;
    }
    return good ? CPH_OK : first;
}

static cph_err sign(void *ctx, void *talk, const struct cph_sma_msg *request, struct cph_wr *lines)
{
    struct talk *t = talk;

    (void)ctx;
    t->uri_n = request->uri.n <= URI_MAX ? request->uri.n : 0;
    if (t->uri_n)
        memcpy(t->uri, request->uri.p, t->uri_n);
    for (unsigned i = 0; i < t->n; i++)
        if (cph_auth_client_ready(t->answerer[i].client))
            CPH_TRY(cph_auth_client_authorize(t->answerer[i].client, request->method, request->uri,
                                              request->body, lines));
    return CPH_OK;
}

/* What a right answer in Authentication-Info is worth: did it cover the body? */
static enum cph_peer_proof worth_of(enum cph_auth_alg alg, enum cph_auth_qop qop)
{
    return qop == CPH_AUTH_QOP_AUTH_INT && alg >= CPH_AUTH_SHA256 ? CPH_PROOF_COVERED
                                                                  : CPH_PROOF_UNCOVERED;
}

static cph_err answered(void *ctx, void *talk, bool proxy, const struct cph_span *values,
                        unsigned n, struct cph_span body, enum cph_peer_proof *worth)
{
    struct talk *t = talk;
    struct cph_span uri = { (const uint8_t *)t->uri, t->uri_n };

    (void)ctx;
    *worth = CPH_PROOF_NONE;
    for (unsigned i = 0; i < t->n; i++) {
        struct answerer *a = &t->answerer[i];

        if (a->proxy != proxy || !cph_auth_client_ready(a->client))
            continue;
        for (unsigned k = 0; k < n; k++) {
            struct cph_auth_info info;
            cph_err err = cph_auth_client_info(a->client, proxy, values[k], uri, body);

            if (err == CPH_E_AUTH)
                return err;
            if (err == CPH_OK && cph_auth_info_parse(values[k], &info) == CPH_OK)
                *worth = worth_of(a->alg, info.qop);
        }
        cph_auth_client_accepted(a->client);
    }
    return CPH_OK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static cph_err challenge(void *ctx, bool cover_body, bool stale, cph_time now, struct cph_wr *lines)
{
    struct digest *d = ctx;

    return cph_auth_server_challenge(cover_body ? d->strict : d->server, false, stale, now, lines);
}

struct lookup {
    const struct cph_sst *sst;
    char user[CPH_SMA_USER]; /* as it was looked up: escapes undone */
};

static cph_err look_up(void *ctx, struct cph_span username, struct cph_span realm,
                       struct cph_auth_secret *out)
{
    struct lookup *l = ctx;

    if (!l->sst || !l->sst->secret || username.n == 0 || username.n >= sizeof l->user ||
        memchr(username.p, 0, username.n))
        return CPH_E_NOTFOUND;
    memset(l->user, 0, sizeof l->user);
    memcpy(l->user, username.p, username.n);
    return l->sst->secret(l->sst->ctx, username, realm, &out->secret);
}

static void rebase(struct cph_span *s, struct cph_span from, const char *to)
{
    if (s->n > 0)
        s->p = (const uint8_t *)to + (s->p - from.p);
}

/* Keep what was proven, with a copy of the value its parts point into. */
static void remember(struct talk *t, const struct cph_auth_result *r, const struct cph_span *values,
                     unsigned n)
{
    struct cph_auth_response *q = &t->result.response;

    cph_secret_wipe(&t->result.ha1);
    t->verified = false;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *at = r->response.username.p;

        if (at < values[i].p || at >= values[i].p + values[i].n || values[i].n > sizeof t->value)
            continue;
        memcpy(t->value, values[i].p, values[i].n);
        t->result = *r;
        rebase(&q->username, values[i], t->value);
        rebase(&q->realm, values[i], t->value);
        rebase(&q->nonce, values[i], t->value);
        rebase(&q->uri, values[i], t->value);
        rebase(&q->response, values[i], t->value);
        rebase(&q->cnonce, values[i], t->value);
        rebase(&q->opaque, values[i], t->value);
        t->verified = true;
    }
}

static cph_err verify_sign(void *ctx, void *talk, const struct cph_sma_msg *request,
                           const struct cph_span *values, unsigned n, cph_time now,
                           struct cph_sma_proof *out)
{
    struct digest *d = ctx;
    struct talk *t = talk;
    struct cph_auth_server *server[] = { d->strict, d->server };
    struct cph_auth_result r = { 0 };
    cph_err err = CPH_E_AUTH;

    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < 2 && err == CPH_E_AUTH; i++) { /* whichever made the nonce */
        struct lookup l = { .sst = t->sst };

        cph_secret_wipe(&r.ha1);
        err = cph_auth_server_verify(server[i], values, n, request->method, request->uri,
                                     request->body, look_up, &l, now, &r);
        out->stale |= err == CPH_E_AUTH && r.stale;
        memcpy(out->user, l.user, sizeof out->user);
    }
    /* RFC 8760 2.6: a proxy may have rewritten the Request-URI; then the proof names the address
     * called. */
    if (err == CPH_OK && !r.uri_matches && !cph_span_eq(r.response.uri, request->to_uri))
        err = CPH_E_AUTH;
    if (err == CPH_OK) {
        out->worth = worth_of(r.response.alg, r.response.qop);
        remember(t, &r, values, n);
    } else {
        memset(out->user, 0, sizeof out->user);
    }
    cph_secret_wipe(&r.ha1);
    return err;
}

static cph_err prove(void *ctx, void *talk, struct cph_span body, struct cph_wr *lines)
{
    struct talk *t = talk;

    (void)ctx;
    return t->verified ? cph_auth_server_info(&t->result, false, body, lines) : CPH_OK;
}

static const struct cph_sma_ops digest_ops = {
    .scheme = "Digest",
    .open = open_talk,
    .close = close_talk,
    .asked = asked,
    .sign = sign,
    .answered = answered,
    .challenge = challenge,
    .verify_sign = verify_sign,
    .prove = prove,
};

/* ---- the row --------------------------------------------------------------------------------- */

cph_err cph_sma_digest_new(const struct cph_env *env, const char *realm, struct cph_sma *out)
{
    struct cph_auth_server_cfg cfg = { .realm = cph_span_of(realm) };
    struct digest *d = calloc(1, sizeof *d);
    cph_err err;

    *out = (struct cph_sma){ 0 };
    if (!d)
        return CPH_E_NOMEM;
    d->env = env;
    err = cph_auth_server_new(&cfg, env, &d->server);
    cfg.auth_int = true;
    if (err == CPH_OK)
        err = cph_auth_server_new(&cfg, env, &d->strict);
    *out = (struct cph_sma){ &digest_ops, d };
    if (err != CPH_OK)
        cph_sma_digest_free(out);
    return err;
}

void cph_sma_digest_free(struct cph_sma *sma)
{
    struct digest *d = sma->ctx;

    if (sma->ops != &digest_ops || !d)
        return;
    cph_auth_server_free(d->server);
    cph_auth_server_free(d->strict);
    free(d);
    *sma = (struct cph_sma){ 0 };
}

/* What the DTLS calls of one device share: the library's context, and sessions to be taken up
 * again. */
#include "dtls_int.h"

#include <stdlib.h>

#include "ciphony/base_text.h"

cph_err cph_dtls_new(const struct cph_dtls_cfg *cfg, struct cph_dtls **out)
{
    struct cph_dtls *x;
    cph_err err;

    if (!cfg->key || !cfg->cert || cfg->resume_s > CPH_DTLS_RESUME_MAX_S)
        return CPH_E_CONFIG;
    x = calloc(1, sizeof *x);
    if (!x)
        return CPH_E_NOMEM;
    x->env = cfg->env;
    x->life = CPH_SEC(cfg->resume_s);
    x->key = cph_key_ref(cfg->key);
    x->cert = cph_cert_ref(cfg->cert);
    err = dtls_fingerprints(x->cert, x->fp);
    if (err) {
        cph_dtls_free(x);
        return err;
    }
    *out = x;
    return CPH_OK;
}

cph_err dtls_home(struct cph_dtls *x, struct cph_stream_home **out)
{
    if (!x->home)
        CPH_TRY(
            cph_stream_home_new(CPH_STREAM_DTLS, x->cert, x->key, x->life > 0, x->env, &x->home));
    *out = x->home;
    return CPH_OK;
}

void cph_dtls_free(struct cph_dtls *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < DTLS_KEPT; i++)
        cph_stream_session_free(x->kept[i].k);
    cph_stream_home_free(x->home);
    cph_key_free(x->key);
    cph_cert_free(x->cert);
    free(x);
}

static void forget(struct cph_dtls *x, unsigned i)
{
    cph_stream_session_free(x->kept[i].k);
    x->kept[i].k = NULL;
}

void cph_dtls_tick(struct cph_dtls *x, cph_time now)
{
    for (unsigned i = 0; i < DTLS_KEPT; i++) {
        if (x->kept[i].k && now >= x->kept[i].until)
            forget(x, i);
    }
}

cph_time cph_dtls_deadline(const struct cph_dtls *x)
{
    cph_time at = CPH_TIME_NEVER;

    for (unsigned i = 0; i < DTLS_KEPT; i++) {
        if (x->kept[i].k && x->kept[i].until < at)
            at = x->kept[i].until;
    }
    return at;
}

const struct cph_stream_session *dtls_find(void *ctx, struct cph_span id, cph_time now)
{
    struct cph_dtls *x = ctx;

    cph_dtls_tick(x, now);
    for (unsigned i = 0; i < DTLS_KEPT; i++) {
        const struct cph_stream_session *k = x->kept[i].k;

        if (k && cph_stream_session_role(k) == CPH_STREAM_SERVER &&
            cph_span_eq(cph_stream_session_id(k), id))
            return k;
    }
    return NULL;
}

const struct cph_stream_session *
dtls_find_peer(struct cph_dtls *x, const struct cph_fingerprint *fp, size_t n, cph_time now)
{
    if (!x || !x->life)
        return NULL;
    cph_dtls_tick(x, now);
    for (unsigned i = 0; i < DTLS_KEPT; i++) {
        const struct cph_stream_session *k = x->kept[i].k;

        if (k && cph_stream_session_role(k) == CPH_STREAM_CLIENT &&
            cph_cert_match(cph_stream_session_peer(k), fp, n, NULL) == CPH_OK)
            return k;
    }
    return NULL;
}

/* The same peer in the same role has one; else a free place, else that of the oldest. */
static unsigned place_for(const struct cph_dtls *x, const struct cph_stream_session *k)
{
    unsigned best = 0;

    for (unsigned i = 0; i < DTLS_KEPT; i++) {
        const struct cph_stream_session *o = x->kept[i].k;

        if (o && cph_stream_session_role(o) == cph_stream_session_role(k) &&
            cph_span_eq(cph_cert_der(cph_stream_session_peer(o)),
                        cph_cert_der(cph_stream_session_peer(k))))
            return i;
        if (x->kept[best].k && (!o || x->kept[i].until < x->kept[best].until))
            best = i;
    }
    return best;
}

void dtls_keep(struct cph_dtls *x, const struct cph_stream *s, cph_time now)
{
    struct cph_stream_session *k;
    unsigned at;

    /* The life counts from the keys that were agreed on: a call that took them up adds nothing. */
    if (!x || !x->life || cph_stream_resumed(s) || cph_stream_session_keep(s, &k) != CPH_OK)
        return;
    cph_dtls_tick(x, now);
    at = place_for(x, k);
    forget(x, at);
    x->kept[at].k = k;
    x->kept[at].until = now + x->life;
}

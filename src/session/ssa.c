#include "ciphony/session_ssa.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "session_int.h"

/* The four functions of the interface: authenticate, authorize, encrypt, decrypt. */

/* ---- the message ----------------------------------------------------------------------------- */

bool manager_is_method(const struct cph_ssa_msg *msg, const char *method)
{
    return cph_span_is(msg->method, method); /* RFC 3261 7.1: methods are case-sensitive */
}

/* Values of a header that begin with the scheme of an application. */
unsigned manager_values(const struct cph_ssa_msg *msg, const char *header, const char *scheme,
                        struct cph_span out[CPH_SMA_VALUES])
{
    unsigned n = 0;

    for (unsigned i = 0; n < CPH_SMA_VALUES && i < 4 * CPH_SMA_VALUES; i++) {
        struct cph_span v = msg->header(msg->ctx, header, i), rest = v;

        if (!v.p)
            break;
        if (!scheme || cph_span_iis(cph_span_word(&rest), scheme))
            out[n++] = v;
    }
    return n;
}

/* One number for what the message claims to prove; 0: nothing. */
uint64_t manager_values_hash(const struct cph_manager *m, const struct cph_ssa_msg *msg)
{
    struct cph_span v[CPH_SMA_VALUES];
    unsigned n = manager_values(msg, "Authorization", NULL, v);
    uint64_t h = 0;

    for (unsigned i = 0; i < n; i++)
        h = h * 31 + manager_hash(m, v[i]);
    return n ? h | 1 : 0;
}

static struct cph_sma_msg sma_view(const struct cph_ssa_msg *msg)
{
    return (struct cph_sma_msg){ .method = msg->method,
                                 .uri = msg->uri,
                                 .body = msg->body,
                                 .to_uri = msg->to_uri,
                                 .account = msg->account };
}

cph_err manager_talk(struct cph_manager *m, struct manager_call *c, unsigned i)
{
    const struct cph_sma *a = &m->cfg.sma[i];

    return c->talk[i] ? CPH_OK : a->ops->open(a->ctx, m->cfg.sst, &c->talk[i]);
}

/* ---- authenticate ---------------------------------------------------------------------------- */

static bool may_call(struct cph_manager *m, const struct cph_ssa_msg *msg, const char *user)
{
    const struct cph_sst *sst = m->cfg.sst;
    struct cph_span rest = msg->from_uri, scheme = cph_span_cut(&rest, ':');

    if (sst && sst->decide)
        return sst->decide(sst->ctx, msg, cph_span_of(user)) == CPH_OK;
    if (!cph_span_iis(scheme, "sip") && !cph_span_iis(scheme, "sips"))
        return false;
    return cph_span_find(rest, '@') < rest.n && cph_span_is(cph_span_cut(&rest, '@'), user);
}

static cph_err verify(struct cph_manager *m, struct manager_call *c, const struct cph_ssa_msg *msg,
                      cph_time now, struct cph_sma_proof *proof)
{
    struct cph_sma_msg view = sma_view(msg);
    struct cph_span v[CPH_SMA_VALUES];

    memset(proof, 0, sizeof *proof);
    proof->worth = CPH_PROOF_NONE;
    for (unsigned i = 0; i < m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];
        unsigned n = manager_values(msg, "Authorization", a->ops->scheme, v);
        struct cph_sma_proof p = { 0 };

        if (n == 0 || !a->ops->verify_sign || manager_talk(m, c, i) != CPH_OK)
            continue;
        if (a->ops->verify_sign(a->ctx, c->talk[i], &view, v, n, now, &p) == CPH_OK &&
            p.worth > CPH_PROOF_NONE) {
            p.user[sizeof p.user - 1] = '\0';
            *proof = p;
            return may_call(m, msg, p.user) ? CPH_OK : CPH_E_POLICY;
        }
        m->count.bad_proof++;
        proof->stale |= p.stale;
    }
    return CPH_E_AUTH;
}

/* Two users under one Call-ID are two calls, and the second is not let in. */
static cph_err accept_proof(struct manager_call *c, const struct cph_sma_proof *p)
{
    if (c->proven && strcmp(c->user, p->user) != 0)
        return CPH_E_POLICY;
    if (!c->proven || p->worth < c->proof)
        c->proof = p->worth;
    c->proven = true;
    memcpy(c->user, p->user, sizeof c->user);
    return CPH_OK;
}

cph_err manager_authenticate(struct cph_manager *m, struct manager_call *c,
                             const struct cph_ssa_msg *msg, cph_time now, struct cph_sma_proof *p)
{
    /* A repeat over UDP is the very message that was good, down to its branch: the transactions
     * absorb it. */
    uint64_t hash = msg->raw.n ? manager_hash(m, msg->raw) : 0;

    if (hash && c->good == hash && now < c->good_until) {
        *p = (struct cph_sma_proof){ .worth = c->proof };
        return CPH_OK;
    }
    CPH_TRY(verify(m, c, msg, now, p));
    CPH_TRY(accept_proof(c, p));
    c->good = hash;
    c->good_until = now + m->cfg.wait;
    c->good_values = manager_values_hash(m, msg);
    c->good_cseq = msg->cseq;
    c->good_method = manager_hash(m, msg->method);
    return CPH_OK;
}

cph_err cph_ssa_authenticate(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                             enum cph_peer_proof *proof)
{
    struct manager_call *c = manager_call_of(m, msg->call_id, now);
    struct cph_sma_proof p;
    cph_err err;

    *proof = CPH_PROOF_NONE;
    if (!c)
        return CPH_E_AUTH;
    err = manager_authenticate(m, c, msg, now, &p);
    if (err == CPH_OK)
        *proof = p.worth;
    return err;
}

/* ---- authorize ------------------------------------------------------------------------------- */

/* The success to a request that was proven to us proves us in turn. */
static bool proves(const struct cph_manager *m, const struct manager_call *c,
                   const struct cph_ssa_msg *msg)
{
    return msg->status >= 200 && msg->status < 300 && c->good_method != 0 &&
           c->good_cseq == msg->cseq && c->good_method == manager_hash(m, msg->method);
}

cph_err cph_ssa_authorize(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                          struct cph_ssa_out *out)
{
    struct manager_call *c = manager_find(m, msg->call_id);
    struct cph_sma_msg view = sma_view(msg);
    struct cph_wr lines = cph_wr_open(m->lines, sizeof m->lines);

    (void)now;
    out->headers = (struct cph_span){ NULL, 0 };
    if (!c)
        return CPH_OK;
    for (unsigned i = 0; i < m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];

        if (!c->talk[i])
            continue;
        if (msg->status == 0 && a->ops->sign)
            CPH_TRY(a->ops->sign(a->ctx, c->talk[i], &view, &lines));
        else if (proves(m, c, msg) && a->ops->prove)
            CPH_TRY(a->ops->prove(a->ctx, c->talk[i], msg->body, &lines));
    }
    CPH_TRY(cph_wr_end(&lines));
    out->headers = cph_wr_done(&lines);
    return CPH_OK;
}

/* ---- encrypt and decrypt --------------------------------------------------------------------- */

typedef cph_err crypt_fn(void *ctx, const struct cph_sma_msg *msg, struct cph_span type,
                         const struct cph_sst *sst, struct cph_wr *out, struct cph_wr *out_type);

static void replaced(struct cph_manager *m, const struct cph_wr *body, const struct cph_wr *type,
                     struct cph_ssa_out *out)
{
    (void)m;
    out->what = CPH_SSA_REPLACE;
    out->body = cph_wr_done(body);
    out->body_type = cph_wr_done(type);
}

cph_err cph_ssa_decrypt(struct cph_manager *m, const struct cph_ssa_msg *msg,
                        struct cph_ssa_out *out)
{
    struct cph_sma_msg view = sma_view(msg);
    struct cph_span type = msg->header(msg->ctx, "Content-Type", 0);

    for (unsigned i = 0; i < m->cfg.sma_n && msg->body.n > 0; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];
        struct cph_wr body = cph_wr_open(m->body, sizeof m->body);
        struct cph_wr new_type = cph_wr_open(m->type, sizeof m->type);
        cph_err err;

        if (!a->ops->decrypt)
            continue;
        err = a->ops->decrypt(a->ctx, &view, type, m->cfg.sst, &body, &new_type);
        if (err == CPH_E_NOTFOUND) /* not one of its own */
            continue;
        CPH_TRY(err);
        CPH_TRY(cph_wr_end(&body));
        CPH_TRY(cph_wr_end(&new_type));
        replaced(m, &body, &new_type, out);
        return CPH_OK;
    }
    return CPH_OK;
}

cph_err cph_ssa_encrypt(struct cph_manager *m, const struct cph_ssa_msg *msg,
                        struct cph_ssa_out *out)
{
    struct cph_sma_msg view = sma_view(msg);

    for (unsigned i = 0; i < m->cfg.sma_n && msg->body.n > 0; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];
        struct cph_wr body = cph_wr_open(m->body, sizeof m->body);
        struct cph_wr type = cph_wr_open(m->type, sizeof m->type);
        cph_err err;

        if (!a->ops->encrypt)
            continue;
        err = a->ops->encrypt(a->ctx, &view, m->cfg.sst, &body, &type);
        if (err == CPH_E_NOTFOUND) /* no key of this peer, and nobody demands one */
            continue;
        CPH_TRY(err);
        CPH_TRY(cph_wr_end(&body));
        CPH_TRY(cph_wr_end(&type));
        replaced(m, &body, &type, out);
        return CPH_OK;
    }
    return CPH_OK;
}

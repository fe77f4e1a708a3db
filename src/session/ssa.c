#include "ciphony/session_ssa.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "session_int.h"

/*
 * What every message goes through: decrypt and authenticate on the way in, authorize and encrypt on
 * the way out. INVITEs and answers to our requests then go through the state machine (fsm.c).
 */

/* ---- the message ----------------------------------------------------------------------------- */

static bool is_method(const struct cph_ssa_msg *msg, const char *method)
{
    return cph_span_is(msg->method, method); /* RFC 3261 7.1: methods are case-sensitive */
}

/* Values of a header that begin with the scheme of an application. */
static unsigned values_of(const struct cph_ssa_msg *msg, const char *header, const char *scheme,
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
static uint64_t values_hash(const struct cph_manager *m, const struct cph_ssa_msg *msg)
{
    struct cph_span v[CPH_SMA_VALUES];
    unsigned n = values_of(msg, "Authorization", NULL, v);
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

static cph_err talk_of(struct cph_manager *m, struct manager_call *c, unsigned i)
{
    const struct cph_sma *a = &m->cfg.sma[i];

    return c->talk[i] ? CPH_OK : a->ops->open(a->ctx, m->cfg.sst, &c->talk[i]);
}

/* ---- policy ---------------------------------------------------------------------------------- */

static void capability_of(struct cph_manager *m, const struct cph_ssa_msg *msg,
                          struct cph_sst_capability *cap)
{
    const struct cph_sst *sst = m->cfg.sst;

    memset(cap, 0, sizeof *cap);
    if (!sst || !sst->capability)
        return;
    if (sst->capability(sst->ctx, msg, cap) !=
        CPH_OK) { /* the application does not know: fail closed */
        memset(cap, 0, sizeof *cap);
        cap->policy.challenge = true;
    }
}

/* RFC 3261 22.1 MUST NOT: ACK and CANCEL are never challenged. What carries keys or changes the
 * call is. */
static bool needs_proof(const struct cph_ssa_msg *msg)
{
    if (is_method(msg, "ACK") || is_method(msg, "CANCEL"))
        return false;
    return msg->body.n > 0 || is_method(msg, "INVITE") || is_method(msg, "UPDATE") ||
           is_method(msg, "REFER") || is_method(msg, "MESSAGE") || is_method(msg, "INFO");
}

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

/* ---- authenticate ---------------------------------------------------------------------------- */

static cph_err verify(struct cph_manager *m, struct manager_call *c, const struct cph_ssa_msg *msg,
                      cph_time now, struct cph_sma_proof *proof)
{
    struct cph_sma_msg view = sma_view(msg);
    struct cph_span v[CPH_SMA_VALUES];

    memset(proof, 0, sizeof *proof);
    proof->worth = CPH_PROOF_NONE;
    for (unsigned i = 0; i < m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];
        unsigned n = values_of(msg, "Authorization", a->ops->scheme, v);
        struct cph_sma_proof p = { 0 };

        if (n == 0 || !a->ops->verify_sign || talk_of(m, c, i) != CPH_OK)
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

static cph_err authenticate(struct cph_manager *m, struct manager_call *c,
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
    c->good_values = values_hash(m, msg);
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
    err = authenticate(m, c, msg, now, &p);
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

/* ---- what the state machine decided ---------------------------------------------------------- */

static void drop(struct cph_manager *m, struct cph_ssa_out *out, const char *why)
{
    m->count.dropped++;
    out->what = CPH_SSA_DROP;
    out->reason = why;
}

static void refuse(struct cph_manager *m, struct cph_ssa_out *out, unsigned status, const char *why)
{
    m->count.refused++;
    out->what = CPH_SSA_REPLY;
    out->status = status;
    out->reason = why;
    out->headers = (struct cph_span){ NULL, 0 };
}

static void pass(struct cph_manager *m, struct cph_ssa_out *out)
{
    if (out->what != CPH_SSA_REPLACE) /* decrypted: call control gets the new body */
        out->what = CPH_SSA_PASS;
    m->count.passed++;
}

static cph_err challenge_lines(struct cph_manager *m, bool cover_body, bool stale, cph_time now,
                               struct cph_ssa_out *out)
{
    struct cph_wr lines = cph_wr_open(m->lines, sizeof m->lines);

    for (unsigned i = 0; i < m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];

        if (a->ops->challenge)
            CPH_TRY(a->ops->challenge(a->ctx, cover_body, stale, now, &lines));
    }
    CPH_TRY(cph_wr_end(&lines));
    out->headers = cph_wr_done(&lines);
    return out->headers.n ? CPH_OK : CPH_E_UNSUPPORTED;
}

static void challenge(struct cph_manager *m, const struct cph_sst_capability *cap, bool stale,
                      cph_time now, struct cph_ssa_out *out)
{
    if (challenge_lines(m, cap->policy.cover_body, stale, now, out) != CPH_OK) {
        refuse(m, out, 403, "no way to ask for a proof");
        return;
    }
    m->count.challenged++;
    out->what = CPH_SSA_REPLY;
    out->status = 401;
}

static bool can_challenge(const struct cph_manager *m)
{
    for (unsigned i = 0; i < m->cfg.sma_n; i++)
        if (m->cfg.sma[i].ops->challenge && m->cfg.sma[i].ops->verify_sign)
            return true;
    return false;
}

/* ---- requests that arrive -------------------------------------------------------------------- */

/* A second caller under the Call-ID of another one's call would share what is known of it. */
static bool other_caller(const struct cph_manager *m, struct manager_call *c,
                         const struct cph_ssa_msg *msg)
{
    uint64_t tag = manager_hash(m, msg->from_tag);

    if (msg->to_tag.n > 0) /* inside a dialog; either side may be the sender */
        return false;
    if (c->from_tag == 0)
        c->from_tag = tag;
    return c->from_tag != tag;
}

static void receive_invite(struct cph_manager *m, struct manager_call *c,
                           const struct cph_ssa_msg *msg, const struct cph_sst_capability *cap,
                           cph_time now, struct cph_ssa_out *out)
{
    struct manager_input in = { .required = cap->policy.challenge };
    struct cph_sma_proof proof = { .worth = CPH_PROOF_NONE };
    struct manager_step step;
    bool asked_for_this = c->challenges > 0 && c->challenged_cseq == msg->cseq;
    cph_err err = in.required ? authenticate(m, c, msg, now, &proof) : CPH_OK;

    if (err ==
        CPH_E_POLICY) { /* proven, but not the one who may call, or not the one of this call */
        m->count.unknown_user++;
        refuse(m, out, 403, "this user may not call");
        return;
    }
    in.authorized = in.required && err == CPH_OK;
    in.can_challenge = can_challenge(m) && (asked_for_this || c->challenges < CPH_MANAGER_TRIES);
    if (manager_fsm(c->state, CPH_SIGNAL_GOT_INVITE, &in, &step) != CPH_OK) {
        drop(m, out, "no such state");
        return;
    }
    c->state = step.state;
    switch (step.action) {
    case MANAGER_CHALLENGE:
        if (!asked_for_this)
            c->challenges++;
        c->challenged_cseq = msg->cseq;
        challenge(m, cap, proof.stale, now, out);
        return;
    case MANAGER_REFUSE:
        refuse(m, out, 403, "no valid proof");
        return;
    case MANAGER_PASS:
    case MANAGER_RETRY:
        break;
    }
    if (!in.required && !c->proven)
        c->proof = CPH_PROOF_NONE;
    c->challenges = 0;
    m->count.forwarded++;
    pass(m, out);
}

static void receive_ack(struct cph_manager *m, struct manager_call *c,
                        const struct cph_ssa_msg *msg, const struct cph_sst_capability *cap,
                        struct cph_ssa_out *out)
{
    if (c && c->state == CPH_MANAGER_WAIT_AUTHORIZED_INVITE && msg->cseq <= c->challenged_cseq) {
        drop(m, out, "the ACK of our challenge");
        return;
    }
    /* RFC 3261 22.1 MUST: the ACK repeats the credentials of its INVITE. It may carry the answer,
     * with keys. */
    if (cap->policy.challenge && msg->body.n > 0 &&
        (!c || !c->good_values || c->good_values != values_hash(m, msg))) {
        drop(m, out, "an answer in an ACK without the proof of its INVITE");
        return;
    }
    /* The proof is the INVITE's, over the INVITE's body: this one may be anybody's. */
    if (c && msg->body.n > 0 && c->proof > CPH_PROOF_UNCOVERED)
        c->proof = CPH_PROOF_UNCOVERED;
    pass(m, out);
}

static void receive_request(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                            struct cph_ssa_out *out)
{
    struct cph_sst_capability cap;
    struct cph_sma_proof proof;
    struct manager_call *c = manager_find(m, msg->call_id);
    bool invite = is_method(msg, "INVITE");
    cph_err err;

    capability_of(m, msg, &cap);
    if (is_method(msg, "ACK")) {
        receive_ack(m, c, msg, &cap, out);
        return;
    }
    if (!invite && !(cap.policy.challenge && needs_proof(msg))) {
        pass(m, out);
        return;
    }
    c = manager_call_of(m, msg->call_id, now);
    if (!c) {
        refuse(m, out, msg->call_id.n > MANAGER_CALL_ID ? 400 : 503, "cannot remember this call");
        return;
    }
    if (other_caller(m, c, msg)) {
        refuse(m, out, 403, "the Call-ID belongs to another caller");
        return;
    }
    if (invite) {
        receive_invite(m, c, msg, &cap, now, out);
        manager_touch(m, c, now);
        return;
    }
    err = authenticate(m, c, msg, now, &proof);
    manager_touch(m, c, now);
    if (err == CPH_OK)
        pass(m, out);
    else if (err == CPH_E_POLICY)
        refuse(m, out, 403, "this user may not do that");
    else
        challenge(m, &cap, proof.stale, now, out);
}

/* ---- responses that arrive ------------------------------------------------------------------- */

static bool asked(struct cph_manager *m, struct manager_call *c, const struct cph_ssa_msg *msg)
{
    bool proxy = msg->status == 407;
    struct cph_span v[CPH_SMA_VALUES];

    for (unsigned i = 0; i < m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i];
        unsigned n = values_of(msg, proxy ? "Proxy-Authenticate" : "WWW-Authenticate",
                               a->ops->scheme, v);

        if (n > 0 && a->ops->asked && talk_of(m, c, i) == CPH_OK &&
            a->ops->asked(a->ctx, c->talk[i], msg->account, proxy, v, n) == CPH_OK)
            return true;
    }
    return false;
}

static void receive_error(struct cph_manager *m, struct manager_call *c,
                          const struct cph_ssa_msg *msg, struct cph_ssa_out *out)
{
    bool unauthorized = msg->status == 401 || msg->status == 407;
    struct manager_input in = { .outgoing = true };
    struct manager_step step;

    if (unauthorized) {
        /* An answer to something else than our last request is a late repeat, or forged. */
        bool ours = c->sent_any && c->sent_cseq == msg->cseq;

        in.can_answer = ours && c->answers < CPH_MANAGER_TRIES && asked(m, c, msg);
    }
    if (manager_fsm(c->state, unauthorized ? CPH_SIGNAL_GOT_UNAUTHORIZED : CPH_SIGNAL_GOT_ERROR,
                    &in, &step) != CPH_OK) {
        drop(m, out, "no such state");
        return;
    }
    c->state = step.state;
    if (step.action == MANAGER_RETRY) { /* the lines come when it passes on its way out */
        c->answers++;
        m->count.answered++;
        out->what = CPH_SSA_RETRY;
        return;
    }
    pass(m, out);
}

/* What a success to our offer is worth for the call. Without a body the keys came before it, in a
 * provisional response that nobody proved. */
static void take_answer_proof(struct manager_call *c, const struct cph_ssa_msg *msg,
                              enum cph_peer_proof best)
{
    if (best == CPH_PROOF_COVERED && msg->body.n == 0)
        best = CPH_PROOF_UNCOVERED;
    if (c->outgoing && is_method(msg, "INVITE") && (!c->proven || best < c->proof)) {
        c->proof = best;
        c->proven = true;
    } else if ((is_method(msg, "INVITE") || is_method(msg, "UPDATE")) && msg->body.n > 0 &&
               (best < c->proof || c->proof == CPH_PROOF_UNKNOWN)) {
        c->proof = best; /* the peer's call, or one forgotten: its new keys are as good as this */
    }
}

static void receive_success(struct cph_manager *m, struct manager_call *c,
                            const struct cph_ssa_msg *msg, struct cph_ssa_out *out)
{
    struct cph_span v[CPH_SMA_VALUES];
    enum cph_peer_proof best = CPH_PROOF_NONE;

    for (unsigned i = 0; i < 2 * m->cfg.sma_n; i++) {
        const struct cph_sma *a = &m->cfg.sma[i / 2];
        bool proxy = i % 2;
        enum cph_peer_proof worth = CPH_PROOF_NONE;
        unsigned n;

        if (!c->talk[i / 2] || !a->ops->answered)
            continue;
        n = values_of(msg, proxy ? "Proxy-Authentication-Info" : "Authentication-Info", NULL, v);
        if (a->ops->answered(a->ctx, c->talk[i / 2], proxy, v, n, msg->body, &worth) ==
            CPH_E_AUTH) {
            m->count.bad_proof++;
            drop(m, out, "the success proves the wrong secret");
            return;
        }
        if (!proxy && worth > best) /* a proxy's proof says nothing about the peer */
            best = worth;
    }
    c->answers = 0;
    take_answer_proof(c, msg, best);
    pass(m, out);
}

static void receive_response(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                             struct cph_ssa_out *out)
{
    struct manager_call *c = manager_find(m, msg->call_id);

    if (!c || msg->status < 200 || (msg->status >= 300 && msg->status < 400)) {
        pass(m, out);
        return;
    }
    if (msg->status >= 400)
        receive_error(m, c, msg, out);
    else
        receive_success(m, c, msg, out);
    manager_touch(m, c, now);
}

void cph_ssa_receive(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                     struct cph_ssa_out *out)
{
    memset(out, 0, sizeof *out);
    m->count.in++;
    cph_manager_tick(m, now);
    if (cph_ssa_decrypt(m, msg, out) != CPH_OK) {
        if (msg->status == 0 && !is_method(msg, "ACK"))
            refuse(m, out, 493, NULL); /* RFC 3261 21.4.28: undecipherable */
        else
            drop(m, out, "a body that cannot be decrypted");
        return;
    }
    if (msg->status == 0)
        receive_request(m, msg, now, out);
    else
        receive_response(m, msg, now, out);
}

/* ---- messages that go ------------------------------------------------------------------------ */

/* RFC 3261 22.1: the ACK needs the lines of its INVITE, whatever was proven since. */
static void keep_invite_lines(struct manager_call *c, uint32_t cseq, struct cph_span lines)
{
    free(c->invite_lines);
    c->invite_cseq = cseq;
    c->invite_lines = lines.n ? strndup((const char *)lines.p, lines.n) : NULL;
}

static void send_request(struct cph_manager *m, struct manager_call *c,
                         const struct cph_ssa_msg *msg, cph_time now, struct cph_ssa_out *out)
{
    if (is_method(msg, "CANCEL"))
        return;
    if (is_method(msg, "ACK")) {
        if (c->invite_lines && c->invite_cseq == msg->cseq)
            out->headers = cph_span_of(c->invite_lines);
        return;
    }
    if (msg->to_tag.n == 0 && c->from_tag == 0) {
        c->from_tag = manager_hash(m, msg->from_tag);
        c->outgoing = true;
    }
    c->sent_cseq = msg->cseq;
    c->sent_any = true;
    if (cph_ssa_authorize(m, msg, now, out) != CPH_OK) /* goes without; the peer will say so */
        out->headers = (struct cph_span){ NULL, 0 };
    if (is_method(msg, "INVITE"))
        keep_invite_lines(c, msg->cseq, out->headers);
}

void cph_ssa_send(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                  struct cph_ssa_out *out)
{
    struct manager_call *c;

    memset(out, 0, sizeof *out);
    m->count.out++;
    cph_manager_tick(m, now);
    out->what = CPH_SSA_PASS;
    if (msg->repeat)
        return;
    if (cph_ssa_encrypt(m, msg, out) != CPH_OK) {
        drop(m, out, "the body cannot be encrypted");
        return;
    }
    if (msg->status == 0) {
        c = manager_call_of(m, msg->call_id, now);
        if (c)
            send_request(m, c, msg, now, out);
    } else {
        c = manager_find(m, msg->call_id);
        if (c && cph_ssa_authorize(m, msg, now, out) != CPH_OK)
            out->headers = (struct cph_span){ NULL, 0 };
    }
    if (c)
        manager_touch(m, c, now);
}

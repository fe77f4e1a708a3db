#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/session_ssa.h"
#include "session_int.h"

/*
 * What every message goes through: decrypt and authenticate on the way in, authorize and encrypt on
 * the way out. INVITEs and answers to our requests then go through the state machine (fsm.c).
 */

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
    if (manager_is_method(msg, "ACK") || manager_is_method(msg, "CANCEL"))
        return false;
    return msg->body.n > 0 || manager_is_method(msg, "INVITE") ||
           manager_is_method(msg, "UPDATE") || manager_is_method(msg, "REFER") ||
           manager_is_method(msg, "MESSAGE") || manager_is_method(msg, "INFO");
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
    cph_err err = in.required ? manager_authenticate(m, c, msg, now, &proof) : CPH_OK;

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
        (!c || !c->good_values || c->good_values != manager_values_hash(m, msg))) {
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
    bool invite = manager_is_method(msg, "INVITE");
    cph_err err;

    capability_of(m, msg, &cap);
    if (manager_is_method(msg, "ACK")) {
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
    err = manager_authenticate(m, c, msg, now, &proof);
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
        unsigned n = manager_values(msg, proxy ? "Proxy-Authenticate" : "WWW-Authenticate",
                                    a->ops->scheme, v);

        if (n > 0 && a->ops->asked && manager_talk(m, c, i) == CPH_OK &&
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
    if (c->outgoing && manager_is_method(msg, "INVITE") && (!c->proven || best < c->proof)) {
        c->proof = best;
        c->proven = true;
    } else if ((manager_is_method(msg, "INVITE") || manager_is_method(msg, "UPDATE")) &&
               msg->body.n > 0 && (best < c->proof || c->proof == CPH_PROOF_UNKNOWN)) {
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
        n = manager_values(msg, proxy ? "Proxy-Authentication-Info" : "Authentication-Info", NULL,
                           v);
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
        if (msg->status == 0 && !manager_is_method(msg, "ACK"))
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
    if (c->invite_lines)
        cph_free_secret(c->invite_lines, strlen(c->invite_lines));
    c->invite_cseq = cseq;
    c->invite_lines = lines.n ? strndup((const char *)lines.p, lines.n) : NULL;
}

static void send_request(struct cph_manager *m, struct manager_call *c,
                         const struct cph_ssa_msg *msg, cph_time now, struct cph_ssa_out *out)
{
    if (manager_is_method(msg, "CANCEL"))
        return;
    if (manager_is_method(msg, "ACK")) {
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
    if (manager_is_method(msg, "INVITE"))
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

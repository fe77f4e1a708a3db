/*
 * Batches on libipsec-mb.
 *
 * AES-CM and HMAC-SHA1 gain from several packets in the lanes of one register: packets wait in the
 * group of their direction and key size until the group is full or the batch ends. A sender's
 * index is taken when its packet is staged. A receiver's index is guessed then, and everything
 * moves, in order, once the tags are known; where an earlier packet that waits could change the
 * guess, the group is run first. So the result is that of the single calls.
 *
 * AES-GCM gains nothing from company and goes packet by packet: passes over the whole batch were
 * tried and cost more than they saved.
 */
#include "mb_int.h"
#include "steps.h"

/* ---- running a group ------------------------------------------------------------------------- */

static bool cipher(struct srtp_mb *mb, struct mb_group *g, size_t from, size_t n, size_t kind)
{
    static const IMB_KEY_SIZE_BYTES size[] = { IMB_KEY_128_BYTES, IMB_KEY_192_BYTES,
                                               IMB_KEY_256_BYTES };

    return kind == MB_KEYS_NONE || n == 0 ||
           IMB_SUBMIT_CIPHER_BURST_NOCHECK(mb->wide, &g->job[from], (uint32_t)n, IMB_CIPHER_CNTR,
                                           IMB_DIR_ENCRYPT, size[kind]) == n;
}

/* Lanes left empty cost as much as full ones: few packets go to the manager with few lanes. */
static bool hash(struct srtp_mb *mb, struct mb_group *g)
{
    const size_t lanes = 16, few = 7;
    size_t rest = g->n % lanes, wide = rest <= few ? g->n - rest : g->n;

    if (wide > 0 && IMB_SUBMIT_HASH_BURST_NOCHECK(mb->wide, g->job, (uint32_t)wide,
                                                  IMB_AUTH_HMAC_SHA_1) != wide)
        return false;
    return wide == g->n ||
           IMB_SUBMIT_HASH_BURST_NOCHECK(mb->narrow, &g->job[wide], (uint32_t)(g->n - wide),
                                         IMB_AUTH_HMAC_SHA_1) == g->n - wide;
}

static void run_send(struct srtp_mb *mb, struct mb_group *g, size_t kind)
{
    bool good = cipher(mb, g, 0, g->n, kind) && hash(mb, g);

    for (size_t i = 0; i < g->n; i++) {
        struct mb_staged *sg = &g->staged[i];
        struct cph_srtp *s = sg->op->ctx;

        sg->op->err = good ? CPH_OK : CPH_E_CRYPTO;
        if (!good)
            continue;
        srtp_tag_copy(sg->op->pkt.p + sg->n + s->mki_n, g->mac[i], s->tag_n);
        srtp_send_end(s, &sg->op->pkt, sg->key);
    }
}

/* What the single call finds between guessing the index and decrypting, in its order. */
INTO static inline cph_err settle(const struct mb_staged *sg, const uint8_t *mac)
{
    struct cph_srtp *s = sg->op->ctx;

    if (sg->key->rtp_used >= sg->key->rtp_max)
        return CPH_E_EXPIRED;
    if (srtp_window_refuses(s, &sg->stream->rtp, sg->index))
        return CPH_E_REPLAY;
    if (!srtp_tag_eq(mac, sg->tag, s->tag_n))
        return CPH_E_AUTH;
    srtp_recv_mark(s, sg->key, sg->stream, sg->index);
    return CPH_OK;
}

static void run_recv(struct srtp_mb *mb, struct mb_group *g, size_t kind)
{
    bool good = hash(mb, g);
    size_t from = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct mb_staged *sg = &g->staged[i];

        memcpy(sg->op->pkt.p + sg->n, sg->under, sizeof sg->under);
        sg->op->err = good ? settle(sg, g->mac[i]) : CPH_E_CRYPTO;
        if (sg->op->err == CPH_OK) {
            sg->op->pkt.n = sg->n;
            continue;
        }
        good = cipher(mb, g, from, i - from, kind) && good; /* the accepted ones before it */
        from = i + 1;
    }
    if (!cipher(mb, g, from, g->n - from, kind))
        good = false;
    for (size_t i = 0; i < g->n && !good; i++)
        g->staged[i].op->err = CPH_E_CRYPTO;
}

static void run(struct cph_srtp_engine *e, enum cph_srtp_dir dir, size_t kind)
{
    struct mb_group *g = &e->mb->group[dir][kind];

    if (g->n == 0)
        return;
    if (dir == CPH_SRTP_SEND)
        run_send(e->mb, g, kind);
    else
        run_recv(e->mb, g, kind);
    g->n = 0;
    g->epoch = ++e->epoch;
}

/* ---- staging --------------------------------------------------------------------------------- */

uint8_t srtp_mb_kind(const struct cph_srtp *s)
{
    if (s->clear_rtp || s->aead) /* AEAD never waits */
        return MB_KEYS_NONE;
    return (uint8_t)(s->key_n / 8U - 2); /* 16, 24, 32 */
}

INTO static inline void fill(struct mb_group *g, const struct srtp_pass *pass, uint8_t *p)
{
    union mb_keys *k = mb_keys(pass->ss);
    IMB_JOB *job = &g->job[g->n];

    srtp_iv_cm(pass->ss, pass->ssrc, pass->index, g->iv[g->n]);
    job->src = p;
    job->dst = p + pass->header;
    job->enc_keys = k->cm.enc;
    job->cipher_start_src_offset_in_bytes = pass->header;
    job->msg_len_to_cipher_in_bytes = pass->n - pass->header;
    job->msg_len_to_hash_in_bytes = pass->n + 4;
    job->u.HMAC._hashed_auth_key_xor_ipad = k->cm.ipad;
    job->u.HMAC._hashed_auth_key_xor_opad = k->cm.opad;
    srtp_put_be32(p + pass->n, (uint32_t)(pass->index >> 16)); /* the ROC, behind what is hashed */
    g->n++;
}

/* May an earlier packet of this group decide which index this one has? */
static bool unsure(const struct mb_group *g, const struct srtp_stream *st,
                   const struct srtp_pass *pass, const uint8_t *p)
{
    return st->pend_epoch == g->epoch &&
           srtp_index_guess(&st->rtp, st->pend_top, srtp_rtp_seq(p)) != pass->index;
}

/* The first packet of a stream (its SRTCP may have come before), or one without payload, takes the
 * single call. */
static bool lonely(const struct srtp_pass *pass, const struct srtp_stream *st)
{
    return !st || !st->rtp.started || pass->n == pass->header;
}

/* Must those that wait be decided before this one? */
static bool after(const struct mb_group *g, cph_err err, const struct srtp_pass *pass,
                  const struct srtp_stream *st, const uint8_t *p)
{
    return g->n > 0 && (err == CPH_E_EXPIRED || (err == CPH_OK && lonely(pass, st)) ||
                        (st && unsure(g, st, pass, p)));
}

INTO static inline void wait_recv(struct mb_group *g, struct cph_srtp_op *op,
                                  const struct srtp_pass *pass, struct srtp_stream *st)
{
    struct mb_staged *sg = &g->staged[g->n];
    const struct cph_srtp *s = op->ctx;

    if (st->pend_epoch != g->epoch) {
        st->pend_epoch = g->epoch;
        st->pend_top = st->rtp.top;
    }
    if (pass->index > st->pend_top)
        st->pend_top = pass->index;
    sg->op = op;
    sg->key = pass->key;
    sg->n = (uint32_t)pass->n;
    sg->stream = st;
    sg->index = pass->index;
    srtp_tag_copy(sg->tag, op->pkt.p + pass->n + s->mki_n, s->tag_n);
    memcpy(sg->under, op->pkt.p + pass->n, sizeof sg->under);
    fill(g, pass, op->pkt.p);
}

APART static void stage_recv(struct cph_srtp_engine *e, struct mb_group *g, struct cph_srtp_op *op)
{
    struct cph_srtp *s = op->ctx;
    struct srtp_pass pass = { 0 };
    struct srtp_stream *st;

    op->err = srtp_recv_begin(s, &op->pkt, &pass, &st);
    if (after(g, op->err, &pass, st, op->pkt.p)) {
        run(e, CPH_SRTP_RECV, s->kind);
        stage_recv(e, g, op); /* nobody waits now */
        return;
    }
    if (op->err != CPH_OK)
        return;
    if (lonely(&pass, st))
        op->err = srtp_single(op);
    else
        wait_recv(g, op, &pass, st);
}

INTO static inline void wait_send(struct mb_group *g, struct cph_srtp_op *op,
                                  const struct srtp_pass *pass)
{
    struct mb_staged *sg = &g->staged[g->n];

    sg->op = op;
    sg->key = pass->key;
    sg->n = (uint32_t)pass->n;
    fill(g, pass, op->pkt.p);
}

APART static void stage_send(struct mb_group *g, struct cph_srtp_op *op)
{
    UNSET struct srtp_pass pass;

    op->err = srtp_send_begin(op->ctx, &op->pkt, &pass);
    if (op->err != CPH_OK)
        return;
    if (pass.n > pass.header) {
        wait_send(g, op, &pass);
        return;
    }
    op->err = op->ctx->suite->transform->rtp_seal(op->ctx, &pass, op->pkt.p); /* only a tag */
    if (op->err == CPH_OK)
        srtp_send_end(op->ctx, &op->pkt, pass.key);
}

INTO static inline void stage(struct cph_srtp_engine *e, struct cph_srtp_op *op)
{
    struct cph_srtp *s = op->ctx;
    struct mb_group *g = &e->mb->group[s->dir][s->kind];
    UNSET struct srtp_pass pass;

    if (s->dir == CPH_SRTP_SEND) {
        if (srtp_send_next(s, &op->pkt, &pass))
            wait_send(g, op, &pass);
        else
            stage_send(g, op);
    } else {
        if (srtp_recv_next(s, &op->pkt, g->epoch, &pass))
            wait_recv(g, op, &pass, s->last);
        else
            stage_recv(e, g, op);
    }
    if (g->n == SRTP_BATCH)
        run(e, (enum cph_srtp_dir)s->dir, s->kind);
}

/* With many contexts little of a packet's state is near: ask for it some packets ahead, link by
 * link. The keys are left to the library's loads, which wait for nothing. Not INTO, a compiler
 * would take the whole call for one without effect. */
INTO static inline void ahead(const struct cph_srtp_op *op, size_t left)
{
    if (left > 8)
        __builtin_prefetch(op[8].ctx);
    if (left > 4) {
        const struct cph_srtp *s = op[4].ctx;

        __builtin_prefetch(s->last);
        __builtin_prefetch(s->use);
        __builtin_prefetch(op[4].pkt.p);
    }
    if (left > 2)
        __builtin_prefetch(&op[2].ctx->use->rtp->salt_hi);
}

void srtp_mb_batch(struct cph_srtp_engine *e, struct cph_srtp_op *ops, size_t n)
{
    for (size_t d = 0; d < 2 && n > 0; d++) { /* no stream may look as if it waited already */
        for (size_t kind = 0; kind < MB_KEYS_KINDS; kind++)
            e->mb->group[d][kind].epoch = ++e->epoch;
    }
    for (size_t i = 0; i < n; i++) {
        struct cph_srtp *s = ops[i].ctx;

        ahead(&ops[i], n - i);
        if (s->engine != e)
            ops[i].err = CPH_E_ARGUMENT;
        else if (ops[i].rtcp || s->alone)
            ops[i].err = srtp_single(&ops[i]);
        else if (s->aead)
            ops[i].err = s->dir == CPH_SRTP_SEND ? srtp_mb_gcm_protect(s, &ops[i].pkt)
                                                 : srtp_mb_gcm_unprotect(s, &ops[i].pkt);
        else
            stage(e, &ops[i]);
    }
    for (size_t d = 0; d < 2; d++) {
        for (size_t kind = 0; kind < MB_KEYS_KINDS; kind++)
            run(e, (enum cph_srtp_dir)d, kind);
    }
}

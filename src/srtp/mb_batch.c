/*
 * Batches on libipsec-mb.
 *
 * AES-CM and HMAC-SHA1 gain from several packets in the lanes of one register: packets wait in the
 * group of their direction and key size until the group is full or the batch ends. A sender's
 * index is taken when its packet is staged. A receiver's index is guessed then, and everything
 * moves, in order, once the tags are known; where an earlier packet that waits could change the
 * guess, the group is run first. So the result is that of the single calls.
 *
 * AES-GCM gains nothing from company and goes packet by packet.
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
        srtp_tag_copy(sg->op->pkt.p + sg->pass.n + s->mki_n, g->mac[i], s->tag_n);
        srtp_send_end(s, &sg->op->pkt, &sg->pass);
    }
}

/* What the single call finds between guessing the index and decrypting, in its order. */
static cph_err settle(struct mb_staged *sg, const uint8_t *mac)
{
    struct cph_srtp *s = sg->op->ctx;
    const struct srtp_pass *pass = &sg->pass;

    if (pass->key->rtp_used >= pass->key->rtp_max)
        return CPH_E_EXPIRED;
    if (srtp_window_refuses(s, &sg->stream->rtp, pass->index))
        return CPH_E_REPLAY;
    if (!srtp_tag_eq(mac, sg->tag, s->tag_n))
        return CPH_E_AUTH;
    return srtp_recv_commit(s, pass, sg->stream);
}

static void run_recv(struct srtp_mb *mb, struct mb_group *g, size_t kind)
{
    bool good = hash(mb, g);
    size_t from = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct mb_staged *sg = &g->staged[i];

        memcpy(sg->op->pkt.p + sg->pass.n, sg->under, sizeof sg->under);
        sg->op->err = good ? settle(sg, g->mac[i]) : CPH_E_CRYPTO;
        if (sg->op->err == CPH_OK) {
            sg->op->pkt.n = sg->pass.n;
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

static size_t kind_of(const struct cph_srtp *s)
{
    if (s->clear_rtp)
        return MB_KEYS_NONE;
    return s->key_n / 8U - 2; /* 16, 24, 32 */
}

static void fill(struct mb_group *g, const struct srtp_pass *pass, uint8_t *p)
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
static bool lonely(const struct mb_staged *sg)
{
    return !sg->stream || !sg->stream->rtp.started || sg->pass.n == sg->pass.header;
}

static void stage_recv(struct cph_srtp_engine *e, struct mb_group *g, size_t kind,
                       struct cph_srtp_op *op)
{
    struct mb_staged *sg = &g->staged[g->n];
    struct cph_srtp *s = op->ctx;

    op->err = srtp_recv_begin(s, &op->pkt, &sg->pass, &sg->stream);
    if (op->err == CPH_E_EXPIRED || (op->err == CPH_OK && lonely(sg)) ||
        (sg->stream && unsure(g, sg->stream, &sg->pass, op->pkt.p))) {
        run(e, CPH_SRTP_RECV, kind);
        sg = &g->staged[0];
        op->err = srtp_recv_begin(s, &op->pkt, &sg->pass, &sg->stream);
    }
    if (op->err != CPH_OK)
        return;
    if (lonely(sg)) {
        op->err = srtp_single(op);
        return;
    }
    if (sg->stream->pend_epoch != g->epoch || sg->pass.index > sg->stream->pend_top) {
        bool first = sg->stream->pend_epoch != g->epoch;
        uint64_t top = sg->stream->rtp.top;

        sg->stream->pend_top = !first || sg->pass.index > top ? sg->pass.index : top;
        sg->stream->pend_epoch = g->epoch;
    }
    sg->op = op;
    srtp_tag_copy(sg->tag, op->pkt.p + sg->pass.n + s->mki_n, s->tag_n);
    memcpy(sg->under, op->pkt.p + sg->pass.n, sizeof sg->under);
    fill(g, &sg->pass, op->pkt.p);
}

static void stage_send(struct mb_group *g, struct cph_srtp_op *op)
{
    struct mb_staged *sg = &g->staged[g->n];

    op->err = srtp_send_begin(op->ctx, &op->pkt, &sg->pass);
    if (op->err != CPH_OK)
        return;
    if (sg->pass.n == sg->pass.header) { /* no payload: no work for the cipher */
        op->err = op->ctx->suite->transform->rtp_seal(op->ctx, &sg->pass, op->pkt.p);
        if (op->err == CPH_OK)
            srtp_send_end(op->ctx, &op->pkt, &sg->pass);
        return;
    }
    sg->op = op;
    fill(g, &sg->pass, op->pkt.p);
}

static void stage(struct cph_srtp_engine *e, struct cph_srtp_op *op)
{
    struct cph_srtp *s = op->ctx;
    size_t kind = kind_of(s);
    struct mb_group *g = &e->mb->group[s->dir][kind];

    if (s->dir == CPH_SRTP_SEND)
        stage_send(g, op);
    else
        stage_recv(e, g, kind, op);
    if (g->n == SRTP_BATCH)
        run(e, s->dir, kind);
}

/* With many contexts little of a packet's state is near: ask for it some packets ahead, link by
 * link. */
static inline void ahead(const struct cph_srtp_op *op, size_t left)
{
    if (left > 8) {
        __builtin_prefetch(op[8].ctx);
        __builtin_prefetch((const char *)op[8].ctx + 64);
    }
    if (left > 5) {
        const struct cph_srtp *s = op[5].ctx;

        __builtin_prefetch(s->last);
        __builtin_prefetch(s->key[s->in_use]);
        __builtin_prefetch(op[5].pkt.p);
    }
    if (left > 3) {
        const struct cph_srtp *s = op[3].ctx;
        const struct srtp_session *ss = s->key[s->in_use]->rtp;

        __builtin_prefetch(&ss->salt_hi);
        for (size_t line = 0; line < 192; line += 64) /* round keys */
            __builtin_prefetch(ss->mb + line);
        /* the low powers of the hash key lie at the end; HMAC's states behind the round keys */
        for (size_t line = s->aead ? 768 : 192; line < (s->aead ? 1024 : 320); line += 64)
            __builtin_prefetch(ss->mb + line);
        if (s->last)
            __builtin_prefetch(s->last->rtp.seen);
    }
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
        else if (s->aead && !ops[i].rtcp)
            ops[i].err = (s->dir == CPH_SRTP_SEND ? s->protect : s->unprotect)(s, &ops[i].pkt);
        else if (ops[i].rtcp || s->tag_n == 0 || s->derives)
            ops[i].err = srtp_single(&ops[i]);
        else
            stage(e, &ops[i]);
    }
    for (size_t d = 0; d < 2; d++) {
        for (size_t kind = 0; kind < MB_KEYS_KINDS; kind++)
            run(e, (enum cph_srtp_dir)d, kind);
    }
}

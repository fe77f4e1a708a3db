#include <stdlib.h>
#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * From what negotiation has come to, to SRTP contexts. The streams' roll-over counters go on over a
 * change of keys, or begin anew, as the mechanism says; in doubt both are tried for receiving, and
 * the first tag that fits decides.
 */

/* ---- contexts -------------------------------------------------------------------------------- */

static void sender_free(struct engine_sender *x)
{
    cph_srtp_free(x->srtp);
    free(x);
}

/* RFC 3711 9.1 MUST: no keystream is used twice. Until the choice is made a further answer may take
 * the same key (RFC 4568 7.3), also when who was told it before is gone, so its indices are kept.
 */
static void sender_unref(struct cph_session *s, struct engine_sender *x)
{
    if (!x || --x->refs > 0)
        return;
    if (s->chosen || cph_srtp_stream_count(x->srtp) == 0 || s->parted_n > ENGINE_PARTED) {
        sender_free(x);
        return;
    }
    x->next = s->parted;
    s->parted = x;
    s->parted_n++;
}

void engine_parted_free(struct cph_session *s)
{
    while (s->parted) {
        struct engine_sender *x = s->parted;

        s->parted = x->next;
        sender_free(x);
    }
    s->parted_n = 0;
}

static void recv_replace(struct cph_srtp **at, struct cph_srtp *by)
{
    cph_srtp_free(*at);
    *at = by;
}

void engine_grace_over(struct engine_line *l)
{
    for (int c = 0; c < 2; c++)
        recv_replace(&l->prev[c], NULL);
    engine_ekt_free(l->ekt_prev);
    l->ekt_prev = NULL;
    if (l->ekt)
        engine_ekt_forget(l->ekt);
    l->prev_until = 0;
}

/* No keys of this line are used again. */
void engine_line_stop(struct cph_session *s, struct engine_line *l)
{
    for (int c = 0; c < 2; c++) {
        sender_unref(s, l->send[c]);
        l->send[c] = NULL;
        recv_replace(&l->recv[c], NULL);
        recv_replace(&l->alt[c], NULL);
        memset(l->gen[c], 0, sizeof l->gen[c]);
    }
    engine_grace_over(l);
    engine_ekt_free(l->ekt);
    l->ekt = NULL;
}

static cph_err context(const struct cph_session *s, const struct engine_line *l,
                       enum cph_keying_component c, enum cph_keying_dir dir, struct cph_srtp **out)
{
    struct cph_srtp *ctx = NULL;
    cph_err err = CPH_OK;

    for (unsigned i = 0; err == CPH_OK && i < CPH_KEYING_MAX_KEYS; i++) {
        CPH_SRTP_POLICY_SCOPED p = { 0 };

        err = cph_nego_keys(l->nego, c, dir, i, &p);
        if (err != CPH_OK)
            break;
        if (!ctx)
            err = cph_srtp_new(s->cfg.srtp, &p,
                               dir == CPH_KEYING_SEND ? CPH_SRTP_SEND : CPH_SRTP_RECV, &ctx);
        else
            err = cph_srtp_key_add(ctx, &p.master);
    }
    if (err != CPH_OK && (err != CPH_E_NOTFOUND || !ctx)) {
        cph_srtp_free(ctx);
        return err;
    }
    *out = ctx;
    return CPH_OK;
}

/* What a mechanism knows of streams beforehand. A stream that is there already knows better. */
static void apply_hints(const struct engine_line *l, enum cph_keying_dir dir, struct cph_srtp *ctx)
{
    struct cph_keying_hint hint[CPH_KEYING_MAX_HINTS];
    unsigned n = cph_nego_hints(l->nego, hint, CPH_KEYING_MAX_HINTS);

    for (unsigned i = 0; i < n; i++)
        if (hint[i].dir == dir && cph_srtp_roc_set(ctx, hint[i].ssrc, hint[i].roc) != CPH_OK)
            continue;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Another branch of this fork that sends under the same key, or did. */
static struct engine_sender *same_sender(struct cph_session *s, const struct engine_branch *b,
                                         unsigned stream, const struct cph_srtp *ctx)
{
    const struct engine_branch *o;

    for (unsigned i = 0; (o = engine_next(s, &i)) != NULL;) {
        for (int c = 0; c < 2 && o != b; c++) {
            struct engine_sender *x = o->line[stream].send[c];

            if (x && cph_srtp_same_key(x->srtp, ctx))
                return x;
        }
    }
    for (struct engine_sender **at = &s->parted; *at; at = &(*at)->next) {
        struct engine_sender *x = *at;

        if (!cph_srtp_same_key(x->srtp, ctx))
            continue;
        *at = x->next;
        s->parted_n--;
        return x;
    }
    return NULL;
}

static void note_change(struct engine_change *ch, enum cph_keying_component c, bool had, bool same)
{
    ch->any |= !same;
    ch->replaced |= c == CPH_KEYING_RTP && had && !same;
}

static cph_err install_send(struct cph_session *s, struct engine_branch *b, unsigned stream,
                            enum cph_keying_component c, enum cph_keying_streams streams,
                            struct engine_change *change)
{
    struct engine_line *l = &b->line[stream];
    struct engine_sender *old = l->send[c], *next;
    struct cph_srtp *ctx;
    cph_err err;

    if (s->parted_n > ENGINE_PARTED)
        return CPH_E_LIMIT; /* one was forgotten, and this may be its key */
    CPH_TRY(context(s, l, c, CPH_KEYING_SEND, &ctx));
    note_change(change, c, old, old && cph_srtp_same_key(old->srtp, ctx));
    next = same_sender(s, b, stream, ctx);
    if (next) {
        next->refs++;
        cph_srtp_free(ctx);
    } else {
        /* Under the key we used already, indices go on in any case, whatever the mechanism says. */
        bool keep = old &&
                    (streams == CPH_KEYING_STREAMS_KEEP || cph_srtp_same_key(old->srtp, ctx));

        err = keep ? cph_srtp_move(ctx, old->srtp) : CPH_OK;
        next = err == CPH_OK ? calloc(1, sizeof *next) : NULL;
        if (!next) {
            cph_srtp_free(ctx);
            return err == CPH_OK ? CPH_E_NOMEM : err;
        }
        apply_hints(l, CPH_KEYING_SEND, ctx);
        *next = (struct engine_sender){ .srtp = ctx, .refs = 1 };
    }
    sender_unref(s, old);
    l->send[c] = next;
    l->rekey_told = false;
    return CPH_OK;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static cph_err install_recv(struct cph_session *s, struct engine_branch *b, unsigned stream,
                            enum cph_keying_component c, const struct cph_keying_status *st,
                            cph_time now, struct engine_change *change)
{
    struct engine_line *l = &b->line[stream];
    struct cph_srtp *old = l->recv[c], *ctx, *alt = NULL;
    bool keep = old && st->dir[CPH_KEYING_RECV].streams == CPH_KEYING_STREAMS_KEEP, same;
    cph_err err;

    CPH_TRY(context(s, l, c, CPH_KEYING_RECV, &ctx));
    same = old && cph_srtp_same_key(old, ctx);
    note_change(change, c, old, same);
    err = keep || same ? cph_srtp_move(ctx, old) : CPH_OK;
    if (err == CPH_OK && old && st->dir[CPH_KEYING_RECV].roc_doubt && !same) {
        err = context(s, l, c, CPH_KEYING_RECV, &alt);
        if (err == CPH_OK && !keep)
            err = cph_srtp_move(alt, old);
    }
    if (err != CPH_OK) {
        cph_srtp_free(ctx);
        cph_srtp_free(alt);
        return err;
    }
    apply_hints(l, CPH_KEYING_RECV, ctx);
    recv_replace(&l->alt[c], alt);
    if (same) {
        cph_srtp_free(old);
    } else if (l->held && l->prev[c] && l->prev_until == CPH_TIME_NEVER) {
        cph_srtp_free(old); /* one that the peer has not begun with */
    } else {
        recv_replace(&l->prev[c], old); /* for what is under way */
        if (old)
            l->prev_until = engine_precond_grace(b, l, now);
    }
    l->recv[c] = ctx;
    return CPH_OK;
}

/* RFC 3711 9.1 MUST: the same master key both ways needs different SSRCs; srtp/ watches. */
static cph_err watch_pair(struct engine_line *l, enum cph_keying_component c)
{
    return l->send[c] && l->recv[c] && l->send[c]->refs == 1
               ? cph_srtp_pair(l->send[c]->srtp, l->recv[c])
               : CPH_OK;
}

cph_err engine_install_contexts(struct cph_session *s, struct engine_branch *b, unsigned stream,
                                const struct cph_keying_status *st, cph_time now,
                                struct engine_change *change)
{
    struct engine_line *l = &b->line[stream];
    cph_err waiting = CPH_OK;

    for (unsigned c = 0; c < (l->shared ? 1U : 2U); c++) {
        for (unsigned d = 0; d < 2; d++) {
            cph_err err;

            if (st->dir[d].generation == 0 || st->dir[d].generation == l->gen[c][d])
                continue;
            if (d == CPH_KEYING_SEND && l->held && !l->mute && l->send[c])
                continue; /* the peer is not ready for it (RFC 5027 3) */
            err = d == CPH_KEYING_SEND ? install_send(s, b, stream, c, st->dir[d].streams, change)
                                       : install_recv(s, b, stream, c, st, now, change);
            if (err == CPH_E_AGAIN) {
                waiting = err;
                continue;
            }
            CPH_TRY(err);
            l->gen[c][d] = st->dir[d].generation;
        }
        CPH_TRY(watch_pair(l, c));
    }
    return waiting;
}

static bool is_heard(const struct cph_srtp *ctx, uint32_t ssrc)
{
    struct cph_srtp_stream_info info;

    for (size_t i = 0; cph_srtp_stream_at(ctx, i, &info) == CPH_OK; i++)
        if (info.ssrc == ssrc)
            return info.started;
    return false;
}

/* A later offer or answer may say where a stream stands that has not been heard yet, under the keys
 * that are there. One that is being heard knows better. */
static void late_hints(const struct engine_line *l)
{
    struct cph_keying_hint hint[CPH_KEYING_MAX_HINTS];
    unsigned n = l->recv[0] ? cph_nego_hints(l->nego, hint, CPH_KEYING_MAX_HINTS) : 0;

    for (unsigned i = 0; i < n; i++)
        for (int c = 0; c < 2 && hint[i].dir == CPH_KEYING_RECV; c++)
            if (l->recv[c] && !is_heard(l->recv[c], hint[i].ssrc) &&
                cph_srtp_roc_set(l->recv[c], hint[i].ssrc, hint[i].roc) != CPH_OK)
                continue; /* it said more before */
}

/* And the mechanism is told where ours stands, since it may say so. */
void engine_tell_stream(const struct cph_session *s, const struct engine_branch *b, unsigned stream)
{
    const struct engine_line *l = &b->line[stream];
    uint32_t ssrc = engine_ssrc(s, stream), roc;

    if (l->nego && l->send[0] && ssrc != 0 &&
        cph_srtp_roc_get(l->send[0]->srtp, ssrc, &roc) == CPH_OK)
        cph_nego_stream(l->nego, ssrc, roc);
}

/* From contexts to EKT: what is under way comes under the keys before. */
static void retire_contexts(struct cph_session *s, struct engine_line *l, cph_time now)
{
    for (int c = 0; c < 2; c++) {
        sender_unref(s, l->send[c]);
        l->send[c] = NULL;
        recv_replace(&l->alt[c], NULL);
        if (!l->recv[c])
            continue;
        recv_replace(&l->prev[c], l->recv[c]);
        l->recv[c] = NULL;
        l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
    }
}

/* And back. */
static void retire_ekt(struct engine_line *l, cph_time now)
{
    if (!l->ekt)
        return;
    engine_ekt_free(l->ekt_prev);
    l->ekt_prev = l->ekt;
    l->ekt = NULL;
    l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
}

cph_err engine_install(struct cph_session *s, struct engine_branch *b, unsigned stream,
                       const struct cph_keying_status *st, cph_time now,
                       struct engine_change *change)
{
    struct engine_line *l = &b->line[stream];
    bool had = l->ekt || l->send[0], changed;
    cph_err err;

    if (l->ekt && st->dir[0].generation == l->gen[0][0] && st->dir[1].generation == l->gen[0][1])
        return CPH_OK; /* it changes with a generation only */
    err = engine_ekt_follow(s, l, now, &changed);
    if (err == CPH_E_NOTFOUND) {
        CPH_TRY(engine_install_contexts(s, b, stream, st, now, change));
        late_hints(l);
        change->replaced |= l->ekt != NULL;
        retire_ekt(l, now);
        return CPH_OK;
    }
    CPH_TRY(err);
    retire_contexts(s, l, now);
    l->gen[0][0] = st->dir[0].generation;
    l->gen[0][1] = st->dir[1].generation;
    change->any |= changed;
    change->replaced |= had && changed;
    if (changed)
        l->rekey_told = false;
    return CPH_OK;
}

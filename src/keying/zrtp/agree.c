/* Commit, DHPart1 and DHPart2 as they come (RFC 6189 4.2, 4.4): who is who, and what is checked. */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

static cph_err text_set(struct zrtp_text *t, struct cph_span bytes)
{
    if (bytes.n > sizeof t->b)
        return CPH_E_LIMIT;
    memcpy(t->b, bytes.p, bytes.n);
    t->n = bytes.n;
    return CPH_OK;
}

/* ---- Commit (4.2) ---------------------------------------------------------------------------- */

/* 4.2: does their Commit win over ours? Between Multistream and the rest there is no order. */
static cph_err contend(const struct zrtp *ours, const struct zrtp_live *live,
                       const struct zrtp_commit *theirs, bool *win)
{
    const struct zrtp_commit *own = &ours->live.committed;
    bool dh = own->mode == CPH_ZRTP_DH;
    int order = 0;

    if ((own->mode == CPH_ZRTP_MULTISTREAM) != (theirs->mode == CPH_ZRTP_MULTISTREAM))
        return CPH_E_STATE;
    if (own->mode != theirs->mode) { /* RFC 6189 4.2 MUST: DH goes before Preshared */
        *win = theirs->mode == CPH_ZRTP_DH;
        return CPH_OK;
    }
    /* RFC 6189 4.2 MUST: of two Preshared ones, that of the man in the middle is discarded */
    if (own->mode == CPH_ZRTP_PRESHARED && ours->own.m != live->peer_hello.m) {
        *win = ours->own.m;
        return CPH_OK;
    }
    /* RFC 6189 4.2 MUST: the lower value is discarded */
    for (int i = 0; i < (dh ? ZRTP_HASH : ZRTP_NONCE) && order == 0; i++)
        order = theirs->hvi[i] - own->hvi[i];
    *win = order > 0;
    return CPH_OK;
}

/* What we would not have chosen we do not take either: error code, 0 if all is ours. */
static unsigned unsupported(const struct zrtp *z, const struct zrtp_commit *c)
{
    static const unsigned code[ZRTP_KINDS] = { ZRTP_E_HASH, ZRTP_E_CIPHER, ZRTP_E_TAG,
                                               ZRTP_E_AGREEMENT, ZRTP_E_SAS };
    const struct zrtp_alg *a = zrtp_alg(ZRTP_K_AGREEMENT, c->id[ZRTP_K_AGREEMENT]);

    for (int k = 0; k < ZRTP_KINDS; k++) {
        struct zrtp_list ours;

        if (k == ZRTP_K_SAS && c->mode == CPH_ZRTP_MULTISTREAM)
            continue; /* 4.4.3.1: ignored */
        zrtp_list_complete((enum zrtp_kind)k, &z->own.list[k], &ours);
        if (!zrtp_list_has(&ours, c->id[k]))
            return code[k];
    }
    if (a->wants_s384 && c->id[ZRTP_K_HASH] != ZRTP_ID('S', '3', '8', '4'))
        return ZRTP_E_HASH; /* RFC 6189 5.1.5 MUST: EC38 goes with SHA-384 */
    return 0;
}

/* The public value in a DHPart we wrote. */
static struct cph_span own_pv(const struct zrtp_text *part, size_t n)
{
    return (struct cph_span){ part->b + part->n - ZRTP_MAC - n, n };
}

static cph_err respond_dh(const struct zrtp *z, struct zrtp_live *next, cph_time now)
{
    const struct zrtp_alg *before = z->live.alg[ZRTP_K_AGREEMENT];
    enum cph_agree_group group = next->alg[ZRTP_K_AGREEMENT]->group;
    size_t n = cph_agree_public_size(group);
    uint8_t pv[CPH_AGREE_PUBLIC_MAX];

    /* 4.2: the key of a Commit that lost serves again if it is of the same kind */
    if (next->dh.n > 0 && before && before->group == group)
        memcpy(pv, own_pv(&z->live.dhpart2, n).p, n);
    else
        CPH_TRY(cph_agree_make(z->call->cfg.env, group, (size_t)2 * next->alg[ZRTP_K_CIPHER]->key_n,
                               &next->dh, pv));
    CPH_TRY(zrtp_write_dhpart(z, z->peer, ZRTP_RESPONDER, next, (struct cph_span){ pv, n },
                              &next->dhpart1));
    next->effects |= ZRTP_DO_OWN;
    zrtp_enter(next, ZRTP_RESPONDED);
    next->due |= zrtp_bit(ZRTP_DHPART1);
    next->at = now + CPH_SEC(ZRTP_RESPOND_S);
    return CPH_OK;
}

static cph_err respond_undh(const struct zrtp *z, struct zrtp_live *next, cph_time now)
{
    bool mult = next->committed.mode == CPH_ZRTP_MULTISTREAM;
    cph_err err;

    /* RFC 6189 4.4.3.1 MUST: a nonce used before ends the exchange at once */
    if (zrtp_peer_nonce_used(z->peer, next->committed.hvi))
        return zrtp_fail(next, CPH_E_REPLAY, ZRTP_E_NONCE, "the peer used a nonce twice", now);
    err = zrtp_derive_undh(z, next);
    /* The peer is through with the first stream and we wait for its last word: this one came
     * before it, and will come again. */
    if (err == CPH_E_NOTFOUND && mult && z->peer->owner)
        return CPH_E_STATE;
    if (err == CPH_E_NOTFOUND && (mult || z->call->cfg.passive))
        return zrtp_fail(next, CPH_E_NOKEY, ZRTP_E_NO_SECRET,
                         "the peer builds on a secret that is not here", now);
    if (err == CPH_E_NOTFOUND) { /* RFC 6189 4.4.2.3 SHOULD: answer with a DH Commit of our own */
        cph_secret_wipe(&next->dh);
        return zrtp_commit_dh(z, z->peer, next, now);
    }
    CPH_TRY(err);
    cph_secret_wipe(&next->dh);
    CPH_TRY(zrtp_write_confirm(z, z->peer, next));
    next->effects |= ZRTP_DO_NONCE | (mult ? 0 : ZRTP_DO_OWN);
    zrtp_enter(next, ZRTP_CONFIRMED);
    next->due |= zrtp_bit(ZRTP_CONFIRM1);
    next->at = now + CPH_SEC(ZRTP_RESPOND_S);
    return CPH_OK;
}

/* May this stream run the exchange that the Commit wants? Only one may touch what is retained. */
static cph_err may_run(const struct zrtp *z, const struct zrtp_commit *c)
{
    const struct zrtp *other = z->peer->owner;
    bool win;

    if (c->mode == CPH_ZRTP_MULTISTREAM)
        return CPH_OK;
    /* RFC 6189 4.4.3 MUST: further streams by Multistream only. Another agreement would bring
     * another SAS, under the word the user gave for the first. */
    if (z->peer->session.n > 0)
        return CPH_E_STATE;
    if (!other || other == z)
        return CPH_OK;
    if (other->live.state != ZRTP_COMMITTED)
        return CPH_E_STATE;
    CPH_TRY(contend(other, &z->live, c, &win)); /* 4.2: the same rule over two streams */
    return win ? CPH_OK : CPH_E_STATE;
}

/* Is it the peer's, and is the Hello that we have the peer's too? */
static cph_err check_commit(const struct zrtp *z, const struct zrtp_msg *m)
{
    const struct zrtp_commit *c = &m->u.commit;

    /* RFC 6189 5.4 MUST: the ZID of the Hello */
    if (!cph_span_eq((struct cph_span){ c->zid, sizeof c->zid },
                     (struct cph_span){ z->live.peer_hello.zid, CPH_ZRTP_ZID }))
        return CPH_E_AUTH;
    return zrtp_check_image(c->h2, z->live.peer_hello.h3);
}

cph_err zrtp_on_commit(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    const struct zrtp_commit *c = &in->msg->u.commit;
    unsigned code;
    bool win = true;
    cph_err err;

    if (!z->live.has_peer)
        return CPH_E_STATE;
    CPH_TRY(check_commit(z, in->msg));
    /* RFC 6189 8.1.1 MUST: a bad MAC is a man in the middle, not chance */
    err = zrtp_mac_check(zrtp_text_span(&z->live.hello), (struct cph_span){ c->h2, ZRTP_HASH });
    if (err == CPH_E_AUTH)
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_HELLO,
                         "the peer's Hello was changed: somebody may be in the middle", in->now);
    CPH_TRY(err);
    if (z->live.state == ZRTP_COMMITTED && contend(z, &z->live, c, &win) != CPH_OK)
        return zrtp_fail(next, CPH_E_STATE, ZRTP_E_SOFTWARE,
                         "one side wants Multistream, the other does not", in->now);
    if (!win)
        return CPH_OK; /* ours stands; the peer will see that too */
    CPH_TRY(may_run(z, c));
    code = unsupported(z, c);
    if (code)
        return zrtp_fail(next, CPH_E_UNSUPPORTED, code, zrtp_error_text(code), in->now);
    for (int k = 0; k < ZRTP_KINDS; k++)
        next->alg[k] = zrtp_alg((enum zrtp_kind)k, c->id[k]);
    CPH_TRY(text_set(&next->commit, in->msg->bytes));
    next->committed = *c;
    next->initiator = false;
    next->err = CPH_OK;
    next->why = NULL;
    next->bad_macs = 0;
    next->due &= ~(zrtp_bit(ZRTP_COMMIT) | zrtp_bit(ZRTP_HELLO));
    return c->mode == CPH_ZRTP_DH ? respond_dh(z, next, in->now) : respond_undh(z, next, in->now);
}

/* Our DHPart1 or Confirm1 was lost. */
cph_err zrtp_on_commit_again(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    if (!cph_span_eq(in->msg->bytes, zrtp_text_span(&z->live.commit)))
        return CPH_E_STATE;
    if (z->live.state == ZRTP_RESPONDED)
        next->due |= zrtp_bit(ZRTP_DHPART1);
    else if (z->live.committed.mode != CPH_ZRTP_DH)
        next->due |= zrtp_bit(ZRTP_CONFIRM1);
    next->at = in->now + CPH_SEC(ZRTP_RESPOND_S);
    return CPH_OK;
}

/* ---- DHPart1 and DHPart2 (4.4.1) ------------------------------------------------------------- */

static cph_err bad_pv(struct zrtp_live *next, const char *why, cph_time now)
{
    return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_BAD_PV, why, now);
}

/* As the initiator. The peer never sent a Commit, so H2 is computed from H1 (9). */
cph_err zrtp_on_dhpart1(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    const struct zrtp_dhpart *d = &in->msg->u.dhpart;
    uint8_t h2[ZRTP_HASH];
    cph_err err;

    if (z->live.committed.mode != CPH_ZRTP_DH)
        return CPH_E_STATE;
    CPH_TRY(zrtp_hash256((struct cph_span){ d->h1, ZRTP_HASH }, h2));
    CPH_TRY(zrtp_check_image(h2, z->live.peer_hello.h3));
    err = zrtp_mac_check(zrtp_text_span(&z->live.hello), (struct cph_span){ h2, sizeof h2 });
    if (err == CPH_E_AUTH)
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_HELLO,
                         "the peer's Hello was changed: somebody may be in the middle", in->now);
    CPH_TRY(err);
    CPH_TRY(text_set(&next->dhpart1, in->msg->bytes));
    memcpy(next->peer_h1, d->h1, ZRTP_HASH);
    err = zrtp_derive_dh(z, d, next);
    if (err == CPH_E_MALFORMED) /* RFC 6189 4.4.1.3 MUST: ended */
        return bad_pv(next, "the peer's public value is weak: this may be an attack", in->now);
    CPH_TRY(err);
    next->due &= ~zrtp_bit(ZRTP_COMMIT);
    zrtp_enter(next, ZRTP_AGREEING);
    zrtp_retry_from(next, ZRTP_DHPART2, in->now);
    return CPH_OK;
}

/* RFC 6189 4.4.1.2: hvi is computed anew from what came, and compared with what was committed. */
static cph_err check_hvi(const struct zrtp *z, struct cph_span dhpart2)
{
    struct cph_span part[2] = { dhpart2, zrtp_text_span(&z->own_hello) };
    uint8_t hash[CPH_DIGEST_MAX];

    CPH_TRY(zrtp_hash_all(z->live.alg[ZRTP_K_HASH], part, 2, hash));
    return cph_ct_eq((struct cph_span){ hash, ZRTP_HASH },
                     (struct cph_span){ z->live.committed.hvi, ZRTP_HASH })
               ? CPH_OK
               : CPH_E_AUTH;
}

/* As the responder: the cheap checks first, the exponentiation last. */
cph_err zrtp_on_dhpart2(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    const struct zrtp_dhpart *d = &in->msg->u.dhpart;
    cph_err err;

    CPH_TRY(zrtp_check_image(d->h1, z->live.committed.h2));
    err = zrtp_mac_check(zrtp_text_span(&z->live.commit), (struct cph_span){ d->h1, ZRTP_HASH });
    if (err == CPH_E_AUTH)
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_MALFORMED,
                         "the peer's Commit was changed: somebody may be in the middle", in->now);
    CPH_TRY(err);
    err = check_hvi(z, in->msg->bytes);
    if (err == CPH_E_AUTH)
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_BAD_HVI,
                         "the peer's public value is not the one it committed to: somebody is in "
                         "the middle",
                         in->now);
    CPH_TRY(err);
    CPH_TRY(text_set(&next->dhpart2, in->msg->bytes));
    memcpy(next->peer_h1, d->h1, ZRTP_HASH);
    err = zrtp_derive_dh(z, d, next);
    if (err == CPH_E_MALFORMED) /* RFC 6189 4.4.1.2 MUST: ended */
        return bad_pv(next, "the peer's public value is weak: this may be an attack", in->now);
    CPH_TRY(err);
    CPH_TRY(zrtp_write_confirm(z, z->peer, next));
    next->due &= ~zrtp_bit(ZRTP_DHPART1);
    zrtp_enter(next, ZRTP_CONFIRMED);
    next->due |= zrtp_bit(ZRTP_CONFIRM1);
    next->at = in->now + CPH_SEC(ZRTP_RESPOND_S);
    return CPH_OK;
}

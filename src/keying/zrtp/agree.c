/* Commit, DHPart1 and DHPart2 (RFC 6189 4.2 to 4.4): who is who, what is shared, and the secret. */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

static struct cph_span text_span(const struct zrtp_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

static cph_err text_set(struct zrtp_text *t, struct cph_span bytes)
{
    if (bytes.n > sizeof t->b)
        return CPH_E_LIMIT;
    memcpy(t->b, bytes.p, bytes.n);
    t->n = bytes.n;
    return CPH_OK;
}

/* ---- what is retained (4.3) ------------------------------------------------------------------ */

static const char *role_name(enum zrtp_role role)
{
    return role == ZRTP_INITIATOR ? "Initiator" : "Responder";
}

static const uint8_t *zid_of(const struct zrtp *z, const struct zrtp_live *live, bool own)
{
    return own ? z->own.zid : live->peer_hello.zid;
}

cph_err zrtp_aux(const struct zrtp *z, const struct zrtp_peer *peer, const struct zrtp_live *live,
                 enum zrtp_role role, struct cph_secret *out)
{
    uint8_t context[2 * CPH_ZRTP_ZID + 64];
    struct cph_wr wr = cph_wr_open(context, sizeof context);
    cph_err err;

    if (z->srtps_key.n == 0) {
        *out = z->call->cfg.aux ? *z->call->cfg.aux : peer->kept.aux;
        return CPH_OK;
    }
    /* RFC 6189 8.2: KDF(SRTP master key, "SRTP Secret", ZIDi || ZIDr || master salt, 256) */
    cph_wr_bytes(&wr, zid_of(z, live, role == ZRTP_INITIATOR), CPH_ZRTP_ZID);
    cph_wr_bytes(&wr, zid_of(z, live, role != ZRTP_INITIATOR), CPH_ZRTP_ZID);
    cph_wr_span(&wr, cph_secret_span(&z->srtps_salt));
    err = cph_wr_end(&wr);
    if (err == CPH_OK)
        err = zrtp_kdf(live->alg[ZRTP_K_HASH], cph_secret_span(&z->srtps_key), "SRTP Secret",
                       cph_wr_done(&wr), 256, out);
    cph_wipe(context, sizeof context);
    return err;
}

/* 4.3.1: one ID. A secret that is not there gets an ID by chance, so that nobody can tell. */
static cph_err secret_id(const struct zrtp *z, const struct zrtp_live *live,
                         const struct cph_secret *s, struct cph_span label, uint8_t out[ZRTP_MAC])
{
    if (s->n == 0)
        return cph_random(z->call->cfg.env, out, ZRTP_MAC);
    return zrtp_mac(live->alg[ZRTP_K_HASH], cph_secret_span(s), label, out);
}

cph_err zrtp_write_dhpart(const struct zrtp *z, const struct zrtp_peer *peer, enum zrtp_role role,
                          const struct zrtp_live *live, struct cph_span pv, struct zrtp_text *out)
{
    struct zrtp_msg msg = { .type = role == ZRTP_INITIATOR ? ZRTP_DHPART2 : ZRTP_DHPART1 };
    struct zrtp_dhpart *d = &msg.u.dhpart;
    struct cph_span label = cph_span_of(role_name(role)), h3 = { z->own.h3, ZRTP_HASH };
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);
    CPH_SECRET_SCOPED aux = { 0 };

    memcpy(d->h1, z->h[1].b, sizeof d->h1);
    CPH_TRY(zrtp_aux(z, peer, live, role, &aux));
    CPH_TRY(secret_id(z, live, &peer->kept.rs1, label, d->id[ZRTP_RS1]));
    CPH_TRY(secret_id(z, live, &peer->kept.rs2, label, d->id[ZRTP_RS2]));
    CPH_TRY(secret_id(z, live, &aux, h3, d->id[ZRTP_AUX]));
    CPH_TRY(secret_id(z, live, &peer->kept.pbx, label, d->id[ZRTP_PBX]));
    d->pv = pv;
    zrtp_msg_build(&wr, &msg);
    CPH_TRY(cph_wr_end(&wr));
    out->n = wr.n;
    return zrtp_mac_seal(out->b, out->n, cph_secret_span(&z->h[0]));
}

/* Has the peer this secret too? theirs is its role's ID of it. */
static cph_err same_secret(const struct zrtp_live *live, const struct cph_secret *s,
                           struct cph_span label, const uint8_t theirs[ZRTP_MAC], bool *same)
{
    uint8_t id[ZRTP_MAC];

    *same = false;
    if (s->n == 0)
        return CPH_OK;
    CPH_TRY(zrtp_mac(live->alg[ZRTP_K_HASH], cph_secret_span(s), label, id));
    *same = cph_ct_eq((struct cph_span){ id, sizeof id }, (struct cph_span){ theirs, ZRTP_MAC });
    return CPH_OK;
}

/* 4.3 MUST: s1 is the initiator's rs1 if the responder has it as rs1 or rs2, else the initiator's
 * rs2 likewise, else null. NULL: null. */
static cph_err find_s1(const struct zrtp_peer *peer, const struct zrtp_live *live,
                       struct cph_span label, const struct zrtp_dhpart *theirs,
                       const struct cph_secret **s1)
{
    const struct cph_secret *const own[2] = { &peer->kept.rs1, &peer->kept.rs2 };

    *s1 = NULL;
    for (int i = 0; i < 2; i++) {     /* the initiator's rs1, then its rs2 */
        for (int r = 0; r < 2; r++) { /* the responder's */
            bool same;

            CPH_TRY(same_secret(live, own[live->initiator ? i : r], label,
                                theirs->id[live->initiator ? r : i], &same));
            if (same && !*s1)
                *s1 = own[live->initiator ? i : r];
        }
    }
    return CPH_OK;
}

/* s1, s2, s3 by the peer's IDs; NULL is null. aux is room for s2. */
static cph_err match_secrets(const struct zrtp *z, const struct zrtp_dhpart *theirs,
                             struct zrtp_live *next, struct cph_secret *aux,
                             const struct cph_secret *s[3])
{
    const struct zrtp_peer *peer = z->peer;
    enum zrtp_role own = next->initiator ? ZRTP_INITIATOR : ZRTP_RESPONDER;
    struct cph_span label =
        cph_span_of(role_name(own == ZRTP_INITIATOR ? ZRTP_RESPONDER : ZRTP_INITIATOR));
    struct cph_span h3 = { next->peer_hello.h3, ZRTP_HASH };
    bool same_aux;

    CPH_TRY(find_s1(peer, next, label, theirs, &s[0]));
    CPH_TRY(zrtp_aux(z, peer, next, own, aux));
    CPH_TRY(same_secret(next, aux, h3, theirs->id[ZRTP_AUX], &same_aux));
    CPH_TRY(same_secret(next, &peer->kept.pbx, label, theirs->id[ZRTP_PBX], &next->pbx_matched));
    next->continuity = s[0] != NULL;
    /* 4.3.2; a secret that expired is not missed */
    next->mismatch = (peer->kept_now || peer->unread) && !s[0];
    next->aux_mismatch = aux->n > 0 && !same_aux;
    s[1] = same_aux ? aux : NULL;
    s[2] = next->pbx_matched ? &peer->kept.pbx : NULL;
    return CPH_OK;
}

/* ---- from secret to keys (4.4) --------------------------------------------------------------- */

/* ZIDi || ZIDr || total_hash; without DHParts in Multistream and Preshared mode. */
static cph_err make_context(const struct zrtp *z, const struct zrtp_live *live,
                            struct zrtp_context *out)
{
    struct cph_span part[4] = { text_span(live->initiator ? &live->hello : &z->own_hello),
                                text_span(&live->commit), text_span(&live->dhpart1),
                                text_span(&live->dhpart2) };
    const struct zrtp_alg *hash = live->alg[ZRTP_K_HASH];
    size_t n = live->committed.mode == CPH_ZRTP_DH ? 4 : 2;

    memcpy(out->b, zid_of(z, live, live->initiator), CPH_ZRTP_ZID);
    memcpy(out->b + CPH_ZRTP_ZID, zid_of(z, live, !live->initiator), CPH_ZRTP_ZID);
    CPH_TRY(zrtp_hash_all(hash, part, n, out->b + (size_t)2 * CPH_ZRTP_ZID));
    out->n = 2 * CPH_ZRTP_ZID + hash->hash_n;
    return CPH_OK;
}

/* Everything of one DH exchange. The result, s1 to s3 and s0 do not outlive this function. */
static cph_err agree(const struct zrtp *z, const struct zrtp_dhpart *theirs, struct zrtp_live *next)
{
    const struct cph_secret *s[3];
    struct zrtp_context context;
    CPH_SECRET_SCOPED result = { 0 };
    CPH_SECRET_SCOPED aux = { 0 };
    CPH_SECRET_SCOPED s0 = { 0 };

    CPH_TRY(cph_agree_derive(next->alg[ZRTP_K_AGREEMENT]->group, &next->dh, theirs->pv, &result));
    CPH_TRY(match_secrets(z, theirs, next, &aux, s));
    CPH_TRY(make_context(z, next, &context));
    CPH_TRY(zrtp_s0_dh(next->alg[ZRTP_K_HASH], &result, &context, s, &s0));
    cph_secret_wipe(&next->dh);
    return zrtp_derive(next->alg[ZRTP_K_HASH], next->alg[ZRTP_K_CIPHER], &s0, &context, true,
                       &next->keys);
}

/* 4.4.2.4, 4.4.3.2: s0 from a key both have already. */
static cph_err derive_shared(const struct zrtp *z, const struct cph_secret *key, const char *label,
                             struct zrtp_live *next)
{
    const struct zrtp_alg *hash = next->alg[ZRTP_K_HASH];
    struct zrtp_context context;
    CPH_SECRET_SCOPED s0 = { 0 };

    CPH_TRY(make_context(z, next, &context));
    CPH_TRY(zrtp_kdf(hash, cph_secret_span(key), label, (struct cph_span){ context.b, context.n },
                     8 * hash->hash_n, &s0));
    return zrtp_derive(hash, next->alg[ZRTP_K_CIPHER], &s0, &context,
                       next->committed.mode == CPH_ZRTP_PRESHARED, &next->keys);
}

/* The preshared_key whose ID is in the Commit: with everything, without auxsecret, without
 * pbxsecret, without both. CPH_E_NOTFOUND */
static cph_err find_preshared(const struct zrtp *z, struct zrtp_live *next, struct cph_secret *key)
{
    const struct zrtp_peer *peer = z->peer;
    const struct zrtp_alg *hash = next->alg[ZRTP_K_HASH];
    struct cph_span want = { next->committed.key_id, ZRTP_MAC };
    CPH_SECRET_SCOPED aux = { 0 };

    if (peer->kept.rs1.n == 0)
        return CPH_E_NOTFOUND;
    CPH_TRY(zrtp_aux(z, peer, next, next->initiator ? ZRTP_INITIATOR : ZRTP_RESPONDER, &aux));
    for (int without = 0; without < 4; without++) {
        bool pbx = peer->kept.pbx.n > 0 && !(without & 2);
        uint8_t id[ZRTP_MAC];

        CPH_TRY(zrtp_preshared_key(hash, &peer->kept.rs1, without & 1 ? NULL : &aux,
                                   pbx ? &peer->kept.pbx : NULL, key));
        CPH_TRY(zrtp_mac(hash, cph_secret_span(key), CPH_SPAN_LIT("Prsh"), id));
        if (cph_ct_eq((struct cph_span){ id, sizeof id }, want)) {
            next->continuity = true;
            next->mismatch = false;
            next->pbx_matched = pbx;
            next->aux_mismatch = aux.n > 0 && (without & 1);
            return CPH_OK;
        }
    }
    return CPH_E_NOTFOUND;
}

cph_err zrtp_derive_undh(const struct zrtp *z, struct zrtp_live *next)
{
    CPH_SECRET_SCOPED key = { 0 };

    if (next->committed.mode == CPH_ZRTP_MULTISTREAM) {
        next->continuity = next->mismatch = next->aux_mismatch = next->pbx_matched = false;
        return z->peer->session.n > 0 ? derive_shared(z, &z->peer->session, "ZRTP MSK", next)
                                      : CPH_E_NOTFOUND;
    }
    CPH_TRY(find_preshared(z, next, &key));
    return derive_shared(z, &key, "ZRTP PSK", next);
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
    err = zrtp_mac_check(text_span(&z->live.hello), (struct cph_span){ c->h2, ZRTP_HASH });
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
    if (!cph_span_eq(in->msg->bytes, text_span(&z->live.commit)))
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
    err = zrtp_mac_check(text_span(&z->live.hello), (struct cph_span){ h2, sizeof h2 });
    if (err == CPH_E_AUTH)
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_HELLO,
                         "the peer's Hello was changed: somebody may be in the middle", in->now);
    CPH_TRY(err);
    CPH_TRY(text_set(&next->dhpart1, in->msg->bytes));
    memcpy(next->peer_h1, d->h1, ZRTP_HASH);
    err = agree(z, d, next);
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
    struct cph_span part[2] = { dhpart2, text_span(&z->own_hello) };
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
    err = zrtp_mac_check(text_span(&z->live.commit), (struct cph_span){ d->h1, ZRTP_HASH });
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
    err = agree(z, d, next);
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

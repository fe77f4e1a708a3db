/* What both sides have in common (RFC 6189 4.3), and the keys that come of it (4.4). */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

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
    struct cph_span part[4] = { zrtp_text_span(live->initiator ? &live->hello : &z->own_hello),
                                zrtp_text_span(&live->commit), zrtp_text_span(&live->dhpart1),
                                zrtp_text_span(&live->dhpart2) };
    const struct zrtp_alg *hash = live->alg[ZRTP_K_HASH];
    size_t n = live->committed.mode == CPH_ZRTP_DH ? 4 : 2;

    memcpy(out->b, zid_of(z, live, live->initiator), CPH_ZRTP_ZID);
    memcpy(out->b + CPH_ZRTP_ZID, zid_of(z, live, !live->initiator), CPH_ZRTP_ZID);
    CPH_TRY(zrtp_hash_all(hash, part, n, out->b + (size_t)2 * CPH_ZRTP_ZID));
    out->n = 2 * CPH_ZRTP_ZID + hash->hash_n;
    return CPH_OK;
}

/* The result, s1 to s3 and s0 do not outlive this function. */
cph_err zrtp_derive_dh(const struct zrtp *z, const struct zrtp_dhpart *theirs,
                       struct zrtp_live *next)
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

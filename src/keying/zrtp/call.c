/* What the streams of one call share: per other endpoint the session key, the SAS and what is
 * retained. Forked branches are endpoints of their own, told apart by their ZIDs. */
#include "zrtp_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the call -------------------------------------------------------------------------------- */

static cph_err read_list(enum zrtp_kind kind, const char *const *names, struct zrtp_list *out)
{
    names = names ? names : zrtp_defaults(kind);
    for (size_t i = 0; names[i]; i++) {
        uint32_t id = zrtp_id_of(names[i]);

        /* Multistream and Preshared are listed when they are meant, not by hand */
        if (!zrtp_alg(kind, id) || id == ZRTP_MULT || id == ZRTP_PRSH || zrtp_list_has(out, id))
            return CPH_E_CONFIG;
        if (out->n == ZRTP_LIST)
            return CPH_E_CONFIG;
        out->id[out->n++] = id;
    }
    return CPH_OK;
}

static cph_err read_lists(struct cph_zrtp_call *call)
{
    const struct cph_zrtp_cfg *c = &call->cfg;
    struct zrtp_list *agreement = &call->list[ZRTP_K_AGREEMENT];

    CPH_TRY(read_list(ZRTP_K_HASH, c->hashes, &call->list[ZRTP_K_HASH]));
    CPH_TRY(read_list(ZRTP_K_CIPHER, c->ciphers, &call->list[ZRTP_K_CIPHER]));
    CPH_TRY(read_list(ZRTP_K_TAG, c->tags, &call->list[ZRTP_K_TAG]));
    CPH_TRY(read_list(ZRTP_K_AGREEMENT, c->agreements, agreement));
    CPH_TRY(read_list(ZRTP_K_SAS, c->sas, &call->list[ZRTP_K_SAS]));
    if (agreement->n + 2 > ZRTP_LIST)
        return CPH_E_CONFIG;
    /* 5.1.5 MUST: whoever has several streams has Multistream */
    agreement->id[agreement->n++] = ZRTP_MULT;
    if (c->preshared && c->store)
        agreement->id[agreement->n++] = ZRTP_PRSH;
    return CPH_OK;
}

cph_err cph_zrtp_call_new(const struct cph_zrtp_cfg *cfg, struct cph_zrtp_call **out)
{
    struct cph_zrtp_call *call = calloc(1, sizeof *call);
    cph_err err;

    if (!call)
        return CPH_E_NOMEM;
    call->refs = 1;
    call->cfg = *cfg;
    err = read_lists(call);
    if (err) {
        cph_zrtp_call_free(call);
        return err;
    }
    *out = call;
    return CPH_OK;
}

struct cph_zrtp_call *zrtp_call_ref(struct cph_zrtp_call *call)
{
    call->refs++;
    return call;
}

void cph_zrtp_call_free(struct cph_zrtp_call *call)
{
    if (call && --call->refs == 0)
        cph_free_secret(call, sizeof *call);
}

/* ---- its peers ------------------------------------------------------------------------------- */

/* What the store has; a store that fails is as good as none, but says so. */
static void read_kept(struct cph_zrtp_call *call, struct zrtp_peer *peer)
{
    const struct cph_zrtp_store *store = call->cfg.store;
    struct cph_zrtp_retained *kept = &peer->kept;
    cph_err err = store ? store->get(store->ctx, peer->zid, kept) : CPH_E_NOTFOUND;

    peer->has_kept = err == CPH_OK;
    if (err) {
        cph_wipe(kept, sizeof *kept);
        kept->expires = INT64_MAX;
    }
    if (err && err != CPH_E_NOTFOUND)
        cph_log(call->cfg.env, CPH_LOG_WARN, "zrtp", "retained secrets cannot be read: %s",
                cph_err_text(err));
    peer->unread = err && err != CPH_E_NOTFOUND;
    peer->kept_now = kept->rs1.n > 0 && cph_wall(call->cfg.env) < kept->expires;
    peer->other_device = store && store->other && call->cfg.peer && call->cfg.peer[0] &&
                         store->other(store->ctx, call->cfg.peer, peer->zid);
}

cph_err zrtp_call_meet(struct cph_zrtp_call *call, const uint8_t zid[CPH_ZRTP_ZID],
                       struct zrtp_peer **out)
{
    struct cph_span name = { zid, CPH_ZRTP_ZID };
    struct zrtp_peer *free_one = NULL;

    for (unsigned i = 0; i < ZRTP_PEERS; i++) {
        struct zrtp_peer *p = &call->peer[i];

        if (p->users == 0) {
            free_one = free_one ? free_one : p;
        } else if (cph_span_eq(name, (struct cph_span){ p->zid, CPH_ZRTP_ZID })) {
            p->users++;
            *out = p;
            return CPH_OK;
        }
    }
    if (!free_one)
        return CPH_E_LIMIT;
    memcpy(free_one->zid, zid, CPH_ZRTP_ZID);
    free_one->users = 1;
    read_kept(call, free_one);
    *out = free_one;
    return CPH_OK;
}

void zrtp_call_leave(struct cph_zrtp_call *call, struct zrtp_peer *peer, const struct zrtp *who)
{
    if (!peer)
        return;
    if (peer->owner == who) {
        peer->owner = NULL;
        call->moves++;
    }
    if (--peer->users == 0)
        cph_wipe(peer, sizeof *peer);
}

static struct cph_span nonce_at(const struct zrtp_peer *peer, unsigned i)
{
    return (struct cph_span){ peer->nonce[i], ZRTP_NONCE };
}

bool zrtp_peer_nonce_used(const struct zrtp_peer *peer, const uint8_t nonce[ZRTP_NONCE])
{
    for (unsigned i = 0; i < peer->n_nonce; i++) {
        if (cph_span_eq(nonce_at(peer, i), (struct cph_span){ nonce, ZRTP_NONCE }))
            return true;
    }
    return peer->n_nonce == ZRTP_NONCES; /* no place to remember it: as if it had been */
}

void zrtp_peer_nonce_add(struct zrtp_peer *peer, const uint8_t nonce[ZRTP_NONCE])
{
    if (!zrtp_peer_nonce_used(peer, nonce))
        memcpy(peer->nonce[peer->n_nonce++], nonce, ZRTP_NONCE);
}

/* ---- whose device it is (12) ----------------------------------------------------------------- */

bool zrtp_peer_is_named(const struct cph_zrtp_call *call, const struct zrtp_peer *peer)
{
    if (!call->cfg.peer)
        return true;
    for (int i = 0; i < CPH_ZRTP_NAMES; i++)
        if (call->cfg.peer[0] && strncmp(peer->kept.peer[i], call->cfg.peer, CPH_ZRTP_NAME) == 0)
            return true;
    return false;
}

static void add_name(const struct cph_zrtp_call *call, struct zrtp_peer *peer)
{
    struct cph_zrtp_retained *kept = &peer->kept;

    if (zrtp_peer_is_named(call, peer) || !call->cfg.peer[0] ||
        strlen(call->cfg.peer) >= CPH_ZRTP_NAME)
        return;
    memmove(kept->peer[1], kept->peer[0], sizeof kept->peer - sizeof kept->peer[0]);
    (void)snprintf(kept->peer[0], sizeof kept->peer[0], "%s", call->cfg.peer);
}

void zrtp_peer_met(const struct cph_zrtp_call *call, struct zrtp_peer *peer)
{
    if (!peer->continuity) /* what was compared then says nothing of this secret */
        zrtp_peer_judge(call, peer, false);
    if (!peer->kept.verified && !peer->other_device)
        add_name(call, peer);
}

void zrtp_peer_judge(const struct cph_zrtp_call *call, struct zrtp_peer *peer, bool equal)
{
    if (!peer->kept.verified || !equal)
        memset(peer->kept.peer, 0, sizeof peer->kept.peer);
    peer->kept.verified = equal;
    if (equal)
        add_name(call, peer);
}

bool zrtp_peer_is_verified(const struct cph_zrtp_call *call, const struct zrtp_peer *peer)
{
    return peer->continuity && peer->kept.verified && !peer->refuted &&
           zrtp_peer_is_named(call, peer);
}

bool zrtp_peer_is_strange(const struct cph_zrtp_call *call, const struct zrtp_peer *peer)
{
    return !peer->compared &&
           (peer->mismatch || (peer->other_device && !zrtp_peer_is_verified(call, peer)));
}

/* ---- what lasts ------------------------------------------------------------------------------ */

/* 4.9: seconds from now; 0 is now, all ones never. */
static int64_t expiry(const struct cph_zrtp_call *call, uint32_t cache_s)
{
    return cache_s == UINT32_MAX ? INT64_MAX : cph_wall(call->cfg.env) + (int64_t)cache_s;
}

/* 4.6.1: after DH the old rs1 becomes rs2; after Preshared it goes. 4.9: with an interval of zero
 * nothing new is stored, and what is stored ends. */
cph_err zrtp_peer_roll(struct cph_zrtp_call *call, struct zrtp_peer *peer)
{
    if (peer->pending.n > 0) {
        if (peer->cache_s > 0) {
            if (!peer->preshared)
                peer->kept.rs2 = peer->kept.rs1;
            peer->kept.rs1 = peer->pending;
        }
        peer->kept.expires = expiry(call, peer->cache_s);
        cph_secret_wipe(&peer->pending);
    }
    peer->held = false;
    return zrtp_peer_put(call, peer);
}

cph_err zrtp_peer_put(struct cph_zrtp_call *call, struct zrtp_peer *peer)
{
    const struct cph_zrtp_store *store = call->cfg.store;
    cph_err err;

    if (!store || (!peer->has_kept && peer->kept.rs1.n == 0 && peer->kept.pbx.n == 0))
        return CPH_OK;
    err = store->put(store->ctx, peer->zid, &peer->kept);
    if (err) {
        cph_log(call->cfg.env, CPH_LOG_WARN, "zrtp", "retained secrets cannot be kept: %s",
                cph_err_text(err));
        return CPH_E_STORE;
    }
    peer->has_kept = true;
    return CPH_OK;
}

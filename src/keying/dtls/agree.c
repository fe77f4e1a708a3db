/*
 * Offer and answer: what is said about us, what the peer says, and whether that is the association
 * there is or a new one (RFC 8842, RFC 5763, RFC 4145).
 */
#include "dtls_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- our descriptions ------------------------------------------------------------------------ */

/* RFC 8842 4 MUST: strong and of at least 120 bits. */
static cph_err new_tls_id(const struct dtls *d, struct dtls_side *side)
{
    return cph_random_hex(d->env, side->tls_id, DTLS_TLS_ID);
}

/* To another address; 0.0.0.0 is the old way to hold and no move. */
static bool moved(const struct cph_addr a[2], const struct cph_addr b[2])
{
    if (cph_addr_is_any(&a[CPH_KEYING_RTP]) || cph_addr_is_any(&b[CPH_KEYING_RTP]))
        return false;
    return !cph_addr_eq(&a[CPH_KEYING_RTP], &b[CPH_KEYING_RTP]);
}

/* Does our re-offer need a new association? RFC 8842 4: between peers that speak tls-id the
 * association goes with us to a new address; one that does not takes the new address for a wish to
 * begin anew, and nothing else: to ask it for new keys would leave us alone in a handshake. */
static bool offer_is_new(const struct dtls *d, const struct dtls_side *side)
{
    if (!d->agreed || d->state == CPH_KEYING_FAILED)
        return true;
    return d->peer.tls_id[0] == '\0' ? moved(d->own.at, side->at) : d->renew;
}

static bool says_mux(const struct cph_keying_local *local)
{
    return cph_sdp_attr(cph_sdp_part_of(local->sdp, local->media), "rtcp-mux") != NULL;
}

cph_err dtls_offer(struct cph_keying *k, const struct cph_keying_local *offer)
{
    struct dtls *d = (struct dtls *)k;
    struct dtls_side side = d->own;
    struct dtls_pool *early = NULL;
    cph_err err = CPH_OK;

    /* RFC 8842 5.2, 5.5 MUST: actpass in every offer */
    side.setup = CPH_SDP_SETUP_ACTPASS;
    dtls_side_addresses(offer->sdp, offer->media, side.at);
    side.mux = says_mux(offer);
    if (offer_is_new(d, &side)) {
        CPH_TRY(new_tls_id(d, &side));
        CPH_TRY(dtls_pool_new(d->proto, &early));
    }
    err = dtls_side_write(offer, &side);
    if (err) {
        dtls_pool_unref(early, NULL);
        return err;
    }
    dtls_pool_unref(d->early, d);
    d->early = early;
    d->pending = side;
    d->offered = true;
    d->renew = false;
    if (d->state == CPH_KEYING_IDLE)
        d->state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

void dtls_rollback(struct cph_keying *k)
{
    struct dtls *d = (struct dtls *)k;

    d->offered = false;
    dtls_pool_unref(d->early, d);
    d->early = NULL;
    if (d->state == CPH_KEYING_OFFERED)
        d->state = CPH_KEYING_IDLE;
}

/* RFC 8842 5.2: a tls-id of its own asks for a new association. */
void dtls_renew(struct cph_keying *k)
{
    ((struct dtls *)k)->renew = true;
}

cph_err dtls_fork(const struct cph_keying *k, struct cph_keying **out)
{
    const struct dtls *d = (const struct dtls *)k;
    struct dtls *f;

    /* Only the first offer has further answerers; the pool has what they sent before they answered.
     */
    if (!d->offered && (!d->agreed || !d->pool))
        return CPH_E_STATE;
    if (d->offered && !d->early)
        return CPH_E_STATE;
    f = calloc(1, sizeof *f);
    if (!f)
        return CPH_E_NOMEM;
    f->base = d->base;
    f->env = d->env;
    f->shared = d->shared;
    f->own = d->offered ? d->pending : d->own;
    f->pending = f->own;
    f->pending.setup = CPH_SDP_SETUP_ACTPASS;
    f->offered = true;
    f->proto = dtls_pool_ref(d->proto);
    f->early = dtls_pool_ref(d->offered ? d->early : d->pool);
    f->state = CPH_KEYING_OFFERED;
    *out = &f->base;
    return CPH_OK;
}

/* ---- the peer's ------------------------------------------------------------------------------ */

static cph_err read_peer(struct dtls *d, const struct cph_keying_remote *remote,
                         struct dtls_side *peer)
{
    cph_err err = dtls_side_read(remote->sdp, remote->media, peer);

    if (err == CPH_E_POLICY)
        d->notes |= CPH_KEYING_NOTE_WEAK_HASH;
    for (int c = 0; c < 2 && err == CPH_OK && d->agreed; c++) {
        if (cph_addr_is_any(&peer->at[c]))
            peer->at[c] = d->peer.at[c];
    }
    return err;
}

/* RFC 4145 4.1: our role by the other's setup. The default is active in an offer, passive in an
 * answer. */
static cph_err role_by(enum cph_sdp_setup theirs, bool theirs_is_offer, enum cph_stream_role *out)
{
    switch (theirs) {
    case CPH_SDP_SETUP_ACTIVE:
        *out = CPH_STREAM_SERVER;
        return CPH_OK;
    case CPH_SDP_SETUP_PASSIVE:
        *out = CPH_STREAM_CLIENT;
        return CPH_OK;
    case CPH_SDP_SETUP_NONE:
        *out = theirs_is_offer ? CPH_STREAM_SERVER : CPH_STREAM_CLIENT;
        return CPH_OK;
    case CPH_SDP_SETUP_ACTPASS: /* RFC 5763 5: the answerer had better be active */
        *out = CPH_STREAM_CLIENT;
        return theirs_is_offer ? CPH_OK : CPH_E_MALFORMED;
    case CPH_SDP_SETUP_HOLDCONN: /* RFC 8842 5.1 MUST NOT: holdconn for DTLS */
        return CPH_E_UNSUPPORTED;
    }
    return CPH_E_BUG;
}

/* RFC 8842 3.1, 4: does what the peer says now ask for another association than the one we have? */
static bool peer_is_new(const struct dtls *d, const struct dtls_side *peer)
{
    if (!d->agreed || d->state == CPH_KEYING_FAILED || !dtls_side_same_fps(&d->peer, peer))
        return true;
    if (strcmp(d->peer.tls_id, peer->tls_id) != 0)
        return true;
    return peer->tls_id[0] == '\0' && moved(d->peer.at, peer->at);
}

/* RFC 8842 5.3 EXCEPTION: an answer says active or passive; baresip says actpass again when it
 * answers a later offer. If nothing else is new, the association it repeats itself about is the one
 * we have. */
static cph_err role_by_answer(const struct dtls *d, const struct dtls_side *peer,
                              enum cph_stream_role *out)
{
    if (peer->setup == CPH_SDP_SETUP_ACTPASS && !d->early && !peer_is_new(d, peer)) {
        *out = d->role;
        return CPH_OK;
    }
    return role_by(peer->setup, false, out);
}

/* RFC 8842 3.1: a change of roles is a new association. */
static bool role_changes(const struct dtls *d, enum cph_sdp_setup theirs)
{
    return (theirs == CPH_SDP_SETUP_ACTIVE && d->role == CPH_STREAM_CLIENT) ||
           (theirs == CPH_SDP_SETUP_PASSIVE && d->role == CPH_STREAM_SERVER);
}

/* What we answer: own gets setup, tls-id, addresses and mux; *fresh whether an association begins.
 */
static cph_err plan_answer(const struct dtls *d, const struct dtls_side *peer,
                           const struct cph_keying_local *local, struct dtls_side *own,
                           enum cph_stream_role *role, bool *fresh)
{
    *own = d->own;
    dtls_side_addresses(local->sdp, local->media, own->at);
    *fresh = peer_is_new(d, peer) || role_changes(d, peer->setup) ||
             (peer->tls_id[0] == '\0' && moved(d->own.at, own->at));
    *role = d->role;
    if (*fresh)
        CPH_TRY(role_by(peer->setup, true, role));
    own->setup = *role == CPH_STREAM_CLIENT ? CPH_SDP_SETUP_ACTIVE : CPH_SDP_SETUP_PASSIVE;
    own->mux = peer->mux && says_mux(local);
    if (peer->tls_id[0] == '\0') /* RFC 8842 5.3 MUST NOT: tls-id in answer to an offer without */
        own->tls_id[0] = '\0';
    else if (*fresh || own->tls_id[0] == '\0')
        CPH_TRY(new_tls_id(d, own));
    return CPH_OK;
}

cph_err dtls_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
                    const struct cph_keying_local *answer)
{
    struct dtls *d = (struct dtls *)k;
    struct dtls_side peer, own;
    struct dtls_pool *pool = NULL;
    enum cph_stream_role role;
    bool fresh;
    cph_err err;

    CPH_TRY(read_peer(d, offer, &peer));
    CPH_TRY(plan_answer(d, &peer, answer, &own, &role, &fresh));
    if (fresh)
        CPH_TRY(dtls_pool_new(d->proto, &pool));
    err = dtls_side_write(answer, &own);
    if (err) {
        dtls_pool_unref(pool, NULL);
        return err;
    }
    dtls_rollback(k); /* their offer won over ours */
    d->rings = !d->agreed;
    d->own = own;
    d->peer = peer;
    d->agreed = true;
    if (fresh)
        dtls_follow_begin(d, role, pool);
    return CPH_OK;
}

/* The pool an answer leads to: that of the offer if it is the first answer, else a new one. */
static cph_err pool_for_answer(struct dtls *d, struct dtls_pool **out)
{
    if (d->early) {
        *out = d->early;
        d->early = NULL; /* moved */
        return CPH_OK;
    }
    return dtls_pool_new(d->proto, out);
}

cph_err dtls_finish(struct cph_keying *k, const struct cph_keying_remote *answer)
{
    struct dtls *d = (struct dtls *)k;
    struct dtls_side peer;
    struct dtls_pool *pool;
    enum cph_stream_role role;
    bool fresh;

    if (!d->offered && !d->agreed)
        return CPH_E_STATE;
    CPH_TRY(read_peer(d, answer, &peer));
    CPH_TRY(role_by_answer(d, &peer, &role));
    fresh = d->early || peer_is_new(d, &peer) || role != d->role;
    if (fresh)
        CPH_TRY(pool_for_answer(d, &pool));
    if (d->offered)
        d->own = d->pending;
    d->own.mux = peer.mux && d->own.mux;
    d->own.setup = role == CPH_STREAM_CLIENT ? CPH_SDP_SETUP_ACTIVE : CPH_SDP_SETUP_PASSIVE;
    d->offered = false;
    d->peer = peer;
    d->agreed = true;
    if (fresh)
        dtls_follow_begin(d, role, pool);
    return CPH_OK;
}

void dtls_answered(struct cph_keying *k, cph_time now)
{
    struct dtls *d = (struct dtls *)k;

    d->rings = false;
    if (d->making && d->begun)
        dtls_follow_answered(d, now);
}

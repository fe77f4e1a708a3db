#include "dtls_int.h"
#include "../keying_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

/* ---- the instance ---------------------------------------------------------------------------- */

/* The profiles we offer in use_srtp: what policy lists, or every encrypting suite of the table. */
static void take_profile(struct dtls_pool *proto, const struct cph_srtp_suite *suite)
{
    static const uint16_t known[] = { 0x0001, 0x0002, 0x0007, 0x0008 }; /* to stream/ */
    bool ok = false;

    if (!suite || !suite->encrypts || proto->n_profile == CPH_STREAM_PROFILES)
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ok = ok || known[i] == suite->dtls_id;
    if (ok)
        proto->profile[proto->n_profile++] = suite->dtls_id;
}

static void dtls_free(struct cph_keying *k)
{
    struct dtls *d = (struct dtls *)k;

    if (!d)
        return;
    dtls_pool_unref(d->early, d);
    dtls_pool_unref(d->pool, d);
    dtls_pool_unref(d->proto, d);
    for (int c = 0; c < 2; c++)
        dtls_shake_free(d->won[c]);
    free(d);
}

static cph_err dtls_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct dtls_pool proto = {
        .env = cfg->env,
        .key = (struct cph_key *)cfg->key, /* dtls_pool_new() takes references */
        .cert = (struct cph_cert *)cfg->cert,
        .mtu = cfg->mtu < CPH_KEYING_PACKET ? cfg->mtu : CPH_KEYING_PACKET,
        .shared = cfg->dtls,
    };
    struct dtls *d;
    cph_err err;

    if (!cfg->key || !cfg->cert || !cph_cert_has_key(cfg->cert, cfg->key) ||
        (cfg->dtls && !cph_span_eq(cph_cert_der(cfg->dtls->cert), cph_cert_der(cfg->cert))))
        return CPH_E_CONFIG;
    for (size_t i = 0; cfg->suites && cfg->suites[i]; i++)
        take_profile(&proto, cph_srtp_suite_by_sdes(cph_span_of(cfg->suites[i])));
    for (size_t i = 0; !cfg->suites && cph_srtp_suites[i]; i++)
        take_profile(&proto, cph_srtp_suites[i]);
    if (proto.n_profile == 0)
        return CPH_E_CONFIG;

    d = calloc(1, sizeof *d);
    if (!d)
        return CPH_E_NOMEM;
    d->base.method = &cph_keying_dtls;
    d->env = cfg->env;
    d->shared = cfg->dtls;
    err = dtls_pool_new(&proto, &d->proto);
    if (err == CPH_OK)
        err = dtls_side_own(d->shared, d->proto->cert, &d->own);
    if (err) {
        dtls_free(&d->base);
        return err;
    }
    *out = &d->base;
    return CPH_OK;
}

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

static cph_err dtls_offer(struct cph_keying *k, const struct cph_keying_local *offer)
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

static void dtls_rollback(struct cph_keying *k)
{
    struct dtls *d = (struct dtls *)k;

    d->offered = false;
    dtls_pool_unref(d->early, d);
    d->early = NULL;
    if (d->state == CPH_KEYING_OFFERED)
        d->state = CPH_KEYING_IDLE;
}

/* RFC 8842 5.2: a tls-id of its own asks for a new association. */
static void dtls_renew(struct cph_keying *k)
{
    ((struct dtls *)k)->renew = true;
}

static cph_err dtls_fork(const struct cph_keying *k, struct cph_keying **out)
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

static cph_err dtls_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
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

static cph_err dtls_finish(struct cph_keying *k, const struct cph_keying_remote *answer)
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

static void dtls_answered(struct cph_keying *k, cph_time now)
{
    struct dtls *d = (struct dtls *)k;

    d->rings = false;
    if (d->making && d->begun)
        dtls_follow_answered(d, now);
}

/* ---- the media path -------------------------------------------------------------------------- */

static const struct cph_addr *known_peer(const struct dtls *d, enum cph_keying_component c)
{
    return d->agreed && d->peer.at[c].family != CPH_AF_NONE ? &d->peer.at[c] : NULL;
}

/* What still comes for the association in use: a repeated Finished or ClientHello, a farewell. */
static bool feed_won(struct dtls *d, enum cph_keying_component c, const struct cph_addr *from,
                     struct cph_span packet, cph_time now)
{
    struct dtls_shake *won = d->won[c];
    struct dtls_hello hello;

    if (!won || !cph_addr_eq(&won->from, from))
        return false;
    if (dtls_hello_read(packet, &hello))
        /* public: the random of a ClientHello, and of the one before */
        return won->role == CPH_STREAM_SERVER &&
               memcmp(won->random, hello.random.p, DTLS_RANDOM) == 0;
    return cph_stream_feed(won->s, packet, now) == CPH_OK;
}

static cph_err feed_pool(struct dtls *d, struct dtls_pool *pool, bool serve,
                         enum cph_keying_component c, const struct cph_addr *from,
                         struct cph_span packet, cph_time now)
{
    cph_err err = dtls_pool_feed(pool, c, from, known_peer(d, c), serve, packet, now);

    if (pool->rival)
        d->notes |= CPH_KEYING_NOTE_RIVAL_HANDSHAKE;
    return err;
}

static cph_err dtls_feed(struct cph_keying *k, enum cph_keying_component c,
                         const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct dtls *d = (struct dtls *)k;
    cph_err err = CPH_E_NOTFOUND;
    bool serve;

    dtls_follow(d, now);
    if (dtls_is_opener(packet)) {
        err = dtls_path_feed(d, c, from, packet);
        dtls_follow(d, now);
        return err;
    }
    if (d->early) /* RFC 8842 5.2 MUST: an offerer takes a ClientHello before the answer */
        err = feed_pool(d, d->early, true, c, from, packet, now);
    if (err == CPH_OK)
        return CPH_OK;
    if (d->pool && (d->making || d->pool->refs > 1)) {
        serve = d->role == CPH_STREAM_SERVER || d->pool->refs > 1;
        err = feed_pool(d, d->pool, serve, c, from, packet, now);
        dtls_follow(d, now);
    }
    if (err != CPH_OK && feed_won(d, c, from, packet, now))
        err = CPH_OK;
    if (err == CPH_E_NOTFOUND && d->state == CPH_KEYING_KEYED)
        d->notes |= CPH_KEYING_NOTE_RIVAL_HANDSHAKE;
    return err;
}

static cph_err dtls_pull(struct cph_keying *k, struct cph_keying_packet *out, cph_time now)
{
    struct dtls *d = (struct dtls *)k;

    dtls_follow(d, now);
    if (d->early && dtls_pool_pull(d->early, d, out) == CPH_OK)
        return CPH_OK;
    if (d->pool && dtls_pool_pull(d->pool, d, out) == CPH_OK)
        return CPH_OK;
    if (dtls_path_pull(d, out, now) == CPH_OK)
        return CPH_OK;
    for (int c = 0; c < 2; c++) {
        if (d->won[c] && dtls_shake_pull(d->won[c], out) == CPH_OK)
            return CPH_OK;
    }
    return CPH_E_AGAIN;
}

static cph_time earlier(cph_time a, cph_time b)
{
    return a < b ? a : b;
}

static cph_time dtls_deadline(const struct cph_keying *k)
{
    const struct dtls *d = (const struct dtls *)k;
    cph_time at = CPH_TIME_NEVER;

    if (d->early)
        at = earlier(at, dtls_pool_deadline(d->early));
    if (d->pool)
        at = earlier(at, dtls_pool_deadline(d->pool));
    if (d->making && d->pool) /* 0: at once, there is something to begin or to look at */
        at = earlier(at, d->begun && d->looked == d->pool->moves ? d->give_up : 0);
    for (int c = 0; c < 2 && d->making; c++)
        at = earlier(at, d->retry_at[c]);
    return earlier(at, dtls_path_deadline(d));
}

static void dtls_tick(struct cph_keying *k, cph_time now)
{
    struct dtls *d = (struct dtls *)k;

    if (d->early)
        dtls_pool_tick(d->early, now);
    if (d->pool)
        dtls_pool_tick(d->pool, now);
    dtls_follow(d, now);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void dtls_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    const struct dtls *d = (const struct dtls *)k;

    *out = d->status;
    out->state = d->state;
    for (int c = 0; c < 2; c++) {
        if (d->won[c] && d->state == CPH_KEYING_KEYED)
            out->at[c] = d->won[c]->from;
    }
}

/* See export_keys() in follow.c. */
static cph_err dtls_keys(const struct cph_keying *k, enum cph_keying_component c,
                         enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct dtls *d = (const struct dtls *)k;
    const struct dtls_shake *won = d->won[d->own.mux ? CPH_KEYING_RTP : c];
    CPH_SRTP_POLICY_SCOPED p = { 0 };
    size_t key_n, salt_n, who;

    if (!won || d->state == CPH_KEYING_FAILED)
        return CPH_E_AGAIN;
    if (i > 0)
        return CPH_E_NOTFOUND;
    p.suite = cph_srtp_suite_by_dtls(cph_stream_srtp_profile(won->s));
    if (!p.suite)
        return CPH_E_BUG;
    key_n = p.suite->key_n;
    salt_n = p.suite->salt_n;
    if (won->keys.n != 2 * (key_n + salt_n))
        return CPH_E_BUG;
    /* RFC 5764 4.2 MUST: the client writes with the client's key, the server only reads with it */
    who = (won->role == CPH_STREAM_CLIENT) == (dir == CPH_KEYING_SEND) ? 0 : 1;
    CPH_TRY(cph_secret_set(&p.master.key, (struct cph_span){ won->keys.b + who * key_n, key_n }));
    CPH_TRY(cph_secret_set(&p.master.salt,
                           (struct cph_span){ won->keys.b + 2 * key_n + who * salt_n, salt_n }));
    *out = p;
    return CPH_OK;
}

static unsigned hash_bits(enum cph_fp_hash hash)
{
    switch (hash) {
    case CPH_FP_SHA256:
        return 256;
    case CPH_FP_SHA384:
        return 384;
    case CPH_FP_SHA512:
        return 512;
    case CPH_FP_NONE:
    case CPH_FP_SHA1:
        break;
    }
    return 0;
}

static void dtls_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    const struct dtls *d = (const struct dtls *)k;
    const struct dtls_shake *won = d->won[CPH_KEYING_RTP];
    const struct cph_srtp_suite *suite;
    struct cph_fingerprint fp;

    out->method = "dtls";
    out->notes |= d->notes;
    if (!won || d->state == CPH_KEYING_FAILED)
        return;
    suite = cph_srtp_suite_by_dtls(cph_stream_srtp_profile(won->s));
    if (!suite)
        return;
    out->suite = suite->sdes_name;
    out->keyed = true;
    out->rtp_encrypted = out->rtcp_encrypted = suite->encrypts;
    out->rtp_authenticated = true;
    out->key_bits = 8U * suite->key_n;
    out->tag_bits = 8U * suite->tag_n;
    out->keys_stay_at_ends = true;
    out->forward_secrecy = true;  /* stream/ has no cipher without it */
    out->choice_protected = true; /* use_srtp is under the handshake's Finished */
    out->peer_auth = CPH_KEYING_AUTH_SIGNALLED;
    out->hash_bits = hash_bits(d->hash);
    if (cph_stream_resumed(won->s))
        out->notes |= CPH_KEYING_NOTE_RESUMED;
    if (suite->tag_n < 10)
        out->notes |= CPH_KEYING_NOTE_SHORT_TAG;
    if (cph_cert_fingerprint(cph_stream_peer(won->s), CPH_FP_SHA256, &fp) == CPH_OK) {
        memcpy(out->peer_fingerprint, fp.b, fp.n);
        out->peer_fingerprint_n = fp.n;
    }
    cph_cert_validity(cph_stream_peer(won->s), &out->peer_not_before, &out->peer_not_after);
}

/* ---- the row --------------------------------------------------------------------------------- */

static bool dtls_present(const struct cph_keying_remote *remote)
{
    return cph_sdp_attr_any(remote->sdp, remote->media, "fingerprint") != NULL;
}

static bool dtls_claims(struct cph_span packet)
{
    /* RFC 7983 7 */
    return (packet.n > 0 && packet.p[0] >= 20 && packet.p[0] <= 63) || dtls_is_opener(packet);
}

const struct cph_keying_method cph_keying_dtls = {
    .name = "dtls",
    .where = CPH_KEYING_IN_MEDIA,
    .needs = CPH_KEYING_NEEDS_CERT,
    .profile = CPH_SDP_UDP_TLS_RTP_SAVP,
    .present = dtls_present,
    .claims = dtls_claims,
    .make = dtls_make,
    .free = dtls_free,
    .offer = dtls_offer,
    .answer = dtls_answer,
    .finish = dtls_finish,
    .rollback = dtls_rollback,
    .renew = dtls_renew,
    .answered = dtls_answered,
    .fork = dtls_fork,
    .feed = dtls_feed,
    .pull = dtls_pull,
    .deadline = dtls_deadline,
    .tick = dtls_tick,
    .status = dtls_status,
    .keys = dtls_keys,
    .evidence = dtls_evidence,
};

/* Discovery (RFC 6189 4.1), and the Commit of whoever goes first (4.2, 4.4). */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

enum { ACKED_S = 12, WAIT_S = 30 };

/* RFC 6189 4.1.1 MUST: the last octet of a version does not count */
static const char our_version[5] = "1.10";

/* ---- our Hello ------------------------------------------------------------------------------- */

/* 9: H0 by chance, the others each the hash of the one before. */
static cph_err draw_chain(struct zrtp *z, uint8_t h3[ZRTP_HASH])
{
    for (int i = 0; i < 3; i++)
        z->h[i].n = ZRTP_HASH;
    CPH_TRY(cph_random(z->call->cfg.env, z->h[0].b, ZRTP_HASH));
    CPH_TRY(zrtp_hash256(cph_secret_span(&z->h[0]), z->h[1].b));
    CPH_TRY(zrtp_hash256(cph_secret_span(&z->h[1]), z->h[2].b));
    return zrtp_hash256(cph_secret_span(&z->h[2]), h3);
}

cph_err zrtp_own_hello(struct zrtp *z)
{
    static const char client[17] = "Ciphony         ";
    const struct cph_zrtp_cfg *cfg = &z->call->cfg;
    struct zrtp_msg msg = { .type = ZRTP_HELLO };
    struct zrtp_hello *h = &msg.u.hello;
    struct cph_wr wr = cph_wr_open(z->own_hello.b, sizeof z->own_hello.b);

    memcpy(h->version, our_version, sizeof h->version);
    memcpy(h->client, client, sizeof h->client);
    memcpy(h->zid, cfg->zid, sizeof h->zid);
    CPH_TRY(draw_chain(z, h->h3));
    h->s = cfg->signer && cfg->signer->verify;
    h->m = cfg->mitm;
    h->p = cfg->passive;
    for (int k = 0; k < ZRTP_KINDS; k++)
        h->list[k] = z->call->list[k];
    zrtp_msg_build(&wr, &msg);
    CPH_TRY(cph_wr_end(&wr));
    z->own_hello.n = wr.n;
    CPH_TRY(zrtp_mac_seal(z->own_hello.b, wr.n, cph_secret_span(&z->h[2])));
    z->own = *h;
    return CPH_OK;
}

cph_err zrtp_on_start(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    zrtp_enter(next, ZRTP_DISCOVER);
    zrtp_retry_from(next, ZRTP_HELLO, in->now);
    return CPH_OK;
}

/* ---- the peer's Hello ------------------------------------------------------------------------ */

/* 4.1.1: above ours it is acknowledged and no more; below ours there is nothing we could speak. */
static int compare_version(const uint8_t *theirs)
{
    for (int i = 0; i < 3; i++) {
        if (theirs[i] != (uint8_t)our_version[i])
            return theirs[i] < (uint8_t)our_version[i] ? -1 : 1;
    }
    return 0;
}

/* 8.1: is it the Hello that the signalling promised? */
cph_err zrtp_check_promise(const struct zrtp *z, struct cph_span hello)
{
    uint8_t hash[ZRTP_HASH];

    if (!z->expects)
        return CPH_OK;
    CPH_TRY(zrtp_hash256(hello, hash));
    return cph_ct_eq((struct cph_span){ hash, sizeof hash },
                     (struct cph_span){ z->expected, sizeof z->expected })
               ? CPH_OK
               : CPH_E_AUTH;
}

cph_err zrtp_on_hello(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    const struct zrtp_hello *h = &in->msg->u.hello;
    int version = compare_version(h->version);

    if (in->msg->bytes.n > sizeof next->hello.b)
        return CPH_E_LIMIT;
    if (z->live.has_peer) /* ours went unanswered, theirs came before */
        CPH_TRY(zrtp_on_hello_again(z, in, next));
    /* 5.3: a HelloACK is sent whatever version and algorithms the Hello has */
    next->due |= zrtp_bit(ZRTP_HELLOACK);
    if (version > 0) /* RFC 6189 4.1.1 MUST: ignored, and our own is sent on */
        return CPH_OK;
    if (version < 0)
        return zrtp_fail(next, CPH_E_UNSUPPORTED, ZRTP_E_VERSION,
                         "the peer speaks an older version of ZRTP", in->now);
    if (in->ssrc == z->ssrc) /* RFC 6189 4.1 MUST: Error, and the end */
        return zrtp_fail(next, CPH_E_MALFORMED, ZRTP_E_SSRC, "the peer uses our SSRC", in->now);
    if (cph_span_eq((struct cph_span){ h->zid, sizeof h->zid },
                    (struct cph_span){ z->own.zid, sizeof z->own.zid }))
        return zrtp_fail(next, CPH_E_MALFORMED, ZRTP_E_EQUAL_ZID,
                         "the peer's ZID is ours: somebody sends our own packets back", in->now);
    next->has_peer = true;
    next->peer_ssrc = in->ssrc;
    next->peer_hello = *h;
    next->hello.n = in->msg->bytes.n;
    memcpy(next->hello.b, in->msg->bytes.p, in->msg->bytes.n);
    next->cleared = z->peer->cleared;
    next->err = CPH_OK;
    next->why = NULL;
    if (z->live.state == ZRTP_ACKED)
        return zrtp_proceed(z, z->peer, next, in->now);
    next->state = ZRTP_HEARD; /* our own Hello goes on as it did */
    if (z->live.state == ZRTP_QUIET)
        zrtp_retry_from(next, ZRTP_HELLO, in->now);
    return CPH_OK;
}

cph_err zrtp_on_hello_again(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    if (!cph_span_eq(in->msg->bytes, zrtp_text_span(&z->live.hello)))
        return CPH_E_AUTH;
    next->due |= zrtp_bit(ZRTP_HELLOACK);
    return CPH_OK;
}

cph_err zrtp_on_helloack(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    next->due &= ~zrtp_bit(ZRTP_HELLO);
    if (z->live.state == ZRTP_HEARD)
        return zrtp_proceed(z, z->peer, next, in->now);
    zrtp_enter(next, ZRTP_ACKED);
    next->at = in->now + CPH_SEC(ACKED_S);
    return CPH_OK;
}

/* ---- what the Commit says -------------------------------------------------------------------- */

static void pick_rows(struct zrtp_live *next, const uint32_t id[ZRTP_KINDS])
{
    for (int k = 0; k < ZRTP_KINDS; k++)
        next->alg[k] = zrtp_alg((enum zrtp_kind)k, id[k]);
}

static bool both_have(const struct zrtp *z, const struct zrtp_live *next, enum zrtp_kind kind,
                      uint32_t id)
{
    return zrtp_list_has(&z->own.list[kind], id) && zrtp_list_has(&next->peer_hello.list[kind], id);
}

/* 4.1.2: the agreement both come to, and for the rest what we like best. 5.1.5 MUST: EC38 goes with
 * SHA-384, and SHOULD go with AES-256. */
static cph_err pick_all(const struct zrtp *z, const struct zrtp_live *next, uint32_t id[ZRTP_KINDS])
{
    const uint32_t s384 = ZRTP_ID('S', '3', '8', '4'), aes3 = ZRTP_ID('A', 'E', 'S', '3');
    const struct zrtp_alg *agreement;

    for (int k = 0; k < ZRTP_KINDS; k++) {
        struct zrtp_list ours, theirs;

        zrtp_list_complete((enum zrtp_kind)k, &z->own.list[k], &ours);
        zrtp_list_complete((enum zrtp_kind)k, &next->peer_hello.list[k], &theirs);
        id[k] = zrtp_pick(&ours, &theirs);
    }
    id[ZRTP_K_AGREEMENT] = zrtp_pick_agreement(&z->own, &next->peer_hello);
    agreement = zrtp_alg(ZRTP_K_AGREEMENT, id[ZRTP_K_AGREEMENT]);
    if (!agreement)
        return CPH_E_UNSUPPORTED;
    if (agreement->wants_s384) {
        id[ZRTP_K_HASH] = s384;
        if (both_have(z, next, ZRTP_K_CIPHER, aes3))
            id[ZRTP_K_CIPHER] = aes3;
    }
    return CPH_OK;
}

/* Write it, and send it until something answers. */
static cph_err send_commit(const struct zrtp *z, struct zrtp_live *next, struct zrtp_commit *c,
                           cph_time now)
{
    struct zrtp_msg msg = { .type = ZRTP_COMMIT };
    struct cph_wr wr = cph_wr_open(next->commit.b, sizeof next->commit.b);

    memcpy(c->h2, z->h[2].b, sizeof c->h2);
    memcpy(c->zid, z->own.zid, sizeof c->zid);
    msg.u.commit = *c;
    zrtp_msg_build(&wr, &msg);
    CPH_TRY(cph_wr_end(&wr));
    next->commit.n = wr.n;
    CPH_TRY(zrtp_mac_seal(next->commit.b, wr.n, cph_secret_span(&z->h[1])));
    next->committed = *c;
    next->initiator = true;
    next->due &= ~zrtp_bit(ZRTP_HELLO);
    zrtp_enter(next, ZRTP_COMMITTED);
    zrtp_retry_from(next, ZRTP_COMMIT, now);
    return CPH_OK;
}

/* RFC 6189 4.4.1.1: hvi = hash(our DHPart2 || the responder's Hello), so that we cannot choose our
 * public value when we know the other's. */
cph_err zrtp_commit_dh(const struct zrtp *z, const struct zrtp_peer *peer, struct zrtp_live *next,
                       cph_time now)
{
    struct zrtp_commit c = { .mode = CPH_ZRTP_DH };
    uint8_t pv[CPH_AGREE_PUBLIC_MAX], hash[CPH_DIGEST_MAX];
    const struct zrtp_alg *a;
    struct cph_span part[2];

    CPH_TRY(pick_all(z, next, c.id));
    pick_rows(next, c.id);
    a = next->alg[ZRTP_K_AGREEMENT];
    /* RFC 6189 5.1.5 SHOULD: an exponent of twice the length of the AES key */
    CPH_TRY(cph_agree_make(z->call->cfg.env, a->group, (size_t)2 * next->alg[ZRTP_K_CIPHER]->key_n,
                           &next->dh, pv));
    CPH_TRY(zrtp_write_dhpart(z, peer, ZRTP_INITIATOR, next,
                              (struct cph_span){ pv, cph_agree_public_size(a->group) },
                              &next->dhpart2));
    part[0] = zrtp_text_span(&next->dhpart2);
    part[1] = zrtp_text_span(&next->hello);
    CPH_TRY(zrtp_hash_all(next->alg[ZRTP_K_HASH], part, 2, hash));
    memcpy(c.hvi, hash, sizeof c.hvi);
    next->effects |= ZRTP_DO_OWN;
    return send_commit(z, next, &c, now);
}

/* RFC 6189 4.4.3.1, 4.4.2.2: a nonce instead, of which no two are the same. */
static cph_err draw_nonce(const struct zrtp *z, const struct zrtp_peer *peer, struct zrtp_commit *c)
{
    CPH_TRY(cph_random(z->call->cfg.env, c->hvi, ZRTP_NONCE));
    return zrtp_peer_nonce_used(peer, c->hvi) ? CPH_E_LIMIT : CPH_OK;
}

static cph_err commit_mult(const struct zrtp *z, const struct zrtp_peer *peer,
                           struct zrtp_live *next, cph_time now)
{
    struct zrtp_commit c = { .mode = CPH_ZRTP_MULTISTREAM };

    if (!both_have(z, next, ZRTP_K_AGREEMENT, ZRTP_MULT))
        return zrtp_fail(next, CPH_E_UNSUPPORTED, ZRTP_E_AGREEMENT,
                         "the peer does not key further streams by Multistream", now);
    for (int k = 0; k < ZRTP_KINDS; k++) /* RFC 6189 4.4.3.1 SHOULD: as in the first stream */
        c.id[k] = peer->alg[k]->id;
    c.id[ZRTP_K_AGREEMENT] = ZRTP_MULT;
    pick_rows(next, c.id);
    CPH_TRY(draw_nonce(z, peer, &c));
    next->effects |= ZRTP_DO_NONCE;
    return send_commit(z, next, &c, now);
}

static cph_err commit_preshared(const struct zrtp *z, const struct zrtp_peer *peer,
                                struct zrtp_live *next, cph_time now)
{
    struct zrtp_commit c = { .mode = CPH_ZRTP_PRESHARED };
    CPH_SECRET_SCOPED key = { 0 };
    CPH_SECRET_SCOPED aux = { 0 };

    CPH_TRY(pick_all(z, next, c.id));
    c.id[ZRTP_K_AGREEMENT] = ZRTP_PRSH;
    pick_rows(next, c.id);
    CPH_TRY(draw_nonce(z, peer, &c));
    CPH_TRY(zrtp_aux(z, peer, next, ZRTP_INITIATOR, &aux));
    CPH_TRY(
        zrtp_preshared_key(next->alg[ZRTP_K_HASH], &peer->kept.rs1, &aux, &peer->kept.pbx, &key));
    CPH_TRY(
        zrtp_mac(next->alg[ZRTP_K_HASH], cph_secret_span(&key), CPH_SPAN_LIT("Prsh"), c.key_id));
    next->effects |= ZRTP_DO_OWN | ZRTP_DO_NONCE;
    return send_commit(z, next, &c, now);
}

/* RFC 6189 4.4.2.1 SHOULD: only on a secret that a compared SAS stands behind. */
static bool may_preshare(const struct zrtp *z, const struct zrtp_peer *peer,
                         const struct zrtp_live *next)
{
    return peer->kept_now && peer->kept.verified && both_have(z, next, ZRTP_K_AGREEMENT, ZRTP_PRSH);
}

cph_err zrtp_proceed(const struct zrtp *z, const struct zrtp_peer *peer, struct zrtp_live *next,
                     cph_time now)
{
    zrtp_enter(next, ZRTP_WAIT);
    next->at = now + CPH_SEC(WAIT_S);
    if (z->call->cfg.passive)
        return CPH_OK;
    if (peer->session.n > 0)
        return commit_mult(z, peer, next, now);
    /* RFC 6189 4.4.1: one exchange at a time may touch what is retained */
    if (peer->owner && peer->owner != z)
        return CPH_OK;
    if (may_preshare(z, peer, next))
        return commit_preshared(z, peer, next, now);
    return zrtp_commit_dh(z, peer, next, now);
}

/* Another stream of the call took the exchange over, or is through with it. */
cph_err zrtp_on_wake_waiting(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    bool lost = z->peer->owner != z && z->live.committed.mode != CPH_ZRTP_MULTISTREAM;

    if (z->live.state == ZRTP_COMMITTED && !lost)
        return CPH_OK;
    cph_secret_wipe(&next->dh);
    next->due &= ~zrtp_bit(ZRTP_COMMIT);
    return zrtp_proceed(z, z->peer, next, in->now);
}

/* RFC 6189 4.7.2: from clear to secure again; the Hellos of the beginning still hold. */
cph_err zrtp_on_do_secure(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    if (z->peer->session.n == 0 || z->call->cfg.passive)
        return CPH_E_POLICY;
    return zrtp_proceed(z, z->peer, next, in->now);
}

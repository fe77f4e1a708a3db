/*
 * The row "zrtp" of the table. The descriptions carry a=zrtp-hash, the hash of a Hello (RFC 6189
 * 8.1); the exchange itself begins on the media path when they are through. Until an answer is
 * here, what comes on the media path is dropped: a Hello comes again within 200 ms.
 */
#include "zrtp_int.h"

#include <stdlib.h>
#include <string.h>

#include "../keying_int.h"
#include "ciphony/base_text.h"

static struct zrtp *of(struct cph_keying *k)
{
    return (struct zrtp *)k;
}

static const struct zrtp *of_const(const struct cph_keying *k)
{
    return (const struct zrtp *)k;
}

/* ---- making ---------------------------------------------------------------------------------- */

static cph_err row_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct zrtp *z;

    if (!cfg->zrtp)
        return CPH_E_CONFIG;
    CPH_TRY(zrtp_new(cfg->zrtp, cfg->ssrc, cfg->mtu, &z));
    *out = &z->base;
    return CPH_OK;
}

static void row_free(struct cph_keying *k)
{
    zrtp_free(of(k));
}

/* ---- descriptions ---------------------------------------------------------------------------- */

/* a=zrtp-hash:1.10 <64 hex digits> */
static cph_err write_hash(const struct zrtp *z, const struct cph_keying_local *local)
{
    uint8_t hash[ZRTP_HASH];
    char text[5 + 2 * ZRTP_HASH + 1] = "1.10 ";

    CPH_TRY(zrtp_hash256((struct cph_span){ z->own_hello.b, z->own_hello.n }, hash));
    cph_hex((struct cph_span){ hash, sizeof hash }, text + 5);
    return cph_sdp_attr_add(local->sdp, local->media, "zrtp-hash", text);
}

static const struct cph_sdp_line *first_hash(const struct cph_keying_remote *r)
{
    const struct cph_sdp_line *line = cph_sdp_attr(cph_sdp_part_of(r->sdp, r->media), "zrtp-hash");

    while (line && cph_span_trim(line->arg).n == 0) /* liblinphone 5.1 answers so without ZRTP */
        line = cph_sdp_attr_next(line);
    return line;
}

/* 4.1.1: a peer may list several versions; ours counts, by its first three octets. */
static cph_err read_hash(const struct cph_keying_remote *r, uint8_t out[ZRTP_HASH])
{
    const struct cph_sdp_line *line = first_hash(r);
    cph_err err = line ? CPH_E_UNSUPPORTED : CPH_E_NOTFOUND;

    for (; line; line = cph_sdp_attr_next(line)) {
        struct cph_sdp_zrtp_hash h;

        if (cph_sdp_zrtp_hash_parse(line->arg, &h) != CPH_OK) {
            err = CPH_E_MALFORMED;
        } else if (cph_span_starts(h.version, "1.1")) {
            memcpy(out, h.hash, ZRTP_HASH);
            return CPH_OK;
        }
    }
    return err;
}

static bool failed(const struct zrtp *z)
{
    return z->live.state == ZRTP_ENDING || z->live.state == ZRTP_ENDED ||
           z->live.state == ZRTP_QUIET;
}

/* Is this the peer we have been talking to? */
static bool same_peer(const struct zrtp *z, const uint8_t hash[ZRTP_HASH])
{
    return cph_span_eq((struct cph_span){ hash, ZRTP_HASH },
                       (struct cph_span){ z->expected, ZRTP_HASH });
}

/* Write the hash of a new Hello, and begin anew with it once that is written. */
static cph_err renew_and_write(struct zrtp *z, const struct cph_keying_local *local)
{
    struct zrtp *t;
    cph_err err;

    CPH_TRY(zrtp_new(z->call, z->ssrc, z->mtu, &t));
    err = write_hash(t, local);
    if (err == CPH_OK) {
        for (int i = 0; i < 3; i++)
            z->h[i] = t->h[i];
        z->own = t->own;
        z->own_hello = t->own_hello;
        zrtp_reset(z);
    }
    zrtp_free(t);
    return err;
}

static void begin(struct zrtp *z, const uint8_t hash[ZRTP_HASH])
{
    memcpy(z->expected, hash, ZRTP_HASH);
    z->expects = true;
    z->agreed = true;
    z->offered = false;
    z->started = true;
}

/* RFC 6189 4 SHOULD: a=zrtp-hash in every offer. Costs hashes, no public-key operation. */
static cph_err row_offer(struct cph_keying *k, const struct cph_keying_local *offer)
{
    struct zrtp *z = of(k);

    CPH_TRY(failed(z) ? renew_and_write(z, offer) : write_hash(z, offer));
    z->forkable = !z->agreed;
    z->offered = true;
    return CPH_OK;
}

static cph_err row_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
                          const struct cph_keying_local *answer)
{
    struct zrtp *z = of(k);
    uint8_t hash[ZRTP_HASH];
    bool anew;

    CPH_TRY(read_hash(offer, hash));
    anew = z->agreed && (failed(z) || !same_peer(z, hash));
    CPH_TRY(anew ? renew_and_write(z, answer) : write_hash(z, answer));
    z->forkable = false;
    begin(z, hash);
    return CPH_OK;
}

/* An answer with another hash is another peer; our Hello is out already and serves it too. */
static cph_err row_finish(struct cph_keying *k, const struct cph_keying_remote *answer)
{
    struct zrtp *z = of(k);
    uint8_t hash[ZRTP_HASH];

    if (!z->offered && !z->agreed)
        return CPH_E_STATE;
    CPH_TRY(read_hash(answer, hash));
    if (z->agreed && !same_peer(z, hash))
        zrtp_reset(z);
    begin(z, hash);
    return CPH_OK;
}

static void row_rollback(struct cph_keying *k)
{
    of(k)->offered = false;
}

/* All answerers of one offer know the same Hello of ours. */
static cph_err row_fork(const struct cph_keying *k, struct cph_keying **out)
{
    const struct zrtp *z = of_const(k);
    struct zrtp *f;

    if (!z->forkable)
        return CPH_E_STATE;
    CPH_TRY(zrtp_fork(z, &f));
    f->offered = f->forkable = true;
    *out = &f->base;
    return CPH_OK;
}

/* RFC 6189 4: without a=zrtp-hash a Hello is what tells whether the peer has ZRTP. */
static cph_err row_probe(struct cph_keying *k)
{
    struct zrtp *z = of(k);

    if (z->agreed)
        zrtp_reset(z);
    z->expects = false;
    z->agreed = z->started = true;
    z->offered = z->forkable = false;
    return CPH_OK;
}

/* ---- media path ------------------------------------------------------------------------------ */

static cph_err row_feed(struct cph_keying *k, enum cph_keying_component component,
                        const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    /* RFC 6189 4 MUST: ZRTP runs on the port of RTP */
    return component == CPH_KEYING_RTP ? zrtp_feed(of(k), from, packet, now) : CPH_E_UNSUPPORTED;
}

static cph_err row_pull(struct cph_keying *k, struct cph_keying_packet *out, cph_time now)
{
    struct zrtp *z = of(k);
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);

    CPH_TRY(zrtp_pull(z, &wr, now));
    out->component = CPH_KEYING_RTP;
    out->has_to = z->from.family != CPH_AF_NONE;
    out->to = z->from;
    out->n = wr.n;
    return CPH_OK;
}

static cph_time row_deadline(const struct cph_keying *k)
{
    return zrtp_deadline(of_const(k));
}

static void row_tick(struct cph_keying *k, cph_time now)
{
    zrtp_tick(of(k), now);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static enum cph_keying_state state_of(const struct zrtp *z)
{
    if (!z->started)
        return z->offered ? CPH_KEYING_OFFERED : CPH_KEYING_IDLE;
    if (z->live.state == ZRTP_SECURE || z->live.state == ZRTP_RELAYING)
        return CPH_KEYING_KEYED;
    return failed(z) ? CPH_KEYING_FAILED : CPH_KEYING_RUNNING;
}

static void row_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    const struct zrtp *z = of_const(k);

    *out = (struct cph_keying_status){ .state = state_of(z), .why = z->live.why };
    if (out->state == CPH_KEYING_FAILED)
        out->err = z->live.err;
    for (int d = 0; d < 2; d++) {
        out->dir[d].generation = z->live.generation[d];
        out->dir[d].streams = CPH_KEYING_STREAMS_FRESH;
    }
}

static cph_err row_keys(const struct cph_keying *k, enum cph_keying_component component,
                        enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    (void)component; /* 4.5.3: SRTCP has the same master keys */
    return i > 0 ? CPH_E_NOTFOUND : zrtp_srtp_policy(of_const(k), dir, out);
}

/*
 * Who is the peer? Nobody, until its SAS was compared, now or in an earlier call that the retained
 * secret goes back to. That its Hello is the one the signalling promised is not enough, even if
 * nobody touched the signalling: we cannot know whether the peer held ours against its promise, and
 * if it did not, somebody in the middle had all of its hash chain before he spoke to us.
 */
static enum cph_keying_auth auth_of(const struct zrtp *z)
{
    const struct zrtp_peer *p = z->peer;

    if (p->refuted)
        return CPH_KEYING_AUTH_NONE;
    if (p->compared)
        return CPH_KEYING_AUTH_COMPARED;
    if (p->signed_by_peer)
        return CPH_KEYING_AUTH_CERT;
    return zrtp_peer_is_verified(z->call, p) ? CPH_KEYING_AUTH_RETAINED : CPH_KEYING_AUTH_NONE;
}

static unsigned notes_of(const struct zrtp *z)
{
    const struct zrtp_peer *p = z->peer;
    unsigned notes = z->notes;

    if (z->live.alg[ZRTP_K_TAG] && z->live.alg[ZRTP_K_TAG]->tag_bits < 80)
        notes |= CPH_KEYING_NOTE_SHORT_TAG;
    if (z->live.peer_flags & ZRTP_FLAG_D)
        notes |= CPH_KEYING_NOTE_PEER_DISCLOSES;
    if (p && (zrtp_peer_is_strange(z->call, p) || p->refuted))
        notes |= CPH_KEYING_NOTE_CONTINUITY_BROKEN;
    if (z->live.peer_hello.m)
        notes |= CPH_KEYING_NOTE_PEER_IS_MITM;
    if (p && p->pbx_matched && z->live.peer_hello.m)
        notes |= CPH_KEYING_NOTE_TRUSTED_MITM;
    return notes;
}

/* The certificate that signed the string, for whoever pinned it. */
static void tell_signer(const struct cph_zrtp_signed *by, struct cph_keying_evidence *out)
{
    memcpy(out->peer_fingerprint, by->fingerprint, sizeof by->fingerprint);
    out->peer_fingerprint_n = sizeof by->fingerprint;
    out->peer_not_before = by->not_before;
    out->peer_not_after = by->not_after;
}

static void row_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    const struct zrtp *z = of_const(k);
    const struct zrtp_live *l = &z->live;
    const struct cph_srtp_suite *suite;

    out->method = "zrtp";
    out->notes |= notes_of(z);
    if (state_of(z) != CPH_KEYING_KEYED)
        return;
    suite = zrtp_suite(l->alg[ZRTP_K_CIPHER], l->alg[ZRTP_K_TAG]);
    if (!suite)
        return;
    out->suite = suite->sdes_name;
    out->keyed = true;
    out->rtp_encrypted = out->rtp_authenticated = out->rtcp_encrypted = true;
    out->key_bits = 8U * suite->key_n;
    out->tag_bits = 8U * suite->tag_n;
    out->keys_stay_at_ends = true;
    /* 3.1.2: a Preshared call is safe from what leaks later once the secret it came from is gone */
    out->forward_secrecy = !z->peer->preshared || (z->peer->cache_s > 0 && !z->peer->pending.n);
    out->choice_protected = true; /* hvi and total_hash cover the responder's list and the choice */
    out->peer_auth = auth_of(z);
    if (out->peer_auth == CPH_KEYING_AUTH_NONE)
        out->notes |= CPH_KEYING_NOTE_NOT_COMPARED;
    /* Of who compared the string, or goes on from that, no certificate has to say anything. */
    if (z->peer->has_signature &&
        (out->peer_auth == CPH_KEYING_AUTH_NONE || out->peer_auth == CPH_KEYING_AUTH_CERT))
        tell_signer(&z->peer->by, out);
    out->hash_bits = 256;
}

/* ---- the row --------------------------------------------------------------------------------- */

static bool row_present(const struct cph_keying_remote *remote)
{
    return first_hash(remote) != NULL;
}

/* RFC 7983 7, and the cookie of figure 2. */
static bool row_claims(struct cph_span packet)
{
    static const uint8_t cookie[4] = { 'Z', 'R', 'T', 'P' };

    return packet.n >= ZRTP_FRAME + 12 && packet.p[0] >> 4 == 1 &&
           cph_span_eq((struct cph_span){ packet.p + 4, 4 }, (struct cph_span){ cookie, 4 });
}

const struct cph_keying_method cph_keying_zrtp = {
    .name = "zrtp",
    .where = CPH_KEYING_IN_MEDIA,
    .needs = CPH_KEYING_NEEDS_ZRTP,
    .profile = CPH_SDP_RTP_AVP, /* RFC 6189 4: normal media lines in the first exchange */
    .present = row_present,
    .claims = row_claims,
    .make = row_make,
    .free = row_free,
    .offer = row_offer,
    .answer = row_answer,
    .finish = row_finish,
    .rollback = row_rollback,
    .fork = row_fork,
    .probe = row_probe,
    .feed = row_feed,
    .pull = row_pull,
    .deadline = row_deadline,
    .tick = row_tick,
    .status = row_status,
    .keys = row_keys,
    .evidence = row_evidence,
};

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
        at = earlier(at, d->begun && d->looked == d->pool->moves ? earlier(d->give_up, d->again_at)
                                                                 : 0);
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

/*
 * The handshakes of one offer. Several may run at once: every branch of a forked call has its own,
 * and anybody on the network can send a ClientHello. A handshake is known by the address it talks
 * to and, on the passive side, by the ClientHello's random as well, so that a ClientHello with a
 * forged source address stands beside the true one instead of in its way (CVE-2023-49786). Which
 * one counts is decided by the certificate, when it is done.
 */
#include "dtls_int.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_HEADER = 13 };

/* ---- the objects ----------------------------------------------------------------------------- */

cph_err dtls_pool_new(const struct dtls_pool *like, struct dtls_pool **out)
{
    struct dtls_pool *pool = calloc(1, sizeof *pool);
    cph_err err;

    if (!pool)
        return CPH_E_NOMEM;
    *pool = *like;
    memset(pool->slot, 0, sizeof pool->slot);
    pool->refs = 1;
    pool->moves = 0;
    pool->rival = false;
    pool->home = NULL;
    pool->n_said = pool->n_asked = 0;
    pool->key = cph_key_ref(like->key);
    pool->cert = cph_cert_ref(like->cert);
    err = dtls_cookie_new(pool->env, &pool->cookie);
    if (err) {
        dtls_pool_unref(pool, NULL);
        return err;
    }
    *out = pool;
    return CPH_OK;
}

struct dtls_pool *dtls_pool_ref(struct dtls_pool *pool)
{
    if (pool)
        pool->refs++;
    return pool;
}

void dtls_shake_free(struct dtls_shake *shake)
{
    if (!shake)
        return;
    cph_stream_free(shake->s);
    dtls_pieces_free(shake->pieces);
    cph_free_secret(shake, sizeof *shake);
}

struct dtls_shake *dtls_pool_take(struct dtls_pool *pool, enum cph_keying_component c, unsigned i)
{
    struct dtls_shake *shake = pool->slot[c][i];

    pool->slot[c][i] = NULL;
    return shake;
}

void dtls_pool_clear(struct dtls_pool *pool)
{
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++)
            dtls_shake_free(dtls_pool_take(pool, (enum cph_keying_component)c, i));
    }
}

void dtls_pool_unref(struct dtls_pool *pool, const void *owner)
{
    bool last;

    if (!pool)
        return;
    last = --pool->refs == 0;
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            struct dtls_shake *shake = pool->slot[c][i];

            if (shake && (last || (owner && shake->owner == owner)))
                dtls_shake_free(dtls_pool_take(pool, (enum cph_keying_component)c, i));
        }
    }
    if (!last)
        return;
    cph_stream_home_free(pool->home);
    cph_key_free(pool->key);
    cph_cert_free(pool->cert);
    cph_free_secret(pool, sizeof *pool);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The library's context: that of the device, or one for this offer, made when it is needed. */
static cph_err home_of(struct dtls_pool *pool, struct cph_stream_home **out)
{
    if (pool->shared)
        return dtls_home(pool->shared, out);
    if (!pool->home)
        CPH_TRY(cph_stream_home_new(CPH_STREAM_DTLS, pool->cert, pool->key, false, pool->env,
                                    &pool->home));
    *out = pool->home;
    return CPH_OK;
}

cph_err dtls_shake_begin(struct dtls_pool *pool, const struct dtls_beginning *b, unsigned at,
                         cph_time now, struct dtls_shake **out)
{
    bool server = b->role == CPH_STREAM_SERVER;
    struct cph_stream_config cfg = {
        .kind = CPH_STREAM_DTLS,
        .role = b->role,
        .resume = b->resume,
        .after_cookie = b->after_cookie,
        .find = server && pool->shared && pool->shared->life ? dtls_find : NULL,
        .find_ctx = pool->shared,
        /* RFC 5763 5 MUST: the certificate is checked against the fingerprint; that is done when
         * the handshake is over, for only then it is proven who sent it. */
        .verify = CPH_STREAM_VERIFY_CALLER,
        .need_client_cert = server, /* RFC 5764 4.1 MUST: mutual */
        .srtp_profile = pool->profile,
        .n_srtp_profile = pool->n_profile,
        .mtu = pool->mtu,
        .first_timeout = CPH_MS(DTLS_FIRST_MS),
    };
    struct dtls_shake *shake;
    cph_err err;

    CPH_TRY(home_of(pool, &cfg.home));
    shake = calloc(1, sizeof *shake);
    if (!shake)
        return CPH_E_NOMEM;
    err = cph_stream_new(&cfg, pool->env, &shake->s);
    if (err) {
        free(shake);
        return err;
    }
    shake->role = b->role;
    shake->component = b->c;
    shake->after_cookie = b->after_cookie;
    shake->born = now;
    pool->slot[b->c][at] = shake;
    *out = shake;
    return CPH_OK;
}

bool dtls_pool_place(const struct dtls_pool *pool, enum cph_keying_component c, unsigned *at)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        if (!pool->slot[c][i]) {
            *at = i;
            return true;
        }
    }
    return false;
}

cph_err dtls_pool_connect(struct dtls_pool *pool, const struct dtls_wish *wish, cph_time now)
{
    const struct dtls_beginning b = { .role = CPH_STREAM_CLIENT,
                                      .c = wish->c,
                                      .resume = wish->resume };
    enum cph_keying_component c = wish->c;
    struct dtls_shake *shake;
    unsigned at;
    cph_err err;

    if (!dtls_pool_place(pool, c, &at))
        return CPH_E_LIMIT;
    CPH_TRY(dtls_shake_begin(pool, &b, at, now, &shake));
    shake->owner = wish->owner;
    shake->target = wish->target;
    shake->detour = wish->detour;
    shake->credit = wish->credit;
    if (wish->detour)
        shake->from = wish->target;
    err = cph_stream_start(shake->s, now);
    if (err)
        dtls_shake_free(dtls_pool_take(pool, c, at));
    return err;
}

/* ---- packets --------------------------------------------------------------------------------- */

void dtls_pool_give(struct dtls_pool *pool, enum cph_keying_component c, unsigned i,
                    struct cph_span packet, cph_time now)
{
    struct dtls_shake *shake = pool->slot[c][i];
    enum cph_stream_state before = cph_stream_state(shake->s);
    cph_err err = dtls_shake_feed(shake, packet, now);

    shake->credit += packet.n;
    if (shake->heard == 0)
        shake->heard = now;
    if (err || cph_stream_state(shake->s) != before)
        pool->moves++;
}

/* A ServerHello or HelloVerifyRequest begins this packet: an answer to a ClientHello. */
static bool is_answer(struct cph_span packet)
{
    return packet.n > RECORD_HEADER && packet.p[0] == 22 && packet.p[3] == 0 && packet.p[4] == 0 &&
           (packet.p[RECORD_HEADER] == 2 || packet.p[RECORD_HEADER] == 3);
}

/* Is this packet for that handshake? The active side hears the address of the description at any
 * time. */
static bool hears(struct dtls_shake *shake, const struct cph_addr *from)
{
    if (cph_addr_eq(&shake->from, from))
        return true;
    if (shake->role != CPH_STREAM_CLIENT || !cph_addr_eq(&shake->target, from))
        return false;
    shake->from = *from;
    return true;
}

/* Our own ClientHello is answered from an address nobody told us: a NAT, or a liar. It is believed
 * until its certificate shows what it is, but only when the address we were told had its time: else
 * whoever is fast would spoil each try. */
static bool latch(struct dtls_pool *pool, enum cph_keying_component c, const struct cph_addr *from,
                  cph_time now, unsigned *at)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        struct dtls_shake *shake = pool->slot[c][i];

        if (shake && shake->role == CPH_STREAM_CLIENT && shake->from.family == CPH_AF_NONE &&
            now - shake->born >= CPH_MS(DTLS_LATCH_MS)) {
            shake->from = *from;
            *at = i;
            return true;
        }
    }
    return false;
}

cph_err dtls_pool_feed(struct dtls_pool *pool, enum cph_keying_component c,
                       const struct cph_addr *from, const struct cph_addr *known, bool serve,
                       struct cph_span packet, cph_time now)
{
    struct dtls_hello hello;
    bool given = false;
    unsigned at;

    if (dtls_hello_read(packet, &hello))
        return dtls_pool_welcome(pool, c, from, known, serve, &hello, packet, now);
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        if (pool->slot[c][i] && hears(pool->slot[c][i], from)) {
            /* of several from there, one will know it as its own */
            dtls_pool_give(pool, c, i, packet, now);
            given = true;
        }
    }
    if (!given && is_answer(packet) && latch(pool, c, from, now, &at)) {
        dtls_pool_give(pool, c, at, packet, now);
        given = true;
    }
    return given ? CPH_OK : CPH_E_NOTFOUND;
}

/*
 * To an address that nobody announced never goes more than came from there: what does not fit is
 * lost, and repeated when more has come. Until whoever is there has signed our ClientHello's
 * random: only then the library says anything else.
 */
static bool may_go(struct dtls_shake *shake, struct cph_span packet)
{
    struct dtls_hello hello;

    if (!shake->detour || (cph_stream_peer(shake->s) && !dtls_hello_read(packet, &hello)))
        return true;
    if (packet.n > shake->credit)
        return false;
    shake->credit -= packet.n;
    return true;
}

cph_err dtls_shake_pull(struct dtls_shake *shake, struct cph_keying_packet *out)
{
    do
        CPH_TRY(cph_stream_pull(shake->s, out->b, sizeof out->b, &out->n));
    while (!may_go(shake, (struct cph_span){ out->b, out->n }));
    out->component = shake->component;
    out->has_to = shake->from.family != CPH_AF_NONE;
    out->to = shake->from;
    return CPH_OK;
}

static cph_err pull_said(struct dtls_pool *pool, struct cph_keying_packet *out)
{
    const struct dtls_said *said;

    if (pool->n_said == 0)
        return CPH_E_AGAIN;
    said = &pool->said[--pool->n_said];
    out->component = said->component;
    out->has_to = true;
    out->to = said->to;
    out->n = sizeof said->b;
    memcpy(out->b, said->b, sizeof said->b);
    return CPH_OK;
}

cph_err dtls_pool_pull(struct dtls_pool *pool, const void *owner, struct cph_keying_packet *out)
{
    if (pull_said(pool, out) == CPH_OK)
        return CPH_OK;
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            struct dtls_shake *shake = pool->slot[c][i];

            if (shake && (!shake->owner || shake->owner == owner) &&
                dtls_shake_pull(shake, out) == CPH_OK)
                return CPH_OK;
        }
    }
    return CPH_E_AGAIN;
}

/* ---- time ------------------------------------------------------------------------------------ */

cph_time dtls_pool_deadline(const struct dtls_pool *pool)
{
    cph_time at = CPH_TIME_NEVER;

    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            cph_time d = pool->slot[c][i] ? cph_stream_deadline(pool->slot[c][i]->s)
                                          : CPH_TIME_NEVER;

            at = d < at ? d : at;
        }
    }
    return at;
}

void dtls_pool_tick(struct dtls_pool *pool, cph_time now)
{
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            struct dtls_shake *shake = pool->slot[c][i];

            if (shake && cph_stream_tick(shake->s, now) != CPH_OK)
                pool->moves++;
        }
    }
}

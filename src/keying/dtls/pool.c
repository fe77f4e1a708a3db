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

#include "ciphony/base_wire.h"

enum { RECORD_HEADER = 13 };

/* ---- the objects ----------------------------------------------------------------------------- */

cph_err dtls_pool_new(const struct dtls_pool *like, struct dtls_pool **out)
{
    struct dtls_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return CPH_E_NOMEM;
    *pool = *like;
    memset(pool->slot, 0, sizeof pool->slot);
    pool->refs = 1;
    pool->moves = 0;
    pool->rival = false;
    pool->key = cph_key_ref(like->key);
    pool->cert = cph_cert_ref(like->cert);
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
    free(shake);
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
    cph_key_free(pool->key);
    cph_cert_free(pool->cert);
    free(pool);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static cph_err begin(struct dtls_pool *pool, enum cph_stream_role role, enum cph_keying_component c,
                     unsigned at, cph_time now, struct dtls_shake **out)
{
    const struct cph_stream_config cfg = {
        .kind = CPH_STREAM_DTLS,
        .role = role,
        .cert = pool->cert,
        .key = pool->key,
        /* RFC 5763 5 MUST: the certificate is checked against the fingerprint; that is done when
         * the handshake is over, for only then it is proven who sent it. */
        .verify = CPH_STREAM_VERIFY_CALLER,
        .need_client_cert = role == CPH_STREAM_SERVER, /* RFC 5764 4.1 MUST: mutual */
        .srtp_profile = pool->profile,
        .n_srtp_profile = pool->n_profile,
        .mtu = pool->mtu,
        .first_timeout = CPH_MS(DTLS_FIRST_MS),
    };
    struct dtls_shake *shake = calloc(1, sizeof *shake);
    cph_err err;

    if (!shake)
        return CPH_E_NOMEM;
    err = cph_stream_new(&cfg, pool->env, &shake->s);
    if (err) {
        free(shake);
        return err;
    }
    shake->role = role;
    shake->component = c;
    shake->born = now;
    pool->slot[c][at] = shake;
    *out = shake;
    return CPH_OK;
}

static bool free_slot(const struct dtls_pool *pool, enum cph_keying_component c, unsigned *at)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        if (!pool->slot[c][i]) {
            *at = i;
            return true;
        }
    }
    return false;
}

cph_err dtls_pool_connect(struct dtls_pool *pool, const void *owner, enum cph_keying_component c,
                          const struct cph_addr *target, cph_time now)
{
    struct dtls_shake *shake;
    unsigned at;
    cph_err err;

    if (!free_slot(pool, c, &at))
        return CPH_E_LIMIT;
    CPH_TRY(begin(pool, CPH_STREAM_CLIENT, c, at, now, &shake));
    shake->owner = owner;
    shake->target = *target;
    err = cph_stream_start(shake->s, now);
    if (err)
        dtls_shake_free(dtls_pool_take(pool, c, at));
    return err;
}

/* ---- who may begin with us ------------------------------------------------------------------- */

/* Who of the rivals gives way? One that was judged false, then the oldest stale one; for a
 * ClientHello from where the description says, any that is from elsewhere. */
static bool weakest(const struct dtls_pool *pool, enum cph_keying_component c,
                    const struct cph_addr *known, bool is_known, cph_time now, unsigned *at)
{
    int best = -1;

    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *r = pool->slot[c][i];
        bool elsewhere, stale;

        if (!r || r->role != CPH_STREAM_SERVER)
            continue;
        if (r->judged || cph_stream_error(r->s) != CPH_OK) {
            best = (int)i;
            break;
        }
        elsewhere = known && !cph_addr_eq(&r->from, known);
        stale = cph_stream_state(r->s) == CPH_STREAM_HANDSHAKE &&
                now - r->born > CPH_SEC(DTLS_STALE_S);
        if (!(is_known ? elsewhere : stale && (elsewhere || !known)))
            continue;
        if (best < 0 || r->born < pool->slot[c][best]->born)
            best = (int)i;
    }
    *at = (unsigned)best;
    return best >= 0;
}

static unsigned rivals(const struct dtls_pool *pool, enum cph_keying_component c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        if (pool->slot[c][i] && pool->slot[c][i]->role == CPH_STREAM_SERVER)
            n++;
    }
    return n;
}

static cph_err welcome(struct dtls_pool *pool, enum cph_keying_component c,
                       const struct cph_addr *from, const struct cph_addr *known,
                       const uint8_t random[DTLS_RANDOM], cph_time now, struct dtls_shake **out)
{
    bool is_known = known && cph_addr_eq(from, known);
    /* Once the peer's address is known, one place is kept for it. */
    unsigned limit = known && !is_known ? DTLS_RIVALS - 1 : DTLS_RIVALS;
    unsigned at;

    if (rivals(pool, c) >= limit) {
        if (!weakest(pool, c, known, is_known, now, &at))
            return CPH_E_LIMIT;
        dtls_shake_free(dtls_pool_take(pool, c, at));
    } else if (!free_slot(pool, c, &at)) {
        return CPH_E_LIMIT;
    }
    CPH_TRY(begin(pool, CPH_STREAM_SERVER, c, at, now, out));
    (*out)->from = *from;
    memcpy((*out)->random, random, DTLS_RANDOM);
    return CPH_OK;
}

/*
 * RFC 6347 4.1, 4.2.2; RFC 5246 7.4.1.2:
 *   type 22, version 2, epoch 2 = 0, seq 6, length 2 | type 1, length 3, seq 2, offset 3 = 0, n 3 |
 *   client_version 2, random 32, ...
 */
bool dtls_is_client_hello(struct cph_span packet, uint8_t random[DTLS_RANDOM])
{
    struct cph_rd rd = cph_rd_open(packet);
    bool is = cph_rd_u8(&rd) == 22;
    struct cph_span r;

    (void)cph_rd_u16(&rd);
    is = cph_rd_u16(&rd) == 0 && is;
    (void)cph_rd_u48(&rd);
    (void)cph_rd_u16(&rd);
    is = cph_rd_u8(&rd) == 1 && is;
    (void)cph_rd_u24(&rd);
    (void)cph_rd_u16(&rd);
    is = cph_rd_u24(&rd) == 0 && is;
    (void)cph_rd_u24(&rd);
    (void)cph_rd_u16(&rd);
    r = cph_rd_span(&rd, DTLS_RANDOM);
    if (!is || rd.failed)
        return false;
    memcpy(random, r.p, DTLS_RANDOM);
    return true;
}

/* ---- packets --------------------------------------------------------------------------------- */

static void give(struct dtls_pool *pool, enum cph_keying_component c, unsigned i,
                 struct cph_span packet, cph_time now)
{
    struct dtls_shake *shake = pool->slot[c][i];
    enum cph_stream_state before = cph_stream_state(shake->s);
    cph_err err = cph_stream_feed(shake->s, packet, now);

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

static cph_err feed_hello(struct dtls_pool *pool, enum cph_keying_component c,
                          const struct cph_addr *from, const struct cph_addr *known, bool serve,
                          const uint8_t random[DTLS_RANDOM], struct cph_span packet, cph_time now)
{
    struct dtls_shake *shake;
    cph_err err;

    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        shake = pool->slot[c][i];
        if (shake && shake->role == CPH_STREAM_SERVER && cph_addr_eq(&shake->from, from) &&
            memcmp(shake->random, random, DTLS_RANDOM) == 0) { /* public bytes */
            give(pool, c, i, packet, now);
            return CPH_OK;
        }
    }
    if (!serve) {
        pool->rival = true;
        return CPH_E_STATE;
    }
    err = welcome(pool, c, from, known, random, now, &shake);
    if (err) {
        pool->rival = true;
        return err;
    }
    err = cph_stream_feed(shake->s, packet, now);
    pool->moves++;
    return err;
}

cph_err dtls_pool_feed(struct dtls_pool *pool, enum cph_keying_component c,
                       const struct cph_addr *from, const struct cph_addr *known, bool serve,
                       struct cph_span packet, cph_time now)
{
    uint8_t random[DTLS_RANDOM];
    bool given = false;
    unsigned at;

    if (dtls_is_client_hello(packet, random))
        return feed_hello(pool, c, from, known, serve, random, packet, now);
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        if (pool->slot[c][i] && hears(pool->slot[c][i], from)) {
            give(pool, c, i, packet, now); /* of several from there, one will know it as its own */
            given = true;
        }
    }
    if (!given && is_answer(packet) && latch(pool, c, from, now, &at)) {
        give(pool, c, at, packet, now);
        given = true;
    }
    return given ? CPH_OK : CPH_E_NOTFOUND;
}

cph_err dtls_shake_pull(struct dtls_shake *shake, struct cph_keying_packet *out)
{
    CPH_TRY(cph_stream_pull(shake->s, out->b, sizeof out->b, &out->n));
    out->component = shake->component;
    out->has_to = shake->from.family != CPH_AF_NONE;
    out->to = shake->from;
    return CPH_OK;
}

cph_err dtls_pool_pull(struct dtls_pool *pool, const void *owner, struct cph_keying_packet *out)
{
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

/*
 * A ClientHello came. Whose handshake is it, or may it begin one? Who was named by the signalling
 * has asked for that; anybody else is asked to show first that he is where he says (RFC 6347
 * 4.2.1), and stands beside the others until the certificates tell who counts.
 */
#include "dtls_int.h"

#include <string.h>

/* ---- a place among the others --------------------------------------------------------------- */

/* Who of the rivals gives way? One that was judged false, then the oldest stale one; for a
 * ClientHello from where the description says, any that is from elsewhere before those. */
static bool weakest(const struct dtls_pool *pool, enum cph_keying_component c,
                    const struct cph_addr *known, bool is_known, cph_time now, unsigned *at)
{
    bool best_elsewhere = false;
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
        if (!(is_known ? elsewhere || stale : stale && (elsewhere || !known)))
            continue;
        if (best >= 0 &&
            (elsewhere == best_elsewhere ? r->born >= pool->slot[c][best]->born : best_elsewhere))
            continue;
        best = (int)i;
        best_elsewhere = elsewhere;
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
                       const struct dtls_hello *hello, cph_time now, struct dtls_shake **out)
{
    const struct dtls_beginning b = { .role = CPH_STREAM_SERVER,
                                      .c = c,
                                      .after_cookie = hello->cookie.n > 0 };
    bool is_known = known && cph_addr_eq(from, known);
    /* Once the peer's address is known, one place is kept for it. */
    unsigned limit = known && !is_known ? DTLS_RIVALS - 1 : DTLS_RIVALS;
    unsigned at;

    if (rivals(pool, c) >= limit) {
        if (!weakest(pool, c, known, is_known, now, &at))
            return CPH_E_LIMIT;
        dtls_shake_free(dtls_pool_take(pool, c, at));
    } else if (!dtls_pool_place(pool, c, &at)) {
        return CPH_E_LIMIT;
    }
    CPH_TRY(dtls_shake_begin(pool, &b, at, now, out));
    (*out)->from = *from;
    memcpy((*out)->random, hello->random.p, DTLS_RANDOM);
    return CPH_OK;
}

/* ---- a cookie, or none ---------------------------------------------------------------------- */

/*
 * Was the one who says this hello asked for a cookie? Then he shall show it, though by now he was
 * announced: a flight for the hello without, beside the request that he answers, has messages of
 * the same numbers, and no client can take both.
 */
static bool was_asked(const struct dtls_pool *pool, enum cph_keying_component c,
                      const struct cph_addr *from, const struct dtls_hello *hello)
{
    for (unsigned i = 0; i < pool->n_asked && i < DTLS_SAID; i++) {
        const struct dtls_asked *a = &pool->asked[i];

        if (a->component == c && cph_addr_eq(&a->from, from) &&
            memcmp(a->random, hello->random.p, DTLS_RANDOM) == 0) /* public bytes */
            return true;
    }
    return false;
}

static void note_asked(struct dtls_pool *pool, enum cph_keying_component c,
                       const struct cph_addr *from, const struct dtls_hello *hello)
{
    struct dtls_asked *a = &pool->asked[pool->n_asked % DTLS_SAID];

    if (was_asked(pool, c, from, hello))
        return;
    a->component = c;
    a->from = *from;
    memcpy(a->random, hello->random.p, DTLS_RANDOM);
    pool->n_asked++;
}

/* Ask whoever says hello to show that he hears us. No handshake begins: RFC 6347 4.2.1. */
static cph_err ask(struct dtls_pool *pool, enum cph_keying_component c, const struct cph_addr *from,
                   const struct dtls_hello *hello, cph_time now)
{
    struct dtls_said *said = &pool->said[pool->n_said];

    if (pool->n_said == DTLS_SAID)
        return CPH_E_LIMIT; /* he will say it again */
    CPH_TRY(dtls_cookie_ask(&pool->cookie, from, hello, now, said->b));
    said->component = c;
    said->to = *from;
    pool->n_said++;
    note_asked(pool, c, from, hello);
    return CPH_OK;
}

/*
 * The handshake that this ClientHello began. With a cookie and without, hellos of one client begin
 * two, if it says the one without first: which one it went on with is seen by what it sends next.
 * If it has shown a cookie already, the other is an old one or a repetition beside it.
 */
static bool begun_by(const struct dtls_pool *pool, enum cph_keying_component c,
                     const struct cph_addr *from, const struct dtls_hello *hello, unsigned *at)
{
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *shake = pool->slot[c][i];

        if (shake && shake->role == CPH_STREAM_SERVER && cph_addr_eq(&shake->from, from) &&
            (shake->after_cookie || hello->cookie.n == 0) &&
            memcmp(shake->random, hello->random.p, DTLS_RANDOM) == 0) { /* public bytes */
            *at = i;
            return true;
        }
    }
    return false;
}

/* RFC 6347 4.2.1: whom the signalling named has asked for this; anybody else may be using another's
 * address. So may whoever begins several there and ends none. */
static bool need_no_cookie(const struct dtls_pool *pool, enum cph_keying_component c,
                           const struct cph_addr *from, const struct cph_addr *known,
                           const struct dtls_hello *hello)
{
    unsigned n = 0;

    if (!known || !cph_addr_eq(from, known) ||
        (hello->cookie.n == 0 && was_asked(pool, c, from, hello)))
        return false;
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *r = pool->slot[c][i];

        n += r && r->role == CPH_STREAM_SERVER && !r->after_cookie && cph_addr_eq(&r->from, from) &&
             cph_stream_state(r->s) == CPH_STREAM_HANDSHAKE;
    }
    return n < DTLS_NAMED;
}

cph_err dtls_pool_welcome(struct dtls_pool *pool, enum cph_keying_component c,
                          const struct cph_addr *from, const struct cph_addr *known, bool serve,
                          const struct dtls_hello *hello, struct cph_span packet, cph_time now)
{
    struct dtls_shake *shake;
    unsigned at;
    cph_err err;

    if (begun_by(pool, c, from, hello, &at)) {
        dtls_pool_give(pool, c, at, packet, now);
        return CPH_OK;
    }
    if (!serve) {
        pool->rival = true;
        return CPH_E_STATE;
    }
    if (!need_no_cookie(pool, c, from, known, hello) &&
        !dtls_cookie_ok(&pool->cookie, from, hello, now))
        return ask(pool, c, from, hello, now);
    err = welcome(pool, c, from, known, hello, now, &shake);
    if (err) {
        pool->rival = true;
        return err;
    }
    err = dtls_shake_feed(shake, packet, now);
    pool->moves++;
    return err;
}

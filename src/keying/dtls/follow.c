/*
 * From agreement to keys. Whoever is active sends a ClientHello; whoever is passive answers those
 * that come. When a handshake is done, its certificate is held against the fingerprints of the
 * description: the first that matches is the association, everything else is dropped.
 */
#include "dtls_int.h"

#include <stdlib.h>

void dtls_fail(struct dtls *d, cph_err err, const char *why)
{
    cph_log(d->env, CPH_LOG_WARN, "dtls", "no keys: %s", why);
    d->state = CPH_KEYING_FAILED;
    d->status.err = err;
    d->status.why = why;
    d->making = false;
    dtls_pool_unref(d->pool, d);
    d->pool = NULL;
    for (int c = 0; c < 2; c++) {
        dtls_shake_free(d->won[c]);
        d->won[c] = NULL;
    }
}

void dtls_follow_begin(struct dtls *d, enum cph_stream_role role, struct dtls_pool *pool)
{
    dtls_pool_unref(d->pool, d);
    d->pool = pool;
    d->looked = pool->moves - 1; /* there may be something in it already */
    d->role = role;
    d->making = true;
    d->begun = false;
    for (int c = 0; c < 2; c++) {
        d->tries[c] = 0;
        d->retry_at[c] = CPH_TIME_NEVER;
    }
    d->again_at = CPH_TIME_NEVER;
    d->mismatch = false;
    d->answered = false;
    d->alert = 0;
    d->trouble = CPH_OK;
    d->status.err = CPH_OK;
    d->status.why = NULL;
    if (d->state != CPH_KEYING_KEYED)
        d->state = CPH_KEYING_RUNNING;
}

/* ---- one handshake is done ------------------------------------------------------------------- */

/* Was this won for the association before the one being made? */
static bool old(const struct dtls_shake *shake)
{
    return shake && shake->born < 0;
}

static void install(struct dtls *d, enum cph_keying_component c, struct dtls_shake *shake)
{
    bool tell = c == CPH_KEYING_RTP || (d->won[CPH_KEYING_RTP] && !old(d->won[CPH_KEYING_RTP]));

    shake->owner = d;
    dtls_shake_free(d->won[c]);
    d->won[c] = shake;
    if (c == CPH_KEYING_RTP && old(d->won[CPH_KEYING_RTCP])) {
        dtls_shake_free(d->won[CPH_KEYING_RTCP]);
        d->won[CPH_KEYING_RTCP] = NULL;
    }
    for (int dir = 0; dir < 2 && tell; dir++) {
        /* RFC 5764 4.2: an association is an SRTP session of its own and begins with ROC zero. That
         * of RTCP comes beside the one of RTP, whose streams go on. */
        d->status.dir[dir].streams = c == CPH_KEYING_RTP ? CPH_KEYING_STREAMS_FRESH
                                                         : CPH_KEYING_STREAMS_KEEP;
        d->status.dir[dir].generation++;
    }
    if (tell)
        d->state = CPH_KEYING_KEYED;
    cph_log(d->env, CPH_LOG_INFO, "dtls", "%s keyed as %s%s, %s, profile 0x%04x",
            c == CPH_KEYING_RTP ? "RTP" : "RTCP",
            d->role == CPH_STREAM_CLIENT ? "client" : "server",
            cph_stream_resumed(shake->s) ? ", from an earlier call" : "",
            cph_stream_cipher(shake->s), cph_stream_srtp_profile(shake->s));
}

static bool from_peer(const struct dtls *d, const struct dtls_shake *shake)
{
    return cph_addr_eq(&shake->from, &d->peer.at[shake->component]);
}

/* A certificate that was not promised. From where the peer said it would be, it ends the stream:
 * whoever completed a handshake there sits on the path. From elsewhere it is turned away. */
static void mismatch(struct dtls *d, enum cph_keying_component c, unsigned i, cph_time now)
{
    struct dtls_shake *shake = d->pool->slot[c][i];
    bool lies = from_peer(d, shake), detour = shake->detour;
    cph_time doubt = now + CPH_SEC(DTLS_DOUBT_S);
    char at[CPH_ADDR_TEXT];

    cph_log(d->env, CPH_LOG_WARN, "dtls", "a certificate that was not promised, from %s",
            cph_addr_text(&shake->from, at));
    d->mismatch = true;
    d->notes |= CPH_KEYING_NOTE_RIVAL_HANDSHAKE;
    shake->judged = true;
    if (d->pool->refs == 1 || shake->owner == d || lies)
        dtls_shake_free(dtls_pool_take(d->pool, c, i));
    if (lies)
        dtls_fail(d, CPH_E_CERT,
                  "the peer's certificate is not the one its fingerprint promised: somebody may be "
                  "listening in between");
    else if (d->pool->refs == 1 && !detour && doubt < d->give_up)
        d->give_up = doubt;
}

/*
 * RFC 5764 4.2, the exported bytes:
 *   | client key | server key | client salt | server salt |
 */
static cph_err export_keys(struct dtls_shake *shake, const struct cph_srtp_suite *suite)
{
    return cph_stream_export(shake->s, "EXTRACTOR-dtls_srtp", &shake->keys,
                             2 * (size_t)(suite->key_n + suite->salt_n));
}

static void judge(struct dtls *d, enum cph_keying_component c, unsigned i, cph_time now)
{
    struct dtls_shake *shake = d->pool->slot[c][i];
    const struct cph_cert *cert = cph_stream_peer(shake->s);
    enum cph_fp_hash hash = CPH_FP_NONE;
    const struct cph_srtp_suite *suite;
    cph_err err = cert ? cph_cert_match(cert, d->peer.fp, d->peer.n_fp, &hash) : CPH_E_CERT;

    if (err != CPH_OK && cph_err_blame(err) != CPH_BLAME_HOST) {
        if (!shake->judged)
            mismatch(d, c, i, now);
        return;
    }
    suite = cph_srtp_suite_by_dtls(cph_stream_srtp_profile(shake->s));
    if (!suite) {
        dtls_fail(d, CPH_E_UNSUPPORTED,
                  "the DTLS handshake was done without an SRTP profile: the peer and we have none "
                  "in common, or it does not do DTLS-SRTP");
        return;
    }
    if (err == CPH_OK)
        err = export_keys(shake, suite);
    if (err) { /* want of memory, say: it tells nothing of the peer, who has its keys already */
        d->trouble = err;
        d->again_at = now + CPH_MS(DTLS_PAUSE_MS);
        return;
    }
    d->hash = hash;
    dtls_keep(d->shared, shake->s, now);
    install(d, c, dtls_pool_take(d->pool, c, i));
}

/* ---- looking at all of them ------------------------------------------------------------------ */

static bool mine(const struct dtls *d, const struct dtls_shake *shake)
{
    return shake->role == d->role && (!shake->owner || shake->owner == d);
}

static bool needed(const struct dtls *d, enum cph_keying_component c)
{
    return c == CPH_KEYING_RTP || !d->own.mux;
}

/* won[] may be of the association before. */
bool dtls_wanting(const struct dtls *d, enum cph_keying_component c)
{
    return needed(d, c) && (!d->won[c] || old(d->won[c]));
}

/* What was won before belongs to the association that is being replaced. */
static void age(struct dtls *d)
{
    for (int c = 0; c < 2; c++) {
        if (d->won[c])
            d->won[c]->born = -1;
    }
}

static void no_keys(struct dtls *d)
{
    const char *why;
    cph_err err;

    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *shake = d->pool->slot[CPH_KEYING_RTP][i];

        if (shake && mine(d, shake) && !shake->judged)
            dtls_words_note(d, shake);
    }
    why = dtls_words(d, &err);
    dtls_fail(d, err, why);
}

/*
 * As the active side, begin or begin anew. Anew only after a pause: answers to the ClientHello that
 * went wrong are still under way, and would spoil the next one.
 */
static void connect(struct dtls *d, enum cph_keying_component c, cph_time now)
{
    struct dtls_wish wish = { .owner = d, .c = c, .target = d->peer.at[c] };
    cph_err err;

    if (d->tries[c] > DTLS_RESTARTS) {
        no_keys(d);
        return;
    }
    if (d->tries[c] > 0 && d->retry_at[c] == CPH_TIME_NEVER)
        d->retry_at[c] = now + (CPH_MS(DTLS_PAUSE_MS) << (d->tries[c] < 4 ? d->tries[c] - 1 : 3));
    if (d->tries[c] > 0 && now < d->retry_at[c])
        return;
    d->retry_at[c] = CPH_TIME_NEVER;
    d->tries[c]++;
    wish.resume = dtls_find_peer(d->shared, d->peer.fp, d->peer.n_fp, now);
    err = dtls_pool_connect(d->pool, &wish, now);
    if (err != CPH_OK && cph_err_blame(err) == CPH_BLAME_HOST) {
        d->trouble = err;
        d->retry_at[c] = now + CPH_MS(DTLS_PAUSE_MS);
    } else if (err != CPH_OK) {
        dtls_fail(d, err, cph_err_text(err));
    }
}

/*
 * Our own handshakes for this component; *waits: one of them may be done soon.
 *
 * Before there are keys nothing is signed as a whole: one packet in the peer's name, and the
 * library at either end can be stuck with what nobody said. We do not see it, and the other end,
 * which does not begin, can do nothing. So a handshake that was answered and goes on for too long
 * is not waited for: another begins beside it. (It goes on: perhaps only the network is bad, and
 * a peer that does not take a second hello still finishes the first.)
 */
static unsigned own_run(const struct dtls *d, enum cph_keying_component c, cph_time now,
                        bool *waits)
{
    unsigned n = 0;

    *waits = false;
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *shake = d->pool->slot[c][i];

        if (!shake || shake->owner != d || shake->detour)
            continue;
        n++;
        *waits |= shake->heard == 0 || now - shake->heard < CPH_SEC(DTLS_STALL_S);
    }
    return n;
}

static void begin_own(struct dtls *d, enum cph_keying_component c, cph_time now)
{
    bool waits;
    unsigned n = own_run(d, c, now, &waits), room = 0;

    for (unsigned i = 0; i < DTLS_SLOTS; i++)
        room += !d->pool->slot[c][i];
    if (n == 0 || (!waits && n < DTLS_OWN && room > 0 && d->tries[c] <= DTLS_RESTARTS))
        connect(d, c, now);
}

static void look(struct dtls *d, enum cph_keying_component c, cph_time now)
{
    for (unsigned i = 0; i < DTLS_SLOTS && d->making && dtls_wanting(d, c); i++) {
        struct dtls_shake *shake = d->pool->slot[c][i];

        if (!shake || !mine(d, shake))
            continue;
        switch (cph_stream_state(shake->s)) {
        case CPH_STREAM_HANDSHAKE:
            break;
        case CPH_STREAM_OPEN:
            judge(d, c, i, now);
            break;
        case CPH_STREAM_CLOSED:
        case CPH_STREAM_FAILED:
            if (cph_stream_pending(shake->s) == 0 && !shake->judged) {
                dtls_words_note(d, shake);
                dtls_shake_free(dtls_pool_take(d->pool, c, i));
            }
            break;
        }
    }
    if (!d->making || !dtls_wanting(d, c) || d->role != CPH_STREAM_CLIENT)
        return;
    begin_own(d, c, now);
    if (d->making)
        dtls_path_detour(d, c, now);
}

static bool complete(const struct dtls *d)
{
    return !dtls_wanting(d, CPH_KEYING_RTP) && !dtls_wanting(d, CPH_KEYING_RTCP);
}

static void drop_own(struct dtls *d)
{
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            const struct dtls_shake *shake = d->pool->slot[c][i];

            if (shake && shake->owner == d)
                dtls_shake_free(dtls_pool_take(d->pool, (enum cph_keying_component)c, i));
        }
    }
}

/* All is won. Whoever else was at it is not needed, unless another branch may want him. */
static void finish(struct dtls *d)
{
    const struct dtls_shake *won = d->won[CPH_KEYING_RTP];

    d->making = false;
    drop_own(d);
    if (d->pool->refs > 1)
        return;
    for (unsigned i = 0; i < DTLS_SLOTS; i++) {
        const struct dtls_shake *other = d->pool->slot[CPH_KEYING_RTP][i];

        if (other && !cph_addr_eq(&other->from, &won->from))
            d->notes |= CPH_KEYING_NOTE_RIVAL_HANDSHAKE;
    }
    dtls_pool_clear(d->pool);
}

static void out_of_time(struct dtls *d)
{
    if (!dtls_wanting(d, CPH_KEYING_RTP)) {
        finish(d); /* RTP has its keys; RTCP will do without */
        d->status.why = "no keys for RTCP: its handshake did not come about";
    } else {
        no_keys(d);
    }
}

void dtls_follow(struct dtls *d, cph_time now)
{
    if (!d->making)
        return;
    if (!d->begun) {
        d->begun = true;
        d->since = now;
        d->give_up = now + CPH_SEC(d->rings ? DTLS_RING_S : DTLS_GIVE_UP_S);
        age(d);
        dtls_path_begin(d, now);
    }
    d->again_at = CPH_TIME_NEVER;
    for (int c = 0; c < 2 && d->making; c++) {
        if (needed(d, (enum cph_keying_component)c))
            look(d, (enum cph_keying_component)c, now);
    }
    if (!d->making)
        return;
    d->looked = d->pool->moves;
    if (complete(d))
        finish(d);
    else if (now >= d->give_up)
        out_of_time(d);
}

/* A peer that did not listen before it knew our answer does so now. Our hello was repeated less and
 * less: it begins anew. */
void dtls_follow_answered(struct dtls *d, cph_time now)
{
    d->give_up = now + CPH_SEC(DTLS_GIVE_UP_S);
    for (int c = 0; c < 2; c++) {
        for (unsigned i = 0; i < DTLS_SLOTS; i++) {
            const struct dtls_shake *shake = d->pool->slot[c][i];

            if (!shake || shake->owner != d || shake->detour || shake->from.family != CPH_AF_NONE ||
                now - shake->born < CPH_MS(DTLS_FIRST_MS))
                continue;
            dtls_shake_free(dtls_pool_take(d->pool, (enum cph_keying_component)c, i));
            d->tries[c] = 0;
            d->retry_at[c] = CPH_TIME_NEVER;
        }
    }
    dtls_follow(d, now);
}

/*
 * The states of one stream (RFC 6189 3.1.1, 4).
 *
 *   initiator                         responder
 *   -> Hello      <- HelloACK         -> Hello      <- HelloACK      either may be first
 *   <- Hello      -> HelloACK         <- Hello      -> HelloACK
 *   -> Commit                         <- Commit                      commits H2, hvi or a nonce
 *   <- DHPart1                        -> DHPart1                     H1, pvr       } not with
 *   -> DHPart2                        <- DHPart2                     H1, pvi       } Multistream
 *   <- Confirm1                       -> Confirm1                    H0, flags     } and Preshared
 *   -> Confirm2                       <- Confirm2                    H0, flags
 *   <- Conf2ACK                       -> Conf2ACK                    or the responder's SRTP
 */
#include "zrtp_int.h"

/* A message, or something that happens to us. */
#define MSG(type) [ZRTP_##type]
#define EV(event) [ZRTP_EV_##event]

static zrtp_edge on_timeout, on_retries_over, on_silence, on_collision;

/* In every state but the first: the peer asks who we are, or did not hear that we heard it. */
#define ALWAYS MSG(PING) = zrtp_on_ping

/* Every legal pair is on this page; an empty cell is CPH_E_STATE. */
/* clang-format off */
static zrtp_edge *const edge[ZRTP_STATES][ZRTP_EVENTS] = {
    [ZRTP_IDLE]       = { EV(START) = zrtp_on_start },

    [ZRTP_DISCOVER]   = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello,    MSG(HELLOACK) = zrtp_on_helloack,
                          MSG(ERROR)    = zrtp_on_error,    EV(COLLISION) = on_collision,
                          EV(TIMEOUT)   = on_timeout },
    [ZRTP_HEARD]      = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(HELLOACK) = zrtp_on_helloack,
                          MSG(COMMIT)   = zrtp_on_commit,   MSG(ERROR)    = zrtp_on_error,
                          EV(TIMEOUT)   = on_timeout },
    [ZRTP_ACKED]      = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello,    MSG(ERROR)    = zrtp_on_error,
                          EV(COLLISION) = on_collision,     EV(TIMEOUT)   = on_silence },
    [ZRTP_WAIT]       = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(COMMIT) = zrtp_on_commit,
                          MSG(ERROR)    = zrtp_on_error,    EV(WAKE)      = zrtp_on_wake_waiting,
                          EV(TIMEOUT)   = on_silence },
    [ZRTP_COMMITTED]  = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(COMMIT) = zrtp_on_commit,
                          MSG(DHPART1)  = zrtp_on_dhpart1,  MSG(CONFIRM1) = zrtp_on_confirm1,
                          MSG(ERROR)    = zrtp_on_error,    EV(WAKE)      = zrtp_on_wake_waiting,
                          EV(TIMEOUT)   = on_timeout },
    [ZRTP_AGREEING]   = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(CONFIRM1) = zrtp_on_confirm1,
                          MSG(ERROR)    = zrtp_on_error,    EV(TIMEOUT)   = on_timeout },
    [ZRTP_CONFIRMING] = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(CONF2ACK) = zrtp_on_conf2ack,
                          MSG(ERROR)    = zrtp_on_error,    EV(MEDIA)     = zrtp_on_conf2ack,
                          EV(TIMEOUT)   = on_timeout },

    [ZRTP_RESPONDED]  = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(COMMIT) = zrtp_on_commit_again,
                          MSG(DHPART2)  = zrtp_on_dhpart2,  MSG(ERROR)    = zrtp_on_error,
                          EV(TIMEOUT)   = on_silence },
    [ZRTP_CONFIRMED]  = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(COMMIT) = zrtp_on_commit_again,
                          MSG(DHPART2)  = zrtp_on_dhpart2_again, MSG(CONFIRM2) = zrtp_on_confirm2,
                          MSG(ERROR)    = zrtp_on_error,    EV(TIMEOUT)   = on_silence },

    [ZRTP_SECURE]     = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again,
                          MSG(CONFIRM2) = zrtp_on_confirm2_again, MSG(ERROR) = zrtp_on_error_late,
                          MSG(GOCLEAR)  = zrtp_on_goclear,  MSG(SASRELAY) = zrtp_on_sasrelay,
                          EV(WAKE)      = zrtp_on_wake_secure,
                          EV(DO_CLEAR)  = zrtp_on_do_clear, EV(DO_RELAY)  = zrtp_on_do_relay },
    [ZRTP_RELAYING]   = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again,
                          MSG(CONFIRM2) = zrtp_on_confirm2_again, MSG(ERROR) = zrtp_on_error_late,
                          MSG(GOCLEAR)  = zrtp_on_goclear,  MSG(SASRELAY) = zrtp_on_sasrelay,
                          MSG(RELAYACK) = zrtp_on_relayack, EV(WAKE)      = zrtp_on_wake_secure,
                          EV(DO_CLEAR)  = zrtp_on_do_clear, EV(DO_RELAY)  = zrtp_on_do_relay,
                          EV(TIMEOUT)   = on_timeout },

    [ZRTP_CLEARING]   = { ALWAYS,
                          MSG(CONFIRM2) = zrtp_on_confirm2_again, MSG(GOCLEAR) = zrtp_on_goclear,
                          MSG(CLEARACK) = zrtp_on_clearack, MSG(ERROR)    = zrtp_on_error_late,
                          EV(TIMEOUT)   = on_timeout },
    [ZRTP_CLEAR]      = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello_again, MSG(COMMIT) = zrtp_on_commit,
                          MSG(GOCLEAR)  = zrtp_on_goclear_again, MSG(ERROR) = zrtp_on_error_late,
                          EV(DO_SECURE) = zrtp_on_do_secure },

    [ZRTP_QUIET]      = { ALWAYS,
                          MSG(HELLO)    = zrtp_on_hello,    MSG(COMMIT)   = zrtp_on_commit },
    [ZRTP_ENDING]     = { ALWAYS,
                          MSG(ERROR)    = zrtp_on_error_late, MSG(ERRORACK) = zrtp_on_errorack,
                          EV(TIMEOUT)   = on_timeout },
    [ZRTP_ENDED]      = { ALWAYS,
                          MSG(ERROR)    = zrtp_on_error_late },
};

/* What goes out again in a state that waits, how often, and what then. */
static const struct {
    enum zrtp_type type;
    zrtp_edge *over;
} again[ZRTP_STATES] = {
    [ZRTP_DISCOVER]   = { ZRTP_HELLO,    on_retries_over },
    [ZRTP_HEARD]      = { ZRTP_HELLO,    on_retries_over },
    [ZRTP_COMMITTED]  = { ZRTP_COMMIT,   on_silence },
    [ZRTP_AGREEING]   = { ZRTP_DHPART2,  on_silence },
    [ZRTP_CONFIRMING] = { ZRTP_CONFIRM2, on_silence },
    [ZRTP_RELAYING]   = { ZRTP_SASRELAY, zrtp_on_relayack }, /* nobody there: as if acknowledged */
    [ZRTP_CLEARING]   = { ZRTP_GOCLEAR,  zrtp_on_clearack }, /* 4.7.2: the keys go all the same */
    [ZRTP_ENDING]     = { ZRTP_ERROR,    zrtp_on_errorack },
};
/* clang-format on */

/* ---- timers (6) ------------------------------------------------------------------------------ */

void zrtp_enter(struct zrtp_live *next, enum zrtp_state state)
{
    next->state = state;
    next->tries = 0;
    next->at = CPH_TIME_NEVER;
}

void zrtp_retry_from(struct zrtp_live *next, enum zrtp_type type, cph_time now)
{
    next->tries = 0;
    next->due |= zrtp_bit(type);
    next->interval_ms = type == ZRTP_HELLO ? ZRTP_T1_MS : ZRTP_T2_MS;
    next->at = now + CPH_MS(next->interval_ms);
}

static unsigned tries_allowed(const struct zrtp *z)
{
    if (again[z->live.state].type != ZRTP_HELLO)
        return ZRTP_TRIES;
    /* 6 SHOULD: a peer that showed itself, here or in the signalling, is given 12 seconds */
    return z->live.has_peer || z->live.heard_ping || z->expects ? ZRTP_HELLO_TRIES_LONG
                                                                : ZRTP_HELLO_TRIES;
}

static cph_err on_timeout(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    enum zrtp_type type = again[z->live.state].type;
    unsigned cap = type == ZRTP_HELLO ? ZRTP_T1_CAP_MS : ZRTP_T2_CAP_MS;

    if (z->live.tries >= tries_allowed(z))
        return again[z->live.state].over(z, in, next);
    next->tries++;
    next->due |= zrtp_bit(type);
    next->interval_ms = 2 * next->interval_ms < cap ? 2 * next->interval_ms : cap;
    next->at = in->now + CPH_MS(next->interval_ms);
    return CPH_OK;
}

/* Hello was sent often enough. */
static cph_err on_retries_over(const struct zrtp *z, const struct zrtp_in *in,
                               struct zrtp_live *next)
{
    (void)z;
    (void)in;
    zrtp_enter(next, ZRTP_QUIET);
    next->err = CPH_E_TIMEOUT;
    next->why = "the peer does not answer ZRTP";
    return CPH_OK;
}

static cph_err on_silence(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    return zrtp_fail(next, CPH_E_TIMEOUT, ZRTP_E_TIMEOUT,
                     "the ZRTP exchange broke off: the peer fell silent", in->now);
}

/* RFC 6189 4.1 MUST: any message that shows a collision ends the negotiation. Once the peer's Hello
 * came from another SSRC, ours is not the peer's: then it is somebody who sends our own packets
 * back. */
static cph_err on_collision(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    return zrtp_fail(next, CPH_E_MALFORMED, ZRTP_E_SSRC, "the peer uses our SSRC", in->now);
}

/* ---- failure --------------------------------------------------------------------------------- */

cph_err zrtp_fail(struct zrtp_live *next, cph_err err, unsigned code, const char *why, cph_time now)
{
    zrtp_drop_keys(next);
    cph_secret_wipe(&next->dh);
    next->effects |= ZRTP_DO_RELEASE;
    next->effects &= ~(unsigned)ZRTP_DO_OWN;
    next->due = 0;
    next->error = code;
    next->err = err;
    next->why = why;
    zrtp_enter(next, ZRTP_ENDING);
    zrtp_retry_from(next, ZRTP_ERROR, now);
    return CPH_OK;
}

/* ---- stage, then commit ---------------------------------------------------------------------- */

static const char *const state_names[ZRTP_STATES] = {
    "idle",     "discover",   "heard",     "acked",     "wait",   "committed",
    "agreeing", "confirming", "responded", "confirmed", "secure", "relaying",
    "clearing", "clear",      "quiet",     "ending",    "ended",
};

/* The first exchange with this peer is through: what it made is the call's. */
static void publish(struct zrtp *z, const struct zrtp_live *l)
{
    struct zrtp_peer *p = z->peer;

    p->peer_verified = l->peer_flags & ZRTP_FLAG_V;
    p->signed_by_peer = l->signed_by_peer;
    p->has_signature = l->has_signature;
    p->by = l->by;
    for (int k = 0; k < ZRTP_KINDS; k++)
        p->alg[k] = l->alg[k];
    for (size_t i = 0; i < CPH_ZRTP_ZID; i++) {
        p->zids[i] = l->initiator ? z->own.zid[i] : l->peer_hello.zid[i];
        p->zids[CPH_ZRTP_ZID + i] = l->initiator ? l->peer_hello.zid[i] : z->own.zid[i];
    }
    p->session = l->keys.session;
    p->exported = l->keys.exported;
    p->pending = l->keys.retained;
    p->cache_s = l->cache_s;
    p->preshared = l->committed.mode == CPH_ZRTP_PRESHARED;
    p->continuity = l->continuity;
    p->mismatch = l->mismatch;
    p->aux_mismatch = l->aux_mismatch;
    p->pbx_matched = l->pbx_matched;
    for (size_t i = 0; i < CPH_ZRTP_SASHASH; i++)
        p->sashash[i] = l->keys.sashash[i];
    p->compared = p->refuted = false;
    /* 4.6.1.1 MUST: after a mismatch the cache waits until the SAS was compared, unless a signature
     * speaks for the peer */
    p->held = p->mismatch && !p->signed_by_peer;
    if (p->held)
        return;
    zrtp_peer_met(z->call, p);
    (void)!zrtp_peer_roll(z->call, p);
}

/* 4.7.2.1: ZRTPSess becomes a function of itself, and nothing older can be derived. */
static void clear_session(struct zrtp *z)
{
    struct zrtp_peer *p = z->peer;
    struct cph_span old = cph_secret_span(&p->session);
    CPH_SECRET_SCOPED fresh = { 0 };

    p->cleared++;
    if (old.n > 0 && zrtp_kdf(p->alg[ZRTP_K_HASH], old, "New ZRTP Session",
                              (struct cph_span){ p->zids, sizeof p->zids },
                              8 * p->alg[ZRTP_K_HASH]->hash_n, &fresh) != CPH_OK)
        fresh.n = 0; /* then there is no way back to SRTP, but none to the old keys either */
    p->session = fresh;
    cph_secret_wipe(&p->exported);
}

static void apply(struct zrtp *z, struct zrtp_live *l)
{
    unsigned effects = l->effects;

    l->effects = 0;
    if (!z->peer)
        return;
    if (effects & ZRTP_DO_OWN)
        z->peer->owner = z;
    if (effects & ZRTP_DO_NONCE)
        zrtp_peer_nonce_add(z->peer, l->committed.hvi);
    if (effects & ZRTP_DO_SESSION) {
        if (l->committed.mode != CPH_ZRTP_MULTISTREAM)
            publish(z, l);
        cph_secret_wipe(&l->keys.session);
        cph_secret_wipe(&l->keys.exported);
        cph_secret_wipe(&l->keys.retained);
    }
    if (effects & ZRTP_DO_CLEARED) {
        clear_session(z);
        l->cleared = z->peer->cleared;
    }
    if ((effects & (ZRTP_DO_RELEASE | ZRTP_DO_SESSION)) && z->peer->owner == z)
        z->peer->owner = NULL;
    if (effects)
        z->call->moves++;
}

/* The only writer of live. */
static void commit(struct zrtp *z, struct zrtp_live *next)
{
    enum zrtp_state from = z->live.state;

    apply(z, next);
    z->live = *next;
    if (from != next->state)
        cph_log(z->call->cfg.env, CPH_LOG_DEBUG, "zrtp", "%s -> %s%s%s", state_names[from],
                state_names[next->state], next->err ? ": " : "", next->err ? next->why : "");
    if (next->state == ZRTP_ENDING && from != ZRTP_ENDING)
        cph_log(z->call->cfg.env, CPH_LOG_WARN, "zrtp", "no keys: %s", next->why);
}

static void live_wipe(struct zrtp_live *l)
{
    cph_wipe(l, sizeof *l);
}

cph_err zrtp_step(struct zrtp *z, const struct zrtp_in *in)
{
    __attribute__((cleanup(live_wipe))) struct zrtp_live next;
    zrtp_edge *h = edge[z->live.state][in->ev];

    if (!h)
        return CPH_E_STATE;
    next = z->live;
    CPH_TRY(h(z, in, &next)); /* on error: no trace left in z */
    commit(z, &next);
    return CPH_OK;
}

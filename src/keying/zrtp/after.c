/* What is not the exchange itself: Error, Ping, GoClear and SASrelay (RFC 6189 4.7, 5.9 to 5.16,
 * 7.3). */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

static void keys_wipe(struct zrtp_keys *k)
{
    cph_wipe(k, sizeof *k);
}

void zrtp_drop_keys(struct zrtp_live *next)
{
    keys_wipe(&next->keys);
    next->has_keys = 0;
}

static enum zrtp_role role_of(const struct zrtp_live *live, bool own)
{
    return live->initiator == own ? ZRTP_INITIATOR : ZRTP_RESPONDER;
}

/* ---- Error (5.9) ----------------------------------------------------------------------------- */

static cph_err error_of(unsigned code)
{
    switch (code) {
    case ZRTP_E_BAD_PV:
    case ZRTP_E_BAD_HVI:
    case ZRTP_E_CONFIRM_MAC:
        return CPH_E_AUTH;
    case ZRTP_E_TIMEOUT:
        return CPH_E_TIMEOUT;
    default:
        return CPH_E_UNSUPPORTED;
    }
}

/* Nobody can sign an Error before there are keys: whoever sits on the path may end the exchange. */
cph_err zrtp_on_error(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    unsigned code = in->msg->u.error;

    (void)z;
    zrtp_drop_keys(next);
    cph_secret_wipe(&next->dh);
    next->due = zrtp_bit(ZRTP_ERRORACK);
    next->error = code;
    next->err = error_of(code);
    next->why = zrtp_error_text(code);
    next->effects = ZRTP_DO_RELEASE;
    zrtp_enter(next, ZRTP_ENDED);
    return CPH_OK;
}

/* RFC 6189 4.7.1: an Error ends an exchange under way, not one that is through. */
cph_err zrtp_on_error_late(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    (void)in;
    next->due |= zrtp_bit(ZRTP_ERRORACK);
    return CPH_OK;
}

cph_err zrtp_on_errorack(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    (void)in;
    next->due &= ~zrtp_bit(ZRTP_ERROR);
    zrtp_enter(next, ZRTP_ENDED);
    return CPH_OK;
}

/* ---- Ping (5.15) ----------------------------------------------------------------------------- */

/* RFC 6189 5.16 MUST: every Ping is answered, also one of a proxy with an SSRC of its own. */
cph_err zrtp_on_ping(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    next->heard_ping = true;
    memcpy(next->pinged, in->msg->u.ping.endpoint, sizeof next->pinged);
    next->ping_ssrc = in->ssrc;
    next->due |= zrtp_bit(ZRTP_PINGACK);
    return CPH_OK;
}

/* ---- GoClear (4.7.2) ------------------------------------------------------------------------- */

/* RFC 6189 4.7.2: clear_mac = MAC(mackey of the sender, "GoClear ") */
static cph_err clear_mac(const struct zrtp_live *live, bool own, uint8_t out[ZRTP_MAC])
{
    const struct cph_secret *key = &live->keys.mac[role_of(live, own)];

    if (key->n == 0)
        return CPH_E_STATE;
    return zrtp_mac(live->alg[ZRTP_K_HASH], cph_secret_span(key), CPH_SPAN_LIT("GoClear "), out);
}

static cph_err check_clear(const struct zrtp_live *live, const struct zrtp_msg *m)
{
    uint8_t want[ZRTP_MAC];

    CPH_TRY(clear_mac(live, false, want));
    return cph_ct_eq((struct cph_span){ want, sizeof want },
                     (struct cph_span){ m->u.clear_mac, ZRTP_MAC })
               ? CPH_OK
               : CPH_E_AUTH;
}

static void go_clear(struct zrtp_live *next)
{
    zrtp_drop_keys(next);
    next->effects |= ZRTP_DO_CLEARED;
    next->due &= ~(zrtp_bit(ZRTP_GOCLEAR) | zrtp_bit(ZRTP_SASRELAY));
    next->why = "the call went back to RTP";
    zrtp_enter(next, ZRTP_CLEAR);
}

cph_err zrtp_on_goclear(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    /* RFC 6189 4.7.2 MUST NOT: with a bad MAC it is neither answered nor obeyed */
    CPH_TRY(check_clear(&z->live, in->msg));
    if (!z->call->cfg.allow_clear || z->call->cfg.enroll)
        return zrtp_fail(next, CPH_E_POLICY, ZRTP_E_GOCLEAR,
                         "the peer wanted to go on without keys", in->now);
    memcpy(next->clear_mac, in->msg->u.clear_mac, ZRTP_MAC);
    go_clear(next);
    next->due |= zrtp_bit(ZRTP_CLEARACK);
    return CPH_OK;
}

/* Our ClearACK was lost; or the peer clears a stream that another one's GoClear cleared already. */
cph_err zrtp_on_goclear_again(const struct zrtp *z, const struct zrtp_in *in,
                              struct zrtp_live *next)
{
    if (z->live.keys.mac[0].n > 0) {
        CPH_TRY(check_clear(&z->live, in->msg));
        memcpy(next->clear_mac, in->msg->u.clear_mac, ZRTP_MAC);
        go_clear(next);
    } else if (!cph_ct_eq((struct cph_span){ z->live.clear_mac, ZRTP_MAC },
                          (struct cph_span){ in->msg->u.clear_mac, ZRTP_MAC })) {
        return CPH_E_AUTH;
    }
    next->due |= zrtp_bit(ZRTP_CLEARACK);
    return CPH_OK;
}

cph_err zrtp_on_do_clear(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    if (!(z->live.peer_flags & ZRTP_FLAG_A))
        return CPH_E_POLICY;
    CPH_TRY(clear_mac(&z->live, true, next->clear_mac));
    next->has_keys = 0; /* RFC 6189 4.7.2: nothing more is sent */
    next->due &= ~zrtp_bit(ZRTP_SASRELAY);
    zrtp_enter(next, ZRTP_CLEARING);
    zrtp_retry_from(next, ZRTP_GOCLEAR, in->now);
    return CPH_OK;
}

cph_err zrtp_on_clearack(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    (void)in;
    go_clear(next);
    return CPH_OK;
}

/* RFC 6189 4.7.2.1 MUST: the keys of all streams go. What authenticates a GoClear of this stream
 * stays until it comes. */
cph_err zrtp_on_wake_secure(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)in;
    if (z->peer->cleared == z->live.cleared)
        return CPH_OK;
    for (int r = 0; r < 2; r++) {
        cph_secret_wipe(&next->keys.srtp[r]);
        cph_secret_wipe(&next->keys.salt[r]);
        cph_secret_wipe(&next->keys.zrtp[r]);
    }
    next->has_keys = 0;
    next->cleared = z->peer->cleared;
    next->due &= ~zrtp_bit(ZRTP_SASRELAY);
    next->why = "the call went back to RTP";
    zrtp_enter(next, ZRTP_CLEAR);
    return CPH_OK;
}

/* ---- SASrelay (7.3) -------------------------------------------------------------------------- */

/* RFC 6189 7.3 MUST: the SAS goes to an end that is enrolled with us; if both are, to one of them,
 * and to the phone rather than to another exchange. */
static bool tells_sas(const struct zrtp *z, const struct zrtp *other)
{
    if (!other || !z->peer->pbx_matched)
        return false;
    if (!other->peer->pbx_matched)
        return true;
    if (z->live.peer_hello.m != other->live.peer_hello.m)
        return !z->live.peer_hello.m;
    return !other->live.told_sas;
}

/* What of the other side we tell this one: its rendering always. */
static void fill_relay(const struct zrtp *z, const struct zrtp *other, struct zrtp_relay *r)
{
    const struct zrtp *from = other ? other : z;
    const struct zrtp_alg *sas = from->peer->alg[ZRTP_K_SAS];

    r->sas_id = sas ? sas->id : ZRTP_ID('B', '3', '2', ' ');
    r->flags = other ? other->live.peer_flags & (ZRTP_FLAG_D | ZRTP_FLAG_A | ZRTP_FLAG_V) : 0;
    if (tells_sas(z, other))
        memcpy(r->sashash, other->peer->sashash, sizeof r->sashash);
}

cph_err zrtp_on_do_relay(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    struct zrtp_relay r = { 0 };
    uint8_t iv[ZRTP_IV], inner[ZRTP_SEALED], room[CPH_ZRTP_SIGNATURE];
    struct cph_wr in_wr = cph_wr_open(inner, sizeof inner);
    struct cph_wr out = cph_wr_open(next->sealed, sizeof next->sealed);

    if (!z->own.m) /* RFC 6189 5.13 MUST: who relays has said so in its Hello */
        return CPH_E_POLICY;
    if (in->other && (!in->other->peer || in->other->peer->session.n == 0))
        return CPH_E_STATE;
    fill_relay(z, in->other, &r);
    /* 5.13 MAY: with the key that is ours for good. Whom nothing is told, nothing is signed to. */
    if (tells_sas(z, in->other))
        r.sig = zrtp_sign(z, next, r.sashash, r.sig_type, room);
    zrtp_relay_build(&in_wr, &r);
    CPH_TRY(cph_wr_end(&in_wr));
    CPH_TRY(cph_random(z->call->cfg.env, iv, sizeof iv));
    CPH_TRY(zrtp_seal(next->alg[ZRTP_K_HASH], &next->keys, role_of(next, true), ZRTP_SASRELAY, iv,
                      cph_wr_done(&in_wr), &out));
    next->sealed_n = out.n;
    next->told_sas |= tells_sas(z, in->other);
    zrtp_enter(next, ZRTP_RELAYING);
    zrtp_retry_from(next, ZRTP_SASRELAY, in->now);
    return CPH_OK;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

cph_err zrtp_on_sasrelay(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    uint8_t clear[ZRTP_MESSAGE];
    struct zrtp_relay r;

    CPH_TRY(zrtp_open(z->live.alg[ZRTP_K_HASH], &z->live.keys, role_of(&z->live, false),
                      &in->msg->u.sealed, clear));
    CPH_TRY(zrtp_relay_parse((struct cph_span){ clear, in->msg->u.sealed.cipher.n }, &r));
    /* The MAC does not cover the IV, and who changes that makes noise of the first block, flags and
     * all: then it is no rendering that anybody has. */
    if (!zrtp_alg(ZRTP_K_SAS, r.sas_id))
        return CPH_E_UNSUPPORTED;
    next->due |= zrtp_bit(ZRTP_RELAYACK);
    if (!z->live.peer_hello.m) /* 5.13: acknowledged, not rendered, no Error */
        return CPH_OK;
    next->relayed_id = r.sas_id;
    next->peer_flags = (z->live.peer_flags & ZRTP_FLAG_E) | (r.flags & ~(unsigned)ZRTP_FLAG_E);
    if (next->peer_flags & ZRTP_FLAG_E) /* RFC 6189 7.3.1 MUST: E implies not A, here too */
        next->peer_flags &= ~(unsigned)ZRTP_FLAG_A;
    /* RFC 6189 7.3 MUST NOT: a relayed SAS is never rendered unless we are enrolled with who sent
     * it */
    next->relayed = z->peer->pbx_matched && !all_zero(r.sashash, sizeof r.sashash);
    if (next->relayed)
        memcpy(next->relayed_sashash, r.sashash, sizeof r.sashash);
    /* 5.13: by a key of the man in the middle. It says which exchange told the string, nothing of
     * who is behind it: it could as well have signed another one. */
    next->relay_signed = zrtp_good_signature(z, &z->live, r.sashash, r.sig_type, r.sig,
                                             &next->relay_by) &&
                         next->relayed;
    return CPH_OK;
}

cph_err zrtp_on_relayack(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    (void)in;
    next->due &= ~zrtp_bit(ZRTP_SASRELAY);
    zrtp_enter(next, ZRTP_SECURE);
    return CPH_OK;
}

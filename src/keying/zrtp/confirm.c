/* Confirm1, Confirm2, Conf2ACK (RFC 6189 4.6): both show that they have the keys, and H0. */
#include "zrtp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* Bytes of a Confirm's or SASrelay's inside that carry no signature (5.7, 5.13), and of what stands
 * around it. */
enum { INNER = 32 + 4 + 4, OUTER = 12 + ZRTP_MAC + ZRTP_IV };

/* ---- ours ------------------------------------------------------------------------------------ */

static unsigned own_flags(const struct zrtp *z, const struct zrtp_peer *peer,
                          const struct zrtp_live *live)
{
    const struct cph_zrtp_cfg *cfg = &z->call->cfg;
    unsigned flags = 0;

    if (cfg->disclose)
        flags |= ZRTP_FLAG_D;
    /* RFC 6189 7.3.1 MUST: a call that enrols does not go clear */
    if (cfg->allow_clear && !cfg->enroll)
        flags |= ZRTP_FLAG_A;
    /* RFC 6189 4.9.1 MUST: without a store, never */
    if (peer->kept.verified && live->continuity)
        flags |= ZRTP_FLAG_V;
    if (cfg->mitm && cfg->enroll)
        flags |= ZRTP_FLAG_E;
    return flags;
}

static uint32_t own_cache(const struct zrtp *z, const struct zrtp_live *live)
{
    const struct cph_zrtp_cfg *cfg = &z->call->cfg;

    if (live->committed.mode == CPH_ZRTP_MULTISTREAM)
        return UINT32_MAX; /* 4.9: and is ignored */
    if (!cfg->store)
        return 0; /* RFC 6189 4.9.1 MUST */
    return cfg->cache_s ? cfg->cache_s : UINT32_MAX;
}

/* 7.2: only in DH mode, and SHOULD NOT to a peer that cannot read it. */
struct cph_span zrtp_sign(const struct zrtp *z, const struct zrtp_live *live,
                          const uint8_t sashash[CPH_ZRTP_SASHASH], char type[4],
                          uint8_t room[CPH_ZRTP_SIGNATURE])
{
    const struct cph_zrtp_signer *signer = z->call->cfg.signer;
    size_t around = ZRTP_FRAME + OUTER + INNER + 4 + 3, cap, n = 0;

    if (!signer || !signer->sign || !live->peer_hello.s || live->committed.mode != CPH_ZRTP_DH ||
        z->mtu <= around)
        return (struct cph_span){ NULL, 0 };
    cap = z->mtu - around < CPH_ZRTP_SIGNATURE ? z->mtu - around : CPH_ZRTP_SIGNATURE;
    if (signer->sign(signer->ctx, sashash, type, room, cap, &n) != CPH_OK) {
        cph_log(z->call->cfg.env, CPH_LOG_WARN, "zrtp", "the SAS could not be signed");
        n = 0;
    }
    return (struct cph_span){ room, n < cap ? n : cap };
}

cph_err zrtp_write_confirm(const struct zrtp *z, const struct zrtp_peer *peer,
                           struct zrtp_live *next)
{
    enum zrtp_role by = next->initiator ? ZRTP_INITIATOR : ZRTP_RESPONDER;
    struct zrtp_confirm c = { .flags = own_flags(z, peer, next), .cache_s = own_cache(z, next) };
    uint8_t iv[ZRTP_IV], inner[ZRTP_SEALED], room[CPH_ZRTP_SIGNATURE];
    struct cph_wr in = cph_wr_open(inner, sizeof inner);
    struct cph_wr out = cph_wr_open(next->sealed, sizeof next->sealed);
    cph_err err;

    CPH_TRY(cph_random(z->call->cfg.env, iv, sizeof iv));
    c.sig = zrtp_sign(z, next, next->keys.sashash, c.sig_type, room);
    memcpy(c.h0, z->h[0].b, sizeof c.h0);
    zrtp_confirm_build(&in, &c);
    err = cph_wr_end(&in);
    if (err == CPH_OK)
        err = zrtp_seal(next->alg[ZRTP_K_HASH], &next->keys, by,
                        next->initiator ? ZRTP_CONFIRM2 : ZRTP_CONFIRM1, iv, cph_wr_done(&in),
                        &out);
    next->sealed_n = out.n;
    cph_wipe(inner, sizeof inner);
    cph_wipe(&c, sizeof c);
    return err;
}

/* ---- theirs ---------------------------------------------------------------------------------- */

/*
 * 9: H0 must be what its images say, and opens the MAC of the message before. In DH mode that is
 * the DHPart; without DH the Commit (MAC by H1) of an initiator, the Hello (by H2) of a responder.
 * CPH_E_AUTH if it is not; no other failure may raise the alarm.
 */
static cph_err check_chain(const struct zrtp_live *live, const uint8_t h0[ZRTP_HASH])
{
    uint8_t h1[ZRTP_HASH], h2[ZRTP_HASH];
    struct cph_span k0 = { h0, ZRTP_HASH }, k1 = { h1, ZRTP_HASH }, k2 = { h2, ZRTP_HASH };

    if (live->committed.mode == CPH_ZRTP_DH) {
        CPH_TRY(zrtp_check_image(h0, live->peer_h1));
        return zrtp_mac_check(zrtp_text_span(live->initiator ? &live->dhpart1 : &live->dhpart2),
                              k0);
    }
    CPH_TRY(zrtp_hash256(k0, h1));
    CPH_TRY(zrtp_hash256(k1, h2));
    CPH_TRY(zrtp_check_image(h2, live->peer_hello.h3));
    return live->initiator ? zrtp_mac_check(zrtp_text_span(&live->hello), k2)
                           : zrtp_mac_check(zrtp_text_span(&live->commit), k1);
}

/* 7.2: padding zeros may follow the signature. */
bool zrtp_good_signature(const struct zrtp *z, const struct zrtp_live *live,
                         const uint8_t sashash[CPH_ZRTP_SASHASH], const char type[4],
                         struct cph_span sig, struct cph_zrtp_signed *by)
{
    const struct cph_zrtp_signer *signer = z->call->cfg.signer;

    memset(by, 0, sizeof *by);
    return sig.n > 0 && live->committed.mode == CPH_ZRTP_DH && signer && signer->verify &&
           signer->verify(signer->ctx, sashash, type, sig, by) == CPH_OK;
}

static void take_confirm(const struct zrtp *z, const struct zrtp_confirm *c, struct zrtp_live *next)
{
    uint32_t own = own_cache(z, next);

    next->peer_flags = c->flags;
    /* RFC 6189 7.3.1 MUST: with E, A counts as not set */
    if (c->flags & ZRTP_FLAG_E)
        next->peer_flags &= ~(unsigned)ZRTP_FLAG_A;
    next->enroll_asked = (c->flags & ZRTP_FLAG_E) && next->peer_hello.m;
    next->cache_s = own < c->cache_s ? own : c->cache_s; /* 4.9: the smaller one */
    next->has_signature = zrtp_good_signature(z, next, next->keys.sashash, c->sig_type, c->sig,
                                              &next->by);
    next->signed_by_peer = next->has_signature && next->by.trusted;
}

/* CPH_OK and *fine false: it was a failure, and next is on its way to the end. */
static cph_err open_confirm(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next,
                            bool *fine)
{
    enum zrtp_role by = next->initiator ? ZRTP_RESPONDER : ZRTP_INITIATOR;
    uint8_t clear[ZRTP_MESSAGE];
    struct zrtp_confirm c;
    cph_err err = zrtp_open(next->alg[ZRTP_K_HASH], &next->keys, by, &in->msg->u.sealed, clear);

    *fine = false;
    if (err == CPH_E_AUTH) {
        /* One may be anybody's; when they go on coming it is the keys that differ. */
        *next = z->live;
        if (++next->bad_macs < ZRTP_BAD_MACS)
            return CPH_OK;
        return zrtp_fail(next, CPH_E_AUTH, ZRTP_E_CONFIRM_MAC,
                         "the peer came to other keys: somebody may be in the middle", in->now);
    }
    CPH_TRY(err);
    err = zrtp_confirm_parse((struct cph_span){ clear, in->msg->u.sealed.cipher.n }, &c);
    if (err == CPH_OK) {
        err = check_chain(next, c.h0);
        *fine = err == CPH_OK;
        if (err == CPH_E_AUTH) /* RFC 6189 8.1.1 MUST: a security exception */
            err = zrtp_fail(next, err, ZRTP_E_CONFIRM_MAC,
                            "a message of the peer was changed: somebody may be in the middle",
                            in->now);
    } else {
        err = zrtp_fail(next, err, ZRTP_E_MALFORMED, "the peer's Confirm is malformed", in->now);
    }
    if (*fine)
        take_confirm(z, &c, next);
    cph_wipe(clear, sizeof clear);
    cph_wipe(&c, sizeof c);
    return err;
}

static void give_key(struct zrtp_live *next, enum cph_keying_dir dir)
{
    next->has_keys |= 1U << dir;
    next->generation[dir]++;
}

cph_err zrtp_on_confirm1(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    bool fine;

    if (z->live.state == ZRTP_COMMITTED) {
        if (z->live.committed.mode == CPH_ZRTP_DH)
            return CPH_E_STATE;
        CPH_TRY(zrtp_derive_undh(z, next));
    }
    CPH_TRY(open_confirm(z, in, next, &fine));
    if (!fine)
        return CPH_OK;
    CPH_TRY(zrtp_write_confirm(z, z->peer, next));
    /* RFC 6189 4 MUST: SRTP may be received from now on, and sent after Conf2ACK */
    give_key(next, CPH_KEYING_RECV);
    next->due &= ~(zrtp_bit(ZRTP_COMMIT) | zrtp_bit(ZRTP_DHPART2));
    zrtp_enter(next, ZRTP_CONFIRMING);
    zrtp_retry_from(next, ZRTP_CONFIRM2, in->now);
    return CPH_OK;
}

/* RFC 6189 4.6.1 MUST: the responder updates what it retains now, the initiator at the Conf2ACK. */
static cph_err secured(struct zrtp_live *next)
{
    next->effects |= ZRTP_DO_SESSION;
    zrtp_enter(next, ZRTP_SECURE);
    return CPH_OK;
}

cph_err zrtp_on_confirm2(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    bool fine;

    CPH_TRY(open_confirm(z, in, next, &fine));
    if (!fine)
        return CPH_OK;
    give_key(next, CPH_KEYING_RECV);
    give_key(next, CPH_KEYING_SEND);
    next->due &= ~zrtp_bit(ZRTP_CONFIRM1);
    next->due |= zrtp_bit(ZRTP_CONF2ACK);
    return secured(next);
}

/* Or the peer's SRTP, which is as good (4.6). */
cph_err zrtp_on_conf2ack(const struct zrtp *z, const struct zrtp_in *in, struct zrtp_live *next)
{
    (void)z;
    (void)in;
    next->due &= ~zrtp_bit(ZRTP_CONFIRM2);
    give_key(next, CPH_KEYING_SEND);
    return secured(next);
}

/* Our Confirm1 was lost. */
cph_err zrtp_on_dhpart2_again(const struct zrtp *z, const struct zrtp_in *in,
                              struct zrtp_live *next)
{
    if (z->live.committed.mode != CPH_ZRTP_DH ||
        !cph_span_eq(in->msg->bytes, zrtp_text_span(&z->live.dhpart2)))
        return CPH_E_STATE;
    next->due |= zrtp_bit(ZRTP_CONFIRM1);
    next->at = in->now + CPH_SEC(ZRTP_RESPOND_S);
    return CPH_OK;
}

/* Our Conf2ACK was lost. */
cph_err zrtp_on_confirm2_again(const struct zrtp *z, const struct zrtp_in *in,
                               struct zrtp_live *next)
{
    (void)in;
    if (z->live.initiator)
        return CPH_E_STATE;
    next->due |= zrtp_bit(ZRTP_CONF2ACK);
    return CPH_OK;
}

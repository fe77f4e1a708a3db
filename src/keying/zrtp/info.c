/* What a stream tells its user, and what the user tells it. */
#include "zrtp_int.h"

#include <string.h>

#include "../keying_int.h"
#include "ciphony/base_text.h"

static const struct zrtp *of(const struct cph_keying *k)
{
    return k && k->method == &cph_keying_zrtp ? (const struct zrtp *)k : NULL;
}

static struct zrtp *of_mutable(struct cph_keying *k)
{
    return k && k->method == &cph_keying_zrtp ? (struct zrtp *)k : NULL;
}

/* ---- telling --------------------------------------------------------------------------------- */

static const char *name(const struct zrtp_alg *a)
{
    return a ? a->name : NULL;
}

static void tell_types(const struct zrtp *z, struct cph_zrtp_info *out)
{
    const struct zrtp_alg *const *alg = z->live.alg;

    out->hash = name(alg[ZRTP_K_HASH]);
    out->cipher = name(alg[ZRTP_K_CIPHER]);
    out->tag = name(alg[ZRTP_K_TAG]);
    out->agreement = name(alg[ZRTP_K_AGREEMENT]);
    out->sas_type = name(alg[ZRTP_K_SAS]);
}

/* 5.1.6; with a trusted man in the middle, by the rendering of the far side (7.3). */
static void tell_sas(const struct zrtp *z, struct cph_zrtp_info *out)
{
    const struct zrtp_alg *sas = z->peer->alg[ZRTP_K_SAS];
    const struct zrtp_alg *far = zrtp_alg(ZRTP_K_SAS, z->live.relayed_id);

    if (z->peer->session.n == 0 || !sas)
        return;
    sas = far && !z->live.relayed ? far : sas;
    memcpy(out->sashash, z->peer->sashash, sizeof out->sashash);
    (void)!cph_zrtp_sas_text(sas->name, z->peer->sashash, out->sas);
    if (!z->live.relayed || !far)
        return;
    (void)!cph_zrtp_sas_text(far->name, z->live.relayed_sashash, out->relayed_sas);
    out->relay_signed = z->live.relay_signed;
    if (out->relay_signed)
        out->relay_by = z->live.relay_by;
}

static void tell_peer(const struct zrtp *z, struct cph_zrtp_info *out)
{
    const struct zrtp_peer *p = z->peer;
    const struct zrtp_live *l = &z->live;

    memcpy(out->peer_zid, l->peer_hello.zid, sizeof out->peer_zid);
    for (size_t i = 0; i < sizeof l->peer_hello.client; i++) {
        uint8_t c = l->peer_hello.client[i];

        out->peer_client[i] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    tell_sas(z, out);
    out->known = p->kept_now;
    out->continuity = p->continuity;
    out->mismatch = p->mismatch || (l->mismatch && out->secure);
    out->strange = zrtp_peer_is_strange(z->call, p);
    out->aux_mismatch = p->aux_mismatch;
    out->unread = p->unread && p->mismatch;
    out->verified = zrtp_peer_is_verified(z->call, p);
    out->other_device = p->other_device && !p->compared && !out->verified;
    if (p->continuity && p->kept.verified && !zrtp_peer_is_named(z->call, p))
        memcpy(out->known_as, p->kept.peer[0], sizeof out->known_as);
    out->peer_verified = p->continuity && p->peer_verified;
    out->compared = p->compared;
    out->refuted = p->refuted;
    out->signed_by_peer = p->signed_by_peer;
    out->has_signature = p->has_signature;
    out->by = p->by;
    out->peer_discloses = l->peer_flags & ZRTP_FLAG_D;
    out->peer_allows_clear = l->peer_flags & ZRTP_FLAG_A;
    out->peer_mitm = l->peer_hello.m;
    out->trusted_mitm = l->peer_hello.m && p->pbx_matched;
    out->enroll_asked = l->enroll_asked;
    out->enrolled = p->enrolled;
}

static bool is_secure(const struct zrtp *z)
{
    return z->live.state == ZRTP_SECURE || z->live.state == ZRTP_RELAYING;
}

cph_err cph_zrtp_info(const struct cph_keying *k, struct cph_zrtp_info *out)
{
    const struct zrtp *z = of(k);

    if (!z)
        return CPH_E_ARGUMENT;
    memset(out, 0, sizeof *out);
    out->secure = is_secure(z);
    out->clear = z->live.state == ZRTP_CLEAR || z->live.state == ZRTP_CLEARING;
    out->clearing = z->live.state == ZRTP_CLEARING;
    out->initiator = z->live.initiator;
    out->mode = z->live.committed.mode;
    out->hash_bound = z->bound;
    out->error = z->live.error;
    tell_types(z, out);
    out->has_peer = z->live.has_peer && z->peer;
    if (out->has_peer)
        tell_peer(z, out);
    return CPH_OK;
}

/* ---- the SAS was compared (7.1) -------------------------------------------------------------- */

cph_err cph_zrtp_compared(struct cph_keying *k, bool equal)
{
    struct zrtp *z = of_mutable(k);
    struct zrtp_peer *p;

    if (!z)
        return CPH_E_ARGUMENT;
    p = z->peer;
    if (!p || p->session.n == 0)
        return CPH_E_STATE;
    p->compared = equal;
    p->refuted = !equal;
    z->call->moves++;
    if (equal) {
        zrtp_peer_judge(z->call, p, true);
        return zrtp_peer_roll(z->call, p);
    }
    /* 7.1: what this call made is shared with somebody in the middle; what he did not have in it is
     * still the peer's, and tells of him the next time too */
    cph_secret_wipe(&p->pending);
    if (p->held)
        return CPH_OK;
    zrtp_peer_judge(z->call, p, false);
    cph_secret_wipe(&p->kept.rs1);
    cph_secret_wipe(&p->kept.rs2);
    return zrtp_peer_put(z->call, p);
}

/* ---- enrolment with a trusted man in the middle (7.3.1) -------------------------------------- */

/* RFC 6189 7.3.1: pbxsecret = KDF(ZRTPSess, "Trusted MiTM key", ZIDi || ZIDr, 256) */
static cph_err enroll(struct zrtp *z)
{
    struct zrtp_peer *p = z->peer;

    CPH_TRY(zrtp_kdf(p->alg[ZRTP_K_HASH], cph_secret_span(&p->session), "Trusted MiTM key",
                     (struct cph_span){ p->zids, sizeof p->zids }, 256, &p->kept.pbx));
    p->enrolled = true;
    return zrtp_peer_put(z->call, p);
}

/* RFC 6189 7.3.1 MUST NOT: nothing is stored unless the user says so. The man in the middle itself
 * calls this too, for its side. */
cph_err cph_zrtp_enroll(struct cph_keying *k)
{
    struct zrtp *z = of_mutable(k);
    const struct cph_zrtp_cfg *cfg = z ? &z->call->cfg : NULL;

    if (!z)
        return CPH_E_ARGUMENT;
    if (!is_secure(z) || z->peer->session.n == 0 || !cfg->store ||
        !(z->live.enroll_asked || (cfg->mitm && cfg->enroll)))
        return CPH_E_STATE;
    return enroll(z);
}

cph_err cph_zrtp_relay(struct cph_keying *k, const struct cph_keying *other, cph_time now)
{
    struct zrtp *z = of_mutable(k);
    struct zrtp_in in = { .ev = ZRTP_EV_DO_RELAY, .now = now, .other = of(other) };

    if (!z || (other && !in.other))
        return CPH_E_ARGUMENT;
    return zrtp_step(z, &in);
}

/* ---- clear and back, and the rest ------------------------------------------------------------ */

cph_err cph_zrtp_clear(struct cph_keying *k, cph_time now)
{
    struct zrtp *z = of_mutable(k);
    struct zrtp_in in = { .ev = ZRTP_EV_DO_CLEAR, .now = now };

    return z ? zrtp_step(z, &in) : CPH_E_ARGUMENT;
}

cph_err cph_zrtp_secure(struct cph_keying *k, cph_time now)
{
    struct zrtp *z = of_mutable(k);
    struct zrtp_in in = { .ev = ZRTP_EV_DO_SECURE, .now = now };

    return z ? zrtp_step(z, &in) : CPH_E_ARGUMENT;
}

void cph_zrtp_media(struct cph_keying *k, cph_time now)
{
    struct zrtp *z = of_mutable(k);
    struct zrtp_in in = { .ev = ZRTP_EV_MEDIA, .now = now };

    if (z)
        (void)!zrtp_step(z, &in);
}

cph_err cph_zrtp_srtps(struct cph_keying *k, struct cph_span key, struct cph_span salt)
{
    struct zrtp *z = of_mutable(k);

    if (!z)
        return CPH_E_ARGUMENT;
    if (z->live.state > ZRTP_ACKED)
        return CPH_E_STATE;
    if (key.n == 0 || salt.n > 64)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_secret_set(&z->srtps_key, key));
    return cph_secret_set(&z->srtps_salt, salt);
}

cph_err cph_zrtp_export(const struct cph_keying *k, struct cph_secret *out)
{
    const struct zrtp *z = of(k);

    if (!z)
        return CPH_E_ARGUMENT;
    if (!is_secure(z) || z->live.committed.mode == CPH_ZRTP_MULTISTREAM || z->peer->exported.n == 0)
        return CPH_E_STATE;
    *out = z->peer->exported;
    return CPH_OK;
}

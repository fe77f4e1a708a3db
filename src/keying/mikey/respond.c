/*
 * The responder: reads an initiator's message, from the cheap checks to the dear ones; answer.c
 * writes the answer. RFC 3830 5.3
 *
 *   form -> bundle -> mode -> identities -> time and replay -> list of protocols -> policies, group
 *        -> MAC or signature -> envelope -> remembered as seen -> Diffie-Hellman
 */
#include "respond_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_cipher.h"

static void respond_wipe(struct respond *r)
{
    cph_key_free(r->peer);
    cph_wipe(r, sizeof *r);
}

/* ---- cheap checks ---------------------------------------------------------------------------- */

static cph_err mode_of(struct respond *r, const struct mikey_csb *old)
{
    bool open = r->msg.type == MIKEY_PSK_I && r->msg.mac_alg == MIKEY_MAC_NULL;
    enum cph_mikey_mode mode;

    r->error = MIKEY_E_DT;
    switch (r->msg.type) {
    case MIKEY_PSK_I:
        mode = open ? CPH_MIKEY_NULL : CPH_MIKEY_PSK;
        break;
    case MIKEY_PK_I:
        mode = CPH_MIKEY_RSA;
        break;
    case MIKEY_DH_I:
        mode = CPH_MIKEY_DHSIGN;
        break;
    case MIKEY_DHHMAC_I:
        mode = CPH_MIKEY_DHHMAC;
        break;
    case MIKEY_RSAR_I:
        mode = CPH_MIKEY_RSA_R;
        break;
    case MIKEY_MQV_I:
        mode = CPH_MIKEY_ECMQV;
        break;
    default:
        return CPH_E_UNSUPPORTED; /* no message of an initiator */
    }
    /* RFC 3830 4.5: the cached envelope key makes a PSK message of the update */
    if (mode == CPH_MIKEY_PSK && r->old && r->old->envelope.n > 0)
        mode = r->old->mode;
    else if (!(r->m->accept & 1U << mode))
        return CPH_E_POLICY;
    /* what had protection does not lose it to a later message */
    if (mode == CPH_MIKEY_NULL && old && old->mode != CPH_MIKEY_NULL)
        return CPH_E_POLICY;
    /* 4.2.4 SHOULD NOT: without a MAC only where nothing is protected at all */
    if (open && r->msg.encr != MIKEY_ENCR_NULL)
        return CPH_E_POLICY;
    if (!open && r->msg.type == MIKEY_PSK_I && r->msg.encr == MIKEY_ENCR_NULL &&
        r->msg.encrypted.n > 0)
        return CPH_E_POLICY; /* keys in clear under a MAC */
    if (r->old && mode != r->old->mode)
        return CPH_E_POLICY; /* an update stays in its mode */
    r->csb.mode = mode;
    return CPH_OK;
}

/* 4.5 MUST: a RAND begins a bundle, and an update has none. */
static cph_err bundle_of(struct respond *r, const struct mikey_csb *old)
{
    const struct mikey_msg *msg = &r->msg;
    bool has_rand = msg->has & 1U << MIKEY_RAND;

    r->error = MIKEY_E_OTHER;
    if (has_rand || msg->type == MIKEY_RSAR_I) {
        r->csb.b.csb_id = msg->csb_id;
        if (has_rand && msg->rand.n < MIKEY_RAND_MIN)
            return CPH_E_POLICY;
        r->gave_rand = has_rand;
        if (has_rand)
            memcpy(r->csb.b.rand, msg->rand.p, msg->rand.n);
        r->csb.b.rand_n = (uint8_t)msg->rand.n;
        return CPH_OK;
    }
    if (!old || old->b.csb_id != msg->csb_id)
        return CPH_E_STATE;
    r->old = old;
    r->csb = *old;
    r->csb.updates++;
    return CPH_OK;
}

/* The crypto sessions of the message, with our stream filled in. */
static cph_err sessions_of(struct respond *r)
{
    const struct mikey_msg *msg = &r->msg;
    unsigned ours;

    r->error = MIKEY_E_OTHER;
    if (r->old && msg->n_cs < r->old->n_cs)
        return CPH_E_UNSUPPORTED; /* a stream of ours would lose its keys */
    /* RFC 4567 7.1: two for each stream; one alone is met, and serves both ways */
    if (msg->n_cs != 1 && msg->n_cs < 2 * r->around->line + 2)
        return CPH_E_UNSUPPORTED;
    r->csb.n_cs = msg->n_cs;
    memcpy(r->csb.cs, msg->cs, sizeof msg->cs);
    ours = 2 * r->around->line + (r->csb.we_began ? 0 : 1);
    if (msg->n_cs > 1 && r->around->ssrc != 0 && r->csb.cs[ours].ssrc == 0) {
        r->csb.cs[ours].ssrc = r->around->ssrc;
        r->csb.cs[ours].roc = r->around->roc;
    }
    return CPH_OK;
}

static cph_err fresh(struct respond *r, struct mikey_mark *mark)
{
    struct cph_span who = r->id[0].n > 0 ? r->id[0] : cph_span_of(r->m->peer_id);

    r->error = MIKEY_E_TS;
    /* of a COUNTER nothing is known after a start, so that what was said before would be taken once
     * more: it is for those who agreed on it */
    if (r->msg.ts_type == MIKEY_TS_COUNTER && !r->m->cfg.counter)
        return CPH_E_POLICY;
    CPH_TRY(mikey_mark_of(r->msg.all, r->msg.ts_type, r->msg.ts, who, mark));
    return mikey_replay_check(&r->m->replay, mark, mikey_ntp(cph_wall(r->m->cfg.env)));
}

static cph_err identities(struct respond *r)
{
    mikey_ids(&r->msg, r->id);
    r->error = MIKEY_E_ID;
    CPH_TRY(mikey_we_are(r->m, r->id[1]));
    CPH_TRY(mikey_peer_is(r->m, r->id[0]));
    CPH_TRY(mikey_still_is(r->old, r->id[0]));
    if (r->id[0].n == 0)
        r->id[0] = cph_span_of(r->m->peer_id);
    if (r->id[0].n == 0 && r->old)
        r->id[0] = cph_span_of(r->old->peer_id);
    /* RFC 3830 3.3, RFC 4650 3 MUST: the answer of a DH mode names the initiator */
    if (r->id[0].n == 0 && (r->msg.type == MIKEY_DH_I || r->msg.type == MIKEY_DHHMAC_I))
        return CPH_E_POLICY;
    return cph_span_cstr(r->id[0], r->csb.peer_id, CPH_MIKEY_ID) == CPH_OK ? CPH_OK : CPH_E_POLICY;
}

/* RFC 4567 7 MUST: the list under protection is the one of the description, or somebody took
 * something out. Without a list (an older peer) nothing is bound, and that is told. */
static cph_err protocols(struct respond *r)
{
    bool found;
    struct cph_span list = mikey_ext_of(&r->msg, MIKEY_EXT_SDP_IDS, &found);

    r->error = MIKEY_E_OTHER;
    if (found && !cph_span_eq(list, r->around->list))
        return CPH_E_POLICY;
    r->csb.list_bound = found && r->csb.mode != CPH_MIKEY_NULL;
    return CPH_OK;
}

static bool wanted(const struct mikey_around *around, const struct mikey_policy *p)
{
    if ((p->unencrypted_rtp || p->unencrypted_rtcp) && !around->allow_unencrypted)
        return false;
    if (p->unauthenticated_rtp && !around->allow_unauthenticated)
        return false;
    for (unsigned i = 0; around->suites[i]; i++)
        if (around->suites[i] == p->suite)
            return true;
    return false;
}

/* RSA-R: the initiator says all it can, and we take what we like best. RFC 4738 3.5 MUST */
static cph_err choose_policy(struct respond *r)
{
    struct mikey_policy chosen = { 0 };

    if (r->csb.n_policies == 0) { /* it left the choice to us */
        if (!r->around->suites[0])
            return CPH_E_CONFIG;
        chosen.suite = r->around->suites[0];
    }
    for (unsigned s = 0; r->around->suites[s] && !chosen.suite; s++)
        for (unsigned i = 0; i < r->csb.n_policies && !chosen.suite; i++)
            if (r->csb.policy[i].suite == r->around->suites[s] &&
                wanted(r->around, &r->csb.policy[i]))
                chosen = r->csb.policy[i];
    if (!chosen.suite)
        return CPH_E_UNSUPPORTED;
    r->csb.policy[0] = chosen;
    r->csb.n_policies = 1;
    for (unsigned i = 0; i < r->csb.n_cs; i++)
        r->csb.cs[i].policy = chosen.no;
    return CPH_OK;
}

/* Sessions that name a policy nobody sent have SRTP's defaults. 6.10.1 */
static cph_err default_policies(struct respond *r)
{
    for (unsigned cs = 1; cs <= r->csb.n_cs; cs++) {
        if (mikey_policy_of(&r->csb, cs))
            continue;
        if (r->csb.n_policies == MIKEY_MAX_SP)
            return CPH_E_LIMIT;
        mikey_policy_default(r->csb.cs[cs - 1].policy, &r->csb.policy[r->csb.n_policies++]);
    }
    return CPH_OK;
}

static cph_err policies(struct respond *r)
{
    bool any = r->msg.type == MIKEY_RSAR_I;
    unsigned first = 2 * r->around->line + 1, last = first + 1;
    cph_err err;

    r->error = MIKEY_E_SPPAR;
    if (r->msg.n_sp > 0)
        r->csb.n_policies = 0; /* those of an update replace what was */
    for (unsigned i = 0; i < r->msg.n_sp; i++) {
        err = mikey_policy_read(&r->msg.sp[i], &r->csb.policy[r->csb.n_policies]);
        if (err == CPH_OK)
            r->csb.n_policies++;
        else if (err != CPH_E_UNSUPPORTED || !any)
            return err; /* of RSA-R's wish list we need not know all */
    }
    if (any && r->msg.n_sp > 0 && r->csb.n_policies == 0)
        return CPH_E_UNSUPPORTED;
    if (any)
        return choose_policy(r);
    CPH_TRY(default_policies(r));
    if (r->csb.n_cs == 1)
        first = last = 1;
    for (unsigned cs = first; cs <= last; cs++)
        if (!wanted(r->around, mikey_policy_of(&r->csb, cs)))
            return CPH_E_UNSUPPORTED;
    return CPH_OK;
}

static cph_err group_of(struct respond *r)
{
    r->error = MIKEY_E_DH;
    if (r->msg.n_dh == 0)
        return r->old || (r->msg.type != MIKEY_DH_I && r->msg.type != MIKEY_DHHMAC_I)
                   ? CPH_OK
                   : CPH_E_MALFORMED;
    if (r->msg.n_dh > 1 || !mikey_group_of(r->msg.dh[0].group, &r->group))
        return CPH_E_MALFORMED;
    return mikey_group_weak(r->group) && !r->m->cfg.weak_groups ? CPH_E_POLICY : CPH_OK;
}

/* ---- proofs ---------------------------------------------------------------------------------- */

static cph_err prove_psk(struct respond *r)
{
    char none[CPH_MIKEY_ID];

    if (r->csb.mode != CPH_MIKEY_NULL) {
        r->key = r->old && r->old->envelope.n > 0 ? r->old->envelope : r->m->psk;
        CPH_TRY(mikey_mac_good(&r->key, &r->csb.b, r->msg.covered, NULL, 0, r->msg.mac));
        if (r->csb.mode == CPH_MIKEY_PSK)
            r->csb.auth = CPH_KEYING_AUTH_PSK;
    }
    r->error = MIKEY_E_OTHER;
    if (r->msg.type == MIKEY_PSK_I)
        return mikey_take_keys(&r->msg, &r->key, r->msg.ts, false, none, &r->csb);
    return CPH_OK;
}

/* 6.8: which of our certificates was meant */
static cph_err meant_us(struct respond *r)
{
    static const enum cph_digest_alg alg[] = { [MIKEY_HASH_SHA1] = CPH_DIGEST_SHA1,
                                               [MIKEY_HASH_MD5] = CPH_DIGEST_MD5,
                                               [MIKEY_HASH_SHA256] = CPH_DIGEST_SHA256 };
    uint8_t hash[CPH_DIGEST_MAX];

    if (!(r->msg.has & 1U << MIKEY_CHASH))
        return CPH_OK;
    r->error = MIKEY_E_CERT;
    CPH_TRY(cph_digest(alg[r->msg.hash], cph_cert_der(r->m->cert), hash));
    return cph_span_eq((struct cph_span){ hash, r->msg.chash.n }, r->msg.chash) ? CPH_OK
                                                                                : CPH_E_CERT;
}

static cph_err kemac_good(const struct mikey_msg *msg, const struct cph_secret *key,
                          const struct mikey_bundle *b)
{
    uint8_t head[MIKEY_MSG_MAX];

    /* 4.2.3: a wrapped key proves itself */
    if (msg->mac_alg == MIKEY_MAC_NULL)
        return msg->encr == MIKEY_ENCR_AES_KW ? CPH_OK : CPH_E_POLICY;
    memcpy(head, msg->kemac.p, msg->kemac.n);
    head[0] = MIKEY_LAST; /* 6.2: while its "next payload" was still zero */
    return mikey_mac_good(key, b, (struct cph_span){ head, msg->kemac.n }, NULL, 0, msg->mac);
}

static cph_err prove_rsa(struct respond *r)
{
    char inside[CPH_MIKEY_ID];

    CPH_TRY(meant_us(r));
    CPH_TRY(mikey_signed_by(r->m, &r->msg, r->id[0], NULL, &r->csb, &r->peer, &r->error));
    r->error = MIKEY_E_AUTH;
    CPH_TRY(mikey_open_envelope(r->m, r->msg.envelope, &r->key));
    memset(&r->csb.envelope, 0, sizeof r->csb.envelope);
    if (r->msg.cache != MIKEY_NO_CACHE) /* 6.3 MUST NOT: unless we were told to keep it */
        r->csb.envelope = r->key;
    if (!(r->msg.has & 1U << MIKEY_KEMAC))
        return r->old ? CPH_OK : CPH_E_MALFORMED;
    CPH_TRY(kemac_good(&r->msg, &r->key, &r->csb.b));
    CPH_TRY(mikey_take_keys(&r->msg, &r->key, r->msg.ts, true, inside, &r->csb));
    /* 3.2 MUST: the identity inside is the one we take the message to be of, or somebody put his
     * signature under another's keys */
    if (r->id[0].n > 0 && !cph_span_is(r->id[0], inside))
        return CPH_E_AUTH;
    memcpy(r->csb.peer_id, inside, sizeof inside);
    return CPH_OK;
}

static cph_err prove_mqv(struct respond *r)
{
    char none[CPH_MIKEY_ID];

    if (r->msg.mac_alg != MIKEY_MAC_SHA1 || r->msg.encr == MIKEY_ENCR_NULL)
        return CPH_E_POLICY;
    CPH_TRY(mikey_mqv_by(r->m, &r->msg, r->id[0], &r->csb, &r->key, &r->error));
    r->csb.envelope = r->key;
    r->error = MIKEY_E_OTHER;
    return mikey_take_keys(&r->msg, &r->key, r->msg.ts, false, none, &r->csb);
}

static cph_err prove(struct respond *r)
{
    r->error = MIKEY_E_AUTH;
    switch (r->msg.type) {
    case MIKEY_PK_I:
        return prove_rsa(r);
    case MIKEY_MQV_I:
        return prove_mqv(r);
    case MIKEY_DH_I:
    case MIKEY_RSAR_I:
        return mikey_signed_by(r->m, &r->msg, r->id[0], NULL, &r->csb, &r->peer, &r->error);
    case MIKEY_DHHMAC_I:
        CPH_TRY(r->msg.mac_alg == MIKEY_MAC_SHA1 ? CPH_OK : CPH_E_POLICY);
        CPH_TRY(prove_psk(r));
        r->csb.auth = CPH_KEYING_AUTH_PSK;
        return CPH_OK;
    default:
        return prove_psk(r);
    }
}

/* Do the keys fit what SRTP will want of them? */
static cph_err usable(struct respond *r)
{
    unsigned first = r->csb.n_cs == 1 ? 1 : 2 * r->around->line + 1;

    r->error = MIKEY_E_OTHER;
    for (unsigned i = 0; i < r->csb.n_keys; i++)
        for (unsigned cs = first; cs <= first + (r->csb.n_cs > 1); cs++) {
            CPH_SRTP_POLICY_SCOPED p = { 0 };

            CPH_TRY(mikey_master(&r->csb, cs, i, &p));
        }
    return CPH_OK;
}

/* A set of the initiator's that we may take; or one of ours, where it asked for that. */
static cph_err settle_ekt(struct respond *r)
{
    CPH_EKT_PARAMS_SCOPED set = { 0 };
    cph_err err;

    if (mikey_ekt_goes_back(r->msg.type)) {
        r->gives_ekt = r->around->ekt && mikey_ekt_asked(&r->msg, r->around->ekt) &&
                       mikey_ekt_fits(r->around->ekt, &r->csb);
        if (r->gives_ekt) {
            r->csb.ekt = true;
            r->csb.set = *r->around->ekt;
        }
        return CPH_OK;
    }
    err = r->around->allow_ekt ? mikey_ekt_take(&r->msg, &r->csb, &set) : CPH_E_NOTFOUND;
    if (err == CPH_OK) {
        r->csb.ekt = r->took_ekt = true;
        r->csb.set = set;
    }
    return err == CPH_E_NOTFOUND || err == CPH_E_UNSUPPORTED ? CPH_OK : err;
}

static cph_err respond(struct respond *r, const struct mikey_csb *old, struct mikey_text *answer)
{
    struct mikey_mark mark;

    CPH_TRY(bundle_of(r, old));
    CPH_TRY(mode_of(r, old));
    CPH_TRY(sessions_of(r));
    CPH_TRY(identities(r));
    CPH_TRY(fresh(r, &mark));
    CPH_TRY(protocols(r));
    CPH_TRY(policies(r));
    CPH_TRY(group_of(r));
    CPH_TRY(prove(r));
    /* 5.3: what is authentic is remembered, whatever becomes of it, and nothing else is */
    if (r->csb.mode != CPH_MIKEY_NULL)
        CPH_TRY(mikey_replay_add(&r->m->replay, &mark, mikey_ntp(cph_wall(r->m->cfg.env))));
    CPH_TRY(mikey_make_keys(r));
    CPH_TRY(usable(r));
    CPH_TRY(settle_ekt(r));
    return mikey_write_answer(r, answer);
}

cph_err mikey_respond(struct cph_mikey *m, const struct mikey_csb *old, struct cph_span msg,
                      const struct mikey_around *around, struct mikey_csb *out,
                      struct mikey_text *answer, enum mikey_error *error)
{
    __attribute__((cleanup(respond_wipe))) struct respond r = { .m = m, .around = around };
    cph_err err = mikey_parse(msg, &r.msg, &r.error);

    if (err == CPH_OK)
        err = respond(&r, old, answer);
    *error = r.error;
    if (err != CPH_OK)
        return err;
    *out = r.csb;
    return CPH_OK;
}

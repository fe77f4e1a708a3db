/* The initiator reads the answer. */
#include "mikey_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* One answer being read. Holds key material. */
struct finish {
    struct cph_mikey *m;
    const struct mikey_offer *o;
    struct mikey_msg msg;
    struct mikey_csb csb;
    struct cph_span id[2]; /* IDi and IDr: as the answer has them, else as we said them */
    struct cph_key *peer;
};

static void finish_wipe(struct finish *f)
{
    cph_key_free(f->peer);
    cph_wipe(f, sizeof *f);
}

static const enum mikey_type answer_type[MIKEY_TYPES_] = {
    [MIKEY_PSK_I] = MIKEY_PSK_V,       [MIKEY_PK_I] = MIKEY_PK_V,     [MIKEY_DH_I] = MIKEY_DH_R,
    [MIKEY_DHHMAC_I] = MIKEY_DHHMAC_R, [MIKEY_RSAR_I] = MIKEY_RSAR_R, [MIKEY_MQV_I] = MIKEY_MQV_V,
};

/* ---- cheap checks ---------------------------------------------------------------------------- */

static cph_err belongs(const struct finish *f)
{
    /* 5.2 MUST: an answer has the initiator's timestamp, and 6.1 its bundle */
    return f->msg.type == answer_type[f->o->type] && f->msg.csb_id == f->csb.b.csb_id &&
                   f->msg.ts_type == f->o->ts_type && f->msg.ts == f->o->ts
               ? CPH_OK
               : CPH_E_STATE;
}

static cph_err identities(struct finish *f)
{
    struct mikey_id us = mikey_id_of(f->m->id);
    struct cph_span said[2], idr = { 0 };

    mikey_ids(&f->msg, said);
    if (said[0].n > 0 && !cph_span_eq(said[0], us.data))
        return CPH_E_POLICY; /* an answer to somebody else */
    CPH_TRY(mikey_peer_is(f->m, said[1]));
    CPH_TRY(mikey_still_is(f->o->update ? &f->o->next : NULL, said[1]));
    if (us.data.n > 0) /* what we said, if we said it */
        idr = cph_span_of(f->m->peer_id[0] ? f->m->peer_id : f->o->next.peer_id);
    f->id[0] = us.data;
    f->id[1] = said[1].n > 0 ? said[1] : idr;
    return cph_span_cstr(f->id[1], f->csb.peer_id, CPH_MIKEY_ID) == CPH_OK ? CPH_OK : CPH_E_POLICY;
}

/* The responder may fill in the SSRCs of its own streams, and choose among RSA-R's policies; all
 * else stays. */
static cph_err sessions(struct finish *f)
{
    const struct mikey_cs *was = f->csb.cs, *is = f->msg.cs;

    if (f->msg.n_cs != f->csb.n_cs)
        return CPH_E_POLICY;
    for (unsigned i = 0; i < f->csb.n_cs; i++) {
        if (was[i].ssrc != 0 && (was[i].ssrc != is[i].ssrc || was[i].roc != is[i].roc))
            return CPH_E_POLICY;
        if (was[i].policy != is[i].policy && f->msg.type != MIKEY_RSAR_R)
            return CPH_E_POLICY;
    }
    memcpy(f->csb.cs, f->msg.cs, sizeof f->csb.cs);
    return CPH_OK;
}

/* RFC 4738 3.7 MUST: one of those we offered */
static cph_err chosen_policy(struct finish *f)
{
    struct mikey_policy p;

    if (f->msg.n_sp != 1)
        return CPH_E_POLICY;
    CPH_TRY(mikey_policy_read(&f->msg.sp[0], &p));
    for (unsigned i = 0; i < f->csb.n_policies; i++) {
        const struct mikey_policy *ours = &f->csb.policy[i];

        if (ours->suite == p.suite && p.kdr == 0 && p.rcc_rate == 0 && !p.unencrypted_rtp &&
            !p.unencrypted_rtcp && !p.unauthenticated_rtp) {
            f->csb.policy[0] = p;
            f->csb.n_policies = 1;
            return mikey_policy_of(&f->csb, 1) && mikey_policy_of(&f->csb, f->csb.n_cs)
                       ? CPH_OK
                       : CPH_E_POLICY;
        }
    }
    return CPH_E_POLICY;
}

/* RFC 4738 3.6 MUST: the RAND is in one of the two messages, ours; 3.2: a CSB ID of the responder's
 * is for groups, and we asked for none */
static cph_err rsar_form(struct finish *f)
{
    bool group;

    (void)mikey_ext_of(&f->msg, MIKEY_EXT_CSB_ID, &group);
    if (group || (f->msg.has & 1U << MIKEY_RAND))
        return CPH_E_POLICY;
    return chosen_policy(f);
}

/* 3.3 MUST: the answer has both values, and ours is the one we sent */
static cph_err dh_form(const struct finish *f)
{
    const struct mikey_dh *r = &f->msg.dh[0], *i = &f->msg.dh[1];
    struct cph_span ours = { f->o->pair.y, 0 };

    if (!f->o->pair.ready)
        return f->msg.n_dh == 0 ? CPH_OK : CPH_E_POLICY;
    ours.n = cph_agree_public_size(f->o->group);
    if (f->msg.n_dh != 2 || !cph_span_eq(i->value, ours) || i->group != r->group ||
        mikey_group_size(r->group) != ours.n)
        return CPH_E_POLICY;
    if (f->msg.dh[1].value.n != ours.n || cph_span_eq(r->value, ours)) /* thrown back */
        return CPH_E_POLICY;
    return CPH_OK;
}

/* ---- proofs ---------------------------------------------------------------------------------- */

static cph_err check_v(struct finish *f)
{
    struct mikey_tail t;

    if (f->csb.mode == CPH_MIKEY_NULL)
        return f->msg.ver_alg == MIKEY_MAC_NULL ? CPH_OK : CPH_E_POLICY;
    if (f->msg.ver_alg != MIKEY_MAC_SHA1)
        return CPH_E_POLICY;
    mikey_tail(&t, f->id[0], f->id[1], f->o->ts_type, f->o->ts);
    CPH_TRY(mikey_mac_good(&f->o->key, &f->csb.b, f->msg.covered, t.part, 3, f->msg.ver));
    if (f->csb.mode == CPH_MIKEY_PSK)
        f->csb.auth = CPH_KEYING_AUTH_PSK;
    return CPH_OK;
}

/* RSA, ECMQV: only the holder of the certificate's key could open the envelope. */
static cph_err know_responder(struct finish *f)
{
    struct cph_fingerprint fp;

    f->csb.auth = CPH_KEYING_AUTH_CERT; /* the one we were given beforehand */
    CPH_TRY(cph_cert_in_time(f->m->peer_cert, cph_wall(f->m->cfg.env)));
    CPH_TRY(cph_cert_fingerprint(f->m->peer_cert, CPH_FP_SHA256, &fp));
    memcpy(f->csb.fingerprint, fp.b, MIKEY_HASH);
    f->csb.has_fingerprint = true;
    cph_cert_validity(f->m->peer_cert, &f->csb.not_before, &f->csb.not_after);
    return CPH_OK;
}

static cph_err signed_answer(struct finish *f, const struct mikey_tail *tail)
{
    struct cph_span idr[2];
    enum mikey_error ignored;

    mikey_ids(&f->msg, idr);
    return mikey_signed_by(f->m, &f->msg, idr[1], tail, &f->csb, &f->peer, &ignored);
}

static cph_err take_dh(struct finish *f)
{
    struct mikey_kv kv = { .type = f->o->mki_n > 0 ? MIKEY_KV_SPI : MIKEY_KV_NULL,
                           .spi = { f->o->mki, f->o->mki_n } };

    if (!f->o->pair.ready)
        return CPH_OK;
    return mikey_dh_key(f->o->group, &f->o->pair, f->msg.dh[0].value, &kv, &f->csb);
}

static cph_err check_dhhmac(struct finish *f)
{
    CPH_TRY(dh_form(f));
    if (f->msg.mac_alg != MIKEY_MAC_SHA1)
        return CPH_E_POLICY;
    CPH_TRY(mikey_mac_good(&f->o->key, &f->csb.b, f->msg.covered, NULL, 0, f->msg.mac));
    f->csb.auth = CPH_KEYING_AUTH_PSK;
    return take_dh(f);
}

static cph_err check_rsar(struct finish *f)
{
    CPH_SECRET_SCOPED envelope = { 0 };
    struct mikey_tail t;
    struct cph_span covered;
    char inside[CPH_MIKEY_ID];
    uint8_t head[MIKEY_MSG_MAX];

    CPH_TRY(rsar_form(f));
    if (f->msg.mac_alg != MIKEY_MAC_SHA1 || f->msg.encr == MIKEY_ENCR_NULL)
        return CPH_E_POLICY;
    mikey_tail(&t, f->id[0], f->id[1], f->o->ts_type, f->o->ts);
    CPH_TRY(signed_answer(f, &t));
    CPH_TRY(mikey_open_envelope(f->m, f->msg.envelope, &envelope));
    memcpy(head, f->msg.kemac.p, f->msg.kemac.n);
    head[0] = MIKEY_LAST;
    covered = (struct cph_span){ head, f->msg.kemac.n };
    CPH_TRY(mikey_mac_good(&envelope, &f->csb.b, covered, NULL, 0, f->msg.mac));
    CPH_TRY(mikey_take_keys(&f->msg, &envelope, f->o->ts, true, inside, &f->csb));
    /* RFC 4738 3.6: IDr, as RFC 3830 3.2 has it for IDi */
    if (f->id[1].n > 0 && !cph_span_is(f->id[1], inside))
        return CPH_E_AUTH;
    if (f->m->peer_id[0] && strcmp(f->m->peer_id, inside) != 0)
        return CPH_E_AUTH;
    memcpy(f->csb.peer_id, inside, sizeof inside);
    if (f->msg.cache != MIKEY_NO_CACHE)
        f->csb.envelope = envelope;
    return f->csb.n_keys > 0 ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err prove(struct finish *f)
{
    switch (f->msg.type) {
    case MIKEY_PK_V:
    case MIKEY_MQV_V:
        CPH_TRY(check_v(f));
        return know_responder(f);
    case MIKEY_DH_R:
        CPH_TRY(dh_form(f));
        CPH_TRY(signed_answer(f, NULL));
        return take_dh(f);
    case MIKEY_DHHMAC_R:
        return check_dhhmac(f);
    case MIKEY_RSAR_R:
        return check_rsar(f);
    default:
        return check_v(f);
    }
}

static cph_err usable(const struct finish *f)
{
    for (unsigned i = 0; i < f->csb.n_keys; i++)
        for (unsigned cs = 1; cs <= f->csb.n_cs; cs++) {
            CPH_SRTP_POLICY_SCOPED p = { 0 };

            CPH_TRY(mikey_master(&f->csb, cs, i, &p));
        }
    return CPH_OK;
}

/* Ours, if it was taken; or the responder's, if we asked for one. It counts on us then. */
static cph_err settle_ekt(struct finish *f)
{
    CPH_EKT_PARAMS_SCOPED set = { 0 };
    cph_err err = CPH_E_NOTFOUND;

    if (f->o->ekt && mikey_ekt_taken(&f->msg, &f->o->set)) {
        set = f->o->set;
        err = CPH_OK;
    } else if (f->o->asks_ekt) {
        err = mikey_ekt_take(&f->msg, &f->csb, &set);
    }
    if (err == CPH_OK) {
        f->csb.ekt = true;
        f->csb.set = set;
    }
    return err == CPH_E_NOTFOUND ? CPH_OK : err;
}

cph_err mikey_finish(struct cph_mikey *m, const struct mikey_offer *offer, struct cph_span msg,
                     struct mikey_csb *out)
{
    __attribute__((cleanup(finish_wipe))) struct finish f = { .m = m, .o = offer };

    f.csb = offer->next;
    CPH_TRY(mikey_parse(msg, &f.msg, NULL));
    if (f.msg.type == MIKEY_ERROR) /* it brings no keys and takes none away: error.c */
        return CPH_E_POLICY;
    CPH_TRY(belongs(&f));
    CPH_TRY(identities(&f));
    CPH_TRY(sessions(&f));
    CPH_TRY(prove(&f));
    CPH_TRY(usable(&f));
    CPH_TRY(settle_ekt(&f));
    f.csb.list_bound = f.csb.mode != CPH_MIKEY_NULL; /* we bound it, and were understood */
    *out = f.csb;
    return CPH_OK;
}

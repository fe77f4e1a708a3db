/*
 * The initiator's message. RFC 3830 3, 4.5; RFC 4650 3; RFC 4738 3.4
 *
 *   PSK, NULL   HDR, T, [RAND], [IDi, [IDr]], EXT, SP, KEMAC
 *   RSA         HDR, T, [RAND], IDi, CERTi, [IDr], EXT, SP, KEMAC, PKE, SIGNi
 *   ECMQV       HDR, T, [RAND], IDi, CERTi, [IDr], EXT, SP, PKE, KEMAC
 *   RSA-R       HDR, T, RAND, IDi, CERTi, [IDr], EXT, SP..., SIGNi
 *   DHSIGN      HDR, T, [RAND], IDi, CERTi, [IDr], EXT, SP, [DHi], SIGNi
 *   DHHMAC      HDR, T, [RAND], IDi, IDr, EXT, SP, [DHi], KEMAC
 *
 * An update has neither RAND nor SP, and RSA, RSA-R and ECMQV are updated by a PSK message
 * under the envelope key.
 */
#include "mikey_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_envelope.h"

enum {
    OUR_CS = 2, /* RFC 4567 7.1 MUST: two numbers for one stream */
    OUR_RAND = 16,
};

static enum mikey_type first_type(enum cph_mikey_mode mode)
{
    switch (mode) {
    case CPH_MIKEY_RSA:
        return MIKEY_PK_I;
    case CPH_MIKEY_RSA_R:
        return MIKEY_RSAR_I;
    case CPH_MIKEY_DHSIGN:
        return MIKEY_DH_I;
    case CPH_MIKEY_DHHMAC:
        return MIKEY_DHHMAC_I;
    case CPH_MIKEY_ECMQV:
        return MIKEY_MQV_I;
    case CPH_MIKEY_NULL:
    case CPH_MIKEY_PSK:
    case CPH_MIKEY_MODES_:
        break;
    }
    return MIKEY_PSK_I;
}

static enum mikey_type update_type(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_RSA || mode == CPH_MIKEY_RSA_R || mode == CPH_MIKEY_ECMQV
               ? MIKEY_PSK_I
               : first_type(mode);
}

/* Can this bundle be updated by what we have, or must a new one take its place? */
static bool can_update(const struct cph_mikey *m, const struct mikey_csb *old)
{
    switch (old->mode) {
    case CPH_MIKEY_NULL:
        return m->cfg.mode == CPH_MIKEY_NULL;
    case CPH_MIKEY_PSK:
        return m->psk.n > 0;
    case CPH_MIKEY_RSA: /* RFC 3830 4.5: under the envelope key, if both keep it */
    case CPH_MIKEY_RSA_R:
    case CPH_MIKEY_ECMQV:
        return old->envelope.n > 0;
    case CPH_MIKEY_DHSIGN:
        return m->key && m->cert && m->id[0];
    case CPH_MIKEY_DHHMAC:
        return m->psk.n > 0 && m->id[0] && (m->peer_id[0] || old->peer_id[0]);
    case CPH_MIKEY_MODES_:
        break;
    }
    return false;
}

static void set_stream(struct mikey_csb *csb, const struct mikey_around *around)
{
    unsigned cs = 2 * around->line + (csb->we_began ? 0 : 1);

    if (around->ssrc != 0 && cs < csb->n_cs) {
        csb->cs[cs].ssrc = around->ssrc;
        csb->cs[cs].roc = around->roc;
    }
}

static cph_err first_bundle(struct cph_mikey *m, const struct mikey_around *around,
                            struct mikey_csb *csb)
{
    uint8_t id[4];
    struct cph_rd rd = cph_rd_open((struct cph_span){ id, sizeof id });

    /* RFC 3830 6.1 EXCEPTION: it is not looked for among those of other streams. A bundle is asked
     * for by the instance that has it alone, and RAND keeps its keys apart from any other's. */
    CPH_TRY(cph_random(m->cfg.env, id, sizeof id));
    csb->b.rand_n = OUR_RAND;
    if (around->rand.n > 0) {
        csb->b.rand_n = (uint8_t)around->rand.n;
        memcpy(csb->b.rand, around->rand.p, around->rand.n);
    } else {
        CPH_TRY(cph_random(m->cfg.env, csb->b.rand, OUR_RAND));
    }
    csb->b.csb_id = cph_rd_u32(&rd);
    csb->mode = m->cfg.mode;
    csb->we_began = true;
    csb->n_cs = OUR_CS;
    for (unsigned i = 0; around->suites[i] && csb->n_policies < MIKEY_MAX_SP; i++)
        csb->policy[csb->n_policies++] = (struct mikey_policy){ .no = (uint8_t)i,
                                                                .suite = around->suites[i] };
    if (csb->n_policies == 0)
        return CPH_E_CONFIG;
    if (csb->mode != CPH_MIKEY_RSA_R)
        csb->n_policies = 1; /* the initiator decides: only RSA-R lets the other choose */
    return CPH_OK;
}

/* The key that protects the message, and the MAC of the answer to it. */
static cph_err message_key(struct cph_mikey *m, struct mikey_offer *o)
{
    if (o->type == MIKEY_PK_I) {
        o->key.n = MIKEY_ENVELOPE;
        CPH_TRY(cph_random(m->cfg.env, o->key.b, MIKEY_ENVELOPE));
        o->next.envelope = o->key;
    } else if (o->update && o->next.envelope.n > 0) {
        o->key = o->next.envelope;
    } else {
        o->key = m->psk;
    }
    return CPH_OK;
}

static cph_err put_head(struct cph_mikey *m, const struct mikey_offer *o,
                        const struct mikey_around *around, struct mikey_out *w)
{
    const struct mikey_csb *csb = &o->next;
    struct mikey_id id = mikey_id_of(m->id);
    struct mikey_id peer = mikey_id_of(m->peer_id[0] ? m->peer_id : csb->peer_id);
    bool certs = o->type == MIKEY_PK_I || o->type == MIKEY_DH_I || o->type == MIKEY_RSAR_I ||
                 o->type == MIKEY_MQV_I;
    uint8_t params[MIKEY_SP_MAX];

    mikey_put_t(w, o->ts_type, o->ts);
    if (!o->update) /* RFC 3830 4.5 MUST: not in an update */
        mikey_put_rand(w, (struct cph_span){ csb->b.rand, csb->b.rand_n });
    if (id.data.n > 0)
        mikey_put_id(w, &id);
    if (certs) /* an update may leave them out; who answers need not have kept them */
        CPH_TRY(mikey_put_certs(m, w));
    if (id.data.n > 0 && peer.data.n > 0) /* alone it would look like ours */
        mikey_put_id(w, &peer);
    /* RFC 4567 4.1.4 MUST: every protocol binds the list of all that were offered */
    mikey_put_ext(w, MIKEY_EXT_SDP_IDS, around->list);
    for (unsigned i = 0; !o->update && i < csb->n_policies; i++) {
        struct cph_wr wr = cph_wr_open(params, sizeof params);

        mikey_policy_write(csb->policy[i].suite, &wr);
        mikey_put_sp(w, &(struct mikey_sp){ csb->policy[i].no, 0, cph_wr_done(&wr) });
    }
    return cph_wr_end(&w->wr);
}

static cph_err put_dh(struct cph_mikey *m, struct mikey_offer *o, bool rekey, struct mikey_out *w)
{
    struct mikey_dh dh = { .group = m->group_no };

    if (!rekey)
        return CPH_OK;
    o->group = m->group;
    CPH_TRY(mikey_pair_take(m, m->group, &o->pair));
    mikey_mki_next(m, &o->next, o->mki);
    o->mki_n = (uint8_t)m->cfg.mki_n;
    dh.kv = (struct mikey_kv){ .type = o->mki_n > 0 ? MIKEY_KV_SPI : MIKEY_KV_NULL,
                               .spi = { o->mki, o->mki_n } };
    dh.value = (struct cph_span){ o->pair.y, cph_agree_public_size(m->group) };
    mikey_put_dh(w, &dh);
    return cph_wr_end(&w->wr);
}

/* With new keys only: else what was agreed goes on. */
static cph_err put_ekt(struct mikey_offer *o, const struct mikey_around *around,
                       struct mikey_out *w)
{
    if (!around->ekt || !mikey_ekt_fits(around->ekt, &o->next))
        return CPH_OK;
    o->ekt = true;
    o->set = *around->ekt;
    return mikey_ekt_put(w, &o->next, &o->set);
}

/* For a set of the responder's; not beside an MKI (RFC 8870 4 MUST NOT). */
static void ask_ekt(const struct cph_mikey *m, struct mikey_offer *o, bool rekey,
                    const struct mikey_around *around, struct mikey_out *w)
{
    o->asks_ekt = rekey && around->allow_ekt && m->cfg.mki_n == 0;
    if (o->asks_ekt)
        mikey_ekt_put_wish(w);
}

static cph_err put_psk(struct cph_mikey *m, struct mikey_offer *o, bool rekey,
                       const struct mikey_around *around, struct mikey_out *w)
{
    size_t at;

    if (rekey) {
        CPH_TRY(mikey_tgk_new(m, NULL, &o->next));
        CPH_TRY(put_ekt(o, around, w));
    }
    CPH_TRY(mikey_put_keys(m, w, &o->key, &o->next, o->ts, NULL, rekey, &at));
    if (o->next.mode == CPH_MIKEY_NULL)
        return CPH_OK;
    return mikey_fill_mac(&o->key, &o->next.b, w, at, NULL, 0);
}

static cph_err put_rsa(struct cph_mikey *m, struct mikey_offer *o,
                       const struct mikey_around *around, struct mikey_out *w)
{
    struct mikey_id id = mikey_id_of(m->id);
    struct cph_key *to = NULL;
    size_t at;
    cph_err err;

    CPH_TRY(mikey_tgk_new(m, &id, &o->next));
    CPH_TRY(put_ekt(o, around, w));
    CPH_TRY(mikey_put_keys(m, w, &o->key, &o->next, o->ts, &id, true, &at));
    CPH_TRY(cph_cert_key(m->cfg.env, m->peer_cert, &to));
    err = mikey_put_envelope(m, w, to, &o->key);
    cph_key_free(to);
    return err == CPH_OK ? mikey_put_signature(m, w, NULL) : err;
}

static cph_err put_mqv(struct cph_mikey *m, struct mikey_offer *o,
                       const struct mikey_around *around, struct mikey_out *w)
{
    uint8_t value[CPH_AGREE_PUBLIC_MAX];
    struct cph_key *to = NULL;
    size_t n = 0;
    cph_err err;

    CPH_TRY(cph_cert_key(m->cfg.env, m->peer_cert, &to));
    err = cph_mqv_begin(m->cfg.env, m->key, to, value, &n, &o->key);
    cph_key_free(to);
    if (err != CPH_OK)
        return err == CPH_E_ARGUMENT ? CPH_E_CONFIG : err; /* another curve than ours */
    o->next.envelope = o->key;
    mikey_put_pke(w, MIKEY_CACHE_CSB, (struct cph_span){ value, n });
    return put_psk(m, o, true, around, w);
}

static cph_err put_proof(struct cph_mikey *m, struct mikey_offer *o, bool rekey,
                         const struct mikey_around *around, struct mikey_out *w)
{
    size_t at;

    switch (o->type) {
    case MIKEY_PK_I:
        return put_rsa(m, o, around, w);
    case MIKEY_MQV_I:
        return put_mqv(m, o, around, w);
    case MIKEY_RSAR_I:
        ask_ekt(m, o, true, around, w);
        return mikey_put_signature(m, w, NULL);
    case MIKEY_DH_I:
        CPH_TRY(put_dh(m, o, rekey, w));
        ask_ekt(m, o, rekey, around, w);
        return mikey_put_signature(m, w, NULL);
    case MIKEY_DHHMAC_I:
        CPH_TRY(put_dh(m, o, rekey, w));
        ask_ekt(m, o, rekey, around, w);
        at = mikey_put_kemac(w, MIKEY_ENCR_NULL, (struct cph_span){ 0 }, MIKEY_MAC_SHA1);
        return mikey_fill_mac(&o->key, &o->next.b, w, at, NULL, 0);
    default:
        return put_psk(m, o, rekey, around, w);
    }
}

/* Under a shared secret our own message, thrown back at us, would be as good as a peer's. */
static cph_err remember(struct cph_mikey *m, const struct mikey_offer *o,
                        const struct mikey_text *msg)
{
    struct mikey_mark mark;

    CPH_TRY(mikey_mark_of((struct cph_span){ msg->b, msg->n }, o->ts_type, o->ts,
                          cph_span_of(m->id), &mark));
    return mikey_replay_add(&m->replay, &mark, mikey_ntp(cph_wall(m->cfg.env)));
}

cph_err mikey_start(struct cph_mikey *m, const struct mikey_csb *old, bool rekey,
                    const struct mikey_around *around, struct mikey_offer *out,
                    struct mikey_text *msg)
{
    MIKEY_OFFER_SCOPED o = { 0 };
    struct mikey_hdr hdr = { 0 };
    struct mikey_out w;

    o.update = old && can_update(m, old);
    if (o.update) {
        o.next = *old;
        o.next.updates++;
    } else {
        CPH_TRY(first_bundle(m, around, &o.next));
    }
    rekey = rekey || !o.update;
    o.type = o.update ? update_type(o.next.mode) : first_type(o.next.mode);
    set_stream(&o.next, around);
    CPH_TRY(message_key(m, &o));
    mikey_now(m, o.next.we_began, &o.ts_type, &o.ts);

    /* We always ask for the verification: without it nobody proved to be there */
    hdr = (struct mikey_hdr){ o.type, true, o.next.b.csb_id, o.next.cs, o.next.n_cs };
    w = mikey_begin(msg->b, sizeof msg->b, &hdr);
    CPH_TRY(put_head(m, &o, around, &w));
    CPH_TRY(put_proof(m, &o, rekey, around, &w));
    CPH_TRY(cph_wr_end(&w.wr));
    msg->n = w.wr.n;
    CPH_TRY(remember(m, &o, msg));
    *out = o;
    return CPH_OK;
}

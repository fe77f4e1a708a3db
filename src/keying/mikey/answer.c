/*
 * The responder's answer.
 *
 *   PSK, NULL, RSA,
 *   ECMQV            HDR, T, [IDr], [EXT], V
 *   RSA-R            HDR, T, [RAND], IDr, CERTr, SP, [EXT], KEMAC, PKE, SIGNr
 *   DHSIGN           HDR, T, IDr, CERTr, IDi, [DHr, DHi], [EXT], SIGNr
 *   DHHMAC           HDR, T, IDr, IDi, [DHr, DHi], [EXT], KEMAC
 *
 * EXT is that of ekt.c.
 */
#include "respond_int.h"

#include <string.h>

#include "ciphony/base_text.h"

enum { OUR_RAND = 16 };

cph_err mikey_make_keys(struct respond *r)
{
    struct mikey_id id = mikey_id_of(r->m->id);

    r->error = MIKEY_E_OTHER;
    if (r->msg.n_dh > 0) {
        CPH_TRY(cph_agree_make(r->m->cfg.env, r->group, 0, &r->pair.x, r->pair.y));
        CPH_TRY(mikey_dh_key(r->group, &r->pair, r->msg.dh[0].value, &r->msg.dh[0].kv, &r->csb));
    }
    if (r->msg.type == MIKEY_RSAR_I) {
        if (!r->gave_rand) { /* RFC 4738 3.6 MUST: one of the two sends it */
            CPH_TRY(cph_random(r->m->cfg.env, r->csb.b.rand, OUR_RAND));
            r->csb.b.rand_n = OUR_RAND;
        }
        r->key.n = MIKEY_ENVELOPE;
        CPH_TRY(cph_random(r->m->cfg.env, r->key.b, MIKEY_ENVELOPE));
        r->csb.envelope = r->key;
        CPH_TRY(mikey_tgk_new(r->m, &id, &r->csb));
    }
    return r->csb.n_keys > 0 ? CPH_OK : CPH_E_MALFORMED;
}

static void put_ids(struct respond *r, bool certs, bool idi, struct mikey_out *w, cph_err *err)
{
    struct mikey_id us = mikey_id_of(r->m->id), them = { MIKEY_ID_URI, r->id[0] };

    if (r->msg.n_id > 0 && r->msg.id[0].data.p == r->id[0].p)
        them.type = r->msg.id[0].type;
    if (us.data.n > 0)
        mikey_put_id(w, &us);
    if (certs)
        *err = mikey_put_certs(r->m, w);
    if (idi)
        mikey_put_id(w, &them);
}

static cph_err put_dh(struct respond *r, struct mikey_out *w)
{
    struct mikey_dh dh = r->msg.dh[0];

    if (r->msg.n_dh == 0)
        return CPH_OK;
    dh.value = (struct cph_span){ r->pair.y, cph_agree_public_size(r->group) };
    mikey_put_dh(w, &dh);
    mikey_put_dh(w, &r->msg.dh[0]);
    return r->gives_ekt ? mikey_ekt_put(w, &r->csb, &r->csb.set) : CPH_OK;
}

static void tail_of(struct respond *r, struct mikey_tail *t)
{
    struct cph_span said[2];

    mikey_ids(&r->msg, said);
    mikey_tail(t, said[0], r->m->id[0] ? cph_span_of(r->m->id) : said[1], r->msg.ts_type,
               r->msg.ts);
}

static cph_err put_v(struct respond *r, struct mikey_out *w)
{
    struct mikey_tail t;
    cph_err err = CPH_OK;
    size_t at;

    put_ids(r, false, false, w, &err);
    if (r->took_ekt)
        mikey_ekt_put_taken(w, &r->csb.set);
    at = mikey_put_v(w, r->csb.mode == CPH_MIKEY_NULL ? MIKEY_MAC_NULL : MIKEY_MAC_SHA1);
    if (err != CPH_OK || r->csb.mode == CPH_MIKEY_NULL)
        return err;
    tail_of(r, &t);
    return mikey_fill_mac(&r->key, &r->csb.b, w, at, t.part, 3);
}

/* RFC 4738 3.5: the policy that was chosen, as it was said; ours if none was. */
static void put_chosen(struct respond *r, struct mikey_out *w)
{
    uint8_t params[MIKEY_SP_MAX];
    struct cph_wr wr = cph_wr_open(params, sizeof params);

    for (unsigned i = 0; i < r->msg.n_sp; i++)
        if (r->msg.sp[i].no == r->csb.policy[0].no) {
            mikey_put_sp(w, &r->msg.sp[i]);
            return;
        }
    mikey_policy_write(r->csb.policy[0].suite, &wr);
    mikey_put_sp(w, &(struct mikey_sp){ r->csb.policy[0].no, 0, cph_wr_done(&wr) });
}

static cph_err put_rsar(struct respond *r, struct mikey_out *w)
{
    struct mikey_id us = mikey_id_of(r->m->id);
    struct mikey_tail t;
    cph_err err = CPH_OK;
    size_t at;

    if (!r->gave_rand)
        mikey_put_rand(w, (struct cph_span){ r->csb.b.rand, r->csb.b.rand_n });
    put_ids(r, true, false, w, &err);
    CPH_TRY(err);
    put_chosen(r, w);
    if (r->gives_ekt)
        CPH_TRY(mikey_ekt_put(w, &r->csb, &r->csb.set));
    CPH_TRY(mikey_put_keys(r->m, w, &r->key, &r->csb, r->msg.ts, &us, true, &at));
    CPH_TRY(mikey_put_envelope(r->m, w, r->peer, &r->key));
    tail_of(r, &t);
    return mikey_put_signature(r->m, w, &t);
}

static const enum mikey_type answer_type[MIKEY_TYPES_] = {
    [MIKEY_PSK_I] = MIKEY_PSK_V,       [MIKEY_PK_I] = MIKEY_PK_V,     [MIKEY_DH_I] = MIKEY_DH_R,
    [MIKEY_DHHMAC_I] = MIKEY_DHHMAC_R, [MIKEY_RSAR_I] = MIKEY_RSAR_R, [MIKEY_MQV_I] = MIKEY_MQV_V,
};

static cph_err put_answer(struct respond *r, struct mikey_out *w)
{
    cph_err err = CPH_OK;
    size_t at;

    mikey_put_t(w, r->msg.ts_type, r->msg.ts); /* 5.2 MUST: the initiator's */
    switch (r->msg.type) {
    case MIKEY_RSAR_I:
        return put_rsar(r, w);
    case MIKEY_DH_I:
        put_ids(r, true, true, w, &err);
        CPH_TRY(err);
        CPH_TRY(put_dh(r, w));
        return mikey_put_signature(r->m, w, NULL);
    case MIKEY_DHHMAC_I:
        put_ids(r, false, true, w, &err);
        CPH_TRY(put_dh(r, w));
        at = mikey_put_kemac(w, MIKEY_ENCR_NULL, (struct cph_span){ 0 }, MIKEY_MAC_SHA1);
        return mikey_fill_mac(&r->key, &r->csb.b, w, at, NULL, 0);
    default:
        return put_v(r, w);
    }
}

cph_err mikey_write_answer(struct respond *r, struct mikey_text *answer)
{
    struct mikey_hdr hdr = { answer_type[r->msg.type], false, r->msg.csb_id, r->csb.cs,
                             r->csb.n_cs };
    struct mikey_out w = mikey_begin(answer->b, sizeof answer->b, &hdr);

    CPH_TRY(put_answer(r, &w));
    CPH_TRY(cph_wr_end(&w.wr));
    answer->n = w.wr.n;
    return CPH_OK;
}

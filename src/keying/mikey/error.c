/*
 * Error messages, which the responder sends and we read as a hint. RFC 3830 5.1.2, 6.12
 *
 *   HDR, T, ERR, [SP]..., [V]
 *
 * V is there if the message that was refused proved itself by a secret that both hold already: its
 * MAC is ours to check at the price of a MAC, and only who has the secret can have written both.
 * Nothing is ever signed, since a signature for whoever asks would be work for whoever asks.
 */
#include "mikey_int.h"

#include <string.h>

const char *mikey_error_words(uint8_t error)
{
    static const char *const words[] = {
        [MIKEY_E_AUTH] = "our message proves nothing there: secrets or certificates do not fit",
        [MIKEY_E_TS] = "the time in our message is not its time: compare the two clocks",
        [MIKEY_E_PRF] = "it does not know our way to derive keys",
        [MIKEY_E_MAC] = "it does not know our MAC",
        [MIKEY_E_EA] = "it does not know our cipher for keys",
        [MIKEY_E_HA] = "it does not know our hash",
        [MIKEY_E_DH] = "it does not take our Diffie-Hellman group",
        [MIKEY_E_ID] = "it does not take the names in our message",
        [MIKEY_E_CERT] = "it does not take the certificate",
        [MIKEY_E_SP] = "it does not know this kind of policy",
        [MIKEY_E_SPPAR] = "it does not take the SRTP suite or policy",
        [MIKEY_E_DT] = "it does not take this mode of MIKEY",
        [MIKEY_E_OTHER] = "it does not say more",
        [MIKEY_E_PARSE] = "it could not read our message",
    };

    return error < sizeof words / sizeof *words ? words[error] : words[MIKEY_E_OTHER];
}

/* ---- the responder's ------------------------------------------------------------------------- */

/* HDR and T of a message that may be broken behind them. */
static bool read_start(struct cph_span msg, uint32_t *csb_id, uint8_t *ts_type, uint64_t *ts)
{
    struct cph_rd rd = cph_rd_open(msg);
    uint8_t next, n_cs;

    (void)cph_rd_u16(&rd); /* version, type */
    next = cph_rd_u8(&rd);
    (void)cph_rd_u8(&rd);
    *csb_id = cph_rd_u32(&rd);
    n_cs = cph_rd_u8(&rd);
    (void)cph_rd_u8(&rd);
    (void)cph_rd_span(&rd, (size_t)9 * n_cs);
    (void)cph_rd_u8(&rd);
    *ts_type = cph_rd_u8(&rd);
    if (next != MIKEY_T || *ts_type > MIKEY_TS_COUNTER)
        return false;
    *ts = *ts_type == MIKEY_TS_COUNTER ? cph_rd_u32(&rd) : cph_rd_u64(&rd);
    return !rd.failed;
}

/* The bundle that a message begins, or updates. */
static bool bundle_of(const struct mikey_msg *msg, const struct mikey_csb *old,
                      struct mikey_bundle *out)
{
    if (msg->has & 1U << MIKEY_RAND) {
        out->csb_id = msg->csb_id;
        out->rand_n = (uint8_t)msg->rand.n;
        memcpy(out->rand, msg->rand.p, msg->rand.n);
        return msg->rand.n >= MIKEY_RAND_MIN;
    }
    if (!old || old->b.csb_id != msg->csb_id)
        return false;
    *out = old->b;
    return true;
}

/* Under a shared secret our own offer, thrown back at us, would get a proof that the peer refused
 * it. Those that name nobody are told by the replay cache, which has ours. */
static bool may_be_ours(const struct cph_mikey *m, const struct mikey_msg *msg)
{
    struct cph_span said[2];
    struct mikey_mark mark;

    mikey_ids(msg, said);
    if (said[0].n > 0)
        return m->id[0] && cph_span_is(said[0], m->id);
    return mikey_mark_of(msg->all, msg->ts_type, msg->ts, cph_span_of(m->peer_id), &mark) !=
               CPH_OK ||
           mikey_replay_check(&m->replay, &mark, mikey_ntp(cph_wall(m->cfg.env))) != CPH_OK;
}

/* Did the message that we refuse prove itself by a secret we had before it? */
static bool shared(const struct cph_mikey *m, const struct mikey_csb *old, struct cph_span bytes,
                   struct mikey_bundle *b, const struct cph_secret **key)
{
    struct mikey_msg msg;

    if (mikey_parse(bytes, &msg, NULL) != CPH_OK || !bundle_of(&msg, old, b) ||
        (msg.type != MIKEY_PSK_I && msg.type != MIKEY_DHHMAC_I) || msg.mac_alg != MIKEY_MAC_SHA1 ||
        may_be_ours(m, &msg))
        return false;
    *key = &m->psk;
    if (msg.type == MIKEY_PSK_I && !(msg.has & 1U << MIKEY_RAND) && old->envelope.n > 0)
        *key = &old->envelope;
    return (*key)->n > 0 && mikey_mac_good(*key, b, msg.covered, NULL, 0, msg.mac) == CPH_OK;
}

cph_err mikey_error_write(const struct cph_mikey *m, const struct mikey_csb *old,
                          struct cph_span msg, enum mikey_error error,
                          const struct mikey_around *around, struct mikey_text *out)
{
    struct mikey_hdr hdr = { .type = MIKEY_ERROR };
    uint8_t ts_type, params[MIKEY_SP_MAX];
    const struct cph_secret *key;
    struct mikey_bundle b;
    struct mikey_out w;
    uint64_t ts;

    if (!read_start(msg, &hdr.csb_id, &ts_type, &ts))
        return CPH_E_NOTFOUND;
    w = mikey_begin(out->b, sizeof out->b, &hdr);
    mikey_put_t(&w, ts_type, ts);
    mikey_put_error(&w, error);
    /* 5.1.1, 5.1.2 SHOULD: and what we would have taken */
    for (unsigned i = 0; error == MIKEY_E_SPPAR && around->suites[i] && i < MIKEY_MAX_SP; i++) {
        struct cph_wr wr = cph_wr_open(params, sizeof params);

        mikey_policy_write(around->suites[i], &wr);
        mikey_put_sp(&w, &(struct mikey_sp){ (uint8_t)i, 0, cph_wr_done(&wr) });
    }
    if (shared(m, old, msg, &b, &key)) {
        size_t at = mikey_put_v(&w, MIKEY_MAC_SHA1);

        CPH_TRY(mikey_fill_mac(key, &b, &w, at, NULL, 0));
    }
    CPH_TRY(cph_wr_end(&w.wr));
    out->n = w.wr.n;
    return CPH_OK;
}

/* ---- the initiator's ------------------------------------------------------------------------- */

/* Modes whose offer has a key under which the other side can prove itself. */
static bool has_key(const struct mikey_offer *o)
{
    return o->key.n > 0 && (o->type == MIKEY_PSK_I || o->type == MIKEY_DHHMAC_I ||
                            o->type == MIKEY_PK_I || o->type == MIKEY_MQV_I);
}

/* Signed by the one certificate that the user gave us. Of any other we could not say whose it is.
 */
static bool signed_by_peer(const struct cph_mikey *m, const struct mikey_msg *msg)
{
    MIKEY_CSB_SCOPED scratch = { 0 };
    struct cph_key *key = NULL;
    enum mikey_error ignored;
    cph_err err = m->peer_cert ? mikey_signed_by(m, msg, (struct cph_span){ 0 }, NULL, &scratch,
                                                 &key, &ignored)
                               : CPH_E_CERT;

    cph_key_free(key);
    return err == CPH_OK && !scratch.sha1;
}

cph_err mikey_error_read(const struct cph_mikey *m, const struct mikey_offer *offer,
                         struct cph_span bytes, uint8_t *error, bool *proven)
{
    struct mikey_msg msg;

    CPH_TRY(mikey_parse(bytes, &msg, NULL));
    if (msg.type != MIKEY_ERROR)
        return CPH_E_NOTFOUND;
    if (msg.csb_id != offer->next.b.csb_id || msg.ts_type != offer->ts_type || msg.ts != offer->ts)
        return CPH_E_STATE;
    *proven = false;
    if (msg.has & 1U << MIKEY_V && has_key(offer)) {
        if (msg.ver_alg == MIKEY_MAC_SHA1) {
            CPH_TRY(mikey_mac_good(&offer->key, &offer->next.b, msg.covered, NULL, 0, msg.ver));
            *proven = true;
        }
    } else if (msg.has & 1U << MIKEY_SIGN) {
        *proven = signed_by_peer(m, &msg);
    }
    *error = msg.error[0];
    return CPH_OK;
}

/*
 * MIKEY in SDP: one instance serves one m= line.
 *
 *   -> offer:  a=key-mgmt:mikey I_MESSAGE
 *   <- answer: a=key-mgmt:mikey R_MESSAGE
 *
 * Our offers stand at the level of the stream, each a bundle of its own with two crypto sessions:
 * 1 for the stream of who began the bundle, 2 for the other's. A later offer updates the bundle.
 */
#include "row_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_cipher.h"

static struct mikey *of(struct cph_keying *k)
{
    return (struct mikey *)k;
}

static const struct mikey *of_const(const struct cph_keying *k)
{
    return (const struct mikey *)k;
}

static struct cph_span text_of(const struct mikey_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

static void text_wipe(struct mikey_text *t)
{
    cph_wipe(t, sizeof *t);
}

#define TEXT_SCOPED __attribute__((cleanup(text_wipe))) struct mikey_text

/* ---- the instance ---------------------------------------------------------------------------- */

static bool mikey_present(const struct cph_keying_remote *remote)
{
    struct mikey_found f;

    return mikey_find(remote->sdp, remote->media, &f);
}

/* Signatures, shares and envelopes; only a secret that both hold is used without any. */
static bool mikey_costs(const struct cph_keying_cfg *cfg)
{
    return cfg->mikey && cfg->mikey->cfg.mode != CPH_MIKEY_PSK &&
           cfg->mikey->cfg.mode != CPH_MIKEY_NULL;
}

static cph_err mikey_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    const char *const *names = cfg->suites ? cfg->suites : cph_keying_suites;
    struct mikey *k;
    unsigned n = 0;

    if (!cfg->mikey)
        return CPH_E_CONFIG;
    k = calloc(1, sizeof *k);
    if (!k)
        return CPH_E_NOMEM;
    k->base.method = &cph_keying_mikey;
    k->cfg = *cfg;
    k->m = cfg->mikey;
    k->ssrc = cfg->ssrc;
    k->error_sent = k->error_got = -1;
    for (size_t i = 0; names[i] && n < MIKEY_SUITES_MAX; i++) {
        k->suite[n] = cph_srtp_suite_by_sdes(cph_span_of(names[i]));
        n += k->suite[n] != NULL;
    }
    *out = &k->base;
    return CPH_OK;
}

static void forget_shared(struct cph_mikey *m)
{
    cph_free_secret(m->shared, sizeof *m->shared);
    m->shared = NULL;
}

static void mikey_free(struct cph_keying *k)
{
    if (of(k)->shares)
        forget_shared(of(k)->m);
    mikey_repeat_forget(of(k));
    cph_free_secret(of(k), sizeof(struct mikey));
}

/* Our SSRC: what we were told, or what our own description says (RFC 5576). */
static uint32_t our_ssrc(const struct mikey *k, const struct cph_sdp_media *ours)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&ours->part, "ssrc");
    struct cph_sdp_ssrc s;

    if (k->ssrc == 0 && l && cph_sdp_ssrc_parse(l->arg, &s) == CPH_OK)
        return s.ssrc;
    return k->ssrc;
}

static struct mikey_around around_of(const struct mikey *k, const struct cph_sdp_media *ours,
                                     const char *list, unsigned line)
{
    return (struct mikey_around){
        .list = cph_span_of(list),
        .suites = k->suite,
        .allow_unencrypted = k->cfg.allow_unencrypted,
        .allow_unauthenticated = k->cfg.allow_unauthenticated,
        .ekt = k->cfg.ekt,
        .allow_ekt = k->cfg.allow_ekt,
        .ssrc = ours ? our_ssrc(k, ours) : k->ssrc,
        .roc = k->roc,
        .line = line,
    };
}

/* ---- committing ------------------------------------------------------------------------------ */

static bool same_master(const struct cph_srtp_policy *a, const struct cph_srtp_policy *b)
{
    bool key = cph_ct_eq(cph_secret_span(&a->master.key), cph_secret_span(&b->master.key));
    bool salt = cph_ct_eq(cph_secret_span(&a->master.salt), cph_secret_span(&b->master.salt));

    return key && salt && a->suite == b->suite && a->kdr == b->kdr && a->rcc == b->rcc &&
           a->rcc_rate == b->rcc_rate && a->rcc_tag_n == b->rcc_tag_n &&
           a->unencrypted_rtp == b->unencrypted_rtp && a->unencrypted_rtcp == b->unencrypted_rtcp &&
           a->unauthenticated_rtp == b->unauthenticated_rtp &&
           cph_span_eq((struct cph_span){ a->master.mki, a->master.mki_n },
                       (struct cph_span){ b->master.mki, b->master.mki_n });
}

/* Has a direction the keys it had? */
static bool goes_on(const struct mikey *k, const struct mikey_csb *next, unsigned line,
                    enum cph_keying_dir dir)
{
    if (!k->keyed || k->csb.n_keys != next->n_keys || !mikey_ekt_same(&k->csb, next))
        return false;
    for (unsigned i = 0; i < next->n_keys; i++) {
        CPH_SRTP_POLICY_SCOPED was = { 0 };
        CPH_SRTP_POLICY_SCOPED is = { 0 };

        if (mikey_master(&k->csb, mikey_session_of(&k->csb, k->line, dir), i, &was) != CPH_OK ||
            mikey_master(next, mikey_session_of(next, line, dir), i, &is) != CPH_OK ||
            !same_master(&was, &is))
            return false;
    }
    return true;
}

/* The only writer of the bundle. */
static void commit(struct mikey *k, const struct mikey_csb *next, unsigned line)
{
    bool update = k->keyed && k->csb.b.csb_id == next->b.csb_id &&
                  k->csb.b.rand_n == next->b.rand_n && /* a RAND is public */
                  memcmp(k->csb.b.rand, next->b.rand, next->b.rand_n) == 0;

    for (int d = 0; d < 2; d++) {
        if (goes_on(k, next, line, (enum cph_keying_dir)d))
            continue;
        k->status.dir[d].generation++;
        /* RFC 3711 3.3.1 MUST: over a re-key the ROC goes on; a new bundle says its own */
        k->status.dir[d].streams = update ? CPH_KEYING_STREAMS_KEEP : CPH_KEYING_STREAMS_FRESH;
    }
    mikey_repeat_forget(k);
    k->csb = *next;
    k->line = line;
    k->keyed = true;
    k->renew = false;
    k->status.state = CPH_KEYING_KEYED;
}

/* ---- offering -------------------------------------------------------------------------------- */

static cph_err mikey_offer(struct cph_keying *base, const struct cph_keying_local *offer)
{
    struct mikey *k = of(base);
    MIKEY_OFFER_SCOPED next = { 0 };
    TEXT_SCOPED msg = { 0 };
    char list[MIKEY_LIST_MAX];
    struct mikey_around around;

    CPH_TRY(mikey_list(&offer->media->part, true, list));
    around = around_of(k, offer->media, list, k->keyed ? k->line : 0);
    CPH_TRY(mikey_start(k->m, k->keyed ? &k->csb : NULL, k->renew, &around, &next, &msg));
    CPH_TRY(mikey_encode(offer->sdp, offer->media, &msg));
    k->offer = next;
    k->first = !k->keyed;
    k->open = true;
    k->renew = false; /* a wish is over with the offer that has it */
    if (!k->keyed)
        k->status.state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

static cph_err mikey_finished(struct cph_keying *base, const struct cph_keying_remote *answer)
{
    struct mikey *k = of(base);
    MIKEY_CSB_SCOPED next = { 0 };
    TEXT_SCOPED msg = { 0 };
    struct mikey_found f;

    if (!k->open)
        return CPH_E_STATE;
    if (!mikey_find(answer->sdp, answer->media, &f))
        return CPH_E_NOTFOUND;
    CPH_TRY(mikey_decode(&f, &msg));
    CPH_TRY(mikey_finish(k->m, &k->offer, text_of(&msg), &next));
    commit(k, &next, k->offer.update ? k->line : 0);
    return CPH_OK;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* Keep what an Error message would say, unless silence is better. */
static void keep_error(struct mikey *k, cph_err err, enum mikey_error error, struct cph_span msg,
                       const struct mikey_around *around)
{
    struct mikey_text text;

    /* RFC 3830 5.3: what is replayed is dropped; and what is our own fault is not the peer's */
    if (err == CPH_E_REPLAY || cph_err_blame(err) != CPH_BLAME_PEER ||
        mikey_error_write(k->m, k->keyed ? &k->csb : NULL, msg, error, around, &text) != CPH_OK ||
        text.n > MIKEY_ERROR_MAX)
        return;
    memcpy(k->error, text.b, text.n);
    k->error_n = text.n;
    k->error_sent = (int)error;
}

static cph_err mikey_refusal(const struct cph_keying *base, const struct cph_keying_local *answer)
{
    const struct mikey *k = of_const(base);
    struct mikey_text text = { .n = k->error_n };

    if (k->error_n == 0)
        return CPH_E_NOTFOUND;
    memcpy(text.b, k->error, k->error_n);
    return mikey_encode(answer->sdp, answer->media, &text);
}

/* RFC 3830 5.1.2: whoever can write into the signalling can write an Error, so it is read to people
 * and nothing else comes of it. */
static cph_err mikey_refused(struct cph_keying *base, const struct cph_keying_remote *answer,
                             struct cph_keying_refusal *out)
{
    struct mikey *k = of(base);
    struct mikey_found f;
    struct mikey_text msg;
    uint8_t error;

    if (!k->open)
        return CPH_E_STATE;
    if (!mikey_find(answer->sdp, answer->media, &f))
        return CPH_E_NOTFOUND;
    CPH_TRY(mikey_decode(&f, &msg));
    CPH_TRY(mikey_error_read(k->m, &k->offer, text_of(&msg), &error, &out->proven));
    k->error_got = error;
    out->why = mikey_error_words(error);
    return CPH_OK;
}

static cph_err hashes(struct cph_span offer, struct cph_span answer, struct mikey_shared *out)
{
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, offer, out->offer));
    return cph_digest(CPH_DIGEST_SHA256, answer, out->answer);
}

/* A message at session level is answered once, for all lines; this is one of the others. */
static cph_err answer_shared(struct mikey *k, struct cph_span msg, const struct mikey_found *ours,
                             struct mikey_csb *out)
{
    struct mikey_shared now = { 0 };
    TEXT_SCOPED text = { 0 };

    CPH_TRY(mikey_decode(ours, &text));
    CPH_TRY(hashes(msg, text_of(&text), &now));
    /* hashes of messages that everybody sees, so public */
    if (!k->m->shared || memcmp(now.offer, k->m->shared->offer, MIKEY_HASH) != 0 ||
        memcmp(now.answer, k->m->shared->answer, MIKEY_HASH) != 0)
        return CPH_E_POLICY; /* not ours: whoever wrote it has the keys */
    *out = k->m->shared->csb;
    return CPH_OK;
}

static cph_err share(struct mikey *k, struct cph_span msg, const struct mikey_text *answer,
                     const struct mikey_csb *csb)
{
    struct mikey_shared *s = calloc(1, sizeof *s);
    cph_err err = s ? hashes(msg, text_of(answer), s) : CPH_E_NOMEM;

    if (err != CPH_OK) {
        free(s);
        return err;
    }
    s->csb = *csb;
    forget_shared(k->m);
    k->m->shared = s;
    k->shares = true;
    return CPH_OK;
}

static cph_err answer_new(struct mikey *k, struct cph_span msg, const struct mikey_found *f,
                          const struct mikey_around *around, const struct cph_keying_local *answer,
                          struct mikey_csb *next, struct mikey_text *text)
{
    enum mikey_error error = MIKEY_E_OTHER;
    cph_err err = mikey_respond(k->m, k->keyed ? &k->csb : NULL, msg, around, next, text, &error);

    if (err == CPH_OK) { /* RFC 4567 4.1.2: where the offer had it */
        CPH_TRY(mikey_encode(answer->sdp, f->session ? NULL : answer->media, text));
        return f->session ? share(k, msg, text, next) : CPH_OK;
    }
    keep_error(k, err, error, msg, around);
    return err;
}

static cph_err mikey_answer(struct cph_keying *base, const struct cph_keying_remote *offer,
                            const struct cph_keying_local *answer)
{
    struct mikey *k = of(base);
    MIKEY_CSB_SCOPED next = { 0 };
    TEXT_SCOPED msg = { 0 };
    char list[MIKEY_LIST_MAX];
    struct mikey_found f, ours;
    TEXT_SCOPED text = { 0 };
    struct mikey_around around;
    struct mikey_repeat *repeat;
    bool answered;
    unsigned line;
    cph_err err;

    k->error_n = 0;
    k->error_sent = -1;
    if (!mikey_find(offer->sdp, offer->media, &f))
        return CPH_E_NOTFOUND;
    CPH_TRY(mikey_list(f.part, false, list));
    CPH_TRY(mikey_decode(&f, &msg));
    answered = f.session && mikey_find(answer->sdp, answer->media, &ours) && ours.session;
    err = mikey_repeat_answer(k, text_of(&msg), f.session, answered, answer);
    if (err != CPH_E_NOTFOUND)
        return err;
    line = f.session ? offer->media->index : k->keyed ? k->line : 0;
    around = around_of(k, answer->media, list, line);
    if (answered) {
        CPH_TRY(answer_shared(k, text_of(&msg), &ours, &next));
        if (next.n_cs != 1 && next.n_cs < 2 * line + 2)
            return CPH_E_UNSUPPORTED;
    } else {
        CPH_TRY(answer_new(k, text_of(&msg), &f, &around, answer, &next, &text));
    }
    CPH_TRY(mikey_repeat_new(text_of(&msg), f.session, &text, &repeat));
    commit(k, &next, line);
    k->last = repeat;
    mikey_offer_wipe(&k->offer); /* what we offered before is over */
    k->open = false;
    return CPH_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void mikey_rollback(struct cph_keying *base)
{
    struct mikey *k = of(base);

    k->open = false;
    mikey_offer_wipe(&k->offer);
    if (!k->keyed)
        k->status.state = CPH_KEYING_IDLE;
}

/* Forward secrecy is not there yet while the private value is. */
static void mikey_settled(struct cph_keying *base)
{
    struct mikey *k = of(base);

    k->open = false;
    mikey_offer_wipe(&k->offer);
}

static void mikey_renew(struct cph_keying *base)
{
    of(base)->renew = true;
}

/* Modes where our message has the keys: whoever can read it has them all. */
static bool transports(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_NULL || mode == CPH_MIKEY_PSK || mode == CPH_MIKEY_RSA ||
           mode == CPH_MIKEY_ECMQV;
}

static cph_err mikey_fork(const struct cph_keying *base, struct cph_keying **out)
{
    const struct mikey *k = of_const(base);
    struct mikey *branch;

    if (!k->open || !k->first)
        return CPH_E_STATE;
    branch = calloc(1, sizeof *branch);
    if (!branch)
        return CPH_E_NOMEM;
    *branch = *k;
    mikey_csb_wipe(&branch->csb);
    branch->keyed = branch->shares = false;
    branch->last = NULL;
    branch->key_shared = transports(k->offer.next.mode);
    memset(&branch->status, 0, sizeof branch->status);
    branch->status.state = CPH_KEYING_OFFERED;
    *out = &branch->base;
    return CPH_OK;
}

static void mikey_status(const struct cph_keying *base, struct cph_keying_status *out)
{
    *out = of_const(base)->status;
}

const struct cph_keying_method cph_keying_mikey = {
    .name = "mikey",
    .where = CPH_KEYING_IN_SIGNALLING,
    .needs = CPH_KEYING_NEEDS_MIKEY,
    .profile = CPH_SDP_RTP_SAVP,
    .present = mikey_present,
    .make = mikey_make,
    .offer_costs = mikey_costs,
    .free = mikey_free,
    .offer = mikey_offer,
    .answer = mikey_answer,
    .finish = mikey_finished,
    .refusal = mikey_refusal,
    .refused = mikey_refused,
    .rollback = mikey_rollback,
    .settled = mikey_settled,
    .renew = mikey_renew,
    .fork = mikey_fork,
    .status = mikey_status,
    .keys = mikey_keys,
    .ekt = mikey_ekt,
    .hints = mikey_hints,
    .stream = mikey_stream,
    .evidence = mikey_evidence,
};

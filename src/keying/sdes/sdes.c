/*
 * SDES, RFC 4568: each side says its own master key in SDP.
 *
 *   -> offer:  a=crypto:1 SUITE inline:K1o     one line per suite, each with a key of its own
 *              a=crypto:2 SUITE inline:K2o
 *   <- answer: a=crypto:2 SUITE inline:Ka      the offerer sends under K2o, the answerer under Ka
 *
 * A master key that stays the same keeps its roll-over counters and windows, whatever else a new
 * exchange changes; a new master key begins anew (7.1.4).
 */
#include "sdes_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

static struct sdes *of(struct cph_keying *k)
{
    return (struct sdes *)k;
}

static const struct sdes *of_const(const struct cph_keying *k)
{
    return (const struct sdes *)k;
}

/* ---- the method ----------------------------------------------------------------------------- */

static bool sdes_present(const struct cph_keying_remote *remote)
{
    /* RFC 4568 4 MUST: at the media level only */
    return cph_sdp_attr(&remote->media->part, "crypto") != NULL;
}

static cph_err sdes_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct sdes *s;

    if (cfg->mki_n > SDES_MIRROR_MKI)
        return CPH_E_CONFIG;
    if (cfg->ekt && (cfg->mki_n > 0 || cfg->ekt->key.n == 0 ||
                     cfg->ekt->key.n != cph_ekt_key_size(cfg->ekt->cipher)))
        return CPH_E_CONFIG;
    s = calloc(1, sizeof *s);
    if (!s)
        return CPH_E_NOMEM;
    s->base.method = &cph_keying_sdes;
    s->cfg = *cfg;
    *out = &s->base;
    return CPH_OK;
}

static void sdes_free(struct cph_keying *k)
{
    struct sdes *s = of(k);

    sdes_offered_wipe(&s->offered);
    cph_free_secret(s, sizeof *s);
}

/* Our best suite that a set goes with, and the one that everybody has (RFC 4568 6.2.1): a set with
 * each of the suites would make the offer longer than a datagram. */
static cph_err offer_with_set(const struct sdes *s, const struct cph_ekt_params *set,
                              struct sdes_offered *next)
{
    static const struct cph_span usual = CPH_SPAN_LIT("AES_CM_128_HMAC_SHA1_80");
    const struct cph_srtp_suite *last = sdes_suite(usual), *suite;
    const char *const *names = sdes_suites_of(s);

    for (size_t i = 0; names[i]; i++) {
        suite = sdes_suite(cph_span_of(names[i]));
        if (!suite || !sdes_set_fits(set, suite))
            continue;
        CPH_TRY(sdes_line_new(s, suite, set, next));
        return last && sdes_suite_wanted(s, last) && sdes_set_fits(set, last)
                   ? sdes_line_new(s, last, set, next)
                   : CPH_OK;
    }
    return CPH_OK;
}

static cph_err offer_lines(const struct sdes *s, const struct cph_ekt_params *set,
                           struct sdes_offered *next)
{
    const char *const *names = sdes_suites_of(s);

    if (set)
        CPH_TRY(offer_with_set(s, set, next));
    if (set && set != s->cfg.ekt && next->n > 0)
        return CPH_OK; /* the peer has it */
    for (size_t i = 0; names[i]; i++) {
        const struct cph_srtp_suite *suite = sdes_suite(cph_span_of(names[i]));

        if (suite)
            CPH_TRY(sdes_line_new(s, suite, NULL, next));
    }
    return CPH_OK;
}

static cph_err sdes_offer(struct cph_keying *k, const struct cph_keying_local *offer)
{
    struct sdes *s = of(k);
    const struct cph_ekt_params *set = sdes_set_of(s);
    SDES_OFFERED_SCOPED next = { .place = sdes_place_of(offer->sdp, offer->media) };

    if (!sdes_place_known(&next.place))
        next.place = s->keyed ? s->deal.my_place : s->offered.place;
    if (s->keyed) /* first, so that a peer that takes the first it knows takes it again */
        CPH_TRY(sdes_line_new(s, s->deal.mine.suite,
                              sdes_set_fits(set, s->deal.mine.suite) ? set : NULL, &next));
    CPH_TRY(offer_lines(s, set, &next));
    if (next.n == 0)
        return CPH_E_CONFIG;
    for (unsigned i = 0; i < next.n; i++)
        CPH_TRY(sdes_line_add(&next.line[i], offer));
    sdes_offered_wipe(&s->offered);
    s->offered = next;
    next = (struct sdes_offered){ 0 };
    s->first = !s->keyed;
    s->open = true;
    if (!s->keyed)
        s->status.state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

/* ---- answering ------------------------------------------------------------------------------ */

/* May we take this line of an offer? */
static cph_err line_acceptable(const struct sdes *s, const struct sdes_line *line)
{
    if (!sdes_suite_wanted(s, line->suite))
        return CPH_E_UNSUPPORTED;
    if ((line->unencrypted_rtp || line->unencrypted_rtcp) && !s->cfg.allow_unencrypted)
        return CPH_E_POLICY;
    if (line->unauthenticated_rtp && !s->cfg.allow_unauthenticated)
        return CPH_E_POLICY;
    if (line->ekt && !s->cfg.allow_ekt && !(s->keyed && sdes_same_set(line, &s->deal.mine)))
        return CPH_E_UNSUPPORTED; /* as one that we do not know */
    /* RFC 4568 7.1.2 MUST: the keys of both sides differ; what we said before must not come back */
    for (unsigned i = 0; i < s->offered.n; i++)
        if (sdes_key_in(&s->offered.line[i].key[0], line))
            return CPH_E_POLICY;
    return s->keyed && sdes_key_in(&s->deal.mine.key[0], line) ? CPH_E_POLICY : CPH_OK;
}

/*
 * RFC 4568 5.1.2: the first valid line that we support. An error is that of the line that came
 * nearest: a refusal by policy says more than an unknown suite.
 */
static cph_err choose(const struct sdes *s, const struct cph_sdp_media *offer,
                      struct sdes_line *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&offer->part, "crypto");
    cph_err worst = CPH_E_NOTFOUND;
    uint32_t tags[SDES_MAX_LINES];

    for (unsigned n = 0; l && n < SDES_MAX_LINES; n++, l = cph_sdp_attr_next(l)) {
        struct cph_sdp_crypto c;
        bool twice = false;
        cph_err err = cph_sdp_crypto_parse(l->arg, &c);

        tags[n] = err == CPH_OK ? c.tag : UINT32_MAX;
        for (unsigned i = 0; i < n && err == CPH_OK; i++)
            twice |= tags[i] == c.tag;
        if (err == CPH_OK && twice)
            err = CPH_E_MALFORMED; /* RFC 4568 4.1 MUST: tags are unique; the first one stands */
        if (err == CPH_OK)
            err = sdes_line_parse(l->arg, out);
        if (err == CPH_OK)
            err = line_acceptable(s, out);
        if (err == CPH_OK || err == CPH_E_NOMEM)
            return err;
        if (err == CPH_E_POLICY || worst == CPH_E_NOTFOUND || worst == CPH_E_MALFORMED)
            worst = err;
    }
    sdes_line_wipe(out);
    return worst;
}

/* A new key unless the old one may go on: same suite, neither side moved, the peer kept its own. */
static cph_err answer_key(const struct sdes *s, const struct sdes_deal *next,
                          struct cph_srtp_key *out)
{
    unsigned mki_n = next->theirs.key[0].mki_n;
    bool go_on = s->keyed && !s->renew && s->deal.mine.suite == next->theirs.suite &&
                 sdes_same_set(&s->deal.mine, &next->theirs) &&
                 sdes_keys_go_on(&s->deal.theirs, &next->theirs) &&
                 !sdes_moved(&s->deal.my_place, &next->my_place) &&
                 !sdes_moved(&s->deal.their_place, &next->their_place);

    if (go_on) {
        *out = s->deal.mine.key[0];
        return CPH_OK;
    }
    if (mki_n > SDES_MIRROR_MKI)
        mki_n = 0;
    CPH_TRY(sdes_key_new(s, next->theirs.suite, mki_n, out));
    if (s->keyed)
        sdes_mki_after(&s->deal.mine.key[0], out);
    return CPH_OK;
}

static cph_err sdes_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
                           const struct cph_keying_local *answer)
{
    struct sdes *s = of(k);
    SDES_DEAL_SCOPED next = { 0 };

    CPH_TRY(choose(s, offer->media, &next.theirs));
    next.their_place = sdes_place_of(offer->sdp, offer->media);
    next.my_place = sdes_place_of(answer->sdp, answer->media);
    /* RFC 4568 5.1.2 MUST: tag and suite of the chosen line, our key, the negotiated parameters */
    next.mine = (struct sdes_line){
        .tag = next.theirs.tag,
        .suite = next.theirs.suite,
        .n_keys = 1,
        .unencrypted_rtp = next.theirs.unencrypted_rtp,
        .unencrypted_rtcp = next.theirs.unencrypted_rtcp,
        .unauthenticated_rtp = next.theirs.unauthenticated_rtp,
        .ekt = next.theirs.ekt,
    };
    next.mine.set = next.theirs.set; /* not above: a temporary would keep the key */
    CPH_TRY(answer_key(s, &next, &next.mine.key[0]));
    if (next.mine.ekt) /* our re-offers say the set's salt, and the same key */
        next.mine.key[0].salt = next.mine.set.salt;
    CPH_TRY(sdes_line_add(&next.mine, answer));
    sdes_commit(s, &next);
    sdes_offered_wipe(&s->offered); /* what we offered before is over */
    s->open = false;
    return CPH_OK;
}

/* ---- reading the answer --------------------------------------------------------------------- */

/* Is it the first of our list that this build has? */
static bool best(const struct sdes *s, const struct cph_srtp_suite *suite)
{
    const char *const *names = sdes_suites_of(s);

    for (size_t i = 0; names[i]; i++)
        if (sdes_suite(cph_span_of(names[i])))
            return sdes_suite(cph_span_of(names[i])) == suite;
    return true;
}

/*
 * The line of ours that an answer takes.
 *
 * RFC 4568 5.1.3 EXCEPTION: gateways are met that number their answer anew, mostly with 1. The
 * suite alone says which line is meant, since we offer each suite once, or once with EKT and once
 * without; so a wrong tag is taken, and noted.
 */
static const struct sdes_line *line_taken(const struct sdes *s, const struct sdes_line *answer,
                                          unsigned *notes)
{
    const struct sdes_line *taken = NULL;

    for (unsigned i = 0; i < s->offered.n; i++) {
        const struct sdes_line *line = &s->offered.line[i];

        if (line->suite != answer->suite)
            continue;
        if (line->tag == answer->tag) {
            taken = line;
            break;
        }
        if (line->ekt == answer->ekt)
            taken = line;
    }
    if (!taken)
        return NULL;
    if (taken->tag != answer->tag)
        *notes |= CPH_KEYING_NOTE_TAG_RENUMBERED;
    if (!best(s, answer->suite))
        *notes |= CPH_KEYING_NOTE_NOT_BEST;
    return taken;
}

/* Are the key or flags what an answer may have? */
static cph_err answer_acceptable(const struct sdes *s, const struct sdes_line *answer)
{
    /* We never offer these, and RFC 4568 6.3.2, 6.3.3 has them negotiated: somebody added them. */
    if (answer->unencrypted_rtp || answer->unencrypted_rtcp || answer->unauthenticated_rtp)
        return CPH_E_POLICY;
    /* RFC 4568 7.1.2 MUST: not a key of the offer. A mirrored one would let our own packets pass as
     * the peer's */
    for (unsigned i = 0; i < s->offered.n; i++)
        if (sdes_key_in(&s->offered.line[i].key[0], answer))
            return CPH_E_POLICY;
    /* nor the one we send under so far */
    return s->keyed && sdes_key_in(&s->deal.mine.key[0], answer) ? CPH_E_POLICY : CPH_OK;
}

static cph_err sdes_finish(struct cph_keying *k, const struct cph_keying_remote *answer)
{
    struct sdes *s = of(k);
    const struct cph_sdp_line *l = cph_sdp_attr(&answer->media->part, "crypto");
    const struct sdes_line *taken;
    unsigned notes = 0;
    SDES_DEAL_SCOPED next = { 0 };

    if (!s->open)
        return CPH_E_STATE;
    if (!l)
        return CPH_E_NOTFOUND;
    /* RFC 4568 5.1.2 MUST: exactly one line is accepted */
    if (cph_sdp_attr_next(l))
        return CPH_E_MALFORMED;
    CPH_TRY(sdes_line_parse(l->arg, &next.theirs));
    taken = line_taken(s, &next.theirs, &notes);
    if (!taken) /* RFC 4568 5.1.3 MUST: one of the suites we offered */
        return CPH_E_POLICY;
    CPH_TRY(answer_acceptable(s, &next.theirs));
    /* EKT is the offerer's to give: an answer says the same set, or none */
    if (next.theirs.ekt && !sdes_same_set(taken, &next.theirs))
        return CPH_E_POLICY;
    next.mine = *taken;
    /* RFC 4568 6.3.7 EXCEPTION: linphonec and baresip take a line whose parameter they do not know,
     * which is not valid for them. What they mean is that line without it. */
    if (!next.theirs.ekt) {
        next.mine.ekt = false;
        cph_ekt_params_wipe(&next.mine.set);
    }
    s->offered.line[taken - s->offered.line].used = true;
    next.my_place = s->offered.place;
    next.their_place = sdes_place_of(answer->sdp, answer->media);
    sdes_commit(s, &next);
    s->notes &= ~(unsigned)(CPH_KEYING_NOTE_NOT_BEST | CPH_KEYING_NOTE_TAG_RENUMBERED);
    s->notes |= notes;
    return CPH_OK;
}

static void sdes_rollback(struct cph_keying *k)
{
    struct sdes *s = of(k);

    s->open = false; /* RFC 4568 7.1.4: the old parameters remain */
    s->renew = false;
    if (!s->keyed)
        s->status.state = CPH_KEYING_IDLE;
}

static void sdes_renew(struct cph_keying *k)
{
    of(k)->renew = true;
}

static cph_err sdes_fork(const struct cph_keying *k, struct cph_keying **out)
{
    const struct sdes *s = of_const(k);
    struct sdes *branch;

    if (!s->open || !s->first)
        return CPH_E_STATE;
    branch = calloc(1, sizeof *branch);
    if (!branch)
        return CPH_E_NOMEM;
    if (sdes_offered_copy(&s->offered, &branch->offered) != CPH_OK) {
        free(branch);
        return CPH_E_NOMEM;
    }
    branch->base = s->base;
    branch->cfg = s->cfg;
    branch->open = branch->first = true;
    branch->status.state = CPH_KEYING_OFFERED;
    branch->notes = CPH_KEYING_NOTE_KEY_SHARED; /* RFC 4568 7.3 */
    *out = &branch->base;
    return CPH_OK;
}

/* ---- what came out -------------------------------------------------------------------------- */

static void sdes_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    *out = of_const(k)->status;
}

static cph_err sdes_keys(const struct cph_keying *k, enum cph_keying_component component,
                         enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct sdes *s = of_const(k);
    const struct sdes_line *line = dir == CPH_KEYING_SEND ? &s->deal.mine : &s->deal.theirs;

    (void)component; /* RFC 4568 6: one master key serves SRTP and SRTCP */
    if (!s->keyed)
        return CPH_E_AGAIN;
    if (i >= line->n_keys)
        return CPH_E_NOTFOUND;
    memset(out, 0, sizeof *out);
    out->suite = line->suite;
    out->master = line->key[i];
    out->kdr = line->kdr > 0 ? (uint64_t)1 << line->kdr : 0; /* declarative: the sender's */
    if (dir == CPH_KEYING_RECV)
        out->window = line->wsh;
    out->unencrypted_rtp = line->unencrypted_rtp;
    out->unencrypted_rtcp = line->unencrypted_rtcp;
    out->unauthenticated_rtp = line->unauthenticated_rtp;
    return CPH_OK;
}

static cph_err sdes_ekt(const struct cph_keying *k, struct cph_ekt_params *out)
{
    const struct sdes *s = of_const(k);

    if (!s->keyed)
        return CPH_E_AGAIN;
    if (!s->deal.mine.ekt)
        return CPH_E_NOTFOUND;
    *out = s->deal.mine.set;
    return CPH_OK;
}

static void sdes_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    const struct sdes *s = of_const(k);
    const struct sdes_line *line = &s->deal.theirs;

    out->method = cph_keying_sdes.name;
    out->notes |= s->notes;
    if (!s->keyed)
        return;
    out->keyed = true;
    out->suite = line->suite->sdes_name;
    out->rtp_encrypted = line->suite->encrypts && !line->unencrypted_rtp;
    out->rtcp_encrypted = line->suite->encrypts && !line->unencrypted_rtcp;
    out->rtp_authenticated = !line->unauthenticated_rtp;
    out->key_bits = 8U * line->suite->key_n;
    out->tag_bits = line->unauthenticated_rtp ? 0 : 8U * line->suite->tag_n;
    out->notes |= line->unencrypted_rtp ? CPH_KEYING_NOTE_UNENCRYPTED_RTP : 0;
    out->notes |= line->unencrypted_rtcp ? CPH_KEYING_NOTE_UNENCRYPTED_RTCP : 0;
    out->notes |= line->unauthenticated_rtp ? CPH_KEYING_NOTE_UNAUTHENTICATED_RTP : 0;
    out->notes |= line->suite->tag_n < 8 ? CPH_KEYING_NOTE_SHORT_TAG : 0;
    /* Everything else stays at its worst: whoever reads the signalling has the keys, and may have
     * chosen them. */
}

const struct cph_keying_method cph_keying_sdes = {
    .name = "sdes",
    .where = CPH_KEYING_IN_SIGNALLING,
    .needs = CPH_KEYING_NEEDS_NOTHING,
    .profile = CPH_SDP_RTP_SAVP,
    .present = sdes_present,
    .make = sdes_make,
    .free = sdes_free,
    .offer = sdes_offer,
    .answer = sdes_answer,
    .finish = sdes_finish,
    .rollback = sdes_rollback,
    .renew = sdes_renew,
    .fork = sdes_fork,
    .status = sdes_status,
    .keys = sdes_keys,
    .ekt = sdes_ekt,
    .evidence = sdes_evidence,
};

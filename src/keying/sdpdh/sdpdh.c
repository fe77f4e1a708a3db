/*
 * SDP-DH: Diffie-Hellman shares in the description. The draft that had it (draft-baugher-mmusic-
 * sdp-dh-00) is expired and has no final text; this is what its idea was, in a syntax of ours.
 *
 *   -> offer:  a=sdp-dh:1 x25519 SUITE,SUITE,... SHARE    a line for each group
 *              a=sdp-dh:2 p-256  SUITE,SUITE,... SHARE
 *   <- answer: a=sdp-dh:1 x25519 SUITE SHARE              one line, a share of the answerer's own
 *
 *   keys = HKDF(secret of both shares, all lines of the offer and that of the answer)
 *
 * Shares are said again in later exchanges, and keys go on, until somebody wants new ones or
 * somebody else answers. New keys begin with a roll-over counter of zero, on both sides. A private
 * value lives while the answer to its share may come, and no longer: what is said again has none,
 * and if somebody else answers that, another offer with new shares follows.
 */
#include "sdpdh_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char NAME[] = "sdp-dh";

static void offered_wipe(struct offered *o)
{
    cph_wipe(o, sizeof *o);
}

static void deal_wipe(struct deal *d)
{
    cph_wipe(d, sizeof *d);
}

static void keys_wipe(struct sdpdh_keys *k)
{
    cph_wipe(k, sizeof *k);
}

#define OFFERED_SCOPED __attribute__((cleanup(offered_wipe))) struct offered
#define DEAL_SCOPED    __attribute__((cleanup(deal_wipe))) struct deal
#define KEYS_SCOPED    __attribute__((cleanup(keys_wipe))) struct sdpdh_keys

static struct sdpdh *of(struct cph_keying *k)
{
    return (struct sdpdh *)k;
}

static const struct sdpdh *of_const(const struct cph_keying *k)
{
    return (const struct sdpdh *)k;
}

/* ---- what we like ---------------------------------------------------------------------------- */

static const char *const *groups_of(const struct sdpdh *s)
{
    /* MODP 3072 costs a hundred times what these cost, so it is offered when it is named only. */
    static const char *const usual[] = { "x25519", "p-256", NULL };

    return s->cfg.dh_groups ? s->cfg.dh_groups : usual;
}

static const char *const *suites_of(const struct sdpdh *s)
{
    return s->cfg.suites ? s->cfg.suites : cph_keying_suites;
}

static bool suite_wanted(const struct sdpdh *s, const struct cph_srtp_suite *suite)
{
    const char *const *names = suites_of(s);

    for (size_t i = 0; names[i]; i++)
        if (cph_srtp_suite_by_sdes(cph_span_of(names[i])) == suite)
            return true;
    return false;
}

static cph_err share_new(const struct sdpdh *s, const struct sdpdh_group *group, struct share *out,
                         struct cph_secret *secret)
{
    out->group = group;
    out->n = cph_agree_public_size(group->group);
    return cph_agree_make(s->cfg.env, group->group, 0, secret, out->value);
}

static bool same_share(const struct share *mine, const struct sdpdh_line *line)
{
    return mine->group == line->group &&
           cph_span_eq((struct cph_span){ mine->value, mine->n },
                       (struct cph_span){ line->share, line->share_n });
}

/* Is it one of ours that comes back? Then nobody is at the other end but us. */
static bool ours(const struct sdpdh *s, const struct sdpdh_line *line)
{
    for (unsigned i = 0; i < s->offered.n; i++)
        if (same_share(&s->offered.share[i], line))
            return true;
    return s->keyed && same_share(&s->deal.mine, line);
}

/* The peer says the share it said before: nothing new is made. */
static bool known(const struct sdpdh *s, const struct sdpdh_line *line)
{
    return s->keyed && s->deal.mine.group == line->group &&
           cph_span_eq((struct cph_span){ s->deal.theirs, s->deal.theirs_n },
                       (struct cph_span){ line->share, line->share_n });
}

/* ---- the method ------------------------------------------------------------------------------ */

static bool sdpdh_present(const struct cph_keying_remote *remote)
{
    return cph_sdp_attr(&remote->media->part, NAME) != NULL;
}

static cph_err sdpdh_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct sdpdh *s = calloc(1, sizeof *s);

    if (!s)
        return CPH_E_NOMEM;
    s->base.method = &cph_keying_sdpdh;
    s->cfg = *cfg;
    *out = &s->base;
    return CPH_OK;
}

static void sdpdh_free(struct cph_keying *k)
{
    cph_free_secret(of(k), sizeof(struct sdpdh));
}

/* Our suites; the one in use first, so that a peer that takes the first it knows takes it again. */
static void list_suites(const struct sdpdh *s, struct offered *next)
{
    const char *const *names = suites_of(s);

    if (s->keyed)
        next->suite[next->n_suites++] = s->deal.suite;
    for (size_t i = 0; names[i] && next->n_suites < SDPDH_SUITES; i++) {
        const struct cph_srtp_suite *suite = cph_srtp_suite_by_sdes(cph_span_of(names[i]));
        bool have = !suite;

        for (unsigned k = 0; k < next->n_suites; k++)
            have |= next->suite[k] == suite;
        if (!have)
            next->suite[next->n_suites++] = suite;
    }
}

/* A share for each group; or, in a later exchange, the one in use. */
static cph_err list_shares(const struct sdpdh *s, struct offered *next)
{
    const char *const *names = groups_of(s);

    if (s->keyed && !s->renew) {
        next->share[next->n++] = s->deal.mine;
        return CPH_OK;
    }
    if (!s->keyed && !s->renew && s->offered.n > 0) { /* an offer that nobody answered */
        memcpy(next->share, s->offered.share, sizeof next->share);
        memcpy(next->secret, s->offered.secret, sizeof next->secret);
        next->n = s->offered.n;
        return CPH_OK;
    }
    for (size_t i = 0; names[i]; i++) {
        const struct sdpdh_group *g = sdpdh_group(cph_span_of(names[i]));

        if (!g || next->n == SDPDH_GROUPS)
            return CPH_E_CONFIG;
        CPH_TRY(share_new(s, g, &next->share[next->n], &next->secret[next->n]));
        next->n++;
    }
    return next->n > 0 ? CPH_OK : CPH_E_CONFIG;
}

static cph_err write_line(const struct cph_keying_local *to, const struct share *share,
                          const struct cph_srtp_suite *const *suite, unsigned n, uint32_t tag)
{
    struct sdpdh_line line = { .tag = tag, .group = share->group, .n_suites = n };
    char text[SDPDH_LINE];

    memcpy(line.suite, suite, n * sizeof *suite);
    memcpy(line.share, share->value, share->n);
    line.share_n = share->n;
    CPH_TRY(sdpdh_line_build(&line, text));
    return cph_sdp_attr_add(to->sdp, to->media, NAME, text);
}

static cph_err sdpdh_offer(struct cph_keying *k, const struct cph_keying_local *offer)
{
    struct sdpdh *s = of(k);
    OFFERED_SCOPED next = { 0 };
    struct sdpdh_lines lines;

    list_suites(s, &next);
    if (next.n_suites == 0)
        return CPH_E_CONFIG;
    CPH_TRY(list_shares(s, &next));
    for (unsigned i = 0; i < next.n; i++)
        CPH_TRY(write_line(offer, &next.share[i], next.suite, next.n_suites, i + 1));
    CPH_TRY(sdpdh_lines_of(offer->media, &lines));
    CPH_TRY(sdpdh_lines_hash(&lines, next.hash));
    s->offered = next;
    s->first = !s->keyed;
    s->open = true;
    s->renew = s->status.offer_wanted = false; /* a wish is over with the offer that has it */
    if (!s->keyed)
        s->status.state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

/* ---- committing ------------------------------------------------------------------------------ */

/* The only writer of the deal. */
static void commit(struct sdpdh *s, const struct deal *next)
{
    s->deal = *next;
    for (int d = 0; d < 2; d++) {
        s->status.dir[d].generation++;
        s->status.dir[d].streams = CPH_KEYING_STREAMS_FRESH;
    }
    s->keyed = true;
    s->renew = s->status.offer_wanted = false;
    s->status.state = CPH_KEYING_KEYED;
}

/* The deal of a share of ours with one of the peer's. The dear part comes last. */
static cph_err strike(const struct share *mine, const struct cph_secret *private,
                      const struct sdpdh_line *theirs, const uint8_t offer[SDPDH_HASH],
                      struct cph_span answer, bool we_offered, const struct cph_srtp_suite *suite,
                      struct deal *out)
{
    CPH_SECRET_SCOPED secret = { 0 };
    KEYS_SCOPED keys = { 0 };

    CPH_TRY(cph_agree_derive(mine->group->group, private,
                             (struct cph_span){ theirs->share, theirs->share_n }, &secret));
    CPH_TRY(sdpdh_derive(&secret, offer, answer, suite, &keys));
    out->mine = *mine;
    memcpy(out->theirs, theirs->share, theirs->share_n);
    out->theirs_n = theirs->share_n;
    out->suite = suite;
    out->key[CPH_KEYING_SEND] = we_offered ? keys.offerer : keys.answerer;
    out->key[CPH_KEYING_RECV] = we_offered ? keys.answerer : keys.offerer;
    return CPH_OK;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* The peer says its share again, and the suite in use is still in its list. Of that share it can
 * make no other key, so one that is wished for waits for an offer of ours. */
static bool says_again(const struct sdpdh *s, const struct sdpdh_line *line)
{
    bool has = false;

    for (unsigned i = 0; i < line->n_suites; i++)
        has |= line->suite[i] == s->deal.suite;
    return has && known(s, line);
}

/* The first suite of a line that we take too. */
static const struct cph_srtp_suite *suite_of(const struct sdpdh *s, const struct sdpdh_line *line)
{
    if (says_again(s, line))
        return s->deal.suite;
    for (unsigned i = 0; i < line->n_suites; i++)
        if (suite_wanted(s, line->suite[i]))
            return line->suite[i];
    return NULL;
}

/* The line of an offer that we take: the first by its tag, wherever it stands, since whoever moves
 * lines on the way has no say in the choice. An error is that of the first line. */
static cph_err choose(const struct sdpdh *s, const struct sdpdh_lines *lines,
                      struct sdpdh_line *out)
{
    cph_err worst = CPH_E_NOTFOUND;

    for (unsigned i = 0; i < lines->n; i++) {
        cph_err err = sdpdh_line_parse(lines->line[i].text, out);

        if (err == CPH_OK && ours(s, out))
            err = CPH_E_POLICY;
        if (err == CPH_OK && !suite_of(s, out))
            err = CPH_E_UNSUPPORTED;
        if (err == CPH_OK)
            return CPH_OK;
        if (worst == CPH_E_NOTFOUND)
            worst = err;
    }
    return worst;
}

static cph_err sdpdh_answer(struct cph_keying *k, const struct cph_keying_remote *offer,
                            const struct cph_keying_local *answer)
{
    struct sdpdh *s = of(k);
    const struct cph_srtp_suite *suite;
    struct sdpdh_lines lines;
    struct sdpdh_line theirs;
    uint8_t hash[SDPDH_HASH];
    CPH_SECRET_SCOPED secret = { 0 };
    DEAL_SCOPED next = { 0 };
    cph_err err;
    bool go_on;

    CPH_TRY(sdpdh_lines_of(offer->media, &lines));
    CPH_TRY(choose(s, &lines, &theirs));
    CPH_TRY(sdpdh_lines_hash(&lines, hash));
    suite = suite_of(s, &theirs);
    go_on = says_again(s, &theirs);
    if (go_on)
        next = s->deal;
    else
        CPH_TRY(share_new(s, theirs.group, &next.mine, &secret));
    CPH_TRY(write_line(answer, &next.mine, &suite, 1, theirs.tag));
    err = go_on ? CPH_OK
                : strike(&next.mine, &secret, &theirs, hash,
                         cph_sdp_attr(&answer->media->part, NAME)->arg, false, suite, &next);
    if (err != CPH_OK) {
        (void)cph_sdp_attr_remove(answer->sdp, answer->media, NAME);
        return err;
    }
    if (go_on)
        s->status.offer_wanted = s->renew;
    else
        commit(s, &next);
    offered_wipe(&s->offered); /* what we offered before is over */
    s->open = false;
    return CPH_OK;
}

/* ---- reading the answer ---------------------------------------------------------------------- */

/* Which share of ours an answer takes; -1 if it takes what was not offered. */
static int taken(const struct sdpdh *s, const struct sdpdh_line *answer)
{
    bool offered = false;

    for (unsigned i = 0; i < s->offered.n_suites && answer->n_suites == 1; i++)
        offered |= s->offered.suite[i] == answer->suite[0];
    if (!offered || answer->tag > s->offered.n ||
        s->offered.share[answer->tag - 1].group != answer->group)
        return -1;
    return (int)answer->tag - 1;
}

static cph_err sdpdh_finish(struct cph_keying *k, const struct cph_keying_remote *answer)
{
    struct sdpdh *s = of(k);
    const struct cph_sdp_line *l = cph_sdp_attr(&answer->media->part, NAME);
    const struct share *mine;
    struct sdpdh_line theirs;
    DEAL_SCOPED next = { 0 };
    int at;

    if (!s->open)
        return CPH_E_STATE;
    if (!l)
        return CPH_E_NOTFOUND;
    if (cph_sdp_attr_next(l))
        return CPH_E_MALFORMED; /* one line is taken */
    CPH_TRY(sdpdh_line_parse(l->arg, &theirs));
    if (theirs.n_named != 1)
        return CPH_E_MALFORMED; /* and one suite */
    if (ours(s, &theirs))
        return CPH_E_POLICY;
    at = taken(s, &theirs);
    if (at < 0)
        return CPH_E_POLICY;
    mine = &s->offered.share[at];
    s->notes &= ~(unsigned)CPH_KEYING_NOTE_NOT_BEST;
    if (theirs.tag > 1 || theirs.suite[0] != s->offered.suite[0])
        s->notes |= CPH_KEYING_NOTE_NOT_BEST;
    if (known(s, &theirs) && theirs.suite[0] == s->deal.suite &&
        cph_span_eq((struct cph_span){ mine->value, mine->n },
                    (struct cph_span){ s->deal.mine.value, s->deal.mine.n }))
        return CPH_OK;                  /* both said what they said before */
    if (s->offered.secret[at].n == 0) { /* somebody else answers, or another suite is wanted */
        s->renew = s->status.offer_wanted = true;
        return CPH_OK;
    }
    CPH_TRY(strike(mine, &s->offered.secret[at], &theirs, s->offered.hash, l->arg, true,
                   theirs.suite[0], &next));
    commit(s, &next);
    return CPH_OK;
}

/* The last answer is in, or none will come: what could still make keys of one goes. */
static void sdpdh_settled(struct cph_keying *k)
{
    struct sdpdh *s = of(k);

    s->open = false;
    offered_wipe(&s->offered);
}

static void sdpdh_rollback(struct cph_keying *k)
{
    struct sdpdh *s = of(k);

    sdpdh_settled(k);
    if (!s->keyed)
        s->status.state = CPH_KEYING_IDLE;
}

static void sdpdh_renew(struct cph_keying *k)
{
    of(k)->renew = true;
}

/* A further answerer of the same offer has a share of its own, and so keys of its own. */
static cph_err sdpdh_fork(const struct cph_keying *k, struct cph_keying **out)
{
    const struct sdpdh *s = of_const(k);
    struct sdpdh *branch;

    if (!s->open || !s->first)
        return CPH_E_STATE;
    branch = calloc(1, sizeof *branch);
    if (!branch)
        return CPH_E_NOMEM;
    branch->base = s->base;
    branch->cfg = s->cfg;
    branch->offered = s->offered;
    branch->open = branch->first = true;
    branch->status.state = CPH_KEYING_OFFERED;
    *out = &branch->base;
    return CPH_OK;
}

/* ---- what came out --------------------------------------------------------------------------- */

static void sdpdh_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    *out = of_const(k)->status;
}

static cph_err sdpdh_keys(const struct cph_keying *k, enum cph_keying_component component,
                          enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct sdpdh *s = of_const(k);

    (void)component; /* one master key serves SRTP and SRTCP */
    if (!s->keyed)
        return CPH_E_AGAIN;
    if (i > 0)
        return CPH_E_NOTFOUND;
    memset(out, 0, sizeof *out);
    out->suite = s->deal.suite;
    out->master = s->deal.key[dir];
    return CPH_OK;
}

static void sdpdh_evidence(const struct cph_keying *k, struct cph_keying_evidence *out)
{
    const struct sdpdh *s = of_const(k);

    out->method = cph_keying_sdpdh.name;
    out->notes |= s->notes;
    if (!s->keyed)
        return;
    out->keyed = true;
    out->suite = s->deal.suite->sdes_name;
    out->rtp_encrypted = out->rtcp_encrypted = s->deal.suite->encrypts;
    out->rtp_authenticated = true;
    out->key_bits = 8U * s->deal.suite->key_n;
    out->tag_bits = 8U * s->deal.suite->tag_n;
    out->notes |= s->deal.suite->tag_n < 8 ? CPH_KEYING_NOTE_SHORT_TAG : 0;
    /* Who only reads has nothing: the secrets never leave us, and go with the call. */
    out->keys_stay_at_ends = true;
    out->forward_secrecy = true;
    out->choice_protected = true; /* all lines are in the keys */
    /* Who writes may put shares of his own in: the peer is as good as the messages were. */
    out->peer_auth = CPH_KEYING_AUTH_PATH;
}

const struct cph_keying_method cph_keying_sdpdh = {
    .name = "sdp-dh",
    .where = CPH_KEYING_IN_SIGNALLING,
    .needs = CPH_KEYING_NEEDS_NOTHING,
    .profile = CPH_SDP_RTP_SAVP,
    .expired = true,
    .present = sdpdh_present,
    .make = sdpdh_make,
    .free = sdpdh_free,
    .offer = sdpdh_offer,
    .answer = sdpdh_answer,
    .finish = sdpdh_finish,
    .rollback = sdpdh_rollback,
    .settled = sdpdh_settled,
    .renew = sdpdh_renew,
    .fork = sdpdh_fork,
    .status = sdpdh_status,
    .keys = sdpdh_keys,
    .evidence = sdpdh_evidence,
};

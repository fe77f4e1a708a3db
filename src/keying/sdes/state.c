/* What an SDES instance keeps from one exchange to the next, and how a new exchange changes it. */
#include "sdes_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_tools.h"

void sdes_deal_wipe(struct sdes_deal *d)
{
    cph_wipe(d, sizeof *d);
}

void sdes_offered_wipe(struct sdes_offered *o)
{
    /* Lines are written one after the other, and the one that failed is not counted. */
    unsigned n = o->n < SDES_MAX_SUITES ? o->n + 1 : SDES_MAX_SUITES;

    cph_free_secret(o->line, n * sizeof o->line[0]);
    *o = (struct sdes_offered){ 0 };
}

/* The next line, empty; the rest is not touched, since a line is six kilobytes. */
static struct sdes_line *next_line(struct sdes_offered *o)
{
    if (!o->line)
        o->line = malloc(SDES_MAX_SUITES * sizeof o->line[0]);
    if (!o->line)
        return NULL;
    return memset(&o->line[o->n], 0, sizeof o->line[0]);
}

cph_err sdes_offered_copy(const struct sdes_offered *from, struct sdes_offered *to)
{
    struct sdes_offered copy = { .place = from->place };

    for (; copy.n < from->n; copy.n++) {
        struct sdes_line *line = next_line(&copy);

        if (!line)
            return CPH_E_NOMEM;
        *line = from->line[copy.n];
    }
    *to = copy;
    return CPH_OK;
}

/* ---- places --------------------------------------------------------------------------------- */

/* CPH_OK with an empty place if the section does not say. */
struct sdes_place sdes_place_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media)
{
    struct cph_sdp_target t;
    struct sdes_place p = { 0 };

    if (cph_sdp_rtp_target(sdp, media, &t) == CPH_OK) {
        p.addr = t.addr;
        p.host = t.host.n > 0 ? cph_siphash(1, 2, t.host) : 0;
    }
    return p;
}

bool sdes_place_known(const struct sdes_place *p)
{
    return p->host != 0 || (p->addr.family != CPH_AF_NONE && !cph_addr_is_any(&p->addr));
}

/* A hold by c=0.0.0.0 is no move, and its end is none. */
bool sdes_moved(const struct sdes_place *was, const struct sdes_place *is)
{
    return sdes_place_known(was) && sdes_place_known(is) &&
           (was->host != is->host || !cph_addr_eq(&was->addr, &is->addr));
}

/* ---- keys of our own ------------------------------------------------------------------------ */

cph_err sdes_key_new(const struct sdes *s, const struct cph_srtp_suite *suite, unsigned mki_n,
                     struct cph_srtp_key *out)
{
    memset(out, 0, sizeof *out);
    CPH_TRY(cph_random(s->cfg.env, out->key.b, suite->key_n));
    out->key.n = suite->key_n;
    CPH_TRY(cph_random(s->cfg.env, out->salt.b, suite->salt_n));
    out->salt.n = suite->salt_n;
    out->mki_n = (uint8_t)mki_n;
    if (mki_n > 0)
        out->mki[mki_n - 1] = 1;
    return CPH_OK;
}

/* An MKI of this key that is not the old one's, so that packets in flight are told apart (7.1.4).
 */
void sdes_mki_after(const struct cph_srtp_key *old, struct cph_srtp_key *key)
{
    if (key->mki_n > 0 && key->mki_n == old->mki_n)
        key->mki[key->mki_n - 1] = old->mki[old->mki_n - 1] == 1 ? 2 : 1;
}

const char *const *sdes_suites_of(const struct sdes *s)
{
    return s->cfg.suites ? s->cfg.suites : cph_keying_suites;
}

bool sdes_suite_wanted(const struct sdes *s, const struct cph_srtp_suite *suite)
{
    const char *const *names = sdes_suites_of(s);

    for (size_t i = 0; names[i]; i++)
        if (cph_span_iis(cph_span_of(names[i]), suite->sdes_name))
            return true;
    return false;
}

/* Packets with EKT and without are kept apart: a key of the one is none of the other. */
static bool same_kind(const struct sdes_line *line, const struct cph_srtp_suite *suite, bool ekt)
{
    return line->suite == suite && line->ekt == ekt;
}

/* The key we said for this suite before, if it may be said again. */
static const struct cph_srtp_key *key_before(const struct sdes *s,
                                             const struct cph_srtp_suite *suite, bool ekt,
                                             const struct sdes_place *place)
{
    if (s->renew)
        return NULL;
    /* RFC 4568 7.1.4 MUST: at another address, another key */
    if (same_kind(&s->deal.mine, suite, ekt) && s->keyed && !sdes_moved(&s->deal.my_place, place))
        return &s->deal.mine.key[0];
    /* What was sent under for a while had a counter that nobody kept: it is not said again. */
    for (unsigned i = 0; i < s->offered.n; i++)
        if (same_kind(&s->offered.line[i], suite, ekt) && !(s->keyed && s->offered.line[i].used) &&
            !sdes_moved(&s->offered.place, place))
            return &s->offered.line[i].key[0];
    return NULL;
}

/* The set that was agreed on goes on, whoever brought it; another one comes with new keys. */
const struct cph_ekt_params *sdes_set_of(const struct sdes *s)
{
    if (s->keyed && !(s->renew && s->cfg.ekt))
        return s->deal.mine.ekt ? &s->deal.mine.set : NULL;
    return s->cfg.ekt;
}

bool sdes_set_fits(const struct cph_ekt_params *set, const struct cph_srtp_suite *suite)
{
    return set && set->key.n >= suite->key_n && (set->salt.n == 0 || set->salt.n >= suite->salt_n);
}

cph_err sdes_line_new(const struct sdes *s, const struct cph_srtp_suite *suite,
                      const struct cph_ekt_params *set, struct sdes_offered *offered)
{
    const struct cph_srtp_key *before = key_before(s, suite, set != NULL, &offered->place);
    struct sdes_line *line;

    for (unsigned i = 0; i < offered->n; i++)
        if (same_kind(&offered->line[i], suite, set != NULL))
            return CPH_OK;
    if (offered->n == SDES_MAX_SUITES)
        return CPH_OK;
    line = next_line(offered);
    if (!line)
        return CPH_E_NOMEM;
    line->tag = offered->n + 1; /* RFC 4568 4.1, 5.1.1 MUST: unique */
    line->suite = suite;
    line->n_keys = 1;
    if (before) {
        line->key[0] = *before;
        line->used = s->keyed && same_kind(&s->deal.mine, suite, set != NULL);
    } else {
        CPH_TRY(sdes_key_new(s, suite, s->cfg.mki_n, &line->key[0]));
        if (s->keyed)
            sdes_mki_after(&s->deal.mine.key[0], &line->key[0]);
    }
    if (set) {
        line->ekt = true;
        line->set = *set;
        if (set->salt.n == 0)
            line->set.salt = line->key[0].salt;
        memcpy(line->key[0].salt.b, line->set.salt.b, suite->salt_n);
        if (set->ttl_s == 0)
            line->set.ttl_s = CPH_EKT_TTL_MAX;
    }
    offered->n++;
    return CPH_OK;
}

/* ---- committing ----------------------------------------------------------------------------- */

bool sdes_key_in(const struct cph_srtp_key *key, const struct sdes_line *line)
{
    for (unsigned i = 0; i < line->n_keys; i++)
        if (sdes_key_eq(key, &line->key[i]))
            return true;
    return false;
}

/* Is there a master key that goes on? Then its streams do. */
bool sdes_keys_go_on(const struct sdes_line *was, const struct sdes_line *is)
{
    bool any = false;

    for (unsigned i = 0; was->suite == is->suite && i < is->n_keys; i++)
        any |= sdes_key_in(&is->key[i], was);
    return any;
}

static bool same_keys(const struct sdes_line *was, const struct sdes_line *is)
{
    bool all = was->suite == is->suite && was->n_keys == is->n_keys;

    for (unsigned i = 0; all && i < is->n_keys; i++) {
        const struct cph_srtp_key *a = &was->key[i], *b = &is->key[i];

        /* the MKI is public */
        all = sdes_key_eq(a, b) && a->mki_n == b->mki_n && memcmp(a->mki, b->mki, a->mki_n) == 0 &&
              a->lifetime_rtp == b->lifetime_rtp;
    }
    return all;
}

bool sdes_same_set(const struct sdes_line *a, const struct sdes_line *b)
{
    if (!a->ekt || !b->ekt)
        return a->ekt == b->ekt;
    return a->set.spi == b->set.spi && a->set.cipher == b->set.cipher &&
           cph_ct_eq(cph_secret_span(&a->set.key), cph_secret_span(&b->set.key));
}

static bool same_line(const struct sdes_line *was, const struct sdes_line *is)
{
    return same_keys(was, is) && sdes_same_set(was, is) && was->kdr == is->kdr &&
           was->wsh == is->wsh && was->unencrypted_rtp == is->unencrypted_rtp &&
           was->unencrypted_rtcp == is->unencrypted_rtcp &&
           was->unauthenticated_rtp == is->unauthenticated_rtp;
}

static void commit_dir(struct sdes *s, enum cph_keying_dir dir, const struct sdes_line *was,
                       const struct sdes_line *is, bool did_move)
{
    bool go_on = s->keyed && sdes_keys_go_on(was, is);

    s->status.dir[dir].roc_doubt = false;
    if (go_on && did_move) {
        s->status.dir[dir].roc_doubt = dir == CPH_KEYING_RECV;
        s->notes |= dir == CPH_KEYING_RECV ? CPH_KEYING_NOTE_KEY_KEPT_ON_MOVE : 0;
    }
    if (s->keyed && same_line(was, is))
        return;
    s->status.dir[dir].generation++;
    s->status.dir[dir].streams = go_on ? CPH_KEYING_STREAMS_KEEP : CPH_KEYING_STREAMS_FRESH;
    if (s->keyed && !go_on && !did_move)
        s->status.dir[dir].roc_doubt = dir == CPH_KEYING_RECV;
}

/* The only writer of the deal. */
void sdes_commit(struct sdes *s, const struct sdes_deal *next)
{
    commit_dir(s, CPH_KEYING_SEND, &s->deal.mine, &next->mine,
               sdes_moved(&s->deal.my_place, &next->my_place));
    commit_dir(s, CPH_KEYING_RECV, &s->deal.theirs, &next->theirs,
               sdes_moved(&s->deal.their_place, &next->their_place));
    struct sdes_place mine = s->deal.my_place, theirs = s->deal.their_place;

    s->deal = *next;
    if (!sdes_place_known(&s->deal.my_place))
        s->deal.my_place = mine; /* held by address: where it was */
    if (!sdes_place_known(&s->deal.their_place))
        s->deal.their_place = theirs;
    s->keyed = true;
    s->renew = false;
    s->status.state = CPH_KEYING_KEYED;
}

/*
 * Negotiation for one m= line. The offerer writes what every mechanism of its list has to say into
 * one section; the answerer takes the first of its own list that the offer has and can use.
 *
 *   policy    our offer                 answer without keys     offer without keys
 *   required  RTP/SAVP or the method's  fails                   refused
 *   prefer    RTP/AVP with keys         RTP, noted              RTP, noted
 *   none      RTP/AVP                   RTP                     RTP; RTP/SAVP is still keyed
 *
 * A stream that has keys never loses them to a later exchange, but under none.
 */
#include "keying_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/keying_ekt.h"
#include "ciphony/srtp.h"

struct slot {
    const struct cph_keying_method *method;
    struct cph_keying *k; /* NULL until it is needed */
};

struct cph_nego {
    struct cph_nego_cfg cfg;
    struct slot slot[CPH_KEYING_MAX_METHODS]; /* in policy order */
    unsigned n;
    unsigned generations[2];    /* of instances that were chosen before, by direction */
    int chosen;                 /* slot, or -1 */
    bool open;                  /* our offer may be answered */
    enum cph_sdp_proto profile; /* of the exchange that holds, or of our offer */
    enum cph_sdp_proto offered_profile;
    enum cph_nego_outcome outcome;
    unsigned offered;      /* methods of our offer, as bits of slots */
    unsigned peer_offered; /* the peer's, as bits of the table */
    unsigned notes;
    bool cryptex_offered, cryptex; /* we said it; both did */
    cph_err err;
    const char *why;
};

static bool needs_met(const struct cph_keying_method *m, const struct cph_keying_cfg *cfg)
{
    if ((m->needs & CPH_KEYING_NEEDS_CERT) && (!cfg->key || !cfg->cert))
        return false;
    if ((m->needs & CPH_KEYING_NEEDS_MIKEY) && !cfg->mikey)
        return false;
    if ((m->needs & CPH_KEYING_NEEDS_ZRTP) && !cfg->zrtp)
        return false;
    return !(m->needs & CPH_KEYING_NEEDS_PSK) || cfg->psk;
}

cph_err cph_nego_new(const struct cph_nego_cfg *cfg, struct cph_nego **out)
{
    const struct cph_keying_method *const *rows = cfg->methods ? cfg->methods : cph_keying_methods;
    struct cph_nego *n = calloc(1, sizeof *n);

    if (!n)
        return CPH_E_NOMEM;
    n->cfg = *cfg;
    n->chosen = -1;
    for (size_t i = 0; rows[i] && n->n < CPH_KEYING_MAX_METHODS; i++)
        if (needs_met(rows[i], &cfg->keying) && (cfg->methods || !rows[i]->named_only))
            n->slot[n->n++].method = rows[i];
    if (n->n == 0 && cfg->policy == CPH_KEYING_REQUIRED) {
        free(n);
        return CPH_E_CONFIG;
    }
    *out = n;
    return CPH_OK;
}

void cph_nego_free(struct cph_nego *n)
{
    if (!n)
        return;
    for (unsigned i = 0; i < n->n; i++)
        cph_keying_free(n->slot[i].k);
    free(n);
}

cph_err cph_nego_fork(const struct cph_nego *n, struct cph_nego **out)
{
    struct cph_nego *b;
    cph_err err = CPH_OK;

    if (!n->open)
        return CPH_E_STATE;
    b = calloc(1, sizeof *b);
    if (!b)
        return CPH_E_NOMEM;
    b->cfg = n->cfg;
    b->n = n->n;
    b->chosen = -1;
    b->open = true;
    b->profile = b->offered_profile = n->offered_profile;
    b->offered = n->offered;
    b->cryptex_offered = n->cryptex_offered;
    for (unsigned i = 0; i < n->n && err == CPH_OK; i++) {
        b->slot[i].method = n->slot[i].method;
        if (n->slot[i].k)
            err = n->slot[i].method->fork(n->slot[i].k, &b->slot[i].k);
    }
    if (err != CPH_OK) {
        cph_nego_free(b);
        return err;
    }
    *out = b;
    return CPH_OK;
}

/* ---- helpers -------------------------------------------------------------------------------- */

static cph_err slot_open(struct cph_nego *n, unsigned i)
{
    return n->slot[i].k ? CPH_OK : n->slot[i].method->make(&n->cfg.keying, &n->slot[i].k);
}

/* Nobody but the chosen one is needed any more. */
static void drop_others(struct cph_nego *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if ((int)i != n->chosen) {
            cph_keying_free(n->slot[i].k);
            n->slot[i].k = NULL;
        }
}

/* The next instance's generations go on where those of this one end. */
static void retire(struct cph_nego *n)
{
    struct cph_keying_status st = { 0 };

    if (n->chosen < 0)
        return;
    n->slot[n->chosen].method->status(n->slot[n->chosen].k, &st);
    for (int d = 0; d < 2; d++)
        n->generations[d] += st.dir[d].generation;
    n->chosen = -1;
}

/* The stream is gone or in clear: what keys there were are not used again. */
static void forget(struct cph_nego *n)
{
    retire(n);
    drop_others(n);
}

static bool has_keys(const struct cph_nego *n)
{
    return n->outcome == CPH_NEGO_SECURE;
}

static cph_err settle(struct cph_nego *n, enum cph_nego_outcome outcome, const char *why)
{
    n->outcome = outcome;
    n->err = CPH_OK;
    n->why = why;
    return CPH_OK;
}

/* An exchange that went wrong: it does not take away what an earlier one gave. */
static cph_err fail(struct cph_nego *n, cph_err err, const char *why)
{
    n->err = err;
    n->why = why;
    if (has_keys(n))
        n->notes |= CPH_KEYING_NOTE_DOWNGRADE_REFUSED;
    else if (n->outcome != CPH_NEGO_REMOVED) /* a stream that is gone stays so */
        n->outcome = CPH_NEGO_FAILED;
    return err;
}

static void choose(struct cph_nego *n, unsigned i, enum cph_sdp_proto profile)
{
    if (n->chosen >= 0 && (int)i > n->chosen)
        n->notes |= CPH_KEYING_NOTE_LOWER_METHOD;
    if (n->chosen != (int)i)
        retire(n);
    n->chosen = (int)i;
    n->profile = profile;
    n->notes &= ~(unsigned)(CPH_KEYING_NOTE_PEER_PLAIN | CPH_KEYING_NOTE_PEER_NEVER_ASKED |
                            CPH_KEYING_NOTE_OPPORTUNISTIC);
    if (!cph_sdp_proto_secure(profile))
        n->notes |= CPH_KEYING_NOTE_OPPORTUNISTIC;
    (void)settle(n, CPH_NEGO_SECURE, NULL);
}

static bool is_tls(enum cph_sdp_proto p)
{
    return p == CPH_SDP_UDP_TLS_RTP_SAVP || p == CPH_SDP_UDP_TLS_RTP_SAVPF;
}

/* RFC 5764 8: UDP/TLS/RTP/SAVP(F) says DTLS, whatever else stands in the section. */
static bool fits_profile(const struct cph_keying_method *m, enum cph_sdp_proto p)
{
    return !is_tls(p) || is_tls(m->profile);
}

/* Methods whose attributes the section has, as bits of slots; and of the table for the evidence. */
static unsigned present(const struct cph_nego *n, const struct cph_keying_remote *r,
                        unsigned *table)
{
    unsigned slots = 0;

    *table = 0;
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].method->present(r) && fits_profile(n->slot[i].method, r->media->proto))
            slots |= 1U << i;
    for (size_t i = 0; cph_keying_methods[i]; i++)
        if (cph_keying_methods[i]->present(r))
            *table |= 1U << i;
    return slots;
}

/* RFC 9335 4: a property of the section, or of the session for all of them. */
static const char CRYPTEX[] = "cryptex";

static bool says_cryptex(const struct cph_keying_remote *r)
{
    return cph_sdp_attr_any(r->sdp, r->media, CRYPTEX) != NULL;
}

/* ---- offering ------------------------------------------------------------------------------- */

static enum cph_sdp_proto with_feedback(enum cph_sdp_proto p, bool feedback)
{
    switch (p) {
    case CPH_SDP_RTP_AVP:
        return feedback ? CPH_SDP_RTP_AVPF : p;
    case CPH_SDP_RTP_SAVP:
        return feedback ? CPH_SDP_RTP_SAVPF : p;
    case CPH_SDP_UDP_TLS_RTP_SAVP:
        return feedback ? CPH_SDP_UDP_TLS_RTP_SAVPF : p;
    case CPH_SDP_PROTO_OTHER:
    case CPH_SDP_RTP_AVPF:
    case CPH_SDP_RTP_SAVPF:
    case CPH_SDP_UDP_TLS_RTP_SAVPF:
        break;
    }
    return p;
}

/*
 * RTP/SAVP for several methods at once: a peer that knows SDES alone understands it, and one that
 * knows DTLS sees the fingerprint. UDP/TLS/RTP/SAVP would turn the first away.
 */
static enum cph_sdp_proto offer_profile(const struct cph_nego *n)
{
    if (has_keys(n))
        return n->profile; /* a stream keeps the profile it has */
    if (n->cfg.profile != CPH_SDP_PROTO_OTHER)
        return n->cfg.profile;
    if (n->cfg.policy != CPH_KEYING_REQUIRED) /* RFC 8643 3.1 */
        return with_feedback(CPH_SDP_RTP_AVP, n->cfg.feedback);
    return with_feedback(n->n == 1 ? n->slot[0].method->profile : CPH_SDP_RTP_SAVP,
                         n->cfg.feedback);
}

static bool offers(const struct cph_nego *n, unsigned i, enum cph_sdp_proto profile)
{
    if (has_keys(n))
        return (int)i == n->chosen;
    return n->cfg.policy != CPH_KEYING_NONE && fits_profile(n->slot[i].method, profile);
}

cph_err cph_nego_offer(struct cph_nego *n, const struct cph_keying_local *offer)
{
    enum cph_sdp_proto profile = offer_profile(n);
    unsigned offered = 0;

    if (offer->media->port == 0)
        return CPH_OK;
    CPH_TRY(cph_sdp_media_set_proto(offer->sdp, offer->media, profile));
    for (unsigned i = 0; i < n->n; i++) {
        if (!offers(n, i, profile))
            continue;
        CPH_TRY(slot_open(n, i));
        CPH_TRY(n->slot[i].method->offer(n->slot[i].k, offer));
        offered |= 1U << i;
    }
    if (offered == 0 && (n->cfg.policy == CPH_KEYING_REQUIRED || cph_sdp_proto_secure(profile)))
        return CPH_E_CONFIG; /* a secure profile without a key, or no method for the profile wished
                              */
    if (has_keys(n))
        drop_others(n);
    if (n->cfg.cryptex && offered != 0)
        CPH_TRY(cph_sdp_attr_add(offer->sdp, offer->media, CRYPTEX, NULL));
    n->cryptex_offered = n->cfg.cryptex && offered != 0;
    n->offered = offered;
    n->offered_profile = profile;
    n->open = true;
    return CPH_OK;
}

/* ---- answering ------------------------------------------------------------------------------ */

static cph_err refuse(struct cph_nego *n, const struct cph_keying_local *answer, cph_err err,
                      const char *why)
{
    CPH_TRY(cph_sdp_media_refuse(answer->sdp, answer->media));
    return fail(n, err, why);
}

/* The chosen method first, then in policy order. */
static unsigned nth_candidate(const struct cph_nego *n, unsigned i)
{
    if (n->chosen < 0)
        return i;
    if (i == 0)
        return (unsigned)n->chosen;
    return i <= (unsigned)n->chosen ? i - 1 : i;
}

static bool is_ours(cph_err err)
{
    return cph_err_blame(err) != CPH_BLAME_PEER && err != CPH_E_NOTFOUND;
}

/* Try each method the offer has. CPH_E_NOTFOUND if it has none; the first error if none can be
 * used. */
static cph_err answer_with_keys(struct cph_nego *n, unsigned slots,
                                const struct cph_keying_remote *offer,
                                const struct cph_keying_local *answer)
{
    cph_err first = CPH_E_NOTFOUND;

    for (unsigned at = 0; at < n->n; at++) {
        unsigned i = nth_candidate(n, at);
        cph_err err;

        if (!(slots & 1U << i))
            continue;
        CPH_TRY(slot_open(n, i));
        err = n->slot[i].method->answer(n->slot[i].k, offer, answer);
        if (err == CPH_OK) {
            choose(n, i, offer->media->proto);
            drop_others(n);
            return CPH_OK;
        }
        if (is_ours(err))
            return err;
        n->notes |= CPH_KEYING_NOTE_LOST_METHOD;
        if (first == CPH_E_NOTFOUND)
            first = err;
    }
    return first;
}

static cph_err removed(struct cph_nego *n, const char *why)
{
    forget(n);
    n->open = false;
    return settle(n, CPH_NEGO_REMOVED, why);
}

static cph_err answer_plain(struct cph_nego *n, enum cph_sdp_proto profile, bool asked)
{
    forget(n);
    n->profile = profile;
    n->notes &= ~(unsigned)CPH_KEYING_NOTE_OPPORTUNISTIC;
    n->notes |= asked ? 0 : CPH_KEYING_NOTE_PEER_NEVER_ASKED;
    return settle(n, CPH_NEGO_PLAIN,
                  asked ? "the keys offered could not be used, and policy takes RTP"
                        : "the offer had no keys, and policy takes RTP");
}

cph_err cph_nego_answer(struct cph_nego *n, const struct cph_keying_remote *offer,
                        const struct cph_keying_local *answer)
{
    bool secure = cph_sdp_proto_secure(offer->media->proto);
    unsigned slots = present(n, offer, &n->peer_offered);
    cph_err err = CPH_E_NOTFOUND;

    n->open = false;
    if (answer->media->port == 0)
        return removed(n, NULL);
    /* RFC 8643 3.2: keys under RTP/AVP are an invitation, which policy none declines */
    if (n->cfg.policy != CPH_KEYING_NONE || secure || has_keys(n))
        err = answer_with_keys(n, slots, offer, answer);
    if (err == CPH_OK) {
        n->cryptex = n->cfg.cryptex && says_cryptex(offer);
        return n->cryptex ? cph_sdp_attr_add(answer->sdp, answer->media, CRYPTEX, NULL) : CPH_OK;
    }
    if (is_ours(err))
        return err;
    /* RFC 4568 5.1.2 MUST: an offer under a secure profile without a usable key is rejected */
    if (secure)
        return refuse(n, answer, CPH_E_POLICY,
                      slots ? "no key in the offer can be used"
                            : "the offer has a secure profile but no keys we know");
    if (n->cfg.policy == CPH_KEYING_REQUIRED)
        return refuse(n, answer, CPH_E_POLICY,
                      slots ? "no key in the offer can be used"
                            : "the offer has no keys, and policy requires them");
    if (has_keys(n) && n->cfg.policy != CPH_KEYING_NONE)
        return refuse(n, answer, CPH_E_POLICY, "the peer wanted to go on without keys");
    return answer_plain(n, offer->media->proto, slots != 0);
}

/* ---- reading the answer --------------------------------------------------------------------- */

static cph_err finish_plain(struct cph_nego *n, enum cph_sdp_proto profile)
{
    /* RFC 4568 5.3 MUST, and we fail closed: keys were demanded and none came */
    if (cph_sdp_proto_secure(n->offered_profile) || cph_sdp_proto_secure(profile) ||
        n->cfg.policy == CPH_KEYING_REQUIRED)
        return fail(n, CPH_E_POLICY, "the answer has no keys");
    if (has_keys(n) && n->cfg.policy != CPH_KEYING_NONE)
        return fail(n, CPH_E_POLICY, "the peer wanted to go on without keys");
    retire(n);
    n->profile = profile;
    n->notes &= ~(unsigned)CPH_KEYING_NOTE_OPPORTUNISTIC;
    if (n->offered)
        n->notes |= CPH_KEYING_NOTE_PEER_PLAIN;
    return settle(n, CPH_NEGO_PLAIN,
                  n->offered ? "the answer took no keys, or somebody took them out"
                             : "no keys were offered");
}

/* The first slot of a set, -1 if it is empty. */
static int first_of(const struct cph_nego *n, unsigned slots)
{
    for (unsigned i = 0; i < n->n; i++)
        if ((slots & 1U << i) && n->slot[i].k)
            return (int)i;
    return -1;
}

cph_err cph_nego_finish(struct cph_nego *n, const struct cph_keying_remote *answer)
{
    unsigned slots = present(n, answer, &n->peer_offered) & n->offered;
    enum cph_sdp_proto profile = answer->media->proto;
    int i;
    cph_err err;

    if (!n->open)
        return CPH_E_STATE;
    if (answer->media->port == 0)
        return removed(n, "the peer refused the stream");
    /* What was offered as protected is not taken back by an answer under an open profile. */
    if (cph_sdp_proto_secure(n->offered_profile) && !cph_sdp_proto_secure(profile))
        return fail(n, CPH_E_POLICY, "the answer changed the secure profile to an open one");
    i = first_of(n, slots);
    if (i < 0)
        return finish_plain(n, profile);
    /* RFC 8643 3.2 says one method only; we go by our own order and note it */
    if (slots & (slots - 1))
        n->notes |= CPH_KEYING_NOTE_SEVERAL_ANSWERED;
    err = n->slot[i].method->finish(n->slot[i].k, answer);
    if (err != CPH_OK) /* RFC 8643 3.3 MUST: keys that fail are not replaced by RTP */
        return fail(n, err == CPH_E_NOTFOUND ? CPH_E_MALFORMED : err,
                    "the keys of the answer cannot be used");
    if (n->offered & ((1U << i) - 1)) /* one we like better was offered too */
        n->notes |= CPH_KEYING_NOTE_NOT_BEST;
    choose(n, (unsigned)i, profile);
    n->cryptex = n->cryptex_offered && says_cryptex(answer);
    return CPH_OK;
}

void cph_nego_rollback(struct cph_nego *n)
{
    if (!n->open)
        return;
    n->open = false;
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].k)
            n->slot[i].method->rollback(n->slot[i].k);
}

void cph_nego_renew(struct cph_nego *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].k && n->slot[i].method->renew)
            n->slot[i].method->renew(n->slot[i].k);
}

/* ---- what came out -------------------------------------------------------------------------- */

static struct cph_keying *chosen(const struct cph_nego *n)
{
    return n->chosen >= 0 ? n->slot[n->chosen].k : NULL;
}

/* Is this method still in the game: chosen, or nothing is settled yet? */
static struct cph_keying *alive(const struct cph_nego *n, unsigned i)
{
    if (n->outcome != CPH_NEGO_OPEN && n->outcome != CPH_NEGO_SECURE)
        return NULL;
    return n->chosen < 0 || n->chosen == (int)i ? n->slot[i].k : NULL;
}

void cph_nego_status(const struct cph_nego *n, struct cph_nego_status *out)
{
    struct cph_keying *k = chosen(n);

    memset(out, 0, sizeof *out);
    out->outcome = n->outcome;
    out->err = n->err;
    out->why = n->why;
    if (!k)
        return;
    out->method = k->method;
    k->method->status(k, &out->keying);
    for (int d = 0; d < 2; d++) {
        if (out->keying.dir[d].generation == 1)
            out->keying.dir[d].streams = CPH_KEYING_STREAMS_FRESH; /* nothing to keep yet */
        if (out->keying.dir[d].generation > 0)
            out->keying.dir[d].generation += n->generations[d];
    }
    if (out->outcome == CPH_NEGO_SECURE && out->keying.state == CPH_KEYING_FAILED) {
        out->outcome = CPH_NEGO_FAILED;
        out->err = out->keying.err;
        out->why = out->keying.why;
    }
}

void cph_nego_evidence(const struct cph_nego *n, struct cph_keying_evidence *out)
{
    struct cph_keying *k = chosen(n);

    memset(out, 0, sizeof *out);
    if (k)
        k->method->evidence(k, out);
    out->notes |= n->notes;
    for (unsigned i = 0; i < n->n; i++)
        if (n->offered & 1U << i)
            out->offered |= cph_keying_method_bit(n->slot[i].method);
    out->peer_offered = n->peer_offered;
}

struct cph_keying *cph_nego_instance(const struct cph_nego *n)
{
    return chosen(n);
}

cph_err cph_nego_keys(const struct cph_nego *n, enum cph_keying_component component,
                      enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    struct cph_keying *k = chosen(n);

    if (!k)
        return CPH_E_AGAIN;
    CPH_TRY(k->method->keys(k, component, dir, i, out));
    out->cryptex = n->cryptex && out->suite->encrypts && !out->unencrypted_rtp && !out->suite->half;
    return CPH_OK;
}

cph_err cph_nego_ekt(const struct cph_nego *n, struct cph_ekt_params *out)
{
    struct cph_keying *k = chosen(n);

    if (!k)
        return CPH_E_AGAIN;
    return k->method->ekt ? k->method->ekt(k, out) : CPH_E_NOTFOUND;
}

unsigned cph_nego_hints(const struct cph_nego *n, struct cph_keying_hint *out, unsigned cap)
{
    struct cph_keying *k = chosen(n);

    return k && k->method->hints ? k->method->hints(k, out, cap) : 0;
}

static struct cph_keying *claimant(const struct cph_nego *n, struct cph_span packet)
{
    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);

        if (k && k->method->claims && k->method->claims(packet))
            return k;
    }
    return NULL;
}

bool cph_nego_claims(const struct cph_nego *n, struct cph_span packet)
{
    return claimant(n, packet) != NULL;
}

cph_err cph_nego_feed(struct cph_nego *n, enum cph_keying_component component,
                      const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct cph_keying *k = claimant(n, packet);

    return k ? cph_keying_feed(k, component, from, packet, now) : CPH_E_UNSUPPORTED;
}

cph_err cph_nego_pull(struct cph_nego *n, struct cph_keying_packet *out, cph_time now)
{
    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);
        cph_err err = k ? cph_keying_pull(k, out, now) : CPH_E_AGAIN;

        if (err != CPH_E_AGAIN)
            return err;
    }
    return CPH_E_AGAIN;
}

cph_time cph_nego_deadline(const struct cph_nego *n)
{
    cph_time first = CPH_TIME_NEVER;

    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);
        cph_time at = k ? cph_keying_deadline(k) : CPH_TIME_NEVER;

        first = at < first ? at : first;
    }
    return first;
}

void cph_nego_tick(struct cph_nego *n, cph_time now)
{
    for (unsigned i = 0; i < n->n; i++)
        if (alive(n, i))
            cph_keying_tick(alive(n, i), now);
}

#include "ciphony/session_verdict.h"

#include <string.h>

#include "ciphony/session_policy.h"

/*
 * Everything below is monotone: a fact is compared with >= against the least that earns a grade, a
 * grade is lowered by taking the smaller one, and lists must be complete. docs/verdict.md is the
 * same as a table.
 */

struct grade {
    enum cph_level level;
    enum cph_attacker attacker;
};

static const struct grade open_i = { CPH_LEVEL_OPEN, CPH_ATTACKER_I };
static const struct grade hop_i = { CPH_LEVEL_HOP, CPH_ATTACKER_I };
static const struct grade hop_ii = { CPH_LEVEL_HOP, CPH_ATTACKER_II };
static const struct grade private_iii = { CPH_LEVEL_PRIVATE, CPH_ATTACKER_III };
static const struct grade identified_iii = { CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_III };
static const struct grade identified_iv = { CPH_LEVEL_IDENTIFIED, CPH_ATTACKER_IV };
static const struct grade verified_iv = { CPH_LEVEL_VERIFIED, CPH_ATTACKER_IV };

static struct grade lower(struct grade a, struct grade b)
{
    return (struct grade){ a.level < b.level ? a.level : b.level,
                           a.attacker < b.attacker ? a.attacker : b.attacker };
}

/* What the signalling path is worth, by the worst of its hops. */
enum path {
    PATH_OPEN,              /* a hop in clear, or one we know nothing of */
    PATH_HOPS,              /* each hop encrypted; who is at their ends may read */
    PATH_DOMAIN,            /* our own flow into the peer's domain, name checked */
    PATH_PEER_BY_AUTHORITY, /* our own flow to the peer's device, by an authority */
    PATH_PEER_BY_PIN,       /* ... by the users' own pin */
};

struct judge {
    const struct cph_evidence *ev;
    const struct cph_policy *policy;
    struct cph_verdict *v;
    struct cph_verdict_reason note[CPH_VERDICT_REASONS]; /* reasons that lower nothing */
    unsigned notes_n;
    enum path path;
    bool sealed; /* the path is that good because nobody on it could read or write */
};

static void because(struct judge *j, enum cph_reason code, enum cph_reason_about about,
                    unsigned index)
{
    if (j->v->reasons_n < CPH_VERDICT_REASONS)
        j->v->reason[j->v->reasons_n++] = (struct cph_verdict_reason){ code, about, index };
}

static void note(struct judge *j, enum cph_reason code, enum cph_reason_about about, unsigned index)
{
    if (j->notes_n < CPH_VERDICT_REASONS)
        j->note[j->notes_n++] = (struct cph_verdict_reason){ code, about, index };
}

/* ---- hops ------------------------------------------------------------------------------------ */

static enum path path_of_hop(struct judge *j, unsigned i)
{
    const struct cph_hop_facts *h = &j->ev->hop[i];
    enum path by_owner[] = {
        [CPH_HOP_WHOSE_UNKNOWN] = PATH_HOPS,
        [CPH_HOP_WHOSE_NEXT] = PATH_HOPS,
        [CPH_HOP_WHOSE_DOMAIN] = PATH_DOMAIN,
        [CPH_HOP_WHOSE_PEER] = PATH_PEER_BY_AUTHORITY,
    };

    if (h->transport < CPH_HOP_TLS12) {
        note(j, h->transport == CPH_HOP_TLS_OLD ? CPH_REASON_HOP_OLD_TLS : CPH_REASON_HOP_OPEN,
             CPH_ABOUT_HOP, i);
        return PATH_OPEN;
    }
    if (h->auth < CPH_HOP_AUTH_NONE) { /* anybody may be in between */
        note(j, CPH_REASON_HOP_UNCHECKED, CPH_ABOUT_HOP, i);
        return PATH_OPEN;
    }
    if (h->seen < CPH_HOP_SEEN_OURS) {
        note(j, CPH_REASON_HOP_CLAIMED, CPH_ABOUT_HOP, i);
        return h->seen == CPH_HOP_SEEN_CLAIMED ? PATH_HOPS : PATH_OPEN;
    }
    if (h->auth < CPH_HOP_AUTH_AUTHORITY) {
        note(j, CPH_REASON_HOP_UNCHECKED, CPH_ABOUT_HOP, i);
        return PATH_HOPS;
    }
    if (h->whose == CPH_HOP_WHOSE_PEER && h->auth == CPH_HOP_AUTH_PINNED)
        return PATH_PEER_BY_PIN;
    return by_owner[h->whose];
}

static void judge_path(struct judge *j)
{
    bool complete = j->ev->hops_n > 0 && j->ev->hops_n == j->ev->hops_told;
    enum path worst = PATH_PEER_BY_PIN;

    for (unsigned i = 0; i < j->ev->hops_n; i++) {
        enum path p = path_of_hop(j, i);

        if (p < worst)
            worst = p;
    }
    if (!complete)
        note(j, CPH_REASON_HOP_MISSING, CPH_ABOUT_CALL, 0);
    j->path = complete ? worst : PATH_OPEN;
}

/* RFC 3261 23.3: bodies sealed from end to end have gone straight to the peer, whatever carried
 * them. */
static void judge_seal(struct judge *j)
{
    static const enum path by_seal[] = {
        [CPH_SEAL_UNKNOWN] = PATH_OPEN,
        [CPH_SEAL_NONE] = PATH_OPEN,
        [CPH_SEAL_AUTHORITY] = PATH_PEER_BY_AUTHORITY,
        [CPH_SEAL_PINNED] = PATH_PEER_BY_PIN,
    };

    j->sealed = by_seal[j->ev->seal] > j->path;
    if (j->sealed)
        j->path = by_seal[j->ev->seal];
    if (j->ev->seal >= CPH_SEAL_AUTHORITY)
        note(j, CPH_REASON_SEALED, CPH_ABOUT_CALL, 0);
}

/* Keys in the messages that only the peer could read. */
static void note_delivery(struct judge *j, unsigned i)
{
    note(j, j->sealed ? CPH_REASON_NOT_FORWARD : CPH_REASON_KEYS_AT_PEER_ONLY, CPH_ABOUT_STREAM, i);
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct vouching {
    enum cph_voucher who;
    struct grade grade;
    enum cph_reason reason;
    bool by_hop; /* the hop's name is the voucher's */
};

/* The best claim to who the other end is, from keying, from a proof over the body, from the path.
 */
static struct vouching vouching_of(const struct judge *j, const struct cph_stream_facts *s)
{
    static const enum cph_reason reason[] = {
        [CPH_VOUCHER_PIN] = CPH_REASON_PIN_VOUCHES,
        [CPH_VOUCHER_PAIRED] = CPH_REASON_PAIRED_VOUCHES,
        [CPH_VOUCHER_SECRET] = CPH_REASON_SECRET_VOUCHES,
        [CPH_VOUCHER_COMPARED] = CPH_REASON_COMPARED_VOUCHES,
    };
    bool authorities = !j->policy->no_authorities;

    if (s->vouched_by >= CPH_VOUCHER_PIN)
        return (struct vouching){ s->vouched_by, verified_iv, reason[s->vouched_by], false };
    if (j->ev->proof == CPH_PROOF_COVERED)
        return (struct vouching){ CPH_VOUCHER_SECRET, verified_iv, CPH_REASON_SECRET_VOUCHES,
                                  false };
    if (j->path == PATH_PEER_BY_PIN)
        return (struct vouching){ CPH_VOUCHER_PIN, verified_iv, CPH_REASON_PIN_VOUCHES, true };
    if (s->vouched_by == CPH_VOUCHER_AUTHORITY && authorities)
        return (struct vouching){ CPH_VOUCHER_AUTHORITY, identified_iv,
                                  CPH_REASON_AUTHORITY_VOUCHES, false };
    if (j->path == PATH_PEER_BY_AUTHORITY && authorities)
        return (struct vouching){ CPH_VOUCHER_AUTHORITY, identified_iv,
                                  CPH_REASON_AUTHORITY_VOUCHES, true };
    if ((j->path == PATH_DOMAIN || s->vouched_by == CPH_VOUCHER_DOMAIN) && authorities)
        return (struct vouching){ CPH_VOUCHER_DOMAIN, identified_iii, CPH_REASON_DOMAIN_VOUCHES,
                                  j->path == PATH_DOMAIN };
    if (j->path >= PATH_DOMAIN || s->vouched_by >= CPH_VOUCHER_DOMAIN)
        return (struct vouching){ CPH_VOUCHER_NOBODY, private_iii, CPH_REASON_AUTHORITY_UNUSED,
                                  false };
    return (struct vouching){ CPH_VOUCHER_NOBODY, private_iii, CPH_REASON_NOBODY_VOUCHES, false };
}

static struct grade keys_signalled(struct judge *j, unsigned i, struct vouching *who)
{
    /* RFC 4568 8.3: who reads the message has the keys, so only a path that ends at the peer keeps
     * them. */
    if (j->path == PATH_OPEN) {
        because(j, CPH_REASON_KEYS_ON_OPEN_HOP, CPH_ABOUT_STREAM, i);
        return open_i;
    }
    if (j->path == PATH_PEER_BY_PIN) {
        note_delivery(j, i);
        *who = (struct vouching){ CPH_VOUCHER_PIN, verified_iv, CPH_REASON_PIN_VOUCHES, true };
        return verified_iv;
    }
    if (j->path == PATH_PEER_BY_AUTHORITY && !j->policy->no_authorities) {
        note_delivery(j, i);
        *who = (struct vouching){ CPH_VOUCHER_AUTHORITY, identified_iv,
                                  CPH_REASON_AUTHORITY_VOUCHES, true };
        return identified_iv;
    }
    because(j, CPH_REASON_KEYS_AT_HOPS, CPH_ABOUT_STREAM, i);
    return hop_i;
}

/* Could nobody but the peer have written what came? A domain's server could. */
static bool path_is_ours(const struct judge *j)
{
    return j->path == PATH_PEER_BY_PIN || j->ev->proof == CPH_PROOF_COVERED ||
           (j->path == PATH_PEER_BY_AUTHORITY && !j->policy->no_authorities);
}

/* In words, what ties the keys to the peer. */
static enum cph_reason bound_by(const struct cph_stream_facts *s)
{
    if (s->vouched_by >= CPH_VOUCHER_SECRET)
        return CPH_REASON_BOUND_BY_USERS;
    if (s->binding == CPH_BINDING_PATH)
        return s->vouched_by >= CPH_VOUCHER_PIN ? CPH_REASON_BOUND_BY_USERS
                                                : CPH_REASON_BOUND_BY_PATH;
    return CPH_REASON_BOUND;
}

static struct grade keys_agreed(struct judge *j, unsigned i, struct vouching *who)
{
    static const enum cph_reason bad_binding[] = {
        [CPH_BINDING_UNKNOWN] = CPH_REASON_BINDING_UNKNOWN,
        [CPH_BINDING_MISMATCH] = CPH_REASON_MISMATCH,
        [CPH_BINDING_SHARED] = CPH_REASON_BINDING_SHARED,
        [CPH_BINDING_BROKEN] = CPH_REASON_BINDING_BROKEN,
        [CPH_BINDING_UNCOMPARED] = CPH_REASON_BINDING_UNCOMPARED,
        [CPH_BINDING_NONE] = CPH_REASON_BINDING_NONE,
        [CPH_BINDING_WEAK] = CPH_REASON_BINDING_WEAK,
    };
    const struct cph_stream_facts *s = &j->ev->stream[i];

    if (s->binding < CPH_BINDING_PATH) {
        because(j, bad_binding[s->binding], CPH_ABOUT_STREAM, i);
        return s->binding > CPH_BINDING_MISMATCH ? hop_ii : open_i;
    }
    /* What the users hold themselves needs no path. */
    if (s->binding == CPH_BINDING_PATH && s->vouched_by < CPH_VOUCHER_PIN && !path_is_ours(j)) {
        because(j, CPH_REASON_BINDING_PATH, CPH_ABOUT_STREAM, i);
        return hop_ii;
    }
    note(j, bound_by(s), CPH_ABOUT_STREAM, i);
    if (s->validity < CPH_VALIDITY_GOOD) {
        because(j, CPH_REASON_VALIDITY, CPH_ABOUT_STREAM, i);
        return private_iii;
    }
    *who = vouching_of(j, s);
    if (who->grade.level < CPH_LEVEL_IDENTIFIED && j->path == PATH_OPEN)
        because(j, CPH_REASON_PROMISE_OPEN, CPH_ABOUT_STREAM, i);
    return who->grade;
}

/* RFC 8870 6: no protection within the group, and nobody here knows who is in it. */
static struct grade members(struct judge *j, unsigned i)
{
    const struct cph_stream_facts *s = &j->ev->stream[i];

    if (s->members == CPH_MEMBERS_TWO)
        return verified_iv;
    if (s->keys > CPH_KEYS_NONE)
        because(
            j, s->members == CPH_MEMBERS_GROUP ? CPH_REASON_KEYS_GROUP : CPH_REASON_MEMBERS_UNKNOWN,
            CPH_ABOUT_STREAM, i);
    return hop_ii;
}

/* ---- packets --------------------------------------------------------------------------------- */

static struct grade guards(struct judge *j, unsigned i)
{
    static const enum cph_reason bad_guard[] = {
        [CPH_GUARD_UNKNOWN] = CPH_REASON_GUARD_UNKNOWN,
        [CPH_GUARD_CLEAR] = CPH_REASON_MEDIA_CLEAR,
        [CPH_GUARD_NULL_CIPHER] = CPH_REASON_NULL_CIPHER,
        [CPH_GUARD_UNAUTHENTICATED] = CPH_REASON_UNAUTHENTICATED,
        [CPH_GUARD_SHORT_TAG] = CPH_REASON_SHORT_TAG,
    };
    const struct cph_stream_facts *s = &j->ev->stream[i];
    enum cph_stream_guard worst = s->in < s->out ? s->in : s->out;
    struct grade g = verified_iv;

    if (worst < CPH_GUARD_SHORT_TAG)
        because(j, bad_guard[worst], CPH_ABOUT_STREAM, i);
    else if (worst == CPH_GUARD_SHORT_TAG)
        note(j, CPH_REASON_SHORT_TAG, CPH_ABOUT_STREAM, i);
    if (worst < CPH_GUARD_UNAUTHENTICATED)
        g = open_i;
    else if (worst == CPH_GUARD_UNAUTHENTICATED)
        g = private_iii;
    if (s->rtcp <= CPH_RTCP_CLEAR) {
        because(j, CPH_REASON_RTCP_CLEAR, CPH_ABOUT_STREAM, i);
        g = lower(g, hop_ii);
    } else if (s->rtcp == CPH_RTCP_UNENCRYPTED) {
        because(j, CPH_REASON_RTCP_UNENCRYPTED, CPH_ABOUT_STREAM, i);
        g = lower(g, private_iii);
    }
    return g;
}

static struct grade clear_packets(struct judge *j, unsigned i)
{
    const struct cph_stream_facts *s = &j->ev->stream[i];

    if (s->refused_in > 0)
        note(j, CPH_REASON_CLEAR_REFUSED, CPH_ABOUT_STREAM, i);
    if (!s->counted)
        because(j, CPH_REASON_NOT_COUNTED, CPH_ABOUT_STREAM, i);
    if (s->clear_in > 0)
        because(j, CPH_REASON_CLEAR_IN, CPH_ABOUT_STREAM, i);
    if (s->clear_out > 0)
        because(j, CPH_REASON_CLEAR_OUT, CPH_ABOUT_STREAM, i);
    return s->counted && s->clear_in == 0 && s->clear_out == 0 ? verified_iv : open_i;
}

/* ---- one stream, all streams ----------------------------------------------------------------- */

static struct grade judge_stream(struct judge *j, unsigned i, struct vouching *who)
{
    const struct cph_stream_facts *s = &j->ev->stream[i];
    struct grade g = open_i;

    *who = (struct vouching){ CPH_VOUCHER_NOBODY, open_i, CPH_REASON_NOBODY_VOUCHES, false };
    if (s->weak_group) /* why the facts below are no better */
        because(j, CPH_REASON_WEAK_GROUP, CPH_ABOUT_STREAM, i);
    if (s->weak_signature)
        because(j, CPH_REASON_WEAK_SIGNATURE, CPH_ABOUT_STREAM, i);
    switch (s->keys) {
    case CPH_KEYS_UNKNOWN:
        because(j, CPH_REASON_KEYS_UNKNOWN, CPH_ABOUT_STREAM, i);
        break;
    case CPH_KEYS_NONE: /* guards() says that media goes in clear */
        break;
    case CPH_KEYS_MIXED: {
        struct vouching signalled = *who;

        g = lower(keys_signalled(j, i, &signalled), keys_agreed(j, i, who));
        if (signalled.who < who->who)
            *who = signalled;
        break;
    }
    case CPH_KEYS_SIGNALLED:
        g = keys_signalled(j, i, who);
        break;
    case CPH_KEYS_AGREED:
        g = keys_agreed(j, i, who);
        break;
    }
    if (s->resumed)
        note(j, CPH_REASON_RESUMED, CPH_ABOUT_STREAM, i);
    if (s->rekeys > 0)
        note(j, CPH_REASON_REKEYED, CPH_ABOUT_STREAM, i);
    g = lower(g, members(j, i));
    g = lower(g, lower(guards(j, i), clear_packets(j, i)));
    if (j->ev->downgrade < CPH_DOWNGRADE_NONE)
        g = lower(g, hop_ii);
    if (who->who > CPH_VOUCHER_NOBODY)
        note(j, who->reason, CPH_ABOUT_STREAM, i);
    else if (s->keys > CPH_KEYS_NONE)
        because(j, who->reason, CPH_ABOUT_STREAM, i);
    return g;
}

static enum cph_ends ends_of(struct grade g, enum cph_key_path keys)
{
    switch (g.level) {
    case CPH_LEVEL_OPEN:
        break;
    case CPH_LEVEL_HOP:
        return keys == CPH_KEYS_AGREED ? CPH_ENDS_FAR : CPH_ENDS_HOP;
    case CPH_LEVEL_PRIVATE:
        return CPH_ENDS_FAR;
    case CPH_LEVEL_IDENTIFIED:
        return CPH_ENDS_VOUCHED;
    case CPH_LEVEL_VERIFIED:
        return CPH_ENDS_PEER;
    }
    return CPH_ENDS_HERE;
}

static void voucher_name(const struct judge *j, unsigned i, const struct vouching *who, char *out)
{
    const char *name = j->ev->stream[i].voucher;

    if (who->by_hop)
        name = j->sealed ? j->ev->sealer : j->ev->hop[0].name;
    else if (who->who == CPH_VOUCHER_SECRET && !*name)
        name = j->ev->peer;
    memcpy(out, name, CPH_FACT_TEXT);
}

static struct grade judge_streams(struct judge *j)
{
    struct grade worst = verified_iv;
    struct cph_verdict *v = j->v;

    v->vouched_by = CPH_VOUCHER_COMPARED;
    v->ends_at = CPH_ENDS_PEER;
    for (unsigned i = 0; i < j->ev->streams_n; i++) {
        const struct cph_stream_facts *s = &j->ev->stream[i];
        struct cph_verdict_stream *out = &v->stream[v->streams_n++];
        struct vouching who;
        struct grade g = judge_stream(j, i, &who);
        enum cph_ends ends = ends_of(g, s->keys);

        if (g.level < CPH_LEVEL_IDENTIFIED)
            who.who = CPH_VOUCHER_NOBODY;
        out->level = g.level;
        out->attacker = g.attacker;
        memcpy(out->keying, s->keying, sizeof out->keying);
        memcpy(out->suite, s->suite, sizeof out->suite);
        out->packets_in = s->packets_in;
        out->packets_out = s->packets_out;
        worst = lower(worst, g);
        if (ends < v->ends_at)
            v->ends_at = ends;
        if (who.who < v->vouched_by || i == 0) {
            v->vouched_by = who.who;
            memset(v->voucher, 0, sizeof v->voucher);
            if (who.who > CPH_VOUCHER_NOBODY)
                voucher_name(j, i, &who, v->voucher);
        }
    }
    return worst;
}

/* ---- policy ---------------------------------------------------------------------------------- */

static bool never_in_clear(const struct cph_evidence *ev)
{
    for (unsigned i = 0; i < ev->streams_n; i++) {
        const struct cph_stream_facts *s = &ev->stream[i];

        if (s->in <= CPH_GUARD_NULL_CIPHER || s->out <= CPH_GUARD_NULL_CIPHER || !s->counted ||
            s->clear_in > 0 || s->clear_out > 0)
            return false;
    }
    return ev->streams_n == ev->streams_told;
}

static bool policy_kept(const struct judge *j)
{
    if (j->v->level < j->policy->need)
        return false;
    return cph_policy_media(j->policy) != CPH_SECURITY_REQUIRED || never_in_clear(j->ev);
}

void cph_verdict_of(const struct cph_evidence *ev, const struct cph_policy *policy,
                    struct cph_verdict *out)
{
    static const struct cph_policy strictest;
    struct judge j = { .ev = ev, .policy = policy ? policy : &strictest, .v = out };
    struct grade g;

    memset(out, 0, sizeof *out);
    memcpy(out->peer, ev->peer, sizeof out->peer);
    memcpy(out->hop, ev->hop, sizeof out->hop);
    out->hops_n = ev->hops_n;
    judge_path(&j);
    judge_seal(&j);
    g = judge_streams(&j);
    if (ev->streams_n == 0 || ev->streams_told != ev->streams_n) {
        because(&j, ev->streams_n ? CPH_REASON_STREAM_MISSING : CPH_REASON_NO_STREAM,
                CPH_ABOUT_CALL, 0);
        g = open_i;
        out->vouched_by = CPH_VOUCHER_NOBODY;
        out->ends_at = CPH_ENDS_HERE;
        memset(out->voucher, 0, sizeof out->voucher);
    }
    if (ev->downgrade < CPH_DOWNGRADE_NONE)
        because(&j,
                ev->downgrade == CPH_DOWNGRADE_NOTICED ? CPH_REASON_DOWNGRADE
                                                       : CPH_REASON_DOWNGRADE_UNKNOWN,
                CPH_ABOUT_CALL, 0);
    if (ev->fallback_used)
        note(&j, CPH_REASON_FALLBACK, CPH_ABOUT_CALL, 0);
    if (ev->proof == CPH_PROOF_UNCOVERED)
        note(&j, CPH_REASON_PROOF_UNCOVERED, CPH_ABOUT_CALL, 0);
    out->level = g.level;
    out->attacker = g.attacker;
    out->policy_kept = policy_kept(&j);
    if (!out->policy_kept)
        because(&j, CPH_REASON_POLICY_BROKEN, CPH_ABOUT_CALL, 0);
    for (unsigned i = 0; i < j.notes_n && out->reasons_n < CPH_VERDICT_REASONS; i++)
        out->reason[out->reasons_n++] = j.note[i];
}

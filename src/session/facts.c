#include <string.h>

#include "ciphony/session.h"
#include "engine_int.h"

/*
 * Evidence. While a line lives, its facts are what negotiation and keys say now; when they change
 * and media went under the old ones, those are merged into what is over, where the worse stays.
 */

/* ---- one line -------------------------------------------------------------------------------- */

static enum cph_stream_guard guard_of(const struct cph_keying_evidence *ke)
{
    if (!ke->keyed)
        return CPH_GUARD_UNKNOWN;
    if (!ke->rtp_encrypted)
        return ke->rtp_authenticated ? CPH_GUARD_NULL_CIPHER : CPH_GUARD_CLEAR;
    if (!ke->rtp_authenticated || ke->tag_bits == 0)
        return CPH_GUARD_UNAUTHENTICATED;
    return ke->tag_bits < 80 ? CPH_GUARD_SHORT_TAG : CPH_GUARD_FULL;
}

static enum cph_key_binding binding_of(const struct engine_line *l,
                                       const struct cph_keying_evidence *ke)
{
    bool pinned = ke->peer_fingerprint_n > 0 && l->voucher >= CPH_VOUCHER_PIN;

    /* Whoever it is, the media does not end there: a comparison proves no more than that. */
    if (ke->notes & (CPH_KEYING_NOTE_PEER_IS_MITM | CPH_KEYING_NOTE_PEER_DISCLOSES))
        return CPH_BINDING_SHARED;
    /* Signed by the certificate that the user keeps for the peer: as good as a comparison. By
     * another one anybody could have signed. */
    if (ke->notes & CPH_KEYING_NOTE_NOT_COMPARED)
        return pinned                                          ? CPH_BINDING_SIGNALLED
               : ke->notes & CPH_KEYING_NOTE_CONTINUITY_BROKEN ? CPH_BINDING_BROKEN
                                                               : CPH_BINDING_UNCOMPARED;
    if (ke->peer_auth == CPH_KEYING_AUTH_NONE)
        return ke->notes & CPH_KEYING_NOTE_WEAK_HASH ? CPH_BINDING_WEAK : CPH_BINDING_NONE;
    if (ke->peer_auth == CPH_KEYING_AUTH_PATH)
        return CPH_BINDING_PATH;
    if (ke->peer_auth == CPH_KEYING_AUTH_SIGNALLED && ke->hash_bits < 256)
        return CPH_BINDING_WEAK;
    return CPH_BINDING_SIGNALLED;
}

static enum cph_voucher voucher_of(const struct engine_line *l,
                                   const struct cph_keying_evidence *ke)
{
    switch (ke->peer_auth) {
    case CPH_KEYING_AUTH_PSK:
        return CPH_VOUCHER_SECRET;
    case CPH_KEYING_AUTH_COMPARED:
    case CPH_KEYING_AUTH_RETAINED: /* the secret goes back to a call where the users compared */
        return CPH_VOUCHER_COMPARED;
    case CPH_KEYING_AUTH_CERT:
        if (l->voucher < CPH_VOUCHER_AUTHORITY)
            return CPH_VOUCHER_AUTHORITY;
        break;
    case CPH_KEYING_AUTH_NONE:
    case CPH_KEYING_AUTH_PATH:
    case CPH_KEYING_AUTH_SIGNALLED:
        break;
    }
    return l->voucher > CPH_VOUCHER_UNKNOWN ? l->voucher : CPH_VOUCHER_NOBODY;
}

/* Dates of the certificate. One that nobody dates (keys from a secret, or in signalling) cannot
 * expire. */
static enum cph_key_validity validity_of(const struct cph_session *s,
                                         const struct cph_keying_evidence *ke)
{
    int64_t now = cph_wall(s->cfg.env);

    if (ke->peer_fingerprint_n == 0)
        return CPH_VALIDITY_GOOD;
    if (ke->peer_not_after == 0)
        return CPH_VALIDITY_UNKNOWN;
    return ke->peer_not_before <= now && now <= ke->peer_not_after ? CPH_VALIDITY_GOOD
                                                                   : CPH_VALIDITY_EXPIRED;
}

/* The mechanism, and that its keys are told in the media. */
static void name_keying(char out[CPH_FACT_TEXT], const char *method, bool ekt)
{
    static const char suffix[] = "+ekt";
    size_t n;

    cph_fact_text(out, cph_span_of(method));
    n = strlen(out);
    if (ekt && n + sizeof suffix <= CPH_FACT_TEXT)
        memcpy(out + n, suffix, sizeof suffix);
}

static void facts_secure(const struct cph_session *s, const struct engine_line *l,
                         struct cph_stream_facts *f)
{
    struct cph_keying_evidence ke;

    cph_nego_evidence(l->nego, &ke);
    f->keys = ke.keys_stay_at_ends ? CPH_KEYS_AGREED : CPH_KEYS_SIGNALLED;
    f->binding = ke.keys_stay_at_ends ? binding_of(l, &ke) : CPH_BINDING_SIGNALLED;
    f->validity = ke.keys_stay_at_ends ? validity_of(s, &ke) : CPH_VALIDITY_GOOD;
    f->members = l->ekt ? CPH_MEMBERS_GROUP : CPH_MEMBERS_TWO;
    f->vouched_by = ke.keys_stay_at_ends ? voucher_of(l, &ke) : CPH_VOUCHER_NOBODY;
    f->in = f->out = guard_of(&ke);
    f->resumed = ke.notes & CPH_KEYING_NOTE_RESUMED;
    f->weak_group = ke.notes & CPH_KEYING_NOTE_WEAK_GROUP;
    f->weak_signature = ke.notes & CPH_KEYING_NOTE_WEAK_SIGNATURE;
    f->rtcp = ke.rtcp_encrypted ? CPH_RTCP_FULL : CPH_RTCP_UNENCRYPTED;
    name_keying(f->keying, ke.method, l->ekt != NULL);
    cph_fact_text(f->suite, cph_span_of(ke.suite));
    memcpy(f->voucher, l->voucher_name, sizeof f->voucher);
}

static void facts_now(const struct cph_session *s, const struct engine_line *l,
                      struct cph_stream_facts *f)
{
    struct cph_nego_status st;
    struct cph_keying_evidence ke;

    memset(f, 0, sizeof *f);
    switch (l->state) {
    case LINE_NONE:
    case LINE_KEYING:
        return;
    case LINE_CLEARED: /* RFC 6189 4.7.2: from the moment on that the keys are gone */
    case LINE_PLAIN:
        f->keys = CPH_KEYS_NONE;
        f->binding = CPH_BINDING_SIGNALLED;
        f->validity = CPH_VALIDITY_GOOD;
        f->members = CPH_MEMBERS_TWO;
        f->vouched_by = CPH_VOUCHER_NOBODY;
        f->in = f->out = CPH_GUARD_CLEAR;
        f->rtcp = CPH_RTCP_CLEAR;
        cph_fact_text(f->keying, CPH_SPAN_LIT("none"));
        return;
    case LINE_FAILED:
        cph_nego_status(l->nego, &st);
        cph_nego_evidence(l->nego, &ke);
        if (st.err == CPH_E_CERT) {
            f->keys = CPH_KEYS_AGREED;
            f->binding = ke.notes & CPH_KEYING_NOTE_WEAK_HASH ? CPH_BINDING_WEAK
                                                              : CPH_BINDING_MISMATCH;
        }
        if (ke.method)
            cph_fact_text(f->keying, cph_span_of(ke.method));
        return;
    case LINE_SECURE:
        facts_secure(s, l, f);
        return;
    }
}

static void count_into(const struct engine_media *m, struct cph_stream_facts *f)
{
    f->counted = true;
    f->clear_in = m->clear_in;
    f->clear_out = m->clear_out;
    f->packets_in = m->in;
    f->packets_out = m->out;
    f->refused_in = m->refused;
    f->rekeys = m->rekeys;
}

void engine_facts(struct cph_session *s, struct engine_branch *b, unsigned stream, cph_time now)
{
    struct engine_line *l = &b->line[stream];
    struct engine_media *m = &s->media[stream];
    struct cph_keying_evidence ke = { 0 };

    (void)now;
    facts_now(s, l, &l->facts);
    if (l->state > LINE_KEYING && m->fact < 0) { /* from here on the call has this line */
        m->fact = (int)s->facts_n++;
        cph_evidence_streams_told(&s->ev, s->facts_n);
    }
    if (l->state == LINE_SECURE || l->state == LINE_FAILED)
        cph_nego_evidence(l->nego, &ke);
    /* An attribute that was damaged on its way, or a re-offer to a weaker mechanism: somebody's
     * hand, or a peer we should not trust with more. One that was turned down did no harm and is
     * told by an event. */
    if (ke.notes & (CPH_KEYING_NOTE_LOST_METHOD | CPH_KEYING_NOTE_LOWER_METHOD))
        cph_evidence_downgrade(&s->ev, CPH_DOWNGRADE_NOTICED);
}

void engine_facts_close(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];
    struct engine_media *m = &s->media[stream];

    if (l->moved && m->fact >= 0) {
        count_into(m, &l->facts);
        cph_evidence_stream(&s->ev, (unsigned)m->fact, &l->facts);
    }
    l->moved = false;
}

/* ---- the call -------------------------------------------------------------------------------- */

void cph_session_path(struct cph_session *s, const struct cph_hop_facts *hops, unsigned n,
                      unsigned told)
{
    s->look = true;
    cph_evidence_path(&s->ev, hops, n, told);
}

void cph_session_seal(struct cph_session *s, enum cph_seal seal, struct cph_span sealer)
{
    s->look = true;
    cph_evidence_seal(&s->ev, seal, sealer);
}

void cph_session_proof(struct cph_session *s, enum cph_peer_proof proof)
{
    const struct engine_branch *b;
    bool keyed = false;

    s->look = true;
    for (unsigned i = 0; (b = engine_next(s, &i)) != NULL;)
        for (unsigned k = 0; k < s->n; k++)
            keyed |= b->line[k].state == LINE_SECURE;
    if (!keyed || s->ev.proof == CPH_PROOF_UNKNOWN)
        cph_evidence_proof(&s->ev, proof);
    else if (s->proof_next == CPH_PROOF_UNKNOWN || proof < s->proof_next)
        s->proof_next = proof;
}

/* Keys that were proven stay so; new ones are as good as the worst message since. */
void engine_facts_proof(struct cph_session *s)
{
    cph_evidence_proof(&s->ev, s->proof_next);
    s->proof_next = CPH_PROOF_UNKNOWN;
}

void cph_session_evidence(const struct cph_session *s, struct cph_evidence *out)
{
    const struct engine_branch *b = engine_branch_const(s);

    *out = s->ev;
    for (unsigned i = 0; b && i < s->n; i++) {
        const struct engine_line *l = &b->line[i];
        struct cph_stream_facts f = l->facts;

        /* A line that is over has told what it was; one that only was to be says nothing. */
        if (s->media[i].fact < 0 || l->state == LINE_NONE)
            continue;
        count_into(&s->media[i], &f);
        cph_evidence_stream(out, (unsigned)s->media[i].fact, &f);
    }
}

void cph_session_verdict(const struct cph_session *s, struct cph_verdict *out)
{
    struct cph_evidence ev;

    cph_session_evidence(s, &ev);
    cph_verdict_of(&ev, &s->cfg.policy, out);
}

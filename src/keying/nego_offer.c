/* Our offer, and the answer to it. */
#include "nego_int.h"

/* ---- offering ------------------------------------------------------------------------------- */

/* One of the forms of best-effort encryption is due: nothing is agreed yet, and RTP will do. */
static bool best_effort(const struct cph_nego *n)
{
    return n->cfg.policy == CPH_KEYING_PREFER && !nego_has_keys(n) &&
           n->cfg.profile == CPH_SDP_PROTO_OTHER;
}

/*
 * RTP/SAVP for several methods at once: a peer that knows SDES alone understands it, and one that
 * knows DTLS sees the fingerprint. UDP/TLS/RTP/SAVP would turn the first away.
 */
static enum cph_sdp_proto secure_profile(const struct cph_nego *n)
{
    return nego_with_feedback(n->n == 1 ? n->slot[0].method->profile : CPH_SDP_RTP_SAVP,
                              n->cfg.feedback);
}

static enum cph_sdp_proto offer_profile(const struct cph_nego *n)
{
    if (nego_has_keys(n))
        return n->profile; /* a stream keeps the profile it has */
    if (n->cfg.profile != CPH_SDP_PROTO_OTHER)
        return n->cfg.profile;
    if (n->cfg.policy != CPH_KEYING_REQUIRED) /* RFC 8643 3.1 */
        return nego_with_feedback(CPH_SDP_RTP_AVP, n->cfg.feedback);
    return secure_profile(n);
}

static bool offers(const struct cph_nego *n, unsigned i, enum cph_sdp_proto profile)
{
    if (nego_has_keys(n))
        return (int)i == n->chosen;
    return n->cfg.policy != CPH_KEYING_NONE && !(n->spared & 1U << i) &&
           nego_fits_profile(n->slot[i].method, profile);
}

static cph_err offer_all(struct cph_nego *n, const struct cph_keying_local *offer,
                         enum cph_sdp_proto profile, unsigned *offered)
{
    for (unsigned i = 0; i < n->n; i++) {
        if (!offers(n, i, profile))
            continue;
        CPH_TRY(nego_slot_open(n, i));
        CPH_TRY(n->slot[i].method->offer(n->slot[i].k, offer));
        *offered |= 1U << i;
    }
    return CPH_OK;
}

/* The section has its keys: what goes with them, and what the answer is held against. */
static cph_err offered(struct cph_nego *n, const struct cph_keying_local *offer,
                       enum cph_sdp_proto profile, unsigned slots)
{
    bool any = slots != 0 || n->configs > 0;

    n->cryptex_offered = n->cfg.cryptex && any;
    if (n->cryptex_offered)
        CPH_TRY(cph_sdp_attr_add(offer->sdp, offer->media, nego_cryptex, NULL));
    n->offered = slots;
    n->offered_profile = profile;
    n->open = true;
    return CPH_OK;
}

static void begin(struct cph_nego *n)
{
    n->configs = 0;
    n->plain_offered = false;
    n->reoffer = false;
    nego_probe_stop(n);
}

cph_err cph_nego_offer(struct cph_nego *n, const struct cph_keying_local *offer)
{
    enum cph_sdp_proto profile = offer_profile(n);
    bool effort = best_effort(n);
    unsigned slots = 0;

    if (offer->media->port == 0)
        return CPH_OK;
    begin(n);
    CPH_TRY(cph_sdp_media_set_proto(offer->sdp, offer->media, profile));
    if (effort && n->cfg.form == CPH_KEYING_FORM_CAPNEG)
        CPH_TRY(nego_caps_offer(n, offer, &slots));
    else if (!effort || n->cfg.form != CPH_KEYING_FORM_PROBE)
        CPH_TRY(offer_all(n, offer, profile, &slots));
    if (effort && n->cfg.form == CPH_KEYING_FORM_ATTRIBUTE && slots)
        CPH_TRY(cph_sdp_attr_add(offer->sdp, offer->media, nego_encryption, "optional"));
    if (slots == 0 && (n->cfg.policy == CPH_KEYING_REQUIRED || cph_sdp_proto_secure(profile)))
        return CPH_E_CONFIG; /* a secure profile without a key, or no method for the profile wished
                              */
    if (nego_has_keys(n))
        nego_drop_others(n);
    return offered(n, offer, profile, slots);
}

bool cph_nego_twice(const struct cph_nego *n)
{
    return best_effort(n) && n->n > 0 &&
           (n->cfg.form == CPH_KEYING_FORM_GROUP || n->cfg.form == CPH_KEYING_FORM_BODIES);
}

cph_err cph_nego_offer_twice(struct cph_nego *n, const struct cph_keying_local *secure,
                             const struct cph_keying_local *plain)
{
    enum cph_sdp_proto profile = secure_profile(n);
    unsigned slots = 0;

    if (!cph_nego_twice(n))
        return CPH_E_STATE;
    begin(n);
    if (!cph_sdp_proto_secure(profile)) /* ZRTP alone: what is made for RTP/AVP */
        profile = nego_with_feedback(CPH_SDP_RTP_SAVP, n->cfg.feedback);
    CPH_TRY(cph_sdp_media_set_proto(secure->sdp, secure->media, profile));
    CPH_TRY(offer_all(n, secure, profile, &slots));
    if (slots == 0)
        return CPH_E_CONFIG;
    CPH_TRY(cph_sdp_media_set_proto(plain->sdp, plain->media,
                                    nego_with_feedback(CPH_SDP_RTP_AVP, n->cfg.feedback)));
    n->plain_offered = true;
    return offered(n, secure, profile, slots);
}

/* ---- reading the answer --------------------------------------------------------------------- */

static cph_err finish_plain(struct cph_nego *n, enum cph_sdp_proto profile)
{
    bool demanded = cph_sdp_proto_secure(n->offered_profile) && !n->plain_offered;

    /* RFC 4568 5.3 MUST, and we fail closed: keys were demanded and none came */
    if (demanded || cph_sdp_proto_secure(profile) || n->cfg.policy == CPH_KEYING_REQUIRED)
        return nego_fail(n, CPH_E_POLICY, "the answer has no keys");
    if (nego_has_keys(n) && n->cfg.policy != CPH_KEYING_NONE)
        return nego_fail(n, CPH_E_POLICY, "the peer wanted to go on without keys");
    nego_retire(n);
    n->profile = profile;
    n->notes &= ~(unsigned)CPH_KEYING_NOTE_OPPORTUNISTIC;
    if (n->offered || n->configs)
        n->notes |= CPH_KEYING_NOTE_PEER_PLAIN;
    nego_probe(n);
    return nego_settle(n, CPH_NEGO_PLAIN,
                       n->offered || n->configs
                           ? "the answer took no keys, or somebody took them out"
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

/* Was one we like better offered too? */
static bool better_offered(const struct cph_nego *n, unsigned i)
{
    unsigned all = n->offered;

    for (unsigned c = 0; c < n->configs; c++)
        all |= 1U << n->config[c].slot;
    return (all & ((1U << i) - 1)) != 0;
}

static cph_err finish_with(struct cph_nego *n, unsigned i, const struct cph_keying_remote *answer)
{
    cph_err err = n->slot[i].method->finish(n->slot[i].k, answer);

    if (err != CPH_OK) /* RFC 8643 3.3 MUST: keys that fail are not replaced by RTP */
        return nego_fail(n, err == CPH_E_NOTFOUND ? CPH_E_MALFORMED : err,
                         "the keys of the answer cannot be used");
    if (better_offered(n, i))
        n->notes |= CPH_KEYING_NOTE_NOT_BEST;
    nego_choose(n, i, answer->media->proto);
    n->cryptex = n->cryptex_offered && nego_says_cryptex(answer);
    return CPH_OK;
}

/* RFC 5939 3.6.3: the answer is read as if its configuration alone had been offered. */
static cph_err finish_config(struct cph_nego *n, const struct nego_config *c,
                             const struct cph_keying_remote *answer)
{
    CPH_TRY(finish_with(n, c->slot, answer));
    /* RFC 5939 3.6.3 SHOULD: another exchange, for those on the way that know no configurations */
    n->reoffer = true;
    return CPH_OK;
}

static cph_err finish_line(struct cph_nego *n, const struct cph_keying_remote *answer,
                           unsigned slots)
{
    enum cph_sdp_proto profile = answer->media->proto;
    bool secure = cph_sdp_proto_secure(profile);
    int i;

    /* What was offered as protected is not taken back by an answer under an open profile. */
    if (cph_sdp_proto_secure(n->offered_profile) && !secure && !n->plain_offered)
        return nego_fail(n, CPH_E_POLICY, "the answer changed the secure profile to an open one");
    if (n->configs > 0 && profile != n->offered_profile)
        return nego_fail(n, CPH_E_MALFORMED, "the answer does not say which configuration it has");
    if (n->plain_offered && !secure)
        slots = 0; /* no keys were offered in that section */
    i = first_of(n, slots);
    if (i < 0 && nego_wish_of(answer) == NEGO_WISH_REQUIRED)
        return nego_fail(n, CPH_E_POLICY, "the answer demands keys and has none");
    if (i < 0)
        return finish_plain(n, profile);
    /* RFC 8643 3.2 says one method only; we go by our own order and note it */
    if (slots & (slots - 1))
        n->notes |= CPH_KEYING_NOTE_SEVERAL_ANSWERED;
    return finish_with(n, (unsigned)i, answer);
}

cph_err cph_nego_finish(struct cph_nego *n, const struct cph_keying_remote *answer)
{
    const struct nego_config *c;
    unsigned slots;

    if (!n->open)
        return CPH_E_STATE;
    n->peer_offered = 0;
    slots = nego_present(n, answer, &n->peer_offered) & n->offered;
    if (answer->media->port == 0)
        return nego_removed(n, "the peer refused the stream");
    c = nego_caps_answered(n, answer);
    return c ? finish_config(n, c, answer) : finish_line(n, answer, slots);
}

cph_err cph_nego_refused(struct cph_nego *n, const struct cph_keying_remote *answer,
                         struct cph_keying_refusal *out)
{
    for (unsigned i = 0; n->open && i < n->n; i++) {
        const struct slot *s = &n->slot[i];

        if (!s->k || !s->method->refused || s->method->refused(s->k, answer, out) != CPH_OK)
            continue;
        out->method = s->method->name;
        return CPH_OK;
    }
    return CPH_E_NOTFOUND;
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

void cph_nego_settled(struct cph_nego *n)
{
    n->open = false;
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].k && n->slot[i].method->settled)
            n->slot[i].method->settled(n->slot[i].k);
}

void cph_nego_answered(struct cph_nego *n, cph_time now)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].k && n->slot[i].method->answered)
            n->slot[i].method->answered(n->slot[i].k, now);
}

void cph_nego_renew(struct cph_nego *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].k && n->slot[i].method->renew)
            n->slot[i].method->renew(n->slot[i].k);
}

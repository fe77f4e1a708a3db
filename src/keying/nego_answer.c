/* The peer's offer, and our answer. */
#include "nego_int.h"

/* The offer in one of its ways, in an arena of its own. */
struct reading {
    struct cph_arena *arena;
    struct cph_keying_remote offer;
    const struct cph_sdp_config *config; /* NULL: the m= line as it is */
};

static cph_err read_way(const struct nego_ways *w, unsigned i,
                        const struct cph_keying_remote *offer,
                        const struct cph_keying_local *answer, struct reading *r)
{
    cph_err err;

    *r = (struct reading){ 0 };
    CPH_TRY(cph_arena_new(CPH_SDP_ARENA, &r->arena));
    err = nego_way(w, i, offer, answer, r->arena, &r->offer, &r->config);
    if (err != CPH_OK) {
        cph_arena_free(r->arena);
        r->arena = NULL;
    }
    return err;
}

/* What the ways of an offer have for us. */
struct choice {
    struct nego_ways ways;
    unsigned slots[CPH_SDP_CAPS_CONFIGS + 1]; /* methods of ours, as bits of slots */
    bool usable[CPH_SDP_CAPS_CONFIGS + 1];
    int plain;    /* the first way under RTP/AVP, or -1 */
    unsigned any; /* methods of ours in any of them */
};

static cph_err look(struct cph_nego *n, const struct cph_keying_remote *offer,
                    const struct cph_keying_local *answer, struct choice *c)
{
    nego_ways_of(offer, &c->ways);
    c->plain = -1;
    c->any = 0;
    n->peer_offered = 0;
    for (unsigned i = 0; i < c->ways.n; i++) {
        struct reading r;
        cph_err err = read_way(&c->ways, i, offer, answer, &r);

        c->slots[i] = 0;
        c->usable[i] = err == CPH_OK;
        if (err == CPH_E_NOMEM)
            return err;
        if (err != CPH_OK)
            continue;
        c->slots[i] = nego_present(n, &r.offer, &n->peer_offered);
        c->any |= c->slots[i];
        if (c->plain < 0 && !cph_sdp_proto_secure(r.offer.media->proto))
            c->plain = (int)i;
        cph_arena_free(r.arena);
    }
    /* of several without keys, the m= line itself: nothing is gained by another */
    if (!cph_sdp_proto_secure(offer->media->proto))
        c->plain = (int)c->ways.n - 1;
    return CPH_OK;
}

/* RFC 4567 4.1.2: the cause may be told in a message of the key management. The first that has one
 * of those that were in the offer. */
static cph_err give_reason(struct cph_nego *n, unsigned slots,
                           const struct cph_keying_local *answer)
{
    for (unsigned i = 0; i < n->n; i++) {
        const struct slot *s = &n->slot[i];
        cph_err err;

        if (!(slots & 1U << i) || !s->k || !s->method->refusal)
            continue;
        err = s->method->refusal(s->k, answer);
        n->gave_reason = err == CPH_OK;
        if (err != CPH_E_NOTFOUND)
            return err;
    }
    return CPH_OK;
}

static cph_err refuse(struct cph_nego *n, const struct choice *c,
                      const struct cph_keying_local *answer, const char *why)
{
    CPH_TRY(cph_sdp_media_refuse(answer->sdp, answer->media));
    CPH_TRY(give_reason(n, c->any, answer));
    return nego_fail(n, CPH_E_POLICY, why);
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

/* One method, one way. */
static cph_err try_one(struct cph_nego *n, unsigned slot, const struct choice *c, unsigned way,
                       const struct cph_keying_remote *offer, const struct cph_keying_local *answer)
{
    enum cph_sdp_proto before = answer->media->proto;
    struct reading r;
    cph_err err;

    CPH_TRY(nego_slot_open(n, slot));
    CPH_TRY(read_way(&c->ways, way, offer, answer, &r));
    err = cph_sdp_media_set_proto(answer->sdp, answer->media, r.offer.media->proto);
    if (err == CPH_OK)
        err = n->slot[slot].method->answer(n->slot[slot].k, &r.offer, answer);
    if (err == CPH_OK) {
        nego_choose(n, slot, r.offer.media->proto);
        nego_drop_others(n);
        n->cryptex = n->cfg.cryptex && nego_says_cryptex(&r.offer);
        err = r.config ? nego_way_taken(r.config, answer) : CPH_OK;
    } else if (!nego_is_ours(err)) {
        cph_err back = cph_sdp_media_set_proto(answer->sdp, answer->media, before);

        if (r.config == NULL || err != CPH_E_UNSUPPORTED) /* a configuration is a wish */
            n->notes |= CPH_KEYING_NOTE_LOST_METHOD;
        err = back == CPH_OK ? err : back;
    }
    cph_arena_free(r.arena);
    return err;
}

/*
 * Try each method the offer has, in our order, and each way to it in the offerer's order: RFC 5939
 * 3.6.2 takes the most preferred configuration subject to local policy, and the order is ours.
 * CPH_E_NOTFOUND if the offer has none; the first error if none can be used.
 */
static cph_err answer_with_keys(struct cph_nego *n, const struct choice *c,
                                const struct cph_keying_remote *offer,
                                const struct cph_keying_local *answer)
{
    cph_err first = CPH_E_NOTFOUND;

    for (unsigned at = 0; at < n->n; at++) {
        unsigned i = nth_candidate(n, at);

        for (unsigned w = 0; w < c->ways.n; w++) {
            cph_err err;

            if (!(c->slots[w] & 1U << i))
                continue;
            err = try_one(n, i, c, w, offer, answer);
            if (err == CPH_OK || nego_is_ours(err))
                return err;
            if (first == CPH_E_NOTFOUND)
                first = err;
        }
    }
    return first;
}

static cph_err answer_plain(struct cph_nego *n, const struct choice *c,
                            const struct cph_keying_remote *offer,
                            const struct cph_keying_local *answer)
{
    bool asked = c->any != 0;
    struct reading r;
    cph_err err;

    CPH_TRY(read_way(&c->ways, (unsigned)c->plain, offer, answer, &r));
    n->profile = r.offer.media->proto;
    err = cph_sdp_media_set_proto(answer->sdp, answer->media, n->profile);
    if (err == CPH_OK && r.config)
        err = nego_way_taken(r.config, answer);
    cph_arena_free(r.arena);
    CPH_TRY(err);
    if (nego_wish_of(offer) != NEGO_WISH_NONE)
        CPH_TRY(cph_sdp_attr_add(answer->sdp, answer->media, nego_encryption, "rejected"));
    nego_forget(n);
    n->notes &= ~(unsigned)CPH_KEYING_NOTE_OPPORTUNISTIC;
    n->notes |= asked ? 0 : CPH_KEYING_NOTE_PEER_NEVER_ASKED;
    nego_probe(n);
    return nego_settle(n, CPH_NEGO_PLAIN,
                       asked ? "the keys offered could not be used, and policy takes RTP"
                             : "the offer had no keys, and policy takes RTP");
}

static cph_err answered(struct cph_nego *n, const struct cph_keying_remote *offer,
                        const struct cph_keying_local *answer)
{
    if (nego_wish_of(offer) != NEGO_WISH_NONE)
        CPH_TRY(cph_sdp_attr_add(answer->sdp, answer->media, nego_encryption, "required"));
    return n->cryptex ? cph_sdp_attr_add(answer->sdp, answer->media, nego_cryptex, NULL) : CPH_OK;
}

/* No key can be used. May it be RTP? */
static cph_err without_keys(struct cph_nego *n, const struct choice *c,
                            const struct cph_keying_remote *offer,
                            const struct cph_keying_local *answer)
{
    /* RFC 4568 5.1.2 MUST: an offer under a secure profile without a usable key is rejected */
    if (c->plain < 0)
        return refuse(n, c, answer,
                      c->any ? "no key in the offer can be used"
                             : "the offer has a secure profile but no keys we know");
    if (n->cfg.policy == CPH_KEYING_REQUIRED)
        return refuse(n, c, answer,
                      c->any ? "no key in the offer can be used"
                             : "the offer has no keys, and policy requires them");
    if (nego_has_keys(n) && n->cfg.policy != CPH_KEYING_NONE)
        return refuse(n, c, answer, "the peer wanted to go on without keys");
    if (nego_wish_of(offer) == NEGO_WISH_REQUIRED)
        return refuse(n, c, answer, "the offer demands keys, and has none we can use");
    return answer_plain(n, c, offer, answer);
}

cph_err cph_nego_answer(struct cph_nego *n, const struct cph_keying_remote *offer,
                        const struct cph_keying_local *answer)
{
    bool demanded = cph_sdp_proto_secure(offer->media->proto) ||
                    nego_wish_of(offer) == NEGO_WISH_REQUIRED;
    cph_err err = CPH_E_NOTFOUND;
    struct choice c;

    n->open = false;
    n->reoffer = n->gave_reason = false;
    if (answer->media->port == 0) {
        n->peer_offered = 0;
        (void)nego_present(n, offer, &n->peer_offered);
        return nego_removed(n, NULL);
    }
    CPH_TRY(look(n, offer, answer, &c));
    CPH_TRY(nego_way_lacking(&c.ways, answer));
    /* RFC 8643 3.2: keys under RTP/AVP are an invitation, which policy none declines */
    if (n->cfg.policy != CPH_KEYING_NONE || demanded || nego_has_keys(n))
        err = answer_with_keys(n, &c, offer, answer);
    if (err == CPH_OK)
        return answered(n, offer, answer);
    return nego_is_ours(err) ? err : without_keys(n, &c, offer, answer);
}

/* Who sends under keys of its own, and tells them. RFC 8870 4.3.1, 4.5, 4.6. */
#include "ekt_int.h"

#include <stdlib.h>

/* A master key and its context. */
struct own {
    struct cph_srtp *ctx;
    struct cph_secret key; /* what tags say */
    uint16_t epoch;
};

struct cph_ekt_sender {
    struct cph_srtp_engine *engine;
    const struct cph_env *env;
    struct cph_srtp_policy base;
    struct cph_ekt_params params; /* under which the newest key is told */
    cph_time until;
    uint64_t wraps;
    struct own use, next; /* next.ctx: told already, used from next_at on */
    cph_time next_at;
    unsigned times; /* full tags still due, one packet after the other */
    cph_time every; /* when the next is due */
    /* the tag made last */
    uint8_t tag[CPH_EKT_TAG_MAX];
    size_t tag_n; /* 0: none */
    uint32_t tag_ssrc, tag_roc;
    struct cph_ekt_receiver *ears; /* that shall not hear us; NULL: none */
};

static void own_wipe(struct own *o)
{
    cph_srtp_free(o->ctx);
    cph_wipe(o, sizeof *o);
}

/* RFC 8870 6 MUST: random, for nothing else, and made from no other */
static cph_err own_make(const struct cph_ekt_sender *s, const struct cph_ekt_params *params,
                        uint16_t epoch, struct own *out)
{
    CPH_SRTP_POLICY_SCOPED p = { 0 };
    const struct cph_srtp_suite *suite = s->base.suite;
    bool half = suite->half && s->base.master.key.n == suite->key_n;
    struct own v = { .epoch = epoch };
    cph_err err;

    v.key.n = half ? suite->half->key_n : suite->key_n;
    err = cph_random(s->env, v.key.b, v.key.n);
    if (err == CPH_OK)
        err = ekt_policy(&s->base, params, &v.key, &p);
    if (err == CPH_OK)
        err = cph_srtp_new(s->engine, &p, CPH_SRTP_SEND, &v.ctx);
    if (err == CPH_OK) {
        *out = v;
        v.ctx = NULL;
    }
    own_wipe(&v);
    return err;
}

static void tell(struct cph_ekt_sender *s, cph_time now)
{
    s->times = CPH_EKT_TIMES;
    s->every = now;
    s->tag_n = 0;
}

void cph_ekt_sender_free(struct cph_ekt_sender *s)
{
    if (!s)
        return;
    if (s->ears)
        ekt_receiver_alone(s->ears);
    own_wipe(&s->use);
    own_wipe(&s->next);
    cph_free_secret(s, sizeof *s);
}

static void params_take(struct cph_ekt_sender *s, const struct cph_ekt_params *params, cph_time now)
{
    s->params = *params;
    s->until = now + CPH_SEC(params->ttl_s);
    s->wraps = 0;
}

cph_err cph_ekt_sender_new(struct cph_srtp_engine *e, const struct cph_env *env,
                           const struct cph_srtp_policy *policy,
                           const struct cph_ekt_params *params, cph_time now,
                           struct cph_ekt_sender **out)
{
    struct cph_ekt_sender *s;
    cph_err err;

    if (!ekt_policy_fits(policy) || !ekt_params_fit(params, policy->suite))
        return CPH_E_ARGUMENT;
    s = calloc(1, sizeof *s);
    if (!s)
        return CPH_E_NOMEM;
    s->engine = e;
    s->env = env;
    s->base = *policy;
    params_take(s, params, now);
    err = own_make(s, params, 0, &s->use);
    if (err != CPH_OK) {
        cph_ekt_sender_free(s);
        return err;
    }
    tell(s, now);
    *out = s;
    return CPH_OK;
}

size_t cph_ekt_overhead(const struct cph_ekt_sender *s, bool rtcp)
{
    return cph_srtp_overhead(s->use.ctx, rtcp) + (rtcp ? 0 : CPH_EKT_TAG_MAX);
}

/* The key told last, so far only told, is in use when its time has come. */
static cph_err switch_key(struct cph_ekt_sender *s, cph_time now)
{
    if (!s->next.ctx || now < s->next_at)
        return CPH_OK;
    CPH_TRY(cph_srtp_move(s->next.ctx, s->use.ctx)); /* RFC 3711 3.3.1: the ROC goes on */
    own_wipe(&s->use);
    s->use = s->next;
    cph_wipe(&s->next, sizeof s->next);
    return CPH_OK;
}

/* RFC 8870 4.3.1: key, SSRC and ROC are those of the packet; the key may be the one to come. */
static cph_err tag_make(struct cph_ekt_sender *s, uint32_t ssrc, uint32_t roc)
{
    const struct own *o = s->next.ctx ? &s->next : &s->use;
    uint8_t ciphertext[CPH_EKT_TAG_MAX];
    struct cph_ekt_tag tag = {
        .type = CPH_EKT_FULL, .spi = s->params.spi, .epoch = o->epoch, .ciphertext.p = ciphertext
    };
    struct ekt_plain plain = { .ssrc = ssrc, .roc = roc };
    cph_err err;

    if (s->tag_n > 0 && s->tag_ssrc == ssrc && s->tag_roc == roc)
        return CPH_OK;
    /* RFC 8870 6 MUST: no more than T encryptions under one EKT key */
    if (s->wraps >= EKT_T)
        return CPH_E_EXPIRED;
    plain.key = o->key;
    err = ekt_wrap(&s->params, &plain, ciphertext, &tag.ciphertext.n);
    cph_secret_wipe(&plain.key);
    CPH_TRY(err);
    s->wraps++;
    s->tag_ssrc = ssrc;
    s->tag_roc = roc;
    return cph_ekt_tag_build(&tag, s->tag, sizeof s->tag, &s->tag_n);
}

/* Now, or is a short one enough? A new SSRC is told as a new key is. */
static bool full_due(struct cph_ekt_sender *s, size_t streams, cph_time now)
{
    if (cph_srtp_stream_count(s->use.ctx) != streams)
        s->times = CPH_EKT_TIMES;
    if (s->times == 0 && now < s->every)
        return false;
    if (s->times > 0)
        s->times--;
    s->every = now + CPH_EKT_EVERY_US;
    return true;
}

cph_err cph_ekt_protect(struct cph_ekt_sender *s, struct cph_srtp_pkt *pkt, cph_time now)
{
    size_t streams;
    uint32_t roc;

    /* RFC 8870 5.2.2 MUST NOT: use the key when its time is over */
    if (now >= s->until)
        return CPH_E_EXPIRED;
    if (pkt->cap < pkt->n + cph_ekt_overhead(s, false))
        return CPH_E_NOSPACE;
    CPH_TRY(switch_key(s, now));
    streams = cph_srtp_stream_count(s->use.ctx);
    CPH_TRY(cph_srtp_protect(s->use.ctx, pkt));
    if (!full_due(s, streams, now)) {
        pkt->p[pkt->n++] = CPH_EKT_SHORT;
        return CPH_OK;
    }
    CPH_TRY(cph_srtp_roc_get(s->use.ctx, srtp_be32(pkt->p + 8), &roc));
    CPH_TRY(tag_make(s, srtp_be32(pkt->p + 8), roc));
    memcpy(pkt->p + pkt->n, s->tag, s->tag_n);
    pkt->n += s->tag_n;
    return CPH_OK;
}

cph_err cph_ekt_protect_rtcp(struct cph_ekt_sender *s, struct cph_srtp_pkt *pkt, cph_time now)
{
    if (now >= s->until)
        return CPH_E_EXPIRED;
    CPH_TRY(switch_key(s, now));
    return cph_srtp_protect_rtcp(s->use.ctx, pkt);
}

/* One that was told but not used yet is forgotten for the newer. */
static void own_follow(struct cph_ekt_sender *s, struct own *fresh, cph_time now)
{
    own_wipe(&s->next);
    s->next = *fresh;
    cph_wipe(fresh, sizeof *fresh);
    s->next_at = now + CPH_EKT_OLD_US;
    tell(s, now);
}

cph_err cph_ekt_rekey(struct cph_ekt_sender *s, cph_time now)
{
    const struct own *last = s->next.ctx ? &s->next : &s->use;
    struct own fresh;

    if (last->epoch == UINT16_MAX || now >= s->until)
        return CPH_E_EXPIRED;
    CPH_TRY(switch_key(s, now));
    last = s->next.ctx ? &s->next : &s->use;
    CPH_TRY(own_make(s, &s->params, (uint16_t)(last->epoch + 1), &fresh));
    own_follow(s, &fresh, now);
    return CPH_OK;
}

cph_err cph_ekt_sender_params(struct cph_ekt_sender *s, const struct cph_ekt_params *params,
                              cph_time now)
{
    struct own fresh;

    if (!ekt_params_fit(params, s->base.suite))
        return CPH_E_ARGUMENT;
    if (params->spi == s->params.spi)
        return CPH_E_EXISTS;
    CPH_TRY(switch_key(s, now));
    CPH_TRY(own_make(s, params, 0, &fresh)); /* RFC 8870 4.1: epochs start over with the SPI */
    params_take(s, params, now);
    own_follow(s, &fresh, now);
    return CPH_OK;
}

cph_err cph_ekt_sender_move(struct cph_ekt_sender *to, struct cph_ekt_sender *from, cph_time now)
{
    const struct own *last;

    CPH_TRY(switch_key(from, now));
    last = from->next.ctx ? &from->next : &from->use;
    if (to->params.spi == from->params.spi) {
        if (last->epoch == UINT16_MAX)
            return CPH_E_EXPIRED;
        to->use.epoch = (uint16_t)(last->epoch + 1);
        to->wraps = from->wraps;
    }
    return cph_srtp_move(to->use.ctx, from->use.ctx);
}

void cph_ekt_sender_life(const struct cph_ekt_sender *s, cph_time now, struct cph_ekt_life *out)
{
    const struct own *last = s->next.ctx ? &s->next : &s->use;

    cph_srtp_life(s->use.ctx, &out->key);
    out->set_left = now < s->until ? s->until - now : 0;
    out->set_soon = out->set_left < CPH_SEC(s->params.ttl_s) / 16 ||
                    s->wraps > EKT_T - EKT_T / 16 || last->epoch > UINT16_MAX - UINT16_MAX / 16;
}

bool ekt_sender_sends(const struct cph_ekt_sender *s, uint32_t ssrc)
{
    return srtp_stream_find(s->use.ctx, ssrc) != NULL;
}

void ekt_sender_heard_by(struct cph_ekt_sender *s, struct cph_ekt_receiver *r)
{
    if (r && s->ears)
        ekt_receiver_alone(s->ears);
    s->ears = r;
}

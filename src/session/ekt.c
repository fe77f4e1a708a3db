#include <stdlib.h>
#include <string.h>

#include "ciphony/keying_ekt.h"
#include "ciphony/srtp_ekt.h"
#include "engine_int.h"

/*
 * Lines whose packets bring their keys along (RFC 8870): negotiation gave a set, each side makes
 * its own sending key, and learns the others' from their packets. What negotiation says of keys is
 * not used, what it says of suites and flags is.
 */

struct engine_ekt {
    struct cph_ekt_sender *send;
    struct cph_ekt_receiver *recv;
    struct cph_ekt_params set;     /* in use */
    struct cph_srtp_policy way[2]; /* by enum cph_keying_dir; without keys */
    bool leaves;                   /* the set before is still taken from packets, for a while */
    uint16_t leaving;
};

void engine_ekt_free(struct engine_ekt *e)
{
    if (!e)
        return;
    cph_ekt_sender_free(e->send);
    cph_ekt_receiver_free(e->recv);
    cph_free_secret(e, sizeof *e);
}

/* ---- sets of our own ------------------------------------------------------------------------- */

cph_err engine_ekt_draw(struct cph_session *s)
{
    CPH_EKT_PARAMS_SCOPED set = { .cipher = CPH_EKT_AESKW256, .ttl_s = ENGINE_EKT_TTL_S };

    if (!s->cfg.ekt || s->cfg.keying.ekt != &s->ekt)
        return CPH_OK;
    set.key.n = cph_ekt_key_size(set.cipher);
    set.salt.n = ENGINE_EKT_SALT;
    do
        CPH_TRY(cph_random(s->cfg.env, &set.spi, sizeof set.spi));
    while (s->ekt.key.n > 0 && set.spi == s->ekt.spi); /* RFC 8870 4.1 MUST: of one set only */
    CPH_TRY(cph_random(s->cfg.env, set.key.b, set.key.n));
    CPH_TRY(cph_random(s->cfg.env, set.salt.b, set.salt.n));
    s->ekt = set;
    return CPH_OK;
}

cph_err engine_ekt_draw_again(struct cph_session *s, const struct engine_branch *b)
{
    bool used = false;

    for (unsigned i = 0; i < s->n; i++)
        used |= b->line[i].ekt && b->line[i].ekt->set.spi == s->ekt.spi;
    return used ? engine_ekt_draw(s) : CPH_OK;
}

cph_err engine_ekt_setup(struct cph_session *s)
{
    if (!s->cfg.ekt)
        return CPH_OK;
    s->cfg.keying.allow_ekt = true;
    if (!s->cfg.keying.ekt) /* else it is a conference's */
        s->cfg.keying.ekt = &s->ekt;
    return engine_ekt_draw(s);
}

/* ---- following negotiation ------------------------------------------------------------------- */

static bool same_way(const struct cph_srtp_policy *a, const struct cph_srtp_policy *b)
{
    return a->suite == b->suite && a->kdr == b->kdr && a->unencrypted_rtp == b->unencrypted_rtp &&
           a->unencrypted_rtcp == b->unencrypted_rtcp && a->rcc == b->rcc &&
           a->rcc_rate == b->rcc_rate && a->rcc_tag_n == b->rcc_tag_n && a->cryptex == b->cryptex;
}

static bool same_set(const struct cph_ekt_params *a, const struct cph_ekt_params *b)
{
    bool key = cph_ct_eq(cph_secret_span(&a->key), cph_secret_span(&b->key));
    bool salt = cph_ct_eq(cph_secret_span(&a->salt), cph_secret_span(&b->salt));

    return a->spi == b->spi && a->cipher == b->cipher && key && salt;
}

static cph_err way_of(const struct engine_line *l, enum cph_keying_dir dir,
                      struct cph_srtp_policy *out)
{
    CPH_TRY(cph_nego_keys(l->nego, CPH_KEYING_RTP, dir, 0, out));
    cph_secret_wipe(&out->master.key);
    cph_secret_wipe(&out->master.salt);
    if (dir == CPH_KEYING_RECV)
        out->streams = ENGINE_EKT_SOURCES;
    return CPH_OK;
}

static cph_err make(const struct cph_session *s, const struct cph_ekt_params *set,
                    const struct cph_srtp_policy way[2], struct engine_ekt *old, cph_time now,
                    struct engine_ekt **out)
{
    struct engine_ekt *e = calloc(1, sizeof *e);
    cph_err err;

    if (!e)
        return CPH_E_NOMEM;
    e->set = *set;
    memcpy(e->way, way, sizeof e->way);
    err = cph_ekt_sender_new(s->cfg.srtp, s->cfg.env, &way[CPH_KEYING_SEND], set, now, &e->send);
    if (err == CPH_OK && old) /* RFC 8870 4.1 MUST: epochs only ever rise under one set */
        err = cph_ekt_sender_move(e->send, old->send, now);
    if (err == CPH_OK)
        err = cph_ekt_receiver_new(s->cfg.srtp, &way[CPH_KEYING_RECV], &e->recv);
    if (err == CPH_OK)
        err = cph_ekt_receiver_params(e->recv, set, now);
    if (err != CPH_OK) {
        engine_ekt_free(e);
        return err;
    }
    cph_ekt_pair(e->send, e->recv);
    *out = e;
    return CPH_OK;
}

/* RFC 8870 4.5 MUST: with another EKT key comes another master key. What others send under the set
 * before is understood until they have the new one too. */
static cph_err change_set(struct engine_ekt *e, const struct cph_ekt_params *set, cph_time now)
{
    cph_err err;

    engine_ekt_forget(e);
    CPH_TRY(cph_ekt_receiver_params(e->recv, set, now));
    err = cph_ekt_sender_params(e->send, set, now);
    if (err != CPH_OK) {
        (void)!cph_ekt_receiver_drop(e->recv, set->spi);
        return err;
    }
    e->leaves = true;
    e->leaving = e->set.spi;
    e->set = *set;
    return CPH_OK;
}

/* No more keys under the set before: who was sent away may still have it. */
void engine_ekt_forget(struct engine_ekt *e)
{
    if (e->leaves)
        (void)!cph_ekt_receiver_drop(e->recv, e->leaving);
    e->leaves = false;
}

static cph_err follow_set(struct cph_session *s, struct engine_line *l,
                          const struct cph_ekt_params *set, cph_time now, bool *changed)
{
    struct cph_srtp_policy way[2] = { 0 };
    struct engine_ekt *old = l->ekt, *e;
    cph_err err;

    CPH_TRY(way_of(l, CPH_KEYING_SEND, &way[CPH_KEYING_SEND]));
    CPH_TRY(way_of(l, CPH_KEYING_RECV, &way[CPH_KEYING_RECV]));
    if (old && same_way(&old->way[0], &way[0]) && same_way(&old->way[1], &way[1])) {
        if (same_set(&old->set, set))
            return CPH_OK;
        err = change_set(old, set, now);
        if (err == CPH_OK) {
            *changed = true;
            l->ekt_forked = false;
            l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
        }
        if (err != CPH_E_EXISTS) /* an SPI met before: that set is not this one */
            return err;
    }
    CPH_TRY(make(s, set, way, old, now, &e));
    engine_ekt_free(l->ekt_prev);
    l->ekt_prev = old;
    if (old)
        l->prev_until = now + CPH_MS(ENGINE_GRACE_MS);
    l->ekt = e;
    *changed = true;
    return CPH_OK;
}

cph_err engine_ekt_follow(struct cph_session *s, struct engine_line *l, cph_time now, bool *changed)
{
    CPH_EKT_PARAMS_SCOPED set = { 0 };

    *changed = false;
    CPH_TRY(cph_nego_ekt(l->nego, &set));
    return follow_set(s, l, &set, now, changed);
}

/* ---- packets --------------------------------------------------------------------------------- */

cph_err engine_ekt_protect(struct engine_line *l, enum cph_keying_component kind,
                           struct cph_srtp_pkt *pkt, cph_time now)
{
    return kind == CPH_KEYING_RTP ? cph_ekt_protect(l->ekt->send, pkt, now)
                                  : cph_ekt_protect_rtcp(l->ekt->send, pkt, now);
}

cph_err engine_ekt_unprotect(struct engine_ekt *e, enum cph_keying_component kind, uint8_t *p,
                             size_t *n, cph_time now)
{
    struct cph_srtp_pkt pkt = { .n = *n, .cap = *n };
    cph_err err;

    pkt.p = p;
    err = kind == CPH_KEYING_RTP ? cph_ekt_unprotect(e->recv, &pkt, now)
                                 : cph_ekt_unprotect_rtcp(e->recv, &pkt, now);
    if (err == CPH_OK)
        *n = pkt.n;
    return err;
}

/* ---- keys that change ------------------------------------------------------------------------ */

/* A key of ours that has done much is changed at once, a set asks the other side. */
bool engine_ekt_life(struct engine_line *l, cph_time now)
{
    struct cph_ekt_life life;

    cph_ekt_sender_life(l->ekt->send, now, &life);
    return life.set_soon || (life.key.soon && cph_ekt_rekey(l->ekt->send, now) != CPH_OK);
}

cph_err cph_session_rekey_media(struct cph_session *s, cph_time now)
{
    struct engine_branch *b = engine_branch(s);
    cph_err err = CPH_E_STATE;

    s->now = now;
    s->look = true;
    for (unsigned i = 0; b && i < s->n; i++) {
        struct engine_line *l = &b->line[i];

        if (l->state != LINE_SECURE || !l->ekt)
            continue;
        CPH_TRY(cph_ekt_rekey(l->ekt->send, now));
        err = CPH_OK;
        s->media[i].rekeys++;
        engine_event(s, CPH_SESSION_KEYED, i, b, CPH_OK, "%s: new sending key, told in the media",
                     s->media[i].kind);
    }
    return err;
}

/* What only ZRTP does to a standing call: the peer's first media as its last word (RFC 6189 4.6),
 * back to RTP and to SRTP again (4.7.2), enrolment with a man in the middle (7.3.1). */
#include "ciphony/keying_zrtp.h"

#include "engine_int.h"

static struct cph_keying *zrtp_of(const struct engine_line *l, struct cph_zrtp_info *info)
{
    struct cph_keying *k = l->nego ? cph_nego_instance(l->nego) : NULL;

    return k && cph_zrtp_info(k, info) == CPH_OK ? k : NULL;
}

/* ---- the first media ------------------------------------------------------------------------- */

bool engine_hears_first(const struct engine_line *l)
{
    struct cph_zrtp_info info;

    return zrtp_of(l, &info) && !info.clear;
}

/* RFC 6189 4.6 MUST: the first valid SRTP of the responder counts as its Conf2ACK */
void engine_heard(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];
    struct cph_zrtp_info info;
    struct cph_keying *k = zrtp_of(l, &info);

    if (!k)
        return;
    cph_zrtp_media(k, s->now);
    engine_look(s, b, stream, s->now);
}

/* ---- back to RTP, and to SRTP again ---------------------------------------------------------- */

static const char went_clear[] = "the call was taken back to RTP (GoClear)";

bool engine_cleared(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct engine_line *l = &b->line[stream];
    struct cph_zrtp_info info;

    if (!zrtp_of(l, &info) || !info.clear)
        return false;
    if (l->state != LINE_CLEARED && l->state != LINE_PLAIN) {
        engine_facts_close(s, b, stream); /* what was protected stays told */
        engine_line_stop(s, l);           /* RFC 6189 4.7.2.1 MUST: at once */
        l->state = LINE_CLEARED;
        if (!s->clear_agreed)
            engine_event(s, CPH_SESSION_CLEARED, stream, b, CPH_OK,
                         "%s: the peer went back to RTP, without keys; nothing is sent until you "
                         "agree",
                         s->media[stream].kind);
    }
    /* RFC 6189 4.7.2: who asked sends RTP when it was acknowledged, who was asked when his user
     * agrees */
    if (l->state == LINE_CLEARED && s->clear_agreed && !info.clearing)
        engine_plain(s, b, stream, went_clear);
    return true;
}

/* Do something with the first stream of the branch in use that can, or with all. CPH_OK if one did
 * it. */
static cph_err each(struct cph_session *s, bool all,
                    cph_err (*act)(struct cph_keying *k, const struct cph_zrtp_info *info,
                                   cph_time now),
                    cph_time now)
{
    struct engine_branch *b = engine_branch(s);
    cph_err err = CPH_E_STATE;

    for (unsigned i = 0; b && i < s->n && (all || err != CPH_OK); i++) {
        struct cph_zrtp_info info;
        struct cph_keying *k = zrtp_of(&b->line[i], &info);
        cph_err e = k ? act(k, &info, now) : CPH_E_STATE;

        if (err != CPH_OK && e != CPH_E_STATE)
            err = e;
    }
    return err;
}

static cph_err clear_one(struct cph_keying *k, const struct cph_zrtp_info *info, cph_time now)
{
    if (info->clear)
        return CPH_OK;
    return info->secure ? cph_zrtp_clear(k, now) : CPH_E_STATE;
}

cph_err cph_session_clear(struct cph_session *s, cph_time now)
{
    bool agreed = s->clear_agreed;
    cph_err err;

    if (cph_policy_media(&s->cfg.policy) == CPH_SECURITY_REQUIRED)
        return CPH_E_POLICY;
    s->now = now;
    s->clear_agreed = true;
    err = each(s, false, clear_one, now); /* 4.7.2.1: with one stream's keys all of them go */
    if (err != CPH_OK)
        s->clear_agreed = agreed;
    if (err == CPH_OK)
        engine_look_all(s, engine_branch(s), now);
    return err;
}

static cph_err secure_one(struct cph_keying *k, const struct cph_zrtp_info *info, cph_time now)
{
    return info->clear && !info->clearing ? cph_zrtp_secure(k, now) : CPH_E_STATE;
}

cph_err cph_session_secure(struct cph_session *s, cph_time now)
{
    cph_err err;

    s->now = now;
    err = each(s, true, secure_one, now);
    if (err == CPH_OK)
        engine_look_all(s, engine_branch(s), now);
    return err;
}

/* ---- enrolment ------------------------------------------------------------------------------- */

cph_err cph_session_enroll(struct cph_session *s)
{
    const struct engine_branch *b = engine_branch(s);

    for (unsigned i = 0; b && i < s->n; i++) {
        struct cph_zrtp_info info;
        struct cph_keying *k = zrtp_of(&b->line[i], &info);

        if (!k || !info.secure || !info.enroll_asked)
            continue;
        if (!info.compared && !info.verified)
            return CPH_E_AUTH;
        return cph_zrtp_enroll(k);
    }
    return CPH_E_STATE;
}

/* The short authentication string: told once there is one, and what the users say of it. */
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/keying_zrtp.h"
#include "engine_int.h"

static bool info_of(const struct engine_line *l, struct cph_zrtp_info *info)
{
    const struct cph_keying *k = l->nego ? cph_nego_instance(l->nego) : NULL;

    return k && cph_zrtp_info(k, info) == CPH_OK && info->secure && info->sas[0];
}

/* The first line that has a string: it is that of the call. RFC 6189 4.4.3 MUST: the others have
 * its ZID, and with that its string. */
static bool first_info(const struct cph_session *s, const struct engine_branch *b,
                       struct cph_zrtp_info *info)
{
    for (unsigned i = 0; b && i < s->n; i++)
        if (info_of(&b->line[i], info))
            return true;
    return false;
}

static bool same_string(const struct cph_zrtp_info *a, const struct cph_zrtp_info *b)
{
    return cph_span_eq((struct cph_span){ a->sashash, sizeof a->sashash },
                       (struct cph_span){ b->sashash, sizeof b->sashash });
}

bool engine_sas_refuted(const struct engine_line *l)
{
    struct cph_zrtp_info info;

    return info_of(l, &info) && info.refuted;
}

/* Of the far side, where a man in the middle that we trust told it (RFC 6189 7.3). */
static const char *shown(const struct cph_zrtp_info *info)
{
    return info->relayed_sas[0] ? info->relayed_sas : info->sas;
}

static const char *what_to_do(const struct cph_zrtp_info *info)
{
    if (info->relayed_sas[0])
        return "the string of who is behind the man in the middle that you trust; compare it with "
               "them, by voice";
    if (info->verified)
        return "the string was compared in an earlier call, and the peer is the same since";
    return info->strange
               ? "compare the string with the peer, by voice, before you trust this call: somebody "
                 "may be in between"
               : "compare the string with the peer, by voice";
}

/* What the user should know before the string is of any use. */
static void warn(struct cph_session *s, struct engine_branch *b, unsigned stream,
                 const struct cph_zrtp_info *info)
{
    /* RFC 6189 4.3.2 MUST: the user is warned */
    if (info->unread)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "what is kept of earlier calls cannot be read, so whether it is the same peer "
                     "is open: somebody may be in between; compare the string");
    else if (info->mismatch)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "the peer should have the secret of the last call and has not: one of you was "
                     "installed anew or restored, or somebody is in between; compare the string");
    else if (info->known_as[0])
        engine_event(
            s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
            "you know this device as %.100s, and not under the address of this call; compare "
            "the string",
            info->known_as);
    else if (info->other_device)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "under this address it was another device before: the peer has a new one, or "
                     "somebody is in between; compare the string");
    if (info->aux_mismatch)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "the peer has not the secret that was agreed with it beforehand");
    if (info->peer_discloses)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "the peer says that the keys of this call may be known to others");
    if (info->peer_mitm && !info->trusted_mitm)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "the peer says that it is in the middle: it hears what it passes on");
}

/* RFC 6189 5.13: which exchange it was that told the string, for who has its fingerprint. It raises
 * nothing: the media ends there, and it could have told another one. */
static void tell_relay(struct cph_session *s, struct engine_branch *b, unsigned stream,
                       const struct cph_zrtp_info *info)
{
    char hex[2 * sizeof info->relay_by.fingerprint + 1];

    if (!info->relay_signed)
        return;
    cph_hex((struct cph_span){ info->relay_by.fingerprint, sizeof info->relay_by.fingerprint },
            hex);
    engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                 "the man in the middle signed the string that it relayed, with the key whose "
                 "SHA-256 is %s",
                 hex);
}

static void tell(struct cph_session *s, struct engine_branch *b, unsigned stream,
                 const struct cph_zrtp_info *info)
{
    struct cph_session_event *e;

    if (!b->sas[0])
        warn(s, b, stream, info);
    tell_relay(s, b, stream, info);
    (void)snprintf(b->sas, sizeof b->sas, "%s", shown(info));
    engine_event(s, CPH_SESSION_SAS, stream, b, CPH_OK, "%s", what_to_do(info));
    e = &s->event[(s->event_at + s->events_n - 1) % ENGINE_EVENTS];
    memcpy(e->sas, b->sas, sizeof e->sas);
    e->verified = info->verified && !info->relayed_sas[0];
}

/* Whoever holds the keys of this line alone is nobody that the users can compare with. */
static void tell_apart(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct cph_zrtp_info own, info;

    if (b->line[stream].apart_told || !info_of(&b->line[stream], &own) ||
        !first_info(s, b, &info) || same_string(&own, &info))
        return;
    b->line[stream].apart_told = true;
    engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                 "%s: its keys are with another device than those of the rest of the call, so the "
                 "string does not count for it: somebody may be in between",
                 s->media[stream].kind);
}

/* Of phones that ring, only the one that answers has somebody to compare with. */
void engine_sas(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct cph_zrtp_info info;

    if (b != engine_branch(s) || (b->id != 0 && !s->chosen) ||
        b->line[stream].state != LINE_SECURE || !first_info(s, b, &info))
        return;
    tell_apart(s, b, stream);
    if (strcmp(b->sas, shown(&info)) != 0)
        tell(s, b, stream, &info);
    if (!info.enroll_asked || info.trusted_mitm || b->enroll_told)
        return;
    b->enroll_told = true;
    engine_event(s, CPH_SESSION_ENROLL, stream, b, CPH_OK,
                 "the peer asks to be in the middle of your calls, and to be trusted with them");
}

static bool zrtp_cleared(const struct engine_line *l)
{
    const struct cph_keying *k = l->nego ? cph_nego_instance(l->nego) : NULL;
    struct cph_zrtp_info info;

    return k && cph_zrtp_info(k, &info) == CPH_OK && info.clear;
}

void cph_session_sas(const struct cph_session *s, struct cph_session_sas *out)
{
    const struct engine_branch *b = engine_branch_const(s);
    struct cph_zrtp_info info;

    *out = (struct cph_session_sas){ 0 };
    for (unsigned i = 0; b && i < s->n; i++) {
        out->clear |= zrtp_cleared(&b->line[i]);
        if (!info_of(&b->line[i], &info))
            continue;
        (void)snprintf(out->text, sizeof out->text, "%s", shown(&info));
        out->relayed = info.relayed_sas[0];
        out->verified = info.verified && !out->relayed;
        out->mitm = info.peer_mitm;
        out->trusted_mitm = info.trusted_mitm;
        out->enroll_asked = info.enroll_asked && !info.trusted_mitm && !info.enrolled;
        out->discloses = info.peer_discloses;
        out->may_clear = info.peer_allows_clear &&
                         cph_policy_media(&s->cfg.policy) != CPH_SECURITY_REQUIRED;
        out->compared = info.compared;
        out->refuted = info.refuted;
        out->strange = info.strange;
        return;
    }
}

cph_err cph_session_sas_compared(struct cph_session *s, bool equal)
{
    struct engine_branch *b = engine_branch(s);
    struct cph_zrtp_info first, info;
    cph_err err = CPH_E_STATE;

    if (!first_info(s, b, &first))
        return CPH_E_STATE;
    for (unsigned i = 0; i < s->n; i++) {
        if (b->line[i].state == LINE_SECURE && info_of(&b->line[i], &info) &&
            (!equal || same_string(&info, &first)))
            err = cph_zrtp_compared(cph_nego_instance(b->line[i].nego), equal);
    }
    if (err != CPH_OK && err != CPH_E_STORE)
        return err;
    engine_look_all(s, b, s->now);
    return err;
}

/* The short authentication string: told once there is one, and what the users say of it. */
#include <stdio.h>
#include <string.h>

#include "ciphony/keying_zrtp.h"
#include "engine_int.h"

static bool info_of(const struct engine_line *l, struct cph_zrtp_info *info)
{
    const struct cph_keying *k = l->nego ? cph_nego_instance(l->nego) : NULL;

    return k && cph_zrtp_info(k, info) == CPH_OK && info->secure && info->sas[0];
}

bool engine_sas_refuted(const struct engine_line *l)
{
    struct cph_zrtp_info info;

    return info_of(l, &info) && info.refuted;
}

static void tell(struct cph_session *s, struct engine_branch *b, unsigned stream,
                 const struct cph_zrtp_info *info)
{
    struct cph_session_event *e;

    (void)snprintf(b->sas, sizeof b->sas, "%s", info->sas);
    if (info->mismatch)
        engine_event(s, CPH_SESSION_NOTICE, stream, b, CPH_OK,
                     "the peer should have a secret of an earlier call and has not: it was "
                     "installed anew, or somebody is in between; compare the string");
    engine_event(s, CPH_SESSION_SAS, stream, b, CPH_OK, "%s",
                 info->verified ? "the string was compared in an earlier call, and the peer is "
                                  "the same since"
                                : "compare the string with the peer, by voice");
    e = &s->event[(s->event_at + s->events_n - 1) % ENGINE_EVENTS];
    memcpy(e->sas, b->sas, sizeof e->sas);
    e->verified = info->verified;
}

/* Of phones that ring, only the one that answers has somebody to compare with. */
void engine_sas(struct cph_session *s, struct engine_branch *b, unsigned stream)
{
    struct cph_zrtp_info info;

    if (b != engine_branch(s) || (b->id != 0 && !s->chosen) ||
        b->line[stream].state != LINE_SECURE || !info_of(&b->line[stream], &info) ||
        strcmp(b->sas, info.sas) == 0)
        return;
    tell(s, b, stream, &info);
}

void cph_session_sas(const struct cph_session *s, struct cph_session_sas *out)
{
    const struct engine_branch *b = engine_branch_const(s);
    struct cph_zrtp_info info;

    *out = (struct cph_session_sas){ 0 };
    for (unsigned i = 0; b && i < s->n; i++) {
        if (!info_of(&b->line[i], &info))
            continue;
        (void)snprintf(out->text, sizeof out->text, "%s", info.sas);
        out->verified = info.verified;
        out->compared = info.compared;
        out->refuted = info.refuted;
        out->mismatch = info.mismatch;
        return;
    }
}

cph_err cph_session_sas_compared(struct cph_session *s, bool equal)
{
    struct engine_branch *b = engine_branch(s);
    cph_err err = CPH_E_STATE;

    for (unsigned i = 0; b && i < s->n; i++) {
        struct cph_zrtp_info info;

        if (b->line[i].state == LINE_SECURE && info_of(&b->line[i], &info))
            err = cph_zrtp_compared(cph_nego_instance(b->line[i].nego), equal);
    }
    if (err != CPH_OK && err != CPH_E_STORE)
        return err;
    engine_look_all(s, b, s->now);
    return err;
}

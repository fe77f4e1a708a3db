/*
 * Which m= line is whose. As a rule stream i is line i; but a stream may stand twice in an offer,
 * once with keys and once without (seed 003 C.3, "SDP grouping"), and the line that was not taken
 * stays, refused, for the rest of the call (RFC 3264 8).
 */
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "engine_int.h"

/* ---- wishes ---------------------------------------------------------------------------------- */

static void wish(const struct engine_media *m, struct cph_sdp_stream *out)
{
    *out = (struct cph_sdp_stream){ .kind = m->kind,
                                    .port = m->removed ? 0 : m->wish.local[0].port,
                                    .rtcp_port = m->wish.local[1].port,
                                    .rtcp_mux = m->wish.rtcp_mux,
                                    .direction = m->wish.direction,
                                    .codecs = m->wish.codecs,
                                    .n_codecs = m->wish.n_codecs,
                                    .ptime = m->wish.ptime,
                                    .addr = &m->wish.local[0] };
}

/* A line that is nobody's: refused, and of the kind it was. */
static void nobody(const struct cph_sdp *was, unsigned line, struct engine_wishes *w)
{
    w->stream[line] = (struct cph_sdp_stream){ .kind = "audio" };
    if (was && line < was->n_media &&
        cph_span_cstr(was->media[line]->kind, w->kind[line], ENGINE_KIND) == CPH_OK)
        w->stream[line].kind = w->kind[line];
}

static void wishes(struct cph_session *s, const struct cph_sdp *was, unsigned n,
                   struct engine_wishes *w)
{
    memset(w, 0, sizeof *w);
    w->n = n;
    for (unsigned line = 0; line < n; line++)
        nobody(was, line, w);
    for (unsigned i = 0; i < s->n; i++)
        if (s->place[i] < n)
            wish(&s->media[i], &w->stream[s->place[i]]);
}

/* RFC 3264 8.3.2 MUST: a payload number that a description used keeps its meaning in later offers,
 * also where the peer gave it. */
static cph_err keep_numbers(struct cph_session *s, unsigned i, struct engine_wishes *w)
{
    const struct engine_branch *b = engine_branch_const(s);
    struct cph_sdp_stream *line = &w->stream[s->place[i]];

    if (!b || !b->remote.sdp || !s->local.sdp || line->n_codecs > CPH_SDP_MAX_CODECS)
        return CPH_OK;
    for (unsigned k = 0; k < line->n_codecs; k++)
        w->codec[i][k] = line->codecs[k];
    line->codecs = w->codec[i];
    return cph_sdp_codecs_renumber(s->local.sdp, b->remote.sdp, s->place[i], w->codec[i],
                                   line->n_codecs);
}

cph_err engine_wishes_offer(struct cph_session *s, struct engine_wishes *w)
{
    wishes(s, s->local.sdp, s->lines, w);
    for (unsigned i = 0; i < s->n; i++)
        if (s->place[i] < w->n)
            CPH_TRY(keep_numbers(s, i, w));
    for (unsigned i = 0; i < s->n; i++) {
        unsigned a = s->place[i], b = s->second[i];

        if (b >= w->n)
            continue;
        wish(&s->media[i], &w->stream[b]);
        (void)snprintf(w->mid[a], sizeof w->mid[a], "%u", a + 1);
        (void)snprintf(w->mid[b], sizeof w->mid[b], "%u", b + 1);
        w->stream[a].mid = w->mid[a];
        w->stream[b].mid = w->mid[b];
    }
    return CPH_OK;
}

void engine_wishes_answer(struct cph_session *s, const struct cph_sdp *offer,
                          struct engine_wishes *w)
{
    wishes(s, offer, offer->n_media, w);
}

/* ---- offering -------------------------------------------------------------------------------- */

cph_err engine_place_twice(struct cph_session *s)
{
    for (unsigned i = 0; i < CPH_SESSION_STREAMS; i++)
        s->second[i] = ENGINE_NO_LINE;
    if (engine_branch(s) || s->local.sdp)
        return CPH_OK;
    for (unsigned i = 0; i < s->n; i++) /* also if an offer was rolled back */
        s->place[i] = (uint8_t)i;
    s->lines = s->n;
    for (unsigned i = 0; i < s->n && s->cfg.policy.form == CPH_KEYING_FORM_GROUP; i++) {
        if (!s->base[i])
            CPH_TRY(engine_nego(s, i, &s->base[i]));
        if (!s->media[i].removed && cph_nego_twice(s->base[i]))
            s->second[i] = (uint8_t)s->lines++;
    }
    return CPH_OK;
}

bool cph_session_offers_twice(const struct cph_session *s)
{
    for (unsigned i = 0; s->offered && i < s->n; i++)
        if (s->second[i] < s->lines)
            return true;
    return false;
}

cph_err engine_place_groups(const struct cph_session *s, const struct engine_wishes *w,
                            struct cph_sdp *sdp)
{
    /* RFC 5888 5, RFC 4091 3: one of each group is to be used, the first rather than the others */
    for (unsigned i = 0; i < s->n; i++)
        if (s->second[i] < w->n)
            CPH_TRY(cph_sdp_attr_fmt(sdp, NULL, "group", "ANAT %s %s", w->mid[s->place[i]],
                                     w->mid[s->second[i]]));
    return CPH_OK;
}

bool engine_place_answer(const struct cph_session *s, struct engine_branch *b,
                         const struct cph_sdp *answer)
{
    bool once = true;

    for (unsigned i = 0; i < s->n; i++) {
        unsigned line = s->place[i], second = s->second[i];

        b->at[i] = (uint8_t)line;
        if (second >= answer->n_media || line >= answer->n_media)
            continue;
        if (answer->media[second]->port == 0)
            continue;
        if (answer->media[line]->port == 0)
            b->at[i] = (uint8_t)second;
        else
            once = false;
    }
    return once;
}

/* ---- answering ------------------------------------------------------------------------------- */

static bool has_word(struct cph_span words, struct cph_span wanted)
{
    struct cph_span word;

    while ((word = cph_span_word(&words)).n > 0)
        if (cph_span_eq(word, wanted))
            return true;
    return false;
}

/* Does a group of alternatives have both? */
static bool grouped(const struct cph_sdp *sdp, const struct cph_sdp_media *a,
                    const struct cph_sdp_media *b)
{
    struct cph_span x = cph_sdp_mid(a), y = cph_sdp_mid(b);
    const struct cph_sdp_line *l = cph_sdp_attr(&sdp->part, "group");
    struct cph_sdp_group g;

    for (; l && x.n > 0 && y.n > 0; l = cph_sdp_attr_next(l))
        if (cph_sdp_group_parse(l->arg, &g) == CPH_OK && cph_span_is(g.semantics, "ANAT") &&
            has_word(g.mids, x) && has_word(g.mids, y))
            return true;
    return false;
}

/* The same stream again: one line with keys and one without, in a group, or on the same port, as
 * those do it that have no group. */
static bool twins(const struct cph_sdp *sdp, const struct cph_sdp_media *a,
                  const struct cph_sdp_media *b)
{
    return a != b && a->port != 0 && b->port != 0 && cph_span_eq(a->kind, b->kind) &&
           cph_sdp_proto_secure(a->proto) != cph_sdp_proto_secure(b->proto) &&
           (grouped(sdp, a, b) || a->port == b->port);
}

/* Of two lines the one with keys, if they are of a sort we have and policy has a use for them. */
static cph_err better(struct cph_session *s, const struct cph_sdp *offer, unsigned *line,
                      unsigned other)
{
    bool secure = cph_sdp_proto_secure(offer->media[*line]->proto);
    unsigned keyed = secure ? *line : other, open = secure ? other : *line;
    struct cph_nego *nego;

    CPH_TRY(engine_nego(s, 0, &nego));
    *line = cph_policy_media(&s->cfg.policy) != CPH_SECURITY_NONE &&
                    cph_nego_knows(nego, &(struct cph_keying_remote){ offer, offer->media[keyed] })
                ? keyed
                : open;
    cph_nego_free(nego);
    return CPH_OK;
}

cph_err engine_place_choose(struct cph_session *s, const struct cph_sdp *offer)
{
    bool used[CPH_SDP_MAX_MEDIA + CPH_SESSION_STREAMS] = { false };
    unsigned next = 0;

    if (s->local.sdp) { /* a later offer: lines stay whose they are */
        s->lines = offer->n_media > s->lines ? offer->n_media : s->lines;
        return CPH_OK;
    }
    for (unsigned i = 0; i < s->n; i++) {
        unsigned line;

        while (used[next])
            next++;
        line = next++;
        used[line] = true;
        for (unsigned k = next; line < offer->n_media && k < offer->n_media; k++)
            if (!used[k] && twins(offer, offer->media[line], offer->media[k])) {
                used[k] = true;
                CPH_TRY(better(s, offer, &line, k));
                break;
            }
        s->place[i] = (uint8_t)line;
    }
    s->lines = next > offer->n_media ? next : offer->n_media;
    return CPH_OK;
}

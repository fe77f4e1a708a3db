#include <stdlib.h>
#include <string.h>

#include "engine_int.h"

/* Packets that came before their keys, per media line, bounded in number and time. The first ones
 * stay: they are the beginning of what the peer says. */

static unsigned most(const struct cph_session *s)
{
    unsigned n = s->cfg.policy.early_packets;

    return n ? n : CPH_EARLY_PACKETS_DEFAULT;
}

static cph_time longest(const struct cph_session *s)
{
    unsigned ms = s->cfg.policy.early_ms;

    return CPH_MS(ms ? ms : CPH_EARLY_MS_DEFAULT);
}

struct engine_early *engine_early_pop(struct cph_session *s, unsigned stream)
{
    struct engine_media *m = &s->media[stream];
    struct engine_early *e = m->early;

    if (!e)
        return NULL;
    m->early = e->next;
    if (!m->early)
        m->early_end = &m->early;
    m->early_n--;
    return e;
}

/* What was said in the call is nobody's afterwards. */
void engine_early_free(struct engine_early *e)
{
    if (e)
        cph_free_secret(e, sizeof *e + e->room);
}

cph_time engine_early_expire(struct cph_session *s, unsigned stream, cph_time now)
{
    struct engine_media *m = &s->media[stream];

    while (m->early && now - m->early->came >= longest(s)) {
        engine_early_free(engine_early_pop(s, stream));
        s->count.early_lost++;
    }
    return m->early ? m->early->came + longest(s) : CPH_TIME_NEVER;
}

void engine_early_clear(struct cph_session *s, unsigned stream)
{
    struct engine_early *e;

    while ((e = engine_early_pop(s, stream)) != NULL) {
        engine_early_free(e);
        s->count.early_lost++;
    }
}

void engine_keep(struct cph_session *s, unsigned stream, enum cph_keying_component c,
                 const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct engine_media *m = &s->media[stream];
    struct engine_early *e;

    (void)engine_early_expire(s, stream, now);
    e = m->early_n < most(s) ? malloc(sizeof *e + packet.n) : NULL;
    if (!e) {
        s->count.early_lost++;
        return;
    }
    *e = (struct engine_early){
        .component = c, .from = *from, .came = now, .n = packet.n, .room = packet.n
    };
    memcpy(e->b, packet.p, packet.n);
    *m->early_end = e;
    m->early_end = &e->next;
    m->early_n++;
    s->count.early_kept++;
}

/* A handshake may begin before the answer that names its certificate. */
void engine_early_keying(struct cph_session *s, struct engine_branch *b, cph_time now)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct engine_media *m = &s->media[i];
        struct engine_early **at = &m->early, *e;

        while ((e = *at) != NULL) {
            struct cph_span packet = { e->b, e->n };

            if (!b->line[i].nego || !cph_nego_claims(b->line[i].nego, packet)) {
                at = &e->next;
                continue;
            }
            *at = e->next;
            m->early_n--;
            if (cph_nego_feed(b->line[i].nego, e->component, &e->from, packet, now) != CPH_OK)
                s->count.unknown++;
            engine_early_free(e);
        }
        m->early_end = at;
        engine_look(s, b, i, now);
    }
}

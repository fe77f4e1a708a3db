#include <stdlib.h>
#include <string.h>

#include "engine_int.h"

/*
 * Packets that came before their keys, per media line, bounded in number and time. The first ones
 * stay: they are the beginning of what the peer says. Nobody can be told from the peer before there
 * are keys, so a full line is shared evenly among the hosts that send to it; of those that sent but
 * one packet, as he does who takes a false address each time, it holds a quarter.
 */

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

static void leave(struct engine_early *e)
{
    if (e->host && --e->host->n == 0)
        free(e->host);
    e->host = NULL;
}

/* What was said in the call is nobody's afterwards. */
void engine_early_free(struct engine_early *e)
{
    if (!e)
        return;
    leave(e);
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

/* NULL: it has none yet. */
static struct engine_host *host_of(const struct engine_media *m, const struct cph_addr *from)
{
    for (const struct engine_early *e = m->early; e; e = e->next)
        if (cph_addr_host_eq(&e->from, from))
            return e->host;
    return NULL;
}

static void forget(struct cph_session *s, struct engine_media *m, struct engine_early **at)
{
    struct engine_early *e = *at;

    *at = e->next;
    if (!*at)
        m->early_end = at;
    m->early_n--;
    s->count.early_lost++;
    engine_early_free(e);
}

/* The one to give up for one more of this host: the oldest of those who sent but one, if they are
 * many; else the newest of who has most, by two at least. NULL: none. */
static struct engine_early **to_forget(const struct cph_session *s, struct engine_media *m,
                                       const struct engine_host *host)
{
    struct engine_early **newest = NULL, **single = NULL;
    const struct engine_host *who = NULL; /* has most */
    unsigned mine = host ? host->n : 0, largest = 0, singles = 0;

    for (struct engine_early **at = &m->early; *at; at = &(*at)->next) {
        const struct engine_host *of = (*at)->host;

        if (!of) /* each has one while it is kept */
            continue;
        if (of->n > largest) {
            largest = of->n;
            who = of;
        }
        if (of == who)
            newest = at;
        if (of->n != 1 || of == host)
            continue;
        singles++;
        if (!single)
            single = at;
    }
    if (singles > most(s) / 4)
        return single;
    return largest > mine + 1 ? newest : NULL;
}

static bool has_room(struct cph_session *s, struct engine_media *m, const struct engine_host *host)
{
    struct engine_early **at;

    if (m->early_n < most(s))
        return true;
    at = to_forget(s, m, host);
    if (at)
        forget(s, m, at);
    return at != NULL;
}

void engine_keep(struct cph_session *s, unsigned stream, enum cph_keying_component c,
                 const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct engine_media *m = &s->media[stream];
    struct engine_early *e = NULL;
    struct engine_host *host;

    (void)engine_early_expire(s, stream, now);
    host = host_of(m, from);
    if (has_room(s, m, host))
        e = malloc(sizeof *e + packet.n);
    if (e && !host)
        host = calloc(1, sizeof *host);
    if (!e || !host) {
        free(e);
        s->count.early_lost++;
        return;
    }
    *e = (struct engine_early){
        .component = c, .from = *from, .came = now, .host = host, .n = packet.n, .room = packet.n
    };
    host->n++;
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

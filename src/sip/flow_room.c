/*
 * Who gets a place in the table of connections. A stranger can open as many as he likes, so nobody
 * holds more of it than his share, and what has said nothing yet goes before what has:
 *
 *   half of the table       connections from one host, whatever they did
 *   a quarter of the table  those of them that brought no message yet
 *   a full table            the oldest silent one of whoever has most goes
 */
#include "ua_int.h"

enum { SHARE_ALL = 2, SHARE_SILENT = 4 };

static unsigned share(const struct cph_sip_ua *ua, unsigned part)
{
    return ua->cfg.max_flows / part > 1 ? ua->cfg.max_flows / part : 1;
}

/* How many connections of this host there are, all or those that are silent. */
static unsigned held_by(const struct cph_sip_ua *ua, const struct cph_addr *host, bool silent)
{
    unsigned n = 0;

    for (const struct sip_link *l = ua->flows.next; l != &ua->flows; l = l->next) {
        const struct sip_flow *f = SIP_OF(const struct sip_flow, link, l);

        n += f->incoming && !(silent && f->spoke) && cph_addr_host_eq(&f->peer, host);
    }
    return n;
}

static bool needed(const struct cph_sip_ua *ua, const struct sip_flow *f)
{
    return sip_call_uses_flow(ua, f->id) || sip_tx_uses_flow(ua, f->id);
}

/* May it go for somebody else's sake? One that spoke has its pause. */
static bool spare(const struct cph_sip_ua *ua, const struct sip_flow *f)
{
    return f->incoming && (!f->spoke || ua->now - f->used >= CPH_SEC(SIP_FIRST_MESSAGE_S));
}

/* Is a to be given up rather than b, which may be NULL? Those with fewer silent ones beside them
 * come later, and at last the youngest. */
static bool before(const struct sip_flow *a, unsigned beside_a, const struct sip_flow *b,
                   unsigned beside_b)
{
    if (!b || a->spoke != b->spoke)
        return !b || !a->spoke;
    return beside_a != beside_b ? beside_a > beside_b : a->used < b->used;
}

/* Of one host's, or (NULL) of all: the one to give up first. */
static struct sip_flow *worst(struct cph_sip_ua *ua, const struct cph_addr *host)
{
    struct sip_flow *out = NULL;
    unsigned most = 0;

    for (struct sip_link *l = ua->flows.next; l != &ua->flows; l = l->next) {
        struct sip_flow *f = SIP_OF(struct sip_flow, link, l);
        unsigned n;

        if (host ? !f->incoming || !cph_addr_host_eq(&f->peer, host) : !spare(ua, f))
            continue;
        n = host || f->spoke ? 0 : held_by(ua, &f->peer, true);
        if (!before(f, n, out, most) || needed(ua, f))
            continue;
        out = f;
        most = n;
    }
    return out;
}

static bool give_up(struct sip_flow *f)
{
    if (f)
        sip_flow_close(f, CPH_E_LIMIT);
    return f != NULL;
}

bool sip_flow_room(struct cph_sip_ua *ua, const struct cph_addr *from)
{
    bool greedy = from && (held_by(ua, from, true) >= share(ua, SHARE_SILENT) ||
                           held_by(ua, from, false) >= share(ua, SHARE_ALL));

    if (greedy && !give_up(worst(ua, from)))
        return false;
    return ua->n_flows < ua->cfg.max_flows || give_up(worst(ua, NULL));
}

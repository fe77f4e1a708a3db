/* The media path: packets to and from the mechanisms that are still in the game, and the one that
 * asks there while RTP flows. */
#include "nego_int.h"

/* ---- probing --------------------------------------------------------------------------------- */

/* Seed 003 C.3, RFC 6189 4: the descriptions brought no keys, and the peer is asked on the media
 * path whether it has any. */
void nego_probe(struct cph_nego *n)
{
    if (n->cfg.policy != CPH_KEYING_PREFER)
        return;
    for (unsigned i = 0; i < n->n && n->probing < 0; i++) {
        const struct cph_keying_method *m = n->slot[i].method;

        if (m->probe && nego_slot_open(n, i) == CPH_OK && m->probe(n->slot[i].k) == CPH_OK)
            n->probing = (int)i;
    }
}

void nego_probe_stop(struct cph_nego *n)
{
    if (n->probing < 0)
        return;
    cph_keying_free(n->slot[n->probing].k);
    n->slot[n->probing].k = NULL;
    n->probing = -1;
}

/* Did the peer speak up, or is it certain by now that it will not? */
static void probed(struct cph_nego *n)
{
    struct cph_keying_status st;

    if (n->outcome != CPH_NEGO_PLAIN || n->probing < 0)
        return;
    n->slot[n->probing].method->status(n->slot[n->probing].k, &st);
    if (st.state == CPH_KEYING_KEYED)
        nego_choose(n, (unsigned)n->probing, n->profile);
    else if (st.state == CPH_KEYING_FAILED)
        nego_probe_stop(n);
}

/* ---- packets --------------------------------------------------------------------------------- */

/* Is this method still in the game: chosen, or probing, or nothing is settled yet? */
static struct cph_keying *alive(const struct cph_nego *n, unsigned i)
{
    if (n->outcome == CPH_NEGO_PLAIN && n->probing == (int)i)
        return n->slot[i].k;
    if (n->outcome != CPH_NEGO_OPEN && n->outcome != CPH_NEGO_SECURE)
        return NULL;
    return n->chosen < 0 || n->chosen == (int)i ? n->slot[i].k : NULL;
}

static struct cph_keying *claimant(const struct cph_nego *n, struct cph_span packet)
{
    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);

        if (k && k->method->claims && k->method->claims(packet))
            return k;
    }
    return NULL;
}

bool cph_nego_claims(const struct cph_nego *n, struct cph_span packet)
{
    return claimant(n, packet) != NULL;
}

cph_err cph_nego_feed(struct cph_nego *n, enum cph_keying_component component,
                      const struct cph_addr *from, struct cph_span packet, cph_time now)
{
    struct cph_keying *k = claimant(n, packet);

    cph_err err = k ? cph_keying_feed(k, component, from, packet, now) : CPH_E_UNSUPPORTED;

    probed(n);
    return err;
}

bool cph_nego_sends(const struct cph_nego *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].method->pull)
            return true;
    return false;
}

cph_err cph_nego_pull(struct cph_nego *n, struct cph_keying_packet *out, cph_time now)
{
    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);
        cph_err err = k ? cph_keying_pull(k, out, now) : CPH_E_AGAIN;

        if (err != CPH_E_AGAIN)
            return err;
    }
    return CPH_E_AGAIN;
}

cph_time cph_nego_deadline(const struct cph_nego *n)
{
    cph_time first = CPH_TIME_NEVER;

    for (unsigned i = 0; i < n->n; i++) {
        struct cph_keying *k = alive(n, i);
        cph_time at = k ? cph_keying_deadline(k) : CPH_TIME_NEVER;

        first = at < first ? at : first;
    }
    return first;
}

void cph_nego_tick(struct cph_nego *n, cph_time now)
{
    for (unsigned i = 0; i < n->n; i++)
        if (alive(n, i))
            cph_keying_tick(alive(n, i), now);
    probed(n);
}

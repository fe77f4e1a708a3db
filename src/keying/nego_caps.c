/* Several configurations of one m= line: RFC 5939 as offerer and answerer. */
#include "nego_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* ---- offering -------------------------------------------------------------------------------- */

/* An answerer that does not know these can still do what the rest says. */
static const char *const optional[] = { "tls-id", NULL };

/* One mechanism in a section of its own: what it writes there becomes a configuration. */
static cph_err offer_one(struct cph_nego *n, unsigned slot, const struct cph_keying_local *offer)
{
    const struct cph_keying_method *m = n->slot[slot].method;
    struct nego_config *c = &n->config[n->configs];
    struct cph_sdp_config written;
    struct cph_keying_local with;

    CPH_TRY(cph_sdp_copy(offer->sdp->arena, offer->sdp, &with.sdp));
    with.media = with.sdp->media[offer->media->index];
    CPH_TRY(cph_sdp_media_set_proto(with.sdp, with.media,
                                    nego_with_feedback(m->profile, n->cfg.feedback)));
    CPH_TRY(m->offer(n->slot[slot].k, &with));
    CPH_TRY(cph_sdp_config_offer(offer->sdp, offer->media, with.media, optional, &written));
    *c = (struct nego_config){ .number = written.number,
                               .transport = written.transport,
                               .proto = with.media->proto,
                               .attrs = written.attrs,
                               .slot = slot };
    n->configs++;
    return CPH_OK;
}

cph_err nego_caps_offer(struct cph_nego *n, const struct cph_keying_local *offer, unsigned *offered)
{
    for (unsigned i = 0; i < n->n; i++) {
        if (n->spared & 1U << i)
            continue;
        CPH_TRY(nego_slot_open(n, i));
        if (cph_sdp_proto_secure(n->slot[i].method->profile)) {
            CPH_TRY(offer_one(n, i, offer));
            continue;
        }
        CPH_TRY(n->slot[i].method->offer(n->slot[i].k, offer));
        *offered |= 1U << i;
    }
    return CPH_OK;
}

/* ---- the answer to it ------------------------------------------------------------------------ */

static bool has_number(const struct cph_sdp_caps_refs *r, unsigned n, uint32_t wanted)
{
    for (unsigned i = 0; i < n; i++)
        if (r->number[i] == wanted)
            return true;
    return false;
}

/* RFC 5939 3.5.2 MUST: the parameters that were used, all common ones and no others. Who leaves
 * the list of attributes away altogether says nothing wrong. */
static bool same_attrs(const struct nego_config *c, const struct cph_sdp_config *a)
{
    if (!a->has_attrs)
        return true;
    for (unsigned i = 0; i < a->attrs.n; i++)
        if (!has_number(&c->attrs, c->attrs.n, a->attrs.number[i]))
            return false;
    for (unsigned i = 0; i < c->attrs.mandatory; i++)
        if (!has_number(&a->attrs, a->attrs.n, c->attrs.number[i]))
            return false;
    return true;
}

const struct nego_config *nego_caps_answered(const struct cph_nego *n,
                                             const struct cph_keying_remote *answer)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&answer->media->part, "acfg");
    struct cph_sdp_config a;

    /* RFC 5939 3.5.2 MUST NOT: more than one; an answer that is not valid is read without it */
    if (!l || cph_sdp_attr_next(l) || cph_sdp_acfg_parse(l->arg, &a) != CPH_OK)
        return NULL;
    for (unsigned i = 0; i < n->configs; i++) {
        const struct nego_config *c = &n->config[i];

        if (c->number == a.number && c->transport == a.transport &&
            c->proto == answer->media->proto && !a.delete_media && !a.delete_session &&
            same_attrs(c, &a) && n->slot[c->slot].k)
            return c;
    }
    return NULL;
}

/* ---- the peer's offer ------------------------------------------------------------------------ */

void nego_ways_of(const struct cph_keying_remote *offer, struct nego_ways *out)
{
    cph_sdp_configs_of(offer->sdp, offer->media, &out->all);
    out->n = out->all.n + 1;
}

static bool same_format(const struct cph_sdp_media *a, const struct cph_sdp_media *b,
                        struct cph_span fmt)
{
    struct cph_sdp_rtpmap x, y;
    uint32_t pt;

    if (cph_span_u32(fmt, &pt) != CPH_OK || pt > 127 ||
        cph_sdp_rtpmap_of(a, (uint8_t)pt, &x) != CPH_OK ||
        cph_sdp_rtpmap_of(b, (uint8_t)pt, &y) != CPH_OK)
        return false;
    return cph_span_ieq(x.name, y.name) && x.rate == y.rate && x.channels == y.channels;
}

/* Our section was made for the m= line as it stands. A configuration that changes more than keys
 * and transport (other codecs, another direction) is not for us. */
static bool fits(const struct cph_keying_remote *offer, const struct cph_keying_remote *way,
                 const struct cph_keying_local *answer)
{
    if (way->media->proto == CPH_SDP_PROTO_OTHER ||
        cph_sdp_direction(way->sdp, way->media) != cph_sdp_direction(offer->sdp, offer->media) ||
        !cph_span_eq(cph_sdp_mid(way->media), cph_sdp_mid(offer->media)) ||
        (cph_sdp_attr(&answer->media->part, "rtcp-mux") &&
         !cph_sdp_attr(&way->media->part, "rtcp-mux")))
        return false;
    for (unsigned i = 0; i < answer->media->n_fmts; i++)
        if (!same_format(way->media, answer->media, answer->media->fmt[i]))
            return false;
    return true;
}

cph_err nego_way(const struct nego_ways *w, unsigned i, const struct cph_keying_remote *offer,
                 const struct cph_keying_local *answer, struct cph_arena *arena,
                 struct cph_keying_remote *out, const struct cph_sdp_config **config)
{
    struct cph_sdp *sdp;

    *config = i < w->all.n ? &w->all.config[i] : NULL;
    *out = *offer;
    if (!*config)
        return CPH_OK;
    CPH_TRY(cph_sdp_config_apply(arena, offer->sdp, offer->media->index, *config, &sdp));
    *out = (struct cph_keying_remote){ sdp, sdp->media[offer->media->index] };
    return fits(offer, out, answer) ? CPH_OK : CPH_E_UNSUPPORTED;
}

cph_err nego_way_taken(const struct cph_sdp_config *config, const struct cph_keying_local *answer)
{
    return cph_sdp_acfg_add(answer->sdp, answer->media, config);
}

cph_err nego_way_lacking(const struct nego_ways *w, const struct cph_keying_local *answer)
{
    static const char csup[] = "csup", base[] = "cap-v0";

    if (w->all.lacking_session && !cph_sdp_attr(&answer->sdp->part, csup))
        CPH_TRY(cph_sdp_attr_add(answer->sdp, NULL, csup, base));
    if (w->all.lacking_media && !cph_sdp_attr(&answer->media->part, csup))
        CPH_TRY(cph_sdp_attr_add(answer->sdp, answer->media, csup, base));
    return CPH_OK;
}

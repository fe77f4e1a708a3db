/* Configurations put into effect, answered and offered. RFC 5939 3.5.2, 3.6. */
#include "ciphony/sdp_caps.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "sdp_int.h"

/* ---- the description as a configuration has it ----------------------------------------------- */

static void without_negotiation(struct cph_sdp *sdp, struct cph_sdp_media *media)
{
    static const char *const name[] = { "csup", "creq", "acap", "tcap", "pcfg", "acfg" };

    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        (void)cph_sdp_attr_remove(sdp, media, name[i]);
}

/* The a= lines of a section are taken out; those that were there, but deleted ones, follow what is
 * added. */
struct section {
    struct cph_sdp_media *media; /* NULL: the session */
    struct cph_span was[CPH_SDP_MAX_ATTRS];
    unsigned n;
};

static cph_err take_out(struct cph_sdp *sdp, struct section *s, bool for_good)
{
    for (const struct cph_sdp_line *l = cph_sdp_part_of(sdp, s->media)->first; l && !for_good;
         l = l->next) {
        if (l->type != 'a')
            continue;
        if (s->n == CPH_SDP_MAX_ATTRS)
            return CPH_E_LIMIT;
        s->was[s->n++] = l->value;
    }
    (void)cph_sdp_line_remove(sdp, s->media, 'a');
    return CPH_OK;
}

static cph_err put_back(struct cph_sdp *sdp, const struct section *s)
{
    for (unsigned i = 0; i < s->n; i++)
        CPH_TRY(sdp_view_add(sdp, s->media, 'a', s->was[i]));
    return CPH_OK;
}

cph_err cph_sdp_config_apply(struct cph_arena *arena, const struct cph_sdp *sdp, unsigned index,
                             const struct cph_sdp_config *config, struct cph_sdp **out)
{
    struct section of_media = { 0 }, of_session = { 0 };
    struct cph_sdp_media *media;
    struct cph_sdp *copy;

    if (index >= sdp->n_media)
        return CPH_E_ARGUMENT;
    CPH_TRY(cph_sdp_copy(arena, sdp, &copy));
    media = of_media.media = copy->media[index];
    without_negotiation(copy, NULL);
    for (unsigned i = 0; i < copy->n_media; i++)
        without_negotiation(copy, copy->media[i]);
    if (config->transport)
        CPH_TRY(sdp_media_proto(copy, media, config->proto));
    CPH_TRY(take_out(copy, &of_media, config->delete_media));
    CPH_TRY(take_out(copy, &of_session, config->delete_session));
    for (unsigned i = 0; i < config->attrs.n; i++) {
        struct cph_sdp_acap c;
        bool session;

        if (!sdp_acap_of(sdp, sdp->media[index], config->attrs.number[i], &c, &session))
            return CPH_E_MALFORMED;
        CPH_TRY(cph_sdp_line_add(copy, session ? NULL : media, 'a', c.attr));
    }
    /* RFC 5939 3.6.2 MUST: what is added comes before what was there */
    CPH_TRY(put_back(copy, &of_media));
    CPH_TRY(put_back(copy, &of_session));
    *out = copy;
    return CPH_OK;
}

/* ---- a=pcfg and a=acfg ----------------------------------------------------------------------- */

static void write_refs(struct cph_wr *wr, const struct cph_sdp_caps_refs *r)
{
    for (unsigned i = 0; i < r->n; i++)
        cph_wr_fmt(wr, "%s%s%u", i ? "," : "", i == r->mandatory ? "[" : "", r->number[i]);
    if (r->n > r->mandatory)
        cph_wr_text(wr, "]");
}

/* "1 t=1 a=-m:1,[2]" */
static cph_err write_config(const struct cph_sdp_config *c, struct cph_wr *wr)
{
    cph_wr_fmt(wr, "%u", c->number);
    if (c->transport)
        cph_wr_fmt(wr, " t=%u", c->transport);
    if (c->has_attrs && (c->attrs.n > 0 || c->delete_media || c->delete_session)) {
        cph_wr_text(wr, " a=");
        if (c->delete_media || c->delete_session)
            cph_wr_fmt(wr, "-%s%s%s", c->delete_media ? "m" : "", c->delete_session ? "s" : "",
                       c->attrs.n ? ":" : "");
        write_refs(wr, &c->attrs);
    }
    cph_wr_u8(wr, 0);
    return cph_wr_end(wr);
}

enum { CONFIG_TEXT = 64 + 12 * CPH_SDP_CAPS_REFS };

static cph_err add_config(struct cph_sdp *sdp, struct cph_sdp_media *media, const char *name,
                          const struct cph_sdp_config *c)
{
    char text[CONFIG_TEXT];
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    CPH_TRY(write_config(c, &wr));
    return cph_sdp_attr_add(sdp, media, name, text);
}

cph_err cph_sdp_acfg_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                         const struct cph_sdp_config *config)
{
    return add_config(sdp, media, "acfg", config);
}

/* ---- writing an offer ------------------------------------------------------------------------ */

static bool has_line(const struct cph_sdp_media *media, const struct cph_sdp_line *line)
{
    for (const struct cph_sdp_line *l = media->part.first; l; l = l->next)
        if (l->type == 'a' && cph_span_eq(l->value, line->value))
            return true;
    return false;
}

/* The highest number of a sort of capability in the whole description. */
static uint32_t highest(const struct cph_sdp *sdp, const char *name)
{
    uint32_t max = 0;

    for (unsigned i = 0; i <= sdp->n_media; i++) {
        const struct cph_sdp_part *part = i ? &sdp->media[i - 1]->part : &sdp->part;

        for (const struct cph_sdp_line *l = cph_sdp_attr(part, name); l; l = cph_sdp_attr_next(l)) {
            struct cph_sdp_acap a;
            struct cph_sdp_tcap t;
            uint32_t v = 0;

            if (cph_span_is(l->name, "acap") && cph_sdp_acap_parse(l->arg, &a) == CPH_OK)
                v = a.number;
            if (cph_span_is(l->name, "tcap") && cph_sdp_tcap_parse(l->arg, &t) == CPH_OK)
                v = t.number + t.n - 1;
            max = v > max ? v : max;
        }
    }
    return max;
}

/* The transport among those of the section, added if it is not. RFC 5939 3.4.2 MUST NOT: one
 * attribute only. */
static cph_err offer_transport(struct cph_sdp *sdp, struct cph_sdp_media *media,
                               struct cph_span proto, uint32_t *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "tcap");
    struct cph_sdp_tcap c = { 0 };
    struct cph_span rest, word;
    char text[256];

    if (!l) {
        *out = highest(sdp, "tcap") + 1;
        return cph_sdp_attr_fmt(sdp, media, "tcap", "%u %.*s", *out, CPH_SPAN_ARG(proto));
    }
    CPH_TRY(cph_sdp_tcap_parse(l->arg, &c));
    rest = c.protos;
    for (*out = c.number; (word = cph_span_word(&rest)).n > 0; ++*out)
        if (cph_span_eq(word, proto))
            return CPH_OK;
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    cph_wr_fmt(&wr, "%.*s %.*s", CPH_SPAN_ARG(l->arg), CPH_SPAN_ARG(proto));
    cph_wr_u8(&wr, 0);
    CPH_TRY(cph_wr_end(&wr));
    (void)cph_sdp_attr_remove(sdp, media, "tcap");
    return cph_sdp_attr_add(sdp, media, "tcap", text);
}

static bool named(struct cph_span name, const char *const *list)
{
    for (; *list; list++)
        if (cph_span_is(name, *list))
            return true;
    return false;
}

static const struct cph_sdp_line *first_of(const struct cph_sdp_media *with,
                                           const struct cph_sdp_line *line)
{
    const struct cph_sdp_line *l = with->part.first;

    while (l->type != 'a' || !cph_span_eq(l->name, line->name))
        l = l->next;
    return l;
}

enum sort { COMMON, ALTERNATIVE, OPTIONAL };

/* Several lines of a name are so many ways to say it, of which the peer need know one only. All of
 * an alternative must be known: RFC 5939 3.5.1. */
static enum sort sort_of(const struct cph_sdp_media *with, const struct cph_sdp_line *l,
                         const char *const *optional)
{
    static const char *const ways[] = { "crypto", "key-mgmt", NULL };

    if (named(l->name, optional))
        return OPTIONAL;
    return named(l->name, ways) && cph_sdp_attr_next(first_of(with, l)) ? ALTERNATIVE : COMMON;
}

/* The attributes of one sort that the section lacks. */
static cph_err offer_attrs(struct cph_sdp *sdp, struct cph_sdp_media *media,
                           const struct cph_sdp_media *with, const char *const *optional,
                           enum sort sort, struct cph_sdp_caps_refs *refs)
{
    unsigned before = refs->n;

    for (const struct cph_sdp_line *l = with->part.first; l; l = l->next) {
        uint32_t n;

        if (l->type != 'a' || has_line(media, l) || sort_of(with, l, optional) != sort)
            continue;
        if (sort == ALTERNATIVE && refs->n - before == CPH_SDP_CAPS_ALTS)
            break; /* the rest we like less */
        if (refs->n == CPH_SDP_CAPS_REFS)
            return CPH_E_LIMIT;
        n = highest(sdp, "acap") + 1;
        /* not the formatted way: a certificate chain is longer than that takes */
        CPH_TRY(sdp_view_add(
            sdp, media, 'a',
            cph_span_of(cph_arena_fmt(sdp->arena, "acap:%u %.*s", n, CPH_SPAN_ARG(l->value)))));
        refs->number[refs->n++] = n;
    }
    return CPH_OK;
}

/* refs: first what is common, then n alternatives, then what is optional. "1 t=1 a=1,2|1,3" */
static cph_err add_pcfg(struct cph_sdp *sdp, struct cph_sdp_media *media,
                        const struct cph_sdp_config *c, unsigned alternatives)
{
    unsigned common = c->attrs.mandatory, optional = common + alternatives;
    char text[CONFIG_TEXT * CPH_SDP_CAPS_ALTS];
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    cph_wr_fmt(&wr, "%u t=%u", c->number, c->transport);
    for (unsigned i = 0; c->has_attrs && i < (alternatives ? alternatives : 1); i++) {
        struct cph_sdp_caps_refs one = { .n = common, .mandatory = common };

        memcpy(one.number, c->attrs.number, common * sizeof *one.number);
        if (alternatives)
            one.number[one.n++] = c->attrs.number[common + i];
        one.mandatory = one.n;
        for (unsigned k = optional; k < c->attrs.n; k++)
            one.number[one.n++] = c->attrs.number[k];
        cph_wr_text(&wr, i ? "|" : " a=");
        write_refs(&wr, &one);
    }
    cph_wr_u8(&wr, 0);
    CPH_TRY(cph_wr_end(&wr));
    return cph_sdp_attr_add(sdp, media, "pcfg", text);
}

cph_err cph_sdp_config_offer(struct cph_sdp *sdp, struct cph_sdp_media *media,
                             const struct cph_sdp_media *with, const char *const *optional,
                             struct cph_sdp_config *out)
{
    struct cph_sdp_config c = { .number = 1, .proto = with->proto_text };
    unsigned alternatives;

    for (const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "pcfg"); l;
         l = cph_sdp_attr_next(l))
        c.number++;
    CPH_TRY(offer_transport(sdp, media, with->proto_text, &c.transport));
    CPH_TRY(offer_attrs(sdp, media, with, optional, COMMON, &c.attrs));
    c.attrs.mandatory = c.attrs.n;
    CPH_TRY(offer_attrs(sdp, media, with, optional, ALTERNATIVE, &c.attrs));
    alternatives = c.attrs.n - c.attrs.mandatory;
    CPH_TRY(offer_attrs(sdp, media, with, optional, OPTIONAL, &c.attrs));
    c.has_attrs = c.attrs.n > 0;
    CPH_TRY(add_pcfg(sdp, media, &c, alternatives));
    *out = c;
    return CPH_OK;
}

bool cph_sdp_config_answered(const struct cph_sdp *offer, const struct cph_sdp_media *offered,
                             const struct cph_sdp_media *answered)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&answered->part, "acfg");
    struct cph_sdp_configs all;
    struct cph_sdp_config c;

    /* RFC 5939 3.5.2 MUST NOT: more than one */
    if (!l || cph_sdp_attr_next(l) || cph_sdp_acfg_parse(l->arg, &c) != CPH_OK)
        return false;
    cph_sdp_configs_of(offer, offered, &all);
    for (unsigned i = 0; i < all.n; i++)
        if (all.config[i].number == c.number && all.config[i].transport == c.transport &&
            cph_span_eq(all.config[i].proto, answered->proto_text))
            return true;
    return false;
}

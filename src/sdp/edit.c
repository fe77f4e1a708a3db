#include "sdp_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

const struct cph_sdp_part *cph_sdp_part_of(const struct cph_sdp *sdp,
                                           const struct cph_sdp_media *media)
{
    return media ? &media->part : &sdp->part;
}

static struct cph_sdp_part *part_of(struct cph_sdp *sdp, struct cph_sdp_media *media)
{
    return media ? &media->part : &sdp->part;
}

const struct cph_sdp_line *cph_sdp_line(const struct cph_sdp_part *part, char type)
{
    const struct cph_sdp_line *l = part->first;

    while (l && l->type != type)
        l = l->next;
    return l;
}

static const struct cph_sdp_line *named(const struct cph_sdp_line *l, struct cph_span name)
{
    while (l && !(l->type == 'a' && cph_span_eq(l->name, name)))
        l = l->next;
    return l;
}

const struct cph_sdp_line *cph_sdp_attr(const struct cph_sdp_part *part, const char *name)
{
    return named(part->first, cph_span_of(name));
}

const struct cph_sdp_line *cph_sdp_attr_next(const struct cph_sdp_line *line)
{
    return named(line->next, line->name);
}

const struct cph_sdp_line *cph_sdp_attr_any(const struct cph_sdp *sdp,
                                            const struct cph_sdp_media *media, const char *name)
{
    const struct cph_sdp_line *l = media ? cph_sdp_attr(&media->part, name) : NULL;

    return l ? l : cph_sdp_attr(&sdp->part, name);
}

/* ---- adding and taking out ------------------------------------------------------------------ */

/* Place in the order of RFC 8866 9. */
static int rank(const struct cph_sdp_media *media, char type)
{
    const char *order = media ? "micbka" : "vosiuepcbtrzka";
    const char *at = type ? strchr(order, type) : NULL;

    return at ? (int)(at - order) : -1;
}

static void insert(struct cph_sdp *sdp, struct cph_sdp_media *media, struct cph_sdp_line *line)
{
    struct cph_sdp_part *part = part_of(sdp, media);
    struct cph_sdp_line *after = NULL;

    for (struct cph_sdp_line *l = part->first; l; l = l->next)
        if (rank(media, l->type) <= rank(media, line->type))
            after = l;
    if (!after || after == part->last) {
        sdp_line_append(sdp, part, line);
        return;
    }
    line->next = after->next;
    after->next = line;
    part->n_lines++;
    part->n_attrs += line->type == 'a';
    sdp->n_lines++;
    sdp->n_bytes += line->value.n + 4;
}

cph_err sdp_view_add(struct cph_sdp *sdp, struct cph_sdp_media *media, char type,
                     struct cph_span value)
{
    struct cph_sdp_line *line;

    if (!value.p)
        return CPH_E_NOMEM;
    if (rank(media, type) < 0 || type == 'm')
        return CPH_E_MALFORMED;
    CPH_TRY(sdp_room_for(sdp, part_of(sdp, media), type, value.n));
    CPH_TRY(sdp_line_make(sdp->arena, type, value, &line));
    insert(sdp, media, line);
    return CPH_OK;
}

cph_err cph_sdp_line_add(struct cph_sdp *sdp, struct cph_sdp_media *media, char type,
                         struct cph_span value)
{
    if (value.n > CPH_SDP_MAX_LINE)
        return CPH_E_LIMIT;
    return sdp_view_add(sdp, media, type, cph_arena_copy(sdp->arena, value));
}

cph_err cph_sdp_attr_add(struct cph_sdp *sdp, struct cph_sdp_media *media, const char *name,
                         const char *arg)
{
    size_t n = strlen(name) + (arg ? 1 + strlen(arg) : 0);
    uint8_t *text = cph_arena_alloc(sdp->arena, n + 1); /* all zero */
    struct cph_wr wr = cph_wr_open(text, n);

    if (!text)
        return CPH_E_NOMEM;
    cph_wr_span(&wr, cph_span_of(name));
    if (arg) {
        cph_wr_u8(&wr, ':');
        cph_wr_span(&wr, cph_span_of(arg));
    }
    return sdp_view_add(sdp, media, 'a', cph_wr_done(&wr));
}

cph_err cph_sdp_attr_fmt(struct cph_sdp *sdp, struct cph_sdp_media *media, const char *name,
                         const char *fmt, ...)
{
    char arg[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(arg, sizeof arg, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof arg)
        return CPH_E_LIMIT;
    return cph_sdp_attr_add(sdp, media, name, arg);
}

static bool take(struct cph_sdp *sdp, struct cph_sdp_part *part, struct cph_sdp_line *prev,
                 struct cph_sdp_line *line)
{
    if (prev)
        prev->next = line->next;
    else
        part->first = line->next;
    if (part->last == line)
        part->last = prev;
    part->n_lines--;
    part->n_attrs -= line->type == 'a';
    sdp->n_lines--;
    sdp->n_bytes -= line->value.n + 4;
    return true;
}

/* Take out lines of a type, and of a name if one is given. */
static unsigned take_all(struct cph_sdp *sdp, struct cph_sdp_media *media, char type,
                         const char *name)
{
    struct cph_sdp_part *part = part_of(sdp, media);
    struct cph_sdp_line *prev = NULL;
    unsigned n = 0;

    for (struct cph_sdp_line *l = part->first, *next; l; l = next) {
        next = l->next;
        if (l->type == type && (!name || cph_span_is(l->name, name)))
            n += take(sdp, part, prev, l);
        else
            prev = l;
    }
    return n;
}

unsigned cph_sdp_attr_remove(struct cph_sdp *sdp, struct cph_sdp_media *media, const char *name)
{
    return take_all(sdp, media, 'a', name);
}

unsigned cph_sdp_line_remove(struct cph_sdp *sdp, struct cph_sdp_media *media, char type)
{
    return type == '\0' || strchr("vostm", type) ? 0 : take_all(sdp, media, type, NULL);
}

void sdp_line_set(struct cph_sdp *sdp, struct cph_sdp_line *line, struct cph_span value)
{
    sdp->n_bytes = sdp->n_bytes - line->value.n + value.n;
    line->value = value;
}

/* ---- whole descriptions and m= lines -------------------------------------------------------- */

static struct cph_span or_text(struct cph_span s, const char *instead)
{
    return s.n > 0 ? s : cph_span_of(instead);
}

/* Write the o= value; the origin's spans become views of it. */
static cph_err origin_build(struct cph_arena *arena, const struct cph_sdp_origin *o,
                            const struct cph_addr *addr, struct cph_span *value)
{
    char ip[CPH_ADDR_TEXT] = "0.0.0.0";
    const char *type = addr && addr->family == CPH_AF_V6 ? "IP6" : "IP4";
    struct cph_span user = or_text(o->user, "-"), net = or_text(o->net, "IN");
    struct cph_span addr_type = or_text(o->addr_type, type), host;

    if (addr)
        cph_addr_ip(addr, ip);
    host = or_text(o->addr, ip);
    *value = cph_span_of(cph_arena_fmt(arena, "%.*s %llu %llu %.*s %.*s %.*s", CPH_SPAN_ARG(user),
                                       (unsigned long long)o->id, (unsigned long long)o->version,
                                       CPH_SPAN_ARG(net), CPH_SPAN_ARG(addr_type),
                                       CPH_SPAN_ARG(host)));
    return value->p ? CPH_OK : CPH_E_NOMEM;
}

cph_err cph_sdp_new(struct cph_arena *arena, const struct cph_sdp_origin *origin,
                    const struct cph_addr *addr, struct cph_sdp **out)
{
    struct cph_sdp *sdp = cph_arena_alloc(arena, sizeof *sdp);
    struct cph_span o;

    if (!sdp)
        return CPH_E_NOMEM;
    sdp->arena = arena;
    CPH_TRY(origin_build(arena, origin, addr, &o));
    CPH_TRY(sdp_origin_parse(o, &sdp->origin));
    CPH_TRY(sdp_view_add(sdp, NULL, 'v', CPH_SPAN_LIT("0")));
    CPH_TRY(sdp_view_add(sdp, NULL, 'o', o));
    CPH_TRY(sdp_view_add(sdp, NULL, 's', CPH_SPAN_LIT("-")));
    CPH_TRY(sdp_view_add(sdp, NULL, 't', CPH_SPAN_LIT("0 0")));
    if (addr) {
        char ip[CPH_ADDR_TEXT];

        CPH_TRY(sdp_view_add(
            sdp, NULL, 'c',
            cph_span_of(cph_arena_fmt(arena, "IN %s %s", addr->family == CPH_AF_V6 ? "IP6" : "IP4",
                                      cph_addr_ip(addr, ip)))));
    }
    *out = sdp;
    return CPH_OK;
}

cph_err cph_sdp_set_version(struct cph_sdp *sdp, uint64_t version)
{
    struct cph_sdp_line *line = sdp->part.first->next; /* v=, then o= */
    struct cph_sdp_origin o = sdp->origin;
    struct cph_span value;

    o.version = version;
    CPH_TRY(origin_build(sdp->arena, &o, NULL, &value));
    CPH_TRY(sdp_origin_parse(value, &sdp->origin));
    sdp_line_set(sdp, line, value);
    return CPH_OK;
}

cph_err cph_sdp_media_add(struct cph_sdp *sdp, struct cph_span kind, uint16_t port,
                          struct cph_span proto, struct cph_span fmts, struct cph_sdp_media **out)
{
    char *value = cph_arena_fmt(sdp->arena, "%.*s %u %.*s %.*s", CPH_SPAN_ARG(kind), port,
                                CPH_SPAN_ARG(proto), CPH_SPAN_ARG(fmts));

    return value ? sdp_media_open(sdp, cph_span_of(value), out) : CPH_E_NOMEM;
}

/* What stands behind the third word of the m= line stays as it is. */
static cph_err media_line_set(struct cph_sdp *sdp, struct cph_sdp_media *media, uint16_t port,
                              struct cph_span proto)
{
    struct cph_span fmts = media->part.first->value;
    char *value;

    for (int i = 0; i < 3; i++)
        cph_span_word(&fmts);
    value = media->n_ports > 1 && port > 0
                ? cph_arena_fmt(sdp->arena, "%.*s %u/%u %.*s%.*s", CPH_SPAN_ARG(media->kind), port,
                                media->n_ports, CPH_SPAN_ARG(proto), CPH_SPAN_ARG(fmts))
                : cph_arena_fmt(sdp->arena, "%.*s %u %.*s%.*s", CPH_SPAN_ARG(media->kind), port,
                                CPH_SPAN_ARG(proto), CPH_SPAN_ARG(fmts));
    if (!value)
        return CPH_E_NOMEM;
    sdp_line_set(sdp, media->part.first, cph_span_of(value));
    media->port = port;
    media->proto_text = proto;
    media->proto = cph_sdp_proto_of(proto);
    return CPH_OK;
}

cph_err cph_sdp_media_set_port(struct cph_sdp *sdp, struct cph_sdp_media *media, uint16_t port)
{
    return media_line_set(sdp, media, port, media->proto_text);
}

cph_err sdp_media_proto(struct cph_sdp *sdp, struct cph_sdp_media *media, struct cph_span proto)
{
    return media_line_set(sdp, media, media->port, proto);
}

cph_err cph_sdp_media_set_proto(struct cph_sdp *sdp, struct cph_sdp_media *media,
                                enum cph_sdp_proto proto)
{
    if (proto == CPH_SDP_PROTO_OTHER)
        return CPH_E_ARGUMENT;
    return media_line_set(sdp, media, media->port, cph_span_of(cph_sdp_proto_text(proto)));
}

cph_err cph_sdp_media_refuse(struct cph_sdp *sdp, struct cph_sdp_media *media)
{
    static const char letters[] = "icbka";

    /* RFC 3264 6 MUST: a refused stream has port zero */
    CPH_TRY(cph_sdp_media_set_port(sdp, media, 0));
    for (const char *type = letters; *type; type++)
        cph_sdp_line_remove(sdp, media, *type);
    return CPH_OK;
}

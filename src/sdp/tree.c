#include "sdp_int.h"

#include <string.h>

#include "ciphony/base_text.h"

/* RFC 8866 9; "s" to "z" may come in any order behind the first three, since nothing hangs on it.
 */
static const char session_letters[] = "vosiuepcbtrzka";
static const char media_letters[] = "micbka";

bool sdp_token(struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]", s.p[i]))
            return false;
    return s.n > 0;
}

static bool clean(struct cph_span s)
{
    return cph_span_find(s, 0) == s.n && cph_span_find(s, '\r') == s.n &&
           cph_span_find(s, '\n') == s.n;
}

cph_err sdp_line_make(struct cph_arena *arena, char type, struct cph_span value,
                      struct cph_sdp_line **out)
{
    struct cph_sdp_line *line;
    struct cph_span rest = value;

    if (!clean(value))
        return CPH_E_MALFORMED; /* RFC 8866 9: byte-string has no NUL, CR, LF */
    line = cph_arena_alloc(arena, sizeof *line);
    if (!line)
        return CPH_E_NOMEM;
    line->type = type;
    line->value = value;
    if (type == 'a') {
        line->name = cph_span_cut(&rest, ':');
        line->arg = rest;
        if (!sdp_token(line->name))
            return CPH_E_MALFORMED;
    }
    *out = line;
    return CPH_OK;
}

cph_err sdp_room_for(const struct cph_sdp *sdp, const struct cph_sdp_part *part, char type,
                     size_t n)
{
    if (n > CPH_SDP_MAX_LINE || sdp->n_lines >= CPH_SDP_MAX_LINES ||
        n + 4 > CPH_SDP_MAX_BYTES - sdp->n_bytes)
        return CPH_E_LIMIT;
    return type == 'a' && part->n_attrs >= CPH_SDP_MAX_ATTRS ? CPH_E_LIMIT : CPH_OK;
}

void sdp_line_append(struct cph_sdp *sdp, struct cph_sdp_part *part, struct cph_sdp_line *line)
{
    if (part->last)
        part->last->next = line;
    else
        part->first = line;
    part->last = line;
    part->n_lines++;
    part->n_attrs += line->type == 'a';
    sdp->n_lines++;
    sdp->n_bytes += line->value.n + 4;
}

/* o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address> */
cph_err sdp_origin_parse(struct cph_span value, struct cph_sdp_origin *out)
{
    struct cph_sdp_origin o;

    o.user = cph_span_word(&value);
    CPH_TRY(cph_span_u64(cph_span_word(&value), &o.id));
    CPH_TRY(cph_span_u64(cph_span_word(&value), &o.version));
    o.net = cph_span_word(&value);
    o.addr_type = cph_span_word(&value);
    o.addr = cph_span_word(&value);
    if (o.addr.n == 0 || cph_span_word(&value).n > 0)
        return CPH_E_MALFORMED;
    *out = o;
    return CPH_OK;
}

/* "port" or "port/number" */
static cph_err port_parse(struct cph_span text, struct cph_sdp_media *m)
{
    struct cph_span port = cph_span_cut(&text, '/');
    uint32_t v, n = 1;

    CPH_TRY(cph_span_u32(port, &v));
    if (text.n > 0)
        CPH_TRY(cph_span_u32(text, &n));
    if (v > UINT16_MAX || n == 0 || n > UINT16_MAX)
        return CPH_E_MALFORMED;
    m->port = (uint16_t)v;
    m->n_ports = n;
    return CPH_OK;
}

bool sdp_proto_ok(struct cph_span proto)
{
    do {
        if (!sdp_token(cph_span_cut(&proto, '/')))
            return false;
    } while (proto.n > 0);
    return true;
}

/* m=<media> <port>[/<number>] <proto> <fmt> ... */
static cph_err media_line_parse(struct cph_span value, struct cph_sdp_media *m)
{
    m->kind = cph_span_word(&value);
    CPH_TRY(port_parse(cph_span_word(&value), m));
    m->proto_text = cph_span_word(&value);
    if (!sdp_token(m->kind) || !sdp_proto_ok(m->proto_text))
        return CPH_E_MALFORMED;
    m->proto = cph_sdp_proto_of(m->proto_text);
    for (struct cph_span fmt; (fmt = cph_span_word(&value)).n > 0;) {
        if (m->n_fmts == CPH_SDP_MAX_FMTS)
            return CPH_E_LIMIT;
        if (!sdp_proto_ok(fmt)) /* a MIME type of "udp" media has a slash */
            return CPH_E_MALFORMED;
        m->fmt[m->n_fmts++] = fmt;
    }
    /* RFC 8866 9 wants one format; a refused stream without any does no harm */
    return m->n_fmts > 0 || m->port == 0 ? CPH_OK : CPH_E_MALFORMED;
}

cph_err sdp_media_open(struct cph_sdp *sdp, struct cph_span value, struct cph_sdp_media **out)
{
    struct cph_sdp_media *m;
    struct cph_sdp_line *line;

    if (sdp->n_media == CPH_SDP_MAX_MEDIA)
        return CPH_E_LIMIT;
    m = cph_arena_alloc(sdp->arena, sizeof *m);
    if (!m)
        return CPH_E_NOMEM;
    CPH_TRY(sdp_room_for(sdp, &m->part, 'm', value.n));
    CPH_TRY(sdp_line_make(sdp->arena, 'm', value, &line));
    CPH_TRY(media_line_parse(value, m));
    m->index = sdp->n_media;
    sdp_line_append(sdp, &m->part, line);
    sdp->media[sdp->n_media++] = m;
    *out = m;
    return CPH_OK;
}

static cph_err version_parse(struct cph_span value)
{
    uint32_t v;

    CPH_TRY(cph_span_u32(value, &v));
    return v == 0 ? CPH_OK : CPH_E_UNSUPPORTED;
}

/* The first three are v=, o=, s= and come once. */
static cph_err head_parse(struct cph_sdp *sdp, char type, struct cph_span value)
{
    if (sdp->n_lines < 3)
        CPH_TRY(type == session_letters[sdp->n_lines] ? CPH_OK : CPH_E_MALFORMED);
    else if (type == 'v' || type == 'o' || type == 's')
        return CPH_E_MALFORMED;
    if (type == 'v')
        return version_parse(value);
    return type == 'o' ? sdp_origin_parse(value, &sdp->origin) : CPH_OK;
}

static cph_err line_parse(struct cph_sdp *sdp, struct cph_sdp_media **media, struct cph_span text)
{
    struct cph_sdp_part *part = *media ? &(*media)->part : &sdp->part;
    char type = text.n >= 2 && text.p[1] == '=' ? (char)text.p[0] : '\0';
    struct cph_span value = cph_span_from(text, 2);
    struct cph_sdp_line *line;

    if (type == '\0')
        return CPH_E_MALFORMED;
    /* RFC 8866 5 MUST: a description with a type letter nobody knows is not used at all */
    if (!strchr(session_letters, type) && !strchr(media_letters, type))
        return CPH_E_UNSUPPORTED;
    if (type == 'm' && sdp->n_lines >= 3)
        return sdp_media_open(sdp, value, media);
    if (!strchr(*media ? media_letters : session_letters, type))
        return CPH_E_MALFORMED;
    if (!*media)
        CPH_TRY(head_parse(sdp, type, value));
    CPH_TRY(sdp_room_for(sdp, part, type, value.n));
    CPH_TRY(sdp_line_make(sdp->arena, type, value, &line));
    sdp_line_append(sdp, part, line);
    return CPH_OK;
}

static bool only_line_ends(struct cph_span rest)
{
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] != '\r' && rest.p[i] != '\n')
            return false;
    return true;
}

cph_err cph_sdp_parse(struct cph_arena *arena, struct cph_span text, struct cph_sdp **out)
{
    struct cph_sdp *sdp;
    struct cph_sdp_media *media = NULL;
    struct cph_span line;

    if (text.n == 0)
        return CPH_E_TRUNCATED;
    if (text.n > CPH_SDP_MAX_BYTES)
        return CPH_E_LIMIT;
    sdp = cph_arena_alloc(arena, sizeof *sdp);
    if (!sdp)
        return CPH_E_NOMEM;
    sdp->arena = arena;
    /* empty lines at the very end come from careless senders; anywhere else they are an error */
    while (!only_line_ends(text) && cph_span_line(&text, &line))
        CPH_TRY(line_parse(sdp, &media, line));
    /* RFC 8866 5 MUST: v=, o=, s= and t= are there */
    if (sdp->n_lines < 3 || !cph_sdp_line(&sdp->part, 't'))
        return CPH_E_MALFORMED;
    *out = sdp;
    return CPH_OK;
}

static void part_print(const struct cph_sdp_part *part, struct cph_wr *wr)
{
    for (const struct cph_sdp_line *l = part->first; l; l = l->next) {
        cph_wr_u8(wr, (uint8_t)l->type);
        cph_wr_u8(wr, '=');
        cph_wr_span(wr, l->value);
        cph_wr_text(wr, "\r\n");
    }
}

cph_err cph_sdp_print(const struct cph_sdp *sdp, struct cph_wr *wr)
{
    part_print(&sdp->part, wr);
    for (unsigned i = 0; i < sdp->n_media; i++)
        part_print(&sdp->media[i]->part, wr);
    return cph_wr_end(wr);
}

struct cph_span cph_sdp_text(const struct cph_sdp *sdp, struct cph_arena *arena)
{
    uint8_t *p = cph_arena_alloc(arena, sdp->n_bytes + 1);
    struct cph_wr wr = cph_wr_open(p, p ? sdp->n_bytes : 0);

    if (!p || cph_sdp_print(sdp, &wr) != CPH_OK)
        return (struct cph_span){ 0 };
    return cph_wr_done(&wr);
}

cph_err cph_sdp_copy(struct cph_arena *arena, const struct cph_sdp *src, struct cph_sdp **out)
{
    struct cph_span text = cph_sdp_text(src, arena);

    return text.p ? cph_sdp_parse(arena, text, out) : CPH_E_NOMEM;
}

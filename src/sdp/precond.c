/* Preconditions, RFC 3312 4; of the type sec, RFC 5027 3. */
#include "ciphony/sdp_precond.h"

#include "ciphony/base_text.h"
#include "sdp_int.h"

static const char *const strength_name[] = {
    [CPH_SDP_STRENGTH_UNSAID] = "",           [CPH_SDP_STRENGTH_NONE] = "none",
    [CPH_SDP_STRENGTH_OPTIONAL] = "optional", [CPH_SDP_STRENGTH_MANDATORY] = "mandatory",
    [CPH_SDP_STRENGTH_FAILURE] = "failure",   [CPH_SDP_STRENGTH_UNKNOWN] = "unknown",
};

static const char *const dir_name[] = {
    [CPH_SDP_INACTIVE] = "none",
    [CPH_SDP_SENDONLY] = "send",
    [CPH_SDP_RECVONLY] = "recv",
    [CPH_SDP_SENDRECV] = "sendrecv",
};

static cph_err dir_of(struct cph_span word, enum cph_sdp_dir *out)
{
    for (int d = CPH_SDP_INACTIVE; d <= CPH_SDP_SENDRECV; d++)
        if (cph_span_is(word, dir_name[d])) {
            *out = (enum cph_sdp_dir)d;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

static cph_err strength_of(struct cph_span word, enum cph_sdp_strength *out)
{
    for (int s = CPH_SDP_STRENGTH_NONE; s <= CPH_SDP_STRENGTH_UNKNOWN; s++)
        if (cph_span_is(word, strength_name[s])) {
            *out = (enum cph_sdp_strength)s;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

cph_err cph_sdp_precond_parse(struct cph_span arg, bool strength, struct cph_sdp_precond *out)
{
    struct cph_sdp_precond v = { .type = cph_span_word(&arg) };

    if (strength)
        CPH_TRY(strength_of(cph_span_word(&arg), &v.strength));
    v.status = cph_span_word(&arg);
    CPH_TRY(dir_of(cph_span_word(&arg), &v.dir));
    if (!sdp_token(v.type) || !sdp_token(v.status) || cph_span_trim(arg).n > 0)
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

/* RFC 5027 3 MUST: security has a status end to end */
static bool is_ours(const struct cph_sdp_precond *p)
{
    return cph_span_is(p->type, "sec") && cph_span_is(p->status, "e2e");
}

/* The directions that lines of a name say of security, together. */
static enum cph_sdp_dir said(const struct cph_sdp_media *media, const char *name)
{
    unsigned dir = CPH_SDP_INACTIVE;
    struct cph_sdp_precond p;

    for (const struct cph_sdp_line *l = cph_sdp_attr(&media->part, name); l;
         l = cph_sdp_attr_next(l))
        if (cph_sdp_precond_parse(l->arg, false, &p) == CPH_OK && is_ours(&p))
            dir |= p.dir;
    return (enum cph_sdp_dir)dir;
}

void cph_sdp_security_of(const struct cph_sdp_media *media, struct cph_sdp_security *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "des");
    struct cph_sdp_precond p;

    *out = (struct cph_sdp_security){ .now = said(media, "curr"), .confirm = said(media, "conf") };
    for (; l; l = cph_sdp_attr_next(l)) {
        if (cph_sdp_precond_parse(l->arg, true, &p) != CPH_OK)
            continue;
        if (!is_ours(&p)) {
            out->foreign |= p.strength == CPH_SDP_STRENGTH_MANDATORY;
            continue;
        }
        out->want = (enum cph_sdp_dir)(out->want | p.dir);
        out->wanted = p.strength > out->wanted ? p.strength : out->wanted;
    }
}

cph_err cph_sdp_security_set(struct cph_sdp *sdp, struct cph_sdp_media *media,
                             const struct cph_sdp_security *s)
{
    (void)cph_sdp_attr_remove(sdp, media, "curr");
    (void)cph_sdp_attr_remove(sdp, media, "des");
    (void)cph_sdp_attr_remove(sdp, media, "conf");
    CPH_TRY(cph_sdp_attr_fmt(sdp, media, "curr", "sec e2e %s", dir_name[s->now]));
    if (s->wanted != CPH_SDP_STRENGTH_UNSAID)
        CPH_TRY(cph_sdp_attr_fmt(sdp, media, "des", "sec %s e2e %s", strength_name[s->wanted],
                                 dir_name[s->want]));
    return s->confirm == CPH_SDP_INACTIVE
               ? CPH_OK
               : cph_sdp_attr_fmt(sdp, media, "conf", "sec e2e %s", dir_name[s->confirm]);
}

cph_err cph_sdp_precond_refuse(struct cph_sdp *sdp, struct cph_sdp_media *media,
                               const struct cph_sdp_media *offered)
{
    struct cph_sdp_precond p;

    CPH_TRY(cph_sdp_media_refuse(sdp, media));
    for (const struct cph_sdp_line *l = cph_sdp_attr(&offered->part, "des"); l;
         l = cph_sdp_attr_next(l)) {
        if (cph_sdp_precond_parse(l->arg, true, &p) != CPH_OK ||
            p.strength != CPH_SDP_STRENGTH_MANDATORY)
            continue;
        CPH_TRY(cph_sdp_attr_fmt(
            sdp, media, "des", "%.*s %s %.*s %s", CPH_SPAN_ARG(p.type),
            strength_name[is_ours(&p) ? CPH_SDP_STRENGTH_FAILURE : CPH_SDP_STRENGTH_UNKNOWN],
            CPH_SPAN_ARG(p.status), dir_name[p.dir]));
    }
    return CPH_OK;
}

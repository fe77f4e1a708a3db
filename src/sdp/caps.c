/*
 * The attributes of capability negotiation, one by one, and the configurations they add up to.
 * RFC 5939 3.4 to 3.6.
 */
#include "ciphony/sdp_caps.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "sdp_int.h"

/* ---- numbers --------------------------------------------------------------------------------- */

/* RFC 5939 3.4.1, 3.4.2, 3.5.1: 1 to 2^31-1, at most ten digits */
static cph_err number(struct cph_span s, uint32_t *out)
{
    uint32_t v;

    if (s.n > 10 || cph_span_u32(s, &v) != CPH_OK || v == 0 || v > INT32_MAX)
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

/* The number an attribute begins with; what stands behind the blank stays in *rest. */
static cph_err leading(struct cph_span *rest, uint32_t *out)
{
    size_t n = 0;

    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    CPH_TRY(number(cph_span_head(*rest, n), out));
    *rest = cph_span_trim(cph_span_from(*rest, n));
    return CPH_OK;
}

/* ---- capabilities ---------------------------------------------------------------------------- */

static const char *const negotiation[] = { "csup", "creq", "acap", "tcap", "pcfg", "acfg", NULL };

static bool is_one_of(struct cph_span name, const char *const *list)
{
    for (; *list; list++)
        if (cph_span_is(name, *list))
            return true;
    return false;
}

cph_err cph_sdp_acap_parse(struct cph_span arg, struct cph_sdp_acap *out)
{
    struct cph_sdp_acap v = { 0 };

    CPH_TRY(leading(&arg, &v.number));
    v.attr = arg;
    v.name = cph_span_cut(&arg, ':');
    /* RFC 5939 3.4.1 MUST NOT: a capability is no capability negotiation itself */
    if (!sdp_token(v.name) || is_one_of(v.name, negotiation))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

cph_err cph_sdp_tcap_parse(struct cph_span arg, struct cph_sdp_tcap *out)
{
    struct cph_sdp_tcap v = { 0 };

    CPH_TRY(leading(&arg, &v.number));
    v.protos = arg;
    for (struct cph_span proto; (proto = cph_span_word(&arg)).n > 0; v.n++)
        if (!sdp_proto_ok(proto))
            return CPH_E_MALFORMED;
    if (v.n == 0 || v.n > (uint32_t)INT32_MAX - v.number)
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

/* ---- configurations as written --------------------------------------------------------------- */

/* "1,2": some more numbers. */
static cph_err refs_list(struct cph_span s, struct cph_sdp_caps_refs *out)
{
    bool more = true;

    while (more) {
        more = cph_span_find(s, ',') < s.n;
        if (out->n == CPH_SDP_CAPS_REFS)
            return CPH_E_LIMIT;
        CPH_TRY(number(cph_span_cut(&s, ','), &out->number[out->n]));
        out->n++;
    }
    return CPH_OK;
}

/* "1,2,[3,4]", "1,2" or "[3]" */
static cph_err refs_parse(struct cph_span s, struct cph_sdp_caps_refs *out)
{
    size_t at = cph_span_find(s, '[');
    struct cph_span mandatory = cph_span_head(s, at);

    *out = (struct cph_sdp_caps_refs){ 0 };
    if (s.n == 0)
        return CPH_E_MALFORMED;
    if (at < s.n && at > 0) { /* the comma between the two */
        if (s.p[at - 1] != ',')
            return CPH_E_MALFORMED;
        mandatory.n--;
    }
    if (at != 0)
        CPH_TRY(refs_list(mandatory, out));
    out->mandatory = out->n;
    if (at == s.n)
        return CPH_OK;
    if (s.p[s.n - 1] != ']')
        return CPH_E_MALFORMED;
    s = cph_span_from(s, at + 1);
    s.n--;
    return refs_list(s, out);
}

/* "-m", "-s", "-ms" before the colon, or alone. */
static cph_err deletes(struct cph_span *s, bool *media, bool *session)
{
    struct cph_span word;

    if (s->n == 0 || s->p[0] != '-')
        return CPH_OK;
    word = cph_span_cut(s, ':');
    *media = cph_span_is(word, "-m") || cph_span_is(word, "-ms");
    *session = cph_span_is(word, "-s") || cph_span_is(word, "-ms");
    return *media || *session ? CPH_OK : CPH_E_MALFORMED;
}

static cph_err attrs_parse(struct cph_span s, struct cph_sdp_pcfg *out)
{
    bool colon = s.n > 0 && s.p[0] == '-' && cph_span_find(s, ':') < s.n;
    bool alone = s.n > 0 && s.p[0] == '-' && !colon;
    bool more;

    CPH_TRY(deletes(&s, &out->delete_media, &out->delete_session));
    if (alone) { /* nothing is added */
        out->n_attrs = 1;
        return CPH_OK;
    }
    do {
        more = cph_span_find(s, '|') < s.n;
        if (out->n_attrs == CPH_SDP_CAPS_ALTS)
            return CPH_E_LIMIT;
        CPH_TRY(refs_parse(cph_span_cut(&s, '|'), &out->attrs[out->n_attrs]));
        out->n_attrs++;
    } while (more);
    return CPH_OK;
}

static cph_err transports_parse(struct cph_span s, struct cph_sdp_pcfg *out)
{
    bool more;

    do {
        more = cph_span_find(s, '|') < s.n;
        if (out->n_transports == CPH_SDP_CAPS_ALTS)
            return CPH_E_LIMIT;
        CPH_TRY(number(cph_span_cut(&s, '|'), &out->transport[out->n_transports]));
        out->n_transports++;
    } while (more);
    return CPH_OK;
}

/* RFC 5939 3.5.1: an extension we do not know is passed over, unless a plus says it must be known
 */
static cph_err extension(struct cph_span name, struct cph_span value, bool *foreign)
{
    bool must = name.n > 0 && name.p[0] == '+';

    if (!sdp_token(must ? cph_span_from(name, 1) : name) || value.n == 0)
        return CPH_E_MALFORMED;
    *foreign |= must;
    return CPH_OK;
}

cph_err cph_sdp_pcfg_parse(struct cph_span arg, struct cph_sdp_pcfg *out)
{
    struct cph_sdp_pcfg v = { 0 };
    struct cph_span word;

    CPH_TRY(leading(&arg, &v.number));
    while ((word = cph_span_word(&arg)).n > 0) {
        struct cph_span name = cph_span_head(word, cph_span_find(word, '='));
        struct cph_span value = cph_span_from(word, name.n + 1);

        if (name.n == word.n)
            return CPH_E_MALFORMED;
        /* RFC 5939 3.5.1 MUST NOT: each list comes once */
        if ((cph_span_is(name, "a") && v.n_attrs > 0) ||
            (cph_span_is(name, "t") && v.n_transports > 0))
            return CPH_E_MALFORMED;
        if (cph_span_is(name, "a"))
            CPH_TRY(attrs_parse(value, &v));
        else if (cph_span_is(name, "t"))
            CPH_TRY(transports_parse(value, &v));
        else
            CPH_TRY(extension(name, value, &v.foreign));
    }
    *out = v;
    return CPH_OK;
}

/* All attributes of all alternatives, each once. */
static cph_err merge(const struct cph_sdp_pcfg *p, struct cph_sdp_caps_refs *out)
{
    for (unsigned a = 0; a < p->n_attrs; a++)
        for (unsigned i = 0; i < p->attrs[a].n; i++) {
            unsigned k = 0;

            while (k < out->n && out->number[k] != p->attrs[a].number[i])
                k++;
            if (k == CPH_SDP_CAPS_REFS)
                return CPH_E_LIMIT;
            out->number[k] = p->attrs[a].number[i];
            out->n += k == out->n;
        }
    out->mandatory = out->n;
    return CPH_OK;
}

cph_err cph_sdp_acfg_parse(struct cph_span arg, struct cph_sdp_config *out)
{
    struct cph_sdp_pcfg p;
    struct cph_sdp_config c;

    CPH_TRY(cph_sdp_pcfg_parse(arg, &p));
    if (p.n_transports > 1 || p.foreign)
        return CPH_E_MALFORMED;
    c = (struct cph_sdp_config){ .number = p.number,
                                 .transport = p.n_transports ? p.transport[0] : 0,
                                 .delete_media = p.delete_media,
                                 .delete_session = p.delete_session,
                                 .has_attrs = p.n_attrs > 0,
                                 .attrs = p.attrs[0] };
    /* RFC 5939 3.5.2 EXCEPTION: what was selected, and no alternatives; but liblinphone 5.1 repeats
     * them all, and the attributes of the answer tell which it took */
    if (p.n_attrs > 1) {
        c.attrs = (struct cph_sdp_caps_refs){ 0 };
        CPH_TRY(merge(&p, &c.attrs));
    }
    *out = c;
    return CPH_OK;
}

/* ---- what references lead to ----------------------------------------------------------------- */

/* The capability with that number; false if there is none, or more than one. */
static bool acap_in(const struct cph_sdp_part *part, uint32_t wanted, struct cph_sdp_acap *out,
                    unsigned *found)
{
    const struct cph_sdp_line *l = cph_sdp_attr(part, "acap");
    struct cph_sdp_acap c;

    for (; l; l = cph_sdp_attr_next(l))
        if (cph_sdp_acap_parse(l->arg, &c) == CPH_OK && c.number == wanted) {
            *out = c;
            ++*found;
        }
    return *found > 0;
}

bool sdp_acap_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media, uint32_t wanted,
                 struct cph_sdp_acap *out, bool *session)
{
    unsigned found = 0;

    *session = acap_in(&sdp->part, wanted, out, &found);
    (void)acap_in(&media->part, wanted, out, &found);
    return found == 1; /* RFC 5939 3.4.1 MUST: each number comes once */
}

static bool tcap_in(const struct cph_sdp_part *part, uint32_t wanted, struct cph_span *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(part, "tcap");
    struct cph_sdp_tcap c;

    /* RFC 5939 3.4.2 MUST NOT: there is one in a section */
    if (!l || cph_sdp_attr_next(l) || cph_sdp_tcap_parse(l->arg, &c) != CPH_OK ||
        wanted < c.number || wanted - c.number >= c.n)
        return false;
    for (uint32_t i = 0; i <= wanted - c.number; i++)
        *out = cph_span_word(&c.protos);
    return true;
}

static bool tcap_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media, uint32_t wanted,
                    struct cph_span *out)
{
    struct cph_span other;
    bool in_media = tcap_in(&media->part, wanted, out);

    if (in_media) /* RFC 5939 3.4.2 MUST NOT: numbers do not overlap */
        return !tcap_in(&sdp->part, wanted, &other);
    return tcap_in(&sdp->part, wanted, out);
}

/* ---- configurations of an m= line ------------------------------------------------------------ */

/* Attributes whose meaning somebody in this house knows, and those that stand in a section only. */
static const char *const known[] = {
    "crypto",   "fingerprint", "setup",    "tls-id",   "key-mgmt",       "zrtp-hash",
    "cryptex",  "rtcp-mux",    "rtcp",     "rtpmap",   "fmtp",           "ptime",
    "maxptime", "mid",         "sendrecv", "sendonly", "encryption",     "recvonly",
    "inactive", "ssrc",        "sdp-dh",   "mikeyv2",  "mikeyv2-inband", NULL,
};
static const char *const media_only[] = {
    "crypto", "zrtp-hash", "rtcp-mux", "rtcp", "rtpmap",  "fmtp",
    "ptime",  "maxptime",  "mid",      "ssrc", "rtcp-fb", NULL,
};

/* RFC 5939 3.6.2: the references lead to capabilities that may stand where they would, and the
 * mandatory ones are of a kind we know. Optional ones we do not know are left out. */
static bool refs_ok(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                    const struct cph_sdp_caps_refs *in, struct cph_sdp_caps_refs *out)
{
    *out = (struct cph_sdp_caps_refs){ 0 };
    for (unsigned i = 0; i < in->n; i++) {
        struct cph_sdp_acap c;
        bool session;

        if (!sdp_acap_of(sdp, media, in->number[i], &c, &session) ||
            (session && is_one_of(c.name, media_only)))
            return false;
        if (!is_one_of(c.name, known)) {
            if (i < in->mandatory)
                return false;
            continue;
        }
        out->number[out->n++] = in->number[i];
        out->mandatory += i < in->mandatory;
    }
    return true;
}

static void add(struct cph_sdp_configs *out, const struct cph_sdp_config *c)
{
    unsigned at = out->n;

    if (out->n == CPH_SDP_CAPS_CONFIGS)
        return;
    /* RFC 5939 3.5.1: the lower number is liked better; alternatives stay in their order */
    for (; at > 0 && out->config[at - 1].number > c->number; at--)
        out->config[at] = out->config[at - 1];
    out->config[at] = *c;
    out->n++;
}

static void expand(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                   const struct cph_sdp_pcfg *p, struct cph_sdp_configs *out)
{
    for (unsigned t = 0; t < (p->n_transports ? p->n_transports : 1); t++) {
        struct cph_sdp_config c = { .number = p->number,
                                    .proto = media->proto_text,
                                    .delete_media = p->delete_media,
                                    .delete_session = p->delete_session,
                                    .has_attrs = p->n_attrs > 0 };

        if (p->n_transports) {
            c.transport = p->transport[t];
            if (!tcap_of(sdp, media, c.transport, &c.proto))
                continue;
        }
        for (unsigned a = 0; a < (p->n_attrs ? p->n_attrs : 1); a++)
            if (refs_ok(sdp, media, &p->attrs[a], &c.attrs))
                add(out, &c);
    }
}

/* RFC 5939 3.3.2 MUST NOT: negotiate where an extension is required that we lack */
static bool lacking(const struct cph_sdp_part *part)
{
    const struct cph_sdp_line *l = cph_sdp_attr(part, "creq");
    struct cph_span rest;

    if (!l)
        return false;
    rest = l->arg;
    do
        if (!cph_span_is(cph_span_cut(&rest, ','), "cap-v0"))
            return true;
    while (rest.n > 0);
    return cph_sdp_attr_next(l) != NULL; /* RFC 5939 3.3.2 MUST NOT: more than one */
}

static bool number_is_unique(const struct cph_sdp_media *media, uint32_t wanted)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "pcfg");
    unsigned found = 0;

    for (; l; l = cph_sdp_attr_next(l)) {
        struct cph_span rest = l->arg;
        uint32_t v;

        found += leading(&rest, &v) == CPH_OK && v == wanted;
    }
    return found == 1;
}

void cph_sdp_configs_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                        struct cph_sdp_configs *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "pcfg");
    struct cph_sdp_pcfg p;

    memset(out, 0, sizeof *out);
    out->lacking_session = lacking(&sdp->part);
    out->lacking_media = lacking(&media->part);
    if (out->lacking_session || out->lacking_media)
        return;
    for (unsigned n = 0; l && n < CPH_SDP_CAPS_PCFGS; n++, l = cph_sdp_attr_next(l))
        if (cph_sdp_pcfg_parse(l->arg, &p) == CPH_OK && !p.foreign &&
            number_is_unique(media, p.number))
            expand(sdp, media, &p, out);
}

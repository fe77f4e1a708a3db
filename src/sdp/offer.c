#include "ciphony/sdp_offer.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/sdp_caps.h"
#include "sdp_int.h"

enum { FMTS_TEXT = CPH_SDP_MAX_FMTS * 4 + 1 };

/* ---- building ------------------------------------------------------------------------------- */

static const char *kind_of(const struct cph_sdp_stream *s)
{
    return s->kind ? s->kind : "audio";
}

static uint8_t channels_of(const struct cph_sdp_codec *c)
{
    return c->channels ? c->channels : 1;
}

static cph_err connection_add(struct cph_sdp *sdp, struct cph_sdp_media *m,
                              const struct cph_sdp_local *local, const struct cph_sdp_stream *s)
{
    static const struct cph_addr any = { .family = CPH_AF_V4 };
    const struct cph_addr *a = s->hold_by_address ? &any : s->addr;
    char ip[CPH_ADDR_TEXT], text[CPH_ADDR_TEXT + 8];
    struct cph_wr wr = cph_wr_open(text, sizeof text);

    if (!a || (!s->hold_by_address && cph_addr_ip_eq(a, &local->addr)))
        return CPH_OK;
    cph_wr_fmt(&wr, "IN %s %s", a->family == CPH_AF_V6 ? "IP6" : "IP4", cph_addr_ip(a, ip));
    return cph_sdp_line_add(sdp, m, 'c', cph_wr_done(&wr));
}

static cph_err codec_add(struct cph_sdp *sdp, struct cph_sdp_media *m,
                         const struct cph_sdp_codec *c, uint8_t pt)
{
    const struct cph_sdp_rtpmap map = { pt, cph_span_of(c->name), c->rate, channels_of(c) };

    CPH_TRY(cph_sdp_rtpmap_add(sdp, m, &map));
    return c->fmtp ? cph_sdp_attr_fmt(sdp, m, "fmtp", "%u %s", pt, c->fmtp) : CPH_OK;
}

static cph_err stream_attrs(struct cph_sdp *sdp, struct cph_sdp_media *m,
                            const struct cph_sdp_stream *s, enum cph_sdp_dir dir, bool rtcp_mux)
{
    if (s->ptime)
        CPH_TRY(cph_sdp_attr_fmt(sdp, m, "ptime", "%u", s->ptime));
    if (s->maxptime)
        CPH_TRY(cph_sdp_attr_fmt(sdp, m, "maxptime", "%u", s->maxptime));
    CPH_TRY(cph_sdp_attr_add(sdp, m, cph_sdp_dir_text(dir), NULL));
    if (s->rtcp_port && s->rtcp_port != s->port + 1)
        CPH_TRY(cph_sdp_attr_fmt(sdp, m, "rtcp", "%u", s->rtcp_port));
    return rtcp_mux ? cph_sdp_attr_add(sdp, m, "rtcp-mux", NULL) : CPH_OK;
}

/* The same number must not mean two codecs. */
static bool codecs_ok(const struct cph_sdp_stream *s)
{
    for (unsigned i = 0; i < s->n_codecs; i++) {
        if (s->codecs[i].pt > 127)
            return false;
        for (unsigned j = 0; j < i; j++)
            if (s->codecs[i].pt == s->codecs[j].pt)
                return false;
    }
    return s->n_codecs > 0 && s->n_codecs <= CPH_SDP_MAX_CODECS;
}

static cph_err offer_stream(struct cph_sdp *sdp, const struct cph_sdp_local *local,
                            const struct cph_sdp_stream *s)
{
    enum cph_sdp_proto proto = s->proto == CPH_SDP_PROTO_OTHER ? CPH_SDP_RTP_AVP : s->proto;
    char fmts[FMTS_TEXT];
    struct cph_wr wr = cph_wr_open(fmts, sizeof fmts);
    struct cph_sdp_media *m;

    if (s->port != 0 && !codecs_ok(s))
        return CPH_E_ARGUMENT;
    for (unsigned i = 0; i < s->n_codecs && i < CPH_SDP_MAX_CODECS; i++)
        cph_wr_fmt(&wr, "%s%u", i ? " " : "", s->codecs[i].pt);
    if (wr.n == 0)
        cph_wr_text(&wr, "0"); /* RFC 8866 9: a removed stream still names a format */
    CPH_TRY(cph_sdp_media_add(sdp, cph_span_of(kind_of(s)), s->port,
                              cph_span_of(cph_sdp_proto_text(proto)), cph_wr_done(&wr), &m));
    if (s->port == 0)
        return CPH_OK;
    CPH_TRY(connection_add(sdp, m, local, s));
    if (s->mid)
        CPH_TRY(cph_sdp_attr_add(sdp, m, "mid", s->mid));
    for (unsigned i = 0; i < s->n_codecs; i++)
        CPH_TRY(codec_add(sdp, m, &s->codecs[i], s->codecs[i].pt));
    return stream_attrs(sdp, m, s, s->direction, s->rtcp_mux);
}

cph_err cph_sdp_offer(struct cph_arena *arena, const struct cph_sdp_local *local,
                      const struct cph_sdp_stream *streams, unsigned n, struct cph_sdp **out)
{
    struct cph_sdp *sdp;

    CPH_TRY(cph_sdp_new(arena, &local->origin, &local->addr, &sdp));
    for (unsigned i = 0; i < n; i++)
        CPH_TRY(offer_stream(sdp, local, &streams[i]));
    *out = sdp;
    return CPH_OK;
}

/* ---- answering ------------------------------------------------------------------------------ */

static bool same_codec(const struct cph_sdp_rtpmap *map, struct cph_span name, uint32_t rate,
                       uint8_t channels)
{
    return cph_span_ieq(map->name, name) && map->rate == rate && map->channels == channels;
}

/* The payload type of a format; false if it is none. */
static bool pt_of(struct cph_span fmt, uint8_t *pt)
{
    uint32_t v;

    if (cph_span_u32(fmt, &v) != CPH_OK || v > 127)
        return false;
    *pt = (uint8_t)v;
    return true;
}

/* Tones and comfort noise do not make a conversation. */
static bool carries_speech(const struct cph_sdp_codec *c)
{
    return strcmp(c->name, "telephone-event") != 0 && strcmp(c->name, "CN") != 0;
}

/* Codecs in common, in the order and with the numbers of the offer. */
struct common {
    const struct cph_sdp_codec *codec[CPH_SDP_MAX_CODECS];
    uint8_t pt[CPH_SDP_MAX_CODECS];
    unsigned n;
    bool speech;
};

static void take_codec(struct common *c, const struct cph_sdp_codec *codec, uint8_t pt)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->codec[i] == codec)
            return; /* offered under two numbers: the first will do */
    if (c->n == CPH_SDP_MAX_CODECS)
        return;
    c->codec[c->n] = codec;
    c->pt[c->n++] = pt;
    c->speech |= carries_speech(codec);
}

static void find_common(const struct cph_sdp_media *offer, const struct cph_sdp_stream *s,
                        struct common *c)
{
    struct cph_sdp_rtpmap map;
    uint8_t pt;

    *c = (struct common){ 0 };
    for (unsigned i = 0; i < offer->n_fmts; i++) {
        if (!pt_of(offer->fmt[i], &pt) || cph_sdp_rtpmap_of(offer, pt, &map) != CPH_OK)
            continue;
        for (unsigned j = 0; j < s->n_codecs; j++)
            if (same_codec(&map, cph_span_of(s->codecs[j].name), s->codecs[j].rate,
                           channels_of(&s->codecs[j])))
                take_codec(c, &s->codecs[j], pt);
    }
}

static cph_err refuse(struct cph_sdp *answer, const struct cph_sdp_media *offer)
{
    struct cph_span fmts = offer->part.first->value;
    struct cph_sdp_media *m;

    for (int i = 0; i < 3; i++)
        cph_span_word(&fmts);
    fmts = cph_span_trim(fmts);
    return cph_sdp_media_add(answer, offer->kind, 0, offer->proto_text,
                             fmts.n > 0 ? fmts : CPH_SPAN_LIT("0"), &m);
}

static cph_err accept_stream(struct cph_sdp *answer, const struct cph_sdp_local *local,
                             const struct cph_sdp *offer_sdp, const struct cph_sdp_media *offer,
                             const struct cph_sdp_stream *s, const struct common *c)
{
    enum cph_sdp_dir allowed = cph_sdp_dir_mirror(cph_sdp_direction(offer_sdp, offer));
    bool mux = s->rtcp_mux && cph_sdp_attr(&offer->part, "rtcp-mux");
    struct cph_span mid = cph_sdp_mid(offer);
    char fmts[FMTS_TEXT];
    struct cph_wr wr = cph_wr_open(fmts, sizeof fmts);
    struct cph_sdp_media *m;

    for (unsigned i = 0; i < c->n; i++)
        cph_wr_fmt(&wr, "%s%u", i ? " " : "", c->pt[i]);
    CPH_TRY(
        cph_sdp_media_add(answer, offer->kind, s->port, offer->proto_text, cph_wr_done(&wr), &m));
    CPH_TRY(connection_add(answer, m, local, s));
    if (mid.n > 0)
        CPH_TRY(cph_sdp_attr_fmt(answer, m, "mid", "%.*s", CPH_SPAN_ARG(mid)));
    for (unsigned i = 0; i < c->n; i++)
        CPH_TRY(codec_add(answer, m, c->codec[i], c->pt[i]));
    /* RFC 3264 6.1 MUST: the answer's direction lies within what the offer allows */
    return stream_attrs(answer, m, s, (enum cph_sdp_dir)(s->direction & allowed), mux);
}

static cph_err answer_stream(struct cph_sdp *answer, const struct cph_sdp_local *local,
                             const struct cph_sdp *offer_sdp, const struct cph_sdp_media *offer,
                             const struct cph_sdp_stream *s)
{
    struct common common;

    /* RFC 3264 8.2 MUST: port zero is answered with port zero */
    if (!s || s->port == 0 || offer->port == 0 || offer->proto == CPH_SDP_PROTO_OTHER ||
        !cph_span_is(offer->kind, kind_of(s)))
        return refuse(answer, offer);
    find_common(offer, s, &common);
    if (!common.speech)
        return refuse(answer, offer);
    return accept_stream(answer, local, offer_sdp, offer, s, &common);
}

cph_err cph_sdp_answer_skeleton(struct cph_arena *arena, const struct cph_sdp_local *local,
                                const struct cph_sdp *offer, const struct cph_sdp_stream *streams,
                                unsigned n, struct cph_sdp **out)
{
    struct cph_sdp *answer;

    CPH_TRY(cph_sdp_new(arena, &local->origin, &local->addr, &answer));
    /* RFC 3264 6 MUST: as many m= lines as the offer has, in its order */
    for (unsigned i = 0; i < offer->n_media; i++)
        CPH_TRY(answer_stream(answer, local, offer, offer->media[i], i < n ? &streams[i] : NULL));
    *out = answer;
    return CPH_OK;
}

/* ---- versions and checks -------------------------------------------------------------------- */

static bool same_lines(const struct cph_sdp_part *a, const struct cph_sdp_part *b)
{
    const struct cph_sdp_line *x = a->first, *y = b->first;

    for (; x && y; x = x->next, y = y->next)
        if (x->type != y->type || (x->type != 'o' && !cph_span_eq(x->value, y->value)))
            return false;
    return !x && !y;
}

static bool same_but_version(const struct cph_sdp *a, const struct cph_sdp *b)
{
    if (a->n_media != b->n_media || !same_lines(&a->part, &b->part))
        return false;
    for (unsigned i = 0; i < a->n_media; i++)
        if (!same_lines(&a->media[i]->part, &b->media[i]->part))
            return false;
    return true;
}

static bool same_origin(const struct cph_sdp_origin *a, const struct cph_sdp_origin *b)
{
    return a->id == b->id && cph_span_eq(a->user, b->user) && cph_span_eq(a->addr, b->addr);
}

cph_err cph_sdp_finish_local(struct cph_sdp_local *local, struct cph_sdp *sdp,
                             const struct cph_sdp *previous)
{
    uint64_t version = local->origin.version;

    if (previous && previous->n_media > sdp->n_media)
        return CPH_E_ARGUMENT; /* RFC 3264 8 MUST: m= lines never go away */
    if (previous)
        version = previous->origin.version + !same_but_version(previous, sdp);
    CPH_TRY(cph_sdp_set_version(sdp, version));
    local->origin.version = version;
    return CPH_OK;
}

/* An offer that says keys are optional may be answered under the profile that has them. */
static bool raised(const struct cph_sdp_media *o, const struct cph_sdp_media *a)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&o->part, "encryption");

    return l && ((o->proto == CPH_SDP_RTP_AVP && a->proto == CPH_SDP_RTP_SAVP) ||
                 (o->proto == CPH_SDP_RTP_AVPF && a->proto == CPH_SDP_RTP_SAVPF));
}

cph_err cph_sdp_answer_check(const struct cph_sdp *offer, const struct cph_sdp *answer)
{
    /* RFC 3264 6 MUST: the same number of m= lines */
    if (offer->n_media != answer->n_media)
        return CPH_E_MALFORMED;
    for (unsigned i = 0; i < offer->n_media; i++) {
        const struct cph_sdp_media *o = offer->media[i], *a = answer->media[i];

        if (a->port == 0)
            continue;
        if (o->port == 0 || !cph_span_eq(o->kind, a->kind))
            return CPH_E_MALFORMED;
        if (!cph_span_eq(o->proto_text, a->proto_text) && !cph_sdp_config_answered(offer, o, a) &&
            !raised(o, a))
            return CPH_E_MALFORMED;
    }
    return CPH_OK;
}

cph_err cph_sdp_reoffer_check(const struct cph_sdp *previous, const struct cph_sdp *reoffer)
{
    if (reoffer->n_media < previous->n_media)
        return CPH_E_MALFORMED;
    if (same_origin(&previous->origin, &reoffer->origin) &&
        reoffer->origin.version < previous->origin.version)
        return CPH_E_MALFORMED;
    return CPH_OK;
}

/* ---- what was agreed ------------------------------------------------------------------------ */

static bool find_local(const struct cph_sdp_media *local, const struct cph_sdp_rtpmap *remote,
                       uint8_t *pt)
{
    struct cph_sdp_rtpmap map;

    for (unsigned i = 0; i < local->n_fmts; i++)
        if (pt_of(local->fmt[i], pt) && cph_sdp_rtpmap_of(local, *pt, &map) == CPH_OK &&
            same_codec(&map, remote->name, remote->rate, remote->channels))
            return true;
    return false;
}

static void agree_codecs(const struct cph_sdp_media *local, const struct cph_sdp_media *remote,
                         struct cph_sdp_agreed *out)
{
    struct cph_sdp_rtpmap map;
    uint8_t send, recv;

    for (unsigned i = 0; i < remote->n_fmts && out->n_codecs < CPH_SDP_MAX_CODECS; i++) {
        if (!pt_of(remote->fmt[i], &send) || cph_sdp_rtpmap_of(remote, send, &map) != CPH_OK ||
            !find_local(local, &map, &recv))
            continue;
        out->codec[out->n_codecs++] = (struct cph_sdp_agreed_codec){
            .name = map.name,
            .rate = map.rate,
            .channels = map.channels,
            .pt_send = send,
            .pt_recv = recv,
            .fmtp_remote = cph_sdp_fmtp_of(remote, send),
            .fmtp_local = cph_sdp_fmtp_of(local, recv),
        };
    }
}

cph_err cph_sdp_agree(const struct cph_sdp *local, const struct cph_sdp *remote, unsigned index,
                      bool local_offered, struct cph_sdp_agreed *out)
{
    const struct cph_sdp_media *l, *r;
    struct cph_sdp_agreed v = { 0 };
    enum cph_sdp_dir mine, theirs;

    if (index >= local->n_media || index >= remote->n_media)
        return CPH_E_ARGUMENT;
    l = local->media[index];
    r = remote->media[index];
    v.proto = local_offered ? r->proto : l->proto;
    if (l->port == 0 || r->port == 0 || !cph_span_eq(l->kind, r->kind)) {
        *out = v;
        return CPH_OK;
    }
    CPH_TRY(cph_sdp_rtp_target(remote, r, &v.rtp));
    v.rtcp_mux = cph_sdp_attr(&l->part, "rtcp-mux") && cph_sdp_attr(&r->part, "rtcp-mux");
    v.rtcp = v.rtp;
    if (!v.rtcp_mux)
        CPH_TRY(cph_sdp_rtcp_target(remote, r, &v.rtcp));
    agree_codecs(l, r, &v);
    mine = cph_sdp_direction(local, l);
    theirs = cph_sdp_dir_mirror(cph_sdp_direction(remote, r));
    v.direction = (enum cph_sdp_dir)(mine & theirs);
    /* our answer says no more than the offer allowed; what we would have liked is not in it */
    v.remote_hold = (!local_offered || (mine & CPH_SDP_SENDONLY)) && !(theirs & CPH_SDP_SENDONLY);
    v.ptime = cph_sdp_ptime(r);
    v.maxptime = cph_sdp_maxptime(r);
    v.active = v.n_codecs > 0;
    *out = v;
    return CPH_OK;
}

/* ---- numbers in a re-offer ------------------------------------------------------------------ */

/* What is this number in that description? The section may not be there, or the number not mapped.
 */
static bool meaning(const struct cph_sdp *sdp, unsigned index, uint8_t pt,
                    struct cph_sdp_rtpmap *map)
{
    const struct cph_sdp_media *m = index < sdp->n_media ? sdp->media[index] : NULL;
    uint8_t v;

    for (unsigned i = 0; m && i < m->n_fmts; i++)
        if (pt_of(m->fmt[i], &v) && v == pt)
            return cph_sdp_rtpmap_of(m, pt, map) == CPH_OK;
    return false;
}

static bool is_codec(const struct cph_sdp_rtpmap *map, const struct cph_sdp_codec *c)
{
    return same_codec(map, cph_span_of(c->name), c->rate, channels_of(c));
}

/* May this codec have this number, as far as the two descriptions go? */
static bool number_free(const struct cph_sdp *local, const struct cph_sdp *remote, unsigned index,
                        const struct cph_sdp_codec *c, uint8_t pt)
{
    struct cph_sdp_rtpmap map;

    return !(meaning(local, index, pt, &map) && !is_codec(&map, c)) &&
           !(meaning(remote, index, pt, &map) && !is_codec(&map, c));
}

static bool number_taken(const struct cph_sdp_codec *codecs, unsigned n, uint8_t pt)
{
    for (unsigned i = 0; i < n; i++)
        if (codecs[i].pt == pt)
            return true;
    return false;
}

/* The number the codec had, else its own if nobody else had it, else a free one. */
static cph_err number_for(const struct cph_sdp *local, const struct cph_sdp *remote, unsigned index,
                          const struct cph_sdp_codec *codecs, unsigned i, uint8_t *out)
{
    const struct cph_sdp_codec *c = &codecs[i];
    struct cph_sdp_rtpmap map;

    for (unsigned pt = 0; pt <= 127; pt++)
        if (meaning(local, index, (uint8_t)pt, &map) && is_codec(&map, c) &&
            !number_taken(codecs, i, (uint8_t)pt)) {
            *out = (uint8_t)pt;
            return CPH_OK;
        }
    if (number_free(local, remote, index, c, c->pt) && !number_taken(codecs, i, c->pt)) {
        *out = c->pt;
        return CPH_OK;
    }
    for (unsigned pt = 96; pt <= 127; pt++) /* RFC 3551 6: dynamic */
        if (number_free(local, remote, index, c, (uint8_t)pt) &&
            !number_taken(codecs, i, (uint8_t)pt)) {
            *out = (uint8_t)pt;
            return CPH_OK;
        }
    return CPH_E_LIMIT;
}

cph_err cph_sdp_codecs_renumber(const struct cph_sdp *local, const struct cph_sdp *remote,
                                unsigned index, struct cph_sdp_codec *codecs, unsigned n)
{
    struct cph_sdp_codec next[CPH_SDP_MAX_CODECS];

    if (n > CPH_SDP_MAX_CODECS)
        return CPH_E_ARGUMENT;
    memcpy(next, codecs, n * sizeof *codecs);
    for (unsigned i = 0; i < n; i++)
        CPH_TRY(number_for(local, remote, index, next, i, &next[i].pt));
    memcpy(codecs, next, n * sizeof *codecs);
    return CPH_OK;
}

/* What a section says, with the defaults of the session. */
#include "sdp_int.h"

#include "ciphony/base_text.h"

/* c= of the media section, else of the session section */
static const struct cph_sdp_line *connection(const struct cph_sdp *sdp,
                                             const struct cph_sdp_media *media)
{
    const struct cph_sdp_line *l = cph_sdp_line(&media->part, 'c');

    return l ? l : cph_sdp_line(&sdp->part, 'c');
}

static bool said(const struct cph_sdp_part *part, enum cph_sdp_dir *dir)
{
    for (const struct cph_sdp_line *l = part->first; l; l = l->next)
        for (int d = CPH_SDP_INACTIVE; d <= CPH_SDP_SENDRECV; d++)
            if (l->type == 'a' && cph_span_is(l->name, cph_sdp_dir_text((enum cph_sdp_dir)d))) {
                *dir = (enum cph_sdp_dir)d;
                return true;
            }
    return false;
}

enum cph_sdp_dir cph_sdp_direction(const struct cph_sdp *sdp, const struct cph_sdp_media *media)
{
    enum cph_sdp_dir dir = CPH_SDP_SENDRECV; /* RFC 8866 6.7.3: the default */
    struct cph_sdp_target t;

    if (!said(&media->part, &dir))
        said(&sdp->part, &dir);
    /* RFC 3264 8.4 MUST: c=0.0.0.0 is understood, and nothing is sent there */
    if (cph_sdp_rtp_target(sdp, media, &t) == CPH_OK && t.host.n == 0 && cph_addr_is_any(&t.addr))
        dir = (enum cph_sdp_dir)(dir & CPH_SDP_SENDONLY);
    return dir;
}

static bool host_name(struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= 255;
}

static bool multicast(const struct cph_addr *a)
{
    return a->family == CPH_AF_V4 ? (a->ip[0] & 0xf0) == 0xe0 : a->ip[0] == 0xff;
}

/* An address or a name of type IP4 or IP6. */
static cph_err target_set(struct cph_span type, struct cph_span text, uint16_t port,
                          struct cph_sdp_target *out)
{
    struct cph_sdp_target t = { 0 };
    bool v6 = cph_span_is(type, "IP6");

    if (!v6 && !cph_span_is(type, "IP4"))
        return CPH_E_UNSUPPORTED;
    if (cph_span_find(text, '/') != text.n) /* a TTL or a range: multicast */
        return CPH_E_UNSUPPORTED;
    if (cph_addr_parse_ip(text, &t.addr) == CPH_OK) {
        if ((t.addr.family == CPH_AF_V6) != v6)
            return CPH_E_MALFORMED;
        if (multicast(&t.addr))
            return CPH_E_UNSUPPORTED;
    } else if (host_name(text)) {
        t.addr = (struct cph_addr){ 0 };
        t.host = text;
    } else {
        return CPH_E_MALFORMED;
    }
    t.addr.port = port;
    *out = t;
    return CPH_OK;
}

cph_err cph_sdp_rtp_target(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                           struct cph_sdp_target *out)
{
    const struct cph_sdp_line *l = connection(sdp, media);
    struct cph_span rest, net, type, addr;

    if (!l)
        return CPH_E_NOTFOUND;
    rest = l->value;
    net = cph_span_word(&rest);
    type = cph_span_word(&rest);
    addr = cph_span_word(&rest);
    if (addr.n == 0 || cph_span_word(&rest).n > 0)
        return CPH_E_MALFORMED;
    if (!cph_span_is(net, "IN"))
        return CPH_E_UNSUPPORTED;
    return target_set(type, addr, media->port, out);
}

cph_err cph_sdp_rtcp_target(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                            struct cph_sdp_target *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "rtcp");
    struct cph_sdp_rtcp rtcp;
    struct cph_sdp_target t;

    if (l) {
        CPH_TRY(cph_sdp_rtcp_parse(l->arg, &rtcp));
        if (rtcp.addr.n > 0)
            return target_set(rtcp.addr_type, rtcp.addr, rtcp.port, out);
    } else if (media->port == UINT16_MAX) {
        return CPH_E_MALFORMED;
    }
    CPH_TRY(cph_sdp_rtp_target(sdp, media, &t));
    t.addr.port = l ? rtcp.port : (uint16_t)(media->port + 1);
    *out = t;
    return CPH_OK;
}

#include "sdp_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

static bool all_in(struct cph_span s, bool (*in)(uint8_t c))
{
    for (size_t i = 0; i < s.n; i++)
        if (!in(s.p[i]))
            return false;
    return s.n > 0;
}

static bool alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool visible(uint8_t c)
{
    return c > ' ' && c < 0x7f;
}

static bool suite_char(uint8_t c)
{
    return alnum(c) || c == '_';
}

static bool base64_char(uint8_t c)
{
    return alnum(c) || c == '+' || c == '/' || c == '=';
}

static bool tls_id_char(uint8_t c)
{
    return alnum(c) || c == '+' || c == '/' || c == '-' || c == '_';
}

static cph_err u_max(struct cph_span s, uint32_t max, uint32_t *out)
{
    CPH_TRY(cph_span_u32(s, out));
    return *out <= max ? CPH_OK : CPH_E_MALFORMED;
}

/* ---- codecs --------------------------------------------------------------------------------- */

/* a=rtpmap:<pt> <name>/<rate>[/<channels>] */
cph_err cph_sdp_rtpmap_parse(struct cph_span arg, struct cph_sdp_rtpmap *out)
{
    uint32_t pt, channels = 1;
    struct cph_sdp_rtpmap v;

    CPH_TRY(u_max(cph_span_word(&arg), 127, &pt));
    struct cph_span encoding = cph_span_word(&arg);
    v.pt = (uint8_t)pt;
    v.name = cph_span_cut(&encoding, '/');
    CPH_TRY(cph_span_u32(cph_span_cut(&encoding, '/'), &v.rate));
    if (encoding.n > 0)
        CPH_TRY(u_max(encoding, 255, &channels));
    if (!sdp_token(v.name) || v.rate == 0 || channels == 0 || cph_span_trim(arg).n > 0)
        return CPH_E_MALFORMED;
    v.channels = (uint8_t)channels;
    *out = v;
    return CPH_OK;
}

cph_err cph_sdp_rtpmap_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                           const struct cph_sdp_rtpmap *map)
{
    if (map->channels > 1)
        return cph_sdp_attr_fmt(sdp, media, "rtpmap", "%u %.*s/%u/%u", map->pt,
                                CPH_SPAN_ARG(map->name), map->rate, map->channels);
    return cph_sdp_attr_fmt(sdp, media, "rtpmap", "%u %.*s/%u", map->pt, CPH_SPAN_ARG(map->name),
                            map->rate);
}

/* RFC 3551 6, tables 4 and 5 */
/* clang-format off */
static const struct {
    uint8_t pt, channels;
    uint32_t rate;
    const char *name;
} statics[] = {
    { 0, 1, 8000, "PCMU" },   { 3, 1, 8000, "GSM" },    { 4, 1, 8000, "G723" },   { 5, 1, 8000, "DVI4" },
    { 6, 1, 16000, "DVI4" },  { 7, 1, 8000, "LPC" },    { 8, 1, 8000, "PCMA" },   { 9, 1, 8000, "G722" },
    { 10, 2, 44100, "L16" },  { 11, 1, 44100, "L16" },  { 12, 1, 8000, "QCELP" }, { 13, 1, 8000, "CN" },
    { 14, 1, 90000, "MPA" },  { 15, 1, 8000, "G728" },  { 16, 1, 11025, "DVI4" }, { 17, 1, 22050, "DVI4" },
    { 18, 1, 8000, "G729" },  { 25, 1, 90000, "CelB" }, { 26, 1, 90000, "JPEG" }, { 28, 1, 90000, "nv" },
    { 31, 1, 90000, "H261" }, { 32, 1, 90000, "MPV" },  { 33, 1, 90000, "MP2T" }, { 34, 1, 90000, "H263" },
};
/* clang-format on */

/* The value behind "<pt> " of the first attribute name whose first word is pt. */
static const struct cph_sdp_line *attr_of_pt(const struct cph_sdp_media *media, const char *name,
                                             uint8_t pt, struct cph_span *rest)
{
    uint32_t v;

    for (const struct cph_sdp_line *l = cph_sdp_attr(&media->part, name); l;
         l = cph_sdp_attr_next(l)) {
        *rest = l->arg;
        if (cph_span_u32(cph_span_word(rest), &v) == CPH_OK && v == pt)
            return l;
    }
    return NULL;
}

cph_err cph_sdp_rtpmap_of(const struct cph_sdp_media *media, uint8_t pt, struct cph_sdp_rtpmap *out)
{
    struct cph_span rest;
    const struct cph_sdp_line *l = attr_of_pt(media, "rtpmap", pt, &rest);

    if (l)
        return cph_sdp_rtpmap_parse(l->arg, out);
    for (size_t i = 0; i < sizeof statics / sizeof *statics; i++)
        if (statics[i].pt == pt) {
            *out = (struct cph_sdp_rtpmap){ pt, cph_span_of(statics[i].name), statics[i].rate,
                                            statics[i].channels };
            return CPH_OK;
        }
    return CPH_E_NOTFOUND;
}

struct cph_span cph_sdp_fmtp_of(const struct cph_sdp_media *media, uint8_t pt)
{
    struct cph_span rest;

    return attr_of_pt(media, "fmtp", pt, &rest) ? cph_span_trim(rest) : (struct cph_span){ 0 };
}

static unsigned millis_of(const struct cph_sdp_media *media, const char *name)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, name);
    struct cph_span fraction = l ? cph_span_trim(l->arg) : (struct cph_span){ 0 };
    struct cph_span whole = cph_span_cut(&fraction, '.');
    uint32_t ms, dummy;

    if (u_max(whole, 1000, &ms) != CPH_OK)
        return 0;
    if (fraction.n > 0)
        ms += cph_span_u32(cph_span_head(fraction, 9), &dummy) == CPH_OK && dummy > 0;
    return ms <= 1000 ? ms : 0;
}

unsigned cph_sdp_ptime(const struct cph_sdp_media *media)
{
    return millis_of(media, "ptime");
}

unsigned cph_sdp_maxptime(const struct cph_sdp_media *media)
{
    return millis_of(media, "maxptime");
}

/* ---- DTLS ----------------------------------------------------------------------------------- */

cph_err cph_sdp_tls_id_parse(struct cph_span arg, struct cph_span *out)
{
    if (arg.n < 20 || arg.n > 255 || !all_in(arg, tls_id_char))
        return CPH_E_MALFORMED;
    *out = arg;
    return CPH_OK;
}

/* ---- SDES, MIKEY, ZRTP ---------------------------------------------------------------------- */

static bool blank_or_visible(uint8_t c)
{
    return visible(c) || c == ' ' || c == '\t';
}

/* key-param *(";" key-param), key-param = method ":" info */
static bool key_params_ok(struct cph_span s)
{
    do {
        struct cph_span info = cph_span_cut(&s, ';');

        if (!all_in(cph_span_cut(&info, ':'), suite_char) || !all_in(info, visible))
            return false;
    } while (s.n > 0);
    return true;
}

cph_err cph_sdp_crypto_parse(struct cph_span arg, struct cph_sdp_crypto *out)
{
    struct cph_sdp_crypto v;
    struct cph_span tag = cph_span_word(&arg);

    /* RFC 4568 9.1, 4.1 MUST: one to nine digits without leading zeroes */
    if (tag.n > 9 || (tag.n > 1 && tag.p[0] == '0'))
        return CPH_E_MALFORMED;
    CPH_TRY(cph_span_u32(tag, &v.tag));
    v.suite = cph_span_word(&arg);
    v.key_params = cph_span_word(&arg);
    v.session_params = cph_span_trim(arg);
    if (!all_in(v.suite, suite_char) || !key_params_ok(v.key_params) ||
        v.key_params.p[v.key_params.n - 1] == ';')
        return CPH_E_MALFORMED;
    if (v.session_params.n > 0 && !all_in(v.session_params, blank_or_visible))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

cph_err cph_sdp_crypto_add(struct cph_sdp *sdp, struct cph_sdp_media *media,
                           const struct cph_sdp_crypto *crypto)
{
    bool params = crypto->session_params.n > 0;
    size_t cap = 32 + crypto->suite.n + crypto->key_params.n + crypto->session_params.n;
    uint8_t *p;
    struct cph_wr wr;

    if (cap > CPH_SDP_MAX_LINE)
        return CPH_E_LIMIT;
    p = cph_arena_alloc(sdp->arena, cap);
    if (!p)
        return CPH_E_NOMEM;
    wr = cph_wr_open(p, cap);
    cph_wr_fmt(&wr, "crypto:%u ", crypto->tag);
    cph_wr_span(&wr, crypto->suite);
    cph_wr_u8(&wr, ' ');
    cph_wr_span(&wr, crypto->key_params);
    if (params) {
        cph_wr_u8(&wr, ' ');
        cph_wr_span(&wr, crypto->session_params);
    }
    CPH_TRY(cph_wr_end(&wr));
    return sdp_view_add(sdp, media, 'a', cph_wr_done(&wr));
}

cph_err cph_sdp_key_mgmt_parse(struct cph_span arg, struct cph_sdp_key_mgmt *out)
{
    struct cph_sdp_key_mgmt v = { .protocol = cph_span_word(&arg) };

    v.data = cph_span_word(&arg);
    if (!sdp_token(v.protocol) || !all_in(v.data, base64_char) || cph_span_trim(arg).n > 0)
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

cph_err cph_sdp_zrtp_hash_parse(struct cph_span arg, struct cph_sdp_zrtp_hash *out)
{
    struct cph_sdp_zrtp_hash v = { .version = cph_span_word(&arg) };
    struct cph_span digits = cph_span_word(&arg);
    size_t n;

    if (!sdp_token(v.version) || digits.n != 2 * sizeof v.hash || cph_span_trim(arg).n > 0)
        return CPH_E_MALFORMED;
    CPH_TRY(cph_unhex(digits, v.hash, sizeof v.hash, &n));
    *out = v;
    return CPH_OK;
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* a=rtcp:<port> [<nettype> <addrtype> <address>] */
cph_err cph_sdp_rtcp_parse(struct cph_span arg, struct cph_sdp_rtcp *out)
{
    struct cph_sdp_rtcp v = { 0 };
    uint32_t port;

    CPH_TRY(u_max(cph_span_word(&arg), UINT16_MAX, &port));
    struct cph_span net = cph_span_word(&arg);
    v.addr_type = cph_span_word(&arg);
    v.addr = cph_span_word(&arg);
    if (port == 0 || cph_span_word(&arg).n > 0 || (net.n > 0) != (v.addr.n > 0))
        return CPH_E_MALFORMED;
    if (net.n > 0 && !cph_span_is(net, "IN"))
        return CPH_E_MALFORMED;
    v.port = (uint16_t)port;
    *out = v;
    return CPH_OK;
}

cph_err cph_sdp_group_parse(struct cph_span arg, struct cph_sdp_group *out)
{
    struct cph_sdp_group v = { .semantics = cph_span_word(&arg) };

    v.mids = cph_span_trim(arg);
    if (!sdp_token(v.semantics))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

struct cph_span cph_sdp_mid(const struct cph_sdp_media *media)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, "mid");

    return l && sdp_token(l->arg) ? l->arg : (struct cph_span){ 0 };
}

cph_err cph_sdp_ssrc_parse(struct cph_span arg, struct cph_sdp_ssrc *out)
{
    struct cph_sdp_ssrc v;

    CPH_TRY(cph_span_u32(cph_span_word(&arg), &v.ssrc));
    v.value = cph_span_trim(arg);
    v.name = cph_span_cut(&v.value, ':');
    if (!sdp_token(v.name))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

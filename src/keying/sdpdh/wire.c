/* a=sdp-dh lines, and the keys that come of them. */
#include "sdpdh_int.h"

#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/base_wire.h"
#include "ciphony/crypto_cipher.h"

static const char NAME[] = "sdp-dh";

static const struct sdpdh_group groups[SDPDH_GROUPS] = {
    { "x25519", CPH_AGREE_X25519, 128 },
    { "p-256", CPH_AGREE_P256, 128 },
    { "modp-3072", CPH_AGREE_MODP_3072, 128 },
};

const struct sdpdh_group *sdpdh_group(struct cph_span name)
{
    for (unsigned i = 0; i < SDPDH_GROUPS; i++)
        if (cph_span_is(name, groups[i].name))
            return &groups[i];
    return NULL;
}

/* ---- parsing and building -------------------------------------------------------------------- */

static cph_err suites_parse(struct cph_span list, struct sdpdh_line *out)
{
    bool more = true;

    while (more) {
        struct cph_span name = list;
        const struct cph_srtp_suite *suite;

        more = cph_span_find(list, ',') < list.n;
        if (more)
            name = cph_span_cut(&list, ',');
        if (name.n == 0 || out->n_named == SDPDH_SUITES)
            return CPH_E_MALFORMED;
        out->n_named++;
        suite = cph_srtp_suite_by_sdes(name);
        for (unsigned i = 0; suite && i < out->n_suites; i++)
            if (out->suite[i] == suite)
                return CPH_E_MALFORMED; /* named twice */
        if (suite)
            out->suite[out->n_suites++] = suite;
    }
    return CPH_OK;
}

/* The tag that a line begins with; 0 if it has none. */
static uint32_t take_tag(struct cph_span *arg)
{
    struct cph_span word = cph_span_word(arg);
    uint32_t tag;

    return cph_span_u32(word, &tag) == CPH_OK && tag <= SDPDH_TAG_MAX && word.p[0] != '0' ? tag : 0;
}

cph_err sdpdh_line_parse(struct cph_span arg, struct sdpdh_line *out)
{
    struct sdpdh_line v = { .tag = take_tag(&arg) };
    struct cph_span group = cph_span_word(&arg);
    struct cph_span suites = cph_span_word(&arg), share = cph_span_word(&arg);

    if (v.tag == 0 || group.n == 0 || share.n == 0 || cph_span_trim(arg).n > 0)
        return CPH_E_MALFORMED;
    CPH_TRY(suites_parse(suites, &v));
    v.group = sdpdh_group(group);
    if (!v.group)
        return CPH_E_UNSUPPORTED;
    if (cph_unbase64(share, false, v.share, sizeof v.share, &v.share_n) != CPH_OK ||
        v.share_n != cph_agree_public_size(v.group->group))
        return CPH_E_MALFORMED;
    *out = v;
    return CPH_OK;
}

cph_err sdpdh_line_build(const struct sdpdh_line *line, char out[SDPDH_LINE])
{
    struct cph_wr wr = cph_wr_open(out, SDPDH_LINE);
    char share[CPH_BASE64_LEN(SDPDH_SHARE) + 1];

    cph_base64((struct cph_span){ line->share, line->share_n }, share);
    cph_wr_fmt(&wr, "%u %s ", (unsigned)line->tag, line->group->name);
    for (unsigned i = 0; i < line->n_suites; i++)
        cph_wr_fmt(&wr, "%s%s", i ? "," : "", line->suite[i]->sdes_name);
    cph_wr_fmt(&wr, " %s", share);
    cph_wr_u8(&wr, 0);
    return cph_wr_end(&wr);
}

/* Servers write attributes in an order of their own, so theirs is not what counts. */
cph_err sdpdh_lines_of(const struct cph_sdp_media *media, struct sdpdh_lines *out)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&media->part, NAME);

    for (out->n = 0; l; l = cph_sdp_attr_next(l)) {
        struct cph_span text = cph_span_trim(l->arg), rest = text;
        uint32_t tag = take_tag(&rest);
        unsigned at = out->n;

        if (out->n == SDPDH_LINES)
            return CPH_E_LIMIT;
        for (; at > 0 && out->line[at - 1].tag >= tag; at--)
            out->line[at] = out->line[at - 1];
        if (tag == 0 || (at < out->n && out->line[at + 1].tag == tag))
            return CPH_E_MALFORMED; /* its place is nowhere, or an answer could mean either */
        out->line[at].tag = tag;
        out->line[at].text = text;
        out->n++;
    }
    return out->n > 0 ? CPH_OK : CPH_E_NOTFOUND;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Each line as it is on the wire, behind its length, so that nothing can move from one to the next.
 */
static cph_err add_text(struct cph_digest_ctx *d, struct cph_span text)
{
    uint8_t n[2] = { (uint8_t)(text.n >> 8), (uint8_t)text.n };

    CPH_TRY(cph_digest_add(d, (struct cph_span){ n, sizeof n }));
    return cph_digest_add(d, text);
}

cph_err sdpdh_lines_hash(const struct sdpdh_lines *lines, uint8_t out[SDPDH_HASH])
{
    struct cph_digest_ctx *d;
    cph_err err = CPH_OK;

    CPH_TRY(cph_digest_new(CPH_DIGEST_SHA256, &d));
    for (unsigned i = 0; i < lines->n && err == CPH_OK; i++)
        err = add_text(d, lines->line[i].text);
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

/* What both sides saw: every line of the offer, those not taken too, and the line of the answer. */
static cph_err transcript(const uint8_t offer[SDPDH_HASH], struct cph_span answer,
                          uint8_t out[SDPDH_HASH])
{
    struct cph_digest_ctx *d;
    cph_err err;

    CPH_TRY(cph_digest_new(CPH_DIGEST_SHA256, &d));
    err = cph_digest_add(d, CPH_SPAN_LIT("ciphony sdp-dh 1"));
    if (err == CPH_OK)
        err = cph_digest_add(d, (struct cph_span){ offer, SDPDH_HASH });
    if (err == CPH_OK)
        err = add_text(d, cph_span_trim(answer));
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

static cph_err one_key(const struct cph_secret *secret, const uint8_t salt[SDPDH_HASH],
                       const char *whose, const struct cph_srtp_suite *suite,
                       struct cph_srtp_key *out)
{
    CPH_SECRET_SCOPED both = { .n = (size_t)suite->key_n + suite->salt_n };

    CPH_TRY(cph_hkdf(CPH_DIGEST_SHA256, cph_secret_span(secret),
                     (struct cph_span){ salt, SDPDH_HASH }, cph_span_of(whose), both.b, both.n));
    memset(out, 0, sizeof *out);
    out->key.n = suite->key_n;
    out->salt.n = suite->salt_n;
    memcpy(out->key.b, both.b, out->key.n);
    memcpy(out->salt.b, both.b + out->key.n, out->salt.n);
    return CPH_OK;
}

cph_err sdpdh_derive(const struct cph_secret *secret, const uint8_t offer[SDPDH_HASH],
                     struct cph_span answer, const struct cph_srtp_suite *suite,
                     struct sdpdh_keys *out)
{
    uint8_t salt[SDPDH_HASH];

    CPH_TRY(transcript(offer, answer, salt));
    CPH_TRY(one_key(secret, salt, "offerer", suite, &out->offerer));
    return one_key(secret, salt, "answerer", suite, &out->answerer);
}

/* a=key-mgmt:mikey <base64>, at the level of the session or of a stream. RFC 4567 3.1, 4.1 */
#include "mikey_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char kmpid[] = "mikey"; /* RFC 4567 7; case matters */

static bool find_in(const struct cph_sdp_part *part, struct mikey_found *out)
{
    for (const struct cph_sdp_line *l = cph_sdp_attr(part, "key-mgmt"); l; l = cph_sdp_attr_next(l))
        if (cph_sdp_key_mgmt_parse(l->arg, &out->attr) == CPH_OK &&
            cph_span_is(out->attr.protocol, kmpid)) {
            out->part = part;
            return true;
        }
    return false;
}

bool mikey_find(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                struct mikey_found *out)
{
    memset(out, 0, sizeof *out);
    /* RFC 4567 3.1 MUST: where the stream has one, the session's is ignored */
    if (cph_sdp_attr(&media->part, "key-mgmt"))
        return find_in(&media->part, out);
    out->session = true;
    /* 5.2: the session's does not touch a stream without a secure profile */
    return cph_sdp_proto_secure(media->proto) && find_in(&sdp->part, out);
}

cph_err mikey_list(const struct cph_sdp_part *part, bool add, char out[MIKEY_LIST_MAX])
{
    struct cph_wr wr = cph_wr_open(out, MIKEY_LIST_MAX);
    struct cph_sdp_key_mgmt attr, before;

    /* 4.1.4 MUST: all of them, in the order of the description, with ";" between */
    for (const struct cph_sdp_line *l = cph_sdp_attr(part, "key-mgmt"); l;
         l = cph_sdp_attr_next(l)) {
        CPH_TRY(cph_sdp_key_mgmt_parse(l->arg, &attr));
        /* 4.1.2: each another protocol. Of two of one, whoever is on the way would have the choice:
         * the list does not tell them apart. */
        for (const struct cph_sdp_line *o = cph_sdp_attr(part, "key-mgmt"); o != l;
             o = cph_sdp_attr_next(o))
            if (cph_sdp_key_mgmt_parse(o->arg, &before) == CPH_OK &&
                cph_span_eq(before.protocol, attr.protocol))
                return CPH_E_MALFORMED;
        cph_wr_text(&wr, wr.n > 0 ? ";" : "");
        cph_wr_span(&wr, attr.protocol);
    }
    if (add) {
        cph_wr_text(&wr, wr.n > 0 ? ";" : "");
        cph_wr_text(&wr, kmpid);
    }
    cph_wr_u8(&wr, 0);
    return wr.failed ? CPH_E_LIMIT : CPH_OK;
}

cph_err mikey_decode(const struct mikey_found *f, struct mikey_text *out)
{
    cph_err err = cph_unbase64(f->attr.data, true, out->b, sizeof out->b, &out->n);

    return err == CPH_E_NOSPACE ? CPH_E_LIMIT : err;
}

cph_err mikey_encode(struct cph_sdp *sdp, struct cph_sdp_media *media, const struct mikey_text *msg)
{
    size_t head = sizeof kmpid, n = head + CPH_BASE64_LEN(msg->n) + 1;
    char *text = malloc(n);
    cph_err err;

    if (!text)
        return CPH_E_NOMEM;
    memcpy(text, kmpid, head - 1);
    text[head - 1] = ' ';
    cph_base64((struct cph_span){ msg->b, msg->n }, text + head);
    err = cph_sdp_attr_add(sdp, media, "key-mgmt", text);
    cph_free_secret(text, n);
    return err;
}

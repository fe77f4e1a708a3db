#include "dtls_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

cph_err dtls_fingerprints(const struct cph_cert *cert, struct cph_fingerprint fp[DTLS_FPS_OWN])
{
    /* sha-256 first: old peers read one line only */
    static const enum cph_fp_hash hashes[DTLS_FPS_OWN] = { CPH_FP_SHA256, CPH_FP_SHA384,
                                                           CPH_FP_SHA512 };

    /* RFC 8122 5.1 MUST: sha-256 and the hash of the certificate's signature at least */
    for (size_t i = 0; i < DTLS_FPS_OWN; i++)
        CPH_TRY(cph_cert_fingerprint(cert, hashes[i], &fp[i]));
    return CPH_OK;
}

cph_err dtls_side_own(const struct cph_dtls *shared, const struct cph_cert *cert,
                      struct dtls_side *own)
{
    own->n_fp = DTLS_FPS_OWN;
    if (!shared)
        return dtls_fingerprints(cert, own->fp);
    memcpy(own->fp, shared->fp, sizeof shared->fp);
    return CPH_OK;
}

/* RFC 8122 5: fingerprints of the media section, or else of the session. */
static cph_err read_fingerprints(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                                 struct dtls_side *side)
{
    const struct cph_sdp_line *line = cph_sdp_attr_any(sdp, media, "fingerprint");
    bool any = line != NULL, suffices = false;

    for (; line && side->n_fp < DTLS_FPS; line = cph_sdp_attr_next(line)) {
        cph_err err = cph_fingerprint_parse(line->arg, &side->fp[side->n_fp]);

        if (err == CPH_E_UNSUPPORTED)
            continue; /* RFC 8122 5: a hash we do not know says nothing to us */
        if (err)
            return err;
        suffices = suffices || cph_fp_hash_suffices(side->fp[side->n_fp].hash);
        side->n_fp++;
    }
    if (!any)
        return CPH_E_NOTFOUND;
    return suffices ? CPH_OK : CPH_E_POLICY;
}

static cph_err read_tls_id(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                           struct dtls_side *side)
{
    const struct cph_sdp_line *line = cph_sdp_attr(cph_sdp_part_of(sdp, media), "tls-id");
    struct cph_span id;

    if (!line)
        return CPH_OK;
    CPH_TRY(cph_sdp_tls_id_parse(line->arg, &id));
    return cph_span_cstr(id, side->tls_id, sizeof side->tls_id);
}

void dtls_side_addresses(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                         struct cph_addr at[2])
{
    struct cph_sdp_target t;

    at[CPH_KEYING_RTP] = at[CPH_KEYING_RTCP] = (struct cph_addr){ .family = CPH_AF_NONE };
    if (cph_sdp_rtp_target(sdp, media, &t) == CPH_OK && t.host.n == 0)
        at[CPH_KEYING_RTP] = t.addr;
    if (cph_sdp_rtcp_target(sdp, media, &t) == CPH_OK && t.host.n == 0)
        at[CPH_KEYING_RTCP] = t.addr;
}

cph_err dtls_side_read(const struct cph_sdp *sdp, const struct cph_sdp_media *media,
                       struct dtls_side *out)
{
    struct dtls_side side = { .setup = CPH_SDP_SETUP_NONE };
    const struct cph_sdp_line *setup = cph_sdp_attr_any(sdp, media, "setup");

    CPH_TRY(read_fingerprints(sdp, media, &side));
    if (setup)
        CPH_TRY(cph_sdp_setup_parse(setup->arg, &side.setup));
    CPH_TRY(read_tls_id(sdp, media, &side));
    dtls_side_addresses(sdp, media, side.at);
    side.mux = cph_sdp_attr(cph_sdp_part_of(sdp, media), "rtcp-mux") != NULL;
    *out = side;
    return CPH_OK;
}

static cph_err write_all(const struct cph_keying_local *l, const struct dtls_side *side)
{
    CPH_TRY(cph_sdp_attr_add(l->sdp, l->media, "setup", cph_sdp_setup_text(side->setup)));
    for (size_t i = 0; i < side->n_fp; i++) {
        char text[CPH_FP_TEXT];

        CPH_TRY(cph_sdp_attr_add(l->sdp, l->media, "fingerprint",
                                 cph_fingerprint_text(&side->fp[i], text)));
    }
    if (side->tls_id[0])
        CPH_TRY(cph_sdp_attr_add(l->sdp, l->media, "tls-id", side->tls_id));
    return CPH_OK;
}

cph_err dtls_side_write(const struct cph_keying_local *local, const struct dtls_side *side)
{
    static const char *const ours[] = { "setup", "fingerprint", "tls-id" };
    cph_err err = write_all(local, side);

    for (size_t i = 0; err && i < sizeof ours / sizeof *ours; i++)
        (void)cph_sdp_attr_remove(local->sdp, local->media, ours[i]);
    return err;
}

bool dtls_side_same_fps(const struct dtls_side *a, const struct dtls_side *b)
{
    if (a->n_fp != b->n_fp)
        return false;
    for (size_t i = 0; i < a->n_fp; i++) {
        bool found = false;

        for (size_t k = 0; k < b->n_fp && !found; k++)
            found = cph_fingerprint_eq(&a->fp[i], &b->fp[k]);
        if (!found)
            return false;
    }
    return true;
}

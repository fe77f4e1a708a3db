/* A description that parses prints to one that parses to the same; it can be asked everything and
 * answered, and the answer fits it. */
#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/sdp_offer.h"
#include "ciphony/sdp_precond.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct cph_sdp_codec codec[] = { { "PCMU", 8000, 1, 0, NULL },
                                              { "opus", 48000, 2, 96, "x=1" } };

static void ask(const struct cph_sdp *sdp, const struct cph_sdp_media *m)
{
    struct cph_sdp_target t;
    struct cph_sdp_crypto c;
    struct cph_sdp_key_mgmt k;
    struct cph_sdp_zrtp_hash z;
    struct cph_sdp_ssrc s;
    struct cph_sdp_security sec;

    (void)!cph_sdp_rtcp_target(sdp, m, &t);
    cph_sdp_security_of(m, &sec);
    (void)(cph_sdp_ptime(m) + cph_sdp_maxptime(m));
    for (const struct cph_sdp_line *l = m->part.first; l; l = l->next) {
        (void)!cph_sdp_crypto_parse(l->arg, &c);
        (void)!cph_sdp_key_mgmt_parse(l->arg, &k);
        (void)!cph_sdp_zrtp_hash_parse(l->arg, &z);
        (void)!cph_sdp_ssrc_parse(l->arg, &s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct cph_sdp_local local = { .addr = { .family = CPH_AF_V4 } };
    struct cph_sdp_stream s = { .port = 4000, .codecs = codec, .n_codecs = 2, .rtcp_mux = true };
    struct cph_arena *a;
    struct cph_sdp *sdp, *copy, *answer;
    struct cph_sdp_agreed agreed;

    if (cph_arena_new(4 * CPH_SDP_ARENA, &a) != CPH_OK)
        return 0;
    if (cph_sdp_parse(a, (struct cph_span){ data, n }, &sdp) == CPH_OK) {
        if (cph_sdp_copy(a, sdp, &copy) != CPH_OK || copy->n_lines != sdp->n_lines ||
            !cph_span_eq(cph_sdp_text(sdp, a), cph_sdp_text(copy, a)))
            abort();
        cph_err err = cph_sdp_answer_skeleton(a, &local, sdp, &s, 1, &answer);

        if (err == CPH_E_LIMIT) /* a=mid of a page's length */
            goto out;
        if (err != CPH_OK || cph_sdp_answer_check(sdp, answer) != CPH_OK)
            abort();
        for (unsigned i = 0; i < sdp->n_media; i++) {
            ask(sdp, sdp->media[i]);
            (void)!cph_sdp_agree(answer, sdp, i, false, &agreed);
            if (cph_sdp_media_refuse(sdp, sdp->media[i]) != CPH_OK)
                abort();
        }
    }
out:
    cph_arena_free(a);
    return 0;
}

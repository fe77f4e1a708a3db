/* The configurations of any description are bounded; each of them makes a description that parses,
 * has their transport and no capability negotiation, and is named by its a=acfg. */
#include <stdlib.h>

#include "ciphony/base_text.h"
#include "ciphony/sdp_caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void named(struct cph_sdp *sdp, const struct cph_sdp_config *c)
{
    struct cph_sdp_config read;
    const struct cph_sdp_line *l;

    if (cph_sdp_acfg_add(sdp, sdp->media[0], c) != CPH_OK)
        return;
    l = cph_sdp_attr(&sdp->media[0]->part, "acfg");
    if (!l || cph_sdp_acfg_parse(l->arg, &read) != CPH_OK || read.number != c->number ||
        read.transport != c->transport || read.attrs.n != c->attrs.n ||
        read.attrs.mandatory != c->attrs.mandatory)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_arena *a;
    struct cph_sdp *sdp, *as, *again;
    struct cph_sdp_configs all;

    if (n > 8192 || cph_arena_new(16 * CPH_SDP_ARENA, &a) != CPH_OK)
        return 0;
    if (cph_sdp_parse(a, (struct cph_span){ data, n }, &sdp) != CPH_OK || sdp->n_media == 0)
        goto out;
    cph_sdp_configs_of(sdp, sdp->media[0], &all);
    if (all.n > CPH_SDP_CAPS_CONFIGS)
        abort();
    for (unsigned i = 0; i < all.n; i++) {
        const struct cph_sdp_config *c = &all.config[i];
        cph_err err = cph_sdp_config_apply(a, sdp, 0, c, &as);

        if (err == CPH_E_LIMIT || err == CPH_E_NOMEM)
            continue;
        if (err != CPH_OK || !cph_span_eq(as->media[0]->proto_text, c->proto) ||
            cph_sdp_attr(&as->media[0]->part, "pcfg") || cph_sdp_attr(&as->part, "creq") ||
            cph_sdp_parse(a, cph_sdp_text(as, a), &again) != CPH_OK)
            abort();
        named(as, c);
    }
out:
    cph_arena_free(a);
    return 0;
}

/* MIKEYv2 in band: what offer and answer say of it, and the row. */
#include "inband_int.h"

#include <stdlib.h>

#include "ciphony/base_text.h"

static const char NAME[] = "mikeyv2-inband";

static struct v2band *of(struct cph_keying *k)
{
    return (struct v2band *)k;
}

/* ---- signalling: that there is one ---------------------------------------------------------- */

static bool band_present(const struct cph_keying_remote *remote)
{
    return cph_sdp_attr(&remote->media->part, NAME) != NULL;
}

static cph_err band_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct v2band *k = calloc(1, sizeof *k);
    cph_err err;

    if (!k)
        return CPH_E_NOMEM;
    err = v2_open(&k->v2, &cph_keying_mikeyv2_inband, cfg);
    if (err != CPH_OK) {
        free(k);
        return err;
    }
    v2_band_disarm(k);
    *out = &k->v2.base;
    return CPH_OK;
}

static void band_free(struct cph_keying *k)
{
    v2_gather_drop(&of(k)->in);
    v2_close(&of(k)->v2);
    cph_free_secret(of(k), sizeof(struct v2band));
}

static cph_err said(const struct cph_keying_remote *remote)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&remote->media->part, NAME);

    if (!l)
        return CPH_E_NOTFOUND;
    if (cph_sdp_attr_next(l))
        return CPH_E_MALFORMED;
    return cph_span_is(cph_span_trim(l->arg), "1") ? CPH_OK : CPH_E_UNSUPPORTED;
}

static cph_err band_offer(struct cph_keying *base, const struct cph_keying_local *offer)
{
    struct v2band *k = of(base);

    CPH_TRY(cph_sdp_attr_add(offer->sdp, offer->media, NAME, "1"));
    k->open = true;
    k->first = !k->ready;
    if (k->v2.status.state == CPH_KEYING_IDLE)
        k->v2.status.state = CPH_KEYING_OFFERED;
    return CPH_OK;
}

/* A hold by the address that is none tells no other place. */
static void look_where(struct v2band *k, const struct cph_keying_remote *peer)
{
    struct cph_sdp_target t;

    if (cph_sdp_rtp_target(peer->sdp, peer->media, &t) != CPH_OK || t.host.n > 0 ||
        cph_addr_is_any(&t.addr) || cph_addr_eq(&t.addr, &k->named))
        return;
    k->named = k->home = t.addr;
}

/* The exchange is through. Who wants new keys begins; the first time, who answered. */
static void through(struct v2band *k, const struct cph_keying_remote *peer, bool we_answered)
{
    bool first = !k->ready;

    look_where(k, peer);

    k->ready = true;
    k->open = false;
    if (!k->v2.keyed && k->v2.status.state != CPH_KEYING_FAILED)
        k->v2.status.state = CPH_KEYING_RUNNING;
    if (first && we_answered)
        k->begins = true;
    else if (first)
        k->opens = V2_OPENERS;
    else
        k->anew |= k->v2.renew && k->v2.keyed;
    k->begins |= k->anew;
    k->v2.renew = false;
    if (first || k->anew) {
        k->tries = 0;
        k->again = 0; /* at once */
    }
}

static cph_err band_answer(struct cph_keying *base, const struct cph_keying_remote *offer,
                           const struct cph_keying_local *answer)
{
    CPH_TRY(said(offer));
    CPH_TRY(cph_sdp_attr_add(answer->sdp, answer->media, NAME, "1"));
    through(of(base), offer, true);
    return CPH_OK;
}

static cph_err band_finish(struct cph_keying *base, const struct cph_keying_remote *answer)
{
    struct v2band *k = of(base);

    if (!k->open && !k->ready)
        return CPH_E_STATE;
    CPH_TRY(said(answer));
    through(k, answer, false);
    return CPH_OK;
}

static void band_settled(struct cph_keying *base)
{
    of(base)->open = false;
    of(base)->v2.renew = false; /* a wish is over with the offer that had it, taken or not */
}

static void band_rollback(struct cph_keying *base)
{
    struct v2band *k = of(base);

    band_settled(base);
    if (!k->ready)
        k->v2.status.state = CPH_KEYING_IDLE;
}

static cph_err band_fork(const struct cph_keying *base, struct cph_keying **out)
{
    const struct v2band *k = (const struct v2band *)base;
    struct cph_keying *branch = NULL;

    if (!k->first)
        return CPH_E_STATE;
    CPH_TRY(band_make(&k->v2.cfg, &branch));
    of(branch)->open = of(branch)->first = true;
    of(branch)->v2.status.state = CPH_KEYING_OFFERED;
    *out = branch;
    return CPH_OK;
}

const struct cph_keying_method cph_keying_mikeyv2_inband = {
    .name = "mikeyv2-inband",
    .where = CPH_KEYING_IN_BOTH,
    .needs = CPH_KEYING_NEEDS_MIKEY,
    .profile = CPH_SDP_RTP_SAVP,
    .expired = true,
    .present = band_present,
    .claims = v2_band_claims,
    .make = band_make,
    .free = band_free,
    .offer = band_offer,
    .answer = band_answer,
    .finish = band_finish,
    .rollback = band_rollback,
    .settled = band_settled,
    .renew = v2_renew,
    .fork = band_fork,
    .feed = v2_band_feed,
    .pull = v2_band_pull,
    .deadline = v2_band_deadline,
    .tick = v2_band_tick,
    .status = v2_status,
    .keys = v2_keys,
    .hints = v2_hints,
    .evidence = v2_evidence,
};

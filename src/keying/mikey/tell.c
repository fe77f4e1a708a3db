/* What an instance of the row "mikey" tells: keys, streams, and what can be claimed of them. */
#include "row_int.h"

#include <string.h>

static struct mikey *of(struct cph_keying *k)
{
    return (struct mikey *)k;
}

static const struct mikey *of_const(const struct cph_keying *k)
{
    return (const struct mikey *)k;
}

unsigned mikey_session_of(const struct mikey_csb *csb, unsigned line, enum cph_keying_dir dir)
{
    bool first = (dir == CPH_KEYING_SEND) == csb->we_began;

    return csb->n_cs == 1 ? 1 : 2 * line + (first ? 1 : 2);
}

cph_err mikey_keys(const struct cph_keying *base, enum cph_keying_component component,
                   enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct mikey *k = of_const(base);

    (void)component; /* one crypto session has the RTP and RTCP of its stream */
    if (!k->keyed)
        return CPH_E_AGAIN;
    if (i >= k->csb.n_keys)
        return CPH_E_NOTFOUND;
    return mikey_master(&k->csb, mikey_session_of(&k->csb, k->line, dir), i, out);
}

cph_err mikey_ekt(const struct cph_keying *base, struct cph_ekt_params *out)
{
    const struct mikey *k = of_const(base);

    if (!k->keyed)
        return CPH_E_AGAIN;
    if (!k->csb.ekt)
        return CPH_E_NOTFOUND;
    *out = k->csb.set;
    return CPH_OK;
}

unsigned mikey_hints(const struct cph_keying *base, struct cph_keying_hint *out, unsigned cap)
{
    const struct mikey *k = of_const(base);
    unsigned n = 0;

    for (int d = 0; k->keyed && k->csb.n_cs > 1 && d < 2 && n < cap; d++) {
        const struct mikey_cs *cs =
            &k->csb.cs[mikey_session_of(&k->csb, k->line, (enum cph_keying_dir)d) - 1];

        if (cs->ssrc != 0)
            out[n++] = (struct cph_keying_hint){ .dir = (enum cph_keying_dir)d,
                                                 .ssrc = cs->ssrc,
                                                 .roc = cs->roc };
    }
    return n;
}

static bool is_dh(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_DHSIGN || mode == CPH_MIKEY_DHHMAC;
}

void mikey_evidence(const struct cph_keying *base, struct cph_keying_evidence *out)
{
    const struct mikey *k = of_const(base);
    const struct mikey_csb *csb = &k->csb;
    const struct mikey_policy *p;
    bool sound = !csb->weak_group && !csb->sha1;

    out->method = cph_keying_mikey.name;
    if (!k->keyed)
        return;
    p = mikey_policy_of(csb, mikey_session_of(csb, k->line, CPH_KEYING_RECV));
    out->keyed = true;
    out->suite = p->suite->sdes_name ? p->suite->sdes_name : p->suite->name;
    out->rtp_encrypted = p->suite->encrypts && !p->unencrypted_rtp;
    out->rtcp_encrypted = p->suite->encrypts && !p->unencrypted_rtcp;
    out->rtp_authenticated = !p->unauthenticated_rtp;
    out->key_bits = 8U * p->suite->key_n;
    out->tag_bits = p->unauthenticated_rtp ? 0 : 8U * p->suite->tag_n;
    out->notes |= p->unencrypted_rtp ? CPH_KEYING_NOTE_UNENCRYPTED_RTP : 0;
    out->notes |= p->unencrypted_rtcp ? CPH_KEYING_NOTE_UNENCRYPTED_RTCP : 0;
    out->notes |= p->unauthenticated_rtp ? CPH_KEYING_NOTE_UNAUTHENTICATED_RTP : 0;
    out->notes |= p->suite->tag_n < 8 ? CPH_KEYING_NOTE_SHORT_TAG : 0;
    out->notes |= k->key_shared ? CPH_KEYING_NOTE_KEY_SHARED : 0;
    out->notes |= csb->weak_group ? CPH_KEYING_NOTE_WEAK_GROUP : 0;
    out->notes |= csb->sha1 ? CPH_KEYING_NOTE_WEAK_SIGNATURE : 0;
    /* What rests on a group or hash that is not sound is not claimed. */
    out->keys_stay_at_ends = csb->mode != CPH_MIKEY_NULL && !csb->weak_group;
    out->forward_secrecy = is_dh(csb->mode) && !csb->weak_group;
    out->choice_protected = csb->list_bound && sound;
    out->peer_auth = sound ? csb->auth : CPH_KEYING_AUTH_NONE;
    if (csb->has_fingerprint) {
        memcpy(out->peer_fingerprint, csb->fingerprint, MIKEY_HASH);
        out->peer_fingerprint_n = MIKEY_HASH;
        out->hash_bits = csb->sha1 ? 160 : 256;
        out->peer_not_before = csb->not_before;
        out->peer_not_after = csb->not_after;
    }
}

/* ---- what MIKEY tells beyond the row --------------------------------------------------------- */

static bool is_ours(const struct cph_keying *base)
{
    return base && base->method == &cph_keying_mikey;
}

cph_err cph_mikey_info(const struct cph_keying *base, struct cph_mikey_info *out)
{
    const struct mikey *k = of_const(base);

    if (!is_ours(base))
        return CPH_E_ARGUMENT;
    *out = (struct cph_mikey_info){
        .keyed = k->keyed,
        .mode = k->csb.mode,
        .csb_id = k->csb.b.csb_id,
        .updates = k->csb.updates,
        .list_bound = k->csb.list_bound,
        .weak_group = k->csb.weak_group,
        .sha1 = k->csb.sha1,
        .error_sent = k->error_sent,
        .error_got = k->error_got,
    };
    memcpy(out->peer_id, k->csb.peer_id, sizeof out->peer_id);
    return CPH_OK;
}

void mikey_stream(struct cph_keying *base, uint32_t ssrc, uint32_t roc)
{
    of(base)->ssrc = ssrc;
    of(base)->roc = roc;
}

cph_err cph_mikey_stream(struct cph_keying *base, uint32_t ssrc, uint32_t roc)
{
    if (!is_ours(base))
        return CPH_E_ARGUMENT;
    mikey_stream(base, ssrc, roc);
    return CPH_OK;
}

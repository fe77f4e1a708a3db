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

cph_err mikey_csb_keys(const struct mikey_csb *csb, unsigned line, enum cph_keying_dir dir,
                       unsigned i, struct cph_srtp_policy *out)
{
    if (i >= csb->n_keys)
        return CPH_E_NOTFOUND;
    return mikey_master(csb, mikey_session_of(csb, line, dir), i, out);
}

cph_err mikey_keys(const struct cph_keying *base, enum cph_keying_component component,
                   enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct mikey *k = of_const(base);

    (void)component; /* one crypto session has the RTP and RTCP of its stream */
    return k->keyed ? mikey_csb_keys(&k->csb, k->line, dir, i, out) : CPH_E_AGAIN;
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

unsigned mikey_csb_hints(const struct mikey_csb *csb, unsigned line, struct cph_keying_hint *out,
                         unsigned cap)
{
    unsigned n = 0;

    for (int d = 0; csb->n_cs > 1 && d < 2 && n < cap; d++) {
        const struct mikey_cs *cs =
            &csb->cs[mikey_session_of(csb, line, (enum cph_keying_dir)d) - 1];

        if (cs->ssrc != 0)
            out[n++] = (struct cph_keying_hint){ .dir = (enum cph_keying_dir)d,
                                                 .ssrc = cs->ssrc,
                                                 .roc = cs->roc };
    }
    return n;
}

unsigned mikey_hints(const struct cph_keying *base, struct cph_keying_hint *out, unsigned cap)
{
    const struct mikey *k = of_const(base);

    return k->keyed ? mikey_csb_hints(&k->csb, k->line, out, cap) : 0;
}

static bool is_dh(enum cph_mikey_mode mode)
{
    return mode == CPH_MIKEY_DHSIGN || mode == CPH_MIKEY_DHHMAC;
}

bool mikey_csb_sound(const struct mikey_csb *csb)
{
    return !csb->weak_group && !csb->sha1;
}

/* What rests on a group or hash that is not sound is not claimed. */
void mikey_csb_evidence(const struct mikey_csb *csb, struct cph_keying_evidence *out)
{
    out->notes |= csb->weak_group ? CPH_KEYING_NOTE_WEAK_GROUP : 0;
    out->notes |= csb->sha1 ? CPH_KEYING_NOTE_WEAK_SIGNATURE : 0;
    out->keys_stay_at_ends = csb->mode != CPH_MIKEY_NULL && !csb->weak_group;
    out->forward_secrecy = is_dh(csb->mode) && !csb->weak_group;
    out->peer_auth = mikey_csb_sound(csb) ? csb->auth : CPH_KEYING_AUTH_NONE;
    if (csb->has_fingerprint) {
        memcpy(out->peer_fingerprint, csb->fingerprint, MIKEY_HASH);
        out->peer_fingerprint_n = MIKEY_HASH;
        out->hash_bits = csb->sha1 ? 160 : 256;
        out->peer_not_before = csb->not_before;
        out->peer_not_after = csb->not_after;
    }
}

void mikey_evidence(const struct cph_keying *base, struct cph_keying_evidence *out)
{
    const struct mikey *k = of_const(base);
    const struct mikey_csb *csb = &k->csb;
    const struct mikey_policy *p;

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
    mikey_csb_evidence(csb, out);
    out->choice_protected = csb->list_bound && mikey_csb_sound(csb);
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

/*
 * Negotiation for one m= line. The offerer writes what every mechanism of its list has to say into
 * one section; the answerer takes the first of its own list that the offer has and can use.
 *
 *   policy    our offer                 answer without keys     offer without keys
 *   required  RTP/SAVP or the method's  fails                   refused
 *   prefer    RTP/AVP with keys, in     RTP, noted              RTP, noted
 *             one of the forms
 *   none      RTP/AVP                   RTP                     RTP; RTP/SAVP is still keyed
 *
 * A stream that has keys never loses them to a later exchange, but under none.
 */
#include "nego_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/keying_ekt.h"
#include "ciphony/srtp.h"

static bool needs_met(const struct cph_keying_method *m, const struct cph_keying_cfg *cfg)
{
    if ((m->needs & CPH_KEYING_NEEDS_CERT) && (!cfg->key || !cfg->cert))
        return false;
    if ((m->needs & CPH_KEYING_NEEDS_MIKEY) && !cfg->mikey)
        return false;
    return !(m->needs & CPH_KEYING_NEEDS_ZRTP) || cfg->zrtp;
}

/* What would cost something in every offer, where others cost nothing. */
static unsigned spare(const struct cph_nego *n)
{
    unsigned dear = 0;

    for (unsigned i = 0; i < n->n && n->cfg.free_offers; i++)
        if (n->slot[i].method->offer_costs && n->slot[i].method->offer_costs(&n->cfg.keying))
            dear |= 1U << i;
    return dear == (1U << n->n) - 1 ? 0 : dear;
}

cph_err cph_nego_new(const struct cph_nego_cfg *cfg, struct cph_nego **out)
{
    const struct cph_keying_method *const *rows = cfg->methods ? cfg->methods : cph_keying_methods;
    struct cph_nego *n = calloc(1, sizeof *n);

    if (!n)
        return CPH_E_NOMEM;
    n->cfg = *cfg;
    n->chosen = n->probing = -1;
    for (size_t i = 0; rows[i] && n->n < CPH_KEYING_MAX_METHODS; i++)
        if (needs_met(rows[i], &cfg->keying) && (cfg->methods || !rows[i]->expired))
            n->slot[n->n++].method = rows[i];
    if (n->n == 0 && cfg->policy == CPH_KEYING_REQUIRED) {
        free(n);
        return CPH_E_CONFIG;
    }
    n->spared = spare(n);
    *out = n;
    return CPH_OK;
}

void cph_nego_free(struct cph_nego *n)
{
    if (!n)
        return;
    for (unsigned i = 0; i < n->n; i++)
        cph_keying_free(n->slot[i].k);
    free(n);
}

cph_err cph_nego_fork(const struct cph_nego *n, struct cph_nego **out)
{
    struct cph_nego *b;
    cph_err err = CPH_OK;

    if (!n->open)
        return CPH_E_STATE;
    b = calloc(1, sizeof *b);
    if (!b)
        return CPH_E_NOMEM;
    b->cfg = n->cfg;
    b->n = n->n;
    b->spared = n->spared;
    b->chosen = b->probing = -1;
    b->open = true;
    b->profile = b->offered_profile = n->offered_profile;
    b->offered = n->offered;
    b->plain_offered = n->plain_offered;
    memcpy(b->config, n->config, sizeof b->config);
    b->configs = n->configs;
    b->cryptex_offered = n->cryptex_offered;
    for (unsigned i = 0; i < n->n && err == CPH_OK; i++) {
        b->slot[i].method = n->slot[i].method;
        if (n->slot[i].k)
            err = n->slot[i].method->fork(n->slot[i].k, &b->slot[i].k);
    }
    if (err != CPH_OK) {
        cph_nego_free(b);
        return err;
    }
    *out = b;
    return CPH_OK;
}

/* ---- helpers -------------------------------------------------------------------------------- */

cph_err nego_slot_open(struct cph_nego *n, unsigned i)
{
    return n->slot[i].k ? CPH_OK : n->slot[i].method->make(&n->cfg.keying, &n->slot[i].k);
}

void nego_drop_others(struct cph_nego *n)
{
    for (unsigned i = 0; i < n->n; i++)
        if ((int)i != n->chosen) {
            cph_keying_free(n->slot[i].k);
            n->slot[i].k = NULL;
        }
    n->probing = -1;
}

void nego_retire(struct cph_nego *n)
{
    struct cph_keying_status st = { 0 };

    if (n->chosen < 0)
        return;
    n->slot[n->chosen].method->status(n->slot[n->chosen].k, &st);
    for (int d = 0; d < 2; d++)
        n->generations[d] += st.dir[d].generation;
    n->chosen = -1;
}

void nego_forget(struct cph_nego *n)
{
    nego_retire(n);
    nego_drop_others(n);
}

bool nego_has_keys(const struct cph_nego *n)
{
    return n->outcome == CPH_NEGO_SECURE;
}

cph_err nego_settle(struct cph_nego *n, enum cph_nego_outcome outcome, const char *why)
{
    n->outcome = outcome;
    n->err = CPH_OK;
    n->why = why;
    return CPH_OK;
}

cph_err nego_fail(struct cph_nego *n, cph_err err, const char *why)
{
    n->err = err;
    n->why = why;
    if (nego_has_keys(n))
        n->notes |= CPH_KEYING_NOTE_DOWNGRADE_REFUSED;
    else if (n->outcome != CPH_NEGO_REMOVED) /* a stream that is gone stays so */
        n->outcome = CPH_NEGO_FAILED;
    return err;
}

void nego_choose(struct cph_nego *n, unsigned i, enum cph_sdp_proto profile)
{
    if (n->chosen >= 0 && (int)i > n->chosen)
        n->notes |= CPH_KEYING_NOTE_LOWER_METHOD;
    if (n->chosen != (int)i)
        nego_retire(n);
    n->chosen = (int)i;
    n->probing = -1;
    n->profile = profile;
    n->notes &= ~(unsigned)(CPH_KEYING_NOTE_PEER_PLAIN | CPH_KEYING_NOTE_PEER_NEVER_ASKED |
                            CPH_KEYING_NOTE_OPPORTUNISTIC);
    if (!cph_sdp_proto_secure(profile))
        n->notes |= CPH_KEYING_NOTE_OPPORTUNISTIC;
    (void)nego_settle(n, CPH_NEGO_SECURE, NULL);
}

cph_err nego_removed(struct cph_nego *n, const char *why)
{
    nego_forget(n);
    n->open = false;
    return nego_settle(n, CPH_NEGO_REMOVED, why);
}

static bool is_tls(enum cph_sdp_proto p)
{
    return p == CPH_SDP_UDP_TLS_RTP_SAVP || p == CPH_SDP_UDP_TLS_RTP_SAVPF;
}

bool nego_fits_profile(const struct cph_keying_method *m, enum cph_sdp_proto p)
{
    return !is_tls(p) || is_tls(m->profile);
}

unsigned nego_present(const struct cph_nego *n, const struct cph_keying_remote *r, unsigned *table)
{
    unsigned slots = 0;

    for (unsigned i = 0; i < n->n; i++)
        if (n->slot[i].method->present(r) && nego_fits_profile(n->slot[i].method, r->media->proto))
            slots |= 1U << i;
    for (size_t i = 0; cph_keying_methods[i]; i++)
        if (cph_keying_methods[i]->present(r))
            *table |= 1U << i;
    return slots;
}

bool cph_nego_knows(const struct cph_nego *n, const struct cph_keying_remote *offer)
{
    unsigned table = 0;

    return nego_present(n, offer, &table) != 0;
}

enum cph_sdp_proto nego_with_feedback(enum cph_sdp_proto p, bool feedback)
{
    switch (p) {
    case CPH_SDP_RTP_AVP:
        return feedback ? CPH_SDP_RTP_AVPF : p;
    case CPH_SDP_RTP_SAVP:
        return feedback ? CPH_SDP_RTP_SAVPF : p;
    case CPH_SDP_UDP_TLS_RTP_SAVP:
        return feedback ? CPH_SDP_UDP_TLS_RTP_SAVPF : p;
    case CPH_SDP_PROTO_OTHER:
    case CPH_SDP_RTP_AVPF:
    case CPH_SDP_RTP_SAVPF:
    case CPH_SDP_UDP_TLS_RTP_SAVPF:
        break;
    }
    return p;
}

bool nego_is_ours(cph_err err)
{
    return cph_err_blame(err) != CPH_BLAME_PEER && err != CPH_E_NOTFOUND;
}

/* RFC 9335 4: a property of the section, or of the session for all of them. */
const char nego_cryptex[] = "cryptex";

bool nego_says_cryptex(const struct cph_keying_remote *r)
{
    return cph_sdp_attr_any(r->sdp, r->media, nego_cryptex) != NULL;
}

/* What several makers of phones and servers write beside keys under RTP/AVP. */
const char nego_encryption[] = "encryption";

enum nego_wish nego_wish_of(const struct cph_keying_remote *r)
{
    const struct cph_sdp_line *l = cph_sdp_attr_any(r->sdp, r->media, nego_encryption);

    if (!l)
        return NEGO_WISH_NONE;
    if (cph_span_iis(l->arg, "required"))
        return NEGO_WISH_REQUIRED;
    return cph_span_iis(l->arg, "rejected") ? NEGO_WISH_REJECTED : NEGO_WISH_OPTIONAL;
}

/* ---- what came out -------------------------------------------------------------------------- */

static struct cph_keying *chosen(const struct cph_nego *n)
{
    return n->chosen >= 0 ? n->slot[n->chosen].k : NULL;
}

void cph_nego_status(const struct cph_nego *n, struct cph_nego_status *out)
{
    struct cph_keying *k = chosen(n);

    memset(out, 0, sizeof *out);
    out->outcome = n->outcome;
    out->err = n->err;
    out->why = n->why;
    out->reoffer = n->reoffer;
    out->gave_reason = n->gave_reason;
    if (!k)
        return;
    out->method = k->method;
    k->method->status(k, &out->keying);
    for (int d = 0; d < 2; d++) {
        if (out->keying.dir[d].generation == 1)
            out->keying.dir[d].streams = CPH_KEYING_STREAMS_FRESH; /* nothing to keep yet */
        if (out->keying.dir[d].generation > 0)
            out->keying.dir[d].generation += n->generations[d];
    }
    if (out->outcome == CPH_NEGO_SECURE && out->keying.state == CPH_KEYING_FAILED) {
        out->outcome = CPH_NEGO_FAILED;
        out->err = out->keying.err;
        out->why = out->keying.why;
    }
}

void cph_nego_evidence(const struct cph_nego *n, struct cph_keying_evidence *out)
{
    struct cph_keying *k = chosen(n);

    memset(out, 0, sizeof *out);
    if (k)
        k->method->evidence(k, out);
    out->notes |= n->notes;
    for (unsigned i = 0; i < n->n; i++)
        if (n->offered & 1U << i)
            out->offered |= cph_keying_method_bit(n->slot[i].method);
    out->peer_offered = n->peer_offered;
}

struct cph_keying *cph_nego_instance(const struct cph_nego *n)
{
    return chosen(n);
}

cph_err cph_nego_keys(const struct cph_nego *n, enum cph_keying_component component,
                      enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    struct cph_keying *k = chosen(n);

    if (!k)
        return CPH_E_AGAIN;
    CPH_TRY(k->method->keys(k, component, dir, i, out));
    out->cryptex = n->cryptex && out->suite->encrypts && !out->unencrypted_rtp && !out->suite->half;
    return CPH_OK;
}

cph_err cph_nego_ekt(const struct cph_nego *n, struct cph_ekt_params *out)
{
    struct cph_keying *k = chosen(n);

    if (!k)
        return CPH_E_AGAIN;
    return k->method->ekt ? k->method->ekt(k, out) : CPH_E_NOTFOUND;
}

void cph_nego_stream(struct cph_nego *n, uint32_t ssrc, uint32_t roc)
{
    struct cph_keying *k = chosen(n);

    if (k && k->method->stream)
        k->method->stream(k, ssrc, roc);
}

unsigned cph_nego_hints(const struct cph_nego *n, struct cph_keying_hint *out, unsigned cap)
{
    struct cph_keying *k = chosen(n);

    return k && k->method->hints ? k->method->hints(k, out, cap) : 0;
}

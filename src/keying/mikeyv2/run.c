/* A run of MIKEYv2 and what it owns; and the part of a row that does not depend on the way. */
#include "mikeyv2_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_cipher.h"

/* ---- a run, and what it owns ---------------------------------------------------------------- */

void v2_shake_wipe(struct v2_shake *s)
{
    if (s->proof)
        cph_free_secret(s->proof, sizeof *s->proof + s->proof->n);
    cph_free_secret(s->offer, sizeof *s->offer);
    cph_wipe(s, sizeof *s);
}

struct v2_shake v2_shake_next(const struct v2_shake *s)
{
    struct v2_shake next = *s;

    next.proof = NULL;
    next.offer = NULL;
    return next;
}

void v2_shake_put(struct v2 *k, struct v2_shake *next)
{
    v2_shake_wipe(&k->shake);
    k->shake = *next;
    memset(next, 0, sizeof *next);
}

struct cph_span v2_hello(const struct v2_shake *s, unsigned whose)
{
    return (struct cph_span){ s->hello[whose].b, s->hello[whose].n };
}

struct cph_span v2_proof(const struct v2_shake *s)
{
    return s->proof ? (struct cph_span){ s->proof->b, s->proof->n } : (struct cph_span){ 0 };
}

bool v2_heard(const struct v2_shake *s, struct cph_span proof)
{
    uint8_t hash[MIKEY_HASH];

    /* of messages that everybody sees: public */
    return s->state == V2_DONE && cph_digest(CPH_DIGEST_SHA256, proof, hash) == CPH_OK &&
           memcmp(hash, s->heard, sizeof hash) == 0;
}

/* ---- what came out -------------------------------------------------------------------------- */

void v2_commit(struct v2 *k, struct v2_shake *s, const struct mikey_csb *csb)
{
    for (int d = 0; d < 2; d++) {
        k->status.dir[d].generation++;
        /* RFC 3711 3.3.1 MUST: over a re-key the ROC goes on */
        k->status.dir[d].streams = k->keyed ? CPH_KEYING_STREAMS_KEEP : CPH_KEYING_STREAMS_FRESH;
    }
    k->done_i = s->spi_i;
    k->done_r = s->spi_r;
    v2_shake_put(k, s);
    k->csb = *csb;
    k->keyed = true;
    k->renew = false;
    k->status.state = CPH_KEYING_KEYED;
    k->status.offer_wanted = false;
}

cph_err v2_open(struct v2 *k, const struct cph_keying_method *row, const struct cph_keying_cfg *cfg)
{
    const char *const *names = cfg->suites ? cfg->suites : cph_keying_suites;
    unsigned n = 0;

    if (!cfg->mikey || !cfg->mikey->id[0])
        return CPH_E_CONFIG;
    k->base.method = row;
    k->cfg = *cfg;
    k->m = cfg->mikey;
    for (size_t i = 0; names[i] && n < V2_SUITES; i++) {
        k->suite[n] = cph_srtp_suite_by_sdes(cph_span_of(names[i]));
        n += k->suite[n] != NULL;
    }
    return CPH_OK;
}

void v2_close(struct v2 *k)
{
    v2_shake_wipe(&k->shake);
}

static const struct v2 *of_const(const struct cph_keying *k)
{
    return (const struct v2 *)k;
}

void v2_renew(struct cph_keying *k)
{
    ((struct v2 *)k)->renew = true;
}

void v2_status(const struct cph_keying *k, struct cph_keying_status *out)
{
    *out = of_const(k)->status;
}

cph_err v2_keys(const struct cph_keying *base, enum cph_keying_component component,
                enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out)
{
    const struct v2 *k = of_const(base);

    (void)component; /* one crypto session has the RTP and RTCP of its stream */
    return k->keyed ? mikey_csb_keys(&k->csb, 0, dir, i, out) : CPH_E_AGAIN;
}

unsigned v2_hints(const struct cph_keying *base, struct cph_keying_hint *out, unsigned cap)
{
    const struct v2 *k = of_const(base);

    return k->keyed ? mikey_csb_hints(&k->csb, 0, out, cap) : 0;
}

void v2_evidence(const struct cph_keying *base, struct cph_keying_evidence *out)
{
    const struct v2 *k = of_const(base);
    const struct mikey_csb *csb = &k->csb;
    const struct cph_srtp_suite *suite;

    out->method = base->method->name;
    out->notes |= k->notes;
    if (!k->keyed)
        return;
    suite = mikey_policy_of(csb, mikey_session_of(csb, 0, CPH_KEYING_RECV))->suite;
    out->keyed = true;
    out->suite = suite->sdes_name;
    out->rtp_encrypted = out->rtcp_encrypted = suite->encrypts;
    out->rtp_authenticated = true;
    out->key_bits = 8U * suite->key_n;
    out->tag_bits = 8U * suite->tag_n;
    out->notes |= suite->tag_n < 8 ? CPH_KEYING_NOTE_SHORT_TAG : 0;
    mikey_csb_evidence(csb, out);
    out->choice_protected = csb->mode != CPH_MIKEY_NULL &&
                            mikey_csb_sound(csb); /* the hellos are in RAND */
}

#include "ciphony/session_verdict.h"

#include <string.h>

#include "ciphony/base_text.h"

void cph_fact_text(char out[CPH_FACT_TEXT], struct cph_span text)
{
    size_t n = strlen(cph_text_clean(text, out, CPH_FACT_TEXT));

    memset(out + n, 0, CPH_FACT_TEXT - n);
}

/* ---- signalling ------------------------------------------------------------------------------ */

static bool hop_eq(const struct cph_hop_facts *a, const struct cph_hop_facts *b)
{
    return a->transport == b->transport && a->auth == b->auth && a->whose == b->whose &&
           a->seen == b->seen && strncmp(a->name, b->name, CPH_FACT_TEXT) == 0;
}

static bool hop_known(const struct cph_evidence *ev, const struct cph_hop_facts *h)
{
    for (unsigned i = 0; i < ev->hops_n; i++)
        if (hop_eq(&ev->hop[i], h))
            return true;
    return false;
}

static void told_more(unsigned *told, unsigned n)
{
    *told = n > UINT32_MAX - *told ? UINT32_MAX : *told + n;
}

void cph_evidence_path(struct cph_evidence *ev, const struct cph_hop_facts *hops, unsigned n,
                       unsigned told)
{
    for (unsigned i = 0; i < n; i++) {
        if (hop_known(ev, &hops[i]))
            continue;
        told_more(&ev->hops_told, 1);
        if (ev->hops_n < CPH_EVIDENCE_HOPS)
            ev->hop[ev->hops_n++] = hops[i];
    }
    if (told > n)
        told_more(&ev->hops_told, told - n);
    if (told == 0) /* nobody counted, so there may be more than we were shown */
        told_more(&ev->hops_told, 1);
}

/* ---- media ----------------------------------------------------------------------------------- */

#define KEEP_WORSE(field)                                                                          \
    do {                                                                                           \
        if (f->field < s->field)                                                                   \
            s->field = f->field;                                                                   \
    } while (0)
#define KEEP_MORE(field)                                                                           \
    do {                                                                                           \
        if (f->field > s->field)                                                                   \
            s->field = f->field;                                                                   \
    } while (0)

static void merge_stream(struct cph_stream_facts *s, const struct cph_stream_facts *f)
{
    if (f->keys != s->keys && f->keys > CPH_KEYS_NONE && s->keys > CPH_KEYS_NONE)
        s->keys = CPH_KEYS_MIXED;
    KEEP_WORSE(keys);
    KEEP_WORSE(binding);
    KEEP_WORSE(validity);
    KEEP_WORSE(members);
    KEEP_WORSE(vouched_by);
    KEEP_WORSE(in);
    KEEP_WORSE(out);
    KEEP_WORSE(rtcp);
    KEEP_WORSE(counted);
    KEEP_MORE(clear_in);
    KEEP_MORE(clear_out);
    KEEP_MORE(packets_in);
    KEEP_MORE(packets_out);
    KEEP_MORE(refused_in);
    KEEP_MORE(rekeys);
    KEEP_MORE(resumed);
    KEEP_MORE(weak_group);
    KEEP_MORE(weak_signature);
    memcpy(s->keying, f->keying, sizeof s->keying);
    memcpy(s->suite, f->suite, sizeof s->suite);
    memcpy(s->voucher, f->voucher, sizeof s->voucher);
}

static bool spoken_of(const struct cph_stream_facts *f)
{
    return f->keys || f->binding || f->validity || f->members || f->vouched_by || f->in || f->out ||
           f->rtcp || f->counted || f->clear_in || f->clear_out;
}

void cph_evidence_stream(struct cph_evidence *ev, unsigned i, const struct cph_stream_facts *facts)
{
    if (i >= CPH_EVIDENCE_STREAMS) { /* no room: then the verdict must miss it */
        cph_evidence_streams_told(ev, CPH_EVIDENCE_STREAMS + 1);
        return;
    }
    /* Facts of line i before those of line i - 1: the gap is a stream nobody spoke about. */
    if (i < ev->streams_n && spoken_of(&ev->stream[i])) {
        merge_stream(&ev->stream[i], facts);
    } else {
        ev->stream[i] = *facts;
        if (i >= ev->streams_n)
            ev->streams_n = i + 1;
    }
    cph_evidence_streams_told(ev, ev->streams_n);
}

void cph_evidence_streams_told(struct cph_evidence *ev, unsigned n)
{
    if (n > ev->streams_told)
        ev->streams_told = n;
}

void cph_evidence_downgrade(struct cph_evidence *ev, enum cph_downgrade d)
{
    if (ev->downgrade == CPH_DOWNGRADE_UNKNOWN || (d != CPH_DOWNGRADE_UNKNOWN && d < ev->downgrade))
        ev->downgrade = d;
}

void cph_evidence_proof(struct cph_evidence *ev, enum cph_peer_proof p)
{
    if (ev->proof == CPH_PROOF_UNKNOWN || (p != CPH_PROOF_UNKNOWN && p < ev->proof))
        ev->proof = p;
}

void cph_evidence_seal(struct cph_evidence *ev, enum cph_seal seal, struct cph_span sealer)
{
    cph_fact_text(ev->sealer, sealer);
    if (ev->seal == CPH_SEAL_UNKNOWN || (seal != CPH_SEAL_UNKNOWN && seal < ev->seal))
        ev->seal = seal;
}

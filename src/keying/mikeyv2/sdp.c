/*
 * MIKEYv2 in SDP: each message is an attribute of the stream, so the four of them need two
 * exchanges of offer and answer.
 *
 *   -> offer    a=mikeyv2:HELLO_I      <- answer   a=mikeyv2:HELLO_R     no keys yet
 *   -> offer    a=mikeyv2:PROOF_I      <- answer   a=mikeyv2:PROOF_R     keys
 *
 * Who began says offer_wanted between the two. Exchanges about something else (a hold) say KEEP,
 * with the numbers of the run whose keys are in use (of the one under way if there are none yet),
 * and change nothing. A re-key is a run of its own, again of two exchanges; where that is refused
 * it is over, and the keys in use stay.
 */
#include "mikeyv2_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

static const char NAME[] = "mikeyv2";

enum { TRIES = 3 /* of the second exchange */ };

struct v2sdp {
    struct v2 v2;
    bool open;         /* our offer may be answered */
    bool first;        /* and it was the first exchange */
    enum v2_type said; /* in it */
    unsigned tries;
};

static struct v2sdp *of(struct cph_keying *k)
{
    return (struct v2sdp *)k;
}

static bool sdp_present(const struct cph_keying_remote *remote)
{
    return cph_sdp_attr(&remote->media->part, NAME) != NULL;
}

static cph_err sdp_make(const struct cph_keying_cfg *cfg, struct cph_keying **out)
{
    struct v2sdp *k = calloc(1, sizeof *k);
    cph_err err;

    if (!k)
        return CPH_E_NOMEM;
    err = v2_open(&k->v2, &cph_keying_mikeyv2, cfg);
    if (err != CPH_OK) {
        free(k);
        return err;
    }
    *out = &k->v2.base;
    return CPH_OK;
}

static void sdp_free(struct cph_keying *k)
{
    v2_close(&of(k)->v2);
    cph_free_secret(of(k), sizeof(struct v2sdp));
}

/* ---- in and out of a description ------------------------------------------------------------ */

static cph_err put(const struct cph_keying_local *to, struct cph_span bytes)
{
    size_t n = CPH_BASE64_LEN(bytes.n) + 1;
    char *text = malloc(n);
    cph_err err;

    if (!text)
        return CPH_E_NOMEM;
    cph_base64(bytes, text);
    err = cph_sdp_attr_add(to->sdp, to->media, NAME, text);
    cph_free_secret(text, n);
    return err;
}

static void text_wipe(struct v2_text *t)
{
    cph_wipe(t, sizeof *t);
}

#define TEXT_SCOPED __attribute__((cleanup(text_wipe))) struct v2_text

static struct cph_span view_of(const struct v2_text *t)
{
    return (struct cph_span){ t->b, t->n };
}

static cph_err get(const struct cph_keying_remote *from, struct v2_text *text, struct v2_msg *m)
{
    const struct cph_sdp_line *l = cph_sdp_attr(&from->media->part, NAME);

    if (!l)
        return CPH_E_NOTFOUND;
    if (cph_sdp_attr_next(l))
        return CPH_E_MALFORMED;
    if (cph_unbase64(cph_span_trim(l->arg), true, text->b, sizeof text->b, &text->n) != CPH_OK)
        return CPH_E_MALFORMED;
    return v2_parse(view_of(text), m);
}

/* ---- a run that goes on --------------------------------------------------------------------- */

static bool is_run(const struct v2 *k, const struct v2_msg *m)
{
    bool under_way = k->shake.state >= V2_AGREED && m->spi_i == k->shake.spi_i &&
                     m->spi_r == k->shake.spi_r;

    return under_way || (k->keyed && m->spi_i == k->done_i && m->spi_r == k->done_r);
}

static cph_err put_keep(const struct v2 *k, const struct cph_keying_local *to)
{
    const struct v2_msg m = { .type = V2_KEEP,
                              .spi_i = k->keyed ? k->done_i : k->shake.spi_i,
                              .spi_r = k->keyed ? k->done_r : k->shake.spi_r };
    uint8_t b[32];
    struct cph_wr wr = cph_wr_open(b, sizeof b);

    CPH_TRY(v2_build(&m, &wr));
    return put(to, cph_wr_done(&wr));
}

static void said(struct v2sdp *k, enum v2_type type)
{
    k->said = type;
    k->first = !k->v2.keyed && k->v2.shake.state == V2_SAID_HELLO;
    k->open = true;
    if (!k->v2.keyed && k->v2.shake.state == V2_SAID_HELLO)
        k->v2.status.state = CPH_KEYING_OFFERED;
}

/* ---- offering ------------------------------------------------------------------------------- */

static bool proof_is_next(const struct v2 *k)
{
    return k->shake.we_began && (k->shake.state == V2_AGREED || k->shake.state == V2_SAID_PROOF);
}

static cph_err offer_hello(struct v2sdp *k, const struct cph_keying_local *offer)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);

    if (next.state != V2_SAID_HELLO) { /* else nobody answered it */
        memset(&next, 0, sizeof next);
        CPH_TRY(v2_begin(&k->v2, &next));
    }
    CPH_TRY(put(offer, v2_hello(&next, 0)));
    v2_shake_put(&k->v2, &next);
    k->tries = 0;
    k->v2.renew = k->v2.status.offer_wanted = false; /* a wish is over with the offer that has it */
    said(k, V2_HELLO_I);
    return CPH_OK;
}

static cph_err offer_proof(struct v2sdp *k, const struct cph_keying_local *offer)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);

    if (next.state == V2_AGREED) {
        CPH_TRY(v2_prove(&k->v2, &next));
        CPH_TRY(put(offer, v2_proof(&next)));
        v2_shake_put(&k->v2, &next);
    } else {
        CPH_TRY(put(offer, v2_proof(&k->v2.shake)));
    }
    k->v2.status.offer_wanted = false;
    said(k, V2_PROOF_I);
    return CPH_OK;
}

static cph_err sdp_offer(struct cph_keying *base, const struct cph_keying_local *offer)
{
    struct v2sdp *k = of(base);

    if (proof_is_next(&k->v2))
        return offer_proof(k, offer);
    /* there is nothing new to say; or the peer began, and its proof is next */
    if (k->v2.keyed ? !k->v2.renew : k->v2.shake.state == V2_AGREED) {
        CPH_TRY(put_keep(&k->v2, offer));
        said(k, V2_KEEP);
        return CPH_OK;
    }
    return offer_hello(k, offer);
}

/* ---- answering ------------------------------------------------------------------------------ */

static cph_err answer_hello(struct v2sdp *k, struct cph_span hello,
                            const struct cph_keying_local *answer)
{
    const struct v2_shake *now = &k->v2.shake;
    V2_SHAKE_SCOPED next = { 0 };

    /* said again, since our answer was lost: the same answer again */
    if (!now->we_began && now->state == V2_AGREED && cph_span_eq(hello, v2_hello(now, 0)))
        return put(answer, v2_hello(now, 1));
    CPH_TRY(v2_choose(&k->v2, hello, &next));
    CPH_TRY(put(answer, v2_hello(&next, 1)));
    v2_shake_put(&k->v2, &next);
    k->v2.status.offer_wanted = false; /* a run of ours, if there was one, is over */
    if (!k->v2.keyed)
        k->v2.status.state = CPH_KEYING_RUNNING;
    return CPH_OK;
}

static cph_err answer_proof(struct v2sdp *k, struct cph_span proof,
                            const struct cph_keying_local *answer)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);
    MIKEY_CSB_SCOPED csb = { 0 };

    if (!next.we_began && v2_heard(&next, proof))
        return put(answer, v2_proof(&k->v2.shake));
    CPH_TRY(v2_respond(&k->v2, proof, &next, &csb));
    CPH_TRY(put(answer, v2_proof(&next)));
    v2_commit(&k->v2, &next, &csb);
    return CPH_OK;
}

static cph_err sdp_answer(struct cph_keying *base, const struct cph_keying_remote *offer,
                          const struct cph_keying_local *answer)
{
    struct v2sdp *k = of(base);
    TEXT_SCOPED text = { 0 };
    struct v2_msg m;

    CPH_TRY(get(offer, &text, &m));
    switch (m.type) {
    case V2_HELLO_I:
        CPH_TRY(answer_hello(k, view_of(&text), answer));
        break;
    case V2_PROOF_I:
        CPH_TRY(answer_proof(k, view_of(&text), answer));
        break;
    case V2_KEEP:
        if (!is_run(&k->v2, &m))
            return CPH_E_POLICY; /* of a run that we are not in */
        CPH_TRY(put(answer, view_of(&text)));
        /* new keys are the offerer's to begin with */
        k->v2.status.offer_wanted |= k->v2.keyed && k->v2.renew;
        break;
    case V2_HELLO_R:
    case V2_PROOF_R:
    case V2_TYPES_:
        return CPH_E_MALFORMED;
    }
    k->open = false;
    return CPH_OK;
}

/* ---- reading the answer --------------------------------------------------------------------- */

static cph_err finish_hello(struct v2sdp *k, struct cph_span hello)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);

    CPH_TRY(v2_agree(&k->v2, hello, &next));
    v2_shake_put(&k->v2, &next);
    k->v2.status.offer_wanted = true;
    if (!k->v2.keyed)
        k->v2.status.state = CPH_KEYING_RUNNING;
    return CPH_OK;
}

static cph_err finish_proof(struct v2sdp *k, struct cph_span proof)
{
    V2_SHAKE_SCOPED next = v2_shake_next(&k->v2.shake);
    MIKEY_CSB_SCOPED csb = { 0 };

    if (v2_heard(&next, proof))
        return CPH_OK; /* said again */
    CPH_TRY(v2_verify(&k->v2, proof, &next, &csb));
    v2_commit(&k->v2, &next, &csb);
    return CPH_OK;
}

static cph_err sdp_finish(struct cph_keying *base, const struct cph_keying_remote *answer)
{
    struct v2sdp *k = of(base);
    TEXT_SCOPED text = { 0 };
    struct v2_msg m;

    if (!k->open)
        return CPH_E_STATE;
    CPH_TRY(get(answer, &text, &m));
    switch (k->said) {
    case V2_HELLO_I:
        return finish_hello(k, view_of(&text));
    case V2_PROOF_I:
        return finish_proof(k, view_of(&text));
    case V2_KEEP:
        return m.type == V2_KEEP && is_run(&k->v2, &m) ? CPH_OK : CPH_E_POLICY;
    case V2_HELLO_R:
    case V2_PROOF_R:
    case V2_TYPES_:
        break;
    }
    return CPH_E_STATE;
}

/* The run comes to nothing: what it has goes, and with it what would be tried again. */
static void drop(struct v2sdp *k)
{
    v2_shake_wipe(&k->v2.shake);
    k->v2.status.offer_wanted = false;
    if (k->v2.keyed)
        return;
    k->v2.status.state = CPH_KEYING_FAILED;
    k->v2.status.err = CPH_E_POLICY;
    k->v2.status.why = "the peer would not go on to the second round trip of MIKEYv2";
}

/* Our offer is over. A proof that the peer did not take, or whose answer was spoilt, goes out again
 * as it is, and gets the same answer if there was one; but not for ever. */
static void sdp_settled(struct cph_keying *base)
{
    struct v2sdp *k = of(base);

    if (k->open && k->said == V2_PROOF_I && k->v2.shake.state == V2_SAID_PROOF) {
        k->v2.status.offer_wanted = ++k->tries < TRIES;
        if (!k->v2.status.offer_wanted)
            drop(k);
    } else if (k->open && k->v2.keyed && k->v2.shake.state == V2_SAID_HELLO) {
        drop(k);
    }
    k->open = false;
}

static void sdp_rollback(struct cph_keying *base)
{
    struct v2sdp *k = of(base);

    sdp_settled(base);
    if (!k->v2.keyed && k->v2.shake.state < V2_AGREED && k->v2.status.state != CPH_KEYING_FAILED)
        k->v2.status.state = CPH_KEYING_IDLE;
}

/* A further answerer of our hello: an exchange of its own from there on. */
static cph_err sdp_fork(const struct cph_keying *base, struct cph_keying **out)
{
    const struct v2sdp *k = (const struct v2sdp *)base;
    struct v2sdp *branch;

    if (!k->open || !(k->first || k->said == V2_HELLO_I) || k->v2.keyed)
        return CPH_E_STATE;
    branch = calloc(1, sizeof *branch);
    if (!branch)
        return CPH_E_NOMEM;
    *branch = *k;
    memset(&branch->v2.shake, 0, sizeof branch->v2.shake);
    branch->v2.shake.state = V2_SAID_HELLO;
    branch->v2.shake.we_began = true;
    branch->v2.shake.spi_i = k->v2.shake.spi_i;
    branch->v2.shake.hello[0] = k->v2.shake.hello[0];
    memset(&branch->v2.status, 0, sizeof branch->v2.status);
    branch->v2.status.state = CPH_KEYING_OFFERED;
    branch->first = true;
    *out = &branch->v2.base;
    return CPH_OK;
}

const struct cph_keying_method cph_keying_mikeyv2 = {
    .name = "mikeyv2",
    .where = CPH_KEYING_IN_SIGNALLING,
    .needs = CPH_KEYING_NEEDS_MIKEY,
    .profile = CPH_SDP_RTP_SAVP,
    .expired = true,
    .present = sdp_present,
    .make = sdp_make,
    .free = sdp_free,
    .offer = sdp_offer,
    .answer = sdp_answer,
    .finish = sdp_finish,
    .rollback = sdp_rollback,
    .settled = sdp_settled,
    .renew = v2_renew,
    .fork = sdp_fork,
    .status = v2_status,
    .keys = v2_keys,
    .hints = v2_hints,
    .evidence = v2_evidence,
};

/*
 * MIKEYv2: MIKEY, revisited. The draft (draft-dondeti-msec-rtpsec-mikeyv2) is expired; what is
 * known of it is its idea: two round trips, of which the first learns who is there, agrees on mode,
 * algorithms and SRTP policy, and exchanges nonces, so that nobody's clock matters; the second
 * makes the keys.
 *
 *   -> HELLO_I   modes, groups, suites, nonce, IDi
 *   <- HELLO_R   mode, group, suite, nonce, IDr
 *   -> PROOF_I   the initiator's MIKEY message of that mode, with RAND = H(HELLO_I, HELLO_R)
 *   <- PROOF_R   its answer
 *
 * RAND is under the MAC or signature of both MIKEY messages, directly or in the keys they are made
 * with. So whoever proves anything proves it for these two hellos: each side has a nonce of its own
 * in them (no replay), and nobody can have changed the choice (no bidding down).
 */
#include "mikeyv2_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"
#include "ciphony/crypto_cipher.h"

static const char list[] = "mikeyv2"; /* in the place of RFC 4567's list of protocols */

/* ---- material with the mode that was agreed on ---------------------------------------------- */

/* A cph_mikey for one step: that of the configuration, but for the mode and group, and without a
 * memory of timestamps, since nonces take their place. */
struct material {
    struct cph_mikey m;
};

static void material_close(struct material *x)
{
    mikey_replay_close(&x->m.replay);
    cph_wipe(x, sizeof *x); /* what it points to is not its own */
}

#define MATERIAL_SCOPED __attribute__((cleanup(material_close))) struct material

enum {
    EVER_S = 0x7fffffff, /* a skew that nothing exceeds */
    PAST_S = 0x3fffffff, /* half of it ago */
    MARKS = 8,
};

static cph_err material_open(const struct v2 *k, const struct v2_shake *s, struct cph_span peer,
                             struct material *x)
{
    x->m = *k->m;
    memset(&x->m.replay, 0, sizeof x->m.replay);
    memset(&x->m.spare, 0, sizeof x->m.spare); /* that pair is for one message only */
    x->m.shared = NULL;
    x->m.cfg.mode = s->mode;
    x->m.cfg.counter = false;
    x->m.accept = 1U << s->mode;
    if (!mikey_group_of(s->group, &x->m.group))
        return CPH_E_UNSUPPORTED;
    x->m.group_no = s->group;
    /* DHHMAC names both sides. Of a certificate it must stay what the user wants to see there: a
     * name that the other end gave itself proves nothing. */
    if (s->mode == CPH_MIKEY_DHHMAC && !x->m.peer_id[0])
        CPH_TRY(cph_span_cstr(peer, x->m.peer_id, sizeof x->m.peer_id));
    return mikey_replay_open(&x->m.replay, MARKS, EVER_S, mikey_ntp(cph_wall(k->cfg.env) - PAST_S));
}

static cph_err hellos_hash(const struct v2_shake *s, uint8_t out[MIKEY_HASH])
{
    struct cph_digest_ctx *d;
    cph_err err;

    CPH_TRY(cph_digest_new(CPH_DIGEST_SHA256, &d));
    err = cph_digest_add(d, CPH_SPAN_LIT("ciphony mikeyv2"));
    for (int i = 0; i < 2 && err == CPH_OK; i++) {
        uint8_t n[2] = { (uint8_t)(s->hello[i].n >> 8), (uint8_t)s->hello[i].n };

        err = cph_digest_add(d, (struct cph_span){ n, sizeof n });
        if (err == CPH_OK)
            err = cph_digest_add(d, v2_hello(s, (unsigned)i));
    }
    if (err == CPH_OK)
        err = cph_digest_finish(d, out);
    cph_digest_free(d);
    return err;
}

static struct mikey_around around_of(const struct v2 *k, const struct cph_srtp_suite *const *one,
                                     struct cph_span rand)
{
    return (struct mikey_around){
        .list = CPH_SPAN_LIT(list), .suites = one, .ssrc = k->cfg.ssrc, .rand = rand
    };
}

/* ---- the first round trip ------------------------------------------------------------------- */

/* What we can do: the mode of the configuration, then those that forget their keys, then the rest.
 * NULL is answered only if it is named, and offered only if it is what is configured. */
static size_t our_modes(const struct cph_mikey *m, bool answer, uint8_t out[V2_LIST])
{
    static const enum cph_mikey_mode order[] = { CPH_MIKEY_DHSIGN, CPH_MIKEY_DHHMAC,
                                                 CPH_MIKEY_RSA_R,  CPH_MIKEY_RSA,
                                                 CPH_MIKEY_PSK,    CPH_MIKEY_NULL };
    const unsigned named = answer ? m->accept : m->accept & ~(1U << CPH_MIKEY_NULL);
    size_t n = 0;

    if ((!answer || (m->accept & 1U << m->cfg.mode)) && mikey_can(m, m->cfg.mode, answer))
        out[n++] = (uint8_t)m->cfg.mode;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (order[i] != m->cfg.mode && (named & 1U << order[i]) && mikey_can(m, order[i], answer))
            out[n++] = (uint8_t)order[i];
    return n;
}

static size_t our_groups(const struct cph_mikey *m, uint8_t out[V2_LIST])
{
    size_t n = 0;

    out[n++] = m->group_no;
    if (m->group_no != MIKEY_P256)
        out[n++] = MIKEY_P256;
    if (m->group_no != MIKEY_MODP_3072)
        out[n++] = MIKEY_MODP_3072;
    return n;
}

static cph_err suite_names(const struct v2 *k, struct cph_wr *wr)
{
    for (unsigned i = 0; k->suite[i]; i++)
        cph_wr_fmt(wr, "%s%s", i ? "," : "", k->suite[i]->sdes_name);
    return wr->n > 0 ? cph_wr_end(wr) : CPH_E_CONFIG;
}

static cph_err write_hello(const struct v2_msg *m, struct v2_hello *out)
{
    struct cph_wr wr = cph_wr_open(out->b, sizeof out->b);

    CPH_TRY(v2_build(m, &wr));
    out->n = wr.n;
    return CPH_OK;
}

static cph_err number(const struct v2 *k, uint64_t *out)
{
    do
        CPH_TRY(cph_random(k->cfg.env, out, sizeof *out));
    while (*out == 0);
    return CPH_OK;
}

cph_err v2_begin(const struct v2 *k, struct v2_shake *s)
{
    uint8_t modes[V2_LIST], groups[V2_LIST], nonce[V2_NONCE], names[256];
    struct cph_wr wr = cph_wr_open(names, sizeof names);
    struct v2_msg m = { .type = V2_HELLO_I, .id = cph_span_of(k->m->id) };

    m.modes = (struct cph_span){ modes, our_modes(k->m, false, modes) };
    m.groups = (struct cph_span){ groups, our_groups(k->m, groups) };
    if (m.id.n == 0 || m.modes.n == 0)
        return CPH_E_CONFIG;
    CPH_TRY(suite_names(k, &wr));
    m.suites = cph_wr_done(&wr);
    CPH_TRY(number(k, &m.spi_i));
    CPH_TRY(cph_random(k->cfg.env, nonce, sizeof nonce));
    m.nonce = (struct cph_span){ nonce, sizeof nonce };
    CPH_TRY(write_hello(&m, &s->hello[0]));
    s->we_began = true;
    s->spi_i = m.spi_i;
    s->state = V2_SAID_HELLO;
    return CPH_OK;
}

static bool in(struct cph_span set, uint8_t v)
{
    return memchr(set.p, v, set.n) != NULL;
}

/* The first of the peer's that we have too. */
static bool choose(struct cph_span theirs, struct cph_span ours, uint8_t *out)
{
    for (size_t i = 0; i < theirs.n; i++)
        if (in(ours, theirs.p[i])) {
            *out = theirs.p[i];
            return true;
        }
    return false;
}

static const struct cph_srtp_suite *our_suite(const struct v2 *k, struct cph_span name)
{
    for (unsigned i = 0; k->suite[i]; i++)
        if (cph_span_is(name, k->suite[i]->sdes_name))
            return k->suite[i];
    return NULL;
}

/* Somebody else, and the one whom we want to talk to, if we want somebody in particular. */
static cph_err is_peer(const struct v2 *k, struct cph_span id)
{
    if (cph_span_is(id, k->m->id))
        return CPH_E_POLICY;
    return mikey_peer_is(k->m, id) == CPH_OK ? CPH_OK : CPH_E_POLICY;
}

cph_err v2_choose(const struct v2 *k, struct cph_span hello, struct v2_shake *s)
{
    uint8_t modes[V2_LIST], groups[V2_LIST], nonce[V2_NONCE];
    struct v2_msg theirs, m = { .type = V2_HELLO_R, .id = cph_span_of(k->m->id) };
    struct cph_span ours = { modes, our_modes(k->m, true, modes) };
    struct cph_span our_group = { groups, our_groups(k->m, groups) };
    struct cph_span names;

    CPH_TRY(v2_parse(hello, &theirs));
    if (theirs.type != V2_HELLO_I || hello.n > V2_HELLO_MAX)
        return CPH_E_MALFORMED;
    if (m.id.n == 0)
        return CPH_E_CONFIG;
    CPH_TRY(is_peer(k, theirs.id));
    if (!choose(theirs.modes, ours, &m.mode) || !choose(theirs.groups, our_group, &m.group))
        return CPH_E_UNSUPPORTED;
    for (names = theirs.suites; names.n > 0 && !s->suite;)
        s->suite = our_suite(k, cph_span_cut(&names, ','));
    if (!s->suite)
        return CPH_E_UNSUPPORTED;
    m.suite = cph_span_of(s->suite->sdes_name);
    m.spi_i = theirs.spi_i;
    CPH_TRY(number(k, &m.spi_r));
    CPH_TRY(cph_random(k->cfg.env, nonce, sizeof nonce));
    m.nonce = (struct cph_span){ nonce, sizeof nonce };
    CPH_TRY(write_hello(&m, &s->hello[1]));
    memcpy(s->hello[0].b, hello.p, hello.n);
    s->hello[0].n = hello.n;
    s->mode = (enum cph_mikey_mode)m.mode;
    s->group = m.group;
    s->spi_i = m.spi_i;
    s->spi_r = m.spi_r;
    s->state = V2_AGREED;
    return CPH_OK;
}

cph_err v2_agree(const struct v2 *k, struct cph_span hello, struct v2_shake *s)
{
    struct v2_msg m, ours;
    struct cph_span names;
    bool offered = false;

    if (s->state != V2_SAID_HELLO && !(s->we_began && s->state == V2_AGREED))
        return CPH_E_STATE;
    CPH_TRY(v2_parse(hello, &m));
    CPH_TRY(v2_parse(v2_hello(s, 0), &ours));
    if (m.type != V2_HELLO_R || hello.n > V2_HELLO_MAX)
        return CPH_E_MALFORMED;
    if (m.spi_i != s->spi_i || m.spi_r == 0)
        return CPH_E_POLICY; /* an answer to something else */
    CPH_TRY(is_peer(k, m.id));
    for (names = ours.suites; names.n > 0;)
        offered |= cph_span_eq(cph_span_cut(&names, ','), m.suite);
    if (!offered || !in(ours.modes, m.mode) || !in(ours.groups, m.group))
        return CPH_E_POLICY;
    memcpy(s->hello[1].b, hello.p, hello.n);
    s->hello[1].n = hello.n;
    s->mode = (enum cph_mikey_mode)m.mode;
    s->group = m.group;
    s->suite = our_suite(k, m.suite);
    s->spi_r = m.spi_r;
    s->state = V2_AGREED;
    return CPH_OK;
}

/* ---- the second round trip ------------------------------------------------------------------ */

static cph_err wrap(struct v2_shake *s, enum v2_type type, const struct mikey_text *text)
{
    const struct v2_msg m = {
        .type = type, .spi_i = s->spi_i, .spi_r = s->spi_r, .body = { text->b, text->n }
    };
    uint8_t b[V2_MSG_MAX];
    struct cph_wr wr = cph_wr_open(b, sizeof b);

    CPH_TRY(v2_build(&m, &wr));
    s->proof = malloc(sizeof *s->proof + wr.n);
    if (s->proof) {
        s->proof->n = wr.n;
        memcpy(s->proof->b, b, wr.n);
    }
    cph_wipe(b, wr.n); /* NULL has its keys in clear */
    return s->proof ? CPH_OK : CPH_E_NOMEM;
}

/* The name that the other side gave in its hello. */
static cph_err their_id(const struct v2_shake *s, struct cph_span *out)
{
    struct v2_msg m;

    CPH_TRY(v2_parse(v2_hello(s, s->we_began ? 1 : 0), &m));
    *out = m.id;
    return CPH_OK;
}

static void text_wipe(struct mikey_text *t)
{
    cph_wipe(t, sizeof *t);
}

#define TEXT_SCOPED __attribute__((cleanup(text_wipe))) struct mikey_text

cph_err v2_prove(const struct v2 *k, struct v2_shake *s)
{
    const struct cph_srtp_suite *const one[] = { s->suite, NULL };
    uint8_t hash[MIKEY_HASH];
    struct mikey_around around = around_of(k, one, (struct cph_span){ hash, sizeof hash });
    MATERIAL_SCOPED x = { 0 };
    TEXT_SCOPED text = { 0 };
    struct cph_span peer;

    if (!s->we_began || s->state != V2_AGREED)
        return CPH_E_STATE;
    CPH_TRY(their_id(s, &peer));
    CPH_TRY(material_open(k, s, peer, &x));
    CPH_TRY(hellos_hash(s, hash));
    s->offer = calloc(1, sizeof *s->offer);
    if (!s->offer)
        return CPH_E_NOMEM;
    CPH_TRY(mikey_start(&x.m, NULL, true, &around, s->offer, &text));
    CPH_TRY(wrap(s, V2_PROOF_I, &text));
    s->state = V2_SAID_PROOF;
    return CPH_OK;
}

/* One policy, and it is the one that was agreed on; and the mode. */
static bool as_agreed(const struct v2_shake *s, const struct mikey_csb *csb)
{
    for (unsigned i = 0; i < csb->n_policies; i++)
        if (csb->policy[i].suite != s->suite)
            return false;
    return csb->mode == s->mode && csb->n_policies > 0;
}

static cph_err unwrap(const struct v2_shake *s, struct cph_span proof, enum v2_type type,
                      struct v2_msg *m)
{
    CPH_TRY(v2_parse(proof, m));
    if (m->type != type)
        return CPH_E_STATE;
    return m->spi_i == s->spi_i && m->spi_r == s->spi_r ? CPH_OK : CPH_E_POLICY;
}

cph_err v2_respond(const struct v2 *k, struct cph_span proof, struct v2_shake *s,
                   struct mikey_csb *csb)
{
    const struct cph_srtp_suite *const one[] = { s->suite, NULL };
    struct mikey_around around = around_of(k, one, (struct cph_span){ 0 });
    enum mikey_error error = MIKEY_E_OTHER;
    uint8_t hash[MIKEY_HASH];
    MATERIAL_SCOPED x = { 0 };
    TEXT_SCOPED text = { 0 };
    struct mikey_msg inner;
    struct cph_span peer;
    struct v2_msg m;

    if (s->we_began || s->state != V2_AGREED)
        return CPH_E_STATE;
    CPH_TRY(unwrap(s, proof, V2_PROOF_I, &m));
    CPH_TRY(mikey_parse(m.body, &inner, NULL));
    CPH_TRY(hellos_hash(s, hash));
    /* before anything dear is done: is it about these hellos? Everybody can see what they were */
    if (!cph_span_eq(inner.rand, (struct cph_span){ hash, sizeof hash }) ||
        (inner.n_dh > 0 && inner.dh[0].group != s->group))
        return CPH_E_POLICY;
    CPH_TRY(their_id(s, &peer));
    CPH_TRY(material_open(k, s, peer, &x));
    CPH_TRY(mikey_respond(&x.m, NULL, m.body, &around, csb, &text, &error));
    if (!as_agreed(s, csb))
        return CPH_E_POLICY;
    CPH_TRY(wrap(s, V2_PROOF_R, &text));
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, proof, s->heard));
    s->state = V2_DONE;
    return CPH_OK;
}

cph_err v2_verify(const struct v2 *k, struct cph_span proof, struct v2_shake *s,
                  struct mikey_csb *csb)
{
    MATERIAL_SCOPED x = { 0 };
    struct cph_span peer;
    struct v2_msg m;

    if (s->state != V2_SAID_PROOF || !k->shake.offer)
        return CPH_E_STATE;
    CPH_TRY(unwrap(s, proof, V2_PROOF_R, &m));
    CPH_TRY(their_id(s, &peer));
    CPH_TRY(material_open(k, s, peer, &x));
    CPH_TRY(mikey_finish(&x.m, k->shake.offer, m.body, csb));
    if (!as_agreed(s, csb))
        return CPH_E_POLICY;
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, proof, s->heard));
    s->state = V2_DONE;
    return CPH_OK;
}

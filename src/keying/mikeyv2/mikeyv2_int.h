/* Private face of MIKEYv2: two round trips around a MIKEY exchange. Expired, the framing is ours.
 */
#ifndef CPH_MIKEYV2_INT_H
#define CPH_MIKEYV2_INT_H

#include "../mikey/mikey_int.h"

enum {
    V2_VERSION = 2,
    V2_NONCE = 32,
    V2_LIST = 16,        /* modes or groups of one message */
    V2_SUITES = 8,       /* we offer */
    V2_HELLO_MAX = 1024, /* bytes of a message of the first round trip */
    V2_MSG_MAX = MIKEY_MSG_MAX + 64,
    V2_BYTES = 14336, /* of an instance, without what it has while its proof is out */
};

enum v2_type {
    V2_HELLO_I = 1, /* who I am, what I can, a nonce */
    V2_HELLO_R,     /* who I am, what of that we do, a nonce */
    V2_PROOF_I,     /* a MIKEY message of the mode agreed on */
    V2_PROOF_R,     /* and its answer */
    V2_KEEP,        /* in SDP: nothing new; what is there goes on */
    V2_TYPES_,
};

/*
 * All begin with version (2), type and the initiator's number of the exchange; those from the
 * second on have the responder's as well.
 *
 *   HELLO_I   modes<1..16> groups<1..16> suites<1..65535> nonce(32) id<1..255>
 *   HELLO_R   mode group suite<1..255> nonce(32) id<1..255>
 *   PROOF_*   a MIKEY message, to the end
 */
struct v2_msg {
    enum v2_type type;
    uint64_t spi_i, spi_r;
    struct cph_span modes, groups, suites; /* HELLO_I; suites: SDES names with commas */
    uint8_t mode, group;                   /* HELLO_R */
    struct cph_span suite;
    struct cph_span nonce, id;
    struct cph_span body; /* PROOF_* */
};

/** CPH_E_TRUNCATED, CPH_E_TRAILING, CPH_E_MALFORMED; CPH_E_UNSUPPORTED for another version. */
CPH_MUST_CHECK cph_err v2_parse(struct cph_span bytes, struct v2_msg *out);
CPH_MUST_CHECK cph_err v2_build(const struct v2_msg *m, struct cph_wr *wr);

/* A message on its way in or out: too long to be kept. */
struct v2_text {
    size_t n;
    uint8_t b[V2_MSG_MAX];
};

struct v2_hello {
    size_t n;
    uint8_t b[V2_HELLO_MAX];
};

/* What we said in the second round trip, for as long as it may have to be said again. */
struct v2_said {
    size_t n;
    uint8_t b[];
};

enum v2_state {
    V2_NONE,
    V2_SAID_HELLO, /* initiator: HELLO_I is out */
    V2_AGREED,     /* HELLO_R came or went: the initiator's proof is next */
    V2_SAID_PROOF, /* initiator: PROOF_I is out */
    V2_DONE,
};

/* One run of the four messages. Holds key material, and owns what it points to (not the suite). */
struct v2_shake {
    enum v2_state state;
    bool we_began;
    uint64_t spi_i, spi_r;
    enum cph_mikey_mode mode;
    uint8_t group;
    const struct cph_srtp_suite *suite;
    struct v2_hello hello[2];  /* [0] the initiator's, [1] the responder's */
    struct v2_said *proof;     /* ours, or NULL */
    uint8_t heard[MIKEY_HASH]; /* SHA-256 of the peer's, once it was good */
    struct mikey_offer *offer; /* what made ours, while the peer's may come (V2_SAID_PROOF) */
};

/* What both rows have in common; the first member of each. */
struct v2 {
    struct cph_keying base;
    struct cph_keying_cfg cfg;
    struct cph_mikey *m;
    const struct cph_srtp_suite *suite[V2_SUITES + 1];
    struct v2_shake shake;
    struct mikey_csb csb;    /* of the last run that was done */
    uint64_t done_i, done_r; /* and its numbers */
    bool keyed;
    bool renew; /* wished for with the next offer or answer */
    struct cph_keying_status status;
    unsigned notes;
};

/* It is there once for each stream of a call. */
_Static_assert(sizeof(struct v2) <= V2_BYTES, "an instance is one bundle and two hellos");

/** Free what it owns, and wipe it. */
void v2_shake_wipe(struct v2_shake *s);
/** To go on from: a copy without what it owns. */
struct v2_shake v2_shake_next(const struct v2_shake *s);
/** *next is the run from now on; what the one before owned goes. *next is left empty. */
void v2_shake_put(struct v2 *k, struct v2_shake *next);
struct cph_span v2_hello(const struct v2_shake *s, unsigned whose);
/** Our proof, empty if there is none. */
struct cph_span v2_proof(const struct v2_shake *s);
/** Is it the peer's proof that was good, once more? */
bool v2_heard(const struct v2_shake *s, struct cph_span proof);
#define V2_SHAKE_SCOPED __attribute__((cleanup(v2_shake_wipe))) struct v2_shake

/* ---- core.c: the four steps. Each fills *s (a run of its own, or v2_shake_next() of the one under
 * way) and touches nothing else --------------------------------------------------------------- */

/** CPH_E_CONFIG without an identity of ours, or without a mode to offer. */
CPH_MUST_CHECK cph_err v2_begin(const struct v2 *k, struct v2_shake *s);
/** Read HELLO_I, choose, make HELLO_R. CPH_E_UNSUPPORTED: nothing in common; CPH_E_POLICY: it is
 * our own, or not from whom we talk to. */
CPH_MUST_CHECK cph_err v2_choose(const struct v2 *k, struct cph_span hello, struct v2_shake *s);
/** Read HELLO_R. CPH_E_POLICY for what was not offered. */
CPH_MUST_CHECK cph_err v2_agree(const struct v2 *k, struct cph_span hello, struct v2_shake *s);
/** Make PROOF_I. */
CPH_MUST_CHECK cph_err v2_prove(const struct v2 *k, struct v2_shake *s);
/** Read PROOF_I, make PROOF_R and the bundle. */
CPH_MUST_CHECK cph_err v2_respond(const struct v2 *k, struct cph_span proof, struct v2_shake *s,
                                  struct mikey_csb *csb);
/** Read PROOF_R: the bundle. *s comes of k's run, which has what our proof was made of. */
CPH_MUST_CHECK cph_err v2_verify(const struct v2 *k, struct cph_span proof, struct v2_shake *s,
                                 struct mikey_csb *csb);

/** The run is done: its keys count from now on. *s as in v2_shake_put(). */
void v2_commit(struct v2 *k, struct v2_shake *s, const struct mikey_csb *csb);

/* ---- the part of a row that does not depend on the way -------------------------------------- */

CPH_MUST_CHECK cph_err v2_open(struct v2 *k, const struct cph_keying_method *row,
                               const struct cph_keying_cfg *cfg);
void v2_close(struct v2 *k);
void v2_status(const struct cph_keying *k, struct cph_keying_status *out);
cph_err v2_keys(const struct cph_keying *k, enum cph_keying_component component,
                enum cph_keying_dir dir, unsigned i, struct cph_srtp_policy *out);
unsigned v2_hints(const struct cph_keying *k, struct cph_keying_hint *out, unsigned cap);
void v2_evidence(const struct cph_keying *k, struct cph_keying_evidence *out);
void v2_renew(struct cph_keying *k);

#endif

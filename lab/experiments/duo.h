/* Sessions that talk without any signalling protocol: whatever carries their descriptions. */
#ifndef CPH_LAB_DUO_H
#define CPH_LAB_DUO_H

#include "stage.h"

#include "ciphony/session.h"

struct lab_duo; /* up to six parties and the wire between them */

enum { LAB_PARTIES = 6, LAB_WIRE = 2048 };

struct lab_party_config {
    const char *keying;        /* a column */
    const char *policy;        /* name or list of a policy instead of the column's; or NULL */
    const char *const *suites; /* NULL: all */
    enum cph_security security;
    enum cph_keying_form form;        /* of offers, where RTP will do */
    enum lab_person who;              /* whose keys */
    enum lab_person peer;             /* whom it talks to */
    uint32_t ssrc;                    /* of what it will send; 0: it does not know yet */
    bool resume;                      /* it may be keyed by what the last call left behind */
    const struct cph_ekt_params *ekt; /* a set that it gives to whom it calls; NULL: none */
    bool takes_ekt;                   /* or takes from its caller */
    uint64_t draws; /* seed of its randomness: the same draws, the same keys of its own */
};

/** Alice calls Bob and demands keys; whoever is not Alice talks to her. */
enum { LAB_SSRC_CALLED = 0x11111111, LAB_SSRC_CALLER = 0x22222222 };
struct lab_party_config lab_party_usual(const char *keying, uint64_t seed, enum lab_person who);

CPH_MUST_CHECK cph_err lab_duo_new(struct lab_duo **out);
void lab_duo_free(struct lab_duo *d);
CPH_MUST_CHECK cph_err lab_duo_add(struct lab_duo *d, const struct lab_party_config *cfg,
                                   unsigned *party);
struct cph_session *lab_duo_session(struct lab_duo *d, unsigned party);
/** An offer alone, sealed where the column seals. */
CPH_MUST_CHECK cph_err lab_duo_offer(struct lab_duo *d, unsigned party);
/** a offers, each of b[n] answers (branches 1..n); the first is chosen. Keying runs to its end. */
CPH_MUST_CHECK cph_err lab_duo_connect(struct lab_duo *d, unsigned a, const unsigned *b, unsigned n,
                                       bool choose);
/** Another call of the same parties: new sessions, and all that they kept from the last one. */
CPH_MUST_CHECK cph_err lab_duo_again(struct lab_duo *d);
/** a offers once more, b answers, in the call that stands. */
CPH_MUST_CHECK cph_err lab_duo_reoffer(struct lab_duo *d, unsigned a, unsigned b);
/** What this party said last, an offer or an answer, before it was sealed. */
struct cph_span lab_duo_said(const struct lab_duo *d, unsigned party);
bool lab_duo_keyed(struct lab_duo *d, unsigned party);
/** Protect one packet; *n is 0 if the session refused. */
void lab_duo_protect(struct lab_duo *d, unsigned party, uint32_t ssrc, uint16_t seq,
                     const uint8_t payload[LAB_FRAME], uint8_t out[LAB_WIRE], size_t *n);
/** Give it to a party as coming from another; true if it gave a plain packet with this payload. */
bool lab_duo_take(struct lab_duo *d, unsigned party, unsigned from, const uint8_t *packet, size_t n,
                  const uint8_t payload[LAB_FRAME]);
/** Keying datagrams that went over the wire. */
unsigned lab_duo_datagrams(const struct lab_duo *d);

#endif

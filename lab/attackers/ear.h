/*
 * Who listens: programs that take a record of the network and whatever keys they can get hold of,
 * and try to hear what was said.
 */
#ifndef CPH_LAB_EAR_H
#define CPH_LAB_EAR_H

#include "mikey_read.h"
#include "speech.h"
#include "stage.h"
#include "trace.h"

struct lab_ear;

CPH_MUST_CHECK cph_err lab_ear_new(uint64_t seed, struct lab_ear **out);
void lab_ear_free(struct lab_ear *e);
/** Long-term keys of this person fall into his hands; before he reads. */
void lab_ear_steal(struct lab_ear *e, enum lab_person from);
/** Read a description as a proxy can: every key in an a=crypto line is tried from now on, and every
 * key of MIKEY that stands there in clear or that stolen ones open. Returns how many were found. */
unsigned lab_ear_read_sdp(struct lab_ear *e, struct cph_span sdp);
/** Every description in the SIP messages of the record. */
unsigned lab_ear_read_signalling(struct lab_ear *e, const struct lab_trace *t);
/** What was sealed to one of these keys, as far as it is a description; empty if nothing opens it.
 */
struct cph_span lab_unseal(const struct lab_loot *loot, struct cph_span body, uint8_t *out,
                           size_t cap);
/** Listen to the media of the record from packet number `from` on; also to what goes in clear. */
void lab_ear_listen(struct lab_ear *e, const struct lab_trace *t, size_t from);
/** The same, but only to what this host sends, and gets if and_gets. Once: what was tried is not
 * tried again. */
void lab_ear_listen_at(struct lab_ear *e, const struct lab_trace *t, size_t from, const char *ip,
                       bool and_gets);
const struct lab_heard *lab_ear_heard(const struct lab_ear *e);
uint64_t lab_heard_total(const struct lab_heard *h);

/*
 * Somebody who holds an offer and some long-term secrets, and does what the callee would do: a
 * forked or retargeted callee who was not answered, or a thief of keys after the call. A real
 * session answers the offer, and is given every packet that came from the offerer.
 */
struct lab_pretence {
    const struct lab_stage *stage;
    const char *keying;
    enum lab_person who; /* whose long-term keys are used */
    struct cph_span offer;
    const char *victim_ip; /* who sent the offer */
};
CPH_MUST_CHECK cph_err lab_pretend(const struct lab_pretence *p, struct lab_heard *heard);

#endif

/*
 * In the middle of sealed bodies (S/MIME): opens what was sealed to keys that he has, and seals
 * bodies of his own, to the one in the name of the other.
 */
#ifndef CPH_LAB_SEALER_H
#define CPH_LAB_SEALER_H

#include "people.h"

#include "ciphony/base_wire.h"
#include "ciphony/sip_msg.h"

struct lab_sealer;

enum { LAB_SEALED = 16384 }; /* bytes of a body of his */

/** keys: whose keys he uses towards who offers, and towards who answers. */
CPH_MUST_CHECK cph_err lab_sealer_new(const struct cph_env *env, const enum lab_person keys[2],
                                      struct lab_sealer **out);
void lab_sealer_free(struct lab_sealer *s); /* NULL is fine */
/** Is the body of this message a sealed one? */
bool lab_sealer_is(const struct cph_sip_msg *msg);
/** What this one (0: who offers) sent, if it was sealed to keys he has. The description lives until
 * the next call. Errors as of cph_smime_open(). */
CPH_MUST_CHECK cph_err lab_sealer_open(struct lab_sealer *s, unsigned from,
                                       const struct cph_sip_msg *msg, struct cph_span *sdp);
/** Seal a description of his to this one. */
CPH_MUST_CHECK cph_err lab_sealer_close(struct lab_sealer *s, unsigned to, struct cph_span sdp,
                                        struct cph_wr *out);

#endif

/*
 * The heart of a conference mixer: whoever has joined hears the sum of all others. It is the sound
 * of a terminal that holds several calls, each with keys of its own, so that it hears everybody in
 * clear and encrypts for each.
 */
#ifndef CPH_LAB_MIXER_H
#define CPH_LAB_MIXER_H

#include "net.h"

#include "ciphony/media.h"

struct lab_mixer;
enum { LAB_MIXER_LEGS = 8 };

CPH_MUST_CHECK cph_err lab_mixer_new(struct lab_net *net, struct lab_mixer **out);
/** After its terminal, before the network. NULL is fine. */
void lab_mixer_free(struct lab_mixer *m);
/** One more leg: source gives the others' sum, sink takes what this one says. They belong to the
 * caller, and the leg is over when either is freed. CPH_E_LIMIT. ctx: the mixer. */
CPH_MUST_CHECK cph_err lab_mixer_sound(void *ctx, uint32_t call, struct cph_media_source **source,
                                       struct cph_media_sink **sink);
unsigned lab_mixer_legs(const struct lab_mixer *m); /* now */
unsigned lab_mixer_most(const struct lab_mixer *m); /* ever at once */

#endif

/*
 * What is said in the lab: 20 ms frames of G.711 whose bytes name the speaker and the number of the
 * frame, so that whoever holds a frame can tell whose it is, and an attacker cannot claim one.
 */
#ifndef CPH_LAB_SPEECH_H
#define CPH_LAB_SPEECH_H

#include "net.h"

#include "ciphony/media.h"

enum { LAB_FRAME = 160, LAB_SPEAKERS = 8 };

/** Frame number i of a speaker, in the world of this seed. */
void lab_speech_frame(uint64_t seed, unsigned speaker, uint32_t i, uint8_t out[LAB_FRAME]);
/** Is this payload such a frame? */
bool lab_speech_is(uint64_t seed, struct cph_span payload, unsigned *speaker, uint32_t *i);

/** G.711 mu-law: what a byte stands for, and the byte that stands for exactly this; 0x7f, which is
 * never said, if there is none. */
int16_t lab_ulaw_pcm(uint8_t u);
uint8_t lab_pcm_ulaw(int16_t v);

/* What one speaker said, or one listener heard, of each speaker. */
struct lab_heard {
    uint64_t frames[LAB_SPEAKERS]; /* different ones */
    uint32_t first[LAB_SPEAKERS], last[LAB_SPEAKERS];
    cph_time first_at[LAB_SPEAKERS], last_at[LAB_SPEAKERS];
};
void lab_heard_add(struct lab_heard *h, unsigned speaker, uint32_t i, cph_time now);

/** Speaks from frame 0; counts in *said (may be NULL). */
CPH_MUST_CHECK cph_err lab_speech_source(struct lab_net *net, uint64_t seed, unsigned speaker,
                                         struct lab_heard *said, struct cph_media_source **out);
/** Listens, and counts in *heard, which must outlive it. */
CPH_MUST_CHECK cph_err lab_speech_sink(struct lab_net *net, uint64_t seed, struct lab_heard *heard,
                                       struct cph_media_sink **out);

#endif

/*
 * Two recorders. One is told: a session of its own brings it what was decrypted, as in RFC 7866 the
 * recording server gets it from a client that takes part in the call. The other one only stands at
 * the wire and keeps what passes.
 */
#ifndef CPH_LAB_RECORDER_H
#define CPH_LAB_RECORDER_H

#include "speech.h"
#include "trace.h"

#include "ciphony/media.h"

struct lab_recorder {
    struct lab_net *net;
    uint64_t seed;
    struct lab_heard heard; /* what it understands of its record */
    uint64_t packets;       /* of media, at the wire */
};

/** Listens and says nothing; ctx: the recorder, which must outlive the call. */
CPH_MUST_CHECK cph_err lab_recorder_sound(void *ctx, uint32_t call,
                                          struct cph_media_source **source,
                                          struct cph_media_sink **sink);
/** At the wire, as the filter of a stage: everything passes. */
bool lab_recorder_pass(void *ctx, const struct lab_packet *p);

#endif

/* Ciphony: SSM, the interface between the security manager and whatever moves media packets. */
#ifndef CPH_SESSION_SSM_H
#define CPH_SESSION_SSM_H

#include "ciphony/base.h"

enum cph_ssm_component { CPH_SSM_RTP, CPH_SSM_RTCP };

/*
 * Two calls on packets, in place. stream is the number of the media line. p holds *n bytes of cap;
 * on CPH_OK *n is the new length. CPH_E_NOKEY: no keys yet; CPH_E_POLICY: media is not allowed to
 * go; the errors of SRTP. A session gives one of these (session.h); a media controller needs
 * nothing else of it.
 */
struct cph_ssm {
    void *ctx;
    cph_err (*encrypt)(void *ctx, unsigned stream, enum cph_ssm_component c, uint8_t *p, size_t *n,
                       size_t cap, cph_time now);
    cph_err (*decrypt)(void *ctx, unsigned stream, enum cph_ssm_component c, uint8_t *p, size_t *n,
                       cph_time now);
};

#endif

#include "ciphony/rtp.h"

cph_err cph_rtp_identity_init(struct cph_rtp_identity *id, const struct cph_env *env,
                              uint32_t avoid)
{
    uint32_t ssrc;

    CPH_TRY(cph_random(env, &ssrc, sizeof ssrc));
    if (ssrc == avoid || ssrc == 0) /* 0 is how we say "nobody" */
        ssrc = avoid + 1 == 0 ? 1 : avoid + 1;
    *id = (struct cph_rtp_identity){ .ssrc = ssrc };
    return CPH_OK;
}

cph_err cph_rtp_identity_meet(struct cph_rtp_identity *id, const struct cph_env *env,
                              uint32_t heard)
{
    struct cph_rtp_identity moved;

    if (heard != id->ssrc)
        return CPH_OK;
    /* RFC 3550 8.2: whoever follows each of our changes is an echo of ourselves */
    if (id->collisions >= CPH_RTP_COLLISIONS)
        return CPH_E_LIMIT;
    CPH_TRY(cph_rtp_identity_init(&moved, env, heard));
    moved.old = id->ssrc;
    moved.collisions = id->collisions + 1;
    *id = moved;
    return CPH_E_EXISTS;
}

/* The inside of a meddler: what his half in the server (meddler_server.c) and that on the media
 * path (meddler.c) share. */
#ifndef CPH_LAB_MEDDLER_INT_H
#define CPH_LAB_MEDDLER_INT_H

#include "meddler.h"
#include "sealer.h"

#include "ciphony/session.h"
#include "ciphony/srtp.h"

enum { VICTIMS = 2 }; /* 0: who offers, 1: who answers */

struct victim {
    struct cph_session *session;
    struct lab_kit *kit;
    struct cph_addr local[2]; /* our ports towards him */
    struct cph_addr him, us;  /* his media address, and the one he takes for the other's */
    bool known;
    uint8_t answer[CPH_SESSION_SDP];
    size_t answer_n;
    bool keyed;
};

struct lab_meddler {
    enum lab_meddling how;
    const char *keying;
    uint64_t seed;
    struct lab_stage *stage;
    struct lab_node *node;
    struct cph_srtp_engine *srtp;
    struct victim victim[VICTIMS];
    struct lab_meddler_feat feat;
    bool as_secure; /* his own offers have the profile of theirs */
    struct lab_sealer *sealer;
    bool old_zid;
    uint8_t offer[CPH_SESSION_SDP], old[CPH_SESSION_SDP]; /* the last offer, and answer before he
                                                             began, as they went by */
    size_t offer_n, old_n;
    bool middle; /* the media comes to his ports, since his are the addresses in the descriptions */
};

static inline bool lab_meddler_only_media(const struct lab_meddler *m)
{
    return m->how == LAB_MEDDLE_MEDIA || m->how == LAB_MEDDLE_ROLES;
}

static inline bool lab_meddler_in_both(const struct lab_meddler *m)
{
    return m->how == LAB_MEDDLE_BOTH || m->how == LAB_MEDDLE_INVITED;
}

/** A description passes through the server. */
enum lab_proxy_body lab_meddler_sdp(void *ctx, const struct cph_sip_msg *msg,
                                    const struct cph_addr *from, struct cph_span sdp,
                                    struct cph_wr *out);
/** What his sessions want done now: packets sent, packets passed on, the next time set. */
void lab_meddler_turn(struct lab_meddler *m);

#endif

#include "ciphony/rtp.h"

/*
 * RFC 7983 7 sorts by the first byte, RFC 5761 4 by the second: RTCP types are 192..223, since the
 * payload types 64..95 (which would look like them) must not be used beside them.
 */
enum cph_rtp_class cph_rtp_classify(struct cph_span datagram)
{
    uint8_t first;

    if (datagram.n < 2)
        return CPH_RTP_CLASS_UNKNOWN;
    first = datagram.p[0];
    if (first <= 3)
        return CPH_RTP_CLASS_STUN;
    if (first >= 16 && first <= 19)
        return CPH_RTP_CLASS_ZRTP;
    if (first >= 20 && first <= 63)
        return CPH_RTP_CLASS_DTLS;
    if (first >= 64 && first <= 79)
        return CPH_RTP_CLASS_TURN;
    if (first < 128 || first > 191)
        return CPH_RTP_CLASS_UNKNOWN;
    return datagram.p[1] >= 192 && datagram.p[1] <= 223 ? CPH_RTP_CLASS_RTCP : CPH_RTP_CLASS_RTP;
}

#include "ciphony/session_policy.h"

#include <string.h>

struct cph_policy cph_policy_choose(const struct cph_policy *account, const struct cph_policy *call)
{
    static const struct cph_policy strictest;
    struct cph_policy p = account ? *account : strictest;

    if (!call)
        return p;
    if (call->media != CPH_SECURITY_UNSET)
        p.media = call->media;
    if (call->keying_n > 0) {
        memcpy(p.keying, call->keying, sizeof p.keying);
        p.keying_n = call->keying_n;
    }
    if (call->early_packets > 0)
        p.early_packets = call->early_packets;
    if (call->early_ms > 0)
        p.early_ms = call->early_ms;
    /* A call may ask for more than its account, never for less, by what a zero would mean. */
    if (call->need > p.need)
        p.need = call->need;
    p.no_authorities |= call->no_authorities;
    p.challenge |= call->challenge;
    p.cover_body |= call->cover_body;
    return p;
}

enum cph_security cph_policy_media(const struct cph_policy *p)
{
    if (p->media == CPH_SECURITY_PREFER || p->media == CPH_SECURITY_NONE)
        return p->media;
    return CPH_SECURITY_REQUIRED;
}

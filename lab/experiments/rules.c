/* The requirements of draft-wing-media-security-requirements-05 4, each judged by experiments. */
#include <string.h>

#include "matrix.h"

static bool is(const struct lab_results *r, unsigned k, const char *experiment, const char *answer)
{
    const struct lab_outcome *o = lab_results_of(r, experiment, k);

    return o && strcmp(o->answer, answer) == 0;
}

static enum lab_holds holds(bool yes)
{
    return yes ? LAB_HOLDS : LAB_FAILS;
}

static double value(const struct lab_results *r, unsigned k, const char *experiment,
                    const char *name)
{
    const struct lab_outcome *o = lab_results_of(r, experiment, k);

    return o ? lab_value_of(o, name) : -1;
}

static enum lab_holds r1(const struct lab_results *r, unsigned k)
{
    return holds(!is(r, k, "forking", "call fails") &&
                 value(r, k, "retargeting", "works for another user") > 0 &&
                 is(r, k, "early-dialog", "works"));
}
static enum lab_holds r2(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "mixed-fork", "yes"));
}
static enum lab_holds r3(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "forking", "yes"));
}
static enum lab_holds r4(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "resumption", "yes") || is(r, k, "resumption", "not needed"));
}
static enum lab_holds r5(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "clipping", "not clipped"));
}
static enum lab_holds r6(const struct lab_results *r, unsigned k)
{
    return holds(value(r, k, "class", "listening to media alone") == 0);
}
static enum lab_holds r7(const struct lab_results *r, unsigned k)
{
    return holds(value(r, k, "class", "listening") == 0);
}
static enum lab_holds r8(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "forward-secrecy", "yes"));
}
static enum lab_holds r9(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "offer-cost", "none") || is(r, k, "offer-cost", "constant"));
}
static enum lab_holds r10(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "rtp-validity", "none sent") || is(r, k, "rtp-validity", "none pass"));
}
static enum lab_holds r12(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "pki", "not needed"));
}
static enum lab_holds r13(const struct lab_results *r, unsigned k)
{
    double all = value(r, k, "agility", "suites"), aes = value(r, k, "agility", "of them AES");

    return holds(all > 0 && all == aes);
}
static enum lab_holds r14(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "association", "yes"));
}
static enum lab_holds r15(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "upgrade", "yes"));
}
static enum lab_holds r16(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "amplification", "none") || is(r, k, "amplification", "no gain"));
}
static enum lab_holds r17(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "media-only", "yes") && value(r, k, "class", "listening") == 0 &&
                 value(r, k, "class", "in the server") == 0);
}
static enum lab_holds r18(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "shared-authority", "yes"));
}
static enum lab_holds r19(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "agility", "yes"));
}
static enum lab_holds r20(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "downgrade", "yes"));
}
static enum lab_holds r22(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "no-sip", "yes"));
}
static enum lab_holds r23(const struct lab_results *r, unsigned k)
{
    return holds(value(r, k, "intermediary", "recorded, with users' keys") > 0);
}
/* What the phones notice, the interceptor cannot hide: against R17 and R20, and we side with them.
 */
static enum lab_holds r24(const struct lab_results *r, unsigned k)
{
    if (is(r, k, "intermediary", "unless pinned") || is(r, k, "intermediary", "kept out"))
        return LAB_CONFLICT;
    return holds(is(r, k, "intermediary", "hidden"));
}
static enum lab_holds r25(const struct lab_results *r, unsigned k)
{
    return holds(value(r, k, "intermediary", "recorded, with users' keys") > 0 &&
                 is(r, k, "b2bua", "works"));
}
static enum lab_holds r26(const struct lab_results *r, unsigned k)
{
    return holds(is(r, k, "gateway", "yes"));
}

const struct lab_rule lab_rules[LAB_RULES] = {
    { "R1", "keying does not fail forked and retargeted calls",
      "forking, retargeting, early-dialog", r1 },
    { "R2", "targets without SRTP do not break a fork", "mixed-fork", r2 },
    { "R3", "forked targets do not know each other's keys", "forking", r3 },
    { "R4", "an earlier context can be used again", "resumption", r4 },
    { "R5", "no clipping before the SDP answer", "clipping", r5 },
    { "R6", "safe from listening on the media path", "class", r6 },
    { "R7", "safe from a listening SIP proxy", "class", r7 },
    { "R8", "perfect forward secrecy", "forward-secrecy", r8 },
    { "R9", "an offer costs no computing for each algorithm", "offer-cost", r9 },
    { "R10", "keying packets cannot be taken for RTP", "rtp-validity", r10 },
    { "R11", "sessions can be resumed cheaply", "resumption", r4 },
    { "R12", "no third party has to sign certificates", "pki", r12 },
    { "R13", "algorithms that allow FIPS 140-2", "agility", r13 },
    { "R14", "signalling and media can be associated", "association", r14 },
    { "R15", "start with RTP, then upgrade to SRTP", "upgrade", r15 },
    { "R16", "no new denial of service", "amplification", r16 },
    { "R17", "an attacker needs both the media and the signalling path", "class, media-only", r17 },
    { "R18", "a shared certificate authority can be used", "shared-authority", r18 },
    { "R19", "crypto-agility", "agility", r19 },
    { "R20", "cipher suite negotiation safe from downgrade", "downgrade", r20 },
    { "R21", "parameters for each session", "agility", r19 },
    { "R22", "works between signalling protocols", "no-sip", r22 },
    { "R23", "decrypted media can be recorded", "intermediary", r23 },
    { "R24", "users cannot tell lawful interception", "intermediary", r24 },
    { "R25", "works with intermediaries that process media", "intermediary, b2bua", r25 },
    { "R26", "ends at a PSTN gateway, and says so", "gateway", r26 },
};

const char *lab_holds_word(enum lab_holds h)
{
    switch (h) {
    case LAB_HOLDS:
        return "holds";
    case LAB_FAILS:
        return "FAILS";
    case LAB_CONFLICT:
        return "conflict";
    case LAB_NOT_TRIED:
        return "not tried";
    }
    return "?";
}

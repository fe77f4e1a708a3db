/* The requirements of draft-wing-media-security-requirements-05 4, each judged by experiments. */
#include <string.h>

#include "matrix.h"

static bool is(const struct lab_view *v, const char *experiment, const char *answer)
{
    const struct lab_outcome *o = lab_results_of(v->results, experiment, v->keying);

    return o && strcmp(v->mode < o->modes ? o->mode[v->mode].answer : o->answer, answer) == 0;
}

static enum lab_holds holds(bool yes)
{
    return yes ? LAB_HOLDS : LAB_FAILS;
}

static double value(const struct lab_view *v, const char *experiment, const char *name)
{
    const struct lab_outcome *o = lab_results_of(v->results, experiment, v->keying);

    return o ? lab_value_of(o, name) : -1;
}

static enum lab_holds r1(const struct lab_view *v)
{
    if (is(v, "forking", "call fails") || !is(v, "early-dialog", "works"))
        return LAB_FAILS;
    if (is(v, "forwarding", "only to who was called"))
        return LAB_EXCEPTED; /* "unless the authentication leads to a failure" */
    return holds(is(v, "forwarding", "yes"));
}
static enum lab_holds r2(const struct lab_view *v)
{
    return holds(is(v, "mixed-fork", "yes"));
}
static enum lab_holds r3(const struct lab_view *v)
{
    return holds(is(v, "forking", "yes"));
}
static enum lab_holds r4(const struct lab_view *v)
{
    return holds(is(v, "resumption", "yes") || is(v, "resumption", "not needed"));
}
static enum lab_holds r5(const struct lab_view *v)
{
    return holds(is(v, "clipping", "not clipped"));
}
static enum lab_holds r6(const struct lab_view *v)
{
    return holds(value(v, "class", "listening to media alone") == 0);
}
static enum lab_holds r7(const struct lab_view *v)
{
    return holds(value(v, "class", "listening") == 0);
}
static enum lab_holds r8(const struct lab_view *v)
{
    return holds(is(v, "forward-secrecy", "yes"));
}
static enum lab_holds r9(const struct lab_view *v)
{
    return holds(is(v, "offer-cost", "none") || is(v, "offer-cost", "constant"));
}
static enum lab_holds r10(const struct lab_view *v)
{
    return holds(is(v, "rtp-validity", "none sent") || is(v, "rtp-validity", "none pass"));
}
static enum lab_holds r12(const struct lab_view *v)
{
    return holds(is(v, "pki", "not needed"));
}
static enum lab_holds r13(const struct lab_view *v)
{
    double all = value(v, "agility", "suites"), aes = value(v, "agility", "of them AES");

    return holds(all > 0 && all == aes);
}
static enum lab_holds r14(const struct lab_view *v)
{
    return holds(is(v, "association", "yes"));
}
static enum lab_holds r15(const struct lab_view *v)
{
    return holds(is(v, "upgrade", "yes"));
}
static enum lab_holds r16(const struct lab_view *v)
{
    return holds(is(v, "amplification", "none") || is(v, "amplification", "no gain"));
}
static enum lab_holds r17(const struct lab_view *v)
{
    return holds(is(v, "media-only", "yes") && value(v, "class", "listening") == 0 &&
                 value(v, "class", "in the server") == 0);
}
static enum lab_holds r18(const struct lab_view *v)
{
    return holds(is(v, "shared-authority", "yes"));
}
static enum lab_holds r19(const struct lab_view *v)
{
    return holds(is(v, "agility", "yes"));
}
static enum lab_holds r20(const struct lab_view *v)
{
    return holds(is(v, "downgrade", "yes"));
}
static enum lab_holds r22(const struct lab_view *v)
{
    return holds(is(v, "no-sip", "yes"));
}
static enum lab_holds r23(const struct lab_view *v)
{
    return holds(value(v, "intermediary", "recorded, with users' keys") > 0);
}
/* What the phones notice, the interceptor cannot hide: against R17 and R20, and we side with them.
 */
static enum lab_holds r24(const struct lab_view *v)
{
    if (is(v, "intermediary", "unless pinned") || is(v, "intermediary", "kept out"))
        return LAB_CONFLICT;
    return holds(is(v, "intermediary", "hidden"));
}
static enum lab_holds r25(const struct lab_view *v)
{
    return holds(value(v, "intermediary", "recorded, with users' keys") > 0 &&
                 is(v, "b2bua", "works"));
}
static enum lab_holds r26(const struct lab_view *v)
{
    return holds(is(v, "gateway", "yes"));
}

const struct lab_rule lab_rules[LAB_RULES] = {
    { "R1", "keying does not fail forked and retargeted calls", "forking, forwarding, early-dialog",
      r1 },
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

enum lab_holds lab_rule_judge(const struct lab_rule *rule, const struct lab_results *r,
                              unsigned keying)
{
    struct lab_view v = { r, keying, 0 };
    enum lab_holds first = rule->judge(&v);

    for (v.mode = 1; v.mode < LAB_MODES; v.mode++)
        if (rule->judge(&v) != first)
            return LAB_DEPENDS;
    return first;
}

const char *lab_holds_word(enum lab_holds h)
{
    switch (h) {
    case LAB_HOLDS:
        return "holds";
    case LAB_FAILS:
        return "FAILS";
    case LAB_CONFLICT:
        return "conflict";
    case LAB_EXCEPTED:
        return "refuses";
    case LAB_DEPENDS:
        return "depends";
    case LAB_NOT_TRIED:
        return "not tried";
    }
    return "?";
}

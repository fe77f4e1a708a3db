#include "ciphony/rtp.h"

enum {
    RTCP_PERCENT = 5,      /* RFC 3550 6.2 RECOMMENDED share of the session bandwidth */
    LOWER_LAYERS = 28,     /* IPv4 and UDP; RFC 3550 6.2 counts them */
    FIRST_SIZE = 100,      /* a guess until something was sent: SR with a block and a CNAME */
    TIMEOUT_INTERVALS = 5, /* RFC 3550 6.3.5 */
    SENDER_INTERVALS = 2,  /* RFC 3550 6.3.5: a sender is one who sent within the last two */
};

static const cph_time tmin = 5000000; /* RFC 3550 6.2 */

/*
 * Of two members, one sender is more than a quarter of the membership, so that senders and
 * receivers share the bandwidth alike (6.3.1 step 1) unless nobody sends; then the receivers have
 * 75 %.
 */
cph_time cph_rtcp_clock_td(const struct cph_rtcp_clock *c)
{
    uint64_t members = c->peer_known ? 2 : 1;
    bool anyone = c->we_sent || c->peer_sent;
    uint64_t bandwidth = anyone ? c->bandwidth : c->bandwidth - c->bandwidth / 4;
    cph_time td = (cph_time)(members * c->avg_size16 * 1000000 / 16 / (bandwidth ? bandwidth : 1));
    cph_time least = c->initial ? tmin / 2 : tmin;

    return td < least ? least : td;
}

static cph_err draw(struct cph_rtcp_clock *c, const struct cph_env *env, cph_time now)
{
    uint32_t r;

    CPH_TRY(cph_random(env, &r, sizeof r));
    /* RFC 3550 6.3.1 step 4: 0.5 to 1.5 times Td. Step 5 compensates reconsideration, which 6.3
     * lets two parties omit, and so we omit both. */
    c->interval = cph_rtcp_clock_td(c);
    c->interval = c->interval / 2 + (cph_time)(((uint64_t)c->interval * r) >> 32);
    c->next = now + c->interval;
    return CPH_OK;
}

cph_err cph_rtcp_clock_start(struct cph_rtcp_clock *c, const struct cph_env *env,
                             uint32_t session_bps, cph_time now)
{
    *c = (struct cph_rtcp_clock){
        .bandwidth = session_bps / 8 * RTCP_PERCENT / 100,
        .avg_size16 = 16 * (FIRST_SIZE + LOWER_LAYERS),
        .initial = true,
        .next = CPH_TIME_NEVER,
        .peer_heard_at = now,
    };
    return draw(c, env, now);
}

static void average(struct cph_rtcp_clock *c, size_t n)
{
    /* RFC 3550 6.3.3: avg = size / 16 + avg * 15 / 16; here both times 16 */
    uint32_t size = (uint32_t)(n < 65536 ? n : 65535) + LOWER_LAYERS;

    c->avg_size16 += size - c->avg_size16 / 16;
}

void cph_rtcp_clock_rtp_sent(struct cph_rtcp_clock *c, cph_time now)
{
    c->we_sent = true;
    c->we_sent_at = now;
}

void cph_rtcp_clock_rtp_heard(struct cph_rtcp_clock *c, cph_time now)
{
    c->peer_known = true;
    c->peer_sent = true;
    c->peer_sent_at = now;
    c->peer_heard_at = now;
}

void cph_rtcp_clock_rtcp_heard(struct cph_rtcp_clock *c, size_t n, cph_time now)
{
    c->peer_known = true;
    c->peer_heard_at = now;
    average(c, n);
}

void cph_rtcp_clock_bye_heard(struct cph_rtcp_clock *c)
{
    c->peer_known = false;
    c->peer_sent = false;
}

cph_err cph_rtcp_clock_sent(struct cph_rtcp_clock *c, const struct cph_env *env, size_t n,
                            cph_time now)
{
    cph_time two = SENDER_INTERVALS * c->interval;

    average(c, n);
    c->initial = false;
    /* RFC 3550 6.3.5 MUST: look for silent members at least once an interval */
    if (now - c->we_sent_at > two)
        c->we_sent = false;
    if (now - c->peer_sent_at > two)
        c->peer_sent = false;
    return draw(c, env, now);
}

bool cph_rtcp_clock_peer_lost(const struct cph_rtcp_clock *c, cph_time now)
{
    return now - c->peer_heard_at > TIMEOUT_INTERVALS * cph_rtcp_clock_td(c);
}

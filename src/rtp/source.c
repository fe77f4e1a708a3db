#include "ciphony/rtp.h"

enum {                     /* RFC 3550 A.1, typical values for 50 packets a second */
       MAX_DROPOUT = 3000, /* a minute */
       MAX_MISORDER = 100, /* two seconds */
       SEQ_MOD = 1 << 16,
       LOST_MAX = 0x7fffff, /* 24 bits, signed; A.3 */
       LOST_MIN = -0x800000,
};

static const uint64_t ntp_unix = 2208988800U; /* 1900 to 1970, seconds */

static void begin(struct cph_rtp_source *s, uint16_t seq)
{
    s->base_seq = seq;
    s->max_seq = seq;
    s->bad_seq = SEQ_MOD + 1; /* no sequence number equals it */
    s->cycles = 0;
    s->received = 0;
    s->received_prior = 0;
    s->expected_prior = 0;
}

void cph_rtp_source_init(struct cph_rtp_source *s, uint32_t ssrc, uint16_t first_seq,
                         unsigned probation)
{
    *s = (struct cph_rtp_source){ .ssrc = ssrc, .probation = probation };
    begin(s, first_seq);
    s->max_seq = (uint16_t)(first_seq - 1);
    s->cycles = first_seq == 0 ? (uint32_t)-SEQ_MOD : 0; /* the first packet then turns it to 0 */
}

static bool on_probation(struct cph_rtp_source *s, uint16_t seq)
{
    bool next = seq == (uint16_t)(s->max_seq + 1);

    s->max_seq = seq;
    s->probation = next ? s->probation - 1 : 1;
    if (s->probation > 0)
        return false;
    begin(s, seq);
    return true;
}

bool cph_rtp_source_update(struct cph_rtp_source *s, uint16_t seq, size_t payload_n)
{
    uint16_t ahead = (uint16_t)(seq - s->max_seq);

    if (s->probation > 0) {
        if (!on_probation(s, seq))
            return false;
    } else if (ahead < MAX_DROPOUT) {
        if (seq < s->max_seq)
            s->cycles += SEQ_MOD;
        s->max_seq = seq;
    } else if (ahead <= SEQ_MOD - MAX_MISORDER) {
        /* a jump: believed when the next one follows on it, as after a restart of the other side */
        if (seq != s->bad_seq) {
            s->bad_seq = (uint16_t)(seq + 1);
            return false;
        }
        begin(s, seq);
    }
    s->received++;
    s->octets += payload_n;
    return true;
}

void cph_rtp_source_arrival(struct cph_rtp_source *s, uint32_t ts, uint32_t arrival)
{
    uint32_t transit = arrival - ts, d = transit - s->transit;

    if (d & 0x80000000U)
        d = 0 - d;
    if (s->has_transit) {
        /* RFC 3550 A.8, the integer form: J += (|D| - J) / 16, kept times 16. A step of the clock
         * must not drown the figure for minutes. */
        if (d > 0x07ffffff)
            d = 0;
        s->jitter16 += d - ((s->jitter16 + 8) >> 4);
    }
    s->transit = transit;
    s->has_transit = true;
}

uint32_t cph_rtp_units(cph_time t, uint32_t rate)
{
    uint64_t us = (uint64_t)t, sec = us / 1000000, part = us % 1000000;

    return (uint32_t)(sec * rate + part * rate / 1000000);
}

void cph_rtp_source_sr(struct cph_rtp_source *s, uint64_t ntp, cph_time now)
{
    s->lsr = (uint32_t)(ntp >> 16);
    s->lsr_at = now;
}

uint32_t cph_rtp_source_expected(const struct cph_rtp_source *s)
{
    return s->probation > 0 ? 0 : s->cycles + s->max_seq - s->base_seq + 1;
}

int32_t cph_rtp_source_lost(const struct cph_rtp_source *s)
{
    int64_t lost = (int64_t)cph_rtp_source_expected(s) - s->received;

    if (lost > LOST_MAX)
        return LOST_MAX;
    return lost < LOST_MIN ? LOST_MIN : (int32_t)lost;
}

static uint8_t fraction_lost(struct cph_rtp_source *s)
{
    uint32_t expected = cph_rtp_source_expected(s);
    uint32_t expected_interval = expected - s->expected_prior;
    uint32_t received_interval = s->received - s->received_prior;
    uint64_t fraction;

    s->expected_prior = expected;
    s->received_prior = s->received;
    if (expected_interval == 0 || received_interval >= expected_interval)
        return 0;
    fraction = ((uint64_t)(expected_interval - received_interval) << 8) / expected_interval;
    return fraction > 255 ? 255 : (uint8_t)fraction;
}

static uint32_t since_lsr(const struct cph_rtp_source *s, cph_time now)
{
    /* RFC 3550 6.4.1: both are zero when there was no SR yet */
    if (s->lsr == 0 || now < s->lsr_at)
        return 0;
    return cph_rtp_units(now - s->lsr_at, 65536);
}

void cph_rtp_source_report(struct cph_rtp_source *s, cph_time now, struct cph_rtcp_block *out)
{
    *out = (struct cph_rtcp_block){
        .ssrc = s->ssrc,
        .fraction_lost = fraction_lost(s),
        .lost = cph_rtp_source_lost(s),
        .highest_seq = s->cycles + s->max_seq,
        .jitter = s->jitter16 >> 4,
        .lsr = s->lsr,
        .dlsr = since_lsr(s, now),
    };
}

uint64_t cph_rtp_ntp(int64_t wall, cph_time us_more)
{
    uint64_t us = (uint64_t)us_more;
    uint64_t sec = (uint64_t)wall + ntp_unix + us / 1000000;

    return sec << 32 | ((us % 1000000) << 32) / 1000000;
}

cph_err cph_rtp_round_trip(const struct cph_rtcp_block *about_us, uint64_t ntp, cph_time *out)
{
    uint32_t units = (uint32_t)(ntp >> 16) - about_us->lsr - about_us->dlsr;

    if (about_us->lsr == 0)
        return CPH_E_AGAIN;
    /* clocks of 1/65536 s may disagree by a unit on a fast path; more than that is not a time */
    if (units & 0x80000000U) {
        if (0 - units > 64)
            return CPH_E_MALFORMED;
        units = 0;
    }
    *out = (cph_time)((uint64_t)units * 1000000 / 65536);
    return CPH_OK;
}

/*
 * RFC 3830 5.4: MIKEY proves that a message is fresh by its timestamp. What was authentic and lies
 * within the skew is remembered; what is older is refused. When the room is full the skew shrinks:
 * the oldest is forgotten, and with it everything before it is refused.
 */
#include "mikey_int.h"

#include <stdlib.h>
#include <string.h>

#include "ciphony/crypto_cipher.h"

static const uint64_t ntp_1970 = 2208988800; /* seconds from 1900 to 1970 */

uint64_t mikey_ntp(int64_t wall)
{
    uint64_t s = (uint64_t)wall + ntp_1970;

    return s << 32; /* 4.2.8 MUST: the seconds overflow every 136 years; differences do not mind */
}

/* a - b, right over an overflow. */
static int64_t since(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

cph_err mikey_replay_open(struct mikey_replay *r, unsigned cap, unsigned skew_s, uint64_t now)
{
    memset(r, 0, sizeof *r);
    r->seen = calloc(cap, sizeof *r->seen);
    if (!r->seen)
        return CPH_E_NOMEM;
    r->cap = cap;
    r->skew = (uint64_t)skew_s << 32;
    /* 5.4: what we had seen in an earlier life we do not know, so all of that time is refused */
    r->floor = now - 1;
    return CPH_OK;
}

void mikey_replay_close(struct mikey_replay *r)
{
    free(r->seen);
    memset(r, 0, sizeof *r);
}

cph_err mikey_mark_of(struct cph_span msg, uint8_t ts_type, uint64_t ts, struct cph_span peer,
                      struct mikey_mark *out)
{
    out->ts_type = ts_type;
    out->ts = ts;
    CPH_TRY(cph_digest(CPH_DIGEST_SHA256, msg, out->hash));
    return cph_digest(CPH_DIGEST_SHA256, peer, out->peer);
}

static struct mikey_counter *counter_of(const struct mikey_replay *r, const struct mikey_mark *mark)
{
    for (unsigned i = 0; i < r->n_counters; i++) /* the hash of a name: public */
        if (memcmp(r->counter[i].peer, mark->peer, MIKEY_HASH) == 0)
            return (struct mikey_counter *)&r->counter[i];
    return NULL;
}

cph_err mikey_replay_check(const struct mikey_replay *r, const struct mikey_mark *mark,
                           uint64_t now)
{
    const struct mikey_counter *c;

    if (mark->ts_type == MIKEY_TS_COUNTER) {
        c = counter_of(r, mark);
        return c && mark->ts <= c->last ? CPH_E_REPLAY : CPH_OK;
    }
    if (since(mark->ts, now) > (int64_t)r->skew || since(now, mark->ts) > (int64_t)r->skew)
        return CPH_E_EXPIRED;
    if (since(mark->ts, r->floor) <= 0)
        return CPH_E_REPLAY;
    for (unsigned i = 0; i < r->n; i++) /* the hash of a message: public */
        if (r->seen[i].ts == mark->ts && memcmp(r->seen[i].hash, mark->hash, MIKEY_HASH) == 0)
            return CPH_E_REPLAY;
    return CPH_OK;
}

/* Room for one: first what is outside of the skew now, then the oldest. */
static struct mikey_seen *room(struct mikey_replay *r, uint64_t now)
{
    struct mikey_seen *oldest = &r->seen[0];

    if (r->n < r->cap)
        return &r->seen[r->n++];
    for (unsigned i = 1; i < r->n; i++)
        if (since(r->seen[i].ts, oldest->ts) < 0)
            oldest = &r->seen[i];
    if (since(now, oldest->ts) <= (int64_t)r->skew && since(oldest->ts, r->floor) > 0)
        r->floor = oldest->ts;
    return oldest;
}

cph_err mikey_replay_add(struct mikey_replay *r, const struct mikey_mark *mark, uint64_t now)
{
    struct mikey_counter *c;
    struct mikey_seen *s;

    if (mark->ts_type == MIKEY_TS_COUNTER) {
        c = counter_of(r, mark);
        if (!c && r->n_counters == MIKEY_COUNTERS)
            return CPH_E_LIMIT;
        if (!c) {
            c = &r->counter[r->n_counters++];
            memcpy(c->peer, mark->peer, MIKEY_HASH);
        }
        c->last = (uint32_t)mark->ts;
        return CPH_OK;
    }
    s = room(r, now);
    s->ts = mark->ts;
    memcpy(s->hash, mark->hash, MIKEY_HASH);
    return CPH_OK;
}

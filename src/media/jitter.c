/*
 * The jitter buffer. It keeps packets in order of their sequence numbers and says every 20 ms what
 * to play. Delay is counted against the fastest packet of the last ten seconds: a packet that took
 * as long as that one and is played at once has delay 0. The target is what the slowest of the same
 * ten seconds needed and a little more; both follow a sender whose clock runs fast or slow.
 *
 * What came before there were keys (media before the answer) is all there when playing begins: it
 * is played from its beginning, and the delay is caught up with.
 *
 * An empty buffer never loses anything: something is made up, the place stays, and the delay has
 * grown. A packet is given up only when it is overdue and a successor is here.
 */
#include <stdlib.h>
#include <string.h>

#include "media_int.h"

enum {
    BUCKETS = 10,        /* of one second each */
    HISTORY = 64,        /* sequence numbers remembered to tell duplicate from late */
    FIRST_MS = 40,       /* delay assumed to be needed until ten seconds were measured */
    MARGIN_MS = 5,       /* for our own scheduling */
    JUMP_MS = 1000,      /* a shift of the time line, not a delay */
    SHRINK_MS = 30,      /* that much over the target is too much ... */
    SHRINK_NOW_MS = 100, /* ... and this is not waited out for a quiet place */
    PATIENCE_MS = 1000,
    GROW_MS = 25, /* that much under the target is too little */
    /* What was said before there were keys is played late, as it was said, and caught up with ...
     */
    CATCH_UP_QUIET_MS = 40,   /* ... twice as fast where it is quiet */
    CATCH_UP_LOUD_MS = 100,   /* ... a fifth faster in speech */
    CATCH_UP_FAR_MS = 60,     /* ... a third, if there is much */
    CATCH_UP_FAR = 1000,      /* ms: that is much */
    CATCH_UP_PATIENCE = 2000, /* ms: speech is not hurried before */
    CUT_MS = 300,             /* over the longest delay allowed: after a stall, packets go */
};

struct slot {
    int64_t seq;   /* unwrapped */
    int64_t ts;    /* unwrapped */
    unsigned line; /* which time line it belongs to */
    cph_time arrived;
    struct jitter_packet packet;
    uint8_t bytes[MEDIA_PAYLOAD_MAX];
};

struct bucket {
    bool used;
    cph_time second;
    cph_time low, high; /* transit */
};

struct media_jitter {
    cph_time delay_min, delay_max;
    size_t count;

    bool started;        /* some packet was seen */
    int64_t top, top_ts; /* highest sequence number seen, and its timestamp */
    unsigned line;       /* time line of top */
    cph_time last_transit;
    uint32_t rate;
    struct bucket bucket[BUCKETS];
    cph_time measured_from;

    bool playing;
    bool behind; /* what is played was here before playing began: it is caught up with, not cut */
    int64_t next, next_ts; /* what is to be played, and when its sound begins */
    unsigned next_line;
    uint32_t units;  /* duration of the last packet */
    uint64_t played; /* bit i: next - 1 - i was here */
    cph_time delay;
    cph_time over_since, under_since; /* 0: is not */
    cph_time changed;                 /* the delay was last changed */
    uint64_t removed;

    /* Apart from the slots, which are a third of a megabyte that few calls touch. */
    bool used[MEDIA_SLOTS];
    struct slot slot[]; /* MEDIA_SLOTS; nothing in one counts unless it is used */
};

cph_err media_jitter_new(cph_time delay_min, cph_time delay_max, struct media_jitter **out)
{
    struct media_jitter *j = malloc(sizeof *j + MEDIA_SLOTS * sizeof j->slot[0]);

    if (!j)
        return CPH_E_NOMEM;
    *j = (struct media_jitter){ .delay_min = delay_min, .delay_max = delay_max };
    *out = j;
    return CPH_OK;
}

void media_jitter_free(struct media_jitter *j)
{
    free(j);
}

void media_jitter_reset(struct media_jitter *j)
{
    memset(j->used, 0, sizeof j->used);
    memset(j->bucket, 0, sizeof j->bucket);
    j->count = 0;
    j->started = false;
    j->playing = false;
    j->played = 0;
    j->delay = 0;
    j->over_since = 0;
    j->under_since = 0;
}

static bool *used_of(struct media_jitter *j, int64_t seq)
{
    return &j->used[(uint64_t)seq % MEDIA_SLOTS];
}

static struct slot *slot_of(struct media_jitter *j, int64_t seq)
{
    return &j->slot[(uint64_t)seq % MEDIA_SLOTS];
}

static cph_time sound_us(int64_t ts, uint32_t rate)
{
    return ts / rate * 1000000 + ts % rate * 1000000 / rate;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static void measure(struct media_jitter *j, cph_time transit, cph_time now)
{
    cph_time second = now / 1000000;
    struct bucket *b = &j->bucket[(uint64_t)second % BUCKETS];

    if (!b->used || b->second != second)
        *b = (struct bucket){ .used = true, .second = second, .low = transit, .high = transit };
    if (transit < b->low)
        b->low = transit;
    if (transit > b->high)
        b->high = transit;
    j->last_transit = transit;
}

static void extremes(const struct media_jitter *j, cph_time *low, cph_time *high)
{
    *low = j->last_transit;
    *high = j->last_transit;
    for (size_t i = 0; i < BUCKETS; i++) {
        if (j->bucket[i].used && j->bucket[i].low < *low)
            *low = j->bucket[i].low;
        if (j->bucket[i].used && j->bucket[i].high > *high)
            *high = j->bucket[i].high;
    }
}

/* Buckets of more than ten seconds ago have nothing to say. */
static void forget(struct media_jitter *j, cph_time now)
{
    for (size_t i = 0; i < BUCKETS; i++)
        if (j->bucket[i].second <= now / 1000000 - BUCKETS)
            j->bucket[i].used = false;
}

static cph_time base(const struct media_jitter *j)
{
    cph_time low, high;

    extremes(j, &low, &high);
    return low;
}

static cph_time target_at(const struct media_jitter *j, cph_time now)
{
    cph_time low, high, want;

    extremes(j, &low, &high);
    want = high - low + CPH_MS(MARGIN_MS);
    if (now - j->measured_from < CPH_SEC(BUCKETS) && want < CPH_MS(FIRST_MS))
        want = CPH_MS(FIRST_MS);
    if (want < j->delay_min)
        want = j->delay_min;
    return want > j->delay_max ? j->delay_max : want;
}

/* ---- putting in ------------------------------------------------------------------------------ */

static void new_line(struct media_jitter *j, cph_time now)
{
    j->line++;
    memset(j->bucket, 0, sizeof j->bucket);
    j->measured_from = now;
}

static void start(struct media_jitter *j, const struct jitter_packet *p, cph_time now)
{
    j->started = true;
    j->top = p->seq + 65536;
    j->top_ts = (int64_t)p->ts + ((int64_t)1 << 32);
    j->rate = p->rate;
    j->next = j->top;
    j->behind = true;
    j->units = p->units ? p->units : p->rate / 50;
    new_line(j, now);
}

/* Where the packet lies in time: its unwrapped timestamp and the time line. */
static void place(struct media_jitter *j, const struct jitter_packet *p, struct slot *s,
                  cph_time now)
{
    cph_time transit;

    s->line = j->line;
    s->ts = j->top_ts;
    if (p->units == 0) /* events repeat a timestamp, perhaps of another clock: no use here */
        return;
    if (p->rate != j->rate && s->seq >= j->top) { /* another clock: nothing can be compared */
        j->rate = p->rate;
        j->top_ts = (int64_t)p->ts + ((int64_t)1 << 32);
        new_line(j, now);
        s->line = j->line;
    }
    s->ts = j->top_ts + (int32_t)(p->ts - (uint32_t)j->top_ts);
    transit = now - sound_us(s->ts, j->rate);
    if (s->seq >= j->top) {
        bool jump = llabs(transit - j->last_transit) > CPH_MS(JUMP_MS);

        if (jump && s->seq > j->top) {
            new_line(j, now);
            s->line = j->line;
        }
    } else if (llabs(transit - j->last_transit) > CPH_MS(JUMP_MS)) {
        s->line = j->line - 1; /* a straggler from before the jump */
        return;
    }
    measure(j, transit, now);
}

static bool was_played(const struct media_jitter *j, int64_t seq)
{
    int64_t ago = j->next - 1 - seq;

    return ago >= 0 && ago < HISTORY && (j->played >> ago & 1);
}

static void drop_all(struct media_jitter *j)
{
    j->removed += j->count;
    memset(j->used, 0, sizeof j->used);
    j->count = 0;
}

static bool span_is_free(struct media_jitter *j, int64_t from, int64_t to)
{
    for (int64_t seq = from; seq < to; seq++)
        if (*used_of(j, seq + MEDIA_SLOTS))
            return false;
    return true;
}

/* Find the packet's number a slot, moving the window where that harms nothing. */
static enum jitter_put fit(struct media_jitter *j, int64_t seq)
{
    if (seq < j->next) {
        /* before anything was played, the first to come need not be the first to play */
        if (!j->playing && j->next - seq < MEDIA_SLOTS / 2 && span_is_free(j, seq, j->next)) {
            j->next = seq;
            return JITTER_KEPT;
        }
        return was_played(j, seq) ? JITTER_DUPLICATE : JITTER_LATE;
    }
    if (seq - j->next >= MEDIA_SLOTS) {
        if (j->count > 0)
            return JITTER_EARLY;
        j->next = seq; /* nothing in between will come: go on from here */
        j->playing = false;
        j->played = 0;
    }
    return *used_of(j, seq) ? JITTER_DUPLICATE : JITTER_KEPT;
}

enum jitter_put media_jitter_put(struct media_jitter *j, const struct jitter_packet *p,
                                 cph_time now)
{
    struct slot probe = { 0 }, *s;
    enum jitter_put fits;

    if (p->payload.n > MEDIA_PAYLOAD_MAX)
        return JITTER_TOO_LONG;
    if (!j->started)
        start(j, p, now);
    probe.seq = j->top + (int16_t)(p->seq - (uint16_t)j->top);
    if (probe.seq - j->next >= MEDIA_SLOTS && j->count > 0 &&
        j->delay > j->delay_max) /* a stall: what is new is worth more than what is old */
        drop_all(j);
    fits = fit(j, probe.seq);
    if (fits == JITTER_DUPLICATE || fits == JITTER_EARLY)
        return fits;
    place(j, p, &probe, now);
    if (probe.seq >= j->top) {
        j->top = probe.seq;
        j->top_ts = probe.ts;
    }
    if (fits != JITTER_KEPT)
        return fits;
    s = slot_of(j, probe.seq);
    *used_of(j, probe.seq) = true;
    s->seq = probe.seq;
    s->ts = probe.ts;
    s->line = probe.line;
    s->arrived = now;
    s->packet = *p;
    if (p->payload.n > 0)
        memcpy(s->bytes, p->payload.p, p->payload.n);
    s->packet.payload.p = s->bytes;
    j->count++;
    return JITTER_KEPT;
}

/* ---- taking out ------------------------------------------------------------------------------ */

static void step_over(struct media_jitter *j, bool was_here)
{
    j->next++;
    j->played = j->played << 1 | was_here;
}

static void take(struct media_jitter *j, struct slot *s, struct jitter_out *out)
{
    out->packet = s->packet;
    if (s->packet.units > 0) {
        j->units = s->packet.units;
        j->next_ts = s->ts + s->packet.units;
        j->next_line = s->line;
    }
    *used_of(j, s->seq) = false;
    j->count--;
    step_over(j, true);
}

static struct slot *successor(struct media_jitter *j)
{
    for (int64_t seq = j->next; seq < j->next + MEDIA_SLOTS; seq++)
        if (*used_of(j, seq))
            return slot_of(j, seq);
    return NULL;
}

/* How long the sound that begins at ts has been waiting beyond the fastest way. */
static cph_time waited(const struct media_jitter *j, int64_t ts, cph_time now)
{
    return now - sound_us(ts, j->rate) - base(j);
}

static bool since(cph_time *from, bool holds, cph_time now, cph_time long_enough)
{
    if (!holds) {
        *from = 0;
        return false;
    }
    if (*from == 0)
        *from = now;
    return now - *from >= long_enough;
}

static bool must_shrink(struct media_jitter *j, cph_time target, cph_time now, bool quiet)
{
    cph_time over = j->delay - target;
    bool patient = since(&j->over_since, over > CPH_MS(SHRINK_MS), now, CPH_MS(PATIENCE_MS));

    if (over <= CPH_MS(SHRINK_MS) || now - j->changed < CPH_MS(100))
        return false;
    return quiet || patient || over > CPH_MS(SHRINK_NOW_MS);
}

/* As must_shrink, while what came before the keys is being played. *gently: but spare speech. */
static bool must_catch_up(struct media_jitter *j, cph_time target, cph_time now, bool quiet,
                          bool *gently)
{
    cph_time over = j->delay - target, pause = CPH_MS(CATCH_UP_LOUD_MS);
    bool patient = since(&j->over_since, true, now, CPH_MS(CATCH_UP_PATIENCE));

    if (over > CPH_MS(CATCH_UP_FAR))
        pause = CPH_MS(CATCH_UP_FAR_MS);
    if (quiet)
        pause = CPH_MS(CATCH_UP_QUIET_MS);
    *gently = !patient;
    return (quiet || patient) && now - j->changed >= pause;
}

static bool must_grow(struct media_jitter *j, cph_time target, cph_time now, bool quiet)
{
    cph_time under = target - j->delay;
    bool patient = since(&j->under_since, under > CPH_MS(GROW_MS), now, CPH_MS(PATIENCE_MS / 2));

    if (under <= CPH_MS(GROW_MS) || now - j->changed < CPH_MS(40))
        return false;
    return quiet || patient;
}

/* After a stall of ours or the net's: packets no one wants to hear any more. */
static void cut(struct media_jitter *j, cph_time target, cph_time now)
{
    while (j->count > 1) {
        struct slot *s = slot_of(j, j->next);

        if (!*used_of(j, j->next) || s->line != j->line || waited(j, s->ts, now) <= target)
            return;
        *used_of(j, j->next) = false;
        j->count--;
        j->removed++;
        step_over(j, true);
        j->next_ts = s->ts + s->packet.units;
    }
}

static enum jitter_get get_present(struct media_jitter *j, struct slot *s, cph_time target,
                                   cph_time now, bool quiet, struct jitter_out *out)
{
    bool old_line = s->line != j->line;
    bool spurt = !j->playing || s->line != j->next_line || s->ts > j->next_ts;

    if (spurt) {
        /* the pause is where the delay can be set without anyone hearing it */
        if (!old_line && waited(j, s->ts, now) < target)
            return JITTER_WAIT;
        out->spurt = true;
        j->over_since = 0;
        j->under_since = 0;
    }
    if (!old_line) {
        j->delay = waited(j, s->ts, now);
        j->behind &= j->delay - target > CPH_MS(SHRINK_MS);
        if (!j->behind && j->delay > j->delay_max + CPH_MS(CUT_MS)) {
            cut(j, target, now);
            s = slot_of(j, j->next);
            if (!*used_of(j, j->next))
                return JITTER_EMPTY;
            j->delay = waited(j, s->ts, now);
        }
        if (!spurt && must_grow(j, target, now, quiet)) {
            j->changed = now;
            return JITTER_GROW;
        }
        if ((j->behind ? must_catch_up(j, target, now, quiet, &out->gently)
                       : must_shrink(j, target, now, quiet)) &&
            *used_of(j, j->next + 1)) {
            j->changed = now;
            out->shrink = true;
        }
    }
    j->playing = true;
    take(j, s, out);
    return JITTER_PACKET;
}

static enum jitter_get get_missing(struct media_jitter *j, const struct slot *later,
                                   cph_time target, cph_time now, struct jitter_out *out)
{
    /* it may still come, unless we would have had to wait longer than for any other */
    if (later->line == j->line && j->next_line == j->line && waited(j, j->next_ts, now) < target)
        return JITTER_WAIT;
    if (later->line != j->next_line || later->ts <= j->next_ts) {
        step_over(j, false); /* what is missing had no duration, or cannot be placed */
        return JITTER_LOST;
    }
    out->packet = (struct jitter_packet){ .rate = j->rate, .units = j->units };
    if (later->seq == j->next + 1) {
        out->next = later->packet.payload;
        out->next_pt = later->packet.pt;
    }
    step_over(j, false);
    j->next_ts += j->units;
    return JITTER_LOST;
}

enum jitter_get media_jitter_get(struct media_jitter *j, cph_time now, bool quiet,
                                 struct jitter_out *out)
{
    struct slot *s;
    cph_time target;

    *out = (struct jitter_out){ 0 };
    forget(j, now);
    target = target_at(j, now);
    while (j->count > 0 && *used_of(j, j->next) && slot_of(j, j->next)->packet.units == 0)
        take(j, slot_of(j, j->next), out);
    *out = (struct jitter_out){ 0 };
    if (j->count == 0)
        return JITTER_EMPTY;
    s = slot_of(j, j->next);
    if (*used_of(j, j->next))
        return get_present(j, s, target, now, quiet, out);
    s = successor(j);
    if (!j->playing) {
        j->next = s->seq;
        return get_present(j, s, target, now, quiet, out);
    }
    return get_missing(j, s, target, now, out);
}

cph_time media_jitter_delay(const struct media_jitter *j)
{
    return j->delay;
}

cph_time media_jitter_target(const struct media_jitter *j)
{
    return target_at(j, j->measured_from + CPH_SEC(BUCKETS));
}

size_t media_jitter_count(const struct media_jitter *j)
{
    return j->count;
}

uint64_t media_jitter_removed(const struct media_jitter *j)
{
    return j->removed;
}

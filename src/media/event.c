/* Telephone events: RFC 4733. event(8) | E R volume(6) | duration(16) */
#include <string.h>

#include "ciphony/base_wire.h"
#include "media_int.h"

enum {
    VOLUME = 10,     /* -10 dBm0 */
    END_PACKETS = 3, /* RFC 4733 2.5.1.4 SHOULD: the final packet three times */
    GAP_FRAMES = 3,  /* 60 ms between keys, beside the time of the repeats */
    SEGMENT = 0xffff,
    FORGET_MS = 150, /* an event with no packet for so long is over: no more than it is extended */
    PACKED = 8,      /* events read from one packet */
};

static const char keys[] = "0123456789*#ABCD";

int media_event_code(char digit)
{
    const char *at;

    if (digit >= 'a' && digit <= 'd')
        digit = (char)(digit - 'a' + 'A');
    at = digit ? strchr(keys, digit) : NULL;
    return at ? (int)(at - keys) : -1;
}

char media_event_digit(uint8_t code)
{
    return code < 16 ? keys[code] : '\0';
}

/* ---- sending --------------------------------------------------------------------------------- */

static void say(struct event_tx *e, bool marker, bool end, struct event_out *out)
{
    struct cph_wr wr = cph_wr_open(out->payload, sizeof out->payload);

    out->send = true;
    out->marker = marker;
    out->ts = e->ts;
    out->code = e->queue[0].code;
    cph_wr_u8(&wr, e->queue[0].code);
    cph_wr_u8(&wr, (uint8_t)((end ? 0x80 : 0) | VOLUME)); /* RFC 4733 2.3.3 MUST: R is zero */
    cph_wr_u16(&wr, (uint16_t)(e->duration > SEGMENT ? SEGMENT : e->duration));
}

static void next_in_queue(struct event_tx *e)
{
    e->n--;
    memmove(&e->queue[0], &e->queue[1], e->n * sizeof e->queue[0]);
}

static void go_on(struct event_tx *e, uint32_t frame, bool first, struct event_out *out)
{
    e->duration += frame;
    if (e->duration >= e->total) {
        e->duration = e->total;
        e->state = EVENT_END;
        e->left = END_PACKETS - 1;
    }
    /* RFC 4733 2.5.1.2 MUST: M on the first packet only, E on the last */
    say(e, first, e->state == EVENT_END, out);
}

bool media_event_tx(struct event_tx *e, uint32_t ts, uint32_t rate, struct event_out *out)
{
    *out = (struct event_out){ 0 };
    switch (e->state) {
    case EVENT_IDLE:
        if (e->n == 0)
            return false;
        e->state = EVENT_ON;
        e->ts = ts; /* RFC 4733 2.5.1.2 MUST: the same timestamp in every packet of the event */
        e->duration = 0;
        e->total = rate / 1000 * e->queue[0].ms;
        if (e->total > SEGMENT) /* not over one segment: 1.3 s at 48 kHz, 8 s at 8 kHz */
            e->total = SEGMENT;
        go_on(e, rate / 50, true, out);
        return true;
    case EVENT_ON:
        go_on(e, rate / 50, false, out);
        return true;
    case EVENT_END:
        say(e, false, true, out);
        if (--e->left == 0) {
            out->done = true;
            next_in_queue(e);
            e->state = EVENT_GAP;
            e->left = GAP_FRAMES;
        }
        return true;
    case EVENT_GAP:
        if (--e->left == 0)
            e->state = EVENT_IDLE;
        return false;
    }
    return false;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static struct event_digit finish(struct event_rx *e)
{
    uint64_t units = (uint64_t)e->before + e->duration;

    e->active = false;
    e->heard = true;
    e->ended = e->ts;
    return (struct event_digit){ e->code, (unsigned)(units * 1000 / e->rate) };
}

static bool is_old(const struct event_rx *e, uint32_t ts)
{
    /* RFC 4733 2.5.2.2 MUST: reports about an event that is over are ignored */
    if (e->active && (int32_t)(ts - e->ts) < 0)
        return true;
    return !e->active && e->heard && (int32_t)(ts - e->ended) <= 0 &&
           (int32_t)(ts - e->ended) >
               -(int32_t)(60 * e->rate); /* later than that it is a new time line */
}

static size_t report(struct event_rx *e, uint8_t code, bool end, uint16_t duration, uint32_t ts,
                     uint32_t rate, cph_time now, struct event_digit *out, size_t cap)
{
    size_t n = 0;

    if (duration == 0 || is_old(e, ts)) /* 2.3.5 SHOULD: none of the events we know is a state */
        return 0;
    if (e->active && ts != e->ts) {
        /* RFC 4733 2.5.2.3 MUST: no gap to the segment before means the same event goes on */
        if (code == e->code && ts == e->ts + SEGMENT && e->duration == SEGMENT) {
            e->before += SEGMENT;
            e->ts = ts;
            e->duration = 0;
        } else if (n < cap) {
            out[n++] = finish(e);
        }
    }
    if (!e->active || ts != e->ts)
        *e = (struct event_rx){ .active = true, .code = code, .ts = ts, .rate = rate };
    e->seen = now;
    if (duration > e->duration)
        e->duration = duration;
    if (end && n < cap)
        out[n++] = finish(e);
    return n;
}

size_t media_event_rx(struct event_rx *e, struct cph_span payload, uint32_t ts, uint32_t rate,
                      cph_time now, struct event_digit *out, size_t cap)
{
    struct cph_rd rd = cph_rd_open(payload);
    size_t n = 0;

    /* RFC 4733 2.5.1.5: several events in a packet follow on each other */
    for (unsigned i = 0; i < PACKED && rd.n >= 4; i++) {
        uint8_t code = cph_rd_u8(&rd), flags = cph_rd_u8(&rd);
        uint16_t duration = cph_rd_u16(&rd);

        n += report(e, code, flags & 0x80, duration, ts, rate, now, out + n, cap - n);
        ts += duration;
    }
    return n;
}

size_t media_event_rx_tick(struct event_rx *e, cph_time now, struct event_digit *out)
{
    if (!e->active || now - e->seen < CPH_MS(FORGET_MS))
        return 0;
    *out = finish(e);
    return 1;
}

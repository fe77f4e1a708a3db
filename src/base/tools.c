#include "ciphony/base_tools.h"

#include <stdlib.h>

#include "ciphony/base_mem.h"

/* ---- deadlines ------------------------------------------------------------------------------- */

static void place(struct cph_timers *ts, size_t i, struct cph_timer *t)
{
    ts->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct cph_timers *ts, size_t i, struct cph_timer *t)
{
    for (; i > 0 && ts->heap[(i - 1) / 2]->at > t->at; i = (i - 1) / 2)
        place(ts, i, ts->heap[(i - 1) / 2]);
    place(ts, i, t);
}

static void sift_down(struct cph_timers *ts, size_t i, struct cph_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= ts->n)
            break;
        if (child + 1 < ts->n && ts->heap[child + 1]->at < ts->heap[child]->at)
            child++;
        if (ts->heap[child]->at >= t->at)
            break;
        place(ts, i, ts->heap[child]);
        i = child;
    }
    place(ts, i, t);
}

cph_err cph_timers_set(struct cph_timers *ts, struct cph_timer *t, cph_time at)
{
    if (t->slot == 0 && ts->n == ts->cap) {
        size_t cap = ts->cap ? 2 * ts->cap : 16;
        struct cph_timer **heap = realloc(ts->heap, cap * sizeof *heap);

        if (!heap)
            return CPH_E_NOMEM;
        ts->heap = heap;
        ts->cap = cap;
    }
    cph_timers_stop(ts, t);
    t->at = at;
    ts->n++;
    sift_up(ts, ts->n - 1, t);
    return CPH_OK;
}

void cph_timers_stop(struct cph_timers *ts, struct cph_timer *t)
{
    size_t i = t->slot;
    struct cph_timer *last;

    if (i == 0)
        return;
    i--;
    t->slot = 0;
    last = ts->heap[--ts->n];
    if (last == t)
        return;
    if (i > 0 && ts->heap[(i - 1) / 2]->at > last->at)
        sift_up(ts, i, last);
    else
        sift_down(ts, i, last);
}

cph_time cph_timers_next(const struct cph_timers *ts)
{
    return ts->n ? ts->heap[0]->at : CPH_TIME_NEVER;
}

struct cph_timer *cph_timers_due(struct cph_timers *ts, cph_time now)
{
    struct cph_timer *t;

    if (cph_timers_next(ts) > now || ts->n == 0)
        return NULL;
    t = ts->heap[0];
    cph_timers_stop(ts, t);
    return t;
}

void cph_timers_free(struct cph_timers *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        ts->heap[i]->slot = 0;
    free(ts->heap);
    *ts = (struct cph_timers){ 0 };
}

/* ---- things by name -------------------------------------------------------------------------- */

struct cph_map_slot {
    uint64_t hash;
    struct cph_span key; /* key.p NULL: never used */
    void *value;         /* NULL with a key: a tombstone */
};

static const uint8_t no_bytes[1];

static struct cph_span solid(struct cph_span key) /* an empty key still needs a pointer */
{
    return key.n ? key : (struct cph_span){ no_bytes, 0 };
}

static uint64_t rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

/* SipHash-2-4, Aumasson and Bernstein 2012. Not a cryptographic primitive here: it only spreads
 * keys. */
uint64_t cph_siphash(uint64_t k0, uint64_t k1, struct cph_span s)
{
    uint64_t v[4] = { k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU, k0 ^ 0x6c7967656e657261U,
                      k1 ^ 0x7465646279746573U };
    uint64_t last = (uint64_t)s.n << 56;

    for (size_t at = 0;; at += 8) {
        size_t n = s.n - at < 8 ? s.n - at : 8;
        uint64_t m = n < 8 ? last : 0;

        for (size_t i = 0; i < n; i++)
            m |= (uint64_t)s.p[at + i] << (8 * i);
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
        if (n < 8)
            break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

cph_err cph_map_init(struct cph_map *m, const struct cph_env *env, size_t limit)
{
    uint64_t k[2];

    CPH_TRY(cph_random(env, k, sizeof k));
    *m = (struct cph_map){ .limit = limit, .k0 = k[0], .k1 = k[1] };
    return CPH_OK;
}

void cph_map_free(struct cph_map *m)
{
    free(m->slot);
    *m = (struct cph_map){ .limit = m->limit, .k0 = m->k0, .k1 = m->k1 };
}

/* The slot that holds the key, or NULL. */
static struct cph_map_slot *find(const struct cph_map *m, struct cph_span key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct cph_map_slot *s = &m->slot[i];

        if (!s->key.p)
            return NULL;
        if (s->value && s->hash == hash && cph_span_eq(s->key, key))
            return s;
    }
}

static void insert(struct cph_map_slot *slot, size_t cap, struct cph_map_slot entry)
{
    size_t i = entry.hash & (cap - 1);

    while (slot[i].key.p)
        i = (i + 1) & (cap - 1);
    slot[i] = entry;
}

/* Keep at least a quarter of the slots unused, so that every search ends. */
static cph_err make_room(struct cph_map *m)
{
    size_t cap = 16;
    struct cph_map_slot *slot;

    if (m->cap > 0 && m->used + 1 <= m->cap / 4 * 3)
        return CPH_OK;
    while (cap / 2 < m->n + 1)
        cap *= 2;
    slot = calloc(cap, sizeof *slot);
    if (!slot)
        return CPH_E_NOMEM;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].value)
            insert(slot, cap, m->slot[i]);
    free(m->slot);
    m->slot = slot;
    m->cap = cap;
    m->used = m->n;
    return CPH_OK;
}

cph_err cph_map_put(struct cph_map *m, struct cph_span key, void *value)
{
    uint64_t hash = cph_siphash(m->k0, m->k1, key);

    if (!value)
        return CPH_E_ARGUMENT;
    if (find(m, key, hash))
        return CPH_E_EXISTS;
    if (m->n >= m->limit)
        return CPH_E_LIMIT;
    CPH_TRY(make_room(m));
    insert(m->slot, m->cap, (struct cph_map_slot){ hash, solid(key), value });
    m->n++;
    m->used++;
    return CPH_OK;
}

void *cph_map_get(const struct cph_map *m, struct cph_span key)
{
    struct cph_map_slot *s = find(m, key, cph_siphash(m->k0, m->k1, key));

    return s ? s->value : NULL;
}

void *cph_map_take(struct cph_map *m, struct cph_span key)
{
    struct cph_map_slot *s = find(m, key, cph_siphash(m->k0, m->k1, key));
    void *value;

    if (!s)
        return NULL;
    value = s->value;
    *s = (struct cph_map_slot){ .key = { no_bytes, 0 } };
    m->n--;
    return value;
}

void *cph_map_each(const struct cph_map *m, size_t *at)
{
    while (*at < m->cap) {
        void *value = m->slot[(*at)++].value;

        if (value)
            return value;
    }
    return NULL;
}

/* Ciphony: the two tables engines need: deadlines in order, and things by name. */
#ifndef CPH_BASE_TOOLS_H
#define CPH_BASE_TOOLS_H

#include "ciphony/base.h"

/* ---- deadlines ------------------------------------------------------------------------------- */

/* Sits inside the object that has the deadline. Zero-initialised is "not armed". */
struct cph_timer {
    cph_time at;
    size_t slot; /* 1-based place in the heap, 0 when not armed */
    void *owner; /* what cph_timers_due() gives back */
    int kind;    /* which of the owner's timers this is */
};

/* A binary heap. Zero-initialised is empty. */
struct cph_timers {
    struct cph_timer **heap;
    size_t n, cap;
};

/** Arm, or move an armed timer. CPH_E_NOMEM leaves it as it was. */
CPH_API CPH_MUST_CHECK cph_err cph_timers_set(struct cph_timers *ts, struct cph_timer *t,
                                              cph_time at);
CPH_API void cph_timers_stop(struct cph_timers *ts, struct cph_timer *t); /* not armed is fine */
/** The earliest deadline, or CPH_TIME_NEVER. */
CPH_API cph_time cph_timers_next(const struct cph_timers *ts);
/** Disarm and return a timer due at now, the earliest first; NULL when there is none. */
CPH_API struct cph_timer *cph_timers_due(struct cph_timers *ts, cph_time now);
CPH_API void cph_timers_free(struct cph_timers *ts);

/* ---- things by name -------------------------------------------------------------------------- */

/*
 * Keys are bytes the value owns (they must live as long as the entry). Hashing is keyed
 * (SipHash-2-4) so that a stranger cannot choose collisions. Bounded by limit.
 */
struct cph_map {
    struct cph_map_slot *slot;
    size_t n, used, cap, limit; /* used counts tombstones too */
    uint64_t k0, k1;
};

/** An empty map of at most limit entries, its key drawn from env, which is not kept. Allocates
 * nothing; the error is env's. */
CPH_API CPH_MUST_CHECK cph_err cph_map_init(struct cph_map *m, const struct cph_env *env,
                                            size_t limit);
CPH_API void cph_map_free(struct cph_map *m); /* the values are not touched */
/** CPH_E_EXISTS, CPH_E_LIMIT, CPH_E_NOMEM; on error nothing changed. */
CPH_API CPH_MUST_CHECK cph_err cph_map_put(struct cph_map *m, struct cph_span key, void *value);
CPH_API void *cph_map_get(const struct cph_map *m, struct cph_span key); /* NULL if absent */
CPH_API void *cph_map_take(struct cph_map *m, struct cph_span key); /* remove and return, or NULL */
/** Walk: start with *at = 0; NULL at the end. Taking the entry just returned is allowed. */
CPH_API void *cph_map_each(const struct cph_map *m, size_t *at);

CPH_API uint64_t cph_siphash(uint64_t k0, uint64_t k1, struct cph_span bytes);

#endif

#include "ciphony/session_manager.h"

#include <stdlib.h>
#include <string.h>

#include "session_int.h"

/* ---- the table of calls ---------------------------------------------------------------------- */

uint64_t manager_hash(const struct cph_manager *m, struct cph_span bytes)
{
    uint64_t h = cph_siphash(m->k0, m->k1, bytes);

    return h ? h : 1; /* 0 is "none" */
}

struct manager_call *manager_find(const struct cph_manager *m, struct cph_span call_id)
{
    return cph_map_get(&m->calls, call_id);
}

static void call_free(struct cph_manager *m, struct manager_call *c)
{
    for (unsigned i = 0; i < m->cfg.sma_n; i++)
        if (c->talk[i])
            m->cfg.sma[i].ops->close(m->cfg.sma[i].ctx, c->talk[i]);
    cph_timers_stop(&m->timers, &c->timer);
    if (c->invite_lines)
        cph_free_secret(c->invite_lines, strlen(c->invite_lines));
    cph_free_secret(c, sizeof *c + c->id_n);
}

void manager_forget(struct cph_manager *m, struct manager_call *c)
{
    (void)cph_map_take(&m->calls, (struct cph_span){ c->id, c->id_n });
    call_free(m, c);
}

/* Waiting calls cost their sender one packet, so they go first; among equals the one unused
 * longest. */
static void evict_one(struct cph_manager *m)
{
    struct manager_call *worst = NULL, *c;
    size_t at = 0;

    while ((c = cph_map_each(&m->calls, &at)) != NULL)
        if (!worst || c->state > worst->state ||
            (c->state == worst->state && c->used < worst->used))
            worst = c;
    if (worst) {
        m->count.evicted++;
        manager_forget(m, worst);
    }
}

struct manager_call *manager_call_of(struct cph_manager *m, struct cph_span call_id, cph_time now)
{
    struct manager_call *c = manager_find(m, call_id);

    if (c)
        return c;
    if (call_id.n == 0 || call_id.n > MANAGER_CALL_ID)
        return NULL;
    if (m->calls.n >= m->cfg.max_calls)
        evict_one(m);
    c = calloc(1, sizeof *c + call_id.n);
    if (!c)
        return NULL;
    c->id_n = call_id.n;
    memcpy(c->id, call_id.p, call_id.n);
    c->timer.owner = c;
    c->used = now;
    if (cph_map_put(&m->calls, (struct cph_span){ c->id, c->id_n }, c) != CPH_OK) {
        free(c);
        return NULL;
    }
    if (cph_timers_set(&m->timers, &c->timer, now + m->cfg.forget) != CPH_OK) {
        manager_forget(m, c);
        return NULL;
    }
    return c;
}

void manager_touch(struct cph_manager *m, struct manager_call *c, cph_time now)
{
    cph_time keep = c->state == CPH_MANAGER_IDLE ? m->cfg.forget : m->cfg.wait;

    c->used = now;
    if (cph_timers_set(&m->timers, &c->timer, now + keep) != CPH_OK)
        cph_log(m->cfg.env, CPH_LOG_ERROR, "manager", "a timer could not be moved");
}

/* ---- the object ------------------------------------------------------------------------------ */

cph_err cph_manager_new(const struct cph_manager_cfg *cfg, struct cph_manager **out)
{
    struct cph_manager *m;
    uint64_t key[2];
    cph_err err;

    if (!cfg->env || cfg->sma_n > CPH_MANAGER_SMA_MAX || cfg->max_calls > MANAGER_CALLS_MAX)
        return CPH_E_ARGUMENT;
    for (unsigned i = 0; i < cfg->sma_n; i++)
        if (!cfg->sma[i].ops || !cfg->sma[i].ops->open || !cfg->sma[i].ops->close)
            return CPH_E_ARGUMENT;
    m = calloc(1, sizeof *m);
    if (!m)
        return CPH_E_NOMEM;
    m->cfg = *cfg;
    if (m->cfg.max_calls == 0)
        m->cfg.max_calls = CPH_MANAGER_CALLS_DEFAULT;
    if (m->cfg.wait == 0)
        m->cfg.wait = CPH_SEC(32);
    if (m->cfg.forget == 0)
        m->cfg.forget = CPH_SEC(600);
    err = cph_random(cfg->env, key, sizeof key);
    if (err == CPH_OK) {
        m->k0 = key[0];
        m->k1 = key[1];
        err = cph_map_init(&m->calls, cfg->env, m->cfg.max_calls);
    }
    if (err != CPH_OK) {
        free(m);
        return err;
    }
    *out = m;
    return CPH_OK;
}

void cph_manager_free(struct cph_manager *m)
{
    struct manager_call *c;
    size_t at = 0;

    if (!m)
        return;
    while ((c = cph_map_each(&m->calls, &at)) != NULL)
        manager_forget(m, c);
    cph_map_free(&m->calls);
    cph_timers_free(&m->timers);
    cph_free_secret(m, sizeof *m); /* lines may hold proofs */
}

cph_time cph_manager_deadline(const struct cph_manager *m)
{
    return cph_timers_next(&m->timers);
}

void cph_manager_tick(struct cph_manager *m, cph_time now)
{
    struct cph_timer *t;

    while ((t = cph_timers_due(&m->timers, now)) != NULL) {
        struct manager_call *c = t->owner;

        m->count.timed_out++;
        manager_forget(m, c);
    }
}

const struct cph_manager_counters *cph_manager_counters(const struct cph_manager *m)
{
    return &m->count;
}

enum cph_manager_state cph_manager_state(const struct cph_manager *m, struct cph_span call_id)
{
    const struct manager_call *c = manager_find(m, call_id);

    return c ? c->state : CPH_MANAGER_IDLE;
}

enum cph_peer_proof cph_manager_proof(const struct cph_manager *m, struct cph_span call_id,
                                      const char **user)
{
    const struct manager_call *c = manager_find(m, call_id);

    if (user)
        *user = c ? c->user : "";
    return c ? c->proof : CPH_PROOF_UNKNOWN;
}

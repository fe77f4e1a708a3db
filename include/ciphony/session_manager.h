/*
 * Ciphony: the security manager. It sits below a SIP stack's transactions, sees every message in
 * and out (SSA), asks the application (SST), uses security applications outside (SMA), and lets
 * only valid calls go on to call control.
 */
#ifndef CPH_SESSION_MANAGER_H
#define CPH_SESSION_MANAGER_H

#include "ciphony/base.h"
#include "ciphony/session_sma.h"
#include "ciphony/session_ssa.h"
#include "ciphony/session_sst.h"

/* ---- the state machine ----------------------------------------------------------------------- */

enum cph_manager_state {
    CPH_MANAGER_IDLE,
    CPH_MANAGER_WAIT_AUTHORIZED_INVITE,
    CPH_MANAGER_STATES_
};

enum cph_manager_signal {
    CPH_SIGNAL_GOT_INVITE,            /* from the stack: an INVITE arrived */
    CPH_SIGNAL_GOT_UNAUTHORIZED,      /* from the stack: 401 or 407 arrived */
    CPH_SIGNAL_GOT_ERROR,             /* from the stack: another error response arrived */
    CPH_SIGNAL_SEND_WWW_AUTHENTICATE, /* to the stack: send the challenge, or the authenticated
                                         request */
    CPH_SIGNAL_SIP_INVITE,            /* to the stack: forward the valid INVITE to call control */
    CPH_MANAGER_SIGNALS_,
};

CPH_API const char *cph_manager_state_name(enum cph_manager_state s);
CPH_API const char *cph_manager_signal_name(enum cph_manager_signal s);

/* ---- the object ------------------------------------------------------------------------------ */

enum {
    CPH_MANAGER_SMA_MAX = 4, /* security applications attached */
    CPH_MANAGER_CALLS_DEFAULT =
        1024,              /* calls remembered at once; the oldest waiting one goes first */
    CPH_MANAGER_TRIES = 3, /* answers to challenges of one call, challenges to one INVITE */
};

struct cph_manager_cfg {
    const struct cph_env *env;
    const struct cph_sst *sst;               /* NULL: the strictest policy, no credentials */
    struct cph_sma sma[CPH_MANAGER_SMA_MAX]; /* best first */
    unsigned sma_n;
    const char *realm;  /* default realm of our challenges */
    unsigned max_calls; /* 0: the default */
    cph_time wait;      /* how long to wait for the authorized INVITE, 0: 32 s (64 * T1) */
    cph_time forget;    /* a call without a message is forgotten after, 0: 600 s */
};

struct cph_manager_counters {
    uint64_t in, out, passed, dropped, challenged, refused, answered, forwarded;
    uint64_t bad_proof, replayed, unknown_user, evicted, timed_out;
};

/** cfg is copied, what it points to must outlive the manager. CPH_E_NOMEM, CPH_E_ARGUMENT. */
CPH_API CPH_MUST_CHECK cph_err cph_manager_new(const struct cph_manager_cfg *cfg,
                                               struct cph_manager **out);
CPH_API void cph_manager_free(struct cph_manager *m); /* NULL is fine */
CPH_API cph_time cph_manager_deadline(const struct cph_manager *m);
CPH_API void cph_manager_tick(struct cph_manager *m, cph_time now);
CPH_API const struct cph_manager_counters *cph_manager_counters(const struct cph_manager *m);

/** State of one call; IDLE for one that is not known. */
CPH_API enum cph_manager_state cph_manager_state(const struct cph_manager *m,
                                                 struct cph_span call_id);
/** What the manager learned about the peer of a call: the proof, and the proven user ("" if none;
 * lives until the next call of the manager). UNKNOWN for a call it does not know. */
CPH_API enum cph_peer_proof cph_manager_proof(const struct cph_manager *m, struct cph_span call_id,
                                              const char **user);

#endif

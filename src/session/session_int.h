/* The security manager from the inside. */
#ifndef CPH_SESSION_INT_H
#define CPH_SESSION_INT_H

#include "ciphony/base_tools.h"
#include "ciphony/session_manager.h"

enum {
    MANAGER_CALL_ID = 512, /* bytes of a Call-ID we remember; a longer one is refused */
    MANAGER_CALLS_MAX = 65536,
};

/* ---- state machine (fsm.c) ------------------------------------------------------------------- */

/* What the checks before the step found out. */
struct manager_input {
    bool outgoing;      /* the call is ours: a challenge came to us */
    bool required;      /* policy wants a proof */
    bool authorized;    /* and there is a good one */
    bool can_challenge; /* we know how to ask, and have not asked too often */
    bool can_answer;    /* we know how to answer, and have not answered too often */
};

enum manager_action {
    MANAGER_PASS,      /* to call control, or on to the wire */
    MANAGER_CHALLENGE, /* answer 401 */
    MANAGER_REFUSE,    /* answer 403 */
    MANAGER_RETRY,     /* send the request again, proven */
};

struct manager_step {
    enum cph_manager_state state;
    enum manager_action action;
    enum cph_manager_signal emitted; /* the last signal to the stack; CPH_MANAGER_SIGNALS_: none */
};

/** One signal from the stack, and the one it makes us send, if any. CPH_E_STATE: a cell that is
 * empty. */
cph_err manager_fsm(enum cph_manager_state state, enum cph_manager_signal signal,
                    const struct manager_input *in, struct manager_step *out);

/* ---- calls (manager.c) ----------------------------------------------------------------------- */

struct manager_call {
    enum cph_manager_state state;
    struct cph_timer timer;
    cph_time used;        /* when a message of it passed last */
    uint64_t from_tag;    /* keyed hash of the caller's tag, 0 none yet */
    uint64_t good;        /* keyed hash of the last message that was proven: its repeats pass */
    cph_time good_until;  /* ... while they can be repeats */
    uint64_t good_values; /* of its Authorization values: an ACK has to repeat them */
    bool outgoing;        /* we began the call */
    uint64_t good_method; /* of the same message */
    uint32_t good_cseq;
    unsigned challenges, answers;
    uint32_t challenged_cseq;
    uint32_t sent_cseq; /* of our last request but ACK and CANCEL */
    bool sent_any, proven;
    uint32_t invite_cseq; /* of the INVITE that carried lines */
    char *invite_lines;   /* which its ACK repeats */
    enum cph_peer_proof proof;
    char user[CPH_SMA_USER];
    void *talk[CPH_MANAGER_SMA_MAX];
    size_t id_n;
    uint8_t id[]; /* the Call-ID */
};

struct cph_manager {
    struct cph_manager_cfg cfg;
    struct cph_map calls;
    struct cph_timers timers;
    struct cph_manager_counters count;
    uint64_t k0, k1;           /* of the hashes above */
    char lines[CPH_SMA_LINES]; /* what the last call gave out */
    char body[CPH_SMA_LINES], type[CPH_SST_NAME];
};

struct manager_call *manager_find(const struct cph_manager *m, struct cph_span call_id);
/** Find or make. NULL: no memory, or the Call-ID is too long. */
struct manager_call *manager_call_of(struct cph_manager *m, struct cph_span call_id, cph_time now);
/** A message passed: the call lives on, and wait is restarted in its state. */
void manager_touch(struct cph_manager *m, struct manager_call *c, cph_time now);
void manager_forget(struct cph_manager *m, struct manager_call *c);
/* ---- messages (ssa.c) -- */

bool manager_is_method(const struct cph_ssa_msg *msg, const char *method);
/** Values of a header that begin with the scheme (NULL: all); how many. */
unsigned manager_values(const struct cph_ssa_msg *msg, const char *header, const char *scheme,
                        struct cph_span out[CPH_SMA_VALUES]);
/** One number for what the message claims to prove; 0: nothing. */
uint64_t manager_values_hash(const struct cph_manager *m, const struct cph_ssa_msg *msg);
cph_err manager_talk(struct cph_manager *m, struct manager_call *c, unsigned i);
/** CPH_OK: proven now, or the very message that was proven before. CPH_E_POLICY: this user may not.
 */
cph_err manager_authenticate(struct cph_manager *m, struct manager_call *c,
                             const struct cph_ssa_msg *msg, cph_time now, struct cph_sma_proof *p);
uint64_t manager_hash(const struct cph_manager *m, struct cph_span bytes);

#endif

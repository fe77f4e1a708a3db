#include "session_int.h"

/*
 * The state machine of the security manager. What the checks found comes in as `in`; the edges only
 * decide. A signal from the stack (got_*) makes the manager send one back (send_www_authenticate,
 * sip_invite), which is the next step of the same machine.
 *
 *                            authorized, or nobody asked
 *              got_invite  +----------------------------> sip_invite
 *            +-----------> |
 *   [ idle ]-+             +--> send_www_authenticate --> [ wait_authorized_invite ]
 *       ^    |                                              |   got_invite: as above
 *       |    +-> got_unauthorized: send_www_authenticate    |   got_error: the caller gave up
 *       |        (the authenticated request), stays         |
 *       +---------------------------------------------------+
 */

#define NO_SIGNAL CPH_MANAGER_SIGNALS_

typedef void edge_fn(const struct manager_input *in, struct manager_step *next);

/* An INVITE: is it proven, or does nobody ask? */
static void check_invite(const struct manager_input *in, struct manager_step *next)
{
    if (!in->required || in->authorized) {
        next->emitted = CPH_SIGNAL_SIP_INVITE;
    } else if (in->can_challenge) {
        next->emitted = CPH_SIGNAL_SEND_WWW_AUTHENTICATE;
    } else {
        next->action = MANAGER_REFUSE;
        next->state = CPH_MANAGER_IDLE;
    }
}

/* 401 or 407 to a request of ours. In wait_authorized_invite it belongs to our half of a call that
 * came back to us. */
static void answer_challenge(const struct manager_input *in, struct manager_step *next)
{
    if (in->can_answer)
        next->emitted = CPH_SIGNAL_SEND_WWW_AUTHENTICATE;
    else
        next->action = MANAGER_PASS; /* the application hears of the 401 */
}

static void pass_error(const struct manager_input *in, struct manager_step *next)
{
    (void)in;
    next->action = MANAGER_PASS;
}

static void give_up(const struct manager_input *in, struct manager_step *next)
{
    (void)in;
    next->state = CPH_MANAGER_IDLE;
    next->action = MANAGER_PASS;
}

static void send_www_authenticate(const struct manager_input *in, struct manager_step *next)
{
    if (in->outgoing) {
        next->action = MANAGER_RETRY; /* the authenticated request; the state stays */
        return;
    }
    next->action = MANAGER_CHALLENGE;
    next->state = CPH_MANAGER_WAIT_AUTHORIZED_INVITE;
}

static void forward_invite(const struct manager_input *in, struct manager_step *next)
{
    (void)in;
    next->action = MANAGER_PASS;
    next->state = CPH_MANAGER_IDLE;
}

/* Every pair of state and signal is on this page. */
/* clang-format off */
static edge_fn *const edge[CPH_MANAGER_STATES_][CPH_MANAGER_SIGNALS_] = {
    [CPH_MANAGER_IDLE] = {
        [CPH_SIGNAL_GOT_INVITE]            = check_invite,
        [CPH_SIGNAL_GOT_UNAUTHORIZED]      = answer_challenge,
        [CPH_SIGNAL_GOT_ERROR]             = pass_error,
        [CPH_SIGNAL_SEND_WWW_AUTHENTICATE] = send_www_authenticate,
        [CPH_SIGNAL_SIP_INVITE]            = forward_invite,
    },
    [CPH_MANAGER_WAIT_AUTHORIZED_INVITE] = {
        [CPH_SIGNAL_GOT_INVITE]            = check_invite,
        [CPH_SIGNAL_GOT_UNAUTHORIZED]      = answer_challenge,
        [CPH_SIGNAL_GOT_ERROR]             = give_up,
        [CPH_SIGNAL_SEND_WWW_AUTHENTICATE] = send_www_authenticate,
        [CPH_SIGNAL_SIP_INVITE]            = forward_invite,
    },
};
/* clang-format on */

cph_err manager_fsm(enum cph_manager_state state, enum cph_manager_signal signal,
                    const struct manager_input *in, struct manager_step *out)
{
    struct manager_step next = { .state = state, .action = MANAGER_PASS, .emitted = NO_SIGNAL };
    enum cph_manager_signal sig = signal;

    if (state >= CPH_MANAGER_STATES_ || signal >= CPH_MANAGER_SIGNALS_)
        return CPH_E_STATE;
    edge[state][sig](in, &next);
    if (next.emitted != NO_SIGNAL) { /* a signal to the stack emits no further one */
        sig = next.emitted;
        edge[next.state][sig](in, &next);
    }
    *out = next;
    return CPH_OK;
}

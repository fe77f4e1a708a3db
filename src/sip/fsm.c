#include "fsm.h"

#define GO(state, acts)                                                                            \
    {                                                                                              \
        SIP_TX_##state, (acts)                                                                     \
    }
#define SEND    SIP_ACT_SEND
#define RESEND  SIP_ACT_RESEND
#define ACK     SIP_ACT_ACK
#define USER    SIP_ACT_USER
#define RETX    SIP_ACT_ARM_RETX
#define BACKOFF SIP_ACT_BACKOFF
#define TIMEOUT SIP_ACT_ARM_TIMEOUT
#define END     SIP_ACT_ARM_END
#define STOP    SIP_ACT_STOP

/* Every legal (state, event) pair of each machine is on this page; an empty cell is CPH_E_STATE: a
 * message that is dropped, or a call of the user that is refused. */
/* clang-format off */
static const struct sip_tx_cell table[SIP_TX_KINDS][SIP_TX_STATES][SIP_TX_EVENTS] = {
    /* RFC 3261 17.1.1, RFC 6026 figure 5: A = RETX, B = TIMEOUT, D or M = END */
    [SIP_ICT] = {
        [SIP_TX_IDLE] = {
            [SIP_TXE_START]   = GO(CALLING, SEND | RETX | TIMEOUT),
        },
        [SIP_TX_CALLING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, USER | STOP),
            [SIP_TXE_2XX]     = GO(ACCEPTED, USER | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, ACK | USER | END),
            [SIP_TXE_RETX]    = GO(CALLING, RESEND | BACKOFF),
            [SIP_TXE_TIMEOUT] = GO(TERMINATED, USER),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
        [SIP_TX_PROCEEDING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, USER),
            [SIP_TXE_2XX]     = GO(ACCEPTED, USER | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, ACK | USER | END),
            [SIP_TXE_TIMEOUT] = GO(TERMINATED, USER), /* only once nobody waits for it any more */
        },
        [SIP_TX_COMPLETED] = {
            [SIP_TXE_FINAL]   = GO(COMPLETED, ACK),
            [SIP_TXE_END]     = GO(TERMINATED, 0),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
        [SIP_TX_ACCEPTED] = {
            [SIP_TXE_2XX]     = GO(ACCEPTED, USER),
            [SIP_TXE_END]     = GO(TERMINATED, 0),
        },
    },
    /* RFC 3261 17.1.2, figure 6: E = RETX, F = TIMEOUT, K = END */
    [SIP_NICT] = {
        [SIP_TX_IDLE] = {
            [SIP_TXE_START]   = GO(TRYING, SEND | RETX | TIMEOUT),
        },
        [SIP_TX_TRYING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, USER),
            [SIP_TXE_2XX]     = GO(COMPLETED, USER | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, USER | END),
            [SIP_TXE_RETX]    = GO(TRYING, RESEND | BACKOFF),
            [SIP_TXE_TIMEOUT] = GO(TERMINATED, USER),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
        [SIP_TX_PROCEEDING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, USER),
            [SIP_TXE_2XX]     = GO(COMPLETED, USER | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, USER | END),
            [SIP_TXE_RETX]    = GO(PROCEEDING, RESEND | BACKOFF),
            [SIP_TXE_TIMEOUT] = GO(TERMINATED, USER),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
        [SIP_TX_COMPLETED] = {
            [SIP_TXE_END]     = GO(TERMINATED, 0),
        },
    },
    /* RFC 3261 17.2.1, RFC 6026 figure 7: G = RETX, H = TIMEOUT, I or L = END. A transport error never
     * ends it (RFC 6026 7.1), so that repeats of the INVITE are still absorbed. */
    [SIP_IST] = {
        [SIP_TX_IDLE] = {
            [SIP_TXE_START]   = GO(PROCEEDING, USER),
        },
        [SIP_TX_PROCEEDING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, SEND),
            [SIP_TXE_2XX]     = GO(ACCEPTED, SEND | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, SEND | RETX | TIMEOUT),
            [SIP_TXE_REQUEST] = GO(PROCEEDING, RESEND),
            [SIP_TXE_ERROR]   = GO(PROCEEDING, USER),
        },
        [SIP_TX_COMPLETED] = {
            [SIP_TXE_REQUEST] = GO(COMPLETED, RESEND),
            [SIP_TXE_ACK]     = GO(CONFIRMED, END),
            [SIP_TXE_RETX]    = GO(COMPLETED, RESEND | BACKOFF),
            [SIP_TXE_TIMEOUT] = GO(TERMINATED, USER),
            [SIP_TXE_ERROR]   = GO(COMPLETED, USER),
        },
        [SIP_TX_CONFIRMED] = {
            [SIP_TXE_REQUEST] = GO(CONFIRMED, 0),
            [SIP_TXE_ACK]     = GO(CONFIRMED, 0),
            [SIP_TXE_END]     = GO(TERMINATED, 0),
        },
        [SIP_TX_ACCEPTED] = {
            [SIP_TXE_2XX]     = GO(ACCEPTED, SEND),
            [SIP_TXE_REQUEST] = GO(ACCEPTED, 0),
            [SIP_TXE_ACK]     = GO(ACCEPTED, USER),
            [SIP_TXE_END]     = GO(TERMINATED, USER),
            [SIP_TXE_ERROR]   = GO(ACCEPTED, USER),
        },
    },
    /* RFC 3261 17.2.2, figure 8: J = END */
    [SIP_NIST] = {
        [SIP_TX_IDLE] = {
            [SIP_TXE_START]   = GO(TRYING, USER),
        },
        [SIP_TX_TRYING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, SEND),
            [SIP_TXE_2XX]     = GO(COMPLETED, SEND | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, SEND | END),
            [SIP_TXE_REQUEST] = GO(TRYING, 0),
        },
        [SIP_TX_PROCEEDING] = {
            [SIP_TXE_1XX]     = GO(PROCEEDING, SEND),
            [SIP_TXE_2XX]     = GO(COMPLETED, SEND | END),
            [SIP_TXE_FINAL]   = GO(COMPLETED, SEND | END),
            [SIP_TXE_REQUEST] = GO(PROCEEDING, RESEND),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
        [SIP_TX_COMPLETED] = {
            [SIP_TXE_REQUEST] = GO(COMPLETED, RESEND),
            [SIP_TXE_END]     = GO(TERMINATED, 0),
            [SIP_TXE_ERROR]   = GO(TERMINATED, USER),
        },
    },
};
/* clang-format on */

struct sip_tx_cell sip_tx_lookup(enum sip_tx_kind kind, enum sip_tx_state state,
                                 enum sip_tx_event event)
{
    if (kind >= SIP_TX_KINDS || state >= SIP_TX_STATES || event >= SIP_TX_EVENTS)
        return (struct sip_tx_cell){ SIP_TX_NONE, 0 };
    return table[kind][state][event];
}

const char *sip_tx_state_name(enum sip_tx_state state)
{
    static const char *const name[SIP_TX_STATES] = {
        "none",      "idle",      "calling",  "trying",     "proceeding",
        "completed", "confirmed", "accepted", "terminated",
    };
    return (unsigned)state < SIP_TX_STATES ? name[state] : "?";
}

/* The four transaction state machines of RFC 3261 17 with RFC 6026, as one table. Pure data. */
#ifndef CPH_SIP_FSM_H
#define CPH_SIP_FSM_H

#include "ciphony/base.h"

enum sip_tx_kind { SIP_ICT, SIP_NICT, SIP_IST, SIP_NIST, SIP_TX_KINDS };

enum sip_tx_state {
    SIP_TX_NONE, /* in the table: the pair is not legal */
    SIP_TX_IDLE, /* made, not started */
    SIP_TX_CALLING,
    SIP_TX_TRYING,
    SIP_TX_PROCEEDING,
    SIP_TX_COMPLETED,
    SIP_TX_CONFIRMED,
    SIP_TX_ACCEPTED,
    SIP_TX_TERMINATED,
    SIP_TX_STATES
};

/* For a client, 1xx/2xx/FINAL is a response from the wire; for a server, one from the user. */
enum sip_tx_event {
    SIP_TXE_START,
    SIP_TXE_1XX,
    SIP_TXE_2XX,
    SIP_TXE_FINAL,   /* 300 to 699 */
    SIP_TXE_REQUEST, /* server: the request came again */
    SIP_TXE_ACK,     /* INVITE server: ACK came */
    SIP_TXE_RETX,    /* timer A, E, G */
    SIP_TXE_TIMEOUT, /* timer B, F, H */
    SIP_TXE_END,     /* timer D, I, J, K, L, M */
    SIP_TXE_ERROR,   /* the transport gave up */
    SIP_TX_EVENTS
};

enum sip_tx_act {
    SIP_ACT_SEND = 1,         /* the request, or the response just given */
    SIP_ACT_RESEND = 2,       /* the same bytes again */
    SIP_ACT_ACK = 4,          /* ACK to a final response over 299 */
    SIP_ACT_USER = 8,         /* tell the user */
    SIP_ACT_ARM_RETX = 16,    /* A, E, G at T1 (unreliable transport only) */
    SIP_ACT_BACKOFF = 32,     /* arm it again, doubled (A) or doubled up to T2 (E, G) */
    SIP_ACT_ARM_TIMEOUT = 64, /* B, F, H */
    SIP_ACT_ARM_END = 128,    /* D, I, J, K, L, M; all other timers stop */
    SIP_ACT_STOP = 256,       /* stop retransmission and timeout */
};

struct sip_tx_cell {
    uint8_t next; /* SIP_TX_NONE: not legal */
    uint16_t act;
};

/** What the pair leads to; .next is SIP_TX_NONE if the pair is not legal. */
struct sip_tx_cell sip_tx_lookup(enum sip_tx_kind kind, enum sip_tx_state state,
                                 enum sip_tx_event event);
const char *sip_tx_state_name(enum sip_tx_state state);

#endif

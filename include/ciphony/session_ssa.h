/*
 * Ciphony: SSA, the interface between a SIP stack's lowest level and the security manager.
 *
 * A stack shows each message, as it came or as it is about to go, through a neutral view and does
 * what the manager decides. Nothing of a particular stack is included here.
 */
#ifndef CPH_SESSION_SSA_H
#define CPH_SESSION_SSA_H

#include "ciphony/base.h"
#include "ciphony/session_verdict.h"

struct cph_manager;

/* One SIP message. All views belong to the stack and die when the call returns. */
struct cph_ssa_msg {
    unsigned status;        /* of a response; 0: this is a request */
    struct cph_span method; /* of the request, or from the CSeq of the response */
    struct cph_span uri; /* Request-URI; of a response: that of the request it answers, or empty */
    struct cph_span call_id;
    struct cph_span from_tag, to_tag; /* empty if absent */
    struct cph_span from_uri, to_uri; /* addresses alone, "sip:alice@example.org" */
    uint32_t cseq;
    struct cph_span body; /* the bytes the Content-Length speaks of */
    struct cph_span raw;  /* the whole message as on the wire; may be empty on the way out */
    /* The i-th value (from 0) of the header `name`, in the order of the message, long or compact
     * form; comma lists of Authorization and the like are one value per header line. p NULL when
     * there is none. Must be the value the stack itself would act on. */
    struct cph_span (*header)(void *ctx, const char *name, unsigned i);
    void *ctx;
    const struct cph_hop_facts *hop; /* the flow it came by or goes by; NULL: not known */
    struct cph_span
        peer; /* who is at the other end of the flow, e.g. "192.0.2.1:5060": limits, logs */
    const void
        *account; /* whose credentials to use; given to the application (SST), not looked into */
    bool repeat;  /* outgoing: the same bytes went out before */
};

enum cph_ssa_do {
    CPH_SSA_PASS,  /* the message is good: in: give it to call control; out: send it with `headers`
                      added */
    CPH_SSA_DROP,  /* nobody hears of it */
    CPH_SSA_REPLY, /* in, request: answer `status` with `headers` and forget it */
    CPH_SSA_RETRY, /* in, response: send the request anew (next CSeq, new branch) with `headers` */
    CPH_SSA_REPLACE, /* in or out: go on with `body` in place of the message's body */
};

enum { CPH_SSA_HEADERS = 4096 }; /* bytes of header lines the manager adds at most */

/* What the stack shall do. Filled by the manager; spans live until the next call of the manager. */
struct cph_ssa_out {
    enum cph_ssa_do what;
    unsigned status;
    const char *reason;      /* words for the log and the Reason phrase; NULL: the usual ones */
    struct cph_span headers; /* whole lines, "Name: value\r\n" each */
    struct cph_span body, body_type;
};

/**
 * A message arrived and was parsed, nobody above has seen it: decrypt, authenticate, and run the
 * state machine. Never fails: what cannot be decided is dropped or refused.
 */
CPH_API void cph_ssa_receive(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                             struct cph_ssa_out *out);
/** A message is about to be sent: authorize and encrypt. */
CPH_API void cph_ssa_send(struct cph_manager *m, const struct cph_ssa_msg *msg, cph_time now,
                          struct cph_ssa_out *out);

/*
 * The four functions below the two above, for a stack that calls them itself. CPH_OK; CPH_E_AUTH:
 * no or wrong proof; CPH_E_POLICY: the application forbids it; CPH_E_UNSUPPORTED: no application
 * does this scheme.
 */

/** The body for the wire: out is CPH_SSA_REPLACE with body and body_type, or as it was if nobody
 * seals for this peer. */
CPH_API CPH_MUST_CHECK cph_err cph_ssa_encrypt(struct cph_manager *m, const struct cph_ssa_msg *msg,
                                               struct cph_ssa_out *out);
/** The reverse: what was inside, or out as it was if the body is not sealed. */
CPH_API CPH_MUST_CHECK cph_err cph_ssa_decrypt(struct cph_manager *m, const struct cph_ssa_msg *msg,
                                               struct cph_ssa_out *out);
/** Check the proof an incoming message carries; *proof says what it is worth. */
CPH_API CPH_MUST_CHECK cph_err cph_ssa_authenticate(struct cph_manager *m,
                                                    const struct cph_ssa_msg *msg, cph_time now,
                                                    enum cph_peer_proof *proof);
/** Header lines that prove an outgoing request; none if nothing is asked of us. */
CPH_API CPH_MUST_CHECK cph_err cph_ssa_authorize(struct cph_manager *m,
                                                 const struct cph_ssa_msg *msg, cph_time now,
                                                 struct cph_ssa_out *out);

#endif

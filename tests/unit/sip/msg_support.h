/* What the codec's tests share. */
#ifndef TEST_SIP_MSG_SUPPORT_H
#define TEST_SIP_MSG_SUPPORT_H

#include <stdlib.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/sip_msg.h"
#include "support.h"

#define assert_span(got, want)                                                                     \
    do {                                                                                           \
        struct cph_span got_span_ = (got);                                                         \
        if (!cph_span_is(got_span_, want))                                                         \
            print_error("%s: '%.*s' instead of '%s'\n", #got, CPH_SPAN_ARG(got_span_), want);      \
        assert_true(cph_span_is(got_span_, want));                                                 \
    } while (0)

/* A message with the arena its index lies in. */
struct parsed {
    struct cph_arena *arena;
    struct cph_sip_msg msg;
    struct cph_sip_fault fault;
    cph_err err;
};

static inline struct parsed parse_bytes(struct cph_span bytes, enum cph_sip_transport_kind kind)
{
    struct parsed p = { 0 };

    assert_ok(cph_arena_new(CPH_SIP_ARENA, &p.arena));
    p.err = cph_sip_msg_parse(p.arena, bytes, kind, &p.msg, &p.fault);
    return p;
}

static inline void parsed_free(struct parsed *p)
{
    cph_arena_free(p->arena);
    p->arena = NULL;
}

#endif

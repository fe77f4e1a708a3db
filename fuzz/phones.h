/* What the fuzzers of a phone that requires keys have in common: its user, and what must never be.
 */
#ifndef FUZZ_PHONES_H
#define FUZZ_PHONES_H

#include <stdlib.h>
#include <string.h>

#include "ciphony/base_wire.h"
#include "ciphony/sip_phone.h"
#include "dice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct dice dice = { .add = 1442695, .shift = 56 }; /* set its state to 1 before each run */

/* It says nothing, which is 0xff in PCMU: that must not be seen. */
static inline void check_media(struct cph_span p)
{
    if (p.n >= 12 + 40 && p.p[0] >> 6 == 2 && memcmp(p.p + 12, p.p + 13, p.n - 13) == 0)
        abort();
}

static inline void media_close(void *ctx, uint32_t call)
{
    (void)ctx, (void)call;
}

/* There are neither names nor connections. */
static inline void deny(struct cph_sip_ua *ua, const struct cph_sip_action *a, cph_time now)
{
    if (a->what == CPH_SIP_DO_RESOLVE)
        cph_sip_ua_resolved(ua, a->query, CPH_E_NAME, NULL, 0, now);
    else if (a->what == CPH_SIP_DO_OPEN)
        cph_sip_ua_closed(ua, a->flow, CPH_E_IO, now);
}

/* call: the last that came; ended: the last that did. */
static inline void hear(const struct cph_phone_event *ev, uint32_t *call, uint32_t *ended)
{
    if (ev->kind == CPH_PHONE_INCOMING)
        *call = ev->call;
    if (ev->kind == CPH_PHONE_PLAIN || (ev->kind == CPH_PHONE_ENDED && ev->call == *ended))
        abort();
    *ended = ev->kind == CPH_PHONE_ENDED ? ev->call : *ended;
}

/* What the user may want of the call: numbers that the seeds have. */
static inline void want(struct cph_phone *p, uint8_t what, const char *to, uint32_t *call,
                        cph_time now)
{
    struct cph_phone_dial dial = { .to = to };
    uint32_t id = *call;

    if (what == 0 && cph_phone_dial(p, &dial, now, &id) == CPH_OK)
        *call = id;
    (void)!(what == 1   ? cph_phone_ring(p, id, now)
            : what == 2 ? cph_phone_accept(p, id, now)
            : what == 3 ? cph_phone_hangup(p, id, now)
            : what < 6  ? cph_phone_hold(p, id, what == 4, now)
            : what == 6 ? cph_phone_rekey(p, id, now)
            : what == 7 ? cph_phone_rekey_media(p, id, now)
            : what == 8 ? cph_phone_reject(p, id, 486, now)
                        : cph_phone_digits(p, id, "1#"));
}

#endif

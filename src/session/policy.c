#include "ciphony/session_policy.h"

#include <string.h>

#include "ciphony/base_text.h"

struct cph_policy cph_policy_choose(const struct cph_policy *account, const struct cph_policy *call)
{
    static const struct cph_policy strictest;
    struct cph_policy p = account ? *account : strictest;

    if (!call)
        return p;
    if (call->media != CPH_SECURITY_UNSET)
        p.media = call->media;
    if (call->keying_n > 0) {
        memcpy(p.keying, call->keying, sizeof p.keying);
        p.keying_n = call->keying_n;
        p.media_named = call->media_named;
    }
    if (call->form != CPH_KEYING_FORM_DEFAULT)
        p.form = call->form;
    if (call->precondition > p.precondition)
        p.precondition = call->precondition;
    if (call->early_packets > 0)
        p.early_packets = call->early_packets;
    if (call->early_ms > 0)
        p.early_ms = call->early_ms;
    /* A call may ask for more than its account, never for less, by what a zero would mean. */
    if (call->need > p.need)
        p.need = call->need;
    p.no_authorities |= call->no_authorities;
    p.enforce_need |= call->enforce_need;
    if (call->keying_n > 0)
        p.free_offers = call->free_offers;
    p.challenge |= call->challenge;
    p.cover_body |= call->cover_body;
    p.smime |= call->smime;
    return p;
}

bool cph_policy_needs(const struct cph_policy *p, unsigned need)
{
    for (unsigned i = 0; i < p->keying_n && i < CPH_POLICY_KEYING_MAX; i++) {
        const struct cph_keying_method *m = cph_keying_method_by_name(cph_span_of(p->keying[i]));

        if (m && (m->needs & need))
            return true;
    }
    return false;
}

enum cph_security cph_policy_media(const struct cph_policy *p)
{
    enum cph_security s = p->media == CPH_SECURITY_UNSET ? p->media_named : p->media;

    return s == CPH_SECURITY_PREFER || s == CPH_SECURITY_NONE ? s : CPH_SECURITY_REQUIRED;
}

/* ---- mechanisms by name ---------------------------------------------------------------------- */

static enum cph_security security_of(enum cph_keying_policy policy)
{
    switch (policy) {
    case CPH_KEYING_PREFER:
        return CPH_SECURITY_PREFER;
    case CPH_KEYING_NONE:
        return CPH_SECURITY_NONE;
    case CPH_KEYING_REQUIRED:
        break;
    }
    return CPH_SECURITY_REQUIRED;
}

static cph_err add(struct cph_policy *p, struct cph_span name)
{
    const struct cph_keying_method *m = cph_keying_method_by_name(name);

    if (!m || p->keying_n == CPH_POLICY_KEYING_MAX)
        return CPH_E_MALFORMED;
    for (unsigned i = 0; i < p->keying_n; i++)
        if (cph_span_is(name, p->keying[i]))
            return CPH_E_MALFORMED;
    p->keying[p->keying_n++] = m->name;
    return CPH_OK;
}

static cph_err add_preset(struct cph_policy *p, const struct cph_keying_preset *preset)
{
    for (size_t i = 0; preset->row[i]; i++)
        CPH_TRY(add(p, cph_span_of(preset->row[i])));
    p->media_named = security_of(preset->policy);
    p->enforce_need = preset->policy == CPH_KEYING_REQUIRED;
    p->free_offers = true;
    return CPH_OK;
}

cph_err cph_policy_keying(struct cph_policy *p, struct cph_span text)
{
    const struct cph_keying_preset *preset = cph_keying_preset_by_name(cph_span_trim(text));
    struct cph_policy next = *p;

    memset(next.keying, 0, sizeof next.keying);
    next.keying_n = 0;
    next.media_named = CPH_SECURITY_UNSET;
    next.enforce_need = false;
    next.free_offers = false;
    if (preset) {
        CPH_TRY(add_preset(&next, preset));
    } else {
        bool more;

        do {
            more = cph_span_find(text, ',') < text.n;
            CPH_TRY(add(&next, cph_span_trim(cph_span_cut(&text, ','))));
        } while (more);
    }
    *p = next;
    return CPH_OK;
}

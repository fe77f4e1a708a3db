#include <stdio.h>

#include "ciphony/base_wire.h"
#include "ciphony/session_manager.h"
#include "ciphony/session_policy.h"
#include "ciphony/session_verdict.h"

#define NAME_OF(table, i)                                                                          \
    ((size_t)(i) < sizeof(table) / sizeof(table)[0] && (table)[i] ? (table)[i] : "?")

/* ---- levels, classes, vouchers --------------------------------------------------------------- */

static const char *const level_name[] = {
    [CPH_LEVEL_OPEN] = "open",         [CPH_LEVEL_HOP] = "hop",
    [CPH_LEVEL_PRIVATE] = "private",   [CPH_LEVEL_IDENTIFIED] = "identified",
    [CPH_LEVEL_VERIFIED] = "verified",
};

const char *cph_level_name(enum cph_level level)
{
    return NAME_OF(level_name, level);
}

const char *cph_level_text(enum cph_level level)
{
    static const char *const text[] = {
        [CPH_LEVEL_OPEN] = "Whoever listens on the path can hear this call.",
        [CPH_LEVEL_HOP] =
            "Listening is not enough, but who passes the call's messages on could hear it.",
        [CPH_LEVEL_PRIVATE] =
            "Only two ends have the keys, but nobody says the other end is the peer.",
        [CPH_LEVEL_IDENTIFIED] =
            "Only two ends have the keys, and an authority vouches for the peer.",
        [CPH_LEVEL_VERIFIED] = "Only you and the peer have the keys, proven by what you two hold.",
    };

    return NAME_OF(text, level);
}

const char *cph_attacker_name(enum cph_attacker c)
{
    static const char *const name[] = { NULL, "I", "II", "III", "IV" };

    return NAME_OF(name, c);
}

const char *cph_attacker_text(enum cph_attacker c)
{
    static const char *const text[] = {
        NULL,
        "listening is enough to hear the call",
        "one active attack, then listening, is enough to hear the call",
        "signalling and media must both be attacked actively to hear the call",
        "only an active attack could hear the call, and it would be noticed",
    };

    return NAME_OF(text, c);
}

const char *cph_voucher_name(enum cph_voucher v)
{
    static const char *const name[] = {
        [CPH_VOUCHER_UNKNOWN] = "nobody", [CPH_VOUCHER_NOBODY] = "nobody",
        [CPH_VOUCHER_DOMAIN] = "domain",  [CPH_VOUCHER_AUTHORITY] = "authority",
        [CPH_VOUCHER_PIN] = "pin",        [CPH_VOUCHER_PAIRED] = "pairing",
        [CPH_VOUCHER_SECRET] = "secret",  [CPH_VOUCHER_COMPARED] = "comparison",
    };

    return NAME_OF(name, v);
}

const char *cph_ends_text(enum cph_ends e)
{
    static const char *const text[] = {
        [CPH_ENDS_HERE] = "here: nothing protects the media on its way",
        [CPH_ENDS_HOP] = "at the next signalling hop, or any behind it",
        [CPH_ENDS_FAR] = "at the far end of the keys, whoever that is",
        [CPH_ENDS_VOUCHED] = "at the one who is vouched for",
        [CPH_ENDS_PEER] = "at the peer's device",
    };

    return NAME_OF(text, e);
}

/* ---- reasons and hops ------------------------------------------------------------------------ */

const char *cph_reason_name(enum cph_reason r)
{
    static const char *const name[] = {
#define REASON_NAME(name, text) [CPH_REASON_##name] = #name,
        CPH_REASON_LIST(REASON_NAME)
#undef REASON_NAME
    };

    return NAME_OF(name, r);
}

const char *cph_reason_text(enum cph_reason r)
{
    static const char *const sentence[] = {
#define REASON_TEXT(name, text) [CPH_REASON_##name] = (text),
        CPH_REASON_LIST(REASON_TEXT)
#undef REASON_TEXT
    };

    return NAME_OF(sentence, r);
}

const char *cph_hop_transport_name(enum cph_hop_transport t)
{
    static const char *const name[] = {
        [CPH_HOP_UNKNOWN] = "unknown", [CPH_HOP_UDP] = "udp",       [CPH_HOP_TCP] = "tcp",
        [CPH_HOP_TLS_OLD] = "old tls", [CPH_HOP_TLS12] = "tls 1.2", [CPH_HOP_TLS13] = "tls 1.3",
    };

    return NAME_OF(name, t);
}

/* A claim (a Via line) names no version. */
static const char *shown_transport(const struct cph_hop_facts *h)
{
    if (h->seen != CPH_HOP_SEEN_CLAIMED || h->transport == CPH_HOP_UDP ||
        h->transport == CPH_HOP_TCP)
        return cph_hop_transport_name(h->transport);
    return h->transport >= CPH_HOP_TLS12 ? "tls" : "without tls";
}

const char *cph_verdict_reason_line(const struct cph_verdict *v, unsigned i,
                                    char out[CPH_VERDICT_LINE])
{
    const struct cph_verdict_reason *r = &v->reason[i < v->reasons_n ? i : 0];
    const char *text = cph_reason_text(r->code);

    if (i >= v->reasons_n) {
        out[0] = '\0';
        return out;
    }
    switch (r->about) {
    case CPH_ABOUT_CALL:
        (void)snprintf(out, CPH_VERDICT_LINE, "%s", text);
        break;
    case CPH_ABOUT_STREAM: /* with one stream there is nothing to tell apart */
        if (v->streams_n == 1)
            (void)snprintf(out, CPH_VERDICT_LINE, "%s", text);
        else
            (void)snprintf(out, CPH_VERDICT_LINE, "stream %u: %s", r->index + 1, text);
        break;
    case CPH_ABOUT_HOP:
        (void)snprintf(out, CPH_VERDICT_LINE, "hop %u (%s%s%s): %s", r->index + 1,
                       shown_transport(&v->hop[r->index]), v->hop[r->index].name[0] ? " " : "",
                       v->hop[r->index].name, text);
        break;
    }
    return out;
}

const char *cph_verdict_hop_line(const struct cph_verdict *v, unsigned i,
                                 char out[CPH_VERDICT_LINE])
{
    static const char *const auth[] = {
        [CPH_HOP_AUTH_UNKNOWN] = "not authenticated",
        [CPH_HOP_AUTH_NONE] = "not authenticated",
        [CPH_HOP_AUTH_AUTHORITY] = "certificate and name checked",
        [CPH_HOP_AUTH_PINNED] = "pinned certificate",
    };
    static const char *const whose[] = {
        [CPH_HOP_WHOSE_UNKNOWN] = "",
        [CPH_HOP_WHOSE_NEXT] = " of the next server",
        [CPH_HOP_WHOSE_DOMAIN] = " of the peer's domain",
        [CPH_HOP_WHOSE_PEER] = " of the peer",
    };
    const struct cph_hop_facts *h = &v->hop[i < v->hops_n ? i : 0];

    out[0] = '\0';
    if (i >= v->hops_n)
        return out;
    (void)snprintf(out, CPH_VERDICT_LINE, "%s%s%s", shown_transport(h), h->name[0] ? " to " : "",
                   h->name);
    size_t n = 0;
    while (out[n])
        n++;
    if (h->seen != CPH_HOP_SEEN_OURS)
        (void)snprintf(out + n, CPH_VERDICT_LINE - n, ", only claimed");
    else if (h->transport >= CPH_HOP_TLS_OLD)
        (void)snprintf(out + n, CPH_VERDICT_LINE - n, ", %s%s", NAME_OF(auth, h->auth),
                       h->auth >= CPH_HOP_AUTH_AUTHORITY ? NAME_OF(whose, h->whose) : "");
    return out;
}

/* ---- the whole verdict as text --------------------------------------------------------------- */

cph_err cph_verdict_print(const struct cph_verdict *v, char *out, size_t cap)
{
    char line[CPH_VERDICT_LINE];
    struct cph_wr wr;

    if (cap == 0)
        return CPH_E_NOSPACE;
    wr = cph_wr_open(out, cap - 1); /* the NUL always has its place */
    cph_wr_fmt(&wr, "%s (attacker class %s): %s\n", cph_level_name(v->level),
               cph_attacker_name(v->attacker), cph_level_text(v->level));
    cph_wr_fmt(&wr, "peer: %s, vouched for by: %s%s%s\n", v->peer[0] ? v->peer : "unknown",
               cph_voucher_name(v->vouched_by), v->voucher[0] ? " " : "", v->voucher);
    cph_wr_fmt(&wr, "protection ends %s\n", cph_ends_text(v->ends_at));
    for (unsigned i = 0; i < v->streams_n; i++) {
        const struct cph_verdict_stream *s = &v->stream[i];

        cph_wr_fmt(&wr, "stream %u: %s %s, %s, %llu packets in, %llu out\n", i + 1,
                   s->keying[0] ? s->keying : "no keying", s->suite[0] ? s->suite : "no suite",
                   cph_level_name(s->level), (unsigned long long)s->packets_in,
                   (unsigned long long)s->packets_out);
    }
    for (unsigned i = 0; i < v->hops_n; i++)
        cph_wr_fmt(&wr, "hop %u: %s\n", i + 1, cph_verdict_hop_line(v, i, line));
    for (unsigned i = 0; i < v->reasons_n; i++)
        cph_wr_fmt(&wr, "- %s\n", cph_verdict_reason_line(v, i, line));
    out[wr.n] = '\0';
    return cph_wr_end(&wr);
}

/* ---- policy ---------------------------------------------------------------------------------- */

const char *cph_security_name(enum cph_security s)
{
    static const char *const name[] = {
        [CPH_SECURITY_UNSET] = "unset",
        [CPH_SECURITY_REQUIRED] = "required",
        [CPH_SECURITY_PREFER] = "prefer",
        [CPH_SECURITY_NONE] = "none",
    };

    return NAME_OF(name, s);
}

cph_err cph_security_parse(struct cph_span name, enum cph_security *out)
{
    for (int s = CPH_SECURITY_REQUIRED; s <= CPH_SECURITY_NONE; s++) {
        if (cph_span_is(name, cph_security_name((enum cph_security)s))) {
            *out = (enum cph_security)s;
            return CPH_OK;
        }
    }
    return CPH_E_MALFORMED;
}

static const char *const precondition_name[] = {
    [CPH_PRECONDITION_OFF] = "off",
    [CPH_PRECONDITION_OPTIONAL] = "optional",
    [CPH_PRECONDITION_MANDATORY] = "mandatory",
};

const char *cph_precondition_name(enum cph_precondition p)
{
    return NAME_OF(precondition_name, p);
}

cph_err cph_precondition_parse(struct cph_span name, enum cph_precondition *out)
{
    for (int p = CPH_PRECONDITION_OFF; p <= CPH_PRECONDITION_MANDATORY; p++)
        if (cph_span_is(name, precondition_name[p])) {
            *out = (enum cph_precondition)p;
            return CPH_OK;
        }
    return CPH_E_MALFORMED;
}

cph_err cph_level_parse(struct cph_span name, enum cph_level *out)
{
    for (int l = CPH_LEVEL_OPEN; l <= CPH_LEVEL_VERIFIED; l++) {
        if (cph_span_is(name, level_name[l])) {
            *out = (enum cph_level)l;
            return CPH_OK;
        }
    }
    return CPH_E_MALFORMED;
}

/* ---- the manager ----------------------------------------------------------------------------- */

const char *cph_manager_state_name(enum cph_manager_state s)
{
    static const char *const name[] = {
        [CPH_MANAGER_IDLE] = "idle",
        [CPH_MANAGER_WAIT_AUTHORIZED_INVITE] = "wait_authorized_invite",
    };

    return NAME_OF(name, s);
}

const char *cph_manager_signal_name(enum cph_manager_signal s)
{
    static const char *const name[] = {
        [CPH_SIGNAL_GOT_INVITE] = "got_invite",
        [CPH_SIGNAL_GOT_UNAUTHORIZED] = "got_unauthorized",
        [CPH_SIGNAL_GOT_ERROR] = "got_error",
        [CPH_SIGNAL_SEND_WWW_AUTHENTICATE] = "send_www_authenticate",
        [CPH_SIGNAL_SIP_INVITE] = "sip_invite",
    };

    return NAME_OF(name, s);
}

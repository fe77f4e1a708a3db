#include "msg_int.h"

/* gen-value = token / host / quoted-string; received= carries IPv6 without brackets too. */
static bool take_value(struct cph_span *s, struct cph_span *value)
{
    size_t n = 0;

    if (s->n > 0 && s->p[0] == '"')
        return sip_take_quoted(s, value);
    while (n < s->n &&
           (sip_is(s->p[n], C_TOKEN) || s->p[n] == ':' || s->p[n] == '[' || s->p[n] == ']'))
        n++;
    *value = cph_span_head(*s, n);
    *s = cph_span_from(*s, n);
    return n > 0;
}

/* SEMI name [EQUAL value]. AGAIN at the end. */
static cph_err take_param(struct cph_span *s, struct cph_span *name, struct cph_span *value)
{
    *value = (struct cph_span){ 0 };
    sip_skip_ws(s);
    if (s->n == 0)
        return CPH_E_AGAIN;
    if (!sip_take_sep(s, ';'))
        return CPH_E_MALFORMED;
    *name = sip_take_while(s, C_TOKEN);
    if (name->n == 0)
        return CPH_E_MALFORMED;
    if (sip_take_sep(s, '=') && !take_value(s, value))
        return CPH_E_MALFORMED;
    return CPH_OK;
}

bool cph_sip_param_next(struct cph_span *rest, struct cph_span *name, struct cph_span *value)
{
    return take_param(rest, name, value) == CPH_OK;
}

bool cph_sip_param(struct cph_span params, const char *name, struct cph_span *value)
{
    struct cph_span n, v;

    while (cph_sip_param_next(&params, &n, &v)) {
        if (cph_span_iis(n, name)) {
            *value = v;
            return true;
        }
    }
    return false;
}

cph_err sip_params_parse(struct cph_span s, struct cph_span *params)
{
    struct cph_span names[CPH_SIP_PARAMS_MAX], rest, value;
    size_t n = 0;
    cph_err err;

    s = cph_span_trim(s);
    for (rest = s;; n++) {
        struct cph_span name;

        err = take_param(&rest, &name, &value);
        if (err == CPH_E_AGAIN)
            break;
        CPH_TRY(err);
        if (n == CPH_SIP_PARAMS_MAX)
            return CPH_E_LIMIT;
        /* RFC 3261 7.3.1 MUST: a parameter name appears once at most in a value */
        for (size_t i = 0; i < n; i++) {
            if (cph_span_ieq(names[i], name))
                return CPH_E_MALFORMED;
        }
        names[n] = name;
    }
    *params = s;
    return CPH_OK;
}

cph_err cph_sip_unquote(struct cph_span text, uint8_t *buf, size_t cap, size_t *n)
{
    bool quoted = text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"';
    size_t at = 0;

    if (quoted)
        text = (struct cph_span){ text.p + 1, text.n - 2 };
    for (size_t i = 0; i < text.n; i++) {
        if (quoted && text.p[i] == '\\' && i + 1 < text.n)
            i++;
        if (at == cap)
            return CPH_E_NOSPACE;
        buf[at++] = text.p[i];
    }
    *n = at;
    return CPH_OK;
}

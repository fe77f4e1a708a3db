/* What the user of a phone does in a call, and with an account. */
#include "phone_int.h"

/* A call that is not over and has a session; answered: and that stands. */
static cph_err call_of(struct cph_phone *p, uint32_t call, bool answered, struct phone_call **out)
{
    struct phone_call *c = phone_call_of(p, call);

    if (!c || c->ended)
        return CPH_E_NOTFOUND;
    if (!c->session || (answered && !c->answered))
        return CPH_E_STATE;
    *out = c;
    return CPH_OK;
}

cph_err cph_phone_hangup(struct cph_phone *p, uint32_t call, cph_time now)
{
    struct phone_call *c = phone_call_of(p, call);

    if (!c || c->ended)
        return CPH_E_NOTFOUND;
    if (c->flow)
        cph_media_flow_bye(c->flow, now);
    return cph_sip_call_hangup(p->ua, c->sip, NULL, now);
}

cph_err cph_phone_hold(struct cph_phone *p, uint32_t call, bool hold, cph_time now)
{
    struct phone_call *c;
    cph_err err;

    CPH_TRY(call_of(p, call, true, &c));
    CPH_TRY(cph_session_direction(c->session, 0, hold ? CPH_SDP_SENDONLY : CPH_SDP_SENDRECV));
    err = phone_reoffer(c, now);
    if (err != CPH_OK) {
        cph_err back = cph_session_direction(c->session, 0,
                                             c->held_by_us ? CPH_SDP_SENDONLY : CPH_SDP_SENDRECV);

        return back == CPH_OK ? err : back;
    }
    c->held_by_us = hold;
    return CPH_OK;
}

cph_err cph_phone_rekey(struct cph_phone *p, uint32_t call, cph_time now)
{
    struct phone_call *c;

    CPH_TRY(call_of(p, call, true, &c));
    CPH_TRY(cph_session_rekey(c->session));
    return phone_reoffer(c, now);
}

cph_err cph_phone_rekey_media(struct cph_phone *p, uint32_t call, cph_time now)
{
    struct phone_call *c;

    CPH_TRY(call_of(p, call, false, &c));
    CPH_TRY(cph_session_rekey_media(c->session, now));
    phone_session_events(c, now);
    return CPH_OK;
}

cph_err cph_phone_sas(struct cph_phone *p, uint32_t call, bool equal, cph_time now)
{
    struct phone_call *c;
    cph_err err;

    CPH_TRY(call_of(p, call, false, &c));
    err = cph_session_sas_compared(c->session, equal);
    if (err != CPH_OK && err != CPH_E_STORE)
        return err;
    if (equal)
        phone_tell(p, CPH_PHONE_CHANGED, c->id, "the strings were compared and are equal");
    phone_session_events(c, now);
    return err;
}

/* Of a call that stands, and what came of it. */
static cph_err on_session(struct cph_phone *p, uint32_t call,
                          cph_err (*act)(struct cph_session *s, cph_time now), cph_time now)
{
    struct phone_call *c;
    cph_err err;

    CPH_TRY(call_of(p, call, true, &c));
    err = act(c->session, now);
    phone_session_events(c, now);
    return err;
}

static cph_err enroll(struct cph_session *s, cph_time now)
{
    (void)now;
    return cph_session_enroll(s);
}

cph_err cph_phone_enroll(struct cph_phone *p, uint32_t call, cph_time now)
{
    return on_session(p, call, enroll, now);
}

cph_err cph_phone_clear(struct cph_phone *p, uint32_t call, cph_time now)
{
    return on_session(p, call, cph_session_clear, now);
}

cph_err cph_phone_secure(struct cph_phone *p, uint32_t call, cph_time now)
{
    return on_session(p, call, cph_session_secure, now);
}

cph_err cph_phone_mute(struct cph_phone *p, uint32_t call, bool mute)
{
    struct phone_call *c = phone_call_of(p, call);

    if (!c || !c->flow)
        return CPH_E_NOTFOUND;
    c->muted = mute;
    cph_media_flow_mute(c->flow, mute);
    return CPH_OK;
}

cph_err cph_phone_digits(struct cph_phone *p, uint32_t call, const char *digits)
{
    struct phone_call *c = phone_call_of(p, call);

    return c && c->flow ? cph_media_flow_digits(c->flow, digits, 0) : CPH_E_NOTFOUND;
}

cph_err cph_phone_register(struct cph_phone *p, const char *account, cph_time now)
{
    struct phone_account *a = phone_account_of(p, account);
    struct cph_sip_reg reg = { 0 };

    if (!a)
        return CPH_E_NOTFOUND;
    if (!a->has_registrar || !a->has_aor)
        return CPH_E_CONFIG;
    if (a->registration)
        return CPH_E_EXISTS;
    reg.registrar = a->registrar;
    reg.aor = a->aor;
    reg.route[0] = a->has_route ? a->route : NULL;
    reg.account = a;
    reg.cookie = a;
    return cph_sip_register(p->ua, &reg, now, &a->registration);
}

cph_err cph_phone_unregister(struct cph_phone *p, const char *account, cph_time now)
{
    struct phone_account *a = phone_account_of(p, account);

    return a && a->registration ? cph_sip_unregister(p->ua, a->registration, now) : CPH_E_NOTFOUND;
}

#include "ua_int.h"

#include <string.h>

/*
 * Session timers, RFC 4028. The interval stands in the last 2xx to an INVITE or UPDATE, and who
 * refreshes too. The refresher sends UPDATE (or a re-INVITE with the same offer) at half of it; the
 * other side ends the call when it has heard nothing shortly before the whole of it is over.
 */

static bool read_se(const struct cph_sip_msg *m, enum cph_sip_hdr id,
                    struct cph_sip_session_expires *se)
{
    const struct cph_sip_header *h = cph_sip_find(m, id);

    return h && cph_sip_session_expires_parse(h->value, se) == CPH_OK;
}

/* ---- caller of a request (7.1, 7.4) ---------------------------------------------------------- */

void sip_timer_request_lines(const struct sip_call *c, struct cph_wr *wr)
{
    unsigned se = c->session_expires ? c->session_expires : c->ask_se;

    if (!se)
        return;
    if (c->session_expires) /* inside the dialog the roles stay (7.4) */
        cph_wr_fmt(wr, "Session-Expires: %u;refresher=%s\r\n", se, c->we_refresh ? "uac" : "uas");
    else
        cph_wr_fmt(wr, "Session-Expires: %u\r\n", se);
    cph_wr_fmt(wr, "Min-SE: %u\r\n", c->min_se);
}

void sip_timer_uac(struct sip_call *c, const struct sip_in *in)
{
    struct cph_sip_session_expires se;

    c->session_expires = 0;
    if (read_se(&in->msg, CPH_SIP_H_SESSION_EXPIRES, &se) && se.seconds >= 90) {
        c->session_expires = se.seconds;
        c->we_refresh = se.refresher != CPH_SIP_REFRESHER_UAS;
    } else if (c->ask_se) {
        /* 7.2: nobody on the way knows it; we may refresh by ourselves */
        c->session_expires = c->ask_se;
        c->we_refresh = true;
    }
    sip_timer_arm(c);
}

/* 7.3: 422 says the smallest it takes; ask again with that. False: it does not help. */
bool sip_timer_422(struct sip_call *c, const struct sip_in *in)
{
    struct cph_sip_session_expires min;

    if (!read_se(&in->msg, CPH_SIP_H_MIN_SE, &min) || min.seconds <= c->min_se ||
        min.seconds > 86400)
        return false;
    c->min_se = min.seconds;
    if (c->ask_se < min.seconds)
        c->ask_se = min.seconds;
    if (c->session_expires && c->session_expires < min.seconds)
        c->session_expires = min.seconds;
    return true;
}

/* ---- called side (9) ------------------------------------------------------------------------- */

bool sip_timer_uas_check(struct sip_call *c, struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_session_expires se;
    char line[40];
    struct cph_wr wr = cph_wr_open(line, sizeof line);

    if (!cph_sip_has_token(&in->msg, CPH_SIP_H_SUPPORTED, "timer") ||
        !read_se(&in->msg, CPH_SIP_H_SESSION_EXPIRES, &se) || se.seconds >= c->ua->cfg.min_se)
        return true;
    c->ua->count.bad_state++;
    cph_wr_fmt(&wr, "Min-SE: %u\r\n", c->ua->cfg.min_se); /* RFC 4028 9 MUST */
    if (sip_respond(tx, 422, "", cph_wr_done(&wr), false, (struct cph_span){ 0 },
                    (struct cph_span){ 0 }) != CPH_OK)
        c->ua->count.transport_failed++;
    return false;
}

/* Lines for the 2xx to an INVITE or UPDATE, and what they mean for us: table 2 of section 9. */
void sip_timer_uas_lines(struct sip_call *c, const struct sip_in *in, struct cph_wr *wr)
{
    bool supports = cph_sip_has_token(&in->msg, CPH_SIP_H_SUPPORTED, "timer");
    struct cph_sip_session_expires se = { 0 }, min = { 0 };
    bool asked = read_se(&in->msg, CPH_SIP_H_SESSION_EXPIRES, &se);

    c->session_expires = 0;
    if (!asked) {
        if (!c->ask_se)
            return;
        if (read_se(&in->msg, CPH_SIP_H_MIN_SE, &min) && min.seconds > c->ask_se)
            se.seconds = min.seconds;
        else
            se.seconds = c->ask_se;
    }
    if (se.seconds < 90)
        return;
    c->session_expires = se.seconds;
    if (!supports)
        c->we_refresh = true;
    else if (asked && se.refresher != CPH_SIP_REFRESHER_NONE)
        c->we_refresh = se.refresher == CPH_SIP_REFRESHER_UAS;
    else
        c->we_refresh = false; /* the caller, who asked, does it */
    cph_wr_fmt(wr, "Session-Expires: %u;refresher=%s\r\n", se.seconds,
               c->we_refresh ? "uas" : "uac");
    if (supports)
        cph_wr_text(wr, "Require: timer\r\n");
}

/* ---- time ---- */

void sip_timer_arm(struct sip_call *c)
{
    struct cph_sip_ua *ua = c->ua;
    cph_time se = CPH_SEC((cph_time)c->session_expires), early;

    cph_timers_stop(&ua->timers, &c->refresh);
    cph_timers_stop(&ua->timers, &c->expire);
    if (!se)
        return;
    /* 10: BYE min(32 s, a third of the interval) before the end */
    early = se / 3 < CPH_SEC(32) ? se / 3 : CPH_SEC(32);
    if (sip_timer_set(ua, &c->expire, SIP_TIMER_CALL, c, c->we_refresh ? se : se - early) != CPH_OK)
        ua->count.dropped_nomem++;
    if (c->we_refresh && sip_timer_set(ua, &c->refresh, SIP_TIMER_CALL, c, se / 2) != CPH_OK)
        ua->count.dropped_nomem++;
}

static void refresh(struct sip_call *c)
{
    bool update = c->win && c->win->peer_update;
    cph_err err = CPH_E_STATE;

    if (c->state == SIP_CALL_UP && c->win && !c->tx && !c->update && c->pending == SIP_OFFER_NONE &&
        (update || c->offer.n))
        err = sip_call_send_offer(c, c->win, update, true);
    /* something else is under way: it refreshes too, or we come back */
    if (err && sip_timer_set(c->ua, &c->refresh, SIP_TIMER_CALL, c, CPH_SEC(5)) != CPH_OK)
        c->ua->count.dropped_nomem++;
}

void sip_timer_due(struct sip_call *c, struct cph_timer *t)
{
    if (t == &c->refresh) {
        refresh(c);
        return;
    }
    if (c->win)
        sip_call_bye(c, c->win, "session expired");
    sip_call_end(c, NULL, CPH_E_EXPIRED, 408, "the session timer ran out", false);
}

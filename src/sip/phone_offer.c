/*
 * Offers in bodies: what the session offers as SIP carries it, one description or two in a
 * multipart/alternative, and what the peer's bodies have for us. RFC 2046 5.1.4, RFC 5621 3.
 */
#include "phone_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ciphony/base_text.h"

enum { OFFERS = 4 }; /* descriptions of one offer that are looked at, the last ones */

void phone_offer_open(struct phone_offer *o)
{
    o->wr = cph_wr_open(o->b, sizeof o->b);
    o->type[0] = '\0';
}

void phone_offer_wipe(struct phone_offer *o)
{
    cph_wr_wipe(&o->wr);
}

static const char sdp_type[] = "application/sdp";

static void put_part(struct cph_wr *wr, const char *boundary, struct cph_span body)
{
    cph_wr_fmt(wr, "--%s\r\nContent-Type: %s\r\n\r\n", boundary, sdp_type);
    cph_wr_span(wr, body);
    cph_wr_text(wr, "\r\n");
}

/* The description that everybody understands first, the one we like best last. */
static cph_err two_bodies(const struct phone_call *c, struct cph_span keyed, struct cph_span plain,
                          struct phone_offer *o)
{
    uint8_t r[16];
    char boundary[sizeof r * 2 + 1];

    CPH_TRY(cph_random(c->phone->env, r, sizeof r));
    cph_hex((struct cph_span){ r, sizeof r }, boundary);
    (void)snprintf(o->type, sizeof o->type, "multipart/alternative;boundary=%s", boundary);
    put_part(&o->wr, boundary, plain);
    put_part(&o->wr, boundary, keyed);
    cph_wr_fmt(&o->wr, "--%s--\r\n", boundary);
    return cph_wr_end(&o->wr);
}

cph_err phone_offer_write(struct phone_call *c, cph_time now, struct phone_offer *o)
{
    PHONE_SDP_SCOPED(keyed);
    PHONE_SDP_SCOPED(plain);
    bool bodies;

    CPH_TRY(cph_session_offer(c->session, now, &keyed.wr));
    CPH_TRY(cph_wr_end(&keyed.wr));
    CPH_TRY(phone_seal(c, false, &keyed));
    bodies = !c->sealed && /* what is sealed has no open twin */
             cph_session_offer_plain(c->session, &plain.wr) == CPH_OK;
    c->twice = bodies || cph_session_offers_twice(c->session);
    if (bodies) {
        CPH_TRY(cph_wr_end(&plain.wr));
        return two_bodies(c, cph_wr_done(&keyed.wr), cph_wr_done(&plain.wr), o);
    }
    (void)snprintf(o->type, sizeof o->type, "%s", keyed.type[0] ? keyed.type : sdp_type);
    cph_wr_span(&o->wr, cph_wr_done(&keyed.wr));
    return cph_wr_end(&o->wr);
}

/* Refusals that may be for the form of the offer: 415 and 406 for its type; 488 and 606 by those
 * that look at the first m= line alone (liblinphone 5.1), 400, 500 and 501 by those that look for a
 * description where a boundary is (baresip 1.0). */
static bool for_its_form(unsigned status)
{
    static const unsigned refusal[] = { 400, 406, 415, 488, 500, 501, 606 };

    for (size_t i = 0; i < sizeof refusal / sizeof *refusal; i++)
        if (status == refusal[i])
            return true;
    return false;
}

/* 488 and 606 say that the description will not do. While it rang, it did. */
static bool for_its_profile(const struct phone_call *c, unsigned status)
{
    return (status == 488 || status == 606) && c->state == CPH_PHONE_ST_CALLING;
}

/* Is there a mechanism whose offers can have a secure profile? ZRTP alone has none. */
static bool can_demand(const struct phone_call *c)
{
    const struct cph_keying_method *only =
        c->policy.keying_n == 1 ? cph_keying_method_by_name(cph_span_of(c->policy.keying[0]))
                                : NULL;

    return !only || cph_sdp_proto_secure(only->profile);
}

/*
 * A peer that demands keys may refuse them under RTP/AVP (RFC 8643 has nothing for it): once more,
 * under a secure profile, with keys as a condition. Whoever is on the way could have written that
 * refusal, so it leads to more than was asked for before and never to less: from here on the call
 * is one whose policy is `required`.
 */
static cph_err demand(struct phone_call *c, cph_time now)
{
    c->demanded = true;
    c->policy.media = CPH_SECURITY_REQUIRED;
    CPH_TRY(phone_session_again(c, now));
    phone_tell(c->phone, CPH_PHONE_NOTICE, c->id,
               "the other side, or somebody on the way, refuses an offer that leaves encryption "
               "open; calling once more with encryption as a condition (RTP/SAVP)");
    return CPH_OK;
}

cph_err phone_offer_again(struct phone_call *c, const struct cph_sip_event *ev, cph_time now)
{
    /* Where somebody answered, it was understood; and what went through since is not forgotten. */
    if (c->answered || c->state == CPH_PHONE_ST_EARLY)
        return CPH_E_NOTFOUND;
    if (c->twice && for_its_form(ev->status)) { /* once more, with each stream in one line */
        c->policy.form = CPH_KEYING_FORM_OSRTP;
        return phone_session_again(c, now);
    }
    if (!c->demanded && cph_policy_media(&c->policy) == CPH_SECURITY_PREFER && can_demand(c) &&
        for_its_profile(c, ev->status))
        return demand(c, now);
    return CPH_E_NOTFOUND;
}

/* ---- the peer's ------------------------------------------------------------------------------ */

/* The descriptions of a multipart/alternative, in their order; 0: there is one body, or none. */
static unsigned alternatives(const struct cph_sip_event *ev, struct cph_span out[OFFERS])
{
    struct cph_sip_part part[CPH_SIP_PARTS_MAX];
    struct cph_sip_content_type ct;
    const struct cph_sip_header *h = ev->msg ? cph_sip_find(ev->msg, CPH_SIP_H_CONTENT_TYPE) : NULL;
    size_t parts = 0;
    unsigned n = 0;

    if (!h || cph_sip_content_type_parse(h->value, &ct) != CPH_OK ||
        !cph_span_iis(ct.type, "multipart") || !cph_span_iis(ct.subtype, "alternative") ||
        cph_sip_multipart_split(h->value, ev->msg->body, part, CPH_SIP_PARTS_MAX, &parts) != CPH_OK)
        return 0;
    for (size_t i = parts; i-- > 0 && n < OFFERS;) {
        struct cph_span value;

        if (cph_sip_part_header(&part[i], "Content-Type", &value) &&
            cph_sip_content_type_parse(value, &ct) == CPH_OK &&
            cph_span_iis(ct.type, "application") && cph_span_iis(ct.subtype, "sdp"))
            out[n++] = part[i].body;
    }
    return n;
}

cph_err phone_offer_answer(struct phone_call *c, const struct cph_sip_event *ev,
                           struct cph_span body, cph_time now, struct cph_wr *out)
{
    struct cph_span one[OFFERS];
    unsigned n = c->sealed || c->answered ? 0 : alternatives(ev, one);
    cph_err err = CPH_E_UNSUPPORTED;

    if (n == 0)
        return cph_session_answer(c->session, body, now, out);
    /* RFC 2046 5.1.4: the last that we understand, which is what we can answer */
    for (unsigned i = 0; i < n; i++) {
        err = cph_session_answer_try(c->session, one[i], i + 1 == n, now, out);
        if (err == CPH_OK || cph_err_blame(err) == CPH_BLAME_HOST)
            return err;
    }
    return err;
}

/* What is to be heard at the other end of an offer that brought no keys we can use. */
static cph_err refuse_open(const struct phone_call *c, cph_time now)
{
    char warning[256];
    struct cph_wr wr = cph_wr_open((uint8_t *)warning, sizeof warning);

    cph_wr_text(&wr, "Warning: 399 ciphony \"encrypted media is demanded here, with keys by");
    for (unsigned i = 0; i < c->policy.keying_n; i++)
        cph_wr_fmt(&wr, "%s %s", i ? " or" : "", c->policy.keying[i]);
    if (c->policy.keying_n == 0)
        cph_wr_text(&wr, " dtls or sdes");
    cph_wr_text(&wr, "\"\r\n");
    cph_wr_u8(&wr, 0);
    CPH_TRY(cph_wr_end(&wr));
    return cph_sip_call_reject(c->phone->ua, c->sip, 488,
                               "Not Acceptable Here (Encrypted Media Demanded)", warning, now);
}

cph_err phone_refuse(const struct phone_call *c, cph_time now)
{
    struct cph_span why = { (const uint8_t *)c->answer, c->answer_n };
    unsigned status = c->refuse ? c->refuse : 488;

    if (c->refusal && (status == 488 || status == 580))
        return cph_sip_call_reject_with(c->phone->ua, c->sip, status, why, now);
    if (status == 488 && c->failed == CPH_E_POLICY && !c->sealed &&
        cph_policy_media(&c->policy) == CPH_SECURITY_REQUIRED)
        return refuse_open(c, now);
    return cph_sip_call_reject(c->phone->ua, c->sip, status, NULL, NULL, now);
}

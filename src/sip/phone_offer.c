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

bool phone_offer_misunderstood(const struct phone_call *c, const struct cph_sip_event *ev)
{
    return c->twice && c->outgoing && !c->answered && c->failed == CPH_OK && ev->by_peer &&
           for_its_form(ev->status);
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

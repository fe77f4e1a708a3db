/* What comes before calls: bodies, responses, and which requests are taken at all. RFC 3261 8.2. */
#include "ua_int.h"

#include <stdio.h>
#include <string.h>

/* ---- bodies ---- */

static bool type_in(struct cph_span list, struct cph_span type)
{
    struct cph_sip_content_type ct;

    if (cph_sip_content_type_parse(type, &ct) != CPH_OK)
        return false;
    while (list.n) {
        struct cph_span one = cph_span_trim(cph_span_cut(&list, ','));
        struct cph_span main = cph_span_trim(cph_span_cut(&one, '/'));

        if (cph_span_ieq(main, ct.type) && cph_span_ieq(cph_span_trim(one), ct.subtype))
            return true;
    }
    return false;
}

void sip_body_of(const struct cph_sip_msg *msg, const char *accept, struct cph_span *type,
                 struct cph_span *body)
{
    const struct cph_sip_header *h = cph_sip_find(msg, CPH_SIP_H_CONTENT_TYPE);
    struct cph_sip_content_type ct;
    struct cph_sip_part part[CPH_SIP_PARTS_MAX];
    size_t n = 0;

    *body = msg->body;
    *type = h ? h->value : (struct cph_span){ 0 };
    if (!h || !msg->body.n || cph_sip_content_type_parse(h->value, &ct) != CPH_OK ||
        !cph_span_iis(ct.type, "multipart"))
        return;
    bool last = cph_span_iis(ct.subtype, "alternative");

    /* RFC 5621 3: of a multipart body, the first part of a type we take; RFC 2046 5.1.4: of
     * alternatives the last */
    if (cph_sip_multipart_split(h->value, msg->body, part, CPH_SIP_PARTS_MAX, &n) != CPH_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct cph_span t;

        if (cph_sip_part_header(&part[i], "Content-Type", &t) && type_in(cph_span_of(accept), t)) {
            *type = t;
            *body = part[i].body;
            if (!last)
                return;
        }
    }
}

/* ---- responses ---- */

cph_err sip_respond(struct sip_tx *tx, unsigned status, const char *reason, struct cph_span headers,
                    bool contact, struct cph_span type, struct cph_span body)
{
    struct cph_sip_ua *ua = tx->ua;
    struct cph_wr wr = cph_wr_open(ua->scratch, ua->scratch_n);
    const struct sip_in *in = tx->in;
    struct cph_span tag = { 0 };

    if (status > 100)
        tag = cph_span_of(tx->tag);
    cph_sip_wr_response(&wr, &in->msg, status, cph_span_of(reason), tag, &in->path.peer);
    /* RFC 3261 12.1.1 MUST: a response that makes a dialog copies Record-Route and has a Contact */
    if (contact && status > 100 && status < 300)
        cph_sip_wr_copy_all(&wr, &in->msg, CPH_SIP_H_RECORD_ROUTE);
    if (contact) {
        bool sips = in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS || (tx->call && tx->call->sips);

        cph_wr_text(&wr, "Contact: ");
        sip_wr_contact(ua, &wr, cph_span_of(tx->call ? tx->call->contact_user : ""), tx->path.proto,
                       tx->path.peer.family, sips);
        cph_wr_text(&wr, "\r\n");
    }
    cph_wr_span(&wr, headers);
    if (ua->user_agent)
        cph_sip_wr_header(&wr, CPH_SIP_H_SERVER, cph_span_of(ua->user_agent));
    cph_sip_wr_body(&wr, type, body);
    CPH_TRY(cph_wr_end(&wr));
    return sip_tx_respond(tx, status, cph_wr_done(&wr));
}

static void refuse(struct sip_tx *tx, unsigned status, struct cph_span headers)
{
    if (sip_respond(tx, status, "", headers, false, (struct cph_span){ 0 },
                    (struct cph_span){ 0 }) != CPH_OK)
        tx->ua->count.transport_failed++;
}

/* ---- requests: RFC 3261 8.2 ---- */

static bool method_known(struct sip_tx *tx, const struct sip_in *in)
{
    char line[128];

    switch (in->msg.method) {
    case CPH_SIP_INVITE:
    case CPH_SIP_BYE:
    case CPH_SIP_CANCEL:
    case CPH_SIP_OPTIONS:
    case CPH_SIP_INFO:
    case CPH_SIP_UPDATE:
    case CPH_SIP_PRACK:
        return true;
    case CPH_SIP_OTHER_METHOD:
        tx->ua->count.bad_method++;
        refuse(tx, 501, (struct cph_span){ 0 });
        return false;
    default: /* RFC 3261 8.2.1 MUST: 405 lists what is allowed */
        tx->ua->count.bad_method++;
        snprintf(line, sizeof line, "Allow: %s\r\n", sip_allow);
        refuse(tx, 405, cph_span_of(line));
        return false;
    }
}

static bool scheme_known(struct sip_tx *tx, const struct sip_in *in)
{
    if (in->msg.uri.scheme != CPH_SIP_SCHEME_SIP && in->msg.uri.scheme != CPH_SIP_SCHEME_SIPS &&
        in->msg.uri.scheme != CPH_SIP_SCHEME_TEL) {
        tx->ua->count.bad_scheme++;
        refuse(tx, 416, (struct cph_span){ 0 });
        return false;
    }
    if (in->msg.uri.scheme == CPH_SIP_SCHEME_SIPS && in->path.proto != CPH_SIP_TLS) {
        /* RFC 5630 3.1.3: the last-hop exception is gone: sips came without TLS, so somebody broke
         * it */
        tx->ua->count.bad_sips++;
        refuse(tx, 480, CPH_SPAN_LIT("Warning: 380 ciphony \"SIPS Not Allowed\"\r\n"));
        return false;
    }
    return true;
}

static bool extensions_known(struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span tag;
    char lines[512];
    struct cph_wr wr = cph_wr_open(lines, sizeof lines);
    bool bad = false;

    while (cph_sip_each(&in->msg, CPH_SIP_H_REQUIRE, &it, &tag)) {
        if (cph_span_iis(tag, "100rel") || cph_span_iis(tag, "timer") ||
            (tx->ua->cfg.precondition && cph_span_iis(tag, "precondition")))
            continue;
        bad = true;
        if (tag.n < 64 && wr.n + tag.n + 20 < sizeof lines)
            cph_sip_wr_header(&wr, CPH_SIP_H_UNSUPPORTED, tag);
    }
    if (!bad)
        return true;
    tx->ua->count.bad_require++;
    refuse(tx, 420, cph_wr_done(&wr)); /* RFC 3261 8.2.2.3 MUST */
    return false;
}

static bool body_known(struct sip_tx *tx, const struct sip_in *in)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span coding, type, body;
    char line[256];
    bool bad = false;

    if (!in->msg.body.n || (in->msg.method != CPH_SIP_INVITE && in->msg.method != CPH_SIP_UPDATE &&
                            in->msg.method != CPH_SIP_PRACK))
        return true;
    while (cph_sip_each(&in->msg, CPH_SIP_H_CONTENT_ENCODING, &it, &coding))
        bad |= !cph_span_iis(coding, "identity");
    sip_body_of(&in->msg, tx->ua->accept, &type, &body);
    bad |= !type_in(cph_span_of(tx->ua->accept), type);
    if (!bad)
        return true;
    tx->ua->count.bad_body_type++;
    snprintf(line, sizeof line, "Accept: %s\r\nAccept-Encoding: identity\r\n", tx->ua->accept);
    refuse(tx, 415, cph_span_of(line));
    return false;
}

static void answer_options(struct sip_tx *tx)
{
    char lines[512];

    snprintf(lines, sizeof lines,
             "Allow: %s\r\nAccept: %s\r\nAccept-Encoding: identity\r\nSupported: %s\r\n", sip_allow,
             tx->ua->accept, sip_supported(tx->ua));
    if (sip_respond(tx, 200, "", cph_span_of(lines), true, (struct cph_span){ 0 },
                    (struct cph_span){ 0 }) != CPH_OK)
        tx->ua->count.transport_failed++;
}

static void outside_dialog(struct sip_tx *tx, struct sip_in *in)
{
    switch (in->msg.method) {
    case CPH_SIP_INVITE:
        sip_call_invite(tx, in);
        break;
    case CPH_SIP_OPTIONS:
        answer_options(tx);
        break;
    default: /* BYE, INFO, UPDATE, PRACK make sense in a dialog only */
        tx->ua->count.bad_no_dialog++;
        refuse(tx, 481, (struct cph_span){ 0 });
        break;
    }
}

void sip_core_request(struct sip_tx *tx, struct sip_in *in)
{
    struct sip_dlg *d;

    if (!method_known(tx, in))
        return;
    if (in->msg.method == CPH_SIP_CANCEL) {
        sip_core_cancel(tx, in);
        return;
    }
    if (!scheme_known(tx, in) || !extensions_known(tx, in) || !body_known(tx, in))
        return;
    if (!in->msg.to.tag.n) {
        outside_dialog(tx, in);
        return;
    }
    d = sip_dlg_find(tx->ua, in);
    if (!d) { /* RFC 3261 12.2.2 MUST: 481 */
        tx->ua->count.bad_no_dialog++;
        refuse(tx, 481, (struct cph_span){ 0 });
    } else if (in->msg.method == CPH_SIP_OPTIONS) {
        answer_options(tx);
    } else {
        sip_call_in_dialog(tx, in, d);
    }
}

void sip_core_ack(struct cph_sip_ua *ua, struct sip_in *in, struct sip_call *call)
{
    struct sip_dlg *d = sip_dlg_find(ua, in);

    (void)call; /* the dialog says whose it is, also for a client of RFC 2543 */
    if (d && d->call)
        sip_call_ack(d->call, in);
    else
        ua->count.bad_stray_ack++;
}

/* RFC 3261 9.2 */
void sip_core_cancel(struct sip_tx *tx, struct sip_in *in)
{
    struct sip_tx *invite = sip_tx_of_cancel(tx->ua, in);

    if (!invite) {
        tx->ua->count.bad_stray_cancel++;
        refuse(tx, 481, (struct cph_span){ 0 });
        return;
    }
    memcpy(tx->tag, invite->tag, sizeof tx->tag); /* SHOULD: the same To tag */
    refuse(tx, 200, (struct cph_span){ 0 });
    if (invite->state == SIP_TX_PROCEEDING && invite->call)
        sip_call_cancelled(invite->call, in);
}

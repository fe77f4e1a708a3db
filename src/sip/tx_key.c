/* How a message finds its transaction: RFC 3261 17.1.3, 17.2.3. */
#include "tx_int.h"

#include <ctype.h>

static struct cph_span key_done(const struct cph_wr *wr)
{
    if (wr->failed)
        return (struct cph_span){ 0 };
    return cph_wr_done(wr);
}

struct cph_span sip_tx_client_key(uint8_t *buf, struct cph_span branch, struct cph_span method)
{
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    cph_wr_text(&wr, "c|");
    cph_wr_span(&wr, branch);
    cph_wr_u8(&wr, '|');
    cph_wr_span(&wr, method);
    return key_done(&wr);
}

static void wr_lower(struct cph_wr *wr, struct cph_span s)
{
    for (size_t i = 0; i < s.n; i++)
        cph_wr_u8(wr, (uint8_t)tolower(s.p[i]));
}

/* An ACK and a CANCEL look for the key of their INVITE. */
struct cph_span sip_tx_server_key(uint8_t *buf, const struct cph_sip_msg *m, struct cph_span method)
{
    const struct cph_sip_via *v = &m->via[0];
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    if (v->cookie) {
        cph_wr_text(&wr, "s|");
        cph_wr_span(&wr, v->branch);
        cph_wr_u8(&wr, '|');
        wr_lower(&wr, v->host);
        cph_wr_fmt(&wr, "|%u|", v->port);
    } else { /* a client of RFC 2543: no unique branch */
        cph_wr_text(&wr, "o|");
        cph_wr_span(&wr, m->uri.text);
        cph_wr_u8(&wr, '|');
        cph_wr_span(&wr, m->from.tag);
        cph_wr_u8(&wr, '|');
        cph_wr_span(&wr, m->call_id);
        cph_wr_fmt(&wr, "|%u|", m->cseq.number);
        cph_wr_span(&wr, v->text);
        cph_wr_u8(&wr, '|');
    }
    cph_wr_span(&wr, method);
    return key_done(&wr);
}

struct cph_span sip_tx_merge_key(uint8_t *buf, const struct cph_sip_msg *m)
{
    struct cph_wr wr = cph_wr_open(buf, SIP_KEY_MAX);

    cph_wr_span(&wr, m->from.tag);
    cph_wr_u8(&wr, '|');
    cph_wr_span(&wr, m->call_id);
    cph_wr_fmt(&wr, "|%u|", m->cseq.number);
    cph_wr_span(&wr, m->method_name);
    return key_done(&wr);
}

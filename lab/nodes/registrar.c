/* Who is where: REGISTER, and contacts that a scenario puts in. */
#include "proxy_int.h"

#include <stdio.h>
#include <string.h>

#include "ciphony/base_text.h"

cph_err lab_proxy_add(struct lab_proxy *p, const char *user, const char *contact)
{
    struct contact *c = &p->contact[p->contacts];

    for (unsigned i = 0; i < p->contacts; i++)
        if (strcmp(p->contact[i].user, user) == 0 && strcmp(p->contact[i].uri, contact) == 0)
            return CPH_OK;
    if (p->contacts == USERS || strlen(user) >= sizeof c->user || strlen(contact) >= sizeof c->uri)
        return CPH_E_LIMIT;
    (void)snprintf(c->user, sizeof c->user, "%s", user);
    (void)snprintf(c->uri, sizeof c->uri, "%s", contact);
    p->contacts++;
    return CPH_OK;
}

unsigned lab_proxy_contacts(const struct lab_proxy *p, const char *user)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->contacts; i++)
        n += strcmp(p->contact[i].user, user) == 0;
    return n;
}

void registrar_take(struct lab_proxy *p, const struct cph_sip_msg *req, const struct way *from)
{
    struct cph_wr wr = cph_wr_open(p->out, sizeof p->out);
    const struct cph_sip_header *contact = cph_sip_find(req, CPH_SIP_H_CONTACT);
    struct cph_sip_addr at;
    char user[32], uri[URI];

    p->counts.registers++;
    if (!contact || cph_sip_addr_at(req, CPH_SIP_H_CONTACT, 0, &at) != CPH_OK || at.star ||
        cph_span_cstr(req->to.uri.user, user, sizeof user) != CPH_OK ||
        cph_span_cstr(at.uri.text, uri, sizeof uri) != CPH_OK ||
        lab_proxy_add(p, user, uri) != CPH_OK) {
        proxy_reply(p, req, from, 400);
        return;
    }
    cph_sip_wr_response(&wr, req, 200, (struct cph_span){ 0 }, CPH_SPAN_LIT("lab"), &from->addr);
    cph_sip_wr_header_fmt(&wr, CPH_SIP_H_CONTACT, "<%s>;expires=3600", uri);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    proxy_send_to(p, from, &wr);
}

#include "msg_int.h"

const struct cph_sip_header *cph_sip_find_next(const struct cph_sip_msg *msg, enum cph_sip_hdr id,
                                               const struct cph_sip_header *prev)
{
    for (size_t i = prev ? (size_t)(prev - msg->header) + 1 : 0; i < msg->n_header; i++) {
        if (msg->header[i].id == id)
            return &msg->header[i];
    }
    return NULL;
}

const struct cph_sip_header *cph_sip_find(const struct cph_sip_msg *msg, enum cph_sip_hdr id)
{
    return cph_sip_find_next(msg, id, NULL);
}

const struct cph_sip_header *cph_sip_find_name(const struct cph_sip_msg *msg, struct cph_span name)
{
    enum cph_sip_hdr id = cph_sip_hdr_find(name);

    if (id != CPH_SIP_H_OTHER)
        return cph_sip_find(msg, id);
    for (size_t i = 0; i < msg->n_header; i++) {
        if (cph_span_ieq(msg->header[i].name, name))
            return &msg->header[i];
    }
    return NULL;
}

bool cph_sip_each(const struct cph_sip_msg *msg, enum cph_sip_hdr id, struct cph_sip_iter *it,
                  struct cph_span *value)
{
    bool list = cph_sip_hdr_shape(id) == CPH_SIP_SHAPE_LIST;

    while (!it->rest.p) {
        while (it->at < msg->n_header && msg->header[it->at].id != id)
            it->at++;
        if (it->at == msg->n_header)
            return false;
        it->header = &msg->header[it->at++];
        if (it->header->value.n > 0)
            it->rest = it->header->value;
    }
    if (list) {
        *value = sip_cut_value(&it->rest, false);
    } else {
        *value = it->rest;
        it->rest = (struct cph_span){ 0 };
    }
    return true;
}

bool cph_sip_has_token(const struct cph_sip_msg *msg, enum cph_sip_hdr id, const char *token)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span value;

    while (cph_sip_each(msg, id, &it, &value)) {
        if (cph_span_iis(value, token))
            return true;
    }
    return false;
}

cph_err cph_sip_addr_at(const struct cph_sip_msg *msg, enum cph_sip_hdr id, size_t at,
                        struct cph_sip_addr *out)
{
    struct cph_sip_iter it = { 0 };
    struct cph_span value;

    while (cph_sip_each(msg, id, &it, &value)) {
        if (at-- == 0)
            return cph_sip_addr_parse(value, out);
    }
    return CPH_E_NOTFOUND;
}

cph_err cph_sip_number(const struct cph_sip_msg *msg, enum cph_sip_hdr id, uint32_t *out)
{
    const struct cph_sip_header *h = cph_sip_find(msg, id);

    return h ? cph_sip_number_parse(h->value, out) : CPH_E_NOTFOUND;
}

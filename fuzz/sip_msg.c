/* A message that was read can be walked, answered and written again line by line, and reads the
 * same. */
#include <stdlib.h>

#include "ciphony/base_mem.h"
#include "ciphony/base_text.h"
#include "ciphony/sip_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint8_t buf[2 * CPH_SIP_MSG_MAX];

static void answer(const struct cph_sip_msg *m)
{
    struct cph_addr from = { .family = CPH_AF_V4, .ip = { 192, 0, 2, 1 }, .port = 5060 };
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);

    cph_sip_wr_response(&wr, m, 400, (struct cph_span){ 0 }, CPH_SPAN_LIT("t"), &from);
    cph_sip_wr_body(&wr, (struct cph_span){ 0 }, (struct cph_span){ 0 });
    if (wr.failed)
        abort();
}

static void write_again(struct cph_arena *a, const struct cph_sip_msg *m)
{
    struct cph_wr wr = cph_wr_open(buf, sizeof buf);
    struct cph_sip_part part[CPH_SIP_PARTS_MAX];
    struct cph_sip_msg again;
    struct cph_span value;
    size_t parts;

    cph_wr_span(&wr, m->start_line);
    cph_wr_text(&wr, "\r\n");
    for (size_t i = 0; i < m->n_header; i++) {
        struct cph_sip_iter it = { 0 };

        cph_sip_wr_copy(&wr, &m->header[i]);
        while (cph_sip_each(m, m->header[i].id, &it, &value) && it.at <= i)
            ;
    }
    cph_wr_text(&wr, "\r\n");
    cph_wr_span(&wr, m->body);
    if (wr.failed || !cph_span_eq(cph_wr_done(&wr), m->bytes))
        abort();
    if (cph_sip_msg_parse(a, cph_wr_done(&wr), CPH_SIP_DATAGRAM, &again, NULL) != CPH_OK ||
        again.n_header != m->n_header || again.n_via != m->n_via)
        abort();
    if (cph_sip_find(m, CPH_SIP_H_CONTENT_TYPE) &&
        cph_sip_multipart_split(cph_sip_find(m, CPH_SIP_H_CONTENT_TYPE)->value, m->body, part,
                                CPH_SIP_PARTS_MAX, &parts) == CPH_OK &&
        parts == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cph_span bytes = { data, n };
    struct cph_sip_fault fault;
    struct cph_sip_frame frame;
    struct cph_sip_msg m;
    struct cph_arena *a;

    if (n > CPH_SIP_MSG_MAX || cph_arena_new((size_t)2 * CPH_SIP_ARENA, &a) != CPH_OK)
        return 0;
    if (cph_sip_frame(bytes, n & 1, 0, &frame) == CPH_OK &&
        (frame.bytes.n == 0 || frame.bytes.n > n))
        abort();
    if (cph_sip_msg_parse(a, bytes, CPH_SIP_DATAGRAM, &m, &fault) == CPH_OK)
        write_again(a, &m);
    else if (fault.answerable)
        answer(&m);
    cph_arena_free(a);
    return 0;
}

#include "mikeyv2_int.h"

#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

static struct cph_span list8(struct cph_rd *rd, size_t max)
{
    struct cph_rd in = cph_rd_vec8(rd);
    struct cph_span s = cph_rd_rest(&in);

    rd->failed |= in.failed;
    if (s.n == 0 || s.n > max)
        rd->failed = true;
    return s;
}

static void read_hello_i(struct cph_rd *rd, struct v2_msg *m)
{
    struct cph_rd suites;

    m->modes = list8(rd, V2_LIST);
    m->groups = list8(rd, V2_LIST);
    suites = cph_rd_vec16(rd);
    m->suites = cph_rd_rest(&suites);
    rd->failed |= suites.failed || m->suites.n == 0;
    m->nonce = cph_rd_span(rd, V2_NONCE);
    m->id = list8(rd, CPH_MIKEY_ID - 1);
}

static void read_hello_r(struct cph_rd *rd, struct v2_msg *m)
{
    m->mode = cph_rd_u8(rd);
    m->group = cph_rd_u8(rd);
    m->suite = list8(rd, 255);
    m->nonce = cph_rd_span(rd, V2_NONCE);
    m->id = list8(rd, CPH_MIKEY_ID - 1);
}

cph_err v2_parse(struct cph_span bytes, struct v2_msg *out)
{
    struct cph_rd rd = cph_rd_open(bytes);
    uint8_t version = cph_rd_u8(&rd), type = cph_rd_u8(&rd);
    struct v2_msg m = { .type = (enum v2_type)type };

    if (bytes.n > V2_MSG_MAX)
        return CPH_E_LIMIT;
    if (!rd.failed && version != V2_VERSION)
        return CPH_E_UNSUPPORTED;
    if (!rd.failed && (type < V2_HELLO_I || type >= V2_TYPES_))
        return CPH_E_MALFORMED;
    m.spi_i = cph_rd_u64(&rd);
    if (type != V2_HELLO_I)
        m.spi_r = cph_rd_u64(&rd);
    if (type == V2_HELLO_I)
        read_hello_i(&rd, &m);
    else if (type == V2_HELLO_R)
        read_hello_r(&rd, &m);
    else if (type != V2_KEEP)
        m.body = cph_rd_rest(&rd);
    CPH_TRY(cph_rd_end(&rd));
    if (m.id.n > 0 && memchr(m.id.p, 0, m.id.n))
        return CPH_E_MALFORMED; /* two names to two readers */
    *out = m;
    return CPH_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put8(struct cph_wr *wr, struct cph_span s)
{
    if (s.n > 255)
        wr->failed = true;
    cph_wr_u8(wr, (uint8_t)s.n);
    cph_wr_span(wr, s);
}

cph_err v2_build(const struct v2_msg *m, struct cph_wr *wr)
{
    cph_wr_u8(wr, V2_VERSION);
    cph_wr_u8(wr, (uint8_t)m->type);
    cph_wr_u64(wr, m->spi_i);
    if (m->type != V2_HELLO_I)
        cph_wr_u64(wr, m->spi_r);
    switch (m->type) {
    case V2_HELLO_I:
        put8(wr, m->modes);
        put8(wr, m->groups);
        cph_wr_u16(wr, (uint16_t)m->suites.n);
        cph_wr_span(wr, m->suites);
        cph_wr_span(wr, m->nonce);
        put8(wr, m->id);
        break;
    case V2_HELLO_R:
        cph_wr_u8(wr, m->mode);
        cph_wr_u8(wr, m->group);
        put8(wr, m->suite);
        cph_wr_span(wr, m->nonce);
        put8(wr, m->id);
        break;
    case V2_PROOF_I:
    case V2_PROOF_R:
        cph_wr_span(wr, m->body);
        break;
    case V2_KEEP:
    case V2_TYPES_:
        break;
    }
    return cph_wr_end(wr);
}

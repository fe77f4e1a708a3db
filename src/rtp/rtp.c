#include "ciphony/rtp.h"

enum {
    EXT_ONE_BYTE = 0xbede, /* RFC 8285 4.2 */
    EXT_TWO_BYTE = 0x1000, /* RFC 8285 4.3; the lower four bits are free for the application */
    EXT_STOP = 15,         /* the one-byte id that ends the list */
};

/*
 * RFC 3550 5.1:
 *
 *   V=2 P X CC | M PT | sequence number | timestamp | SSRC | CSRC * CC | extension if X | payload |
 * padding
 */
static void take_extension(struct cph_rd *rd, struct cph_rtp *v)
{
    v->ext_profile = cph_rd_u16(rd);
    v->ext = cph_rd_span(rd, (size_t)4 * cph_rd_u16(rd));
}

static cph_err take_padding(struct cph_rtp *v)
{
    /* RFC 3550 A.1: the last byte counts the padding, itself included, and fits behind the header
     */
    if (v->payload.n == 0)
        return CPH_E_TRUNCATED;
    v->padding = v->payload.p[v->payload.n - 1];
    if (v->padding == 0 || v->padding > v->payload.n)
        return CPH_E_MALFORMED;
    v->payload.n -= v->padding;
    return CPH_OK;
}

cph_err cph_rtp_parse(struct cph_span packet, struct cph_rtp *out)
{
    struct cph_rd rd = cph_rd_open(packet);
    struct cph_rtp v = { 0 };
    uint8_t b0 = cph_rd_u8(&rd), b1 = cph_rd_u8(&rd);

    v.seq = cph_rd_u16(&rd);
    v.ts = cph_rd_u32(&rd);
    v.ssrc = cph_rd_u32(&rd);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    if (b0 >> 6 != 2)
        return CPH_E_MALFORMED;
    /* RFC 3550 A.1: SR and RR have come to the wrong door */
    if (b1 == CPH_RTCP_SR || b1 == CPH_RTCP_RR)
        return CPH_E_MALFORMED;
    v.marker = b1 & 0x80;
    v.pt = b1 & 0x7f;
    v.n_csrc = b0 & 0x0f;
    for (unsigned i = 0; i < v.n_csrc; i++)
        v.csrc[i] = cph_rd_u32(&rd);
    v.has_ext = b0 & 0x10;
    if (v.has_ext)
        take_extension(&rd, &v);
    if (rd.failed)
        return CPH_E_TRUNCATED;
    v.payload = cph_rd_rest(&rd);
    if (b0 & 0x20)
        CPH_TRY(take_padding(&v));
    *out = v;
    return CPH_OK;
}

cph_err cph_rtp_build(const struct cph_rtp *rtp, struct cph_wr *wr)
{
    if (rtp->pt > 127 || rtp->n_csrc > CPH_RTP_MAX_CSRC)
        return CPH_E_ARGUMENT;
    if (rtp->has_ext && (rtp->ext.n % 4 != 0 || rtp->ext.n / 4 > UINT16_MAX))
        return CPH_E_ARGUMENT;
    cph_wr_u8(
        wr, (uint8_t)(0x80 | (rtp->padding ? 0x20 : 0) | (rtp->has_ext ? 0x10 : 0) | rtp->n_csrc));
    cph_wr_u8(wr, (uint8_t)((rtp->marker ? 0x80 : 0) | rtp->pt));
    cph_wr_u16(wr, rtp->seq);
    cph_wr_u32(wr, rtp->ts);
    cph_wr_u32(wr, rtp->ssrc);
    for (unsigned i = 0; i < rtp->n_csrc; i++)
        cph_wr_u32(wr, rtp->csrc[i]);
    if (rtp->has_ext) {
        cph_wr_u16(wr, rtp->ext_profile);
        cph_wr_u16(wr, (uint16_t)(rtp->ext.n / 4));
        cph_wr_span(wr, rtp->ext);
    }
    cph_wr_span(wr, rtp->payload);
    if (rtp->padding) {
        cph_wr_zero(wr, rtp->padding - 1U);
        cph_wr_u8(wr, rtp->padding);
    }
    return cph_wr_end(wr);
}

/* ---- header extension elements --------------------------------------------------------------- */

static cph_err next_one_byte(struct cph_rd *rd, struct cph_rtp_ext *v)
{
    uint8_t head;

    do
        head = cph_rd_u8(rd);
    while (head == 0 && !rd->failed); /* padding between elements */
    if (rd->failed || head >> 4 == EXT_STOP)
        return CPH_E_AGAIN;
    v->id = head >> 4;
    v->data = cph_rd_span(rd, (head & 0x0fU) + 1);
    return rd->failed ? CPH_E_MALFORMED : CPH_OK;
}

static cph_err next_two_byte(struct cph_rd *rd, struct cph_rtp_ext *v)
{
    do
        v->id = cph_rd_u8(rd);
    while (v->id == 0 && !rd->failed);
    if (rd->failed)
        return CPH_E_AGAIN;
    v->data = cph_rd_span(rd, cph_rd_u8(rd));
    return rd->failed ? CPH_E_MALFORMED : CPH_OK;
}

cph_err cph_rtp_ext_next(const struct cph_rtp *rtp, size_t *at, struct cph_rtp_ext *out)
{
    struct cph_rtp_ext v = { 0 };
    struct cph_rd rd;
    cph_err err;

    if (!rtp->has_ext || *at >= rtp->ext.n)
        return CPH_E_AGAIN;
    rd = cph_rd_open((struct cph_span){ rtp->ext.p + *at, rtp->ext.n - *at });
    if (rtp->ext_profile == EXT_ONE_BYTE)
        err = next_one_byte(&rd, &v);
    else if ((rtp->ext_profile & 0xfff0) == EXT_TWO_BYTE)
        err = next_two_byte(&rd, &v);
    else
        return CPH_E_UNSUPPORTED;
    *at = err == CPH_OK ? rtp->ext.n - rd.n : rtp->ext.n;
    if (err == CPH_OK)
        *out = v;
    return err;
}

cph_err cph_rtp_ext_build(const struct cph_rtp_ext *ext, size_t n, struct cph_wr *wr,
                          uint16_t *profile)
{
    size_t start = cph_wr_mark(wr);
    bool one_byte = true;

    for (size_t i = 0; i < n; i++) {
        if (ext[i].id == 0 || ext[i].data.n > UINT8_MAX)
            return CPH_E_ARGUMENT;
        if (ext[i].id >= EXT_STOP || ext[i].data.n == 0 || ext[i].data.n > 16)
            one_byte = false;
    }
    for (size_t i = 0; i < n; i++) {
        if (one_byte) {
            cph_wr_u8(wr, (uint8_t)((size_t)ext[i].id << 4 | (ext[i].data.n - 1)));
        } else {
            cph_wr_u8(wr, ext[i].id);
            cph_wr_u8(wr, (uint8_t)ext[i].data.n);
        }
        cph_wr_span(wr, ext[i].data);
    }
    cph_wr_zero(wr, (4 - (cph_wr_mark(wr) - start) % 4) % 4);
    CPH_TRY(cph_wr_end(wr));
    *profile = one_byte ? EXT_ONE_BYTE : EXT_TWO_BYTE;
    return CPH_OK;
}
